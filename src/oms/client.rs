//! The operations on migration tasks (OMS API reference 5.1 and 5.3).

use std::fmt;
use std::sync::Arc;

use http::Method;
use secrecy::SecretString;

use super::budget::{Budget, Urgency};
use super::credentials::Credentials;
use super::error::Error;
use super::model::{
    BandwidthWindow, BatchUpdateTasks, Body, CreateTask, CreatedTask, ListTasks, Page, StartTask, Task,
    TaskId, TaskPage, bandwidth_body,
};
use super::settings::Settings;
use super::sign;
use super::transport::{Call, Transport};

/// A client of OMS for one endpoint, project and identity. Cloning it is cheap and shares connections and budget.
#[derive(Clone)]
pub struct Client {
    transport: Arc<Transport>,
}

impl Client {
    /// A client; nothing is sent yet. Fails when the endpoint is no address or the CA bundle holds no certificate.
    pub fn new(settings: Settings, credentials: Credentials, budget: Budget) -> Result<Self, Error> {
        Ok(Self { transport: Arc::new(Transport::new(settings, credentials, budget)?) })
    }

    /// Project in the paths of this client.
    pub fn project_id(&self) -> &str {
        self.transport.project_id()
    }

    /// Base address, without a slash at the end.
    pub fn endpoint(&self) -> &str {
        self.transport.endpoint()
    }

    /// Creates a task, which starts by itself. There is no idempotency key: after [`super::Delivery::Unknown`] the task may
    /// exist, and only a search tells.
    pub async fn create_task(&self, request: &CreateTask, urgency: Urgency) -> Result<CreatedTask, Error> {
        let call = self.call("CreateTask", Method::POST, "", urgency);
        let call = Call { body: Some(request.body()), secrets: request.secrets(), ..call };
        self.transport.fetch(call, |created: CreatedTask| Ok(created)).await
    }

    /// One task. [`Error::is_not_found`] tells when there is none.
    pub async fn show_task(&self, id: TaskId, urgency: Urgency) -> Result<Task, Error> {
        let call = self.call("ShowTask", Method::GET, &format!("/{id}"), urgency);
        let same = move |task: Task| {
            if task.id == id { Ok(task) } else { Err("another task than the one asked for") }
        };
        self.transport.fetch(call, same).await
    }

    /// One page of tasks.
    pub async fn list_tasks(&self, query: &ListTasks, urgency: Urgency) -> Result<TaskPage, Error> {
        let mut parameters = vec![("limit", query.limit.to_string()), ("offset", query.offset.to_string())];
        let optional = [
            ("status", query.status.map(|status| status.code().to_string())),
            ("group_id", query.group_id.clone()),
            ("task_name", query.task_name.clone()),
        ];
        parameters.extend(optional.into_iter().filter_map(|(name, value)| value.map(|value| (name, value))));
        let call = Call { query: parameters, ..self.call("ListTasks", Method::GET, "", urgency) };
        self.transport.fetch(call, |page: Page| page.into_page().ok_or("a page without tasks")).await
    }

    /// Resumes a stopped task or retries a failed one. 200 means accepted: look at the task.
    pub async fn start_task(&self, id: TaskId, request: &StartTask, urgency: Urgency) -> Result<(), Error> {
        let call = self.call("StartTask", Method::POST, &format!("/{id}/start"), urgency);
        self.transport.act(Call { body: Some(request.body()), secrets: request.secrets(), ..call }).await
    }

    /// Asks a running task to stop. 200 means accepted: look at the task.
    pub async fn stop_task(&self, id: TaskId, urgency: Urgency) -> Result<(), Error> {
        self.transport.act(self.call("StopTask", Method::POST, &format!("/{id}/stop"), urgency)).await
    }

    /// Deletes the record of a task that does not run. `OMS.0063` can be out of date right after a stop.
    pub async fn delete_task(&self, id: TaskId, urgency: Urgency) -> Result<(), Error> {
        self.transport.act(self.call("DeleteTask", Method::DELETE, &format!("/{id}"), urgency)).await
    }

    /// Replaces all bandwidth windows of an unfinished task; none removes every limit.
    pub async fn update_bandwidth_policy(
        &self,
        id: TaskId,
        windows: &[BandwidthWindow],
        urgency: Urgency,
    ) -> Result<(), Error> {
        let call =
            self.call("UpdateBandwidthPolicy", Method::PUT, &format!("/{id}/bandwidth-policy"), urgency);
        self.transport.act(with_body(call, bandwidth_body(windows))).await
    }

    /// Replaces the bandwidth windows of up to 20 tasks, and their priority where it may change. OMS tells no outcome per
    /// task: look at them.
    pub async fn batch_update_tasks(
        &self,
        request: &BatchUpdateTasks,
        urgency: Urgency,
    ) -> Result<(), Error> {
        let call = self.call("BatchUpdateTasks", Method::POST, "/batch-update", urgency);
        self.transport.act(with_body(call, request.body())).await
    }

    /// Records that the user accepts OMS's privacy agreement. A statement of the user: only on their explicit word.
    pub async fn accept_privacy_agreement(&self, urgency: Urgency) -> Result<(), Error> {
        let path = format!("/v2/{}/privacy-agreements", sign::encode(self.project_id()));
        let call = self.call("UpdatePrivacyAgreementRecord", Method::POST, "", urgency);
        self.transport.act(Call { path, ..call }).await
    }

    /// A call below the project's tasks, without a body.
    fn call(&self, operation: &'static str, method: Method, below: &str, urgency: Urgency) -> Call<'static> {
        Call {
            operation,
            method,
            path: format!("/v2/{}/tasks{below}", sign::encode(self.project_id())),
            query: Vec::new(),
            body: None,
            urgency,
            secrets: Vec::<&'static SecretString>::new(),
        }
    }
}

fn with_body(call: Call<'_>, body: Body) -> Call<'_> {
    Call { body: Some(body), ..call }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("endpoint", &self.endpoint())
            .field("project_id", &self.project_id())
            .finish_non_exhaustive()
    }
}
