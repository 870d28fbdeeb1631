//! What is sent to OMS and what comes back. Nothing here can be serialised from outside: bodies that carry keys are
//! built by the transport, at the moment of sending.

#[cfg(test)]
mod any_json;
mod bucket;
mod catalogue;
mod check;
mod create;
mod group;
mod lenient;
mod protection;
mod reply;
mod smn;
mod start;
mod status;
mod sync;
mod task;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};
use zeroize::Zeroizing;

pub use self::bucket::{
    BucketAccess, BucketRegion, CdnCheck, CheckPrefix, CheckUrlSourceListFileFormat, CheckedKey, ObjectPage,
    ObjectRecord, ShowBucketObjects, ShowCdnInfo,
};
pub use self::catalogue::{ApiVersion, CloudSide, ProviderRegions, Quota, RegionInfo};
pub use self::create::{CreateTask, CreatedTask, DestinationNode, SourceNode};
pub use self::group::{
    CreateTaskGroup, CreatedTaskGroup, GroupDestinationNode, GroupKeys, GroupSourceNode, GroupStatus,
    ListTaskGroup, RetryTaskGroup, StartTaskGroup, TaskGroup, TaskGroupPage,
};
pub use self::protection::{Crypto, SourceCdn, SourceCdnSummary};
pub use self::smn::{SmnConfig, SmnInfo};
pub use self::start::{BatchUpdateTasks, StartTask, TaskSelection};
pub use self::status::TaskStatus;
pub use self::sync::{
    CreateSyncEvents, CreateSyncTask, CreatedSyncTask, ListSyncTasks, StartSyncTask, StatisticInterval,
    StatisticKind, StatisticPoint, StatisticSeries, SyncStatus, SyncTask, SyncTaskPage, SyncTaskStatistic,
    SyncTaskStatisticQuery,
};
pub use self::task::{DestinationSummary, ErrorReason, FailedObjectRecord, SourceSummary, Task};

#[cfg(test)]
pub(super) use self::any_json::any_json;
pub(super) use self::bucket::{BucketNames, PrefixFound};
pub(super) use self::catalogue::{ApiVersions, CloudTypes, Quotas, Regions};
pub(super) use self::check::{Checked, Fault, fault, filled, moment, segment};
pub(super) use self::reply::Reply;
pub(super) use self::start::{bandwidth_body, check_windows};
pub(super) use self::sync::LARGEST_OFFSET;

/// ID of a migration task: a whole number, larger than 2^53 in places (OMS API reference 5.3.3), so never a double.
/// Written as a number, read from a number or a string.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct TaskId(u64);

impl TaskId {
    /// An ID from its number.
    pub const fn new(id: u64) -> Self {
        Self(id)
    }

    /// The number.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for TaskId {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

impl<'de> Deserialize<'de> for TaskId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = serde_json::Value::deserialize(deserializer)?;
        let id = match &value {
            serde_json::Value::Number(number) => number.as_u64(),
            serde_json::Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        id.map(Self).ok_or_else(|| serde::de::Error::custom("a task ID is a whole number"))
    }
}

/// One rate limit of a day. Outside all windows there is no limit; OMS does not say in which time zone they are.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct BandwidthWindow {
    /// First minute, `hh:mm`, 24-hour clock.
    #[serde(default, deserialize_with = "lenient::text")]
    pub start: String,
    /// Last minute, `hh:mm`; later than `start`, on the same day.
    #[serde(default, deserialize_with = "lenient::text")]
    pub end: String,
    /// Bytes per second; OMS takes 1 MiB/s to 200 MiB/s.
    #[serde(default, deserialize_with = "lenient::unsigned")]
    pub max_bandwidth: u64,
}

/// Where an object list or URL list lies: in a bucket of the destination's region.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListFile {
    /// Key of the list file.
    #[serde(default, deserialize_with = "lenient::text")]
    pub list_file_key: String,
    /// OBS bucket that holds it.
    #[serde(default, deserialize_with = "lenient::text")]
    pub obs_bucket: String,
}

/// Which tasks to list (OMS API reference 5.3.2). The order of the answer is not documented.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListTasks {
    /// Only tasks in this status; OMS cannot filter by retrying (6).
    pub status: Option<TaskStatus>,
    /// Only members of this task group.
    pub group_id: Option<String>,
    /// Only tasks whose name contains this.
    pub task_name: Option<String>,
    /// Records per page, 1 to 100.
    pub limit: u32,
    /// Records to skip.
    pub offset: u64,
}

impl Default for ListTasks {
    fn default() -> Self {
        Self { status: None, group_id: None, task_name: None, limit: 100, offset: 0 }
    }
}

impl ListTasks {
    /// What would make OMS answer something else than was asked for.
    pub(super) fn check(&self) -> Checked {
        page_size(self.limit)?;
        if self
            .status
            .is_some_and(|status| !(1..=7).contains(&status.code()) || status == TaskStatus::Retrying)
        {
            return fault("status", "is none that OMS can filter by");
        }
        self.group_id.as_ref().map_or(Ok(()), |id| filled("group_id", id))
    }
}

/// Page sizes OMS takes.
pub(super) fn page_size(limit: u32) -> Checked {
    if (1..=100).contains(&limit) { Ok(()) } else { fault("limit", "is not within 1 to 100") }
}

/// One page of tasks. Records can shift between pages: read until a page is short, and drop doubles by ID.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskPage {
    /// Tasks that match, over all pages.
    pub count: u64,
    /// The tasks of this page.
    pub tasks: Vec<Task>,
}

/// A request body that may hold keys: wiped when it is dropped.
pub(super) type Body = Zeroizing<Vec<u8>>;

/// Serialises into memory that is wiped, sized so that it rarely moves (a move leaves a copy behind).
fn body(wire: &impl Serialize) -> Body {
    let mut bytes = Zeroizing::new(Vec::with_capacity(8 * 1024));
    // Writing plain structs into memory cannot fail.
    let _ = serde_json::to_writer(&mut *bytes, wire);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_id_is_written_as_a_number_and_read_from_both_forms() {
        let id: TaskId = "9007199254740993".parse().unwrap();
        assert_eq!(serde_json::to_string(&id).unwrap(), "9007199254740993");
        assert_eq!(serde_json::from_str::<TaskId>("9007199254740993").unwrap(), id);
        assert_eq!(serde_json::from_str::<TaskId>("\"9007199254740993\"").unwrap(), id);
        assert_eq!(id.to_string(), "9007199254740993");
        for wrong in ["-1", "1.5", "null", "\"x\"", "\"\"", "{}"] {
            assert!(serde_json::from_str::<TaskId>(wrong).is_err(), "{wrong}");
        }
        assert!("12a".parse::<TaskId>().is_err());
    }
}
