//! Somebody's word before something is created: the hash of what would be done, and the wait for its approval.

use serde_json::Value;

use super::{Draft, Plan, Step};
use crate::api::conditions::Reason;
use crate::api::{Approval, PlanStatus};
use crate::plan::seen::LinkUp;
use crate::plan::situation::{Row, Situation};
use crate::plan::token::hash;

/// Tells what would be done, and waits where somebody has to approve it.
pub(super) fn seek<'a>(mut draft: Draft<'a>, link: &LinkUp) -> Result<Draft<'a>, Box<Plan>> {
    let plan = plan(&draft, link);
    let hash = plan.hash.clone();
    draft.status.plan = Some(plan);
    let lifecycle = draft.wish().lifecycle;
    let approved = lifecycle.approved_plan.as_deref().filter(|approved| !approved.is_empty());
    if lifecycle.approval == Approval::Auto || approved == Some(hash.as_str()) {
        return Ok(draft);
    }
    let message = match approved {
        None => format!(
            "Nothing is created without approval. Look at `status.plan`, then set `spec.approvedPlan` to `{hash}`"
        ),
        Some(_) => format!(
            "`spec.approvedPlan` is stale: what would be done has changed since. Look at `status.plan`, then set it to `{hash}`"
        ),
    };
    draft.status.next_attempt_at = None;
    draft.status.failure = None;
    let situation = Situation::new(Row::AwaitingApproval, Reason::ApprovalRequired, message);
    Err(Box::new(draft.finish(situation, Step::Rest, None)))
}

/// What would be done, and where.
fn plan(draft: &Draft<'_>, link: &LinkUp) -> PlanStatus {
    let wish = draft.wish();
    let substance = wish.substance();
    let pinned = &link.pinned;
    let parts = ["plan", wish.kind.as_str(), &pinned.endpoint, &pinned.project_id, &link.region];
    let hash = hash(&[parts.as_slice(), &[&substance.to_string()]].concat(), 10);
    PlanStatus { hash, summary: summary(&substance, &link.region) }
}

/// One line for people.
fn summary(substance: &Value, region: &str) -> String {
    let text = |pointer: &str| substance.pointer(pointer).and_then(Value::as_str);
    let what = match text("/type") {
        Some("list") => "the objects of a list".to_owned(),
        Some("url_list") => "the URLs of a list".to_owned(),
        kind => match substance.pointer("/source/objectKeys").and_then(Value::as_array) {
            None => "what events name".to_owned(),
            Some(keys) if keys.first().and_then(Value::as_str) == Some("") => "everything".to_owned(),
            Some(keys) => {
                format!("{} {}", keys.len(), if kind == Some("prefix") { "prefixes" } else { "names" })
            }
        },
    };
    let from = text("/source/bucket").map_or_else(String::new, |bucket| {
        format!(
            " from bucket `{bucket}` at {} in {}",
            text("/source/cloudType").unwrap_or_default(),
            text("/source/region").unwrap_or_default()
        )
    });
    let to = text("/destination/bucket").unwrap_or_default();
    let prefix = text("/destination/prefix").unwrap_or_default();
    let mode = text("/overwriteMode").map_or_else(String::new, |mode| format!(", {mode}"));
    format!("Copies {what}{from} to `{to}/{prefix}` in {region}{mode}")
}
