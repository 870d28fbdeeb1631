//! The chart's alerts.

use serde::Deserialize as _;
use serde_json::Value;

/// Where the rules are, one group in a file.
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/charts/oms-operator/files/rules");

/// An alert as the chart has it, before its words are filled in.
pub(crate) struct Alert {
    pub(crate) name: String,
    pub(crate) content: Value,
}

impl Alert {
    /// Its expression.
    pub(crate) fn expression(&self) -> &str {
        self.content["expr"].as_str().unwrap()
    }
}

/// Every alert.
pub(crate) fn all() -> Vec<Alert> {
    let mut alerts = Vec::new();
    for entry in std::fs::read_dir(FOLDER).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        let file = Value::deserialize(serde_yaml::Deserializer::from_str(&text)).unwrap();
        for group in file["groups"].as_array().unwrap() {
            for rule in group["rules"].as_array().unwrap() {
                let name = rule["alert"].as_str().unwrap().to_owned();
                alerts.push(Alert { name, content: rule.clone() });
            }
        }
    }
    alerts
}
