//! The chart as people use it: real helm, a real API server with the Deployment's controllers, and the operator in its pods
//! under the rights that the chart gives it.

mod install;
mod migrations;
mod release;
mod revoked;
mod rights;
mod second;
mod upgrade;
mod values;
