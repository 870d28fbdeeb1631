//! Other operators in the cluster. Two that work for all namespaces would answer the same objects, each by its own settings:
//! statuses would go back and forth. So one that works for the whole cluster waits as long as another holds a lease elsewhere.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::chain;
use super::obstacle::Obstacle;
use crate::config::{LEASE_NAME, LeaderElection, NAMESPACE_LEASE};
use crate::engine::denied;
use crate::telemetry::Health;

/// The leases that others may hold: of the replicas of an install, and of one that works for a list of namespaces.
const NAMES: [&str; 2] = [LEASE_NAME, NAMESPACE_LEASE];

/// Between two looks while we lead.
const ROUND: Duration = Duration::from_secs(10);

/// Between two looks.
const PAUSE: Duration = Duration::from_secs(1);

/// How long a lease lasts that does not say it.
const LASTS: Duration = Duration::from_secs(15);

/// What is known of the leases of others.
pub(super) struct Others {
    leases: Api<Lease>,
    /// Namespace and name of our own lease.
    own: (String, String),
    seen: HashMap<(String, String), Seen>,
    obstacle: Obstacle,
    /// The newcomer that was told last.
    told: Option<String>,
}

struct Seen {
    version: Option<String>,
    /// When it was first seen in this version.
    since: Instant,
    /// Whether it has changed since we look.
    renewed: bool,
}

/// A lease that somebody else holds.
struct Other {
    namespace: String,
    holder: String,
    renewed: bool,
}

impl Others {
    /// For an operator with a lease of its own.
    pub(super) fn new(client: Client, own: &LeaderElection) -> Self {
        let own = (own.namespace.clone(), own.name.clone());
        Self {
            leases: Api::all(client),
            own,
            seen: HashMap::new(),
            obstacle: Obstacle::new("others"),
            told: None,
        }
    }

    /// Waits until no other operator works; `false` when `stop` came first.
    pub(super) async fn wait(&mut self, health: &Health, stop: &CancellationToken) -> bool {
        loop {
            let why = match self.look().await {
                Ok(others) => match others.iter().max_by_key(|other| other.renewed) {
                    None => {
                        self.obstacle.clear(health);
                        return true;
                    }
                    Some(Other { namespace, holder, renewed: true }) => format!(
                        "another operator, {holder} in namespace {namespace}, works in this cluster, and this one would \
                         work for all of it: uninstall one of them, or name namespaces to each (`watchNamespaces`)"
                    ),
                    // It may have gone without giving it back.
                    Some(other) => {
                        format!("waiting whether the lease in namespace {} is renewed", other.namespace)
                    }
                },
                Err(error) if denied(&error).is_some() => {
                    tracing::warn!(error = chain(&error), "cannot see whether another operator works here");
                    return true;
                }
                Err(error) => format!("cannot see whether another operator works here: {}", chain(&error)),
            };
            self.obstacle.tell(health, why);
            tokio::select! {
                () = tokio::time::sleep(PAUSE) => {}
                () = stop.cancelled() => return false,
            }
        }
    }

    /// Whether another operator took its lease while we took ours. Each looks after it took its own, so at least one of
    /// them sees the other.
    pub(super) async fn have_come(&mut self) -> bool {
        self.look().await.is_ok_and(|others| !others.is_empty())
    }

    /// Tells, for as long as it is awaited, of operators that have come although we lead: those that work for a list of
    /// namespaces and cannot see us.
    pub(super) async fn tell_of_newcomers(&mut self) {
        loop {
            tokio::time::sleep(ROUND).await;
            let Ok(others) = self.look().await else { continue };
            let Some(Other { namespace, holder, .. }) = others.first() else { continue };
            let why = format!(
                "another operator, {holder} in namespace {namespace}, works in this cluster too, and statuses of the objects \
                 for which both work go back and forth: uninstall one of them, or name namespaces to each \
                 (`watchNamespaces`)"
            );
            if self.told.as_ref() != Some(&why) {
                tracing::error!(error = why, "two operators work for the same objects");
                self.told = Some(why);
            }
        }
    }

    /// Lets some time pass, another one for everybody.
    pub(super) async fn step_aside() {
        let chance = RandomState::new().hash_one(()) % 2_000;
        tokio::time::sleep(Duration::from_millis(chance)).await;
    }

    /// Leases that others hold and that have not run out while we looked.
    async fn look(&mut self) -> Result<Vec<Other>, kube::Error> {
        let mut found = Vec::new();
        for name in NAMES {
            // One name at a time: that is all that a right to some names allows.
            let named = ListParams::default().fields(&format!("metadata.name={name}"));
            found.extend(self.leases.list(&named).await?);
        }
        let mut others = Vec::new();
        for lease in found {
            let (namespace, version) = (lease.namespace().unwrap_or_default(), lease.resource_version());
            let key = (namespace.clone(), lease.name_any());
            let spec = lease.spec.unwrap_or_default();
            let holder = spec.holder_identity.filter(|holder| !holder.is_empty());
            let Some(holder) = holder.filter(|_| key != self.own) else { continue };
            let lasts = spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
            let lasts = lasts.map_or(LASTS, Duration::from_secs);
            let (before, now) = (self.seen.get(&key), Instant::now());
            let same = before.filter(|seen| seen.version == version);
            let (since, renewed) = match (same, before) {
                (Some(same), _) => (same.since, same.renewed),
                (None, before) => (now, before.is_some()),
            };
            self.seen.insert(key, Seen { version, since, renewed });
            if now.saturating_duration_since(since) <= lasts {
                others.push(Other { namespace, holder, renewed });
            }
        }
        Ok(others)
    }
}
