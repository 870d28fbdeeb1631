//! What is sent to start a task again or to change one.

use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;

use super::create::exposed;
use super::{BandwidthWindow, Body, TaskId, body};

/// Keys for a start (OMS API reference 5.3.6). OMS does not reuse the ones it was created with.
#[derive(Clone, Debug, Default)]
pub struct StartTask {
    /// Access key of the source; not for URL lists.
    pub src_ak: Option<SecretString>,
    /// Secret key of the source; not for URL lists.
    pub src_sk: Option<SecretString>,
    /// Goes with temporary keys of the source.
    pub src_security_token: Option<SecretString>,
    /// Azure: instead of keys.
    pub connection_string: Option<SecretString>,
    /// Google: instead of keys.
    pub json_auth_file: Option<SecretString>,
    /// Access key of the destination.
    pub dst_ak: SecretString,
    /// Secret key of the destination.
    pub dst_sk: SecretString,
    /// Goes with temporary keys of the destination.
    pub dst_security_token: Option<SecretString>,
    /// Only the objects that failed; else all, where objects already there are skipped by the overwrite rule.
    pub migrate_failed_object: bool,
}

impl StartTask {
    /// The request body, keys included.
    pub(in crate::oms) fn body(&self) -> Body {
        body(&StartWire {
            src_ak: exposed(self.src_ak.as_ref()),
            src_sk: exposed(self.src_sk.as_ref()),
            src_security_token: exposed(self.src_security_token.as_ref()),
            connection_string: exposed(self.connection_string.as_ref()),
            json_auth_file: exposed(self.json_auth_file.as_ref()),
            dst_ak: self.dst_ak.expose_secret(),
            dst_sk: self.dst_sk.expose_secret(),
            dst_security_token: exposed(self.dst_security_token.as_ref()),
            migrate_failed_object: self.migrate_failed_object,
        })
    }

    /// Everything in the request that must never be printed.
    pub(in crate::oms) fn secrets(&self) -> Vec<&SecretString> {
        let optional = [
            &self.src_ak,
            &self.src_sk,
            &self.src_security_token,
            &self.connection_string,
            &self.json_auth_file,
            &self.dst_security_token,
        ];
        optional.into_iter().flatten().chain([&self.dst_ak, &self.dst_sk]).collect()
    }
}

/// A change to several tasks (OMS API reference 5.3.8). OMS tells no outcome per task: look at them afterwards.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BatchUpdateTasks {
    /// The tasks, 1 to 20.
    pub ids: Vec<TaskId>,
    /// Their complete new rate limits: OMS wants them even if only the priority is to change.
    pub bandwidth_policy: Vec<BandwidthWindow>,
    /// `HIGH`, `MEDIUM` or `LOW`; changes only tasks that wait, are stopped or failed. `None` leaves it alone.
    pub task_priority: Option<String>,
}

impl BatchUpdateTasks {
    /// The request body.
    pub(in crate::oms) fn body(&self) -> Body {
        body(&BatchWire {
            ids: &self.ids,
            bandwidth_policy: &self.bandwidth_policy,
            task_priority: self.task_priority.as_deref(),
        })
    }
}

/// The body of a bandwidth change: the complete new set; none removes every limit.
pub(in crate::oms) fn bandwidth_body(windows: &[BandwidthWindow]) -> Body {
    body(&BandwidthWire { bandwidth_policy: windows })
}

#[derive(Serialize)]
struct BandwidthWire<'a> {
    bandwidth_policy: &'a [BandwidthWindow],
}

#[derive(Serialize)]
struct BatchWire<'a> {
    ids: &'a [TaskId],
    bandwidth_policy: &'a [BandwidthWindow],
    #[serde(skip_serializing_if = "Option::is_none")]
    task_priority: Option<&'a str>,
}

#[derive(Serialize)]
struct StartWire<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    src_ak: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    src_sk: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    src_security_token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    connection_string: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    json_auth_file: Option<&'a str>,
    dst_ak: &'a str,
    dst_sk: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    dst_security_token: Option<&'a str>,
    migrate_failed_object: bool,
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_start_sends_the_keys_again_and_says_which_objects() {
        let start = StartTask {
            dst_ak: "planted-ak".into(),
            dst_sk: "planted-sk".into(),
            migrate_failed_object: true,
            ..StartTask::default()
        };
        let body: Value = serde_json::from_slice(&start.body()).unwrap();
        assert_eq!(
            body,
            json!({"dst_ak": "planted-ak", "dst_sk": "planted-sk", "migrate_failed_object": true})
        );
        assert!(!format!("{start:?}").contains("planted"));
        assert_eq!(start.secrets().len(), 2);
    }

    #[test]
    fn a_batch_always_carries_the_windows() {
        let batch = BatchUpdateTasks {
            ids: vec![TaskId::new(5)],
            task_priority: Some("HIGH".into()),
            ..Default::default()
        };
        let body: Value = serde_json::from_slice(&batch.body()).unwrap();
        assert_eq!(body, json!({"ids": [5], "bandwidth_policy": [], "task_priority": "HIGH"}));
        let windows =
            [BandwidthWindow { start: "08:00".into(), end: "20:00".into(), max_bandwidth: 1_048_576 }];
        let body: Value = serde_json::from_slice(&bandwidth_body(&windows)).unwrap();
        assert_eq!(
            body,
            json!({"bandwidth_policy": [{"start": "08:00", "end": "20:00", "max_bandwidth": 1_048_576}]})
        );
    }
}
