//! Progress for status: what people read, written at steps so that a running task does not write all the time.

use std::time::Duration;

use super::seen::Counters;
use crate::api::{ByteCounts, ObjectCounts, Progress};

/// Percent between two writes of progress.
const STEP: u32 = 5;

/// The progress that the counters show.
pub fn of(counters: &Counters) -> Progress {
    let percent = (counters.fraction.clamp(0.0, 1.0) * 100.0).floor() as u32;
    Progress {
        percent,
        display: format!("{percent}%"),
        bytes: ByteCounts { total: counters.bytes_total, done: counters.bytes_done },
        objects: ObjectCounts {
            total: counters.total,
            succeeded: counters.succeeded,
            failed: counters.failed,
            skipped: counters.skipped,
        },
        bytes_per_second: counters.bytes_per_second,
        speed: (counters.bytes_per_second > 0).then(|| speed(counters.bytes_per_second)),
        remaining: counters.remaining.filter(|left| !left.is_zero()).map(duration),
    }
}

/// The progress of a task that moves no more: the same numbers, no speed and no time left.
pub fn at_rest(counters: &Counters) -> Progress {
    of(&Counters { bytes_per_second: 0, remaining: None, ..counters.clone() })
}

/// The progress to store: the fresh one when it reached the next step or when it is `due`, else the stored one.
pub fn step(stored: Option<&Progress>, fresh: Progress, due: bool) -> Progress {
    match stored {
        Some(stored)
            if !due && stored.percent / STEP == fresh.percent / STEP && fresh.percent >= stored.percent =>
        {
            stored.clone()
        }
        _ => fresh,
    }
}

fn speed(bytes_per_second: u64) -> String {
    const UNITS: [&str; 5] = ["B/s", "KiB/s", "MiB/s", "GiB/s", "TiB/s"];
    let mut value = bytes_per_second as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{bytes_per_second} B/s") } else { format!("{value:.1} {}", UNITS[unit]) }
}

fn duration(time: Duration) -> String {
    let seconds = time.as_secs().max(1);
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m{}s", seconds % 60),
        (0, ..) => format!("{hours}h{minutes}m"),
        _ => format!("{days}d{hours}h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counters(fraction: f64) -> Counters {
        Counters {
            fraction,
            bytes_per_second: 52_428_800,
            remaining: Some(Duration::from_mins(65)),
            ..Counters::default()
        }
    }

    #[test]
    fn progress_reads_as_people_write_it() {
        let progress = of(&counters(0.4567));
        assert_eq!((progress.display.as_str(), progress.speed.as_deref()), ("45%", Some("50.0 MiB/s")));
        assert_eq!(progress.remaining.as_deref(), Some("1h5m"));
        assert_eq!(speed(900), "900 B/s");
        assert_eq!(duration(Duration::from_secs(59)), "59s");
        assert_eq!(duration(Duration::from_secs(100_000)), "1d3h");
    }

    #[test]
    fn a_task_at_rest_has_no_speed_and_no_time_left() {
        let progress = at_rest(&counters(0.5));
        assert_eq!((progress.bytes_per_second, progress.speed, progress.remaining), (0, None, None));
    }

    #[test]
    fn progress_is_stored_at_steps_or_when_due() {
        let stored = of(&counters(0.41));
        assert_eq!(step(Some(&stored), of(&counters(0.44)), false), stored);
        assert_eq!(step(Some(&stored), of(&counters(0.45)), false).percent, 45);
        assert_eq!(step(Some(&stored), of(&counters(0.44)), true).percent, 44);
        assert_eq!(step(None, of(&counters(0.0)), false).percent, 0);
        assert_eq!(step(Some(&stored), of(&counters(0.0)), false).percent, 0, "a new attempt starts over");
    }
}
