//! How metrics are named: the conventions of Prometheus, and those of this house.

use oms_operator::telemetry::metrics::catalogue::{Description, Shown};

/// Units that are no base units.
const NOT_BASE: &[&str] = &[
    "ms",
    "us",
    "ns",
    "milliseconds",
    "microseconds",
    "nanoseconds",
    "minutes",
    "hours",
    "days",
    "weeks",
    "second",
    "sec",
    "secs",
    "kb",
    "mb",
    "gb",
    "tb",
    "kib",
    "mib",
    "gib",
    "kilobytes",
    "megabytes",
    "gigabytes",
    "bits",
    "byte",
    "percent",
    "pct",
];
/// Words of names that say that a time is told.
const TIMES: &[&str] =
    &["duration", "wait", "age", "remaining", "timestamp", "expiry", "latency", "uptime", "cpu"];
/// Names that Prometheus, or those who configure it, give to labels of their own.
const RESERVED: &[&str] = &[
    "le",
    "quantile",
    "job",
    "instance",
    "endpoint",
    "service",
    "pod",
    "container",
    "node",
    "cluster",
    "prometheus",
];
/// Labels with open values that grow with the installation and not with the objects in it.
const FEW: &[&str] = &["connection", "operation", "version"];

/// Everything that is wrong with a description.
pub(crate) fn complaints(described: &Description) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut complain = |what: &str| complaints.push(format!("{}: {what}", described.name));
    let name = described.name;
    let words: Vec<&str> = name.split('_').collect();
    let unit = described.unit();
    if !name.starts_with("oms_operator_") && !name.starts_with("process_") {
        complain("the prefix is missing");
    }
    if !words
        .iter()
        .all(|word| !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit()))
    {
        complain("not in snake_case");
    }
    if words.last().is_some_and(|last| ["total", "count", "sum", "bucket", "info", "created"].contains(last))
    {
        complain("the suffix is the exposition's");
    }
    if words.iter().any(|word| {
        NOT_BASE.contains(word)
            && !name.ends_with("_bytes_per_second")
            && !name.ends_with("_requests_per_second")
    }) {
        complain("not a base unit");
    }
    if words.iter().any(|word| TIMES.contains(word)) && unit != Some("seconds") {
        complain("a time in no seconds");
    }
    if words.contains(&"bytes") && unit != Some("bytes") && !name.ends_with("_bytes_per_second") {
        complain("the unit is not last");
    }
    if words.iter().any(|word| ["counter", "gauge", "histogram", "metric"].contains(word)) {
        complain("the type is in the name");
    }
    let help = described.help;
    if !help.starts_with(|c: char| c.is_ascii_uppercase() || c.is_ascii_digit()) {
        complain("the help does not begin with a capital letter");
    }
    if help.ends_with('.') || help.contains(['\n', '\\', '"']) || help.trim() != help {
        complain("the help is not one sentence without a period");
    }
    for label in described.labels {
        if RESERVED.contains(&label.name)
            || label.name.starts_with("__")
            || label.name.starts_with("exported_")
        {
            complain("a label with a reserved name");
        }
        if !label.name.chars().all(|c| c.is_ascii_lowercase() || c == '_') {
            complain("a label that is not in snake_case");
        }
        let open = label.values.is_empty() && !FEW.contains(&label.name);
        if open && described.shown != Shown::PerObject {
            complain("a label with any number of values, outside of the opt-in");
        }
    }
    complaints
}
