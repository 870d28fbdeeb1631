//! Statuses of every kind, as they can be stored: by us at any time, by an older release, or restored from anywhere.

use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::super::scene::{NUMBER, at, id, keys, pinned, token};
use super::strategies::{OTHER, counters, foreign, members, moment, past};
use crate::api::conditions::{Reason, types};
use crate::api::{
    AppliedSettings, CreateIntent, DriftStatus, Failure, FormerRun, NotificationResult, NotificationStatus,
    ObjectCounts, Phase, PlanStatus, QueueStatus, ReadyWhen, Retries, RetryObjects, TransferStatus,
};
use crate::plan::progress;
use crate::plan::situation::{self, Row, Situation, exact, whole_seconds};
use crate::plan::wish::Kind;

const ROWS: [Row; 15] = [
    Row::Blocked,
    Row::Hopeless,
    Row::AwaitingApproval,
    Row::Queued,
    Row::Creating,
    Row::Active,
    Row::Stopping,
    Row::Suspended,
    Row::StoppedExternally,
    Row::RetryDue,
    Row::Succeeded,
    Row::SucceededWithFailures,
    Row::Failed,
    Row::Synchronizing,
    Row::Deleting,
];

/// The rows of the table that a kind can be in.
pub(super) fn rows(kind: Kind) -> Vec<Row> {
    let ends =
        |row: &Row| matches!(row, Row::RetryDue | Row::Succeeded | Row::SucceededWithFailures | Row::Failed);
    let has = |row: &Row| if kind == Kind::SyncTask { !ends(row) } else { *row != Row::Synchronizing };
    ROWS.into_iter().filter(has).collect()
}

/// Conditions beside those of the table.
pub(super) const FURTHER: [&str; 10] = [
    types::CREDENTIALS_READY,
    types::CREDENTIALS_PENDING,
    types::CONNECTION_READY,
    types::BANDWIDTH_PENDING,
    types::PRIORITY_PENDING,
    types::RERUN_PENDING,
    types::PREFLIGHT_PASSED,
    types::PAUSED,
    types::ADOPTED,
    types::DRIFTED,
];

/// Those that a kind can have.
fn has(kind: Kind, condition: &str) -> bool {
    match condition {
        types::BANDWIDTH_PENDING => kind == Kind::TaskGroup,
        types::PRIORITY_PENDING => kind == Kind::MigrationTask,
        types::RERUN_PENDING | types::CREDENTIALS_PENDING => kind != Kind::SyncTask,
        _ => true,
    }
}

prop_compose! {
    fn intents()(
        sent in option::of(past()),
        started in past(),
        text in prop_oneof![
            8 => (1..4_i64).prop_map(|attempt| token(attempt).to_string()),
            1 => Just(foreign().to_string()),
            1 => Just("nonsense".to_owned()),
        ],
    ) -> CreateIntent {
        CreateIntent {
            token: text,
            started_at: exact(at(started)),
            sent_at: sent.map(|second| exact(at(second))),
        }
    }
}

fn former_run(id: u64) -> FormerRun {
    FormerRun {
        run: 1,
        rerun: None,
        task_id: id.to_string(),
        phase: Phase::Succeeded,
        started_at: None,
        finished_at: None,
        objects: ObjectCounts::default(),
        bytes: 0,
    }
}

prop_compose! {
    /// What is on record of the task and of the runs.
    fn records(kind: Kind)(
        create in option::of(intents().boxed()).boxed(),
        id in option::weighted(0.7, prop_oneof![9 => Just(id().to_string()), 1 => Just(String::new())]),
        attempt in prop_oneof![9 => option::of(1..4_i64), 1 => Just(Some(i64::MAX))],
        rerun in option::of(select(vec!["one", "two"])),
        former in option::of(select(vec![NUMBER, OTHER, 7])),
        older in option::weighted(0.2, select(vec![OTHER, 9])),
        adopted in option::weighted(0.3, prop::bool::weighted(0.8)),
        retries in option::of(prop_oneof![0..9_i64, Just(i64::MAX)]),
    ) -> TransferStatus {
        let runs = kind != Kind::SyncTask;
        let rerun = rerun.filter(|_| runs);
        TransferStatus {
            connection: (create.is_some() || id.is_some()).then(pinned),
            create,
            task_id: id,
            attempt,
            run: attempt.map(|_| 1),
            rerun: rerun.map(Into::into),
            answered_reruns: rerun.into_iter().map(Into::into).collect(),
            history: former.filter(|_| runs).map(former_run).into_iter().collect(),
            older_task_ids: older.filter(|_| runs).map(|id: u64| id.to_string()).into_iter().collect(),
            adopted,
            retries: retries.filter(|_| runs).map(|made| Retries { made, objects: RetryObjects::All }),
            ..TransferStatus::default()
        }
    }
}

prop_compose! {
    /// Times, trouble and what else was written on the way.
    fn traces(kind: Kind)(
        suspended in option::of(past()),
        next in option::of(moment()),
        failure in option::of(any::<bool>()),
        sent_keys in select(vec!["", "one", "two"]),
        progress in option::of(counters().boxed()).boxed(),
        renewing in option::weighted(0.3, past()),
        (started, finished) in (option::of(past()), option::of(past())),
        notification in option::of(select(vec![
            NotificationResult::Pending, NotificationResult::Sent, NotificationResult::Unknown,
        ])),
        drift in option::weighted(0.3, (1..9_i64, moment())),
        applied in option::weighted(0.5, any::<(bool, bool)>()),
        plan in option::of(select(vec!["stale", "other"])),
        members in option::of(members()),
    ) -> TransferStatus {
        let copies = kind != Kind::SyncTask;
        let windows = |limited| if limited { "08:00-20:00 52428800 B/s" } else { "none" };
        let priority = |high| if high { "HIGH" } else { "MEDIUM" };
        let time = |second: i64| whole_seconds(at(second));
        TransferStatus {
            suspended_at: suspended.map(time),
            next_attempt_at: next.map(time),
            renewing_keys_since: renewing.filter(|_| copies).map(time),
            started_at: started.map(time),
            finished_at: finished.filter(|_| copies).map(time),
            failure: failure.map(|retryable| Failure {
                code: String::new(),
                message: "no".into(),
                remedy: String::new(),
                retryable,
            }),
            observed_credentials: if sent_keys.is_empty() { Vec::new() } else { keys(sent_keys) },
            progress: progress.filter(|_| copies).map(|counters| progress::of(&counters)),
            notification: notification.filter(|_| copies).map(|result| NotificationStatus {
                result,
                message: None,
                remedy: None,
                topic_name: None,
            }),
            drift: drift.map(|(corrections, until)| DriftStatus { corrections, not_before: time(until) }),
            applied: applied.filter(|_| copies).map(|(limited, high)| AppliedSettings {
                bandwidth: Some(windows(limited).to_owned()),
                priority: (kind == Kind::MigrationTask).then(|| priority(high).to_owned()),
            }),
            plan: plan.map(|hash| PlanStatus { hash: hash.into(), summary: "Copies".into() }),
            members: members.filter(|_| kind == Kind::TaskGroup),
            ..TransferStatus::default()
        }
    }
}

/// A generation that was observed, and the row and reason that were told of it; `None`: no phase is told.
type Spoken = (i64, Option<(Row, Reason)>);

prop_compose! {
    /// A status without its phase and conditions, and what these tell.
    pub(super) fn statuses(kind: Kind)(
        records in records(kind).boxed(),
        traces in traces(kind).boxed(),
        row in select(rows(kind)),
        reason in select(Reason::ALL.iter().map(|(reason, _)| *reason).collect::<Vec<_>>()),
        observed in 0..4_i64,
        told in prop::bool::weighted(0.8),
        position in 1..9_i64,
    ) -> (TransferStatus, Spoken) {
        let status = TransferStatus {
            queue: (told && row == Row::Queued).then_some(QueueStatus { position, earliest_at: None }),
            connection: records.connection,
            create: records.create,
            task_id: records.task_id,
            attempt: records.attempt,
            run: records.run,
            rerun: records.rerun,
            answered_reruns: records.answered_reruns,
            history: records.history,
            older_task_ids: records.older_task_ids,
            adopted: records.adopted,
            retries: records.retries,
            ..traces
        };
        (status, (observed, told.then_some((row, reason))))
    }
}

/// What a status tells.
pub(super) struct Told {
    pub(super) spoken: Spoken,
    pub(super) noted: Vec<&'static str>,
    pub(super) kind: Kind,
    pub(super) generation: i64,
    pub(super) ready_when: ReadyWhen,
    pub(super) observes: bool,
}

impl Told {
    /// The status with its phase and conditions. Told of the present generation, they are what its spec makes of the row.
    pub(super) fn on(self, mut status: TransferStatus) -> TransferStatus {
        let (observed, told) = self.spoken;
        let observed = observed.min(self.generation);
        status.observed_generation = observed;
        let Some((row, reason)) = told else { return status };
        let (ready_when, observes) = if observed == self.generation {
            (self.ready_when, self.observes)
        } else {
            (ReadyWhen::Succeeded, false)
        };
        let situation = Situation::new(row, reason, "As it was told before");
        let verdict = situation::judge(row, ready_when, observes);
        status.phase = Some(verdict.phase);
        status.conditions = situation::conditions(&[], &situation, verdict, observed, at(0));
        for condition in self.noted.into_iter().filter(|condition| has(self.kind, condition)) {
            let (conditions, words) = (&mut status.conditions, "As it was told before");
            situation::set(conditions, condition, "True", reason, words, observed, at(0));
        }
        status
    }
}
