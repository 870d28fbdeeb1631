//! A task that somebody else owns is looked at: status and metrics, and never a call that changes it.

use std::time::Duration;

use oms_operator::api::{MigrationTask, Phase, SyncTask, TaskGroup};
use oms_operator::engine::Transfer;
use serde_json::{Value, json};

use crate::adopt::{assert_changes, grouped, remote_state, slow};
use crate::idle::stays_silent;
use crate::migration::{Migration, condition, message, phase_of};
use crate::operator::OperatorFlags;
use crate::sync_event::SyncEvents as _;
use crate::world::{Setup, World, eventually};

fn agreed() -> Setup {
    Setup::default().behaving("privacyAgreementAccepted", true)
}

/// Applies an object that only looks at a task and says nothing else.
async fn observing<'w, K: Transfer>(world: &'w World, name: &str, adopt: Value) -> Migration<'w, K> {
    let manifest = json!({
        "apiVersion": "oms-operator.io/v1alpha1", "kind": K::KIND.as_str(), "metadata": { "name": name },
        "spec": { "managementPolicy": "Observe", "adopt": adopt },
    });
    world.apply::<K>(manifest).await;
    Migration::existing(world, name)
}

async fn observing_task<'w>(world: &'w World, name: &str, id: &str) -> Migration<'w> {
    observing(world, name, json!({ "taskId": id })).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_is_followed_through_its_life_without_source_destination_or_keys() {
    let world = agreed().behaving("taskStartDelayMs", 2_000).behaving("objectRate", 20.0).start().await;
    world.put_objects(100).await;
    let (console, id) = (world.console(), world.console().create_task("made at the console", "").await);
    let migration = observing_task(&world, "photos", &id).await;
    let observed = migration.wait_condition("Adopted", "False", "Observed").await;
    assert!(message(&observed, "Adopted").contains("looked at and never changed"));
    world.wait_event("photos", "Observed").await;
    assert!(observed.metadata.finalizers.unwrap_or_default().is_empty());
    migration.wait_condition("Ready", "False", "WaitingAtOMS").await;
    let running = migration.wait_condition("Ready", "False", "Running").await;
    assert_eq!(phase_of(&running), Some(Phase::Running));
    migration
        .wait("tells how far it is", |task| {
            task.status
                .as_ref()
                .unwrap()
                .progress
                .as_ref()
                .is_some_and(|progress| progress.objects.succeeded > 0)
        })
        .await;
    let operator = &world.operators[0];
    eventually("the metrics tell of it", async || {
        let running = operator.metric("oms_operator_objects", "phase=\"Running\"").await;
        if running >= 1.0 { Ok(()) } else { Err(operator.get("/metrics").await.1) }
    })
    .await;

    console.stop_task(&id).await;
    let stopped = migration.wait_phase(Phase::Stopped).await;
    assert_eq!(condition(&stopped, "Ready"), Some(("False".into(), "StoppedExternally".into())));
    assert_eq!(condition(&stopped, "Drifted"), None, "it is its owner's to stop");
    assert!(message(&stopped, "Ready").contains("`spec.managementPolicy`"));
    console.start_task(&id).await;
    let done = migration.wait_phase(Phase::Succeeded).await;
    assert_eq!(condition(&done, "Ready"), Some(("True".into(), "Succeeded".into())));
    let status = done.status.unwrap();
    assert_eq!(status.progress.unwrap().objects.succeeded, 100);
    assert!(status.finished_at.is_some() && status.observed_credentials.is_empty());
    migration.delete().await;
    migration.wait_gone().await;
    assert!(remote_state(&world, &id).await.is_some());
    assert_changes(&world, &[("CreateTask", 1), ("StopTask", 1), ("StartTask", 1)]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_in_the_spec_makes_an_observer_change_anything() {
    let world = slow().start().await;
    world.put_objects(120).await;
    let id = world.console().create_task("made at the console", "").await;
    let window = json!({ "start": "08:00", "end": "20:00", "maxBandwidth": "50Mi" });
    let migration = world
        .migration("photos")
        .with("/adopt", json!({ "taskId": id }))
        .with("/managementPolicy", "Observe")
        .with("/suspend", true)
        .with("/priority", "HIGH")
        .with("/bandwidthPolicy", json!([window]))
        .with("/driftPolicy", "Enforce")
        .with("/deletionPolicy", "Delete")
        .with("/onCredentialChange", "RestartRunning")
        .with("/rerun", "again")
        .with("/retry", json!({ "limit": 3 }))
        .apply()
        .await;
    let running = migration.wait_condition("Ready", "False", "Running").await;
    let keys = world.source_keys.clone();
    world
        .secret(
            "aws-source",
            &[("accessKey", &keys.access), ("secretKey", &keys.secret), ("note", "rotated")],
        )
        .await;
    world.let_polls_pass(8).await;
    migration.patch(json!({ "spec": { "rerun": "and again" } })).await;
    let later = migration
        .wait("has seen the edit", |task| {
            task.status.as_ref().unwrap().observed_generation == task.metadata.generation.unwrap()
        })
        .await;
    for silent in ["PriorityPending", "Drifted", "RerunPending", "CredentialsPending", "CredentialsReady"] {
        assert_eq!(condition(&running, silent), None, "{silent}");
        assert_eq!(condition(&later, silent), None, "{silent}");
    }
    migration.delete().await;
    migration.wait_gone().await;
    assert_eq!(remote_state(&world, &id).await, Some(json!(2)), "it still runs");
    assert_changes(&world, &[("CreateTask", 1)]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_passes_over_an_observed_task_write_nothing() {
    let world = agreed().behaving("taskStartDelayMs", 3_600_000).start().await;
    world.put_objects(2).await;
    let id = world.console().create_task("made at the console", "").await;
    let migration = observing_task(&world, "photos", &id).await;
    migration.wait_condition("Ready", "False", "WaitingAtOMS").await;
    world.let_polls_pass(4).await;
    stays_silent(&world, &migration).await;
    assert_changes(&world, &[("CreateTask", 1)]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_that_failed_is_told_with_its_cause_and_followed_when_its_owner_starts_it_again() {
    let world = agreed().operated(OperatorFlags::default().scaled(60)).start().await;
    world.put_objects(3).await;
    world.fault(json!({ "kind": "failTask", "code": "TRF.0151", "times": 1 })).await;
    let id = world.console().create_task("made at the console", "").await;
    let migration = observing_task(&world, "photos", &id).await;
    let failed = migration.wait_phase(Phase::Failed).await;
    assert_eq!(condition(&failed, "Ready"), Some(("False".into(), "TaskFailed".into())));
    assert_eq!(condition(&failed, "Stalled"), None, "it is nobody's move here");
    assert_eq!(failed.status.as_ref().unwrap().failure.as_ref().unwrap().code, "TRF.0151");
    assert!(
        message(&failed, "Ready").contains("its owner can start it again"),
        "{}",
        message(&failed, "Ready")
    );
    world.console().start_task(&id).await;
    let done = migration.wait_phase(Phase::Succeeded).await;
    assert_eq!(done.status.unwrap().failure, None);
    assert_changes(&world, &[("CreateTask", 1), ("StartTask", 1)]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_that_its_owner_deleted_is_told_and_nothing_is_made_in_its_place() {
    let world = slow().start().await;
    world.put_objects(120).await;
    let id = world.console().create_task("made at the console", "").await;
    let migration = observing_task(&world, "photos", &id).await;
    migration.wait_condition("Ready", "False", "Running").await;
    world.console().stop_task(&id).await;
    world.console().delete_task(&id).await;
    let gone = migration.wait_condition("Ready", "False", "RemoteTaskGone").await;
    assert_eq!((phase_of(&gone), condition(&gone, "Stalled")), (Some(Phase::Failed), None));
    assert!(message(&gone, "Ready").contains("Delete this object, or leave it as a record"));
    world.let_polls_pass(6).await;
    let looks = world.journal("ShowTask").await.len();
    world.let_polls_pass(6).await;
    assert_eq!(world.journal("ShowTask").await.len(), looks, "nothing is looked for any more");
    let deletions = world.effects("DeleteTask").await.len();
    assert_eq!((deletions, world.effects("CreateTask").await.len()), (1, 1));
}

/// Regression: of two objects about one task only the first was told of what it does, and what an object without a
/// finalizer had watched was watched for ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everybody_who_is_about_a_task_is_told_of_it_and_nobody_looks_when_all_are_gone() {
    let world = slow().start().await;
    world.put_objects(120).await;
    let id = world.console().create_task("made at the console", "").await;
    let mut objects = Vec::new();
    for name in ["first", "second", "third"] {
        let object = observing_task(&world, name, &id).await;
        object.wait_condition("Ready", "False", "Running").await;
        objects.push(object);
    }
    let owner = world.migration("owner").with("/adopt", json!({ "taskId": id })).apply().await;
    owner.wait_condition("Adopted", "True", "Adopted").await;
    owner.suspend(true).await;
    owner.wait_phase(Phase::Stopped).await;
    for object in &objects {
        object.wait_phase(Phase::Stopped).await;
    }
    objects[0].delete().await;
    objects[0].wait_gone().await;
    owner.suspend(false).await;
    for object in &objects[1..] {
        object.wait_condition("Ready", "False", "Running").await;
    }
    for object in objects[1..].iter().chain([&owner]) {
        object.delete().await;
        object.wait_gone().await;
    }
    eventually("nobody looks any more", async || {
        let before = world.journal("*").await.len();
        world.let_polls_pass(6).await;
        let calls = world.journal("*").await.split_off(before);
        if calls.is_empty() { Ok(()) } else { Err(format!("{calls:#?}")) }
    })
    .await;
    assert_changes(&world, &[("CreateTask", 1), ("StopTask", 1), ("StartTask", 1)]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_observed_can_be_taken_over_and_let_go_again() {
    let world = slow().start().await;
    world.put_objects(120).await;
    let id = world.console().create_task("made at the console", "").await;
    let migration = observing_task(&world, "photos", &id).await;
    migration.wait_condition("Ready", "False", "Running").await;
    let (managed, said) = world
        .try_kubectl(
            &["patch", "mt", "photos", "--type=merge", "-p", r#"{"spec":{"managementPolicy":"Manage"}}"#],
            "",
        )
        .await;
    assert!(!managed && said.contains("add `source`"), "{said}");

    let mut whole = world.migration("photos").manifest()["spec"].clone();
    whole["managementPolicy"] = json!("Manage");
    whole["suspend"] = json!(true);
    migration.patch(json!({ "spec": whole })).await;
    let held = migration.wait_phase(Phase::Stopped).await;
    assert_eq!(condition(&held, "Adopted"), Some(("True".into(), "Adopted".into())));
    assert_eq!(remote_state(&world, &id).await, Some(json!(3)));

    migration.patch(json!({ "spec": { "managementPolicy": "Observe", "suspend": null } })).await;
    let observed = migration.wait_condition("Adopted", "False", "Observed").await;
    assert_eq!(condition(&observed, "Ready"), Some(("False".into(), "StoppedExternally".into())));
    world.let_polls_pass(6).await;
    assert_eq!(remote_state(&world, &id).await, Some(json!(3)), "who lets go does not start it");
    migration.patch(json!({ "spec": { "deletionPolicy": "Delete" } })).await;
    migration.delete().await;
    migration.wait_gone().await;
    assert_changes(&world, &[("CreateTask", 1), ("StopTask", 1)]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_observed_id_that_is_unknown_or_a_part_is_told_and_never_stalls() {
    let world = grouped(slow()).start().await;
    world.put_objects(120).await;
    let unknown = observing_task(&world, "unknown", "123456789").await;
    let told = unknown.wait_condition("Ready", "False", "AdoptionTargetNotFound").await;
    assert!(message(&told, "Ready").contains("`adopt.taskId`"));
    let group = world.console().create_group().await;
    let member = eventually("the group has a task", async || {
        let tasks = world.remote_tasks().await;
        let member =
            tasks.iter().find(|task| task["group_id"] == json!(group)).map(|task| task["id"].clone());
        member.ok_or_else(|| format!("{tasks:#?}"))
    })
    .await;
    let member = member.as_str().map_or_else(|| member.to_string(), str::to_owned);
    let part = observing_task(&world, "part", &member).await;
    let told = part.wait_condition("Ready", "False", "NotAdoptable").await;
    assert!(message(&told, "Ready").contains("TaskGroup"), "{}", message(&told, "Ready"));
    assert_eq!(condition(&told, "Stalled"), None);
    assert_changes(&world, &[("CreateTaskGroup", 1)]).await;
}

/// Regression: the members of a group that is only observed were never counted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_tasks_of_an_observed_group_are_counted_while_it_runs_when_it_stops_and_at_its_end() {
    let world = grouped(agreed()).behaving("objectRate", 3.0).start().await;
    world.put_objects(60).await;
    let (console, id) = (world.console(), world.console().create_group().await);
    let group: Migration<'_, TaskGroup> = observing(&world, "photos", json!({ "groupId": id })).await;
    let members = |group: &TaskGroup| {
        group.status.as_ref().and_then(|status| status.members.clone()).unwrap_or_default()
    };
    let running = group
        .wait("has its members counted", |group| members(group).running + members(group).waiting > 1)
        .await;
    assert_eq!(condition(&running, "Adopted"), Some(("False".into(), "Observed".into())));
    assert_eq!(condition(&running, "BandwidthPending"), None);
    console.stop_group(&id).await;
    let stopped = group.wait("has paused members", |group| members(group).paused > 0).await;
    assert_eq!((phase_of(&stopped), members(&stopped).running), (Some(Phase::Stopped), 0));
    console.start_group(&id).await;
    let done = group.wait_phase(Phase::Succeeded).await;
    let ended = members(&done);
    assert!(ended.total > 1 && ended.complete == ended.total, "{ended:?}");
    assert_eq!(done.status.unwrap().progress.unwrap().objects.succeeded, 60);
    let listed = world.journal("ListTasks").await.len();
    assert!(listed <= 12, "{listed} lists of tasks");
    group.delete().await;
    group.wait_gone().await;
    assert_eq!(world.remote_groups().await.len(), 1);
    assert_changes(&world, &[("CreateTaskGroup", 1), ("StopTaskGroup", 1), ("StartTaskGroup", 1)]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_observed_group_tells_of_the_worst_of_its_tasks_and_of_its_end() {
    let world = grouped(agreed()).start().await;
    world.put_objects(42).await;
    world.fault(json!({ "kind": "failTask", "code": "TRF.0151", "times": 1 })).await;
    let id = world.console().create_group().await;
    eventually("the group has ended", async || {
        let status = world.remote_groups().await[0]["status"].clone();
        if status == 5 { Ok(()) } else { Err(status.to_string()) }
    })
    .await;
    // It had ended before anybody looked.
    let group: Migration<'_, TaskGroup> = observing(&world, "photos", json!({ "groupId": id })).await;
    let failed = group
        .wait("has a failed member", |group| {
            group.status.as_ref().unwrap().members.as_ref().is_some_and(|members| members.failed == 1)
        })
        .await;
    assert_eq!((phase_of(&failed), condition(&failed, "Stalled")), (Some(Phase::Failed), None));
    let failure = failed.status.as_ref().unwrap().failure.clone().unwrap();
    assert_eq!(failure.code, "TRF.0151");
    assert!(failure.message.starts_with("task "), "{failure:?}");
    world.wait_event("photos", "MemberFailed").await;
    stays_silent(&world, &group).await;
    assert_changes(&world, &[("CreateTaskGroup", 1)]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sync_task_is_observed_and_told_of_no_objects() {
    let world = agreed().start().await;
    world.put_objects(2).await;
    let (console, id) = (world.console(), world.console().create_sync_task().await);
    let task: Migration<'_, SyncTask> = observing(&world, "photos", json!({ "syncTaskId": id })).await;
    let seen = task.wait_phase(Phase::Synchronizing).await;
    assert_eq!(condition(&seen, "Adopted"), Some(("False".into(), "Observed".into())));
    assert!(seen.status.unwrap().statistics.is_some());
    world.apply_event("kept", "photos", &["00000.txt".into()]).await;
    let kept = world.wait_event_reason("kept", "SyncTaskNotSynchronizing").await;
    assert!(kept.contains("`managementPolicy` is Observe"), "{kept}");

    console.name_objects(&id, &["00001.txt"]).await;
    eventually("OMS has counted it", async || {
        let copied = world.remote_sync_tasks().await[0]["total"]["success"].as_u64();
        if copied == Some(1) { Ok(()) } else { Err(format!("{copied:?}")) }
    })
    .await;
    task.nudge("now").await;
    task.wait("tells what OMS counted", |task| {
        let statistics = task.status.as_ref().unwrap().statistics.as_ref();
        statistics.is_some_and(|month| month.succeeded == 1)
    })
    .await;
    console.stop_sync_task(&id).await;
    let stopped = task.wait_phase(Phase::Stopped).await;
    assert_eq!(condition(&stopped, "Drifted"), None);
    console.start_sync_task(&id).await;
    task.wait_phase(Phase::Synchronizing).await;
    task.delete().await;
    task.wait_gone().await;
    assert_eq!(world.remote_sync_tasks().await.len(), 1);
    let expected =
        [("CreateSyncTask", 1), ("CreateSyncEvents", 1), ("StopSyncTask", 1), ("StartSyncTask", 1)];
    assert_changes(&world, &expected).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restarted_operator_goes_on_looking() {
    let mut world = agreed().behaving("taskStartDelayMs", 3_600_000).start().await;
    world.put_objects(2).await;
    let id = world.console().create_task("made at the console", "").await;
    observing_task(&world, "photos", &id).await.wait_condition("Ready", "False", "WaitingAtOMS").await;
    world.operator().kill();
    world.emulator.clock().advance(Duration::from_hours(1));
    eventually("the task has ended", async || {
        let state = remote_state(&world, &id).await;
        if state == Some(json!(5)) { Ok(()) } else { Err(format!("{state:?}")) }
    })
    .await;
    world.start_operator(&OperatorFlags::default()).await;
    let done: MigrationTask = world.existing("photos").wait_phase(Phase::Succeeded).await;
    assert_eq!(done.status.unwrap().progress.unwrap().objects.succeeded, 2);
    assert_changes(&world, &[("CreateTask", 1)]).await;
}
