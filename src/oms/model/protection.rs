//! How objects are fetched through a CDN, and how OMS keeps the keys it was given.

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::create::exposed;
use super::lenient;

/// How OMS keeps a set of keys until the migration ends (OMS API reference 5.3.3, `crypto_type` and `kms_key_id`). It says
/// nothing about the objects.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Crypto {
    /// `DEFAULT` or `KMS`.
    pub crypto_type: String,
    /// With `KMS`: ID of a symmetric key, 36 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kms_key_id: Option<String>,
}

impl Crypto {
    pub(super) fn kind(crypto: Option<&Self>) -> Option<&str> {
        crypto.map(|crypto| crypto.crypto_type.as_str())
    }

    pub(super) fn key(crypto: Option<&Self>) -> Option<&str> {
        crypto.and_then(|crypto| crypto.kms_key_id.as_deref())
    }
}

/// A CDN to fetch the objects of a source bucket through (OMS API reference 5.3.3, `source_cdn`).
#[derive(Clone, Debug, Default)]
pub struct SourceCdn {
    /// Domain of the CDN.
    pub domain: String,
    /// `http` or `https`.
    pub protocol: String,
    /// `NONE`, `QINIU_PRIVATE_AUTHENTICATION`, `ALIYUN_OSS_A` to `_C`, `KSYUN_PRIVATE_AUTHENTICATION`, `AZURE_SAS_TOKEN`
    /// or `TENCENT_COS_A` to `_D`.
    pub authentication_type: String,
    /// Key the CDN's addresses are signed with, up to 255 characters; not used for `NONE`, Qiniu and Kingsoft.
    pub authentication_key: Option<SecretString>,
    /// How OMS keeps that key.
    pub crypto: Option<Crypto>,
}

impl SourceCdn {
    /// As it is sent, key included.
    pub(super) fn wire(&self) -> SourceCdnWire<'_> {
        SourceCdnWire {
            domain: &self.domain,
            protocol: &self.protocol,
            authentication_type: &self.authentication_type,
            authentication_key: exposed(self.authentication_key.as_ref()),
            crypto: self.crypto.as_ref(),
        }
    }
}

#[derive(Serialize)]
pub(super) struct SourceCdnWire<'a> {
    domain: &'a str,
    protocol: &'a str,
    authentication_type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    authentication_key: Option<&'a str>,
    #[serde(flatten)]
    crypto: Option<&'a Crypto>,
}

/// The CDN of a task, group or sync task, without its key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct SourceCdnSummary {
    /// Domain of the CDN.
    #[serde(default, deserialize_with = "lenient::text")]
    pub domain: String,
    /// `http` or `https`, in either case.
    #[serde(default, deserialize_with = "lenient::text")]
    pub protocol: String,
    /// How its addresses are signed; the service leaves it out at times.
    #[serde(default, deserialize_with = "lenient::optional_text")]
    pub authentication_type: Option<String>,
}
