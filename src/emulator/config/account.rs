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
    /// What every use of it is refused with, besides; for what the emulator has no KMS and no agency to fail with.
    #[serde(default)]
    pub refusal: Option<KmsRefusal>,
    /// Whether the caller may use it; else it is refused with OMS.0214. Default true.
    #[serde(default = "yes")]
    pub permitted: bool,
}

/// How the use of a key of KMS can fail behind the scenes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum KmsRefusal {
    /// OMS.0207: the authorization of OMS could not be verified.
    #[serde(rename = "OMS.0207")]
    Admission,
    /// OMS.0208: a call within the service failed.
    #[serde(rename = "OMS.0208")]
    Interface,
    /// OMS.0209: KMS made no data key.
    #[serde(rename = "OMS.0209")]
    Creation,
    /// OMS.0210: KMS decrypted no data key.
    #[serde(rename = "OMS.0210")]
    Decryption,
    /// OMS.0213: the agency of OMS gave no token.
    #[serde(rename = "OMS.0213")]
    Agency,
    /// OMS.0215: nobody may make data keys with it.
    #[serde(rename = "OMS.0215")]
    CreationNotPermitted,
    /// OMS.0216: nobody may decrypt data keys with it.
    #[serde(rename = "OMS.0216")]
    DecryptionNotPermitted,
}

fn yes() -> bool {
    true
}

fn symmetric() -> String {
    "AES_256".to_owned()
}
