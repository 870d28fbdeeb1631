//! CDNs in front of source buckets: where their domains lead, how requests to them are signed, and one to play with.
mod route;
mod server;
pub mod sign;
mod verify;

pub use route::{Cdns, Problem, Route};
pub use server::{EmbeddedCdn, Setup};
