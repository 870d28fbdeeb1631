//! What a spec asks for, of whatever kind: the part that decisions depend on. What only a call carries stays in the spec.

use std::fmt;

use super::seen::Window;
use crate::api::{
    BandwidthWindow, Cdn, Lifecycle, MigrationTask, Notification, Priority, Runs, SyncTask, TaskGroup,
};

/// The kinds of objects that have something of theirs at OMS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// A migration task.
    MigrationTask,
    /// A task group.
    TaskGroup,
    /// A sync task.
    SyncTask,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::MigrationTask, Self::TaskGroup, Self::SyncTask];

    /// As Kubernetes writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MigrationTask => "MigrationTask",
            Self::TaskGroup => "TaskGroup",
            Self::SyncTask => "SyncTask",
        }
    }

    /// Whether OMS takes keys with a security token for it.
    pub fn takes_temporary_keys(self) -> bool {
        match self {
            Self::MigrationTask => true,
            Self::TaskGroup => false,
            Self::SyncTask => false,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a spec asks for.
#[derive(Clone, Debug)]
pub struct Wish<'a> {
    /// The kind of the object.
    pub kind: Kind,
    /// How the operator treats the task.
    pub lifecycle: &'a Lifecycle,
    /// How often it copies; `None`: the kind copies without an end.
    pub runs: Option<&'a Runs>,
    /// Region of the destination, when it is named.
    pub destination_region: Option<&'a str>,
    /// The CDN in front of the source.
    pub cdn: Option<&'a Cdn>,
    /// Whom OMS tells about the end.
    pub notification: Option<&'a Notification>,
    /// Whether archived objects are restored first.
    pub restores: bool,
    /// The daily windows with a limit, in order; `None`: the kind has none.
    pub windows: Option<Vec<Window>>,
    /// The place in OMS's queue; `None`: the kind has none.
    pub priority: Option<Priority>,
}

impl<'a> From<&'a MigrationTask> for Wish<'a> {
    fn from(task: &'a MigrationTask) -> Self {
        let spec = &task.spec;
        Self {
            kind: Kind::MigrationTask,
            lifecycle: &spec.lifecycle,
            runs: Some(&spec.runs),
            destination_region: spec
                .destination
                .as_ref()
                .and_then(|destination| destination.region.as_deref()),
            cdn: spec.source.as_ref().and_then(|source| source.cdn.as_ref()),
            notification: spec.notification.as_ref(),
            restores: spec.enable_restore,
            windows: Some(windows(&spec.bandwidth_policy)),
            priority: Some(spec.priority),
        }
    }
}

impl<'a> From<&'a TaskGroup> for Wish<'a> {
    fn from(group: &'a TaskGroup) -> Self {
        let spec = &group.spec;
        Self {
            kind: Kind::TaskGroup,
            lifecycle: &spec.lifecycle,
            runs: Some(&spec.runs),
            destination_region: spec
                .destination
                .as_ref()
                .and_then(|destination| destination.region.as_deref()),
            cdn: spec.source.as_ref().and_then(|source| source.cdn.as_ref()),
            notification: spec.notification.as_ref(),
            restores: spec.enable_restore,
            windows: Some(windows(&spec.bandwidth_policy)),
            priority: None,
        }
    }
}

impl<'a> From<&'a SyncTask> for Wish<'a> {
    fn from(task: &'a SyncTask) -> Self {
        let spec = &task.spec;
        Self {
            kind: Kind::SyncTask,
            lifecycle: &spec.lifecycle,
            runs: None,
            destination_region: spec
                .destination
                .as_ref()
                .and_then(|destination| destination.region.as_deref()),
            cdn: spec.source.as_ref().and_then(|source| source.cdn.as_ref()),
            notification: None,
            // A start of it copies nothing, so it restores nothing: events do.
            restores: false,
            windows: None,
            priority: None,
        }
    }
}

/// Windows in their order of time.
fn windows(policy: &[BandwidthWindow]) -> Vec<Window> {
    let mut windows: Vec<_> = policy
        .iter()
        .map(|window| Window {
            start: window.start.clone(),
            end: window.end.clone(),
            bytes_per_second: window.max_bandwidth.bytes_per_second().unwrap_or_default(),
        })
        .collect();
    windows.sort();
    windows
}
