//! `SyncEvent`: name objects that a sync task copies.

use std::borrow::Cow;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::CustomResource;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

use super::status::not_observed;
use super::{Phase, Span, rules};

/// Which objects a sync task is told to copy. All of it is fixed once the object exists: for other keys, create another
/// SyncEvent.
#[derive(CustomResource, JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[kube(
    group = "oms-operator.io",
    version = "v1alpha1",
    kind = "SyncEvent",
    plural = "syncevents",
    namespaced,
    status = "SyncEventStatus",
    derive = "PartialEq",
    shortname = "se",
    category = "oms",
    schema = "manual",
    doc = "SyncEvent tells a SyncTask which objects to copy, each at least once.",
    printcolumn(name = "Sync Task", type_ = "string", json_path = ".spec.syncTaskRef.name"),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "Accepted", type_ = "integer", json_path = ".status.accepted"),
    printcolumn(name = "Total", type_ = "integer", json_path = ".status.total"),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].status"#
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Task ID", type_ = "string", json_path = ".status.taskId", priority = 1),
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
#[schemars(transform = rules::sync_event_spec)]
pub struct SyncEventSpec {
    /// The SyncTask, in the same namespace. Frozen.
    pub sync_task_ref: SyncTaskRef,
    /// Keys of the objects as they are in the source bucket, not encoded: at most 1000, each at most 1024 bytes. OMS is
    /// told ten at a time, in this order. Frozen.
    #[schemars(
        length(min = 1, max = 5000),
        inner(length(min = 1, max = 1024)),
        extend("x-kubernetes-list-type" = "atomic")
    )]
    pub object_keys: Vec<String>,
    /// How long after its end the object is deleted, as whole seconds or with a unit: `3600`, `60m`, `24h`, `7d`. Default:
    /// it stays. In Git, leave it out: what deletes itself would be applied again. Frozen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Span")]
    pub ttl_after_finished: Option<Span>,
}

impl JsonSchema for SyncEvent {
    fn schema_name() -> Cow<'static, str> {
        "SyncEvent".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        rules::sync_event(generator)
    }
}

/// Names a SyncTask of the same namespace.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = rules::atomic)]
pub struct SyncTaskRef {
    /// Name of the SyncTask.
    #[schemars(length(min = 1, max = 253), regex(pattern = rules::OBJECT_NAME))]
    pub name: String,
}

/// How far OMS was told. What became of each object, OMS does not tell; the month's counters of the SyncTask do in sum.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct SyncEventStatus {
    /// Generation that this status speaks about; -1: not looked at yet.
    #[serde(default = "not_observed")]
    pub observed_generation: i64,
    /// Where it stands, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Phase")]
    pub phase: Option<Phase>,
    /// For tools: `Ready`, `Reconciling`, `Stalled`; beside them `Paused`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// How many keys OMS accepted, from the first on. Keys after that are sent, again if need be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "i64", range(min = 0))]
    pub accepted: Option<i64>,
    /// How many keys there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "i64", range(min = 0))]
    pub total: Option<i64>,
    /// ID of the sync task at OMS that accepted the last keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub task_id: Option<String>,
    /// When the last key was accepted, or OMS refused for good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Time")]
    pub finished_at: Option<Time>,
    /// Value of the annotation `oms-operator.io/reconcile-requested-at` that was handled last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub last_handled_reconcile_at: Option<String>,
}

impl Default for SyncEventStatus {
    fn default() -> Self {
        Self {
            observed_generation: not_observed(),
            phase: None,
            conditions: Vec::new(),
            accepted: None,
            total: None,
            task_id: None,
            finished_at: None,
            last_handled_reconcile_at: None,
        }
    }
}
