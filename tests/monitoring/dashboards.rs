//! The chart's dashboards and their queries.

use std::path::Path;

use serde_json::Value;

/// Where they are.
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/charts/oms-operator/files/dashboards");

/// A dashboard as Grafana reads it.
pub(crate) struct Dashboard {
    pub(crate) content: Value,
}

/// One query of one panel.
pub(crate) struct Query {
    /// Dashboard, panel, and where the panel has several, which of them.
    pub(crate) name: String,
    /// As the dashboard has it, with Grafana's variables.
    pub(crate) written: String,
    /// How its series are called.
    pub(crate) legend: String,
    /// Whether one moment is asked for, and not a span of time.
    pub(crate) instant: bool,
}

/// Every dashboard, in the order of the files' names.
pub(crate) fn all() -> Vec<Dashboard> {
    let mut paths: Vec<_> = std::fs::read_dir(FOLDER).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| read(path)).collect()
}

fn read(path: &Path) -> Dashboard {
    let text = std::fs::read_to_string(path).unwrap();
    let content = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    Dashboard { content }
}

impl Dashboard {
    /// Its name for people.
    pub(crate) fn title(&self) -> &str {
        self.content["title"].as_str().unwrap()
    }

    /// Its panels, rows included.
    pub(crate) fn panels(&self) -> &[Value] {
        self.content["panels"].as_array().unwrap()
    }

    /// Its variables.
    pub(crate) fn variables(&self) -> &[Value] {
        self.content["templating"]["list"].as_array().unwrap()
    }

    /// The queries of its panels.
    pub(crate) fn queries(&self) -> Vec<Query> {
        let mut queries = Vec::new();
        for panel in self.panels() {
            let targets = panel["targets"].as_array().map(Vec::as_slice).unwrap_or_default();
            for target in targets {
                let mut name = format!("{} / {}", self.title(), panel["title"].as_str().unwrap());
                if targets.len() > 1 {
                    name = format!("{name} / {}", target["refId"].as_str().unwrap());
                }
                let text = |member: &str| target[member].as_str().unwrap_or_default().to_owned();
                let (written, legend) = (text("expr"), text("legendFormat"));
                queries.push(Query { name, written, legend, instant: target["instant"] == true });
            }
        }
        queries
    }
}
