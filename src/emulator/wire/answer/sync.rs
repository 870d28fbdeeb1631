//! Answers about synchronization tasks (OMS API reference 5.4). Secrets have no member to be in.

use serde_json::{Value, json};

use super::super::request::sync::ListSyncTaskStatistic;
use super::task::{consistency_check, storage_policy};
use crate::emulator::{
    config::SyncBehaviour,
    sync::{
        statistics::{Interval, Sums},
        task::SyncTask,
    },
};

/// What list and show have in common.
fn common(task: &SyncTask, behaviour: &SyncBehaviour) -> Value {
    let definition = &task.definition;
    let mut shown = json!({
        "sync_task_id": task.id,
        "src_cloud_type": definition.cloud_type,
        "src_region": definition.source_region,
        "src_bucket": definition.source_bucket,
        "create_time": task.created.as_millisecond(),
        "last_start_time": task.started.as_millisecond(),
        "dst_bucket": definition.destination_bucket,
        "dst_region": definition.destination_region,
        "description": definition.description,
        "status": task.status.as_str(),
        "enable_metadata_migration": definition.enable_metadata_migration,
        "enable_restore": definition.enable_restore,
        "app_id": Some(definition.app_id.as_str()).filter(|id| !id.is_empty()),
        "object_overwrite_mode": "SIZE_LAST_MODIFIED_COMPARISON_OVERWRITE",
        // What was not given reads as null in the examples, although it means STANDARD.
        "dst_storage_policy": definition.storage_policy.map(storage_policy),
        "consistency_check": consistency_check(definition.consistency_check),
    });
    if behaviour.echo_enable_kms {
        shown["enable_kms"] = json!(definition.enable_kms);
    }
    shown
}

/// A task in ListSyncTasks, which knows the CDN and no counters.
pub fn listed(task: &SyncTask, behaviour: &SyncBehaviour) -> Value {
    let mut listed = common(task, behaviour);
    listed["source_cdn"] = json!(task.definition.cdn.as_ref().map(|cdn| json!({
        "domain": cdn.domain,
        "protocol": cdn.protocol,
        "authentication_type": cdn.authentication_type,
    })));
    listed
}

/// A task in ShowSyncTask, which knows the counters of a month and no CDN.
pub fn shown(task: &SyncTask, month: &Sums, behaviour: &SyncBehaviour) -> Value {
    let mut shown = common(task, behaviour);
    for (name, number) in [
        ("monthly_acceptance_request", month.request),
        ("monthly_success_object", month.success),
        ("monthly_failure_object", month.failure),
        ("monthly_skip_object", month.skip),
        ("monthly_size", month.size),
    ] {
        shown[name] = json!(number);
    }
    shown
}

/// The answer to ListSyncTaskStatistic: the series in the order in which they were asked for.
pub fn statistics(task: &SyncTask, query: &ListSyncTaskStatistic) -> Value {
    let series: Vec<Value> = query
        .series
        .iter()
        .map(|series| {
            let points: Vec<Value> = task
                .statistics
                .points(*series, query.start, query.end)
                .into_iter()
                .map(|(at, number)| json!({ "time_stamp": at, "statistic_num": number }))
                .collect();
            json!({ "data_type": series.as_str(), "data": points })
        })
        .collect();
    json!({
        "sync_task_id": task.id,
        "statistic_time_type": Interval::of_span(query.start, query.end).as_str(),
        "statistic_datas": series,
    })
}
