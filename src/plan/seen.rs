//! What was observed, in our own words: a changed wire format of OMS touches none of this.

use std::cmp::Ordering;
use std::fmt;
use std::time::Duration;

use jiff::Timestamp;

use super::token::Token;
use super::wish::Kind;
use crate::api::conditions::Reason;
use crate::api::{Difference, Members, ObservedCredentials, PinnedConnection};

/// What OMS calls a task, a task group or a sync task: a number of up to 19 digits, or a UUID.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RemoteId(String);

impl RemoteId {
    /// The ID in a status; `None` when it cannot be one of that kind.
    pub fn recorded(kind: Kind, text: &str) -> Option<Self> {
        let possible = match kind {
            Kind::MigrationTask => text.parse::<u64>().is_ok(),
            // Opaque; OMS names a length of at most 100 (OMS API reference 5.5.3).
            Kind::TaskGroup => {
                (1..=100).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
            }
            // Opaque, at most 255 characters (OMS API reference 5.4.3).
            Kind::SyncTask => (1..=255).contains(&text.len()),
        };
        possible.then(|| Self(text.to_owned()))
    }

    /// As OMS writes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a text is this ID, as people may write it: the letters of a UUID have no case.
    pub fn is_written(&self, text: &str) -> bool {
        self.0.eq_ignore_ascii_case(text)
    }

    /// The number of a migration task; 0, which OMS never gives, for an ID of another kind.
    pub fn number(&self) -> u64 {
        self.0.parse().unwrap_or_default()
    }
}

impl From<u64> for RemoteId {
    fn from(number: u64) -> Self {
        Self(number.to_string())
    }
}

impl From<String> for RemoteId {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl Ord for RemoteId {
    /// Numbers by their value, so that the lowest is the oldest.
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.len().cmp(&other.0.len()).then_with(|| self.0.cmp(&other.0))
    }
}

impl PartialOrd for RemoteId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for RemoteId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where a task stands at OMS (OMS API reference 5.3.2, `status`); numbers of groups (5.5.3) are their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RemoteState {
    /// 0 or 1: queued. Groups: 0.
    Waiting,
    /// Groups only, 1: OMS lists the source and creates the tasks; it can neither be stopped nor deleted.
    Creating,
    /// 2: listing and copying.
    Running,
    /// 3: stopped; can be started again.
    Stopped,
    /// 4: failed; can be started again. Groups: 4, when their tasks could not be created, or 5.
    Failed,
    /// 5: finished. Groups: 6.
    Succeeded,
    /// 6: OMS checks or retries by itself.
    Retrying,
    /// 7: a stop is under way.
    Stopping,
    /// Groups only, 8 and 9: a deletion is under way.
    Deleting,
    /// A sync task that takes events and copies (OMS API reference 5.4.4, `SYNCHRONIZING`).
    Synchronizing,
    /// Any other number; treated as still under way.
    Unknown,
}

impl RemoteState {
    /// Whether OMS may still move objects for it without a further call.
    pub fn is_active(self) -> bool {
        !matches!(self, Self::Stopped | Self::Failed | Self::Succeeded | Self::Deleting)
    }
}

/// A daily bandwidth window, in bytes per second.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Window {
    /// Begin, `hh:mm`.
    pub start: String,
    /// End, `hh:mm`.
    pub end: String,
    /// Bytes per second.
    pub bytes_per_second: u64,
}

/// A task at OMS.
#[derive(Clone, Debug, PartialEq)]
pub struct RemoteTask {
    /// ID at OMS.
    pub id: RemoteId,
    /// Name that OMS gave it.
    pub name: String,
    /// Where it stands.
    pub state: RemoteState,
    /// Our token, when its description carries one.
    pub token: Option<Token>,
    /// Its bandwidth windows, in order.
    pub windows: Vec<Window>,
    /// Its priority as OMS writes it, when OMS tells.
    pub priority: Option<String>,
    /// Counters.
    pub counters: Counters,
    /// Why it failed.
    pub failure: Option<RemoteFailure>,
    /// Whether a retry of only the failed objects is possible.
    pub can_retry_failed: bool,
    /// Key of the list of failed objects in the destination bucket.
    pub failed_list: Option<String>,
    /// When the transfer began.
    pub started_at: Option<Timestamp>,
    /// How long it took so far.
    pub took: Duration,
    /// What became of the notification about its end, once OMS tells.
    pub notification: Option<RemoteNotification>,
    /// The tasks of a group, where OMS tells their numbers with it.
    pub members: Option<Members>,
    /// What a sync task did in the month, when OMS told.
    pub month: Option<MonthCounters>,
}

/// What a sync task did in one month (OMS API reference 5.4.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MonthCounters {
    /// The month, `2026-11`.
    pub month: String,
    /// Objects that OMS was asked to copy.
    pub requested: u64,
    /// Objects copied.
    pub succeeded: u64,
    /// Objects failed.
    pub failed: u64,
    /// Objects skipped.
    pub skipped: u64,
    /// Bytes copied.
    pub bytes: u64,
}

#[cfg(test)]
impl RemoteTask {
    /// A bare one, for tests.
    pub(crate) fn numbered(id: u64, state: RemoteState) -> Self {
        Self {
            id: id.into(),
            name: format!("task-{id}"),
            state,
            token: None,
            windows: Vec::new(),
            priority: None,
            counters: Counters::default(),
            failure: None,
            can_retry_failed: false,
            failed_list: None,
            started_at: None,
            took: Duration::ZERO,
            notification: None,
            members: None,
            month: None,
        }
    }
}

/// What became of a notification.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RemoteNotification {
    /// Whether it was sent.
    pub sent: bool,
    /// OMS's words about one that was not sent; as a rule an error code, or empty.
    pub message: String,
    /// What to do, from the table of codes; empty for words that it does not know.
    pub remedy: String,
    /// Name of the topic, or empty.
    pub topic: String,
}

/// Why a task failed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RemoteFailure {
    /// Code, for example `TRF.0151`.
    pub code: String,
    /// OMS's words.
    pub message: String,
    /// What to do, from the table of failure causes.
    pub remedy: String,
    /// What kind of cause it has.
    pub cause: FailureCause,
}

/// Causes of a failed task, by what one does about them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FailureCause {
    /// It may pass by itself: trouble of a service, a crowded source, objects that another task copied too.
    Passing,
    /// The keys of a bucket, or their rights.
    Keys,
    /// Something else that is mended outside of the spec: a bucket, a list file, the account, its space or balance.
    Surroundings,
    /// What was asked for, which OMS cannot change in a task.
    Spec,
    /// A code that we do not know, or none.
    #[default]
    Unknown,
}

/// How far a task is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Counters {
    /// 0 to 1.
    pub fraction: f64,
    /// Bytes of the whole task.
    pub bytes_total: u64,
    /// Bytes processed.
    pub bytes_done: u64,
    /// Objects of the whole task.
    pub total: u64,
    /// Objects copied.
    pub succeeded: u64,
    /// Objects failed.
    pub failed: u64,
    /// Objects skipped.
    pub skipped: u64,
    /// Bytes per second.
    pub bytes_per_second: u64,
    /// Estimated time left.
    pub remaining: Option<Duration>,
    /// Whether OMS has listed the whole source, so that the totals are final.
    pub listed: bool,
}

/// What is known of the task whose ID is recorded.
#[derive(Clone, Debug, PartialEq)]
pub enum Remote {
    /// Nothing yet; the shared poller will tell.
    Pending,
    /// What is known is older than the last call; it has to be read.
    Stale,
    /// The task as last seen.
    Known(Box<RemoteTask>),
    /// OMS confirmed that it does not exist.
    Gone,
}

/// What a look at the task of `spec.adopt` showed.
#[derive(Clone, Debug, PartialEq)]
pub enum Candidate {
    /// Not looked at in this pass.
    NotRead,
    /// The project has no task with this ID.
    Unknown,
    /// It is there.
    Found(Box<Described>),
}

/// A task of `spec.adopt`, in full.
#[derive(Clone, Debug, PartialEq)]
pub struct Described {
    /// The task.
    pub task: RemoteTask,
    /// What it is a part of, when it cannot be adopted by itself.
    pub part_of: Option<Whole>,
    /// Where it is not what the spec says.
    pub differences: Vec<Difference>,
}

/// What a task can be a part of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whole {
    /// A task group, with its ID where OMS tells.
    TaskGroup(String),
    /// A sync task.
    SyncTask,
}

/// What the search for tasks with the object's mark found.
#[derive(Clone, Debug, PartialEq)]
pub enum Search {
    /// None that is new enough.
    None,
    /// A complete scan.
    Done {
        /// When the scan began.
        started_at: Timestamp,
        /// Tasks with the object's mark, members of groups and sync tasks left out.
        found: Vec<RemoteTask>,
        /// When the complete scans began that found nothing, the last ones in a row.
        empty: Vec<Timestamp>,
    },
}

/// The way to OMS for one object.
#[derive(Clone, Debug, PartialEq)]
pub enum Link {
    /// Usable.
    Up(LinkUp),
    /// Not usable: why, and what to do.
    Down {
        /// Reason of the condition.
        reason: Reason,
        /// What happened, whose move it is, what to do.
        message: String,
    },
}

/// A usable connection.
#[derive(Clone, Debug, PartialEq)]
pub struct LinkUp {
    /// What gets pinned.
    pub pinned: PinnedConnection,
    /// Region of the connection.
    pub region: String,
    /// Set when the reference would now resolve to something else than what is pinned.
    pub changed: Option<String>,
}

/// What reading the bucket keys showed.
#[derive(Clone, Debug, PartialEq)]
pub enum Keys {
    /// Not read in this pass.
    NotRead,
    /// All there.
    Ready(Vec<ObservedCredentials>),
    /// Something is missing: why, and what to do.
    Missing {
        /// Reason of the condition.
        reason: Reason,
        /// What happened, whose move it is, what to do.
        message: String,
    },
}

/// What OMS said to the last call for this object, as far as it was no success.
#[derive(Clone, Debug, PartialEq)]
pub struct Trouble {
    /// Which call.
    pub call: Call,
    /// What kind of trouble.
    pub kind: TroubleKind,
    /// Whether the call can have had an effect.
    pub delivery: Delivered,
    /// OMS's code, or empty.
    pub code: String,
    /// What happened, in OMS's words.
    pub message: String,
    /// What to do, from the table of codes.
    pub remedy: String,
    /// Field of the spec that OMS named, when it did.
    pub field: Option<String>,
    /// Not before this moment again.
    pub retry_at: Timestamp,
    /// How often in a row.
    pub count: u32,
}

/// Codes about the KMS key that OMS should keep credentials with.
const KMS_CODES: std::ops::RangeInclusive<&str> = "OMS.0209"..="OMS.0217";

impl Trouble {
    /// Whether other keys, or another way to keep them, may mend it.
    pub fn may_be_mended_by_keys(&self) -> bool {
        self.kind == TroubleKind::BucketCredentials || KMS_CODES.contains(&self.code.as_str())
    }
}

/// The calls that a plan can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// CreateTask.
    Create,
    /// ShowTask, or the shared scan.
    Look,
    /// One of the checks before a create.
    Check,
    /// StartTask.
    Start,
    /// StopTask.
    Stop,
    /// DeleteTask.
    Delete,
    /// UpdateBandwidthPolicy.
    Bandwidth,
    /// BatchUpdateTasks.
    Priority,
    /// CreateSyncEvents.
    Events,
}

/// Whether a call can have had an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivered {
    /// Provably not: it was never sent.
    No,
    /// OMS refused it.
    Refused,
    /// Nobody knows.
    Unknown,
}

/// Kinds of trouble, by what one does about them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TroubleKind {
    /// The request can never work as it is.
    Invalid,
    /// OMS refused the connection's keys.
    Credentials,
    /// OMS refused the keys of a bucket.
    BucketCredentials,
    /// The keys lack a permission.
    Permission,
    /// The privacy agreement is missing.
    Privacy,
    /// A quota is full.
    Quota,
    /// The task is in another state than thought.
    Conflict,
    /// Something outside of the spec is missing, such as a bucket.
    Missing,
    /// Too many requests.
    Throttled,
    /// OMS cannot be reached or has trouble.
    Transient,
    /// A code that we do not know.
    Unknown,
}
