//! Task groups: every transition and refusal, with objects that really move.

mod around;
mod refusals;

use std::time::{Duration, Instant};

use reqwest::Method;
use rusty_s3::{Bucket, Credentials, S3Action as _, UrlStyle};
use serde_json::{Value, json};

use crate::world::{Answer, DEADLINE, DESTINATION_SECRET, PROJECT, SOURCE_SECRET, World, config, merge};

/// The whole bucket `photos` to `archive` as a group, with changes.
fn group(changes: Value) -> Value {
    let mut group = json!({
        "task_type": "PREFIX",
        "src_node": {
            "cloud_type": "AWS", "region": "eu-west-1", "bucket": "photos", "object_key": [""],
            "ak": "SOURCEKEY", "sk": SOURCE_SECRET,
        },
        "dst_node": {
            "cloud_type": "HEC", "region": "cn-north-4", "bucket": "archive", "ak": "DESTINATIONKEY",
            "sk": DESTINATION_SECRET,
        },
        "enable_kms": false,
    });
    merge(&mut group, changes);
    group
}

fn keys(changes: Value) -> Value {
    let mut keys = json!({
        "src_ak": "SOURCEKEY", "src_sk": SOURCE_SECRET,
        "dst_ak": "DESTINATIONKEY", "dst_sk": DESTINATION_SECRET,
    });
    merge(&mut keys, changes);
    keys
}

const TOPIC: &str = "urn:smn:cn-north-4:2c0689c860ad4728a497c91ec0844383:migrations";

#[tokio::test]
async fn the_topic_hears_of_the_end_of_a_group_and_not_of_its_tasks() {
    let (_emulator, world) = World::start(config(json!({ "smnTopics": [{ "urn": TOPIC }] }))).await;
    let smn =
        json!({ "topic_urn": TOPIC, "trigger_conditions": ["SUCCESS", "FAILURE"], "language": "zh-cn" });
    let elsewhere = group(json!({ "smn_config": {
        "topic_urn": TOPIC.replace("north", "south"), "trigger_conditions": ["SUCCESS"],
    }}));
    world.groups(Method::POST, "", Some(&elsewhere)).await.expect_refusal(400, "OMS.0168");

    let id = world.group_created(&group(json!({ "smn_config": smn }))).await;
    assert_eq!(world.show_group(&id).await["smn_config"], Value::Null);
    let shown = world.group_reaches(&id, 6).await;
    let sent = json!({ "notify_result": true, "notify_error_message": "", "topic_name": "migrations" });
    assert_eq!(shown["smn_config"], sent);

    // A failed one is told, and told again when a retry ends otherwise.
    let failing = group(json!({ "smn_config": smn, "src_node": { "sk": "wrong" } }));
    let failed = world.group_created(&failing).await;
    assert_eq!(world.group_reaches(&failed, 4).await["smn_config"], sent);
    assert_eq!(world.group_act(&failed, "retry", Some(&keys(json!({})))).await.status, 200);
    world.group_reaches(&failed, 6).await;

    let told = world.admin(Method::GET, "/notifications", None).await.expect_ok();
    let told = told["notifications"].as_array().unwrap();
    let ends: Vec<_> = told.iter().map(|entry| (&entry["groupId"], &entry["trigger"])).collect();
    assert_eq!(
        ends,
        [
            (&json!(id), &json!("SUCCESS")),
            (&json!(failed), &json!("FAILURE")),
            (&json!(failed), &json!("SUCCESS")),
        ]
    );
    assert!(told.iter().all(|entry| entry["taskId"].is_null()));
    assert!(told[0]["subject"].as_str().unwrap().contains("任务组"), "{}", told[0]);
    assert_eq!(told[0]["variables"]["Transferred_Data"], format!("{} B", shown["complete_size"]));
}

#[tokio::test]
async fn kms_keys_of_groups_are_checked_too() {
    let key = "0d0466b0-e727-4d9c-b35d-f84bb474a37f";
    let (_emulator, world) = World::start(config(json!({ "kmsKeys": [{ "id": key }] }))).await;
    let kms = |id: &str| json!({ "crypto_type": "KMS", "kms_key_id": id });
    let other = key.replace('0', "1");
    for node in ["src_node", "dst_node"] {
        let body = group(json!({ node: kms(&other) }));
        world.groups(Method::POST, "", Some(&body)).await.expect_refusal(403, "OMS.0212");
    }
    let failing = group(json!({ "src_node": kms(key) }));
    let failed = {
        let mut failing = failing;
        failing["src_node"]["sk"] = json!("wrong");
        world.group_created(&failing).await
    };
    world.group_reaches(&failed, 4).await;
    let with = |id: &str| keys(json!({ "dst_crypto_type": "KMS", "dst_kms_key_id": id }));
    world.group_act(&failed, "retry", Some(&with(&other))).await.expect_refusal(403, "OMS.0212");
    assert_eq!(world.group_act(&failed, "retry", Some(&with(key))).await.status, 200);
    world.group_reaches(&failed, 6).await;
}

/// Tasks that do not end by themselves within a test.
fn lasting() -> Value {
    json!({ "behaviour": { "minimumRunMs": 3_600_000 } })
}

impl World {
    async fn groups(&self, method: Method, rest: &str, body: Option<&Value>) -> Answer {
        self.call(method, &format!("/v2/{PROJECT}/taskgroups{rest}"), body).await
    }

    async fn group_created(&self, body: &Value) -> String {
        let answer = self.groups(Method::POST, "", Some(body)).await.expect_ok();
        answer["group_id"].as_str().unwrap().to_owned()
    }

    async fn show_group(&self, id: &str) -> Value {
        self.groups(Method::GET, &format!("/{id}"), None).await.expect_ok()
    }

    async fn group_act(&self, id: &str, act: &str, body: Option<&Value>) -> Answer {
        self.groups(Method::PUT, &format!("/{id}/{act}"), body).await
    }

    async fn delete_group(&self, id: &str) -> Answer {
        self.groups(Method::DELETE, &format!("/{id}"), None).await
    }

    /// Waits until the group is in this state, and returns it.
    #[track_caller]
    fn group_reaches(&self, id: &str, status: u64) -> impl Future<Output = Value> {
        let begun = Instant::now();
        async move {
            loop {
                let group = self.show_group(id).await;
                if group["status"] == status {
                    return group;
                }
                assert!(begun.elapsed() < DEADLINE, "group did not reach {status}: {group}");
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    }

    async fn gone(&self, id: &str) {
        let begun = Instant::now();
        loop {
            let answer = self.groups(Method::GET, &format!("/{id}"), None).await;
            if answer.status == 404 {
                answer.expect_refusal(404, "OMS.1009");
                return;
            }
            assert!([json!(8), json!(9)].contains(&answer.body["status"]), "{}", answer.text);
            assert!(begun.elapsed() < DEADLINE, "the group does not go");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// The tasks of a group, the newest first.
    async fn members(&self, id: &str) -> Vec<Value> {
        let list = self.tasks(Method::GET, &format!("?group_id={id}&limit=100"), None).await.expect_ok();
        assert_eq!(list["count"], list["tasks"].as_array().unwrap().len());
        list["tasks"].as_array().unwrap().clone()
    }

    /// Every task of the group is in this state.
    async fn members_reach(&self, id: &str, status: u64) {
        let begun = Instant::now();
        loop {
            let members = self.members(id).await;
            if !members.is_empty() && members.iter().all(|task| task["status"] == status) {
                return;
            }
            assert!(begun.elapsed() < DEADLINE, "members did not reach {status}: {members:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    fn source_url(&self, key: &str) -> url::Url {
        let bucket =
            Bucket::new(self.source.parse().unwrap(), UrlStyle::Path, "photos".to_owned(), "us-east-1")
                .unwrap();
        let credentials = Credentials::new("SOURCEKEY", SOURCE_SECRET);
        bucket.get_object(Some(&credentials), key).sign(Duration::from_mins(10))
    }
}

fn numbers(value: &Value, names: &[&str]) -> Vec<u64> {
    names.iter().map(|name| value[name].as_u64().unwrap_or_else(|| panic!("{name}: {value}"))).collect()
}

#[tokio::test]
async fn a_group_splits_its_prefixes_into_tasks_and_copies_every_object_once() {
    let (_emulator, world) = World::start(config(json!({ "behaviour": { "groupTaskObjects": 2 } }))).await;
    for key in ["2024/c", "2024/d", "2024/e"] {
        world.put_source(key, key.into()).await;
    }
    let request = group(json!({
        "src_node": { "object_key": ["2025/", "2024/", "2024/c"] }, "dst_node": { "save_prefix": "in/" },
        "description": "first words", "migrate_since": 5,
    }));
    let id = world.group_created(&request).await;
    assert_eq!(id.len(), 36);
    let done = world.group_reaches(&id, 6).await;
    for key in ["2024/a", "2024/b", "2024/c", "2024/d", "2024/e", "2025/c"] {
        assert!(world.destination_object(&format!("in/{key}")).await.is_some(), "{key}");
    }
    let counts = ["total_num", "success_num", "fail_num", "skip_num"];
    assert_eq!(numbers(&done, &counts), [6, 6, 0, 0], "{done}");
    assert_eq!(done["total_size"], done["complete_size"]);
    assert!(done["start_time"].as_u64().unwrap() > 1_600_000_000_000);
    for (name, value) in [
        ("group_id", json!(id)),
        ("task_type", json!("PREFIX")),
        ("error_reason", Value::Null),
        ("description", json!("first words")),
        ("migrate_since", json!(5000)),
        ("migrate_speed", json!(0)),
        ("bandwidth_policy", json!([])),
        ("total_task_num", Value::Null),
        ("executing_task_num", Value::Null),
        ("create_complete_num", Value::Null),
        ("smn_config", Value::Null),
        ("source_cdn", Value::Null),
        ("object_overwrite_mode", json!("SIZE_LAST_MODIFIED_COMPARISON_OVERWRITE")),
        ("failed_object_record", json!({ "result": null, "list_file_key": null, "error_code": null })),
        ("dst_node", json!({ "bucket": "archive", "region": "cn-north-4", "save_prefix": "in/" })),
    ] {
        assert_eq!(done[name], value, "{name}");
    }
    assert_eq!(done["src_node"]["object_key"], json!(["2025/", "2024/", "2024/c"]));

    let members = world.members(&id).await;
    let mut totals: Vec<u64> = members.iter().map(|task| task["total_num"].as_u64().unwrap()).collect();
    totals.sort_unstable();
    assert_eq!(totals, [1, 1, 2, 2]);
    let mut names: Vec<&str> = members.iter().map(|task| task["name"].as_str().unwrap()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), 4);
    for task in &members {
        assert_eq!((&task["group_id"], &task["group_type"]), (&json!(id), &json!("GROUP_TASK")));
        assert_eq!((&task["status"], &task["task_type"]), (&json!(5), &json!("prefix")));
    }
    let all = world.tasks(Method::GET, "", None).await.expect_ok();
    assert_eq!(all["count"], 4);
    let created = world.journal("?operation=CreateTaskGroup").await;
    assert_eq!((&created[0]["task"], &created[0]["effect"]), (&json!(id), &json!(true)));
}

#[tokio::test]
async fn clouds_are_answered_in_upper_case_and_task_numbers_where_they_are_switched_on() {
    let stores = json!([
        { "name": "source", "cloudType": "OBS", "region": "cn-south-1", "accessKeys": [{ "access": "SOURCEKEY", "secret": SOURCE_SECRET }] },
        { "name": "destination", "cloudType": "OBS", "region": "cn-north-4", "accessKeys": [{ "access": "DESTINATIONKEY", "secret": DESTINATION_SECRET }] },
    ]);
    let behaviour = json!({ "groupTaskNumbers": true, "migrateSinceUnit": "seconds" });
    let (_emulator, world) =
        World::start(config(json!({ "embeddedStores": stores, "behaviour": behaviour }))).await;
    for spelling in ["HEC", "HuaweiCloud", "HUAWEICLOUD"] {
        let id = world
            .group_created(&group(json!({
                "src_node": { "cloud_type": spelling, "region": "cn-south-1" }, "migrate_since": 5,
            })))
            .await;
        let done = world.group_reaches(&id, 6).await;
        assert_eq!(done["src_node"]["cloud_type"], "HUAWEICLOUD");
        assert_eq!(done["migrate_since"], 5);
        let names =
            ["total_task_num", "create_task_num", "complete_task_num", "failed_task_num", "waiting_task_num"];
        assert_eq!(numbers(&done, &names), [1, 1, 1, 0, 0]);
        assert_eq!(
            numbers(&done, &["paused_task_num", "executing_task_num", "create_complete_num"]),
            [0, 0, 3]
        );
    }
}

#[tokio::test]
async fn a_group_of_lists_has_a_task_for_every_list_in_the_folder() {
    let (_emulator, world) = World::start(config(json!({}))).await;
    world.put_destination("lists/one.txt", "text/plain", b"2024/a\n".to_vec()).await;
    world.put_destination("lists/deep/two.txt", "text/plain", b"2024/b\n2025/c\n".to_vec()).await;
    world.put_destination("lists/readme.md", "text/plain", b"no list\n".to_vec()).await;
    world.put_destination("listsbeside.txt", "text/plain", b"2025/c\n".to_vec()).await;
    let mut request = group(json!({ "task_type": "LIST" }));
    request["src_node"]["object_key"] = Value::Null;
    request["src_node"]["list_file"] = json!({ "obs_bucket": "archive", "list_file_key": "lists" });
    let id = world.group_created(&request).await;
    let done = world.group_reaches(&id, 6).await;
    assert_eq!(numbers(&done, &["total_num", "success_num"]), [3, 3]);
    assert_eq!(done["src_node"]["list_file"]["list_file_key"], "lists/");
    let members = world.members(&id).await;
    let mut lists: Vec<&str> =
        members.iter().map(|task| task["src_node"]["list_file"]["list_file_key"].as_str().unwrap()).collect();
    lists.sort_unstable();
    assert_eq!(lists, ["lists/deep/two.txt", "lists/one.txt"]);
    assert_eq!(members[0]["task_type"], "list");

    let lines = format!("{}\tfetched/a\n", world.source_url("2024/a"));
    world.put_destination("urls/one.txt", "text/plain", lines.into()).await;
    let mut request = group(json!({ "task_type": "URL_LIST" }));
    request["src_node"] = json!({
        "cloud_type": "URLSource", "list_file": { "obs_bucket": "archive", "list_file_key": "urls/" },
    });
    let id = world.group_created(&request).await;
    let done = world.group_reaches(&id, 6).await;
    assert_eq!(
        (&done["task_type"], &done["src_node"]["cloud_type"]),
        (&json!("URL_LIST"), &json!("URLSOURCE"))
    );
    assert_eq!(world.destination_object("fetched/a").await.unwrap(), b"the photo 2024/a");
}

#[tokio::test]
async fn a_creation_that_fails_tells_why_and_can_be_tried_again_without_keys() {
    let (_emulator, world) = World::start(config(json!({ "limits": { "groupListFiles": 1 } }))).await;
    let failure = async |request: Value| {
        let id = world.group_created(&request).await;
        let failed = world.group_reaches(&id, 4).await;
        assert!(world.members(&id).await.is_empty());
        (id, failed["error_reason"]["error_code"].as_str().unwrap().to_owned())
    };
    let (missing, code) = failure(group(json!({ "src_node": { "bucket": "nowhere" } }))).await;
    assert_eq!(code, "TRF.0155");
    assert_eq!(failure(group(json!({ "src_node": { "sk": "wrong" } }))).await.1, "TRF.0151");
    assert_eq!(failure(group(json!({ "src_node": { "object_key": ["x/"] } }))).await.1, "TRF.0012");
    let lists = |folder: &str| {
        let mut request = group(json!({ "task_type": "LIST" }));
        request["src_node"]["object_key"] = Value::Null;
        request["src_node"]["list_file"] = json!({ "obs_bucket": "archive", "list_file_key": folder });
        request
    };
    let (empty, code) = failure(lists("lists/")).await;
    assert_eq!(code, "S3M.1042");
    for key in ["many/1.txt", "many/2.txt"] {
        world.put_destination(key, "text/plain", b"2024/a\n".to_vec()).await;
    }
    assert_eq!(failure(lists("many/")).await.1, "S3M.1045");

    world.group_act(&missing, "start", Some(&keys(json!({})))).await.expect_refusal(400, "OMS.1039");
    world.group_act(&missing, "stop", None).await.expect_refusal(400, "OMS.1038");
    let again = json!({ "migrate_failed_object": true });
    world.group_act(&missing, "retry", Some(&again)).await.expect_refusal(400, "OMS.0167");
    assert_eq!(world.group_act(&missing, "retry", None).await.status, 200);
    assert_eq!(world.group_reaches(&missing, 4).await["error_reason"]["error_code"], "TRF.0155");
    world.make_bucket(&world.source, "SOURCEKEY", SOURCE_SECRET, "nowhere").await;
    world.put_destination("lists/1.txt", "text/plain", b"2024/a\n".to_vec()).await;
    assert_eq!(world.group_act(&empty, "retry", None).await.status, 200);
    let done = world.group_reaches(&empty, 6).await;
    assert_eq!(done["error_reason"], Value::Null);
    assert_eq!(done["success_num"], 1);
}

#[tokio::test]
async fn a_stop_while_tasks_are_created_can_be_allowed_as_the_reference_says() {
    let behaviour = json!({ "groupCreationMs": 3_600_000, "groupStopWhileCreating": true });
    let (emulator, world) = World::start(config(json!({ "behaviour": behaviour }))).await;
    let id = world.group_created(&group(json!({}))).await;
    world.group_reaches(&id, 1).await;
    assert_eq!(world.group_act(&id, "stop", None).await.status, 200);
    world.group_reaches(&id, 3).await;
    // The look that was under way when the group was stopped makes no tasks.
    emulator.clock().advance(Duration::from_hours(1));
    assert_eq!(world.group_act(&id, "start", Some(&keys(json!({})))).await.status, 200);
    world.group_reaches(&id, 1).await;
    assert!(world.members(&id).await.is_empty());
    emulator.clock().advance(Duration::from_hours(1));
    world.group_reaches(&id, 6).await;
    assert_eq!(world.members(&id).await.len(), 1);
}

#[tokio::test]
async fn a_stop_pauses_all_tasks_and_a_start_goes_on_with_new_keys() {
    let changes = json!({
        "behaviour": { "minimumRunMs": 3_600_000, "groupTaskObjects": 1, "pauseMs": 2000, "staleInProgressMs": 60_000 },
        "limits": { "runningTasks": 1 },
    });
    let (emulator, world) = World::start(config(changes)).await;
    let id = world.group_created(&group(json!({}))).await;
    world.group_reaches(&id, 2).await;
    let begun = Instant::now();
    let running = async || world.members(&id).await.iter().filter(|task| task["status"] == 2).count();
    while running().await == 0 {
        assert!(begun.elapsed() < DEADLINE, "no task runs");
    }
    assert_eq!(world.members(&id).await.len(), 3);
    world.delete_group(&id).await.expect_refusal(400, "OMS.1047");
    world.group_act(&id, "start", Some(&keys(json!({})))).await.expect_refusal(400, "OMS.1039");
    world.group_act(&id, "retry", Some(&keys(json!({})))).await.expect_refusal(400, "OMS.1040");

    assert_eq!(world.group_act(&id, "stop", None).await.status, 200);
    assert_eq!(world.show_group(&id).await["status"], 7);
    world.group_act(&id, "stop", None).await.expect_refusal(400, "OMS.1038");
    world.delete_group(&id).await.expect_refusal(400, "OMS.1047");
    let paused = world.group_reaches(&id, 3).await;
    world.members_reach(&id, 3).await;
    world.delete_group(&id).await.expect_refusal(400, "OMS.0063");
    world.group_act(&id, "retry", Some(&keys(json!({})))).await.expect_refusal(400, "OMS.1040");
    assert!(paused["total_time"].as_u64().is_some());

    for (body, code) in [
        (json!({}), "OMS.0064"),
        (json!({ "dst_ak": "DESTINATIONKEY", "dst_sk": DESTINATION_SECRET }), "OMS.0057"),
        (keys(json!({ "dst_sk": "wrong" })), "OMS.0189"),
        (keys(json!({ "src_ak": "" })), "OMS.0064"),
    ] {
        world.group_act(&id, "start", Some(&body)).await.expect_refusal(400, code);
    }
    assert_eq!(world.group_act(&id, "start", Some(&keys(json!({})))).await.status, 200);
    let status = world.show_group(&id).await["status"].as_u64().unwrap();
    assert!([0, 2].contains(&status), "{status}");
    let begun = Instant::now();
    while world.show_group(&id).await["status"] != 6 {
        assert!(begun.elapsed() < DEADLINE, "{}", world.show_group(&id).await);
        emulator.clock().advance(Duration::from_hours(1));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let done = world.show_group(&id).await;
    assert_eq!(numbers(&done, &["total_num", "fail_num"]), [3, 0]);
    assert!(world.destination_object("2025/c").await.is_some());
}

#[tokio::test]
async fn a_group_with_a_failed_task_fails_and_its_failed_objects_can_be_copied_again() {
    let (_emulator, world) = World::start(config(json!({}))).await;
    // With this prefix the shorter keys fit into 1,024 bytes and the longer one does not.
    world.put_source("2025/a-longer-name", b"too long".to_vec()).await;
    let request = |recording: bool| {
        group(json!({
            "src_node": { "object_key": ["2024/", "2025/"] }, "dst_node": { "save_prefix": "p".repeat(1010) },
            "enable_failed_object_recording": recording,
        }))
    };
    let id = world.group_created(&request(true)).await;
    let failed = world.group_reaches(&id, 5).await;
    assert_eq!(failed["error_reason"], Value::Null);
    assert_eq!(numbers(&failed, &["total_num", "success_num", "fail_num"]), [4, 3, 1]);
    let folder = format!("oms/task_group/{id}/failed_object_lists/");
    assert_eq!(
        failed["failed_object_record"],
        json!({ "result": true, "list_file_key": folder, "error_code": null })
    );
    let members = world.members(&id).await;
    let broken = members.iter().find(|task| task["status"] == 4).unwrap();
    let list = broken["failed_object_record"]["list_file_key"].as_str().unwrap();
    assert!(list.starts_with(&format!("{folder}{}/", broken["name"].as_str().unwrap())), "{list}");
    let listed = String::from_utf8(world.destination_object(list).await.unwrap()).unwrap();
    assert!(listed.contains("a-longer-name"), "{listed}");

    world.group_act(&id, "start", Some(&keys(json!({})))).await.expect_refusal(400, "OMS.1039");
    world
        .group_act(&id, "update", Some(&json!({ "bandwidth_policy": [] })))
        .await
        .expect_refusal(400, "OMS.1036");
    let started =
        |tasks: &[Value]| tasks.iter().map(|task| task["start_time"].as_u64().unwrap()).collect::<Vec<_>>();
    let before = started(&members);
    let only_failed = keys(json!({ "migrate_failed_object": true }));
    assert_eq!(world.group_act(&id, "retry", Some(&only_failed)).await.status, 200);
    assert_ne!(world.show_group(&id).await["status"], 4);
    let again = world.group_reaches(&id, 5).await;
    assert_eq!(numbers(&again, &["total_num", "success_num", "fail_num"]), [4, 3, 1]);
    let after = started(&world.members(&id).await);
    assert_eq!(before.iter().zip(&after).filter(|(before, after)| before != after).count(), 1);

    assert_eq!(world.group_act(&id, "retry", Some(&keys(json!({})))).await.status, 200);
    let whole = world.group_reaches(&id, 5).await;
    assert_eq!(numbers(&whole, &["total_num", "success_num", "skip_num", "fail_num"]), [4, 0, 3, 1]);

    let id = world.group_created(&request(false)).await;
    let failed = world.group_reaches(&id, 5).await;
    assert_eq!(
        failed["failed_object_record"],
        json!({ "result": false, "list_file_key": "", "error_code": "S3M.0301" })
    );
    world.group_act(&id, "retry", Some(&only_failed)).await.expect_refusal(400, "S3M.0301");
    assert_eq!(world.delete_group(&id).await.status, 200);
    world.gone(&id).await;
}

#[tokio::test]
async fn bandwidth_reaches_the_tasks_of_a_group_and_a_batch_update_too() {
    let (_emulator, world) = World::start(config(lasting())).await;
    let window = |mib: u64| json!([{ "start": "08:00", "end": "20:00", "max_bandwidth": mib * 1_048_576 }]);
    let id = world.group_created(&group(json!({ "bandwidth_policy": window(1) }))).await;
    world.members_reach(&id, 2).await;
    assert_eq!(world.members(&id).await[0]["bandwidth_policy"], window(1));
    let set = async |policy: Value| {
        world.group_act(&id, "update", Some(&json!({ "bandwidth_policy": policy }))).await
    };
    assert_eq!(set(window(2)).await.status, 200);
    assert_eq!(world.show_group(&id).await["bandwidth_policy"], window(2));
    assert_eq!(world.members(&id).await[0]["bandwidth_policy"], window(2));
    set(window(201)).await.expect_refusal(400, "OMS.0084");
    set(Value::Null).await.expect_refusal(400, "OMS.0064");
    let batch = json!({ "group_id": id, "bandwidth_policy": window(3) });
    assert_eq!(world.tasks(Method::POST, "/batch-update", Some(&batch)).await.status, 200);
    assert_eq!(world.members(&id).await[0]["bandwidth_policy"], window(3));
}
