//! Which install works for a namespace. Installs that have lists of namespaces may not look at each other's leases, so each
//! keeps a lease in every namespace of its list, in the name of the install: where two lists overlap, one works and the
//! other waits and says why.
//!
//! Two that work for the same objects make no second task, as one claim wins. But their statuses would go back and forth, and
//! with different cluster IDs each would take the tasks of the other for foreign ones. So a lease that cannot be had for
//! another reason, such as a namespace that does not exist yet, keeps nobody from working.

use std::time::Duration;

use futures::future::join_all;
use kube::{Api, Client};
use tokio_util::sync::CancellationToken;

use super::chain;
use super::obstacle::Obstacle;
use crate::config::{LeaderElection, NAMESPACE_LEASE, Watch};
use crate::leader::{Record, Round};
use crate::telemetry::Health;

/// How long a lease lasts that is not renewed. Nobody gives it back: between two replicas of an install no other install
/// gets in, and after an uninstall one waits that long.
const LASTS: Duration = Duration::from_secs(30);

/// How often it is renewed.
const RENEWAL: Duration = Duration::from_secs(10);

/// Between two looks of who waits.
const PAUSE: Duration = Duration::from_secs(1);

/// How long a round over all namespaces may take.
const LIMIT: Duration = Duration::from_secs(10);

/// What to do about a namespace of two lists.
pub(super) const REMEDY: &str =
    "uninstall one of them, or take the namespace out of the list of one (`watchNamespaces`)";

/// The leases of the namespaces of a list.
pub(super) struct Namespaces {
    held: Vec<Held>,
}

struct Held {
    namespace: String,
    record: Record,
    /// The last failure that was logged.
    complaint: Option<String>,
}

/// A namespace for which another install works.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) namespace: String,
    /// Namespace and name of the other install.
    pub(super) by: String,
}

impl Namespaces {
    /// Those of an operator that takes part in an election; none where it works for the whole cluster.
    pub(super) fn new(client: &Client, watch: &Watch, election: &LeaderElection) -> Self {
        let Watch::Namespaces(names) = watch else { return Self::none() };
        // All replicas of an install have one name, so that a successor goes on with what it finds.
        let install = format!("{}/{}", election.namespace, election.name);
        let held = names.iter().map(|namespace| {
            let leases = Api::namespaced(client.clone(), namespace);
            let record = Record::new(leases, NAMESPACE_LEASE, &install, LASTS);
            Held { namespace: namespace.clone(), record, complaint: None }
        });
        Self { held: held.collect() }
    }

    /// Nothing is kept.
    pub(super) fn none() -> Self {
        Self { held: Vec::new() }
    }

    /// Waits until no other install works for any of them; `false` when `stop` came first.
    pub(super) async fn wait(&mut self, health: &Health, stop: &CancellationToken) -> bool {
        let mut obstacle = Obstacle::new("namespaces");
        loop {
            let taken = tokio::select! {
                taken = self.round() => taken,
                () = stop.cancelled() => return false,
            };
            let Some(Taken { namespace, by }) = taken else {
                obstacle.clear(health);
                return true;
            };
            let why = format!("another operator, {by}, works for namespace {namespace}: {REMEDY}");
            obstacle.tell(health, why);
            tokio::select! {
                () = tokio::time::sleep(PAUSE) => {}
                () = stop.cancelled() => return false,
            }
        }
    }

    /// Keeps them, and returns when another install has one. That takes a time in which we did not get through to the API
    /// server, or had no right or no namespace for the lease.
    pub(super) async fn keep(&mut self) -> Taken {
        loop {
            if self.held.is_empty() {
                std::future::pending::<()>().await;
            }
            tokio::time::sleep(RENEWAL).await;
            if let Some(taken) = self.round().await {
                return taken;
            }
        }
    }

    /// Takes or renews all of them, and answers with one that another install has.
    async fn round(&mut self) -> Option<Taken> {
        let all = join_all(self.held.iter_mut().map(Held::round));
        let taken = tokio::time::timeout(LIMIT, all).await.unwrap_or_default();
        taken.into_iter().flatten().next()
    }
}

impl Held {
    async fn round(&mut self) -> Option<Taken> {
        match self.record.round().await {
            Ok(Round::Held) => {
                self.complaint = None;
                None
            }
            Ok(Round::HeldByOther) => {
                self.complaint = None;
                let by = self.record.holder().unwrap_or_default().to_owned();
                Some(Taken { namespace: self.namespace.clone(), by })
            }
            // There is nothing in it to work for.
            Err(kube::Error::Api(status)) if status.is_not_found() => None,
            Err(error) => {
                let complaint = chain(&error);
                if self.complaint.as_ref() != Some(&complaint) {
                    tracing::warn!(
                        namespace = self.namespace,
                        error = complaint,
                        "cannot see whether another operator works for this namespace; the operator may have to get, create \
                         and update the lease `{NAMESPACE_LEASE}` in it"
                    );
                    self.complaint = Some(complaint);
                }
                None
            }
        }
    }
}
