//! The rules of a task's options, without any request: skip or copy, and what a copy looks like.
use jiff::Timestamp;

use super::job::{ConsistencyCheck, OverwriteMode, StoragePolicy};

/// What is known of an object on one side.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Facts {
    /// Bytes; HTTP sources may not tell.
    pub(super) size: Option<u64>,
    pub(super) modified: Option<Timestamp>,
    /// CRC64 as the endpoint writes it.
    pub(super) crc64: Option<String>,
}

/// Whether an object is to be copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    Copy,
    Skip,
}

/// The overwrite rule for an object that may already be at the destination.
///
/// `no_check` wins over the mode when the source does not tell a length, since there is nothing to compare then.
pub(super) fn decide(
    mode: OverwriteMode,
    check: ConsistencyCheck,
    source: &Facts,
    destination: Option<&Facts>,
) -> Decision {
    if check == ConsistencyCheck::NoCheck && source.size.is_none() {
        return Decision::Copy;
    }
    let Some(destination) = destination else { return Decision::Copy };
    let unchanged = match mode {
        OverwriteMode::NoOverwrite => true,
        OverwriteMode::FullOverwrite => false,
        OverwriteMode::SizeLastModifiedComparisonOverwrite => same_size_and_not_older(source, destination),
        OverwriteMode::Crc64ComparisonOverwrite => match (&source.crc64, &destination.crc64) {
            (Some(source), Some(destination)) => source == destination,
            _ => same_size_and_not_older(source, destination),
        },
    };
    if unchanged { Decision::Skip } else { Decision::Copy }
}

fn same_size_and_not_older(source: &Facts, destination: &Facts) -> bool {
    let not_older = match (source.modified, destination.modified) {
        // HTTP dates carry whole seconds, listings carry fractions: compare what both have.
        (Some(source), Some(destination)) => destination.as_second() >= source.as_second(),
        _ => true,
    };
    source.size == destination.size && not_older
}

/// Whether an object is older than `migrate_since` (Unix seconds, 0 is off).
pub(super) fn is_too_old(migrate_since: i64, modified: Option<Timestamp>) -> bool {
    migrate_since > 0 && modified.is_some_and(|modified| modified.as_second() < migrate_since)
}

/// The S3 storage class of a copy.
pub(super) fn storage_class(policy: StoragePolicy, source: Option<&str>) -> &'static str {
    match policy {
        StoragePolicy::Standard => "STANDARD",
        StoragePolicy::Ia => "STANDARD_IA",
        StoragePolicy::Archive => "GLACIER",
        StoragePolicy::DeepArchive => "DEEP_ARCHIVE",
        StoragePolicy::SrcStorageMapping => match source {
            Some("STANDARD_IA" | "ONEZONE_IA" | "GLACIER_IR") => "STANDARD_IA",
            Some("GLACIER") => "GLACIER",
            Some("DEEP_ARCHIVE") => "DEEP_ARCHIVE",
            _ => "STANDARD",
        },
    }
}

/// Whether an object of this class must be restored before it can be read.
pub(super) fn is_archived(class: Option<&str>) -> bool {
    matches!(class, Some("GLACIER" | "DEEP_ARCHIVE"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(size: u64, second: i64, crc64: Option<&str>) -> Facts {
        Facts {
            size: Some(size),
            modified: Timestamp::from_second(second).ok(),
            crc64: crc64.map(str::to_owned),
        }
    }

    #[test]
    fn the_overwrite_mode_decides_about_an_object_that_exists() {
        use OverwriteMode::{
            Crc64ComparisonOverwrite as Crc64, FullOverwrite as Full, NoOverwrite as No,
            SizeLastModifiedComparisonOverwrite as SizeTime,
        };
        let same = facts(5, 100, Some("a"));
        let other_size = facts(6, 200, Some("b"));
        let older = facts(5, 99, Some("a"));
        let newer_other_bytes = facts(5, 101, Some("b"));
        let older_no_crc = facts(5, 99, None);
        let source = facts(5, 100, Some("a"));
        for (mode, destination, expected) in [
            (No, &other_size, Decision::Skip),
            (Full, &same, Decision::Copy),
            (SizeTime, &same, Decision::Skip),
            (SizeTime, &other_size, Decision::Copy),
            (SizeTime, &older, Decision::Copy),
            (SizeTime, &newer_other_bytes, Decision::Skip),
            (Crc64, &older, Decision::Skip),
            (Crc64, &newer_other_bytes, Decision::Copy),
            (Crc64, &older_no_crc, Decision::Copy),
        ] {
            for check in
                [ConsistencyCheck::SizeLastModified, ConsistencyCheck::Crc64, ConsistencyCheck::NoCheck]
            {
                assert_eq!(
                    decide(mode, check, &source, Some(destination)),
                    expected,
                    "{mode:?} {destination:?}"
                );
                assert_eq!(decide(mode, check, &source, None), Decision::Copy);
            }
        }
    }

    #[test]
    fn no_check_without_a_length_overwrites_whatever_the_mode() {
        let source = Facts::default();
        let there = facts(5, 100, None);
        let mode = OverwriteMode::NoOverwrite;
        assert_eq!(decide(mode, ConsistencyCheck::NoCheck, &source, Some(&there)), Decision::Copy);
        assert_eq!(decide(mode, ConsistencyCheck::SizeLastModified, &source, Some(&there)), Decision::Skip);
    }

    #[test]
    fn storage_classes_of_the_source_are_mapped_to_those_obs_has() {
        let mapped = |class| storage_class(StoragePolicy::SrcStorageMapping, class);
        assert_eq!(mapped(None), "STANDARD");
        assert_eq!(mapped(Some("ONEZONE_IA")), "STANDARD_IA");
        assert_eq!(mapped(Some("DEEP_ARCHIVE")), "DEEP_ARCHIVE");
        assert_eq!(storage_class(StoragePolicy::Archive, None), "GLACIER");
    }
}
