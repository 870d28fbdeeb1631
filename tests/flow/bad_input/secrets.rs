//! Secrets that are missing, or lack a key.

use oms_operator::api::Phase;
use serde_json::json;

use super::{
    assert_calm, assert_connection_told, assert_created, assert_recovers, assert_told, connect_with, hurried,
    write_secrets,
};
use crate::migration::condition;
use crate::world::{DESTINATION_SECRET, OMS_SECRET, SOURCE_SECRET};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_bucket_secret_is_named_and_its_creation_is_enough() {
    let world = hurried().start().await;
    world.put_objects(2).await;
    world.wait_connection("default", "True", "Connected").await;
    for (name, secret, field) in [
        ("no-source", SOURCE_SECRET, "`source.credentials.secretRef`"),
        ("no-destination", DESTINATION_SECRET, "`destination.credentials.secretRef`"),
    ] {
        world.delete_secret(secret).await;
        let migration = world.migration(name).kubectl_apply().await;
        let waiting = migration.wait_condition("Ready", "False", "SecretNotFound").await;
        let named = format!("Secret `{secret}`");
        let words = [&*named, field, "does not exist", "Create it"];
        assert_told(&waiting, Phase::Pending, "SecretNotFound", &words);
        assert_eq!(
            condition(&waiting, "CredentialsReady"),
            Some(("False".to_owned(), "SecretNotFound".to_owned()))
        );
        let keys = if secret == SOURCE_SECRET { &world.source_keys } else { &world.destination_keys };
        let (access, key) = (keys.access.clone(), keys.secret.clone());
        world.secret(secret, &[("accessKey", &access), ("secretKey", &key)]).await;
        assert_recovers(&world, name, 80).await;
    }
    assert_created(&world, 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_connection_secret_is_named_at_the_connection_and_at_its_tasks() {
    let world = hurried().unconnected().start().await;
    world.put_objects(2).await;
    write_secrets(&world, None).await;
    world.delete_secret(OMS_SECRET).await;
    connect_with(&world, json!({})).await;
    let migration = world.migration("photos").kubectl_apply().await;
    let connection = world.wait_connection("default", "False", "SecretNotFound").await;
    assert_connection_told(
        &connection,
        &["Secret `huawei`", "`spec.credentials.secretRef`", "does not exist", "Create it"],
    );
    let waiting = migration.wait_condition("Ready", "False", "ConnectionNotReady").await;
    let words = ["Connection `default` is not ready", "Secret `huawei`", "Create it"];
    assert_told(&waiting, Phase::Pending, "ConnectionNotReady", &words);
    assert_created(&world, 0).await;

    let keys = world.oms_keys.clone();
    world.secret(OMS_SECRET, &[("accessKey", &keys.access), ("secretKey", &keys.secret)]).await;
    world.wait_connection("default", "True", "Connected").await;
    assert_recovers(&world, "photos", 40).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_a_secret_lacks_is_named_under_its_custom_name_too() {
    let world = hurried().start().await;
    world.put_objects(2).await;
    world.wait_connection("default", "True", "Connected").await;
    let keys = world.source_keys.clone();

    world.secret(SOURCE_SECRET, &[("accessKey", &keys.access), ("secretKey", "")]).await;
    let usual = world.migration("usual").kubectl_apply().await;
    let waiting = usual.wait_condition("Ready", "False", "SecretKeyMissing").await;
    let words = ["Secret `aws-source`", "`source.credentials.secretRef`", "key `secretKey`", "Add it"];
    assert_told(&waiting, Phase::Pending, "SecretKeyMissing", &words);

    let custom = world
        .migration("custom")
        .with(
            "/source/credentials/secretRef",
            json!({ "name": "team", "keys": { "accessKey": "AWS_ACCESS_KEY_ID", "secretKey": "AWS_SECRET_ACCESS_KEY" } }),
        )
        .with("/destination/prefix", "custom/");
    // The usual names are there, but others are asked for.
    world.secret("team", &[("accessKey", &keys.access), ("secretKey", &keys.secret)]).await;
    let custom = custom.kubectl_apply().await;
    let waiting = custom.wait_condition("Ready", "False", "SecretKeyMissing").await;
    let words = ["Secret `team`", "`source.credentials.secretRef`", "key `AWS_ACCESS_KEY_ID`"];
    assert_told(&waiting, Phase::Pending, "SecretKeyMissing", &words);
    assert_created(&world, 0).await;
    assert_calm(&world, 10).await;

    world.secret(SOURCE_SECRET, &[("accessKey", &keys.access), ("secretKey", &keys.secret)]).await;
    let contents = [("AWS_ACCESS_KEY_ID", &*keys.access), ("AWS_SECRET_ACCESS_KEY", &*keys.secret)];
    world.secret("team", &contents).await;
    assert_recovers(&world, "usual", 80).await;
    assert_recovers(&world, "custom", 80).await;
    assert_created(&world, 2).await;
}
