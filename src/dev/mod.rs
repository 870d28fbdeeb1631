//! Development programs (`oms-dev`): the real control plane, the stack on top of it, the demo
//! and the playground. Feature `dev`; in no product binary.
//!
//! Everything that runs a server goes through [`control_plane`] and [`process`], so that there is
//! one place that starts processes and one promise that they end.

pub mod book;
pub mod bucket;
pub mod control_plane;
pub mod crds;
pub mod demo;
pub mod error;
pub mod guest;
pub mod image;
pub mod interrupt;
pub mod kubelet;
pub mod objects;
pub mod playground;
pub mod process;
pub mod samples;
pub mod scratch;
pub mod stack;
pub mod supervisor;
pub mod tools;

pub use control_plane::ControlPlane;
pub use error::{Error, Result};
