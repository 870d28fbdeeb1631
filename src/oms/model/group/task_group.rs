//! A task group as OMS shows it. Every member but the ID may be missing, null or of another type.

use serde::{Deserialize, Deserializer};

use super::super::protection::SourceCdnSummary;
use super::super::reply::Page;
use super::super::smn::SmnInfo;
use super::super::task::{error_reason, migrate_since};
use super::super::{
    BandwidthWindow, DestinationSummary, ErrorReason, FailedObjectRecord, Reply, SourceSummary, lenient,
};
use super::GroupStatus;

/// A task group (OMS API reference 5.5.1 and 5.5.3; the two answers have the same members).
///
/// Sizes are bytes, times milliseconds. The numbers of tasks are null in every answer that is known; `complete_size` is no
/// measure of success.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct TaskGroup {
    /// ID of the group; opaque.
    #[serde(deserialize_with = "lenient::required_text")]
    pub group_id: String,
    /// What the group is doing.
    #[serde(default = "no_status", deserialize_with = "status")]
    pub status: GroupStatus,
    /// Why the group failed; none even for some that did.
    #[serde(default, deserialize_with = "error_reason")]
    pub error_reason: Option<ErrorReason>,
    /// Where objects come from; the provider is in upper case here, and prefixes may be percent-encoded.
    #[serde(default, deserialize_with = "lenient::object")]
    pub src_node: SourceSummary,
    /// Free text given at creation; empty when there was none.
    #[serde(default, deserialize_with = "lenient::text")]
    pub description: String,
    /// Where objects go.
    #[serde(default, deserialize_with = "lenient::object")]
    pub dst_node: DestinationSummary,
    /// Whether metadata is copied too.
    #[serde(default, deserialize_with = "lenient::optional_flag")]
    pub enable_metadata_migration: Option<bool>,
    /// Whether failed objects are recorded in the destination bucket.
    #[serde(default, deserialize_with = "lenient::optional_flag")]
    pub enable_failed_object_recording: Option<bool>,
    /// Whether archived source objects are restored first.
    #[serde(default, deserialize_with = "lenient::optional_flag")]
    pub enable_restore: Option<bool>,
    /// Whether the requester pays for requests and traffic of the source.
    #[serde(default, deserialize_with = "lenient::optional_flag")]
    pub enable_requester_pays: Option<bool>,
    /// `LIST`, `URL_LIST` or `PREFIX`.
    #[serde(default, deserialize_with = "lenient::optional_text")]
    pub task_type: Option<String>,
    /// Rate limits in force.
    #[serde(default, deserialize_with = "lenient::list")]
    pub bandwidth_policy: Vec<BandwidthWindow>,
    /// What became of the notification. OMS calls it `smn_config`, as it calls what was sent.
    #[serde(default, rename = "smn_config", deserialize_with = "lenient::optional_object")]
    pub smn_info: Option<SmnInfo>,
    /// The CDN in front of the source, if there is one.
    #[serde(default, deserialize_with = "lenient::optional_object")]
    pub source_cdn: Option<SourceCdnSummary>,
    /// Unix seconds; only objects changed later are copied; none when there is no such limit.
    #[serde(default, deserialize_with = "migrate_since")]
    pub migrate_since: Option<u64>,
    /// Bytes per second.
    #[serde(default, deserialize_with = "lenient::unsigned")]
    pub migrate_speed: u64,
    /// Milliseconds spent.
    #[serde(default, deserialize_with = "lenient::unsigned")]
    pub total_time: u64,
    /// Start, Unix milliseconds; 0 before it.
    #[serde(default, deserialize_with = "lenient::unsigned")]
    pub start_time: u64,
    /// Tasks of the group.
    #[serde(default, deserialize_with = "lenient::optional_unsigned")]
    pub total_task_num: Option<u64>,
    /// Tasks created so far.
    #[serde(default, deserialize_with = "lenient::optional_unsigned")]
    pub create_task_num: Option<u64>,
    /// Tasks that failed.
    #[serde(default, deserialize_with = "lenient::optional_unsigned")]
    pub failed_task_num: Option<u64>,
    /// Tasks that completed.
    #[serde(default, deserialize_with = "lenient::optional_unsigned")]
    pub complete_task_num: Option<u64>,
    /// Tasks that are stopped.
    #[serde(default, deserialize_with = "lenient::optional_unsigned")]
    pub paused_task_num: Option<u64>,
    /// Tasks that run.
    #[serde(default, deserialize_with = "lenient::optional_unsigned")]
    pub executing_task_num: Option<u64>,
    /// Tasks that wait.
    #[serde(default, deserialize_with = "lenient::optional_unsigned")]
    pub waiting_task_num: Option<u64>,
    /// Objects of the whole group; grows while its tasks are created.
    #[serde(default, deserialize_with = "lenient::unsigned")]
    pub total_num: u64,
    /// Objects that belong to a task already.
    #[serde(default, deserialize_with = "lenient::optional_unsigned")]
    pub create_complete_num: Option<u64>,
    /// Objects copied.
    #[serde(default, deserialize_with = "lenient::unsigned")]
    pub success_num: u64,
    /// Objects that failed.
    #[serde(default, deserialize_with = "lenient::unsigned")]
    pub fail_num: u64,
    /// Objects skipped.
    #[serde(default, deserialize_with = "lenient::unsigned")]
    pub skip_num: u64,
    /// Bytes of the whole group.
    #[serde(default, deserialize_with = "lenient::unsigned")]
    pub total_size: u64,
    /// Bytes that belong to a task already.
    #[serde(default, deserialize_with = "lenient::optional_unsigned")]
    pub create_complete_size: Option<u64>,
    /// Bytes dealt with: skipped and at times failed ones included.
    #[serde(default, deserialize_with = "lenient::unsigned")]
    pub complete_size: u64,
    /// The lists of failed objects; the key is a folder here.
    #[serde(default, deserialize_with = "lenient::object")]
    pub failed_object_record: FailedObjectRecord,
    /// `NO_OVERWRITE`, `SIZE_LAST_MODIFIED_COMPARISON_OVERWRITE`, `CRC64_COMPARISON_OVERWRITE` or `FULL_OVERWRITE`.
    #[serde(default, deserialize_with = "lenient::optional_text")]
    pub object_overwrite_mode: Option<String>,
    /// Storage class at the destination.
    #[serde(default, deserialize_with = "lenient::optional_text")]
    pub dst_storage_policy: Option<String>,
    /// Kind of the destination: `BUCKET`, or `PFS` for a parallel file system.
    #[serde(default, deserialize_with = "lenient::optional_text")]
    pub obs_system: Option<String>,
    /// `size_last_modified`, `crc64` or `no_check`.
    #[serde(default, deserialize_with = "lenient::optional_text")]
    pub consistency_check: Option<String>,
}

/// One page of task groups. Records can shift between pages: read until a page is short, and drop doubles by ID.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskGroupPage {
    /// Groups that match, over all pages.
    pub count: u64,
    /// The groups of this page.
    pub groups: Vec<TaskGroup>,
}

impl Reply for TaskGroup {
    type Wire = Self;

    fn from_wire(wire: Self) -> Result<Self, &'static str> {
        Ok(wire)
    }
}

impl Reply for TaskGroupPage {
    type Wire = Page<TaskGroup>;

    fn from_wire(wire: Page<TaskGroup>) -> Result<Self, &'static str> {
        let (count, groups) = wire.read().ok_or("a page without task groups")?;
        Ok(Self { count, groups })
    }
}

fn no_status() -> GroupStatus {
    GroupStatus::Unknown(i64::MIN)
}

fn status<'de, D: Deserializer<'de>>(deserializer: D) -> Result<GroupStatus, D::Error> {
    Ok(lenient::optional_signed(deserializer)?.map_or_else(no_status, GroupStatus::from_code))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(value: Value) -> TaskGroup {
        serde_json::from_str(&value.to_string()).unwrap()
    }

    #[test]
    fn an_id_alone_is_a_group_whose_status_is_not_known() {
        let group = read(json!({"group_id": "g"}));
        assert_eq!(group.status, GroupStatus::Unknown(i64::MIN));
        assert!(!group.status.is_settled());
        assert!(serde_json::from_value::<TaskGroup>(json!({"status": 6})).is_err());
    }

    #[test]
    fn nulls_texts_and_other_types_are_read_as_what_they_can_mean() {
        let group = read(json!({
            "group_id": "g", "status": "5", "error_reason": {}, "src_node": {"cloud_type": "NEWCLOUD", "object_key": ["%21"]},
            "dst_node": [], "total_num": "12", "fail_num": 3.0, "total_task_num": null, "create_task_num": "4",
            "smn_config": {"notify_result": true}, "source_cdn": {}, "migrate_since": 1_672_671_845_000_u64,
            "failed_object_record": null, "enable_restore": "false", "never_heard_of": {"a": [1]}
        }));
        assert_eq!(group.status, GroupStatus::Failed);
        assert_eq!(group.error_reason, None);
        assert_eq!(group.src_node.cloud_type.as_deref(), Some("NEWCLOUD"));
        assert_eq!((group.total_num, group.fail_num), (12, 3));
        assert_eq!((group.total_task_num, group.create_task_num), (None, Some(4)));
        assert_eq!(group.smn_info.unwrap().notify_result, Some(true));
        assert_eq!(group.migrate_since, Some(1_672_671_845));
        assert_eq!(group.enable_restore, Some(false));
        assert_eq!(group.failed_object_record, FailedObjectRecord::default());
    }

    #[test]
    fn a_page_with_an_unreadable_group_is_no_page() {
        let page = |value: Value| {
            serde_json::from_value(value).map_err(|_| "unreadable").and_then(TaskGroupPage::from_wire)
        };
        assert_eq!(page(json!({"taskgroups": [{"group_id": "g"}], "count": "353"})).unwrap().count, 353);
        assert_eq!(page(json!({"taskgroups": null, "count": 0})).unwrap().groups.len(), 0);
        assert_eq!(page(json!({"count": 3})), Err("a page without task groups"));
        assert_eq!(page(json!({"taskgroups": [{"status": 6}], "count": 1})), Err("unreadable"));
    }
}
