//! What the operations have in common: conditions, checks, and how records become answers.
use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use s3s::{S3Result, dto, s3_error};

use super::blob::Written;
use super::index::Record;
use super::listing::{After, MAX_KEYS, Page};

/// What `encoding-type=url` leaves alone.
pub(super) const KEY_IN_XML: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'/');

/// Headers that make a request conditional.
#[derive(Debug, Default)]
pub(super) struct Conditions {
    pub(super) if_match: Option<dto::ETagCondition>,
    pub(super) if_none_match: Option<dto::ETagCondition>,
}

fn fits(condition: &dto::ETagCondition, etag: &str) -> bool {
    match condition {
        dto::ETagCondition::Any => true,
        dto::ETagCondition::ETag(wanted) => wanted.value() == etag,
    }
}

impl Conditions {
    pub(super) fn check_write(&self, etag: Option<&str>) -> S3Result<()> {
        let missed =
            self.if_match.as_ref().is_some_and(|wanted| !etag.is_some_and(|etag| fits(wanted, etag)));
        let hit =
            self.if_none_match.as_ref().is_some_and(|unwanted| etag.is_some_and(|etag| fits(unwanted, etag)));
        if missed || hit {
            return Err(s3_error!(PreconditionFailed, "A precondition of the request does not hold"));
        }
        Ok(())
    }

    pub(super) fn check_read(
        &self,
        record: &Record,
        modified_since: Option<dto::Timestamp>,
        unmodified_since: Option<dto::Timestamp>,
    ) -> S3Result<()> {
        // HTTP dates have no fractions, so what is compared must not have any either.
        let modified = to_dto(Timestamp::from_second(record.last_modified.as_second()).unwrap_or_default());
        let failed = match &self.if_match {
            Some(wanted) => !fits(wanted, &record.etag),
            None => unmodified_since.is_some_and(|since| modified > since),
        };
        if failed {
            return Err(s3_error!(PreconditionFailed, "A precondition of the request does not hold"));
        }
        let unchanged = match &self.if_none_match {
            Some(unwanted) => fits(unwanted, &record.etag),
            None => modified_since.is_some_and(|since| modified <= since),
        };
        if unchanged { Err(s3_error!(NotModified)) } else { Ok(()) }
    }
}

pub(super) fn to_dto(time: Timestamp) -> dto::Timestamp {
    dto::Timestamp::from(SystemTime::from(time))
}

pub(super) fn from_dto(time: dto::Timestamp) -> Option<Timestamp> {
    let mut text = Vec::new();
    time.format(dto::TimestampFormat::DateTime, &mut text).ok()?;
    std::str::from_utf8(&text).ok()?.parse().ok()
}

pub(super) fn etag(record: &Record) -> dto::ETag {
    dto::ETag::Strong(record.etag.clone())
}

pub(super) fn crc64_text(crc: u64) -> String {
    STANDARD.encode(crc.to_be_bytes())
}

pub(super) fn checksum_asked(mode: Option<&dto::ChecksumMode>) -> bool {
    mode.is_some_and(|mode| mode.as_str().eq_ignore_ascii_case(dto::ChecksumMode::ENABLED))
}

pub(super) fn storage_class(asked: Option<dto::StorageClass>) -> String {
    asked.map_or_else(|| dto::StorageClass::STANDARD.to_owned(), |class| class.as_str().to_owned())
}

/// S3 leaves the header out for the standard class.
pub(super) fn storage_class_header(record: &Record) -> Option<dto::StorageClass> {
    (record.storage_class != dto::StorageClass::STANDARD)
        .then(|| dto::StorageClass::from(record.storage_class.clone()))
}

pub(super) fn is_archived(record: &Record) -> bool {
    [dto::StorageClass::GLACIER, dto::StorageClass::DEEP_ARCHIVE].contains(&record.storage_class.as_str())
}

pub(super) fn restore_header(record: &Record, now: Timestamp) -> Option<String> {
    let until = record.restored_until.filter(|until| is_archived(record) && *until > now)?;
    if record.restored_from.is_some_and(|from| from > now) {
        return Some("ongoing-request=\"true\"".to_owned());
    }
    let date = until.strftime("%a, %d %b %Y %H:%M:%S GMT");
    Some(format!("ongoing-request=\"false\", expiry-date=\"{date}\""))
}

/// Whether an archived object is readable because it was restored.
pub(super) fn is_restored(record: &Record, now: Timestamp) -> bool {
    record.restored_until.is_some_and(|until| until > now)
        && record.restored_from.is_none_or(|from| from <= now)
}

pub(super) fn require_readable(record: &Record, now: Timestamp) -> S3Result<()> {
    if is_archived(record) && !is_restored(record, now) {
        return Err(s3_error!(
            InvalidObjectState,
            "The operation is not valid for the object's storage class; restore it first"
        ));
    }
    Ok(())
}

/// The transfer coding of uploads is no property of the object.
pub(super) fn content_encoding(asked: Option<String>) -> Option<String> {
    let kept: Vec<&str> = asked
        .as_deref()?
        .split(',')
        .map(str::trim)
        .filter(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case("aws-chunked"))
        .collect();
    (!kept.is_empty()).then(|| kept.join(","))
}

pub(super) fn in_xml(text: &str, encoding: Option<&dto::EncodingType>) -> String {
    if encoding.is_some_and(|encoding| encoding.as_str() == dto::EncodingType::URL) {
        utf8_percent_encode(text, KEY_IN_XML).to_string()
    } else {
        text.to_owned()
    }
}

pub(super) fn listed(
    page: &Page,
    encoding: Option<&dto::EncodingType>,
) -> (Vec<dto::Object>, Vec<dto::CommonPrefix>) {
    let objects = page
        .objects
        .iter()
        .map(|(key, object)| dto::Object {
            key: Some(in_xml(key, encoding)),
            size: Some(object.record.size as i64),
            e_tag: Some(etag(&object.record)),
            last_modified: Some(to_dto(object.record.last_modified)),
            storage_class: Some(dto::ObjectStorageClass::from(object.record.storage_class.clone())),
            ..Default::default()
        })
        .collect();
    let prefixes = page
        .prefixes
        .iter()
        .map(|prefix| dto::CommonPrefix { prefix: Some(in_xml(prefix, encoding)) })
        .collect();
    (objects, prefixes)
}

pub(super) fn token(after: &After) -> String {
    let (kind, text) = match after {
        After::Key(key) => ('k', key),
        After::Prefix(prefix) => ('p', prefix),
    };
    URL_SAFE_NO_PAD.encode(format!("{kind}{text}"))
}

pub(super) fn parse_token(token: &str) -> S3Result<After> {
    let invalid = || s3_error!(InvalidArgument, "The continuation token provided is incorrect");
    let text = URL_SAFE_NO_PAD.decode(token).map_err(|_| invalid())?;
    let text = String::from_utf8(text).map_err(|_| invalid())?;
    match text.split_at_checked(1) {
        Some(("k", key)) => Ok(After::Key(key.to_owned())),
        Some(("p", prefix)) => Ok(After::Prefix(prefix.to_owned())),
        _ => Err(invalid()),
    }
}

pub(super) fn page_size(asked: Option<i32>) -> S3Result<usize> {
    match asked {
        None => Ok(MAX_KEYS),
        Some(asked) => usize::try_from(asked)
            .map(|asked| asked.min(MAX_KEYS))
            .map_err(|_| s3_error!(InvalidArgument, "Argument max-keys must not be negative")),
    }
}

pub(super) fn check_digests(written: &Written, md5: Option<&str>, crc64: Option<&str>) -> S3Result<()> {
    let md5_differs = md5.is_some_and(|expected| expected != STANDARD.encode(written.md5));
    let crc_differs = crc64.is_some_and(|expected| expected != crc64_text(written.crc64));
    if md5_differs || crc_differs {
        return Err(s3_error!(BadDigest, "The checksum you specified did not match what we received"));
    }
    Ok(())
}
