//! Kubernetes operator for Huawei Cloud's Object Storage Migration Service (OMS).
pub mod api;
pub mod cli;
pub mod config;
pub mod controller;
#[cfg(feature = "dev")]
pub mod dev;
#[cfg(feature = "emulator")]
pub mod emulator;
pub mod engine;
pub mod leader;
pub mod oms;
pub mod plan;
pub mod telemetry;
