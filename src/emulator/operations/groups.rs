//! Task groups (OMS API reference 5.5).

use jiff::Timestamp;
use serde_json::{Value, json};

use super::Done;
use crate::emulator::{
    config::Project,
    groups::{Group, group_record},
    mover::Control,
    persist::Record,
    runs::windows,
    service::{Service, State, random},
    signature::decode_query,
    tasks::{Status, Task},
    wire::{
        answer::{self, Sum},
        members::parse,
        refusal::{GROUP_QUOTA, NO_SUCH_GROUP, Refusal},
        request::{CreateGroup, ListGroups, TakeUpGroup, TaskKeys, read_bandwidth},
    },
};

impl Service {
    pub(super) async fn create_group(&self, project: &Project, body: &[u8]) -> Result<Done, Refusal> {
        let request = CreateGroup::read(&parse(body, false)?, &self.config.limits, &self.config.behaviour)?;
        self.check_group_creation(&mut self.state(), project, self.clock.now())?;
        self.check_regions(project, &request.definition)?;
        self.check_topic(project, request.definition.notification.as_ref())?;
        self.check_kms_keys(&request.kms_keys)?;
        self.check_destination(&request.definition, &request.keys).await?;
        self.check_source(&request.definition, &request.keys).await?;
        let (id, saved) = {
            let now = self.clock.now();
            let mut state = self.state();
            // Again, as others may have been created while the bucket was looked at.
            self.check_group_creation(&mut state, project, now)?;
            let id = uuid();
            let group = Group::create(request, id.clone(), state.ledger.next_group(), &project.id, now);
            state.ledger.count_group(&project.id, now);
            state.ledger.put_group(group);
            let records = [
                Record::GroupCreated { project: project.id.clone(), at: now },
                group_record(&state, &id, &[]),
            ];
            (id, self.record(&state, &records))
        };
        self.wake.notify_one();
        saved.await?;
        Ok(Done::created(json!({ "group_id": id }), id))
    }

    fn check_group_creation(
        &self,
        state: &mut State,
        project: &Project,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        if self.config.behaviour.privacy_agreement_required && !state.ledger.has_agreement(&project.id) {
            return Err(self.agreement_missing());
        }
        if state.ledger.groups_created_in_a_day(&project.id, now) >= self.config.limits.groups_per_day {
            return Err(GROUP_QUOTA);
        }
        Ok(())
    }

    pub(super) fn list_groups(&self, project: &Project, query: &str) -> Result<Done, Refusal> {
        let query = ListGroups::read(&decode_query(query))?;
        let now = self.clock.now();
        let state = self.state();
        let groups: Vec<&Group> = state
            .ledger
            .groups()
            .filter(|group| group.project == project.id)
            .filter(|group| query.status.is_none_or(|status| group.status.number() == status))
            .collect();
        let page = groups.iter().skip(query.offset).take(query.limit);
        let shown: Vec<Value> = page.map(|group| self.shown_group(&state, group, now)).collect();
        Ok(Done::read(json!({ "count": groups.len(), "taskgroups": shown })))
    }

    pub(super) fn show_group(&self, project: &Project, id: &str) -> Result<Done, Refusal> {
        let state = self.state();
        let group = state.ledger.group(&project.id, id).ok_or(NO_SUCH_GROUP)?;
        Ok(Done::read(self.shown_group(&state, group, self.clock.now())))
    }

    /// A group in the shape of ShowTaskGroup, which has no place for secrets.
    pub fn shown_group(&self, state: &State, group: &Group, now: Timestamp) -> Value {
        let progress = |task: &Task| state.runs.get(&task.id).map(|run| *run.progress.borrow());
        let sum = Sum::of(state.ledger.members(&group.id).map(|task| (task, progress(task))));
        answer::group(group, &sum, &self.config.behaviour, now)
    }

    /// Changes one group under the lock, and writes it down with the tasks that changed with it.
    async fn change_group(
        &self,
        project: &Project,
        id: &str,
        change: impl FnOnce(&mut Group, Timestamp) -> Result<(), Refusal>,
        then: impl FnOnce(&mut State, Timestamp) -> Vec<u64>,
    ) -> Result<Done, Refusal> {
        let saved = {
            let now = self.clock.now();
            let mut state = self.state();
            if state.ledger.group(&project.id, id).is_none() {
                return Err(NO_SUCH_GROUP);
            }
            state.ledger.change_group(id, |group| change(group, now)).ok_or(NO_SUCH_GROUP)??;
            let tasks = then(&mut state, now);
            self.record(&state, &[group_record(&state, id, &tasks)])
        };
        self.wake.notify_one();
        saved.await?;
        Ok(Done::changed())
    }

    pub(super) async fn stop_group(&self, project: &Project, id: &str) -> Result<Done, Refusal> {
        let stop_tasks = |state: &mut State, now: Timestamp| {
            let active: Vec<u64> = state
                .ledger
                .members(id)
                .filter(|task| matches!(task.status, Status::Waiting | Status::Running))
                .map(|task| task.id)
                .collect();
            for task in &active {
                state.ledger.change(*task, |task| task.stop_with_owner(now));
                if let Some(run) = state.runs.get(task) {
                    run.control.send_replace(Control::Pause);
                }
            }
            active
        };
        let stop = |group: &mut Group, now: Timestamp| group.stop(&self.config.behaviour, now);
        self.change_group(project, id, stop, stop_tasks).await
    }

    pub(super) async fn start_group(
        &self,
        project: &Project,
        id: &str,
        body: &[u8],
    ) -> Result<Done, Refusal> {
        let request = TakeUpGroup::read_start(&parse(body, false)?)?;
        let check = |group: &Group, _: &State| group.check_start().map(|()| None);
        let keys = self.keys_to_take_up(project, id, &request, check).await?;
        let has_tasks = self.state().ledger.members(id).next().is_some();
        self.change_group(project, id, |group, now| group.start(keys, has_tasks, now), |_, _| Vec::new())
            .await
    }

    pub(super) async fn retry_group(
        &self,
        project: &Project,
        id: &str,
        body: &[u8],
    ) -> Result<Done, Refusal> {
        // The reference does not say whether there must be a body.
        let request = TakeUpGroup::read_retry(&parse(body, true)?)?;
        let failed_only = request.migrate_failed_object;
        let check = |group: &Group, state: &State| {
            group.check_retry(failed_only, state.ledger.members(id)).map(|()| group.keys.clone())
        };
        let keys = self.keys_to_take_up(project, id, &request, check).await?;
        let saved = {
            let now = self.clock.now();
            let mut state = self.state();
            let group = state.ledger.group(&project.id, id).ok_or(NO_SUCH_GROUP)?;
            // Again, as another call may have come while the bucket was looked at.
            group.check_retry(failed_only, state.ledger.members(id))?;
            let has_tasks = state.ledger.members(id).next().is_some();
            state.ledger.change_group(id, |group| group.retry(keys, failed_only, has_tasks, now));
            self.record(&state, &[group_record(&state, id, &[])])
        };
        self.wake.notify_one();
        saved.await?;
        Ok(Done::changed())
    }

    /// The keys that a group is to go on with, once the check and the destination bucket agree. The check returns keys
    /// that may stand in for those that did not come.
    async fn keys_to_take_up(
        &self,
        project: &Project,
        id: &str,
        request: &TakeUpGroup,
        check: impl FnOnce(&Group, &State) -> Result<Option<TaskKeys>, Refusal>,
    ) -> Result<TaskKeys, Refusal> {
        let (definition, kept) = {
            let state = self.state();
            let group = state.ledger.group(&project.id, id).ok_or(NO_SUCH_GROUP)?;
            (group.definition.clone(), check(group, &state)?)
        };
        let keys = request.keys_for(&definition, kept.as_ref())?;
        self.check_kms_keys(&request.kms_keys)?;
        self.check_destination(&definition, &keys).await?;
        Ok(keys)
    }

    pub(super) async fn update_group(
        &self,
        project: &Project,
        id: &str,
        body: &[u8],
    ) -> Result<Done, Refusal> {
        let policy = read_bandwidth(&parse(body, false)?, &self.config.limits)?;
        let apply = |state: &mut State, _: Timestamp| {
            let unfinished: Vec<u64> = state
                .ledger
                .members(id)
                .filter(|task| task.status != Status::Succeeded)
                .map(|task| task.id)
                .collect();
            for task in &unfinished {
                state.ledger.change(*task, |task| task.bandwidth.clone_from(&policy));
                if let Some(run) = state.runs.get(task) {
                    run.bandwidth.send_replace(windows(&policy));
                }
            }
            unfinished
        };
        self.change_group(project, id, |group, _| group.set_bandwidth(policy.clone()), apply).await
    }

    pub(super) async fn delete_group(&self, project: &Project, id: &str) -> Result<Done, Refusal> {
        let delete = |group: &mut Group, now: Timestamp| group.delete(&self.config.behaviour, now);
        self.change_group(project, id, delete, |_, _| Vec::new()).await
    }
}

/// A random UUID (RFC 9562, version 4).
fn uuid() -> String {
    let bits = (u128::from(random()) << 64) | u128::from(random());
    let bits = (bits & !(0xf << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62);
    let hex = format!("{bits:032x}");
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn group_ids_are_random_uuids() {
        let (one, other) = (uuid(), uuid());
        assert_ne!(one, other);
        for id in [one, other] {
            assert_eq!(id.split('-').map(str::len).collect::<Vec<_>>(), [8, 4, 4, 4, 12]);
            assert_eq!(id.as_bytes()[14], b'4');
            assert!(b"89ab".contains(&id.as_bytes()[19]));
        }
    }
}
