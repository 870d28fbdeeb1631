//! What the tests of the mover stand on: two stores, a clock of their own, and a job.
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use oms_operator::emulator::mover::{
    Checkpoint, Clock, ConsistencyCheck, Context, Control, Job, Outcome, OverwriteMode, Progress, Settings,
    Source, StoragePolicy, TaskType, Window, run, service_time_zone,
};
use oms_operator::emulator::store::{EmbeddedStore, StoreBehaviour, StoreClock};
use tokio::sync::watch;

use crate::emulator_s3::{Client, location, store};

/// Time that passes only when somebody waits for it: tests are as fast as the machine and still exact.
pub struct WaitingClock {
    pub now: Mutex<Timestamp>,
    /// Runs once when that time is reached.
    pub alarm: Mutex<Option<(Timestamp, Alarm)>>,
    /// Time does not pass beyond this.
    pub stuck_at: Mutex<Option<Timestamp>>,
}

pub type Alarm = Box<dyn FnOnce() + Send>;

impl WaitingClock {
    pub fn new() -> Arc<Self> {
        let now = Mutex::new("2026-01-01T00:00:00Z".parse().unwrap());
        Arc::new(Self { now, alarm: Mutex::default(), stuck_at: Mutex::default() })
    }
}

impl Clock for WaitingClock {
    fn now(&self) -> Timestamp {
        *self.now.lock().unwrap()
    }

    fn wait(&self, emulated: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let mut now = self.now.lock().unwrap();
        if self.stuck_at.lock().unwrap().is_some_and(|end| *now >= end) {
            return Box::pin(std::future::pending());
        }
        *now += emulated;
        let alarm = self.alarm.lock().unwrap().take_if(|(at, _)| *now >= *at);
        if let Some((_, ring)) = alarm {
            ring();
        }
        Box::pin(tokio::task::yield_now())
    }
}

/// Two stores, a bucket in each, and what a run needs.
pub struct Bench {
    pub source_store: EmbeddedStore,
    pub destination_store: EmbeddedStore,
    pub source: Client,
    pub destination: Client,
    pub control: watch::Sender<Control>,
    pub bandwidth: watch::Sender<Vec<Window>>,
    pub progress: watch::Sender<Progress>,
    pub clock: Arc<WaitingClock>,
    pub settings: Settings,
}

impl Bench {
    pub async fn new() -> Self {
        let (source_store, destination_store) = (store(None).await, store(None).await);
        let clock = WaitingClock::new();
        let time = Arc::clone(&clock);
        source_store.handle().set_clock(StoreClock::new(move || time.now()));
        Self {
            source: Client::create(&source_store.endpoint(), "source").await,
            destination: Client::create(&destination_store.endpoint(), "destination").await,
            source_store,
            destination_store,
            control: watch::Sender::new(Control::Run),
            bandwidth: watch::Sender::new(Vec::new()),
            progress: watch::Sender::new(Progress::default()),
            clock,
            settings: Settings { workers: 4, part_size: 1 << 20, ..Settings::default() },
        }
    }

    pub fn job(&self) -> Job {
        Job {
            task_id: 260_635_103_393_672,
            task_name: "source-destination-20260101080000000_001".into(),
            group: None,
            range: None,
            task_type: TaskType::Prefix,
            source: Source::S3(location(&self.source_store.endpoint(), "source")),
            cdn: None,
            object_keys: vec![String::new()],
            list_file: None,
            destination: location(&self.destination_store.endpoint(), "destination"),
            save_prefix: String::new(),
            storage_policy: StoragePolicy::Standard,
            overwrite_mode: OverwriteMode::default(),
            consistency_check: ConsistencyCheck::default(),
            migrate_since: 0,
            enable_metadata_migration: true,
            enable_restore: false,
            enable_failed_object_recording: true,
            requester_pays: false,
            source_has_crc64: true,
        }
    }

    pub fn context(&self) -> Context {
        Context {
            control: self.control.subscribe(),
            bandwidth: self.bandwidth.subscribe(),
            clock: self.clock.clone(),
            progress: self.progress.clone(),
            checkpoints: Arc::new(|_| {}),
            url_hosts: Arc::from([]),
            url_roots: Arc::from([]),
            object_rate: None,
            settings: self.settings.clone(),
            time_zone: service_time_zone(),
        }
    }

    pub async fn run(&self, job: &Job, checkpoint: Checkpoint) -> (Checkpoint, Outcome) {
        let running = run(job.clone(), checkpoint, self.context());
        tokio::time::timeout(Duration::from_mins(1), running).await.expect("the run ends")
    }

    pub async fn finish(&self, job: &Job) -> Checkpoint {
        let (checkpoint, outcome) = self.run(job, Checkpoint::default()).await;
        assert_eq!(outcome, Outcome::Finished);
        checkpoint
    }

    /// Everything at the destination but what the service writes for itself.
    pub async fn arrived(&self) -> BTreeMap<String, Vec<u8>> {
        let mut contents = self.destination.contents().await;
        contents.retain(|key, _| !key.starts_with("oms/"));
        contents
    }

    /// Changes how the source store behaves.
    pub fn source_behaves(&self, change: impl FnOnce(&mut StoreBehaviour)) {
        change_behaviour(&self.source_store, change);
    }

    /// Changes how the destination store behaves.
    pub fn destination_behaves(&self, change: impl FnOnce(&mut StoreBehaviour)) {
        change_behaviour(&self.destination_store, change);
    }

    /// The keys and causes of all failed objects.
    pub async fn failures(&self, checkpoint: &Checkpoint) -> Vec<(String, String)> {
        let mut failures = Vec::new();
        for list in &checkpoint.failed_lists {
            for line in self.destination.get(list).await.ok().text().lines() {
                let columns: Vec<&str> = line.split('\t').collect();
                failures.push((columns[0].to_owned(), columns[1].to_owned()));
            }
        }
        failures
    }

    pub fn writes(&self, key: &str) -> u64 {
        self.destination_store.object("destination", key).map_or(0, |object| object.writes)
    }

    pub async fn end(self) {
        self.source_store.shutdown().await;
        self.destination_store.shutdown().await;
    }
}

fn change_behaviour(store: &EmbeddedStore, change: impl FnOnce(&mut StoreBehaviour)) {
    let mut behaviour = store.handle().behaviour();
    change(&mut behaviour);
    store.handle().set_behaviour(behaviour);
}

pub fn code(outcome: &Outcome) -> &str {
    match outcome {
        Outcome::Failed { code, .. } => code,
        Outcome::Finished => "finished",
        Outcome::Paused => "paused",
    }
}

pub fn counts(checkpoint: &Checkpoint) -> (u64, u64, u64, u64) {
    let counters = checkpoint.counters;
    (counters.total_num, counters.successful_num, counters.failed_num, counters.skipped_num)
}
