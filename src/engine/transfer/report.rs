//! Telling people: an event at each transition, and what a clean-up left behind.

use kube::ResourceExt;

use super::Transfer;
use crate::api::conditions::{Reason, types};
use crate::api::{NotificationResult, Progress};
use crate::engine::{Engine, figures};
use crate::plan::situation;
use crate::plan::transfer::notification_failed;
use crate::plan::wish::Kind;
use crate::telemetry::EventKind;
use crate::telemetry::metrics::Handled;

/// Publishes an event about a task.
pub(super) fn event(
    engine: &Engine,
    object: &impl Transfer,
    kind: EventKind,
    reason: Reason,
    action: &str,
    note: impl Into<String>,
) {
    engine.events.publish(&object.object_ref(&()), kind, reason.as_str(), action, note);
}

/// Counts a change of phase, and remembers a success.
pub(super) fn phase<K: Transfer>(engine: &Engine, before: &K, after: &K) {
    let phase = |object: &K| object.status().and_then(|status| status.phase);
    let Some(now) = phase(after).filter(|now| phase(before) != Some(*now)) else { return };
    engine.metrics.phase_changed(K::KIND.as_str(), now.as_str());
    if let Some(at) = after.status().and_then(figures::last_success) {
        engine.last_success.note(K::KIND.as_str(), at);
    }
}

/// Counts what was copied since the status before.
pub(super) fn transferred(engine: &Engine, kind: Kind, before: Progress, now: Progress) {
    let (then, objects) = (&before.objects, &now.objects);
    let handled = Handled {
        succeeded: objects.succeeded.saturating_sub(then.succeeded),
        failed: objects.failed.saturating_sub(then.failed),
        skipped: objects.skipped.saturating_sub(then.skipped),
    };
    engine.metrics.transferred(kind.as_str(), now.bytes.done.saturating_sub(before.bytes.done), handled);
}

/// An event when the reason of `Ready` changed; progress alone is none.
pub(super) fn transition<K: Transfer>(engine: &Engine, before: &K, after: &K) {
    let ready = |object: &K| {
        object.status().and_then(|status| situation::find(&status.conditions, types::READY)).cloned()
    };
    let Some(now) = ready(after) else { return };
    if ready(before).is_some_and(|then| then.reason == now.reason && then.status == now.status) {
        return;
    }
    let Some(reason) =
        Reason::ALL.iter().map(|(reason, _)| *reason).find(|reason| reason.as_str() == now.reason)
    else {
        return;
    };
    let status = after.status();
    let stalled = status.is_some_and(|status| situation::find(&status.conditions, types::STALLED).is_some());
    let kind = if stalled || is_trouble(reason) { EventKind::Warning } else { EventKind::Normal };
    let phase = status.and_then(|status| status.phase).map(|phase| format!("{phase:?}")).unwrap_or_default();
    tracing::info!(
        kind = K::KIND.as_str(),
        namespace = after.namespace(),
        name = after.name_any(),
        phase,
        reason = now.reason,
        "the task is in another situation"
    );
    event(engine, after, kind, reason, "Reconcile", now.message);
}

/// An event when another condition than `Ready` came up or has another reason; its refusals are told by `Ready`.
pub(super) fn told<K: Transfer>(engine: &Engine, before: &K, after: &K, type_: &str, kind: EventKind) {
    let find =
        |object: &K| object.status().and_then(|status| situation::find(&status.conditions, type_)).cloned();
    let Some(now) = find(after) else { return };
    if find(before).is_some_and(|then| then.reason == now.reason && then.status == now.status) {
        return;
    }
    let reason = Reason::ALL.iter().map(|(reason, _)| *reason).find(|reason| reason.as_str() == now.reason);
    let Some(reason) = reason.filter(|reason| now.status == "True" || *reason == Reason::Observed) else {
        return;
    };
    event(engine, after, kind, reason, "Reconcile", now.message);
}

/// An event when the notification about the end of a task turned out not to have been sent.
pub(super) fn notification<K: Transfer>(engine: &Engine, before: &K, after: &K) {
    let failed = |object: &K| {
        let told = object.status()?.notification.as_ref()?;
        (told.result == NotificationResult::Failed).then(|| notification_failed(told))
    };
    if let (None, Some(note)) = (failed(before), failed(after)) {
        event(engine, after, EventKind::Warning, Reason::NotificationFailed, "Reconcile", note);
    }
}

/// An event when a task turned out to be larger than OMS recommends.
pub(super) fn oversized<K: Transfer>(engine: &Engine, before: &K, after: &K) {
    let told = |object: &K| {
        situation::find(&object.status()?.conditions, types::OVERSIZED).map(|told| told.message.clone())
    };
    if let (None, Some(note)) = (told(before), told(after)) {
        event(engine, after, EventKind::Warning, Reason::TaskGroupRecommended, "Reconcile", note);
    }
}

/// An event when more tasks of a group have failed than before.
pub(super) fn members<K: Transfer>(engine: &Engine, before: &K, after: &K) {
    let failed = |object: &K| {
        object.status().and_then(|status| status.members.as_ref()).map_or(0, |members| members.failed)
    };
    let (then, now) = (failed(before), failed(after));
    if now <= then {
        return;
    }
    let total = after.status().and_then(|status| status.members.as_ref()).map_or(0, |members| members.total);
    let worst =
        after.status().and_then(|status| status.failure.as_ref()).map_or_else(String::new, |failure| {
            let code = if failure.code.is_empty() { String::new() } else { format!(" ({})", failure.code) };
            format!(". The worst{code}: {}", failure.message.trim_end_matches('.'))
        });
    let note = format!("{now} of {total} tasks of the group failed{worst}");
    event(engine, after, EventKind::Warning, Reason::MemberFailed, "Reconcile", note);
}

/// Reasons that somebody should look at although the operator goes on.
fn is_trouble(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::RefusedForNow
            | Reason::RetryScheduled
            | Reason::SucceededWithFailures
            | Reason::ConnectionNotFound
            | Reason::ConnectionNotReady
            | Reason::NamespaceNotAllowed
            | Reason::PreflightFailed
            | Reason::SecretNotFound
            | Reason::SecretKeyMissing
            | Reason::TemporaryKeysNotAllowed
            | Reason::CredentialsRejected
            | Reason::PermissionDenied
            | Reason::PrivacyAgreementRequired
            | Reason::EndpointUnreachable
            | Reason::ServiceUnavailable
            | Reason::UnknownServiceError
            | Reason::CleanupBlocked
            | Reason::StoppedExternally
            | Reason::StartedExternally
            | Reason::AdoptionTargetNotFound
            | Reason::ClaimedByAnother
    )
}

/// Tells of a task that may still be at OMS although its object is gone. The object's namespace may take no events
/// any more, so it is told in the operator's.
pub(super) fn abandoned<K: Transfer>(engine: &Engine, object: &K, left: &str) {
    engine.metrics.abandoned_cleanup();
    let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
    tracing::error!(kind = K::KIND.as_str(), namespace, name, left, "the clean-up at OMS was given up");
    engine.events.publish_in(
        &engine.settings.own_namespace,
        &object.object_ref(&()),
        EventKind::Warning,
        Reason::CleanupAbandoned.as_str(),
        "Delete",
        format!("{} {namespace}/{name} is gone, but {left}. Delete it at the OMS console", K::KIND),
    );
}
