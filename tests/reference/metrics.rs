//! The page of metrics, from their catalogue.

use std::fmt::Write as _;

use oms_operator::telemetry::metrics::catalogue::{Description, Metric, Shown};

use crate::{NOTE, row};

const SECTIONS: &[(Shown, &str, &str)] = &[
    (
        Shown::Always,
        "What happened",
        "On every replica; a counter begins at 0 with the process. The calls of a connection go with it.",
    ),
    (
        Shown::WhileLeading,
        "How things stand",
        "Looked up when somebody asks, and by the replica that leads only: one that waits for the lease, or fills its caches, has \
         none of these. What belongs to a connection goes with it.",
    ),
    (
        Shown::PerObject,
        "Each object",
        "With `--per-object-metrics` (`metrics.perObject` of the chart) only, and by the replica that leads. They go with their \
         object. Where a scraper adds a label `namespace` of its own, set `honorLabels`.",
    ),
    (Shown::OnLinux, "The process", "On every replica, from `/proc`."),
];

pub(crate) fn page() -> String {
    let mut page = format!(
        "# Metrics\n\n{NOTE}\n\nWhat `/metrics` has: OpenMetrics for a scraper that asks for it, else the older text format, in \
         which every name is as here. Names follow Prometheus's conventions: base units, `_total` for counters. What to look at \
         is in [the operator's guide](../operations.md#metrics).\n\nThe label `connection` is `namespace/name` of a Connection, \
         the name of a ClusterConnection, or `-` for calls about the operator's own credentials. `operation` is the name in the \
         API reference of OMS, or what is asked of IAM, STS or the metadata service.\n"
    );
    for (shown, title, what) in SECTIONS {
        write!(page, "\n## {title}\n\n{what}\n\n").unwrap();
        row(&mut page, &["metric", "type", "unit", "labels", "what it tells"]);
        row(&mut page, &["---"; 5]);
        let all = Metric::ALL.iter().map(|metric| metric.description());
        for described in all.filter(|described| described.shown == *shown) {
            let name = format!("`{}`", described.series());
            let labels: Vec<_> = described.labels.iter().map(|label| format!("`{}`", label.name)).collect();
            let labels = labels.join(", ");
            row(&mut page, &[&name, described.kind.as_str(), unit(described), &labels, described.help]);
        }
    }
    page.push_str("\n## Values of labels\n\n");
    row(&mut page, &["label", "of", "values"]);
    row(&mut page, &["---"; 3]);
    for (label, values, metrics) in label_values() {
        let metrics: Vec<_> = metrics.iter().map(|name| format!("`{name}`")).collect();
        let values: Vec<_> = values.iter().map(|value| format!("`{value}`")).collect();
        row(&mut page, &[&format!("`{label}`"), &metrics.join(", "), &values.join(", ")]);
    }
    page
}

fn unit(described: &Description) -> &'static str {
    match described.unit() {
        Some("seconds") if described.name.ends_with("_timestamp_seconds") => "seconds since 1970",
        Some("seconds") if described.name == "process_start_time_seconds" => "seconds since 1970",
        Some(unit) => unit,
        None if described.name.ends_with("_bytes_per_second") => "bytes per second",
        None if described.name.ends_with("_requests_per_second") => "requests per second",
        None => "",
    }
}

/// A label, its values, and the metrics that have it.
type Values = (&'static str, &'static [&'static str], Vec<String>);

/// The closed sets of values, each with the metrics that have it.
fn label_values() -> Vec<Values> {
    let mut sets: Vec<Values> = Vec::new();
    for described in Metric::ALL.iter().map(|metric| metric.description()) {
        for label in described.labels.iter().filter(|label| !label.values.is_empty()) {
            let known =
                sets.iter_mut().find(|(name, values, _)| (*name, *values) == (label.name, label.values));
            match known {
                Some((.., metrics)) => metrics.push(described.series()),
                None => sets.push((label.name, label.values, vec![described.series()])),
            }
        }
    }
    sets
}
