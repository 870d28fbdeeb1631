//! Letting go of everything before an uninstall: the finalizers of the operator go, and what stays behind at OMS is told.
//!
//! Objects without an operator could never be deleted otherwise, nor could their namespaces. Nothing is called at OMS.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{DynamicObject, ListParams, Patch, PatchParams};
use kube::core::ApiResource;
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};
use thiserror::Error;

use crate::api::{
    self, CONNECTION_FINALIZER, ClusterConnection, Connection, FINALIZER, MigrationTask, SyncTask, TaskGroup,
};
use crate::config::LEASE_NAME;

/// Objects that are listed per call.
const PAGE: u32 = 500;

/// What is let go of.
#[derive(Clone, Debug, Default)]
pub struct Release {
    /// Only the objects of these namespaces; empty: all, and ClusterConnections too.
    pub namespaces: Vec<String>,
    /// Only tell.
    pub dry_run: bool,
    /// Although an operator holds the lease.
    pub force: bool,
}

/// Why nothing, or not everything, was let go of.
#[derive(Debug, Error)]
pub enum ReleaseError {
    /// An operator is at work and would put the finalizers back.
    #[error(
        "an operator runs ({0}) and would put the finalizers back. Uninstall it or scale it to 0 first, or add --force"
    )]
    OperatorRuns(String),
    /// The API server did not do as asked.
    #[error("{what}: {source}")]
    Kubernetes {
        /// What was asked.
        what: String,
        /// What it said.
        source: kube::Error,
    },
}

/// What was let go of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Released {
    /// Objects without our finalizers now.
    pub objects: usize,
    /// Tasks at OMS that nobody looks after any more.
    pub tasks: usize,
    /// How many of those still copy.
    pub active: usize,
}

impl Release {
    /// Lets go, and tells one line for each object.
    pub async fn run(&self, client: &Client, mut tell: impl FnMut(String)) -> Result<Released, ReleaseError> {
        if !self.force
            && let Some(holder) = running(client, &mut tell).await?
        {
            return Err(ReleaseError::OperatorRuns(holder));
        }
        let mut released = Released::default();
        let kinds = [
            ApiResource::erase::<MigrationTask>(&()),
            ApiResource::erase::<TaskGroup>(&()),
            ApiResource::erase::<SyncTask>(&()),
            ApiResource::erase::<Connection>(&()),
        ];
        for kind in &kinds {
            if self.namespaces.is_empty() {
                let all = Api::all_with(client.clone(), kind);
                self.release(client, kind, all, &mut released, &mut tell).await?;
            }
            for namespace in &self.namespaces {
                let some = Api::namespaced_with(client.clone(), namespace, kind);
                self.release(client, kind, some, &mut released, &mut tell).await?;
            }
        }
        if self.namespaces.is_empty() {
            let kind = ApiResource::erase::<ClusterConnection>(&());
            let all = Api::all_with(client.clone(), &kind);
            self.release(client, &kind, all, &mut released, &mut tell).await?;
        }
        Ok(released)
    }

    async fn release(
        &self,
        client: &Client,
        kind: &ApiResource,
        objects: Api<DynamicObject>,
        released: &mut Released,
        tell: &mut impl FnMut(String),
    ) -> Result<(), ReleaseError> {
        let failed = |what: String| move |source| ReleaseError::Kubernetes { what, source };
        let mut page = ListParams::default().limit(PAGE);
        loop {
            let found = match objects.list(&page).await {
                // The definitions may be gone, or never have been there.
                Err(kube::Error::Api(answer)) if answer.code == 404 => return Ok(()),
                found => found.map_err(failed(format!("cannot list {}", kind.plural)))?,
            };
            for object in &found.items {
                let ours = |finalizer: &String| finalizer == FINALIZER || finalizer == CONNECTION_FINALIZER;
                let (mine, others): (Vec<_>, Vec<_>) = object.finalizers().iter().cloned().partition(ours);
                if mine.is_empty() {
                    continue;
                }
                if !self.dry_run {
                    let one: Api<DynamicObject> = match object.namespace() {
                        Some(namespace) => Api::namespaced_with(client.clone(), &namespace, kind),
                        None => Api::all_with(client.clone(), kind),
                    };
                    // Only what was read: whoever changes it meanwhile has a reason.
                    let patch = json!({
                        "metadata": { "resourceVersion": object.resource_version(), "finalizers": others },
                    });
                    let by =
                        PatchParams { field_manager: Some(api::MANAGER.into()), ..PatchParams::default() };
                    match one.patch(&object.name_any(), &by, &Patch::Merge(patch)).await {
                        Err(kube::Error::Api(answer)) if answer.code == 404 => continue,
                        patched => {
                            patched.map(drop).map_err(failed(format!("cannot release {}", name(object))))?;
                        }
                    }
                }
                released.objects += 1;
                let (line, tasks, active) = left(kind, object);
                released.tasks += tasks;
                released.active += usize::from(active);
                tell(line);
            }
            match found.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => page = page.continue_token(&token),
                None => return Ok(()),
            }
        }
    }
}

fn name(object: &DynamicObject) -> String {
    let namespace = object.namespace().map(|namespace| format!("{namespace}/")).unwrap_or_default();
    format!("{namespace}{}", object.name_any())
}

/// What of an object stays at OMS: a line for people, how many tasks, and whether one still copies.
fn left(kind: &ApiResource, object: &DynamicObject) -> (String, usize, bool) {
    let status = &object.data["status"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut ids: Vec<_> =
        status["history"].as_array().into_iter().flatten().map(|run| text(&run["taskId"])).collect();
    ids.extend(status["olderTaskIds"].as_array().into_iter().flatten().map(text));
    ids.extend(status["taskId"].as_str().map(ToOwned::to_owned));
    let who = format!("{} {}", kind.kind, name(object));
    if ids.is_empty() {
        let sent = !status["create"]["sentAt"].is_null();
        let what = if sent {
            "a create is under way whose task may appear at OMS"
        } else {
            "nothing of it is at OMS"
        };
        return (format!("{who}: {what}"), usize::from(sent), sent);
    }
    let phase = text(&status["phase"]);
    let active = !matches!(phase.as_str(), "Succeeded" | "SucceededWithFailures" | "Failed" | "Stopped");
    let place = &status["connection"];
    let line = format!(
        "{who}: stays at OMS as {} ({phase}), project {} at {}",
        ids.join(", "),
        text(&place["projectId"]),
        text(&place["endpoint"])
    );
    (line, ids.len(), active)
}

/// Who keeps renewing a lease of an operator. One that went without handing it back, as it does when its rights went first,
/// holds it until it has run out: that is waited for.
async fn running(client: &Client, tell: &mut impl FnMut(String)) -> Result<Option<String>, ReleaseError> {
    let held = held(client).await?;
    let Some(until) = held.iter().map(|lease| lease.until).max() else { return Ok(None) };
    let wait = Duration::try_from(until.duration_since(Timestamp::now())).unwrap_or_default();
    tell(format!("Waiting up to {} s, whether {} is renewed", wait.as_secs() + 1, held[0].name));
    let deadline = Instant::now() + wait + Duration::from_millis(500);
    loop {
        let now = self::held(client).await?;
        if let Some(renewed) = now.iter().find(|lease| held.iter().all(|before| before != *lease)) {
            return Ok(Some(format!("{} holds lease {}", renewed.holder, renewed.name)));
        }
        if now.is_empty() || Instant::now() > deadline {
            return Ok(None);
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

/// A lease that has not run out.
#[derive(Debug, PartialEq, Eq)]
struct Held {
    name: String,
    holder: String,
    until: Timestamp,
}

async fn held(client: &Client) -> Result<Vec<Held>, ReleaseError> {
    let leases = Api::<Lease>::all(client.clone());
    let named = ListParams::default().fields(&format!("metadata.name={LEASE_NAME}"));
    let found = leases
        .list(&named)
        .await
        .map_err(|source| ReleaseError::Kubernetes { what: "cannot look for a lease".into(), source })?;
    let now = Timestamp::now();
    let held = |lease: Lease| {
        let name = format!("{}/{LEASE_NAME}", lease.namespace().unwrap_or_default());
        let spec = lease.spec?;
        let holder = spec.holder_identity.filter(|holder| !holder.is_empty())?;
        let lasts = Duration::from_secs(u64::from(spec.lease_duration_seconds?.unsigned_abs()));
        let until = spec.renew_time?.0.saturating_add(lasts).unwrap_or(Timestamp::MAX);
        (until > now).then_some(Held { name, holder, until })
    };
    Ok(found.items.into_iter().filter_map(held).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(status: Value) -> DynamicObject {
        serde_json::from_value(json!({
            "apiVersion": "oms-operator.io/v1alpha1", "kind": "MigrationTask",
            "metadata": { "namespace": "media", "name": "photos" }, "status": status,
        }))
        .unwrap()
    }

    #[test]
    fn every_task_that_stays_behind_is_named_with_its_place() {
        let kind = ApiResource::erase::<MigrationTask>(&());
        let place = json!({ "endpoint": "https://oms.example", "projectId": "p1" });
        let (line, tasks, active) = left(
            &kind,
            &object(json!({
                "taskId": "3", "phase": "Running", "connection": place,
                "history": [{ "taskId": "2" }], "olderTaskIds": ["1"],
            })),
        );
        assert_eq!(
            line,
            "MigrationTask media/photos: stays at OMS as 2, 1, 3 (Running), project p1 at https://oms.example"
        );
        assert_eq!((tasks, active), (3, true));
        let (_, tasks, active) =
            left(&kind, &object(json!({ "taskId": "3", "phase": "Stopped", "connection": place })));
        assert_eq!((tasks, active), (1, false));
        let (line, tasks, _) =
            left(&kind, &object(json!({ "create": { "sentAt": "2026-11-30T00:00:00Z" } })));
        assert!(line.ends_with("a create is under way whose task may appear at OMS"), "{line}");
        assert_eq!(tasks, 1);
        assert_eq!(left(&kind, &object(json!({}))).1, 0);
    }
}
