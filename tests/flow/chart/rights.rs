//! What the chart allows the operator to do is what it does, no less and no more.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use oms_operator::api::{ClusterConnection, Connection, Phase, SyncEvent};
use serde_json::{Value, json};

use super::release::{Place, bare};
use crate::world::{OMS_SECRET, Setup, World, eventually};

/// What somebody may do, or did: verb, API group, and resource with its subresource.
type Act = (String, String, String);

/// The rights that a manifest gives.
fn allowed(manifest: &Value) -> BTreeSet<Act> {
    let texts = |value: &Value| -> Vec<String> {
        value.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
    };
    let mut acts = BTreeSet::new();
    for rule in manifest["rules"].as_array().unwrap() {
        for verb in texts(&rule["verbs"]) {
            for group in texts(&rule["apiGroups"]) {
                for resource in texts(&rule["resources"]) {
                    acts.insert((verb.clone(), group.clone(), resource));
                }
            }
        }
    }
    acts
}

/// What the operator's service account did, as the API server noted it.
pub(super) fn done(world: &World, namespace: &str) -> BTreeSet<Act> {
    let log = std::fs::read_to_string(world.plane.audit_log().unwrap()).unwrap();
    let account = format!("system:serviceaccount:{namespace}:");
    let events = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    events
        .filter(|event| event["user"]["username"].as_str().is_some_and(|name| name.starts_with(&account)))
        .filter_map(|event| {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let about = &event["objectRef"];
            let resource = match about["subresource"].as_str() {
                Some(part) => format!("{}/{part}", text(&about["resource"])),
                None => about["resource"].as_str()?.to_owned(),
            };
            Some((text(&event["verb"]), text(&about["apiGroup"]), resource))
        })
        .collect()
}

/// A ClusterConnection that everybody may use.
async fn share_connection(world: &World) {
    let mut manifest = world.connection_manifest();
    manifest["kind"] = json!("ClusterConnection");
    manifest["metadata"]["name"] = json!("company");
    manifest["spec"]["allowedNamespaces"] = json!({ "names": [world.namespace] });
    let connections = Api::<ClusterConnection>::all(world.client.clone());
    let apply = PatchParams::apply("flow-test").force();
    connections.patch("company", &apply, &Patch::Apply(&manifest)).await.unwrap();
}

/// Copies the Secret with the keys for OMS to where those of ClusterConnections are.
async fn share_keys(world: &World, namespace: &str) {
    let mut secret = world.api::<Secret>().get(OMS_SECRET).await.unwrap();
    secret.metadata = ObjectMeta { name: Some(OMS_SECRET.into()), ..ObjectMeta::default() };
    let secrets = Api::<Secret>::namespaced(world.client.clone(), namespace);
    secrets.create(&PostParams::default(), &secret).await.unwrap();
}

/// Lets the operator do everything that there is to do, once.
async fn exercise(world: &World, namespace: &str) {
    world.connect().await;
    world.put_objects(3).await;
    share_keys(world, namespace).await;
    share_connection(world).await;
    let certificates = include_str!("../../data/tls/ca.pem");
    let map = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "ca" }, "data": { "ca.crt": certificates },
    });
    world.apply::<ConfigMap>(map).await;
    let mut trusting = world.connection_manifest();
    trusting["metadata"]["name"] = json!("trusting");
    trusting["spec"]["caBundle"] = json!({ "configMapRef": { "name": "ca" } });
    world.apply::<Connection>(trusting).await;
    world.wait_connection("trusting", "True", "Connected").await;

    let shared = json!({ "kind": "ClusterConnection", "name": "company" });
    let task = world.migration("photos").with("/connectionRef", shared).apply().await;
    let group = world.group("many").with("/destination/prefix", "many/").apply().await;
    let sync = world.sync_task("steady").apply().await;
    task.wait_phase(Phase::Succeeded).await;
    group.wait_phase(Phase::Succeeded).await;
    sync.wait_phase(Phase::Synchronizing).await;
    let event = json!({
        "apiVersion": "oms-operator.io/v1alpha1", "kind": "SyncEvent", "metadata": { "name": "once" },
        "spec": { "syncTaskRef": { "name": "steady" }, "objectKeys": ["00000.txt"], "ttlAfterFinished": "1s" },
    });
    world.apply::<SyncEvent>(event).await;
    let events = world.api::<SyncEvent>();
    eventually("the event goes after its end", async || match events.get_opt("once").await {
        Ok(None) => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    // The same twice: an event that is told again is patched.
    for suspend in [true, false, true, false] {
        sync.suspend(suspend).await;
        sync.wait_phase(if suspend { Phase::Stopped } else { Phase::Synchronizing }).await;
    }
    task.delete().await;
    task.wait_gone().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_operator_has_every_right_that_it_uses_and_no_other() {
    let world = bare(Setup::default()).await;
    let place = Place::new(&world, "oms-system").await;
    place.deploy("install", "oms", &[]).await;
    exercise(&world, &place.namespace).await;
    let mut given = BTreeSet::new();
    for (kind, name) in [("clusterrole", "oms-oms-operator"), ("role", "oms-oms-operator-own")] {
        let role = world.kubectl(&["--namespace", "oms-system", "get", kind, name, "-o", "json"]).await;
        given.extend(allowed(&serde_json::from_str(&role).unwrap()));
    }
    eventually("the rights are those that were used", async || {
        let used = done(&world, &place.namespace);
        let many: Vec<_> = given.difference(&used).collect();
        let few: Vec<_> = used.difference(&given).collect();
        if many.is_empty() && few.is_empty() {
            Ok(())
        } else {
            Err(format!("too many: {many:#?}; too few: {few:#?}"))
        }
    })
    .await;
    let secrets: Vec<_> = given.iter().filter(|(_, _, resource)| resource == "secrets").collect();
    assert_eq!(secrets, [&("get".to_owned(), String::new(), "secrets".to_owned())]);
    println!("{} rights, each used and none beside", given.len());
}
