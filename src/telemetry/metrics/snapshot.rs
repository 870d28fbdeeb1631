//! What is looked up when somebody asks: how things stand at that moment, and nothing that could be stale.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::catalogue::Metric;
use super::exposition::Family;

/// Tells how things stand; `None` when there is nobody any more who knows.
pub type Source = Arc<dyn Fn() -> Option<Snapshot> + Send + Sync>;

/// How things stand.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    /// The queues of passes, by kind.
    pub queues: Vec<(&'static str, Waiting)>,
    /// The lines at the quotas, by kind.
    pub lines: Vec<(&'static str, Waiting)>,
    /// How many custom resources are in a phase, by kind and phase.
    pub phases: BTreeMap<(&'static str, &'static str), u64>,
    /// How many custom resources are paused, by kind.
    pub paused: BTreeMap<&'static str, u64>,
    /// When the last success was, in seconds since 1970, by kind.
    pub last_success: BTreeMap<&'static str, f64>,
    /// What runs at OMS, by kind.
    pub running: Vec<(&'static str, Running)>,
    /// What the sync tasks counted.
    pub synchronized: Synchronized,
    /// The connections.
    pub connections: Vec<ConnectionState>,
    /// The custom resources one by one; empty where that is not asked for.
    pub objects: Vec<ObjectState>,
}

/// Who waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// How many.
    pub count: u64,
    /// For how long the first of them has.
    pub oldest: Duration,
}

impl Waiting {
    /// Two lines as one.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self { count: self.count + other.count, oldest: self.oldest.max(other.oldest) }
    }
}

/// Objects that were dealt with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Handled {
    /// Copied.
    pub succeeded: u64,
    /// Could not be copied.
    pub failed: u64,
    /// Skipped.
    pub skipped: u64,
}

impl Handled {
    pub(super) fn by_outcome(self) -> [(&'static str, u64); 3] {
        [("succeeded", self.succeeded), ("failed", self.failed), ("skipped", self.skipped)]
    }
}

/// Sums over what runs at OMS now; the exact numbers that status shows only in steps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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
    pub handled: Handled,
    /// Bytes per second of these tasks together.
    pub bytes_per_second: u64,
    /// The longest time that is expected to be left.
    pub remaining: Duration,
}

/// Sums over what the watched sync tasks had counted in the current month when they were asked last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Synchronized {
    /// Objects that OMS was asked to copy.
    pub requested: u64,
    /// Objects that were dealt with.
    pub handled: Handled,
    /// Bytes copied.
    pub bytes: u64,
}

/// How a connection stands.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ConnectionState {
    /// `namespace/name`, or the name of a ClusterConnection.
    pub name: String,
    /// Whether it is ready.
    pub ready: bool,
    /// When its credentials end, in seconds since 1970, where that is known.
    pub expiry: Option<f64>,
    /// Its request budget, once it worked.
    pub budget: Option<Budget>,
}

/// How a request budget stands.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Budget {
    /// Calls that could be made at once.
    pub left: u64,
    /// Calls per second.
    pub rate: f64,
    /// Calls that wait.
    pub waiting: u64,
}

/// How a custom resource stands.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ObjectState {
    /// Its kind.
    pub kind: &'static str,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its phase, once it has one.
    pub phase: Option<&'static str>,
    /// Whether it is ready.
    pub ready: bool,
    /// Bytes of the whole.
    pub bytes_total: Option<u64>,
    /// Bytes copied.
    pub bytes_done: Option<u64>,
    /// Objects of the whole.
    pub objects_total: Option<u64>,
    /// Objects that were dealt with.
    pub handled: Option<Handled>,
    /// Bytes per second.
    pub bytes_per_second: Option<u64>,
    /// Time left, as far as OMS knows.
    pub remaining: Option<Duration>,
    /// The last success, in seconds since 1970.
    pub last_success: Option<f64>,
}

impl Snapshot {
    /// Writes the series of a metric, if it is one that is looked up.
    pub(super) fn write(&self, metric: Metric, family: &mut Family<'_>) {
        match metric {
            Metric::QueueDepth => each(&self.queues, |kind, queue| family.series(&[kind], queue.count)),
            Metric::QueueAge => {
                each(&self.queues, |kind, queue| family.series(&[kind], queue.oldest.as_secs_f64()));
            }
            Metric::QuotaWaiting => each(&self.lines, |kind, line| family.series(&[kind], line.count)),
            Metric::QuotaAge => {
                each(&self.lines, |kind, line| family.series(&[kind], line.oldest.as_secs_f64()));
            }
            Metric::Objects => self.write_phases(metric, family),
            Metric::PausedObjects => {
                for kind in metric.description().labels[0].values {
                    family.series(&[kind], self.paused.get(kind).copied().unwrap_or_default());
                }
            }
            Metric::LastSuccess => {
                for (kind, at) in &self.last_success {
                    family.series(&[kind], *at);
                }
            }
            Metric::SyncMonthRequested => family.series(&[], self.synchronized.requested),
            Metric::SyncMonthCopied => family.series(&[], self.synchronized.bytes),
            Metric::SyncMonthObjects => {
                for (outcome, count) in self.synchronized.handled.by_outcome() {
                    family.series(&[outcome], count);
                }
            }
            _ => {
                for (kind, running) in &self.running {
                    running.write(metric, kind, family);
                }
                for connection in &self.connections {
                    connection.write(metric, family);
                }
                for object in &self.objects {
                    object.write(metric, family);
                }
            }
        }
    }

    /// Every phase has a series, so that nobody has to guess what a missing one means.
    fn write_phases(&self, metric: Metric, family: &mut Family<'_>) {
        let [kinds, phases] = metric.description().labels else { return };
        for kind in kinds.values {
            for phase in phases.values {
                let count = self.phases.get(&(kind, phase)).copied().unwrap_or_default();
                family.series(&[kind, phase], count);
            }
        }
    }
}

fn each(of: &[(&'static str, Waiting)], mut write: impl FnMut(&str, &Waiting)) {
    for (kind, waiting) in of {
        write(kind, waiting);
    }
}

impl Running {
    fn write(&self, metric: Metric, kind: &str, family: &mut Family<'_>) {
        match metric {
            Metric::RunningTasks => family.series(&[kind], self.tasks),
            Metric::RunningSize => family.series(&[kind], self.bytes_total),
            Metric::RunningCopied => family.series(&[kind], self.bytes_done),
            Metric::RunningObjects => family.series(&[kind], self.objects_total),
            Metric::RunningHandled => {
                for (outcome, count) in self.handled.by_outcome() {
                    family.series(&[kind, outcome], count);
                }
            }
            Metric::RunningSpeed => family.series(&[kind], self.bytes_per_second),
            Metric::RunningRemaining => family.series(&[kind], self.remaining.as_secs_f64()),
            _ => {}
        }
    }
}

impl ConnectionState {
    fn write(&self, metric: Metric, family: &mut Family<'_>) {
        let name = &[self.name.as_str()];
        match (metric, self.budget) {
            (Metric::ConnectionReady, _) => family.series(name, u64::from(self.ready)),
            (Metric::CredentialsExpiry, _) => {
                if let Some(expiry) = self.expiry {
                    family.series(name, expiry);
                }
            }
            (Metric::BudgetLeft, Some(budget)) => family.series(name, budget.left),
            (Metric::BudgetRate, Some(budget)) => family.series(name, budget.rate),
            (Metric::BudgetWaiting, Some(budget)) => family.series(name, budget.waiting),
            _ => {}
        }
    }
}

impl ObjectState {
    fn write(&self, metric: Metric, family: &mut Family<'_>) {
        let labels = [self.kind, &self.namespace, &self.name];
        let number = match metric {
            Metric::TaskPhase => {
                if let Some(phase) = self.phase {
                    family.series(&[self.kind, &self.namespace, &self.name, phase], 1);
                }
                return;
            }
            Metric::TaskHandled => {
                for (outcome, count) in self.handled.map(Handled::by_outcome).into_iter().flatten() {
                    family.series(&[self.kind, &self.namespace, &self.name, outcome], count);
                }
                return;
            }
            Metric::TaskRemaining => {
                if let Some(remaining) = self.remaining {
                    family.series(&labels, remaining.as_secs_f64());
                }
                return;
            }
            Metric::TaskLastSuccess => {
                if let Some(at) = self.last_success {
                    family.series(&labels, at);
                }
                return;
            }
            Metric::TaskReady => Some(u64::from(self.ready)),
            Metric::TaskSize => self.bytes_total,
            Metric::TaskCopied => self.bytes_done,
            Metric::TaskObjects => self.objects_total,
            Metric::TaskSpeed => self.bytes_per_second,
            _ => None,
        };
        if let Some(number) = number {
            family.series(&labels, number);
        }
    }
}
