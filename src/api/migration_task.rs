//! `MigrationTask`: copy once.

use std::borrow::Cow;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::CustomResource;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

use super::{
    AdoptTask, BandwidthWindow, BucketCredentials, Cdn, CloudType, ConsistencyCheck, Lifecycle, Notification,
    OverwriteMode, Priority, Runs, StoragePolicy, TransferStatus, rules,
};

/// What a migration task copies, from where, to where and how.
#[derive(CustomResource, JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[kube(
    group = "oms-operator.io",
    version = "v1alpha1",
    kind = "MigrationTask",
    plural = "migrationtasks",
    namespaced,
    status = "TransferStatus",
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
    printcolumn(name = "Queue", type_ = "integer", json_path = ".status.queue.position", priority = 1),
    printcolumn(
        name = "Paused",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Paused")].status"#,
        priority = 1
    ),
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
    /// How the objects are chosen (`task_type`). Frozen.
    #[serde(default, rename = "type")]
    pub task_type: TaskType,
    /// An existing task to take over; nothing is created then. What it has and the spec has not is listed in
    /// `status.differences`. Frozen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "AdoptTask")]
    pub adopt: Option<AdoptTask>,
    /// Where the objects come from; may be left out with `managementPolicy: Observe`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Source")]
    pub source: Option<Source>,
    /// Where the objects go; may be left out with `managementPolicy: Observe`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Destination")]
    pub destination: Option<Destination>,
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
    /// How often it copies.
    #[serde(flatten)]
    pub runs: Runs,
    /// How the operator treats the task.
    #[serde(flatten)]
    pub lifecycle: Lifecycle,
}

impl JsonSchema for MigrationTask {
    fn schema_name() -> Cow<'static, str> {
        "MigrationTask".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = rules::root::<MigrationTaskSpec, TransferStatus>(
            generator,
            "MigrationTask copies objects of a bucket, or of a list of URLs, into an OBS bucket, once.",
        );
        rules::without_status(&mut schema, &["members", "statistics"]);
        rules::freeze(&mut schema, ("MigrationTask", "task"));
        schema
    }
}

/// For serde's defaults.
pub(super) fn yes() -> bool {
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
