//! Being a guest in a cluster that somebody else runs: nothing of theirs is touched, and what we
//! brought goes with us.

use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use kube::{Api, Client, Resource, ResourceExt};
use serde_json::json;

use super::error::{Context, Error, Result};
use super::stack::{CONNECTION, MANAGED_BY, NAMESPACE, SECRETS};
use crate::api::{self, Connection};

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

    /// Deletes what we brought: the objects that went to our OMS at `endpoint`, the Connection, the
    /// Secrets, and the definitions when nobody had them before.
    pub async fn leave(self, endpoint: Option<&str>) -> Result<()> {
        let mut ours = Vec::new();
        for resource in kinds() {
            let objects = Api::<DynamicObject>::all_with(self.client.clone(), &resource);
            // No definitions yet means that we were stopped before bringing anything.
            let Ok(all) = objects.list(&ListParams::default()).await else { continue };
            let brought = |object: &DynamicObject| {
                self.brought_definitions || belongs_to(object, endpoint) || is_event_of(object, &ours)
            };
            let found: Vec<_> = all.into_iter().filter(brought).collect();
            ours.extend(found.into_iter().map(|object| (resource.clone(), object)));
        }
        self.delete(&ours).await?;
        let label = ListParams::default().labels(&format!("{}={}", MANAGED_BY.0, MANAGED_BY.1));
        let now = DeleteParams::default();
        // It goes after the objects that used it; absent definitions again.
        if let Ok(connections) = self.connections().list(&label).await {
            let resource = ApiResource::erase::<Connection>(&());
            let object = |connection: &Connection| DynamicObject {
                types: None,
                metadata: connection.metadata.clone(),
                data: serde_json::Value::Null,
            };
            let ours: Vec<_> =
                connections.iter().map(|connection| (resource.clone(), object(connection))).collect();
            self.delete(&ours).await?;
        }
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

    /// Deletes objects and waits until they are gone.
    async fn delete(&self, objects: &[(ApiResource, DynamicObject)]) -> Result<()> {
        let api_of = |(resource, object): &(ApiResource, DynamicObject)| {
            let namespace = object.namespace().unwrap_or_default();
            Api::<DynamicObject>::namespaced_with(self.client.clone(), &namespace, resource)
        };
        for object in objects {
            let _ = api_of(object).delete(&object.1.name_any(), &DeleteParams::default()).await;
        }
        let deadline = Instant::now() + CLEANUP_LIMIT;
        for object in objects {
            let (api, name) = (api_of(object), object.1.name_any());
            loop {
                let there = api.get_opt(&name).await.context("Could not look for what we brought")?;
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

/// The kinds of objects that use connections.
fn kinds() -> Vec<ApiResource> {
    let connections = Connection::kind(&());
    api::crds()
        .into_iter()
        .filter(|definition| {
            definition.spec.scope == "Namespaced" && definition.spec.names.kind != connections
        })
        .map(|definition| {
            let kind = GroupVersionKind::gvk(api::GROUP, api::VERSION, &definition.spec.names.kind);
            ApiResource::from_gvk_with_plural(&kind, &definition.spec.names.plural)
        })
        .collect()
}

fn is_ours(object: &impl ResourceExt) -> bool {
    object.labels().get(MANAGED_BY.0).is_some_and(|value| value == MANAGED_BY.1)
}

/// Whether it is an event of one of these sync tasks: events have no connection of their own.
fn is_event_of(object: &DynamicObject, tasks: &[(ApiResource, DynamicObject)]) -> bool {
    let named = object.data.pointer("/spec/syncTaskRef/name").and_then(serde_json::Value::as_str);
    named.is_some_and(|named| {
        tasks.iter().any(|(resource, task)| {
            resource.kind == "SyncTask" && task.name_any() == named && task.namespace() == object.namespace()
        })
    })
}

fn belongs_to(object: &DynamicObject, endpoint: Option<&str>) -> bool {
    let pinned = object.data.pointer("/status/connection/endpoint").and_then(serde_json::Value::as_str);
    pinned.is_some_and(|pinned| {
        endpoint.is_some_and(|ours| pinned.trim_end_matches('/') == ours.trim_end_matches('/'))
    })
}
