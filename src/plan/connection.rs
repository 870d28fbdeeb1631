//! What the status of a connection says after a try.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::situation;
use crate::api::conditions::{Reason, types};
use crate::api::{CONNECTION_FINALIZER, ConnectionStatus};

/// Why a connection is not ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Reason of the conditions.
    pub reason: Reason,
    /// What happened, whose move it is, what to do.
    pub message: String,
    /// Only a change of the spec helps.
    pub hopeless: bool,
}

/// The status after a try: ready without a refusal. `seen` is the generation and the asked-for look that it answers.
pub fn tell(
    mut status: ConnectionStatus,
    refusal: Option<&Refusal>,
    seen: (i64, Option<String>),
    now: Timestamp,
) -> ConnectionStatus {
    let (generation, requested) = seen;
    status.observed_generation = generation;
    status.last_handled_reconcile_at = requested;
    let conditions = &mut status.conditions;
    let mut set = |type_: &str, holds: bool, reason: Reason, message: &str| {
        let state = if holds { "True" } else { "False" };
        situation::set(conditions, type_, state, reason, message, generation, now);
    };
    let absent: &[&str] = match refusal {
        None => {
            set(types::READY, true, Reason::Connected, "OMS accepted a call with these credentials");
            set(types::CREDENTIALS_READY, true, Reason::CredentialsResolved, "The credentials work");
            &[types::STALLED, types::RECONCILING]
        }
        Some(Refusal { reason, message, hopeless }) => {
            set(types::READY, false, *reason, message);
            if is_about_keys(*reason) {
                set(types::CREDENTIALS_READY, false, *reason, message);
            }
            let (present, absent): (_, &[&str]) = if *hopeless {
                (types::STALLED, &[types::RECONCILING])
            } else {
                (types::RECONCILING, &[types::STALLED])
            };
            set(present, true, *reason, message);
            absent
        }
    };
    for condition in absent {
        situation::remove(&mut status.conditions, condition);
    }
    for condition in &mut status.conditions {
        condition.observed_generation = Some(generation);
    }
    status
}

/// How many of the objects that use a connection are named.
const NAMED: usize = 3;

/// What becomes of the finalizer of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Protection {
    /// It is as it should be.
    Kept,
    /// These are the finalizers to set.
    Changed(Vec<String>),
}

/// Protects a connection while objects may have something at OMS that only its keys can reach. Objects let go of it in a
/// bounded time, so the deletion of a namespace ends.
pub fn protect(meta: &ObjectMeta, in_use: bool) -> Protection {
    let stored = meta.finalizers.clone().unwrap_or_default();
    let protected = stored.iter().any(|finalizer| finalizer == CONNECTION_FINALIZER);
    // Kubernetes takes no new finalizer once the deletion has begun.
    if protected == in_use || (in_use && meta.deletion_timestamp.is_some()) {
        return Protection::Kept;
    }
    let mut wanted: Vec<_> =
        stored.into_iter().filter(|finalizer| finalizer != CONNECTION_FINALIZER).collect();
    if in_use {
        wanted.push(CONNECTION_FINALIZER.to_owned());
    }
    Protection::Changed(wanted)
}

/// Tells that the deletion of a connection waits for `users`, which are not empty.
pub fn tell_in_use(
    mut status: ConnectionStatus,
    users: &[String],
    generation: i64,
    now: Timestamp,
) -> ConnectionStatus {
    let named = users.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
    let more = if users.len() > NAMED { format!(" and {} more", users.len() - NAMED) } else { String::new() };
    let message = format!(
        "The connection is being deleted, but {named}{more} may have something at OMS that needs it. Delete those objects; \
         the connection goes after them"
    );
    let conditions = &mut status.conditions;
    situation::set(conditions, types::RECONCILING, "True", Reason::InUse, &message, generation, now);
    status
}

fn is_about_keys(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::SecretNotFound
            | Reason::SecretKeyMissing
            | Reason::CredentialsRejected
            | Reason::CredentialsUnavailable
            | Reason::AmbientCredentialsNotAllowed
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(before: ConnectionStatus, refusal: Option<(Reason, bool)>) -> ConnectionStatus {
        let refusal = refusal.map(|(reason, hopeless)| Refusal { reason, message: "why".into(), hopeless });
        tell(before, refusal.as_ref(), (3, Some("token".into())), Timestamp::UNIX_EPOCH)
    }

    fn state(status: &ConnectionStatus, type_: &str) -> Option<String> {
        situation::find(&status.conditions, type_).map(|condition| condition.status.clone())
    }

    #[test]
    fn a_connection_is_ready_after_a_live_call() {
        let status = told(ConnectionStatus::default(), None);
        assert_eq!(state(&status, types::READY).as_deref(), Some("True"));
        assert_eq!(state(&status, types::CREDENTIALS_READY).as_deref(), Some("True"));
        assert_eq!(
            (status.observed_generation, status.last_handled_reconcile_at.as_deref()),
            (3, Some("token"))
        );
    }

    #[test]
    fn what_may_pass_reconciles_and_what_cannot_stalls() {
        let passing = told(ConnectionStatus::default(), Some((Reason::EndpointUnreachable, false)));
        assert_eq!(state(&passing, types::RECONCILING).as_deref(), Some("True"));
        assert_eq!(state(&passing, types::STALLED), None);
        let hopeless = told(passing, Some((Reason::EndpointNotAllowed, true)));
        assert_eq!(state(&hopeless, types::RECONCILING), None);
        assert_eq!(state(&hopeless, types::STALLED).as_deref(), Some("True"));
        let mended = told(hopeless, None);
        assert_eq!((state(&mended, types::STALLED), state(&mended, types::RECONCILING)), (None, None));
    }

    #[test]
    fn a_connection_is_protected_while_it_is_used_and_only_then() {
        use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

        let meta = |finalizers: &[&str], deleted: bool| ObjectMeta {
            finalizers: Some(finalizers.iter().map(ToString::to_string).collect()),
            deletion_timestamp: deleted.then_some(Time(Timestamp::UNIX_EPOCH)),
            ..ObjectMeta::default()
        };
        let changed =
            |finalizers: &[&str]| Protection::Changed(finalizers.iter().map(ToString::to_string).collect());
        let ours = CONNECTION_FINALIZER;
        assert_eq!(protect(&meta(&[], false), false), Protection::Kept);
        assert_eq!(protect(&meta(&["other"], false), true), changed(&["other", ours]));
        assert_eq!(protect(&meta(&[ours], false), true), Protection::Kept);
        assert_eq!(protect(&meta(&[ours], true), true), Protection::Kept, "it waits for its users");
        assert_eq!(protect(&meta(&["other", ours], true), false), changed(&["other"]));
        assert_eq!(protect(&meta(&["other"], true), true), Protection::Kept, "it is too late to protect it");
    }

    #[test]
    fn a_deletion_that_waits_names_some_of_those_it_waits_for() {
        let users: Vec<String> = (1..=5).map(|number| format!("MigrationTask media/task-{number}")).collect();
        let status = tell_in_use(ConnectionStatus::default(), &users, 1, Timestamp::UNIX_EPOCH);
        let told = situation::find(&status.conditions, types::RECONCILING).unwrap();
        assert_eq!(told.reason, "InUse");
        assert!(
            told.message.contains("task-3 and 2 more") && !told.message.contains("task-4"),
            "{}",
            told.message
        );
    }

    #[test]
    fn only_trouble_with_keys_is_told_of_the_keys() {
        let down = told(told(ConnectionStatus::default(), None), Some((Reason::EndpointUnreachable, false)));
        assert_eq!(state(&down, types::CREDENTIALS_READY).as_deref(), Some("True"));
        let refused = told(down, Some((Reason::CredentialsRejected, false)));
        assert_eq!(state(&refused, types::CREDENTIALS_READY).as_deref(), Some("False"));
    }
}
