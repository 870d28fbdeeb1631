//! Who calls, and how somebody becomes a caller: IAM's tokens and temporary keys, STS for OIDC, and what a node or a
//! pod is given (metadata service, pod identity agent).
//!
//! Everything here expires by the wall clock of [`Clock::wall`](super::clock::Clock::wall), as signatures do: clients
//! compare `expires_at` with their own clock.

pub mod admin;
pub mod caller;
pub mod directory;
pub mod issued;
pub mod oidc;
