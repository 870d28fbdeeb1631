//! Kubernetes events on transitions, published beside the work and never in its way.
//!
//! One worker publishes in order; a full queue or a failed call drops the event, counts it and logs it at debug.
//! Repeats within six minutes (same object, type, reason and action; the note is not compared) become one series
//! that keeps its first note, so numbers that change belong into status and not into notes.

use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event as K8sEvent;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::Client;
use kube::api::{Api, PostParams};
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use tokio::sync::{mpsc, oneshot};

use super::Metrics;

/// Longest note that the API accepts, in bytes.
const MAX_NOTE: usize = 1024;
/// Longest reason or action that the API accepts, in bytes.
const MAX_WORD: usize = 128;
/// Events that wait for the worker; more than these are dropped.
const QUEUE: usize = 1024;
/// One call's deadline.
const PUBLISH_TIMEOUT: Duration = Duration::from_secs(5);
/// An event's name is the object's name, a dot and 16 digits, 253 bytes in all.
const MAX_OBJECT_NAME: usize = 253 - 17;

/// How an event is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// For the record.
    Normal,
    /// Somebody should look.
    Warning,
}

/// Publishes events. Clones share one worker.
#[derive(Clone)]
pub struct Events {
    queue: mpsc::Sender<Message>,
    metrics: Metrics,
}

enum Message {
    Publish(Box<Publication>),
    Flushed(oneshot::Sender<()>),
}

struct Publication {
    event: Event,
    regarding: ObjectReference,
}

impl Events {
    /// Starts the worker; to be called within a tokio runtime. `controller` is who reports (`oms-operator`),
    /// `instance` which replica of it.
    pub fn new(client: Client, controller: &str, instance: &str, metrics: Metrics) -> Self {
        let reporter = Reporter { controller: controller.to_owned(), instance: Some(instance.to_owned()) };
        let publisher =
            Publisher { recorder: Recorder::new(client.clone(), reporter.clone()), client, reporter };
        let (queue, waiting) = mpsc::channel(QUEUE);
        tokio::spawn(work(publisher, waiting, metrics.clone()));
        Self { queue, metrics }
    }

    /// Publishes an event about `regarding`, in its namespace (`default` for what has none). Returns at once.
    pub fn publish(
        &self,
        regarding: &ObjectReference,
        kind: EventKind,
        reason: &str,
        action: &str,
        note: impl Into<String>,
    ) {
        self.send(event(kind, reason, action, note.into(), None), regarding.clone());
    }

    /// Publishes an event about `subject` in another namespace, where it survives the end of the subject's own: a
    /// namespace that is being deleted takes no events. The API wants an event's object in the event's namespace,
    /// so the event regards `namespace` itself and names `subject` as related; the note should name it too.
    pub fn publish_in(
        &self,
        namespace: &str,
        subject: &ObjectReference,
        kind: EventKind,
        reason: &str,
        action: &str,
        note: impl Into<String>,
    ) {
        let regarding = ObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some("Namespace".to_owned()),
            name: Some(namespace.to_owned()),
            namespace: Some(namespace.to_owned()),
            ..ObjectReference::default()
        };
        self.send(event(kind, reason, action, note.into(), Some(subject.clone())), regarding);
    }

    /// Waits until everything published so far was sent or dropped; for a clean end, with the caller's deadline.
    pub async fn flush(&self) {
        let (flushed, wait) = oneshot::channel();
        if self.queue.send(Message::Flushed(flushed)).await.is_ok() {
            let _ = wait.await;
        }
    }

    fn send(&self, event: Event, regarding: ObjectReference) {
        let publication = Message::Publish(Box::new(Publication { event, regarding }));
        if self.queue.try_send(publication).is_err() {
            self.metrics.dropped_event();
            tracing::debug!("event dropped, too many are waiting");
        }
    }
}

async fn work(publisher: Publisher, mut waiting: mpsc::Receiver<Message>, metrics: Metrics) {
    while let Some(message) = waiting.recv().await {
        let publication = match message {
            Message::Publish(publication) => publication,
            Message::Flushed(flushed) => {
                let _ = flushed.send(());
                continue;
            }
        };
        let Publication { event, regarding } = *publication;
        let published = tokio::time::timeout(PUBLISH_TIMEOUT, publisher.publish(&event, &regarding)).await;
        let failure = match published {
            Ok(Ok(())) => continue,
            Ok(Err(error)) => error.to_string(),
            Err(_) => "no answer in time".to_owned(),
        };
        metrics.dropped_event();
        tracing::debug!(
            error = failure,
            reason = event.reason,
            namespace = regarding.namespace,
            name = regarding.name,
            "event not published"
        );
    }
}

fn event(
    kind: EventKind,
    reason: &str,
    action: &str,
    note: String,
    secondary: Option<ObjectReference>,
) -> Event {
    Event {
        type_: match kind {
            EventKind::Normal => EventType::Normal,
            EventKind::Warning => EventType::Warning,
        },
        reason: bounded(reason.to_owned(), MAX_WORD),
        note: Some(bounded(note, MAX_NOTE)),
        action: bounded(action.to_owned(), MAX_WORD),
        secondary,
    }
}

struct Publisher {
    recorder: Recorder,
    client: Client,
    reporter: Reporter,
}

impl Publisher {
    async fn publish(&self, event: &Event, regarding: &ObjectReference) -> Result<(), kube::Error> {
        let name = regarding.name.as_deref().unwrap_or_default();
        if name.len() <= MAX_OBJECT_NAME {
            return self.recorder.publish(event, regarding).await;
        }
        // The recorder names an event after the whole name of its object, which the API refuses for long names.
        let now = jiff::Timestamp::now();
        let long = K8sEvent {
            metadata: ObjectMeta {
                name: Some(event_name(name, now)),
                namespace: regarding.namespace.clone(),
                ..ObjectMeta::default()
            },
            type_: Some(if event.type_ == EventType::Normal { "Normal" } else { "Warning" }.to_owned()),
            reason: Some(event.reason.clone()),
            note: event.note.clone(),
            action: Some(event.action.clone()),
            event_time: Some(MicroTime(now)),
            regarding: Some(regarding.clone()),
            related: event.secondary.clone(),
            reporting_controller: Some(self.reporter.controller.clone()),
            reporting_instance: self.reporter.instance.clone(),
            ..K8sEvent::default()
        };
        let namespace = regarding.namespace.as_deref().unwrap_or("default");
        let events = Api::<K8sEvent>::namespaced(self.client.clone(), namespace);
        events.create(&PostParams::default(), &long).await.map(|_| ())
    }
}

/// A name for an event about an object with a long name: as much of it as fits, in the form that the API wants.
fn event_name(object: &str, now: jiff::Timestamp) -> String {
    let start = &object[..object.floor_char_boundary(MAX_OBJECT_NAME)];
    format!("{}.{:x}", start.trim_end_matches(['.', '-']), now.as_nanosecond())
}

/// Cuts at a character, with an ellipsis where something is missing.
fn bounded(mut text: String, max_bytes: usize) -> String {
    const ELLIPSIS: &str = "…";
    if text.len() > max_bytes {
        text.truncate(text.floor_char_boundary(max_bytes - ELLIPSIS.len()));
        text.push_str(ELLIPSIS);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_cut_at_a_character_within_a_kilobyte() {
        assert_eq!(bounded("as it is".to_owned(), MAX_NOTE), "as it is");
        let full = "x".repeat(MAX_NOTE);
        assert_eq!(bounded(full.clone(), MAX_NOTE), full);
        for text in ["x".repeat(MAX_NOTE + 1), "ü".repeat(MAX_NOTE), "🦀".repeat(MAX_NOTE)] {
            let cut = bounded(text, MAX_NOTE);
            assert!(cut.len() <= MAX_NOTE && cut.len() > MAX_NOTE - 8, "{} bytes", cut.len());
            assert!(cut.ends_with('…'));
        }
    }

    #[test]
    fn the_event_of_a_long_name_has_a_name_that_the_api_takes() {
        let object = format!("{}.{}", "a".repeat(MAX_OBJECT_NAME - 1), "b".repeat(20));
        let name = event_name(&object, jiff::Timestamp::now());
        assert!(name.len() <= 253, "{} bytes", name.len());
        assert!(!name.contains(".."), "{name}");
    }
}
