//! Answers of the tasks API and, in a room of its own, of the groups API. All members of the newest reference are there; secrets have no member to be in.

mod group;

use jiff::Timestamp;
use serde_json::{Value, json};

pub use self::group::{Sum, group};
use super::request::{Cdn, Definition};
use crate::emulator::{
    config::{Behaviour, TimeUnit},
    mover::{ConsistencyCheck, ListFile, OverwriteMode, Progress, StoragePolicy, TaskType},
    notifications::Notified,
    tasks::{MemberOf, Status, Task, milliseconds},
};

/// One task, as ShowTask and ListTasks return it. `progress` is what a run under way has told last.
pub fn task(task: &Task, progress: Option<Progress>, behaviour: &Behaviour, now: Timestamp) -> Value {
    let definition = &task.definition;
    let counters = progress.map_or(task.checkpoint.counters, |progress| progress.counters);
    let elapsed = task.started.map_or(0, |started| {
        let end = if task.status.takes_a_place() { now } else { task.ended.unwrap_or(now) };
        end.duration_since(started).as_millis().max(0) as u64
    });
    // At rest the service shows the mean speed of the run.
    let speed = match (task.status, progress) {
        (Status::Running | Status::Stopping, Some(progress)) => progress.migrate_speed,
        (Status::Waiting, _) => 0,
        _ => counters.real_size.saturating_mul(1000).checked_div(elapsed).unwrap_or(0),
    };
    let done = counters.successful_num + counters.failed_num + counters.skipped_num;
    let by_number =
        matches!(definition.task_type, TaskType::List | TaskType::UrlList) || counters.total_size == 0;
    let fraction = if task.status == Status::Succeeded {
        1.0
    } else if by_number {
        ratio(done, counters.total_num)
    } else {
        ratio(counters.complete_size, counters.total_size)
    };
    let left = match task.status {
        Status::Running if speed > 0 => {
            counters.total_size.saturating_sub(counters.complete_size).saturating_mul(1000) / speed
        }
        _ => 0,
    };
    let mut shown = json!({
        "id": task.id,
        "name": task.name,
        "task_type": task_type(definition.task_type),
        "group_id": task.member_of.as_ref().map_or("", MemberOf::id),
        "group_type": MemberOf::kind(task.member_of.as_ref()),
        "status": shown_status(task, behaviour, now),
        "src_node": {
            "bucket": definition.source_bucket,
            "cloud_type": definition.cloud_type,
            "region": definition.source_region,
            "app_id": definition.app_id,
            "object_key": definition.object_keys.clone().unwrap_or_default(),
            "list_file": definition.list_file.as_ref().map(shown_list_file),
        },
        "dst_node": {
            "bucket": definition.destination_bucket,
            "region": definition.destination_region,
            "save_prefix": definition.save_prefix,
        },
        "description": definition.description,
        "bandwidth_policy": task.bandwidth,
        "migrate_since": migrate_since(definition, behaviour),
        "object_overwrite_mode": overwrite_mode(definition.overwrite_mode),
        "dst_storage_policy": storage_policy(definition.storage_policy),
        "consistency_check": consistency_check(definition.consistency_check),
        "task_priority": task.priority.as_str(),
        "enable_metadata_migration": definition.enable_metadata_migration,
        "enable_restore": definition.enable_restore,
        "enable_failed_object_recording": definition.enable_failed_object_recording,
        "enable_requester_pays": definition.enable_requester_pays,
        "obs_system": "BUCKET",
    });
    let moving = json!({
        "is_query_over": counters.is_query_over,
        "progress": fraction,
        "migrate_speed": speed,
        "start_time": task.started.map_or(0, Timestamp::as_millisecond),
        "total_time": elapsed,
        "left_time": left,
        "total_num": counters.total_num,
        "total_size": counters.total_size,
        "complete_size": counters.complete_size,
        "real_size": counters.real_size,
        "successful_num": counters.successful_num,
        "failed_num": counters.failed_num,
        "skipped_num": counters.skipped_num,
        "error_reason": task.failure.as_ref().map(|failure| json!({
            "error_code": failure.code,
            "error_msg": failure.message.chars().take(1024).collect::<String>(),
        })),
        "failed_object_record": failed_object_record(task),
        "success_record_error_reason": task.checkpoint.success_list_error.clone().unwrap_or_default(),
        "skip_record_error_reason": "",
        "smn_info": task.notified.as_ref().map(Notified::shown),
        "source_cdn": definition.cdn.as_ref().map(|shown| cdn(shown, behaviour)),
    });
    // In two parts, as one is more than the macro can take.
    if let (Value::Object(shown), Value::Object(moving)) = (&mut shown, moving) {
        shown.extend(moving);
    }
    shown
}

/// The number of the state; 0 for the first moments of a task and 6 while failed objects are copied again, where that
/// is configured.
pub fn shown_status(task: &Task, behaviour: &Behaviour, now: Timestamp) -> u8 {
    let young = now.duration_since(task.waiting_since) < milliseconds(behaviour.initialising_ms);
    match task.status {
        Status::Waiting if young => 0,
        Status::Running if behaviour.retrying_status && task.checkpoint.retry_lists.is_some() => 6,
        status => status.number(),
    }
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { (part as f64 / whole as f64).min(1.0) }
}

/// All null when nothing failed; result false with S3M.0301 when recording was off (example of v1).
fn failed_object_record(task: &Task) -> Value {
    let list = task.checkpoint.failed_list_key();
    if let Some(code) = &task.checkpoint.failed_list_error {
        json!({ "result": false, "list_file_key": list, "error_code": code })
    } else if list.is_some() {
        json!({ "result": true, "list_file_key": list, "error_code": null })
    } else if task.checkpoint.counters.failed_num > 0 && !task.definition.enable_failed_object_recording {
        json!({ "result": false, "list_file_key": "", "error_code": "S3M.0301" })
    } else {
        json!({ "result": null, "list_file_key": null, "error_code": null })
    }
}

fn migrate_since(definition: &Definition, behaviour: &Behaviour) -> i64 {
    match behaviour.migrate_since_unit {
        TimeUnit::Seconds => definition.migrate_since,
        TimeUnit::Milliseconds => definition.migrate_since.saturating_mul(1000),
    }
}

fn shown_list_file(list: &ListFile) -> Value {
    json!({ "obs_bucket": list.bucket, "list_file_key": list.key })
}

/// Without its key.
fn cdn(cdn: &Cdn, behaviour: &Behaviour) -> Value {
    let mut shown = json!({
        "domain": cdn.domain,
        "protocol": cdn.protocol,
    });
    if behaviour.cdn_authentication_shown {
        shown["authentication_type"] = json!(cdn.authentication_type);
    }
    shown
}

fn task_type(task_type: TaskType) -> &'static str {
    match task_type {
        TaskType::Object => "object",
        TaskType::Prefix => "prefix",
        TaskType::List => "list",
        TaskType::UrlList => "url_list",
    }
}

fn overwrite_mode(mode: OverwriteMode) -> &'static str {
    match mode {
        OverwriteMode::NoOverwrite => "NO_OVERWRITE",
        OverwriteMode::SizeLastModifiedComparisonOverwrite => "SIZE_LAST_MODIFIED_COMPARISON_OVERWRITE",
        OverwriteMode::Crc64ComparisonOverwrite => "CRC64_COMPARISON_OVERWRITE",
        OverwriteMode::FullOverwrite => "FULL_OVERWRITE",
    }
}

pub(super) fn storage_policy(policy: StoragePolicy) -> &'static str {
    match policy {
        StoragePolicy::Standard => "STANDARD",
        StoragePolicy::Ia => "IA",
        StoragePolicy::Archive => "ARCHIVE",
        StoragePolicy::DeepArchive => "DEEP_ARCHIVE",
        StoragePolicy::SrcStorageMapping => "SRC_STORAGE_MAPPING",
    }
}

pub(super) fn consistency_check(check: ConsistencyCheck) -> &'static str {
    match check {
        ConsistencyCheck::SizeLastModified => "size_last_modified",
        ConsistencyCheck::Crc64 => "crc64",
        ConsistencyCheck::NoCheck => "no_check",
    }
}
