//! The only place that knows both vocabularies: OMS's wire types and ours.

pub(super) mod facts;
pub(super) mod group;
mod parts;
pub(super) mod sync;
pub(super) mod task;

pub(super) use parts::windows;
use std::time::Duration;

use jiff::Timestamp;

use secrecy::SecretString;

use super::secrets::BucketKeys;
pub(super) use parts::source_cdn;

use crate::oms;
use crate::plan::seen::{Call, Delivered, FailureCause, RemoteFailure, Trouble, TroubleKind, Window};

/// The keys of a task; no source keys for URL lists.
pub(super) struct TransferKeys {
    pub(super) source: Option<BucketKeys>,
    pub(super) cdn: Option<SecretString>,
    pub(super) destination: BucketKeys,
}

/// Bandwidth windows that were seen, as they are sent.
pub(super) fn resent(windows: &[Window]) -> Vec<oms::BandwidthWindow> {
    let window = |window: &Window| oms::BandwidthWindow {
        start: window.start.clone(),
        end: window.end.clone(),
        max_bandwidth: window.bytes_per_second,
    };
    windows.iter().map(window).collect()
}

/// Whether the credentials of the connection failed: OMS refused them, or their source gave none.
pub(super) fn is_about_credentials(error: &oms::Error) -> bool {
    error.class() == oms::Class::Credential || error.lacks_credentials()
}

/// What an error of OMS means for the next decision.
pub(super) fn trouble(call: Call, error: &oms::Error, before: Option<&Trouble>, now: Timestamp) -> Trouble {
    use oms::Class;
    let kind = match error.class() {
        // Nothing was asked of OMS: whatever the source of the credentials said is not about this task.
        Class::Transient | Class::Throttled if error.lacks_credentials() => TroubleKind::Transient,
        _ if error.lacks_credentials() => TroubleKind::Credentials,
        // "Could not be accessed" is what OMS says of a destination bucket that does not exist, too.
        Class::BucketCredential if error.code() == Some("OMS.1020") => TroubleKind::Missing,
        Class::Invalid => TroubleKind::Invalid,
        Class::Credential => TroubleKind::Credentials,
        Class::BucketCredential => TroubleKind::BucketCredentials,
        Class::Permission => TroubleKind::Permission,
        Class::Privacy => TroubleKind::Privacy,
        Class::Quota => TroubleKind::Quota,
        Class::Conflict | Class::NotFound => TroubleKind::Conflict,
        Class::Missing => TroubleKind::Missing,
        Class::Throttled => TroubleKind::Throttled,
        Class::Transient => TroubleKind::Transient,
        Class::Unknown => TroubleKind::Unknown,
    };
    let delivery = match error.delivery() {
        oms::Delivery::NotSent => Delivered::No,
        oms::Delivery::Unknown => Delivered::Unknown,
        oms::Delivery::Answered => Delivered::Refused,
    };
    let count = before
        .filter(|old| old.call == call && old.kind == kind)
        .map_or(1, |old| old.count.saturating_add(1));
    let pause = error.retry_after().unwrap_or_else(|| pause(kind, count));
    let mut message = error.message().to_owned();
    if let Some(detail) = error.detail() {
        message = format!("{}: {detail}", message.trim_end_matches('.'));
    }
    Trouble {
        call,
        kind,
        delivery,
        code: error.code().unwrap_or_default().to_owned(),
        message,
        remedy: error.remedy().unwrap_or_default().trim_end_matches('.').to_owned(),
        field: error.field().map(ToOwned::to_owned),
        retry_at: now + pause,
        count,
    }
}

/// Why a task failed, with what the table of failure causes knows of the code.
pub(super) fn failure(code: String, message: String) -> RemoteFailure {
    use oms::Class;
    let row = oms::codes::failure_cause(&code);
    let cause = row.map_or(FailureCause::Unknown, |row| match row.class {
        Class::Transient | Class::Throttled | Class::Conflict | Class::NotFound => FailureCause::Passing,
        Class::Credential | Class::BucketCredential => FailureCause::Keys,
        Class::Permission | Class::Privacy | Class::Quota | Class::Missing => FailureCause::Surroundings,
        Class::Invalid => FailureCause::Spec,
        Class::Unknown => FailureCause::Unknown,
    });
    RemoteFailure { code, message, remedy: row.map(|row| row.remedy.clone()).unwrap_or_default(), cause }
}

/// Pause before the next try, by what one does about the trouble.
fn pause(kind: TroubleKind, count: u32) -> Duration {
    let (first, longest) = match kind {
        TroubleKind::Conflict | TroubleKind::Throttled => (1, 30),
        TroubleKind::Transient => (1, 120),
        TroubleKind::Missing | TroubleKind::Unknown | TroubleKind::Credentials | TroubleKind::Privacy => {
            (15, 300)
        }
        // The line of those that wait has pauses of its own.
        TroubleKind::Quota => (1, 1),
        TroubleKind::BucketCredentials | TroubleKind::Permission => (30, 600),
        TroubleKind::Invalid => (600, 600),
    };
    Duration::from_secs(u64::from(first * 2_u32.saturating_pow(count.saturating_sub(1).min(16))).min(longest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::transfer::is_of_keys;

    #[test]
    fn the_plan_knows_which_failures_are_about_keys() {
        for number in 0..1_000 {
            let code = format!("TRF.{number:04}");
            let cause = failure(code.clone(), String::new()).cause;
            assert_eq!(is_of_keys(&code), cause == FailureCause::Keys, "{code}");
        }
    }

    #[test]
    fn pauses_grow_up_to_their_bound() {
        assert_eq!(pause(TroubleKind::Transient, 1), Duration::from_secs(1));
        assert_eq!(pause(TroubleKind::Transient, 4), Duration::from_secs(8));
        assert_eq!(pause(TroubleKind::Transient, 99), Duration::from_mins(2));
        assert_eq!(pause(TroubleKind::Missing, 99), Duration::from_mins(5));
    }
}
