//! Task groups (OMS API reference 5.5): one large migration that OMS splits into tasks by itself.

mod create;
mod start;
mod status;
mod task_group;

pub use self::create::{CreateTaskGroup, CreatedTaskGroup, GroupDestinationNode, GroupSourceNode};
pub use self::start::{GroupKeys, RetryTaskGroup, StartTaskGroup};
pub use self::status::GroupStatus;
pub use self::task_group::{TaskGroup, TaskGroupPage};

/// Which task groups to list (OMS API reference 5.5.1). The order of the answer is not documented, and there is no filter
/// by name, description or time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListTaskGroup {
    /// Only groups in this status.
    pub status: Option<GroupStatus>,
    /// Records per page, 1 to 100.
    pub limit: u32,
    /// Records to skip.
    pub offset: u64,
}

impl Default for ListTaskGroup {
    fn default() -> Self {
        Self { status: None, limit: 100, offset: 0 }
    }
}
