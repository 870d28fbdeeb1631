//! Requests, as the service reads them (OMS API reference 5.3).
//!
//! Reading includes every check that needs nothing but the request and the limits.

mod batch;
pub mod buckets;
mod create_task;
mod definition;
mod group;
mod list;
mod source;
mod start_task;
pub mod sync;

use serde::{Deserialize, Serialize};

pub use self::{
    batch::{BatchTarget, BatchUpdateTasks, read_bandwidth},
    create_task::CreateTask,
    definition::Definition,
    group::{CreateGroup, ListGroups, TakeUpGroup},
    list::ListTasks,
    source::{Cdn, Notification, SourceKeys, TaskKeys, has_crc64},
    start_task::StartTask,
};
use super::{members::Members, refusal::Refusal};

/// Priority in the waiting queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Priority {
    /// First.
    High,
    /// The default.
    #[default]
    Medium,
    /// Last.
    Low,
}

impl Priority {
    /// As it is written on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::High => "HIGH",
            Self::Medium => "MEDIUM",
            Self::Low => "LOW",
        }
    }
}

fn read_priority(members: &Members<'_>) -> Result<Option<Priority>, Refusal> {
    Ok(members.word("task_priority", &["HIGH", "MEDIUM", "LOW"])?.map(|word| match word {
        "HIGH" => Priority::High,
        "LOW" => Priority::Low,
        _ => Priority::Medium,
    }))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::emulator::{
        config::{Behaviour, Limits},
        mover::StoragePolicy,
    };

    fn body() -> Value {
        json!({
            "task_type": "prefix",
            "src_node": {
                "cloud_type": "AWS", "region": "eu-west-1", "ak": "a", "sk": "s", "bucket": "b", "object_key": [""]
            },
            "dst_node": { "region": "cn-north-4", "ak": "a", "sk": "s", "bucket": "d" },
            "enable_kms": false
        })
    }

    fn read_with(pointer: &str, name: &str, value: Value) -> Result<CreateTask, Refusal> {
        let mut body = body();
        body.pointer_mut(pointer).unwrap()[name] = value;
        CreateTask::read(&body, &Limits::default(), &Behaviour::default())
    }

    #[test]
    fn a_request_of_an_old_client_is_read_with_the_documented_defaults() {
        let task = CreateTask::read(&body(), &Limits::default(), &Behaviour::default()).unwrap();
        assert!(task.definition.enable_failed_object_recording);
        assert_eq!(task.definition.storage_policy, StoragePolicy::Standard);
        assert_eq!(task.priority, Priority::Medium);
        assert!(task.bandwidth.is_empty());
    }

    #[test]
    fn what_does_not_fit_together_is_refused_with_the_code_for_it() {
        let url_list =
            json!({ "cloud_type": "URLSource", "list_file": { "obs_bucket": "l", "list_file_key": "k" } });
        for (pointer, name, value, code) in [
            ("", "task_type", json!("url_list"), "S3M.0095"),
            ("/src_node", "cloud_type", json!("URLSource"), "S3M.0095"),
            ("", "task_type", json!("list"), "S3M.0088"),
            ("/src_node", "object_key", json!([]), "S3M.0088"),
            ("/src_node", "object_key", Value::Null, "S3M.0088"),
            ("/src_node", "list_file", json!({ "obs_bucket": "l", "list_file_key": "k" }), "S3M.0088"),
            ("", "object_overwrite_mode", json!("CRC64_COMPARISON_OVERWRITE"), "S3M.0093"),
            ("", "consistency_check", json!("crc64"), "S3M.0094"),
            ("", "consistency_check", json!("no_check"), "S3M.0094"),
            ("/dst_node", "save_prefix", json!("/x"), "S3M.0092"),
            ("/src_node", "cloud_type", json!("Tencent"), "OMS.0057"),
            ("/src_node", "ak", json!(""), "OMS.0057"),
            ("/src_node", "cloud_type", json!("cloud_type"), "OMS.0064"),
            ("", "src_node", url_list, "S3M.0095"),
            (
                "",
                "source_cdn",
                json!({ "domain": "d", "protocol": "https", "authentication_type": "ALIYUN_OSS_A" }),
                "OMS.1032",
            ),
        ] {
            let refusal = read_with(pointer, name, value.clone()).unwrap_err();
            assert_eq!(refusal.code, code, "{pointer}/{name} = {value}");
        }
    }

    #[test]
    fn a_bad_member_is_named_as_the_live_service_names_it() {
        for (pointer, name, value, named) in [
            ("", "description", json!("AWS S3 -> Huawei OBS migration"), "description"),
            ("", "description", json!("x".repeat(256)), "description"),
            ("", "migrate_since", json!("1"), "migrate_since"),
            ("", "task_priority", json!("URGENT"), "task_priority"),
            ("/dst_node", "bucket", Value::Null, "dst_node.bucket"),
            ("/src_node", "object_key", json!(vec!["k"; 501]), "src_node.object_key"),
        ] {
            let refusal = read_with(pointer, name, value).unwrap_err();
            assert_eq!(refusal.code, "OMS.0064");
            assert_eq!(refusal.detail.unwrap(), format!("request parameter [{named}] invalid."));
        }
    }

    #[test]
    fn azure_may_come_with_a_connection_string_alone() {
        let mut body = body();
        let source = body["src_node"].as_object_mut().unwrap();
        source.remove("ak");
        source.remove("sk");
        source.insert("cloud_type".to_owned(), json!("Azure"));
        source.insert("connection_string".to_owned(), json!("DefaultEndpointsProtocol=https"));
        let task = CreateTask::read(&body, &Limits::default(), &Behaviour::default()).unwrap();
        assert!(matches!(task.keys.source, SourceKeys::ConnectionString(_)));
    }

    #[test]
    fn a_batch_update_names_either_tasks_or_a_group() {
        let read = |body: Value| {
            BatchUpdateTasks::read(&body, &Limits::default(), &Behaviour::default()).map(|batch| batch.target)
        };
        assert_eq!(read(json!({ "ids": [1], "bandwidth_policy": [] })), Ok(BatchTarget::Tasks(vec![1])));
        assert!(read(json!({ "ids": [1], "group_id": "g", "bandwidth_policy": [] })).is_err());
        assert!(read(json!({ "bandwidth_policy": [] })).is_err());
        assert!(read(json!({ "ids": [1] })).is_err());
        assert!(read(json!({ "ids": vec![1; 21], "bandwidth_policy": [] })).is_err());
    }

    #[test]
    fn a_list_query_has_defaults_and_bounds() {
        let read = |pairs: &[(&str, &str)]| {
            let pairs: Vec<_> = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
            ListTasks::read(&pairs)
        };
        let list = read(&[]).unwrap();
        assert_eq!((list.limit, list.offset, list.status), (10, 0, None));
        assert_eq!(read(&[("limit", "101")]).unwrap_err(), Refusal::parameter("limit"));
        assert_eq!(read(&[("status", "8")]).unwrap_err(), Refusal::parameter("status"));
        assert_eq!(read(&[("offset", "x")]).unwrap_err(), Refusal::parameter("offset"));
    }
}
