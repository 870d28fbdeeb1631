//! Everything the emulator remembers: tasks by order of creation, and what each project has used up.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use jiff::{SignedDuration, Timestamp};

use super::{
    groups::Group,
    mover::Outcome,
    notifications::Entry,
    persist::Record,
    sync::ledger::SyncLedger,
    tasks::{Status, Task, later},
    wire::request::{ListTasks, Priority},
};

/// Notifications that are kept.
const MOST_NOTIFICATIONS: usize = 10_000;

/// Tasks and quotas.
#[derive(Debug, Default)]
pub struct Ledger {
    /// Synchronization tasks.
    pub sync: SyncLedger,
    tasks: BTreeMap<u64, Task>,
    sequences: HashMap<u64, u64>,
    /// Sequences of the tasks to which something will happen by itself; the others cost nothing.
    active: BTreeSet<u64>,
    /// What lists ask of every task, by project and sequence: the tasks themselves are too far apart in memory for that.
    listed: HashMap<String, BTreeMap<u64, Listed>>,
    /// Sequences of the tasks that belong to something, by its ID.
    members: HashMap<String, BTreeSet<u64>>,
    groups: BTreeMap<u64, Group>,
    group_sequences: HashMap<String, u64>,
    projects: HashMap<String, ProjectLedger>,
    /// The oldest first.
    notifications: VecDeque<Entry>,
    last_sequence: u64,
    last_group: u64,
}

#[derive(Clone, Copy, Debug)]
struct Listed {
    created: Timestamp,
    status: u8,
}

impl Listed {
    fn of(task: &Task) -> Self {
        Self { created: task.created, status: task.status.number() }
    }
}

#[derive(Debug, Default)]
struct ProjectLedger {
    agreement: bool,
    created: Creations,
    groups_created: Creations,
}

/// The creations of the last 24 hours.
#[derive(Debug, Default)]
struct Creations(VecDeque<Timestamp>);

impl Creations {
    fn in_a_day(&mut self, now: Timestamp) -> usize {
        let since = day_before(now);
        while self.0.front().is_some_and(|at| *at <= since) {
            self.0.pop_front();
        }
        self.0.len()
    }

    fn since(&self, since: Timestamp) -> impl Iterator<Item = Timestamp> {
        self.0.iter().copied().filter(move |at| *at > since)
    }
}

/// A page of a list, and how many tasks there are on all pages.
#[derive(Debug)]
pub struct Page<'a> {
    /// The tasks of the page, the newest first.
    pub tasks: Vec<&'a Task>,
    /// Matches over all pages.
    pub count: usize,
}

impl Ledger {
    /// The ledger that a log amounts to. A stop that was under way counts as carried out.
    pub fn restore(records: Vec<Record>) -> Self {
        let mut ledger = Self::default();
        for record in records {
            match record {
                Record::Task(task) => ledger.put(*task),
                Record::Checkpoint { id, checkpoint } => {
                    if let Some(task) = ledger.find_mut(id) {
                        task.checkpoint = *checkpoint;
                    }
                }
                Record::Gone { id } => {
                    ledger.remove(id);
                }
                Record::Group { group, tasks } => {
                    ledger.put_group(*group);
                    for task in tasks {
                        ledger.put(task);
                    }
                }
                Record::GroupGone { id } => {
                    ledger.remove_group(&id);
                }
                Record::GroupCreated { project, at } => ledger.count_group(&project, at),
                Record::Agreement { project } => ledger.accept_agreement(&project),
                Record::Created { project, at } => ledger.count_creation(&project, at),
                Record::SyncTask(task) => ledger.sync.put(*task),
                Record::SyncEvent { id, keys, at } => ledger.sync.book(&id, &keys, at),
                Record::SyncSettled { id, number, verdict, at } => {
                    ledger.sync.settle(&id, number, verdict, at);
                }
                Record::SyncGone { project, id } => {
                    if ledger.sync.delete(&id).is_none() {
                        ledger.sync.remember(project, id);
                    }
                }
                Record::Notified(entry) => ledger.add_notification(*entry),
                // Of tokens and keys the service itself keeps account.
                Record::Identity(_) => {}
            }
        }
        let stopping: Vec<u64> =
            ledger.active().filter(|task| task.status == Status::Stopping).map(|task| task.id).collect();
        for id in stopping {
            ledger.change(id, |task| {
                let now = task.stop_requested.unwrap_or(task.created);
                task.finish(&Outcome::Paused, now);
            });
        }
        ledger
    }

    /// The shortest log that amounts to this ledger.
    pub fn records(&self, now: Timestamp) -> Vec<Record> {
        let since = day_before(now);
        let mut records = Vec::new();
        for (project, ledger) in &self.projects {
            if ledger.agreement {
                records.push(Record::Agreement { project: project.clone() });
            }
            let of = |project: &str| project.to_owned();
            records
                .extend(ledger.created.since(since).map(|at| Record::Created { project: of(project), at }));
            records.extend(
                ledger
                    .groups_created
                    .since(since)
                    .map(|at| Record::GroupCreated { project: of(project), at }),
            );
        }
        let groups = self.groups.values();
        records
            .extend(groups.map(|group| Record::Group { group: Box::new(group.clone()), tasks: Vec::new() }));
        records.extend(self.notifications.iter().map(|entry| Record::Notified(Box::new(entry.clone()))));
        records.extend(self.tasks.values().map(|task| Record::Task(Box::new(task.clone()))));
        records.extend(
            self.sync
                .deleted()
                .map(|(project, id)| Record::SyncGone { project: project.to_owned(), id: id.to_owned() }),
        );
        records.extend(self.sync.tasks().map(|task| Record::SyncTask(Box::new(task.clone()))));
        records
    }

    /// The latest moment that the ledger speaks of.
    pub fn latest(&self) -> Option<Timestamp> {
        self.tasks
            .values()
            .flat_map(|task| [Some(task.created), Some(task.waiting_since), task.started, task.ended])
            .flatten()
            .chain(self.groups.values().map(|group| group.since))
            .chain(self.projects.values().flat_map(|project| {
                { [&project.created, &project.groups_created].map(|creations| creations.0.back().copied()) }
                    .into_iter()
                    .flatten()
            }))
            .chain(self.sync.latest())
            .max()
    }

    /// The sequence number for the next task.
    pub fn next_sequence(&self) -> u64 {
        self.last_sequence + 1
    }

    /// Adds or replaces a task.
    pub fn put(&mut self, task: Task) {
        self.last_sequence = self.last_sequence.max(task.sequence);
        self.sequences.insert(task.id, task.sequence);
        if let Some(owner) = &task.member_of {
            self.members.entry(owner.id().to_owned()).or_default().insert(task.sequence);
        }
        Self::book(&mut self.active, &mut self.listed, &task);
        self.tasks.insert(task.sequence, task);
    }

    /// Keeps the books on a task that came or changed.
    fn book(active: &mut BTreeSet<u64>, listed: &mut HashMap<String, BTreeMap<u64, Listed>>, task: &Task) {
        if task.status.is_active() {
            active.insert(task.sequence);
        } else {
            active.remove(&task.sequence);
        }
        match listed.get_mut(&task.project) {
            Some(listed) => listed.insert(task.sequence, Listed::of(task)),
            None => listed.entry(task.project.clone()).or_default().insert(task.sequence, Listed::of(task)),
        };
    }

    /// Whether an ID is taken.
    pub fn has(&self, id: u64) -> bool {
        self.sequences.contains_key(&id)
    }

    /// A task of a project.
    pub fn get(&self, project: &str, id: u64) -> Option<&Task> {
        self.tasks.get(self.sequences.get(&id)?).filter(|task| task.project == project)
    }

    /// A task of whatever project.
    pub fn find(&self, id: u64) -> Option<&Task> {
        self.tasks.get(self.sequences.get(&id)?)
    }

    fn find_mut(&mut self, id: u64) -> Option<&mut Task> {
        self.tasks.get_mut(self.sequences.get(&id)?)
    }

    /// Changes a task, and keeps the ledger's books on it. `None`: there is no such task.
    pub fn change<T>(&mut self, id: u64, change: impl FnOnce(&mut Task) -> T) -> Option<T> {
        let sequence = *self.sequences.get(&id)?;
        let task = self.tasks.get_mut(&sequence)?;
        let result = change(task);
        Self::book(&mut self.active, &mut self.listed, task);
        Some(result)
    }

    /// Removes a task; tells whether it was there.
    pub fn remove(&mut self, id: u64) -> bool {
        let Some(sequence) = self.sequences.remove(&id) else { return false };
        self.active.remove(&sequence);
        let removed = self.tasks.remove(&sequence);
        if let Some(listed) = removed.as_ref().and_then(|task| self.listed.get_mut(&task.project)) {
            listed.remove(&sequence);
        }
        if let Some(owner) = removed.as_ref().and_then(|task| task.member_of.as_ref())
            && let Some(members) = self.members.get_mut(owner.id())
        {
            members.remove(&sequence);
            if members.is_empty() {
                self.members.remove(owner.id());
            }
        }
        removed.is_some()
    }

    /// All tasks, the newest first.
    pub fn newest_first(&self) -> impl Iterator<Item = &Task> {
        self.tasks.values().rev()
    }

    /// The tasks to which something will happen by itself.
    pub fn active(&self) -> impl Iterator<Item = &Task> {
        self.active.iter().filter_map(|sequence| self.tasks.get(sequence))
    }

    /// The tasks that belong to a group or a synchronization task, the oldest first.
    pub fn members(&self, owner: &str) -> impl Iterator<Item = &Task> {
        self.members.get(owner).into_iter().flatten().filter_map(|sequence| self.tasks.get(sequence))
    }

    /// A page of a list. Tasks created after `visible_until` are not in lists yet.
    pub fn list(&self, project: &str, query: &ListTasks, visible_until: Timestamp) -> Page<'_> {
        let name = query.task_name.as_deref().map(str::to_lowercase);
        let mut page = Page { tasks: Vec::new(), count: 0 };
        let listed = self.listed.get(project).into_iter().flatten().rev().filter(|(_, listed)| {
            listed.created <= visible_until && query.status.is_none_or(|status| listed.status == status)
        });
        // Only these two look at the tasks that are not on the page.
        let looks = query.group_id.is_some() || name.is_some();
        for (sequence, _) in listed {
            let on_page = page.count >= query.offset && page.tasks.len() < query.limit;
            let task = if looks || on_page { self.tasks.get(sequence) } else { None };
            let matches = !looks
                || task.is_some_and(|task| {
                    query
                        .group_id
                        .as_deref()
                        .is_none_or(|id| task.member_of.as_ref().is_some_and(|of| of.id() == id))
                        && name.as_ref().is_none_or(|name| task.name.to_lowercase().contains(name))
                });
            if matches {
                page.tasks.extend(task.filter(|_| on_page));
                page.count += 1;
            }
        }
        page
    }

    /// Tasks of a project that wait.
    pub fn waiting(&self, project: &str) -> usize {
        self.active().filter(|task| task.project == project && task.status == Status::Waiting).count()
    }

    /// Tasks that a project created in the last 24 hours.
    pub fn created_in_a_day(&mut self, project: &str, now: Timestamp) -> usize {
        self.project(project).created.in_a_day(now)
    }

    /// Counts a creation.
    pub fn count_creation(&mut self, project: &str, at: Timestamp) {
        self.project(project).created.0.push_back(at);
    }

    /// Groups that a project created in the last 24 hours.
    pub fn groups_created_in_a_day(&mut self, project: &str, now: Timestamp) -> usize {
        self.project(project).groups_created.in_a_day(now)
    }

    /// Counts the creation of a group.
    pub fn count_group(&mut self, project: &str, at: Timestamp) {
        self.project(project).groups_created.0.push_back(at);
    }

    fn project(&mut self, id: &str) -> &mut ProjectLedger {
        self.projects.entry(id.to_owned()).or_default()
    }

    /// The sequence number for the next group.
    pub fn next_group(&self) -> u64 {
        self.last_group + 1
    }

    /// Adds or replaces a group.
    pub fn put_group(&mut self, group: Group) {
        self.last_group = self.last_group.max(group.sequence);
        self.group_sequences.insert(group.id.clone(), group.sequence);
        self.groups.insert(group.sequence, group);
    }

    /// A group of a project.
    pub fn group(&self, project: &str, id: &str) -> Option<&Group> {
        self.find_group(id).filter(|group| group.project == project)
    }

    /// A group of whatever project.
    pub fn find_group(&self, id: &str) -> Option<&Group> {
        self.groups.get(self.group_sequences.get(id)?)
    }

    /// Changes a group. `None`: there is no such group.
    pub fn change_group<T>(&mut self, id: &str, change: impl FnOnce(&mut Group) -> T) -> Option<T> {
        self.groups.get_mut(self.group_sequences.get(id)?).map(change)
    }

    /// Removes a group and its tasks, whose IDs are returned.
    pub fn remove_group(&mut self, id: &str) -> Vec<u64> {
        if let Some(sequence) = self.group_sequences.remove(id) {
            self.groups.remove(&sequence);
        }
        let tasks: Vec<u64> = self.members(id).map(|task| task.id).collect();
        for task in &tasks {
            self.remove(*task);
        }
        tasks
    }

    /// All groups, the newest first.
    pub fn groups(&self) -> impl DoubleEndedIterator<Item = &Group> {
        self.groups.values().rev()
    }

    /// The notifications so far, the oldest first.
    pub fn notifications(&self) -> impl Iterator<Item = &Entry> {
        self.notifications.iter()
    }

    /// Adds a notification; the oldest goes when there are too many.
    pub fn add_notification(&mut self, entry: Entry) {
        self.notifications.push_back(entry);
        if self.notifications.len() > MOST_NOTIFICATIONS {
            self.notifications.pop_front();
        }
    }

    /// Forgets the notifications.
    pub fn clear_notifications(&mut self) {
        self.notifications.clear();
    }

    /// Whether the project accepted the privacy agreement.
    pub fn has_agreement(&self, project: &str) -> bool {
        self.projects.get(project).is_some_and(|project| project.agreement)
    }

    /// The project accepts the privacy agreement.
    pub fn accept_agreement(&mut self, project: &str) {
        self.project(project).agreement = true;
    }

    /// The waiting tasks of a project that should run now, the most urgent first: by priority, then by time in the
    /// queue. `places` is how many may run at once.
    pub fn next_to_run(&self, project: &str, places: usize, ready: impl Fn(&Task) -> bool) -> Vec<u64> {
        let of_project = || self.active().filter(|task| task.project == project);
        let taken =
            of_project().filter(|task| task.status.takes_a_place() && !task.belongs_to_sync()).count();
        let mut queue: Vec<(Priority, Timestamp, u64, u64)> = of_project()
            .filter(|task| task.status == Status::Waiting && ready(task))
            .map(|task| (task.priority, task.waiting_since, task.sequence, task.id))
            .collect();
        queue.sort_unstable();
        queue.into_iter().take(places.saturating_sub(taken)).map(|(.., id)| id).collect()
    }
}

fn day_before(now: Timestamp) -> Timestamp {
    later(now, SignedDuration::from_hours(-24))
}
