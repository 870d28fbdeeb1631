//! What to do next for one SyncEvent, and what its status says about it.
//!
//! Keys go to OMS in order, ten per call, and `accepted` counts those that OMS took. It is written after every call, so a
//! process that ends in between sends one call again and no other: OMS skips what it has copied.

use std::ops::Range;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::pause::{self, Pause};
use super::seen::{RemoteId, Trouble, TroubleKind};
use super::situation::{self, Row, Situation, whole_seconds};
use super::transfer::situation_of;
use crate::api::conditions::{Reason, types};
use crate::api::{self, Phase, ReadyWhen, SyncEventSpec, SyncEventStatus};

/// Keys per call (OMS API reference 5.4.1).
pub const KEYS_PER_CALL: usize = 10;

/// The SyncTask that a SyncEvent names, as far as it can take keys.
#[derive(Clone, Debug, PartialEq)]
pub enum Receiver {
    /// There is none of that name in the namespace.
    Missing,
    /// It is being deleted.
    Leaving,
    /// It does not synchronize.
    Idle {
        /// Its phase.
        phase: Option<Phase>,
        /// What its own status says about that.
        message: String,
    },
    /// Its connection is not usable: why, and what to do.
    Unreachable {
        /// Reason of the condition.
        reason: Reason,
        /// What happened, whose move it is, what to do.
        message: String,
    },
    /// It takes keys.
    Ready(RemoteId),
}

/// Everything that a decision depends on.
#[derive(Clone, Debug)]
pub struct View<'a> {
    /// Metadata of the object, not older than our own last write.
    pub meta: &'a ObjectMeta,
    /// Its spec.
    pub spec: &'a SyncEventSpec,
    /// Its stored status.
    pub stored: Option<&'a SyncEventStatus>,
    /// Now.
    pub now: Timestamp,
    /// How often what is missing is looked at again.
    pub check_interval: Duration,
    /// Who keeps the operator's hands off, beside the object itself.
    pub pause: Option<&'a Pause>,
    /// The SyncTask.
    pub receiver: &'a Receiver,
    /// How many keys OMS accepted, and which sync task did, when that is not on record yet.
    pub told: Option<&'a (usize, RemoteId)>,
    /// What OMS said to the last call, when it was no success.
    pub trouble: Option<&'a Trouble>,
}

/// What to do, and what the status says.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The whole status, as it should be stored before the step.
    pub status: SyncEventStatus,
    /// The step.
    pub step: Step,
    /// When to look again without being woken.
    pub look_again: Option<Duration>,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing.
    Rest,
    /// Tell OMS of these keys.
    Send(RemoteId, Range<usize>),
    /// Delete the object: its time after the end has passed.
    Delete,
}

/// Whether the object has come to its end.
pub fn is_over(status: Option<&SyncEventStatus>) -> bool {
    status.is_some_and(|status| status.finished_at.is_some())
}

/// Plans the next step.
pub fn plan(view: &View<'_>) -> Plan {
    let mut status = view.stored.cloned().unwrap_or_default();
    let annotation = |name| view.meta.annotations.as_ref().and_then(|annotations| annotations.get(name));
    let paused = pause::words(view.meta, view.pause);
    if view.meta.deletion_timestamp.is_some() {
        return Plan { status, step: Step::Rest, look_again: None };
    }
    if let (Some(words), None) = (&paused, view.told) {
        return hands_off(view, status, words);
    }
    situation::remove(&mut status.conditions, types::PAUSED);
    let total = view.spec.object_keys.len();
    let stored = status.accepted.and_then(|accepted| usize::try_from(accepted).ok()).unwrap_or(0);
    let mut accepted = stored.min(total);
    if let Some((through, task)) = view.told {
        accepted = accepted.max(*through).min(total);
        status.task_id = Some(task.to_string());
    }
    status.accepted = i64::try_from(accepted).ok();
    status.total = i64::try_from(total).ok();
    let requested = annotation(api::RECONCILE_REQUESTED_AT).cloned();
    let nudged = status.last_handled_reconcile_at != requested;
    status.last_handled_reconcile_at = requested;
    if accepted == total {
        let end = status.finished_at.get_or_insert_with(|| whole_seconds(view.now)).0;
        let message = format!(
            "OMS accepted all {total} keys. What became of each object it does not tell; `status.statistics` of the \
             SyncTask counts them"
        );
        let situation = Situation::new(Row::Succeeded, Reason::EventsAccepted, message);
        return finished(view, tell(view, status, &situation), end);
    }
    if let Some(end) = status.finished_at.take()
        && !nudged
    {
        // Refused for good. Its words stand as they are stored.
        status.finished_at = Some(end.clone());
        return finished(view, status, end.0);
    }
    if let Some(words) = &paused {
        // What OMS took is put on record; nothing more is sent.
        return hands_off(view, status, words);
    }
    let id = match ready(view) {
        Ok(id) => id,
        Err(situation) => {
            let status = tell(view, status, &situation);
            return Plan { status, step: Step::Rest, look_again: Some(view.check_interval) };
        }
    };
    if let Some(trouble) = view.trouble.filter(|_| !nudged) {
        if trouble.kind == TroubleKind::Invalid {
            status.finished_at = Some(whole_seconds(view.now));
            let status = tell(view, status, &refused(trouble));
            return finished(view, status, view.now);
        }
        if trouble.retry_at > view.now {
            let wait = Duration::try_from(trouble.retry_at.duration_since(view.now)).unwrap_or_default();
            let status = tell(view, status, &held(view, trouble));
            return Plan { status, step: Step::Rest, look_again: Some(wait.max(Duration::from_millis(50))) };
        }
    }
    let message = "OMS is told of the keys, ten at a time";
    let status = tell(view, status, &Situation::new(Row::Active, Reason::SendingEvents, message));
    let range = accepted..total.min(accepted + KEYS_PER_CALL);
    Plan { status, step: Step::Send(id, range), look_again: None }
}

/// A paused object gets the marker, once, and nothing else.
fn hands_off(view: &View<'_>, mut status: SyncEventStatus, words: &str) -> Plan {
    if situation::find(&status.conditions, types::PAUSED).is_none_or(|told| told.message != words) {
        let (now, generation) = (view.now, view.meta.generation.unwrap_or_default());
        situation::set(&mut status.conditions, types::PAUSED, "True", Reason::Paused, words, generation, now);
    }
    Plan { status, step: Step::Rest, look_again: None }
}

/// The sync task that takes keys, or why there is none.
fn ready(view: &View<'_>) -> Result<RemoteId, Situation> {
    let name = &view.spec.sync_task_ref.name;
    let (reason, message) = match view.receiver {
        Receiver::Ready(id) => return Ok(id.clone()),
        Receiver::Missing => (
            Reason::SyncTaskNotFound,
            format!(
                "SyncTask `{name}`, named by `syncTaskRef.name`, does not exist in namespace `{}`, and a SyncEvent can only \
                 name one of its own namespace. Create it there; the keys are kept until then. If the name is wrong, \
                 delete this object and create another",
                view.meta.namespace.as_deref().unwrap_or_default()
            ),
        ),
        Receiver::Leaving => (
            Reason::SyncTaskDeleting,
            format!(
                "SyncTask `{name}`, named by `syncTaskRef.name`, is being deleted and takes no keys. Create one of that name \
                 when it is gone; the keys are kept until then. Or delete this object"
            ),
        ),
        Receiver::Idle { phase, message } => {
            let phase = phase.map_or_else(|| "not looked at yet".to_owned(), |phase| format!("{phase:?}"));
            let why = if message.is_empty() { String::new() } else { format!(": {message}") };
            (
                Reason::SyncTaskNotSynchronizing,
                format!("SyncTask `{name}` is {phase}; the keys are kept and sent once it synchronizes{why}"),
            )
        }
        Receiver::Unreachable { reason, message } => (*reason, message.clone()),
    };
    Err(Situation::new(Row::Blocked, reason, message))
}

/// OMS will never take these keys.
fn refused(trouble: &Trouble) -> Situation {
    let code = if trouble.code.is_empty() { String::new() } else { format!(" ({})", trouble.code) };
    let message = format!(
        "OMS refused keys of `objectKeys`{code}: {}. Delete this object and create another with corrected keys; those \
         before `status.accepted` were taken",
        trouble.message.trim_end_matches('.')
    );
    Situation::new(Row::Hopeless, Reason::Refused, message)
}

/// OMS did not take the keys for a cause that may pass.
fn held(view: &View<'_>, trouble: &Trouble) -> Situation {
    if trouble.kind == TroubleKind::Conflict {
        let name = &view.spec.sync_task_ref.name;
        let message = format!(
            "OMS says that the sync task of SyncTask `{name}` does not synchronize; the keys are kept and sent once it does. \
             The status of the SyncTask says what to do"
        );
        return Situation::new(Row::Blocked, Reason::SyncTaskNotSynchronizing, message);
    }
    Situation { row: Row::Blocked, ..situation_of(trouble) }
}

/// The plan for an object at its end: it stays, or goes when its time has passed.
fn finished(view: &View<'_>, status: SyncEventStatus, end: Timestamp) -> Plan {
    let ttl = view.spec.ttl_after_finished.as_ref().and_then(api::Span::duration);
    let on_record = view.stored == Some(&status);
    let due = ttl.map(|ttl| end.saturating_add(ttl).unwrap_or(Timestamp::MAX));
    match due {
        Some(due) if due <= view.now && on_record => Plan { status, step: Step::Delete, look_again: None },
        Some(due) => {
            let wait = Duration::try_from(due.duration_since(view.now)).unwrap_or_default();
            // A later look than that is started anew anyway, and timers have an end.
            let wait = wait.clamp(Duration::from_millis(50), Duration::from_hours(24));
            Plan { status, step: Step::Rest, look_again: Some(wait) }
        }
        None => Plan { status, step: Step::Rest, look_again: None },
    }
}

fn tell(view: &View<'_>, mut status: SyncEventStatus, situation: &Situation) -> SyncEventStatus {
    let generation = view.meta.generation.unwrap_or_default();
    let verdict = situation::judge(situation.row, ReadyWhen::Succeeded, false);
    status.phase = Some(verdict.phase);
    status.observed_generation = generation;
    status.conditions = situation::conditions(&status.conditions, situation, verdict, generation, view.now);
    status
}

#[cfg(test)]
mod tests;
