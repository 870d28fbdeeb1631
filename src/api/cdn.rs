//! A CDN in front of a source bucket, which every kind that reads from a bucket can have.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Crypto, SecretKeyRef, rules};

/// A CDN in front of the source bucket (`source_cdn`): OMS lists the bucket, but fetches the objects from the CDN's
/// domain.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = rules::cdn)]
pub struct Cdn {
    /// Domain of the CDN, without scheme and path. Frozen.
    #[schemars(length(min = 1, max = 1024))]
    pub domain: String,
    /// How OMS speaks to the CDN. Frozen.
    pub protocol: CdnProtocol,
    /// How requests to the CDN are signed. Frozen.
    #[serde(default)]
    pub authentication_type: CdnAuthentication,
    /// The key that requests are signed with. `ALIYUN_OSS_*` need one, `AZURE_SAS_TOKEN` and `TENCENT_COS_*` as a rule
    /// do (OMS does not say), the others have none. Next start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "CdnKey")]
    pub authentication_key: Option<CdnKey>,
    /// How OMS keeps the key. Next start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Crypto")]
    pub crypto: Option<Crypto>,
}

/// Where the key of a CDN comes from. Read at the moment of use, never kept.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct CdnKey {
    /// The Secret with the key.
    pub secret_ref: SecretKeyRef,
}

/// How OMS speaks to a CDN (`source_cdn.protocol`).
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum CdnProtocol {
    /// Plain HTTP.
    Http,
    /// HTTPS.
    Https,
}

impl CdnProtocol {
    /// As OMS writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// How requests to a CDN are signed (OMS API reference 5.3.3, `source_cdn.authentication_type`). It need not be the
/// way of the source's own cloud.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CdnAuthentication {
    /// Not at all; the default.
    #[default]
    #[serde(rename = "NONE")]
    None,
    /// Qiniu: signed URL; no key is given.
    #[serde(rename = "QINIU_PRIVATE_AUTHENTICATION")]
    Qiniu,
    /// Alibaba Cloud, type A: signature in the URL.
    #[serde(rename = "ALIYUN_OSS_A")]
    AliyunA,
    /// Alibaba Cloud, type B: by OMS's documents a signature in a header.
    #[serde(rename = "ALIYUN_OSS_B")]
    AliyunB,
    /// Alibaba Cloud, type C: by OMS's documents a temporary token.
    #[serde(rename = "ALIYUN_OSS_C")]
    AliyunC,
    /// Kingsoft Cloud: signed URL; no key is given.
    #[serde(rename = "KSYUN_PRIVATE_AUTHENTICATION")]
    Ksyun,
    /// Microsoft Azure: shared access signature.
    #[serde(rename = "AZURE_SAS_TOKEN")]
    AzureSasToken,
    /// Tencent Cloud, type A: by OMS's documents a signature for many uses, not recommended.
    #[serde(rename = "TENCENT_COS_A")]
    TencentA,
    /// Tencent Cloud, type B: by OMS's documents a signature for one use.
    #[serde(rename = "TENCENT_COS_B")]
    TencentB,
    /// Tencent Cloud, type C: by OMS's documents a signature in a header.
    #[serde(rename = "TENCENT_COS_C")]
    TencentC,
    /// Tencent Cloud, type D: by OMS's documents a signature in a header.
    #[serde(rename = "TENCENT_COS_D")]
    TencentD,
}

impl CdnAuthentication {
    /// As OMS writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "NONE",
            Self::Qiniu => "QINIU_PRIVATE_AUTHENTICATION",
            Self::AliyunA => "ALIYUN_OSS_A",
            Self::AliyunB => "ALIYUN_OSS_B",
            Self::AliyunC => "ALIYUN_OSS_C",
            Self::Ksyun => "KSYUN_PRIVATE_AUTHENTICATION",
            Self::AzureSasToken => "AZURE_SAS_TOKEN",
            Self::TencentA => "TENCENT_COS_A",
            Self::TencentB => "TENCENT_COS_B",
            Self::TencentC => "TENCENT_COS_C",
            Self::TencentD => "TENCENT_COS_D",
        }
    }

    /// Whether a key goes with it although OMS's documents do not insist on one.
    pub fn may_want_key(self) -> bool {
        matches!(
            self,
            Self::AzureSasToken | Self::TencentA | Self::TencentB | Self::TencentC | Self::TencentD
        )
    }
}
