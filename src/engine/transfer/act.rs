//! The one call to OMS that a plan asks for. What comes of it is remembered, and seen by the next pass.

use jiff::Timestamp;
use kube::ResourceExt;

use super::{Pass, Transfer, report};
use crate::api::DeletionPolicy;
use crate::api::conditions::{Reason, types};
use crate::engine::watched::{Sight, Watched};
use crate::engine::{audit, remote, wire};
use crate::oms::{self, Urgency};
use crate::plan::seen::{Call, Link, RemoteId, RemoteState, TroubleKind};
use crate::plan::situation;
use crate::plan::transfer::Step;
use crate::plan::wish::Kind;
use crate::telemetry::EventKind;

impl<K: Transfer> Pass<'_, K> {
    /// Makes the call of a step.
    pub(super) async fn act(&mut self, step: &Step, now: Timestamp) {
        let Some((project, client)) = self.place.clone() else { return };
        let watched = project.of(K::KIND);
        let deleting = self.is_deleted();
        let urgency = if deleting { Urgency::Delete } else { Urgency::User };
        let span = (self.object.namespace().unwrap_or_default(), self.object.name_any());
        tracing::info!(kind = K::KIND.as_str(), namespace = span.0, name = span.1, ?step, "acting");
        let told = self.object.status().and_then(|status| situation::find(&status.conditions, types::READY));
        audit::because(step.name(), told.map(|ready| ready.reason.as_str()));
        let (call, result) = match step {
            Step::Create(token) => {
                // Used up before the call: whatever happens, this process does not send twice on one mark.
                self.memory.permit = None;
                let (Some(keys), Link::Up(up)) = (&self.sendable, &self.link) else { return };
                let Some(result) = self.object.create(&client, &up.region, token, keys).await else { return };
                let result = result.map(|created| {
                    watched.queue.created(
                        &self.uid(),
                        &created.0,
                        self.engine.clock.now(),
                        &self.engine.waker,
                    );
                    self.memory.created = Some(created);
                });
                (Call::Create, result)
            }
            Step::Start { id, only_failed } => {
                let Some(keys) = &self.sendable else { return };
                self.memory.census = None;
                let failed = matches!(watched.sight(id), Some((Sight::Task(task), _)) if task.state == RemoteState::Failed);
                let result = if failed {
                    self.object.retry(&client, id, keys, *only_failed, urgency).await
                } else {
                    self.object.start(&client, id, keys, *only_failed, urgency).await
                };
                if result.as_ref().err().is_none_or(|error| error.delivery() == oms::Delivery::Unknown) {
                    self.memory.started_again_at = Some(now);
                }
                (Call::Start, result)
            }
            Step::Stop(id) => (Call::Stop, remote::stop(K::KIND, &client, id, urgency).await),
            Step::Delete(id) if !deleting => (Call::Delete, self.take_out_of_queue(&client, id).await),
            Step::Delete(id) => (Call::Delete, remote::delete(K::KIND, &client, id, urgency).await),
            Step::SetBandwidth(id) => {
                let windows = self.object.bandwidth();
                (Call::Bandwidth, remote::set_bandwidth(K::KIND, &client, id, &windows, urgency).await)
            }
            Step::SetPriority(id) => {
                let Some(priority) = self.object.wish().priority else { return };
                // Both are set together: what somebody else set of the one stays.
                let seen = watched.sight(id).and_then(|(sight, _)| match sight {
                    Sight::Task(task) => Some(wire::resent(&task.windows)),
                    Sight::Gone => None,
                });
                let windows = seen.unwrap_or_else(|| self.object.bandwidth());
                (Call::Priority, remote::set_priority(&client, id, priority.as_str(), windows, urgency).await)
            }
            Step::RemoveDuplicate(id) => (Call::Delete, self.remove_duplicate(watched, &client, id).await),
            Step::Rest
            | Step::ReadKeys
            | Step::Search
            | Step::LineUp
            | Step::Check { .. }
            | Step::Show
            | Step::Describe
            | Step::CountMembers
            | Step::AddFinalizer
            | Step::RemoveFinalizer { .. } => return,
        };
        match result {
            Ok(()) => {
                self.memory.trouble = None;
                self.memory.refused = None;
                self.pass_on_place(watched, step);
            }
            Err(error) => {
                self.note_trouble(call, &error, self.engine.clock.now());
                let full =
                    self.memory.trouble.as_ref().is_some_and(|trouble| trouble.kind == TroubleKind::Quota);
                if matches!(call, Call::Create | Call::Start) && full {
                    watched.queue.refused(&self.uid(), self.engine.clock.now());
                }
            }
        }
    }

    /// Sync tasks have places, which a start takes and a stop or a deletion gives back. A stop that a deletion follows gives
    /// none back yet: by one reading OMS counts stopped ones, too.
    fn pass_on_place(&self, watched: &Watched, step: &Step) {
        if K::KIND != Kind::SyncTask {
            return;
        }
        let settings = &self.engine.settings;
        let policy = self.object.wish().lifecycle.deletion_policy.unwrap_or(settings.policy.deletion_policy);
        let deletes = self.is_deleted() && policy == DeletionPolicy::Delete;
        // What is stopped to be started with new keys keeps its place.
        let renews = self.object.status().is_some_and(|status| status.renewing_keys_since.is_some());
        match step {
            Step::Start { id, .. } => {
                let now = self.engine.clock.now();
                watched.queue.created(&self.uid(), id, now, &self.engine.waker);
            }
            Step::Stop(id) if !deletes && !renews => watched.queue.vacated(id, &self.engine.waker),
            Step::Delete(id) => watched.queue.vacated(id, &self.engine.waker),
            _ => {}
        }
    }

    /// Brings a second task with our token one step nearer to its end; what it does is read first.
    async fn remove_duplicate(
        &self,
        watched: &Watched,
        client: &oms::Client,
        id: &RemoteId,
    ) -> Result<(), oms::Error> {
        let task = match remote::show(K::KIND, client, id, Urgency::Delete).await {
            Ok(task) => task,
            Err(error) if remote::is_gone(K::KIND, &error) => {
                watched.forget_sibling(&self.mark, id);
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        match task.state {
            RemoteState::Running | RemoteState::Synchronizing => {
                remote::stop(K::KIND, client, id, Urgency::Delete).await
            }
            RemoteState::Stopping | RemoteState::Retrying | RemoteState::Creating => Ok(()),
            RemoteState::Deleting => {
                watched.forget_sibling(&self.mark, id);
                Ok(())
            }
            _ => {
                remote::delete(K::KIND, client, id, Urgency::Delete).await?;
                watched.forget_sibling(&self.mark, id);
                self.engine.metrics.duplicate_remote();
                let note = format!("Task {id} carried this object's token too and was deleted at OMS");
                report::event(
                    self.engine,
                    &self.object,
                    EventKind::Warning,
                    Reason::DuplicateRemote,
                    "Delete",
                    note,
                );
                Ok(())
            }
        }
    }

    /// Deletes the record of a suspended task that waits. What was seen of it may be old: one that has begun or even
    /// ended meanwhile is left alone, and the next pass sees it.
    async fn take_out_of_queue(&self, client: &oms::Client, id: &RemoteId) -> Result<(), oms::Error> {
        match remote::show(K::KIND, client, id, Urgency::User).await {
            Ok(task) if task.state == RemoteState::Waiting => {
                remote::delete(K::KIND, client, id, Urgency::User).await
            }
            Ok(_) => Ok(()),
            Err(error) if remote::is_gone(K::KIND, &error) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Remembers what OMS said; refused keys are the connection's business too.
    pub(super) fn note_trouble(&mut self, call: Call, error: &oms::Error, now: Timestamp) {
        let before = self.memory.trouble.as_ref().or(self.memory.refused.as_ref());
        let trouble = wire::trouble(call, error, before, now);
        tracing::info!(
            kind = K::KIND.as_str(),
            namespace = self.object.namespace(),
            name = self.object.name_any(),
            call = ?call,
            class = error.class().as_str(),
            code = error.code(),
            request_id = error.request_id(),
            error = %error,
            "OMS did not do as asked"
        );
        if wire::is_about_credentials(error)
            && let Some(session) = &self.session
        {
            self.engine.distrust(&session.pinned.uid);
        }
        self.memory.trouble = Some(trouble);
    }

    /// A look went well again.
    pub(super) fn clear_trouble(&mut self, call: Call) {
        if self.memory.trouble.as_ref().is_some_and(|trouble| trouble.call == call) {
            self.memory.trouble = None;
        }
    }
}
