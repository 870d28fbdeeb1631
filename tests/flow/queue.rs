//! The line of those that wait for room in a quota.

use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use oms_operator::api::{Connection, MigrationTask, Phase, TaskGroup};
use serde_json::{Value, json};

use crate::migration::{Migration, message, phase_of};
use crate::operator::OperatorFlags;
use crate::world::{CONNECTION, DESTINATION_SECRET, OMS_SECRET, SOURCE_SECRET, Setup, World, eventually};

/// A world whose operator does not make anybody wait for minutes.
fn hurried() -> Setup {
    Setup::default().operated(OperatorFlags::default().scaled(60))
}

/// Says in the Connection how many tasks may be created in 24 hours.
pub(crate) async fn allow(world: &World, tasks_per_day: u32) {
    limit(world, json!({ "tasksPerDay": tasks_per_day })).await;
}

/// Says in the Connection what the account may do.
async fn limit(world: &World, limits: Value) {
    let patch = json!({ "spec": { "limits": limits } });
    let connections = world.api::<Connection>();
    connections.patch(CONNECTION, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
    eventually("the connection is ready with these limits", async || {
        let connection = connections.get(CONNECTION).await.unwrap();
        let observed = connection.status.as_ref().map(|status| status.observed_generation);
        if observed == connection.metadata.generation { Ok(()) } else { Err(format!("{observed:?}")) }
    })
    .await;
}

async fn wait_position(migration: &Migration<'_>, position: i64) -> MigrationTask {
    migration
        .wait(&format!("has position {position}"), |task| {
            let queue = task.status.as_ref().and_then(|status| status.queue.as_ref());
            phase_of(task) == Some(Phase::Queued) && queue.is_some_and(|queue| queue.position == position)
        })
        .await
}

async fn apply<'w>(world: &'w World, name: &str, priority: &str) -> Migration<'w> {
    let draft = world.migration(name).with("/destination/prefix", format!("{name}/"));
    draft.with("/priority", priority).apply().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_line_has_the_higher_priority_first_and_asks_oms_for_nothing_meanwhile() {
    let world = hurried().start().await;
    world.put_objects(1).await;
    world.wait_connection(CONNECTION, "True", "Connected").await;
    allow(&world, 1).await;
    apply(&world, "first", "MEDIUM").await.wait_phase(Phase::Succeeded).await;
    let low = apply(&world, "low", "LOW").await;
    wait_position(&low, 1).await;
    let medium = apply(&world, "medium", "MEDIUM").await;
    let high = apply(&world, "high", "HIGH").await;
    wait_position(&high, 1).await;
    wait_position(&medium, 2).await;
    let last = wait_position(&low, 3).await;
    let status = last.status.clone().unwrap();
    assert!(message(&last, "Ready").contains("Nothing to do"), "{}", message(&last, "Ready"));
    assert_eq!((status.failure, status.create), (None, None), "waiting is not failing");
    let earliest = |task: MigrationTask| task.status.unwrap().queue.unwrap().earliest_at.unwrap().0;
    let (first, last) = (earliest(high.get().await), earliest(last));
    assert!(first < last, "{first} {last}");
    assert_eq!(world.journal("CreateTask").await.len(), 1, "the limit is known, so nobody has to be refused");

    allow(&world, 3).await;
    high.wait_phase(Phase::Succeeded).await;
    medium.wait_phase(Phase::Succeeded).await;
    wait_position(&low, 1).await;
    assert_eq!(world.effects("CreateTask").await.len(), 3);
    low.delete().await;
    low.wait_gone().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restarted_operator_remembers_what_was_created_today() {
    let mut world = hurried().start().await;
    world.put_objects(1).await;
    world.wait_connection(CONNECTION, "True", "Connected").await;
    allow(&world, 2).await;
    for name in ["first", "second"] {
        apply(&world, name, "MEDIUM").await.wait_phase(Phase::Succeeded).await;
    }
    wait_position(&apply(&world, "third", "MEDIUM").await, 1).await;
    world.operator().kill();
    world.start_operator(&OperatorFlags::default().scaled(60)).await;
    let third = world.existing("third");
    let fourth = apply(&world, "fourth", "HIGH").await;
    wait_position(&fourth, 1).await;
    wait_position(&third, 2).await;
    assert_eq!(
        world.journal("CreateTask").await.len(),
        2,
        "the search before a create shows that the day is full"
    );
    let status = third.status().await;
    assert_eq!((status.create, status.connection), (None, None), "the intent is taken back");
    allow(&world, 4).await;
    third.wait_phase(Phase::Succeeded).await;
    fourth.wait_phase(Phase::Succeeded).await;
    assert_eq!(world.effects("CreateTask").await.len(), 4);
}

/// A second namespace with a Connection to the same project. Deleted at the end of its test.
async fn neighbour(world: &World) -> String {
    let name = format!("{}-neighbour", world.namespace);
    let namespace: Namespace = serde_json::from_value(json!({ "metadata": { "name": name } })).unwrap();
    let namespaces = Api::<Namespace>::all(world.client.clone());
    namespaces.create(&PostParams::default(), &namespace).await.unwrap();
    let secrets = Api::<Secret>::namespaced(world.client.clone(), &name);
    for (secret, keys) in [
        (OMS_SECRET, &world.oms_keys),
        (SOURCE_SECRET, &world.source_keys),
        (DESTINATION_SECRET, &world.destination_keys),
    ] {
        let made = json!({ "metadata": { "name": secret },
                           "stringData": { "accessKey": keys.access, "secretKey": keys.secret } });
        secrets.create(&PostParams::default(), &serde_json::from_value(made).unwrap()).await.unwrap();
    }
    let connection = serde_json::from_value(world.connection_manifest()).unwrap();
    let connections = Api::<Connection>::namespaced(world.client.clone(), &name);
    connections.create(&PostParams::default(), &connection).await.unwrap();
    name
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_namespace_with_one_object_does_not_wait_behind_all_of_another_namespace() {
    let mut world = hurried().unoperated().start().await;
    world.put_objects(1).await;
    let neighbour = neighbour(&world).await;
    let both = OperatorFlags::default().scaled(60).with("--namespace").with(neighbour.clone());
    world.start_operator(&both).await;
    world.wait_connection(CONNECTION, "True", "Connected").await;
    allow(&world, 1).await;
    apply(&world, "first", "MEDIUM").await.wait_phase(Phase::Succeeded).await;
    let mut many = Vec::new();
    for number in 0..4 {
        let migration = apply(&world, &format!("many-{number}"), "HIGH").await;
        migration.wait_phase(Phase::Queued).await;
        many.push(migration);
    }
    let tasks = Api::<MigrationTask>::namespaced(world.client.clone(), &neighbour);
    let one = world.migration("one").with("/destination/prefix", "one/").with("/priority", "LOW");
    tasks
        .create(&PostParams::default(), &serde_json::from_value(one.manifest().clone()).unwrap())
        .await
        .unwrap();
    let place = async || tasks.get("one").await.unwrap().status.and_then(|status| status.queue);
    eventually("the neighbour is second", async || match place().await {
        Some(queue) if queue.position == 2 => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    allow(&world, 3).await;
    eventually("the neighbour's turn comes", async || {
        let phase = phase_of(&tasks.get("one").await.unwrap());
        if phase == Some(Phase::Succeeded) { Ok(()) } else { Err(format!("{phase:?}")) }
    })
    .await;
    eventually("one of the others' turn comes too", async || {
        let mut phases = Vec::new();
        for migration in &many {
            phases.push(phase_of(&migration.get().await));
        }
        let count = |phase| phases.iter().filter(|seen| **seen == Some(phase)).count();
        if (count(Phase::Succeeded), count(Phase::Queued)) == (1, 3) {
            Ok(())
        } else {
            Err(format!("{phases:?}"))
        }
    })
    .await;
    assert_eq!(world.effects("CreateTask").await.len(), 3);
    tasks.delete("one", &DeleteParams::default()).await.unwrap();
    eventually("it is gone", async || match tasks.get_opt("one").await.unwrap() {
        None => Ok(()),
        Some(task) => Err(format!("{:#?}", task.status)),
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_may_wait_at_oms_is_said_in_the_connection_and_oms_refuses_nobody() {
    let world = hurried().limited("runningTasks", 1).behaving("minimumRunMs", 4_000).start().await;
    world.put_objects(1).await;
    world.wait_connection(CONNECTION, "True", "Connected").await;
    limit(&world, json!({ "waitingTasks": 1 })).await;
    apply(&world, "first", "MEDIUM").await.wait_condition("Ready", "False", "Running").await;
    apply(&world, "second", "MEDIUM").await.wait_condition("Ready", "False", "WaitingAtOMS").await;
    let third = apply(&world, "third", "MEDIUM").await;
    wait_position(&third, 1).await;
    assert_eq!(world.journal("CreateTask").await.len(), 2, "the limit is known, so nobody has to be refused");
    for name in ["first", "second", "third"] {
        world.existing(name).wait_phase(Phase::Succeeded).await;
    }
    assert_eq!(world.journal("CreateTask").await.len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn groups_have_a_line_of_their_own_by_the_limit_of_the_connection() {
    let world = hurried().behaving("groupStartDelayMs", 50).behaving("groupCreationMs", 100).start().await;
    world.put_objects(1).await;
    world.wait_connection(CONNECTION, "True", "Connected").await;
    limit(&world, json!({ "groupsPerDay": 1 })).await;
    let group = |name: &str| world.group(name).with("/destination/prefix", format!("{name}/"));
    group("first").apply().await.wait_phase(Phase::Succeeded).await;
    let second = group("second").apply().await;
    let queued = |position: i64| {
        move |group: &TaskGroup| {
            let queue = group.status.as_ref().and_then(|status| status.queue.as_ref());
            phase_of(group) == Some(Phase::Queued) && queue.is_some_and(|queue| queue.position == position)
        }
    };
    let waiting = second.wait("has place 1", queued(1)).await;
    assert!(waiting.status.unwrap().queue.unwrap().earliest_at.is_some());
    assert_eq!(world.journal("CreateTaskGroup").await.len(), 1, "nobody is refused");
    // A task is no group.
    apply(&world, "task", "LOW").await.wait_phase(Phase::Succeeded).await;
    limit(&world, json!({ "groupsPerDay": 2 })).await;
    second.wait_phase(Phase::Succeeded).await;
    assert_eq!(world.effects("CreateTaskGroup").await.len(), 2);
}
