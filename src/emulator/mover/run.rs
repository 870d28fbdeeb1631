//! One task from beginning to end: look at both sides, scan, copy, leave the lists behind.
use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::cdn::Edge;
use super::checkpoint::{Checkpoint, Counters, FailedObject, LIST_SEGMENT, Place, WINDOW};
use super::copy::{Fate, Shared};
use super::failure::{Kind, Side, Trouble, failed};
use super::job::{Job, Source, TaskType};
use super::lists::{self, Spool};
use super::outage::Availability;
use super::pace::{Bandwidth, ObjectRate, seconds_between};
use super::s3::{self, Endpoint};
use super::selection::{Finished, Item, Producer, Selector, list_part, selectors};
use super::transfer::{rest, stopped, unless_stopped};
use super::{Context, Control, Outcome, Progress};

/// How often progress is told while nothing is finished.
const TICK: Duration = Duration::from_millis(200);

/// How often a checkpoint is handed out.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(1);

/// The speed is the mean over this much emulated time.
const SPEED_OVER: f64 = 5.0;

/// How long an endpoint that does not answer is waited for before anything was copied.
const UNREACHABLE_FOR: Duration = Duration::from_secs(7);

/// How long something was waited for.
#[derive(Default)]
struct Patience {
    pause: Duration,
    waited: Duration,
}

/// One run of a task.
pub(super) struct Run {
    job: Job,
    checkpoint: Checkpoint,
    context: Context,
    /// Items under way or finished out of order, oldest first.
    window: VecDeque<Slot>,
    /// Finished out of order by an earlier run and not met again yet.
    finished: Finished,
    under_way: Arc<AtomicU64>,
    moved: Arc<AtomicU64>,
    /// What the copies under way follow: the owner's wish, and the end of the task for another reason.
    copies: watch::Sender<Control>,
    speed: Speed,
    handed_out: Instant,
}

struct Slot {
    place: Place,
    done: bool,
}

/// Mean bytes per emulated second over the last while.
#[derive(Default)]
struct Speed {
    samples: VecDeque<(Timestamp, u64)>,
}

impl Speed {
    fn sample(&mut self, now: Timestamp, moved: u64) -> u64 {
        // A sample per object would be thousands when objects are small.
        if self.samples.back().is_none_or(|(last, _)| seconds_between(*last, now) > SPEED_OVER / 50.0) {
            self.samples.push_back((now, moved));
        }
        while self.samples.len() > 2
            && self.samples.get(1).is_some_and(|(at, _)| seconds_between(*at, now) >= SPEED_OVER)
        {
            self.samples.pop_front();
        }
        let Some((since, before)) = self.samples.front() else { return 0 };
        let seconds = seconds_between(*since, now);
        if seconds > 0.0 { ((moved - before) as f64 / seconds) as u64 } else { 0 }
    }
}

impl Run {
    pub(super) fn new(job: Job, mut checkpoint: Checkpoint, context: Context) -> Self {
        let finished = checkpoint.finished_beyond.drain(..).collect();
        Self {
            job,
            checkpoint,
            context,
            window: VecDeque::new(),
            finished,
            under_way: Arc::default(),
            moved: Arc::default(),
            copies: watch::Sender::new(Control::Run),
            speed: Speed::default(),
            handed_out: Instant::now(),
        }
    }

    pub(super) async fn finish(mut self) -> (Checkpoint, Outcome) {
        // Whoever watches a resumed task must not see it start from nothing.
        self.tell();
        let outcome = self.carry_on().await.unwrap_or_else(|end| end);
        self.note_finished_beyond();
        self.tell();
        (self.checkpoint, outcome)
    }

    async fn carry_on(&mut self) -> Result<Outcome, Outcome> {
        let reports = (Arc::clone(&self.under_way), Arc::clone(&self.moved));
        let shared = Arc::new(prepare(&self.job, &self.context, self.copies.subscribe(), reports)?);
        self.inspect(&shared.destination).await?;
        if let Some(source) = &shared.source {
            self.inspect(source).await?;
        }
        let spool = self.fetch_list(&shared).await?;
        if !self.checkpoint.counters.is_query_over {
            self.scan(&shared, spool.as_ref()).await?;
            self.hand_out();
        }
        let outcome = self.copy_all(&shared, spool.as_ref()).await;
        if !matches!(outcome, Ok(Outcome::Paused) | Err(Outcome::Paused)) {
            self.flush_lists(&shared.destination, 1).await;
        }
        outcome
    }

    /// Repeats what an endpoint could not do for now, with growing pauses.
    async fn patiently<T, F>(&self, attempt: impl Fn() -> F) -> Result<T, Outcome>
    where
        F: Future<Output = Result<T, Trouble>>,
    {
        let mut patience = Patience::default();
        loop {
            match unless_stopped(&self.context.control, attempt()).await {
                Err(trouble) => {
                    // What is not there at all at the beginning was probably never there.
                    let limit = match trouble.kind {
                        Kind::Failing | Kind::Throttled => self.context.settings.outage_wait(),
                        _ => UNREACHABLE_FOR,
                    };
                    self.wait_for(&mut patience, limit, trouble)
                        .await
                        .map_err(|trouble| trouble.outcome())?;
                }
                Ok(done) => return Ok(done),
            }
        }
    }

    /// Waits a little longer than the last time, or hands the trouble back after `limit`.
    async fn wait_for(
        &self,
        patience: &mut Patience,
        limit: Duration,
        trouble: Trouble,
    ) -> Result<(), Trouble> {
        if !trouble.is_worth_another_attempt() || patience.waited >= limit {
            return Err(trouble);
        }
        patience.pause = (patience.pause * 2).clamp(Duration::from_secs(1), Duration::from_secs(10));
        patience.waited += patience.pause;
        rest(&self.context.control, self.context.clock.wait(patience.pause)).await
    }

    /// Keys and bucket, before anything else.
    async fn inspect(&self, endpoint: &Endpoint) -> Result<(), Outcome> {
        self.patiently(|| endpoint.probe()).await
    }

    async fn fetch_list(&self, shared: &Shared) -> Result<Option<Spool>, Outcome> {
        let fetched = async {
            match (&self.checkpoint.retry_lists, self.job.task_type) {
                (Some(keys), _) => Spool::of_failed(&self.job, &shared.destination, keys).await.map(Some),
                (None, TaskType::List | TaskType::UrlList) => {
                    Spool::of_task(&self.job, &shared.destination).await.map(Some)
                }
                (None, TaskType::Object | TaskType::Prefix) => Ok(None),
            }
        };
        let mut control = self.context.control.clone();
        tokio::select! {
            biased;
            () = stopped(&mut control) => Err(Outcome::Paused),
            fetched = fetched => fetched,
        }
    }

    /// Counts what is there to copy. Listings are cheap beside copies, so the totals are final before the first copy.
    async fn scan(&mut self, shared: &Shared, spool: Option<&Spool>) -> Result<(), Outcome> {
        self.checkpoint.counters = Counters::default();
        match (spool, &shared.source) {
            (Some(spool), source) => {
                self.checkpoint.counters.total_num = spool.entries;
                if let Some(source) = source {
                    self.inspect_first(source, spool).await?;
                }
            }
            (None, Some(source)) => self.scan_bucket(source).await?,
            (None, None) => return Err(failed("TRF.0013", "A task over URLs needs a list file")),
        }
        if self.checkpoint.counters.total_num == 0 {
            return Err(failed("TRF.0012", "No object was found for the selection of the task"));
        }
        self.checkpoint.counters.is_query_over = true;
        self.tell();
        Ok(())
    }

    async fn scan_bucket(&mut self, source: &Endpoint) -> Result<(), Outcome> {
        let mut absent = 0;
        for selector in selectors(&self.job) {
            match selector {
                Selector::Key(key) => {
                    let head = self
                        .patiently(|| async {
                            match source.head(&key, false).await {
                                Ok(head) => Ok(Some(head)),
                                // It counts as failed when its turn to be copied comes.
                                Err(trouble)
                                    if matches!(trouble.kind, Kind::NoObject | Kind::Unaddressable) =>
                                {
                                    Ok(None)
                                }
                                Err(trouble) => Err(trouble),
                            }
                        })
                        .await?;
                    self.checkpoint.counters.total_num += 1;
                    match head {
                        Some(head) => self.checkpoint.counters.total_size += head.facts.size.unwrap_or(0),
                        None => absent += 1,
                    }
                }
                Selector::Prefix(prefix) => {
                    let mut token: Option<String> = None;
                    loop {
                        let range = self.job.range.as_ref();
                        let page = self
                            .patiently(|| list_part(source, &prefix, range, None, token.as_deref()))
                            .await?;
                        let counters = &mut self.checkpoint.counters;
                        counters.total_num += page.objects.len() as u64;
                        counters.total_size += page.objects.iter().map(|object| object.size).sum::<u64>();
                        self.tell();
                        token = page.next;
                        if token.is_none() {
                            break;
                        }
                    }
                }
            }
        }
        if self.checkpoint.counters.total_num == absent {
            return Err(failed("TRF.0012", "None of the named objects exists in the source bucket"));
        }
        Ok(())
    }

    /// The service looks at the first object of a list before it starts (failure cause TRF.0026).
    async fn inspect_first(&self, source: &Endpoint, spool: &Spool) -> Result<(), Outcome> {
        let first = spool
            .lines(None)
            .map_err(|trouble| trouble.to_string())
            .and_then(|mut lines| lines.next().map_err(|trouble| trouble.message))
            .map_err(|message| failed("TRF.0001", message))?;
        let Some(first) = first else { return Ok(()) };
        let seen = self
            .patiently(|| async {
                match source.head(&first.key, false).await {
                    Ok(_) => Ok(true),
                    Err(trouble)
                        if matches!(trouble.kind, Kind::NoObject | Kind::Denied | Kind::Unaddressable) =>
                    {
                        Ok(false)
                    }
                    Err(trouble) => Err(trouble),
                }
            })
            .await?;
        if seen {
            return Ok(());
        }
        let message =
            format!("The first object of the list, `{}`, does not exist or cannot be read", first.key);
        Err(failed("TRF.0026", message))
    }

    fn producer(&self, shared: &Shared, spool: Option<&Spool>) -> Result<Producer, Outcome> {
        let after = self.checkpoint.position.as_ref();
        match (spool, &shared.source) {
            (Some(spool), _) => Producer::over_lines(spool, after)
                .map_err(|error| failed("TRF.0001", format!("The list cannot be read again: {error}"))),
            (None, Some(source)) => Ok(Producer::over_bucket(source.clone(), &self.job, after)),
            (None, None) => Err(failed("TRF.0013", "A task over URLs needs a list file")),
        }
    }

    async fn copy_all(&mut self, shared: &Arc<Shared>, spool: Option<&Spool>) -> Result<Outcome, Outcome> {
        let mut producer = self.producer(shared, spool)?;
        let mut copies: JoinSet<(Item, Fate)> = JoinSet::new();
        let mut slots: HashMap<tokio::task::Id, Item> = HashMap::new();
        let mut exhausted = false;
        let mut end: Option<Outcome> = None;
        let mut control = self.context.control.clone();
        let mut tick = tokio::time::interval(TICK);
        let workers = self.context.settings.workers.max(1);
        loop {
            while end.is_none() && !exhausted && copies.len() < workers && self.window.len() < WINDOW {
                match self.next_item(&mut producer).await {
                    Ok(Some(item)) => {
                        let shared = Arc::clone(shared);
                        let copied = item.clone();
                        let task = copies.spawn(async move {
                            let fate = shared.settle(&copied).await;
                            (copied, fate)
                        });
                        slots.insert(task.id(), item);
                    }
                    Ok(None) => exhausted = true,
                    Err(outcome) => end = Some(outcome),
                }
            }
            if end.is_some() {
                self.copies.send_replace(Control::Pause);
            }
            if copies.is_empty() {
                break;
            }
            tokio::select! {
                Some(joined) = copies.join_next_with_id() => {
                    let (item, fate) = match joined {
                        Ok((id, settled)) => {
                            slots.remove(&id);
                            settled
                        }
                        Err(error) => {
                            let Some(item) = slots.remove(&error.id()) else { continue };
                            let message = "The copy of this object ended abnormally".to_owned();
                            (item, Fate::Failed { code: "TRF.0001".to_owned(), message, bytes: 0 })
                        }
                    };
                    if let Some(outcome) = self.settle(item, fate, spool.is_some()) {
                        // What runs beside it has nothing to win either.
                        end.get_or_insert(outcome);
                    }
                    self.tell();
                    self.flush_lists(&shared.destination, LIST_SEGMENT).await;
                    if self.handed_out.elapsed() >= CHECKPOINT_EVERY {
                        self.hand_out();
                    }
                }
                () = stopped(&mut control), if end.is_none() => end = Some(Outcome::Paused),
                _ = tick.tick() => self.tell(),
            }
        }
        if let Some(end) = end {
            return Err(end);
        }
        let counters = &mut self.checkpoint.counters;
        // Objects can have come and gone since the scan.
        counters.total_num = counters.successful_num + counters.failed_num + counters.skipped_num;
        counters.total_size = counters.total_size.max(counters.complete_size);
        Ok(Outcome::Finished)
    }

    /// The next item that no earlier run has finished; it has a slot in the window.
    async fn next_item(&mut self, producer: &mut Producer) -> Result<Option<Item>, Outcome> {
        let mut patience = Patience::default();
        let limit = self.context.settings.outage_wait();
        loop {
            match unless_stopped(&self.context.control, producer.next()).await {
                Ok(Some(item)) => {
                    let done = self.finished.remove(&item.place);
                    self.window.push_back(Slot { place: item.place.clone(), done });
                    if !done {
                        return Ok(Some(item));
                    }
                    self.advance();
                }
                Ok(None) => return Ok(None),
                Err(trouble) if trouble.kind == Kind::Denied => {
                    return Err(failed("TRF.0027", "Listing the source bucket was refused"));
                }
                Err(trouble) => {
                    self.wait_for(&mut patience, limit, trouble)
                        .await
                        .map_err(|trouble| trouble.outcome())?;
                }
            }
        }
    }

    /// Books what became of an object; an outcome when the task ends with it.
    fn settle(&mut self, item: Item, fate: Fate, from_list: bool) -> Option<Outcome> {
        let counters = &mut self.checkpoint.counters;
        // Lists tell no sizes, so the total grows as objects are looked at. A retry has counted them all before,
        // unless they failed without being seen.
        let unknown = from_list && self.checkpoint.retry_lists.is_none();
        match fate {
            Fate::Abandoned => return None,
            Fate::Fatal(trouble) => return Some(trouble.outcome()),
            Fate::Copied { bytes } => {
                counters.successful_num += 1;
                counters.real_size += bytes;
                counters.complete_size += bytes;
                counters.total_size += if unknown { bytes } else { 0 };
                if self.job.enable_failed_object_recording {
                    self.checkpoint.succeeded.push(item.key);
                }
            }
            Fate::Skipped { bytes } => {
                counters.skipped_num += 1;
                counters.complete_size += bytes;
                counters.total_size += if unknown { bytes } else { 0 };
            }
            Fate::Failed { code, message, bytes } => {
                counters.failed_num += 1;
                counters.total_size += if unknown { bytes } else { 0 };
                if self.job.enable_failed_object_recording {
                    let object = FailedObject { key: item.key, url: item.url, code, message };
                    self.checkpoint.failed.push(object);
                }
            }
        }
        if let Some(slot) = self.window.iter_mut().find(|slot| slot.place == item.place) {
            slot.done = true;
        }
        self.advance();
        None
    }

    fn advance(&mut self) {
        while self.window.front().is_some_and(|slot| slot.done) {
            if let Some(slot) = self.window.pop_front() {
                self.checkpoint.position = Some(slot.place);
            }
        }
    }

    fn note_finished_beyond(&mut self) {
        let done = self.window.iter().filter(|slot| slot.done).map(|slot| slot.place.clone());
        self.checkpoint.finished_beyond = self.finished.iter().cloned().chain(done).collect();
        self.checkpoint.finished_beyond.sort_unstable();
    }

    fn hand_out(&mut self) {
        self.note_finished_beyond();
        (self.context.checkpoints)(&self.checkpoint);
        self.handed_out = Instant::now();
    }

    async fn flush_lists(&mut self, destination: &Endpoint, enough: usize) {
        let now = self.context.clock.now();
        let zone = &self.context.time_zone;
        lists::flush(&self.job, destination, &mut self.checkpoint, now, zone, enough).await;
    }

    fn tell(&mut self) {
        let under_way = self.under_way.load(Ordering::Relaxed);
        let moved = self.moved.load(Ordering::Relaxed);
        let mut counters = self.checkpoint.counters;
        counters.complete_size += under_way;
        counters.real_size += under_way;
        let migrate_speed = self.speed.sample(self.context.clock.now(), moved);
        self.context.progress.send_replace(Progress { counters, migrate_speed });
    }
}

/// Makes what copies of a job share. `reports` are the bytes of objects that are not settled, and all bytes ever moved.
pub(super) fn prepare(
    job: &Job,
    context: &Context,
    control: watch::Receiver<Control>,
    reports: (Arc<AtomicU64>, Arc<AtomicU64>),
) -> Result<Shared, Outcome> {
    let client = |made: reqwest::Result<reqwest::Client>| {
        made.map_err(|error| failed("TRF.0001", format!("The emulator cannot make an HTTP client: {error}")))
    };
    let http = client(s3::s3_client())?;
    let end = |trouble: Trouble| trouble.outcome();
    let source = match &job.source {
        Source::S3(location) => {
            Some(Endpoint::new(Side::Source, http.clone(), location, job.requester_pays).map_err(end)?)
        }
        Source::UrlList => None,
    };
    let edge = match (&job.cdn, &job.source) {
        (Some(cdn), Source::S3(location)) => Some(Edge::new(cdn.clone(), location.clone(), http.clone())),
        _ => None,
    };
    let destination = Endpoint::new(Side::Destination, http, &job.destination, false).map_err(end)?;
    Ok(Shared {
        job: job.clone(),
        source,
        edge,
        destination,
        web: client(s3::url_client(Arc::clone(&context.url_hosts), &context.url_roots))?,
        url_hosts: Arc::clone(&context.url_hosts),
        clock: Arc::clone(&context.clock),
        control,
        bandwidth: Bandwidth::new(
            Arc::clone(&context.clock),
            context.time_zone.clone(),
            context.bandwidth.clone(),
        ),
        rate: ObjectRate::new(Arc::clone(&context.clock), context.object_rate),
        settings: context.settings.clone(),
        source_side: Availability::new(Arc::clone(&context.clock), context.settings.outage_wait()),
        destination_side: Availability::new(Arc::clone(&context.clock), context.settings.outage_wait()),
        under_way: reports.0,
        moved: reports.1,
    })
}
