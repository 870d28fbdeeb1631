//! How far a task has come: what survives a pause and a restart of the process.
use serde::{Deserialize, Serialize};

/// How far a task has come. Bounded: it holds the position in the listing, what was finished beyond it (at most
/// [`WINDOW`] keys) and the entries of the object lists that are not in the bucket yet (at most [`LIST_SEGMENT`]).
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Checkpoint {
    /// Objects and bytes counted so far.
    pub counters: Counters,
    /// Everything up to and including this place is finished.
    pub position: Option<Place>,
    /// Places beyond `position` that are finished too.
    pub finished_beyond: Vec<Place>,
    /// Set while only the failed objects of an earlier run are copied again: the keys of the lists they come from.
    pub retry_lists: Option<Vec<String>>,
    /// Failed objects that are not written to the bucket yet.
    pub failed: Vec<FailedObject>,
    /// Keys of the failed-object lists written by this run.
    pub failed_lists: Vec<String>,
    /// Why the failed-object list could not be written, as an OMS code.
    pub failed_list_error: Option<String>,
    /// Copied objects (keys at the source) that are not written to the success list yet.
    pub succeeded: Vec<String>,
    /// Keys of the success lists written by this run.
    pub success_lists: Vec<String>,
    /// Why the success list could not be written, as an OMS code.
    pub success_list_error: Option<String>,
}

/// At most this many objects are under way or finished out of order.
pub const WINDOW: usize = 4096;

/// Entries per object list in the bucket.
pub const LIST_SEGMENT: usize = 10_000;

/// Objects and bytes of a task, as OMS counts them (OMS API reference, ShowTask).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counters {
    /// Objects that the selection matches.
    pub total_num: u64,
    /// Bytes of those objects, where the scan can know them.
    pub total_size: u64,
    /// Bytes copied or skipped.
    pub complete_size: u64,
    /// Bytes copied.
    pub real_size: u64,
    /// Objects copied.
    pub successful_num: u64,
    /// Objects that could not be copied.
    pub failed_num: u64,
    /// Objects that were there already or are older than `migrate_since`.
    pub skipped_num: u64,
    /// Whether the scan of the source is complete; the totals are not final before.
    pub is_query_over: bool,
}

/// A place in the selection: the selector (or the line of a list file) and the key.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    /// Index of the selector, or the number of the line (from 0).
    pub index: u64,
    /// Key at the source; empty for lines of list files.
    pub key: String,
}

/// An object that could not be copied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedObject {
    /// Key at the source; the object name for URL lists.
    pub key: String,
    /// The URL, for URL lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Cause as an OMS code (`TRF.…`).
    pub code: String,
    /// What happened, for people.
    pub message: String,
}

impl Checkpoint {
    /// The checkpoint for running only the failed objects again (`migrate_failed_object`), or `None` when the
    /// failed objects were not recorded, or not all of them. Counters of what succeeded stay, the failed are counted anew.
    pub fn for_failed_objects(&self) -> Option<Self> {
        if self.failed_lists.is_empty() || self.failed_list_error.is_some() {
            return None;
        }
        Some(Self {
            counters: Counters { failed_num: 0, ..self.counters },
            retry_lists: Some(self.failed_lists.clone()),
            ..Self::default()
        })
    }

    /// `failed_object_record.list_file_key`: the one list, or the folder (with a trailing `/`) when there are several.
    pub fn failed_list_key(&self) -> Option<String> {
        match self.failed_lists.as_slice() {
            [] => None,
            [only] => Some(only.clone()),
            [first, ..] => first.rsplit_once('/').map(|(folder, _)| format!("{folder}/")),
        }
    }
}
