//! The few calls to the Kubernetes API, each bounded in time and conditional on what was read.

use std::fmt::Debug;
use std::future::Future;
use std::time::Duration;

use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::Error;
use crate::api;

/// How long a call to the API server may take.
const LIMIT: Duration = Duration::from_secs(15);

/// Bounds a call; the client's own retries could take minutes.
pub(super) async fn bounded<T>(
    call: impl Future<Output = Result<T, kube::Error>>,
    wrap: impl FnOnce(kube::Error) -> Error,
) -> Result<T, Error> {
    tokio::time::timeout(LIMIT, call).await.map_err(|_| Error::KubernetesTimeout)?.map_err(wrap)
}

/// Sets the finalizers, if the object is still the one that was read.
pub(super) async fn set_finalizers<K>(api: &Api<K>, object: &K, finalizers: &[String]) -> Result<K, Error>
where
    K: Resource + Clone + Debug + DeserializeOwned,
{
    let patch = json!({
        "metadata": { "resourceVersion": object.resource_version(), "finalizers": finalizers }
    });
    let name = object.name_any();
    let params = PatchParams { field_manager: Some(api::MANAGER.into()), ..PatchParams::default() };
    bounded(api.patch(&name, &params, &Patch::Merge(patch)), |source| Error::Write {
        what: "the finalizer",
        source,
    })
    .await
}

/// Replaces the status; the object carries the resourceVersion that the status was decided on.
pub(super) async fn replace_status<K>(api: &Api<K>, object: &K) -> Result<K, Error>
where
    K: Resource + Clone + Debug + DeserializeOwned + Serialize,
{
    let name = object.name_any();
    let params = PostParams { field_manager: Some(api::MANAGER.into()), ..PostParams::default() };
    bounded(api.replace_status(&name, &params, object), |source| Error::Write { what: "the status", source })
        .await
}
