//! Requests of every kind, and servers that answer them with the reference's examples or with a bare yes.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use axum::response::IntoResponse;
use jiff::Timestamp;
use oms_operator::oms::{
    BandwidthWindow, BucketAccess, CreateSyncTask, CreateTask, CreateTaskGroup, DestinationNode,
    GroupDestinationNode, GroupKeys, GroupSourceNode, ListFile, SourceNode, Urgency,
};
use serde_json::{Value, json};

use super::server::{PROJECT, Server, json_answer};

pub(crate) const GROUP: &str = "9522a7e5-b4fc-44b9-93e1-4dbadbd86e67";
pub(crate) const SYNC: &str = "d18befdd-eb82-41f3-8019-bbb593d74a3e";
pub(crate) const USER: Urgency = Urgency::User;

/// An example of the reference.
pub(crate) fn documented(operation: &str, index: usize) -> Value {
    let examples: BTreeMap<String, Vec<Value>> =
        serde_json::from_str(include_str!("../../src/oms/client/documented.json")).unwrap();
    examples[operation][index].clone()
}

/// A server that answers everything with an example.
pub(crate) async fn saying(operation: &str, index: usize) -> Server {
    let body = documented(operation, index);
    Server::start(move |_| json_answer(200, body.clone())).await
}

/// A server that answers yes in one of the ways services do.
pub(crate) async fn nodding(way: usize) -> Server {
    Server::start(move |_| match way % 4 {
        0 => StatusCode::OK.into_response(),
        1 => StatusCode::NO_CONTENT.into_response(),
        2 => json_answer(200, json!({})),
        _ => (StatusCode::ACCEPTED, "null").into_response(),
    })
    .await
}

/// The only request the server has seen: method, path below the project, query and body.
pub(crate) fn asked(server: &Server) -> (String, String, String, Value) {
    let seen = server.seen();
    assert_eq!(seen.len(), 1);
    let below = seen[0].path.strip_prefix(&format!("/v2/{PROJECT}")).unwrap_or(&seen[0].path).to_owned();
    let body = if seen[0].body.is_empty() { Value::Null } else { seen[0].json() };
    (seen[0].method.clone(), below, seen[0].query.clone(), body)
}

pub(crate) fn request(method: &str, path: &str, query: &str, body: Value) -> (String, String, String, Value) {
    (method.to_owned(), path.to_owned(), query.to_owned(), body)
}

pub(crate) fn windows() -> Vec<BandwidthWindow> {
    vec![BandwidthWindow { start: "00:01".into(), end: "23:59".into(), max_bandwidth: 50_000_000 }]
}

pub(crate) fn windows_sent() -> Value {
    json!([{"start": "00:01", "end": "23:59", "max_bandwidth": 50_000_000}])
}

pub(crate) fn create_task() -> CreateTask {
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

pub(crate) fn create_group() -> CreateTaskGroup {
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

pub(crate) fn group_keys() -> GroupKeys {
    GroupKeys {
        src_ak: Some("src_AK".into()),
        src_sk: Some("src_SK".into()),
        dst_ak: "dst_AK".into(),
        dst_sk: "dst_SK".into(),
        ..GroupKeys::default()
    }
}

pub(crate) fn create_sync() -> CreateSyncTask {
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

pub(crate) fn access() -> BucketAccess {
    BucketAccess {
        cloud_type: "HuaweiCloud".into(),
        ak: Some("xxxxak".into()),
        sk: Some("xxxxsk".into()),
        ..BucketAccess::default()
    }
}

pub(crate) fn at(milliseconds: i64) -> Timestamp {
    Timestamp::from_millisecond(milliseconds).unwrap()
}
