//! The service behind the gateway: what it remembers, and who may change it.

use std::{
    collections::HashMap,
    hash::{BuildHasher as _, Hasher as _, RandomState},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jiff::{SignedDuration, Timestamp};
use tokio::{
    sync::{Notify, watch},
    task::AbortHandle,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    clock::Clock,
    config::{AccessKey, Config, Project},
    faults::Faults,
    journal::Journal,
    ledger::Ledger,
    mover,
    persist::{Log, Record},
    signature::{Authorization, SignatureError, Signed, verify},
    stores::Stores,
    sync::run::SyncRun,
    tasks::{MemberOf, Task, later},
    wire::refusal::{NOT_SAVED, PROJECT_REFUSED, Refusal},
};

/// One emulated OMS, shared by everything that serves it.
#[derive(Debug)]
pub struct Service {
    /// What was configured.
    pub config: Config,
    /// Service time.
    pub clock: Clock,
    /// Where buckets are.
    pub stores: Stores,
    /// Faults in force.
    pub faults: Faults,
    /// Calls so far.
    pub journal: Journal,
    /// Ends everything.
    pub stopping: CancellationToken,
    /// Tells the queue that something changed.
    pub wake: Notify,
    /// Runs under way.
    pub tracker: TaskTracker,
    state: Mutex<State>,
    gate: Mutex<Gate>,
    log: Option<Log>,
}

/// What is under the one lock.
#[derive(Debug, Default)]
pub struct State {
    /// Tasks and quotas.
    pub ledger: Ledger,
    /// What moves objects now, by task.
    pub runs: HashMap<u64, Run>,
    /// What moves objects of synchronization tasks now, by their ID.
    pub sync_runs: HashMap<String, SyncRun>,
}

impl State {
    /// How far a task is, where that is known better than by its checkpoint.
    pub fn progress(&self, task: &Task) -> Option<mover::Progress> {
        match &task.member_of {
            Some(MemberOf::Sync(id)) => {
                let counters = self.ledger.sync.find(id)?.counters();
                Some(mover::Progress { counters, migrate_speed: 0 })
            }
            _ => self.runs.get(&task.id).map(|run| *run.progress.borrow()),
        }
    }
}

/// A run under way.
#[derive(Debug)]
pub struct Run {
    /// Go on, or pause.
    pub control: watch::Sender<mover::Control>,
    /// Windows in force.
    pub bandwidth: watch::Sender<Vec<mover::Window>>,
    /// How far it is.
    pub progress: watch::Receiver<mover::Progress>,
    /// Ends it without a word.
    pub abort: Option<AbortHandle>,
}

#[derive(Debug, Default)]
struct Gate {
    /// Begin of the window and calls in it, by project.
    calls: HashMap<String, (Timestamp, u32)>,
    /// Failed signatures in a row, and the time of the last one, by access key.
    failures: HashMap<String, (u32, Timestamp)>,
}

/// How long an access key stays locked.
const LOCKED: SignedDuration = SignedDuration::from_mins(5);

impl Service {
    /// A service over what the log of an earlier one amounts to.
    pub fn new(
        config: Config,
        clock: Clock,
        stores: Stores,
        log: Option<Log>,
        records: Vec<Record>,
    ) -> Arc<Self> {
        let mut ledger = Ledger::restore(records);
        if let Some(latest) = ledger.latest() {
            clock.advance_to(latest);
        }
        grant_agreements(&config, &mut ledger);
        let service = Self {
            faults: Faults::default(),
            journal: Journal::new(config.limits.journal_entries),
            clock,
            stores,
            stopping: CancellationToken::new(),
            wake: Notify::new(),
            tracker: TaskTracker::new(),
            state: Mutex::new(State { ledger, ..State::default() }),
            gate: Mutex::default(),
            log,
            config,
        };
        service.compact(&service.state());
        Arc::new(service)
    }

    /// The one lock. Never held across an await.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The project with this ID.
    pub fn project(&self, id: &str) -> Option<&Project> {
        self.config.projects.iter().find(|project| project.id == id)
    }

    /// Writes changes that were just made under the lock, so that the log has them in the order in which they
    /// happened. The returned future ends when they are safe.
    pub fn record(
        &self,
        state: &MutexGuard<'_, State>,
        records: &[Record],
    ) -> impl Future<Output = Result<(), Refusal>> + use<> {
        let written = self.log.as_ref().map(|log| log.append(records));
        if self.log.as_ref().is_some_and(Log::wants_compaction) {
            self.compact(state);
        }
        async move {
            match written {
                None => Ok(()),
                Some(written) => match written.await {
                    Ok(Ok(())) => Ok(()),
                    Ok(Err(_)) | Err(_) => Err(NOT_SAVED),
                },
            }
        }
    }

    /// Writes a change whose loss would cost nothing but work.
    pub fn record_lazily(&self, record: &Record) {
        if let Some(log) = &self.log {
            log.append_lazily(record);
        }
    }

    /// Whether anything outlives this process.
    pub fn is_persistent(&self) -> bool {
        self.log.is_some()
    }

    fn compact(&self, state: &MutexGuard<'_, State>) {
        if let Some(log) = &self.log {
            log.compact(&state.ledger.records(self.clock.now()));
        }
    }

    /// Forgets the notifications so far.
    pub fn clear_notifications(&self) {
        let mut state = self.state();
        state.ledger.clear_notifications();
        self.compact(&state);
    }

    /// Forgets everything but clock, stores and what is in them.
    pub fn reset(&self) {
        let mut state = self.state();
        for run in state.runs.values() {
            if let Some(abort) = &run.abort {
                abort.abort();
            }
        }
        state.sync_runs.values().for_each(SyncRun::abort);
        *state = State::default();
        grant_agreements(&self.config, &mut state.ledger);
        self.compact(&state);
        *self.gate() = Gate::default();
        self.faults.clear();
        self.stores.reset_behaviour();
        self.journal.clear();
    }

    /// Waits until everything is written, and writes nothing more.
    pub fn close(&self) {
        if let Some(log) = &self.log {
            log.close();
        }
    }

    /// Checks who calls: signature first, then whether the project is the caller's.
    pub fn authenticate(&self, request: Signed<'_>, project: Option<&str>) -> Result<Caller<'_>, Refusal> {
        let refuse = |error: SignatureError| Refusal::authentication(&error.to_string());
        if request.headers.contains_key("x-auth-token")
            && !request.headers.contains_key(http::header::AUTHORIZATION)
        {
            return Err(Refusal::authentication("decrypt token fail"));
        }
        let authorization = Authorization::read(request.headers).map_err(refuse)?;
        let access = authorization.access_key.as_str();
        let key = self.access_key(access).ok_or_else(|| {
            Refusal::authentication(&format!("Get secretKey failed,ak:{access},err:ak not exist"))
        })?;
        self.check_lock(access)?;
        let result = verify(&authorization, &key.secret, request, self.clock.wall()).and_then(|()| {
            use secrecy::ExposeSecret as _;
            let token = request.headers.get("x-security-token").and_then(|token| token.to_str().ok());
            match &key.security_token {
                Some(wanted) if token != Some(wanted.expose_secret()) => Err(SignatureError::Wrong),
                _ => Ok(()),
            }
        });
        self.count_failure(access, result.is_err());
        result.map_err(refuse)?;
        let caller = Caller { access: key.access.as_str() };
        let Some(id) = project else { return Ok(caller) };
        let own = self.project(id).is_some_and(|project| caller.may_use(project));
        let claimed = request.headers.get("x-project-id");
        if !own || claimed.is_some_and(|claimed| claimed.as_bytes() != id.as_bytes()) {
            return Err(PROJECT_REFUSED);
        }
        self.throttle(id)?;
        Ok(caller)
    }

    fn access_key(&self, access: &str) -> Option<&AccessKey> {
        self.config.projects.iter().flat_map(|project| &project.access_keys).find(|key| key.access == access)
    }

    fn check_lock(&self, access: &str) -> Result<(), Refusal> {
        let Some(most) = self.config.limits.failed_signatures else { return Ok(()) };
        let now = self.clock.now();
        let mut gate = self.gate();
        match gate.failures.get(access) {
            Some((_, last)) if now.duration_since(*last) >= LOCKED => {
                gate.failures.remove(access);
                Ok(())
            }
            Some((count, _)) if *count > most => {
                Err(Refusal::authentication("AK access failed to reach the limit, forbidden"))
            }
            _ => Ok(()),
        }
    }

    fn count_failure(&self, access: &str, failed: bool) {
        let mut gate = self.gate();
        if failed {
            let now = self.clock.now();
            let entry = gate.failures.entry(access.to_owned()).or_insert((0, now));
            *entry = (entry.0.saturating_add(1), now);
        } else {
            gate.failures.remove(access);
        }
    }

    fn throttle(&self, project: &str) -> Result<(), Refusal> {
        let Some(limit) = self.config.limits.gateway else { return Ok(()) };
        let now = self.clock.now();
        let mut gate = self.gate();
        let (since, calls) = gate.calls.entry(project.to_owned()).or_insert((now, 0));
        if later(*since, SignedDuration::from_mins(i64::from(limit.minutes))) <= now {
            (*since, *calls) = (now, 0);
        }
        if *calls >= limit.requests {
            return Err(Refusal::throttled(limit.requests, limit.minutes));
        }
        *calls += 1;
        Ok(())
    }

    fn gate(&self) -> MutexGuard<'_, Gate> {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Who calls.
#[derive(Clone, Copy, Debug)]
pub struct Caller<'a> {
    access: &'a str,
}

impl Caller<'_> {
    /// Whether the caller's key is one of the project's.
    pub fn may_use(&self, project: &Project) -> bool {
        project.access_keys.iter().any(|key| key.access == self.access)
    }
}

fn grant_agreements(config: &Config, ledger: &mut Ledger) {
    if config.behaviour.privacy_agreement_accepted {
        for project in &config.projects {
            ledger.accept_agreement(&project.id);
        }
    }
}

/// Bits that nobody could guess from the last ones. The standard library's hasher seeds are good enough for IDs.
pub fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}
