//! REST client of Huawei Cloud OMS, without Kubernetes: signing, requests, answers, errors and one request budget.
//!
//! ```no_run
//! # async fn run() -> Result<(), oms_operator::oms::Error> {
//! use oms_operator::oms::{Budget, Client, Credentials, ListTasks, Settings, Urgency};
//! let settings = Settings::new("https://oms.cn-north-4.myhuaweicloud.com", "2c0689c860ad4728a497c91ec0844383");
//! let credentials = Credentials::keys("AK", "SK".into(), None);
//! let client = Client::new(settings, credentials, Budget::new(20.0))?;
//! let page = client.list_tasks(&ListTasks::default(), Urgency::User).await?;
//! println!("{} tasks", page.count);
//! # Ok(())
//! # }
//! ```
//!
//! Rules of every call: the budget's permit comes first, then the signature with the wall clock's time, then one request
//! that is never redirected and bounded in time and size. It is repeated here in one case only: credentials that end by
//! themselves and are refused with 401 are renewed, and the call is made once more. What a failure means is in [`Error`]:
//! its [`Class`] says whose move it is, its [`Delivery`] whether OMS may have acted on the request.

mod answer;
mod budget;
mod client;
pub mod codes;
mod error;
mod identity;
mod model;
mod read;
mod settings;
pub mod sign;
mod transport;

pub use budget::{Budget, Standing, Urgency};
pub use client::Client;
pub use codes::{Class, CodeEntry, FailureCause, Side};
pub use error::{Delivery, Error};
pub use identity::{
    Ambient, AmbientSettings, AmbientSource, Credentials, Login, Scope, Source, find_project_id,
};
pub use model::{
    ApiVersion, BandwidthWindow, BatchUpdateTasks, BucketAccess, BucketRegion, CdnCheck, CheckPrefix,
    CheckUrlSourceListFileFormat, CheckedKey, CloudSide, CreateSyncEvents, CreateSyncTask, CreateTask,
    CreateTaskGroup, CreatedSyncTask, CreatedTask, CreatedTaskGroup, Crypto, DestinationNode,
    DestinationSummary, ErrorReason, FailedObjectRecord, GroupDestinationNode, GroupKeys, GroupSourceNode,
    GroupStatus, ListFile, ListSyncTasks, ListTaskGroup, ListTasks, ObjectPage, ObjectRecord,
    ProviderRegions, Quota, RegionInfo, RetryTaskGroup, ShowBucketObjects, ShowCdnInfo, SmnConfig, SmnInfo,
    SourceCdn, SourceCdnSummary, SourceNode, SourceSummary, StartSyncTask, StartTask, StartTaskGroup,
    StatisticInterval, StatisticKind, StatisticPoint, StatisticSeries, SyncStatus, SyncTask, SyncTaskPage,
    SyncTaskStatistic, SyncTaskStatisticQuery, Task, TaskGroup, TaskGroupPage, TaskId, TaskPage,
    TaskSelection, TaskStatus,
};
pub use settings::{
    CallGate, CallObserver, CallRecord, MutationObserver, MutationRecord, Settings, Timeouts, WaitObserver,
};
