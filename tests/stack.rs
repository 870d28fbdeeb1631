//! Demo and playground as their users run them, and what is left when they end.
#![cfg(all(feature = "dev", feature = "emulator"))]
#![allow(clippy::unwrap_used)]

#[path = "common/programs.rs"]
mod programs;

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::ListParams;
use kube::{Api, ResourceExt};
use oms_operator::dev::ControlPlane;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::programs::oms_dev;

const LIMIT: Duration = Duration::from_mins(3);
/// Every process of a stack inherits this variable, so that strays are found.
const MARK: &str = "STACK_TEST_MARK";

/// An `oms-dev` command in a folder of its own that holds the examples.
struct Run {
    folder: TempDir,
    mark: String,
}

impl Run {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
        std::os::unix::fs::symlink(examples, folder.path().join("examples")).unwrap();
        // No other test run has this folder.
        let mark = folder.path().display().to_string();
        Self { folder, mark }
    }

    fn command(&self, task: &str) -> Command {
        let mut command = Command::new(oms_dev());
        command
            .arg(task)
            .current_dir(self.folder.path())
            .env(MARK, &self.mark)
            .env_remove("CLUSTER")
            .stdin(Stdio::null());
        command
    }

    fn start_playground(&self) -> Child {
        let log = fs::File::create(self.folder.path().join("log")).unwrap();
        let errors = log.try_clone().unwrap();
        let mut playground = self.command("playground").stdout(log).stderr(errors).spawn().unwrap();
        let deadline = Instant::now() + LIMIT;
        while !self.environment().exists() {
            let ended = playground.try_wait().unwrap();
            assert!(ended.is_none() && Instant::now() < deadline, "{ended:?}: {}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
        playground
    }

    fn environment(&self) -> std::path::PathBuf {
        self.folder.path().join(".dev/env")
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    /// Runs a shell script in the playground's environment.
    fn shell(&self, script: &str) -> String {
        let output = Command::new("sh")
            .args(["-ec", &format!(". .dev/env; {script}")])
            .current_dir(self.folder.path())
            .output()
            .unwrap();
        let (text, errors) =
            (String::from_utf8(output.stdout).unwrap(), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{script}: {errors}{text}");
        text
    }

    fn assert_no_process_is_left(&self) {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let left = self.processes();
            if left.is_empty() {
                return;
            }
            assert!(Instant::now() < deadline, "still running: {left:?}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn processes(&self) -> Vec<String> {
        let wanted = format!("{MARK}={}", self.mark);
        let marked = |entry: &Path| {
            // A process that is gone, or somebody else's, cannot be read.
            let environment = fs::read(entry.join("environ")).unwrap_or_default();
            environment.split(|byte| *byte == 0).any(|variable| variable == wanted.as_bytes())
        };
        fs::read_dir("/proc")
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|entry| marked(entry))
            .map(|entry| {
                let line = fs::read(entry.join("cmdline")).unwrap_or_default();
                format!("{}: {}", entry.display(), String::from_utf8_lossy(&line).replace('\0', " "))
            })
            .collect()
    }
}

#[test]
fn the_demo_migrates_a_bucket_and_finds_every_object_equal() {
    let run = Run::new();
    let output = run.command("demo").output().unwrap();
    let (text, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{text}\n{errors}");
    assert!(text.contains("are equal in key, SHA-256, Content-Type and metadata"), "{text}");
    assert!(text.contains("CreateTask 1"), "{text}");
    run.assert_no_process_is_left();
}

#[test]
fn the_playground_is_ready_when_its_environment_appears_and_leaves_nothing_on_sigterm() {
    let run = Run::new();
    let mut playground = run.start_playground();
    let ready = r#"{.status.conditions[?(@.type=="Ready")].status}"#;
    assert_eq!(run.shell(&format!("kubectl get connection default -o jsonpath='{ready}'")), "True");
    for name in [
        "OMS_ENDPOINT",
        "OMS_ADMIN_ENDPOINT",
        "OMS_METRICS_ENDPOINT",
        "S3_SOURCE_ENDPOINT",
        "S3_DESTINATION_ENDPOINT",
    ] {
        let url: url::Url = run.shell(&format!("printf %s \"${name}\"")).parse().unwrap();
        std::net::TcpStream::connect((url.host_str().unwrap(), url.port().unwrap())).unwrap();
    }
    for name in ["OMS_PROJECT_ID", "OMS_ACCESS_KEY", "OMS_SECRET_KEY"] {
        assert!(!run.shell(&format!("printf %s \"${name}\"")).is_empty(), "{name} is empty");
    }
    for side in ["SOURCE", "DESTINATION"] {
        for name in ["ACCESS_KEY", "SECRET_KEY", "REGION", "CLOUD"] {
            assert!(
                !run.shell(&format!("printf %s \"$S3_{side}_{name}\"")).is_empty(),
                "{side} {name} is empty"
            );
        }
    }
    kill_process(Pid::from_child(&playground), Signal::TERM).unwrap();
    assert!(playground.wait().unwrap().success(), "{}", run.log());
    assert!(!run.folder.path().join(".dev").exists());
    // Not even a moment later: it has waited for all of them.
    assert_eq!(run.processes(), Vec::<String>::new());
}

#[test]
fn a_killed_playground_leaves_no_process_behind() {
    let run = Run::new();
    let mut playground = run.start_playground();
    assert!(run.processes().len() >= 7, "{:?}", run.processes());
    playground.kill().unwrap();
    playground.wait().unwrap();
    run.assert_no_process_is_left();
}

#[tokio::test]
async fn the_demo_is_a_tidy_guest_in_the_cluster_of_the_current_context() {
    // Not the shared one: an operator for all namespaces would meddle with other tests.
    let plane = tokio::task::spawn_blocking(|| ControlPlane::start(oms_dev())).await.unwrap().unwrap();
    let run = Run::new();
    let mut demo = run.command("demo");
    demo.env("CLUSTER", "current").env("KUBECONFIG", plane.kubeconfig());
    let output = tokio::task::spawn_blocking(move || demo.output()).await.unwrap().unwrap();
    let (text, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{text}\n{errors}");

    let client = plane.client().await.unwrap();
    let secrets = Api::<Secret>::namespaced(client.clone(), "default");
    let left = secrets.list(&ListParams::default()).await.unwrap();
    assert_eq!(left.iter().map(ResourceExt::name_any).collect::<Vec<_>>(), Vec::<String>::new());
    let definitions = Api::<CustomResourceDefinition>::all(client);
    let deadline = Instant::now() + LIMIT;
    while !definitions.list(&ListParams::default()).await.unwrap().items.is_empty() {
        assert!(Instant::now() < deadline, "the definitions are still there");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    run.assert_no_process_is_left();
}
