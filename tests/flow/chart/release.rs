//! A release of the chart, with a kubelet for its pods.

use std::collections::BTreeMap;
use std::process::Command;

use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::Api;
use kube::api::{ListParams, Patch, PatchParams};
use oms_operator::dev::ControlPlane;
use oms_operator::dev::kubelet::{Kubelet, Machine};
use oms_operator::dev::tools::{Tool, Tools};
use serde_json::{Value, json};

use super::sets::EVERYWHERE;
use crate::world::{Setup, World, eventually, oms_dev};

/// Where the chart of the operator is.
pub(super) const OPERATOR: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/charts/oms-operator");
/// Where the chart of migrations is.
pub(super) const MIGRATIONS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/charts/oms-migrations");

/// A namespace of a cluster, into which charts are installed, and whose pods run.
pub(super) struct Place<'w> {
    pub(super) world: &'w World,
    pub(super) namespace: String,
    pub(super) kubelet: Kubelet,
}

/// A world with an API server of its own, on which nothing is installed.
pub(super) async fn bare(setup: Setup) -> World {
    let plane = tokio::task::spawn_blocking(|| ControlPlane::start(oms_dev())).await.unwrap().unwrap();
    let mut setup = setup.undefined();
    setup.plane = Some(Box::leak(Box::new(plane)));
    setup.start().await
}

/// Runs helm in a namespace, and says whether it succeeded and what it printed.
pub(super) async fn helm(world: &World, namespace: &str, arguments: &[&str]) -> (bool, String) {
    let mut command = helm_command();
    command
        .env("KUBECONFIG", world.plane.kubeconfig())
        // Its caches are not the user's.
        .env("HELM_CACHE_HOME", world.folder().join("helm"))
        .args(arguments)
        .args(["--namespace", namespace]);
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&text).into_owned())
}

/// The arguments of `helm install` or `helm upgrade` for a test.
fn deployment<'a>(verb: &'a str, name: &'a str, further: &[&'a str], limit: &'a str) -> Vec<&'a str> {
    let mut arguments = vec![verb, name, OPERATOR, "--wait", "--timeout", limit];
    for value in EVERYWHERE {
        arguments.extend(["--set", value]);
    }
    arguments.extend(further);
    arguments
}

/// Where pods find the API server: in a cluster, the address of its service.
pub(super) fn service_host(world: &World) -> String {
    let url = reqwest::Url::parse(world.plane.server()).unwrap();
    url.host_str().unwrap().to_owned()
}

/// The real helm.
pub(super) fn helm_command() -> Command {
    let tools = std::thread::spawn(|| Tools::resolve(oms_dev(), &[Tool::Helm])).join().unwrap().unwrap();
    Command::new(tools.path(Tool::Helm))
}

impl<'w> Place<'w> {
    /// A namespace with the strictest rules for pods that Kubernetes has.
    pub(super) async fn new(world: &'w World, namespace: &str) -> Self {
        let namespaces = Api::<Namespace>::all(world.client.clone());
        let labels = json!({ "pod-security.kubernetes.io/enforce": "restricted" });
        let manifest = json!({
            "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": namespace, "labels": labels },
        });
        let apply = PatchParams::apply("flow-test").force();
        namespaces.patch(namespace, &apply, &Patch::Apply(&manifest)).await.unwrap();
        let images = BTreeMap::from([("oms-operator".to_owned(), env!("CARGO_BIN_EXE_oms-operator").into())]);
        let machine = Machine {
            oms_dev: oms_dev().to_owned(),
            images,
            kubeconfig: world.plane.kubeconfig().to_owned(),
            folder: world.folder().join(namespace),
            environment: vec![
                ("NO_PROXY".into(), "127.0.0.0/8,localhost".into()),
                ("KUBERNETES_SERVICE_HOST".into(), service_host(world)),
            ],
        };
        let kubelet = Kubelet::start(world.client.clone(), namespace, machine);
        Self { world, namespace: namespace.to_owned(), kubelet }
    }

    /// Runs helm, which has to succeed.
    pub(super) async fn helm(&self, arguments: &[&str]) -> String {
        let (succeeded, output) = helm(self.world, &self.namespace, arguments).await;
        if !succeeded {
            self.tell();
        }
        assert!(succeeded, "helm {arguments:?} failed: {output}");
        output
    }

    /// `helm install` or `helm upgrade`, waiting as Helm waits, with further arguments.
    pub(super) async fn deploy(&self, verb: &str, name: &str, further: &[&str]) -> String {
        self.helm(&deployment(verb, name, further, "180s")).await
    }

    /// The same with a limit of its own, and without the claim that it succeeds.
    pub(super) async fn try_deploy(
        &self,
        verb: &str,
        name: &str,
        further: &[&str],
        limit: &str,
    ) -> (bool, String) {
        helm(self.world, &self.namespace, &deployment(verb, name, further, limit)).await
    }

    /// The pods, each with whether it is ready.
    pub(super) async fn pods(&self) -> BTreeMap<String, bool> {
        let pods = Api::<Pod>::namespaced(self.world.client.clone(), &self.namespace);
        let pods = pods.list(&ListParams::default()).await.unwrap();
        let ready = |pod: &Pod| {
            let conditions =
                pod.status.as_ref().and_then(|status| status.conditions.clone()).unwrap_or_default();
            conditions.iter().any(|told| told.type_ == "Ready" && told.status == "True")
        };
        pods.iter().map(|pod| (pod.metadata.name.clone().unwrap(), ready(pod))).collect()
    }

    /// Waits until no pod and no process is left.
    pub(super) async fn wait_empty(&self) {
        eventually("no pod is left", async || {
            let (pods, processes) = (self.pods().await, self.kubelet.processes());
            if pods.is_empty() && processes.is_empty() {
                Ok(())
            } else {
                Err(format!("{pods:?} {processes:?}"))
            }
        })
        .await;
    }

    /// The log of a pod.
    pub(super) fn log(&self, pod: &str) -> String {
        let path = self.world.folder().join(&self.namespace).join(pod).join("log");
        std::fs::read_to_string(path).unwrap_or_default()
    }

    /// The variables of the process of each pod.
    pub(super) fn environments(&self) -> Vec<BTreeMap<String, String>> {
        let pairs = |words: Vec<String>| {
            let pairs = words.iter().filter_map(|pair| pair.split_once('='));
            pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
        };
        self.told_of_processes("environ").into_iter().map(pairs).collect()
    }

    /// The arguments of the process of each pod.
    pub(super) fn arguments(&self) -> Vec<Vec<String>> {
        self.told_of_processes("cmdline")
    }

    fn told_of_processes(&self, file: &str) -> Vec<Vec<String>> {
        let processes = self.kubelet.processes();
        assert!(!processes.is_empty());
        let of = |id: &u32| {
            let text = String::from_utf8(std::fs::read(format!("/proc/{id}/{file}")).unwrap()).unwrap();
            text.split('\0').map(str::to_owned).collect()
        };
        processes.values().map(of).collect()
    }

    /// `helm install` or `helm upgrade` with a file of values.
    pub(super) async fn deploy_values(&self, verb: &str, name: &str, values: &Value) {
        let file = self.world.folder().join(format!("{name}.json"));
        std::fs::write(&file, values.to_string()).unwrap();
        self.deploy(verb, name, &["--values", file.to_str().unwrap()]).await;
    }

    /// An object of the release's namespace, or of the cluster.
    pub(super) async fn object(&self, kind: &str, name: &str) -> Value {
        let get = ["--namespace", &self.namespace, "get", kind, name, "-o", "json"];
        serde_json::from_str(&self.world.kubectl(&get).await).unwrap()
    }

    /// What the pods said, for a test that fails.
    fn tell(&self) {
        for pod in self.kubelet.processes().keys() {
            let log = self.log(pod);
            let lines: Vec<_> = log.lines().collect();
            eprintln!("--- end of the log of {pod}\n{}", lines[lines.len().saturating_sub(20)..].join("\n"));
        }
    }
}
