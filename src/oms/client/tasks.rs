//! Migration tasks and the privacy agreement (OMS API reference 5.2 and 5.3).

use http::Method;

use super::super::budget::Urgency;
use super::super::error::Error;
use super::super::model::{
    BandwidthWindow, BatchUpdateTasks, CreateTask, CreatedTask, ListTasks, StartTask, Task, TaskId, TaskPage,
    bandwidth_body, check_windows,
};
use super::super::transport::{Call, Effect};
use super::{Client, call, checked};

impl Client {
    /// Creates a task, which starts by itself (5.3.3). There is no idempotency key: after [`super::super::Delivery::Unknown`]
    /// the task may exist, and only a search tells.
    ///
    /// Codes to expect: a quota (`OMS.0077`, `OMS.1021`), the privacy agreement (`OMS.0092`, `OMS.1010`), keys of a bucket
    /// (`OMS.0189`, `OMS.1016`, `OMS.1020`), a field (`OMS.0064` and many of its own).
    pub async fn create_task(&self, request: &CreateTask, urgency: Urgency) -> Result<CreatedTask, Error> {
        const OPERATION: &str = "CreateTask";
        checked(OPERATION, request.check())?;
        let call = call(OPERATION, Method::POST, self.below_project(&["tasks"]), urgency);
        self.fetch(call.making("id").with_keys(request.body(), request.secrets())).await
    }

    /// One task (5.3.2). [`Error::is_not_found`] tells when there is none: 404, or 400 with `OMS.1009`. `OMS.0095`,
    /// `OMS.0054` and `OMS.1014` can also mean that it may not be seen.
    pub async fn show_task(&self, id: TaskId, urgency: Urgency) -> Result<Task, Error> {
        let path = self.below_project(&["tasks", &id.to_string()]);
        let same = move |task: Task| {
            if task.id == id { Ok(task) } else { Err("another task than the one asked for") }
        };
        self.transport.fetch(call("ShowTask", Method::GET, path, urgency), same).await
    }

    /// One page of tasks (5.3.1), members of groups and of sync tasks among them.
    pub async fn list_tasks(&self, query: &ListTasks, urgency: Urgency) -> Result<TaskPage, Error> {
        const OPERATION: &str = "ListTasks";
        checked(OPERATION, query.check())?;
        let mut parameters = vec![("limit", query.limit.to_string()), ("offset", query.offset.to_string())];
        let optional = [
            ("status", query.status.map(|status| status.code().to_string())),
            ("group_id", query.group_id.clone()),
            ("task_name", query.task_name.clone()),
        ];
        parameters.extend(optional.into_iter().filter_map(|(name, value)| value.map(|value| (name, value))));
        let call = call(OPERATION, Method::GET, self.below_project(&["tasks"]), urgency);
        self.fetch(call.with_query(parameters)).await
    }

    /// Resumes a stopped task or retries a failed one (5.3.5). 200 means accepted: look at the task. `OMS.0065` says that it
    /// runs already, `OMS.0070` that it is complete.
    pub async fn start_task(&self, id: TaskId, request: &StartTask, urgency: Urgency) -> Result<(), Error> {
        const OPERATION: &str = "StartTask";
        checked(OPERATION, request.check())?;
        let path = self.below_project(&["tasks", &id.to_string(), "start"]);
        let call = call(OPERATION, Method::POST, path, urgency);
        self.transport.act(call.changing(id.to_string()).with_keys(request.body(), request.secrets())).await
    }

    /// Asks a running task to stop (5.3.4). 200 means accepted: look at the task. `OMS.0066` says that it does not run, which
    /// one that waits does not either; `OMS.0070` that it is complete.
    pub async fn stop_task(&self, id: TaskId, urgency: Urgency) -> Result<(), Error> {
        let path = self.below_project(&["tasks", &id.to_string(), "stop"]);
        self.transport.act(call("StopTask", Method::POST, path, urgency).changing(id.to_string())).await
    }

    /// Deletes the record of a task that does not run (5.3.6). `OMS.0063` can be out of date right after a stop.
    pub async fn delete_task(&self, id: TaskId, urgency: Urgency) -> Result<(), Error> {
        let path = self.below_project(&["tasks", &id.to_string()]);
        self.transport.act(call("DeleteTask", Method::DELETE, path, urgency).changing(id.to_string())).await
    }

    /// Replaces all bandwidth windows of an unfinished task; none removes every limit (5.3.7).
    pub async fn update_bandwidth_policy(
        &self,
        id: TaskId,
        windows: &[BandwidthWindow],
        urgency: Urgency,
    ) -> Result<(), Error> {
        const OPERATION: &str = "UpdateBandwidthPolicy";
        checked(OPERATION, check_windows(windows))?;
        let path = self.below_project(&["tasks", &id.to_string(), "bandwidth-policy"]);
        let call = call(OPERATION, Method::PUT, path, urgency);
        self.transport.act(call.changing(id.to_string()).with_body(bandwidth_body(windows))).await
    }

    /// Replaces the bandwidth windows of up to 20 tasks or of all of a group, and their priority where it may change (5.3.8).
    /// OMS tells no outcome per task: look at them.
    pub async fn batch_update_tasks(
        &self,
        request: &BatchUpdateTasks,
        urgency: Urgency,
    ) -> Result<(), Error> {
        const OPERATION: &str = "BatchUpdateTasks";
        checked(OPERATION, request.check())?;
        let call = call(OPERATION, Method::POST, self.below_project(&["tasks", "batch-update"]), urgency);
        let call = call.changing(request.tasks.named());
        self.transport.act(call.with_body(request.body())).await
    }

    /// Records that the user accepts OMS's privacy agreement (5.2.1). A statement of the user: only on their explicit word.
    pub async fn update_privacy_agreement_record(&self, urgency: Urgency) -> Result<(), Error> {
        let path = self.below_project(&["privacy-agreements"]);
        let call = call("UpdatePrivacyAgreementRecord", Method::POST, path, urgency);
        self.transport.act(Call { effect: Effect::Change(None), ..call }).await
    }
}
