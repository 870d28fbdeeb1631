//! The operator is killed around the create call, or loses its answer: exactly one task comes of it.

use oms_operator::api::{MigrationTask, Phase};
use serde_json::{Value, json};

use crate::migration::Migration;
use crate::operator::OperatorFlags;
use crate::world::{Setup, World, eventually};

/// Fast enough that the twenty minutes after a create of unknown outcome take some seconds.
const FAST: u32 = 120;

async fn connected(setup: Setup) -> World {
    let world = setup.start().await;
    world.put_objects(3).await;
    world.wait_connection("default", "True", "Connected").await;
    world
}

/// Waits until a fault has struck.
pub(crate) async fn wait_struck(world: &World) {
    eventually("the fault strikes", async || {
        let faults = world.admin("/faults").await;
        let struck =
            faults["faults"].as_array().unwrap().iter().any(|fault| fault["struck"].as_u64() > Some(0));
        if struck { Ok(()) } else { Err(faults.to_string()) }
    })
    .await;
}

async fn one_task_succeeds(world: &World, migration: &Migration<'_>) {
    let done = migration.wait_phase(Phase::Succeeded).await;
    let created = world.effects("CreateTask").await;
    assert_eq!(created.len(), 1, "exactly one task was created: {created:#?}");
    let tasks = world.remote_tasks().await;
    assert_eq!(tasks.len(), 1, "{tasks:#?}");
    let status = done.status.unwrap();
    assert_eq!(created[0]["task"].as_str(), status.task_id.as_deref());
    assert_eq!((status.create, status.attempt), (None, Some(1)));
    assert_eq!(written_once(world).await, 3);
}

/// How many objects have arrived, each written exactly once.
async fn written_once(world: &World) -> usize {
    let mut keys = world.destination_bucket("photos-archive").keys().await.unwrap();
    keys.retain(|key| !key.starts_with("oms/task/"));
    for key in &keys {
        assert_eq!(
            world.destination.object("photos-archive", key).unwrap().writes,
            1,
            "{key} was written again"
        );
    }
    keys.len()
}

fn intends(task: &MigrationTask) -> bool {
    task.status.as_ref().is_some_and(|status| status.create.is_some())
}

fn sent(task: &MigrationTask) -> bool {
    task.status
        .as_ref()
        .and_then(|status| status.create.as_ref())
        .is_some_and(|create| create.sent_at.is_some())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_right_before_the_create_call_it_creates_one_task_later() {
    let mut world = connected(Setup::default()).await;
    // The search before the create never ends, so the intent is written and nothing was sent.
    world.fault(json!({ "operation": "ListTasks", "kind": "hang", "times": 1 })).await;
    let applied = world.migration("photos").apply().await;
    applied.wait("has an intent", intends).await;
    wait_struck(&world).await;
    let name = applied.name.clone();
    world.operator().kill();
    assert_eq!(world.journal("CreateTask").await, Vec::<Value>::new(), "killed before the call");
    world.clear_faults().await;

    world.start_operator(&OperatorFlags::default()).await;
    one_task_succeeds(&world, &world.existing(&name)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_during_a_create_call_that_had_an_effect_it_finds_the_task() {
    let mut world = connected(Setup::default()).await;
    world.fault(json!({ "operation": "CreateTask", "kind": "hang", "afterEffect": true, "times": 1 })).await;
    let applied = world.migration("photos").apply().await;
    applied.wait("is being sent", sent).await;
    wait_struck(&world).await;
    let name = applied.name.clone();
    world.operator().kill();
    world.clear_faults().await;

    world.start_operator(&OperatorFlags::default()).await;
    one_task_succeeds(&world, &world.existing(&name)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_during_a_create_call_that_had_no_effect_it_creates_again_after_the_fence() {
    let mut world = connected(Setup::default()).await;
    world.fault(json!({ "operation": "CreateTask", "kind": "hang", "times": 1 })).await;
    let applied = world.migration("photos").apply().await;
    applied.wait("is being sent", sent).await;
    wait_struck(&world).await;
    let name = applied.name.clone();
    world.operator().kill();
    world.clear_faults().await;

    // At its real pace it does not create as long as the lost call may still arrive.
    let slow = world.start_operator(&OperatorFlags::default()).await;
    let migration = world.existing(&name);
    migration.wait_condition("Ready", "False", "CreateUnconfirmed").await;
    world.let_polls_pass(8).await;
    assert_eq!(world.effects("CreateTask").await, Vec::<Value>::new(), "the fence holds");
    world.operators[slow].kill();

    world.start_operator(&OperatorFlags::default().scaled(FAST)).await;
    one_task_succeeds(&world, &world.existing(&name)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_right_after_the_create_call_it_goes_on_with_the_task() {
    let mut world = connected(Setup::default()).await;
    let name = world.migration("photos").apply().await.name;
    eventually("the create call is over", async || {
        let created = world.effects("CreateTask").await;
        if created.is_empty() { Err("no create".to_owned()) } else { Ok(()) }
    })
    .await;
    world.operator().kill();

    world.start_operator(&OperatorFlags::default()).await;
    one_task_succeeds(&world, &world.existing(&name)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_create_whose_reply_is_lost_is_found_and_not_repeated() {
    let world = connected(Setup::default()).await;
    world.fault(json!({ "operation": "CreateTask", "kind": "lostReply", "times": 1 })).await;
    let migration = world.migration("photos").apply().await;
    one_task_succeeds(&world, &migration).await;
    assert_eq!(world.journal("CreateTask").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_reply_and_a_kill_together_still_make_one_task() {
    let mut world = connected(Setup::default()).await;
    world.fault(json!({ "operation": "CreateTask", "kind": "lostReply", "times": 1 })).await;
    let name = world.migration("photos").apply().await.name;
    wait_struck(&world).await;
    world.operator().kill();
    world.start_operator(&OperatorFlags::default()).await;
    one_task_succeeds(&world, &world.existing(&name)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_create_whose_connection_was_cut_is_repeated_only_after_the_fence() {
    let world = connected(Setup::default().operated(OperatorFlags::default().scaled(FAST))).await;
    world.fault(json!({ "operation": "CreateTask", "kind": "cutBefore", "times": 1 })).await;
    let migration = world.migration("photos").apply().await;
    one_task_succeeds(&world, &migration).await;
    let calls = world.journal("CreateTask").await;
    assert_eq!(calls.len(), 2, "{calls:#?}");
    let searches = world.journal("ListTasks").await;
    assert!(searches.len() >= 3, "searched before, and twice after the fence: {searches:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_list_of_tasks_does_not_lead_to_a_second_one() {
    // OMS shows a new task in its lists only after ten seconds; the reply to the create is lost.
    let world = connected(Setup::default().behaving("listLagMs", 6_000)).await;
    world.fault(json!({ "operation": "CreateTask", "kind": "lostReply", "times": 1 })).await;
    let migration = world.migration("photos").apply().await;
    migration.wait_condition("Ready", "False", "CreateUnconfirmed").await;
    one_task_succeeds(&world, &migration).await;
}
