//! Pages of the custom resources: fields, values, limits, rules, what can change when.

use std::{fmt::Write as _, fs, path::Path};

use oms_operator::api::{
    ClusterConnection, Connection, MigrationTask, SyncEvent, SyncTask, TaskGroup,
    conditions::{Reason, types},
};
use schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::Value;

use crate::{NOTE, cell, row};

/// Last sentence of a field's documentation: what a change of it does.
const CLASSES: [(&str, &str, &str); 4] = [
    ("Live.", "live", "takes effect at once, also while the task runs"),
    (
        "While not running.",
        "while not running",
        "takes effect while the task waits, is stopped or has failed",
    ),
    ("Next start.", "next start", "is used when the task is created or started again"),
    (
        "Frozen.",
        "frozen",
        "cannot change once the task was created; until then it can, also to correct a refused one",
    ),
];

struct Field {
    path: String,
    schema: Value,
    required: bool,
    class: Option<&'static str>,
}

impl Field {
    fn meaning(&self) -> &str {
        let text = self.schema["description"].as_str().unwrap_or_default();
        CLASSES.iter().find_map(|(sentence, ..)| text.strip_suffix(sentence)).unwrap_or(text).trim()
    }

    /// Values of a closed list, each with its meaning.
    fn values(&self) -> Vec<(&str, &str)> {
        let schema = if self.schema["items"].is_object() { &self.schema["items"] } else { &self.schema };
        let variants = schema["oneOf"].as_array().into_iter().flatten();
        variants
            .map(|variant| {
                let value = variant["const"].as_str().or(variant["enum"][0].as_str()).unwrap();
                (value, variant["description"].as_str().unwrap())
            })
            .collect()
    }

    fn kind(&self) -> String {
        let schema = &self.schema;
        if schema["items"].is_object() {
            let item =
                Field { path: String::new(), schema: schema["items"].clone(), required: false, class: None };
            return format!("list of {}", item.kind());
        }
        if schema["x-kubernetes-int-or-string"] == true {
            return "integer or quantity".into();
        }
        match (schema["type"].as_str(), schema["format"].as_str()) {
            (_, Some("date-time")) => "time".into(),
            _ if !self.values().is_empty() => "value".into(),
            (Some(kind), _) => kind.into(),
            (None, _) => panic!("{} has no type: {schema}", self.path),
        }
    }

    fn limits(&self) -> String {
        let mut limits = Vec::new();
        let schema = &self.schema;
        for (schema, of_each) in [(schema, ""), (&schema["items"], " each")] {
            let range = |least: &str, most: &str| match (schema[least].as_f64(), schema[most].as_f64()) {
                (Some(least), Some(most)) => Some(format!("{least} to {most}")),
                (Some(least), None) => Some(format!("at least {least}")),
                (None, Some(most)) => Some(format!("at most {most}")),
                (None, None) => None,
            };
            limits.extend(range("minItems", "maxItems").map(|range| format!("{range} entries")));
            limits.extend(range("minProperties", "maxProperties").map(|range| format!("{range} entries")));
            limits
                .extend(range("minLength", "maxLength").map(|range| format!("{range} characters{of_each}")));
            limits.extend(range("minimum", "maximum"));
            limits.extend(schema["pattern"].as_str().map(|pattern| format!("`{pattern}`")));
        }
        limits.join(", ")
    }

    fn default(&self) -> String {
        match &self.schema["default"] {
            _ if self.required => "required".into(),
            // An empty list or object as the default is what leaving it out means anyway.
            Value::Null | Value::Array(_) | Value::Object(_) => String::new(),
            Value::String(text) => format!("`{text}`"),
            other => format!("`{other}`"),
        }
    }
}

fn schema_of<K: JsonSchema>() -> Value {
    let settings = SchemaSettings::openapi3().with(|settings| settings.inline_subschemas = true);
    settings.into_generator().into_root_schema_for::<K>().to_value()
}

/// All fields below a schema, parents before children, in alphabetical order like `kubectl explain`.
fn fields(schema: &Value, prefix: &str, class: Option<&'static str>) -> Vec<Field> {
    let mut found = Vec::new();
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let list = property["items"].is_object();
        let path = format!("{prefix}{name}");
        let required =
            schema["required"].as_array().is_some_and(|names| names.contains(&name.as_str().into()));
        let text = property["description"].as_str().unwrap_or_default();
        let own = CLASSES.iter().find(|(sentence, ..)| text.ends_with(sentence)).map(|(_, class, _)| *class);
        let class = own.or(class);
        found.push(Field { path: path.clone(), schema: property.clone(), required, class });
        let inner = if list { &property["items"] } else { property };
        // Members of conditions are Kubernetes' own.
        if name != "conditions" {
            found.extend(fields(inner, &format!("{path}{}.", if list { "[]" } else { "" }), class));
        }
    }
    found
}

/// Rules in a schema: the field each is about and what the server says.
fn rules(schema: &Value, prefix: &str, found: &mut Vec<(String, String)>) {
    for rule in schema["x-kubernetes-validations"].as_array().into_iter().flatten() {
        let path = format!("{prefix}{}", rule["fieldPath"].as_str().unwrap_or_default());
        found.push((path.trim_start_matches('.').to_owned(), rule["message"].as_str().unwrap().to_owned()));
    }
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        rules(property, &format!("{prefix}.{name}"), found);
        rules(&property["items"], &format!("{prefix}.{name}[]"), found);
    }
}

fn spec_table(page: &mut String, fields: &[Field]) {
    let head = ["field", "type", "limits", "default", "change", "meaning"];
    row(page, &head);
    row(page, &vec!["---"; head.len()]);
    for field in fields {
        let name = format!("`{}`", field.path);
        let (kind, limits, default) = (field.kind(), field.limits(), field.default());
        let class = field.class.unwrap_or_default();
        row(page, &[&*name, &kind, &limits, &default, class, field.meaning()]);
    }
}

fn values_section(page: &mut String, fields: &[Field]) {
    for field in fields.iter().filter(|field| !field.values().is_empty()) {
        writeln!(page, "\n### Values of `{}`\n", field.path).unwrap();
        for (value, meaning) in field.values() {
            writeln!(page, "- `{value}`: {}", cell(meaning).replace("\\|", "|")).unwrap();
        }
    }
}

fn status_table(page: &mut String, schema: &Value) {
    page.push_str("\n## Status\n\n");
    row(page, &["field", "type", "meaning"]);
    row(page, &["---"; 3]);
    for field in fields(&schema["properties"]["status"], "", None) {
        row(page, &[&format!("`{}`", field.path), &field.kind(), field.meaning()]);
    }
}

fn rules_table(page: &mut String, schema: &Value) {
    let mut found = Vec::new();
    rules(&schema["properties"]["spec"], "", &mut found);
    if found.is_empty() {
        return;
    }
    page.push_str("\n## Refused at admission\n\nBesides types and limits, the API server checks:\n\n");
    row(page, &["field", "what it says"]);
    row(page, &["---"; 2]);
    for (path, message) in found {
        row(page, &[&format!("`{path}`"), &message]);
    }
}

fn example(page: &mut String, name: &str) {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name)).unwrap();
    writeln!(page, "\n```yaml\n{}\n```\n", text.trim_end()).unwrap();
    writeln!(page, "This is [{name}](../../examples/{name}); the folder has one example per situation.")
        .unwrap();
}

pub(crate) fn migration_task() -> String {
    transfer::<MigrationTask>("MigrationTask", "task", "whole-bucket.yaml")
}

pub(crate) fn task_group() -> String {
    transfer::<TaskGroup>("TaskGroup", "group", "task-group.yaml")
}

pub(crate) fn sync_task() -> String {
    transfer::<SyncTask>("SyncTask", "sync task", "sync-task.yaml")
}

/// The page of a SyncEvent, of which nothing can change.
pub(crate) fn sync_event() -> String {
    let schema = schema_of::<SyncEvent>();
    let spec = fields(&schema["properties"]["spec"], "", None);
    let mut page = format!("# SyncEvent\n\n{NOTE}\n\n{}\n", schema["description"].as_str().unwrap());
    example(&mut page, "sync-event.yaml");
    page.push_str("\n## Spec\n\n**frozen** here means from the beginning: for other keys, create another SyncEvent.\n\n");
    spec_table(&mut page, &spec);
    values_section(&mut page, &spec);
    rules_table(&mut page, &schema);
    status_table(&mut page, &schema);
    values_section(&mut page, &fields(&schema["properties"]["status"], "status.", None)[..]);
    page
}

/// The page of a kind that has something of its own at OMS, which is called `thing`.
fn transfer<K: JsonSchema>(kind: &str, thing: &str, shown: &str) -> String {
    let schema = schema_of::<K>();
    let spec = fields(&schema["properties"]["spec"], "", None);
    let mut page = format!("# {kind}\n\n{NOTE}\n\n{}\n", schema["description"].as_str().unwrap());
    example(&mut page, shown);
    writeln!(page, "\n## Spec\n\nWhat a change does after the {thing} was created:\n").unwrap();
    for (_, class, meaning) in CLASSES {
        writeln!(page, "- **{class}**: {meaning}").unwrap();
    }
    page.push('\n');
    spec_table(&mut page, &spec);
    values_section(&mut page, &spec);
    rules_table(&mut page, &schema);
    status_table(&mut page, &schema);
    values_section(&mut page, &fields(&schema["properties"]["status"], "status.", None)[..]);
    page
}

pub(crate) fn connection() -> String {
    connection_of::<Connection>("Connection", "connection.yaml")
}

pub(crate) fn cluster_connection() -> String {
    connection_of::<ClusterConnection>("ClusterConnection", "cluster-connection.yaml")
}

/// The page of a kind of connections.
fn connection_of<K: JsonSchema>(kind: &str, shown: &str) -> String {
    let schema = schema_of::<K>();
    let spec = fields(&schema["properties"]["spec"], "", None);
    let mut page = format!("# {kind}\n\n{NOTE}\n\n{}\n", schema["description"].as_str().unwrap());
    example(&mut page, shown);
    page.push_str(
        "\n## Spec\n\nWhat a change does:\n\n- **live**: takes effect at once, also for what runs\n- **next start**: holds for \
         what is created from then on; what exists at OMS stays where it is, and its object says `ConnectionChanged`\n\n",
    );
    spec_table(&mut page, &spec);
    values_section(&mut page, &spec);
    rules_table(&mut page, &schema);
    status_table(&mut page, &schema);
    page
}

pub(crate) fn conditions() -> String {
    let mut page = format!(
        "# Conditions and reasons\n\n{NOTE}\n\nWhat `status.conditions` says; `kubectl wait --for=condition=Ready` \
         and GitOps tools read it. The message of a condition says what happened, whose move it is and what to do.\n\n"
    );
    row(&mut page, &["condition", "when it is true"]);
    row(&mut page, &["---"; 2]);
    for (name, meaning) in types::ALL {
        row(&mut page, &[&format!("`{name}`"), meaning]);
    }
    page.push_str(
        "\n## Reasons\n\nThe reason of a condition, and of the event when it changes, is one of these.\n\n",
    );
    row(&mut page, &["reason", "meaning"]);
    row(&mut page, &["---"; 2]);
    for (reason, meaning) in Reason::ALL {
        row(&mut page, &[&format!("`{}`", reason.as_str()), meaning]);
    }
    page
}

#[test]
fn every_field_says_when_it_can_change_and_the_rules_agree() {
    for schema in [schema_of::<MigrationTask>(), schema_of::<TaskGroup>(), schema_of::<SyncTask>()] {
        fields_and_rules_agree(&schema);
    }
    for (schema, known) in [
        (schema_of::<Connection>(), ["live", "next start"].as_slice()),
        (schema_of::<ClusterConnection>(), &["live", "next start"]),
        (schema_of::<SyncEvent>(), &["frozen"]),
    ] {
        for field in fields(&schema["properties"]["spec"], "", None) {
            assert!(!field.meaning().is_empty(), "{} has no meaning", field.path);
            let class =
                field.class.unwrap_or_else(|| panic!("{} does not say when it can change", field.path));
            assert!(known.contains(&class), "{} is said to be {class}", field.path);
        }
    }
}

fn fields_and_rules_agree(schema: &Value) {
    let frozen: Vec<&str> = schema["x-kubernetes-validations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|rule| rule["fieldPath"].as_str().unwrap().strip_prefix(".spec.").unwrap())
        .collect();
    // What goes out again with every start although the object around it is frozen; tests/admission tries both.
    let sent_again = ["source.cdn.authenticationKey", "source.cdn.crypto"];
    for field in fields(&schema["properties"]["spec"], "", None) {
        assert!(!field.meaning().is_empty(), "{} has no meaning", field.path);
        if ["source", "destination"].contains(&field.path.as_str()) {
            continue;
        }
        let class = field.class.unwrap_or_else(|| panic!("{} does not say when it can change", field.path));
        let is_within = |path: &str| {
            field
                .path
                .strip_prefix(path)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('.') || rest.starts_with("[]"))
        };
        let has_rule = frozen.iter().any(|path| is_within(path)) && !sent_again.into_iter().any(is_within);
        assert_eq!(class == "frozen", has_rule, "{} is said to be {class}", field.path);
    }
}

/// The server estimates what rules cost from these bounds, and refuses definitions that could cost too much.
#[test]
fn everything_that_users_write_is_bounded() {
    fn check(schema: &Value, path: &str) {
        let has = |keys: &[&str]| keys.iter().any(|key| !schema[key].is_null());
        match schema["type"].as_str() {
            Some("string") => assert!(has(&["maxLength", "enum", "const", "format"]), "{path}: {schema}"),
            Some("array") => assert!(has(&["maxItems"]), "{path}"),
            Some("object") if has(&["additionalProperties"]) => assert!(has(&["maxProperties"]), "{path}"),
            _ => {}
        }
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            check(property, &format!("{path}.{name}"));
        }
        for inner in ["items", "additionalProperties"] {
            if schema[inner].is_object() {
                check(&schema[inner], &format!("{path}.{inner}"));
            }
        }
    }
    for schema in [
        schema_of::<MigrationTask>(),
        schema_of::<TaskGroup>(),
        schema_of::<SyncTask>(),
        schema_of::<SyncEvent>(),
        schema_of::<Connection>(),
        schema_of::<ClusterConnection>(),
    ] {
        check(&schema["properties"]["spec"], "spec");
    }
}
