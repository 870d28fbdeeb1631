//! What the documents point at exists, and their map of the code is whole.
#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use oms_operator::telemetry::metrics::catalogue::{Description, Metric};
use serde::Deserialize as _;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Every Markdown file, by its path from the root.
fn documents() -> Vec<String> {
    fn collect(folder: &Path, found: &mut Vec<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                found.push(path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    let mut found = vec!["README.md".to_owned(), "CONTRIBUTING.md".to_owned(), "CHANGELOG.md".to_owned()];
    collect(&root().join("docs"), &mut found);
    collect(&root().join("examples"), &mut found);
    found
}

/// The text without its fenced blocks and without code in a line.
fn prose(text: &str) -> String {
    let mut fenced = false;
    let text: String = text
        .lines()
        .filter(|line| {
            let fence = line.trim_start().starts_with("```");
            fenced ^= fence;
            !fenced && !fence
        })
        .fold(String::new(), |text, line| text + line + "\n");
    text.split('`').step_by(2).collect()
}

/// The fenced blocks of a language.
fn blocks<'a>(text: &'a str, language: &str) -> Vec<&'a str> {
    let opening = format!("```{language}\n");
    text.split(opening.as_str()).skip(1).filter_map(|rest| rest.split("```").next()).collect()
}

/// Targets of `[text](target)`.
fn links(text: &str) -> Vec<&str> {
    text.split("](").skip(1).filter_map(|rest| rest.split(')').next()).collect()
}

/// The anchors that GitHub makes of the headings.
fn anchors(text: &str) -> BTreeSet<String> {
    text.lines()
        .filter(|line| line.starts_with('#'))
        .map(|line| {
            let title = line.trim_start_matches('#').trim().to_lowercase();
            title
                .chars()
                .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
                .map(|c| if c == ' ' { '-' } else { c })
                .collect()
        })
        .collect()
}

#[test]
fn every_relative_link_leads_somewhere() {
    let mut seen = 0;
    for document in documents() {
        let text = read(&document);
        let folder = root().join(&document).parent().unwrap().to_owned();
        for link in links(&prose(&text)).into_iter().filter(|link| !link.contains("://")) {
            seen += 1;
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if path.is_empty() { root().join(&document) } else { folder.join(path) };
            assert!(target.exists(), "{document} links to {link}, which does not exist");
            if !anchor.is_empty() {
                let text = fs::read_to_string(&target).unwrap();
                assert!(
                    anchors(&text).contains(anchor),
                    "{document} links to {link}, which is no heading there"
                );
            }
        }
    }
    assert!(seen > 20, "the documents were read");
}

#[test]
fn the_code_map_has_every_room() {
    let map = read("CONTRIBUTING.md");
    for entry in fs::read_dir(root().join("src")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let room = if path.is_dir() { format!("`src/{name}/`") } else { format!("`src/{name}`") };
        // `lib.rs` only lists the others.
        assert!(map.contains(&room) || name == "lib.rs", "the code map in CONTRIBUTING.md lacks {room}");
    }
}

#[test]
fn every_recipe_that_is_named_exists() {
    let makefile = read("Makefile");
    let mut seen = BTreeSet::new();
    for document in documents() {
        for line in read(&document).lines() {
            let words: Vec<&str> =
                line.split(|c: char| !(c.is_alphanumeric() || c == '-' || c == '`' || c == '$')).collect();
            let commands = words.iter().enumerate().filter(|(at, word)| {
                let starts_line = *at == 0 || words[at - 1] == "$";
                **word == "`make" || (**word == "make" && starts_line)
            });
            for recipe in commands.filter_map(|(at, _)| words.get(at + 1)) {
                let recipe = recipe.trim_end_matches('`');
                if recipe.is_empty() {
                    continue;
                }
                seen.insert(recipe.to_owned());
                assert!(
                    makefile.lines().any(|line| line.starts_with(&format!("{recipe}:"))),
                    "{document} names `make {recipe}`, which the Makefile does not have"
                );
            }
        }
    }
    for shown in ["demo", "test", "dev", "build", "check"] {
        assert!(seen.contains(shown), "`make {shown}` is told nowhere");
    }
}

#[test]
fn every_example_that_is_named_exists() {
    for document in documents() {
        let text = read(&document);
        for rest in text.split("examples/").skip(1) {
            let end = rest.find(|c: char| !(c.is_alphanumeric() || matches!(c, '-' | '.' | '_')));
            let name = rest[..end.unwrap_or(rest.len())].trim_end_matches('.');
            assert!(
                root().join("examples").join(name).exists(),
                "{document} names examples/{name}, which does not exist"
            );
        }
    }
}

#[test]
fn every_flag_is_in_the_operations_guide_with_its_default() {
    use clap::CommandFactory as _;
    let guide = read("docs/operations.md");
    let mut cli = oms_operator::cli::Cli::command();
    cli.build();
    let run = cli.find_subcommand("run").unwrap();
    for argument in run.get_arguments() {
        let Some(flag) = argument.get_long() else { continue };
        // Only for tests.
        if matches!(flag, "help" | "version" | "time-scale") {
            continue;
        }
        let row = guide.lines().find(|line| line.starts_with(&format!("| `--{flag}` |")));
        let row = row.unwrap_or_else(|| panic!("docs/operations.md does not tell of --{flag}"));
        for default in argument.get_default_values() {
            let default = default.to_str().unwrap();
            assert!(row.contains(&format!("| `{default}` |")), "--{flag} has the default {default}: {row}");
        }
        let variable = argument.get_env().unwrap().to_str().unwrap();
        let name = if flag == "log" { "LOG".to_owned() } else { flag.to_uppercase().replace('-', "_") };
        assert_eq!(variable, format!("OMS_OPERATOR_{name}"), "the guide tells how variables are named");
    }
}

#[test]
fn every_metric_that_is_named_exists() {
    let guide = read("docs/operations.md");
    let all: BTreeMap<String, &Description> =
        Metric::ALL.iter().map(|metric| (metric.description().series(), metric.description())).collect();
    let section = guide.split("## Metrics").nth(1).unwrap().split("\n## ").next().unwrap();
    let named: Vec<&str> = section
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split(" | ").next())
        .flat_map(|cell| cell.split('`'))
        .filter(|name| !name.is_empty() && *name != ", ")
        .collect();
    assert!(named.len() > 15, "{named:?}");
    for named in named {
        let (name, labels) = named.split_once('{').unwrap_or((named, "}"));
        let known = all.get(&format!("oms_operator_{name}")).unwrap_or_else(|| panic!("no metric {name}"));
        let known: Vec<_> = known.labels.iter().map(|label| label.name).collect();
        assert_eq!(labels, format!("{}}}", known.join(",")), "{name}");
    }
}

#[test]
fn every_block_of_yaml_can_be_read() {
    for document in documents() {
        for block in blocks(&read(&document), "yaml") {
            for part in serde_yaml::Deserializer::from_str(block) {
                serde_json::Value::deserialize(part).unwrap_or_else(|error| panic!("{document}: {error}"));
            }
        }
    }
}

#[test]
fn the_decisions_are_all_in_their_index() {
    let index = read("docs/adr/README.md");
    for entry in fs::read_dir(root().join("docs/adr")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(name == "README.md" || index.contains(&format!("({name})")), "the index lacks {name}");
    }
}

#[test]
fn every_page_is_in_the_summary_of_the_book() {
    let summary = read("docs/SUMMARY.md");
    let listed: Vec<&str> = links(&summary);
    for document in documents() {
        let Some(page) = document.strip_prefix("docs/").filter(|page| *page != "SUMMARY.md") else {
            continue;
        };
        let times = listed.iter().filter(|listed| **listed == page).count();
        assert_eq!(times, 1, "docs/SUMMARY.md has to list {page} once");
    }
}

#[test]
fn every_reason_has_its_row_in_the_troubleshooting_guide() {
    let guide = read("docs/troubleshooting/reasons.md");
    let mut rows: Vec<&str> =
        guide.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    let mut reasons: Vec<String> =
        oms_operator::api::conditions::Reason::ALL.iter().map(|(reason, _)| format!("{reason:?}")).collect();
    rows.sort_unstable();
    reasons.sort_unstable();
    let (missing, unknown): (Vec<_>, Vec<_>) = (
        reasons.iter().filter(|reason| !rows.contains(&reason.as_str())).collect(),
        rows.iter().filter(|row| !reasons.iter().any(|reason| reason == *row)).collect(),
    );
    assert!(missing.is_empty() && unknown.is_empty(), "without a row: {missing:?}; no reason: {unknown:?}");
    assert_eq!(rows.len(), reasons.len(), "each once");
}

#[test]
fn every_test_that_the_security_model_names_exists() {
    fn collect(folder: &Path, text: &mut String) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, text);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                *text += &fs::read_to_string(path).unwrap();
            }
        }
    }
    let mut tests = String::new();
    collect(&root().join("tests"), &mut tests);
    collect(&root().join("src"), &mut tests);
    let page = read("docs/explanation/security.md");
    let threats = page.split("## Threats").nth(1).unwrap().split("\n## ").next().unwrap();
    let mut seen = 0;
    for row in threats.lines().filter(|line| line.starts_with("| ")).skip(2) {
        let shown = row.trim_end_matches(" |").rsplit(" | ").next().unwrap();
        let names: Vec<_> = shown.split('`').skip(1).step_by(2).collect();
        assert!(!names.is_empty(), "no test shows what stops this: {row}");
        for name in names {
            seen += 1;
            assert!(tests.contains(&format!("fn {name}(")), "there is no test {name}");
        }
    }
    assert!(seen > 15);
}
