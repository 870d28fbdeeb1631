//! What a group refuses, and how many there may be.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use super::{group, keys, lasting};
use crate::world::{PROJECT, World, config, merge, task};

#[tokio::test]
async fn a_group_that_creates_tasks_can_be_neither_stopped_nor_deleted() {
    let (emulator, world) =
        World::start(config(json!({ "behaviour": { "groupCreationMs": 3_600_000 } }))).await;
    let id = world.group_created(&group(json!({}))).await;
    world.group_reaches(&id, 1).await;
    world.group_act(&id, "stop", None).await.expect_refusal(400, "OMS.1038");
    world.delete_group(&id).await.expect_refusal(400, "OMS.1047");
    world.group_act(&id, "start", Some(&keys(json!({})))).await.expect_refusal(400, "OMS.1039");
    world.group_act(&id, "retry", Some(&keys(json!({})))).await.expect_refusal(400, "OMS.1040");
    let policy =
        json!({ "bandwidth_policy": [{ "start": "00:00", "end": "23:59", "max_bandwidth": 1_048_576 }] });
    assert_eq!(world.group_act(&id, "update", Some(&policy)).await.status, 200);
    assert!(world.members(&id).await.is_empty());
    emulator.clock().advance(Duration::from_hours(1));
    world.group_reaches(&id, 6).await;
    assert_eq!(world.members(&id).await[0]["bandwidth_policy"], policy["bandwidth_policy"]);
}

#[tokio::test]
async fn a_finished_group_can_only_be_looked_at_and_deleted() {
    let changes = json!({ "behaviour": { "groupDeletionMs": 4000 } });
    let (emulator, world) = World::start(config(changes)).await;
    let id = world.group_created(&group(json!({}))).await;
    world.group_reaches(&id, 6).await;
    world.group_act(&id, "stop", None).await.expect_refusal(400, "OMS.1038");
    world.group_act(&id, "start", Some(&keys(json!({})))).await.expect_refusal(400, "OMS.1039");
    world.group_act(&id, "retry", Some(&keys(json!({})))).await.expect_refusal(400, "OMS.1040");
    let policy = json!({ "bandwidth_policy": [] });
    world.group_act(&id, "update", Some(&policy)).await.expect_refusal(400, "OMS.1036");

    let answer = world.delete_group(&id).await;
    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (200, ""));
    assert_eq!(world.show_group(&id).await["status"], 8);
    world.delete_group(&id).await.expect_refusal(400, "OMS.1047");
    world.group_reaches(&id, 9).await;
    world.delete_group(&id).await.expect_refusal(400, "OMS.1047");
    assert_eq!(world.groups(Method::GET, "?status=9", None).await.expect_ok()["count"], 1);
    assert_eq!(world.members(&id).await.len(), 1);
    emulator.clock().advance(Duration::from_secs(4));
    world.gone(&id).await;
    assert!(world.members(&id).await.is_empty());
    for (method, rest) in [(Method::DELETE, ""), (Method::PUT, "/stop"), (Method::PUT, "/retry")] {
        world.groups(method, &format!("/{id}{rest}"), None).await.expect_refusal(404, "OMS.1009");
    }
    for act in ["start", "update"] {
        let body = keys(policy.clone());
        world.group_act(&id, act, Some(&body)).await.expect_refusal(404, "OMS.1009");
    }
}

#[tokio::test]
async fn a_stop_at_rest_can_be_refused_as_for_tasks() {
    let (_emulator, world) =
        World::start(config(json!({ "behaviour": { "groupStopAtRestAsTask": true } }))).await;
    let id = world.group_created(&group(json!({}))).await;
    world.group_reaches(&id, 6).await;
    world.group_act(&id, "stop", None).await.expect_refusal(400, "OMS.0066");
}

#[tokio::test]
async fn what_is_wrong_with_a_group_is_told_at_once() {
    let (_emulator, world) = World::start(config(json!({}))).await;
    for (changes, code) in [
        (json!({ "task_type": "prefix" }), "OMS.0064"),
        (json!({ "description": "a < b" }), "OMS.0064"),
        (json!({ "task_type": "LIST" }), "S3M.0088"),
        (json!({ "src_node": { "cloud_type": "URLSource" } }), "S3M.0095"),
        (json!({ "src_node": { "cloud_type": "Google" } }), "OMS.0079"),
        (json!({ "dst_node": { "region": "cn-north-1" } }), "S3M.0080"),
        (json!({ "dst_node": { "bucket": "nowhere" } }), "OMS.1020"),
        (json!({ "dst_node": { "sk": "wrong" } }), "OMS.0189"),
        (
            json!({ "bandwidth_policy": [{ "start": "20:00", "end": "08:00", "max_bandwidth": 1_048_576 }] }),
            "OMS.0087",
        ),
        (
            json!({ "source_cdn": { "domain": "d", "protocol": "https", "authentication_type": "ALIYUN_OSS_A" } }),
            "OMS.1032",
        ),
    ] {
        world.groups(Method::POST, "", Some(&group(changes))).await.expect_refusal(400, code);
    }
    assert_eq!(
        world.groups(Method::GET, "", None).await.expect_ok(),
        json!({ "count": 0, "taskgroups": [] })
    );
}

#[tokio::test]
async fn a_hundred_groups_a_day_may_be_created_after_the_agreement() {
    let changes =
        json!({ "behaviour": { "privacyAgreementAccepted": false }, "limits": { "groupsPerDay": 2 } });
    let (emulator, world) = World::start(config(changes)).await;
    let create = async || world.groups(Method::POST, "", Some(&group(json!({})))).await;
    create().await.expect_refusal(400, "OMS.0092");
    world.call(Method::POST, &format!("/v2/{PROJECT}/privacy-agreements"), None).await.expect_ok();
    let first = create().await.expect_ok()["group_id"].as_str().unwrap().to_owned();
    create().await.expect_ok();
    world.group_reaches(&first, 6).await;
    world.delete_group(&first).await;
    world.gone(&first).await;
    create().await.expect_refusal(400, "OMS.1037");
    // Tasks are another quota.
    world.created(&task(json!({}))).await;
    emulator.clock().advance(Duration::from_hours(24));
    create().await.expect_ok();
    assert_eq!(config(json!({})).limits.groups_per_day, 100);
}

#[tokio::test]
async fn only_so_many_groups_are_at_work_and_the_others_wait() {
    let mut changes = lasting();
    merge(&mut changes, json!({ "limits": { "runningGroups": 1 } }));
    let (_emulator, world) = World::start(config(changes)).await;
    let first = world.group_created(&group(json!({}))).await;
    world.members_reach(&first, 2).await;
    let second = world.group_created(&group(json!({}))).await;
    let third = world.group_created(&group(json!({}))).await;
    assert_eq!(world.show_group(&second).await["status"], 0);
    world.group_act(&second, "stop", None).await.expect_refusal(400, "OMS.1038");
    assert_eq!(world.delete_group(&second).await.status, 200);
    world.gone(&second).await;
    assert_eq!(world.show_group(&third).await["status"], 0);
    world.group_act(&first, "stop", None).await;
    world.group_reaches(&third, 2).await;
    // Its place is taken, so it waits for one.
    world.group_reaches(&first, 3).await;
    assert_eq!(world.group_act(&first, "start", Some(&keys(json!({})))).await.status, 200);
    assert_eq!(world.show_group(&first).await["status"], 0);
}
