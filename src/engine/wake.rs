//! Waking objects from outside of the Kubernetes watch.

use kube::runtime::reflector::ObjectRef;
use kube::{Resource, ResourceExt};
use tokio::sync::mpsc;

use super::transfer::Transfer;
use crate::api::{
    ClusterConnection, Connection, ConnectionKind, MigrationTask, SyncEvent, SyncTask, TaskGroup,
};
use crate::plan::wish::Kind;

/// An object to wake.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// Its kind.
    pub kind: Kind,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl Target {
    /// An object itself.
    pub fn of<K: Transfer>(object: &K) -> Self {
        Self { kind: K::KIND, namespace: object.namespace().unwrap_or_default(), name: object.name_any() }
    }

    fn reference<K: Resource<DynamicType = ()>>(&self) -> ObjectRef<K> {
        ObjectRef::new(&self.name).within(&self.namespace)
    }
}

/// The queues that a [`Waker`] fills.
pub struct Queues {
    /// MigrationTasks.
    pub migration_tasks: mpsc::UnboundedReceiver<ObjectRef<MigrationTask>>,
    /// TaskGroups.
    pub task_groups: mpsc::UnboundedReceiver<ObjectRef<TaskGroup>>,
    /// SyncTasks.
    pub sync_tasks: mpsc::UnboundedReceiver<ObjectRef<SyncTask>>,
    /// SyncEvents.
    pub sync_events: mpsc::UnboundedReceiver<ObjectRef<SyncEvent>>,
    /// Connections.
    pub connections: mpsc::UnboundedReceiver<ObjectRef<Connection>>,
    /// ClusterConnections.
    pub cluster_connections: mpsc::UnboundedReceiver<ObjectRef<ClusterConnection>>,
    /// Namespaces whose unfinished tasks look again; `None`: all.
    pub namespaces: mpsc::UnboundedReceiver<Option<String>>,
}

/// Wakes objects. A wake carries no information: the pass looks for itself.
#[derive(Clone, Debug)]
pub struct Waker {
    migration_tasks: mpsc::UnboundedSender<ObjectRef<MigrationTask>>,
    task_groups: mpsc::UnboundedSender<ObjectRef<TaskGroup>>,
    sync_tasks: mpsc::UnboundedSender<ObjectRef<SyncTask>>,
    sync_events: mpsc::UnboundedSender<ObjectRef<SyncEvent>>,
    connections: mpsc::UnboundedSender<ObjectRef<Connection>>,
    cluster_connections: mpsc::UnboundedSender<ObjectRef<ClusterConnection>>,
    namespaces: mpsc::UnboundedSender<Option<String>>,
}

impl Waker {
    /// A waker and the queues that it fills.
    pub fn new() -> (Self, Queues) {
        let (migration_tasks, migration_task_queue) = mpsc::unbounded_channel();
        let (task_groups, task_group_queue) = mpsc::unbounded_channel();
        let (sync_tasks, sync_task_queue) = mpsc::unbounded_channel();
        let (sync_events, sync_event_queue) = mpsc::unbounded_channel();
        let (connections, connection_queue) = mpsc::unbounded_channel();
        let (cluster_connections, cluster_connection_queue) = mpsc::unbounded_channel();
        let (namespaces, namespace_queue) = mpsc::unbounded_channel();
        let queues = Queues {
            migration_tasks: migration_task_queue,
            task_groups: task_group_queue,
            sync_tasks: sync_task_queue,
            sync_events: sync_event_queue,
            connections: connection_queue,
            cluster_connections: cluster_connection_queue,
            namespaces: namespace_queue,
        };
        let waker = Self {
            migration_tasks,
            task_groups,
            sync_tasks,
            sync_events,
            connections,
            cluster_connections,
            namespaces,
        };
        (waker, queues)
    }

    /// Asks for a pass of an object soon.
    pub fn wake(&self, target: &Target) {
        // Nobody listens any more while the process ends.
        match target.kind {
            Kind::MigrationTask => {
                let _ = self.migration_tasks.send(target.reference());
            }
            Kind::TaskGroup => {
                let _ = self.task_groups.send(target.reference());
            }
            Kind::SyncTask => {
                let _ = self.sync_tasks.send(target.reference());
            }
        }
    }

    /// Asks for a pass of a SyncEvent soon.
    pub fn wake_sync_event(&self, namespace: &str, name: &str) {
        let _ = self.sync_events.send(ObjectRef::new(name).within(namespace));
    }

    /// Asks for a pass of every unfinished task of a namespace, or of all of them.
    pub fn wake_namespace(&self, namespace: Option<String>) {
        let _ = self.namespaces.send(namespace);
    }

    /// Asks for a pass of a connection soon; a `Connection` is in the namespace of its tasks.
    pub(super) fn wake_connection(&self, kind: ConnectionKind, name: &str, namespace: Option<String>) {
        match kind {
            ConnectionKind::Connection => {
                let target = ObjectRef::new(name).within(&namespace.unwrap_or_default());
                let _ = self.connections.send(target);
            }
            ConnectionKind::ClusterConnection => {
                let _ = self.cluster_connections.send(ObjectRef::new(name));
            }
        }
    }
}
