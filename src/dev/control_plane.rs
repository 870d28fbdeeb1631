//! A real Kubernetes control plane, for as long as one of these values lives.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use kube::Client;

use super::error::{Context, Error, Result};
use super::supervisor::{self, Ready};
use super::tools::{Tool, Tools};

/// Kubeconfig of a control plane that somebody started for us (`oms-dev with-control-plane`).
pub const KUBECONFIG_VARIABLE: &str = "OMS_DEV_KUBECONFIG";
/// Folder of the tools that belong to it.
pub const TOOLS_VARIABLE: &str = "OMS_DEV_TOOLS";

/// A running kube-apiserver, with etcd and kube-controller-manager.
///
/// It ends when this value is dropped, and also when the process that holds it ends in any way,
/// as its supervisor notices that the pipe between them is closed.
#[derive(Debug)]
pub struct ControlPlane {
    kubeconfig: PathBuf,
    server: String,
    token: String,
    tools: Tools,
    audit_log: Option<PathBuf>,
    pids: Vec<u32>,
    supervisor: Option<Supervisor>,
}

/// A control plane on its way up; dropping it ends what has started.
#[derive(Debug)]
pub struct Starting {
    supervisor: Supervisor,
    output: ChildStdout,
    errors: ChildStderr,
}

/// Ends a control plane on its way up from another thread.
#[derive(Clone, Debug)]
pub struct Stopper(Life);

/// Our end of the supervisor's standard input.
type Life = Arc<Mutex<Option<ChildStdin>>>;

impl Stopper {
    /// Tells the supervisor to end; whoever waits for it gets an error, once it has ended.
    pub fn stop(&self) {
        drop(self.0.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

#[derive(Debug)]
struct Supervisor {
    process: Child,
    life: Stopper,
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        // It kills its children and removes its folder.
        self.life.stop();
        let deadline = Instant::now() + Duration::from_secs(20);
        while matches!(self.process.try_wait(), Ok(None)) {
            if Instant::now() > deadline {
                // Its children die with it.
                let _ = self.process.kill();
                let _ = self.process.wait();
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Starting {
    /// Something that can end it while [`Starting::wait`] blocks.
    pub fn stopper(&self) -> Stopper {
        self.supervisor.life.clone()
    }

    /// Blocks until the control plane is ready, or has failed to start.
    pub fn wait(self) -> Result<ControlPlane> {
        let Self { supervisor, output, errors } = self;
        let complaints = std::thread::spawn(move || relay(errors));
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line).context("Could not read from the supervisor")?;
        let Ok(ready) = serde_json::from_str::<Ready>(&line) else {
            drop(supervisor);
            let why = complaints.join().unwrap_or_default();
            return Err(Error::new(format!("The control plane did not start: {why}")));
        };
        Ok(ControlPlane {
            kubeconfig: ready.kubeconfig,
            server: ready.server,
            token: ready.token,
            tools: Tools::in_folder(ready.tools),
            audit_log: Some(ready.audit_log),
            pids: ready.pids,
            supervisor: Some(supervisor),
        })
    }
}

impl ControlPlane {
    /// Starts one and waits until it is ready: some seconds, or minutes the first time on a
    /// machine, when the tools are built (progress goes to standard error).
    ///
    /// `oms_dev` is the `oms-dev` binary; a test has it as `env!("CARGO_BIN_EXE_oms-dev")`.
    pub fn start(oms_dev: &Path) -> Result<Self> {
        Self::launch(oms_dev)?.wait()
    }

    /// Starts one without waiting for it.
    pub fn launch(oms_dev: &Path) -> Result<Starting> {
        let mut command = Command::new(oms_dev);
        command
            .arg("control-plane")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A group of its own: Ctrl-C is for us to handle, then it ends as its input ends.
            .process_group(0);
        let mut process = command.spawn().context(format_args!("Could not start {}", oms_dev.display()))?;
        let lost = || Error::new("The supervisor has no standard streams");
        let output = process.stdout.take().ok_or_else(lost)?;
        let errors = process.stderr.take().ok_or_else(lost)?;
        let life = Stopper(Arc::new(Mutex::new(process.stdin.take())));
        Ok(Starting { supervisor: Supervisor { process, life }, output, errors })
    }

    /// The control plane that the tests of this process share: the one that
    /// `oms-dev with-control-plane` started around them, else one that is started now and lives as
    /// long as this process.
    pub fn shared(oms_dev: &Path) -> Result<&'static Self> {
        static SHARED: Mutex<Option<&'static ControlPlane>> = Mutex::new(None);
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(plane) = *shared {
            return Ok(plane);
        }
        let plane = match Self::from_environment()? {
            Some(plane) => plane,
            None => Self::start(oms_dev)?,
        };
        // Never dropped; the closed pipe ends it with this process.
        let plane: &'static Self = Box::leak(Box::new(plane));
        *shared = Some(plane);
        Ok(plane)
    }

    /// The one named by [`KUBECONFIG_VARIABLE`], when it is set.
    pub fn from_environment() -> Result<Option<Self>> {
        let set = |name| std::env::var_os(name).filter(|value: &OsString| !value.is_empty());
        let (Some(kubeconfig), Some(tools)) = (set(KUBECONFIG_VARIABLE), set(TOOLS_VARIABLE)) else {
            return Ok(None);
        };
        Self::existing(Path::new(&kubeconfig), Tools::in_folder(tools.into())).map(Some)
    }

    /// A cluster that somebody else started and will end. The first cluster and user of the
    /// kubeconfig's current context are used; `token` is empty when that user has none.
    pub fn existing(kubeconfig: &Path, tools: Tools) -> Result<Self> {
        use secrecy::ExposeSecret as _;
        let config = kube::config::Kubeconfig::read_from(kubeconfig)
            .context(format_args!("Could not read {}", kubeconfig.display()))?;
        let context = config
            .contexts
            .iter()
            .find(|context| config.current_context.as_ref() == Some(&context.name))
            .and_then(|context| context.context.as_ref())
            .ok_or_else(|| Error::new(format!("{} has no current context", kubeconfig.display())))?;
        let server = config
            .clusters
            .iter()
            .find(|cluster| cluster.name == context.cluster)
            .and_then(|cluster| cluster.cluster.as_ref()?.server.clone())
            .unwrap_or_default();
        let token = config
            .auth_infos
            .iter()
            .find(|user| Some(&user.name) == context.user.as_ref())
            .and_then(|user| Some(user.auth_info.as_ref()?.token.as_ref()?.expose_secret().to_owned()))
            .unwrap_or_default();
        Ok(Self {
            kubeconfig: kubeconfig.to_owned(),
            server,
            token,
            tools,
            audit_log: None,
            pids: Vec::new(),
            supervisor: None,
        })
    }

    /// A kubeconfig file whose user may do everything.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// URL of the API server.
    pub fn server(&self) -> &str {
        &self.server
    }

    /// Bearer token of the kubeconfig's user.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Path of kubectl.
    pub fn kubectl_path(&self) -> PathBuf {
        self.tools.path(Tool::Kubectl)
    }

    /// The tools, kubectl among them.
    pub fn tools(&self) -> &Tools {
        &self.tools
    }

    /// What service accounts asked of the server, one audit event per line; only of a control plane that we started.
    pub fn audit_log(&self) -> Option<&Path> {
        self.audit_log.as_deref()
    }

    /// A kubectl command on this control plane.
    pub fn kubectl(&self) -> Command {
        let mut command = Command::new(self.kubectl_path());
        command.env("KUBECONFIG", &self.kubeconfig);
        command
    }

    /// Process IDs of the supervisor and the servers; empty when somebody else started them.
    pub fn pids(&self) -> &[u32] {
        &self.pids
    }

    /// Whether the process that supervises it runs (always so for one that somebody else started).
    pub fn is_running(&mut self) -> bool {
        self.supervisor.as_mut().is_none_or(|supervisor| matches!(supervisor.process.try_wait(), Ok(None)))
    }

    /// A client whose user may do everything. Needs a tokio runtime, and belongs to it.
    pub async fn client(&self) -> Result<Client> {
        // rustls has two providers in the tree of some builds and would not choose.
        let _ = rustls::crypto::ring::default_provider().install_default();
        supervisor::client_of(&self.kubeconfig).await
    }
}

/// Copies the supervisor's complaints to our standard error and returns the last of them.
fn relay(errors: impl Read) -> String {
    let mut last = VecDeque::new();
    for line in BufReader::new(errors).lines().map_while(std::result::Result::ok) {
        eprintln!("{line}");
        if last.len() == 20 {
            last.pop_front();
        }
        last.push_back(line);
    }
    Vec::from(last).join("\n")
}
