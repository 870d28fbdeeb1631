//! Object lists in the destination bucket: those a task is told to copy, and those it leaves behind.
use std::collections::HashSet;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};

use bytes::Bytes;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use md5::{Digest, Md5};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use tempfile::NamedTempFile;

use super::Outcome;
use super::checkpoint::{Checkpoint, FailedObject, Place};
use super::failure::{Kind, Side, Trouble, failed};
use super::job::{Job, ListFile, TaskType};
use super::policy;
use super::s3::Endpoint;
use super::selection::Item;

/// Longest line of a list, in characters (OMS user guide).
const LONGEST_LINE: usize = 65_535;

/// Largest object list (failure cause TRF.0014).
const LARGEST_LIST: u64 = 100 * 1024 * 1024;

/// URL lists must be smaller than this (OMS.0181).
const LARGEST_URL_LIST: u64 = 1024 * 1024 * 1024;

/// What names keep as they are in lists.
const IN_LIST: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'/');

/// A list fetched into a temporary file, checked and counted.
pub(super) struct Spool {
    file: NamedTempFile,
    urls: bool,
    /// Different lines that are not blank.
    pub(super) entries: u64,
}

/// The entries of a spool in order.
pub(super) struct SpoolLines {
    reader: BufReader<File>,
    urls: bool,
    next_line: u64,
    after: Option<u64>,
    seen: Distinct,
}

/// Remembers lines by a digest each.
#[derive(Default)]
struct Distinct(HashSet<[u8; 16]>);

impl Distinct {
    fn is_new(&mut self, line: &str) -> bool {
        self.0.insert(Md5::digest(line).into())
    }
}

impl Spool {
    /// Fetches the list that the task was given.
    pub(super) async fn of_task(job: &Job, destination: &Endpoint) -> Result<Self, Outcome> {
        let Some(ListFile { bucket, key }) = &job.list_file else {
            return Err(failed("TRF.0013", "The task has no list file"));
        };
        let urls = job.task_type == TaskType::UrlList;
        let holder =
            destination.with_bucket(&job.destination, bucket).map_err(|trouble| trouble.outcome())?;
        let largest = if urls { LARGEST_URL_LIST - 1 } else { LARGEST_LIST };
        if std::path::Path::new(key).extension().is_none_or(|extension| extension != "txt") {
            return Err(failed("TRF.0014", format!("The list file `{key}` is not a .txt file")));
        }
        let unreachable = |trouble: Trouble| match trouble.kind {
            Kind::NoObject | Kind::NoBucket | Kind::Denied | Kind::Unaddressable => failed(
                "TRF.0013",
                format!(
                    "The list file `{key}` in bucket `{bucket}` does not exist or cannot be read with the destination's keys"
                ),
            ),
            _ => trouble.outcome(),
        };
        let head = holder.head(key, false).await.map_err(unreachable)?;
        let text = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
        if head.facts.size.is_some_and(|size| size > largest) {
            return Err(failed("TRF.0014", format!("The list file `{key}` is larger than {largest} bytes")));
        }
        if policy::is_archived(head.storage_class.as_deref()) && head.restore.is_none() {
            return Err(failed("TRF.0301", format!("The list file `{key}` is archived; restore it first")));
        }
        let media_type = text("content-type").and_then(|value| value.split(';').next()).map(str::trim);
        if media_type != Some("text/plain")
            || text("content-encoding").is_some_and(|coding| !coding.is_empty())
        {
            let message =
                format!("The list file `{key}` must have Content-Type text/plain and no Content-Encoding");
            return Err(failed("TRF.0019", message));
        }
        let mut spool = Self::empty(urls)?;
        spool.append(&holder, key).await.map_err(unreachable)?;
        spool.check(key)?;
        Ok(spool)
    }

    /// Fetches the lists of failed objects that an earlier run left.
    pub(super) async fn of_failed(
        job: &Job,
        destination: &Endpoint,
        keys: &[String],
    ) -> Result<Self, Outcome> {
        let mut spool = Self::empty(job.task_type == TaskType::UrlList)?;
        for key in keys {
            spool.append(destination, key).await.map_err(|trouble| match trouble.kind {
                Kind::NoObject | Kind::Denied | Kind::Archived => {
                    failed("TRF.0022", format!("The failed-object list `{key}` is missing or cannot be read"))
                }
                _ => trouble.outcome(),
            })?;
        }
        spool.check("failed objects")?;
        Ok(spool)
    }

    fn empty(urls: bool) -> Result<Self, Outcome> {
        let file = NamedTempFile::with_prefix("oms-list-").map_err(|error| on_disk(&error))?;
        Ok(Self { file, urls, entries: 0 })
    }

    async fn append(&mut self, holder: &Endpoint, key: &str) -> Result<(), Trouble> {
        let lost = |message: String| Trouble::new(Side::Destination, Kind::Unavailable, message);
        let (_, mut response) = holder.get(key, None, None).await?;
        loop {
            let chunk = tokio::time::timeout(super::s3::ANSWER, response.chunk())
                .await
                .map_err(|_| holder.no_answer())?
                .map_err(|error| lost(error.without_url().to_string()))?;
            let Some(chunk) = chunk else { break };
            self.file.write_all(&chunk).map_err(|error| lost(error.to_string()))?;
        }
        self.file.write_all(b"\n").and_then(|()| self.file.flush()).map_err(|error| lost(error.to_string()))
    }

    /// Looks at every line before anything is copied, and counts.
    fn check(&mut self, name: &str) -> Result<(), Outcome> {
        let mut seen = Distinct::default();
        let mut reader = self.reader().map_err(|error| on_disk(&error))?;
        let mut number = 0u64;
        let mut line = Vec::new();
        while read_line(&mut reader, &mut line).map_err(|error| on_disk(&error))? {
            number += 1;
            let Ok(text) = std::str::from_utf8(&line) else {
                return Err(failed("TRF.0016", format!("Line {number} of the list `{name}` is not UTF-8")));
            };
            if number == 1 && text.starts_with('\u{FEFF}') {
                return Err(failed(
                    "TRF.0016",
                    format!("The list `{name}` starts with a byte order mark; remove it"),
                ));
            }
            if text.chars().count() > LONGEST_LINE {
                let message = format!("Line {number} of the list `{name}` exceeds {LONGEST_LINE} characters");
                return Err(failed("TRF.0018", message));
            }
            if text.is_empty() {
                continue;
            }
            if self.urls && url_and_name(text).is_none() {
                let message =
                    format!("Line {number} of the list `{name}` must be a URL, a tab and an object name");
                return Err(failed("TRF.0016", message));
            }
            if seen.is_new(text) {
                self.entries += 1;
            }
        }
        if self.entries == 0 {
            return Err(failed("TRF.0017", format!("The list `{name}` is empty")));
        }
        Ok(())
    }

    fn reader(&self) -> std::io::Result<BufReader<File>> {
        Ok(BufReader::new(self.file.reopen()?))
    }

    /// The entries after the line with that number.
    pub(super) fn lines(&self, after: Option<u64>) -> std::io::Result<SpoolLines> {
        Ok(SpoolLines {
            reader: self.reader()?,
            urls: self.urls,
            next_line: 0,
            after,
            seen: Distinct::default(),
        })
    }
}

impl SpoolLines {
    /// The next entry, or `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<Item>, Trouble> {
        let mut line = Vec::new();
        loop {
            let more = read_line(&mut self.reader, &mut line)
                .map_err(|error| Trouble::new(Side::Destination, Kind::Other, error.to_string()))?;
            if !more {
                return Ok(None);
            }
            let index = self.next_line;
            self.next_line += 1;
            let text = String::from_utf8_lossy(&line);
            // Lines before the place to go on from are read as well: they tell what is a repetition.
            if text.is_empty() || !self.seen.is_new(&text) || self.after.is_some_and(|after| index <= after) {
                continue;
            }
            let place = Place { index, key: String::new() };
            let (url, name) = match url_and_name(&text) {
                Some((url, name)) if self.urls => (Some(url.to_owned()), name),
                // Lists of failed objects have more columns.
                _ => (None, text.split('\t').next().unwrap_or_default()),
            };
            let key = percent_decode_str(name).decode_utf8_lossy().into_owned();
            return Ok(Some(Item { place, key, url, known: None }));
        }
    }
}

/// Reads a line without its end; says whether there was one.
fn read_line(reader: &mut BufReader<File>, line: &mut Vec<u8>) -> std::io::Result<bool> {
    line.clear();
    if reader.read_until(b'\n', line)? == 0 {
        return Ok(false);
    }
    while line.last().is_some_and(|byte| matches!(byte, b'\n' | b'\r')) {
        line.pop();
    }
    Ok(true)
}

/// The first two columns of a line of a URL list.
fn url_and_name(line: &str) -> Option<(&str, &str)> {
    let mut columns = line.split('\t');
    let (url, name) = (columns.next()?, columns.next()?);
    let parsed: url::Url = url.parse().ok()?;
    (matches!(parsed.scheme(), "http" | "https") && !name.is_empty()).then_some((url, name))
}

fn on_disk(error: &std::io::Error) -> Outcome {
    failed("TRF.0001", format!("The emulator cannot use its temporary folder: {error}"))
}

/// Which list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Folder {
    Success,
    Failed,
}

/// Writes what the checkpoint has gathered into the bucket, once there is enough of it or `all` is wanted.
pub(super) async fn flush(
    job: &Job,
    destination: &Endpoint,
    checkpoint: &mut Checkpoint,
    now: Timestamp,
    time_zone: &TimeZone,
    enough: usize,
) {
    if !job.enable_failed_object_recording {
        checkpoint.succeeded.clear();
        checkpoint.failed.clear();
        return;
    }
    if checkpoint.failed.len() >= enough && !checkpoint.failed.is_empty() {
        let text: String = checkpoint.failed.iter().map(failed_line).collect();
        // A retry must not write over the list that it reads.
        let taken =
            [checkpoint.failed_lists.clone(), checkpoint.retry_lists.clone().unwrap_or_default()].concat();
        let key = free_key(job, Folder::Failed, now, time_zone, &taken);
        match put_list(destination, &key, text).await {
            Ok(()) => checkpoint.failed_lists.push(key),
            // Stays, even if the next piece can be written: the list as a whole is incomplete.
            Err(trouble) => checkpoint.failed_list_error = Some(store_error(Folder::Failed, &trouble)),
        }
        checkpoint.failed.clear();
    }
    if checkpoint.succeeded.len() >= enough && !checkpoint.succeeded.is_empty() {
        let text = checkpoint.succeeded.iter().map(|key| encoded(key) + "\n").collect();
        let key = free_key(job, Folder::Success, now, time_zone, &checkpoint.success_lists);
        match put_list(destination, &key, text).await {
            Ok(()) => checkpoint.success_lists.push(key),
            Err(trouble) => checkpoint.success_list_error = Some(store_error(Folder::Success, &trouble)),
        }
        checkpoint.succeeded.clear();
    }
}

async fn put_list(destination: &Endpoint, key: &str, text: String) -> Result<(), Trouble> {
    let headers = vec![("content-type".to_owned(), "text/plain".to_owned())];
    let bytes = Bytes::from(text);
    match destination.put(key, headers.clone(), bytes.clone()).await {
        // Once more, as the entries are gone when this fails.
        Err(trouble) if trouble.is_worth_another_attempt() => destination.put(key, headers, bytes).await,
        result => result,
    }
}

/// Why a list was not stored, in the codes that ShowTask's `failed_object_record` uses.
fn store_error(folder: Folder, trouble: &Trouble) -> String {
    let is_refused = matches!(trouble.kind, Kind::Keys | Kind::Denied | Kind::NoBucket);
    match (folder, is_refused) {
        (Folder::Failed, true) => "OMS.0304",
        (Folder::Failed, false) => "OMS.0303",
        (Folder::Success, true) => "S3M.0310",
        (Folder::Success, false) => "S3M.0309",
    }
    .to_owned()
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, IN_LIST).to_string()
}

fn failed_line(object: &FailedObject) -> String {
    let url = object.url.as_deref().map(|url| format!("{url}\t")).unwrap_or_default();
    let message = object.message.replace(['\t', '\n', '\r'], " ");
    format!("{url}{}\t{}\t{message}\n", encoded(&object.key), object.code)
}

/// `oms/task/<task name>/<kind>_object_lists/<yyyyMMddHHmmssSSS>.<kind>_list.txt`, as the service names them; for a task
/// of a group `oms/task_group/<group>/<kind>_object_lists/<task name>/...` (OMS user guide).
fn free_key(job: &Job, folder: Folder, now: Timestamp, time_zone: &TimeZone, taken: &[String]) -> String {
    let kind = match folder {
        Folder::Success => "success",
        Folder::Failed => "failed",
    };
    let folder = match &job.group {
        None => format!("oms/task/{}/{kind}_object_lists", job.task_name),
        Some(group) => format!("oms/task_group/{group}/{kind}_object_lists/{}", job.task_name),
    };
    let mut at = now;
    loop {
        let stamp = at.to_zoned(time_zone.clone()).strftime("%Y%m%d%H%M%S%3f").to_string();
        let key = format!("{folder}/{stamp}.{kind}_list.txt");
        if !taken.contains(&key) {
            return key;
        }
        at = at.checked_add(std::time::Duration::from_millis(1)).unwrap_or(now);
    }
}
