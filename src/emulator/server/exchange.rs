//! What went over the wire, for a program that embeds the emulator and wants to look at every call.

use std::{fmt, sync::Arc};

use axum::body::Bytes;

/// Is told of every call on the port of OMS and IAM that is answered, in the moment before the answer is sent. It is
/// called on the threads that serve the calls, several at a time, and holds its call up while it runs. A call whose
/// connection is cut has no answer and is not told.
pub type Observer = Arc<dyn Fn(&Exchange) + Send + Sync>;

/// A call and its answer. **The bodies of requests hold secrets**; `Debug` shows no body.
#[derive(Clone)]
pub struct Exchange {
    /// Operation, by its name in the API reference; `Unknown` where no operation has the path.
    pub operation: &'static str,
    /// HTTP method.
    pub method: String,
    /// Path, percent-encoded as it came.
    pub path: String,
    /// Query without the question mark, as it came; empty where there is none.
    pub query: String,
    /// Body of the request; empty where the call was answered before it was read, as some faults do.
    pub request_body: Bytes,
    /// HTTP status of the answer.
    pub status: u16,
    /// Body of the answer.
    pub response_body: Bytes,
    /// `Content-Type` of the answer; none where it has no body.
    pub content_type: Option<String>,
    /// A fault made the answer, and not the service.
    pub by_fault: bool,
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange")
            .field("operation", &self.operation)
            .field("method", &self.method)
            .field("path", &self.path)
            .field("status", &self.status)
            .field("by_fault", &self.by_fault)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_and_queries_do_not_show_in_debug_output() {
        let exchange = Exchange {
            operation: "CreateTask",
            method: "POST".to_owned(),
            path: "/v2/p/tasks".to_owned(),
            query: "planted=1".to_owned(),
            request_body: Bytes::from_static(b"planted"),
            status: 200,
            response_body: Bytes::from_static(b"planted"),
            content_type: None,
            by_fault: false,
        };
        let shown = format!("{exchange:?}");
        assert!(shown.contains("CreateTask") && !shown.contains("planted"), "{shown}");
    }
}
