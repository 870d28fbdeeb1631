//! Task groups (OMS API reference 5.5). Their actions are PUT where those of tasks are POST.

use http::Method;

use super::super::budget::Urgency;
use super::super::error::Error;
use super::super::model::{
    BandwidthWindow, CreateTaskGroup, CreatedTaskGroup, GroupStatus, ListTaskGroup, RetryTaskGroup,
    StartTaskGroup, TaskGroup, TaskGroupPage, bandwidth_body, check_windows, fault, page_size, segment,
};
use super::{Client, call, checked};

/// Parameter that a group is addressed by.
const ID: &str = "group_id";

impl Client {
    /// Creates a task group, which starts by itself and creates its tasks (5.5.2). There is no idempotency key: after
    /// [`super::super::Delivery::Unknown`] the group may exist, and only a search by description tells.
    ///
    /// Codes to expect besides those of a task: `OMS.1037` (100 groups in 24 hours), `S3M.1042` to `S3M.1045` (the folder of
    /// lists).
    pub async fn create_task_group(
        &self,
        request: &CreateTaskGroup,
        urgency: Urgency,
    ) -> Result<CreatedTaskGroup, Error> {
        const OPERATION: &str = "CreateTaskGroup";
        checked(OPERATION, request.check())?;
        let call = call(OPERATION, Method::POST, self.below_project(&["taskgroups"]), urgency);
        self.fetch(call.making("group_id").with_keys(request.body(), request.secrets())).await
    }

    /// One task group (5.5.3). [`Error::is_not_found`] tells when there is none, which is also how a deletion ends.
    pub async fn show_task_group(&self, id: &str, urgency: Urgency) -> Result<TaskGroup, Error> {
        const OPERATION: &str = "ShowTaskGroup";
        checked(OPERATION, segment(ID, id))?;
        let path = self.below_project(&["taskgroups", id]);
        let same = |group: TaskGroup| {
            let same = group.group_id.eq_ignore_ascii_case(id);
            if same { Ok(group) } else { Err("another task group than the one asked for") }
        };
        self.transport.fetch(call(OPERATION, Method::GET, path, urgency), same).await
    }

    /// One page of task groups (5.5.1).
    pub async fn list_task_group(
        &self,
        query: &ListTaskGroup,
        urgency: Urgency,
    ) -> Result<TaskGroupPage, Error> {
        const OPERATION: &str = "ListTaskGroup";
        checked(OPERATION, page_size(query.limit))?;
        if matches!(query.status, Some(GroupStatus::Unknown(_))) {
            checked(OPERATION, fault("status", "is none that OMS can filter by"))?;
        }
        let mut parameters = vec![("limit", query.limit.to_string()), ("offset", query.offset.to_string())];
        parameters.extend(query.status.map(|status| ("status", status.code().to_string())));
        let call = call(OPERATION, Method::GET, self.below_project(&["taskgroups"]), urgency);
        self.fetch(call.with_query(parameters)).await
    }

    /// Resumes a stopped group (5.5.6). 200 means accepted: look at the group. `OMS.1039` and `OMS.1036` say that it is not
    /// stopped.
    pub async fn start_task_group(
        &self,
        id: &str,
        request: &StartTaskGroup,
        urgency: Urgency,
    ) -> Result<(), Error> {
        const OPERATION: &str = "StartTaskGroup";
        checked(OPERATION, segment(ID, id).and_then(|()| request.check()))?;
        let call = call(OPERATION, Method::PUT, self.below_project(&["taskgroups", id, "start"]), urgency);
        self.transport.act(call.changing(id).with_keys(request.body(), request.secrets())).await
    }

    /// Stops a group that monitors its tasks (5.5.5). 200 means accepted, and the group may still complete. One that creates
    /// its tasks refuses in practice (`OMS.1038`, `OMS.1036`); `OMS.0066` says that it does not run.
    pub async fn stop_task_group(&self, id: &str, urgency: Urgency) -> Result<(), Error> {
        const OPERATION: &str = "StopTaskGroup";
        checked(OPERATION, segment(ID, id))?;
        let path = self.below_project(&["taskgroups", id, "stop"]);
        self.transport.act(call(OPERATION, Method::PUT, path, urgency).changing(id)).await
    }

    /// Runs a failed group again, in full or only what failed (5.5.7). `OMS.1040` says that it has not failed; `S3M.0301`,
    /// `OMS.0167`, `OMS.0308` and `OMS.1027` that what failed is not on record.
    pub async fn retry_task_group(
        &self,
        id: &str,
        request: &RetryTaskGroup,
        urgency: Urgency,
    ) -> Result<(), Error> {
        const OPERATION: &str = "RetryTaskGroup";
        checked(OPERATION, segment(ID, id).and_then(|()| request.check()))?;
        let call = call(OPERATION, Method::PUT, self.below_project(&["taskgroups", id, "retry"]), urgency);
        self.transport.act(call.changing(id).with_keys(request.body(), request.secrets())).await
    }

    /// Replaces all bandwidth windows of an unfinished group; none removes every limit (5.5.8). Nothing else of a group can
    /// be changed.
    pub async fn update_task_group(
        &self,
        id: &str,
        windows: &[BandwidthWindow],
        urgency: Urgency,
    ) -> Result<(), Error> {
        const OPERATION: &str = "UpdateTaskGroup";
        checked(OPERATION, segment(ID, id).and_then(|()| check_windows(windows)))?;
        let call = call(OPERATION, Method::PUT, self.below_project(&["taskgroups", id, "update"]), urgency);
        self.transport.act(call.changing(id).with_body(bandwidth_body(windows))).await
    }

    /// Deletes a group that neither runs nor creates its tasks (5.5.4). It takes its time: the group is gone when
    /// [`Client::show_task_group`] says so. `OMS.1047` says that its state forbids it; `OMS.0063` can be out of date right
    /// after a stop.
    pub async fn delete_task_group(&self, id: &str, urgency: Urgency) -> Result<(), Error> {
        const OPERATION: &str = "DeleteTaskGroup";
        checked(OPERATION, segment(ID, id))?;
        let path = self.below_project(&["taskgroups", id]);
        self.transport.act(call(OPERATION, Method::DELETE, path, urgency).changing(id)).await
    }
}
