//! The example of overlays: what each renders is what the API server takes.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;

use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use kube::api::{Patch, PatchParams};
use oms_operator::api;
use oms_operator::dev::{ControlPlane, crds};
use serde_json::json;

use crate::{documents, gitops, render};

const OVERLAYS: [&str; 2] = ["staging", "production"];

fn overlay(name: &str) -> String {
    render(&gitops("kustomize/overlays").join(name))
}

#[test]
fn each_overlay_puts_everything_into_a_namespace_of_its_own() {
    for name in OVERLAYS {
        let documents = documents(&overlay(name));
        assert!(!documents.is_empty(), "{name}");
        for document in documents {
            assert_eq!(document["metadata"]["namespace"], format!("media-{name}"), "{name}: {document}");
        }
    }
}

#[test]
fn the_overlays_copy_into_different_buckets() {
    let buckets: BTreeSet<String> = OVERLAYS
        .iter()
        .flat_map(|name| documents(&overlay(name)))
        .filter(|document| document["kind"] == "MigrationTask")
        .map(|document| document["spec"]["destination"]["bucket"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(buckets.len(), OVERLAYS.len(), "{buckets:?}");
}

/// What Git holds, a self-heal puts back: these are for people and for actions.
#[test]
fn no_overlay_holds_a_field_that_is_changed_by_hand() {
    for name in OVERLAYS {
        for document in documents(&overlay(name)) {
            for field in ["suspend", "rerun", "approvedPlan"] {
                assert!(document["spec"].get(field).is_none(), "{name}: {field} of {}", document["kind"]);
            }
        }
    }
}

#[tokio::test]
async fn the_api_server_takes_what_each_overlay_renders() {
    let plane = ControlPlane::shared(Path::new(env!("CARGO_BIN_EXE_oms-dev"))).unwrap();
    let client = plane.client().await.unwrap();
    crds::install(&client, &api::crds()).await.unwrap();
    for name in OVERLAYS {
        let namespace = format!("media-{name}");
        let made = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": namespace } });
        Api::<Namespace>::all(client.clone())
            .patch(&namespace, &PatchParams::apply("test"), &Patch::Apply(made))
            .await
            .unwrap();
        // The server checks everything and keeps nothing.
        let mut apply = plane
            .kubectl()
            .args(["apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        apply.stdin.take().unwrap().write_all(overlay(name).as_bytes()).unwrap();
        let output = apply.wait_with_output().unwrap();
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    }
}
