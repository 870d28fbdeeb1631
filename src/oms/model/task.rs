//! A migration task as OMS shows it. Every member but the ID may be missing, null or of another type.

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::super::answer::clean;
use super::protection::SourceCdnSummary;
use super::smn::SmnInfo;
use super::{BandwidthWindow, ListFile, TaskId, TaskStatus, lenient};

/// A migration task (OMS API reference 5.3.2 and 5.3.3; the two answers have the same members).
///
/// Sizes are bytes, times milliseconds. Counters are not a reliable sign of the state; `status` is.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Task {
    /// ID of the task.
    pub id: TaskId,
    /// Name made by OMS.
    #[serde(default, deserialize_with = "lenient::text")]
    pub name: String,
    /// What the task is doing.
    #[serde(default = "no_status", deserialize_with = "status")]
    pub status: TaskStatus,
    /// Free text given at creation; empty when there was none.
    #[serde(default, deserialize_with = "lenient::text")]
    pub description: String,
    /// Task group it is a member of.
    #[serde(default, deserialize_with = "lenient::optional_text")]
    pub group_id: Option<String>,
    /// `NORMAL_TASK`, `SYNC_TASK` or `GROUP_TASK`.
    #[serde(default, deserialize_with = "lenient::optional_text")]
    pub group_type: Option<String>,
    /// `object`, `prefix`, `list` or `url_list`.
    #[serde(default, deserialize_with = "lenient::optional_text")]
    pub task_type: Option<String>,
    /// Where objects come from.
    #[serde(default, deserialize_with = "lenient::object")]
    pub src_node: SourceSummary,
    /// Where objects go.
    #[serde(default, deserialize_with = "lenient::object")]
    pub dst_node: DestinationSummary,
    /// Rate limits in force.
    #[serde(default, deserialize_with = "lenient::list")]
    pub bandwidth_policy: Vec<BandwidthWindow>,
    /// Why the task failed; only meaningful when it did.
    #[serde(default, deserialize_with = "error_reason")]
    pub error_reason: Option<ErrorReason>,
    /// The list of failed objects.
    #[serde(default, deserialize_with = "lenient::object")]
    pub failed_object_record: FailedObjectRecord,
    /// Share that is done, 0 to 1.
    #[serde(default, deserialize_with = "lenient::share")]
    pub progress: f64,
    /// Bytes per second.
    #[serde(default, deserialize_with = "lenient::unsigned")]
    pub migrate_speed: u64,
    /// Estimated milliseconds left.
    #[serde(default, deserialize_with = "lenient::unsigned")]
    pub left_time: u64,
    /// Milliseconds spent.
    #[serde(default, deserialize_with = "lenient::unsigned")]
    pub total_time: u64,
    /// Start, Unix milliseconds; 0 before it.
    #[serde(default, deserialize_with = "lenient::unsigned")]
    pub start_time: u64,
    /// Bytes of the whole task.
    #[serde(default, deserialize_with = "lenient::unsigned")]
    pub total_size: u64,
    /// Bytes dealt with, skipped ones included.
    #[serde(default, deserialize_with = "lenient::unsigned")]
    pub complete_size: u64,
    /// Bytes really copied.
    #[serde(default, deserialize_with = "lenient::unsigned")]
    pub real_size: u64,
    /// Objects of the whole task.
    #[serde(default, deserialize_with = "lenient::unsigned")]
    pub total_num: u64,
    /// Objects copied.
    #[serde(default, deserialize_with = "lenient::unsigned")]
    pub successful_num: u64,
    /// Objects that failed.
    #[serde(default, deserialize_with = "lenient::unsigned")]
    pub failed_num: u64,
    /// Objects skipped: already there, or older than `migrate_since`.
    #[serde(default, deserialize_with = "lenient::unsigned")]
    pub skipped_num: u64,
    /// Whether the source has been listed to its end; totals may grow until then.
    #[serde(default, deserialize_with = "lenient::optional_flag")]
    pub is_query_over: Option<bool>,
    /// `HIGH`, `MEDIUM` or `LOW`.
    #[serde(default, deserialize_with = "lenient::optional_text")]
    pub task_priority: Option<String>,
    /// Whether failed objects are recorded in the destination bucket.
    #[serde(default, deserialize_with = "lenient::optional_flag")]
    pub enable_failed_object_recording: Option<bool>,
    /// Whether metadata is copied too.
    #[serde(default, deserialize_with = "lenient::optional_flag")]
    pub enable_metadata_migration: Option<bool>,
    /// Whether archived source objects are restored first.
    #[serde(default, deserialize_with = "lenient::optional_flag")]
    pub enable_restore: Option<bool>,
    /// Whether the requester pays for requests and traffic of the source.
    #[serde(default, deserialize_with = "lenient::optional_flag")]
    pub enable_requester_pays: Option<bool>,
    /// Unix seconds; only objects changed later are copied; none when there is no such limit.
    #[serde(default, deserialize_with = "migrate_since")]
    pub migrate_since: Option<u64>,
    /// `NO_OVERWRITE`, `SIZE_LAST_MODIFIED_COMPARISON_OVERWRITE`, `CRC64_COMPARISON_OVERWRITE` or `FULL_OVERWRITE`.
    #[serde(default, deserialize_with = "lenient::optional_text")]
    pub object_overwrite_mode: Option<String>,
    /// Storage class at the destination.
    #[serde(default, deserialize_with = "lenient::optional_text")]
    pub dst_storage_policy: Option<String>,
    /// `size_last_modified`, `crc64` or `no_check`.
    #[serde(default, deserialize_with = "lenient::optional_text")]
    pub consistency_check: Option<String>,
    /// The CDN in front of the source, if there is one.
    #[serde(default, deserialize_with = "lenient::optional_object")]
    pub source_cdn: Option<SourceCdnSummary>,
    /// What became of the notification, once the task has ended.
    #[serde(default, deserialize_with = "lenient::optional_object")]
    pub smn_info: Option<SmnInfo>,
    /// Why the list of copied objects could not be stored; none when it was.
    #[serde(default, deserialize_with = "lenient::optional_text")]
    pub success_record_error_reason: Option<String>,
    /// Why the list of skipped objects could not be stored; none when it was.
    #[serde(default, deserialize_with = "lenient::optional_text")]
    pub skip_record_error_reason: Option<String>,
    /// Kind of the destination: `BUCKET`, or `PFS` for a parallel file system.
    #[serde(default, deserialize_with = "lenient::optional_text")]
    pub obs_system: Option<String>,
}

/// The source of a task, without its keys.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct SourceSummary {
    /// Provider; the case may differ from the one sent.
    #[serde(default, deserialize_with = "lenient::optional_text")]
    pub cloud_type: Option<String>,
    /// Region of the bucket.
    #[serde(default, deserialize_with = "lenient::optional_text")]
    pub region: Option<String>,
    /// Bucket.
    #[serde(default, deserialize_with = "lenient::optional_text")]
    pub bucket: Option<String>,
    /// Tencent's APPID.
    #[serde(default, deserialize_with = "lenient::optional_text")]
    pub app_id: Option<String>,
    /// Object names or prefixes.
    #[serde(default, deserialize_with = "lenient::list")]
    pub object_key: Vec<String>,
    /// List file of list and URL-list tasks.
    #[serde(default, deserialize_with = "lenient::optional_object")]
    pub list_file: Option<ListFile>,
}

/// The destination of a task, without its keys.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct DestinationSummary {
    /// Region of the bucket.
    #[serde(default, deserialize_with = "lenient::optional_text")]
    pub region: Option<String>,
    /// Bucket.
    #[serde(default, deserialize_with = "lenient::optional_text")]
    pub bucket: Option<String>,
    /// Put before every object key.
    #[serde(default, deserialize_with = "lenient::optional_text")]
    pub save_prefix: Option<String>,
}

/// Why a task failed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ErrorReason {
    /// Code such as `TRF.0004`, see [`crate::oms::codes::failure_cause`]; empty when OMS gave none.
    pub code: String,
    /// OMS's own words; empty when it gave none. Control characters are gone, the length is bounded.
    pub message: String,
}

/// What became of the list of failed objects.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct FailedObjectRecord {
    /// Whether only the failed objects can be sent again.
    #[serde(default, deserialize_with = "lenient::optional_flag")]
    pub result: Option<bool>,
    /// Key of the list in the destination bucket; may be a folder that ends in `/`.
    #[serde(default, deserialize_with = "lenient::optional_text")]
    pub list_file_key: Option<String>,
    /// Why the list could not be stored.
    #[serde(default, deserialize_with = "lenient::optional_text")]
    pub error_code: Option<String>,
}

fn no_status() -> TaskStatus {
    TaskStatus::Unknown(i64::MIN)
}

fn status<'de, D: Deserializer<'de>>(deserializer: D) -> Result<TaskStatus, D::Error> {
    Ok(lenient::optional_signed(deserializer)?.map_or_else(no_status, TaskStatus::from_code))
}

/// An object with codes, null, an empty string or an object of nulls: only the first means something.
pub(super) fn error_reason<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<ErrorReason>, D::Error> {
    let text = |object: &serde_json::Map<String, Value>, name: &str| {
        clean(object.get(name).and_then(Value::as_str).unwrap_or_default())
    };
    let reason = match Value::deserialize(deserializer)? {
        Value::Object(object) => {
            ErrorReason { code: text(&object, "error_code"), message: text(&object, "error_msg") }
        }
        Value::String(message) => ErrorReason { code: String::new(), message: clean(&message) },
        _ => ErrorReason::default(),
    };
    Ok((!reason.code.is_empty() || !reason.message.is_empty()).then_some(reason))
}

/// Documented as milliseconds, seen as seconds: the size tells.
pub(super) fn migrate_since<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    const MILLISECONDS_FROM: u64 = 100_000_000_000;
    let since = lenient::optional_unsigned(deserializer)?.filter(|since| *since > 0);
    Ok(since.map(|since| if since >= MILLISECONDS_FROM { since / 1000 } else { since }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::super::reply::Page;
    use super::super::{Reply as _, TaskPage, any_json};
    use super::*;

    fn read(value: Value) -> Task {
        serde_json::from_str(&value.to_string()).unwrap()
    }

    #[test]
    fn a_task_is_read_as_the_service_sends_it() {
        let task = read(json!({
            "bandwidth_policy": [], "complete_size": 1_048_576, "description": "", "dst_node": {"bucket": "dst",
            "region": "cn-north-4"}, "enable_failed_object_recording": true, "enable_restore": false, "error_reason": null,
            "failed_num": 1, "failed_object_record": {"error_code": null, "list_file_key": null, "result": null},
            "group_id": "", "group_type": "NORMAL_TASK", "id": 200_429_548_242_937_u64, "is_query_over": true,
            "left_time": 0, "migrate_since": 0, "migrate_speed": 12, "name": "src-dst-20200429_1", "progress": 1.0,
            "real_size": 5, "skipped_num": 2, "smn_info": null, "source_cdn": null, "src_node": {"app_id": "",
            "bucket": "src", "cloud_type": "HuaweiCloud", "list_file": null, "object_key": ["a/"], "region": "cn-north-4"},
            "start_time": 1_588_152_489_000_u64, "status": 5, "successful_num": 3, "task_type": "object",
            "total_num": 6, "total_size": 7, "total_time": 31111, "task_priority": "MEDIUM"
        }));
        assert_eq!(task.id, TaskId::new(200_429_548_242_937));
        assert_eq!(task.status, TaskStatus::Succeeded);
        assert_eq!(task.error_reason, None);
        assert_eq!(task.group_id, None);
        assert_eq!(task.failed_object_record, FailedObjectRecord::default());
        assert_eq!(task.src_node.object_key, ["a/"]);
        assert_eq!(task.src_node.list_file, None);
        assert_eq!(task.dst_node.bucket.as_deref(), Some("dst"));
        assert_eq!((task.total_num, task.successful_num, task.failed_num, task.skipped_num), (6, 3, 1, 2));
        assert_eq!(
            (task.total_size, task.complete_size, task.real_size, task.total_time),
            (7, 1_048_576, 5, 31111)
        );
        assert_eq!(task.migrate_since, None);
        assert_eq!(task.is_query_over, Some(true));
    }

    #[test]
    fn an_id_alone_is_a_task_whose_status_is_not_known() {
        let task = read(json!({"id": 1}));
        assert_eq!(task.status, TaskStatus::Unknown(i64::MIN));
        assert!(!task.status.is_settled());
        assert_eq!(task.progress.to_bits(), 0.0_f64.to_bits());
    }

    #[test]
    fn numbers_may_be_strings_and_members_null_or_of_another_type() {
        let task = read(json!({
            "id": "7", "status": "2", "progress": "0.5", "total_num": "12", "total_size": "1e3", "failed_num": -4,
            "src_node": "none", "dst_node": null, "bandwidth_policy": null, "error_reason": "", "name": null,
            "description": 5, "enable_restore": "true", "failed_object_record": [], "group_type": {}, "task_priority": null
        }));
        assert_eq!(task.status, TaskStatus::Running);
        assert!((task.progress - 0.5).abs() < f64::EPSILON);
        assert_eq!((task.total_num, task.total_size, task.failed_num), (12, 1000, 0));
        assert_eq!(task.src_node, SourceSummary::default());
        assert_eq!(task.error_reason, None);
        assert_eq!(task.description, "5");
        assert_eq!(task.enable_restore, Some(true));
        assert_eq!(task.group_type, None);
    }

    #[test]
    fn a_reason_is_an_object_with_something_in_it() {
        let reason = |value: Value| read(json!({"id": 1, "error_reason": value})).error_reason;
        assert_eq!(reason(json!({"error_code": null, "error_msg": null})), None);
        assert_eq!(reason(json!({"error_code": "", "error_msg": ""})), None);
        let given = reason(json!({"error_code": "TRF.0004", "error_msg": "some\nfailed"})).unwrap();
        assert_eq!((given.code.as_str(), given.message.as_str()), ("TRF.0004", "some failed"));
    }

    #[test]
    fn a_cdn_and_a_notification_are_read_with_whatever_is_there() {
        let task = read(json!({"id": 1, "source_cdn": {"domain": "cdn.example.test", "protocol": "HTTPS"},
            "smn_info": {"notify_result": false, "notify_error_message": "S3M.0156", "topic_name": "OMS"}}));
        let cdn = task.source_cdn.unwrap();
        assert_eq!((cdn.domain.as_str(), cdn.protocol.as_str()), ("cdn.example.test", "HTTPS"));
        assert_eq!(cdn.authentication_type, None);
        let told = task.smn_info.unwrap();
        assert_eq!((told.notify_result, told.topic_name.as_deref()), (Some(false), Some("OMS")));
        assert_eq!(told.notify_error_message.as_deref(), Some("S3M.0156"));
        let bare = read(json!({"id": 1, "source_cdn": null, "smn_info": ""}));
        assert_eq!((bare.source_cdn, bare.smn_info), (None, None));
    }

    #[test]
    fn migrate_since_is_seconds_whatever_the_unit_on_the_wire() {
        let since = |value: Value| read(json!({"id": 1, "migrate_since": value})).migrate_since;
        assert_eq!(since(json!(1_672_671_845)), Some(1_672_671_845));
        assert_eq!(since(json!(1_672_671_845_000_u64)), Some(1_672_671_845));
        assert_eq!(since(json!(null)), None);
    }

    #[test]
    fn a_page_with_an_unreadable_record_is_no_page() {
        let page = |value: Value| {
            serde_json::from_value::<Page<Task>>(value).ok().and_then(|page| TaskPage::from_wire(page).ok())
        };
        assert_eq!(page(json!({"tasks": [{"id": 1}], "count": "9"})).unwrap().count, 9);
        assert_eq!(page(json!({"tasks": [{"id": 1}]})).unwrap().count, 1);
        assert_eq!(page(json!({"tasks": null, "count": 0})).unwrap().tasks.len(), 0);
        assert_eq!(page(json!({"count": 3})), None);
        assert_eq!(page(json!({})), None);
        assert_eq!(page(json!({"tasks": [{"id": 1}, {"name": "lost"}], "count": 2})), None);
    }

    proptest! {
        #[test]
        fn a_task_with_an_id_is_read_whatever_its_other_members_are(values in prop::collection::vec(any_json(), 32)) {
            const MEMBERS: [&str; 32] = [
                "name", "status", "description", "group_id", "group_type", "task_type", "src_node", "dst_node",
                "bandwidth_policy", "error_reason", "failed_object_record", "progress", "migrate_speed", "left_time",
                "total_time", "start_time", "total_size", "complete_size", "real_size", "total_num", "successful_num",
                "failed_num", "skipped_num", "is_query_over", "task_priority", "enable_failed_object_recording",
                "enable_metadata_migration", "enable_restore", "migrate_since", "object_overwrite_mode",
                "consistency_check", "never_heard_of",
            ];
            let mut object: serde_json::Map<String, Value> =
                MEMBERS.iter().map(|name| (*name).to_owned()).zip(values).collect();
            object.insert("id".into(), json!(7));
            let text = json!({"tasks": [object], "count": 1}).to_string();
            let page = TaskPage::from_wire(serde_json::from_str(&text).unwrap()).unwrap();
            prop_assert_eq!(page.tasks[0].id, TaskId::new(7));
            prop_assert!((0.0..=1.0).contains(&page.tasks[0].progress));
        }
    }
}
