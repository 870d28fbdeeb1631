//! `MigrationTask`: copy once.

use std::borrow::Cow;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::CustomResource;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

use super::{
    Acknowledgement, BandwidthWindow, BucketCredentials, Cdn, CloudType, ConnectionRef, ConsistencyCheck,
    CreateIntent, DeletionPolicy, FailedObjects, Failure, Notification, NotificationStatus,
    ObservedCredentials, OverwriteMode, Phase, PinnedConnection, Priority, Progress, ReadyWhen,
    StoragePolicy, rules,
};

/// What a migration task copies, from where, to where and how.
#[derive(CustomResource, JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[kube(
    group = "oms-operator.io",
    version = "v1alpha1",
    kind = "MigrationTask",
    plural = "migrationtasks",
    namespaced,
    status = "MigrationTaskStatus",
    derive = "PartialEq",
    shortname = "mt",
    category = "oms",
    schema = "manual",
    doc = "MigrationTask copies objects of a bucket, or of a list of URLs, into an OBS bucket, once.",
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "Progress", type_ = "string", json_path = ".status.progress.display"),
    printcolumn(name = "Speed", type_ = "string", json_path = ".status.progress.speed"),
    printcolumn(name = "Remaining", type_ = "string", json_path = ".status.progress.remaining"),
    printcolumn(name = "Failed", type_ = "integer", json_path = ".status.progress.objects.failed"),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].status"#
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Task ID", type_ = "string", json_path = ".status.taskId", priority = 1),
    printcolumn(name = "Bytes", type_ = "integer", json_path = ".status.progress.bytes.done", priority = 1),
    printcolumn(name = "Connection", type_ = "string", json_path = ".status.connection.name", priority = 1),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].reason"#,
        priority = 1
    )
)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = rules::migration_task_spec)]
pub struct MigrationTaskSpec {
    /// Connection to OMS; default: Connection `default` of the namespace, then ClusterConnection `default`. Frozen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "ConnectionRef")]
    pub connection_ref: Option<ConnectionRef>,
    /// How the objects are chosen (`task_type`). Frozen.
    #[serde(default, rename = "type")]
    pub task_type: TaskType,
    /// Where the objects come from.
    pub source: Source,
    /// Where the objects go.
    pub destination: Destination,
    /// What happens to an object that the destination already has (`object_overwrite_mode`). Frozen.
    #[serde(default)]
    pub overwrite_mode: OverwriteMode,
    /// How OMS checks each object, before and after copying it (`consistency_check`). Frozen.
    #[serde(default)]
    pub consistency_check: ConsistencyCheck,
    /// Copy only objects modified after this time, in whole seconds; others count as skipped. Frozen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Time")]
    pub migrate_since: Option<Time>,
    /// Place in OMS's queue (`task_priority`). OMS changes it only while the task waits, is stopped or has failed;
    /// until then condition `PriorityPending` says so. While not running.
    #[serde(default)]
    pub priority: Priority,
    /// Copy user metadata too; Content-Type is always copied. Frozen.
    #[serde(default)]
    pub enable_metadata_migration: bool,
    /// Restore archived source objects first, which is slow and costs; not every cloud can. Off: archived objects
    /// count as failed. Frozen.
    #[serde(default)]
    pub enable_restore: bool,
    /// Let OMS write a list of failed objects into the destination bucket, below `oms/`. Frozen.
    #[serde(default = "yes")]
    pub enable_failed_object_recording: bool,
    /// Pay for requests and traffic of a requester-pays source bucket. Frozen.
    #[serde(default)]
    pub enable_requester_pays: bool,
    /// Daily windows with a bandwidth limit: at most 5, which may touch but not overlap. Outside of them, and without
    /// any, there is no limit. Live.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 5), extend("x-kubernetes-list-type" = "atomic"))]
    pub bandwidth_policy: Vec<BandwidthWindow>,
    /// Whom OMS tells about the end of the task. A notification that cannot be sent fails no task; `status.notification`
    /// tells of it. Frozen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Notification")]
    pub notification: Option<Notification>,
    /// Text for people at the OMS console, without ^ < > & " ' ( and ). OMS takes 255 characters, of which a token
    /// of the operator needs 41. Frozen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(max = 214))]
    pub description: Option<String>,
    /// true: stop the transfer; a task that was not created yet is not created. Live.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "bool")]
    pub suspend: Option<bool>,
    /// What deleting this object does to its task at OMS; the default is the operator's, normally `Delete`. Live.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "DeletionPolicy")]
    pub deletion_policy: Option<DeletionPolicy>,
    /// What condition `Ready` means, to a sync wave or to `kubectl wait`. Live.
    #[serde(default)]
    pub ready_when: ReadyWhen,
    /// Costly options that you know of: each wants its word here. Live.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), extend("x-kubernetes-list-type" = "set"))]
    pub acknowledge: Vec<Acknowledgement>,
}

impl JsonSchema for MigrationTask {
    fn schema_name() -> Cow<'static, str> {
        "MigrationTask".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = rules::root::<MigrationTaskSpec, MigrationTaskStatus>(
            generator,
            "MigrationTask copies objects of a bucket, or of a list of URLs, into an OBS bucket, once.",
        );
        rules::freeze(&mut schema);
        schema
    }
}

fn yes() -> bool {
    true
}

/// How the objects are chosen (OMS API reference 5.3.3, `task_type`).
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum TaskType {
    /// Files and folders by name: a key that ends in `/` is a folder.
    #[default]
    Object,
    /// Objects by prefix of their name.
    Prefix,
    /// Names in a list file.
    List,
    /// URLs in a list file.
    UrlList,
}

impl TaskType {
    /// As the tasks API writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Object => "object",
            Self::Prefix => "prefix",
            Self::List => "list",
            Self::UrlList => "url_list",
        }
    }

    /// Whether the names come from a list file.
    pub fn has_list_file(self) -> bool {
        matches!(self, Self::List | Self::UrlList)
    }
}

/// Where objects come from.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = rules::source)]
pub struct Source {
    /// Cloud of the source bucket (`cloud_type`); `URLSource` for type `url_list`. Frozen.
    pub cloud_type: CloudType,
    /// Region of the source bucket, as its cloud writes it; not for `URLSource`. Frozen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(min = 1, max = 100))]
    pub region: Option<String>,
    /// Source bucket; not for `URLSource`. Frozen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(min = 1, max = 1024))]
    pub bucket: Option<String>,
    /// Names (type `object`, a folder ends in `/`) or prefixes (type `prefix`), each at most 1024 bytes;
    /// `[""]` is the whole bucket. Frozen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        with = "Vec<String>",
        length(min = 1, max = 500),
        inner(length(max = 1024)),
        extend("x-kubernetes-list-type" = "set")
    )]
    pub object_keys: Option<Vec<String>>,
    /// The list file of types `list` and `url_list`. Frozen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "ListFile")]
    pub list_file: Option<ListFile>,
    /// Keys of the source bucket; not for `URLSource`. Next start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "BucketCredentials")]
    pub credentials: Option<BucketCredentials>,
    /// APPID of the account, for Tencent only. Frozen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(min = 1, max = 255))]
    pub app_id: Option<String>,
    /// A CDN in front of the bucket, from which OMS then fetches the objects; not for `URLSource`. Frozen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Cdn")]
    pub cdn: Option<Cdn>,
}

/// A list of names or URLs: an object in OBS, in the region of the destination, read with the destination's keys.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = rules::list_file)]
pub struct ListFile {
    /// Bucket of the file.
    #[schemars(length(min = 1, max = 1024))]
    pub bucket: String,
    /// Key of the file; ends in `.txt`.
    #[schemars(length(min = 1, max = 1024))]
    pub key: String,
}

/// Where objects go.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = rules::destination)]
pub struct Destination {
    /// Region of the destination bucket; default, and the only one that OMS takes: the connection's. Frozen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(min = 1, max = 100))]
    pub region: Option<String>,
    /// Destination bucket, in OBS. Frozen.
    #[schemars(length(min = 1, max = 1024))]
    pub bucket: String,
    /// Put before every key (`save_prefix`), without a slash in front; with the key at most 1024 bytes. Frozen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(max = 1024))]
    pub prefix: Option<String>,
    /// Storage class of the copies (`dst_storage_policy`). Frozen.
    #[serde(default)]
    pub storage_policy: StoragePolicy,
    /// Keys of the destination bucket; default: the connection's, when those are permanent. Next start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "BucketCredentials")]
    pub credentials: Option<BucketCredentials>,
}

/// What became of the task.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct MigrationTaskStatus {
    /// Generation that this status speaks about; -1: not looked at yet.
    #[serde(default = "super::status::not_observed")]
    pub observed_generation: i64,
    /// Where the task stands, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Phase")]
    pub phase: Option<Phase>,
    /// For tools: `Ready`, `Reconciling`, `Stalled`, `CredentialsReady`, `ConnectionReady`, `PriorityPending`.
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
    /// Which task at OMS this is within the run, from 1: a waiting task that is suspended is deleted and made anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "i64", range(min = 1))]
    pub attempt: Option<i64>,
    /// A create that is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "CreateIntent")]
    pub create: Option<CreateIntent>,
    /// When the operator began to hold the task stopped because of `spec.suspend`; absent: it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Time")]
    pub suspended_at: Option<Time>,
    /// How often the operator started the task again after a failure that its surroundings caused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "i64", range(min = 0))]
    pub restarts: Option<i64>,
    /// When the operator tries again, where it waits for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Time")]
    pub next_attempt_at: Option<Time>,
    /// How far the task is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Progress")]
    pub progress: Option<Progress>,
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

impl MigrationTaskStatus {
    /// The recorded ID of the task at OMS as a number; `None` when there is none, or no number.
    pub fn remote_id(&self) -> Option<u64> {
        self.task_id.as_deref()?.parse().ok()
    }
}

impl Default for MigrationTaskStatus {
    fn default() -> Self {
        Self {
            observed_generation: super::status::not_observed(),
            phase: None,
            conditions: Vec::new(),
            connection: None,
            task_id: None,
            task_name: None,
            run: None,
            attempt: None,
            create: None,
            suspended_at: None,
            restarts: None,
            next_attempt_at: None,
            progress: None,
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
