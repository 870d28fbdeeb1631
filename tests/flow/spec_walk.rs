//! Walks through the spec: chains of valid, boundary, refused and reverted edits, for every kind with a task at OMS. Where
//! they end must not depend on the way.

use kube::api::{Patch, PatchParams};
use oms_operator::api::{MigrationTask, Phase, SyncTask, TaskGroup, TransferStatus};
use oms_operator::engine::Transfer;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

use crate::idle::stays_silent;
use crate::migration::{Draft, Migration, phase_of};
use crate::world::{Setup, World, eventually};

/// How many ways are taken to the same end.
const WALKS: usize = 4;
/// Edits of each.
const EDITS: usize = 14;

/// A kind whose spec is walked through.
trait Walk: Transfer {
    /// Status and reason of `Ready` while its task is at work.
    const AT_WORK: (&str, &str);

    /// An object of its own destination, as far as the kind has one.
    fn draft<'w>(world: &'w World, name: &str) -> Draft<'w, Self>;

    /// Edits beside those of every kind: those that the API server takes once the task was created, and those that it
    /// refuses.
    fn edits() -> (Vec<Value>, Vec<Value>);

    /// Where every walk ends, beside what every kind has.
    fn end() -> Value;

    /// What is at OMS: IDs, and what of each must not depend on the way.
    async fn at_oms(world: &World) -> Vec<(String, Value)>;

    /// What stands at OMS at the end.
    fn is_at_the_end(remote: &Value) -> bool;
}

fn windows(limits: &[(&str, &str, &str)]) -> Value {
    let window = |(start, end, limit): &(&str, &str, &str)| json!({ "start": start, "end": end, "maxBandwidth": limit });
    limits.iter().map(window).collect()
}

/// Edits of bandwidth and runs, which tasks and groups have.
fn of_copies() -> (Vec<Value>, Vec<Value>) {
    let touching = [
        ("00:00", "04:00", "1Mi"),
        ("04:00", "08:00", "200Mi"),
        ("08:00", "12:00", "50Mi"),
        ("12:00", "16:00", "50Mi"),
        ("16:00", "23:59", "50Mi"),
    ];
    let overlapping = [("00:00", "04:01", "1Mi"), ("04:00", "08:00", "1Mi")];
    let taken = [
        json!({ "bandwidthPolicy": windows(&touching) }),
        json!({ "bandwidthPolicy": windows(&[("08:00", "20:00", "100Mi")]) }),
        json!({ "bandwidthPolicy": null }),
        json!({ "retry": { "limit": 0 } }),
        json!({ "retry": { "limit": 100, "objects": "All" } }),
        json!({ "retry": null }),
        json!({ "rerun": "r".repeat(64) }),
        json!({ "rerun": null }),
        json!({ "onCredentialChange": "RestartRunning" }),
        // One that changes nothing.
        json!({ "type": "prefix" }),
    ];
    let refused = [
        json!({ "bandwidthPolicy": windows(&overlapping) }),
        json!({ "bandwidthPolicy": windows(&[("08:00", "20:00", "201Mi")]) }),
        json!({ "source": { "objectKeys": ["other/"] } }),
        json!({ "retry": { "limit": 101 } }),
        json!({ "rerun": "r".repeat(65) }),
    ];
    (taken.into(), refused.into())
}

/// Where bandwidth and runs end.
fn end_of_copies() -> Value {
    json!({
        "bandwidthPolicy": windows(&[("09:00", "17:00", "20Mi")]),
        "retry": null, "rerun": null, "onCredentialChange": null,
    })
}

fn with(mut spec: Value, more: &Value) -> Value {
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    spec
}

fn text(id: &Value) -> String {
    id.to_string().trim_matches('"').to_owned()
}

impl Walk for MigrationTask {
    const AT_WORK: (&str, &str) = ("False", "Running");

    fn draft<'w>(world: &'w World, name: &str) -> Draft<'w, Self> {
        world.migration(name).with("/destination/prefix", format!("{name}/"))
    }

    fn edits() -> (Vec<Value>, Vec<Value>) {
        let (mut taken, refused) = of_copies();
        taken.extend(["HIGH", "LOW", "MEDIUM"].map(|priority| json!({ "priority": priority })));
        taken.push(json!({ "suspend": true, "priority": "HIGH", "bandwidthPolicy": null }));
        (taken, refused)
    }

    fn end() -> Value {
        with(end_of_copies(), &json!({ "priority": "HIGH" }))
    }

    async fn at_oms(world: &World) -> Vec<(String, Value)> {
        let essence = |task: &Value| {
            json!({
                "status": task["status"], "priority": task["task_priority"], "windows": task["bandwidth_policy"],
            })
        };
        world.remote_tasks().await.iter().map(|task| (text(&task["id"]), essence(task))).collect()
    }

    fn is_at_the_end(remote: &Value) -> bool {
        remote["priority"] == "HIGH" && remote["windows"].as_array().is_some_and(|windows| windows.len() == 1)
    }
}

impl Walk for TaskGroup {
    const AT_WORK: (&str, &str) = ("False", "Running");

    fn draft<'w>(world: &'w World, name: &str) -> Draft<'w, Self> {
        world.group(name).with("/destination/prefix", format!("{name}/"))
    }

    fn edits() -> (Vec<Value>, Vec<Value>) {
        let (mut taken, refused) = of_copies();
        taken.push(json!({ "suspend": true, "bandwidthPolicy": null }));
        (taken, refused)
    }

    fn end() -> Value {
        end_of_copies()
    }

    async fn at_oms(world: &World) -> Vec<(String, Value)> {
        let essence =
            |group: &Value| json!({ "status": group["status"], "windows": group["bandwidth_policy"] });
        world.remote_groups().await.iter().map(|group| (text(&group["group_id"]), essence(group))).collect()
    }

    fn is_at_the_end(remote: &Value) -> bool {
        remote["windows"].as_array().is_some_and(|windows| windows.len() == 1)
    }
}

impl Walk for SyncTask {
    const AT_WORK: (&str, &str) = ("True", "Synchronizing");

    fn draft<'w>(world: &'w World, name: &str) -> Draft<'w, Self> {
        world.sync_task(name)
    }

    fn edits() -> (Vec<Value>, Vec<Value>) {
        let taken = [json!({ "suspend": true, "readyWhen": "Accepted" }), json!({ "enableRestore": false })];
        let refused = [
            json!({ "consistencyCheck": "crc64" }),
            json!({ "destination": { "storagePolicy": "IA" } }),
            json!({ "source": { "region": "eu-west-2" } }),
        ];
        (taken.into(), refused.into())
    }

    fn end() -> Value {
        json!({})
    }

    async fn at_oms(world: &World) -> Vec<(String, Value)> {
        let essence = |task: &Value| json!({ "status": task["status"] });
        world
            .remote_sync_tasks()
            .await
            .iter()
            .map(|task| (text(&task["sync_task_id"]), essence(task)))
            .collect()
    }

    fn is_at_the_end(remote: &Value) -> bool {
        remote["status"] == "STOPPED"
    }
}

/// Edits of the spec, and whether the API server takes them once the task is created.
fn edits<K: Walk>() -> Vec<(Value, bool)> {
    let taken = [
        json!({ "suspend": true }),
        json!({ "suspend": false }),
        json!({ "suspend": null }),
        json!({ "readyWhen": "Started" }),
        json!({ "readyWhen": "Accepted" }),
        json!({ "deletionPolicy": "Orphan" }),
        json!({ "deletionPolicy": null }),
        json!({ "acknowledge": ["FullOverwrite"] }),
        json!({ "driftPolicy": "Enforce" }),
        json!({ "preflight": "Full" }),
        json!({ "approval": "Required" }),
        json!({ "approvedPlan": "a".repeat(64) }),
    ];
    let refused = [
        json!({ "destination": { "bucket": "elsewhere" } }),
        json!({ "description": "another text" }),
        json!({ "enableRestore": true }),
        json!({ "managementPolicy": "Observe" }),
        json!({ "approvedPlan": "a".repeat(65) }),
    ];
    let (own_taken, own_refused) = K::edits();
    let taken = taken.into_iter().chain(own_taken).map(|edit| (edit, true));
    taken.chain(refused.into_iter().chain(own_refused).map(|edit| (edit, false))).collect()
}

/// Where every walk ends.
fn end<K: Walk>() -> Value {
    let end = json!({
        "suspend": true, "readyWhen": "Succeeded", "deletionPolicy": null, "acknowledge": null, "driftPolicy": null,
        "preflight": "Off", "approval": null, "approvedPlan": null,
    });
    with(end, &K::end())
}

async fn edit<K: Walk>(world: &World, name: &str, spec: &Value) -> Result<K, kube::Error> {
    let patch = Patch::Merge(json!({ "spec": spec }));
    world.api::<K>().patch(name, &PatchParams::default(), &patch).await
}

fn is_told(object: &impl Transfer) -> bool {
    let told = object.status().map(|status| status.observed_generation);
    told == object.meta().generation
}

/// What of a status must not depend on the way: times, names at OMS and counters of what happened do.
fn essence(status: &TransferStatus) -> Value {
    let conditions: Vec<_> = status
        .conditions
        .iter()
        .map(|told| (&told.type_, json!([told.type_, told.status, told.reason, told.message])))
        .collect::<std::collections::BTreeMap<_, _>>()
        .into_values()
        .collect();
    json!({
        "phase": status.phase, "conditions": conditions, "failure": status.failure, "create": status.create,
        "suspended": status.suspended_at.is_some(), "next": status.next_attempt_at, "run": status.run,
        "credentials": status.observed_credentials.iter().map(|sent| &sent.role).collect::<Vec<_>>(),
    })
}

async fn walk<K: Walk>(world: &World, name: &str, steps: &[((Value, bool), bool)]) -> (Value, Value) {
    let migration = K::draft(world, name).apply().await;
    let (ready, reason) = K::AT_WORK;
    migration.wait_condition("Ready", ready, reason).await;
    for ((change, taken), waits) in steps {
        let edited = edit::<K>(world, name, change).await;
        assert_eq!(edited.is_ok(), *taken, "{change}: {edited:?}");
        if *waits {
            migration.wait("told of the edit", is_told).await;
        }
    }
    // A task that is suspended while it waits at OMS is taken out of the queue, and then has none: so it is at work before
    // the end.
    edit::<K>(world, name, &with(end::<K>(), &json!({ "suspend": false }))).await.unwrap();
    migration.wait_condition("Ready", ready, reason).await;
    edit::<K>(world, name, &end::<K>()).await.unwrap();
    migration.wait("is stopped as asked", |object| is_told(object) && stands(object)).await;
    let remote = eventually("OMS has what the spec says", async || {
        let id = migration.status().await.task_id.unwrap_or_default();
        let remote = K::at_oms(world).await.into_iter().find(|(found, _)| *found == id);
        match remote {
            Some((_, remote)) if K::is_at_the_end(&remote) => Ok(remote),
            other => Err(format!("{other:#?}")),
        }
    })
    .await;
    (essence(&migration.status().await), remote)
}

fn stands(object: &impl Transfer) -> bool {
    let recorded = object.status().is_some_and(|status| status.task_id.is_some());
    phase_of(object) == Some(Phase::Stopped) && recorded
}

async fn where_it_ends_does_not_depend_on_the_way<K: Walk>(world: &World) {
    let mut runner = TestRunner::deterministic();
    let steps = proptest::collection::vec((select(edits::<K>()), any::<bool>()), EDITS);
    let mut ends = Vec::new();
    for number in 0..WALKS {
        let steps = if number == 0 { Vec::new() } else { steps.new_tree(&mut runner).unwrap().current() };
        let name = format!("walk-{number}");
        ends.push((walk::<K>(world, &name, &steps).await, steps));
    }
    let straight = ends[0].0.clone();
    for (reached, steps) in &ends {
        assert_eq!(*reached, straight, "after {steps:#?}");
    }
    for number in 0..WALKS {
        let migration = Migration::<K>::existing(world, &format!("walk-{number}"));
        let generation = migration.get().await.meta().generation;
        if number % 2 == 1 {
            stays_silent(world, &migration).await;
        }
        assert_eq!(migration.get().await.meta().generation, generation);
    }
    // Whatever was resumed and stopped on the way: each has one task at OMS.
    assert_eq!(K::at_oms(world).await.len(), WALKS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_edits_of_a_migration_task_end_does_not_depend_on_the_way() {
    let world = Setup::default().behaving("objectRate", 2.0).start().await;
    world.put_objects(200).await;
    where_it_ends_does_not_depend_on_the_way::<MigrationTask>(&world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_edits_of_a_task_group_end_does_not_depend_on_the_way() {
    let quick = Setup::default()
        .behaving("groupTaskObjects", 100)
        .behaving("groupStartDelayMs", 50)
        .behaving("groupCreationMs", 100)
        .behaving("groupDeletionMs", 100);
    let world = quick.behaving("objectRate", 1.0).start().await;
    world.put_objects(300).await;
    where_it_ends_does_not_depend_on_the_way::<TaskGroup>(&world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_edits_of_a_sync_task_end_does_not_depend_on_the_way() {
    let world = World::start().await;
    world.put_objects(1).await;
    where_it_ends_does_not_depend_on_the_way::<SyncTask>(&world).await;
}
