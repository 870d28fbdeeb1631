//! How often something is copied: what MigrationTask and TaskGroup have in common.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ObjectCounts, Phase};

/// How often something is copied.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Runs {
    /// A new word runs the same spec again, as a new task at OMS, once the present run is over; a word that was answered
    /// before never runs again. Present at creation it names the first run; empty, it asks for nothing. Live.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(max = 64))]
    pub rerun: Option<String>,
    /// Starts a task that failed again, which continues the same task at OMS. Absent: a task that failed before it
    /// copied anything is started again until its surroundings are mended; every other failure stays. Live.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Retry")]
    pub retry: Option<Retry>,
}

/// How a task that failed is started again: by the class of its failure, at growing intervals.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Retry {
    /// How often at most in one run; 0: never, whatever the cause. Live.
    #[serde(default = "three")]
    #[schemars(range(min = 0, max = 100))]
    pub limit: i64,
    /// What is copied then. Live.
    #[serde(default)]
    pub objects: RetryObjects,
}

fn three() -> i64 {
    3
}

/// What a retry copies (OMS API reference 5.3.6, `migrate_failed_object`).
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RetryObjects {
    /// The objects that failed, where OMS has its list of them (`enableFailedObjectRecording`); else as `All`.
    #[default]
    Failed,
    /// Everything that the task asks for; what the destination has is treated as `overwriteMode` says.
    All,
}

/// Retries of the present run.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Retries {
    /// How often the operator started the task again after a failure.
    #[schemars(range(min = 0))]
    pub made: i64,
    /// What the last one copied.
    pub objects: RetryObjects,
}

/// A run that is over and that another followed.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct FormerRun {
    /// Which run it was, from 1.
    #[schemars(range(min = 1))]
    pub run: i64,
    /// The word of `spec.rerun` that asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub rerun: Option<String>,
    /// ID of its task at OMS, whose record goes with the object.
    pub task_id: String,
    /// How it ended.
    pub phase: Phase,
    /// When OMS began the transfer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Time")]
    pub started_at: Option<Time>,
    /// When the transfer ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Time")]
    pub finished_at: Option<Time>,
    /// Its objects.
    pub objects: ObjectCounts,
    /// Bytes that it processed.
    #[schemars(range(min = 0), extend("format" = "int64"))]
    pub bytes: u64,
}
