//! Tasks that exist already, and changes of tasks from outside.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An existing migration task to take over instead of creating one.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct AdoptTask {
    /// ID of the task at OMS, in the project of the connection; neither a member of a task group nor of a sync task. Frozen.
    #[schemars(length(min = 1, max = 19), regex(pattern = r"^[1-9][0-9]*$"))]
    pub task_id: String,
}

/// An existing task group to take over instead of creating one.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct AdoptGroup {
    /// ID of the group at OMS, in the project of the connection. Frozen.
    #[schemars(length(min = 1, max = 64), regex(pattern = r"^[-0-9a-zA-Z]+$"))]
    pub group_id: String,
}

/// An existing sync task to take over instead of creating one.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct AdoptSyncTask {
    /// ID of the sync task at OMS, in the project of the connection. Frozen.
    #[schemars(length(min = 1, max = 64), regex(pattern = r"^[-0-9a-zA-Z]+$"))]
    pub sync_task_id: String,
}

/// Whether the operator changes the task at OMS.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ManagementPolicy {
    /// The operator creates, stops, starts, changes and deletes the task as the spec says.
    #[default]
    Manage,
    /// The operator only looks: status and metrics for a task that somebody else owns. Nothing at OMS is changed, also not
    /// when the object is deleted.
    Observe,
}

/// What the operator does when somebody else stops or starts the task, or changes its bandwidth or priority.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DriftPolicy {
    /// It says so in condition `Drifted` and leaves the task as it is.
    #[default]
    Report,
    /// It brings the task back to what the spec says, at growing intervals when that happens again.
    Enforce,
}

/// A field in which the task that was taken over is not what the spec says.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Difference {
    /// Field of the spec.
    pub field: String,
    /// What the spec says; empty: it says nothing, or the default.
    pub wanted: String,
    /// What the task at OMS has; empty: nothing.
    pub found: String,
}

/// The settings that the operator set, or found set, last: what OMS has instead was changed by somebody else.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct AppliedSettings {
    /// Digest of the bandwidth windows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub bandwidth: Option<String>,
    /// Priority.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub priority: Option<String>,
}

/// How often the operator brought the task back, with `driftPolicy: Enforce`.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct DriftStatus {
    /// How often in a row.
    #[schemars(range(min = 0))]
    pub corrections: i64,
    /// When the operator does so again at the earliest.
    pub not_before: Time,
}
