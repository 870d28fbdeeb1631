//! How the operator treats a task at OMS: what MigrationTask, TaskGroup and SyncTask have in common.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Acknowledgement, Approval, ConnectionRef, DeletionPolicy, DriftPolicy, ManagementPolicy, Preflight,
    ReadyWhen,
};

/// How the operator treats a task at OMS.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Lifecycle {
    /// Connection to OMS; default: Connection `default` of the namespace, then ClusterConnection `default`. Frozen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "ConnectionRef")]
    pub connection_ref: Option<ConnectionRef>,
    /// true: stop the transfer; a task that was not created yet is not created. Live.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "bool")]
    pub suspend: Option<bool>,
    /// What deleting this object does to its task at OMS; the default is the operator's, normally `Delete`, and `Orphan`
    /// for a task that was adopted. Live.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "DeletionPolicy")]
    pub deletion_policy: Option<DeletionPolicy>,
    /// Whether OMS is asked for its own checks (buckets, region, names, CDN, URL list) before the create. Write `"Off"` with
    /// its quotes: YAML takes the bare word as a boolean. Live.
    #[serde(default)]
    pub preflight: Preflight,
    /// Whether somebody has to approve before the create. Live.
    #[serde(default)]
    pub approval: Approval,
    /// With `approval: Required`: the `status.plan.hash` that is approved. Live.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(max = 64))]
    pub approved_plan: Option<String>,
    /// Whether the operator changes the task at OMS; `Observe` needs `adopt`. Live.
    #[serde(default)]
    pub management_policy: ManagementPolicy,
    /// What to do when somebody else stops or starts the task, or changes its bandwidth or priority. A task that was
    /// deleted at OMS is never migrated again by that. Live.
    #[serde(default)]
    pub drift_policy: DriftPolicy,
    /// What the operator does when the keys in a referenced Secret change while OMS has the task. Live.
    #[serde(default)]
    pub on_credential_change: OnCredentialChange,
    /// What condition `Ready` means, to a sync wave or to `kubectl wait`. Live.
    #[serde(default)]
    pub ready_when: ReadyWhen,
    /// Costly options that you know of: each wants its word here. Live.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), extend("x-kubernetes-list-type" = "set"))]
    pub acknowledge: Vec<Acknowledgement>,
}

/// What changed keys do to a task that OMS has. A relabelled Secret is no change, and every start sends the keys of that
/// moment whatever this says. A task that failed because of its keys is started again with the new ones, unless this is
/// `Ignore` or `retry.limit` is 0.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnCredentialChange {
    /// A task that waits is deleted and created anew, as nothing was copied; one that runs goes on with the keys that OMS
    /// has, and condition `CredentialsPending` says so.
    #[default]
    NextStart,
    /// As `NextStart`, but a task that runs is stopped and started with the new keys.
    RestartRunning,
    /// Nothing.
    Ignore,
}
