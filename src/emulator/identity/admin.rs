//! The part of the admin API that ends what was handed out, so that a test can do it in the middle of a run.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{State, rejection::JsonRejection},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::post,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::issued::Change;
use crate::emulator::{admin::problem, persist::Record, service::Service};

/// The routes.
pub fn router() -> Router<Arc<Service>> {
    Router::new()
        .route("/tokens/revoke", post(revoke_tokens))
        .route("/temporary-keys/expire", post(expire_keys))
        .route("/metadata-tokens/expire", post(expire_metadata_tokens))
}

/// Whose tokens.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Tokens {
    /// Only of the user with this name.
    user: Option<String>,
    /// Only of users of this account.
    domain: Option<String>,
}

/// Which keys.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Keys {
    /// Only those with this access key ID.
    access: Option<String>,
}

type Optional<T> = Result<Option<Json<T>>, JsonRejection>;

async fn revoke_tokens(State(service): State<Arc<Service>>, body: Optional<Tokens>) -> Response {
    let chosen = match body {
        Ok(body) => body.map(|Json(chosen)| chosen).unwrap_or_default(),
        Err(error) => return problem(StatusCode::BAD_REQUEST, error.body_text()),
    };
    let fits = |wanted: &Option<String>, found: &str| wanted.as_deref().is_none_or(|wanted| wanted == found);
    change(&service, "revoked", |service| {
        let now = service.clock.wall();
        service.state().issued.revoke_tokens(now, |token| {
            fits(&chosen.user, &token.principal.name) && fits(&chosen.domain, &token.principal.domain)
        })
    })
    .await
}

async fn expire_keys(State(service): State<Arc<Service>>, body: Optional<Keys>) -> Response {
    let chosen = match body {
        Ok(body) => body.map(|Json(chosen)| chosen).unwrap_or_default(),
        Err(error) => return problem(StatusCode::BAD_REQUEST, error.body_text()),
    };
    change(&service, "expired", |service| {
        let now = service.clock.wall();
        let fits = |access: &str| chosen.access.as_deref().is_none_or(|wanted| wanted == access);
        service.state().issued.expire_keys(now, |key| fits(&key.access))
    })
    .await
}

async fn expire_metadata_tokens(State(service): State<Arc<Service>>) -> Json<Value> {
    let now = service.clock.wall();
    Json(json!({ "expired": service.state().issued.expire_metadata_tokens(now) }))
}

/// Makes a change, and answers when it is written down.
async fn change(service: &Service, word: &str, make: impl FnOnce(&Service) -> Vec<Change>) -> Response {
    let changes = make(service);
    let records: Vec<Record> =
        changes.iter().map(|change| Record::Identity(Box::new(change.clone()))).collect();
    let saved = service.record(&service.state(), &records);
    match saved.await {
        Ok(()) => Json(json!({ (word): changes.len() })).into_response(),
        Err(refusal) => problem(StatusCode::INTERNAL_SERVER_ERROR, refusal.message),
    }
}
