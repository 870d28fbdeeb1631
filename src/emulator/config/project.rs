//! Projects, and the keys that open them.

use secrecy::SecretString;
use serde::{Deserialize, Deserializer};

use super::identity::User;

/// A project of the emulated account.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Project {
    /// The ID that stands in the paths.
    pub id: String,
    /// The name, as IAM lists it. Default: the region.
    #[serde(default)]
    pub name: Option<String>,
    /// The region whose endpoint this project is called at. Destinations must lie in it.
    pub region: String,
    /// The account that IAM names as the owner. Default: one made-up account for all projects.
    #[serde(default)]
    pub domain_id: Option<String>,
    /// How the account stands. Whatever changes something is refused for one that does not stand well. Default: normal.
    #[serde(default)]
    pub account: AccountState,
    /// The key pairs that may sign calls for this project. One pair may serve several projects.
    pub access_keys: Vec<AccessKey>,
    /// The users who may log in for this project.
    #[serde(default)]
    pub users: Vec<User>,
}

impl Project {
    /// The name, as IAM lists it.
    pub fn name(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.region)
    }
}

/// How an account stands with the cloud.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum AccountState {
    /// Well.
    #[default]
    Normal,
    /// It is restricted, as for a lack of balance: OMS.0201.
    Restricted,
    /// It is frozen: OMS.0202.
    Frozen,
    /// Its holder has to confirm who they are: OMS.0203.
    Unvalidated,
    /// It has not passed real-name authentication: OMS.0204.
    Unverified,
}

/// An access key and its secret.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AccessKey {
    /// The access key ID.
    pub access: String,
    /// The secret key.
    #[serde(deserialize_with = "secret")]
    pub secret: SecretString,
    /// Makes the pair a temporary one: calls must carry this token in `X-Security-Token`.
    #[serde(default, deserialize_with = "optional_secret")]
    pub security_token: Option<SecretString>,
}

pub(super) fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SecretString, D::Error> {
    String::deserialize(deserializer).map(SecretString::from)
}

pub(super) fn optional_secret<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<SecretString>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.map(SecretString::from))
}
