//! An Application of Argo CD with a folder of many manifests, of every kind.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use kube::Client;
use kube::api::{ApiResource, DeleteParams, GroupVersionKind, Patch, PatchParams, PostParams};
use kube::core::DynamicObject;
use kube::{Api, ResourceExt as _};
use oms_operator::api;
use oms_operator::dev::ControlPlane;
use serde_json::{Value, json};

use crate::cli::argocd;
use crate::eventually;
use crate::install::{Install, objects};
use crate::repository;

/// One file of all these manifests; as JSON, which is YAML too.
pub(crate) fn manifests<'a>(all: impl IntoIterator<Item = &'a Value>) -> String {
    all.into_iter().fold(String::new(), |mut text, manifest| {
        let _ = write!(text, "---\n{manifest:#}\n");
        text
    })
}

/// Kind and name of an object.
pub(crate) type Name = (String, String);

/// An Application with self-heal and prune, whose objects are in a namespace of its name.
pub(crate) struct Folder {
    pub(crate) name: String,
    pub(crate) client: Client,
    install: Arc<Install>,
    applications: Api<DynamicObject>,
}

impl Folder {
    /// Commits files and has Argo CD sync those whose names match.
    pub(crate) async fn create(
        install: &Arc<Install>,
        name: &str,
        files: &BTreeMap<String, String>,
        include: &str,
    ) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let places = &install.places;
        repository::commit_files(&places.repository, name, files);
        // Only for its client.
        let plane = ControlPlane::existing(&places.kubeconfig, crate::cli::tools().clone()).unwrap();
        let client = plane.client().await.unwrap();
        let applications = objects(&client, "Application");
        let application = json!({
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "Application",
            "metadata": { "name": name },
            "spec": {
                "project": "default",
                "source": {
                    "repoURL": format!("file://{}", places.repository.display()),
                    "targetRevision": "main",
                    "path": name,
                    "directory": { "include": include },
                },
                "destination": { "server": places.cluster, "namespace": name },
                "syncPolicy": {
                    "automated": { "selfHeal": true, "prune": true, "allowEmpty": true },
                    "syncOptions": ["CreateNamespace=true"],
                },
            },
        });
        let application = serde_json::from_value(application).unwrap();
        applications.create(&PostParams::default(), &application).await.unwrap();
        Self { name: name.to_owned(), client, install: Arc::clone(install), applications }
    }

    /// Commits other files, and has Argo CD look.
    pub(crate) async fn commit(&self, files: &BTreeMap<String, String>) {
        repository::commit_files(&self.install.places.repository, &self.name, files);
        self.refresh("normal").await;
    }

    /// Has Argo CD compare now; returns when it has.
    pub(crate) async fn refresh(&self, how: &str) {
        let patch = json!({ "metadata": { "annotations": { "argocd.argoproj.io/refresh": how } } });
        self.applications.patch(&self.name, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
        eventually("Argo CD has compared", async || {
            let application = self.applications.get(&self.name).await.unwrap();
            let asked = application.annotations().get("argocd.argoproj.io/refresh");
            asked.map_or(Ok(()), |asked| Err(asked.clone()))
        })
        .await;
    }

    async fn status(&self) -> Value {
        let application = serde_json::to_value(self.applications.get(&self.name).await.unwrap()).unwrap();
        application["status"].clone()
    }

    /// `Synced` or `OutOfSync`.
    pub(crate) async fn sync_status(&self) -> String {
        self.status().await["sync"]["status"].as_str().unwrap_or_default().to_owned()
    }

    /// The health of each of our objects, with its message.
    pub(crate) async fn healths(&self) -> BTreeMap<Name, (String, String)> {
        let status = self.status().await;
        let resources = status["resources"].as_array().cloned().unwrap_or_default();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let ours = resources.iter().filter(|resource| resource["group"] == api::GROUP);
        ours.map(|resource| {
            let health = &resource["health"];
            let name = (text(&resource["kind"]), text(&resource["name"]));
            (name, (text(&health["status"]), text(&health["message"])))
        })
        .collect()
    }

    /// Waits until everything is Synced and each object has its health.
    pub(crate) async fn wait(&self, wanted: &BTreeMap<Name, &str>) {
        self.watch(wanted).await;
    }

    /// The same, and tells which health each had on the way.
    pub(crate) async fn watch(&self, wanted: &BTreeMap<Name, &str>) -> BTreeMap<Name, Vec<String>> {
        let mut seen = BTreeMap::<Name, Vec<String>>::new();
        eventually(&format!("everything of {} is Synced and as it should be", self.name), async || {
            let found = self.healths().await;
            for (name, (health, _)) in &found {
                let before = seen.entry(name.clone()).or_default();
                // Argo CD's own word for what it has not applied yet.
                if !health.is_empty() && health != "Missing" && before.last() != Some(health) {
                    before.push(health.clone());
                }
            }
            let mut wrong: Vec<_> = wanted
                .iter()
                .filter(|(name, health)| found.get(*name).is_none_or(|(found, _)| found != **health))
                .map(|(name, health)| format!("{name:?} is not {health}: {:?}", found.get(name)))
                .collect();
            let beside = found.iter().filter(|(name, _)| !wanted.contains_key(*name));
            wrong.extend(beside.map(|(name, health)| format!("{name:?} is there: {health:?}")));
            let sync = self.sync_status().await;
            if wrong.is_empty() && sync == "Synced" { Ok(()) } else { Err(format!("{sync} {wrong:#?}")) }
        })
        .await;
        seen
    }

    /// Waits until one object has a health; returns the message.
    pub(crate) async fn wait_one(&self, kind: &str, name: &str, wanted: &str) -> String {
        let key = (kind.to_owned(), name.to_owned());
        eventually(&format!("{kind} {name} is Synced and {wanted}"), async || {
            let found = self.healths().await.remove(&key).unwrap_or_default();
            let sync = self.sync_status().await;
            if found.0 == wanted && sync == "Synced" { Ok(found.1) } else { Err(format!("{sync} {found:?}")) }
        })
        .await
    }

    /// Objects of one of our kinds.
    pub(crate) fn objects(&self, kind: &str) -> Api<DynamicObject> {
        let definition = api::crds().into_iter().find(|crd| crd.spec.names.kind == kind).unwrap();
        let gvk = GroupVersionKind::gvk(api::GROUP, api::VERSION, kind);
        let resource = ApiResource::from_gvk_with_plural(&gvk, &definition.spec.names.plural);
        Api::namespaced_with(self.client.clone(), &self.name, &resource)
    }

    /// An object as it is.
    pub(crate) async fn object(&self, kind: &str, name: &str) -> Value {
        serde_json::to_value(self.objects(kind).get(name).await.unwrap()).unwrap()
    }

    /// Changes an object by hand.
    pub(crate) async fn edit(&self, kind: &str, name: &str, patch: &Value) {
        let edit = PatchParams { field_manager: Some("kubectl-edit".into()), ..PatchParams::default() };
        self.objects(kind).patch(name, &edit, &Patch::Merge(patch)).await.unwrap();
    }

    /// Deletes an object by hand.
    pub(crate) async fn delete(&self, kind: &str, name: &str) {
        self.objects(kind).delete(name, &DeleteParams::default()).await.unwrap();
    }

    /// Clicks an action, as a user of Argo CD does.
    pub(crate) async fn act(&self, kind: &str, name: &str, action: &str) {
        let places = &self.install.places;
        let mut command = argocd("argocd");
        command
            .args(["app", "actions", "run", &self.name, action, "--kind", kind, "--resource-name", name])
            .args(["--server", &places.argocd, "--plaintext"])
            .env("HOME", places.folder.join("home"))
            .env("ARGOCD_AUTH_TOKEN", "nobody-asks-for-it")
            .env("NO_PROXY", "127.0.0.1");
        let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{action} of {kind} {name}: {told}");
    }

    /// What exists at OMS: IDs of tasks, groups and sync tasks.
    pub(crate) async fn remote(&self) -> Vec<String> {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let url = format!("{}/state", self.install.places.admin);
        let state: Value = http.get(url).send().await.unwrap().json().await.unwrap();
        let mut ids = Vec::new();
        for (list, id) in [("tasks", "id"), ("groups", "group_id"), ("syncTasks", "sync_task_id")] {
            for thing in state[list].as_array().unwrap() {
                assert!(!thing[id].is_null(), "{list}: {thing}");
                ids.push(thing[id].to_string().trim_matches('"').to_owned());
            }
        }
        ids
    }
}
