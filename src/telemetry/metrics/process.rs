//! What the kernel knows of the process, from `/proc`. Elsewhere than on Linux there is nothing.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use super::catalogue::Metric;
use super::exposition::Family;

/// Clock ticks per second in `/proc/<pid>/stat`: the kernel's interface has 100 on every platform that we build for.
const TICKS: f64 = 100.0;

/// What the kernel knows of a process.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Process {
    cpu_seconds: f64,
    resident_bytes: u64,
    virtual_bytes: u64,
    threads: u64,
    open_fds: Option<u64>,
    max_fds: Option<u64>,
}

impl Process {
    /// This one.
    pub(super) fn look() -> Option<Self> {
        let read = |file: &str| fs::read_to_string(format!("/proc/self/{file}")).ok();
        let fds = fs::read_dir("/proc/self/fd").ok().map(|entries| entries.count() as u64);
        // The look itself has one open.
        let fds = fds.map(|count| count.saturating_sub(1));
        Self::parse(&read("stat")?, &read("status")?, fds, &read("limits")?)
    }

    fn parse(stat: &str, status: &str, open_fds: Option<u64>, limits: &str) -> Option<Self> {
        // The name of the program stands in brackets and can hold anything.
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let ticks = |at: usize| fields.get(at)?.parse::<f64>().ok();
        let status = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
            line.split_whitespace().next()?.parse::<u64>().ok()
        };
        let max_fds = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
        Some(Self {
            // Fields 14 and 15 of the whole line.
            cpu_seconds: (ticks(11)? + ticks(12)?) / TICKS,
            resident_bytes: status("VmRSS")? * 1024,
            virtual_bytes: status("VmSize")? * 1024,
            threads: status("Threads")?,
            open_fds,
            max_fds: max_fds.and_then(|line| line.split_whitespace().next()?.parse().ok()),
        })
    }

    /// Writes the series of a metric, if it is one of the process.
    pub(super) fn write(&self, metric: Metric, family: &mut Family<'_>) {
        let number = match metric {
            Metric::ProcessCpu => return family.series(&[], self.cpu_seconds),
            Metric::ProcessResident => Some(self.resident_bytes),
            Metric::ProcessVirtual => Some(self.virtual_bytes),
            Metric::ProcessThreads => Some(self.threads),
            Metric::ProcessFds => self.open_fds,
            Metric::ProcessMaxFds => self.max_fds,
            _ => None,
        };
        if let Some(number) = number {
            family.series(&[], number);
        }
    }
}

/// Now, in seconds since 1970.
pub(super) fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_tells_is_read_in_base_units() {
        let stat = "7 (oms) operator) S 1 7 7 0 -1 4194560 2345 0 0 0 150 50 0 0 20 0 4 0 123456 0 0";
        let status = "Name:\toms\nVmSize:\t  2048 kB\nVmRSS:\t    1000 kB\nThreads:\t4\n";
        let limits = "Limit                     Soft Limit           Hard Limit           Units\n\
                      Max open files            1024                 524288               files\n";
        let process = Process::parse(stat, status, Some(9), limits).unwrap();
        let expected = Process {
            cpu_seconds: 2.0,
            resident_bytes: 1_024_000,
            virtual_bytes: 2_097_152,
            threads: 4,
            open_fds: Some(9),
            max_fds: Some(1024),
        };
        assert_eq!(process, expected);
        let unlimited = limits.replace("1024 ", "unlimited ");
        assert_eq!(Process::parse(stat, status, None, &unlimited).unwrap().max_fds, None);
        assert_eq!(Process::parse("", status, None, limits), None);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_is_found() {
        let process = Process::look().unwrap();
        assert!(process.resident_bytes > 1_000_000 && process.virtual_bytes > process.resident_bytes);
        assert!(process.open_fds.is_some_and(|count| count > 0), "{process:?}");
    }
}
