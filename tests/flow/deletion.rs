//! Delete means gone, but only as far as asked.

use kube::api::DeleteParams;
use oms_operator::api::{Connection, Phase};
use serde_json::{Value, json};

use crate::migration::message;
use crate::operator::OperatorFlags;
use crate::world::{CONNECTION, OMS_SECRET, Setup, World, eventually};

/// A world whose tasks run for very long.
fn slow() -> Setup {
    Setup::default().behaving("objectRate", 1.0)
}

async fn running(world: &World) -> crate::migration::Migration<'_> {
    world.put_objects(200).await;
    let migration = world.migration("photos").apply().await;
    migration.wait_condition("Ready", "False", "Running").await;
    migration
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deleting_a_running_migration_stops_it_and_removes_its_record() {
    let world = slow().start().await;
    let migration = running(&world).await;
    migration.delete().await;
    migration.wait_gone().await;
    assert_eq!(world.remote_tasks().await, Vec::<Value>::new());
    assert_eq!(world.effects("StopTask").await.len(), 1);
    assert_eq!(world.effects("DeleteTask").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deleting_a_waiting_migration_removes_its_record() {
    let world = Setup::default().behaving("taskStartDelayMs", 3_600_000).start().await;
    world.put_objects(1).await;
    let migration = world.migration("photos").apply().await;
    migration.wait_condition("Ready", "False", "WaitingAtOMS").await;
    migration.delete().await;
    migration.wait_gone().await;
    assert_eq!(world.remote_tasks().await, Vec::<Value>::new());
    assert_eq!(world.journal("StopTask").await, Vec::<Value>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deleting_a_finished_migration_removes_its_record_and_no_object() {
    let world = World::start().await;
    world.put_objects(3).await;
    let migration = world.migration("photos").apply().await;
    migration.wait_phase(Phase::Succeeded).await;
    migration.delete().await;
    migration.wait_gone().await;
    assert_eq!(world.remote_tasks().await, Vec::<Value>::new());
    assert!(world.destination.object("photos-archive", "00000.txt").is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orphaned_a_running_task_goes_on() {
    let world = slow().start().await;
    let migration = running(&world).await;
    migration.patch(json!({ "spec": { "deletionPolicy": "Orphan" } })).await;
    migration.delete().await;
    migration.wait_gone().await;
    let tasks = world.remote_tasks().await;
    assert_eq!(tasks.len(), 1);
    assert_eq!(tasks[0]["status"], 2, "it still runs");
    for operation in ["StopTask", "DeleteTask"] {
        assert_eq!(world.journal(operation).await, Vec::<Value>::new());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopped_and_kept_the_record_stays_at_oms() {
    let world = slow().start().await;
    let migration = running(&world).await;
    migration.patch(json!({ "spec": { "deletionPolicy": "StopAndKeep" } })).await;
    migration.delete().await;
    migration.wait_gone().await;
    let tasks = world.remote_tasks().await;
    assert_eq!(tasks.len(), 1);
    assert_eq!(tasks[0]["status"], 3, "it is stopped");
    assert_eq!(world.journal("DeleteTask").await, Vec::<Value>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopped_and_kept_a_waiting_task_is_stopped_once_it_runs() {
    let world = slow().limited("runningTasks", 1).start().await;
    let first = running(&world).await;
    let second = world.migration("second").with("/deletionPolicy", "StopAndKeep").apply().await;
    let waiting = second.wait_condition("Ready", "False", "WaitingAtOMS").await;
    second.delete().await;
    let told = second.wait("tells what it waits for", |task| message(task, "Ready").contains("Orphan")).await;
    assert_eq!(told.status.unwrap().phase, Some(Phase::Deleting));
    // Its turn comes when the first one ends.
    first.delete().await;
    first.wait_gone().await;
    second.wait_gone().await;
    let tasks = world.remote_tasks().await;
    assert_eq!(tasks.len(), 1);
    assert_eq!(tasks[0]["status"], 3, "it is stopped and kept");
    assert_eq!(tasks[0]["id"].to_string().trim_matches('"'), waiting.status.unwrap().task_id.unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_policy_of_the_operator_holds_where_the_object_names_none() {
    let flags = OperatorFlags::default().with("--default-deletion-policy=Orphan");
    let world = slow().operated(flags).start().await;
    let migration = running(&world).await;
    migration.delete().await;
    migration.wait_gone().await;
    assert_eq!(world.remote_tasks().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_whose_create_reply_was_lost_is_found_and_removed() {
    // The operator was not there when the object was deleted, and does not know the task's ID.
    let mut world = slow().start().await;
    world.put_objects(200).await;
    world.wait_connection(CONNECTION, "True", "Connected").await;
    world.fault(json!({ "operation": "CreateTask", "kind": "hang", "afterEffect": true, "times": 1 })).await;
    let name = world.migration("photos").apply().await.name;
    eventually("the task is there", async || {
        let tasks = world.remote_tasks().await;
        if tasks.len() == 1 { Ok(()) } else { Err(format!("{tasks:#?}")) }
    })
    .await;
    world.operator().kill();
    world.clear_faults().await;
    let migration = world.existing(&name);
    migration.delete().await;
    assert!(migration.get().await.status.unwrap().task_id.is_none());

    world.start_operator(&OperatorFlags::default()).await;
    world.existing(&name).wait_gone().await;
    assert_eq!(world.remote_tasks().await, Vec::<Value>::new());
    assert_eq!(world.effects("CreateTask").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_never_created_goes_at_once() {
    let world = World::start().await;
    let migration = world.migration("photos").with("/suspend", true).apply().await;
    migration.wait_phase(Phase::Stopped).await;
    migration.delete().await;
    migration.wait_gone().await;
    assert_eq!(world.journal("CreateTask").await, Vec::<Value>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_lacks_its_secret_goes_at_once() {
    let world = World::start().await;
    let migration =
        world.migration("photos").with("/source/credentials/secretRef/name", "no-such-secret").apply().await;
    migration.wait_condition("Ready", "False", "SecretNotFound").await;
    migration.delete().await;
    migration.wait_gone().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_and_secret_that_went_first_do_not_leave_the_task_behind() {
    let world = slow().start().await;
    let migration = running(&world).await;
    world.api::<Connection>().delete(CONNECTION, &DeleteParams::default()).await.unwrap();
    world.delete_secret(OMS_SECRET).await;
    // Long enough for the operator's housekeeping to see that the Connection is gone.
    world.let_polls_pass(24).await;
    migration.delete().await;
    migration.wait_gone().await;
    assert_eq!(world.remote_tasks().await, Vec::<Value>::new());
}

/// Regression: a Connection that had noticed that its Secret is gone blocked the clean-up of its tasks, so that a
/// namespace whose Secrets went first did not end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_misses_its_secret_still_serves_a_clean_up() {
    let world = slow().start().await;
    let migration = running(&world).await;
    world.delete_secret(OMS_SECRET).await;
    world.wait_connection(CONNECTION, "False", "SecretNotFound").await;
    migration.delete().await;
    migration.wait_gone().await;
    assert_eq!(world.remote_tasks().await, Vec::<Value>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_credentials_block_a_deletion_for_a_bounded_time_only() {
    let mut world = slow().start().await;
    let name = running(&world).await.name;
    world.operator().kill();
    world.api::<Connection>().delete(CONNECTION, &DeleteParams::default()).await.unwrap();
    world.delete_secret(OMS_SECRET).await;
    let flags = OperatorFlags::default().scaled(20).with("--cleanup-timeout=60s");
    world.existing(&name).delete().await;
    let operator = world.start_operator(&flags).await;
    world.existing(&name).wait_condition("Ready", "False", "CleanupBlocked").await;
    world.existing(&name).wait_gone().await;
    world.operators[operator].wait_log("the clean-up at OMS was given up").await;
    assert_eq!(world.remote_tasks().await.len(), 1, "nobody could remove it");
    assert!(world.operators[operator].metric("oms_operator_abandoned_cleanups_total", "").await > 0.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deleting_the_namespace_ends() {
    let world = slow().start().await;
    running(&world).await;
    let namespace = world.namespace.clone();
    world.kubectl(&["delete", "namespace", &namespace, "--wait=false"]).await;
    eventually("the namespace is gone", async || {
        let (found, output) = world.try_kubectl(&["get", "namespace", &namespace], "").await;
        if !found && output.contains("NotFound") { Ok(()) } else { Err(output) }
    })
    .await;
    assert_eq!(world.remote_tasks().await, Vec::<Value>::new());
}
