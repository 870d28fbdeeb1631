//! The real API server refuses manifests that OMS would refuse, with a message that says what to do, and accepts
//! what OMS accepts.
#![cfg(feature = "dev")]
#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod bounds;
mod frozen;
mod groups;
mod lifecycle;
mod options;
mod rules;
mod sync;

use std::{
    collections::BTreeMap,
    io::Write,
    path::Path,
    process::{Output, Stdio},
};

use kube::{
    Api, Client, CustomResourceExt, Resource,
    api::{DynamicObject, PostParams},
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

/// What a rule is about.
#[derive(Clone, Copy, PartialEq)]
enum About {
    Values,
    Changes,
}

/// The messages of the rules in a schema.
fn rule_messages(schema: &Value, about: About, found: &mut Vec<String>) {
    for rule in schema["x-kubernetes-validations"].as_array().into_iter().flatten() {
        let changes = rule["rule"].as_str().unwrap().contains("oldSelf");
        if changes == (about == About::Changes) {
            found.push(rule["message"].as_str().unwrap().to_owned());
        }
    }
    match schema {
        Value::Object(members) => members.values().for_each(|member| rule_messages(member, about, found)),
        Value::Array(members) => members.iter().for_each(|member| rule_messages(member, about, found)),
        _ => {}
    }
}

/// Checks that what the server said to the rows of a kind shows each of its rules.
fn every_rule_is_shown<K: CustomResourceExt>(about: About, said: &str) {
    let mut rules = Vec::new();
    rule_messages(&serde_json::to_value(K::crd()).unwrap(), about, &mut rules);
    assert!(!rules.is_empty(), "{} has no rules", K::crd_name());
    // Field and way out: what it is about stands between backquotes, and what to do after a colon.
    for message in &rules {
        assert!(message.contains('`') || message.contains(": "), "{message}");
    }
    rules.retain(|message| !said.contains(message));
    rules.sort();
    rules.dedup();
    assert!(rules.is_empty(), "no row of {} shows these rules: {rules:#?}", K::crd_name());
}

/// Every row is tried before the verdict, so that one run shows all that is wrong.
fn verdict(failures: Vec<String>) {
    assert!(failures.is_empty(), "{} rows:\n{}", failures.len(), failures.join("\n"));
}

fn window(start: &str, end: &str, rate: Value) -> Value {
    json!({ "bandwidthPolicy": [{ "start": start, "end": end, "maxBandwidth": rate }] })
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
        "managementPolicy": "Manage",
        "driftPolicy": "Report",
        "preflight": "Full",
        "approval": "Auto",
        "onCredentialChange": "NextStart",
        "readyWhen": "Succeeded",
    });
    assert_eq!(stored["spec"], merged(object(), &defaults));
    assert_eq!(stored["status"], json!({ "observedGeneration": -1 }));
}

/// The limits of an account, and the most of each.
const LIMITS: [(&str, i64); 5] = [
    ("requestsPerSecond", 1_000),
    ("tasksPerDay", 1_000_000),
    ("waitingTasks", 1_000_000),
    ("groupsPerDay", 1_000_000),
    ("runningSyncTasks", 1_000),
];

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
        (
            json!({ "credentials": { "secretRef": { "keys": { "accessKey": "a b" } } } }),
            "spec.credentials.secretRef.keys.accessKey",
        ),
        (
            json!({ "credentials": { "secretRef": { "keys": { "jsonAuthFile": "x" } } } }),
            "spec.credentials.secretRef",
        ),
        (json!({ "caBundle": {} }), "spec.caBundle.configMapRef"),
        (json!({ "credentials": { "secretRef": null } }), "name a Secret in `secretRef`"),
        (json!({ "credentials": { "source": "Ambient" } }), "remove `secretRef` or `source`"),
        (json!({ "credentials": { "secretRef": null, "source": "Environment" } }), "spec.credentials.source"),
        (
            json!({ "credentials": { "secretRef": { "keys": { "username": "u", "secretKey": "s" } } } }),
            "name the keys of one of the two",
        ),
        (
            json!({ "credentials": { "secretRef": { "keys": { "domainName": "a/b" } } } }),
            "spec.credentials.secretRef.keys.domainName",
        ),
    ];
    let limits: Vec<_> = LIMITS
        .iter()
        .flat_map(|(limit, most)| {
            [json!(0), json!(-1), json!(most + 1), json!(1.5), json!("20")]
                .map(|value| (json!({ "limits": { *limit: value } }), *limit))
        })
        .collect();
    let refused = refused.into_iter().chain(limits);
    let refused: Vec<_> = refused.collect();
    let accepted = [
        json!({ "limits": LIMITS.iter().map(|(limit, _)| (*limit, 1)).collect::<BTreeMap<_, _>>() }),
        json!({ "limits": LIMITS.iter().copied().collect::<BTreeMap<_, _>>() }),
        json!({ "limits": {} }),
        json!({}),
        json!({ "endpoint": "http://127.0.0.1:8080", "iamEndpoint": "https://iam.example.com/" }),
        json!({ "projectId": "0215ef11e49d4743be23dd97a1561e91", "privacyAgreement": "Accepted" }),
        json!({ "credentials": { "secretRef": { "keys": { "accessKey": "AWS_ACCESS_KEY_ID", "securityToken": "t" } } } }),
        json!({ "caBundle": { "configMapRef": { "name": "ca" } }, "limits": { "requestsPerSecond": 50 } }),
        json!({ "credentials": { "secretRef": { "keys": { "username": "OS_USERNAME" } } } }),
        // Whether a Connection may use it is the operator's flag to say: a condition.
        json!({ "credentials": { "secretRef": null, "source": "Ambient" } }),
        json!({ "credentials": { "secretRef": null, "source": "OIDC" } }),
        json!({ "credentials": { "secretRef": null, "source": "PodIdentity" } }),
        json!({ "credentials": { "secretRef": null, "source": "Metadata" } }),
    ];
    let (mut failures, mut said) = (Vec::new(), Vec::new());
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
                    failures.push(format!("{kind} {patch}: {message}"));
                }
                Err(message) => said.push(message),
            }
        }
        for patch in &accepted {
            if let Err(message) = dry_run(&api, &manifest(patch)).await {
                failures.push(format!("{kind} refused {patch}: {message}"));
            }
        }
    }
    verdict(failures);
    every_rule_is_shown::<Connection>(About::Values, &said.join("\n"));
    every_rule_is_shown::<ClusterConnection>(About::Values, &said.join("\n"));
}

fn kubectl_apply(manifest: &Value) -> Output {
    kubectl_apply_text(&manifest.to_string())
}

fn kubectl_apply_text(manifest: &str) -> Output {
    let mut kubectl = control_plane()
        .kubectl()
        .args(["apply", "--dry-run=server", "-f", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    kubectl.stdin.take().unwrap().write_all(manifest.as_bytes()).unwrap();
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
        (json!({ "reruns": "2026-11-20" }), "spec.reruns"),
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
