//! For whom a pass calls OMS, and why: what the client knows of a request and what the pass knows of its object become one
//! line of the audit.
//!
//! A client is shared by all objects of a connection. So a pass carries its object along the task that it runs on, and the
//! client's observer, which is called on that task, finds it there.

use std::cell::RefCell;
use std::future::Future;
use std::sync::Arc;

use kube::{Resource, ResourceExt};

use crate::oms::{MutationObserver, MutationRecord};
use crate::telemetry::audit::{self, Mutation};

tokio::task_local! {
    static CAUSE: RefCell<Cause>;
}

/// An object, and what its pass is about to do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Cause {
    kind: String,
    namespace: Option<String>,
    name: String,
    uid: String,
    generation: Option<i64>,
    step: &'static str,
    reason: Option<String>,
}

impl Cause {
    /// An object whose pass begins.
    pub(super) fn of(object: &impl Resource<DynamicType = ()>) -> Self {
        Self {
            kind: kind_of(object),
            namespace: object.namespace(),
            name: object.name_any(),
            uid: object.uid().unwrap_or_default(),
            generation: object.meta().generation,
            step: "",
            reason: None,
        }
    }
}

/// The kind of an object, as Kubernetes writes it.
pub(super) fn kind_of<K: Resource<DynamicType = ()>>(_: &K) -> String {
    K::kind(&()).into_owned()
}

/// Runs a pass on behalf of an object.
pub(super) async fn on_behalf_of<T>(cause: Cause, pass: impl Future<Output = T>) -> T {
    CAUSE.scope(RefCell::new(cause), pass).await
}

/// Says why the calls to come are made: the step of the plan, and the reason that the object's status gives.
pub(super) fn because(step: &'static str, reason: Option<&str>) {
    // Outside of a pass there is nobody to say it of.
    let _ = CAUSE.try_with(|cause| {
        let mut cause = cause.borrow_mut();
        cause.step = step;
        cause.reason = reason.map(str::to_owned);
    });
}

/// Who calls.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    /// The connection, such as `Connection/default`.
    pub(super) connection: String,
    /// Where its credentials come from, as status names it.
    pub(super) credentials: &'static str,
    /// Name and version of the Secret that they were read from.
    pub(super) secret: Option<(String, String)>,
}

/// Writes the line of every request that is made as a caller.
pub(super) fn observer(caller: Caller) -> MutationObserver {
    Arc::new(move |record| {
        let cause = CAUSE.try_with(|cause| cause.borrow().clone()).unwrap_or_default();
        audit::write(&line(&caller, &cause, record));
    })
}

fn line<'a>(caller: &'a Caller, cause: &'a Cause, record: &'a MutationRecord<'a>) -> Mutation<'a> {
    Mutation {
        kind: &cause.kind,
        namespace: cause.namespace.as_deref(),
        name: &cause.name,
        uid: &cause.uid,
        generation: cause.generation,
        connection: &caller.connection,
        credentials: caller.credentials,
        secret: caller.secret.as_ref().map(|(name, version)| (name.as_str(), version.as_str())),
        step: cause.step,
        reason: cause.reason.as_deref(),
        operation: record.operation,
        method: record.method,
        endpoint: record.endpoint,
        path: record.path,
        task: record.subject,
        request_id: record.request_id,
        status: record.status,
        outcome: record.outcome,
        code: record.code,
        milliseconds: u64::try_from(record.duration.as_millis()).unwrap_or(u64::MAX),
    }
}
