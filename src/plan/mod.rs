//! Pure decisions: from what was observed to the next step and the status that tells of it.
//!
//! No async, no clock, no client in here: the time is an argument, the world is a [`seen`] value. So every
//! decision can be tested with plain values, and the same view always leads to the same plan.

pub mod cadence;
pub mod census;
pub mod claims;
pub mod connection;
pub mod facts;
pub mod pause;
pub mod preflight;
pub mod progress;
pub mod queue;
pub mod seen;
pub mod situation;
pub mod sync_event;
pub mod token;
pub mod transfer;
pub mod wish;
