//! The poll of sync tasks: there are few, so one list tells how all of them stand; what they counted is asked for rarely.

use std::collections::HashSet;
use std::time::Duration;

use jiff::Timestamp;

use super::marked::Marked;
use super::wake::Waker;
use super::watched::{Sight, Watched};
use super::{Clock, look, remote};
use crate::oms::{self, Client, Urgency};
use crate::plan::seen::{RemoteId, RemoteState};
use crate::plan::wish::Kind;

/// How old what a sync task counted in the month may become: the list leaves it out.
const COUNTS_LAST: Duration = Duration::from_mins(5);

/// Polls the sync tasks of a project once. Returns how many were looked at.
pub(super) async fn poll(
    watched: &Watched,
    client: &Client,
    clock: &Clock,
    waker: &Waker,
) -> Result<usize, oms::Error> {
    let tracked: Vec<RemoteId> = watched.tracked().into_iter().map(|(id, _)| id).collect();
    let mut unseen: HashSet<&RemoteId> = tracked.iter().collect();
    let mut marked = Marked::default();
    let at = clock.now();
    let (all, _) = remote::list(Kind::SyncTask, client, None, Urgency::Poll).await?;
    let mut holding = HashSet::new();
    for mut task in all {
        if task.state == RemoteState::Synchronizing {
            holding.insert(task.id.clone());
        }
        if task.token.is_some() {
            marked.add(task.clone());
        }
        if let Some(id) = unseen.take(&task.id) {
            task.month = watched.month(id);
            watched.record(id, Sight::Task(Box::new(task)), at, waker, None);
        }
    }
    watched.set_marked(marked, waker);
    watched.queue.held(holding, at, waker);
    let old = |id: &RemoteId| {
        let counted = watched.counted_at(id);
        counted.is_none_or(|counted| age(counted, at) >= COUNTS_LAST)
    };
    for id in tracked.iter().filter(|id| unseen.contains(id) || old(id)) {
        look::show(Kind::SyncTask, watched, client, id, clock, Urgency::Poll, (waker, None)).await?;
    }
    Ok(tracked.len())
}

fn age(then: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(then)).unwrap_or_default()
}
