//! What the account has beside buckets: topics of SMN and keys of KMS.

use serde::Deserialize;

/// A topic of Simple Message Notification.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SmnTopic {
    /// Its URN: `urn:smn:REGION:PROJECT:NAME`.
    pub urn: String,
    /// Whether OMS may publish to it; without leave a create is refused with OMS.0158. Default true.
    #[serde(default = "yes")]
    pub authorized: bool,
    /// Code that every notification to it fails with at the end of a task, such as `S3M.0156`.
    #[serde(default)]
    pub delivery_error: Option<String>,
}

/// A key of the Key Management Service.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KmsKey {
    /// Its ID: 36 characters.
    pub id: String,
    /// Whether it is enabled; else it is refused with OMS.0211. Default true.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// What it is for: `AES_256` or `SM4` will do, any other is refused with OMS.0217. Default `AES_256`.
    #[serde(default = "symmetric")]
    pub algorithm: String,
    /// Whether the caller may use it; else it is refused with OMS.0214. Default true.
    #[serde(default = "yes")]
    pub permitted: bool,
}

fn yes() -> bool {
    true
}

fn symmetric() -> String {
    "AES_256".to_owned()
}
