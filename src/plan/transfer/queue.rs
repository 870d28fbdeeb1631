//! Waiting for room in a quota: not failing, and nobody's move.

use std::time::Duration;

use jiff::Timestamp;

use super::{Draft, LookAgain, Plan, Step};
use crate::api::QueueStatus;
use crate::api::conditions::Reason;
use crate::plan::queue::{Place, Turn};
use crate::plan::situation::{Row, Situation, whole_seconds};

/// How long an object in the line rests at most: whoever goes through wakes the next, but may never come.
const PATIENCE: Duration = Duration::from_mins(1);

/// Asks for the object's turn to create. An intent of which nothing was sent is taken back when it has to wait.
pub(super) fn take_turn(draft: Draft<'_>) -> Result<Draft<'_>, Box<Plan>> {
    match draft.view.turn {
        None => Err(Box::new(draft.keep(Step::LineUp, None))),
        Some(Turn::Now) => Ok(draft),
        Some(Turn::Later(place)) => Err(Box::new(wait(draft, place))),
    }
}

fn wait(mut draft: Draft<'_>, place: &Place) -> Plan {
    let stopped = draft.status.task_id.is_some();
    if !stopped {
        draft.take_intent_back();
    }
    draft.status.failure = None;
    draft.status.next_attempt_at = None;
    let told = draft.status.queue.take();
    draft.status.queue = Some(tell(told, place, draft.view.place_due, draft.view.now));
    let rest = place.earliest_at.map_or(PATIENCE, |at| draft.until(at).min(PATIENCE));
    let does = if stopped { "starts" } else { "creates" };
    let message = format!(
        "A quota of the account at OMS is full. Nothing to do; the operator {does} the task when there is room"
    );
    let situation = Situation::new(Row::Queued, Reason::QuotaExceeded, message);
    draft.finish(situation, Step::Rest, LookAgain::after(rest))
}

/// What the status says of a place: the stored one, unless it is time for another that differs by a step, which is a
/// tenth.
fn tell(stored: Option<QueueStatus>, place: &Place, due: bool, now: Timestamp) -> QueueStatus {
    let fresh = QueueStatus {
        position: i64::try_from(place.position).unwrap_or(i64::MAX).max(1),
        earliest_at: place.earliest_at.map(whole_seconds),
    };
    match stored {
        Some(stored) if !(due && differs(&stored, &fresh, now)) => stored,
        _ => fresh,
    }
}

fn differs(stored: &QueueStatus, fresh: &QueueStatus, now: Timestamp) -> bool {
    let step = (stored.position / 10).max(1);
    let passed = stored.earliest_at.as_ref().is_none_or(|at| at.0 <= now);
    stored.position.abs_diff(fresh.position) >= step.unsigned_abs()
        || (passed && stored.earliest_at != fresh.earliest_at)
}
