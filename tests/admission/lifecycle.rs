//! Rows about how the operator treats a task, for every kind that has one: what every one of them takes, and where it ends.

use kube::{Api, api::DynamicObject};
use oms_operator::api::{MigrationTask, SyncTask, TaskGroup};
use serde_json::{Value, json};

use super::{
    client, dry_run, groups, kubectl_apply, kubectl_apply_text, merged, object, resource_of, sync, verdict,
};

/// Kinds whose objects copy once, and may do so again.
const COPIES: [&str; 2] = ["MigrationTask", "TaskGroup"];

fn spec(kind: &str) -> Value {
    match kind {
        "MigrationTask" => object(),
        "TaskGroup" => groups::prefixes(),
        _ => sync::sync_task(),
    }
}

fn manifest(kind: &str, patch: &Value) -> Value {
    json!({
        "apiVersion": "oms-operator.io/v1alpha1", "kind": kind,
        "metadata": { "generateName": "row-" }, "spec": merged(spec(kind), patch),
    })
}

/// Kinds, changes to their specs, and where and how the server refuses the outcome.
type Refused = (&'static [&'static str], Value, &'static str, &'static str);

fn refused() -> Vec<Refused> {
    const ALL: &[&str] = &["MigrationTask", "TaskGroup", "SyncTask"];
    let copies: &[&str] = &COPIES;
    vec![
        (ALL, json!({ "suspend": "yes" }), "spec.suspend", "must be of type boolean"),
        (ALL, json!({ "deletionPolicy": "Keep" }), "spec.deletionPolicy", "Unsupported value"),
        (ALL, json!({ "readyWhen": "Done" }), "spec.readyWhen", "Unsupported value"),
        (
            ALL,
            json!({ "managementPolicy": "Observe" }),
            "spec.adopt",
            "name it in `adopt`, or choose `Manage`",
        ),
        (ALL, json!({ "managementPolicy": "Look" }), "spec.managementPolicy", "Unsupported value"),
        (ALL, json!({ "driftPolicy": "Ignore" }), "spec.driftPolicy", "\"Report\", \"Enforce\""),
        (ALL, json!({ "preflight": "None" }), "spec.preflight", "\"Full\", \"Off\""),
        (ALL, json!({ "preflight": false }), "spec.preflight", "must be of type string"),
        (ALL, json!({ "approval": "Manual" }), "spec.approval", "\"Auto\", \"Required\""),
        (ALL, json!({ "approvedPlan": "a".repeat(65) }), "spec.approvedPlan", "64"),
        (ALL, json!({ "approvedPlan": 7 }), "spec.approvedPlan", "must be of type string"),
        (ALL, json!({ "acknowledge": ["Everything"] }), "spec.acknowledge[0]", "Unsupported value"),
        (ALL, json!({ "acknowledge": ["NoCheck", "NoCheck"] }), "spec.acknowledge[1]", "Duplicate value"),
        (ALL, json!({ "connectionRef": {} }), "spec.connectionRef.name", "Required value"),
        (ALL, json!({ "connectionRef": { "name": "" } }), "spec.connectionRef.name", "at least 1"),
        (ALL, json!({ "connectionRef": { "name": "c".repeat(254) } }), "spec.connectionRef.name", "253"),
        (ALL, json!({ "source": null }), "spec.source", "add `source`"),
        (ALL, json!({ "destination": null }), "spec.destination", "add `destination`"),
        // Runs.
        (copies, json!({ "retry": { "limit": -1 } }), "spec.retry.limit", "greater than or equal to 0"),
        (copies, json!({ "retry": { "limit": 101 } }), "spec.retry.limit", "less than or equal to 100"),
        (copies, json!({ "retry": { "limit": "3" } }), "spec.retry.limit", "must be of type integer"),
        (copies, json!({ "retry": { "limit": 1.5 } }), "spec.retry.limit", "must be of type integer"),
        (copies, json!({ "retry": { "objects": "Some" } }), "spec.retry.objects", "\"Failed\", \"All\""),
        (copies, json!({ "retry": 3 }), "spec.retry", "must be of type object"),
        (copies, json!({ "rerun": "r".repeat(65) }), "spec.rerun", "64"),
        (copies, json!({ "rerun": 20_261_120 }), "spec.rerun", "must be of type string"),
        (copies, json!({ "onCredentialChange": "Restart" }), "spec.onCredentialChange", "Unsupported value"),
        // What exists already.
        (copies, json!({ "adopt": {} }), "spec.adopt", "Required value"),
        (&["TaskGroup"], json!({ "adopt": { "groupId": "" } }), "spec.adopt.groupId", "at least 1"),
        (&["TaskGroup"], json!({ "adopt": { "groupId": "a/b" } }), "spec.adopt.groupId", "should match"),
        (&["TaskGroup"], json!({ "adopt": { "groupId": "g".repeat(65) } }), "spec.adopt.groupId", "64"),
        (&["SyncTask"], json!({ "adopt": {} }), "spec.adopt.syncTaskId", "Required value"),
        (&["SyncTask"], json!({ "adopt": { "syncTaskId": "a b" } }), "spec.adopt.syncTaskId", "should match"),
        (&["SyncTask"], json!({ "adopt": { "syncTaskId": "s".repeat(65) } }), "spec.adopt.syncTaskId", "64"),
    ]
}

fn accepted() -> Vec<(&'static [&'static str], Value)> {
    const ALL: &[&str] = &["MigrationTask", "TaskGroup", "SyncTask"];
    let copies: &[&str] = &COPIES;
    vec![
        (ALL, json!({ "suspend": true, "deletionPolicy": "StopAndKeep", "readyWhen": "Accepted" })),
        (ALL, json!({ "approval": "Required", "approvedPlan": "" })),
        (ALL, json!({ "approval": "Auto", "approvedPlan": "a".repeat(64) })),
        (ALL, json!({ "preflight": "Off", "driftPolicy": "Enforce" })),
        (ALL, json!({ "acknowledge": ["FullOverwrite", "NoCheck", "RestoreAgain"] })),
        (ALL, json!({ "connectionRef": { "kind": "ClusterConnection", "name": "c".repeat(253) } })),
        (copies, json!({ "retry": {} })),
        (copies, json!({ "retry": { "limit": 0 } })),
        (copies, json!({ "retry": { "limit": 100, "objects": "All" } })),
        (copies, json!({ "rerun": "" })),
        (copies, json!({ "rerun": "r".repeat(64), "onCredentialChange": "Ignore" })),
        // A word that is there from the start names the run of the task that is taken over.
        (&["MigrationTask"], json!({ "adopt": { "taskId": "1" }, "rerun": "first" })),
        (&["TaskGroup"], json!({ "adopt": { "groupId": "g".repeat(64) }, "rerun": "first" })),
        (&["SyncTask"], json!({ "adopt": { "syncTaskId": "s".repeat(64) } })),
        (
            &["SyncTask"],
            json!({ "adopt": { "syncTaskId": "s" }, "managementPolicy": "Observe", "source": null, "destination": null }),
        ),
        (
            &["TaskGroup"],
            json!({ "adopt": { "groupId": "g" }, "managementPolicy": "Observe", "source": null, "destination": null }),
        ),
    ]
}

#[tokio::test]
async fn how_a_task_is_treated_is_checked_for_every_kind_alike() {
    let client = client().await;
    let api = |kind: &str| {
        let resource = match kind {
            "MigrationTask" => resource_of::<MigrationTask>(),
            "TaskGroup" => resource_of::<TaskGroup>(),
            _ => resource_of::<SyncTask>(),
        };
        Api::<DynamicObject>::namespaced_with(client.clone(), "default", &resource)
    };
    let mut failures = Vec::new();
    for (kinds, patch, field, fragment) in refused() {
        for kind in kinds {
            match dry_run(&api(kind), &manifest(kind, &patch)).await {
                Ok(_) => failures.push(format!("{kind} accepted {patch}")),
                Err(message) if !message.contains(field) || !message.contains(fragment) => {
                    failures.push(format!("{kind} {patch}: wanted {field}: {fragment}\n    got {message}"));
                }
                Err(_) => {}
            }
        }
    }
    for (kinds, patch) in accepted() {
        for kind in kinds {
            if let Err(message) = dry_run(&api(kind), &manifest(kind, &patch)).await {
                failures.push(format!("{kind} refused {patch}: {message}"));
            }
        }
    }
    verdict(failures);
}

#[tokio::test]
async fn a_retry_without_a_limit_is_three_retries_of_what_failed() {
    let client = client().await;
    let api = Api::<DynamicObject>::namespaced_with(client, "default", &resource_of::<TaskGroup>());
    let stored = dry_run(&api, &manifest("TaskGroup", &json!({ "retry": {} }))).await.unwrap();
    assert_eq!(stored.data["spec"]["retry"], json!({ "limit": 3, "objects": "Failed" }));
}

#[tokio::test]
async fn what_a_kind_does_not_have_is_named_by_kubectl() {
    client().await;
    for (kind, patch, field) in [
        ("TaskGroup", json!({ "priority": "HIGH" }), "spec.priority"),
        ("TaskGroup", json!({ "adopt": { "taskId": "1", "groupId": "g" } }), "spec.adopt.taskId"),
        ("SyncTask", json!({ "rerun": "again" }), "spec.rerun"),
        ("SyncTask", json!({ "retry": { "limit": 1 } }), "spec.retry"),
        ("SyncTask", json!({ "bandwidthPolicy": [] }), "spec.bandwidthPolicy"),
        ("SyncTask", json!({ "notification": {} }), "spec.notification"),
        ("SyncTask", json!({ "source": { "objectKeys": ["a"] } }), "spec.source.objectKeys"),
        ("SyncTask", json!({ "destination": { "prefix": "p/" } }), "spec.destination.prefix"),
    ] {
        let mut manifest = manifest(kind, &patch);
        manifest["metadata"] = json!({ "name": "unknown", "namespace": "default" });
        let output = kubectl_apply(&manifest);
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success(), "{kind} accepted {patch}");
        assert!(message.contains(&format!("unknown field \"{field}\"")), "{message}");
    }
}

/// YAML takes the bare word as a boolean, which the field's documentation warns of.
#[tokio::test]
async fn checks_that_are_off_without_quotes_are_refused_at_their_field() {
    client().await;
    let mut manifest = manifest("MigrationTask", &json!({ "preflight": "Off" }));
    manifest["metadata"] = json!({ "name": "quoted", "namespace": "default" });
    let quoted = serde_yaml::to_string(&manifest).unwrap().replace("preflight: Off", "preflight: \"Off\"");
    let bare = quoted.replace("preflight: \"Off\"", "preflight: Off");
    assert_ne!(quoted, bare);
    let output = kubectl_apply_text(&quoted);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let output = kubectl_apply_text(&bare);
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && message.contains("spec.preflight"), "{message}");
    assert!(message.contains("must be of type string: \"boolean\""), "{message}");
}
