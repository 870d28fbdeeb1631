//! The Go modules of `hack/`: what they pin, and what a build of theirs costs.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::Tool;
use crate::dev::error::{Context, Error, Result};

/// The Go module of Argo CD.
pub(super) const ARGO_CD: &str = "github.com/argoproj/argo-cd/v3";

/// Its custom resource definitions, which are files of that module and of no program.
const ARGO_CD_FILES: [&str; 2] = ["application-crd.yaml", "appproject-crd.yaml"];

/// A Go module that pins tools. Argo CD has one of its own, as it needs another Kubernetes than ours, and so has what makes
/// images, as a small module is built quickly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Module {
    Kubernetes,
    ArgoCd,
    Image,
}

impl Module {
    pub(super) const ALL: [Self; 3] = [Self::Kubernetes, Self::ArgoCd, Self::Image];

    pub(super) fn go_mod(self) -> &'static str {
        match self {
            Self::Kubernetes => include_str!("../../../hack/go.mod"),
            Self::ArgoCd => include_str!("../../../hack/argocd/go.mod"),
            Self::Image => include_str!("../../../hack/image/go.mod"),
        }
    }

    pub(super) fn go_sum(self) -> &'static str {
        match self {
            Self::Kubernetes => include_str!("../../../hack/go.sum"),
            Self::ArgoCd => include_str!("../../../hack/argocd/go.sum"),
            Self::Image => include_str!("../../../hack/image/go.sum"),
        }
    }

    /// What it builds.
    pub(super) fn tools(self) -> &'static [Tool] {
        match self {
            Self::Kubernetes => &Tool::ALL,
            Self::ArgoCd => &[Tool::ArgoCd],
            Self::Image => &[Tool::Crane],
        }
    }

    /// The version of a Go module that it pins.
    pub(super) fn pinned(self, module: &str) -> &'static str {
        self.go_mod()
            .lines()
            .map(|line| line.trim().trim_start_matches("require "))
            .find_map(|line| line.strip_prefix(module)?.strip_prefix(' ')?.split(' ').next())
            .unwrap_or("v0.0.0")
    }

    /// What the names of its folders in the cache begin with.
    pub(super) fn folder_name(self) -> String {
        match self {
            Self::Kubernetes => Tool::KubeApiserver.version().to_owned(),
            Self::ArgoCd => format!("argocd-{}", Tool::ArgoCd.version()),
            Self::Image => format!("crane-{}", Tool::Crane.version()),
        }
    }

    /// What a build costs, for whoever waits for it.
    pub(super) fn cost(self) -> &'static str {
        match self {
            Self::Kubernetes => "about 5 minutes and 4 GB of Go caches for all",
            Self::ArgoCd => "about 5 minutes and 2 GB of Go caches",
            Self::Image => "less than a minute",
        }
    }

    /// Copies what belongs to its tools and is not in them.
    pub(super) fn copy_files(self, build: &Path, folder: &Path) -> Result<()> {
        if self != Self::ArgoCd {
            return Ok(());
        }
        let output = Command::new("go")
            .args(["list", "-mod=readonly", "-m", "-f", "{{.Dir}}", ARGO_CD])
            .current_dir(build)
            .env("GOWORK", "off")
            .env_remove("GOFLAGS")
            .stdin(Stdio::null())
            .output()
            .context("Could not run go")?;
        if !output.status.success() {
            let why = String::from_utf8_lossy(&output.stderr);
            return Err(Error::new(format!("Could not find the files of {ARGO_CD}: {}", why.trim())));
        }
        let source = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()).join("manifests/crds");
        for name in ARGO_CD_FILES {
            // Read and written, as those of Go's module cache are read-only.
            let text = fs::read(source.join(name)).context(format_args!("Could not read {name}"))?;
            fs::write(folder.join(name), text).context(format_args!("Could not write {name}"))?;
        }
        Ok(())
    }
}

impl fmt::Display for Module {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Kubernetes => "Kubernetes",
            Self::ArgoCd => "Argo CD",
            Self::Image => "images",
        })
    }
}
