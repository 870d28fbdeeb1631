//! What a test stands on: a namespace of its own on the shared API server, an emulated OMS with two stores, and
//! operators that end with the test.

use std::future::Future;
use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{Event, Namespace, Secret};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::core::NamespaceResourceScope;
use kube::{Api, Client, Resource};
use oms_operator::api::{self, Connection, SyncTask, TaskGroup};
use oms_operator::dev::bucket::{Bucket, Endpoint};
use oms_operator::dev::scratch::Scratch;
use oms_operator::dev::{ControlPlane, crds};
use oms_operator::emulator::config::Config;
use oms_operator::emulator::server::{Emulator, Observer, Options};
use oms_operator::emulator::store::{EmbeddedStore, StoreConfig};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::contract::watch::{Held, Watch};
use crate::migration::{Draft, Migration};
use crate::operator::{Operator, OperatorFlags};

/// How long a condition may take to come true; generous, as two cores are shared by everything.
pub(crate) const LIMIT: Duration = Duration::from_secs(90);
/// Between two looks at a condition.
const LOOK: Duration = Duration::from_millis(40);

/// The region of the project and of the destination.
pub(crate) const REGION: &str = "cn-north-4";
/// Another region of HuaweiCloud.
pub(crate) const OTHER_REGION: &str = "ap-southeast-1";
/// The clouds beside AWS that have buckets.
pub(crate) const CLOUDS: &[&str] = &[
    "Azure",
    "Aliyun",
    "Tencent",
    "HuaweiCloud",
    "QingCloud",
    "KingsoftCloud",
    "Baidu",
    "Google",
    "Qiniu",
    "UCloud",
];
/// The project at OMS.
pub(crate) const PROJECT: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";
/// A second project of the same account, where a test asks for it.
pub(crate) const OTHER_PROJECT: &str = "9b8a7c6d5e4f30213243546576879809";
/// Operations whose requests are kept; they hold what no answer and no journal shows.
const KEPT: [&str; 5] =
    ["StartTask", "RetryTaskGroup", "CreateSyncTask", "StartSyncTask", "CreateSyncEvents"];
/// The Connection that objects use which name none.
pub(crate) const CONNECTION: &str = "default";
/// Secret with the keys for OMS.
pub(crate) const OMS_SECRET: &str = "huawei";
/// A user of IAM who may log in for the project, with the name of its account.
pub(crate) const USER: (&str, &str) = ("migrator", "example-company");
/// Secret with the keys of the source store.
pub(crate) const SOURCE_SECRET: &str = "aws-source";
/// Secret with the keys of the destination store.
pub(crate) const DESTINATION_SECRET: &str = "obs";

/// The `oms-dev` binary.
pub(crate) fn oms_dev() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_oms-dev"))
}

/// An access key ID and its secret.
#[derive(Clone)]
pub(crate) struct Keys {
    pub(crate) access: String,
    pub(crate) secret: String,
}

impl Keys {
    fn unique(role: &str, mark: &str) -> Self {
        Self {
            access: format!("AK{role}{mark}").to_uppercase(),
            secret: format!("sk-{role}-{mark}-never-to-be-seen"),
        }
    }
}

/// How a world is made; the fields are for tests to change.
pub(crate) struct Setup {
    /// Members of the emulator's `behaviour`.
    pub(crate) behaviour: Value,
    /// Members of the emulator's `limits`.
    pub(crate) limits: Value,
    /// Further members of the emulator's configuration.
    pub(crate) further: Value,
    /// Whether the source store stands for every cloud, and not for AWS alone.
    pub(crate) every_cloud: bool,
    /// How the first operator is started; `None`: none is.
    pub(crate) operator: Option<OperatorFlags>,
    /// Whether the Connection and the three Secrets are made.
    pub(crate) connected: bool,
    /// Whether the definitions are installed.
    pub(crate) defined: bool,
    /// Whether the account has a second project, [`OTHER_PROJECT`].
    pub(crate) two_projects: bool,
    /// The API server.
    pub(crate) plane: Option<&'static ControlPlane>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            // As the service, but without the waits that nobody watches.
            behaviour: json!({
                "privacyAgreementAccepted": false,
                "taskStartDelayMs": 50,
                "minimumRunMs": 200,
                "pauseMs": 100,
                "staleInProgressMs": 100,
            }),
            limits: json!({ "runningTasks": 50 }),
            further: json!({}),
            every_cloud: false,
            operator: Some(OperatorFlags::default()),
            connected: true,
            defined: true,
            two_projects: false,
            plane: None,
        }
    }
}

impl Setup {
    /// Changes a member of the emulator's `behaviour`.
    pub(crate) fn behaving(mut self, member: &str, value: impl Into<Value>) -> Self {
        self.behaviour[member] = value.into();
        self
    }

    /// Sets a member of the emulator's configuration.
    pub(crate) fn configured(mut self, member: &str, value: impl Into<Value>) -> Self {
        self.further[member] = value.into();
        self
    }

    /// Lets the source store stand for every cloud; HuaweiCloud is one in [`OTHER_REGION`].
    pub(crate) fn every_cloud(mut self) -> Self {
        self.every_cloud = true;
        self
    }

    /// Changes a member of the emulator's `limits`.
    pub(crate) fn limited(mut self, member: &str, value: impl Into<Value>) -> Self {
        self.limits[member] = value.into();
        self
    }

    /// Starts the operator with other flags.
    pub(crate) fn operated(mut self, flags: OperatorFlags) -> Self {
        self.operator = Some(flags);
        self
    }

    /// Starts no operator; [`World::start_operator`] does.
    pub(crate) fn unoperated(mut self) -> Self {
        self.operator = None;
        self
    }

    /// Gives the account a second project.
    pub(crate) fn two_projects(mut self) -> Self {
        self.two_projects = true;
        self
    }

    /// Lets the operator watch every namespace, ClusterConnections included, on an API server of the test's own.
    pub(crate) async fn everywhere(mut self) -> Self {
        let plane = tokio::task::spawn_blocking(|| ControlPlane::start(oms_dev())).await.unwrap().unwrap();
        self.plane = Some(Box::leak(Box::new(plane)));
        self.operator = self.operator.map(|flags| OperatorFlags { everywhere: true, ..flags });
        self
    }

    /// Makes neither Connection nor Secrets.
    pub(crate) fn unconnected(mut self) -> Self {
        self.connected = false;
        self
    }

    /// Installs no definitions: something else does, on an API server of the test's own.
    pub(crate) fn undefined(mut self) -> Self {
        self.defined = false;
        self.unconnected().unoperated()
    }

    /// Builds the world.
    pub(crate) async fn start(self) -> World {
        World::build(self).await
    }
}

/// Everything that a test stands on. Dropping it ends every process; after a panic it tells what they said.
pub(crate) struct World {
    /// The API server.
    pub(crate) plane: &'static ControlPlane,
    /// The test's own namespace.
    pub(crate) namespace: String,
    /// A client that may do everything.
    pub(crate) client: Client,
    /// Keys for OMS.
    pub(crate) oms_keys: Keys,
    /// Keys for [`OTHER_PROJECT`] alone.
    pub(crate) other_keys: Keys,
    /// Keys of the source store.
    pub(crate) source_keys: Keys,
    /// Keys of the destination store.
    pub(crate) destination_keys: Keys,
    /// The store to copy from.
    pub(crate) source: EmbeddedStore,
    /// The store to copy to.
    pub(crate) destination: EmbeddedStore,
    /// The emulated OMS.
    pub(crate) emulator: Emulator,
    /// The operator that [`Setup`] asked for, and those started later.
    pub(crate) operators: Vec<Operator>,
    http: reqwest::Client,
    scratch: Scratch,
    /// Requests of [`KEPT`] operations, the oldest first.
    requests: Arc<Mutex<Vec<(&'static str, Value)>>>,
    /// Fails the test when a call broke the contract; last, as everything else has ended then.
    _watch: Watch,
}

impl World {
    /// A world with a running operator and a Connection that is on its way to be ready.
    pub(crate) async fn start() -> Self {
        Setup::default().start().await
    }

    async fn build(setup: Setup) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let plane = match setup.plane {
            Some(plane) => plane,
            None => tokio::task::spawn_blocking(|| ControlPlane::shared(oms_dev())).await.unwrap().unwrap(),
        };
        let client = plane.client().await.unwrap();
        if setup.defined {
            install_definitions(plane, &client).await;
        }
        let namespace = unique_namespace();
        create_namespace(&client, &namespace).await;

        let [oms_keys, other_keys, source_keys, destination_keys] =
            ["oms", "two", "src", "dst"].map(|role| Keys::unique(role, &namespace.replace('-', "")));
        let source = store("source", &source_keys).await;
        let destination = store("destination", &destination_keys).await;
        let mut config = json!({
            "projects": [{
                "id": PROJECT, "region": REGION,
                "accessKeys": [{ "access": oms_keys.access, "secret": oms_keys.secret }],
                "users": [{ "name": USER.0, "domain": USER.1, "password": oms_keys.secret }],
            }],
            "stores": [
                { "name": "source", "cloudType": "AWS", "region": "*", "endpoint": source.endpoint(),
                  "accessKeys": [{ "access": source_keys.access, "secret": source_keys.secret }] },
                { "name": "destination", "cloudType": "HuaweiCloud", "region": REGION,
                  "endpoint": destination.endpoint() },
            ],
            "behaviour": setup.behaviour,
            "limits": setup.limits,
        });
        if setup.every_cloud {
            let stores = config["stores"].as_array_mut().unwrap();
            for cloud in CLOUDS {
                let region = if *cloud == "HuaweiCloud" { OTHER_REGION } else { "*" };
                stores.push(json!({
                    "name": format!("source-{cloud}"), "cloudType": cloud, "region": region,
                    "endpoint": source.endpoint(),
                    // Azure and Google come without a key pair: the store's own stands in for what they bring.
                    "accessKeys": [{ "access": source_keys.access, "secret": source_keys.secret }],
                }));
            }
        }
        for (member, value) in setup.further.as_object().unwrap() {
            config[member] = value.clone();
        }
        if setup.two_projects {
            let mut second = config["projects"][0].clone();
            second["id"] = json!(OTHER_PROJECT);
            second["name"] = json!("second");
            let own = json!({ "access": other_keys.access, "secret": other_keys.secret });
            second["accessKeys"].as_array_mut().unwrap().push(own);
            config["projects"].as_array_mut().unwrap().push(second);
        }
        let config = Config::parse(&config.to_string()).unwrap();
        let watch = Watch::over(Held::Both);
        let requests = Arc::<Mutex<Vec<(&'static str, Value)>>>::default();
        let kept = Arc::clone(&requests);
        let keep: Observer = Arc::new(move |exchange| {
            if KEPT.contains(&exchange.operation) && !exchange.by_fault {
                let body = serde_json::from_slice(&exchange.request_body).unwrap_or_default();
                kept.lock().unwrap().push((exchange.operation, body));
            }
        });
        let options = Options { observer: Some(keep), ..Options::local(config) };
        let emulator = Emulator::start(watch.with(options)).await.unwrap();
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let mut world = Self {
            plane,
            namespace,
            client,
            oms_keys,
            other_keys,
            source_keys,
            destination_keys,
            source,
            destination,
            emulator,
            operators: Vec::new(),
            http,
            scratch: Scratch::create().unwrap(),
            requests,
            _watch: watch,
        };
        if setup.connected {
            world.connect().await;
        }
        if let Some(flags) = setup.operator {
            world.start_operator(&flags).await;
        }
        world
    }

    /// Makes the three Secrets and the Connection `default`.
    pub(crate) async fn connect(&self) {
        self.write_secrets().await;
        self.apply::<Connection>(self.connection_manifest()).await;
    }

    /// Makes the three Secrets.
    pub(crate) async fn write_secrets(&self) {
        for (name, keys) in [
            (OMS_SECRET, &self.oms_keys),
            (SOURCE_SECRET, &self.source_keys),
            (DESTINATION_SECRET, &self.destination_keys),
        ] {
            self.secret(name, &[("accessKey", &keys.access), ("secretKey", &keys.secret)]).await;
        }
    }

    /// The manifest of the Connection `default`.
    pub(crate) fn connection_manifest(&self) -> Value {
        json!({
            "apiVersion": "oms-operator.io/v1alpha1",
            "kind": "Connection",
            "metadata": { "name": CONNECTION },
            "spec": {
                "region": REGION,
                "projectId": PROJECT,
                "endpoint": self.emulator.endpoints().oms,
                "credentials": { "secretRef": { "name": OMS_SECRET } },
                "privacyAgreement": "Accepted",
            },
        })
    }

    /// Writes a Secret whole: keys that are not named go.
    pub(crate) async fn secret(&self, name: &str, keys: &[(&str, &str)]) {
        let data: serde_json::Map<_, _> =
            keys.iter().map(|(key, value)| ((*key).to_owned(), json!(value))).collect();
        let secrets = self.api::<Secret>();
        let made =
            json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": name }, "stringData": data });
        let _ = secrets.delete(name, &DeleteParams::default()).await;
        secrets.create(&PostParams::default(), &serde_json::from_value(made).unwrap()).await.unwrap();
    }

    /// Deletes a Secret.
    pub(crate) async fn delete_secret(&self, name: &str) {
        self.api::<Secret>().delete(name, &DeleteParams::default()).await.unwrap();
    }

    /// Applies an object in the test's namespace, server-side.
    pub(crate) async fn apply<K>(&self, manifest: Value) -> K
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + DeserializeOwned
            + std::fmt::Debug,
    {
        let name = manifest["metadata"]["name"].as_str().unwrap().to_owned();
        let apply = PatchParams::apply("flow-test").force();
        self.api::<K>().patch(&name, &apply, &Patch::Apply(&manifest)).await.unwrap()
    }

    /// The objects of a kind in the test's namespace.
    pub(crate) fn api<K>(&self) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// A MigrationTask of the whole source bucket `photos` into `photos-archive`, to be changed and applied.
    pub(crate) fn migration(&self, name: &str) -> Draft<'_> {
        Draft::new(self, name)
    }

    /// A TaskGroup of the whole source bucket `photos` into `photos-archive`, to be changed and applied.
    pub(crate) fn group(&self, name: &str) -> Draft<'_, TaskGroup> {
        Draft::new(self, name)
    }

    /// A SyncTask from the bucket `photos` to `photos-archive`, to be changed and applied.
    pub(crate) fn sync_task(&self, name: &str) -> Draft<'_, SyncTask> {
        Draft::new(self, name).without("/type").without("/source/objectKeys")
    }

    /// The sync tasks at OMS, in the shape of ListSyncTasks.
    pub(crate) async fn remote_sync_tasks(&self) -> Vec<Value> {
        self.admin("/state").await["syncTasks"].as_array().unwrap().clone()
    }

    /// The task groups at OMS, in the shape of ShowTaskGroup.
    pub(crate) async fn remote_groups(&self) -> Vec<Value> {
        self.admin("/state").await["groups"].as_array().unwrap().clone()
    }

    /// A MigrationTask that was applied before.
    pub(crate) fn existing(&self, name: &str) -> Migration<'_> {
        Migration::existing(self, name)
    }

    /// A SyncTask that was applied before.
    pub(crate) fn existing_sync_task(&self, name: &str) -> Migration<'_, SyncTask> {
        Migration::existing(self, name)
    }

    /// A TaskGroup that was applied before.
    pub(crate) fn existing_group(&self, name: &str) -> Migration<'_, TaskGroup> {
        Migration::existing(self, name)
    }

    /// Runs kubectl in the test's namespace and returns what it printed; panics when it fails.
    pub(crate) async fn kubectl(&self, arguments: &[&str]) -> String {
        let (succeeded, output) = self.try_kubectl(arguments, "").await;
        assert!(succeeded, "kubectl {arguments:?} failed: {output}");
        output
    }

    /// Runs kubectl with `input` and returns whether it succeeded, with everything it printed.
    pub(crate) async fn try_kubectl(&self, arguments: &[&str], input: &str) -> (bool, String) {
        let mut command = self.plane.kubectl();
        command.args(["--namespace", &self.namespace]).args(arguments);
        let input = input.to_owned();
        tokio::task::spawn_blocking(move || {
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
            let mut child = command.spawn().unwrap();
            child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
            let output = child.wait_with_output().unwrap();
            let text = [output.stdout, output.stderr].concat();
            (output.status.success(), String::from_utf8_lossy(&text).into_owned())
        })
        .await
        .unwrap()
    }

    /// A bucket of the source store.
    pub(crate) fn source_bucket(&self, name: &str) -> Bucket {
        bucket(&self.source, "eu-west-1", &self.source_keys, name)
    }

    /// A bucket of the destination store.
    pub(crate) fn destination_bucket(&self, name: &str) -> Bucket {
        bucket(&self.destination, REGION, &self.destination_keys, name)
    }

    /// Makes the buckets `photos` and `photos-archive`, the first with `count` small objects named `00000.txt` and on.
    pub(crate) async fn put_objects(&self, count: usize) {
        use futures::{StreamExt as _, TryStreamExt as _};
        let source = self.source_bucket("photos");
        source.create().await.unwrap();
        self.destination_bucket("photos-archive").create().await.unwrap();
        let source = &source;
        futures::stream::iter(0..count)
            .map(async |number| {
                let contents = format!("object number {number}");
                source.put(&format!("{number:05}.txt"), "text/plain", &[], contents.into()).await
            })
            .buffer_unordered(16)
            .try_collect::<()>()
            .await
            .unwrap();
    }

    /// Starts one more operator and waits until it is ready; returns its place in [`World::operators`].
    pub(crate) async fn start_operator(&mut self, flags: &OperatorFlags) -> usize {
        let mut operator = self.spawn_operator(flags);
        operator.wait_ready().await;
        self.operators.push(operator);
        self.operators.len() - 1
    }

    /// Starts an operator without waiting for it.
    pub(crate) fn spawn_operator(&self, flags: &OperatorFlags) -> Operator {
        Operator::spawn(self.plane, &self.namespace, self.scratch.path(), flags)
    }

    /// The operator that runs since the world began.
    pub(crate) fn operator(&mut self) -> &mut Operator {
        &mut self.operators[0]
    }

    /// What the emulator's admin API answers to a GET.
    pub(crate) async fn admin(&self, path: &str) -> Value {
        let url = format!("{}{path}", self.emulator.endpoints().admin);
        self.http.get(url).send().await.unwrap().error_for_status().unwrap().json().await.unwrap()
    }

    /// The calls of an operation that OMS saw, the oldest first; `*` for all.
    pub(crate) async fn journal(&self, operation: &str) -> Vec<Value> {
        let path =
            if operation == "*" { "/journal".to_owned() } else { format!("/journal?operation={operation}") };
        self.admin(&path).await["entries"].as_array().unwrap().clone()
    }

    /// What OMS was asked for with an operation of [`KEPT`], answered by the service itself, the oldest first.
    pub(crate) fn requests(&self, operation: &str) -> Vec<Value> {
        assert!(KEPT.contains(&operation), "requests of {operation} are not kept");
        let requests = self.requests.lock().unwrap();
        requests.iter().filter(|(kept, _)| *kept == operation).map(|(_, body)| body.clone()).collect()
    }

    /// The calls of an operation that changed something at OMS.
    pub(crate) async fn effects(&self, operation: &str) -> Vec<Value> {
        let mut entries = self.journal(operation).await;
        entries.retain(|entry| entry["effect"] == true);
        entries
    }

    /// The tasks at OMS, in the shape of ShowTask.
    pub(crate) async fn remote_tasks(&self) -> Vec<Value> {
        self.admin("/state").await["tasks"].as_array().unwrap().clone()
    }

    /// Posts to the emulator's admin API.
    pub(crate) async fn tell_emulator(&self, path: &str, body: Value) -> Value {
        let url = format!("{}{path}", self.emulator.endpoints().admin);
        let answer = self.http.post(url).json(&body).send().await.unwrap();
        answer.error_for_status().unwrap().json().await.unwrap()
    }

    /// The test's own folder.
    pub(crate) fn folder(&self) -> &Path {
        self.scratch.path()
    }

    /// Puts a fault in force.
    pub(crate) async fn fault(&self, fault: Value) {
        let url = format!("{}/faults", self.emulator.endpoints().admin);
        let answer = self.http.post(url).json(&fault).send().await.unwrap();
        assert!(answer.status().is_success(), "{fault}: {}", answer.text().await.unwrap());
    }

    /// Ends all faults.
    pub(crate) async fn clear_faults(&self) {
        let url = format!("{}/faults", self.emulator.endpoints().admin);
        self.http.delete(url).send().await.unwrap().error_for_status().unwrap();
    }

    /// The events about an object, as `reason: note`.
    pub(crate) async fn events(&self, name: &str) -> Vec<String> {
        let events = self.api::<Event>().list(&ListParams::default()).await.unwrap();
        events
            .into_iter()
            .filter(|event| event.involved_object.name.as_deref() == Some(name))
            .map(|event| {
                format!("{}: {}", event.reason.unwrap_or_default(), event.message.unwrap_or_default())
            })
            .collect()
    }

    /// Waits for an event about an object.
    pub(crate) async fn wait_event(&self, name: &str, reason: &str) {
        eventually(&format!("an event {reason} about {name}"), async || {
            let events = self.events(name).await;
            let told = events.iter().any(|event| event.starts_with(&format!("{reason}: ")));
            told.then_some(()).ok_or_else(|| format!("{events:#?}"))
        })
        .await;
    }

    /// Waits until condition `Ready` of a Connection has a status and a reason.
    pub(crate) async fn wait_connection(&self, name: &str, status: &str, reason: &str) -> Connection {
        let connections = self.api::<Connection>();
        eventually(&format!("Connection {name} has Ready={status} {reason}"), async || {
            let connection = connections.get(name).await.map_err(|error| error.to_string())?;
            let conditions =
                connection.status.as_ref().map(|status| status.conditions.clone()).unwrap_or_default();
            let holds = conditions.iter().any(|condition| {
                condition.type_ == "Ready" && condition.status == status && condition.reason == reason
            });
            if holds { Ok(connection) } else { Err(format!("{conditions:#?}")) }
        })
        .await
    }

    /// Lets the time of so many polls of an operator with default flags pass: that nothing happens has no condition
    /// that one could wait for.
    pub(crate) async fn let_polls_pass(&self, count: u32) {
        tokio::time::sleep(Duration::from_millis(250) * count).await;
    }

    fn tell(&self) {
        eprintln!("--- namespace {}", self.namespace);
        for operator in &self.operators {
            // Calls come by the hundred; what the operator made of them is in the other lines.
            let log = operator.log();
            let lines: Vec<_> = log.lines().filter(|line| !line.contains("\"called OMS\"")).collect();
            let tail = lines[lines.len().saturating_sub(120)..].join("\n");
            eprintln!("--- end of the log of {}\n{tail}", operator.name());
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.tell();
        }
    }
}

/// Looks until something holds and returns what it found; an error is what was seen instead.
pub(crate) async fn eventually<T, F>(what: &str, look: impl FnMut() -> F) -> T
where
    F: Future<Output = Result<T, String>>,
{
    eventually_within(LIMIT, what, look).await
}

/// The same with a limit of its own.
pub(crate) async fn eventually_within<T, F>(limit: Duration, what: &str, mut look: impl FnMut() -> F) -> T
where
    F: Future<Output = Result<T, String>>,
{
    let deadline = Instant::now() + limit;
    loop {
        match look().await {
            Ok(found) => return found,
            Err(seen) => assert!(Instant::now() < deadline, "not within {limit:?}: {what}; seen: {seen}"),
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn unique_namespace() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("flow-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

async fn create_namespace(client: &Client, name: &str) {
    let mut namespace = Namespace::default();
    namespace.metadata.name = Some(name.to_owned());
    Api::<Namespace>::all(client.clone()).create(&PostParams::default(), &namespace).await.unwrap();
}

/// Installs the definitions once per process and server.
async fn install_definitions(plane: &ControlPlane, client: &Client) {
    static INSTALLED: tokio::sync::Mutex<Vec<String>> = tokio::sync::Mutex::const_new(Vec::new());
    let mut installed = INSTALLED.lock().await;
    if !installed.iter().any(|server| server == plane.server()) {
        crds::install(client, &api::crds()).await.unwrap();
        installed.push(plane.server().to_owned());
    }
}

async fn store(name: &str, keys: &Keys) -> EmbeddedStore {
    EmbeddedStore::start(StoreConfig {
        name: name.to_owned(),
        dir: None,
        listen: ([127, 0, 0, 1], 0).into(),
        access_keys: vec![(keys.access.clone(), keys.secret.clone().into())],
    })
    .await
    .unwrap()
}

fn bucket(store: &EmbeddedStore, region: &str, keys: &Keys, name: &str) -> Bucket {
    let endpoint = Endpoint {
        url: store.endpoint(),
        region: region.to_owned(),
        cloud: String::new(),
        access_key: keys.access.clone(),
        secret_key: keys.secret.clone(),
    };
    Bucket::new(&endpoint, name).unwrap()
}
