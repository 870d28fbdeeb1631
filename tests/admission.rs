//! The real API server refuses manifests that OMS would refuse, with a message that says what to do, and accepts
//! what OMS accepts.
#![cfg(feature = "dev")]

use std::{
    io::Write,
    path::Path,
    process::{Output, Stdio},
};

use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api, Client, CustomResourceExt, Resource,
    api::{DynamicObject, Patch, PatchParams, PostParams},
    core::ApiResource,
};
use oms_operator::{
    api::{self, ClusterConnection, Connection, MigrationTask},
    dev::{ControlPlane, crds},
};
use serde_json::{Value, json};

fn control_plane() -> &'static ControlPlane {
    ControlPlane::shared(Path::new(env!("CARGO_BIN_EXE_oms-dev"))).unwrap()
}

async fn client() -> Client {
    let client = control_plane().client().await.unwrap();
    crds::install(&client, &api::crds()).await.unwrap();
    client
}

/// A namespace of the test's own, so that tests share nothing.
async fn namespace(client: &Client) -> String {
    let namespace = serde_json::from_value(json!({ "metadata": { "generateName": "admission-" } })).unwrap();
    let api = Api::<Namespace>::all(client.clone());
    api.create(&PostParams::default(), &namespace).await.unwrap().metadata.name.unwrap()
}

fn resource_of<K: Resource<DynamicType = ()>>() -> ApiResource {
    ApiResource::erase::<K>(&())
}

/// JSON merge patch (RFC 7396), as rows of the tables below are written.
fn merged(mut base: Value, patch: &Value) -> Value {
    fn merge(into: &mut Value, patch: &Value) {
        let Value::Object(members) = patch else {
            *into = patch.clone();
            return;
        };
        if !into.is_object() {
            *into = json!({});
        }
        for (key, value) in members {
            if value.is_null() {
                into.as_object_mut().unwrap().remove(key);
            } else {
                merge(&mut into[key], value);
            }
        }
    }
    merge(&mut base, patch);
    base
}

fn object() -> Value {
    json!({
        "type": "object",
        "source": {
            "cloudType": "AWS", "region": "eu-west-1", "bucket": "photos", "objectKeys": [""],
            "credentials": { "secretRef": { "name": "aws" } },
        },
        "destination": { "bucket": "archive" },
    })
}

fn list() -> Value {
    merged(
        object(),
        &json!({ "type": "list", "source": {
            "objectKeys": null, "listFile": { "bucket": "lists", "key": "names.txt" },
        }}),
    )
}

fn url_list() -> Value {
    json!({
        "type": "url_list",
        "source": { "cloudType": "URLSource", "listFile": { "bucket": "lists", "key": "urls.txt" } },
        "destination": { "bucket": "archive" },
    })
}

fn task(spec: Value) -> Value {
    json!({
        "apiVersion": "oms-operator.io/v1alpha1", "kind": "MigrationTask",
        "metadata": { "generateName": "row-" }, "spec": spec,
    })
}

/// What the server says to a manifest that it only checks.
async fn dry_run(api: &Api<DynamicObject>, manifest: &Value) -> Result<DynamicObject, String> {
    let object = serde_json::from_value(manifest.clone()).unwrap();
    let params = PostParams { dry_run: true, ..PostParams::default() };
    match api.create(&params, &object).await {
        Ok(object) => Ok(object),
        Err(kube::Error::Api(status)) => Err(status.message),
        Err(other) => panic!("the server did not answer: {other}"),
    }
}

/// Every row is tried before the verdict, so that one run shows all that is wrong.
fn verdict(failures: Vec<String>) {
    assert!(failures.is_empty(), "{} rows:\n{}", failures.len(), failures.join("\n"));
}

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

/// The messages of all rules in a schema, except those about changes.
fn rule_messages(schema: &Value, found: &mut Vec<String>) {
    for rule in schema["x-kubernetes-validations"].as_array().into_iter().flatten() {
        if !rule["rule"].as_str().unwrap().contains("oldSelf") {
            found.push(rule["message"].as_str().unwrap().to_owned());
        }
    }
    match schema {
        Value::Object(members) => members.values().for_each(|member| rule_messages(member, found)),
        Value::Array(members) => members.iter().for_each(|member| rule_messages(member, found)),
        _ => {}
    }
}

#[tokio::test]
async fn manifests_that_oms_would_refuse_are_refused_with_advice() {
    let key_of_1025_bytes = "ü".repeat(512) + "x";
    let rows = [
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
    let rows = rows.into_iter().map(|(base, patch, field, fragment)| (merged(base, &patch), field, fragment));
    let messages = assert_refused(rows).await.join("\n");

    let mut rules = Vec::new();
    rule_messages(&serde_json::to_value(MigrationTask::crd()).unwrap(), &mut rules);
    assert!(rules.len() > 30, "{rules:?}");
    rules.retain(|message| !messages.contains(message));
    assert!(rules.is_empty(), "no row shows these rules: {rules:#?}");
}

#[tokio::test]
async fn each_character_that_oms_refuses_in_a_description_is_refused() {
    let rows = "^<>&\"'()".chars().map(|character| {
        let patch = json!({ "description": format!("before {character} after") });
        (merged(object(), &patch), "spec.description", "leave them out")
    });
    assert_refused(rows).await;
}

fn window(start: &str, end: &str, rate: Value) -> Value {
    json!({ "bandwidthPolicy": [{ "start": start, "end": end, "maxBandwidth": rate }] })
}

#[tokio::test]
async fn manifests_at_the_edge_of_what_oms_takes_are_accepted() {
    let longest_name = "ü".repeat(512);
    let rows = [
        (object(), json!({})),
        (object(), json!({ "type": null })),
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
    for (base, patch) in rows {
        if let Err(message) = dry_run(&api, &task(merged(base, &patch))).await {
            failures.push(format!("{:.300}\n    {message:.2000}", patch.to_string()));
        }
    }
    verdict(failures);
}

#[tokio::test]
async fn defaults_are_filled_in_and_nothing_else() {
    let client = client().await;
    let api = Api::<DynamicObject>::namespaced_with(client, "default", &resource_of::<MigrationTask>());
    let mut spec = object();
    spec.as_object_mut().unwrap().remove("type");
    let stored = dry_run(&api, &task(spec)).await.unwrap().data;
    let defaults = json!({
        "type": "object",
        "destination": { "storagePolicy": "STANDARD" },
        "overwriteMode": "SIZE_LAST_MODIFIED_COMPARISON_OVERWRITE",
        "consistencyCheck": "size_last_modified",
        "priority": "MEDIUM",
        "enableMetadataMigration": false,
        "enableRestore": false,
        "enableFailedObjectRecording": true,
        "enableRequesterPays": false,
        "readyWhen": "Succeeded",
    });
    assert_eq!(stored["spec"], merged(object(), &defaults));
    assert_eq!(stored["status"], json!({ "observedGeneration": -1 }));
}

/// A task with every optional field that is frozen.
fn complete() -> Value {
    merged(
        object(),
        &json!({
            "connectionRef": { "name": "default" },
            "source": { "cloudType": "Tencent", "appId": "1", "objectKeys": ["a", "b"] },
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
        (&with_all, "type", json!({ "type": "prefix" })),
        (&with_all, "source.cloudType", json!({ "source": { "cloudType": "AWS", "appId": null } })),
        (&with_all, "source.region", json!({ "source": { "region": "us-east-1" } })),
        (&with_all, "source.bucket", json!({ "source": { "bucket": "other" } })),
        (&with_all, "source.objectKeys", json!({ "source": { "objectKeys": ["a"] } })),
        (&with_list, "source.listFile", json!({ "source": { "listFile": { "key": "other.txt" } } })),
        (&with_all, "source.appId", json!({ "source": { "appId": "2" } })),
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
    let mut failures = Vec::new();
    for (stored, field, patch) in rows {
        let wanted = format!("spec.{field}: Forbidden: `{field}` is frozen");
        match stored.edit(patch.clone()).await {
            Ok(_) => failures.push(format!("accepted {patch}")),
            Err(message)
                if !message.contains(&wanted) || !message.contains("create another MigrationTask") =>
            {
                failures.push(format!("{patch}\n    {message}"));
            }
            Err(_) => {}
        }
    }
    verdict(failures);
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
        json!({ "readyWhen": "Started" }),
        json!({ "acknowledge": ["RestoreAgain"] }),
        json!({ "source": { "credentials": { "secretRef": { "name": "rotated" } } } }),
        json!({ "destination": { "credentials": { "secretRef": { "name": "obs" } } } }),
        json!({ "destination": { "credentials": null } }),
        // The order of names means nothing.
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
    object.spec.destination.prefix = Some("elsewhere/".into());
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
async fn connections_are_checked_too() {
    let client = client().await;
    let spec = json!({ "region": "cn-north-4", "credentials": { "secretRef": { "name": "huawei" } } });
    let refused = [
        (json!({ "region": "cn north" }), "spec.region"),
        (json!({ "region": null }), "spec.region"),
        (json!({ "credentials": null }), "spec.credentials"),
        (json!({ "projectId": "../other" }), "spec.projectId"),
        (json!({ "endpoint": "oms.example.com" }), "spec.endpoint"),
        (json!({ "endpoint": "ftp://oms.example.com" }), "spec.endpoint"),
        (json!({ "endpoint": "https://user@oms.example.com" }), "spec.endpoint"),
        (json!({ "endpoint": "https://oms.example.com/v2/" }), "spec.endpoint"),
        (json!({ "iamEndpoint": "iam.example.com" }), "spec.iamEndpoint"),
        (json!({ "privacyAgreement": "Yes" }), "spec.privacyAgreement"),
        (json!({ "limits": { "requestsPerSecond": 0 } }), "spec.limits.requestsPerSecond"),
        (
            json!({ "credentials": { "secretRef": { "keys": { "accessKey": "a b" } } } }),
            "spec.credentials.secretRef.keys.accessKey",
        ),
        (
            json!({ "credentials": { "secretRef": { "keys": { "jsonAuthFile": "x" } } } }),
            "spec.credentials.secretRef",
        ),
        (json!({ "caBundle": {} }), "spec.caBundle.configMapRef"),
    ];
    let accepted = [
        json!({}),
        json!({ "endpoint": "http://127.0.0.1:8080", "iamEndpoint": "https://iam.example.com/" }),
        json!({ "projectId": "0215ef11e49d4743be23dd97a1561e91", "privacyAgreement": "Accepted" }),
        json!({ "credentials": { "secretRef": { "keys": { "accessKey": "AWS_ACCESS_KEY_ID", "securityToken": "t" } } } }),
        json!({ "caBundle": { "configMapRef": { "name": "ca" } }, "limits": { "requestsPerSecond": 50 } }),
    ];
    let mut failures = Vec::new();
    for (kind, resource) in [
        ("Connection", resource_of::<Connection>()),
        ("ClusterConnection", resource_of::<ClusterConnection>()),
    ] {
        let api = if kind == "Connection" {
            Api::<DynamicObject>::namespaced_with(client.clone(), "default", &resource)
        } else {
            Api::<DynamicObject>::all_with(client.clone(), &resource)
        };
        let manifest = |patch: &Value| {
            json!({
                "apiVersion": "oms-operator.io/v1alpha1", "kind": kind,
                "metadata": { "generateName": "row-" }, "spec": merged(spec.clone(), patch),
            })
        };
        for (patch, field) in &refused {
            match dry_run(&api, &manifest(patch)).await {
                Ok(_) => failures.push(format!("{kind} accepted {patch}")),
                Err(message) if !message.contains(field) => {
                    failures.push(format!("{kind} {patch}: {message}"))
                }
                Err(_) => {}
            }
        }
        for patch in &accepted {
            if let Err(message) = dry_run(&api, &manifest(patch)).await {
                failures.push(format!("{kind} refused {patch}: {message}"));
            }
        }
    }
    verdict(failures);
}

fn kubectl_apply(manifest: &Value) -> Output {
    let mut kubectl = control_plane()
        .kubectl()
        .args(["apply", "--dry-run=server", "-f", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    kubectl.stdin.take().unwrap().write_all(manifest.to_string().as_bytes()).unwrap();
    kubectl.wait_with_output().unwrap()
}

#[tokio::test]
async fn kubectl_refuses_an_unknown_field_and_names_it() {
    client().await;
    let mut manifest = task(object());
    manifest["metadata"] = json!({ "name": "typo", "namespace": "default" });
    assert!(kubectl_apply(&manifest).status.success());
    for (patch, field) in [
        (json!({ "bandwith": [] }), "spec.bandwith"),
        (json!({ "source": { "object_key": ["a"] } }), "spec.source.object_key"),
        (json!({ "rerun": "2026-11-20" }), "spec.rerun"),
        (
            json!({ "destination": { "credentials": { "accessKey": "AK" } } }),
            "spec.destination.credentials.accessKey",
        ),
    ] {
        let mut wrong = manifest.clone();
        wrong["spec"] = merged(object(), &patch);
        let output = kubectl_apply(&wrong);
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success(), "{patch} was accepted");
        assert!(message.contains(&format!("unknown field \"{field}\"")), "{message}");
    }
}

#[tokio::test]
async fn the_server_has_no_warning_about_our_definitions() {
    client().await;
    for (name, content) in api::crd_files() {
        let definition: Value = serde_yaml::from_str(&content).unwrap();
        let output = kubectl_apply(&definition);
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{name}: {message}");
        assert!(!message.contains("unrecognized format"), "{name}: {message}");
    }
}
