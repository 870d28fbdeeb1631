//! The contract of OMS, as data: what a request and an answer of each operation may hold.
//!
//! `schemas/` has one file per group of operations: paths, methods, query parameters, statuses, and JSON Schemas (draft
//! 2020-12) of the bodies. They state facts of the OMS API reference (Chinese edition 24 of 2026-05-27, with the English
//! edition of 2024-12-27 and the vendor's SDK 3.1.219 where it is silent); `$comment` names the chapter, and the reading
//! taken where the reference contradicts itself. Everything is strict: a member or parameter that the reference does not
//! know is a violation. `examples/` has the reference's own examples, as they are printed.
//!
//! Other test crates include this module by its path.
#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    reason = "each test crate that includes it uses a part of it"
)]

pub mod examples;
pub mod watch;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::{Path, PathBuf},
    sync::LazyLock,
};

use jsonschema::Validator;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

/// What somebody did that the contract does not allow. Shows no value of a body, as it might be a secret.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Violation {
    /// Operation, by its name in the API reference.
    pub operation: String,
    /// Which part: `request body /dst_node/ak`, `query limit`, `answer 200`.
    pub place: String,
    /// What is wrong with it.
    pub message: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.operation, self.place, self.message)
    }
}

/// All operations and what they allow.
#[derive(Debug)]
pub struct Contract {
    operations: BTreeMap<String, Operation>,
    error_body: Validator,
    /// Statuses that any operation may refuse with (OMS API reference 8.1).
    error_statuses: Vec<u16>,
}

#[derive(Debug)]
struct Operation {
    method: String,
    path: String,
    path_parameters: BTreeMap<String, Parameter>,
    query_parameters: BTreeMap<String, Parameter>,
    /// None: the request has no body.
    request: Option<Validator>,
    /// Paths of all members that a request may have.
    members: BTreeSet<String>,
    /// By status; no validator means no body.
    answers: BTreeMap<u16, Option<Validator>>,
    errors: Vec<u16>,
}

#[derive(Debug)]
struct Parameter {
    required: bool,
    kind: String,
    schema: Validator,
}

static CONTRACT: LazyLock<Contract> = LazyLock::new(Contract::read);

impl Contract {
    /// The contract in `schemas/`, read once per process.
    pub fn load() -> &'static Self {
        &CONTRACT
    }

    fn read() -> Self {
        let mut operations = BTreeMap::new();
        let mut errors = None;
        for (file, document) in documents("schemas") {
            let definitions = &document["$defs"];
            if let Some(statuses) = document.get("statuses") {
                let body = validator(&json!({ "$ref": "#/$defs/ErrorBody" }), definitions);
                errors = Some((body, numbers(statuses)));
                continue;
            }
            let Some(found) = document["operations"].as_object() else {
                panic!("{} has no operations", file.display());
            };
            for (name, operation) in found {
                let known = operations.insert(name.clone(), Operation::read(operation, definitions));
                assert!(known.is_none(), "{name} stands in the contract twice");
            }
        }
        let (error_body, error_statuses) = errors.expect("a file with the refusals");
        Self { operations, error_body, error_statuses }
    }

    /// The names of all operations.
    pub fn operations(&self) -> impl Iterator<Item = &str> {
        self.operations.keys().map(String::as_str)
    }

    /// Method and path, with placeholders in braces, of an operation.
    pub fn line(&self, operation: &str) -> Option<(&str, &str)> {
        self.named(operation).map(|operation| (operation.method.as_str(), operation.path.as_str()))
    }

    /// Whether an operation has this name.
    pub fn knows(&self, operation: &str) -> bool {
        self.named(operation).is_some()
    }

    /// API v1 has no names for its operations; whether ours begin with a capital is a matter of taste.
    fn named(&self, operation: &str) -> Option<&Operation> {
        let named = self.operations.iter().find(|(name, _)| name.eq_ignore_ascii_case(operation));
        named.map(|(_, operation)| operation)
    }

    /// The operation that a method and a path stand for.
    pub fn operation_of(&self, method: &str, path: &str) -> Option<&str> {
        self.operations
            .iter()
            .filter(|(_, operation)| operation.method == method)
            .filter_map(|(name, operation)| Some((name, segments_of(&operation.path, path)?.len())))
            // A literal path counts before one with a placeholder in the same place.
            .min_by_key(|(_, placeholders)| *placeholders)
            .map(|(name, _)| name.as_str())
    }

    /// The members that a request of the operation may have, by path: `/src_node/ak`; elements of lists are one.
    pub fn members(&self, operation: &str) -> BTreeSet<String> {
        self.named(operation).map(|operation| operation.members.clone()).unwrap_or_default()
    }

    /// What is wrong with a request. Path and query are as they were sent, percent-encoded.
    pub fn check_request(
        &self,
        operation: &str,
        method: &str,
        path: &str,
        query: &str,
        body: &[u8],
    ) -> Vec<Violation> {
        let mut found = Found::of(operation);
        let Some(contract) = self.named(operation) else {
            found.add("operation", "is not in the contract");
            return found.violations;
        };
        if contract.method != method {
            found.add("method", format!("is {method} instead of {}", contract.method));
        }
        match segments_of(&contract.path, path) {
            None => found.add("path", format!("{path} is not {}", contract.path)),
            Some(segments) => {
                for (name, value) in segments {
                    match contract.path_parameters.get(name) {
                        Some(parameter) => parameter.check(&mut found, &format!("path {name}"), &value),
                        None => found.add(&format!("path {name}"), "has no schema"),
                    }
                }
            }
        }
        contract.check_query(&mut found, query);
        match &contract.request {
            None if body.is_empty() => {}
            None => found.add("request body", "is there although the operation has none"),
            Some(schema) => check_json(&mut found, "request body", schema, body),
        }
        found.violations
    }

    /// What is wrong with an answer. `Unknown` as the operation: one that no operation has the path of, so it has to be
    /// a refusal.
    pub fn check_response(
        &self,
        operation: &str,
        status: u16,
        content_type: Option<&str>,
        body: &[u8],
    ) -> Vec<Violation> {
        let mut found = Found::of(operation);
        let place = format!("answer {status}");
        let contract = self.named(operation);
        if contract.is_none() && operation != "Unknown" {
            found.add("operation", "is not in the contract");
            return found.violations;
        }
        let is_json = content_type.is_some_and(|kind| kind.split(';').next() == Some("application/json"));
        let named = contract.map_or(&[] as &[u16], |contract| contract.errors.as_slice());
        if self.error_statuses.contains(&status) || named.contains(&status) {
            if !is_json {
                found.add(&place, format!("is {content_type:?} and not JSON"));
            }
            check_json(&mut found, &place, &self.error_body, body);
            return found.violations;
        }
        match contract.and_then(|contract| contract.answers.get(&status)) {
            None => found.add(&place, "has a status that the contract does not know"),
            Some(None) if body.is_empty() => {}
            Some(None) => found.add(&place, "has a body although the operation answers with none"),
            Some(Some(schema)) => {
                if !is_json {
                    found.add(&place, format!("is {content_type:?} and not JSON"));
                }
                check_json(&mut found, &place, schema, body);
            }
        }
        found.violations
    }
}

impl Operation {
    fn read(operation: &Value, definitions: &Value) -> Self {
        let text = |name: &str| operation[name].as_str().unwrap_or_default().to_owned();
        let members =
            |name: &str| operation[name].as_object().map(|members| members.iter()).into_iter().flatten();
        Self {
            method: text("method"),
            path: text("path"),
            path_parameters: members("pathParameters")
                .map(|(name, schema)| (name.clone(), Parameter::read(true, schema, definitions)))
                .collect(),
            query_parameters: members("queryParameters")
                .map(|(name, query)| {
                    let required = query["required"] == true;
                    (name.clone(), Parameter::read(required, &query["schema"], definitions))
                })
                .collect(),
            request: operation.get("request").map(|request| validator(&request["schema"], definitions)),
            members: members_of(&operation["request"]["schema"], definitions, ""),
            answers: members("responses")
                .map(|(status, answer)| {
                    let schema = &answer["schema"];
                    let schema = (!schema.is_null()).then(|| validator(schema, definitions));
                    (status.parse().expect("a status"), schema)
                })
                .collect(),
            errors: numbers(&operation["errors"]),
        }
    }

    fn check_query(&self, found: &mut Found, query: &str) {
        let mut seen = Vec::new();
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            let place = format!("query {name}");
            match self.query_parameters.get(name.as_ref()) {
                None => found.add(&place, "is unknown"),
                Some(_) if seen.contains(&name) => found.add(&place, "is there twice"),
                Some(parameter) => parameter.check(found, &place, &value),
            }
            seen.push(name);
        }
        for (name, parameter) in &self.query_parameters {
            if parameter.required && !seen.iter().any(|seen| seen == name) {
                found.add(&format!("query {name}"), "is required");
            }
        }
    }
}

impl Parameter {
    fn read(required: bool, schema: &Value, definitions: &Value) -> Self {
        let kind = schema["type"].as_str().unwrap_or("string").to_owned();
        Self { required, kind, schema: validator(schema, definitions) }
    }

    /// A parameter travels as text; a number is checked as one.
    fn check(&self, found: &mut Found, place: &str, text: &str) {
        let value = match self.kind.as_str() {
            "integer" => text.parse::<u64>().ok().map(Value::from),
            "boolean" => text.parse::<bool>().ok().map(Value::from),
            _ => Some(Value::from(text)),
        };
        match value {
            None => found.add(place, format!("is no {}", self.kind)),
            Some(value) => check_value(found, place, &self.schema, &value),
        }
    }
}

/// Collects what is wrong with one call.
struct Found {
    operation: String,
    violations: Vec<Violation>,
}

impl Found {
    fn of(operation: &str) -> Self {
        Self { operation: operation.to_owned(), violations: Vec::new() }
    }

    fn add(&mut self, place: &str, message: impl Into<String>) {
        let operation = self.operation.clone();
        self.violations.push(Violation { operation, place: place.to_owned(), message: message.into() });
    }
}

fn check_json(found: &mut Found, place: &str, schema: &Validator, body: &[u8]) {
    match serde_json::from_slice::<Value>(body) {
        Ok(value) => check_value(found, place, schema, &value),
        Err(error) => found.add(place, format!("is no JSON: {error}")),
    }
}

fn check_value(found: &mut Found, place: &str, schema: &Validator, value: &Value) {
    for error in schema.iter_errors(value) {
        let at = error.instance_path().to_string();
        let place = if at.is_empty() { place.to_owned() } else { format!("{place} {at}") };
        found.add(&place, error.masked().to_string());
    }
}

/// The paths of all members below a schema.
fn members_of(schema: &Value, definitions: &Value, at: &str) -> BTreeSet<String> {
    if let Some(name) = schema["$ref"].as_str().and_then(|target| target.strip_prefix("#/$defs/")) {
        return members_of(&definitions[name], definitions, at);
    }
    let mut found = schema.get("items").map(|items| members_of(items, definitions, at)).unwrap_or_default();
    for (name, member) in schema["properties"].as_object().into_iter().flatten() {
        let at = format!("{at}/{name}");
        found.extend(members_of(member, definitions, &at));
        found.insert(at);
    }
    found
}

/// A schema with the definitions of its file.
fn validator(schema: &Value, definitions: &Value) -> Validator {
    let mut schema = schema.clone();
    schema["$defs"] = definitions.clone();
    jsonschema::draft202012::new(&schema).unwrap_or_else(|error| panic!("{error} in {schema}"))
}

/// What stands in the places of the placeholders, decoded; `None` when the path is another one.
fn segments_of<'a>(template: &'a str, path: &str) -> Option<Vec<(&'a str, String)>> {
    let path = path.strip_suffix('/').filter(|path| !path.is_empty()).unwrap_or(path);
    let (wanted, found): (Vec<_>, Vec<_>) = (template.split('/').collect(), path.split('/').collect());
    if wanted.len() != found.len() {
        return None;
    }
    let mut segments = Vec::new();
    for (wanted, found) in wanted.into_iter().zip(found) {
        let found = percent_decode_str(found).decode_utf8().ok()?;
        match wanted.strip_prefix('{').and_then(|wanted| wanted.strip_suffix('}')) {
            Some(name) => segments.push((name, found.into_owned())),
            None if wanted == found => {}
            None => return None,
        }
    }
    Some(segments)
}

fn numbers(value: &Value) -> Vec<u16> {
    value.as_array().into_iter().flatten().filter_map(|n| n.as_u64()?.try_into().ok()).collect()
}

/// All JSON documents of a folder beside this file.
fn documents(folder: &str) -> Vec<(PathBuf, Value)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/contract").join(folder);
    let mut files: Vec<PathBuf> = std::fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.sort();
    files
        .into_iter()
        .map(|file| {
            let text = std::fs::read_to_string(&file).expect("a file that can be read");
            let document = serde_json::from_str(&text)
                .unwrap_or_else(|error| panic!("{} is no JSON: {error}", file.display()));
            (file, document)
        })
        .collect()
}
