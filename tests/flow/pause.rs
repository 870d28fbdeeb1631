//! Hands off: one object, a namespace, everything.

use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use kube::api::{Patch, PatchParams};
use oms_operator::api::Phase;
use oms_operator::dev::ControlPlane;
use serde_json::{Value, json};

use crate::migration::{condition, message};
use crate::operator::OperatorFlags;
use crate::world::{Setup, World, eventually, oms_dev};

async fn mutations(world: &World) -> usize {
    world.journal("*").await.iter().filter(|entry| entry["effect"] == true).count()
}

async fn label(world: &World, value: Value) {
    let patch = json!({ "metadata": { "labels": { "oms-operator.io/paused": value } } });
    let namespaces = Api::<Namespace>::all(world.client.clone());
    namespaces.patch(&world.namespace, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
}

async fn wait_paused_metric(world: &World, operator: usize, count: f64) {
    eventually("the metric tells", async || {
        let paused = world.operators[operator].metric("oms_operator_paused_objects", "MigrationTask").await;
        if (paused - count).abs() < 0.1 { Ok(()) } else { Err(paused.to_string()) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_namespace_with_the_label_is_left_alone_and_deletion_works_all_the_same() {
    // Labels of namespaces belong to an operator that watches all of them, so it gets an API server of its own.
    let plane = tokio::task::spawn_blocking(|| ControlPlane::start(oms_dev())).await.unwrap().unwrap();
    let mut setup = Setup::default().behaving("objectRate", 5.0);
    setup.plane = Some(Box::leak(Box::new(plane)));
    setup.operator = setup.operator.map(|flags| OperatorFlags { everywhere: true, ..flags });
    let world = setup.start().await;
    world.put_objects(200).await;
    let running = world.migration("running").apply().await;
    running.wait_condition("Ready", "False", "Running").await;

    label(&world, json!("true")).await;
    let paused = running.wait_condition("Paused", "True", "Paused").await;
    let words = message(&paused, "Paused");
    assert!(words.contains("the label `oms-operator.io/paused`") && words.contains("Remove"), "{words}");
    let fresh = world.migration("fresh").with("/destination/prefix", "fresh/").apply().await;
    fresh.wait_condition("Paused", "True", "Paused").await;
    let (called, before) = (mutations(&world).await, running.get().await.metadata.resource_version);
    running.suspend(true).await;
    world.let_polls_pass(8).await;
    assert_eq!(mutations(&world).await, called, "hands off, whatever is asked");
    assert_eq!(world.effects("CreateTask").await.len(), 1);
    assert_ne!(running.get().await.metadata.resource_version, before, "the edit alone");
    assert_eq!(running.status().await.phase, Some(Phase::Running), "nothing else is written");
    wait_paused_metric(&world, 0, 2.0).await;
    let wide = world.kubectl(&["get", "mt", "running", "-o", "wide"]).await;
    assert!(wide.contains("PAUSED"), "{wide}");

    fresh.delete().await;
    fresh.wait_gone().await;
    label(&world, Value::Null).await;
    let stopped = running.wait_phase(Phase::Stopped).await;
    assert_eq!(condition(&stopped, "Paused"), None);
    assert_eq!(world.effects("StopTask").await.len(), 1);
    wait_paused_metric(&world, 0, 0.0).await;
    label(&world, json!("true")).await;
    running.delete().await;
    running.wait_gone().await;
    assert!(world.remote_tasks().await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_that_is_paused_creates_nothing_and_deletes_what_is_deleted() {
    let mut world = Setup::default().behaving("objectRate", 5.0).start().await;
    world.put_objects(200).await;
    world.migration("running").apply().await.wait_condition("Ready", "False", "Running").await;
    world.operator().kill();
    let operator = world.start_operator(&OperatorFlags::default().with("--paused")).await;
    let running = world.existing("running");
    let paused = running.wait_condition("Paused", "True", "Paused").await;
    assert!(message(&paused, "Paused").contains("`--paused`"));
    let fresh = world.migration("fresh").with("/destination/prefix", "fresh/").apply().await;
    let fresh_paused = fresh.wait_condition("Paused", "True", "Paused").await;
    assert_eq!(fresh_paused.status.unwrap().phase, None);
    world.let_polls_pass(8).await;
    assert_eq!(world.effects("CreateTask").await.len(), 1);
    wait_paused_metric(&world, operator, 2.0).await;

    running.delete().await;
    running.wait_gone().await;
    assert!(world.remote_tasks().await.is_empty(), "gone at OMS, too");
    world.operators[operator].kill();
    world.start_operator(&OperatorFlags::default()).await;
    let done = world.existing("fresh").wait_phase(Phase::Running).await;
    assert_eq!(condition(&done, "Paused"), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_object_is_paused_by_its_annotation() {
    let world = World::start().await;
    world.put_objects(2).await;
    let migration = world.migration("photos").with("/suspend", true).apply().await;
    migration.wait_phase(Phase::Stopped).await;
    let annotate =
        |value: Value| json!({ "metadata": { "annotations": { "oms-operator.io/paused": value } } });
    migration.patch(annotate(json!("true"))).await;
    migration.wait_condition("Paused", "True", "Paused").await;
    let other = world.migration("other").with("/destination/prefix", "other/").apply().await;
    other.wait_phase(Phase::Succeeded).await;
    migration.suspend(false).await;
    world.let_polls_pass(4).await;
    assert_eq!(world.effects("CreateTask").await.len(), 1, "only the other");
    migration.patch(annotate(Value::Null)).await;
    let done = migration.wait_phase(Phase::Succeeded).await;
    assert_eq!(condition(&done, "Paused"), None);
}
