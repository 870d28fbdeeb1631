//! What a spec asks for, of whatever kind: the part that decisions depend on. What only a call carries stays in the spec.

use std::fmt;

use super::seen::Window;
use crate::api::{
    BandwidthWindow, Cdn, CloudType, Destination, Lifecycle, ListFile, MigrationTask, MigrationTaskSpec,
    Notification, Priority, Runs, Source, SyncTask, SyncTaskSpec, TaskGroup, TaskGroupSpec, TaskType,
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

    /// What it is at OMS.
    pub fn thing(self) -> &'static str {
        match self {
            Self::MigrationTask => "task",
            Self::TaskGroup => "task group",
            Self::SyncTask => "sync task",
        }
    }

    /// The field that names one that exists.
    pub fn adopts_by(self) -> &'static str {
        match self {
            Self::MigrationTask => "adopt.taskId",
            Self::TaskGroup => "adopt.groupId",
            Self::SyncTask => "adopt.syncTaskId",
        }
    }

    /// Whether OMS takes keys with a security token for it.
    pub fn takes_temporary_keys(self) -> bool {
        match self {
            Self::MigrationTask => true,
            Self::TaskGroup | Self::SyncTask => false,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A spec, of whatever kind.
#[derive(Clone, Copy, Debug)]
pub enum Spec<'a> {
    /// Of a MigrationTask.
    MigrationTask(&'a MigrationTaskSpec),
    /// Of a TaskGroup.
    TaskGroup(&'a TaskGroupSpec),
    /// Of a SyncTask.
    SyncTask(&'a SyncTaskSpec),
}

impl Spec<'_> {
    fn to_json(self) -> serde_json::Value {
        let json = match self {
            Self::MigrationTask(spec) => serde_json::to_value(spec),
            Self::TaskGroup(spec) => serde_json::to_value(spec),
            Self::SyncTask(spec) => serde_json::to_value(spec),
        };
        json.unwrap_or_default()
    }
}

/// Where objects come from and go to: what can be looked into beforehand.
#[derive(Clone, Debug)]
pub struct Places<'a> {
    /// Cloud of the source.
    pub cloud: CloudType,
    /// Region of the source bucket.
    pub region: Option<&'a str>,
    /// Source bucket; none for URLs.
    pub bucket: Option<&'a str>,
    /// Tencent's APPID.
    pub app_id: Option<&'a str>,
    /// Names or prefixes of objects.
    pub keys: &'a [String],
    /// Whether they are names, where one that ends in `/` is a folder.
    pub named: bool,
    /// The CDN in front of the source.
    pub cdn: Option<&'a Cdn>,
    /// The list of URLs.
    pub url_list: Option<&'a ListFile>,
    /// Destination bucket.
    pub destination: &'a str,
}

impl<'a> Places<'a> {
    fn of(source: Option<&'a Source>, destination: Option<&'a Destination>) -> Option<Self> {
        let (source, destination) = (source?, destination?);
        Some(Self {
            cloud: source.cloud_type,
            region: source.region.as_deref(),
            bucket: source.bucket.as_deref(),
            app_id: source.app_id.as_deref(),
            keys: source.object_keys.as_deref().unwrap_or_default(),
            named: false,
            cdn: source.cdn.as_ref(),
            url_list: source.list_file.as_ref(),
            destination: &destination.bucket,
        })
    }
}

/// What a spec asks for.
#[derive(Clone, Debug)]
pub struct Wish<'a> {
    /// The spec itself.
    pub spec: Spec<'a>,
    /// Where from and where to; `None`: the spec does not say both.
    pub places: Option<Places<'a>>,
    /// The kind of the object.
    pub kind: Kind,
    /// How the operator treats the task.
    pub lifecycle: &'a Lifecycle,
    /// How often it copies; `None`: the kind copies without an end.
    pub runs: Option<&'a Runs>,
    /// ID of the task at OMS that is taken over instead of creating one.
    pub adopt: Option<&'a str>,
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
            spec: Spec::MigrationTask(spec),
            places: Places::of(spec.source.as_ref(), spec.destination.as_ref()).map(|places| Places {
                named: spec.task_type == TaskType::Object,
                url_list: places.url_list.filter(|_| spec.task_type == TaskType::UrlList),
                ..places
            }),
            kind: Kind::MigrationTask,
            lifecycle: &spec.lifecycle,
            runs: Some(&spec.runs),
            adopt: spec.adopt.as_ref().map(|adopt| adopt.task_id.as_str()),
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
            spec: Spec::TaskGroup(spec),
            // The lists of a group are a folder, which no check takes.
            places: Places::of(spec.source.as_ref(), spec.destination.as_ref())
                .map(|places| Places { url_list: None, ..places }),
            kind: Kind::TaskGroup,
            lifecycle: &spec.lifecycle,
            runs: Some(&spec.runs),
            adopt: spec.adopt.as_ref().map(|adopt| adopt.group_id.as_str()),
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
            spec: Spec::SyncTask(spec),
            // Only events name objects, so there is nothing to look for in the bucket.
            places: spec.source.as_ref().zip(spec.destination.as_ref()).map(|(source, destination)| Places {
                cloud: source.cloud_type,
                region: Some(&source.region),
                bucket: Some(&source.bucket),
                app_id: source.app_id.as_deref(),
                keys: &[],
                named: false,
                cdn: source.cdn.as_ref(),
                url_list: None,
                destination: &destination.bucket,
            }),
            kind: Kind::SyncTask,
            lifecycle: &spec.lifecycle,
            runs: None,
            adopt: spec.adopt.as_ref().map(|adopt| adopt.sync_task_id.as_str()),
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

impl Wish<'_> {
    /// What would be done, without what can be changed while it is done: the part of the spec that an approval is about.
    pub fn substance(&self) -> serde_json::Value {
        let mut spec = self.spec.to_json();
        let live = [serde_json::to_value(self.lifecycle), serde_json::to_value(self.runs)];
        let live =
            live.iter().flatten().filter_map(serde_json::Value::as_object).flat_map(|live| live.keys());
        let others = ["bandwidthPolicy", "priority"].map(str::to_owned);
        if let Some(members) = spec.as_object_mut() {
            for member in live.chain(&others).filter(|member| *member != "rerun") {
                members.remove(member);
            }
        }
        spec
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
