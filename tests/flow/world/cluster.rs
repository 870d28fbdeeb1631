//! What a test does on the API server, and sees there.

use std::io::Write as _;
use std::process::Stdio;

use k8s_openapi::api::core::v1::{Event, Secret};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::core::NamespaceResourceScope;
use kube::{Api, Resource};
use oms_operator::api::Connection;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{CONNECTION, DESTINATION_SECRET, OMS_SECRET, PROJECT, REGION, SOURCE_SECRET, World, eventually};

impl World {
    /// Makes the three Secrets and the Connection `default`.
    pub(crate) async fn connect(&self) {
        self.write_secrets().await;
        self.apply::<Connection>(self.connection_manifest()).await;
    }

    /// Makes the three Secrets.
    pub(crate) async fn write_secrets(&self) {
        for (name, keys) in [
            (OMS_SECRET, &self.oms_keys),
            (SOURCE_SECRET, &self.source_keys),
            (DESTINATION_SECRET, &self.destination_keys),
        ] {
            self.secret(name, &[("accessKey", &keys.access), ("secretKey", &keys.secret)]).await;
        }
    }

    /// The manifest of the Connection `default`.
    pub(crate) fn connection_manifest(&self) -> Value {
        json!({
            "apiVersion": "oms-operator.io/v1alpha1",
            "kind": "Connection",
            "metadata": { "name": CONNECTION },
            "spec": {
                "region": REGION,
                "projectId": PROJECT,
                "endpoint": self.emulator.endpoints().oms,
                "credentials": { "secretRef": { "name": OMS_SECRET } },
                "privacyAgreement": "Accepted",
            },
        })
    }

    /// Writes a Secret whole: keys that are not named go.
    pub(crate) async fn secret(&self, name: &str, keys: &[(&str, &str)]) {
        let data: serde_json::Map<_, _> =
            keys.iter().map(|(key, value)| ((*key).to_owned(), json!(value))).collect();
        let secrets = self.api::<Secret>();
        let made =
            json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": name }, "stringData": data });
        let _ = secrets.delete(name, &DeleteParams::default()).await;
        secrets.create(&PostParams::default(), &serde_json::from_value(made).unwrap()).await.unwrap();
    }

    /// Deletes a Secret.
    pub(crate) async fn delete_secret(&self, name: &str) {
        self.api::<Secret>().delete(name, &DeleteParams::default()).await.unwrap();
    }

    /// Applies an object in the test's namespace, server-side.
    pub(crate) async fn apply<K>(&self, manifest: Value) -> K
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + DeserializeOwned
            + std::fmt::Debug,
    {
        let name = manifest["metadata"]["name"].as_str().unwrap().to_owned();
        let apply = PatchParams::apply("flow-test").force();
        self.api::<K>().patch(&name, &apply, &Patch::Apply(&manifest)).await.unwrap()
    }

    /// The objects of a kind in the test's namespace.
    pub(crate) fn api<K>(&self) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Runs kubectl in the test's namespace and returns what it printed; panics when it fails.
    pub(crate) async fn kubectl(&self, arguments: &[&str]) -> String {
        let (succeeded, output) = self.try_kubectl(arguments, "").await;
        assert!(succeeded, "kubectl {arguments:?} failed: {output}");
        output
    }

    /// Runs kubectl with `input` and returns whether it succeeded, with everything it printed.
    pub(crate) async fn try_kubectl(&self, arguments: &[&str], input: &str) -> (bool, String) {
        let mut command = self.plane.kubectl();
        command.args(["--namespace", &self.namespace]).args(arguments);
        let input = input.to_owned();
        tokio::task::spawn_blocking(move || {
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
            let mut child = command.spawn().unwrap();
            child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
            let output = child.wait_with_output().unwrap();
            let text = [output.stdout, output.stderr].concat();
            (output.status.success(), String::from_utf8_lossy(&text).into_owned())
        })
        .await
        .unwrap()
    }

    /// The events about an object, as `reason: note`.
    pub(crate) async fn events(&self, name: &str) -> Vec<String> {
        let events = self.api::<Event>().list(&ListParams::default()).await.unwrap();
        events
            .into_iter()
            .filter(|event| event.involved_object.name.as_deref() == Some(name))
            .map(|event| {
                format!("{}: {}", event.reason.unwrap_or_default(), event.message.unwrap_or_default())
            })
            .collect()
    }

    /// Waits for an event about an object.
    pub(crate) async fn wait_event(&self, name: &str, reason: &str) {
        eventually(&format!("an event {reason} about {name}"), async || {
            let events = self.events(name).await;
            let told = events.iter().any(|event| event.starts_with(&format!("{reason}: ")));
            told.then_some(()).ok_or_else(|| format!("{events:#?}"))
        })
        .await;
    }

    /// Waits until condition `Ready` of a Connection has a status and a reason.
    pub(crate) async fn wait_connection(&self, name: &str, status: &str, reason: &str) -> Connection {
        let connections = self.api::<Connection>();
        eventually(&format!("Connection {name} has Ready={status} {reason}"), async || {
            let connection = connections.get(name).await.map_err(|error| error.to_string())?;
            let conditions =
                connection.status.as_ref().map(|status| status.conditions.clone()).unwrap_or_default();
            let holds = conditions.iter().any(|condition| {
                condition.type_ == "Ready" && condition.status == status && condition.reason == reason
            });
            if holds { Ok(connection) } else { Err(format!("{conditions:#?}")) }
        })
        .await
    }
}
