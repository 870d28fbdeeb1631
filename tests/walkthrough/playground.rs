//! The playground as `make dev` starts it, in a folder of its own, and a shell in its environment.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use oms_operator::dev::ControlPlane;
use oms_operator::dev::kubelet::{Kubelet, Machine};
use oms_operator::dev::tools::Tools;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::page::root;
use crate::programs::oms_dev;

const START_LIMIT: Duration = Duration::from_mins(4);
const PAGE_LIMIT: Duration = Duration::from_mins(6);

/// What pages take for granted in the current folder: that it is the repository.
const SHOWN: [&str; 4] = ["charts", "crds", "examples", "gitops"];

pub(crate) struct Playground {
    folder: TempDir,
    process: Child,
}

impl Playground {
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in SHOWN {
            symlink(root().join(name), folder.path().join(name)).unwrap();
        }
        let log = fs::File::create(folder.path().join("log")).unwrap();
        let process = Command::new(oms_dev())
            .args(["--end-with-parent", "playground"])
            .current_dir(folder.path())
            .env_remove("CLUSTER")
            .stdin(Stdio::null())
            .stderr(log.try_clone().unwrap())
            .stdout(log)
            .spawn()
            .unwrap();
        let mut playground = Self { folder, process };
        let deadline = Instant::now() + START_LIMIT;
        while !playground.path(".dev/env").exists() {
            let ended = playground.process.try_wait().unwrap();
            let log = fs::read_to_string(playground.path("log")).unwrap();
            assert!(ended.is_none() && Instant::now() < deadline, "{ended:?}: {log}");
            std::thread::sleep(Duration::from_millis(50));
        }
        playground
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn save(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// Runs a script of bash in the playground's environment, and returns what it printed and whether it succeeded.
    pub(crate) fn bash(&self, script: &str) -> (String, bool) {
        let log = fs::File::create(self.path("printed")).unwrap();
        let mut shell = Command::new("bash")
            .args(["-euo", "pipefail", "-c", &format!("source .dev/env\n{script}")])
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stderr(log.try_clone().unwrap())
            .stdout(log)
            .spawn()
            .unwrap();
        let deadline = Instant::now() + PAGE_LIMIT;
        let status = loop {
            match shell.try_wait().unwrap() {
                Some(status) => break Some(status),
                None if Instant::now() >= deadline => {
                    shell.kill().unwrap();
                    shell.wait().unwrap();
                    break None;
                }
                None => std::thread::sleep(Duration::from_millis(50)),
            }
        };
        let printed = String::from_utf8_lossy(&fs::read(self.path("printed")).unwrap()).into_owned();
        (printed, status.is_some_and(|status| status.success()))
    }

    /// Lets the pods of namespace `default` run: those of the image of kubectl, as real processes with the rights of
    /// their service accounts.
    pub(crate) async fn run_pods(&self) -> Kubelet {
        let (kubeconfig, _) = self.bash("printf %s \"$KUBECONFIG\"");
        let (kubectl, _) = self.bash("command -v kubectl");
        let kubectl = PathBuf::from(kubectl.trim());
        let kubeconfig = PathBuf::from(kubeconfig);
        let tools = Tools::in_folder(kubectl.parent().unwrap().to_owned());
        let client = ControlPlane::existing(&kubeconfig, tools).unwrap().client().await.unwrap();
        let machine = Machine {
            oms_dev: oms_dev().to_owned(),
            images: BTreeMap::from([("registry.k8s.io/kubectl".to_owned(), kubectl)]),
            kubeconfig,
            folder: self.path("pods"),
            environment: vec![("HOME".to_owned(), self.folder.path().display().to_string())],
        };
        Kubelet::start(client, "default", machine)
    }
}

impl Drop for Playground {
    fn drop(&mut self) {
        let _ = kill_process(Pid::from_child(&self.process), Signal::TERM);
        let _ = self.process.wait();
    }
}
