//! Objects stay where they were created, whatever their reference would mean by then.

use kube::Api;
use kube::api::{Patch, PatchParams};
use oms_operator::api::{ClusterConnection, Connection, ConnectionKind, Phase};
use serde_json::{Value, json};

use crate::migration::{Migration, condition, message};
use crate::operator::OperatorFlags;
use crate::world::{CONNECTION, Keys, OMS_SECRET, OTHER_PROJECT, PROJECT, Setup, World};

async fn running<'w>(world: &'w World, name: &str) -> Migration<'w> {
    let migration = world.migration(name).apply().await;
    migration.wait_condition("Ready", "False", "Running").await;
    migration
}

/// Changes members of the spec of the Connection `default`.
async fn redirect(world: &World, changes: Value) {
    let connections = world.api::<Connection>();
    let patch = Patch::Merge(json!({ "spec": changes }));
    connections.patch(CONNECTION, &PatchParams::default(), &patch).await.unwrap();
}

/// Regression: after a restart nobody polled the project that the Connection no longer named, so that a task which stays
/// there never came to its end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_whose_connection_leads_elsewhere_is_seen_to_its_end_also_by_another_process() {
    let flags = OperatorFlags::default().with("--allowed-endpoint=localhost");
    let mut world = Setup::default().behaving("objectRate", 20.0).operated(flags.clone()).start().await;
    world.put_objects(200).await;
    let before = running(&world, "photos").await.status().await;
    let elsewhere = world.emulator.endpoints().oms.replace("127.0.0.1", "localhost");
    redirect(&world, json!({ "endpoint": elsewhere })).await;
    world.existing("photos").wait_condition("ConnectionReady", "False", "ConnectionChanged").await;
    world.operator().kill();
    world.start_operator(&flags).await;

    let done = world.existing("photos").wait_phase(Phase::Succeeded).await;
    let status = done.status.unwrap();
    assert_eq!((status.task_id, status.connection), (before.task_id, before.connection));
    let next = world.migration("next").with("/destination/prefix", "next/").apply().await;
    next.wait_phase(Phase::Succeeded).await;
    assert_eq!(next.status().await.connection.unwrap().endpoint, elsewhere);
    assert_eq!(world.effects("CreateTask").await.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_with_another_project_moves_no_task_that_runs() {
    let world = Setup::default().two_projects().behaving("objectRate", 20.0).start().await;
    world.put_objects(200).await;
    let migration = running(&world, "photos").await;
    redirect(&world, json!({ "projectId": OTHER_PROJECT })).await;
    let told = migration.wait_condition("ConnectionReady", "False", "ConnectionChanged").await;
    let words = message(&told, "ConnectionReady");
    assert!(words.contains(&format!("stays with project {PROJECT}")), "{words}");
    // A new one is made where the Connection leads now.
    let next = world.migration("next").with("/destination/prefix", "next/").apply().await;
    next.wait_phase(Phase::Running).await;
    assert_eq!(next.status().await.connection.unwrap().project_id, OTHER_PROJECT);

    migration.wait_phase(Phase::Succeeded).await;
    next.wait_phase(Phase::Succeeded).await;
    let created = world.effects("CreateTask").await;
    let projects: Vec<_> = created.iter().map(|entry| entry["project"].as_str().unwrap()).collect();
    assert_eq!(projects, [PROJECT, OTHER_PROJECT]);
    for migration in [&migration, &next] {
        migration.delete().await;
        migration.wait_gone().await;
    }
    assert_eq!(world.remote_tasks().await, Vec::<Value>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_that_do_not_see_where_a_task_stays_are_told_tried_once_and_replaced() {
    let world = Setup::default().two_projects().behaving("objectRate", 20.0).start().await;
    world.put_objects(200).await;
    let migration = running(&world, "photos").await;
    redirect(&world, json!({ "projectId": OTHER_PROJECT })).await;
    migration.wait_condition("ConnectionReady", "False", "ConnectionChanged").await;
    let write = async |keys: &Keys| {
        world.secret(OMS_SECRET, &[("accessKey", &keys.access), ("secretKey", &keys.secret)]).await;
    };
    write(&world.other_keys).await;
    let blind = migration.wait_condition("ConnectionReady", "False", "ConnectionNotReady").await;
    let words = message(&blind, "ConnectionReady");
    for word in [PROJECT, "Connection `default`", "Give the connection keys that can see both"] {
        assert!(words.contains(word), "{words}");
    }
    world.wait_connection(CONNECTION, "True", "Connected").await;
    let refused = async || {
        let calls = world.journal("*").await;
        calls.iter().filter(|call| call["status"] != 200 && call["project"] == PROJECT).count()
    };
    let before = refused().await;
    migration.nudge("again").await;
    world.let_polls_pass(12).await;
    assert_eq!(refused().await, before, "refused keys are not tried again and again");

    write(&world.oms_keys).await;
    migration.wait_phase(Phase::Succeeded).await;
    assert_eq!(world.effects("CreateTask").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_connection_of_the_namespace_comes_before_that_of_the_cluster_and_moves_nothing_that_runs() {
    let setup = Setup::default().behaving("objectRate", 20.0).unconnected().everywhere().await;
    let world = setup.start().await;
    world.put_objects(200).await;
    world.write_secrets().await;
    let mut cluster = world.connection_manifest();
    cluster["kind"] = json!("ClusterConnection");
    cluster["spec"]["allowedNamespaces"] = json!({ "names": [world.namespace] });
    let apply = PatchParams::apply("flow-test").force();
    let connections = Api::<ClusterConnection>::all(world.client.clone());
    connections.patch(CONNECTION, &apply, &Patch::Apply(&cluster)).await.unwrap();
    let migration = running(&world, "photos").await;
    let pinned = migration.status().await.connection.unwrap();
    assert_eq!((pinned.kind, pinned.name.as_str()), (ConnectionKind::ClusterConnection, CONNECTION));

    world.apply::<Connection>(world.connection_manifest()).await;
    let told = migration.wait_condition("ConnectionReady", "False", "ConnectionChanged").await;
    let words = message(&told, "ConnectionReady");
    assert!(words.contains("would now mean Connection `default`"), "{words}");
    let next = world.migration("next").with("/destination/prefix", "next/").apply().await;
    next.wait_phase(Phase::Succeeded).await;
    assert_eq!(next.status().await.connection.unwrap().kind, ConnectionKind::Connection);
    let done = migration.wait_phase(Phase::Succeeded).await;
    assert_eq!(condition(&done, "Ready"), Some(("True".into(), "Succeeded".into())));
    assert_eq!(done.status.unwrap().connection, Some(pinned));
}
