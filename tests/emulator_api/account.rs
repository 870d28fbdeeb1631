//! What belongs to the account beside buckets: topics of SMN that are told of an end, keys of KMS.

use oms_operator::emulator::server::Options;
use reqwest::Method;
use serde_json::{Value, json};

use crate::world::{PROJECT, World, config, holds_secret, task};

const TOPIC: &str = "urn:smn:cn-north-4:2c0689c860ad4728a497c91ec0844383:migrations";
const KEY: &str = "0d0466b0-e727-4d9c-b35d-f84bb474a37f";

fn notifying(changes: Value) -> Value {
    let mut smn = json!({ "topic_urn": TOPIC, "trigger_conditions": ["SUCCESS", "FAILURE"] });
    for (name, value) in changes.as_object().unwrap() {
        smn[name] = value.clone();
    }
    task(json!({ "smn_config": smn }))
}

async fn notifications(world: &World, query: &str) -> Vec<Value> {
    let body = world.admin(Method::GET, &format!("/notifications{query}"), None).await.expect_ok();
    body["notifications"].as_array().unwrap().clone()
}

#[tokio::test]
async fn the_topic_hears_of_an_end_that_it_was_to_hear_of() {
    let (_emulator, world) = World::start(config(json!({}))).await;
    let told =
        world.created(&notifying(json!({ "language": "zh-cn", "message_template_name": "oms" }))).await;
    let shown = world.reach(told, 5).await;
    assert_eq!(
        shown["smn_info"],
        json!({ "notify_result": true, "notify_error_message": "", "topic_name": "migrations" })
    );
    let untold = world.created(&notifying(json!({ "trigger_conditions": ["FAILURE"] }))).await;
    assert_eq!(world.reach(untold, 5).await["smn_info"], Value::Null);
    let mut failing = notifying(json!({ "trigger_conditions": ["FAILURE"] }));
    failing["src_node"]["sk"] = json!("wrong");
    let failed = world.created(&failing).await;
    assert_eq!(world.reach(failed, 4).await["smn_info"]["notify_result"], true);

    let entries = notifications(&world, "").await;
    assert_eq!(entries.len(), 2, "{entries:#?}");
    let entry = &entries[0];
    for (member, value) in [
        ("taskId", json!(told.to_string())),
        ("groupId", Value::Null),
        ("project", json!(PROJECT)),
        ("topicUrn", json!(TOPIC)),
        ("trigger", json!("SUCCESS")),
        ("language", json!("zh-cn")),
        ("template", json!("oms")),
        ("error", Value::Null),
    ] {
        assert_eq!(entry[member], value, "{member}");
    }
    assert!(entry["subject"].as_str().unwrap().contains("成功"), "{entry}");
    let variables = entry["variables"].as_object().unwrap();
    let names: Vec<_> = variables.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "Average_Speed",
            "Destination_Bucket",
            "Failed_object_list_path",
            "List_File_Bucket",
            "List_File_Key",
            "Skip_object_list_path",
            "Source_Bucket",
            "Start_Time",
            "Success_object_list_path",
            "Task_Name",
            "Task_Status",
            "Total_Time_Used",
            "Transferred_Data",
        ]
    );
    assert_eq!((&variables["Source_Bucket"], &variables["Task_Name"]), (&json!("photos"), &shown["name"]));
    assert_eq!(variables["Transferred_Data"], format!("{} B", shown["real_size"]));

    let entry = &entries[1];
    assert_eq!((&entry["trigger"], &entry["language"]), (&json!("FAILURE"), &json!("en-us")));
    assert!(entry["subject"].as_str().unwrap().starts_with("OMS migration task failed"), "{entry}");
    assert!(entries.iter().all(|entry| !holds_secret(&entry.to_string())));

    assert_eq!(notifications(&world, &format!("?task={failed}")).await.len(), 1);
    assert!(notifications(&world, "?topic=urn:smn:other").await.is_empty());
    assert_eq!(world.admin(Method::GET, "/notifications?color=red", None).await.status, 400);
    assert_eq!(world.admin(Method::DELETE, "/notifications", None).await.status, 204);
    assert!(notifications(&world, "").await.is_empty());

    // A task that starts again has ended no more.
    assert_eq!(world.start_task(failed, json!({})).await.status, 200);
    assert_eq!(world.reach(failed, 5).await["smn_info"], Value::Null, "success was not to be told");
}

#[tokio::test]
async fn topics_that_cannot_be_used_are_refused_or_told_at_the_end() {
    let topic = |name: &str| format!("urn:smn:cn-north-4:p:{name}");
    let topics = json!([
        { "urn": TOPIC },
        { "urn": topic("closed"), "authorized": false },
        { "urn": topic("broken"), "deliveryError": "S3M.0156" },
    ]);
    let (_emulator, world) = World::start(config(json!({ "smnTopics": topics }))).await;
    for (urn, code) in [
        ("urn:smn:cn-south-1:p:migrations".to_owned(), "OMS.0168"),
        (topic("unknown"), "OMS.0169"),
        (topic("closed"), "OMS.0158"),
    ] {
        world.create(&notifying(json!({ "topic_urn": urn }))).await.expect_refusal(400, code);
    }
    world.reach(world.created(&notifying(json!({}))).await, 5).await;
    let broken = world.created(&notifying(json!({ "topic_urn": topic("broken") }))).await;
    let shown = world.reach(broken, 5).await;
    assert_eq!(
        shown["smn_info"],
        json!({ "notify_result": false, "notify_error_message": "S3M.0156", "topic_name": "broken" })
    );
    let entries = notifications(&world, &format!("?task={broken}")).await;
    assert_eq!(entries[0]["error"], "S3M.0156");
}

#[tokio::test]
async fn notifications_outlive_the_process_with_a_state_folder() {
    let folder = tempfile::tempdir().unwrap();
    let options = || Options { state: Some(folder.path().to_owned()), ..Options::local(config(json!({}))) };
    let (emulator, world) = World::start_with(options()).await;
    let id = world.created(&notifying(json!({}))).await;
    world.reach(id, 5).await;
    let before = notifications(&world, "").await;
    assert_eq!(before.len(), 1);
    emulator.shutdown().await;
    let emulator = oms_operator::emulator::server::Emulator::start(options()).await.unwrap();
    let world = World::at(&emulator.endpoints().to_json());
    assert_eq!(notifications(&world, "").await, before);
    assert_eq!(world.show(id).await["smn_info"]["notify_result"], true);
    world.admin(Method::POST, "/reset", None).await;
    assert!(notifications(&world, "").await.is_empty());
}

#[tokio::test]
async fn kms_keys_are_checked_where_keys_are_configured() {
    let id = |digit: char| KEY.replace('0', &digit.to_string());
    let keys = json!([
        { "id": KEY },
        { "id": id('1'), "enabled": false },
        { "id": id('2'), "algorithm": "RSA_2048" },
        { "id": id('3'), "permitted": false },
        { "id": id('4'), "algorithm": "SM4" },
    ]);
    let (_emulator, world) = World::start(config(json!({ "kmsKeys": keys }))).await;
    let kms = |id: &str| json!({ "crypto_type": "KMS", "kms_key_id": id });
    for (id, status, code) in [
        (id('9'), 403, "OMS.0212"),
        (id('1'), 403, "OMS.0211"),
        (id('2'), 400, "OMS.0217"),
        (id('3'), 403, "OMS.0214"),
        (String::new(), 403, "OMS.0212"),
        ("x".repeat(37), 400, "OMS.0064"),
    ] {
        for node in ["src_node", "dst_node"] {
            world.create(&task(json!({ node: kms(&id) }))).await.expect_refusal(status, code);
        }
        let mut cdn = kms(&id);
        for (name, value) in
            [("domain", "cdn.example"), ("protocol", "https"), ("authentication_type", "NONE")]
        {
            cdn[name] = json!(value);
        }
        world.create(&task(json!({ "source_cdn": cdn }))).await.expect_refusal(status, code);
    }
    let strange = task(json!({ "src_node": { "crypto_type": "AES" } }));
    world.create(&strange).await.expect_refusal(400, "OMS.0064");
    // Of no use, so of no matter.
    world.created(&task(json!({ "src_node": { "crypto_type": "DEFAULT", "kms_key_id": id('9') } }))).await;

    let mut failing = task(json!({ "src_node": kms(KEY), "dst_node": kms(&id('4')) }));
    failing["src_node"]["sk"] = json!("wrong");
    let failed = world.created(&failing).await;
    world.reach(failed, 4).await;
    for name in ["src", "dst", "source_cdn"] {
        let changes = json!({
            format!("{name}_crypto_type"): "KMS", format!("{name}_kms_key_id"): id('1'),
        });
        world.start_task(failed, changes).await.expect_refusal(403, "OMS.0211");
    }
    let changes = json!({ "src_crypto_type": "KMS", "src_kms_key_id": KEY });
    assert_eq!(world.start_task(failed, changes).await.status, 200);
    world.reach(failed, 5).await;
}

#[tokio::test]
async fn without_configured_keys_every_kms_key_will_do() {
    let (_emulator, world) = World::start(config(json!({}))).await;
    let kms = json!({ "crypto_type": "KMS", "kms_key_id": KEY });
    let id = world.created(&task(json!({ "src_node": kms, "dst_node": kms }))).await;
    let shown = world.reach(id, 5).await;
    assert!(!shown.to_string().contains(KEY), "reads do not tell it: {shown}");
}
