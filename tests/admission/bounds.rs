//! Every bound that the definitions have, one step beyond it: read from the definitions, so that none is left out.

use kube::{
    Api, CustomResourceExt, Resource,
    api::DynamicObject,
    core::{ClusterResourceScope, NamespaceResourceScope},
};
use oms_operator::api::{ClusterConnection, Connection, MigrationTask, SyncEvent, SyncTask, TaskGroup};
use serde_json::{Value, json};

use super::{client, dry_run, groups, object, resource_of, sync, verdict};

/// A step on the way to a field.
#[derive(Clone, Debug)]
enum Part {
    Member(String),
    First,
}

/// The way as the API server writes it.
fn written(path: &[Part]) -> String {
    path.iter().fold("spec".to_owned(), |written, part| match part {
        Part::Member(name) => format!("{written}.{name}"),
        Part::First => format!("{written}[0]"),
    })
}

/// Puts a value at the end of a way; what is not there yet is made.
fn put(target: &mut Value, path: &[Part], value: Value) {
    match path {
        [] => *target = value,
        [Part::Member(name), rest @ ..] => {
            if !target.is_object() {
                *target = json!({});
            }
            put(&mut target[name], rest, value);
        }
        [Part::First, rest @ ..] => {
            if !target.is_array() {
                *target = json!([null]);
            }
            put(&mut target[0], rest, value);
        }
    }
}

/// A bound: the way, a value beyond it, and a part of what the server says.
type Bound = (Vec<Part>, Value, String);

/// The bounds of a schema and of all below it, and the fields that have none although they need one.
fn bounds(schema: &Value, path: &[Part], found: &mut Vec<Bound>, open: &mut Vec<String>) {
    // Bounds of numbers may be written as floats.
    let number = |name: &str| schema[name].as_f64().map(|bound| bound as i64);
    let length = |name: &str| number(name).and_then(|length| usize::try_from(length).ok());
    let mut beyond = |value: Value, said: String| found.push((path.to_vec(), value, said));
    if schema["enum"].is_array() {
        beyond(json!("NoSuchValue"), "Unsupported value".into());
        return;
    }
    if schema["x-kubernetes-int-or-string"] == true {
        if schema["pattern"].is_string() {
            beyond(json!(" ~ "), "should match".into());
        }
        return;
    }
    match schema["type"].as_str() {
        Some("string") => {
            match length("maxLength") {
                Some(most) => beyond(json!("x".repeat(most + 1)), format!("may not be more than {most}")),
                None if schema["format"].is_string() => beyond(json!("x"), "must be of type".into()),
                None => open.push(written(path)),
            }
            if let Some(least) = length("minLength").filter(|least| *least > 0) {
                beyond(json!("x".repeat(least - 1)), format!("should be at least {least}"));
            }
            if schema["pattern"].is_string() {
                beyond(json!(" ~ "), "should match".into());
            }
        }
        Some("integer") => {
            if let Some(least) = number("minimum") {
                beyond(json!(least - 1), format!("should be greater than or equal to {least}"));
            }
            if let Some(most) = number("maximum") {
                beyond(json!(most + 1), format!("should be less than or equal to {most}"));
            }
            if number("minimum").is_none() || number("maximum").is_none() {
                open.push(written(path));
            }
        }
        Some("boolean") => beyond(json!("true"), "must be of type boolean".into()),
        Some("array") => {
            match length("maxItems") {
                Some(most) => beyond(json!(vec![Value::Null; most + 1]), format!("at most {most} items")),
                None => open.push(written(path)),
            }
            if length("minItems").is_some_and(|least| least > 0) {
                beyond(json!([]), "should have at least 1 items".into());
            }
            let below = [path, &[Part::First]].concat();
            bounds(&schema["items"], &below, found, open);
        }
        Some("object") => {
            for (name, member) in schema["properties"].as_object().into_iter().flatten() {
                let below = [path, &[Part::Member(name.clone())]].concat();
                bounds(member, &below, found, open);
            }
            if schema["additionalProperties"].is_object() && schema["maxProperties"].is_null() {
                open.push(written(path));
            }
        }
        other => panic!("{}: {other:?}", written(path)),
    }
}

async fn hold<K: CustomResourceExt>(api: Api<DynamicObject>, spec: Value) {
    let definition = serde_json::to_value(K::crd()).unwrap();
    let schema = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"].clone();
    let kind = definition["spec"]["names"]["kind"].clone();
    let (mut found, mut failures) = (Vec::new(), Vec::new());
    bounds(&schema, &[], &mut found, &mut failures);
    assert!(found.len() > 4, "{kind} has {} bounds", found.len());
    for (path, value, said) in found {
        let field = written(&path);
        let mut beyond = spec.clone();
        put(&mut beyond, &path, value);
        let manifest = json!({
            "apiVersion": "oms-operator.io/v1alpha1", "kind": kind,
            "metadata": { "generateName": "row-" }, "spec": beyond,
        });
        match dry_run(&api, &manifest).await {
            Ok(_) => failures.push(format!("{kind} accepted {field}, which wants: {said}")),
            Err(message) if !message.contains(&field) || !message.contains(&said) => {
                failures.push(format!("{kind} {field}: wanted {said}\n    got {message:.600}"));
            }
            Err(_) => {}
        }
    }
    verdict(failures);
}

async fn namespaced<K>() -> Api<DynamicObject>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
{
    Api::namespaced_with(client().await, "default", &resource_of::<K>())
}

async fn clusterwide<K>() -> Api<DynamicObject>
where
    K: Resource<DynamicType = (), Scope = ClusterResourceScope>,
{
    Api::all_with(client().await, &resource_of::<K>())
}

fn connection() -> Value {
    json!({ "region": "cn-north-4", "credentials": { "secretRef": { "name": "huawei" } } })
}

#[tokio::test]
async fn every_string_list_and_number_of_a_spec_has_a_bound_and_it_holds() {
    hold::<MigrationTask>(namespaced::<MigrationTask>().await, object()).await;
    hold::<TaskGroup>(namespaced::<TaskGroup>().await, groups::prefixes()).await;
    hold::<SyncTask>(namespaced::<SyncTask>().await, sync::sync_task()).await;
    hold::<SyncEvent>(namespaced::<SyncEvent>().await, sync::event(vec!["a".into()])).await;
    hold::<Connection>(namespaced::<Connection>().await, connection()).await;
    hold::<ClusterConnection>(clusterwide::<ClusterConnection>().await, connection()).await;
}
