//! Task groups that are busy when somebody wants something of them, and their further runs.

use oms_operator::api::{Phase, TaskGroup};
use serde_json::{Value, json};

use crate::migration::{Migration, message, phase_of};
use crate::world::{Setup, World, eventually};

/// A group that OMS is busy with for some seconds.
async fn busy(world: &World) -> Migration<'_, TaskGroup> {
    world.put_objects(30).await;
    let group = world.group("photos").apply().await;
    group.wait_condition("Ready", "False", "CreatingMembers").await;
    group
}

fn lasting() -> Setup {
    Setup::default()
        .behaving("groupTaskObjects", 10)
        .behaving("groupStartDelayMs", 50)
        .behaving("groupCreationMs", 4_000)
        .behaving("objectRate", 1.0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orphaned_a_group_that_creates_its_tasks_is_left_at_once() {
    let world = lasting().behaving("groupCreationMs", 3_600_000).start().await;
    let group = busy(&world).await;
    group.patch(json!({ "spec": { "deletionPolicy": "Orphan" } })).await;
    group.delete().await;
    group.wait_gone().await;
    assert_eq!(world.remote_groups().await[0]["status"], 1, "OMS goes on with it");
    for operation in ["StopTaskGroup", "DeleteTaskGroup"] {
        assert_eq!(world.journal(operation).await, Vec::<Value>::new());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopped_and_kept_a_group_that_creates_its_tasks_is_stopped_once_it_has_them() {
    let world = lasting().start().await;
    let group = busy(&world).await;
    group.patch(json!({ "spec": { "deletionPolicy": "StopAndKeep" } })).await;
    group.delete().await;
    let waiting = |group: &TaskGroup| {
        phase_of(group) == Some(Phase::Deleting)
            && message(group, "Ready").contains("waits until it has created")
    };
    group.wait("says what it waits for", waiting).await;
    group.wait_gone().await;
    assert_eq!(world.remote_groups().await[0]["status"], 3, "it is stopped");
    let asked = world.journal("StopTaskGroup").await;
    assert!(asked.len() <= 2, "OMS was not hammered: {asked:#?}");
    assert_eq!(world.journal("DeleteTaskGroup").await, Vec::<Value>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_word_makes_a_new_group_and_deletion_takes_every_record() {
    let world = lasting().behaving("groupCreationMs", 100).behaving("objectRate", 1_000.0).start().await;
    world.put_objects(20).await;
    let group = world.group("photos").apply().await;
    let first = group.wait_phase(Phase::Succeeded).await.status.unwrap();
    group.patch(json!({ "spec": { "rerun": "again" } })).await;
    let second = |group: &TaskGroup| {
        let status = group.status.as_ref().unwrap();
        status.run == Some(2) && status.phase == Some(Phase::Succeeded)
    };
    let status = group.wait("has succeeded in run 2", second).await.status.unwrap();
    assert_ne!(status.task_id, first.task_id);
    assert_eq!(Some(&status.history[0].task_id), first.task_id.as_ref());
    assert_eq!(status.history[0].objects.succeeded, 20);
    assert_eq!(status.progress.unwrap().objects.skipped, 20, "what is there is not copied again");
    assert_eq!(world.effects("CreateTaskGroup").await.len(), 2);
    assert_eq!(world.journal("RetryTaskGroup").await, Vec::<Value>::new());

    group.delete().await;
    group.wait_gone().await;
    eventually("both records are gone", async || {
        let groups = world.remote_groups().await;
        if groups.is_empty() { Ok(()) } else { Err(format!("{groups:#?}")) }
    })
    .await;
    assert_eq!(world.effects("DeleteTaskGroup").await.len(), 2);
}
