//! The real operator binary as a child process.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use oms_operator::dev::ControlPlane;
use oms_operator::dev::process::BoundProcess;
use rustix::process::Signal;
use serde_json::Value;

use crate::world::{eventually, oms_dev};

/// How an operator is started.
#[derive(Clone)]
pub(crate) struct OperatorFlags {
    /// Real time between two polls.
    pub(crate) poll: Duration,
    /// Real time between two looks at a Secret.
    pub(crate) secret_check: Duration,
    /// How many times faster its clock runs.
    pub(crate) time_scale: u32,
    /// Which log lines are written.
    pub(crate) log: &'static str,
    /// Further flags.
    pub(crate) more: Vec<String>,
    /// Further environment variables.
    pub(crate) environment: Vec<(&'static str, String)>,
    /// Whether it takes part in the leader election, with the lease in the test's namespace.
    pub(crate) elects: bool,
    /// Whether it watches every namespace, ClusterConnections included; only on an API server of the test's own.
    pub(crate) everywhere: bool,
}

impl Default for OperatorFlags {
    fn default() -> Self {
        Self {
            poll: Duration::from_millis(200),
            secret_check: Duration::from_millis(500),
            time_scale: 1,
            log: "info,oms_operator=debug",
            more: Vec::new(),
            environment: Vec::new(),
            elects: false,
            everywhere: false,
        }
    }
}

impl OperatorFlags {
    /// The same with a faster clock; polls keep their real pace.
    pub(crate) fn scaled(self, time_scale: u32) -> Self {
        Self { time_scale, ..self }
    }

    /// The same with one more flag.
    pub(crate) fn with(mut self, flag: impl Into<String>) -> Self {
        self.more.push(flag.into());
        self
    }

    /// The same with one more environment variable.
    pub(crate) fn knowing(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.environment.push((name, value.into()));
        self
    }
}

/// A running operator.
pub(crate) struct Operator {
    process: BoundProcess,
    ready_file: PathBuf,
}

impl Operator {
    /// Starts one for a namespace.
    pub(crate) fn spawn(plane: &ControlPlane, namespace: &str, folder: &Path, flags: &OperatorFlags) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let ready_file = folder.join(format!("operator-{number}.ready"));
        let milliseconds = |span: Duration| format!("{}ms", (span * flags.time_scale).as_millis());
        let mut command = Command::new(env!("CARGO_BIN_EXE_oms-operator"));
        command
            .args(["run", "--cluster-resource-namespace", namespace])
            .args(["--poll-interval", &milliseconds(flags.poll)])
            .args(["--secret-check-interval", &milliseconds(flags.secret_check)])
            .args(["--allowed-endpoint", "127.0.0.1", "--metrics-listen", "127.0.0.1:0"])
            .args(["--time-scale", &flags.time_scale.to_string()])
            .args(["--log-format", "json", "--log-level", flags.log])
            .arg(format!("--leader-elect={}", flags.elects))
            .args(["--leader-namespace", namespace])
            .arg("--ready-file")
            .arg(&ready_file)
            .args(if flags.everywhere { Vec::new() } else { vec!["--namespace", namespace] })
            .args(&flags.more)
            .env("KUBECONFIG", plane.kubeconfig())
            .env("NO_PROXY", "127.0.0.1,localhost")
            .env("no_proxy", "127.0.0.1,localhost")
            .envs(flags.environment.iter().map(|(name, value)| (*name, value)));
        let log = folder.join(format!("operator-{number}.log"));
        let process =
            BoundProcess::spawn(oms_dev(), &format!("operator {number} of {namespace}"), &command, &log)
                .unwrap();
        Self { process, ready_file }
    }

    /// What it is called in messages.
    pub(crate) fn name(&self) -> &str {
        self.process.name()
    }

    /// Waits until its caches are in sync.
    pub(crate) async fn wait_ready(&mut self) {
        let (process, ready_file) = (&mut self.process, &self.ready_file);
        let deadline = std::time::Instant::now() + crate::world::LIMIT;
        while !ready_file.exists() {
            process.check_running().unwrap();
            assert!(std::time::Instant::now() < deadline, "not ready: {}", process.log_tail(30));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Whether its caches are in sync.
    pub(crate) fn is_ready(&self) -> bool {
        self.ready_file.exists()
    }

    /// Base URL of metrics and health.
    pub(crate) fn metrics_url(&self) -> String {
        let ready: Value = serde_json::from_str(&std::fs::read_to_string(&self.ready_file).unwrap()).unwrap();
        ready["metrics"].as_str().unwrap().trim_end_matches('/').to_owned()
    }

    /// Status and body of `/metrics`, `/healthz` or `/readyz`.
    pub(crate) async fn get(&self, path: &str) -> (u16, String) {
        let base = self.metrics_url();
        let base = base.strip_suffix("/metrics").unwrap_or(&base);
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let answer = http.get(format!("{base}{path}")).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    /// The sum of a metric over the label sets that contain `labels`.
    pub(crate) async fn metric(&self, name: &str, labels: &str) -> f64 {
        let (_, text) = self.get("/metrics").await;
        text.lines()
            .filter(|line| {
                line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']))
                    && line.contains(labels)
            })
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    }

    /// Everything it logged.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.process.log()).unwrap_or_default()
    }

    /// The last lines of its log.
    pub(crate) fn log_tail(&self, lines: usize) -> String {
        self.process.log_tail(lines)
    }

    /// Waits until its log contains a text.
    pub(crate) async fn wait_log(&self, text: &str) {
        eventually(&format!("{} logs {text:?}", self.name()), async || {
            if self.log().contains(text) { Ok(()) } else { Err(self.log_tail(10)) }
        })
        .await;
    }

    /// SIGKILL: the end without a word.
    pub(crate) fn kill(&mut self) {
        self.process.kill();
    }

    /// Sends a signal.
    pub(crate) fn signal(&mut self, signal: Signal) {
        self.process.signal(signal);
    }

    /// When it logged lines with a text, by its own clock, the oldest first.
    pub(crate) fn logged_at(&self, text: &str) -> Vec<jiff::Timestamp> {
        let log = self.log();
        let lines = log.lines().filter(|line| line.contains(text));
        lines
            .map(|line| {
                let line: Value = serde_json::from_str(line).unwrap();
                line["timestamp"].as_str().unwrap().parse().unwrap()
            })
            .collect()
    }

    /// Status and body of a path, also of one that is not ready yet.
    pub(crate) async fn ask(&self, path: &str) -> (u16, String) {
        self.wait_log("serving health and metrics").await;
        let log = self.log();
        let line = log.lines().find(|line| line.contains("serving health and metrics")).unwrap();
        let line: Value = serde_json::from_str(line).unwrap();
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let url = format!("http://{}{path}", line["address"].as_str().unwrap());
        let answer = http.get(url).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    /// SIGTERM, and how it ended within the limit.
    pub(crate) async fn terminate(&mut self, limit: Duration) -> Option<ExitStatus> {
        self.process.signal(Signal::TERM);
        self.exited(limit).await
    }

    /// How it ended within the limit.
    pub(crate) async fn exited(&mut self, limit: Duration) -> Option<ExitStatus> {
        let deadline = std::time::Instant::now() + limit;
        loop {
            if let Some(status) = self.process.exit_status() {
                return Some(status);
            }
            if std::time::Instant::now() >= deadline {
                return None;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}
