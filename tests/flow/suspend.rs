//! Suspend and resume: nothing is copied twice, and nothing is created that nobody wants.

use oms_operator::api::Phase;
use serde_json::{Value, json};
use std::time::Duration;

use crate::migration::{condition, phase_of};
use crate::world::{Setup, World, eventually};

async fn copied(world: &World) -> u64 {
    world.remote_tasks().await.first().and_then(|task| task["successful_num"].as_u64()).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_objects_suspended_half_way_and_resumed_are_copied_once_each() {
    const COUNT: usize = 1_000;
    let world = Setup::default().behaving("objectRate", 250.0).start().await;
    world.put_objects(COUNT).await;
    let migration = world.migration("photos").apply().await;
    eventually("about half is copied", async || {
        let copied = copied(&world).await;
        if copied >= 300 { Ok(()) } else { Err(format!("{copied} copied")) }
    })
    .await;
    migration.suspend(true).await;
    let stopped = migration.wait_phase(Phase::Stopped).await;
    assert_eq!(condition(&stopped, "Ready"), Some(("False".into(), "Suspended".into())));
    assert_eq!(condition(&stopped, "Stalled"), None);
    let half = copied(&world).await;
    assert!((300..COUNT as u64).contains(&half), "{half} copied when it was stopped");
    world.let_polls_pass(6).await;
    assert_eq!(copied(&world).await, half, "a suspended task copies nothing");

    migration.suspend(false).await;
    let done = migration.wait_phase(Phase::Succeeded).await;
    let progress = done.status.unwrap().progress.unwrap();
    assert_eq!((progress.percent, progress.objects.total), (100, COUNT as u64));
    for number in 0..COUNT {
        let key = format!("{number:05}.txt");
        let object =
            world.destination.object("photos-archive", &key).unwrap_or_else(|| panic!("{key} is missing"));
        assert_eq!(object.writes, 1, "{key} was copied again");
    }
    assert_eq!(world.effects("CreateTask").await.len(), 1);
    assert_eq!(world.effects("StopTask").await.len(), 1);
    assert_eq!(world.effects("StartTask").await.len(), 1);
    world.wait_event("photos", "Suspended").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn suspending_a_task_that_waits_at_oms_deletes_its_record_and_resuming_makes_the_next_attempt() {
    let world = Setup::default().behaving("taskStartDelayMs", 3_600_000).start().await;
    world.put_objects(3).await;
    let migration = world.migration("photos").apply().await;
    migration.wait_condition("Ready", "False", "WaitingAtOMS").await;
    let first = migration.wait("has an ID", |task| task.status.as_ref().unwrap().task_id.is_some()).await;

    migration.suspend(true).await;
    migration.wait_phase(Phase::Stopped).await;
    eventually("the record is deleted", async || {
        let tasks = world.remote_tasks().await;
        if tasks.is_empty() { Ok(()) } else { Err(format!("{tasks:#?}")) }
    })
    .await;

    migration.suspend(false).await;
    let second = migration
        .wait("is attempt 2", |task| {
            let status = task.status.as_ref().unwrap();
            status.attempt == Some(2) && status.task_id.is_some()
        })
        .await;
    let id = |task: &oms_operator::api::MigrationTask| task.status.as_ref().unwrap().task_id.clone();
    assert_ne!(id(&first), id(&second));
    assert_eq!(world.effects("CreateTask").await.len(), 2);
    assert_eq!(world.effects("DeleteTask").await.len(), 1);

    world.emulator.clock().advance(Duration::from_hours(1));
    migration.wait_phase(Phase::Succeeded).await;
    assert_eq!(world.remote_tasks().await.len(), 1);
    assert_eq!(world.journal("StopTask").await, Vec::<Value>::new(), "OMS cannot stop what waits");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_suspended_from_the_start_is_not_created_until_it_is_resumed() {
    let world = World::start().await;
    world.put_objects(3).await;
    let migration = world.migration("photos").with("/suspend", true).apply().await;
    migration.wait_phase(Phase::Stopped).await;
    world.let_polls_pass(8).await;
    assert_eq!(world.journal("CreateTask").await, Vec::<Value>::new());
    // Nothing is created, so everything can still be edited.
    migration.patch(json!({ "spec": { "destination": { "prefix": "edited/" } } })).await;

    migration.suspend(false).await;
    migration.wait_phase(Phase::Succeeded).await;
    assert_eq!(world.effects("CreateTask").await.len(), 1);
    assert!(world.destination.object("photos-archive", "edited/00000.txt").is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ready_means_what_the_spec_says_while_a_task_is_held_and_while_it_runs() {
    let world = Setup::default().behaving("objectRate", 10.0).start().await;
    world.put_objects(40).await;
    let migration =
        world.migration("photos").with("/suspend", true).with("/readyWhen", "Accepted").apply().await;
    let held = migration.wait_condition("Ready", "True", "Suspended").await;
    assert_eq!(phase_of(&held), Some(Phase::Stopped));
    assert_eq!(world.journal("CreateTask").await, Vec::<Value>::new());
    migration.patch(json!({ "spec": { "readyWhen": "Started" } })).await;
    migration.wait_condition("Ready", "False", "Suspended").await;
    migration.suspend(false).await;
    let started = migration.wait_condition("Ready", "True", "Running").await;
    assert_eq!(condition(&started, "Reconciling"), None);
    migration.wait_condition("Ready", "True", "Succeeded").await;
}
