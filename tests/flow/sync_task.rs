//! Sync tasks: created, held, queued for one of the account's places, and removed; each once.

use kube::api::ListParams;
use oms_operator::api::{Connection, Phase, SyncTask};
use serde_json::{Value, json};

use crate::migration::{Migration, condition, message, phase_of};
use crate::sync_event::SyncEvents as _;
use crate::world::{DESTINATION_SECRET, SOURCE_SECRET, Setup, World, eventually};

async fn synchronizing<'w>(world: &'w World, name: &str) -> Migration<'w, SyncTask> {
    let task = world.sync_task(name).apply().await;
    task.wait_phase(Phase::Synchronizing).await;
    task
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sync_task_copies_what_events_name_and_tells_what_oms_counted() {
    let world = World::start().await;
    world.put_objects(2).await;
    let strange = "2026/a b+c%2F&'é.txt";
    world.source_bucket("photos").put(strange, "text/plain", &[], "strange".into()).await.unwrap();
    let task = synchronizing(&world, "photos").await;
    let ready = task.get().await;
    assert_eq!(condition(&ready, "Ready"), Some(("True".into(), "Synchronizing".into())));
    assert_eq!(condition(&ready, "Reconciling"), None);
    let created = world.effects("CreateSyncTask").await;
    assert_eq!(created.len(), 1, "{created:#?}");
    assert_eq!(created[0]["task"].as_str(), ready.status.as_ref().unwrap().task_id.as_deref());

    world.apply_event("new", "photos", &["00000.txt".into(), "00001.txt".into(), strange.into()]).await;
    world.wait_event_phase("new", Phase::Succeeded).await;
    eventually("all three are copied", async || {
        let copied = ["00000.txt", "00001.txt", strange]
            .iter()
            .filter(|key| world.destination.object("photos-archive", key).is_some())
            .count();
        if copied == 3 { Ok(()) } else { Err(format!("{copied} copied")) }
    })
    .await;
    eventually("OMS has counted them", async || {
        let copied = world.remote_sync_tasks().await[0]["total"]["success"].as_u64();
        if copied == Some(3) { Ok(()) } else { Err(format!("{copied:?}")) }
    })
    .await;
    task.nudge("now").await;
    let counted = task
        .wait("tells what OMS counted", |task| {
            let status = task.status.as_ref().unwrap();
            status.statistics.as_ref().is_some_and(|month| month.succeeded == 3)
        })
        .await;
    let status = counted.status.unwrap();
    let month = status.statistics.unwrap();
    assert_eq!((month.requested, month.failed, month.skipped), (3, 0, 0));
    assert!(month.bytes > 0 && month.month.len() == 7, "{month:?}");
    assert_eq!(status.last_handled_reconcile_at.as_deref(), Some("now"));
    let operator = &world.operators[0];
    eventually("the metrics tell it too", async || {
        let requested = operator.metric("oms_operator_sync_month_requested_objects", "").await;
        if requested >= 3.0 { Ok(()) } else { Err(requested.to_string()) }
    })
    .await;
    assert!(operator.metric("oms_operator_sync_event_keys_total", "").await >= 3.0);

    // From now on it costs no write and no call that changes anything.
    let before = task.get().await.metadata.resource_version;
    world.let_polls_pass(8).await;
    assert_eq!(task.get().await.metadata.resource_version, before);
    let changing = ["CreateSyncTask", "StartSyncTask", "StopSyncTask", "DeleteSyncTask", "CreateSyncEvents"];
    let mut calls = 0;
    for operation in changing {
        calls += world.journal(operation).await.len();
    }
    assert_eq!(calls, 2, "one create and one call with keys");
    let sent: Vec<_> = world.requests("CreateSyncEvents")[0]["object_keys"].as_array().unwrap().clone();
    assert_eq!(
        sent[2], "2026%2Fa%20b%2Bc%252F%26%27%C3%A9.txt",
        "every byte but letters, digits and - . _ ~"
    );

    // What is gone is no longer counted.
    task.delete().await;
    task.wait_gone().await;
    eventually("the metrics have forgotten it", async || {
        let requested = world.operators[0].metric("oms_operator_sync_month_objects", "").await;
        if requested < 1.0 { Ok(()) } else { Err(requested.to_string()) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_field_reaches_oms_and_all_keys_go_out_again_with_a_start() {
    let kms = "0d0466b0-e727-4d9c-b35d-f84bb474a37f";
    let edge = json!({ "name": "edge", "domain": "cdn.example.com", "store": "source", "bucket": "photos",
                       "authenticationType": "TENCENT_COS_A", "authenticationKey": "key-of-the-cdn" });
    let world = Setup::default().every_cloud().configured("embeddedCdns", json!([edge])).start().await;
    world.put_objects(1).await;
    world.secret("cdn", &[("authenticationKey", "key-of-the-cdn")]).await;
    let crypto = json!({ "type": "KMS", "kmsKeyId": kms });
    let task = world
        .sync_task("photos")
        .with("/source/cloudType", "Tencent")
        .with("/source/region", "ap-guangzhou")
        .with("/source/appId", "1250000000")
        .with("/source/credentials/crypto", crypto.clone())
        .with(
            "/source/cdn",
            json!({ "domain": "cdn.example.com", "protocol": "http", "authenticationType": "TENCENT_COS_A",
                    "authenticationKey": { "secretRef": { "name": "cdn" } }, "crypto": crypto }),
        )
        .with("/destination/region", "cn-north-4")
        .with("/destination/storagePolicy", "IA")
        .with("/destination/credentials/crypto", crypto.clone())
        .with("/consistencyCheck", "crc64")
        .with("/enableMetadataMigration", true)
        .with("/enableRestore", true)
        .with("/description", "all of it")
        .apply()
        .await;
    task.wait_phase(Phase::Synchronizing).await;
    let asked = world.requests("CreateSyncTask");
    let wanted = json!({
        "src_cloud_type": "Tencent", "src_region": "ap-guangzhou", "src_bucket": "photos", "app_id": "1250000000",
        "src_crypto_type": "KMS", "src_kms_key_id": kms, "dst_crypto_type": "KMS", "dst_kms_key_id": kms,
        "dst_region": "cn-north-4", "dst_bucket": "photos-archive", "dst_storage_policy": "IA",
        "consistency_check": "crc64", "enable_metadata_migration": true, "enable_restore": true,
        "src_ak": world.source_keys.access, "src_sk": world.source_keys.secret,
        "dst_ak": world.destination_keys.access, "dst_sk": world.destination_keys.secret,
        "source_cdn": { "domain": "cdn.example.com", "protocol": "http", "authentication_type": "TENCENT_COS_A",
                        "authentication_key": "key-of-the-cdn", "crypto_type": "KMS", "kms_key_id": kms },
    });
    for (member, value) in wanted.as_object().unwrap() {
        assert_eq!(asked[0][member], *value, "{member}");
    }
    assert!(asked[0]["description"].as_str().unwrap().ends_with(" all of it"));

    task.suspend(true).await;
    task.wait_phase(Phase::Stopped).await;
    task.suspend(false).await;
    task.wait_phase(Phase::Synchronizing).await;
    let started = &world.requests("StartSyncTask")[0];
    for member in ["src_ak", "src_sk", "dst_ak", "dst_sk", "src_kms_key_id", "dst_kms_key_id"] {
        assert_eq!(started[member], wanted[member], "{member}");
    }
    assert_eq!(started["source_cdn_authentication_key"], "key-of-the-cdn");
    assert_eq!(started["source_cdn_kms_key_id"], kms);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ready_means_what_the_spec_says_also_for_one_that_is_held() {
    let world = World::start().await;
    world.put_objects(1).await;
    let task = synchronizing(&world, "photos").await;
    task.suspend(true).await;
    task.wait_condition("Ready", "False", "Suspended").await;
    task.patch(json!({ "spec": { "readyWhen": "Accepted" } })).await;
    task.wait_condition("Ready", "True", "Suspended").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn suspended_it_is_stopped_and_keeps_keys_until_it_is_resumed() {
    let world = World::start().await;
    world.put_objects(3).await;
    let task = synchronizing(&world, "photos").await;
    task.suspend(true).await;
    let stopped = task.wait_phase(Phase::Stopped).await;
    assert_eq!(condition(&stopped, "Ready"), Some(("False".into(), "Suspended".into())));
    world.apply_event("kept", "photos", &["00002.txt".into()]).await;
    let kept = world.wait_event_reason("kept", "SyncTaskNotSynchronizing").await;
    assert!(kept.contains("is Stopped; the keys are kept"), "{kept}");
    world.let_polls_pass(4).await;
    assert_eq!(world.journal("CreateSyncEvents").await, Vec::<Value>::new(), "nothing is sent in vain");

    task.suspend(false).await;
    task.wait_phase(Phase::Synchronizing).await;
    world.wait_event_phase("kept", Phase::Succeeded).await;
    eventually("the object is copied", async || {
        world.destination.object("photos-archive", "00002.txt").map(|_| ()).ok_or("not yet".to_owned())
    })
    .await;
    for operation in ["CreateSyncTask", "StopSyncTask", "StartSyncTask", "CreateSyncEvents"] {
        assert_eq!(world.effects(operation).await.len(), 1, "{operation}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sixth_waits_for_a_place_and_is_created_when_one_is_free() {
    let world = World::start().await;
    world.put_objects(1).await;
    let mut tasks = Vec::new();
    for number in 1..=5 {
        tasks.push(synchronizing(&world, &format!("sync-{number}")).await);
    }
    let sixth = world.sync_task("sync-6").apply().await;
    let queued = sixth.wait_phase(Phase::Queued).await;
    assert_eq!(condition(&queued, "Ready"), Some(("False".into(), "QuotaExceeded".into())));
    assert_eq!(condition(&queued, "Stalled"), None, "waiting is no failure");
    assert_eq!(queued.status.as_ref().unwrap().queue.as_ref().map(|place| place.position), Some(1));
    // The line goes by age, which Kubernetes tells in whole seconds.
    let applied = queued.metadata.creation_timestamp.as_ref().unwrap().0.as_second();
    eventually("another second has begun", async || {
        let now = jiff::Timestamp::now().as_second();
        if now > applied { Ok(()) } else { Err(now.to_string()) }
    })
    .await;
    let seventh = world.sync_task("sync-7").apply().await;
    let behind = seventh.wait_phase(Phase::Queued).await;
    assert_eq!(behind.status.unwrap().queue.map(|place| place.position), Some(2));
    world.let_polls_pass(4).await;
    assert_eq!(world.journal("CreateSyncTask").await.len(), 5, "OMS is not asked in vain");

    tasks[2].delete().await;
    tasks[2].wait_gone().await;
    sixth.wait_phase(Phase::Synchronizing).await;
    assert_eq!(phase_of(&seventh.get().await), Some(Phase::Queued));
    assert_eq!(world.effects("CreateSyncTask").await.len(), 6);
    assert_eq!(world.remote_sync_tasks().await.len(), 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_resumed_one_waits_for_a_place_too() {
    let world =
        Setup::default().configured("limits", json!({ "runningTasks": 50, "syncTasks": 9 })).start().await;
    world.put_objects(1).await;
    limit(&world, 1).await;
    let first = synchronizing(&world, "first").await;
    first.suspend(true).await;
    first.wait_phase(Phase::Stopped).await;
    let second = synchronizing(&world, "second").await;
    first.suspend(false).await;
    let queued = first.wait_phase(Phase::Queued).await;
    assert!(queued.status.unwrap().connection.is_some(), "it stays with its connection");
    world.let_polls_pass(4).await;
    assert_eq!(world.journal("StartSyncTask").await, Vec::<Value>::new());
    second.suspend(true).await;
    first.wait_phase(Phase::Synchronizing).await;
    assert_eq!(world.effects("StartSyncTask").await.len(), 1);
}

/// Sets how many sync tasks the account lets run, and waits until the operator has taken it in.
pub(crate) async fn limit(world: &World, running: u32) {
    let mut connection = world.connection_manifest();
    connection["spec"]["limits"] = json!({ "runningSyncTasks": running });
    let applied = world.apply::<Connection>(connection).await;
    let generation = applied.metadata.generation.unwrap();
    let connections = world.api::<Connection>();
    eventually("the limit is taken in", async || {
        let listed = connections.list(&ListParams::default()).await.map_err(|error| error.to_string())?;
        let taken_in = listed.items.iter().any(|connection| {
            let status = connection.status.as_ref();
            status.is_some_and(|status| {
                status.observed_generation == generation
                    && status.conditions.iter().any(|found| found.type_ == "Ready" && found.status == "True")
            })
        });
        if taken_in { Ok(()) } else { Err(format!("{listed:#?}")) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_oms_refuses_one_more_it_waits_and_is_created_when_a_place_is_free() {
    let world =
        Setup::default().configured("limits", json!({ "runningTasks": 50, "syncTasks": 1 })).start().await;
    world.put_objects(1).await;
    let first = synchronizing(&world, "first").await;
    let second = world.sync_task("second").apply().await;
    let queued = second.wait_phase(Phase::Queued).await;
    assert_eq!(condition(&queued, "Stalled"), None);
    world.let_polls_pass(4).await;
    assert_eq!(world.journal("CreateSyncTask").await.len(), 2, "one refusal closes the gate");
    first.delete().await;
    first.wait_gone().await;
    second.wait_phase(Phase::Synchronizing).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deleting_it_stops_it_and_removes_its_record_as_far_as_asked() {
    let world = World::start().await;
    world.put_objects(1).await;
    let deleted = synchronizing(&world, "deleted").await;
    deleted.delete().await;
    deleted.wait_gone().await;
    assert_eq!(world.remote_sync_tasks().await, Vec::<Value>::new());
    assert_eq!(world.effects("StopSyncTask").await.len(), 1);
    assert_eq!(world.effects("DeleteSyncTask").await.len(), 1);

    let kept = synchronizing(&world, "kept").await;
    kept.patch(json!({ "spec": { "deletionPolicy": "StopAndKeep" } })).await;
    kept.delete().await;
    kept.wait_gone().await;
    assert_eq!(world.remote_sync_tasks().await[0]["status"], "STOPPED");

    let orphan = synchronizing(&world, "orphan").await;
    orphan.patch(json!({ "spec": { "deletionPolicy": "Orphan" } })).await;
    orphan.delete().await;
    orphan.wait_gone().await;
    assert_eq!(world.effects("StopSyncTask").await.len(), 2);
    assert_eq!(world.effects("DeleteSyncTask").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_create_whose_reply_is_lost_is_found_and_not_repeated() {
    let world = World::start().await;
    world.put_objects(1).await;
    world.fault(json!({ "operation": "CreateSyncTask", "kind": "lostReply", "times": 1 })).await;
    let task = synchronizing(&world, "photos").await;
    assert_eq!(world.journal("CreateSyncTask").await.len(), 1);
    let remote = world.remote_sync_tasks().await;
    assert_eq!(remote.len(), 1, "{remote:#?}");
    assert_eq!(remote[0]["sync_task_id"].as_str(), task.status().await.task_id.as_deref());
    assert!(remote[0]["description"].as_str().unwrap().starts_with("oms-"), "{remote:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn temporary_keys_and_regions_without_sync_tasks_are_told_and_mended() {
    let world = World::start().await;
    world.put_objects(1).await;
    let keys = &world.source_keys;
    world
        .secret(
            SOURCE_SECRET,
            &[("accessKey", &keys.access), ("secretKey", &keys.secret), ("securityToken", "temporary")],
        )
        .await;
    let task = world.sync_task("photos").apply().await;
    let refused = task.wait_condition("Ready", "False", "TemporaryKeysNotAllowed").await;
    let words = message(&refused, "Ready");
    assert!(words.contains(SOURCE_SECRET) && words.contains("source.credentials.secretRef"), "{words}");
    world.secret(SOURCE_SECRET, &[("accessKey", &keys.access), ("secretKey", &keys.secret)]).await;
    task.wait_phase(Phase::Synchronizing).await;

    let mut elsewhere = world.connection_manifest();
    elsewhere["metadata"]["name"] = json!("elsewhere");
    elsewhere["spec"]["region"] = json!("ap-southeast-1");
    world.apply::<Connection>(elsewhere).await;
    world.wait_connection("elsewhere", "True", "Connected").await;
    let task = world
        .sync_task("far")
        .with("/connectionRef", json!({ "name": "elsewhere" }))
        .with("/destination/credentials", json!({ "secretRef": { "name": DESTINATION_SECRET } }))
        .apply()
        .await;
    let refused = task.wait_condition("Stalled", "True", "InvalidSpec").await;
    assert!(message(&refused, "Ready").contains("cn-north-4, cn-east-3, cn-southwest-2"));
    task.patch(json!({ "spec": { "connectionRef": { "name": "default" } } })).await;
    task.wait_phase(Phase::Synchronizing).await;
    assert_eq!(world.journal("CreateSyncTask").await.len(), 2);
}
