//! A whole Argo CD beside the whole product, for as long as a test holds it. The tests of this process share one.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, Weak, mpsc};
use std::thread::JoinHandle;

use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Patch, PatchParams};
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use kube::{Api, Client};
use oms_operator::dev::bucket::Endpoint;
use oms_operator::dev::crds;
use oms_operator::dev::process::BoundProcess;
use oms_operator::dev::stack::{Cluster, Programs, Stack, with_stack};
use oms_operator::dev::tools::Tool;
use serde::Deserialize as _;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::cli::{argocd, config_map, tools};
use crate::{eventually, oms_dev};

/// The namespace of Argo CD.
pub(crate) const NAMESPACE: &str = "argocd";
const PART: (&str, &str) = ("app.kubernetes.io/part-of", "argocd");

/// Where everything is.
#[derive(Clone)]
pub(crate) struct Places {
    pub(crate) kubeconfig: PathBuf,
    /// The API server, as applications name it.
    pub(crate) cluster: String,
    /// OMS, and the project there.
    pub(crate) oms: String,
    pub(crate) project: String,
    /// The emulator's admin API.
    pub(crate) admin: String,
    /// Argo CD's own API, for its command line.
    pub(crate) argocd: String,
    pub(crate) source: Endpoint,
    pub(crate) destination: Endpoint,
    /// The Git repository, which has one folder per application.
    pub(crate) repository: PathBuf,
    /// Of the repository and of what commands of Argo CD keep.
    pub(crate) folder: PathBuf,
}

/// A running install; dropping it ends every process.
pub(crate) struct Install {
    pub(crate) places: Places,
    ending: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

impl Install {
    /// The one that tests which run at the same time share.
    pub(crate) fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<Install>> = Mutex::new(Weak::new());
        // A start that failed poisons it, so that the other tests do not wait for the same.
        let mut shared = SHARED.lock().unwrap();
        if let Some(install) = shared.upgrade() {
            return install;
        }
        let install = Arc::new(Self::start());
        *shared = Arc::downgrade(&install);
        install
    }

    /// It has a thread and a runtime of its own, as each test has.
    fn start() -> Self {
        let ending = CancellationToken::new();
        let (ready, places) = mpsc::channel();
        let end = ending.clone();
        let thread = std::thread::spawn(move || {
            let _ = rustls::crypto::ring::default_provider().install_default();
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
            runtime.unwrap().block_on(async {
                let programs = Programs::beside(oms_dev()).unwrap();
                let never = CancellationToken::new();
                let body = async |stack: &mut Stack| {
                    let argo = ArgoCd::start(stack).await;
                    ready.send(argo.places.clone()).unwrap();
                    end.cancelled().await;
                    Ok(())
                };
                with_stack(programs, Cluster::Own, &never, |_| {}, body).await.unwrap();
            });
        });
        let Ok(places) = places.recv() else {
            std::panic::resume_unwind(thread.join().unwrap_err());
        };
        Self { places, ending, thread: Some(thread) }
    }
}

impl Drop for Install {
    fn drop(&mut self) {
        self.ending.cancel();
        if let Some(Err(panic)) = self.thread.take().map(JoinHandle::join)
            && !std::thread::panicking()
        {
            std::panic::resume_unwind(panic);
        }
    }
}

struct ArgoCd {
    places: Places,
    /// Ended with this value.
    _processes: Vec<BoundProcess>,
    _folder: tempfile::TempDir,
}

impl ArgoCd {
    async fn start(stack: &Stack) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        for name in ["home", "tmp", "keys", "repository"] {
            std::fs::create_dir(path.join(name)).unwrap();
        }
        let repository = path.join("repository");
        crate::repository::create(&repository);
        prepare(stack).await;
        let kubeconfig = path.join("kubeconfig");
        std::fs::write(&kubeconfig, kubeconfig_of(stack.plane.kubeconfig())).unwrap();

        let [redis, repo, repo_metrics, controller_metrics, server, server_metrics] = free_ports();
        let mut redis_server = Command::new("redis-server");
        redis_server.args(["--bind", "127.0.0.1", "--port", &redis.to_string()]);
        redis_server.args(["--save", "", "--appendonly", "no", "--dir"]).arg(path);
        let cache = format!("127.0.0.1:{redis}");
        let repo_address = format!("127.0.0.1:{repo}");
        let program = |name: &str, metrics: u16| {
            let mut command = argocd(name);
            command
                .args(["--redis", &cache, "--metrics-port", &metrics.to_string()])
                .env("HOME", path.join("home"))
                .env("TMPDIR", path.join("tmp"))
                .env("ARGOCD_GPG_ENABLED", "false")
                .env("ARGOCD_TLS_DATA_PATH", path.join("keys"))
                .env("ARGOCD_SSH_DATA_PATH", path.join("keys"))
                .env("NO_PROXY", "127.0.0.1,localhost")
                .env("no_proxy", "127.0.0.1,localhost");
            command
        };
        let mut repo_server = program("argocd-repo-server", repo_metrics);
        repo_server.args(["--disable-tls", "--address", "127.0.0.1", "--metrics-address", "127.0.0.1"]);
        repo_server.args(["--port", &repo.to_string()]);
        let mut controller = program("argocd-application-controller", controller_metrics);
        controller.args(["--repo-server", &repo_address, "--repo-server-plaintext"]);
        controller.args(["--persist-resource-health", "--self-heal-backoff-timeout-seconds", "1"]);
        controller.args(["--self-heal-backoff-factor", "1"]).arg("--kubeconfig").arg(&kubeconfig);
        let mut api = program("argocd-server", server_metrics);
        api.args(["--address", "127.0.0.1", "--metrics-address", "127.0.0.1", "--port", &server.to_string()]);
        api.args(["--insecure", "--disable-auth", "--repo-server", &repo_address, "--repo-server-plaintext"]);
        api.arg("--staticassets").arg(path.join("keys")).arg("--kubeconfig").arg(&kubeconfig);

        let mut processes = Vec::new();
        for (name, command, port) in [
            ("redis-server", redis_server, redis),
            ("argocd-repo-server", repo_server, repo),
            ("argocd-server", api, server),
            ("argocd-application-controller", controller, controller_metrics),
        ] {
            let log = path.join(format!("{name}.log"));
            let mut process = BoundProcess::spawn(oms_dev(), name, &command, &log).unwrap();
            eventually(&format!("{name} listens"), async || {
                process.check_running().unwrap_or_else(|error| panic!("{error}"));
                let answer = tokio::net::TcpStream::connect(("127.0.0.1", port)).await;
                answer.map(drop).map_err(|error| error.to_string())
            })
            .await;
            processes.push(process);
        }
        let places = Places {
            kubeconfig,
            cluster: stack.plane.server().to_owned(),
            oms: stack.oms.clone(),
            project: stack.project_id.clone(),
            admin: stack.admin.clone(),
            argocd: format!("127.0.0.1:{server}"),
            source: stack.source.clone(),
            destination: stack.destination.clone(),
            repository,
            folder: path.to_owned(),
        };
        Self { places, _processes: processes, _folder: folder }
    }
}

/// Ports that were free a moment ago.
fn free_ports<const N: usize>() -> [u16; N] {
    // Held until all are chosen.
    let held = [(); N].map(|()| TcpListener::bind(("127.0.0.1", 0)).unwrap());
    held.map(|listener| listener.local_addr().unwrap().port())
}

/// Argo CD looks for its settings in the namespace of the context.
fn kubeconfig_of(admin: &Path) -> String {
    let text = std::fs::read_to_string(admin).unwrap();
    let mut config = Value::deserialize(serde_yaml::Deserializer::from_str(&text)).unwrap();
    for context in config["contexts"].as_array_mut().unwrap() {
        context["context"]["namespace"] = json!(NAMESPACE);
    }
    serde_json::to_string(&config).unwrap()
}

/// What an install of Argo CD has in its cluster, with the ConfigMap of ours.
async fn prepare(stack: &Stack) {
    let client = &stack.client;
    let definitions: Vec<CustomResourceDefinition> = ["application-crd.yaml", "appproject-crd.yaml"]
        .into_iter()
        .map(|name| {
            let text = std::fs::read_to_string(tools().beside(Tool::ArgoCd, name).unwrap()).unwrap();
            serde_yaml::from_str(&text).unwrap()
        })
        .collect();
    crds::install(client, &definitions).await.unwrap();
    let apply = PatchParams::apply("test").force();
    let namespace = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": NAMESPACE } });
    Api::<Namespace>::all(client.clone()).patch(NAMESPACE, &apply, &Patch::Apply(namespace)).await.unwrap();

    let maps = Api::<ConfigMap>::namespaced(client.clone(), NAMESPACE);
    for name in [
        "argocd-cm",
        "argocd-rbac-cm",
        "argocd-cmd-params-cm",
        "argocd-tls-certs-cm",
        "argocd-ssh-known-hosts-cm",
        "argocd-gpg-keys-cm",
    ] {
        let metadata = json!({ "name": name, "labels": { PART.0: PART.1 } });
        let map = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata });
        maps.patch(name, &apply, &Patch::Apply(map)).await.unwrap();
    }
    // As docs/gitops.md says.
    let patched = stack
        .plane
        .kubectl()
        .args(["patch", "configmap", "argocd-cm", "--namespace", NAMESPACE, "--patch-file"])
        .arg(config_map())
        .output()
        .unwrap();
    assert!(patched.status.success(), "{}", String::from_utf8_lossy(&patched.stderr));
    let secrets = Api::<Secret>::namespaced(client.clone(), NAMESPACE);
    let config = json!({ "bearerToken": stack.plane.token(), "tlsClientConfig": { "insecure": true } });
    // `kubernetes.default.svc` exists inside of a pod only.
    let cluster = json!({ "name": "local", "server": stack.plane.server(), "config": config.to_string() });
    for (name, label, data) in [
        ("argocd-secret", PART, json!({ "server.secretkey": "only-for-this-test" })),
        ("cluster-local", ("argocd.argoproj.io/secret-type", "cluster"), cluster),
    ] {
        let metadata = json!({ "name": name, "labels": { PART.0: PART.1, label.0: label.1 } });
        let secret =
            json!({ "apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data });
        secrets.patch(name, &apply, &Patch::Apply(secret)).await.unwrap();
    }
    let project = json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "AppProject",
        "metadata": { "name": "default" },
        "spec": {
            "sourceRepos": ["*"],
            "destinations": [{ "server": "*", "namespace": "*" }],
            "clusterResourceWhitelist": [{ "group": "*", "kind": "*" }],
        },
    });
    let projects = objects(client, "AppProject");
    projects.patch("default", &apply, &Patch::Apply(project)).await.unwrap();
}

/// Argo CD's own objects of a kind.
pub(crate) fn objects(client: &Client, kind: &str) -> Api<DynamicObject> {
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("argoproj.io", "v1alpha1", kind));
    Api::namespaced_with(client.clone(), NAMESPACE, &resource)
}
