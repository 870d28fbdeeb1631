//! What the API server refuses, and what may be edited when.

use oms_operator::api::Phase;
use serde_json::json;

use super::{assert_created, assert_recovers, assert_told, hurried};
use crate::world::SOURCE_SECRET;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_field_may_be_edited_before_the_intent_and_not_after() {
    let world = hurried().start().await;
    world.put_objects(2).await;
    let keys = world.source_keys.clone();
    world.delete_secret(SOURCE_SECRET).await;
    // A typo in a frozen field, and nothing created yet.
    let draft = world.migration("photos").with("/source/bucket", "fotos");
    let corrected = world.migration("photos").manifest().to_string();
    let spoilt = world.migration("photos").with("/source/bucket", "other").manifest().to_string();
    let migration = draft.kubectl_apply().await;
    migration.wait_condition("Ready", "False", "SecretNotFound").await;
    let (accepted, output) = world.try_kubectl(&["apply", "-f", "-"], &corrected).await;
    assert!(accepted, "{output}");

    world.secret(SOURCE_SECRET, &[("accessKey", &keys.access), ("secretKey", &keys.secret)]).await;
    assert_recovers(&world, "photos", 60).await;

    let (accepted, output) = world.try_kubectl(&["apply", "-f", "-"], &spoilt).await;
    assert!(!accepted, "{output}");
    for word in ["spec.source.bucket", "frozen", "put it back", "create another MigrationTask"] {
        assert!(output.contains(word), "{word:?} is missing in: {output}");
    }
    // Removing it is no way around, and what is live stays editable.
    let removed = json!({ "spec": { "destination": { "prefix": "moved/" } } }).to_string();
    let (accepted, output) =
        world.try_kubectl(&["patch", "mt", "photos", "--type=merge", "-p", &removed], "").await;
    assert!(!accepted && output.contains("frozen"), "{output}");
    let live = json!({ "spec": { "deletionPolicy": "Orphan" } }).to_string();
    world.kubectl(&["patch", "mt", "photos", "--type=merge", "-p", &live]).await;
    assert_eq!(migration.get().await.spec.source.unwrap().bucket.as_deref(), Some("photos"));
    assert_created(&world, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_create_thaws_the_spec_and_the_corrected_one_succeeds() {
    let world = hurried().start().await;
    world.put_objects(2).await;
    let corrected = world.migration("photos").manifest().to_string();
    // The emulated OMS knows no such cloud in its stores, as the service knows some regions not.
    let migration = world.migration("photos").with("/source/cloudType", "Qiniu").kubectl_apply().await;
    let refused = migration.wait_condition("Ready", "False", "Refused").await;
    let words = ["OMS did not accept the create", "OMS.0079", "`source.region`", "Correct the spec"];
    assert_told(&refused, Phase::Failed, "Refused", &words);
    let status = refused.status.unwrap();
    assert_eq!((status.create, status.task_id), (None, None), "the intent is taken back");
    let asked = world.journal("CreateTask").await.len();
    world.let_polls_pass(4).await;
    assert_eq!(world.journal("CreateTask").await.len(), asked, "the same spec is not sent again");

    let (accepted, output) = world.try_kubectl(&["apply", "-f", "-"], &corrected).await;
    assert!(accepted, "{output}");
    assert_recovers(&world, "photos", 40).await;
    assert_created(&world, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_field_is_refused_by_its_name() {
    let world = hurried().unconnected().unoperated().start().await;
    for (pointer, field) in
        [("/sorce", "spec.sorce"), ("/source/buckett", "spec.source.buckett"), ("/reruns", "spec.reruns")]
    {
        let manifest = world.migration("photos").with(pointer, "x").manifest().to_string();
        let (accepted, output) = world.try_kubectl(&["apply", "-f", "-"], &manifest).await;
        assert!(!accepted, "{output}");
        assert!(output.contains("unknown field") && output.contains(field), "{field}: {output}");
    }
    let mut connection = world.connection_manifest();
    connection["spec"]["porject"] = json!("p");
    let (accepted, output) = world.try_kubectl(&["apply", "-f", "-"], &connection.to_string()).await;
    assert!(!accepted && output.contains("unknown field") && output.contains("spec.porject"), "{output}");
}
