//! A lane per watched namespace: its watch, its cache and its queue of passes.

use std::collections::HashMap;
use std::fmt::Debug;
use std::future::Future;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, BoxStream};
use futures::{FutureExt, StreamExt, TryStreamExt, future};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use k8s_openapi::{ClusterResourceScope, NamespaceResourceScope};
use kube::core::DeserializeGuard;
use kube::runtime::controller::{self, ReconcileReason, ReconcileRequest, trigger_self};
use kube::runtime::reflector::{self, ObjectRef, Store};
use kube::runtime::utils::{Predicate, PredicateConfig};
use kube::runtime::{WatchStreamExt, applier, predicates, watcher};
use kube::{Api, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::chain;
use super::due::Due;
use crate::api::conditions::types;
use crate::api::{
    ClusterConnection, Connection, MigrationTask, Phase, SyncEvent, SyncTask, TaskGroup, TransferStatus,
};
use crate::config::Watch;
use crate::engine::{Action, Stores, Waker};
use crate::plan::situation;
use crate::plan::sync_event::is_over;
use crate::telemetry::Health;

/// How long one pass may take; above every deadline within it.
pub(super) const PASS_LIMIT: Duration = Duration::from_mins(5);

/// How long a failure of a watch counts that is not repeated: more than the longest pause before the next try.
const FAILS: Duration = Duration::from_secs(75);

/// A cache; what cannot be decoded is in it too.
pub(super) type StoreOf<K> = Store<DeserializeGuard<K>>;

/// A pass of one object.
pub(super) type Pass<K> =
    Arc<dyn Fn(Arc<DeserializeGuard<K>>) -> Pin<Box<dyn Future<Output = Action> + Send>> + Send + Sync>;

type Wakes<K> = mpsc::UnboundedReceiver<ObjectRef<K>>;

struct Lane<K: Resource<DynamicType = ()> + 'static> {
    namespace: Option<String>,
    store: StoreOf<K>,
    filled: watch::Receiver<bool>,
    triggers: BoxStream<'static, Result<ReconcileRequest<DeserializeGuard<K>>, watcher::Error>>,
}

/// What lanes watch, and who is told when they cannot.
#[derive(Clone, Copy)]
pub(super) struct Watched<'a> {
    pub(super) client: &'a kube::Client,
    pub(super) health: &'a Health,
    pub(super) watch: &'a Watch,
}

/// All lanes of a kind.
pub(super) struct Lanes<K: Resource<DynamicType = ()> + 'static> {
    all: Vec<Lane<K>>,
    wakes: Wakes<K>,
    due: Due,
}

/// Told of every object that came, changed or went, by namespace and name, once the cache knows it.
pub(super) type Watching = Arc<dyn Fn(&str, &str) + Send + Sync>;

impl<K> Lanes<K>
where
    K: Resource<DynamicType = ()> + Recorded + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
{
    /// Lanes of a namespaced kind.
    pub(super) fn namespaced(source: Watched<'_>, wakes: Wakes<K>) -> Self
    where
        K: Resource<Scope = NamespaceResourceScope>,
    {
        Self::watched(source, wakes, &(Arc::new(|_: &str, _: &str| ()) as Watching))
    }

    /// The same, with somebody who is told of every change, of status too.
    pub(super) fn watched(source: Watched<'_>, wakes: Wakes<K>, watching: &Watching) -> Self
    where
        K: Resource<Scope = NamespaceResourceScope>,
    {
        let Watched { client, health, watch } = source;
        let open = |api, namespace| Lane::open(api, namespace, Arc::clone(watching), health);
        let lanes = match watch {
            Watch::All => vec![open(Api::all(client.clone()), None)],
            Watch::Namespaces(names) => names
                .iter()
                .map(|name| open(Api::namespaced(client.clone(), name), Some(name.clone())))
                .collect(),
        };
        Self { all: lanes, wakes, due: Due::default() }
    }

    /// The one lane of a kind of the cluster.
    pub(super) fn cluster(source: Watched<'_>, wakes: Wakes<K>) -> Self
    where
        K: Resource<Scope = ClusterResourceScope>,
    {
        let api = Api::all(source.client.clone());
        let lane = Lane::open(api, None, Arc::new(|_, _| ()), source.health);
        Self { all: vec![lane], wakes, due: Due::default() }
    }

    /// The caches.
    pub(super) fn stores(&self) -> Vec<StoreOf<K>> {
        self.all.iter().map(|lane| lane.store.clone()).collect()
    }

    /// Whether the caches are filled, one signal each.
    pub(super) fn filled(&self) -> Vec<watch::Receiver<bool>> {
        self.all.iter().map(|lane| lane.filled.clone()).collect()
    }

    /// Whose pass is due.
    pub(super) fn due(&self) -> Due {
        self.due.clone()
    }

    /// Runs passes until `stop` is cancelled; then waits for those under way.
    pub(super) async fn run(self, pass: Pass<K>, concurrency: usize, stop: CancellationToken) {
        let mut senders = HashMap::new();
        let mut running = Vec::new();
        for lane in self.all {
            let (sender, wakes) = mpsc::unbounded_channel();
            senders.insert(lane.namespace.clone(), sender);
            running.push(lane.run(Arc::clone(&pass), (wakes, self.due.clone()), concurrency, stop.clone()));
        }
        let mut wakes = self.wakes;
        let route = async {
            while let Some(target) = wakes.recv().await {
                if let Some(sender) = senders.get(&target.namespace).or_else(|| senders.get(&None)) {
                    let _ = sender.send(target);
                }
            }
            stop.cancelled().await;
        };
        let lanes = future::join_all(running);
        tokio::pin!(lanes);
        tokio::select! {
            _ = &mut lanes => {}
            () = route => {
                lanes.await;
            }
        }
    }
}

impl<K> Lane<K>
where
    K: Resource<DynamicType = ()> + Recorded + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
{
    fn open(
        api: Api<DeserializeGuard<K>>,
        namespace: Option<String>,
        watching: Watching,
        health: &Health,
    ) -> Self {
        let mut sight = Sight::new(health.clone(), api.resource_url().to_owned());
        let (store, writer) = reflector::store();
        let (fill, filled) = watch::channel(false);
        let changed = predicates::generation
            .combine(predicates::finalizers)
            .combine(predicates::annotations)
            .combine(recorded);
        let stream = watcher(api, watcher::Config::default())
            .default_backoff()
            .inspect(move |event| match event {
                Err(error) => sight.failed(error),
                // It comes before the list does.
                Ok(watcher::Event::Init) => {}
                Ok(_) => sight.works(),
            })
            .modify(|object: &mut DeserializeGuard<K>| object.managed_fields_mut().clear())
            .reflect(writer)
            .inspect_ok(move |event| match event {
                watcher::Event::InitDone => {
                    fill.send_replace(true);
                }
                watcher::Event::Apply(object)
                | watcher::Event::InitApply(object)
                | watcher::Event::Delete(object) => {
                    watching(&object.namespace().unwrap_or_default(), &object.name_any());
                }
                watcher::Event::Init => {}
            })
            .applied_objects()
            .predicate_filter(changed, PredicateConfig::default());
        Self { namespace, store, filled, triggers: trigger_self(stream, ()).boxed() }
    }

    async fn run(
        self,
        pass: Pass<K>,
        (wakes, due): (Wakes<K>, Due),
        concurrency: usize,
        stop: CancellationToken,
    ) {
        let woken =
            stream::unfold(
                wakes,
                |mut wakes| async move { wakes.recv().await.map(|target| (target, wakes)) },
            );
        let woken = woken.map(|target| {
            let mut obj_ref = ObjectRef::new(&target.name);
            obj_ref.namespace = target.namespace;
            Ok(ReconcileRequest { obj_ref, reason: ReconcileReason::Custom { reason: "woken".into() } })
        });
        // A watch that failed starts again by itself.
        let seen = self.triggers.filter(|trigger| future::ready(trigger.is_ok()));
        let queue = stream::select(seen, woken).take_until(stop.cancelled_owned());
        let enters = due.clone();
        let queue = queue.inspect_ok(move |request| {
            let object = &request.obj_ref;
            enters.after(object.namespace.as_deref(), &object.name, Duration::ZERO);
        });
        let passes = due.clone();
        let reconcile = move |object: Arc<DeserializeGuard<K>>, _: Arc<()>| {
            let (namespace, name, due) = (object.namespace(), object.name_any(), passes.clone());
            due.took(namespace.as_deref(), &name);
            let pass = pass(object);
            let pass = async move {
                let action = pass.await;
                if let Some(pause) = action.pause() {
                    due.after(namespace.as_deref(), &name, pause);
                }
                Ok::<_, std::convert::Infallible>(action.into())
            };
            pass.boxed()
        };
        applier(
            reconcile,
            |_, never: &std::convert::Infallible, _| match *never {},
            Arc::new(()),
            self.store,
            queue,
            controller::Config::default().concurrency(u16::try_from(concurrency).unwrap_or(u16::MAX)),
        )
        .for_each(|ended| {
            // What was to come for an object that is gone does not come.
            if let Err(controller::Error::ObjectNotFound(object)) = ended {
                due.took(object.namespace.as_deref(), &object.name);
            }
            future::ready(())
        })
        .await;
    }
}

/// Whether a watch works, told when that changes.
struct Sight {
    health: Health,
    /// What is watched: the path of the API.
    what: String,
    failure: Option<String>,
}

impl Sight {
    fn new(health: Health, what: String) -> Self {
        Self { health, what, failure: None }
    }

    fn failed(&mut self, error: &watcher::Error) {
        let why = chain(error);
        // One that was only cut off comes back by itself.
        if matches!(error, watcher::Error::InitialListFailed(_) | watcher::Error::WatchStartFailed(_)) {
            // That it works again shows only when something comes.
            self.health.hinder(&*self.what, format!("{} cannot be watched: {why}", self.what), Some(FAILS));
        }
        if self.failure.as_ref() != Some(&why) {
            tracing::warn!(what = self.what, error = why, "a watch failed and starts again");
            self.failure = Some(why);
        }
    }

    fn works(&mut self) {
        if self.failure.take().is_some() {
            self.health.clear(&self.what);
            tracing::info!(what = self.what, "the watch works again");
        }
    }
}

/// A kind that has something on record in its status.
pub(super) trait Recorded {
    /// What must not get lost of the status: the generation it tells of and the task at OMS. A change of it wants a
    /// pass, as somebody else may have made it.
    fn record(&self) -> (i64, Option<&str>);
}

impl Recorded for MigrationTask {
    fn record(&self) -> (i64, Option<&str>) {
        recorded_in(self.status.as_ref())
    }
}

impl Recorded for TaskGroup {
    fn record(&self) -> (i64, Option<&str>) {
        recorded_in(self.status.as_ref())
    }
}

impl Recorded for SyncTask {
    fn record(&self) -> (i64, Option<&str>) {
        recorded_in(self.status.as_ref())
    }
}

impl Recorded for SyncEvent {
    fn record(&self) -> (i64, Option<&str>) {
        (self.status.as_ref().map_or(-1, |status| status.observed_generation), None)
    }
}

fn recorded_in(status: Option<&TransferStatus>) -> (i64, Option<&str>) {
    let observed = status.map_or(-1, |status| status.observed_generation);
    (observed, status.and_then(|status| status.task_id.as_deref()))
}

impl Recorded for Connection {
    fn record(&self) -> (i64, Option<&str>) {
        (self.status.as_ref().map_or(-1, |status| status.observed_generation), None)
    }
}

impl Recorded for ClusterConnection {
    fn record(&self) -> (i64, Option<&str>) {
        (self.status.as_ref().map_or(-1, |status| status.observed_generation), None)
    }
}

/// A predicate: a status that somebody erased has to be found again.
#[expect(clippy::unnecessary_wraps, reason = "the shape of a predicate")]
fn recorded<K: Recorded>(object: &DeserializeGuard<K>) -> Option<u64> {
    let mut hasher = DefaultHasher::new();
    object.0.as_ref().ok().map(Recorded::record).hash(&mut hasher);
    Some(hasher.finish())
}

fn is_marked(conditions: &[Condition]) -> bool {
    situation::find(conditions, types::PAUSED).is_some()
}

/// Wakes the unfinished objects of namespaces.
pub(super) async fn wake_namespaces(
    stores: Stores,
    waker: Waker,
    mut namespaces: mpsc::UnboundedReceiver<Option<String>>,
    stop: CancellationToken,
) {
    loop {
        let namespace = tokio::select! {
            namespace = namespaces.recv() => namespace,
            () = stop.cancelled() => return,
        };
        let Some(namespace) = namespace else {
            stop.cancelled().await;
            return;
        };
        stores.each(|object| {
            let phase = object.status.and_then(|status| status.phase);
            let over = matches!(phase, Some(Phase::Succeeded | Phase::SucceededWithFailures));
            // The marker of a pause that ended goes from what is over, too.
            let marked = object.status.is_some_and(|status| is_marked(&status.conditions));
            if (!over || marked) && (namespace.is_none() || object.meta.namespace == namespace) {
                waker.wake(&object.target());
            }
        });
        for event in stores.sync_events.iter().flat_map(Store::state) {
            let status = event.0.as_ref().ok().and_then(|event| event.status.as_ref());
            let marked = status.is_some_and(|status| is_marked(&status.conditions));
            if (!is_over(status) || marked) && (namespace.is_none() || event.namespace() == namespace) {
                waker.wake_sync_event(&event.namespace().unwrap_or_default(), &event.name_any());
            }
        }
    }
}

/// Wakes the unfinished SyncEvents of SyncTasks that changed.
pub(super) async fn wake_sync_events(
    events: Vec<StoreOf<SyncEvent>>,
    waker: Waker,
    mut changed: mpsc::UnboundedReceiver<(String, String)>,
    stop: CancellationToken,
) {
    loop {
        let sync_task = tokio::select! {
            changed = changed.recv() => changed,
            () = stop.cancelled() => return,
        };
        let Some((namespace, name)) = sync_task else {
            stop.cancelled().await;
            return;
        };
        for event in events.iter().flat_map(Store::state) {
            let Ok(event) = &event.0 else { continue };
            if event.namespace().as_deref() == Some(&namespace)
                && event.spec.sync_task_ref.name == name
                && !is_over(event.status.as_ref())
            {
                waker.wake_sync_event(&namespace, &event.name_any());
            }
        }
    }
}
