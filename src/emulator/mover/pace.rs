//! How fast a task may go: bandwidth windows and the object rate, both in emulated time.
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use tokio::sync::{Mutex, watch};

use super::{Clock, Window};

/// Bytes that are paid for at once; bigger chunks are paid in pieces.
pub(super) const PIECE: usize = 64 * 1024;

/// No wait is longer, so that the edge of a window is never slept over.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// A token bucket shared by everything that a task transfers.
pub(super) struct Bandwidth {
    clock: Arc<dyn Clock>,
    time_zone: TimeZone,
    windows: watch::Receiver<Vec<Window>>,
    bucket: Mutex<Bucket>,
}

struct Bucket {
    tokens: f64,
    filled_at: Timestamp,
}

impl Bandwidth {
    pub(super) fn new(
        clock: Arc<dyn Clock>,
        time_zone: TimeZone,
        windows: watch::Receiver<Vec<Window>>,
    ) -> Self {
        let filled_at = clock.now();
        Self { clock, time_zone, windows, bucket: Mutex::new(Bucket { tokens: 0.0, filled_at }) }
    }

    fn limit(&self, now: Timestamp) -> Option<f64> {
        let time = now.to_zoned(self.time_zone.clone()).time();
        let windows = self.windows.borrow();
        let in_it = |window: &&Window| window.start <= time && time < window.end;
        let in_last_minute =
            |window: &&Window| (window.end.hour(), window.end.minute()) == (time.hour(), time.minute());
        windows
            .iter()
            .find(in_it)
            .or_else(|| windows.iter().find(in_last_minute))
            .map(|window| window.max_bytes_per_second.max(1) as f64)
    }

    /// Resolves when `bytes` (at most [`PIECE`]) may pass.
    pub(super) async fn take(&self, bytes: usize) {
        let mut windows = self.windows.clone();
        // Held over the waits on purpose: whoever asked first goes first.
        let mut bucket = self.bucket.lock().await;
        loop {
            let now = self.clock.now();
            let Some(limit) = self.limit(now) else {
                *bucket = Bucket { tokens: 0.0, filled_at: now };
                return;
            };
            let burst = (limit / 10.0).max(PIECE as f64);
            let gained = seconds_between(bucket.filled_at, now) * limit;
            bucket.tokens = (bucket.tokens + gained).min(burst);
            bucket.filled_at = now;
            let missing = bytes as f64 - bucket.tokens;
            if missing <= 0.0 {
                bucket.tokens -= bytes as f64;
                return;
            }
            let wait = Duration::from_secs_f64(missing / limit).clamp(Duration::from_micros(1), LONGEST_WAIT);
            tokio::select! {
                () = self.clock.wait(wait) => {}
                Ok(()) = windows.changed() => {}
            }
        }
    }
}

/// Lets objects start at most so many times per emulated second.
pub(super) struct ObjectRate {
    clock: Arc<dyn Clock>,
    interval: Option<Duration>,
    next: Mutex<Timestamp>,
}

impl ObjectRate {
    pub(super) fn new(clock: Arc<dyn Clock>, per_second: Option<f64>) -> Self {
        let interval = per_second
            .filter(|rate| rate.is_finite() && *rate > 0.0)
            .and_then(|rate| Duration::try_from_secs_f64(1.0 / rate).ok());
        let next = Mutex::new(clock.now());
        Self { clock, interval, next }
    }

    /// Resolves when the next object may start.
    pub(super) async fn take(&self) {
        let Some(interval) = self.interval else { return };
        let mut next = self.next.lock().await;
        loop {
            let now = self.clock.now();
            let early = seconds_between(now, *next);
            if early <= 0.0 {
                // What was missed is not made up for, but a late timer is: else a rate beyond the timer's grain
                // would never be reached.
                let floor = now.checked_sub(Duration::from_secs(1).max(interval)).unwrap_or(now);
                *next = (*next).max(floor).checked_add(interval).unwrap_or(now);
                return;
            }
            self.clock.wait(Duration::from_secs_f64(early)).await;
        }
    }
}

pub(super) fn seconds_between(from: Timestamp, to: Timestamp) -> f64 {
    (to.as_nanosecond() - from.as_nanosecond()) as f64 / 1e9
}
