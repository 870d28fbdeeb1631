//! Failed tasks are started again as `spec.retry` says: the same task, what failed, and not for ever.

use oms_operator::api::{MigrationTask, Phase, RetryObjects};
use oms_operator::emulator::store::{StoreBehaviour, Unavailable};
use serde_json::{Value, json};

use crate::migration::{condition, message};
use crate::operator::OperatorFlags;
use crate::world::{Setup, World};

/// A world whose minutes between two attempts take a second.
fn hurried() -> Setup {
    Setup::default().operated(OperatorFlags::default().scaled(60))
}

/// Shortens the patience that OMS has with one object.
async fn hurry(world: &World) {
    world.tell_emulator("/clock", json!({ "scale": 30.0 })).await;
}

/// Lets the source refuse one object, or none.
fn refuse(world: &World, prefix: Option<&str>) {
    let unavailable = prefix.map(|prefix| Unavailable {
        operations: vec!["GetObject".into()],
        key_prefix: prefix.into(),
        ..Unavailable::default()
    });
    world.source.handle().set_behaviour(StoreBehaviour { unavailable, ..StoreBehaviour::default() });
}

fn id(task: &MigrationTask) -> Option<String> {
    task.status.as_ref()?.task_id.clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_objects_that_failed_are_copied_again_by_the_same_task() {
    let world = hurried().start().await;
    world.put_objects(40).await;
    hurry(&world).await;
    refuse(&world, Some("00007"));
    let migration = world.migration("photos").with("/retry", json!({ "limit": 100 })).apply().await;
    let failed = migration.wait_condition("Ready", "False", "RetryScheduled").await;
    let status = failed.status.clone().unwrap();
    assert_eq!(status.phase, Some(Phase::Retrying));
    assert_eq!(status.failed_objects.as_ref().map(|failed| failed.count), Some(1));
    assert!(status.next_attempt_at.is_some());
    let told = message(&failed, "Ready");
    assert!(told.contains("starts the failed objects again by itself, as retry 1 of 100"), "{told}");

    refuse(&world, None);
    let done = migration.wait_phase(Phase::Succeeded).await;
    assert_eq!(id(&done), id(&failed), "the same task");
    let retries = done.status.unwrap().retries.unwrap();
    assert!(retries.made >= 1, "{retries:?}");
    assert_eq!(retries.objects, RetryObjects::Failed);
    for number in 0..40 {
        let key = format!("{number:05}.txt");
        assert_eq!(world.destination.object("photos-archive", &key).unwrap().writes, 1, "{key}");
    }
    assert_eq!(world.effects("CreateTask").await.len(), 1);
    let starts = i64::try_from(world.effects("StartTask").await.len()).unwrap();
    assert_eq!(starts, retries.made, "every start is counted");
    let asked = world.requests("StartTask");
    assert!(asked.iter().all(|start| start["migrate_failed_object"] == true), "only what failed, each time");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_that_is_used_up_ends_it_and_a_higher_one_goes_on() {
    let world = hurried().start().await;
    world.put_objects(3).await;
    let fault = json!({ "kind": "failTask", "code": "TRF.0001", "message": "Trouble." });
    world.fault(fault).await;
    let retry = json!({ "limit": 2, "objects": "All" });
    let migration = world.migration("photos").with("/retry", retry).apply().await;
    let given_up = migration.wait_condition("Stalled", "True", "RetryLimitReached").await;
    let status = given_up.status.clone().unwrap();
    assert_eq!((status.phase, status.retries.unwrap().made), (Some(Phase::Failed), 2));
    assert_eq!(status.next_attempt_at, None);
    assert!(message(&given_up, "Ready").contains("raise the limit"));
    assert_eq!(world.effects("StartTask").await.len(), 2);
    world.let_polls_pass(12).await;
    assert_eq!(world.journal("StartTask").await.len(), 2, "and no more");

    world.clear_faults().await;
    migration.patch(json!({ "spec": { "retry": { "limit": 3 } } })).await;
    let done = migration.wait_phase(Phase::Succeeded).await;
    assert_eq!(id(&done), id(&given_up));
    assert_eq!(done.status.unwrap().retries.unwrap().made, 3);
    assert_eq!(world.effects("CreateTask").await.len(), 1);
    let asked = world.requests("StartTask");
    assert!(asked.iter().all(|start| start["migrate_failed_object"] != true), "`objects: All` is all");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limit_zero_starts_nothing_and_says_whose_move_it_is() {
    let world = hurried().start().await;
    world.put_objects(3).await;
    world.fault(json!({ "kind": "failTask", "code": "TRF.0151", "message": "Wrong keys." })).await;
    let migration = world.migration("photos").with("/retry", json!({ "limit": 0 })).apply().await;
    let failed = migration.wait_condition("Ready", "False", "RetryLimitReached").await;
    assert!(message(&failed, "Ready").contains("`spec.retry.limit` is 0"));
    world.let_polls_pass(12).await;
    assert_eq!(world.journal("StartTask").await, Vec::<Value>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_oms_refuses_about_its_list_is_told_and_all_objects_are_the_way_out() {
    let world = hurried().start().await;
    world.put_objects(5).await;
    hurry(&world).await;
    refuse(&world, Some("00003"));
    let refusal = json!({
        "operation": "StartTask", "kind": "status", "status": 400, "code": "OMS.0308",
        "message": "The list of failed objects is incomplete.",
    });
    world.fault(refusal).await;
    let migration = world.migration("photos").with("/retry", json!({ "limit": 9 })).apply().await;
    let refused = migration.wait_condition("Stalled", "True", "RetryNotPossible").await;
    let told = message(&refused, "Ready");
    assert!(told.contains("OMS.0308") && told.contains("Set `spec.retry.objects` to All"), "{told}");
    let asked = world.journal("StartTask").await.len();
    world.let_polls_pass(8).await;
    assert_eq!(world.journal("StartTask").await.len(), asked, "a refusal of the list is not tried again");

    world.clear_faults().await;
    refuse(&world, None);
    migration.patch(json!({ "spec": { "retry": { "objects": "All" } } })).await;
    let done = migration.wait_phase(Phase::Succeeded).await;
    assert_eq!(condition(&done, "Stalled"), None);
    assert_eq!(world.effects("CreateTask").await.len(), 1);
}
