//! What was called, and what came of it. Never a secret: an entry is made of names, numbers and codes alone.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A call.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// Counts from 1.
    pub seq: u64,
    /// Service time when the call had arrived.
    pub at: Timestamp,
    /// Operation; `Unknown` where no operation has the path.
    pub operation: &'static str,
    /// Project in the path.
    pub project: Option<String>,
    /// HTTP status of the answer; absent when the connection was cut instead.
    pub status: Option<u16>,
    /// `ok`, or the error code.
    pub outcome: String,
    /// What the call is about: the task, group or other thing that the path names, for a create the new one. A text, as
    /// IDs are for the operator.
    pub task: Option<String>,
    /// Whether the call changed anything, answered or not.
    pub effect: bool,
    /// `X-Request-Id` of the answer.
    pub request_id: String,
    /// Real milliseconds until the answer.
    pub duration_ms: u64,
    /// Kind of the fault that struck the call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<super::faults::FaultKind>,
}

/// Which entries to show.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Filter {
    /// Only this operation.
    pub operation: Option<String>,
    /// Only this project.
    pub project: Option<String>,
    /// Only this task.
    pub task: Option<String>,
    /// Only this outcome.
    pub outcome: Option<String>,
    /// Only calls with (or without) an effect.
    pub effect: Option<bool>,
    /// Only entries after this number.
    pub after: Option<u64>,
}

impl Filter {
    fn admits(&self, entry: &Entry) -> bool {
        let same =
            |wanted: &Option<String>, found: Option<&str>| wanted.is_none() || wanted.as_deref() == found;
        same(&self.operation, Some(entry.operation))
            && same(&self.project, entry.project.as_deref())
            && same(&self.task, entry.task.as_deref())
            && same(&self.outcome, Some(&entry.outcome))
            && self.effect.is_none_or(|effect| effect == entry.effect)
            && self.after.is_none_or(|after| entry.seq > after)
    }
}

/// The calls so far, the oldest dropped when there are too many.
#[derive(Debug)]
pub struct Journal {
    most: usize,
    entries: Mutex<(u64, VecDeque<Entry>)>,
}

impl Journal {
    /// A journal of at most so many entries.
    pub fn new(most: usize) -> Self {
        Self { most: most.max(1), entries: Mutex::default() }
    }

    /// Adds an entry, whose number is given here.
    pub fn add(&self, mut entry: Entry) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.0 += 1;
        entry.seq = entries.0;
        entries.1.push_back(entry);
        if entries.1.len() > self.most {
            entries.1.pop_front();
        }
    }

    /// The entries that a filter admits, the oldest first.
    pub fn list(&self, filter: &Filter) -> Vec<Entry> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.1.iter().filter(|entry| filter.admits(entry)).cloned().collect()
    }

    /// Forgets everything.
    pub fn clear(&self) {
        *self.entries.lock().unwrap_or_else(PoisonError::into_inner) = Default::default();
    }
}
