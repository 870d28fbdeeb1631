//! Answers of the group API (OMS API reference 5.5). Spelling and names differ from those of tasks.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::task::{cdn, consistency_check, migrate_since, overwrite_mode, shown_list_file, storage_policy};
use crate::emulator::{
    config::Behaviour,
    groups::{Group, GroupStatus, Standing},
    mover::{Counters, Progress, TaskType},
    notifications::Notified,
    tasks::Task,
};

/// What the tasks of a group amount to.
#[derive(Debug, Default)]
pub struct Sum {
    /// Tasks by state.
    pub standing: Standing,
    counters: Counters,
    speed: u64,
    recorded: bool,
}

impl Sum {
    /// Sums up tasks, each with what a run under way has told last.
    pub fn of<'a>(tasks: impl Iterator<Item = (&'a Task, Option<Progress>)>) -> Self {
        let mut sum = Self::default();
        for (task, progress) in tasks {
            let counters = progress.map_or(task.checkpoint.counters, |progress| progress.counters);
            sum.standing.count(task);
            sum.counters.total_num += counters.total_num;
            sum.counters.total_size += counters.total_size;
            sum.counters.complete_size += counters.complete_size;
            sum.counters.successful_num += counters.successful_num;
            sum.counters.failed_num += counters.failed_num;
            sum.counters.skipped_num += counters.skipped_num;
            sum.speed += progress.map_or(0, |progress| progress.migrate_speed);
            sum.recorded |= task.checkpoint.failed_list_key().is_some();
        }
        sum
    }
}

/// One group, as ShowTaskGroup and ListTaskGroup return it.
pub fn group(group: &Group, sum: &Sum, behaviour: &Behaviour, now: Timestamp) -> Value {
    let definition = &group.definition;
    let counters = &sum.counters;
    let standing = &sum.standing;
    let number = |number: usize| behaviour.group_task_numbers.then_some(number);
    let mut shown = json!({
        "group_id": group.id,
        "status": group.status.number(),
        "error_reason": group.failure.as_ref().filter(|_| group.status == GroupStatus::CreationFailed).map(
            |failure| json!({
                "error_code": failure.code,
                "error_msg": failure.message.chars().take(1024).collect::<String>(),
            })
        ),
        "src_node": {
            "bucket": definition.source_bucket,
            "cloud_type": definition.cloud_type.to_ascii_uppercase(),
            "region": definition.source_region,
            "app_id": definition.app_id,
            "object_key": definition.object_keys.clone().unwrap_or_default(),
            "list_file": definition.list_file.as_ref().map(shown_list_file),
        },
        "description": definition.description,
        "dst_node": {
            "bucket": definition.destination_bucket,
            "region": definition.destination_region,
            "save_prefix": definition.save_prefix,
        },
        "enable_metadata_migration": definition.enable_metadata_migration,
        "enable_failed_object_recording": definition.enable_failed_object_recording,
        "enable_restore": definition.enable_restore,
        "enable_requester_pays": definition.enable_requester_pays,
        "task_type": task_type(definition.task_type),
        "bandwidth_policy": group.bandwidth,
        "migrate_since": migrate_since(definition, behaviour),
        "object_overwrite_mode": overwrite_mode(definition.overwrite_mode),
        "dst_storage_policy": storage_policy(definition.storage_policy),
        "consistency_check": consistency_check(definition.consistency_check),
        "obs_system": "BUCKET",
    });
    let at_work = group.status.takes_a_place();
    let moving = json!({
        "smn_config": group.notified.as_ref().map(Notified::shown),
        "source_cdn": definition.cdn.as_ref().map(|shown| cdn(shown, behaviour)),
        "migrate_speed": if at_work { sum.speed } else { 0 },
        "total_time": group.elapsed(now).as_millis().max(0) as u64,
        "start_time": group.started.map_or(0, Timestamp::as_millisecond),
        "total_task_num": number(standing.total),
        "create_task_num": number(standing.total),
        "failed_task_num": number(standing.failed),
        "complete_task_num": number(standing.succeeded),
        "paused_task_num": number(standing.stopped),
        "executing_task_num": number(standing.running),
        "waiting_task_num": number(standing.waiting),
        "total_num": counters.total_num,
        "create_complete_num": behaviour.group_task_numbers.then_some(counters.total_num),
        "success_num": counters.successful_num,
        "fail_num": counters.failed_num,
        "skip_num": counters.skipped_num,
        "total_size": counters.total_size,
        "create_complete_size": behaviour.group_task_numbers.then_some(counters.total_size),
        "complete_size": counters.complete_size,
        "failed_object_record": failed_object_record(group, sum),
    });
    // In two parts, as one is more than the macro can take.
    if let (Value::Object(shown), Value::Object(moving)) = (&mut shown, moving) {
        shown.extend(moving);
    }
    shown
}

/// The folder with the lists of all tasks.
fn failed_object_record(group: &Group, sum: &Sum) -> Value {
    if sum.recorded {
        let folder = format!("oms/task_group/{}/failed_object_lists/", group.id);
        json!({ "result": true, "list_file_key": folder, "error_code": null })
    } else if sum.counters.failed_num > 0 && !group.definition.enable_failed_object_recording {
        json!({ "result": false, "list_file_key": "", "error_code": "S3M.0301" })
    } else {
        json!({ "result": null, "list_file_key": null, "error_code": null })
    }
}

fn task_type(task_type: TaskType) -> &'static str {
    match task_type {
        TaskType::List => "LIST",
        TaskType::UrlList => "URL_LIST",
        TaskType::Prefix | TaskType::Object => "PREFIX",
    }
}
