//! What a migration task asks the mover to do.
//!
//! These are the mover's own types, not wire types: the emulator translates a request of the OMS API into them.
use std::fmt;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::cdn::CdnSource;

/// Everything the mover needs to know about one task. Serializes **with** its secrets (a task must be able to go on
/// after a restart of the emulator), so a serialized job belongs in a file of mode 0600 and nowhere else.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Job {
    /// Number of the task at OMS.
    pub task_id: u64,
    /// Generated name of the task; also the name of its folder `oms/task/<name>/` in the destination bucket.
    pub task_name: String,
    /// The group that the task belongs to: its lists are then in the group's folder, `oms/task_group/<id>/`.
    #[serde(default)]
    pub group: Option<String>,
    /// How objects are selected.
    pub task_type: TaskType,
    /// Where objects come from.
    pub source: Source,
    /// CDN that objects of the source bucket are fetched through.
    #[serde(default)]
    pub cdn: Option<CdnSource>,
    /// Names or prefixes for the types `object` and `prefix`; `[""]` is the whole bucket.
    #[serde(default)]
    pub object_keys: Vec<String>,
    /// The part of each prefix that is copied; absent for all of it.
    #[serde(default)]
    pub range: Option<KeyRange>,
    /// The list for the types `list` and `url_list`; read at the destination's endpoint with the destination's keys.
    #[serde(default)]
    pub list_file: Option<ListFile>,
    /// Where objects go.
    pub destination: Location,
    /// Put before every key at the destination (`save_prefix`); empty for none.
    #[serde(default)]
    pub save_prefix: String,
    /// Storage class of the copies.
    #[serde(default)]
    pub storage_policy: StoragePolicy,
    /// What happens to an object that already exists at the destination.
    #[serde(default)]
    pub overwrite_mode: OverwriteMode,
    /// How a copy is verified.
    #[serde(default)]
    pub consistency_check: ConsistencyCheck,
    /// Unix seconds; objects modified before are skipped and counted as such. 0 is off.
    #[serde(default)]
    pub migrate_since: i64,
    /// Copy user metadata and descriptive headers as well. Content-Type is always copied.
    #[serde(default)]
    pub enable_metadata_migration: bool,
    /// Restore archived source objects first; otherwise they count as failed.
    #[serde(default)]
    pub enable_restore: bool,
    /// Write the list of failed objects into the destination bucket.
    #[serde(default = "yes")]
    pub enable_failed_object_recording: bool,
    /// Send `x-amz-request-payer: requester` to the source.
    #[serde(default)]
    pub requester_pays: bool,
    /// Whether the source's cloud has CRC64 checksums at OMS (HuaweiCloud, Aliyun and Tencent do); without them
    /// CRC64 rules fall back to size and time.
    #[serde(default)]
    pub source_has_crc64: bool,
}

fn yes() -> bool {
    true
}

/// How a task selects its objects (`task_type`, OMS API reference, CreateTask).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskType {
    /// Files by name and folders by a name that ends in `/`.
    #[default]
    Object,
    /// Every object whose key starts with one of the names.
    Prefix,
    /// Object names from a list file.
    List,
    /// URLs and object names from a list file.
    UrlList,
}

/// Where objects come from.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// A bucket behind an S3-compatible endpoint.
    S3(Location),
    /// The URLs in the list file themselves.
    UrlList,
}

/// A bucket and how to reach it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Location {
    /// Base URL of the S3 endpoint, such as `http://127.0.0.1:9000`; addressed in path style.
    pub endpoint: String,
    /// Region name that requests are signed for.
    pub region: String,
    /// Bucket name.
    pub bucket: String,
    /// Keys that requests are signed with.
    pub keys: Keys,
}

/// An access key pair; never printed.
#[derive(Clone, Serialize, Deserialize)]
pub struct Keys {
    /// Access key ID.
    pub access_key: String,
    /// Secret access key.
    #[serde(with = "secret_text")]
    pub secret_key: SecretString,
    /// Session token of temporary keys.
    #[serde(default, with = "optional_secret_text")]
    pub security_token: Option<SecretString>,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys([REDACTED])")
    }
}

/// Keys between two keys, in the order of their bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRange {
    /// Only keys after this one.
    pub after: Option<String>,
    /// Only keys up to and including this one.
    pub until: Option<String>,
}

impl KeyRange {
    /// Whether a key comes after all keys of the range.
    pub fn ends_before(&self, key: &str) -> bool {
        self.until.as_deref().is_some_and(|until| key > until)
    }
}

/// An object that lists what to copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListFile {
    /// Bucket at the destination's endpoint.
    pub bucket: String,
    /// Key of the list; must end in `.txt`.
    pub key: String,
}

/// `dst_storage_policy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum StoragePolicy {
    /// Standard storage.
    #[default]
    Standard,
    /// Infrequent access.
    Ia,
    /// Archive; becomes the S3 class `GLACIER`.
    Archive,
    /// Deep archive.
    DeepArchive,
    /// The class that answers to the source object's.
    SrcStorageMapping,
}

/// `object_overwrite_mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum OverwriteMode {
    /// An existing object is skipped without any comparison.
    NoOverwrite,
    /// Overwritten if the sizes differ or the source is newer.
    #[default]
    SizeLastModifiedComparisonOverwrite,
    /// Overwritten if the CRC64 differs; falls back to size and time where a checksum is missing.
    Crc64ComparisonOverwrite,
    /// Always overwritten.
    FullOverwrite,
}

/// `consistency_check`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConsistencyCheck {
    /// Equal size and a destination that is not older than the source.
    #[default]
    SizeLastModified,
    /// Equal CRC64; falls back to size and time where a checksum is missing.
    Crc64,
    /// HTTP sources only: what has no Content-Length is overwritten always and not verified.
    NoCheck,
}

pub(crate) mod secret_text {
    use secrecy::{ExposeSecret, SecretString};
    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(secret: &SecretString, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(secret.expose_secret())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SecretString, D::Error> {
        String::deserialize(deserializer).map(SecretString::from)
    }
}

pub(crate) mod optional_secret_text {
    use secrecy::{ExposeSecret, SecretString};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[expect(clippy::ref_option, reason = "the signature is serde's")]
    pub(crate) fn serialize<S: Serializer>(
        secret: &Option<SecretString>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        secret.as_ref().map(ExposeSecret::expose_secret).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<SecretString>, D::Error> {
        Ok(Option::<String>::deserialize(deserializer)?.map(SecretString::from))
    }
}
