//! Sessions: a connection whose own keys worked, ready to be used.
//!
//! A session outlives its Connection and Secret as long as a task needs it for its clean-up: when a namespace is
//! deleted, they go before our objects. Its keys are in memory only.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::project::{Project, ProjectKey};
use super::secrets::BucketKeys;
use crate::api::{ConnectionKind, PinnedConnection};
use crate::oms;
use crate::plan::queue::Limits;

/// Permanent keys of a connection, which can serve for the destination bucket too.
#[derive(Clone)]
pub(super) struct OwnKeys {
    pub(super) keys: BucketKeys,
    /// Name of their Secret.
    pub(super) secret: String,
    /// Its version.
    pub(super) version: String,
}

/// A usable connection.
#[derive(Clone)]
pub(super) struct Session {
    /// What objects pin.
    pub(super) pinned: PinnedConnection,
    /// Namespace of the connection; none for a ClusterConnection.
    pub(super) namespace: Option<String>,
    /// Region of the connection.
    pub(super) region: String,
    /// Client for endpoint and project of the connection.
    pub(super) client: oms::Client,
    /// What the client was made of, for objects that are pinned to an earlier endpoint or project, and for looks at its end.
    pub(super) settings: oms::Settings,
    pub(super) credentials: oms::Credentials,
    /// The connection's own keys as bucket keys, when they are permanent.
    pub(super) bucket_keys: Option<OwnKeys>,
    /// The shared part.
    pub(super) project: Arc<Project>,
    /// The same of places where the connection led before, for the objects that stay there.
    pub(super) elsewhere: Vec<Arc<Project>>,
    /// The rate that the connection allows.
    pub(super) rate: f64,
    /// What the account may do.
    pub(super) limits: Limits,
    /// Generation of the connection and version of its Secret, if it has one, that this was made from.
    pub(super) made_from: (i64, Option<String>),
    /// Whether OMS takes the keys, as far as known.
    pub(super) usable: bool,
    /// Whether the Connection still exists.
    pub(super) exists: bool,
}

impl Session {
    /// A client for the project that an object pinned: the same keys, possibly an earlier endpoint or project.
    pub(super) fn client_for(&self, project: &Project) -> Result<oms::Client, oms::Error> {
        if project.key() == self.project.key() {
            return Ok(self.client.clone());
        }
        let mut settings = self.settings.clone();
        settings.endpoint.clone_from(&project.key().endpoint);
        settings.project_id.clone_from(&project.key().project_id);
        // A token is good for one project.
        let credentials = self.credentials.for_project(&settings.project_id);
        oms::Client::new(settings, credentials, project.budget.clone())
    }

    /// Takes its keys out of every shared view.
    fn leave(&self) {
        for project in std::iter::once(&self.project).chain(&self.elsewhere) {
            project.leave(&self.pinned.uid);
        }
    }
}

/// Key of a project.
pub(super) fn key_of(pinned: &PinnedConnection) -> ProjectKey {
    ProjectKey { endpoint: pinned.endpoint.clone(), project_id: pinned.project_id.clone() }
}

/// Sessions by connection UID.
#[derive(Default)]
pub(super) struct Sessions(Mutex<HashMap<String, Session>>);

impl Sessions {
    /// The session of a connection.
    pub(super) fn get(&self, uid: &str) -> Option<Session> {
        self.lock().get(uid).cloned()
    }

    /// Visits every session.
    pub(super) fn each(&self, visit: impl FnMut(&Session)) {
        self.lock().values().for_each(visit);
    }

    /// Opens or renews a session.
    pub(super) fn open(&self, session: Session) {
        let mut sessions = self.lock();
        if let Some(before) = sessions.get(&session.pinned.uid) {
            before.leave();
        }
        session.project.join(&session.pinned.uid, session.client.clone(), (session.rate, session.limits));
        sessions.insert(session.pinned.uid.clone(), session);
    }

    /// A connection joins a project to which it led before, for the objects that stay there.
    pub(super) fn join(&self, uid: &str, project: &Arc<Project>, client: oms::Client) {
        let mut sessions = self.lock();
        let Some(session) = sessions.get_mut(uid).filter(|session| session.usable && session.exists) else {
            return;
        };
        project.join(uid, client, (session.rate, session.limits));
        if !session.elsewhere.iter().any(|known| Arc::ptr_eq(known, project)) {
            session.elsewhere.push(Arc::clone(project));
        }
    }

    /// OMS no longer takes the keys.
    pub(super) fn mark_unusable(&self, uid: &str) {
        if let Some(session) = self.lock().get_mut(uid) {
            session.usable = false;
            session.leave();
        }
    }

    /// The Connection is gone; the session stays for clean-ups.
    pub(super) fn orphan(&self, kind: ConnectionKind, exists: impl Fn(&str) -> bool) {
        for session in self.lock().values_mut().filter(|session| session.pinned.kind == kind) {
            session.exists = exists(&session.pinned.uid);
            if !session.exists {
                // From here on its keys serve clean-ups only.
                session.leave();
            }
        }
    }

    /// Forgets sessions that neither a Connection nor a task needs.
    pub(super) fn retain(&self, needed: impl Fn(&str) -> bool) {
        self.lock().retain(|uid, session| {
            let keep = session.exists || needed(uid);
            if !keep {
                session.leave();
            }
            keep
        });
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Session>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
