//! `SyncTask`: keep copying what is named.

use std::borrow::Cow;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::CustomResource;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

use super::{
    AdoptSyncTask, BucketCredentials, Cdn, CloudType, ConsistencyCheck, Lifecycle, StoragePolicy,
    TransferStatus, rules,
};

/// What a sync task copies from, where to and how. Which objects it copies, its SyncEvents name.
#[derive(CustomResource, JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[kube(
    group = "oms-operator.io",
    version = "v1alpha1",
    kind = "SyncTask",
    plural = "synctasks",
    namespaced,
    status = "TransferStatus",
    derive = "PartialEq",
    shortname = "st",
    category = "oms",
    schema = "manual",
    doc = "SyncTask keeps copying the objects that its SyncEvents name, from a bucket into an OBS bucket.",
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "Requested", type_ = "integer", json_path = ".status.statistics.requested"),
    printcolumn(name = "Copied", type_ = "integer", json_path = ".status.statistics.succeeded"),
    printcolumn(name = "Failed", type_ = "integer", json_path = ".status.statistics.failed"),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].status"#
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Task ID", type_ = "string", json_path = ".status.taskId", priority = 1),
    printcolumn(name = "Bytes", type_ = "integer", json_path = ".status.statistics.bytes", priority = 1),
    printcolumn(name = "Queue", type_ = "integer", json_path = ".status.queue.position", priority = 1),
    printcolumn(name = "Connection", type_ = "string", json_path = ".status.connection.name", priority = 1),
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
#[schemars(transform = rules::sync_task_spec)]
pub struct SyncTaskSpec {
    /// An existing sync task to take over; nothing is created then. What it has and the spec has not is listed in
    /// `status.differences`. Frozen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "AdoptSyncTask")]
    pub adopt: Option<AdoptSyncTask>,
    /// Where the objects come from; may be left out with `managementPolicy: Observe`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "SyncSource")]
    pub source: Option<SyncSource>,
    /// Where they go, under the same keys; may be left out with `managementPolicy: Observe`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "SyncDestination")]
    pub destination: Option<SyncDestination>,
    /// How OMS checks each copied object (`consistency_check`); `no_check` is for URLs, which a sync task does not
    /// read. Frozen.
    #[serde(default)]
    pub consistency_check: ConsistencyCheck,
    /// Copy user metadata too; Content-Type is always copied. Frozen.
    #[serde(default)]
    pub enable_metadata_migration: bool,
    /// Restore archived source objects first, which is slow and costs; not every cloud can. Off: archived objects
    /// count as failed. Frozen.
    #[serde(default)]
    pub enable_restore: bool,
    /// Text for people at the OMS console, without < > & " ' ( and ). OMS takes 255 characters, of which a token
    /// of the operator needs 41. Frozen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(max = 214))]
    pub description: Option<String>,
    /// How the operator treats the task.
    #[serde(flatten)]
    pub lifecycle: Lifecycle,
}

impl JsonSchema for SyncTask {
    fn schema_name() -> Cow<'static, str> {
        "SyncTask".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        rules::sync_task(generator)
    }
}

/// Where the objects of a sync task come from.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = rules::sync_source)]
pub struct SyncSource {
    /// Cloud of the source bucket (`src_cloud_type`); neither `Google` nor `URLSource`. Frozen.
    pub cloud_type: CloudType,
    /// Region of the source bucket, as its cloud writes it. Frozen.
    #[schemars(length(min = 1, max = 100))]
    pub region: String,
    /// Source bucket. Frozen.
    #[schemars(length(min = 1, max = 1024))]
    pub bucket: String,
    /// Permanent access keys of the source bucket, also for Azure: OMS takes nothing else for a sync task. Next start.
    pub credentials: BucketCredentials,
    /// APPID of the account, for Tencent only. Frozen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(min = 1, max = 255))]
    pub app_id: Option<String>,
    /// A CDN in front of the bucket, from which OMS then fetches the objects. Frozen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Cdn")]
    pub cdn: Option<Cdn>,
}

/// Where the objects of a sync task go.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = rules::sync_destination)]
pub struct SyncDestination {
    /// Region of the destination bucket; default, and the only one that OMS takes: the connection's. Frozen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(min = 1, max = 100))]
    pub region: Option<String>,
    /// Destination bucket, in OBS. Frozen.
    #[schemars(length(min = 1, max = 1024))]
    pub bucket: String,
    /// Storage class of the copies (`dst_storage_policy`). Frozen.
    #[serde(default)]
    pub storage_policy: StoragePolicy,
    /// Permanent access keys of the destination bucket; default: the connection's, when those are permanent. Next start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "BucketCredentials")]
    pub credentials: Option<BucketCredentials>,
}

/// What OMS counted for a sync task in one month (OMS API reference 5.4.4); written at steps, exact numbers are in the
/// metrics.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct SyncStatistics {
    /// The month, for example `2026-11`, by the clock of the OMS regions that have sync tasks (UTC+8).
    pub month: String,
    /// Objects that OMS was asked to copy.
    #[schemars(range(min = 0), extend("format" = "int64"))]
    pub requested: u64,
    /// Objects copied.
    #[schemars(range(min = 0), extend("format" = "int64"))]
    pub succeeded: u64,
    /// Objects that could not be copied.
    #[schemars(range(min = 0), extend("format" = "int64"))]
    pub failed: u64,
    /// Objects skipped, because the destination has them already.
    #[schemars(range(min = 0), extend("format" = "int64"))]
    pub skipped: u64,
    /// Bytes of the copied objects.
    #[schemars(range(min = 0), extend("format" = "int64"))]
    pub bytes: u64,
    /// When OMS said so; it stays while the numbers do.
    pub queried_at: Time,
}
