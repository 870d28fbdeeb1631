//! The operator's metrics, in OpenMetrics text.
//!
//! Every label value is a `&'static str` from a closed set; names of objects, buckets or projects never become
//! labels, so that the number of series does not grow with the number of objects.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

/// Prefix of every metric.
pub const PREFIX: &str = "oms_operator";
/// Media type of [`Metrics::render`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Seconds; from a cached reconcile to a call that ends at its deadline.
const DURATION_BUCKETS: [f64; 11] = [0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0];

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct KindOutcome {
    kind: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OperationOutcome {
    operation: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ByKind {
    kind: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ByOperation {
    operation: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ByOutcome {
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct KindVerb {
    kind: &'static str,
    verb: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, PartialOrd, Ord, EncodeLabelSet)]
struct KindPhase {
    kind: &'static str,
    phase: &'static str,
}

/// Sums over everything that runs at OMS now; the exact numbers that status shows only in steps.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Running {
    /// Tasks that run.
    pub tasks: u64,
    /// Bytes that these tasks have to copy, as far as OMS knows them.
    pub bytes_total: u64,
    /// Bytes that these tasks have copied.
    pub bytes_done: u64,
    /// Objects that these tasks have to copy.
    pub objects_total: u64,
    /// Objects that these tasks have dealt with.
    pub objects_done: u64,
    /// Bytes per second of these tasks together.
    pub bytes_per_second: u64,
}

/// Sums over what the watched sync tasks had counted in the current month when they were asked last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Synchronized {
    /// Objects that OMS was asked to copy.
    pub requested: u64,
    /// Objects copied.
    pub succeeded: u64,
    /// Objects that could not be copied.
    pub failed: u64,
    /// Objects skipped.
    pub skipped: u64,
    /// Bytes copied.
    pub bytes: u64,
}

type HistogramFamily<S> = Family<S, Histogram, fn() -> Histogram>;

/// Every metric of the operator. Clones share one registry.
#[derive(Clone)]
pub struct Metrics {
    inner: Arc<Inner>,
}

struct Inner {
    registry: Registry,
    reconciles: Family<KindOutcome, Counter>,
    reconcile_duration: HistogramFamily<ByKind>,
    oms_requests: Family<OperationOutcome, Counter>,
    oms_request_duration: HistogramFamily<ByOperation>,
    kubernetes_writes: Family<KindVerb, Counter>,
    objects: Family<KindPhase, Gauge>,
    seen_phases: Mutex<BTreeSet<KindPhase>>,
    paused_objects: Family<ByKind, Gauge>,
    transferred_bytes: Counter,
    running_tasks: Gauge,
    running_bytes_total: Gauge<u64, AtomicU64>,
    running_bytes_done: Gauge<u64, AtomicU64>,
    running_objects_total: Gauge<u64, AtomicU64>,
    running_objects_done: Gauge<u64, AtomicU64>,
    running_bytes_per_second: Gauge<u64, AtomicU64>,
    sync_month_objects: Family<ByOutcome, Gauge<u64, AtomicU64>>,
    sync_month_bytes: Gauge<u64, AtomicU64>,
    sync_keys: Counter,
    searches: Family<ByOutcome, Counter>,
    duplicate_remotes: Counter,
    abandoned_cleanups: Counter,
    unknown_codes: Counter,
    polls: Family<ByOutcome, Counter>,
    polled_tasks: Counter,
    dropped_events: Counter,
    leader: Gauge,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// A registry of its own; nothing is global.
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix(PREFIX);
        registry.register(
            "build",
            "Version of the operator",
            Info::new([("version", env!("CARGO_PKG_VERSION"))]),
        );

        macro_rules! metric {
            ($name:literal, $help:literal, $metric:expr) => {{
                let metric = $metric;
                registry.register($name, $help, metric.clone());
                metric
            }};
            ($name:literal, $unit:expr, $help:literal, $metric:expr) => {{
                let metric = $metric;
                registry.register_with_unit($name, $help, $unit, metric.clone());
                metric
            }};
        }

        let reconciles =
            metric!("reconciles", "Passes over one object, by kind and outcome", Family::default());
        let reconcile_duration = metric!(
            "reconcile_duration",
            Unit::Seconds,
            "Time of one pass over one object",
            Family::new_with_constructor(duration_histogram as fn() -> Histogram)
        );
        let oms_requests =
            metric!("oms_requests", "Calls to OMS, by operation and outcome", Family::default());
        let oms_request_duration = metric!(
            "oms_request_duration",
            Unit::Seconds,
            "Time of one call to OMS, waiting for the budget left out",
            Family::new_with_constructor(duration_histogram as fn() -> Histogram)
        );
        let kubernetes_writes = metric!(
            "kubernetes_writes",
            "Mutating calls to the Kubernetes API, by kind and verb",
            Family::default()
        );
        let objects = metric!("objects", "Custom resources, by kind and phase", Family::default());
        let paused_objects = metric!(
            "paused_objects",
            "Custom resources that the operator leaves alone, by kind",
            Family::default()
        );
        let transferred_bytes = metric!(
            "transferred",
            Unit::Bytes,
            "Bytes that OMS reported as dealt with, skipped ones included, while this process watched",
            Counter::default()
        );
        let running_tasks = metric!("running_tasks", "Tasks that run at OMS", Gauge::default());
        let running_bytes_total = metric!(
            "running_tasks_size",
            Unit::Bytes,
            "Bytes that the running tasks have to copy, as far as OMS knows them",
            Gauge::default()
        );
        let running_bytes_done = metric!(
            "running_tasks_copied",
            Unit::Bytes,
            "Bytes that the running tasks have copied",
            Gauge::default()
        );
        let running_objects_total =
            metric!("running_tasks_objects", "Objects of the running tasks", Gauge::default());
        let running_objects_done = metric!(
            "running_tasks_objects_done",
            "Objects that the running tasks have dealt with",
            Gauge::default()
        );
        let running_bytes_per_second = metric!(
            "running_tasks_bytes_per_second",
            "Speed of the running tasks together",
            Gauge::default()
        );
        let sync_month_objects = metric!(
            "sync_month_objects",
            "Objects that the sync tasks counted in the current month, by outcome; `requested` is all of them",
            Family::default()
        );
        let sync_month_bytes = metric!(
            "sync_month_copied",
            Unit::Bytes,
            "Bytes that the sync tasks copied in the current month",
            Gauge::default()
        );
        let sync_keys = metric!(
            "sync_event_keys",
            "Keys of SyncEvents that OMS accepted while this process ran",
            Counter::default()
        );
        let searches = metric!(
            "searches",
            "Full scans for a task that carries our token, by outcome",
            Family::default()
        );
        let duplicate_remotes =
            metric!("duplicate_remotes", "Second tasks of one run found at OMS", Counter::default());
        let abandoned_cleanups = metric!(
            "abandoned_cleanups",
            "Objects whose clean-up at OMS was given up; something may be left there",
            Counter::default()
        );
        let unknown_codes = metric!(
            "unknown_codes",
            "Error codes of OMS that are missing in the operator's table",
            Counter::default()
        );
        let polls = metric!("polls", "Rounds of the list poller, by outcome", Family::default());
        let polled_tasks = metric!("polled_tasks", "Tasks that the list poller has read", Counter::default());
        let dropped_events =
            metric!("dropped_events", "Kubernetes events that could not be published", Counter::default());
        let leader = metric!("leader", "1 while this replica holds the lease", Gauge::default());

        Self {
            inner: Arc::new(Inner {
                registry,
                reconciles,
                reconcile_duration,
                oms_requests,
                oms_request_duration,
                kubernetes_writes,
                objects,
                seen_phases: Mutex::default(),
                paused_objects,
                transferred_bytes,
                running_tasks,
                running_bytes_total,
                running_bytes_done,
                running_objects_total,
                running_objects_done,
                running_bytes_per_second,
                sync_month_objects,
                sync_month_bytes,
                sync_keys,
                searches,
                duplicate_remotes,
                abandoned_cleanups,
                unknown_codes,
                polls,
                polled_tasks,
                dropped_events,
                leader,
            }),
        }
    }

    /// One pass over an object of `kind` ended: `changed`, `unchanged`, `waiting`, `error`, `panic` or `timeout`.
    pub fn reconciled(&self, kind: &'static str, outcome: &'static str, duration: Duration) {
        self.inner.reconciles.get_or_create(&KindOutcome { kind, outcome }).inc();
        self.inner.reconcile_duration.get_or_create(&ByKind { kind }).observe(duration.as_secs_f64());
    }

    /// One call to OMS ended. `operation` is the operation's name in the OMS API (`CreateTask`), `outcome` is
    /// `ok` or the class of the error.
    pub fn oms_call(&self, operation: &'static str, outcome: &'static str, duration: Duration) {
        self.inner.oms_requests.get_or_create(&OperationOutcome { operation, outcome }).inc();
        self.inner
            .oms_request_duration
            .get_or_create(&ByOperation { operation })
            .observe(duration.as_secs_f64());
    }

    /// One mutating call to the Kubernetes API was sent: `verb` such as `patch` or `update_status`.
    pub fn kubernetes_write(&self, kind: &'static str, verb: &'static str) {
        self.inner.kubernetes_writes.get_or_create(&KindVerb { kind, verb }).inc();
    }

    /// How many objects of `kind` are in which phase now. Phases that are not named fall to 0.
    pub fn set_phase_counts(
        &self,
        kind: &'static str,
        counts: impl IntoIterator<Item = (&'static str, u64)>,
    ) {
        let mut seen = self.inner.seen_phases.lock().unwrap_or_else(PoisonError::into_inner);
        let mut missing: BTreeSet<_> = seen.iter().filter(|label| label.kind == kind).cloned().collect();
        for (phase, count) in counts {
            let label = KindPhase { kind, phase };
            missing.remove(&label);
            self.inner.objects.get_or_create(&label).set(count as i64);
            seen.insert(label);
        }
        for label in missing {
            self.inner.objects.get_or_create(&label).set(0);
        }
    }

    /// How many objects of `kind` are paused now.
    pub fn set_paused(&self, kind: &'static str, count: u64) {
        self.inner.paused_objects.get_or_create(&ByKind { kind }).set(count as i64);
    }

    /// OMS reported `bytes` more as dealt with, skipped ones included, than the last status had.
    pub fn transferred_bytes(&self, bytes: u64) {
        self.inner.transferred_bytes.inc_by(bytes);
    }

    /// Sums over the tasks that run now; replaces the earlier sums.
    pub fn set_progress(&self, running: Running) {
        let Running { tasks, bytes_total, bytes_done, objects_total, objects_done, bytes_per_second } =
            running;
        self.inner.running_tasks.set(tasks as i64);
        self.inner.running_bytes_total.set(bytes_total);
        self.inner.running_bytes_done.set(bytes_done);
        self.inner.running_objects_total.set(objects_total);
        self.inner.running_objects_done.set(objects_done);
        self.inner.running_bytes_per_second.set(bytes_per_second);
    }

    /// What the sync tasks had counted in the month; replaces the earlier sums.
    pub fn set_synchronized(&self, sums: Synchronized) {
        let Synchronized { requested, succeeded, failed, skipped, bytes } = sums;
        for (outcome, count) in
            [("requested", requested), ("succeeded", succeeded), ("failed", failed), ("skipped", skipped)]
        {
            self.inner.sync_month_objects.get_or_create(&ByOutcome { outcome }).set(count);
        }
        self.inner.sync_month_bytes.set(bytes);
    }

    /// OMS accepted `count` keys of a SyncEvent.
    pub fn sync_keys(&self, count: usize) {
        self.inner.sync_keys.inc_by(count as u64);
    }

    /// A scan of all tasks for our tokens ended: `complete` or `failed`.
    pub fn search(&self, outcome: &'static str) {
        self.inner.searches.get_or_create(&ByOutcome { outcome }).inc();
    }

    /// A second task of one run was found at OMS.
    pub fn duplicate_remote(&self) {
        self.inner.duplicate_remotes.inc();
    }

    /// The clean-up of a deleted object was given up.
    pub fn abandoned_cleanup(&self) {
        self.inner.abandoned_cleanups.inc();
    }

    /// OMS answered with an error code that the table does not hold.
    pub fn unknown_code(&self) {
        self.inner.unknown_codes.inc();
    }

    /// A round of the list poller ended (`ok` or `failed`) and read `tasks` tasks.
    pub fn poll(&self, outcome: &'static str, tasks: usize) {
        self.inner.polls.get_or_create(&ByOutcome { outcome }).inc();
        self.inner.polled_tasks.inc_by(tasks as u64);
    }

    /// An event could not be published.
    pub fn dropped_event(&self) {
        self.inner.dropped_events.inc();
    }

    /// Whether this replica holds the lease.
    pub fn set_leader(&self, leading: bool) {
        self.inner.leader.set(i64::from(leading));
    }

    /// All metrics as OpenMetrics text ([`CONTENT_TYPE`]).
    pub fn render(&self) -> String {
        let mut text = String::with_capacity(8 * 1024);
        // Only the writer can fail, and a String does not.
        let _ = encode(&mut text, &self.inner.registry);
        text
    }
}

fn duration_histogram() -> Histogram {
    Histogram::new(DURATION_BUCKETS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line<'t>(text: &'t str, start: &str) -> &'t str {
        text.lines().find(|line| line.starts_with(start)).unwrap_or_else(|| panic!("no {start} in\n{text}"))
    }

    #[test]
    fn counters_carry_their_labels_and_units() {
        let metrics = Metrics::new();
        metrics.reconciled("MigrationTask", "changed", Duration::from_millis(3));
        metrics.clone().reconciled("MigrationTask", "changed", Duration::from_millis(3));
        metrics.oms_call("CreateTask", "ok", Duration::from_millis(70));
        metrics.kubernetes_write("MigrationTask", "update_status");
        metrics.transferred_bytes(4096);
        metrics.sync_keys(10);
        metrics.set_synchronized(Synchronized {
            requested: 7,
            failed: 2,
            bytes: 9,
            ..Synchronized::default()
        });
        metrics.search("complete");
        metrics.poll("ok", 100);
        let text = metrics.render();
        for expected in [
            r#"oms_operator_reconciles_total{kind="MigrationTask",outcome="changed"} 2"#,
            r#"oms_operator_reconcile_duration_seconds_count{kind="MigrationTask"} 2"#,
            r#"oms_operator_oms_requests_total{operation="CreateTask",outcome="ok"} 1"#,
            r#"oms_operator_kubernetes_writes_total{kind="MigrationTask",verb="update_status"} 1"#,
            "oms_operator_transferred_bytes_total 4096",
            "oms_operator_sync_event_keys_total 10",
            r#"oms_operator_sync_month_objects{outcome="requested"} 7"#,
            r#"oms_operator_sync_month_objects{outcome="failed"} 2"#,
            "oms_operator_sync_month_copied_bytes 9",
            r#"oms_operator_searches_total{outcome="complete"} 1"#,
            r#"oms_operator_polls_total{outcome="ok"} 1"#,
            "oms_operator_polled_tasks_total 100",
            concat!(r#"oms_operator_build_info{version=""#, env!("CARGO_PKG_VERSION"), r#""} 1"#),
        ] {
            assert!(text.lines().any(|line| line == expected), "no {expected} in\n{text}");
        }
        assert!(text.ends_with("# EOF\n"));
    }

    #[test]
    fn a_phase_that_nobody_is_in_any_more_falls_to_zero() {
        let metrics = Metrics::new();
        metrics.set_phase_counts("MigrationTask", [("Running", 3), ("Pending", 1)]);
        metrics.set_phase_counts("Connection", [("Pending", 7)]);
        metrics.set_phase_counts("MigrationTask", [("Succeeded", 4)]);
        let text = metrics.render();
        let object =
            |kind, phase| line(&text, &format!(r#"oms_operator_objects{{kind="{kind}",phase="{phase}"}}"#));
        assert!(object("MigrationTask", "Running").ends_with(" 0"));
        assert!(object("MigrationTask", "Pending").ends_with(" 0"));
        assert!(object("MigrationTask", "Succeeded").ends_with(" 4"));
        assert!(object("Connection", "Pending").ends_with(" 7"));
    }

    #[test]
    fn progress_is_replaced_as_a_whole() {
        let metrics = Metrics::new();
        metrics.set_progress(Running {
            tasks: 2,
            bytes_total: 1 << 60,
            bytes_done: 10,
            objects_total: 5,
            objects_done: 1,
            bytes_per_second: 1024,
        });
        assert!(
            line(&metrics.render(), "oms_operator_running_tasks_size_bytes")
                .ends_with(" 1152921504606846976")
        );
        metrics.set_progress(Running::default());
        let text = metrics.render();
        for gauge in [
            "running_tasks ",
            "running_tasks_size_bytes",
            "running_tasks_copied_bytes",
            "running_tasks_objects ",
            "running_tasks_bytes_per_second",
        ] {
            assert!(line(&text, &format!("oms_operator_{gauge}")).ends_with(" 0"));
        }
    }
}
