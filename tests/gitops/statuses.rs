//! An object with every status that the operator writes, and what its users are to see of it.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use oms_operator::api::conditions::{Reason, types};
use oms_operator::api::{self, ConnectionStatus, Phase, ReadyWhen, SyncEventStatus, TransferStatus};
use oms_operator::plan::connection::{Refusal, tell, tell_in_use};
use oms_operator::plan::situation::{self, Row, Situation, Verdict};
use serde_json::{Value, json};

/// What Argo CD shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Health {
    Healthy,
    Progressing,
    Suspended,
    Degraded,
}

/// An object as the API server has it, without the spec that its health does not depend on.
pub(crate) struct Fixture {
    /// What is special about it.
    pub(crate) name: String,
    pub(crate) object: Value,
    pub(crate) health: Health,
    pub(crate) message: String,
}

/// The kinds that have a task at OMS.
pub(crate) const TRANSFERS: [&str; 3] = ["MigrationTask", "TaskGroup", "SyncTask"];
/// The kinds that lead to OMS.
pub(crate) const CONNECTIONS: [&str; 2] = ["Connection", "ClusterConnection"];

const GENERATION: i64 = 3;
const PAUSED: &str = "Hands off";
const READY_WHEN: [ReadyWhen; 3] = [ReadyWhen::Succeeded, ReadyWhen::Started, ReadyWhen::Accepted];

/// The column `Argo CD` of the table of statuses.
pub(crate) fn health(row: Row, ready_when: ReadyWhen) -> Health {
    match row {
        Row::Blocked | Row::Queued | Row::Creating | Row::Stopping | Row::RetryDue | Row::Deleting => {
            Health::Progressing
        }
        Row::Active if ready_when == ReadyWhen::Succeeded => Health::Progressing,
        Row::Active | Row::Succeeded | Row::SucceededWithFailures | Row::Synchronizing => Health::Healthy,
        Row::Hopeless | Row::Failed => Health::Degraded,
        Row::AwaitingApproval | Row::Suspended | Row::StoppedExternally => Health::Suspended,
    }
}

/// Every fixture.
pub(crate) fn all() -> Vec<Fixture> {
    let mut all = Vec::new();
    for kind in TRANSFERS {
        transfers(kind, &mut all);
    }
    events(&mut all);
    for kind in CONNECTIONS {
        connections(kind, &mut all);
    }
    all
}

fn object(kind: &str, spec: Value, status: impl serde::Serialize) -> Value {
    json!({
        "apiVersion": format!("{}/{}", api::GROUP, api::VERSION),
        "kind": kind,
        "metadata": { "name": "photos", "namespace": "media", "generation": GENERATION },
        "spec": spec,
        "status": status,
    })
}

fn reason(row: Row) -> Reason {
    match row {
        Row::Blocked => Reason::SecretNotFound,
        Row::Hopeless => Reason::Refused,
        Row::AwaitingApproval => Reason::ApprovalRequired,
        Row::Queued => Reason::QuotaExceeded,
        Row::Creating => Reason::Creating,
        Row::Active => Reason::Running,
        Row::Stopping => Reason::Suspending,
        Row::Suspended => Reason::Suspended,
        Row::StoppedExternally => Reason::StoppedExternally,
        Row::RetryDue => Reason::RetryScheduled,
        Row::Succeeded => Reason::Succeeded,
        Row::SucceededWithFailures => Reason::SucceededWithFailures,
        Row::Failed => Reason::TaskFailed,
        Row::Synchronizing => Reason::Synchronizing,
        Row::Deleting => Reason::Deleting,
    }
}

fn told(row: Row, ready_when: ReadyWhen, observing: bool) -> (Verdict, Vec<Condition>, String) {
    let message = format!("What there is to say about {row:?}");
    let situation = Situation::new(row, reason(row), message.clone());
    let verdict = situation::judge(row, ready_when, observing);
    let conditions = situation::conditions(&[], &situation, verdict, GENERATION, Timestamp::UNIX_EPOCH);
    (verdict, conditions, message)
}

/// The status of a transfer in a row of the table.
pub(crate) fn transfer(row: Row, ready_when: ReadyWhen, observing: bool) -> TransferStatus {
    let (verdict, conditions, _) = told(row, ready_when, observing);
    TransferStatus {
        observed_generation: GENERATION,
        phase: Some(verdict.phase),
        conditions,
        ..TransferStatus::default()
    }
}

/// An object of a kind with a task at OMS.
pub(crate) fn transfer_object(kind: &str, spec: Value, status: &TransferStatus) -> Value {
    object(kind, spec, status)
}

fn transfers(kind: &str, all: &mut Vec<Fixture>) {
    for (observing, policy) in [(false, "Manage"), (true, "Observe")] {
        for ready_when in READY_WHEN {
            for row in Row::ALL {
                let spec = json!({ "readyWhen": ready_when, "managementPolicy": policy });
                let status = transfer(row, ready_when, observing);
                let (_, _, message) = told(row, ready_when, observing);
                let name = format!("{kind}, {policy}, readyWhen {ready_when:?}: {row:?}");
                let health = health(row, ready_when);
                let fixture = Fixture { name, object: object(kind, spec, &status), health, message };
                if observing || ready_when != ReadyWhen::Succeeded {
                    all.push(fixture);
                    continue;
                }
                all.extend(variants(&fixture));
                all.push(fixture);
                all.push(paused(kind, row, status));
            }
        }
    }
    let not_looked_at = object(kind, json!({}), TransferStatus::default());
    all.push(fresh(kind, not_looked_at.clone()));
    let mut none = not_looked_at.clone();
    none.as_object_mut().unwrap().remove("status");
    all.push(fresh(&format!("{kind} without a status"), none));
    let (mut status, message) = (TransferStatus::default(), PAUSED.to_owned());
    pause(&mut status.conditions);
    let name = format!("{kind} that is paused from the start");
    all.push(Fixture { name, object: object(kind, json!({}), status), health: Health::Suspended, message });
}

fn fresh(name: &str, object: Value) -> Fixture {
    let message = "The operator has not looked at it yet".to_owned();
    Fixture { name: format!("{name}, not looked at"), object, health: Health::Progressing, message }
}

/// The same with a spec that the operator has not seen yet, and the same on its way out.
fn variants(fixture: &Fixture) -> [Fixture; 2] {
    let (mut edited, mut leaving) = (fixture.object.clone(), fixture.object.clone());
    edited["metadata"]["generation"] = json!(GENERATION + 1);
    leaving["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    [
        Fixture {
            name: format!("{}, edited since", fixture.name),
            object: edited,
            health: Health::Progressing,
            message: "The operator has not looked at the change of the spec yet".to_owned(),
        },
        Fixture {
            name: format!("{}, being deleted", fixture.name),
            object: leaving,
            health: Health::Progressing,
            // Argo CD judges that by itself, before it asks us.
            message: "Pending deletion".to_owned(),
        },
    ]
}

fn pause(conditions: &mut Vec<Condition>) {
    let now = Timestamp::UNIX_EPOCH;
    situation::set(conditions, types::PAUSED, "True", Reason::Paused, PAUSED, GENERATION, now);
}

/// The pause stands beside the conditions of what came before it.
fn paused(kind: &str, row: Row, mut status: TransferStatus) -> Fixture {
    pause(&mut status.conditions);
    let (_, _, message) = told(row, ReadyWhen::Succeeded, false);
    let (health, message) = match health(row, ReadyWhen::Succeeded) {
        Health::Progressing => (Health::Suspended, PAUSED.to_owned()),
        stays => (stays, message),
    };
    Fixture {
        name: format!("{kind}, paused: {row:?}"),
        object: object(kind, json!({}), status),
        health,
        message,
    }
}

fn events(all: &mut Vec<Fixture>) {
    let kind = "SyncEvent";
    for row in [Row::Blocked, Row::Hopeless, Row::Active, Row::Succeeded] {
        let (verdict, conditions, message) = told(row, ReadyWhen::Succeeded, false);
        let status = SyncEventStatus {
            observed_generation: GENERATION,
            phase: Some(verdict.phase),
            conditions,
            ..SyncEventStatus::default()
        };
        let health = health(row, ReadyWhen::Succeeded);
        let name = format!("{kind}: {row:?}");
        let fixture = Fixture { name, object: object(kind, json!({}), status), health, message };
        all.extend(variants(&fixture));
        let mut object = fixture.object.clone();
        object["metadata"]["annotations"] = json!({ api::PAUSED: "true" });
        let (health, message) = if health == Health::Progressing {
            let message = "The object has the annotation `oms-operator.io/paused`. Remove it to go on";
            (Health::Suspended, message.to_owned())
        } else {
            (health, fixture.message.clone())
        };
        all.push(Fixture { name: format!("{kind}, paused: {row:?}"), object, health, message });
        all.push(fixture);
    }
    all.push(fresh(kind, object(kind, json!({}), SyncEventStatus::default())));
}

fn connections(kind: &str, all: &mut Vec<Fixture>) {
    let refused =
        |hopeless| Refusal { reason: Reason::EndpointNotAllowed, message: "Why not".into(), hopeless };
    let cases = [
        ("connected", None, Health::Healthy, "OMS accepted a call with these credentials"),
        ("refused for now", Some(refused(false)), Health::Progressing, "Why not"),
        ("refused for good", Some(refused(true)), Health::Degraded, "Why not"),
    ];
    for (what, refusal, health, message) in cases {
        let seen = (GENERATION, None);
        let status = tell(ConnectionStatus::default(), refusal.as_ref(), seen, Timestamp::UNIX_EPOCH);
        let name = format!("{kind}, {what}");
        let fixture =
            Fixture { name, object: object(kind, json!({}), &status), health, message: message.into() };
        all.extend(variants(&fixture));
        all.push(fixture);
        let status = tell_in_use(status, &["a task".to_owned()], GENERATION, Timestamp::UNIX_EPOCH);
        let mut object = object(kind, json!({}), status);
        object["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        all.push(Fixture {
            name: format!("{kind}, {what}, in use and being deleted"),
            object,
            health: Health::Progressing,
            message: "Pending deletion".to_owned(),
        });
    }
    all.push(fresh(kind, object(kind, json!({}), ConnectionStatus::default())));
}

#[test]
fn the_fixtures_show_every_phase() {
    let phases: Vec<_> = all()
        .iter()
        .filter_map(|fixture| serde_json::from_value::<Phase>(fixture.object["status"]["phase"].clone()).ok())
        .collect();
    for row in Row::ALL {
        let phase = situation::judge(row, ReadyWhen::Succeeded, false).phase;
        assert!(phases.contains(&phase), "{phase:?}");
    }
}
