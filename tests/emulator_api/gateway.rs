//! What the gateway lets through: signatures, paths, sizes, rates.

use std::sync::{Arc, Mutex};

use jiff::{SignedDuration, Timestamp};
use oms_operator::emulator::server::{Exchange, Options};
use reqwest::Method;
use serde_json::json;

use crate::world::{PROJECT, Signer, World, config, task};

#[tokio::test]
async fn wrong_keys_are_refused_with_the_gateways_words() {
    let (_emulator, mut world) = World::start(config(json!({}))).await;
    let list = format!("/v2/{PROJECT}/tasks");
    for (signer, words) in [
        (Signer { secret: "wrong".into(), ..Signer::default() }, "verify aksk signature fail"),
        (
            Signer { access: "NOBODY".into(), ..Signer::default() },
            "Get secretKey failed,ak:NOBODY,err:ak not exist",
        ),
        (
            Signer { date: Some(Timestamp::now() - SignedDuration::from_mins(16)), ..Signer::default() },
            "calc ak sk signature fail: signature expired",
        ),
    ] {
        world.signer = signer;
        let answer = world.get(&list).await;
        answer.expect_refusal(401, "APIGW.0301");
        assert_eq!(answer.body["error_msg"], format!("Incorrect IAM authentication information: {words}"));
        assert_eq!(answer.body["request_id"], answer.headers["x-request-id"].to_str().unwrap());
    }
    let unsigned = world.http.get(format!("{}{list}", world.oms)).send().await.unwrap();
    assert_eq!(unsigned.status(), 401);
    assert!(unsigned.text().await.unwrap().contains("x-auth-token not found"));
}

#[tokio::test]
async fn the_age_of_signatures_has_a_clock_of_its_own() {
    let (_emulator, world) = World::start(config(json!({ "clock": { "scaled": 100_000 } }))).await;
    let list = format!("/v2/{PROJECT}/tasks");
    world.admin(Method::POST, "/clock", Some(&json!({ "advanceMs": 86_400_000 }))).await.expect_ok();
    world.get(&list).await.expect_ok();
    world.admin(Method::POST, "/clock", Some(&json!({ "signatureOffsetMs": 16 * 60_000 }))).await.expect_ok();
    world.get(&list).await.expect_refusal(401, "APIGW.0301");
}

#[tokio::test]
async fn temporary_keys_need_their_token() {
    let keys =
        json!([{ "access": "PROJECTKEY", "secret": crate::world::PROJECT_SECRET, "securityToken": "sts" }]);
    let projects = json!([{ "id": PROJECT, "region": "cn-north-4", "accessKeys": keys }]);
    let (_emulator, mut world) = World::start(config(json!({ "projects": projects }))).await;
    let list = format!("/v2/{PROJECT}/tasks");
    world.get(&list).await.expect_refusal(401, "APIGW.0301");
    // Unsigned, as Terraform's provider sends it.
    world.signer.token = Some("sts".into());
    world.get(&list).await.expect_ok();
}

#[tokio::test]
async fn a_project_is_only_for_its_own_keys() {
    let projects = json!([
        { "id": PROJECT, "region": "cn-north-4", "accessKeys": [{ "access": "PROJECTKEY", "secret": crate::world::PROJECT_SECRET }] },
        { "id": "other", "region": "cn-east-3", "accessKeys": [{ "access": "OTHER", "secret": "other" }] },
    ]);
    let (_emulator, world) = World::start(config(json!({ "projects": projects }))).await;
    world.get("/v2/other/tasks").await.expect_refusal(403, "OMS.2001");
    world.get("/v2/unknown/tasks").await.expect_refusal(403, "OMS.2001");
    let found = world.get("/v3/projects?name=cn-north-4").await.expect_ok();
    assert_eq!(found["projects"].as_array().unwrap().len(), 1);
    assert_eq!(found["projects"][0]["id"], PROJECT);
    assert_eq!(world.get("/v3/projects?name=cn-east-3").await.expect_ok()["projects"], json!([]));
}

#[tokio::test]
async fn an_access_key_is_locked_after_failures_in_a_row() {
    let (emulator, mut world) = World::start(config(json!({ "limits": { "failedSignatures": 2 } }))).await;
    let list = format!("/v2/{PROJECT}/tasks");
    let right = world.signer.clone();
    world.signer.secret = "wrong".into();
    for _ in 0..3 {
        world.get(&list).await.expect_refusal(401, "APIGW.0301");
    }
    world.signer = right;
    let locked = world.get(&list).await;
    locked.expect_refusal(401, "APIGW.0301");
    assert!(locked.text.contains("AK access failed to reach the limit, forbidden"));
    emulator.clock().advance(std::time::Duration::from_mins(6));
    world.get(&list).await.expect_ok();
}

#[tokio::test]
async fn the_rate_of_calls_is_limited_per_window() {
    let limits = json!({ "limits": { "gateway": { "requests": 3, "minutes": 5 } } });
    let (emulator, world) = World::start(config(limits)).await;
    let list = format!("/v2/{PROJECT}/tasks");
    for _ in 0..3 {
        world.get(&list).await.expect_ok();
    }
    let throttled = world.get(&list).await;
    throttled.expect_refusal(429, "APIGW.0308");
    assert!(
        throttled.body["error_msg"]
            .as_str()
            .unwrap()
            .ends_with("policy user over ratelimit,limit:3,time:5 minute")
    );
    emulator.clock().advance(std::time::Duration::from_mins(5));
    world.get(&list).await.expect_ok();
}

#[tokio::test]
async fn unknown_paths_and_oversized_bodies_stop_at_the_gateway() {
    let (_emulator, world) = World::start(config(json!({}))).await;
    world.get("/v2/x/y/z").await.expect_refusal(404, "APIGW.0101");
    world.tasks(Method::PUT, "/1/access-keys", Some(&json!({}))).await.expect_refusal(404, "APIGW.0101");
    let mut large = task(json!({}));
    large["padding"] = json!("x".repeat(12 * 1024 * 1024));
    world.create(&large).await.expect_refusal(413, "APIGW.0201");
}

#[tokio::test]
async fn the_versions_of_the_api_are_told() {
    let (_emulator, world) = World::start(config(json!({}))).await;
    assert_eq!(world.get("/").await.expect_ok()["versions"][1]["id"], "v2");
    assert_eq!(world.get("/v2").await.expect_ok()["status"], "SUPPORTED");
    world.get("/v9").await.expect_refusal(404, "S3M.0256");
}

#[tokio::test]
async fn an_observer_sees_every_answered_call_as_it_went_over_the_wire() {
    let seen: Arc<Mutex<Vec<Exchange>>> = Arc::default();
    let pen = Arc::clone(&seen);
    let observer = move |exchange: &Exchange| pen.lock().unwrap().push(exchange.clone());
    let options = Options { observer: Some(Arc::new(observer)), ..Options::local(config(json!({}))) };
    assert!(!format!("{options:?}").contains("Exchange"));
    let (_emulator, world) = World::start_with(options).await;
    let body = task(json!({}));
    let id = world.created(&body).await;
    let stopped = world.stop(id + 1).await;
    world.fault(json!({ "operation": "ListTasks", "kind": "html" })).await;
    world.tasks(Method::GET, "?limit=5", None).await;
    world.fault(json!({ "operation": "ShowTask", "kind": "cutBefore", "times": 1 })).await;
    let show = format!("/v2/{PROJECT}/tasks/{id}");
    world.try_call(Method::GET, &show, None).await.unwrap_err();
    world.get("/v9/nothing/of/this/kind").await;

    let seen = seen.lock().unwrap();
    let told: Vec<_> = seen
        .iter()
        .map(|call| (call.operation, call.method.as_str(), call.query.as_str(), call.status, call.by_fault))
        .collect();
    assert_eq!(
        told,
        [
            ("CreateTask", "POST", "", 200, false),
            ("StopTask", "POST", "", 400, false),
            ("ListTasks", "GET", "limit=5", 502, true),
            ("Unknown", "GET", "", 404, false),
        ]
    );
    assert_eq!(seen[0].path, format!("/v2/{PROJECT}/tasks"));
    assert_eq!(seen[0].request_body, body.to_string());
    assert_eq!(seen[0].content_type.as_deref(), Some("application/json"));
    assert_eq!(seen[1].response_body, stopped.text);
    assert_eq!(seen[2].content_type.as_deref(), Some("text/html"));
}
