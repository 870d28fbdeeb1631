//! What bad input gets: a condition or refusal that names the field, whose move it is and what to do; the object
//! recovers by itself when the cause is gone; nothing crashes, spins or is lost.

mod admission;
mod buckets;
mod cluster_connections;
mod connections;
mod endpoints;
mod front;
mod quotas;
mod secrets;
mod service_errors;
mod start;

use oms_operator::api::{Connection, MigrationTask, Phase};
use serde_json::json;

use crate::migration::{condition, message, phase_of};
use crate::operator::OperatorFlags;
use crate::world::{CONNECTION, DESTINATION_SECRET, OMS_SECRET, SOURCE_SECRET, Setup, World};

/// How many times shorter the operator's pauses are; what looks at OMS keeps its pace.
const FASTER: u32 = 60;

/// A world whose operator does not make anybody wait for minutes.
fn hurried() -> Setup {
    Setup::default().operated(OperatorFlags::default().scaled(FASTER))
}

/// Asserts that the object is not ready for a reason, in a phase, and that its message has all these words: field,
/// what happened, whose move it is and what to do.
fn assert_told(task: &MigrationTask, phase: Phase, reason: &str, words: &[&str]) {
    let told = message(task, "Ready");
    assert_eq!(condition(task, "Ready"), Some(("False".into(), reason.into())), "{told}");
    assert_eq!(phase_of(task), Some(phase), "{told}");
    let stalled = phase == Phase::Failed;
    let (present, absent) = if stalled { ("Stalled", "Reconciling") } else { ("Reconciling", "Stalled") };
    assert_eq!(condition(task, present), Some(("True".into(), reason.into())));
    assert_eq!(condition(task, absent), None);
    for word in words {
        assert!(told.contains(word), "{word:?} is missing in: {told}");
    }
}

/// The message of condition `Ready` of a Connection.
fn connection_message(connection: &Connection) -> String {
    let conditions = &connection.status.as_ref().unwrap().conditions;
    conditions.iter().find(|condition| condition.type_ == "Ready").unwrap().message.clone()
}

/// Asserts that all these words are in the message of condition `Ready` of a Connection.
fn assert_connection_told(connection: &Connection, words: &[&str]) {
    let told = connection_message(connection);
    for word in words {
        assert!(told.contains(word), "{word:?} is missing in: {told}");
    }
}

/// Waits for success, and asserts that exactly one task came of the object, that the status forgot the trouble, that
/// the operator lives and is healthy, and that at most `calls` calls to OMS were made in all.
async fn assert_recovers(world: &World, name: &str, calls: usize) {
    let migration = world.existing(name);
    let done = migration.wait_phase(Phase::Succeeded).await;
    assert_eq!(condition(&done, "Ready"), Some(("True".into(), "Succeeded".into())));
    assert_eq!(condition(&done, "Stalled"), None);
    assert_eq!(condition(&done, "Reconciling"), None);
    let status = done.status.unwrap();
    assert_eq!((status.failure, status.create, status.next_attempt_at), (None, None, None));
    let id = status.task_id.unwrap();
    let with_our_token = world.effects("CreateTask").await;
    assert_eq!(
        with_our_token.iter().filter(|entry| entry["task"].as_str() == Some(&id)).count(),
        1,
        "{with_our_token:#?}"
    );
    assert_calm(world, calls).await;
}

/// Asserts that the operator lives and is healthy and made at most so many calls to OMS.
async fn assert_calm(world: &World, calls: usize) {
    let (status, body) = world.operators[0].get("/healthz").await;
    assert_eq!(status, 200, "{body}");
    let journal = world.journal("*").await;
    assert!(journal.len() <= calls, "{} calls instead of at most {calls}: {journal:#?}", journal.len());
    let panics = world.operators[0].metric("oms_operator_reconciles_total", "outcome=\"panic\"").await;
    assert!(panics < 1.0, "{panics} passes panicked");
}

/// Asserts that OMS carried out exactly so many creates.
async fn assert_created(world: &World, count: usize) {
    let created = world.effects("CreateTask").await;
    assert_eq!(created.len(), count, "{created:#?}");
    assert_eq!(world.remote_tasks().await.len(), count);
}

/// Writes the three Secrets, the keys for OMS with another secret when one is given.
async fn write_secrets(world: &World, other_secret: Option<&str>) {
    let oms = (&world.oms_keys.access, other_secret.unwrap_or(&world.oms_keys.secret));
    let source = (&world.source_keys.access, &*world.source_keys.secret);
    let destination = (&world.destination_keys.access, &*world.destination_keys.secret);
    for (name, (access, secret)) in
        [(OMS_SECRET, oms), (SOURCE_SECRET, source), (DESTINATION_SECRET, destination)]
    {
        world.secret(name, &[("accessKey", access), ("secretKey", secret)]).await;
    }
}

/// Applies the Connection `default` with members of its spec changed; `null` removes one.
async fn connect_with(world: &World, changes: serde_json::Value) {
    connect_as(world, CONNECTION, changes).await;
}

/// The same under another name.
async fn connect_as(world: &World, name: &str, changes: serde_json::Value) {
    let mut manifest = world.connection_manifest();
    manifest["metadata"]["name"] = json!(name);
    let spec = manifest["spec"].as_object_mut().unwrap();
    for (member, value) in changes.as_object().unwrap() {
        if value.is_null() {
            spec.remove(member);
        } else {
            spec.insert(member.clone(), value.clone());
        }
    }
    world.apply::<Connection>(manifest).await;
}
