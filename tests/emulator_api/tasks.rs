//! The life of tasks.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::world::{PROJECT, World, config, holds_secret, task};

/// Running takes so long that it lasts until a test ends it.
fn lasting() -> Value {
    json!({ "behaviour": { "minimumRunMs": 3_600_000 } })
}

#[tokio::test]
async fn a_task_starts_by_itself_and_copies_what_it_names() {
    let (_emulator, world) = World::start(config(json!({}))).await;
    let created = world.create(&task(json!({ "description": "first words" }))).await.expect_ok();
    let (id, name) = (created["id"].as_u64().unwrap(), created["task_name"].as_str().unwrap());
    assert_eq!(id.to_string().len(), 15);
    let suffix = name.strip_prefix("photos-archive-").unwrap();
    assert_eq!((suffix.len(), suffix.as_bytes()[17]), (21, b'_'));

    let done = world.reach(id, 5).await;
    for key in ["2024/a", "2024/b", "2025/c"] {
        assert_eq!(world.destination_object(key).await.unwrap(), format!("the photo {key}").into_bytes());
    }
    for (member, value) in [
        ("id", json!(id)),
        ("name", json!(name)),
        ("task_type", json!("prefix")),
        ("description", json!("first words")),
        ("group_type", json!("NORMAL_TASK")),
        ("progress", json!(1.0)),
        ("is_query_over", json!(true)),
        ("total_num", json!(3)),
        ("successful_num", json!(3)),
        ("failed_num", json!(0)),
        ("skipped_num", json!(0)),
        ("total_size", json!(48)),
        ("complete_size", json!(48)),
        ("real_size", json!(48)),
        ("left_time", json!(0)),
        ("error_reason", Value::Null),
        ("object_overwrite_mode", json!("SIZE_LAST_MODIFIED_COMPARISON_OVERWRITE")),
        ("dst_storage_policy", json!("STANDARD")),
        ("consistency_check", json!("size_last_modified")),
        ("task_priority", json!("MEDIUM")),
        ("enable_failed_object_recording", json!(true)),
        ("failed_object_record", json!({ "result": null, "list_file_key": null, "error_code": null })),
        ("bandwidth_policy", json!([])),
        ("source_cdn", Value::Null),
        ("smn_info", Value::Null),
        (
            "src_node",
            json!({ "bucket": "photos", "cloud_type": "AWS", "region": "eu-west-1", "app_id": "", "object_key": [""], "list_file": null }),
        ),
        ("dst_node", json!({ "bucket": "archive", "region": "cn-north-4", "save_prefix": "" })),
    ] {
        assert_eq!(done[member], value, "{member}");
    }
    assert!(done["start_time"].as_i64().unwrap() > 1_700_000_000_000);
}

#[tokio::test]
async fn a_finished_task_can_only_be_looked_at_and_deleted() {
    let (_emulator, world) = World::start(config(json!({}))).await;
    let id = world.created(&task(json!({}))).await;
    world.reach(id, 5).await;
    world.start_task(id, json!({})).await.expect_refusal(400, "OMS.0070");
    world.stop(id).await.expect_refusal(400, "OMS.0070");
    let policy = json!({ "bandwidth_policy": [] });
    let path = format!("/{id}/bandwidth-policy");
    world.tasks(Method::PUT, &path, Some(&policy)).await.expect_refusal(400, "S3M.0071");
    let deleted = world.delete(id).await;
    assert_eq!((deleted.status.as_u16(), deleted.text.as_str()), (200, ""));
    world.tasks(Method::GET, &format!("/{id}"), None).await.expect_refusal(400, "OMS.1009");
    world.delete(id).await.expect_refusal(400, "OMS.1009");
}

#[tokio::test]
async fn an_unknown_task_can_be_answered_as_the_reference_says() {
    let (_emulator, world) = World::start(config(json!({ "behaviour": { "notFoundStatus": 404 } }))).await;
    world.tasks(Method::GET, "/260635103393672", None).await.expect_refusal(404, "OMS.1009");
    world.tasks(Method::GET, "/x", None).await.expect_refusal(400, "OMS.0054");
}

#[tokio::test]
async fn a_stop_is_seen_at_once_and_a_start_goes_on() {
    let mut behaviour = lasting();
    behaviour["behaviour"]["pauseMs"] = json!(60_000);
    behaviour["behaviour"]["staleInProgressMs"] = json!(5_000);
    let (emulator, world) = World::start(config(behaviour)).await;
    let id = world.created(&task(json!({}))).await;
    world.reach(id, 2).await;
    world.start_task(id, json!({})).await.expect_refusal(400, "OMS.0065");
    world.delete(id).await.expect_refusal(400, "OMS.0063");

    assert_eq!(world.stop(id).await.status, 200);
    assert_eq!(world.status(id).await, 7);
    world.stop(id).await.expect_refusal(400, "OMS.0066");
    world.start_task(id, json!({})).await.expect_refusal(400, "OMS.0065");
    world.delete(id).await.expect_refusal(400, "OMS.0063");
    emulator.clock().advance(Duration::from_mins(1));
    world.reach(id, 3).await;
    // The guard of delete lags behind the state.
    world.delete(id).await.expect_refusal(400, "OMS.0063");
    world.stop(id).await.expect_refusal(400, "OMS.0066");
    world.start_task(id, json!({ "migrate_failed_object": true })).await.expect_refusal(400, "OMS.0167");

    assert_eq!(world.start_task(id, json!({})).await.status, 200);
    assert_ne!(world.status(id).await, 3);
    world.reach(id, 2).await;
    emulator.clock().advance(Duration::from_hours(1));
    assert_eq!(world.reach(id, 5).await["successful_num"], 3);
}

#[tokio::test]
async fn a_delete_after_a_stop_is_refused_for_a_while_only() {
    let mut behaviour = lasting();
    behaviour["behaviour"]["staleInProgressMs"] = json!(5_000);
    let (emulator, world) = World::start(config(behaviour)).await;
    let id = world.created(&task(json!({}))).await;
    world.reach(id, 2).await;
    assert_eq!(world.stop(id).await.status, 200);
    world.reach(id, 3).await;
    world.delete(id).await.expect_refusal(400, "OMS.0063");
    emulator.clock().advance(Duration::from_secs(5));
    assert_eq!(world.delete(id).await.status, 200);
}

#[tokio::test]
async fn a_waiting_task_can_be_deleted_but_not_stopped() {
    let (_emulator, world) = World::start(config(json!({ "limits": { "runningTasks": 0 } }))).await;
    let id = world.created(&task(json!({}))).await;
    assert_eq!(world.status(id).await, 1);
    world.stop(id).await.expect_refusal(400, "OMS.0066");
    world.start_task(id, json!({})).await.expect_refusal(400, "OMS.0065");
    assert_eq!(world.delete(id).await.status, 200);
}

#[tokio::test]
async fn a_task_that_waits_for_thirty_days_fails() {
    let (emulator, world) = World::start(config(json!({ "limits": { "runningTasks": 0 } }))).await;
    let id = world.created(&task(json!({}))).await;
    emulator.clock().advance(Duration::from_hours(30 * 24));
    assert_eq!(world.reach(id, 4).await["error_reason"]["error_code"], "TRF.0003");
}

#[tokio::test]
async fn only_five_tasks_run_and_the_urgent_ones_come_first() {
    let (emulator, world) = World::start(config(json!({
        "behaviour": { "minimumRunMs": 3_600_000, "taskStartDelayMs": 60_000 },
    })))
    .await;
    let mut ids = Vec::new();
    for priority in ["LOW", "LOW", "MEDIUM", "MEDIUM", "MEDIUM", "HIGH", "HIGH"] {
        ids.push(world.created(&task(json!({ "task_priority": priority }))).await);
    }
    // Waiting tasks can change their place in the queue.
    let raise = json!({ "ids": [ids[0]], "bandwidth_policy": [], "task_priority": "HIGH" });
    assert_eq!(world.tasks(Method::POST, "/batch-update", Some(&raise)).await.status, 200);
    emulator.clock().advance(Duration::from_mins(1));
    for index in [0, 5, 6, 2, 3] {
        world.reach(ids[index], 2).await;
    }
    for index in [1, 4] {
        assert_eq!(world.status(ids[index]).await, 1, "{index}");
    }
    // A place that comes free is taken by the next.
    assert_eq!(world.stop(ids[0]).await.status, 200);
    world.reach(ids[4], 2).await;
    assert_eq!(world.status(ids[1]).await, 1);
}

#[tokio::test]
async fn the_privacy_agreement_comes_first() {
    let (_emulator, world) =
        World::start(config(json!({ "behaviour": { "privacyAgreementAccepted": false } }))).await;
    world.create(&task(json!({}))).await.expect_refusal(400, "OMS.0092");
    let path = format!("/v2/{PROJECT}/privacy-agreements");
    for _ in 0..2 {
        let accepted = world.call(Method::POST, &path, None).await;
        assert_eq!((accepted.status.as_u16(), accepted.text.as_str()), (200, ""));
    }
    world.create(&task(json!({}))).await.expect_ok();
}

#[tokio::test]
async fn quotas_of_the_day_and_of_the_queue_are_kept() {
    let limits = json!({ "tasksPerDay": 3, "waitingTasks": 2, "runningTasks": 0 });
    let (emulator, world) = World::start(config(json!({ "limits": limits }))).await;
    let first = world.created(&task(json!({}))).await;
    world.created(&task(json!({}))).await;
    world.create(&task(json!({}))).await.expect_refusal(400, "OMS.0077");
    world.delete(first).await;
    world.created(&task(json!({}))).await;
    // A deleted task was created all the same.
    world.create(&task(json!({}))).await.expect_refusal(400, "OMS.1021");
    emulator.clock().advance(Duration::from_hours(24));
    world.create(&task(json!({}))).await.expect_refusal(400, "OMS.0077");
}

#[tokio::test]
async fn what_is_wrong_with_the_request_is_told_at_once() {
    let (_emulator, world) = World::start(config(json!({}))).await;
    let refused = world.create(&task(json!({ "description": "AWS S3 -> Huawei OBS migration" }))).await;
    refused.expect_refusal(400, "OMS.0064");
    assert_eq!(
        refused.body,
        json!({
            "error_code": "OMS.0064",
            "error_msg": "Invalid request parameters.",
            "error_detail": "request parameter [description] invalid.",
        })
    );
    for (changes, code) in [
        (json!({ "dst_node": { "bucket": "no-such-bucket" } }), "OMS.1020"),
        (json!({ "dst_node": { "sk": "wrong" } }), "OMS.0189"),
        (json!({ "dst_node": { "ak": "NOBODY" } }), "OMS.0189"),
        (json!({ "dst_node": { "region": "cn-east-3" } }), "S3M.0080"),
        (json!({ "src_node": { "cloud_type": "Aliyun" } }), "OMS.0079"),
        (
            json!({ "bandwidth_policy": [{ "start": "10:00", "end": "09:00", "max_bandwidth": 1_048_576 }] }),
            "OMS.0087",
        ),
    ] {
        world.create(&task(changes)).await.expect_refusal(400, code);
    }
    let unknown = world.create(&task(json!({ "src_node": { "cloud_type": "Aliyun" } }))).await;
    assert!(unknown.body["error_detail"].as_str().unwrap().contains("embeddedStores"));
    let list = world.tasks(Method::GET, "", None).await.expect_ok();
    assert_eq!(list["count"], 0);
}

#[tokio::test]
async fn what_is_wrong_with_the_source_is_told_by_the_task() {
    let (_emulator, world) = World::start(config(json!({}))).await;
    for (changes, code) in [
        (json!({ "src_node": { "bucket": "no-such-bucket" } }), "TRF.0155"),
        (json!({ "src_node": { "sk": "wrong" } }), "TRF.0151"),
        (json!({ "src_node": { "object_key": ["nothing/"] } }), "TRF.0012"),
    ] {
        let id = world.created(&task(changes)).await;
        let failed = world.reach(id, 4).await;
        assert_eq!(failed["error_reason"]["error_code"], code, "{failed}");
        // Nothing was recorded, so there is nothing to retransmit.
        world.start_task(id, json!({ "migrate_failed_object": true })).await.expect_refusal(400, "OMS.0167");
    }
    let id = world
        .created(&task(json!({ "src_node": { "sk": "wrong" }, "enable_failed_object_recording": false })))
        .await;
    world.reach(id, 4).await;
    world.start_task(id, json!({ "migrate_failed_object": true })).await.expect_refusal(400, "S3M.0301");
    // New keys, and it goes on.
    assert_eq!(world.start_task(id, json!({})).await.status, 200);
    let done = world.reach(id, 5).await;
    assert_eq!((done["successful_num"].clone(), done["error_reason"].clone()), (json!(3), Value::Null));
}

#[tokio::test]
async fn a_url_list_is_looked_at_before_the_task_is_accepted() {
    let (_emulator, world) = World::start(config(json!({}))).await;
    let list = |key: &str| {
        let mut task = task(json!({ "task_type": "url_list" }));
        task["src_node"] = json!({ "cloud_type": "URLSource", "list_file": { "obs_bucket": "archive", "list_file_key": key } });
        task
    };
    world.put_destination("lists/html.txt", "text/html", b"http://127.0.0.1/x\tx".to_vec()).await;
    world.put_destination("lists/bom.txt", "text/plain", b"\xef\xbb\xbfhttp://127.0.0.1/x\tx".to_vec()).await;
    world.create(&list("lists/none.txt")).await.expect_refusal(400, "OMS.0175");
    world.create(&list("lists/list.csv")).await.expect_refusal(400, "OMS.0185");
    world.create(&list("lists/html.txt")).await.expect_refusal(400, "OMS.0186");
    world.create(&list("lists/bom.txt")).await.expect_refusal(400, "OMS.0188");
    world.put_destination("lists/good.txt", "text/plain", b"http://127.0.0.1:1/x\tx".to_vec()).await;
    let created = world.create(&list("lists/good.txt")).await.expect_ok();
    assert!(created["task_name"].as_str().unwrap().contains("-archive-"));
}

#[tokio::test]
async fn bandwidth_is_replaced_and_echoed() {
    let (_emulator, world) = World::start(config(json!({ "limits": { "runningTasks": 0 } }))).await;
    let window = json!({ "start": "08:00", "end": "20:00", "max_bandwidth": 52_428_800 });
    let id = world.created(&task(json!({ "bandwidth_policy": [window] }))).await;
    assert_eq!(world.show(id).await["bandwidth_policy"], json!([window]));
    let path = format!("/{id}/bandwidth-policy");
    let update = |policy: Value| json!({ "bandwidth_policy": policy });
    let answer = world.tasks(Method::PUT, &path, Some(&update(json!([])))).await;
    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (200, ""));
    assert_eq!(world.show(id).await["bandwidth_policy"], json!([]));
    let overlapping =
        update(json!([window, { "start": "19:59", "end": "21:00", "max_bandwidth": 52_428_800 }]));
    world.tasks(Method::PUT, &path, Some(&overlapping)).await.expect_refusal(400, "OMS.0085");
    world.tasks(Method::PUT, &path, Some(&json!({}))).await.expect_refusal(400, "OMS.0064");
}

#[tokio::test]
async fn a_batch_update_is_all_or_nothing() {
    let (_emulator, world) = World::start(config(lasting())).await;
    let running = world.created(&task(json!({}))).await;
    world.reach(running, 2).await;
    let (_more, stopped) = (world.created(&task(json!({}))).await, world.created(&task(json!({}))).await);
    world.reach(stopped, 2).await;
    world.stop(stopped).await;
    world.reach(stopped, 3).await;
    let window = json!({ "start": "00:00", "end": "23:59", "max_bandwidth": 1_048_576 });
    let update = |ids: Value, priority: Option<&str>| {
        let mut body = json!({ "ids": ids, "bandwidth_policy": [window] });
        if let Some(priority) = priority {
            body["task_priority"] = json!(priority);
        }
        body
    };
    let batch = |body: Value| {
        let world = world.clone();
        async move { world.tasks(Method::POST, "/batch-update", Some(&body)).await }
    };
    batch(update(json!([stopped, running]), Some("LOW"))).await.expect_refusal(400, "OMS.0170");
    batch(update(json!([stopped, 1]), None)).await.expect_refusal(400, "OMS.1009");
    batch(json!({ "group_id": "g", "bandwidth_policy": [] })).await.expect_refusal(400, "OMS.1009");
    assert_eq!(world.show(stopped).await["bandwidth_policy"], json!([]));
    assert_eq!(batch(update(json!([stopped, running]), None)).await.status, 200);
    assert_eq!(batch(update(json!([stopped]), Some("LOW"))).await.status, 200);
    let (stopped, running) = (world.show(stopped).await, world.show(running).await);
    assert_eq!(stopped["bandwidth_policy"], json!([window]));
    assert_eq!(running["bandwidth_policy"], json!([window]));
    assert_eq!((&stopped["task_priority"], &running["task_priority"]), (&json!("LOW"), &json!("MEDIUM")));
}

#[tokio::test]
async fn lists_come_in_pages_with_the_newest_first() {
    let (_emulator, world) = World::start(config(json!({ "limits": { "runningTasks": 0 } }))).await;
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(world.created(&task(json!({}))).await);
    }
    ids.reverse();
    let list = |query: &str| {
        let (world, path) = (world.clone(), format!("/v2/{PROJECT}/tasks?{query}"));
        async move {
            let page = world.get(&path).await.expect_ok();
            let ids: Vec<u64> =
                page["tasks"].as_array().unwrap().iter().map(|task| task["id"].as_u64().unwrap()).collect();
            (ids, page["count"].as_u64().unwrap())
        }
    };
    assert_eq!(list("limit=2&offset=0").await, (ids[..2].to_vec(), 5));
    assert_eq!(list("limit=2&offset=4").await, (ids[4..].to_vec(), 5));
    assert_eq!(list("limit=2&offset=5").await, (vec![], 5));
    assert_eq!(list("status=1").await.1, 5);
    assert_eq!(list("status=2").await.1, 0);
    assert_eq!(list("status=1&task_name=PHOTOS-arch").await.1, 5);
    assert_eq!(list("status=1&task_name=nothing").await.1, 0);
    assert_eq!(list("group_id=g").await.1, 0);
    world.get(&format!("/v2/{PROJECT}/tasks?limit=101")).await.expect_refusal(400, "OMS.0064");
}

#[tokio::test]
async fn a_new_task_may_be_missing_in_lists_for_a_while() {
    let (emulator, world) = World::start(config(json!({ "behaviour": { "listLagMs": 60_000 } }))).await;
    let id = world.created(&task(json!({}))).await;
    world.show(id).await;
    let count = || async { world.tasks(Method::GET, "", None).await.expect_ok()["count"].clone() };
    assert_eq!(count().await, 0);
    emulator.clock().advance(Duration::from_mins(1));
    assert_eq!(count().await, 1);
}

#[tokio::test]
async fn readings_that_contradict_each_other_can_be_chosen() {
    let since = json!({ "migrate_since": 123_456_789 });
    let (_emulator, world) = World::start(config(json!({ "limits": { "runningTasks": 0 } }))).await;
    let id = world.created(&task(since.clone())).await;
    assert_eq!(world.show(id).await["migrate_since"], 123_456_789_000_i64);
    let other = json!({ "migrateSinceUnit": "seconds", "initialisingMs": 60_000 });
    let config = config(json!({ "limits": { "runningTasks": 0 }, "behaviour": other }));
    let (emulator, world) = World::start(config).await;
    let id = world.created(&task(since)).await;
    assert_eq!(world.show(id).await["migrate_since"], 123_456_789);
    assert_eq!(world.status(id).await, 0);
    emulator.clock().advance(Duration::from_mins(1));
    assert_eq!(world.status(id).await, 1);
}

#[tokio::test]
async fn secrets_are_seen_nowhere() {
    let (emulator, world) = World::start(config(lasting())).await;
    let id = world.created(&task(json!({}))).await;
    world.create(&task(json!({ "description": "<" }))).await;
    world.reach(id, 2).await;
    world.stop(id).await;
    world.reach(id, 3).await;
    world.start_task(id, json!({})).await;
    for text in [
        world.show(id).await.to_string(),
        world.tasks(Method::GET, "", None).await.text,
        world.admin(Method::GET, "/journal", None).await.text,
        world.admin(Method::GET, "/state", None).await.text,
        format!("{emulator:?}"),
    ] {
        assert!(text.len() > 100);
        assert!(!holds_secret(&text), "{text}");
    }
}

#[tokio::test]
async fn failed_objects_are_recorded_and_can_be_sent_again_alone() {
    let (_emulator, world) = World::start(config(json!({}))).await;
    // With this prefix the shorter keys fit into 1,024 bytes and the longer one does not.
    world.put_source("2025/a-longer-name", b"too long".to_vec()).await;
    let id = world.created(&task(json!({ "dst_node": { "save_prefix": "p".repeat(1010) } }))).await;
    let failed = world.reach(id, 4).await;
    assert_eq!(failed["error_reason"]["error_code"], "TRF.0004");
    assert_eq!((&failed["successful_num"], &failed["failed_num"]), (&json!(3), &json!(1)));
    let record = &failed["failed_object_record"];
    assert_eq!((&record["result"], &record["error_code"]), (&json!(true), &Value::Null));
    let list = record["list_file_key"].as_str().unwrap();
    let folder = format!("oms/task/{}/failed_object_lists/", failed["name"].as_str().unwrap());
    assert!(list.starts_with(&folder), "{list}");
    let listed = String::from_utf8(world.destination_object(list).await.unwrap()).unwrap();
    assert!(listed.contains("a-longer-name") && !listed.contains("2024/a"), "{listed}");

    assert_eq!(world.start_task(id, json!({ "migrate_failed_object": true })).await.status, 200);
    assert_ne!(world.status(id).await, 3);
    let again = world.reach(id, 4).await;
    assert_eq!((&again["successful_num"], &again["failed_num"]), (&json!(3), &json!(1)));
    let copies = world.journal("?operation=StartTask&effect=true").await;
    assert_eq!(copies.len(), 1);
}

#[tokio::test]
async fn url_lists_lead_to_loopback_addresses_unless_a_host_is_allowed() {
    let run = |sources: Value| async move {
        let settings = json!({ "httpSources": sources, "mover": { "outageWaitMs": 0 } });
        let (_emulator, world) = World::start(config(settings)).await;
        // `.invalid` never resolves, so what is allowed fails in another way than what is not.
        let lines = "http://files.invalid/x\tx\n";
        world.put_destination("lists/urls.txt", "text/plain", lines.into()).await;
        let mut task = task(json!({ "task_type": "url_list", "consistency_check": "no_check" }));
        task["src_node"] = json!({
            "cloud_type": "URLSource", "list_file": { "obs_bucket": "archive", "list_file_key": "lists/urls.txt" },
        });
        let id = world.created(&task).await;
        let failed = world.reach(id, 4).await;
        let list = failed["failed_object_record"]["list_file_key"].as_str().unwrap();
        String::from_utf8(world.destination_object(list).await.unwrap()).unwrap()
    };
    assert!(run(json!({})).await.contains("TRF.0152"));
    assert!(run(json!({ "allowedHosts": ["files.invalid"] })).await.contains("TRF.0157"));
}
