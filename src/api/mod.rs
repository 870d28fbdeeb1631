//! The custom resources of group `oms-operator.io`: what users write and what we answer in status.
//!
//! Knows no other module of the crate. Values that OMS defines are spelled as OMS spells them
//! (`AWS`, `NO_OVERWRITE`), values of our own are CamelCase. Secrets are only ever referenced.

mod adoption;
mod cdn;
mod common;
pub mod conditions;
#[expect(clippy::duplicated_attributes, reason = "each print column repeats the attribute names")]
pub mod connection;
mod lifecycle;
#[expect(clippy::duplicated_attributes, reason = "each print column repeats the attribute names")]
pub mod migration_task;
mod notification;
mod preparation;
mod rules;
mod runs;
mod span;
mod status;
#[expect(clippy::duplicated_attributes, reason = "each print column repeats the attribute names")]
pub mod sync_event;
#[expect(clippy::duplicated_attributes, reason = "each print column repeats the attribute names")]
pub mod sync_task;
#[expect(clippy::duplicated_attributes, reason = "each print column repeats the attribute names")]
pub mod task_group;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;

pub use adoption::{
    AdoptGroup, AdoptSyncTask, AdoptTask, AppliedSettings, Difference, DriftPolicy, DriftStatus,
    ManagementPolicy,
};
pub use cdn::{Cdn, CdnAuthentication, CdnKey, CdnProtocol};
pub use common::{
    Acknowledgement, BandwidthWindow, BucketCredentials, ByteRate, CloudType, ConnectionKind, ConnectionRef,
    ConsistencyCheck, Crypto, CryptoType, DeletionPolicy, OverwriteMode, Priority, ReadyWhen, SecretKeyRef,
    SecretKeys, SecretRef, StoragePolicy,
};
pub use connection::{
    AllowedNamespaces, CaBundle, ClusterConnection, ClusterConnectionSpec, ConfigMapKeyRef, Connection,
    ConnectionCredentials, ConnectionSpec, ConnectionStatus, CredentialsSource, CredentialsStatus, Limits,
    PrivacyAgreement,
};
pub use lifecycle::{Lifecycle, OnCredentialChange};
pub use migration_task::{Destination, ListFile, MigrationTask, MigrationTaskSpec, Source, TaskType};
pub use notification::{
    Notification, NotificationLanguage, NotificationResult, NotificationStatus, NotificationTrigger,
};
pub use preparation::{Approval, CheckResult, CheckStatus, PlanStatus, Preflight, PreflightStatus};
pub use runs::{FormerRun, Retries, Retry, RetryObjects, Runs};
pub use span::Span;
pub use status::{
    ByteCounts, CreateIntent, FailedObjects, Failure, Members, ObjectCounts, ObservedCredentials, Phase,
    PinnedConnection, Progress, QueueStatus, TransferStatus,
};
pub use sync_event::{SyncEvent, SyncEventSpec, SyncEventStatus, SyncTaskRef};
pub use sync_task::{SyncDestination, SyncSource, SyncStatistics, SyncTask, SyncTaskSpec};
pub use task_group::{GroupType, TaskGroup, TaskGroupSpec};

/// API group of every kind.
pub const GROUP: &str = "oms-operator.io";
/// API version of every kind.
pub const VERSION: &str = "v1alpha1";
/// Name under which the operator owns fields and writes events.
pub const MANAGER: &str = "oms-operator";
/// Finalizer on every object that may have something at OMS.
pub const FINALIZER: &str = "oms-operator.io/remote-task";
/// Finalizer on a connection while objects that may have something at OMS are pinned to it.
pub const CONNECTION_FINALIZER: &str = "oms-operator.io/connection-in-use";
/// Annotation: look now. Its value is echoed in `status.lastHandledReconcileAt`.
pub const RECONCILE_REQUESTED_AT: &str = "oms-operator.io/reconcile-requested-at";
/// Annotation: with value `"true"` the operator keeps its hands off; deletion still works.
pub const PAUSED: &str = "oms-operator.io/paused";

/// Label of a namespace: with value `"true"` it is as if every object in it had the annotation of that name.
pub const PAUSED_NAMESPACE: &str = PAUSED;

/// Every custom resource definition, in the order in which they are printed and committed.
pub fn crds() -> Vec<CustomResourceDefinition> {
    vec![
        Connection::crd(),
        ClusterConnection::crd(),
        MigrationTask::crd(),
        TaskGroup::crd(),
        SyncTask::crd(),
        SyncEvent::crd(),
    ]
}

/// Every definition as one YAML stream: what `oms-operator crds` prints and `kubectl apply -f -` takes.
pub fn crds_yaml() -> String {
    crds().iter().map(|crd| "---\n".to_owned() + &crd_yaml(crd)).collect()
}

/// The files of folder `crds/`: name and content, one file per definition.
pub fn crd_files() -> Vec<(String, String)> {
    crds().iter().map(|crd| (format!("{}.yaml", crd.spec.names.plural), crd_yaml(crd))).collect()
}

fn crd_yaml(crd: &CustomResourceDefinition) -> String {
    let yaml = serde_yaml::to_string(crd).expect("a definition made from our own types is plain JSON");
    yaml.lines().map(|line| quoted(line) + "\n").collect()
}

/// A line whose value means the same in YAML 1.1, which kubectl and helm read: there a bare `Off` is false.
fn quoted(line: &str) -> String {
    let value = line.rsplit_once(' ').map_or(line, |(_, value)| value);
    let head = &line[..line.len() - value.len()];
    let is_value = head.ends_with("- ") || head.ends_with(": ");
    let is_boolean = ["y", "n", "yes", "no", "on", "off"].iter().any(|word| word.eq_ignore_ascii_case(value));
    if is_value && is_boolean { format!("{head}\"{value}\"") } else { line.to_owned() }
}
