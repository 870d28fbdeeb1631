//! What Prometheus makes of the operator and of what the chart brings for it: promtool on metrics and rules, and a real
//! Prometheus that scrapes a real operator while that does the demo's work and while things go wrong.
//!
//! `make test-prometheus` runs it. Prometheus and promtool have to be there: Debian's package `prometheus`.
#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

#[path = "../monitoring/alerts.rs"]
#[allow(dead_code, reason = "shared with the test that needs no Prometheus")]
mod alerts;
mod chart;
#[path = "../monitoring/dashboards.rs"]
#[allow(dead_code, reason = "shared with the test that needs no Prometheus")]
mod dashboards;
mod operator;
mod promtool;
mod queries;
mod rules;
mod server;
mod stage;
mod troubles;

use std::path::Path;
use std::time::{Duration, Instant};

/// How long a condition may take to come true; generous, as everything shares two cores.
const LIMIT: Duration = Duration::from_mins(2);
/// Between two looks at a condition.
const LOOK: Duration = Duration::from_millis(200);

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
