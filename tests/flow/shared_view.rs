//! One view of a project for all who use it: one poll per list, looks only where something moves, and one budget.

use std::time::Instant;

use kube::api::{DeleteParams, Patch, PatchParams};
use oms_operator::api::{Connection, MigrationTask, Phase};
use serde_json::{Value, json};

use crate::connections::connect_as;
use crate::migration::{Migration, condition};
use crate::world::{Setup, World, eventually};

/// A world whose tasks and groups copy for very long, and whose groups pass their first states quickly.
fn slow() -> Setup {
    Setup::default()
        .behaving("objectRate", 1.0)
        .behaving("groupStartDelayMs", 50)
        .behaving("groupCreationMs", 100)
}

async fn running<'w>(world: &'w World, name: &str) -> Migration<'w> {
    let draft = world.migration(name).with("/destination/prefix", format!("{name}/"));
    let migration = draft.apply().await;
    migration.wait_condition("Ready", "False", "Running").await;
    migration
}

fn id(task: &MigrationTask) -> String {
    task.status.as_ref().unwrap().task_id.clone().unwrap()
}

/// The calls of so many polls, and how long these took.
async fn calls_of(world: &World, polls: u32) -> (Vec<Value>, f64) {
    let (before, begun) = (world.journal("*").await.len(), Instant::now());
    world.let_polls_pass(polls).await;
    (world.journal("*").await.split_off(before), begun.elapsed().as_secs_f64())
}

fn count(calls: &[Value], operation: &str) -> usize {
    calls.iter().filter(|call| call["operation"] == operation).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fleet_that_has_ended_costs_no_call_at_all() {
    let world =
        Setup::default().behaving("groupStartDelayMs", 50).behaving("groupCreationMs", 100).start().await;
    world.put_objects(2).await;
    let mut fleet = Vec::new();
    for number in 0..9 {
        let name = format!("photos-{number}");
        fleet.push(world.migration(&name).with("/destination/prefix", format!("{name}/")).apply().await);
    }
    for migration in &fleet {
        migration.wait_phase(Phase::Succeeded).await;
    }
    world
        .group("group")
        .with("/destination/prefix", "group/")
        .apply()
        .await
        .wait_phase(Phase::Succeeded)
        .await;
    world.fault(json!({ "kind": "failTask", "code": "TRF.0002", "message": "Some failed." })).await;
    let failed = world.migration("failed").with("/destination/prefix", "failed/").apply().await;
    failed.wait_phase(Phase::Failed).await;
    let (calls, _) = calls_of(&world, 24).await;
    assert!(calls.is_empty(), "{calls:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_that_is_missing_from_the_lists_is_confirmed_by_a_look_at_it_alone() {
    let world = slow().start().await;
    world.put_objects(200).await;
    let mut tasks = Vec::new();
    for number in 0..5 {
        tasks.push(running(&world, &format!("photos-{number}")).await);
    }
    world.let_polls_pass(4).await;
    let before = world.journal("ShowTask").await.len();
    let lost = id(&tasks[2].get().await);
    world.console().stop_task(&lost).await;
    world.console().delete_task(&lost).await;
    tasks[2].wait_condition("Stalled", "True", "RemoteTaskGone").await;
    let looks = world.journal("ShowTask").await.split_off(before);
    assert!(!looks.is_empty() && looks.iter().all(|look| look["task"] == json!(lost)), "{looks:#?}");
    for task in [&tasks[0], &tasks[1], &tasks[3], &tasks[4]] {
        assert_eq!(condition(&task.get().await, "Ready"), Some(("False".into(), "Running".into())));
    }
    assert_eq!(world.effects("CreateTask").await.len(), 5, "nothing is made anew");
}

/// Regression: an object without a finalizer goes without a last pass, and its task was polled for ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_that_was_only_observed_is_not_looked_at_once_its_object_is_gone() {
    let world = slow().start().await;
    world.put_objects(200).await;
    let owner = running(&world, "owner").await;
    let id = id(&owner.get().await);
    owner.patch(json!({ "spec": { "deletionPolicy": "Orphan" } })).await;
    owner.delete().await;
    owner.wait_gone().await;
    let observer = world
        .migration("observer")
        .with("/managementPolicy", "Observe")
        .with("/adopt", json!({ "taskId": id }))
        .apply()
        .await;
    observer.wait_phase(Phase::Running).await;
    let running = async || world.operators[0].metric("oms_operator_running_tasks", "").await;
    eventually("the metric has it", async || {
        let running = running().await;
        if running > 0.5 { Ok(()) } else { Err(running.to_string()) }
    })
    .await;
    observer.delete().await;
    observer.wait_gone().await;
    eventually("nobody looks at the task any more", async || {
        let (calls, _) = calls_of(&world, 6).await;
        if calls.is_empty() { Ok(()) } else { Err(format!("{} calls", calls.len())) }
    })
    .await;
    eventually("the metric has forgotten it", async || {
        let running = running().await;
        if running < 0.5 { Ok(()) } else { Err(running.to_string()) }
    })
    .await;
    assert_eq!(world.remote_tasks().await[0]["status"], 2, "it goes on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_connections_to_one_project_share_the_polls_of_groups_and_sync_tasks_too() {
    let world = slow().start().await;
    world.put_objects(100).await;
    let keys = world.oms_keys.secret.clone();
    connect_as(&world, "second", &keys).await;
    world.wait_connection("second", "True", "Connected").await;
    for number in 0..2 {
        for connection in ["default", "second"] {
            let name = format!("{connection}-{number}");
            let reference = json!({ "kind": "Connection", "name": connection });
            let group = world.group(&name).with("/destination/prefix", format!("{name}/"));
            let group = group.with("/connectionRef", reference.clone()).apply().await;
            group.wait_condition("Ready", "False", "Running").await;
            let sync_task = world.sync_task(&name).with("/connectionRef", reference).apply().await;
            sync_task.wait_phase(Phase::Synchronizing).await;
        }
    }
    world.let_polls_pass(8).await;
    let (calls, seconds) = calls_of(&world, 12).await;
    let polls = (seconds / 0.2) as usize + 1;
    for list in ["ListTaskGroup", "ListSyncTasks"] {
        let lists = count(&calls, list);
        assert!(lists > 0 && lists <= polls, "{lists} calls of {list} in {polls} polls");
    }
    let lists = count(&calls, "ListTaskGroup") + count(&calls, "ListSyncTasks");
    assert_eq!(lists, calls.len(), "one list of each kind per poll and nothing else: {calls:#?}");
}

/// Says in a Connection how often OMS may be called, and waits until the operator has taken it in.
async fn allow(world: &World, name: &str, requests_per_second: u32) {
    let connections = world.api::<Connection>();
    let patch = json!({ "spec": { "limits": { "requestsPerSecond": requests_per_second } } });
    connections.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
    eventually("the limit is taken in", async || {
        let connection = connections.get(name).await.map_err(|error| error.to_string())?;
        let observed = connection.status.as_ref().map(|status| status.observed_generation);
        if observed == connection.metadata.generation { Ok(()) } else { Err(format!("{observed:?}")) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_connections_to_one_project_share_one_budget_the_smaller_of_the_two() {
    let world = slow().start().await;
    world.put_objects(200).await;
    running(&world, "photos").await;
    let keys = world.oms_keys.secret.clone();
    connect_as(&world, "careful", &keys).await;
    world.wait_connection("careful", "True", "Connected").await;
    allow(&world, "careful", 1).await;
    let (calls, seconds) = calls_of(&world, 24).await;
    let most = seconds as usize + 3;
    assert!(!calls.is_empty() && calls.len() <= most, "{} calls in {seconds} s", calls.len());
    // Without the other, five polls a second are no longer too many.
    world.api::<Connection>().delete("careful", &DeleteParams::default()).await.unwrap();
    eventually("the budget is that of the first alone", async || {
        let (calls, seconds) = calls_of(&world, 12).await;
        if calls.len() as f64 > 2.0 * seconds {
            Ok(())
        } else {
            Err(format!("{} calls in {seconds} s", calls.len()))
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deletion_does_not_wait_behind_creates_and_polls_when_the_budget_is_small() {
    const MANY: usize = 25;
    let world = slow().start().await;
    world.put_objects(200).await;
    let first = running(&world, "first").await;
    running(&world, "second").await;
    allow(&world, "default", 1).await;
    for number in 0..MANY {
        let name = format!("many-{number}");
        world.migration(&name).with("/destination/prefix", format!("{name}/")).apply().await;
    }
    eventually("the creates have begun", async || {
        let created = world.effects("CreateTask").await.len();
        if created > 2 { Ok(()) } else { Err(format!("{created} tasks")) }
    })
    .await;
    first.delete().await;
    first.wait_gone().await;
    let created = world.effects("CreateTask").await.len() - 2;
    assert!(created < MANY - 5, "{created} of {MANY} creates went before the deletion");
    assert_eq!(world.effects("DeleteTask").await.len(), 1);
}
