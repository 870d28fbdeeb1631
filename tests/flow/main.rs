//! The whole product on real parts: a real API server, the real operator binary, an emulated OMS that really moves
//! objects between stores. One module per behaviour; [`world`] has the parts.
#![allow(clippy::unwrap_used)]

#[path = "../common/conditions.rs"]
mod conditions;
mod console;
#[path = "../contract/mod.rs"]
mod contract;
mod migration;
mod operator;
#[path = "../common/programs.rs"]
mod programs;
#[path = "../common/tls.rs"]
mod tls;
mod world;

mod adopt;
mod approval;
mod audit;
mod bad_input;
mod cdn;
mod chaos;
mod chart;
mod connections;
mod costly;
mod crash;
mod credentials;
mod deletion;
mod deletion_states;
mod drift;
mod first_migration;
mod idle;
mod kustomize;
mod live_settings;
mod log_level;
mod look_now;
mod lost_status;
mod metrics;
mod notification;
mod observe;
mod pause;
mod pinned;
mod preflight;
mod process;
mod queue;
mod replicas;
mod rerun;
mod retry;
mod rotation;
mod secrets;
mod shared_view;
mod sources;
mod spec_walk;
mod suspend;
mod sync_event;
mod sync_task;
mod task_group;
mod task_group_life;
mod traces;
mod two_operators;
mod undecodable;
