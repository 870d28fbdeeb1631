//! The figures that the project promises, measured anew: `make bench`.
//!
//! Every figure is a ratio of something measured to its target or to something else measured in the same run, so that it
//! means the same on another machine. At least 1.00 is good, unless the line says otherwise. Nothing fails on a bad
//! figure: a slow machine is no broken program.
#![allow(clippy::unwrap_used, reason = "a benchmark ends at the first surprise")]

mod bandwidth;
mod copy;
mod emulator;
mod list;
mod operator;
mod process;
mod rclone;
mod signing;

use std::env;

/// Prints one figure: what was measured, what it is held against, and the ratio.
fn figure(name: &str, measured: &str, against: &str, ratio: f64) {
    println!("{name:<58} {measured:>16}  {against:<34} {ratio:>6.2}");
}

fn main() {
    // Cargo passes `--bench`; what else there is says which figures are wanted.
    let wanted: Vec<String> = env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let wants = |name: &str| wanted.is_empty() || wanted.iter().any(|word| name.contains(word.as_str()));
    println!("{:<58} {:>16}  {:<34} {:>6}", "figure", "measured", "against", "ratio");
    if wants("signing") {
        signing::measure();
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let _ = rustls::crypto::ring::default_provider().install_default();
        if wants("operator") {
            operator::measure().await;
        }
        if wants("list") {
            list::measure().await;
        }
        if wants("bandwidth") {
            bandwidth::measure().await;
        }
        if wants("copy") {
            copy::measure().await;
        }
    });
}
