//! What one process remembers of an object between two passes. Losing it costs looks, never a second task.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use crate::api::MigrationTask;
use crate::plan::seen::Trouble;

/// Memory of one object.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// The object as our last write returned it: the cache may lag behind.
    pub(super) latest: Option<MigrationTask>,
    /// The `sentAt` that this process wrote and did not use yet.
    pub(super) permit: Option<Timestamp>,
    /// ID and name that OMS answered to our create, until they are recorded.
    pub(super) created: Option<(u64, String)>,
    /// What OMS said to the last call, when it was no success.
    pub(super) trouble: Option<Trouble>,
    /// What OMS said to the create before the present intent: repeated refusals are spaced out by it.
    pub(super) refused: Option<Trouble>,
    /// When this process started the task again last.
    pub(super) started_again_at: Option<Timestamp>,
    /// What was seen of the task before this moment no longer counts, once the moment has come.
    pub(super) stale_from: Option<Timestamp>,
    /// When the last scans began that found nothing.
    pub(super) empty_scans: Vec<Timestamp>,
    /// When progress was stored last.
    pub(super) progress_at: Option<Timestamp>,
    /// Passes in a row that failed on the Kubernetes side.
    pub(super) failures: u32,
}

impl Memory {
    /// Whether there is nothing to remember, as of an object that is at rest.
    pub(super) fn is_empty(&self) -> bool {
        let Self {
            latest,
            permit,
            created,
            trouble,
            refused,
            started_again_at,
            stale_from,
            empty_scans,
            progress_at,
            failures,
        } = self;
        latest.is_none()
            && permit.is_none()
            && created.is_none()
            && trouble.is_none()
            && refused.is_none()
            && started_again_at.is_none()
            && stale_from.is_none()
            && empty_scans.is_empty()
            && progress_at.is_none()
            && *failures == 0
    }
}

/// Memories by object UID.
#[derive(Debug, Default)]
pub(super) struct Memories(Mutex<HashMap<String, Memory>>);

impl Memories {
    /// Takes an object's memory out; an object is never in two passes at once.
    pub(super) fn take(&self, uid: &str) -> Memory {
        self.lock().remove(uid).unwrap_or_default()
    }

    /// Puts it back.
    pub(super) fn keep(&self, uid: &str, memory: Memory) {
        self.lock().insert(uid.to_owned(), memory);
    }

    /// Counts a failed pass and says how many there were in a row.
    pub(super) fn count_failure(&self, uid: &str) -> u32 {
        let mut memories = self.lock();
        let memory = memories.entry(uid.to_owned()).or_default();
        memory.failures = memory.failures.saturating_add(1);
        memory.failures
    }

    /// Forgets objects that no longer exist.
    pub(super) fn retain(&self, exists: impl Fn(&str) -> bool) {
        self.lock().retain(|uid, _| exists(uid));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Memory>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
