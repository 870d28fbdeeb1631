//! Where task groups are not as tasks (OMS API reference 5.5).

use std::time::Duration;

use jiff::Timestamp;

use super::{Draft, LookAgain, later};
use crate::api::Failure;
use crate::api::conditions::{Reason, types};
use crate::plan::seen::{Call, FailureCause, RemoteState, RemoteTask, Trouble, TroubleKind};
use crate::plan::situation;
use crate::plan::wish::Kind;

/// Said while nothing can be done about a group but wait.
pub(super) const BUSY: &str = "OMS lists the source and creates the tasks of the group, and can neither stop nor delete it \
                               meanwhile: the operator waits until it has created them. Nothing to do";

/// Between two counts of the tasks of a group that runs.
const COUNT: Duration = Duration::from_mins(2);

/// Looks at a group that OMS is busy with, at growing intervals: creating the tasks of a big one takes hours.
pub(super) fn patience(draft: &Draft<'_>, since: Timestamp) -> Option<LookAgain> {
    let passed = Duration::try_from(draft.view.now.duration_since(since)).unwrap_or_default();
    LookAgain::fresh((passed / 8).as_secs().clamp(1, 60))
}

fn is_group(draft: &Draft<'_>) -> bool {
    draft.wish().kind == Kind::TaskGroup
}

/// Whether the tasks of a group have to be counted first, because OMS as a rule does not tell their numbers with the
/// group: when it enters a state in which it has some, and from time to time while it runs.
pub(super) fn is_count_due(draft: &Draft<'_>, remote: &RemoteTask) -> bool {
    let has_tasks = matches!(
        remote.state,
        RemoteState::Running | RemoteState::Stopped | RemoteState::Failed | RemoteState::Succeeded
    );
    let is_told = remote.members.as_ref().is_some_and(|members| members.failed == 0);
    // A stop does not wait for a count.
    let is_stopped_first = draft.suspended() && !draft.observes() && remote.state == RemoteState::Running;
    // One that is being adopted is counted once it is on record.
    let is_recorded = draft.stored().task_id.as_deref() == Some(remote.id.as_str());
    if !is_group(draft) || !has_tasks || is_told || is_stopped_first || !is_recorded {
        return false;
    }
    match draft.view.census {
        None => true,
        Some(census) if census.state != remote.state => true,
        Some(census) if remote.state == RemoteState::Running => later(census.at, COUNT) <= draft.view.now,
        // Retried, it can fail again before anybody saw it run.
        Some(census) => census.counters != remote.counters,
    }
}

/// When a group that runs is looked at again although nothing of it changes: its tasks are counted.
pub(super) fn next_count(draft: &Draft<'_>, remote: &RemoteTask) -> Option<LookAgain> {
    let is_told = remote.members.as_ref().is_some_and(|members| members.failed == 0);
    if !is_group(draft) || remote.state != RemoteState::Running || is_told {
        return None;
    }
    let due = draft.view.census.map_or(draft.view.now, |census| later(census.at, COUNT));
    LookAgain::after(draft.until(due))
}

/// The group with what is known of its tasks. Tells of these in the status.
pub(super) fn with_members(draft: &mut Draft<'_>, remote: &RemoteTask) -> RemoteTask {
    let mut group = remote.clone();
    let counted = draft.view.census.and_then(|census| census.counted.as_ref());
    if let Some(counted) = counted {
        if group.counters.total == 0 && counted.counters.total > 0 {
            group.counters = counted.counters.clone();
        }
        if group.failure.is_none() {
            group.failure.clone_from(&counted.worst);
        }
    }
    if let Some(told) = remote.members.as_ref() {
        // Told at every look, and written as progress is: at steps.
        let stored = draft.status.members.as_ref();
        let is_news = stored.is_none_or(|stored| stored.failed != told.failed || stored.total != told.total);
        let at_rest = !remote.state.is_active();
        if is_news || at_rest || draft.view.progress_due {
            draft.status.members = Some(told.clone());
        }
    } else if let Some(counted) = counted {
        draft.status.members = Some(counted.members.clone());
    }
    group
}

/// Why the worst task failed of a group that goes on.
pub(super) fn failure_so_far(draft: &Draft<'_>, remote: &RemoteTask) -> Option<Failure> {
    let failure = remote.failure.as_ref().filter(|_| is_group(draft) && failed_members(draft) > 0)?;
    Some(Failure {
        code: failure.code.clone(),
        message: failure.message.clone(),
        remedy: failure.remedy.clone(),
        retryable: failure.cause != FailureCause::Spec,
    })
}

fn failed_members(draft: &Draft<'_>) -> u64 {
    draft.status.members.as_ref().map_or(0, |members| members.failed)
}

/// What is said of a group that copies.
pub(super) fn copying(draft: &Draft<'_>) -> String {
    let members = draft.status.members.as_ref().filter(|members| is_group(draft) && members.failed > 0);
    members.map_or_else(
        || "OMS copies the objects".to_owned(),
        |members| {
            format!(
                "OMS copies the objects; {} of {} tasks of the group failed so far, the worst as `status.failure` says",
                members.failed, members.total
            )
        },
    )
}

/// Whether OMS takes bandwidth windows now: those of a group until it has ended (OMS API reference 5.5.8).
pub(super) fn takes_bandwidth(draft: &Draft<'_>, remote: &RemoteTask) -> bool {
    !is_group(draft)
        || matches!(
            remote.state,
            RemoteState::Waiting
                | RemoteState::Creating
                | RemoteState::Running
                | RemoteState::Stopped
                | RemoteState::Stopping
        )
}

/// Says that the windows of a group that failed wait for its retry.
pub(super) fn tell_bandwidth(draft: &mut Draft<'_>, remote: &RemoteTask) {
    let differs = draft.wish().windows.as_ref().is_some_and(|wanted| *wanted != remote.windows);
    if differs && remote.state == RemoteState::Failed {
        let message = "OMS changes the bandwidth of a group only until it has ended: the windows of `spec.bandwidthPolicy` \
                       are set when the group is retried";
        draft.set(types::BANDWIDTH_PENDING, "True", Reason::GroupHasEnded, message);
    } else {
        situation::remove(&mut draft.status.conditions, types::BANDWIDTH_PENDING);
    }
}

/// A stop or a deletion that OMS refused in the group's present state and that waits for its next time: what the state
/// says can be out of date on either side.
pub(super) fn refused<'a>(draft: &Draft<'a>) -> Option<&'a Trouble> {
    draft.view.trouble.filter(|trouble| {
        is_group(draft)
            && trouble.kind == TroubleKind::Conflict
            && matches!(trouble.call, Call::Stop | Call::Delete)
            && trouble.retry_at > draft.view.now
    })
}
