//! The process of one container: started, probed, started again, ended.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{Pod, Probe, ServiceAccount};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::api::PostParams;
use kube::config::{AuthInfo, Kubeconfig};
use kube::{Api, Client, ResourceExt};
use rustix::process::Signal;

use super::Machine;
use super::launch::{self, Launch};
use crate::dev::error::{Context, Result};
use crate::dev::process::BoundProcess;

/// The longest pause before a process is started again.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Between two probes, whatever the pod says: who watches does not want to wait.
const PROBE_PERIOD: Duration = Duration::from_millis(200);

/// Between two looks at what the mounted files are made of. A real kubelet takes up to a minute.
const REFRESH_PERIOD: Duration = Duration::from_secs(1);

/// A container as it runs here.
pub(super) struct Running {
    /// Address of its pod.
    pub(super) address: String,
    /// Whether its readiness probe passed last.
    pub(super) ready: bool,
    /// How often it was started again.
    pub(super) restarts: i32,
    /// Why it does not run: the reason of its state, and words.
    pub(super) waiting: Option<(String, String)>,
    /// How it ended the last time: exit code and the end of its log.
    pub(super) ended: Option<(i32, String)>,
    /// Whether it ended and is not started again, as the pod of a Job does.
    pub(super) finished: bool,
    process: Option<BoundProcess>,
    /// Not to be started before.
    start_at: Instant,
    probed_at: Option<Instant>,
    /// When its liveness probe passed last.
    lived_at: Option<Instant>,
    asked_to_end: Option<Instant>,
    refreshed_at: Instant,
}

impl Running {
    /// A container that is not started yet.
    pub(super) fn new(address: String) -> Self {
        Self {
            address,
            ready: false,
            restarts: 0,
            waiting: Some(("ContainerCreating".into(), String::new())),
            ended: None,
            finished: false,
            process: None,
            start_at: Instant::now(),
            probed_at: None,
            lived_at: None,
            asked_to_end: None,
            refreshed_at: Instant::now(),
        }
    }

    /// Its process ID; 0 while it has none.
    pub(super) fn id(&self) -> u32 {
        self.process.as_ref().map_or(0, BoundProcess::id)
    }

    /// Whether it runs.
    pub(super) fn runs(&self) -> bool {
        self.process.is_some()
    }

    /// Starts it, or probes it, or notes that it ended.
    pub(super) async fn tend(&mut self, pod: &Pod, client: &Client, machine: &Machine) -> Result<()> {
        if let Some(process) = &mut self.process {
            let Some(status) = process.exit_status() else {
                self.refresh(pod, client, machine).await?;
                return self.probe(pod).await;
            };
            let code = status.code().unwrap_or(137);
            self.ended = Some((code, process.log_tail(5)));
            if starts_again(pod, code) {
                self.stopped("CrashLoopBackOff", "The process ended");
            } else {
                (self.process, self.ready, self.finished) = (None, false, true);
            }
        }
        if self.finished || Instant::now() < self.start_at {
            return Ok(());
        }
        match launch::of(pod, &self.address, client, machine).await {
            Ok(launch) => self.start(pod, launch, client, machine).await,
            Err((reason, message)) => {
                self.waiting = Some((reason.into(), message));
                self.start_at = Instant::now() + Duration::from_secs(1);
                Ok(())
            }
        }
    }

    fn stopped(&mut self, reason: &str, message: &str) {
        self.process = None;
        self.ready = false;
        self.restarts += 1;
        self.lived_at = None;
        self.waiting = Some((reason.into(), message.into()));
        let doubled = 1_u32 << self.restarts.clamp(1, 6);
        self.start_at = Instant::now() + (Duration::from_millis(100) * doubled).min(LONGEST_PAUSE);
    }

    async fn start(&mut self, pod: &Pod, launch: Launch, client: &Client, machine: &Machine) -> Result<()> {
        let folder = machine.folder.join(pod.name_any());
        fs::create_dir_all(&folder).context("Could not make a folder for a pod")?;
        for volume in &launch.folders {
            fs::create_dir_all(volume).context("Could not make a folder for a volume")?;
        }
        for (path, bytes) in &launch.files {
            put(path, bytes)?;
        }
        let kubeconfig = folder.join("kubeconfig");
        let text = serde_yaml::to_string(&identity(pod, client, machine).await?)
            .context("Could not write the kubeconfig of a pod")?;
        fs::write(&kubeconfig, text).context("Could not write the kubeconfig of a pod")?;
        let mut command = Command::new(&launch.program);
        command
            .args(&launch.arguments)
            .env_clear()
            .envs(launch.environment.iter().map(|(name, value)| (name, value)))
            .env("KUBECONFIG", &kubeconfig);
        let name = format!("container of pod {}", pod.name_any());
        let log = folder.join("log");
        self.process = Some(BoundProcess::spawn(&machine.oms_dev, &name, &command, &log)?);
        self.waiting = None;
        Ok(())
    }

    /// Brings mounted files up to date, as their ConfigMaps and Secrets have them now.
    async fn refresh(&mut self, pod: &Pod, client: &Client, machine: &Machine) -> Result<()> {
        if self.refreshed_at.elapsed() < REFRESH_PERIOD {
            return Ok(());
        }
        self.refreshed_at = Instant::now();
        // What cannot be had now stays as it is mounted.
        let Ok(launch) = launch::of(pod, &self.address, client, machine).await else { return Ok(()) };
        for (path, bytes) in &launch.files {
            if fs::read(path).ok().as_ref() != Some(bytes) {
                put(path, bytes)?;
            }
        }
        Ok(())
    }

    /// Asks the probes whose time has come.
    async fn probe(&mut self, pod: &Pod) -> Result<()> {
        if self.probed_at.is_some_and(|at| at.elapsed() < PROBE_PERIOD) {
            return Ok(());
        }
        self.probed_at = Some(Instant::now());
        let Ok(container) = launch::container(pod) else { return Ok(()) };
        let port = |probe: &Probe| match &probe.http_get.as_ref()?.port {
            IntOrString::Int(port) => Some(*port),
            IntOrString::String(name) => {
                let ports = container.ports.iter().flatten();
                ports
                    .into_iter()
                    .find(|port| port.name.as_ref() == Some(name))
                    .map(|port| port.container_port)
            }
        };
        let url = |probe: &Probe| {
            let path = probe.http_get.as_ref()?.path.clone().unwrap_or_else(|| "/".into());
            Some(format!("http://{}:{}{path}", self.address, port(probe)?))
        };
        self.ready = match container.readiness_probe.as_ref().and_then(url) {
            Some(url) => passes(&url).await,
            None => true,
        };
        let Some(liveness) = container.liveness_probe.as_ref() else { return Ok(()) };
        let Some(url) = url(liveness) else { return Ok(()) };
        let (period, threshold) =
            (liveness.period_seconds.unwrap_or(10), liveness.failure_threshold.unwrap_or(3));
        let patience = Duration::from_secs(u64::from((period * threshold).unsigned_abs()));
        if passes(&url).await {
            self.lived_at = Some(Instant::now());
        } else if self.lived_at.is_some_and(|at| at.elapsed() > patience)
            && let Some(process) = &mut self.process
        {
            // The next look finds it ended, and starts it again.
            process.signal(Signal::KILL);
        }
        Ok(())
    }

    /// Asks it to end, and kills it when it does not in time.
    pub(super) fn has_ended(&mut self, grace: Duration) -> bool {
        let Some(process) = &mut self.process else { return true };
        if process.exit_status().is_some() {
            return true;
        }
        match self.asked_to_end {
            None => {
                process.signal(Signal::TERM);
                self.asked_to_end = Some(Instant::now());
            }
            Some(at) if at.elapsed() > grace => process.signal(Signal::KILL),
            Some(_) => {}
        }
        false
    }
}

/// Puts a mounted file into its place in one step, as a kubelet does: nobody sees half of it.
fn put(path: &Path, bytes: &[u8]) -> Result<()> {
    let new = path.with_extension("new");
    fs::write(&new, bytes).context("Could not write a mounted file")?;
    fs::rename(&new, path).context("Could not exchange a mounted file")
}

/// Whether a container that ended is started again.
fn starts_again(pod: &Pod, code: i32) -> bool {
    match pod.spec.as_ref().and_then(|spec| spec.restart_policy.as_deref()) {
        Some("Never") => false,
        Some("OnFailure") => code != 0,
        _ => true,
    }
}

async fn passes(url: &str) -> bool {
    let Ok(client) = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(1)).build() else {
        return false;
    };
    client.get(url).send().await.is_ok_and(|answer| answer.status().is_success())
}

/// A kubeconfig whose user is the pod's service account.
async fn identity(pod: &Pod, client: &Client, machine: &Machine) -> Result<Kubeconfig> {
    let namespace = pod.namespace().unwrap_or_default();
    let account = pod.spec.as_ref().and_then(|spec| spec.service_account_name.clone());
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), &namespace);
    let wanted = TokenRequest { spec: Some(TokenRequestSpec::default()), ..TokenRequest::default() };
    let account = account.unwrap_or_else(|| "default".into());
    let token = accounts
        .create_token_request(&account, &PostParams::default(), &wanted)
        .await
        .context(format_args!("Could not get a token of service account {account}"))?;
    let mut config = Kubeconfig::read_from(&machine.kubeconfig).context("Could not read the kubeconfig")?;
    let token = token.status.and_then(|status| status.token).unwrap_or_default();
    for user in &mut config.auth_infos {
        let identity = AuthInfo { token: Some(token.clone().into()), ..AuthInfo::default() };
        user.auth_info = Some(identity);
    }
    Ok(config)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::starts_again;

    #[test]
    fn the_pod_of_a_job_is_not_started_again_once_it_succeeded() {
        let again = |policy: &str, code| {
            let pod = json!({ "spec": { "restartPolicy": policy, "containers": [] } });
            starts_again(&serde_json::from_value(pod).unwrap(), code)
        };
        assert_eq!(["Always", "OnFailure", "Never"].map(|policy| again(policy, 0)), [true, false, false]);
        assert_eq!(["Always", "OnFailure", "Never"].map(|policy| again(policy, 1)), [true, true, false]);
    }
}
