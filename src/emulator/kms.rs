//! Keys of KMS that credentials are to be kept with. The emulator encrypts nothing with them; it answers as the service
//! does when a key cannot be used.

use super::{
    service::Service,
    wire::refusal::{KMS_KEY_ASYMMETRIC, KMS_KEY_MISSING, KMS_KEY_NOT_PERMITTED, KMS_KEY_STATE, Refusal},
};

impl Service {
    /// Whether the keys that a request names can be used; an empty ID stands for a request that names none. Without keys
    /// in the configuration every one can.
    pub fn check_kms_keys(&self, ids: &[String]) -> Result<(), Refusal> {
        let Some(keys) = &self.config.kms_keys else { return Ok(()) };
        for id in ids {
            let key = keys.iter().find(|key| key.id == *id).ok_or(KMS_KEY_MISSING)?;
            if !key.permitted {
                return Err(KMS_KEY_NOT_PERMITTED);
            }
            if !key.enabled {
                return Err(KMS_KEY_STATE);
            }
            if !matches!(key.algorithm.as_str(), "AES_256" | "SM4") {
                return Err(KMS_KEY_ASYMMETRIC);
            }
        }
        Ok(())
    }
}
