//! What Linux tells of a process.

use std::fs;

/// Linux tells processor time in hundredths of a second.
const TICKS: f64 = 100.0;

/// A figure of its memory, in MB of 1,000,000 bytes: `VmRSS` is that of now, `VmHWM` the most there was.
pub(crate) fn memory(id: u32, figure: &str) -> f64 {
    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let line = status.lines().find(|line| line.split(':').next() == Some(figure)).unwrap();
    let kibibytes: f64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kibibytes * 1024.0 / 1e6
}

/// Processor time that it has used so far, in seconds.
pub(crate) fn processor_time(id: u32) -> f64 {
    let text = fs::read_to_string(format!("/proc/{id}/stat")).unwrap();
    // The name in parentheses may hold anything; user and system time are the 12th and 13th field after it.
    let fields = text.rsplit_once(')').unwrap().1.split_whitespace();
    let ticks: f64 = fields.skip(11).take(2).map(|ticks| ticks.parse::<f64>().unwrap()).sum();
    ticks / TICKS
}
