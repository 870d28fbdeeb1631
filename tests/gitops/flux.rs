//! The health checks for Flux, evaluated as its controllers do (RFC 0009): a status about another generation is in
//! progress, then the expressions are asked in the order inProgress, failed, current; none of them: in progress.
//! The engine is another than Flux's, so the expressions keep to what the CEL specification has.

use std::collections::{BTreeMap, BTreeSet};

use cel::{Context, Program, Value as CelValue};
use oms_operator::api;
use oms_operator::api::ReadyWhen;
use oms_operator::plan::situation::Row;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::statuses::{self, Health, TRANSFERS};
use crate::{documents, read, render_with};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    Current,
    InProgress,
    Failed,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct HealthCheck {
    api_version: String,
    kind: String,
    current: String,
    in_progress: String,
    failed: String,
}

fn library() -> BTreeMap<String, HealthCheck> {
    let patch = &documents(&read("flux/health-checks.yaml"))[0];
    let checks: Vec<HealthCheck> = serde_json::from_value(patch["spec"]["healthCheckExprs"].clone()).unwrap();
    checks.into_iter().map(|check| (check.kind.clone(), check)).collect()
}

fn holds(expression: &str, object: &Value) -> bool {
    let mut context = Context::default();
    for (name, value) in object.as_object().unwrap() {
        context.add_variable(name.clone(), value.clone()).unwrap();
    }
    match Program::compile(expression).unwrap().execute(&context) {
        Ok(CelValue::Bool(holds)) => holds,
        other => panic!("{expression}: {other:?} for {object:#}"),
    }
}

fn evaluate(check: &HealthCheck, object: &Value) -> Status {
    let (observed, generation) = (&object["status"]["observedGeneration"], &object["metadata"]["generation"]);
    if observed.is_i64() && observed != generation {
        return Status::InProgress;
    }
    for (expression, status) in [
        (&check.in_progress, Status::InProgress),
        (&check.failed, Status::Failed),
        (&check.current, Status::Current),
    ] {
        if holds(expression, object) {
            return status;
        }
    }
    Status::InProgress
}

#[test]
fn flux_waits_for_fails_with_and_accepts_what_the_table_of_statuses_says() {
    let library = library();
    for fixture in statuses::all() {
        let mut object = fixture.object;
        if object.get("status").is_none() {
            // As the API server stores an object without one.
            object["status"] = json!({ "observedGeneration": -1 });
        }
        let accepted = object["spec"]["readyWhen"] == "Accepted"
            && object["status"]["conditions"][0]["reason"] == "Suspended";
        let wanted = match fixture.health {
            Health::Healthy => Status::Current,
            Health::Degraded => Status::Failed,
            // Flux knows no third word for what waits for a person: it is as Ready as its `readyWhen` says.
            Health::Suspended if accepted => Status::Current,
            Health::Suspended | Health::Progressing => Status::InProgress,
        };
        let check = &library[object["kind"].as_str().unwrap()];
        assert_eq!(evaluate(check, &object), wanted, "{}: {object:#}", fixture.name);
    }
}

/// kstatus sees a task that is only observed and has failed as in progress, for ever.
#[test]
fn flux_sees_the_failure_of_a_task_that_is_only_observed() {
    let status = statuses::transfer(Row::Failed, ReadyWhen::Succeeded, true);
    assert!(status.conditions.iter().all(|condition| condition.type_ != "Stalled"));
    for kind in TRANSFERS {
        let object = statuses::transfer_object(kind, json!({ "managementPolicy": "Observe" }), &status);
        assert_eq!(evaluate(&library()[kind], &object), Status::Failed);
    }
}

#[test]
fn flux_has_a_health_check_for_every_kind() {
    let library = library();
    let kinds: BTreeSet<_> =
        api::crds().iter().map(|definition| definition.spec.names.kind.clone()).collect();
    assert_eq!(library.keys().cloned().collect::<BTreeSet<_>>(), kinds);
    for check in library.values() {
        assert_eq!(check.api_version, format!("{}/{}", api::GROUP, api::VERSION));
    }
}

#[test]
fn the_component_gives_the_health_checks_to_every_kustomization_of_flux() {
    let rendered = render_with("flux", &read("flux/example.yaml"));
    let flux = rendered.iter().find(|document| document["kind"] == "Kustomization").unwrap();
    assert_eq!(flux["metadata"]["name"], "migrations");
    assert_eq!(flux["spec"]["healthCheckExprs"].as_array().unwrap().len(), api::crds().len());
    assert_eq!(flux["spec"]["wait"], true);
    let repository = rendered.iter().find(|document| document["kind"] == "GitRepository").unwrap();
    assert!(repository["spec"].get("healthCheckExprs").is_none());
}
