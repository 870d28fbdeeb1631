//! Answers of the tasks API. All members of the newest reference are there; secrets have no member to be in.
//!
//! They are written as they are made, because a page has a hundred tasks of fifty members each.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use crate::emulator::{
    config::{Behaviour, TimeUnit},
    mover::{ConsistencyCheck, ListFile, OverwriteMode, Progress, StoragePolicy, TaskType},
    notifications::Notified,
    tasks::{MemberOf, Status, Task, milliseconds},
    wire::{
        bandwidth::BandwidthWindow,
        request::{Cdn, Definition},
    },
};

/// A page of tasks, as ListTasks returns it.
#[derive(Debug, Serialize)]
pub struct TaskPage<'a> {
    /// The tasks of the page.
    pub tasks: Vec<ShownTask<'a>>,
    /// Tasks on all pages.
    pub count: usize,
}

/// One task, as ShowTask and ListTasks return it (OMS API reference 5.3.1, 5.3.2).
#[derive(Debug, Serialize)]
pub struct ShownTask<'a> {
    id: u64,
    name: &'a str,
    task_type: &'static str,
    group_id: &'a str,
    group_type: &'static str,
    status: u8,
    src_node: ShownSource<'a>,
    dst_node: ShownDestination<'a>,
    description: &'a str,
    bandwidth_policy: &'a [BandwidthWindow],
    migrate_since: i64,
    object_overwrite_mode: &'static str,
    dst_storage_policy: &'static str,
    consistency_check: &'static str,
    task_priority: &'static str,
    enable_metadata_migration: bool,
    enable_restore: bool,
    enable_failed_object_recording: bool,
    enable_requester_pays: bool,
    obs_system: &'static str,
    is_query_over: bool,
    progress: f64,
    migrate_speed: u64,
    start_time: i64,
    total_time: u64,
    left_time: u64,
    total_num: u64,
    total_size: u64,
    complete_size: u64,
    real_size: u64,
    successful_num: u64,
    failed_num: u64,
    skipped_num: u64,
    error_reason: Option<ShownFailure<'a>>,
    failed_object_record: FailedObjectRecord<'a>,
    success_record_error_reason: &'a str,
    skip_record_error_reason: &'static str,
    smn_info: Option<Value>,
    source_cdn: Option<Value>,
}

#[derive(Debug, Serialize)]
struct ShownSource<'a> {
    bucket: &'a str,
    cloud_type: &'a str,
    region: &'a str,
    app_id: &'a str,
    object_key: &'a [String],
    list_file: Option<Value>,
}

#[derive(Debug, Serialize)]
struct ShownDestination<'a> {
    bucket: &'a str,
    region: &'a str,
    save_prefix: &'a str,
}

#[derive(Debug, Serialize)]
struct ShownFailure<'a> {
    error_code: &'a str,
    error_msg: Cow<'a, str>,
}

/// All null when nothing failed; result false with S3M.0301 when recording was off (example of v1).
#[derive(Debug, Default, Serialize)]
struct FailedObjectRecord<'a> {
    result: Option<bool>,
    list_file_key: Option<Cow<'a, str>>,
    error_code: Option<&'a str>,
}

/// A task as it is shown. `progress` is what a run under way has told last.
pub fn task<'a>(
    task: &'a Task,
    progress: Option<Progress>,
    behaviour: &Behaviour,
    now: Timestamp,
) -> ShownTask<'a> {
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
    ShownTask {
        id: task.id,
        name: &task.name,
        task_type: task_type(definition.task_type),
        group_id: task.member_of.as_ref().map_or("", MemberOf::id),
        group_type: MemberOf::kind(task.member_of.as_ref()),
        status: shown_status(task, behaviour, now),
        src_node: ShownSource {
            bucket: &definition.source_bucket,
            cloud_type: &definition.cloud_type,
            region: &definition.source_region,
            app_id: &definition.app_id,
            object_key: definition.object_keys.as_deref().unwrap_or_default(),
            list_file: definition.list_file.as_ref().map(shown_list_file),
        },
        dst_node: ShownDestination {
            bucket: &definition.destination_bucket,
            region: &definition.destination_region,
            save_prefix: &definition.save_prefix,
        },
        description: &definition.description,
        bandwidth_policy: &task.bandwidth,
        migrate_since: migrate_since(definition, behaviour),
        object_overwrite_mode: overwrite_mode(definition.overwrite_mode),
        dst_storage_policy: storage_policy(definition.storage_policy),
        consistency_check: consistency_check(definition.consistency_check),
        task_priority: task.priority.as_str(),
        enable_metadata_migration: definition.enable_metadata_migration,
        enable_restore: definition.enable_restore,
        enable_failed_object_recording: definition.enable_failed_object_recording,
        enable_requester_pays: definition.enable_requester_pays,
        obs_system: "BUCKET",
        is_query_over: counters.is_query_over,
        progress: fraction,
        migrate_speed: speed,
        start_time: task.started.map_or(0, Timestamp::as_millisecond),
        total_time: elapsed,
        left_time: left,
        total_num: counters.total_num,
        total_size: counters.total_size,
        complete_size: counters.complete_size,
        real_size: counters.real_size,
        successful_num: counters.successful_num,
        failed_num: counters.failed_num,
        skipped_num: counters.skipped_num,
        error_reason: task.failure.as_ref().map(|failure| ShownFailure {
            error_code: &failure.code,
            error_msg: match failure.message.char_indices().nth(1024) {
                None => Cow::Borrowed(failure.message.as_str()),
                Some((end, _)) => Cow::Borrowed(&failure.message[..end]),
            },
        }),
        failed_object_record: failed_object_record(task),
        success_record_error_reason: task.checkpoint.success_list_error.as_deref().unwrap_or_default(),
        skip_record_error_reason: "",
        smn_info: task.notified.as_ref().map(Notified::shown),
        source_cdn: definition.cdn.as_ref().map(|shown| cdn(shown, behaviour)),
    }
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

fn failed_object_record(task: &Task) -> FailedObjectRecord<'_> {
    let list = task.checkpoint.failed_list_key().map(Cow::from);
    if let Some(code) = &task.checkpoint.failed_list_error {
        FailedObjectRecord { result: Some(false), list_file_key: list, error_code: Some(code) }
    } else if list.is_some() {
        FailedObjectRecord { result: Some(true), list_file_key: list, error_code: None }
    } else if task.checkpoint.counters.failed_num > 0 && !task.definition.enable_failed_object_recording {
        let nowhere = Some(Cow::Borrowed(""));
        FailedObjectRecord { result: Some(false), list_file_key: nowhere, error_code: Some("S3M.0301") }
    } else {
        FailedObjectRecord::default()
    }
}

pub(super) fn migrate_since(definition: &Definition, behaviour: &Behaviour) -> i64 {
    match behaviour.migrate_since_unit {
        TimeUnit::Seconds => definition.migrate_since,
        TimeUnit::Milliseconds => definition.migrate_since.saturating_mul(1000),
    }
}

pub(super) fn shown_list_file(list: &ListFile) -> Value {
    json!({ "obs_bucket": list.bucket, "list_file_key": list.key })
}

/// Without its key.
pub(super) fn cdn(cdn: &Cdn, behaviour: &Behaviour) -> Value {
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

pub(super) fn overwrite_mode(mode: OverwriteMode) -> &'static str {
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
