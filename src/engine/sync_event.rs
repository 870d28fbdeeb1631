//! One pass of a SyncEvent: at most one call with ten keys, or one write of the status.
//!
//! It has nothing of its own at OMS, so it has no finalizer, and its deletion waits for nobody.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use kube::api::{DeleteParams, Preconditions};
use kube::core::DeserializeGuard;
use kube::runtime::reflector::ObjectRef;
use kube::{Api, Resource, ResourceExt};
use tracing::Span;

use super::audit::{self, Cause};
use super::project::Project;
use super::resolve::Resolved;
use super::session::key_of;
use super::{Action, Engine, Error, kubernetes, look, wire};
use crate::api::conditions::{Reason, types};
use crate::api::{ManagementPolicy, Phase, SyncEvent, SyncEventStatus, SyncTask};
use crate::oms::{self, CreateSyncEvents, Urgency};
use crate::plan::seen::{Call, Link, RemoteId, Trouble, TroubleKind};
use crate::plan::situation;
use crate::plan::sync_event::{Plan, Receiver, Step, View, is_over, plan};
use crate::plan::wish::Kind;
use crate::telemetry::{EventKind, traces};

/// The kind, as Kubernetes writes it.
const KIND: &str = "SyncEvent";

/// What one process remembers of a SyncEvent between two passes.
#[derive(Debug, Default)]
struct Memory {
    /// The object as our last write returned it: the cache may lag behind.
    latest: Option<SyncEvent>,
    /// How many keys OMS accepted, and which sync task did, until that is on record.
    told: Option<(usize, RemoteId)>,
    /// What OMS said to the last call, when it was no success.
    trouble: Option<Trouble>,
}

impl Memory {
    fn is_empty(&self) -> bool {
        self.latest.is_none() && self.told.is_none() && self.trouble.is_none()
    }
}

/// Memories by object UID.
#[derive(Debug, Default)]
pub(super) struct SyncEvents(Mutex<HashMap<String, Memory>>);

impl SyncEvents {
    /// Forgets objects that no longer exist.
    pub(super) fn retain(&self, exists: impl Fn(&str) -> bool) {
        self.lock().retain(|uid, _| exists(uid));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Memory>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where the keys go.
struct Place {
    project: Arc<Project>,
    client: oms::Client,
    /// UID of the connection.
    connection: String,
}

/// What a pass has at hand.
struct Pass<'a> {
    engine: &'a Arc<Engine>,
    api: Api<SyncEvent>,
    /// The object, not older than our own last write.
    object: SyncEvent,
    memory: Memory,
    place: Option<Place>,
}

impl Engine {
    /// One pass of a SyncEvent: at most one mutation.
    pub async fn reconcile_sync_event(
        self: &Arc<Self>,
        object: &DeserializeGuard<SyncEvent>,
    ) -> Result<Action, Error> {
        let cached = object.0.as_ref().map_err(|invalid| Error::Undecodable(invalid.error.clone()))?;
        let Some(uid) = cached.uid() else { return Ok(Action::await_change()) };
        let mut memory = self.sync_events.lock().remove(&uid).unwrap_or_default();
        let object = newest(cached, memory.latest.as_ref()).clone();
        if object.resource_version() == cached.resource_version() {
            memory.latest = None;
        }
        let api = Api::namespaced(self.client.clone(), &object.namespace().unwrap_or_default());
        let mut pass = Pass { engine: self, api, object, memory, place: None };
        let (cause, meta) = (Cause::of(&pass.object), pass.object.metadata.clone());
        let name = meta.name.as_deref().unwrap_or_default();
        let span = traces::pass(KIND, meta.namespace.as_deref(), name, meta.generation);
        let result = audit::on_behalf_of(cause, kubernetes::traced(span, Box::pin(pass.run()))).await;
        let mut memory = pass.memory;
        let result = match result {
            Err(error) if error.is_conflict() => {
                // Somebody else wrote first; what OMS accepted is kept in mind and written next time.
                memory.latest = None;
                Ok(Action::requeue(Duration::from_millis(200)))
            }
            Err(error) if error.is_not_found() => return Ok(Action::await_change()),
            result => result,
        };
        if !memory.is_empty() {
            self.sync_events.lock().insert(uid, memory);
        }
        result
    }
}

/// The newer of the cached object and our own last write.
fn newest<'a>(cached: &'a SyncEvent, latest: Option<&'a SyncEvent>) -> &'a SyncEvent {
    let version = |object: &SyncEvent| object.resource_version().and_then(|text| text.parse::<u64>().ok());
    match latest {
        Some(latest) if version(latest) > version(cached) => latest,
        _ => cached,
    }
}

impl Pass<'_> {
    async fn run(&mut self) -> Result<Action, Error> {
        let over = is_over(self.object.status.as_ref()) && self.memory.told.is_none();
        // At its end nothing more is asked of the SyncTask, which may be long gone.
        let asked = self.object.annotations().get(crate::api::RECONCILE_REQUESTED_AT)
            != self.object.status.as_ref().and_then(|status| status.last_handled_reconcile_at.as_ref());
        let receiver = if over && !asked { Receiver::Missing } else { self.receiver().await? };
        let pause = self.engine.pause(&self.object.namespace().unwrap_or_default());
        let now = self.engine.clock.now();
        let plan = plan(&View {
            meta: self.object.meta(),
            spec: &self.object.spec,
            stored: self.object.status.as_ref(),
            now,
            check_interval: self.engine.settings.policy.secret_check_interval,
            pause: pause.as_ref(),
            receiver: &receiver,
            told: self.memory.told.as_ref(),
            trouble: self.memory.trouble.as_ref(),
        });
        self.carry_out(plan, now).await
    }

    /// The SyncTask as the cache has it, and the way to OMS that it uses.
    async fn receiver(&mut self) -> Result<Receiver, Error> {
        let namespace = self.object.namespace().unwrap_or_default();
        let name = ObjectRef::<DeserializeGuard<SyncTask>>::new(&self.object.spec.sync_task_ref.name)
            .within(&namespace);
        let Some(found) = self.engine.stores.sync_tasks.iter().find_map(|store| store.get(&name)) else {
            return Ok(Receiver::Missing);
        };
        if found.meta().deletion_timestamp.is_some() {
            return Ok(Receiver::Leaving);
        }
        let Ok(task) = &found.0 else {
            let message = "the operator cannot read it as a SyncTask".to_owned();
            return Ok(Receiver::Idle { phase: None, message });
        };
        if task.spec.lifecycle.management_policy == ManagementPolicy::Observe {
            let message =
                "its `managementPolicy` is Observe, so it is told nothing; set it to Manage".to_owned();
            let phase = task.status.as_ref().and_then(|status| status.phase);
            return Ok(Receiver::Idle { phase, message });
        }
        let status = task.status.clone().unwrap_or_default();
        let id = status.task_id.as_deref().and_then(|id| RemoteId::recorded(Kind::SyncTask, id));
        let (Some(id), Some(pinned), Some(Phase::Synchronizing)) = (id, &status.connection, status.phase)
        else {
            let ready = situation::find(&status.conditions, types::READY);
            let message = ready.map(|ready| ready.message.clone()).unwrap_or_default();
            return Ok(Receiver::Idle { phase: status.phase, message });
        };
        let unreachable = |reason, message| Ok(Receiver::Unreachable { reason, message });
        match self.engine.resolve(task).await? {
            Resolved::NotYet => {
                unreachable(Reason::Connecting, "The connection has not been tried yet".to_owned())
            }
            Resolved::Link(Link::Up(_), Some(session)) => {
                let project = self.engine.projects.get(&key_of(pinned));
                match session.client_for(&project) {
                    Ok(client) => {
                        self.place = Some(Place { project, client, connection: session.pinned.uid.clone() });
                        Ok(Receiver::Ready(id))
                    }
                    Err(error) => unreachable(
                        Reason::EndpointUnreachable,
                        format!("No client can be made for {}: {error}", pinned.endpoint),
                    ),
                }
            }
            Resolved::Link(Link::Down { reason, message }, _) => unreachable(reason, message),
            Resolved::Link(Link::Up(_), None) => {
                unreachable(Reason::ConnectionNotReady, "The connection has no session".to_owned())
            }
        }
    }

    /// Does what the plan says: a write of the status first, then the one call.
    async fn carry_out(&mut self, plan: Plan, now: Timestamp) -> Result<Action, Error> {
        if !(self.engine.settings.leads)() {
            return Ok(self.after(Duration::from_secs(1)));
        }
        let step = match plan.step {
            Step::Rest => "Rest",
            Step::Delete => "Delete",
            Step::Send(..) => "Send",
        };
        traces::step(&Span::current(), step);
        if plan.status != self.object.status.clone().unwrap_or_default() {
            return self.write(plan.status).await;
        }
        match plan.step {
            Step::Rest => Ok(plan.look_again.map_or_else(Action::await_change, |span| self.after(span))),
            Step::Delete => {
                let preconditions = Preconditions {
                    uid: self.object.uid(),
                    resource_version: self.object.resource_version(),
                };
                let params =
                    DeleteParams { preconditions: Some(preconditions), ..DeleteParams::background() };
                let name = self.object.name_any();
                let deleted = kubernetes::bounded(self.api.delete(&name, &params), |source| Error::Write {
                    what: "the deletion",
                    source,
                });
                kubernetes::traced(traces::write(KIND, "delete"), deleted).await?;
                self.engine.metrics.kubernetes_write(KIND, "delete");
                self.memory = Memory::default();
                Ok(Action::await_change())
            }
            Step::Send(id, range) => {
                self.send(&id, range, now).await;
                Ok(Action::requeue(Duration::ZERO))
            }
        }
    }

    /// Tells OMS of some keys. What comes of it is remembered, and put on record by the next pass.
    async fn send(&mut self, id: &RemoteId, range: std::ops::Range<usize>, now: Timestamp) {
        let (Some(place), Some(keys)) = (&self.place, self.object.spec.object_keys.get(range.clone())) else {
            return;
        };
        let request = CreateSyncEvents { object_keys: keys.to_vec() };
        let status = self.object.status.as_ref();
        let told = status.and_then(|status| situation::find(&status.conditions, types::READY));
        audit::because("Send", told.map(|ready| ready.reason.as_str()));
        match place.client.create_sync_events(id.as_str(), &request, Urgency::Create).await {
            Ok(()) => {
                self.memory.told = Some((range.end, id.clone()));
                self.memory.trouble = None;
                self.engine.metrics.sync_keys(range.len());
            }
            Err(error) => {
                let trouble = wire::trouble(Call::Events, &error, self.memory.trouble.as_ref(), now);
                tracing::info!(
                    kind = KIND,
                    namespace = self.object.namespace(),
                    name = self.object.name_any(),
                    class = error.class().as_str(),
                    code = error.code(),
                    request_id = error.request_id(),
                    error = %error,
                    "OMS did not take keys"
                );
                if wire::is_about_credentials(&error) {
                    self.engine.distrust(&place.connection);
                }
                if trouble.kind == TroubleKind::Conflict {
                    // It stands otherwise than its object says: the look wakes that, and its new status wakes us.
                    let (kind, clock) = (Kind::SyncTask, &self.engine.clock);
                    let (watched, waker) = (place.project.of(kind), (&self.engine.waker, None));
                    let looked =
                        look::show(kind, watched, &place.client, id, clock, Urgency::User, waker).await;
                    if let Err(error) = looked {
                        tracing::debug!(error = %error, "the look at the sync task failed");
                    }
                }
                self.memory.trouble = Some(trouble);
            }
        }
    }

    async fn write(&mut self, status: SyncEventStatus) -> Result<Action, Error> {
        let mut changed = self.object.clone();
        changed.status = Some(status);
        let stored = kubernetes::replace_status(self.engine, &self.api, &changed).await?;
        self.engine.metrics.kubernetes_write(KIND, "update_status");
        if stored.status != changed.status {
            return Err(Error::Pruned(KIND));
        }
        self.memory.told = None;
        let handled = |object: &SyncEvent| {
            object.status.as_ref().and_then(|status| status.last_handled_reconcile_at.clone())
        };
        if handled(&stored) != handled(&self.object) || is_over(stored.status.as_ref()) {
            // Somebody asked for a look now, or nothing more is to come.
            self.memory.trouble = None;
        }
        let phase = |object: &SyncEvent| object.status.as_ref().and_then(|status| status.phase);
        if let Some(phase) = phase(&stored).filter(|now| phase(&self.object) != Some(*now)) {
            self.engine.metrics.phase_changed(KIND, phase.as_str());
        }
        self.report(&stored);
        self.memory.latest = Some(stored);
        Ok(Action::requeue(Duration::ZERO))
    }

    /// An event when the reason of `Ready` changed.
    fn report(&self, stored: &SyncEvent) {
        let ready = |object: &SyncEvent| {
            let status = object.status.as_ref()?;
            situation::find(&status.conditions, types::READY).cloned()
        };
        let Some(now) = ready(stored) else { return };
        if ready(&self.object).is_some_and(|then| then.reason == now.reason && then.status == now.status) {
            return;
        }
        tracing::info!(
            kind = KIND,
            namespace = stored.namespace(),
            name = stored.name_any(),
            reason = now.reason,
            "the SyncEvent is in another situation"
        );
        let calm = [Reason::SendingEvents, Reason::EventsAccepted, Reason::SyncTaskNotSynchronizing];
        let calm = calm.iter().any(|reason| reason.as_str() == now.reason);
        let kind = if calm { EventKind::Normal } else { EventKind::Warning };
        self.engine.events.publish(&stored.object_ref(&()), kind, &now.reason, "Reconcile", now.message);
    }

    /// Runs again after a span of the engine's clock.
    fn after(&self, span: Duration) -> Action {
        Action::requeue(self.engine.clock.real(span) + Duration::from_millis(5))
    }
}
