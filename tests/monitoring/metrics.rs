//! Alerts and dashboards speak of metrics that the operator has, with labels and values that these have.

use std::collections::{BTreeMap, BTreeSet};

use oms_operator::telemetry::metrics::catalogue::{Description, Metric, Type};

use crate::expressions::{Selector, groupings, selectors};
use crate::{alerts, dashboards};

/// What Prometheus adds to what it scrapes, as the monitors of the chart have it.
const OF_THE_TARGET: [&str; 4] = ["namespace", "pod", "instance", "job"];
/// Prometheus's own series of the alerts.
const ALERTS: &str = "ALERTS";
/// Metrics that neither an alert nor a dashboard needs, each with the reason.
const NOT_SHOWN: [(&str, &str); 2] = [
    ("process_threads", "their number is that of the cores"),
    ("process_virtual_memory_bytes", "it says nothing about what is used"),
];

/// Every name under which there are series, with the metric that it is of.
fn series() -> BTreeMap<String, &'static Description> {
    let mut series = BTreeMap::new();
    for metric in Metric::ALL {
        let description = metric.description();
        if description.kind == Type::Histogram {
            for suffix in ["bucket", "count", "sum"] {
                series.insert(format!("{}_{suffix}", description.name), description);
            }
        } else {
            series.insert(description.series(), description);
        }
    }
    series
}

/// What is wrong with a selector, if anything.
fn problem(selector: &Selector, known: &BTreeMap<String, &Description>) -> Option<String> {
    let Some(description) = known.get(&selector.metric) else {
        return Some(format!("the operator has no {}", selector.metric));
    };
    for (name, values) in &selector.matchers {
        let label = description.labels.iter().find(|label| label.name == name);
        let Some(label) = label else {
            if OF_THE_TARGET.contains(&name.as_str()) {
                continue;
            }
            return Some(format!("{} has no label {name}", selector.metric));
        };
        let closed = !label.values.is_empty();
        let is_pattern = |value: &str| value.contains(['.', '$']);
        let strange =
            values.iter().find(|value| !is_pattern(value) && !label.values.contains(&value.as_str()));
        if let Some(value) = strange.filter(|_| closed) {
            return Some(format!("{name} of {} is never {value}", selector.metric));
        }
    }
    None
}

/// Everything that is asked of Prometheus, with where it stands.
fn expressions() -> Vec<(String, String)> {
    let queries = dashboards::all().into_iter().flat_map(|dashboard| dashboard.queries());
    let queries = queries.map(|query| (query.name, query.written));
    // The chart's own way to write a variable has a brace, as the end of a selector.
    let expression = |alert: &alerts::Alert| alert.expression().replace("${namespace}", "$namespace");
    let alerts = alerts::all().into_iter().map(|alert| (alert.name.clone(), expression(&alert)));
    queries.chain(alerts).collect()
}

#[test]
fn alerts_and_dashboards_name_only_metrics_labels_and_values_that_the_operator_has() {
    let known = series();
    let all = expressions();
    assert!(all.len() > 80, "they were read: {}", all.len());
    for (place, expression) in all {
        let selectors = selectors(&expression);
        assert!(
            !selectors.is_empty() || expression.contains(ALERTS),
            "{place} asks for nothing: {expression}"
        );
        for selector in &selectors {
            let problem = problem(selector, &known);
            assert_eq!(problem, None, "{place}: {expression}");
        }
        let mut labels: BTreeSet<&str> = selectors
            .iter()
            .flat_map(|selector| known[&selector.metric].labels)
            .map(|label| label.name)
            .collect();
        labels.extend(OF_THE_TARGET);
        labels.insert("le");
        for label in groupings(&expression) {
            assert!(
                labels.contains(label.as_str()),
                "{place} groups by {label}, which nothing has: {expression}"
            );
        }
    }
}

#[test]
fn every_metric_is_looked_at_by_an_alert_or_a_dashboard() {
    let known = series();
    let mut shown: BTreeSet<&str> = BTreeSet::new();
    for (_, expression) in expressions() {
        for selector in selectors(&expression) {
            shown.extend(known.get(&selector.metric).map(|description| description.name));
        }
    }
    for metric in Metric::ALL {
        let name = metric.description().name;
        let excuse = NOT_SHOWN.iter().find(|(left_out, _)| *left_out == name);
        assert_eq!(shown.contains(name), excuse.is_none(), "{name}: {excuse:?}");
    }
}
