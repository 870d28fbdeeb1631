//! The harness under everything: the real control plane starts, answers, and leaves nothing behind
//! in whatever way its user ends.
#![cfg(feature = "dev")]
#![allow(clippy::unwrap_used)]

#[path = "common/programs.rs"]
mod programs;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DeleteParams, PostParams};
use kube::{Api, ResourceExt};
use oms_operator::dev::process::BoundProcess;
use oms_operator::dev::scratch::Scratch;
use oms_operator::dev::supervisor::Ready;
use oms_operator::dev::{ControlPlane, crds};

use crate::programs::oms_dev;

const LIMIT: Duration = Duration::from_mins(1);

fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !holds() {
        assert!(Instant::now() < deadline, "not within {LIMIT:?}: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Running and not a zombie that waits for its parent.
fn lives(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit(')').next().unwrap_or_default().trim_start().starts_with(['Z', 'X']))
}

/// A supervisor that this test controls directly, with what it printed.
fn start_supervisor() -> (Child, Ready) {
    let mut supervisor = Command::new(oms_dev())
        .args(["control-plane", "--no-controller-manager"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(supervisor.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let ready = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"));
    (supervisor, ready)
}

fn assert_nothing_is_left(ready: &Ready) {
    assert!(ready.pids.len() >= 3, "the supervisor, etcd and kube-apiserver: {:?}", ready.pids);
    for &pid in &ready.pids {
        eventually(&format!("process {pid} is gone"), || !lives(pid));
    }
}

#[tokio::test]
async fn the_real_server_answers_clients_and_kubectl() {
    let plane = ControlPlane::shared(oms_dev()).unwrap();
    let client = plane.client().await.unwrap();
    assert_eq!(client.apiserver_version().await.unwrap().minor, "36");

    let namespaces = Api::<Namespace>::all(client.clone());
    let mut namespace = Namespace::default();
    namespace.metadata.generate_name = Some("control-plane-".to_owned());
    let namespace = namespaces.create(&PostParams::default(), &namespace).await.unwrap().name_any();
    let output = plane
        .kubectl()
        .args(["--namespace", &namespace, "create", "configmap", "note", "--from-literal=a=b"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let notes = Api::<ConfigMap>::namespaced(client.clone(), &namespace);
    assert_eq!(notes.get("note").await.unwrap().data.unwrap()["a"], "b");

    // Only kube-controller-manager finishes the deletion of a namespace.
    namespaces.delete(&namespace, &DeleteParams::default()).await.unwrap();
    let deadline = Instant::now() + LIMIT;
    while namespaces.get_opt(&namespace).await.unwrap().is_some() {
        assert!(Instant::now() < deadline, "namespace {namespace} is still there");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn a_definition_can_be_used_as_soon_as_it_is_installed() {
    let plane = ControlPlane::shared(oms_dev()).unwrap();
    let client = plane.client().await.unwrap();
    let definitions = serde_yaml::from_str::<CustomResourceDefinition>(
        "apiVersion: apiextensions.k8s.io/v1\n\
         kind: CustomResourceDefinition\n\
         metadata: { name: gadgets.control-plane.test }\n\
         spec:\n\
         \x20 group: control-plane.test\n\
         \x20 scope: Namespaced\n\
         \x20 names: { kind: Gadget, plural: gadgets, singular: gadget }\n\
         \x20 versions: [{ name: v1, served: true, storage: true, schema: { openAPIV3Schema: { type: object } } }]\n",
    );
    let definitions = [definitions.unwrap()];
    crds::install(&client, &definitions).await.unwrap();
    crds::install(&client, &definitions).await.unwrap();
    let output = plane.kubectl().args(["get", "gadgets.control-plane.test"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_end_of_standard_input_ends_everything() {
    let (mut supervisor, ready) = start_supervisor();
    assert!(ready.dir.is_dir());
    drop(supervisor.stdin.take());
    assert!(supervisor.wait().unwrap().success());
    assert_nothing_is_left(&ready);
    assert!(!ready.dir.exists(), "{} is left", ready.dir.display());
}

#[test]
fn a_killed_supervisor_leaves_no_process_and_the_next_start_sweeps_its_folder() {
    let (mut supervisor, ready) = start_supervisor();
    supervisor.kill().unwrap();
    supervisor.wait().unwrap();
    assert_nothing_is_left(&ready);
    drop(Scratch::create().unwrap());
    assert!(!ready.dir.exists(), "{} is left", ready.dir.display());
}

#[test]
fn a_server_that_dies_ends_the_supervisor_with_an_error() {
    let (mut supervisor, ready) = start_supervisor();
    let server = rustix::process::Pid::from_raw(ready.pids[2] as i32).unwrap();
    rustix::process::kill_process(server, rustix::process::Signal::KILL).unwrap();
    // `wait` would close its standard input, which ends it as well, and without an error.
    eventually("the supervisor has ended", || supervisor.try_wait().unwrap().is_some());
    assert!(!supervisor.wait().unwrap().success());
    assert_nothing_is_left(&ready);
}

/// Not a test of its own: the user of a control plane that the tests below bring to a bad end.
#[test]
fn a_user_of_a_control_plane() {
    let Some(how) = std::env::var_os("CONTROL_PLANE_TEST_END") else { return };
    let plane = ControlPlane::start(oms_dev()).unwrap();
    // The sleeper stands for an emulator or an operator beside it.
    let folder = tempfile::tempdir().unwrap();
    let mut sleep = Command::new("sleep");
    sleep.arg("1000");
    let sleeper = BoundProcess::spawn(oms_dev(), "sleep", &sleep, &folder.path().join("sleep.log")).unwrap();
    let pids: Vec<_> = plane.pids().iter().copied().chain([sleeper.id()]).collect();
    println!("\nPIDS {}", serde_json::to_string(&pids).unwrap());
    assert!(how != "panic", "the end that was asked for");
    std::thread::sleep(LIMIT);
}

/// Runs the user above in a process of its own, until it has told the process IDs.
fn start_user(end: &str) -> (Child, Vec<u32>) {
    let mut user = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_user_of_a_control_plane", "--nocapture"])
        .env("CONTROL_PLANE_TEST_END", end)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let told = BufReader::new(user.stdout.take().unwrap())
        .lines()
        .find_map(|line| Some(serde_json::from_str(line.unwrap().strip_prefix("PIDS ")?).unwrap()));
    (user, told.expect("the user tells its processes"))
}

#[test]
fn a_killed_user_leaves_no_process_behind() {
    let (mut user, pids) = start_user("kill");
    assert_eq!(pids.len(), 5);
    user.kill().unwrap();
    user.wait().unwrap();
    for pid in pids {
        eventually(&format!("process {pid} is gone"), || !lives(pid));
    }
}

#[test]
fn a_panicking_test_leaves_no_process_behind() {
    let (mut user, pids) = start_user("panic");
    assert!(!user.wait().unwrap().success());
    for pid in pids {
        eventually(&format!("process {pid} is gone"), || !lives(pid));
    }
}

#[test]
fn a_command_gets_the_control_plane_and_its_exit_code_is_returned() {
    let output = Command::new(oms_dev())
        .args(["with-control-plane", "--", "sh", "-c", "kubectl get namespace default --output name; exit 7"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "namespace/default\n");
    assert_eq!(output.status.code(), Some(7));
}

/// Runs `hack/need` where there is nothing but its shell and these programs.
fn need(programs: &[&str], wanted: &[&str]) -> (bool, String) {
    let folder = Scratch::create().unwrap();
    let (path, assets) = (folder.path().join("path"), folder.path().join("assets"));
    std::fs::create_dir_all(&path).unwrap();
    std::fs::create_dir_all(&assets).unwrap();
    std::os::unix::fs::symlink("/bin/bash", path.join("bash")).unwrap();
    for program in programs {
        std::os::unix::fs::symlink("/bin/true", assets.join(program)).unwrap();
    }
    let output = Command::new("/bin/bash")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("hack/need"))
        .args(wanted)
        .env_clear()
        .env("PATH", &path)
        .env("HOME", folder.path())
        .env("KUBEBUILDER_ASSETS", &assets)
        .output()
        .unwrap();
    (output.status.success(), String::from_utf8(output.stderr).unwrap())
}

/// Regression: somebody with the programs of a control plane, but neither Go nor helm, was told in the middle of the tests.
#[test]
fn what_cannot_be_built_is_named_before_anything_is_compiled() {
    let servers = ["kube-apiserver", "etcd", "kube-controller-manager", "kubectl"];
    let everything = [&servers[..], &["helm"]].concat();
    assert_eq!(need(&servers, &["control-plane"]), (true, String::new()));
    assert_eq!(need(&everything, &["control-plane", "helm"]), (true, String::new()));
    let (enough, told) = need(&servers, &["control-plane", "helm"]);
    assert!(!enough && told.contains("not here: helm; install Go"), "{told}");
    let (enough, told) = need(&["kube-apiserver", "etcd"], &["control-plane"]);
    assert!(!enough && told.contains("kube-controller-manager kubectl"), "{told}");
}
