//! Keys of KMS that credentials are to be kept with. The emulator encrypts nothing with them; it answers as the service
//! does when a key cannot be used.

use super::{
    config::KmsRefusal,
    service::Service,
    wire::refusal::{
        ADMISSION_FAILED, AGENCY_TOKEN_MISSING, INTERFACE_FAILED, KMS_CREATION_FAILED,
        KMS_CREATION_NOT_PERMITTED, KMS_DECRYPTION_FAILED, KMS_DECRYPTION_NOT_PERMITTED, KMS_KEY_ASYMMETRIC,
        KMS_KEY_MISSING, KMS_KEY_NOT_PERMITTED, KMS_KEY_STATE, Refusal,
    },
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
            if let Some(refusal) = key.refusal {
                return Err(refusal.refusal());
            }
        }
        Ok(())
    }
}

impl KmsRefusal {
    /// What a call with the key is answered with.
    fn refusal(self) -> Refusal {
        match self {
            Self::Admission => ADMISSION_FAILED,
            Self::Interface => INTERFACE_FAILED,
            Self::Creation => KMS_CREATION_FAILED,
            Self::Decryption => KMS_DECRYPTION_FAILED,
            Self::Agency => AGENCY_TOKEN_MISSING,
            Self::CreationNotPermitted => KMS_CREATION_NOT_PERMITTED,
            Self::DecryptionNotPermitted => KMS_DECRYPTION_NOT_PERMITTED,
        }
    }
}
