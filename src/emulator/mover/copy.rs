//! One object: looked at on both sides, copied if the rules say so, verified.
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use crc_fast::{CrcAlgorithm, checksum, checksum_combine};
use tokio::sync::watch;

use super::failure::{Kind, Side, Trouble};
use super::job::{ConsistencyCheck, Job, OverwriteMode};
use super::pace::{Bandwidth, ObjectRate};
use super::policy::{self, Decision, Facts};
use super::s3::{Endpoint, Head, Header, may_lead_to};
use super::selection::Item;
use super::transfer::{Paced, Passed, Tally, pump, rest, tidy, unless_stopped};
use super::{Clock, Control};

/// Attempts per object (and per part of a big one).
const ATTEMPTS: u32 = 4;

/// S3's limit on keys, in bytes.
const LONGEST_KEY: usize = 1024;

/// S3's limit on the number of parts.
const MOST_PARTS: u64 = 10_000;

/// Headers that describe an object, besides Content-Type and user metadata.
const DESCRIPTIVE: [&str; 5] =
    ["cache-control", "content-disposition", "content-encoding", "content-language", "expires"];

/// How long restored objects stay readable.
const RESTORED_DAYS: u32 = 7;

/// What one task's copies share.
pub(super) struct Shared {
    pub(super) job: Job,
    pub(super) source: Option<Endpoint>,
    pub(super) destination: Endpoint,
    pub(super) web: reqwest::Client,
    pub(super) url_hosts: Arc<[String]>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) control: watch::Receiver<Control>,
    pub(super) bandwidth: Bandwidth,
    pub(super) rate: ObjectRate,
    pub(super) part_size: u64,
    /// Bytes of objects that are not settled yet.
    pub(super) under_way: Arc<AtomicU64>,
    /// All bytes ever moved, for the speed.
    pub(super) moved: Arc<AtomicU64>,
}

/// What became of an object.
#[derive(Debug)]
pub(super) enum Fate {
    Copied {
        bytes: u64,
    },
    Skipped {
        bytes: u64,
    },
    Failed {
        code: String,
        message: String,
        bytes: u64,
    },
    /// The task stopped first.
    Abandoned,
    /// The task as a whole cannot go on.
    Fatal(Trouble),
}

enum Looked {
    Copied(u64),
    Skipped(u64),
}

impl Shared {
    /// Copies one object, with retries.
    pub(super) async fn settle(&self, item: &Item) -> Fate {
        if rest(&self.control, self.rate.take()).await.is_err() {
            return Fate::Abandoned;
        }
        let bytes = item.known.as_ref().map_or(0, |known| known.size);
        let target = format!("{}{}", self.job.save_prefix, item.key);
        if target.len() > LONGEST_KEY {
            let message = format!(
                "The key at the destination would have {} bytes, {LONGEST_KEY} are allowed",
                target.len()
            );
            return Fate::Failed { code: "TRF.0060".to_owned(), message, bytes };
        }
        match self.with_attempts(|| self.look_and_copy(item, &target)).await {
            Ok(Looked::Copied(bytes)) => Fate::Copied { bytes },
            Ok(Looked::Skipped(bytes)) => Fate::Skipped { bytes },
            Err(trouble) if trouble.kind == Kind::Stopped => Fate::Abandoned,
            Err(trouble) if trouble.is_fatal() => Fate::Fatal(trouble),
            Err(trouble) => {
                if matches!(trouble.kind, Kind::Unavailable | Kind::Throttled)
                    && let Some(fatal) = self.outage(trouble.side).await
                {
                    return fatal;
                }
                Fate::Failed { code: trouble.code().to_owned(), message: trouble.message, bytes }
            }
        }
    }

    /// Whether it is not the object but the whole side that is gone.
    async fn outage(&self, side: Side) -> Option<Fate> {
        let endpoint = match side {
            Side::Source => self.source.as_ref()?,
            Side::Destination => &self.destination,
        };
        match unless_stopped(&self.control, endpoint.probe()).await {
            Ok(()) => None,
            Err(trouble) if trouble.kind == Kind::Stopped => Some(Fate::Abandoned),
            Err(trouble) => Some(Fate::Fatal(trouble)),
        }
    }

    /// Runs `attempt` until it succeeds or is not worth repeating, with growing pauses in emulated time.
    pub(super) async fn with_attempts<T, F>(&self, attempt: impl Fn() -> F) -> Result<T, Trouble>
    where
        F: Future<Output = Result<T, Trouble>>,
    {
        let mut made = 0;
        loop {
            made += 1;
            match attempt().await {
                Err(trouble) if trouble.is_worth_another_attempt() && made < ATTEMPTS => {
                    let pause = Duration::from_secs(1 << (made - 1));
                    rest(&self.control, self.clock.wait(pause)).await?;
                }
                result => return result,
            }
        }
    }

    async fn look_and_copy(&self, item: &Item, target: &str) -> Result<Looked, Trouble> {
        match (&item.url, &self.source) {
            (Some(url), _) => self.copy_url(url, target).await,
            (None, Some(source)) => self.copy_object(source, item, target).await,
            (None, None) => Err(Trouble::new(Side::Source, Kind::Other, "The line has no URL")),
        }
    }

    fn wants_crc64(&self) -> bool {
        self.job.source_has_crc64
            && (self.job.overwrite_mode == OverwriteMode::Crc64ComparisonOverwrite
                || self.job.consistency_check == ConsistencyCheck::Crc64)
    }

    async fn destination_facts(&self, target: &str) -> Result<Option<Facts>, Trouble> {
        let head = unless_stopped(&self.control, self.destination.head(target, self.wants_crc64())).await;
        match head {
            Ok(head) => Ok(Some(head.facts)),
            Err(trouble) if trouble.kind == Kind::NoObject => Ok(None),
            Err(trouble) => Err(trouble),
        }
    }

    async fn decide(&self, source: &Facts, target: &str) -> Result<Decision, Trouble> {
        if self.job.overwrite_mode == OverwriteMode::FullOverwrite {
            return Ok(Decision::Copy);
        }
        let there = self.destination_facts(target).await?;
        Ok(policy::decide(self.job.overwrite_mode, self.job.consistency_check, source, there.as_ref()))
    }

    async fn copy_object(&self, source: &Endpoint, item: &Item, target: &str) -> Result<Looked, Trouble> {
        let mut head = None;
        let mut facts = match &item.known {
            Some(known) => Facts { size: Some(known.size), modified: known.modified, crc64: None },
            None => Facts::default(),
        };
        let mut class = item.known.as_ref().and_then(|known| known.storage_class.clone());
        let is_big = facts.size.is_some_and(|size| size > self.part_size);
        if item.known.is_none() || self.wants_crc64() || is_big || policy::is_archived(class.as_deref()) {
            let seen = unless_stopped(&self.control, source.head(&item.key, self.wants_crc64())).await?;
            facts = seen.facts.clone();
            class.clone_from(&seen.storage_class);
            head = Some(seen);
        }
        let size = facts.size.unwrap_or(0);
        if policy::is_too_old(self.job.migrate_since, facts.modified)
            || self.decide(&facts, target).await? == Decision::Skip
        {
            return Ok(Looked::Skipped(size));
        }
        if policy::is_archived(class.as_deref())
            && let Some(seen) = &head
            && !is_restored(seen)
        {
            self.restore(source, &item.key).await?;
        }
        let passed = match head {
            Some(seen) if seen.facts.size.is_some_and(|size| size > self.part_size) => {
                self.copy_in_parts(source, &item.key, target, &seen).await?
            }
            _ => {
                let answer = source.get(&item.key, None, None);
                let (seen, response) = unless_stopped(&self.control, answer).await?;
                let length = seen.facts.size.ok_or_else(|| {
                    Trouble::new(Side::Source, Kind::Other, "The source does not tell the object's length")
                })?;
                if length > self.part_size {
                    // It grew since it was listed.
                    self.copy_in_parts(source, &item.key, target, &seen).await?
                } else {
                    let mut tally = self.tally();
                    let body = Paced::new(response, &self.bandwidth, &self.control);
                    let headers = self.headers(&seen);
                    let put = |stream| self.destination.put_stream(target, headers, length, stream);
                    pump(body, length, &mut tally, put).await?.1
                }
            }
        };
        self.verify(target, passed, facts.crc64.as_deref()).await?;
        Ok(Looked::Copied(passed.bytes))
    }

    fn tally(&self) -> Tally {
        Tally::new(Arc::clone(&self.under_way), Arc::clone(&self.moved))
    }

    /// Copies in ranges of the version that was seen; the object appears when all of them are there.
    async fn copy_in_parts(
        &self,
        source: &Endpoint,
        key: &str,
        target: &str,
        seen: &Head,
    ) -> Result<Passed, Trouble> {
        let size = seen.facts.size.unwrap_or(0);
        let part_size = self.part_size.max(size.div_ceil(MOST_PARTS)).max(1);
        let headers = self.headers(seen);
        let upload = self.destination.create_upload(target, headers).await?;
        let copied = async {
            let mut tally = self.tally();
            let mut etags = Vec::new();
            let mut whole = Passed { crc64: 0, bytes: 0 };
            while whole.bytes < size {
                let first = whole.bytes;
                let length = part_size.min(size - first);
                let mark = tally.mark();
                let mut made = 0;
                let (etag, passed) = loop {
                    made += 1;
                    let part = self
                        .copy_part(source, key, seen, (first, length), &mut tally, |stream| {
                            let number = etags.len() as u32 + 1;
                            self.destination.upload_part(target, &upload, number, length, stream)
                        })
                        .await;
                    match part {
                        Err(trouble)
                            if trouble.is_worth_another_attempt()
                                && trouble.kind != Kind::Changed
                                && made < ATTEMPTS =>
                        {
                            tally.back_to(mark);
                            let pause = Duration::from_secs(1 << (made - 1));
                            rest(&self.control, self.clock.wait(pause)).await?;
                        }
                        result => break result?,
                    }
                };
                whole.crc64 =
                    checksum_combine(CrcAlgorithm::Crc64Nvme, whole.crc64, passed.crc64, passed.bytes);
                whole.bytes += passed.bytes;
                etags.push(etag);
            }
            self.destination.complete_upload(target, &upload, &etags).await?;
            Ok(whole)
        }
        .await;
        if copied.is_err() {
            tidy(&self.destination, target, &upload).await;
        }
        copied
    }

    async fn copy_part<F>(
        &self,
        source: &Endpoint,
        key: &str,
        seen: &Head,
        (first, length): (u64, u64),
        tally: &mut Tally,
        send: impl FnOnce(futures::stream::BoxStream<'static, std::io::Result<Bytes>>) -> F,
    ) -> Result<(String, Passed), Trouble>
    where
        F: Future<Output = Result<String, Trouble>>,
    {
        let range = Some((first, first + length - 1));
        let answer = source.get(key, range, seen.etag.as_deref());
        let (_, response) = unless_stopped(&self.control, answer).await?;
        pump(Paced::new(response, &self.bandwidth, &self.control), length, tally, send).await
    }

    async fn restore(&self, source: &Endpoint, key: &str) -> Result<(), Trouble> {
        if !self.job.enable_restore {
            let message = "The object is archived at the source and the task does not restore";
            return Err(Trouble::new(Side::Source, Kind::Archived, message));
        }
        unless_stopped(&self.control, source.restore(key, RESTORED_DAYS)).await?;
        // Restoring takes clouds minutes to two days; the task waits for it.
        for wait in [0, 10, 60, 600, 3600].into_iter().chain(std::iter::repeat_n(3600, 48)) {
            let pause = self.clock.wait(Duration::from_secs(wait));
            rest(&self.control, pause).await?;
            let seen = unless_stopped(&self.control, source.head(key, false)).await?;
            if is_restored(&seen) {
                return Ok(());
            }
        }
        Err(Trouble::new(Side::Source, Kind::Archived, "The archived object was not restored in two days"))
    }

    /// Headers of the copy.
    fn headers(&self, seen: &Head) -> Vec<Header> {
        let mut headers = Vec::new();
        for (name, value) in &seen.headers {
            let name = name.as_str();
            let metadata = name.starts_with("x-amz-meta-") || DESCRIPTIVE.contains(&name);
            if name != "content-type" && !(metadata && self.job.enable_metadata_migration) {
                continue;
            }
            if let Ok(value) = std::str::from_utf8(value.as_bytes()) {
                headers.push((name.to_owned(), value.to_owned()));
            }
        }
        let class = policy::storage_class(self.job.storage_policy, seen.storage_class.as_deref());
        if class != "STANDARD" {
            headers.push(("x-amz-storage-class".to_owned(), class.to_owned()));
        }
        headers
    }

    /// The check after the copy. Times are not compared here: the copy is newer by nature, and clocks of clouds differ.
    async fn verify(&self, target: &str, passed: Passed, source_crc64: Option<&str>) -> Result<(), Trouble> {
        let corrupted = |message: String| Err(Trouble::new(Side::Destination, Kind::Corrupted, message));
        let check = async { self.destination.head(target, self.wants_crc64()).await };
        // Not given up when the task stops: the copy is there, and one answer tells that it is whole.
        let there = check.await?.facts;
        if there.size.is_some_and(|size| size != passed.bytes) {
            return corrupted("The copy has another size than the source".to_owned());
        }
        if self.job.consistency_check == ConsistencyCheck::Crc64 && self.wants_crc64() {
            let moved = STANDARD.encode(passed.crc64.to_be_bytes());
            let differs = |other: Option<&str>| other.is_some_and(|other| other != moved);
            if differs(there.crc64.as_deref()) || differs(source_crc64) {
                return corrupted("The copy has another CRC64 than the source".to_owned());
            }
        }
        Ok(())
    }

    async fn copy_url(&self, url: &str, target: &str) -> Result<Looked, Trouble> {
        let allowed = url::Url::parse(url).is_ok_and(|url| may_lead_to(&url, &self.url_hosts));
        if !allowed {
            let message = "The emulator fetches from loopback addresses only; add the host to `httpSources.allowedHosts`";
            return Err(Trouble::new(Side::Source, Kind::Denied, message));
        }
        let lost = |error: reqwest::Error| {
            Trouble::new(Side::Source, Kind::Unavailable, error.without_url().to_string())
        };
        let answer = async { self.web.get(url).send().await.map_err(lost) };
        let response = unless_stopped(&self.control, answer).await?;
        let status = response.status();
        if !status.is_success() {
            let kind = match status.as_u16() {
                401 | 403 => Kind::Denied,
                404 | 410 => Kind::NoObject,
                429 => Kind::Throttled,
                500..=599 => Kind::Unavailable,
                _ => Kind::Other,
            };
            return Err(Trouble::new(Side::Source, kind, format!("The URL answered {}", status.as_u16())));
        }
        let seen = Head::from_headers(response.headers().clone());
        if seen.facts.size.is_none() && self.job.consistency_check != ConsistencyCheck::NoCheck {
            let message =
                "The URL tells no Content-Length, so the copy could not be verified; use `no_check`";
            return Err(Trouble::new(Side::Source, Kind::Other, message));
        }
        let size = seen.facts.size.unwrap_or(0);
        if policy::is_too_old(self.job.migrate_since, seen.facts.modified)
            || self.decide(&seen.facts, target).await? == Decision::Skip
        {
            return Ok(Looked::Skipped(size));
        }
        let mut tally = self.tally();
        let headers = self.headers(&seen);
        let mut body = Paced::new(response, &self.bandwidth, &self.control);
        let passed = match seen.facts.size {
            Some(length) if length <= self.part_size => {
                let put = |stream| self.destination.put_stream(target, headers, length, stream);
                pump(body, length, &mut tally, put).await?.1
            }
            known => {
                // Web servers need not know ranges, so parts are held in memory, one at a time.
                let part_size = self.part_size.max(known.unwrap_or(0).div_ceil(MOST_PARTS)).max(1);
                let first = body.fill(part_size as usize, &mut tally).await?;
                if (first.len() as u64) < part_size {
                    let passed = passed_of(&first);
                    self.destination.put(target, headers, first).await?;
                    passed
                } else {
                    self.upload_buffered(body, first, part_size as usize, target, headers, &mut tally).await?
                }
            }
        };
        if seen.facts.size.is_some_and(|size| size != passed.bytes) {
            return Err(Trouble::new(Side::Source, Kind::Unavailable, "The URL sent less than it announced"));
        }
        self.verify(target, passed, None).await?;
        Ok(Looked::Copied(passed.bytes))
    }

    async fn upload_buffered(
        &self,
        mut body: Paced<'_>,
        first: Bytes,
        part_size: usize,
        target: &str,
        headers: Vec<Header>,
        tally: &mut Tally,
    ) -> Result<Passed, Trouble> {
        let upload = self.destination.create_upload(target, headers).await?;
        let copied = async {
            let mut etags = Vec::new();
            let mut whole = Passed { crc64: 0, bytes: 0 };
            let mut part = first;
            while !part.is_empty() {
                let passed = passed_of(&part);
                let number = etags.len() as u32 + 1;
                let bytes = part.clone();
                let stream = futures::stream::once(std::future::ready(Ok(bytes)));
                let sent = self.destination.upload_part(target, &upload, number, passed.bytes, stream);
                etags.push(unless_stopped(&self.control, sent).await?);
                whole.crc64 =
                    checksum_combine(CrcAlgorithm::Crc64Nvme, whole.crc64, passed.crc64, passed.bytes);
                whole.bytes += passed.bytes;
                part = body.fill(part_size, tally).await?;
            }
            self.destination.complete_upload(target, &upload, &etags).await?;
            Ok(whole)
        }
        .await;
        if copied.is_err() {
            tidy(&self.destination, target, &upload).await;
        }
        copied
    }
}

fn passed_of(bytes: &Bytes) -> Passed {
    Passed { crc64: checksum(CrcAlgorithm::Crc64Nvme, bytes), bytes: bytes.len() as u64 }
}

fn is_restored(seen: &Head) -> bool {
    seen.restore.as_deref().is_some_and(|restore| restore.contains("ongoing-request=\"false\""))
}
