//! What the operator tells about itself: logs, audit, traces, metrics, health and Kubernetes events.
//!
//! Knows no other module of the crate. Nothing in here can fail a reconcile: an event that cannot be
//! published is logged, a metric cannot fail. Metric labels come from closed sets and never hold the name
//! of an object.

pub mod audit;
pub mod events;
pub mod health;
pub mod http;
pub mod logging;
pub mod metrics;
pub mod traces;

pub use events::{EventKind, Events};
pub use health::{Beat, Health};
pub use metrics::Metrics;
