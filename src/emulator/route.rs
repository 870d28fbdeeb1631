//! Which operation a path and method stand for.

use http::Method;
use percent_encoding::percent_decode_str;

/// Every operation that is served, by the names of the API reference; faults and journal use them.
pub const OPERATIONS: [&str; 12] = [
    "ListApiVersions",
    "ShowApiInfo",
    "UpdatePrivacyAgreementRecord",
    "CreateTask",
    "ListTasks",
    "BatchUpdateTasks",
    "ShowTask",
    "DeleteTask",
    "StartTask",
    "StopTask",
    "UpdateBandwidthPolicy",
    "ListProjects",
];

/// A call, as its first line tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// What is to be done.
    pub operation: Operation,
    /// Project in the path.
    pub project: Option<String>,
    /// Task in the path; a text, as it may be no number.
    pub task: Option<String>,
}

/// An operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Operation {
    ListApiVersions,
    ShowApiInfo,
    UpdatePrivacyAgreementRecord,
    CreateTask,
    ListTasks,
    BatchUpdateTasks,
    ShowTask,
    DeleteTask,
    StartTask,
    StopTask,
    UpdateBandwidthPolicy,
    /// IAM's `KeystoneListProjects`.
    ListProjects,
}

impl Operation {
    /// Its name in the API reference.
    pub fn name(self) -> &'static str {
        OPERATIONS[self as usize]
    }
}

impl Route {
    /// The operation behind a path; `None` where the gateway knows none.
    pub fn of(method: &Method, path: &str) -> Option<Self> {
        let decoded: Vec<String> = path
            .trim_start_matches('/')
            .trim_end_matches('/')
            .split('/')
            .map(|segment| percent_decode_str(segment).decode_utf8_lossy().into_owned())
            .collect();
        let segments: Vec<&str> = decoded.iter().map(String::as_str).collect();
        let route = |operation, project: Option<&str>, task: Option<&str>| {
            Some(Self { operation, project: project.map(str::to_owned), task: task.map(str::to_owned) })
        };
        let (get, post) = (*method == Method::GET, *method == Method::POST);
        match segments.as_slice() {
            [""] if get => route(Operation::ListApiVersions, None, None),
            [version] if get && version.len() <= 10 => {
                // The version travels in the place of the task, as both are what the operation is about.
                route(Operation::ShowApiInfo, None, Some(version))
            }
            ["v3", "projects"] if get => route(Operation::ListProjects, None, None),
            ["v2", project, "privacy-agreements"] if post => {
                route(Operation::UpdatePrivacyAgreementRecord, Some(project), None)
            }
            ["v2", project, "tasks"] if get => route(Operation::ListTasks, Some(project), None),
            ["v2", project, "tasks"] if post => route(Operation::CreateTask, Some(project), None),
            ["v2", project, "tasks", "batch-update"] if post => {
                route(Operation::BatchUpdateTasks, Some(project), None)
            }
            ["v2", project, "tasks", task] if get => route(Operation::ShowTask, Some(project), Some(task)),
            ["v2", project, "tasks", task] if *method == Method::DELETE => {
                route(Operation::DeleteTask, Some(project), Some(task))
            }
            ["v2", project, "tasks", task, "start"] if post => {
                route(Operation::StartTask, Some(project), Some(task))
            }
            ["v2", project, "tasks", task, "stop"] if post => {
                route(Operation::StopTask, Some(project), Some(task))
            }
            ["v2", project, "tasks", task, "bandwidth-policy"] if *method == Method::PUT => {
                route(Operation::UpdateBandwidthPolicy, Some(project), Some(task))
            }
            _ => None,
        }
    }

    /// The task in the path, where it is a number.
    pub fn task_id(&self) -> Option<u64> {
        self.task.as_deref()?.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_has_its_path() {
        for (method, path, name) in [
            ("GET", "/", "ListApiVersions"),
            ("GET", "/v2", "ShowApiInfo"),
            ("POST", "/v2/p/privacy-agreements", "UpdatePrivacyAgreementRecord"),
            ("POST", "/v2/p/tasks", "CreateTask"),
            ("GET", "/v2/p/tasks", "ListTasks"),
            ("POST", "/v2/p/tasks/batch-update", "BatchUpdateTasks"),
            ("GET", "/v2/p/tasks/1", "ShowTask"),
            ("DELETE", "/v2/p/tasks/1", "DeleteTask"),
            ("POST", "/v2/p/tasks/1/start", "StartTask"),
            ("POST", "/v2/p/tasks/1/stop", "StopTask"),
            ("PUT", "/v2/p/tasks/1/bandwidth-policy", "UpdateBandwidthPolicy"),
            ("GET", "/v3/projects", "ListProjects"),
        ] {
            let route = Route::of(&method.parse().unwrap(), path).unwrap();
            assert_eq!(route.operation.name(), name);
        }
        for (method, path) in
            [("PATCH", "/v2/p/tasks"), ("POST", "/v2/p/tasks/1"), ("PUT", "/v2/p/tasks/1/access-keys")]
        {
            assert_eq!(Route::of(&method.parse().unwrap(), path), None, "{method} {path}");
        }
    }
}
