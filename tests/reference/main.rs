//! `docs/reference/` is written from the code: the custom resources from their types, the error codes from the committed
//! table, the metrics from their catalogue, the values of the charts from the charts; and the index of `examples/` from the
//! examples.
//!
//! `UPDATE_DOCS=1 cargo test --all-features --test reference` writes it anew (`make docs`).
#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod chart;
mod contradictions;
mod errors;
mod metrics;
mod oms_api;
mod resources;
mod types;

use std::{fmt::Write as _, fs, path::Path};

const NOTE: &str = "<!-- Written by tests/reference; `make docs` writes it anew. -->";

fn cell(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

fn row(page: &mut String, cells: &[&str]) {
    let cells: Vec<_> = cells.iter().map(|text| cell(text)).collect();
    writeln!(page, "| {} |", cells.join(" | ")).unwrap();
}

/// The index of the examples, from the comment that each starts with.
fn index_of_examples() -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut names: Vec<_> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.retain(|name| Path::new(name).extension().is_some_and(|extension| extension == "yaml"));
    names.sort();
    let mut page = format!(
        "# Examples\n\n{NOTE}\n\nOne manifest per situation. Put your own names and keys in, then \
         `kubectl apply -f` it; begin with [connection.yaml](connection.yaml) and \
         [whole-bucket.yaml](whole-bucket.yaml).\n\n"
    );
    row(&mut page, &["example", "what it shows"]);
    row(&mut page, &["---"; 2]);
    for name in names {
        let text = fs::read_to_string(folder.join(&name)).unwrap();
        let comment: Vec<_> = text.lines().map_while(|line| line.strip_prefix('#')).map(str::trim).collect();
        let comment = comment.join(" ");
        let sentence = comment.split_once(". ").map_or(comment.as_str(), |(first, _)| first);
        row(&mut page, &[&format!("[{name}]({name})"), sentence.trim_end_matches('.')]);
    }
    page
}

#[test]
fn the_reference_is_what_the_code_says() {
    let pages = [
        ("docs/reference/migrationtask.md", types::migration_task()),
        ("docs/reference/taskgroup.md", types::task_group()),
        ("docs/reference/synctask.md", types::sync_task()),
        ("docs/reference/syncevent.md", types::sync_event()),
        ("docs/reference/connection.md", types::connection()),
        ("docs/reference/clusterconnection.md", types::cluster_connection()),
        ("docs/reference/conditions.md", types::conditions()),
        ("docs/reference/errors.md", errors::page()),
        ("docs/reference/metrics.md", metrics::page()),
        ("docs/reference/oms-api.md", oms_api::page()),
        ("docs/reference/chart-values.md", chart::page()),
        ("examples/README.md", index_of_examples()),
    ];
    for (name, page) in pages {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
        if std::env::var_os("UPDATE_DOCS").is_some() {
            fs::write(&path, &page).unwrap();
        }
        let committed = fs::read_to_string(&path).unwrap_or_default();
        assert!(committed == page, "{name} is out of date; run `make docs`");
    }
}
