//! Answers, in the members of the API reference.

mod group;
pub mod sync;
mod task;

pub use self::group::{Sum, group};
pub use self::task::{ShownTask, TaskPage, shown_status, task};
