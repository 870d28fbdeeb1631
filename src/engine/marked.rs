//! Tasks by the object whose mark they carry.

use std::collections::HashMap;

use crate::plan::seen::{RemoteId, RemoteTask};
use crate::plan::token::ObjectMark;

/// Tasks of a project that carry a mark of an operator.
#[derive(Clone, Debug, Default)]
pub(super) struct Marked(HashMap<ObjectMark, Vec<RemoteTask>>);

impl Marked {
    /// Adds a task; one without a mark is nobody's.
    pub(super) fn add(&mut self, task: RemoteTask) {
        let Some(token) = &task.token else { return };
        // Nearly always there is one. A vector that grows begins with room for four, and a task is large.
        self.0.entry(token.object.clone()).or_insert_with(|| Vec::with_capacity(1)).push(task);
    }

    /// Those of an object.
    pub(super) fn of(&self, mark: &ObjectMark) -> &[RemoteTask] {
        self.0.get(mark).map_or(&[], Vec::as_slice)
    }

    /// Those of each object that has more than one.
    pub(super) fn several(&self) -> impl Iterator<Item = &[RemoteTask]> {
        self.0.values().filter(|tasks| tasks.len() > 1).map(Vec::as_slice)
    }

    /// Leaves out a task that is gone.
    pub(super) fn forget(&mut self, mark: &ObjectMark, id: &RemoteId) {
        if let Some(tasks) = self.0.get_mut(mark) {
            tasks.retain(|task| task.id != *id);
        }
    }
}
