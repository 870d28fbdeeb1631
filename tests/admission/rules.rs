//! The contract of OMS, row by row.

use kube::{Api, api::DynamicObject};
use oms_operator::api::MigrationTask;
use serde_json::{Value, json};

use super::{
    About, client, dry_run, every_rule_is_shown, list, merged, object, options, resource_of, task, url_list,
    verdict, window,
};

/// Checks that each manifest is refused at the field and with the fragment; returns what the server said.
async fn assert_refused(
    manifests: impl IntoIterator<Item = (Value, &'static str, &'static str)>,
) -> Vec<String> {
    let client = client().await;
    let api = Api::<DynamicObject>::namespaced_with(client, "default", &resource_of::<MigrationTask>());
    let (mut messages, mut failures) = (Vec::new(), Vec::new());
    for (spec, field, fragment) in manifests {
        let manifest = task(spec);
        match dry_run(&api, &manifest).await {
            Ok(_) => failures.push(format!("accepted, wanted {field}: {fragment}\n    {manifest}")),
            Err(message) if !message.contains(&format!("{field}:")) || !message.contains(fragment) => {
                failures.push(format!("wanted {field}: {fragment}\n    got {message}"));
            }
            Err(message) => messages.push(message),
        }
    }
    verdict(failures);
    messages
}

#[tokio::test]
async fn manifests_that_oms_would_refuse_are_refused_with_advice() {
    let key_of_1025_bytes = "ü".repeat(512) + "x";
    let rows = [
        // A task that exists.
        (object(), json!({ "managementPolicy": "Observe" }), "spec.adopt", "name it in `adopt`"),
        (object(), json!({ "adopt": { "taskId": "1" }, "source": null }), "spec.source", "add `source`"),
        (object(), json!({ "destination": null }), "spec.destination", "add `destination`"),
        (object(), json!({ "adopt": {} }), "spec.adopt.taskId", "Required value"),
        (object(), json!({ "adopt": { "taskId": "task-1" } }), "spec.adopt.taskId", "should match"),
        (object(), json!({ "adopt": { "taskId": "0" } }), "spec.adopt.taskId", "should match"),
        (object(), json!({ "adopt": { "taskId": "12345678901234567890" } }), "spec.adopt.taskId", "Too long"),
        (object(), json!({ "managementPolicy": "Look" }), "spec.managementPolicy", "Unsupported value"),
        (object(), json!({ "driftPolicy": "Ignore" }), "spec.driftPolicy", "Unsupported value"),
        // Which names go with which type.
        (
            object(),
            json!({ "source": { "objectKeys": null } }),
            "spec.source.objectKeys",
            "for the whole bucket",
        ),
        (object(), json!({ "source": { "objectKeys": [] } }), "spec.source.objectKeys", "at least 1 item"),
        (
            list(),
            json!({ "source": { "objectKeys": ["a"] } }),
            "spec.source.objectKeys",
            "remove `objectKeys`",
        ),
        (
            url_list(),
            json!({ "source": { "objectKeys": ["a"] } }),
            "spec.source.objectKeys",
            "remove `objectKeys`",
        ),
        (list(), json!({ "source": { "listFile": null } }), "spec.source.listFile", "need `listFile`"),
        (url_list(), json!({ "source": { "listFile": null } }), "spec.source.listFile", "need `listFile`"),
        (
            object(),
            json!({ "type": "prefix", "source": { "listFile": { "bucket": "b", "key": "a.txt" } } }),
            "spec.source.listFile",
            "remove `listFile`",
        ),
        (object(), json!({ "type": "PREFIX" }), "spec.type", "Unsupported value"),
        // Which cloud goes with which type.
        (list(), json!({ "type": "url_list" }), "spec.source.cloudType", "write `cloudType: URLSource`"),
        (url_list(), json!({ "type": "list" }), "spec.source.cloudType", "choose `type: url_list`"),
        (object(), json!({ "source": { "cloudType": null } }), "spec.source.cloudType", "Required value"),
        (object(), json!({ "source": { "cloudType": "aws" } }), "spec.source.cloudType", "Unsupported value"),
        // What a bucket has and URLs have not.
        (object(), json!({ "source": { "region": null } }), "spec.source.region", "needs `region`"),
        (object(), json!({ "source": { "bucket": null } }), "spec.source.bucket", "needs `bucket`"),
        (
            object(),
            json!({ "source": { "credentials": null } }),
            "spec.source.credentials",
            "a `secretRef` to",
        ),
        (url_list(), json!({ "source": { "region": "r" } }), "spec.source.region", "remove `region`"),
        (url_list(), json!({ "source": { "bucket": "b" } }), "spec.source.bucket", "remove `bucket`"),
        (
            url_list(),
            json!({ "source": { "credentials": { "secretRef": { "name": "s" } } } }),
            "spec.source.credentials",
            "remove `credentials`",
        ),
        (url_list(), json!({ "source": { "appId": "1" } }), "spec.source.appId", "Only Tencent"),
        (url_list(), json!({ "enableRestore": true }), "spec.enableRestore", "remove `enableRestore`"),
        (
            url_list(),
            json!({ "enableRequesterPays": true }),
            "spec.enableRequesterPays",
            "remove `enableRequesterPays`",
        ),
        // What only some clouds have.
        (object(), json!({ "source": { "cloudType": "Tencent" } }), "spec.source.appId", "needs `appId`"),
        (object(), json!({ "source": { "appId": "1" } }), "spec.source.appId", "Only Tencent"),
        (object(), json!({ "consistencyCheck": "crc64" }), "spec.consistencyCheck", "use size_last_modified"),
        (
            object(),
            json!({ "overwriteMode": "CRC64_COMPARISON_OVERWRITE" }),
            "spec.overwriteMode",
            "Only HuaweiCloud, Aliyun and Tencent",
        ),
        (
            object(),
            json!({ "source": { "credentials": { "secretRef": { "keys": { "connectionString": "c" } } } } }),
            "spec.source.credentials",
            "Only Azure",
        ),
        (
            object(),
            json!({ "source": { "credentials": { "secretRef": { "keys": { "jsonAuthFile": "c" } } } } }),
            "spec.source.credentials",
            "Only Google",
        ),
        (
            object(),
            json!({ "destination": { "credentials": { "secretRef": {
                "name": "obs", "keys": { "connectionString": "c" },
            } } } }),
            "spec.destination.credentials",
            "OBS takes access keys only",
        ),
        (
            object(),
            json!({ "source": { "credentials": { "secretRef": { "keys": { "username": "u" } } } } }),
            "spec.source.credentials",
            "A bucket takes no login",
        ),
        (
            object(),
            json!({ "destination": { "credentials": { "secretRef": { "name": "obs", "keys": { "password": "p" } } } } }),
            "spec.destination.credentials",
            "A bucket takes no login",
        ),
        // Names of objects and buckets.
        (
            object(),
            json!({ "source": { "objectKeys": ["", "a"] } }),
            "spec.source.objectKeys",
            "keep it alone",
        ),
        (
            object(),
            json!({ "source": { "objectKeys": ["a", "a"] } }),
            "spec.source.objectKeys[1]",
            "Duplicate value",
        ),
        (
            object(),
            json!({ "source": { "objectKeys": vec!["x"; 501] } }),
            "spec.source.objectKeys",
            "must have at most 500 items",
        ),
        (
            object(),
            json!({ "source": { "objectKeys": [key_of_1025_bytes] } }),
            "spec.source.objectKeys",
            "at most 1024 bytes",
        ),
        (
            object(),
            json!({
                "source": { "objectKeys": ["k".repeat(1000)] }, "destination": { "prefix": "p".repeat(25) },
            }),
            "spec.source.objectKeys",
            "`destination.prefix` and each of `objectKeys` together",
        ),
        (
            object(),
            json!({ "destination": { "prefix": "/a/" } }),
            "spec.destination.prefix",
            "remove the slash",
        ),
        (
            object(),
            json!({ "destination": { "prefix": "ü".repeat(513) } }),
            "spec.destination.prefix",
            "shorten the prefix",
        ),
        (object(), json!({ "destination": { "bucket": "obs://b" } }), "spec.destination.bucket", "bare name"),
        (object(), json!({ "destination": { "bucket": "" } }), "spec.destination.bucket", "at least 1 char"),
        (object(), json!({ "source": { "bucket": "b/folder" } }), "spec.source.bucket", "bare name"),
        (
            list(),
            json!({ "source": { "listFile": { "bucket": "b/f" } } }),
            "spec.source.listFile.bucket",
            "bare name",
        ),
        (
            list(),
            json!({ "source": { "listFile": { "key": "a.csv" } } }),
            "spec.source.listFile.key",
            "\".txt\"",
        ),
        (
            list(),
            json!({ "source": { "listFile": { "key": format!("{}.txt", "ü".repeat(511)) } } }),
            "spec.source.listFile.key",
            "rename the file",
        ),
        // Costly options want a word.
        (
            object(),
            json!({ "consistencyCheck": "no_check" }),
            "spec.consistencyCheck",
            "`no_check` is for type `url_list`",
        ),
        (
            url_list(),
            json!({ "consistencyCheck": "no_check" }),
            "spec.acknowledge",
            "add `acknowledge: [NoCheck]`",
        ),
        (
            object(),
            json!({ "overwriteMode": "FULL_OVERWRITE", "acknowledge": ["NoCheck"] }),
            "spec.acknowledge",
            "add `acknowledge: [FullOverwrite]`",
        ),
        // Time.
        (object(), json!({ "migrateSince": "2024-01-01T00:00:00.5Z" }), "spec.migrateSince", "whole seconds"),
        (object(), json!({ "migrateSince": "1969-12-31T00:00:00Z" }), "spec.migrateSince", "whole seconds"),
        (object(), json!({ "migrateSince": "2024-01-01" }), "spec.migrateSince", "must be of type date-time"),
        // Bandwidth.
        (
            object(),
            json!({ "bandwidthPolicy": (0..6).map(|hour| json!({
                "start": format!("0{hour}:00"), "end": format!("0{hour}:30"), "maxBandwidth": "1Mi",
            })).collect::<Vec<_>>() }),
            "spec.bandwidthPolicy",
            "must have at most 5 items",
        ),
        (
            object(),
            json!({ "bandwidthPolicy": [
                { "start": "08:00", "end": "12:01", "maxBandwidth": "1Mi" },
                { "start": "12:00", "end": "18:00", "maxBandwidth": "1Mi" },
            ] }),
            "spec.bandwidthPolicy",
            "The windows overlap",
        ),
        (
            object(),
            json!({ "bandwidthPolicy": [
                { "start": "08:00", "end": "12:00", "maxBandwidth": "1Mi" },
                { "start": "08:00", "end": "12:00", "maxBandwidth": "2Mi" },
            ] }),
            "spec.bandwidthPolicy",
            "The windows overlap",
        ),
        (
            object(),
            window("22:00", "06:00", json!("1Mi")),
            "spec.bandwidthPolicy[0].end",
            "write a night as two",
        ),
        (
            object(),
            window("08:00", "08:00", json!("1Mi")),
            "spec.bandwidthPolicy[0].end",
            "later than it starts",
        ),
        (object(), window("08:00", "24:00", json!("1Mi")), "spec.bandwidthPolicy[0].end", "should match"),
        (object(), window("8:00", "09:00", json!("1Mi")), "spec.bandwidthPolicy[0].start", "should match"),
        (
            object(),
            window("08:00", "09:00", json!("201Mi")),
            "spec.bandwidthPolicy[0].maxBandwidth",
            "from 1Mi to 200Mi",
        ),
        (
            object(),
            window("08:00", "09:00", json!(209_715_201)),
            "spec.bandwidthPolicy[0].maxBandwidth",
            "from 1Mi",
        ),
        (
            object(),
            window("08:00", "09:00", json!("1023Ki")),
            "spec.bandwidthPolicy[0].maxBandwidth",
            "from 1Mi",
        ),
        (
            object(),
            window("08:00", "09:00", json!(1_048_575)),
            "spec.bandwidthPolicy[0].maxBandwidth",
            "from 1Mi",
        ),
        (object(), window("08:00", "09:00", json!(-1)), "spec.bandwidthPolicy[0].maxBandwidth", "from 1Mi"),
        (
            object(),
            window("08:00", "09:00", json!("50MB/s")),
            "spec.bandwidthPolicy[0].maxBandwidth",
            "should match",
        ),
        // References.
        (
            object(),
            json!({ "connectionRef": { "name": "Default" } }),
            "spec.connectionRef.name",
            "should match",
        ),
        (
            object(),
            json!({ "connectionRef": { "name": "a", "kind": "Cluster" } }),
            "spec.connectionRef.kind",
            "Unsupported value",
        ),
        (
            object(),
            json!({ "source": { "credentials": { "secretRef": { "name": null } } } }),
            "spec.source.credentials.secretRef.name",
            "Required value",
        ),
        (object(), json!({ "description": "a > b" }), "spec.description", "leave them out"),
        (object(), json!({ "description": "x".repeat(215) }), "spec.description", "214"),
    ];
    let rows: Vec<_> = rows
        .into_iter()
        .chain(options::refused())
        .map(|(base, patch, field, fragment)| (merged(base, &patch), field, fragment))
        .collect();
    let messages = assert_refused(rows).await.join("\n");
    every_rule_is_shown::<MigrationTask>(About::Values, &messages);
}

#[tokio::test]
async fn each_character_that_oms_refuses_in_a_description_is_refused() {
    let rows = "^<>&\"'()".chars().map(|character| {
        let patch = json!({ "description": format!("before {character} after") });
        (merged(object(), &patch), "spec.description", "leave them out")
    });
    assert_refused(rows).await;
}

#[tokio::test]
async fn manifests_at_the_edge_of_what_oms_takes_are_accepted() {
    let longest_name = "ü".repeat(512);
    let rows = [
        (object(), json!({})),
        (object(), json!({ "type": null })),
        (
            object(),
            json!({
                "adopt": { "taskId": "9223372036854775807" }, "managementPolicy": "Observe",
                "source": null, "destination": null,
            }),
        ),
        (object(), json!({ "adopt": { "taskId": "1" }, "managementPolicy": "Observe", "destination": null })),
        (object(), json!({ "adopt": { "taskId": "1" }, "driftPolicy": "Enforce" })),
        (list(), json!({})),
        (url_list(), json!({})),
        (url_list(), json!({ "consistencyCheck": "no_check", "acknowledge": ["NoCheck"] })),
        (
            object(),
            json!({ "overwriteMode": "FULL_OVERWRITE", "acknowledge": ["FullOverwrite", "RestoreAgain"] }),
        ),
        (
            object(),
            json!({ "type": "prefix", "source": { "objectKeys": ["2024/", "2025/", "/odd", "a//b"] } }),
        ),
        (object(), json!({ "source": { "objectKeys": [longest_name] } })),
        (
            object(),
            json!({
                "source": { "objectKeys": ["k".repeat(1000)] }, "destination": { "prefix": "p".repeat(24) },
            }),
        ),
        (object(), json!({ "source": { "cloudType": "Tencent", "appId": "1250000000" } })),
        (
            object(),
            json!({ "source": { "cloudType": "HuaweiCloud" }, "consistencyCheck": "crc64",
                "overwriteMode": "CRC64_COMPARISON_OVERWRITE" }),
        ),
        (
            object(),
            json!({ "source": { "cloudType": "Azure",
            "credentials": { "secretRef": { "keys": { "connectionString": "AZURE_STORAGE_CONNECTION_STRING" } } } } }),
        ),
        (
            object(),
            json!({ "source": { "cloudType": "Google",
            "credentials": { "secretRef": { "keys": { "jsonAuthFile": "key.json" } } } } }),
        ),
        (object(), json!({ "enableRestore": true, "enableRequesterPays": true })),
        (object(), json!({ "migrateSince": "2024-01-01T00:00:00+08:00" })),
        (object(), json!({ "description": "ü".repeat(214) })),
        (object(), json!({ "description": "Fotos, Woche 47: 100% [a] {b} #1; ok?" })),
        (object(), json!({ "bandwidthPolicy": [] })),
        (object(), window("00:00", "23:59", json!(1_048_576))),
        (object(), window("00:00", "23:59", json!("209715200"))),
        (object(), window("00:00", "23:59", json!("200Mi"))),
        (object(), window("00:00", "23:59", json!("50M"))),
        (
            object(),
            json!({ "bandwidthPolicy": [
                { "start": "12:00", "end": "18:00", "maxBandwidth": "1Mi" },
                { "start": "08:00", "end": "12:00", "maxBandwidth": "2Mi" },
                { "start": "00:00", "end": "08:00", "maxBandwidth": "3Mi" },
                { "start": "18:00", "end": "22:00", "maxBandwidth": "4Mi" },
                { "start": "22:00", "end": "23:59", "maxBandwidth": 5_242_880 },
            ] }),
        ),
        // The most of everything at once: what the rules cost stays within the server's budget.
        (
            object(),
            json!({
                "source": { "objectKeys": (0..500).map(|n| format!("{n:01000}")).collect::<Vec<_>>() },
                "destination": { "prefix": "p".repeat(24) },
                "description": "d".repeat(214),
            }),
        ),
    ];
    let client = client().await;
    let api = Api::<DynamicObject>::namespaced_with(client, "default", &resource_of::<MigrationTask>());
    let mut failures = Vec::new();
    for (base, patch) in rows.into_iter().chain(options::accepted()) {
        if let Err(message) = dry_run(&api, &task(merged(base, &patch))).await {
            failures.push(format!("{:.300}\n    {message:.2000}", patch.to_string()));
        }
    }
    verdict(failures);
}
