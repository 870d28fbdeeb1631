//! Whether what is exposed is what the catalogue says.

use std::collections::BTreeMap;

use oms_operator::telemetry::metrics::catalogue::{Description, Metric};

use super::openmetrics::Family;

/// Where what is exposed is not what the catalogue says.
pub(crate) fn differences(families: &[Family]) -> Vec<String> {
    let all: BTreeMap<&str, &Description> =
        Metric::ALL.iter().map(|metric| (metric.description().name, metric.description())).collect();
    let mut differences = Vec::new();
    for family in families {
        let Some(described) = all.get(family.name.as_str()) else {
            differences.push(format!("{} is not in the catalogue", family.name));
            continue;
        };
        let told = (family.kind.as_str(), family.unit.as_deref(), family.help.as_str());
        if told != (described.kind.as_str(), described.unit(), described.help) {
            differences.push(format!("{} is described otherwise: {told:?}", family.name));
        }
        for sample in &family.samples {
            let mut labels: Vec<_> = sample.labels.keys().filter(|name| *name != "le").collect();
            let mut wanted: Vec<_> = described.labels.iter().map(|label| label.name).collect();
            labels.sort();
            wanted.sort_unstable();
            if labels != wanted {
                differences.push(format!("{} has other labels: {sample:?}", family.name));
            }
            for label in described.labels.iter().filter(|label| !label.values.is_empty()) {
                if !label.values.contains(&sample.labels[label.name].as_str()) {
                    differences.push(format!("{} has an unknown {}: {sample:?}", family.name, label.name));
                }
            }
        }
    }
    differences
}
