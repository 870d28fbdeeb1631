//! An object that the operator cannot read hurts only itself.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, CustomResourceDefinitionSpec,
};
use kube::api::{ApiResource, DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt};
use oms_operator::api::{MigrationTask, Phase};
use oms_operator::dev::ControlPlane;
use serde_json::json;

use crate::operator::OperatorFlags;
use crate::world::{Setup, World, eventually, oms_dev};

/// Puts another spec of the definition into the server.
async fn define(world: &World, spec: CustomResourceDefinitionSpec) {
    let definitions = Api::<CustomResourceDefinition>::all(world.client.clone());
    let mut definition = definitions.get("migrationtasks.oms-operator.io").await.unwrap();
    definition.spec = spec;
    definitions.replace("migrationtasks.oms-operator.io", &PostParams::default(), &definition).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn objects_that_do_not_decode_hurt_only_themselves() {
    // A server of its own, as the definition is loosened for a while.
    let plane = tokio::task::spawn_blocking(|| ControlPlane::start(oms_dev())).await.unwrap().unwrap();
    let plane: &'static ControlPlane = Box::leak(Box::new(plane));
    let mut setup = Setup::default().unoperated();
    setup.plane = Some(plane);
    let mut world = setup.start().await;
    world.put_objects(2).await;

    // Objects from a time when the definition allowed what it no longer does.
    let definitions = Api::<CustomResourceDefinition>::all(world.client.clone());
    let strict = definitions.get("migrationtasks.oms-operator.io").await.unwrap().spec;
    let mut loose = strict.clone();
    let schema = json!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true });
    loose.versions[0].schema.as_mut().unwrap().open_api_v3_schema =
        Some(serde_json::from_value(schema).unwrap());
    define(&world, loose).await;
    let resource = ApiResource::erase::<MigrationTask>(&());
    let objects = Api::<DynamicObject>::namespaced_with(world.client.clone(), &world.namespace, &resource);
    for (name, spec) in [
        ("unknown-type", json!({ "type": "teleport", "source": {}, "destination": {} })),
        ("no-spec", json!({})),
        ("wrong-status", world.migration("x").with("/suspend", true).manifest()["spec"].clone()),
    ] {
        let mut object = json!({
            "apiVersion": "oms-operator.io/v1alpha1", "kind": "MigrationTask",
            "metadata": { "name": name }, "spec": spec,
        });
        if name == "no-spec" {
            object.as_object_mut().unwrap().remove("spec");
        }
        let object: DynamicObject = serde_json::from_value(object).unwrap();
        // The server takes a moment to serve the looser definition.
        eventually(&format!("{name} is taken"), async || {
            objects.create(&PostParams::default(), &object).await.map_err(|error| error.to_string())
        })
        .await;
    }
    let status = Patch::Merge(json!({ "status": { "phase": "Daydreaming", "taskId": 7 } }));
    objects.patch_status("wrong-status", &PatchParams::default(), &status).await.unwrap();
    define(&world, strict).await;
    eventually("the strict definition holds again", async || {
        let object = json!({
            "apiVersion": "oms-operator.io/v1alpha1", "kind": "MigrationTask",
            "metadata": { "name": "probe" }, "spec": { "type": "teleport" },
        });
        let dry_run = PostParams { dry_run: true, ..PostParams::default() };
        match objects.create(&dry_run, &serde_json::from_value(object).unwrap()).await {
            Err(kube::Error::Api(_)) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;

    let operator = world.start_operator(&OperatorFlags::default()).await;
    let versions = async || {
        let mut versions = Vec::new();
        for name in ["unknown-type", "no-spec", "wrong-status"] {
            versions.push(objects.get(name).await.unwrap().resource_version());
        }
        versions
    };
    let before = versions().await;
    world.migration("healthy").apply().await.wait_phase(Phase::Succeeded).await;
    world.let_polls_pass(6).await;
    assert_eq!(versions().await, before, "what cannot be read is not written");
    assert_eq!(world.operators[operator].get("/healthz").await.0, 200);
    for name in ["unknown-type", "no-spec", "wrong-status"] {
        world.operators[operator].wait_log(&format!("\"name\":\"{name}\"")).await;
    }
    assert_eq!(world.effects("CreateTask").await.len(), 1);

    // Mended, it goes on by itself; and what is broken can be deleted.
    let good = world.migration("x").with("/destination/prefix", "mended/").manifest()["spec"].clone();
    let mend = Patch::Merge(json!({ "spec": good }));
    objects.patch("unknown-type", &PatchParams::default(), &mend).await.unwrap();
    world.existing("unknown-type").wait_phase(Phase::Succeeded).await;
    objects.delete("no-spec", &DeleteParams::default()).await.unwrap();
    eventually("no-spec is gone", async || match objects.get_opt("no-spec").await {
        Ok(None) => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
}
