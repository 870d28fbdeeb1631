//! The service behind the gateway: what it remembers, and who may change it.

use std::{
    collections::HashMap,
    hash::{BuildHasher as _, Hasher as _, RandomState},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{
    sync::{Notify, watch},
    task::AbortHandle,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    attempts::Attempts,
    clock::Clock,
    config::{Config, Project},
    faults::Faults,
    identity::{caller::Gate, issued::Issued},
    journal::Journal,
    ledger::Ledger,
    mover,
    persist::{Log, Record},
    stores::Stores,
    sync::run::SyncRun,
    tasks::{MemberOf, Task},
    wire::refusal::{NOT_SAVED, Refusal},
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
    /// Checks of somebody else's keys that failed.
    pub attempts: Attempts,
    /// Calls so far.
    pub journal: Journal,
    /// Ends everything.
    pub stopping: CancellationToken,
    /// Tells the queue that something changed.
    pub wake: Notify,
    /// Runs under way.
    pub tracker: TaskTracker,
    state: Mutex<State>,
    pub(super) gate: Gate,
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
    /// Tokens and temporary keys.
    pub issued: Issued,
    /// The access key that nodes and pods have now.
    pub node_key: Option<String>,
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

impl Service {
    /// A service over what the log of an earlier one amounts to.
    pub fn new(
        config: Config,
        clock: Clock,
        stores: Stores,
        log: Option<Log>,
        records: Vec<Record>,
    ) -> Arc<Self> {
        let mut issued = Issued::default();
        for record in &records {
            if let Record::Identity(change) = record {
                issued.restore((**change).clone());
            }
        }
        let mut ledger = Ledger::restore(records);
        if let Some(latest) = ledger.latest() {
            clock.advance_to(latest);
        }
        grant_agreements(&config, &mut ledger);
        let service = Self {
            faults: Faults::default(),
            attempts: Attempts::default(),
            journal: Journal::new(config.limits.journal_entries),
            clock,
            stores,
            stopping: CancellationToken::new(),
            wake: Notify::new(),
            tracker: TaskTracker::new(),
            state: Mutex::new(State { ledger, issued, ..State::default() }),
            gate: Gate::default(),
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
            let mut records = state.ledger.records(self.clock.now());
            let identity = state.issued.changes().into_iter();
            records.extend(identity.map(|change| Record::Identity(Box::new(change))));
            log.compact(&records);
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
        self.gate.clear();
        self.faults.clear();
        self.stores.reset_behaviour();
        self.attempts.clear();
        self.journal.clear();
    }

    /// Waits until everything is written, and writes nothing more.
    pub fn close(&self) {
        if let Some(log) = &self.log {
            log.close();
        }
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
