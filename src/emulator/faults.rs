//! Faults as data: what to do to which call. Counting is deterministic, and so is chance.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// A fault, as `POST /faults` takes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Fault {
    /// Operation (`CreateTask`); absent or `*` for every operation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// Only calls for this project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// Only calls whose path names this task, or whatever else the operation is about: a group, a sync task.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "target")]
    pub task: Option<String>,
    /// From the n-th matching call on, counted from 1 since the fault was posted. Alone: just that call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nth: Option<u64>,
    /// So many matching calls. Without `nth`, `times` and `probability`: every one until the fault is deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u64>,
    /// Each matching call with this probability, in a sequence that is the same every time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probability: Option<f64>,
    /// What happens.
    pub kind: FaultKind,
    /// For `status`: the HTTP status. Default 500.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// For `status`: the error code. Absent: an empty body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// For `status`: the message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// For `status` and `throttle`: seconds in a `Retry-After` header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
    /// For `taskStatus`: the state that is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_status: Option<u8>,
    /// For `taskMembers`: members of the answer about a task, with the values that are told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub members: Option<Map<String, Value>>,
    /// For `delay`: real milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay_ms: Option<u64>,
    /// Carry the call out first, then fail (`status`, `html`, `delay`, `hang`). `lostReply` always does, `cutBefore`
    /// and `throttle` never do. For `delay`, which never fails: wait after the effect instead of before it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub after_effect: bool,
}

/// An ID may be written as a number or, as it passes 2^53, as a text.
fn target<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Id {
        Number(u64),
        Text(String),
    }
    Ok(Option::<Id>::deserialize(deserializer)?.map(|id| match id {
        Id::Number(id) => id.to_string(),
        Id::Text(id) => id,
    }))
}

/// What happens to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum FaultKind {
    /// An answer with this status and code.
    Status,
    /// The call is carried out, then the connection is cut without an answer.
    LostReply,
    /// The connection is cut, and nothing happens.
    CutBefore,
    /// The answer comes late.
    #[serde(alias = "delayMs")]
    Delay,
    /// 429 with APIGW.0308 and its live body.
    Throttle,
    /// A page of HTML, as from a proxy in between.
    Html,
    /// No answer ever comes.
    Hang,
    /// ShowTask or ListTasks tells another state than the task is in; with `task`, in lists of that task alone.
    TaskStatus,
    /// ShowTask or ListTasks tells other `members` than the task has; with `task`, in lists of that task alone.
    TaskMembers,
    /// A list is answered as it was when the fault first struck it, page by page.
    StaleList,
    /// Each page of a list but the first begins with the last entry of the page before.
    OverlappingPages,
    /// No call fails but a task, when it begins to run: with `code` (TRF.0001) and `message`.
    FailTask,
}

impl Fault {
    /// What is wrong with the fault, if anything.
    pub fn problem(&self) -> Option<String> {
        if self.nth == Some(0) {
            return Some("`nth` counts from 1".to_owned());
        }
        if self.probability.is_some_and(|probability| !(0.0..=1.0).contains(&probability)) {
            return Some("`probability` must lie between 0 and 1".to_owned());
        }
        if self.kind == FaultKind::Delay && self.delay_ms.is_none() {
            return Some("`delayMs` is missing".to_owned());
        }
        if self.kind == FaultKind::TaskStatus && self.task_status.is_none_or(|status| status > 7) {
            return Some("`taskStatus` must lie between 0 and 7".to_owned());
        }
        if self.kind == FaultKind::TaskMembers && self.members.is_none() {
            return Some("`members` is missing".to_owned());
        }
        if self.kind == FaultKind::FailTask && self.operation.is_some() {
            return Some("`failTask` strikes tasks and no operation".to_owned());
        }
        if self.status.is_some_and(|status| !(200..=599).contains(&status)) {
            return Some("`status` must lie between 200 and 599".to_owned());
        }
        let known = |name: &str| name == "*" || super::route::OPERATIONS.contains(&name);
        if let Some(operation) = self.operation.as_deref().filter(|operation| !known(operation)) {
            let known = super::route::OPERATIONS.join(", ");
            return Some(format!("the operation `{operation}` is unknown; use `*` or one of {known}"));
        }
        None
    }

    fn matches(&self, operation: &str, project: Option<&str>, target: Option<&str>) -> bool {
        self.operation.as_deref().is_none_or(|name| name == "*" || name == operation)
            && (self.project.is_none() || self.project.as_deref() == project)
            && (self.task.is_none() || self.task.as_deref() == target || self.is_about_entries(target))
    }

    /// A list has no task in its path, but tells of those that the fault is about.
    fn is_about_entries(&self, target: Option<&str>) -> bool {
        matches!(self.kind, FaultKind::TaskStatus | FaultKind::TaskMembers) && target.is_none()
    }

    /// Whether the fault changes what a good answer says, and not whether it comes.
    pub fn rewrites(&self) -> bool {
        matches!(self.kind, FaultKind::TaskStatus | FaultKind::TaskMembers | FaultKind::StaleList)
    }

    /// Whether the fault strikes at its `seen`-th matching call, counted from 1.
    fn strikes(&self, seen: u64) -> bool {
        let first = self.nth.unwrap_or(1);
        let last = match (self.nth, self.times) {
            (_, Some(times)) => first.saturating_add(times).saturating_sub(1),
            (Some(nth), None) if self.probability.is_none() => nth,
            _ => u64::MAX,
        };
        (first..=last).contains(&seen)
            && self.probability.is_none_or(|probability| chance(seen) < probability)
    }
}

/// A fault that strikes a call.
#[derive(Clone, Debug)]
pub struct Struck {
    /// Which one.
    pub id: u64,
    /// The fault.
    pub fault: Fault,
}

/// An answer of ShowTask or ListTasks with these members for one task or all.
fn with_members(mut body: Value, members: &Map<String, Value>, only: Option<&str>) -> Value {
    let is_meant = |task: &Value| only.is_none_or(|id| task["id"].as_u64() == id.parse().ok());
    let tell = |task: &mut Value| {
        for (member, value) in members {
            task[member] = value.clone();
        }
    };
    match body.get_mut("tasks").and_then(Value::as_array_mut) {
        Some(tasks) => tasks.iter_mut().filter(|task| is_meant(task)).for_each(tell),
        None => tell(&mut body),
    }
    body
}

/// A query whose page begins one entry earlier.
pub fn one_earlier(query: &str) -> String {
    let earlier = |pair: &str| match pair.split_once('=') {
        Some(("offset", offset)) => {
            let offset = offset.parse::<u64>().map(|offset| offset.saturating_sub(1).to_string());
            offset.map_or_else(|_| pair.to_owned(), |offset| format!("offset={offset}"))
        }
        _ => pair.to_owned(),
    };
    query.split('&').map(earlier).collect::<Vec<_>>().join("&")
}

/// The same number in [0, 1) for the same count (the finaliser of splitmix64).
fn chance(count: u64) -> f64 {
    let mut bits = count.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((bits ^ (bits >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
}

/// A fault with what it has done so far, as `GET /faults` shows it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ActiveFault {
    /// To delete it by.
    pub id: u64,
    /// Matching calls.
    pub seen: u64,
    /// Calls that it struck.
    pub struck: u64,
    /// The fault.
    #[serde(flatten)]
    pub fault: Fault,
    /// For `staleList`: the answers so far, by path and query.
    #[serde(skip)]
    kept: HashMap<String, Value>,
}

/// The faults in force.
#[derive(Debug, Default)]
pub struct Faults {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    last_id: u64,
    active: Vec<ActiveFault>,
}

impl Faults {
    /// Puts a fault in force and returns its ID.
    pub fn add(&self, fault: Fault) -> u64 {
        let mut state = self.state();
        state.last_id += 1;
        let id = state.last_id;
        state.active.push(ActiveFault { id, seen: 0, struck: 0, fault, kept: HashMap::new() });
        id
    }

    /// All faults.
    pub fn list(&self) -> Vec<ActiveFault> {
        self.state().active.clone()
    }

    /// Deletes one fault; tells whether it was there.
    pub fn remove(&self, id: u64) -> bool {
        let mut state = self.state();
        let before = state.active.len();
        state.active.retain(|active| active.id != id);
        state.active.len() < before
    }

    /// Deletes all faults.
    pub fn clear(&self) {
        self.state().active.clear();
    }

    /// Counts a call and returns the fault that strikes it: the oldest that does.
    pub fn strike(&self, operation: &str, project: Option<&str>, target: Option<&str>) -> Option<Struck> {
        self.strike_if(|fault| fault.kind != FaultKind::FailTask && fault.matches(operation, project, target))
    }

    /// Counts a task that begins to run and returns the fault that strikes it.
    pub fn strike_run(&self, project: &str, task: u64) -> Option<Fault> {
        let task = task.to_string();
        let is_about = |fault: &Fault| {
            fault.kind == FaultKind::FailTask && fault.matches("", Some(project), Some(&task))
        };
        self.strike_if(is_about).map(|struck| struck.fault)
    }

    fn strike_if(&self, matches: impl Fn(&Fault) -> bool) -> Option<Struck> {
        let mut struck = None;
        for active in &mut self.state().active {
            if matches(&active.fault) {
                active.seen += 1;
                if struck.is_none() && active.fault.strikes(active.seen) {
                    active.struck += 1;
                    struck = Some(Struck { id: active.id, fault: active.fault.clone() });
                }
            }
        }
        struck
    }

    /// What a fault that rewrites answers makes of one. `call` is its path and query.
    pub fn rewrite(&self, struck: &Struck, call: &str, body: Value) -> Value {
        let only = struck.fault.task.as_deref();
        match (struck.fault.kind, struck.fault.task_status, &struck.fault.members) {
            (FaultKind::StaleList, ..) => {
                let mut state = self.state();
                match state.active.iter_mut().find(|active| active.id == struck.id) {
                    Some(active) => active.kept.entry(call.to_owned()).or_insert(body).clone(),
                    None => body,
                }
            }
            (FaultKind::TaskStatus, Some(status), _) => {
                let status = Map::from_iter([("status".to_owned(), json!(status))]);
                with_members(body, &status, only)
            }
            (FaultKind::TaskMembers, _, Some(members)) => with_members(body, members, only),
            _ => body,
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn faults_strike_the_calls_that_they_count_to() {
        let struck = |fault: serde_json::Value| {
            let faults = Faults::default();
            faults.add(serde_json::from_value(fault).unwrap());
            (1..=6_u64)
                .filter(|_| faults.strike("CreateTask", Some("p"), Some("7")).is_some())
                .collect::<Vec<_>>()
        };
        assert_eq!(struck(json!({ "kind": "hang" })), [1, 2, 3, 4, 5, 6]);
        assert_eq!(struck(json!({ "kind": "hang", "nth": 2 })), [2]);
        assert_eq!(struck(json!({ "kind": "hang", "times": 2 })), [1, 2]);
        assert_eq!(struck(json!({ "kind": "hang", "nth": 3, "times": 2 })), [3, 4]);
        assert_eq!(struck(json!({ "kind": "hang", "operation": "StopTask" })), [0; 0]);
        assert_eq!(struck(json!({ "kind": "hang", "operation": "CreateTask", "task": "7", "nth": 1 })), [1]);
        assert_eq!(struck(json!({ "kind": "hang", "task": 8 })), [0; 0]);
        assert_eq!(struck(json!({ "kind": "hang", "project": "q" })), [0; 0]);
        assert_eq!(struck(json!({ "kind": "hang", "probability": 0.0 })), [0; 0]);
        let half = struck(json!({ "kind": "hang", "probability": 0.5 }));
        assert!(!half.is_empty() && half.len() < 6);
        assert_eq!(half, struck(json!({ "kind": "hang", "probability": 0.5 })));
    }

    #[test]
    fn a_fault_that_makes_no_sense_is_explained() {
        let problem = |fault| serde_json::from_value::<Fault>(fault).unwrap().problem();
        assert_eq!(problem(json!({ "kind": "lostReply", "operation": "CreateTask" })), None);
        assert!(problem(json!({ "kind": "hang", "operation": "MakeTask" })).unwrap().contains("CreateTask"));
        assert!(problem(json!({ "kind": "delay" })).unwrap().contains("delayMs"));
        assert!(problem(json!({ "kind": "hang", "nth": 0 })).is_some());
        assert!(problem(json!({ "kind": "taskStatus" })).unwrap().contains("taskStatus"));
        assert!(problem(json!({ "kind": "taskMembers" })).unwrap().contains("members"));
        assert!(problem(json!({ "kind": "failTask", "operation": "ShowTask" })).is_some());
        assert!(serde_json::from_value::<Fault>(json!({ "kind": "hang", "tims": 1 })).is_err());
    }
}
