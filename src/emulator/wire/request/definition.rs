//! What tasks and groups are told in the same way: what to copy from where to where, and how.

use serde::{Deserialize, Serialize};

use super::source::{Cdn, Notification, SourceCredentials, TaskKeys, has_crc64, read_crypto, read_pair};
use crate::emulator::{
    clouds::Cloud,
    config::{Behaviour, DescriptionCode, Limits},
    mover::{ConsistencyCheck, KeyRange, ListFile, OverwriteMode, StoragePolicy, TaskType},
    wire::{
        bandwidth::{self, BandwidthWindow},
        members::Members,
        refusal::{
            CLOUD_MISMATCH, DESCRIPTION_CHARACTERS, DESTINATION_PREFIX, INVALID_SOURCE, MIGRATION_POLICY,
            OVERWRITE_MODE, Refusal, SELECTION_MISMATCH, URL_LIST_SUFFIX,
        },
    },
};

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
    /// The part of the prefixes that the task is for, where a group has split them.
    #[serde(default)]
    pub range: Option<KeyRange>,
    /// List file, for the types that have one; for a group, the folder with its list files.
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

/// What the APIs of tasks and of groups read differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// Clouds in one spelling, temporary keys, a list file.
    Task,
    /// Clouds in any case, permanent keys only, a folder of list files.
    Group,
}

impl Style {
    /// Names of a key pair and its token.
    fn names(self) -> (&'static str, &'static str, Option<&'static str>) {
        match self {
            Self::Task => ("ak", "sk", Some("security_token")),
            Self::Group => ("ak", "sk", None),
        }
    }

    fn cloud(self, source: &Members<'_>) -> Result<&'static str, Refusal> {
        let cloud = match self {
            Self::Task => source.word("cloud_type", &Cloud::names(|_| true))?,
            Self::Group => match source.text("cloud_type", 100)? {
                None | Some("") => None,
                Some(name) => Some(any_spelling(name).ok_or_else(|| source.refuse("cloud_type"))?),
            },
        };
        Ok(cloud.unwrap_or("Aliyun"))
    }
}

/// A cloud by any spelling that the group API knows: its own answers are in upper case, and its destinations `HEC`.
fn any_spelling(name: &str) -> Option<&'static str> {
    Cloud::spelled(name).map(|cloud| cloud.name)
}

/// A migration as it is asked for.
#[derive(Debug)]
pub(super) struct Migration {
    pub(super) definition: Definition,
    pub(super) keys: TaskKeys,
    pub(super) bandwidth: Vec<BandwidthWindow>,
    pub(super) kms_keys: Vec<String>,
}

/// What a description must not contain: the characters that the SDK's text forbids, and those of OMS.0078.
const FORBIDDEN_IN_DESCRIPTION: &[char] = &['^', '<', '>', '&', '"', '\'', '(', ')'];

impl Migration {
    /// Reads everything but the type of the task, which the APIs spell in their own ways.
    pub(super) fn read(
        members: &Members<'_>,
        (limits, behaviour): (&Limits, &Behaviour),
        style: Style,
        task_type: TaskType,
    ) -> Result<Self, Refusal> {
        let description = members.text("description", 255)?.unwrap_or_default();
        if description.contains(FORBIDDEN_IN_DESCRIPTION) {
            return Err(match behaviour.description_code {
                DescriptionCode::Parameters => members.refuse("description"),
                DescriptionCode::Characters => DESCRIPTION_CHARACTERS,
            });
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
        let source = members.required_object("src_node")?;
        let destination = members.required_object("dst_node")?;
        let cloud_type = style.cloud(&source)?;
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
            && style == Style::Task
            && list_file.as_ref().is_some_and(|list| !list.key.as_bytes().ends_with(b".txt"))
        {
            return Err(URL_LIST_SUFFIX);
        }
        let app_id = source.text("app_id", 255)?.unwrap_or_default();
        if Cloud::named(cloud_type).is_some_and(|cloud| cloud.needs_app_id) && app_id.is_empty() {
            return Err(
                INVALID_SOURCE.with_detail("request parameter [src_node.app_id] is required for Tencent.")
            );
        }
        let (source_region, source_bucket) = if cloud_type == "URLSource" {
            ("", "")
        } else {
            (source.required_text("region", 100)?, source.required_text("bucket", 1024)?)
        };
        let source_credentials = SourceCredentials::read(&source, style.names(), 0)?;
        let source_kms_key = read_crypto(&source, "")?;

        if style == Style::Group
            && let Some(name) = destination.text("cloud_type", 100)?.filter(|name| !name.is_empty())
            && any_spelling(name) != Some("HuaweiCloud")
        {
            return Err(destination.refuse("cloud_type"));
        }
        let destination_region = destination.required_text("region", 100)?;
        let destination_bucket = destination.required_text("bucket", 1024)?;
        let save_prefix = destination.text("save_prefix", 1024)?.unwrap_or_default();
        if save_prefix.starts_with('/') {
            return Err(DESTINATION_PREFIX);
        }
        destination.required_text("ak", 100)?;
        destination.required_text("sk", 100)?;
        let destination_keys =
            read_pair(&destination, style.names(), 0)?.ok_or_else(|| destination.refuse("ak"))?;
        let destination_kms_key = read_crypto(&destination, "")?;
        let cdn_kms_key = match members.object("source_cdn")? {
            Some(cdn) => read_crypto(&cdn, "")?,
            None => None,
        };

        if overwrite_mode == OverwriteMode::Crc64ComparisonOverwrite && !has_crc64(cloud_type) {
            return Err(OVERWRITE_MODE);
        }
        if (consistency_check == ConsistencyCheck::Crc64 && !has_crc64(cloud_type))
            || (consistency_check == ConsistencyCheck::NoCheck && cloud_type != "URLSource")
        {
            return Err(MIGRATION_POLICY);
        }
        let (cdn, cdn_key) = Cdn::read(members)?;
        let notification = Notification::read(members)?;
        let bandwidth = bandwidth::read(members, limits)?.unwrap_or_default();

        Ok(Self {
            keys: TaskKeys {
                source: source_credentials.keys(cloud_type)?,
                destination: destination_keys,
                cdn: cdn_key,
            },
            definition: Definition {
                task_type,
                cloud_type: cloud_type.to_owned(),
                source_region: source_region.to_owned(),
                source_bucket: source_bucket.to_owned(),
                app_id: app_id.to_owned(),
                object_keys,
                range: None,
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
            kms_keys: [source_kms_key, destination_kms_key, cdn_kms_key].into_iter().flatten().collect(),
        })
    }
}
