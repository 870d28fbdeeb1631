//! Hands off: by the object's annotation, by the label of its namespace, or all of them.

use super::{Draft, Plan, Step};
use crate::api::conditions::{Reason, types};
use crate::plan::{pause, situation};

/// What a paused object gets: the marker, once, and nothing else.
pub(super) fn plan(draft: &mut Draft<'_>) -> Option<Plan> {
    let message = pause::words(draft.view.meta, draft.view.pause)?;
    let told = draft.view.stored.and_then(|stored| situation::find(&stored.conditions, types::PAUSED));
    if told.is_some_and(|told| told.message == message) {
        // Also an edit of the spec waits: the marker stays as it is.
        let status = draft.view.stored.cloned().unwrap_or_default();
        return Some(Plan { status, step: Step::Rest, look_again: None });
    }
    // On top of what is stored, the marker included: its time moves only when the pause begins.
    draft.status = draft.view.stored.cloned().unwrap_or_default();
    draft.set(types::PAUSED, "True", Reason::Paused, &message);
    Some(Plan { status: draft.status.clone(), step: Step::Rest, look_again: None })
}
