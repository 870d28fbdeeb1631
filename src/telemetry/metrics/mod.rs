//! The operator's metrics.
//!
//! [`catalogue`] says which there are and what they mean. Every label value is from a closed set; names of objects, buckets
//! or projects never become labels, so that the number of series does not grow with the number of objects.

pub mod catalogue;
mod exposition;
mod series;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use self::catalogue::Metric;
use self::exposition::Exposition;
pub use self::exposition::Format;
use self::series::Series;

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

/// Every metric of the operator. Clones share the numbers.
#[derive(Clone)]
pub struct Metrics {
    series: Arc<Series>,
    seen_phases: Arc<Mutex<BTreeSet<(&'static str, &'static str)>>>,
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
    /// Numbers of its own; nothing is global.
    pub fn new() -> Self {
        let series = Series::default();
        for metric in Metric::ALL {
            series.start(*metric);
        }
        series.set(Metric::Build, vec![env!("CARGO_PKG_VERSION").into()], 1);
        Self { series: Arc::new(series), seen_phases: Arc::default() }
    }

    /// One pass over an object of `kind` ended: `ok`, `error`, `panic` or `timeout`.
    pub fn reconciled(&self, kind: &'static str, outcome: &'static str, duration: Duration) {
        self.series.add(Metric::Reconciles, vec![kind.into(), outcome.into()], 1);
        self.series.observe(Metric::ReconcileDuration, vec![kind.into()], duration);
    }

    /// One call to OMS ended. `operation` is the operation's name in the OMS API (`CreateTask`), `outcome` is
    /// `ok` or the class of the error.
    pub fn oms_call(&self, operation: &'static str, outcome: &'static str, duration: Duration) {
        self.series.add(Metric::OmsRequests, vec![operation.into(), outcome.into()], 1);
        self.series.observe(Metric::OmsRequestDuration, vec![operation.into()], duration);
    }

    /// One mutating call to the Kubernetes API was sent: `verb` such as `patch` or `update_status`.
    pub fn kubernetes_write(&self, kind: &'static str, verb: &'static str) {
        self.series.add(Metric::KubernetesWrites, vec![kind.into(), verb.into()], 1);
    }

    /// How many objects of `kind` are in which phase now. Phases that are not named fall to 0.
    pub fn set_phase_counts(
        &self,
        kind: &'static str,
        counts: impl IntoIterator<Item = (&'static str, u64)>,
    ) {
        let mut seen = self.seen_phases.lock().unwrap_or_else(PoisonError::into_inner);
        let mut missing: BTreeSet<_> = seen.iter().filter(|(of, _)| *of == kind).copied().collect();
        for (phase, count) in counts {
            missing.remove(&(kind, phase));
            self.series.set(Metric::Objects, vec![kind.into(), phase.into()], count);
            seen.insert((kind, phase));
        }
        for (kind, phase) in missing {
            self.series.set(Metric::Objects, vec![kind.into(), phase.into()], 0);
        }
    }

    /// How many objects of `kind` are paused now.
    pub fn set_paused(&self, kind: &'static str, count: u64) {
        self.series.set(Metric::PausedObjects, vec![kind.into()], count);
    }

    /// OMS reported `bytes` more as dealt with, skipped ones included, than the last status had.
    pub fn transferred_bytes(&self, bytes: u64) {
        self.series.add(Metric::TransferredBytes, Vec::new(), bytes);
    }

    /// Sums over the tasks that run now; replaces the earlier sums.
    pub fn set_progress(&self, running: Running) {
        for (metric, value) in [
            (Metric::RunningTasks, running.tasks),
            (Metric::RunningTasksSize, running.bytes_total),
            (Metric::RunningTasksCopied, running.bytes_done),
            (Metric::RunningTasksObjects, running.objects_total),
            (Metric::RunningTasksObjectsDone, running.objects_done),
            (Metric::RunningTasksSpeed, running.bytes_per_second),
        ] {
            self.series.set(metric, Vec::new(), value);
        }
    }

    /// What the sync tasks had counted in the month; replaces the earlier sums.
    pub fn set_synchronized(&self, sums: Synchronized) {
        let Synchronized { requested, succeeded, failed, skipped, bytes } = sums;
        for (outcome, count) in
            [("requested", requested), ("succeeded", succeeded), ("failed", failed), ("skipped", skipped)]
        {
            self.series.set(Metric::SyncMonthObjects, vec![outcome.into()], count);
        }
        self.series.set(Metric::SyncMonthCopied, Vec::new(), bytes);
    }

    /// OMS accepted `count` keys of a SyncEvent.
    pub fn sync_keys(&self, count: usize) {
        self.series.add(Metric::SyncEventKeys, Vec::new(), count as u64);
    }

    /// A scan of all tasks for our tokens ended: `complete` or `failed`.
    pub fn search(&self, outcome: &'static str) {
        self.series.add(Metric::Searches, vec![outcome.into()], 1);
    }

    /// A second task of one run was found at OMS.
    pub fn duplicate_remote(&self) {
        self.series.add(Metric::DuplicateRemotes, Vec::new(), 1);
    }

    /// The clean-up of a deleted object was given up.
    pub fn abandoned_cleanup(&self) {
        self.series.add(Metric::AbandonedCleanups, Vec::new(), 1);
    }

    /// OMS answered with an error code that the table does not hold.
    pub fn unknown_code(&self) {
        self.series.add(Metric::UnknownCodes, Vec::new(), 1);
    }

    /// A round of the list poller ended (`ok` or `failed`) and read `tasks` tasks.
    pub fn poll(&self, outcome: &'static str, tasks: usize) {
        self.series.add(Metric::Polls, vec![outcome.into()], 1);
        self.series.add(Metric::PolledTasks, Vec::new(), tasks as u64);
    }

    /// An event could not be published.
    pub fn dropped_event(&self) {
        self.series.add(Metric::DroppedEvents, Vec::new(), 1);
    }

    /// Whether this replica holds the lease.
    pub fn set_leader(&self, leading: bool) {
        self.series.set(Metric::Leader, Vec::new(), u64::from(leading));
    }

    /// All metrics as text.
    pub fn render(&self, format: Format) -> String {
        let mut exposition = Exposition::new(format);
        for metric in Metric::ALL {
            let mut family = exposition.family(metric.description());
            for (labels, value) in self.series.of(*metric) {
                let labels: Vec<_> = labels.iter().map(AsRef::as_ref).collect();
                family.series(&labels, value);
            }
        }
        exposition.end()
    }
}
