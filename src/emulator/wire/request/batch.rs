//! Changes to tasks that exist: bandwidth and priority.

use serde_json::Value;

use super::{Priority, read_priority};
use crate::emulator::{
    config::{Behaviour, Limits},
    wire::{
        bandwidth::{self, BandwidthWindow},
        members::Members,
        refusal::Refusal,
    },
};

/// Body of BatchUpdateTasks.
#[derive(Clone, Debug)]
pub struct BatchUpdateTasks {
    /// The tasks.
    pub target: BatchTarget,
    /// New windows; absent leaves them alone.
    pub bandwidth: Option<Vec<BandwidthWindow>>,
    /// New priority; absent leaves it alone.
    pub priority: Option<Priority>,
}

/// Which tasks a batch update is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BatchTarget {
    /// All tasks of a group.
    Group(String),
    /// These.
    Tasks(Vec<u64>),
}

impl BatchUpdateTasks {
    /// Reads a request.
    pub fn read(body: &Value, limits: &Limits, behaviour: &Behaviour) -> Result<Self, Refusal> {
        let members = Members::of(body)?;
        let group = members.text("group_id", 36)?.map(str::to_owned);
        let ids = match members.list("ids")? {
            None => None,
            Some(ids) if ids.is_empty() || ids.len() > limits.batch_tasks => {
                return Err(members.refuse("ids"));
            }
            Some(ids) => Some(
                ids.iter()
                    .map(|id| id.as_u64().filter(|id| i64::try_from(*id).is_ok()))
                    .collect::<Option<Vec<_>>>()
                    .ok_or_else(|| members.refuse("ids"))?,
            ),
        };
        let target = match (group, ids) {
            (Some(group), None) if !group.is_empty() => BatchTarget::Group(group),
            (None, Some(ids)) => BatchTarget::Tasks(ids),
            (Some(_), _) => return Err(members.refuse("group_id")),
            (None, None) => return Err(members.refuse("ids")),
        };
        let bandwidth = bandwidth::read(&members, limits)?;
        if bandwidth.is_none() && behaviour.batch_policy_required {
            return Err(members.refuse("bandwidth_policy"));
        }
        Ok(Self { target, bandwidth, priority: read_priority(&members)? })
    }
}

/// Reads the body of UpdateBandwidthPolicy.
pub fn read_bandwidth(body: &Value, limits: &Limits) -> Result<Vec<BandwidthWindow>, Refusal> {
    let members = Members::of(body)?;
    bandwidth::read(&members, limits)?.ok_or_else(|| members.refuse("bandwidth_policy"))
}
