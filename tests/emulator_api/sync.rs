//! Synchronization tasks: their states, their events, and what they count.

use std::time::{Duration, Instant};

use oms_operator::emulator::server::{Emulator, Options};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    process::{Program, write_config},
    world::{
        Answer, DEADLINE, DESTINATION_SECRET, PROJECT, SOURCE_SECRET, World, config, holds_secret, ready_json,
    },
};

const UNKNOWN: &str = "0d146099-8cf4-437d-b6ef-88e043771c8b";

pub fn body(changes: Value) -> Value {
    let mut body = json!({
        "src_cloud_type": "AWS", "src_region": "eu-west-1", "src_bucket": "photos",
        "src_ak": "SOURCEKEY", "src_sk": SOURCE_SECRET,
        "dst_region": "cn-north-4", "dst_bucket": "archive",
        "dst_ak": "DESTINATIONKEY", "dst_sk": DESTINATION_SECRET,
        "description": "keep the photos", "enable_kms": false,
    });
    for (name, value) in changes.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

pub fn keys() -> Value {
    json!({
        "src_ak": "SOURCEKEY", "src_sk": SOURCE_SECRET, "dst_ak": "DESTINATIONKEY", "dst_sk": DESTINATION_SECRET,
    })
}

impl World {
    async fn sync(&self, method: Method, rest: &str, body: Option<&Value>) -> Answer {
        self.call(method, &format!("/v2/{PROJECT}/sync-tasks{rest}"), body).await
    }

    async fn create_sync(&self, changes: Value) -> Answer {
        self.sync(Method::POST, "", Some(&body(changes))).await
    }

    pub async fn created_sync(&self) -> String {
        self.create_sync(json!({})).await.expect_ok()["sync_task_id"].as_str().unwrap().to_owned()
    }

    async fn events(&self, id: &str, keys: &[&str]) -> Answer {
        let body = json!({ "object_keys": keys });
        self.sync(Method::POST, &format!("/{id}/events"), Some(&body)).await
    }

    async fn accepted(&self, id: &str, keys: &[&str]) {
        let answer = self.events(id, keys).await;
        assert_eq!((answer.status.as_u16(), answer.text.as_str()), (200, ""));
    }

    pub async fn stop_sync(&self, id: &str) -> Answer {
        self.sync(Method::POST, &format!("/{id}/stop"), None).await
    }

    async fn start_sync(&self, id: &str) -> Answer {
        self.sync(Method::POST, &format!("/{id}/start"), Some(&keys())).await
    }

    async fn delete_sync(&self, id: &str) -> Answer {
        self.sync(Method::DELETE, &format!("/{id}"), None).await
    }

    async fn show_sync(&self, id: &str, at: i64) -> Value {
        self.sync(Method::GET, &format!("/{id}?query_time={at}"), None).await.expect_ok()
    }

    /// Requested, copied, failed, skipped, bytes: of the month that service time is in.
    async fn counters(&self, id: &str) -> [u64; 5] {
        let now = self.admin(Method::GET, "/clock", None).await.expect_ok()["now"].clone();
        let now: jiff::Timestamp = now.as_str().unwrap().parse().unwrap();
        let shown = self.show_sync(id, now.as_millisecond()).await;
        ["acceptance_request", "success_object", "failure_object", "skip_object", "size"]
            .map(|name| shown[format!("monthly_{name}")].as_u64().unwrap())
    }

    #[track_caller]
    fn reach_counters(&self, id: &str, wanted: [u64; 5]) -> impl Future<Output = ()> {
        let begun = Instant::now();
        async move {
            loop {
                let counters = self.counters(id).await;
                if counters == wanted {
                    return;
                }
                assert!(begun.elapsed() < DEADLINE, "{counters:?} did not become {wanted:?}");
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    }

    /// The migration task that belongs to the only synchronization task.
    async fn member(&self) -> Value {
        let listed = self.tasks(Method::GET, "", None).await.expect_ok();
        assert_eq!(listed["count"], 1, "{listed}");
        listed["tasks"][0].clone()
    }
}

/// One object at once, the next after a thousand seconds of service time.
fn slow() -> Value {
    json!({ "behaviour": { "objectRate": 0.001 } })
}

fn next_object(emulator: &Emulator) {
    emulator.clock().advance(Duration::from_secs(1001));
}

#[tokio::test]
async fn a_task_starts_by_itself_and_reads_as_documented() {
    let (_emulator, world) = World::start(config(json!({}))).await;
    let id = world.created_sync().await;
    assert_eq!(id.len(), 36);
    let shown = world.show_sync(&id, 1_700_639_560_751).await;
    let mut expected = json!({
        "sync_task_id": id, "src_cloud_type": "AWS", "src_region": "eu-west-1", "src_bucket": "photos",
        "create_time": shown["create_time"], "last_start_time": shown["create_time"],
        "dst_bucket": "archive", "dst_region": "cn-north-4", "description": "keep the photos",
        "status": "SYNCHRONIZING", "enable_metadata_migration": false, "enable_restore": false, "app_id": null,
        "monthly_acceptance_request": 0, "monthly_success_object": 0, "monthly_failure_object": 0,
        "monthly_skip_object": 0, "monthly_size": 0,
        "object_overwrite_mode": "SIZE_LAST_MODIFIED_COMPARISON_OVERWRITE", "dst_storage_policy": null,
        "consistency_check": "size_last_modified",
    });
    assert_eq!(shown, expected);
    assert!(shown["create_time"].as_i64().unwrap() > 1_700_000_000_000);
    let listed = world.sync(Method::GET, "", None).await.expect_ok();
    let expected = expected.as_object_mut().unwrap();
    expected.retain(|name, _| !name.starts_with("monthly"));
    expected.insert("source_cdn".to_owned(), Value::Null);
    assert_eq!(listed, json!({ "tasks": [expected], "count": 1 }));
}

#[tokio::test]
async fn what_an_event_names_is_copied_and_counted() {
    let (_emulator, world) = World::start(config(json!({}))).await;
    world.put_source("a b+c/é", b"odd".to_vec()).await;
    let id = world.created_sync().await;
    // Nothing is copied by itself.
    assert_eq!(world.counters(&id).await, [0; 5]);
    world.accepted(&id, &["2024%2Fa", "a%20b%2Bc%2F%C3%A9", "2024%2Fnowhere"]).await;
    world.reach_counters(&id, [3, 2, 1, 0, 19]).await;
    assert_eq!(world.destination_object("2024/a").await.unwrap(), b"the photo 2024/a");
    assert_eq!(world.destination_object("a b+c/é").await.unwrap(), b"odd");
    assert_eq!(world.destination_object("2024/b").await, None);
    // Again, twice in one event: it is there already.
    world.accepted(&id, &["2024%2Fa", "2024%2Fa"]).await;
    world.reach_counters(&id, [5, 2, 1, 2, 19]).await;
    // Another content has another size.
    world.put_source("2024/a", b"new".to_vec()).await;
    world.accepted(&id, &["2024%2Fa"]).await;
    world.reach_counters(&id, [6, 3, 1, 2, 22]).await;
    assert_eq!(world.destination_object("2024/a").await.unwrap(), b"new");

    let shown = world.show_sync(&id, 0).await;
    assert_eq!(shown["monthly_acceptance_request"], 0, "another month");
    let created = shown["create_time"].as_i64().unwrap();
    let query = format!(
        "data_type=SIZE%2CREQUEST%2CFAILURE%2CSKIP%2CSUCCESS&end_time={}&start_time={created}",
        created + 3_600_000
    );
    let path = format!("/{id}/statistics?{query}");
    let statistics = world.sync(Method::GET, &path, None).await.expect_ok();
    assert_eq!(
        (&statistics["sync_task_id"], &statistics["statistic_time_type"]),
        (&json!(id), &json!("FIVE_MINUTES"))
    );
    let sums: Vec<(&str, u64)> = statistics["statistic_datas"]
        .as_array()
        .unwrap()
        .iter()
        .map(|series| {
            let points = series["data"].as_array().unwrap();
            assert!(points.iter().all(|point| point["time_stamp"].as_i64().unwrap() % 300_000 == 0));
            let sum = points.iter().map(|point| point["statistic_num"].as_u64().unwrap()).sum();
            (series["data_type"].as_str().unwrap(), sum)
        })
        .collect();
    assert_eq!(sums, [("SIZE", 22), ("REQUEST", 6), ("FAILURE", 1), ("SKIP", 2), ("SUCCESS", 3)]);
    let path = format!(
        "/{id}/statistics?data_type=REQUEST&end_time={}&start_time={}",
        created + 86_400_000,
        created - 86_400_000
    );
    let hours = world.sync(Method::GET, &path, None).await.expect_ok();
    assert_eq!(hours["statistic_time_type"], "ONE_HOUR");
}

#[tokio::test]
async fn stop_and_start_are_seen_at_once_and_the_queue_outlives_them() {
    let (emulator, world) = World::start(config(slow())).await;
    let id = world.created_sync().await;
    world.accepted(&id, &["2024%2Fa", "2024%2Fb", "2025%2Fc"]).await;
    world.reach_counters(&id, [3, 1, 0, 0, 16]).await;
    world.start_sync(&id).await.expect_refusal(400, "OMS.0065");
    world.delete_sync(&id).await.expect_refusal(400, "OMS.0063");

    assert_eq!(world.stop_sync(&id).await.expect_ok(), Value::Null);
    let stopped = world.show_sync(&id, 0).await;
    assert_eq!(stopped["status"], "STOPPED");
    world.stop_sync(&id).await.expect_refusal(400, "OMS.0066");
    world.events(&id, &["2024%2Fa"]).await.expect_refusal(400, "OMS.0094");
    next_object(&emulator);
    assert_eq!(world.counters(&id).await, [3, 1, 0, 0, 16]);

    let path = format!("/{id}/start");
    world.sync(Method::POST, &path, Some(&json!({}))).await.expect_refusal(400, "OMS.1004");
    let mut wrong = keys();
    wrong["src_sk"] = json!("wrong");
    world.sync(Method::POST, &path, Some(&wrong)).await.expect_refusal(400, "OMS.1016");
    let mut wrong = keys();
    wrong["dst_sk"] = json!("wrong");
    world.sync(Method::POST, &path, Some(&wrong)).await.expect_refusal(400, "OMS.0189");
    assert_eq!(world.start_sync(&id).await.expect_ok(), Value::Null);
    let started = world.show_sync(&id, 0).await;
    assert_eq!(started["status"], "SYNCHRONIZING");
    assert!(started["last_start_time"].as_i64() > started["create_time"].as_i64());
    world.reach_counters(&id, [3, 2, 0, 0, 32]).await;
    next_object(&emulator);
    world.reach_counters(&id, [3, 3, 0, 0, 48]).await;
    assert!(world.destination_object("2025/c").await.is_some());
}

#[tokio::test]
async fn a_deleted_task_is_told_from_one_that_never_was() {
    let (_emulator, world) = World::start(config(json!({}))).await;
    let id = world.created_sync().await;
    world.stop_sync(&id).await.expect_ok();
    assert_eq!(world.delete_sync(&id).await.expect_ok(), Value::Null);
    let statistics = |id: &str| format!("/{id}/statistics?data_type=SIZE&end_time=2&start_time=1");
    for (id, events, others) in
        [(id.as_str(), (400, "OMS.0093"), "OMS.0093"), (UNKNOWN, (404, "OMS.2002"), "OMS.1009")]
    {
        world.sync(Method::GET, &format!("/{id}?query_time=1"), None).await.expect_refusal(404, "OMS.1009");
        world.sync(Method::GET, &statistics(id), None).await.expect_refusal(404, "OMS.1009");
        world.events(id, &["a"]).await.expect_refusal(events.0, events.1);
        world.stop_sync(id).await.expect_refusal(400, others);
        world.start_sync(id).await.expect_refusal(400, others);
        world.delete_sync(id).await.expect_refusal(400, others);
    }
    assert_eq!(world.sync(Method::GET, "", None).await.expect_ok(), json!({ "tasks": [], "count": 0 }));
    assert_eq!(world.tasks(Method::GET, "", None).await.expect_ok()["count"], 0);
}

#[tokio::test]
async fn an_unknown_task_can_be_answered_in_the_other_documented_ways() {
    for (status, code) in [(404, "OMS.1009"), (403, "OMS.0095")] {
        let more = json!({ "behaviour": { "sync": { "notFoundStatus": status } } });
        let (_emulator, world) = World::start(config(more)).await;
        world.stop_sync(UNKNOWN).await.expect_refusal(status, code);
        world.start_sync(UNKNOWN).await.expect_refusal(status, code);
        world.delete_sync(UNKNOWN).await.expect_refusal(status, code);
    }
}

#[tokio::test]
async fn a_sixth_task_is_refused_even_where_the_others_are_stopped() {
    let (_emulator, world) = World::start(config(json!({}))).await;
    let first = world.created_sync().await;
    for _ in 0..4 {
        world.created_sync().await;
    }
    world.stop_sync(&first).await.expect_ok();
    world.create_sync(json!({})).await.expect_refusal(400, "S3M.0091");
    world.delete_sync(&first).await.expect_ok();
    world.created_sync().await;
}

#[tokio::test]
async fn where_running_tasks_count_a_start_can_be_one_too_many() {
    let more = json!({ "behaviour": { "sync": { "quota": "running" } }, "limits": { "syncTasks": 1 } });
    let (_emulator, world) = World::start(config(more)).await;
    let first = world.created_sync().await;
    world.create_sync(json!({})).await.expect_refusal(400, "S3M.0091");
    world.stop_sync(&first).await.expect_ok();
    let second = world.created_sync().await;
    world.start_sync(&first).await.expect_refusal(400, "S3M.0091");
    world.stop_sync(&second).await.expect_ok();
    world.start_sync(&first).await.expect_ok();
}

#[tokio::test]
async fn elsewhere_than_in_three_regions_there_is_no_such_api() {
    let project = json!([{
        "id": PROJECT, "region": "cn-north-1",
        "accessKeys": [{ "access": "PROJECTKEY", "secret": crate::world::PROJECT_SECRET }],
    }]);
    let (_emulator, world) = World::start(config(json!({ "projects": project }))).await;
    world.create_sync(json!({})).await.expect_refusal(404, "APIGW.0101");
    world.sync(Method::GET, "", None).await.expect_refusal(404, "APIGW.0101");
    world.events(UNKNOWN, &["a"]).await.expect_refusal(404, "APIGW.0101");

    let more = json!({ "projects": project, "behaviour": { "sync": { "regions": ["*"] } } });
    let (_emulator, world) = World::start(config(more)).await;
    assert_eq!(world.sync(Method::GET, "", None).await.expect_ok()["count"], 0);
}

#[tokio::test]
async fn a_create_looks_at_both_buckets() {
    let (_emulator, world) = World::start(config(json!({}))).await;
    for (changes, code) in [
        (json!({ "src_sk": "wrong" }), "OMS.1016"),
        (json!({ "src_bucket": "nowhere" }), "OMS.1016"),
        (json!({ "dst_sk": "wrong" }), "OMS.0189"),
        (json!({ "dst_bucket": "nowhere" }), "OMS.1020"),
        (json!({ "dst_region": "cn-east-3" }), "S3M.0080"),
        (json!({ "src_cloud_type": "Baidu" }), "OMS.0079"),
        (json!({ "src_cloud_type": "Google" }), "OMS.1003"),
        (json!({ "description": "a < b" }), "OMS.0078"),
        (json!({ "src_ak": null }), "OMS.1004"),
        (json!({ "src_bucket": 7 }), "OMS.1002"),
    ] {
        world.create_sync(changes).await.expect_refusal(400, code);
    }
    assert_eq!(world.sync(Method::GET, "", None).await.expect_ok()["count"], 0);
    assert_eq!(world.journal("?operation=CreateSyncTask&effect=true").await, [json!(null); 0]);
}

#[tokio::test]
async fn requests_out_of_bounds_are_refused() {
    let (_emulator, world) = World::start(config(json!({}))).await;
    let id = world.created_sync().await;
    world.events(&id, &[]).await.expect_refusal(400, "OMS.1003");
    world.events(&id, &["k"; 11]).await.expect_refusal(400, "OMS.1003");
    world.events(&id, &["%G1"]).await.expect_refusal(400, "OMS.1003");
    world
        .sync(Method::POST, &format!("/{id}/events"), Some(&json!([])))
        .await
        .expect_refusal(400, "OMS.1006");
    world.sync(Method::POST, &format!("/{id}/events"), None).await.expect_refusal(400, "OMS.1006");
    for (rest, code) in [
        (format!("/{id}"), "OMS.1004"),
        (format!("/{id}?query_time=soon"), "OMS.1002"),
        (format!("/{id}/statistics?data_type=SIZE&start_time=1"), "OMS.1004"),
        (format!("/{id}/statistics?data_type=BYTES&end_time=2&start_time=1"), "OMS.1003"),
        ("?limit=101".to_owned(), "OMS.1003"),
        ("?offset=10001".to_owned(), "OMS.1003"),
        ("?status=RUNNING".to_owned(), "OMS.1003"),
    ] {
        world.sync(Method::GET, &rest, None).await.expect_refusal(400, code);
    }
    assert_eq!(world.counters(&id).await, [0; 5]);

    let more = json!({ "limits": { "syncEventObjects": 100 } });
    let (_emulator, world) = World::start(config(more)).await;
    let id = world.created_sync().await;
    world.accepted(&id, &["k"; 100]).await;
    world.reach_counters(&id, [100, 0, 100, 0, 0]).await;
}

#[tokio::test]
async fn lists_are_paged_and_filtered() {
    let (_emulator, world) = World::start(config(json!({}))).await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(world.created_sync().await);
    }
    world.stop_sync(&ids[1]).await.expect_ok();
    for (query, expected, count) in [
        ("?limit=2", vec![2, 1], 3),
        ("?limit=2&offset=2", vec![0], 3),
        ("?offset=10000", vec![], 3),
        ("?status=STOPPED", vec![1], 1),
        ("?limit=1&status=SYNCHRONIZING", vec![2], 2),
    ] {
        let page = world.sync(Method::GET, query, None).await.expect_ok();
        let found: Vec<&str> = page["tasks"]
            .as_array()
            .unwrap()
            .iter()
            .map(|task| task["sync_task_id"].as_str().unwrap())
            .collect();
        let expected: Vec<&str> = expected.into_iter().map(|index: usize| ids[index].as_str()).collect();
        assert_eq!((found, &page["count"]), (expected, &json!(count)), "{query}");
    }
}

#[tokio::test]
async fn its_migration_task_is_shown_and_left_alone() {
    let (_emulator, world) = World::start(config(json!({ "limits": { "runningTasks": 1 } }))).await;
    let id = world.created_sync().await;
    world.accepted(&id, &["2024%2Fa", "nowhere"]).await;
    world.reach_counters(&id, [2, 1, 1, 0, 16]).await;
    let member = world.member().await;
    for (name, value) in [
        ("group_type", json!("SYNC_TASK")),
        ("status", json!(2)),
        ("description", json!("keep the photos")),
        ("total_num", json!(2)),
        ("successful_num", json!(1)),
        ("failed_num", json!(1)),
        ("complete_size", json!(16)),
    ] {
        assert_eq!(member[name], value, "{name}");
    }
    let number = member["id"].as_u64().unwrap();
    assert_eq!(world.show(number).await["group_type"], "SYNC_TASK");
    for answer in [
        world.stop(number).await,
        world.start_task(number, json!({})).await,
        world.delete(number).await,
        world
            .tasks(
                Method::PUT,
                &format!("/{number}/bandwidth-policy"),
                Some(&json!({ "bandwidth_policy": [] })),
            )
            .await,
        world
            .tasks(Method::POST, "/batch-update", Some(&json!({ "ids": [number], "bandwidth_policy": [] })))
            .await,
    ] {
        answer.expect_refusal(400, "OMS.0064");
        assert!(answer.body["error_detail"].as_str().unwrap().contains(&id), "{}", answer.text);
    }
    // It takes no place among the running tasks.
    let task = world.created(&crate::world::task(json!({}))).await;
    world.reach(task, 5).await;
    world.delete(task).await;
    world.stop_sync(&id).await.expect_ok();
    assert_eq!(world.member().await["status"], 3);
    world.start_sync(&id).await.expect_ok();
    assert_eq!(world.member().await["status"], 2);
}

#[tokio::test]
async fn consistency_check_and_other_settings_are_echoed_as_the_reference_reads_them() {
    let more = json!({ "behaviour": { "sync": { "echoEnableKms": true, "withoutRestore": ["aws"] } } });
    let (_emulator, world) = World::start(config(more)).await;
    world.create_sync(json!({ "enable_restore": true })).await.expect_refusal(400, "OMS.1048");
    let settings = json!({
        "consistency_check": "transmission", "dst_storage_policy": "IA", "enable_metadata_migration": true,
        "enable_kms": true,
        "source_cdn": {
            "domain": "cdn.example", "protocol": "https", "authentication_type": "Qiniu_PRIVATE_AUTHENTICATION",
        },
    });
    world.create_sync(settings).await.expect_ok();
    let listed = world.sync(Method::GET, "", None).await.expect_ok()["tasks"][0].clone();
    for (name, value) in [
        ("consistency_check", json!("no_check")),
        ("dst_storage_policy", json!("IA")),
        ("enable_metadata_migration", json!(true)),
        ("enable_kms", json!(true)),
        (
            "source_cdn",
            json!({
                "domain": "cdn.example", "protocol": "https",
                "authentication_type": "QINIU_PRIVATE_AUTHENTICATION",
            }),
        ),
    ] {
        assert_eq!(listed[name], value, "{name}");
    }
}

#[tokio::test]
async fn a_kms_key_has_to_be_one_that_can_be_used() {
    let id = "a".repeat(36);
    let (_emulator, world) = World::start(config(json!({ "kmsKeys": [{ "id": id }] }))).await;
    let with = |id: &str| json!({ "src_crypto_type": "KMS", "src_kms_key_id": id });
    world.create_sync(with(&"b".repeat(36))).await.expect_refusal(403, "OMS.0212");
    let created = world.create_sync(with(&id)).await.expect_ok();
    let task = created["sync_task_id"].as_str().unwrap();
    world.stop_sync(task).await.expect_ok();
    let mut start = keys();
    start["dst_crypto_type"] = json!("KMS");
    start["dst_kms_key_id"] = json!("b".repeat(36));
    world.sync(Method::POST, &format!("/{task}/start"), Some(&start)).await.expect_refusal(403, "OMS.0212");
}

#[tokio::test]
async fn the_privacy_agreement_is_asked_for_where_that_is_configured() {
    let more = json!({
        "behaviour": { "privacyAgreementAccepted": false, "sync": { "privacyAgreementRequired": true } },
    });
    let (_emulator, world) = World::start(config(more)).await;
    world.create_sync(json!({})).await.expect_refusal(400, "OMS.0092");
    world.call(Method::POST, &format!("/v2/{PROJECT}/privacy-agreements"), None).await.expect_ok();
    world.created_sync().await;
}

#[tokio::test]
async fn faults_strike_synchronization_tasks_with_and_without_effect() {
    let (_emulator, world) = World::start(config(json!({}))).await;
    let fault = |after_effect: bool| {
        json!({
            "operation": "CreateSyncTask", "times": 1, "kind": "status", "status": 503, "code": "OMS.2004",
            "afterEffect": after_effect,
        })
    };
    world.fault(fault(false)).await;
    world.create_sync(json!({})).await.expect_refusal(503, "OMS.2004");
    assert_eq!(world.sync(Method::GET, "", None).await.expect_ok()["count"], 0);
    world.fault(fault(true)).await;
    world.create_sync(json!({})).await.expect_refusal(503, "OMS.2004");
    let listed = world.sync(Method::GET, "", None).await.expect_ok();
    assert_eq!(listed["count"], 1);
    let id = listed["tasks"][0]["sync_task_id"].as_str().unwrap();

    world.fault(json!({ "operation": "CreateSyncEvents", "task": id, "times": 1, "kind": "status", "status": 503, "code": "OMS.1001" })).await;
    world.fault(json!({ "operation": "CreateSyncEvents", "task": UNKNOWN, "kind": "hang" })).await;
    world.events(id, &["2024%2Fa"]).await.expect_refusal(503, "OMS.1001");
    assert_eq!(world.counters(id).await, [0; 5]);
    world.accepted(id, &["2024%2Fa"]).await;
    world.reach_counters(id, [1, 1, 0, 0, 16]).await;
    let entries = world.journal(&format!("?effect=true&task={id}")).await;
    let operations: Vec<&str> = entries.iter().map(|entry| entry["operation"].as_str().unwrap()).collect();
    assert_eq!(operations, ["CreateSyncTask", "CreateSyncEvents"]);
    assert_eq!(entries[0]["fault"], "status");
}

#[tokio::test]
async fn no_answer_holds_a_secret() {
    let (_emulator, world) = World::start(config(json!({}))).await;
    let id = world.created_sync().await;
    world.stop_sync(&id).await.expect_ok();
    world.start_sync(&id).await.expect_ok();
    let listed = world.sync(Method::GET, "", None).await;
    let shown = world.sync(Method::GET, &format!("/{id}?query_time=1"), None).await;
    for answer in [listed, shown] {
        assert!(answer.status.is_success() && !holds_secret(&answer.text), "{}", answer.text);
    }
    for path in ["/state", "/journal"] {
        let answer = world.admin(Method::GET, path, None).await;
        assert!(answer.text.contains(&id) && !holds_secret(&answer.text), "{}", answer.text);
    }
}

/// The strongest case: the process is killed while accepted objects wait.
#[tokio::test]
async fn no_accepted_event_is_forgotten_or_counted_twice_when_it_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let file = write_config(folder.path(), json!({ "objectRate": 0.001 }));
    let arguments = ["--config", file.as_str(), "--state", state.to_str().unwrap()];
    let mut program = Program::start(folder.path(), &arguments);
    let world = World::at(&program.ready(folder.path()).await);
    world.make_bucket(&world.source, "SOURCEKEY", SOURCE_SECRET, "photos").await;
    world.make_bucket(&world.destination, "DESTINATIONKEY", DESTINATION_SECRET, "archive").await;
    let id = world.created_sync().await;
    let deleted = world.created_sync().await;
    world.stop_sync(&deleted).await.expect_ok();
    world.delete_sync(&deleted).await.expect_ok();
    let stopped = world.created_sync().await;
    world.put_source("first", b"12345".to_vec()).await;
    world.accepted(&id, &["first"]).await;
    world.reach_counters(&id, [1, 1, 0, 0, 5]).await;
    let names: Vec<String> = (0..30).map(|number| format!("object-{number}")).collect();
    for name in &names {
        world.put_source(name, name.clone().into_bytes()).await;
    }
    for keys in names.chunks(10) {
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        world.accepted(&id, &keys).await;
    }
    for name in ["other-0", "other-1"] {
        world.put_source(name, b"other".to_vec()).await;
    }
    world.accepted(&stopped, &["other-0", "other-1", "nowhere"]).await;
    world.stop_sync(&stopped).await.expect_ok();
    let before = world.counters(&stopped).await;
    program.signal("KILL");
    program.end().await;

    std::fs::remove_file(folder.path().join("ready.json")).unwrap();
    write_config(folder.path(), json!({}));
    let program = Program::start(folder.path(), &arguments);
    let world = World::at(&program.ready(folder.path()).await);
    let bytes: u64 = 5 + names.iter().map(|name| name.len() as u64).sum::<u64>();
    let begun = Instant::now();
    loop {
        let [request, success, failure, skip, size] = world.counters(&id).await;
        assert_eq!((request, failure), (31, 0));
        if success + skip == 31 {
            // What arrived but was not in the books when it was killed is met again, and found to be there.
            assert!(skip <= 8, "{skip} objects were under way");
            assert_eq!(size == bytes, skip == 0);
            break;
        }
        assert!(success + skip < 31, "an event is counted twice");
        assert!(begun.elapsed() < DEADLINE);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(world.destination_object("object-29").await.unwrap(), b"object-29");
    world.events(&deleted, &["a"]).await.expect_refusal(400, "OMS.0093");
    assert_eq!(world.counters(&stopped).await[0], before[0]);
    assert_eq!(world.show_sync(&stopped, 0).await["status"], "STOPPED");
    world.start_sync(&stopped).await.expect_ok();
    let begun = Instant::now();
    loop {
        let [request, success, failure, skip, _] = world.counters(&stopped).await;
        assert_eq!(request, 3);
        if success + failure + skip == 3 {
            assert_eq!(failure, 1);
            break;
        }
        assert!(begun.elapsed() < DEADLINE);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    drop(program);
}

#[tokio::test]
async fn a_clean_end_keeps_the_queue_and_no_key_of_a_stopped_task() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let settings = || Options { state: Some(state.clone()), ..Options::local(config(slow())) };
    let (emulator, world) = World::start_with(settings()).await;
    let id = world.created_sync().await;
    world.accepted(&id, &["2024%2Fa", "2024%2Fb"]).await;
    world.reach_counters(&id, [2, 1, 0, 0, 16]).await;
    emulator.shutdown().await;

    let emulator = Emulator::start(settings()).await.unwrap();
    let world = World::at(&ready_json(&emulator));
    world.reach_counters(&id, [2, 2, 0, 0, 32]).await;
    world.stop_sync(&id).await.expect_ok();
    emulator.shutdown().await;
    // The log is compacted at the next start; from then on nothing needs the keys.
    Emulator::start(settings()).await.unwrap().shutdown().await;
    let mut seen = 0;
    for entry in std::fs::read_dir(&state).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
            assert!(!holds_secret(&text), "{}", path.display());
            seen += usize::from(text.contains(&id));
        }
    }
    assert_eq!(seen, 1);
}
