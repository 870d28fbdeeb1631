//! What a new task is made of.

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use super::check::{self, Checked};
use super::protection::{Crypto, SourceCdn, SourceCdnWire};
use super::smn::SmnConfig;
use super::{BandwidthWindow, Body, ListFile, TaskId, body, lenient};

/// A task to create (OMS API reference 5.3.1). It starts by itself. Members that are `None` are not sent, so OMS's own
/// default holds, except `task_type` and the source's `cloud_type`, which are always sent.
#[derive(Clone, Debug, Default)]
pub struct CreateTask {
    /// `object`, `prefix`, `list` or `url_list`.
    pub task_type: String,
    /// Where objects come from.
    pub src_node: SourceNode,
    /// Where objects go.
    pub dst_node: DestinationNode,
    /// Free text, at most 255 characters, without `^ < > & " ' ( )`.
    pub description: Option<String>,
    /// Unix seconds: only objects changed later are copied.
    pub migrate_since: Option<u64>,
    /// At most 5 windows that do not overlap.
    pub bandwidth_policy: Vec<BandwidthWindow>,
    /// Copy metadata; without it only Content-Type is. OMS's default is false.
    pub enable_metadata_migration: Option<bool>,
    /// Restore archived source objects first. OMS's default is false.
    pub enable_restore: Option<bool>,
    /// Record failed objects in the destination bucket. OMS's default is true.
    pub enable_failed_object_recording: Option<bool>,
    /// The requester pays for requests and traffic of the source. OMS's default is false.
    pub enable_requester_pays: Option<bool>,
    /// `NO_OVERWRITE`, `SIZE_LAST_MODIFIED_COMPARISON_OVERWRITE` (OMS's default), `CRC64_COMPARISON_OVERWRITE` or
    /// `FULL_OVERWRITE`.
    pub object_overwrite_mode: Option<String>,
    /// `STANDARD` (OMS's default), `IA`, `ARCHIVE`, `DEEP_ARCHIVE` or `SRC_STORAGE_MAPPING`.
    pub dst_storage_policy: Option<String>,
    /// `size_last_modified` (OMS's default), `crc64` or `no_check`.
    pub consistency_check: Option<String>,
    /// `HIGH`, `MEDIUM` (OMS's default) or `LOW`.
    pub task_priority: Option<String>,
    /// Fetch the objects of the source bucket through a CDN.
    pub source_cdn: Option<SourceCdn>,
    /// Tell somebody when the task ends.
    pub smn_config: Option<SmnConfig>,
}

/// The source of a new task.
#[derive(Clone, Debug, Default)]
pub struct SourceNode {
    /// Provider, such as `AWS` or `HuaweiCloud`; `URLSource` exactly for URL lists. OMS would take none for Aliyun.
    pub cloud_type: String,
    /// Region; not for URL lists.
    pub region: Option<String>,
    /// Bucket; not for URL lists.
    pub bucket: Option<String>,
    /// Access key.
    pub ak: Option<SecretString>,
    /// Secret key.
    pub sk: Option<SecretString>,
    /// Goes with temporary keys.
    pub security_token: Option<SecretString>,
    /// Azure: instead of keys.
    pub connection_string: Option<SecretString>,
    /// Google: the JSON text of the service account, instead of keys.
    pub json_auth_file: Option<SecretString>,
    /// Tencent: APPID.
    pub app_id: Option<String>,
    /// Object names or prefixes, as they are; `[""]` is the whole bucket. Not for lists: empty is not sent.
    pub object_key: Vec<String>,
    /// Only for lists and URL lists.
    pub list_file: Option<ListFile>,
    /// How OMS keeps the source's keys.
    pub crypto: Option<Crypto>,
}

/// The destination of a new task.
#[derive(Clone, Debug, Default)]
pub struct DestinationNode {
    /// Access key.
    pub ak: SecretString,
    /// Secret key.
    pub sk: SecretString,
    /// Goes with temporary keys.
    pub security_token: Option<SecretString>,
    /// Region; the endpoint's.
    pub region: String,
    /// Bucket.
    pub bucket: String,
    /// Put before every object key; must not start with `/`.
    pub save_prefix: Option<String>,
    /// How OMS keeps the destination's keys.
    pub crypto: Option<Crypto>,
}

/// The answer to a create.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct CreatedTask {
    /// ID of the new task.
    pub id: TaskId,
    /// Name made by OMS; may be empty.
    #[serde(default, rename = "task_name", deserialize_with = "lenient::text")]
    pub name: String,
}

impl CreateTask {
    /// What would make OMS do something else than was meant.
    pub(in crate::oms) fn check(&self) -> Checked {
        let (source, destination) = (&self.src_node, &self.dst_node);
        check::selection(&self.task_type, &source.cloud_type, &source.object_key, source.list_file.as_ref())?;
        let prefix = destination.save_prefix.as_deref();
        check::destination(
            &destination.region,
            &destination.bucket,
            prefix,
            &destination.ak,
            &destination.sk,
        )?;
        check::windows(&self.bandwidth_policy)
    }

    /// The request body, keys included.
    pub(in crate::oms) fn body(&self) -> Body {
        let source = &self.src_node;
        let destination = &self.dst_node;
        body(&CreateWire {
            task_type: &self.task_type,
            src_node: SourceWire {
                cloud_type: &source.cloud_type,
                region: source.region.as_deref(),
                bucket: source.bucket.as_deref(),
                ak: exposed(source.ak.as_ref()),
                sk: exposed(source.sk.as_ref()),
                security_token: exposed(source.security_token.as_ref()),
                connection_string: exposed(source.connection_string.as_ref()),
                json_auth_file: exposed(source.json_auth_file.as_ref()),
                app_id: source.app_id.as_deref(),
                object_key: &source.object_key,
                list_file: source.list_file.as_ref(),
                crypto: source.crypto.as_ref(),
            },
            dst_node: DestinationWire {
                ak: destination.ak.expose_secret(),
                sk: destination.sk.expose_secret(),
                security_token: exposed(destination.security_token.as_ref()),
                region: &destination.region,
                bucket: &destination.bucket,
                save_prefix: destination.save_prefix.as_deref(),
                crypto: destination.crypto.as_ref(),
            },
            description: self.description.as_deref(),
            migrate_since: self.migrate_since,
            bandwidth_policy: &self.bandwidth_policy,
            enable_metadata_migration: self.enable_metadata_migration,
            enable_restore: self.enable_restore,
            enable_failed_object_recording: self.enable_failed_object_recording,
            enable_requester_pays: self.enable_requester_pays,
            object_overwrite_mode: self.object_overwrite_mode.as_deref(),
            dst_storage_policy: self.dst_storage_policy.as_deref(),
            consistency_check: self.consistency_check.as_deref(),
            task_priority: self.task_priority.as_deref(),
            source_cdn: self.source_cdn.as_ref().map(SourceCdn::wire),
            smn_config: self.smn_config.as_ref(),
        })
    }

    /// Everything in the request that must never be printed, should OMS send it back in an error.
    pub(in crate::oms) fn secrets(&self) -> Vec<&SecretString> {
        let source = &self.src_node;
        let optional = [
            &source.ak,
            &source.sk,
            &source.security_token,
            &source.connection_string,
            &source.json_auth_file,
            &self.dst_node.security_token,
        ];
        let cdn = self.source_cdn.iter().filter_map(|cdn| cdn.authentication_key.as_ref());
        let always = [&self.dst_node.ak, &self.dst_node.sk];
        optional.into_iter().flatten().chain(always).chain(cdn).collect()
    }
}

pub(super) fn exposed(secret: Option<&SecretString>) -> Option<&str> {
    secret.map(ExposeSecret::expose_secret)
}

#[derive(Serialize)]
struct CreateWire<'a> {
    task_type: &'a str,
    src_node: SourceWire<'a>,
    dst_node: DestinationWire<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    migrate_since: Option<u64>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    bandwidth_policy: &'a [BandwidthWindow],
    #[serde(skip_serializing_if = "Option::is_none")]
    enable_metadata_migration: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    enable_restore: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    enable_failed_object_recording: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    enable_requester_pays: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    object_overwrite_mode: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dst_storage_policy: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    consistency_check: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    task_priority: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_cdn: Option<SourceCdnWire<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    smn_config: Option<&'a SmnConfig>,
}

/// The source of a task or group.
#[derive(Default, Serialize)]
pub(super) struct SourceWire<'a> {
    pub(super) cloud_type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) region: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) bucket: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ak: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sk: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) security_token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) connection_string: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) json_auth_file: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) app_id: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub(super) object_key: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) list_file: Option<&'a ListFile>,
    #[serde(flatten)]
    pub(super) crypto: Option<&'a Crypto>,
}

#[derive(Serialize)]
struct DestinationWire<'a> {
    ak: &'a str,
    sk: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    security_token: Option<&'a str>,
    region: &'a str,
    bucket: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    save_prefix: Option<&'a str>,
    #[serde(flatten)]
    crypto: Option<&'a Crypto>,
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn request() -> CreateTask {
        CreateTask {
            task_type: "prefix".into(),
            src_node: SourceNode {
                cloud_type: "AWS".into(),
                region: Some("eu-west-1".into()),
                bucket: Some("photos".into()),
                ak: Some("planted-src-ak".into()),
                sk: Some("planted-src-sk".into()),
                object_key: vec![String::new()],
                ..SourceNode::default()
            },
            dst_node: DestinationNode {
                ak: "planted-dst-ak".into(),
                sk: "planted-dst-sk".into(),
                region: "cn-north-4".into(),
                bucket: "archive".into(),
                save_prefix: Some("in/".into()),
                ..DestinationNode::default()
            },
            description: Some("token weekly".into()),
            enable_failed_object_recording: Some(true),
            ..CreateTask::default()
        }
    }

    #[test]
    fn the_body_has_what_was_given_and_nothing_else() {
        let body: Value = serde_json::from_slice(&request().body()).unwrap();
        assert_eq!(
            body,
            json!({
                "task_type": "prefix",
                "src_node": {"cloud_type": "AWS", "region": "eu-west-1", "bucket": "photos", "ak": "planted-src-ak",
                             "sk": "planted-src-sk", "object_key": [""]},
                "dst_node": {"ak": "planted-dst-ak", "sk": "planted-dst-sk", "region": "cn-north-4", "bucket": "archive",
                             "save_prefix": "in/"},
                "description": "token weekly",
                "enable_failed_object_recording": true,
            })
        );
    }

    #[test]
    fn debug_shows_no_key() {
        let printed = format!("{:?}", request());
        assert!(printed.contains("photos"));
        assert!(!printed.contains("planted"), "{printed}");
    }

    #[test]
    fn every_key_of_the_body_is_on_the_list_of_secrets() {
        let mut request = request();
        request.src_node.security_token = Some("planted-src-token".into());
        request.src_node.connection_string = Some("planted-connection".into());
        request.src_node.json_auth_file = Some("planted-json".into());
        request.dst_node.security_token = Some("planted-dst-token".into());
        request.source_cdn = Some(cdn());
        let body = String::from_utf8(request.body().to_vec()).unwrap();
        let cleaned =
            request.secrets().iter().fold(body, |text, secret| text.replace(secret.expose_secret(), "***"));
        assert!(!cleaned.contains("planted"), "{cleaned}");
        assert_eq!(request.secrets().len(), 9);
        assert!(!format!("{request:?}").contains("planted"), "{request:?}");
    }

    fn cdn() -> SourceCdn {
        SourceCdn {
            domain: "cdn.example.test".into(),
            protocol: "https".into(),
            authentication_type: "ALIYUN_OSS_A".into(),
            authentication_key: Some("planted-cdn-key".into()),
            crypto: Some(Crypto { crypto_type: "KMS".into(), kms_key_id: Some("key-3".into()) }),
        }
    }

    #[test]
    fn a_cdn_a_notification_and_the_protection_of_keys_are_sent_as_documented() {
        let mut request = request();
        request.src_node.crypto = Some(Crypto { crypto_type: "DEFAULT".into(), kms_key_id: None });
        request.dst_node.crypto =
            Some(Crypto { crypto_type: "KMS".into(), kms_key_id: Some("key-2".into()) });
        request.source_cdn = Some(cdn());
        request.smn_config = Some(SmnConfig {
            topic_urn: "urn:smn:region:project:OMS".into(),
            trigger_conditions: vec!["SUCCESS".into(), "FAILURE".into()],
            language: Some("en-us".into()),
            message_template_name: None,
        });
        let body: Value = serde_json::from_slice(&request.body()).unwrap();
        assert_eq!(body["src_node"]["crypto_type"], "DEFAULT");
        assert_eq!(body["src_node"].get("kms_key_id"), None);
        assert_eq!(body["dst_node"]["crypto_type"], "KMS");
        assert_eq!(body["dst_node"]["kms_key_id"], "key-2");
        assert_eq!(
            body["source_cdn"],
            json!({"domain": "cdn.example.test", "protocol": "https", "authentication_type": "ALIYUN_OSS_A",
                   "authentication_key": "planted-cdn-key", "crypto_type": "KMS", "kms_key_id": "key-3"})
        );
        assert_eq!(
            body["smn_config"],
            json!({"topic_urn": "urn:smn:region:project:OMS", "trigger_conditions": ["SUCCESS", "FAILURE"],
                   "language": "en-us"})
        );
    }

    #[test]
    fn the_answer_needs_an_id_only() {
        let created: CreatedTask = serde_json::from_value(json!({"id": "12", "task_name": null})).unwrap();
        assert_eq!(created, CreatedTask { id: TaskId::new(12), name: String::new() });
        assert!(serde_json::from_value::<CreatedTask>(json!({"task_name": "x"})).is_err());
    }
}
