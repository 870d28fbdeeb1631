//! Bodies and queries that no good client sends: whatever comes, there is a refusal or a success, and never an error of
//! the emulator or a cut connection.

use std::{collections::BTreeSet, path::Path};

use oms_operator::emulator::route::{Access, cloud_operations};
use proptest::{
    prelude::*,
    strategy::ValueTree as _,
    test_runner::{Config as Runs, RngAlgorithm, TestRng, TestRunner},
};
use serde_json::{Map, Value, json};

use crate::{
    contract::examples::{Example, What},
    raw::{Raw, Reply, connect, reply},
    world::{self, PROJECT, World},
};

/// An ID that nothing has.
const NOBODY: &str = "123456789012345";

/// An operation that can be called.
#[derive(Clone, Debug)]
struct Call {
    operation: &'static str,
    method: &'static str,
    path: String,
    is_signed: bool,
}

fn calls() -> Vec<Call> {
    cloud_operations()
        .map(|(operation, method, path, access)| Call {
            operation,
            method: match method.as_str() {
                "GET" => "GET",
                "POST" => "POST",
                "PUT" => "PUT",
                "DELETE" => "DELETE",
                other => panic!("{other}"),
            },
            path: path.replace("{project}", PROJECT).replace("{target}", NOBODY),
            is_signed: access == Access::Signed,
        })
        .collect()
}

impl Call {
    /// The same about something that exists.
    fn about(&self, id: &str) -> Self {
        Self { path: self.path.replace(NOBODY, id), ..self.clone() }
    }

    async fn send(&self, world: &World, query: &str, body: impl Into<Vec<u8>>) -> Reply {
        let mut request = Raw::new(self.method, &self.path).body(body);
        query.clone_into(&mut request.query);
        let request = if self.is_signed { request.signed(world) } else { request.header("host", "x") };
        let mut stream = connect(world).await;
        tokio::io::AsyncWriteExt::write_all(&mut stream, &request.bytes()).await.unwrap();
        let answer = reply(&mut stream).await;
        answer.unwrap_or_else(|| panic!("{}: the connection was cut", self.operation))
    }
}

/// Success, or a refusal with a code.
#[track_caller]
fn expect_sense(call: &Call, what: &str, answer: &Reply) {
    let refused = answer.body["error_code"].is_string() || answer.body["error"]["code"].is_number();
    assert!(
        answer.status < 300 || ((400..500).contains(&answer.status) && refused),
        "{} of {what}: {answer:?}",
        call.operation
    );
}

/// Without quotas, so that each call gets to what is wrong with it.
async fn start() -> (oms_operator::emulator::server::Emulator, World) {
    let limits = json!({
        "tasksPerDay": 1_000_000, "waitingTasks": 1_000_000, "groupsPerDay": 1_000_000, "syncTasks": 1_000_000,
        "runningTasks": 1, "runningGroups": 1,
    });
    World::start(world::config(json!({ "limits": limits, "behaviour": { "minimumRunMs": 3_600_000 } }))).await
}

#[tokio::test]
async fn what_is_no_json_or_no_object_is_refused_by_every_operation_with_a_body() {
    let (_emulator, world) = start().await;
    let bodies: [&[u8]; 12] = [
        b"{",
        b"[]",
        b"null",
        b"1",
        b"\"text\"",
        b"{\"a\":1}x",
        b"{\"a\":\xff}",
        b"\xef\xbb\xbf{}",
        b"{'a':1}",
        b"\x00",
        b"<xml/>",
        &[b'['; 10_000],
    ];
    for call in calls() {
        for body in bodies {
            let answer = call.send(&world, "", body).await;
            expect_sense(&call, &String::from_utf8_lossy(&body[..body.len().min(20)]), &answer);
            if with_body().contains(call.operation) {
                assert_eq!(answer.status, 400, "{} took {body:?}: {answer:?}", call.operation);
            }
        }
    }
    world.get(&format!("/v2/{PROJECT}/tasks")).await.expect_ok();
}

/// The operations of the contract that must have a body.
fn with_body() -> BTreeSet<String> {
    schemas()
        .into_iter()
        .filter(|schema| schema.required)
        .map(|schema| schema.operation)
        // Every member of theirs is optional, so nothing is as good as an empty object.
        .filter(|operation| operation != "RetryTaskGroup")
        .collect()
}

/// The schema of a request.
struct Schema {
    operation: String,
    required: bool,
    body: Value,
    definitions: Value,
}

fn schemas() -> Vec<Schema> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/contract/schemas");
    let mut found = Vec::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let document: Value = serde_json::from_slice(&std::fs::read(file.unwrap().path()).unwrap()).unwrap();
        for (name, operation) in document["operations"].as_object().into_iter().flatten() {
            if let Some(request) = operation.get("request") {
                found.push(Schema {
                    operation: name.clone(),
                    required: request["required"] == true,
                    body: request["schema"].clone(),
                    definitions: document["$defs"].clone(),
                });
            }
        }
    }
    found
}

/// A member with a value that the contract does not allow.
#[derive(Clone, Debug)]
struct Break {
    path: Vec<String>,
    kind: &'static str,
    value: Value,
}

/// Every member of a schema, with one value beyond each of its limits.
fn breaks(schema: &Value, definitions: &Value, path: &[String], found: &mut Vec<Break>) {
    if let Some(name) = schema["$ref"].as_str().and_then(|target| target.strip_prefix("#/$defs/")) {
        return breaks(&definitions[name], definitions, path, found);
    }
    let mut add = |kind, value| found.push(Break { path: path.to_vec(), kind, value });
    if !path.is_empty() {
        let wrong = match schema["type"].as_str() {
            Some("string") => json!({ "a": 1 }),
            Some("object") => json!("text"),
            Some("array") => json!({ "0": "x" }),
            _ => json!(["x"]),
        };
        add("type", wrong);
    }
    if let Some(most) = schema["maxLength"].as_u64().filter(|most| *most < 1_000_000) {
        add("maxLength", json!("x".repeat(usize::try_from(most).unwrap() + 1)));
    }
    if let Some(most) = schema["maximum"].as_i64().filter(|most| *most < i64::MAX) {
        add("maximum", json!(most + 1));
    }
    if let Some(least) = schema["minimum"].as_i64() {
        add("minimum", json!(least - 1));
    }
    if schema["enum"].is_array() {
        add("enum", json!("NOT_ONE_OF_THEM"));
    }
    if let Some(most) = schema["maxItems"].as_u64() {
        let item = match schema["items"]["type"].as_str() {
            Some("integer") => json!(1),
            Some("string") => json!("x"),
            _ => json!({ "start": "01:00", "end": "02:00", "max_bandwidth": 1_048_576 }),
        };
        let items: Vec<Value> = (0..=most)
            .map(|number| if item.is_number() { json!(number + 1) } else { item.clone() })
            .collect();
        add("maxItems", Value::Array(items));
    }
    for (name, member) in schema["properties"].as_object().into_iter().flatten() {
        let path = [path, std::slice::from_ref(name)].concat();
        breaks(member, definitions, &path, found);
    }
}

/// The body with a member replaced.
fn broken(body: &Value, path: &[String], value: &Value) -> Value {
    let Some((name, rest)) = path.split_first() else { return value.clone() };
    let mut members = body.as_object().cloned().unwrap_or_else(Map::new);
    let inner = members.get(name).cloned().unwrap_or(Value::Null);
    members.insert(name.clone(), broken(&inner, rest, value));
    Value::Object(members)
}

/// A body that the operation reads without complaint.
fn good_body(operation: &str) -> Value {
    match operation {
        "CreateTask" | "CreateTaskGroup" => {
            let mut body = world::task(json!({}));
            if operation == "CreateTaskGroup" {
                body["task_type"] = json!("PREFIX");
            }
            body
        }
        "StartTask" | "StartTaskGroup" | "RetryTaskGroup" | "StartSyncTask" => crate::sync::keys(),
        "CreateSyncTask" => crate::sync::body(json!({})),
        "UpdateBandwidthPolicy" | "UpdateTaskGroup" => {
            json!({ "bandwidth_policy": [{ "start": "01:00", "end": "02:00", "max_bandwidth": 1_048_576 }] })
        }
        _ => Example::all()
            .into_iter()
            .filter(|example| example.operation == operation && example.deviates.is_none())
            .find_map(|example| match example.what {
                What::Request { body, .. } => body,
                What::Response { .. } => None,
            })
            .unwrap_or_else(|| json!({})),
    }
}

#[tokio::test]
async fn one_beyond_every_documented_limit_is_refused() {
    let (_emulator, world) = start().await;
    let calls = calls();
    let sync_task = world.created_sync().await;
    assert_eq!(world.stop_sync(&sync_task).await.status, 200);
    let (mut tried, mut unnoticed) = (0, BTreeSet::new());
    for schema in schemas() {
        let Some(call) = calls.iter().find(|call| call.operation.eq_ignore_ascii_case(&schema.operation))
        else {
            continue;
        };
        // What does not exist is refused before its body is looked at.
        let call = &if call.path.contains("/sync-tasks/") { call.about(&sync_task) } else { call.clone() };
        let good = good_body(call.operation);
        let well = call.send(&world, "", good.to_string()).await;
        let mut found = Vec::new();
        breaks(&schema.body, &schema.definitions, &[], &mut found);
        for breach in found {
            tried += 1;
            let body = broken(&good, &breach.path, &breach.value);
            let answer = call.send(&world, "", body.to_string()).await;
            let what = format!("{} /{} {}", call.operation, breach.path.join("/"), breach.kind);
            expect_sense(call, &what, &answer);
            if (answer.status, &answer.body["error_code"]) == (well.status, &well.body["error_code"])
                && answer.body["error_detail"] == well.body["error_detail"]
            {
                unnoticed.insert(what);
            }
        }
    }
    println!("{tried} limits, {} of them not kept:\n{unnoticed:#?}", unnoticed.len());
    assert!(tried > 200, "{tried}");
    let known: BTreeSet<String> = LENIENT.iter().map(ToString::to_string).collect();
    assert_eq!(unnoticed, known, "limits that the emulator does not keep");
}

/// What the emulator lets pass although the contract has a limit.
const LENIENT: &[&str] = &[
    // The printed range begins at 0.
    "ShowBucketObjects /page_size minimum",
];

#[tokio::test]
async fn queries_of_any_kind_are_answered_or_refused() {
    let (_emulator, world) = start().await;
    for call in calls().iter().filter(|call| call.method == "GET") {
        for query in [
            "limit=0",
            "limit=101",
            "limit=-1",
            "limit=x",
            "limit=",
            "limit",
            "limit=1&limit=2",
            "limit=99999999999999999999999",
            "offset=-1",
            "offset=2147483648",
            "offset=18446744073709551615",
            "status=0",
            "status=x",
            "status=99",
            "query_time=-1",
            "query_time=9223372036854775808",
            "start_time=x&end_time=y",
            "start_time=5&end_time=1&data_type=NOTHING",
            "group_id=",
            "unknown=1",
            "a=1&=2&b",
        ] {
            let answer = call.send(&world, &canonical(query), "").await;
            expect_sense(call, query, &answer);
        }
    }
}

/// The query as it is signed: sorted, every name with a value.
fn canonical(query: &str) -> String {
    let mut pairs: Vec<(&str, &str)> =
        query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, ""))).collect();
    pairs.sort_unstable();
    pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

/// Any JSON, biased to what requests are made of.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        Just(json!(u64::MAX)),
        "\\PC{0,40}".prop_map(Value::from),
        prop_oneof!["AWS", "HuaweiCloud", "prefix", "list", "url_list", "", "00:00", "HIGH"]
            .prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec(("[a-z_]{1,12}", inner), 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// A good body with any of its members replaced, removed, or cut off in the middle of its text.
fn mutated(good: Value) -> impl Strategy<Value = Vec<u8>> {
    let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<bool>(), any_json()), 1..4);
    (changes, any::<prop::sample::Index>(), 0_u8..8).prop_map(move |(changes, cut, fate)| {
        let mut body = good.clone();
        for (place, remove, value) in changes {
            let pointers = pointers(&body, "");
            if pointers.is_empty() {
                body = value;
                continue;
            }
            let pointer = place.get(&pointers);
            if let Some(found) = body.pointer_mut(pointer) {
                *found = if remove { Value::Null } else { value };
            }
        }
        let mut bytes = body.to_string().into_bytes();
        match fate {
            0 => bytes.truncate(cut.index(bytes.len() + 1)),
            1 if !bytes.is_empty() => {
                let at = cut.index(bytes.len());
                bytes[at] ^= 0x55;
            }
            _ => {}
        }
        bytes
    })
}

fn pointers(value: &Value, at: &str) -> Vec<String> {
    let children: Vec<(String, &Value)> = match value {
        Value::Object(members) => members.iter().map(|(name, value)| (name.clone(), value)).collect(),
        Value::Array(items) => items.iter().enumerate().map(|(i, value)| (i.to_string(), value)).collect(),
        _ => Vec::new(),
    };
    let mut found = Vec::new();
    for (name, child) in children {
        let at = format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"));
        found.extend(pointers(child, &at));
        found.push(at);
    }
    found
}

#[tokio::test]
async fn no_bytes_make_an_operation_fail() {
    const BODIES: usize = 60;

    let (_emulator, world) = start().await;
    let mut runner = TestRunner::new_with_rng(
        Runs::default(),
        // The same bodies every time; a failure can be looked at again.
        TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]),
    );
    for call in calls() {
        let good = match call.operation {
            "KeystoneCreateUserTokenByPassword" => json!({ "auth": {
                "identity": { "methods": ["password"], "password": { "user": {
                    "name": "a", "password": "b", "domain": { "name": "c" } } } },
                "scope": { "project": { "name": "cn-north-4" } },
            }}),
            "CreateTemporaryAccessKey" => json!({ "auth": { "identity": {
                "methods": ["token"], "token": { "id": "x", "duration_seconds": 900 } } } }),
            "AssumeAgencyWithOIDC" => json!({
                "provider_urn": "p", "agency_urn": "a", "agency_session_name": "s", "id_token": "a.b.c",
                "duration_seconds": 900,
            }),
            operation => good_body(operation),
        };
        let bodies = prop_oneof![
            1 => prop::collection::vec(any::<u8>(), 0..200),
            1 => any_json().prop_map(|value| value.to_string().into_bytes()),
            4 => mutated(good),
        ];
        for _ in 0..BODIES {
            let body = bodies.new_tree(&mut runner).unwrap().current();
            let answer = call.send(&world, "", body.clone()).await;
            expect_sense(&call, &String::from_utf8_lossy(&body), &answer);
        }
    }
    world.get(&format!("/v2/{PROJECT}/tasks")).await.expect_ok();
}
