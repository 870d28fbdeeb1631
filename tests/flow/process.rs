//! The operator as a process: it ends cleanly, and says how it is.

use std::time::Duration;

use oms_operator::api::Phase;
use serde_json::json;

use crate::operator::OperatorFlags;
use crate::world::{Setup, World};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_ends_a_busy_operator_within_ten_seconds_and_the_next_one_goes_on() {
    let mut world = Setup::default().behaving("objectRate", 20.0).start().await;
    world.put_objects(80).await;
    let name = {
        let migration = world.migration("photos").apply().await;
        migration.wait_condition("Ready", "False", "Running").await;
        migration.name
    };
    // Every call from now on hangs, and one more task is on its way.
    world.fault(json!({ "kind": "hang" })).await;
    world
        .migration("second")
        .with("/destination/prefix", "second/")
        .apply()
        .await
        .wait_phase(Phase::Creating)
        .await;
    let ended = world.operator().terminate(Duration::from_secs(10)).await;
    assert!(ended.is_some_and(|status| status.success()), "{ended:?}");
    world.clear_faults().await;

    world.start_operator(&OperatorFlags::default()).await;
    for name in [name.as_str(), "second"] {
        world.existing(name).wait_phase(Phase::Succeeded).await;
    }
    assert_eq!(world.effects("CreateTask").await.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_readiness_and_metrics_answer() {
    let world = World::start().await;
    world.put_objects(2).await;
    world.migration("photos").apply().await.wait_phase(Phase::Succeeded).await;
    let operator = &world.operators[0];
    assert_eq!(operator.get("/healthz").await.0, 200);
    assert_eq!(operator.get("/readyz").await.0, 200);
    let (status, text) = operator.get("/metrics").await;
    assert_eq!(status, 200);
    assert!(text.contains("\n# TYPE oms_operator_leader gauge\n"), "{text}");
    let calls =
        operator.metric("oms_operator_oms_requests_total", "operation=\"CreateTask\",outcome=\"ok\"").await;
    assert!((calls - 1.0).abs() < f64::EPSILON, "{calls}");
    assert!(operator.metric("oms_operator_searches_total", "complete").await >= 1.0);
    // JSON, one object per line.
    for line in operator.log().lines() {
        let entry: serde_json::Value =
            serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"));
        assert!(entry["level"].is_string() && entry["timestamp"].is_string(), "{line}");
    }
}
