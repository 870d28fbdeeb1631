//! How the service really behaves: each peculiarity that was seen live is there unless it is switched off, and each that
//! nobody has seen is not there unless it is asked for.

use std::{path::Path, time::Duration};

use oms_operator::emulator::server::{Emulator, Options};
use reqwest::Method;
use serde_json::{Value, json};

use crate::world::{
    Answer, DEADLINE, DESTINATION_SECRET, PROJECT, PROJECT_SECRET, SOURCE_SECRET, World, config,
    holds_secret, merge, task,
};

/// Tasks that do not end by themselves within a test, with these behaviours.
fn lasting(behaviour: Value) -> Value {
    let mut changes = json!({ "behaviour": { "minimumRunMs": 3_600_000 } });
    merge(&mut changes["behaviour"], behaviour);
    changes
}

async fn start(changes: Value) -> (Emulator, World) {
    World::start(config(changes)).await
}

async fn behaving(behaviour: Value) -> (Emulator, World) {
    start(json!({ "behaviour": behaviour })).await
}

async fn list(world: &World, query: &str) -> Vec<Value> {
    let page = world.tasks(Method::GET, query, None).await.expect_ok();
    page["tasks"].as_array().unwrap().clone()
}

async fn group(world: &World) -> (Answer, Value) {
    let mut body = task(json!({ "task_type": "PREFIX" }));
    body["dst_node"]["cloud_type"] = json!("HEC");
    let path = format!("/v2/{PROJECT}/taskgroups");
    let created = world.call(Method::POST, &path, Some(&body)).await;
    let id = created.body["group_id"].as_str().unwrap().to_owned();
    let shown = world.get(&format!("{path}/{id}")).await.expect_ok();
    (created, shown)
}

#[tokio::test]
async fn a_delete_soon_after_a_stop_is_refused_for_a_task_that_still_runs() {
    for (stale, refused) in [(60_000, true), (0, false)] {
        let (emulator, world) = start(lasting(json!({ "staleInProgressMs": stale }))).await;
        let id = world.created(&task(json!({}))).await;
        world.reach(id, 2).await;
        world.stop(id).await;
        world.reach(id, 3).await;
        if refused {
            world.delete(id).await.expect_refusal(400, "OMS.0063");
            assert_eq!(world.status(id).await, 3, "which is not true");
            emulator.clock().advance(Duration::from_mins(1));
        }
        assert_eq!(world.delete(id).await.status, 200);
    }
}

#[tokio::test]
async fn an_unknown_task_is_a_bad_request() {
    for (behaviour, status) in [(json!({}), 400), (json!({ "notFoundStatus": 404 }), 404)] {
        let (_emulator, world) = behaving(behaviour).await;
        world.tasks(Method::GET, "/1", None).await.expect_refusal(status, "OMS.1009");
        world.delete(1).await.expect_refusal(status, "OMS.1009");
    }
}

#[tokio::test]
async fn a_waiting_task_cannot_be_stopped_unless_that_is_asked_for() {
    let queue = json!({ "limits": { "runningTasks": 0 } });
    let (_emulator, world) = start(queue.clone()).await;
    let id = world.created(&task(json!({}))).await;
    world.stop(id).await.expect_refusal(400, "OMS.0066");
    assert_eq!(world.status(id).await, 1);

    let mut changes = queue;
    merge(&mut changes, json!({ "behaviour": { "stopWaitingTasks": true } }));
    let (_emulator, world) = start(changes).await;
    let id = world.created(&task(json!({}))).await;
    assert_eq!(world.stop(id).await.status, 200);
    assert_eq!(world.status(id).await, 3);
    assert_eq!(world.start_task(id, json!({})).await.status, 200);
    assert_eq!(world.status(id).await, 1);
}

#[tokio::test]
async fn a_task_may_complete_while_it_is_being_stopped() {
    let (emulator, world) = start(lasting(json!({ "stopsComeTooLate": true }))).await;
    let id = world.created(&task(json!({}))).await;
    world.reach(id, 2).await;
    assert_eq!(world.stop(id).await.status, 200);
    assert_eq!(world.status(id).await, 7);
    emulator.clock().advance(Duration::from_hours(1));
    assert_eq!(world.reach(id, 5).await["successful_num"], 3);
    world.stop(id).await.expect_refusal(400, "OMS.0070");

    let (emulator, world) = start(lasting(json!({}))).await;
    let id = world.created(&task(json!({}))).await;
    world.reach(id, 2).await;
    assert_eq!(world.stop(id).await.status, 200);
    emulator.clock().advance(Duration::from_hours(1));
    world.reach(id, 3).await;
}

/// Everything in a folder, as text.
fn contents(folder: &Path) -> String {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .map(|path| {
            if path.is_dir() {
                contents(&path)
            } else {
                String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned()
            }
        })
        .collect()
}

#[tokio::test]
async fn the_keys_of_a_task_are_wiped_after_thirty_days_in_the_queue() {
    let folder = tempfile::tempdir().unwrap();
    let options = || Options {
        state: Some(folder.path().to_owned()),
        ..Options::local(config(json!({ "limits": { "runningTasks": 0 } })))
    };
    let (emulator, world) = World::start_with(options()).await;
    let id = world.created(&task(json!({}))).await;
    assert!(contents(folder.path()).contains(SOURCE_SECRET), "a task in the queue keeps its keys");
    emulator.clock().advance(Duration::from_hours(30 * 24 - 1));
    assert_eq!(world.status(id).await, 1);
    emulator.clock().advance(Duration::from_hours(1));
    let failed = world.reach(id, 4).await;
    assert_eq!(failed["error_reason"]["error_code"], "TRF.0003");
    emulator.shutdown().await;
    // A start writes down afresh what is still known.
    let emulator = Emulator::start(options()).await.unwrap();
    emulator.shutdown().await;
    assert!(contents(folder.path()).contains(&id.to_string()));
    assert!(!holds_secret(&contents(folder.path())));

    // It can be started again, with keys.
    let (_emulator, world) = start(json!({ "limits": { "waitingDays": 0 } })).await;
    let id = world.created(&task(json!({}))).await;
    world.reach(id, 4).await;
    world
        .tasks(Method::POST, &format!("/{id}/start"), Some(&json!({})))
        .await
        .expect_refusal(400, "OMS.0064");
    assert_eq!(world.start_task(id, json!({})).await.status, 200);
}

#[tokio::test]
async fn a_group_can_be_stuck_while_it_creates_its_tasks() {
    let stuck = json!({ "groupCreationMs": 86_400_000_u64 });
    for (stop_allowed, expected) in [(false, 400), (true, 200)] {
        let mut behaviour = stuck.clone();
        behaviour["groupStopWhileCreating"] = json!(stop_allowed);
        let (emulator, world) = behaving(behaviour).await;
        let (created, _) = group(&world).await;
        let path = format!("/v2/{PROJECT}/taskgroups/{}", created.body["group_id"].as_str().unwrap());
        let stop = format!("{path}/stop");
        let creating = async { while world.get(&path).await.expect_ok()["status"] != 1 {} };
        tokio::time::timeout(DEADLINE, creating).await.unwrap();
        emulator.clock().advance(Duration::from_hours(23));
        assert_eq!(world.get(&path).await.expect_ok()["status"], 1);
        world.call(Method::DELETE, &path, None).await.expect_refusal(400, "OMS.1047");
        assert_eq!(world.call(Method::PUT, &stop, None).await.status, expected);
    }
}

#[tokio::test]
async fn the_numbers_of_tasks_of_a_group_are_null() {
    for shown in [false, true] {
        let (_emulator, world) =
            behaving(json!({ "groupTaskNumbers": shown, "groupCreationMs": 3_600_000 })).await;
        let (_, group) = group(&world).await;
        assert_eq!(group["total_task_num"].is_null(), !shown, "{group}");
    }
}

#[tokio::test]
async fn throttling_has_the_body_of_the_gateway() {
    let limits = json!({ "limits": { "gateway": { "requests": 1, "minutes": 5 } } });
    let (emulator, world) = start(limits).await;
    assert_eq!(world.tasks(Method::GET, "", None).await.status, 200);
    let throttled = world.tasks(Method::GET, "", None).await;
    throttled.expect_refusal(429, "APIGW.0308");
    let text = "The throttling threshold has been reached: policy user over ratelimit,limit:1,time:5 minute";
    assert_eq!(throttled.body["error_msg"], text);
    assert_eq!(throttled.body["request_id"].as_str().unwrap().len(), 32);
    emulator.clock().advance(Duration::from_mins(5));
    assert_eq!(world.tasks(Method::GET, "", None).await.status, 200);
}

#[tokio::test]
async fn a_bad_description_is_refused_in_the_way_that_is_configured() {
    let bad = task(json!({ "description": "a -> b" }));
    for (behaviour, code, detail) in [
        (json!({}), "OMS.0064", json!("request parameter [description] invalid.")),
        (json!({ "descriptionCode": "OMS.0078" }), "OMS.0078", Value::Null),
        (json!({ "errorDetail": false }), "OMS.0064", Value::Null),
    ] {
        let (_emulator, world) = behaving(behaviour).await;
        let refused = world.create(&bad).await;
        refused.expect_refusal(400, code);
        assert_eq!(refused.body["error_detail"], detail);
    }
}

#[tokio::test]
async fn a_batch_update_needs_a_bandwidth_policy_unless_that_is_configured() {
    let window = json!({ "start": "08:00", "end": "20:00", "max_bandwidth": 52_428_800 });
    for (required, expected) in [(true, 400), (false, 200)] {
        let (_emulator, world) = start(json!({
            "limits": { "runningTasks": 0 }, "behaviour": { "batchPolicyRequired": required },
        }))
        .await;
        let id = world.created(&task(json!({ "bandwidth_policy": [window] }))).await;
        let update = json!({ "ids": [id], "task_priority": "HIGH" });
        let answer = world.tasks(Method::POST, "/batch-update", Some(&update)).await;
        assert_eq!(answer.status, expected, "{}", answer.text);
        let shown = world.show(id).await;
        assert_eq!(shown["bandwidth_policy"], json!([window]), "windows stay as they are");
        assert_eq!(shown["task_priority"], if required { "MEDIUM" } else { "HIGH" });
    }
}

#[tokio::test]
async fn the_agreement_is_asked_for_with_one_of_three_codes() {
    for (behaviour, code) in [
        (json!({}), "OMS.0092"),
        (json!({ "agreementCode": "OMS.1010" }), "OMS.1010"),
        (json!({ "agreementCode": "S3M.0096" }), "S3M.0096"),
    ] {
        let mut behaviour = behaviour;
        behaviour["privacyAgreementAccepted"] = json!(false);
        let (_emulator, world) = behaving(behaviour).await;
        world.create(&task(json!({}))).await.expect_refusal(400, code);
    }
}

#[tokio::test]
async fn a_cdn_can_be_shown_without_its_authentication() {
    let fetched = task(json!({
        "source_cdn": { "domain": "cdn.example", "protocol": "https", "authentication_type": "NONE" },
    }));
    let (_emulator, world) = start(json!({ "limits": { "runningTasks": 0 } })).await;
    let shown = world.show(world.created(&fetched).await).await;
    assert_eq!(shown["source_cdn"]["authentication_type"], "NONE");
    let hidden = json!({
        "limits": { "runningTasks": 0 }, "behaviour": { "cdnAuthenticationShown": false },
    });
    // The contract wants it to be there, so this world is not held to it.
    let emulator = Emulator::start(Options::local(config(hidden))).await.unwrap();
    let world = World::at(&emulator.endpoints().to_json());
    world.make_bucket(&world.destination, "DESTINATIONKEY", DESTINATION_SECRET, "archive").await;
    let shown = world.show(world.created(&fetched).await).await;
    assert_eq!(shown["source_cdn"], json!({ "domain": "cdn.example", "protocol": "https" }));
}

#[tokio::test]
async fn a_new_task_can_read_as_initialising_and_a_repeated_one_as_retrying() {
    let (emulator, world) = behaving(json!({ "initialisingMs": 60_000, "taskStartDelayMs": 120_000 })).await;
    let id = world.created(&task(json!({}))).await;
    assert_eq!(world.status(id).await, 0);
    emulator.clock().advance(Duration::from_mins(1));
    assert_eq!(world.status(id).await, 1);

    for (retrying, number) in [(true, 6), (false, 2)] {
        // With this prefix the longer key does not fit into 1,024 bytes.
        let (emulator, world) = start(lasting(json!({ "retryingStatus": retrying }))).await;
        world.put_source("2025/a-longer-name", b"too long".to_vec()).await;
        let id = world.created(&task(json!({ "dst_node": { "save_prefix": "p".repeat(1010) } }))).await;
        world.reach(id, 2).await;
        emulator.clock().advance(Duration::from_hours(1));
        world.reach(id, 4).await;
        assert_eq!(world.start_task(id, json!({ "migrate_failed_object": true })).await.status, 200);
        world.reach(id, number).await;
    }
}

#[tokio::test]
async fn members_that_the_reference_does_not_know_are_accepted() {
    let (_emulator, world) = start(json!({})).await;
    world.create(&task(json!({ "enable_kms": false, "thread_num": 5, "anything": {} }))).await.expect_ok();
}

// What nobody has seen.

#[tokio::test]
async fn a_list_can_tell_another_state_than_show_for_a_while() {
    let (_emulator, world) = start(json!({})).await;
    let (done, other) = (world.created(&task(json!({}))).await, world.created(&task(json!({}))).await);
    world.reach(done, 5).await;
    world.reach(other, 5).await;
    let statuses = || async {
        let listed = list(&world, "").await;
        let of = |id| listed.iter().find(|task| task["id"] == id).unwrap()["status"].clone();
        (of(done), of(other))
    };
    assert_eq!(statuses().await, (json!(5), json!(5)));
    world
        .fault(json!({
            "operation": "ListTasks", "kind": "taskStatus", "task": done, "taskStatus": 2, "times": 2,
        }))
        .await;
    for _ in 0..2 {
        assert_eq!(statuses().await, (json!(2), json!(5)));
        assert_eq!(world.status(done).await, 5);
    }
    assert_eq!(statuses().await, (json!(5), json!(5)));
    // A state that nobody knows what to do with, and only for one task.
    world
        .fault(json!({ "operation": "ShowTask", "kind": "taskStatus", "task": done, "taskStatus": 6 }))
        .await;
    assert_eq!((world.status(done).await, world.status(other).await), (6, 5));
    let journal = world.journal("?operation=ShowTask").await;
    assert!(journal.iter().any(|entry| entry["fault"] == "taskStatus"), "{journal:?}");
    let wrong = json!({ "kind": "taskStatus", "taskStatus": 8 });
    assert_eq!(world.admin(Method::POST, "/faults", Some(&wrong)).await.status, 400);
}

#[tokio::test]
async fn a_list_can_be_stale() {
    let (_emulator, world) = start(json!({ "limits": { "runningTasks": 0 } })).await;
    let first = world.created(&task(json!({}))).await;
    world.fault(json!({ "operation": "ListTasks", "kind": "staleList", "times": 2 })).await;
    assert_eq!(list(&world, "?limit=7").await.len(), 1);
    world.delete(first).await;
    let second = world.created(&task(json!({}))).await;
    let stale = list(&world, "?limit=7").await;
    assert_eq!((stale.len(), &stale[0]["id"]), (1, &json!(first)), "a deleted task, and not the new one");
    let fresh = list(&world, "?limit=7").await;
    assert_eq!((fresh.len(), &fresh[0]["id"]), (1, &json!(second)));
}

#[tokio::test]
async fn pages_can_overlap() {
    let (_emulator, world) = start(json!({ "limits": { "runningTasks": 0 } })).await;
    let mut ids = Vec::new();
    for _ in 0..4 {
        ids.insert(0, json!(world.created(&task(json!({}))).await));
    }
    let page = |offset: usize| {
        let world = world.clone();
        async move {
            let page = list(&world, &format!("?limit=2&offset={offset}")).await;
            page.into_iter().map(|task| task["id"].clone()).collect::<Vec<_>>()
        }
    };
    assert_eq!(page(2).await, ids[2..4]);
    world.fault(json!({ "operation": "ListTasks", "kind": "overlappingPages" })).await;
    assert_eq!(page(0).await, ids[0..2]);
    assert_eq!(page(2).await, ids[1..3], "the second task is told twice");
    assert_eq!(page(4).await, ids[3..4]);
}

#[tokio::test]
async fn a_task_can_fail_for_whatever_reason() {
    let (_emulator, world) = start(json!({})).await;
    world
        .fault(
            json!({ "kind": "failTask", "code": "TRF.0056", "message": "The account is frozen.", "nth": 2 }),
        )
        .await;
    world.reach(world.created(&task(json!({}))).await, 5).await;
    let failed = world.reach(world.created(&task(json!({}))).await, 4).await;
    assert_eq!(
        failed["error_reason"],
        json!({ "error_code": "TRF.0056", "error_msg": "The account is frozen." })
    );
    assert_eq!(world.start_task(failed["id"].as_u64().unwrap(), json!({})).await.status, 200);
    let wrong = json!({ "operation": "ShowTask", "kind": "failTask" });
    assert_eq!(world.admin(Method::POST, "/faults", Some(&wrong)).await.status, 400);
}

#[tokio::test]
async fn an_account_that_does_not_stand_well_may_only_look() {
    let mut project = json!({ "id": PROJECT, "region": "cn-north-4", "account": "frozen" });
    project["accessKeys"] = json!([{ "access": "PROJECTKEY", "secret": PROJECT_SECRET }]);
    let (_emulator, world) = start(json!({ "projects": [project] })).await;
    assert_eq!(world.tasks(Method::GET, "", None).await.status, 200);
    let refused = world.create(&task(json!({}))).await;
    refused.expect_refusal(400, "OMS.0202");
    world.delete(1).await.expect_refusal(400, "OMS.0202");
}
