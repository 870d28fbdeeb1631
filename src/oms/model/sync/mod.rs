//! Synchronization tasks (OMS API reference 5.4): a pair of buckets between which OMS copies the objects it is told of.

mod create;
mod events;
mod statistic;
mod sync_task;

pub use self::create::{CreateSyncTask, CreatedSyncTask, StartSyncTask};
pub use self::events::CreateSyncEvents;
pub use self::statistic::{
    StatisticInterval, StatisticKind, StatisticPoint, StatisticSeries, SyncTaskStatistic,
    SyncTaskStatisticQuery,
};
pub use self::sync_task::{SyncStatus, SyncTask, SyncTaskPage};

/// Largest offset of the list (OMS API reference 5.4.2); smaller than that of tasks and groups.
pub(in crate::oms) const LARGEST_OFFSET: u64 = 10_000;

/// Which sync tasks to list (OMS API reference 5.4.2). The order of the answer is not documented.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListSyncTasks {
    /// Only sync tasks in this state.
    pub status: Option<SyncStatus>,
    /// Records per page, 1 to 100.
    pub limit: u32,
    /// Records to skip, at most 10,000.
    pub offset: u64,
}

impl Default for ListSyncTasks {
    fn default() -> Self {
        Self { status: None, limit: 100, offset: 0 }
    }
}
