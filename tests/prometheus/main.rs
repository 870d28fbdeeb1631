//! What Prometheus makes of the operator and of what the chart brings for it: promtool on metrics and rules, and a real
//! Prometheus that scrapes a real operator while that does the demo's work and while things go wrong.
//!
//! `make test-prometheus` runs it. Prometheus and promtool have to be there: Debian's package `prometheus`.
#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

#[path = "../monitoring/alerts.rs"]
#[allow(dead_code, reason = "shared with the test that needs no Prometheus")]
mod alerts;
mod chart;
#[path = "../common/conditions.rs"]
mod conditions;
#[path = "../monitoring/dashboards.rs"]
#[allow(dead_code, reason = "shared with the test that needs no Prometheus")]
mod dashboards;
mod operator;
#[path = "../common/programs.rs"]
mod programs;
mod promtool;
mod queries;
mod rules;
mod server;
mod stage;
mod troubles;

use crate::conditions::{LOOK, eventually};
use crate::programs::oms_dev;
