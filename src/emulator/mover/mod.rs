//! Moves objects: between two S3-compatible endpoints, or from URLs to one.
//!
//! [`run`] carries one task from wherever its [`Checkpoint`] stands until it is finished, paused or failed for a cause
//! that stops the task as a whole. Objects that fail one by one do not end it: they are counted and recorded.
mod cdn;
mod census;
mod checkpoint;
mod copy;
mod failure;
mod job;
mod lists;
mod outage;
mod pace;
mod parts;
mod policy;
mod raw;
mod restore;
mod run;
mod s3;
mod selection;
mod settings;
mod single;
mod transfer;
mod urls;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Time;
use jiff::tz::TimeZone;
use tokio::sync::watch;

pub use cdn::CdnSource;
pub use census::{Part, Survey, list_files, parts};
pub use checkpoint::{Checkpoint, Counters, FailedObject, LIST_SEGMENT, Place, WINDOW};
pub use job::{
    ConsistencyCheck, Job, KeyRange, Keys, ListFile, Location, OverwriteMode, Source, StoragePolicy, TaskType,
};
pub(crate) use job::{optional_secret_text, secret_text};
pub use settings::Settings;

pub use single::{ObjectMover, Settled};

/// The time the emulator lives in, which may run faster than the wall's.
pub trait Clock: Send + Sync + 'static {
    /// Now, in emulated time.
    fn now(&self) -> Timestamp;
    /// Resolves when `emulated` has passed in emulated time.
    fn wait(&self, emulated: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>>;
}

/// What the owner of a task wants of it now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Control {
    /// Go on.
    #[default]
    Run,
    /// Stop soon: what is half-way is abandoned and copied again later.
    Pause,
}

/// A bandwidth window, in local time of [`Context::time_zone`]; outside all windows there is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// First moment of the window.
    pub start: Time,
    /// Last minute of the window: 23:59 reaches to midnight. Where another window starts, that one counts.
    pub end: Time,
    /// Limit in bytes per (emulated) second.
    pub max_bytes_per_second: u64,
}

/// How far a running task is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Objects and bytes; `complete_size` and `real_size` include what is under way.
    pub counters: Counters,
    /// Bytes per emulated second, over the last few seconds.
    pub migrate_speed: u64,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Every selected object was looked at; see [`Counters::failed_num`].
    Finished,
    /// Stopped by [`Control::Pause`]; the checkpoint goes on from here.
    Paused,
    /// The task as a whole cannot go on.
    Failed {
        /// OMS task failure cause, such as `TRF.0151`.
        code: String,
        /// What happened, for people.
        message: String,
    },
}

/// What surrounds a run.
pub struct Context {
    /// Wishes of the owner.
    pub control: watch::Receiver<Control>,
    /// Bandwidth windows of the task; a change counts at once.
    pub bandwidth: watch::Receiver<Vec<Window>>,
    /// Emulated time: bandwidth, object rate and retries run on it.
    pub clock: Arc<dyn Clock>,
    /// Told whenever something moved.
    pub progress: watch::Sender<Progress>,
    /// Called from time to time with a checkpoint worth keeping. The last one is what [`run`] returns.
    pub checkpoints: Arc<dyn Fn(&Checkpoint) + Send + Sync>,
    /// Hosts that URL lists may lead to, besides loopback addresses; `*` for every host.
    pub url_hosts: Arc<[String]>,
    /// Authorities that URLs over https may rely on, besides the system's.
    pub url_roots: Arc<[reqwest::Certificate]>,
    /// At most this many objects per emulated second, so that small tasks last; `None` for no limit.
    pub object_rate: Option<f64>,
    /// What was configured about moving.
    pub settings: Settings,
    /// Zone of the bandwidth windows and of the stamps in list names; the service uses [`service_time_zone`].
    pub time_zone: TimeZone,
}

/// UTC+8, which the service uses in names even in other parts of the world (seen live in a Mexican region).
pub fn service_time_zone() -> TimeZone {
    TimeZone::fixed(jiff::tz::offset(8))
}

/// Carries a task on from `checkpoint` until it is finished, paused or failed.
///
/// Dropping the future abandons what is under way; the last checkpoint that was handed to [`Context::checkpoints`]
/// goes on from there, and what was copied since is looked at again under the overwrite rule.
pub async fn run(job: Job, checkpoint: Checkpoint, context: Context) -> (Checkpoint, Outcome) {
    run::Run::new(job, checkpoint, context).finish().await
}
