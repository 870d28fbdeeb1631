//! Task groups in both vocabularies. The numbers of their states are not those of tasks.

use std::time::Duration;

use super::TransferKeys;
use super::parts::{
    crypto, crypto_of, failure, moment, notified, seen_windows, smn_config, source_cdn, windows,
};
use crate::api::{Members, TaskGroupSpec};
use crate::engine::secrets::BucketKeys;
use crate::oms::{self, GroupStatus};
use crate::plan::seen::{Counters, RemoteState, RemoteTask};
use crate::plan::token::Token;

/// The create request of a spec; `None`: it lacks what a create needs.
pub(in crate::engine) fn create(
    spec: &TaskGroupSpec,
    region: &str,
    token: &Token,
    keys: &TransferKeys,
) -> Option<oms::CreateTaskGroup> {
    let (source, destination) = (spec.source.as_ref()?, spec.destination.as_ref()?);
    let mut src_node = oms::GroupSourceNode {
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
        ..oms::GroupSourceNode::default()
    };
    match &keys.source {
        Some(BucketKeys::Pair { access_key, secret_key, .. }) => {
            src_node.ak = Some(access_key.clone());
            src_node.sk = Some(secret_key.clone());
        }
        Some(BucketKeys::ConnectionString(text)) => src_node.connection_string = Some(text.clone()),
        Some(BucketKeys::JsonAuthFile(text)) => src_node.json_auth_file = Some(text.clone()),
        None => {}
    }
    let mut dst_node = oms::GroupDestinationNode {
        region: region.to_owned(),
        bucket: destination.bucket.clone(),
        save_prefix: destination.prefix.clone(),
        crypto: crypto_of(destination.credentials.as_ref()),
        ..oms::GroupDestinationNode::default()
    };
    if let BucketKeys::Pair { access_key, secret_key, .. } = &keys.destination {
        dst_node.ak = access_key.clone();
        dst_node.sk = secret_key.clone();
    }
    Some(oms::CreateTaskGroup {
        task_type: spec.group_type.as_str().to_owned(),
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
        source_cdn: source.cdn.as_ref().map(|cdn| source_cdn(cdn, keys.cdn.as_ref())),
        smn_config: spec.notification.as_ref().map(smn_config),
    })
}

/// The keys that OMS wants again for a start and for a retry.
pub(in crate::engine) fn keys(spec: &TaskGroupSpec, keys: &TransferKeys) -> oms::GroupKeys {
    let (source, destination) = (spec.source.as_ref(), spec.destination.as_ref());
    let cdn = source.and_then(|source| source.cdn.as_ref());
    let mut sent = oms::GroupKeys {
        source_cdn_authentication_key: keys.cdn.clone(),
        src_crypto: crypto_of(source.and_then(|source| source.credentials.as_ref())),
        dst_crypto: crypto_of(destination.and_then(|destination| destination.credentials.as_ref())),
        source_cdn_crypto: cdn.and_then(|cdn| cdn.crypto.as_ref()).map(crypto),
        ..oms::GroupKeys::default()
    };
    match &keys.source {
        Some(BucketKeys::Pair { access_key, secret_key, .. }) => {
            sent.src_ak = Some(access_key.clone());
            sent.src_sk = Some(secret_key.clone());
        }
        Some(BucketKeys::ConnectionString(text)) => sent.connection_string = Some(text.clone()),
        Some(BucketKeys::JsonAuthFile(text)) => sent.json_auth_file = Some(text.clone()),
        None => {}
    }
    if let BucketKeys::Pair { access_key, secret_key, .. } = &keys.destination {
        sent.dst_ak = access_key.clone();
        sent.dst_sk = secret_key.clone();
    }
    sent
}

/// A group in our words.
pub(in crate::engine) fn seen(group: oms::TaskGroup) -> RemoteTask {
    let members = members(&group);
    let counters = counters(&group);
    RemoteTask {
        id: group.group_id.into(),
        name: String::new(),
        state: state(group.status),
        token: Token::parse(&group.description),
        windows: seen_windows(group.bandwidth_policy),
        priority: None,
        counters,
        failure: group.error_reason.map(failure),
        can_retry_failed: group.failed_object_record.result.unwrap_or(false),
        failed_list: group.failed_object_record.list_file_key,
        started_at: moment(group.start_time),
        took: Duration::from_millis(group.total_time),
        notification: group.smn_info.and_then(notified),
        members,
        month: None,
    }
}

fn state(status: GroupStatus) -> RemoteState {
    match status {
        GroupStatus::Waiting => RemoteState::Waiting,
        GroupStatus::Creating => RemoteState::Creating,
        GroupStatus::Monitoring => RemoteState::Running,
        GroupStatus::Stopped => RemoteState::Stopped,
        GroupStatus::CreationFailed | GroupStatus::Failed => RemoteState::Failed,
        GroupStatus::Completed => RemoteState::Succeeded,
        GroupStatus::Stopping => RemoteState::Stopping,
        GroupStatus::AwaitingDeletion | GroupStatus::Deleted => RemoteState::Deleting,
        GroupStatus::Unknown(_) => RemoteState::Unknown,
    }
}

/// The status by which groups in a state are listed; `None`: no single one.
pub(in crate::engine) fn status(state: RemoteState) -> Option<GroupStatus> {
    match state {
        RemoteState::Waiting => Some(GroupStatus::Waiting),
        RemoteState::Creating => Some(GroupStatus::Creating),
        RemoteState::Running => Some(GroupStatus::Monitoring),
        RemoteState::Stopped => Some(GroupStatus::Stopped),
        RemoteState::Succeeded => Some(GroupStatus::Completed),
        RemoteState::Stopping => Some(GroupStatus::Stopping),
        RemoteState::Failed
        | RemoteState::Retrying
        | RemoteState::Deleting
        | RemoteState::Synchronizing
        | RemoteState::Unknown => None,
    }
}

/// Objects are what counts: `complete_size` has failed ones in it.
fn counters(group: &oms::TaskGroup) -> Counters {
    let handled = group.success_num.saturating_add(group.fail_num).saturating_add(group.skip_num);
    let fraction = match (group.status, group.total_num) {
        (GroupStatus::Completed, _) => 1.0,
        (_, 0) => 0.0,
        (_, total) => handled as f64 / total as f64,
    };
    let left = group.total_size.saturating_sub(group.complete_size);
    Counters {
        fraction,
        bytes_total: group.total_size,
        bytes_done: group.complete_size,
        total: group.total_num,
        succeeded: group.success_num,
        failed: group.fail_num,
        skipped: group.skip_num,
        bytes_per_second: group.migrate_speed,
        remaining: left.checked_div(group.migrate_speed).filter(|left| *left > 0).map(Duration::from_secs),
        listed: !matches!(group.status, GroupStatus::Waiting | GroupStatus::Creating),
    }
}

/// The numbers of its tasks, where OMS tells them: it answers null as a rule.
fn members(group: &oms::TaskGroup) -> Option<Members> {
    let total = group.total_task_num?;
    Some(Members {
        total,
        created: group.create_task_num.unwrap_or(total),
        waiting: group.waiting_task_num.unwrap_or_default(),
        running: group.executing_task_num.unwrap_or_default(),
        paused: group.paused_task_num.unwrap_or_default(),
        failed: group.failed_task_num.unwrap_or_default(),
        complete: group.complete_task_num.unwrap_or_default(),
    })
}
