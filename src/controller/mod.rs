//! Streams and wiring: what is watched, what wakes whom, and how it all ends.
//!
//! ```text
//! watch of MigrationTasks ──┐
//! poller (remote changed) ──┼─> queue ─> engine pass ─> Kubernetes, OMS
//! connection changed ───────┘
//! ```

pub mod cluster;
mod definitions;
mod due;
mod lane;
mod namespaces;
mod obstacle;
mod others;
mod pauses;
mod pulse;
mod refusals;
pub mod release;
mod replica;
mod start;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures::future;
use kube::ResourceExt;
use kube::core::DeserializeGuard;
use thiserror::Error;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use self::due::Due;
use self::lane::{Lanes, Pass, Watched, Watching};
use self::pulse::Pulse;
use self::refusals::Refusals;
pub use self::replica::run;
use crate::api::{
    ClusterConnection, Connection, ConnectionKind, MANAGER, MigrationTask, SyncEvent, SyncTask, TaskGroup,
};
use crate::config::{AmbientCredentials, Config, Watch};
use crate::engine::{
    self, Action, AmbientUse, AnyConnection, Clock, Engine, Queues, Settings, Stores, Transfer, Waker,
};
use crate::leader::Claim;
use crate::oms::{Ambient, AmbientSettings};
use crate::plan::transfer::Policy;
use crate::telemetry::{Events, Health, Metrics, http, metrics};

/// How often the forgotten is forgotten.
const HOUSEKEEPING: Duration = Duration::from_secs(5);

/// Shortest pause between two looks for polls that are due, whatever the clock's scale.
const SHORTEST_TICK: Duration = Duration::from_millis(25);

/// The longest.
const LONGEST_TICK: Duration = Duration::from_secs(1);

/// Longest silence of a component that still counts as healthy.
const HEALTHY: Duration = Duration::from_mins(6);

/// How long passes that are under way may take once the end was asked for.
const GRACE: Duration = Duration::from_secs(6);

/// Why the controller ended although nobody asked for it.
#[derive(Debug, Error)]
pub enum Error {
    /// Kubernetes cannot be reached.
    #[error("no connection to Kubernetes can be made with {with}")]
    Client {
        /// What says where it is.
        with: String,
        /// Why not.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The HTTP server could not be started.
    #[error("--metrics-listen: health and metrics cannot be served at {address}")]
    Listen {
        /// Where.
        address: std::net::SocketAddr,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The ready file could not be written.
    #[error("--ready-file: {} cannot be written", path.display())]
    ReadyFile {
        /// Which.
        path: std::path::PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// Another replica leads now.
    #[error("the lease was lost; another replica may lead now")]
    LeaseLost,
    /// Another install works for a namespace of ours.
    #[error("another operator, {by}, has come to work for namespace {namespace}: {}", namespaces::REMEDY)]
    NamespaceTaken {
        /// Which.
        namespace: String,
        /// Namespace and name of the other install.
        by: String,
    },
    /// A loop ended by itself.
    #[error("a loop of the controller ended by itself")]
    Ended,
}

async fn lead(
    config: &Config,
    client: kube::Client,
    (metrics, health): (Metrics, Health),
    bound: std::net::SocketAddr,
    (claim, cluster_id, stop): (Claim, String, CancellationToken),
) -> Result<(), Error> {
    let (waker, queues) = Waker::new();
    let Queues {
        migration_tasks: task_queue,
        task_groups: group_queue,
        sync_tasks: sync_task_queue,
        sync_events: sync_event_queue,
        connections: connection_queue,
        cluster_connections: cluster_queue,
        namespaces,
    } = queues;
    let source = Watched { client: &client, health: &health, watch: &config.watch };
    let tasks = Lanes::<MigrationTask>::namespaced(source, task_queue);
    let groups = Lanes::<TaskGroup>::namespaced(source, group_queue);
    let (sync_task_changed, sync_task_changes) = mpsc::unbounded_channel();
    let watching: Watching = Arc::new(move |namespace, name| {
        let _ = sync_task_changed.send((namespace.to_owned(), name.to_owned()));
    });
    let sync_tasks = Lanes::<SyncTask>::watched(source, sync_task_queue, &watching);
    let sync_events = Lanes::<SyncEvent>::namespaced(source, sync_event_queue);
    let connections = Lanes::<Connection>::namespaced(source, connection_queue);
    // A namespaced install has Roles only, so nothing of the whole cluster.
    let cluster_connections =
        (config.watch == Watch::All).then(|| Lanes::<ClusterConnection>::cluster(source, cluster_queue));
    let (paused_namespaces, pauses_filled, pauses) = if config.watch == Watch::All {
        let (store, filled, run) = pauses::watch(&client, waker.clone(), stop.clone());
        (Some(store), Some(filled), future::Either::Left(run))
    } else {
        // Labels of namespaces are the cluster's, which a namespaced install has no right to see.
        (None, None, future::Either::Right(stop.clone().cancelled_owned()))
    };
    let stores = Stores {
        paused_namespaces,
        connections: connections.stores(),
        cluster_connections: cluster_connections.as_ref().and_then(|lanes| lanes.stores().pop()),
        migration_tasks: tasks.stores(),
        task_groups: groups.stores(),
        sync_tasks: sync_tasks.stores(),
        sync_events: sync_events.stores(),
    };
    let events = Events::new(client.clone(), MANAGER, &config.identity, metrics.clone());
    let engine = Arc::new(Engine::new(
        client,
        settings(config, cluster_id, claim, &metrics),
        Clock::new(config.time_scale),
        stores.clone(),
        waker.clone(),
        (metrics, events.clone()),
    ));
    let dues = [
        ("MigrationTask", tasks.due()),
        ("TaskGroup", groups.due()),
        ("SyncTask", sync_tasks.due()),
        ("SyncEvent", sync_events.due()),
        ("Connection", connections.due()),
        ("ClusterConnection", cluster_connections.as_ref().map(Lanes::due).unwrap_or_default()),
    ];
    let pulse = Pulse::new(health.component("passes", HEALTHY), Refusals::new(health.clone()));
    let mut connections_filled = connections.filled();
    connections_filled.extend(cluster_connections.iter().flat_map(Lanes::filled));
    connections_filled.extend(pauses_filled);
    let (tasks_filled, groups_filled) = (tasks.filled(), groups.filled());
    let sync_tasks_filled = sync_tasks.filled();
    let mut filled = tasks_filled.clone();
    filled.extend(groups_filled.iter().cloned());
    filled.extend(sync_tasks_filled.iter().cloned());
    filled.extend(sync_events.filled());
    filled.extend(connections_filled.iter().cloned());
    let work = [
        tokio::spawn(pauses),
        tokio::spawn(tasks.run(
            pass_of(&engine, &pulse, connections_filled.clone(), tasks_filled),
            usize::from(config.concurrency),
            stop.clone(),
        )),
        tokio::spawn(groups.run(
            pass_of(&engine, &pulse, connections_filled.clone(), groups_filled),
            usize::from(config.concurrency),
            stop.clone(),
        )),
        tokio::spawn(sync_events.run(
            pass_of_sync_event(
                &engine,
                &pulse,
                [connections_filled.clone(), sync_tasks_filled.clone()].concat(),
            ),
            usize::from(config.concurrency),
            stop.clone(),
        )),
        tokio::spawn(sync_tasks.run(
            pass_of(&engine, &pulse, connections_filled, sync_tasks_filled),
            usize::from(config.concurrency),
            stop.clone(),
        )),
        tokio::spawn(lane::wake_sync_events(
            stores.sync_events.clone(),
            waker.clone(),
            sync_task_changes,
            stop.clone(),
        )),
        tokio::spawn(connections.run(pass_of_connection(&engine, &pulse, filled.clone()), 4, stop.clone())),
        tokio::spawn(match cluster_connections {
            Some(lanes) => {
                let pass = pass_of_connection(&engine, &pulse, filled.clone());
                future::Either::Left(lanes.run(pass, 4, stop.clone()))
            }
            None => future::Either::Right(stop.clone().cancelled_owned()),
        }),
        tokio::spawn(lane::wake_namespaces(stores.clone(), waker, namespaces, stop.clone())),
        tokio::spawn(poll(
            Arc::clone(&engine),
            health.component("poller", HEALTHY),
            config.poll_interval,
            stop.clone(),
        )),
        tokio::spawn(keep_house(
            Arc::clone(&engine),
            stores.clone(),
            filled.clone(),
            (health.component("housekeeping", HEALTHY), pulse.refused.clone(), stop.clone()),
        )),
    ];
    tokio::select! {
        () = synced(filled) => {}
        () = stop.cancelled() => {}
    }
    engine.metrics().set_source(Some(telling(&engine, dues, config.per_object_metrics)));
    health.set_ready();
    if let Some(file) = &config.ready_file {
        let unwritten = |source| Error::ReadyFile { path: file.clone(), source };
        http::write_ready_file(file, bound).map_err(unwritten)?;
    }
    let ended = future::select_all(work).await;
    let asked = stop.is_cancelled();
    stop.cancel();
    let _ = tokio::time::timeout(GRACE, future::join_all(ended.2)).await;
    let _ = tokio::time::timeout(Duration::from_secs(1), events.flush()).await;
    if asked { Ok(()) } else { Err(Error::Ended) }
}

/// Tells how things stand, to who asks for metrics.
fn telling<const N: usize>(
    engine: &Arc<Engine>,
    dues: [(&'static str, Due); N],
    per_object: bool,
) -> metrics::Source {
    let engine = Arc::downgrade(engine);
    Arc::new(move || {
        let snapshot = engine.upgrade()?.snapshot(per_object);
        let queues = dues.iter().map(|(kind, due)| (*kind, due.waiting())).collect();
        Some(metrics::Snapshot { queues, ..snapshot })
    })
}

fn settings(config: &Config, cluster_id: String, claim: Claim, metrics: &Metrics) -> Settings {
    let endpoints = config.allowed_endpoints.clone();
    let ambient = AmbientSettings {
        sts_endpoint: config.sts_endpoint.clone(),
        metadata_endpoint: config.metadata_endpoint.clone(),
        on_call: Some(engine::ambient_observer(metrics)),
    };
    Settings {
        policy: Policy {
            deletion_policy: config.default_deletion_policy,
            cleanup_timeout: config.cleanup_timeout,
            create_fence: config.create_fence,
            secret_check_interval: config.secret_check_interval,
        },
        cluster_id,
        cluster_resource_namespace: config.cluster_resource_namespace.clone(),
        own_namespace: config.own_namespace.clone(),
        leads: Arc::new(move || claim.is_held()),
        endpoints: Arc::new(move |url| endpoints.allows(url)),
        ambient_use: match config.ambient_credentials {
            AmbientCredentials::None => AmbientUse::Nobody,
            AmbientCredentials::Cluster => AmbientUse::ClusterConnections,
            AmbientCredentials::All => AmbientUse::All,
        },
        paused: config.paused,
        ambient: Arc::new(Ambient::new(|name| std::env::var(name).ok(), ambient)),
    }
}

/// An error and its causes in one line; a cause that the text names already is not repeated.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.contains(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        cause = error.source();
    }
    text
}

/// Waits until every cache is filled.
async fn synced(filled: Vec<watch::Receiver<bool>>) {
    for mut filled in filled {
        let _ = filled.wait_for(|filled| *filled).await;
    }
}

fn pass_of<K: Transfer>(
    engine: &Arc<Engine>,
    pulse: &Pulse,
    connections_filled: Vec<watch::Receiver<bool>>,
    own_filled: Vec<watch::Receiver<bool>>,
) -> Pass<K> {
    let (engine, pulse) = (Arc::clone(engine), pulse.clone());
    Arc::new(move |object: Arc<DeserializeGuard<K>>| {
        let (engine, pulse) = (Arc::clone(&engine), pulse.clone());
        let mut filled = connections_filled.clone();
        if object.0.as_ref().is_ok_and(|object| object.adopt().is_some()) {
            // Neither must another object that claims the same task.
            filled.extend(own_filled.iter().cloned());
        }
        Box::pin(async move {
            // A connection that is not in the cache yet must not look like one that does not exist.
            synced(filled).await;
            let uid = object.uid().unwrap_or_default();
            let pass = Box::pin(engine.reconcile(&object));
            let ended = pulse.watch(engine::guarded(lane::PASS_LIMIT, pass)).await;
            finish(K::KIND.as_str(), &*object, (&engine, &pulse.refused), &uid, ended)
        })
    })
}

fn pass_of_sync_event(
    engine: &Arc<Engine>,
    pulse: &Pulse,
    others_filled: Vec<watch::Receiver<bool>>,
) -> Pass<SyncEvent> {
    let (engine, pulse) = (Arc::clone(engine), pulse.clone());
    Arc::new(move |object: Arc<DeserializeGuard<SyncEvent>>| {
        let (engine, pulse) = (Arc::clone(&engine), pulse.clone());
        let filled = others_filled.clone();
        Box::pin(async move {
            // A SyncTask that is not in the cache yet must not look like one that does not exist.
            synced(filled).await;
            let uid = object.uid().unwrap_or_default();
            let pass = Box::pin(engine.reconcile_sync_event(&object));
            let ended = pulse.watch(engine::guarded(lane::PASS_LIMIT, pass)).await;
            finish("SyncEvent", &*object, (&engine, &pulse.refused), &uid, ended)
        })
    })
}

fn pass_of_connection<K: AnyConnection>(
    engine: &Arc<Engine>,
    pulse: &Pulse,
    filled: Vec<watch::Receiver<bool>>,
) -> Pass<K> {
    let (engine, pulse) = (Arc::clone(engine), pulse.clone());
    Arc::new(move |object: Arc<DeserializeGuard<K>>| {
        let (engine, pulse) = (Arc::clone(&engine), pulse.clone());
        let kind = if K::KIND == ConnectionKind::Connection { "Connection" } else { "ClusterConnection" };
        let filled = filled.clone();
        Box::pin(async move {
            // Users that are not in the cache yet must not look like none.
            synced(filled).await;
            let uid = object.uid().unwrap_or_default();
            let pass = Box::pin(engine.reconcile_connection(&object));
            let ended = pulse.watch(engine::guarded(lane::PASS_LIMIT, pass)).await;
            finish(kind, &*object, (&engine, &pulse.refused), &uid, ended)
        })
    })
}

/// Counts and logs a pass; a failed one comes again after a growing pause.
fn finish(
    kind: &'static str,
    object: &impl ResourceExt,
    (engine, refused): (&Engine, &Refusals),
    uid: &str,
    (result, took): (Result<Action, engine::Error>, Duration),
) -> Action {
    match result {
        Ok(action) => {
            engine.succeeded(uid);
            refused.passed(uid);
            engine.metrics().reconciled(kind, "ok", took);
            action
        }
        // The process is about to end.
        Err(engine::Error::NotLeading) => Action::requeue(Duration::from_secs(1)),
        Err(error) => {
            engine.metrics().reconciled(kind, error.label(), took);
            let told_before = error.denied().is_some_and(|what| !refused.note(what, uid));
            let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            if told_before {
                tracing::debug!(kind, namespace, name, error = %error, cause, "the pass failed");
            } else {
                tracing::warn!(kind, namespace, name, error = %error, cause, "the pass failed");
            }
            if matches!(error, engine::Error::Undecodable(_)) {
                Action::await_change()
            } else {
                Action::requeue(engine.backoff(uid))
            }
        }
    }
}

async fn poll(
    engine: Arc<Engine>,
    beat: crate::telemetry::Beat,
    interval: Duration,
    stop: CancellationToken,
) {
    // Each project has its turn within the interval, and a new one does not wait for it.
    let tick = (engine.clock().real(interval) / 4).clamp(SHORTEST_TICK, LONGEST_TICK);
    loop {
        tokio::select! {
            () = tokio::time::sleep(tick) => {}
            () = stop.cancelled() => return,
        }
        engine.poll(interval);
        beat.ok();
    }
}

async fn keep_house(
    engine: Arc<Engine>,
    stores: Stores,
    filled: Vec<watch::Receiver<bool>>,
    (beat, refused, stop): (crate::telemetry::Beat, Refusals, CancellationToken),
) {
    // With half-filled caches it would forget what exists.
    tokio::select! {
        () = synced(filled) => {}
        () = stop.cancelled() => return,
    }
    loop {
        tokio::select! {
            () = tokio::time::sleep(HOUSEKEEPING) => {}
            () = stop.cancelled() => return,
        }
        let mut uids = HashSet::new();
        let mut pinned = HashSet::new();
        stores.each(|object| {
            uids.extend(object.meta.uid.clone());
            let connection = object.status.and_then(|status| status.connection.as_ref());
            pinned.extend(connection.map(|connection| connection.uid.clone()));
        });
        let events = stores.sync_events.iter().flat_map(kube::runtime::reflector::Store::state);
        uids.extend(events.filter_map(|event| event.uid()));
        let existing: HashSet<_> = stores
            .connections
            .iter()
            .flat_map(kube::runtime::reflector::Store::state)
            .filter_map(|object| object.uid())
            .collect();
        let existing_cluster: HashSet<_> = stores
            .cluster_connections
            .iter()
            .flat_map(kube::runtime::reflector::Store::state)
            .filter_map(|object| object.uid())
            .collect();
        uids.extend(existing.iter().cloned());
        uids.extend(existing_cluster.iter().cloned());
        engine.forget(
            |uid| uids.contains(uid),
            |kind, uid| match kind {
                ConnectionKind::Connection => existing.contains(uid),
                ConnectionKind::ClusterConnection => existing_cluster.contains(uid),
            },
            |uid| pinned.contains(uid),
        );
        engine.mend_protection();
        refused.tidy();
        beat.ok();
    }
}
