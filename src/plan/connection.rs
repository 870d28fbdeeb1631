//! What the status of a connection says after a try.

use jiff::Timestamp;

use super::situation;
use crate::api::ConnectionStatus;
use crate::api::conditions::{Reason, types};

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
    fn only_trouble_with_keys_is_told_of_the_keys() {
        let down = told(told(ConnectionStatus::default(), None), Some((Reason::EndpointUnreachable, false)));
        assert_eq!(state(&down, types::CREDENTIALS_READY).as_deref(), Some("True"));
        let refused = told(down, Some((Reason::CredentialsRejected, false)));
        assert_eq!(state(&refused, types::CREDENTIALS_READY).as_deref(), Some("False"));
    }
}
