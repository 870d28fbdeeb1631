//! Checks of somebody else's keys that failed in a row. The service ends them after some number that it does not
//! publish (OMS.0090, OMS.1015).

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use jiff::{SignedDuration, Timestamp};

/// How long checks stay refused.
const LOCKED: SignedDuration = SignedDuration::from_mins(5);

/// Failures in a row and the time of the last one, by project.
#[derive(Debug, Default)]
pub struct Attempts {
    failures: Mutex<HashMap<String, (u32, Timestamp)>>,
}

impl Attempts {
    /// Whether a project has used up its attempts for now.
    pub fn are_used_up(&self, project: &str, most: u32, now: Timestamp) -> bool {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        match failures.get(project) {
            Some((_, last)) if now.duration_since(*last) >= LOCKED => {
                failures.remove(project);
                false
            }
            Some((count, _)) => *count >= most,
            None => false,
        }
    }

    /// Notes what came of a check; a success begins the count anew.
    pub fn note(&self, project: &str, failed: bool, now: Timestamp) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        if failed {
            let entry = failures.entry(project.to_owned()).or_insert((0, now));
            *entry = (entry.0.saturating_add(1), now);
        } else {
            failures.remove(project);
        }
    }

    /// Forgets everything.
    pub fn clear(&self) {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_in_a_row_lock_a_project_for_five_minutes() {
        let (attempts, begin) = (Attempts::default(), Timestamp::UNIX_EPOCH);
        let later = |minutes| begin + SignedDuration::from_mins(minutes);
        attempts.note("p", true, begin);
        attempts.note("p", false, begin);
        attempts.note("p", true, begin);
        assert!(!attempts.are_used_up("p", 2, begin));
        attempts.note("p", true, later(1));
        assert!(attempts.are_used_up("p", 2, later(5)));
        assert!(!attempts.are_used_up("q", 2, later(5)));
        assert!(!attempts.are_used_up("p", 2, later(6)));
    }
}
