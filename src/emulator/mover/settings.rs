//! What can be set about moving.
use std::time::Duration;

use serde::Deserialize;

/// How objects are moved. What the service uses is not published; the defaults suit a laptop.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Settings {
    /// Objects that one task copies at the same time. Default 8.
    pub workers: usize,
    /// Bytes per part of a multipart upload. S3 services want at least 5 MiB. Default 8 MiB.
    pub part_size: u64,
    /// Objects with more bytes go in parts. Default: the part size.
    pub multipart_threshold: Option<u64>,
    /// Parts per object at most; parts of bigger objects are bigger. Default 10000, which is S3's own limit.
    pub max_parts: u64,
    /// Milliseconds of service time for which a side that fails or throttles is waited for before the task fails with
    /// TRF.0157, TRF.0159 or TRF.0061. Default 60000.
    pub outage_wait_ms: u64,
    /// Milliseconds of service time for which a restore is waited for before the object fails with TRF.0202. Default
    /// 180000: the user guide names three minutes.
    pub restore_wait_ms: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            workers: 8,
            part_size: 8 * 1024 * 1024,
            multipart_threshold: None,
            max_parts: 10_000,
            outage_wait_ms: 60_000,
            restore_wait_ms: 180_000,
        }
    }
}

impl Settings {
    /// The field that makes no sense, and why.
    pub fn problem(&self) -> Option<(&'static str, &'static str)> {
        if self.workers == 0 {
            return Some(("workers", "must be at least 1"));
        }
        if self.part_size == 0 {
            return Some(("partSize", "must be at least 1"));
        }
        if !(1..=10_000).contains(&self.max_parts) {
            return Some(("maxParts", "must be between 1 and 10000, the limit of S3"));
        }
        None
    }

    /// Whether an object of that size goes in parts.
    pub(super) fn wants_parts(&self, size: u64) -> bool {
        size > self.multipart_threshold.unwrap_or(self.part_size)
    }

    /// Bytes per part of an object of that size.
    pub(super) fn part_size(&self, size: u64) -> u64 {
        self.part_size.max(size.div_ceil(self.max_parts.max(1))).max(1)
    }

    pub(super) fn outage_wait(&self) -> Duration {
        Duration::from_millis(self.outage_wait_ms)
    }

    pub(super) fn restore_wait(&self) -> Duration {
        Duration::from_millis(self.restore_wait_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_grow_when_there_would_be_too_many_of_them() {
        let settings = Settings { part_size: 10, max_parts: 4, ..Settings::default() };
        assert_eq!(
            (settings.part_size(40), settings.part_size(41), settings.part_size(4000)),
            (10, 11, 1000)
        );
        assert!(settings.wants_parts(11) && !settings.wants_parts(10));
        let settings = Settings { multipart_threshold: Some(100), ..settings };
        assert!(settings.wants_parts(101) && !settings.wants_parts(100));
    }

    #[test]
    fn settings_that_make_no_sense_are_named() {
        for (settings, field) in [
            (Settings { workers: 0, ..Settings::default() }, "workers"),
            (Settings { part_size: 0, ..Settings::default() }, "partSize"),
            (Settings { max_parts: 10_001, ..Settings::default() }, "maxParts"),
        ] {
            assert_eq!(settings.problem().map(|(field, _)| field), Some(field));
        }
        assert_eq!(Settings::default().problem(), None);
    }
}
