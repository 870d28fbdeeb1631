//! What the codes of OMS mean: the error table of the API reference (8.2 and the historic 8.4) and the causes of task
//! failures (8.3), each with the class a caller decides by. The tables are committed beside this file.

use std::collections::HashMap;
use std::sync::LazyLock;

use serde::Deserialize;

static ERRORS: LazyLock<Table<CodeEntry>> = LazyLock::new(|| {
    // The gateway's own codes are not in the OMS reference; they have a table of their own.
    let files = [include_str!("errors.csv"), include_str!("gateway-codes.csv")];
    Table::read(&files, |entry: &CodeEntry| &entry.code)
});

static CAUSES: LazyLock<Table<FailureCause>> =
    LazyLock::new(|| Table::read(&[include_str!("failure-causes.csv")], |cause: &FailureCause| &cause.code));

/// Whose move it is when OMS refuses something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
pub enum Class {
    /// The request can never work as it is: the spec has to change.
    Invalid,
    /// The caller's own signature or token was refused.
    Credential,
    /// OMS could not use the keys given for a bucket, or they lack a right there.
    BucketCredential,
    /// The caller is known, but may not do this (or OMS will not say whether the thing exists); also accounts that are
    /// frozen, restricted or unverified.
    Permission,
    /// The privacy agreement is not accepted.
    Privacy,
    /// An account limit: number of tasks, space, balance.
    Quota,
    /// The task is in a state that does not allow the call.
    Conflict,
    /// The task is not there.
    NotFound,
    /// Too many requests or attempts.
    Throttled,
    /// A fault of the service or of the way to it; the same call may work later.
    Transient,
    /// Something outside is missing or wrong: a bucket, an object, a list file, its region. It may be put right without
    /// changing the spec.
    Missing,
    /// Not known; try again, but rarely.
    Unknown,
}

impl Class {
    /// Lower-case name with underscores, for logs and metric labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::Credential => "credential",
            Self::BucketCredential => "bucket_credential",
            Self::Permission => "permission",
            Self::Privacy => "privacy",
            Self::Quota => "quota",
            Self::Conflict => "conflict",
            Self::NotFound => "not_found",
            Self::Throttled => "throttled",
            Self::Transient => "transient",
            Self::Missing => "missing",
            Self::Unknown => "unknown",
        }
    }

    /// Whose move it is, in a few words for people.
    pub fn whose_move(self) -> &'static str {
        match self {
            Self::Invalid => "Yours: change the spec",
            Self::Credential => "Yours: the keys of the connection",
            Self::BucketCredential => "Yours: the keys of the bucket or their rights",
            Self::Permission => "The account's owner: grant the right, or put the account in order",
            Self::Privacy => "Yours: accept the privacy agreement",
            Self::Quota => "Nobody's for now: it waits; or ask for a higher limit",
            Self::Conflict => "The operator's: it looks again and decides anew",
            Self::NotFound => "The operator's: what was asked for is gone",
            Self::Throttled => "The operator's: it slows down",
            Self::Transient => "The operator's: it tries again",
            Self::Missing => "Yours: put right what is outside the spec; the operator looks again by itself",
            Self::Unknown => "The operator's: it tries again, rarely; tell us about the code",
        }
    }

    /// All classes, in the order in which people should read about them.
    pub const ALL: [Self; 12] = [
        Self::Invalid,
        Self::Missing,
        Self::BucketCredential,
        Self::Credential,
        Self::Permission,
        Self::Privacy,
        Self::Quota,
        Self::Conflict,
        Self::NotFound,
        Self::Throttled,
        Self::Transient,
        Self::Unknown,
    ];
}

/// One row of the error table.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct CodeEntry {
    /// Family and number, such as `OMS.0064`.
    pub code: String,
    /// HTTP status it is documented with; none for historic codes. 200 marks codes that arrive inside a task.
    pub http_status: Option<u16>,
    /// From the table of historic codes (8.4), whose meanings sometimes differ from today's.
    pub legacy: bool,
    /// Whose move it is.
    pub class: Class,
    /// What happened, in a few words.
    pub meaning: String,
    /// Why.
    pub cause: String,
    /// What to do about it.
    pub remedy: String,
}

/// One cause of a task's failure (`TRF.nnnn`).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct FailureCause {
    /// Such as `TRF.0004`.
    pub code: String,
    /// Whose move it is.
    pub class: Class,
    /// Where the cause lies.
    pub side: Side,
    /// Why the task failed.
    pub cause: String,
    /// What to do about it.
    pub remedy: String,
}

/// Where the cause of a task's failure lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
pub enum Side {
    /// OMS itself.
    Service,
    /// The source bucket, its objects or keys.
    Source,
    /// The destination bucket, its objects or keys.
    Destination,
    /// The list file.
    ListFile,
    /// The Huawei Cloud account.
    Account,
    /// What was asked for.
    Spec,
}

impl Side {
    /// In words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Service => "service",
            Self::Source => "source",
            Self::Destination => "destination",
            Self::ListFile => "list file",
            Self::Account => "account",
            Self::Spec => "spec",
        }
    }
}

/// The row of an error code: today's meaning before the historic one.
pub fn lookup(code: &str) -> Option<&'static CodeEntry> {
    ERRORS.all(&family(code)).min_by_key(|entry| entry.legacy)
}

/// The row of an error code that came with an HTTP status: `OMS.0095` means another thing with 400 than with 403.
pub fn lookup_with_status(code: &str, status: u16) -> Option<&'static CodeEntry> {
    ERRORS.all(&family(code)).min_by_key(|entry| (entry.legacy, entry.http_status != Some(status)))
}

/// Every row: the reference's in its order, then the gateway's.
pub fn entries() -> &'static [CodeEntry] {
    &ERRORS.rows
}

/// Every cause of a task's failure, in the order of the reference.
pub fn failure_causes() -> &'static [FailureCause] {
    &CAUSES.rows
}

/// The cause behind a task's `error_reason.error_code`.
pub fn failure_cause(code: &str) -> Option<&'static FailureCause> {
    CAUSES.all(code).next()
}

/// Whether a code is the gateway's, not one of OMS: nothing behind the gateway has spoken.
pub(super) fn is_gateway(code: &str) -> bool {
    code.starts_with("APIGW.") || code.starts_with("APIG.")
}

/// Newer gateways print the prefix `APIGW` as `APIG`.
fn family(code: &str) -> String {
    code.strip_prefix("APIG.").map_or_else(|| code.to_owned(), |number| format!("APIGW.{number}"))
}

struct Table<T> {
    rows: Vec<T>,
    by_code: HashMap<String, Vec<usize>>,
}

impl<T: for<'de> Deserialize<'de>> Table<T> {
    /// A row that does not parse is left out here and fails the tests below, which count rows.
    fn read(files: &[&str], code: impl Fn(&T) -> &str) -> Self {
        let mut rows = Vec::new();
        for file in files {
            let mut reader = csv::Reader::from_reader(file.as_bytes());
            rows.extend(reader.deserialize::<T>().filter_map(Result::ok));
        }
        let mut by_code: HashMap<String, Vec<usize>> = HashMap::new();
        for (index, row) in rows.iter().enumerate() {
            by_code.entry(code(row).to_owned()).or_default().push(index);
        }
        Self { rows, by_code }
    }

    fn all(&self, code: &str) -> impl Iterator<Item = &T> {
        self.by_code.get(code).into_iter().flatten().filter_map(|index| self.rows.get(*index))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn lines(file: &str) -> usize {
        file.lines().count() - 1
    }

    #[test]
    fn every_row_of_the_tables_is_known() {
        assert_eq!(lines(include_str!("errors.csv")), 432);
        assert_eq!(ERRORS.rows.len(), 432 + lines(include_str!("gateway-codes.csv")));
        assert_eq!(CAUSES.rows.len(), lines(include_str!("failure-causes.csv")));
        assert_eq!(CAUSES.rows.len(), 54);
        let documented: HashSet<_> =
            ERRORS.rows.iter().map(|row| &row.code).filter(|code| !code.starts_with("APIG")).collect();
        assert_eq!(documented.len(), 346);
        for row in &ERRORS.rows {
            assert!(lookup(&row.code).is_some(), "{}", row.code);
            assert!(!row.meaning.is_empty() && !row.remedy.is_empty(), "{}", row.code);
        }
        for row in &CAUSES.rows {
            assert_eq!(failure_cause(&row.code), Some(row));
            assert!(!row.cause.is_empty() && !row.remedy.is_empty(), "{}", row.code);
        }
    }

    #[test]
    fn the_codes_a_caller_decides_by_have_their_class() {
        for (code, class) in [
            ("OMS.0064", Class::Invalid),
            ("OMS.0078", Class::Invalid),
            ("APIGW.0301", Class::Credential),
            ("APIG.0301", Class::Credential),
            ("OMS.9999", Class::Credential),
            ("OMS.0189", Class::BucketCredential),
            ("OMS.1016", Class::BucketCredential),
            ("OMS.1020", Class::BucketCredential),
            ("OMS.0205", Class::Permission),
            ("OMS.2001", Class::Permission),
            ("OMS.0092", Class::Privacy),
            ("OMS.1010", Class::Privacy),
            ("S3M.0096", Class::Privacy),
            ("OMS.0077", Class::Quota),
            ("OMS.1021", Class::Quota),
            ("OMS.1037", Class::Quota),
            ("OMS.0063", Class::Conflict),
            ("OMS.0065", Class::Conflict),
            ("OMS.0066", Class::Conflict),
            ("OMS.0070", Class::Conflict),
            ("S3M.0071", Class::Conflict),
            ("OMS.1009", Class::NotFound),
            ("S3M.1009", Class::NotFound),
            ("APIG.0308", Class::Throttled),
            ("OMS.0184", Class::Transient),
            ("OMS.1001", Class::Transient),
            ("OMS.0089", Class::Missing),
            ("OMS.0183", Class::Missing),
        ] {
            assert_eq!(lookup(code).map(|entry| entry.class), Some(class), "{code}");
        }
    }

    #[test]
    fn codes_that_also_mean_no_permission_are_never_not_found() {
        for code in ["OMS.0054", "S3M.0054", "OMS.0095", "OMS.1014"] {
            for status in [400, 403] {
                assert_eq!(
                    lookup_with_status(code, status).unwrap().class,
                    Class::Permission,
                    "{code} {status}"
                );
            }
        }
    }

    #[test]
    fn todays_meaning_of_a_code_comes_before_the_historic_one() {
        let balance = lookup("TRF.0063").unwrap();
        assert!(!balance.legacy);
        assert_eq!(balance.class, Class::Quota);
        assert!(lookup("TRF.0011").unwrap().legacy);
    }

    #[test]
    fn an_unknown_code_has_no_row() {
        assert!(lookup("OMS.4711").is_none());
        assert!(failure_cause("TRF.4711").is_none());
    }
}
