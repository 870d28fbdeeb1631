//! One pass of a Connection or ClusterConnection: from keys to a session that a live, signed call has proved.
//!
//! A ready connection costs no call to OMS: only the version of its Secret is looked at from time to time.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::core::DeserializeGuard;
use kube::runtime::controller::Action;
use kube::{Api, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::kubernetes::{bounded, replace_status};
use super::project::{DEFAULT_RATE, ProjectKey};
use super::secrets::{self, BucketKeys};
use super::session::Session;
use super::{Attempt, Engine, Error};
use crate::api::conditions::{Reason, types};
use crate::api::{
    self, ClusterConnection, Connection, ConnectionKind, ConnectionSpec, ConnectionStatus, CredentialsStatus,
    PinnedConnection,
};
use crate::oms::{self, ListTasks, Urgency};
use crate::plan::situation;

/// How long after a refusal a connection is tried again.
const RETRY: Duration = Duration::from_secs(30);

/// How long the same refused keys are not tried again.
const REFUSED_KEYS_PAUSE: Duration = Duration::from_mins(10);

/// What the two kinds have in common.
pub trait AnyConnection:
    Resource<DynamicType = ()> + Clone + Debug + Serialize + DeserializeOwned + Send + Sync + 'static
{
    /// The kind.
    const KIND: ConnectionKind;
    /// The connection part of the spec.
    fn connection(&self) -> &ConnectionSpec;
    /// The stored status.
    fn stored(&self) -> Option<&ConnectionStatus>;
    /// The object with another status.
    fn with_status(&self, status: ConnectionStatus) -> Self;
    /// An API for writing its status.
    fn api(&self, client: &kube::Client) -> Api<Self>;
}

impl AnyConnection for Connection {
    const KIND: ConnectionKind = ConnectionKind::Connection;

    fn connection(&self) -> &ConnectionSpec {
        &self.spec
    }

    fn stored(&self) -> Option<&ConnectionStatus> {
        self.status.as_ref()
    }

    fn with_status(&self, status: ConnectionStatus) -> Self {
        Self { status: Some(status), ..self.clone() }
    }

    fn api(&self, client: &kube::Client) -> Api<Self> {
        Api::namespaced(client.clone(), &self.namespace().unwrap_or_default())
    }
}

impl AnyConnection for ClusterConnection {
    const KIND: ConnectionKind = ConnectionKind::ClusterConnection;

    fn connection(&self) -> &ConnectionSpec {
        &self.spec.connection
    }

    fn stored(&self) -> Option<&ConnectionStatus> {
        self.status.as_ref()
    }

    fn with_status(&self, status: ConnectionStatus) -> Self {
        Self { status: Some(status), ..self.clone() }
    }

    fn api(&self, client: &kube::Client) -> Api<Self> {
        Api::all(client.clone())
    }
}

/// Why a connection is not ready.
struct Refusal {
    reason: Reason,
    message: String,
    /// Only a change of the spec helps.
    hopeless: bool,
}

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
    /// One pass of a connection.
    pub async fn reconcile_connection<K: AnyConnection>(
        self: &Arc<Self>,
        object: &DeserializeGuard<K>,
    ) -> Result<Action, Error> {
        let connection = object.0.as_ref().map_err(|invalid| Error::Undecodable(invalid.error.clone()))?;
        let Some(uid) = connection.uid() else { return Ok(Action::await_change()) };
        if connection.meta().deletion_timestamp.is_some() {
            return Ok(Action::await_change());
        }
        let check = self.clock.real(self.settings.policy.secret_check_interval);
        if !(self.settings.leads)() {
            return Ok(Action::requeue(Duration::from_secs(1)));
        }
        if self.is_current(connection, &uid).await? {
            return Ok(Action::requeue(check));
        }
        let secret_version = self.secret_version(connection).await?;
        if self.spares_refused_keys(connection, &uid, secret_version.as_ref()) {
            return Ok(Action::requeue(check));
        }
        let mut status = connection.stored().cloned().unwrap_or_default();
        let outcome = self.connect(connection, &uid, &mut status).await?;
        self.note_attempt(
            &uid,
            Attempt {
                at: self.clock.now(),
                generation: connection.meta().generation,
                secret_version,
                keys_refused: outcome
                    .as_ref()
                    .is_err_and(|refusal| refusal.reason == Reason::CredentialsRejected),
            },
        );
        let again = match &outcome {
            Ok(()) => check,
            Err(refusal) => {
                self.sessions.mark_unusable(&uid);
                if refusal.hopeless { check } else { self.clock.real(RETRY) }
            }
        };
        self.waker.wake_namespace(connection.namespace());
        self.tell(connection, &mut status, outcome.as_ref().err());
        match self.store_status(connection, status).await {
            Err(error) if error.is_conflict() => Ok(Action::requeue(Duration::from_millis(200))),
            Err(error) if error.is_not_found() => Ok(Action::await_change()),
            Err(error) => Err(error),
            Ok(()) => Ok(Action::requeue(again)),
        }
    }

    /// Whether the session was made from this very spec and Secret, and nobody asks for a look.
    async fn is_current<K: AnyConnection>(&self, connection: &K, uid: &str) -> Result<bool, Error> {
        let Some(session) = self.sessions.get(uid).filter(|session| session.usable) else { return Ok(false) };
        let (generation, version) = &session.made_from;
        let status = connection.stored();
        let told = status.is_some_and(|status| {
            status.observed_generation == *generation
                && situation::find(&status.conditions, types::READY)
                    .is_some_and(|ready| ready.status == "True")
                && status.last_handled_reconcile_at.as_ref()
                    == connection.annotations().get(api::RECONCILE_REQUESTED_AT)
        });
        if !told || connection.meta().generation != Some(*generation) {
            return Ok(false);
        }
        Ok(self.secret_version(connection).await?.as_ref() == Some(version))
    }

    /// The version of a connection's Secret: its metadata alone are read.
    async fn secret_version<K: AnyConnection>(&self, connection: &K) -> Result<Option<String>, Error> {
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), &self.home(connection));
        let name = &connection.connection().credentials.secret_ref.name;
        let found =
            bounded(secrets.get_metadata_opt(name), |source| Error::Read { what: "a Secret", source })
                .await?;
        Ok(found.and_then(|secret| secret.resource_version()))
    }

    /// Whether the same refused keys would be sent again: the gateway locks access keys that fail too often.
    fn spares_refused_keys<K: AnyConnection>(
        &self,
        connection: &K,
        uid: &str,
        version: Option<&String>,
    ) -> bool {
        let asked = connection.annotations().get(api::RECONCILE_REQUESTED_AT)
            != connection.stored().and_then(|status| status.last_handled_reconcile_at.as_ref());
        self.attempt(uid).is_some_and(|last| {
            last.keys_refused
                && !asked
                && last.generation == connection.meta().generation
                && last.secret_version.as_ref() == version
                && last.at + REFUSED_KEYS_PAUSE > self.clock.now()
        })
    }

    /// The namespace of a connection's Secret.
    fn home<K: AnyConnection>(&self, connection: &K) -> String {
        connection.namespace().unwrap_or_else(|| self.settings.cluster_resource_namespace.clone())
    }

    async fn connect<K: AnyConnection>(
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
            .accept_privacy_agreement(Urgency::User)
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

    /// Tells the outcome in the status.
    fn tell<K: AnyConnection>(
        &self,
        connection: &K,
        status: &mut ConnectionStatus,
        refusal: Option<&Refusal>,
    ) {
        let generation = connection.meta().generation.unwrap_or_default();
        let now = self.clock.now();
        status.observed_generation = generation;
        status.last_handled_reconcile_at = connection.annotations().get(api::RECONCILE_REQUESTED_AT).cloned();
        let conditions = &mut status.conditions;
        let mut set = |type_: &str, holds: bool, reason: Reason, message: &str| {
            let state = if holds { "True" } else { "False" };
            situation::set(conditions, type_, state, reason, message, generation, now);
        };
        match refusal {
            None => {
                set(types::READY, true, Reason::Connected, "OMS accepted a signed call");
                set(types::CREDENTIALS_READY, true, Reason::CredentialsResolved, "The keys work");
            }
            Some(Refusal { reason, message, hopeless }) => {
                set(types::READY, false, *reason, message);
                let about_keys = matches!(
                    reason,
                    Reason::SecretNotFound | Reason::SecretKeyMissing | Reason::CredentialsRejected
                );
                if about_keys {
                    set(types::CREDENTIALS_READY, false, *reason, message);
                }
                let present = if *hopeless { types::STALLED } else { types::RECONCILING };
                set(present, true, *reason, message);
            }
        }
        match refusal {
            None => {
                situation::remove(&mut status.conditions, types::STALLED);
                situation::remove(&mut status.conditions, types::RECONCILING);
            }
            Some(refusal) => {
                let absent = if refusal.hopeless { types::RECONCILING } else { types::STALLED };
                situation::remove(&mut status.conditions, absent);
            }
        }
        for condition in &mut status.conditions {
            condition.observed_generation = Some(generation);
        }
    }

    async fn store_status<K: AnyConnection>(
        &self,
        connection: &K,
        status: ConnectionStatus,
    ) -> Result<(), Error> {
        if connection.stored() == Some(&status) {
            return Ok(());
        }
        let ready = |status: &ConnectionStatus| situation::find(&status.conditions, types::READY).cloned();
        let before = connection.stored().and_then(ready).map(|ready| (ready.status, ready.reason));
        let after = ready(&status);
        let mut changed = connection.with_status(status);
        changed.meta_mut().managed_fields = None;
        replace_status(&connection.api(&self.client), &changed).await?;
        let kind = if K::KIND == ConnectionKind::Connection { "Connection" } else { "ClusterConnection" };
        self.metrics.kubernetes_write(kind, "update_status");
        if let Some(ready) = after
            && before != Some((ready.status.clone(), ready.reason.clone()))
        {
            let event = if ready.status == "True" {
                crate::telemetry::EventKind::Normal
            } else {
                crate::telemetry::EventKind::Warning
            };
            self.events.publish(&connection.object_ref(&()), event, &ready.reason, "Connect", ready.message);
        }
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
