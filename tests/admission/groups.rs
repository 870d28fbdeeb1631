//! TaskGroups: what OMS takes of a group, and what of it is frozen.

use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api,
    api::{DynamicObject, Patch, PatchParams, PostParams},
};
use oms_operator::api::TaskGroup;
use serde_json::{Value, json};

use super::{About, client, dry_run, every_rule_is_shown, merged, options, resource_of, verdict, window};

pub(crate) fn prefixes() -> Value {
    json!({
        "source": {
            "cloudType": "AWS", "region": "eu-west-1", "bucket": "photos", "objectKeys": [""],
            "credentials": { "secretRef": { "name": "aws" } },
        },
        "destination": { "bucket": "archive", "credentials": { "secretRef": { "name": "obs" } } },
    })
}

fn lists() -> Value {
    merged(
        prefixes(),
        &json!({ "type": "list", "source": {
            "objectKeys": null, "listFile": { "bucket": "lists", "key": "names/" },
        }}),
    )
}

fn urls() -> Value {
    json!({
        "type": "url_list",
        "source": { "cloudType": "URLSource", "listFile": { "bucket": "lists", "key": "urls/" } },
        "destination": { "bucket": "archive" },
    })
}

fn group(spec: Value) -> Value {
    json!({
        "apiVersion": "oms-operator.io/v1alpha1", "kind": "TaskGroup",
        "metadata": { "generateName": "row-" }, "spec": spec,
    })
}

#[tokio::test]
async fn defaults_of_a_group_are_filled_in_and_nothing_else() {
    let api = Api::<DynamicObject>::namespaced_with(client().await, "default", &resource_of::<TaskGroup>());
    let stored = dry_run(&api, &group(prefixes())).await.unwrap().data;
    let spec = &stored["spec"];
    assert_eq!((&spec["type"], &spec["readyWhen"]), (&json!("prefix"), &json!("Succeeded")));
    for absent in ["priority", "suspend", "bandwidthPolicy", "notification"] {
        assert!(spec.get(absent).is_none(), "{absent}: {spec}");
    }
    assert_eq!(stored["status"], json!({ "observedGeneration": -1 }));
}

#[tokio::test]
async fn a_group_takes_what_its_type_needs() {
    let api = Api::<DynamicObject>::namespaced_with(client().await, "default", &resource_of::<TaskGroup>());
    let named = |bucket: &str, key: &str| json!({ bucket: { "credentials": { "secretRef": { "keys": { key: "k" } } } } });
    let refused = [
        (prefixes(), json!({ "type": "object" }), "spec.type"),
        (prefixes(), json!({ "type": "PREFIX" }), "spec.type"),
        (prefixes(), json!({ "source": { "objectKeys": null } }), "Type `prefix` needs `objectKeys`"),
        (prefixes(), json!({ "source": { "objectKeys": ["a", ""] } }), "keep it alone"),
        (
            prefixes(),
            json!({ "source": { "listFile": { "bucket": "lists", "key": "names/" } } }),
            "remove `listFile`",
        ),
        (lists(), json!({ "source": { "listFile": null } }), "need `listFile`"),
        (lists(), json!({ "source": { "objectKeys": ["a"] } }), "remove `objectKeys`"),
        (lists(), json!({ "source": { "listFile": { "key": "names.txt" } } }), "with a slash at its end"),
        (lists(), json!({ "source": { "listFile": { "key": "/names/" } } }), "remove the slash in front"),
        (lists(), json!({ "source": { "listFile": { "bucket": "obs://lists" } } }), "bare name of a bucket"),
        (urls(), json!({ "source": { "cloudType": "AWS" } }), "URLSource"),
        (urls(), json!({ "enableRestore": true }), "remove `enableRestore`"),
        (prefixes(), json!({ "source": { "cloudType": "URLSource" } }), "URLSource"),
        (prefixes(), named("source", "securityToken"), "OMS takes no temporary keys for a group"),
        (prefixes(), named("destination", "securityToken"), "OMS takes no temporary keys for a group"),
        (prefixes(), json!({ "description": "a`b" }), "backquotes and backslashes"),
        (prefixes(), json!({ "description": "a\\b" }), "backquotes and backslashes"),
        (prefixes(), json!({ "description": "a<b" }), "in a description"),
        (prefixes(), json!({ "overwriteMode": "FULL_OVERWRITE" }), "acknowledge: [FullOverwrite]"),
        (prefixes(), json!({ "consistencyCheck": "no_check" }), "`no_check` is for type `url_list` only"),
        (prefixes(), json!({ "consistencyCheck": "crc64" }), "Only HuaweiCloud, Aliyun and Tencent"),
        (prefixes(), json!({ "destination": { "prefix": "/p" } }), "remove the slash"),
        (prefixes(), window("20:00", "08:00", json!("50Mi")), "A window ends later"),
        (prefixes(), json!({ "migrateSince": "2024-01-01T00:00:00.5Z" }), "whole seconds"),
        (prefixes(), json!({ "managementPolicy": "Observe" }), "name it in `adopt`"),
        (prefixes(), json!({ "source": null }), "add `source`"),
        (prefixes(), json!({ "destination": null }), "add `destination`"),
        (prefixes(), json!({ "source": { "cloudType": "Tencent" } }), "needs `appId`"),
        (prefixes(), json!({ "source": { "appId": "1" } }), "Only Tencent has an `appId`"),
        (prefixes(), named("source", "connectionString"), "Only Azure takes a connection string"),
        (prefixes(), named("source", "jsonAuthFile"), "Only Google takes a JSON credentials file"),
        (prefixes(), named("source", "password"), "A bucket takes no login"),
        (prefixes(), named("destination", "jsonAuthFile"), "OBS takes access keys only"),
        (prefixes(), json!({ "overwriteMode": "CRC64_COMPARISON_OVERWRITE" }), "NO_OVERWRITE for this cloud"),
        (prefixes(), json!({ "source": { "objectKeys": ["ä".repeat(513)] } }), "shorten the entry"),
        (prefixes(), json!({ "destination": { "prefix": "ä".repeat(513) } }), "shorten the prefix"),
        (
            prefixes(),
            json!({
                "source": { "objectKeys": ["k".repeat(1000)] }, "destination": { "prefix": "p".repeat(25) },
            }),
            "`destination.prefix` and each of `objectKeys` together",
        ),
        (
            lists(),
            json!({ "source": { "listFile": { "key": format!("{}/", "ä".repeat(512)) } } }),
            "rename the folder",
        ),
        (urls(), json!({ "enableRequesterPays": true }), "remove `enableRequesterPays`"),
        (prefixes(), window("08:00", "20:00", json!("201Mi")), "from 1Mi to 200Mi"),
        (
            prefixes(),
            json!({ "bandwidthPolicy": [
                { "start": "08:00", "end": "12:01", "maxBandwidth": "1Mi" },
                { "start": "12:00", "end": "18:00", "maxBandwidth": "1Mi" },
            ] }),
            "The windows overlap",
        ),
    ];
    let shared = options::refused().into_iter().map(|(base, patch, _, words)| {
        // The same of a group, whose lists are folders.
        let mut base = base;
        if base["type"] == "object" {
            base["type"] = json!("prefix");
        } else {
            base["source"]["listFile"]["key"] = json!("urls/");
        }
        (base, patch, words)
    });
    let refused: Vec<_> = refused.into_iter().chain(shared).collect();
    let accepted = [
        prefixes(),
        lists(),
        urls(),
        merged(prefixes(), &json!({ "source": { "objectKeys": ["2024/", "2025/"] } })),
        merged(urls(), &json!({ "consistencyCheck": "no_check", "acknowledge": ["NoCheck"] })),
        merged(prefixes(), &window("08:00", "20:00", json!("50Mi"))),
        merged(prefixes(), &json!({ "description": "weekly photos, all of them" })),
    ];
    let (mut failures, mut said) = (Vec::new(), Vec::new());
    for (base, patch, words) in &refused {
        match dry_run(&api, &group(merged(base.clone(), patch))).await {
            Ok(_) => failures.push(format!("{patch} was accepted")),
            Err(message) if !message.contains(words) => failures.push(format!("{patch}: {message}")),
            Err(message) => said.push(message),
        }
    }
    for spec in accepted {
        if let Err(message) = dry_run(&api, &group(spec.clone())).await {
            failures.push(format!("{spec} was refused: {message}"));
        }
    }
    verdict(failures);
    every_rule_is_shown::<TaskGroup>(About::Values, &said.join("\n"));
}

#[tokio::test]
async fn what_oms_cannot_change_in_a_group_is_frozen_once_it_was_created() {
    let client = client().await;
    let namespace: Namespace =
        serde_json::from_value(json!({ "metadata": { "generateName": "admission-" } })).unwrap();
    let namespace = Api::<Namespace>::all(client.clone())
        .create(&PostParams::default(), &namespace)
        .await
        .unwrap()
        .metadata
        .name
        .unwrap();
    let api = Api::<TaskGroup>::namespaced(client, &namespace);
    let stored = async |spec: Value| {
        let object: TaskGroup = serde_json::from_value(group(spec)).unwrap();
        let name = api.create(&PostParams::default(), &object).await.unwrap().metadata.name.unwrap();
        let edit = |patch: Value| json!({ "spec": patch });
        // Until then everything can be corrected.
        let before = Patch::Merge(edit(json!({ "description": "before" })));
        api.patch(&name, &PatchParams::default(), &before).await.unwrap();
        let status = Patch::Merge(json!({ "status": { "taskId": "c406e9a2-793e-40e4-be10-5e66cb412731" } }));
        api.patch_status(&name, &PatchParams::default(), &status).await.unwrap();
        name
    };
    let (of_prefixes, of_lists) = (stored(prefixes()).await, stored(lists()).await);
    let frozen = [
        (
            &of_prefixes,
            "type",
            json!({ "type": "list", "source": {
            "objectKeys": null, "listFile": { "bucket": "lists", "key": "names/" } } }),
        ),
        (&of_prefixes, "source.objectKeys", json!({ "source": { "objectKeys": ["2024/"] } })),
        (&of_prefixes, "source.bucket", json!({ "source": { "bucket": "other" } })),
        (&of_lists, "source.listFile", json!({ "source": { "listFile": { "key": "others/" } } })),
        (&of_prefixes, "destination.prefix", json!({ "destination": { "prefix": "q/" } })),
        (&of_prefixes, "description", json!({ "description": "after" })),
        (&of_prefixes, "enableRestore", json!({ "enableRestore": true })),
        (&of_prefixes, "connectionRef", json!({ "connectionRef": { "name": "other" } })),
        (&of_prefixes, "adopt", json!({ "adopt": { "groupId": "g" } })),
        (&of_prefixes, "source.cloudType", json!({ "source": { "cloudType": "Baidu" } })),
        (&of_prefixes, "source.region", json!({ "source": { "region": "eu-west-2" } })),
        (&of_prefixes, "source.appId", json!({ "source": { "cloudType": "Tencent", "appId": "1" } })),
        (
            &of_prefixes,
            "source.cdn",
            json!({ "source": { "cdn": { "domain": "c.example.com", "protocol": "http" } } }),
        ),
        (&of_prefixes, "destination.region", json!({ "destination": { "region": "cn-north-4" } })),
        (&of_prefixes, "destination.bucket", json!({ "destination": { "bucket": "other" } })),
        (&of_prefixes, "destination.storagePolicy", json!({ "destination": { "storagePolicy": "IA" } })),
        (&of_prefixes, "overwriteMode", json!({ "overwriteMode": "NO_OVERWRITE" })),
        (
            &of_prefixes,
            "consistencyCheck",
            json!({ "source": { "cloudType": "Aliyun" }, "consistencyCheck": "crc64" }),
        ),
        (&of_prefixes, "migrateSince", json!({ "migrateSince": "2024-01-01T00:00:00Z" })),
        (&of_prefixes, "enableMetadataMigration", json!({ "enableMetadataMigration": true })),
        (&of_prefixes, "enableFailedObjectRecording", json!({ "enableFailedObjectRecording": false })),
        (&of_prefixes, "enableRequesterPays", json!({ "enableRequesterPays": true })),
        (
            &of_prefixes,
            "notification",
            json!({ "notification": { "topicUrn": "urn:smn:cn-north-4:0f1e2d3c:m", "triggers": ["FAILURE"] } }),
        ),
    ];
    let live = [
        json!({ "suspend": true }),
        json!({ "deletionPolicy": "Orphan" }),
        json!({ "readyWhen": "Started" }),
        json!({ "retry": { "limit": 1 } }),
        json!({ "source": { "credentials": { "secretRef": { "name": "rotated" } } } }),
        window("08:00", "20:00", json!("50Mi")),
    ];
    let (mut failures, mut said) = (Vec::new(), Vec::new());
    for (name, field, patch) in frozen {
        let patch = Patch::Merge(json!({ "spec": patch }));
        match api.patch(name, &PatchParams::default(), &patch).await {
            Err(kube::Error::Api(status))
                if status.message.contains(&format!("`{field}` is frozen"))
                    && status.message.contains("create another TaskGroup") =>
            {
                said.push(status.message);
            }
            Err(kube::Error::Api(status)) => failures.push(format!("{field}: {}", status.message)),
            other => failures.push(format!("{field}: {other:?}")),
        }
    }
    for patch in live {
        let edit = Patch::Merge(json!({ "spec": patch }));
        if let Err(error) = api.patch(&of_prefixes, &PatchParams::default(), &edit).await {
            failures.push(format!("{patch}: {error}"));
        }
    }
    verdict(failures);
    every_rule_is_shown::<TaskGroup>(About::Changes, &said.join("\n"));
}
