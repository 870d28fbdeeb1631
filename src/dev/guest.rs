//! Being a guest in a cluster that somebody else runs: nothing of theirs is touched, and what we
//! brought goes with us.

use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use kube::{Api, Client, ResourceExt};
use serde_json::json;

use super::error::{Context, Error, Result};
use super::stack::{CONNECTION, MANAGED_BY, NAMESPACE, SECRETS};
use crate::api::{self, Connection, MigrationTask};

/// How long the operator gets to finish deletions.
const CLEANUP_LIMIT: Duration = Duration::from_secs(30);

/// What was there when we came.
pub struct Guest {
    client: Client,
    brought_definitions: bool,
}

impl Guest {
    /// Looks around, before anything is applied. Refuses when our names are taken.
    pub async fn arrive(client: &Client) -> Result<Self> {
        let definitions = Api::<CustomResourceDefinition>::all(client.clone());
        let mut present = 0;
        for definition in api::crds() {
            let there = definitions.get_opt(&definition.name_any()).await;
            present += usize::from(there.context("Could not look for the definitions")?.is_some());
        }
        let guest = Self { client: client.clone(), brought_definitions: present == 0 };
        let taken = |kind: &str, name: &str| {
            Error::new(format!(
                "The cluster has {kind} `{name}` in namespace `{NAMESPACE}` already; use another cluster, or none \
                 (without CLUSTER=current)"
            ))
        };
        let secrets = Api::<Secret>::namespaced(client.clone(), NAMESPACE);
        for name in SECRETS {
            let there = secrets.get_opt(name).await.context("Could not look for Secrets")?;
            if there.is_some_and(|secret| !is_ours(&secret)) {
                return Err(taken("Secret", name));
            }
        }
        if !guest.brought_definitions {
            let there = guest.connections().get_opt(CONNECTION).await;
            if there
                .context("Could not look for Connections")?
                .is_some_and(|connection| !is_ours(&connection))
            {
                return Err(taken("Connection", CONNECTION));
            }
        }
        Ok(guest)
    }

    fn connections(&self) -> Api<Connection> {
        Api::namespaced(self.client.clone(), NAMESPACE)
    }

    /// Deletes what we brought: the migrations that went to our OMS at `endpoint`, the Connection, the
    /// Secrets, and the definitions when nobody had them before.
    pub async fn leave(self, endpoint: Option<&str>) -> Result<()> {
        // No definitions yet means that we were stopped before bringing anything.
        let tasks = Api::<MigrationTask>::all(self.client.clone());
        if let Ok(all) = tasks.list(&ListParams::default()).await {
            let ours: Vec<MigrationTask> = all
                .into_iter()
                .filter(|task| self.brought_definitions || belongs_to(task, endpoint))
                .collect();
            self.delete_tasks(&ours).await?;
        }
        let label = ListParams::default().labels(&format!("{}={}", MANAGED_BY.0, MANAGED_BY.1));
        let now = DeleteParams::default();
        // Absent definitions again.
        let _ = self.connections().delete_collection(&now, &label).await;
        Api::<Secret>::namespaced(self.client.clone(), NAMESPACE)
            .delete_collection(&now, &label)
            .await
            .context("Could not delete the Secrets")?;
        if self.brought_definitions {
            let definitions = Api::<CustomResourceDefinition>::all(self.client.clone());
            for definition in api::crds() {
                let _ = definitions.delete(&definition.name_any(), &now).await;
            }
        }
        Ok(())
    }

    async fn delete_tasks(&self, tasks: &[MigrationTask]) -> Result<()> {
        let namespaced = |task: &MigrationTask| {
            Api::<MigrationTask>::namespaced(self.client.clone(), &task.namespace().unwrap_or_default())
        };
        for task in tasks {
            let _ = namespaced(task).delete(&task.name_any(), &DeleteParams::default()).await;
        }
        let deadline = Instant::now() + CLEANUP_LIMIT;
        for task in tasks {
            let (api, name) = (namespaced(task), task.name_any());
            loop {
                let there = api.get_opt(&name).await.context("Could not look for the migrations")?;
                if there.is_none() {
                    break;
                }
                if Instant::now() >= deadline {
                    // The OMS behind it ends with us, so nothing is left there to hold it for.
                    let released = json!({ "metadata": { "finalizers": null } });
                    let _ = api.patch(&name, &PatchParams::default(), &Patch::Merge(released)).await;
                    break;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
        Ok(())
    }
}

fn is_ours(object: &impl ResourceExt) -> bool {
    object.labels().get(MANAGED_BY.0).is_some_and(|value| value == MANAGED_BY.1)
}

fn belongs_to(task: &MigrationTask, endpoint: Option<&str>) -> bool {
    let pinned = task.status.as_ref().and_then(|status| status.connection.as_ref());
    pinned.is_some_and(|pinned| {
        endpoint.is_some_and(|ours| pinned.endpoint.trim_end_matches('/') == ours.trim_end_matches('/'))
    })
}
