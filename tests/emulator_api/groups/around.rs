//! Lists, faults, secrets, and what a group keeps over a SIGKILL.

use reqwest::Method;
use serde_json::json;

use super::{group, keys, lasting};
use crate::{
    process::{Program, write_config},
    world::{DESTINATION_SECRET, PROJECT, SOURCE_SECRET, World, config, holds_secret},
};

#[tokio::test]
async fn groups_are_listed_in_pages_by_state() {
    let (_emulator, world) = World::start(config(json!({}))).await;
    let mut ids = Vec::new();
    for number in 0..3 {
        ids.push(world.group_created(&group(json!({ "description": number.to_string() }))).await);
    }
    for id in &ids {
        world.group_reaches(id, 6).await;
    }
    let broken = world.group_created(&group(json!({ "src_node": { "bucket": "nowhere" } }))).await;
    world.group_reaches(&broken, 4).await;
    let list = async |query: &str| {
        let body = world.groups(Method::GET, &format!("?{query}"), None).await.expect_ok();
        let shown: Vec<String> = body["taskgroups"]
            .as_array()
            .unwrap()
            .iter()
            .map(|group| group["group_id"].as_str().unwrap().to_owned())
            .collect();
        (body["count"].as_u64().unwrap(), shown)
    };
    assert_eq!(list("limit=2&status=6").await, (3, vec![ids[2].clone(), ids[1].clone()]));
    assert_eq!(list("limit=2&offset=2&status=6").await, (3, vec![ids[0].clone()]));
    assert_eq!(list("status=4").await, (1, vec![broken]));
    assert_eq!(list("").await.0, 4);
    assert_eq!(list("offset=4").await, (4, Vec::new()));
    for (query, code) in [
        ("status=10", "S3M.1035"),
        ("status=done", "S3M.1035"),
        ("limit=0", "OMS.0064"),
        ("limit=101", "OMS.0064"),
        ("offset=-1", "OMS.0064"),
    ] {
        world.groups(Method::GET, &format!("?{query}"), None).await.expect_refusal(400, code);
    }
}

#[tokio::test]
async fn faults_strike_the_group_that_they_name() {
    let (_emulator, world) = World::start(config(json!({}))).await;
    let one = world.group_created(&group(json!({}))).await;
    let other = world.group_created(&group(json!({}))).await;
    world.fault(json!({ "operation": "ShowTaskGroup", "task": one, "kind": "status", "status": 503 })).await;
    let show = async |id: &str| world.groups(Method::GET, &format!("/{id}"), None).await.status;
    assert_eq!((show(&one).await.as_u16(), show(&other).await.as_u16()), (503, 200));
    world.fault(json!({ "operation": "CreateTaskGroup", "kind": "lostReply" })).await;
    let body = group(json!({}));
    world.try_call(Method::POST, &format!("/v2/{PROJECT}/taskgroups"), Some(&body)).await.unwrap_err();
    assert_eq!(world.groups(Method::GET, "", None).await.expect_ok()["count"], 3);
}

#[tokio::test]
async fn secrets_of_groups_are_seen_nowhere() {
    let (emulator, world) = World::start(config(lasting())).await;
    let id = world.group_created(&group(json!({}))).await;
    world.members_reach(&id, 2).await;
    world.group_act(&id, "stop", None).await;
    world.group_reaches(&id, 3).await;
    world.group_act(&id, "start", Some(&keys(json!({})))).await;
    for text in [
        world.show_group(&id).await.to_string(),
        world.groups(Method::GET, "", None).await.text,
        world.admin(Method::GET, "/journal", None).await.text,
        world.admin(Method::GET, "/state", None).await.text,
        format!("{emulator:?}"),
    ] {
        assert!(text.contains(&id) || text.len() > 100);
        assert!(!holds_secret(&text), "{text}");
    }
    let state = world.admin(Method::GET, "/state", None).await.expect_ok();
    assert_eq!(
        (&state["groups"][0]["group_id"], &state["groups"][0]["project"]),
        (&json!(id), &json!(PROJECT))
    );
}

/// The process is killed with one group stuck in its creation, one whose tasks run, one paused, and one deleted.
#[tokio::test]
async fn groups_survive_a_kill_and_a_creation_makes_its_tasks_once() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let behaviour = |creation: u64, run: u64| {
        json!({
            "privacyAgreementAccepted": true, "taskStartDelayMs": 0, "minimumRunMs": run, "pauseMs": 0,
            "staleInProgressMs": 0, "groupStartDelayMs": 0, "groupCreationMs": creation, "groupDeletionMs": 0,
            "groupTaskObjects": 1,
        })
    };
    let file = write_config(folder.path(), behaviour(0, 3_600_000));
    let arguments = ["--config", file.as_str(), "--state", state.to_str().unwrap()];
    let ready = folder.path().join("ready.json");
    let mut program = Program::start(folder.path(), &arguments);
    let world = World::at(&program.ready(folder.path()).await);
    world.make_bucket(&world.source, "SOURCEKEY", SOURCE_SECRET, "photos").await;
    world.make_bucket(&world.destination, "DESTINATIONKEY", DESTINATION_SECRET, "archive").await;
    for key in ["a", "b"] {
        world.put_source(key, key.into()).await;
    }
    let running = world.group_created(&group(json!({}))).await;
    world.members_reach(&running, 2).await;
    let paused = world.group_created(&group(json!({}))).await;
    world.members_reach(&paused, 2).await;
    assert_eq!(world.group_act(&paused, "stop", None).await.status, 200);
    world.group_reaches(&paused, 3).await;
    let deleted = world.group_created(&group(json!({ "src_node": { "bucket": "nowhere" } }))).await;
    world.group_reaches(&deleted, 4).await;
    assert_eq!(world.delete_group(&deleted).await.status, 200);
    world.gone(&deleted).await;
    program.signal("KILL");
    program.end().await;

    // Again, now with a creation that does not end.
    std::fs::remove_file(&ready).unwrap();
    write_config(folder.path(), behaviour(3_600_000, 3_600_000));
    let mut program = Program::start(folder.path(), &arguments);
    let world = World::at(&program.ready(folder.path()).await);
    let creating = world.group_created(&group(json!({}))).await;
    world.group_reaches(&creating, 1).await;
    program.signal("KILL");
    program.end().await;

    std::fs::remove_file(&ready).unwrap();
    write_config(folder.path(), behaviour(0, 0));
    let program = Program::start(folder.path(), &arguments);
    let world = World::at(&program.ready(folder.path()).await);
    world.groups(Method::GET, &format!("/{deleted}"), None).await.expect_refusal(404, "OMS.1009");
    assert_eq!(world.show_group(&paused).await["status"], 3);
    world.group_reaches(&running, 6).await;
    world.group_reaches(&creating, 6).await;
    for id in [&running, &creating, &paused] {
        assert_eq!(world.members(id).await.len(), 2);
    }
    assert_eq!(world.group_act(&paused, "start", Some(&keys(json!({})))).await.status, 200);
    world.group_reaches(&paused, 6).await;
    drop(program);
}
