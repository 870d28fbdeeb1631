//! What the operator finds when it starts: definitions that are missing, older or newer, and namespaces that are not its own.

use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps,
};
use kube::Api;
use kube::api::{Patch, PatchParams};
use oms_operator::api::{self, MigrationTask, Phase};
use oms_operator::dev::crds;
use serde_json::json;

use crate::operator::{Operator, OperatorFlags};
use crate::world::{Setup, World, eventually};

/// The definitions, with the schema of MigrationTask changed.
fn changed(change: impl FnOnce(&mut JSONSchemaProps)) -> Vec<CustomResourceDefinition> {
    let mut all = api::crds();
    let task = all.iter_mut().find(|crd| crd.spec.names.kind == "MigrationTask").unwrap();
    let schema = task.spec.versions[0].schema.as_mut().unwrap();
    change(schema.open_api_v3_schema.as_mut().unwrap());
    all
}

fn part<'s>(schema: &'s mut JSONSchemaProps, path: &[&str]) -> &'s mut JSONSchemaProps {
    path.iter().fold(schema, |schema, name| schema.properties.as_mut().unwrap().get_mut(*name).unwrap())
}

/// Definitions from before a create had a mark.
fn older() -> Vec<CustomResourceDefinition> {
    changed(|schema| {
        let create = part(schema, &["status", "create"]);
        create.properties.as_mut().unwrap().remove("sentAt");
    })
}

/// Definitions of a time to come.
fn newer() -> Vec<CustomResourceDefinition> {
    changed(|schema| {
        let text = JSONSchemaProps { type_: Some("string".into()), ..JSONSchemaProps::default() };
        part(schema, &["spec"]).properties.as_mut().unwrap().insert("shape".into(), text);
    })
}

async fn install(world: &World, definitions: &[CustomResourceDefinition]) {
    crds::install(&world.client, definitions).await.unwrap();
}

/// Asserts that it is not ready and says why there, and that it said so once.
async fn assert_waits(operator: &Operator, words: &[&str]) {
    operator.wait_log(words[0]).await;
    let (status, said) = operator.ask("/readyz").await;
    assert_eq!(status, 503);
    for word in words {
        assert!(said.contains(word), "{word:?} is missing in: {said}");
    }
    let log = operator.log();
    let told: Vec<_> = log.lines().filter(|line| line.contains(words[0])).collect();
    assert_eq!(told.len(), 1, "{told:#?}");
    assert!(told[0].contains("\"ERROR\""), "{told:?}");
}

async fn eventually_ready(operator: &Operator) {
    eventually("it is ready", async || match operator.ask("/readyz").await {
        (200, _) => Ok(()),
        other => Err(format!("{other:?} {}", operator.log_tail(5))),
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn definitions_that_are_missing_or_older_are_waited_for_and_newer_ones_are_told() {
    let mut world = Setup::default().everywhere().await.undefined().start().await;
    let flags = OperatorFlags { everywhere: true, ..OperatorFlags::default() };
    let mut operator = world.spawn_operator(&flags);
    assert_waits(&operator, &["are not installed", "MigrationTask", "oms-operator crds | kubectl apply"])
        .await;
    install(&world, &older()).await;
    let lost = "are older than this operator";
    assert_waits(&operator, &[lost, "MigrationTask.status.create.sentAt", "oms-operator crds"]).await;
    assert!(operator.exited(std::time::Duration::ZERO).await.is_none(), "it waits, and does not crash");
    install(&world, &api::crds()).await;
    operator.wait_log("what was missing is there").await;
    operator.wait_ready().await;
    world.connect().await;
    world.put_objects(1).await;
    world.migration("first").apply().await.wait_phase(Phase::Succeeded).await;

    // Somebody installs older ones while it runs: a mark that is not kept must not be believed.
    install(&world, &older()).await;
    let second = world.migration("second").with("/destination/prefix", "second/").apply().await;
    operator.wait_log("dropped a part of the status").await;
    world.let_polls_pass(8).await;
    assert_eq!(world.effects("CreateTask").await.len(), 1, "nothing is sent without a mark");
    install(&world, &api::crds()).await;
    second.wait_phase(Phase::Succeeded).await;
    assert_eq!(world.effects("CreateTask").await.len(), 2);
    assert_eq!(world.remote_tasks().await.len(), 2);
    operator.kill();

    install(&world, &newer()).await;
    let operator = world.start_operator(&flags).await;
    let operator = &world.operators[operator];
    eventually_ready(operator).await;
    let log = operator.log();
    let told = log.lines().find(|line| line.contains("newer than this operator")).expect("it is told");
    assert!(told.contains("MigrationTask.spec.shape") && told.contains("\"WARN\""), "{told}");
    let third = world.migration("third").with("/destination/prefix", "third/").with("/shape", "round");
    third.apply().await.wait_phase(Phase::Succeeded).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_in_a_namespace_that_is_not_watched_gets_no_answer_and_the_log_says_which_are() {
    let world = World::start().await;
    let elsewhere = format!("{}-elsewhere", world.namespace);
    let mut namespace = Namespace::default();
    namespace.metadata.name = Some(elsewhere.clone());
    Api::all(world.client.clone()).create(&kube::api::PostParams::default(), &namespace).await.unwrap();
    let mut manifest = world.migration("photos").manifest().clone();
    manifest["metadata"]["namespace"] = json!(elsewhere);
    let there = Api::<MigrationTask>::namespaced(world.client.clone(), &elsewhere);
    let apply = PatchParams::apply("flow-test").force();
    there.patch("photos", &apply, &Patch::Apply(&manifest)).await.unwrap();
    // Ours goes through all of it meanwhile.
    world.put_objects(1).await;
    world.migration("photos").apply().await.wait_phase(Phase::Succeeded).await;
    let untouched = there.get("photos").await.unwrap();
    let status = untouched.status.unwrap();
    assert_eq!((status.observed_generation, status.phase, status.conditions), (-1, None, Vec::new()));
    assert_eq!(untouched.metadata.finalizers, None);
    let log = world.operators[0].log();
    let told = log.lines().find(|line| line.contains("are looked after")).unwrap();
    assert!(told.contains(&world.namespace) && !told.contains(&elsewhere), "{told}");
}
