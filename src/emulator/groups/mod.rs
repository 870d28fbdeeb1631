//! A task group and its states (OMS API reference 5.5; transitions as seen in the service).
//!
//! Pure: no clock, no network. A group makes its tasks once, by a look at the source, and then follows them: they are
//! tasks like all others, in the same queue, and the group's state is what theirs amount to.

mod course;
#[cfg(test)]
mod tests;

pub use self::course::group_record;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{
    config::Behaviour,
    mover::Checkpoint,
    notifications::Notified,
    tasks::{Failure, Status, Task, later, milliseconds},
    wire::{
        bandwidth::BandwidthWindow,
        refusal::{
            FAILED_LIST_MISSING, GROUP_NOT_DELETABLE, GROUP_NOT_FAILED, GROUP_NOT_PAUSED, GROUP_NOT_RUNNING,
            GROUP_STATE, IN_PROGRESS, NOT_RUNNING, RECORDING_OFF, Refusal,
        },
        request::{CreateGroup, Definition, TaskKeys},
    },
};

/// States of a group. Their numbers are not those of tasks: 5 is a failure, 6 the success.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum GroupStatus {
    /// 0: waits for a place among the groups that run.
    Waiting,
    /// 1: looks at the source and makes its tasks.
    Creating,
    /// 2: its tasks wait and run.
    Monitoring,
    /// 3: stopped by request; can be started.
    Paused,
    /// 4: no tasks could be made; can be tried again.
    CreationFailed,
    /// 5: a task has failed; can be tried again.
    Failed,
    /// 6: all tasks succeeded.
    Completed,
    /// 7: on the way to `Paused`.
    Pausing,
    /// 8: a delete was accepted.
    WaitingForDeletion,
    /// 9: on the way out; still answered.
    Deleted,
}

impl GroupStatus {
    /// The number on the wire.
    pub fn number(self) -> u8 {
        match self {
            Self::Waiting => 0,
            Self::Creating => 1,
            Self::Monitoring => 2,
            Self::Paused => 3,
            Self::CreationFailed => 4,
            Self::Failed => 5,
            Self::Completed => 6,
            Self::Pausing => 7,
            Self::WaitingForDeletion => 8,
            Self::Deleted => 9,
        }
    }

    /// Whether the group takes one of the places for groups that run.
    pub fn takes_a_place(self) -> bool {
        matches!(self, Self::Creating | Self::Monitoring | Self::Pausing)
    }

    /// Whether something will happen to the group by itself.
    pub fn is_active(self) -> bool {
        self.takes_a_place() || matches!(self, Self::Waiting | Self::WaitingForDeletion | Self::Deleted)
    }
}

/// What a group does when it leaves the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Course {
    /// It makes its tasks.
    Create,
    /// Its stopped tasks go on.
    Resume,
    /// All its tasks begin anew; what is at the destination already is skipped as the overwrite mode says.
    Repeat,
    /// The failed objects of its failed tasks are copied again.
    RepeatFailedObjects,
}

impl Course {
    /// Where a task of the group begins again. `None`: it stays as it is.
    pub fn checkpoint(self, task: &Task) -> Option<Checkpoint> {
        match self {
            Self::Create => None,
            Self::Resume => (task.status == Status::Stopped).then(|| task.checkpoint.clone()),
            Self::Repeat => (!task.status.is_active()).then(Checkpoint::default),
            Self::RepeatFailedObjects => {
                if task.status == Status::Failed {
                    task.checkpoint.for_failed_objects()
                } else {
                    None
                }
            }
        }
    }
}

/// A task group.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Group {
    /// A UUID.
    pub id: String,
    /// Position in the order of creation.
    pub sequence: u64,
    /// Owner.
    pub project: String,
    /// When it was created.
    pub created: Timestamp,
    /// What the create fixed. Its list file is the folder with the lists.
    pub definition: Definition,
    /// Secrets; until the group is paused or over. A retry may come without.
    pub keys: Option<TaskKeys>,
    /// State.
    pub status: GroupStatus,
    /// Since when it is in this state.
    pub since: Timestamp,
    /// What comes after the queue.
    pub course: Course,
    /// Bandwidth windows in force, for each task.
    pub bandwidth: Vec<BandwidthWindow>,
    /// When it last left the queue.
    pub started: Option<Timestamp>,
    /// When it last came to rest.
    pub ended: Option<Timestamp>,
    /// Why no tasks could be made.
    pub failure: Option<Failure>,
    /// What became of the notification about the latest end.
    #[serde(default)]
    pub notified: Option<Notified>,
}

/// How many tasks of a group are in which state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Created and not deleted.
    pub total: usize,
    /// Waiting.
    pub waiting: usize,
    /// Running, or on the way to a stop.
    pub running: usize,
    /// Stopped.
    pub stopped: usize,
    /// Failed.
    pub failed: usize,
    /// Succeeded.
    pub succeeded: usize,
}

impl Standing {
    /// The standing of these tasks.
    pub fn of<'a>(tasks: impl Iterator<Item = &'a Task>) -> Self {
        let mut standing = Self::default();
        tasks.for_each(|task| standing.count(task));
        standing
    }

    /// Counts one more task.
    pub fn count(&mut self, task: &Task) {
        self.total += 1;
        *match task.status {
            Status::Waiting => &mut self.waiting,
            Status::Running | Status::Stopping => &mut self.running,
            Status::Stopped => &mut self.stopped,
            Status::Failed => &mut self.failed,
            Status::Succeeded => &mut self.succeeded,
        } += 1;
    }

    fn at_rest(&self) -> bool {
        self.waiting + self.running == 0
    }

    /// The state of a group whose tasks are all at rest.
    fn end(&self) -> GroupStatus {
        if self.stopped > 0 {
            GroupStatus::Paused
        } else if self.failed > 0 {
            GroupStatus::Failed
        } else {
            GroupStatus::Completed
        }
    }
}

/// What happens to a group next, by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing before this moment; a change of its tasks may come first.
    Stay(Timestamp),
    /// It goes on to this state.
    To(GroupStatus),
    /// It disappears, and its tasks with it.
    Go,
}

impl Group {
    /// A new group, which waits to make its tasks.
    pub fn create(request: CreateGroup, id: String, sequence: u64, project: &str, now: Timestamp) -> Self {
        Self {
            id,
            sequence,
            project: project.to_owned(),
            created: now,
            definition: request.definition,
            keys: Some(request.keys),
            status: GroupStatus::Waiting,
            since: now,
            course: Course::Create,
            bandwidth: request.bandwidth,
            started: None,
            ended: None,
            failure: None,
            notified: None,
        }
    }

    /// StopTaskGroup. The reference allows it while tasks are created; the service does not.
    pub fn stop(&mut self, behaviour: &Behaviour, now: Timestamp) -> Result<(), Refusal> {
        match self.status {
            GroupStatus::Monitoring => {}
            GroupStatus::Creating if behaviour.group_stop_while_creating => {}
            GroupStatus::Waiting | GroupStatus::Creating => return Err(GROUP_NOT_RUNNING),
            _ if behaviour.group_stop_at_rest_as_task => return Err(NOT_RUNNING),
            _ => return Err(GROUP_NOT_RUNNING),
        }
        self.enter(GroupStatus::Pausing, now);
        Ok(())
    }

    /// Whether StartTaskGroup would be accepted.
    pub fn check_start(&self) -> Result<(), Refusal> {
        if self.status == GroupStatus::Paused { Ok(()) } else { Err(GROUP_NOT_PAUSED) }
    }

    /// StartTaskGroup: what was stopped goes on.
    pub fn start(&mut self, keys: TaskKeys, has_tasks: bool, now: Timestamp) -> Result<(), Refusal> {
        self.check_start()?;
        self.wait(if has_tasks { Course::Resume } else { Course::Create }, keys, now);
        Ok(())
    }

    /// Whether RetryTaskGroup would be accepted: after a failed creation as well, as OMS.1040 says and the text of the
    /// operation does not.
    pub fn check_retry<'a>(
        &self,
        migrate_failed_object: bool,
        tasks: impl Iterator<Item = &'a Task>,
    ) -> Result<(), Refusal> {
        if !matches!(self.status, GroupStatus::CreationFailed | GroupStatus::Failed) {
            return Err(GROUP_NOT_FAILED);
        }
        if migrate_failed_object {
            if !self.definition.enable_failed_object_recording {
                return Err(RECORDING_OFF);
            }
            let mut recorded =
                tasks.filter_map(|task| Course::RepeatFailedObjects.checkpoint(task).map(|_| ()));
            if recorded.next().is_none() {
                return Err(FAILED_LIST_MISSING);
            }
        }
        Ok(())
    }

    /// RetryTaskGroup, once it was checked.
    pub fn retry(&mut self, keys: TaskKeys, migrate_failed_object: bool, has_tasks: bool, now: Timestamp) {
        let course = match (has_tasks, migrate_failed_object) {
            (false, _) => Course::Create,
            (true, false) => Course::Repeat,
            (true, true) => Course::RepeatFailedObjects,
        };
        self.wait(course, keys, now);
    }

    /// UpdateTaskGroup: while the group is not finished.
    pub fn set_bandwidth(&mut self, windows: Vec<BandwidthWindow>) -> Result<(), Refusal> {
        match self.status {
            GroupStatus::Waiting
            | GroupStatus::Creating
            | GroupStatus::Monitoring
            | GroupStatus::Paused
            | GroupStatus::Pausing => {
                self.bandwidth = windows;
                Ok(())
            }
            _ => Err(GROUP_STATE),
        }
    }

    /// DeleteTaskGroup. For a while after a stop the service refuses it as it does for tasks, although the state is 3.
    pub fn delete(&mut self, behaviour: &Behaviour, now: Timestamp) -> Result<(), Refusal> {
        match self.status {
            GroupStatus::Paused
                if now.duration_since(self.since) < milliseconds(behaviour.stale_in_progress_ms) =>
            {
                return Err(IN_PROGRESS);
            }
            GroupStatus::Waiting
            | GroupStatus::Paused
            | GroupStatus::CreationFailed
            | GroupStatus::Failed
            | GroupStatus::Completed => {}
            _ => return Err(GROUP_NOT_DELETABLE),
        }
        self.enter(GroupStatus::WaitingForDeletion, now);
        self.keys = None;
        Ok(())
    }

    /// What happens next by itself. `place`: another group may run.
    pub fn step(&self, tasks: Standing, place: bool, behaviour: &Behaviour, now: Timestamp) -> Step {
        let not_before =
            |earliest: Timestamp, step: Step| if now < earliest { Step::Stay(earliest) } else { step };
        let never = Step::Stay(Timestamp::MAX);
        let after = |number: u64| later(self.since, milliseconds(number));
        match self.status {
            GroupStatus::Waiting => {
                let next = match self.course {
                    Course::Create => GroupStatus::Creating,
                    Course::Resume | Course::Repeat | Course::RepeatFailedObjects => GroupStatus::Monitoring,
                };
                not_before(after(behaviour.group_start_delay_ms), if place { Step::To(next) } else { never })
            }
            GroupStatus::Monitoring if tasks.at_rest() => Step::To(tasks.end()),
            GroupStatus::Pausing if tasks.at_rest() => {
                // Stopped before it had tasks, it has something left to do.
                let end = if tasks.total == 0 { GroupStatus::Paused } else { tasks.end() };
                not_before(after(behaviour.pause_ms), Step::To(end))
            }
            GroupStatus::WaitingForDeletion => {
                not_before(after(behaviour.group_deletion_ms / 2), Step::To(GroupStatus::Deleted))
            }
            GroupStatus::Deleted => not_before(after(behaviour.group_deletion_ms.div_ceil(2)), Step::Go),
            _ => never,
        }
    }

    /// When a look at the source may end at the earliest.
    pub fn created_at_the_earliest(&self, behaviour: &Behaviour) -> Timestamp {
        later(self.since, milliseconds(behaviour.group_creation_ms))
    }

    /// No tasks could be made.
    pub fn fail(&mut self, failure: Failure, now: Timestamp) {
        self.failure = Some(failure);
        self.enter(GroupStatus::CreationFailed, now);
    }

    /// Goes on to a state.
    pub fn enter(&mut self, status: GroupStatus, now: Timestamp) {
        let leaves_the_queue = self.status == GroupStatus::Waiting && status.takes_a_place();
        let comes_to_rest = self.status.takes_a_place() && !status.takes_a_place();
        if leaves_the_queue {
            self.started = Some(now);
            self.ended = None;
            self.failure = None;
        }
        if comes_to_rest {
            self.ended = Some(now);
        }
        if matches!(status, GroupStatus::Paused | GroupStatus::Completed) {
            self.keys = None;
        }
        self.status = status;
        self.since = now;
    }

    /// Time from the begin to the end, or to now.
    pub fn elapsed(&self, now: Timestamp) -> SignedDuration {
        let end = if self.status.takes_a_place() { now } else { self.ended.unwrap_or(now) };
        self.started.map_or(SignedDuration::ZERO, |started| end.duration_since(started))
    }

    fn wait(&mut self, course: Course, keys: TaskKeys, now: Timestamp) {
        self.course = course;
        self.keys = Some(keys);
        self.notified = None;
        self.enter(GroupStatus::Waiting, now);
    }
}
