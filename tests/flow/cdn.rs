//! Objects that come through a CDN in front of the source.

use oms_operator::api::Phase;
use serde_json::{Value, json};

use crate::migration::{Draft, condition, message};
use crate::operator::OperatorFlags;
use crate::world::{Setup, World, eventually};

const DOMAIN: &str = "cdn.example.com";
const KEY: &str = "the-key-of-the-cdn";

/// Every type that signs with a key of its own, and that key.
const KEYED: &[(&str, &str)] = &[
    ("ALIYUN_OSS_A", KEY),
    ("ALIYUN_OSS_B", KEY),
    ("ALIYUN_OSS_C", KEY),
    ("AZURE_SAS_TOKEN", "sv=2022-11-02&se=2999-01-01T00%3A00%3A00Z&sig=c2lnbmF0dXJl"),
    ("TENCENT_COS_A", KEY),
    ("TENCENT_COS_B", KEY),
    ("TENCENT_COS_C", KEY),
    ("TENCENT_COS_D", KEY),
];
const KEYLESS: &[&str] = &["NONE", "QINIU_PRIVATE_AUTHENTICATION", "KSYUN_PRIVATE_AUTHENTICATION"];

fn edge(authentication: &str, key: Option<&str>) -> Value {
    let name = authentication.to_lowercase().replace('_', "-");
    let mut edge = json!({
        "name": name, "domain": format!("{name}.{DOMAIN}"), "store": "source", "bucket": "photos",
        "authenticationType": authentication,
    });
    if let Some(key) = key {
        edge["authenticationKey"] = json!(key);
    }
    edge
}

/// A task of whose source one of the CDNs is in front, with the key in a Secret of its name.
fn through<'w>(world: &'w World, edge: &Value, secret: Option<&str>) -> Draft<'w> {
    let mut cdn = json!({
        "domain": edge["domain"], "protocol": "https", "authenticationType": edge["authenticationType"],
    });
    if let Some(secret) = secret {
        cdn["authenticationKey"] = json!({ "secretRef": { "name": secret } });
    }
    let name = edge["name"].as_str().unwrap();
    world.migration(name).with("/source/cdn", cdn).with("/destination/prefix", format!("{name}/"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn objects_come_through_a_cdn_of_every_documented_type() {
    let keyed = KEYED.iter().map(|(kind, key)| (edge(kind, Some(key)), Some(*key)));
    let edges: Vec<_> = keyed.chain(KEYLESS.iter().map(|kind| (edge(kind, None), None))).collect();
    let cdns: Vec<_> = edges.iter().map(|(edge, _)| edge.clone()).collect();
    let world = Setup::default().configured("embeddedCdns", cdns).start().await;
    world.put_objects(3).await;
    for (edge, key) in &edges {
        let name = edge["name"].as_str().unwrap();
        if let Some(key) = key {
            world.secret(name, &[("authenticationKey", key)]).await;
        }
        through(&world, edge, key.map(|_| name)).apply().await;
    }
    for (edge, _) in &edges {
        let name = edge["name"].as_str().unwrap();
        let done = world.existing(name).wait_phase(Phase::Succeeded).await;
        assert_eq!(done.status.unwrap().progress.unwrap().objects.succeeded, 3, "{name}");
        assert!(world.destination.object("photos-archive", &format!("{name}/00002.txt")).is_some(), "{name}");
    }
}

/// A world with one CDN of Alibaba's type A, whose operator does not make anybody wait for minutes.
fn with_one_cdn() -> (Value, Setup) {
    let edge = edge("ALIYUN_OSS_A", Some(KEY));
    let setup = Setup::default()
        .operated(OperatorFlags::default().scaled(60))
        .configured("embeddedCdns", json!([edge.clone()]));
    (edge, setup)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_domain_that_does_not_answer_or_a_wrong_key_is_told_and_its_correction_is_enough() {
    let (edge, setup) = with_one_cdn();
    let world = setup.start().await;
    world.put_objects(3).await;
    let name = edge["name"].as_str().unwrap();
    world.secret("cdn", &[("authenticationKey", "another-key")]).await;
    let migration = through(&world, &edge, Some("cdn")).apply().await;
    let told = migration.wait_condition("Ready", "False", "RefusedForNow").await;
    let ready = message(&told, "Ready");
    assert!(ready.contains("OMS.0081") && ready.contains("`source.cdn`"), "{ready}");
    assert_eq!(condition(&told, "Stalled"), None, "the key may be corrected");
    world.secret("cdn", &[("authenticationKey", KEY)]).await;
    migration.wait_phase(Phase::Succeeded).await;
    assert_eq!(world.effects("CreateTask").await.len(), 1);

    let mut elsewhere = edge.clone();
    elsewhere["domain"] = json!("nobody.example.com");
    elsewhere["name"] = json!("elsewhere");
    let migration = through(&world, &elsewhere, Some("cdn")).apply().await;
    let told = migration.wait_condition("Ready", "False", "RefusedForNow").await;
    assert!(message(&told, "Ready").contains("`source.cdn`"), "{}", message(&told, "Ready"));
    migration.correct(json!({ "spec": { "source": { "cdn": { "domain": edge["domain"] } } } })).await;
    migration.wait_phase(Phase::Succeeded).await;
    assert!(world.destination.object("photos-archive", &format!("{name}/00000.txt")).is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_that_was_stopped_goes_on_through_the_cdn() {
    let (edge, setup) = with_one_cdn();
    let world = setup.behaving("objectRate", 100.0).start().await;
    world.put_objects(150).await;
    world.secret("cdn", &[("authenticationKey", KEY)]).await;
    let migration = through(&world, &edge, Some("cdn")).apply().await;
    eventually("some objects are copied", async || {
        let tasks = world.remote_tasks().await;
        let copied = tasks.first().and_then(|task| task["successful_num"].as_u64()).unwrap_or_default();
        if copied >= 10 { Ok(()) } else { Err(format!("{copied} copied")) }
    })
    .await;
    migration.suspend(true).await;
    migration.wait_phase(Phase::Stopped).await;
    migration.suspend(false).await;
    migration.wait_phase(Phase::Succeeded).await;
    assert_eq!(world.effects("StartTask").await.len(), 1, "the key went out with the start");
    assert_eq!(world.effects("CreateTask").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cdn_is_tried_before_anything_is_created() {
    let (edge, setup) = with_one_cdn();
    let world = setup.start().await;
    world.put_objects(2).await;
    world.secret("cdn", &[("authenticationKey", "another-key")]).await;
    let named = through(&world, &edge, Some("cdn"))
        .with("/preflight", "Full")
        .with("/type", "object")
        .with("/source/objectKeys", json!(["00000.txt"]));
    let migration = named.apply().await;
    let blocked = migration.wait_condition("Ready", "False", "PreflightFailed").await;
    assert!(message(&blocked, "Ready").contains("`source.cdn`"), "{}", message(&blocked, "Ready"));
    assert_eq!(world.journal("CreateTask").await, Vec::<Value>::new());
    world.secret("cdn", &[("authenticationKey", KEY)]).await;
    let done = migration.wait_phase(Phase::Succeeded).await;
    assert!(
        message(&done, "PreflightPassed").contains("Cdn Passed"),
        "{}",
        message(&done, "PreflightPassed")
    );
    assert!(!world.journal("ShowCdnInfo").await.is_empty());
}
