//! Whose pass is due and has not begun: the queue inside of the library's applier cannot be looked into, so this keeps up
//! with it. A few bytes for each object that has a pass to come, and none for others.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::telemetry::metrics::Waiting;

/// The objects of one kind that have a pass to come. Clones share them.
#[derive(Clone)]
pub(super) struct Due(Arc<Shared>);

struct Shared {
    started: Instant,
    hasher: RandomState,
    /// Milliseconds from the start to the moment when a pass is due, by a hash of namespace and name.
    passes: Mutex<HashMap<u64, u64>>,
}

impl Default for Due {
    fn default() -> Self {
        Self::new()
    }
}

impl Due {
    fn new() -> Self {
        let (started, hasher) = (Instant::now(), RandomState::new());
        Self(Arc::new(Shared { started, hasher, passes: Mutex::default() }))
    }

    /// A pass of an object is due after a while, or sooner if one was to come sooner.
    pub(super) fn after(&self, namespace: Option<&str>, name: &str, pause: Duration) {
        let at = self.millis(pause);
        let mut passes = self.lock();
        let due = passes.entry(self.key(namespace, name)).or_insert(at);
        *due = at.min(*due);
    }

    /// A pass of an object begins, or its object is gone.
    pub(super) fn took(&self, namespace: Option<&str>, name: &str) {
        let key = self.key(namespace, name);
        self.lock().remove(&key);
    }

    /// Whose pass is due now.
    pub(super) fn waiting(&self) -> Waiting {
        let now = self.millis(Duration::ZERO);
        let mut waiting = Waiting::default();
        for at in self.lock().values().filter(|at| **at <= now) {
            let one = Waiting { count: 1, oldest: Duration::from_millis(now - at) };
            waiting = waiting.and(one);
        }
        waiting
    }

    fn millis(&self, pause: Duration) -> u64 {
        let at = self.0.started.elapsed().saturating_add(pause);
        u64::try_from(at.as_millis()).unwrap_or(u64::MAX)
    }

    fn key(&self, namespace: Option<&str>, name: &str) -> u64 {
        self.0.hasher.hash_one((namespace, name))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, u64>> {
        self.0.passes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_due_waits_until_its_pass_begins() {
        let due = Due::new();
        let count = || due.waiting().count;
        due.after(Some("media"), "photos", Duration::ZERO);
        due.after(Some("other"), "photos", Duration::ZERO);
        due.after(Some("media"), "later", Duration::from_hours(1));
        assert_eq!(count(), 2, "what is to come in an hour is not due");
        due.after(Some("media"), "later", Duration::ZERO);
        due.after(Some("media"), "later", Duration::from_hours(2));
        assert_eq!(count(), 3, "what comes sooner counts");
        for (namespace, name) in [("media", "photos"), ("other", "photos"), ("media", "later")] {
            due.took(Some(namespace), name);
        }
        assert_eq!((count(), due.waiting().oldest), (0, Duration::ZERO));
    }

    #[test]
    fn the_age_is_that_of_the_one_that_waits_longest() {
        let due = Due::new();
        due.after(None, "first", Duration::ZERO);
        let before = Instant::now();
        while before.elapsed() < Duration::from_millis(3) {}
        due.after(None, "second", Duration::ZERO);
        assert!(due.waiting().oldest >= Duration::from_millis(2));
        due.took(None, "first");
        assert!(due.waiting().oldest <= before.elapsed());
    }
}
