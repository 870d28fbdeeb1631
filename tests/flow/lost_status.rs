//! A status that was erased, and tasks at OMS that should not be there.

use oms_operator::api::{MigrationTask, Phase};
use serde_json::{Value, json};

use crate::operator::OperatorFlags;
use crate::world::{Setup, World, eventually};

fn id_of(task: &MigrationTask) -> Option<String> {
    task.status.as_ref()?.task_id.clone()
}

/// Erases the status as a person with kubectl does.
async fn erase_status(world: &World, name: &str) {
    world
        .kubectl(&["patch", "mt", name, "--subresource=status", "--type=merge", "-p", r#"{"status":null}"#])
        .await;
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

async fn wait_remote_ids(world: &World, mut expected: Vec<String>) {
    expected.sort();
    eventually(&format!("the tasks at OMS are {expected:?}"), async || {
        let mut ids: Vec<_> = world.remote_tasks().await.iter().map(|task| text(&task["id"])).collect();
        ids.sort();
        if ids == expected { Ok(()) } else { Err(format!("{ids:?}")) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_task_whose_status_was_erased_is_found_by_its_token() {
    let world = Setup::default().behaving("objectRate", 20.0).start().await;
    world.put_objects(60).await;
    let migration = world.migration("photos").apply().await;
    let before = migration.wait_condition("Ready", "False", "Running").await;
    erase_status(&world, "photos").await;
    let after = migration.wait_phase(Phase::Succeeded).await;
    assert_eq!(id_of(&before), id_of(&after));
    assert_eq!(world.effects("CreateTask").await.len(), 1);
    assert_eq!(after.status.unwrap().attempt, Some(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_whose_status_was_erased_before_its_deletion_is_not_left_behind() {
    let mut world = Setup::default().behaving("objectRate", 1.0).start().await;
    world.put_objects(60).await;
    let name = {
        let migration = world.migration("photos").apply().await;
        migration.wait_condition("Ready", "False", "Running").await;
        migration.name
    };
    // Nobody sees the erased status before the object is deleted.
    world.operator().kill();
    erase_status(&world, &name).await;
    world.existing(&name).delete().await;
    world.start_operator(&OperatorFlags::default()).await;
    world.existing(&name).wait_gone().await;
    assert_eq!(world.remote_tasks().await, Vec::<Value>::new());
    assert_eq!(world.effects("CreateTask").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_finished_task_whose_status_was_erased_is_not_migrated_again() {
    let world = World::start().await;
    world.put_objects(3).await;
    let migration = world.migration("photos").apply().await;
    let before = migration.wait_phase(Phase::Succeeded).await;
    for round in 0..3 {
        erase_status(&world, "photos").await;
        let after = migration.wait_phase(Phase::Succeeded).await;
        assert_eq!(id_of(&before), id_of(&after), "round {round}");
    }
    assert_eq!(world.journal("CreateTask").await.len(), 1);
    assert_eq!(world.destination.object("photos-archive", "00000.txt").unwrap().writes, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attempt_after_the_first_keeps_its_number_when_the_status_is_erased() {
    let world = Setup::default().behaving("taskStartDelayMs", 3_600_000).start().await;
    world.put_objects(1).await;
    let migration = world.migration("photos").apply().await;
    migration.wait_condition("Ready", "False", "WaitingAtOMS").await;
    migration.suspend(true).await;
    migration.wait_phase(Phase::Stopped).await;
    wait_remote_ids(&world, Vec::new()).await;
    migration.suspend(false).await;
    let holds = |task: &MigrationTask| {
        task.status.as_ref().is_some_and(|status| status.attempt == Some(2) && status.task_id.is_some())
    };
    let before = migration.wait("is attempt 2", holds).await;
    erase_status(&world, "photos").await;
    let after = migration.wait("is attempt 2 again", holds).await;
    assert_eq!(id_of(&before), id_of(&after));
    assert_eq!(world.effects("CreateTask").await.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_tasks_with_the_token_one_is_kept_and_the_other_removed() {
    let mut world = Setup::default().behaving("objectRate", 20.0).start().await;
    world.put_objects(120).await;
    let migration = world.migration("photos").apply().await;
    migration.wait_condition("Ready", "False", "Running").await;
    let description = text(&world.remote_tasks().await[0]["description"]);
    // As after a very late call: neither the status nor the process knows which of the two is right.
    let name = migration.name.clone();
    world.operator().kill();
    world.console().create_task(&description, "behind/").await;
    erase_status(&world, &name).await;
    world.start_operator(&OperatorFlags::default()).await;

    world.wait_event(&name, "DuplicateRemote").await;
    let migration = world.existing(&name);
    let done = migration.wait_phase(Phase::Succeeded).await;
    wait_remote_ids(&world, vec![id_of(&done).unwrap()]).await;
    assert_eq!(world.effects("DeleteTask").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_recorded_task_is_kept_when_a_second_one_with_its_token_appears() {
    let world = Setup::default().behaving("objectRate", 2.0).start().await;
    world.put_objects(120).await;
    let mut recorded = Vec::new();
    // So many that the operator lists them instead of reading each.
    for number in 0..4 {
        let draft = world.migration(&format!("photos-{number}"));
        let migration = draft.with("/destination/prefix", format!("{number}/")).apply().await;
        let task = migration.wait_condition("Ready", "False", "Running").await;
        recorded.push(id_of(&task).unwrap());
    }
    let tasks = world.remote_tasks().await;
    let first = tasks.iter().find(|task| text(&task["id"]) == recorded[0]).unwrap();
    let duplicate = world.console().create_task(&text(&first["description"]), "behind/").await;
    let foreign = world.console().create_task("made by somebody else", "behind/").await;
    world.wait_event("photos-0", "DuplicateRemote").await;

    let mut expected = recorded.clone();
    expected.push(foreign.clone());
    wait_remote_ids(&world, expected).await;
    let deleted = world.effects("DeleteTask").await;
    assert_eq!(deleted.len(), 1);
    assert_eq!(deleted[0]["task"], json!(duplicate));
    for entry in world.journal("*").await {
        let shown = entry["operation"] == "ShowTask" || entry["operation"] == "CreateTask";
        assert!(entry["task"] != json!(foreign) || shown, "a foreign task was touched: {entry}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_task_that_was_stopped_when_the_operator_died_is_removed_by_the_next_one() {
    let mut world = Setup::default().behaving("objectRate", 2.0).start().await;
    world.put_objects(120).await;
    let (name, recorded) = {
        let migration = world.migration("photos").apply().await;
        let task = migration.wait_condition("Ready", "False", "Running").await;
        (migration.name, id_of(&task).unwrap())
    };
    world.operator().kill();
    let description = text(&world.remote_tasks().await[0]["description"]);
    let duplicate = world.console().create_task(&description, "behind/").await;
    // As if the operator had died between the stop and the deletion.
    world.console().stop_task(&duplicate).await;
    eventually("the second task is stopped", async || {
        let tasks = world.remote_tasks().await;
        let task = tasks.iter().find(|task| text(&task["id"]) == duplicate).unwrap();
        if task["status"] == 3 { Ok(()) } else { Err(task["status"].to_string()) }
    })
    .await;

    world.start_operator(&OperatorFlags::default()).await;
    world.wait_event(&name, "DuplicateRemote").await;
    wait_remote_ids(&world, vec![recorded.clone()]).await;
    assert_eq!(id_of(&world.existing(&name).get().await), Some(recorded));
}
