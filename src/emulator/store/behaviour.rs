//! How a store behaves besides holding objects: what it refuses, and how long things take.
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use http::StatusCode;
use jiff::Timestamp;
use s3s::access::{S3Access, S3AccessContext};
use s3s::{S3Error, S3ErrorCode, S3Result, s3_error};
use serde::{Deserialize, Serialize};

/// How a store behaves. The default is a store that does what it is asked at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct StoreBehaviour {
    /// Requests that are refused although nothing is wrong with them.
    pub unavailable: Option<Unavailable>,
    /// Whether answers tell the CRC64 of objects when they are asked for it. Default true.
    pub crc64: bool,
    /// Whether archived objects can be restored at all; otherwise it is refused with 501 `NotImplemented`. Default true.
    pub restores: bool,
    /// Milliseconds between the request to restore an archived object and the moment when it can be read. Default 0.
    pub restore_ms: u64,
    /// What is special about single buckets, which need not exist yet.
    pub buckets: BTreeMap<String, BucketBehaviour>,
}

impl Default for StoreBehaviour {
    fn default() -> Self {
        Self { unavailable: None, crc64: true, restores: true, restore_ms: 0, buckets: BTreeMap::new() }
    }
}

/// A store that cannot serve for a while.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Unavailable {
    /// So many requests are refused; counts down. Absent: until the behaviour is changed.
    pub requests: Option<u64>,
    /// What S3 calls it. Default `ServiceUnavailable`.
    pub code: UnavailableCode,
    /// Names of the S3 operations that are refused, such as `GetObject`. Default: every one.
    pub operations: Vec<String>,
    /// Only requests for keys that begin so. Default: all requests.
    pub key_prefix: String,
}

/// Errors that pass by themselves (S3 API reference, error responses).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum UnavailableCode {
    /// 503: the service is overloaded or down.
    #[default]
    ServiceUnavailable,
    /// 503: the client asks too often.
    SlowDown,
    /// 500: the service failed.
    InternalError,
}

/// What is special about a bucket.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct BucketBehaviour {
    /// Every write is refused with 403 `AccessDenied`. Default false.
    pub read_only: bool,
    /// Bytes that the bucket holds at most; a write beyond is refused with 403 `InsufficientStorageSpace`, as OBS does.
    /// Default: no limit.
    pub quota_bytes: Option<u64>,
    /// Requests that read or list are refused with 403 `AccessDenied` unless they carry `x-amz-request-payer: requester`.
    /// Default false.
    pub requester_pays: bool,
}

/// Tells the store the time at which restored objects become readable.
#[derive(Clone)]
pub struct StoreClock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl StoreClock {
    /// A clock of one's own.
    pub fn new(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }
}

impl Default for StoreClock {
    fn default() -> Self {
        Self::new(Timestamp::now)
    }
}

impl fmt::Debug for StoreClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoreClock")
    }
}

/// The behaviour in force.
#[derive(Debug, Default)]
pub(super) struct Conduct {
    behaviour: RwLock<StoreBehaviour>,
    clock: RwLock<StoreClock>,
}

const WRITES: [&str; 9] = [
    "CompleteMultipartUpload",
    "CopyObject",
    "CreateMultipartUpload",
    "DeleteBucket",
    "DeleteObject",
    "DeleteObjects",
    "PutObject",
    "UploadPart",
    "UploadPartCopy",
];

const READS: [&str; 5] = ["GetObject", "HeadObject", "ListObjects", "ListObjectsV2", "RestoreObject"];

impl Conduct {
    pub(super) fn now(&self) -> Timestamp {
        self.clock.read().unwrap_or_else(PoisonError::into_inner).0()
    }

    pub(super) fn set_clock(&self, clock: StoreClock) {
        *self.clock.write().unwrap_or_else(PoisonError::into_inner) = clock;
    }

    pub(super) fn get(&self) -> StoreBehaviour {
        self.behaviour.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set(&self, behaviour: StoreBehaviour) {
        *self.behaviour.write().unwrap_or_else(PoisonError::into_inner) = behaviour;
    }

    pub(super) fn tells_crc64(&self) -> bool {
        self.behaviour.read().unwrap_or_else(PoisonError::into_inner).crc64
    }

    /// Milliseconds that a restore takes, or `None` where there is no such thing.
    pub(super) fn restore_ms(&self) -> Option<u64> {
        let behaviour = self.behaviour.read().unwrap_or_else(PoisonError::into_inner);
        behaviour.restores.then_some(behaviour.restore_ms)
    }

    /// Whether a bucket that holds `used` bytes may grow by `more`.
    pub(super) fn check_quota(&self, bucket: &str, used: u64, more: u64) -> S3Result<()> {
        let quota = {
            let behaviour = self.behaviour.read().unwrap_or_else(PoisonError::into_inner);
            behaviour.buckets.get(bucket).and_then(|bucket| bucket.quota_bytes)
        };
        if quota.is_none_or(|quota| used.saturating_add(more) <= quota) {
            return Ok(());
        }
        let code = S3ErrorCode::Custom("InsufficientStorageSpace".into());
        let mut error = S3Error::with_message(code, "The bucket has not enough room left");
        error.set_status_code(StatusCode::FORBIDDEN);
        Err(error)
    }

    fn admit(&self, operation: &str, bucket: &str, key: &str, pays: bool) -> S3Result<()> {
        if let Some(code) = self.refusal(operation, key) {
            return Err(match code {
                UnavailableCode::ServiceUnavailable => {
                    s3_error!(ServiceUnavailable, "The service is unavailable for now")
                }
                UnavailableCode::SlowDown => s3_error!(SlowDown, "Please reduce your request rate"),
                UnavailableCode::InternalError => {
                    s3_error!(InternalError, "We encountered an internal error")
                }
            });
        }
        let behaviour = self.behaviour.read().unwrap_or_else(PoisonError::into_inner);
        let Some(bucket) = behaviour.buckets.get(bucket) else { return Ok(()) };
        if bucket.read_only && WRITES.contains(&operation) {
            return Err(s3_error!(AccessDenied, "The bucket is read-only"));
        }
        if bucket.requester_pays && !pays && READS.contains(&operation) {
            return Err(s3_error!(
                AccessDenied,
                "The requester has to pay for this bucket and did not say so"
            ));
        }
        Ok(())
    }

    fn refusal(&self, operation: &str, key: &str) -> Option<UnavailableCode> {
        let concerns = |unavailable: &Unavailable| {
            (unavailable.operations.is_empty() || unavailable.operations.iter().any(|name| name == operation))
                && key.starts_with(&unavailable.key_prefix)
                && unavailable.requests != Some(0)
        };
        // Nearly all requests meet no such thing and need not wait for each other.
        let behaviour = self.behaviour.read().unwrap_or_else(PoisonError::into_inner);
        behaviour.unavailable.as_ref().filter(|unavailable| concerns(unavailable))?;
        drop(behaviour);
        let mut behaviour = self.behaviour.write().unwrap_or_else(PoisonError::into_inner);
        let unavailable = behaviour.unavailable.as_mut().filter(|unavailable| concerns(unavailable))?;
        let code = unavailable.code;
        if let Some(left) = &mut unavailable.requests {
            *left -= 1;
            if *left == 0 {
                behaviour.unavailable = None;
            }
        }
        Some(code)
    }
}

/// Asks the conduct about every request whose signature is good.
pub(super) struct Doorkeeper(pub(super) Arc<Conduct>);

#[async_trait::async_trait]
impl S3Access for Doorkeeper {
    async fn check(&self, cx: &mut S3AccessContext<'_>) -> S3Result<()> {
        if cx.credentials().is_none() {
            return Err(s3_error!(AccessDenied, "Signature is required"));
        }
        let (bucket, key) = match cx.s3_path() {
            s3s::path::S3Path::Root => ("", ""),
            s3s::path::S3Path::Bucket { bucket } => (&**bucket, ""),
            s3s::path::S3Path::Object { bucket, key } => (&**bucket, &**key),
        };
        let pays = cx.headers().get("x-amz-request-payer").is_some_and(|payer| payer == "requester");
        self.0.admit(cx.s3_op().name(), bucket, key, pays)
    }
}
