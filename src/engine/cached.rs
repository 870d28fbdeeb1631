//! Objects as the caches have them, whatever their kind.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use kube::core::DeserializeGuard;
use kube::runtime::reflector::Store;

use super::resolve::Stores;
use super::transfer::Transfer;
use super::wake::Target;
use crate::api::TransferStatus;
use crate::plan::wish::Kind;

/// An object of a cache that has, or may get, something of its own at OMS.
pub struct Cached<'a> {
    /// Its kind.
    pub kind: Kind,
    /// Its metadata.
    pub meta: &'a ObjectMeta,
    /// `None` for one that was not looked at yet, and for one that cannot be decoded.
    pub status: Option<&'a TransferStatus>,
}

impl Cached<'_> {
    /// The object itself.
    pub fn target(&self) -> Target {
        Target {
            kind: self.kind,
            namespace: self.meta.namespace.clone().unwrap_or_default(),
            name: self.meta.name.clone().unwrap_or_default(),
        }
    }
}

impl Stores {
    /// Visits every object of every kind.
    pub fn each(&self, mut visit: impl FnMut(Cached<'_>)) {
        each_of(&self.migration_tasks, &mut visit);
        each_of(&self.task_groups, &mut visit);
        each_of(&self.sync_tasks, &mut visit);
    }
}

fn each_of<K: Transfer>(stores: &[Store<DeserializeGuard<K>>], visit: &mut impl FnMut(Cached<'_>)) {
    for object in stores.iter().flat_map(Store::state) {
        let status = object.0.as_ref().ok().and_then(Transfer::status);
        visit(Cached { kind: K::KIND, meta: object.meta(), status });
    }
}
