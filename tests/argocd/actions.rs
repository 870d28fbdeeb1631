//! Which actions Argo CD offers, and what each changes.

use std::collections::BTreeSet;

use oms_operator::api::conditions::Reason;
use oms_operator::api::{self, PlanStatus, ReadyWhen, Retries, RetryObjects, TransferStatus};
use oms_operator::plan::situation::Row;
use serde_json::{Value, json};

use crate::cli;
use crate::statuses::{CONNECTIONS, TRANSFERS, transfer, transfer_object};

fn enabled(object: &Value) -> BTreeSet<String> {
    cli::offered(object).into_iter().filter(|(_, enabled)| *enabled).map(|(name, _)| name).collect()
}

fn names(of: &[&str]) -> BTreeSet<String> {
    of.iter().map(|&name| name.to_owned()).collect()
}

/// A status with a task at OMS.
fn begun(row: Row) -> TransferStatus {
    TransferStatus { task_id: Some("200477729979132".into()), ..transfer(row, ReadyWhen::Succeeded, false) }
}

fn task(spec: Value, status: &TransferStatus) -> Value {
    transfer_object("MigrationTask", spec, status)
}

/// What an action changes of an object; everything else stays as it is.
fn change(object: &Value, action: &str) -> (Value, Value) {
    let mut after = cli::act(object, action);
    let changed = (after["spec"].take(), after["metadata"].take());
    let mut before = object.clone();
    before["spec"].take();
    before["metadata"].take();
    assert_eq!(after, before, "{action} changes nothing but spec and metadata");
    changed
}

#[test]
fn each_kind_offers_what_it_can_do_and_argo_cd_knows_how() {
    let copying = ["reconcile", "suspend", "resume", "approve", "retry", "rerun"];
    for definition in api::crds() {
        let kind = definition.spec.names.kind;
        let wanted: &[&str] = match kind.as_str() {
            "MigrationTask" | "TaskGroup" => &copying,
            "SyncTask" => &copying[..4],
            _ => &copying[..1],
        };
        let object = transfer_object(&kind, json!({}), &TransferStatus::default());
        let offered: BTreeSet<_> = cli::offered(&object).into_iter().map(|(name, _)| name).collect();
        assert_eq!(offered, names(wanted), "{kind}");
        for action in wanted {
            // An action without a script is an error.
            cli::act(&transfer_object(&kind, json!({}), &plan_to_approve()), action);
        }
    }
}

fn plan_to_approve() -> TransferStatus {
    let status = transfer(Row::AwaitingApproval, ReadyWhen::Succeeded, false);
    let plan = PlanStatus { hash: "5a1e".into(), summary: "Copies photos".into() };
    TransferStatus { plan: Some(plan), ..status }
}

#[test]
fn an_action_is_offered_while_it_would_do_something() {
    let cases: [(Row, Value, &[&str]); 8] = [
        (Row::Active, json!({}), &["reconcile", "suspend"]),
        (Row::Suspended, json!({ "suspend": true }), &["reconcile", "resume"]),
        (Row::StoppedExternally, json!({}), &["reconcile", "suspend"]),
        (Row::Succeeded, json!({}), &["reconcile", "rerun"]),
        (Row::SucceededWithFailures, json!({}), &["reconcile", "rerun"]),
        (Row::Failed, json!({}), &["reconcile", "suspend", "retry", "rerun"]),
        (Row::RetryDue, json!({}), &["reconcile", "suspend", "retry", "rerun"]),
        // It is only looked at.
        (Row::Failed, json!({ "managementPolicy": "Observe" }), &["reconcile"]),
    ];
    for (row, spec, wanted) in cases {
        assert_eq!(enabled(&task(spec.clone(), &begun(row))), names(wanted), "{row:?} with {spec}");
    }
    let mut leaving = task(json!({}), &begun(Row::Deleting));
    leaving["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    assert_eq!(enabled(&leaving), names(&[]));
    // Refused before there was a task.
    let refused = task(json!({}), &transfer(Row::Hopeless, ReadyWhen::Succeeded, false));
    assert_eq!(enabled(&refused), names(&["reconcile", "suspend"]));
}

#[test]
fn a_task_that_cannot_be_started_again_offers_another_run_and_no_retry() {
    for reason in [Reason::RetryNotPossible, Reason::RemoteTaskGone] {
        let mut status = begun(Row::Failed);
        status.conditions.iter_mut().for_each(|condition| condition.reason = reason.as_str().to_owned());
        assert_eq!(
            enabled(&task(json!({}), &status)),
            names(&["reconcile", "suspend", "rerun"]),
            "{reason:?}"
        );
    }
}

#[test]
fn approve_takes_the_hash_of_the_plan_that_waits() {
    for kind in TRANSFERS {
        let object = transfer_object(kind, json!({ "approval": "Required" }), &plan_to_approve());
        assert!(enabled(&object).contains("approve"), "{kind}");
        let (spec, _) = change(&object, "approve");
        assert_eq!(spec, json!({ "approval": "Required", "approvedPlan": "5a1e" }));
    }
}

#[test]
fn suspend_sets_the_field_and_resume_takes_it_away() {
    let running = task(json!({ "type": "prefix" }), &begun(Row::Active));
    assert_eq!(change(&running, "suspend").0, json!({ "type": "prefix", "suspend": true }));
    let suspended = task(json!({ "type": "prefix", "suspend": true }), &begun(Row::Suspended));
    assert_eq!(change(&suspended, "resume").0, json!({ "type": "prefix" }));
}

#[test]
fn reconcile_leaves_the_other_annotations_alone() {
    for kind in CONNECTIONS.into_iter().chain(TRANSFERS).chain(["SyncEvent"]) {
        let mut object = transfer_object(kind, json!({ "region": "cn-north-4" }), &TransferStatus::default());
        object["metadata"]["annotations"] = json!({ "team": "media" });
        let (spec, metadata) = change(&object, "reconcile");
        assert_eq!(spec, object["spec"], "{kind}");
        assert_eq!(metadata["annotations"]["team"], "media", "{kind}");
        let word = metadata["annotations"][api::RECONCILE_REQUESTED_AT].as_str().unwrap();
        assert!(word.parse::<jiff::Timestamp>().is_ok(), "{kind}: {word}");
    }
}

#[test]
fn rerun_asks_for_a_run_with_a_word_of_its_own() {
    let done = task(json!({ "rerun": "2026-01-01" }), &begun(Row::Succeeded));
    let (spec, _) = change(&done, "rerun");
    let word = spec["rerun"].as_str().unwrap();
    assert!(word.parse::<jiff::Timestamp>().is_ok() && word.len() <= 64, "{word}");
}

/// It makes room for one more start, whatever was made and allowed before.
#[test]
fn retry_of_a_task_that_was_given_up_allows_one_more_start() {
    let mut status = begun(Row::Failed);
    let failed = task(json!({}), &status);
    assert_eq!(change(&failed, "retry").0, json!({ "retry": { "limit": 1 } }));
    status.retries = Some(Retries { made: 3, objects: RetryObjects::All });
    let spent = task(json!({ "retry": { "limit": 3, "objects": "All" } }), &status);
    assert_eq!(change(&spent, "retry").0, json!({ "retry": { "limit": 4, "objects": "All" } }));
    // The schema allows no more.
    status.retries = Some(Retries { made: 100, objects: RetryObjects::All });
    assert!(!enabled(&task(json!({ "retry": { "limit": 100 } }), &status)).contains("retry"));
}

#[test]
fn retry_of_a_task_that_waits_for_its_next_start_only_asks_for_it_now() {
    let waiting = task(json!({ "retry": { "limit": 3 } }), &begun(Row::RetryDue));
    let (spec, metadata) = change(&waiting, "retry");
    assert_eq!(spec, waiting["spec"]);
    assert!(metadata["annotations"][api::RECONCILE_REQUESTED_AT].is_string());
}
