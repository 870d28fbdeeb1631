//! One pass of an object that has something of its own at OMS.

mod act;
mod keys;
mod kind;
mod line;
mod members;
mod preflight;
mod report;
mod sync_task;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use kube::core::DeserializeGuard;
use kube::{Api, ResourceExt};
use tracing::Span;

pub use self::kind::Transfer;
use super::audit::{self, Cause};
use super::memory::Memory;
use super::project::Project;
use super::resolve::Resolved;
use super::session::{Session, key_of};
use super::wake::Target;
use super::watched::{Sight, Watched};
use super::wire::TransferKeys;
use super::{Action, Engine, Error, kubernetes, look, remote};
use crate::api::conditions::{Reason, types};
use crate::api::{self, TransferStatus};
use crate::oms::{self, Urgency};
use crate::plan::cadence::spread;
use crate::plan::claims::Claim;
use crate::plan::facts::differences;
use crate::plan::queue::Turn;
use crate::plan::seen::{Call, Candidate, Described, Keys, Link, Remote, RemoteId, Search, Trouble};
use crate::plan::token::ObjectMark;
use crate::plan::transfer::{
    LookAgain, Plan, Step, View, is_over, may_be_mended_by_keys, of_present_run, plan,
};
use crate::telemetry::{EventKind, traces};

/// Looks that one pass may need before it can decide: keys, the task, the one to adopt, the scan, the line, and one to
/// spare.
const LOOKS: usize = 6;

/// How long a place in the line stays as it was told.
const PLACE_INTERVAL: Duration = Duration::from_mins(1);

/// How long progress may stay below the next step without being stored.
const PROGRESS_INTERVAL: Duration = Duration::from_mins(5);

/// What a pass has at hand.
struct Pass<'a, K> {
    engine: &'a Arc<Engine>,
    api: Api<K>,
    /// The object, not older than our own last write.
    object: K,
    mark: ObjectMark,
    memory: Memory<K>,
    link: Link,
    session: Option<Box<Session>>,
    /// Project and client of what the task is pinned to, or would be.
    place: Option<(Arc<Project>, oms::Client)>,
    keys: Keys,
    /// The task of `spec.adopt`, and when the look at it began.
    candidate: (Candidate, Timestamp),
    /// The keys themselves, for this pass only.
    sendable: Option<TransferKeys>,
    /// Whether quotas let it create now, when that was asked.
    turn: Option<Turn>,
}

impl Engine {
    /// One pass of an object: at most one mutation.
    pub async fn reconcile<K: Transfer>(
        self: &Arc<Self>,
        object: &DeserializeGuard<K>,
    ) -> Result<Action, Error> {
        let cached = object.0.as_ref().map_err(|invalid| Error::Undecodable(invalid.error.clone()))?;
        let Some(uid) = cached.uid() else { return Ok(Action::await_change()) };
        let memories = K::memories(self);
        let mut memory = memories.take(&uid);
        let object = newest(cached, memory.latest.as_ref()).clone();
        if object.resource_version() == cached.resource_version() && memory.latest.take().is_some() {
            // The cache has caught up, and a connection that looked for its users before sees this one now.
            if let Some(pinned) = object.status().and_then(|status| status.connection.as_ref()) {
                self.stores.wake_unprotected(pinned, object.namespace(), &self.waker);
            }
        }
        let mut pass = Pass {
            engine: self,
            api: Api::namespaced(self.client.clone(), &object.namespace().unwrap_or_default()),
            mark: ObjectMark::new(&self.settings.cluster_id, K::KIND.as_str(), &uid),
            object,
            memory,
            link: Link::Down { reason: Reason::Connecting, message: String::new() },
            session: None,
            place: None,
            keys: Keys::NotRead,
            candidate: (Candidate::NotRead, self.clock.now()),
            sendable: None,
            turn: None,
        };
        let cause = Cause::of(&pass.object);
        let span = pass.span();
        let result = audit::on_behalf_of(cause, kubernetes::traced(span, Box::pin(pass.run()))).await;
        let mut memory = pass.memory;
        match &result {
            Err(error) if error.is_conflict() => {
                // Somebody else wrote first. What we hold is old; the watch brings the newer one.
                memory.latest = None;
                memories.keep(&uid, memory);
                return Ok(Action::requeue(Duration::from_millis(200)));
            }
            Err(error) if error.is_not_found() => return Ok(Action::await_change()),
            _ => {}
        }
        if !memory.is_empty() {
            memories.keep(&uid, memory);
        }
        result
    }
}

/// When the create of a task was about to be sent.
fn sent_at(object: &impl Transfer) -> Option<Timestamp> {
    object.status()?.create.as_ref()?.sent_at.as_ref().map(|at| at.0)
}

/// The newer of the cached object and our own last write.
fn newest<'a, K: Transfer>(cached: &'a K, latest: Option<&'a K>) -> &'a K {
    // Resource versions of one kind can be compared as numbers (Kubernetes 1.35 guarantees it, earlier ones do it).
    let version = |object: &K| object.resource_version().and_then(|version| version.parse::<u64>().ok());
    match latest {
        Some(latest) if version(latest) > version(cached) => latest,
        _ => cached,
    }
}

impl<K: Transfer> Pass<'_, K> {
    fn span(&self) -> Span {
        let meta = self.object.meta();
        let name = meta.name.as_deref().unwrap_or_default();
        traces::pass(K::KIND.as_str(), meta.namespace.as_deref(), name, meta.generation)
    }

    async fn run(&mut self) -> Result<Action, Error> {
        if self.is_settled() {
            return self.rest_settled().await;
        }
        match self.engine.resolve(&self.object).await? {
            Resolved::NotYet => return Ok(self.after(Duration::from_secs(5))),
            Resolved::Link(link, session) => {
                self.link = link;
                self.session = session;
            }
        }
        self.find_place().await;
        self.heed_request();
        self.hold_turn();
        self.look_for_rotation().await?;
        for _ in 0..LOOKS {
            let now = self.engine.clock.now();
            let plan = self.plan(now);
            match plan.step {
                Step::ReadKeys => self.read_keys().await?,
                Step::LineUp => self.line_up(now),
                Step::Check { .. } if plan.status != self.stored_status() => {
                    return self.write_status(plan, now).await;
                }
                Step::Check { check, subject } => return Ok(self.check(check, subject, now).await),
                Step::Show => {
                    if let Some(wait) = self.held_look(now) {
                        return Ok(self.after(wait));
                    }
                    self.show().await;
                }
                Step::Describe => {
                    if let Some(wait) = self.held_look(now) {
                        return Ok(self.after(wait));
                    }
                    self.describe(now).await;
                }
                Step::CountMembers => self.count_members().await,
                Step::Search => {
                    let Some(trouble) = self.scan_trouble(now) else {
                        self.join_scan();
                        // The scan wakes us; should that get lost, we look ourselves.
                        return self.tell_and_wait(plan, Duration::from_mins(1), now).await;
                    };
                    let wait = Duration::try_from(trouble.retry_at.duration_since(now)).unwrap_or_default();
                    if self.memory.trouble.as_ref() == Some(&trouble) {
                        return self.tell_and_wait(plan, wait, now).await;
                    }
                    // What it means for this object is the plan's to say.
                    self.memory.trouble = Some(trouble);
                }
                _ => return self.carry_out(plan, now).await,
            }
        }
        Ok(self.after(Duration::from_secs(1)))
    }

    /// Whether nothing is left to look at: the task is over and nobody wants anything of it.
    fn is_settled(&self) -> bool {
        let status = self.object.status();
        let recorded = status.is_some_and(|status| status.task_id.is_some());
        recorded && is_over(self.object.meta(), &self.object.wish(), status) && !self.is_deleted()
    }

    fn is_deleted(&self) -> bool {
        self.object.meta().deletion_timestamp.is_some()
    }

    /// A settled task costs no call to OMS; only a changed spec is told in status.
    async fn rest_settled(&mut self) -> Result<Action, Error> {
        let now = self.engine.clock.now();
        if let Some(id) = self.remote_id()
            && let Some(pinned) = self.object.status().and_then(|status| status.connection.as_ref())
        {
            self.engine.projects.get(&key_of(pinned)).of(K::KIND).untrack(&id, &self.uid());
        }
        // What is at rest needs no memory but our own last write, and what its Secrets were.
        self.memory = Memory {
            latest: self.memory.latest.take(),
            keys_checked: std::mem::take(&mut self.memory.keys_checked),
            ..Memory::default()
        };
        let mends = |status: &TransferStatus| may_be_mended_by_keys(status, &self.object.wish());
        if self.object.status().is_some_and(mends)
            && let Resolved::Link(_, session) = self.engine.resolve(&self.object).await?
        {
            self.session = session;
            self.look_for_rotation().await?;
        }
        let plan = self.plan(now);
        self.carry_out(plan, now).await
    }

    async fn find_place(&mut self) {
        let pinned = match (self.object.status(), &self.link) {
            (Some(status), _) if status.connection.is_some() => status.connection.clone(),
            (_, Link::Up(up)) => Some(up.pinned.clone()),
            _ => None,
        };
        let (Some(pinned), Some(session)) = (pinned, &self.session) else { return };
        let project = self.engine.projects.get(&key_of(&pinned));
        match session.client_for(&project) {
            // A clean-up looks for itself, and tries what it has.
            Ok(client) if self.is_deleted() || Arc::ptr_eq(&project, &session.project) => {
                self.place = Some((project, client));
            }
            Ok(client) => {
                if let Err(message) = self.engine.join_elsewhere(session, &project, &client).await {
                    self.link = Link::Down { reason: Reason::ConnectionNotReady, message };
                }
                self.place = Some((project, client));
            }
            Err(error) => {
                let message = format!("No client can be made for {}: {error}", pinned.endpoint);
                self.link = Link::Down { reason: Reason::EndpointUnreachable, message };
            }
        }
        if let (Some(id), Some(watched)) = (self.remote_id(), self.watched()) {
            watched.track(&id, &self.uid(), &self.target());
        }
    }

    /// Somebody who asks for a look gets what OMS says now: what the poll brings may be minutes old.
    fn heed_request(&mut self) {
        let requested = self.object.annotations().get(api::RECONCILE_REQUESTED_AT);
        let handled = self.object.status().and_then(|status| status.last_handled_reconcile_at.as_ref());
        if self.remote_id().is_none() || requested == handled {
            self.memory.asked = None;
        } else if self.memory.asked.as_ref() != requested {
            self.memory.asked = requested.cloned();
            self.memory.stale_from = Some(self.engine.clock.now());
        }
    }

    fn remote_id(&self) -> Option<RemoteId> {
        RemoteId::recorded(K::KIND, self.object.status()?.task_id.as_deref()?)
    }

    /// What is seen of the tasks of this kind, where this object's is or would be.
    fn watched(&self) -> Option<&Watched> {
        self.place.as_ref().map(|(project, _)| project.of(K::KIND))
    }

    fn target(&self) -> Target {
        Target::of(&self.object)
    }

    fn stored_status(&self) -> TransferStatus {
        self.object.status().cloned().unwrap_or_default()
    }

    fn plan(&mut self, now: Timestamp) -> Plan {
        let remote = self.remote(now);
        let search = self.search();
        let siblings = match (self.remote_id(), self.watched()) {
            (Some(id), Some(watched)) => watched.siblings(&self.mark, &id),
            _ => Vec::new(),
        };
        let pause = self.engine.pause(&self.object.namespace().unwrap_or_default());
        let claims = self.claims();
        let memory = &self.memory;
        let progress_due = memory.progress_at.is_none_or(|at| {
            Duration::try_from(now.duration_since(at)).unwrap_or_default() >= PROGRESS_INTERVAL
        });
        plan(&View {
            meta: self.object.meta(),
            wish: &self.object.wish(),
            stored: self.object.status(),
            now,
            policy: &self.engine.settings.policy,
            mark: &self.mark,
            link: &self.link,
            keys: &self.keys,
            remote: &remote,
            search: &search,
            candidate: &self.candidate.0,
            claims: &claims,
            siblings: &siblings,
            created: memory.created.as_ref(),
            permit: memory.permit,
            started_again_at: memory.started_again_at,
            trouble: memory.trouble.as_ref(),
            turn: self.turn.as_ref(),
            findings: &memory.findings,
            pause: pause.as_ref(),
            place_due: memory.place_at.is_none_or(|at| {
                Duration::try_from(now.duration_since(at)).unwrap_or_default() >= PLACE_INTERVAL
            }),
            census: self.census(),
            progress_due,
        })
    }

    fn remote(&self, now: Timestamp) -> Remote {
        let (Some(id), Some(watched)) = (self.remote_id(), self.watched()) else { return Remote::Pending };
        let sight = watched.sight(&id);
        if look::is_stale(sight.as_ref().map(|(_, at)| *at), self.memory.stale_from, now) {
            return Remote::Stale;
        }
        match sight {
            Some((Sight::Task(task), _)) => Remote::Known(task),
            Some((Sight::Gone, _)) => Remote::Gone,
            None if self.is_deleted() => Remote::Stale,
            None => Remote::Pending,
        }
    }

    fn search(&mut self) -> Search {
        let Some(watched) = self.watched() else { return Search::None };
        let scan = watched.scan();
        let intent = self.object.status().and_then(|status| status.create.as_ref());
        let deleted_at = self.object.meta().deletion_timestamp.as_ref().map(|at| at.0);
        // A search serves what was intended, or deleted, before it began.
        let wanted = intent.map(|intent| intent.started_at.0).or(deleted_at);
        match scan {
            Some(scan) if wanted.is_some_and(|wanted| scan.started_at > wanted) => {
                let found = scan.by_mark.of(&self.mark).to_vec();
                let found = of_present_run(self.object.status(), found);
                if self.memory.trouble.as_ref().is_some_and(|trouble| trouble.call == Call::Look) {
                    self.memory.trouble = None;
                }
                let empty = &mut self.memory.empty_scans;
                if !found.is_empty() {
                    empty.clear();
                } else if empty.last().is_none_or(|last| *last < scan.started_at) {
                    empty.push(scan.started_at);
                    let surplus = empty.len().saturating_sub(8);
                    empty.drain(..surplus);
                }
                Search::Done { started_at: scan.started_at, found, empty: empty.clone() }
            }
            _ => Search::None,
        }
    }

    /// Why the search has to wait: the last one of the project failed.
    fn scan_trouble(&self, now: Timestamp) -> Option<Trouble> {
        self.watched().and_then(|watched| watched.scan_trouble(now))
    }

    /// Writes the status where it differs, else waits.
    async fn tell_and_wait(&mut self, plan: Plan, wait: Duration, now: Timestamp) -> Result<Action, Error> {
        if plan.status == self.stored_status() {
            return Ok(self.after(wait));
        }
        self.write_status(plan, now).await
    }

    /// How long a look waits after one that failed.
    fn held_look(&self, now: Timestamp) -> Option<Duration> {
        let trouble = self.memory.trouble.as_ref().filter(|trouble| trouble.call == Call::Look)?;
        Duration::try_from(trouble.retry_at.duration_since(now)).ok().filter(|wait| !wait.is_zero())
    }

    fn join_scan(&mut self) {
        let (Some((project, client)), Some(session)) = (&self.place, &self.session) else { return };
        if project.of(K::KIND).join_scan(self.target()) {
            let connection = session.pinned.uid.clone();
            let place = (Arc::clone(project), K::KIND);
            look::spawn_scan(Arc::clone(self.engine), place, client.clone(), connection);
        }
    }

    async fn show(&mut self) {
        let (Some(id), Some((project, client))) = (self.remote_id(), self.place.clone()) else { return };
        let watched = project.of(K::KIND);
        let (clock, own) = (&self.engine.clock, self.target());
        let woken = (&self.engine.waker, Some(&own));
        match look::show(K::KIND, watched, &client, &id, clock, Urgency::User, woken).await {
            Ok(()) => {
                self.clear_trouble(Call::Look);
                if matches!(watched.sight(&id), Some((Sight::Gone, _))) {
                    watched.forget_sibling(&self.mark, &id);
                }
            }
            Err(error) => self.note_trouble(Call::Look, &error, self.engine.clock.now()),
        }
    }

    /// What other objects have to do with the task that this one adopts.
    fn claims(&self) -> Vec<Claim> {
        let (Some(id), Some((project, _))) = (self.object.adopt(), &self.place) else { return Vec::new() };
        let Some(id) = RemoteId::recorded(K::KIND, id) else { return Vec::new() };
        // What was seen of it is kept as OMS writes its ID.
        let id = self.remote_id().filter(|recorded| recorded.is_written(id.as_str())).unwrap_or(id);
        let seen = self.watched().and_then(|watched| watched.sight(&id));
        let token = match (&self.candidate.0, &seen) {
            (Candidate::Found(found), _) => found.task.token.as_ref(),
            (_, Some((Sight::Task(task), _))) => task.token.as_ref(),
            _ => None,
        };
        self.engine.claims::<K>(project.key(), &id, token)
    }

    /// Reads the task of `spec.adopt` in full.
    async fn describe(&mut self, now: Timestamp) {
        let (Some(id), Some((_, client))) = (self.object.adopt(), self.place.clone()) else { return };
        let Some(id) = RemoteId::recorded(K::KIND, id) else {
            self.candidate = (Candidate::Unknown, now);
            return;
        };
        match remote::describe(K::KIND, &client, &id, Urgency::User).await {
            Ok((task, part_of, found)) => {
                let differences = differences(&self.object.facts(), &found);
                self.candidate = (Candidate::Found(Box::new(Described { task, part_of, differences })), now);
                self.clear_trouble(Call::Look);
            }
            Err(error) if remote::is_gone(K::KIND, &error) => {
                self.candidate = (Candidate::Unknown, now);
                self.clear_trouble(Call::Look);
            }
            Err(error) => self.note_trouble(Call::Look, &error, self.engine.clock.now()),
        }
    }

    /// Does what the plan says, in its order: finalizer, status, the one call.
    async fn carry_out(&mut self, plan: Plan, now: Timestamp) -> Result<Action, Error> {
        if !(self.engine.settings.leads)() {
            // A process that was frozen may have lost the lease without having noticed.
            return Ok(self.after(Duration::from_secs(1)));
        }
        self.leave_line(&plan);
        traces::step(&Span::current(), plan.step.name());
        match &plan.step {
            Step::AddFinalizer => {
                let mut finalizers = self.object.finalizers().to_vec();
                finalizers.push(api::FINALIZER.into());
                self.memory.latest = Some(
                    kubernetes::set_finalizers(self.engine, &self.api, &self.object, &finalizers).await?,
                );
                self.engine.metrics.kubernetes_write(K::KIND.as_str(), "patch");
                return Ok(Action::requeue(Duration::ZERO));
            }
            Step::RemoveFinalizer { abandoned } => {
                let finalizers: Vec<_> = self
                    .object
                    .finalizers()
                    .iter()
                    .filter(|finalizer| *finalizer != api::FINALIZER)
                    .cloned()
                    .collect();
                kubernetes::set_finalizers(self.engine, &self.api, &self.object, &finalizers).await?;
                self.engine.metrics.kubernetes_write(K::KIND.as_str(), "patch");
                if let (Some(id), Some(watched)) = (self.remote_id(), self.watched()) {
                    watched.untrack(&id, &self.uid());
                }
                if let Some(left) = abandoned {
                    report::abandoned(self.engine, &self.object, left);
                }
                return Ok(Action::await_change());
            }
            _ => {}
        }
        if plan.status != self.stored_status() {
            return self.write_status(plan, now).await;
        }
        match plan.step {
            Step::Rest => Ok(self.look_again(plan.look_again, now)),
            step => {
                self.act(&step, now).await;
                if !matches!(step, Step::Create(_)) {
                    self.memory.stale_from = Some(self.engine.clock.now());
                }
                let after = plan.look_again.map_or(Duration::ZERO, |again| again.after);
                Ok(self.after(after))
            }
        }
    }

    async fn write_status(&mut self, plan: Plan, now: Timestamp) -> Result<Action, Error> {
        let sent_before = sent_at(&self.object);
        let mut changed = self.object.clone();
        *changed.status_mut() = Some(plan.status);
        let stored = kubernetes::replace_status(self.engine, &self.api, &changed).await?;
        self.engine.metrics.kubernetes_write(K::KIND.as_str(), "update_status");
        if stored.status() != changed.status() {
            // Else it would be written again and again, and a mark that is not on record protects nothing.
            return Err(Error::Pruned(K::KIND.as_str()));
        }
        if sent_at(&stored) != sent_before {
            // Only the process that wrote `sentAt` may send, and only once.
            self.memory.permit = sent_at(&stored);
        }
        let progress = |object: &K| object.status().and_then(|status| status.progress.clone());
        let intends = |object: &K| object.status().is_some_and(|status| status.create.is_some());
        if intends(&stored) && !intends(&self.object) {
            // A new intent starts with a clean slate: what was refused before may have been mended.
            self.memory.refused = self.memory.trouble.take();
        }
        let sent_keys = |object: &K| object.status().map(|status| status.observed_credentials.clone());
        if sent_keys(&stored) != sent_keys(&self.object)
            && self.memory.trouble.as_ref().is_some_and(Trouble::may_be_mended_by_keys)
        {
            // Other keys go out next: what was said of the old ones no longer counts.
            self.memory.trouble = None;
        }
        let statistics = |object: &K| object.status().and_then(|status| status.statistics.clone());
        if statistics(&stored) != statistics(&self.object) {
            self.memory.progress_at = Some(now);
        }
        if let (Candidate::Found(found), at) = &self.candidate
            && let (None, Some(watched)) = (self.remote_id(), self.watched())
            && stored.status().is_some_and(|status| status.task_id.as_deref() == Some(found.task.id.as_str()))
        {
            // What was adopted has been looked at just now.
            let sight = Sight::Task(Box::new(found.task.clone()));
            watched.record(&found.task.id, sight, *at, &self.engine.waker, Some(&self.target()));
        }
        let (fresh, old) = (progress(&stored), progress(&self.object));
        if fresh != old {
            self.memory.progress_at = Some(now);
            report::transferred(self.engine, K::KIND, old.unwrap_or_default(), fresh.unwrap_or_default());
        }
        let pinned = |object: &K| object.status().and_then(|status| status.connection.clone());
        if let Some(pinned) = pinned(&stored).filter(|now| pinned(&self.object).as_ref() != Some(now)) {
            // It is used from now on, and protects itself; if the caches do not tell it yet, once they do.
            self.engine.waker.wake_connection(pinned.kind, &pinned.name, stored.namespace());
        }
        if stored.status().is_some_and(|status| status.task_id.is_some()) {
            self.memory.created = None;
        }
        let checked = |object: &K| object.status().and_then(|status| status.preflight.clone());
        if checked(&stored) != checked(&self.object) {
            self.memory.findings.clear();
        }
        let place = |object: &K| object.status().and_then(|status| status.queue.clone());
        if place(&stored) != place(&self.object) {
            self.memory.place_at = place(&stored).map(|_| now);
        }
        let recorded = |object: &K| object.status().and_then(|status| status.task_id.clone());
        if recorded(&stored) != recorded(&self.object)
            && let (Some(id), Some(watched)) = (self.remote_id(), self.watched())
        {
            // Another attempt, another run, or the next record to delete.
            watched.untrack(&id, &self.uid());
            self.memory.started_again_at = None;
        }
        report::phase(self.engine, &self.object, &stored);
        report::transition(self.engine, &self.object, &stored);
        report::notification(self.engine, &self.object, &stored);
        report::oversized(self.engine, &self.object, &stored);
        report::told(self.engine, &self.object, &stored, types::DRIFTED, EventKind::Warning);
        report::told(self.engine, &self.object, &stored, types::ADOPTED, EventKind::Normal);
        report::told(self.engine, &self.object, &stored, types::CREDENTIALS_EXPIRING, EventKind::Warning);
        report::members(self.engine, &self.object, &stored);
        self.memory.latest = Some(stored);
        Ok(Action::requeue(Duration::ZERO))
    }

    fn look_again(&mut self, again: Option<LookAgain>, now: Timestamp) -> Action {
        match again {
            None => Action::await_change(),
            Some(again) => {
                if again.fresh {
                    self.memory.stale_from = Some(now + again.after);
                }
                self.after(again.after)
            }
        }
    }

    /// Runs again after a span of the engine's clock.
    fn after(&self, span: Duration) -> Action {
        // A little longer, so that what is due then is due.
        let uid = self.object.meta().uid.as_deref().unwrap_or_default();
        let real = self.engine.clock.real(spread(uid, span));
        Action::requeue(if span.is_zero() { real } else { real + Duration::from_millis(5) })
    }
}
