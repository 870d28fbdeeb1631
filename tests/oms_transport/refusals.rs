//! What is never sent, never believed and never repeated, whatever the operation.

use axum::http::StatusCode;
use axum::response::IntoResponse;
use oms_operator::oms::{
    BandwidthWindow, BatchUpdateTasks, BucketAccess, CheckPrefix, CheckUrlSourceListFileFormat, Class,
    CreateSyncEvents, CreateSyncTask, CreateTask, Delivery, Error, ListFile, ListSyncTasks, ListTaskGroup,
    ListTasks, RetryTaskGroup, ShowBucketObjects, ShowCdnInfo, SourceCdn, SourceNode, StartSyncTask,
    StartTask, StartTaskGroup, TaskId, TaskSelection, TaskStatus,
};
use serde_json::json;

use super::requests::{
    GROUP, SYNC, USER, access, asked, at, create_group, create_sync, create_task, group_keys, nodding,
    saying, windows,
};
use super::server::{Server, json_answer};

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
