//! Whether the definitions in the cluster hold what this operator reads and writes.
//!
//! The API server drops a field that its definition does not know, without a word: a mark that is not kept would protect
//! nothing. What is served is told by the server's OpenAPI, which every account may read, so this wants no right.

use std::collections::{BTreeMap, HashMap};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Client;
use serde::Deserialize;
use serde_json::Value;

use crate::api;
use crate::config::Watch;

/// Parts that are named in a message; more are counted.
const NAMED: usize = 5;

/// What a schema has of names; the rest of it does not matter here.
#[derive(Deserialize, Default)]
struct Shape {
    #[serde(default)]
    properties: BTreeMap<String, Shape>,
    #[serde(default)]
    items: Option<Box<Shape>>,
    #[serde(default, rename = "enum")]
    values: Vec<Value>,
    #[serde(default, rename = "x-kubernetes-preserve-unknown-fields")]
    keeps_all: bool,
}

#[derive(Deserialize, Default)]
struct Document {
    #[serde(default)]
    components: Components,
}

#[derive(Deserialize, Default)]
struct Components {
    #[serde(default)]
    schemas: HashMap<String, Shape>,
}

/// How the definitions in the cluster stand to this operator.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// They are of one version, as far as fields go.
    Fit,
    /// They have what the operator needs, and these parts that it does not know.
    Newer(Vec<String>),
    /// They lack kinds, or parts of them.
    Lack {
        /// Kinds that are not served at all.
        kinds: Vec<String>,
        /// Fields, and values of fields.
        parts: Vec<String>,
    },
}

/// Compares; an error is one of asking.
pub(super) async fn compare(client: &Client, watch: &Watch) -> Result<Verdict, kube::Error> {
    let path = format!("/openapi/v3/apis/{}/{}", api::GROUP, api::VERSION);
    let request = http::Request::get(path).header(http::header::ACCEPT, "application/json").body(Vec::new());
    let request = request.map_err(kube::Error::HttpError)?;
    let served = match client.request::<Document>(request).await {
        Err(kube::Error::Api(status)) if status.code == 404 => Document::default(),
        served => served?,
    };
    // A namespaced install has no ClusterConnections.
    let wanted = |crd: &CustomResourceDefinition| *watch == Watch::All || crd.spec.scope == "Namespaced";
    Ok(judge(api::crds().iter().filter(|crd| wanted(crd)), &served.components.schemas))
}

/// What to tell of parts: the first few by name.
pub(super) fn some(parts: &[String]) -> String {
    let named = parts.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
    match parts.len().checked_sub(NAMED) {
        Some(more @ 1..) => format!("{named} and {more} more"),
        _ => named,
    }
}

fn judge<'a>(
    own: impl Iterator<Item = &'a CustomResourceDefinition>,
    served: &HashMap<String, Shape>,
) -> Verdict {
    let (mut kinds, mut parts, mut unknown) = (Vec::new(), Vec::new(), Vec::new());
    let reversed = api::GROUP.split('.').rev().collect::<Vec<_>>().join(".");
    for definition in own {
        let kind = &definition.spec.names.kind;
        let Some(there) = served.get(&format!("{reversed}.{}.{kind}", api::VERSION)) else {
            kinds.push(kind.clone());
            continue;
        };
        let here = shape(definition);
        for part in ["spec", "status"] {
            let (here, there) = (here.properties.get(part), there.properties.get(part));
            let path = format!("{kind}.{part}");
            lacks(here, there, &path, &mut parts);
            lacks(there, here, &path, &mut unknown);
        }
    }
    if kinds.is_empty() && parts.is_empty() {
        if unknown.is_empty() { Verdict::Fit } else { Verdict::Newer(unknown) }
    } else {
        Verdict::Lack { kinds, parts }
    }
}

/// Our own definition's shape.
fn shape(definition: &CustomResourceDefinition) -> Shape {
    let schema = definition.spec.versions.first().and_then(|version| version.schema.as_ref());
    serde_json::to_value(schema.and_then(|schema| schema.open_api_v3_schema.as_ref()))
        .and_then(serde_json::from_value)
        .unwrap_or_default()
}

/// Adds what `wanted` has and `there` has not.
fn lacks(wanted: Option<&Shape>, there: Option<&Shape>, path: &str, found: &mut Vec<String>) {
    let Some(wanted) = wanted else { return };
    let Some(there) = there else {
        found.push(path.to_owned());
        return;
    };
    if there.keeps_all {
        return;
    }
    for (name, property) in &wanted.properties {
        lacks(Some(property), there.properties.get(name), &format!("{path}.{name}"), found);
    }
    if wanted.items.is_some() {
        lacks(wanted.items.as_deref(), there.items.as_deref(), &format!("{path}[]"), found);
    }
    if !there.values.is_empty() {
        let refused = wanted.values.iter().filter(|value| !value.is_null() && !there.values.contains(value));
        found.extend(refused.map(|value| format!("{path}={}", value.as_str().unwrap_or_default())));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// What a server says of our own definitions, with something changed.
    fn served(change: impl FnOnce(&mut Value)) -> HashMap<String, Shape> {
        let all: serde_json::Map<_, _> = api::crds()
            .iter()
            .map(|crd| {
                let schema = &crd.spec.versions[0].schema.as_ref().unwrap().open_api_v3_schema;
                let key = format!("io.oms-operator.v1alpha1.{}", crd.spec.names.kind);
                (key, serde_json::to_value(schema).unwrap())
            })
            .collect();
        let mut all = Value::Object(all);
        change(&mut all);
        serde_json::from_value(all).unwrap()
    }

    fn verdict(change: impl FnOnce(&mut Value)) -> Verdict {
        judge(api::crds().iter(), &served(change))
    }

    #[test]
    fn the_operators_own_definitions_fit() {
        assert_eq!(verdict(|_| ()), Verdict::Fit);
    }

    #[test]
    fn a_kind_a_field_or_a_value_that_is_not_there_is_named() {
        let task = "io.oms-operator.v1alpha1.MigrationTask";
        let without = verdict(|all| {
            all.as_object_mut().unwrap().remove("io.oms-operator.v1alpha1.SyncEvent");
            let status = &mut all[task]["properties"]["status"]["properties"];
            status["create"]["properties"].as_object_mut().unwrap().remove("sentAt");
            status["history"]["items"]["properties"].as_object_mut().unwrap().remove("taskId");
            status["phase"]["enum"].as_array_mut().unwrap().retain(|phase| phase != "Retrying");
        });
        let parts = ["create.sentAt", "history[].taskId", "phase=Retrying"];
        let parts = parts.map(|part| format!("MigrationTask.status.{part}")).to_vec();
        assert_eq!(without, Verdict::Lack { kinds: vec!["SyncEvent".into()], parts });
        assert!(matches!(verdict(|all| *all = json!({})), Verdict::Lack { kinds, .. } if kinds.len() == 6));
    }

    #[test]
    fn what_the_operator_does_not_know_makes_them_newer() {
        let newer = verdict(|all| {
            let spec = &mut all["io.oms-operator.v1alpha1.SyncTask"]["properties"]["spec"]["properties"];
            spec["filter"] = json!({ "type": "string" });
        });
        assert_eq!(newer, Verdict::Newer(vec!["SyncTask.spec.filter".into()]));
    }

    #[test]
    fn many_parts_are_counted() {
        let parts: Vec<_> = (0..7).map(|number| number.to_string()).collect();
        assert_eq!(some(&parts[..2]), "0, 1");
        assert_eq!(some(&parts), "0, 1, 2, 3, 4 and 2 more");
    }
}
