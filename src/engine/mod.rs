//! The one loop: gate, resolve, observe, plan, one act, report.
//!
//! A pass makes at most one mutation and then looks again, so every point at which the process can die lies between
//! two passes. What a pass decides is in [`crate::plan`]; what it does is here, and small.

mod action;
mod audit;
mod cached;
mod claims;
mod clock;
mod connection;
mod elsewhere;
mod error;
mod figures;
mod findings;
mod guard;
mod kubernetes;
mod look;
mod marked;
mod memory;
mod project;
mod queue;
mod remote;
mod resolve;
mod secret_versions;
mod secrets;
mod session;
mod sync_event;
mod sync_tasks;
mod transfer;
mod wake;
mod watched;
mod wire;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kube::runtime::reflector::ObjectRef;

use memory::Memories;
use project::{ProjectKey, Projects};
use session::Sessions;
use sync_event::SyncEvents;

pub use action::Action;
pub use cached::Cached;
pub use clock::Clock;
pub use connection::AnyConnection;
pub use error::{Error, denied};
pub use guard::guarded;
pub use resolve::Stores;
pub use transfer::Transfer;
pub use wake::{Queues, Target, Waker};

use crate::api::{ConnectionKind, MigrationTask, SyncTask, TaskGroup};
use crate::oms;
use crate::plan::cadence::next_poll;
use crate::plan::pause::Pause;
use crate::plan::transfer::Policy;
use crate::plan::wish::Kind;
use crate::telemetry::metrics::NO_CONNECTION;
use crate::telemetry::{Events, Metrics};

/// Says whether an endpoint may be called, or why not.
pub type EndpointPolicy = Arc<dyn Fn(&url::Url) -> Result<(), String> + Send + Sync>;

/// Settings of the engine.
#[derive(Clone)]
pub struct Settings {
    /// What decisions depend on.
    pub policy: Policy,
    /// UID of namespace kube-system, or the configured cluster ID.
    pub cluster_id: String,
    /// Namespace of the Secrets of ClusterConnections.
    pub cluster_resource_namespace: String,
    /// The operator's own namespace, for events that outlive the namespace of their object.
    pub own_namespace: String,
    /// Whether this replica leads; asked right before each mutation.
    pub leads: Arc<dyn Fn() -> bool + Send + Sync>,
    /// Endpoints that may be called.
    pub endpoints: EndpointPolicy,
    /// Which connections may use the operator's own credentials.
    pub ambient_use: AmbientUse,
    /// What the operator finds around itself.
    pub ambient: Arc<oms::Ambient>,
    /// Whether the operator keeps its hands off everything, except for deletions.
    pub paused: bool,
}

/// Which connections may use the credentials that the operator finds around itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AmbientUse {
    /// None.
    Nobody,
    /// ClusterConnections.
    ClusterConnections,
    /// Connections too: whoever may write one acts as the operator at OMS.
    All,
}

/// The last try of a connection.
#[derive(Clone, Debug)]
struct Attempt {
    /// When.
    at: jiff::Timestamp,
    /// Generation of the connection.
    generation: Option<i64>,
    /// Version of its Secret.
    secret_version: Option<String>,
    /// Whether the keys were refused.
    keys_refused: bool,
    /// What was told when it came to nothing.
    refusal: Option<String>,
}

/// Everything that passes share.
pub struct Engine {
    client: kube::Client,
    settings: Settings,
    clock: Clock,
    stores: Stores,
    sessions: Sessions,
    secret_versions: secret_versions::SecretVersions,
    attempts: Mutex<HashMap<String, Attempt>>,
    projects: Projects,
    migration_tasks: Memories<MigrationTask>,
    task_groups: Memories<TaskGroup>,
    sync_tasks: Memories<SyncTask>,
    sync_events: SyncEvents,
    /// Passes in a row that failed on the Kubernetes side, by object UID.
    failures: Mutex<HashMap<String, u32>>,
    last_success: figures::LastSuccess,
    waker: Waker,
    metrics: Metrics,
    events: Events,
}

impl Engine {
    /// An engine.
    pub fn new(
        client: kube::Client,
        settings: Settings,
        clock: Clock,
        stores: Stores,
        waker: Waker,
        (metrics, events): (Metrics, Events),
    ) -> Self {
        Self {
            client,
            settings,
            clock,
            stores,
            sessions: Sessions::default(),
            secret_versions: secret_versions::SecretVersions::default(),
            attempts: Mutex::default(),
            projects: Projects::default(),
            migration_tasks: Memories::default(),
            task_groups: Memories::default(),
            sync_tasks: Memories::default(),
            sync_events: SyncEvents::default(),
            failures: Mutex::default(),
            last_success: figures::LastSuccess::default(),
            waker,
            metrics,
            events,
        }
    }

    /// The clock that waits run on.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Metrics.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Polls every project that has unfinished tasks and whose turn has come, each on its own; one that was never polled at
    /// once.
    pub fn poll(self: &Arc<Self>, interval: Duration) {
        let now = self.clock.now();
        for project in self.projects.all() {
            if project.clients().is_empty() {
                continue;
            }
            for kind in Kind::ALL {
                let ProjectKey { endpoint, project_id } = project.key();
                let next = next_poll(&format!("{endpoint} {project_id} {kind}"), interval, now);
                let Some(round) = project.of(kind).begin_poll(now, next) else { continue };
                let (engine, project) = (Arc::clone(self), Arc::clone(&project));
                tokio::spawn(async move {
                    let polled = look::poll(&engine, &project, kind, round).await;
                    project.of(kind).end_poll();
                    match polled {
                        Ok(looked) => engine.metrics.poll("ok", looked),
                        Err(error) => {
                            engine.metrics.poll("failed", 0);
                            let key = project.key();
                            tracing::warn!(endpoint = key.endpoint, project = key.project_id, error = %error, "polling tasks failed");
                        }
                    }
                });
            }
        }
    }

    /// Forgets what belongs to objects and connections that no longer exist.
    pub fn forget(
        &self,
        object_exists: impl Fn(&str) -> bool,
        connection_exists: impl Fn(ConnectionKind, &str) -> bool,
        connection_needed: impl Fn(&str) -> bool,
    ) {
        lock(&self.attempts).retain(|uid, _| object_exists(uid));
        self.migration_tasks.retain(&object_exists);
        self.task_groups.retain(&object_exists);
        self.sync_tasks.retain(&object_exists);
        self.sync_events.retain(&object_exists);
        for project in self.projects.all() {
            for kind in Kind::ALL {
                project.of(kind).queue.retain(&object_exists);
                project.of(kind).retain(&object_exists);
            }
        }
        lock(&self.failures).retain(|uid, _| object_exists(uid));
        for kind in [ConnectionKind::Connection, ConnectionKind::ClusterConnection] {
            self.sessions.orphan(kind, |uid| connection_exists(kind, uid));
        }
        self.sessions.retain(connection_needed);
        self.forget_connections();
    }

    /// Wakes connections whose finalizer does not fit to whether they are used: the caches lagged behind when they looked.
    pub fn mend_protection(&self) {
        self.stores.mend_protection(&self.waker);
    }

    /// How long a failed pass of an object waits, by how often it failed in a row.
    pub fn backoff(&self, uid: &str) -> Duration {
        let mut failures = lock(&self.failures);
        let failures = failures.entry(uid.to_owned()).or_default();
        *failures = failures.saturating_add(1);
        Duration::from_secs(1_u64 << (*failures).clamp(1, 7).saturating_sub(1)).min(Duration::from_mins(1))
    }

    /// A pass of an object went through.
    pub fn succeeded(&self, uid: &str) {
        lock(&self.failures).remove(uid);
    }

    /// Whether this process has come to a verdict about a connection.
    fn has_tried(&self, connection: &str) -> bool {
        self.attempt(connection).is_some()
    }

    /// The last try of a connection.
    fn attempt(&self, connection: &str) -> Option<Attempt> {
        lock(&self.attempts).get(connection).cloned()
    }

    fn note_attempt(&self, connection: &str, attempt: Attempt) {
        lock(&self.attempts).insert(connection.to_owned(), attempt);
    }

    /// OMS refused the keys of a connection: nobody uses them until its own pass has tried them again.
    fn distrust(&self, connection: &str) {
        let Some(session) = self.sessions.get(connection).filter(|session| session.usable) else { return };
        self.sessions.mark_unusable(connection);
        let pinned = &session.pinned;
        self.waker.wake_connection(pinned.kind, &pinned.name, session.namespace);
    }

    /// Whether this replica leads: asked right before each write, as a look may have taken long, and a process that was
    /// frozen does not know.
    fn must_lead(&self) -> Result<(), Error> {
        if (self.settings.leads)() { Ok(()) } else { Err(Error::NotLeading) }
    }

    /// Who keeps the operator's hands off a namespace.
    fn pause(&self, namespace: &str) -> Option<Pause> {
        if self.settings.paused {
            return Some(Pause::Operator);
        }
        let paused = self.stores.paused_namespaces.as_ref()?;
        paused.get(&ObjectRef::new(namespace)).map(|_| Pause::Namespace(namespace.to_owned()))
    }

    /// Counts the calls of a connection.
    fn observer(&self, connection: String) -> oms::CallObserver {
        observer(&self.metrics, connection)
    }

    /// Measures waits for the request budget.
    fn wait_observer(&self) -> oms::WaitObserver {
        let metrics = self.metrics.clone();
        Arc::new(move |urgency, waited| metrics.budget_wait(urgency.as_str(), waited))
    }
}

/// Counts the calls that no connection alone needs.
pub fn ambient_observer(metrics: &Metrics) -> oms::CallObserver {
    observer(metrics, NO_CONNECTION.to_owned())
}

fn observer(metrics: &Metrics, connection: String) -> oms::CallObserver {
    let metrics = metrics.clone();
    Arc::new(move |call: &oms::CallRecord| {
        metrics.oms_call(&connection, call.operation, call.outcome, call.duration);
        if call.unknown_code.is_some() {
            metrics.unknown_code();
        }
    })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
