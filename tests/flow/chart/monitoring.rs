//! Alerts and dashboards as the chart renders them.

use std::path::Path;

use serde::Deserialize as _;
use serde_json::{Value, json};

use super::release::OPERATOR;
use super::values::render;

/// Everything that is rendered, by kind.
fn rendered(values: &[&str], kind: &str) -> Vec<Value> {
    let values = [values, &["crds.install=false"]].concat();
    let text = render(&values).unwrap();
    serde_yaml::Deserializer::from_str(&text)
        .map(|document| Value::deserialize(document).unwrap())
        .filter(|object| object["kind"] == kind)
        .collect()
}

/// The files of a folder of the chart.
fn files(folder: &str) -> Vec<(String, String)> {
    let entries = std::fs::read_dir(Path::new(OPERATOR).join("files").join(folder)).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, std::fs::read_to_string(&path).unwrap())
        })
        .collect()
}

/// The rules of all groups.
fn rules(object: &Value) -> Vec<&Value> {
    let groups = object["spec"]["groups"].as_array().unwrap();
    groups.iter().flat_map(|group| group["rules"].as_array().unwrap()).collect()
}

fn rule<'o>(object: &'o Value, alert: &str) -> &'o Value {
    rules(object).into_iter().find(|rule| rule["alert"] == alert).unwrap_or_else(|| panic!("no {alert}"))
}

#[test]
fn every_alert_is_rendered_for_the_namespace_of_the_release() {
    assert_eq!(rendered(&[], "PrometheusRule"), Vec::<Value>::new());
    let objects = rendered(&["prometheusRule.enabled=true"], "PrometheusRule");
    assert_eq!(objects.len(), 1);
    let object = &objects[0];
    let written: usize = files("rules").iter().map(|(_, text)| text.matches("- alert: ").count()).sum();
    assert_eq!(rules(object).len(), written);
    for rule in rules(object) {
        let (name, expression) = (rule["alert"].as_str().unwrap(), rule["expr"].as_str().unwrap());
        assert!(expression.contains(r#"namespace="oms-system""#), "{name}: {expression}");
        let url = format!("https://github.com/oms-operator/oms-operator/blob/main/docs/runbooks/{name}.md");
        assert_eq!(rule["annotations"]["runbook_url"], url);
        assert!(!rule.to_string().contains("${"), "{name} has a word that nobody filled in: {rule}");
    }
}

#[test]
fn values_change_the_alerts_as_they_say() {
    let objects = rendered(
        &[
            "prometheusRule.enabled=true",
            "prometheusRule.labels.release=prometheus",
            "prometheusRule.alertLabels.team=storage",
            "prometheusRule.runbookBaseUrl=https://runbooks.example.com/oms/",
            "prometheusRule.disabled={OMSObjectsPaused,OMSTasksPending}",
            "prometheusRule.thresholds.credentialsExpireMinutes=120",
            "prometheusRule.thresholds.quotaWaitHours=48",
            "prometheusRule.thresholds.noProgressFor=3h",
            "prometheusRule.extraGroups[0].name=ours",
            "prometheusRule.extraGroups[0].rules[0].record=ours",
        ],
        "PrometheusRule",
    );
    let object = &objects[0];
    assert_eq!(object["metadata"]["labels"]["release"], "prometheus");
    let failed = rule(object, "OMSTasksFailed");
    assert_eq!(failed["labels"], json!({ "severity": "warning", "team": "storage" }));
    assert_eq!(failed["annotations"]["runbook_url"], "https://runbooks.example.com/oms/OMSTasksFailed.md");
    let expression = |alert: &str| rule(object, alert)["expr"].as_str().unwrap().to_owned();
    assert!(expression("OMSCredentialsExpiring").ends_with("< 60 * 120"));
    assert!(expression("OMSQuotaWaitLong").ends_with("> 3600 * 48"));
    assert_eq!(rule(object, "OMSTasksNotProgressing")["for"], "3h");
    let names: Vec<_> = rules(object).iter().map(|rule| rule["alert"].as_str().unwrap_or("none")).collect();
    assert!(!names.contains(&"OMSObjectsPaused") && !names.contains(&"OMSTasksPending"), "{names:?}");
    assert_eq!(object["spec"]["groups"].as_array().unwrap().last().unwrap()["name"], "ours");
}

#[test]
fn the_dashboards_come_as_they_are_where_grafana_looks_for_them() {
    let config_map = |values: &[&str]| {
        let maps = rendered(values, "ConfigMap");
        maps.into_iter().find(|map| map["metadata"]["name"] == "oms-oms-operator-dashboards")
    };
    assert_eq!(config_map(&[]), None);
    let map = config_map(&["dashboard.enabled=true"]).unwrap();
    assert_eq!(map["metadata"]["namespace"], "oms-system");
    assert_eq!(map["metadata"]["labels"]["grafana_dashboard"], "1");
    let written = files("dashboards");
    assert_eq!(map["data"].as_object().unwrap().len(), written.len());
    for (name, text) in written {
        assert_eq!(map["data"][&name].as_str().unwrap().trim(), text.trim(), "{name}");
    }
    let map = config_map(&[
        "dashboard.enabled=true",
        "dashboard.namespace=monitoring",
        "dashboard.labels.instance=ours",
        "dashboard.annotations.grafana_folder=Storage",
    ])
    .unwrap();
    assert_eq!(map["metadata"]["namespace"], "monitoring");
    assert_eq!(map["metadata"]["labels"]["instance"], "ours");
    assert_eq!(map["metadata"]["annotations"]["grafana_folder"], "Storage");
}

#[test]
fn a_wrong_value_of_alerts_or_dashboards_is_refused_by_its_name() {
    for (value, word) in [
        ("prometheusRule.thresholds.quotaWaitHours=0", "'/prometheusRule/thresholds/quotaWaitHours'"),
        ("prometheusRule.thresholds.noProgressFor=1h30m", "'/prometheusRule/thresholds/noProgressFor'"),
        ("prometheusRule.thresholds.other=1", "other"),
        ("prometheusRule.runbookBaseUrl=runbooks", "'/prometheusRule/runbookBaseUrl'"),
        ("prometheusRule.extraGroups[0].name=ours", "'/prometheusRule/extraGroups/0'"),
        ("prometheusRule.disabled={OMSTaskFailed}", "`prometheusRule.disabled` names \"OMSTaskFailed\""),
        ("dashboard.namespace=A_b", "'/dashboard/namespace'"),
        ("dashboard.labels.on=true", "'/dashboard/labels/on'"),
    ] {
        let refused = render(&["prometheusRule.enabled=true", value]).expect_err(value);
        assert!(refused.contains(word), "{value}: {refused}");
    }
}
