//! What all objects of one project at one endpoint share: the request budget and the views of its tasks.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

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

    /// The project of an endpoint, if it is in use.
    pub(super) fn find(&self, key: &ProjectKey) -> Option<Arc<Project>> {
        lock(&self.0).get(key).cloned()
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
    /// One connection after another tries whether its keys list the project.
    pub(super) trying: tokio::sync::Mutex<()>,
    /// Connections whose keys did not, although objects of theirs are here.
    turned_away: Mutex<HashMap<String, TurnedAway>>,
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
            trying: tokio::sync::Mutex::default(),
            turned_away: Mutex::default(),
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
        self.keep_rate(&clients);
    }

    /// A connection leaves: it is gone, leads elsewhere, or its keys no longer work.
    pub(super) fn leave(&self, connection: &str) {
        let mut clients = lock(&self.clients);
        if clients.remove(connection).is_some() {
            self.keep_rate(&clients);
        }
    }

    /// Who calls on when nobody is joined any more keeps to the last rate.
    fn keep_rate(&self, clients: &HashMap<String, (oms::Client, f64, Limits)>) {
        if let Some(rate) = clients.values().map(|(_, rate, _)| *rate).reduce(f64::min) {
            self.budget.set_rate(rate);
        }
    }

    /// Whether a connection has joined.
    pub(super) fn has_joined(&self, connection: &str) -> bool {
        lock(&self.clients).contains_key(connection)
    }

    /// Why the keys of a connection do not list the project, by their last try.
    pub(super) fn turned_away(&self, connection: &str) -> Option<TurnedAway> {
        lock(&self.turned_away).get(connection).cloned()
    }

    /// Remembers that the keys of a connection do not list the project.
    pub(super) fn turn_away(&self, connection: &str, turned_away: TurnedAway) {
        lock(&self.turned_away).insert(connection.to_owned(), turned_away);
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

/// A try of a connection that came to nothing.
#[derive(Clone)]
pub(super) struct TurnedAway {
    /// When.
    pub(super) at: Timestamp,
    /// Generation of the connection and version of its Secret.
    pub(super) made_from: (i64, Option<String>),
    /// What OMS said.
    pub(super) why: String,
}

/// Requests per second when no connection says otherwise.
pub(super) const DEFAULT_RATE: f64 = 20.0;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project() -> Project {
        Project::new(ProjectKey { endpoint: "https://oms.example.com".into(), project_id: "p".into() })
    }

    fn join(project: &Project, connection: &str, rate: f64) {
        let settings = oms::Settings::new("https://oms.example.com", "p");
        let credentials = oms::Credentials::keys("AK", "sk".to_owned().into(), None);
        let client = oms::Client::new(settings, credentials, project.budget.clone()).unwrap();
        project.join(connection, client, (rate, Limits::default()));
    }

    /// Regression: the rate of a connection that was gone stayed in force.
    #[test]
    fn the_rate_is_the_smallest_of_those_who_are_joined_now() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let project = project();
        join(&project, "fast", 50.0);
        join(&project, "slow", 2.0);
        assert!((project.budget.rate() - 2.0).abs() < 1e-9);
        project.leave("slow");
        assert!((project.budget.rate() - 50.0).abs() < 1e-9);
        project.leave("fast");
        assert!((project.budget.rate() - 50.0).abs() < 1e-9, "the last clean-up keeps to what was said");
    }
}
