//! Every example is one that the real API server takes, says what it shows, and together they show every field.
#![cfg(feature = "dev")]
#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api, CustomResourceExt,
    api::{Patch, PatchParams},
};
use oms_operator::{
    api::{self, ClusterConnection, Connection, MigrationTask, SyncEvent, SyncTask, TaskGroup},
    dev::{ControlPlane, crds},
};
use serde::Deserialize;
use serde_json::{Value, json};

/// Where the Secrets of ClusterConnections live by default.
const OPERATOR_NAMESPACE: &str = "oms-operator-system";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples")
}

fn examples() -> Vec<(PathBuf, String)> {
    let mut examples: Vec<_> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .map(|path| (path.clone(), fs::read_to_string(path).unwrap()))
        .collect();
    examples.sort();
    assert!(!examples.is_empty());
    examples
}

fn documents(text: &str) -> Vec<Value> {
    serde_yaml::Deserializer::from_str(text).map(|document| Value::deserialize(document).unwrap()).collect()
}

#[tokio::test]
async fn the_api_server_takes_every_example_as_it_is() {
    let plane = ControlPlane::shared(Path::new(env!("CARGO_BIN_EXE_oms-dev"))).unwrap();
    let client = plane.client().await.unwrap();
    crds::install(&client, &api::crds()).await.unwrap();
    let namespace =
        json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": OPERATOR_NAMESPACE } });
    Api::<Namespace>::all(client)
        .patch(OPERATOR_NAMESPACE, &PatchParams::apply("test"), &Patch::Apply(namespace))
        .await
        .unwrap();

    let mut failures = Vec::new();
    for (path, text) in examples() {
        // The server checks everything and keeps nothing, so an operator that runs beside does not see it.
        let output = plane
            .kubectl()
            .args(["apply", "--dry-run=server", "--validate=strict", "-f"])
            .arg(&path)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout).lines().count();
        if !output.status.success() || said != documents(&text).len() {
            failures.push(format!("{}: {}", path.display(), String::from_utf8_lossy(&output.stderr)));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn every_example_starts_with_what_it_shows() {
    for (path, text) in examples() {
        let first = text.lines().next().unwrap();
        assert!(first.starts_with("# ") && first.len() > 30, "{} starts with {first:?}", path.display());
    }
}

/// Paths of all fields below `path` that a user can write.
fn fields_of(schema: &Value, path: &str, found: &mut BTreeSet<String>) {
    let properties = schema["properties"].as_object();
    for (name, property) in properties.into_iter().flatten() {
        fields_of(property, &format!("{path}.{name}"), found);
    }
    if schema["items"].is_object() {
        fields_of(&schema["items"], path, found);
    } else if properties.is_none() {
        found.insert(path.to_owned());
    }
}

fn fields_in(value: &Value, path: &str, found: &mut BTreeSet<String>) {
    found.insert(path.to_owned());
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                fields_in(member, &format!("{path}.{name}"), found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| fields_in(item, path, found)),
        _ => {}
    }
}

#[test]
fn the_examples_together_show_every_field() {
    let (mut wanted, mut shown) = (BTreeSet::new(), BTreeSet::new());
    for definition in [
        MigrationTask::crd(),
        TaskGroup::crd(),
        SyncTask::crd(),
        SyncEvent::crd(),
        Connection::crd(),
        ClusterConnection::crd(),
    ] {
        let kind = &definition.spec.names.kind;
        let schema = serde_json::to_value(&definition.spec.versions[0].schema).unwrap();
        let spec = &schema["openAPIV3Schema"]["properties"]["spec"];
        fields_of(spec, kind, &mut wanted);
    }
    // One kind shows what the other shares with it.
    wanted.retain(|path| !path.starts_with("ClusterConnection") || path.contains("allowedNamespaces"));
    // What a group shares with a task is shown by tasks; lists are another thing there.
    let of_tasks = wanted.clone();
    wanted.retain(|path| match path.strip_prefix("TaskGroup.") {
        Some(field) => field.contains("listFile") || !of_tasks.contains(&format!("MigrationTask.{field}")),
        None => true,
    });
    // What a sync task shares with the others is shown by tasks.
    wanted.retain(|path| match path.strip_prefix("SyncTask.") {
        Some(field) => !of_tasks.contains(&format!("MigrationTask.{field}")),
        None => true,
    });
    // The server's own type, shown by `matchLabels`; and key names, shown once per kind of key.
    wanted.retain(|path| !path.contains(".matchExpressions") && !path.contains(".secretRef.keys."));
    wanted.extend(
        [
            "source.credentials.secretRef.keys.connectionString",
            "source.credentials.secretRef.keys.jsonAuthFile",
        ]
        .map(|path| format!("MigrationTask.{path}")),
    );
    wanted.extend(
        ["accessKey", "secretKey", "securityToken", "username", "password", "domainName"]
            .map(|key| format!("Connection.credentials.secretRef.keys.{key}")),
    );
    for (_, text) in examples() {
        for document in documents(&text) {
            let kind = document["kind"].as_str().unwrap();
            fields_in(&document["spec"], kind, &mut shown);
            if kind == "ClusterConnection" {
                fields_in(&document["spec"], "Connection", &mut shown);
            }
        }
    }
    let missing: Vec<_> = wanted.difference(&shown).collect();
    assert!(missing.is_empty(), "no example shows {missing:#?}");
}

#[test]
fn the_examples_together_show_every_type_cloud_and_policy() {
    let of_kind = |kind: &str| -> Vec<Value> {
        examples()
            .iter()
            .flat_map(|(_, text)| documents(text))
            .filter(|document| document["kind"] == kind)
            .map(|document| document["spec"].clone())
            .collect()
    };
    let groups = of_kind("TaskGroup");
    for value in ["prefix", "list", "url_list"] {
        assert!(groups.iter().any(|spec| spec["type"] == value), "no example of a group has type: {value}");
    }
    let specs = of_kind("MigrationTask");
    let schema = serde_json::to_value(&MigrationTask::crd().spec.versions[0].schema).unwrap();
    let properties = &schema["openAPIV3Schema"]["properties"]["spec"]["properties"];
    for field in ["type", "deletionPolicy", "readyWhen", "consistencyCheck"] {
        for value in properties[field]["enum"].as_array().unwrap() {
            assert!(specs.iter().any(|spec| spec[field] == *value), "no example has {field}: {value}");
        }
    }
    for value in properties["source"]["properties"]["cloudType"]["enum"].as_array().unwrap() {
        let reads = |spec: &Value| spec["source"]["cloudType"] == *value;
        assert!(specs.iter().any(reads), "no example copies from {value}");
    }
    for value in properties["acknowledge"]["items"]["enum"].as_array().unwrap() {
        let says = |spec: &Value| spec["acknowledge"].as_array().is_some_and(|words| words.contains(value));
        assert!(specs.iter().any(says), "no example acknowledges {value}");
    }
}
