//! Pieces that several kinds share: references, enumerations, bandwidth.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize};

use super::rules;

/// Which kind a connection reference means.
#[derive(
    Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord,
)]
pub enum ConnectionKind {
    /// A `Connection` of the object's own namespace.
    #[default]
    Connection,
    /// A `ClusterConnection` that allows the object's namespace.
    ClusterConnection,
}

impl fmt::Display for ConnectionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connection => "Connection",
            Self::ClusterConnection => "ClusterConnection",
        })
    }
}

/// Names the connection to OMS.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = rules::atomic)]
pub struct ConnectionRef {
    /// `Connection` (default) or `ClusterConnection`.
    #[serde(default)]
    pub kind: ConnectionKind,
    /// Name of the connection.
    #[schemars(length(min = 1, max = 253), regex(pattern = rules::OBJECT_NAME))]
    pub name: String,
}

/// Names a Secret in the object's own namespace and, where needed, the keys in it.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = rules::atomic)]
pub struct SecretRef {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253), regex(pattern = rules::OBJECT_NAME))]
    pub name: String,
    /// Names of the keys in the Secret, where they differ from ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "SecretKeys")]
    pub keys: Option<SecretKeys>,
}

/// Names of keys in a Secret; an absent member means its own name (`accessKey`, `secretKey`, …).
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct SecretKeys {
    /// Key that holds the access key ID; default `accessKey`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(min = 1, max = 253), regex(pattern = rules::DATA_KEY))]
    pub access_key: Option<String>,
    /// Key that holds the secret access key; default `secretKey`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(min = 1, max = 253), regex(pattern = rules::DATA_KEY))]
    pub secret_key: Option<String>,
    /// Key that holds the security token of temporary keys; default `securityToken`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(min = 1, max = 253), regex(pattern = rules::DATA_KEY))]
    pub security_token: Option<String>,
    /// Key that holds when temporary keys end, as RFC 3339 (`2026-12-01T08:00:00Z`); default `expiration`. The operator tells
    /// of the end, and uses no keys that have ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(min = 1, max = 253), regex(pattern = rules::DATA_KEY))]
    pub expiration: Option<String>,
    /// Key that holds an Azure connection string; default `connectionString`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(min = 1, max = 253), regex(pattern = rules::DATA_KEY))]
    pub connection_string: Option<String>,
    /// Key that holds a Google JSON credentials file; default `jsonAuthFile`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(min = 1, max = 253), regex(pattern = rules::DATA_KEY))]
    pub json_auth_file: Option<String>,
    /// Key that holds the name of an IAM user; default `username`. Connections only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(min = 1, max = 253), regex(pattern = rules::DATA_KEY))]
    pub username: Option<String>,
    /// Key that holds the user's password; default `password`. Connections only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(min = 1, max = 253), regex(pattern = rules::DATA_KEY))]
    pub password: Option<String>,
    /// Key that holds the name of the account (domain) of the user; default `domainName`. Connections only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(min = 1, max = 253), regex(pattern = rules::DATA_KEY))]
    pub domain_name: Option<String>,
}

impl SecretKeys {
    /// Whether it names a key of a login by password.
    pub fn names_password(&self) -> bool {
        self.username.is_some() || self.password.is_some() || self.domain_name.is_some()
    }
}

/// Names one value of a Secret in the object's own namespace.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = rules::atomic)]
pub struct SecretKeyRef {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253), regex(pattern = rules::OBJECT_NAME))]
    pub name: String,
    /// Key in the Secret that holds the value; default `authenticationKey`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(min = 1, max = 253), regex(pattern = rules::DATA_KEY))]
    pub key: Option<String>,
}

/// Where the keys of a bucket come from. Read at the moment of use, never kept.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct BucketCredentials {
    /// The Secret with the keys.
    pub secret_ref: SecretRef,
    /// How OMS keeps the keys. Next start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Crypto")]
    pub crypto: Option<Crypto>,
}

/// How OMS encrypts credentials that it keeps for a task (`crypto_type`, `kms_key_id`); the objects are not meant.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = rules::crypto)]
pub struct Crypto {
    /// With OMS's own means, or with a key of your account in KMS.
    #[serde(rename = "type")]
    pub crypto_type: CryptoType,
    /// ID of the KMS key: 36 characters. It is symmetric (AES_256 or SM4), and OMS may use it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(min = 36, max = 36))]
    pub kms_key_id: Option<String>,
}

/// What OMS encrypts credentials with (`crypto_type`).
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum CryptoType {
    /// OMS's own means.
    Default,
    /// A key of your account in KMS; wants `kmsKeyId`.
    Kms,
}

impl CryptoType {
    /// As OMS writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Default => "DEFAULT",
            Self::Kms => "KMS",
        }
    }
}

/// The clouds that OMS can copy from (OMS API reference 5.3.3, `cloud_type`).
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloudType {
    /// Amazon S3.
    AWS,
    /// Azure Blob storage; keys are a connection string.
    Azure,
    /// Alibaba Cloud OSS.
    Aliyun,
    /// Tencent COS; wants `appId`.
    Tencent,
    /// Huawei Cloud OBS.
    HuaweiCloud,
    /// QingStor.
    QingCloud,
    /// Kingsoft KS3.
    KingsoftCloud,
    /// Baidu BOS.
    Baidu,
    /// Google Cloud Storage; keys are a JSON credentials file.
    Google,
    /// Qiniu Kodo.
    Qiniu,
    /// UCloud UFile.
    UCloud,
    /// URLs of a list file; only with type `url_list`.
    URLSource,
}

impl CloudType {
    /// As OMS writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AWS => "AWS",
            Self::Azure => "Azure",
            Self::Aliyun => "Aliyun",
            Self::Tencent => "Tencent",
            Self::HuaweiCloud => "HuaweiCloud",
            Self::QingCloud => "QingCloud",
            Self::KingsoftCloud => "KingsoftCloud",
            Self::Baidu => "Baidu",
            Self::Google => "Google",
            Self::Qiniu => "Qiniu",
            Self::UCloud => "UCloud",
            Self::URLSource => "URLSource",
        }
    }
}

/// Storage class of the copies (OMS API reference 5.3.3, `dst_storage_policy`).
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum StoragePolicy {
    /// Standard storage; the default.
    #[default]
    Standard,
    /// Infrequent access.
    Ia,
    /// Archive.
    Archive,
    /// Deep archive.
    DeepArchive,
    /// The class that corresponds to the source object's.
    SrcStorageMapping,
}

impl StoragePolicy {
    /// As OMS writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "STANDARD",
            Self::Ia => "IA",
            Self::Archive => "ARCHIVE",
            Self::DeepArchive => "DEEP_ARCHIVE",
            Self::SrcStorageMapping => "SRC_STORAGE_MAPPING",
        }
    }
}

/// What happens to an object that the destination already has (`object_overwrite_mode`).
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OverwriteMode {
    /// Skip it without comparing.
    #[serde(rename = "NO_OVERWRITE")]
    NoOverwrite,
    /// Overwrite when sizes differ or the source is newer; the default.
    #[default]
    #[serde(rename = "SIZE_LAST_MODIFIED_COMPARISON_OVERWRITE")]
    SizeLastModified,
    /// Overwrite when the CRC64 differs (Huawei, Alibaba, Tencent).
    #[serde(rename = "CRC64_COMPARISON_OVERWRITE")]
    Crc64,
    /// Always overwrite; wants `acknowledge: [FullOverwrite]`.
    #[serde(rename = "FULL_OVERWRITE")]
    Full,
}

impl OverwriteMode {
    /// As OMS writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoOverwrite => "NO_OVERWRITE",
            Self::SizeLastModified => "SIZE_LAST_MODIFIED_COMPARISON_OVERWRITE",
            Self::Crc64 => "CRC64_COMPARISON_OVERWRITE",
            Self::Full => "FULL_OVERWRITE",
        }
    }
}

/// How OMS checks each copied object (`consistency_check`).
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum ConsistencyCheck {
    /// Size and time of last modification; the default.
    #[default]
    SizeLastModified,
    /// CRC64 (Huawei, Alibaba, Tencent).
    Crc64,
    /// No check; only for URL lists, and it can overwrite whatever the mode: wants `acknowledge: [NoCheck]`.
    NoCheck,
}

impl ConsistencyCheck {
    /// As OMS writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SizeLastModified => "size_last_modified",
            Self::Crc64 => "crc64",
            Self::NoCheck => "no_check",
        }
    }
}

/// Place in OMS's queue (`task_priority`).
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Priority {
    /// Before the others.
    High,
    /// The default.
    #[default]
    Medium,
    /// After the others.
    Low,
}

impl Priority {
    /// As OMS writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::High => "HIGH",
            Self::Medium => "MEDIUM",
            Self::Low => "LOW",
        }
    }
}

/// What deleting the object does to its task at OMS.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeletionPolicy {
    /// Stop and delete the task; the default of the operator's flag.
    #[default]
    Delete,
    /// Leave the task as it is.
    Orphan,
    /// Stop the task and keep its record.
    StopAndKeep,
}

/// What `Ready` means to a sync wave or to `kubectl wait`.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReadyWhen {
    /// When everything is copied; the default.
    #[default]
    Succeeded,
    /// As soon as the task waits or runs at OMS.
    Started,
    /// As `Started`, and also while it is suspended.
    Accepted,
}

/// A costly option that wants an explicit word.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acknowledgement {
    /// `overwriteMode: FULL_OVERWRITE` replaces every object of the same name.
    FullOverwrite,
    /// `consistencyCheck: no_check` can overwrite whatever the mode and verifies nothing.
    NoCheck,
    /// Starting a task with `enableRestore` again restores, and pays for, archived objects again.
    RestoreAgain,
}

/// A daily window with a bandwidth limit. Outside of all windows there is no limit.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = rules::bandwidth_window)]
pub struct BandwidthWindow {
    /// Begin, `hh:mm`, 24-hour clock of the OMS region.
    #[schemars(length(max = 5), regex(pattern = rules::TIME_OF_DAY))]
    pub start: String,
    /// End, `hh:mm`, later than the begin on the same day.
    #[schemars(length(max = 5), regex(pattern = rules::TIME_OF_DAY))]
    pub end: String,
    /// Limit in bytes per second: an integer, or a quantity such as `50Mi`; 1Mi to 200Mi.
    pub max_bandwidth: ByteRate,
}

/// Bytes per second, written as an integer or as a Kubernetes quantity with a suffix `k`, `M`, `G`, `Ki`, `Mi`, `Gi`.
#[derive(Serialize, Clone, Debug, PartialEq, Eq)]
#[serde(transparent)]
pub struct ByteRate(pub String);

impl ByteRate {
    /// The rate in bytes per second; `None` when the text is no such quantity.
    pub fn bytes_per_second(&self) -> Option<u64> {
        let text = self.0.trim();
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, suffix) = text.split_at(digits);
        let factor = match suffix {
            "" => 1,
            "k" => 1_000,
            "M" => 1_000_000,
            "G" => 1_000_000_000,
            "Ki" => 1 << 10,
            "Mi" => 1 << 20,
            "Gi" => 1 << 30,
            _ => return None,
        };
        number.parse::<u64>().ok()?.checked_mul(factor)
    }
}

impl<'de> Deserialize<'de> for ByteRate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Number(u64),
            Text(String),
        }
        Ok(Self(match Written::deserialize(deserializer)? {
            Written::Number(number) => number.to_string(),
            Written::Text(text) => text,
        }))
    }
}

impl JsonSchema for ByteRate {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ByteRate".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "x-kubernetes-int-or-string": true,
            "pattern": "^[0-9]+(k|M|G|Ki|Mi|Gi)?$",
            "maxLength": 12,
            "x-kubernetes-validations": rules::byte_rate()
        })
    }

    fn inline_schema() -> bool {
        true
    }
}
