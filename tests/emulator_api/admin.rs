//! Faults, journal, clock, state and reset.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::world::{PROJECT, World, config, task};

fn waiting() -> Value {
    json!({ "limits": { "runningTasks": 0 } })
}

async fn count(world: &World) -> u64 {
    world.tasks(Method::GET, "", None).await.expect_ok()["count"].as_u64().unwrap()
}

#[tokio::test]
async fn a_lost_reply_leaves_its_effect() {
    let (_emulator, world) = World::start(config(waiting())).await;
    world.fault(json!({ "operation": "CreateTask", "nth": 2, "kind": "lostReply" })).await;
    world.tasks(Method::POST, "", None).await.expect_refusal(400, "OMS.0067");
    let body = task(json!({ "description": "lost" }));
    world.try_call(Method::POST, &format!("/v2/{PROJECT}/tasks"), Some(&body)).await.unwrap_err();

    let entries = world.journal("?operation=CreateTask&effect=true").await;
    assert_eq!(entries.len(), 1, "{entries:?}");
    let entry = &entries[0];
    assert_eq!(
        (&entry["status"], &entry["outcome"], &entry["fault"]),
        (&Value::Null, &json!("ok"), &json!("lostReply"))
    );
    let id = entry["task"].as_str().unwrap().parse().unwrap();
    assert_eq!(world.show(id).await["description"], "lost");
    // The fault has struck.
    world.created(&body).await;
}

#[tokio::test]
async fn a_connection_cut_before_has_no_effect() {
    let (_emulator, world) = World::start(config(waiting())).await;
    world.fault(json!({ "operation": "CreateTask", "times": 1, "kind": "cutBefore" })).await;
    let path = format!("/v2/{PROJECT}/tasks");
    world.try_call(Method::POST, &path, Some(&task(json!({})))).await.unwrap_err();
    assert_eq!(count(&world).await, 0);
    assert!(world.journal("?operation=CreateTask&effect=true").await.is_empty());
    world.created(&task(json!({}))).await;
}

#[tokio::test]
async fn answers_can_be_replaced_before_and_after_the_effect() {
    let (_emulator, world) = World::start(config(waiting())).await;
    for (fault, status, code, effects) in [
        (json!({ "kind": "status", "status": 503, "code": "OMS.2004", "retryAfter": 7 }), 503, "OMS.2004", 0),
        (
            json!({ "kind": "status", "status": 500, "code": "OMS.1001", "afterEffect": true }),
            500,
            "OMS.1001",
            1,
        ),
        (json!({ "kind": "throttle" }), 429, "APIGW.0308", 1),
        (json!({ "kind": "html" }), 502, "", 1),
        (json!({ "kind": "status", "status": 500 }), 500, "", 1),
    ] {
        let mut fault = fault;
        fault["operation"] = json!("CreateTask");
        fault["times"] = json!(1);
        world.fault(fault.clone()).await;
        let answer = world.create(&task(json!({}))).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (status, code), "{fault}");
        assert_eq!(count(&world).await, effects, "{fault}");
        match fault["kind"].as_str().unwrap() {
            "html" => assert_eq!(answer.headers["content-type"], "text/html"),
            "throttle" => assert!(answer.text.contains("limit:200,time:5 minute")),
            _ if fault["retryAfter"] == 7 => assert_eq!(answer.headers["retry-after"], "7"),
            _ => {}
        }
        world.admin(Method::DELETE, "/faults", None).await;
    }
}

#[tokio::test]
async fn a_hanging_call_is_carried_out_although_the_caller_has_gone() {
    let (emulator, world) = World::start(config(waiting())).await;
    world.fault(json!({ "operation": "CreateTask", "times": 1, "kind": "hang", "afterEffect": true })).await;
    let impatient = {
        let mut world = world.clone();
        world.http =
            reqwest::Client::builder().no_proxy().timeout(Duration::from_millis(500)).build().unwrap();
        world
    };
    let path = format!("/v2/{PROJECT}/tasks");
    assert!(impatient.try_call(Method::POST, &path, Some(&task(json!({})))).await.unwrap_err().is_timeout());
    assert_eq!(count(&world).await, 1);
    world.fault(json!({ "operation": "ListTasks", "kind": "hang" })).await;
    assert!(impatient.try_call(Method::GET, &path, None).await.unwrap_err().is_timeout());
    // A hanging call does not hold up the end.
    tokio::time::timeout(Duration::from_secs(4), emulator.shutdown()).await.unwrap();
}

#[tokio::test]
async fn a_fault_can_strike_one_task_alone() {
    let (_emulator, world) = World::start(config(waiting())).await;
    let (one, other) = (world.created(&task(json!({}))).await, world.created(&task(json!({}))).await);
    world
        .fault(json!({ "operation": "ShowTask", "task": one.to_string(), "kind": "status", "status": 500 }))
        .await;
    assert_eq!(world.tasks(Method::GET, &format!("/{one}"), None).await.status, 500);
    world.show(other).await;
    let faults = world.admin(Method::GET, "/faults", None).await.expect_ok();
    assert_eq!((&faults["faults"][0]["seen"], &faults["faults"][0]["struck"]), (&json!(1), &json!(1)));
    assert_eq!(world.admin(Method::DELETE, "/faults/1", None).await.status, 204);
    world.show(one).await;
}

#[tokio::test]
async fn a_late_answer_is_late_by_so_much() {
    let (_emulator, world) = World::start(config(waiting())).await;
    world.fault(json!({ "operation": "ListTasks", "kind": "delayMs", "delayMs": 150 })).await;
    assert_eq!(count(&world).await, 0);
    let entries = world.journal("?operation=ListTasks").await;
    assert!(entries[0]["durationMs"].as_u64().unwrap() >= 150);
}

#[tokio::test]
async fn a_fault_or_filter_that_makes_no_sense_is_refused() {
    let (_emulator, world) = World::start(config(json!({}))).await;
    for fault in [
        json!({ "operation": "MakeTask", "kind": "hang" }),
        json!({ "kind": "explode" }),
        json!({ "kind": "hang", "tims": 3 }),
        json!({ "kind": "delay" }),
    ] {
        let answer = world.admin(Method::POST, "/faults", Some(&fault)).await;
        assert!(answer.status.is_client_error(), "{fault}: {}", answer.text);
        assert!(answer.body["error"].is_string());
    }
    assert_eq!(world.admin(Method::GET, "/journal?operaton=x", None).await.status, 400);
    assert!(
        world.admin(Method::POST, "/clock", Some(&json!({ "scale": -1 }))).await.status.is_client_error()
    );
}

#[tokio::test]
async fn the_journal_tells_every_call_in_order() {
    let (_emulator, world) = World::start(config(waiting())).await;
    let id = world.created(&task(json!({}))).await;
    world.stop(id).await;
    world.delete(id).await;
    let entries = world.journal(&format!("?task={id}")).await;
    let told: Vec<(&str, u64, &str, bool)> = entries
        .iter()
        .map(|entry| {
            (
                entry["operation"].as_str().unwrap(),
                entry["status"].as_u64().unwrap(),
                entry["outcome"].as_str().unwrap(),
                entry["effect"].as_bool().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("CreateTask", 200, "ok", true),
            ("StopTask", 400, "OMS.0066", false),
            ("DeleteTask", 200, "ok", true)
        ]
    );
    assert_eq!(world.journal("?after=2").await.len(), 1);
    assert_eq!(world.journal("?outcome=OMS.0066").await.len(), 1);
}

#[tokio::test]
async fn a_reset_forgets_tasks_faults_and_calls() {
    let (_emulator, world) =
        World::start(config(json!({ "behaviour": { "minimumRunMs": 3_600_000 } }))).await;
    let id = world.created(&task(json!({}))).await;
    world.reach(id, 2).await;
    world.fault(json!({ "kind": "html" })).await;
    assert_eq!(world.admin(Method::POST, "/reset", None).await.status, 204);
    assert!(world.journal("").await.is_empty());
    let state = world.admin(Method::GET, "/state", None).await.expect_ok();
    assert_eq!(state["tasks"], json!([]));
    let again = world.created(&task(json!({}))).await;
    world.reach(again, 2).await;
    let state = world.admin(Method::GET, "/state", None).await.expect_ok();
    assert_eq!((&state["tasks"][0]["id"], &state["tasks"][0]["project"]), (&json!(again), &json!(PROJECT)));
}

#[tokio::test]
async fn pages_in_browsers_cannot_use_the_admin_api() {
    let (_emulator, world) = World::start(config(json!({}))).await;
    let request = world.http.post(format!("{}/reset", world.admin)).header("origin", "https://example.com");
    assert_eq!(request.send().await.unwrap().status(), 403);
}
