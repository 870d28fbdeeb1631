//! The real Kubernetes programs: found on this machine, or built once with Go and cached.
//!
//! The Go modules of `hack/` pin what is built. The binaries live in
//! `${XDG_CACHE_HOME:-~/.cache}/oms-operator/tools/<version>-<key>/`, where the key is a hash of
//! everything that decides their contents, so a new pin builds anew and an old checkout keeps its own.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use super::error::{Context, Error, Result};
use super::process;

mod module;

use module::Module;

/// How often a build that takes minutes says that it is alive.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(10);

/// A program of the real control plane, or a user's tool for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tool {
    /// The Kubernetes API server.
    KubeApiserver,
    /// Its store.
    Etcd,
    /// Namespaces, garbage collection and service accounts.
    KubeControllerManager,
    /// The command line.
    Kubectl,
    /// Chart installation.
    Helm,
    /// Every program of Argo CD in one, which acts by the name in `ARGOCD_BINARY_NAME`.
    ArgoCd,
    /// What puts container images together and pushes them.
    Crane,
}

impl Tool {
    /// All that the tests of `make test`, the demo and the playground need.
    pub const ALL: [Self; 5] =
        [Self::KubeApiserver, Self::Etcd, Self::KubeControllerManager, Self::Kubectl, Self::Helm];
    /// What a control plane with kubectl needs.
    pub const CONTROL_PLANE: [Self; 4] =
        [Self::KubeApiserver, Self::Etcd, Self::KubeControllerManager, Self::Kubectl];

    /// Name of the binary.
    pub fn name(self) -> &'static str {
        match self {
            Self::KubeApiserver => "kube-apiserver",
            Self::Etcd => "etcd",
            Self::KubeControllerManager => "kube-controller-manager",
            Self::Kubectl => "kubectl",
            Self::Helm => "helm",
            Self::ArgoCd => "argocd",
            Self::Crane => "crane",
        }
    }

    fn module(self) -> Module {
        match self {
            Self::ArgoCd => Module::ArgoCd,
            Self::Crane => Module::Image,
            _ => Module::Kubernetes,
        }
    }

    fn package(self) -> &'static str {
        match self {
            Self::KubeApiserver => "k8s.io/kubernetes/cmd/kube-apiserver",
            Self::Etcd => "go.etcd.io/etcd/server/v3",
            Self::KubeControllerManager => "k8s.io/kubernetes/cmd/kube-controller-manager",
            Self::Kubectl => "k8s.io/kubernetes/cmd/kubectl",
            Self::Helm => "helm.sh/helm/v4/cmd/helm",
            Self::ArgoCd => "github.com/argoproj/argo-cd/v3/cmd",
            Self::Crane => "github.com/google/go-containerregistry/cmd/crane",
        }
    }

    /// The version that its Go module pins, such as `v1.36.3`.
    pub fn version(self) -> &'static str {
        self.module().pinned(match self {
            Self::KubeApiserver | Self::KubeControllerManager | Self::Kubectl => "k8s.io/kubernetes",
            Self::Etcd => "go.etcd.io/etcd/server/v3",
            Self::Helm => "helm.sh/helm/v4",
            Self::ArgoCd => module::ARGO_CD,
            Self::Crane => "github.com/google/go-containerregistry",
        })
    }

    fn version_arguments(self) -> &'static [&'static str] {
        match self {
            Self::KubeApiserver | Self::KubeControllerManager | Self::Etcd => &["--version"],
            Self::Kubectl => &["version", "--client"],
            Self::Helm => &["version", "--short"],
            Self::ArgoCd => &["version", "--client", "--short"],
            Self::Crane => &["version"],
        }
    }

    /// Without the version flags the API server would call itself v0.0.0-master.
    fn linker_flags(self) -> String {
        let version = self.version();
        let (major, minor) = major_minor(version).unwrap_or_default();
        match self {
            Self::KubeApiserver | Self::KubeControllerManager | Self::Kubectl => {
                let package = "k8s.io/component-base/version";
                format!(
                    "-s -w -X {package}.gitVersion={version} -X {package}.gitMajor={major} \
                     -X {package}.gitMinor={minor}"
                )
            }
            Self::Etcd | Self::Crane => "-s -w".to_owned(),
            Self::Helm => format!("-s -w -X helm.sh/helm/v4/internal/version.version={version}"),
            Self::ArgoCd => {
                format!("-s -w -X {}/common.version={}", module::ARGO_CD, version.trim_start_matches('v'))
            }
        }
    }

    /// Whether a program found on this machine may stand in for the pinned one: the same minor
    /// version, or for helm the same major version.
    fn accepts(self, reported: &str) -> bool {
        let (Some(found), Some(wanted)) = (major_minor(reported), major_minor(self.version())) else {
            return false;
        };
        if self == Self::Helm { found.0 == wanted.0 } else { found == wanted }
    }
}

/// The first `1.36`-like pair in a program's version output.
fn major_minor(text: &str) -> Option<(u32, u32)> {
    text.split(|c: char| !(c.is_ascii_digit() || c == '.')).find_map(|word| {
        let mut parts = word.split('.');
        Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
    })
}

/// The programs, in one folder that can be put on `PATH`.
#[derive(Clone, Debug)]
pub struct Tools {
    folder: PathBuf,
}

impl Tools {
    /// Finds or builds `wanted`, telling on standard error when it has to build.
    ///
    /// The order is `KUBEBUILDER_ASSETS`, `PATH`, the cache, a build.
    pub fn resolve(oms_dev: &Path, wanted: &[Tool]) -> Result<Self> {
        let root = cache_root()?;
        let mut found: Vec<(Tool, PathBuf)> = Vec::new();
        for &tool in wanted {
            if let Some(path) = find_on_machine(oms_dev, tool) {
                found.push((tool, path));
            }
        }
        let on_machine = found.len();
        let mut folders = Vec::new();
        for module in Module::ALL {
            let missing: Vec<Tool> = wanted
                .iter()
                .copied()
                .filter(|tool| tool.module() == module && !found.iter().any(|(there, _)| there == tool))
                .collect();
            if missing.is_empty() {
                continue;
            }
            let cache = Cache::of(module, &root);
            cache.build_missing(oms_dev, &missing)?;
            found.extend(missing.into_iter().map(|tool| (tool, cache.folder.join(tool.name()))));
            folders.push(cache.folder);
        }
        match folders.pop() {
            Some(folder) if on_machine == 0 && folders.is_empty() => Ok(Self { folder }),
            _ => Ok(Self { folder: link(&root, &found)? }),
        }
    }

    /// The tools of a folder that [`Tools::resolve`] returned earlier.
    pub fn in_folder(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// The folder that holds them.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Path of one of them.
    pub fn path(&self, tool: Tool) -> PathBuf {
        self.folder.join(tool.name())
    }

    /// Path of a file that lies beside a tool which we built: the definitions of Argo CD.
    pub fn beside(&self, tool: Tool, name: &str) -> Result<PathBuf> {
        let real = fs::canonicalize(self.path(tool))
            .context(format_args!("Could not find {}", self.path(tool).display()))?;
        Ok(real.with_file_name(name))
    }
}

fn find_on_machine(oms_dev: &Path, tool: Tool) -> Option<PathBuf> {
    // Whoever has the command line of Argo CD on the machine seldom has what lies beside the tool that we build. Another
    // `crane` may write the same image in other bytes.
    if matches!(tool, Tool::ArgoCd | Tool::Crane) {
        return None;
    }
    let assets = std::env::var_os("KUBEBUILDER_ASSETS").filter(|value| !value.is_empty());
    let search = std::env::var_os("PATH").unwrap_or_default();
    assets
        .into_iter()
        .map(PathBuf::from)
        .chain(std::env::split_paths(&search))
        .map(|folder| folder.join(tool.name()))
        .filter(|path| is_executable(path))
        .find(|path| {
            let mut command = Command::new(path);
            command.args(tool.version_arguments());
            let streams = [Stdio::null(), Stdio::piped(), Stdio::null()];
            let output =
                process::spawn_bound(oms_dev, &command, streams).map(std::process::Child::wait_with_output);
            output.is_ok_and(|output| {
                output.is_ok_and(|output| {
                    output.status.success() && tool.accepts(&String::from_utf8_lossy(&output.stdout))
                })
            })
        })
}

fn is_executable(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|entry| entry.is_file() && entry.permissions().mode() & 0o111 != 0)
}

/// The folder that all tools are cached in.
fn cache_root() -> Result<PathBuf> {
    let base = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")))
        .ok_or_else(|| {
            Error::new("Neither `HOME` nor `XDG_CACHE_HOME` is set, so there is no cache folder")
        })?;
    let root = base.join("oms-operator").join("tools");
    fs::create_dir_all(&root).context(format_args!("Could not create {}", root.display()))?;
    Ok(root)
}

/// The cached tools of one Go module.
struct Cache {
    module: Module,
    folder: PathBuf,
}

impl Cache {
    fn of(module: Module, root: &Path) -> Self {
        let mut hash = Sha256::new();
        for part in [module.go_mod(), module.go_sum(), std::env::consts::OS, std::env::consts::ARCH] {
            hash.update(part);
        }
        for tool in module.tools() {
            hash.update(tool.linker_flags());
        }
        let key = short_hex(&hash.finalize());
        Self { module, folder: root.join(format!("{}-{key}", module.folder_name())) }
    }

    fn lacks(&self, tools: &[Tool]) -> Vec<Tool> {
        tools.iter().copied().filter(|tool| !is_executable(&self.folder.join(tool.name()))).collect()
    }

    fn build_missing(&self, oms_dev: &Path, wanted: &[Tool]) -> Result<()> {
        // Each binary is renamed into place when whole, so looking needs no lock.
        if self.lacks(wanted).is_empty() {
            return Ok(());
        }
        let lock_path = PathBuf::from(format!("{}.lock", self.folder.display()));
        let lock =
            File::create(&lock_path).context(format_args!("Could not create {}", lock_path.display()))?;
        if lock.try_lock().is_err() {
            eprintln!("Another process builds the tools of {}; waiting for it", self.module);
            lock.lock().context(format_args!("Could not lock {}", lock_path.display()))?;
        }
        let missing = self.lacks(wanted);
        if missing.is_empty() {
            return Ok(());
        }
        find_go()?;
        fs::create_dir_all(&self.folder)
            .context(format_args!("Could not create {}", self.folder.display()))?;
        let build = self.folder.join(".build");
        // What a killed build left; the lock says that nobody uses it.
        let _ = fs::remove_dir_all(&build);
        fs::create_dir(&build).context(format_args!("Could not create {}", build.display()))?;
        let outcome = self.build(oms_dev, &build, &missing);
        let _ = fs::remove_dir_all(&build);
        outcome
    }

    fn build(&self, oms_dev: &Path, build: &Path, missing: &[Tool]) -> Result<()> {
        for (name, text) in [("go.mod", self.module.go_mod()), ("go.sum", self.module.go_sum())] {
            fs::write(build.join(name), text).context("Could not write the build module")?;
        }
        let names: Vec<_> = missing.iter().map(|tool| tool.name()).collect();
        eprintln!(
            "Building {} with go into {} (once per machine; {})",
            names.join(", "),
            self.folder.display(),
            self.module.cost()
        );
        for &tool in missing {
            let whole = build.join(tool.name());
            build_one(oms_dev, build, tool, &whole)?;
            self.module.copy_files(build, &self.folder)?;
            let target = self.folder.join(tool.name());
            fs::rename(&whole, &target)
                .context(format_args!("Could not move {} into place", target.display()))?;
        }
        Ok(())
    }
}

/// A folder of symbolic links, for when the tools come from several places.
fn link(root: &Path, found: &[(Tool, PathBuf)]) -> Result<PathBuf> {
    let mut hash = Sha256::new();
    for (_, path) in found {
        hash.update(path.as_os_str().as_encoded_bytes());
        hash.update([0]);
    }
    let folder = root.join(format!("links-{}", short_hex(&hash.finalize())));
    fs::create_dir_all(&folder).context(format_args!("Could not create {}", folder.display()))?;
    for (tool, target) in found {
        let link = folder.join(tool.name());
        if fs::read_link(&link).is_ok_and(|there| there == *target) {
            continue;
        }
        // Renamed over, as another process may be making the same links.
        let fresh = folder.join(format!(".{}-{}", tool.name(), std::process::id()));
        let _ = fs::remove_file(&fresh);
        symlink(target, &fresh)
            .and_then(|()| fs::rename(&fresh, &link))
            .context(format_args!("Could not link {}", link.display()))?;
    }
    Ok(folder)
}

fn short_hex(digest: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(&digest[..6])
}

fn find_go() -> Result<()> {
    match Command::new("go").arg("version").stdin(Stdio::null()).stdout(Stdio::null()).status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(Error::new(format!("`go version` failed ({})", process::describe(status)))),
        Err(_) => Err(Error::new(
            "Missing tool `go`, which builds kube-apiserver, etcd and the like: install Go 1.26 or later from \
             https://go.dev/dl/ (or set KUBEBUILDER_ASSETS to a folder with them)",
        )),
    }
}

fn build_one(oms_dev: &Path, build: &Path, tool: Tool, whole: &Path) -> Result<()> {
    let log_path = build.join(format!("{}.log", tool.name()));
    let log = File::create(&log_path).context("Could not create the build log")?;
    let mut go = Command::new("go");
    go.args(["build", "-trimpath", "-mod=readonly", "-ldflags"])
        .arg(tool.linker_flags())
        .args([OsStr::new("-o"), whole.as_os_str()])
        .arg(tool.package())
        .current_dir(build)
        .env("CGO_ENABLED", "0")
        .env("GOWORK", "off")
        .env_remove("GOFLAGS");
    let started = Instant::now();
    let same = log.try_clone().context("Could not share the build log")?;
    let mut child = process::spawn_bound(oms_dev, &go, [Stdio::null(), log.into(), same.into()])?;
    let mut told = started;
    say(tool, "building");
    let status = loop {
        if let Some(status) = child.try_wait().context("Could not wait for go")? {
            break status;
        }
        if told.elapsed() >= PROGRESS_INTERVAL {
            told = Instant::now();
            say(tool, &format!("building, {} s", started.elapsed().as_secs()));
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    if !status.success() {
        return Err(Error::new(format!(
            "Could not build {} ({}):\n{}",
            tool.name(),
            process::describe(status),
            process::tail(&log_path, 20)
        )));
    }
    say(tool, &format!("built in {} s", started.elapsed().as_secs()));
    Ok(())
}

fn say(tool: Tool, what: &str) {
    let mut errors = std::io::stderr().lock();
    let _ = writeln!(errors, "  {} {}: {what}", tool.name(), tool.version());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pinned_versions_are_read_from_the_go_module() {
        assert_eq!(Tool::KubeApiserver.version(), "v1.36.3");
        assert_eq!(Tool::Etcd.version(), "v3.6.8");
        assert_eq!(Tool::Helm.version(), "v4.3.1");
        assert_eq!(Tool::ArgoCd.version(), "v3.1.16");
        assert_eq!(Tool::Crane.version(), "v0.22.1");
    }

    #[test]
    fn a_found_program_fits_when_its_minor_version_is_the_pinned_one() {
        assert!(Tool::KubeApiserver.accepts("Kubernetes v1.36.0\n"));
        assert!(!Tool::KubeApiserver.accepts("Kubernetes v1.35.4\n"));
        assert!(Tool::Kubectl.accepts("Client Version: v1.36.3\nKustomize Version: v5.8.1\n"));
        assert!(Tool::Etcd.accepts("etcd Version: 3.6.8\nGit SHA: Not provided\n"));
        assert!(!Tool::Etcd.accepts("etcd Version: 3.5.21\n"));
        assert!(Tool::Helm.accepts("v4.1+gabcdef"));
        assert!(!Tool::Helm.accepts("v3.18.2+gabcdef"));
        assert!(!Tool::Etcd.accepts("no version at all"));
    }
}
