//! ClusterConnections that do not allow a namespace.

use kube::Api;
use kube::api::{Patch, PatchParams};
use oms_operator::api::{ClusterConnection, Phase};
use oms_operator::dev::ControlPlane;
use serde_json::{Value, json};

use super::{assert_calm, assert_created, assert_recovers, assert_told, hurried, write_secrets};
use crate::migration::message;
use crate::operator::OperatorFlags;
use crate::world::{World, oms_dev};

async fn allow(world: &World, allowed: Value) {
    let mut manifest = world.connection_manifest();
    manifest["kind"] = json!("ClusterConnection");
    manifest["metadata"]["name"] = json!("company");
    manifest["spec"]["allowedNamespaces"] = allowed;
    let connections = Api::<ClusterConnection>::all(world.client.clone());
    let apply = PatchParams::apply("flow-test").force();
    connections.patch("company", &apply, &Patch::Apply(&manifest)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_namespace_that_a_cluster_connection_does_not_allow_is_told_until_it_is_and_checked_again() {
    // ClusterConnections belong to an operator that watches every namespace, so it gets an API server of its own.
    let plane = tokio::task::spawn_blocking(|| ControlPlane::start(oms_dev())).await.unwrap().unwrap();
    let mut setup = hurried().behaving("objectRate", 4.0).unconnected();
    setup.plane = Some(Box::leak(Box::new(plane)));
    setup.operator = setup.operator.map(|flags| OperatorFlags { everywhere: true, ..flags });
    let world = setup.start().await;
    world.put_objects(20).await;
    write_secrets(&world, None).await;
    allow(&world, json!({ "names": ["somebody-else"] })).await;
    let migration = world
        .migration("photos")
        .with("/connectionRef", json!({ "kind": "ClusterConnection", "name": "company" }))
        .kubectl_apply()
        .await;
    let waiting = migration.wait_condition("Ready", "False", "NamespaceNotAllowed").await;
    let namespace = format!("`{}`", world.namespace);
    let words = ["ClusterConnection `company`", &namespace, "Ask its owner", "`allowedNamespaces`"];
    assert_told(&waiting, Phase::Pending, "NamespaceNotAllowed", &words);
    assert_created(&world, 0).await;

    allow(&world, json!({ "names": [world.namespace] })).await;
    let running = migration.wait_condition("Ready", "False", "Running").await;
    // Taken back under a running task: the operator no longer looks at it with those keys.
    allow(&world, json!({ "names": ["somebody-else"] })).await;
    let blind = migration.wait_condition("ConnectionReady", "False", "NamespaceNotAllowed").await;
    assert!(message(&blind, "ConnectionReady").contains("`allowedNamespaces`"));

    let label = json!({ "matchLabels": { "kubernetes.io/metadata.name": world.namespace } });
    allow(&world, json!({ "selector": label })).await;
    migration.wait_condition("ConnectionReady", "True", "ConnectionResolved").await;
    assert_recovers(&world, "photos", 400).await;
    assert_eq!(migration.status().await.task_id, running.status.unwrap().task_id);
    assert_created(&world, 1).await;
    assert_calm(&world, 400).await;
}
