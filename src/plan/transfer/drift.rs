//! What somebody else changed at OMS: told, or brought back.

use std::time::Duration;

use super::{Draft, later};
use crate::api::conditions::{Reason, types};
use crate::api::{AppliedSettings, DriftPolicy, DriftStatus, Phase, Priority};
use crate::plan::facts::{MAX_DIFFERENCES, difference};
use crate::plan::seen::{RemoteState, RemoteTask, Window};
use crate::plan::situation::{self, whole_seconds};

/// Longest pause between two corrections.
const LONGEST: Duration = Duration::from_hours(1);

/// What somebody else changed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Drift {
    /// Stopped or started.
    pub(super) state: Option<Reason>,
    /// The bandwidth windows.
    pub(super) bandwidth: bool,
    /// The priority.
    pub(super) priority: bool,
}

impl Drift {
    /// Whether anything was changed.
    pub(super) fn is_there(self) -> bool {
        self.state.is_some() || self.bandwidth || self.priority
    }
}

/// The windows of a policy as text.
fn text(windows: &[Window]) -> String {
    if windows.is_empty() {
        return "none".to_owned();
    }
    let window = |window: &Window| format!("{}-{} {} B/s", window.start, window.end, window.bytes_per_second);
    windows.iter().map(window).collect::<Vec<_>>().join(", ")
}

/// A task was adopted: what its spec leaves out is not set, what it says is.
pub(super) fn begin(draft: &mut Draft<'_>) {
    let wish = draft.wish();
    draft.status.applied = Some(AppliedSettings {
        bandwidth: wish.windows.as_ref().filter(|windows| windows.is_empty()).map(|windows| text(windows)),
        priority: wish
            .priority
            .filter(|priority| *priority == Priority::default())
            .map(|priority| priority.as_str().to_owned()),
    });
}

/// Finds what somebody else changed, and tells of it.
pub(super) fn note(draft: &mut Draft<'_>, remote: &RemoteTask) {
    note_settings(draft, remote);
    draft.drift.state = state(draft, remote);
    let drift = draft.drift;
    let mut told = Vec::new();
    match drift.state {
        Some(reason @ Reason::StartedExternally) => {
            told.push((reason, "started the task that `spec.suspend` holds"));
        }
        Some(reason) => told.push((reason, "stopped the task")),
        None => {}
    }
    if drift.bandwidth {
        told.push((Reason::BandwidthChanged, "set other bandwidth windows than `spec.bandwidthPolicy`"));
    }
    if drift.priority {
        told.push((Reason::PriorityChanged, "set another priority than `spec.priority`"));
    }
    let Some((reason, _)) = told.first().copied() else {
        return settle(draft, remote);
    };
    let what: Vec<_> = told.iter().map(|(_, what)| *what).collect();
    let then = match (draft.wish().lifecycle.drift_policy, not_before(draft)) {
        (DriftPolicy::Report, _) => {
            "The operator leaves it so, as `spec.driftPolicy` is Report: undo it at the console, change the spec, or set \
             the policy to Enforce"
                .to_owned()
        }
        (DriftPolicy::Enforce, Some(at)) if at > draft.view.now => {
            format!("The operator brought the task back before and does so again at {at:.0}; settle who owns it")
        }
        (DriftPolicy::Enforce, _) => "The operator brings the task back".to_owned(),
    };
    let message = format!("Somebody else {} at OMS. {then}", what.join(" and "));
    draft.set(types::DRIFTED, "True", reason, &message);
}

/// Which of the settings are not what they were set to last.
fn note_settings(draft: &mut Draft<'_>, remote: &RemoteTask) {
    let wish = draft.wish();
    let mut applied = draft.status.applied.clone().unwrap_or_default();
    let mut differences = Vec::new();
    if let Some(wanted) = &wish.windows {
        let wanted_text = text(wanted);
        if *wanted == remote.windows {
            applied.bandwidth = Some(wanted_text);
        } else {
            draft.drift.bandwidth = applied.bandwidth.as_ref() == Some(&wanted_text);
            if !draft.drift.bandwidth {
                // Ours to set. On record before the call: what OMS has from then on is not what was set before.
                applied.bandwidth = None;
            }
            differences.push(difference("bandwidthPolicy", &wanted_text, &text(&remote.windows)));
        }
    }
    if let (Some(wanted), Some(found)) = (wish.priority, &remote.priority) {
        let wanted = wanted.as_str();
        if found.eq_ignore_ascii_case(wanted) {
            applied.priority = Some(wanted.to_owned());
        } else {
            draft.drift.priority = applied.priority.as_deref() == Some(wanted);
            if !draft.drift.priority {
                applied.priority = None;
            }
            differences.push(difference("priority", wanted, found));
        }
    }
    draft.status.applied = Some(applied).filter(|applied| *applied != AppliedSettings::default());
    if draft.status.adopted == Some(true) {
        let listed = &mut draft.status.differences;
        listed.retain(|listed| !["bandwidthPolicy", "priority"].contains(&listed.field.as_str()));
        listed.extend(differences);
        listed.truncate(MAX_DIFFERENCES);
    }
}

/// Whether somebody else stopped or started the task.
fn state(draft: &Draft<'_>, remote: &RemoteTask) -> Option<Reason> {
    if draft.status.renewing_keys_since.is_some() {
        // Stopped by us, to be started again with other keys.
        return None;
    }
    let stopped = matches!(remote.state, RemoteState::Stopped | RemoteState::Stopping);
    match (draft.suspended(), &draft.status.suspended_at) {
        (false, None) => stopped.then_some(Reason::StoppedExternally),
        (true, Some(_)) => {
            let active = remote.state.is_active() && !stopped;
            let rested = draft.status.phase == Some(Phase::Stopped);
            let told = situation::find(&draft.status.conditions, types::DRIFTED)
                .is_some_and(|drifted| drifted.reason == Reason::StartedExternally.as_str());
            (active && (rested || told)).then_some(Reason::StartedExternally)
        }
        _ => None,
    }
}

/// Nothing is changed any more. When it was the operator that brought it back, the next time waits longer.
fn settle(draft: &mut Draft<'_>, remote: &RemoteTask) {
    let was = situation::find(&draft.status.conditions, types::DRIFTED).is_some();
    situation::remove(&mut draft.status.conditions, types::DRIFTED);
    let over = matches!(remote.state, RemoteState::Succeeded | RemoteState::Failed);
    if !was || over || draft.is_edited() || draft.wish().lifecycle.drift_policy == DriftPolicy::Report {
        return;
    }
    let now = draft.view.now;
    let before = draft.status.drift.as_ref();
    // What held for long enough is forgotten.
    let recent = before.filter(|drift| later(drift.not_before.0, LONGEST) > now);
    let corrections = recent.map_or(0, |drift| drift.corrections.max(0)).saturating_add(1);
    let doubled = u32::try_from(corrections - 1).unwrap_or(u32::MAX).min(6);
    let pause = Duration::from_mins(1).saturating_mul(1 << doubled).min(LONGEST);
    draft.status.drift = Some(DriftStatus { corrections, not_before: whole_seconds(later(now, pause)) });
}

/// Until when the operator leaves a change as it is.
pub(super) fn not_before(draft: &Draft<'_>) -> Option<jiff::Timestamp> {
    draft.status.drift.as_ref().map(|drift| drift.not_before.0)
}

/// Whether what somebody else changed is brought back now.
pub(super) fn is_due(draft: &Draft<'_>) -> bool {
    draft.wish().lifecycle.drift_policy == DriftPolicy::Enforce
        && not_before(draft).is_none_or(|at| at <= draft.view.now)
}

/// How long until a change is brought back; `None`: never, or it is due.
pub(super) fn wait(draft: &Draft<'_>) -> Option<Duration> {
    let enforces = draft.wish().lifecycle.drift_policy == DriftPolicy::Enforce;
    not_before(draft).filter(|at| enforces && *at > draft.view.now).map(|at| draft.until(at))
}

/// The record was deleted, and the operator does not migrate again by itself.
pub(super) fn deleted(draft: &mut Draft<'_>) {
    let message =
        "Somebody else deleted the record of the task at OMS. The operator never migrates again by itself";
    draft.set(types::DRIFTED, "True", Reason::DeletedExternally, message);
}
