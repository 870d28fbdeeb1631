//! The request budget that all clients of one endpoint and project share.
//!
//! It is written here because the rate-limiting crates at hand (`governor` for one) can neither change their rate at run
//! time, nor hand permits out by urgency, nor hold everybody back when a refusal says for how long. [`schedule`] decides,
//! without a clock; this file adds the clock and the waiting.

mod limit;
mod schedule;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use self::limit::Limit;
use self::schedule::{Schedule, Ticket, Turn};

/// How soon a call must be made. Permits go out in this order, so a delete overtakes any number of creates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Urgency {
    /// Cleaning up: a deletion waits for it.
    Delete,
    /// Somebody did something and looks on: suspend, resume, bandwidth, retry.
    User,
    /// New tasks and the searches before them.
    Create,
    /// Looking what changed.
    Poll,
}

impl Urgency {
    /// Name for metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Delete => "delete",
            Self::User => "user",
            Self::Create => "create",
            Self::Poll => "poll",
        }
    }
}

/// How a budget stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Standing {
    /// Calls that could be made at once.
    pub left: u64,
    /// Requests per second in force.
    pub rate: f64,
    /// Calls that wait.
    pub waiting: u64,
}

/// Requests per second to one endpoint and project, shared by all clients of that pair: cloning it shares it.
///
/// It learns from refusals: a limit told by the gateway is kept to, a refusal without a number halves the rate, which
/// then recovers slowly, and a `Retry-After` holds for every caller.
#[derive(Clone)]
pub struct Budget {
    shared: Arc<Shared>,
}

struct Shared {
    started: Instant,
    state: Mutex<State>,
}

struct State {
    schedule: Schedule,
    wakers: HashMap<Ticket, Arc<Notify>>,
}

/// Leave to make one call, with the time it was given.
#[derive(Clone, Copy, Debug)]
pub(super) struct Permit {
    granted_at: Duration,
}

impl Budget {
    /// A budget of so many requests per second (0.01 to 10,000; others are taken to the nearest).
    pub fn new(requests_per_second: f64) -> Self {
        let state =
            State { schedule: Schedule::new(requests_per_second, Duration::ZERO), wakers: HashMap::new() };
        Self { shared: Arc::new(Shared { started: Instant::now(), state: Mutex::new(state) }) }
    }

    /// Changes the configured rate: the minimum of what the connections that share it allow.
    pub fn set_rate(&self, requests_per_second: f64) {
        let now = self.shared.now();
        let mut state = self.shared.lock();
        state.schedule.set_rate(requests_per_second, now);
        state.wake_next();
    }

    /// Requests per second in force now, everything learned included.
    pub fn rate(&self) -> f64 {
        self.shared.lock().schedule.rate()
    }

    /// How it stands now.
    pub fn standing(&self) -> Standing {
        let now = self.shared.now();
        let schedule = &mut self.shared.lock().schedule;
        Standing { left: schedule.left(now), rate: schedule.rate(), waiting: schedule.waiting() }
    }

    /// How long the next permit takes at least, even for the most urgent call.
    pub fn wait(&self) -> Duration {
        let now = self.shared.now();
        self.shared.lock().schedule.next_at(now).saturating_sub(now)
    }

    /// Waits for leave to call. Dropping the future leaves the queue.
    pub(super) async fn permit(&self, urgency: Urgency) -> Permit {
        let place = Place::take(&self.shared, urgency);
        loop {
            let now = self.shared.now();
            let turn = {
                let mut state = self.shared.lock();
                let turn = state.schedule.poll(place.ticket, now);
                if turn == Turn::Granted {
                    state.wake_next();
                }
                turn
            };
            match turn {
                Turn::Granted => return Permit { granted_at: now },
                Turn::Behind => place.woken.notified().await,
                Turn::At(at) => {
                    tokio::select! {
                        () = tokio::time::sleep_until(self.shared.started + at) => {}
                        () = place.woken.notified() => {}
                    }
                }
            }
        }
    }

    /// The gateway refused a call for coming too often.
    pub(super) fn refused(&self, permit: Permit, message: &str, retry_after: Option<Duration>) {
        let now = self.shared.now();
        let limit = Limit::parse(message);
        let mut state = self.shared.lock();
        state.schedule.refused(permit.granted_at, now, limit, retry_after);
        tracing::debug!(?limit, ?retry_after, rate = state.schedule.rate(), "OMS limits the request rate");
        state.wake_next();
    }

    /// The service asked for a pause.
    pub(super) fn pause(&self, wait: Duration) {
        let now = self.shared.now();
        self.shared.lock().schedule.pause(now, wait);
    }

    /// A call was not refused.
    pub(super) fn succeeded(&self, permit: Permit) {
        self.shared.lock().schedule.succeeded(permit.granted_at);
    }
}

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Budget").field("rate", &self.rate()).finish_non_exhaustive()
    }
}

impl Shared {
    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    /// A panic elsewhere leaves the schedule as usable as before.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Whoever is first in line now looks at the clock again.
    fn wake_next(&self) {
        if let Some(waker) = self.schedule.next().and_then(|ticket| self.wakers.get(&ticket)) {
            waker.notify_one();
        }
    }
}

/// A place in the queue, given up when dropped.
struct Place<'a> {
    shared: &'a Shared,
    ticket: Ticket,
    woken: Arc<Notify>,
}

impl<'a> Place<'a> {
    fn take(shared: &'a Shared, urgency: Urgency) -> Self {
        let woken = Arc::new(Notify::new());
        let mut state = shared.lock();
        let ticket = state.schedule.enqueue(urgency);
        state.wakers.insert(ticket, Arc::clone(&woken));
        Self { shared, ticket, woken }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.schedule.cancel(self.ticket);
        state.wakers.remove(&self.ticket);
        state.wake_next();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_thousand_callers_get_their_permits_in_order_of_urgency_and_on_time() {
        let budget = Budget::new(20.0);
        let started = Instant::now();
        let mut callers = tokio::task::JoinSet::new();
        for index in 0..1000 {
            let budget = budget.clone();
            let urgency = if index % 100 == 99 { Urgency::Delete } else { Urgency::Create };
            callers.spawn(async move {
                budget.permit(urgency).await;
                (urgency, started.elapsed())
            });
        }
        let done: Vec<_> = callers.join_all().await;
        let last = done.iter().map(|(_, at)| *at).max().unwrap();
        assert!((Duration::from_secs(48)..Duration::from_secs(50)).contains(&last), "{last:?}");
        let slowest_delete =
            done.iter().filter(|(urgency, _)| *urgency == Urgency::Delete).map(|(_, at)| *at).max();
        assert!(slowest_delete.unwrap() < Duration::from_secs(2), "{slowest_delete:?}");
        assert!(budget.shared.lock().wakers.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_that_gives_up_does_not_block_the_others() {
        let budget = Budget::new(1.0);
        budget.permit(Urgency::Create).await;
        let impatient = tokio::time::timeout(Duration::from_millis(10), budget.permit(Urgency::Delete)).await;
        assert!(impatient.is_err());
        tokio::time::timeout(Duration::from_secs(2), budget.permit(Urgency::Poll)).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_raised_rate_reaches_those_who_wait() {
        let budget = Budget::new(0.01);
        budget.permit(Urgency::Create).await;
        let waiting = tokio::spawn({
            let budget = budget.clone();
            async move { budget.permit(Urgency::Create).await }
        });
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(!waiting.is_finished());
        budget.set_rate(10.0);
        tokio::time::timeout(Duration::from_secs(2), waiting).await.unwrap().unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_budget_that_rested_has_a_permit_at_once() {
        let budget = Budget::new(0.01);
        budget.permit(Urgency::Create).await;
        assert!(budget.wait() > Duration::from_secs(90));
        tokio::time::sleep(Duration::from_secs(101)).await;
        assert_eq!(budget.wait(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_budget_tells_how_it_stands() {
        let budget = Budget::new(10.0);
        let standing = |left, rate, waiting| Standing { left, rate, waiting };
        assert_eq!(budget.standing(), standing(10, 10.0, 0));
        let mut permit = budget.permit(Urgency::Create).await;
        assert_eq!(budget.standing(), standing(9, 10.0, 0));
        for _ in 0..9 {
            permit = budget.permit(Urgency::Create).await;
        }
        let waiting = tokio::spawn({
            let budget = budget.clone();
            async move { budget.permit(Urgency::Poll).await }
        });
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert_eq!(budget.standing(), standing(0, 10.0, 1));
        waiting.await.unwrap();
        budget.refused(permit, "limit:60,time:1 minute", Some(Duration::from_secs(9)));
        tokio::time::sleep(Duration::from_secs(8)).await;
        assert_eq!(budget.standing(), standing(0, 1.0, 0), "nobody may call yet");
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(budget.standing(), standing(1, 1.0, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_tells_everybody_to_wait() {
        let budget = Budget::new(100.0);
        let permit = budget.permit(Urgency::Create).await;
        budget.refused(
            permit,
            "policy user over ratelimit,limit:60,time:1 minute",
            Some(Duration::from_secs(9)),
        );
        assert!(budget.wait() >= Duration::from_secs(8));
        assert!((budget.rate() - 1.0).abs() < 1e-9);
        let before = Instant::now();
        budget.permit(Urgency::Delete).await;
        assert!(before.elapsed() >= Duration::from_secs(8));
    }
}
