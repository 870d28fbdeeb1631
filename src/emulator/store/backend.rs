//! What all operations of the store share: the index, the bytes, the uploads under way.
use std::collections::HashMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use s3s::{S3Result, dto, s3_error};

use super::answer::Conditions;
use super::behaviour::Conduct;
use super::blob::{Blob, Blobs, WriteError, Written};
use super::index::{Index, Object, Record};
use super::listing::{self, Page, Query};
use super::uploads::Upload;

/// The store behind the protocol; clones share it.
#[derive(Debug, Clone)]
pub(super) struct Backend {
    pub(super) index: Arc<RwLock<Index>>,
    pub(super) blobs: Arc<Blobs>,
    pub(super) uploads: Arc<Mutex<HashMap<String, Upload>>>,
    pub(super) next_upload: Arc<AtomicU64>,
    pub(super) conduct: Arc<Conduct>,
}

impl Backend {
    pub(super) fn new(index: Index, blobs: Blobs) -> Self {
        Self {
            index: Arc::new(RwLock::new(index)),
            blobs: Arc::new(blobs),
            uploads: Arc::default(),
            next_upload: Arc::new(AtomicU64::new(1)),
            conduct: Arc::default(),
        }
    }

    // A panic elsewhere cannot leave the index half changed in a way that matters here, so poison is ignored.
    pub(super) fn read_index(&self) -> RwLockReadGuard<'_, Index> {
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn write_index(&self) -> RwLockWriteGuard<'_, Index> {
        self.index.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn require_bucket(&self, bucket: &str) -> S3Result<()> {
        if self.read_index().buckets.contains_key(bucket) {
            Ok(())
        } else {
            Err(s3_error!(NoSuchBucket, "The specified bucket does not exist"))
        }
    }

    /// Whether `more` bytes have room in a bucket beside what is there.
    pub(super) fn require_room(&self, bucket: &str, more: u64) -> S3Result<()> {
        let used = self.read_index().buckets.get(bucket).map_or(0, |found| found.used);
        self.conduct.check_quota(bucket, used, more)
    }

    pub(super) fn object(&self, bucket: &str, key: &str) -> S3Result<Arc<Object>> {
        let index = self.read_index();
        let bucket = index
            .buckets
            .get(bucket)
            .ok_or_else(|| s3_error!(NoSuchBucket, "The specified bucket does not exist"))?;
        bucket
            .objects
            .get(key)
            .cloned()
            .ok_or_else(|| s3_error!(NoSuchKey, "The specified key does not exist"))
    }

    pub(super) async fn receive(
        &self,
        body: Option<dto::StreamingBlob>,
        length: Option<i64>,
    ) -> S3Result<Written> {
        let written = match body {
            Some(body) => self.blobs.write(body).await,
            None => self.blobs.write(futures::stream::empty::<std::io::Result<bytes::Bytes>>()).await,
        };
        let written = written.map_err(|error| match error {
            WriteError::Incomplete => s3_error!(IncompleteBody, "The request body ended early"),
            WriteError::Disk(error) => s3_error!(error, InternalError, "The store cannot write to its disk"),
        })?;
        if length.is_some_and(|length| length != written.size as i64) {
            return Err(s3_error!(
                IncompleteBody,
                "The request body does not have the length that was announced"
            ));
        }
        Ok(written)
    }

    pub(super) fn place(
        &self,
        bucket: &str,
        key: &str,
        record: Record,
        blobs: Vec<Arc<Blob>>,
        conditions: &Conditions,
    ) -> S3Result<Arc<Object>> {
        let mut index = self.write_index();
        let existing = index.buckets.get(bucket).and_then(|found| found.objects.get(key));
        let replaced = existing.map_or(0, |object| object.record.size);
        let used = index.buckets.get(bucket).map_or(0, |found| found.used - replaced);
        let admitted = conditions
            .check_write(existing.map(|object| object.record.etag.as_str()))
            .and_then(|()| self.conduct.check_quota(bucket, used, record.size));
        if let Err(refused) = admitted {
            retire_all(&blobs);
            return Err(refused);
        }
        match index.put(bucket, key, record, blobs.clone()) {
            Ok(Some(object)) => Ok(object),
            Ok(None) => {
                retire_all(&blobs);
                Err(s3_error!(NoSuchBucket, "The specified bucket does not exist"))
            }
            Err(error) => {
                retire_all(&blobs);
                Err(s3_error!(error, InternalError, "The store cannot write its log"))
            }
        }
    }

    pub(super) fn list(&self, bucket: &str, query: &Query<'_>) -> S3Result<Page> {
        let index = self.read_index();
        let bucket = index
            .buckets
            .get(bucket)
            .ok_or_else(|| s3_error!(NoSuchBucket, "The specified bucket does not exist"))?;
        Ok(listing::page(&bucket.objects, query))
    }
}

fn retire_all(blobs: &[Arc<Blob>]) {
    for blob in blobs {
        blob.retire();
    }
}
