//! Task groups: OMS splits them into tasks, and the operator tells how these are.

use std::time::Duration;

use oms_operator::api::{Members, Phase, TaskGroup};
use serde_json::{Value, json};

use crate::migration::{Migration, condition, message, phase_of};
use crate::operator::OperatorFlags;
use crate::world::{CONNECTION, DESTINATION_SECRET, SOURCE_SECRET, Setup, World, eventually};

/// A world whose groups pass their states quickly and have several tasks.
fn quick() -> Setup {
    Setup::default()
        .behaving("groupTaskObjects", 10)
        .behaving("groupStartDelayMs", 50)
        .behaving("groupCreationMs", 100)
        .behaving("groupDeletionMs", 100)
}

/// The same, with groups that copy for very long.
fn slow() -> Setup {
    quick().behaving("objectRate", 1.0)
}

async fn running(world: &World) -> Migration<'_, TaskGroup> {
    world.put_objects(60).await;
    let group = world.group("photos").apply().await;
    group.wait_condition("Ready", "False", "Running").await;
    group
}

fn members_of(group: &TaskGroup) -> Members {
    group.status.as_ref().and_then(|status| status.members.clone()).unwrap_or_default()
}

/// The tasks of the group with this ID, in the shape of ShowTask.
async fn remote_members(world: &World, group: &TaskGroup) -> Vec<Value> {
    let id = group.status.as_ref().unwrap().task_id.clone().unwrap();
    let mut tasks = world.remote_tasks().await;
    tasks.retain(|task| task["group_id"] == json!(id));
    tasks
}

async fn wait_no_group(world: &World) {
    eventually("no group is at OMS", async || {
        let groups = world.remote_groups().await;
        if groups.is_empty() { Ok(()) } else { Err(format!("{groups:#?}")) }
    })
    .await;
}

/// How often OMS refused an operation.
async fn refusals(world: &World, operation: &str) -> usize {
    world.journal(operation).await.len() - world.effects(operation).await.len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_is_created_once_its_tasks_are_counted_and_it_succeeds() {
    let world = quick().start().await;
    world.put_objects(42).await;
    let draft = world.group("photos").with("/description", "the whole archive");
    let group = draft.with("/destination/prefix", "in/").kubectl_apply().await;
    let done = group.wait_phase(Phase::Succeeded).await;
    assert_eq!(condition(&done, "Ready"), Some(("True".into(), "Succeeded".into())));
    assert_eq!(condition(&done, "Reconciling"), None);

    let tasks = remote_members(&world, &done).await.len() as u64;
    assert!(tasks > 1, "OMS made {tasks} tasks");
    let expected = Members { total: tasks, created: tasks, complete: tasks, ..Members::default() };
    assert_eq!(members_of(&done), expected);
    let status = done.status.unwrap();
    let progress = status.progress.unwrap();
    assert_eq!((progress.percent, progress.objects.total, progress.objects.succeeded), (100, 42, 42));
    assert_eq!((status.task_name, status.failure), (None, None));
    for number in 0..42 {
        let key = format!("in/{number:05}.txt");
        assert_eq!(world.destination.object("photos-archive", &key).unwrap().writes, 1, "{key}");
    }

    assert_eq!(world.effects("CreateTaskGroup").await.len(), 1);
    for never in ["CreateTask", "StopTaskGroup", "UpdateTaskGroup", "StartTaskGroup", "ListTasks"] {
        let calls = world.journal(never).await.len();
        assert!(calls == 0 || never == "ListTasks" && calls <= 3, "{calls} calls of {never}");
    }
    let remote = &world.remote_groups().await[0];
    assert_eq!(remote["task_type"], "PREFIX");
    let description = remote["description"].as_str().unwrap();
    assert!(description.starts_with("oms-") && description.ends_with(" the whole archive"), "{description}");

    let printed = world.kubectl(&["get", "tg", "photos"]).await;
    for word in ["MEMBERS", "COMPLETE", "Succeeded", "100%"] {
        assert!(printed.contains(word), "{printed}");
    }
    // Finished, it costs nothing.
    let calls = world.journal("*").await.len();
    world.let_polls_pass(8).await;
    let about_groups = world.journal("*").await.split_off(calls);
    assert!(about_groups.iter().all(|call| !call["operation"].as_str().unwrap().contains("TaskGroup")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn numbers_that_oms_tells_with_the_group_need_no_count() {
    let world = quick().behaving("groupTaskNumbers", true).start().await;
    world.put_objects(42).await;
    // Its check lists tasks.
    world.wait_connection(CONNECTION, "True", "Connected").await;
    let before = world.journal("ListTasks").await.len();
    let group = world.group("photos").apply().await;
    let done = group.wait_phase(Phase::Succeeded).await;
    let members = members_of(&done);
    assert!(members.total > 1 && members.complete == members.total, "{members:?}");
    assert_eq!(world.journal("ListTasks").await.len(), before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_suspended_group_stops_all_its_tasks_and_goes_on_where_it_was() {
    let world = quick().behaving("groupTaskObjects", 50).behaving("objectRate", 10.0).start().await;
    world.put_objects(200).await;
    let group = world.group("photos").apply().await;
    let begun = |group: &TaskGroup| {
        let progress = group.status.as_ref().and_then(|status| status.progress.as_ref());
        progress.is_some_and(|progress| progress.objects.succeeded > 0)
    };
    group.wait("has copied something", begun).await;
    group.suspend(true).await;
    let stopped = group.wait_phase(Phase::Stopped).await;
    assert_eq!(condition(&stopped, "Ready"), Some(("False".into(), "Suspended".into())));
    let members = members_of(&stopped);
    assert!(members.paused > 0 && members.running == 0 && members.waiting == 0, "{members:?}");
    assert_eq!(world.remote_groups().await[0]["status"], 3);

    group.suspend(false).await;
    let done = group.wait_phase(Phase::Succeeded).await;
    assert_eq!(done.status.unwrap().progress.unwrap().objects.total, 200);
    for number in 0..200 {
        let key = format!("{number:05}.txt");
        assert_eq!(
            world.destination.object("photos-archive", &key).unwrap().writes,
            1,
            "{key} was copied again"
        );
    }
    for once in ["CreateTaskGroup", "StopTaskGroup", "StartTaskGroup"] {
        assert_eq!(world.effects(once).await.len(), 1, "{once}");
    }
    assert_eq!(world.journal("RetryTaskGroup").await, Vec::<Value>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_that_creates_its_tasks_is_suspended_once_it_has_them() {
    let world = slow().behaving("groupCreationMs", 3_000).start().await;
    world.put_objects(30).await;
    let group = world.group("photos").apply().await;
    group.wait_condition("Ready", "False", "CreatingMembers").await;
    group.suspend(true).await;
    let waiting = group.wait_phase(Phase::Stopping).await;
    assert!(message(&waiting, "Ready").contains("creates the tasks of the group"));
    group.wait_phase(Phase::Stopped).await;
    assert_eq!(world.effects("StopTaskGroup").await.len(), 1);
    assert_eq!(refusals(&world, "StopTaskGroup").await, 0, "OMS was not asked for what it refuses");
    let shown = world.journal("ShowTaskGroup").await.len();
    assert!(shown <= 60, "{shown} looks at a group that is busy");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn suspending_a_group_that_waits_deletes_its_record_and_resuming_makes_the_next_attempt() {
    let world = quick().behaving("groupStartDelayMs", 3_600_000).start().await;
    world.put_objects(3).await;
    let group = world.group("photos").apply().await;
    group.wait_condition("Ready", "False", "WaitingAtOMS").await;
    group.suspend(true).await;
    group.wait_phase(Phase::Stopped).await;
    wait_no_group(&world).await;
    group.suspend(false).await;
    let holds = |group: &TaskGroup| {
        group.status.as_ref().is_some_and(|status| status.attempt == Some(2) && status.task_id.is_some())
    };
    group.wait("is attempt 2", holds).await;
    world.emulator.clock().advance(Duration::from_hours(1));
    group.wait_phase(Phase::Succeeded).await;
    assert_eq!(world.effects("CreateTaskGroup").await.len(), 2);
    assert_eq!(world.effects("DeleteTaskGroup").await.len(), 1);
    assert_eq!(world.journal("StopTaskGroup").await, Vec::<Value>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_bandwidth_reaches_oms_while_the_group_runs() {
    let world = slow().start().await;
    let group = running(&world).await;
    let window = json!({ "start": "08:00", "end": "20:00", "maxBandwidth": "50Mi" });
    group.patch(json!({ "spec": { "bandwidthPolicy": [window] } })).await;
    eventually("the group has the window", async || {
        let groups = world.remote_groups().await;
        let window = groups[0]["bandwidth_policy"][0].clone();
        if window["max_bandwidth"] == 52_428_800 { Ok(()) } else { Err(window.to_string()) }
    })
    .await;
    world.let_polls_pass(6).await;
    assert_eq!(world.journal("UpdateTaskGroup").await.len(), 1, "one call per change");
    assert_eq!(condition(&group.get().await, "BandwidthPending"), None);
}

/// With this prefix the names of `put_objects` fit into 1,024 bytes, and the longer one does not.
fn too_long_for_one() -> String {
    "p".repeat(1_010)
}

const LONGER: &str = "a-name-that-is-too-long.txt";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_task_fails_the_group_with_its_cause_and_a_retry_of_the_whole_group_mends_it() {
    // So long that the operator sees the retried group wait, and sets its windows.
    let world = quick().behaving("groupStartDelayMs", 4_000).start().await;
    world.put_objects(20).await;
    let source = world.source_bucket("photos");
    for key in [LONGER, "z.txt"] {
        source.put(key, "text/plain", &[], "x".into()).await.unwrap();
    }
    let group = world.group("photos").with("/destination/prefix", too_long_for_one()).apply().await;
    let failed = group.wait_phase(Phase::Failed).await;
    assert_eq!(condition(&failed, "Stalled").map(|(status, _)| status), Some("True".into()));
    let members = members_of(&failed);
    assert_eq!((members.failed, members.complete + 1), (1, members.total), "{members:?}");
    assert_eq!(world.remote_groups().await[0]["error_reason"], Value::Null, "OMS says nothing of the group");
    let tasks = remote_members(&world, &failed).await;
    let worst = tasks.iter().find(|task| task["status"] == 4).unwrap();
    let status = failed.status.clone().unwrap();
    let failure = status.failure.unwrap();
    assert_eq!(json!(failure.code), worst["error_reason"]["error_code"]);
    let id =
        worst["id"].as_u64().map_or_else(|| worst["id"].as_str().unwrap().to_owned(), |id| id.to_string());
    assert!(failure.message.contains(&id), "{failure:?} does not name {id}");
    assert_eq!(status.failed_objects.unwrap().count, 1);
    world.wait_event("photos", "MemberFailed").await;
    assert!(message(&failed, "Ready").contains("spec.retry"), "{}", message(&failed, "Ready"));

    // The bandwidth of a group that has ended cannot be changed: it waits for the retry.
    let window = json!({ "start": "08:00", "end": "20:00", "maxBandwidth": "50Mi" });
    group.patch(json!({ "spec": { "bandwidthPolicy": [window] } })).await;
    group.wait_condition("BandwidthPending", "True", "GroupHasEnded").await;
    assert_eq!(world.journal("UpdateTaskGroup").await, Vec::<Value>::new(), "OMS would refuse it");

    source.delete(LONGER).await.unwrap();
    group.patch(json!({ "spec": { "retry": { "limit": 1, "objects": "All" } } })).await;
    let done = group.wait_phase(Phase::Succeeded).await;
    let members = members_of(&done);
    assert_eq!((members.failed, members.complete), (0, members.total));
    assert_eq!(condition(&done, "BandwidthPending"), None);
    assert_eq!(world.effects("RetryTaskGroup").await.len(), 1);
    assert_eq!(world.effects("CreateTaskGroup").await.len(), 1);
    assert_eq!(world.journal("StartTaskGroup").await, Vec::<Value>::new(), "that is for stopped ones");
    assert_eq!(world.effects("UpdateTaskGroup").await.len(), 1, "the windows came with the retry");
    for number in 0..20 {
        let key = format!("{}{number:05}.txt", too_long_for_one());
        assert_eq!(world.destination.object("photos-archive", &key).unwrap().writes, 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_whose_tasks_could_not_be_created_is_retried_when_its_surroundings_are_mended() {
    let world = quick().operated(OperatorFlags::default().scaled(60)).start().await;
    world.put_objects(3).await;
    let group = world.group("photos").with("/source/bucket", "not-there-yet").apply().await;
    let waiting = group.wait_phase(Phase::Retrying).await;
    let words = message(&waiting, "Ready");
    assert!(words.contains("TRF.0155") && words.contains("`source.bucket`"), "{words}");
    let bucket = world.source_bucket("not-there-yet");
    bucket.create().await.unwrap();
    bucket.put("late.txt", "text/plain", &[], "late".into()).await.unwrap();
    group.wait_phase(Phase::Succeeded).await;
    assert_eq!(world.effects("CreateTaskGroup").await.len(), 1);
    assert!(!world.effects("RetryTaskGroup").await.is_empty());
    assert!(world.destination.object("photos-archive", "late.txt").is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deleting_a_running_group_stops_it_and_removes_its_record() {
    let world = slow().start().await;
    let group = running(&world).await;
    group.delete().await;
    group.wait_gone().await;
    assert_eq!(world.remote_groups().await, Vec::<Value>::new());
    assert_eq!(world.effects("StopTaskGroup").await.len(), 1);
    assert_eq!(world.effects("DeleteTaskGroup").await.len(), 1);
    assert_eq!(world.journal("DeleteTask").await, Vec::<Value>::new(), "its tasks are the group's business");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orphaned_a_running_group_goes_on() {
    let world = slow().start().await;
    let group = running(&world).await;
    group.patch(json!({ "spec": { "deletionPolicy": "Orphan" } })).await;
    group.delete().await;
    group.wait_gone().await;
    assert_eq!(world.remote_groups().await[0]["status"], 2, "it still runs");
    for operation in ["StopTaskGroup", "DeleteTaskGroup"] {
        assert_eq!(world.journal(operation).await, Vec::<Value>::new());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopped_and_kept_the_record_of_a_group_stays_at_oms() {
    let world = slow().start().await;
    let group = running(&world).await;
    group.patch(json!({ "spec": { "deletionPolicy": "StopAndKeep" } })).await;
    group.delete().await;
    group.wait_gone().await;
    assert_eq!(world.remote_groups().await[0]["status"], 3, "it is stopped");
    assert_eq!(world.journal("DeleteTaskGroup").await, Vec::<Value>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deleting_a_group_that_creates_its_tasks_waits_for_oms_and_does_not_hammer_it() {
    let world = slow().behaving("groupCreationMs", 4_000).start().await;
    world.put_objects(30).await;
    let group = world.group("photos").apply().await;
    group.wait_condition("Ready", "False", "CreatingMembers").await;
    group.delete().await;
    let waiting = |group: &TaskGroup| {
        phase_of(group) == Some(Phase::Deleting)
            && message(group, "Ready").contains("waits until it has created")
    };
    group.wait("says what it waits for", waiting).await;
    group.wait_gone().await;
    assert_eq!(world.remote_groups().await, Vec::<Value>::new());
    assert_eq!(world.effects("StopTaskGroup").await.len(), 1);
    assert_eq!(world.effects("DeleteTaskGroup").await.len(), 1);
    let asked = refusals(&world, "StopTaskGroup").await + refusals(&world, "DeleteTaskGroup").await;
    assert!(asked <= 2, "OMS refused {asked} calls");
    assert_eq!(world.effects("CreateTaskGroup").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_whose_create_lost_its_answer_is_found_by_its_token_and_not_doubled() {
    let world = quick().start().await;
    world.put_objects(12).await;
    world.wait_connection(CONNECTION, "True", "Connected").await;
    world.fault(json!({ "operation": "CreateTaskGroup", "kind": "lostReply", "times": 1 })).await;
    let group = world.group("photos").apply().await;
    let done = group.wait_phase(Phase::Succeeded).await;
    assert_eq!(world.effects("CreateTaskGroup").await.len(), 1);
    let groups = world.remote_groups().await;
    assert_eq!(groups.len(), 1);
    assert_eq!(json!(done.status.unwrap().task_id), groups[0]["group_id"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_that_a_group_cannot_use_are_told_of_and_waited_for() {
    let world = quick().start().await;
    world.put_objects(3).await;
    world.delete_secret(SOURCE_SECRET).await;
    let group = world.group("photos").apply().await;
    let told = group.wait_condition("Ready", "False", "SecretNotFound").await;
    assert!(message(&told, "Ready").contains("source.credentials.secretRef"));

    let keys = world.source_keys.clone();
    let pair = [("accessKey", keys.access.as_str()), ("secretKey", keys.secret.as_str())];
    let with_token = [pair[0], pair[1], ("securityToken", "a-token-that-must-not-be-seen")];
    world.secret(SOURCE_SECRET, &with_token).await;
    let told = group.wait_condition("Ready", "False", "TemporaryKeysNotAllowed").await;
    assert_eq!(
        condition(&told, "CredentialsReady"),
        Some(("False".into(), "TemporaryKeysNotAllowed".into()))
    );
    let words = message(&told, "Ready");
    assert!(words.contains("permanent") && words.contains("TaskGroup"), "{words}");
    assert!(!words.contains("must-not-be-seen"));

    // One half is mended; so the other's turn comes.
    let own = world.destination_keys.clone();
    let destination = [("accessKey", own.access.as_str()), ("secretKey", own.secret.as_str())];
    world.secret(DESTINATION_SECRET, &[("accessKey", own.access.as_str())]).await;
    world.secret(SOURCE_SECRET, &pair).await;
    group.wait_condition("Ready", "False", "SecretKeyMissing").await;
    assert_eq!(world.journal("CreateTaskGroup").await, Vec::<Value>::new());
    world.secret(DESTINATION_SECRET, &destination).await;
    group.wait_phase(Phase::Succeeded).await;
    assert_eq!(world.effects("CreateTaskGroup").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn groups_over_the_daily_quota_wait_for_their_day() {
    let world =
        quick().limited("groupsPerDay", 1).operated(OperatorFlags::default().scaled(60)).start().await;
    world.put_objects(3).await;
    world.group("first").apply().await.wait_phase(Phase::Succeeded).await;
    let second = world.group("second").with("/destination/prefix", "second/").apply().await;
    let queued = second.wait_phase(Phase::Queued).await;
    assert_eq!(condition(&queued, "Ready"), Some(("False".into(), "QuotaExceeded".into())));
    assert_eq!(condition(&queued, "Stalled"), None);
    // A task is no group: its own quota has room.
    world
        .migration("a-task")
        .with("/destination/prefix", "task/")
        .apply()
        .await
        .wait_phase(Phase::Succeeded)
        .await;
    world.emulator.clock().advance(Duration::from_hours(25));
    second.wait_phase(Phase::Succeeded).await;
    assert_eq!(world.effects("CreateTaskGroup").await.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readiness_means_what_the_spec_says_for_groups_too() {
    let world = slow().start().await;
    world.put_objects(30).await;
    let group = world.group("photos").with("/readyWhen", "Started").apply().await;
    let ready = group.wait_condition("Ready", "True", "Running").await;
    assert_eq!(phase_of(&ready), Some(Phase::Running));
    assert_eq!(condition(&ready, "Reconciling"), None);
    group.patch(json!({ "spec": { "readyWhen": "Accepted", "suspend": true } })).await;
    group.wait_condition("Ready", "True", "Suspended").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_of_a_folder_are_copied_by_a_group() {
    let world = quick().start().await;
    world.put_objects(6).await;
    let lists = world.destination_bucket("photos-archive");
    for (name, keys) in [("one", "00000.txt\n00001.txt\n"), ("two", "00003.txt\n")] {
        lists.put(&format!("lists/{name}.txt"), "text/plain", &[], keys.into()).await.unwrap();
    }
    let group = world
        .group("photos")
        .with("/type", "list")
        .without("/source/objectKeys")
        .with("/source/listFile", json!({ "bucket": "photos-archive", "key": "lists/" }))
        .apply()
        .await;
    let done = group.wait_phase(Phase::Succeeded).await;
    assert_eq!(members_of(&done).total, 2, "a task for every list");
    assert_eq!(done.status.unwrap().progress.unwrap().objects.succeeded, 3);
    assert_eq!(world.remote_groups().await[0]["task_type"], "LIST");
}
