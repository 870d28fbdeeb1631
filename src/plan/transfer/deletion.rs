//! Delete means gone, but only as far as asked.

use std::time::Duration;

use super::rerun::{self, Claim};
use super::{Draft, LookAgain, Plan, Step, adopt, create, group, later};
use crate::api::DeletionPolicy;
use crate::api::conditions::Reason;
use crate::plan::seen::{Link, Remote, RemoteId, RemoteState, RemoteTask, Search, TroubleKind};
use crate::plan::situation::{Row, Situation};

/// From so many refusals of a call in a row on, the clean-up counts as blocked.
const STUBBORN: u32 = 4;

fn deleting(message: impl Into<String>) -> Situation {
    Situation::new(Row::Deleting, Reason::Deleting, message)
}

/// Plans for an object that is being deleted.
pub(super) fn plan(mut draft: Draft<'_>) -> Plan {
    if !draft.has_finalizer() {
        return draft.keep(Step::Rest, None);
    }
    if draft.observes() || adopt::is_wanted(&draft) && !draft.has_adopted() && !is_forgotten(&draft) {
        // A task that somebody else has, or that was never taken over, is none of ours.
        return release(draft);
    }
    let by_default =
        if draft.has_adopted() { DeletionPolicy::Orphan } else { draft.view.policy.deletion_policy };
    let policy = draft.wish().lifecycle.deletion_policy.unwrap_or(by_default);
    let recorded = draft.recorded_id();
    let sent = draft.status.create.as_ref().and_then(|create| create.sent_at.as_ref()).map(|at| at.0);
    if policy == DeletionPolicy::Orphan {
        return release(draft);
    }
    if let (None, Some((id, name))) = (&recorded, draft.view.created) {
        record(&mut draft, id, name);
        return draft.finish(deleting(waiting_words(policy)), Step::Rest, LookAgain::after(Duration::ZERO));
    }
    match (recorded, sent) {
        (None, None) if is_forgotten(&draft) => recall(draft),
        (None, None) => next(draft, policy),
        (None, Some(_)) if draft.view.permit.is_some() || create::had_no_effect(&draft) => {
            next(draft, policy)
        }
        (None, Some(sent)) => find(draft, sent, policy),
        (Some(id), _) => end(draft, id, policy),
    }
}

fn release(draft: Draft<'_>) -> Plan {
    draft.keep(Step::RemoveFinalizer { abandoned: None }, None)
}

/// This run is dealt with: the records of former runs go the same way, one by one.
fn next(mut draft: Draft<'_>, policy: DeletionPolicy) -> Plan {
    if policy != DeletionPolicy::Delete {
        return release(draft);
    }
    let Some(id) = rerun::take_last(&mut draft.status) else { return release(draft) };
    (draft.status.task_id, draft.status.task_name, draft.status.create) = (Some(id), None, None);
    let message = "The task of the present run is gone from OMS; those of former runs follow";
    draft.finish(deleting(message), Step::Rest, LookAgain::after(Duration::ZERO))
}

/// Whether the status knows nothing although the finalizer says that a task was intended: somebody erased it, or the
/// deletion came between the two.
fn is_forgotten(draft: &Draft<'_>) -> bool {
    draft.status.observed_generation < 0 && draft.status.attempt.is_none()
}

/// One search for what an erased status no longer tells of; where that is not possible, the object goes at once.
fn recall(mut draft: Draft<'_>) -> Plan {
    let Link::Up(link) = draft.view.link else { return release(draft) };
    if draft.view.trouble.is_some_and(|trouble| trouble.retry_at > draft.view.now) {
        return release(draft);
    }
    match draft.view.search {
        // The status stays as it is until then: it is what says that there is something to recall.
        Search::None => draft.keep(Step::Search, LookAgain::after(Duration::from_secs(1))),
        Search::Done { found, .. } => {
            let Some(task) = create::best(&draft, found.iter()) else { return release(draft) };
            record(&mut draft, &task.id, &task.name);
            rerun::recall(&mut draft, Some(task));
            draft.status.connection = Some(link.pinned.clone());
            draft.finish(searching(), Step::Rest, LookAgain::after(Duration::ZERO))
        }
    }
}

/// A create may have arrived whose answer was lost: what it made has to be found first.
fn find(mut draft: Draft<'_>, sent: jiff::Timestamp, policy: DeletionPolicy) -> Plan {
    if let Link::Down { message, .. } = draft.view.link {
        return abandon_later(draft, message);
    }
    if let Some(why) = blocked(&draft) {
        return abandon_later(draft, &why);
    }
    let fence = later(sent, draft.view.policy.create_fence);
    match draft.view.search {
        Search::Done { found, started_at, .. } if rerun::is_news(&draft, found) && *started_at > sent => {
            match rerun::claim(&draft, found) {
                Claim::Task(keep) => {
                    record(&mut draft, &keep.id, &keep.name);
                    rerun::recall(&mut draft, Some(keep));
                }
                Claim::Earlier(task) => {
                    let step = Step::RemoveDuplicate(task.id.clone());
                    return draft.finish(searching(), step, LookAgain::after(Duration::from_secs(2)));
                }
                // From here on the search is about the run that was under way alone.
                Claim::Former => {
                    rerun::recall(&mut draft, None);
                    return draft.finish(searching(), Step::Rest, LookAgain::after(Duration::ZERO));
                }
            }
            draft.finish(
                deleting("The task is being removed from OMS"),
                Step::Rest,
                LookAgain::after(Duration::ZERO),
            )
        }
        Search::Done { empty, .. } if empty.iter().any(|started| *started > fence) => next(draft, policy),
        Search::Done { started_at, .. } => {
            let passed = Duration::try_from(draft.view.now.duration_since(sent)).unwrap_or_default();
            let pause = (passed / 8).clamp(Duration::from_secs(1), Duration::from_mins(1));
            let since = Duration::try_from(draft.view.now.duration_since(*started_at)).unwrap_or_default();
            let step = if since >= pause { Step::Search } else { Step::Rest };
            draft.finish(searching(), step, LookAgain::after(pause))
        }
        Search::None => draft.finish(searching(), Step::Search, LookAgain::after(Duration::from_secs(1))),
    }
}

/// On record first: only a recorded task is looked at.
fn record(draft: &mut Draft<'_>, id: &RemoteId, name: &str) {
    draft.status.task_id = Some(id.to_string());
    draft.status.task_name = super::name_of(name);
    draft.status.create = None;
}

/// Why the clean-up cannot go on, when it is nothing that passes quickly.
fn blocked(draft: &Draft<'_>) -> Option<String> {
    let trouble = draft.view.trouble.filter(|trouble| trouble.retry_at > draft.view.now)?;
    match trouble.kind {
        TroubleKind::Credentials | TroubleKind::Permission => {
            Some(format!("OMS refuses the connection's keys: {}", trouble.message))
        }
        TroubleKind::Conflict | TroubleKind::Throttled => None,
        _ if trouble.count < STUBBORN => None,
        _ => Some(trouble.message.clone()),
    }
}

fn searching() -> Situation {
    deleting(
        "The answer to the create is not known: the operator searches for the task to remove it. Nothing to do",
    )
}

/// Stops and deletes, as far as the policy asks, and confirms it.
fn end(draft: Draft<'_>, id: RemoteId, policy: DeletionPolicy) -> Plan {
    if let Link::Down { message, .. } = draft.view.link {
        return abandon_later(draft, message);
    }
    if let Some(why) = blocked(&draft)
        && (*draft.view.remote != Remote::Gone || !draft.view.siblings.is_empty())
    {
        return abandon_later(draft, &why);
    }
    if let Some(trouble) = draft.view.trouble.filter(|trouble| trouble.retry_at > draft.view.now) {
        let again = LookAgain::after(draft.until(trouble.retry_at));
        return draft.finish(deleting(waiting_words(policy)), Step::Rest, again);
    }
    // The tasks of former runs are none: with them it goes as the policy says.
    let is_duplicate = |task: &RemoteTask| task.id != id && !rerun::is_on_record(&draft.status, &task.id);
    if let Some(duplicate) = draft.view.siblings.iter().find(|task| is_duplicate(task)) {
        let step = Step::RemoveDuplicate(duplicate.id.clone());
        let again = LookAgain::after(Duration::from_secs(2));
        return draft.finish(deleting(waiting_words(policy)), step, again);
    }
    let keep = policy == DeletionPolicy::StopAndKeep;
    match draft.view.remote {
        Remote::Gone => next(draft, policy),
        Remote::Pending | Remote::Stale => draft.finish(deleting(waiting_words(policy)), Step::Show, None),
        // A task that is not ours stays as it is, whatever the status says.
        Remote::Known(remote) if !draft.owns(remote) => next(draft, policy),
        Remote::Known(remote) => match remote.state {
            RemoteState::Running | RemoteState::Synchronizing => {
                draft.finish(deleting(waiting_words(policy)), Step::Stop(id), LookAgain::fresh(1))
            }
            RemoteState::Stopped | RemoteState::Failed | RemoteState::Succeeded if keep => release(draft),
            RemoteState::Waiting if keep => {
                let message = "A task that waits at OMS cannot be stopped: the operator waits until it runs, then stops it. \
                               Set `spec.deletionPolicy` to Delete or Orphan to end this at once";
                draft.finish(deleting(message), Step::Rest, LookAgain::fresh(2))
            }
            RemoteState::Waiting | RemoteState::Stopped | RemoteState::Failed | RemoteState::Succeeded => {
                draft.finish(deleting(waiting_words(policy)), Step::Delete(id), LookAgain::fresh(0))
            }
            RemoteState::Creating => {
                let since = draft.view.meta.deletion_timestamp.as_ref().map_or(draft.view.now, |at| at.0);
                let again = group::patience(&draft, since);
                draft.finish(deleting(group::BUSY), Step::Rest, again)
            }
            RemoteState::Stopping | RemoteState::Retrying | RemoteState::Deleting | RemoteState::Unknown => {
                draft.finish(deleting(waiting_words(policy)), Step::Rest, LookAgain::fresh(1))
            }
        },
    }
}

fn waiting_words(policy: DeletionPolicy) -> &'static str {
    match policy {
        DeletionPolicy::StopAndKeep => "The task is being stopped at OMS; its record stays",
        _ => "The task is being removed from OMS",
    }
}

/// Says that the clean-up is blocked, waits a bounded time, then lets go.
fn abandon_later(draft: Draft<'_>, why: &str) -> Plan {
    let since = draft.view.meta.deletion_timestamp.as_ref().map_or(draft.view.now, |at| at.0);
    let give_up_at = later(since, draft.view.policy.cleanup_timeout);
    if give_up_at <= draft.view.now {
        let task = draft
            .status
            .task_id
            .as_deref()
            .map_or_else(|| "a task whose ID is not known".to_owned(), |id| format!("task {id}"));
        let project = draft.status.connection.as_ref().map_or_else(String::new, |pinned| {
            format!(" of project {} at {}", pinned.project_id, pinned.endpoint)
        });
        let former: Vec<_> = rerun::former_ids(&draft.status).collect();
        let former = match former.len() {
            0 => String::new(),
            1 => format!(" and {} of a former run", former[0]),
            _ => format!(" and {} of former runs", former.join(", ")),
        };
        let abandoned = Some(format!("{task}{former}{project} may still be at OMS: {why}"));
        return draft.keep(Step::RemoveFinalizer { abandoned }, None);
    }
    let message = format!(
        "The clean-up at OMS is blocked: {why}. Mend that, or the operator lets go at {give_up_at:.0} and leaves the task at OMS"
    );
    let again = LookAgain::after(draft.until(give_up_at).min(Duration::from_secs(10)));
    draft.finish(Situation::new(Row::Deleting, Reason::CleanupBlocked, message), Step::Rest, again)
}
