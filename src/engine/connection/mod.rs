//! One pass of a Connection or ClusterConnection: from credentials to a session that a live call has proved.
//!
//! A ready connection costs no call to OMS: only the version of its Secret is looked at from time to time, and credentials that end
//! by themselves are renewed when that is due.

mod connect;
mod identity;

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::core::DeserializeGuard;
use kube::{Api, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::audit::{self, Cause};
use super::kubernetes::{bounded, replace_status, set_finalizers, traced};
use super::session::Session;
use super::{Action, Attempt, Engine, Error};
use crate::api::conditions::{Reason, types};
use crate::api::{self, ClusterConnection, Connection, ConnectionKind, ConnectionSpec, ConnectionStatus};
use crate::plan;
use crate::plan::connection::{Protection, Refusal, protect, tell_in_use};
use crate::plan::situation;
use crate::telemetry::traces;

/// How long after a refusal a connection is tried again.
const RETRY: Duration = Duration::from_secs(30);

/// How long the same refused keys are not tried again.
const REFUSED_KEYS_PAUSE: Duration = Duration::from_mins(10);

/// How long a connection rests at least between two renewals.
const SHORTEST_REST: Duration = Duration::from_millis(250);

/// How long it rests when a renewal is due but failed.
const REST_AFTER_FAILURE: Duration = Duration::from_secs(10);

/// How often a connection that is being deleted looks whether it is still used.
const USERS_CHECK: Duration = Duration::from_secs(2);

fn kind_of<K: AnyConnection>() -> &'static str {
    if K::KIND == ConnectionKind::Connection { "Connection" } else { "ClusterConnection" }
}

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
        let meta = connection.meta();
        let name = meta.name.as_deref().unwrap_or_default();
        let span = traces::pass(kind_of::<K>(), meta.namespace.as_deref(), name, meta.generation);
        let pass = traced(span, Box::pin(self.look_after(connection, uid)));
        audit::on_behalf_of(Cause::of(connection), pass).await
    }

    async fn look_after<K: AnyConnection>(
        self: &Arc<Self>,
        connection: &K,
        uid: String,
    ) -> Result<Action, Error> {
        let check = self.clock.real(self.settings.policy.secret_check_interval);
        if !(self.settings.leads)() {
            return Ok(Action::requeue(Duration::from_secs(1)));
        }
        let users = self.stores.users_of(&uid);
        if let Protection::Changed(finalizers) = protect(connection.meta(), !users.is_empty()) {
            let changed = set_finalizers(self, &connection.api(&self.client), connection, &finalizers).await;
            return match changed {
                Err(error) if error.is_conflict() => Ok(Action::requeue(Duration::from_millis(200))),
                Err(error) if error.is_not_found() => Ok(Action::await_change()),
                Err(error) => Err(error),
                Ok(_) => {
                    self.metrics.kubernetes_write(kind_of::<K>(), "patch");
                    Ok(Action::requeue(Duration::ZERO))
                }
            };
        }
        if connection.meta().deletion_timestamp.is_some() {
            if users.is_empty() {
                return Ok(Action::await_change());
            }
            // Its users need it for their clean-up, so it goes on; the caches tell when the last of them is gone.
            let wait = self.clock.real(USERS_CHECK);
            return self.serve(connection, &uid, check).await.map(|_| Action::requeue(wait));
        }
        self.serve(connection, &uid, check).await
    }

    /// Makes, or keeps, the session of a connection.
    async fn serve<K: AnyConnection>(
        self: &Arc<Self>,
        connection: &K,
        uid: &str,
        check: Duration,
    ) -> Result<Action, Error> {
        if let Some(session) = self.current(connection, uid).await? {
            return self.keep_fresh(connection, uid, &session, check).await;
        }
        let secret_version = self.secret_version(connection).await?;
        if self.spares_refused_keys(connection, uid, secret_version.as_ref()) {
            return Ok(Action::requeue(check));
        }
        let mut status = connection.stored().cloned().unwrap_or_default();
        let outcome = self.connect(connection, uid, &mut status).await?;
        self.tell(connection, uid, (status, outcome.err()), secret_version).await
    }

    /// Remembers and tells what came of a try, and wakes who waits for it.
    async fn tell<K: AnyConnection>(
        self: &Arc<Self>,
        connection: &K,
        uid: &str,
        (status, refusal): (ConnectionStatus, Option<Refusal>),
        secret_version: Option<String>,
    ) -> Result<Action, Error> {
        // Only keys and passwords are locked by too many failures.
        let may_lock = connection.connection().credentials.secret_ref.is_some();
        let rejected = refusal.as_ref().is_some_and(|refusal| refusal.reason == Reason::CredentialsRejected);
        self.note_attempt(
            uid,
            Attempt {
                at: self.clock.now(),
                generation: connection.meta().generation,
                secret_version,
                keys_refused: may_lock && rejected,
                refusal: refusal.as_ref().map(|refusal| refusal.message.clone()),
            },
        );
        let check = self.clock.real(self.settings.policy.secret_check_interval);
        let again = match &refusal {
            None => self.until_due(uid, check),
            Some(refusal) => {
                self.sessions.mark_unusable(uid);
                if refusal.hopeless { check } else { self.clock.real(RETRY) }
            }
        };
        self.waker.wake_namespace(connection.namespace());
        let generation = connection.meta().generation.unwrap_or_default();
        let requested = connection.annotations().get(api::RECONCILE_REQUESTED_AT).cloned();
        let now = self.clock.now();
        let status = plan::connection::tell(status, refusal.as_ref(), (generation, requested), now);
        match self.store_status(connection, status).await {
            Err(error) if error.is_conflict() => Ok(Action::requeue(Duration::from_millis(200))),
            Err(error) if error.is_not_found() => Ok(Action::await_change()),
            Err(error) => Err(error),
            Ok(()) => Ok(Action::requeue(again)),
        }
    }

    /// A ready connection stays ready as long as its credentials hold; status says until when that is.
    async fn keep_fresh<K: AnyConnection>(
        self: &Arc<Self>,
        connection: &K,
        uid: &str,
        session: &Session,
        check: Duration,
    ) -> Result<Action, Error> {
        let mut status = connection.stored().cloned().unwrap_or_default();
        if let Err(error) = session.credentials.refresh().await {
            let refusal = connect::refused(&error, connect::Place::Iam, connection.connection());
            return self.tell(connection, uid, (status, Some(refusal)), session.made_from.1.clone()).await;
        }
        if let Some(credentials) = &mut status.credentials {
            credentials.valid_until = identity::valid_until(&session.credentials);
        }
        match self.store_status(connection, status).await {
            Err(error) if error.is_conflict() => Ok(Action::requeue(Duration::from_millis(200))),
            Err(error) if error.is_not_found() => Ok(Action::await_change()),
            Err(error) => Err(error),
            Ok(()) => Ok(Action::requeue(self.until_due(uid, check))),
        }
    }

    /// How long a ready connection rests: until its Secret is looked at, or until its credentials are due. Those end by the wall
    /// clock.
    fn until_due(&self, uid: &str, check: Duration) -> Duration {
        let due = self.sessions.get(uid).and_then(|session| session.credentials.renewal_due());
        let Some(due) = due else { return check };
        match Duration::try_from(due.duration_since(Timestamp::now())) {
            Ok(until) if !until.is_zero() => check.min(until.max(SHORTEST_REST)),
            // A renewal failed; what is held still holds.
            _ => check.min(REST_AFTER_FAILURE),
        }
    }

    /// The session, if it was made from this very spec and Secret, and nobody asks for a look.
    async fn current<K: AnyConnection>(&self, connection: &K, uid: &str) -> Result<Option<Session>, Error> {
        let Some(session) = self.sessions.get(uid).filter(|session| session.usable) else { return Ok(None) };
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
            return Ok(None);
        }
        let current = self.secret_version(connection).await? == *version;
        Ok(current.then_some(session))
    }

    /// The version of a connection's Secret, if it has one: its metadata alone are read.
    async fn secret_version<K: AnyConnection>(&self, connection: &K) -> Result<Option<String>, Error> {
        let Some(reference) = &connection.connection().credentials.secret_ref else { return Ok(None) };
        let name = &reference.name;
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), &self.home(connection));
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
        mut status: ConnectionStatus,
    ) -> Result<(), Error> {
        if connection.meta().deletion_timestamp.is_some() {
            let users = self.stores.users_of(&connection.uid().unwrap_or_default());
            if !users.is_empty() {
                let generation = connection.meta().generation.unwrap_or_default();
                status = tell_in_use(status, &users, generation, self.clock.now());
            }
        }
        if connection.stored() == Some(&status) {
            return Ok(());
        }
        let ready = |status: &ConnectionStatus| situation::find(&status.conditions, types::READY).cloned();
        let before = connection.stored().and_then(ready).map(|ready| (ready.status, ready.reason));
        let after = ready(&status);
        let changed = connection.with_status(status);
        replace_status(self, &connection.api(&self.client), &changed).await?;
        self.metrics.kubernetes_write(kind_of::<K>(), "update_status");
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
