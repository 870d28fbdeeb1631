//! OMS's own checks: what they are, and what an answer means.

use jiff::Timestamp;

use super::wish::Places;
use crate::api::CheckResult;

/// How many names or prefixes are looked for; of more the first.
const MOST_KEYS: usize = 10;

/// One of OMS's checks (OMS API reference 5.6). None of them changes anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Check {
    /// The keys open the source bucket, which lies where the spec says (ShowBucketRegion).
    Source,
    /// The objects of the source bucket can be listed (ShowBucketObjects).
    Objects,
    /// Something has the name, or begins with the prefix, of that index (CheckPrefix).
    Key(usize),
    /// The CDN serves the bucket's objects (ShowCdnInfo).
    Cdn,
    /// The list of URLs can be read and is well formed (CheckUrlSourceListFileFormat).
    UrlList,
    /// The keys open the destination bucket, which lies in the connection's region (ShowBucketRegion).
    Destination,
}

impl Check {
    /// As status writes it.
    pub fn name(self) -> String {
        match self {
            Self::Source => "SourceBucket".into(),
            Self::Objects => "SourceObjects".into(),
            Self::Key(index) => format!("ObjectKeys[{index}]"),
            Self::Cdn => "Cdn".into(),
            Self::UrlList => "UrlList".into(),
            Self::Destination => "DestinationBucket".into(),
        }
    }

    /// Whether there is nothing to ask while the source bucket cannot be opened.
    pub fn is_within_source(self) -> bool {
        matches!(self, Self::Objects | Self::Key(_) | Self::Cdn)
    }
}

/// The checks for what a spec names, in their order.
pub fn checks(places: &Places<'_>) -> Vec<Check> {
    let mut checks = Vec::new();
    if places.bucket.is_some() {
        checks.push(Check::Source);
        if places.keys.is_empty() {
            checks.push(Check::Objects);
        }
        checks.extend((0..places.keys.len().min(MOST_KEYS)).map(Check::Key));
        if places.cdn.is_some() {
            checks.push(Check::Cdn);
        }
    }
    if places.url_list.is_some() {
        checks.push(Check::UrlList);
    }
    checks.push(Check::Destination);
    checks
}

/// What came of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// In a word.
    pub result: CheckResult,
    /// What was found, whose move it is and what to do; empty where it passed.
    pub message: String,
}

impl Outcome {
    /// Nothing is wrong.
    pub fn passed() -> Self {
        Self { result: CheckResult::Passed, message: String::new() }
    }

    /// The task would fail.
    pub fn failed(message: impl Into<String>) -> Self {
        Self { result: CheckResult::Failed, message: message.into() }
    }

    /// OMS cannot tell.
    pub fn not_possible(message: impl Into<String>) -> Self {
        Self { result: CheckResult::NotPossible, message: message.into() }
    }
}

/// What this process learned from a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The check.
    pub check: Check,
    /// What was checked, as a hash.
    pub subject: String,
    /// When.
    pub at: Timestamp,
    /// What came of it.
    pub outcome: Outcome,
}
