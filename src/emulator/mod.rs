//! `oms-emulator`: the OMS API on a laptop, with objects that really move between S3 stores.
//!
//! Nothing here is shared with the client in [`crate::oms`]: wire types and the check of signatures are written
//! a second time, so that a misread field fails a test instead of being mirrored.
pub mod clock;
pub mod mover;
pub mod store;
