//! What one value changes of everything that a chart renders.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};

use serde::Deserialize as _;
use serde_json::Value;

use super::release::{MIGRATIONS, OPERATOR};
use super::sets::{self, Set};
use super::values::template;

/// One line per scalar of each object: what is compared. Neighbours in a list of scalars have no order, and an object in a
/// list goes by its name.
fn lines(rendered: &str) -> BTreeMap<String, Vec<String>> {
    let mut objects = BTreeMap::new();
    for document in serde_yaml::Deserializer::from_str(rendered) {
        let object = Value::deserialize(document).unwrap();
        let Some(kind) = object["kind"].as_str() else { continue };
        let metadata = &object["metadata"];
        let (name, namespace) = (metadata["name"].as_str().unwrap(), metadata["namespace"].as_str());
        let place = namespace.map(|namespace| format!("{namespace}/")).unwrap_or_default();
        let mut found = Vec::new();
        flatten("", &object, &mut found);
        objects.insert(format!("{kind} {place}{name}"), found);
    }
    objects
}

fn flatten(path: &str, value: &Value, found: &mut Vec<String>) {
    let below = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    match value {
        Value::Object(members) if !members.is_empty() => {
            for (name, member) in members {
                flatten(&below(name), member, found);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for (number, item) in items.iter().enumerate() {
                let key = match item {
                    Value::Object(members) => {
                        members.get("name").and_then(Value::as_str).map_or(number.to_string(), str::to_owned)
                    }
                    _ => String::new(),
                };
                flatten(&format!("{path}[{key}]"), item, found);
            }
        }
        scalar => found.push(format!("{path}: {scalar}")),
    }
}

/// What is in one and not in the other; of an object that is new or gone, only its name.
fn difference(before: &str, after: &str) -> String {
    let (before, after) = (lines(before), lines(after));
    let mut told = String::new();
    let gone = before.keys().filter(|object| !after.contains_key(*object));
    let new = after.keys().filter(|object| !before.contains_key(*object));
    for (sign, objects) in [("-", gone.collect::<Vec<_>>()), ("+", new.collect())] {
        for object in objects {
            writeln!(told, "  {sign} {object}").unwrap();
        }
    }
    for (object, former) in &before {
        let Some(latter) = after.get(object) else { continue };
        let missing = |of: &[String], from: &[String]| -> Vec<String> {
            of.iter().filter(|line| !from.contains(line)).cloned().collect()
        };
        let (less, more) = (missing(former, latter), missing(latter, former));
        if less.is_empty() && more.is_empty() {
            continue;
        }
        writeln!(told, "  {object}").unwrap();
        for (sign, lines) in [("-", less), ("+", more)] {
            for line in lines {
                writeln!(told, "    {sign} {line}").unwrap();
            }
        }
    }
    told
}

/// What the chart of the operator renders by itself.
static PLAIN: OnceLock<String> = OnceLock::new();

fn changes(chart: &str, (value, with, to): &Set) -> String {
    // The definitions are long, and two values are about nothing else.
    let short: &[&str] =
        if chart == MIGRATIONS || value.starts_with("crds.") { &[] } else { &["crds.install=false"] };
    let with = [short, with].concat();
    let base = || template(chart, &with).unwrap();
    let before = if with == ["crds.install=false"] { PLAIN.get_or_init(base).clone() } else { base() };
    let after = template(chart, &[&with, *to].concat()).unwrap();
    let told = difference(&before, &after);
    assert!(!told.is_empty(), "{value} changes nothing");
    let with = if with == short { String::new() } else { format!(" with {}", with[short.len()..].join(" ")) };
    format!("{value}{with}: {}\n{told}", to.join(" "))
}

fn all_changes(chart: &str, sets: &[Set]) -> String {
    let (next, told) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let Some(set) = sets.get(number) else { return };
                    let changes = changes(chart, set);
                    told.lock().unwrap().insert(number, changes);
                }
            });
        }
    });
    told.into_inner().unwrap().into_values().collect::<Vec<_>>().join("\n")
}

#[test]
fn each_value_changes_what_it_says_and_nothing_else() {
    for (name, chart, sets) in
        [("each_of_operator", OPERATOR, sets::OPERATOR), ("each_of_migrations", MIGRATIONS, sets::MIGRATIONS)]
    {
        insta::assert_snapshot!(name, all_changes(chart, sets));
    }
}

/// A value of another type, for every value of the schema at once.
#[test]
fn every_value_of_another_type_is_refused_by_its_name() {
    for (chart, sets) in [(OPERATOR, sets::OPERATOR), (MIGRATIONS, sets::MIGRATIONS)] {
        let mut values = Value::Object(serde_json::Map::new());
        for (value, ..) in sets {
            let mut place = &mut values;
            for part in value.split('.') {
                place = &mut place[part];
            }
            // A list is neither a text, a number, a switch nor a map; a number is no list.
            let list = serde_json::json!([{ "no": "such" }]);
            *place = if is_list(chart, value) { serde_json::json!(1.5) } else { list };
        }
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("values.json");
        std::fs::write(&file, values.to_string()).unwrap();
        let mut command = super::release::helm_command();
        let output = command.args(["template", "oms", chart, "--values"]).arg(&file).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success(), "{chart}");
        for (value, ..) in sets {
            let place = format!("'/{}'", value.replace('.', "/"));
            assert!(told.contains(&place), "{value} of {chart}: {told}");
        }
    }
}

fn is_list(chart: &str, value: &str) -> bool {
    let text = std::fs::read_to_string(format!("{chart}/values.yaml")).unwrap();
    let values = Value::deserialize(serde_yaml::Deserializer::from_str(&text)).unwrap();
    values.pointer(&format!("/{}", value.replace('.', "/"))).is_some_and(Value::is_array)
}
