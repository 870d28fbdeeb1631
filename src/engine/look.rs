//! Looks that all objects of a project share: the poll of unfinished tasks and the scan before a create.
//!
//! Absence from a list is never a fact: a task that is missing from all lists is confirmed by reading it.

use std::collections::HashSet;
use std::sync::Arc;

use jiff::Timestamp;

use super::marked::Marked;
use super::project::Project;
use super::wake::{Target, Waker};
use super::watched::{Scan, Sight, Watched};
use super::{Clock, Engine, remote, sync_tasks, wire};
use crate::oms::{self, Client, Urgency};
use crate::plan::cadence::every;
use crate::plan::seen::{RemoteId, RemoteState};
use crate::plan::wish::Kind;

/// Up to so many tasks are read one by one; more are listed by status.
const FEW: usize = 3;

/// How often a scan starts over when the list shrank under it.
const SCAN_TRIES: u32 = 3;

/// Polls the unfinished tasks of one kind in a project once. Any joined connection may look; one that fails does not blind
/// the others. Returns how many tasks were looked at.
pub(super) async fn poll(
    engine: &Engine,
    project: &Project,
    kind: Kind,
    round: u64,
) -> Result<usize, oms::Error> {
    let mut failed = None;
    for (connection, client) in project.clients() {
        match poll_with((kind, round), project.of(kind), &client, &engine.clock, &engine.waker).await {
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
    (kind, round): (Kind, u64),
    watched: &Watched,
    client: &Client,
    clock: &Clock,
    waker: &Waker,
) -> Result<usize, oms::Error> {
    if kind == Kind::SyncTask {
        return sync_tasks::poll(watched, client, clock, waker).await;
    }
    let tracked: Vec<_> = watched
        .tracked()
        .into_iter()
        // A failed task moves only when the operator or a person starts it again.
        .filter(|(_, state)| !matches!(state, Some(RemoteState::Failed | RemoteState::Succeeded)))
        .filter(|(_, state)| round.is_multiple_of(every(*state)))
        .collect();
    let mut missing: HashSet<RemoteId> = tracked.iter().map(|(id, _)| id.clone()).collect();
    // A process that died while it removed a second task left it in any of the states.
    let fresh = watched.is_new() && !tracked.is_empty();
    if fresh || tracked.len() > FEW {
        let mut marked = Marked::default();
        for state in if fresh { every_state(kind) } else { states(kind, &tracked) } {
            let at = clock.now();
            let (listed, _) = remote::list(kind, client, Some(state), Urgency::Poll).await?;
            if state == RemoteState::Waiting {
                watched.queue.listed(listed.len(), at);
            }
            for task in listed {
                if task.token.is_some() {
                    marked.add(task.clone());
                }
                if missing.remove(&task.id) {
                    watched.record(&task.id.clone(), Sight::Task(Box::new(task)), at, waker, None);
                }
            }
        }
        watched.set_marked(marked, waker);
    }
    for id in missing {
        show(kind, watched, client, &id, clock, Urgency::Poll, (waker, None)).await?;
    }
    Ok(tracked.len())
}

/// Every state in which one may be that is not at its end.
fn every_state(kind: Kind) -> Vec<RemoteState> {
    let mut all =
        vec![RemoteState::Running, RemoteState::Waiting, RemoteState::Stopping, RemoteState::Stopped];
    if kind == Kind::TaskGroup {
        all.push(RemoteState::Creating);
    }
    all
}

/// The lists in which the tasks are expected: where they were seen last, and running for those that waited.
fn states(kind: Kind, tracked: &[(RemoteId, Option<RemoteState>)]) -> Vec<RemoteState> {
    let any = |seen: &[Option<RemoteState>]| tracked.iter().any(|(_, state)| seen.contains(state));
    let mut wanted = Vec::new();
    let creating = Some(RemoteState::Creating);
    if any(&[
        None,
        Some(RemoteState::Waiting),
        Some(RemoteState::Running),
        Some(RemoteState::Retrying),
        creating,
    ]) {
        wanted.push(RemoteState::Running);
    }
    if kind == Kind::TaskGroup && any(&[None, Some(RemoteState::Waiting), creating]) {
        wanted.push(RemoteState::Creating);
    }
    if any(&[None, Some(RemoteState::Waiting)]) {
        wanted.push(RemoteState::Waiting);
    }
    if any(&[Some(RemoteState::Stopping)]) {
        wanted.push(RemoteState::Stopping);
    }
    if any(&[Some(RemoteState::Stopping), Some(RemoteState::Stopped)]) {
        wanted.push(RemoteState::Stopped);
    }
    wanted
}

/// Reads one task. News wakes the objects that are about it, but for the one that looked itself.
pub(super) async fn show(
    kind: Kind,
    watched: &Watched,
    client: &Client,
    id: &RemoteId,
    clock: &Clock,
    urgency: Urgency,
    (waker, looked): (&Waker, Option<&Target>),
) -> Result<(), oms::Error> {
    let at = clock.now();
    let sight = match remote::show(kind, client, id, urgency).await {
        Ok(task) => Sight::Task(Box::new(task)),
        Err(error) if remote::is_gone(kind, &error) => Sight::Gone,
        Err(error) => return Err(error),
    };
    if kind == Kind::SyncTask {
        watched.note_counted(id, at);
    }
    watched.record(id, sight, at, waker, looked);
    Ok(())
}

/// Scans all tasks of a project for marks of ours: complete, or an error.
pub(super) async fn scan(
    kind: Kind,
    watched: &Watched,
    client: &Client,
    clock: &Clock,
) -> Result<Scan, oms::Error> {
    let mut tries = 0;
    loop {
        tries += 1;
        let started_at = clock.now();
        let (tasks, shrank) = remote::list(kind, client, None, Urgency::Create).await?;
        // What is deleted between two pages shifts the rest, and one of ours may have slipped through.
        if !shrank || tries == SCAN_TRIES {
            watched.queue.scanned(&tasks, started_at);
            let mut by_mark = Marked::default();
            for task in tasks {
                by_mark.add(task);
            }
            return Ok(Scan { started_at, by_mark });
        }
    }
}

/// Runs the project's scan in the background; everybody who joined is woken.
pub(super) fn spawn_scan(
    engine: Arc<Engine>,
    (project, kind): (Arc<Project>, Kind),
    client: Client,
    connection: String,
) {
    tokio::spawn(async move {
        let result = scan(kind, project.of(kind), &client, &engine.clock).await;
        engine.metrics.search(if result.is_ok() { "complete" } else { "failed" });
        if let Err(error) = &result {
            let key = project.key();
            tracing::warn!(endpoint = key.endpoint, project = key.project_id, error = %error, "the search for tasks failed");
            if wire::is_about_credentials(error) {
                engine.distrust(&connection);
            }
        }
        project.of(kind).end_scan(result, engine.clock.now(), &engine.waker);
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
        let states = |tracked: &[_]| super::states(Kind::MigrationTask, tracked);
        assert_eq!(states(&[(RemoteId::from(1), Some(RemoteState::Running))]), [RemoteState::Running]);
        assert_eq!(states(&[(RemoteId::from(1), None)]), [RemoteState::Running, RemoteState::Waiting]);
        assert_eq!(
            states(&[(RemoteId::from(1), Some(RemoteState::Stopping))]),
            [RemoteState::Stopping, RemoteState::Stopped]
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
