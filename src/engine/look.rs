//! Looks that all objects of a project share: the poll of unfinished tasks and the scan before a create.
//!
//! Absence from a list is never a fact: a task that is missing from all lists is confirmed by reading it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use jiff::Timestamp;

use super::project::{Project, Scan, Sight};
use super::wake::Waker;
use super::{Clock, Engine, wire};
use crate::oms::{self, Client, ListTasks, TaskId, TaskStatus, Urgency};
use crate::plan::seen::{RemoteState, RemoteTask};
use crate::plan::token::ObjectMark;

/// Records per page: OMS's maximum.
const PAGE: u32 = 100;

/// Up to so many tasks are read one by one; more are listed by status.
const FEW: usize = 3;

/// How often a scan starts over when the list shrank under it.
const SCAN_TRIES: u32 = 3;

/// Polls the unfinished tasks of a project once. Any joined connection may look; one that fails does not blind
/// the others. Returns how many tasks were looked at.
pub(super) async fn poll(engine: &Engine, project: &Project) -> Result<usize, oms::Error> {
    let mut failed = None;
    for (connection, client) in project.clients() {
        match poll_with(project, &client, &engine.clock, &engine.waker).await {
            Ok(looked) => return Ok(looked),
            Err(error) => {
                if wire::is_about_credentials(&error) {
                    engine.distrust(&connection);
                }
                failed = Some(error);
            }
        }
    }
    failed.map_or(Ok(0), Err)
}

async fn poll_with(
    project: &Project,
    client: &Client,
    clock: &Clock,
    waker: &Waker,
) -> Result<usize, oms::Error> {
    let tracked: Vec<_> = project
        .tracked()
        .into_iter()
        // A failed task moves only when the operator or a person starts it again.
        .filter(|(_, state)| !matches!(state, Some(RemoteState::Failed | RemoteState::Succeeded)))
        .collect();
    let mut missing: HashSet<u64> = tracked.iter().map(|(id, _)| *id).collect();
    // A process that died while it removed a second task left it in any of the states.
    let fresh = project.is_new() && !tracked.is_empty();
    if fresh || tracked.len() > FEW {
        let mut marked: HashMap<ObjectMark, Vec<RemoteTask>> = HashMap::new();
        let all = [TaskStatus::Running, TaskStatus::Waiting, TaskStatus::Stopping, TaskStatus::Stopped];
        for status in if fresh { all.to_vec() } else { statuses(&tracked) } {
            let at = clock.now();
            for task in
                list(client, Some(status), Urgency::Poll).await?.0.into_iter().filter(wire::stands_alone)
            {
                let task = wire::seen(task);
                if let Some(token) = &task.token {
                    marked.entry(token.object.clone()).or_default().push(task.clone());
                }
                if missing.remove(&task.id) {
                    project.record(task.id, Sight::Task(Box::new(task)), at, Some(waker));
                }
            }
        }
        project.set_marked(marked, waker);
    }
    for id in missing {
        show(project, client, id, clock, Urgency::Poll, Some(waker)).await?;
    }
    Ok(tracked.len())
}

/// The lists in which the tasks are expected: where they were seen last, and running for those that waited.
fn statuses(tracked: &[(u64, Option<RemoteState>)]) -> Vec<TaskStatus> {
    let any = |states: &[Option<RemoteState>]| tracked.iter().any(|(_, state)| states.contains(state));
    let mut statuses = Vec::new();
    if any(&[None, Some(RemoteState::Waiting), Some(RemoteState::Running), Some(RemoteState::Retrying)]) {
        statuses.push(TaskStatus::Running);
    }
    if any(&[None, Some(RemoteState::Waiting)]) {
        statuses.push(TaskStatus::Waiting);
    }
    if any(&[Some(RemoteState::Stopping)]) {
        statuses.push(TaskStatus::Stopping);
    }
    if any(&[Some(RemoteState::Stopping), Some(RemoteState::Stopped)]) {
        statuses.push(TaskStatus::Stopped);
    }
    statuses
}

/// Reads one task.
pub(super) async fn show(
    project: &Project,
    client: &Client,
    id: u64,
    clock: &Clock,
    urgency: Urgency,
    waker: Option<&Waker>,
) -> Result<(), oms::Error> {
    let at = clock.now();
    let sight = match client.show_task(TaskId::new(id), urgency).await {
        Ok(task) => Sight::Task(Box::new(wire::seen(task))),
        Err(error) if error.is_not_found() => Sight::Gone,
        Err(error) => return Err(error),
    };
    project.record(id, sight, at, waker);
    Ok(())
}

/// All pages of a list, without doubles, and whether it shrank while it was read.
async fn list(
    client: &Client,
    status: Option<TaskStatus>,
    urgency: Urgency,
) -> Result<(Vec<oms::Task>, bool), oms::Error> {
    let mut tasks: HashMap<u64, oms::Task> = HashMap::new();
    let (mut offset, mut most, mut shrank) = (0, 0, false);
    loop {
        let query = ListTasks { status, limit: PAGE, offset, ..ListTasks::default() };
        let page = client.list_tasks(&query, urgency).await?;
        shrank |= page.count < most;
        most = most.max(page.count);
        let got = page.tasks.len() as u64;
        offset += got;
        tasks.extend(page.tasks.into_iter().map(|task| (task.id.get(), task)));
        if got < u64::from(PAGE) || offset >= page.count {
            return Ok((tasks.into_values().collect(), shrank));
        }
    }
}

/// Scans all tasks of a project for marks of ours: complete, or an error.
pub(super) async fn scan(client: &Client, clock: &Clock) -> Result<Scan, oms::Error> {
    let mut tries = 0;
    loop {
        tries += 1;
        let started_at = clock.now();
        let (tasks, shrank) = list(client, None, Urgency::Create).await?;
        // What is deleted between two pages shifts the rest, and one of ours may have slipped through.
        if !shrank || tries == SCAN_TRIES {
            let mut by_mark: HashMap<ObjectMark, Vec<RemoteTask>> = HashMap::new();
            for task in tasks.into_iter().filter(wire::stands_alone).map(wire::seen) {
                if let Some(token) = &task.token {
                    by_mark.entry(token.object.clone()).or_default().push(task);
                }
            }
            return Ok(Scan { started_at, by_mark });
        }
    }
}

/// Runs the project's scan in the background; everybody who joined is woken.
pub(super) fn spawn_scan(engine: Arc<Engine>, project: Arc<Project>, client: Client, connection: String) {
    tokio::spawn(async move {
        let result = scan(&client, &engine.clock).await;
        engine.metrics.search(if result.is_ok() { "complete" } else { "failed" });
        if let Err(error) = &result {
            let key = project.key();
            tracing::warn!(endpoint = key.endpoint, project = key.project_id, error = %error, "the search for tasks failed");
            if wire::is_about_credentials(error) {
                engine.distrust(&connection);
            }
        }
        project.end_scan(result, engine.clock.now(), &engine.waker);
    });
}

/// Whether a sight is older than the moment from which it no longer counts.
pub(super) fn is_stale(seen_at: Option<Timestamp>, stale_from: Option<Timestamp>, now: Timestamp) -> bool {
    match stale_from {
        Some(from) if from <= now => seen_at.is_none_or(|at| at <= from),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lists_in_which_a_task_can_be_are_read() {
        assert_eq!(statuses(&[(1, Some(RemoteState::Running))]), [TaskStatus::Running]);
        assert_eq!(statuses(&[(1, None)]), [TaskStatus::Running, TaskStatus::Waiting]);
        assert_eq!(
            statuses(&[(1, Some(RemoteState::Stopping))]),
            [TaskStatus::Stopping, TaskStatus::Stopped]
        );
    }

    #[test]
    fn a_look_counts_only_when_it_began_after_the_call() {
        let at = |second| Timestamp::from_second(second).unwrap();
        assert!(is_stale(None, Some(at(5)), at(6)));
        assert!(is_stale(Some(at(5)), Some(at(5)), at(6)));
        assert!(!is_stale(Some(at(6)), Some(at(5)), at(7)));
        assert!(!is_stale(Some(at(1)), Some(at(5)), at(4)), "the awaited change is not due yet");
        assert!(!is_stale(None, None, at(1)));
    }
}
