//! The audit: one line for every request that may have changed something at OMS.
//!
//! It has a target of its own, so that a collector can keep it elsewhere and longer than the other lines. What it holds
//! are names, numbers and codes: no body, no answer's text, no key.

/// Target of the lines.
pub const TARGET: &str = "oms_operator::audit";

/// A request that left for OMS and is meant to change something there.
#[derive(Clone, Debug, Default)]
pub struct Mutation<'a> {
    /// Kind of the object that it was made for.
    pub kind: &'a str,
    /// Its namespace; none for one of the cluster.
    pub namespace: Option<&'a str>,
    /// Its name.
    pub name: &'a str,
    /// Its UID.
    pub uid: &'a str,
    /// Generation of its spec.
    pub generation: Option<i64>,
    /// The connection that was used, such as `Connection/default`.
    pub connection: &'a str,
    /// Where the credentials came from, as in `status.credentials.source` of the connection.
    pub credentials: &'a str,
    /// The Secret that they were read from, if any, and its version.
    pub secret: Option<(&'a str, &'a str)>,
    /// What the plan wanted.
    pub step: &'a str,
    /// Reason of the object's `Ready` condition when the call was made.
    pub reason: Option<&'a str>,
    /// Name of the operation in the API reference.
    pub operation: &'a str,
    /// HTTP method.
    pub method: &'a str,
    /// Address of OMS.
    pub endpoint: &'a str,
    /// Path below it.
    pub path: &'a str,
    /// ID of the task, group or sync task; of a new one as far as the answer told it.
    pub task: Option<&'a str>,
    /// OMS's ID of the request.
    pub request_id: Option<&'a str>,
    /// HTTP status of the answer.
    pub status: Option<u16>,
    /// `ok`, the class of the error, `lostReply` or `abandoned`.
    pub outcome: &'a str,
    /// Error code of OMS.
    pub code: Option<&'a str>,
    /// From the signature to the end of the answer.
    pub milliseconds: u64,
}

/// Writes the line of a request.
pub fn write(of: &Mutation<'_>) {
    tracing::info!(
        target: TARGET,
        kind = of.kind,
        namespace = of.namespace,
        name = of.name,
        uid = of.uid,
        generation = of.generation,
        connection = of.connection,
        credentials = of.credentials,
        secret = of.secret.map(|(name, _)| name),
        secret_version = of.secret.map(|(_, version)| version),
        step = of.step,
        reason = of.reason,
        operation = of.operation,
        method = of.method,
        endpoint = of.endpoint,
        path = of.path,
        task = of.task,
        request_id = of.request_id,
        status = of.status,
        outcome = of.outcome,
        code = of.code,
        milliseconds = of.milliseconds,
        "asked OMS for a change"
    );
}
