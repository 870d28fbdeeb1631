//! Sync tasks in both vocabularies.

use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use secrecy::SecretString;

use super::TransferKeys;
use super::parts::{crypto, crypto_of, moment, source_cdn};
use crate::api::SyncTaskSpec;
use crate::engine::secrets::BucketKeys;
use crate::oms::{self, SyncStatus};
use crate::plan::seen::{Counters, MonthCounters, RemoteState, RemoteTask};
use crate::plan::token::Token;

/// The create request of a spec; `None` without two pairs of keys.
pub(in crate::engine) fn create(
    spec: &SyncTaskSpec,
    region: &str,
    token: &Token,
    keys: &TransferKeys,
) -> Option<oms::CreateSyncTask> {
    let (source, destination) = (spec.source.as_ref()?, spec.destination.as_ref()?);
    let ((src_ak, src_sk), (dst_ak, dst_sk)) = (pair(keys.source.as_ref())?, pair(Some(&keys.destination))?);
    Some(oms::CreateSyncTask {
        src_cloud_type: source.cloud_type.as_str().to_owned(),
        src_region: source.region.clone(),
        src_bucket: source.bucket.clone(),
        src_ak,
        src_sk,
        src_crypto: crypto_of(Some(&source.credentials)),
        dst_ak,
        dst_sk,
        dst_crypto: crypto_of(destination.credentials.as_ref()),
        dst_region: region.to_owned(),
        dst_bucket: destination.bucket.clone(),
        description: Some(token.describe(spec.description.as_deref())),
        enable_metadata_migration: Some(spec.enable_metadata_migration),
        enable_restore: Some(spec.enable_restore),
        dst_storage_policy: Some(destination.storage_policy.as_str().to_owned()),
        app_id: source.app_id.clone(),
        source_cdn: source.cdn.as_ref().map(|cdn| source_cdn(cdn, keys.cdn.as_ref())),
        consistency_check: Some(spec.consistency_check.as_str().to_owned()),
    })
}

/// The start request: OMS wants all keys again, and to be told again how to keep them. `None` without two pairs of keys.
pub(in crate::engine) fn start(spec: &SyncTaskSpec, keys: &TransferKeys) -> Option<oms::StartSyncTask> {
    let source = spec.source.as_ref()?;
    let ((src_ak, src_sk), (dst_ak, dst_sk)) = (pair(keys.source.as_ref())?, pair(Some(&keys.destination))?);
    let destination = spec.destination.as_ref();
    Some(oms::StartSyncTask {
        src_ak,
        src_sk,
        src_crypto: crypto_of(Some(&source.credentials)),
        dst_ak,
        dst_sk,
        dst_crypto: crypto_of(destination.and_then(|destination| destination.credentials.as_ref())),
        source_cdn_authentication_key: keys.cdn.clone(),
        source_cdn_crypto: source.cdn.as_ref().and_then(|cdn| cdn.crypto.as_ref()).map(crypto),
    })
}

/// A permanent access key and its secret; of temporary ones OMS would take neither.
fn pair(keys: Option<&BucketKeys>) -> Option<(SecretString, SecretString)> {
    match keys? {
        BucketKeys::Pair { access_key, secret_key, security_token: None } => {
            Some((access_key.clone(), secret_key.clone()))
        }
        _ => None,
    }
}

/// A sync task as decisions see it.
pub(in crate::engine) fn seen(task: oms::SyncTask) -> RemoteTask {
    let month = task.monthly_acceptance_request.map(|requested| MonthCounters {
        month: String::new(),
        requested,
        succeeded: task.monthly_success_object.unwrap_or_default(),
        failed: task.monthly_failure_object.unwrap_or_default(),
        skipped: task.monthly_skip_object.unwrap_or_default(),
        bytes: task.monthly_size.unwrap_or_default(),
    });
    RemoteTask {
        id: task.sync_task_id.into(),
        name: String::new(),
        state: state(&task.status),
        token: Token::parse(&task.description),
        windows: Vec::new(),
        priority: None,
        counters: Counters::default(),
        failure: None,
        can_retry_failed: false,
        failed_list: None,
        started_at: moment(task.last_start_time),
        took: Duration::ZERO,
        notification: None,
        members: None,
        month,
    }
}

/// A sync task that was asked for the counters of a month.
pub(in crate::engine) fn seen_in(task: oms::SyncTask, month: &Month) -> RemoteTask {
    let mut seen = seen(task);
    if let Some(counters) = &mut seen.month {
        counters.month.clone_from(&month.name);
    }
    seen
}

fn state(status: &SyncStatus) -> RemoteState {
    match status {
        SyncStatus::Synchronizing => RemoteState::Synchronizing,
        SyncStatus::Stopped => RemoteState::Stopped,
        SyncStatus::Unknown(_) => RemoteState::Unknown,
    }
}

/// A calendar month of OMS.
pub(in crate::engine) struct Month {
    /// `2026-11`.
    name: String,
    /// A moment in its middle: when a month begins is not documented.
    pub(in crate::engine) middle: Timestamp,
}

impl Month {
    /// The month of a moment. The regions that have sync tasks keep UTC+8, and the reference's example of statistics
    /// begins at midnight there.
    pub(in crate::engine) fn of(at: Timestamp) -> Self {
        let there = at.to_zoned(TimeZone::fixed(jiff::tz::offset(8)));
        let middle = there.date().first_of_month().at(12, 0, 0, 0).saturating_add(jiff::Span::new().days(14));
        let middle = middle.to_zoned(there.time_zone().clone()).map_or(at, |middle| middle.timestamp());
        Self { name: there.strftime("%Y-%m").to_string(), middle }
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;
    use crate::plan::token::ObjectMark;

    fn spec() -> SyncTaskSpec {
        serde_json::from_value(serde_json::json!({
            "source": {
                "cloudType": "Azure", "region": "chinaeast", "bucket": "photos",
                "credentials": {
                    "secretRef": { "name": "source" }, "crypto": { "type": "KMS", "kmsKeyId": "key-1" },
                },
                "cdn": {
                    "domain": "cdn.example.com", "protocol": "https", "authenticationType": "AZURE_SAS_TOKEN",
                    "authenticationKey": { "secretRef": { "name": "cdn" } },
                    "crypto": { "type": "KMS", "kmsKeyId": "key-3" },
                },
            },
            "destination": { "bucket": "archive", "storagePolicy": "IA" },
            "enableMetadataMigration": true,
            "description": "new photos",
        }))
        .unwrap()
    }

    fn keys(token: Option<&str>) -> TransferKeys {
        let pair = |access: &str, token: Option<&str>| BucketKeys::Pair {
            access_key: access.into(),
            secret_key: "s".into(),
            security_token: token.map(Into::into),
        };
        TransferKeys {
            source: Some(pair("a", token)),
            cdn: Some("the-key".into()),
            destination: pair("b", None),
        }
    }

    #[test]
    fn a_create_and_a_start_carry_the_same_keys() {
        let token = Token::new(ObjectMark::new("cluster", "SyncTask", "uid"), "", 1);
        let created = create(&spec(), "cn-north-4", &token, &keys(None)).unwrap();
        let started = start(&spec(), &keys(None)).unwrap();
        assert_eq!((created.src_cloud_type.as_str(), created.dst_region.as_str()), ("Azure", "cn-north-4"));
        assert_eq!(created.description, Some(format!("{token} new photos")));
        assert_eq!((created.enable_metadata_migration, created.enable_restore), (Some(true), Some(false)));
        for (access, expected) in
            [(&created.src_ak, "a"), (&started.src_ak, "a"), (&created.dst_ak, "b"), (&started.dst_ak, "b")]
        {
            assert_eq!(access.expose_secret(), expected);
        }
        assert_eq!(created.src_crypto, started.src_crypto);
        let cdn = created.source_cdn.unwrap();
        assert_eq!(cdn.crypto, started.source_cdn_crypto);
        assert_eq!(started.source_cdn_authentication_key.unwrap().expose_secret(), "the-key");
    }

    #[test]
    fn temporary_keys_are_sent_to_nobody() {
        let token = Token::new(ObjectMark::new("cluster", "SyncTask", "uid"), "", 1);
        assert!(create(&spec(), "cn-north-4", &token, &keys(Some("token"))).is_none());
        assert!(start(&spec(), &keys(Some("token"))).is_none());
    }

    #[test]
    fn a_month_is_that_of_the_regions_and_is_asked_for_by_its_middle() {
        let month = |text: &str| {
            let month = Month::of(text.parse().unwrap());
            (month.name, month.middle.to_string())
        };
        assert_eq!(month("2026-11-21T07:00:00Z"), ("2026-11".into(), "2026-11-15T04:00:00Z".into()));
        assert_eq!(month("2026-11-30T15:59:59Z"), ("2026-11".into(), "2026-11-15T04:00:00Z".into()));
        assert_eq!(month("2026-11-30T16:00:00Z"), ("2026-12".into(), "2026-12-15T04:00:00Z".into()));
    }
}
