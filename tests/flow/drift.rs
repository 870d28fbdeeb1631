//! What somebody else changes at the console is told and left, or brought back; what they delete is never made again.

use oms_operator::api::{MigrationTask, Phase, SyncTask, TaskGroup};
use oms_operator::engine::Transfer;
use serde_json::{Value, json};

use crate::adopt::{assert_changes, grouped, remote_state, slow};
use crate::idle::stays_silent;
use crate::migration::{Draft, Migration, condition, message};
use crate::operator::OperatorFlags;
use crate::world::{Setup, World, eventually};

fn id_of(object: &impl Transfer) -> String {
    object.status().unwrap().task_id.clone().unwrap()
}

/// The reason of condition `Drifted`, which is there only while it is true.
fn drifted(object: &impl Transfer) -> Option<String> {
    condition(object, "Drifted").map(|(status, reason)| {
        assert_eq!(status, "True");
        reason
    })
}

/// Applies it and waits until it runs; `World::put_objects` comes before.
async fn running<K: Transfer>(draft: Draft<'_, K>) -> (Migration<'_, K>, String) {
    let object = draft.apply().await;
    let id = id_of(&object.wait_condition("Ready", "False", "Running").await);
    (object, id)
}

async fn no_drift<K: Transfer>(object: &Migration<'_, K>) -> K {
    object.wait("is not drifted", |object| condition(object, "Drifted").is_none()).await
}

fn window(rate: &str) -> Value {
    json!([{ "start": "08:00", "end": "20:00", "maxBandwidth": rate }])
}

async fn wait_limit(world: &World, bytes_per_second: u64) {
    eventually(&format!("the limit is {bytes_per_second} B/s"), async || {
        let windows = world.remote_tasks().await[0]["bandwidth_policy"].clone();
        if windows[0]["max_bandwidth"] == bytes_per_second { Ok(()) } else { Err(windows.to_string()) }
    })
    .await;
}

/// Waits until the operator knows that OMS has the limit: from then on another one is somebody else's.
async fn wait_known_limit<K: Transfer>(object: &Migration<'_, K>, bytes_per_second: u64) {
    let limit = format!(" {bytes_per_second} B/s");
    let knows = |object: &K| {
        let applied = object.status().and_then(|status| status.applied.as_ref()?.bandwidth.as_deref());
        applied.is_some_and(|windows| windows.ends_with(&limit))
    };
    object.wait("has its limit on record", knows).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_that_somebody_stops_is_reported_left_and_followed_when_they_start_it() {
    let world = slow().start().await;
    world.put_objects(120).await;
    let (migration, id) = running(world.migration("photos")).await;
    world.console().stop_task(&id).await;
    migration.wait_phase(Phase::Stopped).await;
    let stopped = migration.wait_condition("Drifted", "True", "StoppedExternally").await;
    assert_eq!(condition(&stopped, "Ready"), Some(("False".into(), "StoppedExternally".into())));
    assert_eq!(condition(&stopped, "Stalled"), None);
    let words = message(&stopped, "Drifted");
    for part in ["Somebody else stopped the task", "`spec.driftPolicy` is Report", "Enforce"] {
        assert!(words.contains(part), "{words}");
    }
    world.wait_event("photos", "StoppedExternally").await;
    world.let_polls_pass(4).await;
    stays_silent(&world, &migration).await;
    assert_eq!(remote_state(&world, &id).await, Some(json!(3)));

    world.console().start_task(&id).await;
    migration.wait_condition("Ready", "False", "Running").await;
    no_drift(&migration).await;
    assert_changes(&world, &[("CreateTask", 1), ("StopTask", 1), ("StartTask", 1)]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_that_somebody_stopped_is_started_as_its_report_says() {
    let world = slow().start().await;
    world.put_objects(120).await;
    let (migration, id) = running(world.migration("photos")).await;
    world.console().stop_task(&id).await;
    migration.wait_condition("Ready", "False", "StoppedExternally").await;
    // The message says: set `spec.suspend` to true and back to false.
    migration.suspend(true).await;
    let held = migration.wait_condition("Ready", "False", "Suspended").await;
    assert_eq!(drifted(&held), None, "both want it stopped");
    migration.suspend(false).await;
    migration.wait_condition("Ready", "False", "Running").await;
    // Or: set the policy to Enforce.
    world.console().stop_task(&id).await;
    migration.wait_condition("Ready", "False", "StoppedExternally").await;
    migration.patch(json!({ "spec": { "driftPolicy": "Enforce" } })).await;
    migration.wait_condition("Ready", "False", "Running").await;
    no_drift(&migration).await;
    assert_changes(&world, &[("CreateTask", 1), ("StopTask", 2), ("StartTask", 2)]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn enforced_a_stopped_task_is_started_again_and_the_next_time_later() {
    let world = slow().operated(OperatorFlags::default().scaled(10)).start().await;
    world.put_objects(120).await;
    let (migration, id) = running(world.migration("photos").with("/driftPolicy", "Enforce")).await;
    let corrected = |times: i64| {
        move |task: &MigrationTask| {
            let status = task.status.as_ref().unwrap();
            condition(task, "Drifted").is_none()
                && status.phase == Some(Phase::Running)
                && status.drift.as_ref().is_some_and(|drift| drift.corrections == times)
        }
    };
    world.console().stop_task(&id).await;
    let first = migration.wait("was brought back", corrected(1)).await;
    world.wait_event("photos", "StoppedExternally").await;
    assert_eq!(world.effects("StartTask").await.len(), 1);

    world.console().stop_task(&id).await;
    let waits = |task: &MigrationTask| message(task, "Drifted").contains("does so again at");
    let waiting = migration.wait("waits before it does so again", waits).await;
    assert_eq!(drifted(&waiting), Some("StoppedExternally".into()));
    assert_eq!(world.effects("StartTask").await.len(), 1, "not at once");
    let second = migration.wait("was brought back twice", corrected(2)).await;
    let not_before =
        |task: &MigrationTask| task.status.as_ref().unwrap().drift.as_ref().unwrap().not_before.0;
    let pauses = not_before(&second).duration_since(not_before(&first)).as_secs();
    assert!(pauses >= 100, "the next pause is twice as long: {pauses}");
    assert_changes(&world, &[("CreateTask", 1), ("StopTask", 2), ("StartTask", 2)]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_suspended_task_that_somebody_starts_is_reported_and_left() {
    let world = slow().start().await;
    world.put_objects(120).await;
    let (migration, id) = running(world.migration("photos")).await;
    migration.suspend(true).await;
    migration.wait_phase(Phase::Stopped).await;
    world.console().start_task(&id).await;
    let started = migration.wait_condition("Drifted", "True", "StartedExternally").await;
    assert_eq!(condition(&started, "Ready"), Some(("False".into(), "StartedExternally".into())));
    assert!(message(&started, "Drifted").contains("`spec.suspend`"), "{}", message(&started, "Drifted"));
    world.wait_event("photos", "StartedExternally").await;
    world.let_polls_pass(6).await;
    assert_eq!(remote_state(&world, &id).await, Some(json!(2)), "it runs");
    // Who resumes it gets what there is.
    migration.suspend(false).await;
    migration.wait_condition("Ready", "False", "Running").await;
    no_drift(&migration).await;
    assert_changes(&world, &[("CreateTask", 1), ("StopTask", 1), ("StartTask", 1)]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn enforced_a_suspended_task_that_somebody_starts_is_stopped_again() {
    let world = slow().start().await;
    world.put_objects(120).await;
    let (migration, id) = running(world.migration("photos").with("/driftPolicy", "Enforce")).await;
    migration.suspend(true).await;
    migration.wait_phase(Phase::Stopped).await;
    world.console().start_task(&id).await;
    world.wait_event("photos", "StartedExternally").await;
    let stopped = migration
        .wait("was stopped again", |task| {
            let status = task.status.as_ref().unwrap();
            status.phase == Some(Phase::Stopped) && status.drift.is_some()
        })
        .await;
    assert_eq!(drifted(&stopped), None);
    assert_eq!(remote_state(&world, &id).await, Some(json!(3)));
    assert_changes(&world, &[("CreateTask", 1), ("StopTask", 2), ("StartTask", 1)]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_bandwidth_is_reported_and_left_until_the_policy_or_the_spec_changes() {
    let world = slow().start().await;
    world.put_objects(120).await;
    let (migration, id) = running(world.migration("photos").with("/bandwidthPolicy", window("50Mi"))).await;
    wait_limit(&world, 50 << 20).await;
    wait_known_limit(&migration, 50 << 20).await;
    world.console().limit_task(&id, 2 << 20).await;
    let changed = migration.wait_condition("Drifted", "True", "BandwidthChanged").await;
    assert!(message(&changed, "Drifted").contains("`spec.bandwidthPolicy`"));
    world.wait_event("photos", "BandwidthChanged").await;
    world.let_polls_pass(6).await;
    assert_eq!(world.effects("UpdateBandwidthPolicy").await.len(), 1, "the one of the console");
    // An edit counts, whatever somebody else did.
    migration.patch(json!({ "spec": { "bandwidthPolicy": window("20Mi") } })).await;
    wait_limit(&world, 20 << 20).await;
    wait_known_limit(&migration, 20 << 20).await;
    no_drift(&migration).await;

    world.console().limit_task(&id, 3 << 20).await;
    migration.wait_condition("Drifted", "True", "BandwidthChanged").await;
    migration.patch(json!({ "spec": { "driftPolicy": "Enforce" } })).await;
    wait_limit(&world, 20 << 20).await;
    no_drift(&migration).await;
    let migrated = world.remote_tasks().await.len();
    assert_eq!(migrated, 1);
    assert_changes(&world, &[("CreateTask", 1), ("UpdateBandwidthPolicy", 4)]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_priority_is_reported_or_brought_back() {
    let world = Setup::default().behaving("taskStartDelayMs", 3_600_000).start().await;
    world.put_objects(2).await;
    let migration = world.migration("photos").apply().await;
    let id = id_of(&migration.wait_condition("Ready", "False", "WaitingAtOMS").await);
    migration.wait("was seen", |task| task.status.as_ref().unwrap().applied.is_some()).await;
    world.console().prioritize(&id, "HIGH").await;
    let changed = migration.wait_condition("Drifted", "True", "PriorityChanged").await;
    assert!(message(&changed, "Drifted").contains("`spec.priority`"));
    world.let_polls_pass(6).await;
    assert_eq!(world.journal("BatchUpdateTasks").await.len(), 1);
    migration.patch(json!({ "spec": { "driftPolicy": "Enforce" } })).await;
    no_drift(&migration).await;
    eventually("the priority is the spec's", async || {
        let priority = world.remote_tasks().await[0]["task_priority"].clone();
        if priority == "MEDIUM" { Ok(()) } else { Err(priority.to_string()) }
    })
    .await;
    assert_changes(&world, &[("CreateTask", 1), ("BatchUpdateTasks", 2)]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_that_somebody_deletes_is_told_and_never_migrated_again() {
    let world = slow().start().await;
    world.put_objects(120).await;
    for policy in ["Report", "Enforce"] {
        let name = policy.to_lowercase();
        let draft = world.migration(&name).with("/driftPolicy", policy);
        let (migration, id) = running(draft.with("/destination/prefix", format!("{name}/"))).await;
        // Suspended, so that nobody brings it back between the two acts of the console.
        migration.suspend(true).await;
        migration.wait_phase(Phase::Stopped).await;
        world.console().delete_task(&id).await;
        let gone = migration.wait_condition("Drifted", "True", "DeletedExternally").await;
        assert_eq!(condition(&gone, "Stalled"), Some(("True".into(), "RemoteTaskGone".into())));
        let words = message(&gone, "Ready");
        for part in ["does not migrate again by itself", "`spec.rerun`", "delete this object"] {
            assert!(words.contains(part), "{words}");
        }
        world.wait_event(&name, "DeletedExternally").await;
        migration.suspend(false).await;
        migration.nudge("look").await;
        world.let_polls_pass(6).await;
        migration.wait_condition("Drifted", "True", "DeletedExternally").await;
        stays_silent(&world, &migration).await;
        migration.delete().await;
        migration.wait_gone().await;
    }
    assert_changes(&world, &[("CreateTask", 2), ("StopTask", 2), ("DeleteTask", 2)]).await;
}

/// Regression: what somebody deleted stayed reported while another run was at work, and then counted as brought back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_run_after_a_deletion_is_no_drift() {
    let world = slow().start().await;
    world.put_objects(120).await;
    let (migration, id) = running(world.migration("photos").with("/driftPolicy", "Enforce")).await;
    migration.suspend(true).await;
    migration.wait_phase(Phase::Stopped).await;
    world.console().delete_task(&id).await;
    migration.wait_condition("Drifted", "True", "DeletedExternally").await;
    migration.patch(json!({ "spec": { "rerun": "again", "suspend": false } })).await;
    let second = migration
        .wait("runs again", |task| {
            let status = task.status.as_ref().unwrap();
            status.run == Some(2) && status.phase == Some(Phase::Running)
        })
        .await;
    assert_eq!((drifted(&second), second.status.unwrap().drift), (None, None));
    assert_eq!(world.effects("CreateTask").await.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_changed_while_the_operator_was_down_is_drift_too() {
    let mut world = slow().start().await;
    world.put_objects(120).await;
    let mut ids = Vec::new();
    for policy in ["Report", "Enforce"] {
        let draft = world.migration(&policy.to_lowercase()).with("/driftPolicy", policy);
        ids.push(running(draft.with("/destination/prefix", format!("{policy}/"))).await.1);
    }
    world.operator().kill();
    for id in &ids {
        world.console().stop_task(id).await;
        eventually("it is stopped", async || {
            let state = remote_state(&world, id).await;
            if state == Some(json!(3)) { Ok(()) } else { Err(format!("{state:?}")) }
        })
        .await;
    }
    world.start_operator(&OperatorFlags::default()).await;
    world.existing("report").wait_condition("Drifted", "True", "StoppedExternally").await;
    let enforced = world.existing("enforce");
    enforced.wait("was started again", |task| task.status.as_ref().unwrap().drift.is_some()).await;
    assert_eq!(remote_state(&world, &ids[0]).await, Some(json!(3)));
    assert_changes(&world, &[("CreateTask", 2), ("StopTask", 2), ("StartTask", 1)]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_adopted_task_that_somebody_stops_and_limits_drifts_as_one_of_our_own() {
    let world = slow().start().await;
    world.put_objects(120).await;
    let id = world.console().create_task("made at the console", "").await;
    let draft = world.migration("photos").with("/adopt", json!({ "taskId": id }));
    let (migration, _) = running(draft.with("/driftPolicy", "Enforce")).await;
    world.console().limit_task(&id, 2 << 20).await;
    world.wait_event("photos", "BandwidthChanged").await;
    eventually("no limit is left", async || {
        let windows = world.remote_tasks().await[0]["bandwidth_policy"].clone();
        if windows.as_array().is_none_or(Vec::is_empty) { Ok(()) } else { Err(windows.to_string()) }
    })
    .await;
    no_drift(&migration).await;
    migration.patch(json!({ "spec": { "driftPolicy": "Report" } })).await;
    world.console().stop_task(&id).await;
    migration.wait_condition("Drifted", "True", "StoppedExternally").await;
    migration.delete().await;
    migration.wait_gone().await;
    let expected = [("CreateTask", 1), ("UpdateBandwidthPolicy", 2), ("StopTask", 1)];
    assert_changes(&world, &expected).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_that_somebody_stops_limits_or_deletes_is_reported() {
    let world = grouped(slow()).start().await;
    world.put_objects(120).await;
    let (group, id) = running(world.group("photos").with("/bandwidthPolicy", window("50Mi"))).await;
    wait_known_limit(&group, 50 << 20).await;
    world.console().limit_group(&id, 2 << 20).await;
    group.wait_condition("Drifted", "True", "BandwidthChanged").await;
    world.console().stop_group(&id).await;
    let stopped = group.wait_condition("Drifted", "True", "StoppedExternally").await;
    let words = message(&stopped, "Drifted");
    assert!(words.contains("stopped the task and set other bandwidth windows"), "{words}");
    group
        .wait("tells its members", |group: &TaskGroup| {
            let status = group.status.as_ref().unwrap();
            status.phase == Some(Phase::Stopped)
                && status.members.as_ref().is_some_and(|members| members.paused > 0)
        })
        .await;
    world.let_polls_pass(4).await;
    stays_silent(&world, &group).await;
    group.patch(json!({ "spec": { "driftPolicy": "Enforce" } })).await;
    group.wait_condition("Ready", "False", "Running").await;
    no_drift(&group).await;
    group.patch(json!({ "spec": { "driftPolicy": "Report" } })).await;
    world.console().stop_group(&id).await;
    group.wait_phase(Phase::Stopped).await;
    world.console().delete_group(&id).await;
    group.wait_condition("Drifted", "True", "DeletedExternally").await;
    group.wait_condition("Stalled", "True", "RemoteTaskGone").await;
    world.let_polls_pass(4).await;
    let expected = [
        ("CreateTaskGroup", 1),
        ("UpdateTaskGroup", 2),
        ("StopTaskGroup", 2),
        ("StartTaskGroup", 1),
        ("DeleteTaskGroup", 1),
    ];
    for (operation, times) in expected {
        assert_eq!(world.effects(operation).await.len(), times, "{operation}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sync_task_that_somebody_stops_is_reported_or_started_again() {
    let world = Setup::default().start().await;
    world.put_objects(1).await;
    let task = world.sync_task("photos").apply().await;
    let id = id_of(&task.wait_phase(Phase::Synchronizing).await);
    world.console().stop_sync_task(&id).await;
    let stopped = task.wait_condition("Drifted", "True", "StoppedExternally").await;
    assert_eq!(condition(&stopped, "Ready"), Some(("False".into(), "StoppedExternally".into())));
    task.wait_phase(Phase::Stopped).await;
    world.wait_event("photos", "StoppedExternally").await;
    stays_silent(&world, &task).await;
    world.console().start_sync_task(&id).await;
    task.wait_phase(Phase::Synchronizing).await;
    no_drift(&task).await;

    task.patch(json!({ "spec": { "driftPolicy": "Enforce" } })).await;
    world.console().stop_sync_task(&id).await;
    task.wait("was started again", |task: &SyncTask| {
        let status = task.status.as_ref().unwrap();
        status.phase == Some(Phase::Synchronizing) && status.drift.is_some()
    })
    .await;
    no_drift(&task).await;
    assert_changes(&world, &[("CreateSyncTask", 1), ("StopSyncTask", 2), ("StartSyncTask", 2)]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_suspended_sync_task_that_somebody_starts_is_reported_or_stopped_again() {
    let world = Setup::default().start().await;
    world.put_objects(1).await;
    let task = world.sync_task("photos").apply().await;
    let id = id_of(&task.wait_phase(Phase::Synchronizing).await);
    task.suspend(true).await;
    task.wait_phase(Phase::Stopped).await;
    world.console().start_sync_task(&id).await;
    task.wait_condition("Drifted", "True", "StartedExternally").await;
    world.let_polls_pass(4).await;
    assert_eq!(world.effects("StopSyncTask").await.len(), 1);
    task.patch(json!({ "spec": { "driftPolicy": "Enforce" } })).await;
    let stopped = task.wait_phase(Phase::Stopped).await;
    assert_eq!(condition(&stopped, "Ready"), Some(("False".into(), "Suspended".into())));
    no_drift(&task).await;
    assert_changes(&world, &[("CreateSyncTask", 1), ("StopSyncTask", 2), ("StartSyncTask", 1)]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sync_task_that_somebody_deletes_is_told_and_no_other_is_made() {
    let world = Setup::default().start().await;
    world.put_objects(1).await;
    let task = world.sync_task("photos").with("/driftPolicy", "Enforce").apply().await;
    let id = id_of(&task.wait_phase(Phase::Synchronizing).await);
    task.suspend(true).await;
    task.wait_phase(Phase::Stopped).await;
    world.console().delete_sync_task(&id).await;
    let gone = task.wait_condition("Drifted", "True", "DeletedExternally").await;
    assert!(message(&gone, "Ready").contains("delete this object and create it anew"));
    task.suspend(false).await;
    world.let_polls_pass(6).await;
    task.delete().await;
    task.wait_gone().await;
    assert_changes(&world, &[("CreateSyncTask", 1), ("StopSyncTask", 1), ("DeleteSyncTask", 1)]).await;
}

/// Regression: a start that brings a sync task back takes one of the account's places, and did not wait for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sync_task_is_brought_back_only_when_the_account_has_a_place_for_it() {
    let world = Setup::default().limited("syncTasks", 9).start().await;
    world.put_objects(1).await;
    let mut connection = world.connection_manifest();
    connection["spec"]["limits"] = json!({ "runningSyncTasks": 1 });
    world.apply::<oms_operator::api::Connection>(connection).await;
    let enforced = world.sync_task("enforced").with("/driftPolicy", "Enforce").apply().await;
    let id = id_of(&enforced.wait_phase(Phase::Synchronizing).await);
    // Nobody brings it back before its place is taken.
    enforced.patch(json!({ "metadata": { "annotations": { "oms-operator.io/paused": "true" } } })).await;
    enforced.wait_condition("Paused", "True", "Paused").await;
    world.console().stop_sync_task(&id).await;
    let other = world.sync_task("other").apply().await;
    other.wait_phase(Phase::Synchronizing).await;
    enforced.patch(json!({ "metadata": { "annotations": { "oms-operator.io/paused": null } } })).await;
    let queued = enforced.wait_phase(Phase::Queued).await;
    assert_eq!(drifted(&queued), Some("StoppedExternally".into()));
    world.let_polls_pass(4).await;
    assert_eq!(world.journal("StartSyncTask").await, Vec::<Value>::new());
    other.suspend(true).await;
    enforced.wait_phase(Phase::Synchronizing).await;
    assert_eq!(world.effects("StartSyncTask").await.len(), 1);
}
