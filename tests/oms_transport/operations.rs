//! Every operation: that it asks for what the reference documents, and reads the reference's own answer.

use oms_operator::oms::{
    ApiVersion, BatchUpdateTasks, BucketAccess, CheckPrefix, CheckUrlSourceListFileFormat, CloudSide,
    CreateSyncEvents, GroupStatus, ListFile, ListSyncTasks, ListTaskGroup, ListTasks, RetryTaskGroup,
    ShowBucketObjects, ShowCdnInfo, SourceCdn, StartSyncTask, StartTask, StartTaskGroup, StatisticInterval,
    StatisticKind, SyncStatus, SyncTaskStatisticQuery, TaskId, TaskSelection, TaskStatus,
};
use serde_json::{Value, json};

use super::requests::{
    GROUP, SYNC, USER, access, asked, at, create_group, create_sync, create_task, group_keys, nodding,
    request, saying, windows, windows_sent,
};
use super::server::{PROJECT, Server, json_answer};

#[tokio::test]
async fn tasks_are_created_shown_and_listed() {
    let server = saying("CreateTask", 0).await;
    let created = server.client().create_task(&create_task(), USER).await.unwrap();
    assert_eq!((created.id, created.name.as_str()), (TaskId::new(200_429_548_242_937), "task_name"));
    let body = json!({
        "task_type": "url_list",
        "src_node": {"cloud_type": "URLSource",
                     "list_file": {"obs_bucket": "list_file_bucket", "list_file_key": "object_list_file.txt"}},
        "dst_node": {"region": "cn-north-1", "ak": "dst_ak", "sk": "dst_sk", "bucket": "dst_bucket"},
        "enable_failed_object_recording": true, "description": "xxx",
    });
    assert_eq!(asked(&server), request("POST", "/tasks", "", body));

    let server = saying("ShowTask", 1).await;
    let task = server.client().show_task(TaskId::new(200_477_729_979_132), USER).await.unwrap();
    assert_eq!((task.status, task.successful_num, task.total_time), (TaskStatus::Succeeded, 2, 31_111));
    assert_eq!((task.smn_info, task.source_cdn, task.error_reason), (None, None, None));
    assert_eq!(asked(&server), request("GET", "/tasks/200477729979132", "", Value::Null));

    let server = saying("ListTasks", 0).await;
    let query =
        ListTasks { group_id: Some("g 1".into()), status: Some(TaskStatus::Failed), ..ListTasks::default() };
    let page = server.client().list_tasks(&query, USER).await.unwrap();
    assert_eq!((page.count, page.tasks[0].status), (1, TaskStatus::Initializing));
    let cdn = page.tasks[0].source_cdn.as_ref().unwrap();
    assert_eq!((cdn.domain.as_str(), cdn.authentication_type.as_deref()), ("xxx.xxx.xxx", Some("string")));
    assert_eq!(page.tasks[0].smn_info.as_ref().unwrap().notify_result, Some(true));
    let query = "group_id=g%201&limit=100&offset=0&status=4";
    assert_eq!(asked(&server), request("GET", "/tasks", query, Value::Null));
}

#[tokio::test]
async fn tasks_are_changed_whatever_the_yes_looks_like() {
    let id = TaskId::new(191_297_407_830_872);
    let start = StartTask {
        src_ak: Some("src_ak".into()),
        src_sk: Some("src_sk".into()),
        dst_ak: "dst_ak".into(),
        dst_sk: "dst_sk".into(),
        ..StartTask::default()
    };
    let batch = BatchUpdateTasks {
        tasks: TaskSelection::Group("xxxxxxx".into()),
        bandwidth_policy: windows(),
        task_priority: None,
    };
    for way in 0..4 {
        let server = nodding(way).await;
        server.client().start_task(id, &start, USER).await.unwrap();
        let body = json!({"src_ak": "src_ak", "src_sk": "src_sk", "dst_ak": "dst_ak", "dst_sk": "dst_sk",
                          "migrate_failed_object": false});
        assert_eq!(asked(&server), request("POST", "/tasks/191297407830872/start", "", body));

        let server = nodding(way).await;
        server.client().stop_task(id, USER).await.unwrap();
        assert_eq!(asked(&server), request("POST", "/tasks/191297407830872/stop", "", Value::Null));

        let server = nodding(way).await;
        server.client().delete_task(id, USER).await.unwrap();
        assert_eq!(asked(&server), request("DELETE", "/tasks/191297407830872", "", Value::Null));

        let server = nodding(way).await;
        server.client().update_bandwidth_policy(id, &windows(), USER).await.unwrap();
        let body = json!({"bandwidth_policy": windows_sent()});
        assert_eq!(asked(&server), request("PUT", "/tasks/191297407830872/bandwidth-policy", "", body));

        let server = nodding(way).await;
        server.client().batch_update_tasks(&batch, USER).await.unwrap();
        let body = json!({"group_id": "xxxxxxx", "bandwidth_policy": windows_sent()});
        assert_eq!(asked(&server), request("POST", "/tasks/batch-update", "", body));

        let server = nodding(way).await;
        server.client().update_privacy_agreement_record(USER).await.unwrap();
        assert_eq!(asked(&server), request("POST", "/privacy-agreements", "", Value::Null));
    }
}

#[tokio::test]
async fn groups_are_created_shown_and_listed() {
    let server = saying("CreateTaskGroup", 0).await;
    let created = server.client().create_task_group(&create_group(), USER).await.unwrap();
    assert_eq!(created.group_id, "9ad15f51-778f-4684-b47b-4c5109c0e105");
    let body = json!({
        "src_node": {"region": "cn-north-4", "ak": "src_ak", "sk": "src_sk", "bucket": "src-bucket",
                     "cloud_type": "HuaweiCloud", "object_key": ["Objectlist"]},
        "dst_node": {"region": "cn-north-4", "ak": "dst_ak", "sk": "dst_sk", "bucket": "dst-bucket"},
        "task_type": "PREFIX", "enable_failed_object_recording": true, "bandwidth_policy": windows_sent(),
    });
    assert_eq!(asked(&server), request("POST", "/taskgroups", "", body));

    let server = saying("ShowTaskGroup", 1).await;
    let group = server.client().show_task_group(GROUP, USER).await.unwrap();
    assert_eq!((group.status, group.total_num), (GroupStatus::Stopped, 4_128_588));
    assert_eq!((group.total_task_num, group.smn_info, group.migrate_since), (None, None, None));
    assert_eq!(asked(&server), request("GET", &format!("/taskgroups/{GROUP}"), "", Value::Null));

    let server = saying("ListTaskGroup", 0).await;
    let query = ListTaskGroup { status: Some(GroupStatus::Failed), limit: 10, offset: 0 };
    let page = server.client().list_task_group(&query, USER).await.unwrap();
    assert_eq!((page.count, page.groups.len()), (353, 10));
    let failed: Vec<_> = page.groups.iter().filter(|group| group.status == GroupStatus::Failed).collect();
    assert!(failed.iter().all(|group| group.fail_num > 0 && group.error_reason.is_none()));
    assert_eq!(failed[0].failed_object_record.result, Some(true));
    assert_eq!(page.groups[0].src_node.cloud_type.as_deref(), Some("TENCENT"));
    assert_eq!(asked(&server), request("GET", "/taskgroups", "limit=10&offset=0&status=5", Value::Null));
}

#[tokio::test]
async fn groups_are_changed_whatever_the_yes_looks_like() {
    let path = |below: &str| format!("/taskgroups/{GROUP}{below}");
    let keys = json!({"src_ak": "src_AK", "src_sk": "src_SK", "dst_ak": "dst_AK", "dst_sk": "dst_SK"});
    for way in 0..4 {
        let server = nodding(way).await;
        let start = StartTaskGroup { keys: group_keys() };
        server.client().start_task_group(GROUP, &start, USER).await.unwrap();
        assert_eq!(asked(&server), request("PUT", &path("/start"), "", keys.clone()));

        let server = nodding(way).await;
        server.client().stop_task_group(GROUP, USER).await.unwrap();
        assert_eq!(asked(&server), request("PUT", &path("/stop"), "", Value::Null));

        let server = nodding(way).await;
        let retry = RetryTaskGroup { keys: group_keys(), migrate_failed_object: true };
        server.client().retry_task_group(GROUP, &retry, USER).await.unwrap();
        let mut body = keys.clone();
        body["migrate_failed_object"] = true.into();
        assert_eq!(asked(&server), request("PUT", &path("/retry"), "", body));

        let server = nodding(way).await;
        server.client().update_task_group(GROUP, &windows(), USER).await.unwrap();
        let body = json!({"bandwidth_policy": windows_sent()});
        assert_eq!(asked(&server), request("PUT", &path("/update"), "", body));

        let server = nodding(way).await;
        server.client().delete_task_group(GROUP, USER).await.unwrap();
        assert_eq!(asked(&server), request("DELETE", &path(""), "", Value::Null));
    }
}

#[tokio::test]
async fn sync_tasks_are_created_shown_and_listed() {
    let server = saying("CreateSyncTask", 0).await;
    let created = server.client().create_sync_task(&create_sync(), USER).await.unwrap();
    assert_eq!(created.sync_task_id, "x".repeat(20));
    let body = json!({
        "src_cloud_type": "Aliyun", "src_region": "cn-beijing", "src_bucket": "api-auto-test1", "src_ak": "src_ak",
        "src_sk": "src_sk", "dst_ak": "dst_ak", "dst_sk": "dst_sk", "dst_region": "cn-north-4",
        "dst_bucket": "oms-sonar-north",
    });
    assert_eq!(asked(&server), request("POST", "/sync-tasks", "", body));

    let server = saying("ShowSyncTask", 0).await;
    let task = server.client().show_sync_task(SYNC, at(1_700_639_560_751), USER).await.unwrap();
    assert_eq!((task.status, task.create_time), (SyncStatus::Synchronizing, 1_700_639_560_751));
    assert_eq!((task.monthly_acceptance_request, task.monthly_failure_object), (Some(11), Some(11)));
    let path = format!("/sync-tasks/{SYNC}");
    assert_eq!(asked(&server), request("GET", &path, "query_time=1700639560751", Value::Null));

    let server = saying("ListSyncTasks", 1).await;
    let query = ListSyncTasks { status: Some(SyncStatus::Synchronizing), limit: 5, offset: 0 };
    let page = server.client().list_sync_tasks(&query, USER).await.unwrap();
    assert_eq!((page.count, page.tasks[0].sync_task_id.as_str()), (1, SYNC));
    assert_eq!(page.tasks[0].monthly_size, None);
    let query = "limit=5&offset=0&status=SYNCHRONIZING";
    assert_eq!(asked(&server), request("GET", "/sync-tasks", query, Value::Null));

    let server = saying("ListSyncTaskStatistic", 0).await;
    let query = SyncTaskStatisticQuery {
        kinds: vec![StatisticKind::Request, StatisticKind::Size],
        start_time: at(1_700_150_400_000),
        end_time: at(1_700_188_200_000),
    };
    let statistic = server.client().list_sync_task_statistic(SYNC, &query, USER).await.unwrap();
    assert_eq!(statistic.interval, StatisticInterval::FiveMinutes);
    let [series] = statistic.series.as_slice() else { panic!("{statistic:?}") };
    assert_eq!((&series.kind, series.points.len()), (&StatisticKind::Request, 113));
    let sum: u64 = series.points.iter().map(|point| point.sum).sum();
    assert!(sum > 1_000, "{sum}");
    let query = "data_type=REQUEST%2CSIZE&end_time=1700188200000&start_time=1700150400000";
    assert_eq!(asked(&server), request("GET", &format!("{path}/statistics"), query, Value::Null));
}

#[tokio::test]
async fn sync_tasks_are_changed_whatever_the_yes_looks_like() {
    let path = |below: &str| format!("/sync-tasks/{SYNC}{below}");
    for way in 0..4 {
        let server = nodding(way).await;
        let start = StartSyncTask {
            src_ak: "src_ak".into(),
            src_sk: "src_sk".into(),
            dst_ak: "dst_ak".into(),
            dst_sk: "dst_sk".into(),
            ..StartSyncTask::default()
        };
        server.client().start_sync_task(SYNC, &start, USER).await.unwrap();
        let body = json!({"src_ak": "src_ak", "src_sk": "src_sk", "dst_ak": "dst_ak", "dst_sk": "dst_sk"});
        assert_eq!(asked(&server), request("POST", &path("/start"), "", body));

        let server = nodding(way).await;
        server.client().stop_sync_task(SYNC, USER).await.unwrap();
        assert_eq!(asked(&server), request("POST", &path("/stop"), "", Value::Null));

        let server = nodding(way).await;
        server.client().delete_sync_task(SYNC, USER).await.unwrap();
        assert_eq!(asked(&server), request("DELETE", &path(""), "", Value::Null));

        let server = nodding(way).await;
        let events = CreateSyncEvents { object_keys: vec!["test/001.txt".into(), "a+b %\u{4e2d}".into()] };
        server.client().create_sync_events(SYNC, &events, USER).await.unwrap();
        let body = json!({"object_keys": ["test%2F001.txt", "a%2Bb%20%25%E4%B8%AD"]});
        assert_eq!(asked(&server), request("POST", &path("/events"), "", body));
    }
}

#[tokio::test]
async fn buckets_are_looked_into() {
    let server = saying("ShowBucketList", 0).await;
    let account = BucketAccess { app_id: Some("apptest123".into()), ..access() };
    assert_eq!(server.client().show_bucket_list(&account, USER).await.unwrap(), ["xxxx"]);
    let body = json!({"cloud_type": "HuaweiCloud", "ak": "xxxxak", "sk": "xxxxsk", "app_id": "apptest123"});
    assert_eq!(asked(&server), request("POST", "/objectstorage/buckets", "", body));

    let server = saying("ShowBucketRegion", 0).await;
    let region = server.client().show_bucket_region(&access(), "xxx", USER).await.unwrap();
    assert_eq!((region.id.as_str(), region.support), ("string", None));
    let body = json!({"cloud_type": "HuaweiCloud", "ak": "xxxxak", "sk": "xxxxsk", "bucket_name": "xxx"});
    assert_eq!(asked(&server), request("POST", "/objectstorage/buckets/regions", "", body));

    let server = saying("CheckPrefix", 0).await;
    let prefix = CheckPrefix {
        access: access(),
        security_token: Some("string".into()),
        bucket: "xxx".into(),
        region: "cn-north-x".into(),
        prefix: "xxxx".into(),
    };
    assert!(server.client().check_prefix(&prefix, USER).await.unwrap());
    let body = json!({"cloud_type": "HuaweiCloud", "ak": "xxxxak", "sk": "xxxxsk", "bucket_name": "xxx",
                      "file_name": "xxxx", "data_center": "cn-north-x", "security_token": "string"});
    assert_eq!(asked(&server), request("POST", "/objectstorage/buckets/prefix", "", body));

    let server = saying("ShowCdnInfo", 0).await;
    let cdn = ShowCdnInfo {
        access: access(),
        bucket: "xxx".into(),
        region: "cn-hangzhou".into(),
        source_cdn: SourceCdn {
            domain: "xxx".into(),
            protocol: "https".into(),
            authentication_type: "NONE".into(),
            ..SourceCdn::default()
        },
        keys: vec!["yyy".into()],
    };
    let check = server.client().show_cdn_info(&cdn, USER).await.unwrap();
    assert_eq!((check.is_download_available, check.checked_keys.len()), (Some(false), 5));
    let body = json!({"ak": "xxxxak", "sk": "xxxxsk", "cloud_type": "HuaweiCloud", "region": "cn-hangzhou",
                      "bucket": "xxx", "prefix": {"keys": ["yyy"]},
                      "source_cdn": {"protocol": "https", "domain": "xxx", "authentication_type": "NONE"}});
    assert_eq!(asked(&server), request("POST", "/objectstorage/buckets/cdn-info", "", body));

    let server = nodding(0).await;
    let list = CheckUrlSourceListFileFormat {
        list_file: ListFile {
            list_file_key: "object_list_file.txt".into(),
            obs_bucket: "obs_bucket_name".into(),
        },
        ak: "access_key_1234".into(),
        sk: "secret_key_1234".into(),
        region: "cn-north-1".into(),
    };
    server.client().check_url_source_list_file_format(&list, USER).await.unwrap();
    let body = json!({"obs_bucket": "obs_bucket_name", "list_file_key": "object_list_file.txt",
                      "ak": "access_key_1234", "sk": "secret_key_1234", "region": "cn-north-1"});
    assert_eq!(asked(&server), request("POST", "/objectstorage/buckets/url-source-list-file", "", body));
}

#[tokio::test]
async fn a_folder_is_listed_to_its_end_even_if_a_marker_does_not_move() {
    let server = saying("ShowBucketObjects", 0).await;
    let folder = ShowBucketObjects {
        access: access(),
        bucket: "xxx".into(),
        region: "cn-north-x".into(),
        folder: "A/".into(),
        page_size: 100,
        behind_filename: String::new(),
    };
    let page = server.client().show_bucket_objects(&folder, USER).await.unwrap();
    assert_eq!((page.records[1].size.as_str(), page.next_marker), ("73.59 MB", None));
    let body = json!({"page_size": 100, "behind_filename": "", "file_path": "A/", "cloud_type": "HuaweiCloud",
                      "bucket_name": "xxx", "ak": "xxxxak", "sk": "xxxxsk", "data_center": "cn-north-x"});
    assert_eq!(asked(&server), request("POST", "/objectstorage/buckets/objects", "", body));

    // Two pages; the second one points at itself, as a confused server might.
    let server = Server::start(|seen| {
        let behind = seen.json()["behind_filename"].as_str().unwrap().to_owned();
        let name = if behind.is_empty() { "A/1" } else { "A/2" };
        json_answer(
            200,
            json!({"next_page": true, "next_marker": "A/1", "records": [{"name": name, "size": "--"}]}),
        )
    })
    .await;
    let (client, mut folder, mut names) = (server.client(), folder, Vec::new());
    loop {
        let page = client.show_bucket_objects(&folder, USER).await.unwrap();
        names.extend(page.records.into_iter().map(|record| record.name));
        let Some(marker) = page.next_marker else { break };
        folder.behind_filename = marker;
    }
    assert_eq!(names, ["A/1", "A/2"]);
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn versions_providers_regions_and_quotas_are_read() {
    for example in 0..2 {
        let server = saying("ListApiVersions", example).await;
        let versions = server.client().list_api_versions(USER).await.unwrap();
        assert_eq!(versions.len(), 2);
        assert_eq!(versions[0].status.as_deref(), (example == 1).then_some("SUPPORTED"));
        assert_eq!(asked(&server), request("GET", "/", "", Value::Null));

        let server = saying("ShowApiInfo", example).await;
        let version = server.client().show_api_info("v2", USER).await.unwrap();
        let updated = Some("2020-04-01T12:00:00Z".to_owned());
        let status = (example == 1).then(|| "SUPPORTED".to_owned());
        assert_eq!(version, ApiVersion { id: "v2".into(), status, updated });
        assert_eq!(asked(&server), request("GET", "/v2", "", Value::Null));
    }

    let server = saying("ShowCloudType", 0).await;
    let clouds = server.client().show_cloud_type(CloudSide::Source, USER).await.unwrap();
    assert_eq!((clouds.len(), clouds[11].as_str()), (12, "URLSource"));
    assert_eq!(asked(&server), request("GET", "/objectstorage/cloud-type", "type=src", Value::Null));

    let server = saying("ShowRegionInfo", 0).await;
    let regions = server.client().show_region_info(USER).await.unwrap();
    assert_eq!((regions.len(), regions[0].service_name.as_str(), regions[0].regions.len()), (1, "AWS", 15));
    assert_eq!(asked(&server), request("GET", "/objectstorage/data-center", "", Value::Null));

    let server = saying("v1ListVersions", 0).await;
    let versions = server.client().v1_list_versions(USER).await.unwrap();
    assert_eq!(versions[1].status.as_deref(), Some("CURRENT"));
    let path = format!("/v1/{PROJECT}/objectstorage/version");
    assert_eq!(asked(&server), request("GET", &path, "", Value::Null));

    let server = saying("v1ShowQuotas", 0).await;
    let quotas = server.client().v1_show_quotas("domain/1", USER).await.unwrap();
    assert_eq!((quotas[0].kind.as_str(), quotas[0].limit), ("MaxParallelTaskNum", Some(5)));
    assert_eq!(asked(&server), request("GET", "/v1/domain%2F1/objectstorage/quotas", "", Value::Null));
}
