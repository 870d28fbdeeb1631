//! What a new task group is made of.

use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};

use super::super::check::{self, Checked};
use super::super::create::{SourceWire, exposed};
use super::super::protection::{Crypto, SourceCdn, SourceCdnWire};
use super::super::smn::SmnConfig;
use super::super::{BandwidthWindow, Body, ListFile, Reply, body, lenient};

/// A task group to create (OMS API reference 5.5.2). It starts by itself. Members that are `None` are not sent, so OMS's
/// own default holds, except `task_type` and the source's `cloud_type`, which are always sent.
///
/// Groups take permanent keys only: no security token can be given.
#[derive(Clone, Debug, Default)]
pub struct CreateTaskGroup {
    /// `LIST`, `URL_LIST` or `PREFIX`, in upper case.
    pub task_type: String,
    /// Where objects come from.
    pub src_node: GroupSourceNode,
    /// Where objects go.
    pub dst_node: GroupDestinationNode,
    /// Free text, at most 255 characters, without `^ < > & " ' ( )`, backquote and backslash.
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
    /// Fetch the objects of the source bucket through a CDN.
    pub source_cdn: Option<SourceCdn>,
    /// Tell somebody when the group ends.
    pub smn_config: Option<SmnConfig>,
}

/// The source of a new task group.
#[derive(Clone, Debug, Default)]
pub struct GroupSourceNode {
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
    /// Azure: instead of keys.
    pub connection_string: Option<SecretString>,
    /// Google: the JSON text of the service account, instead of keys.
    pub json_auth_file: Option<SecretString>,
    /// Tencent: APPID.
    pub app_id: Option<String>,
    /// Prefixes, as they are; `[""]` is the whole bucket. Not for lists.
    pub object_key: Vec<String>,
    /// Only for lists and URL lists: here the key is a folder, with a slash at the end, whose `.txt` files are all used.
    pub list_file: Option<ListFile>,
    /// How OMS keeps the source's keys.
    pub crypto: Option<Crypto>,
}

/// The destination of a new task group.
#[derive(Clone, Debug, Default)]
pub struct GroupDestinationNode {
    /// Access key.
    pub ak: SecretString,
    /// Secret key.
    pub sk: SecretString,
    /// Region; the endpoint's.
    pub region: String,
    /// Bucket.
    pub bucket: String,
    /// `HEC` (OMS's default), which is Huawei Cloud.
    pub cloud_type: Option<String>,
    /// Put before every object key; must not start with `/`.
    pub save_prefix: Option<String>,
    /// How OMS keeps the destination's keys.
    pub crypto: Option<Crypto>,
}

/// The answer to the creation of a group.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct CreatedTaskGroup {
    /// ID of the new group; opaque, a UUID so far.
    #[serde(deserialize_with = "lenient::required_text")]
    pub group_id: String,
}

impl Reply for CreatedTaskGroup {
    type Wire = Self;

    fn from_wire(wire: Self) -> Result<Self, &'static str> {
        Ok(wire)
    }
}

impl CreateTaskGroup {
    /// What would make OMS do something else than was meant.
    pub(in crate::oms) fn check(&self) -> Checked {
        let (source, destination) = (&self.src_node, &self.dst_node);
        let list_file = source.list_file.as_ref();
        check::selection(&self.task_type, &source.cloud_type, &source.object_key, list_file)?;
        if list_file.is_some_and(|file| !file.list_file_key.ends_with('/')) {
            return check::fault("list_file_key", "does not end with `/`: a group takes a folder of lists");
        }
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
        let (source, destination) = (&self.src_node, &self.dst_node);
        body(&GroupWire {
            task_type: &self.task_type,
            src_node: SourceWire {
                cloud_type: &source.cloud_type,
                region: source.region.as_deref(),
                bucket: source.bucket.as_deref(),
                ak: exposed(source.ak.as_ref()),
                sk: exposed(source.sk.as_ref()),
                security_token: None,
                connection_string: exposed(source.connection_string.as_ref()),
                json_auth_file: exposed(source.json_auth_file.as_ref()),
                app_id: source.app_id.as_deref(),
                object_key: &source.object_key,
                list_file: source.list_file.as_ref(),
                crypto: source.crypto.as_ref(),
            },
            dst_node: GroupDestinationWire {
                ak: destination.ak.expose_secret(),
                sk: destination.sk.expose_secret(),
                region: &destination.region,
                bucket: &destination.bucket,
                cloud_type: destination.cloud_type.as_deref(),
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
            source_cdn: self.source_cdn.as_ref().map(SourceCdn::wire),
            smn_config: self.smn_config.as_ref(),
        })
    }

    /// Everything in the request that must never be printed.
    pub(in crate::oms) fn secrets(&self) -> Vec<&SecretString> {
        let source = &self.src_node;
        let optional = [&source.ak, &source.sk, &source.connection_string, &source.json_auth_file];
        let cdn = self.source_cdn.iter().filter_map(|cdn| cdn.authentication_key.as_ref());
        optional.into_iter().flatten().chain([&self.dst_node.ak, &self.dst_node.sk]).chain(cdn).collect()
    }
}

#[derive(Serialize)]
struct GroupWire<'a> {
    task_type: &'a str,
    src_node: SourceWire<'a>,
    dst_node: GroupDestinationWire<'a>,
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
    source_cdn: Option<SourceCdnWire<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    smn_config: Option<&'a SmnConfig>,
}

#[derive(Serialize)]
struct GroupDestinationWire<'a> {
    ak: &'a str,
    sk: &'a str,
    region: &'a str,
    bucket: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    cloud_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    save_prefix: Option<&'a str>,
    #[serde(flatten)]
    crypto: Option<&'a Crypto>,
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn request() -> CreateTaskGroup {
        CreateTaskGroup {
            task_type: "LIST".into(),
            src_node: GroupSourceNode {
                cloud_type: "HuaweiCloud".into(),
                region: Some("cn-north-7".into()),
                bucket: Some("hw-src".into()),
                ak: Some("planted-1".into()),
                sk: Some("planted-2".into()),
                list_file: Some(ListFile {
                    list_file_key: "hw/".into(),
                    obs_bucket: "list-file-bucket".into(),
                }),
                ..GroupSourceNode::default()
            },
            dst_node: GroupDestinationNode {
                ak: "planted-3".into(),
                sk: "planted-4".into(),
                region: "cn-north-7".into(),
                bucket: "zzww".into(),
                cloud_type: Some("HEC".into()),
                ..GroupDestinationNode::default()
            },
            enable_failed_object_recording: Some(true),
            enable_restore: Some(false),
            enable_metadata_migration: Some(true),
            ..CreateTaskGroup::default()
        }
    }

    #[test]
    fn the_documented_list_group_is_sent_as_it_is_printed() {
        let body: Value = serde_json::from_slice(&request().body()).unwrap();
        assert_eq!(
            body,
            json!({
                "enable_failed_object_recording": true,
                "src_node": {"bucket": "hw-src", "cloud_type": "HuaweiCloud", "ak": "planted-1", "sk": "planted-2",
                             "region": "cn-north-7",
                             "list_file": {"obs_bucket": "list-file-bucket", "list_file_key": "hw/"}},
                "task_type": "LIST",
                "enable_restore": false,
                "dst_node": {"bucket": "zzww", "cloud_type": "HEC", "ak": "planted-3", "sk": "planted-4",
                             "region": "cn-north-7"},
                "enable_metadata_migration": true,
            })
        );
        assert_eq!(request().check(), Ok(()));
    }

    #[test]
    fn every_key_of_a_group_is_on_the_list_of_secrets() {
        let mut request = request();
        request.src_node.connection_string = Some("planted-5".into());
        request.src_node.json_auth_file = Some("planted-6".into());
        request.source_cdn =
            Some(SourceCdn { authentication_key: Some("planted-7".into()), ..SourceCdn::default() });
        let body = String::from_utf8(request.body().to_vec()).unwrap();
        let secrets: Vec<_> = request.secrets().iter().map(|secret| secret.expose_secret()).collect();
        assert_eq!((secrets.len(), body.matches("planted").count()), (7, 7));
        for number in 1..=7 {
            assert!(secrets.contains(&format!("planted-{number}").as_str()), "{number}");
        }
        assert!(!format!("{request:?}").contains("planted"));
    }

    #[test]
    fn a_group_takes_a_folder_of_lists() {
        let mut request = request();
        let file = ListFile { list_file_key: "hw/a.txt".into(), obs_bucket: "lists".into() };
        request.src_node.list_file = Some(file);
        assert_eq!(request.check().unwrap_err().field, "list_file_key");
    }

    #[test]
    fn the_answer_is_an_id() {
        let read =
            |value: Value| serde_json::from_value::<CreatedTaskGroup>(value).ok().map(|made| made.group_id);
        assert_eq!(read(json!({"group_id": "9ad15f51", "more": 1})).as_deref(), Some("9ad15f51"));
        assert_eq!(read(json!({"group_id": 7})).as_deref(), Some("7"));
        for wrong in [json!({}), json!({"group_id": null}), json!({"group_id": ""}), json!({"group_id": {}})]
        {
            assert_eq!(read(wrong), None);
        }
    }
}
