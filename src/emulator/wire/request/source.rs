//! What tasks, groups and sync tasks are told in the same way: how to get into a source, the CDN in front of it, whom
//! to notify.

use std::fmt;

use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};

use crate::emulator::{
    cdn::sign::Scheme,
    clouds::{Cloud, Credentials},
    credentials::{self, Unusable},
    mover::{Keys, optional_secret_text, secret_text},
    stores::StoreAddress,
    wire::{
        members::Members,
        refusal::{CDN_KEY_MISSING, INVALID_SOURCE, Refusal},
    },
};

/// A CDN in front of the source; its key is a secret and kept with the others, in [`TaskKeys`].
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

    /// Reads `source_cdn`: the CDN and its key.
    pub(super) fn read(members: &Members<'_>) -> Result<(Option<Self>, Option<SecretString>), Refusal> {
        let Some(cdn) = members.object("source_cdn")? else { return Ok((None, None)) };
        let authentication_type = cdn.text("authentication_type", 64)?.unwrap_or("NONE").to_ascii_uppercase();
        if Scheme::named(&authentication_type).is_none() {
            return Err(cdn.refuse("authentication_type"));
        }
        let protocol = cdn.required_text("protocol", 8)?.to_ascii_lowercase();
        if !matches!(protocol.as_str(), "http" | "https") {
            return Err(cdn.refuse("protocol"));
        }
        let read =
            Self { domain: cdn.required_text("domain", 1024)?.to_owned(), protocol, authentication_type };
        let key = read_secret(&cdn, "authentication_key")?;
        Self::check_key(Some(&read), key.as_ref())?;
        Ok((Some(read), key))
    }

    /// Whether the key that a request brings is enough for the CDN that there is.
    pub(super) fn check_key(cdn: Option<&Self>, key: Option<&SecretString>) -> Result<(), Refusal> {
        if cdn.is_some_and(Self::needs_key) && key.is_none() { Err(CDN_KEY_MISSING) } else { Ok(()) }
    }
}

/// Whom to tell about the end of a task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notification {
    /// URN of the topic.
    pub topic_urn: String,
    /// `zh-cn` or `en-us`.
    pub language: String,
    /// Name of the message template, if one is used.
    pub template: Option<String>,
    /// Tell about success.
    pub on_success: bool,
    /// Tell about failure.
    pub on_failure: bool,
}

/// How a task gets into the source.
#[derive(Clone, Serialize, Deserialize)]
pub enum SourceKeys {
    /// An access key pair.
    Pair(Keys),
    /// A connection string of Azure.
    ConnectionString(#[serde(with = "secret_text")] SecretString),
    /// The JSON file of a service account of Google.
    ServiceAccount(#[serde(with = "secret_text")] SecretString),
    /// URL lists need none.
    None,
}

impl fmt::Debug for SourceKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SourceKeys([REDACTED])")
    }
}

impl SourceKeys {
    /// The key pair that opens a store.
    pub fn open(&self, store: &StoreAddress) -> Result<Keys, Unusable> {
        let (pair, cause) = match self {
            Self::Pair(pair) => return Ok(pair.clone()),
            Self::ConnectionString(text) => {
                (credentials::connection_string(text.expose_secret())?, "TRF.0161")
            }
            Self::ServiceAccount(text) => (credentials::service_account(text.expose_secret())?, "TRF.0151"),
            Self::None => {
                return Err(Unusable { code: "TRF.0151", message: "The source needs keys and has none" });
            }
        };
        if store.may_accept(&pair) {
            Ok(pair)
        } else {
            Err(Unusable {
                code: cause,
                message: "The store that stands for the cloud does not know the account",
            })
        }
    }
}

/// The secrets that a task runs with.
#[derive(Clone, Serialize, Deserialize)]
pub struct TaskKeys {
    /// For the source.
    pub source: SourceKeys,
    /// For the destination and the list file.
    pub destination: Keys,
    /// For the CDN in front of the source.
    #[serde(default, with = "optional_secret_text")]
    pub cdn: Option<SecretString>,
}

impl fmt::Debug for TaskKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TaskKeys([REDACTED])")
    }
}

/// Clouds that keep a CRC64 with their objects.
pub fn has_crc64(cloud_type: &str) -> bool {
    Cloud::named(cloud_type).is_some_and(|cloud| cloud.has_crc64)
}

/// The credentials that a request brings for a source, before it is known which cloud they are for.
#[derive(Clone, Debug)]
pub(super) struct SourceCredentials {
    pair: Option<Keys>,
    connection_string: Option<SecretString>,
    json_auth_file: Option<SecretString>,
}

impl SourceCredentials {
    /// Reads them from members of these names; a key that is there has at least so many characters. An operation
    /// that takes no temporary keys has no name for a token.
    pub(super) fn read(
        members: &Members<'_>,
        (access, secret, token): (&str, &str, Option<&str>),
        shortest: usize,
    ) -> Result<Self, Refusal> {
        let secret_text = |name: &str, longest: usize| {
            members
                .text(name, longest)
                .map(|text| text.filter(|text| !text.is_empty()).map(SecretString::from))
        };
        Ok(Self {
            pair: read_pair(members, (access, secret, token), shortest)?,
            connection_string: secret_text("connection_string", 2048)?,
            json_auth_file: secret_text("json_auth_file", 65_535)?,
        })
    }

    /// What opens a source of this cloud. Azure and Google may come with a connection string or a service account in
    /// place of a key pair; the tables of the reference forget to say so.
    pub(super) fn keys(&self, cloud_type: &str) -> Result<SourceKeys, Refusal> {
        let other = match Cloud::named(cloud_type).map(|cloud| cloud.credentials) {
            Some(Credentials::None) => return Ok(SourceKeys::None),
            Some(Credentials::ConnectionString) => {
                self.connection_string.clone().map(SourceKeys::ConnectionString)
            }
            Some(Credentials::ServiceAccount) => self.json_auth_file.clone().map(SourceKeys::ServiceAccount),
            Some(Credentials::KeyPair) | None => None,
        };
        other
            .or_else(|| self.pair.clone().map(SourceKeys::Pair))
            .ok_or_else(|| INVALID_SOURCE.with_detail("The credentials of the source are missing."))
    }
}

/// Reads a key pair from members of these names. `None`: half of it, or all, is missing.
pub(super) fn read_pair(
    members: &Members<'_>,
    (access, secret, token): (&str, &str, Option<&str>),
    shortest: usize,
) -> Result<Option<Keys>, Refusal> {
    let read = |name: &str| match members.text(name, 100)? {
        Some(text) if text.chars().count() < shortest => Err(members.refuse(name)),
        text => Ok(text.filter(|text| !text.is_empty())),
    };
    let (access_key, secret_key) = (read(access)?, read(secret)?);
    let security_token = match token {
        Some(token) => members.text(token, 16_384)?.filter(|text| !text.is_empty()),
        None => None,
    };
    Ok(access_key.zip(secret_key).map(|(access_key, secret_key)| Keys {
        access_key: access_key.to_owned(),
        secret_key: SecretString::from(secret_key),
        security_token: security_token.map(SecretString::from),
    }))
}

/// Reads how one set of credentials is to be kept, from members with this prefix: the ID of the KMS key, empty where none
/// is named; `None` for the service's own means.
pub(super) fn read_crypto(members: &Members<'_>, prefix: &str) -> Result<Option<String>, Refusal> {
    let kind = members.word(&format!("{prefix}crypto_type"), &["DEFAULT", "KMS"])?;
    let id = members.text(&format!("{prefix}kms_key_id"), 36)?.unwrap_or_default();
    Ok((kind == Some("KMS")).then(|| id.to_owned()))
}

/// The KMS keys that a start names; see [`read_crypto`].
pub(super) fn read_kms_keys(members: &Members<'_>) -> Result<Vec<String>, Refusal> {
    let keys = ["src_", "dst_", "source_cdn_"].map(|prefix| read_crypto(members, prefix));
    keys.into_iter().filter_map(Result::transpose).collect()
}

/// Reads the key of a CDN.
pub(super) fn read_secret(members: &Members<'_>, name: &str) -> Result<Option<SecretString>, Refusal> {
    Ok(members.text(name, 255)?.filter(|key| !key.is_empty()).map(SecretString::from))
}

impl Notification {
    /// Last part of the topic's URN.
    pub fn topic_name(&self) -> &str {
        self.topic_urn.rsplit(':').next().unwrap_or(&self.topic_urn)
    }

    /// Reads `smn_config`.
    pub(super) fn read(members: &Members<'_>) -> Result<Option<Self>, Refusal> {
        let Some(smn) = members.object("smn_config")? else { return Ok(None) };
        let urn = smn.required_text("topic_urn", 1024)?;
        let language = smn.word("language", &["zh-cn", "en-us"])?.unwrap_or("en-us");
        // No length is documented.
        let template = smn.text("message_template_name", 1024)?.filter(|name| !name.is_empty());
        let triggers = smn
            .texts("trigger_conditions", 2, 16)?
            .filter(|triggers| {
                !triggers.is_empty()
                    && triggers.iter().all(|trigger| matches!(trigger.as_str(), "SUCCESS" | "FAILURE"))
            })
            .ok_or_else(|| smn.refuse("trigger_conditions"))?;
        let on = |name: &str| triggers.iter().any(|trigger| trigger == name);
        Ok(Some(Self {
            topic_urn: urn.to_owned(),
            language: language.to_owned(),
            template: template.map(ToOwned::to_owned),
            on_success: on("SUCCESS"),
            on_failure: on("FAILURE"),
        }))
    }
}
