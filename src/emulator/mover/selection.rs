//! What a task copies: keys and prefixes, or the lines of a list, always in the same order, so that a place in it can
//! be remembered.
use std::collections::{HashSet, VecDeque};

use jiff::Timestamp;

use super::checkpoint::Place;
use super::failure::Trouble;
use super::job::{Job, KeyRange, TaskType};
use super::lists::{Spool, SpoolLines};
use super::s3::{Endpoint, Page};

/// Keys per page of a listing.
const PAGE: u16 = 1000;

/// One object to look at.
#[derive(Debug, Clone)]
pub(super) struct Item {
    pub(super) place: Place,
    /// Key at the source; the object name for URL lists.
    pub(super) key: String,
    pub(super) url: Option<String>,
    /// What the listing told.
    pub(super) known: Option<Known>,
}

/// What a listing tells of an object.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub(super) size: u64,
    pub(super) modified: Option<Timestamp>,
    pub(super) storage_class: Option<String>,
}

/// A part of the selection of the types `object` and `prefix`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Selector {
    /// Everything that starts with it.
    Prefix(String),
    /// One object.
    Key(String),
}

/// The selectors of a task, sorted, without those that others cover, so that no object is selected twice.
pub(super) fn selectors(job: &Job) -> Vec<Selector> {
    let is_prefix = |key: &str| job.task_type == TaskType::Prefix || key.is_empty() || key.ends_with('/');
    let mut keys: Vec<&str> = job.object_keys.iter().map(String::as_str).collect();
    // A prefix sorts before everything it covers.
    keys.sort_unstable();
    keys.dedup();
    let mut selectors: Vec<Selector> = Vec::new();
    let mut covering: Option<&str> = None;
    for key in keys {
        if covering.is_some_and(|prefix| key.starts_with(prefix)) {
            continue;
        }
        if is_prefix(key) {
            covering = Some(key);
            selectors.push(Selector::Prefix(key.to_owned()));
        } else {
            selectors.push(Selector::Key(key.to_owned()));
        }
    }
    selectors
}

/// Yields the items of a task in order.
pub(super) enum Producer {
    Bucket(Box<BucketProducer>),
    Lines(SpoolLines),
}

impl Producer {
    /// Everything after `after`.
    pub(super) fn over_bucket(source: Endpoint, job: &Job, after: Option<&Place>) -> Self {
        let selectors = selectors(job);
        let (current, start_after) = match after {
            None => (0, None),
            Some(place) => match selectors.get(place.index as usize) {
                Some(Selector::Prefix(_)) => (place.index as usize, Some(place.key.clone())),
                _ => (place.index as usize + 1, None),
            },
        };
        Self::Bucket(Box::new(BucketProducer {
            source,
            selectors,
            range: job.range.clone(),
            current,
            start_after,
            token: None,
            page: VecDeque::new(),
            listed: false,
        }))
    }

    /// The lines of a list after `after`.
    pub(super) fn over_lines(spool: &Spool, after: Option<&Place>) -> std::io::Result<Self> {
        Ok(Self::Lines(spool.lines(after.map(|place| place.index))?))
    }

    /// The next item, or `None` at the end. After an error the same item can be asked for again.
    pub(super) async fn next(&mut self) -> Result<Option<Item>, Trouble> {
        match self {
            Self::Bucket(bucket) => bucket.next().await,
            Self::Lines(lines) => lines.next(),
        }
    }
}

pub(super) struct BucketProducer {
    source: Endpoint,
    selectors: Vec<Selector>,
    range: Option<KeyRange>,
    current: usize,
    start_after: Option<String>,
    token: Option<String>,
    page: VecDeque<Item>,
    /// Whether the last page of the current prefix was fetched.
    listed: bool,
}

impl BucketProducer {
    async fn next(&mut self) -> Result<Option<Item>, Trouble> {
        loop {
            if let Some(item) = self.page.pop_front() {
                return Ok(Some(item));
            }
            let index = self.current as u64;
            match self.selectors.get(self.current) {
                None => return Ok(None),
                Some(Selector::Key(key)) => {
                    let place = Place { index, key: key.clone() };
                    let item = Item { place, key: key.clone(), url: None, known: None };
                    self.advance();
                    return Ok(Some(item));
                }
                Some(Selector::Prefix(_)) if self.listed => self.advance(),
                Some(Selector::Prefix(prefix)) => {
                    let after = self.start_after.as_deref();
                    let page =
                        list_part(&self.source, prefix, self.range.as_ref(), after, self.token.as_deref())
                            .await?;
                    self.page.extend(page.objects.into_iter().map(|object| Item {
                        place: Place { index, key: object.key.clone() },
                        key: object.key,
                        url: None,
                        known: Some(Known {
                            size: object.size,
                            modified: object.modified,
                            storage_class: object.storage_class,
                        }),
                    }));
                    self.listed = page.next.is_none();
                    self.token = page.next;
                }
            }
        }
    }

    fn advance(&mut self) {
        self.current += 1;
        self.start_after = None;
        self.token = None;
        self.listed = false;
    }
}

/// One page of what is listed under a prefix, of a part of it where there is one: the keys after `after`, or from a
/// continuation token.
pub(super) async fn list_part(
    source: &Endpoint,
    prefix: &str,
    range: Option<&KeyRange>,
    after: Option<&str>,
    token: Option<&str>,
) -> Result<Page, Trouble> {
    let after = after.or(range.and_then(|range| range.after.as_deref()));
    let mut page = source.list(prefix, after, token, PAGE).await?;
    if let Some(range) = range
        && page.objects.last().is_some_and(|last| range.ends_before(&last.key))
    {
        page.objects.retain(|object| !range.ends_before(&object.key));
        page.next = None;
    }
    Ok(page)
}

/// Keys of places that were finished out of order by an earlier run.
pub(super) type Finished = HashSet<Place>;

#[cfg(test)]
mod tests {
    use super::*;

    fn job(task_type: &str, keys: &[&str]) -> Job {
        let location = serde_json::json!({
            "endpoint": "http://127.0.0.1:1", "region": "r", "bucket": "b",
            "keys": { "access_key": "a", "secret_key": "s" },
        });
        serde_json::from_value(serde_json::json!({
            "task_id": 1, "task_name": "t", "task_type": task_type, "source": { "s3": location },
            "object_keys": keys, "destination": location,
        }))
        .unwrap()
    }

    #[test]
    fn overlapping_selections_are_copied_once() {
        let prefix = |text: &str| Selector::Prefix(text.to_owned());
        let key = |text: &str| Selector::Key(text.to_owned());
        assert_eq!(selectors(&job("prefix", &["ab", "a", "b", "a"])), [prefix("a"), prefix("b")]);
        assert_eq!(selectors(&job("object", &["a/b", "a", "a/", "ab"])), [key("a"), prefix("a/"), key("ab")]);
        assert_eq!(selectors(&job("object", &["x", ""])), [prefix("")]);
        assert_eq!(selectors(&job("prefix", &[])), []);
    }
}
