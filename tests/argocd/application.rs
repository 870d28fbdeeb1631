//! An Application of Argo CD with one manifest, as a user of GitOps has it.

use std::path::Path;
use std::sync::Arc;

use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::core::DynamicObject;
use kube::{Api, Client};
use oms_operator::api::MigrationTask;
use oms_operator::dev::ControlPlane;
use oms_operator::dev::bucket::Bucket;
use oms_operator::dev::stack::NAMESPACE;
use serde::Deserialize as _;
use serde_json::{Value, json};

use crate::cli::argocd;
use crate::eventually;
use crate::install::{Install, objects};
use crate::repository;

/// An Application with self-heal and prune, and the one MigrationTask that it holds; both have its name.
pub(crate) struct Application {
    pub(crate) name: String,
    install: Arc<Install>,
    client: Client,
    applications: Api<DynamicObject>,
}

/// A manifest of `examples/` under another name and with buckets of its own.
pub(crate) fn example(file: &str, name: &str, change: impl FnOnce(&mut Value)) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(file);
    let text = std::fs::read_to_string(path).unwrap();
    let mut manifest = Value::deserialize(serde_yaml::Deserializer::from_str(&text)).unwrap();
    manifest["metadata"]["name"] = json!(name);
    manifest["spec"]["source"]["bucket"] = json!(name);
    manifest["spec"]["destination"]["bucket"] = json!(format!("{name}-archive"));
    change(&mut manifest);
    manifest
}

/// As JSON, which is YAML too: Argo CD would take a bare `Off` as a boolean.
fn text(manifest: &Value) -> String {
    format!("{manifest:#}\n")
}

impl Application {
    /// Commits the manifest and has Argo CD sync it.
    pub(crate) async fn create(install: &Arc<Install>, name: &str, manifest: &Value) -> Self {
        Self::create_with(install, name, manifest, json!([])).await
    }

    /// The same with sync options.
    pub(crate) async fn create_with(
        install: &Arc<Install>,
        name: &str,
        manifest: &Value,
        options: Value,
    ) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let places = &install.places;
        repository::commit(&places.repository, name, Some(&text(manifest)));
        // Only for its client.
        let plane = ControlPlane::existing(&places.kubeconfig, crate::cli::tools().clone()).unwrap();
        let client = plane.client().await.unwrap();
        let applications = objects(&client, "Application");
        let spec = json!({
            "project": "default",
            "source": {
                "repoURL": format!("file://{}", places.repository.display()),
                "targetRevision": "main",
                "path": name,
            },
            "destination": { "server": places.cluster, "namespace": NAMESPACE },
            "syncPolicy": {
                "automated": { "selfHeal": true, "prune": true, "allowEmpty": true },
                "syncOptions": options,
            },
        });
        let application = json!({
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "Application",
            "metadata": { "name": name },
            "spec": spec,
        });
        let application = serde_json::from_value(application).unwrap();
        applications.create(&PostParams::default(), &application).await.unwrap();
        Self { name: name.to_owned(), install: Arc::clone(install), client, applications }
    }

    /// Makes the buckets of its manifest, with `count` objects of `size` bytes in the source.
    pub(crate) async fn fill_buckets(install: &Install, name: &str, count: usize, size: usize) {
        let source = Bucket::new(&install.places.source, name).unwrap();
        source.create().await.unwrap();
        let destination = Bucket::new(&install.places.destination, &format!("{name}-archive")).unwrap();
        destination.create().await.unwrap();
        for number in 0..count {
            let key = format!("{number:03}.bin");
            source.put(&key, "application/octet-stream", &[], vec![7; size].into()).await.unwrap();
        }
    }

    /// The objects that were copied; OMS's own records lie beside them.
    pub(crate) async fn copied(&self) -> usize {
        let places = &self.install.places;
        let source = Bucket::new(&places.source, &self.name).unwrap().keys().await.unwrap();
        let archive = Bucket::new(&places.destination, &format!("{}-archive", self.name)).unwrap();
        archive.keys().await.unwrap().iter().filter(|key| source.contains(key)).count()
    }

    /// Commits another manifest, or none, and has Argo CD look.
    pub(crate) async fn commit(&self, manifest: Option<&Value>) {
        let text = manifest.map(text);
        repository::commit(&self.install.places.repository, &self.name, text.as_deref());
        self.refresh("normal").await;
    }

    /// Has Argo CD compare now; returns when it has.
    pub(crate) async fn refresh(&self, how: &str) {
        self.annotate(how).await;
        eventually("Argo CD has compared", async || {
            let application = self.get().await;
            let asked = application["metadata"]["annotations"].get("argocd.argoproj.io/refresh");
            asked.map_or(Ok(()), |asked| Err(asked.to_string()))
        })
        .await;
    }

    async fn annotate(&self, how: &str) {
        let patch = json!({ "metadata": { "annotations": { "argocd.argoproj.io/refresh": how } } });
        self.applications.patch(&self.name, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
    }

    async fn get(&self) -> Value {
        serde_json::to_value(self.applications.get(&self.name).await.unwrap()).unwrap()
    }

    /// How Argo CD compares Git with the cluster: `Synced` or `OutOfSync`.
    pub(crate) async fn sync_status(&self) -> String {
        self.get().await["status"]["sync"]["status"].as_str().unwrap_or_default().to_owned()
    }

    /// Health and message of the object, as Argo CD has them; empty while it has none.
    pub(crate) async fn health(&self) -> (String, String) {
        let application = self.get().await;
        let health = &application["status"]["resources"][0]["health"];
        let text = |name: &str| health[name].as_str().unwrap_or_default().to_owned();
        (text("status"), text("message"))
    }

    /// Waits until the Application is Synced and it and its object have this health; returns the message.
    pub(crate) async fn wait_health(&self, wanted: &str) -> String {
        eventually(&format!("{} is Synced and {wanted}", self.name), async || {
            let application = self.get().await;
            let status = &application["status"];
            let of_object = &status["resources"][0]["health"];
            let holds = status["sync"]["status"] == "Synced"
                && status["health"]["status"] == wanted
                && of_object["status"] == wanted;
            if holds {
                return Ok(of_object["message"].as_str().unwrap_or_default().to_owned());
            }
            Err(format!(
                "{} {} {} {} {}",
                status["sync"],
                status["health"],
                status["resources"],
                status["conditions"],
                status["operationState"]
            ))
        })
        .await
    }

    /// Clicks an action, as a user of Argo CD does.
    pub(crate) async fn act(&self, action: &str) {
        let places = &self.install.places;
        let mut command = argocd("argocd");
        command
            .args(["app", "actions", "run", &self.name, action, "--kind", "MigrationTask"])
            .args(["--server", &places.argocd, "--plaintext"])
            .env("HOME", places.folder.join("home"))
            .env("ARGOCD_AUTH_TOKEN", "nobody-asks-for-it")
            .env("NO_PROXY", "127.0.0.1");
        let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
        assert!(output.status.success(), "{action}: {}", String::from_utf8_lossy(&output.stderr));
    }

    fn tasks(&self) -> Api<MigrationTask> {
        Api::namespaced(self.client.clone(), NAMESPACE)
    }

    /// The object.
    pub(crate) async fn task(&self) -> MigrationTask {
        self.tasks().get(&self.name).await.unwrap()
    }

    /// The object, if there is one.
    pub(crate) async fn find_task(&self) -> Option<MigrationTask> {
        self.tasks().get_opt(&self.name).await.unwrap()
    }

    /// Changes the object by hand.
    pub(crate) async fn edit(&self, patch: Value) -> MigrationTask {
        let edit = PatchParams { field_manager: Some("kubectl-edit".into()), ..PatchParams::default() };
        self.tasks().patch(&self.name, &edit, &Patch::Merge(patch)).await.unwrap()
    }

    /// The IDs of all tasks at OMS.
    pub(crate) async fn remote_ids(&self) -> Vec<String> {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let url = format!("{}/state", self.install.places.admin);
        let state: Value = http.get(url).send().await.unwrap().json().await.unwrap();
        let tasks = state["tasks"].as_array().unwrap();
        tasks.iter().map(|task| task["id"].to_string().trim_matches('"').to_owned()).collect()
    }

    /// Deletes the Application; its object stays.
    pub(crate) async fn delete(self) {
        self.applications.delete(&self.name, &DeleteParams::default()).await.unwrap();
    }
}
