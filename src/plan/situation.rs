//! The one table of phases and conditions (design: "Status, the same contract on every kind").
//!
//! [`judge`] is the only place that says which phase goes with which conditions, for every kind.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, MicroTime, Time};

use crate::api::conditions::{Reason, types};
use crate::api::{Phase, ReadyWhen};

/// A row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Row {
    /// A reference or Secret is missing, keys are wrong, or a cause that may pass.
    Blocked,
    /// A spec that can never work, or that OMS refused for good.
    Hopeless,
    /// Waits for approval.
    AwaitingApproval,
    /// A quota or account limit is full.
    Queued,
    /// The intent is written, the ID not known.
    Creating,
    /// Waits or runs at OMS.
    Active,
    /// Suspended, being stopped.
    Stopping,
    /// Suspended.
    Suspended,
    /// Stopped, and not by us.
    StoppedExternally,
    /// Failed, another attempt is due.
    RetryDue,
    /// Finished, every object copied.
    Succeeded,
    /// Finished, with failed objects.
    SucceededWithFailures,
    /// Failed at OMS, no attempt left.
    Failed,
    /// A sync task is at work.
    Synchronizing,
    /// Being deleted.
    Deleting,
}

impl Row {
    /// All of them.
    pub const ALL: [Self; 15] = [
        Self::Blocked,
        Self::Hopeless,
        Self::AwaitingApproval,
        Self::Queued,
        Self::Creating,
        Self::Active,
        Self::Stopping,
        Self::Suspended,
        Self::StoppedExternally,
        Self::RetryDue,
        Self::Succeeded,
        Self::SucceededWithFailures,
        Self::Failed,
        Self::Synchronizing,
        Self::Deleting,
    ];
}

/// A row with the words for it.
#[derive(Clone, Debug, PartialEq)]
pub struct Situation {
    /// The row of the table.
    pub row: Row,
    /// Reason of the conditions.
    pub reason: Reason,
    /// What happened, whose move it is, what to do; stable while nothing changes.
    pub message: String,
}

impl Situation {
    /// A situation.
    pub fn new(row: Row, reason: Reason, message: impl Into<String>) -> Self {
        Self { row, reason, message: message.into() }
    }
}

/// Phase and conditions of a situation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The word for people.
    pub phase: Phase,
    /// Status of `Ready`.
    pub ready: bool,
    /// Whether `Reconciling` is present.
    pub reconciling: bool,
    /// Whether `Stalled` is present.
    pub stalled: bool,
}

/// Phase and conditions of a row. `observing`: the task belongs to somebody else, so nothing ever stalls us.
#[expect(clippy::match_same_arms, reason = "one arm per row of the table")]
pub fn judge(row: Row, ready_when: ReadyWhen, observing: bool) -> Verdict {
    let verdict = |phase, ready, reconciling, stalled| Verdict { phase, ready, reconciling, stalled };
    let started = matches!(ready_when, ReadyWhen::Started | ReadyWhen::Accepted);
    let accepted = ready_when == ReadyWhen::Accepted;
    let mut verdict = match row {
        Row::Blocked => verdict(Phase::Pending, false, true, false),
        Row::Hopeless => verdict(Phase::Failed, false, false, true),
        Row::AwaitingApproval => verdict(Phase::Pending, false, false, false),
        Row::Queued => verdict(Phase::Queued, false, true, false),
        Row::Creating => verdict(Phase::Creating, false, true, false),
        Row::Active => verdict(Phase::Running, started, !started, false),
        Row::Stopping => verdict(Phase::Stopping, false, true, false),
        Row::Suspended => verdict(Phase::Stopped, accepted, false, false),
        Row::StoppedExternally => verdict(Phase::Stopped, false, false, false),
        Row::RetryDue => verdict(Phase::Retrying, false, true, false),
        Row::Succeeded => verdict(Phase::Succeeded, true, false, false),
        Row::SucceededWithFailures => verdict(Phase::SucceededWithFailures, true, false, false),
        Row::Failed => verdict(Phase::Failed, false, false, true),
        Row::Synchronizing => verdict(Phase::Synchronizing, true, false, false),
        Row::Deleting => verdict(Phase::Deleting, false, true, false),
    };
    if observing {
        verdict.stalled = false;
    }
    verdict
}

/// The conditions `Ready`, `Reconciling` and `Stalled` of a situation on top of the stored ones.
pub fn conditions(
    stored: &[Condition],
    situation: &Situation,
    verdict: Verdict,
    generation: i64,
    now: Timestamp,
) -> Vec<Condition> {
    let mut conditions = stored.to_vec();
    let state = |holds: bool| if holds { "True" } else { "False" };
    let Situation { reason, message, .. } = situation;
    set(&mut conditions, types::READY, state(verdict.ready), *reason, message, generation, now);
    for (present, condition) in [(verdict.reconciling, types::RECONCILING), (verdict.stalled, types::STALLED)]
    {
        if present {
            set(&mut conditions, condition, "True", *reason, message, generation, now);
        } else {
            remove(&mut conditions, condition);
        }
    }
    conditions
}

/// Sets a condition; `lastTransitionTime` moves only when its status changes.
pub fn set(
    conditions: &mut Vec<Condition>,
    type_: &str,
    status: &str,
    reason: Reason,
    message: &str,
    generation: i64,
    now: Timestamp,
) {
    let since = conditions
        .iter()
        .find(|condition| condition.type_ == type_ && condition.status == status)
        .map_or_else(|| whole_seconds(now), |condition| condition.last_transition_time.clone());
    let condition = Condition {
        type_: type_.into(),
        status: status.into(),
        reason: reason.as_str().into(),
        message: message.into(),
        observed_generation: Some(generation),
        last_transition_time: since,
    };
    match conditions.iter_mut().find(|stored| stored.type_ == type_) {
        Some(stored) => *stored = condition,
        None => conditions.push(condition),
    }
}

/// Removes a condition.
pub fn remove(conditions: &mut Vec<Condition>, type_: &str) {
    conditions.retain(|condition| condition.type_ != type_);
}

/// The stored status of a condition.
pub fn find<'a>(conditions: &'a [Condition], type_: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.type_ == type_)
}

/// A time as the API server stores it, so that what we compare equals what we read back.
pub fn whole_seconds(at: Timestamp) -> Time {
    Time(Timestamp::from_second(at.as_second()).unwrap_or(at))
}

/// A time to the microsecond, as the API server stores it: for what is compared with the start of a scan.
pub fn exact(at: Timestamp) -> MicroTime {
    MicroTime(Timestamp::from_microsecond(at.as_microsecond()).unwrap_or(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One row each, as the design's table has them.
    #[test]
    fn every_row_has_the_phase_and_the_conditions_of_the_table() {
        use Phase as P;
        use ReadyWhen::{Accepted, Started, Succeeded};
        // row, readyWhen, phase, Ready, Reconciling, Stalled
        let table = [
            (Row::Blocked, Succeeded, P::Pending, false, true, false),
            (Row::Hopeless, Succeeded, P::Failed, false, false, true),
            (Row::AwaitingApproval, Succeeded, P::Pending, false, false, false),
            (Row::Queued, Succeeded, P::Queued, false, true, false),
            (Row::Creating, Succeeded, P::Creating, false, true, false),
            (Row::Active, Succeeded, P::Running, false, true, false),
            (Row::Active, Started, P::Running, true, false, false),
            (Row::Active, Accepted, P::Running, true, false, false),
            (Row::Stopping, Succeeded, P::Stopping, false, true, false),
            (Row::Stopping, Accepted, P::Stopping, false, true, false),
            (Row::Suspended, Succeeded, P::Stopped, false, false, false),
            (Row::Suspended, Started, P::Stopped, false, false, false),
            (Row::Suspended, Accepted, P::Stopped, true, false, false),
            (Row::StoppedExternally, Accepted, P::Stopped, false, false, false),
            (Row::RetryDue, Succeeded, P::Retrying, false, true, false),
            (Row::Succeeded, Succeeded, P::Succeeded, true, false, false),
            (Row::SucceededWithFailures, Succeeded, P::SucceededWithFailures, true, false, false),
            (Row::Failed, Succeeded, P::Failed, false, false, true),
            (Row::Synchronizing, Succeeded, P::Synchronizing, true, false, false),
            (Row::Deleting, Succeeded, P::Deleting, false, true, false),
        ];
        for (row, ready_when, phase, ready, reconciling, stalled) in table {
            assert_eq!(
                judge(row, ready_when, false),
                Verdict { phase, ready, reconciling, stalled },
                "{row:?} with {ready_when:?}"
            );
        }
    }

    #[test]
    fn an_observed_task_never_stalls_us() {
        assert!(!judge(Row::Failed, ReadyWhen::Succeeded, true).stalled);
        assert_eq!(judge(Row::Failed, ReadyWhen::Succeeded, true).phase, Phase::Failed);
    }

    #[test]
    fn ready_and_stalled_or_reconciling_never_contradict_each_other() {
        for row in Row::ALL {
            for ready_when in [ReadyWhen::Succeeded, ReadyWhen::Started, ReadyWhen::Accepted] {
                let verdict = judge(row, ready_when, false);
                assert!(
                    !(verdict.ready && verdict.reconciling),
                    "{row:?}: kstatus would not call that current"
                );
                assert!(!(verdict.ready && verdict.stalled), "{row:?}");
                assert!(!(verdict.reconciling && verdict.stalled), "{row:?}");
            }
        }
    }

    #[test]
    fn the_transition_time_moves_only_with_the_status() {
        let (early, late) = (Timestamp::from_second(100).unwrap(), Timestamp::from_second(200).unwrap());
        let mut conditions = Vec::new();
        set(&mut conditions, types::READY, "False", Reason::Creating, "one", 1, early);
        set(&mut conditions, types::READY, "False", Reason::Running, "two", 2, late);
        assert_eq!(conditions[0].last_transition_time.0, early);
        assert_eq!(conditions[0].reason, "Running");
        set(&mut conditions, types::READY, "True", Reason::Succeeded, "three", 2, late);
        assert_eq!(conditions[0].last_transition_time.0, late);
        assert_eq!(conditions.len(), 1);
    }
}
