//! Keys that change or end while OMS has a task: what waits is created anew, what runs goes on or is restarted, what failed
//! because of them is started again, as `spec.onCredentialChange` says.

use std::time::Duration;

use jiff::Timestamp;

use super::{Draft, LookAgain, Plan, Step, cause, later};
use crate::api::conditions::{Reason, types};
use crate::api::{
    Acknowledgement, ManagementPolicy, ObservedCredentials, OnCredentialChange, Phase, TransferStatus,
};
use crate::plan::seen::{Keys, Remote, RemoteState, RemoteTask};
use crate::plan::situation::{self, Row, Situation, whole_seconds};
use crate::plan::wish::{Kind, Wish};

/// How long before temporary keys end their owner is told at the latest.
const WARNING: Duration = Duration::from_hours(1);

fn asked(draft: &Draft<'_>) -> OnCredentialChange {
    draft.wish().lifecycle.on_credential_change
}

/// The step that gives a waiting or running task the keys that the Secrets hold now; `None`: none is due. The engine
/// reads the keys when a Secret has another version than the one that was sent.
pub(super) fn renew(draft: &mut Draft<'_>, remote: &RemoteTask) -> Option<(Situation, Step)> {
    let asked = asked(draft);
    let kind = draft.wish().kind;
    let row = if kind == Kind::SyncTask { Row::Stopping } else { Row::Active };
    let situation = |message: &str| Situation::new(row, Reason::RenewingCredentials, message.to_owned());
    if *draft.view.keys == Keys::NotRead && draft.status.renewing_keys_since.is_some() {
        return Some((situation("The keys of the task are replaced"), Step::ReadKeys));
    }
    // With which keys an adopted task works is not known before it was started from here.
    let unknown = draft.has_adopted() && draft.status.observed_credentials.is_empty();
    if asked == OnCredentialChange::Ignore || unknown || !draft.keys_changed() {
        if let Keys::Ready(keys) = draft.view.keys {
            // What was noticed is over: the keys are the same again, or were sent, or do not count.
            draft.status.renewing_keys_since = None;
            situation::remove(&mut draft.status.conditions, types::CREDENTIALS_PENDING);
            if !draft.keys_changed() {
                note_ends(draft, keys);
            }
        }
        return None;
    }
    let waits = remote.state == RemoteState::Waiting
        && remote.counters.succeeded == 0
        && kind != Kind::SyncTask
        && !draft.has_adopted();
    if waits {
        mark(draft);
        let message = "A Secret has new keys: the task is taken out of OMS's queue and created anew with them, as nothing \
                       was copied";
        return Some((situation(message), Step::Delete(remote.id.clone())));
    }
    let restarts = asked == OnCredentialChange::RestartRunning;
    let runs = matches!(remote.state, RemoteState::Running | RemoteState::Synchronizing);
    let word =
        !draft.wish().restores || draft.wish().lifecycle.acknowledge.contains(&Acknowledgement::RestoreAgain);
    if restarts && runs && word {
        mark(draft);
        let message = "A Secret has new keys: the task is stopped and started again with them";
        return Some((situation(message), Step::Stop(remote.id.clone())));
    }
    let what = match (restarts, word) {
        (true, true) => "Nothing to do; the operator restarts it as soon as it runs",
        (true, false) => {
            "To start it again restores, and pays for, archived objects again: add `RestoreAgain` to `spec.acknowledge` to go on"
        }
        _ => "Nothing to do if those stay valid; else set `spec.onCredentialChange` to RestartRunning",
    };
    let message = format!(
        "A Secret has new keys, and the task goes on with those that it was given until its next start. {what}"
    );
    draft.set(types::CREDENTIALS_PENDING, "True", Reason::CredentialsRotated, &message);
    None
}

/// Whether keys are others than those that were sent; a relabelled Secret has the same.
pub fn differ(keys: &[ObservedCredentials], sent: &[ObservedCredentials]) -> bool {
    let was_sent = |key: &ObservedCredentials| {
        sent.iter().any(|sent| sent.role == key.role && sent.digest == key.digest)
    };
    keys.len() != sent.len() || !keys.iter().all(was_sent)
}

fn mark(draft: &mut Draft<'_>) {
    // On record before the call: a task that we stopped or deleted for this is ours to start or to create again.
    draft.status.renewing_keys_since.get_or_insert_with(|| whole_seconds(draft.view.now));
}

/// The Secret may have learned when the keys end that were sent.
fn note_ends(draft: &mut Draft<'_>, keys: &[ObservedCredentials]) {
    for sent in &mut draft.status.observed_credentials {
        if let Some(key) = keys.iter().find(|key| key.role == sent.role) {
            sent.expires_at.clone_from(&key.expires_at);
        }
    }
}

/// A plan for that step.
pub(super) fn carry_out(draft: Draft<'_>, situation: Situation, step: Step) -> Plan {
    match step {
        Step::ReadKeys => draft.keep(Step::ReadKeys, None),
        step => draft.finish(situation, step, LookAgain::fresh(1)),
    }
}

/// When a task that OMS has looks for changed keys again, or has to tell that they end.
pub(super) fn look_again(draft: &Draft<'_>) -> Option<LookAgain> {
    let interval = draft.view.policy.secret_check_interval;
    let rotation = (asked(draft) != OnCredentialChange::Ignore).then_some(interval);
    let told_at = soonest(&draft.status).map(|(_, end)| [earlier(end, WARNING), end]);
    let next = told_at.into_iter().flatten().filter(|at| *at > draft.view.now).min();
    let end = next.map(|at| draft.until(at));
    rotation.into_iter().chain(end).min().and_then(LookAgain::after)
}

fn earlier(at: Timestamp, span: Duration) -> Timestamp {
    at.saturating_sub(span).unwrap_or(Timestamp::MIN)
}

/// The temporary keys that end first.
fn soonest(status: &TransferStatus) -> Option<(&ObservedCredentials, Timestamp)> {
    let ends =
        status.observed_credentials.iter().filter_map(|sent| Some((sent, sent.expires_at.as_ref()?.0)));
    ends.min_by_key(|(_, end)| *end)
}

/// Tells of temporary keys that end before the task does, as far as that can be known.
pub(super) fn tell_end(draft: &mut Draft<'_>, row: Row) {
    let told = if row == Row::Active { end(draft) } else { None };
    match told {
        Some((reason, message)) => draft.set(types::CREDENTIALS_EXPIRING, "True", reason, &message),
        None => situation::remove(&mut draft.status.conditions, types::CREDENTIALS_EXPIRING),
    }
}

fn end(draft: &Draft<'_>) -> Option<(Reason, String)> {
    let (sent, end) = soonest(&draft.status)?;
    let remaining = match draft.view.remote {
        Remote::Known(task) => task.counters.remaining.unwrap_or_default(),
        _ => Duration::ZERO,
    };
    let is_near = later(draft.view.now, remaining.max(WARNING)) >= end;
    // An estimate that wavers does not take the warning back.
    let is_told = situation::find(&draft.status.conditions, types::CREDENTIALS_EXPIRING)
        .is_some_and(|told| told.message.contains(&format!("{end:.0}")));
    if !is_near && !is_told {
        return None;
    }
    let what = match asked(draft) {
        OnCredentialChange::RestartRunning => "the operator starts the task again with them",
        OnCredentialChange::NextStart => {
            "a task that runs gets them when it is started again, which `spec.onCredentialChange: RestartRunning` asks for"
        }
        OnCredentialChange::Ignore => {
            "the task gets them when you set `spec.suspend` to true and back to false"
        }
    };
    let secret = &sent.secret_name;
    Some(if end <= draft.view.now {
        let message = format!(
            "The temporary keys of Secret `{secret}` ended at {end:.0}. Put new ones into it; {what}"
        );
        (Reason::TemporaryKeysEnded, message)
    } else {
        let message = format!(
            "The temporary keys of Secret `{secret}` end at {end:.0}, and the task may need them for longer. Put new ones into \
             it before; {what}"
        );
        (Reason::TemporaryKeysEnding, message)
    })
}

/// Whether a task that failed for good is started again when its keys change: they were the cause.
pub fn may_mend(status: &TransferStatus, wish: &Wish<'_>) -> bool {
    let lifecycle = wish.lifecycle;
    let ready = situation::find(&status.conditions, types::READY).map(|ready| ready.reason.as_str());
    let given_up = [Reason::TaskFailed, Reason::RetryLimitReached].map(Reason::as_str);
    status.phase == Some(Phase::Failed)
        && ready.is_some_and(|reason| given_up.contains(&reason))
        && status.failure.as_ref().is_some_and(|failure| cause::is_of_keys(&failure.code))
        && !status.observed_credentials.is_empty()
        && lifecycle.on_credential_change != OnCredentialChange::Ignore
        && lifecycle.management_policy == ManagementPolicy::Manage
        && wish.runs.and_then(|runs| runs.retry).is_none_or(|retry| retry.limit != 0)
}

/// A task that had failed for good because of its keys, and whose keys have changed since, is due again.
pub(super) fn mend(mut draft: Draft<'_>) -> Plan {
    mark(&mut draft);
    draft.status.next_attempt_at = Some(whole_seconds(draft.view.now));
    let message =
        "A Secret has new keys: the task, which failed because of its keys, is started again with them";
    let situation = Situation::new(Row::RetryDue, Reason::RenewingCredentials, message);
    draft.finish(situation, Step::Rest, LookAgain::after(Duration::ZERO))
}
