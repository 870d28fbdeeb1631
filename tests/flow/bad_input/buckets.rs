//! Buckets that do not exist, do not take the keys, or hold nothing.

use std::time::Duration;

use oms_operator::api::Phase;

use super::{assert_created, assert_recovers, assert_told, hurried};
use crate::world::{DESTINATION_SECRET, SOURCE_SECRET, eventually_within};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_source_keys_are_told_and_the_same_task_goes_on_with_corrected_ones() {
    let world = hurried().start().await;
    world.put_objects(2).await;
    let keys = world.source_keys.clone();
    world.secret(SOURCE_SECRET, &[("accessKey", &keys.access), ("secretKey", "not-the-secret")]).await;
    let migration = world.migration("photos").kubectl_apply().await;
    let waiting = migration.wait_condition("Ready", "False", "RetryScheduled").await;
    let words = [
        "TRF.0151",
        "`source.credentials.secretRef`",
        "Correct the keys in the Secret",
        "starts the task again",
    ];
    assert_told(&waiting, Phase::Retrying, "RetryScheduled", &words);
    let status = waiting.status.unwrap();
    assert_eq!(
        status.failure.as_ref().map(|failure| (&*failure.code, failure.retryable)),
        Some(("TRF.0151", true))
    );
    assert!(status.next_attempt_at.is_some());

    world.secret(SOURCE_SECRET, &[("accessKey", &keys.access), ("secretKey", &keys.secret)]).await;
    assert_recovers(&world, "photos", 80).await;
    assert_eq!(migration.status().await.task_id, status.task_id, "started again, not created again");
    assert!(!world.effects("StartTask").await.is_empty());
    assert_created(&world, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_destination_keys_are_told_and_a_corrected_secret_is_noticed_at_once() {
    // A slow clock: only the change of the Secret can be the cause of another try.
    let world = crate::world::Setup::default().start().await;
    world.put_objects(2).await;
    world.wait_connection("default", "True", "Connected").await;
    let keys = world.destination_keys.clone();
    world.secret(DESTINATION_SECRET, &[("accessKey", &keys.access), ("secretKey", "not-the-secret")]).await;
    let migration = world.migration("photos").kubectl_apply().await;
    let waiting = migration.wait_condition("Ready", "False", "CredentialsRejected").await;
    let words = ["OMS.0189", "`destination.credentials.secretRef`", "Correct the Secret"];
    assert_told(&waiting, Phase::Pending, "CredentialsRejected", &words);
    assert!(waiting.status.unwrap().next_attempt_at.is_some());
    world.let_polls_pass(8).await;
    assert_eq!(world.journal("CreateTask").await.len(), 1, "the same keys are not tried again and again");

    world.secret(DESTINATION_SECRET, &[("accessKey", &keys.access), ("secretKey", &keys.secret)]).await;
    assert_recovers(&world, "photos", 40).await;
    assert_eq!(world.journal("CreateTask").await.len(), 2);
    assert_created(&world, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_bucket_that_does_not_exist_is_named_and_its_creation_is_enough() {
    let world = hurried().start().await;
    world.destination_bucket("photos-archive").create().await.unwrap();
    let migration = world.migration("photos").kubectl_apply().await;
    let waiting = migration.wait_condition("Ready", "False", "RetryScheduled").await;
    let words = ["TRF.0155", "`source.bucket`", "Create the bucket", "starts the task again by itself"];
    assert_told(&waiting, Phase::Retrying, "RetryScheduled", &words);

    let source = world.source_bucket("photos");
    source.create().await.unwrap();
    source.put("late.txt", "text/plain", &[], "here at last".into()).await.unwrap();
    assert_recovers(&world, "photos", 150).await;
    assert_created(&world, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_destination_bucket_that_does_not_exist_is_named_and_its_creation_is_enough() {
    let world = hurried().start().await;
    let source = world.source_bucket("photos");
    source.create().await.unwrap();
    source.put("one.txt", "text/plain", &[], "one".into()).await.unwrap();
    let migration = world.migration("photos").kubectl_apply().await;
    let waiting = migration.wait_condition("Ready", "False", "RefusedForNow").await;
    let words = ["OMS.1020", "`destination.bucket`", "Create", "the operator tries again"];
    assert_told(&waiting, Phase::Pending, "RefusedForNow", &words);
    assert!(waiting.status.unwrap().next_attempt_at.is_some());
    assert_created(&world, 0).await;

    world.destination_bucket("photos-archive").create().await.unwrap();
    assert_recovers(&world, "photos", 80).await;
    assert_created(&world, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_that_stays_missing_is_asked_for_less_and_less_often() {
    let world = hurried().start().await;
    world.source_bucket("photos").create().await.unwrap();
    let migration = world.migration("photos").kubectl_apply().await;
    migration.wait_condition("Ready", "False", "RefusedForNow").await;
    // Eight minutes of the operator's time: tries after 15, 30, 60, 120 and 240 seconds, not every 15.
    world.let_polls_pass(32).await;
    let tries = world.journal("CreateTask").await.len();
    assert!((3..=7).contains(&tries), "{tries} tries");
    super::assert_calm(&world, 40).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_selection_without_objects_is_told_and_objects_that_appear_are_copied() {
    let world = hurried().start().await;
    let source = world.source_bucket("photos");
    source.create().await.unwrap();
    source.put("other/one.txt", "text/plain", &[], "one".into()).await.unwrap();
    world.destination_bucket("photos-archive").create().await.unwrap();
    let migration = world
        .migration("photos")
        .with("/source/objectKeys", serde_json::json!(["2024/"]))
        .kubectl_apply()
        .await;
    let waiting = migration.wait_condition("Ready", "False", "RetryScheduled").await;
    let words = [
        "TRF.0012",
        "`source.objectKeys`",
        "Put matching objects into the source bucket",
        "starts the task again by itself",
    ];
    assert_told(&waiting, Phase::Retrying, "RetryScheduled", &words);

    source.put("2024/one.txt", "text/plain", &[], "late".into()).await.unwrap();
    assert_recovers(&world, "photos", 150).await;
    assert_created(&world, 1).await;
    let copied = world.destination_bucket("photos-archive").fingerprints(|_| ()).await.unwrap();
    let keys: Vec<_> = copied.keys().filter(|key| !key.starts_with("oms/task/")).collect();
    assert_eq!(keys, ["2024/one.txt"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_that_are_refused_at_a_resume_are_told_and_a_corrected_secret_is_noticed_at_once() {
    // A slow clock: only the change of the Secret can be the cause of another try.
    let world = crate::world::Setup::default().behaving("objectRate", 4.0).start().await;
    world.put_objects(20).await;
    let keys = world.destination_keys.clone();
    let migration = world.migration("photos").kubectl_apply().await;
    migration.wait_condition("Ready", "False", "Running").await;
    migration.suspend(true).await;
    migration.wait_phase(Phase::Stopped).await;

    world.secret(DESTINATION_SECRET, &[("accessKey", &keys.access), ("secretKey", "not-the-secret")]).await;
    migration.suspend(false).await;
    let waiting = migration.wait_condition("Ready", "False", "CredentialsRejected").await;
    let words =
        ["did not accept the start", "OMS.0189", "`destination.credentials.secretRef`", "Correct the Secret"];
    assert_told(&waiting, Phase::Pending, "CredentialsRejected", &words);
    world.let_polls_pass(8).await;
    assert_eq!(world.journal("StartTask").await.len(), 1, "the same keys are not tried again and again");

    world.secret(DESTINATION_SECRET, &[("accessKey", &keys.access), ("secretKey", &keys.secret)]).await;
    // Without the change, the next try is due after half a minute at the earliest.
    eventually_within(Duration::from_secs(20), "a start with the corrected keys", async || {
        let started = world.effects("StartTask").await.len();
        if started == 1 { Ok(()) } else { Err(format!("{started} starts")) }
    })
    .await;
    assert_recovers(&world, "photos", 400).await;
    assert_eq!(world.journal("StartTask").await.len(), 2);
    assert_created(&world, 1).await;
}
