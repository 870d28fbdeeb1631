//! Listing a bucket, in pages, with prefix and delimiter (S3 API reference, ListObjectsV2 and ListObjects).
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use super::index::Object;

/// Keys per page at most.
pub(super) const MAX_KEYS: usize = 1000;

/// What a page starts after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum After {
    /// A key that was listed.
    Key(String),
    /// A common prefix that was listed, with everything below it.
    Prefix(String),
}

/// What to list.
#[derive(Debug)]
pub(super) struct Query<'a> {
    pub(super) prefix: &'a str,
    pub(super) delimiter: Option<&'a str>,
    pub(super) after: Option<After>,
    pub(super) max_keys: usize,
}

/// One page.
#[derive(Debug, Default)]
pub(super) struct Page {
    pub(super) objects: Vec<(String, Arc<Object>)>,
    pub(super) prefixes: Vec<String>,
    /// Where the next page starts; `None` when this is the last.
    pub(super) next: Option<After>,
}

/// One page of the keys in order; costs what the page holds, not what the bucket holds.
pub(super) fn page(objects: &BTreeMap<String, Arc<Object>>, query: &Query<'_>) -> Page {
    let mut page = Page::default();
    if query.max_keys == 0 {
        return page;
    }
    let delimiter = query.delimiter.filter(|delimiter| !delimiter.is_empty());
    let mut from: Bound<String> = match &query.after {
        Some(After::Key(key)) if key.as_str() >= query.prefix => Bound::Excluded(key.clone()),
        Some(After::Prefix(prefix)) if prefix.as_str() >= query.prefix => match successor(prefix) {
            Some(key) => Bound::Included(key),
            None => return page,
        },
        _ => Bound::Included(query.prefix.to_owned()),
    };
    // A `start-after` inside a common prefix leaves that prefix out of the page, as on S3.
    let passed = match &query.after {
        Some(After::Key(key)) => delimiter.and_then(|delimiter| common_prefix(key, query.prefix, delimiter)),
        _ => None,
    };
    let mut last = None;
    'ranges: loop {
        let mut jump = None;
        for (key, object) in objects.range((from.clone(), Bound::Unbounded)) {
            if !key.starts_with(query.prefix) {
                break 'ranges;
            }
            let common = delimiter.and_then(|delimiter| common_prefix(key, query.prefix, delimiter));
            if common.is_some() && common == passed {
                jump = common;
                break;
            }
            if page.objects.len() + page.prefixes.len() == query.max_keys {
                page.next = last;
                break 'ranges;
            }
            if let Some(common) = common {
                last = Some(After::Prefix(common.to_owned()));
                page.prefixes.push(common.to_owned());
                jump = Some(common);
                break;
            }
            last = Some(After::Key(key.clone()));
            page.objects.push((key.clone(), Arc::clone(object)));
        }
        match jump.and_then(successor) {
            Some(key) => from = Bound::Included(key),
            None => break,
        }
    }
    page
}

fn common_prefix<'k>(key: &'k str, prefix: &str, delimiter: &str) -> Option<&'k str> {
    let rest = key.strip_prefix(prefix)?;
    let end = rest.find(delimiter)? + delimiter.len();
    Some(&key[..prefix.len() + end])
}

/// The first string after everything that starts with `prefix`; `None` when there is none.
fn successor(prefix: &str) -> Option<String> {
    let mut stem = prefix.to_owned();
    while let Some(last) = stem.pop() {
        // The gap of the surrogates is not a gap in the order of UTF-8.
        let next = if last == '\u{D7FF}' { Some('\u{E000}') } else { char::from_u32(last as u32 + 1) };
        if let Some(next) = next {
            stem.push(next);
            return Some(stem);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::successor;

    #[test]
    fn a_successor_follows_everything_with_the_prefix_and_nothing_else() {
        assert_eq!(successor("a/").as_deref(), Some("a0"));
        assert_eq!(successor("a\u{D7FF}").as_deref(), Some("a\u{E000}"));
        assert_eq!(successor("a\u{10FFFF}").as_deref(), Some("b"));
        assert_eq!(successor("\u{10FFFF}"), None);
    }
}
