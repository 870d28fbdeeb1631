//! From credentials to a session: what a connection needs, tried with a live, signed call.

use std::sync::Arc;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, ResourceExt};

use super::AnyConnection;
use super::identity::Identity;
use crate::api::conditions::{Reason, types};
use crate::api::{ConnectionSpec, ConnectionStatus, PinnedConnection};
use crate::engine::audit::{self, Caller};
use crate::engine::figures;
use crate::engine::kubernetes::bounded;
use crate::engine::project::{DEFAULT_RATE, ProjectKey};
use crate::engine::session::Session;
use crate::engine::{Engine, Error};
use crate::oms::{self, ListTasks, Urgency};
use crate::plan::connection::Refusal;
use crate::plan::queue::Limits;
use crate::plan::situation;

pub(super) fn refuse(reason: Reason, message: impl Into<String>) -> Refusal {
    Refusal { reason, message: message.into(), hopeless: false }
}

/// The address that is meant: the given one, else the region's own.
fn address(given: Option<&str>, service: &str, region: &str) -> String {
    given.map_or_else(
        || format!("https://{service}.{region}.myhuaweicloud.com"),
        |given| given.trim_end_matches('/').to_owned(),
    )
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
        let endpoint = match self.endpoint(spec) {
            Ok(endpoint) => endpoint,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let home = self.home(connection);
        let ca_bundle = match self.ca_bundle(spec, &home).await? {
            Ok(bundle) => bundle,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let mut settings = oms::Settings::new(endpoint.clone(), String::new());
        settings.ca_bundle = ca_bundle;
        settings.on_call =
            Some(self.observer(figures::label(connection.namespace().as_deref(), &connection.name_any())));
        settings.on_wait = Some(self.wait_observer());
        settings.may_send = Some(Arc::clone(&self.settings.leads));
        let identity = match self.identify(connection, &home, &settings).await? {
            Ok(identity) => identity,
            Err(refusal) => return Ok(Err(refusal)),
        };
        settings.on_mutation = Some(audit::observer(Caller {
            connection: format!("{}/{}", super::kind_of::<K>(), connection.name_any()),
            credentials: identity.source(),
            secret: identity.secret.clone(),
        }));
        let project_id = match self.project_id(spec, &identity, &settings).await {
            Ok(id) => id,
            Err(refusal) => return Ok(Err(refusal)),
        };
        settings.project_id.clone_from(&project_id);
        let key = ProjectKey { endpoint: endpoint.clone(), project_id: project_id.clone() };
        let project = self.projects.get(&key);
        let client =
            match oms::Client::new(settings.clone(), identity.credentials.clone(), project.budget.clone()) {
                Ok(client) => client,
                Err(error) => return Ok(Err(refused(&error, Place::Oms, spec))),
            };
        // Ready only after a live, signed call.
        let probe = ListTasks { limit: 1, ..ListTasks::default() };
        if let Err(error) = client.list_tasks(&probe, Urgency::User).await {
            return Ok(Err(refused(&error, Place::Oms, spec)));
        }
        if let Err(refusal) = self.consent(connection, &client, status).await {
            return Ok(Err(refusal));
        }
        status.endpoint = Some(endpoint.clone());
        status.project_id = Some(project_id.clone());
        status.credentials = Some(identity.status());
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
            credentials: identity.credentials,
            bucket_keys: identity.bucket_keys,
            project,
            elsewhere: Vec::new(),
            rate: spec
                .limits
                .as_ref()
                .and_then(|limits| limits.requests_per_second)
                .map_or(DEFAULT_RATE, |rate| rate as f64),
            limits: spec.limits.as_ref().map_or_else(Limits::default, Limits::from),
            made_from: (
                connection.meta().generation.unwrap_or_default(),
                identity.secret.map(|(_, version)| version),
            ),
            usable: true,
            exists: true,
        });
        Ok(Ok(()))
    }

    /// The address of OMS, if the operator may call it.
    fn endpoint(&self, spec: &ConnectionSpec) -> Result<String, Refusal> {
        self.allowed(&address(spec.endpoint.as_deref(), "oms", &spec.region), "endpoint")
    }

    /// The address of IAM, if the operator may call it.
    pub(super) fn iam_endpoint(&self, spec: &ConnectionSpec) -> Result<String, Refusal> {
        self.allowed(&address(spec.iam_endpoint.as_deref(), "iam", &spec.region), "iamEndpoint")
    }

    /// The address, if the operator may call it.
    pub(super) fn allowed(&self, address: &str, field: &str) -> Result<String, Refusal> {
        let check = url::Url::parse(address)
            .map_err(|error| error.to_string())
            .and_then(|url| (self.settings.endpoints)(&url));
        check.map(|()| address.to_owned()).map_err(|why| Refusal {
            reason: Reason::EndpointNotAllowed,
            message: format!(
                "`spec.{field}` {address} may not be called: {why}. Correct it, or ask the operator's administrator to allow it"
            ),
            hopeless: true,
        })
    }

    /// The project: the spec's, else the one that the credentials are good for, else IAM's for the region.
    async fn project_id(
        &self,
        spec: &ConnectionSpec,
        identity: &Identity,
        settings: &oms::Settings,
    ) -> Result<String, Refusal> {
        if let Some(id) = &spec.project_id {
            return Ok(id.clone());
        }
        let own = identity.credentials.project_id(&spec.region).await;
        if let Some(id) = own.map_err(|error| refused(&error, Place::Iam, spec))? {
            return Ok(id);
        }
        let settings = oms::Settings { endpoint: self.iam_endpoint(spec)?, ..settings.clone() };
        let found = oms::find_project_id(settings, identity.credentials.clone(), &spec.region).await;
        found.map_err(|error| refused(&error, Place::Iam, spec))
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
        audit::because("RecordPrivacyAgreement", Some("PrivacyAgreementAccepted"));
        client
            .update_privacy_agreement_record(Urgency::User)
            .await
            .map_err(|error| refused(&error, Place::Oms, connection.connection()))?;
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

/// Whom a call went to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Oms,
    Iam,
}

/// The words for a call that went wrong.
pub(super) fn refused(error: &oms::Error, place: Place, spec: &ConnectionSpec) -> Refusal {
    use oms::Class;
    if error.lacks_credentials() {
        return unavailable(error);
    }
    let (service, field) = match place {
        Place::Oms => ("OMS", "endpoint"),
        Place::Iam => ("IAM", "iamEndpoint"),
    };
    let (reason, whose_move) = match error.class() {
        Class::Credential | Class::BucketCredential => {
            let whose = if spec.credentials.secret_ref.is_some() {
                "Correct the keys in the Secret named by `spec.credentials.secretRef`; the operator tries again by itself"
            } else {
                "Check the agency behind the operator's own credentials and the clock of the node; the operator tries again by itself"
            };
            (Reason::CredentialsRejected, whose.to_owned())
        }
        Class::Permission => (
            Reason::PermissionDenied,
            "Grant the missing permission to the owner of the credentials, or correct `spec.projectId`; the operator tries again".to_owned(),
        ),
        Class::Missing | Class::Invalid | Class::NotFound if place == Place::Iam => (
            Reason::ProjectNotFound,
            "Correct `spec.region`, or set `spec.projectId`; the operator tries again".to_owned(),
        ),
        Class::Throttled => (Reason::Throttled, "Nothing to do; the operator slows down".to_owned()),
        Class::Transient if error.code().is_some() => {
            (Reason::ServiceUnavailable, "Nothing to do; the operator tries again".to_owned())
        }
        _ if error.is_about_trust() => (
            Reason::EndpointUnreachable,
            format!(
                "Check `spec.{field}`, or name a ConfigMap with the certificate of its authority in `spec.caBundle`; the operator tries again by itself"
            ),
        ),
        _ => (
            Reason::EndpointUnreachable,
            format!("Check `spec.{field}`, `spec.region` and the network; the operator tries again by itself"),
        ),
    };
    let code = error.code().map_or_else(String::new, |code| format!(" ({code})"));
    let message = error.message().trim_end_matches('.');
    refuse(reason, format!("{service} did not accept a call{code}: {message}. {whose_move}"))
}

/// The words for a source that gave no credentials.
fn unavailable(error: &oms::Error) -> Refusal {
    use oms::Class;
    let reason = match error.class() {
        Class::Credential => Reason::CredentialsRejected,
        Class::Permission => Reason::PermissionDenied,
        _ => Reason::CredentialsUnavailable,
    };
    let message = error.message().trim_end_matches('.');
    let remedy = error.remedy().unwrap_or("The operator tries again by itself").trim_end_matches('.');
    refuse(reason, format!("No credentials for OMS: {message}. {remedy}"))
}
