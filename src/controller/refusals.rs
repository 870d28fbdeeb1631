//! Rights that were taken away: told once for each right and not for each object, and the replica is not ready meanwhile.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::telemetry::Health;

/// How long a refusal counts that is not repeated: more than the longest pause after a failed pass. Its object may be gone.
const LASTS: Duration = Duration::from_mins(3);

/// What the API server refuses for want of rights. Clones share it.
#[derive(Clone)]
pub(super) struct Refusals {
    refused: Arc<Mutex<HashMap<String, Refused>>>,
    health: Health,
}

struct Refused {
    /// UIDs of objects whose pass it stopped.
    objects: HashSet<String>,
    last: Instant,
}

impl Refusals {
    /// Nothing is refused yet.
    pub(super) fn new(health: Health) -> Self {
        Self { refused: Arc::default(), health }
    }

    /// A right was missing in the pass of an object. Whether that is news.
    pub(super) fn note(&self, what: &str, uid: &str) -> bool {
        self.health.hinder(what, format!("no right to {what}"), Some(LASTS));
        let mut refused = self.lock();
        let news = !refused.contains_key(what);
        let now = Instant::now();
        let entry =
            refused.entry(what.to_owned()).or_insert_with(|| Refused { objects: HashSet::new(), last: now });
        entry.last = now;
        entry.objects.insert(uid.to_owned());
        if news {
            tracing::error!(
                right = what,
                "a right is missing; give it back, the operator tries again by itself (this is logged once)"
            );
        }
        news
    }

    /// A pass of an object went through: what was refused to it is allowed again.
    pub(super) fn passed(&self, uid: &str) {
        let mut refused = self.lock();
        if refused.is_empty() {
            return;
        }
        for entry in refused.values_mut() {
            entry.objects.remove(uid);
        }
        self.end(&mut refused, |entry| !entry.objects.is_empty());
    }

    /// Forgets what was not refused for long.
    pub(super) fn tidy(&self) {
        self.end(&mut self.lock(), |entry| entry.last.elapsed() < LASTS);
    }

    fn end(&self, refused: &mut HashMap<String, Refused>, lasts: impl Fn(&Refused) -> bool) {
        refused.retain(|what, entry| {
            let lasts = lasts(entry);
            if !lasts {
                self.health.clear(what);
                tracing::info!(right = what, "the right is no longer refused");
            }
            lasts
        });
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Refused>> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_right_is_told_once_and_missed_until_every_object_has_got_on() {
        let health = Health::new();
        health.set_ready();
        let refusals = Refusals::new(health.clone());
        assert!(refusals.note("get resource \"secrets\"", "a"));
        assert!(!refusals.note("get resource \"secrets\"", "b"));
        assert_eq!(health.hindered_by(), ["no right to get resource \"secrets\""]);
        refusals.passed("a");
        assert!(!health.is_ready());
        refusals.passed("b");
        assert!(health.is_ready());
        assert!(refusals.note("get resource \"secrets\"", "a"), "it is news again");
        tokio::time::advance(LASTS).await;
        refusals.tidy();
        assert!(refusals.note("get resource \"secrets\"", "c"), "whose object went is forgotten");
    }
}
