//! `oms-operator run` as a process on a real API server: it starts, tells how it is, and ends as it is asked to.
#![cfg(feature = "dev")]
#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt as _};
use oms_operator::api;
use oms_operator::dev::{ControlPlane, crds};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_mins(1);

/// One running operator; killed when the test ends in whatever way.
struct Operator {
    process: Child,
    ready_file: PathBuf,
    log: PathBuf,
}

impl Operator {
    fn start(plane: &ControlPlane, name: &str, namespace: &str, args: &[&str]) -> Self {
        let place =
            |what: &str| Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{namespace}-{name}.{what}"));
        let (ready_file, log) = (place("ready"), place("log"));
        let process = Command::new(env!("CARGO_BIN_EXE_oms-operator"))
            .args(["run", "--metrics-listen", "127.0.0.1:0", "--namespace", namespace])
            .args(["--leader-namespace", namespace, "--leader-retry-period", "200ms"])
            .arg("--ready-file")
            .arg(&ready_file)
            .args(args)
            .env("KUBECONFIG", plane.kubeconfig())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        Self { process, ready_file, log }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// Waits until the operator leads and serves, and answers with its address.
    async fn ready(&mut self) -> String {
        let deadline = Instant::now() + LIMIT;
        loop {
            if let Ok(ready) = std::fs::read(&self.ready_file) {
                let ready: Value = serde_json::from_slice(&ready).expect("the file is never half written");
                return ready["metrics"].as_str().unwrap().to_owned();
            }
            assert_eq!(self.process.try_wait().unwrap(), None, "it ended:\n{}", self.log());
            assert!(Instant::now() < deadline, "not ready:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_raw(self.process.id() as i32).unwrap(), signal).unwrap();
    }

    async fn ended(&mut self) -> ExitStatus {
        let deadline = Instant::now() + LIMIT;
        loop {
            if let Some(status) = self.process.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "it does not end:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_file(&self.ready_file);
        let _ = std::fs::remove_file(&self.log);
    }
}

struct Stage {
    plane: &'static ControlPlane,
    client: Client,
    namespace: String,
}

impl Stage {
    async fn new() -> Self {
        let plane = ControlPlane::shared(Path::new(env!("CARGO_BIN_EXE_oms-dev"))).unwrap();
        let client = plane.client().await.unwrap();
        crds::install(&client, &api::crds()).await.unwrap();
        let mut namespace = Namespace::default();
        namespace.metadata.generate_name = Some("run-".to_owned());
        let namespaces = Api::all(client.clone());
        let namespace = namespaces.create(&PostParams::default(), &namespace).await.unwrap().name_any();
        Self { plane, client, namespace }
    }

    fn operator(&self, name: &str, args: &[&str]) -> Operator {
        Operator::start(self.plane, name, &self.namespace, args)
    }

    fn leases(&self) -> Api<Lease> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    async fn holder(&self) -> Option<String> {
        self.leases().get("oms-operator").await.unwrap().spec.unwrap().holder_identity
    }
}

async fn get(url: String) -> (u16, String) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = client.get(url).send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

#[tokio::test]
async fn it_serves_logs_json_and_ends_cleanly_on_sigterm() {
    let stage = Stage::new().await;
    let mut operator = stage.operator("one", &[]);
    let address = operator.ready().await;
    assert_eq!(get(format!("{address}/healthz")).await, (200, "ok\n".to_owned()));
    assert_eq!(get(format!("{address}/readyz")).await, (200, "ok\n".to_owned()));
    let (_, metrics) = get(format!("{address}/metrics")).await;
    assert!(metrics.lines().any(|line| line == "oms_operator_leader 1"), "{metrics}");
    assert!(stage.holder().await.is_some_and(|holder| !holder.is_empty()));

    let asked = Instant::now();
    operator.signal(Signal::TERM);
    assert!(operator.ended().await.success(), "{}", operator.log());
    // Nothing is under way, so nothing is worth waiting for; a loop that misses the end uses up 8 s of grace.
    assert!(asked.elapsed() < Duration::from_secs(5), "it took {:?}", asked.elapsed());
    assert!(stage.holder().await.is_none_or(|holder| holder.is_empty()), "the lease is given back");
    let log = operator.log();
    assert!(!log.is_empty());
    for line in log.lines() {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        for field in ["timestamp", "level", "message", "target"] {
            assert!(line[field].is_string(), "no {field} in {line}");
        }
    }
}

#[tokio::test]
async fn a_second_replica_takes_over_when_the_first_one_ends() {
    let stage = Stage::new().await;
    let mut first = stage.operator("first", &[]);
    first.ready().await;
    let leader = stage.holder().await;
    let mut second = stage.operator("second", &["--log-format", "text"]);
    first.signal(Signal::INT);
    assert!(first.ended().await.success(), "{}", first.log());
    let address = second.ready().await;
    assert_eq!(get(format!("{address}/readyz")).await.0, 200);
    assert_ne!(stage.holder().await, leader);
}

#[tokio::test]
async fn a_leader_whose_lease_was_taken_ends_with_an_error() {
    let stage = Stage::new().await;
    let mut operator = stage.operator("robbed", &[]);
    operator.ready().await;
    let theirs = Patch::Merge(json!({ "spec": { "holderIdentity": "robber" } }));
    stage.leases().patch("oms-operator", &PatchParams::default(), &theirs).await.unwrap();
    assert_eq!(operator.ended().await.code(), Some(1), "{}", operator.log());
    let log = operator.log();
    let last: Value = serde_json::from_str(log.lines().last().unwrap()).expect("also the last line is JSON");
    assert_eq!(last["level"], "ERROR", "{log}");
    assert!(last["error"].as_str().unwrap().starts_with("the lease was lost"), "{log}");
    assert_eq!(stage.holder().await.as_deref(), Some("robber"));
}
