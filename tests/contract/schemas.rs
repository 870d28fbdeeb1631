//! The contract itself: it is complete, it fits the reference's own examples, and it bites.

use serde_json::{Value, json};

use crate::contract::{
    Contract, Violation,
    examples::{Example, What},
};

/// The operations of the API reference: v2, and of v1 what v2 has no equal for.
pub const OPERATIONS: [&str; 37] = [
    "BatchUpdateTasks",
    "CheckPrefix",
    "CheckUrlSourceListFileFormat",
    "CreateSyncEvents",
    "CreateSyncTask",
    "CreateTask",
    "CreateTaskGroup",
    "DeleteSyncTask",
    "DeleteTask",
    "DeleteTaskGroup",
    "ListApiVersions",
    "ListSyncTaskStatistic",
    "ListSyncTasks",
    "ListTaskGroup",
    "ListTasks",
    "RetryTaskGroup",
    "ShowApiInfo",
    "ShowBucketList",
    "ShowBucketObjects",
    "ShowBucketRegion",
    "ShowCdnInfo",
    "ShowCloudType",
    "ShowRegionInfo",
    "ShowSyncTask",
    "ShowTask",
    "ShowTaskGroup",
    "StartSyncTask",
    "StartTask",
    "StartTaskGroup",
    "StopSyncTask",
    "StopTask",
    "StopTaskGroup",
    "UpdateBandwidthPolicy",
    "UpdatePrivacyAgreementRecord",
    "UpdateTaskGroup",
    "v1ListVersions",
    "v1ShowQuotas",
];

/// Whatever a check of an example finds.
fn violations(example: &Example) -> Vec<Violation> {
    let contract = Contract::load();
    match &example.what {
        What::Request { method, path, query, body } => {
            let body = body.as_ref().map(Value::to_string).unwrap_or_default();
            contract.check_request(&example.operation, method, path, query, body.as_bytes())
        }
        What::Response { status, body } => contract.check_response(
            &example.operation,
            *status,
            Some("application/json"),
            body.to_string().as_bytes(),
        ),
    }
}

#[test]
fn every_operation_of_the_reference_is_in_the_contract() {
    assert_eq!(Contract::load().operations().collect::<Vec<_>>(), OPERATIONS);
}

#[test]
fn every_operation_is_found_by_its_own_path() {
    let contract = Contract::load();
    for operation in contract.operations() {
        let (method, path) = contract.line(operation).unwrap();
        let path = path
            .replace("{project_id}", "2c0689c860ad4728a497c91ec0844383")
            .replace("{task_id}", "191297407830872");
        assert_eq!(contract.operation_of(method, &path), Some(operation), "{method} {path}");
    }
    assert_eq!(contract.operation_of("PUT", "/v2/p/tasks/1/access-keys"), None);
}

#[test]
fn examples_fit_the_schemas_unless_they_break_their_own_tables() {
    let examples = Example::all();
    assert!(examples.len() > 100, "the folder was read");
    for example in examples {
        let found = violations(&example);
        match &example.deviates {
            None => assert_eq!(found, [], "{}", example.title()),
            Some(reason) => assert!(!found.is_empty(), "{} fits, although: {reason}", example.title()),
        }
    }
}

#[test]
fn every_operation_with_a_body_has_an_example_of_it() {
    let examples = Example::all();
    for operation in OPERATIONS {
        assert!(examples.iter().any(|example| example.operation == operation), "{operation}");
    }
}

/// Every object in a value, by its JSON pointer.
fn objects(value: &Value, at: String, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                objects(member, format!("{at}/{name}"), found);
            }
            found.push(at);
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                objects(item, format!("{at}/{index}"), found);
            }
        }
        _ => {}
    }
}

#[test]
fn an_unknown_member_anywhere_is_a_violation() {
    let mut tried = 0;
    for example in Example::all().into_iter().filter(|example| example.deviates.is_none()) {
        let (What::Request { body: Some(body), .. } | What::Response { body, .. }) = &example.what else {
            continue;
        };
        let mut places = Vec::new();
        objects(body, String::new(), &mut places);
        for place in places {
            let mut changed = example.clone();
            let (What::Request { body: Some(body), .. } | What::Response { body, .. }) = &mut changed.what
            else {
                continue;
            };
            body.pointer_mut(&place).unwrap()["never_heard_of"] = json!(1);
            let found = violations(&changed);
            assert_ne!(found, [], "{} {place}", example.title());
            tried += 1;
        }
    }
    assert!(tried > 100, "{tried}");
}

/// A request whose body fits, and what is wrong with it after a change.
fn changed(operation: &str, change: impl Fn(&mut Value)) -> Vec<String> {
    let example = Example::all()
        .into_iter()
        .find(|example| {
            example.operation == operation
                && example.deviates.is_none()
                && matches!(&example.what, What::Request { body: Some(_), .. })
        })
        .unwrap();
    let mut example = example;
    if let What::Request { body: Some(body), .. } = &mut example.what {
        change(body);
    }
    violations(&example).iter().map(ToString::to_string).collect()
}

#[test]
fn types_limits_values_and_mandatory_members_are_held() {
    type Change = fn(&mut Value);
    let cases: [(&str, Change, &str); 16] = [
        ("CreateTask", |body| body["dst_node"]["region"] = json!(7), "/dst_node/region"),
        ("CreateTask", |body| body["dst_node"]["ak"] = json!(""), "/dst_node/ak"),
        ("CreateTask", |body| body["description"] = json!("a".repeat(256)), "/description"),
        ("CreateTask", |body| body["description"] = json!("a & b"), "/description"),
        ("CreateTask", |body| body["task_type"] = json!("LIST"), "/task_type"),
        ("CreateTask", |body| body["src_node"]["cloud_type"] = json!("aws"), "/src_node/cloud_type"),
        ("CreateTask", |body| body["src_node"] = json!({"cloud_type": "AWS"}), "list_file"),
        ("CreateTask", |body| body["src_node"]["crypto_type"] = json!("KMS"), "kms_key_id"),
        ("CreateTask", |body| body["migrate_since"] = json!(-1), "/migrate_since"),
        ("CreateTask", |body| body["enable_restore"] = json!("true"), "/enable_restore"),
        (
            "UpdateTaskGroup",
            |body| body["bandwidth_policy"][0]["max_bandwidth"] = json!(1024 * 1024 - 1),
            "/bandwidth_policy/0/max_bandwidth",
        ),
        (
            "UpdateTaskGroup",
            |body| {
                let window = body["bandwidth_policy"][0].clone();
                body["bandwidth_policy"] = json!(vec![window; 6]);
            },
            "/bandwidth_policy",
        ),
        ("BatchUpdateTasks", |body| body["ids"] = json!([1]), "request body"),
        ("CreateTaskGroup", |body| body["task_type"] = json!("list"), "/task_type"),
        ("CreateSyncEvents", |body| body["object_keys"] = json!(vec!["a"; 11]), "/object_keys"),
        ("ShowBucketObjects", |body| body["page_size"] = json!(101), "/page_size"),
    ];
    for (operation, change, place) in cases {
        let found = changed(operation, change);
        assert!(found.iter().any(|text| text.contains(place)), "{operation} {place}: {found:?}");
    }
}

#[test]
fn query_parameters_are_held() {
    let check = |operation: &str, path: &str, query: &str| {
        Contract::load().check_request(operation, "GET", path, query, b"")
    };
    let tasks = "/v2/p/tasks";
    assert_eq!(check("ListTasks", tasks, "limit=100&offset=0&status=2&task_name=a%20b"), []);
    for query in ["limit=0", "limit=101", "limit=ten", "status=6", "marker=1", "limit=1&limit=2"] {
        assert_ne!(check("ListTasks", tasks, query), [], "{query}");
    }
    let statistics = "/v2/p/sync-tasks/s/statistics";
    let check = |query: &str| check("ListSyncTaskStatistic", statistics, query);
    assert_eq!(check("data_type=REQUEST%2CSIZE&start_time=1&end_time=2"), []);
    assert_ne!(check("data_type=REQUEST&start_time=1"), []);
    assert_ne!(check("data_type=requests&start_time=1&end_time=2"), []);
}

#[test]
fn method_path_and_the_absence_of_a_body_are_held() {
    let check = |operation: &str, method: &str, path: &str, body: &[u8]| {
        Contract::load().check_request(operation, method, path, "", body)
    };
    assert_eq!(check("StopTask", "POST", "/v2/p/tasks/1/stop", b""), []);
    assert_ne!(check("StopTask", "PUT", "/v2/p/tasks/1/stop", b""), []);
    assert_ne!(check("StopTask", "POST", "/v2/p/tasks/1", b""), []);
    assert_ne!(check("StopTask", "POST", "/v2/p/tasks/one/stop", b""), []);
    assert_ne!(check("StopTask", "POST", "/v2/p/tasks/1/stop", b"{}"), []);
    assert_ne!(check("CreateTask", "POST", "/v2/p/tasks", b""), []);
    assert_ne!(check("CreateTask", "POST", "/v2/p/tasks", b"{"), []);
}

#[test]
fn answers_are_held_to_status_kind_and_shape() {
    let json = Some("application/json");
    let check = |operation: &str, status: u16, kind: Option<&str>, body: &str| {
        Contract::load().check_response(operation, status, kind, body.as_bytes())
    };
    let refusal = r#"{"error_code":"OMS.0064","error_msg":"Invalid request parameters."}"#;
    assert_eq!(check("ShowTask", 400, json, refusal), []);
    assert_eq!(check("Unknown", 404, json, refusal), []);
    assert_eq!(check("StopTask", 200, None, ""), []);
    assert_eq!(check("CheckPrefix", 200, json, r#"{"exist":true}"#), []);
    assert_ne!(check("CheckPrefix", 200, Some("text/html"), r#"{"exist":true}"#), []);
    assert_ne!(check("CheckPrefix", 200, json, r#"{"exist":"true"}"#), []);
    assert_ne!(check("CheckPrefix", 200, json, "{}"), []);
    assert_ne!(check("CheckPrefix", 202, json, r#"{"exist":true}"#), []);
    assert_ne!(check("StopTask", 200, json, "{}"), []);
    assert_ne!(check("ShowTask", 400, json, r#"{"error_code":"OMS.0064"}"#), []);
    assert_ne!(check("ShowTask", 400, json, r#"{"error_code":"wrong","error_msg":"no"}"#), []);
    assert_ne!(check("ShowTask", 400, Some("text/html"), "<html>"), []);
    assert_ne!(check("Unknown", 200, json, "{}"), []);
}

#[test]
fn a_violation_shows_no_value() {
    let found = changed("CreateTask", |body| {
        body["dst_node"]["sk"] = json!("planted-secret".repeat(20));
        body["src_node"]["sk"] = json!(["planted-secret"]);
    });
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(!found.concat().contains("planted"), "{found:?}");
}
