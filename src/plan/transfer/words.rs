//! What the status says about trouble: the row, the reason, and a message that names what happened, whose move
//! it is and what to do.

use super::cause;
use crate::api::Failure;
use crate::api::conditions::Reason;
use crate::plan::seen::{Call, Trouble, TroubleKind};
use crate::plan::situation::{Row, Situation};

fn call(call: Call) -> &'static str {
    match call {
        Call::Create => "the create",
        Call::Look => "the look at the task",
        Call::Check => "a check before the create",
        Call::Start => "the start",
        Call::Stop => "the stop",
        Call::Delete => "the deletion",
        Call::Bandwidth => "the bandwidth policy",
        Call::Priority => "the priority",
        Call::Events => "the keys",
    }
}

/// Whether the same call may work later although the spec stays as it is.
pub(super) fn may_pass(kind: TroubleKind) -> bool {
    kind != TroubleKind::Invalid
}

/// The situation after a refused or failed call.
pub(in crate::plan) fn situation(trouble: &Trouble) -> Situation {
    let whose_keys;
    let (row, reason, whose_move) = match trouble.kind {
        TroubleKind::Invalid if trouble.call == Call::Create => {
            (Row::Hopeless, Reason::Refused, "Correct the spec")
        }
        // The spec is frozen by now; keys and buckets are not.
        TroubleKind::Invalid => {
            (Row::Blocked, Reason::RefusedForNow, "Mend the cause; the operator tries again")
        }
        TroubleKind::Credentials => (
            Row::Blocked,
            Reason::CredentialsRejected,
            "Correct the Secret of the connection; the operator tries again",
        ),
        TroubleKind::BucketCredentials => {
            let secret = match cause::of(&trouble.code) {
                Some((field @ (cause::SOURCE_KEYS | cause::DESTINATION_KEYS | cause::CDN_KEY), _)) => {
                    format!("named by `{field}`")
                }
                _ => "of `source.credentials` or `destination.credentials`, or the bucket".to_owned(),
            };
            whose_keys = format!("Correct the Secret {secret}; the operator tries again");
            (Row::Blocked, Reason::CredentialsRejected, whose_keys.as_str())
        }
        TroubleKind::Permission => (
            Row::Blocked,
            Reason::PermissionDenied,
            "Grant the missing permission at Huawei Cloud; the operator tries again",
        ),
        TroubleKind::Privacy => (
            Row::Blocked,
            Reason::PrivacyAgreementRequired,
            "Set `privacyAgreement: Accepted` in the connection, or accept it at the OMS console; the operator tries again",
        ),
        TroubleKind::Quota => (
            Row::Queued,
            Reason::QuotaExceeded,
            "Nothing to do; the operator creates the task when there is room",
        ),
        TroubleKind::Missing => (
            Row::Blocked,
            Reason::RefusedForNow,
            "Create what is missing, or correct the spec; the operator tries again",
        ),
        TroubleKind::Throttled => (Row::Blocked, Reason::Throttled, "Nothing to do; the operator slows down"),
        TroubleKind::Transient if trouble.code.is_empty() => (
            Row::Blocked,
            Reason::EndpointUnreachable,
            "Check `endpoint` of the connection and the network; the operator tries again",
        ),
        TroubleKind::Transient => {
            (Row::Blocked, Reason::ServiceUnavailable, "Nothing to do; the operator tries again")
        }
        TroubleKind::Conflict | TroubleKind::Unknown => {
            (Row::Blocked, Reason::UnknownServiceError, "Nothing to do yet; the operator tries again")
        }
    };
    Situation::new(row, reason, sentence(trouble, whose_move))
}

fn sentence(trouble: &Trouble, whose_move: &str) -> String {
    let code = if trouble.code.is_empty() { String::new() } else { format!(" ({})", trouble.code) };
    let field = trouble
        .field
        .as_deref()
        .map(cause::field_named)
        .or_else(|| cause::of(&trouble.code).map(|(field, _)| field.to_owned()))
        .map_or_else(String::new, |field| format!(" because of `{field}`"));
    let remedy = if trouble.remedy.is_empty() { String::new() } else { format!(" {}.", trouble.remedy) };
    let message = trouble.message.trim_end_matches('.');
    format!("OMS did not accept {}{field}{code}: {message}.{remedy} {whose_move}", call(trouble.call))
}

/// The failure to record.
pub(super) fn failure(trouble: &Trouble) -> Failure {
    Failure {
        code: trouble.code.clone(),
        message: trouble.message.clone(),
        remedy: trouble.remedy.clone(),
        retryable: may_pass(trouble.kind),
    }
}
