//! Migration tasks in both vocabularies.

use std::time::Duration;

use super::TransferKeys;
use super::parts::{
    crypto, crypto_of, failure, moment, notified, seen_windows, smn_config, source_cdn, windows,
};
use crate::api::MigrationTaskSpec;
use crate::engine::secrets::BucketKeys;
use crate::oms::{self, TaskStatus};
use crate::plan::seen::{Counters, RemoteState, RemoteTask, Whole};
use crate::plan::token::Token;

/// The create request of a spec.
pub(in crate::engine) fn create(
    spec: &MigrationTaskSpec,
    region: &str,
    token: &Token,
    keys: &TransferKeys,
) -> Option<oms::CreateTask> {
    let (source, destination) = (spec.source.as_ref()?, spec.destination.as_ref()?);
    let mut src_node = oms::SourceNode {
        cloud_type: source.cloud_type.as_str().to_owned(),
        region: source.region.clone(),
        bucket: source.bucket.clone(),
        app_id: source.app_id.clone(),
        object_key: source.object_keys.clone().unwrap_or_default(),
        list_file: source
            .list_file
            .as_ref()
            .map(|file| oms::ListFile { list_file_key: file.key.clone(), obs_bucket: file.bucket.clone() }),
        crypto: crypto_of(source.credentials.as_ref()),
        ..oms::SourceNode::default()
    };
    match &keys.source {
        Some(BucketKeys::Pair { access_key, secret_key, security_token }) => {
            src_node.ak = Some(access_key.clone());
            src_node.sk = Some(secret_key.clone());
            src_node.security_token.clone_from(security_token);
        }
        Some(BucketKeys::ConnectionString(text)) => src_node.connection_string = Some(text.clone()),
        Some(BucketKeys::JsonAuthFile(text)) => src_node.json_auth_file = Some(text.clone()),
        None => {}
    }
    let mut dst_node = oms::DestinationNode {
        region: region.to_owned(),
        bucket: destination.bucket.clone(),
        save_prefix: destination.prefix.clone(),
        crypto: crypto_of(destination.credentials.as_ref()),
        ..oms::DestinationNode::default()
    };
    if let BucketKeys::Pair { access_key, secret_key, security_token } = &keys.destination {
        dst_node.ak = access_key.clone();
        dst_node.sk = secret_key.clone();
        dst_node.security_token.clone_from(security_token);
    }
    Some(oms::CreateTask {
        task_type: spec.task_type.as_str().to_owned(),
        src_node,
        dst_node,
        description: Some(token.describe(spec.description.as_deref())),
        migrate_since: spec.migrate_since.as_ref().and_then(|since| u64::try_from(since.0.as_second()).ok()),
        bandwidth_policy: windows(&spec.bandwidth_policy),
        enable_metadata_migration: Some(spec.enable_metadata_migration),
        enable_restore: Some(spec.enable_restore),
        enable_failed_object_recording: Some(spec.enable_failed_object_recording),
        enable_requester_pays: Some(spec.enable_requester_pays),
        object_overwrite_mode: Some(spec.overwrite_mode.as_str().to_owned()),
        dst_storage_policy: Some(destination.storage_policy.as_str().to_owned()),
        consistency_check: Some(spec.consistency_check.as_str().to_owned()),
        task_priority: Some(spec.priority.as_str().to_owned()),
        source_cdn: source.cdn.as_ref().map(|cdn| source_cdn(cdn, keys.cdn.as_ref())),
        smn_config: spec.notification.as_ref().map(smn_config),
    })
}

/// The start request: OMS wants the keys again, and to be told again how to keep them.
pub(in crate::engine) fn start(
    spec: &MigrationTaskSpec,
    keys: &TransferKeys,
    only_failed: bool,
) -> oms::StartTask {
    let (source, destination) = (spec.source.as_ref(), spec.destination.as_ref());
    let cdn = source.and_then(|source| source.cdn.as_ref());
    let mut start = oms::StartTask {
        migrate_failed_object: only_failed,
        source_cdn_authentication_key: keys.cdn.clone(),
        src_crypto: crypto_of(source.and_then(|source| source.credentials.as_ref())),
        dst_crypto: crypto_of(destination.and_then(|destination| destination.credentials.as_ref())),
        source_cdn_crypto: cdn.and_then(|cdn| cdn.crypto.as_ref()).map(crypto),
        ..oms::StartTask::default()
    };
    match &keys.source {
        Some(BucketKeys::Pair { access_key, secret_key, security_token }) => {
            start.src_ak = Some(access_key.clone());
            start.src_sk = Some(secret_key.clone());
            start.src_security_token.clone_from(security_token);
        }
        Some(BucketKeys::ConnectionString(text)) => start.connection_string = Some(text.clone()),
        Some(BucketKeys::JsonAuthFile(text)) => start.json_auth_file = Some(text.clone()),
        None => {}
    }
    if let BucketKeys::Pair { access_key, secret_key, security_token } = &keys.destination {
        start.dst_ak = access_key.clone();
        start.dst_sk = secret_key.clone();
        start.dst_security_token.clone_from(security_token);
    }
    start
}

/// Whether a task stands alone: members of groups and sync tasks are never ours.
pub(in crate::engine) fn stands_alone(task: &oms::Task) -> bool {
    part_of(task).is_none()
}

/// What a task is a part of, when it does not stand alone.
pub(in crate::engine) fn part_of(task: &oms::Task) -> Option<Whole> {
    let group = task.group_id.clone().unwrap_or_default();
    match task.group_type.as_deref().unwrap_or_default() {
        "SYNC_TASK" => Some(Whole::SyncTask),
        "" | "NORMAL_TASK" if group.is_empty() => None,
        _ => Some(Whole::TaskGroup(group)),
    }
}

/// A task in our words.
pub(in crate::engine) fn seen(task: oms::Task) -> RemoteTask {
    let state = match task.status {
        TaskStatus::Initializing | TaskStatus::Waiting => RemoteState::Waiting,
        TaskStatus::Running => RemoteState::Running,
        TaskStatus::Stopped => RemoteState::Stopped,
        TaskStatus::Failed => RemoteState::Failed,
        TaskStatus::Succeeded => RemoteState::Succeeded,
        TaskStatus::Retrying => RemoteState::Retrying,
        TaskStatus::Stopping => RemoteState::Stopping,
        TaskStatus::Unknown(_) => RemoteState::Unknown,
    };
    RemoteTask {
        id: task.id.get().into(),
        name: task.name,
        state,
        token: Token::parse(&task.description),
        windows: seen_windows(task.bandwidth_policy),
        priority: task.task_priority,
        counters: Counters {
            fraction: task.progress,
            bytes_total: task.total_size,
            bytes_done: task.complete_size,
            total: task.total_num,
            succeeded: task.successful_num,
            failed: task.failed_num,
            skipped: task.skipped_num,
            bytes_per_second: task.migrate_speed,
            remaining: (task.left_time > 0).then(|| Duration::from_millis(task.left_time)),
            listed: task.is_query_over.unwrap_or(false),
        },
        failure: task.error_reason.map(failure),
        can_retry_failed: task.failed_object_record.result.unwrap_or(false),
        failed_list: task.failed_object_record.list_file_key,
        started_at: moment(task.start_time),
        took: Duration::from_millis(task.total_time),
        notification: task.smn_info.and_then(notified),
        members: None,
        month: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_says_again_what_the_create_said_of_keys() {
        let spec: MigrationTaskSpec = serde_json::from_value(serde_json::json!({
            "source": {
                "cloudType": "Aliyun", "region": "cn-beijing", "bucket": "photos", "objectKeys": [""],
                "credentials": {
                    "secretRef": { "name": "source" }, "crypto": { "type": "KMS", "kmsKeyId": "key-1" },
                },
                "cdn": {
                    "domain": "cdn.example.com", "protocol": "https", "authenticationType": "ALIYUN_OSS_A",
                    "authenticationKey": { "secretRef": { "name": "cdn" } },
                    "crypto": { "type": "KMS", "kmsKeyId": "key-3" },
                },
            },
            "destination": { "bucket": "archive", "credentials": {
                "secretRef": { "name": "obs" }, "crypto": { "type": "DEFAULT" },
            }},
        }))
        .unwrap();
        let pair =
            || BucketKeys::Pair { access_key: "a".into(), secret_key: "s".into(), security_token: None };
        let keys = TransferKeys { source: Some(pair()), cdn: Some("the-key".into()), destination: pair() };
        let mark = crate::plan::token::ObjectMark::new("cluster", "MigrationTask", "uid");
        let created = create(&spec, "cn-north-4", &Token::new(mark, "", 1), &keys).unwrap();
        let started = start(&spec, &keys, false);
        let cdn = created.source_cdn.unwrap();
        assert_eq!((cdn.domain.as_str(), cdn.protocol.as_str()), ("cdn.example.com", "https"));
        assert_eq!(cdn.authentication_type, "ALIYUN_OSS_A");
        for key in [cdn.authentication_key, started.source_cdn_authentication_key] {
            assert_eq!(secrecy::ExposeSecret::expose_secret(&key.unwrap()), "the-key");
        }
        let kms = |id: &str| Some(oms::Crypto { crypto_type: "KMS".into(), kms_key_id: Some(id.into()) });
        let default = Some(oms::Crypto { crypto_type: "DEFAULT".into(), kms_key_id: None });
        assert_eq!((&created.src_node.crypto, &started.src_crypto), (&kms("key-1"), &kms("key-1")));
        assert_eq!((&created.dst_node.crypto, &started.dst_crypto), (&default, &default));
        assert_eq!((&cdn.crypto, &started.source_cdn_crypto), (&kms("key-3"), &kms("key-3")));
    }
}
