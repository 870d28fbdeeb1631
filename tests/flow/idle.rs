//! What the operator does when there is nothing to do: nothing.

use std::time::{Duration, Instant};

use kube::ResourceExt;
use kube::api::{Patch, PatchParams};
use oms_operator::api::{MigrationTask, Phase};
use oms_operator::engine::Transfer;
use serde_json::{Value, json};

use crate::migration::Migration;
use crate::operator::OperatorFlags;
use crate::world::{Setup, World, eventually};

const PASSES: usize = 100;

async fn passes<K: Transfer>(world: &World) -> f64 {
    let kind = format!("kind=\"{}\"", K::KIND);
    world.operators[0].metric("oms_operator_reconciles_total", &kind).await
}

async fn mutations(world: &World) -> usize {
    world.journal("*").await.iter().filter(|entry| entry["effect"] == true).count()
}

/// Provokes a hundred passes, each by an annotation that means nothing, and holds the operator to silence.
pub(crate) async fn stays_silent<K: Transfer>(world: &World, migration: &Migration<'_, K>) {
    let api = world.api::<K>();
    let called = mutations(world).await;
    let status = migration.status().await;
    let mut version = None;
    for round in 0..PASSES {
        let before = passes::<K>(world).await;
        let patch = json!({ "metadata": { "annotations": { "example.com/round": round.to_string() } } });
        let patched =
            api.patch(&migration.name, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
        version = patched.resource_version();
        eventually("a pass is over", async || {
            let now = passes::<K>(world).await;
            if now > before { Ok(()) } else { Err(format!("{now} passes")) }
        })
        .await;
    }
    let after = migration.get().await;
    assert_eq!(after.resource_version(), version, "the operator wrote although nothing changed");
    assert_eq!(after.status().cloned().unwrap_or_default(), status);
    assert_eq!(mutations(world).await, called, "{:#?}", world.journal("*").await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_passes_without_a_change_write_nothing() {
    let world = Setup::default().behaving("taskStartDelayMs", 3_600_000).start().await;
    world.put_objects(2).await;
    let migration = world.migration("photos").apply().await;
    migration.wait_condition("Ready", "False", "WaitingAtOMS").await;
    // The first look at the task has told its name.
    migration.wait("was seen at OMS", |task| task.status.as_ref().unwrap().task_name.is_some()).await;
    world.let_polls_pass(4).await;
    stays_silent(&world, &migration).await;

    world.emulator.clock().advance(Duration::from_hours(1));
    migration.wait_phase(Phase::Succeeded).await;
    stays_silent(&world, &migration).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restarted_operator_changes_nothing() {
    let mut world = Setup::default().behaving("objectRate", 50.0).start().await;
    world.put_objects(20).await;
    let done = world.migration("done").apply().await;
    done.wait_phase(Phase::Succeeded).await;
    let suspended = world.migration("suspended").with("/suspend", true).apply().await;
    suspended.wait_phase(Phase::Stopped).await;
    let names = [done.name.clone(), suspended.name.clone()];
    world.operator().kill();

    let api = world.api::<MigrationTask>();
    let mut before = Vec::new();
    for name in &names {
        before.push(api.get(name).await.unwrap().resource_version());
    }
    let called = mutations(&world).await;
    let operator = world.start_operator(&OperatorFlags::default()).await;
    eventually("both were looked at", async || {
        let passes =
            world.operators[operator].metric("oms_operator_reconciles_total", "kind=\"MigrationTask\"").await;
        if passes >= 2.0 { Ok(()) } else { Err(format!("{passes} passes")) }
    })
    .await;
    world.let_polls_pass(8).await;
    for (name, version) in names.iter().zip(before) {
        assert_eq!(api.get(name).await.unwrap().resource_version(), version, "{name} was written");
    }
    assert_eq!(mutations(&world).await, called);
    let shown = world.journal("ShowTask").await;
    let last = shown.last().unwrap()["seq"].as_u64();
    world.let_polls_pass(8).await;
    assert_eq!(world.journal("ShowTask").await.last().unwrap()["seq"].as_u64(), last, "nothing is watched");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_task_costs_at_most_one_call_per_poll() {
    const POLL: Duration = Duration::from_secs(1);
    let flags = OperatorFlags { poll: POLL, ..OperatorFlags::default() };
    let world = Setup::default().behaving("objectRate", 10.0).operated(flags).start().await;
    world.put_objects(300).await;
    let migration = world.migration("photos").apply().await;
    migration.wait_condition("Ready", "False", "Running").await;
    let (began, before) = (Instant::now(), world.journal("*").await.len());
    world.let_polls_pass(24).await;
    let calls: Vec<Value> = world.journal("*").await.split_off(before);
    let most = began.elapsed().as_secs() as usize + 1;
    assert!(!calls.is_empty() && calls.len() <= most, "{} calls in {most} s: {calls:#?}", calls.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_task_is_looked_at_at_every_fourth_poll() {
    let world = Setup::default().behaving("objectRate", 10.0).start().await;
    world.put_objects(300).await;
    let migration = world.migration("photos").apply().await;
    migration.wait_condition("Ready", "False", "Running").await;
    migration.suspend(true).await;
    migration.wait_phase(Phase::Stopped).await;
    let (began, before) = (Instant::now(), world.journal("*").await.len());
    world.let_polls_pass(24).await;
    let calls: Vec<Value> = world.journal("*").await.split_off(before);
    let most = began.elapsed().as_millis() as usize / 800 + 1;
    assert!(!calls.is_empty() && calls.len() <= most, "{} calls instead of {most}: {calls:#?}", calls.len());
}
