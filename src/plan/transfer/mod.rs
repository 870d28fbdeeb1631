//! What to do next for one MigrationTask, TaskGroup or SyncTask, and what its status says about it.
//!
//! [`plan`] is total and pure. The engine does with the answer, in this order: a look (then it plans again), a
//! change of the finalizer, a write of the status when it differs from the stored one, or the one call to OMS.
//! So whatever has to be on record before a call simply stands in the status that comes with it.

mod adopt;
mod approval;
mod cause;
mod create;
mod credentials;
mod deletion;
mod drift;
mod group;
mod notification;
mod observe;
mod pause;
mod preflight;
mod queue;
mod rerun;
mod retry;
mod run;
mod size;
mod sync;
#[cfg(test)]
mod tests;
mod words;

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};

use super::census::Census;
use super::claims::{self, Claim};
use super::pause::Pause;
use super::preflight::{Check, Finding};
use super::queue::Turn;
use super::seen::{Candidate, Keys, Link, LinkUp, Remote, RemoteId, RemoteTask, Search, Trouble};
use super::situation::{self, Situation};
use super::token::{ObjectMark, Token};
use super::wish::Wish;
use crate::api::conditions::{Reason, types};
use crate::api::{self, DeletionPolicy, ManagementPolicy, Phase, TransferStatus};

/// Operator-wide settings that decisions depend on.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Deletion policy of objects that name none.
    pub deletion_policy: DeletionPolicy,
    /// How long a clean-up waits for usable credentials.
    pub cleanup_timeout: Duration,
    /// How long a signed create can still arrive: OMS's 15 minutes, skew and list lag.
    pub create_fence: Duration,
    /// How often missing or refused keys are looked at again.
    pub secret_check_interval: Duration,
}

/// Everything that a decision depends on.
#[derive(Clone, Debug)]
pub struct View<'a> {
    /// Metadata of the object, not older than our own last write.
    pub meta: &'a ObjectMeta,
    /// What its spec asks for.
    pub wish: &'a Wish<'a>,
    /// Its stored status.
    pub stored: Option<&'a TransferStatus>,
    /// Now.
    pub now: Timestamp,
    /// Operator-wide settings.
    pub policy: &'a Policy,
    /// The object's mark.
    pub mark: &'a ObjectMark,
    /// The way to OMS.
    pub link: &'a Link,
    /// The bucket keys.
    pub keys: &'a Keys,
    /// The recorded task at OMS.
    pub remote: &'a Remote,
    /// The search for tasks with our mark.
    pub search: &'a Search,
    /// The task of `spec.adopt`.
    pub candidate: &'a Candidate,
    /// What other objects have to do with that task.
    pub claims: &'a [Claim],
    /// Other live tasks with our mark than the recorded one.
    pub siblings: &'a [RemoteTask],
    /// ID and name that OMS answered to our create, not recorded yet.
    pub created: Option<&'a (RemoteId, String)>,
    /// The `sentAt` that this process wrote and did not use yet.
    pub permit: Option<Timestamp>,
    /// When this process started the task again last.
    pub started_again_at: Option<Timestamp>,
    /// What OMS said to the last call, when it was no success.
    pub trouble: Option<&'a Trouble>,
    /// Whether quotas let the object create now; `None`: it was not asked for in this pass.
    pub turn: Option<&'a Turn>,
    /// What OMS's checks told this process, as far as it is not recorded.
    pub findings: &'a [Finding],
    /// Who keeps the operator's hands off, beside the object itself.
    pub pause: Option<&'a Pause>,
    /// Whether it is time to store another place in the line.
    pub place_due: bool,
    /// The last count of the tasks of a group.
    pub census: Option<&'a Census>,
    /// Whether it is time to store progress that has not reached the next step.
    pub progress_due: bool,
}

/// What to do, and what the status says.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The whole status, as it should be stored before the step.
    pub status: TransferStatus,
    /// The step.
    pub step: Step,
    /// When to look again without being woken.
    pub look_again: Option<LookAgain>,
}

/// When to look again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LookAgain {
    /// After this time.
    pub after: Duration,
    /// Whether the task at OMS has to be read then, because a change there is awaited.
    pub fresh: bool,
}

#[expect(clippy::unnecessary_wraps, reason = "a plan holds an option, and most plans look again")]
impl LookAgain {
    fn after(after: Duration) -> Option<Self> {
        Some(Self { after, fresh: false })
    }

    fn fresh(seconds: u64) -> Option<Self> {
        Some(Self { after: Duration::from_secs(seconds), fresh: true })
    }
}

/// One step.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Nothing.
    Rest,
    /// Look: read the bucket keys.
    ReadKeys,
    /// Look: join the next scan of all tasks.
    Search,
    /// Look: line up for a create, where a quota may be full.
    LineUp,
    /// Look: let OMS make one of its checks.
    Check {
        /// Which.
        check: Check,
        /// What is checked, as a hash.
        subject: String,
    },
    /// Look: read the recorded task.
    Show,
    /// Look: read the task of `spec.adopt` in full.
    Describe,
    /// Look: count the tasks of the recorded group.
    CountMembers,
    /// Add the finalizer.
    AddFinalizer,
    /// Remove the finalizer; with a text when something may be left at OMS.
    RemoveFinalizer {
        /// What is left behind, and why.
        abandoned: Option<String>,
    },
    /// Create the task with this token.
    Create(Token),
    /// Start the task again.
    Start {
        /// The task.
        id: RemoteId,
        /// Only the objects that failed.
        only_failed: bool,
    },
    /// Stop a task.
    Stop(RemoteId),
    /// Delete the record of a task.
    Delete(RemoteId),
    /// Set the bandwidth windows of the spec.
    SetBandwidth(RemoteId),
    /// Set the priority of the spec.
    SetPriority(RemoteId),
    /// Stop or delete a second task that carries our token, as its state allows.
    RemoveDuplicate(RemoteId),
}

impl Step {
    /// Its name, in audit and traces.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Rest => "Rest",
            Self::ReadKeys => "ReadKeys",
            Self::Search => "Search",
            Self::LineUp => "LineUp",
            Self::Check { .. } => "Check",
            Self::Show => "Show",
            Self::Describe => "Describe",
            Self::CountMembers => "CountMembers",
            Self::AddFinalizer => "AddFinalizer",
            Self::RemoveFinalizer { .. } => "RemoveFinalizer",
            Self::Create(_) => "Create",
            Self::Start { .. } => "Start",
            Self::Stop(_) => "Stop",
            Self::Delete(_) => "Delete",
            Self::SetBandwidth(_) => "SetBandwidth",
            Self::SetPriority(_) => "SetPriority",
            Self::RemoveDuplicate(_) => "RemoveDuplicate",
        }
    }

    /// Whether it only looks.
    pub fn is_look(&self) -> bool {
        matches!(
            self,
            Self::ReadKeys
                | Self::Search
                | Self::LineUp
                | Self::Check { .. }
                | Self::Show
                | Self::Describe
                | Self::CountMembers
        )
    }
}

fn has_ended(status: &TransferStatus) -> bool {
    matches!(status.phase, Some(Phase::Succeeded | Phase::SucceededWithFailures | Phase::Failed))
}

/// Whether the task reached its end, so that it costs no call any more.
pub fn is_over(meta: &ObjectMeta, wish: &Wish<'_>, status: Option<&TransferStatus>) -> bool {
    let Some(status) = status else { return false };
    if adopt::wants_look(meta, status, wish) {
        return false;
    }
    let ended = has_ended(status);
    // A failed task may have been started at the console: somebody who asks for a look gets one.
    // So does somebody who changes how a failed task is retried.
    let asked = status.phase == Some(Phase::Failed)
        && (annotation(meta, api::RECONCILE_REQUESTED_AT) != status.last_handled_reconcile_at.as_ref()
            || meta.generation.is_some_and(|generation| generation != status.observed_generation));
    // Who only looks begins no run.
    let observes = wish.lifecycle.management_policy == ManagementPolicy::Observe;
    ended
        && !asked
        && !notification::is_awaited(status)
        && (observes || rerun::wanted(wish, status).is_none())
}

pub use cause::is_of_keys;
pub use credentials::differ as keys_differ;
pub use credentials::may_mend as may_be_mended_by_keys;
pub use notification::words as notification_failed;
pub use preflight::judge as judge_check;
pub use rerun::of_present_run;
pub(super) use words::situation as situation_of;

/// Plans the next step.
pub fn plan(view: &View<'_>) -> Plan {
    let mut draft = Draft::new(view);
    if view.meta.deletion_timestamp.is_some() {
        return deletion::plan(draft);
    }
    if let Some(paused) = pause::plan(&mut draft) {
        return paused;
    }
    if adopt::is_wanted(&draft) {
        adopt::plan(draft)
    } else if draft.observes() {
        observe::plan_own(draft)
    } else if draft.status.task_id.is_some() {
        run::plan(draft)
    } else if let Some((id, name)) = view.created {
        create::record(draft, id.clone(), name_of(name))
    } else if draft.status.create.is_some() {
        create::plan_under_way(draft)
    } else {
        create::plan_new(draft)
    }
}

/// The name to record; OMS gives groups none.
fn name_of(name: &str) -> Option<String> {
    (!name.is_empty()).then(|| name.to_owned())
}

/// An annotation of an object.
fn annotation<'a>(meta: &'a ObjectMeta, name: &str) -> Option<&'a String> {
    meta.annotations.as_ref()?.get(name)
}

/// A moment later than another; the end of time instead of an overflow, as a stored time can be any.
fn later(at: Timestamp, span: Duration) -> Timestamp {
    at.saturating_add(span).unwrap_or(Timestamp::MAX)
}

/// A plan in the making.
#[derive(Clone)]
struct Draft<'a> {
    view: &'a View<'a>,
    status: TransferStatus,
    /// What somebody else changed, once the task was looked at.
    drift: drift::Drift,
}

impl<'a> Draft<'a> {
    fn new(view: &'a View<'a>) -> Self {
        let mut draft = Self { view, status: TransferStatus::default(), drift: drift::Drift::default() };
        draft.status = draft.stored();
        draft
    }

    fn wish(&self) -> &'a Wish<'a> {
        self.view.wish
    }

    /// The stored status, without the marker of a pause: whoever plans is not paused.
    fn stored(&self) -> TransferStatus {
        let mut stored = self.view.stored.cloned().unwrap_or_default();
        situation::remove(&mut stored.conditions, types::PAUSED);
        stored
    }

    fn generation(&self) -> i64 {
        self.view.meta.generation.unwrap_or_default()
    }

    fn suspended(&self) -> bool {
        self.wish().lifecycle.suspend.unwrap_or(false)
    }

    /// The ID of the task at OMS that is on record.
    fn recorded_id(&self) -> Option<RemoteId> {
        RemoteId::recorded(self.wish().kind, self.status.task_id.as_deref()?)
    }

    fn has_finalizer(&self) -> bool {
        self.view.meta.finalizers.iter().flatten().any(|finalizer| finalizer == api::FINALIZER)
    }

    /// The value of the annotation that asks for a look now.
    fn requested(&self) -> Option<&'a String> {
        annotation(self.view.meta, api::RECONCILE_REQUESTED_AT)
    }

    /// Whether somebody changed the spec or asked for a look since the status was written.
    fn is_nudged(&self) -> bool {
        let stored = self.view.stored;
        stored.is_none_or(|status| status.observed_generation != self.generation())
            || self.requested() != stored.and_then(|status| status.last_handled_reconcile_at.as_ref())
    }

    /// The usable connection, or the plan that waits for one.
    fn link(mut self) -> Result<(Self, &'a LinkUp), Box<Plan>> {
        self.tell_link();
        match self.view.link {
            Link::Up(up) => Ok((self, up)),
            Link::Down { reason, message } => {
                let situation = Situation::new(situation::Row::Blocked, *reason, message.clone());
                let again = LookAgain::after(self.view.policy.secret_check_interval);
                Err(Box::new(self.finish(situation, Step::Rest, again)))
            }
        }
    }

    fn tell_link(&mut self) {
        let (status, reason, message) = match self.view.link {
            Link::Up(LinkUp { changed: None, pinned, .. }) => {
                ("True", Reason::ConnectionResolved, format!("{} `{}` is used", pinned.kind, pinned.name))
            }
            Link::Up(LinkUp { changed: Some(change), .. }) => {
                ("False", Reason::ConnectionChanged, change.clone())
            }
            Link::Down { reason, message } => ("False", *reason, message.clone()),
        };
        self.set(types::CONNECTION_READY, status, reason, &message);
    }

    /// Tells of the keys when they were read.
    fn tell_keys(&mut self) {
        match self.view.keys {
            Keys::NotRead => {}
            Keys::Ready(_) => {
                let cdn = self.wish().cdn;
                let keyless = cdn
                    .filter(|cdn| cdn.authentication_type.may_want_key() && cdn.authentication_key.is_none());
                let message = keyless.map_or("The bucket keys could be read".to_owned(), |cdn| {
                    format!(
                        "The bucket keys could be read. As a rule {} wants `source.cdn.authenticationKey`, which is absent: \
                         add it if the CDN refuses OMS",
                        cdn.authentication_type.as_str()
                    )
                });
                self.set(types::CREDENTIALS_READY, "True", Reason::CredentialsResolved, &message);
            }
            Keys::Missing { reason, message } => {
                self.set(types::CREDENTIALS_READY, "False", *reason, message);
            }
        }
    }

    fn set(&mut self, type_: &str, status: &str, reason: Reason, message: &str) {
        let generation = self.generation();
        situation::set(
            &mut self.status.conditions,
            type_,
            status,
            reason,
            message,
            generation,
            self.view.now,
        );
    }

    fn observes(&self) -> bool {
        self.wish().lifecycle.management_policy == ManagementPolicy::Observe
    }

    /// Whether somebody changed the spec since the status was written.
    fn is_edited(&self) -> bool {
        self.view.stored.is_none_or(|status| status.observed_generation != self.generation())
    }

    /// The object that has the task of `spec.adopt`, when it is not this one.
    fn rival(&self) -> Option<&'a Claim> {
        let meta = self.view.meta;
        let own = Claim {
            name: String::new(),
            uid: meta.uid.clone().unwrap_or_default(),
            created_at: meta.creation_timestamp.as_ref().map(|at| at.0),
            made: false,
        };
        claims::rival(&own, self.view.claims)
    }

    /// Whether the recorded task is the one of `spec.adopt`, and nobody else has it.
    fn has_adopted(&self) -> bool {
        self.status.adopted == Some(true)
            && self.status.task_id.as_deref().is_some_and(|id| self.is_named(id))
            && self.rival().is_none()
    }

    /// Whether an ID is that of `spec.adopt`. OMS may write the letters of a UUID in another case than people do.
    fn is_named(&self, id: &str) -> bool {
        self.wish().adopt.is_some_and(|named| named.eq_ignore_ascii_case(id))
    }

    /// Whether a task carries this object's mark, or was adopted; only such a task may be changed.
    fn owns(&self, task: &RemoteTask) -> bool {
        if self.has_adopted() && self.is_named(task.id.as_str()) {
            return true;
        }
        task.token.as_ref().is_some_and(|token| token.object == *self.view.mark)
    }

    /// Whether the keys that were read differ from those that were sent last.
    fn keys_changed(&self) -> bool {
        let Keys::Ready(keys) = self.view.keys else { return false };
        credentials::differ(keys, &self.status.observed_credentials)
    }

    /// Notes which keys are about to be sent; a relabelled Secret is no change.
    fn note_keys(&mut self) {
        if let Keys::Ready(keys) = self.view.keys
            && self.keys_changed()
        {
            self.status.observed_credentials.clone_from(keys);
        }
    }

    /// Takes the intent back, before a task came of it: the spec thaws, the connection included.
    fn take_intent_back(&mut self) {
        self.status.create = None;
        if self.status.history.is_empty() {
            // The tasks of former runs are where the connection leads.
            self.status.connection = None;
        }
    }

    /// A plan that leaves the conditions as they are stored.
    fn keep(self, step: Step, look_again: Option<LookAgain>) -> Plan {
        Plan { status: self.stored(), step, look_again }
    }

    fn finish(mut self, situation: Situation, step: Step, look_again: Option<LookAgain>) -> Plan {
        let verdict = situation::judge(situation.row, self.wish().lifecycle.ready_when, self.observes());
        let generation = self.generation();
        if situation.row != situation::Row::Queued {
            self.status.queue = None;
        }
        self.status.phase = Some(verdict.phase);
        self.status.observed_generation = generation;
        self.status.last_handled_reconcile_at = self.requested().cloned();
        rerun::tell(&mut self, situation.row);
        credentials::tell_end(&mut self, situation.row);
        self.status.conditions =
            situation::conditions(&self.status.conditions, &situation, verdict, generation, self.view.now);
        for condition in &mut self.status.conditions {
            condition.observed_generation = Some(generation);
        }
        Plan { status: self.status, step, look_again }
    }

    /// Time until a moment, at least one second.
    fn until(&self, at: Timestamp) -> Duration {
        Duration::try_from(at.duration_since(self.view.now)).unwrap_or_default().max(Duration::from_secs(1))
    }
}
