//! Both sides of the wire against the contract: what our client sends and reads, and what the emulator makes of the
//! examples of the API reference.
#![allow(missing_docs, unreachable_pub, clippy::unwrap_used)]
#![cfg(feature = "emulator")]

mod client;
#[path = "mod.rs"]
mod contract;
mod replay;
mod schemas;
mod watched;
#[path = "../emulator_api/world.rs"]
#[allow(dead_code, reason = "made for the tests of the emulator's API; these need a part of it")]
mod world;
