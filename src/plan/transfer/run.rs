//! A task that exists at OMS: suspend and resume, live settings, its end.

use std::time::Duration;

use super::{
    Draft, LookAgain, Plan, Step, adopt, credentials, drift, group, later, notification, rerun, retry, size,
    sync, words,
};
use crate::api::conditions::{Reason, types};
use crate::api::{Acknowledgement, FailedObjects, NotificationTrigger, Phase, Priority};
use crate::plan::progress;
use crate::plan::seen::{Keys, Link, Remote, RemoteState, RemoteTask, Trouble, TroubleKind};
use crate::plan::situation::{self, Row, Situation, whole_seconds};
use crate::plan::wish::Kind;

/// Plans for a task whose ID is recorded.
pub(super) fn plan(mut draft: Draft<'_>) -> Plan {
    let Some(id) = draft.recorded_id() else {
        let message = "`status.taskId` holds no task ID. Delete the object and create it again";
        return draft.finish(Situation::new(Row::Hopeless, Reason::InvalidSpec, message), Step::Rest, None);
    };
    if let Some(word) = rerun::due(&draft) {
        let ended = draft.status.phase.unwrap_or(Phase::Succeeded);
        return rerun::begin(draft, word, ended);
    }
    if super::is_over(draft.view.meta, draft.wish(), draft.view.stored) {
        if !credentials::may_mend(&draft.status, draft.wish()) {
            return over(draft);
        }
        if draft.keys_changed() {
            return credentials::mend(draft);
        }
        let again = LookAgain::after(draft.view.policy.secret_check_interval);
        return Plan { look_again: again, ..over(draft) };
    }
    draft.tell_link();
    if let Link::Down { .. } = draft.view.link {
        if notification::is_awaited(&draft.status) && notification::is_late(&draft) {
            notification::give_up(&mut draft);
            return over(draft);
        }
        // The task goes on at OMS; only our view of it is gone, and that is what `ConnectionReady` says.
        let (status, again) =
            (draft.status.clone(), LookAgain::after(draft.view.policy.secret_check_interval));
        return Plan { status, step: Step::Rest, look_again: again };
    }
    if let Some(duplicate) =
        draft.view.siblings.iter().find(|task| task.id != id && !rerun::is_on_record(&draft.status, &task.id))
        && held(&draft).is_none()
    {
        let step = Step::RemoveDuplicate(duplicate.id.clone());
        return Plan { status: draft.status, step, look_again: LookAgain::after(Duration::from_secs(2)) };
    }
    match draft.view.remote {
        Remote::Pending => {
            // The lists leave out what a sync task counts, and there are few of them.
            let is_sync = draft.wish().kind == Kind::SyncTask;
            let is_mended = draft.status.renewing_keys_since.is_some();
            if draft.suspended() || is_sync || is_mended || super::has_ended(&draft.stored()) {
                draft.keep(Step::Show, None)
            } else {
                Plan { status: draft.status, step: Step::Rest, look_again: None }
            }
        }
        Remote::Stale => Plan { status: draft.stored(), step: Step::Show, look_again: None },
        Remote::Gone => gone(draft),
        Remote::Known(remote) => known(draft, remote),
    }
}

pub(super) fn over(draft: Draft<'_>) -> Plan {
    let (row, status) = match draft.status.phase {
        Some(Phase::Succeeded) => (Row::Succeeded, "True"),
        Some(Phase::SucceededWithFailures) => (Row::SucceededWithFailures, "True"),
        _ => (Row::Failed, "False"),
    };
    let stored =
        situation::find(&draft.status.conditions, types::READY).filter(|ready| ready.status == status);
    let (reason, message) = stored.map_or((None, String::new()), |ready| {
        let reason =
            Reason::ALL.iter().map(|(reason, _)| *reason).find(|reason| reason.as_str() == ready.reason);
        (reason, ready.message.clone())
    });
    let message = if message.is_empty() { "The task is over".to_owned() } else { message };
    let reason = reason.unwrap_or(if status == "True" { Reason::Succeeded } else { Reason::TaskFailed });
    draft.finish(Situation::new(row, reason, message), Step::Rest, None)
}

fn gone(mut draft: Draft<'_>) -> Plan {
    if notification::is_awaited(&draft.status) {
        // The task is over; only the word about its notification went with the record.
        notification::give_up(&mut draft);
        return over(draft);
    }
    if draft.wish().kind == Kind::SyncTask {
        return sync::gone(draft);
    }
    let ours = draft.status.suspended_at.is_some() || draft.status.renewing_keys_since.is_some();
    if ours && nothing_copied_yet(&draft) && !draft.has_adopted() {
        // We deleted the record of a waiting task; resuming creates the next attempt.
        draft.status.task_id = None;
        draft.status.task_name = None;
        draft.status.progress = None;
        draft.status.renewing_keys_since = None;
        draft.status.members = None;
        draft.status.attempt = draft.status.attempt.map(|attempt| attempt.saturating_add(1));
        if draft.suspended() {
            return draft.finish(suspended(true), Step::Rest, None);
        }
        let situation = Situation::new(Row::Creating, Reason::Resuming, "The task is created again");
        return draft.finish(situation, Step::Rest, LookAgain::after(Duration::ZERO));
    }
    if let Some(word) = rerun::wanted(draft.wish(), &draft.status) {
        return rerun::begin(draft, word, Phase::Failed);
    }
    drift::deleted(&mut draft);
    let message = "The task no longer exists at OMS, and the operator does not migrate again by itself. \
                   To migrate again, set `spec.rerun` to a new word, or delete this object and create it anew";
    draft.finish(Situation::new(Row::Hopeless, Reason::RemoteTaskGone, message), Step::Rest, None)
}

fn nothing_copied_yet(draft: &Draft<'_>) -> bool {
    draft.status.progress.as_ref().is_none_or(|progress| progress.objects.succeeded == 0)
}

pub(super) fn suspended(waiting: bool) -> Situation {
    let message = if waiting {
        "`spec.suspend` is true: the task was still waiting and is created again when you set it to false"
    } else {
        "`spec.suspend` is true: the task is stopped; set it to false to go on"
    };
    Situation::new(Row::Suspended, Reason::Suspended, message)
}

pub(super) fn known(mut draft: Draft<'_>, remote: &RemoteTask) -> Plan {
    if !draft.owns(remote) {
        let message = format!(
            "Task {} at OMS, named by `status.taskId`, does not carry the token of this object, so the operator leaves it \
             alone. Delete this object and create it anew; nothing at OMS is touched by that",
            remote.id
        );
        return draft.finish(Situation::new(Row::Hopeless, Reason::ForeignTask, message), Step::Rest, None);
    }
    if group::is_count_due(&draft, remote) {
        return draft.keep(Step::CountMembers, None);
    }
    drift::note(&mut draft, remote);
    adopt::tell(&mut draft);
    if draft.wish().kind == Kind::SyncTask {
        return sync::known(draft, remote);
    }
    let group;
    let remote = if draft.wish().kind == Kind::TaskGroup {
        group = group::with_members(&mut draft, remote);
        group::tell_bandwidth(&mut draft, remote);
        &group
    } else {
        remote
    };
    note(&mut draft, remote);
    size::tell(&mut draft, remote);
    match remote.state {
        RemoteState::Succeeded => succeeded(draft, remote),
        RemoteState::Failed => failed(draft, remote),
        _ if draft.suspended() => suspend(draft, remote),
        RemoteState::Stopped => stopped(draft, remote),
        _ => active(draft, remote),
    }
}

/// Notes what the task is called and how far it is.
pub(super) fn note(draft: &mut Draft<'_>, remote: &RemoteTask) {
    draft.status.task_name = super::name_of(&remote.name);
    draft.status.started_at = remote.started_at.map(whole_seconds);
    let resting = matches!(remote.state, RemoteState::Stopped | RemoteState::Failed | RemoteState::Succeeded);
    draft.status.progress = Some(if resting {
        progress::at_rest(&remote.counters)
    } else {
        let due = draft.view.progress_due;
        progress::step(draft.status.progress.as_ref(), progress::of(&remote.counters), due)
    });
    if remote.state == RemoteState::Waiting && remote.counters == crate::plan::seen::Counters::default() {
        draft.status.progress = None;
    }
}

pub(super) fn ended(draft: &mut Draft<'_>, remote: &RemoteTask) {
    draft.status.finished_at =
        remote.started_at.map(|at| whole_seconds(later(at, remote.took))).or_else(|| {
            // Without a time from OMS the moment at which we saw it has to do; it stays once written.
            draft.status.finished_at.clone().or_else(|| Some(whole_seconds(draft.view.now)))
        });
    draft.status.failed_objects = (remote.counters.failed > 0)
        .then(|| FailedObjects { count: remote.counters.failed, list: remote.failed_list.clone() });
    draft.status.suspended_at = None;
    draft.status.notification = remote.notification.as_ref().map(notification::told);
    draft.status.renewing_keys_since = None;
    situation::remove(&mut draft.status.conditions, types::PRIORITY_PENDING);
    situation::remove(&mut draft.status.conditions, types::CREDENTIALS_PENDING);
}

pub(super) fn succeeded(mut draft: Draft<'_>, remote: &RemoteTask) -> Plan {
    ended(&mut draft, remote);
    draft.status.failure = None;
    if draft.status.next_attempt_at.take().is_some() {
        // It was started again, and nobody saw it run.
        retry::count(&mut draft);
    }
    let counters = &remote.counters;
    let situation = if counters.failed > 0 {
        let list = remote
            .failed_list
            .as_deref()
            .map_or_else(String::new, |list| format!("; OMS lists them in `{list}`"));
        let message = format!(
            "{} of {} objects failed{list} in the destination bucket. Mend their causes, then set `spec.rerun` to a new word to \
             migrate again as a new task: OMS starts no task again that ended well",
            counters.failed, counters.total
        );
        Situation::new(Row::SucceededWithFailures, Reason::SucceededWithFailures, message)
    } else {
        let message = format!("{} objects copied, {} skipped", counters.succeeded, counters.skipped);
        Situation::new(Row::Succeeded, Reason::Succeeded, message)
    };
    notification::conclude(draft, situation, NotificationTrigger::Success)
}

fn failed(mut draft: Draft<'_>, remote: &RemoteTask) -> Plan {
    let held_since = draft.status.suspended_at.clone();
    let mended_at = draft.status.renewing_keys_since.clone();
    ended(&mut draft, remote);
    if let Some(word) = rerun::wanted(draft.wish(), &draft.status) {
        return rerun::begin(draft, word, Phase::Failed);
    }
    retry::plan(draft, remote, held_since, mended_at)
}

/// Starts a stopped or failed task, with keys that are on record first.
pub(super) fn start(
    mut draft: Draft<'_>,
    remote: &RemoteTask,
    situation: Situation,
    only_failed: bool,
) -> Plan {
    if let Some(trouble) = held(&draft) {
        // Refused keys, and how OMS should keep them, are the one cause that shows in the cluster when it is gone.
        let may_be_mended = trouble.may_be_mended_by_keys();
        if may_be_mended && *draft.view.keys == Keys::NotRead {
            return draft.keep(Step::ReadKeys, None);
        }
        if !(may_be_mended && draft.keys_changed()) {
            return hold(draft, trouble);
        }
    }
    let restore_again = draft.wish().lifecycle.acknowledge.contains(&Acknowledgement::RestoreAgain);
    if draft.wish().restores && !restore_again {
        let message = "Starting a task with `enableRestore` restores, and pays for, archived objects again. \
                       Add `RestoreAgain` to `spec.acknowledge` to go on";
        return draft.finish(
            Situation::new(Row::StoppedExternally, Reason::AcknowledgementRequired, message),
            Step::Rest,
            None,
        );
    }
    match draft.view.keys {
        Keys::NotRead => return draft.keep(Step::ReadKeys, None),
        Keys::Missing { reason, message } => {
            draft.tell_keys();
            let situation = Situation::new(Row::Blocked, *reason, message.clone());
            let again = LookAgain::after(draft.view.policy.secret_check_interval);
            return draft.finish(situation, Step::Rest, again);
        }
        Keys::Ready(_) => {
            draft.tell_keys();
            draft.note_keys();
        }
    }
    if remote.state == RemoteState::Failed {
        // On record before the call, so that a crash in between does not shorten the next pause.
        let due = whole_seconds(draft.view.now);
        if draft.status.next_attempt_at.as_ref().is_some_and(|at| at.0 > draft.view.now) {
            draft.status.next_attempt_at = Some(due);
        }
    }
    draft.finish(situation, Step::Start { id: remote.id.clone(), only_failed }, LookAgain::fresh(1))
}

pub(super) fn stopped(mut draft: Draft<'_>, remote: &RemoteTask) -> Plan {
    let step = live_settings(&mut draft, remote);
    let ours = draft.status.suspended_at.is_some() || draft.status.renewing_keys_since.is_some();
    if !ours && !drift::is_due(&draft) {
        draft.status.next_attempt_at = None;
        let wait = drift::wait(&draft);
        let message = if wait.is_some() {
            "Somebody else stopped the task at OMS again. The operator starts it in a while, as condition `Drifted` says"
        } else {
            "Somebody else stopped the task at OMS, and the operator leaves it so. \
             Start it at the console, or set `spec.suspend` to true and back to false"
        };
        let situation = Situation::new(Row::StoppedExternally, Reason::StoppedExternally, message);
        let again = if step.is_some() { LookAgain::fresh(1) } else { wait.and_then(LookAgain::after) };
        return draft.finish(situation, step.unwrap_or(Step::Rest), again);
    }
    let situation = Situation::new(Row::Active, Reason::Resuming, "The task is being started again");
    match step {
        Some(step) => draft.finish(situation, step, LookAgain::fresh(1)),
        None => start(draft, remote, situation, false),
    }
}

/// Somebody else started the task that is suspended, and it is left so for now.
pub(super) fn started(mut draft: Draft<'_>, remote: &RemoteTask) -> Plan {
    let message =
        "`spec.suspend` is true, but somebody else started the task at OMS, as condition `Drifted` says";
    let situation = Situation::new(Row::Active, Reason::StartedExternally, message);
    if let Some(step) = live_settings(&mut draft, remote) {
        return draft.finish(situation, step, LookAgain::fresh(1));
    }
    let again = drift::wait(&draft).and_then(LookAgain::after);
    draft.finish(situation, Step::Rest, again)
}

pub(super) fn suspend(mut draft: Draft<'_>, remote: &RemoteTask) -> Plan {
    if draft.drift.state == Some(Reason::StartedExternally) && !drift::is_due(&draft) {
        return started(draft, remote);
    }
    // On record before the call: a task that we stopped is ours to start again.
    draft.status.suspended_at.get_or_insert_with(|| whole_seconds(draft.view.now));
    let stopping = |message: &str| Situation::new(Row::Stopping, Reason::Suspending, message);
    if remote.state != RemoteState::Stopped
        && let Some(trouble) = held(&draft).or_else(|| group::refused(&draft))
    {
        let again = LookAgain::after(draft.until(trouble.retry_at));
        return draft.finish(stopping("The task is being stopped"), Step::Rest, again);
    }
    match remote.state {
        RemoteState::Stopped => {
            if let Some(step) = live_settings(&mut draft, remote) {
                return draft.finish(suspended(false), step, LookAgain::fresh(1));
            }
            draft.finish(suspended(false), Step::Rest, None)
        }
        RemoteState::Running | RemoteState::Synchronizing => draft.finish(
            stopping("The task is being stopped"),
            Step::Stop(remote.id.clone()),
            LookAgain::fresh(1),
        ),
        // OMS cannot stop a task that waits. As nothing was copied, its record can go.
        RemoteState::Waiting if draft.has_adopted() => draft.finish(
            stopping("The task waits at OMS, which cannot stop it then: it is stopped as soon as it runs"),
            Step::Rest,
            LookAgain::fresh(2),
        ),
        RemoteState::Waiting if remote.counters.succeeded == 0 => draft.finish(
            stopping("The task is taken out of OMS's queue"),
            Step::Delete(remote.id.clone()),
            LookAgain::fresh(1),
        ),
        RemoteState::Creating => {
            let since = draft.status.suspended_at.as_ref().map_or(draft.view.now, |at| at.0);
            let again = group::patience(&draft, since);
            draft.finish(stopping(group::BUSY), Step::Rest, again)
        }
        _ => draft.finish(stopping("The task is being stopped"), Step::Rest, LookAgain::fresh(2)),
    }
}

fn active(mut draft: Draft<'_>, remote: &RemoteTask) -> Plan {
    let ours = draft.status.suspended_at.is_some() || draft.status.renewing_keys_since.is_some();
    if ours && matches!(remote.state, RemoteState::Stopping | RemoteState::Deleting) {
        // Our own call is still under way: the mark has to stay until it is complete.
        let message = match remote.state {
            RemoteState::Deleting => "The group is created again once its record is gone",
            _ => "The task is started again once its stop is complete",
        };
        let situation = Situation::new(Row::Active, Reason::Resuming, message);
        return draft.finish(situation, Step::Rest, LookAgain::fresh(1));
    }
    if remote.state != RemoteState::Waiting {
        // While it waits, the deletion that a suspend asked for may still show: the mark tells whose it was.
        draft.status.suspended_at = None;
    }
    draft.status.finished_at = None;
    draft.status.failed_objects = None;
    draft.status.notification = None;
    draft.status.failure = group::failure_so_far(&draft, remote);
    if draft.status.next_attempt_at.take().is_some() {
        retry::count(&mut draft);
    }
    let (reason, message) = match remote.state {
        RemoteState::Waiting => {
            (Reason::WaitingAtOMS, "The task waits in OMS's queue; OMS starts it by itself".to_owned())
        }
        RemoteState::Creating => {
            (Reason::CreatingMembers, "OMS lists the source and creates the tasks of the group".to_owned())
        }
        RemoteState::Retrying => {
            (Reason::RetryingAtOMS, "OMS checks or retries the task by itself".to_owned())
        }
        RemoteState::Stopping => {
            (Reason::StoppedExternally, "Somebody else is stopping the task at OMS".to_owned())
        }
        RemoteState::Deleting => {
            (Reason::StoppedExternally, "Somebody else is deleting the group at OMS".to_owned())
        }
        _ => (Reason::Running, group::copying(&draft)),
    };
    let situation = Situation::new(Row::Active, reason, message);
    if let Some(step) = live_settings(&mut draft, remote) {
        return draft.finish(situation, step, LookAgain::fresh(1));
    }
    if held(&draft).is_none()
        && let Some((situation, step)) = credentials::renew(&mut draft, remote)
    {
        return credentials::carry_out(draft, situation, step);
    }
    let again = match remote.state {
        RemoteState::Stopping | RemoteState::Deleting => LookAgain::fresh(2),
        _ => {
            let of_drift = drift::wait(&draft).filter(|_| draft.drift.is_there()).and_then(LookAgain::after);
            [of_drift.or_else(|| credentials::look_again(&draft)), group::next_count(&draft, remote)]
                .into_iter()
                .flatten()
                .min_by_key(|again| again.after)
        }
    };
    draft.finish(situation, Step::Rest, again)
}

/// The call that brings bandwidth or priority to what the spec says, if one is possible now.
fn live_settings(draft: &mut Draft<'_>, remote: &RemoteTask) -> Option<Step> {
    let priority = draft.wish().priority.map(Priority::as_str);
    let differs = match (priority, remote.priority.as_deref()) {
        (Some(wanted), Some(current)) => !current.eq_ignore_ascii_case(wanted),
        _ => false,
    };
    let due = drift::is_due(draft);
    let (windows_left, differs) = (draft.drift.bandwidth && !due, differs && (!draft.drift.priority || due));
    let possible = matches!(remote.state, RemoteState::Waiting | RemoteState::Stopped | RemoteState::Failed);
    if let Some(priority) = priority.filter(|_| differs && !possible) {
        let message = format!(
            "The priority becomes {priority} as soon as OMS allows it: while the task waits, is stopped or has failed"
        );
        draft.set(types::PRIORITY_PENDING, "True", Reason::TaskIsRunning, &message);
    } else {
        situation::remove(&mut draft.status.conditions, types::PRIORITY_PENDING);
    }
    if held(draft).is_some() {
        return None;
    }
    if !windows_left
        && draft.wish().windows.as_ref().is_some_and(|wanted| *wanted != remote.windows)
        && group::takes_bandwidth(draft, remote)
    {
        return Some(Step::SetBandwidth(remote.id.clone()));
    }
    (differs && possible).then(|| Step::SetPriority(remote.id.clone()))
}

/// Trouble with the last call whose time to try again has not come.
pub(super) fn held<'a>(draft: &Draft<'a>) -> Option<&'a Trouble> {
    draft
        .view
        .trouble
        .filter(|trouble| trouble.retry_at > draft.view.now && trouble.kind != TroubleKind::Conflict)
}

fn hold(draft: Draft<'_>, trouble: &Trouble) -> Plan {
    let mut draft = draft;
    let again = draft.until(trouble.retry_at);
    // Corrected keys show in the cluster; other causes are tried again when their time has come.
    let again = again.min(draft.view.policy.secret_check_interval);
    draft.status.failure = Some(words::failure(trouble));
    let situation = words::situation(trouble);
    draft.finish(situation, Step::Rest, LookAgain::after(again))
}
