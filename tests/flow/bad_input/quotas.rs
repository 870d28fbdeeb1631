//! Quotas of the account: waiting is not failing.

use std::time::Duration;

use oms_operator::api::Phase;
use serde_json::json;

use super::{assert_created, assert_recovers, assert_told, hurried};
use crate::migration::phase_of;
use crate::world::{World, eventually};

async fn advance(world: &World, span: Duration) {
    let url = format!("{}/clock", world.emulator.endpoints().admin);
    let advance = json!({ "advanceMs": u64::try_from(span.as_millis()).unwrap() });
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    http.post(url).json(&advance).send().await.unwrap().error_for_status().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_daily_quota_queues_the_object_until_there_is_room() {
    let world = hurried().limited("tasksPerDay", 1).start().await;
    world.put_objects(2).await;
    world.migration("first").kubectl_apply().await.wait_phase(Phase::Succeeded).await;
    let second = world.migration("second").with("/destination/prefix", "second/").kubectl_apply().await;
    let queued = second.wait_phase(Phase::Queued).await;
    let words = ["Nothing to do", "the operator creates the task when there is room"];
    assert_told(&queued, Phase::Queued, "QuotaExceeded", &words);
    let waiting = second.wait("names its place", |task| task.status.as_ref().unwrap().queue.is_some()).await;
    let status = waiting.status.unwrap();
    assert_eq!(
        (status.failure, status.retries, status.attempt),
        (None, None, Some(1)),
        "waiting is not failing"
    );

    // A third does not even ask: the gate is closed for all.
    let asked = world.journal("CreateTask").await.len();
    let third = world.migration("third").with("/destination/prefix", "third/").kubectl_apply().await;
    let queued = third.wait_phase(Phase::Queued).await;
    assert_told(&queued, Phase::Queued, "QuotaExceeded", &["Nothing to do", "when there is room"]);
    assert!(world.journal("CreateTask").await.len() <= asked + 1, "the gate is shared");
    assert_created(&world, 1).await;

    advance(&world, Duration::from_hours(25)).await;
    // Whoever asks first gets the one place of the day.
    eventually("one of the two succeeds", async || {
        let phases = [phase_of(&second.get().await), phase_of(&third.get().await)];
        if phases.contains(&Some(Phase::Succeeded)) { Ok(()) } else { Err(format!("{phases:?}")) }
    })
    .await;
    advance(&world, Duration::from_hours(25)).await;
    second.wait_phase(Phase::Succeeded).await;
    assert_recovers(&world, "second", 200).await;
    third.wait_phase(Phase::Succeeded).await;
    assert_created(&world, 3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_waiting_queue_at_oms_queues_the_object_until_there_is_room() {
    let world = hurried()
        .limited("waitingTasks", 1)
        .limited("runningTasks", 1)
        .behaving("minimumRunMs", 3_000)
        .start()
        .await;
    world.put_objects(2).await;
    let first = world.migration("first").with("/destination/prefix", "1/").kubectl_apply().await;
    first.wait_condition("Ready", "False", "Running").await;
    let second = world.migration("second").with("/destination/prefix", "2/").kubectl_apply().await;
    second.wait_condition("Ready", "False", "WaitingAtOMS").await;
    let third = world.migration("third").with("/destination/prefix", "3/").kubectl_apply().await;
    let queued = third.wait_phase(Phase::Queued).await;
    assert_told(&queued, Phase::Queued, "QuotaExceeded", &["Nothing to do", "when there is room"]);
    for name in ["first", "second", "third"] {
        assert_recovers(&world, name, 300).await;
    }
    assert_created(&world, 3).await;
}
