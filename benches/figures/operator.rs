//! What the operator needs with 1,000 migrations under way: the chart's `resources` come from here.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use futures::{StreamExt as _, stream};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{ListParams, Patch, PatchParams};
use kube::{Api, Client};
use oms_operator::api::{self, Connection, MigrationTask, Phase};
use oms_operator::dev::process::BoundProcess;
use oms_operator::dev::{ControlPlane, crds};
use serde::Deserialize as _;
use serde_json::{Value, json};

use crate::emulator::{Emulator, config, http};
use crate::{figure, process};

const TASKS: usize = 1000;
/// How long the operator is watched while all tasks run, some polls long.
const WATCHED: Duration = Duration::from_mins(2);
const PATIENCE: Duration = Duration::from_mins(10);

pub(crate) async fn measure() {
    let mut config = config(None);
    config["limits"] = json!({ "runningTasks": TASKS });
    // They all run for as long as anybody looks.
    config["behaviour"]["minimumRunMs"] = json!(3_600_000);
    let emulator = Emulator::start(&config, None).await;
    let (source, destination) = (emulator.store(0), emulator.store(1));
    source.make(&http(), "photos").await;
    source.put(&http(), "photos", "a.jpg", 1, 1).await;
    destination.make(&http(), "archive").await;

    let oms_dev = Path::new(env!("CARGO_BIN_EXE_oms-dev"));
    let plane = tokio::task::spawn_blocking(|| ControlPlane::start(oms_dev)).await.unwrap().unwrap();
    let client = plane.client().await.unwrap();
    crds::install(&client, &api::crds()).await.unwrap();
    for (name, keys) in [
        ("huawei", (emulator.ready("/projects/0/accessKey"), emulator.ready("/projects/0/secretKey"))),
        ("source", (source.access.as_str(), source.secret.as_str())),
        ("destination", (destination.access.as_str(), destination.secret.as_str())),
    ] {
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": { "name": name },
            "stringData": { "accessKey": keys.0, "secretKey": keys.1 },
        });
        apply::<Secret>(&client, secret).await;
    }
    let connection = json!({
        "apiVersion": "oms-operator.io/v1alpha1", "kind": "Connection", "metadata": { "name": "default" },
        "spec": {
            "region": "cn-north-4", "projectId": emulator.ready("/projects/0/id"),
            "endpoint": emulator.ready("/oms"),
            "credentials": { "secretRef": { "name": "huawei" } },
            "limits": { "requestsPerSecond": 100 },
        },
    });
    apply::<Connection>(&client, connection).await;
    stream::iter(0..TASKS).for_each_concurrent(8, |number| apply_task(&client, number)).await;

    let ready = emulator.folder.path().join("operator-ready");
    let operator = start(oms_dev, &plane, &ready, emulator.folder.path());
    until_all_run(&client).await;
    let before = process::processor_time(operator.id());
    tokio::time::sleep(WATCHED).await;
    let seconds = process::processor_time(operator.id()) - before;
    let millicores = seconds * 1000.0 / WATCHED.as_secs_f64();
    let memory = process::memory(operator.id(), "VmHWM");
    let (limit, request) = resources();
    figure(
        "operator: memory with 1,000 running migrations (at most 1)",
        &format!("{memory:.0} MB"),
        &format!("{limit:.0} MB, limit of the chart"),
        memory / limit,
    );
    figure(
        "operator: 1,000 running migrations on a core (at most 1)",
        &format!("{millicores:.0} m"),
        &format!("{request:.0} m, request of the chart"),
        millicores / request,
    );
}

/// Memory limit of the chart, in MB, and the thousandths of a core that it asks a node for.
fn resources() -> (f64, f64) {
    let text = include_str!("../../charts/oms-operator/values.yaml");
    let values = Value::deserialize(serde_yaml::Deserializer::from_str(text)).unwrap();
    let number = |pointer: &str, unit: &str| -> f64 {
        values.pointer(pointer).unwrap().as_str().unwrap().strip_suffix(unit).unwrap().parse().unwrap()
    };
    let limit = number("/resources/limits/memory", "Mi") * 1024.0 * 1024.0 / 1e6;
    (limit, number("/resources/requests/cpu", "m"))
}

async fn apply<K>(client: &Client, manifest: Value)
where
    K: kube::Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>
        + Clone
        + serde::de::DeserializeOwned
        + std::fmt::Debug,
{
    let name = manifest["metadata"]["name"].as_str().unwrap().to_owned();
    let objects = Api::<K>::namespaced(client.clone(), "default");
    objects.patch(&name, &PatchParams::apply("bench").force(), &Patch::Apply(&manifest)).await.unwrap();
}

async fn apply_task(client: &Client, number: usize) {
    let prefix = format!("{number}/");
    let task = json!({
        "apiVersion": "oms-operator.io/v1alpha1", "kind": "MigrationTask",
        "metadata": { "name": format!("photos-{number}") },
        "spec": {
            "type": "prefix",
            "source": {
                "cloudType": "AWS", "region": "eu-west-1", "bucket": "photos", "objectKeys": [""],
                "credentials": { "secretRef": { "name": "source" } },
            },
            "destination": {
                "bucket": "archive", "prefix": prefix,
                "credentials": { "secretRef": { "name": "destination" } },
            },
            // The buckets of the embedded stores lie in regions of their own.
            "preflight": "Off",
        },
    });
    apply::<MigrationTask>(client, task).await;
}

/// The operator as the chart starts it, of which alone the figures are: `OPERATOR` names another build of it.
fn start(oms_dev: &Path, plane: &ControlPlane, ready: &Path, folder: &Path) -> BoundProcess {
    let ours = env!("CARGO_BIN_EXE_oms-operator").into();
    let mut command = Command::new(std::env::var_os("OPERATOR").unwrap_or(ours));
    command
        .args(["run", "--allowed-endpoint=127.0.0.1", "--metrics-listen=127.0.0.1:0", "--leader-elect=false"])
        .arg("--ready-file")
        .arg(ready)
        .env("KUBECONFIG", plane.kubeconfig())
        .env("NO_PROXY", "127.0.0.1")
        .env_remove("HTTPS_PROXY")
        .env_remove("https_proxy");
    let log = folder.join("operator.log");
    BoundProcess::spawn(oms_dev, "oms-operator", &command, &log).unwrap()
}

async fn until_all_run(client: &Client) {
    let tasks = Api::<MigrationTask>::namespaced(client.clone(), "default");
    let begun = Instant::now();
    loop {
        let found = tasks.list(&ListParams::default()).await.unwrap();
        let phases: Vec<_> =
            found.iter().map(|task| task.status.as_ref().and_then(|told| told.phase)).collect();
        let running = phases.iter().filter(|phase| **phase == Some(Phase::Running)).count();
        if running == TASKS {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "{running} of {TASKS} run");
        tokio::time::sleep(Duration::from_secs(3)).await;
    }
}
