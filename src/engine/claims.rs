//! What other objects of the cluster have to do with the task of `spec.adopt`, from the caches.

use jiff::Timestamp;
use kube::ResourceExt;
use kube::runtime::reflector::Store;

use super::Engine;
use super::project::ProjectKey;
use super::session::key_of;
use super::transfer::Transfer;
use crate::api::ManagementPolicy;
use crate::api::conditions::types;
use crate::plan::claims::Claim;
use crate::plan::seen::RemoteId;
use crate::plan::situation;
use crate::plan::token::{ObjectMark, Token};

impl Engine {
    /// The claims to a task of a project; `token` is the one that the task carries.
    pub(super) fn claims<K: Transfer>(
        &self,
        project: &ProjectKey,
        id: &RemoteId,
        token: Option<&Token>,
    ) -> Vec<Claim> {
        let objects = K::stores(&self.stores).iter().flat_map(Store::state);
        objects
            .filter_map(|object| {
                let object = object.0.as_ref().ok()?;
                let made = self.made(object, id, token);
                let claims = made || Self::adopts(object, id);
                let claim = || Claim {
                    name: format!("{}/{}", object.namespace().unwrap_or_default(), object.name_any()),
                    uid: object.uid().unwrap_or_default(),
                    created_at: created_at(object),
                    made,
                };
                (claims && self.is_in(object, project)).then(claim)
            })
            .collect()
    }

    /// Whether the task is one that the object created.
    fn made<K: Transfer>(&self, object: &K, id: &RemoteId, token: Option<&Token>) -> bool {
        let recorded = object.status().is_some_and(|status| {
            let is_it = status.task_id.as_deref().is_some_and(|recorded| id.is_written(recorded));
            status.adopted != Some(true) && is_it
        });
        recorded
            || token.is_some_and(|token| {
                let uid = object.uid().unwrap_or_default();
                token.object == ObjectMark::new(&self.settings.cluster_id, K::KIND.as_str(), &uid)
            })
    }

    /// Whether the object wants the task for itself; who only looks at it claims nothing.
    fn adopts<K: Transfer>(object: &K, id: &RemoteId) -> bool {
        let left_behind = object.status().is_some_and(|status| status.adopted == Some(false));
        object.adopt().is_some_and(|named| id.is_written(named))
            && !left_behind
            && object.lifecycle().management_policy == ManagementPolicy::Manage
    }

    /// Whether the object speaks of that project, by its pin or else by its reference.
    fn is_in<K: Transfer>(&self, object: &K, project: &ProjectKey) -> bool {
        if let Some(pinned) = object.status().and_then(|status| status.connection.as_ref()) {
            return key_of(pinned) == *project;
        }
        // A claim over a connection that the object may not use is none.
        let refused = object.status().is_some_and(|status| {
            situation::find(&status.conditions, types::CONNECTION_READY)
                .is_some_and(|ready| ready.status != "True")
        });
        let namespace = object.namespace().unwrap_or_default();
        let reference = object.lifecycle().connection_ref.as_ref();
        !refused
            && self
                .stores
                .meant(reference, &namespace)
                .and_then(|uid| self.sessions.get(&uid))
                .is_some_and(|session| key_of(&session.pinned) == *project)
    }
}

fn created_at(object: &impl ResourceExt) -> Option<Timestamp> {
    object.creation_timestamp().map(|at| at.0)
}
