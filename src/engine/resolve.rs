//! From a reference to a usable connection, for one object and one pass.

use std::collections::HashSet;

use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::PartialObjectMeta;
use kube::core::{DeserializeGuard, Selector, SelectorExt as _};
use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Api, Resource, ResourceExt};

use super::kubernetes::bounded;
use super::session::Session;
use super::transfer::Transfer;
use super::wake::Waker;
use super::{Engine, Error};
use crate::api::conditions::{Reason, types};
use crate::api::{
    self, AllowedNamespaces, ClusterConnection, Connection, ConnectionKind, ConnectionRef, MigrationTask,
    PinnedConnection, SyncEvent, SyncTask, TaskGroup,
};
use crate::plan::connection::{Protection, protect};
use crate::plan::seen::{Link, LinkUp};
use crate::plan::situation;

/// The caches; one store per watched namespace.
#[derive(Clone, Default)]
pub struct Stores {
    /// Connections.
    pub connections: Vec<Store<DeserializeGuard<Connection>>>,
    /// ClusterConnections; none in a namespaced install.
    pub cluster_connections: Option<Store<DeserializeGuard<ClusterConnection>>>,
    /// MigrationTasks.
    pub migration_tasks: Vec<Store<DeserializeGuard<MigrationTask>>>,
    /// TaskGroups.
    pub task_groups: Vec<Store<DeserializeGuard<TaskGroup>>>,
    /// SyncTasks.
    pub sync_tasks: Vec<Store<DeserializeGuard<SyncTask>>>,
    /// SyncEvents.
    pub sync_events: Vec<Store<DeserializeGuard<SyncEvent>>>,
    /// Namespaces with the label that pauses everything in them; none in a namespaced install.
    pub paused_namespaces: Option<Store<PartialObjectMeta<Namespace>>>,
}

/// What resolving found.
pub(super) enum Resolved {
    /// A verdict.
    Link(Link, Option<Box<Session>>),
    /// This process has not tried the connection yet; its pass wakes us.
    NotYet,
}

/// A connection as the caches have it.
struct Found {
    kind: ConnectionKind,
    name: String,
    uid: String,
    ready_message: Option<String>,
    allowed: Option<AllowedNamespaces>,
}

impl Stores {
    /// Wakes connections whose finalizer does not fit to whether they are used.
    pub(super) fn mend_protection(&self, waker: &Waker) {
        let mut used = HashSet::new();
        collect_used(&self.migration_tasks, &mut used);
        collect_used(&self.task_groups, &mut used);
        collect_used(&self.sync_tasks, &mut used);
        let amiss = |meta: &ObjectMeta| {
            let in_use = meta.uid.as_ref().is_some_and(|uid| used.contains(uid));
            protect(meta, in_use) != Protection::Kept
        };
        for connection in self.connections.iter().flat_map(Store::state).filter(|found| amiss(found.meta())) {
            waker.wake_connection(ConnectionKind::Connection, &connection.name_any(), connection.namespace());
        }
        for connection in
            self.cluster_connections.iter().flat_map(Store::state).filter(|found| amiss(found.meta()))
        {
            waker.wake_connection(ConnectionKind::ClusterConnection, &connection.name_any(), None);
        }
    }

    /// Wakes a connection that an object uses and that is not protected yet.
    pub(super) fn wake_unprotected(
        &self,
        pinned: &PinnedConnection,
        namespace: Option<String>,
        waker: &Waker,
    ) {
        let is_unprotected = |meta: &ObjectMeta| protect(meta, true) != Protection::Kept;
        let unprotected = match pinned.kind {
            ConnectionKind::Connection => {
                let key = ObjectRef::new(&pinned.name).within(namespace.as_deref().unwrap_or_default());
                let found = self.connections.iter().find_map(|store| store.get(&key));
                found.is_some_and(|found| is_unprotected(found.meta()))
            }
            ConnectionKind::ClusterConnection => {
                let key = ObjectRef::new(&pinned.name);
                let found = self.cluster_connections.as_ref().and_then(|store| store.get(&key));
                found.is_some_and(|found| is_unprotected(found.meta()))
            }
        };
        if unprotected {
            waker.wake_connection(pinned.kind, &pinned.name, namespace);
        }
    }

    /// The objects that are pinned to a connection and may have something at OMS, in words.
    pub(super) fn users_of(&self, connection: &str) -> Vec<String> {
        let mut users = users_in(&self.migration_tasks, connection);
        users.extend(users_in(&self.task_groups, connection));
        users.extend(users_in(&self.sync_tasks, connection));
        users
    }

    fn connection(&self, namespace: &str, name: &str) -> Option<Found> {
        let key = ObjectRef::new(name).within(namespace);
        let object = self.connections.iter().find_map(|store| store.get(&key))?;
        let message = object
            .0
            .as_ref()
            .ok()
            .and_then(|connection| connection.status.as_ref())
            .map(|status| &status.conditions);
        Some(Found {
            kind: ConnectionKind::Connection,
            name: name.to_owned(),
            uid: object.uid().unwrap_or_default(),
            ready_message: message.and_then(|conditions| ready_message(conditions)),
            allowed: None,
        })
    }

    fn cluster_connection(&self, name: &str) -> Option<Found> {
        let object = self.cluster_connections.as_ref()?.get(&ObjectRef::new(name))?;
        let connection = object.0.as_ref().ok();
        let conditions =
            connection.and_then(|connection| connection.status.as_ref()).map(|status| &status.conditions);
        Some(Found {
            kind: ConnectionKind::ClusterConnection,
            name: name.to_owned(),
            uid: object.uid().unwrap_or_default(),
            ready_message: conditions.and_then(|conditions| ready_message(conditions)),
            allowed: Some(
                connection.map(|connection| connection.spec.allowed_namespaces.clone()).unwrap_or_default(),
            ),
        })
    }

    /// UID of the connection that a reference means now.
    pub(super) fn meant(&self, reference: Option<&ConnectionRef>, namespace: &str) -> Option<String> {
        self.find(reference, namespace).ok().map(|found| found.uid)
    }

    /// What the spec's reference means now.
    fn find(&self, reference: Option<&ConnectionRef>, namespace: &str) -> Result<Found, String> {
        match reference {
            None => self.connection(namespace, "default").or_else(|| self.cluster_connection("default")).ok_or_else(|| {
                format!(
                    "There is no Connection `default` in namespace `{namespace}` and no ClusterConnection `default`. \
                     Create one, or name another in `spec.connectionRef`"
                )
            }),
            Some(reference) => {
                let found = match reference.kind {
                    ConnectionKind::Connection => self.connection(namespace, &reference.name),
                    ConnectionKind::ClusterConnection => self.cluster_connection(&reference.name),
                };
                found.ok_or_else(|| {
                    format!(
                        "{} `{}`, named by `spec.connectionRef`, does not exist. Create it, or correct the reference",
                        reference.kind, reference.name
                    )
                })
            }
        }
    }
}

/// The UID of the connection that an object uses. One without our finalizer has nothing at OMS, or let go of it.
fn used_by<K: Transfer>(object: &K) -> Option<&str> {
    let ours = object.finalizers().iter().any(|finalizer| finalizer == api::FINALIZER);
    let pinned = object.status()?.connection.as_ref()?;
    ours.then_some(pinned.uid.as_str())
}

/// The UIDs of the connections that objects of one kind use.
fn collect_used<K: Transfer>(stores: &[Store<DeserializeGuard<K>>], used: &mut HashSet<String>) {
    for guard in stores.iter().flat_map(Store::state) {
        if let Some(uid) = guard.0.as_ref().ok().and_then(used_by).filter(|uid| !used.contains(*uid)) {
            used.insert(uid.to_owned());
        }
    }
}

/// The objects of one kind that use a connection, in words.
fn users_in<K: Transfer>(stores: &[Store<DeserializeGuard<K>>], connection: &str) -> Vec<String> {
    let uses = |object: &K| used_by(object) == Some(connection);
    let mut users: Vec<_> = stores
        .iter()
        .flat_map(Store::state)
        .filter_map(|guard| {
            guard.0.as_ref().ok().filter(|object| uses(object)).map(|object| {
                format!("{} {}/{}", K::KIND, object.namespace().unwrap_or_default(), object.name_any())
            })
        })
        .collect();
    users.sort();
    users
}

fn ready_message(conditions: &[k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition]) -> Option<String> {
    situation::find(conditions, types::READY)
        .filter(|ready| ready.status != "True")
        .map(|ready| ready.message.clone())
}

impl Engine {
    /// Resolves the connection of an object.
    pub(super) async fn resolve<K: Transfer>(&self, object: &K) -> Result<Resolved, Error> {
        let namespace = object.namespace().unwrap_or_default();
        let pinned = object.status().and_then(|status| status.connection.as_ref());
        let found = self.stores.find(object.wish().lifecycle.connection_ref.as_ref(), &namespace);
        if let Some(pinned) = pinned {
            let found = found.ok();
            // A clean-up may always go on; nothing else without leave.
            let deleting = object.meta().deletion_timestamp.is_some();
            if let Some(found) = found.as_ref().filter(|found| found.uid == pinned.uid && !deleting)
                && let Some(refused) = self.refuse_namespace(found, &namespace).await?
            {
                return Ok(refused);
            }
            return Ok(self.resolve_pinned(pinned, found.as_ref(), &namespace, deleting));
        }
        let found = match found {
            Ok(found) => found,
            Err(message) => return Ok(down(Reason::ConnectionNotFound, message)),
        };
        if let Some(refused) = self.refuse_namespace(&found, &namespace).await? {
            return Ok(refused);
        }
        Ok(match self.sessions.get(&found.uid) {
            Some(session) if session.usable => {
                let up =
                    LinkUp { pinned: session.pinned.clone(), region: session.region.clone(), changed: None };
                Resolved::Link(Link::Up(up), Some(Box::new(session)))
            }
            _ if !self.has_tried(&found.uid) => Resolved::NotYet,
            _ => self.not_ready(found.kind, &found.name, &found.uid, found.ready_message.as_deref()),
        })
    }

    /// The words for a ClusterConnection that does not allow the namespace, if so.
    async fn refuse_namespace(&self, found: &Found, namespace: &str) -> Result<Option<Resolved>, Error> {
        let Some(allowed) = &found.allowed else { return Ok(None) };
        if self.allows(allowed, namespace).await? {
            return Ok(None);
        }
        let message = format!(
            "ClusterConnection `{}` does not allow namespace `{namespace}`. \
             Ask its owner to add it to `allowedNamespaces`, or refer to another connection",
            found.name
        );
        Ok(Some(down(Reason::NamespaceNotAllowed, message)))
    }

    /// The pinned connection stays, whatever the reference would mean now. When it is gone, its keys serve only
    /// to clean up after a deleted object.
    fn resolve_pinned(
        &self,
        pinned: &PinnedConnection,
        found: Option<&Found>,
        namespace: &str,
        deleting: bool,
    ) -> Resolved {
        let itself = match pinned.kind {
            ConnectionKind::Connection => self.stores.connection(namespace, &pinned.name),
            ConnectionKind::ClusterConnection => self.stores.cluster_connection(&pinned.name),
        };
        let itself = itself.filter(|itself| itself.uid == pinned.uid);
        if itself.is_none() && !deleting {
            return gone(pinned);
        }
        let Some(session) = self.sessions.get(&pinned.uid) else {
            return match itself {
                Some(itself) if self.has_tried(&pinned.uid) => {
                    self.not_ready(pinned.kind, &pinned.name, &pinned.uid, itself.ready_message.as_deref())
                }
                Some(_) => Resolved::NotYet,
                None => gone(pinned),
            };
        };
        // A clean-up tries what it has: its Secret may have gone first, and then the keys in memory are all there is.
        if !session.usable && !deleting {
            let why = itself.and_then(|itself| itself.ready_message);
            return self.not_ready(pinned.kind, &pinned.name, &pinned.uid, why.as_deref());
        }
        let moved = (session.pinned.endpoint != pinned.endpoint
            || session.pinned.project_id != pinned.project_id)
            .then(|| format!("{} `{}` has another endpoint or project now", pinned.kind, pinned.name));
        let other = found
            .filter(|found| found.uid != pinned.uid)
            .map(|found| format!("The reference would now mean {} `{}`", found.kind, found.name));
        let changed = moved.or(other).map(|what| {
            format!(
                "{what}; this task stays with project {} at {}. To move it, delete this object and create it anew",
                pinned.project_id, pinned.endpoint
            )
        });
        let up = LinkUp { pinned: pinned.clone(), region: session.region.clone(), changed };
        Resolved::Link(Link::Up(up), Some(Box::new(session)))
    }

    /// The words for a connection that is not usable. `stored` is why by its status, which may lag behind our own last
    /// try of it.
    fn not_ready(&self, kind: ConnectionKind, name: &str, uid: &str, stored: Option<&str>) -> Resolved {
        let tried = self.attempt(uid).and_then(|attempt| attempt.refusal);
        let why = tried.as_deref().or(stored).map_or_else(String::new, |why| format!(": {why}"));
        down(Reason::ConnectionNotReady, format!("{kind} `{name}` is not ready{why}"))
    }

    async fn allows(&self, allowed: &AllowedNamespaces, namespace: &str) -> Result<bool, Error> {
        if allowed.names.iter().any(|name| name == namespace) {
            return Ok(true);
        }
        let Some(selector) = allowed.selector.clone().and_then(|selector| Selector::try_from(selector).ok())
        else {
            return Ok(false);
        };
        let api: Api<k8s_openapi::api::core::v1::Namespace> = Api::all(self.client.clone());
        let meta: Option<PartialObjectMeta<_>> =
            bounded(api.get_metadata_opt(namespace), |source| Error::Read { what: "the namespace", source })
                .await?;
        Ok(meta.is_some_and(|meta| selector.matches(meta.labels())))
    }
}

fn down(reason: Reason, message: String) -> Resolved {
    Resolved::Link(Link::Down { reason, message }, None)
}

fn gone(pinned: &PinnedConnection) -> Resolved {
    let message = format!(
        "{} `{}`, to which this task is pinned, does not exist any more. Without its keys the operator cannot look at \
         the task, which goes on at OMS. Delete this object and create it anew with another connection",
        pinned.kind, pinned.name
    );
    down(Reason::ConnectionNotFound, message)
}
