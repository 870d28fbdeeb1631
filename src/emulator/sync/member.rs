//! The migration task that belongs to a synchronization task: it shows in lists and follows its owner, and nobody
//! else may change it.

use jiff::Timestamp;

use super::task::{NewSyncTask, SyncDefinition};
use crate::emulator::{
    mover::{Checkpoint, OverwriteMode, TaskType},
    tasks::{MemberOf, Status, Task, name},
    wire::{
        refusal::{INVALID_PARAMETERS, Refusal},
        request::{Definition, Priority},
    },
};

impl Task {
    /// The migration task of a new synchronization task, which runs.
    pub fn of_sync(
        owner: &NewSyncTask<'_>,
        definition: &SyncDefinition,
        sequence: u64,
        now: Timestamp,
    ) -> Self {
        let definition = Definition {
            task_type: TaskType::Object,
            cloud_type: definition.cloud_type.clone(),
            source_region: definition.source_region.clone(),
            source_bucket: definition.source_bucket.clone(),
            app_id: definition.app_id.clone(),
            object_keys: Some(Vec::new()),
            range: None,
            list_file: None,
            destination_region: definition.destination_region.clone(),
            destination_bucket: definition.destination_bucket.clone(),
            save_prefix: String::new(),
            description: definition.description.clone(),
            migrate_since: 0,
            overwrite_mode: OverwriteMode::SizeLastModifiedComparisonOverwrite,
            storage_policy: definition.storage_policy.unwrap_or_default(),
            consistency_check: definition.consistency_check,
            enable_metadata_migration: definition.enable_metadata_migration,
            enable_restore: definition.enable_restore,
            enable_failed_object_recording: false,
            enable_requester_pays: false,
            cdn: definition.cdn.clone(),
            notification: None,
        };
        Self {
            id: owner.task,
            sequence,
            project: owner.project.to_owned(),
            name: name(&definition, owner.task, now),
            member_of: Some(MemberOf::Sync(owner.id.clone())),
            created: now,
            definition,
            // The secrets are with the owner.
            keys: None,
            status: Status::Running,
            priority: Priority::default(),
            bandwidth: Vec::new(),
            waiting_since: now,
            started: Some(now),
            ended: None,
            stop_requested: None,
            checkpoint: Checkpoint::default(),
            failure: None,
            notified: None,
        }
    }

    /// Whether it belongs to a synchronization task.
    pub fn belongs_to_sync(&self) -> bool {
        matches!(self.member_of, Some(MemberOf::Sync(_)))
    }

    /// The owner was stopped.
    pub fn stop_with_sync(&mut self, now: Timestamp) {
        self.status = Status::Stopped;
        self.ended = Some(now);
    }

    /// Whether the task can be changed by itself. No code is documented for a call that would part it from its
    /// synchronization task; the explanation says which calls do what was probably meant.
    pub fn check_independent(&self) -> Result<(), Refusal> {
        match &self.member_of {
            Some(MemberOf::Sync(id)) => Err(INVALID_PARAMETERS.with_detail(format!(
                "Task {} belongs to synchronization task {id}: use StartSyncTask, StopSyncTask or DeleteSyncTask.",
                self.id
            ))),
            _ => Ok(()),
        }
    }
}
