//! The line of the objects of one kind and project that a quota keeps from creating.
//!
//! Shared by all of them, in memory only: after a restart everybody lines up again, and the search that precedes a create
//! brings back what was created before.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use super::wake::{Target, Waker};
use crate::plan::queue::{Applicant, DAY, Place, Quota, Turn, Usage, line};
use crate::plan::seen::{RemoteId, RemoteState, RemoteTask};
use crate::telemetry::metrics;

/// How long the gate stays closed after a refusal: OMS names no time.
const SHORTEST_PAUSE: Duration = Duration::from_mins(5);

/// How long it stays closed when one refusal follows another.
const LONGEST_PAUSE: Duration = Duration::from_mins(30);

/// How long a count of what waits at OMS is believed: others come and go.
const BELIEVED: Duration = Duration::from_mins(5);

/// How long a place in the line is kept for who does not ask for it any more.
const ABSENCE: Duration = Duration::from_mins(10);

/// How many are woken when there is room: each that goes through wakes the next.
const WOKEN: usize = 2;

/// A line.
#[derive(Default)]
pub(super) struct Queue(Mutex<State>);

#[derive(Default)]
struct State {
    /// Who waits.
    waiting: HashMap<String, Waiting>,
    /// Who was let through, and when, until it is known what came of it.
    granted: HashMap<String, Timestamp>,
    /// Creates of the last 24 hours.
    created: HashMap<RemoteId, Timestamp>,
    /// What was there at the last look that counts against a limit, and when that look began.
    present: Option<(usize, Timestamp)>,
    /// Sync tasks that have a place, as the last look had them.
    holding: HashSet<RemoteId>,
    /// How many each namespace was let through while others waited.
    served: BTreeMap<String, u64>,
    closed_until: Option<Timestamp>,
    /// How often OMS refused in a row.
    refusals: u32,
}

/// One who waits.
struct Waiting {
    applicant: Applicant,
    /// Whom to wake.
    target: Target,
    /// When it lined up.
    since: Timestamp,
    /// When it asked last.
    asked: Timestamp,
}

impl Queue {
    /// Whether it is an object's turn. One whose turn it is counts as under way from here on.
    pub(super) fn turn(&self, applicant: Applicant, target: Target, quota: Quota, now: Timestamp) -> Turn {
        let mut state = self.lock();
        state.forget_the_old(now);
        let mut usage = state.usage(now);
        let uid = applicant.uid.clone();
        if let Some(since) = state.granted.get(&uid).copied() {
            // What was learned since it was let through counts too: those before it go first.
            usage.under_way =
                state.granted.iter().filter(|(other, at)| (**at, *other) < (since, &uid)).count();
            if usage.room(quota, now) > 0 {
                return Turn::Now;
            }
            state.granted.remove(&uid);
            usage = state.usage(now);
        }
        let namespace = applicant.namespace.clone();
        state.line_up(applicant, target, now);
        let applicants: Vec<_> = state.waiting.values().map(|waiting| waiting.applicant.clone()).collect();
        let order = line(&applicants, &state.served);
        let index = order.iter().position(|other| other.uid == uid).unwrap_or_default();
        if index < usage.room(quota, now) {
            state.waiting.remove(&uid);
            state.granted.insert(uid, now);
            if state.waiting.is_empty() {
                state.served.clear();
            } else {
                *state.served.entry(namespace).or_default() += 1;
            }
            return Turn::Now;
        }
        let position = index + 1;
        Turn::Later(Place { position, earliest_at: usage.earliest(quota, position, now) })
    }

    /// An object has an intent on record: it was let through, perhaps by the process before.
    pub(super) fn hold(&self, uid: &str, now: Timestamp) {
        let mut state = self.lock();
        state.waiting.remove(uid);
        state.granted.entry(uid.to_owned()).or_insert(now);
    }

    /// An object wants nothing any more, or nothing came of it.
    pub(super) fn leave(&self, uid: &str) {
        let mut state = self.lock();
        state.waiting.remove(uid);
        state.granted.remove(uid);
        if state.waiting.is_empty() {
            state.served.clear();
        }
    }

    /// OMS took a create: there is room. The next in the line are woken.
    pub(super) fn created(&self, uid: &str, id: &RemoteId, now: Timestamp, waker: &Waker) {
        let mut state = self.lock();
        state.granted.remove(uid);
        state.created.insert(id.clone(), now);
        (state.closed_until, state.refusals) = (None, 0);
        state.wake_next(waker);
    }

    /// A sync task gave its place back: it was stopped or deleted. What OMS refused before no longer counts.
    pub(super) fn vacated(&self, id: &RemoteId, waker: &Waker) {
        let mut state = self.lock();
        state.created.remove(id);
        if state.holding.remove(id)
            && let Some((count, _)) = &mut state.present
        {
            *count = count.saturating_sub(1);
        }
        (state.closed_until, state.refusals) = (None, 0);
        state.wake_next(waker);
    }

    /// Which sync tasks have a place by a list that was read at `at`.
    pub(super) fn held(&self, ids: HashSet<RemoteId>, at: Timestamp, waker: &Waker) {
        let mut state = self.lock();
        let fewer = state.holding.iter().any(|id| !ids.contains(id));
        state.present = Some((ids.len(), at));
        state.holding = ids;
        if fewer {
            state.wake_next(waker);
        }
    }

    /// OMS refused a create because of a quota: the gate closes for a while, longer each time.
    pub(super) fn refused(&self, uid: &str, now: Timestamp) {
        let mut state = self.lock();
        state.granted.remove(uid);
        let pause = SHORTEST_PAUSE.saturating_mul(1 << state.refusals.min(4)).min(LONGEST_PAUSE);
        state.refusals = state.refusals.saturating_add(1);
        state.closed_until = Some(now + pause);
    }

    /// What a scan of everything saw, which began at `at`: also what others created, and this process before it ended. A
    /// task tells when it began, not when it was created; one that has not begun is known only to be there.
    pub(super) fn scanned<'a>(&self, tasks: impl IntoIterator<Item = &'a RemoteTask>, at: Timestamp) {
        let mut state = self.lock();
        let mut waiting = 0;
        state.holding.clear();
        for task in tasks {
            if task.state == RemoteState::Synchronizing {
                state.holding.insert(task.id.clone());
            }
            waiting += usize::from(matches!(task.state, RemoteState::Waiting | RemoteState::Synchronizing));
            if let Some(began) = task.started_at.filter(|began| *began <= at && *began + DAY > at) {
                state.created.entry(task.id.clone()).or_insert(began);
            }
        }
        state.present = Some((waiting, at));
    }

    /// How many a list of what waits had, that was read at `at`.
    pub(super) fn listed(&self, waiting: usize, at: Timestamp) {
        self.lock().present = Some((waiting, at));
    }

    /// How many wait, and for how long the first has. Who does not ask any more has left without a word.
    pub(super) fn line(&self, now: Timestamp) -> metrics::Waiting {
        let state = self.lock();
        let waiting = || state.waiting.values().filter(|waiting| waiting.asked + ABSENCE > now);
        let oldest = waiting().map(|waiting| waiting.since).min();
        let oldest = oldest.and_then(|since| Duration::try_from(now.duration_since(since)).ok());
        metrics::Waiting { count: waiting().count() as u64, oldest: oldest.unwrap_or_default() }
    }

    #[cfg(test)]
    fn length(&self) -> usize {
        self.lock().waiting.len()
    }

    /// Forgets objects that no longer exist.
    pub(super) fn retain(&self, exists: impl Fn(&str) -> bool) {
        let mut state = self.lock();
        state.waiting.retain(|uid, _| exists(uid));
        state.granted.retain(|uid, _| exists(uid));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn forget_the_old(&mut self, now: Timestamp) {
        self.created.retain(|_, at| *at + DAY > now);
        self.waiting.retain(|_, waiting| waiting.asked + ABSENCE > now);
    }

    /// Wakes the first in the line: whoever goes through wakes the next.
    fn wake_next(&self, waker: &Waker) {
        let applicants: Vec<_> = self.waiting.values().map(|waiting| waiting.applicant.clone()).collect();
        for next in line(&applicants, &self.served).into_iter().take(WOKEN) {
            if let Some(waiting) = self.waiting.get(&next.uid) {
                waker.wake(&waiting.target);
            }
        }
    }

    /// Who comes new to the line starts level with the least served of those who wait.
    fn line_up(&mut self, applicant: Applicant, target: Target, now: Timestamp) {
        let present = self.waiting.values().any(|other| other.applicant.namespace == applicant.namespace);
        if !present {
            let waiting = self.waiting.values().map(|other| &other.applicant.namespace);
            let least = waiting.map(|name| self.served.get(name).copied().unwrap_or_default()).min();
            let served = self.served.entry(applicant.namespace.clone()).or_default();
            *served = (*served).max(least.unwrap_or_default());
        }
        let since = self.waiting.get(&applicant.uid).map_or(now, |before| before.since);
        self.waiting.insert(applicant.uid.clone(), Waiting { applicant, target, since, asked: now });
    }

    fn usage(&self, now: Timestamp) -> Usage {
        let mut created: Vec<_> = self.created.values().copied().collect();
        created.sort_unstable();
        // What was created since the look waits, as far as is known.
        let present = self
            .present
            .filter(|(_, at)| *at + BELIEVED > now)
            .map_or(0, |(count, at)| count + created.iter().filter(|created| **created > at).count());
        Usage {
            created,
            present,
            under_way: self.granted.len(),
            closed_until: self.closed_until,
            doubtful: self.refusals > 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::wish::Kind;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn ask(queue: &Queue, uid: &str, quota: Quota, second: i64) -> Turn {
        let applicant =
            Applicant { uid: uid.into(), namespace: uid[..1].into(), priority: None, since: at(0) };
        let target =
            Target { kind: Kind::MigrationTask, namespace: applicant.namespace.clone(), name: uid.into() };
        queue.turn(applicant, target, quota, at(second))
    }

    fn later(position: usize, earliest: i64) -> Turn {
        Turn::Later(Place { position, earliest_at: Some(at(earliest)) })
    }

    const DAILY: Quota = Quota { per_day: Some(1), at_once: None };

    #[test]
    fn a_place_is_taken_from_the_moment_at_which_it_is_given() {
        let (waker, _queues) = Waker::new();
        let queue = Queue::default();
        assert_eq!(ask(&queue, "a1", DAILY, 0), Turn::Now);
        assert_eq!(ask(&queue, "a1", DAILY, 1), Turn::Now, "it keeps it");
        assert!(matches!(ask(&queue, "a2", DAILY, 2), Turn::Later(Place { position: 1, .. })));
        queue.created("a1", &RemoteId::from(1), at(3), &waker);
        assert_eq!(ask(&queue, "a2", DAILY, 4), later(1, 86_403));
        assert_eq!(ask(&queue, "a3", DAILY, 4), later(2, 86_403 + 86_400));
        assert_eq!(ask(&queue, "a2", DAILY, 86_404), Turn::Now);
    }

    #[test]
    fn who_leaves_makes_room() {
        let queue = Queue::default();
        assert_eq!(ask(&queue, "a1", DAILY, 0), Turn::Now);
        assert!(matches!(ask(&queue, "a2", DAILY, 1), Turn::Later(_)));
        queue.leave("a1");
        assert_eq!(ask(&queue, "a2", DAILY, 2), Turn::Now);
        assert!(matches!(ask(&queue, "a3", DAILY, 3), Turn::Later(_)));
        queue.retain(|_| false);
        assert_eq!(queue.length(), 0);
        assert_eq!(ask(&queue, "a4", DAILY, 4), Turn::Now, "who was deleted holds no place");
    }

    #[test]
    fn the_line_is_as_old_as_who_has_stood_in_it_longest() {
        let queue = Queue::default();
        let line = |second| {
            let metrics::Waiting { count, oldest } = queue.line(at(second));
            (count, oldest.as_secs())
        };
        assert_eq!(line(0), (0, 0));
        assert_eq!(ask(&queue, "a1", DAILY, 0), Turn::Now);
        assert_eq!(line(5), (0, 0), "who was let through does not wait");
        assert!(matches!(ask(&queue, "a2", DAILY, 10), Turn::Later(_)));
        assert!(matches!(ask(&queue, "a3", DAILY, 40), Turn::Later(_)));
        assert!(matches!(ask(&queue, "a2", DAILY, 60), Turn::Later(_)), "asking again is no new place");
        assert_eq!(line(70), (2, 60));
        queue.leave("a2");
        assert_eq!(line(70), (1, 30));
        assert_eq!(line(640), (0, 0), "who has not asked for ten minutes is not there any more");
    }

    #[test]
    fn what_a_scan_brings_to_light_takes_back_what_was_not_used_yet() {
        let queue = Queue::default();
        assert_eq!(ask(&queue, "a1", DAILY, 100), Turn::Now);
        let mut task = RemoteTask::numbered(7, RemoteState::Succeeded);
        task.started_at = Some(at(50));
        queue.scanned([&task], at(101));
        assert_eq!(ask(&queue, "a1", DAILY, 102), later(1, 86_450));
        // Again the same, or one of the day before: nothing more is used.
        task.started_at = Some(at(-90_000));
        queue.scanned([&task], at(103));
        assert_eq!(ask(&queue, "a1", DAILY, 104), later(1, 86_450));
    }

    #[test]
    fn what_waits_at_oms_counts_for_a_while() {
        let quota = Quota { per_day: None, at_once: Some(2) };
        let queue = Queue::default();
        queue.listed(2, at(0));
        assert_eq!(ask(&queue, "a1", quota, 1), Turn::Later(Place { position: 1, earliest_at: None }));
        queue.listed(1, at(2));
        assert_eq!(ask(&queue, "a1", quota, 3), Turn::Now);
        queue.listed(2, at(4));
        assert!(matches!(ask(&queue, "a2", quota, 5), Turn::Later(_)));
        queue.leave("a1");
        assert_eq!(ask(&queue, "a2", quota, 400), Turn::Now, "an old count says nothing any more");
    }

    #[test]
    fn a_sync_task_that_stops_gives_its_place_to_the_next() {
        let (waker, _queues) = Waker::new();
        let quota = Quota { per_day: None, at_once: Some(2) };
        let queue = Queue::default();
        let synchronizing = |id| RemoteTask::numbered(id, RemoteState::Synchronizing);
        let stopped = RemoteTask::numbered(3, RemoteState::Stopped);
        queue.scanned([&synchronizing(1), &synchronizing(2), &stopped], at(0));
        assert_eq!(ask(&queue, "a1", quota, 1), Turn::Later(Place { position: 1, earliest_at: None }));
        queue.vacated(&RemoteId::from(3), &waker);
        assert!(matches!(ask(&queue, "a1", quota, 2), Turn::Later(_)), "a stopped one had no place");
        queue.vacated(&RemoteId::from(1), &waker);
        queue.vacated(&RemoteId::from(1), &waker);
        assert_eq!(ask(&queue, "a1", quota, 3), Turn::Now);
        assert!(matches!(ask(&queue, "a2", quota, 3), Turn::Later(_)), "a place is given back once");
        queue.created("a1", &RemoteId::from(4), at(4), &waker);
        assert!(matches!(ask(&queue, "a2", quota, 5), Turn::Later(_)), "what was created since counts");
        queue.held([RemoteId::from(4)].into(), at(6), &waker);
        assert_eq!(ask(&queue, "a2", quota, 7), Turn::Now, "somebody else stopped the other");
    }

    #[test]
    fn a_refusal_is_forgotten_when_a_place_is_given_back() {
        let (waker, _queues) = Waker::new();
        let quota = Quota { per_day: None, at_once: Some(5) };
        let queue = Queue::default();
        assert_eq!(ask(&queue, "a1", quota, 0), Turn::Now);
        queue.refused("a1", at(0));
        assert!(matches!(ask(&queue, "a1", quota, 1), Turn::Later(_)));
        queue.vacated(&RemoteId::from(9), &waker);
        assert_eq!(ask(&queue, "a1", quota, 2), Turn::Now);
    }

    #[test]
    fn refusals_close_the_gate_for_a_growing_time_and_one_create_opens_it() {
        let (waker, _queues) = Waker::new();
        let quota = Quota { per_day: Some(1500), at_once: None };
        let queue = Queue::default();
        assert_eq!(ask(&queue, "a1", quota, 0), Turn::Now);
        assert_eq!(ask(&queue, "a2", quota, 0), Turn::Now);
        queue.refused("a1", at(0));
        assert_eq!(ask(&queue, "a2", quota, 1), later(1, 300), "it has not asked OMS yet");
        assert_eq!(ask(&queue, "a1", quota, 1), later(1, 300));
        assert_eq!(ask(&queue, "a2", quota, 300), later(2, 300).max_one());
        assert_eq!(ask(&queue, "a1", quota, 300), Turn::Now, "one tries for all");
        queue.refused("a1", at(301));
        assert_eq!(ask(&queue, "a1", quota, 302), later(1, 901));
        assert_eq!(ask(&queue, "a1", quota, 901), Turn::Now);
        queue.created("a1", &RemoteId::from(1), at(902), &waker);
        assert_eq!(ask(&queue, "a2", quota, 903), Turn::Now);
        assert_eq!(ask(&queue, "a3", quota, 903), Turn::Now);
    }

    #[test]
    fn a_namespace_that_comes_later_does_not_wait_for_all_who_came_before() {
        let (waker, _queues) = Waker::new();
        let queue = Queue::default();
        let quota = Quota { per_day: Some(2), at_once: None };
        for uid in ["a1", "a2"] {
            assert_eq!(ask(&queue, uid, quota, 0), Turn::Now);
            queue.created(uid, &RemoteId::from(u64::from(uid.as_bytes()[1])), at(0), &waker);
        }
        for uid in ["a3", "a4", "a5", "b1"] {
            assert!(matches!(ask(&queue, uid, quota, 1), Turn::Later(_)), "{uid}");
        }
        assert_eq!(ask(&queue, "b1", quota, 2), later(2, 86_400));
        assert!(matches!(ask(&queue, "a5", quota, 2), Turn::Later(Place { position: 4, .. })));
    }

    impl Turn {
        /// The place alone, where the time has come.
        fn max_one(self) -> Self {
            match self {
                Self::Later(place) => Self::Later(Place { earliest_at: None, ..place }),
                Self::Now => Self::Now,
            }
        }
    }
}
