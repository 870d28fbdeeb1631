//! Every alert says what to do, and has a page that says more.

use std::collections::BTreeSet;

use crate::alerts;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/runbooks");
/// What every page has, in this order.
const PARTS: [&str; 4] = ["\n## Impact\n", "\n## Look\n", "\n## Mend\n", "\n## When it goes away\n"];

fn read(name: &str) -> String {
    std::fs::read_to_string(format!("{FOLDER}/{name}.md")).unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[test]
fn every_alert_has_a_severity_and_says_what_happened_and_what_to_do() {
    let all = alerts::all();
    let names: BTreeSet<_> = all.iter().map(|alert| &alert.name).collect();
    assert_eq!(names.len(), all.len(), "two have one name");
    for alert in &all {
        let (name, content) = (&alert.name, &alert.content);
        let severity = content["labels"]["severity"].as_str().unwrap();
        assert!(["critical", "warning", "info"].contains(&severity), "{name}: {severity}");
        let summary = content["annotations"]["summary"].as_str().unwrap();
        assert!(!summary.ends_with('.') && summary.len() < 120, "{name}: {summary}");
        let description = content["annotations"]["description"].as_str().unwrap();
        assert!(description.ends_with('.') && description.len() > summary.len(), "{name}: {description}");
        assert!(content["annotations"].get("runbook_url").is_none(), "{name}: the chart adds it");
    }
}

#[test]
fn every_alert_has_its_runbook_and_every_runbook_its_alert() {
    let names: BTreeSet<_> = alerts::all().into_iter().map(|alert| alert.name).collect();
    assert!(names.len() > 20, "{names:?}");
    let pages: BTreeSet<_> = std::fs::read_dir(FOLDER)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap().trim_end_matches(".md").to_owned())
        .filter(|page| page != "README")
        .collect();
    assert_eq!(names, pages);
    for name in &names {
        let page = read(name);
        assert!(page.starts_with(&format!("# {name}\n")), "{name}");
        let mut rest = page.as_str();
        for part in PARTS {
            rest = rest.split_once(part).unwrap_or_else(|| panic!("{name} lacks {part}")).1;
        }
        assert!(page.contains("```sh\n"), "{name} has a command");
    }
}

#[test]
fn the_index_of_the_runbooks_tells_severity_and_patience_of_each() {
    let index = read("README");
    let mut rows: BTreeSet<_> = index.lines().filter(|line| line.starts_with("| [")).collect();
    for alert in alerts::all() {
        let name = &alert.name;
        let severity = alert.content["labels"]["severity"].as_str().unwrap();
        let patience = alert.content["for"].as_str().unwrap_or("at once");
        let patience = patience.replace("${", "`").replace('}', "`");
        let row = format!("| [{name}]({name}.md) | {severity} | {patience} |");
        assert!(rows.remove(row.as_str()), "the index lacks {row}");
    }
    assert!(rows.is_empty(), "{rows:?}");
}
