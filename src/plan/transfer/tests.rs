//! The decisions about a MigrationTask, as behaviours, as properties and as a world that they have to bring to
//! its goal.

mod adopt;
mod approval;
mod create;
mod credentials;
mod deletion;
mod drift;
mod group;
mod notification;
mod pause;
mod preflight;
mod properties;
mod queue;
mod rerun;
mod retry;
mod run;
mod scene;
mod size;
mod sync;
mod world;
