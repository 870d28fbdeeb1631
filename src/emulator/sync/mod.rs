//! Synchronization tasks (OMS API reference 5.4): pairs of buckets that stay, whose objects are copied when an event
//! names them.
pub mod ledger;
mod member;
pub mod run;
pub mod statistics;
pub mod task;
