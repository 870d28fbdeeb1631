//! What is sent to start a task again or to change one.

use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;

use super::check::{self, Checked};
use super::create::exposed;
use super::protection::Crypto;
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
    /// The key of the CDN, if the task has one that signs.
    pub source_cdn_authentication_key: Option<SecretString>,
    /// How OMS keeps the source's keys.
    pub src_crypto: Option<Crypto>,
    /// How OMS keeps the destination's keys.
    pub dst_crypto: Option<Crypto>,
    /// How OMS keeps the key of the CDN.
    pub source_cdn_crypto: Option<Crypto>,
    /// Only the objects that failed; else all, where objects already there are skipped by the overwrite rule.
    pub migrate_failed_object: bool,
}

impl StartTask {
    /// What would make OMS do something else than was meant.
    pub(in crate::oms) fn check(&self) -> Checked {
        check::secrets_filled(&[
            ("src_ak", self.src_ak.as_ref()),
            ("src_sk", self.src_sk.as_ref()),
            ("dst_ak", Some(&self.dst_ak)),
            ("dst_sk", Some(&self.dst_sk)),
        ])
    }

    /// The request body, keys included.
    pub(in crate::oms) fn body(&self) -> Body {
        let [src_crypto, dst_crypto, source_cdn_crypto] =
            [&self.src_crypto, &self.dst_crypto, &self.source_cdn_crypto].map(Option::as_ref);
        body(&StartWire {
            src_ak: exposed(self.src_ak.as_ref()),
            src_sk: exposed(self.src_sk.as_ref()),
            src_security_token: exposed(self.src_security_token.as_ref()),
            connection_string: exposed(self.connection_string.as_ref()),
            json_auth_file: exposed(self.json_auth_file.as_ref()),
            dst_ak: self.dst_ak.expose_secret(),
            dst_sk: self.dst_sk.expose_secret(),
            dst_security_token: exposed(self.dst_security_token.as_ref()),
            source_cdn_authentication_key: exposed(self.source_cdn_authentication_key.as_ref()),
            src_crypto_type: Crypto::kind(src_crypto),
            src_kms_key_id: Crypto::key(src_crypto),
            dst_crypto_type: Crypto::kind(dst_crypto),
            dst_kms_key_id: Crypto::key(dst_crypto),
            source_cdn_crypto_type: Crypto::kind(source_cdn_crypto),
            source_cdn_kms_key_id: Crypto::key(source_cdn_crypto),
            migrate_failed_object: Some(self.migrate_failed_object),
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
            &self.source_cdn_authentication_key,
        ];
        optional.into_iter().flatten().chain([&self.dst_ak, &self.dst_sk]).collect()
    }
}

/// A change to several tasks (OMS API reference 5.3.8). OMS tells no outcome per task: look at them afterwards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchUpdateTasks {
    /// Which tasks.
    pub tasks: TaskSelection,
    /// Their complete new rate limits: OMS wants them even if only the priority is to change.
    pub bandwidth_policy: Vec<BandwidthWindow>,
    /// `HIGH`, `MEDIUM` or `LOW`; changes only tasks that wait, are stopped or failed. `None` leaves it alone.
    pub task_priority: Option<String>,
}

/// The tasks of a batch. OMS wants exactly one of the two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TaskSelection {
    /// These, 1 to 20.
    Ids(Vec<TaskId>),
    /// Every member of this task group.
    Group(String),
}

impl TaskSelection {
    /// The IDs that it names.
    pub(in crate::oms) fn named(&self) -> String {
        match self {
            Self::Ids(ids) => ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(","),
            Self::Group(id) => id.clone(),
        }
    }
}

impl BatchUpdateTasks {
    /// What would make OMS do something else than was meant.
    pub(in crate::oms) fn check(&self) -> Checked {
        match &self.tasks {
            TaskSelection::Ids(ids) => check::count("ids", ids.len(), 1..=20)?,
            TaskSelection::Group(id) => check::filled("group_id", id)?,
        }
        check::windows(&self.bandwidth_policy)
    }

    /// The request body.
    pub(in crate::oms) fn body(&self) -> Body {
        let (group_id, ids) = match &self.tasks {
            TaskSelection::Group(id) => (Some(id.as_str()), None),
            TaskSelection::Ids(ids) => (None, Some(ids.as_slice())),
        };
        body(&BatchWire {
            group_id,
            ids,
            bandwidth_policy: &self.bandwidth_policy,
            task_priority: self.task_priority.as_deref(),
        })
    }
}

/// Whether the new set of windows is one that may be sent.
pub(in crate::oms) fn check_windows(windows: &[BandwidthWindow]) -> Checked {
    check::windows(windows)
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
    #[serde(skip_serializing_if = "Option::is_none")]
    group_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ids: Option<&'a [TaskId]>,
    bandwidth_policy: &'a [BandwidthWindow],
    #[serde(skip_serializing_if = "Option::is_none")]
    task_priority: Option<&'a str>,
}

/// Keys as tasks, groups and sync tasks take them for a start.
#[derive(Default, Serialize)]
pub(super) struct StartWire<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) src_ak: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) src_sk: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) src_security_token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) connection_string: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) json_auth_file: Option<&'a str>,
    pub(super) dst_ak: &'a str,
    pub(super) dst_sk: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) dst_security_token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) source_cdn_authentication_key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) src_crypto_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) src_kms_key_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) dst_crypto_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) dst_kms_key_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) source_cdn_crypto_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) source_cdn_kms_key_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) migrate_failed_object: Option<bool>,
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
    fn every_key_of_a_start_is_on_the_list_of_secrets() {
        let crypto = |id: &str| Some(Crypto { crypto_type: "KMS".into(), kms_key_id: Some(id.into()) });
        let start = StartTask {
            src_ak: Some("planted-1".into()),
            src_sk: Some("planted-2".into()),
            src_security_token: Some("planted-3".into()),
            connection_string: Some("planted-4".into()),
            json_auth_file: Some("planted-5".into()),
            dst_ak: "planted-6".into(),
            dst_sk: "planted-7".into(),
            dst_security_token: Some("planted-8".into()),
            source_cdn_authentication_key: Some("planted-9".into()),
            src_crypto: crypto("key-1"),
            dst_crypto: crypto("key-2"),
            source_cdn_crypto: Some(Crypto { crypto_type: "DEFAULT".into(), kms_key_id: None }),
            migrate_failed_object: false,
        };
        let body: Value = serde_json::from_slice(&start.body()).unwrap();
        assert_eq!(
            body,
            json!({"src_ak": "planted-1", "src_sk": "planted-2", "src_security_token": "planted-3",
                   "connection_string": "planted-4", "json_auth_file": "planted-5", "dst_ak": "planted-6",
                   "dst_sk": "planted-7", "dst_security_token": "planted-8",
                   "source_cdn_authentication_key": "planted-9", "src_crypto_type": "KMS", "src_kms_key_id": "key-1",
                   "dst_crypto_type": "KMS", "dst_kms_key_id": "key-2", "source_cdn_crypto_type": "DEFAULT",
                   "migrate_failed_object": false})
        );
        let secrets: Vec<_> = start.secrets().iter().map(|secret| secret.expose_secret()).collect();
        assert_eq!(secrets.len(), 9);
        for number in 1..=9 {
            assert!(secrets.contains(&format!("planted-{number}").as_str()), "{number}");
        }
        assert!(!format!("{start:?}").contains("planted"));
    }

    #[test]
    fn a_batch_always_carries_the_windows() {
        let batch = BatchUpdateTasks {
            tasks: TaskSelection::Ids(vec![TaskId::new(5)]),
            bandwidth_policy: Vec::new(),
            task_priority: Some("HIGH".into()),
        };
        let body: Value = serde_json::from_slice(&batch.body()).unwrap();
        assert_eq!(body, json!({"ids": [5], "bandwidth_policy": [], "task_priority": "HIGH"}));
        let group =
            BatchUpdateTasks { tasks: TaskSelection::Group("g-1".into()), task_priority: None, ..batch };
        let body: Value = serde_json::from_slice(&group.body()).unwrap();
        assert_eq!(body, json!({"group_id": "g-1", "bandwidth_policy": []}));
        let windows =
            [BandwidthWindow { start: "08:00".into(), end: "20:00".into(), max_bandwidth: 1_048_576 }];
        let body: Value = serde_json::from_slice(&bandwidth_body(&windows)).unwrap();
        assert_eq!(
            body,
            json!({"bandwidth_policy": [{"start": "08:00", "end": "20:00", "max_bandwidth": 1_048_576}]})
        );
    }
}
