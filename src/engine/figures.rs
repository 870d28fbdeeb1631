//! How things stand, for metrics: looked up when somebody asks, and kept nowhere.

use std::collections::{BTreeMap, HashSet};
use std::sync::Mutex;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::ResourceExt;
use kube::runtime::reflector::Store;

use super::connection::AnyConnection;
use super::session::key_of;
use super::watched::Sight;
use super::{Cached, Engine, lock};
use crate::api::conditions::types;
use crate::api::{Phase, SyncEvent, TransferStatus};
use crate::plan::seen::{Counters, RemoteId, RemoteState};
use crate::plan::situation;
use crate::plan::wish::Kind;
use crate::telemetry::metrics::{
    Budget, ConnectionState, Handled, ObjectState, Running, Snapshot, Synchronized, Waiting,
};

/// The kind that has nothing of its own at OMS.
const SYNC_EVENT: &str = "SyncEvent";

/// When the last object of a kind succeeded: it may be gone since.
#[derive(Default)]
pub(super) struct LastSuccess(Mutex<BTreeMap<&'static str, Timestamp>>);

impl LastSuccess {
    /// One succeeded then.
    pub(super) fn note(&self, kind: &'static str, at: Timestamp) {
        let mut last = lock(&self.0);
        let last = last.entry(kind).or_insert(at);
        *last = at.max(*last);
    }

    fn all(&self) -> BTreeMap<&'static str, f64> {
        lock(&self.0).iter().map(|(kind, at)| (*kind, seconds(*at))).collect()
    }
}

/// What a connection is called in metrics.
pub(super) fn label(namespace: Option<&str>, name: &str) -> String {
    match namespace {
        Some(namespace) => format!("{namespace}/{name}"),
        None => name.to_owned(),
    }
}

impl Engine {
    /// How things stand now, the queues of passes left out.
    pub fn snapshot(&self, per_object: bool) -> Snapshot {
        let line = |kind| {
            let now = self.clock.now();
            let lines = self.projects.all().into_iter().map(|project| project.of(kind).queue.line(now));
            lines.fold(Waiting::default(), Waiting::and)
        };
        let mut snapshot = Snapshot {
            lines: Kind::ALL.map(|kind| (kind.as_str(), line(kind))).to_vec(),
            running: [Kind::MigrationTask, Kind::TaskGroup]
                .map(|kind| (kind.as_str(), self.running(kind)))
                .to_vec(),
            synchronized: self.synchronized(),
            connections: self.connection_states(),
            ..Snapshot::default()
        };
        self.stores.each(|object| self.add_object(&mut snapshot, &object, per_object));
        for event in self.stores.sync_events.iter().flat_map(Store::state) {
            if let Ok(event) = &event.0 {
                self.add_sync_event(&mut snapshot, event, per_object);
            }
        }
        let projects = self.projects.all();
        let synchronizing = projects.iter().filter_map(|project| project.of(Kind::SyncTask).synchronizing());
        if let Some(at) = synchronizing.max() {
            self.last_success.note(Kind::SyncTask.as_str(), at);
        }
        snapshot.last_success = self.last_success.all();
        snapshot
    }

    /// The series of connections that are gone are of no use any more; one that a clean-up needs is still called.
    pub(super) fn forget_connections(&self) {
        let stored = self.stores.connections.iter().flat_map(Store::state);
        let mut names: HashSet<_> =
            stored.map(|found| label(found.namespace().as_deref(), &found.name_any())).collect();
        let cluster = self.stores.cluster_connections.iter().flat_map(Store::state);
        names.extend(cluster.map(|found| found.name_any()));
        self.sessions.each(|session| {
            names.insert(label(session.namespace.as_deref(), &session.pinned.name));
        });
        self.metrics.retain_connections(|name| names.contains(name));
    }

    fn add_object(&self, snapshot: &mut Snapshot, object: &Cached<'_>, per_object: bool) {
        let Some(status) = object.status else { return };
        let kind = object.kind.as_str();
        count(snapshot, kind, status.phase, &status.conditions);
        let last_success = last_success(status);
        if let Some(at) = last_success {
            self.last_success.note(kind, at);
        }
        if per_object {
            let mut state = ObjectState {
                kind,
                namespace: object.meta.namespace.clone().unwrap_or_default(),
                name: object.meta.name.clone().unwrap_or_default(),
                phase: status.phase.map(Phase::as_str),
                ready: is_ready(&status.conditions),
                last_success: last_success.map(seconds),
                ..ObjectState::default()
            };
            self.add_numbers(&mut state, object.kind, status);
            snapshot.objects.push(state);
        }
    }

    /// What OMS said last is more exact than the status, which is written at steps.
    fn add_numbers(&self, state: &mut ObjectState, kind: Kind, status: &TransferStatus) {
        if let Some(progress) = &status.progress {
            let objects = &progress.objects;
            state.bytes_total = Some(progress.bytes.total);
            state.bytes_done = Some(progress.bytes.done);
            state.objects_total = Some(objects.total);
            state.handled = Some(Handled {
                succeeded: objects.succeeded,
                failed: objects.failed,
                skipped: objects.skipped,
            });
            state.bytes_per_second = Some(progress.bytes_per_second);
        }
        if let Some(month) = &status.statistics {
            state.bytes_done = Some(month.bytes);
            state.objects_total = Some(month.requested);
            state.handled =
                Some(Handled { succeeded: month.succeeded, failed: month.failed, skipped: month.skipped });
        }
        let (Some(id), Some(pinned)) = (&status.task_id, &status.connection) else { return };
        let Some(project) = self.projects.find(&key_of(pinned)) else { return };
        let Some((Sight::Task(task), at)) = project.of(kind).sight(&RemoteId::from(id.clone())) else {
            return;
        };
        if let Some(month) = &task.month {
            state.bytes_done = Some(month.bytes);
            state.objects_total = Some(month.requested);
            state.handled =
                Some(Handled { succeeded: month.succeeded, failed: month.failed, skipped: month.skipped });
        }
        if task.state == RemoteState::Synchronizing {
            state.last_success = Some(seconds(at));
        }
        // OMS says nothing of some groups; the status has the sum of their tasks.
        if kind != Kind::SyncTask && (task.counters.total > 0 || status.progress.is_none()) {
            let counters = &task.counters;
            state.bytes_total = Some(counters.bytes_total);
            state.bytes_done = Some(counters.bytes_done);
            state.objects_total = Some(counters.total);
            state.handled = Some(handled(counters));
            state.bytes_per_second =
                Some(if task.state == RemoteState::Running { counters.bytes_per_second } else { 0 });
            state.remaining = counters.remaining.filter(|_| task.state == RemoteState::Running);
        }
    }

    fn add_sync_event(&self, snapshot: &mut Snapshot, event: &SyncEvent, per_object: bool) {
        let Some(status) = &event.status else { return };
        count(snapshot, SYNC_EVENT, status.phase, &status.conditions);
        let succeeded = status.phase == Some(Phase::Succeeded);
        let at = status.finished_at.as_ref().filter(|_| succeeded).map(|at| at.0);
        if let Some(at) = at {
            self.last_success.note(SYNC_EVENT, at);
        }
        if per_object {
            let number = |number: Option<i64>| number.and_then(|number| u64::try_from(number).ok());
            snapshot.objects.push(ObjectState {
                kind: SYNC_EVENT,
                namespace: event.namespace().unwrap_or_default(),
                name: event.name_any(),
                phase: status.phase.map(Phase::as_str),
                ready: is_ready(&status.conditions),
                objects_total: number(status.total),
                handled: number(status.accepted).map(|succeeded| Handled { succeeded, ..Handled::default() }),
                last_success: at.map(seconds),
                ..ObjectState::default()
            });
        }
    }

    /// Sums over the tasks of a kind that were running when they were seen last: exact, while status is written at steps.
    fn running(&self, kind: Kind) -> Running {
        let mut sums = Running::default();
        for task in self.projects.all().iter().flat_map(|project| project.of(kind).running()) {
            sums.tasks += 1;
            sums.bytes_total += task.bytes_total;
            sums.bytes_done += task.bytes_done;
            sums.objects_total += task.total;
            sums.handled.succeeded += task.succeeded;
            sums.handled.failed += task.failed;
            sums.handled.skipped += task.skipped;
            sums.bytes_per_second += task.bytes_per_second;
            sums.remaining = sums.remaining.max(task.remaining.unwrap_or_default());
        }
        sums
    }

    /// Sums over what the watched sync tasks had counted in the month when they were asked last.
    fn synchronized(&self) -> Synchronized {
        let mut sums = Synchronized::default();
        for month in self.projects.all().iter().flat_map(|project| project.of(Kind::SyncTask).months()) {
            sums.requested += month.requested;
            sums.handled.succeeded += month.succeeded;
            sums.handled.failed += month.failed;
            sums.handled.skipped += month.skipped;
            sums.bytes += month.bytes;
        }
        sums
    }

    fn connection_states(&self) -> Vec<ConnectionState> {
        let connections = self.stores.connections.iter().flat_map(Store::state);
        let mut states: Vec<_> =
            connections.filter_map(|found| Some(self.connection_state(found.0.as_ref().ok()?))).collect();
        let cluster = self.stores.cluster_connections.iter().flat_map(Store::state);
        states.extend(cluster.filter_map(|found| Some(self.connection_state(found.0.as_ref().ok()?))));
        states.sort_by(|one, other| one.name.cmp(&other.name));
        states
    }

    fn connection_state<K: AnyConnection>(&self, connection: &K) -> ConnectionState {
        let status = connection.stored();
        let credentials = status.and_then(|status| status.credentials.as_ref());
        let session = connection.uid().and_then(|uid| self.sessions.get(&uid));
        let budget = session.map(|session| {
            let now = session.project.budget.standing();
            Budget { left: now.left, rate: now.rate, waiting: now.waiting }
        });
        ConnectionState {
            name: label(connection.namespace().as_deref(), &connection.name_any()),
            ready: status.is_some_and(|status| is_ready(&status.conditions)),
            expiry: credentials
                .and_then(|credentials| credentials.valid_until.as_ref())
                .map(|until| seconds(until.0)),
            budget,
        }
    }
}

fn count(snapshot: &mut Snapshot, kind: &'static str, phase: Option<Phase>, conditions: &[Condition]) {
    if let Some(phase) = phase {
        *snapshot.phases.entry((kind, phase.as_str())).or_default() += 1;
    }
    if situation::find(conditions, types::PAUSED).is_some() {
        *snapshot.paused.entry(kind).or_default() += 1;
    }
}

/// When the last run ended that succeeded.
pub(super) fn last_success(status: &TransferStatus) -> Option<Timestamp> {
    let present = (status.phase, status.finished_at.as_ref());
    let former = status.history.iter().map(|run| (Some(run.phase), run.finished_at.as_ref()));
    let at = |(phase, at): (Option<Phase>, Option<&Time>)| at.map(|at| at.0).filter(|_| succeeded(phase));
    std::iter::once(present).chain(former).filter_map(at).max()
}

fn succeeded(phase: Option<Phase>) -> bool {
    matches!(phase, Some(Phase::Succeeded | Phase::SucceededWithFailures))
}

fn is_ready(conditions: &[Condition]) -> bool {
    situation::find(conditions, types::READY).is_some_and(|ready| ready.status == "True")
}

fn handled(counters: &Counters) -> Handled {
    Handled { succeeded: counters.succeeded, failed: counters.failed, skipped: counters.skipped }
}

fn seconds(at: Timestamp) -> f64 {
    at.as_millisecond() as f64 / 1000.0
}
