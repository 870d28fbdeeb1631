//! The page of the charts' values: from the comments of `values.yaml`, from `values.schema.json`, and from what the tests say
//! that they set.

#[path = "../flow/chart/sets.rs"]
mod sets;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::{fs, path::Path};

use serde::Deserialize as _;
use serde_json::Value;

use self::sets::Set;
use crate::{NOTE, cell, row};

struct Chart {
    name: &'static str,
    /// What each value is set to in a test that renders it.
    rendered: &'static [Set],
    /// Tests that install it, with the values that they set.
    installed: &'static [(&'static str, &'static [&'static str])],
}

const CHARTS: [Chart; 2] = [
    Chart { name: "oms-operator", rendered: sets::OPERATOR, installed: sets::INSTALLED },
    Chart { name: "oms-migrations", rendered: sets::MIGRATIONS, installed: sets::RELEASED },
];

/// Helm puts this into every chart that is part of another; nothing reads it.
const OF_HELM: &str = "global";

/// A value of a chart.
struct Described {
    path: String,
    meaning: String,
    default: Value,
    schema: Value,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn file(chart: &Chart, name: &str) -> String {
    fs::read_to_string(root().join("charts").join(chart.name).join(name)).unwrap()
}

/// The schema of every value, by its path.
fn schemas(chart: &Chart) -> BTreeMap<String, Value> {
    let whole: Value = serde_json::from_str(&file(chart, "values.schema.json")).unwrap();
    let mut found = BTreeMap::new();
    leaves(&whole, &whole, "", &mut found);
    found.remove(OF_HELM);
    found
}

fn leaves(whole: &Value, schema: &Value, path: &str, found: &mut BTreeMap<String, Value>) {
    let schema = match schema["$ref"].as_str() {
        Some(reference) => whole.pointer(reference.trim_start_matches('#')).unwrap(),
        None => schema,
    };
    let Some(properties) = schema["properties"].as_object() else {
        found.insert(path.to_owned(), schema.clone());
        return;
    };
    assert_eq!(schema["additionalProperties"], false, "`{path}` takes names that nobody knows");
    for (name, property) in properties {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        leaves(whole, property, &path, found);
    }
}

/// The comment of every value, which begins with `# --`, in the order of the file.
fn comments(text: &str) -> Vec<(String, String)> {
    let (mut found, mut above, mut comment) = (Vec::new(), Vec::<(usize, String)>::new(), None::<String>);
    for line in text.lines() {
        let (indent, line) = (line.len() - line.trim_start().len(), line.trim());
        if let Some(text) = line.strip_prefix("# -- ") {
            comment = Some(text.to_owned());
        } else if let Some(text) = line.strip_prefix("# ") {
            if let Some(comment) = &mut comment {
                comment.push(' ');
                comment.push_str(text);
            }
        } else if let Some((name, _)) = line.split_once(':') {
            above.retain(|(of, _)| *of < indent);
            above.push((indent, name.to_owned()));
            let path: Vec<_> = above.iter().map(|(_, name)| name.as_str()).collect();
            if let Some(comment) = comment.take() {
                found.push((path.join("."), comment));
            }
        } else {
            comment = None;
        }
    }
    found
}

/// Every value of a chart, in the order of `values.yaml`.
fn described(chart: &Chart) -> Vec<Described> {
    let text = file(chart, "values.yaml");
    let values = Value::deserialize(serde_yaml::Deserializer::from_str(&text)).unwrap();
    let schemas = schemas(chart);
    let found: Vec<_> = comments(&text)
        .into_iter()
        .map(|(path, meaning)| {
            let schema = schemas.get(&path).unwrap_or_else(|| {
                panic!("`{path}` of values.yaml of {} is not in its values.schema.json", chart.name)
            });
            let default = values.pointer(&format!("/{}", path.replace('.', "/"))).unwrap().clone();
            Described { schema: schema.clone(), path, meaning, default }
        })
        .collect();
    let paths: BTreeSet<_> = found.iter().map(|value| &value.path).collect();
    for path in schemas.keys() {
        assert!(
            paths.contains(path),
            "`{path}` of values.schema.json of {} is not in its values.yaml, or has no comment there that begins with `# --`",
            chart.name
        );
    }
    found
}

fn kind(schema: &Value) -> String {
    if let Some(values) = schema["enum"].as_array() {
        let values: Vec<_> = values.iter().map(|value| format!("`{}`", value.as_str().unwrap())).collect();
        return values.join(", ");
    }
    if let Some(choices) = schema["oneOf"].as_array() {
        return choices.iter().map(kind).collect::<Vec<_>>().join(" or ");
    }
    let range = match (schema["minimum"].as_i64(), schema["maximum"].as_i64()) {
        (Some(least), Some(most)) => format!(", {least} to {most}"),
        _ => String::new(),
    };
    let duration = schema["description"].as_str().is_some_and(|text| text.starts_with("A duration"));
    match schema["type"].as_str().unwrap() {
        "string" if duration => "duration".to_owned(),
        "string" if schema["pattern"].as_str().is_some_and(|pattern| pattern.contains('%')) => {
            "percentage".to_owned()
        }
        "array" => format!("list of {}s", kind(&schema["items"])),
        "object" if schema["additionalProperties"]["type"] == "string" => "map of strings".to_owned(),
        "object" if schema["additionalProperties"].is_object() => "objects by name".to_owned(),
        other => format!("{other}{range}"),
    }
}

/// What a test of `tests/flow` is called there.
fn link(test: &str) -> String {
    let (module, name) = test.rsplit_once("::").unwrap();
    format!("[{name}](../../tests/flow/{}.rs)", module.replace("::", "/"))
}

pub(crate) fn page() -> String {
    let mut page = format!(
        "# Values of the charts\n\n{NOTE}\n\nEvery value with its type, its default and its meaning; a wrong one is refused by its \
         name. The last column has the tests of each.\n\n**rendered**: [a test](../../tests/flow/chart/each.rs) renders the chart \
         with it and without it, and compares the difference with [what it was]\
         (../../tests/flow/chart/snapshots/flow__chart__each__each_of_operator.snap). **every install**: all tests that install the chart set it. The others install the chart with the real helm on a real API server, \
         and the operator runs with it.\n"
    );
    for chart in &CHARTS {
        write!(page, "\n## {}\n\n", chart.name).unwrap();
        row(&mut page, &["value", "type", "default", "meaning", "tests"]);
        row(&mut page, &["---"; 5]);
        for value in described(chart) {
            let mut tests = vec!["rendered".to_owned()];
            let of_every_install = |set: &str| set.split(['=', '[']).next() == Some(value.path.as_str());
            if chart.name == "oms-operator" && sets::EVERYWHERE.iter().any(|set| of_every_install(set)) {
                tests.push("every install".to_owned());
            }
            let installs = chart.installed.iter().filter(|(_, values)| values.contains(&value.path.as_str()));
            tests.extend(installs.map(|(test, _)| link(test)));
            let default = match &value.default {
                Value::String(text) if text.is_empty() => String::new(),
                Value::String(text) => format!("`{text}`"),
                other => format!("`{other}`"),
            };
            let cells = [&format!("`{}`", value.path), &kind(&value.schema), &default, &value.meaning];
            let cells: Vec<_> = cells.into_iter().map(|text| cell(text)).collect();
            writeln!(page, "| {} | {} |", cells.join(" | "), tests.join("; ")).unwrap();
        }
    }
    page
}

#[test]
fn every_value_of_the_charts_has_a_test() {
    for chart in &CHARTS {
        let values: Vec<_> = described(chart).into_iter().map(|value| value.path).collect();
        let rendered: Vec<_> = chart.rendered.iter().map(|(value, ..)| *value).collect();
        let missing: Vec<_> = values.iter().filter(|value| !rendered.contains(&value.as_str())).collect();
        assert!(
            missing.is_empty(),
            "no test renders {missing:?} of {}: add what each is set to in tests/flow/chart/sets.rs",
            chart.name
        );
        assert_eq!(
            rendered, values,
            "tests/flow/chart/sets.rs has other values than {}, or in another order",
            chart.name
        );
        for (value, _, to) in chart.rendered {
            let set = to
                .iter()
                .any(|to| to.strip_prefix(value).is_some_and(|rest| rest.starts_with(['=', '.', '['])));
            assert!(set, "{value} is not what {to:?} sets");
        }
    }
}

#[test]
fn the_tests_that_install_a_chart_exist_and_set_what_they_are_said_to_set() {
    for chart in &CHARTS {
        for (test, values) in chart.installed {
            let (module, name) = test.rsplit_once("::").unwrap();
            let path = root().join("tests/flow").join(module.replace("::", "/")).with_extension("rs");
            let text = fs::read_to_string(&path).unwrap_or_default();
            let begin =
                text.find(&format!("async fn {name}()")).unwrap_or_else(|| panic!("there is no test {test}"));
            let attribute = text[..begin].trim_end().lines().last().unwrap_or_default();
            assert!(attribute.starts_with("#[tokio::test"), "{test} is no test");
            let body = &text[begin..];
            let body = &body[..body.find("\n}\n").unwrap()];
            for value in *values {
                let known = chart.rendered.iter().any(|(known, ..)| known == value);
                assert!(known, "{test} is said to set {value}, which {} does not have", chart.name);
                // As `--set` has it, or as the members of a file of values.
                let everywhere = sets::EVERYWHERE.iter().any(|set| set.starts_with(value));
                let named = body.contains(value)
                    || value.split('.').all(|part| body.contains(&format!("\"{part}\"")));
                assert!(everywhere || named, "{test} does not set {value}");
            }
        }
    }
}
