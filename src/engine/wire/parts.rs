//! What tasks and groups say in the same words.

use jiff::Timestamp;
use secrecy::SecretString;

use crate::api::{self, BucketCredentials, NotificationTrigger};
use crate::oms;
use crate::plan::seen::{RemoteFailure, RemoteNotification, Window};

/// How OMS is to keep the keys of a bucket.
pub(super) fn crypto_of(credentials: Option<&BucketCredentials>) -> Option<oms::Crypto> {
    credentials.and_then(|credentials| credentials.crypto.as_ref()).map(crypto)
}

/// How OMS is to keep keys.
pub(super) fn crypto(crypto: &api::Crypto) -> oms::Crypto {
    oms::Crypto { crypto_type: crypto.crypto_type.as_str().to_owned(), kms_key_id: crypto.kms_key_id.clone() }
}

/// A CDN, with its key.
pub(in crate::engine) fn source_cdn(cdn: &api::Cdn, key: Option<&SecretString>) -> oms::SourceCdn {
    oms::SourceCdn {
        domain: cdn.domain.clone(),
        protocol: cdn.protocol.as_str().to_owned(),
        authentication_type: cdn.authentication_type.as_str().to_owned(),
        authentication_key: key.cloned(),
        crypto: cdn.crypto.as_ref().map(crypto),
    }
}

/// Whom OMS tells about the end.
pub(super) fn smn_config(notification: &api::Notification) -> oms::SmnConfig {
    let trigger = |trigger: &NotificationTrigger| trigger.as_str().to_owned();
    oms::SmnConfig {
        topic_urn: notification.topic_urn.clone(),
        trigger_conditions: notification.triggers.iter().map(trigger).collect(),
        language: Some(notification.language.as_str().to_owned()),
        message_template_name: notification.template.clone(),
    }
}

/// The bandwidth windows of a spec.
pub(in crate::engine) fn windows(policy: &[api::BandwidthWindow]) -> Vec<oms::BandwidthWindow> {
    policy
        .iter()
        .map(|window| oms::BandwidthWindow {
            start: window.start.clone(),
            end: window.end.clone(),
            max_bandwidth: window.max_bandwidth.bytes_per_second().unwrap_or_default(),
        })
        .collect()
}

/// Windows at OMS in their order of time.
pub(super) fn seen_windows(policy: Vec<oms::BandwidthWindow>) -> Vec<Window> {
    let mut windows: Vec<_> = policy
        .into_iter()
        .map(|window| Window { start: window.start, end: window.end, bytes_per_second: window.max_bandwidth })
        .collect();
    windows.sort();
    windows
}

/// Why something failed.
pub(super) fn failure(reason: oms::ErrorReason) -> RemoteFailure {
    super::failure(reason.code, reason.message)
}

/// A moment in Unix milliseconds; 0 is none.
pub(super) fn moment(millis: u64) -> Option<Timestamp> {
    let millis = i64::try_from(millis).ok().filter(|millis| *millis > 0)?;
    Timestamp::from_millisecond(millis).ok()
}

/// What became of a notification; `None` while OMS does not tell.
pub(super) fn notified(info: oms::SmnInfo) -> Option<RemoteNotification> {
    let message = info.notify_error_message.unwrap_or_default();
    // A code without a verdict is one, too.
    let sent = info.notify_result.or((!message.is_empty()).then_some(false))?;
    let entry = oms::codes::lookup(message.trim());
    Some(RemoteNotification {
        sent,
        remedy: entry.map(|entry| entry.remedy.clone()).unwrap_or_default(),
        message,
        topic: info.topic_name.unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notification_is_told_once_oms_tells_of_it() {
        let info = |sent, message: &str| oms::SmnInfo {
            notify_result: sent,
            notify_error_message: Some(message.to_owned()).filter(|message| !message.is_empty()),
            topic_name: Some("migrations".into()),
        };
        assert_eq!(notified(oms::SmnInfo::default()), None, "an object of nulls says nothing");
        assert_eq!(notified(info(None, "")), None);
        let sent = notified(info(Some(true), "")).unwrap();
        assert!(sent.sent && sent.message.is_empty() && sent.topic == "migrations");
        for result in [Some(false), None] {
            let failed = notified(info(result, "S3M.0158")).unwrap();
            assert!(!failed.sent);
            assert_eq!((failed.message.as_str(), failed.remedy.is_empty()), ("S3M.0158", false));
        }
        let strange = notified(info(Some(false), "no such code")).unwrap();
        assert_eq!((strange.message.as_str(), strange.remedy.as_str()), ("no such code", ""));
    }
}
