//! The overlays of `gitops/kustomize`, rendered by kubectl, applied, and carried out.

use std::path::Path;

use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use oms_operator::api::{MigrationTask, Phase};
use serde_json::{Value, json};

use crate::migration::{condition, phase_of};
use crate::world::{DESTINATION_SECRET, OMS_SECRET, PROJECT, SOURCE_SECRET, Setup, World, eventually};

/// A copy of the folder, as a user has it, with an overlay for the OMS and the keys of this test on top of each.
fn overlays(world: &World) -> std::path::PathBuf {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("gitops/kustomize");
    let folder = world.folder().join("kustomize");
    copy(&from, &folder);
    for name in ["staging", "production"] {
        let here = folder.join("here").join(name);
        std::fs::create_dir_all(&here).unwrap();
        let endpoint = &world.emulator.endpoints().oms;
        let connection = json!([
            { "op": "add", "path": "/spec/endpoint", "value": endpoint },
            { "op": "add", "path": "/spec/projectId", "value": PROJECT },
        ]);
        let keys = json!({ "secretRef": { "name": DESTINATION_SECRET } });
        let task = json!([{ "op": "add", "path": "/spec/destination/credentials", "value": keys }]);
        let kustomization = json!({
            "apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization",
            "resources": [format!("../../overlays/{name}")],
            "patches": [
                { "target": { "kind": "Connection" }, "patch": connection.to_string() },
                { "target": { "kind": "MigrationTask" }, "patch": task.to_string() },
            ],
        });
        std::fs::write(here.join("kustomization.yaml"), kustomization.to_string()).unwrap();
    }
    folder.join("here")
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// The namespace of an overlay, with the Secrets that come from elsewhere.
async fn prepare(world: &World, namespace: &str) {
    let made = serde_json::from_value(json!({ "metadata": { "name": namespace } })).unwrap();
    Api::<Namespace>::all(world.client.clone()).create(&PostParams::default(), &made).await.unwrap();
    let secrets = Api::<Secret>::namespaced(world.client.clone(), namespace);
    for (name, keys) in [
        (OMS_SECRET, &world.oms_keys),
        (SOURCE_SECRET, &world.source_keys),
        (DESTINATION_SECRET, &world.destination_keys),
    ] {
        let data = json!({ "accessKey": keys.access, "secretKey": keys.secret });
        let secret =
            serde_json::from_value(json!({ "metadata": { "name": name }, "stringData": data })).unwrap();
        secrets.create(&PostParams::default(), &secret).await.unwrap();
    }
}

async fn wait(
    world: &World,
    namespace: &str,
    what: &str,
    holds: impl Fn(&MigrationTask) -> bool,
) -> MigrationTask {
    let tasks = Api::<MigrationTask>::namespaced(world.client.clone(), namespace);
    eventually(&format!("photos of {namespace} {what}"), async || {
        let task = tasks.get("photos").await.unwrap();
        if holds(&task) {
            Ok(task)
        } else {
            Err(format!("{:?} {:?}", phase_of(&task), condition(&task, "Ready")))
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_overlay_is_applied_and_migrates_as_it_says() {
    let world = Setup::default().unconnected().everywhere().await.start().await;
    world.put_objects(2).await;
    let source = world.source_bucket("photos");
    source.put("2026/a.jpg", "image/jpeg", &[], "a".into()).await.unwrap();
    world.destination_bucket("photos-archive-staging").create().await.unwrap();
    let here = overlays(&world);
    for name in ["staging", "production"] {
        prepare(&world, &format!("media-{name}")).await;
        let mut command = world.plane.kubectl();
        let rendered = command.arg("kustomize").arg(here.join(name)).output().unwrap();
        let text = String::from_utf8(rendered.stdout).unwrap();
        assert!(rendered.status.success(), "{}", String::from_utf8_lossy(&rendered.stderr));
        let mut command = world.plane.kubectl();
        let applied = command.args(["apply", "-k"]).arg(here.join(name)).output().unwrap();
        let told = String::from_utf8_lossy(&applied.stderr).into_owned();
        assert!(applied.status.success(), "{told}: {text}");
        assert_eq!(
            String::from_utf8_lossy(&applied.stdout).lines().count(),
            2,
            "a connection and a migration"
        );
    }
    // A part of the bucket, into a bucket of its own.
    wait(&world, "media-staging", "has succeeded", |task| phase_of(task) == Some(Phase::Succeeded)).await;
    let copied = world.destination_bucket("photos-archive-staging").keys().await.unwrap();
    let copied: Vec<_> = copied.iter().filter(|key| !key.starts_with("oms/")).collect();
    assert_eq!(copied, ["2026/a.jpg"]);

    // Everything, after somebody has approved the plan.
    let waiting = wait(&world, "media-production", "waits for approval", |task| {
        condition(task, "Ready").is_some_and(|(_, reason)| reason == "ApprovalRequired")
    })
    .await;
    let plan: Value = json!({ "spec": { "approvedPlan": waiting.status.unwrap().plan.unwrap().hash } });
    let tasks = Api::<MigrationTask>::namespaced(world.client.clone(), "media-production");
    tasks.patch("photos", &PatchParams::default(), &Patch::Merge(plan)).await.unwrap();
    wait(&world, "media-production", "has succeeded", |task| phase_of(task) == Some(Phase::Succeeded)).await;
    for key in ["00000.txt", "00001.txt", "2026/a.jpg"] {
        assert!(world.destination.object("photos-archive", key).is_some(), "{key}");
    }
}
