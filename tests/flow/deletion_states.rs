//! An object can be deleted in whatever state it is: it ends, OMS keeps what the policy says, and nothing is created any
//! more. One table per world; what pauses a whole namespace has its rows in `pause`, a lost answer in `deletion`.

use kube::Api;
use kube::Resource;
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams};
use kube::core::{ApiResource, NamespaceResourceScope};
use oms_operator::api::{Connection, MigrationTask, Phase, SyncEvent, SyncTask, TaskGroup};
use oms_operator::oms::{self, TaskId, Urgency};
use serde_json::{Value, json};

use crate::adopt::let_age;
use crate::migration::{Draft, Migration, condition};
use crate::queue::allow;
use crate::sync_event::SyncEvents as _;
use crate::sync_task::limit;
use crate::world::{
    CONNECTION, DESTINATION_SECRET, OMS_SECRET, PROJECT, SOURCE_SECRET, Setup, World, eventually,
};

/// Status at OMS of a task that runs, and of one that is stopped.
const RUNS: u8 = 2;

/// An object in a state.
struct Row {
    state: &'static str,
    resource: ApiResource,
    name: String,
    /// The status at OMS of the tasks that stay; `None`: their records are gone.
    left: Option<Value>,
}

/// A row whose tasks are gone from OMS afterwards.
fn row<K>(state: &'static str, name: impl Into<String>) -> Row
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
{
    Row { state, resource: ApiResource::erase::<K>(&()), name: name.into(), left: None }
}

impl Row {
    /// Whose tasks stay as they are.
    fn leaving(self, status: impl Into<Value>) -> Self {
        Self { left: Some(status.into()), ..self }
    }

    fn api(&self, world: &World) -> Api<DynamicObject> {
        Api::namespaced_with(world.client.clone(), &world.namespace, &self.resource)
    }

    /// The tasks at OMS that its status knows.
    async fn tasks(&self, world: &World) -> Vec<String> {
        let status = self.api(world).get(&self.name).await.unwrap().data["status"].clone();
        let former = status["history"].as_array().cloned().unwrap_or_default();
        let tasks = former.iter().map(|run| &run["taskId"]).chain([&status["taskId"]]);
        tasks.filter_map(Value::as_str).map(ToOwned::to_owned).collect()
    }
}

/// Everything at OMS by its ID, with its status.
async fn at_oms(world: &World) -> Vec<(String, Value)> {
    let (tasks, groups) = (world.remote_tasks().await, world.remote_groups().await);
    let entries = [(tasks, "id"), (groups, "group_id"), (world.remote_sync_tasks().await, "sync_task_id")];
    let entries = entries.into_iter().flat_map(|(all, id)| all.into_iter().map(move |entry| (entry, id)));
    entries.map(|(entry, id)| (text(&entry[id]), entry["status"].clone())).collect()
}

fn text(id: &Value) -> String {
    id.to_string().trim_matches('"').to_owned()
}

/// How often something was created at OMS, or told to it.
async fn creates(world: &World) -> usize {
    let mut count = 0;
    for operation in ["CreateTask", "CreateTaskGroup", "CreateSyncTask", "CreateSyncEvents"] {
        count += world.journal(operation).await.len();
    }
    count
}

/// Deletes all objects of a table at once, and looks at what comes of each.
async fn each_ends(world: &World, rows: &[Row]) {
    let mut known = Vec::new();
    for row in rows {
        known.push(row.tasks(world).await);
    }
    let created = creates(world).await;
    for row in rows {
        row.api(world).delete(&row.name, &DeleteParams::background()).await.unwrap();
    }
    for row in rows {
        let api = row.api(world);
        let what = format!("{} `{}`, {}, is gone", row.resource.kind, row.name, row.state);
        eventually(&what, async || match api.get_opt(&row.name).await {
            Ok(None) => Ok(()),
            Ok(Some(object)) => Err(format!("{:#}", object.data["status"])),
            Err(error) => Err(error.to_string()),
        })
        .await;
    }
    let remote = at_oms(world).await;
    for (row, tasks) in rows.iter().zip(known) {
        for task in tasks {
            let left = remote.iter().find(|(id, _)| *id == task).map(|(_, status)| status.clone());
            // Of a sync task and of a SyncEvent for it, the former says what stays.
            if row.resource.kind != "SyncEvent" {
                assert_eq!(left, row.left, "{} `{}`, {}", row.resource.kind, row.name, row.state);
            }
        }
    }
    world.let_polls_pass(8).await;
    assert_eq!(creates(world).await, created, "something was created after the deletion");
}

fn migration<'w>(world: &'w World, name: &str) -> Draft<'w> {
    world.migration(name).with("/destination/prefix", format!("{name}/"))
}

async fn running<'w>(world: &'w World, name: &str) -> Migration<'w> {
    let running = migration(world, name).apply().await;
    running.wait_condition("Ready", "False", "Running").await;
    running
}

/// As somebody at the console would.
async fn stop_at_the_console(world: &World, migration: &Migration<'_>) {
    let settings = oms::Settings::new(&world.emulator.endpoints().oms, PROJECT);
    let keys = &world.oms_keys;
    let credentials = oms::Credentials::keys(&keys.access, keys.secret.clone().into(), None);
    let client = oms::Client::new(settings, credentials, oms::Budget::new(100.0)).unwrap();
    let id = migration.status().await.task_id.unwrap().parse().unwrap();
    client.stop_task(TaskId::new(id), Urgency::User).await.unwrap();
}

/// A task that runs and that no object has.
async fn ownerless(world: &World, name: &str) -> String {
    let owner = running(world, name).await;
    let id = owner.status().await.task_id.unwrap();
    owner.patch(json!({ "spec": { "deletionPolicy": "Orphan" } })).await;
    owner.delete().await;
    owner.wait_gone().await;
    id
}

/// States before the create.
async fn before_the_create(world: &World) -> Vec<Row> {
    let approval = migration(world, "approval").with("/approval", "Required").apply().await;
    approval.wait_condition("Ready", "False", "ApprovalRequired").await;

    let mut paused = migration(world, "paused").manifest().clone();
    paused["metadata"]["annotations"] = json!({ "oms-operator.io/paused": "true" });
    world.apply::<MigrationTask>(paused).await;
    world.existing("paused").wait_condition("Paused", "True", "Paused").await;

    let checked = migration(world, "checked").with("/preflight", "Full").with("/destination/bucket", "none");
    checked.apply().await.wait_condition("Ready", "False", "PreflightFailed").await;
    // Long enough for the deletion to come while OMS checks.
    world.fault(json!({ "operation": "ShowBucketRegion", "kind": "delay", "delayMs": 4_000 })).await;
    let checking = migration(world, "checking").with("/preflight", "Full").with("/destination/bucket", "no");
    checking.apply().await.wait_condition("Ready", "False", "PreflightRunning").await;
    vec![
        row::<MigrationTask>("waiting for approval", "approval"),
        row::<MigrationTask>("paused before anything was done", "paused"),
        row::<MigrationTask>("with failed checks", "checked"),
        row::<MigrationTask>("with checks under way", "checking"),
    ]
}

/// States of a task that failed, and of further runs.
async fn after_a_run(world: &World) -> Vec<Row> {
    for (name, limit, reason) in [("retried", 3, "RetryScheduled"), ("given-up", 0, "RetryLimitReached")] {
        world
            .fault(json!({ "kind": "failTask", "code": "TRF.0151", "message": "Wrong keys.", "times": 1 }))
            .await;
        let failed = migration(world, name).with("/retry", json!({ "limit": limit })).apply().await;
        failed.wait_condition("Ready", "False", reason).await;
    }
    let rerun = |word: &str, approval: &str| json!({ "spec": { "rerun": word, "approval": approval } });
    let pending = running(world, "rerun-pending").await;
    pending.patch(rerun("again", "Auto")).await;
    pending.wait_condition("RerunPending", "True", "RunUnderWay").await;

    let begun = migration(world, "rerun-begun").with("/source/objectKeys", json!(["00000"])).apply().await;
    begun.wait_phase(Phase::Succeeded).await;
    begun.patch(rerun("again", "Required")).await;
    begun.wait_condition("Ready", "False", "ApprovalRequired").await;
    assert_eq!(begun.status().await.history.len(), 1);
    vec![
        row::<MigrationTask>("with a retry due", "retried"),
        row::<MigrationTask>("with all retries used up", "given-up"),
        row::<MigrationTask>("with a rerun that waits", "rerun-pending"),
        row::<MigrationTask>("with a rerun that has begun", "rerun-begun"),
    ]
}

/// States of a task that is at OMS.
async fn at_work(world: &World) -> Vec<Row> {
    let paused = running(world, "paused-at-work").await;
    paused.patch(json!({ "metadata": { "annotations": { "oms-operator.io/paused": "true" } } })).await;
    paused.wait_condition("Paused", "True", "Paused").await;

    let drifted = running(world, "drifted").await;
    stop_at_the_console(world, &drifted).await;
    drifted.wait_condition("Drifted", "True", "StoppedExternally").await;

    let suspended = running(world, "suspended").await;
    suspended.suspend(true).await;
    suspended.wait_phase(Phase::Stopped).await;

    let keys = &world.source_keys;
    world.secret("rotated", &[("accessKey", &keys.access), ("secretKey", &keys.secret)]).await;
    let rotated = migration(world, "rotated").with("/source/credentials/secretRef/name", "rotated");
    let rotated = rotated.apply().await;
    rotated.wait_condition("Ready", "False", "Running").await;
    world.secret("rotated", &[("accessKey", &keys.access), ("secretKey", "another")]).await;
    rotated.wait_condition("CredentialsPending", "True", "CredentialsRotated").await;
    vec![
        row::<MigrationTask>("paused at work", "paused-at-work"),
        row::<MigrationTask>("stopped by somebody else", "drifted"),
        row::<MigrationTask>("suspended", "suspended"),
        row::<MigrationTask>("with other keys than its task", "rotated"),
    ]
}

/// States of an object about a task that exists.
async fn adopting(world: &World) -> Vec<Row> {
    let (theirs, taken) = (ownerless(world, "theirs").await, ownerless(world, "taken").await);
    let removed = ownerless(world, "removed").await;
    let about = |name: &str, id: &str| migration(world, name).with("/adopt", json!({ "taskId": id }));
    let observed = about("observed", &theirs).with("/managementPolicy", "Observe").apply().await;
    observed.wait_condition("Adopted", "False", "Observed").await;
    let is_adopted = |task: &MigrationTask| {
        condition(task, "Adopted").is_some_and(|(status, _)| status == "True")
            && task.status.as_ref().is_some_and(|status| status.phase == Some(Phase::Running))
    };
    let adopted = about("adopted", &taken).apply().await;
    adopted.wait("is adopted", is_adopted).await;
    let removing = about("adopted-removing", &removed).with("/deletionPolicy", "Delete");
    removing.apply().await.wait("is adopted", is_adopted).await;
    let_age(&adopted).await;
    about("late", &taken).apply().await.wait_condition("Ready", "False", "ClaimedByAnother").await;
    vec![
        row::<MigrationTask>("observed", "observed").leaving(RUNS),
        row::<MigrationTask>("adopted", "adopted").leaving(RUNS),
        row::<MigrationTask>("adopted to be removed", "adopted-removing"),
        row::<MigrationTask>("claimed by another", "late"),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_migration_task_ends_in_whatever_state_it_is_deleted() {
    let world = Setup::default().behaving("objectRate", 1.0).start().await;
    world.put_objects(200).await;
    let mut rows = adopting(&world).await;
    rows.extend(after_a_run(&world).await);
    rows.extend(at_work(&world).await);
    rows.extend(before_the_create(&world).await);
    each_ends(&world, &rows).await;
    let left = at_oms(&world).await;
    assert_eq!(left.len(), 2, "what was observed and what was adopted: {left:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_migration_task_ends_in_whatever_way_it_waits() {
    let world = Setup::default().behaving("taskStartDelayMs", 3_600_000).start().await;
    world.put_objects(1).await;
    world.wait_connection(CONNECTION, "True", "Connected").await;
    allow(&world, 2).await;
    for name in ["waiting", "suspended"] {
        migration(&world, name).apply().await.wait_condition("Ready", "False", "WaitingAtOMS").await;
    }
    let suspended = world.existing("suspended");
    suspended.suspend(true).await;
    suspended.wait_phase(Phase::Stopped).await;
    assert_eq!(suspended.status().await.task_id, None, "its record is deleted");
    migration(&world, "queued").apply().await.wait_phase(Phase::Queued).await;
    let rows = [
        row::<MigrationTask>("waiting at OMS", "waiting"),
        row::<MigrationTask>("suspended while it waited", "suspended"),
        row::<MigrationTask>("queued", "queued"),
    ];
    each_ends(&world, &rows).await;
    assert_eq!(at_oms(&world).await, []);
}

/// A world whose groups take a while to create their tasks, and copy for very long.
fn grouped() -> Setup {
    Setup::default()
        .behaving("objectRate", 1.0)
        .behaving("groupTaskObjects", 10)
        .behaving("groupStartDelayMs", 50)
        .behaving("groupCreationMs", 2_000)
        .behaving("groupDeletionMs", 100)
}

fn group<'w>(world: &'w World, name: &str) -> Draft<'w, TaskGroup> {
    world.group(name).with("/destination/prefix", format!("{name}/"))
}

async fn synchronizing<'w>(world: &'w World, name: &str) -> Migration<'w, SyncTask> {
    let task = world.sync_task(name).apply().await;
    task.wait_phase(Phase::Synchronizing).await;
    task
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn groups_sync_tasks_and_events_end_in_whatever_state_they_are_deleted() {
    let world = grouped().start().await;
    world.put_objects(60).await;
    limit(&world, 1).await;
    let stopped = synchronizing(&world, "sync-stopped").await;
    stopped.suspend(true).await;
    stopped.wait_phase(Phase::Stopped).await;
    synchronizing(&world, "sync-at-work").await;
    world.sync_task("sync-queued").apply().await.wait_phase(Phase::Queued).await;
    world.apply_event("unsent", "sync-stopped", &["00000.txt".into()]).await;
    world.wait_event_reason("unsent", "SyncTaskNotSynchronizing").await;
    world.apply_event("done", "sync-at-work", &["00001.txt".into()]).await;
    world.wait_event_phase("done", Phase::Succeeded).await;

    let suspended = group(&world, "group-stopped").apply().await;
    suspended.wait_condition("Ready", "False", "Running").await;
    suspended.suspend(true).await;
    suspended.wait_phase(Phase::Stopped).await;
    group(&world, "group-at-work").apply().await.wait_condition("Ready", "False", "Running").await;
    group(&world, "group-creating").apply().await.wait_condition("Ready", "False", "CreatingMembers").await;
    let rows = [
        row::<SyncEvent>("unsent", "unsent"),
        row::<SyncEvent>("done", "done"),
        row::<SyncTask>("suspended", "sync-stopped"),
        row::<SyncTask>("at work", "sync-at-work"),
        row::<SyncTask>("queued", "sync-queued"),
        row::<TaskGroup>("suspended", "group-stopped"),
        row::<TaskGroup>("at work", "group-at-work"),
        row::<TaskGroup>("creating its tasks", "group-creating"),
    ];
    each_ends(&world, &rows).await;
    assert_eq!(at_oms(&world).await, []);
}

/// Objects in several states, with a mark in their names.
async fn several(world: &World, mark: &str) -> Vec<Row> {
    let named = |name: &str| format!("{name}-{mark}");
    running(world, &named("running")).await;
    let stopped = running(world, &named("stopped")).await;
    stopped.suspend(true).await;
    stopped.wait_phase(Phase::Stopped).await;
    let approval = migration(world, &named("approval")).with("/approval", "Required").apply().await;
    approval.wait_condition("Ready", "False", "ApprovalRequired").await;
    world.fault(json!({ "kind": "failTask", "code": "TRF.0002", "times": 1 })).await;
    let failed = migration(world, &named("failed")).apply().await;
    failed.wait_phase(Phase::Failed).await;
    let theirs = ownerless(world, &named("theirs")).await;
    let adopted =
        migration(world, &named("adopted")).with("/adopt", json!({ "taskId": theirs })).apply().await;
    adopted.wait("is adopted", |task| condition(task, "Adopted").is_some()).await;
    group(world, &named("group")).apply().await.wait_condition("Ready", "False", "Running").await;
    synchronizing(world, &named("sync")).await;
    let suspended = synchronizing(world, &named("sync-stopped")).await;
    suspended.suspend(true).await;
    suspended.wait_phase(Phase::Stopped).await;
    world.apply_event(&named("unsent"), &named("sync-stopped"), &["00000.txt".into()]).await;
    world.wait_event_reason(&named("unsent"), "SyncTaskNotSynchronizing").await;
    vec![
        row::<MigrationTask>("running", named("running")),
        row::<MigrationTask>("suspended", named("stopped")),
        row::<MigrationTask>("waiting for approval", named("approval")),
        row::<MigrationTask>("failed", named("failed")),
        row::<MigrationTask>("adopted", named("adopted")).leaving(RUNS),
        row::<TaskGroup>("at work", named("group")),
        row::<SyncTask>("at work", named("sync")),
        row::<SyncTask>("suspended", named("sync-stopped")),
        row::<SyncEvent>("unsent", named("unsent")),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn they_end_also_when_the_secrets_and_the_connection_went_first() {
    let world = grouped().behaving("groupCreationMs", 100).start().await;
    world.put_objects(200).await;
    let (first, second) = (several(&world, "first").await, several(&world, "second").await);
    for secret in [OMS_SECRET, SOURCE_SECRET, DESTINATION_SECRET] {
        world.delete_secret(secret).await;
    }
    world.wait_connection(CONNECTION, "False", "SecretNotFound").await;
    each_ends(&world, &first).await;

    let connections = world.api::<Connection>();
    connections.delete(CONNECTION, &DeleteParams::default()).await.unwrap();
    // It waits for those that use it; somebody who does not helps it along.
    let release = Patch::Merge(json!({ "metadata": { "finalizers": null } }));
    connections.patch(CONNECTION, &PatchParams::default(), &release).await.unwrap();
    eventually("the connection is gone", async || {
        let found = connections.get_opt(CONNECTION).await.map_err(|error| error.to_string())?;
        found.map_or(Ok(()), |found| Err(format!("{:#?}", found.status)))
    })
    .await;
    each_ends(&world, &second).await;
    assert_eq!(at_oms(&world).await.len(), 2, "what was adopted stays");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deleting_a_namespace_with_one_object_of_each_kind_ends() {
    let world = grouped().behaving("groupCreationMs", 100).start().await;
    world.put_objects(200).await;
    running(&world, "task").await;
    group(&world, "group").apply().await.wait_condition("Ready", "False", "Running").await;
    synchronizing(&world, "sync").await;
    world.apply_event("event", "sync", &["00000.txt".into()]).await;
    world.wait_event_phase("event", Phase::Succeeded).await;
    let namespace = world.namespace.clone();
    world.kubectl(&["delete", "namespace", &namespace, "--wait=false"]).await;
    eventually("the namespace is gone", async || {
        let (found, output) = world.try_kubectl(&["get", "namespace", &namespace, "-o", "yaml"], "").await;
        if !found && output.contains("NotFound") { Ok(()) } else { Err(output) }
    })
    .await;
    assert_eq!(at_oms(&world).await, []);
}
