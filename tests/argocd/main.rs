//! What Argo CD makes of oms-operator's objects: its own engine on the Lua of `gitops/argocd/`, and the whole of Argo CD
//! with a Git repository, the operator and an emulated OMS.
//!
//! `make test-argocd` runs it. Argo CD is built once per machine, and redis-server has to be there.
#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod actions;
mod application;
mod cli;
#[path = "../common/conditions.rs"]
mod conditions;
mod examples;
mod folder;
mod health;
mod install;
mod kinds;
#[path = "../common/programs.rs"]
mod programs;
mod repository;
#[path = "../gitops/statuses.rs"]
mod statuses;
mod sync;

use crate::conditions::eventually;
use crate::programs::oms_dev;
