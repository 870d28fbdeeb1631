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
        Self::start_with(plane.kubeconfig(), name, namespace, args)
    }

    fn start_with(kubeconfig: &Path, name: &str, namespace: &str, args: &[&str]) -> Self {
        let place =
            |what: &str| Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{namespace}-{name}.{what}"));
        let (ready_file, log) = (place("ready"), place("log"));
        let process = Command::new(env!("CARGO_BIN_EXE_oms-operator"))
            .args(["run", "--metrics-listen", "127.0.0.1:0", "--namespace", namespace])
            .args(["--leader-namespace", namespace, "--leader-retry-period", "200ms"])
            .arg("--ready-file")
            .arg(&ready_file)
            .args(args)
            .env("KUBECONFIG", kubeconfig)
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

/// What a run that cannot go on leaves: its exit code, and its last line.
fn failed_run(kubeconfig: &Path, args: &[&str], variable: (&str, &str)) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_oms-operator"))
        .arg("run")
        .args(args)
        .env("KUBECONFIG", kubeconfig)
        .env(variable.0, variable.1)
        .output()
        .unwrap();
    assert!(output.stdout.is_empty());
    let said = String::from_utf8(output.stderr).unwrap();
    (output.status.code(), said)
}

#[tokio::test]
async fn an_address_in_use_ends_it_and_is_named() {
    let stage = Stage::new().await;
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let args = ["--metrics-listen", &address, "--namespace", &stage.namespace];
    let (code, said) = failed_run(stage.plane.kubeconfig(), &args, ("A", "b"));
    assert_eq!(code, Some(1), "{said}");
    let line: Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
    let error = line["error"].as_str().unwrap();
    assert!(error.starts_with("--metrics-listen: ") && error.contains(&address), "{error}");
    assert!(error.contains("in use"), "{error}");
    assert_eq!(said.lines().count(), 1, "one line is enough: {said}");
}

#[test]
fn a_kubeconfig_that_cannot_be_read_ends_it_and_is_named() {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("run-no-kubeconfig");
    std::fs::write(&file, "contexts: [").unwrap();
    let missing = file.with_extension("missing");
    for kubeconfig in [&file, &missing] {
        let args = ["--metrics-listen", "127.0.0.1:0"];
        let (code, said) = failed_run(kubeconfig, &args, ("A", "b"));
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains("no connection to Kubernetes can be made"), "{said}");
        assert!(said.contains(kubeconfig.to_str().unwrap()), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
    std::fs::remove_file(file).unwrap();
}

#[test]
fn a_value_that_is_wrong_ends_it_and_its_flag_is_named() {
    let nowhere = Path::new("/nonexistent");
    for (args, variable, code, words) in [
        (&["--poll-interval", "often"][..], ("A", "b"), 2, &["--poll-interval", "write it like 30s"][..]),
        (&[], ("OMS_OPERATOR_POLL_INTERVAL", "often"), 2, &["--poll-interval", "write it like 30s"]),
        (&[], ("OMS_OPERATOR_LOG_FORMAT", "xml"), 2, &["--log-format", "json"]),
        (&[], ("OMS_OPERATOR_NAMESPACE", "Team_A"), 1, &["--namespace", "Team_A"]),
        (&["--log-level", "a=b=c"], ("A", "b"), 1, &["--log-level", "a=b=c"]),
        (&["--leader-lease-duration", "5s"], ("A", "b"), 1, &["--leader-lease-duration", "renew deadline"]),
        (&["--no-such-flag"], ("A", "b"), 2, &["--no-such-flag"]),
    ] {
        let (ended, said) = failed_run(nowhere, args, variable);
        assert_eq!(ended, Some(code), "{args:?} {variable:?}: {said}");
        for word in words {
            assert!(said.contains(word), "{word:?} is missing in: {said}");
        }
    }
}

#[tokio::test]
async fn a_ready_file_that_cannot_be_written_ends_it_and_is_named() {
    let stage = Stage::new().await;
    let args = ["--metrics-listen", "127.0.0.1:0", "--namespace", &stage.namespace];
    let args = [&args[..], &["--leader-elect=false", "--ready-file", "/nonexistent/ready"]].concat();
    let (code, said) = failed_run(stage.plane.kubeconfig(), &args, ("A", "b"));
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("--ready-file: /nonexistent/ready cannot be written"), "{said}");
}

#[tokio::test]
async fn an_api_server_that_is_not_there_is_waited_for() {
    let stage = Stage::new().await;
    // Nobody listens at this address, and then the way to the server is opened.
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let server = stage.plane.server().trim_start_matches("https://").to_owned();
    let text = std::fs::read_to_string(stage.plane.kubeconfig()).unwrap();
    let kubeconfig = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-kubeconfig", stage.namespace));
    std::fs::write(&kubeconfig, text.replace(&server, &address.to_string())).unwrap();
    let args = ["--log-format", "json"];
    let mut operator = Operator::start_with(&kubeconfig, "early", &stage.namespace, &args);
    let deadline = Instant::now() + LIMIT;
    while !operator.log().contains("the API server cannot be asked") {
        assert_eq!(operator.process.try_wait().unwrap(), None, "{}", operator.log());
        assert!(Instant::now() < deadline, "{}", operator.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let log = operator.log();
    let served: Value = serde_json::from_str(log.lines().next().unwrap()).unwrap();
    let (status, why) = get(format!("http://{}/readyz", served["address"].as_str().unwrap())).await;
    assert_eq!(status, 503);
    assert!(why.contains("the API server cannot be asked") && why.contains("refused"), "{why}");
    let way = tokio::net::TcpListener::bind(address).await.unwrap();
    let open = tokio::spawn(async move {
        loop {
            let (mut caller, _) = way.accept().await.unwrap();
            let server = server.clone();
            tokio::spawn(async move {
                let mut there = tokio::net::TcpStream::connect(&server).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut caller, &mut there).await;
            });
        }
    });
    operator.ready().await;
    assert_eq!(operator.log().matches("not able to work yet").count(), 1, "{}", operator.log());
    open.abort();
    std::fs::remove_file(kubeconfig).unwrap();
}
