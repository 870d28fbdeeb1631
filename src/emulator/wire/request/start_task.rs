//! StartTask.

use secrecy::SecretString;
use serde_json::Value;

use super::{
    Definition, TaskKeys,
    source::{Cdn, SourceCredentials, read_kms_keys, read_pair, read_secret},
};
use crate::emulator::{
    mover::Keys,
    wire::{members::Members, refusal::Refusal},
};

/// Body of StartTask.
#[derive(Clone, Debug)]
pub struct StartTask {
    source: SourceCredentials,
    /// Destination keys.
    pub destination: Keys,
    cdn: Option<SecretString>,
    /// Only the failed objects again.
    pub migrate_failed_object: bool,
    /// KMS keys that the credentials are to be kept with.
    pub kms_keys: Vec<String>,
}

impl StartTask {
    /// Reads a request.
    pub fn read(body: &Value) -> Result<Self, Refusal> {
        let members = Members::of(body)?;
        members.required_text("dst_ak", 100)?;
        members.required_text("dst_sk", 100)?;
        Ok(Self {
            source: SourceCredentials::read(&members, ("src_ak", "src_sk", Some("src_security_token")), 1)?,
            destination: read_pair(&members, ("dst_ak", "dst_sk", Some("dst_security_token")), 1)?
                .ok_or_else(|| members.refuse("dst_ak"))?,
            cdn: read_secret(&members, "source_cdn_authentication_key")?,
            migrate_failed_object: members.flag("migrate_failed_object", false)?,
            kms_keys: read_kms_keys(&members)?,
        })
    }

    /// The secrets for a task of this definition; they all have to come again.
    pub fn keys_for(&self, definition: &Definition) -> Result<TaskKeys, Refusal> {
        Cdn::check_key(definition.cdn.as_ref(), self.cdn.as_ref())?;
        Ok(TaskKeys {
            source: self.source.keys(&definition.cloud_type)?,
            destination: self.destination.clone(),
            cdn: self.cdn.clone(),
        })
    }
}
