//! Endpoints that are down, are not OMS, or may not be called.

use k8s_openapi::api::core::v1::ConfigMap;
use oms_operator::api::Phase;
use serde_json::json;

use super::front::Front;
use super::{
    assert_connection_told, assert_created, assert_recovers, assert_told, connect_with, hurried,
    write_secrets,
};
use crate::tls::AUTHORITY;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_that_is_down_or_no_oms_is_told_until_it_is_oms() {
    let world = hurried().unconnected().start().await;
    world.put_objects(2).await;
    write_secrets(&world, None).await;
    let mut front = Front::reserve().await;
    connect_with(&world, json!({ "endpoint": front.url() })).await;
    let migration = world.migration("photos").kubectl_apply().await;
    let down = world.wait_connection("default", "False", "EndpointUnreachable").await;
    assert_connection_told(&down, &["`spec.endpoint`", "Check", "the operator tries again by itself"]);
    let waiting = migration.wait_condition("Ready", "False", "ConnectionNotReady").await;
    let words = ["Connection `default` is not ready", "`spec.endpoint`", "Check"];
    assert_told(&waiting, Phase::Pending, "ConnectionNotReady", &words);

    front.html().await;
    let page = migration
        .wait("tells of a web page", |task| crate::migration::message(task, "Ready").contains("HTML"))
        .await;
    assert_told(&page, Phase::Pending, "ConnectionNotReady", &["HTML", "`spec.endpoint`", "Check"]);
    let connection = world.wait_connection("default", "False", "EndpointUnreachable").await;
    assert_connection_told(&connection, &["HTML", "`spec.endpoint`"]);

    front.lead_to(&world.emulator.endpoints().oms).await;
    world.wait_connection("default", "True", "Connected").await;
    assert_recovers(&world, "photos", 40).await;
    assert_created(&world, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_that_nobody_vouches_for_is_told_with_the_field_that_mends_it() {
    let world = hurried().unconnected().start().await;
    world.put_objects(2).await;
    write_secrets(&world, None).await;
    let mut front = Front::reserve().await;
    front.lead_encrypted_to(&world.emulator.endpoints().oms).await;
    let endpoint = front.url().replace("http://", "https://");
    connect_with(&world, json!({ "endpoint": endpoint })).await;
    world.migration("photos").kubectl_apply().await;
    let distrusted = world.wait_connection("default", "False", "EndpointUnreachable").await;
    let words = ["certificate", "`spec.endpoint`", "`spec.caBundle`", "the operator tries again by itself"];
    assert_connection_told(&distrusted, &words);

    let authority = std::fs::read_to_string(AUTHORITY).unwrap();
    let map = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "ca" }, "data": { "ca.crt": authority },
    });
    world.apply::<ConfigMap>(map).await;
    connect_with(&world, json!({ "endpoint": endpoint, "caBundle": { "configMapRef": { "name": "ca" } } }))
        .await;
    world.wait_connection("default", "True", "Connected").await;
    assert_recovers(&world, "photos", 40).await;
    assert_created(&world, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_that_goes_down_under_a_running_task_loses_nothing() {
    let world = hurried().behaving("objectRate", 4.0).unconnected().start().await;
    world.put_objects(20).await;
    let mut front = Front::reserve().await;
    front.lead_to(&world.emulator.endpoints().oms).await;
    write_secrets(&world, None).await;
    connect_with(&world, json!({ "endpoint": front.url() })).await;
    let migration = world.migration("photos").kubectl_apply().await;
    let running = migration.wait_condition("Ready", "False", "Running").await;

    front.html().await;
    world.let_polls_pass(6).await;
    front.down().await;
    world.let_polls_pass(6).await;
    let meanwhile = migration.get().await;
    let id = |task: &oms_operator::api::MigrationTask| task.status.as_ref().unwrap().task_id.clone();
    assert_eq!(id(&meanwhile), id(&running), "silence is no news about the task");
    assert_eq!(crate::migration::phase_of(&meanwhile), Some(Phase::Running));

    front.lead_to(&world.emulator.endpoints().oms).await;
    assert_recovers(&world, "photos", 400).await;
    assert_created(&world, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_beside_the_allow_list_is_never_called() {
    let world = hurried().unconnected().start().await;
    world.put_objects(2).await;
    write_secrets(&world, None).await;
    connect_with(&world, json!({ "endpoint": "https://oms.attacker.example" })).await;
    let migration = world.migration("photos").kubectl_apply().await;
    let refused = world.wait_connection("default", "False", "EndpointNotAllowed").await;
    let words = ["`spec.endpoint`", "https://oms.attacker.example", "Correct it", "administrator"];
    assert_connection_told(&refused, &words);
    let waiting = migration.wait_condition("Ready", "False", "ConnectionNotReady").await;
    assert_told(&waiting, Phase::Pending, "ConnectionNotReady", &["oms.attacker.example", "administrator"]);

    connect_with(&world, json!({})).await;
    world.wait_connection("default", "True", "Connected").await;
    assert_recovers(&world, "photos", 40).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_iam_beside_the_allow_list_is_never_called() {
    let world = hurried().unconnected().start().await;
    world.put_objects(1).await;
    write_secrets(&world, None).await;
    connect_with(&world, json!({ "projectId": null, "iamEndpoint": "https://iam.attacker.example" })).await;
    let refused = world.wait_connection("default", "False", "EndpointNotAllowed").await;
    assert_connection_told(
        &refused,
        &["`spec.iamEndpoint`", "https://iam.attacker.example", "administrator"],
    );
    assert_created(&world, 0).await;
    connect_with(&world, json!({ "projectId": null, "iamEndpoint": world.emulator.endpoints().iam })).await;
    world.wait_connection("default", "True", "Connected").await;
}
