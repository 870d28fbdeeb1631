//! Connections that are used: protected, pinned, shared and kept apart.

use kube::Api;
use kube::api::DeleteParams;
use oms_operator::api::{CONNECTION_FINALIZER, Connection};
use serde_json::{Value, json};

use crate::migration::{Migration, condition, message};
use crate::operator::OperatorFlags;
use crate::world::{CONNECTION, Setup, World, eventually};

/// A world whose tasks run for very long.
async fn slow() -> World {
    let world = Setup::default().behaving("objectRate", 1.0).start().await;
    world.put_objects(200).await;
    world
}

async fn running<'w>(world: &'w World, name: &str) -> Migration<'w> {
    let migration = world.migration(name).apply().await;
    migration.wait_condition("Ready", "False", "Running").await;
    migration
}

/// Waits until the Connection `default` is as asked.
async fn wait_default(
    connections: &Api<Connection>,
    what: &str,
    holds: impl Fn(Option<&Connection>) -> bool,
) -> Option<Connection> {
    eventually(what, async || {
        let connection = connections.get_opt(CONNECTION).await.map_err(|error| error.to_string())?;
        if holds(connection.as_ref()) { Ok(connection) } else { Err(format!("{connection:#?}")) }
    })
    .await
}

fn is_protected(connection: &Connection) -> bool {
    connection.metadata.finalizers.iter().flatten().any(|finalizer| finalizer == CONNECTION_FINALIZER)
}

/// A second Connection to the same project, with a Secret of its own.
pub(crate) async fn connect_as(world: &World, name: &str, secret_key: &str) {
    let secret = format!("{name}-keys");
    world.secret(&secret, &[("accessKey", &world.oms_keys.access), ("secretKey", secret_key)]).await;
    let mut manifest = world.connection_manifest();
    manifest["metadata"]["name"] = json!(name);
    manifest["spec"]["credentials"]["secretRef"]["name"] = json!(secret);
    world.apply::<Connection>(manifest).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_in_use_stays_until_the_last_of_its_objects_is_cleaned_up() {
    let world = slow().await;
    let connections = world.api::<Connection>();
    let unused = wait_default(&connections, "the connection is there", |found| found.is_some()).await;
    assert!(!is_protected(&unused.unwrap()), "nobody uses it yet");
    let migration = running(&world, "photos").await;
    wait_default(&connections, "the connection is protected", |found| found.is_some_and(is_protected)).await;

    connections.delete(CONNECTION, &DeleteParams::default()).await.unwrap();
    let waiting = wait_default(&connections, "the deletion tells whom it waits for", |found| {
        let conditions = found.and_then(|found| found.status.as_ref()).map(|status| &status.conditions);
        conditions.into_iter().flatten().any(|told| {
            told.type_ == "Reconciling" && told.reason == "InUse" && told.message.contains("/photos")
        })
    })
    .await;
    assert!(waiting.unwrap().metadata.deletion_timestamp.is_some());
    let still = migration.get().await;
    assert_eq!(condition(&still, "Ready"), Some(("False".into(), "Running".into())), "the task goes on");

    migration.delete().await;
    migration.wait_gone().await;
    wait_default(&connections, "the connection is gone", |found| found.is_none()).await;
    assert_eq!(world.remote_tasks().await, Vec::<Value>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_nobody_uses_any_more_is_deleted_at_once() {
    let world = slow().await;
    let connections = world.api::<Connection>();
    let migration = running(&world, "photos").await;
    wait_default(&connections, "the connection is protected", |found| found.is_some_and(is_protected)).await;
    migration.delete().await;
    migration.wait_gone().await;
    wait_default(&connections, "the protection is gone", |found| {
        found.is_some_and(|found| !is_protected(found))
    })
    .await;
    connections.delete(CONNECTION, &DeleteParams::default()).await.unwrap();
    wait_default(&connections, "the connection is gone", |found| found.is_none()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_task_stays_with_its_connection_when_the_reference_would_mean_another() {
    let flags = OperatorFlags::default().with("--allowed-endpoint=localhost");
    let world = Setup::default().behaving("objectRate", 1.0).operated(flags).start().await;
    world.put_objects(200).await;
    let keys = world.oms_keys.secret.clone();
    connect_as(&world, "first", &keys).await;
    let migration =
        world.migration("photos").with("/connectionRef", json!({ "kind": "Connection", "name": "first" }));
    let migration = migration.apply().await;
    let before = migration.wait_condition("Ready", "False", "Running").await.status.unwrap();

    // The endpoint of the connection changes to another name of the same address.
    let elsewhere = world.emulator.endpoints().oms.replace("127.0.0.1", "localhost");
    let mut manifest = world.connection_manifest();
    manifest["metadata"]["name"] = json!("first");
    manifest["spec"]["credentials"]["secretRef"]["name"] = json!("first-keys");
    manifest["spec"]["endpoint"] = json!(elsewhere);
    world.apply::<Connection>(manifest).await;
    let told = migration.wait_condition("ConnectionReady", "False", "ConnectionChanged").await;
    assert!(message(&told, "ConnectionReady").contains("stays with project"), "{:#?}", told.status);
    let after = told.status.unwrap();
    assert_eq!((after.task_id, after.connection), (before.task_id, before.connection));
    assert_eq!(world.effects("CreateTask").await.len(), 1);

    // It can still be cleaned up where it is.
    migration.delete().await;
    migration.wait_gone().await;
    assert_eq!(world.remote_tasks().await, Vec::<Value>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_with_wrong_keys_learns_nothing_of_anothers_tasks() {
    let world = slow().await;
    let known = running(&world, "photos").await.status().await;
    connect_as(&world, "stranger", "not-the-secret").await;
    world.wait_connection("stranger", "False", "CredentialsRejected").await;
    let reference = json!({ "kind": "Connection", "name": "stranger" });
    let curious = world.migration("curious").with("/connectionRef", reference).apply().await;
    curious.wait_condition("Ready", "False", "ConnectionNotReady").await;
    world.let_polls_pass(4).await;
    let status = curious.status().await;
    assert_eq!((&status.task_id, &status.connection, &status.progress), (&None, &None, &None));
    let text = serde_json::to_string(&status).unwrap();
    assert!(!text.contains(known.task_id.as_deref().unwrap()), "{text}");
    assert_eq!(world.effects("CreateTask").await.len(), 1);
    // The other's view is none the worse for it.
    let refused = world.journal("*").await.iter().filter(|entry| entry["status"] == 401).count();
    assert!(refused <= 2, "{refused} refused calls");
    curious.delete().await;
    curious.wait_gone().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_connections_to_one_project_share_one_poller() {
    let world = slow().await;
    let keys = world.oms_keys.secret.clone();
    connect_as(&world, "second", &keys).await;
    world.wait_connection("second", "True", "Connected").await;
    for number in 0..4 {
        running(&world, &format!("first-{number}")).await;
        let reference = json!({ "kind": "Connection", "name": "second" });
        let migration = world.migration(&format!("second-{number}")).with("/connectionRef", reference);
        migration.apply().await.wait_condition("Ready", "False", "Running").await;
    }
    let before = world.journal("*").await.len();
    let begun = std::time::Instant::now();
    world.let_polls_pass(12).await;
    let calls = world.journal("*").await.split_off(before);
    let polls = begun.elapsed().as_millis() as usize / 200 + 1;
    // Eight running tasks: one list per poll, not one per connection, and no look at a single task.
    let lists = calls.iter().filter(|entry| entry["operation"] == "ListTasks").count();
    assert!(lists > 0 && lists <= polls, "{lists} lists in {polls} polls: {calls:#?}");
    assert_eq!(lists, calls.len(), "{calls:#?}");
}
