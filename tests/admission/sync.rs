//! SyncTasks and SyncEvents at admission.

use kube::{
    Api,
    api::{DynamicObject, Patch, PatchParams, PostParams},
};
use oms_operator::api::{SyncEvent, SyncTask};
use serde_json::{Value, json};

use super::{About, client, dry_run, every_rule_is_shown, merged, options, resource_of, verdict};

pub(crate) fn sync_task() -> Value {
    json!({
        "source": {
            "cloudType": "AWS", "region": "eu-west-1", "bucket": "photos",
            "credentials": { "secretRef": { "name": "aws" } },
        },
        "destination": { "bucket": "archive" },
    })
}

fn manifest(kind: &str, spec: Value) -> Value {
    json!({
        "apiVersion": "oms-operator.io/v1alpha1", "kind": kind,
        "metadata": { "generateName": "row-" }, "spec": spec,
    })
}

pub(crate) fn event(keys: Vec<String>) -> Value {
    json!({ "syncTaskRef": { "name": "photos" }, "objectKeys": keys })
}

fn keys(count: usize, letters: usize) -> Vec<String> {
    (0..count).map(|number| format!("{number:0letters$}")).collect()
}

#[tokio::test]
async fn sync_tasks_that_oms_would_refuse_are_refused_with_advice() {
    let api = Api::<DynamicObject>::namespaced_with(client().await, "default", &resource_of::<SyncTask>());
    let refused = [
        (json!({ "source": { "cloudType": "Google" } }), "spec.source.cloudType", "no sync tasks for Google"),
        (json!({ "source": { "cloudType": "URLSource" } }), "spec.source.cloudType", "reads from a bucket"),
        (json!({ "source": { "cloudType": "Tencent" } }), "spec.source.appId", "needs `appId`"),
        (json!({ "source": { "appId": "1" } }), "spec.source.appId", "Only Tencent"),
        (json!({ "source": { "bucket": "s3://photos" } }), "spec.source.bucket", "bare name"),
        (json!({ "source": { "region": null } }), "spec.source.region", "Required"),
        (json!({ "source": { "credentials": null } }), "spec.source.credentials", "Required"),
        (
            json!({ "source": { "credentials": { "secretRef": { "keys": { "securityToken": "t" } } } } }),
            "spec.source.credentials",
            "permanent access keys only",
        ),
        (
            json!({ "source": { "cloudType": "Azure",
                "credentials": { "secretRef": { "keys": { "connectionString": "c" } } } } }),
            "spec.source.credentials",
            "also of Azure",
        ),
        (
            json!({ "destination": { "credentials": { "secretRef": { "name": "o", "keys": { "securityToken": "t" } } } } }),
            "spec.destination.credentials",
            "permanent access keys only",
        ),
        (json!({ "consistencyCheck": "no_check" }), "spec.consistencyCheck", "is for URLs"),
        (json!({ "consistencyCheck": "crc64" }), "spec.consistencyCheck", "keep a CRC64"),
        (json!({ "managementPolicy": "Observe" }), "spec.adopt", "name it in `adopt`"),
        (json!({ "source": null }), "spec.source", "add `source`"),
        (json!({ "destination": null }), "spec.destination", "add `destination`"),
        (
            json!({ "source": { "credentials": { "secretRef": { "keys": { "username": "u" } } } } }),
            "spec.source.credentials",
            "A bucket takes no login",
        ),
        (json!({ "description": "photos (new)" }), "spec.description", "OMS refuses the characters"),
        (json!({ "description": "x".repeat(215) }), "spec.description", "214"),
    ];
    let accepted = [
        json!({}),
        json!({ "source": { "cloudType": "Tencent", "appId": "1250000000" }, "consistencyCheck": "crc64" }),
        json!({ "source": { "cloudType": "Azure" }, "description": "x^y".repeat(71) }),
        json!({ "destination": { "region": "cn-north-4", "storagePolicy": "DEEP_ARCHIVE" }, "suspend": true }),
        json!({ "source": { "cdn": { "domain": "cdn.example.com", "protocol": "https" } }, "enableRestore": true }),
    ];
    let rows = refused.into_iter().map(|(patch, field, fragment)| (sync_task(), patch, field, fragment));
    // What it shares with the others: a CDN, and how OMS keeps keys.
    let shared = options::refused()
        .into_iter()
        .filter(|(base, ..)| base["source"]["cloudType"] != "URLSource" && base["notification"].is_null());
    let shared = shared.map(|(base, patch, field, fragment)| {
        let mut source = base["source"].clone();
        source.as_object_mut().unwrap().remove("objectKeys");
        (json!({ "source": source, "destination": base["destination"] }), patch, field, fragment)
    });
    let (mut failures, mut said) = (Vec::new(), Vec::new());
    for (base, patch, field, fragment) in rows.chain(shared) {
        match dry_run(&api, &manifest("SyncTask", merged(base, &patch))).await {
            Ok(_) => failures.push(format!("accepted {patch}")),
            Err(message) if !message.contains(&format!("{field}:")) || !message.contains(fragment) => {
                failures.push(format!("{patch}: {message}"));
            }
            Err(message) => said.push(message),
        }
    }
    for patch in accepted {
        if let Err(message) = dry_run(&api, &manifest("SyncTask", merged(sync_task(), &patch))).await {
            failures.push(format!("refused {patch}: {message}"));
        }
    }
    verdict(failures);
    every_rule_is_shown::<SyncTask>(About::Values, &said.join("\n"));
}

#[tokio::test]
async fn a_sync_task_is_frozen_once_it_was_created_but_for_its_keys() {
    let api = Api::<DynamicObject>::namespaced_with(client().await, "default", &resource_of::<SyncTask>());
    let made = serde_json::from_value(manifest("SyncTask", sync_task())).unwrap();
    let name = api.create(&PostParams::default(), &made).await.unwrap().metadata.name.unwrap();
    let edit = async |spec: Value| {
        let patch = Patch::Merge(json!({ "spec": spec }));
        api.patch(&name, &PatchParams::default(), &patch).await.map(drop).map_err(|error| error.to_string())
    };
    edit(json!({ "source": { "bucket": "corrected" } })).await.unwrap();
    let created = Patch::Merge(json!({ "status": { "taskId": "8c6c2a35-0000-4000-8000-000000000001" } }));
    api.patch_status(&name, &PatchParams::default(), &created).await.unwrap();
    let (mut failures, mut said) = (Vec::new(), Vec::new());
    for (patch, field) in [
        (json!({ "connectionRef": { "name": "other" } }), "connectionRef"),
        (json!({ "source": { "cloudType": "Baidu" } }), "source.cloudType"),
        (json!({ "adopt": { "syncTaskId": "s" } }), "adopt"),
        (json!({ "source": { "cloudType": "Tencent", "appId": "1" } }), "source.appId"),
        (json!({ "source": { "cloudType": "Aliyun" }, "consistencyCheck": "crc64" }), "consistencyCheck"),
        (json!({ "source": { "region": "eu-west-2" } }), "source.region"),
        (json!({ "source": { "bucket": "other" } }), "source.bucket"),
        (json!({ "source": { "cdn": { "domain": "c.example.com", "protocol": "http" } } }), "source.cdn"),
        (json!({ "destination": { "region": "cn-north-4" } }), "destination.region"),
        (json!({ "destination": { "bucket": "other" } }), "destination.bucket"),
        (json!({ "destination": { "storagePolicy": "IA" } }), "destination.storagePolicy"),
        (json!({ "enableMetadataMigration": true }), "enableMetadataMigration"),
        (json!({ "enableRestore": true }), "enableRestore"),
        (json!({ "description": "another" }), "description"),
    ] {
        match edit(patch.clone()).await {
            Ok(()) => failures.push(format!("accepted {patch}")),
            Err(message)
                if !message.contains(&format!("`{field}` is frozen"))
                    || !message.contains("create another SyncTask") =>
            {
                failures.push(format!("{patch}: {message}"));
            }
            Err(message) => said.push(message),
        }
    }
    for patch in [
        json!({ "suspend": true }),
        json!({ "source": { "credentials": { "secretRef": { "name": "rotated" } } } }),
        json!({ "destination": { "credentials": { "secretRef": { "name": "obs" } } } }),
        json!({ "deletionPolicy": "Orphan" }),
    ] {
        if let Err(message) = edit(patch.clone()).await {
            failures.push(format!("refused {patch}: {message}"));
        }
    }
    verdict(failures);
    every_rule_is_shown::<SyncTask>(About::Changes, &said.join("\n"));
}

#[tokio::test]
async fn a_sync_event_holds_a_thousand_keys_and_more_are_refused_with_the_way_out() {
    let api = Api::<DynamicObject>::namespaced_with(client().await, "default", &resource_of::<SyncEvent>());
    let ask = async |spec: Value| dry_run(&api, &manifest("SyncEvent", spec)).await.map(drop);
    // A thousand of the longest keys: as much as etcd and the API server take.
    ask(event(keys(1000, 1024))).await.unwrap();
    ask(merged(event(keys(1, 1)), &json!({ "ttlAfterFinished": "24h" }))).await.unwrap();
    ask(merged(event(keys(1, 1)), &json!({ "ttlAfterFinished": 3600 }))).await.unwrap();
    let mut said = Vec::new();
    let umlauts = vec!["ä".repeat(513)];
    for (spec, fragment) in [
        (event(keys(1001, 4)), "at most 1000 keys: split them over several SyncEvents"),
        (event(Vec::new()), "objectKeys"),
        (event(vec![String::new()]), "objectKeys"),
        (event(keys(1, 1025)), "objectKeys"),
        (event(umlauts), "at most 1024 bytes"),
        (merged(event(keys(1, 1)), &json!({ "syncTaskRef": null })), "syncTaskRef"),
        (
            merged(event(keys(1, 1)), &json!({ "syncTaskRef": { "name": "other/photos" } })),
            "syncTaskRef.name",
        ),
        (merged(event(keys(1, 1)), &json!({ "ttlAfterFinished": "1w" })), "ttlAfterFinished"),
        (merged(event(keys(1, 1)), &json!({ "ttlAfterFinished": -1 })), "ttlAfterFinished"),
    ] {
        let refusal = ask(spec).await.unwrap_err();
        assert!(refusal.contains(fragment), "wanted {fragment}, got {refusal}");
        said.push(refusal);
    }
    every_rule_is_shown::<SyncEvent>(About::Values, &said.join("\n"));
}

#[tokio::test]
async fn a_sync_event_cannot_be_changed() {
    let api = Api::<DynamicObject>::namespaced_with(client().await, "default", &resource_of::<SyncEvent>());
    let made = serde_json::from_value(manifest("SyncEvent", event(keys(2, 1)))).unwrap();
    let name = api.create(&PostParams::default(), &made).await.unwrap().metadata.name.unwrap();
    for patch in [
        json!({ "objectKeys": ["other"] }),
        json!({ "objectKeys": ["0"] }),
        json!({ "objectKeys": ["0", "1", "2"] }),
        json!({ "objectKeys": ["1", "0"] }),
        json!({ "syncTaskRef": { "name": "other" } }),
        json!({ "ttlAfterFinished": "1h" }),
    ] {
        let edited = api.patch(&name, &PatchParams::default(), &Patch::Merge(json!({ "spec": patch }))).await;
        let refusal = edited.unwrap_err().to_string();
        assert!(refusal.contains("A SyncEvent cannot be changed"), "{refusal}");
    }
    let label = Patch::Merge(json!({ "metadata": { "labels": { "batch": "1" } } }));
    api.patch(&name, &PatchParams::default(), &label).await.unwrap();
}
