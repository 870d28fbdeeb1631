//! Spans on their way to a collector: batched on a thread of their own, dropped when there are too many, sent over the
//! HTTP client that the operator has anyway. Nothing of it holds up a pass.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{SpanExporter, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::resource::{
    EnvResourceDetector, SdkProvidedResourceDetector, TelemetryResourceDetector,
};
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::runtime::Handle;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::{LevelFilter, filter_fn};

use super::TARGET;
use crate::telemetry::logging::Listener;

/// Who the operator is where no variable says it.
const SERVICE: &str = "oms-operator";

/// How long one request may take where no variable says it.
const REQUEST: Duration = Duration::from_secs(10);

/// How long the last spans may take.
const LAST: Duration = Duration::from_secs(2);

/// The way to a collector.
pub(super) struct Exporter {
    provider: SdkTracerProvider,
}

impl Exporter {
    /// Sets it up as the variables say; nothing is sent yet.
    pub(super) fn open() -> Result<Self, String> {
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(request_limit())
            .build()
            .map_err(|error| error.to_string())?;
        let client = Collector { http, runtime: Handle::current(), fails: AtomicBool::new(false) };
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(client)
            .build()
            .map_err(|error| error.to_string())?;
        let provider =
            SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource()).build();
        Ok(Self { provider })
    }

    /// What hears of the spans, and of nothing else: log lines do not become events of them.
    pub(super) fn listener(&self) -> Listener {
        tracing_opentelemetry::layer()
            .with_tracer(self.provider.tracer(SERVICE))
            .with_context_activation(false)
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            .with_target(false)
            .with_filter(filter_fn(|of| of.target() == TARGET).with_max_level_hint(LevelFilter::INFO))
            .boxed()
    }

    /// Sends what is left.
    pub(super) fn close(self) {
        if let Err(error) = self.provider.shutdown_with_timeout(LAST) {
            tracing::debug!(%error, "the last spans were not sent");
        }
    }
}

fn given(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|text| !text.trim().is_empty())
}

fn request_limit() -> Duration {
    ["OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"]
        .into_iter()
        .find_map(|name| given(name)?.trim().parse().ok())
        .map_or(REQUEST, Duration::from_millis)
}

/// Who sends the spans; `OTEL_RESOURCE_ATTRIBUTES` and `OTEL_SERVICE_NAME` win.
fn resource() -> Resource {
    let detected = Resource::builder_empty()
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .with_detectors(&[
            Box::new(TelemetryResourceDetector),
            Box::new(SdkProvidedResourceDetector),
            Box::new(EnvResourceDetector::new()),
        ]);
    let named = given("OTEL_SERVICE_NAME").is_some()
        || given("OTEL_RESOURCE_ATTRIBUTES").is_some_and(|text| text.contains("service.name="));
    if named { detected.build() } else { detected.with_service_name(SERVICE).build() }
}

/// The collector as the exporter's thread calls it, on the operator's own runtime.
#[derive(Debug)]
struct Collector {
    http: reqwest::Client,
    runtime: Handle,
    fails: AtomicBool,
}

impl Collector {
    /// Says once that it fails, and once that it works again.
    fn note(&self, trouble: Option<&str>) {
        match (trouble, self.fails.swap(trouble.is_some(), Ordering::Relaxed)) {
            (Some(trouble), false) => {
                tracing::warn!(error = trouble, "the collector of traces takes nothing; spans are dropped");
            }
            (None, true) => tracing::info!("the collector of traces takes spans again"),
            _ => {}
        }
    }
}

#[async_trait::async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let http = self.http.clone();
        let sent = self.runtime.spawn(async move {
            // The address can hold a password, which errors would show.
            let request = reqwest::Request::try_from(request).map_err(reqwest::Error::without_url)?;
            http.execute(request).await.map_err(reqwest::Error::without_url)
        });
        let answer = match sent.await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => {
                let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
                self.note(Some(&format!("{error}{}", cause.unwrap_or_default())));
                return Err(error.into());
            }
            Err(error) => return Err(error.into()),
        };
        let status = answer.status();
        self.note((!status.is_success()).then(|| format!("HTTP status {status}")).as_deref());
        let mut response = Response::new(Bytes::new());
        *response.status_mut() = status;
        if let Some(wait) = answer.headers().get(http::header::RETRY_AFTER) {
            response.headers_mut().insert(http::header::RETRY_AFTER, wait.clone());
        }
        Ok(response)
    }
}
