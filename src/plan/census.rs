//! The tasks of a group: what a count of them says.

use std::cmp::Reverse;

use jiff::Timestamp;

use super::seen::{Counters, RemoteFailure, RemoteState, RemoteTask};
use crate::api::Members;

/// A count of the tasks of a group.
#[derive(Clone, Debug, PartialEq)]
pub struct Census {
    /// When it began.
    pub at: Timestamp,
    /// Where the group stood then.
    pub state: RemoteState,
    /// The group's own counters then: others at its end tell of another run.
    pub counters: Counters,
    /// What it said; `None` when OMS has not answered yet.
    pub counted: Option<Counted>,
}

/// What a count said.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Counted {
    /// How many tasks are in which state.
    pub members: Members,
    /// Their counters in sum.
    pub counters: Counters,
    /// Why the worst of those that failed did: the one with most failed objects.
    pub worst: Option<RemoteFailure>,
}

impl Counted {
    /// The count of these tasks.
    pub fn of(tasks: &[RemoteTask]) -> Self {
        let mut members = Members { total: tasks.len() as u64, ..Members::default() };
        members.created = members.total;
        for task in tasks {
            *match task.state {
                RemoteState::Waiting => &mut members.waiting,
                RemoteState::Stopped => &mut members.paused,
                RemoteState::Failed => &mut members.failed,
                RemoteState::Succeeded => &mut members.complete,
                RemoteState::Creating
                | RemoteState::Running
                | RemoteState::Retrying
                | RemoteState::Stopping
                | RemoteState::Deleting
                | RemoteState::Synchronizing
                | RemoteState::Unknown => &mut members.running,
            } += 1;
        }
        Self { members, counters: sum(tasks), worst: worst(tasks) }
    }
}

fn sum(tasks: &[RemoteTask]) -> Counters {
    let mut sum = Counters { listed: true, ..Counters::default() };
    for counters in tasks.iter().map(|task| &task.counters) {
        let add = |into: &mut u64, more: u64| *into = into.saturating_add(more);
        add(&mut sum.bytes_total, counters.bytes_total);
        add(&mut sum.bytes_done, counters.bytes_done);
        add(&mut sum.total, counters.total);
        add(&mut sum.succeeded, counters.succeeded);
        add(&mut sum.failed, counters.failed);
        add(&mut sum.skipped, counters.skipped);
        add(&mut sum.bytes_per_second, counters.bytes_per_second);
        sum.remaining = sum.remaining.max(counters.remaining);
        sum.listed &= counters.listed;
    }
    let handled = sum.succeeded.saturating_add(sum.failed).saturating_add(sum.skipped);
    if sum.total > 0 {
        sum.fraction = handled as f64 / sum.total as f64;
    }
    sum
}

fn worst(tasks: &[RemoteTask]) -> Option<RemoteFailure> {
    let failed = tasks.iter().filter(|task| task.state == RemoteState::Failed);
    let worst = failed.min_by_key(|task| (Reverse(task.counters.failed), &task.id))?;
    let failure = worst.failure.clone().unwrap_or_default();
    let message = match failure.message.as_str() {
        "" => "OMS gave no reason",
        message => message,
    };
    Some(RemoteFailure { message: format!("task {} of the group: {message}", worst.id), ..failure })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn task(id: u64, state: RemoteState, failed: u64, message: &str) -> RemoteTask {
        let counters = Counters {
            total: 10,
            succeeded: 4,
            failed,
            bytes_total: 100,
            bytes_done: 40,
            bytes_per_second: 5,
            remaining: Some(Duration::from_secs(id)),
            ..Counters::default()
        };
        let failure = (!message.is_empty()).then(|| RemoteFailure {
            code: "TRF.0002".into(),
            message: message.into(),
            ..RemoteFailure::default()
        });
        RemoteTask { counters, failure, ..RemoteTask::numbered(id, state) }
    }

    #[test]
    fn every_task_counts_once_and_their_counters_add_up() {
        use RemoteState as S;
        let states = [
            S::Waiting,
            S::Running,
            S::Retrying,
            S::Stopping,
            S::Unknown,
            S::Stopped,
            S::Failed,
            S::Succeeded,
            S::Succeeded,
        ];
        let tasks: Vec<_> =
            states.iter().enumerate().map(|(id, state)| task(id as u64, *state, 1, "")).collect();
        let counted = Counted::of(&tasks);
        let expected =
            Members { total: 9, created: 9, waiting: 1, running: 4, paused: 1, failed: 1, complete: 2 };
        assert_eq!(counted.members, expected);
        let sum = counted.counters;
        assert_eq!((sum.total, sum.succeeded, sum.failed, sum.bytes_done), (90, 36, 9, 360));
        assert_eq!((sum.fraction, sum.bytes_per_second), (0.5, 45));
        assert_eq!(sum.remaining, Some(Duration::from_secs(8)), "the slowest decides");
    }

    #[test]
    fn a_group_without_tasks_counts_as_nothing() {
        assert_eq!(Counted::of(&[]).members, Members::default());
        assert!(Counted::of(&[]).counters.fraction.abs() < f64::EPSILON);
        assert_eq!(Counted::of(&[]).worst, None);
    }

    #[test]
    fn the_worst_is_the_one_with_most_failed_objects_and_is_named() {
        let tasks = [
            task(1, RemoteState::Succeeded, 9, "it did well"),
            task(2, RemoteState::Failed, 1, "a little"),
            task(4, RemoteState::Failed, 3, "much"),
            task(3, RemoteState::Failed, 3, "as much, and older"),
        ];
        let worst = Counted::of(&tasks).worst.unwrap();
        assert_eq!(
            (worst.code.as_str(), worst.message.as_str()),
            ("TRF.0002", "task 3 of the group: as much, and older")
        );
        let silent = Counted::of(&[task(7, RemoteState::Failed, 0, "")]).worst.unwrap();
        assert_eq!(silent.message, "task 7 of the group: OMS gave no reason");
    }
}
