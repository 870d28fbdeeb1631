//! What the operator tells about itself: its HTTP surface, its log lines, and its events on a real API server.
#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod described;
mod lint;
mod metrics;
mod openmetrics;

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use oms_operator::telemetry::logging::{self, Format};
use oms_operator::telemetry::{Health, Metrics, http};
use reqwest::StatusCode;

const ANY: &str = "127.0.0.1:0";

fn http_client() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().build().unwrap()
}

async fn get(client: &reqwest::Client, url: String) -> (StatusCode, String) {
    let answer = client.get(url).send().await.unwrap();
    (answer.status(), answer.text().await.unwrap())
}

#[tokio::test]
async fn health_follows_progress_and_readiness_follows_the_caches() {
    let health = Health::new();
    let bound = http::serve(ANY.parse().unwrap(), Metrics::new(), health.clone()).await.unwrap();
    let client = http_client();
    let look = |path: &str| get(&client, format!("http://{bound}{path}"));

    assert_eq!(look("/healthz").await, (StatusCode::OK, "ok\n".to_owned()));
    assert_eq!(look("/readyz").await.0, StatusCode::SERVICE_UNAVAILABLE);
    health.set_ready();
    assert_eq!(look("/readyz").await, (StatusCode::OK, "ok\n".to_owned()));

    let hung = health.component("hung", Duration::ZERO);
    let _fine = health.component("fine", Duration::from_hours(1));
    let (status, text) = look("/healthz").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(text.starts_with("component `hung` made no progress"), "{text}");
    assert!(!text.contains("fine"), "{text}");
    assert_eq!(look("/readyz").await.0, StatusCode::OK, "a hung part is a reason to restart, not to unlist");
    hung.rest();
    assert_eq!(look("/healthz").await.0, StatusCode::OK);
    health.set_unready();
    assert_eq!(look("/readyz").await.0, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn metrics_are_served_in_the_format_that_is_asked_for() {
    let metrics = Metrics::new();
    let bound = http::serve(ANY.parse().unwrap(), metrics.clone(), Health::new()).await.unwrap();
    metrics.set_leader(true);
    for (accept, media_type) in [
        ("application/openmetrics-text;version=1.0.0,text/plain;q=0.5", "application/openmetrics-text"),
        ("*/*", "text/plain; version=0.0.4"),
    ] {
        let request = http_client().get(format!("http://{bound}/metrics")).header("accept", accept);
        let answer = request.send().await.unwrap();
        let told = answer.headers()["content-type"].to_str().unwrap().to_owned();
        assert!(told.starts_with(media_type), "{told}");
        let text = answer.text().await.unwrap();
        assert!(text.lines().any(|line| line == "oms_operator_leader 1"), "{text}");
        assert_eq!(text.ends_with("# EOF\n"), media_type.contains("openmetrics"), "{text}");
    }
}

#[tokio::test]
async fn an_address_that_is_taken_is_an_error() {
    let bound = http::serve(ANY.parse().unwrap(), Metrics::new(), Health::new()).await.unwrap();
    let again = http::serve(bound, Metrics::new(), Health::new()).await.unwrap_err();
    assert_eq!(again.kind(), io::ErrorKind::AddrInUse);
}

#[test]
fn the_ready_file_names_an_address_that_can_be_called() {
    let file =
        std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("ready-{}.json", std::process::id()));
    http::write_ready_file(&file, "0.0.0.0:8080".parse().unwrap()).unwrap();
    let written: serde_json::Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!(written, serde_json::json!({ "metrics": "http://127.0.0.1:8080" }));
    http::write_ready_file(&file, "[::]:9090".parse().unwrap()).unwrap();
    let written: serde_json::Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!(written, serde_json::json!({ "metrics": "http://[::1]:9090" }), "an older file is replaced");
    std::fs::remove_file(&file).unwrap();
    let missing = file.join("in-a-folder-that-is-none");
    assert!(http::write_ready_file(&missing, "0.0.0.0:8080".parse().unwrap()).is_err());
}

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What is logged by `act`.
fn logged(format: Format, filter: &str, act: impl FnOnce()) -> String {
    let lines = Lines::default();
    let writer = lines.clone();
    let (subscriber, _) =
        logging::subscriber(format, filter, move || writer.clone(), false, Vec::new()).unwrap();
    tracing::subscriber::with_default(subscriber, act);
    let bytes = lines.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn a_json_log_line_is_one_object_with_its_fields_and_those_of_its_span() {
    let text = logged(Format::Json, "info", || {
        let span = tracing::info_span!("pass", object = "media/photos");
        let _entered = span.enter();
        tracing::info!(kind = "MigrationTask", name = "photos", text = "two\nlines", "task created");
        tracing::debug!("not asked for");
    });
    let lines: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 1, "{text}");
    let line = &lines[0];
    for (field, value) in [
        ("/level", "INFO"),
        ("/message", "task created"),
        ("/kind", "MigrationTask"),
        ("/name", "photos"),
        ("/text", "two\nlines"),
        ("/span/object", "media/photos"),
    ] {
        assert_eq!(line.pointer(field).and_then(|value| value.as_str()), Some(value), "{field} in {text}");
    }
    let time: jiff::Timestamp = line["timestamp"].as_str().unwrap().parse().unwrap();
    assert!(jiff::Timestamp::now().duration_since(time).as_secs().abs() < 3600);
}

#[test]
fn text_lines_follow_the_filter() {
    let text = logged(Format::Text, "warn,telemetry=debug", || {
        tracing::info!(target: "elsewhere", "too quiet");
        tracing::warn!(target: "elsewhere", "loud enough");
        tracing::debug!("ours");
    });
    assert!(text.contains("loud enough") && text.contains("ours") && !text.contains("too quiet"), "{text}");
    assert!(!text.contains('\u{1b}'), "{text:?}");
}

#[cfg(feature = "dev")]
mod events {
    use std::path::Path;

    use k8s_openapi::api::core::v1::{ConfigMap, Namespace, ObjectReference};
    use k8s_openapi::api::events::v1::Event;
    use kube::api::{ListParams, PostParams};
    use kube::{Api, Client, Resource as _, ResourceExt as _};
    use oms_operator::dev::ControlPlane;
    use oms_operator::telemetry::metrics::Format;
    use oms_operator::telemetry::{EventKind, Events, Metrics};

    struct Stage {
        client: Client,
        namespace: String,
        metrics: Metrics,
        events: Events,
    }

    impl Stage {
        async fn new() -> Self {
            let plane = ControlPlane::shared(Path::new(env!("CARGO_BIN_EXE_oms-dev"))).unwrap();
            let client = plane.client().await.unwrap();
            let namespace = create_namespace(&client).await;
            let metrics = Metrics::new();
            let events = Events::new(client.clone(), "oms-operator", "replica-1", metrics.clone());
            Self { client, namespace, metrics, events }
        }

        async fn object(&self, name: &str) -> ObjectReference {
            let mut object = ConfigMap::default();
            object.metadata.name = Some(name.to_owned());
            let objects = Api::<ConfigMap>::namespaced(self.client.clone(), &self.namespace);
            objects.create(&PostParams::default(), &object).await.unwrap().object_ref(&())
        }

        async fn published(&self, namespace: &str) -> Vec<Event> {
            self.events.flush().await;
            let events = Api::<Event>::namespaced(self.client.clone(), namespace);
            events.list(&ListParams::default()).await.unwrap().items
        }

        fn dropped(&self) -> String {
            let text = self.metrics.render(Format::Classic);
            text.lines()
                .find(|line| line.starts_with("oms_operator_dropped_events_total"))
                .unwrap()
                .to_owned()
        }
    }

    async fn create_namespace(client: &Client) -> String {
        let mut namespace = Namespace::default();
        namespace.metadata.generate_name = Some("telemetry-".to_owned());
        Api::all(client.clone()).create(&PostParams::default(), &namespace).await.unwrap().name_any()
    }

    #[tokio::test]
    async fn an_event_says_what_happened_to_which_object_and_repeats_are_one_series() {
        let stage = Stage::new().await;
        let object = stage.object("photos").await;
        stage.events.publish(&object, EventKind::Normal, "TaskCreated", "Create", "task 42 was created");
        stage.events.publish(&object, EventKind::Normal, "TaskCreated", "Create", "task 42 was created");
        let published = stage.published(&stage.namespace).await;
        assert_eq!(published.len(), 1);
        let event = &published[0];
        assert_eq!(event.type_.as_deref(), Some("Normal"));
        assert_eq!(event.reason.as_deref(), Some("TaskCreated"));
        assert_eq!(event.note.as_deref(), Some("task 42 was created"));
        assert_eq!(event.reporting_controller.as_deref(), Some("oms-operator"));
        assert_eq!(event.regarding.as_ref().unwrap().uid, object.uid);
        assert_eq!(event.series.as_ref().unwrap().count, 2);
        assert_eq!(stage.dropped(), "oms_operator_dropped_events_total 0");
    }

    #[tokio::test]
    async fn notes_and_names_of_any_length_are_published() {
        let stage = Stage::new().await;
        let name = format!("{}.{}", "a".repeat(235), "b".repeat(17));
        let object = stage.object(&name).await;
        stage.events.publish(&object, EventKind::Warning, "Refused", "Create", "ü".repeat(5000));
        let published = stage.published(&stage.namespace).await;
        assert_eq!(published.len(), 1, "{}", stage.dropped());
        assert_eq!(published[0].regarding.as_ref().unwrap().name, Some(name));
        assert!(published[0].note.as_ref().unwrap().ends_with("ü…"));
    }

    #[tokio::test]
    async fn what_is_left_behind_is_told_in_the_operators_own_namespace() {
        let stage = Stage::new().await;
        let own = create_namespace(&stage.client).await;
        let subject = stage.object("photos").await;
        let note = "task 42 of media/photos is left at OMS";
        stage.events.publish_in(&own, &subject, EventKind::Warning, "CleanupAbandoned", "Delete", note);
        let published = stage.published(&own).await;
        assert_eq!(published.len(), 1, "{}", stage.dropped());
        assert_eq!(published[0].note.as_deref(), Some(note));
        assert_eq!(published[0].related.as_ref().unwrap().uid, subject.uid);
    }

    #[tokio::test]
    async fn an_event_that_the_api_refuses_is_counted_and_the_next_one_is_published() {
        let stage = Stage::new().await;
        let object = stage.object("photos").await;
        let gone = ObjectReference { namespace: Some("no-such-namespace".to_owned()), ..object.clone() };
        stage.events.publish(&gone, EventKind::Normal, "TaskCreated", "Create", "lost");
        stage.events.publish(&object, EventKind::Normal, "TaskCreated", "Create", "kept");
        let published = stage.published(&stage.namespace).await;
        assert_eq!(published.len(), 1);
        assert_eq!(published[0].note.as_deref(), Some("kept"));
        assert_eq!(stage.dropped(), "oms_operator_dropped_events_total 1");
    }
}
