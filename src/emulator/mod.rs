//! `oms-emulator`: the OMS API on a laptop, with objects that really move between S3 stores.
//!
//! Nothing here is shared with the client in [`crate::oms`]: wire types and the check of signatures are written
//! a second time, so that a misread field fails a test instead of being mirrored.
pub mod admin;
pub mod attempts;
pub mod cdn;
pub mod clock;
pub mod clouds;
pub mod config;
pub mod credentials;
pub mod faults;
pub mod groups;
pub mod identity;
pub mod journal;
pub mod kms;
pub mod ledger;
pub mod looks;
pub mod mover;
pub mod notifications;
pub mod operations;
pub mod persist;
pub mod regions;
pub mod route;
pub mod runs;
pub mod server;
pub mod service;
pub mod signature;
pub mod store;
pub mod stores;
pub mod sync;
pub mod tasks;
pub mod wire;
