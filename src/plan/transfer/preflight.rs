//! Asking OMS before it is too late: its own checks, one call per pass, and what to do about their results.

use std::time::Duration;

use super::{Draft, LookAgain, Plan, Step, cause, later, words};
use crate::api::conditions::{Reason, types};
use crate::api::{CheckResult, CheckStatus, Preflight, PreflightStatus};
use crate::plan::preflight::{Check, Outcome, checks};
use crate::plan::seen::{Call, Delivered, Keys, Link, Trouble, TroubleKind};
use crate::plan::situation::{self, Row, Situation, exact, whole_seconds};
use crate::plan::token::hash;
use crate::plan::wish::Places;

/// Pause after the first failed round; each further one doubles it.
const FIRST_PAUSE: Duration = Duration::from_secs(30);

/// Longest pause between two rounds.
const LONGEST_PAUSE: Duration = Duration::from_mins(10);

/// After so many answers in a row that tell nothing, a check counts as not possible.
const STUBBORN: u32 = 3;

/// Longest message of a check in status.
const LONGEST: usize = 500;

/// The way is free, or the plan that checks or waits.
pub(super) fn clear(mut draft: Draft<'_>) -> Result<Draft<'_>, Box<Plan>> {
    let wish = draft.wish();
    let (Some(places), Preflight::Full) = (&wish.places, wish.lifecycle.preflight) else {
        draft.status.preflight = None;
        situation::remove(&mut draft.status.conditions, types::PREFLIGHT_PASSED);
        return Ok(draft);
    };
    let now = draft.view.now;
    let subject = subject(&draft, places);
    let stored = draft.status.preflight.take().filter(|stored| stored.subject == subject);
    let due = draft.is_nudged() || draft.status.next_attempt_at.as_ref().is_none_or(|at| at.0 <= now);
    let since = stored.as_ref().map(|stored| stored.checked_at.0);
    let (mut told, mut fresh) = (Vec::<CheckStatus>::new(), false);
    for check in checks(places) {
        let name = check.name();
        let closed =
            |told: &CheckStatus| told.check == Check::Source.name() && told.result == CheckResult::Failed;
        if check.is_within_source() && told.iter().any(closed) {
            continue;
        }
        let before = stored.iter().flat_map(|stored| &stored.checks).find(|told| told.check == name);
        let found = draft.view.findings.iter().rev().find(|finding| {
            finding.check == check
                && finding.subject == subject
                && since.is_none_or(|since| finding.at > since)
        });
        match (before, found) {
            (Some(before), _) if before.result != CheckResult::Failed => told.push(before.clone()),
            (_, Some(finding)) => {
                fresh = true;
                let message: String = finding.outcome.message.chars().take(LONGEST).collect();
                let message = (!message.is_empty()).then_some(message);
                told.push(CheckStatus { check: name, result: finding.outcome.result, message });
            }
            (Some(before), None) if !due => told.push(before.clone()),
            _ => {
                draft.status.preflight = stored;
                return Err(Box::new(ask(draft, check, subject)));
            }
        }
    }
    let failed = told.iter().any(|told| told.result == CheckResult::Failed);
    let record = match stored {
        Some(stored) if !fresh => stored,
        stored => PreflightStatus {
            subject,
            checked_at: exact(now),
            failures: if failed { stored.map_or(0, |stored| stored.failures).saturating_add(1) } else { 0 },
            checks: told,
        },
    };
    conclude(&mut draft, &record);
    draft.status.failure = None;
    if !failed {
        draft.status.next_attempt_at = None;
        draft.status.preflight = Some(record);
        return Ok(draft);
    }
    let round = u32::try_from(record.failures.clamp(1, 16)).unwrap_or(1) - 1;
    let pause = FIRST_PAUSE.saturating_mul(1 << round).min(LONGEST_PAUSE);
    let again_at = later(record.checked_at.0, pause);
    draft.status.next_attempt_at = Some(whole_seconds(again_at));
    let wrong: Vec<_> = record
        .checks
        .iter()
        .filter(|told| told.result == CheckResult::Failed)
        .filter_map(|told| told.message.as_deref())
        .collect();
    let message = format!(
        "OMS's checks before the create found what would fail the task. {}. The operator checks again by itself; \
         `preflight: \"Off\"` leaves the checks out",
        wrong.join(". ")
    );
    draft.status.preflight = Some(record);
    let rest = draft.until(again_at).min(draft.view.policy.secret_check_interval);
    let situation = Situation::new(Row::Blocked, Reason::PreflightFailed, message);
    Err(Box::new(draft.finish(situation, Step::Rest, LookAgain::after(rest))))
}

/// Makes the next check, unless OMS asked for a pause.
fn ask(mut draft: Draft<'_>, check: Check, subject: String) -> Plan {
    if let Some(trouble) =
        draft.view.trouble.filter(|trouble| trouble.call == Call::Check && trouble.retry_at > draft.view.now)
    {
        let again = LookAgain::after(draft.until(trouble.retry_at));
        let situation = Situation { row: Row::Blocked, ..words::situation(trouble) };
        return draft.finish(situation, Step::Rest, again);
    }
    let step = Step::Check { check, subject };
    if draft.status.preflight.is_some() {
        // Another look at what failed: until it is known what comes of it, the status stays.
        return draft.keep(step, None);
    }
    draft.status.next_attempt_at = None;
    draft.status.failure = None;
    let message = "OMS checks buckets and keys before the task is created";
    draft.set(types::PREFLIGHT_PASSED, "Unknown", Reason::PreflightRunning, message);
    draft.finish(Situation::new(Row::Blocked, Reason::PreflightRunning, message), step, None)
}

/// Condition `PreflightPassed`, with a word on each check.
fn conclude(draft: &mut Draft<'_>, record: &PreflightStatus) {
    let any = |result| record.checks.iter().any(|told| told.result == result);
    let (status, reason) = if any(CheckResult::Failed) {
        ("False", Reason::PreflightFailed)
    } else if any(CheckResult::NotPossible) {
        ("Unknown", Reason::PreflightIncomplete)
    } else {
        ("True", Reason::PreflightPassed)
    };
    let words: Vec<_> = record
        .checks
        .iter()
        .map(|told| match &told.message {
            Some(message) => format!("{} {:?}: {message}", told.check, told.result),
            None => format!("{} {:?}", told.check, told.result),
        })
        .collect();
    draft.set(types::PREFLIGHT_PASSED, status, reason, &words.join("; "));
}

/// What is checked: places, project and keys.
fn subject(draft: &Draft<'_>, places: &Places<'_>) -> String {
    let mut parts = vec![places.cloud.as_str().to_owned(), places.destination.to_owned()];
    parts.extend(
        [places.region, places.bucket, places.app_id].map(|part| part.unwrap_or_default().to_owned()),
    );
    parts.push(format!("{:?} {:?}", places.cdn, places.url_list));
    if let Link::Up(up) = draft.view.link {
        parts.extend([up.pinned.endpoint.clone(), up.pinned.project_id.clone(), up.region.clone()]);
    }
    if let Keys::Ready(keys) = draft.view.keys {
        parts.extend(keys.iter().flat_map(|key| [key.role.clone(), key.digest.clone()]));
    }
    parts.extend_from_slice(places.keys);
    hash(&parts.iter().map(String::as_str).collect::<Vec<_>>(), 10)
}

/// What it means that a check was refused; `None`: nothing yet, it is tried again.
pub fn judge(check: Check, trouble: &Trouble) -> Option<Outcome> {
    let code = if trouble.code.is_empty() { String::new() } else { format!(" ({})", trouble.code) };
    let said = format!("OMS said{code}: {}", trouble.message.trim_end_matches('.'));
    let failed =
        |field: String, whose_move: &str| Some(Outcome::failed(format!("{field}: {said}. {whose_move}")));
    let unable = |why: &str| Some(Outcome::not_possible(format!("{said}. {why}")));
    let (keys, bucket, secret) = match check {
        Check::Destination => ("destination.credentials.secretRef", "destination.bucket", "the destination"),
        Check::UrlList => ("destination.credentials.secretRef", "source.listFile", "the destination"),
        _ => ("source.credentials.secretRef", "source.bucket", "the source"),
    };
    let named = cause::of(&trouble.code);
    match trouble.kind {
        TroubleKind::Invalid if trouble.delivery == Delivered::No => unable("It cannot be asked for this"),
        TroubleKind::Transient if trouble.count < STUBBORN => None,
        TroubleKind::Throttled | TroubleKind::Credentials => None,
        TroubleKind::Transient => unable("It could not tell, and the task is created without this check"),
        TroubleKind::Permission => unable("Allow the connection's credentials to ask for such checks"),
        TroubleKind::Quota | TroubleKind::Conflict | TroubleKind::Unknown => unable("It could not tell"),
        TroubleKind::Privacy => failed(
            "`privacyAgreement` of the connection".into(),
            "Set it to `Accepted`, or accept the agreement at the OMS console",
        ),
        // A refused CDN or list has a code of its own; of a bucket OMS says the same whatever is wrong.
        _ if check == Check::Cdn || check == Check::UrlList => match named {
            Some((field, mend)) => failed(format!("`{field}`"), mend),
            None => failed(
                format!("`{}`", if check == Check::Cdn { "source.cdn" } else { "source.listFile" }),
                "Correct it, or what it names",
            ),
        },
        TroubleKind::BucketCredentials | TroubleKind::Missing => failed(
            format!("`{keys}` or `{bucket}`"),
            &format!(
                "Correct the keys of {secret} in the Secret, or create the bucket and let the keys use it"
            ),
        ),
        TroubleKind::Invalid => match named {
            Some((field, mend)) => failed(format!("`{field}`"), mend),
            None => failed(format!("`{bucket}`"), "Correct the spec"),
        },
    }
}
