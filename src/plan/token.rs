//! The token that marks a task at OMS as ours.
//!
//! OMS knows no idempotency token and no name of our choice, so the token stands first in the task's
//! description. Its object part is a hash of (cluster, kind, UID), never of anything that lives in status:
//! a search for the object part finds every task of the object, also when the status was erased. The attempt
//! is written in plain, so that it comes back with the task.

use std::fmt;

use data_encoding::BASE32_NOPAD;
use sha2::{Digest, Sha256};

/// Longest token in characters; the user's description keeps the rest.
pub const MAX_LENGTH: usize = 40;

/// Hash of (cluster, kind, UID): which object a task belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectMark(String);

impl ObjectMark {
    /// The mark of an object; `cluster` is the UID of namespace kube-system or the configured cluster ID.
    pub fn new(cluster: &str, kind: &str, uid: &str) -> Self {
        Self(hash(&[cluster, kind, uid], 10))
    }
}

/// Which task: object, run and attempt.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Token {
    /// The object.
    pub object: ObjectMark,
    run: String,
    /// Attempt within the run, from 1.
    pub attempt: i64,
}

impl Token {
    /// The token of an attempt; `rerun` is the rerun token of the spec, empty for the first run.
    pub fn new(object: ObjectMark, rerun: &str, attempt: i64) -> Self {
        Self { object, run: hash(&["run", rerun], 5), attempt }
    }

    /// Whether both are attempts of the same run of the same object.
    pub fn same_run(&self, other: &Self) -> bool {
        self.object == other.object && self.run == other.run
    }

    /// The description for OMS: the token, and the user's text after a space.
    pub fn describe(&self, text: Option<&str>) -> String {
        match text {
            Some(text) if !text.is_empty() => format!("{self} {text}"),
            _ => self.to_string(),
        }
    }

    /// The token at the start of a description; `None` when it is not one of ours.
    pub fn parse(description: &str) -> Option<Self> {
        let word = description.split(' ').next()?;
        let mut parts = word.strip_prefix("oms-")?.splitn(3, '-');
        let (object, run, attempt) = (parts.next()?, parts.next()?, parts.next()?);
        let attempt = attempt.strip_prefix('a')?;
        let is_hash = |text: &str, length: usize| {
            text.len() == length
                && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        };
        if !is_hash(object, 16) || !is_hash(run, 8) || !attempt.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let attempt = attempt.parse().ok().filter(|number| *number >= 1)?;
        Some(Self { object: ObjectMark(object.into()), run: run.into(), attempt })
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "oms-{}-{}-a{}", self.object.0, self.run, self.attempt)
    }
}

/// A hash of texts, as letters and digits.
pub(super) fn hash(parts: &[&str], bytes: usize) -> String {
    let mut digest = Sha256::new();
    for part in parts {
        // The length keeps ("ab", "c") and ("a", "bc") apart.
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part.as_bytes());
    }
    BASE32_NOPAD.encode(&digest.finalize()[..bytes]).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn token(attempt: i64) -> Token {
        Token::new(ObjectMark::new("cluster", "MigrationTask", "uid"), "", attempt)
    }

    #[test]
    fn a_token_is_found_again_in_a_description() {
        let token = token(12);
        assert_eq!(Token::parse(&token.describe(Some("weekly photos"))), Some(token.clone()));
        assert_eq!(Token::parse(&token.describe(None)), Some(token));
    }

    #[test]
    fn the_longest_token_fits_into_its_room() {
        let text = token(99_999_999).to_string();
        assert!(text.len() <= MAX_LENGTH, "{text} has {} characters", text.len());
        assert!(text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'));
    }

    #[test]
    fn other_clusters_kinds_and_objects_have_other_tokens() {
        let mark = |c, k, u| ObjectMark::new(c, k, u);
        let marks = [
            mark("a", "k", "u"),
            mark("b", "k", "u"),
            mark("a", "l", "u"),
            mark("a", "k", "v"),
            mark("ak", "", "u"),
        ];
        for (index, one) in marks.iter().enumerate() {
            assert!(!marks[index + 1..].contains(one));
        }
    }

    proptest! {
        #[test]
        fn no_description_makes_the_parser_panic(text in ".*") {
            let _ = Token::parse(&text);
        }
    }
}
