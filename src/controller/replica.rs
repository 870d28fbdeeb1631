//! The life of a replica: what it needs, the wait for the lease, the work, the end.

use std::time::Duration;

use kube::Client;
use tokio_util::sync::CancellationToken;

use super::namespaces::{Namespaces, Taken};
use super::others::Others;
use super::{Error, cluster, lead, start};
use crate::config::{Config, Watch};
use crate::leader::{Candidacy, Claim, Leadership};
use crate::telemetry::{Health, Metrics, http};

/// How long passes that are under way may keep the lease once the end was asked for. The successor is to lead within two
/// seconds, and looks every half. What is in flight then needs no lease any more: its answer goes into a status that nobody
/// has changed, or is found by the successor.
const HAND_OVER: Duration = Duration::from_secs(1);

/// Runs the controller until `stop` is cancelled.
pub async fn run(config: Config, stop: CancellationToken) -> Result<(), Error> {
    let client = cluster::client().await.map_err(|error| {
        let with = std::env::var("KUBECONFIG").map_or_else(
            |_| "the kubeconfig of the home folder, or the pod's service account".to_owned(),
            |path| format!("KUBECONFIG {path}"),
        );
        Error::Client { with, source: error.into() }
    })?;
    let (metrics, health) = (Metrics::new(), Health::new());
    let address = config.metrics_listen;
    let bound = http::serve(address, metrics.clone(), health.clone())
        .await
        .map_err(|source| Error::Listen { address, source })?;
    tracing::info!(address = %bound, "serving health and metrics");
    start::announce(&config.watch);
    metrics.set_leader(false);
    let Some(cluster_id) = start::prepare(&config, &client, &health, &stop).await else { return Ok(()) };
    let (mut others, mut namespaces) = neighbours(&config, &client);
    let election = take_the_lead(&config, &client, others.as_mut(), &health, &stop);
    let Some((leadership, claim)) = election.await else { return Ok(()) };
    let free = tokio::select! {
        free = namespaces.wait(&health, &stop) => Ok(free),
        () = claim.lost() => Err(Error::LeaseLost),
    };
    if !matches!(free, Ok(true)) {
        health.set_unready();
        leadership.release().await;
        return free.map(|_| ());
    }
    metrics.set_leader(true);
    let work = lead(
        &config,
        client,
        (metrics.clone(), health.clone()),
        bound,
        (claim.clone(), cluster_id, stop.clone()),
    );
    tokio::pin!(work);
    let asked = async {
        stop.cancelled().await;
        health.set_unready();
        tokio::time::sleep(HAND_OVER).await;
    };
    let result = tokio::select! {
        result = &mut work => result,
        () = claim.lost() => Err(Error::LeaseLost),
        Taken { namespace, by } = namespaces.keep() => Err(Error::NamespaceTaken { namespace, by }),
        () = newcomers(others.as_mut()) => unreachable!("it looks for ever"),
        () = asked => {
            leadership.release().await;
            yielded(&metrics);
            return work.await;
        }
    };
    health.set_unready();
    yielded(&metrics);
    leadership.release().await;
    result
}

/// What tells of other installs: their leases elsewhere, for who works for the whole cluster and may look at them, or leases
/// in the namespaces of a list. Nobody is told of without an election.
fn neighbours(config: &Config, client: &Client) -> (Option<Others>, Namespaces) {
    let Some(election) = &config.leader_election else { return (None, Namespaces::none()) };
    let others = (config.watch == Watch::All).then(|| Others::new(client.clone(), election));
    (others, Namespaces::new(client, &config.watch, election))
}

async fn newcomers(others: Option<&mut Others>) {
    match others {
        Some(others) => others.tell_of_newcomers().await,
        None => std::future::pending().await,
    }
}

/// The successor tells how things stand from here on.
fn yielded(metrics: &Metrics) {
    metrics.set_source(None);
    metrics.set_leader(false);
}

/// Waits until we lead; `None` when `stop` came first.
async fn take_the_lead(
    config: &Config,
    client: &Client,
    mut others: Option<&mut Others>,
    health: &Health,
    stop: &CancellationToken,
) -> Option<(Leadership, Claim)> {
    let Some(election) = &config.leader_election else {
        let alone = Leadership::alone();
        let claim = alone.claim();
        return Some((alone, claim));
    };
    loop {
        if let Some(others) = &mut others
            && !others.wait(health, stop).await
        {
            return None;
        }
        let leadership = Leadership::campaign(
            client.clone(),
            Candidacy {
                namespace: election.namespace.clone(),
                name: election.name.clone(),
                identity: config.identity.clone(),
                timings: election.timings,
            },
        );
        let claim = leadership.claim();
        // A replica that waits for the lease, and could take it, is ready: a rolling update waits for it.
        let waits = claim.waits(|trouble| {
            if let Some(why) = trouble {
                health.hinder("lease", why, None);
            } else {
                health.clear("lease");
                health.set_ready();
            }
        });
        let led = tokio::select! {
            () = waits => true,
            () = stop.cancelled() => false,
        };
        health.clear("lease");
        if led
            && let Some(others) = &mut others
            && others.have_come().await
        {
            leadership.release().await;
            Others::step_aside().await;
            continue;
        }
        if led {
            return Some((leadership, claim));
        }
        health.set_unready();
        leadership.release().await;
        return None;
    }
}
