//! A root file system out of an image, with a program running in it.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use oms_operator::dev::ControlPlane;
use oms_operator::dev::image::Architecture;
use oms_operator::dev::process::BoundProcess;
use serde_json::Value;

use crate::{eventually, image, oms_dev};

/// What the image says is its user.
const USER: u32 = 65532;

/// The unpacked image, and beside its files one folder `/state` for what a pod would mount.
pub(crate) struct Root {
    architecture: Architecture,
    folder: tempfile::TempDir,
}

impl Root {
    pub(crate) fn of(architecture: Architecture) -> Self {
        let folder = tempfile::tempdir().unwrap();
        // Others than root go in, too.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        for entry in image(architecture).root() {
            let path = folder.path().join(&entry.path);
            if entry.folder {
                fs::create_dir(&path).unwrap();
            } else {
                fs::write(&path, &entry.content).unwrap();
            }
            fs::set_permissions(&path, fs::Permissions::from_mode(entry.mode)).unwrap();
        }
        let root = Self { architecture, folder };
        fs::create_dir(root.path("state")).unwrap();
        if is_root() {
            chown(root.path("state"), Some(USER), Some(USER)).unwrap();
        }
        root
    }

    pub(crate) fn path(&self, inside: &str) -> PathBuf {
        self.folder.path().join(inside)
    }

    /// The image's program with arguments: on this machine's processor in the image's root and as its user, on another one
    /// emulated, where the root is this machine's.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = match self.architecture {
            Architecture::Amd64 if is_root() => {
                let mut command = Command::new("chroot");
                command.arg(format!("--userspec={USER}:{USER}")).arg(self.folder.path()).arg("/oms-operator");
                command
            }
            Architecture::Amd64 => {
                let mut command = Command::new("unshare");
                command.arg("--map-root-user").arg("--root").arg(self.folder.path()).arg("/oms-operator");
                command
            }
            Architecture::Arm64 => {
                let mut command = Command::new("qemu-aarch64");
                command.arg(self.path("oms-operator"));
                command
            }
        };
        // As little as a pod has.
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").args(arguments);
        command
    }

    /// What the program prints.
    pub(crate) fn output(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {} {errors}", self.architecture, output.status);
        String::from_utf8(output.stdout).unwrap()
    }

    /// Starts the operator for one namespace, and waits until it serves.
    pub(crate) async fn operator(&self, plane: &ControlPlane, namespace: &str, further: &[&str]) -> Operator {
        let inside = |name: &str| match self.architecture {
            Architecture::Amd64 => PathBuf::from("/state").join(name),
            Architecture::Arm64 => self.path("state").join(name),
        };
        let kubeconfig = self.path("state/kubeconfig");
        fs::copy(plane.kubeconfig(), &kubeconfig).unwrap();
        fs::set_permissions(&kubeconfig, fs::Permissions::from_mode(0o644)).unwrap();
        let mut arguments = vec!["run", "--metrics-listen", "127.0.0.1:0", "--namespace", namespace];
        arguments.extend(["--leader-namespace", namespace]);
        let ready = inside("ready");
        arguments.extend(["--ready-file", ready.to_str().unwrap()]);
        arguments.extend(further);
        let mut command = self.command(&arguments);
        command.env("KUBECONFIG", inside("kubeconfig"));
        let log = self.folder.path().join("log");
        let mut process = BoundProcess::spawn(oms_dev(), "oms-operator", &command, &log).unwrap();
        let file = self.path("state/ready");
        let address = eventually("the operator is ready", async || {
            process.check_running().unwrap_or_else(|error| panic!("{error}"));
            let text = fs::read(&file).map_err(|_| process.log_tail(5))?;
            let ready: Value = serde_json::from_slice(&text).unwrap();
            Ok(ready["metrics"].as_str().unwrap().to_owned())
        })
        .await;
        Operator { process, address }
    }
}

/// A running operator; dropping it ends it.
pub(crate) struct Operator {
    pub(crate) process: BoundProcess,
    /// Of its metrics and probes.
    pub(crate) address: String,
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// The user and the root of a process.
pub(crate) fn surroundings(process: u32) -> (String, PathBuf) {
    let folder = Path::new("/proc").join(process.to_string());
    let status = fs::read_to_string(folder.join("status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("Uid:")).unwrap();
    let user = line.split_whitespace().next().unwrap().to_owned();
    (user, fs::read_link(folder.join("root")).unwrap())
}
