//! The S3 operations (S3 API reference); the protocol, the signatures and the XML are the business of `s3s`.
use std::collections::HashMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use data_encoding::HEXLOWER;
use jiff::Timestamp;
use s3s::dto;
use s3s::{S3, S3Request, S3Response, S3Result, s3_error};

use super::answer::{
    Conditions, check_digests, checksum_asked, content_encoding, crc64_text, etag, from_dto, in_xml,
    is_archived, listed, page_size, parse_token, require_readable, restore_header, storage_class,
    storage_class_header, to_dto, token,
};
use super::blob::{self, Blob, Blobs, WriteError, Written};
use super::index::{Headers, Index, Object, Record};
use super::listing::{self, After, MAX_KEYS, Page, Query};
use super::uploads::Upload;

/// The store behind the protocol; clones share it.
#[derive(Debug, Clone)]
pub(super) struct Backend {
    pub(super) index: Arc<RwLock<Index>>,
    pub(super) blobs: Arc<Blobs>,
    pub(super) uploads: Arc<Mutex<HashMap<String, Upload>>>,
    pub(super) next_upload: Arc<AtomicU64>,
}

impl Backend {
    pub(super) fn new(index: Index, blobs: Blobs) -> Self {
        Self {
            index: Arc::new(RwLock::new(index)),
            blobs: Arc::new(blobs),
            uploads: Arc::default(),
            next_upload: Arc::new(AtomicU64::new(1)),
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
        conditions.check_write(existing.map(|object| object.record.etag.as_str()))?;
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

    fn list(&self, bucket: &str, query: &Query<'_>) -> S3Result<Page> {
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

#[async_trait::async_trait]
impl S3 for Backend {
    async fn create_bucket(
        &self,
        req: S3Request<dto::CreateBucketInput>,
    ) -> S3Result<S3Response<dto::CreateBucketOutput>> {
        let input = req.input;
        let region = input
            .create_bucket_configuration
            .and_then(|configuration| configuration.location_constraint)
            .map(|constraint| constraint.as_str().to_owned());
        let mut index = self.write_index();
        if index.buckets.contains_key(&input.bucket) {
            return Err(s3_error!(BucketAlreadyOwnedByYou, "The bucket exists already and is yours"));
        }
        index
            .create_bucket(&input.bucket, region)
            .map_err(|error| s3_error!(error, InternalError, "The store cannot write its log"))?;
        Ok(S3Response::new(dto::CreateBucketOutput { location: Some(format!("/{}", input.bucket)) }))
    }

    async fn head_bucket(
        &self,
        req: S3Request<dto::HeadBucketInput>,
    ) -> S3Result<S3Response<dto::HeadBucketOutput>> {
        self.require_bucket(&req.input.bucket)?;
        Ok(S3Response::new(dto::HeadBucketOutput::default()))
    }

    async fn delete_bucket(
        &self,
        req: S3Request<dto::DeleteBucketInput>,
    ) -> S3Result<S3Response<dto::DeleteBucketOutput>> {
        let mut index = self.write_index();
        let bucket = index
            .buckets
            .get(&req.input.bucket)
            .ok_or_else(|| s3_error!(NoSuchBucket, "The specified bucket does not exist"))?;
        if !bucket.objects.is_empty() {
            return Err(s3_error!(BucketNotEmpty, "The bucket you tried to delete is not empty"));
        }
        index
            .drop_bucket(&req.input.bucket)
            .map_err(|error| s3_error!(error, InternalError, "The store cannot write its log"))?;
        Ok(S3Response::new(dto::DeleteBucketOutput::default()))
    }

    async fn list_buckets(
        &self,
        _req: S3Request<dto::ListBucketsInput>,
    ) -> S3Result<S3Response<dto::ListBucketsOutput>> {
        let buckets = self
            .read_index()
            .buckets
            .iter()
            .map(|(name, bucket)| dto::Bucket {
                name: Some(name.clone()),
                creation_date: Some(to_dto(bucket.created)),
                ..Default::default()
            })
            .collect();
        Ok(S3Response::new(dto::ListBucketsOutput { buckets: Some(buckets), ..Default::default() }))
    }

    async fn get_bucket_location(
        &self,
        req: S3Request<dto::GetBucketLocationInput>,
    ) -> S3Result<S3Response<dto::GetBucketLocationOutput>> {
        let index = self.read_index();
        let bucket = index
            .buckets
            .get(&req.input.bucket)
            .ok_or_else(|| s3_error!(NoSuchBucket, "The specified bucket does not exist"))?;
        let location_constraint = bucket.region.clone().map(dto::BucketLocationConstraint::from);
        Ok(S3Response::new(dto::GetBucketLocationOutput { location_constraint }))
    }

    async fn list_objects_v2(
        &self,
        req: S3Request<dto::ListObjectsV2Input>,
    ) -> S3Result<S3Response<dto::ListObjectsV2Output>> {
        let input = req.input;
        let after = match (&input.continuation_token, &input.start_after) {
            (Some(text), _) => Some(parse_token(text)?),
            (None, Some(key)) => Some(After::Key(key.clone())),
            (None, None) => None,
        };
        let query = Query {
            prefix: input.prefix.as_deref().unwrap_or_default(),
            delimiter: input.delimiter.as_deref(),
            after,
            max_keys: page_size(input.max_keys)?,
        };
        let page = self.list(&input.bucket, &query)?;
        let encoding = input.encoding_type.as_ref();
        let (objects, prefixes) = listed(&page, encoding);
        Ok(S3Response::new(dto::ListObjectsV2Output {
            name: Some(input.bucket),
            prefix: Some(in_xml(query.prefix, encoding)),
            delimiter: query.delimiter.map(|delimiter| in_xml(delimiter, encoding)),
            start_after: input.start_after.as_deref().map(|key| in_xml(key, encoding)),
            max_keys: Some(query.max_keys as i32),
            key_count: Some((objects.len() + prefixes.len()) as i32),
            is_truncated: Some(page.next.is_some()),
            continuation_token: input.continuation_token,
            next_continuation_token: page.next.as_ref().map(token),
            contents: Some(objects),
            common_prefixes: Some(prefixes),
            encoding_type: input.encoding_type,
            ..Default::default()
        }))
    }

    async fn list_objects(
        &self,
        req: S3Request<dto::ListObjectsInput>,
    ) -> S3Result<S3Response<dto::ListObjectsOutput>> {
        let input = req.input;
        let delimiter = input.delimiter.as_deref().filter(|delimiter| !delimiter.is_empty());
        // With a delimiter the marker may be a common prefix of the page before.
        let after =
            input.marker.as_deref().filter(|marker| !marker.is_empty()).map(|marker| match delimiter {
                Some(delimiter) if marker.ends_with(delimiter) => After::Prefix(marker.to_owned()),
                _ => After::Key(marker.to_owned()),
            });
        let query = Query {
            prefix: input.prefix.as_deref().unwrap_or_default(),
            delimiter,
            after,
            max_keys: page_size(input.max_keys)?,
        };
        let page = self.list(&input.bucket, &query)?;
        let encoding = input.encoding_type.as_ref();
        let (objects, prefixes) = listed(&page, encoding);
        let next_marker = page.next.as_ref().map(|after| match after {
            After::Key(text) | After::Prefix(text) => in_xml(text, encoding),
        });
        Ok(S3Response::new(dto::ListObjectsOutput {
            name: Some(input.bucket),
            prefix: Some(in_xml(query.prefix, encoding)),
            delimiter: query.delimiter.map(|delimiter| in_xml(delimiter, encoding)),
            marker: Some(in_xml(input.marker.as_deref().unwrap_or_default(), encoding)),
            max_keys: Some(query.max_keys as i32),
            is_truncated: Some(page.next.is_some()),
            next_marker,
            contents: Some(objects),
            common_prefixes: Some(prefixes),
            encoding_type: input.encoding_type,
            ..Default::default()
        }))
    }

    async fn head_object(
        &self,
        req: S3Request<dto::HeadObjectInput>,
    ) -> S3Result<S3Response<dto::HeadObjectOutput>> {
        let input = req.input;
        let object = self.object(&input.bucket, &input.key)?;
        let record = &object.record;
        let conditions = Conditions { if_match: input.if_match, if_none_match: input.if_none_match };
        conditions.check_read(record, input.if_modified_since, input.if_unmodified_since)?;
        let checksum = checksum_asked(input.checksum_mode.as_ref());
        let headers = record.headers.clone();
        Ok(S3Response::new(dto::HeadObjectOutput {
            accept_ranges: Some("bytes".to_owned()),
            content_length: Some(record.size as i64),
            content_type: Some(headers.content_type.unwrap_or_else(|| "binary/octet-stream".to_owned())),
            cache_control: headers.cache_control,
            content_disposition: headers.content_disposition,
            content_encoding: headers.content_encoding,
            content_language: headers.content_language,
            expires: headers.expires.map(to_dto),
            metadata: Some(headers.metadata.into_iter().collect()),
            e_tag: Some(etag(record)),
            last_modified: Some(to_dto(record.last_modified)),
            storage_class: storage_class_header(record),
            restore: restore_header(record),
            checksum_crc64nvme: checksum.then(|| crc64_text(record.crc64)),
            checksum_type: checksum.then(|| dto::ChecksumType::from_static(dto::ChecksumType::FULL_OBJECT)),
            ..Default::default()
        }))
    }

    async fn get_object(
        &self,
        req: S3Request<dto::GetObjectInput>,
    ) -> S3Result<S3Response<dto::GetObjectOutput>> {
        let input = req.input;
        let object = self.object(&input.bucket, &input.key)?;
        let record = &object.record;
        let conditions = Conditions { if_match: input.if_match, if_none_match: input.if_none_match };
        conditions.check_read(record, input.if_modified_since, input.if_unmodified_since)?;
        require_readable(record)?;
        let (start, length, content_range) = match input.range {
            Some(range) => {
                let range = range
                    .check(record.size)
                    .map_err(|_| s3_error!(InvalidRange, "The requested range is not satisfiable"))?;
                let text = format!("bytes {}-{}/{}", range.start, range.end - 1, record.size);
                (range.start, range.end - range.start, Some(text))
            }
            None => (0, record.size, None),
        };
        let body = blob::read(&object.blobs, start, length)
            .await
            .map_err(|error| s3_error!(error, InternalError, "The store cannot read from its disk"))?;
        let checksum = content_range.is_none() && checksum_asked(input.checksum_mode.as_ref());
        let headers = record.headers.clone();
        Ok(S3Response::new(dto::GetObjectOutput {
            body: Some(body),
            accept_ranges: Some("bytes".to_owned()),
            content_length: Some(length as i64),
            content_range,
            content_type: input
                .response_content_type
                .or(headers.content_type)
                .or_else(|| Some("binary/octet-stream".to_owned())),
            cache_control: headers.cache_control,
            content_disposition: headers.content_disposition,
            content_encoding: headers.content_encoding,
            content_language: headers.content_language,
            expires: headers.expires.map(to_dto),
            metadata: Some(headers.metadata.into_iter().collect()),
            e_tag: Some(etag(record)),
            last_modified: Some(to_dto(record.last_modified)),
            storage_class: storage_class_header(record),
            restore: restore_header(record),
            checksum_crc64nvme: checksum.then(|| crc64_text(record.crc64)),
            checksum_type: checksum.then(|| dto::ChecksumType::from_static(dto::ChecksumType::FULL_OBJECT)),
            ..Default::default()
        }))
    }

    async fn put_object(
        &self,
        req: S3Request<dto::PutObjectInput>,
    ) -> S3Result<S3Response<dto::PutObjectOutput>> {
        let input = req.input;
        self.require_bucket(&input.bucket)?;
        let written = self.receive(input.body, input.content_length).await?;
        check_digests(&written, input.content_md5.as_deref(), input.checksum_crc64nvme.as_deref())?;
        let record = Record {
            size: written.size,
            etag: HEXLOWER.encode(&written.md5),
            crc64: written.crc64,
            last_modified: Timestamp::now(),
            storage_class: storage_class(input.storage_class),
            restored_until: None,
            headers: Headers {
                content_type: input.content_type,
                cache_control: input.cache_control,
                content_disposition: input.content_disposition,
                content_encoding: content_encoding(input.content_encoding),
                content_language: input.content_language,
                expires: input.expires.and_then(from_dto),
                metadata: input.metadata.unwrap_or_default().into_iter().collect(),
            },
            blobs: Vec::new(),
            writes: 0,
        };
        let conditions = Conditions { if_match: input.if_match, if_none_match: input.if_none_match };
        // Looked at before the bytes are given away; `place` decides under the lock.
        let existing = self.object(&input.bucket, &input.key).ok();
        conditions.check_write(existing.as_ref().map(|object| object.record.etag.as_str()))?;
        let blobs = vec![written.keep()];
        let object = self.place(&input.bucket, &input.key, record, blobs, &conditions)?;
        Ok(S3Response::new(dto::PutObjectOutput {
            e_tag: Some(etag(&object.record)),
            checksum_crc64nvme: Some(crc64_text(object.record.crc64)),
            checksum_type: Some(dto::ChecksumType::from_static(dto::ChecksumType::FULL_OBJECT)),
            ..Default::default()
        }))
    }

    async fn copy_object(
        &self,
        req: S3Request<dto::CopyObjectInput>,
    ) -> S3Result<S3Response<dto::CopyObjectOutput>> {
        let input = req.input;
        self.require_bucket(&input.bucket)?;
        let dto::CopySource::Bucket { bucket: from_bucket, key: from_key, .. } = &input.copy_source else {
            return Err(s3_error!(NotImplemented, "Only `bucket/key` is understood as a copy source"));
        };
        let from = self.object(from_bucket, from_key)?;
        require_readable(&from.record)?;
        let conditions = Conditions {
            if_match: input.copy_source_if_match,
            if_none_match: input.copy_source_if_none_match,
        };
        conditions.check_write(Some(&from.record.etag))?;
        let replace = input
            .metadata_directive
            .as_ref()
            .is_some_and(|directive| directive.as_str() == dto::MetadataDirective::REPLACE);
        let class = input.storage_class.map(|class| class.as_str().to_owned());
        let in_place = **from_bucket == *input.bucket && **from_key == *input.key;
        if in_place && !replace && class.is_none() {
            return Err(s3_error!(
                InvalidRequest,
                "An object cannot be copied to itself without changing its metadata or storage class"
            ));
        }
        let body = blob::read(&from.blobs, 0, from.record.size)
            .await
            .map_err(|error| s3_error!(error, InternalError, "The store cannot read from its disk"))?;
        let written = self.receive(Some(body), Some(from.record.size as i64)).await?;
        let headers = if replace {
            Headers {
                content_type: input.content_type,
                cache_control: input.cache_control,
                content_disposition: input.content_disposition,
                content_encoding: content_encoding(input.content_encoding),
                content_language: input.content_language,
                expires: input.expires.and_then(from_dto),
                metadata: input.metadata.unwrap_or_default().into_iter().collect(),
            }
        } else {
            from.record.headers.clone()
        };
        let record = Record {
            size: written.size,
            etag: HEXLOWER.encode(&written.md5),
            crc64: written.crc64,
            last_modified: Timestamp::now(),
            storage_class: class.unwrap_or_else(|| dto::StorageClass::STANDARD.to_owned()),
            restored_until: None,
            headers,
            blobs: Vec::new(),
            writes: 0,
        };
        let blobs = vec![written.keep()];
        let object = self.place(&input.bucket, &input.key, record, blobs, &Conditions::default())?;
        Ok(S3Response::new(dto::CopyObjectOutput {
            copy_object_result: Some(dto::CopyObjectResult {
                e_tag: Some(etag(&object.record)),
                last_modified: Some(to_dto(object.record.last_modified)),
                checksum_crc64nvme: Some(crc64_text(object.record.crc64)),
                ..Default::default()
            }),
            ..Default::default()
        }))
    }

    async fn delete_object(
        &self,
        req: S3Request<dto::DeleteObjectInput>,
    ) -> S3Result<S3Response<dto::DeleteObjectOutput>> {
        self.require_bucket(&req.input.bucket)?;
        self.write_index()
            .delete(&req.input.bucket, &req.input.key)
            .map_err(|error| s3_error!(error, InternalError, "The store cannot write its log"))?;
        Ok(S3Response::new(dto::DeleteObjectOutput::default()))
    }

    async fn delete_objects(
        &self,
        req: S3Request<dto::DeleteObjectsInput>,
    ) -> S3Result<S3Response<dto::DeleteObjectsOutput>> {
        let input = req.input;
        self.require_bucket(&input.bucket)?;
        if input.delete.objects.len() > MAX_KEYS {
            return Err(s3_error!(MalformedXML, "At most 1000 objects can be deleted at once"));
        }
        let quiet = input.delete.quiet.unwrap_or(false);
        let mut deleted = Vec::new();
        for object in input.delete.objects {
            self.write_index()
                .delete(&input.bucket, &object.key)
                .map_err(|error| s3_error!(error, InternalError, "The store cannot write its log"))?;
            if !quiet {
                deleted.push(dto::DeletedObject { key: Some(object.key), ..Default::default() });
            }
        }
        Ok(S3Response::new(dto::DeleteObjectsOutput { deleted: Some(deleted), ..Default::default() }))
    }

    async fn restore_object(
        &self,
        req: S3Request<dto::RestoreObjectInput>,
    ) -> S3Result<S3Response<dto::RestoreObjectOutput>> {
        let input = req.input;
        let object = self.object(&input.bucket, &input.key)?;
        if !is_archived(&object.record) {
            return Err(s3_error!(InvalidObjectState, "Only archived objects can be restored"));
        }
        let days = input.restore_request.and_then(|request| request.days).unwrap_or(1).max(1);
        // Restoring takes no time here; what is tested is that clients ask for it.
        let until = Timestamp::now() + Duration::from_secs(u64::from(days.unsigned_abs()) * 86_400);
        self.write_index()
            .amend(&input.bucket, &input.key, |record| record.restored_until = Some(until))
            .map_err(|error| s3_error!(error, InternalError, "The store cannot write its log"))?;
        Ok(S3Response::new(dto::RestoreObjectOutput::default()))
    }

    async fn create_multipart_upload(
        &self,
        req: S3Request<dto::CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<dto::CreateMultipartUploadOutput>> {
        self.start_upload(req.input)
    }

    async fn upload_part(
        &self,
        req: S3Request<dto::UploadPartInput>,
    ) -> S3Result<S3Response<dto::UploadPartOutput>> {
        self.receive_part(req.input).await
    }

    async fn list_parts(
        &self,
        req: S3Request<dto::ListPartsInput>,
    ) -> S3Result<S3Response<dto::ListPartsOutput>> {
        self.list_received_parts(req.input)
    }

    async fn list_multipart_uploads(
        &self,
        req: S3Request<dto::ListMultipartUploadsInput>,
    ) -> S3Result<S3Response<dto::ListMultipartUploadsOutput>> {
        self.list_uploads(req.input)
    }

    async fn complete_multipart_upload(
        &self,
        req: S3Request<dto::CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<dto::CompleteMultipartUploadOutput>> {
        self.complete_upload(req.input)
    }

    async fn abort_multipart_upload(
        &self,
        req: S3Request<dto::AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<dto::AbortMultipartUploadOutput>> {
        self.abort_upload(req.input)
    }
}
