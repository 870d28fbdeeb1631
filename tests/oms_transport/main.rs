//! What the OMS client does with servers that answer well, badly, late or not at all.
#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod calls;
mod mutations;
mod operations;
mod refusals;
mod requests;
mod server;
