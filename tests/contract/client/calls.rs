//! One call of the client per operation, with as little as it takes or with every member it knows.

mod parts;

use oms_operator::oms::{Client, CloudSide, Error, RetryTaskGroup, StartTaskGroup, TaskId, Urgency};
use serde_json::Value;

use self::parts::{
    access, batch, check_cdn, check_prefix, create_sync_task, create_task, create_task_group, events,
    group_keys, list_sync_tasks, list_task_group, list_tasks, moment, objects, start_sync_task, start_task,
    statistic, url_list, windows,
};

/// How much of a request is filled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fill {
    Minimal,
    Full,
}

/// What is asked for; an answer about something else is none.
#[derive(Clone, Debug)]
pub struct Target {
    task: TaskId,
    group: String,
    sync_task: String,
    version: String,
}

impl Default for Target {
    fn default() -> Self {
        Self {
            task: TaskId::new(191_297_407_830_872),
            group: "157ece42-3270-4824-a3d2-f0187a03ca01".into(),
            sync_task: "0d146099-8cf4-437d-b6ef-88e043771c8b".into(),
            version: "v2".into(),
        }
    }
}

impl Target {
    /// What an answer is about.
    pub fn of(answer: Option<&Value>) -> Self {
        let text = |name: &str| answer.and_then(|answer| answer[name].as_str()).map(str::to_owned);
        let bare = Self::default();
        Self {
            task: answer.and_then(|answer| answer["id"].as_u64()).map_or(bare.task, TaskId::new),
            group: text("group_id").unwrap_or(bare.group),
            sync_task: text("sync_task_id").unwrap_or(bare.sync_task),
            version: bare.version,
        }
    }
}

/// Calls the operation.
pub async fn perform(client: &Client, operation: &str, fill: Fill, target: &Target) -> Result<(), Error> {
    let full = fill == Fill::Full;
    let urgency = Urgency::User;
    let Target { task, group, sync_task, version } = target;
    match operation {
        "BatchUpdateTasks" => client.batch_update_tasks(&batch(full), urgency).await,
        "CheckPrefix" => client.check_prefix(&check_prefix(full), urgency).await.map(drop),
        "CheckUrlSourceListFileFormat" => {
            client.check_url_source_list_file_format(&url_list(), urgency).await
        }
        "CreateSyncEvents" => client.create_sync_events(sync_task, &events(full), urgency).await,
        "CreateSyncTask" => client.create_sync_task(&create_sync_task(full), urgency).await.map(drop),
        "CreateTask" => client.create_task(&create_task(full), urgency).await.map(drop),
        "CreateTaskGroup" => client.create_task_group(&create_task_group(full), urgency).await.map(drop),
        "DeleteSyncTask" => client.delete_sync_task(sync_task, urgency).await,
        "DeleteTask" => client.delete_task(*task, urgency).await,
        "DeleteTaskGroup" => client.delete_task_group(group, urgency).await,
        "ListApiVersions" => client.list_api_versions(urgency).await.map(drop),
        "ListSyncTaskStatistic" => {
            client.list_sync_task_statistic(sync_task, &statistic(full), urgency).await.map(drop)
        }
        "ListSyncTasks" => client.list_sync_tasks(&list_sync_tasks(full), urgency).await.map(drop),
        "ListTaskGroup" => client.list_task_group(&list_task_group(full), urgency).await.map(drop),
        "ListTasks" => client.list_tasks(&list_tasks(full), urgency).await.map(drop),
        "RetryTaskGroup" => {
            let request = RetryTaskGroup { keys: group_keys(full), migrate_failed_object: full };
            client.retry_task_group(group, &request, urgency).await
        }
        "ShowApiInfo" => client.show_api_info(version, urgency).await.map(drop),
        "ShowBucketList" => client.show_bucket_list(&access(full), urgency).await.map(drop),
        "ShowBucketObjects" => client.show_bucket_objects(&objects(full), urgency).await.map(drop),
        "ShowBucketRegion" => client.show_bucket_region(&access(full), "photos", urgency).await.map(drop),
        "ShowCdnInfo" => client.show_cdn_info(&check_cdn(full), urgency).await.map(drop),
        "ShowCloudType" => {
            let side = if full { CloudSide::Source } else { CloudSide::Destination };
            client.show_cloud_type(side, urgency).await.map(drop)
        }
        "ShowRegionInfo" => client.show_region_info(urgency).await.map(drop),
        "ShowSyncTask" => client.show_sync_task(sync_task, moment("2026-11-01"), urgency).await.map(drop),
        "ShowTask" => client.show_task(*task, urgency).await.map(drop),
        "ShowTaskGroup" => client.show_task_group(group, urgency).await.map(drop),
        "StartSyncTask" => client.start_sync_task(sync_task, &start_sync_task(full), urgency).await,
        "StartTask" => client.start_task(*task, &start_task(full), urgency).await,
        "StartTaskGroup" => {
            let request = StartTaskGroup { keys: group_keys(full) };
            client.start_task_group(group, &request, urgency).await
        }
        "StopSyncTask" => client.stop_sync_task(sync_task, urgency).await,
        "StopTask" => client.stop_task(*task, urgency).await,
        "StopTaskGroup" => client.stop_task_group(group, urgency).await,
        "UpdateBandwidthPolicy" => client.update_bandwidth_policy(*task, &windows(full), urgency).await,
        "UpdatePrivacyAgreementRecord" => client.update_privacy_agreement_record(urgency).await,
        "UpdateTaskGroup" => client.update_task_group(group, &windows(full), urgency).await,
        "v1ListVersions" => client.v1_list_versions(urgency).await.map(drop),
        "v1ShowQuotas" => client.v1_show_quotas("d78cbac186b744899480f25bd022f468", urgency).await.map(drop),
        other => panic!("no method of the client calls {other}"),
    }
}
