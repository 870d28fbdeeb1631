//! Keys of buckets that change or end while OMS has the task: what they were replaced with reaches it as
//! `onCredentialChange` says, and nothing is migrated again for it.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams};
use oms_operator::api::{MigrationTask, Phase};
use serde_json::{Value, json};

use crate::crash::wait_struck;
use crate::migration::{Migration, condition, message};
use crate::operator::OperatorFlags;
use crate::world::{CONNECTION, OMS_SECRET, SOURCE_SECRET, Setup, World, eventually};

/// A world whose tasks run for very long.
fn slow() -> Setup {
    Setup::default().behaving("objectRate", 1.0)
}

/// Writes other keys into the Secret of the source, as tools for rotation do: in place.
async fn rotate(world: &World, keys: &[(&str, &str)]) {
    let data: serde_json::Map<_, _> =
        keys.iter().map(|(key, value)| ((*key).to_owned(), json!(value))).collect();
    change_secret(world, json!({ "data": null, "stringData": data })).await;
}

async fn change_secret(world: &World, patch: Value) {
    let secrets = world.api::<Secret>();
    secrets.patch(SOURCE_SECRET, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
}

/// The keys that open the source.
fn right(world: &World) -> [(&'static str, &str); 2] {
    [("accessKey", &world.source_keys.access), ("secretKey", &world.source_keys.secret)]
}

/// Keys that open nothing.
const WRONG: [(&str, &str); 2] = [("accessKey", "AKWRONG"), ("secretKey", "sk-wrong-never-to-be-seen")];

fn digest(task: &MigrationTask) -> Option<String> {
    let sent = &task.status.as_ref()?.observed_credentials;
    sent.iter().find(|sent| sent.role == "source").map(|sent| sent.digest.clone())
}

fn id(task: &MigrationTask) -> Option<String> {
    task.status.as_ref()?.task_id.clone()
}

async fn running<'w>(world: &'w World, policy: &str) -> Migration<'w> {
    world.put_objects(200).await;
    let migration = world.migration("photos").with("/onCredentialChange", policy).apply().await;
    migration.wait_condition("Ready", "False", "Running").await;
    copied(world, 1).await;
    migration
}

/// Waits until the task of the second attempt is on record.
async fn wait_created_anew(migration: &Migration<'_>) -> MigrationTask {
    migration
        .wait("is attempt 2", |task| {
            let status = task.status.as_ref().unwrap();
            status.attempt == Some(2) && status.task_id.is_some()
        })
        .await
}

/// Waits until so many objects have arrived.
async fn copied(world: &World, count: usize) {
    let bucket = world.destination_bucket("photos-archive");
    eventually(&format!("{count} objects arrived"), async || {
        let there = bucket.keys().await.map_err(|error| error.to_string())?.len();
        if there >= count { Ok(()) } else { Err(format!("{there}")) }
    })
    .await;
}

/// Lets what is left be copied at once, and checks that every object was written once.
async fn ends_with_every_object_once(world: &World, migration: &Migration<'_>) -> MigrationTask {
    world.emulator.clock().set_scale(1000.0);
    let done = migration.wait_phase(Phase::Succeeded).await;
    for number in 0..200 {
        let key = format!("{number:05}.txt");
        assert_eq!(world.destination.object("photos-archive", &key).unwrap().writes, 1, "{key}");
    }
    assert_eq!(world.effects("CreateTask").await.len(), 1, "nothing is migrated again");
    done
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_that_waits_at_oms_is_created_anew_with_the_new_keys() {
    let world = Setup::default().behaving("taskStartDelayMs", 3_600_000).start().await;
    world.put_objects(3).await;
    rotate(&world, &WRONG).await;
    let migration = world.migration("photos").apply().await;
    let first = migration.wait_condition("Ready", "False", "WaitingAtOMS").await;
    rotate(&world, &right(&world)).await;
    let second = wait_created_anew(&migration).await;
    assert_ne!((id(&first), digest(&first)), (id(&second), digest(&second)));
    assert_eq!(world.effects("DeleteTask").await.len(), 1);
    assert_eq!(world.effects("CreateTask").await.len(), 2);
    world.emulator.clock().advance(Duration::from_hours(1));
    let done = migration.wait_phase(Phase::Succeeded).await;
    assert_eq!(id(&done), id(&second));
    assert_eq!(world.remote_tasks().await.len(), 1);
    assert!(migration.status().await.renewing_keys_since.is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_that_change_while_the_create_is_under_way_are_noticed_although_nothing_can_be_done_at_once() {
    let world = Setup::default().behaving("taskStartDelayMs", 3_600_000).start().await;
    world.put_objects(3).await;
    rotate(&world, &WRONG).await;
    let late = json!({ "operation": "CreateTask", "kind": "delay", "delayMs": 2000, "afterEffect": true, "times": 1 });
    world.fault(late).await;
    let migration = world.migration("photos").apply().await;
    wait_struck(&world).await;
    // The ID is not on record yet, and the task not in sight when it is.
    rotate(&world, &right(&world)).await;
    wait_created_anew(&migration).await;
    world.emulator.clock().advance(Duration::from_hours(1));
    migration.wait_phase(Phase::Succeeded).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_that_runs_goes_on_and_says_that_its_keys_are_the_former_ones() {
    let world = slow().start().await;
    let migration = running(&world, "NextStart").await;
    rotate(&world, &WRONG).await;
    let told = migration.wait_condition("CredentialsPending", "True", "CredentialsRotated").await;
    let words = message(&told, "CredentialsPending");
    assert!(words.contains("RestartRunning"), "{words}");
    assert_eq!(told.status.unwrap().phase, Some(Phase::Running));
    // The same keys as before: nothing is pending any more.
    rotate(&world, &right(&world)).await;
    migration.wait("is told no more", |task| condition(task, "CredentialsPending").is_none()).await;
    assert_eq!(world.effects("StopTask").await, Vec::<Value>::new());
    ends_with_every_object_once(&world, &migration).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relabelled_secret_and_a_policy_that_ignores_keys_change_nothing() {
    let world = slow().start().await;
    let migration = running(&world, "RestartRunning").await;
    let before = digest(&migration.get().await);
    change_secret(&world, json!({ "metadata": { "labels": { "team": "media" } } })).await;
    // The request for a look is answered after the look.
    migration.nudge("relabelled").await;
    migration
        .wait("has looked", |task| {
            let status = task.status.as_ref().unwrap();
            status.last_handled_reconcile_at.as_deref() == Some("relabelled")
        })
        .await;
    migration.patch(json!({ "spec": { "onCredentialChange": "Ignore" } })).await;
    migration
        .wait("has seen the edit", |task| {
            task.status.as_ref().map(|status| status.observed_generation) == task.metadata.generation
        })
        .await;
    rotate(&world, &WRONG).await;
    migration.nudge("rotated").await;
    let looked = migration
        .wait("has looked", |task| {
            let status = task.status.as_ref().unwrap();
            status.last_handled_reconcile_at.as_deref() == Some("rotated")
        })
        .await;
    assert_eq!((digest(&looked), condition(&looked, "CredentialsPending")), (before, None));
    world.let_polls_pass(4).await;
    assert_eq!(world.effects("StopTask").await, Vec::<Value>::new());
    assert_eq!(world.effects("StartTask").await, Vec::<Value>::new());
    ends_with_every_object_once(&world, &migration).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_task_is_restarted_with_new_keys_and_one_that_failed_with_them_with_the_next_ones() {
    let world = slow().start().await;
    let migration = running(&world, "RestartRunning").await;
    let first = migration.get().await;
    // Keys that open nothing: only that they were sent can fail the task.
    rotate(&world, &WRONG).await;
    let failed = migration.wait_condition("Ready", "False", "TaskFailed").await;
    assert_eq!((world.effects("StopTask").await.len(), world.effects("StartTask").await.len()), (1, 1));
    assert_ne!(digest(&failed), digest(&first));
    assert_eq!(failed.status.as_ref().unwrap().phase, Some(Phase::Failed));
    let words = message(&failed, "Ready");
    assert!(words.contains("Put other keys into the Secret"), "{words}");
    // It gave up, and costs OMS nothing while it waits for other keys.
    let calls = world.journal("*").await.len();
    world.let_polls_pass(6).await;
    let looks: Vec<_> = world.journal("*").await.split_off(calls);
    assert!(looks.iter().all(|call| call["task"].is_null()), "{looks:#?}");

    rotate(&world, &right(&world)).await;
    let done = ends_with_every_object_once(&world, &migration).await;
    assert_eq!((id(&done), digest(&done)), (id(&first), digest(&first)), "the same task, the first keys");
    assert_eq!(world.effects("StartTask").await.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_that_is_stopped_gets_the_new_keys_when_it_is_resumed() {
    let world = slow().start().await;
    let migration = running(&world, "NextStart").await;
    migration.suspend(true).await;
    let stopped = migration.wait_phase(Phase::Stopped).await;
    rotate(&world, &WRONG).await;
    world.let_polls_pass(4).await;
    assert_eq!(digest(&migration.get().await), digest(&stopped), "nothing was sent");
    migration.suspend(false).await;
    let failed = migration.wait_condition("Ready", "False", "TaskFailed").await;
    assert_ne!(digest(&failed), digest(&stopped), "the keys of that moment were sent");
    rotate(&world, &right(&world)).await;
    ends_with_every_object_once(&world, &migration).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retry_that_is_due_later_comes_at_once_with_new_keys() {
    let world = World::start().await;
    world.put_objects(5).await;
    rotate(&world, &WRONG).await;
    let migration = world.migration("photos").with("/retry", json!({ "limit": 1 })).apply().await;
    let failed = migration.wait_condition("Ready", "False", "RetryScheduled").await;
    let due = failed.status.as_ref().unwrap().next_attempt_at.clone().unwrap().0;
    rotate(&world, &right(&world)).await;
    let done = migration.wait_phase(Phase::Succeeded).await;
    assert!(Timestamp::now() < due, "it did not wait for {due}");
    assert_eq!((id(&done), done.status.unwrap().retries.unwrap().made), (id(&failed), 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_and_a_sync_task_are_restarted_with_new_keys_too() {
    let world = slow().start().await;
    world.put_objects(200).await;
    let group = world.group("many").with("/onCredentialChange", "RestartRunning").apply().await;
    let sync = world.sync_task("steady").with("/onCredentialChange", "RestartRunning").apply().await;
    group.wait_condition("Ready", "False", "Running").await;
    sync.wait_phase(Phase::Synchronizing).await;
    rotate(&world, &WRONG).await;
    // OMS looks at the keys when it starts a sync task, and a task of a group fails with them.
    let refused = sync.wait_condition("Ready", "False", "CredentialsRejected").await;
    assert!(message(&refused, "Ready").contains("source.credentials"), "{}", message(&refused, "Ready"));
    group.wait_phase(Phase::Failed).await;
    rotate(&world, &right(&world)).await;
    let kept = sync.wait_condition("Ready", "True", "Synchronizing").await;
    group.wait_condition("Ready", "False", "Running").await;
    for operation in ["StopTaskGroup", "StartTaskGroup", "RetryTaskGroup", "StopSyncTask", "StartSyncTask"] {
        assert_eq!(world.effects(operation).await.len(), 1, "{operation}");
    }
    assert_eq!(kept.status.unwrap().attempt, Some(1));
    assert_eq!(world.effects("CreateSyncTask").await.len(), 1);
    assert_eq!(world.effects("CreateTaskGroup").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn temporary_keys_warn_before_they_end_and_are_not_sent_afterwards() {
    let world = slow().start().await;
    world.put_objects(200).await;
    let until = |span: Duration| (Timestamp::now() + span).to_string();
    let [access, secret] = right(&world);
    let keys = |end: &str| {
        let keys = [access, secret, ("securityToken", "a-token-that-must-not-be-seen"), ("ends", end)];
        keys.map(|(key, value)| (key.to_owned(), value.to_owned()))
    };
    let write = async |end: &str| {
        let keys = keys(end);
        let keys: Vec<_> = keys.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        rotate(&world, &keys).await;
    };
    write("2026-11-30T08:00:00Z").await;
    let reference = json!({ "name": SOURCE_SECRET, "keys": { "expiration": "ends" } });
    let migration = world
        .migration("photos")
        .with("/source/credentials/secretRef", reference)
        .with("/onCredentialChange", "RestartRunning")
        .apply()
        .await;
    let ended = migration.wait_condition("Ready", "False", "TemporaryKeysEnded").await;
    let words = message(&ended, "Ready");
    assert!(words.contains(SOURCE_SECRET) && words.contains("2026-11-30T08:00:00Z"), "{words}");
    write("tomorrow").await;
    let unclear = migration.wait_condition("Ready", "False", "SecretKeyMissing").await;
    assert!(message(&unclear, "Ready").contains("no moment under the key `ends`"), "{unclear:#?}");

    write(&until(Duration::from_mins(30))).await;
    let warned = migration.wait_condition("CredentialsExpiring", "True", "TemporaryKeysEnding").await;
    let words = message(&warned, "CredentialsExpiring");
    assert!(words.contains("the operator starts the task again with them"), "{words}");
    assert!(warned.status.unwrap().observed_credentials[0].expires_at.is_some());
    world.wait_event("photos", "TemporaryKeysEnding").await;

    // Renewed in time: another token, which ends later.
    let renewed = [
        access,
        secret,
        ("securityToken", "the-next-token-not-to-be-seen"),
        ("ends", &until(Duration::from_hours(9))),
    ];
    rotate(&world, &renewed).await;
    migration
        .wait("has keys that last", |task| {
            condition(task, "CredentialsExpiring").is_none()
                && condition(task, "Ready") == Some(("False".into(), "Running".into()))
        })
        .await;
    assert_eq!(world.effects("StartTask").await.len(), 1);
    ends_with_every_object_once(&world, &migration).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_that_oms_wiped_after_thirty_days_of_waiting_are_supplied_again() {
    // A minute before the next attempt takes a second.
    let world = Setup::default()
        .limited("runningTasks", 0)
        .operated(OperatorFlags::default().scaled(60))
        .start()
        .await;
    world.put_objects(1).await;
    let migration = world.migration("photos").apply().await;
    let waiting = migration.wait_condition("Ready", "False", "WaitingAtOMS").await;
    world.emulator.clock().advance(Duration::from_hours(30 * 24));
    // A start without keys would be refused: OMS has none of this task any more.
    eventually("the task was started again", async || match world.effects("StartTask").await.len() {
        0 => Err(format!("{:#?}", migration.status().await)),
        _ => Ok(()),
    })
    .await;
    let again = migration.wait_condition("Ready", "False", "WaitingAtOMS").await;
    assert_eq!((id(&again), digest(&again)), (id(&waiting), digest(&waiting)));
    assert_eq!(again.status.unwrap().failure, None);
    assert_eq!(world.effects("CreateTask").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_tells_when_its_temporary_keys_end_and_uses_none_that_have() {
    let world = World::start().await;
    world.wait_connection(CONNECTION, "True", "Connected").await;
    let keys = world.oms_keys.clone();
    let write = async |end: &str| {
        let token = ("securityToken", "a-token-that-must-not-be-seen");
        let pair = [("accessKey", keys.access.as_str()), ("secretKey", keys.secret.as_str())];
        world.secret(OMS_SECRET, &[pair[0], pair[1], token, ("expiration", end)]).await;
    };
    write("2026-11-30T08:00:00Z").await;
    let ended = world.wait_connection(CONNECTION, "False", "TemporaryKeysEnded").await;
    let told = format!("{:?}", ended.status);
    assert!(told.contains(OMS_SECRET) && told.contains("2026-11-30T08:00:00Z"), "{told}");
    write("2099-01-01T00:00:00Z").await;
    let usable = world.wait_connection(CONNECTION, "True", "Connected").await;
    let until = usable.status.unwrap().credentials.unwrap().valid_until.unwrap().0;
    assert_eq!(until.to_string(), "2099-01-01T00:00:00Z");
}
