//! Whom a connection calls OMS as: keys or a login from its Secret, or what the operator finds around itself.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use secrecy::{ExposeSecret as _, SecretString};

use super::AnyConnection;
use super::connect::{Place, refuse, refused};
use crate::api::conditions::Reason;
use crate::api::{ConnectionKind, ConnectionSpec, CredentialsSource, CredentialsStatus, SecretRef};
use crate::engine::secrets::{self, BucketKeys};
use crate::engine::session::OwnKeys;
use crate::engine::{AmbientUse, Engine, Error};
use crate::oms::{self, AmbientSource, Credentials, Login, Scope, Source};
use crate::plan::connection::Refusal;

const FIELD: &str = "spec.credentials.secretRef";

/// What a connection proves itself with.
pub(super) struct Identity {
    pub(super) credentials: Credentials,
    /// Name and version of the Secret.
    pub(super) secret: Option<(String, String)>,
    /// The connection's own keys as keys of a bucket, when they are permanent.
    pub(super) bucket_keys: Option<OwnKeys>,
}

impl Identity {
    /// Where it comes from, as status names it.
    pub(super) fn source(&self) -> &'static str {
        name_of(self.credentials.source())
    }

    /// What status says of it.
    pub(super) fn status(&self) -> CredentialsStatus {
        CredentialsStatus {
            source: self.source().to_owned(),
            secret_name: self.secret.as_ref().map(|(name, _)| name.clone()),
            valid_until: valid_until(&self.credentials),
        }
    }
}

/// A source as status names it.
fn name_of(source: Source) -> &'static str {
    match source {
        Source::Keys => "Secret",
        Source::Token => "Token",
        Source::Oidc => "OIDC",
        Source::PodIdentity => "PodIdentity",
        Source::Metadata => "Metadata",
    }
}

/// When credentials end, in whole seconds.
pub(super) fn valid_until(credentials: &Credentials) -> Option<Time> {
    let end = credentials.valid_until()?;
    Timestamp::from_second(end.as_second()).ok().map(Time)
}

impl Engine {
    /// Finds out whom a connection calls as. Only a Secret is read; nothing is sent yet.
    pub(super) async fn identify<K: AnyConnection>(
        &self,
        connection: &K,
        home: &str,
        settings: &oms::Settings,
    ) -> Result<Result<Identity, Refusal>, Error> {
        let spec = connection.connection();
        let Some(reference) = &spec.credentials.secret_ref else {
            return Ok(self.ambient(K::KIND, spec));
        };
        let Some(secret) = secrets::get(&self.client, home, &reference.name).await? else {
            let (reason, message) = secrets::not_found(&reference.name, FIELD);
            return Ok(Err(refuse(reason, message)));
        };
        Ok(self.read_secret(spec, reference, &secret, settings))
    }

    fn read_secret(
        &self,
        spec: &ConnectionSpec,
        reference: &SecretRef,
        secret: &Secret,
        settings: &oms::Settings,
    ) -> Result<Identity, Refusal> {
        let version = secret.resource_version().unwrap_or_default();
        let named = Some((reference.name.clone(), version.clone()));
        if !wants_password(reference, secret) {
            let (credentials, keys) = own_keys(reference, secret, self.clock.now())?;
            let own = |keys| OwnKeys { keys, secret: reference.name.clone(), version: version.clone() };
            let bucket_keys = (!credentials.is_temporary()).then(|| own(keys));
            return Ok(Identity { credentials, secret: named, bucket_keys });
        }
        let read = |key: &Option<String>, default: &str| read(reference, secret, key.as_deref(), default);
        let names = reference.keys.clone().unwrap_or_default();
        let login = Login {
            username: read(&names.username, "username")?.expose_secret().to_owned(),
            password: read(&names.password, "password")?,
            domain_name: read(&names.domain_name, "domainName")?.expose_secret().to_owned(),
            scope: match &spec.project_id {
                Some(id) => Scope::Project(id.clone()),
                None => Scope::Region(spec.region.clone()),
            },
        };
        let iam = self.iam_endpoint(spec)?;
        let settings = oms::Settings { endpoint: iam, ..settings.clone() };
        let credentials =
            Credentials::password(settings, login).map_err(|error| refused(&error, Place::Iam, spec))?;
        Ok(Identity { credentials, secret: named, bucket_keys: None })
    }

    /// What the operator finds around itself, where this kind may use it.
    fn ambient(&self, kind: ConnectionKind, spec: &ConnectionSpec) -> Result<Identity, Refusal> {
        let allowed = match self.settings.ambient_use {
            AmbientUse::Nobody => false,
            AmbientUse::ClusterConnections => kind == ConnectionKind::ClusterConnection,
            AmbientUse::All => true,
        };
        if !allowed {
            let flag = match kind {
                ConnectionKind::Connection => "all",
                ConnectionKind::ClusterConnection => "cluster",
            };
            let message = format!(
                "`spec.credentials.source` asks for the operator's own credentials, which a {kind} may not use here. \
                 Name a Secret in `{FIELD}`, or ask the operator's administrator for `--ambient-credentials={flag}`"
            );
            return Err(Refusal { reason: Reason::AmbientCredentialsNotAllowed, message, hopeless: true });
        }
        let wanted = match spec.credentials.source {
            Some(CredentialsSource::OIDC) => Some(AmbientSource::Oidc),
            Some(CredentialsSource::PodIdentity) => Some(AmbientSource::PodIdentity),
            Some(CredentialsSource::Metadata) => Some(AmbientSource::Metadata),
            Some(CredentialsSource::Ambient) | None => None,
        };
        let around = &self.settings.ambient;
        let told = |error: oms::Error| refused(&error, Place::Oms, spec);
        let source = around.choose(wanted).map_err(told)?;
        if source == AmbientSource::Oidc && !around.names_sts() {
            // Derived from a field of the object, so it is checked like the others that are.
            self.allowed(&around.sts_endpoint(&spec.region), "region")?;
        }
        let credentials = around.credentials(source, &spec.region).map_err(told)?;
        Ok(Identity { credentials, secret: None, bucket_keys: None })
    }
}

/// Whether a Secret is for a login: as `keys` say, else as its content is. Keys win where it has both.
fn wants_password(reference: &SecretRef, secret: &Secret) -> bool {
    let names = reference.keys.clone().unwrap_or_default();
    if names.names_password() {
        return true;
    }
    if names.access_key.is_some() || names.secret_key.is_some() || names.security_token.is_some() {
        return false;
    }
    let has = |key| secrets::value(secret, key).is_some();
    !has("accessKey") && !has("secretKey") && (has("username") || has("password"))
}

fn read(
    reference: &SecretRef,
    secret: &Secret,
    key: Option<&str>,
    default: &str,
) -> Result<SecretString, Refusal> {
    let key = key.unwrap_or(default);
    secrets::value(secret, key).ok_or_else(|| {
        let (reason, message) = secrets::lacks(&reference.name, key, FIELD);
        refuse(reason, message)
    })
}

fn own_keys(
    reference: &SecretRef,
    secret: &Secret,
    now: Timestamp,
) -> Result<(Credentials, BucketKeys), Refusal> {
    let names = reference.keys.clone().unwrap_or_default();
    let read = |key: &Option<String>, default: &str| read(reference, secret, key.as_deref(), default);
    let access_key = read(&names.access_key, "accessKey")?;
    let secret_key = read(&names.secret_key, "secretKey")?;
    let security_token = match &names.security_token {
        Some(_) => Some(read(&names.security_token, "securityToken")?),
        None => secrets::value(secret, "securityToken"),
    };
    let end = match &security_token {
        Some(_) => secrets::end_of(secret, reference, FIELD, now)
            .map_err(|(reason, message)| refuse(reason, message))?,
        None => None,
    };
    let credentials =
        Credentials::keys_until(access_key.expose_secret(), secret_key.clone(), security_token.clone(), end);
    Ok((credentials, BucketKeys::Pair { access_key, secret_key, security_token }))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use k8s_openapi::ByteString;

    use super::*;
    use crate::api::SecretKeys;

    fn secret(keys: &[&str]) -> Secret {
        let data: BTreeMap<_, _> =
            keys.iter().map(|key| ((*key).to_owned(), ByteString(b"value".to_vec()))).collect();
        Secret { data: Some(data), ..Secret::default() }
    }

    fn reference(keys: Option<SecretKeys>) -> SecretRef {
        SecretRef { name: "s".into(), keys }
    }

    #[test]
    fn keys_win_over_a_login_unless_the_reference_says_otherwise() {
        let both = secret(&["accessKey", "secretKey", "username", "password", "domainName"]);
        assert!(!wants_password(&reference(None), &both));
        let named = SecretKeys { username: Some("username".into()), ..SecretKeys::default() };
        assert!(wants_password(&reference(Some(named)), &both));
        let login = secret(&["username", "password", "domainName"]);
        assert!(wants_password(&reference(None), &login));
        let renamed = SecretKeys { access_key: Some("AK".into()), ..SecretKeys::default() };
        assert!(!wants_password(&reference(Some(renamed)), &login));
        assert!(!wants_password(&reference(None), &secret(&[])), "then `accessKey` is what is missed");
    }
}
