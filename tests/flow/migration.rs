//! An object with something of its own at OMS, as a test reads and writes it; a MigrationTask where nothing else is said.

use std::marker::PhantomData;

use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams};
use oms_operator::api::{MigrationTask, Phase, TransferStatus};
use oms_operator::engine::Transfer;
use serde_json::{Value, json};

use crate::world::{DESTINATION_SECRET, SOURCE_SECRET, World, eventually};

/// A manifest in the making.
pub(crate) struct Draft<'w, K = MigrationTask> {
    world: &'w World,
    name: String,
    manifest: Value,
    kind: PhantomData<K>,
}

impl<'w, K: Transfer> Draft<'w, K> {
    /// Copies the whole source bucket `photos` into `photos-archive`.
    pub(crate) fn new(world: &'w World, name: &str) -> Self {
        let manifest = json!({
            "apiVersion": "oms-operator.io/v1alpha1",
            "kind": K::KIND.as_str(),
            "metadata": { "name": name },
            "spec": {
                "type": "prefix",
                // Calls are counted in most tests; those about the checks turn them on.
                "preflight": "Off",
                "source": {
                    "cloudType": "AWS",
                    "region": "eu-west-1",
                    "bucket": "photos",
                    "objectKeys": [""],
                    "credentials": { "secretRef": { "name": SOURCE_SECRET } },
                },
                "destination": {
                    "bucket": "photos-archive",
                    "credentials": { "secretRef": { "name": DESTINATION_SECRET } },
                },
            },
        });
        Self { world, name: name.to_owned(), manifest, kind: PhantomData }
    }

    /// Sets a member by its JSON pointer below `spec`, for example `/source/bucket`.
    pub(crate) fn with(mut self, pointer: &str, value: impl Into<Value>) -> Self {
        let mut target = &mut self.manifest["spec"];
        for part in pointer.trim_start_matches('/').split('/') {
            target = &mut target[part];
        }
        *target = value.into();
        self
    }

    /// Removes a member by its JSON pointer below `spec`.
    pub(crate) fn without(mut self, pointer: &str) -> Self {
        let (above, member) = pointer.rsplit_once('/').unwrap();
        self.manifest["spec"].pointer_mut(above).unwrap().as_object_mut().unwrap().remove(member).unwrap();
        self
    }

    /// The manifest.
    pub(crate) fn manifest(&self) -> &Value {
        &self.manifest
    }

    /// Applies it.
    pub(crate) async fn apply(self) -> Migration<'w, K> {
        self.world.apply::<K>(self.manifest).await;
        Migration::existing(self.world, &self.name)
    }

    /// Applies it with the real kubectl.
    pub(crate) async fn kubectl_apply(self) -> Migration<'w, K> {
        let (succeeded, output) =
            self.world.try_kubectl(&["apply", "-f", "-"], &self.manifest.to_string()).await;
        assert!(succeeded, "kubectl apply failed: {output}");
        Migration::existing(self.world, &self.name)
    }
}

/// An applied object.
pub(crate) struct Migration<'w, K = MigrationTask> {
    world: &'w World,
    pub(crate) name: String,
    kind: PhantomData<K>,
}

impl<'w, K: Transfer> Migration<'w, K> {
    pub(crate) fn existing(world: &'w World, name: &str) -> Self {
        Self { world, name: name.to_owned(), kind: PhantomData }
    }

    fn api(&self) -> Api<K> {
        self.world.api()
    }

    /// The object as it is.
    pub(crate) async fn get(&self) -> K {
        self.api().get(&self.name).await.unwrap()
    }

    /// Its status.
    pub(crate) async fn status(&self) -> TransferStatus {
        self.get().await.status().cloned().unwrap_or_default()
    }

    /// Merges a patch into the object.
    pub(crate) async fn patch(&self, patch: Value) {
        self.api().patch(&self.name, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
    }

    /// Merges a patch into an object that OMS refused to create, as people do: while the operator tries again, the spec
    /// is frozen for a moment.
    pub(crate) async fn correct(&self, patch: Value) {
        let api = self.api();
        eventually(&format!("{} takes the correction", self.name), async || {
            let patched = api.patch(&self.name, &PatchParams::default(), &Patch::Merge(&patch)).await;
            patched.map(drop).map_err(|error| error.to_string())
        })
        .await;
    }

    /// Sets `spec.suspend`.
    pub(crate) async fn suspend(&self, suspend: bool) {
        self.patch(json!({ "spec": { "suspend": suspend } })).await;
    }

    /// Asks for a look now.
    pub(crate) async fn nudge(&self, token: &str) {
        self.patch(
            json!({ "metadata": { "annotations": { "oms-operator.io/reconcile-requested-at": token } } }),
        )
        .await;
    }

    /// Waits until the object satisfies something.
    pub(crate) async fn wait(&self, what: &str, holds: impl Fn(&K) -> bool) -> K {
        let api = self.api();
        eventually(&format!("{} {what}", self.name), async || {
            let task = api.get(&self.name).await.map_err(|error| error.to_string())?;
            if holds(&task) { Ok(task) } else { Err(format!("{:#?}", task.status())) }
        })
        .await
    }

    /// Waits for a phase.
    pub(crate) async fn wait_phase(&self, phase: Phase) -> K {
        self.wait(&format!("is {phase:?}"), |task| phase_of(task) == Some(phase)).await
    }

    /// Waits until a condition has a status and a reason.
    pub(crate) async fn wait_condition(&self, type_: &str, status: &str, reason: &str) -> K {
        self.wait(&format!("has {type_}={status} {reason}"), |task| {
            condition(task, type_) == Some((status.to_owned(), reason.to_owned()))
        })
        .await
    }

    /// Asks for its deletion.
    pub(crate) async fn delete(&self) {
        self.api().delete(&self.name, &DeleteParams::background()).await.unwrap();
    }

    /// Waits until it is gone.
    pub(crate) async fn wait_gone(&self) {
        let api = self.api();
        eventually(&format!("{} is gone", self.name), async || match api.get_opt(&self.name).await {
            Ok(None) => Ok(()),
            Ok(Some(task)) => Err(format!("{:#?}", task.status())),
            Err(error) => Err(error.to_string()),
        })
        .await;
    }
}

/// Its phase.
pub(crate) fn phase_of(task: &impl Transfer) -> Option<Phase> {
    task.status()?.phase
}

/// Status and reason of a condition.
pub(crate) fn condition(task: &impl Transfer, type_: &str) -> Option<(String, String)> {
    let condition = task.status()?.conditions.iter().find(|condition| condition.type_ == type_)?;
    Some((condition.status.clone(), condition.reason.clone()))
}

/// Message of a condition; empty when it is absent.
pub(crate) fn message(task: &impl Transfer, type_: &str) -> String {
    let conditions = task.status().map(|status| status.conditions.as_slice()).unwrap_or_default();
    conditions
        .iter()
        .find(|condition| condition.type_ == type_)
        .map(|condition| condition.message.clone())
        .unwrap_or_default()
}
