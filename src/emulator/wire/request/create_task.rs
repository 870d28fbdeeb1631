//! CreateTask.

use serde_json::Value;

use super::{
    Definition, Priority, TaskKeys,
    definition::{Migration, Style},
    read_priority,
};
use crate::emulator::{
    config::{Behaviour, Limits},
    mover::TaskType,
    wire::{bandwidth::BandwidthWindow, members::Members, refusal::Refusal},
};

/// Body of CreateTask.
#[derive(Clone, Debug)]
pub struct CreateTask {
    /// What is fixed for good.
    pub definition: Definition,
    /// Secrets.
    pub keys: TaskKeys,
    /// Bandwidth windows.
    pub bandwidth: Vec<BandwidthWindow>,
    /// Priority.
    pub priority: Priority,
    /// KMS keys that the credentials are to be kept with.
    pub kms_keys: Vec<String>,
}

impl CreateTask {
    /// Reads and checks a request.
    pub fn read(body: &Value, limits: &Limits, behaviour: &Behaviour) -> Result<Self, Refusal> {
        let members = Members::of(body)?;
        let task_type = match members.word("task_type", &["object", "prefix", "list", "url_list"])? {
            None | Some("object") => TaskType::Object,
            Some("prefix") => TaskType::Prefix,
            Some("list") => TaskType::List,
            Some(_) => TaskType::UrlList,
        };
        let priority = read_priority(&members)?.unwrap_or_default();
        let Migration { definition, keys, bandwidth, kms_keys } =
            Migration::read(&members, (limits, behaviour), Style::Task, task_type)?;
        Ok(Self { definition, keys, bandwidth, priority, kms_keys })
    }
}
