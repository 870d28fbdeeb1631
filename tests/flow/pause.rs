//! Hands off: one object, a namespace, everything.

use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use kube::api::{Patch, PatchParams};
use oms_operator::api::{Phase, SyncEvent};
use serde_json::{Value, json};

use crate::migration::{condition, message};
use crate::operator::OperatorFlags;
use crate::sync_event::SyncEvents as _;
use crate::world::{Setup, World, eventually};

async fn mutations(world: &World) -> usize {
    world.journal("*").await.iter().filter(|entry| entry["effect"] == true).count()
}

async fn label(world: &World, value: Value) {
    let patch = json!({ "metadata": { "labels": { "oms-operator.io/paused": value } } });
    let namespaces = Api::<Namespace>::all(world.client.clone());
    namespaces.patch(&world.namespace, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
}

async fn wait_paused_metric(world: &World, operator: usize, count: f64) {
    wait_paused_metric_of(world, operator, "MigrationTask", count).await;
}

async fn wait_paused_metric_of(world: &World, operator: usize, kind: &str, count: f64) {
    eventually("the metric tells", async || {
        let kind = format!("kind=\"{kind}\"");
        let paused = world.operators[operator].metric("oms_operator_paused_objects", &kind).await;
        if (paused - count).abs() < 0.1 { Ok(()) } else { Err(paused.to_string()) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_namespace_with_the_label_is_left_alone_and_deletion_works_all_the_same() {
    // Labels of namespaces belong to an operator that watches all of them.
    let world = Setup::default().behaving("objectRate", 5.0).everywhere().await.start().await;
    world.put_objects(200).await;
    world.sync_task("sync").apply().await.wait_phase(Phase::Synchronizing).await;
    let running = world.migration("running").apply().await;
    running.wait_condition("Ready", "False", "Running").await;

    label(&world, json!("true")).await;
    let paused = running.wait_condition("Paused", "True", "Paused").await;
    let words = message(&paused, "Paused");
    assert!(words.contains("the label `oms-operator.io/paused`") && words.contains("Remove"), "{words}");
    let fresh = world.migration("fresh").with("/destination/prefix", "fresh/").apply().await;
    fresh.wait_condition("Paused", "True", "Paused").await;
    world.apply_event("event", "sync", &["00000.txt".into()]).await;
    let told = wait_event_paused(&world, "event", true).await;
    assert!(told.contains("the label `oms-operator.io/paused`"), "{told}");
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
    world.wait_event_phase("event", Phase::Succeeded).await;
    wait_event_paused(&world, "event", false).await;
    let stopped = running.wait_phase(Phase::Stopped).await;
    assert_eq!(condition(&stopped, "Paused"), None);
    assert_eq!(world.effects("StopTask").await.len(), 1);
    wait_paused_metric(&world, 0, 0.0).await;
    label(&world, json!("true")).await;
    running.delete().await;
    running.wait_gone().await;
    let remote = world.remote_tasks().await;
    // What OMS made for the event is not ours to remove.
    assert!(remote.iter().all(|task| task["group_type"] == "SYNC_TASK"), "{remote:#?}");
}

/// Waits until a SyncEvent is marked as paused, or no more, and returns what the mark says.
async fn wait_event_paused(world: &World, name: &str, paused: bool) -> String {
    let events = world.api::<SyncEvent>();
    eventually(&format!("SyncEvent {name} has a mark: {paused}"), async || {
        let status = events.get(name).await.map_err(|error| error.to_string())?.status.unwrap_or_default();
        let mark = status.conditions.iter().find(|condition| condition.type_ == "Paused");
        if mark.is_some() == paused {
            Ok(mark.map(|mark| mark.message.clone()).unwrap_or_default())
        } else {
            Err(format!("{status:#?}"))
        }
    })
    .await
}

/// Regression: SyncEvents heeded neither the flag nor the label, and only MigrationTasks showed a pause in their table.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_kind_is_left_alone_by_a_paused_operator_and_shows_it() {
    let mut world = World::start().await;
    world.put_objects(2).await;
    let first = world.sync_task("first").apply().await;
    first.wait_phase(Phase::Synchronizing).await;
    world.operator().kill();
    let operator = world.start_operator(&OperatorFlags::default().with("--paused")).await;
    let first = world.existing_sync_task("first");
    let second = world.sync_task("second").apply().await;
    let group = world.group("group").apply().await;
    world.apply_event("event", "first", &["00000.txt".into()]).await;
    for task in [&first, &second] {
        let paused = task.wait_condition("Paused", "True", "Paused").await;
        assert!(message(&paused, "Paused").contains("`--paused`"));
    }
    group.wait_condition("Paused", "True", "Paused").await;
    assert!(wait_event_paused(&world, "event", true).await.contains("`--paused`"));
    for (kind, count) in [("TaskGroup", 1.0), ("SyncTask", 2.0), ("SyncEvent", 1.0)] {
        let table = world.kubectl(&["get", kind, "-o", "wide"]).await;
        assert!(table.lines().next().unwrap().contains("PAUSED"), "{table}");
        assert!(table.lines().skip(1).all(|line| line.contains("True")), "{table}");
        wait_paused_metric_of(&world, operator, kind, count).await;
    }
    world.let_polls_pass(6).await;
    for never in ["CreateTaskGroup", "CreateSyncEvents", "StopSyncTask"] {
        assert_eq!(world.journal(never).await, Vec::<Value>::new(), "{never}");
    }
    assert_eq!(world.journal("CreateSyncTask").await.len(), 1, "the one before");

    world.operators[operator].kill();
    world.start_operator(&OperatorFlags::default()).await;
    let group = world.existing_group("group").wait_phase(Phase::Succeeded).await;
    assert_eq!(condition(&group, "Paused"), None);
    let second = world.existing_sync_task("second").wait_phase(Phase::Synchronizing).await;
    assert_eq!(condition(&second, "Paused"), None);
    world.wait_event_phase("event", Phase::Succeeded).await;
    wait_event_paused(&world, "event", false).await;
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
