//! `argocd admin settings resource-overrides`: Argo CD's own engine on the ConfigMap that users install.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use oms_operator::dev::tools::{Tool, Tools};
use serde::Deserialize as _;
use serde_json::Value;

use crate::oms_dev;

/// Argo CD.
pub(crate) fn tools() -> &'static Tools {
    static TOOLS: LazyLock<Tools> = LazyLock::new(|| Tools::resolve(oms_dev(), &[Tool::ArgoCd]).unwrap());
    &TOOLS
}

/// A command of one of the programs that Argo CD's binary is.
pub(crate) fn argocd(program: &str) -> Command {
    let mut command = Command::new(tools().path(Tool::ArgoCd));
    command.env("ARGOCD_BINARY_NAME", program);
    command
}

/// The ConfigMap that users install.
pub(crate) fn config_map() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("gitops/argocd/argocd-cm.yaml")
}

fn ask(command: &str, object: &Value, arguments: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("object.yaml");
    std::fs::write(&file, serde_json::to_string(object).unwrap()).unwrap();
    let output = argocd("argocd")
        .args(["admin", "settings", "resource-overrides", command])
        .arg(&file)
        .args(arguments)
        .arg("--argocd-cm-path")
        .arg(config_map())
        // It shows what an action changes with a program of the user's choice: here, one that shows both whole.
        .env("KUBECTL_EXTERNAL_DIFF", "cat")
        .env("HOME", folder.path())
        .env("TMPDIR", folder.path())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{command}: {text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

/// Status and message.
pub(crate) fn health(object: &Value) -> (String, String) {
    let text = ask("health", object, &[]);
    let (status, message) =
        text.trim_end().split_once('\n').unwrap_or_else(|| panic!("{text} for {object:#}"));
    let after = |line: &str, name: &str| {
        line.strip_prefix(name).unwrap_or_else(|| panic!("{text}")).trim().to_owned()
    };
    (after(status, "STATUS:"), after(message, "MESSAGE:"))
}

/// The actions that are offered, and whether each can be taken now.
pub(crate) fn offered(object: &Value) -> Vec<(String, bool)> {
    ask("list-actions", object, &[])
        .lines()
        .skip(1)
        .map(|line| {
            let mut words = line.split_whitespace();
            (words.next().unwrap().to_owned(), words.next() == Some("false"))
        })
        .collect()
}

/// The object after an action.
pub(crate) fn act(object: &Value, action: &str) -> Value {
    let text = ask("run-action", object, &[action]);
    let (_, after) = text.rsplit_once("\napiVersion: ").unwrap_or_else(|| panic!("{text}"));
    Value::deserialize(serde_yaml::Deserializer::from_str(&format!("apiVersion: {after}"))).unwrap()
}
