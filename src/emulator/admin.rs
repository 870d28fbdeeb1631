//! The admin API: what tests and the playground ask and tell the emulator. On a port of its own, never signed.

use std::{sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::{Path, Query, Request, State, rejection::JsonRejection},
    http::StatusCode,
    middleware::{Next, from_fn},
    response::{IntoResponse, Response},
    routing::{delete, get, post},
};
use jiff::SignedDuration;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    faults::Fault, journal::Filter, notifications::Entry, service::Service, store::StoreBehaviour,
    tasks::Task, wire::answer,
};

/// The admin API of a service.
pub fn router(service: Arc<Service>) -> Router {
    Router::new()
        .route("/", get(index))
        .route("/journal", get(journal).delete(clear_journal))
        .route("/faults", get(list_faults).post(add_fault).delete(clear_faults))
        .route("/faults/{id}", delete(remove_fault))
        .route("/clock", get(show_clock).post(set_clock))
        .route("/stores", get(list_stores))
        .route("/stores/{name}", post(change_store))
        .route("/state", get(show_state))
        .route("/notifications", get(notifications).delete(clear_notifications))
        .route("/reset", post(reset))
        .merge(super::identity::admin::router())
        .layer(from_fn(refuse_browsers))
        .with_state(service)
}

/// The API is not signed, so a page in somebody's browser could reach it on the loopback address. Browsers say where
/// they come from; tools do not.
async fn refuse_browsers(request: Request, next: Next) -> Response {
    if request.headers().contains_key("origin") {
        return problem(StatusCode::FORBIDDEN, "The admin API does not answer pages of other origins");
    }
    next.run(request).await
}

/// An answer that says what is wrong.
pub(super) fn problem(status: StatusCode, text: impl Into<String>) -> Response {
    (status, Json(json!({ "error": text.into() }))).into_response()
}

async fn index() -> Json<Value> {
    Json(json!({
        "GET /journal": "calls so far; ?operation= &project= &task= &outcome= &effect= &after=",
        "DELETE /journal": "forget them",
        "GET /faults": "faults in force",
        "POST /faults": "add one",
        "DELETE /faults": "delete all; DELETE /faults/{id}: one",
        "GET /clock": "service time and its pace",
        "POST /clock": "{advanceMs, scale, signatureOffsetMs}",
        "POST /tokens/revoke": "all tokens, or those of {user, domain}",
        "POST /temporary-keys/expire": "all temporary keys that were handed out, or {access}",
        "POST /metadata-tokens/expire": "all tokens of the metadata service",
        "GET /stores": "embedded stores and how they behave",
        "POST /stores/{name}": "behave so from now on; {}: without any peculiarity",
        "GET /state": "tasks and groups, without secrets",
        "GET /notifications": "what SMN would have been told; ?project= &task= &group= &topic=",
        "DELETE /notifications": "forget them",
        "POST /reset": "forget everything but the clock and what is in the stores",
    }))
}

async fn journal(
    State(service): State<Arc<Service>>,
    filter: Result<Query<Filter>, axum::extract::rejection::QueryRejection>,
) -> Response {
    match filter {
        Ok(Query(filter)) => Json(json!({ "entries": service.journal.list(&filter) })).into_response(),
        Err(error) => problem(StatusCode::BAD_REQUEST, error.body_text()),
    }
}

async fn clear_journal(State(service): State<Arc<Service>>) -> StatusCode {
    service.journal.clear();
    StatusCode::NO_CONTENT
}

async fn list_faults(State(service): State<Arc<Service>>) -> Json<Value> {
    Json(json!({ "faults": service.faults.list() }))
}

async fn add_fault(
    State(service): State<Arc<Service>>,
    fault: Result<Json<Fault>, JsonRejection>,
) -> Response {
    let Json(fault) = match fault {
        Ok(fault) => fault,
        Err(error) => return problem(StatusCode::BAD_REQUEST, error.body_text()),
    };
    if let Some(text) = fault.problem() {
        return problem(StatusCode::BAD_REQUEST, text);
    }
    let id = service.faults.add(fault);
    (StatusCode::CREATED, Json(json!({ "id": id }))).into_response()
}

async fn clear_faults(State(service): State<Arc<Service>>) -> StatusCode {
    service.faults.clear();
    StatusCode::NO_CONTENT
}

async fn remove_fault(State(service): State<Arc<Service>>, Path(id): Path<u64>) -> Response {
    if service.faults.remove(id) {
        StatusCode::NO_CONTENT.into_response()
    } else {
        problem(StatusCode::NOT_FOUND, format!("There is no fault {id}"))
    }
}

/// What can be done to the clock.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ClockChange {
    /// Milliseconds that service time leaps forward.
    advance_ms: Option<u64>,
    /// Seconds of service time per second from now on.
    scale: Option<f64>,
    /// Milliseconds added to the wall clock for the age of signatures.
    signature_offset_ms: Option<i64>,
}

fn clock_now(service: &Service) -> Value {
    json!({
        "now": service.clock.now(),
        "scale": service.clock.scale(),
        "signatureClock": service.clock.wall(),
    })
}

async fn show_clock(State(service): State<Arc<Service>>) -> Json<Value> {
    Json(clock_now(&service))
}

async fn set_clock(
    State(service): State<Arc<Service>>,
    change: Result<Json<ClockChange>, JsonRejection>,
) -> Response {
    let Json(change) = match change {
        Ok(change) => change,
        Err(error) => return problem(StatusCode::BAD_REQUEST, error.body_text()),
    };
    if change.scale.is_some_and(|scale| !(scale.is_finite() && scale > 0.0)) {
        return problem(StatusCode::BAD_REQUEST, "`scale` must be a positive number");
    }
    if let Some(scale) = change.scale {
        service.clock.set_scale(scale);
    }
    if let Some(advance) = change.advance_ms {
        service.clock.advance(Duration::from_millis(advance));
    }
    if let Some(offset) = change.signature_offset_ms {
        service.clock.set_wall_offset(SignedDuration::from_millis(offset));
    }
    Json(clock_now(&service)).into_response()
}

/// Tasks in the shape of ShowTask, which has no place for secrets, with their project.
async fn show_state(State(service): State<Arc<Service>>) -> Json<Value> {
    let now = service.clock.now();
    let state = service.state();
    let shown = |task: &Task| {
        let progress = state.progress(task);
        let mut shown = json!(answer::task(task, progress, &service.config.behaviour, now));
        shown["project"] = json!(task.project);
        shown["created"] = json!(task.created);
        shown
    };
    let tasks: Vec<Value> = state.ledger.newest_first().map(shown).collect();
    let projects: Vec<Value> = service
        .config
        .projects
        .iter()
        .map(|project| {
            json!({
                "id": project.id,
                "name": project.name(),
                "region": project.region,
                "privacyAgreementAccepted": state.ledger.has_agreement(&project.id),
            })
        })
        .collect();
    let sync_tasks: Vec<Value> = state
        .ledger
        .sync
        .newest_first()
        .map(|task| {
            let total = task.statistics.total();
            let mut shown = answer::sync::listed(task, &service.config.behaviour.sync);
            shown["project"] = json!(task.project);
            shown["task"] = json!(task.task);
            shown["waiting"] = json!(task.waiting());
            shown["total"] = json!(total);
            shown
        })
        .collect();
    let groups: Vec<Value> = state
        .ledger
        .groups()
        .map(|group| {
            let mut shown = service.shown_group(&state, group, now);
            shown["project"] = json!(group.project);
            shown["created"] = json!(group.created);
            shown
        })
        .collect();
    Json(json!({
        "now": now, "projects": projects, "tasks": tasks, "groups": groups, "syncTasks": sync_tasks,
    }))
}

async fn list_stores(State(service): State<Arc<Service>>) -> Json<Value> {
    let stores: Vec<Value> = service
        .stores
        .embedded()
        .map(|(name, embedded)| json!({ "name": name, "behaviour": embedded.handle.behaviour() }))
        .collect();
    Json(json!({ "stores": stores }))
}

async fn change_store(
    State(service): State<Arc<Service>>,
    Path(name): Path<String>,
    behaviour: Result<Json<StoreBehaviour>, JsonRejection>,
) -> Response {
    let Json(behaviour) = match behaviour {
        Ok(behaviour) => behaviour,
        Err(error) => return problem(StatusCode::BAD_REQUEST, error.body_text()),
    };
    let Some((_, embedded)) = service.stores.embedded().find(|(other, _)| *other == name) else {
        return problem(StatusCode::NOT_FOUND, format!("There is no embedded store `{name}`"));
    };
    embedded.handle.set_behaviour(behaviour);
    Json(json!({ "name": name, "behaviour": embedded.handle.behaviour() })).into_response()
}

/// Which notifications to show.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Told {
    project: Option<String>,
    task: Option<String>,
    group: Option<String>,
    topic: Option<String>,
}

async fn notifications(
    State(service): State<Arc<Service>>,
    filter: Result<Query<Told>, axum::extract::rejection::QueryRejection>,
) -> Response {
    let filter = match filter {
        Ok(Query(filter)) => filter,
        Err(error) => return problem(StatusCode::BAD_REQUEST, error.body_text()),
    };
    let same = |wanted: &Option<String>, found: Option<&str>| wanted.is_none() || wanted.as_deref() == found;
    let state = service.state();
    let entries: Vec<&Entry> = state
        .ledger
        .notifications()
        .filter(|entry| {
            same(&filter.project, Some(&entry.project))
                && same(&filter.task, entry.task_id.as_deref())
                && same(&filter.group, entry.group_id.as_deref())
                && same(&filter.topic, Some(&entry.topic_urn))
        })
        .collect();
    Json(json!({ "notifications": entries })).into_response()
}

async fn clear_notifications(State(service): State<Arc<Service>>) -> StatusCode {
    service.clear_notifications();
    StatusCode::NO_CONTENT
}

async fn reset(State(service): State<Arc<Service>>) -> StatusCode {
    service.reset();
    StatusCode::NO_CONTENT
}
