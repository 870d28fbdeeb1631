//! The few calls to the Kubernetes API, each bounded in time; a write is conditional on what was read, and only a leader
//! makes it.

use std::fmt::Debug;
use std::future::Future;
use std::time::Duration;

use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use tracing::{Instrument as _, Span};

use super::{Engine, Error, audit};
use crate::api;
use crate::telemetry::traces;

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
pub(super) async fn set_finalizers<K>(
    engine: &Engine,
    api: &Api<K>,
    object: &K,
    finalizers: &[String],
) -> Result<K, Error>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
{
    engine.must_lead()?;
    let patch = Patch::Merge(json!({
        "metadata": { "resourceVersion": object.resource_version(), "finalizers": finalizers }
    }));
    let name = object.name_any();
    let params = PatchParams { field_manager: Some(api::MANAGER.into()), ..PatchParams::default() };
    let written =
        bounded(api.patch(&name, &params, &patch), |source| Error::Write { what: "the finalizer", source });
    traced(traces::write(&audit::kind_of(object), "patch"), written).await.map(without_managers)
}

/// Replaces the status; the object carries the resourceVersion that the status was decided on.
pub(super) async fn replace_status<K>(engine: &Engine, api: &Api<K>, object: &K) -> Result<K, Error>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Serialize,
{
    engine.must_lead()?;
    let name = object.name_any();
    let params = PostParams { field_manager: Some(api::MANAGER.into()), ..PostParams::default() };
    let written = bounded(api.replace_status(&name, &params, object), |source| Error::Write {
        what: "the status",
        source,
    });
    traced(traces::write(&audit::kind_of(object), "update_status"), written).await.map(without_managers)
}

/// What was written stays in memory until the cache has it, and nobody here reads who manages which field, which is the
/// larger part of an object. The caches leave it out, too.
fn without_managers<K: Resource>(mut stored: K) -> K {
    stored.meta_mut().managed_fields = None;
    stored
}

/// Runs a write, or a pass, in its span.
pub(super) async fn traced<T>(span: Span, doing: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let done = doing.instrument(span.clone()).await;
    traces::ended(&span, done.as_ref().map_or_else(Error::label, |_| "ok"));
    done
}
