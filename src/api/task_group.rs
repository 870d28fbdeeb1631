//! `TaskGroup`: a big bucket, copied once in parts that OMS makes.

use std::borrow::Cow;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::CustomResource;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

use super::{
    AdoptGroup, BandwidthWindow, ConsistencyCheck, Destination, Lifecycle, Notification, OverwriteMode, Runs,
    Source, TransferStatus, migration_task, rules,
};

/// What a task group copies, from where, to where and how.
#[derive(CustomResource, JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[kube(
    group = "oms-operator.io",
    version = "v1alpha1",
    kind = "TaskGroup",
    plural = "taskgroups",
    namespaced,
    status = "TransferStatus",
    derive = "PartialEq",
    shortname = "tg",
    category = "oms",
    schema = "manual",
    doc = "TaskGroup copies a big bucket, or folders of lists, into an OBS bucket, once, in tasks that OMS makes.",
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "Progress", type_ = "string", json_path = ".status.progress.display"),
    printcolumn(name = "Speed", type_ = "string", json_path = ".status.progress.speed"),
    printcolumn(name = "Remaining", type_ = "string", json_path = ".status.progress.remaining"),
    printcolumn(name = "Members", type_ = "integer", json_path = ".status.members.total"),
    printcolumn(name = "Complete", type_ = "integer", json_path = ".status.members.complete"),
    printcolumn(name = "Failed", type_ = "integer", json_path = ".status.progress.objects.failed"),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].status"#
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Group ID", type_ = "string", json_path = ".status.taskId", priority = 1),
    printcolumn(name = "Bytes", type_ = "integer", json_path = ".status.progress.bytes.done", priority = 1),
    printcolumn(name = "Running", type_ = "integer", json_path = ".status.members.running", priority = 1),
    printcolumn(name = "Waiting", type_ = "integer", json_path = ".status.members.waiting", priority = 1),
    printcolumn(
        name = "Failed Members",
        type_ = "integer",
        json_path = ".status.members.failed",
        priority = 1
    ),
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
#[schemars(transform = rules::task_group_spec)]
pub struct TaskGroupSpec {
    /// How the objects are chosen (`task_type`). Frozen.
    #[serde(default, rename = "type")]
    pub group_type: GroupType,
    /// An existing task group to take over; nothing is created then. What it has and the spec has not is listed in
    /// `status.differences`. Frozen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "AdoptGroup")]
    pub adopt: Option<AdoptGroup>,
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
    /// Copy user metadata too; Content-Type is always copied. Frozen.
    #[serde(default)]
    pub enable_metadata_migration: bool,
    /// Restore archived source objects first, which is slow and costs; not every cloud can. Off: archived objects
    /// count as failed. Frozen.
    #[serde(default)]
    pub enable_restore: bool,
    /// Let OMS write lists of failed objects into the destination bucket, below `oms/`. Frozen.
    #[serde(default = "migration_task::yes")]
    pub enable_failed_object_recording: bool,
    /// Pay for requests and traffic of a requester-pays source bucket. Frozen.
    #[serde(default)]
    pub enable_requester_pays: bool,
    /// Daily windows with a bandwidth limit: at most 5, which may touch but not overlap. Outside of them, and without
    /// any, there is no limit. OMS changes them until the group has ended; afterwards condition `BandwidthPending`
    /// says that they wait for its retry. Live.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 5), extend("x-kubernetes-list-type" = "atomic"))]
    pub bandwidth_policy: Vec<BandwidthWindow>,
    /// Whom OMS tells about the end of the group. A notification that cannot be sent fails no group;
    /// `status.notification` tells of it. Frozen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Notification")]
    pub notification: Option<Notification>,
    /// Text for people at the OMS console, without ^ < > & " ' ( ) backquote and backslash. OMS takes 255 characters,
    /// of which a token of the operator needs 41. Frozen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(max = 214))]
    pub description: Option<String>,
    /// How often it copies.
    #[serde(flatten)]
    pub runs: Runs,
    /// How the operator treats the group.
    #[serde(flatten)]
    pub lifecycle: Lifecycle,
}

impl JsonSchema for TaskGroup {
    fn schema_name() -> Cow<'static, str> {
        "TaskGroup".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = rules::root::<TaskGroupSpec, TransferStatus>(
            generator,
            "TaskGroup copies a big bucket, or folders of lists, into an OBS bucket, once, in tasks that OMS makes.",
        );
        rules::without_status(&mut schema, &["statistics", "taskName"]);
        rules::freeze(&mut schema, ("TaskGroup", "group"));
        schema
    }
}

/// How the objects of a group are chosen (OMS API reference 5.5.2, `task_type`, there in upper case).
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum GroupType {
    /// Objects by prefix of their name.
    #[default]
    Prefix,
    /// Names in list files.
    List,
    /// URLs in list files.
    UrlList,
}

impl GroupType {
    /// As the group API writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Prefix => "PREFIX",
            Self::List => "LIST",
            Self::UrlList => "URL_LIST",
        }
    }
}
