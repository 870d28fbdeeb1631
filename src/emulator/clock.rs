//! The emulator's idea of time.
//!
//! Everything that the service does over time (queues, windows, quotas per 24 hours, pauses) runs on the service
//! time of a [`Clock`], which a test can run faster or push forward. Signatures are the exception: clients sign
//! with the time on their wall, so their age is measured against [`Clock::wall`], which has an offset of its own.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;

/// Service time: the wall clock, possibly scaled and moved. Clones share one clock.
#[derive(Clone, Debug)]
pub struct Clock {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: watch::Sender<u64>,
}

#[derive(Clone, Copy, Debug)]
struct State {
    /// The pair of instants from which service time is counted on.
    real: Instant,
    service: Timestamp,
    scale: f64,
    /// Added to the wall clock when the age of a signature is checked.
    wall_offset: SignedDuration,
}

impl State {
    fn now(&self) -> Timestamp {
        let elapsed = self.real.elapsed().as_secs_f64() * self.scale;
        self.service.saturating_add(SignedDuration::from_secs_f64(elapsed)).unwrap_or(Timestamp::MAX)
    }

    fn rebased(self) -> Self {
        Self { real: Instant::now(), service: self.now(), ..self }
    }
}

impl Clock {
    /// Service time that starts at the wall clock and runs at its pace.
    pub fn real() -> Self {
        Self::scaled(1.0)
    }

    /// Service time that starts at the wall clock and runs `scale` times as fast. `scale` must be finite and
    /// positive; anything else counts as 1.
    pub fn scaled(scale: f64) -> Self {
        let state = State {
            real: Instant::now(),
            service: Timestamp::now(),
            scale: sane(scale),
            wall_offset: SignedDuration::ZERO,
        };
        Self { shared: Arc::new(Shared { state: Mutex::new(state), changed: watch::Sender::new(0) }) }
    }

    /// The service time now.
    pub fn now(&self) -> Timestamp {
        self.state().now()
    }

    /// The wall clock, moved by [`Clock::set_wall_offset`].
    pub fn wall(&self) -> Timestamp {
        Timestamp::now().saturating_add(self.state().wall_offset).unwrap_or(Timestamp::MAX)
    }

    /// How many seconds of service time pass in one real second.
    pub fn scale(&self) -> f64 {
        self.state().scale
    }

    /// Waits until `duration` of service time has passed.
    pub async fn sleep(&self, duration: Duration) {
        let duration = SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX);
        self.sleep_until(self.now().saturating_add(duration).unwrap_or(Timestamp::MAX)).await;
    }

    /// Waits until service time has reached `deadline`; notices when the clock is moved or scaled meanwhile.
    pub async fn sleep_until(&self, deadline: Timestamp) {
        let mut changed = self.shared.changed.subscribe();
        loop {
            changed.mark_unchanged();
            let state = self.state();
            let left = deadline.duration_since(state.now());
            if left <= SignedDuration::ZERO {
                return;
            }
            // A day at a time keeps every arithmetic in range; the loop goes on.
            let real = (left.as_secs_f64() / state.scale).clamp(0.000_1, 86_400.0);
            tokio::select! {
                () = tokio::time::sleep(Duration::from_secs_f64(real)) => {}
                // The sender lives in `self`, so this ends only with a change.
                _ = changed.changed() => {}
            }
        }
    }

    /// Moves service time forward. It never goes back: tasks would lie in the future.
    pub fn advance(&self, by: Duration) {
        self.change(|state| {
            let by = SignedDuration::try_from(by).unwrap_or(SignedDuration::MAX);
            state.service = state.service.saturating_add(by).unwrap_or(Timestamp::MAX);
        });
    }

    /// Moves service time forward to `to`, if it is not there already.
    pub fn advance_to(&self, to: Timestamp) {
        self.change(|state| state.service = state.service.max(to));
    }

    /// Changes the pace from now on. Values that are not finite and positive count as 1.
    pub fn set_scale(&self, scale: f64) {
        self.change(|state| state.scale = sane(scale));
    }

    /// Sets what is added to the wall clock when the age of a signature is checked.
    pub fn set_wall_offset(&self, offset: SignedDuration) {
        self.change(|state| state.wall_offset = offset);
    }

    fn change(&self, apply: impl FnOnce(&mut State)) {
        {
            let mut state = self.shared.state.lock().unwrap_or_else(PoisonError::into_inner);
            *state = state.rebased();
            apply(&mut state);
        }
        self.shared.changed.send_modify(|version| *version += 1);
    }

    fn state(&self) -> State {
        *self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn sane(scale: f64) -> f64 {
    if scale.is_finite() && scale > 0.0 { scale } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scaled_clock_runs_faster_than_the_wall() {
        let clock = Clock::scaled(1_000_000.0);
        let before = clock.now();
        std::thread::sleep(Duration::from_millis(2));
        assert!(clock.now().duration_since(before) > SignedDuration::from_secs(1000));
    }

    #[tokio::test]
    async fn a_sleeper_wakes_when_the_clock_is_moved_past_its_deadline() {
        let clock = Clock::real();
        let sleeper = tokio::spawn({
            let clock = clock.clone();
            async move { clock.sleep(Duration::from_hours(1)).await }
        });
        tokio::task::yield_now().await;
        clock.advance(Duration::from_hours(1));
        tokio::time::timeout(Duration::from_secs(10), sleeper).await.unwrap().unwrap();
    }

    #[test]
    fn service_time_never_goes_back() {
        let clock = Clock::real();
        clock.advance(Duration::from_mins(1));
        let before = clock.now();
        clock.advance_to(Timestamp::now());
        clock.set_scale(0.5);
        assert!(clock.now() >= before);
    }
}
