//! The operator dies again and again, at moments that nobody chose: nothing is made twice, and nothing is lost.

use std::time::Duration;

use oms_operator::api::Phase;

use crate::operator::OperatorFlags;
use crate::world::{Setup, eventually};

const MIGRATIONS: usize = 6;
const OBJECTS: usize = 20;
const DEATHS: u64 = 25;

/// Numbers that look like chance and are the same every time (the finaliser of splitmix64).
fn chance(seed: u64) -> u64 {
    let mut bits = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_that_is_killed_all_the_time_makes_nothing_twice_and_loses_nothing() {
    let mut world = Setup::default().unoperated().behaving("objectRate", 4.0).start().await;
    world.put_objects(OBJECTS).await;
    let name = |number: usize| format!("photos-{number}");
    for number in 0..MIGRATIONS {
        let draft = world.migration(&name(number)).with("/destination/prefix", format!("{number}/"));
        draft.with("/deletionPolicy", "Delete").apply().await;
    }
    for death in 0..DEATHS {
        let mut operator = world.spawn_operator(&OperatorFlags::default());
        // From the first list of objects to well into the work.
        operator.wait_log("serving health and metrics").await;
        tokio::time::sleep(Duration::from_millis(chance(death) % 500)).await;
        operator.kill();
        // People go on meanwhile.
        let migration = world.existing(&name(death as usize % MIGRATIONS));
        migration.suspend(chance(death + 1_000).is_multiple_of(3)).await;
    }
    for number in 0..MIGRATIONS {
        world.existing(&name(number)).suspend(false).await;
    }
    // Fast enough for the fence of a create whose outcome nobody knows.
    let last = world.start_operator(&OperatorFlags::default().scaled(120)).await;
    for number in 0..MIGRATIONS {
        let migration = world.existing(&name(number));
        let done = migration.wait_phase(Phase::Succeeded).await;
        let status = done.status.unwrap();
        assert_eq!(status.progress.unwrap().objects.succeeded, OBJECTS as u64);
        for object in 0..OBJECTS {
            let key = format!("{number}/{object:05}.txt");
            let stored = world.destination.object("photos-archive", &key);
            assert_eq!(stored.map(|stored| stored.writes), Some(1), "{key} is there, written once");
        }
    }
    // At OMS there is one task per migration, and each other one was deleted while it still waited.
    let tasks = world.remote_tasks().await;
    assert_eq!(tasks.len(), MIGRATIONS, "{tasks:#?}");
    let created = world.effects("CreateTask").await.len();
    let deleted = world.effects("DeleteTask").await.len();
    assert_eq!(created, MIGRATIONS + deleted);
    assert!(
        world.operators[last].metric("oms_operator_duplicate_remotes_total", "").await < f64::EPSILON,
        "no second task was ever there"
    );

    for number in 0..MIGRATIONS {
        world.existing(&name(number)).delete().await;
    }
    for number in 0..MIGRATIONS {
        world.existing(&name(number)).wait_gone().await;
    }
    eventually("no task is left at OMS", async || {
        let tasks = world.remote_tasks().await;
        if tasks.is_empty() { Ok(()) } else { Err(format!("{tasks:#?}")) }
    })
    .await;
}
