//! Every metric that the operator exposes: its name, type, labels and meaning. One row here is all that a metric needs to be
//! exposed with the right words, and to be in the reference.

/// Prefix of every metric but those of the process.
pub const PREFIX: &str = "oms_operator";

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// Only grows while the process runs.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts observations in buckets.
    Histogram,
    /// Always 1; its labels are what it says.
    Info,
}

impl Type {
    /// As the text formats have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::Info => "info",
        }
    }
}

/// A label of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Label {
    /// Its name.
    pub name: &'static str,
    /// Every value that it can have; empty for a label that names something.
    pub values: &'static [&'static str],
}

/// What there is to say about a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Description {
    /// Its name with the unit, without the `_total` of a counter and the `_info` of an info.
    pub name: &'static str,
    /// What it is.
    pub kind: Type,
    /// Its labels, in the order in which they are written.
    pub labels: &'static [Label],
    /// What it tells, without a period.
    pub help: &'static str,
}

impl Description {
    /// The base unit, where the name ends with one.
    pub fn unit(&self) -> Option<&'static str> {
        ["seconds", "bytes"].into_iter().find(|unit| {
            self.name.strip_suffix(unit).is_some_and(|rest| rest.ends_with('_') && !rest.ends_with("_per_"))
        })
    }

    /// The name of its series; those of a histogram add `_bucket`, `_count` and `_sum`.
    pub fn series(&self) -> String {
        let suffix = match self.kind {
            Type::Counter => "_total",
            Type::Info => "_info",
            Type::Gauge | Type::Histogram => "",
        };
        format!("{}{suffix}", self.name)
    }
}

const KIND: Label = Label {
    name: "kind",
    values: &["MigrationTask", "TaskGroup", "SyncTask", "SyncEvent", "Connection", "ClusterConnection"],
};
const TASK_KIND: Label =
    Label { name: "kind", values: &["MigrationTask", "TaskGroup", "SyncTask", "SyncEvent"] };
const PHASE: Label = Label {
    name: "phase",
    values: &[
        "Pending",
        "Queued",
        "Creating",
        "Running",
        "Stopping",
        "Stopped",
        "Retrying",
        "Succeeded",
        "SucceededWithFailures",
        "Failed",
        "Synchronizing",
        "Deleting",
    ],
};
const PASS_OUTCOME: Label = Label { name: "outcome", values: &["ok", "error", "timeout", "panic"] };
const OPERATION: Label = Label { name: "operation", values: &[] };
const CALL_OUTCOME: Label = Label {
    name: "outcome",
    values: &[
        "ok",
        "invalid",
        "credential",
        "bucket_credential",
        "permission",
        "privacy",
        "quota",
        "conflict",
        "not_found",
        "throttled",
        "transient",
        "missing",
        "unknown",
        "refused",
    ],
};
const VERB: Label = Label { name: "verb", values: &["patch", "update_status", "delete"] };
const MONTH_OUTCOME: Label =
    Label { name: "outcome", values: &["requested", "succeeded", "failed", "skipped"] };
const SEARCH_OUTCOME: Label = Label { name: "outcome", values: &["complete", "failed"] };
const POLL_OUTCOME: Label = Label { name: "outcome", values: &["ok", "failed"] };
const VERSION: Label = Label { name: "version", values: &[] };

/// Makes the list of metrics and their descriptions from one row each.
macro_rules! catalogue {
    ($($metric:ident = $kind:ident $name:literal [$($label:ident),*] $help:literal;)*) => {
        /// A metric.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Metric {
            $(#[doc = $help] $metric,)*
        }

        impl Metric {
            /// All of them, in the order in which they are exposed.
            pub const ALL: &'static [Self] = &[$(Self::$metric),*];

            /// What there is to say about it.
            pub fn description(self) -> &'static Description {
                const DESCRIPTIONS: &[Description] = &[$(Description {
                    name: $name,
                    kind: Type::$kind,
                    labels: &[$($label),*],
                    help: $help,
                }),*];
                &DESCRIPTIONS[self as usize]
            }
        }
    };
}

catalogue! {
    Build = Info "oms_operator_build" [VERSION]
        "Version of the operator";
    Leader = Gauge "oms_operator_leader" []
        "1 while this replica holds the lease";

    Reconciles = Counter "oms_operator_reconciles" [KIND, PASS_OUTCOME]
        "Passes over one object";
    ReconcileDuration = Histogram "oms_operator_reconcile_duration_seconds" [KIND]
        "Time of one pass over one object";
    KubernetesWrites = Counter "oms_operator_kubernetes_writes" [KIND, VERB]
        "Mutating calls to the Kubernetes API";
    DroppedEvents = Counter "oms_operator_dropped_events" []
        "Kubernetes events that could not be published";

    OmsRequests = Counter "oms_operator_oms_requests" [OPERATION, CALL_OUTCOME]
        "Calls to OMS, by operation and outcome";
    OmsRequestDuration = Histogram "oms_operator_oms_request_duration_seconds" [OPERATION]
        "Time of one call to OMS, waiting for the budget left out";
    UnknownCodes = Counter "oms_operator_unknown_codes" []
        "Error codes of OMS that are missing in the operator's table";
    Polls = Counter "oms_operator_polls" [POLL_OUTCOME]
        "Rounds of the list poller";
    PolledTasks = Counter "oms_operator_polled_tasks" []
        "Tasks that the list poller has read";
    Searches = Counter "oms_operator_searches" [SEARCH_OUTCOME]
        "Full scans for a task that carries our token";
    DuplicateRemotes = Counter "oms_operator_duplicate_remotes" []
        "Second tasks of one run found at OMS";
    AbandonedCleanups = Counter "oms_operator_abandoned_cleanups" []
        "Objects whose clean-up at OMS was given up; something may be left there";

    Objects = Gauge "oms_operator_objects" [TASK_KIND, PHASE]
        "Custom resources, by kind and phase";
    PausedObjects = Gauge "oms_operator_paused_objects" [TASK_KIND]
        "Custom resources that the operator leaves alone";

    TransferredBytes = Counter "oms_operator_transferred_bytes" []
        "Bytes that OMS reported as dealt with, skipped ones included, while this process watched";
    RunningTasks = Gauge "oms_operator_running_tasks" []
        "Tasks that run at OMS";
    RunningTasksSize = Gauge "oms_operator_running_tasks_size_bytes" []
        "Bytes that the running tasks have to copy, as far as OMS knows them";
    RunningTasksCopied = Gauge "oms_operator_running_tasks_copied_bytes" []
        "Bytes that the running tasks have copied";
    RunningTasksObjects = Gauge "oms_operator_running_tasks_objects" []
        "Objects of the running tasks";
    RunningTasksObjectsDone = Gauge "oms_operator_running_tasks_objects_done" []
        "Objects that the running tasks have dealt with";
    RunningTasksSpeed = Gauge "oms_operator_running_tasks_bytes_per_second" []
        "Speed of the running tasks together";
    SyncMonthObjects = Gauge "oms_operator_sync_month_objects" [MONTH_OUTCOME]
        "Objects that the sync tasks counted in the current month; `requested` is all of them";
    SyncMonthCopied = Gauge "oms_operator_sync_month_copied_bytes" []
        "Bytes that the sync tasks copied in the current month";
    SyncEventKeys = Counter "oms_operator_sync_event_keys" []
        "Keys of SyncEvents that OMS accepted while this process ran";
}
