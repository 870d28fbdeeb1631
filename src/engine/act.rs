//! The one call to OMS that a plan asks for. What comes of it is remembered, and seen by the next pass.

use jiff::Timestamp;
use kube::ResourceExt;

use super::migration_task::Pass;
use super::project::Project;
use super::{report, wire};
use crate::api::conditions::Reason;
use crate::oms::{self, BatchUpdateTasks, TaskId, TaskSelection, TaskStatus, Urgency};
use crate::plan::migration_task::Step;
use crate::plan::seen::{Call, Link, TroubleKind};
use crate::telemetry::EventKind;

impl Pass<'_> {
    /// Makes the call of a step.
    pub(super) async fn act(&mut self, step: &Step, now: Timestamp) {
        let Some((project, client)) = self.place.clone() else { return };
        let deleting = self.task.metadata.deletion_timestamp.is_some();
        let urgency = if deleting { Urgency::Delete } else { Urgency::User };
        let span = (self.task.namespace().unwrap_or_default(), self.task.name_any());
        tracing::info!(kind = "MigrationTask", namespace = span.0, name = span.1, ?step, "acting");
        let (call, result) = match step {
            Step::Create(token) => {
                // Used up before the call: whatever happens, this process does not send twice on one mark.
                self.memory.permit = None;
                let (Some(keys), Link::Up(up)) = (&self.task_keys, &self.link) else { return };
                let request = wire::create(&self.task.spec, &up.region, token, keys);
                let result = client.create_task(&request, Urgency::Create).await.map(|created| {
                    self.memory.created = Some((created.id.get(), created.name));
                    project.open_quota();
                });
                (Call::Create, result)
            }
            Step::Start { id, only_failed } => {
                let Some(keys) = &self.task_keys else { return };
                let request = wire::start(&self.task.spec, keys, *only_failed);
                let result = client.start_task(TaskId::new(*id), &request, urgency).await;
                self.memory.started_again_at = Some(now);
                (Call::Start, result)
            }
            Step::Stop(id) => (Call::Stop, client.stop_task(TaskId::new(*id), urgency).await),
            Step::Delete(id) if !deleting => {
                (Call::Delete, take_out_of_queue(&client, TaskId::new(*id)).await)
            }
            Step::Delete(id) => {
                (Call::Delete, gone_is_fine(client.delete_task(TaskId::new(*id), urgency).await))
            }
            Step::SetBandwidth(id) => {
                let windows = wire::windows(&self.task.spec);
                (Call::Bandwidth, client.update_bandwidth_policy(TaskId::new(*id), &windows, urgency).await)
            }
            Step::SetPriority(id) => {
                let request = BatchUpdateTasks {
                    tasks: TaskSelection::Ids(vec![TaskId::new(*id)]),
                    bandwidth_policy: wire::windows(&self.task.spec),
                    task_priority: Some(self.task.spec.priority.as_str().to_owned()),
                };
                (Call::Priority, client.batch_update_tasks(&request, urgency).await)
            }
            Step::RemoveDuplicate(id) => (Call::Delete, self.remove_duplicate(&project, &client, *id).await),
            Step::Rest
            | Step::ReadKeys
            | Step::Search
            | Step::Show
            | Step::AddFinalizer
            | Step::RemoveFinalizer { .. } => return,
        };
        match result {
            Ok(()) => {
                self.memory.trouble = None;
                self.memory.refused = None;
            }
            Err(error) => {
                self.note_trouble(call, &error, self.engine.clock.now());
                let quota = self.memory.trouble.as_ref().filter(|trouble| trouble.kind == TroubleKind::Quota);
                if let (Call::Create, Some(quota)) = (call, quota) {
                    project.close_quota(quota.retry_at);
                }
            }
        }
    }

    /// Brings a second task with our token one step nearer to its end; what it does is read first.
    async fn remove_duplicate(
        &self,
        project: &Project,
        client: &oms::Client,
        id: u64,
    ) -> Result<(), oms::Error> {
        let task = match client.show_task(TaskId::new(id), Urgency::Delete).await {
            Ok(task) => task,
            Err(error) if error.is_not_found() => {
                project.forget_sibling(&self.mark, id);
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        match task.status {
            TaskStatus::Running => client.stop_task(TaskId::new(id), Urgency::Delete).await,
            TaskStatus::Stopping | TaskStatus::Retrying => Ok(()),
            _ => {
                gone_is_fine(client.delete_task(TaskId::new(id), Urgency::Delete).await)?;
                project.forget_sibling(&self.mark, id);
                self.engine.metrics.duplicate_remote();
                let note = format!("Task {id} carried this object's token too and was deleted at OMS");
                report::event(
                    self.engine,
                    &self.task,
                    EventKind::Warning,
                    Reason::DuplicateRemote,
                    "Delete",
                    note,
                );
                Ok(())
            }
        }
    }

    /// Remembers what OMS said; refused keys are the connection's business too.
    pub(super) fn note_trouble(&mut self, call: Call, error: &oms::Error, now: Timestamp) {
        let before = self.memory.trouble.as_ref().or(self.memory.refused.as_ref());
        let trouble = wire::trouble(call, error, before, now);
        tracing::info!(
            kind = "MigrationTask",
            namespace = self.task.namespace(),
            name = self.task.name_any(),
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

/// Deletes the record of a suspended task that waits. What was seen of it may be old: one that has begun or even
/// ended meanwhile keeps its record, and the next pass sees it.
async fn take_out_of_queue(client: &oms::Client, id: TaskId) -> Result<(), oms::Error> {
    match client.show_task(id, Urgency::User).await {
        Ok(task) if matches!(task.status, TaskStatus::Initializing | TaskStatus::Waiting) => {
            gone_is_fine(client.delete_task(id, Urgency::User).await)
        }
        Ok(_) => Ok(()),
        Err(error) => gone_is_fine(Err(error)),
    }
}

/// A task that is gone is deleted.
fn gone_is_fine(result: Result<(), oms::Error>) -> Result<(), oms::Error> {
    match result {
        Err(error) if error.is_not_found() => Ok(()),
        result => result,
    }
}
