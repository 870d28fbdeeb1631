//! A look at the source before anything is copied: how the work of a group splits into tasks.
use std::time::Duration;

use super::failure::{Kind, Side, Trouble, failed};
use super::job::{Job, KeyRange, Source};
use super::s3::{self, Endpoint, Page};
use super::selection::{Selector, selectors};
use super::{Clock, Outcome, Settings};

/// How long a side is waited for that is not there.
const UNREACHABLE_FOR: Duration = Duration::from_secs(7);
/// Between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(8);

/// What a look needs besides a job.
#[derive(Clone, Copy)]
pub struct Survey<'a> {
    /// Emulated time, for pauses.
    pub clock: &'a dyn Clock,
    /// How patient it is.
    pub settings: &'a Settings,
}

impl std::fmt::Debug for Survey<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Survey").field("settings", self.settings).finish_non_exhaustive()
    }
}

/// Objects under one prefix that one task is to copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The prefix.
    pub prefix: String,
    /// Which of its keys, where the prefix has more objects than a task is to have.
    pub range: Option<KeyRange>,
}

/// Splits the prefixes of a job into parts of at most `most` objects. A prefix without objects has no part; prefixes
/// that others cover count once.
///
/// # Errors
/// The failure of the group: the source cannot be listed, or there is nothing to copy.
pub async fn parts(job: &Job, most: usize, survey: Survey<'_>) -> Result<Vec<Part>, Outcome> {
    let source = source(job)?.ok_or_else(|| failed("TRF.0012", "A URL source has no prefixes"))?;
    let mut parts = Vec::new();
    for selector in selectors(job) {
        if let Selector::Prefix(prefix) = selector {
            split(&source, prefix, most.max(1), survey, &mut parts).await?;
        }
    }
    if parts.is_empty() {
        return Err(failed("TRF.0012", "No object was found for the selection of the group"));
    }
    Ok(parts)
}

async fn split(
    source: &Endpoint,
    prefix: String,
    most: usize,
    survey: Survey<'_>,
    parts: &mut Vec<Part>,
) -> Result<(), Outcome> {
    let mut token: Option<String> = None;
    let mut after: Option<String> = None;
    let mut last: Option<String> = None;
    let mut objects = 0;
    loop {
        let page = patiently(survey, || source.list(&prefix, None, token.as_deref(), 1000)).await?;
        for object in page.objects {
            // Only now it is known that the part is not the last one.
            if objects == most {
                let range = KeyRange { after: after.clone(), until: last.clone() };
                parts.push(Part { prefix: prefix.clone(), range: Some(range) });
                after.clone_from(&last);
                objects = 0;
            }
            objects += 1;
            last = Some(object.key);
        }
        token = page.next;
        if token.is_none() {
            break;
        }
    }
    if objects > 0 {
        let range = after.map(|after| KeyRange { after: Some(after), until: None });
        parts.push(Part { prefix, range });
    }
    Ok(())
}

/// The list files of a job whose list file is a folder: every `.txt` in it, by key. At most `most`.
///
/// # Errors
/// The failure of the group: source, bucket or folder cannot be read, the folder holds no list, or too many.
pub async fn list_files(job: &Job, most: usize, survey: Survey<'_>) -> Result<Vec<String>, Outcome> {
    if let Some(source) = source(job)? {
        patiently(survey, || source.probe()).await?;
    }
    let folder = job.list_file.as_ref().ok_or_else(|| failed("S3M.1042", "The group has no list files"))?;
    let holder = s3_endpoint(Side::Destination, &job.destination, false)?
        .with_bucket(&job.destination, &folder.bucket)
        .map_err(|trouble| trouble.outcome())?;
    let mut files = Vec::new();
    let mut token: Option<String> = None;
    loop {
        let Page { objects, next } =
            patiently(survey, || holder.list(&folder.key, None, token.as_deref(), 1000)).await.map_err(
                |outcome| match outcome {
                    Outcome::Failed { code, .. } if matches!(code.as_str(), "TRF.0051" | "TRF.0058") => failed(
                        "TRF.0013",
                        format!(
                            "The folder `{}` in bucket `{}` does not exist or cannot be read with the destination's keys",
                            folder.key, folder.bucket
                        ),
                    ),
                    outcome => outcome,
                },
            )?;
        files.extend(objects.into_iter().map(|object| object.key).filter(|key| is_list(key)));
        token = next;
        if token.is_none() {
            break;
        }
    }
    if files.is_empty() {
        let message = format!("No list file was found in `{}` of bucket `{}`", folder.key, folder.bucket);
        return Err(failed("S3M.1042", message));
    }
    if files.len() > most {
        return Err(failed("S3M.1045", format!("There are {} list files; {most} are allowed", files.len())));
    }
    Ok(files)
}

fn is_list(key: &str) -> bool {
    std::path::Path::new(key).extension().is_some_and(|extension| extension == "txt")
}

fn source(job: &Job) -> Result<Option<Endpoint>, Outcome> {
    match &job.source {
        Source::S3(location) => s3_endpoint(Side::Source, location, job.requester_pays).map(Some),
        Source::UrlList => Ok(None),
    }
}

fn s3_endpoint(
    side: Side,
    location: &super::job::Location,
    requester_pays: bool,
) -> Result<Endpoint, Outcome> {
    let http = s3::s3_client()
        .map_err(|error| failed("TRF.0001", format!("The emulator cannot make an HTTP client: {error}")))?;
    Endpoint::new(side, http, location, requester_pays).map_err(|trouble| trouble.outcome())
}

/// Repeats what an endpoint could not do for now, with growing pauses of emulated time. A side that fails or throttles is
/// waited for as long as a task would; one that is not there at all was probably never there.
async fn patiently<T, F>(survey: Survey<'_>, attempt: impl Fn() -> F) -> Result<T, Outcome>
where
    F: Future<Output = Result<T, Trouble>>,
{
    let (mut pause, mut waited) = (Duration::from_secs(1), Duration::ZERO);
    loop {
        match attempt().await {
            Err(trouble) if trouble.is_worth_another_attempt() => {
                let limit = match trouble.kind {
                    Kind::Failing | Kind::Throttled => survey.settings.outage_wait(),
                    _ => UNREACHABLE_FOR,
                };
                if waited >= limit {
                    return Err(trouble.outcome());
                }
                survey.clock.wait(pause).await;
                waited += pause;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            Err(trouble) if trouble.side == Side::Source && trouble.kind == Kind::Denied => {
                return Err(failed("TRF.0027", "Listing the source bucket was refused"));
            }
            result => return result.map_err(|trouble| trouble.outcome()),
        }
    }
}
