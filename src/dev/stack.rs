//! The whole product on real parts: control plane, emulator with both stores, operator.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::bucket::Endpoint;
use super::control_plane::ControlPlane;
use super::error::{Context, Error, Result};
use super::guest::Guest;
use super::process::BoundProcess;
use super::scratch::Scratch;
use super::tools::{Tool, Tools};
use super::{crds, supervisor};
use crate::api::{self, Connection};

/// Namespace of the Connection and the Secrets.
pub const NAMESPACE: &str = "default";
/// Name of the Connection; objects that name none use it.
pub const CONNECTION: &str = "default";
/// Secrets, named as in the examples: of the connection, the source and the destination.
pub const SECRETS: [&str; 3] = ["huawei", "aws-source", "obs"];
/// Label on what the stack makes in a cluster.
pub const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "oms-dev");

const PROJECT_ID: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";
const REGION: &str = "cn-north-4";
const SOURCE_REGION: &str = "eu-west-1";
const READY_LIMIT: Duration = Duration::from_mins(1);
const GRACE: Duration = Duration::from_secs(10);

/// Which cluster the stack uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cluster {
    /// One that is started for it and ends with it.
    Own,
    /// That of the current kubeconfig context.
    Current,
}

impl Cluster {
    /// What the environment variable `CLUSTER` asks for; unset or empty is an own one.
    pub fn from_environment() -> Result<Self> {
        match std::env::var("CLUSTER").unwrap_or_default().as_str() {
            "" | "own" => Ok(Self::Own),
            "current" => Ok(Self::Current),
            other => Err(Error::new(format!(
                "CLUSTER is `{other}`; use CLUSTER=current for the cluster of the current kubeconfig context, \
                 or leave it out"
            ))),
        }
    }
}

/// The binaries of the stack: they lie beside `oms-dev`.
#[derive(Clone, Debug)]
pub struct Programs {
    /// This program.
    pub oms_dev: PathBuf,
    emulator: PathBuf,
    operator: PathBuf,
    operator_flags: Vec<String>,
}

impl Programs {
    /// Finds them beside `oms_dev`.
    pub fn beside(oms_dev: &Path) -> Result<Self> {
        let sibling = |name: &str| {
            let path = oms_dev.with_file_name(name);
            if path.is_file() {
                Ok(path)
            } else {
                Err(Error::new(format!("{} is missing; run `make build` first", path.display())))
            }
        };
        Ok(Self {
            oms_dev: oms_dev.to_owned(),
            emulator: sibling("oms-emulator")?,
            operator: sibling("oms-operator")?,
            operator_flags: Vec::new(),
        })
    }

    /// The same with further flags for the operator.
    pub fn with_operator_flags(mut self, flags: &[&str]) -> Self {
        self.operator_flags.extend(flags.iter().map(ToString::to_string));
        self
    }
}

/// A running stack.
pub struct Stack {
    /// Programs of the stack.
    programs: Programs,
    operator: BoundProcess,
    operator_command: Command,
    emulator: BoundProcess,
    /// Client that may do everything.
    pub client: Client,
    /// The Kubernetes API.
    pub plane: ControlPlane,
    /// OMS.
    pub oms: String,
    /// The emulator's admin API.
    pub admin: String,
    /// The operator's metrics, health and readiness.
    pub metrics: String,
    /// Project at OMS.
    pub project_id: String,
    /// Access key ID for OMS.
    pub access_key: String,
    /// Secret access key for OMS.
    pub secret_key: String,
    /// S3 endpoint to copy from.
    pub source: Endpoint,
    /// S3 endpoint to copy to.
    pub destination: Endpoint,
    scratch: Scratch,
}

#[derive(Deserialize)]
struct EmulatorReady {
    oms: String,
    admin: String,
    stores: Vec<StoreReady>,
}

#[derive(Deserialize)]
struct StoreReady {
    name: String,
    endpoint: String,
}

#[derive(Deserialize)]
struct OperatorReady {
    metrics: String,
}

/// Starts a stack, gives it to `body`, and ends it, whatever happened. `None` when `cancel` came first.
/// `tell` is called with a line after each step.
pub async fn with_stack<T>(
    programs: Programs,
    cluster: Cluster,
    cancel: &CancellationToken,
    tell: impl Fn(String),
    body: impl AsyncFnOnce(&mut Stack) -> Result<T>,
) -> Result<Option<T>> {
    let scratch = Scratch::create()?;
    let plane = match cluster {
        Cluster::Own => {
            let started = Instant::now();
            let Some(plane) = start_control_plane(&programs.oms_dev, cancel).await? else { return Ok(None) };
            let seconds = started.elapsed().as_secs_f64();
            let version = Tool::KubeApiserver.version();
            tell(format!("Kubernetes {version} answers at {} ({seconds:.1} s)", plane.server()));
            plane
        }
        Cluster::Current => {
            let plane = current_cluster(&programs.oms_dev, &scratch)?;
            tell(format!("Using the current kubeconfig context's cluster, {}", plane.server()));
            plane
        }
    };
    let client = plane.client().await?;
    let guest = match cluster {
        Cluster::Own => None,
        Cluster::Current => Some(Guest::arrive(&client).await?),
    };
    // Outside of the select below, so that the operator still runs while a guest cleans up.
    let mut stack = None;
    let outcome = tokio::select! {
        outcome = async {
            let started = Stack::start(programs, plane, client.clone(), scratch, &tell).await?;
            body(stack.insert(started)).await.map(Some)
        } => outcome,
        () = cancel.cancelled() => Ok(None),
    };
    if let Some(guest) = guest {
        let endpoint = stack.as_ref().map(|stack| stack.oms.as_str());
        guest.leave(endpoint).await?;
    }
    if let Some(stack) = &mut stack {
        stack.operator.terminate(GRACE);
        stack.emulator.terminate(GRACE);
    }
    outcome
}

async fn start_control_plane(oms_dev: &Path, cancel: &CancellationToken) -> Result<Option<ControlPlane>> {
    let starting = ControlPlane::launch(oms_dev)?;
    let stopper = starting.stopper();
    let mut waiting = tokio::task::spawn_blocking(move || starting.wait());
    tokio::select! {
        plane = &mut waiting => plane.context("The start of the control plane failed")?.map(Some),
        () = cancel.cancelled() => {
            stopper.stop();
            // Nothing may be left when we return.
            let _ = waiting.await;
            Ok(None)
        }
    }
}

/// The cluster of the current context, with the user's own kubectl where there is one.
fn current_cluster(oms_dev: &Path, scratch: &Scratch) -> Result<ControlPlane> {
    let search = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&search).find(|folder| folder.join("kubectl").is_file());
    let tools = match on_path {
        Some(folder) => Tools::in_folder(folder),
        None => Tools::resolve(oms_dev, &[Tool::Kubectl])?,
    };
    let output = Command::new(tools.path(Tool::Kubectl))
        .args(["config", "view", "--minify", "--flatten", "--raw"])
        .output()
        .context("Could not run kubectl")?;
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr);
        return Err(Error::new(format!("There is no current kubeconfig context to use: {}", why.trim())));
    }
    let kubeconfig = scratch.path().join("kubeconfig");
    std::fs::write(&kubeconfig, &output.stdout).context("Could not write the kubeconfig")?;
    ControlPlane::existing(&kubeconfig, tools)
}

impl Stack {
    async fn start(
        programs: Programs,
        plane: ControlPlane,
        client: Client,
        scratch: Scratch,
        tell: &impl Fn(String),
    ) -> Result<Self> {
        let started = Instant::now();
        let (access_key, secret_key) = (supervisor::random_hex(10)?, supervisor::random_hex(20)?);
        let (source_access, source_secret) = (supervisor::random_hex(10)?, supervisor::random_hex(20)?);
        let config = scratch.path().join("emulator.yaml");
        // The destination takes the project's keys, as OBS does with those of an account.
        let text = format!(
            "projects:\n\
             - {{ id: '{PROJECT_ID}', region: {REGION}, accessKeys: [{{ access: '{access_key}', secret: '{secret_key}' }}] }}\n\
             embeddedStores:\n\
             - {{ name: source, dir: '{dir}/source', cloudType: AWS, region: '*', \
             accessKeys: [{{ access: '{source_access}', secret: '{source_secret}' }}] }}\n\
             - {{ name: destination, dir: '{dir}/destination', cloudType: HuaweiCloud, region: {REGION}, \
             accessKeys: [{{ access: '{access_key}', secret: '{secret_key}' }}] }}\n\
             behaviour: {{ minimumRunMs: 3000 }}\n",
            dir = scratch.path().display()
        );
        write_private(&config, &text)?;
        let ready_file = scratch.path().join("emulator.ready");
        let mut command = Command::new(&programs.emulator);
        command.args(["serve", "--listen", "127.0.0.1:0", "--ready-file"]).arg(&ready_file);
        command.arg("--config").arg(&config);
        let log = scratch.path().join("emulator.log");
        let mut emulator = BoundProcess::spawn(&programs.oms_dev, "oms-emulator", &command, &log)?;
        crds::install(&client, &api::crds()).await?;
        let ready: EmulatorReady = read_when_ready(&mut emulator, &ready_file).await?;
        let seconds = started.elapsed().as_secs_f64();
        tell(format!(
            "OMS is emulated at {}, with a source and a destination store ({seconds:.1} s)",
            ready.oms
        ));
        let store = |name: &str, cloud: &str, region: &str, keys: [&str; 2]| -> Result<Endpoint> {
            let found = ready.stores.iter().find(|store| store.name == name);
            let found =
                found.ok_or_else(|| Error::new(format!("The emulator tells of no store `{name}`")))?;
            Ok(Endpoint {
                url: found.endpoint.clone(),
                region: region.to_owned(),
                cloud: cloud.to_owned(),
                access_key: keys[0].to_owned(),
                secret_key: keys[1].to_owned(),
            })
        };
        let source = store("source", "AWS", SOURCE_REGION, [&source_access, &source_secret])?;
        let destination = store("destination", "HuaweiCloud", REGION, [&access_key, &secret_key])?;

        for (name, keys) in SECRETS.into_iter().zip([&destination, &source, &destination]) {
            apply_secret(&client, name, &keys.access_key, &keys.secret_key).await?;
        }
        apply_connection(&client, &ready.oms).await?;

        let started = Instant::now();
        let ready_file = scratch.path().join("operator.ready");
        let mut operator_command = Command::new(&programs.operator);
        let host = ready.oms.trim_start_matches("http://").trim_end_matches('/');
        operator_command
            .args(["run", "--poll-interval", "1s", "--leader-elect=false"])
            .args(["--allowed-endpoint", host, "--cluster-resource-namespace", NAMESPACE])
            .args(&programs.operator_flags)
            .arg("--ready-file")
            .arg(&ready_file)
            .env("KUBECONFIG", plane.kubeconfig())
            // A proxy for the world is not for what runs on this machine.
            .env("NO_PROXY", "127.0.0.1,localhost")
            .env("no_proxy", "127.0.0.1,localhost");
        let log = scratch.path().join("operator.log");
        let mut first = clone_command(&operator_command);
        first.args(["--metrics-listen", "127.0.0.1:0"]);
        let mut operator = BoundProcess::spawn(&programs.oms_dev, "oms-operator", &first, &log)?;
        let OperatorReady { metrics } = read_when_ready(&mut operator, &ready_file).await?;
        let port_of = metrics.trim_start_matches("http://").trim_end_matches('/');
        operator_command.args(["--metrics-listen", port_of]);
        wait_for_connection(&client, &mut operator).await?;
        let seconds = started.elapsed().as_secs_f64();
        tell(format!("oms-operator runs and its Connection `{CONNECTION}` is ready ({seconds:.1} s)"));
        Ok(Self {
            programs,
            operator,
            operator_command,
            emulator,
            client,
            plane,
            oms: ready.oms,
            admin: ready.admin,
            metrics,
            project_id: PROJECT_ID.to_owned(),
            access_key,
            secret_key,
            source,
            destination,
            scratch,
        })
    }

    /// The folder with the logs.
    pub fn logs(&self) -> &Path {
        self.scratch.path()
    }

    /// The folder of `oms-operator` and `oms-emulator`.
    pub fn programs(&self) -> Option<&Path> {
        self.programs.oms_dev.parent()
    }

    /// The end of the operator's log, for the message of a failure: the files go with the stack.
    pub fn operator_log(&self) -> String {
        format!("The end of the operator's log:\n{}", self.operator.log_tail(15))
    }

    /// An error when a part has ended that should run.
    pub fn check(&mut self) -> Result<()> {
        self.emulator.check_running()?;
        if !self.plane.is_running() {
            return Err(Error::new("The control plane ended unexpectedly"));
        }
        Ok(())
    }

    /// An error when the operator has ended.
    pub fn check_operator(&mut self) -> Result<()> {
        self.operator.check_running()
    }

    /// Ends the operator, as the end of its pod does.
    pub fn end_operator(&mut self) {
        self.operator.terminate(GRACE);
    }

    /// Starts the operator again when it has ended, as a Deployment would; returns how it ended.
    pub fn revive_operator(&mut self) -> Result<Option<String>> {
        let Some(status) = self.operator.exit_status() else { return Ok(None) };
        let log = self.scratch.path().join("operator.log");
        self.operator =
            BoundProcess::spawn(&self.programs.oms_dev, "oms-operator", &self.operator_command, &log)?;
        Ok(Some(super::process::describe(status)))
    }
}

fn clone_command(command: &Command) -> Command {
    let mut clone = Command::new(command.get_program());
    clone.args(command.get_args());
    for (key, value) in command.get_envs() {
        if let Some(value) = value {
            clone.env(key, value);
        }
    }
    clone
}

fn write_private(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).context(format_args!("Could not write {}", path.display()))
}

/// Ready files are written whole, so one that exists can be read.
async fn read_when_ready<T: DeserializeOwned>(process: &mut BoundProcess, file: &Path) -> Result<T> {
    let deadline = Instant::now() + READY_LIMIT;
    loop {
        if let Ok(text) = std::fs::read_to_string(file) {
            return serde_json::from_str(&text).context(format_args!("Could not read {}", file.display()));
        }
        process.check_running()?;
        if Instant::now() >= deadline {
            return Err(Error::new(format!(
                "{} is not ready after {} s; the end of its log:\n{}",
                process.name(),
                READY_LIMIT.as_secs(),
                process.log_tail(15)
            )));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn apply<K>(client: &Client, object: K) -> Result<()>
where
    K: Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>
        + Clone
        + Serialize
        + DeserializeOwned
        + std::fmt::Debug,
{
    let api = Api::<K>::namespaced(client.clone(), NAMESPACE);
    let (kind, name) = (K::kind(&()), object.name_any());
    api.patch(&name, &PatchParams::apply("oms-dev").force(), &Patch::Apply(&object))
        .await
        .map(drop)
        .context(format_args!("Could not apply {kind} `{name}`"))
}

async fn apply_secret(client: &Client, name: &str, access_key: &str, secret_key: &str) -> Result<()> {
    let mut secret = Secret {
        string_data: Some(
            [("accessKey", access_key), ("secretKey", secret_key)]
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .into(),
        ),
        ..Secret::default()
    };
    secret.metadata.name = Some(name.to_owned());
    secret.labels_mut().insert(MANAGED_BY.0.to_owned(), MANAGED_BY.1.to_owned());
    apply(client, secret).await
}

async fn apply_connection(client: &Client, oms: &str) -> Result<()> {
    let spec = serde_json::json!({
        "region": REGION,
        "projectId": PROJECT_ID,
        "endpoint": oms.trim_end_matches('/'),
        "credentials": { "secretRef": { "name": SECRETS[0] } },
        "privacyAgreement": "Accepted",
    });
    let spec = serde_json::from_value(spec).context("Could not make the Connection")?;
    let mut connection = Connection::new(CONNECTION, spec);
    connection.labels_mut().insert(MANAGED_BY.0.to_owned(), MANAGED_BY.1.to_owned());
    apply(client, connection).await
}

async fn wait_for_connection(client: &Client, operator: &mut BoundProcess) -> Result<()> {
    let connections = Api::<Connection>::namespaced(client.clone(), NAMESPACE);
    let deadline = Instant::now() + READY_LIMIT;
    loop {
        let connection = connections.get(CONNECTION).await.context("Could not read the Connection")?;
        let conditions = connection.status.map(|status| status.conditions).unwrap_or_default();
        let ready = conditions.iter().find(|condition| condition.type_ == "Ready");
        if ready.is_some_and(|ready| ready.status == "True") {
            return Ok(());
        }
        operator.check_running()?;
        if Instant::now() >= deadline {
            let why = ready.map_or("it has no status", |ready| &ready.message);
            return Err(Error::new(format!(
                "Connection `{CONNECTION}` is not ready after {} s: {why}; the end of the operator's log:\n{}",
                READY_LIMIT.as_secs(),
                operator.log_tail(15)
            )));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// `folder` before everything that `PATH` has.
pub fn path_with(folder: &Path) -> OsString {
    let rest = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(folder.to_owned()).chain(std::env::split_paths(&rest));
    std::env::join_paths(folders).unwrap_or(rest.clone())
}
