//! Lets waiting tasks run, and carries what becomes of them into the ledger.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use secrecy::SecretString;
use tokio::sync::watch;

use super::{
    cdn::sign::Scheme,
    clock::Clock,
    mover::{self, CdnSource, Checkpoint, Control, Job, Outcome, Progress, Source},
    persist::Record,
    service::{Run, Service, State},
    sync::run::SyncRun,
    tasks::{Failure, MemberOf, Status, Task, later, milliseconds},
    wire::{
        bandwidth::BandwidthWindow,
        request::{Cdn, Definition, TaskKeys, has_crc64},
    },
};

/// How long a clean end waits for running tasks to put down where they are.
const FAREWELL: Duration = Duration::from_secs(5);

impl Service {
    /// Takes up what a restart interrupted. Called once.
    pub fn resume_runs(self: &Arc<Self>) {
        let mut state = self.state();
        let interrupted: Vec<u64> = state
            .ledger
            .active()
            .filter(|task| task.status == Status::Running && !task.belongs_to_sync())
            .map(|task| task.id)
            .collect();
        for id in interrupted {
            self.start_run(&mut state, id);
        }
        self.resume_sync_runs(&mut state);
        self.resume_groups(&state);
    }

    /// Serves the queue until the service stops.
    pub async fn serve_queue(self: Arc<Self>) {
        loop {
            let woken = self.wake.notified();
            let next = self.serve_queue_once();
            tokio::select! {
                biased;
                () = self.stopping.cancelled() => return,
                () = woken => {}
                () = self.clock.sleep_until(next) => {}
            }
        }
    }

    /// Lets tasks run for which there is a place, and fails those that waited too long. Returns when to look again
    /// even if nothing happens.
    fn serve_queue_once(self: &Arc<Self>) -> Timestamp {
        let now = self.clock.now();
        let mut state = self.state();
        let limits = &self.config.limits;
        let behaviour = &self.config.behaviour;
        let waits = |task: &&Task| task.status == Status::Waiting;
        let expired: Vec<u64> = state
            .ledger
            .active()
            .filter(waits)
            .filter(|task| task.expires_at(limits.waiting_days) <= now)
            .map(|task| task.id)
            .collect();
        for id in expired {
            state.ledger.change(id, |task| task.expire(now));
            self.notify_of_task(&mut state, id);
            self.record_task(&state, id);
        }
        let next_of_groups = self.serve_groups(&mut state, now);
        for project in &self.config.projects {
            let places = limits.running_tasks(&project.region);
            for id in state.ledger.next_to_run(&project.id, places, |task| task.ready_at(behaviour) <= now) {
                state.ledger.change(id, |task| task.run(now));
                self.record_task(&state, id);
                self.start_run(&mut state, id);
            }
        }
        state
            .ledger
            .active()
            .filter(waits)
            .map(|task| match task.ready_at(behaviour) {
                ready if ready > now => ready,
                _ => task.expires_at(limits.waiting_days),
            })
            .min()
            .map_or(next_of_groups, |next| next.min(next_of_groups))
    }

    fn record_task(&self, state: &std::sync::MutexGuard<'_, State>, id: u64) {
        if self.is_persistent()
            && let Some(task) = state.ledger.find(id)
        {
            // Nobody waits for an answer to this one.
            drop(self.record(state, &[Record::Task(Box::new(task.clone()))]));
        }
    }

    fn start_run(self: &Arc<Self>, state: &mut std::sync::MutexGuard<'_, State>, id: u64) {
        let Some(task) = state.ledger.find(id) else { return };
        let job = match self.struck_by_fault(task).map_or_else(|| self.job_of_task(task), Err) {
            Ok(job) => job,
            Err(failure) => {
                let now = self.clock.now();
                state.ledger.change(id, |task| task.fail(&failure.code, &failure.message, now));
                self.notify_of_task(state, id);
                self.record_task(state, id);
                self.wake.notify_one();
                return;
            }
        };
        let checkpoint = task.checkpoint.clone();
        let control = watch::Sender::new(Control::Run);
        let bandwidth = watch::Sender::new(windows(&task.bandwidth));
        let (progress_sender, progress) =
            watch::channel(Progress { counters: checkpoint.counters, migrate_speed: 0 });
        let checkpoints = {
            let service = Arc::downgrade(self);
            move |checkpoint: &Checkpoint| {
                if let Some(service) = service.upgrade() {
                    service.keep_checkpoint(id, checkpoint);
                }
            }
        };
        let context =
            self.context(control.subscribe(), bandwidth.subscribe(), progress_sender, Arc::new(checkpoints));
        let service = Arc::clone(self);
        let wishes = control.subscribe();
        let run = self.tracker.spawn(async move {
            let (checkpoint, outcome) = mover::run(job, checkpoint, context).await;
            service.end_run(id, checkpoint, outcome, wishes).await;
        });
        state.runs.insert(id, Run { control, bandwidth, progress, abort: Some(run.abort_handle()) });
    }

    /// What surrounds a run here.
    pub fn context(
        &self,
        control: watch::Receiver<Control>,
        bandwidth: watch::Receiver<Vec<mover::Window>>,
        progress: watch::Sender<Progress>,
        checkpoints: Arc<dyn Fn(&Checkpoint) + Send + Sync>,
    ) -> mover::Context {
        mover::Context {
            control,
            bandwidth,
            clock: Arc::new(self.clock.clone()),
            progress,
            checkpoints,
            url_hosts: self.config.http_sources.allowed_hosts.clone().into(),
            url_roots: Arc::clone(self.stores.url_roots()),
            object_rate: self.config.behaviour.object_rate,
            settings: self.config.mover.clone(),
            time_zone: mover::service_time_zone(),
        }
    }

    /// The failure that a fault has in store for a task that begins to run.
    fn struck_by_fault(&self, task: &Task) -> Option<Failure> {
        let fault = self.faults.strike_run(&task.project, task.id)?;
        Some(Failure {
            code: fault.code.unwrap_or_else(|| "TRF.0001".to_owned()),
            message: fault.message.unwrap_or_else(|| "Injected fault.".to_owned()),
        })
    }

    fn job_of_task(&self, task: &Task) -> Result<Job, Failure> {
        let keys = task.keys.as_ref().ok_or_else(|| Failure {
            code: "TRF.0001".to_owned(),
            message: "The task has lost its keys".to_owned(),
        })?;
        let group = match &task.member_of {
            Some(MemberOf::Group(id)) => Some(id.clone()),
            Some(MemberOf::Sync(_)) | None => None,
        };
        let job = self.job(&task.definition, keys)?;
        Ok(Job { task_id: task.id, task_name: task.name.clone(), group, ..job })
    }

    /// What the mover is told to do for a definition, with the addresses that stores have now. ID and name of the task
    /// are still to be filled in.
    pub fn job(&self, definition: &Definition, keys: &TaskKeys) -> Result<Job, Failure> {
        let missing = |code: &str, cloud: &str, region: &str| Failure {
            code: code.to_owned(),
            message: format!(
                "No store stands for cloud {cloud}, region {region}; add one to `stores` or `embeddedStores`"
            ),
        };
        let source = if definition.source_bucket.is_empty() {
            Source::UrlList
        } else {
            let (cloud, region) = (definition.cloud_type.as_str(), definition.source_region.as_str());
            let store = self.stores.find(cloud, region).ok_or_else(|| missing("TRF.0157", cloud, region))?;
            let keys = keys.source.open(store).map_err(|unusable| Failure {
                code: unusable.code.to_owned(),
                message: unusable.message.to_owned(),
            })?;
            Source::S3(store.location(region, &definition.source_bucket, keys))
        };
        let region = definition.destination_region.as_str();
        let store = self
            .stores
            .find("HuaweiCloud", region)
            .ok_or_else(|| missing("TRF.0061", "HuaweiCloud", region))?;
        Ok(Job {
            task_id: 0,
            task_name: String::new(),
            group: None,
            task_type: definition.task_type,
            source,
            cdn: self.cdn_source(definition.cdn.as_ref(), keys.cdn.as_ref())?,
            object_keys: definition.object_keys.clone().unwrap_or_default(),
            range: definition.range.clone(),
            list_file: definition.list_file.clone(),
            destination: store.location(region, &definition.destination_bucket, keys.destination.clone()),
            save_prefix: definition.save_prefix.clone(),
            storage_policy: definition.storage_policy,
            overwrite_mode: definition.overwrite_mode,
            consistency_check: definition.consistency_check,
            migrate_since: definition.migrate_since,
            enable_metadata_migration: definition.enable_metadata_migration,
            enable_restore: definition.enable_restore,
            enable_failed_object_recording: definition.enable_failed_object_recording,
            requester_pays: definition.enable_requester_pays,
            source_has_crc64: has_crc64(&definition.cloud_type),
        })
    }

    /// The CDN that objects of a source are fetched through. Where none is configured, nothing is known of any, and objects
    /// are read from their bucket.
    pub fn cdn_source(
        &self,
        cdn: Option<&Cdn>,
        key: Option<&SecretString>,
    ) -> Result<Option<CdnSource>, Failure> {
        let cdns = self.stores.cdns();
        let Some(cdn) = cdn.filter(|_| !cdns.is_empty()) else { return Ok(None) };
        let route = cdns.find(&cdn.domain).ok_or_else(|| Failure {
            code: "TRF.0157".to_owned(),
            message: format!(
                "Nobody answers for the domain {}; add it to `cdns` or `embeddedCdns`",
                cdn.domain
            ),
        })?;
        Ok(Some(CdnSource {
            domain: cdn.domain.clone(),
            protocol: cdn.protocol.clone(),
            endpoint: route.endpoint.clone(),
            scheme: Scheme::named(&cdn.authentication_type).unwrap_or(Scheme::None),
            key: key.cloned(),
        }))
    }

    fn keep_checkpoint(&self, id: u64, checkpoint: &Checkpoint) {
        let mut state = self.state();
        if !state.runs.contains_key(&id) {
            return;
        }
        state.ledger.change(id, |task| task.checkpoint = checkpoint.clone());
        if self.is_persistent() {
            self.record_lazily(&Record::Checkpoint { id, checkpoint: Box::new(checkpoint.clone()) });
        }
    }

    /// Carries the end of a run into the ledger, when its time has come: a run lasts a while even with nothing to
    /// copy, and a stop takes a moment.
    async fn end_run(
        &self,
        id: u64,
        checkpoint: Checkpoint,
        mut outcome: Outcome,
        mut wishes: watch::Receiver<Control>,
    ) {
        self.keep_checkpoint(id, &checkpoint);
        if self.stopping.is_cancelled() {
            // Whatever happened in the last moments may be the end's own doing; it happens again after the restart if not.
            return;
        }
        let behaviour = &self.config.behaviour;
        if outcome == Outcome::Finished {
            let started = self.state().ledger.find(id).and_then(|task| task.started);
            let earliest = started.map(|started| later(started, milliseconds(behaviour.minimum_run_ms)));
            if let Some(earliest) = earliest.filter(|earliest| *earliest > self.clock.now()) {
                tokio::select! {
                    () = self.clock.sleep_until(earliest) => {}
                    _ = wishes.wait_for(|wish| *wish == Control::Pause) => outcome = Outcome::Paused,
                    () = self.stopping.cancelled() => return,
                }
            }
        }
        if outcome == Outcome::Paused {
            let requested = self.state().ledger.find(id).and_then(|task| task.stop_requested);
            // Without a request it is the process that ends: the task stays in its state and goes on after the restart.
            let Some(requested) = requested else { return };
            tokio::select! {
                () = self.clock.sleep_until(later(requested, milliseconds(behaviour.pause_ms))) => {}
                () = self.stopping.cancelled() => return,
            }
        }
        let now = self.clock.now();
        let mut state = self.state();
        // A reset meanwhile has forgotten the run.
        if state.runs.remove(&id).is_some() {
            state.ledger.change(id, |task| {
                task.checkpoint = checkpoint;
                task.finish(&outcome, now);
            });
            self.notify_of_task(&mut state, id);
            self.record_task(&state, id);
            self.wake.notify_one();
        }
    }

    /// Lets running tasks put down where they are, and ends. They go on after a restart where there is a state folder.
    pub async fn end_runs(&self) {
        self.stopping.cancel();
        {
            let state = self.state();
            for run in state.runs.values() {
                run.control.send_replace(Control::Pause);
            }
            state.sync_runs.values().for_each(SyncRun::pause);
        }
        self.tracker.close();
        if tokio::time::timeout(FAREWELL, self.tracker.wait()).await.is_err() {
            tracing::warn!("Some tasks did not pause in time; they repeat a little work after a restart");
            self.abort_runs();
        }
    }

    /// Ends what moves objects without a word to the tasks.
    pub fn abort_runs(&self) {
        let state = self.state();
        for run in state.runs.values() {
            if let Some(abort) = &run.abort {
                abort.abort();
            }
        }
        state.sync_runs.values().for_each(SyncRun::abort);
    }
}

/// The windows as the mover wants them.
pub fn windows(bandwidth: &[BandwidthWindow]) -> Vec<mover::Window> {
    bandwidth.iter().map(BandwidthWindow::for_mover).collect()
}

impl mover::Clock for Clock {
    fn now(&self) -> Timestamp {
        Clock::now(self)
    }

    fn wait(&self, emulated: Duration) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> {
        let clock = self.clone();
        Box::pin(async move { clock.sleep(emulated).await })
    }
}
