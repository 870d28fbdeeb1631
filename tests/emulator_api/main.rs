//! The emulator's API, over real HTTP, against real S3 stores.
#![allow(missing_docs, unreachable_pub, clippy::unwrap_used)]
#![cfg(feature = "emulator")]

mod account;
mod admin;
mod bad_input;
mod buckets;
mod catalogue;
mod clouds;
mod codes;
#[path = "../contract/mod.rs"]
mod contract;
mod gateway;
mod groups;
mod identity;
mod process;
mod quirks;
mod raw;
mod robustness;
mod sync;
mod tasks;
#[path = "../common/tls.rs"]
mod tls;
mod world;
