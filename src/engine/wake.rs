//! Waking objects from outside of the Kubernetes watch.

use kube::runtime::reflector::ObjectRef;
use tokio::sync::mpsc;

use crate::api::{ClusterConnection, Connection, ConnectionKind, MigrationTask, PinnedConnection};

/// A task to wake.
pub type Target = ObjectRef<MigrationTask>;

/// The queues that a [`Waker`] fills.
pub struct Queues {
    /// Tasks.
    pub tasks: mpsc::UnboundedReceiver<Target>,
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
    tasks: mpsc::UnboundedSender<Target>,
    connections: mpsc::UnboundedSender<ObjectRef<Connection>>,
    cluster_connections: mpsc::UnboundedSender<ObjectRef<ClusterConnection>>,
    namespaces: mpsc::UnboundedSender<Option<String>>,
}

impl Waker {
    /// A waker and the queues that it fills.
    pub fn new() -> (Self, Queues) {
        let (tasks, task_queue) = mpsc::unbounded_channel();
        let (connections, connection_queue) = mpsc::unbounded_channel();
        let (cluster_connections, cluster_connection_queue) = mpsc::unbounded_channel();
        let (namespaces, namespace_queue) = mpsc::unbounded_channel();
        let queues = Queues {
            tasks: task_queue,
            connections: connection_queue,
            cluster_connections: cluster_connection_queue,
            namespaces: namespace_queue,
        };
        (Self { tasks, connections, cluster_connections, namespaces }, queues)
    }

    /// Asks for a pass of a task soon.
    pub fn wake(&self, target: Target) {
        // Nobody listens any more while the process ends.
        let _ = self.tasks.send(target);
    }

    /// Asks for a pass of every unfinished task of a namespace, or of all of them.
    pub fn wake_namespace(&self, namespace: Option<String>) {
        let _ = self.namespaces.send(namespace);
    }

    /// Asks for a pass of a connection soon; a `Connection` is in the namespace of its tasks.
    pub(super) fn wake_connection(&self, pinned: &PinnedConnection, namespace: Option<String>) {
        match pinned.kind {
            ConnectionKind::Connection => {
                let target = ObjectRef::new(&pinned.name).within(&namespace.unwrap_or_default());
                let _ = self.connections.send(target);
            }
            ConnectionKind::ClusterConnection => {
                let _ = self.cluster_connections.send(ObjectRef::new(&pinned.name));
            }
        }
    }
}
