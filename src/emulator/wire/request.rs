//! Requests of the tasks API, as the service reads them (OMS API reference 5.3).
//!
//! Reading includes every check that needs nothing but the request and the limits.

use std::fmt;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    bandwidth::{self, BandwidthWindow},
    members::Members,
    refusal::{
        CDN_KEY_MISSING, CLOUD_MISMATCH, DESTINATION_PREFIX, INVALID_SOURCE, MIGRATION_POLICY,
        OVERWRITE_MODE, Refusal, SELECTION_MISMATCH, URL_LIST_SUFFIX,
    },
};
use crate::emulator::{
    config::Limits,
    mover::{ConsistencyCheck, Keys, ListFile, OverwriteMode, StoragePolicy, TaskType},
};

/// Priority in the waiting queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Priority {
    /// First.
    High,
    /// The default.
    #[default]
    Medium,
    /// Last.
    Low,
}

impl Priority {
    /// As it is written on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::High => "HIGH",
            Self::Medium => "MEDIUM",
            Self::Low => "LOW",
        }
    }
}

/// What a create fixes for good. Holds no secret.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Definition {
    /// How objects are chosen.
    pub task_type: TaskType,
    /// The source cloud, in the spelling of the tasks API.
    pub cloud_type: String,
    /// Region of the source bucket; empty for URL lists.
    pub source_region: String,
    /// Source bucket; empty for URL lists.
    pub source_bucket: String,
    /// Tencent's APPID; empty otherwise.
    pub app_id: String,
    /// Names or prefixes, for the types that have them.
    pub object_keys: Option<Vec<String>>,
    /// List file, for the types that have one.
    pub list_file: Option<ListFile>,
    /// Region of the destination bucket.
    pub destination_region: String,
    /// Destination bucket.
    pub destination_bucket: String,
    /// Put before every key; empty for none.
    pub save_prefix: String,
    /// Free text.
    pub description: String,
    /// Unix seconds; 0 is off.
    pub migrate_since: i64,
    /// What to do with objects that are there already.
    pub overwrite_mode: OverwriteMode,
    /// Storage class of the copies.
    pub storage_policy: StoragePolicy,
    /// How copies are verified.
    pub consistency_check: ConsistencyCheck,
    /// Migrate all metadata and not just the Content-Type.
    pub enable_metadata_migration: bool,
    /// Restore archived objects first.
    pub enable_restore: bool,
    /// Keep a list of failed objects in the destination bucket.
    pub enable_failed_object_recording: bool,
    /// The requester pays for source requests.
    pub enable_requester_pays: bool,
    /// CDN in front of the source.
    pub cdn: Option<Cdn>,
    /// Name of the SMN topic to notify, and for which ends.
    pub notification: Option<Notification>,
}

/// A CDN in front of the source; its key is a secret and not kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cdn {
    /// Domain.
    pub domain: String,
    /// `http` or `https`.
    pub protocol: String,
    /// How requests are signed.
    pub authentication_type: String,
}

impl Cdn {
    /// The Alibaba types are signed with a key that has to come along (OMS.1032).
    fn needs_key(&self) -> bool {
        self.authentication_type.starts_with("ALIYUN")
    }
}

/// Whom to tell about the end of a task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notification {
    /// Last part of the topic's URN.
    pub topic_name: String,
    /// Tell about success.
    pub on_success: bool,
    /// Tell about failure.
    pub on_failure: bool,
}

/// How a task gets into the source.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum SourceKeys {
    /// An access key pair.
    Pair(Keys),
    /// A connection string or a service account: it opens the store that stands for the cloud with the store's own
    /// first key.
    OfStore,
    /// URL lists need none.
    None,
}

/// The secrets that a task runs with.
#[derive(Clone, Serialize, Deserialize)]
pub struct TaskKeys {
    /// For the source.
    pub source: SourceKeys,
    /// For the destination and the list file.
    pub destination: Keys,
}

impl fmt::Debug for TaskKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TaskKeys([REDACTED])")
    }
}

/// Body of CreateTask.
#[derive(Clone, Debug)]
pub struct CreateTask {
    /// What is fixed for good.
    pub definition: Definition,
    /// Secrets.
    pub keys: TaskKeys,
    /// Bandwidth windows.
    pub bandwidth: Vec<BandwidthWindow>,
    /// Priority.
    pub priority: Priority,
}

/// Body of StartTask.
#[derive(Clone, Debug)]
pub struct StartTask {
    /// Source access key pair, if one came.
    source_pair: Option<Keys>,
    source_other: bool,
    /// Destination keys.
    pub destination: Keys,
    cdn_key: bool,
    /// Only the failed objects again.
    pub migrate_failed_object: bool,
}

/// Body of BatchUpdateTasks.
#[derive(Clone, Debug)]
pub struct BatchUpdateTasks {
    /// The tasks.
    pub target: BatchTarget,
    /// New windows.
    pub bandwidth: Vec<BandwidthWindow>,
    /// New priority; absent leaves it alone.
    pub priority: Option<Priority>,
}

/// Which tasks a batch update is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BatchTarget {
    /// All tasks of a group.
    Group(String),
    /// These.
    Tasks(Vec<u64>),
}

/// Query of ListTasks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListTasks {
    /// Only of this group.
    pub group_id: Option<String>,
    /// Only in this state.
    pub status: Option<u8>,
    /// Only with this in the name, in any case.
    pub task_name: Option<String>,
    /// Page size.
    pub limit: usize,
    /// Records to skip.
    pub offset: usize,
}

/// Clouds of `src_node.cloud_type` (OMS API reference 5.3.3).
const CLOUDS: [&str; 12] = [
    "AWS",
    "Azure",
    "Aliyun",
    "Tencent",
    "HuaweiCloud",
    "QingCloud",
    "KingsoftCloud",
    "Baidu",
    "Qiniu",
    "URLSource",
    "UCloud",
    "Google",
];

/// Clouds that keep a CRC64 with their objects.
pub fn has_crc64(cloud_type: &str) -> bool {
    matches!(cloud_type, "HuaweiCloud" | "Aliyun" | "Tencent")
}

/// What a description must not contain: the characters that the SDK's text forbids, and those of OMS.0078.
const FORBIDDEN_IN_DESCRIPTION: &[char] = &['^', '<', '>', '&', '"', '\'', '(', ')'];

impl CreateTask {
    /// Reads and checks a request.
    pub fn read(body: &Value, limits: &Limits) -> Result<Self, Refusal> {
        let members = Members::of(body)?;
        let task_type = match members.word("task_type", &["object", "prefix", "list", "url_list"])? {
            None | Some("object") => TaskType::Object,
            Some("prefix") => TaskType::Prefix,
            Some("list") => TaskType::List,
            Some(_) => TaskType::UrlList,
        };
        let description = members.text("description", 255)?.unwrap_or_default();
        if description.contains(FORBIDDEN_IN_DESCRIPTION) {
            return Err(members.refuse("description"));
        }
        let migrate_since = members.integer("migrate_since")?.unwrap_or(0);
        if migrate_since < 0 {
            return Err(members.refuse("migrate_since"));
        }
        let overwrite_mode = match members.word(
            "object_overwrite_mode",
            &[
                "NO_OVERWRITE",
                "SIZE_LAST_MODIFIED_COMPARISON_OVERWRITE",
                "CRC64_COMPARISON_OVERWRITE",
                "FULL_OVERWRITE",
            ],
        )? {
            Some("NO_OVERWRITE") => OverwriteMode::NoOverwrite,
            Some("CRC64_COMPARISON_OVERWRITE") => OverwriteMode::Crc64ComparisonOverwrite,
            Some("FULL_OVERWRITE") => OverwriteMode::FullOverwrite,
            _ => OverwriteMode::SizeLastModifiedComparisonOverwrite,
        };
        let storage_policy = match members.word(
            "dst_storage_policy",
            &["STANDARD", "IA", "ARCHIVE", "DEEP_ARCHIVE", "SRC_STORAGE_MAPPING"],
        )? {
            Some("IA") => StoragePolicy::Ia,
            Some("ARCHIVE") => StoragePolicy::Archive,
            Some("DEEP_ARCHIVE") => StoragePolicy::DeepArchive,
            Some("SRC_STORAGE_MAPPING") => StoragePolicy::SrcStorageMapping,
            _ => StoragePolicy::Standard,
        };
        let consistency_check =
            match members.word("consistency_check", &["size_last_modified", "crc64", "no_check"])? {
                Some("crc64") => ConsistencyCheck::Crc64,
                Some("no_check") => ConsistencyCheck::NoCheck,
                _ => ConsistencyCheck::SizeLastModified,
            };
        let priority = read_priority(&members)?.unwrap_or_default();

        let source = members.required_object("src_node")?;
        let destination = members.required_object("dst_node")?;
        let cloud_type = source.word("cloud_type", &CLOUDS)?.unwrap_or("Aliyun");
        let object_keys = source.texts("object_key", limits.object_keys, 1024)?;
        let list_file = match source.object("list_file")? {
            Some(list) => Some(ListFile {
                bucket: list.required_text("obs_bucket", 1024)?.to_owned(),
                key: list.required_text("list_file_key", 1024)?.to_owned(),
            }),
            None => None,
        };
        // An empty list of keys selects nothing, so it is as good as none (the provider of Terraform sends one).
        let object_keys = object_keys.filter(|keys| !keys.is_empty());
        let by_list = matches!(task_type, TaskType::List | TaskType::UrlList);
        if (task_type == TaskType::UrlList) != (cloud_type == "URLSource") {
            return Err(CLOUD_MISMATCH);
        }
        if by_list != list_file.is_some() || by_list == object_keys.is_some() {
            return Err(SELECTION_MISMATCH);
        }
        if task_type == TaskType::UrlList
            && list_file.as_ref().is_some_and(|list| !list.key.as_bytes().ends_with(b".txt"))
        {
            return Err(URL_LIST_SUFFIX);
        }
        let app_id = source.text("app_id", 255)?.unwrap_or_default();
        if cloud_type == "Tencent" && app_id.is_empty() {
            return Err(
                INVALID_SOURCE.with_detail("request parameter [src_node.app_id] is required for Tencent.")
            );
        }
        let (source_region, source_bucket) = if cloud_type == "URLSource" {
            ("", "")
        } else {
            (source.required_text("region", 100)?, source.required_text("bucket", 1024)?)
        };
        let source_pair = read_pair(&source, "ak", "sk", "security_token", 0)?;
        let source_other = has_other_credentials(&source)?;

        let destination_region = destination.required_text("region", 100)?;
        let destination_bucket = destination.required_text("bucket", 1024)?;
        let save_prefix = destination.text("save_prefix", 1024)?.unwrap_or_default();
        if save_prefix.starts_with('/') {
            return Err(DESTINATION_PREFIX);
        }
        destination.required_text("ak", 100)?;
        destination.required_text("sk", 100)?;
        let destination_keys = read_pair(&destination, "ak", "sk", "security_token", 0)?
            .ok_or_else(|| destination.refuse("ak"))?;

        if overwrite_mode == OverwriteMode::Crc64ComparisonOverwrite && !has_crc64(cloud_type) {
            return Err(OVERWRITE_MODE);
        }
        if (consistency_check == ConsistencyCheck::Crc64 && !has_crc64(cloud_type))
            || (consistency_check == ConsistencyCheck::NoCheck && cloud_type != "URLSource")
        {
            return Err(MIGRATION_POLICY);
        }
        let cdn = read_cdn(&members)?;
        let notification = read_notification(&members)?;
        let bandwidth = bandwidth::read(&members, limits)?.unwrap_or_default();

        Ok(Self {
            keys: TaskKeys {
                source: source_keys(cloud_type, source_pair, source_other)?,
                destination: destination_keys,
            },
            definition: Definition {
                task_type,
                cloud_type: cloud_type.to_owned(),
                source_region: source_region.to_owned(),
                source_bucket: source_bucket.to_owned(),
                app_id: app_id.to_owned(),
                object_keys,
                list_file,
                destination_region: destination_region.to_owned(),
                destination_bucket: destination_bucket.to_owned(),
                save_prefix: save_prefix.to_owned(),
                description: description.to_owned(),
                migrate_since,
                overwrite_mode,
                storage_policy,
                consistency_check,
                enable_metadata_migration: members.flag("enable_metadata_migration", false)?,
                enable_restore: members.flag("enable_restore", false)?,
                enable_failed_object_recording: members.flag("enable_failed_object_recording", true)?,
                enable_requester_pays: members.flag("enable_requester_pays", false)?,
                cdn,
                notification,
            },
            bandwidth,
            priority,
        })
    }
}

impl StartTask {
    /// Reads a request.
    pub fn read(body: &Value) -> Result<Self, Refusal> {
        let members = Members::of(body)?;
        members.required_text("dst_ak", 100)?;
        members.required_text("dst_sk", 100)?;
        Ok(Self {
            source_pair: read_pair(&members, "src_ak", "src_sk", "src_security_token", 1)?,
            source_other: has_other_credentials(&members)?,
            destination: read_pair(&members, "dst_ak", "dst_sk", "dst_security_token", 1)?
                .ok_or_else(|| members.refuse("dst_ak"))?,
            cdn_key: members.text("source_cdn_authentication_key", 255)?.is_some_and(|key| !key.is_empty()),
            migrate_failed_object: members.flag("migrate_failed_object", false)?,
        })
    }

    /// The secrets for a task of this definition; they all have to come again.
    pub fn keys_for(&self, definition: &Definition) -> Result<TaskKeys, Refusal> {
        if definition.cdn.as_ref().is_some_and(Cdn::needs_key) && !self.cdn_key {
            return Err(CDN_KEY_MISSING);
        }
        Ok(TaskKeys {
            source: source_keys(&definition.cloud_type, self.source_pair.clone(), self.source_other)?,
            destination: self.destination.clone(),
        })
    }
}

impl BatchUpdateTasks {
    /// Reads a request.
    pub fn read(body: &Value, limits: &Limits) -> Result<Self, Refusal> {
        let members = Members::of(body)?;
        let group = members.text("group_id", 36)?.map(str::to_owned);
        let ids = match members.list("ids")? {
            None => None,
            Some(ids) if ids.is_empty() || ids.len() > limits.batch_tasks => {
                return Err(members.refuse("ids"));
            }
            Some(ids) => Some(
                ids.iter()
                    .map(|id| id.as_u64().filter(|id| i64::try_from(*id).is_ok()))
                    .collect::<Option<Vec<_>>>()
                    .ok_or_else(|| members.refuse("ids"))?,
            ),
        };
        let target = match (group, ids) {
            (Some(group), None) if !group.is_empty() => BatchTarget::Group(group),
            (None, Some(ids)) => BatchTarget::Tasks(ids),
            (Some(_), _) => return Err(members.refuse("group_id")),
            (None, None) => return Err(members.refuse("ids")),
        };
        Ok(Self {
            target,
            bandwidth: bandwidth::read(&members, limits)?
                .ok_or_else(|| members.refuse("bandwidth_policy"))?,
            priority: read_priority(&members)?,
        })
    }
}

/// Reads the body of UpdateBandwidthPolicy.
pub fn read_bandwidth(body: &Value, limits: &Limits) -> Result<Vec<BandwidthWindow>, Refusal> {
    let members = Members::of(body)?;
    bandwidth::read(&members, limits)?.ok_or_else(|| members.refuse("bandwidth_policy"))
}

impl ListTasks {
    /// Reads the decoded query. Of a repeated parameter the first counts; unknown parameters are ignored.
    pub fn read(query: &[(String, String)]) -> Result<Self, Refusal> {
        let get = |name: &str| query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        let number = |name: &str, range: std::ops::RangeInclusive<i64>, default: i64| match get(name) {
            None | Some("") => Ok(default),
            Some(text) => text
                .parse::<i64>()
                .ok()
                .filter(|number| range.contains(number))
                .ok_or_else(|| Refusal::parameter(name)),
        };
        let text = |name: &str, longest: usize| match get(name) {
            Some(text) if text.chars().count() > longest => Err(Refusal::parameter(name)),
            text => Ok(text.filter(|text| !text.is_empty()).map(str::to_owned)),
        };
        let status = number("status", 1..=7, 0)?;
        Ok(Self {
            group_id: text("group_id", 100)?,
            status: u8::try_from(status).ok().filter(|status| *status > 0),
            task_name: text("task_name", 255)?,
            limit: usize::try_from(number("limit", 1..=100, 10)?).unwrap_or(10),
            offset: usize::try_from(number("offset", 0..=i64::from(i32::MAX), 0)?).unwrap_or(usize::MAX),
        })
    }
}

fn read_priority(members: &Members<'_>) -> Result<Option<Priority>, Refusal> {
    Ok(members.word("task_priority", &["HIGH", "MEDIUM", "LOW"])?.map(|word| match word {
        "HIGH" => Priority::High,
        "LOW" => Priority::Low,
        _ => Priority::Medium,
    }))
}

fn read_pair(
    members: &Members<'_>,
    access: &str,
    secret: &str,
    token: &str,
    shortest: usize,
) -> Result<Option<Keys>, Refusal> {
    let read = |name: &str| match members.text(name, 100)? {
        Some(text) if text.chars().count() < shortest => Err(members.refuse(name)),
        text => Ok(text.filter(|text| !text.is_empty())),
    };
    let (access_key, secret_key) = (read(access)?, read(secret)?);
    let security_token = members.text(token, 16_384)?.filter(|text| !text.is_empty());
    Ok(access_key.zip(secret_key).map(|(access_key, secret_key)| Keys {
        access_key: access_key.to_owned(),
        secret_key: SecretString::from(secret_key),
        security_token: security_token.map(SecretString::from),
    }))
}

fn has_other_credentials(members: &Members<'_>) -> Result<bool, Refusal> {
    let connection_string = members.text("connection_string", 2048)?;
    let json_auth_file = members.text("json_auth_file", 65_535)?;
    Ok([connection_string, json_auth_file].into_iter().flatten().any(|text| !text.is_empty()))
}

/// Azure and Google may come with a connection string or a service account in place of a key pair; the tables of the
/// reference forget to say so.
fn source_keys(cloud_type: &str, pair: Option<Keys>, other: bool) -> Result<SourceKeys, Refusal> {
    match (cloud_type, pair) {
        ("URLSource", _) => Ok(SourceKeys::None),
        (_, Some(pair)) => Ok(SourceKeys::Pair(pair)),
        ("Azure" | "Google", None) if other => Ok(SourceKeys::OfStore),
        (_, None) => Err(INVALID_SOURCE.with_detail("The credentials of the source are missing.")),
    }
}

fn read_cdn(members: &Members<'_>) -> Result<Option<Cdn>, Refusal> {
    let Some(cdn) = members.object("source_cdn")? else { return Ok(None) };
    let authentication_type = cdn.text("authentication_type", 64)?.unwrap_or("NONE").to_ascii_uppercase();
    if !matches!(
        authentication_type.as_str(),
        "NONE"
            | "QINIU_PRIVATE_AUTHENTICATION"
            | "ALIYUN_OSS_A"
            | "ALIYUN_OSS_B"
            | "ALIYUN_OSS_C"
            | "KSYUN_PRIVATE_AUTHENTICATION"
            | "AZURE_SAS_TOKEN"
            | "TENCENT_COS_A"
            | "TENCENT_COS_B"
            | "TENCENT_COS_C"
            | "TENCENT_COS_D"
    ) {
        return Err(cdn.refuse("authentication_type"));
    }
    let protocol = cdn.required_text("protocol", 8)?.to_ascii_lowercase();
    if !matches!(protocol.as_str(), "http" | "https") {
        return Err(cdn.refuse("protocol"));
    }
    let read = Cdn { domain: cdn.required_text("domain", 1024)?.to_owned(), protocol, authentication_type };
    if read.needs_key() && cdn.text("authentication_key", 255)?.is_none_or(str::is_empty) {
        return Err(CDN_KEY_MISSING);
    }
    Ok(Some(read))
}

fn read_notification(members: &Members<'_>) -> Result<Option<Notification>, Refusal> {
    let Some(smn) = members.object("smn_config")? else { return Ok(None) };
    let urn = smn.required_text("topic_urn", 1024)?;
    smn.word("language", &["zh-cn", "en-us"])?;
    let triggers = smn
        .texts("trigger_conditions", 2, 16)?
        .filter(|triggers| {
            !triggers.is_empty()
                && triggers.iter().all(|trigger| matches!(trigger.as_str(), "SUCCESS" | "FAILURE"))
        })
        .ok_or_else(|| smn.refuse("trigger_conditions"))?;
    let on = |name: &str| triggers.iter().any(|trigger| trigger == name);
    Ok(Some(Notification {
        topic_name: urn.rsplit(':').next().unwrap_or(urn).to_owned(),
        on_success: on("SUCCESS"),
        on_failure: on("FAILURE"),
    }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn body() -> Value {
        json!({
            "task_type": "prefix",
            "src_node": {
                "cloud_type": "AWS", "region": "eu-west-1", "ak": "a", "sk": "s", "bucket": "b", "object_key": [""]
            },
            "dst_node": { "region": "cn-north-4", "ak": "a", "sk": "s", "bucket": "d" },
            "enable_kms": false
        })
    }

    fn read_with(pointer: &str, name: &str, value: Value) -> Result<CreateTask, Refusal> {
        let mut body = body();
        body.pointer_mut(pointer).unwrap()[name] = value;
        CreateTask::read(&body, &Limits::default())
    }

    #[test]
    fn a_request_of_an_old_client_is_read_with_the_documented_defaults() {
        let task = CreateTask::read(&body(), &Limits::default()).unwrap();
        assert!(task.definition.enable_failed_object_recording);
        assert_eq!(task.definition.storage_policy, StoragePolicy::Standard);
        assert_eq!(task.priority, Priority::Medium);
        assert!(task.bandwidth.is_empty());
    }

    #[test]
    fn what_does_not_fit_together_is_refused_with_the_code_for_it() {
        let url_list =
            json!({ "cloud_type": "URLSource", "list_file": { "obs_bucket": "l", "list_file_key": "k" } });
        for (pointer, name, value, code) in [
            ("", "task_type", json!("url_list"), "S3M.0095"),
            ("/src_node", "cloud_type", json!("URLSource"), "S3M.0095"),
            ("", "task_type", json!("list"), "S3M.0088"),
            ("/src_node", "object_key", json!([]), "S3M.0088"),
            ("/src_node", "object_key", Value::Null, "S3M.0088"),
            ("/src_node", "list_file", json!({ "obs_bucket": "l", "list_file_key": "k" }), "S3M.0088"),
            ("", "object_overwrite_mode", json!("CRC64_COMPARISON_OVERWRITE"), "S3M.0093"),
            ("", "consistency_check", json!("crc64"), "S3M.0094"),
            ("", "consistency_check", json!("no_check"), "S3M.0094"),
            ("/dst_node", "save_prefix", json!("/x"), "S3M.0092"),
            ("/src_node", "cloud_type", json!("Tencent"), "OMS.0057"),
            ("/src_node", "ak", json!(""), "OMS.0057"),
            ("/src_node", "cloud_type", json!("cloud_type"), "OMS.0064"),
            ("", "src_node", url_list, "S3M.0095"),
            (
                "",
                "source_cdn",
                json!({ "domain": "d", "protocol": "https", "authentication_type": "ALIYUN_OSS_A" }),
                "OMS.1032",
            ),
        ] {
            let refusal = read_with(pointer, name, value.clone()).unwrap_err();
            assert_eq!(refusal.code, code, "{pointer}/{name} = {value}");
        }
    }

    #[test]
    fn a_bad_member_is_named_as_the_live_service_names_it() {
        for (pointer, name, value, named) in [
            ("", "description", json!("AWS S3 -> Huawei OBS migration"), "description"),
            ("", "description", json!("x".repeat(256)), "description"),
            ("", "migrate_since", json!("1"), "migrate_since"),
            ("", "task_priority", json!("URGENT"), "task_priority"),
            ("/dst_node", "bucket", Value::Null, "dst_node.bucket"),
            ("/src_node", "object_key", json!(vec!["k"; 501]), "src_node.object_key"),
        ] {
            let refusal = read_with(pointer, name, value).unwrap_err();
            assert_eq!(refusal.code, "OMS.0064");
            assert_eq!(refusal.detail.unwrap(), format!("request parameter [{named}] invalid."));
        }
    }

    #[test]
    fn azure_may_come_with_a_connection_string_alone() {
        let mut body = body();
        let source = body["src_node"].as_object_mut().unwrap();
        source.remove("ak");
        source.remove("sk");
        source.insert("cloud_type".to_owned(), json!("Azure"));
        source.insert("connection_string".to_owned(), json!("DefaultEndpointsProtocol=https"));
        let task = CreateTask::read(&body, &Limits::default()).unwrap();
        assert!(matches!(task.keys.source, SourceKeys::OfStore));
    }

    #[test]
    fn a_batch_update_names_either_tasks_or_a_group() {
        let read = |body: Value| BatchUpdateTasks::read(&body, &Limits::default()).map(|batch| batch.target);
        assert_eq!(read(json!({ "ids": [1], "bandwidth_policy": [] })), Ok(BatchTarget::Tasks(vec![1])));
        assert!(read(json!({ "ids": [1], "group_id": "g", "bandwidth_policy": [] })).is_err());
        assert!(read(json!({ "bandwidth_policy": [] })).is_err());
        assert!(read(json!({ "ids": [1] })).is_err());
        assert!(read(json!({ "ids": vec![1; 21], "bandwidth_policy": [] })).is_err());
    }

    #[test]
    fn a_list_query_has_defaults_and_bounds() {
        let read = |pairs: &[(&str, &str)]| {
            let pairs: Vec<_> = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
            ListTasks::read(&pairs)
        };
        let list = read(&[]).unwrap();
        assert_eq!((list.limit, list.offset, list.status), (10, 0, None));
        assert_eq!(read(&[("limit", "101")]).unwrap_err(), Refusal::parameter("limit"));
        assert_eq!(read(&[("status", "8")]).unwrap_err(), Refusal::parameter("status"));
        assert_eq!(read(&[("offset", "x")]).unwrap_err(), Refusal::parameter("offset"));
    }
}
