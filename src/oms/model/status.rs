//! The status of a migration task (OMS API reference 5.3.3).

use std::fmt;

/// What a task is doing. Every number that is not known here must be read as "not finished, look again".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TaskStatus {
    /// 0: not in the documentation, but seen right after a create, start or stop.
    Initializing,
    /// 1: waits for its turn.
    Waiting,
    /// 2: lists and copies.
    Running,
    /// 3: stopped; can be started again.
    Stopped,
    /// 4: failed; `error_reason` says why; can be started again.
    Failed,
    /// 5: finished for good.
    Succeeded,
    /// 6: OMS tries again by itself.
    Retrying,
    /// 7: a stop is under way.
    Stopping,
    /// Any other number; `i64::MIN` when there was none.
    Unknown(i64),
}

impl TaskStatus {
    /// The status behind OMS's number.
    pub const fn from_code(code: i64) -> Self {
        match code {
            0 => Self::Initializing,
            1 => Self::Waiting,
            2 => Self::Running,
            3 => Self::Stopped,
            4 => Self::Failed,
            5 => Self::Succeeded,
            6 => Self::Retrying,
            7 => Self::Stopping,
            other => Self::Unknown(other),
        }
    }

    /// OMS's number.
    pub const fn code(self) -> i64 {
        match self {
            Self::Initializing => 0,
            Self::Waiting => 1,
            Self::Running => 2,
            Self::Stopped => 3,
            Self::Failed => 4,
            Self::Succeeded => 5,
            Self::Retrying => 6,
            Self::Stopping => 7,
            Self::Unknown(code) => code,
        }
    }

    /// Whether OMS leaves the task as it is until somebody acts: stopped, failed or succeeded.
    pub const fn is_settled(self) -> bool {
        matches!(self, Self::Stopped | Self::Failed | Self::Succeeded)
    }
}

impl fmt::Display for TaskStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Initializing => f.write_str("initializing"),
            Self::Waiting => f.write_str("waiting"),
            Self::Running => f.write_str("running"),
            Self::Stopped => f.write_str("stopped"),
            Self::Failed => f.write_str("failed"),
            Self::Succeeded => f.write_str("succeeded"),
            Self::Retrying => f.write_str("retrying"),
            Self::Stopping => f.write_str("stopping"),
            Self::Unknown(code) => write!(f, "unknown ({code})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_survives_the_round_trip() {
        for code in -3..=12 {
            assert_eq!(TaskStatus::from_code(code).code(), code);
        }
        assert_eq!(TaskStatus::from_code(8), TaskStatus::Unknown(8));
    }

    #[test]
    fn only_stopped_failed_and_succeeded_are_settled() {
        let settled: Vec<i64> = (-1..10).filter(|code| TaskStatus::from_code(*code).is_settled()).collect();
        assert_eq!(settled, [3, 4, 5]);
    }
}
