//! The dashboards are what Grafana takes without a word.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::dashboards::{self, Dashboard};
use crate::expressions::{groupings, selectors};

/// Grafana's names of the units in use.
const UNITS: [&str; 9] = ["none", "short", "percentunit", "s", "bytes", "Bps", "ops", "reqps", "cps"];
/// Variables that Grafana has by itself.
const OF_GRAFANA: [&str; 2] = ["__rate_interval", "__range"];
/// Columns of a dashboard.
const COLUMNS: u64 = 24;

fn text<'v>(value: &'v Value, member: &str) -> &'v str {
    value[member].as_str().unwrap_or_else(|| panic!("no {member} in {value}"))
}

/// The cells of the grid that a panel takes.
fn cells(panel: &Value) -> Vec<(u64, u64)> {
    let number = |member: &str| panel["gridPos"][member].as_u64().unwrap();
    let (x, y, w, h) = (number("x"), number("y"), number("w"), number("h"));
    assert!(w > 0 && h > 0 && x + w <= COLUMNS, "{} does not fit", panel["title"]);
    (x..x + w).flat_map(|column| (y..y + h).map(move |row| (column, row))).collect()
}

/// The variables in a text.
fn variables(written: &str) -> impl Iterator<Item = &str> {
    written
        .split('$')
        .skip(1)
        .map(|rest| rest.split(|c: char| !(c.is_alphanumeric() || c == '_')).next().unwrap())
}

fn check_panel(dashboard: &Dashboard, panel: &Value) {
    let place = format!("{} / {}", dashboard.title(), text(panel, "title"));
    if text(panel, "type") == "row" {
        assert_eq!(panel["panels"], json!([]), "{place}");
        return;
    }
    assert!(["stat", "timeseries", "table"].contains(&text(panel, "type")), "{place}");
    assert!(text(panel, "description").ends_with('.'), "{place} says what it shows");
    let source = json!({ "type": "prometheus", "uid": "${datasource}" });
    assert_eq!(panel["datasource"], source, "{place}");
    let unit = text(&panel["fieldConfig"]["defaults"], "unit");
    assert!(UNITS.contains(&unit), "{place}: {unit}");
    let targets = panel["targets"].as_array().unwrap();
    assert!(!targets.is_empty(), "{place}");
    let names: BTreeSet<_> = targets.iter().map(|target| text(target, "refId")).collect();
    assert_eq!(names.len(), targets.len(), "{place}");
    for target in targets {
        assert_eq!(target["datasource"], source, "{place}");
        assert_ne!(target["instant"], target["range"], "{place}: a moment or a span of time");
    }
}

#[test]
fn the_dashboards_have_what_grafana_wants_of_them() {
    let all = dashboards::all();
    let uids: BTreeSet<_> = all.iter().map(|dashboard| text(&dashboard.content, "uid")).collect();
    assert_eq!((all.len(), uids.len()), (2, 2));
    for dashboard in &all {
        let content = &dashboard.content;
        assert!(content["schemaVersion"].as_u64().unwrap() >= 36, "{}", dashboard.title());
        assert!(content.get("id").is_none(), "an id is of one Grafana alone");
        assert_eq!(text(&dashboard.variables()[0], "type"), "datasource", "{}", dashboard.title());
        let (mut ids, mut taken) = (BTreeSet::new(), BTreeSet::new());
        for panel in dashboard.panels() {
            assert!(ids.insert(panel["id"].as_u64().unwrap()), "{}: two have one id", panel["title"]);
            for cell in cells(panel) {
                assert!(taken.insert(cell), "{} lies over another panel", panel["title"]);
            }
            check_panel(dashboard, panel);
        }
    }
}

#[test]
fn queries_use_variables_that_there_are_and_every_variable_is_used() {
    for dashboard in dashboards::all() {
        let mut unused: BTreeSet<_> =
            dashboard.variables().iter().map(|variable| text(variable, "name")).collect();
        let known = unused.clone();
        let queries = dashboard.queries();
        for query in &queries {
            for variable in variables(&query.written) {
                unused.remove(variable);
                let there_is = known.contains(variable) || OF_GRAFANA.contains(&variable);
                assert!(there_is, "{}: ${variable}", query.name);
            }
            // The whole span of time that is shown, seen from each of its moments, would be twice that.
            assert!(query.instant || !query.written.contains("$__range]"), "{}", query.name);
        }
        assert_eq!(unused.into_iter().collect::<Vec<_>>(), ["datasource"], "{}", dashboard.title());
    }
}

#[test]
fn legends_name_labels_that_the_query_leaves() {
    let mut seen = 0;
    for query in dashboards::all().iter().flat_map(Dashboard::queries) {
        let left = groupings(&query.written);
        let grouped = query.written.contains("by (");
        for label in query.legend.split("{{").skip(1).map(|rest| rest.split("}}").next().unwrap()) {
            seen += 1;
            let whole = !grouped && !selectors(&query.written).is_empty() && label == "pod";
            assert!(left.contains(label) || whole, "{} has no label {label}: {}", query.name, query.written);
        }
    }
    assert!(seen > 40, "the legends were read: {seen}");
}
