//! What comes before a create: OMS's own checks, and the word of somebody who approves.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Whether OMS is asked for its checks before a create.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Preflight {
    /// Every check that OMS has for such a source and such keys.
    #[default]
    Full,
    /// None: what is wrong shows when the task is created, or when it runs.
    Off,
}

/// Whether somebody has to approve before something is created.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Approval {
    /// Nobody has to.
    #[default]
    Auto,
    /// Nothing is created until `approvedPlan` equals `status.plan.hash`.
    Required,
}

/// What would be created, or was.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct PlanStatus {
    /// Changes when what would be done changes: source, destination, options, names of Secrets, project and run. What
    /// can be changed while the task runs is not in it, and neither are the keys themselves.
    pub hash: String,
    /// The same in words, as far as one line holds it.
    pub summary: String,
}

/// What came of OMS's checks.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct PreflightStatus {
    /// What was checked, as a hash: with other buckets or keys it is checked anew.
    pub subject: String,
    /// When the last check ended.
    pub checked_at: MicroTime,
    /// How often in a row a check failed; the pauses grow with it.
    #[schemars(range(min = 0))]
    pub failures: i64,
    /// The checks, in their order.
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["check"]))]
    pub checks: Vec<CheckStatus>,
}

/// What came of one check.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct CheckStatus {
    /// `SourceBucket`, `SourceObjects`, `ObjectKeys[0]` and on, `Cdn`, `UrlList` or `DestinationBucket`.
    pub check: String,
    /// What came of it.
    pub result: CheckResult,
    /// What was found, whose move it is and what to do; absent where it passed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub message: Option<String>,
}

/// What came of a check.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckResult {
    /// OMS found nothing wrong.
    Passed,
    /// The task would fail.
    Failed,
    /// OMS cannot check this, for example with temporary keys. It holds nothing up.
    NotPossible,
}
