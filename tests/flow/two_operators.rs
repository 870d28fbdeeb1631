//! Several operators on the same API server and namespace.

use std::time::Duration;

use oms_operator::api::Phase;

use crate::operator::OperatorFlags;
use crate::world::{LIMIT, Setup, World};

const COUNT: usize = 6;

async fn migrate_several(world: &World, prefix: &str) {
    let mut migrations = Vec::new();
    for number in 0..COUNT {
        let draft = world
            .migration(&format!("{prefix}-{number}"))
            .with("/destination/prefix", format!("{prefix}/{number}/"));
        migrations.push(draft.apply().await);
    }
    for migration in &migrations {
        migration.wait_phase(Phase::Succeeded).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_operator_without_election_creates_no_second_task() {
    let mut world = Setup::default().start().await;
    world.put_objects(2).await;
    world.start_operator(&OperatorFlags::default()).await;
    migrate_several(&world, "twice").await;
    assert_eq!(world.effects("CreateTask").await.len(), COUNT);
    assert_eq!(world.remote_tasks().await.len(), COUNT);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_election_one_operator_works_and_the_other_takes_over() {
    let flags = OperatorFlags { elects: true, ..OperatorFlags::default() }
        .with("--leader-lease-duration=3s")
        .with("--leader-renew-deadline=2s")
        .with("--leader-retry-period=300ms");
    let mut world = Setup::default().operated(flags.clone()).start().await;
    world.put_objects(2).await;
    let mut second = world.spawn_operator(&flags);
    second.wait_log("serving health and metrics").await;
    migrate_several(&world, "first").await;
    assert!(!second.log().contains("\"leading\""), "only one leads: {}", second.log_tail(5));

    world.operator().kill();
    second.wait_ready().await;
    assert!(second.log().contains("\"leading\""));
    migrate_several(&world, "second").await;
    assert_eq!(world.effects("CreateTask").await.len(), 2 * COUNT);
    assert_eq!(world.remote_tasks().await.len(), 2 * COUNT);
    let ended = second.terminate(Duration::from_secs(10)).await;
    assert!(ended.is_some_and(|status| status.success()), "{ended:?}");
}

/// Installs as teams have them that may read nothing of each other, not even the ID of the cluster.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_installs_for_one_namespace_one_works_and_the_other_says_why_it_does_not() {
    let install = |name: &str| {
        OperatorFlags { elects: true, ..OperatorFlags::default() }
            .with(format!("--leader-lease-name={name}"))
            .with(format!("--cluster-id={name}"))
    };
    let mut world = Setup::default().operated(install("one")).start().await;
    world.put_objects(2).await;
    let mut other = world.spawn_operator(&install("other"));
    other.wait_log("not able to work yet").await;
    let why = format!("another operator, {0}/one, works for namespace {0}: uninstall one", world.namespace);
    assert_eq!(other.log().matches(&why).count(), 1, "{}", other.log_tail(5));
    migrate_several(&world, "first").await;

    // The next replica of the first install goes on; the other install does not get in between.
    let mut successor = world.spawn_operator(&install("one"));
    successor.wait_log("another replica leads").await;
    let ended = world.operator().terminate(LIMIT).await;
    assert!(ended.is_some_and(|status| status.success()), "{ended:?}");
    successor.wait_ready().await;
    migrate_several(&world, "second").await;
    assert!(!other.is_ready());

    // Only when none is left.
    let ended = successor.terminate(LIMIT).await;
    assert!(ended.is_some_and(|status| status.success()), "{ended:?}");
    other.wait_ready().await;
    migrate_several(&world, "third").await;
    assert_eq!(world.effects("CreateTask").await.len(), 3 * COUNT);
    assert_eq!(world.remote_tasks().await.len(), 3 * COUNT);
}
