//! What one process remembers of an object between two passes. Losing it costs looks, never a second task.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use crate::plan::census::Census;
use crate::plan::preflight::Finding;
use crate::plan::seen::{RemoteId, Trouble};

/// Memory of one object.
#[derive(Debug)]
pub(super) struct Memory<K> {
    /// The object as our last write returned it: the cache may lag behind.
    pub(super) latest: Option<K>,
    /// The `sentAt` that this process wrote and did not use yet.
    pub(super) permit: Option<Timestamp>,
    /// ID and name that OMS answered to our create, until they are recorded.
    pub(super) created: Option<(RemoteId, String)>,
    /// What OMS said to the last call, when it was no success.
    pub(super) trouble: Option<Trouble>,
    /// What OMS said to the create before the present intent: repeated refusals are spaced out by it.
    pub(super) refused: Option<Trouble>,
    /// When this process started the task again last.
    pub(super) started_again_at: Option<Timestamp>,
    /// What was seen of the task before this moment no longer counts, once the moment has come.
    pub(super) stale_from: Option<Timestamp>,
    /// The request for a look that was heeded last.
    pub(super) asked: Option<String>,
    /// When the last scans began that found nothing.
    pub(super) empty_scans: Vec<Timestamp>,
    /// Versions of Secrets, by role, whose keys were compared with those that were sent.
    pub(super) keys_checked: Vec<(String, String)>,
    /// The last count of the tasks of a group, and whose it is.
    pub(super) census: Option<(RemoteId, Census)>,
    /// When progress was stored last.
    pub(super) progress_at: Option<Timestamp>,
    /// What OMS's checks told, until it is recorded.
    pub(super) findings: Vec<Finding>,
    /// When its place in the line was stored last.
    pub(super) place_at: Option<Timestamp>,
}

impl<K> Default for Memory<K> {
    fn default() -> Self {
        Self {
            latest: None,
            permit: None,
            created: None,
            trouble: None,
            refused: None,
            started_again_at: None,
            stale_from: None,
            asked: None,
            empty_scans: Vec::new(),
            keys_checked: Vec::new(),
            census: None,
            progress_at: None,
            findings: Vec::new(),
            place_at: None,
        }
    }
}

impl<K> Memory<K> {
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
            asked,
            empty_scans,
            keys_checked,
            census,
            progress_at,
            findings,
            place_at,
        } = self;
        latest.is_none()
            && permit.is_none()
            && created.is_none()
            && trouble.is_none()
            && refused.is_none()
            && started_again_at.is_none()
            && stale_from.is_none()
            && asked.is_none()
            && empty_scans.is_empty()
            && keys_checked.is_empty()
            && census.is_none()
            && progress_at.is_none()
            && findings.is_empty()
            && place_at.is_none()
    }
}

/// Memories by object UID. Boxed, as they are large and a table keeps up to twice the room that it needs.
#[derive(Debug)]
pub struct Memories<K>(Mutex<HashMap<String, Box<Memory<K>>>>);

impl<K> Default for Memories<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K> Memories<K> {
    /// Takes an object's memory out; an object is never in two passes at once.
    pub(super) fn take(&self, uid: &str) -> Memory<K> {
        self.lock().remove(uid).map(|memory| *memory).unwrap_or_default()
    }

    /// Puts it back.
    pub(super) fn keep(&self, uid: &str, memory: Memory<K>) {
        self.lock().insert(uid.to_owned(), Box::new(memory));
    }

    /// Forgets objects that no longer exist.
    pub(super) fn retain(&self, exists: impl Fn(&str) -> bool) {
        self.lock().retain(|uid, _| exists(uid));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Box<Memory<K>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
