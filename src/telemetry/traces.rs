//! Traces: a span per pass, with the calls to OMS and the writes to Kubernetes that it made below it.
//!
//! They are sent with OTLP over HTTP by a binary with the feature `otlp`, when the standard variables of OpenTelemetry ask
//! for it. Without the feature nothing of it is compiled in, and every span here is none.

use tracing::Span;

#[cfg(feature = "otlp")]
mod otlp;
#[cfg(not(feature = "otlp"))]
#[path = "traces/without.rs"]
mod otlp;

use self::otlp::Exporter;

/// Target of the spans. The calls to OMS are spans of this target too.
pub const TARGET: &str = "oms_operator::trace";

/// Whether the environment asks for traces; the error says which variable cannot be followed.
pub fn wanted(variable: impl Fn(&str) -> Option<String>) -> Result<bool, String> {
    let given =
        |name: &str| variable(name).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    if given("OTEL_SDK_DISABLED").is_some_and(|text| text.eq_ignore_ascii_case("true")) {
        return Ok(false);
    }
    let addresses = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];
    match given("OTEL_TRACES_EXPORTER").as_deref() {
        None => {
            if addresses.into_iter().all(|name| given(name).is_none()) {
                return Ok(false);
            }
        }
        Some("none") => return Ok(false),
        Some("otlp") => {}
        Some(other) => {
            return Err(format!(
                "`OTEL_TRACES_EXPORTER` is {other:?}; write `otlp`, or `none` for no traces"
            ));
        }
    }
    for name in ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"] {
        match given(name).as_deref() {
            None => {}
            Some("http/protobuf") => break,
            Some(other) => {
                return Err(format!(
                    "`{name}` is {other:?}; the operator speaks `http/protobuf` alone, mostly on port 4318"
                ));
            }
        }
    }
    Ok(true)
}

/// The way of spans to the collector, if there is one.
pub struct Traces {
    exporter: Option<Exporter>,
    /// What to say about it once lines are logged.
    trouble: Option<String>,
}

impl Traces {
    /// Sets up what the environment asks for; call it inside of the runtime. It never fails: an operator without traces
    /// works as well, and [`Traces::tell`] says what is wrong.
    pub fn from_environment() -> Self {
        let wanted = wanted(|name| std::env::var(name).ok());
        match wanted.and_then(|wanted| wanted.then(Exporter::open).transpose()) {
            Ok(exporter) => Self { exporter, trouble: None },
            Err(trouble) => Self { exporter: None, trouble: Some(trouble) },
        }
    }

    /// What hears of spans besides the log lines.
    pub fn listeners(&self) -> Vec<super::logging::Listener> {
        self.exporter.iter().map(Exporter::listener).collect()
    }

    /// Says in one line that traces are on, or why they are not although they were asked for.
    pub fn tell(&self) {
        if self.exporter.is_some() {
            tracing::info!("traces are sent");
        }
        if let Some(trouble) = &self.trouble {
            tracing::warn!(trouble, "no traces are sent although they are asked for");
        }
    }

    /// Sends what is left, within a short time; call it while the runtime still runs, from outside of it.
    pub fn close(self) {
        if let Some(exporter) = self.exporter {
            exporter.close();
        }
    }
}

/// A span of a pass.
#[cfg_attr(not(feature = "otlp"), expect(unused_variables, reason = "there are no spans"))]
pub fn pass(kind: &str, namespace: Option<&str>, name: &str, generation: Option<i64>) -> Span {
    #[cfg(feature = "otlp")]
    return tracing::info_span!(
        target: TARGET,
        "pass",
        otel.name = format!("pass {kind}"),
        kind,
        namespace,
        name,
        generation,
        step = tracing::field::Empty,
        outcome = tracing::field::Empty,
        otel.status_code = tracing::field::Empty,
    );
    #[cfg(not(feature = "otlp"))]
    Span::none()
}

/// A span of a write to Kubernetes.
#[cfg_attr(not(feature = "otlp"), expect(unused_variables, reason = "there are no spans"))]
pub fn write(kind: &str, verb: &str) -> Span {
    #[cfg(feature = "otlp")]
    return tracing::info_span!(
        target: TARGET,
        "write",
        otel.name = format!("{verb} {kind}"),
        otel.kind = "client",
        kind,
        verb,
        outcome = tracing::field::Empty,
        otel.status_code = tracing::field::Empty,
    );
    #[cfg(not(feature = "otlp"))]
    Span::none()
}

/// Notes on the span of a pass what its plan wants.
pub fn step(span: &Span, step: &str) {
    span.record("step", step);
}

/// Notes on a span how it ended: `ok`, or a short word for the error.
pub fn ended(span: &Span, outcome: &str) {
    span.record("outcome", outcome);
    if outcome != "ok" {
        span.record("otel.status_code", "ERROR");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(variables: &[(&str, &str)]) -> Result<bool, String> {
        wanted(|name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn traces_are_off_unless_a_variable_asks_for_them() {
        for variables in [
            &[][..],
            &[("OTEL_EXPORTER_OTLP_ENDPOINT", "")],
            &[("OTEL_SERVICE_NAME", "x")],
            &[("OTEL_TRACES_EXPORTER", "none"), ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318")],
            &[("OTEL_SDK_DISABLED", "true"), ("OTEL_TRACES_EXPORTER", "otlp")],
        ] {
            assert_eq!(asked(variables), Ok(false), "{variables:?}");
        }
        for variables in [
            &[("OTEL_TRACES_EXPORTER", "otlp")][..],
            &[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318")],
            &[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://c:4318/v1/traces")],
            &[("OTEL_TRACES_EXPORTER", "otlp"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")],
        ] {
            assert_eq!(asked(variables), Ok(true), "{variables:?}");
        }
    }

    #[test]
    fn what_cannot_be_followed_is_told_with_its_variable() {
        let zipkin = asked(&[("OTEL_TRACES_EXPORTER", "zipkin")]).unwrap_err();
        assert!(zipkin.contains("`OTEL_TRACES_EXPORTER` is \"zipkin\"; write `otlp`"), "{zipkin}");
        let grpc =
            asked(&[("OTEL_TRACES_EXPORTER", "otlp"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]).unwrap_err();
        assert!(grpc.contains("`OTEL_EXPORTER_OTLP_PROTOCOL` is \"grpc\""), "{grpc}");
    }
}
