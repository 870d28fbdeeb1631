//! Copies what events name, while the synchronization task synchronizes.

use std::{
    collections::HashMap,
    sync::{Arc, MutexGuard},
};

use tokio::{
    sync::{Notify, watch},
    task::{AbortHandle, JoinSet},
};

use super::{
    statistics::Verdict,
    task::{SyncKeys, SyncTask},
};
use crate::emulator::{
    mover::{
        Checkpoint, Control, Job, ObjectMover, OverwriteMode, Progress, Settled, Source, TaskType, Window,
    },
    persist::Record,
    service::{Service, State},
    wire::request::has_crc64,
};

/// Objects that one synchronization task copies at the same time.
const WORKERS: usize = 8;

/// What copies the objects of a synchronization task now.
#[derive(Debug)]
pub struct SyncRun {
    control: watch::Sender<Control>,
    /// Whoever copies listens to it.
    _bandwidth: watch::Sender<Vec<Window>>,
    /// Something came into the queue.
    wake: Arc<Notify>,
    abort: AbortHandle,
}

impl SyncRun {
    /// Tells of new objects.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    /// Lets it put down what it has in hand, and end.
    pub fn pause(&self) {
        self.control.send_replace(Control::Pause);
    }

    /// Ends it without a word.
    pub fn abort(&self) {
        self.abort.abort();
    }
}

/// One run: a task from a start to the next stop.
struct Copies {
    service: Arc<Service>,
    id: String,
    /// `None`: the copies cannot be made, and every one of them fails.
    mover: Option<Arc<ObjectMover>>,
    under_way: JoinSet<Settled>,
    numbers: HashMap<tokio::task::Id, u64>,
}

impl Service {
    /// Takes up the queues that a restart interrupted. Called once.
    pub fn resume_sync_runs(self: &Arc<Self>, state: &mut MutexGuard<'_, State>) {
        let interrupted: Vec<String> = state
            .ledger
            .sync
            .newest_first()
            .filter(|task| task.is_synchronizing())
            .map(|task| task.id.clone())
            .collect();
        for id in interrupted {
            self.start_sync_run(state, &id);
        }
    }

    /// Begins to copy what a synchronization task has in its queue, and what will come into it.
    pub fn start_sync_run(self: &Arc<Self>, state: &mut MutexGuard<'_, State>, id: &str) {
        let Some((task, keys)) =
            state.ledger.sync.find(id).and_then(|task| Some((task, task.keys.as_ref()?)))
        else {
            return;
        };
        let control = watch::Sender::new(Control::Run);
        // Neither windows nor progress: there is no operation for the one, and the books tell the other.
        let bandwidth = watch::Sender::new(Vec::new());
        let context = self.context(
            control.subscribe(),
            bandwidth.subscribe(),
            watch::Sender::new(Progress::default()),
            Arc::new(|_: &Checkpoint| ()),
        );
        let mover = self.sync_job(state, task, keys).and_then(|job| ObjectMover::new(&job, &context).ok());
        if mover.is_none() {
            tracing::warn!(task = id, "no store stands for a bucket of a synchronization task");
        }
        let wake = Arc::new(Notify::new());
        let copies = Copies {
            service: Arc::clone(self),
            id: id.to_owned(),
            mover: mover.map(Arc::new),
            under_way: JoinSet::new(),
            numbers: HashMap::new(),
        };
        let run = self.tracker.spawn(copies.make(control.subscribe(), Arc::clone(&wake)));
        let run = SyncRun { control, _bandwidth: bandwidth, wake, abort: run.abort_handle() };
        state.sync_runs.insert(id.to_owned(), run);
    }

    /// What the mover is told for the objects of a synchronization task. `None`: a store is missing.
    fn sync_job(&self, state: &State, task: &SyncTask, keys: &SyncKeys) -> Option<Job> {
        let definition = &task.definition;
        let (cloud, from) = (definition.cloud_type.as_str(), definition.source_region.as_str());
        let (source, destination) = (
            self.stores.find(cloud, from)?,
            self.stores.find("HuaweiCloud", &definition.destination_region)?,
        );
        let name = state.ledger.find(task.task).map(|task| task.name.clone()).unwrap_or_default();
        Some(Job {
            task_id: task.task,
            task_name: name,
            group: None,
            task_type: TaskType::Object,
            source: Source::S3(source.location(from, &definition.source_bucket, keys.source.clone())),
            cdn: self.cdn_source(definition.cdn.as_ref(), keys.cdn.as_ref()).ok()?,
            object_keys: Vec::new(),
            range: None,
            list_file: None,
            destination: destination.location(
                &definition.destination_region,
                &definition.destination_bucket,
                keys.destination.clone(),
            ),
            // The key at the destination is the key at the source, and the mode cannot be chosen.
            save_prefix: String::new(),
            overwrite_mode: OverwriteMode::SizeLastModifiedComparisonOverwrite,
            storage_policy: definition.storage_policy.unwrap_or_default(),
            consistency_check: definition.consistency_check,
            migrate_since: 0,
            enable_metadata_migration: definition.enable_metadata_migration,
            enable_restore: definition.enable_restore,
            enable_failed_object_recording: false,
            requester_pays: false,
            source_has_crc64: has_crc64(cloud),
        })
    }

    /// Carries what became of an object into the books.
    fn book_settled(&self, id: &str, number: u64, settled: &Settled) {
        let now = self.clock.now();
        let mut state = self.state();
        let verdict = match settled {
            Settled::Copied { bytes } => Verdict::Success(*bytes),
            Settled::Skipped => Verdict::Skip,
            // A failure in the last moments may be the end's own doing; it happens again after a restart if not.
            Settled::Failed { .. } if !self.stopping.is_cancelled() => Verdict::Failure,
            Settled::Failed { .. } | Settled::Abandoned => {
                if let Some(task) = state.ledger.sync.find_mut(id) {
                    task.put_back(number);
                }
                // The task may have been started again meanwhile, by a run that saw this object in other hands.
                if let Some(run) = state.sync_runs.get(id) {
                    run.wake();
                }
                return;
            }
        };
        if let Settled::Failed { code, message } = settled {
            tracing::debug!(task = id, code, message, "an object could not be synchronized");
        }
        if state.ledger.sync.settle(id, number, verdict, now) {
            // Still under the lock, so that the log has it before whatever comes after it.
            self.record_lazily(&Record::SyncSettled { id: id.to_owned(), number, verdict, at: now });
        }
        drop(state);
    }
}

impl Copies {
    async fn make(mut self, mut control: watch::Receiver<Control>, wake: Arc<Notify>) {
        let mut ending = false;
        loop {
            while !ending && self.under_way.len() < WORKERS && self.begin() {}
            if ending && self.under_way.is_empty() {
                return;
            }
            tokio::select! {
                Some(joined) = self.under_way.join_next_with_id(), if !self.under_way.is_empty() => {
                    let (id, settled) = match joined {
                        Ok(settled) => settled,
                        Err(error) => (error.id(), Settled::Failed {
                            code: "TRF.0001".to_owned(),
                            message: "The copy of this object ended abnormally".to_owned(),
                        }),
                    };
                    if let Some(number) = self.numbers.remove(&id) {
                        self.service.book_settled(&self.id, number, &settled);
                    }
                }
                () = wake.notified(), if !ending => {}
                _ = control.wait_for(|wish| *wish == Control::Pause), if !ending => ending = true,
            }
        }
    }

    /// Begins with the next object of the queue; tells whether there was one.
    fn begin(&mut self) -> bool {
        let taken = self.service.state().ledger.sync.find_mut(&self.id).and_then(SyncTask::take);
        let Some((number, key)) = taken else { return false };
        let mover = self.mover.clone();
        let copy = self.under_way.spawn(async move {
            match mover {
                Some(mover) => mover.settle(&key).await,
                None => Settled::Failed {
                    code: "TRF.0157".to_owned(),
                    message: "No store stands for a bucket of the task".to_owned(),
                },
            }
        });
        self.numbers.insert(copy.id(), number);
        true
    }
}
