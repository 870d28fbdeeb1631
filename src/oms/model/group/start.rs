//! What is sent to start a task group again.

use secrecy::{ExposeSecret as _, SecretString};

use super::super::check::{self, Checked};
use super::super::create::exposed;
use super::super::protection::Crypto;
use super::super::start::StartWire;
use super::super::{Body, body};

/// All keys of a group: OMS wants them again for every start and retry, and keeps none (OMS API reference 5.5.6 and
/// 5.5.7). Permanent ones only: groups know no security token.
#[derive(Clone, Debug, Default)]
pub struct GroupKeys {
    /// Access key of the source; not for URL lists.
    pub src_ak: Option<SecretString>,
    /// Secret key of the source; not for URL lists.
    pub src_sk: Option<SecretString>,
    /// Azure: instead of keys.
    pub connection_string: Option<SecretString>,
    /// Google: instead of keys.
    pub json_auth_file: Option<SecretString>,
    /// Access key of the destination.
    pub dst_ak: SecretString,
    /// Secret key of the destination.
    pub dst_sk: SecretString,
    /// The key of the CDN, if the group has one that signs.
    pub source_cdn_authentication_key: Option<SecretString>,
    /// How OMS keeps the source's keys.
    pub src_crypto: Option<Crypto>,
    /// How OMS keeps the destination's keys.
    pub dst_crypto: Option<Crypto>,
    /// How OMS keeps the key of the CDN.
    pub source_cdn_crypto: Option<Crypto>,
}

/// A stopped group to start again (OMS API reference 5.5.6).
#[derive(Clone, Debug, Default)]
pub struct StartTaskGroup {
    /// Its keys.
    pub keys: GroupKeys,
}

/// A failed group to run again (OMS API reference 5.5.7).
#[derive(Clone, Debug, Default)]
pub struct RetryTaskGroup {
    /// Its keys.
    pub keys: GroupKeys,
    /// Only the objects that failed, which have to be on record; else all, where objects already there are skipped by the
    /// overwrite rule.
    pub migrate_failed_object: bool,
}

impl GroupKeys {
    fn check(&self) -> Checked {
        check::secrets_filled(&[
            ("src_ak", self.src_ak.as_ref()),
            ("src_sk", self.src_sk.as_ref()),
            ("dst_ak", Some(&self.dst_ak)),
            ("dst_sk", Some(&self.dst_sk)),
        ])
    }

    fn body(&self, migrate_failed_object: Option<bool>) -> Body {
        let [src_crypto, dst_crypto, source_cdn_crypto] =
            [&self.src_crypto, &self.dst_crypto, &self.source_cdn_crypto].map(Option::as_ref);
        body(&StartWire {
            src_ak: exposed(self.src_ak.as_ref()),
            src_sk: exposed(self.src_sk.as_ref()),
            connection_string: exposed(self.connection_string.as_ref()),
            json_auth_file: exposed(self.json_auth_file.as_ref()),
            dst_ak: self.dst_ak.expose_secret(),
            dst_sk: self.dst_sk.expose_secret(),
            source_cdn_authentication_key: exposed(self.source_cdn_authentication_key.as_ref()),
            src_crypto_type: Crypto::kind(src_crypto),
            src_kms_key_id: Crypto::key(src_crypto),
            dst_crypto_type: Crypto::kind(dst_crypto),
            dst_kms_key_id: Crypto::key(dst_crypto),
            source_cdn_crypto_type: Crypto::kind(source_cdn_crypto),
            source_cdn_kms_key_id: Crypto::key(source_cdn_crypto),
            migrate_failed_object,
            ..StartWire::default()
        })
    }

    fn secrets(&self) -> Vec<&SecretString> {
        let optional = [
            &self.src_ak,
            &self.src_sk,
            &self.connection_string,
            &self.json_auth_file,
            &self.source_cdn_authentication_key,
        ];
        optional.into_iter().flatten().chain([&self.dst_ak, &self.dst_sk]).collect()
    }
}

impl StartTaskGroup {
    /// What would make OMS do something else than was meant.
    pub(in crate::oms) fn check(&self) -> Checked {
        self.keys.check()
    }

    /// The request body, keys included.
    pub(in crate::oms) fn body(&self) -> Body {
        self.keys.body(None)
    }

    /// Everything in the request that must never be printed.
    pub(in crate::oms) fn secrets(&self) -> Vec<&SecretString> {
        self.keys.secrets()
    }
}

impl RetryTaskGroup {
    /// What would make OMS do something else than was meant.
    pub(in crate::oms) fn check(&self) -> Checked {
        self.keys.check()
    }

    /// The request body, keys included.
    pub(in crate::oms) fn body(&self) -> Body {
        self.keys.body(Some(self.migrate_failed_object))
    }

    /// Everything in the request that must never be printed.
    pub(in crate::oms) fn secrets(&self) -> Vec<&SecretString> {
        self.keys.secrets()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn keys() -> GroupKeys {
        GroupKeys {
            src_ak: Some("planted-1".into()),
            src_sk: Some("planted-2".into()),
            connection_string: Some("planted-3".into()),
            json_auth_file: Some("planted-4".into()),
            dst_ak: "planted-5".into(),
            dst_sk: "planted-6".into(),
            source_cdn_authentication_key: Some("planted-7".into()),
            src_crypto: Some(Crypto { crypto_type: "KMS".into(), kms_key_id: Some("key-1".into()) }),
            dst_crypto: Some(Crypto { crypto_type: "DEFAULT".into(), kms_key_id: None }),
            source_cdn_crypto: None,
        }
    }

    #[test]
    fn a_start_and_a_retry_send_all_keys_and_only_a_retry_which_objects() {
        let (start, retry) =
            (StartTaskGroup { keys: keys() }, RetryTaskGroup { keys: keys(), migrate_failed_object: false });
        let mut expected = json!({
            "src_ak": "planted-1", "src_sk": "planted-2", "connection_string": "planted-3",
            "json_auth_file": "planted-4", "dst_ak": "planted-5", "dst_sk": "planted-6",
            "source_cdn_authentication_key": "planted-7", "src_crypto_type": "KMS", "src_kms_key_id": "key-1",
            "dst_crypto_type": "DEFAULT",
        });
        assert_eq!(serde_json::from_slice::<Value>(&start.body()).unwrap(), expected);
        expected["migrate_failed_object"] = false.into();
        assert_eq!(serde_json::from_slice::<Value>(&retry.body()).unwrap(), expected);
        for secrets in [start.secrets(), retry.secrets()] {
            let secrets: Vec<_> = secrets.iter().map(|secret| secret.expose_secret()).collect();
            assert_eq!(secrets.len(), 7);
            for number in 1..=7 {
                assert!(secrets.contains(&format!("planted-{number}").as_str()), "{number}");
            }
        }
        assert!(!format!("{start:?} {retry:?}").contains("planted"));
        assert_eq!((start.check(), retry.check()), (Ok(()), Ok(())));
    }

    #[test]
    fn empty_keys_are_not_sent() {
        let start = StartTaskGroup { keys: GroupKeys { dst_sk: "".into(), ..keys() } };
        assert_eq!(start.check().unwrap_err().field, "dst_sk");
        let retry = RetryTaskGroup::default();
        assert_eq!(retry.check().unwrap_err().field, "dst_ak");
    }
}
