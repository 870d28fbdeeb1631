//! One object: looked at on both sides, copied if the rules say so, verified.
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::Response;
use tokio::sync::watch;

use super::cdn::Edge;
use super::failure::{Kind, Side, Trouble};
use super::job::{ConsistencyCheck, Job, OverwriteMode};
use super::outage::Availability;
use super::pace::{Bandwidth, ObjectRate};
use super::policy::{self, Decision, Facts};
use super::s3::{Endpoint, Head, Header};
use super::selection::Item;
use super::transfer::{Paced, Passed, Tally, pump, rest, unless_stopped};
use super::{Clock, Control, Settings};

/// Attempts per object (and per part of a big one).
const ATTEMPTS: u32 = 4;

/// S3's limit on keys, in bytes.
const LONGEST_KEY: usize = 1024;

/// Headers that describe an object, besides Content-Type and user metadata.
const DESCRIPTIVE: [&str; 5] =
    ["cache-control", "content-disposition", "content-encoding", "content-language", "expires"];

/// Failures of one object, or of one part.
#[derive(Default)]
pub(super) struct Attempts {
    /// Failures that speak against the object.
    made: u32,
    /// Successes on the side at the last failure.
    successes: Option<u64>,
}

/// What one task's copies share.
pub(super) struct Shared {
    pub(super) job: Job,
    pub(super) source: Option<Endpoint>,
    pub(super) edge: Option<Edge>,
    pub(super) destination: Endpoint,
    pub(super) web: reqwest::Client,
    pub(super) url_hosts: Arc<[String]>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) control: watch::Receiver<Control>,
    pub(super) bandwidth: Bandwidth,
    pub(super) rate: ObjectRate,
    pub(super) settings: Settings,
    pub(super) source_side: Availability,
    pub(super) destination_side: Availability,
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

pub(super) enum Looked {
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
                if trouble.is_about_the_side()
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
        let mut attempts = Attempts::default();
        loop {
            rest(&self.control, self.source_side.admit()).await?;
            rest(&self.control, self.destination_side.admit()).await?;
            match attempt().await {
                Ok(done) => {
                    self.succeeded();
                    return Ok(done);
                }
                Err(trouble) => self.before_another(trouble, &mut attempts).await?,
            }
        }
    }

    /// Both sides did what they were asked.
    pub(super) fn succeeded(&self) {
        self.source_side.succeeded();
        self.destination_side.succeeded();
    }

    /// Waits until another attempt makes sense, or hands the trouble back when none does.
    pub(super) async fn before_another(
        &self,
        trouble: Trouble,
        attempts: &mut Attempts,
    ) -> Result<(), Trouble> {
        if !trouble.is_worth_another_attempt() {
            return Err(trouble);
        }
        // The URLs of a list lead to many servers; that one of them is gone says nothing of the others.
        let is_one_of_many = trouble.side == Side::Source && self.source.is_none();
        if trouble.is_about_the_side() && !is_one_of_many {
            let side = match trouble.side {
                Side::Source => &self.source_side,
                Side::Destination => &self.destination_side,
            };
            // While nothing succeeds it is not this object that fails.
            let successes = side.successes();
            if attempts.successes.replace(successes) != Some(successes) {
                attempts.made += 1;
            }
            if !side.failed() || attempts.made >= ATTEMPTS {
                return Err(trouble);
            }
            return rest(&self.control, side.admit()).await;
        }
        attempts.made += 1;
        if attempts.made >= ATTEMPTS {
            return Err(trouble);
        }
        rest(&self.control, self.clock.wait(Duration::from_secs(1 << (attempts.made - 1)))).await
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

    pub(super) async fn decide(&self, source: &Facts, target: &str) -> Result<Decision, Trouble> {
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
        let is_big = facts.size.is_some_and(|size| self.settings.wants_parts(size));
        // What a CDN tells of an object may be old, so the bucket is asked.
        if item.known.is_none()
            || self.wants_crc64()
            || is_big
            || self.edge.is_some()
            || policy::is_archived(class.as_deref())
        {
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
        {
            self.restore(source, &item.key, seen).await?;
        }
        let passed = match head {
            Some(seen) if seen.facts.size.is_some_and(|size| self.settings.wants_parts(size)) => {
                self.copy_in_parts(source, &item.key, target, &seen).await?
            }
            looked => {
                let (seen, response) = self.read(source, &item.key, None, looked.as_ref()).await?;
                let length = seen.facts.size.ok_or_else(|| {
                    Trouble::new(Side::Source, Kind::Other, "The source does not tell the object's length")
                })?;
                if self.settings.wants_parts(length) {
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

    /// Starts reading an object, or a range of it: the version that was `seen`, if one was.
    pub(super) async fn read(
        &self,
        source: &Endpoint,
        key: &str,
        range: Option<(u64, u64)>,
        seen: Option<&Head>,
    ) -> Result<(Head, Response), Trouble> {
        if let (Some(edge), Some(seen)) = (&self.edge, seen) {
            let response = unless_stopped(&self.control, edge.get(key, range, seen)).await?;
            return Ok((seen.clone(), response));
        }
        let etag = seen.and_then(|seen| seen.etag.as_deref());
        unless_stopped(&self.control, source.get(key, range, etag)).await
    }

    pub(super) fn tally(&self) -> Tally {
        Tally::new(Arc::clone(&self.under_way), Arc::clone(&self.moved))
    }

    /// Headers of the copy.
    pub(super) fn headers(&self, seen: &Head) -> Vec<Header> {
        let mut headers = Vec::new();
        for (name, value) in &seen.headers {
            let name = name.as_str();
            let metadata = name.starts_with("x-amz-meta-") || DESCRIPTIVE.contains(&name);
            if name != "content-type" && !(metadata && self.job.enable_metadata_migration) {
                continue;
            }
            // S3 encodes what is not ASCII (RFC 2047), and such values pass as they are; bare bytes are Latin-1 in HTTP.
            let value = match std::str::from_utf8(value.as_bytes()) {
                Ok(text) => text.to_owned(),
                Err(_) => value.as_bytes().iter().copied().map(char::from).collect(),
            };
            headers.push((name.to_owned(), value));
        }
        let class = policy::storage_class(self.job.storage_policy, seen.storage_class.as_deref());
        if class != "STANDARD" {
            headers.push(("x-amz-storage-class".to_owned(), class.to_owned()));
        }
        headers
    }

    /// The check after the copy. Times are not compared here: the copy is newer by nature, and clocks of clouds differ.
    pub(super) async fn verify(
        &self,
        target: &str,
        passed: Passed,
        source_crc64: Option<&str>,
    ) -> Result<(), Trouble> {
        let corrupted = |message: String| Err(Trouble::new(Side::Destination, Kind::Corrupted, message));
        let mut attempts = Attempts::default();
        let there = loop {
            // Not given up when the task stops: the copy is there, and one answer tells that it is whole.
            match self.destination.head(target, self.wants_crc64()).await {
                Ok(head) => break head.facts,
                // By itself, as the copy is made: looked at anew, it would pass for an object that was there before.
                Err(trouble) => self.before_another(trouble, &mut attempts).await?,
            }
        };
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
}
