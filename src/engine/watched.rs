//! What is seen of the tasks of one kind in a project: the watched ones, the last scan, the line for creates.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use super::marked::Marked;
use super::queue::Queue;
use super::wake::{Target, Waker};
use super::wire;
use crate::oms;
use crate::plan::seen::{Call, Counters, MonthCounters, RemoteId, RemoteState, RemoteTask, Trouble};
use crate::plan::token::ObjectMark;

/// What was seen of a task.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Sight {
    /// The task.
    Task(Box<RemoteTask>),
    /// OMS confirmed that it does not exist.
    Gone,
}

/// A finished scan of all tasks.
pub(super) struct Scan {
    pub(super) started_at: Timestamp,
    pub(super) by_mark: Marked,
}

/// The tasks of one kind in a project.
#[derive(Default)]
pub(super) struct Watched {
    state: Mutex<State>,
    /// Who waits for room in a quota.
    pub(super) queue: Queue,
}

#[derive(Default)]
struct State {
    /// Unfinished tasks and whom to wake when they change, by UID: several objects can be about one task.
    tracked: HashMap<RemoteId, HashMap<String, Target>>,
    /// What was seen of them, and when that look began.
    sights: HashMap<RemoteId, (Sight, Timestamp)>,
    /// When sync tasks were asked what they counted.
    counted: HashMap<RemoteId, Timestamp>,
    /// Live tasks with a mark of ours, as the last complete poll had them.
    marked: Marked,
    /// Second tasks that are being removed: a list of another state no longer has them, so they are kept in mind.
    duplicates: HashMap<ObjectMark, Vec<RemoteTask>>,
    polling: bool,
    /// How many polls began.
    polls: u64,
    /// When the next one is due.
    next_poll: Option<Timestamp>,
    surveyed: bool,
    scanning: bool,
    scan: Option<Arc<Scan>>,
    /// Why the last scans failed, and until when no other is tried.
    scan_trouble: Option<Trouble>,
    scan_waiters: HashSet<Target>,
}

impl State {
    /// The objects that are about a task.
    fn watching(&self, id: &RemoteId) -> impl Iterator<Item = &Target> {
        self.tracked.get(id).into_iter().flat_map(HashMap::values)
    }

    /// Forgets what was seen of tasks that nobody watches any more.
    fn forget_unwatched(&mut self) {
        let Self { tracked, sights, counted, .. } = self;
        tracked.retain(|_, watching| !watching.is_empty());
        sights.retain(|id, _| tracked.contains_key(id));
        counted.retain(|id, _| tracked.contains_key(id));
    }
}

impl Watched {
    /// Watches an unfinished task for an object.
    pub(super) fn track(&self, id: &RemoteId, uid: &str, target: &Target) {
        let mut state = self.lock();
        let watching = state.tracked.entry(id.clone()).or_default();
        if !watching.contains_key(uid) {
            watching.insert(uid.to_owned(), target.clone());
        }
    }

    /// Stops watching a task for an object.
    pub(super) fn untrack(&self, id: &RemoteId, uid: &str) {
        let mut state = self.lock();
        if let Some(watching) = state.tracked.get_mut(id) {
            watching.remove(uid);
        }
        state.forget_unwatched();
    }

    /// Stops watching for objects that no longer exist: one that only observes goes without a pass.
    pub(super) fn retain(&self, exists: impl Fn(&str) -> bool) {
        let mut state = self.lock();
        for watching in state.tracked.values_mut() {
            watching.retain(|uid, _| exists(uid));
        }
        state.forget_unwatched();
    }

    /// The watched tasks with the state in which they were seen last.
    pub(super) fn tracked(&self) -> Vec<(RemoteId, Option<RemoteState>)> {
        let state = self.lock();
        let seen = |id: &RemoteId| match state.sights.get(id) {
            Some((Sight::Task(task), _)) => Some(task.state),
            _ => None,
        };
        state.tracked.keys().map(|id| (id.clone(), seen(id))).collect()
    }

    /// Counters of the tasks that were running when they were seen last.
    pub(super) fn running(&self) -> Vec<Counters> {
        let state = self.lock();
        let running = |sight: &(Sight, Timestamp)| match &sight.0 {
            Sight::Task(task) if task.state == RemoteState::Running => Some(task.counters.clone()),
            _ => None,
        };
        state.sights.values().filter_map(running).collect()
    }

    /// What a sync task had counted in the month when it was asked last.
    pub(super) fn month(&self, id: &RemoteId) -> Option<MonthCounters> {
        match self.lock().sights.get(id) {
            Some((Sight::Task(task), _)) => task.month.clone(),
            _ => None,
        }
    }

    /// What all watched sync tasks had counted when they were asked last.
    pub(super) fn months(&self) -> Vec<MonthCounters> {
        let month = |sight: &(Sight, Timestamp)| match &sight.0 {
            Sight::Task(task) => task.month.clone(),
            Sight::Gone => None,
        };
        self.lock().sights.values().filter_map(month).collect()
    }

    /// When one was last seen to synchronize.
    pub(super) fn synchronizing(&self) -> Option<Timestamp> {
        let seen = |(sight, at): &(Sight, Timestamp)| match sight {
            Sight::Task(task) if task.state == RemoteState::Synchronizing => Some(*at),
            _ => None,
        };
        self.lock().sights.values().filter_map(seen).max()
    }

    /// When a sync task was asked for that.
    pub(super) fn counted_at(&self, id: &RemoteId) -> Option<Timestamp> {
        self.lock().counted.get(id).copied()
    }

    /// A sync task was asked for that.
    pub(super) fn note_counted(&self, id: &RemoteId, at: Timestamp) {
        let mut state = self.lock();
        if state.tracked.contains_key(id) {
            state.counted.insert(id.clone(), at);
        }
    }

    /// What was seen of a task, and when that look began.
    pub(super) fn sight(&self, id: &RemoteId) -> Option<(Sight, Timestamp)> {
        self.lock().sights.get(id).cloned()
    }

    /// Records what a look saw that began at `at`; wakes the objects that are about the task when that is news, but for the
    /// one that looked itself.
    pub(super) fn record(
        &self,
        id: &RemoteId,
        sight: Sight,
        at: Timestamp,
        waker: &Waker,
        looked: Option<&Target>,
    ) {
        let mut state = self.lock();
        if state.sights.get(id).is_some_and(|(_, seen_at)| *seen_at > at) {
            return;
        }
        let news = state.sights.get(id).is_none_or(|(seen, _)| *seen != sight);
        state.sights.insert(id.clone(), (sight, at));
        if news {
            for target in state.watching(id).filter(|target| Some(*target) != looked) {
                waker.wake(target);
            }
        }
    }

    /// Replaces the live tasks with marks of ours; wakes the objects that have more than one.
    pub(super) fn set_marked(&self, marked: Marked, waker: &Waker) {
        let mut state = self.lock();
        for tasks in marked.several() {
            for target in tasks.iter().flat_map(|task| state.watching(&task.id)) {
                waker.wake(target);
            }
        }
        state.marked = marked;
        state.surveyed = true;
    }

    /// Live tasks with the mark besides the recorded one: what the last poll and the last scan know.
    pub(super) fn siblings(&self, mark: &ObjectMark, recorded: &RemoteId) -> Vec<RemoteTask> {
        let mut state = self.lock();
        let scanned = state.scan.as_ref().map_or(&[][..], |scan| scan.by_mark.of(mark));
        let polled = state.marked.of(mark);
        let known = state.duplicates.get(mark).map_or(&[][..], Vec::as_slice);
        let mut siblings: Vec<RemoteTask> = Vec::new();
        for task in scanned.iter().chain(polled).chain(known) {
            let known = siblings.iter().any(|other| other.id == task.id);
            let live = task.state.is_active() || task.state == RemoteState::Stopped;
            if task.id != *recorded && live && !known {
                siblings.push(task.clone());
            }
        }
        if siblings.is_empty() {
            state.duplicates.remove(mark);
        } else {
            state.duplicates.insert(mark.clone(), siblings.clone());
        }
        siblings
    }

    /// Forgets a task that was found to be a duplicate and is gone.
    pub(super) fn forget_sibling(&self, mark: &ObjectMark, id: &RemoteId) {
        let mut state = self.lock();
        let state = &mut *state;
        state.marked.forget(mark, id);
        if let Some(tasks) = state.duplicates.get_mut(mark) {
            tasks.retain(|task| task.id != *id);
        }
        if let Some(scan) = &state.scan
            && scan.by_mark.of(mark).iter().any(|task| task.id == *id)
        {
            let mut by_mark = scan.by_mark.clone();
            by_mark.forget(mark, id);
            state.scan = Some(Arc::new(Scan { started_at: scan.started_at, by_mark }));
        }
    }

    /// Takes the poll and says which one it is, from 0; `None` when there is nothing to poll, when one is under way, or when it
    /// is not due. `next` is when the one after it is due.
    pub(super) fn begin_poll(&self, now: Timestamp, next: Timestamp) -> Option<u64> {
        let mut state = self.lock();
        let due = state.next_poll.is_none_or(|due| due <= now);
        if state.polling || state.tracked.is_empty() || !due {
            return None;
        }
        state.polling = true;
        state.next_poll = Some(next);
        let round = state.polls;
        state.polls += 1;
        Some(round)
    }

    /// Ends the poll.
    pub(super) fn end_poll(&self) {
        self.lock().polling = false;
    }

    /// Whether no poll has looked for second tasks since the process began.
    pub(super) fn is_new(&self) -> bool {
        !self.lock().surveyed
    }

    /// The last finished scan.
    pub(super) fn scan(&self) -> Option<Arc<Scan>> {
        self.lock().scan.clone()
    }

    /// Joins the next scan; `true` when the caller has to run it.
    pub(super) fn join_scan(&self, target: Target) -> bool {
        let mut state = self.lock();
        state.scan_waiters.insert(target);
        !std::mem::replace(&mut state.scanning, true)
    }

    /// Why no scan is tried now: the last one failed.
    pub(super) fn scan_trouble(&self, now: Timestamp) -> Option<Trouble> {
        self.lock().scan_trouble.clone().filter(|trouble| trouble.retry_at > now)
    }

    /// Ends a scan and wakes everybody who waits for it; after a failed one the next waits for a growing time.
    pub(super) fn end_scan(&self, result: Result<Scan, oms::Error>, now: Timestamp, waker: &Waker) {
        let mut state = self.lock();
        state.scanning = false;
        match result {
            Ok(scan) => {
                state.scan = Some(Arc::new(scan));
                state.scan_trouble = None;
            }
            Err(error) => {
                let trouble = wire::trouble(Call::Look, &error, state.scan_trouble.as_ref(), now);
                state.scan_trouble = Some(trouble);
            }
        }
        for target in state.scan_waiters.drain() {
            waker.wake(&target);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::wish::Kind;

    fn target(name: &str) -> Target {
        Target { kind: Kind::MigrationTask, namespace: "media".into(), name: name.into() }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn sight(state: RemoteState) -> Sight {
        Sight::Task(Box::new(RemoteTask::numbered(1, state)))
    }

    /// Regression: of two objects about one task only the first was woken.
    #[test]
    fn everybody_about_a_task_is_woken_by_news_but_who_looked() {
        let (waker, mut queues) = Waker::new();
        let mut woken = || {
            let mut names = Vec::new();
            while let Ok(object) = queues.migration_tasks.try_recv() {
                names.push(object.name);
            }
            names.sort();
            names
        };
        let (watched, id) = (Watched::default(), RemoteId::from(1));
        for name in ["manager", "observer"] {
            watched.track(&id, name, &target(name));
        }
        watched.record(&id, sight(RemoteState::Running), at(1), &waker, None);
        assert_eq!(woken(), ["manager", "observer"]);
        watched.record(&id, sight(RemoteState::Running), at(2), &waker, None);
        assert_eq!(woken(), Vec::<String>::new(), "nothing new");
        watched.record(&id, sight(RemoteState::Stopped), at(3), &waker, Some(&target("manager")));
        assert_eq!(woken(), ["observer"]);
    }

    /// Regression: an observer goes without a pass, and what it had watched was polled for ever.
    #[test]
    fn a_task_is_watched_until_the_last_object_about_it_is_gone() {
        let (waker, _queues) = Waker::new();
        let (watched, id) = (Watched::default(), RemoteId::from(1));
        for uid in ["a", "b"] {
            watched.track(&id, uid, &target(uid));
        }
        watched.record(&id, sight(RemoteState::Running), at(1), &waker, None);
        watched.untrack(&id, "a");
        assert!(watched.sight(&id).is_some(), "the other still needs it");
        watched.retain(|uid| uid == "b");
        assert_eq!(watched.tracked().len(), 1);
        watched.retain(|_| false);
        assert!(watched.tracked().is_empty() && watched.sight(&id).is_none());
    }
}
