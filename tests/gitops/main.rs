//! What users of GitOps tools install from `gitops/`: it is what its sources say, and it means what the table of statuses
//! says.
//!
//! `UPDATE_DOCS=1 cargo test --all-features --test gitops` writes the generated part anew (`make docs`).
#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod argocd;
mod flux;
mod kustomize;
mod statuses;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use oms_operator::dev::tools::{Tool, Tools};

/// A folder or file of `gitops/`.
fn gitops(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("gitops").join(name)
}

fn read(name: &str) -> String {
    std::fs::read_to_string(gitops(name)).unwrap_or_else(|error| panic!("gitops/{name}: {error}"))
}

fn kubectl() -> Command {
    static TOOLS: LazyLock<Tools> =
        LazyLock::new(|| Tools::resolve(Path::new(env!("CARGO_BIN_EXE_oms-dev")), &[Tool::Kubectl]).unwrap());
    Command::new(TOOLS.path(Tool::Kubectl))
}

/// What `kubectl kustomize` makes of a folder.
fn render(folder: &Path) -> String {
    let output = kubectl().arg("kustomize").arg(folder).output().unwrap();
    assert!(output.status.success(), "{}: {}", folder.display(), String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Renders resources with a component of `gitops/`, as a repository of a user does.
fn render_with(component: &str, resources: &str) -> Vec<serde_json::Value> {
    let folder = tempfile::tempdir().unwrap();
    let there = folder.path().join(component);
    std::fs::create_dir(&there).unwrap();
    for entry in std::fs::read_dir(gitops(component)).unwrap().map(Result::unwrap) {
        if entry.path().is_file() {
            std::fs::copy(entry.path(), there.join(entry.file_name())).unwrap();
        }
    }
    std::fs::write(folder.path().join("resources.yaml"), resources).unwrap();
    let kustomization = format!("resources: [resources.yaml]\ncomponents: [{component}]\n");
    std::fs::write(folder.path().join("kustomization.yaml"), kustomization).unwrap();
    documents(&render(folder.path()))
}

/// The documents of a YAML stream.
fn documents(text: &str) -> Vec<serde_json::Value> {
    use serde::Deserialize as _;
    serde_yaml::Deserializer::from_str(text)
        .map(|document| serde_json::Value::deserialize(document).unwrap())
        .collect()
}
