//! What has to be there before a replica can be of use. What may come right without a restart is waited for: told in one line,
//! and not ready meanwhile.

use std::time::Duration;

use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, Client, ResourceExt};
use tokio_util::sync::CancellationToken;

use super::chain;
use super::definitions::{self, Verdict, some};
use super::obstacle::Obstacle;
use crate::config::{Config, Watch};
use crate::engine::denied;
use crate::telemetry::Health;

/// The first pause between two looks.
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// The longest.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// How long a look may take.
const LIMIT: Duration = Duration::from_secs(15);

/// Waits until everything is there, and answers with the cluster's ID; `None` when `stop` came first.
pub(super) async fn prepare(
    config: &Config,
    client: &Client,
    health: &Health,
    stop: &CancellationToken,
) -> Option<String> {
    let (mut obstacle, mut pause) = (Obstacle::new("start"), FIRST_PAUSE);
    loop {
        let found = tokio::select! {
            found = tokio::time::timeout(LIMIT, look(config, client)) => found,
            () = stop.cancelled() => return None,
        };
        let wanting = match found {
            Ok(Ok(cluster_id)) => {
                if obstacle.clear(health) {
                    tracing::info!("what was missing is there, going on");
                }
                return Some(cluster_id);
            }
            Ok(Err(wanting)) => wanting,
            Err(_) => "the API server does not answer in time".to_owned(),
        };
        obstacle.tell(health, wanting);
        tokio::select! {
            () = tokio::time::sleep(pause) => pause = (pause * 2).min(LONGEST_PAUSE),
            () = stop.cancelled() => return None,
        }
    }
}

/// The cluster's ID, or what is missing.
async fn look(config: &Config, client: &Client) -> Result<String, String> {
    match definitions::compare(client, &config.watch).await {
        Ok(Verdict::Fit) => {}
        Ok(Verdict::Newer(parts)) => tracing::warn!(
            parts = some(&parts),
            "the custom resource definitions are newer than this operator: what they have more is ignored"
        ),
        Ok(Verdict::Lack { kinds, parts }) => {
            let version = env!("CARGO_PKG_VERSION");
            let what = if kinds.is_empty() {
                let parts = some(&parts);
                format!(
                    "the custom resource definitions are older than this operator ({version}): {parts} would get lost"
                )
            } else {
                format!("the custom resource definitions of {} are not installed", some(&kinds))
            };
            return Err(format!(
                "{what}. Install those of this version: `oms-operator crds | kubectl apply --server-side \
                 --force-conflicts -f -`, or `crds.install=true` of the chart"
            ));
        }
        Err(error) if denied(&error).is_some() => {
            tracing::warn!(error = chain(&error), "the custom resource definitions cannot be compared");
        }
        Err(error) => return Err(format!("the API server cannot be asked: {}", chain(&error))),
    }
    match &config.cluster_id {
        Some(id) => Ok(id.clone()),
        None => cluster_id(client).await,
    }
}

async fn cluster_id(client: &Client) -> Result<String, String> {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    match namespaces.get_metadata("kube-system").await {
        Ok(system) => Ok(system.uid().unwrap_or_default()),
        Err(error) => Err(format!(
            "the UID of namespace kube-system, the cluster's ID, cannot be read: {}. Allow it, or set --cluster-id",
            chain(&error)
        )),
    }
}

/// Says for whom the operator works; what lies elsewhere gets no answer from it.
pub(super) fn announce(watch: &Watch) {
    let namespaces = match watch {
        Watch::All => "all".to_owned(),
        Watch::Namespaces(names) => names.iter().map(String::as_str).collect::<Vec<_>>().join(", "),
    };
    tracing::info!(namespaces, "objects of these namespaces are looked after");
}
