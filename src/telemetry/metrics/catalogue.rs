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

/// When a metric has series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// On every replica.
    Always,
    /// While the replica leads and its caches are filled; made at the scrape.
    WhileLeading,
    /// The same, and only where it is asked for: there are series for every object.
    PerObject,
    /// On every replica, where there is a `/proc`.
    OnLinux,
}

/// What there is to say about a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Description {
    /// Its name with the unit, without the `_total` of a counter and the `_info` of an info.
    pub name: &'static str,
    /// What it is.
    pub kind: Type,
    /// When it has series.
    pub shown: Shown,
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

const fn of(name: &'static str, values: &'static [&'static str]) -> Label {
    Label { name, values }
}

/// A label that names something.
const fn naming(name: &'static str) -> Label {
    Label { name, values: &[] }
}

const KIND: Label =
    of("kind", &["MigrationTask", "TaskGroup", "SyncTask", "SyncEvent", "Connection", "ClusterConnection"]);
const TASK_KIND: Label = of("kind", &["MigrationTask", "TaskGroup", "SyncTask", "SyncEvent"]);
const REMOTE_KIND: Label = of("kind", &["MigrationTask", "TaskGroup", "SyncTask"]);
const COPY_KIND: Label = of("kind", &["MigrationTask", "TaskGroup"]);
const PHASE: Label = of(
    "phase",
    &[
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
);
const PASS_OUTCOME: Label = of("outcome", &["ok", "error", "timeout", "panic"]);
const CALL_OUTCOME: Label = of(
    "outcome",
    &[
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
);
const SEARCH_OUTCOME: Label = of("outcome", &["complete", "failed"]);
const POLL_OUTCOME: Label = of("outcome", &["ok", "failed"]);
const OBJECT_OUTCOME: Label = of("outcome", &["succeeded", "failed", "skipped"]);
const URGENCY: Label = of("urgency", &["delete", "user", "create", "poll"]);
const VERB: Label = of("verb", &["patch", "update_status", "delete"]);
const CONNECTION: Label = naming("connection");
const OPERATION: Label = naming("operation");
const VERSION: Label = naming("version");
const NAMESPACE: Label = naming("namespace");
const NAME: Label = naming("name");

/// Makes the list of metrics and their descriptions from one row each.
macro_rules! catalogue {
    ($($shown:ident { $($metric:ident = $kind:ident $name:literal [$($label:ident),*] $help:literal;)* })*) => {
        /// A metric.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Metric {
            $($(#[doc = $help] $metric,)*)*
        }

        impl Metric {
            /// All of them, in the order in which they are exposed.
            pub const ALL: &'static [Self] = &[$($(Self::$metric),*),*];

            /// What there is to say about it.
            pub fn description(self) -> &'static Description {
                const DESCRIPTIONS: &[Description] = &[$($(Description {
                    name: $name,
                    kind: Type::$kind,
                    shown: Shown::$shown,
                    labels: &[$($label),*],
                    help: $help,
                }),*),*];
                &DESCRIPTIONS[self as usize]
            }
        }
    };
}

catalogue! {
Always {
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

    OmsRequests = Counter "oms_operator_oms_requests" [CONNECTION, OPERATION, CALL_OUTCOME]
        "Calls to OMS, IAM and STS; `outcome` is `ok` or the class of the error code, and `connection` is `-` for credentials of the operator's own";
    OmsRequestDuration = Histogram "oms_operator_oms_request_duration_seconds" [OPERATION]
        "Time of one call to OMS, without the wait for the request budget";
    BudgetWait = Histogram "oms_operator_oms_budget_wait_seconds" [URGENCY]
        "How long calls waited for the request budget, those that gave up included";
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

    PhaseChanges = Counter "oms_operator_phase_changes" [TASK_KIND, PHASE]
        "Custom resources that came into a phase";
    TransferredBytes = Counter "oms_operator_transferred_bytes" [COPY_KIND]
        "Bytes that OMS reported as dealt with, skipped ones included, while this process watched";
    TransferredObjects = Counter "oms_operator_transferred_objects" [COPY_KIND, OBJECT_OUTCOME]
        "Objects that OMS reported as dealt with while this process watched";
    SyncEventKeys = Counter "oms_operator_sync_event_keys" []
        "Keys of SyncEvents that OMS accepted while this process ran";
}
WhileLeading {
    QueueDepth = Gauge "oms_operator_reconcile_queue_depth" [KIND]
        "Objects whose pass is due and has not begun";
    QueueAge = Gauge "oms_operator_reconcile_queue_oldest_age_seconds" [KIND]
        "How long the pass of the object that waits longest has been due";
    QuotaWaiting = Gauge "oms_operator_quota_waiting_objects" [REMOTE_KIND]
        "Custom resources that wait for room in a quota";
    QuotaAge = Gauge "oms_operator_quota_oldest_wait_seconds" [REMOTE_KIND]
        "How long the first of them has waited, as far as this process knows";

    BudgetLeft = Gauge "oms_operator_oms_budget_left_requests" [CONNECTION]
        "Calls that the request budget has left at once; connections of one project share it";
    BudgetRate = Gauge "oms_operator_oms_budget_requests_per_second" [CONNECTION]
        "Rate of the request budget in force, with what refusals taught";
    BudgetWaiting = Gauge "oms_operator_oms_budget_waiting_calls" [CONNECTION]
        "Calls that wait for the request budget";
    ConnectionReady = Gauge "oms_operator_connection_ready" [CONNECTION]
        "1 while the connection is ready";
    CredentialsExpiry = Gauge "oms_operator_connection_credentials_expiry_timestamp_seconds" [CONNECTION]
        "When the credentials of the connection end, where that is known";

    Objects = Gauge "oms_operator_objects" [TASK_KIND, PHASE]
        "Custom resources by phase";
    PausedObjects = Gauge "oms_operator_paused_objects" [TASK_KIND]
        "Custom resources that the operator leaves alone";
    LastSuccess = Gauge "oms_operator_last_success_timestamp_seconds" [TASK_KIND]
        "When the last custom resource succeeded; of SyncTasks when one was last seen to synchronize";

    RunningTasks = Gauge "oms_operator_running_tasks" [COPY_KIND]
        "Tasks that run at OMS";
    RunningSize = Gauge "oms_operator_running_tasks_size_bytes" [COPY_KIND]
        "Bytes that the running tasks have to copy, as far as OMS knows them";
    RunningCopied = Gauge "oms_operator_running_tasks_copied_bytes" [COPY_KIND]
        "Bytes that the running tasks have copied";
    RunningObjects = Gauge "oms_operator_running_tasks_objects" [COPY_KIND]
        "Objects of the running tasks";
    RunningHandled = Gauge "oms_operator_running_tasks_handled_objects" [COPY_KIND, OBJECT_OUTCOME]
        "Objects that the running tasks have dealt with";
    RunningSpeed = Gauge "oms_operator_running_tasks_bytes_per_second" [COPY_KIND]
        "Speed of the running tasks together";
    RunningRemaining = Gauge "oms_operator_running_tasks_remaining_seconds" [COPY_KIND]
        "Longest time that OMS still expects one of the running tasks to take";
    SyncMonthRequested = Gauge "oms_operator_sync_month_requested_objects" []
        "Objects that the sync tasks were asked to copy in the current month";
    SyncMonthObjects = Gauge "oms_operator_sync_month_objects" [OBJECT_OUTCOME]
        "Objects that the sync tasks have dealt with in the current month";
    SyncMonthCopied = Gauge "oms_operator_sync_month_copied_bytes" []
        "Bytes that the sync tasks copied in the current month";
}
PerObject {
    TaskPhase = Gauge "oms_operator_task_phase" [TASK_KIND, NAMESPACE, NAME, PHASE]
        "1 for the phase that the custom resource is in";
    TaskReady = Gauge "oms_operator_task_ready" [TASK_KIND, NAMESPACE, NAME]
        "1 while the custom resource is ready";
    TaskSize = Gauge "oms_operator_task_size_bytes" [TASK_KIND, NAMESPACE, NAME]
        "Bytes of the whole task";
    TaskCopied = Gauge "oms_operator_task_copied_bytes" [TASK_KIND, NAMESPACE, NAME]
        "Bytes that are copied; of a SyncTask in the current month";
    TaskObjects = Gauge "oms_operator_task_objects" [TASK_KIND, NAMESPACE, NAME]
        "Objects of the whole task; of a SyncTask those asked for in the current month, of a SyncEvent its keys";
    TaskHandled = Gauge "oms_operator_task_handled_objects" [TASK_KIND, NAMESPACE, NAME, OBJECT_OUTCOME]
        "Objects that are dealt with; a key of a SyncEvent once OMS accepted it";
    TaskSpeed = Gauge "oms_operator_task_bytes_per_second" [TASK_KIND, NAMESPACE, NAME]
        "Speed of the task";
    TaskRemaining = Gauge "oms_operator_task_remaining_seconds" [TASK_KIND, NAMESPACE, NAME]
        "How long OMS expects the task still to take";
    TaskLastSuccess = Gauge "oms_operator_task_last_success_timestamp_seconds" [TASK_KIND, NAMESPACE, NAME]
        "When it last succeeded; of a SyncTask when it was last seen to synchronize";
}
OnLinux {
    ProcessCpu = Counter "process_cpu_seconds" []
        "Processor time that the process used";
    ProcessResident = Gauge "process_resident_memory_bytes" []
        "Memory of the process";
    ProcessVirtual = Gauge "process_virtual_memory_bytes" []
        "Address space of the process";
    ProcessStart = Gauge "process_start_time_seconds" []
        "When the process began, since 1970";
    ProcessFds = Gauge "process_open_fds" []
        "Open file descriptors";
    ProcessMaxFds = Gauge "process_max_fds" []
        "File descriptors that may be open";
    ProcessThreads = Gauge "process_threads" []
        "Threads of the process";
}
}
