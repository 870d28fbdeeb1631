//! What Argo CD makes of oms-operator's objects: its own engine on the Lua of `gitops/argocd/`, and the whole of Argo CD
//! with a Git repository, the operator and an emulated OMS.
//!
//! `make test-argocd` runs it. Argo CD is built once per machine, and redis-server has to be there.
#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod actions;
mod application;
mod cli;
mod examples;
mod folder;
mod health;
mod install;
mod kinds;
mod repository;
#[path = "../gitops/statuses.rs"]
mod statuses;
mod sync;

use std::path::Path;
use std::time::{Duration, Instant};

/// How long a condition may take to come true; generous, as Argo CD shares two cores with everything.
const LIMIT: Duration = Duration::from_mins(3);
/// Between two looks at a condition.
const LOOK: Duration = Duration::from_millis(100);

fn oms_dev() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_oms-dev"))
}

/// Looks until something holds and returns what it found; an error is what was seen instead.
async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Result<T, String>) -> T {
    let deadline = Instant::now() + LIMIT;
    loop {
        match look().await {
            Ok(found) => return found,
            Err(seen) => assert!(Instant::now() < deadline, "not within {LIMIT:?}: {what}; seen: {seen}"),
        }
        tokio::time::sleep(LOOK).await;
    }
}
