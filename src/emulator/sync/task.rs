//! A synchronization task and its two states (OMS API reference 5.4).
//!
//! Pure: no clock, no network. Whoever holds the task starts and stops what copies its objects.

use std::{collections::BTreeMap, fmt};

use jiff::Timestamp;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::statistics::{Statistics, Verdict};
use crate::emulator::{
    mover::{ConsistencyCheck, Counters, Keys, StoragePolicy, optional_secret_text},
    wire::{
        refusal::{ALREADY_STARTED, IN_PROGRESS, NOT_RUNNING, NOT_SYNCHRONIZING, Refusal},
        request::Cdn,
    },
};

/// State of a synchronization task; there are no others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum SyncStatus {
    /// Takes events and copies.
    Synchronizing,
    /// Does neither.
    Stopped,
}

impl SyncStatus {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Synchronizing => "SYNCHRONIZING",
            Self::Stopped => "STOPPED",
        }
    }
}

/// What a create fixes for good. Holds no secret.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SyncDefinition {
    /// The source cloud.
    pub cloud_type: String,
    /// Region of the source bucket.
    pub source_region: String,
    /// Source bucket.
    pub source_bucket: String,
    /// Tencent's APPID; empty otherwise.
    pub app_id: String,
    /// Region of the destination bucket.
    pub destination_region: String,
    /// Destination bucket.
    pub destination_bucket: String,
    /// Free text.
    pub description: String,
    /// Migrate all metadata and not just the Content-Type.
    pub enable_metadata_migration: bool,
    /// Restore archived objects first.
    pub enable_restore: bool,
    /// Storage class of the copies; `None` was not given, which is standard storage.
    pub storage_policy: Option<StoragePolicy>,
    /// How copies are verified.
    pub consistency_check: ConsistencyCheck,
    /// CDN in front of the source.
    pub cdn: Option<Cdn>,
    /// A member of older clients that newer references no longer have; echoed where that is configured.
    pub enable_kms: bool,
}

/// The secrets that a synchronization task runs with.
#[derive(Clone, Serialize, Deserialize)]
pub struct SyncKeys {
    /// For the source bucket.
    pub source: Keys,
    /// For the destination bucket.
    pub destination: Keys,
    /// For the CDN in front of the source.
    #[serde(default, with = "optional_secret_text")]
    pub cdn: Option<SecretString>,
}

impl fmt::Debug for SyncKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SyncKeys([REDACTED])")
    }
}

/// A synchronization task.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SyncTask {
    /// A UUID.
    pub id: String,
    /// Position in the order of creation.
    pub sequence: u64,
    /// Owner.
    pub project: String,
    /// The migration task that belongs to it.
    pub task: u64,
    /// When it was created.
    pub created: Timestamp,
    /// When it was started last; a create starts it.
    pub started: Timestamp,
    /// What the create fixed.
    pub definition: SyncDefinition,
    /// Secrets; only while it synchronizes, as every start brings them again.
    pub keys: Option<SyncKeys>,
    /// State.
    pub status: SyncStatus,
    /// What it counts.
    pub statistics: Statistics,
    /// Accepted and not settled yet, by the number of the acceptance.
    queue: BTreeMap<u64, String>,
    /// The number of the object that was accepted last.
    accepted: u64,
    /// Numbers of objects that are being copied; a restart begins them anew.
    #[serde(skip)]
    under_way: BTreeMap<u64, String>,
}

/// A new synchronization task, with what the service gives it.
#[derive(Debug)]
pub struct NewSyncTask<'a> {
    /// Its ID.
    pub id: String,
    /// Its position.
    pub sequence: u64,
    /// Its owner.
    pub project: &'a str,
    /// Its migration task.
    pub task: u64,
}

/// How far to look for an object that may be copied now: those before it wait for an earlier copy of the same key.
const LOOK_AHEAD: usize = 64;

impl SyncTask {
    /// A new task, which synchronizes.
    pub fn create(new: NewSyncTask<'_>, definition: SyncDefinition, keys: SyncKeys, now: Timestamp) -> Self {
        Self {
            id: new.id,
            sequence: new.sequence,
            project: new.project.to_owned(),
            task: new.task,
            created: now,
            started: now,
            definition,
            keys: Some(keys),
            status: SyncStatus::Synchronizing,
            statistics: Statistics::default(),
            queue: BTreeMap::new(),
            accepted: 0,
            under_way: BTreeMap::new(),
        }
    }

    /// Whether it synchronizes.
    pub fn is_synchronizing(&self) -> bool {
        self.status == SyncStatus::Synchronizing
    }

    /// StopSyncTask: takes effect with its answer. What was accepted stays for the next start.
    pub fn stop(&mut self) -> Result<(), Refusal> {
        if !self.is_synchronizing() {
            return Err(NOT_RUNNING);
        }
        self.status = SyncStatus::Stopped;
        self.keys = None;
        Ok(())
    }

    /// Whether StartSyncTask would be accepted.
    pub fn check_start(&self) -> Result<(), Refusal> {
        if self.is_synchronizing() { Err(ALREADY_STARTED) } else { Ok(()) }
    }

    /// StartSyncTask, with all keys again.
    pub fn start(&mut self, keys: SyncKeys, now: Timestamp) -> Result<(), Refusal> {
        self.check_start()?;
        self.status = SyncStatus::Synchronizing;
        self.keys = Some(keys);
        self.started = now;
        Ok(())
    }

    /// Whether DeleteSyncTask would be accepted.
    pub fn check_delete(&self) -> Result<(), Refusal> {
        if self.is_synchronizing() { Err(IN_PROGRESS) } else { Ok(()) }
    }

    /// CreateSyncEvents: the objects wait to be copied.
    pub fn accept(&mut self, keys: &[String], at: Timestamp) -> Result<(), Refusal> {
        if !self.is_synchronizing() {
            return Err(NOT_SYNCHRONIZING);
        }
        self.book(keys, at);
        Ok(())
    }

    /// Carries out an acceptance that a log tells of.
    pub fn book(&mut self, keys: &[String], at: Timestamp) {
        for key in keys {
            self.accepted += 1;
            self.queue.insert(self.accepted, key.clone());
        }
        self.statistics.accept(keys.len() as u64, at);
    }

    /// The next object to copy, and marks it as under way. An object that is under way already is not copied a
    /// second time beside itself, but after.
    pub fn take(&mut self) -> Option<(u64, String)> {
        if !self.is_synchronizing() {
            return None;
        }
        let free = |number: &u64, key: &String| {
            !self.under_way.contains_key(number) && !self.under_way.values().any(|other| other == key)
        };
        let (number, key) = self.queue.iter().take(LOOK_AHEAD).find(|(number, key)| free(number, key))?;
        let taken = (*number, key.clone());
        self.under_way.insert(taken.0, taken.1.clone());
        Some(taken)
    }

    /// An object that was not copied after all: it waits again.
    pub fn put_back(&mut self, number: u64) {
        self.under_way.remove(&number);
    }

    /// What became of an object; tells whether it was still waiting for that.
    pub fn settle(&mut self, number: u64, verdict: Verdict, at: Timestamp) -> bool {
        self.under_way.remove(&number);
        let waited = self.queue.remove(&number).is_some();
        if waited {
            self.statistics.settle(verdict, at);
        }
        waited
    }

    /// The latest moment that it speaks of.
    pub fn latest(&self) -> Timestamp {
        self.started.max(self.statistics.latest().unwrap_or(self.started))
    }

    /// Objects that were accepted and are not settled.
    pub fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// The counters of the migration task that belongs to it.
    pub fn counters(&self) -> Counters {
        let total = self.statistics.total();
        Counters {
            total_num: total.request,
            total_size: total.size,
            complete_size: total.size,
            real_size: total.size,
            successful_num: total.success,
            failed_num: total.failure,
            skipped_num: total.skip,
            is_query_over: true,
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::emulator::sync) fn sync_task(id: &str, sequence: u64) -> SyncTask {
        let definition = SyncDefinition {
            cloud_type: "AWS".to_owned(),
            source_region: "eu-west-1".to_owned(),
            source_bucket: "photos".to_owned(),
            app_id: String::new(),
            destination_region: "cn-north-4".to_owned(),
            destination_bucket: "archive".to_owned(),
            description: String::new(),
            enable_metadata_migration: false,
            enable_restore: false,
            storage_policy: None,
            consistency_check: ConsistencyCheck::SizeLastModified,
            cdn: None,
            enable_kms: false,
        };
        let new = NewSyncTask { id: id.to_owned(), sequence, project: "p", task: sequence };
        SyncTask::create(new, definition, keys(), Timestamp::UNIX_EPOCH)
    }

    pub(in crate::emulator::sync) fn keys() -> SyncKeys {
        let keys = |secret: &str| Keys {
            access_key: "a".to_owned(),
            secret_key: secret.to_owned().into(),
            security_token: None,
        };
        SyncKeys { source: keys("planted"), destination: keys("planted"), cdn: Some("planted".into()) }
    }

    fn texts(keys: &[&str]) -> Vec<String> {
        keys.iter().map(|key| (*key).to_owned()).collect()
    }

    #[test]
    fn what_was_accepted_waits_over_a_stop_and_is_settled_once() {
        let now = Timestamp::UNIX_EPOCH;
        let mut task = sync_task("s", 1);
        task.accept(&texts(&["a", "b", "a"]), now).unwrap();
        assert_eq!(task.take().unwrap(), (1, "a".to_owned()));
        assert_eq!(task.take().unwrap(), (2, "b".to_owned()));
        assert_eq!(task.take(), None, "the same key is not copied beside itself");
        assert!(task.settle(1, Verdict::Success(5), now));
        assert!(!task.settle(1, Verdict::Success(5), now));
        task.stop().unwrap();
        task.put_back(2);
        assert_eq!(task.take(), None);
        assert_eq!(task.accept(&texts(&["c"]), now).unwrap_err(), NOT_SYNCHRONIZING);
        assert_eq!((task.waiting(), task.keys.is_none()), (2, true));
        task.start(keys(), now).unwrap();
        assert_eq!(task.take().unwrap().0, 2);
        assert_eq!(task.take().unwrap().0, 3);
        assert_eq!(task.statistics.total().request, 3);
        assert_eq!(task.counters().successful_num, 1);
    }

    #[test]
    fn every_call_is_refused_in_the_wrong_state() {
        let mut task = sync_task("s", 1);
        assert_eq!(task.check_delete().unwrap_err(), IN_PROGRESS);
        assert_eq!(task.start(keys(), Timestamp::UNIX_EPOCH).unwrap_err(), ALREADY_STARTED);
        task.stop().unwrap();
        assert_eq!(task.stop().unwrap_err(), NOT_RUNNING);
        task.check_delete().unwrap();
    }

    #[test]
    fn a_written_task_comes_back_with_its_queue_and_prints_no_secret() {
        let mut task = sync_task("s", 1);
        task.accept(&texts(&["a"]), Timestamp::UNIX_EPOCH).unwrap();
        task.take().unwrap();
        let mut read: SyncTask = serde_json::from_str(&serde_json::to_string(&task).unwrap()).unwrap();
        assert_eq!(read.take().unwrap(), (1, "a".to_owned()));
        assert!(!format!("{read:?}").contains("planted"));
    }
}
