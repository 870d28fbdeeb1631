//! Sync tasks and their events (OMS API reference 5.4). They exist in some regions only.

use http::Method;
use jiff::Timestamp;

use super::super::budget::Urgency;
use super::super::error::Error;
use super::super::model::{
    CreateSyncEvents, CreateSyncTask, CreatedSyncTask, LARGEST_OFFSET, ListSyncTasks, Reply as _,
    StartSyncTask, SyncStatus, SyncTask, SyncTaskPage, SyncTaskStatistic, SyncTaskStatisticQuery, fault,
    moment, page_size, segment,
};
use super::{Client, call, checked};

/// Parameter that a sync task is addressed by.
const ID: &str = "sync_task_id";

impl Client {
    /// Creates a sync task, which starts by itself (5.4.3). There is no idempotency key: after
    /// [`super::super::Delivery::Unknown`] it may exist, and only a list tells. `S3M.0091` says that there are too many, five
    /// by default.
    pub async fn create_sync_task(
        &self,
        request: &CreateSyncTask,
        urgency: Urgency,
    ) -> Result<CreatedSyncTask, Error> {
        const OPERATION: &str = "CreateSyncTask";
        checked(OPERATION, request.check())?;
        let call = call(OPERATION, Method::POST, self.below_project(&["sync-tasks"]), urgency);
        self.fetch(call.making("sync_task_id").with_keys(request.body(), request.secrets())).await
    }

    /// One sync task, with the counters of the calendar month that `month` lies in (5.4.4). Where a month begins is not
    /// documented: for a month that is over, give a moment in its middle. [`Error::is_not_found`] tells when there is none;
    /// `OMS.0093` and `OMS.1011` say so too.
    pub async fn show_sync_task(
        &self,
        id: &str,
        month: Timestamp,
        urgency: Urgency,
    ) -> Result<SyncTask, Error> {
        const OPERATION: &str = "ShowSyncTask";
        checked(OPERATION, segment(ID, id).and_then(|()| moment("query_time", month)))?;
        let path = self.below_project(&["sync-tasks", id]);
        let query = vec![("query_time", month.as_millisecond().to_string())];
        let same = |task: SyncTask| {
            let same = task.sync_task_id.eq_ignore_ascii_case(id);
            if same { Ok(task) } else { Err("another sync task than the one asked for") }
        };
        self.transport.fetch(call(OPERATION, Method::GET, path, urgency).with_query(query), same).await
    }

    /// One page of sync tasks (5.4.2).
    pub async fn list_sync_tasks(
        &self,
        query: &ListSyncTasks,
        urgency: Urgency,
    ) -> Result<SyncTaskPage, Error> {
        const OPERATION: &str = "ListSyncTasks";
        checked(OPERATION, page_size(query.limit))?;
        if query.offset > LARGEST_OFFSET {
            checked(OPERATION, fault("offset", "is beyond 10,000"))?;
        }
        if matches!(query.status, Some(SyncStatus::Unknown(_))) {
            checked(OPERATION, fault("status", "is none that OMS can filter by"))?;
        }
        let mut parameters = vec![("limit", query.limit.to_string()), ("offset", query.offset.to_string())];
        parameters.extend(query.status.as_ref().map(|status| ("status", status.as_str().to_owned())));
        let call = call(OPERATION, Method::GET, self.below_project(&["sync-tasks"]), urgency);
        self.fetch(call.with_query(parameters)).await
    }

    /// Starts a stopped sync task with the keys given here (5.4.8). `OMS.0065` says that it runs already; `S3M.0091` that too
    /// many do.
    pub async fn start_sync_task(
        &self,
        id: &str,
        request: &StartSyncTask,
        urgency: Urgency,
    ) -> Result<(), Error> {
        const OPERATION: &str = "StartSyncTask";
        checked(OPERATION, segment(ID, id).and_then(|()| request.check()))?;
        let call = call(OPERATION, Method::POST, self.below_project(&["sync-tasks", id, "start"]), urgency);
        self.transport.act(call.changing(id).with_keys(request.body(), request.secrets())).await
    }

    /// Stops a sync task (5.4.7); events are refused from then on, not kept. `OMS.0066`, `OMS.0094` and `OMS.1012` say that
    /// it is stopped already.
    pub async fn stop_sync_task(&self, id: &str, urgency: Urgency) -> Result<(), Error> {
        const OPERATION: &str = "StopSyncTask";
        checked(OPERATION, segment(ID, id))?;
        let path = self.below_project(&["sync-tasks", id, "stop"]);
        self.transport.act(call(OPERATION, Method::POST, path, urgency).changing(id)).await
    }

    /// Deletes a stopped sync task (5.4.6). `OMS.0063` can be out of date right after a stop; 404, `OMS.1009`, `OMS.0093` and
    /// `OMS.1011` say that it is gone already.
    pub async fn delete_sync_task(&self, id: &str, urgency: Urgency) -> Result<(), Error> {
        const OPERATION: &str = "DeleteSyncTask";
        checked(OPERATION, segment(ID, id))?;
        let path = self.below_project(&["sync-tasks", id]);
        self.transport.act(call(OPERATION, Method::DELETE, path, urgency).changing(id)).await
    }

    /// Time series of a sync task (5.4.5).
    pub async fn list_sync_task_statistic(
        &self,
        id: &str,
        query: &SyncTaskStatisticQuery,
        urgency: Urgency,
    ) -> Result<SyncTaskStatistic, Error> {
        const OPERATION: &str = "ListSyncTaskStatistic";
        checked(OPERATION, segment(ID, id).and_then(|()| query.check()))?;
        let path = self.below_project(&["sync-tasks", id, "statistics"]);
        let call = call(OPERATION, Method::GET, path, urgency).with_query(query.parameters());
        self.transport.fetch(call, SyncTaskStatistic::from_wire).await
    }

    /// Tells a running sync task of up to 10 objects to copy (5.4.1). 200 means that they will be looked at; only the counters
    /// tell what came of it. Telling twice does no harm. `OMS.0094`, `OMS.1012` and `OMS.2002` say that it is stopped.
    pub async fn create_sync_events(
        &self,
        id: &str,
        request: &CreateSyncEvents,
        urgency: Urgency,
    ) -> Result<(), Error> {
        const OPERATION: &str = "CreateSyncEvents";
        checked(OPERATION, segment(ID, id).and_then(|()| request.check()))?;
        let call = call(OPERATION, Method::POST, self.below_project(&["sync-tasks", id, "events"]), urgency);
        self.transport.act(call.changing(id).with_body(request.body())).await
    }
}
