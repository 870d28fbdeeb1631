//! Carries groups from state to state: lets them make their tasks, follows these, and lets go of deleted groups.

use std::sync::{Arc, MutexGuard};

use jiff::Timestamp;

use super::{Course, Group, GroupStatus, Standing, Step};
use crate::emulator::{
    mover::{self, Control, Outcome, TaskType},
    persist::Record,
    service::{Service, State},
    tasks::{Failure, MemberOf, Task},
    wire::request::{CreateTask, Definition, Priority},
};

impl Service {
    /// Takes up the creations that a restart interrupted: their groups have no tasks yet. Called once.
    pub fn resume_groups(self: &Arc<Self>, state: &MutexGuard<'_, State>) {
        for group in state.ledger.groups().filter(|group| group.status == GroupStatus::Creating) {
            self.start_creation(group);
        }
    }

    /// Carries every group as far as it goes by itself, the oldest first. Returns when to look again.
    pub fn serve_groups(self: &Arc<Self>, state: &mut MutexGuard<'_, State>, now: Timestamp) -> Timestamp {
        let active: Vec<String> = state
            .ledger
            .groups()
            .rev()
            .filter(|group| group.status.is_active())
            .map(|group| group.id.clone())
            .collect();
        let mut next = Timestamp::MAX;
        for id in active {
            next = next.min(self.serve_group(state, &id, now));
        }
        next
    }

    fn serve_group(
        self: &Arc<Self>,
        state: &mut MutexGuard<'_, State>,
        id: &str,
        now: Timestamp,
    ) -> Timestamp {
        loop {
            let Some(group) = state.ledger.find_group(id) else { return Timestamp::MAX };
            let standing = Standing::of(state.ledger.members(id));
            let place = self.has_place(state, group);
            match group.step(standing, place, &self.config.behaviour, now) {
                Step::Stay(until) => return until,
                Step::Go => {
                    for task in state.ledger.remove_group(id) {
                        if let Some(run) = state.runs.get(&task) {
                            run.control.send_replace(Control::Pause);
                        }
                    }
                    drop(self.record(state, &[Record::GroupGone { id: id.to_owned() }]));
                    return Timestamp::MAX;
                }
                Step::To(status) => {
                    let taken_up = if group.status == GroupStatus::Waiting {
                        take_up_tasks(state, id, now)
                    } else {
                        Vec::new()
                    };
                    state.ledger.change_group(id, |group| group.enter(status, now));
                    self.notify_of_group(state, id);
                    drop(self.record(state, &[group_record(state, id, &taken_up)]));
                    if status == GroupStatus::Creating
                        && let Some(group) = state.ledger.find_group(id)
                    {
                        self.start_creation(group);
                    }
                }
            }
        }
    }

    fn has_place(&self, state: &State, group: &Group) -> bool {
        let region = self.project(&group.project).map_or("", |project| project.region.as_str());
        let taken = state
            .ledger
            .groups()
            .filter(|other| other.project == group.project && other.status.takes_a_place())
            .count();
        taken < self.config.limits.running_groups(region)
    }

    fn start_creation(self: &Arc<Self>, group: &Group) {
        let service = Arc::clone(self);
        let group = group.clone();
        self.tracker.spawn(async move {
            let found = tokio::select! {
                () = service.stopping.cancelled() => return,
                found = service.definitions(&group) => found,
            };
            let earliest = group.created_at_the_earliest(&service.config.behaviour);
            tokio::select! {
                () = service.stopping.cancelled() => {}
                () = service.clock.sleep_until(earliest) => service.end_creation(&group, found),
            }
        });
    }

    /// What the tasks of a group are to do, by a look at the source.
    async fn definitions(&self, group: &Group) -> Result<Vec<Definition>, Failure> {
        let keys = group.keys.as_ref().ok_or_else(|| Failure {
            code: "TRF.0001".to_owned(),
            message: "The group has lost its keys".to_owned(),
        })?;
        let job = self.job(&group.definition, keys)?;
        let survey = mover::Survey { clock: &self.clock, settings: &self.config.mover };
        // It is the end of the group that is announced.
        let whole = &Definition { notification: None, ..group.definition.clone() };
        if whole.task_type == TaskType::Prefix {
            let parts = mover::parts(&job, self.config.behaviour.group_task_objects, survey).await;
            let definition = |part: mover::Part| Definition {
                object_keys: Some(vec![part.prefix]),
                range: part.range,
                ..whole.clone()
            };
            parts.map(|parts| parts.into_iter().map(definition).collect()).map_err(failure)
        } else {
            let files = mover::list_files(&job, self.config.limits.group_list_files, survey).await;
            let definition = |key: String| {
                let mut definition = whole.clone();
                if let Some(list) = &mut definition.list_file {
                    list.key = key;
                }
                definition
            };
            files.map(|files| files.into_iter().map(definition).collect()).map_err(failure)
        }
    }

    /// Gives a group its tasks, or its failure, unless it was stopped or is gone meanwhile.
    fn end_creation(&self, begun: &Group, found: Result<Vec<Definition>, Failure>) {
        let now = self.clock.now();
        let mut state = self.state();
        let goes_on = |group: &Group| group.status == GroupStatus::Creating && group.since == begun.since;
        let Some(group) = state.ledger.find_group(&begun.id).filter(|group| goes_on(group)).cloned() else {
            return;
        };
        let mut made = Vec::new();
        match (found, &group.keys) {
            (Ok(definitions), Some(keys)) => {
                let mut index = 0;
                for definition in definitions {
                    let request = CreateTask {
                        definition,
                        keys: keys.clone(),
                        bandwidth: group.bandwidth.clone(),
                        priority: Priority::Medium,
                        kms_keys: Vec::new(),
                    };
                    let owner = MemberOf::Group(group.id.clone());
                    let sequence = state.ledger.next_sequence();
                    while state.ledger.has(Task::id_of_member(index, now)) {
                        index += 1;
                    }
                    let task = Task::create_member(request, owner, index, sequence, &group.project, now);
                    made.push(task.id);
                    state.ledger.put(task);
                    index += 1;
                }
                state.ledger.change_group(&group.id, |group| group.enter(GroupStatus::Monitoring, now));
            }
            (Ok(_), None) => return,
            (Err(failure), _) => {
                state.ledger.change_group(&group.id, |group| group.fail(failure, now));
                self.notify_of_group(&mut state, &group.id);
            }
        }
        drop(self.record(&state, &[group_record(&state, &group.id, &made)]));
        self.wake.notify_one();
    }
}

/// The tasks of a group that leaves the queue go back into theirs. Returns which.
fn take_up_tasks(state: &mut State, id: &str, now: Timestamp) -> Vec<u64> {
    let Some(group) = state.ledger.find_group(id) else { return Vec::new() };
    let Some(keys) = group.keys.clone() else { return Vec::new() };
    let course: Course = group.course;
    let bandwidth = group.bandwidth.clone();
    let again: Vec<_> =
        state.ledger.members(id).filter_map(|task| Some((task.id, course.checkpoint(task)?))).collect();
    again
        .into_iter()
        .map(|(task, checkpoint)| {
            state.ledger.change(task, |task| {
                task.bandwidth.clone_from(&bandwidth);
                task.wait(keys.clone(), checkpoint, now);
            });
            task
        })
        .collect()
}

/// What is written of a group and of those of its tasks that changed with it.
pub fn group_record(state: &State, id: &str, tasks: &[u64]) -> Record {
    match state.ledger.find_group(id) {
        Some(group) => Record::Group {
            group: Box::new(group.clone()),
            tasks: tasks.iter().filter_map(|task| state.ledger.find(*task)).cloned().collect(),
        },
        None => Record::GroupGone { id: id.to_owned() },
    }
}

fn failure(outcome: Outcome) -> Failure {
    match outcome {
        Outcome::Failed { code, message } => Failure { code, message },
        // Nobody pauses a look at the source.
        Outcome::Finished | Outcome::Paused => {
            Failure { code: "TRF.0001".to_owned(), message: "The source was not looked at".to_owned() }
        }
    }
}
