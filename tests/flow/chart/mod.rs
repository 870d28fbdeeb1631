//! The chart as people use it: real helm, a real API server with the Deployment's controllers, and the operator in its pods
//! under the rights that the chart gives it.

mod each;
mod install;
mod migrations;
mod monitoring;
mod network;
mod pods;
mod proxy;
mod release;
mod revoked;
mod rights;
mod second;
mod sets;
mod upgrade;
mod users;
mod values;
