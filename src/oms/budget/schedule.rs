//! Who may call when: a pure state machine. Times are spans since an arbitrary start, so a test is its own clock.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use super::Urgency;
use super::limit::Limit;

/// Of so many permits one goes to whoever waits longest, so that a flood of urgent calls starves nobody.
const FAIR_SHARE: u64 = 20;
/// Slowest and fastest rate that can be configured, calls per second.
const RATES: (f64, f64) = (0.01, 10_000.0);
/// Smallest part of the rate that is left after refusals without a number.
const LEAST_FACTOR: f64 = 1.0 / 16.0;
/// How a lowered rate recovers: by this much of the full rate, this often.
const RECOVERY: (f64, Duration) = (0.05, Duration::from_secs(10));
/// First and longest pause after a refusal that names none.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// A learned limit that was not confirmed by a refusal for this long (or twice its window) is forgotten: it may have been raised.
const MEMORY: Duration = Duration::from_hours(1);
/// Calls are remembered at least this long, because a limit may be learned after they were made.
const LEAST_HISTORY: Duration = Duration::from_mins(10);

/// Place in the queue.
pub(super) type Ticket = u64;

/// What a waiting caller has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// Call now.
    Granted,
    /// First in line; ask again then.
    At(Duration),
    /// Others are first.
    Behind,
}

#[derive(Debug)]
pub(super) struct Schedule {
    configured: f64,
    /// Part of the rate in use; falls with refusals that name no limit, rises again with time.
    factor: f64,
    factor_at: Duration,
    learned: Option<(Limit, Duration)>,
    tokens: f64,
    filled_at: Duration,
    blocked_until: Duration,
    refusals: u32,
    refused_at: Option<Duration>,
    /// Permits granted, one entry per second with the time of its last permit.
    history: VecDeque<(Duration, u32)>,
    waiting: BTreeSet<(Urgency, Ticket)>,
    urgencies: BTreeMap<Ticket, Urgency>,
    next_ticket: Ticket,
    granted: u64,
}

impl Schedule {
    pub(super) fn new(rate: f64, now: Duration) -> Self {
        let configured = sane(rate);
        Self {
            configured,
            factor: 1.0,
            factor_at: now,
            learned: None,
            tokens: configured.max(1.0),
            filled_at: now,
            blocked_until: now,
            refusals: 0,
            refused_at: None,
            history: VecDeque::new(),
            waiting: BTreeSet::new(),
            urgencies: BTreeMap::new(),
            next_ticket: 0,
            granted: 0,
        }
    }

    pub(super) fn set_rate(&mut self, rate: f64, now: Duration) {
        self.refill(now);
        self.configured = sane(rate);
        self.tokens = self.tokens.min(self.capacity());
    }

    /// Calls per second in force.
    pub(super) fn rate(&self) -> f64 {
        let learned = self.learned.map_or(f64::INFINITY, |(limit, _)| limit.rate());
        self.configured.min(learned) * self.factor
    }

    pub(super) fn enqueue(&mut self, urgency: Urgency) -> Ticket {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        self.waiting.insert((urgency, ticket));
        self.urgencies.insert(ticket, urgency);
        ticket
    }

    /// Leaves the queue; harmless for a ticket that was granted.
    pub(super) fn cancel(&mut self, ticket: Ticket) {
        if let Some(urgency) = self.urgencies.remove(&ticket) {
            self.waiting.remove(&(urgency, ticket));
        }
    }

    /// Whose turn is next.
    pub(super) fn next(&self) -> Option<Ticket> {
        if (self.granted + 1).is_multiple_of(FAIR_SHARE) {
            return self.urgencies.keys().next().copied();
        }
        self.waiting.first().map(|(_, ticket)| *ticket)
    }

    pub(super) fn poll(&mut self, ticket: Ticket, now: Duration) -> Turn {
        if self.next() != Some(ticket) {
            return Turn::Behind;
        }
        let at = self.next_at(now);
        if at > now {
            return Turn::At(at);
        }
        self.cancel(ticket);
        self.tokens -= 1.0;
        self.granted += 1;
        self.remember(now);
        Turn::Granted
    }

    /// When the next permit can be given, whoever gets it.
    pub(super) fn next_at(&mut self, now: Duration) -> Duration {
        self.refill(now);
        self.available_at(now)
    }

    fn available_at(&self, now: Duration) -> Duration {
        let missing = 1.0 - self.tokens;
        // Rounded up to whole microseconds, so that a waker never comes a moment too early.
        let refilled = if missing <= 0.0 {
            now
        } else {
            now + Duration::from_secs_f64(missing / self.rate()) + Duration::from_micros(1)
        };
        refilled.max(self.blocked_until).max(self.window_opens_at(now))
    }

    /// A call that was granted at `granted_at` was refused for coming too often.
    pub(super) fn refused(
        &mut self,
        granted_at: Duration,
        now: Duration,
        limit: Option<Limit>,
        retry_after: Option<Duration>,
    ) {
        self.refill(now);
        // Calls that were already under way at the last refusal belong to it.
        let is_new = self.refused_at.is_none_or(|refused_at| granted_at > refused_at);
        let obeyed = self.learned.is_some_and(|(_, learned_at)| granted_at > learned_at);
        if let Some(limit) = limit {
            let changed = self.learned.is_none_or(|(known, _)| known != limit);
            self.learned = Some((limit, now));
            // We kept to the limit and were refused: somebody else uses it too.
            if is_new && obeyed && !changed {
                self.slow_down(now);
            }
        } else {
            if let Some((_, learned_at)) = &mut self.learned {
                *learned_at = now;
            }
            if is_new {
                self.slow_down(now);
            }
        }
        if is_new {
            self.refusals = self.refusals.saturating_add(1);
            self.refused_at = Some(now);
        }
        let (first, longest) = PAUSES;
        let pause = first.saturating_mul(1 << (self.refusals.saturating_sub(1)).min(8)).min(longest);
        self.pause(now, retry_after.unwrap_or(pause));
        self.tokens = 0.0;
    }

    /// Nobody calls for a while.
    pub(super) fn pause(&mut self, now: Duration, wait: Duration) {
        self.blocked_until = self.blocked_until.max(now + wait);
    }

    /// A call was not refused: the next refusal starts a new series.
    pub(super) fn succeeded(&mut self, granted_at: Duration) {
        if self.refused_at.is_none_or(|refused_at| granted_at > refused_at) {
            self.refusals = 0;
        }
    }

    fn slow_down(&mut self, now: Duration) {
        self.factor = (self.factor / 2.0).max(LEAST_FACTOR);
        self.factor_at = now;
    }

    fn refill(&mut self, now: Duration) {
        let passed = now.saturating_sub(self.filled_at).as_secs_f64();
        self.tokens = (self.tokens + passed * self.rate()).min(self.capacity());
        self.filled_at = self.filled_at.max(now);
        let (step, every) = RECOVERY;
        while self.factor < 1.0 && now.saturating_sub(self.factor_at) >= every {
            self.factor = (self.factor + step).min(1.0);
            self.factor_at += every;
        }
        if let Some((limit, confirmed_at)) = self.learned
            && now.saturating_sub(confirmed_at) > MEMORY.max(limit.window * 2)
        {
            self.learned = None;
        }
    }

    /// Calls that may come at once: those of a second, at least one.
    fn capacity(&self) -> f64 {
        self.rate().max(1.0)
    }

    /// Calls that could be made at once.
    pub(super) fn left(&mut self, now: Duration) -> u64 {
        if self.next_at(now) > now {
            return 0;
        }
        let window = self.learned.map_or(u64::MAX, |(limit, _)| {
            let inside = self.history.iter().filter(|(at, _)| *at + limit.window > now);
            u64::from(limit.calls.saturating_sub(inside.map(|(_, calls)| *calls).sum()))
        });
        (self.tokens.max(0.0) as u64).min(window)
    }

    /// How many wait.
    pub(super) fn waiting(&self) -> u64 {
        self.waiting.len() as u64
    }

    /// With a learned limit: when the calls of its window leave room for another one.
    fn window_opens_at(&self, now: Duration) -> Duration {
        let Some((limit, _)) = self.learned else { return now };
        let inside = |at: Duration| at + limit.window > now;
        let mut used: u32 = self.history.iter().filter(|(at, _)| inside(*at)).map(|(_, calls)| *calls).sum();
        for (at, calls) in self.history.iter().filter(|(at, _)| inside(*at)) {
            if used < limit.calls {
                break;
            }
            used -= calls;
            if used < limit.calls {
                return *at + limit.window;
            }
        }
        now
    }

    fn remember(&mut self, now: Duration) {
        match self.history.back_mut() {
            Some((at, calls)) if at.as_secs() == now.as_secs() => {
                *at = now;
                *calls += 1;
            }
            _ => self.history.push_back((now, 1)),
        }
        let keep = self.learned.map_or(LEAST_HISTORY, |(limit, _)| limit.window.max(LEAST_HISTORY));
        while self.history.front().is_some_and(|(at, _)| *at + keep < now) {
            self.history.pop_front();
        }
    }
}

fn sane(rate: f64) -> f64 {
    if rate.is_finite() { rate.clamp(RATES.0, RATES.1) } else { RATES.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// Grants every permit possible until `end`, jumping from one to the next; returns when each was granted.
    fn run(schedule: &mut Schedule, now: &mut Duration, end: Duration, urgency: Urgency) -> Vec<Duration> {
        let mut grants = Vec::new();
        while *now < end {
            let ticket = schedule.enqueue(urgency);
            loop {
                match schedule.poll(ticket, *now) {
                    Turn::Granted => break grants.push(*now),
                    Turn::At(at) if at >= end => {
                        schedule.cancel(ticket);
                        *now = end;
                        return grants;
                    }
                    Turn::At(at) => *now = at,
                    Turn::Behind => panic!("alone in the queue"),
                }
            }
        }
        grants
    }

    #[test]
    fn permits_come_at_the_configured_rate_after_a_burst_of_one_second() {
        let (mut schedule, mut now) = (Schedule::new(20.0, Duration::ZERO), Duration::ZERO);
        let grants = run(&mut schedule, &mut now, seconds(10), Urgency::Create);
        assert!((219..=220).contains(&grants.len()), "{}", grants.len());
        assert!(grants[19].is_zero());
    }

    #[test]
    fn deletes_and_acts_of_users_go_first() {
        let mut schedule = Schedule::new(1.0, Duration::ZERO);
        let poll = schedule.enqueue(Urgency::Poll);
        let create = schedule.enqueue(Urgency::Create);
        let user = schedule.enqueue(Urgency::User);
        let delete = schedule.enqueue(Urgency::Delete);
        let mut now = Duration::ZERO;
        for ticket in [delete, user, create, poll] {
            assert_eq!(schedule.next(), Some(ticket));
            while schedule.poll(ticket, now) != Turn::Granted {
                now += Duration::from_millis(100);
            }
        }
        assert_eq!(schedule.next(), None);
    }

    #[test]
    fn a_flood_of_urgent_calls_does_not_starve_a_poll() {
        let mut schedule = Schedule::new(1000.0, Duration::ZERO);
        let poll = schedule.enqueue(Urgency::Poll);
        for _ in 0..30 {
            schedule.enqueue(Urgency::Create);
        }
        let order: Vec<Ticket> = (0..25)
            .map(|_| {
                let next = schedule.next().unwrap();
                assert_eq!(schedule.poll(next, Duration::ZERO), Turn::Granted);
                next
            })
            .collect();
        assert_eq!(order.iter().position(|ticket| *ticket == poll), Some(FAIR_SHARE as usize - 1));
    }

    #[test]
    fn only_the_first_in_line_is_granted_and_who_leaves_makes_room() {
        let mut schedule = Schedule::new(1.0, Duration::ZERO);
        let first = schedule.enqueue(Urgency::Create);
        let second = schedule.enqueue(Urgency::Create);
        assert_eq!(schedule.poll(second, Duration::ZERO), Turn::Behind);
        schedule.cancel(first);
        assert_eq!(schedule.poll(second, Duration::ZERO), Turn::Granted);
    }

    #[test]
    fn a_learned_limit_is_kept_and_used_to_the_full() {
        let limit = Limit { calls: 200, window: seconds(300) };
        let (mut schedule, mut now) = (Schedule::new(20.0, Duration::ZERO), Duration::ZERO);
        let mut grants = Vec::new();
        // The gateway lets 200 through and refuses the next.
        while grants.len() < 201 {
            let ticket = schedule.enqueue(Urgency::Create);
            match schedule.poll(ticket, now) {
                Turn::Granted => grants.push(now),
                Turn::At(at) => {
                    schedule.cancel(ticket);
                    now = at;
                }
                Turn::Behind => unreachable!(),
            }
        }
        schedule.refused(now, now, Some(limit), None);
        let end = seconds(300 * 10);
        let later = run(&mut schedule, &mut now, end, Urgency::Create);
        grants.truncate(200);
        grants.extend(later);
        for (index, start) in grants.iter().enumerate() {
            let inside =
                grants.get(index..).unwrap().iter().take_while(|at| **at < *start + limit.window).count();
            assert!(inside <= 200, "{inside} calls in the window from {start:?}");
        }
        let allowed = 200.0 * end.as_secs_f64() / limit.window.as_secs_f64();
        let used = grants.len() as f64 / allowed;
        assert!(used >= 0.95, "{used}");
    }

    #[test]
    fn a_refusal_without_a_number_halves_the_rate_which_recovers_slowly() {
        let mut schedule = Schedule::new(16.0, Duration::ZERO);
        schedule.refused(seconds(1), seconds(1), None, None);
        assert!((schedule.rate() - 8.0).abs() < 1e-9);
        // Calls that were under way at that moment are the same event.
        schedule.refused(seconds(1), seconds(1), None, None);
        assert!((schedule.rate() - 8.0).abs() < 1e-9);
        schedule.refused(seconds(3), seconds(3), None, None);
        assert!((schedule.rate() - 4.0).abs() < 1e-9);
        schedule.refill(seconds(13));
        assert!((schedule.rate() - 4.8).abs() < 1e-9);
        schedule.refill(seconds(600));
        assert!((schedule.rate() - 16.0).abs() < 1e-9);
    }

    #[test]
    fn retry_after_holds_for_everybody() {
        let mut schedule = Schedule::new(10.0, Duration::ZERO);
        schedule.refused(Duration::ZERO, Duration::ZERO, None, Some(seconds(42)));
        let delete = schedule.enqueue(Urgency::Delete);
        assert_eq!(schedule.poll(delete, seconds(1)), Turn::At(seconds(42)));
        assert_eq!(schedule.poll(delete, seconds(42)), Turn::Granted);
    }

    #[test]
    fn pauses_grow_with_refusals_in_a_row_and_start_over_after_a_success() {
        let mut schedule = Schedule::new(10.0, Duration::ZERO);
        let mut now = seconds(0);
        let mut pauses = Vec::new();
        for _ in 0..7 {
            now += seconds(100);
            schedule.refused(now, now, None, None);
            pauses.push(schedule.blocked_until.saturating_sub(now).as_secs());
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30]);
        schedule.succeeded(now + seconds(1));
        now += seconds(100);
        schedule.refused(now, now, None, None);
        assert_eq!(schedule.blocked_until.saturating_sub(now).as_secs(), 1);
    }

    #[test]
    fn a_limit_shared_with_others_slows_us_down_further() {
        let limit = Limit { calls: 60, window: seconds(60) };
        let mut schedule = Schedule::new(20.0, Duration::ZERO);
        schedule.refused(seconds(1), seconds(1), Some(limit), None);
        assert!((schedule.rate() - 1.0).abs() < 1e-9);
        schedule.refused(seconds(9), seconds(9), Some(limit), None);
        assert!((schedule.rate() - 0.5).abs() < 1e-9);
    }

    #[test]
    fn an_unconfirmed_limit_is_forgotten_and_the_rate_can_change_meanwhile() {
        let mut schedule = Schedule::new(20.0, Duration::ZERO);
        schedule.refused(seconds(1), seconds(1), Some(Limit { calls: 60, window: seconds(60) }), None);
        schedule.set_rate(0.5, seconds(2));
        assert!((schedule.rate() - 0.5).abs() < 1e-9);
        schedule.set_rate(30.0, seconds(3));
        assert!((schedule.rate() - 1.0).abs() < 1e-9);
        schedule.refill(seconds(2 * 3600));
        assert!((schedule.rate() - 30.0).abs() < 1e-9);
        schedule.set_rate(f64::NAN, seconds(2 * 3600));
        assert!(schedule.rate() > 0.0);
    }
}
