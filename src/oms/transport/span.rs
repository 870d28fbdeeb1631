//! The span of a call, below that of the pass that makes it. There is none without the feature `otlp`.

use tracing::Span;

use super::{Answer, Call};
use crate::oms::error::Error;

/// Target of the spans, as in the operator's other ones.
#[cfg(feature = "otlp")]
const TARGET: &str = "oms_operator::trace";

/// A span, and what is noted on it at the end.
pub(super) struct Noted {
    span: Span,
    attempts: u64,
    status: Option<u16>,
    request_id: Option<String>,
}

impl Noted {
    /// A span of a call, from its wait for the budget on.
    pub(super) fn of(call: &Call<'_>, host: &str) -> Self {
        Self { span: begin(call, host), attempts: 0, status: None, request_id: None }
    }

    /// The span.
    pub(super) fn span(&self) -> Span {
        self.span.clone()
    }

    /// A request was sent, and answered or not.
    pub(super) fn answered(&mut self, answer: Option<&Answer>) {
        if self.span.is_disabled() {
            return;
        }
        self.attempts += 1;
        self.status = answer.map(|answer| answer.status);
        self.request_id = answer.and_then(|answer| answer.request_id.clone());
    }

    /// What came of the call.
    pub(super) fn end(self, error: Option<&Error>) {
        let Self { span, attempts, status, request_id } = self;
        if span.is_disabled() {
            return;
        }
        span.record("attempts", attempts);
        span.record("outcome", error.map_or("ok", |error| error.class().as_str()));
        if let Some(status) = status {
            span.record("http.response.status_code", status);
        }
        if let Some(request_id) = error.and_then(Error::request_id).or(request_id.as_deref()) {
            span.record("request_id", request_id);
        }
        if let Some(code) = error.and_then(Error::code) {
            span.record("code", code);
        }
        if error.is_some() {
            span.record("otel.status_code", "ERROR");
        }
    }
}

#[cfg_attr(not(feature = "otlp"), expect(unused_variables, reason = "there are no spans"))]
fn begin(call: &Call<'_>, host: &str) -> Span {
    #[cfg(feature = "otlp")]
    return tracing::info_span!(
        target: TARGET,
        "call",
        otel.name = call.operation,
        otel.kind = "client",
        operation = call.operation,
        http.request.method = call.method.as_str(),
        server.address = host,
        http.response.status_code = tracing::field::Empty,
        attempts = tracing::field::Empty,
        outcome = tracing::field::Empty,
        code = tracing::field::Empty,
        request_id = tracing::field::Empty,
        otel.status_code = tracing::field::Empty,
    );
    #[cfg(not(feature = "otlp"))]
    Span::none()
}
