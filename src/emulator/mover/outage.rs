//! A side that fails for a while: all copies of a task slow down together, and go on when it is back.
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use super::Clock;
use super::pace::seconds_between;

/// The longest pause between attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// What a task knows of how well a side answers.
pub(super) struct Availability {
    clock: Arc<dyn Clock>,
    patience: Duration,
    outage: Mutex<Option<Outage>>,
    successes: AtomicU64,
}

/// Nothing has succeeded since it began.
#[derive(Clone, Copy)]
struct Outage {
    since: Timestamp,
    /// Nobody asks before.
    until: Timestamp,
    pause: Duration,
}

impl Availability {
    pub(super) fn new(clock: Arc<dyn Clock>, patience: Duration) -> Self {
        Self { clock, patience, outage: Mutex::default(), successes: AtomicU64::new(0) }
    }

    fn outage(&self) -> MutexGuard<'_, Option<Outage>> {
        self.outage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Resolves when the side may be asked.
    pub(super) async fn admit(&self) {
        loop {
            let Some(outage) = *self.outage() else { return };
            let early = seconds_between(self.clock.now(), outage.until);
            if early <= 0.0 {
                return;
            }
            self.clock.wait(Duration::from_secs_f64(early)).await;
        }
    }

    /// The side did what it was asked.
    pub(super) fn succeeded(&self) {
        *self.outage() = None;
        self.successes.fetch_add(1, Ordering::Relaxed);
    }

    /// How often it succeeded.
    pub(super) fn successes(&self) -> u64 {
        self.successes.load(Ordering::Relaxed)
    }

    /// The side failed; whether it is worth waiting for.
    pub(super) fn failed(&self) -> bool {
        let now = self.clock.now();
        let mut outage = self.outage();
        let known = outage.get_or_insert(Outage { since: now, until: now, pause: Duration::ZERO });
        // What fails at the same time fails for the same reason.
        if now >= known.until {
            known.pause = (known.pause * 2).clamp(Duration::from_secs(1), LONGEST_PAUSE);
            known.until = now.checked_add(known.pause).unwrap_or(now);
        }
        seconds_between(known.since, now) < self.patience.as_secs_f64()
    }
}
