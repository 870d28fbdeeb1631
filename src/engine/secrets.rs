//! Bucket keys: read with `get` at the moment of use, never kept.

use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, ResourceExt};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

use super::Error;
use super::kubernetes::bounded;
use crate::api::conditions::Reason;
use crate::api::{BucketCredentials, Cdn, CloudType, Crypto, ObservedCredentials, SecretKeys, SecretRef};
use crate::plan::situation::whole_seconds;

/// Keys of a bucket.
#[derive(Clone, Debug)]
pub(super) enum BucketKeys {
    /// Access key and secret key, and a security token when they are temporary.
    Pair { access_key: SecretString, secret_key: SecretString, security_token: Option<SecretString> },
    /// Azure.
    ConnectionString(SecretString),
    /// Google.
    JsonAuthFile(SecretString),
}

/// Why keys cannot be used: the reason and what to do.
pub(super) type Missing = (Reason, String);

/// Keys with what status tells of them.
pub(super) struct Read<K> {
    pub(super) keys: K,
    pub(super) observed: ObservedCredentials,
}

impl BucketKeys {
    fn parts(&self) -> Vec<&SecretString> {
        match self {
            Self::Pair { access_key, secret_key, security_token } => {
                [access_key, secret_key].into_iter().chain(security_token).collect()
            }
            Self::ConnectionString(text) | Self::JsonAuthFile(text) => vec![text],
        }
    }

    /// Whether they end by themselves.
    pub(super) fn are_temporary(&self) -> bool {
        matches!(self, Self::Pair { security_token: Some(_), .. })
    }

    /// The digest that status tells, [`digest`].
    pub(super) fn digest(&self, crypto: Option<&Crypto>, salt: &str) -> String {
        digest(self.parts(), crypto, salt)
    }
}

/// A truncated digest under a key of its own per object, so that equal keys of two objects do not show. Another KMS
/// key is another digest, as it counts from the next start on, like another key of the bucket.
fn digest<'a>(
    parts: impl IntoIterator<Item = &'a SecretString>,
    crypto: Option<&'a Crypto>,
    salt: &str,
) -> String {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(salt.as_bytes()) else { return String::new() };
    let kms = crypto.and_then(|crypto| crypto.kms_key_id.as_deref());
    for part in parts.into_iter().map(ExposeSecret::expose_secret).chain(kms) {
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part.as_bytes());
    }
    data_encoding::HEXLOWER.encode(&mac.finalize().into_bytes()[..8])
}

/// Gets a Secret; `None` when it does not exist.
pub(super) async fn get(client: &kube::Client, namespace: &str, name: &str) -> Result<Option<Secret>, Error> {
    let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
    bounded(api.get_opt(name), |source| Error::Read { what: "a Secret", source }).await
}

/// What the keys of a bucket are read for.
#[derive(Clone, Copy)]
pub(super) struct Purpose<'a> {
    /// `source` or `destination`.
    pub(super) role: &'a str,
    /// Where the spec names the Secret.
    pub(super) field: &'a str,
    /// Key of the digest.
    pub(super) salt: &'a str,
    /// Now: keys that have ended are not sent.
    pub(super) now: Timestamp,
}

/// Reads the keys of a bucket.
pub(super) async fn read_bucket(
    client: &kube::Client,
    namespace: &str,
    credentials: &BucketCredentials,
    cloud: CloudType,
    Purpose { role, field, salt, now }: Purpose<'_>,
) -> Result<Result<Read<BucketKeys>, Missing>, Error> {
    let reference = &credentials.secret_ref;
    let Some(secret) = get(client, namespace, &reference.name).await? else {
        return Ok(Err(not_found(&reference.name, field)));
    };
    let keys = SecretKeys::clone(reference.keys.as_ref().unwrap_or(&SecretKeys::default()));
    let value = |name: &Option<String>, default: &str| value(&secret, name.as_deref().unwrap_or(default));
    let lacks = |name: &Option<String>, default: &str| {
        lacks(&reference.name, name.as_deref().unwrap_or(default), field)
    };
    let found = match cloud {
        CloudType::Azure => match value(&keys.connection_string, "connectionString") {
            Some(text) => BucketKeys::ConnectionString(text),
            None => return Ok(Err(lacks(&keys.connection_string, "connectionString"))),
        },
        CloudType::Google => match value(&keys.json_auth_file, "jsonAuthFile") {
            Some(text) => BucketKeys::JsonAuthFile(text),
            None => return Ok(Err(lacks(&keys.json_auth_file, "jsonAuthFile"))),
        },
        _ => {
            let Some(access_key) = value(&keys.access_key, "accessKey") else {
                return Ok(Err(lacks(&keys.access_key, "accessKey")));
            };
            let Some(secret_key) = value(&keys.secret_key, "secretKey") else {
                return Ok(Err(lacks(&keys.secret_key, "secretKey")));
            };
            let security_token = value(&keys.security_token, "securityToken");
            if security_token.is_none() && keys.security_token.is_some() {
                return Ok(Err(lacks(&keys.security_token, "securityToken")));
            }
            BucketKeys::Pair { access_key, secret_key, security_token }
        }
    };
    let end = if found.are_temporary() { end_of(&secret, reference, field, now) } else { Ok(None) };
    let expires_at = match end {
        Ok(end) => end,
        Err(missing) => return Ok(Err(missing)),
    };
    let observed = ObservedCredentials {
        role: role.to_owned(),
        secret_name: reference.name.clone(),
        resource_version: secret.resource_version().unwrap_or_default(),
        digest: found.digest(credentials.crypto.as_ref(), salt),
        expires_at: expires_at.map(whole_seconds),
    };
    Ok(Ok(Read { keys: found, observed }))
}

/// Where the spec names the Secret with the key of a CDN.
const CDN_FIELD: &str = "source.cdn.authenticationKey.secretRef";
/// The key in that Secret, when the spec names none.
const CDN_KEY: &str = "authenticationKey";

/// Reads the key of a CDN; `None` where the spec names none.
pub(super) async fn read_cdn(
    client: &kube::Client,
    namespace: &str,
    cdn: &Cdn,
    salt: &str,
) -> Result<Result<Option<Read<SecretString>>, Missing>, Error> {
    let Some(key) = &cdn.authentication_key else { return Ok(Ok(None)) };
    let reference = &key.secret_ref;
    let Some(secret) = get(client, namespace, &reference.name).await? else {
        return Ok(Err(not_found(&reference.name, CDN_FIELD)));
    };
    let name = reference.key.as_deref().unwrap_or(CDN_KEY);
    let Some(found) = value(&secret, name) else {
        let message = format!(
            "Secret `{}`, named by `{CDN_FIELD}`, has no usable value under the key `{name}`. \
             Add it, or name its key in `{CDN_FIELD}.key`; the operator looks again by itself",
            reference.name
        );
        return Ok(Err((Reason::SecretKeyMissing, message)));
    };
    let observed = ObservedCredentials {
        role: "cdn".to_owned(),
        secret_name: reference.name.clone(),
        resource_version: secret.resource_version().unwrap_or_default(),
        digest: digest([&found], cdn.crypto.as_ref(), salt),
        expires_at: None,
    };
    Ok(Ok(Some(Read { keys: found, observed })))
}

/// A value of a Secret as text, without the line end that editors leave.
pub(super) fn value(secret: &Secret, key: &str) -> Option<SecretString> {
    let bytes = secret.data.as_ref()?.get(key)?;
    let text = std::str::from_utf8(&bytes.0).ok()?.trim_end_matches(['\r', '\n']);
    (!text.is_empty()).then(|| SecretString::from(text))
}

/// When the temporary keys of a Secret end; `None`: it does not say. Keys that have ended are as good as none.
pub(super) fn end_of(
    secret: &Secret,
    reference: &SecretRef,
    field: &str,
    now: Timestamp,
) -> Result<Option<Timestamp>, Missing> {
    let name = &reference.name;
    let named = reference.keys.as_ref().and_then(|keys| keys.expiration.as_deref());
    let key = named.unwrap_or("expiration");
    match value(secret, key).map(|text| text.expose_secret().trim().parse::<Timestamp>()) {
        None if named.is_none() => Ok(None),
        Some(Ok(end)) if end <= now => {
            let message = format!(
                "Secret `{name}`, named by `{field}`, holds temporary keys that ended at {end:.0}. Put new ones into it; the \
                 operator looks again by itself"
            );
            Err((Reason::TemporaryKeysEnded, message))
        }
        Some(Ok(end)) => Ok(Some(end)),
        None | Some(Err(_)) => {
            let message = format!(
                "Secret `{name}`, named by `{field}`, has no moment under the key `{key}`. Write when the temporary keys end as \
                 `2026-12-01T08:00:00Z`; the operator looks again by itself"
            );
            Err((Reason::SecretKeyMissing, message))
        }
    }
}

/// The words for a Secret that does not exist.
pub(super) fn not_found(name: &str, field: &str) -> Missing {
    let message = format!(
        "Secret `{name}`, named by `{field}`, does not exist. Create it; the operator looks again by itself"
    );
    (Reason::SecretNotFound, message)
}

/// The words for a Secret with temporary keys where OMS takes none.
pub(super) fn temporary(kind: &str, reference: &SecretRef, field: &str) -> Missing {
    let keys = reference.keys.as_ref();
    let key = keys.and_then(|keys| keys.security_token.as_deref()).unwrap_or("securityToken");
    let message = format!(
        "Secret `{}`, named by `{field}`, holds temporary keys (a security token under the key `{key}`), and OMS takes \
         permanent ones only for a {kind}. Put a permanent access key into the Secret and remove the token; the operator \
         looks again by itself",
        reference.name
    );
    (Reason::TemporaryKeysNotAllowed, message)
}

/// The words for a Secret without a key.
pub(super) fn lacks(name: &str, key: &str, field: &str) -> Missing {
    let message = format!(
        "Secret `{name}`, named by `{field}`, has no usable value under the key `{key}`. \
         Add it, or name its key in `{field}.keys`; the operator looks again by itself"
    );
    (Reason::SecretKeyMissing, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::CryptoType;

    #[test]
    fn another_kms_key_is_as_good_as_another_key() {
        let keys = |secret: &str| BucketKeys::Pair {
            access_key: "a".into(),
            secret_key: secret.into(),
            security_token: None,
        };
        let kms = |id: &str| Crypto { crypto_type: CryptoType::Kms, kms_key_id: Some(id.into()) };
        let default = Crypto { crypto_type: CryptoType::Default, kms_key_id: None };
        let (one, salt) = (keys("s"), "salt");
        assert_eq!(one.digest(None, salt), one.digest(Some(&default), salt), "that is what OMS does anyway");
        assert_ne!(one.digest(None, salt), one.digest(Some(&kms("1")), salt));
        assert_ne!(one.digest(Some(&kms("1")), salt), one.digest(Some(&kms("2")), salt));
        assert_ne!(one.digest(None, salt), keys("t").digest(None, salt));
        assert_ne!(one.digest(None, salt), one.digest(None, "pepper"));
    }
}
