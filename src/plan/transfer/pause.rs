//! Hands off: by the object's annotation, by the label of its namespace, or all of them.

use super::{Draft, Plan, Step, annotation};
use crate::api;
use crate::api::conditions::{Reason, types};
use crate::plan::situation;

/// Who asked for hands off, beside the object itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pause {
    /// The label of the namespace.
    Namespace(String),
    /// The operator runs with `--paused`.
    Operator,
}

/// What a paused object gets: the marker, once, and nothing else.
pub(super) fn plan(draft: &mut Draft<'_>) -> Option<Plan> {
    let own = annotation(draft.view.meta, api::PAUSED).is_some_and(|value| value == "true");
    let message = match draft.view.pause {
        Some(Pause::Operator) => {
            "The operator runs with `--paused` and keeps its hands off, except for deletions. Its administrator starts it without"
                .to_owned()
        }
        Some(Pause::Namespace(name)) => format!(
            "Namespace `{name}` has the label `{}`: the operator keeps its hands off, except for deletions. Remove the label to go on",
            api::PAUSED_NAMESPACE
        ),
        None if own => format!(
            "The object has the annotation `{}`: the operator keeps its hands off, except for a deletion. Remove it to go on",
            api::PAUSED
        ),
        None => return None,
    };
    let told = draft.view.stored.and_then(|stored| situation::find(&stored.conditions, types::PAUSED));
    if told.is_some_and(|told| told.message == message) {
        // Also an edit of the spec waits: the marker stays as it is.
        let status = draft.view.stored.cloned().unwrap_or_default();
        return Some(Plan { status, step: Step::Rest, look_again: None });
    }
    draft.set(types::PAUSED, "True", Reason::Paused, &message);
    Some(Plan { status: draft.status.clone(), step: Step::Rest, look_again: None })
}
