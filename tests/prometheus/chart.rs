//! What the chart renders, by the real helm.

use std::process::Command;

use oms_operator::dev::tools::{Tool, Tools};
use serde::Deserialize as _;
use serde_json::{Value, json};

use crate::oms_dev;

/// The release's namespace, which is in every alert.
pub(crate) const NAMESPACE: &str = "oms-operator-system";

/// The groups of rules as a rule file of Prometheus.
pub(crate) fn rules() -> Value {
    let tools = std::thread::spawn(|| Tools::resolve(oms_dev(), &[Tool::Helm])).join().unwrap().unwrap();
    let output = Command::new(tools.path(Tool::Helm))
        .args(["template", "oms", concat!(env!("CARGO_MANIFEST_DIR"), "/charts/oms-operator")])
        .args(["--namespace", NAMESPACE, "--set", "prometheusRule.enabled=true"])
        .args(["--show-only", "templates/prometheusrule.yaml"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let rendered = Value::deserialize(serde_yaml::Deserializer::from_str(&text)).unwrap();
    assert_eq!(rendered["kind"], "PrometheusRule");
    json!({ "groups": rendered["spec"]["groups"] })
}
