//! All synchronization tasks, by order of creation, and the IDs of those that are gone.

use std::collections::{BTreeMap, HashMap, VecDeque};

use jiff::Timestamp;

use super::{
    statistics::Verdict,
    task::{SyncStatus, SyncTask},
};

/// IDs of deleted tasks that are remembered; the oldest are forgotten first.
const MOST_DELETED: usize = 10_000;

/// All synchronization tasks.
#[derive(Debug, Default)]
pub struct SyncLedger {
    tasks: BTreeMap<u64, SyncTask>,
    sequences: HashMap<String, u64>,
    /// Project and ID.
    deleted: VecDeque<(String, String)>,
    last_sequence: u64,
}

/// A page of a list, and how many tasks there are on all pages.
#[derive(Debug)]
pub struct SyncPage<'a> {
    /// The tasks of the page, the newest first.
    pub tasks: Vec<&'a SyncTask>,
    /// Matches over all pages.
    pub count: usize,
}

impl SyncLedger {
    /// The sequence number for the next task.
    pub fn next_sequence(&self) -> u64 {
        self.last_sequence + 1
    }

    /// Adds or replaces a task.
    pub fn put(&mut self, task: SyncTask) {
        self.last_sequence = self.last_sequence.max(task.sequence);
        self.sequences.insert(task.id.clone(), task.sequence);
        self.tasks.insert(task.sequence, task);
    }

    /// A task of a project.
    pub fn get(&self, project: &str, id: &str) -> Option<&SyncTask> {
        self.find(id).filter(|task| task.project == project)
    }

    /// A task of whatever project.
    pub fn find(&self, id: &str) -> Option<&SyncTask> {
        self.tasks.get(self.sequences.get(id)?)
    }

    /// A task of whatever project, to change it.
    pub fn find_mut(&mut self, id: &str) -> Option<&mut SyncTask> {
        self.tasks.get_mut(self.sequences.get(id)?)
    }

    /// Removes a task for good, and remembers that it was there.
    pub fn delete(&mut self, id: &str) -> Option<SyncTask> {
        let task = self.tasks.remove(&self.sequences.remove(id)?)?;
        self.remember(task.project.clone(), task.id.clone());
        Some(task)
    }

    /// Remembers a task that was deleted.
    pub fn remember(&mut self, project: String, id: String) {
        self.deleted.push_back((project, id));
        while self.deleted.len() > MOST_DELETED {
            self.deleted.pop_front();
        }
    }

    /// Whether a project had a task with this ID.
    pub fn was_deleted(&self, project: &str, id: &str) -> bool {
        self.deleted.iter().any(|(of, deleted)| of == project && deleted == id)
    }

    /// Tasks that were deleted: project and ID, the oldest first.
    pub fn deleted(&self) -> impl Iterator<Item = (&str, &str)> {
        self.deleted.iter().map(|(project, id)| (project.as_str(), id.as_str()))
    }

    /// All tasks, the newest first.
    pub fn newest_first(&self) -> impl Iterator<Item = &SyncTask> {
        self.tasks.values().rev()
    }

    /// All tasks, the oldest first.
    pub fn tasks(&self) -> impl Iterator<Item = &SyncTask> {
        self.tasks.values()
    }

    /// The latest moment that a task speaks of.
    pub fn latest(&self) -> Option<Timestamp> {
        self.tasks.values().map(SyncTask::latest).max()
    }

    /// A page of the tasks of a project, in one state or any.
    pub fn list(
        &self,
        project: &str,
        status: Option<SyncStatus>,
        offset: usize,
        limit: usize,
    ) -> SyncPage<'_> {
        let matches =
            |task: &&SyncTask| task.project == project && status.is_none_or(|status| status == task.status);
        SyncPage {
            tasks: self.newest_first().filter(matches).skip(offset).take(limit).collect(),
            count: self.newest_first().filter(matches).count(),
        }
    }

    /// Carries out an acceptance that a log tells of.
    pub fn book(&mut self, id: &str, keys: &[String], at: Timestamp) {
        if let Some(task) = self.find_mut(id) {
            task.book(keys, at);
        }
    }

    /// Carries out a settlement, now or from a log; tells whether the object was still waiting for it.
    pub fn settle(&mut self, id: &str, number: u64, verdict: Verdict, at: Timestamp) -> bool {
        self.find_mut(id).is_some_and(|task| task.settle(number, verdict, at))
    }
}

#[cfg(test)]
mod tests {
    use super::{super::task::tests::sync_task, *};

    #[test]
    fn lists_are_paged_and_filtered_the_newest_first() {
        let mut ledger = SyncLedger::default();
        for sequence in 1..=3 {
            ledger.put(sync_task(&format!("s{sequence}"), sequence));
        }
        ledger.find_mut("s2").unwrap().stop().unwrap();
        let ids = |status, offset, limit| {
            let page = ledger.list("p", status, offset, limit);
            (page.tasks.iter().map(|task| task.id.as_str()).collect::<Vec<_>>(), page.count)
        };
        assert_eq!(ids(None, 0, 2), (vec!["s3", "s2"], 3));
        assert_eq!(ids(None, 2, 2), (vec!["s1"], 3));
        assert_eq!(ids(Some(SyncStatus::Stopped), 0, 10), (vec!["s2"], 1));
        assert_eq!(ledger.list("q", None, 0, 10).count, 0);
        assert_eq!(ledger.next_sequence(), 4);
    }

    #[test]
    fn a_deleted_task_is_remembered_for_its_project_only() {
        let mut ledger = SyncLedger::default();
        ledger.put(sync_task("s", 1));
        assert!(ledger.delete("s").is_some());
        assert!(ledger.find("s").is_none());
        assert!(ledger.was_deleted("p", "s"));
        assert!(!ledger.was_deleted("q", "s"));
        assert_eq!(ledger.next_sequence(), 2);
    }
}
