//! Walks through the spec: chains of valid, boundary, refused and reverted edits. Where they end must not depend on the way.

use kube::api::{Patch, PatchParams};
use oms_operator::api::{MigrationTask, Phase, TransferStatus};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

use crate::idle::stays_silent;
use crate::migration::Migration;
use crate::world::{Setup, World, eventually};

/// How many ways are taken to the same end.
const WALKS: usize = 4;
/// Edits of each.
const EDITS: usize = 14;

fn windows(limits: &[(&str, &str, &str)]) -> Value {
    let window = |(start, end, limit): &(&str, &str, &str)| json!({ "start": start, "end": end, "maxBandwidth": limit });
    limits.iter().map(window).collect()
}

/// Edits of the spec, and whether the API server takes them once the task is created.
fn edits() -> Vec<(Value, bool)> {
    let touching = [
        ("00:00", "04:00", "1Mi"),
        ("04:00", "08:00", "200Mi"),
        ("08:00", "12:00", "50Mi"),
        ("12:00", "16:00", "50Mi"),
        ("16:00", "23:59", "50Mi"),
    ];
    let overlapping = [("00:00", "04:01", "1Mi"), ("04:00", "08:00", "1Mi")];
    let taken = [
        json!({ "suspend": true }),
        json!({ "suspend": false }),
        json!({ "suspend": null }),
        json!({ "bandwidthPolicy": windows(&touching) }),
        json!({ "bandwidthPolicy": windows(&[("08:00", "20:00", "100Mi")]) }),
        json!({ "bandwidthPolicy": null }),
        json!({ "priority": "HIGH" }),
        json!({ "priority": "LOW" }),
        json!({ "priority": "MEDIUM" }),
        json!({ "readyWhen": "Started" }),
        json!({ "readyWhen": "Accepted" }),
        json!({ "deletionPolicy": "Orphan" }),
        json!({ "deletionPolicy": null }),
        json!({ "acknowledge": ["FullOverwrite"] }),
        // Two edits at once, and one that changes nothing.
        json!({ "suspend": true, "priority": "HIGH", "bandwidthPolicy": null }),
        json!({ "type": "prefix" }),
    ];
    let refused = [
        json!({ "bandwidthPolicy": windows(&overlapping) }),
        json!({ "bandwidthPolicy": windows(&[("08:00", "20:00", "201Mi")]) }),
        json!({ "destination": { "bucket": "elsewhere" } }),
        json!({ "source": { "objectKeys": ["other/"] } }),
        json!({ "description": "another text" }),
        json!({ "enableRestore": true }),
    ];
    taken.map(|edit| (edit, true)).into_iter().chain(refused.map(|edit| (edit, false))).collect()
}

/// Where every walk ends.
fn end() -> Value {
    json!({
        "suspend": true, "priority": "HIGH", "bandwidthPolicy": windows(&[("09:00", "17:00", "20Mi")]),
        "readyWhen": "Succeeded", "deletionPolicy": null, "acknowledge": null,
    })
}

async fn edit(world: &World, name: &str, spec: &Value) -> Result<MigrationTask, kube::Error> {
    let patch = Patch::Merge(json!({ "spec": spec }));
    world.api::<MigrationTask>().patch(name, &PatchParams::default(), &patch).await
}

fn is_told(task: &MigrationTask) -> bool {
    let told = task.status.as_ref().map(|status| status.observed_generation);
    told == task.metadata.generation
}

/// What of a status must not depend on the way: times, names at OMS and counters of what happened do.
fn essence(status: &TransferStatus) -> Value {
    let conditions: Vec<_> = status
        .conditions
        .iter()
        .map(|told| json!([told.type_, told.status, told.reason, told.message]))
        .collect();
    json!({
        "phase": status.phase, "conditions": conditions, "failure": status.failure, "create": status.create,
        "suspended": status.suspended_at.is_some(), "next": status.next_attempt_at, "run": status.run,
        "credentials": status.observed_credentials.iter().map(|sent| &sent.role).collect::<Vec<_>>(),
    })
}

async fn walk(world: &World, name: &str, steps: &[((Value, bool), bool)]) -> (Value, Value) {
    let migration = world.migration(name).with("/destination/prefix", format!("{name}/")).apply().await;
    migration.wait_condition("Ready", "False", "Running").await;
    for ((change, taken), waits) in steps {
        let edited = edit(world, name, change).await;
        assert_eq!(edited.is_ok(), *taken, "{change}: {edited:?}");
        if *waits {
            migration.wait("told of the edit", is_told).await;
        }
    }
    // A task that is suspended while it waits at OMS is taken out of the queue, and then has none: so it runs before the end.
    edit(world, name, &json!({ "suspend": false, "readyWhen": "Succeeded" })).await.unwrap();
    migration.wait_condition("Ready", "False", "Running").await;
    edit(world, name, &end()).await.unwrap();
    migration.wait("is stopped as asked", |task| is_told(task) && stands(task)).await;
    let remote = eventually("OMS has what the spec says", async || {
        let id = migration.status().await.task_id;
        let tasks = world.remote_tasks().await;
        let task = tasks
            .into_iter()
            .find(|task| task["id"].to_string().trim_matches('"') == id.as_deref().unwrap_or_default());
        let settled = |task: &Value| {
            task["task_priority"] == "HIGH"
                && task["bandwidth_policy"].as_array().is_some_and(|windows| windows.len() == 1)
        };
        match task {
            Some(task) if settled(&task) => Ok(task),
            other => Err(format!("{other:#?}")),
        }
    })
    .await;
    let remote = json!({
        "status": remote["status"], "priority": remote["task_priority"], "windows": remote["bandwidth_policy"],
    });
    (essence(&migration.status().await), remote)
}

fn stands(task: &MigrationTask) -> bool {
    let status = task.status.as_ref().unwrap();
    status.phase == Some(Phase::Stopped) && status.task_id.is_some()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_a_chain_of_edits_ends_does_not_depend_on_the_way() {
    let world = Setup::default().behaving("objectRate", 2.0).start().await;
    world.put_objects(200).await;
    let mut runner = TestRunner::deterministic();
    let steps = proptest::collection::vec((select(edits()), any::<bool>()), EDITS);
    let mut ends = Vec::new();
    for number in 0..WALKS {
        let steps = if number == 0 { Vec::new() } else { steps.new_tree(&mut runner).unwrap().current() };
        let name = format!("walk-{number}");
        ends.push((walk(&world, &name, &steps).await, steps));
    }
    let straight = ends[0].0.clone();
    for (reached, steps) in &ends {
        assert_eq!(*reached, straight, "after {steps:#?}");
    }
    for number in 0..WALKS {
        let migration: Migration<'_> = world.existing(&format!("walk-{number}"));
        let generation = migration.get().await.metadata.generation;
        if number % 2 == 1 {
            stays_silent(&world, &migration).await;
        }
        assert_eq!(migration.get().await.metadata.generation, generation);
    }
    // Whatever was resumed and stopped on the way: each has one task at OMS.
    assert_eq!(world.remote_tasks().await.len(), WALKS);
}
