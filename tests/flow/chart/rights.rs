//! The rights that the chart gives are those that the operator uses, no more and no fewer. The API server notes what a
//! service account asks of it; run with `--nocapture`, the tests print the comparison.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use oms_operator::api::{ClusterConnection, Connection, Phase, SyncEvent};
use serde_json::{Value, json};

use super::release::{Place, bare};
use crate::tls::AUTHORITY;
use crate::world::{OMS_SECRET, Setup, World, eventually};

/// What somebody may do, or did.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Act {
    group: String,
    /// With its subresource.
    resource: String,
    verb: String,
    /// The namespace; of a right that holds everywhere, and of an object that is in none: empty.
    namespace: String,
}

impl Act {
    /// Whether this right allows something that was done.
    fn allows(&self, done: &Self) -> bool {
        let everywhere = self.namespace.is_empty();
        (&self.group, &self.resource, &self.verb) == (&done.group, &done.resource, &done.verb)
            && (everywhere || self.namespace == done.namespace)
    }
}

/// The rights that the chart gave to the operator, in the roles of the cluster and of its namespaces.
async fn given(world: &World) -> BTreeSet<Act> {
    let own = "app.kubernetes.io/instance=oms";
    let listed =
        world.kubectl(&["get", "clusterroles,roles", "--all-namespaces", "-l", own, "-o", "json"]).await;
    let listed: Value = serde_json::from_str(&listed).unwrap();
    // Roles of users are not the operator's.
    let is_of_users = |role: &Value| {
        let labels = role["metadata"]["labels"].as_object().unwrap();
        labels.keys().any(|name| name.starts_with("rbac.authorization.k8s.io/aggregate-to-"))
    };
    let roles = listed["items"].as_array().unwrap().iter().filter(|role| !is_of_users(role));
    roles.flat_map(allowed).collect()
}

fn allowed(role: &Value) -> BTreeSet<Act> {
    let texts = |value: &Value| -> Vec<String> {
        value.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
    };
    let namespace = role["metadata"]["namespace"].as_str().unwrap_or_default();
    let mut acts = BTreeSet::new();
    for rule in role["rules"].as_array().unwrap() {
        for verb in texts(&rule["verbs"]) {
            for group in texts(&rule["apiGroups"]) {
                for resource in texts(&rule["resources"]) {
                    let (verb, group, namespace) = (verb.clone(), group.clone(), namespace.to_owned());
                    acts.insert(Act { group, resource, verb, namespace });
                }
            }
        }
    }
    acts
}

/// What the operator's service account did, as the API server noted it: how often, and how often it was refused.
fn done(world: &World, namespace: &str) -> BTreeMap<Act, (u32, u32)> {
    let log = std::fs::read_to_string(world.plane.audit_log().unwrap()).unwrap();
    let account = format!("system:serviceaccount:{namespace}:");
    let events = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut done = BTreeMap::<Act, (u32, u32)>::new();
    for event in events {
        let about = &event["objectRef"];
        let by_us = event["user"]["username"].as_str().is_some_and(|name| name.starts_with(&account));
        let refusal = event["responseStatus"]["code"] == 403;
        // A watch is noted when it begins and when it ends; once is enough.
        let again = event["verb"] == "watch" && event["stage"] == "ResponseComplete" && !refusal;
        if !by_us || about["resource"].is_null() || again {
            continue;
        }
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let mut resource = text(&about["resource"]);
        // A namespace is noted as being in itself.
        let namespace = if resource == "namespaces" { String::new() } else { text(&about["namespace"]) };
        if let Some(part) = about["subresource"].as_str() {
            resource = format!("{resource}/{part}");
        }
        let act = Act { group: text(&about["apiGroup"]), resource, verb: text(&event["verb"]), namespace };
        let (used, refused) = done.entry(act).or_default();
        *used += 1;
        *refused += u32::from(refusal);
    }
    done
}

/// Compares what the chart gives with what was used, until they are the same; prints both.
async fn assert_each_right_is_used_and_none_beside(world: &World, place: &Place<'_>) -> BTreeSet<Act> {
    let given = given(world).await;
    eventually("the rights are those that were used", async || {
        let done = done(world, &place.namespace);
        let uses = |right: &Act| done.keys().any(|act| right.allows(act));
        let many: Vec<_> = given.iter().filter(|right| !uses(right)).collect();
        let few: Vec<_> = done.keys().filter(|act| !given.iter().any(|right| right.allows(act))).collect();
        let refused: Vec<_> = done.iter().filter(|(_, (_, refused))| *refused > 0).collect();
        if many.is_empty() && few.is_empty() && refused.is_empty() {
            Ok(())
        } else {
            Err(format!("too many: {many:#?}; too few: {few:#?}; refused: {refused:#?}"))
        }
    })
    .await;
    let done = done(world, &place.namespace);
    println!("{:<62} {:<16} {:>5}", "right", "where", "used");
    for right in &given {
        let used: u32 = done.iter().filter(|(act, _)| right.allows(act)).map(|(_, (used, _))| used).sum();
        let group = if right.group.is_empty() { "core" } else { &right.group };
        let place = if right.namespace.is_empty() { "everywhere" } else { &right.namespace };
        let what = format!("{:<6} {group} {}", right.verb, right.resource);
        println!("{what:<62} {place:<16} {used:>5}");
    }
    println!("{} rights, each used and none beside, nothing refused", given.len());
    let secrets: BTreeSet<_> =
        given.iter().filter(|right| right.resource == "secrets").map(|right| right.verb.as_str()).collect();
    assert_eq!(secrets, ["get"].into());
    given
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

/// Lets the operator do everything that there is to do in a namespace, once. The migration `photos` uses another
/// connection where there is one.
async fn exercise(world: &World, reference: Option<Value>) {
    world.connect().await;
    world.put_objects(3).await;
    let certificates = std::fs::read_to_string(AUTHORITY).unwrap();
    let map = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "ca" }, "data": { "ca.crt": certificates },
    });
    world.apply::<ConfigMap>(map).await;
    let mut trusting = world.connection_manifest();
    trusting["metadata"]["name"] = json!("trusting");
    trusting["spec"]["caBundle"] = json!({ "configMapRef": { "name": "ca" } });
    world.apply::<Connection>(trusting).await;
    world.wait_connection("trusting", "True", "Connected").await;

    let task = world.migration("photos");
    let task = match reference {
        Some(reference) => task.with("/connectionRef", reference),
        None => task,
    };
    let task = task.apply().await;
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
    world.write_secrets().await;
    share_keys(&world, &place.namespace).await;
    share_connection(&world).await;
    exercise(&world, Some(json!({ "kind": "ClusterConnection", "name": "company" }))).await;
    assert_each_right_is_used_and_none_beside(&world, &place).await;
}

/// Roles, and nothing of the cluster: it does not even try to use what it has not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_namespaced_install_has_every_right_that_it_uses_in_its_namespaces_and_no_other() {
    let world = bare(Setup::default()).await;
    let place = Place::new(&world, "oms-system").await;
    let namespaces = format!("watchNamespaces[0]={}", world.namespace);
    let values = ["--set", &namespaces, "--set", "clusterId=test"];
    let notes = place.deploy("install", "oms", &values).await;
    assert!(notes.contains("Objects in other namespaces get no answer"), "{notes}");
    exercise(&world, None).await;

    // A clean-up is given up, and told in the operator's namespace.
    let task = world.migration("left").with("/destination/prefix", "left/").apply().await;
    task.wait_phase(Phase::Succeeded).await;
    world.delete_secret(OMS_SECRET).await;
    let former = place.pods().await;
    let further = ["--set", "config.cleanupTimeout=1s", "--set", "podAnnotations.keys=forgotten"];
    place.deploy("upgrade", "oms", &[&values[..], &further].concat()).await;
    eventually("the pods that know the keys are gone", async || {
        let pods = place.pods().await;
        if pods.keys().any(|name| former.contains_key(name)) { Err(format!("{pods:?}")) } else { Ok(()) }
    })
    .await;
    task.delete().await;
    task.wait_gone().await;

    let given = assert_each_right_is_used_and_none_beside(&world, &place).await;
    assert!(given.iter().all(|right| !right.namespace.is_empty()), "{given:#?}");
    let label = "app.kubernetes.io/instance=oms";
    for kind in ["clusterroles", "clusterrolebindings"] {
        assert_eq!(world.kubectl(&["get", kind, "-l", label, "-o", "name"]).await.trim(), "", "{kind}");
    }
}
