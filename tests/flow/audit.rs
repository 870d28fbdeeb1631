//! One line for every request that may change something at OMS, as the emulator's journal has them.

use kube::ResourceExt as _;
use kube::api::DeleteParams;
use oms_operator::api::{MigrationTask, Phase, SyncEvent};
use serde_json::{Value, json};

use crate::operator::{Operator, OperatorFlags};
use crate::sync_event::SyncEvents as _;
use crate::world::{OMS_SECRET, PROJECT, Setup, World, eventually};

/// Operations that only look.
const LOOKS: [&str; 4] = ["List", "Show", "Check", "Keystone"];

/// The operator's lines of the audit.
pub(crate) fn lines(operator: &Operator) -> Vec<Value> {
    let log = operator.log();
    let all = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    all.filter(|line| line["target"] == "oms_operator::audit").collect()
}

/// The calls of the journal that are meant to change something.
async fn mutations(world: &World) -> Vec<Value> {
    let mut calls = world.journal("*").await;
    calls.retain(|call| !LOOKS.iter().any(|look| call["operation"].as_str().unwrap().starts_with(look)));
    calls
}

/// What both sides have to say the same of: operation, task, request and outcome. Of a lost reply the operator knows neither
/// the request's ID nor that of what was made.
fn essence_of_call(call: &Value) -> [Value; 4] {
    let lost = call["status"].is_null();
    let makes =
        ["CreateTask", "CreateTaskGroup", "CreateSyncTask"].map(Value::from).contains(&call["operation"]);
    let unknown = |value: &Value, unknown: bool| if unknown { Value::Null } else { value.clone() };
    let outcome = if lost { json!("lostReply") } else { call["outcome"].clone() };
    [
        call["operation"].clone(),
        unknown(&call["task"], lost && makes),
        unknown(&call["requestId"], lost),
        outcome,
    ]
}

fn essence_of_line(line: &Value) -> [Value; 4] {
    let outcome = if line["code"].is_null() { &line["outcome"] } else { &line["code"] };
    [line["operation"].clone(), line["task"].clone(), line["request_id"].clone(), outcome.clone()]
}

/// A refusal for good of the next create.
pub(crate) fn refusal() -> Value {
    json!({
        "operation": "CreateTask", "kind": "status", "status": 400, "code": "OMS.0064",
        "message": "request parameter [description] invalid", "times": 1,
    })
}

async fn wait_no_sync_task(world: &World) {
    eventually("no sync task is at OMS", async || {
        let tasks = world.remote_sync_tasks().await;
        if tasks.is_empty() { Ok(()) } else { Err(format!("{tasks:#?}")) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_audit_has_one_line_for_every_change_that_oms_saw_and_no_other() {
    let world = Setup::default()
        .behaving("objectRate", 1.0)
        .behaving("groupTaskObjects", 10)
        .behaving("groupStartDelayMs", 50)
        .behaving("groupCreationMs", 100)
        .behaving("groupDeletionMs", 100)
        // No level silences it.
        .operated(OperatorFlags { log: "error", ..OperatorFlags::default() })
        .start()
        .await;
    world.put_objects(60).await;
    world.wait_connection("default", "True", "Connected").await;

    // A task: created, stopped, changed, started, changed, deleted.
    let window = json!({ "start": "08:00", "end": "20:00", "maxBandwidth": "50Mi" });
    let photos = world.migration("photos").apply().await;
    photos.wait_condition("Ready", "False", "Running").await;
    photos.suspend(true).await;
    photos.wait_phase(Phase::Stopped).await;
    photos.suspend(false).await;
    photos.wait_condition("Ready", "False", "Running").await;
    photos.patch(json!({ "spec": { "bandwidthPolicy": [window] } })).await;
    eventually("the window is set", async || {
        let set = world.effects("UpdateBandwidthPolicy").await.len();
        if set == 1 { Ok(()) } else { Err(format!("{set}")) }
    })
    .await;
    let made: MigrationTask = photos.get().await;
    photos.delete().await;
    photos.wait_gone().await;
    // One whose create OMS refuses.
    world.fault(refusal()).await;
    let refused = world.migration("refused").apply().await;
    refused.wait_phase(Phase::Failed).await;
    refused.delete().await;
    refused.wait_gone().await;
    // One whose create is carried out and not answered.
    world.fault(json!({ "operation": "CreateTask", "kind": "lostReply", "times": 1 })).await;
    let lost = world.migration("lost").apply().await;
    lost.wait_condition("Ready", "False", "Running").await;
    lost.delete().await;
    lost.wait_gone().await;
    // A group.
    let group = world.group("group").apply().await;
    group.wait_condition("Ready", "False", "Running").await;
    group.suspend(true).await;
    group.wait_phase(Phase::Stopped).await;
    group.delete().await;
    group.wait_gone().await;
    // A sync task, and keys for it.
    let sync = world.sync_task("sync").apply().await;
    sync.wait_phase(Phase::Synchronizing).await;
    let keys: Vec<_> = (0..12).map(|number| format!("{number:05}.txt")).collect();
    world.apply_event("event", "sync", &keys).await;
    world.wait_event_phase("event", Phase::Succeeded).await;
    world.api::<SyncEvent>().delete("event", &DeleteParams::default()).await.unwrap();
    sync.delete().await;
    sync.wait_gone().await;
    wait_no_sync_task(&world).await;

    let (calls, lines) = (mutations(&world).await, lines(&world.operators[0]));
    let seen: Vec<_> = calls.iter().map(essence_of_call).collect();
    let told: Vec<_> = lines.iter().map(essence_of_line).collect();
    assert_eq!(told, seen, "\n{lines:#?}");
    let count = |operation: &str| lines.iter().filter(|line| line["operation"] == operation).count();
    for (operation, times) in [
        ("UpdatePrivacyAgreementRecord", 1),
        ("CreateTask", 3),
        ("StartTask", 1),
        ("UpdateBandwidthPolicy", 1),
        ("CreateTaskGroup", 1),
        ("CreateSyncTask", 1),
        ("CreateSyncEvents", 2),
    ] {
        assert_eq!(count(operation), times, "{operation}: {told:#?}");
    }
    for operation in
        ["StopTask", "DeleteTask", "StopTaskGroup", "DeleteTaskGroup", "StopSyncTask", "DeleteSyncTask"]
    {
        assert!(count(operation) > 0, "{operation}: {told:#?}");
    }
    assert_eq!(lines.iter().filter(|line| line["outcome"] == "lostReply").count(), 1);
    let refused: Vec<_> = lines.iter().filter(|line| line["name"] == "refused").collect();
    assert_eq!((refused.len(), &refused[0]["code"]), (1, &json!("OMS.0064")), "{refused:#?}");
    assert_eq!(refused[0]["outcome"], "invalid", "{refused:#?}");
    tells_who_and_why(&world, &lines, &made);
}

/// Every line names the object, the connection and its Secret; those of `photos` tell its life.
fn tells_who_and_why(world: &World, lines: &[Value], photos: &MigrationTask) {
    for line in lines {
        for (field, value) in [
            ("level", json!("INFO")),
            ("namespace", json!(world.namespace)),
            ("connection", json!("Connection/default")),
            ("credentials", json!("Secret")),
            ("secret", json!(OMS_SECRET)),
            ("endpoint", json!(world.emulator.endpoints().oms.trim_end_matches('/'))),
        ] {
            assert_eq!(line[field], value, "{field} of {line:#}");
        }
        for field in ["uid", "secret_version", "step", "reason", "method"] {
            assert!(line[field].as_str().is_some_and(|text| !text.is_empty()), "{field} of {line:#}");
        }
        assert!(line["path"].as_str().unwrap().starts_with(&format!("/v2/{PROJECT}/")), "{line:#}");
        assert!(line["generation"].is_u64() && line["milliseconds"].is_u64(), "{line:#}");
    }
    let own: Vec<_> = lines.iter().filter(|line| line["name"] == "photos").collect();
    let life: Vec<_> = own
        .iter()
        .map(|line| {
            (line["step"].as_str().unwrap(), line["reason"].as_str().unwrap(), line["generation"].clone())
        })
        .collect();
    let mut steps: Vec<_> = life.iter().map(|(step, ..)| *step).collect();
    // Right after a stop OMS may refuse the deletion for a moment.
    steps.dedup();
    assert_eq!(steps, ["Create", "Stop", "Start", "SetBandwidth", "Stop", "Delete"], "{life:#?}");
    let id = photos.status.as_ref().unwrap().task_id.clone().unwrap();
    for line in &own {
        assert_eq!(line["kind"], "MigrationTask", "{line:#}");
        assert_eq!(line["uid"], json!(photos.uid().unwrap()), "{line:#}");
        assert_eq!(line["task"], json!(id), "{line:#}");
    }
    // The generation is that of the spec that asked for it.
    let generations: Vec<_> = life.iter().map(|(.., generation)| generation.as_i64().unwrap()).collect();
    assert_eq!(generations[..4], [1, 2, 3, 4], "{life:#?}");
    let first = lines.iter().find(|line| line["operation"] == "UpdatePrivacyAgreementRecord").unwrap();
    assert_eq!((&first["kind"], &first["step"]), (&json!("Connection"), &json!("RecordPrivacyAgreement")));
}
