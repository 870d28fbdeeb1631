//! A migration task and its states (OMS API reference 5.3; transitions as seen in the service).
//!
//! Pure: no clock, no network. Commands say what a caller wants, at a time that is handed in; they change the task or
//! refuse. Whoever holds the task then starts and stops what moves the objects.

use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use serde::{Deserialize, Serialize};

use super::{
    config::Behaviour,
    mover::{Checkpoint, Outcome},
    notifications::Notified,
    wire::{
        bandwidth::BandwidthWindow,
        refusal::{
            ALREADY_STARTED, COMPLETE, COMPLETE_BANDWIDTH, FAILED_LIST_MISSING, IN_PROGRESS, NOT_RUNNING,
            RECORDING_OFF, Refusal, UPDATE_FAILED,
        },
        request::{CreateTask, Definition, Priority, TaskKeys},
    },
};

/// States of a task. 0 (initialising) and 6 (retrying) are never entered; where that is configured, 1 and 2 read so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    /// 1: in the queue.
    Waiting,
    /// 2: objects move.
    Running,
    /// 3: stopped by request; can be started.
    Stopped,
    /// 4: failed; can be started.
    Failed,
    /// 5: done for good.
    Succeeded,
    /// 7: on the way to `Stopped`.
    Stopping,
}

impl Status {
    /// The number on the wire.
    pub fn number(self) -> u8 {
        match self {
            Self::Waiting => 1,
            Self::Running => 2,
            Self::Stopped => 3,
            Self::Failed => 4,
            Self::Succeeded => 5,
            Self::Stopping => 7,
        }
    }

    /// Whether the task takes one of the places for running tasks.
    pub fn takes_a_place(self) -> bool {
        matches!(self, Self::Running | Self::Stopping)
    }

    /// Whether something will happen to the task by itself.
    pub fn is_active(self) -> bool {
        matches!(self, Self::Waiting | Self::Running | Self::Stopping)
    }
}

/// Whose task it is, where it was not created by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MemberOf {
    /// A task group made it; its ID.
    Group(String),
    /// A synchronization task made it; its ID.
    Sync(String),
}

impl MemberOf {
    /// The ID of the owner, as `group_id` of the task tells it.
    pub fn id(&self) -> &str {
        match self {
            Self::Group(id) | Self::Sync(id) => id,
        }
    }

    /// `group_type` of a task.
    pub fn kind(member: Option<&Self>) -> &'static str {
        match member {
            None => "NORMAL_TASK",
            Some(Self::Group(_)) => "GROUP_TASK",
            Some(Self::Sync(_)) => "SYNC_TASK",
        }
    }
}

/// Why a task failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// `TRF.nnnn`.
    pub code: String,
    /// For people.
    pub message: String,
}

/// A migration task.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Task {
    /// 15 digits.
    pub id: u64,
    /// Position in the order of creation.
    pub sequence: u64,
    /// Owner.
    pub project: String,
    /// Generated name.
    pub name: String,
    /// Whose task it is; absent for a task that was created by itself.
    #[serde(default)]
    pub member_of: Option<MemberOf>,
    /// When it was created.
    pub created: Timestamp,
    /// What the create fixed.
    pub definition: Definition,
    /// Secrets; only while the task is active, as every start brings them again.
    pub keys: Option<TaskKeys>,
    /// State.
    pub status: Status,
    /// Place in the queue.
    pub priority: Priority,
    /// Bandwidth windows in force.
    pub bandwidth: Vec<BandwidthWindow>,
    /// Since when it waits (this time).
    pub waiting_since: Timestamp,
    /// Begin of the latest run.
    pub started: Option<Timestamp>,
    /// End of the latest run.
    pub ended: Option<Timestamp>,
    /// When a stop was accepted, until it is carried out.
    pub stop_requested: Option<Timestamp>,
    /// How far the objects are.
    pub checkpoint: Checkpoint,
    /// Why it failed.
    pub failure: Option<Failure>,
    /// What became of the notification about the end of the latest run.
    #[serde(default)]
    pub notified: Option<Notified>,
}

impl Task {
    /// A new task, which waits.
    pub fn create(request: CreateTask, id: u64, sequence: u64, project: &str, now: Timestamp) -> Self {
        Self {
            id,
            sequence,
            project: project.to_owned(),
            name: name(&request.definition, id, now),
            member_of: None,
            created: now,
            definition: request.definition,
            keys: Some(request.keys),
            status: Status::Waiting,
            priority: request.priority,
            bandwidth: request.bandwidth,
            waiting_since: now,
            started: None,
            ended: None,
            stop_requested: None,
            checkpoint: Checkpoint::default(),
            failure: None,
            notified: None,
        }
    }

    /// A new task of a group or synchronization task, the `index`-th of those that it makes at this moment. Their IDs and
    /// names count on from that moment, so that no two are alike.
    pub fn create_member(
        request: CreateTask,
        owner: MemberOf,
        index: u32,
        sequence: u64,
        project: &str,
        now: Timestamp,
    ) -> Self {
        let moment = moment_of_member(index, now);
        let id = id(moment, 0);
        let name = name(&request.definition, id, moment);
        Self { name, member_of: Some(owner), ..Self::create(request, id, sequence, project, now) }
    }

    /// The ID that [`Task::create_member`] would give.
    pub fn id_of_member(index: u32, now: Timestamp) -> u64 {
        id(moment_of_member(index, now), 0)
    }

    /// StopTask: 2 becomes 7 with the answer. A waiting task cannot be stopped, unless that is configured.
    pub fn stop(&mut self, behaviour: &Behaviour, now: Timestamp) -> Result<(), Refusal> {
        match self.status {
            Status::Running => {
                self.status = Status::Stopping;
                self.stop_requested = Some(now);
                Ok(())
            }
            Status::Waiting if behaviour.stop_waiting_tasks => {
                self.rest(Status::Stopped, now);
                Ok(())
            }
            Status::Succeeded => Err(COMPLETE),
            Status::Waiting | Status::Stopped | Status::Failed | Status::Stopping => Err(NOT_RUNNING),
        }
    }

    /// Whether StartTask would be accepted.
    pub fn check_start(&self, migrate_failed_object: bool) -> Result<(), Refusal> {
        match self.status {
            Status::Stopped | Status::Failed => {}
            Status::Succeeded => return Err(COMPLETE),
            Status::Waiting | Status::Running | Status::Stopping => return Err(ALREADY_STARTED),
        }
        if migrate_failed_object {
            if !self.definition.enable_failed_object_recording {
                return Err(RECORDING_OFF);
            }
            if self.status != Status::Failed || self.checkpoint.for_failed_objects().is_none() {
                return Err(FAILED_LIST_MISSING);
            }
        }
        Ok(())
    }

    /// StartTask: a stopped task goes on, a failed one begins anew, or with its failed objects only.
    pub fn start(
        &mut self,
        keys: TaskKeys,
        migrate_failed_object: bool,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        self.check_start(migrate_failed_object)?;
        let checkpoint = if migrate_failed_object {
            self.checkpoint.for_failed_objects().ok_or(FAILED_LIST_MISSING)?
        } else if self.status == Status::Failed {
            Checkpoint::default()
        } else {
            std::mem::take(&mut self.checkpoint)
        };
        self.wait(keys, checkpoint, now);
        Ok(())
    }

    /// Goes back into the queue, to begin from a checkpoint.
    pub fn wait(&mut self, keys: TaskKeys, checkpoint: Checkpoint, now: Timestamp) {
        self.checkpoint = checkpoint;
        self.keys = Some(keys);
        self.failure = None;
        self.notified = None;
        self.status = Status::Waiting;
        self.waiting_since = now;
    }

    /// The owner of the task stops: what runs is stopped, and what waits does not run.
    pub fn stop_with_owner(&mut self, now: Timestamp) {
        match self.status {
            Status::Running => {
                self.status = Status::Stopping;
                self.stop_requested = Some(now);
            }
            Status::Waiting => self.rest(Status::Stopped, now),
            Status::Stopped | Status::Failed | Status::Succeeded | Status::Stopping => {}
        }
    }

    /// Whether DeleteTask would be accepted. For a while after a stop it is not, although the state is 3: the service
    /// looks at something that lags behind.
    pub fn check_delete(&self, behaviour: &Behaviour, now: Timestamp) -> Result<(), Refusal> {
        let stale = milliseconds(behaviour.stale_in_progress_ms);
        let lags = self.status == Status::Stopped
            && self.ended.is_some_and(|ended| now.duration_since(ended) < stale);
        if self.status.takes_a_place() || lags { Err(IN_PROGRESS) } else { Ok(()) }
    }

    /// UpdateBandwidthPolicy: replaces the windows of any task but a finished one.
    pub fn set_bandwidth(&mut self, windows: Vec<BandwidthWindow>) -> Result<(), Refusal> {
        if self.status == Status::Succeeded {
            return Err(COMPLETE_BANDWIDTH);
        }
        self.bandwidth = windows;
        Ok(())
    }

    /// Whether BatchUpdateTasks would be accepted for this task: a priority changes in 1, 3 and 4 only.
    pub fn check_batch(&self, priority: Option<Priority>) -> Result<(), Refusal> {
        let fits = match priority {
            Some(_) => matches!(self.status, Status::Waiting | Status::Stopped | Status::Failed),
            None => self.status != Status::Succeeded,
        };
        if fits { Ok(()) } else { Err(UPDATE_FAILED) }
    }

    /// When the task may leave the queue.
    pub fn ready_at(&self, behaviour: &Behaviour) -> Timestamp {
        later(self.waiting_since, milliseconds(behaviour.task_start_delay_ms))
    }

    /// When a task that nobody ran fails.
    pub fn expires_at(&self, days: u32) -> Timestamp {
        later(self.waiting_since, SignedDuration::from_hours(24 * i64::from(days)))
    }

    /// The queue lets the task run.
    pub fn run(&mut self, now: Timestamp) {
        self.status = Status::Running;
        self.started = Some(now);
        self.ended = None;
        self.stop_requested = None;
    }

    /// The task waited too long; the service drops its keys.
    pub fn expire(&mut self, now: Timestamp) {
        self.fail("TRF.0003", "The task waited too long to be executed.", now);
    }

    /// Fails the task as a whole.
    pub fn fail(&mut self, code: &str, message: &str, now: Timestamp) {
        self.failure = Some(Failure { code: code.to_owned(), message: message.to_owned() });
        self.rest(Status::Failed, now);
    }

    /// What moved the objects has ended.
    pub fn finish(&mut self, outcome: &Outcome, now: Timestamp) {
        match outcome {
            Outcome::Paused => self.rest(Status::Stopped, now),
            Outcome::Failed { code, message } => self.fail(code, message, now),
            Outcome::Finished => match self.checkpoint.counters.failed_num {
                0 => self.rest(Status::Succeeded, now),
                1 => self.fail(
                    "TRF.0004",
                    "1 object failed to be migrated. See the list of failed objects.",
                    now,
                ),
                failed => {
                    let message =
                        format!("{failed} objects failed to be migrated. See the list of failed objects.");
                    self.fail("TRF.0004", &message, now);
                }
            },
        }
    }

    fn rest(&mut self, status: Status, now: Timestamp) {
        self.status = status;
        self.ended = Some(now);
        self.stop_requested = None;
        self.keys = None;
    }
}

fn moment_of_member(index: u32, now: Timestamp) -> Timestamp {
    later(now, SignedDuration::from_millis(i64::from(index)))
}

/// A duration of the configuration.
pub fn milliseconds(number: u64) -> SignedDuration {
    SignedDuration::from_millis(i64::try_from(number).unwrap_or(i64::MAX))
}

/// `from` plus `by`, or the end of time.
pub fn later(from: Timestamp, by: SignedDuration) -> Timestamp {
    from.saturating_add(by).unwrap_or(Timestamp::MAX)
}

/// UTC+8: what the clock in names and list files of the service shows in every region.
pub fn service_zone() -> TimeZone {
    TimeZone::fixed(jiff::tz::offset(8))
}

/// `<source bucket>-<destination bucket>-<yyyyMMddHHmmssSSS>_<nnn>`.
pub(super) fn name(definition: &Definition, id: u64, now: Timestamp) -> String {
    let source =
        if definition.source_bucket.is_empty() { "urlsource" } else { definition.source_bucket.as_str() };
    let time = now.to_zoned(service_zone()).strftime("%Y%m%d%H%M%S%3f").to_string();
    format!("{source}-{}-{time}_{:03}", definition.destination_bucket, id % 1000)
}

/// An ID as the service gives them: 15 digits that begin with year and month. `entropy` makes it unique within the
/// millisecond.
pub fn id(now: Timestamp, entropy: u64) -> u64 {
    let zoned = now.to_zoned(service_zone());
    let month =
        u64::try_from(zoned.year()).unwrap_or(0) % 100 * 100 + u64::try_from(zoned.month()).unwrap_or(1);
    let first =
        zoned.first_of_month().and_then(|first| first.start_of_day()).map_or(now, |first| first.timestamp());
    let into_month = u64::try_from(now.duration_since(first).as_millis()).unwrap_or(0);
    // At most 31 days of milliseconds times 37 fill 11 digits.
    month * 100_000_000_000 + (into_month * 37 + entropy % 37) % 100_000_000_000
}
