//! What can be changed while a task is at OMS.

use serde_json::json;

use crate::migration::condition;
use crate::world::{Setup, World, eventually};

async fn remote(world: &World, what: &str, holds: impl Fn(&serde_json::Value) -> bool) {
    eventually(&format!("the task at OMS {what}"), async || {
        let tasks = world.remote_tasks().await;
        if tasks.first().is_some_and(&holds) { Ok(()) } else { Err(format!("{tasks:#?}")) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_bandwidth_reaches_oms_while_the_task_runs() {
    let world = Setup::default().behaving("objectRate", 1.0).start().await;
    world.put_objects(200).await;
    let migration = world.migration("photos").apply().await;
    migration.wait_condition("Ready", "False", "Running").await;
    let window = json!({ "start": "08:00", "end": "20:00", "maxBandwidth": "50Mi" });
    migration.patch(json!({ "spec": { "bandwidthPolicy": [window] } })).await;
    remote(&world, "has the window", |task| {
        let window = &task["bandwidth_policy"][0];
        window["max_bandwidth"] == 52_428_800 && window["start"] == "08:00" && window["end"] == "20:00"
    })
    .await;
    migration.patch(json!({ "spec": { "bandwidthPolicy": null } })).await;
    remote(&world, "has no window", |task| task["bandwidth_policy"].as_array().is_none_or(Vec::is_empty))
        .await;
    world.let_polls_pass(6).await;
    assert_eq!(world.effects("UpdateBandwidthPolicy").await.len(), 2, "one call per change");
    assert_eq!(world.effects("StopTask").await.len(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_priority_changes_while_the_task_waits() {
    let world = Setup::default().behaving("taskStartDelayMs", 3_600_000).start().await;
    world.put_objects(1).await;
    let migration = world.migration("photos").apply().await;
    migration.wait_condition("Ready", "False", "WaitingAtOMS").await;
    migration.patch(json!({ "spec": { "priority": "HIGH" } })).await;
    remote(&world, "has high priority", |task| task["task_priority"] == "HIGH").await;
    world.let_polls_pass(6).await;
    assert_eq!(world.effects("BatchUpdateTasks").await.len(), 1);
    assert_eq!(condition(&migration.get().await, "PriorityPending"), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_priority_of_a_running_task_is_pending_until_it_is_stopped() {
    let world = Setup::default().behaving("objectRate", 1.0).start().await;
    world.put_objects(200).await;
    let migration = world.migration("photos").apply().await;
    migration.wait_condition("Ready", "False", "Running").await;
    migration.patch(json!({ "spec": { "priority": "LOW" } })).await;
    migration.wait_condition("PriorityPending", "True", "TaskIsRunning").await;
    assert_eq!(world.journal("BatchUpdateTasks").await.len(), 0, "OMS would refuse it");

    migration.suspend(true).await;
    remote(&world, "has low priority", |task| task["task_priority"] == "LOW").await;
    migration.wait("has no pending priority", |task| condition(task, "PriorityPending").is_none()).await;
    migration.suspend(false).await;
    migration.wait_condition("Ready", "False", "Running").await;
}
