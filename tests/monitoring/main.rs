//! What the chart brings for Prometheus and Grafana, without either: it is well formed, speaks of metrics that the operator
//! has, and every alert has its runbook. `tests/prometheus/` has the rest.
#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod alerts;
mod dashboards;
mod expressions;
mod metrics;
mod panels;
mod runbooks;
