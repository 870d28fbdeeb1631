//! What can go wrong at an endpoint, and which OMS failure cause that is (OMS API reference, task failure causes).
use super::Outcome;

/// Which end of the migration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Source,
    Destination,
}

/// What kind of trouble a request had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The keys are unknown or the signature is wrong.
    Keys,
    /// The keys are known but may not do this.
    Denied,
    NoBucket,
    NoObject,
    /// The object must be restored first.
    Archived,
    Throttled,
    /// Not reachable, not answering, or broken off: worth another attempt.
    Unavailable,
    /// It answers that it fails: worth another attempt.
    Failing,
    /// The source refuses to restore an archived object.
    RestoreRefused,
    /// The restore of an archived object takes longer than the task waits.
    NotRestored,
    /// What was asked for was asked for already.
    UnderWay,
    /// The CDN lets nobody in with these secrets.
    EdgeRefused,
    /// The bucket has no room left.
    Full,
    /// The owner of the task wants it to stop.
    Stopped,
    /// The key cannot be written as a path of a URL.
    Unaddressable,
    /// The object was replaced while it was read: start over with the new one.
    Changed,
    /// The bytes that arrived are not those that left.
    Corrupted,
    Other,
}

/// A request that failed. The message never holds a URL: those are signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Trouble {
    pub(super) side: Side,
    pub(super) kind: Kind,
    pub(super) message: String,
}

impl Trouble {
    pub(super) fn new(side: Side, kind: Kind, message: impl Into<String>) -> Self {
        Self { side, kind, message: message.into() }
    }

    pub(super) fn stopped() -> Self {
        Self::new(Side::Source, Kind::Stopped, "The task is being stopped")
    }

    pub(super) fn is_worth_another_attempt(&self) -> bool {
        self.is_about_the_side() || matches!(self.kind, Kind::Changed | Kind::Corrupted)
    }

    /// Whether the endpoint as a whole may be in trouble.
    pub(super) fn is_about_the_side(&self) -> bool {
        matches!(self.kind, Kind::Unavailable | Kind::Failing | Kind::Throttled)
    }

    /// Whether no other object can fare better.
    pub(super) fn is_fatal(&self) -> bool {
        match self.side {
            Side::Source => matches!(self.kind, Kind::Keys | Kind::NoBucket | Kind::EdgeRefused),
            Side::Destination => matches!(self.kind, Kind::Keys | Kind::NoBucket | Kind::Denied | Kind::Full),
        }
    }

    /// The failure cause.
    pub(super) fn code(&self) -> &'static str {
        match (self.side, self.kind) {
            (Side::Source, Kind::Keys) => "TRF.0151",
            (Side::Source, Kind::Denied) | (_, Kind::EdgeRefused) => "TRF.0152",
            (Side::Source, Kind::NoBucket) => "TRF.0155",
            (Side::Source, Kind::NoObject) => "TRF.0156",
            (Side::Source, Kind::Unavailable | Kind::Failing | Kind::Stopped) => "TRF.0157",
            (Side::Source, Kind::Throttled) => "TRF.0159",
            (Side::Source, Kind::Archived) => "TRF.0160",
            (_, Kind::RestoreRefused) => "TRF.0201",
            (_, Kind::NotRestored) => "TRF.0202",
            (_, Kind::Full) => "TRF.0055",
            (Side::Destination, Kind::Keys) => "TRF.0057",
            (Side::Destination, Kind::Denied) => "TRF.0051",
            (Side::Destination, Kind::NoBucket) => "TRF.0058",
            (Side::Destination, Kind::NoObject) => "TRF.0059",
            (Side::Destination, Kind::Unavailable | Kind::Failing | Kind::Throttled | Kind::Stopped) => {
                "TRF.0061"
            }
            (Side::Destination, Kind::Archived) => "TRF.0065",
            (_, Kind::Unaddressable) => "TRF.0031",
            (_, Kind::Changed | Kind::Corrupted | Kind::UnderWay | Kind::Other) => "TRF.0002",
        }
    }

    /// The end of the task as a whole.
    pub(super) fn outcome(&self) -> Outcome {
        if self.kind == Kind::Stopped {
            return Outcome::Paused;
        }
        failed(self.code(), &self.message)
    }
}

pub(super) fn failed(code: &str, message: impl Into<String>) -> Outcome {
    Outcome::Failed { code: code.to_owned(), message: message.into() }
}
