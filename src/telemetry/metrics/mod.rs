//! The operator's metrics.
//!
//! [`catalogue`] says which there are and what they mean. What happens is counted when it happens; how things stand is looked
//! up when somebody asks, so that it is never stale. Label values are from closed sets, or name operations and connections.
//! Other objects are named only where somebody asked for that: the number of series does not grow with theirs.

pub mod catalogue;
mod exposition;
mod process;
mod series;
mod snapshot;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use self::catalogue::{Metric, Shown};
use self::exposition::Exposition;
pub use self::exposition::Format;
use self::process::Process;
use self::series::Series;
pub use self::snapshot::{
    Budget, ConnectionState, Handled, ObjectState, Running, Snapshot, Source, Synchronized, Waiting,
};

/// The connection of calls that no connection alone needs.
pub const NO_CONNECTION: &str = "-";

/// Every metric of the operator. Clones share the numbers.
#[derive(Clone)]
pub struct Metrics {
    series: Arc<Series>,
    source: Arc<Mutex<Option<Source>>>,
    started: f64,
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
        for metric in Metric::ALL.iter().filter(|metric| metric.description().shown == Shown::Always) {
            series.start(*metric);
        }
        series.set(Metric::Build, vec![env!("CARGO_PKG_VERSION").into()], 1);
        Self { series: Arc::new(series), source: Arc::default(), started: process::now() }
    }

    /// Who tells how things stand; `None`: nobody, as this replica does not lead.
    pub fn set_source(&self, source: Option<Source>) {
        *self.source.lock().unwrap_or_else(PoisonError::into_inner) = source;
    }

    /// One pass over an object of `kind` ended: `ok`, `error`, `panic` or `timeout`.
    pub fn reconciled(&self, kind: &'static str, outcome: &'static str, duration: Duration) {
        self.series.add(Metric::Reconciles, vec![kind.into(), outcome.into()], 1);
        self.series.observe(Metric::ReconcileDuration, vec![kind.into()], duration);
    }

    /// One call to OMS ended, for a connection or for [`NO_CONNECTION`]. `operation` is the operation's name in the OMS API
    /// (`CreateTask`), `outcome` is `ok` or the class of the error.
    pub fn oms_call(
        &self,
        connection: &str,
        operation: &'static str,
        outcome: &'static str,
        duration: Duration,
    ) {
        let labels = vec![connection.to_owned().into(), operation.into(), outcome.into()];
        self.series.add(Metric::OmsRequests, labels, 1);
        self.series.observe(Metric::OmsRequestDuration, vec![operation.into()], duration);
    }

    /// A call waited for the request budget: `delete`, `user`, `create` or `poll`.
    pub fn budget_wait(&self, urgency: &'static str, waited: Duration) {
        self.series.observe(Metric::BudgetWait, vec![urgency.into()], waited);
    }

    /// Forgets the connections that are gone.
    pub fn retain_connections(&self, exists: impl Fn(&str) -> bool) {
        self.series.retain(Metric::OmsRequests, |labels| labels[0] == NO_CONNECTION || exists(&labels[0]));
    }

    /// One mutating call to the Kubernetes API was sent: `patch`, `update_status` or `delete`.
    pub fn kubernetes_write(&self, kind: &'static str, verb: &'static str) {
        self.series.add(Metric::KubernetesWrites, vec![kind.into(), verb.into()], 1);
    }

    /// A custom resource came into a phase.
    pub fn phase_changed(&self, kind: &'static str, phase: &'static str) {
        self.series.add(Metric::PhaseChanges, vec![kind.into(), phase.into()], 1);
    }

    /// OMS reported so much more as dealt with than the last status had; bytes of skipped objects count too.
    pub fn transferred(&self, kind: &'static str, bytes: u64, handled: Handled) {
        self.series.add(Metric::TransferredBytes, vec![kind.into()], bytes);
        for (outcome, count) in handled.by_outcome() {
            self.series.add(Metric::TransferredObjects, vec![kind.into(), outcome.into()], count);
        }
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
        let source = self.source.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let snapshot = source.and_then(|source| source());
        let process = Process::look();
        let mut exposition = Exposition::new(format);
        for metric in Metric::ALL {
            let mut family = exposition.family(metric.description());
            match metric.description().shown {
                Shown::Always => self.series.write(*metric, &mut family),
                Shown::WhileLeading | Shown::PerObject => {
                    if let Some(snapshot) = &snapshot {
                        snapshot.write(*metric, &mut family);
                    }
                }
                Shown::OnLinux if *metric == Metric::ProcessStart => family.series(&[], self.started),
                Shown::OnLinux => {
                    if let Some(process) = &process {
                        process.write(*metric, &mut family);
                    }
                }
            }
        }
        exposition.end()
    }
}
