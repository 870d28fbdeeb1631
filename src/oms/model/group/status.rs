//! The status of a task group (OMS API reference 5.5.3). Not that of a task: 5 and 6 mean nearly the opposite.

use std::fmt;

/// What a task group is doing. Every number that is not known here must be read as "not finished, look again".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GroupStatus {
    /// 0: accepted, not begun.
    Waiting,
    /// 1: lists the source and creates its tasks; can in practice be neither stopped nor deleted.
    Creating,
    /// 2: its tasks exist and run.
    Monitoring,
    /// 3: stopped; can be started again.
    Stopped,
    /// 4: its tasks could not be created; can be retried.
    CreationFailed,
    /// 5: ended with failed objects or tasks; can be retried.
    Failed,
    /// 6: finished for good.
    Completed,
    /// 7: a stop is under way.
    Stopping,
    /// 8: waits for its deletion.
    AwaitingDeletion,
    /// 9: deleted or being deleted; it is gone when OMS says so with 404.
    Deleted,
    /// Any other number; `i64::MIN` when there was none.
    Unknown(i64),
}

impl GroupStatus {
    /// The status behind OMS's number.
    pub const fn from_code(code: i64) -> Self {
        match code {
            0 => Self::Waiting,
            1 => Self::Creating,
            2 => Self::Monitoring,
            3 => Self::Stopped,
            4 => Self::CreationFailed,
            5 => Self::Failed,
            6 => Self::Completed,
            7 => Self::Stopping,
            8 => Self::AwaitingDeletion,
            9 => Self::Deleted,
            other => Self::Unknown(other),
        }
    }

    /// OMS's number.
    pub const fn code(self) -> i64 {
        match self {
            Self::Waiting => 0,
            Self::Creating => 1,
            Self::Monitoring => 2,
            Self::Stopped => 3,
            Self::CreationFailed => 4,
            Self::Failed => 5,
            Self::Completed => 6,
            Self::Stopping => 7,
            Self::AwaitingDeletion => 8,
            Self::Deleted => 9,
            Self::Unknown(code) => code,
        }
    }

    /// Whether OMS leaves the group as it is until somebody acts: stopped, failed in either way, or completed.
    pub const fn is_settled(self) -> bool {
        matches!(self, Self::Stopped | Self::CreationFailed | Self::Failed | Self::Completed)
    }

    /// Whether the group is on its way out: a deletion was accepted.
    pub const fn is_being_deleted(self) -> bool {
        matches!(self, Self::AwaitingDeletion | Self::Deleted)
    }
}

impl fmt::Display for GroupStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Waiting => f.write_str("waiting"),
            Self::Creating => f.write_str("creating"),
            Self::Monitoring => f.write_str("monitoring"),
            Self::Stopped => f.write_str("stopped"),
            Self::CreationFailed => f.write_str("creation failed"),
            Self::Failed => f.write_str("failed"),
            Self::Completed => f.write_str("completed"),
            Self::Stopping => f.write_str("stopping"),
            Self::AwaitingDeletion => f.write_str("awaiting deletion"),
            Self::Deleted => f.write_str("deleted"),
            Self::Unknown(code) => write!(f, "unknown ({code})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::TaskStatus;
    use super::*;

    #[test]
    fn every_number_survives_the_round_trip() {
        for code in -3..=14 {
            assert_eq!(GroupStatus::from_code(code).code(), code);
        }
        assert_eq!(GroupStatus::from_code(10), GroupStatus::Unknown(10));
    }

    #[test]
    fn a_group_settles_in_other_numbers_than_a_task() {
        let groups: Vec<i64> = (-1..12).filter(|code| GroupStatus::from_code(*code).is_settled()).collect();
        let tasks: Vec<i64> = (-1..12).filter(|code| TaskStatus::from_code(*code).is_settled()).collect();
        assert_eq!((groups, tasks), (vec![3, 4, 5, 6], vec![3, 4, 5]));
        let leaving: Vec<i64> =
            (-1..12).filter(|code| GroupStatus::from_code(*code).is_being_deleted()).collect();
        assert_eq!(leaving, [8, 9]);
    }
}
