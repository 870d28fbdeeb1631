//! A task that failed is started again: as often as `spec.retry` says, by the class of its failure.

use std::time::Duration;

use super::{Draft, LookAgain, Plan, Step, cause, later, notification, run, words};
use crate::api::conditions::Reason;
use crate::api::{Failure, NotificationTrigger, OnCredentialChange, Phase, Retries, Retry, RetryObjects};
use crate::plan::seen::{Call, FailureCause, Keys, RemoteFailure, RemoteTask, Trouble};
use crate::plan::situation::{Row, Situation, whole_seconds};

/// Failures of a task that worked on its objects. Without `spec.retry` it stays failed: to start it again may cost
/// what it has cost already.
const OF_ITS_OBJECTS: &[&str] = &["TRF.0002", "TRF.0004", "TRF.0062", "TRF.0401"];

/// OMS has lost what it needs to go on with the task: its table of causes says to make a new one.
const LOST: &str = "TRF.0021";

/// What OMS says when it cannot start only the failed objects again: the recording was off, or its list is missing,
/// incomplete, empty or too large.
const NO_RECORD: &[&str] =
    &["S3M.0301", "OMS.0301", "OMS.0167", "S3M.0167", "OMS.0308", "S3M.0308", "OMS.1027", "OMS.0305"];

/// What follows from a failure.
enum Verdict {
    /// It is started again.
    Again,
    /// It stays failed: the reason, and what to do.
    Never(Reason, String),
}

/// What a task that failed needs: its next start, or the words for its end.
///
/// `held_since`: since when it is suspended; `mended_at`: when keys changed that had failed it.
pub(super) fn plan(
    mut draft: Draft<'_>,
    remote: &RemoteTask,
    held_since: Option<super::Time>,
    mended_at: Option<super::Time>,
) -> Plan {
    let failure = remote.failure.clone().unwrap_or_default();
    let asked = draft.wish().runs.and_then(|runs| runs.retry);
    let due = draft.status.next_attempt_at.as_ref().map(|at| at.0);
    let started = draft.view.started_again_at.is_some_and(|at| due.is_some_and(|due| at >= due));
    if started {
        count(&mut draft);
    }
    // New keys are worth one start, and what comes of it counts.
    let by_keys = failure.cause == FailureCause::Keys;
    draft.status.renewing_keys_since = mended_at.filter(|_| by_keys && due.is_some() && !started);
    let verdict = verdict(&draft, remote, &failure, asked);
    draft.status.failure = Some(Failure {
        code: failure.code.clone(),
        message: failure.message.clone(),
        remedy: failure.remedy.clone(),
        retryable: matches!(verdict, Verdict::Again),
    });
    if let Verdict::Never(reason, what) = verdict {
        draft.status.next_attempt_at = None;
        draft.status.renewing_keys_since = None;
        let message = format!("{}. {what}", said(&failure, remote));
        return notification::conclude(
            draft,
            Situation::new(Row::Failed, reason, message),
            NotificationTrigger::Failure,
        );
    }
    if draft.suspended() {
        draft.status.next_attempt_at = None;
        draft.status.suspended_at = held_since.or_else(|| Some(whole_seconds(draft.view.now)));
        return draft.finish(run::suspended(false), Step::Rest, None);
    }
    let situation = match draft.view.trouble.filter(|trouble| trouble.call == Call::Start) {
        // What keeps it from being started says more than why it failed.
        Some(trouble) => Situation { row: Row::RetryDue, ..words::situation(trouble) },
        None => Situation::new(Row::RetryDue, Reason::RetryScheduled, scheduled(&draft, remote, &failure)),
    };
    if due.is_none() || started {
        // Who raises the limit of a task that had given up, or asks for a look, does not wait.
        let at_once = draft.is_nudged() && draft.status.phase == Some(Phase::Failed);
        let pause = if at_once { Duration::ZERO } else { pause(made(&draft), failure.cause, asked) };
        draft.status.next_attempt_at = Some(whole_seconds(later(draft.view.now, pause)));
        return draft.finish(situation, Step::Rest, LookAgain::after(Duration::from_secs(1)));
    }
    if *draft.view.keys == Keys::NotRead {
        return draft.keep(Step::ReadKeys, None);
    }
    draft.tell_keys();
    if let Keys::Missing { reason, message } = draft.view.keys {
        let situation = Situation::new(Row::RetryDue, *reason, message.clone());
        let again = LookAgain::after(draft.view.policy.secret_check_interval);
        return draft.finish(situation, Step::Rest, again);
    }
    if let Some(due) = due.filter(|due| *due > draft.view.now) {
        // Starts are told apart by the second that is on record: one in the second of the last would be taken for it.
        let at_last = draft.view.started_again_at.is_some_and(|at| at >= whole_seconds(draft.view.now).0);
        if at_last || !draft.keys_changed() && !draft.is_nudged() {
            let longest =
                if at_last { Duration::from_secs(1) } else { draft.view.policy.secret_check_interval };
            let again = draft.until(due).min(longest);
            return draft.finish(situation, Step::Rest, LookAgain::after(again));
        }
    }
    let only_failed = only_failed(asked, remote);
    run::start(draft, remote, situation, only_failed)
}

/// One more start after a failure is on its way, or over.
pub(super) fn count(draft: &mut Draft<'_>) {
    let objects = draft.wish().runs.and_then(|runs| runs.retry).map(|retry| retry.objects);
    let retries = draft.status.retries.get_or_insert_with(Retries::default);
    retries.made = retries.made.saturating_add(1);
    retries.objects = objects.unwrap_or(RetryObjects::All);
}

fn made(draft: &Draft<'_>) -> i64 {
    draft.status.retries.map_or(0, |retries| retries.made.max(0))
}

/// Whether the next start copies only what failed.
fn only_failed(asked: Option<Retry>, remote: &RemoteTask) -> bool {
    remote.can_retry_failed && asked.is_some_and(|retry| retry.objects == RetryObjects::Failed)
}

fn verdict(draft: &Draft<'_>, remote: &RemoteTask, failure: &RemoteFailure, asked: Option<Retry>) -> Verdict {
    let code = failure.code.as_str();
    let is_mended = draft.status.renewing_keys_since.is_some();
    let new_object = "Create another object with a spec that can work, and delete this one";
    match asked {
        None if is_of_surroundings(remote, failure) || is_mended => Verdict::Again,
        None if failure.cause == FailureCause::Spec => {
            Verdict::Never(Reason::TaskFailed, format!("The spec cannot work as it is. {new_object}"))
        }
        None => Verdict::Never(
            Reason::TaskFailed,
            format!(
                "{}, then set `spec.retry` to have the task started again, or `spec.rerun` to a new word to migrate again as a \
                 new task",
                mend(draft, failure)
            ),
        ),
        Some(_) if failure.cause == FailureCause::Spec => {
            Verdict::Never(Reason::RetryNotPossible, format!("A retry would fail the same way. {new_object}"))
        }
        Some(_) if code == LOST => Verdict::Never(
            Reason::RetryNotPossible,
            "OMS cannot go on with this task. Set `spec.rerun` to a new word to migrate again as a new task"
                .to_owned(),
        ),
        Some(retry) if made(draft) >= retry.limit && !(is_mended && retry.limit > 0) => Verdict::Never(
            Reason::RetryLimitReached,
            if retry.limit == 0 {
                "`spec.retry.limit` is 0, so the operator does not start it again. Mend the cause, then raise the limit"
                    .to_owned()
            } else {
                format!(
                    "All retries that `spec.retry.limit` allows were made: {}. {}, then raise the limit",
                    retry.limit,
                    mend(draft, failure)
                )
            },
        ),
        Some(retry) => match draft.view.trouble.filter(|trouble| refuses_only_failed(trouble)) {
            Some(trouble) if only_failed(Some(retry), remote) => Verdict::Never(
                Reason::RetryNotPossible,
                format!(
                    "OMS does not start only the failed objects again ({}): {}. Set `spec.retry.objects` to All; \
                     what the destination has is then treated as `overwriteMode` says",
                    trouble.code,
                    trouble.message.trim_end_matches('.')
                ),
            ),
            _ => Verdict::Again,
        },
    }
}

/// What the owner of a task does first that stays failed.
fn mend(draft: &Draft<'_>, failure: &RemoteFailure) -> &'static str {
    let heeds = draft.wish().lifecycle.on_credential_change != OnCredentialChange::Ignore;
    if failure.cause == FailureCause::Keys && heeds {
        "Put other keys into the Secret, with which the operator starts it again by itself; or mend the cause"
    } else {
        "Mend the cause"
    }
}

fn refuses_only_failed(trouble: &Trouble) -> bool {
    trouble.call == Call::Start && NO_RECORD.contains(&trouble.code.as_str())
}

/// Whether the task's surroundings failed it before it copied anything: bucket, keys, permissions, space, the list
/// file, an empty source, trouble of a service.
fn is_of_surroundings(remote: &RemoteTask, failure: &RemoteFailure) -> bool {
    remote.counters.succeeded == 0
        && !matches!(failure.cause, FailureCause::Spec | FailureCause::Unknown)
        && failure.code != LOST
        && !OF_ITS_OBJECTS.contains(&failure.code.as_str())
}

/// The pause before the next start, after so many.
fn pause(made: i64, cause: FailureCause, asked: Option<Retry>) -> Duration {
    let (first, longest) = match (asked, cause) {
        // Without an end to it, somebody who mends the cause should not wait long.
        (None, _) => (1, 10),
        (Some(_), FailureCause::Passing) => (1, 30),
        // Somebody has to mend it: the few attempts should last until then.
        (Some(_), _) => (5, 60),
    };
    Duration::from_mins(first).saturating_mul(1 << made.clamp(0, 6)).min(Duration::from_mins(longest))
}

/// What happened, without the end of the sentence.
pub(super) fn said(failure: &RemoteFailure, remote: &RemoteTask) -> String {
    let code = if failure.code.is_empty() { String::new() } else { format!(" ({})", failure.code) };
    let list = remote.failed_list.as_deref().map_or_else(String::new, |list| {
        format!(". OMS lists the failed objects in `{list}` of the destination bucket")
    });
    format!("The task failed at OMS{code}: {}{list}", reason(failure))
}

fn reason(failure: &RemoteFailure) -> &str {
    match failure.message.trim_end_matches('.') {
        "" => "OMS gave no reason",
        message => message,
    }
}

/// The words while the next start is due.
fn scheduled(draft: &Draft<'_>, remote: &RemoteTask, failure: &RemoteFailure) -> String {
    let code = if failure.code.is_empty() { String::new() } else { format!(" ({})", failure.code) };
    // OMS says the same of a bucket and of a CDN that refuse it.
    let of_cdn = failure.code == "TRF.0152" && draft.wish().cdn.is_some();
    let (about, mend) = match cause::of(&failure.code) {
        _ if of_cdn => (
            format!("`{}` or `{}`", cause::SOURCE_KEYS, cause::CDN_KEY),
            "Let the keys list and read the source bucket, and correct the key of the CDN",
        ),
        Some((field, mend)) => (format!("`{field}`"), mend),
        None => ("the task's surroundings".to_owned(), "Mend the cause"),
    };
    let Some(retry) = draft.wish().runs.and_then(|runs| runs.retry) else {
        return format!(
            "Nothing was copied, because of {about}{code}: {}. {mend}; the operator starts the task again by itself",
            reason(failure)
        );
    };
    let (said, next, limit) = (said(failure, remote), made(draft).saturating_add(1), retry.limit);
    let what = if only_failed(Some(retry), remote) { "the failed objects" } else { "the task" };
    format!("{said}. {mend}; the operator starts {what} again by itself, as retry {next} of {limit}")
}
