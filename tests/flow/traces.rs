//! Traces, as a collector gets them: spans of passes with the calls and writes that they made, and no secret in any.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use oms_operator::api::Phase;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value as Any};
use opentelemetry_proto::tonic::trace::v1::{Span, span::SpanKind, status::StatusCode as Outcome};
use prost::Message as _;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::audit::refusal;
use crate::operator::OperatorFlags;
use crate::world::{LIMIT, Setup};

/// A collector on the loopback.
pub(crate) struct Collector {
    address: String,
    got: Arc<Mutex<Vec<(HeaderMap, Bytes)>>>,
    task: JoinHandle<()>,
}

impl Collector {
    pub(crate) async fn start() -> Self {
        let got: Arc<Mutex<Vec<(HeaderMap, Bytes)>>> = Arc::default();
        let kept = Arc::clone(&got);
        let take = move |headers: HeaderMap, body: Bytes| async move {
            kept.lock().unwrap().push((headers, body));
            (StatusCode::OK, ExportTraceServiceResponse::default().encode_to_vec())
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let app = Router::new().route("/v1/traces", post(take));
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { address, got, task }
    }

    /// Flags of an operator that sends its traces here.
    pub(crate) fn traced(&self) -> OperatorFlags {
        sending(&self.address)
    }

    /// Everything that came, read as text.
    pub(crate) fn text(&self) -> String {
        self.raw().iter().map(|(_, body)| String::from_utf8_lossy(body).into_owned()).collect()
    }

    /// Everything that came, as it came.
    fn raw(&self) -> Vec<(HeaderMap, Bytes)> {
        self.got.lock().unwrap().clone()
    }

    fn requests(&self) -> Vec<ExportTraceServiceRequest> {
        self.raw().into_iter().map(|(_, body)| ExportTraceServiceRequest::decode(body).unwrap()).collect()
    }

    fn spans(&self) -> Vec<Span> {
        let resources = self.requests().into_iter().flat_map(|request| request.resource_spans);
        resources.flat_map(|resource| resource.scope_spans).flat_map(|scope| scope.spans).collect()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn fields(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |value: &Any| match value {
        Any::StringValue(text) => text.clone(),
        Any::IntValue(number) => number.to_string(),
        Any::BoolValue(truth) => truth.to_string(),
        other => format!("{other:?}"),
    };
    let value = |field: &KeyValue| field.value.as_ref().and_then(|value| value.value.as_ref()).map(text);
    attributes.iter().map(|field| (field.key.clone(), value(field).unwrap_or_default())).collect()
}

fn field(span: &Span, name: &str) -> String {
    fields(&span.attributes).remove(name).unwrap_or_default()
}

/// An operator that sends its traces to an address.
fn sending(address: &str) -> OperatorFlags {
    OperatorFlags::default()
        .knowing("OTEL_EXPORTER_OTLP_ENDPOINT", address)
        .knowing("OTEL_BSP_SCHEDULE_DELAY", "100")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_gets_a_span_per_pass_with_its_calls_and_writes_below_it() {
    let collector = Collector::start().await;
    let flags = collector
        .traced()
        .knowing("OTEL_SERVICE_NAME", "migrations")
        .knowing("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=test")
        .knowing("OTEL_EXPORTER_OTLP_HEADERS", "x-team=storage");
    // What the log lines are about does not matter.
    let flags = OperatorFlags { log: "error", ..flags };
    let mut world = Setup::default().operated(flags).start().await;
    world.put_objects(3).await;
    let photos = world.migration("photos").apply().await;
    photos.wait_phase(Phase::Succeeded).await;
    let id = photos.status().await.task_id.unwrap();
    world.fault(refusal()).await;
    world.migration("refused").apply().await.wait_phase(Phase::Failed).await;
    photos.delete().await;
    photos.wait_gone().await;
    // The last spans are sent at the end, within its time.
    let ended = world.operator().terminate(Duration::from_secs(10)).await;
    assert!(ended.is_some_and(|status| status.success()), "{ended:?}");

    let spans = collector.spans();
    let by_id: BTreeMap<_, _> = spans.iter().map(|span| (span.span_id.clone(), span)).collect();
    let passes: Vec<_> = spans
        .iter()
        .filter(|span| span.name == "pass MigrationTask" && field(span, "name") == "photos")
        .collect();
    assert!(passes.iter().all(|pass| pass.parent_span_id.is_empty()), "a pass is the root of its trace");
    assert!(passes.iter().all(|pass| field(pass, "namespace") == world.namespace));
    let below = |pass: &Span| -> Vec<&Span> {
        spans.iter().filter(|span| span.parent_span_id == pass.span_id).collect()
    };
    let of_step = |step: &str| -> Vec<&Span> {
        let mut found = passes.clone();
        found.retain(|pass| field(pass, "step") == step);
        found
    };
    // Finalizer, intent and mark, create: each a pass of its own.
    let finalizer = of_step("AddFinalizer");
    assert_eq!(
        below(finalizer[0]).iter().map(|span| span.name.as_str()).collect::<Vec<_>>(),
        ["patch MigrationTask"]
    );
    let created = spans
        .iter()
        .filter(|span| span.name == "CreateTask")
        .find(|span| by_id.get(&span.parent_span_id).is_some_and(|pass| field(pass, "name") == "photos"));
    let created = created.unwrap_or_else(|| panic!("{spans:#?}"));
    let pass = by_id[&created.parent_span_id];
    assert_eq!((field(pass, "step").as_str(), field(pass, "generation").as_str()), ("Create", "1"));
    assert_eq!(created.trace_id, pass.trace_id);
    assert_eq!(created.kind(), SpanKind::Client);
    let journal = world.journal("CreateTask").await;
    let entry = journal.iter().find(|entry| entry["task"] == json!(id)).unwrap();
    assert_eq!(json!(field(created, "request_id")), entry["requestId"]);
    for (name, value) in [("outcome", "ok"), ("attempts", "1"), ("http.response.status_code", "200")] {
        assert_eq!(field(created, name), value, "{created:#?}");
    }
    assert!(created.start_time_unix_nano >= pass.start_time_unix_nano);
    assert!(created.end_time_unix_nano <= pass.end_time_unix_nano);
    let deleted = of_step("Delete");
    assert!(
        deleted.iter().any(|pass| below(pass).iter().any(|span| span.name == "DeleteTask")),
        "{deleted:#?}"
    );
    let writes = passes.iter().flat_map(|pass| below(pass));
    assert!(writes.filter(|span| span.name == "update_status MigrationTask").count() >= 3);
    // A refusal is an error of the call, with its code, and none of the pass.
    let refused = spans
        .iter()
        .find(|span| span.name == "CreateTask" && field(span, "outcome") != "ok")
        .unwrap_or_else(|| panic!("{spans:#?}"));
    let entry = world.journal("CreateTask").await;
    let entry = entry.iter().find(|entry| entry["outcome"] != "ok").unwrap().clone();
    assert_eq!(json!(field(refused, "code")), entry["outcome"]);
    assert_eq!(refused.status.as_ref().unwrap().code(), Outcome::Error);
    assert_eq!(field(by_id[&refused.parent_span_id], "outcome"), "ok");

    let requests = collector.requests();
    let resource = fields(&requests[0].resource_spans[0].resource.as_ref().unwrap().attributes);
    for (name, value) in [
        ("service.name", "migrations"),
        ("deployment.environment", "test"),
        ("service.version", env!("CARGO_PKG_VERSION")),
    ] {
        assert_eq!(resource.get(name).map(String::as_str), Some(value), "{resource:#?}");
    }
    assert!(collector.raw().iter().all(|(headers, _)| headers["x-team"] == "storage"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_never_answers_holds_up_nothing_and_is_told_of_once() {
    // It takes connections and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", silent.local_addr().unwrap());
    let flags = sending(&address).knowing("OTEL_EXPORTER_OTLP_TIMEOUT", "500");
    let mut world = Setup::default().operated(flags).start().await;
    world.put_objects(3).await;
    for number in 0..3 {
        let name = format!("photos-{number}");
        let prefix = format!("{number}/");
        world
            .migration(&name)
            .with("/destination/prefix", prefix)
            .apply()
            .await
            .wait_phase(Phase::Succeeded)
            .await;
    }
    let operator = &world.operators[0];
    operator.wait_log("the collector of traces takes nothing; spans are dropped").await;
    assert_eq!(operator.log().matches("the collector of traces takes nothing").count(), 1);
    let ended = world.operator().terminate(Duration::from_secs(10)).await;
    assert!(ended.is_some_and(|status| status.success()), "{ended:?}");
    drop(silent);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_variable_nothing_is_sent_and_one_that_cannot_be_followed_is_told() {
    let collector = Collector::start().await;
    let flags = OperatorFlags::default()
        .knowing("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.address)
        .knowing("OTEL_TRACES_EXPORTER", "none");
    let mut world = Setup::default().operated(flags).start().await;
    world.put_objects(1).await;
    world.migration("photos").apply().await.wait_phase(Phase::Succeeded).await;
    assert!(world.operator().terminate(LIMIT).await.is_some_and(|status| status.success()));
    assert_eq!(collector.raw().len(), 0);
    assert!(!world.operators[0].log().contains("traces"));

    let flags = collector.traced().knowing("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");
    let second = world.start_operator(&flags).await;
    let log = world.operators[second].log();
    let told: Vec<_> = log.lines().filter(|line| line.contains("no traces are sent")).collect();
    assert!(told.len() == 1 && told[0].contains("`OTEL_EXPORTER_OTLP_PROTOCOL` is"), "{log}");
}
