//! Holds every call of an emulator in this process to the contract.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    thread,
};

use oms_operator::emulator::server::{Exchange, Observer, Options};

use super::{Contract, Violation};

/// What of a call is held to the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// What the emulator answers. For tests that send bad requests by themselves.
    Answers,
    /// Also what it is asked. For tests whose calls come from our client alone.
    Both,
}

/// Fails its test when it is dropped, if any call broke the contract.
#[derive(Debug)]
pub struct Watch {
    held: Held,
    seen: Arc<Mutex<BTreeMap<Violation, usize>>>,
}

impl Watch {
    pub fn over(held: Held) -> Self {
        // Reading the contract takes a moment that no call should wait for.
        Contract::load();
        Self { held, seen: Arc::default() }
    }

    /// What the emulator tells of its calls.
    pub fn observer(&self) -> Observer {
        let (held, seen) = (self.held, Arc::clone(&self.seen));
        Arc::new(move |exchange| {
            let found = violations(exchange, held);
            let mut seen = seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            for violation in found {
                *seen.entry(violation).or_default() += 1;
            }
        })
    }

    /// Sees to it that these calls are watched, and that whoever wanted to be told of them still is.
    pub fn with(&self, options: Options) -> Options {
        let (ours, theirs) = (self.observer(), options.observer);
        let both: Observer = Arc::new(move |exchange| {
            ours(exchange);
            if let Some(theirs) = &theirs {
                theirs(exchange);
            }
        });
        Options { observer: Some(both), ..options }
    }

    /// What was found so far, one line per violation.
    pub fn report(&self) -> Vec<String> {
        let seen = self.seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        seen.iter().map(|(violation, times)| format!("{violation} (in {times} calls)")).collect()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let report = self.report();
        // A test that fails already says so itself.
        if !thread::panicking() {
            assert!(report.is_empty(), "calls broke the contract of OMS:\n  {}", report.join("\n  "));
        }
    }
}

fn violations(exchange: &Exchange, held: Held) -> Vec<Violation> {
    let contract = Contract::load();
    // IAM and the metadata service are no part of the contract.
    let is_oms = contract.knows(exchange.operation)
        || exchange.operation == "Unknown"
        || exchange.path.starts_with("/v2/")
        || exchange.path.contains("/objectstorage/");
    if exchange.by_fault || !is_oms {
        return Vec::new();
    }
    let mut found = contract.check_response(
        exchange.operation,
        exchange.status,
        exchange.content_type.as_deref(),
        &exchange.response_body,
    );
    if held == Held::Both {
        found.extend(contract.check_request(
            exchange.operation,
            &exchange.method,
            &exchange.path,
            &exchange.query,
            &exchange.request_body,
        ));
    }
    found
}
