//! Two replicas with a lease: one works, and hands over; one that was frozen and wakes up does nothing any more.

use std::time::Duration;

use futures::StreamExt as _;
use k8s_openapi::api::coordination::v1::Lease;
use kube::ResourceExt as _;
use kube::api::{WatchEvent, WatchParams};
use oms_operator::api::{Connection, MigrationTask, Phase};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::crash::wait_struck;
use crate::operator::{Operator, OperatorFlags};
use crate::world::{LIMIT, Setup, World, eventually};

/// Fast enough that the twenty minutes after a create of unknown outcome take some seconds.
const FAST: u32 = 120;

/// The time in which a successor leads: what the product promises.
const HAND_OVER: Duration = Duration::from_secs(2);

/// Leases that a busy machine can keep, and whose end a test can wait for.
fn electing() -> OperatorFlags {
    OperatorFlags { elects: true, ..OperatorFlags::default() }
        .with("--leader-lease-duration=8s")
        .with("--leader-renew-deadline=6s")
        .with("--leader-retry-period=500ms")
}

/// Leases as they are by default.
fn by_default() -> OperatorFlags {
    OperatorFlags { elects: true, ..OperatorFlags::default() }
}

/// A leader, which is the world's operator, and one that waits.
async fn two(setup: Setup, flags: &OperatorFlags) -> (World, Operator) {
    let world = setup.operated(flags.clone()).start().await;
    world.put_objects(3).await;
    world.wait_connection("default", "True", "Connected").await;
    let second = world.spawn_operator(flags);
    second.wait_log("another replica leads").await;
    (world, second)
}

async fn lease(world: &World) -> Lease {
    world.api::<Lease>().get("oms-operator").await.unwrap()
}

fn intends(task: &MigrationTask) -> bool {
    task.status.as_ref().is_some_and(|status| status.create.is_some())
}

fn is_marked(task: &MigrationTask) -> bool {
    let create = task.status.as_ref().and_then(|status| status.create.as_ref());
    create.is_some_and(|create| create.sent_at.is_some())
}

/// Asserts that the successor led within the promise: from the moment at which the leader noticed the signal to the one that
/// the successor wrote into the lease. Both are by the clock of this machine and written by the processes themselves, so
/// how long this test waits for its own turn does not count.
async fn assert_handed_over(world: &World, first: &Operator, second: &Operator) {
    second.wait_log("\"leading\"").await;
    let asked = first.logged_at("\"SIGTERM\"")[0];
    let spec = lease(world).await.spec.unwrap();
    let took = Duration::try_from(spec.acquire_time.unwrap().0.duration_since(asked)).unwrap_or_default();
    println!("handed over {took:?} after the signal");
    assert!(took <= HAND_OVER, "it took {took:?}: {} {}", first.log_tail(5), second.log_tail(5));
    assert_ne!(spec.holder_identity.as_deref(), Some(""));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_replicas_one_works_and_the_other_is_ready_and_does_nothing() {
    let (world, second) = two(Setup::default(), &by_default()).await;
    eventually("the second is ready", async || match second.ask("/readyz").await {
        (200, _) => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    world.migration("photos").apply().await.wait_phase(Phase::Succeeded).await;
    let (_, metrics) = second.ask("/metrics").await;
    assert!(metrics.lines().any(|line| line == "oms_operator_leader 0"), "{metrics}");
    for done in ["reconciles_total{", "oms_requests_total{", "kubernetes_writes_total{"] {
        let sample = format!("oms_operator_{done}");
        let worked = metrics.lines().find(|line| line.starts_with(&sample) && !line.ends_with(" 0"));
        assert_eq!(worked, None);
    }
    assert!(!second.log().contains("\"leading\""));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_is_asked_to_end_hands_over_within_two_seconds() {
    let (mut world, mut second) = two(Setup::default(), &by_default()).await;
    let ended = world.operator().terminate(LIMIT).await;
    assert!(ended.is_some_and(|status| status.success()), "{ended:?}");
    assert_handed_over(&world, &world.operators[0], &second).await;
    second.wait_ready().await;
    world.migration("photos").apply().await.wait_phase(Phase::Succeeded).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_hangs_does_not_hold_up_the_hand_over_and_its_task_is_found() {
    let (mut world, second) = two(Setup::default(), &by_default()).await;
    world.fault(json!({ "operation": "CreateTask", "kind": "hang", "afterEffect": true, "times": 1 })).await;
    let name = world.migration("photos").apply().await.name;
    wait_struck(&world).await;
    world.operator().signal(Signal::TERM);
    assert_handed_over(&world, &world.operators[0], &second).await;
    world.existing(&name).wait_phase(Phase::Succeeded).await;
    assert_eq!(world.journal("CreateTask").await.len(), 1);
    assert_eq!(world.remote_tasks().await.len(), 1);
    let ended = world.operator().exited(LIMIT).await;
    assert!(ended.is_some_and(|status| status.success()), "{ended:?}");
}

/// What there is at OMS and of an object, as far as an operator changes it.
async fn everything(world: &World, name: &str) -> (Vec<Value>, Option<String>, Option<String>) {
    let mut calls = world.journal("*").await;
    calls.retain(|call| {
        let operation = call["operation"].as_str().unwrap();
        !operation.starts_with("Show") && !operation.starts_with("List")
    });
    let connection = world.api::<Connection>().get("default").await.unwrap();
    (calls, world.existing(name).get().await.resource_version(), connection.resource_version())
}

/// The successor of a frozen leader finishes its migration with one task. Then the leader wakes up: it changes nothing, at
/// OMS or in the cluster, and ends by itself.
async fn assert_wakes_to_nothing(world: &mut World, second: &mut Operator, name: &str) {
    second.wait_log("\"leading\"").await;
    world.existing(name).wait_phase(Phase::Succeeded).await;
    // What the successor still has to write.
    world.let_polls_pass(4).await;
    let before = everything(world, name).await;
    world.operator().signal(Signal::CONT);
    let ended = world.operator().exited(LIMIT).await;
    assert_eq!(ended.and_then(|status| status.code()), Some(1), "{}", world.operators[0].log_tail(10));
    assert!(world.operators[0].log().contains("the lease was lost"), "{}", world.operators[0].log_tail(5));
    assert_eq!(everything(world, name).await, before, "it changed something after it woke up");
    assert_eq!(world.remote_tasks().await.len(), 1);
    let id = world.existing(name).status().await.task_id;
    let created = world.effects("CreateTask").await;
    assert_eq!(created.last().unwrap()["task"].as_str(), id.as_deref(), "{created:#?}");
    assert!(second.exited(Duration::ZERO).await.is_none(), "{}", second.log_tail(10));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_frozen_before_its_mark_wakes_to_nothing() {
    let (mut world, mut second) = two(Setup::default(), &electing()).await;
    // The answer to its search waits for it.
    let delay = json!({ "operation": "ListTasks", "kind": "delay", "delayMs": 2_000, "times": 1 });
    world.fault(delay).await;
    let name = world.migration("photos").apply().await.name;
    wait_struck(&world).await;
    world.operator().signal(Signal::STOP);
    let frozen = world.existing(&name).get().await;
    assert!(intends(&frozen) && !is_marked(&frozen), "{:?}", frozen.status);
    assert_wakes_to_nothing(&mut world, &mut second, &name).await;
}

/// Lets one call in a second go out, so that a create waits for leave after the search that came before it.
async fn slow_down(world: &World) {
    let mut connection = world.connection_manifest();
    connection["spec"]["limits"] = json!({ "requestsPerSecond": 1 });
    world.apply::<Connection>(connection).await;
    eventually("the connection is slow", async || {
        let connection = world.api::<Connection>().get("default").await.map_err(|error| error.to_string())?;
        let seen = connection.status.as_ref().map(|status| status.observed_generation);
        if seen == connection.metadata.generation { Ok(()) } else { Err(format!("{seen:?}")) }
    })
    .await;
    world.wait_connection("default", "True", "Connected").await;
}

/// Freezes the leader between its mark and its call, while it waits for leave to call. Returns the name of the object.
async fn freeze_between_mark_and_call(world: &mut World) -> String {
    for number in 0..10 {
        let name = format!("photos-{number}");
        let called = world.journal("CreateTask").await.len();
        world.migration(&name).apply().await;
        let api = world.api::<MigrationTask>();
        let params = WatchParams::default().fields(&format!("metadata.name={name}"));
        let mut events = api.watch(&params, "0").await.unwrap().boxed();
        while let Some(event) = events.next().await {
            if let WatchEvent::Added(task) | WatchEvent::Modified(task) = event.unwrap()
                && is_marked(&task)
            {
                break;
            }
        }
        world.operator().signal(Signal::STOP);
        // What had left arrives; what had not never does.
        world.let_polls_pass(2).await;
        if world.journal("CreateTask").await.len() == called {
            return name;
        }
        // This machine was too slow for it.
        world.operator().signal(Signal::CONT);
        let migration = world.existing(&name);
        migration.wait_phase(Phase::Succeeded).await;
        migration.delete().await;
        migration.wait_gone().await;
    }
    panic!("no leader could be frozen between its mark and its call");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_frozen_between_its_mark_and_its_call_sends_nothing_when_it_wakes() {
    let (mut world, mut second) = two(Setup::default(), &electing().scaled(FAST)).await;
    slow_down(&world).await;
    let name = freeze_between_mark_and_call(&mut world).await;
    assert_wakes_to_nothing(&mut world, &mut second, &name).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_frozen_while_its_call_is_on_the_way_makes_one_task_that_its_successor_finds() {
    let (mut world, mut second) = two(Setup::default(), &electing()).await;
    // The call takes effect long after the successor has begun to search.
    let late = json!({ "operation": "CreateTask", "kind": "delay", "delayMs": 20_000, "times": 1 });
    world.fault(late).await;
    let name = world.migration("photos").apply().await.name;
    wait_struck(&world).await;
    world.operator().signal(Signal::STOP);
    second.wait_log("\"leading\"").await;
    world.existing(&name).wait_condition("Ready", "False", "CreateUnconfirmed").await;
    assert_wakes_to_nothing(&mut world, &mut second, &name).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_frozen_before_it_writes_down_the_task_wakes_to_nothing() {
    let (mut world, mut second) = two(Setup::default(), &electing()).await;
    // OMS has made the task; its answer waits until the leader wakes up.
    let late = json!({ "operation": "CreateTask", "kind": "delay", "delayMs": 2_000, "afterEffect": true, "times": 1 });
    world.fault(late).await;
    let name = world.migration("photos").apply().await.name;
    wait_struck(&world).await;
    world.operator().signal(Signal::STOP);
    assert_eq!(world.existing(&name).status().await.task_id, None);
    assert_wakes_to_nothing(&mut world, &mut second, &name).await;
}

/// Between the last question for the lease and the first byte there is a moment. Without an election the question is always
/// answered with yes, so that a process can be frozen long before it and send all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_a_frozen_process_still_sends_is_found_by_the_other_one() {
    let mut world = Setup::default().start().await;
    world.put_objects(3).await;
    world.wait_connection("default", "True", "Connected").await;
    slow_down(&world).await;
    let name = freeze_between_mark_and_call(&mut world).await;
    let sent = world.journal("CreateTask").await.len();
    world.start_operator(&OperatorFlags::default()).await;
    // It must not create as long as the call of the other may come.
    world.existing(&name).wait_condition("Ready", "False", "CreateUnconfirmed").await;
    assert_eq!(world.journal("CreateTask").await.len(), sent);
    world.operator().signal(Signal::CONT);
    let done = world.existing(&name).wait_phase(Phase::Succeeded).await;
    assert_eq!(world.journal("CreateTask").await.len(), sent + 1, "the frozen one sent it");
    let tasks = world.remote_tasks().await;
    assert_eq!(tasks.len(), 1, "{tasks:#?}");
    assert_eq!(done.status.unwrap().create, None);
}
