//! Synchronization tasks (OMS API reference 5.4).

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Done, destination_store, no_store, tasks::new_task_id};
use crate::emulator::{
    config::{Project, SyncQuota},
    persist::Record,
    service::{Service, State, random},
    stores::BucketProblem,
    sync::task::{NewSyncTask, SyncDefinition, SyncKeys, SyncTask},
    tasks::{Task, service_zone},
    wire::{
        answer::sync as answer,
        refusal::{
            DESTINATION_BUCKET, DESTINATION_KEYS, NO_ACCESS, NO_SUCH_API, NOT_FOUND, REGION_OF_ENDPOINT,
            Refusal, SOURCE_BUCKET, SOURCE_REGION, SYNC_TASK_DELETED, SYNC_TASK_NOT_FOUND, SYNC_TASK_UNKNOWN,
            TOO_MANY_SYNC_TASKS,
        },
        request::sync::{
            CreateSyncTask, ListSyncTaskStatistic, ListSyncTasks, read_query_time, read_sync_events,
            read_sync_start,
        },
    },
};

impl Service {
    /// Synchronization tasks exist in some regions only; elsewhere the gateway knows no such path.
    fn check_sync_region(&self, project: &Project) -> Result<(), Refusal> {
        if self.config.behaviour.sync.is_served_in(&project.region) { Ok(()) } else { Err(NO_SUCH_API) }
    }

    pub(super) async fn create_sync_task(
        self: &Arc<Self>,
        project: &Project,
        body: &[u8],
    ) -> Result<Done, Refusal> {
        self.check_sync_region(project)?;
        let request = CreateSyncTask::read(body, &self.config.behaviour.sync)?;
        self.check_sync_creation(&self.state(), project)?;
        if request.definition.destination_region != project.region {
            return Err(REGION_OF_ENDPOINT.with_detail(format!(
                "request parameter [dst_region] invalid: this endpoint serves {}.",
                project.region
            )));
        }
        self.check_kms_keys(&request.kms_keys)?;
        self.check_sync_buckets(&request.definition, &request.keys).await?;

        let (id, saved) = {
            let now = self.clock.now();
            let mut state = self.state();
            // Again, as others may have been created while the buckets were looked at.
            self.check_sync_creation(&state, project)?;
            let id = uuid();
            let new = NewSyncTask {
                id: id.clone(),
                sequence: state.ledger.sync.next_sequence(),
                project: &project.id,
                task: new_task_id(&state, now),
            };
            let member = Task::of_sync(&new, &request.definition, state.ledger.next_sequence(), now);
            let task = SyncTask::create(new, request.definition, request.keys, now);
            let records = [Record::SyncTask(Box::new(task.clone())), Record::Task(Box::new(member.clone()))];
            state.ledger.sync.put(task);
            state.ledger.put(member);
            self.start_sync_run(&mut state, &id);
            (id, self.record(&state, &records))
        };
        saved.await?;
        Ok(Done::created(json!({ "sync_task_id": id }), id))
    }

    fn check_sync_creation(&self, state: &State, project: &Project) -> Result<(), Refusal> {
        let behaviour = &self.config.behaviour.sync;
        if behaviour.privacy_agreement_required && !state.ledger.has_agreement(&project.id) {
            return Err(self.agreement_missing());
        }
        self.check_sync_quota(state, project, behaviour.quota)
    }

    fn check_sync_quota(&self, state: &State, project: &Project, quota: SyncQuota) -> Result<(), Refusal> {
        let counts = |task: &&SyncTask| {
            task.project == project.id && (quota == SyncQuota::Created || task.is_synchronizing())
        };
        let there = state.ledger.sync.newest_first().filter(counts).count();
        if there >= self.config.limits.sync_tasks { Err(TOO_MANY_SYNC_TASKS) } else { Ok(()) }
    }

    /// Keys and buckets of both sides, at create and at start.
    async fn check_sync_buckets(&self, definition: &SyncDefinition, keys: &SyncKeys) -> Result<(), Refusal> {
        let (cloud, region) = (definition.cloud_type.as_str(), definition.source_region.as_str());
        let store = self
            .stores
            .find(cloud, region)
            .ok_or_else(|| SOURCE_REGION.with_detail(no_store(cloud, region)))?;
        let bucket = definition.source_bucket.as_str();
        self.stores
            .check_bucket(store, region, bucket, &keys.source)
            .await
            .map_err(|_: BucketProblem| SOURCE_BUCKET)?;
        let region = definition.destination_region.as_str();
        let store = destination_store(&self.stores, region)?;
        let bucket = definition.destination_bucket.as_str();
        self.stores.check_bucket(store, region, bucket, &keys.destination).await.map_err(|problem| {
            match problem {
                BucketProblem::Keys => DESTINATION_KEYS,
                BucketProblem::Access => DESTINATION_BUCKET,
            }
        })?;
        match &definition.cdn {
            Some(cdn) => {
                let bucket = definition.source_bucket.as_str();
                self.check_cdn(cdn, keys.cdn.as_ref(), Some(&keys.source), bucket).await
            }
            None => Ok(()),
        }
    }

    pub(super) fn list_sync_tasks(&self, project: &Project, query: &str) -> Result<Done, Refusal> {
        self.check_sync_region(project)?;
        let query = ListSyncTasks::read(query)?;
        let state = self.state();
        let page = state.ledger.sync.list(&project.id, query.status, query.offset, query.limit);
        let behaviour = &self.config.behaviour.sync;
        let tasks: Vec<Value> = page.tasks.iter().map(|task| answer::listed(task, behaviour)).collect();
        Ok(Done::read(json!({ "tasks": tasks, "count": page.count })))
    }

    pub(super) fn show_sync_task(&self, project: &Project, id: &str, query: &str) -> Result<Done, Refusal> {
        self.check_sync_region(project)?;
        let at = read_query_time(query)?;
        let state = self.state();
        let task = state.ledger.sync.get(&project.id, id).ok_or(SYNC_TASK_NOT_FOUND)?;
        let month = task.statistics.month(at, &service_zone());
        Ok(Done::read(answer::shown(task, &month, &self.config.behaviour.sync)))
    }

    pub(super) fn list_sync_statistics(
        &self,
        project: &Project,
        id: &str,
        query: &str,
    ) -> Result<Done, Refusal> {
        self.check_sync_region(project)?;
        let query = ListSyncTaskStatistic::read(query)?;
        let state = self.state();
        let task = state.ledger.sync.get(&project.id, id).ok_or(SYNC_TASK_NOT_FOUND)?;
        Ok(Done::read(answer::statistics(task, &query)))
    }

    pub(super) async fn stop_sync_task(&self, project: &Project, id: &str) -> Result<Done, Refusal> {
        self.check_sync_region(project)?;
        let saved = {
            let now = self.clock.now();
            let mut state = self.state();
            self.own_sync_task(&mut state, project, id)?.stop()?;
            if let Some(run) = state.sync_runs.remove(id) {
                run.pause();
            }
            let records = sync_records(&mut state, id, |member| member.stop_with_sync(now));
            self.record(&state, &records)
        };
        saved.await?;
        Ok(Done::changed())
    }

    pub(super) async fn start_sync_task(
        self: &Arc<Self>,
        project: &Project,
        id: &str,
        body: &[u8],
    ) -> Result<Done, Refusal> {
        self.check_sync_region(project)?;
        let (definition, keys) = {
            let mut state = self.state();
            let task = self.own_sync_task(&mut state, project, id)?;
            let (keys, kms_keys) = read_sync_start(body, &task.definition)?;
            self.check_kms_keys(&kms_keys)?;
            task.check_start()?;
            let definition = task.definition.clone();
            self.check_sync_restart(&state, project)?;
            (definition, keys)
        };
        self.check_sync_buckets(&definition, &keys).await?;
        let saved = {
            let now = self.clock.now();
            let mut state = self.state();
            self.check_sync_restart(&state, project)?;
            self.own_sync_task(&mut state, project, id)?.start(keys, now)?;
            let records = sync_records(&mut state, id, |member| member.run(now));
            self.start_sync_run(&mut state, id);
            self.record(&state, &records)
        };
        saved.await?;
        Ok(Done::changed())
    }

    /// Where running tasks count, one more must not start.
    fn check_sync_restart(&self, state: &State, project: &Project) -> Result<(), Refusal> {
        match self.config.behaviour.sync.quota {
            SyncQuota::Created => Ok(()),
            SyncQuota::Running => self.check_sync_quota(state, project, SyncQuota::Running),
        }
    }

    pub(super) async fn delete_sync_task(&self, project: &Project, id: &str) -> Result<Done, Refusal> {
        self.check_sync_region(project)?;
        let saved = {
            let mut state = self.state();
            self.own_sync_task(&mut state, project, id)?.check_delete()?;
            let mut records = Vec::new();
            if let Some(task) = state.ledger.sync.delete(id) {
                state.ledger.remove(task.task);
                records.push(Record::SyncGone { project: task.project, id: task.id });
                records.push(Record::Gone { id: task.task });
            }
            self.record(&state, &records)
        };
        saved.await?;
        Ok(Done::changed())
    }

    pub(super) async fn create_sync_events(
        &self,
        project: &Project,
        id: &str,
        body: &[u8],
    ) -> Result<Done, Refusal> {
        self.check_sync_region(project)?;
        let keys = read_sync_events(body, &self.config.limits, &self.config.behaviour.sync)?;
        let saved = {
            let now = self.clock.now();
            let mut state = self.state();
            if state.ledger.sync.get(&project.id, id).is_none() {
                let deleted = state.ledger.sync.was_deleted(&project.id, id);
                return Err(if deleted { SYNC_TASK_DELETED } else { SYNC_TASK_UNKNOWN });
            }
            if let Some(task) = state.ledger.sync.find_mut(id) {
                task.accept(&keys, now)?;
            }
            if let Some(run) = state.sync_runs.get(id) {
                run.wake();
            }
            self.record(&state, &[Record::SyncEvent { id: id.to_owned(), keys, at: now }])
        };
        saved.await?;
        Ok(Done::changed())
    }

    /// The task that start, stop and delete are about.
    fn own_sync_task<'a>(
        &self,
        state: &'a mut State,
        project: &Project,
        id: &str,
    ) -> Result<&'a mut SyncTask, Refusal> {
        if state.ledger.sync.was_deleted(&project.id, id) {
            return Err(SYNC_TASK_DELETED);
        }
        let task = state.ledger.sync.find_mut(id).filter(|task| task.project == project.id);
        task.ok_or(match self.config.behaviour.sync.not_found_status {
            403 => NO_ACCESS,
            status => Refusal { status, ..NOT_FOUND },
        })
    }
}

/// Changes the migration task along with its synchronization task, and tells what both are now.
fn sync_records(state: &mut State, id: &str, change: impl FnOnce(&mut Task)) -> Vec<Record> {
    let Some(task) = state.ledger.sync.find(id).cloned() else { return Vec::new() };
    state.ledger.change(task.task, change);
    let member = state.ledger.find(task.task).cloned();
    let member = member.map(|member| Record::Task(Box::new(member)));
    [Record::SyncTask(Box::new(task))].into_iter().chain(member).collect()
}

/// A random UUID (version 4).
fn uuid() -> String {
    let (high, low) = (random(), random());
    let (high, low) = (high & !0xf000 | 0x4000, low & !(0b11 << 62) | 0b10 << 62);
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        high >> 32,
        high >> 16 & 0xffff,
        high & 0xffff,
        low >> 48,
        low & 0xffff_ffff_ffff
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_uuids_and_differ() {
        let (one, other) = (uuid(), uuid());
        assert_ne!(one, other);
        for id in [one, other] {
            let lengths: Vec<usize> = id.split('-').map(str::len).collect();
            assert_eq!(lengths, [8, 4, 4, 4, 12], "{id}");
            assert_eq!(id.as_bytes()[14], b'4', "{id}");
            assert!(matches!(id.as_bytes()[19], b'8' | b'9' | b'a' | b'b'), "{id}");
        }
    }
}
