//! What our client sends for every operation, with little and with everything, and how it reads the printed answers.

mod calls;
mod server;

use std::collections::BTreeSet;

use serde_json::{Value, json};

use self::{
    calls::{Fill, Target, perform},
    server::Server,
};
use crate::{
    contract::{
        Contract,
        examples::{Example, What},
    },
    schemas::OPERATIONS,
};

/// An answer that every method of the operation takes: the printed one, or an empty body.
fn answer(operation: &str) -> (u16, Option<Value>) {
    let printed = Example::all().into_iter().find_map(|example| match example.what {
        What::Response { status: 200, body } if example.operation == operation => Some(body),
        _ => None,
    });
    (200, printed.map(|body| with_real_ids(operation, body)))
}

/// A placeholder that no service would send: no task has the ID 0.
fn with_real_ids(operation: &str, mut body: Value) -> Value {
    let place = if operation == "ListTasks" { "/tasks/0/id" } else { "/id" };
    if let Some(id) = body.pointer_mut(place).filter(|id| **id == json!(0)) {
        *id = json!(1);
    }
    body
}

#[tokio::test]
async fn every_request_of_the_client_fits_the_contract() {
    for operation in OPERATIONS {
        let (status, body) = answer(operation);
        let target = Target::of(body.as_ref());
        for fill in [Fill::Minimal, Fill::Full] {
            let server = Server::answering(status, body.clone()).await;
            let done = perform(&server.client(), operation, fill, &target).await;
            done.unwrap_or_else(|error| panic!("{operation} {fill:?}: {error}"));
            let sent = server.only_request();
            let found =
                Contract::load().check_request(operation, &sent.method, &sent.path, &sent.query, &sent.body);
            assert_eq!(found, [], "{operation} {fill:?}: {} {}?{}", sent.method, sent.path, sent.query);
        }
    }
}

/// The paths of all members of a body, as [`Contract::members`] has them.
fn members(body: &Value, at: &str, found: &mut BTreeSet<String>) {
    match body {
        Value::Object(object) => {
            for (name, member) in object {
                let at = format!("{at}/{name}");
                members(member, &at, found);
                found.insert(at);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| members(item, at, found)),
        _ => {}
    }
}

/// So that no member fits the contract only because it is never sent.
#[tokio::test]
async fn between_them_the_two_requests_send_every_member_of_the_contract() {
    for operation in OPERATIONS {
        let (status, body) = answer(operation);
        let mut sent = BTreeSet::new();
        for fill in [Fill::Minimal, Fill::Full] {
            let server = Server::answering(status, body.clone()).await;
            perform(&server.client(), operation, fill, &Target::of(body.as_ref())).await.unwrap();
            if let Ok(body) = serde_json::from_slice(&server.only_request().body) {
                members(&body, "", &mut sent);
            }
        }
        // A count of list files, typed as a text; no edition says what for.
        let unused = |member: &&String| !member.ends_with("/list_file_num");
        let known = Contract::load().members(operation);
        let unsent: Vec<&String> = known.difference(&sent).filter(unused).collect();
        assert_eq!(unsent, [] as [&String; 0], "{operation}");
    }
}

#[tokio::test]
async fn every_printed_answer_is_read() {
    for example in Example::all() {
        let What::Response { status, body } = &example.what else { continue };
        let body = with_real_ids(&example.operation, body.clone());
        let target = Target::of(Some(&body));
        let server = Server::answering(*status, Some(body.clone())).await;
        let done = perform(&server.client(), &example.operation, Fill::Minimal, &target).await;
        match (status, done) {
            (200, Ok(())) => {}
            (200, Err(error)) => panic!("{}: {error}", example.title()),
            (_, Err(error)) => {
                assert_eq!(error.code(), body["error_code"].as_str(), "{}", example.title());
            }
            (_, done) => panic!("{}: {done:?}", example.title()),
        }
    }
}
