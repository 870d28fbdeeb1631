//! One pass of a Connection or ClusterConnection: from keys to a session that a live, signed call has proved.
//!
//! A ready connection costs no call to OMS: only the version of its Secret is looked at from time to time.

mod connect;

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use kube::core::DeserializeGuard;
use kube::runtime::controller::Action;
use kube::{Api, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::kubernetes::{bounded, replace_status};
use super::{Attempt, Engine, Error};
use crate::api::conditions::{Reason, types};
use crate::api::{self, ClusterConnection, Connection, ConnectionKind, ConnectionSpec, ConnectionStatus};
use crate::plan;
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
                refusal: outcome.as_ref().err().map(|refusal| refusal.message.clone()),
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
        let generation = connection.meta().generation.unwrap_or_default();
        let requested = connection.annotations().get(api::RECONCILE_REQUESTED_AT).cloned();
        let now = self.clock.now();
        let status = plan::connection::tell(status, outcome.as_ref().err(), (generation, requested), now);
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
