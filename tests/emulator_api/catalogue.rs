//! Clouds, regions, versions, and calls that are none.

use oms_operator::emulator::server::{Emulator, Options};
use reqwest::Method;
use serde_json::{Value, json};

use crate::world::{PROJECT, World, config, ready_json};

#[tokio::test]
async fn clouds_are_told_for_each_side() {
    let (_emulator, world) = World::start(config(json!({}))).await;
    let path = |query: &str| format!("/v2/{PROJECT}/objectstorage/cloud-type{query}");
    let sources = world.get(&path("?type=src")).await.expect_ok();
    assert_eq!(
        sources,
        json!([
            "AWS",
            "Aliyun",
            "Qiniu",
            "QingCloud",
            "Tencent",
            "Baidu",
            "KingsoftCloud",
            "Azure",
            "UCloud",
            "HuaweiCloud",
            "Google",
            "URLSource"
        ])
    );
    assert_eq!(world.get(&path("?type=dst")).await.expect_ok(), json!(["HuaweiCloud"]));
    for query in ["", "?type=", "?type=both"] {
        world.get(&path(query)).await.expect_refusal(400, "OMS.0064");
    }
    let more = json!({ "behaviour": { "destinationClouds": ["HEC"] } });
    let (_emulator, world) = World::start(config(more)).await;
    assert_eq!(world.get(&path("?type=dst")).await.expect_ok(), json!(["HEC"]));
}

#[tokio::test]
async fn the_regions_told_are_those_that_a_store_stands_for() {
    let (_emulator, world) = World::start(config(json!({}))).await;
    let regions = world.get(&format!("/v2/{PROJECT}/objectstorage/data-center")).await.expect_ok();
    let clouds: Vec<&Value> =
        regions.as_array().unwrap().iter().map(|cloud| &cloud["service_name"]).collect();
    assert_eq!(clouds, ["AWS", "HuaweiCloud"]);
    assert_eq!(
        regions[0]["region_list"][0],
        json!({ "cloud_type": "AWS", "value": "us-east-1", "description": "US Standard (N. Virginia)" })
    );
    assert_eq!(
        regions[1]["region_list"],
        json!([{ "cloud_type": "HuaweiCloud", "value": "cn-north-4", "description": "CN North-Beijing4" }])
    );
    // What is told can be created: a task from each of them is accepted.
    for region in regions[0]["region_list"].as_array().unwrap() {
        let source = json!({ "src_node": { "region": region["value"] } });
        world.create(&crate::world::task(source)).await.expect_ok();
    }
}

#[tokio::test]
async fn versions_read_as_their_tables_or_as_their_examples() {
    let (_emulator, world) = World::start(config(json!({}))).await;
    let version = |id: &str| {
        json!({
            "id": id, "status": "SUPPORTED", "updated": "2020-01-01T12:00:00Z",
            "links": [{ "rel": "self", "href": format!("/{id}/") }],
        })
    };
    assert_eq!(world.get("/").await.expect_ok(), json!({ "versions": [version("v1"), version("v2")] }));
    assert_eq!(world.get("/v1").await.expect_ok(), version("v1"));
    assert_eq!(world.get("/v2").await.expect_ok(), version("v2"));
    world.get("/v3").await.expect_refusal(404, "S3M.0256");

    // The examples contradict the contract, so nobody holds these answers to it.
    let more = json!({ "behaviour": { "versions": "examples" } });
    let emulator = Emulator::start(Options::local(config(more))).await.unwrap();
    let world = World::at(&ready_json(&emulator));
    let listed = world.get("/").await.expect_ok();
    assert_eq!(
        (&listed["versions"][1]["id"], &listed["versions"][1]["links"][0]["href"]),
        (&json!("v1"), &json!("/v2/"))
    );
    assert_eq!(listed["versions"][0]["status"]["default"], "SUPPORTED");
    assert_eq!(world.get("/v2").await.expect_ok()["links"][0]["href"], "/v1/");
}

#[tokio::test]
async fn the_first_api_shows_its_versions() {
    let (_emulator, world) = World::start(config(json!({}))).await;
    let path = format!("/v1/{PROJECT}/objectstorage/version");
    let versions = world.get(&path).await.expect_ok()["versions"].clone();
    let shown: Vec<_> = versions
        .as_array()
        .unwrap()
        .iter()
        .map(|version| {
            (
                version["id"].as_str().unwrap(),
                version["status"].as_str().unwrap(),
                version["min_version"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(shown, [("v1.0", "SUPPORTED", ""), ("v2.0", "CURRENT", "")]);
    world.get("/v1/another/objectstorage/version").await.expect_refusal(403, "OMS.2001");
}

#[tokio::test]
async fn the_quota_of_an_account_is_the_number_of_tasks_that_run_at_once() {
    for (limits, quota) in [(json!({}), 5), (json!({ "runningTasks": 7 }), 7)] {
        let (_emulator, world) = World::start(config(json!({ "limits": limits }))).await;
        let projects = world.get("/v3/projects").await.expect_ok();
        let domain = projects["projects"][0]["domain_id"].as_str().unwrap();
        assert_eq!(
            world.get(&format!("/v1/{domain}/objectstorage/quotas")).await.expect_ok(),
            json!({ "quotas": { "resource": { "type": "MaxParallelTaskNum", "quota": quota } } })
        );
        // A project is no account.
        world.get(&format!("/v1/{PROJECT}/objectstorage/quotas")).await.expect_refusal(403, "OMS.2001");
    }
}

#[tokio::test]
async fn what_no_contract_describes_is_unknown_to_the_gateway() {
    let (_emulator, world) = World::start(config(json!({}))).await;
    let body = json!({ "src_ak": "a", "src_sk": "s" });
    let id = world.created(&crate::world::task(json!({}))).await;
    for (method, path) in [
        (Method::PUT, format!("/v2/{PROJECT}/tasks/{id}/access-keys")),
        // As the example of the URL list check has it, in place of its own path.
        (Method::POST, format!("/v2/{PROJECT}/tasks/url-source-file")),
        (Method::POST, format!("/v1/{PROJECT}/objectstorage/task")),
        (Method::GET, format!("/v2/{PROJECT}/objectstorage/buckets")),
    ] {
        world.call(method, &path, Some(&body)).await.expect_refusal(404, "APIGW.0101");
    }
}
