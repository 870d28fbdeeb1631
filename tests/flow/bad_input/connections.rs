//! Connections that are missing, or whose keys, region or consent OMS does not take.

use oms_operator::api::Phase;
use serde_json::{Value, json};

use super::{
    assert_calm, assert_connection_told, assert_created, assert_recovers, assert_told, connect_as,
    connect_with, hurried, write_secrets,
};
use crate::world::{OMS_SECRET, eventually};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_that_oms_refuses_are_told_tried_once_and_replaced_by_a_corrected_secret() {
    let world = hurried().unconnected().start().await;
    world.put_objects(2).await;
    let keys = world.oms_keys.clone();
    write_secrets(&world, Some("not-the-secret")).await;
    connect_with(&world, json!({})).await;
    let migration = world.migration("photos").kubectl_apply().await;
    let rejected = world.wait_connection("default", "False", "CredentialsRejected").await;
    let words =
        ["OMS did not accept a call (APIGW.0301)", "Secret named by `spec.credentials.secretRef`", "Correct"];
    assert_connection_told(&rejected, &words);
    let waiting = migration.wait_condition("Ready", "False", "ConnectionNotReady").await;
    let words = ["Connection `default` is not ready", "APIGW.0301", "Correct the keys in the Secret"];
    assert_told(&waiting, Phase::Pending, "ConnectionNotReady", &words);

    // The gateway locks keys that fail too often: two minutes of the operator's time without another try.
    let refused = refusals(&world.journal("*").await);
    world.let_polls_pass(8).await;
    let later = refusals(&world.journal("*").await);
    assert_eq!(later, refused, "refused keys are not tried again and again");
    assert!(refused <= 2, "{refused} calls with wrong keys");
    assert_created(&world, 0).await;

    world.secret(OMS_SECRET, &[("accessKey", &keys.access), ("secretKey", &keys.secret)]).await;
    world.wait_connection("default", "True", "Connected").await;
    assert_recovers(&world, "photos", 40).await;
    assert_created(&world, 1).await;
}

fn refusals(journal: &[Value]) -> usize {
    journal.iter().filter(|entry| entry["status"] == 401).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_that_are_spoilt_under_a_running_task_lose_nothing() {
    let world = hurried().behaving("objectRate", 4.0).start().await;
    world.put_objects(20).await;
    let keys = world.oms_keys.clone();
    let migration = world.migration("photos").kubectl_apply().await;
    migration.wait_condition("Ready", "False", "Running").await;

    world.secret(OMS_SECRET, &[("accessKey", &keys.access), ("secretKey", "not-the-secret")]).await;
    world.wait_connection("default", "False", "CredentialsRejected").await;
    let blind = migration.wait_condition("ConnectionReady", "False", "ConnectionNotReady").await;
    assert!(
        crate::migration::message(&blind, "ConnectionReady").contains("APIGW.0301"),
        "{:#?}",
        blind.status
    );

    world.secret(OMS_SECRET, &[("accessKey", &keys.access), ("secretKey", &keys.secret)]).await;
    migration.wait_condition("ConnectionReady", "True", "ConnectionResolved").await;
    let polls = 400;
    assert_recovers(&world, "photos", polls).await;
    assert_created(&world, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_region_that_iam_does_not_know_is_told_until_it_is_corrected() {
    let world = hurried().unconnected().start().await;
    world.put_objects(2).await;
    write_secrets(&world, None).await;
    let iam = world.emulator.endpoints().iam.clone();
    connect_with(&world, json!({ "projectId": null, "region": "cn-nowhere-9", "iamEndpoint": iam })).await;
    let migration = world.migration("photos").kubectl_apply().await;
    let unknown = world.wait_connection("default", "False", "ProjectNotFound").await;
    assert_connection_told(&unknown, &["`cn-nowhere-9`", "Correct `spec.region`", "set `spec.projectId`"]);
    let waiting = migration.wait_condition("Ready", "False", "ConnectionNotReady").await;
    assert_told(&waiting, Phase::Pending, "ConnectionNotReady", &["Connection `default`", "`cn-nowhere-9`"]);

    connect_with(&world, json!({ "projectId": null, "iamEndpoint": iam })).await;
    let found = world.wait_connection("default", "True", "Connected").await;
    assert_eq!(found.status.unwrap().project_id.as_deref(), Some(crate::world::PROJECT));
    assert_recovers(&world, "photos", 60).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_destination_region_beside_the_connections_is_refused_until_it_is_corrected() {
    let world = hurried().start().await;
    world.put_objects(2).await;
    let migration = world.migration("photos").with("/destination/region", "cn-south-1").kubectl_apply().await;
    let refused = migration.wait_condition("Ready", "False", "InvalidSpec").await;
    let words = ["`destination.region` is cn-south-1", "cn-north-4", "Correct `destination.region`"];
    assert_told(&refused, Phase::Failed, "InvalidSpec", &words);
    assert_created(&world, 0).await;

    migration.patch(json!({ "spec": { "destination": { "region": "cn-north-4" } } })).await;
    assert_recovers(&world, "photos", 40).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_does_not_exist_is_named_and_its_creation_is_enough() {
    let world = hurried().unconnected().start().await;
    world.put_objects(2).await;
    let unnamed = world.migration("unnamed").kubectl_apply().await;
    let named = world
        .migration("named")
        .with("/connectionRef", json!({ "kind": "Connection", "name": "later" }))
        .with("/destination/prefix", "named/")
        .kubectl_apply()
        .await;
    let waiting = unnamed.wait_condition("Ready", "False", "ConnectionNotFound").await;
    let words = ["no Connection `default`", "Create one", "`spec.connectionRef`"];
    assert_told(&waiting, Phase::Pending, "ConnectionNotFound", &words);
    let waiting = named.wait_condition("Ready", "False", "ConnectionNotFound").await;
    let words = ["Connection `later`", "`spec.connectionRef`", "does not exist", "Create it"];
    assert_told(&waiting, Phase::Pending, "ConnectionNotFound", &words);
    assert_calm(&world, 0).await;

    world.connect().await;
    assert_recovers(&world, "unnamed", 40).await;
    connect_as(&world, "later", json!({})).await;
    assert_recovers(&world, "named", 80).await;
    assert_created(&world, 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_consent_the_privacy_agreement_is_asked_for_and_never_recorded() {
    let world = hurried().unconnected().start().await;
    world.put_objects(2).await;
    write_secrets(&world, None).await;
    connect_with(&world, json!({ "privacyAgreement": null })).await;
    let migration = world.migration("photos").kubectl_apply().await;
    let waiting = migration.wait_condition("Ready", "False", "PrivacyAgreementRequired").await;
    let words = ["OMS.0092", "`privacyAgreement: Accepted`", "the connection"];
    assert_told(&waiting, Phase::Pending, "PrivacyAgreementRequired", &words);
    world.let_polls_pass(4).await;
    assert_eq!(world.journal("UpdatePrivacyAgreementRecord").await.len(), 0);
    assert_created(&world, 0).await;

    connect_with(&world, json!({ "privacyAgreement": "Accepted" })).await;
    eventually("the consent is recorded", async || {
        let recorded = world.effects("UpdatePrivacyAgreementRecord").await.len();
        if recorded == 1 { Ok(()) } else { Err(recorded.to_string()) }
    })
    .await;
    assert_recovers(&world, "photos", 80).await;
    assert_eq!(world.journal("UpdatePrivacyAgreementRecord").await.len(), 1, "once is enough");
    assert_created(&world, 1).await;
}
