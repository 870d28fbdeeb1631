//! Rights that are taken from a release while it runs: told once, by verb and resource, and nothing is lost.

use oms_operator::api::Phase;
use serde_json::{Value, json};

use super::release::{Place, bare};
use crate::world::{Setup, World, eventually};

/// A role as it is, to be changed and brought back.
struct Role {
    kind: &'static str,
    name: &'static str,
    rules: Value,
}

impl Role {
    async fn read(world: &World, kind: &'static str, name: &'static str) -> Self {
        let text = world.kubectl(&["-n", "oms-system", "get", kind, name, "-o", "json"]).await;
        let role: Value = serde_json::from_str(&text).unwrap();
        Self { kind, name, rules: role["rules"].clone() }
    }

    async fn set(&self, world: &World, rules: &Value) {
        let patch = json!({ "rules": rules }).to_string();
        let patch = ["-n", "oms-system", "patch", self.kind, self.name, "--type", "merge", "-p", &patch];
        world.kubectl(&patch).await;
    }

    /// Takes a verb on the resources that `about` names.
    async fn take(&self, world: &World, verb: &str, about: impl Fn(&str) -> bool) {
        let mut rules = self.rules.clone();
        for rule in rules.as_array_mut().unwrap() {
            if rule["resources"].as_array().unwrap().iter().any(|name| about(name.as_str().unwrap())) {
                rule["verbs"].as_array_mut().unwrap().retain(|other| other != verb);
                if rule["verbs"].as_array().unwrap().is_empty() {
                    rule["verbs"] = json!(["deletecollection"]);
                }
            }
        }
        self.set(world, &rules).await;
    }

    async fn give_back(&self, world: &World) {
        self.set(world, &self.rules).await;
    }
}

async fn pod(place: &Place<'_>, is_ready: bool) -> String {
    eventually(&format!("there is one pod, ready: {is_ready}"), async || {
        let pods = place.pods().await;
        match pods.iter().next() {
            Some((name, ready)) if pods.len() == 1 && *ready == is_ready => Ok(name.clone()),
            _ => Err(format!("{pods:?}")),
        }
    })
    .await
}

async fn wait_logged(place: &Place<'_>, pod: &str, words: &[&str]) {
    eventually(&format!("{pod} logs {words:?}"), async || {
        let log = place.log(pod);
        let found = log.lines().any(|line| words.iter().all(|word| line.contains(word)));
        if found { Ok(()) } else { Err(log.lines().rev().take(5).collect::<Vec<_>>().join("\n")) }
    })
    .await;
}

fn count(log: &str, words: &[&str]) -> usize {
    log.lines().filter(|line| words.iter().all(|word| line.contains(word))).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rights_that_are_taken_away_are_named_once_and_everything_goes_on_when_they_are_back() {
    let world = bare(Setup::default()).await;
    let place = Place::new(&world, "oms-system").await;
    place.deploy("install", "oms", &["--set", "replicaCount=1"]).await;
    world.connect().await;
    world.put_objects(1).await;
    world.wait_connection("default", "True", "Connected").await;
    let role = Role::read(&world, "clusterrole", "oms-oms-operator").await;

    // At run time: what was done so far is no longer allowed.
    role.take(&world, "update", |resource| resource == "migrationtasks/status").await;
    for number in 0..5 {
        let draft = world.migration(&format!("photos-{number}"));
        draft.with("/destination/prefix", format!("{number}/")).apply().await;
    }
    let name = pod(&place, false).await;
    let told = ["a right is missing", "update resource", "migrationtasks/status"];
    wait_logged(&place, &name, &told).await;
    // Passes are tried again and again meanwhile.
    world.let_polls_pass(12).await;
    assert_eq!(count(&place.log(&name), &told), 1, "it is told once, for five objects and all their passes");
    assert_eq!(count(&place.log(&name), &["\"WARN\"", "the pass failed", "migrationtasks/status"]), 1);
    assert_eq!(world.journal("CreateTask").await.len(), 0, "what cannot be noted is not done");
    role.give_back(&world).await;
    for number in 0..5 {
        world.existing(&format!("photos-{number}")).wait_phase(Phase::Succeeded).await;
    }
    assert_eq!(pod(&place, true).await, name, "no restart was needed");
    wait_logged(&place, &name, &["the right is no longer refused", "migrationtasks/status"]).await;
    assert_eq!(world.effects("CreateTask").await.len(), 5);

    // At the start: nothing can be listed.
    role.take(&world, "list", |resource| resource == "migrationtasks").await;
    world.kubectl(&["-n", "oms-system", "delete", "pod", &name, "--wait=true"]).await;
    let name = pod(&place, false).await;
    wait_logged(&place, &name, &["a watch failed", "migrationtasks", "cannot list resource"]).await;
    role.give_back(&world).await;
    assert_eq!(pod(&place, true).await, name);
    wait_logged(&place, &name, &["the watch works again", "migrationtasks"]).await;

    // The lease: its leader ends, as nobody may lead who cannot renew. Then it waits, and does not end again and again.
    let own = Role::read(&world, "role", "oms-oms-operator-own").await;
    own.take(&world, "update", |resource| resource == "leases").await;
    wait_logged(&place, &name, &["the lease was lost"]).await;
    wait_logged(&place, &name, &["lease not reached", "cannot update resource", "leases"]).await;
    assert_eq!(pod(&place, false).await, name);
    own.give_back(&world).await;
    assert_eq!(pod(&place, true).await, name);
    assert_eq!(count(&place.log(&name), &["ended with an error"]), 1);
    let last = world.migration("last").with("/destination/prefix", "last/").apply().await;
    last.wait_phase(Phase::Succeeded).await;
}
