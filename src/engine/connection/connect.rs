//! From keys to a session: what a connection needs, tried with a live, signed call.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{Api, ResourceExt};

use super::AnyConnection;
use crate::api::conditions::{Reason, types};
use crate::api::{ConnectionSpec, ConnectionStatus, CredentialsStatus, PinnedConnection};
use crate::engine::kubernetes::bounded;
use crate::engine::project::{DEFAULT_RATE, ProjectKey};
use crate::engine::secrets::{self, BucketKeys};
use crate::engine::session::Session;
use crate::engine::{Engine, Error};
use crate::oms::{self, ListTasks, Urgency};
use crate::plan::connection::Refusal;
use crate::plan::situation;

fn refuse(reason: Reason, message: impl Into<String>) -> Refusal {
    Refusal { reason, message: message.into(), hopeless: false }
}

/// Keys read from the Secret.
struct OwnKeys {
    credentials: oms::Credentials,
    pair: BucketKeys,
    temporary: bool,
}

impl Engine {
    /// Opens a session, or says why that is not possible.
    pub(super) async fn connect<K: AnyConnection>(
        self: &Arc<Self>,
        connection: &K,
        uid: &str,
        status: &mut ConnectionStatus,
    ) -> Result<Result<(), Refusal>, Error> {
        let spec = connection.connection();
        let endpoint = match self.allowed(spec.endpoint.as_deref(), "endpoint", "oms", &spec.region) {
            Ok(endpoint) => endpoint,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let home = self.home(connection);
        let secret_name = &spec.credentials.secret_ref.name;
        let Some(secret) = secrets::get(&self.client, &home, secret_name).await? else {
            let (reason, message) = secrets::not_found(secret_name, "spec.credentials.secretRef");
            return Ok(Err(refuse(reason, message)));
        };
        let keys = match own_keys(spec, &secret) {
            Ok(keys) => keys,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let ca_bundle = match self.ca_bundle(spec, &home).await? {
            Ok(bundle) => bundle,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let mut settings = oms::Settings::new(endpoint.clone(), String::new());
        settings.ca_bundle = ca_bundle;
        settings.on_call = Some(self.observer());
        let project_id = if let Some(id) = &spec.project_id {
            id.clone()
        } else {
            let iam = match self.allowed(spec.iam_endpoint.as_deref(), "iamEndpoint", "iam", &spec.region) {
                Ok(iam) => iam,
                Err(refusal) => return Ok(Err(refusal)),
            };
            let settings = oms::Settings { endpoint: iam, ..settings.clone() };
            match oms::find_project_id(settings, keys.credentials.clone(), &spec.region).await {
                Ok(id) => id,
                Err(error) => return Ok(Err(refused(&error, "IAM", "iamEndpoint"))),
            }
        };
        settings.project_id.clone_from(&project_id);
        let key = ProjectKey { endpoint: endpoint.clone(), project_id: project_id.clone() };
        let project = self.projects.get(&key);
        let client =
            match oms::Client::new(settings.clone(), keys.credentials.clone(), project.budget.clone()) {
                Ok(client) => client,
                Err(error) => return Ok(Err(refused(&error, "OMS", "endpoint"))),
            };
        // Ready only after a live, signed call.
        let probe = ListTasks { limit: 1, ..ListTasks::default() };
        if let Err(error) = client.list_tasks(&probe, Urgency::User).await {
            return Ok(Err(refused(&error, "OMS", "endpoint")));
        }
        if let Err(refusal) = self.consent(connection, &client, status).await {
            return Ok(Err(refusal));
        }
        status.endpoint = Some(endpoint.clone());
        status.project_id = Some(project_id.clone());
        status.credentials = Some(CredentialsStatus {
            source: "Secret".into(),
            secret_name: Some(secret_name.clone()),
            valid_until: None,
        });
        let version = secret.resource_version().unwrap_or_default();
        self.sessions.open(Session {
            pinned: PinnedConnection {
                kind: K::KIND,
                name: connection.name_any(),
                uid: uid.to_owned(),
                endpoint,
                project_id,
            },
            namespace: connection.namespace(),
            region: spec.region.clone(),
            client,
            settings,
            credentials: keys.credentials,
            bucket_keys: (!keys.temporary).then(|| (keys.pair, secret_name.clone(), version.clone())),
            project,
            rate: spec
                .limits
                .as_ref()
                .and_then(|limits| limits.requests_per_second)
                .map_or(DEFAULT_RATE, |rate| rate as f64),
            made_from: (connection.meta().generation.unwrap_or_default(), version),
            usable: true,
            exists: true,
        });
        Ok(Ok(()))
    }

    /// The address to call, if the operator may.
    fn allowed(
        &self,
        given: Option<&str>,
        field: &str,
        service: &str,
        region: &str,
    ) -> Result<String, Refusal> {
        let address = given.map_or_else(
            || format!("https://{service}.{region}.myhuaweicloud.com"),
            |given| given.trim_end_matches('/').to_owned(),
        );
        let check = url::Url::parse(&address)
            .map_err(|error| error.to_string())
            .and_then(|url| (self.settings.endpoints)(&url));
        check.map(|()| address.clone()).map_err(|why| Refusal {
            reason: Reason::EndpointNotAllowed,
            message: format!(
                "`spec.{field}` {address} may not be called: {why}. Correct it, or ask the operator's administrator to allow it"
            ),
            hopeless: true,
        })
    }

    async fn ca_bundle(
        &self,
        spec: &ConnectionSpec,
        home: &str,
    ) -> Result<Result<Option<Vec<u8>>, Refusal>, Error> {
        let Some(bundle) = &spec.ca_bundle else { return Ok(Ok(None)) };
        let (name, key) =
            (&bundle.config_map_ref.name, bundle.config_map_ref.key.as_deref().unwrap_or("ca.crt"));
        let maps: Api<ConfigMap> = Api::namespaced(self.client.clone(), home);
        let map = bounded(maps.get_opt(name), |source| Error::Read { what: "a ConfigMap", source }).await?;
        let pem = map.and_then(|map| map.data).and_then(|data| data.get(key).cloned());
        Ok(match pem.filter(|pem| pem.contains("-----BEGIN CERTIFICATE-----")) {
            Some(pem) => Ok(Some(pem.into_bytes())),
            None => Err(refuse(
                Reason::CaBundleInvalid,
                format!(
                    "ConfigMap `{name}`, named by `spec.caBundle`, is missing or has no PEM certificates under the key `{key}`. \
                     Create it; the operator looks again by itself"
                ),
            )),
        })
    }

    /// Records the user's consent to the privacy agreement, once; never without one.
    async fn consent<K: AnyConnection>(
        &self,
        connection: &K,
        client: &oms::Client,
        status: &mut ConnectionStatus,
    ) -> Result<(), Refusal> {
        if connection.connection().privacy_agreement.is_none() {
            situation::remove(&mut status.conditions, types::PRIVACY_AGREEMENT_RECORDED);
            return Ok(());
        }
        let place = format!("Recorded for project {} at {}", client.project_id(), client.endpoint());
        let recorded = situation::find(&status.conditions, types::PRIVACY_AGREEMENT_RECORDED)
            .is_some_and(|condition| condition.status == "True" && condition.message == place);
        if recorded {
            return Ok(());
        }
        client
            .update_privacy_agreement_record(Urgency::User)
            .await
            .map_err(|error| refused(&error, "OMS", "endpoint"))?;
        let generation = connection.meta().generation.unwrap_or_default();
        situation::set(
            &mut status.conditions,
            types::PRIVACY_AGREEMENT_RECORDED,
            "True",
            Reason::PrivacyAgreementRecorded,
            &place,
            generation,
            self.clock.now(),
        );
        Ok(())
    }
}

fn own_keys(spec: &ConnectionSpec, secret: &Secret) -> Result<OwnKeys, Refusal> {
    let reference = &spec.credentials.secret_ref;
    let names = reference.keys.clone().unwrap_or_default();
    let read = |name: &Option<String>, default: &str| {
        let key = name.as_deref().unwrap_or(default);
        secrets::value(secret, key).ok_or_else(|| {
            let (reason, message) = secrets::lacks(&reference.name, key, "spec.credentials.secretRef");
            refuse(reason, message)
        })
    };
    let access_key = read(&names.access_key, "accessKey")?;
    let secret_key = read(&names.secret_key, "secretKey")?;
    let security_token = match &names.security_token {
        Some(_) => Some(read(&names.security_token, "securityToken")?),
        None => secrets::value(secret, "securityToken"),
    };
    let temporary = security_token.is_some();
    let pair = BucketKeys::Pair {
        access_key: access_key.clone(),
        secret_key: secret_key.clone(),
        security_token: security_token.clone(),
    };
    let access_key = secrecy::ExposeSecret::expose_secret(&access_key).to_owned();
    Ok(OwnKeys {
        credentials: oms::Credentials::keys(access_key, secret_key, security_token),
        pair,
        temporary,
    })
}

/// The words for a call that went wrong.
fn refused(error: &oms::Error, service: &str, field: &str) -> Refusal {
    use oms::Class;
    let (reason, whose_move) = match error.class() {
        Class::Credential | Class::BucketCredential => (
            Reason::CredentialsRejected,
            "Correct the keys in the Secret named by `spec.credentials.secretRef`; the operator tries again by itself".to_owned(),
        ),
        Class::Permission => (
            Reason::PermissionDenied,
            "Grant the missing permission to the owner of the keys, or correct `spec.projectId`; the operator tries again".to_owned(),
        ),
        Class::Missing | Class::Invalid | Class::NotFound if service == "IAM" => (
            Reason::ProjectNotFound,
            "Correct `spec.region`, or set `spec.projectId`; the operator tries again".to_owned(),
        ),
        Class::Throttled => (Reason::Throttled, "Nothing to do; the operator slows down".to_owned()),
        Class::Transient if error.code().is_some() => {
            (Reason::ServiceUnavailable, "Nothing to do; the operator tries again".to_owned())
        }
        _ => (
            Reason::EndpointUnreachable,
            format!("Check `spec.{field}`, `spec.region` and the network; the operator tries again by itself"),
        ),
    };
    let code = error.code().map_or_else(String::new, |code| format!(" ({code})"));
    let message = error.message().trim_end_matches('.');
    refuse(reason, format!("{service} did not accept a call{code}: {message}. {whose_move}"))
}
