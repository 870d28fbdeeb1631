//! Status pieces that every kind with a remote task shares.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, MicroTime, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    AppliedSettings, ConnectionKind, Difference, DriftStatus, FormerRun, NotificationStatus, PlanStatus,
    PreflightStatus, Retries, SyncStatistics,
};

/// Value of `observedGeneration` before the first look.
pub(super) fn not_observed() -> i64 {
    -1
}

/// What became of the object at OMS: the same contract on every kind.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct TransferStatus {
    /// Generation that this status speaks about; -1: not looked at yet.
    #[serde(default = "not_observed")]
    pub observed_generation: i64,
    /// Where the task stands, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Phase")]
    pub phase: Option<Phase>,
    /// For tools: `Ready`, `Reconciling`, `Stalled`, `CredentialsReady`, `ConnectionReady`, `PriorityPending`,
    /// `BandwidthPending`, `RerunPending`, `PreflightPassed`, `Oversized`, `Paused`, `Adopted`, `Drifted`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// The connection that was resolved at the moment of intent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "PinnedConnection")]
    pub connection: Option<PinnedConnection>,
    /// ID of the task at OMS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub task_id: Option<String>,
    /// Name that OMS gave the task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub task_name: Option<String>,
    /// Which run this is, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "i64", range(min = 1))]
    pub run: Option<i64>,
    /// The word of `spec.rerun` that asked for the present run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub rerun: Option<String>,
    /// Words of `spec.rerun` that were answered, the last 100; none of them runs again. Where a status was lost, tokens
    /// of tasks at OMS stand for the words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100), extend("x-kubernetes-list-type" = "atomic"))]
    pub answered_reruns: Vec<String>,
    /// The last 10 runs before the present one, the oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10), extend("x-kubernetes-list-type" = "atomic"))]
    pub history: Vec<FormerRun>,
    /// IDs of the tasks of still older runs, the last 500: their records go with the object too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 500), extend("x-kubernetes-list-type" = "atomic"))]
    pub older_task_ids: Vec<String>,
    /// Which task at OMS this is within the run, from 1: a waiting task that is suspended is deleted and made anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "i64", range(min = 1))]
    pub attempt: Option<i64>,
    /// A create that is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "CreateIntent")]
    pub create: Option<CreateIntent>,
    /// Whether the task is that of `spec.adopt`; false: it was, and a rerun has made another since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "bool")]
    pub adopted: Option<bool>,
    /// Where the task of `spec.adopt` is not what the spec says: the first 32 fields, long values cut short.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["field"]))]
    pub differences: Vec<Difference>,
    /// Live settings as they were set, or found set, last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "AppliedSettings")]
    pub applied: Option<AppliedSettings>,
    /// How often the operator undid what somebody else changed; absent: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "DriftStatus")]
    pub drift: Option<DriftStatus>,
    /// When the operator began to hold the task stopped because of `spec.suspend`; absent: it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Time")]
    pub suspended_at: Option<Time>,
    /// When the operator began to replace the keys that OMS has: it takes a waiting task out of the queue, or stops a
    /// running one, to start it with the new ones; absent: it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Time")]
    pub renewing_keys_since: Option<Time>,
    /// Retries of the present run; absent: none was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Retries")]
    pub retries: Option<Retries>,
    /// What would be created, or was: what `approvedPlan` approves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "PlanStatus")]
    pub plan: Option<PlanStatus>,
    /// What came of OMS's checks before the create.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "PreflightStatus")]
    pub preflight: Option<PreflightStatus>,
    /// Its place among those that wait for room in a quota of the account; present only in phase `Queued`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "QueueStatus")]
    pub queue: Option<QueueStatus>,
    /// When the operator tries again, where it waits for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Time")]
    pub next_attempt_at: Option<Time>,
    /// How far the task is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Progress")]
    pub progress: Option<Progress>,
    /// The tasks that OMS made of the group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Members")]
    pub members: Option<Members>,
    /// What OMS counted in the month, as of the last step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "SyncStatistics")]
    pub statistics: Option<SyncStatistics>,
    /// When OMS began the transfer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Time")]
    pub started_at: Option<Time>,
    /// When the transfer ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Time")]
    pub finished_at: Option<Time>,
    /// Why it failed or was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Failure")]
    pub failure: Option<Failure>,
    /// Objects that OMS could not copy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "FailedObjects")]
    pub failed_objects: Option<FailedObjects>,
    /// What became of the notification about the end of the task; absent before the end, and where none was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "NotificationStatus")]
    pub notification: Option<NotificationStatus>,
    /// Which credentials of buckets and CDN were sent last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["role"]))]
    pub observed_credentials: Vec<ObservedCredentials>,
    /// Value of the annotation `oms-operator.io/reconcile-requested-at` that was handled last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub last_handled_reconcile_at: Option<String>,
}

impl Default for TransferStatus {
    fn default() -> Self {
        Self {
            observed_generation: not_observed(),
            phase: None,
            conditions: Vec::new(),
            connection: None,
            task_id: None,
            task_name: None,
            run: None,
            rerun: None,
            answered_reruns: Vec::new(),
            history: Vec::new(),
            older_task_ids: Vec::new(),
            attempt: None,
            create: None,
            adopted: None,
            differences: Vec::new(),
            applied: None,
            drift: None,
            suspended_at: None,
            renewing_keys_since: None,
            retries: None,
            plan: None,
            preflight: None,
            queue: None,
            next_attempt_at: None,
            progress: None,
            members: None,
            statistics: None,
            started_at: None,
            finished_at: None,
            failure: None,
            failed_objects: None,
            notification: None,
            observed_credentials: Vec::new(),
            last_handled_reconcile_at: None,
        }
    }
}

/// Where an object stands, in one word for people; tools read the conditions.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Phase {
    /// Something that it needs is missing.
    Pending,
    /// A quota or account limit is full; it waits for its turn.
    Queued,
    /// The create is under way.
    Creating,
    /// The task waits or runs at OMS.
    Running,
    /// The task is being stopped.
    Stopping,
    /// The task is stopped.
    Stopped,
    /// The task failed and another attempt is due.
    Retrying,
    /// Everything is copied.
    Succeeded,
    /// The task ended well, but some objects failed or were skipped by an error.
    SucceededWithFailures,
    /// It failed and nothing more happens until somebody acts.
    Failed,
    /// A sync task is at work.
    Synchronizing,
    /// The object is being deleted.
    Deleting,
}

impl Phase {
    /// As status has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Queued => "Queued",
            Self::Creating => "Creating",
            Self::Running => "Running",
            Self::Stopping => "Stopping",
            Self::Stopped => "Stopped",
            Self::Retrying => "Retrying",
            Self::Succeeded => "Succeeded",
            Self::SucceededWithFailures => "SucceededWithFailures",
            Self::Failed => "Failed",
            Self::Synchronizing => "Synchronizing",
            Self::Deleting => "Deleting",
        }
    }
}

/// The connection that was resolved at the moment of intent; every later call goes there.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct PinnedConnection {
    /// Kind of the connection.
    pub kind: ConnectionKind,
    /// Name of the connection.
    pub name: String,
    /// UID of the connection.
    pub uid: String,
    /// Address of OMS.
    pub endpoint: String,
    /// Project at OMS.
    pub project_id: String,
}

/// A create that is under way: written before the call, cleared when the ID is known.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct CreateIntent {
    /// Token that the task's description carries at OMS.
    pub token: String,
    /// When the intent was written.
    pub started_at: MicroTime,
    /// When the create call was about to be sent; absent: provably never sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "MicroTime")]
    pub sent_at: Option<MicroTime>,
}

/// A place in the line. Namespaces take turns; within one the higher priority comes first, then the older object. Written at
/// steps, at most once a minute.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct QueueStatus {
    /// From 1, among all objects of the kind that wait for the same project.
    #[schemars(range(min = 1))]
    pub position: i64,
    /// Not before this time, as far as known: others create too. Absent when that depends on what waits at OMS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Time")]
    pub earliest_at: Option<Time>,
}

/// How far the task is, as of the last step; exact numbers are in the metrics.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    /// Done, 0 to 100.
    #[schemars(range(min = 0, max = 100), extend("format" = "int64"))]
    pub percent: u32,
    /// The same with a percent sign, for people.
    pub display: String,
    /// Bytes.
    pub bytes: ByteCounts,
    /// Objects.
    pub objects: ObjectCounts,
    /// Speed in bytes per second.
    #[schemars(range(min = 0), extend("format" = "int64"))]
    pub bytes_per_second: u64,
    /// The speed for people, for example `52.4 MiB/s`; absent while nothing moves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub speed: Option<String>,
    /// Estimated time left, for example `1h5m`; empty when unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub remaining: Option<String>,
}

/// Bytes of a task.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct ByteCounts {
    /// Bytes of the whole task; final once OMS has listed the source.
    #[schemars(range(min = 0), extend("format" = "int64"))]
    pub total: u64,
    /// Bytes processed so far, skipped objects included.
    #[schemars(range(min = 0), extend("format" = "int64"))]
    pub done: u64,
}

/// Objects of a task.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct ObjectCounts {
    /// Objects of the whole task; final once OMS has listed the source.
    #[schemars(range(min = 0), extend("format" = "int64"))]
    pub total: u64,
    /// Copied.
    #[schemars(range(min = 0), extend("format" = "int64"))]
    pub succeeded: u64,
    /// Failed.
    #[schemars(range(min = 0), extend("format" = "int64"))]
    pub failed: u64,
    /// Skipped, because the destination has them or the filter leaves them out.
    #[schemars(range(min = 0), extend("format" = "int64"))]
    pub skipped: u64,
}

/// The tasks of a group, as of the last count.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Members {
    /// Tasks of the whole group; final once OMS has created them all.
    #[schemars(range(min = 0), extend("format" = "int64"))]
    pub total: u64,
    /// Created so far.
    #[schemars(range(min = 0), extend("format" = "int64"))]
    pub created: u64,
    /// Waiting in OMS's queue.
    #[schemars(range(min = 0), extend("format" = "int64"))]
    pub waiting: u64,
    /// Running, or being checked or stopped.
    #[schemars(range(min = 0), extend("format" = "int64"))]
    pub running: u64,
    /// Stopped.
    #[schemars(range(min = 0), extend("format" = "int64"))]
    pub paused: u64,
    /// Failed.
    #[schemars(range(min = 0), extend("format" = "int64"))]
    pub failed: u64,
    /// Finished well.
    #[schemars(range(min = 0), extend("format" = "int64"))]
    pub complete: u64,
}

/// Why it failed or was refused.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Failure {
    /// Code of OMS, for example `TRF.0151`; empty when OMS gave none.
    pub code: String,
    /// What OMS said.
    pub message: String,
    /// What to do.
    pub remedy: String,
    /// Whether the same may succeed later without a change of the spec.
    pub retryable: bool,
}

/// Objects that OMS could not copy.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct FailedObjects {
    /// How many.
    #[schemars(range(min = 0), extend("format" = "int64"))]
    pub count: u64,
    /// Key of OMS's list in the destination bucket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub list: Option<String>,
}

/// Which credentials were sent last; a relabelled Secret changes nothing here.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct ObservedCredentials {
    /// `source`, `destination` or `cdn`.
    pub role: String,
    /// Name of the Secret.
    pub secret_name: String,
    /// Its resourceVersion at that moment.
    pub resource_version: String,
    /// Truncated keyed digest of what was sent, and of how OMS was told to keep it.
    pub digest: String,
    /// When they end, where they are temporary and the Secret says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Time")]
    pub expires_at: Option<Time>,
}
