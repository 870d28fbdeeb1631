//! Every operation: that it asks for what the reference documents, and reads the reference's own answer.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use axum::response::IntoResponse;
use jiff::Timestamp;
use oms_operator::oms::{
    ApiVersion, BandwidthWindow, BatchUpdateTasks, BucketAccess, CheckPrefix, CheckUrlSourceListFileFormat,
    Class, CloudSide, CreateSyncEvents, CreateSyncTask, CreateTask, CreateTaskGroup, Delivery,
    DestinationNode, Error, GroupDestinationNode, GroupKeys, GroupSourceNode, GroupStatus, ListFile,
    ListSyncTasks, ListTaskGroup, ListTasks, RetryTaskGroup, ShowBucketObjects, ShowCdnInfo, SourceCdn,
    SourceNode, StartSyncTask, StartTask, StartTaskGroup, StatisticInterval, StatisticKind, SyncStatus,
    SyncTaskStatisticQuery, TaskId, TaskSelection, TaskStatus, Urgency,
};
use serde_json::{Value, json};

use super::server::{PROJECT, Server, json_answer};

const GROUP: &str = "9522a7e5-b4fc-44b9-93e1-4dbadbd86e67";
const SYNC: &str = "d18befdd-eb82-41f3-8019-bbb593d74a3e";
const USER: Urgency = Urgency::User;

/// An example of the reference.
fn documented(operation: &str, index: usize) -> Value {
    let examples: BTreeMap<String, Vec<Value>> =
        serde_json::from_str(include_str!("../../src/oms/client/documented.json")).unwrap();
    examples[operation][index].clone()
}

/// A server that answers everything with an example.
async fn saying(operation: &str, index: usize) -> Server {
    let body = documented(operation, index);
    Server::start(move |_| json_answer(200, body.clone())).await
}

/// A server that answers yes in one of the ways services do.
async fn nodding(way: usize) -> Server {
    Server::start(move |_| match way % 4 {
        0 => StatusCode::OK.into_response(),
        1 => StatusCode::NO_CONTENT.into_response(),
        2 => json_answer(200, json!({})),
        _ => (StatusCode::ACCEPTED, "null").into_response(),
    })
    .await
}

/// The only request the server has seen: method, path below the project, query and body.
fn asked(server: &Server) -> (String, String, String, Value) {
    let seen = server.seen();
    assert_eq!(seen.len(), 1);
    let below = seen[0].path.strip_prefix(&format!("/v2/{PROJECT}")).unwrap_or(&seen[0].path).to_owned();
    let body = if seen[0].body.is_empty() { Value::Null } else { seen[0].json() };
    (seen[0].method.clone(), below, seen[0].query.clone(), body)
}

fn request(method: &str, path: &str, query: &str, body: Value) -> (String, String, String, Value) {
    (method.to_owned(), path.to_owned(), query.to_owned(), body)
}

fn windows() -> Vec<BandwidthWindow> {
    vec![BandwidthWindow { start: "00:01".into(), end: "23:59".into(), max_bandwidth: 50_000_000 }]
}

fn windows_sent() -> Value {
    json!([{"start": "00:01", "end": "23:59", "max_bandwidth": 50_000_000}])
}

fn create_task() -> CreateTask {
    CreateTask {
        task_type: "url_list".into(),
        src_node: SourceNode {
            cloud_type: "URLSource".into(),
            list_file: Some(ListFile {
                list_file_key: "object_list_file.txt".into(),
                obs_bucket: "list_file_bucket".into(),
            }),
            ..SourceNode::default()
        },
        dst_node: DestinationNode {
            region: "cn-north-1".into(),
            ak: "dst_ak".into(),
            sk: "dst_sk".into(),
            bucket: "dst_bucket".into(),
            ..DestinationNode::default()
        },
        enable_failed_object_recording: Some(true),
        description: Some("xxx".into()),
        ..CreateTask::default()
    }
}

fn create_group() -> CreateTaskGroup {
    CreateTaskGroup {
        task_type: "PREFIX".into(),
        src_node: GroupSourceNode {
            cloud_type: "HuaweiCloud".into(),
            region: Some("cn-north-4".into()),
            bucket: Some("src-bucket".into()),
            ak: Some("src_ak".into()),
            sk: Some("src_sk".into()),
            object_key: vec!["Objectlist".into()],
            ..GroupSourceNode::default()
        },
        dst_node: GroupDestinationNode {
            region: "cn-north-4".into(),
            bucket: "dst-bucket".into(),
            ak: "dst_ak".into(),
            sk: "dst_sk".into(),
            ..GroupDestinationNode::default()
        },
        enable_failed_object_recording: Some(true),
        bandwidth_policy: windows(),
        ..CreateTaskGroup::default()
    }
}

fn group_keys() -> GroupKeys {
    GroupKeys {
        src_ak: Some("src_AK".into()),
        src_sk: Some("src_SK".into()),
        dst_ak: "dst_AK".into(),
        dst_sk: "dst_SK".into(),
        ..GroupKeys::default()
    }
}

fn create_sync() -> CreateSyncTask {
    CreateSyncTask {
        src_cloud_type: "Aliyun".into(),
        src_region: "cn-beijing".into(),
        src_bucket: "api-auto-test1".into(),
        src_ak: "src_ak".into(),
        src_sk: "src_sk".into(),
        dst_ak: "dst_ak".into(),
        dst_sk: "dst_sk".into(),
        dst_region: "cn-north-4".into(),
        dst_bucket: "oms-sonar-north".into(),
        ..CreateSyncTask::default()
    }
}

fn access() -> BucketAccess {
    BucketAccess {
        cloud_type: "HuaweiCloud".into(),
        ak: Some("xxxxak".into()),
        sk: Some("xxxxsk".into()),
        ..BucketAccess::default()
    }
}

fn at(milliseconds: i64) -> Timestamp {
    Timestamp::from_millisecond(milliseconds).unwrap()
}

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

#[tokio::test]
async fn an_answer_about_something_else_is_not_taken() {
    let server = saying("ShowTaskGroup", 0).await;
    let error = server.client().show_task_group("another", USER).await.unwrap_err();
    assert_eq!((error.class(), error.is_not_found()), (Class::Unknown, false));
    let server = saying("ShowSyncTask", 0).await;
    let error = server.client().show_sync_task("another", at(0), USER).await.unwrap_err();
    assert!(error.to_string().ends_with("another sync task than the one asked for"), "{error}");
    // The case of an ID says nothing.
    let server = saying("ShowTaskGroup", 0).await;
    assert!(server.client().show_task_group(&GROUP.to_ascii_uppercase(), USER).await.is_ok());
}

#[tokio::test]
async fn what_oms_would_take_for_something_else_is_never_sent() {
    let server = nodding(0).await;
    let client = server.client();
    let mut faults: Vec<(Error, &str)> = Vec::new();
    let nothing = || String::new();
    let no_source = CreateTask { src_node: SourceNode::default(), ..create_task() };
    faults.push((client.create_task(&no_source, USER).await.unwrap_err(), "cloud_type"));
    let mut no_list = create_task();
    no_list.src_node.list_file = None;
    faults.push((client.create_task(&no_list, USER).await.unwrap_err(), "list_file"));
    let mut no_prefix = create_group();
    no_prefix.src_node.object_key.clear();
    faults.push((client.create_task_group(&no_prefix, USER).await.unwrap_err(), "object_key"));
    let no_bucket = CreateSyncTask { dst_bucket: nothing(), ..create_sync() };
    faults.push((client.create_sync_task(&no_bucket, USER).await.unwrap_err(), "dst_bucket"));
    let id = TaskId::new(5);
    faults.push((client.start_task(id, &StartTask::default(), USER).await.unwrap_err(), "dst_ak"));
    let still = [BandwidthWindow { max_bandwidth: 0, ..windows().remove(0) }];
    faults.push((client.update_bandwidth_policy(id, &still, USER).await.unwrap_err(), "max_bandwidth"));
    faults.push((client.update_task_group(GROUP, &still, USER).await.unwrap_err(), "max_bandwidth"));
    for (tasks, field) in [
        (TaskSelection::Ids(Vec::new()), "ids"),
        (TaskSelection::Ids(vec![id; 21]), "ids"),
        (TaskSelection::Group(nothing()), "group_id"),
    ] {
        let batch = BatchUpdateTasks { tasks, bandwidth_policy: Vec::new(), task_priority: None };
        faults.push((client.batch_update_tasks(&batch, USER).await.unwrap_err(), field));
    }
    for keys in [0, 11] {
        let events = CreateSyncEvents { object_keys: vec!["k".into(); keys] };
        faults.push((client.create_sync_events(SYNC, &events, USER).await.unwrap_err(), "object_keys"));
    }
    for wrong in ["", ".", ".."] {
        faults.push((client.show_task_group(wrong, USER).await.unwrap_err(), "group_id"));
        faults.push((client.stop_task_group(wrong, USER).await.unwrap_err(), "group_id"));
        faults.push((client.delete_task_group(wrong, USER).await.unwrap_err(), "group_id"));
        faults.push((client.stop_sync_task(wrong, USER).await.unwrap_err(), "sync_task_id"));
        faults.push((client.delete_sync_task(wrong, USER).await.unwrap_err(), "sync_task_id"));
        faults.push((client.show_sync_task(wrong, at(0), USER).await.unwrap_err(), "sync_task_id"));
        faults.push((client.show_api_info(wrong, USER).await.unwrap_err(), "version"));
        faults.push((client.v1_show_quotas(wrong, USER).await.unwrap_err(), "domain_id"));
    }
    let endless = ListTasks { limit: 0, ..ListTasks::default() };
    faults.push((client.list_tasks(&endless, USER).await.unwrap_err(), "limit"));
    let retrying = ListTasks { status: Some(TaskStatus::Retrying), ..ListTasks::default() };
    faults.push((client.list_tasks(&retrying, USER).await.unwrap_err(), "status"));
    let everybody = ListTasks { group_id: Some(nothing()), ..ListTasks::default() };
    faults.push((client.list_tasks(&everybody, USER).await.unwrap_err(), "group_id"));
    let large = ListTaskGroup { limit: 101, ..ListTaskGroup::default() };
    faults.push((client.list_task_group(&large, USER).await.unwrap_err(), "limit"));
    let far = ListSyncTasks { offset: 10_001, ..ListSyncTasks::default() };
    faults.push((client.list_sync_tasks(&far, USER).await.unwrap_err(), "offset"));
    faults.push((client.show_bucket_list(&BucketAccess::default(), USER).await.unwrap_err(), "cloud_type"));
    faults.push((client.show_bucket_region(&access(), "", USER).await.unwrap_err(), "bucket_name"));

    for (error, field) in &faults {
        assert_eq!(error.field(), Some(*field), "{error}");
        assert_eq!((error.class(), error.delivery()), (Class::Invalid, Delivery::NotSent), "{error}");
        assert!(error.to_string().starts_with(&format!("`{field}` ")), "{error}");
    }
    assert_eq!(faults.len(), 43);
    assert_eq!(server.seen().len(), 0);
}

#[tokio::test]
async fn an_id_is_one_segment_of_the_path_whatever_is_in_it() {
    for (id, segment) in [("a/../b", "a%2F..%2Fb"), ("a?b#c", "a%3Fb%23c"), ("%2e%2e", "%252e%252e")] {
        let server = nodding(0).await;
        server.client().stop_task_group(id, USER).await.unwrap();
        assert_eq!(asked(&server).1, format!("/taskgroups/{segment}/stop"));
    }
}

#[tokio::test]
async fn a_group_or_sync_task_that_is_gone_is_told_from_one_that_may_not_be_seen() {
    let cases =
        [(404, "", true), (400, "OMS.1009", true), (400, "OMS.1014", false), (403, "OMS.0095", false)];
    for (status, code, gone) in cases {
        let server = Server::start(move |_| match code {
            "" => StatusCode::from_u16(status).unwrap().into_response(),
            _ => json_answer(status, json!({"error_code": code, "error_msg": "x"})),
        })
        .await;
        let client = server.client();
        let group = client.show_task_group(GROUP, USER).await.unwrap_err();
        let sync = client.show_sync_task(SYNC, at(0), USER).await.unwrap_err();
        let deleted = client.delete_task_group(GROUP, USER).await.unwrap_err();
        for error in [group, sync, deleted] {
            assert_eq!(error.is_not_found(), gone, "{status} {code}: {error}");
        }
    }
}

#[tokio::test]
async fn keys_that_the_service_repeats_reach_no_error_of_any_operation() {
    let server = Server::start(|seen| {
        let body = String::from_utf8(seen.body.to_vec()).unwrap();
        json_answer(400, json!({"error_code": "OMS.0064", "error_msg": format!("bad {body}")}))
    })
    .await;
    let client = server.client();
    let planted = || Some("planted-key-of-the-source".into());
    let access = BucketAccess {
        ak: planted(),
        sk: planted(),
        connection_string: planted(),
        json_auth_file: planted(),
        ..access()
    };
    let source_cdn = SourceCdn { domain: "d".into(), authentication_key: planted(), ..SourceCdn::default() };
    let mut group = create_group();
    group.src_node.ak = planted();
    group.source_cdn = Some(source_cdn.clone());
    let mut keys = group_keys();
    keys.src_sk = planted();
    keys.source_cdn_authentication_key = planted();
    let key = || "planted-key-of-the-source".into();
    let sync = CreateSyncTask { src_ak: key(), dst_sk: key(), ..create_sync() };
    let start = StartSyncTask {
        src_ak: key(),
        src_sk: key(),
        dst_ak: key(),
        dst_sk: key(),
        ..StartSyncTask::default()
    };
    let folder = ShowBucketObjects {
        access: access.clone(),
        bucket: "b".into(),
        region: "r".into(),
        page_size: 1,
        ..ShowBucketObjects::default()
    };
    let prefix = CheckPrefix {
        access: access.clone(),
        security_token: planted(),
        bucket: "b".into(),
        region: "r".into(),
        prefix: String::new(),
    };
    let cdn = ShowCdnInfo {
        access: BucketAccess { json_auth_file: None, ..access.clone() },
        bucket: "b".into(),
        region: "r".into(),
        source_cdn,
        keys: Vec::new(),
    };
    let list = CheckUrlSourceListFileFormat {
        list_file: ListFile { list_file_key: "l".into(), obs_bucket: "b".into() },
        ak: key(),
        sk: key(),
        region: "r".into(),
    };
    let errors = [
        client.create_task_group(&group, USER).await.unwrap_err(),
        client.start_task_group(GROUP, &StartTaskGroup { keys: keys.clone() }, USER).await.unwrap_err(),
        client
            .retry_task_group(GROUP, &RetryTaskGroup { keys, migrate_failed_object: true }, USER)
            .await
            .unwrap_err(),
        client.create_sync_task(&sync, USER).await.unwrap_err(),
        client.start_sync_task(SYNC, &start, USER).await.unwrap_err(),
        client.show_bucket_list(&access, USER).await.unwrap_err(),
        client.show_bucket_region(&access, "b", USER).await.unwrap_err(),
        client.show_bucket_objects(&folder, USER).await.unwrap_err(),
        client.check_prefix(&prefix, USER).await.unwrap_err(),
        client.show_cdn_info(&cdn, USER).await.unwrap_err(),
        client.check_url_source_list_file_format(&list, USER).await.unwrap_err(),
    ];
    for error in errors {
        let told = format!("{error} {error:?} {}", error.message());
        assert!(told.contains("***") && !told.contains("planted"), "{told}");
    }
    assert_eq!(server.seen().len(), 11);
}
