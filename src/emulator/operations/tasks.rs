//! Migration tasks (OMS API reference 5.3).

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::json;

use super::{Done, destination_store, no_store};
use crate::emulator::{
    config::Project,
    mover::{Control, TaskType},
    persist::Record,
    runs::windows,
    service::{Service, State, random},
    signature::decode_query,
    stores::BucketProblem,
    tasks::{self, Task, later, milliseconds},
    wire::{
        answer,
        members::parse,
        refusal::{
            DAILY_QUOTA, DESTINATION_BUCKET, DESTINATION_KEYS, NOT_FOUND, REGION_OF_ENDPOINT, Refusal,
            SOURCE_REGION, TOO_MANY_WAITING,
        },
        request::{
            BatchTarget, BatchUpdateTasks, CreateTask, Definition, ListTasks, StartTask, TaskKeys,
            read_bandwidth,
        },
    },
};

impl Service {
    pub(super) async fn create_task(&self, project: &Project, body: &[u8]) -> Result<Done, Refusal> {
        let limits = &self.config.limits;
        let request = CreateTask::read(&parse(body, false)?, limits, &self.config.behaviour)?;
        self.check_creation(&mut self.state(), project, self.clock.now())?;
        self.check_regions(project, &request.definition)?;
        self.check_topic(project, request.definition.notification.as_ref())?;
        self.check_kms_keys(&request.kms_keys)?;
        self.check_destination(&request.definition, &request.keys).await?;
        self.check_source(&request.definition, &request.keys).await?;
        self.check_url_list(&request.definition, &request.keys).await?;

        let (id, name, saved) = {
            let now = self.clock.now();
            let mut state = self.state();
            // Again, as others may have been created while the buckets were looked at.
            self.check_creation(&mut state, project, now)?;
            let id = new_task_id(&state, now);
            let task = Task::create(request, id, state.ledger.next_sequence(), &project.id, now);
            let name = task.name.clone();
            let records = [
                Record::Created { project: project.id.clone(), at: now },
                Record::Task(Box::new(task.clone())),
            ];
            state.ledger.count_creation(&project.id, now);
            state.ledger.put(task);
            (id, name, self.record(&state, &records))
        };
        self.wake.notify_one();
        saved.await?;
        Ok(Done::created(json!({ "id": id, "task_name": name }), id.to_string()))
    }

    fn check_creation(&self, state: &mut State, project: &Project, now: Timestamp) -> Result<(), Refusal> {
        let limits = &self.config.limits;
        if self.config.behaviour.privacy_agreement_required && !state.ledger.has_agreement(&project.id) {
            return Err(self.agreement_missing());
        }
        if state.ledger.created_in_a_day(&project.id, now) >= limits.tasks_per_day {
            return Err(DAILY_QUOTA);
        }
        if state.ledger.waiting(&project.id) >= limits.waiting_tasks {
            return Err(TOO_MANY_WAITING);
        }
        Ok(())
    }

    pub(super) fn check_regions(&self, project: &Project, definition: &Definition) -> Result<(), Refusal> {
        if definition.destination_region != project.region {
            return Err(REGION_OF_ENDPOINT.with_detail(format!(
                "request parameter [dst_node.region] invalid: this endpoint serves {}.",
                project.region
            )));
        }
        if definition.task_type == TaskType::UrlList {
            return Ok(());
        }
        let (cloud, region) = (&definition.cloud_type, &definition.source_region);
        match self.stores.find(cloud, region) {
            Some(_) => Ok(()),
            None => Err(SOURCE_REGION.with_detail(no_store(cloud, region))),
        }
    }

    pub(super) async fn check_destination(
        &self,
        definition: &Definition,
        keys: &TaskKeys,
    ) -> Result<(), Refusal> {
        let region = definition.destination_region.as_str();
        let store = destination_store(&self.stores, region)?;
        let bucket = definition.destination_bucket.as_str();
        match self.stores.check_bucket(store, region, bucket, &keys.destination).await {
            Ok(()) => Ok(()),
            Err(BucketProblem::Keys) => Err(DESTINATION_KEYS),
            Err(BucketProblem::Access) => Err(DESTINATION_BUCKET),
        }
    }

    /// What OMS checks of a URL list before it accepts a task; its contents are read when the task runs.
    async fn check_url_list(&self, definition: &Definition, keys: &TaskKeys) -> Result<(), Refusal> {
        match definition.list_file.as_ref().filter(|_| definition.task_type == TaskType::UrlList) {
            None => Ok(()),
            Some(list) => {
                self.check_url_list_head(&definition.destination_region, list, &keys.destination).await
            }
        }
    }

    pub(super) fn list_tasks(&self, project: &Project, query: &str) -> Result<Done, Refusal> {
        let query = ListTasks::read(&decode_query(query))?;
        let now = self.clock.now();
        let behaviour = &self.config.behaviour;
        let visible_until = later(now, -milliseconds(behaviour.list_lag_ms));
        let state = self.state();
        let page = state.ledger.list(&project.id, &query, visible_until);
        let tasks = page.tasks.iter().map(|task| self.shown(&state, task, now)).collect();
        Ok(Done::read(answer::TaskPage { tasks, count: page.count }))
    }

    pub(super) fn show_task(&self, project: &Project, id: u64) -> Result<Done, Refusal> {
        let state = self.state();
        let task = state.ledger.get(&project.id, id).ok_or_else(|| self.not_found())?;
        Ok(Done::read(self.shown(&state, task, self.clock.now())))
    }

    fn shown<'a>(&self, state: &State, task: &'a Task, now: Timestamp) -> answer::ShownTask<'a> {
        let progress = state.progress(task);
        answer::task(task, progress, &self.config.behaviour, now)
    }

    pub(super) fn not_found(&self) -> Refusal {
        Refusal { status: self.config.behaviour.not_found_status, ..NOT_FOUND }
    }

    /// Changes one task under the lock, and writes it down.
    async fn change_task(
        &self,
        project: &Project,
        id: u64,
        change: impl FnOnce(&mut Task, Timestamp) -> Result<(), Refusal>,
        then: impl FnOnce(&State),
    ) -> Result<Done, Refusal> {
        let saved = {
            let now = self.clock.now();
            let mut state = self.state();
            if state.ledger.get(&project.id, id).is_none() {
                return Err(self.not_found());
            }
            let own = |task: &mut Task| task.check_independent().and_then(|()| change(task, now));
            state.ledger.change(id, own).ok_or_else(|| self.not_found())??;
            then(&state);
            let records: Vec<Record> =
                state.ledger.find(id).map(|task| Record::Task(Box::new(task.clone()))).into_iter().collect();
            self.record(&state, &records)
        };
        self.wake.notify_one();
        saved.await?;
        Ok(Done::changed())
    }

    pub(super) async fn stop_task(&self, project: &Project, id: u64) -> Result<Done, Refusal> {
        let behaviour = &self.config.behaviour;
        let pause = |state: &State| {
            if let Some(run) = state.runs.get(&id).filter(|_| !behaviour.stops_come_too_late) {
                run.control.send_replace(Control::Pause);
            }
        };
        self.change_task(project, id, |task, now| task.stop(behaviour, now), pause).await
    }

    pub(super) async fn start_task(&self, project: &Project, id: u64, body: &[u8]) -> Result<Done, Refusal> {
        let request = StartTask::read(&parse(body, false)?)?;
        let definition = {
            let state = self.state();
            let task = state.ledger.get(&project.id, id).ok_or_else(|| self.not_found())?;
            task.check_independent()?;
            task.check_start(request.migrate_failed_object)?;
            task.definition.clone()
        };
        let keys = request.keys_for(&definition)?;
        self.check_kms_keys(&request.kms_keys)?;
        self.check_destination(&definition, &keys).await?;
        let failed_only = request.migrate_failed_object;
        self.change_task(project, id, |task, now| task.start(keys, failed_only, now), |_| ()).await
    }

    pub(super) async fn update_bandwidth(
        &self,
        project: &Project,
        id: u64,
        body: &[u8],
    ) -> Result<Done, Refusal> {
        let policy = read_bandwidth(&parse(body, false)?, &self.config.limits)?;
        let apply = |state: &State| {
            if let Some(run) = state.runs.get(&id) {
                run.bandwidth.send_replace(windows(&policy));
            }
        };
        self.change_task(project, id, |task, _| task.set_bandwidth(policy.clone()), apply).await
    }

    pub(super) async fn delete_task(&self, project: &Project, id: u64) -> Result<Done, Refusal> {
        let saved = {
            let now = self.clock.now();
            let mut state = self.state();
            let task = state.ledger.get(&project.id, id).ok_or_else(|| self.not_found())?;
            task.check_independent()?;
            task.check_delete(&self.config.behaviour, now)?;
            state.ledger.remove(id);
            self.record(&state, &[Record::Gone { id }])
        };
        saved.await?;
        Ok(Done::changed())
    }

    /// All or nothing: one task that does not fit refuses the whole call.
    pub(super) async fn batch_update(&self, project: &Project, body: &[u8]) -> Result<Done, Refusal> {
        let request =
            BatchUpdateTasks::read(&parse(body, false)?, &self.config.limits, &self.config.behaviour)?;
        let saved = {
            let mut state = self.state();
            let ids = match &request.target {
                BatchTarget::Tasks(ids) => ids.iter().copied().collect::<BTreeSet<u64>>(),
                BatchTarget::Group(id) => state
                    .ledger
                    .members(id)
                    .filter(|task| task.project == project.id)
                    .map(|task| task.id)
                    .collect(),
            };
            if ids.is_empty() {
                return Err(self.not_found());
            }
            for id in &ids {
                let task = state.ledger.get(&project.id, *id).ok_or_else(|| self.not_found())?;
                task.check_independent()?;
                task.check_batch(request.priority)?;
            }
            let mut records = Vec::new();
            for id in ids {
                let changed = state.ledger.change(id, |task| {
                    if let Some(bandwidth) = &request.bandwidth {
                        task.bandwidth.clone_from(bandwidth);
                    }
                    task.priority = request.priority.unwrap_or(task.priority);
                    Record::Task(Box::new(task.clone()))
                });
                records.extend(changed);
                if let (Some(run), Some(bandwidth)) = (state.runs.get(&id), &request.bandwidth) {
                    run.bandwidth.send_replace(windows(bandwidth));
                }
            }
            self.record(&state, &records)
        };
        self.wake.notify_one();
        saved.await?;
        Ok(Done::changed())
    }
}

/// An ID that no task has.
pub(super) fn new_task_id(state: &State, now: Timestamp) -> u64 {
    let mut id = tasks::id(now, random());
    while state.ledger.has(id) {
        id = id / 100_000 * 100_000 + random() % 100_000;
    }
    id
}
