//! What OMS cannot change in a task is frozen from the intent to create.

use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api, Client,
    api::{Patch, PatchParams, PostParams},
};
use oms_operator::api::MigrationTask;
use serde_json::{Value, json};

use super::{About, client, every_rule_is_shown, list, merged, object, task, verdict, window};

/// A namespace of the test's own, so that tests share nothing.
async fn namespace(client: &Client) -> String {
    let namespace = serde_json::from_value(json!({ "metadata": { "generateName": "admission-" } })).unwrap();
    let api = Api::<Namespace>::all(client.clone());
    api.create(&PostParams::default(), &namespace).await.unwrap().metadata.name.unwrap()
}

/// A task with every optional field that is frozen.
fn complete() -> Value {
    merged(
        object(),
        &json!({
            "connectionRef": { "name": "default" },
            "adopt": { "taskId": "200477729979132" },
            "source": {
                "cloudType": "Tencent", "appId": "1", "objectKeys": ["a", "b"],
                "cdn": {
                    "domain": "cdn.example.com", "protocol": "https", "authenticationType": "TENCENT_COS_A",
                    "authenticationKey": { "secretRef": { "name": "cdn" } },
                },
            },
            "notification": { "topicUrn": "urn:smn:cn-north-4:0f1e2d3c:migrations", "triggers": ["SUCCESS", "FAILURE"] },
            "destination": { "region": "cn-north-4", "prefix": "p/" },
            "migrateSince": "2024-01-01T00:00:00Z",
            "description": "weekly",
            "acknowledge": ["FullOverwrite"],
        }),
    )
}

struct Stored {
    api: Api<MigrationTask>,
    name: String,
}

impl Stored {
    async fn create(client: &Client, namespace: &str, spec: Value) -> Self {
        let api = Api::<MigrationTask>::namespaced(client.clone(), namespace);
        let object: MigrationTask = serde_json::from_value(task(spec)).unwrap();
        let name = api.create(&PostParams::default(), &object).await.unwrap().metadata.name.unwrap();
        Self { api, name }
    }

    async fn status(&self, status: Value) {
        let patch = Patch::Merge(json!({ "status": status }));
        self.api.patch_status(&self.name, &PatchParams::default(), &patch).await.unwrap();
    }

    async fn edit(&self, spec: Value) -> Result<MigrationTask, String> {
        let patch = Patch::Merge(json!({ "spec": spec }));
        match self.api.patch(&self.name, &PatchParams::default(), &patch).await {
            Ok(object) => Ok(object),
            Err(kube::Error::Api(status)) => Err(status.message),
            Err(other) => panic!("the server did not answer: {other}"),
        }
    }
}

fn intent() -> Value {
    json!({ "create": { "token": "t-1", "startedAt": "2026-01-01T00:00:00Z" } })
}

#[tokio::test]
async fn what_oms_cannot_change_is_frozen_once_the_task_was_created() {
    let client = client().await;
    let namespace = namespace(&client).await;
    let with_all = Stored::create(&client, &namespace, complete()).await;
    let with_none = Stored::create(&client, &namespace, object()).await;
    let with_list = Stored::create(&client, &namespace, list()).await;
    for stored in [&with_all, &with_none, &with_list] {
        stored.status(json!({ "taskId": "200477729979132" })).await;
    }
    let rows = [
        (&with_all, "connectionRef", json!({ "connectionRef": { "name": "other" } })),
        (&with_all, "connectionRef", json!({ "connectionRef": { "kind": "ClusterConnection" } })),
        (&with_all, "connectionRef", json!({ "connectionRef": null })),
        (&with_none, "connectionRef", json!({ "connectionRef": { "name": "default" } })),
        (&with_all, "adopt", json!({ "adopt": { "taskId": "1" } })),
        (&with_all, "adopt", json!({ "adopt": null })),
        (&with_none, "adopt", json!({ "adopt": { "taskId": "200477729979132" } })),
        (&with_all, "type", json!({ "type": "prefix" })),
        (&with_all, "source.cloudType", json!({ "source": { "cloudType": "AWS", "appId": null } })),
        (&with_all, "source.region", json!({ "source": { "region": "us-east-1" } })),
        (&with_all, "source.bucket", json!({ "source": { "bucket": "other" } })),
        (&with_all, "source.objectKeys", json!({ "source": { "objectKeys": ["a"] } })),
        (&with_list, "source.listFile", json!({ "source": { "listFile": { "key": "other.txt" } } })),
        (&with_all, "source.appId", json!({ "source": { "appId": "2" } })),
        (&with_all, "source.cdn", json!({ "source": { "cdn": { "domain": "other.example.com" } } })),
        (&with_all, "source.cdn", json!({ "source": { "cdn": { "protocol": "http" } } })),
        (&with_all, "source.cdn", json!({ "source": { "cdn": { "authenticationType": "TENCENT_COS_B" } } })),
        (&with_all, "source.cdn", json!({ "source": { "cdn": null } })),
        (
            &with_none,
            "source.cdn",
            json!({ "source": { "cdn": { "domain": "cdn.example.com", "protocol": "https" } } }),
        ),
        (&with_all, "notification", json!({ "notification": { "triggers": ["FAILURE"] } })),
        (&with_all, "notification", json!({ "notification": { "language": "zh-cn" } })),
        (&with_all, "notification", json!({ "notification": null })),
        (
            &with_none,
            "notification",
            json!({ "notification": { "topicUrn": "urn:smn:cn-north-4:0f1e2d3c:migrations", "triggers": ["FAILURE"] } }),
        ),
        (&with_all, "destination.region", json!({ "destination": { "region": "cn-east-3" } })),
        (&with_all, "destination.region", json!({ "destination": { "region": null } })),
        (&with_none, "destination.region", json!({ "destination": { "region": "cn-north-4" } })),
        (&with_all, "destination.bucket", json!({ "destination": { "bucket": "other" } })),
        (&with_all, "destination.prefix", json!({ "destination": { "prefix": "q/" } })),
        (&with_all, "destination.prefix", json!({ "destination": { "prefix": null } })),
        (&with_none, "destination.prefix", json!({ "destination": { "prefix": "q/" } })),
        (&with_all, "destination.storagePolicy", json!({ "destination": { "storagePolicy": "IA" } })),
        (&with_all, "overwriteMode", json!({ "overwriteMode": "FULL_OVERWRITE" })),
        (&with_all, "consistencyCheck", json!({ "consistencyCheck": "crc64" })),
        (&with_all, "migrateSince", json!({ "migrateSince": "2025-01-01T00:00:00Z" })),
        (&with_all, "migrateSince", json!({ "migrateSince": null })),
        (&with_none, "migrateSince", json!({ "migrateSince": "2025-01-01T00:00:00Z" })),
        (&with_all, "enableMetadataMigration", json!({ "enableMetadataMigration": true })),
        (&with_all, "enableRestore", json!({ "enableRestore": true })),
        (&with_all, "enableFailedObjectRecording", json!({ "enableFailedObjectRecording": false })),
        (&with_all, "enableRequesterPays", json!({ "enableRequesterPays": true })),
        (&with_all, "description", json!({ "description": "monthly" })),
        (&with_all, "description", json!({ "description": null })),
        (&with_none, "description", json!({ "description": "monthly" })),
    ];
    let (mut failures, mut said) = (Vec::new(), Vec::new());
    for (stored, field, patch) in rows {
        let wanted = format!("spec.{field}: Forbidden: `{field}` is frozen");
        match stored.edit(patch.clone()).await {
            Ok(_) => failures.push(format!("accepted {patch}")),
            Err(message)
                if !message.contains(&wanted) || !message.contains("create another MigrationTask") =>
            {
                failures.push(format!("{patch}\n    {message}"));
            }
            Err(message) => said.push(message),
        }
    }
    verdict(failures);
    every_rule_is_shown::<MigrationTask>(About::Changes, &said.join("\n"));
}

#[tokio::test]
async fn what_oms_can_change_stays_editable_after_the_task_was_created() {
    let client = client().await;
    let namespace = namespace(&client).await;
    let stored = Stored::create(&client, &namespace, complete()).await;
    stored.status(json!({ "taskId": "200477729979132" })).await;
    let rows = [
        json!({ "priority": "HIGH" }),
        window("08:00", "20:00", json!("50Mi")),
        json!({ "bandwidthPolicy": null }),
        json!({ "suspend": true }),
        json!({ "suspend": null }),
        json!({ "deletionPolicy": "Orphan" }),
        json!({ "managementPolicy": "Observe" }),
        json!({ "managementPolicy": "Manage" }),
        json!({ "driftPolicy": "Enforce" }),
        json!({ "readyWhen": "Started" }),
        json!({ "acknowledge": ["RestoreAgain"] }),
        json!({ "source": { "credentials": { "secretRef": { "name": "rotated" } } } }),
        json!({ "destination": { "credentials": { "secretRef": { "name": "obs" } } } }),
        json!({ "destination": { "credentials": null } }),
        json!({ "source": { "credentials": { "crypto": { "type": "DEFAULT" } } } }),
        json!({ "source": { "cdn": { "authenticationKey": { "secretRef": { "name": "rotated", "key": "k" } } } } }),
        json!({ "source": { "cdn": { "crypto": {
            "type": "KMS", "kmsKeyId": "0d0466b0-e727-4d9c-b35d-f84bb474a37f",
        }}}}),
        json!({ "source": { "cdn": { "crypto": null } } }),
        json!({ "source": { "cdn": { "crypto": null, "authenticationKey": null } } }),
        // The order of names, and of triggers, means nothing.
        json!({ "notification": { "triggers": ["FAILURE", "SUCCESS"] } }),
        json!({ "source": { "objectKeys": ["b", "a"] } }),
    ];
    for patch in rows {
        stored.edit(patch.clone()).await.unwrap_or_else(|message| panic!("{patch}: {message}"));
    }
    stored.status(json!({ "phase": "Running" })).await;
    stored.status(json!({ "taskId": null, "phase": "Failed" })).await;
}

#[tokio::test]
async fn a_frozen_field_cannot_be_changed_by_removing_it_and_adding_it_again() {
    let client = client().await;
    let namespace = namespace(&client).await;
    let stored = Stored::create(&client, &namespace, complete()).await;
    stored.status(intent()).await;
    let refusal = stored.edit(json!({ "destination": { "prefix": null } })).await.unwrap_err();
    assert!(refusal.contains("`destination.prefix` is frozen"), "{refusal}");
    // All at once: put back under another value by a replacement of the whole object.
    let mut object = stored.api.get(&stored.name).await.unwrap();
    object.spec.destination.as_mut().unwrap().prefix = Some("elsewhere/".into());
    let refusal = stored.api.replace(&stored.name, &PostParams::default(), &object).await.unwrap_err();
    assert!(refusal.to_string().contains("`destination.prefix` is frozen"), "{refusal}");
}

#[tokio::test]
async fn the_spec_is_frozen_by_the_intent_and_thawed_by_a_refusal() {
    let client = client().await;
    let namespace = namespace(&client).await;
    let stored = Stored::create(&client, &namespace, object()).await;
    stored.edit(json!({ "source": { "bucket": "typo-corrected" } })).await.unwrap();
    stored.status(json!({ "phase": "Pending" })).await;
    stored.edit(json!({ "source": { "bucket": "corrected-again" } })).await.unwrap();
    stored.status(intent()).await;
    let refusal = stored.edit(json!({ "source": { "bucket": "too-late" } })).await.unwrap_err();
    assert!(refusal.contains("`source.bucket` is frozen"), "{refusal}");
    stored.status(json!({ "create": null })).await;
    stored.edit(json!({ "source": { "bucket": "after-a-refusal" } })).await.unwrap();
}

#[tokio::test]
async fn what_is_only_observed_may_say_later_what_it_is_but_not_become_another_task() {
    let client = client().await;
    let namespace = namespace(&client).await;
    let bare = json!({ "adopt": { "taskId": "200477729979132" }, "managementPolicy": "Observe" });
    let stored = Stored::create(&client, &namespace, bare).await;
    stored.status(json!({ "taskId": "200477729979132", "adopted": true })).await;
    let refusal = stored.edit(json!({ "managementPolicy": "Manage" })).await.unwrap_err();
    assert!(refusal.contains("add `source`") && refusal.contains("add `destination`"), "{refusal}");
    for patch in [json!({ "adopt": { "taskId": "1" } }), json!({ "connectionRef": { "name": "other" } })] {
        let refusal = stored.edit(patch.clone()).await.unwrap_err();
        assert!(refusal.contains("is frozen"), "{patch}: {refusal}");
    }
    let buckets = merged(object(), &json!({ "managementPolicy": "Manage" }));
    stored.edit(buckets).await.unwrap();
}

/// Regression: `status.differences` asked for a correction of the manifest, which was refused.
#[tokio::test]
async fn the_manifest_of_an_adopted_task_can_be_corrected_but_not_whose_it_is() {
    let client = client().await;
    let namespace = namespace(&client).await;
    let stored = Stored::create(&client, &namespace, complete()).await;
    stored.status(json!({ "taskId": "200477729979132", "adopted": true })).await;
    stored.edit(json!({ "destination": { "prefix": "corrected/" }, "description": null })).await.unwrap();
    for whose in [json!({ "adopt": { "taskId": "7" } }), json!({ "connectionRef": { "name": "another" } })] {
        let refused = stored.edit(whose).await.unwrap_err();
        assert!(refused.contains("is frozen"), "{refused}");
    }
    // Another run made a task from this very spec.
    stored.status(json!({ "taskId": "200477729979133", "adopted": false })).await;
    let refused = stored.edit(json!({ "destination": { "prefix": "other/" } })).await.unwrap_err();
    assert!(refused.contains("`destination.prefix` is frozen"), "{refused}");
}
