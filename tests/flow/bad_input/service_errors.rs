//! Trouble at OMS itself: codes that nobody knows, failures, too many requests.

use oms_operator::api::Phase;
use serde_json::json;

use super::{assert_created, assert_recovers, assert_told, hurried};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_error_code_is_told_and_tried_again_at_growing_intervals() {
    let world = hurried().start().await;
    world.put_objects(2).await;
    world
        .fault(json!({
            "operation": "CreateTask", "kind": "status", "status": 400, "code": "OMS.9876",
            "message": "The moon is in the wrong phase.", "times": 3,
        }))
        .await;
    let migration = world.migration("photos").kubectl_apply().await;
    let waiting = migration.wait_condition("Ready", "False", "UnknownServiceError").await;
    let words = [
        "OMS did not accept the create (OMS.9876)",
        "The moon is in the wrong phase",
        "the operator tries again",
    ];
    assert_told(&waiting, Phase::Pending, "UnknownServiceError", &words);
    assert!(waiting.status.unwrap().next_attempt_at.is_some());
    assert_recovers(&world, "photos", 60).await;
    assert_eq!(world.journal("CreateTask").await.len(), 4);
    assert_created(&world, 1).await;
    assert!(world.operators[0].metric("oms_operator_unknown_codes_total", "").await >= 3.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_create_that_fails_inside_of_oms_is_repeated_only_when_it_cannot_have_worked() {
    let world = hurried().start().await;
    world.put_objects(2).await;
    world.fault(json!({ "operation": "CreateTask", "kind": "status", "status": 500, "times": 1 })).await;
    let migration = world.migration("photos").kubectl_apply().await;
    let waiting = migration.wait_condition("Ready", "False", "CreateUnconfirmed").await;
    let words = ["answer to the create is not known", "the operator searches", "Nothing to do"];
    assert_told(&waiting, Phase::Creating, "CreateUnconfirmed", &words);
    assert_recovers(&world, "photos", 120).await;
    assert_eq!(world.journal("CreateTask").await.len(), 2);
    assert_created(&world, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_create_that_works_but_answers_with_a_failure_is_found_and_not_repeated() {
    let world = hurried().start().await;
    world.put_objects(2).await;
    world
        .fault(json!({ "operation": "CreateTask", "kind": "status", "status": 500, "afterEffect": true, "times": 1 }))
        .await;
    world.migration("photos").kubectl_apply().await;
    assert_recovers(&world, "photos", 60).await;
    assert_eq!(world.journal("CreateTask").await.len(), 1);
    assert_created(&world, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_throttled_create_waits_and_is_sent_once_more() {
    let world = hurried().start().await;
    world.put_objects(2).await;
    world.fault(json!({ "operation": "CreateTask", "kind": "throttle", "retryAfter": 1, "times": 2 })).await;
    world.migration("photos").kubectl_apply().await;
    assert_recovers(&world, "photos", 60).await;
    let tries = world.journal("CreateTask").await.len();
    assert_eq!(tries, 3);
    assert_created(&world, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_fails_every_call_for_a_while_is_not_hammered_and_loses_nothing() {
    let world = hurried().behaving("objectRate", 4.0).start().await;
    world.put_objects(12).await;
    let running = world.migration("running").kubectl_apply().await;
    running.wait_condition("Ready", "False", "Running").await;
    let before = world.journal("*").await.len();
    world.fault(json!({ "operation": "*", "kind": "status", "status": 503, "code": "OMS.0208" })).await;
    let new = world.migration("new").with("/destination/prefix", "new/").kubectl_apply().await;
    new.wait("is on its way", |task| crate::migration::phase_of(task) == Some(Phase::Creating)).await;
    world.let_polls_pass(12).await;
    let spent = world.journal("*").await.len() - before;
    // Three seconds: a poll of some lists every 200 ms, and the search for the new object at growing intervals.
    assert!(spent <= 120, "{spent} calls to a service that fails");
    let told = new.get().await;
    assert_told(&told, Phase::Creating, "Creating", &[]);
    world.clear_faults().await;
    assert_recovers(&world, "running", 500).await;
    assert_recovers(&world, "new", 500).await;
    assert_created(&world, 2).await;
}
