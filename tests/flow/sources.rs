//! Every cloud that OMS copies from, a CDN in front of one, and how OMS is told to keep the keys.

use std::time::Duration;

use oms_operator::api::{MigrationTask, Phase};
use rusty_s3::{Credentials, S3Action as _, UrlStyle};
use serde_json::{Value, json};

use crate::migration::{Draft, Migration, condition, message};
use crate::operator::OperatorFlags;
use crate::world::{CLOUDS, OTHER_REGION, SOURCE_SECRET, Setup, World, eventually};

const KMS_KEY: &str = "0d0466b0-e727-4d9c-b35d-f84bb474a37f";

/// A world whose operator does not make anybody wait for minutes.
fn hurried() -> Setup {
    Setup::default().operated(OperatorFlags::default().scaled(60))
}

/// A task that copies `photos` of a cloud to a prefix of its name.
fn from<'w>(world: &'w World, cloud: &str) -> Draft<'w> {
    let name = cloud.to_lowercase();
    let region = if cloud == "HuaweiCloud" { OTHER_REGION } else { "some-region" };
    let mut draft = world
        .migration(&name)
        .with("/source/cloudType", cloud)
        .with("/source/region", region)
        .with("/destination/prefix", format!("{name}/"));
    match cloud {
        "Tencent" => draft = draft.with("/source/appId", "1250000000"),
        "Azure" => {
            let credentials =
                json!({ "secretRef": { "name": "azure", "keys": { "connectionString": "CONNECTION" } } });
            draft = draft.with("/source/credentials", credentials);
        }
        "Google" => draft = draft.with("/source/credentials/secretRef/name", "google"),
        _ => {}
    }
    draft
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_cloud_with_buckets_can_be_copied_from() {
    let world = Setup::default().every_cloud().start().await;
    world.put_objects(3).await;
    // Account and key of both are those of the store that stands for the clouds.
    let (access, secret) = (&world.source_keys.access, &world.source_keys.secret);
    let connection = format!("DefaultEndpointsProtocol=https;AccountName={access};AccountKey={secret}");
    world.secret("azure", &[("CONNECTION", &connection)]).await;
    let account = json!({ "type": "service_account", "client_email": access, "private_key": secret });
    world.secret("google", &[("jsonAuthFile", &account.to_string())]).await;
    let clouds: Vec<_> = ["AWS"].iter().chain(CLOUDS).copied().collect();
    for cloud in &clouds {
        from(&world, cloud).apply().await;
    }
    for cloud in &clouds {
        let name = cloud.to_lowercase();
        let done = world.existing(&name).wait_phase(Phase::Succeeded).await;
        let status = done.status.unwrap();
        assert_eq!(status.progress.unwrap().objects.succeeded, 3, "{cloud}");
        for number in 0..3 {
            let key = format!("{name}/{number:05}.txt");
            assert!(world.destination.object("photos-archive", &key).is_some(), "{key}");
        }
        let id = status.task_id.unwrap();
        let remote = world.remote_tasks().await;
        let remote = remote.iter().find(|task| task["id"].as_u64() == id.parse().ok()).unwrap();
        assert_eq!(remote["src_node"]["cloud_type"], **cloud);
        let app_id = if *cloud == "Tencent" { "1250000000" } else { "" };
        assert_eq!(remote["src_node"]["app_id"], app_id);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn urls_of_a_list_can_be_copied_from() {
    let world = World::start().await;
    world.put_objects(3).await;
    // Anybody with such a URL may get the object, as of any server.
    let endpoint = world.source.endpoint().parse().unwrap();
    let bucket = rusty_s3::Bucket::new(endpoint, UrlStyle::Path, "photos", "eu-west-1").unwrap();
    let credentials = Credentials::new(&world.source_keys.access, &world.source_keys.secret);
    let lines: Vec<_> = (0..3)
        .map(|number| {
            let key = format!("{number:05}.txt");
            let url = bucket.get_object(Some(&credentials), &key).sign(Duration::from_mins(10));
            format!("{url}\timported/{number}.txt\n")
        })
        .collect();
    let lists = world.destination_bucket("lists");
    lists.create().await.unwrap();
    lists.put("urls.txt", "text/plain", &[], lines.concat().into()).await.unwrap();
    let source = json!({ "cloudType": "URLSource", "listFile": { "bucket": "lists", "key": "urls.txt" } });
    let migration = world.migration("urls").with("/type", "url_list").with("/source", source).apply().await;
    let done = migration.wait_phase(Phase::Succeeded).await;
    assert_eq!(done.status.unwrap().progress.unwrap().objects.succeeded, 3);
    assert!(world.destination.object("photos-archive", "imported/2.txt").is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_of_another_cloud_is_told_with_the_key_that_it_lacks() {
    let world = Setup::default().every_cloud().start().await;
    world.put_objects(1).await;
    for (cloud, key) in [("Azure", "connectionString"), ("Google", "jsonAuthFile")] {
        let migration = from(&world, cloud)
            .with("/source/credentials", json!({ "secretRef": { "name": SOURCE_SECRET } }));
        let told = migration.apply().await.wait_condition("Ready", "False", "SecretKeyMissing").await;
        let ready = message(&told, "Ready");
        assert!(ready.contains(key) && ready.contains("source.credentials.secretRef"), "{ready}");
    }
    assert_eq!(world.journal("CreateTask").await, Vec::<Value>::new());
}

fn cdn(authentication: &str) -> Value {
    json!({
        "domain": "cdn.example.com", "protocol": "https", "authenticationType": authentication,
        "authenticationKey": { "secretRef": { "name": "cdn", "key": "cdnKey" } },
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_key_of_a_cdn_is_missed_by_name_and_looked_for_again() {
    let world = hurried().start().await;
    world.put_objects(1).await;
    let migration = world.migration("photos").with("/source/cdn", cdn("ALIYUN_OSS_A")).apply().await;
    let told = migration.wait_condition("Ready", "False", "SecretNotFound").await;
    let ready = message(&told, "Ready");
    assert!(
        ready.contains("Secret `cdn`") && ready.contains("`source.cdn.authenticationKey.secretRef`"),
        "{ready}"
    );
    assert_eq!(condition(&told, "CredentialsReady"), Some(("False".into(), "SecretNotFound".into())));

    world
        .secret("cdn", &[("authenticationKey", "it is under the default key, which the spec does not name")])
        .await;
    let told = migration.wait_condition("Ready", "False", "SecretKeyMissing").await;
    let ready = message(&told, "Ready");
    assert!(
        ready.contains("`cdnKey`") && ready.contains("`source.cdn.authenticationKey.secretRef.key`"),
        "{ready}"
    );
    assert_eq!(world.journal("CreateTask").await, Vec::<Value>::new(), "nothing is sent without the key");

    world.secret("cdn", &[("cdnKey", "the-key-of-the-cdn")]).await;
    let created = created(&migration).await;
    let observed = created.status.unwrap().observed_credentials;
    let roles: Vec<_> = observed.iter().map(|one| (one.role.as_str(), one.secret_name.as_str())).collect();
    assert_eq!(roles, [("source", SOURCE_SECRET), ("cdn", "cdn"), ("destination", "obs")]);
}

async fn created(migration: &Migration<'_>) -> MigrationTask {
    migration
        .wait("has an ID", |task| task.status.as_ref().is_some_and(|status| status.task_id.is_some()))
        .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_oms_wants_although_nobody_says_so_can_be_added() {
    // OMS's documents do not say whether Tencent's types need a key. Here it asks for one.
    let world = hurried().start().await;
    world.put_objects(1).await;
    world.secret("cdn", &[("cdnKey", "the-key-of-the-cdn")]).await;
    world
        .fault(json!({
            "operation": "CreateTask", "kind": "status", "status": 400, "code": "OMS.1032",
            "message": "The CDN authentication key is missing.",
        }))
        .await;
    let mut keyless = cdn("TENCENT_COS_A");
    keyless.as_object_mut().unwrap().remove("authenticationKey");
    let migration = world.migration("photos").with("/source/cdn", keyless).apply().await;
    let told = migration.wait_condition("Ready", "False", "CredentialsRejected").await;
    let ready = message(&told, "Ready");
    assert!(
        ready.contains("OMS.1032") && ready.contains("`source.cdn.authenticationKey.secretRef`"),
        "{ready}"
    );
    let hint = message(&told, "CredentialsReady");
    assert!(hint.contains("TENCENT_COS_A") && hint.contains("`source.cdn.authenticationKey`"), "{hint}");
    let key = cdn("TENCENT_COS_A")["authenticationKey"].clone();
    migration.correct(json!({ "spec": { "source": { "cdn": { "authenticationKey": key } } } })).await;
    migration
        .wait("tells that the key is there", |task| {
            let told = message(task, "CredentialsReady");
            !told.is_empty() && !told.contains("TENCENT_COS_A")
        })
        .await;
    world.clear_faults().await;
    let created = created(&migration).await;
    assert!(created.status.unwrap().observed_credentials.iter().any(|one| one.role == "cdn"));
}

/// A running task that was stopped half way by `suspend`.
async fn suspended<'w>(world: &'w World, draft: Draft<'w>) -> Migration<'w> {
    let migration = draft.apply().await;
    eventually("some objects are copied", async || {
        let tasks = world.remote_tasks().await;
        let copied = tasks.first().and_then(|task| task["successful_num"].as_u64()).unwrap_or_default();
        if copied >= 10 { Ok(()) } else { Err(format!("{copied} copied")) }
    })
    .await;
    migration.suspend(true).await;
    migration.wait_phase(Phase::Stopped).await;
    migration
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn credentials_are_kept_with_a_kms_key_that_can_be_used() {
    let other = KMS_KEY.replace('0', "1");
    let keys = json!([{ "id": KMS_KEY }, { "id": other, "enabled": false }]);
    let world = hurried().behaving("objectRate", 100.0).configured("kmsKeys", keys).start().await;
    world.put_objects(150).await;
    let kms = |id: &str| json!({ "type": "KMS", "kmsKeyId": id });
    let unknown = KMS_KEY.replace('0', "2");

    // Refused at the create: told, and the spec can be corrected.
    let migration = world.migration("photos").with("/source/credentials/crypto", kms(&unknown)).apply().await;
    let told = migration.wait_condition("Ready", "False", "RefusedForNow").await;
    let ready = message(&told, "Ready");
    assert!(ready.contains("OMS.0212") && ready.contains("`crypto.kmsKeyId`"), "{ready}");
    assert_eq!(world.effects("CreateTask").await, Vec::<Value>::new());
    migration.delete().await;
    migration.wait_gone().await;

    // Accepted, for both buckets.
    let draft = world
        .migration("kept")
        .with("/source/credentials/crypto", kms(KMS_KEY))
        .with("/destination/credentials/crypto", kms(KMS_KEY));
    let migration = suspended(&world, draft).await;

    // At a start they are sent again: one that cannot be used any more is told, and another counts at once.
    migration.patch(json!({ "spec": { "source": { "credentials": { "crypto": kms(&other) } } } })).await;
    migration.suspend(false).await;
    let told = migration.wait_condition("Ready", "False", "RefusedForNow").await;
    let ready = message(&told, "Ready");
    assert!(ready.contains("the start") && ready.contains("OMS.0211"), "{ready}");
    migration
        .patch(json!({ "spec": { "source": { "credentials": { "crypto": { "type": "DEFAULT", "kmsKeyId": null } } } } }))
        .await;
    migration.wait_phase(Phase::Succeeded).await;
    assert_eq!(world.effects("CreateTask").await.len(), 1);
    assert_eq!(world.effects("StartTask").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_sends_the_key_of_the_cdn_again() {
    let world = hurried().behaving("objectRate", 100.0).start().await;
    world.put_objects(150).await;
    world.secret("cdn", &[("cdnKey", "the-key-of-the-cdn")]).await;
    let draft = world.migration("photos").with("/source/cdn", cdn("ALIYUN_OSS_A"));
    let migration = suspended(&world, draft).await;
    let before = migration.status().await.observed_credentials;

    // Without it OMS would answer OMS.1032. The key is read at that moment: one that is gone is missed.
    world.delete_secret("cdn").await;
    migration.suspend(false).await;
    migration.wait_condition("Ready", "False", "SecretNotFound").await;
    world.secret("cdn", &[("cdnKey", "another-key-of-the-cdn")]).await;
    migration.wait_phase(Phase::Succeeded).await;
    let after = migration.status().await.observed_credentials;
    let digest = |observed: &[oms_operator::api::ObservedCredentials], role: &str| {
        observed.iter().find(|one| one.role == role).unwrap().digest.clone()
    };
    assert_ne!(digest(&before, "cdn"), digest(&after, "cdn"));
    assert_eq!(digest(&before, "source"), digest(&after, "source"));
    assert_eq!(world.effects("StartTask").await.len(), 1);
    assert!(world.journal("StartTask").await.iter().all(|entry| entry["outcome"] == "ok"));
}
