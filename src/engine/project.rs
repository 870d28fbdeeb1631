//! What all objects of one project at one endpoint share: the request budget and the views of its tasks.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::findings::Findings;
use super::watched::Watched;
use crate::oms;
use crate::plan::queue::{Limits, Quota};
use crate::plan::wish::Kind;

/// Endpoint and project ID.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct ProjectKey {
    /// Address of OMS.
    pub(super) endpoint: String,
    /// Project.
    pub(super) project_id: String,
}

/// All projects in use.
#[derive(Default)]
pub(super) struct Projects(Mutex<HashMap<ProjectKey, Arc<Project>>>);

impl Projects {
    /// The project of an endpoint; made when it is new.
    pub(super) fn get(&self, key: &ProjectKey) -> Arc<Project> {
        let mut projects = lock(&self.0);
        Arc::clone(projects.entry(key.clone()).or_insert_with(|| Arc::new(Project::new(key.clone()))))
    }

    /// Every project.
    pub(super) fn all(&self) -> Vec<Arc<Project>> {
        lock(&self.0).values().cloned().collect()
    }
}

/// One project at one endpoint.
pub(super) struct Project {
    key: ProjectKey,
    /// The request budget of all calls.
    pub(super) budget: oms::Budget,
    /// Clients of the connections that joined after their own keys worked, by connection UID, with their rate and what
    /// they say of quotas.
    clients: Mutex<HashMap<String, (oms::Client, f64, Limits)>>,
    /// What OMS's checks found.
    pub(super) findings: Findings,
    migration_tasks: Watched,
    task_groups: Watched,
    sync_tasks: Watched,
}

impl Project {
    fn new(key: ProjectKey) -> Self {
        Self {
            key,
            budget: oms::Budget::new(DEFAULT_RATE),
            clients: Mutex::default(),
            findings: Findings::default(),
            migration_tasks: Watched::default(),
            task_groups: Watched::default(),
            sync_tasks: Watched::default(),
        }
    }

    /// Endpoint and project ID.
    pub(super) fn key(&self) -> &ProjectKey {
        &self.key
    }

    /// The tasks of a kind.
    pub(super) fn of(&self, kind: Kind) -> &Watched {
        match kind {
            Kind::MigrationTask => &self.migration_tasks,
            Kind::TaskGroup => &self.task_groups,
            Kind::SyncTask => &self.sync_tasks,
        }
    }

    /// A connection whose own keys listed this project joins; the rate is the minimum of the joined.
    pub(super) fn join(&self, connection: &str, client: oms::Client, (rate, limits): (f64, Limits)) {
        let mut clients = lock(&self.clients);
        clients.insert(connection.to_owned(), (client, rate, limits));
        let rate = clients.values().map(|(_, rate, _)| *rate).fold(f64::INFINITY, f64::min);
        drop(clients);
        self.budget.set_rate(rate);
    }

    /// A connection leaves: it is gone, or its keys no longer work.
    pub(super) fn leave(&self, connection: &str) {
        lock(&self.clients).remove(connection);
    }

    /// What the account may create of a kind: the minimum of what the joined connections say.
    pub(super) fn quota(&self, kind: Kind) -> Quota {
        let clients = lock(&self.clients);
        let limits = clients.values().map(|(_, _, limits)| *limits).reduce(Limits::stricter);
        limits.unwrap_or_default().of(kind)
    }

    /// The clients that may look at the project, by connection UID.
    pub(super) fn clients(&self) -> Vec<(String, oms::Client)> {
        lock(&self.clients)
            .iter()
            .map(|(connection, (client, ..))| (connection.clone(), client.clone()))
            .collect()
    }
}

/// Requests per second when no connection says otherwise.
pub(super) const DEFAULT_RATE: f64 = 20.0;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
