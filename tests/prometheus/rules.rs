//! The rules as the chart renders them: promtool takes them, and each fires when it should and not before.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize as _;
use serde_json::Value;

use crate::promtool::promtool;
use crate::{alerts, chart};

/// The cases, one file for each group of rules.
fn files() -> Vec<PathBuf> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/prometheus/cases");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn promtool_takes_the_rules_and_every_alert_fires_in_its_case_and_not_before() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("rules.yaml"), chart::rules().to_string()).unwrap();
    promtool(folder.path(), &["check", "rules", "--lint-fatal", "rules.yaml"], "");
    let mut names = Vec::new();
    for file in files() {
        let name = file.file_name().unwrap().to_str().unwrap().to_owned();
        std::fs::copy(&file, folder.path().join(&name)).unwrap();
        names.push(name);
    }
    let arguments: Vec<&str> =
        ["test", "rules"].into_iter().chain(names.iter().map(String::as_str)).collect();
    promtool(folder.path(), &arguments, "");
}

#[test]
fn every_alert_has_a_case_in_which_it_fires_and_one_in_which_it_does_not() {
    let mut cases = BTreeMap::<String, [usize; 2]>::new();
    for file in files() {
        let text = std::fs::read_to_string(&file).unwrap();
        let content = Value::deserialize(serde_yaml::Deserializer::from_str(&text)).unwrap();
        for case in content["tests"].as_array().unwrap() {
            for look in case["alert_rule_test"].as_array().unwrap() {
                let fires = !look["exp_alerts"].as_array().unwrap().is_empty();
                let alert = look["alertname"].as_str().unwrap();
                cases.entry(alert.to_owned()).or_default()[usize::from(fires)] += 1;
            }
        }
    }
    let names: Vec<_> = alerts::all().into_iter().map(|alert| alert.name).collect();
    for name in &names {
        let [quiet, fires] = cases.remove(name).unwrap_or_default();
        assert!(
            quiet > 0 && fires > 0,
            "{name}: {fires} cases in which it fires, {quiet} in which it does not"
        );
    }
    assert!(cases.is_empty(), "cases of alerts that are none: {cases:?}");
    println!("{} alerts, each firing and not firing", names.len());
}
