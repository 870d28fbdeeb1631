//! A sync task as OMS shows it. Every member but the ID may be missing, null or of another type.

use std::fmt;

use serde::{Deserialize, Deserializer};

use super::super::protection::SourceCdnSummary;
use super::super::reply::Page;
use super::super::{Reply, lenient};

/// What a sync task is doing (OMS API reference 5.4.4). Two states are documented.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SyncStatus {
    /// Takes events and copies.
    Synchronizing,
    /// Stopped: events are refused; can be started again.
    Stopped,
    /// Anything else, as it came; empty when there was nothing.
    Unknown(String),
}

impl SyncStatus {
    /// OMS's name of the state.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Synchronizing => "SYNCHRONIZING",
            Self::Stopped => "STOPPED",
            Self::Unknown(other) => other,
        }
    }

    fn from_name(name: String) -> Self {
        if name.eq_ignore_ascii_case("SYNCHRONIZING") {
            Self::Synchronizing
        } else if name.eq_ignore_ascii_case("STOPPED") {
            Self::Stopped
        } else {
            Self::Unknown(name)
        }
    }
}

impl Default for SyncStatus {
    fn default() -> Self {
        Self::Unknown(String::new())
    }
}

impl fmt::Display for SyncStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Synchronizing => f.write_str("synchronizing"),
            Self::Stopped => f.write_str("stopped"),
            Self::Unknown(name) if name.is_empty() => f.write_str("unknown"),
            Self::Unknown(name) => write!(f, "unknown ({name})"),
        }
    }
}

/// A sync task (OMS API reference 5.4.2 and 5.4.4). A list leaves the month's counters out, and a single one its CDN.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct SyncTask {
    /// ID of the sync task; opaque.
    #[serde(deserialize_with = "lenient::required_text")]
    pub sync_task_id: String,
    /// Provider of the source.
    #[serde(default, deserialize_with = "lenient::optional_text")]
    pub src_cloud_type: Option<String>,
    /// Region of the source bucket.
    #[serde(default, deserialize_with = "lenient::optional_text")]
    pub src_region: Option<String>,
    /// Source bucket.
    #[serde(default, deserialize_with = "lenient::optional_text")]
    pub src_bucket: Option<String>,
    /// Creation, Unix milliseconds.
    #[serde(default, deserialize_with = "lenient::unsigned")]
    pub create_time: u64,
    /// Latest start, Unix milliseconds.
    #[serde(default, deserialize_with = "lenient::unsigned")]
    pub last_start_time: u64,
    /// Destination bucket.
    #[serde(default, deserialize_with = "lenient::optional_text")]
    pub dst_bucket: Option<String>,
    /// Region of the destination bucket.
    #[serde(default, deserialize_with = "lenient::optional_text")]
    pub dst_region: Option<String>,
    /// Free text given at creation; empty when there was none.
    #[serde(default, deserialize_with = "lenient::text")]
    pub description: String,
    /// What the sync task is doing.
    #[serde(default, deserialize_with = "status")]
    pub status: SyncStatus,
    /// Whether metadata is copied too.
    #[serde(default, deserialize_with = "lenient::optional_flag")]
    pub enable_metadata_migration: Option<bool>,
    /// Whether archived source objects are restored first.
    #[serde(default, deserialize_with = "lenient::optional_flag")]
    pub enable_restore: Option<bool>,
    /// Tencent's APPID.
    #[serde(default, deserialize_with = "lenient::optional_text")]
    pub app_id: Option<String>,
    /// The CDN in front of the source; only a list tells.
    #[serde(default, deserialize_with = "lenient::optional_object")]
    pub source_cdn: Option<SourceCdnSummary>,
    /// What happens to objects that are there already; cannot be chosen.
    #[serde(default, deserialize_with = "lenient::optional_text")]
    pub object_overwrite_mode: Option<String>,
    /// Storage class at the destination; none means `STANDARD`.
    #[serde(default, deserialize_with = "lenient::optional_text")]
    pub dst_storage_policy: Option<String>,
    /// `size_last_modified`, `crc64` or `no_check`; `transmission`, as the create request calls the last, is read as that.
    #[serde(default, deserialize_with = "consistency_check")]
    pub consistency_check: Option<String>,
    /// Objects that were asked for in the month.
    #[serde(default, deserialize_with = "lenient::optional_unsigned")]
    pub monthly_acceptance_request: Option<u64>,
    /// Objects copied in the month.
    #[serde(default, deserialize_with = "lenient::optional_unsigned")]
    pub monthly_success_object: Option<u64>,
    /// Objects that failed in the month.
    #[serde(default, deserialize_with = "lenient::optional_unsigned")]
    pub monthly_failure_object: Option<u64>,
    /// Objects skipped in the month.
    #[serde(default, deserialize_with = "lenient::optional_unsigned")]
    pub monthly_skip_object: Option<u64>,
    /// Bytes copied in the month.
    #[serde(default, deserialize_with = "lenient::optional_unsigned")]
    pub monthly_size: Option<u64>,
}

/// One page of sync tasks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncTaskPage {
    /// Sync tasks that match, over all pages.
    pub count: u64,
    /// The sync tasks of this page.
    pub tasks: Vec<SyncTask>,
}

impl Reply for SyncTask {
    type Wire = Self;

    fn from_wire(wire: Self) -> Result<Self, &'static str> {
        Ok(wire)
    }
}

impl Reply for SyncTaskPage {
    type Wire = Page<SyncTask>;

    fn from_wire(wire: Page<SyncTask>) -> Result<Self, &'static str> {
        let (count, tasks) = wire.read().ok_or("a page without sync tasks")?;
        Ok(Self { count, tasks })
    }
}

fn status<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SyncStatus, D::Error> {
    Ok(SyncStatus::from_name(lenient::text(deserializer)?))
}

fn consistency_check<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let check = lenient::optional_text(deserializer)?;
    Ok(check.map(|check| if check == "transmission" { "no_check".to_owned() } else { check }))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(value: Value) -> SyncTask {
        serde_json::from_str(&value.to_string()).unwrap()
    }

    #[test]
    fn an_id_alone_is_a_sync_task_of_an_unknown_state() {
        let task = read(json!({"sync_task_id": "s"}));
        assert_eq!(task.status, SyncStatus::default());
        assert_eq!(task.monthly_size, None);
        assert!(serde_json::from_value::<SyncTask>(json!({"status": "STOPPED"})).is_err());
    }

    #[test]
    fn a_state_nobody_heard_of_survives_as_it_came() {
        let status = |value: Value| read(json!({"sync_task_id": "s", "status": value})).status;
        assert_eq!(status(json!("SYNCHRONIZING")), SyncStatus::Synchronizing);
        assert_eq!(status(json!("stopped")), SyncStatus::Stopped);
        assert_eq!(status(json!("Draining")).as_str(), "Draining");
        assert_eq!(status(json!(3)), SyncStatus::Unknown("3".into()));
        assert_eq!(status(json!(null)), SyncStatus::default());
    }

    #[test]
    fn both_names_of_no_check_are_one() {
        let check =
            |value: Value| read(json!({"sync_task_id": "s", "consistency_check": value})).consistency_check;
        assert_eq!(check(json!("transmission")).as_deref(), Some("no_check"));
        assert_eq!(check(json!("no_check")).as_deref(), Some("no_check"));
        assert_eq!(check(json!("crc64")).as_deref(), Some("crc64"));
        assert_eq!(check(json!(null)), None);
    }

    #[test]
    fn nulls_texts_and_other_types_are_read_as_what_they_can_mean() {
        let task = read(json!({
            "sync_task_id": 7, "create_time": "1700639560751", "app_id": null, "source_cdn": null,
            "dst_storage_policy": null, "monthly_size": "12", "monthly_skip_object": null, "enable_kms": false,
            "description": null, "src_bucket": {}
        }));
        assert_eq!((task.sync_task_id.as_str(), task.create_time), ("7", 1_700_639_560_751));
        assert_eq!((task.monthly_size, task.monthly_skip_object), (Some(12), None));
        assert_eq!((task.description.as_str(), task.src_bucket), ("", None));
    }
}
