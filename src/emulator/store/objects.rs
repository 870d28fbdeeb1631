//! Single objects (S3 API reference, object operations).
use std::time::Duration;

use data_encoding::HEXLOWER;
use http::StatusCode;
use jiff::Timestamp;
use s3s::{S3Response, S3Result, dto, s3_error};

use super::answer::{
    Conditions, check_digests, checksum_asked, content_encoding, crc64_text, etag, from_dto, is_archived,
    require_readable, restore_header, storage_class, storage_class_header, to_dto,
};
use super::backend::Backend;
use super::blob;
use super::index::{Headers, Record};
use super::listing::MAX_KEYS;

impl Backend {
    pub(super) fn look_at(&self, input: dto::HeadObjectInput) -> S3Result<S3Response<dto::HeadObjectOutput>> {
        let object = self.object(&input.bucket, &input.key)?;
        let record = &object.record;
        let conditions = Conditions { if_match: input.if_match, if_none_match: input.if_none_match };
        conditions.check_read(record, input.if_modified_since, input.if_unmodified_since)?;
        let checksum = self.conduct.tells_crc64() && checksum_asked(input.checksum_mode.as_ref());
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
            restore: restore_header(record, self.conduct.now()),
            checksum_crc64nvme: checksum.then(|| crc64_text(record.crc64)),
            checksum_type: checksum.then(|| dto::ChecksumType::from_static(dto::ChecksumType::FULL_OBJECT)),
            ..Default::default()
        }))
    }

    pub(super) async fn read(
        &self,
        input: dto::GetObjectInput,
    ) -> S3Result<S3Response<dto::GetObjectOutput>> {
        let object = self.object(&input.bucket, &input.key)?;
        let record = &object.record;
        let conditions = Conditions { if_match: input.if_match, if_none_match: input.if_none_match };
        conditions.check_read(record, input.if_modified_since, input.if_unmodified_since)?;
        require_readable(record, self.conduct.now())?;
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
        let checksum = content_range.is_none()
            && self.conduct.tells_crc64()
            && checksum_asked(input.checksum_mode.as_ref());
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
            restore: restore_header(record, self.conduct.now()),
            checksum_crc64nvme: checksum.then(|| crc64_text(record.crc64)),
            checksum_type: checksum.then(|| dto::ChecksumType::from_static(dto::ChecksumType::FULL_OBJECT)),
            ..Default::default()
        }))
    }

    pub(super) async fn write(
        &self,
        input: dto::PutObjectInput,
    ) -> S3Result<S3Response<dto::PutObjectOutput>> {
        self.require_bucket(&input.bucket)?;
        let announced = input.content_length.and_then(|length| u64::try_from(length).ok()).unwrap_or(0);
        let replaced = self.object(&input.bucket, &input.key).map_or(0, |object| object.record.size);
        // Said before the bytes are on their way; `place` decides.
        self.require_room(&input.bucket, announced.saturating_sub(replaced))?;
        let written = self.receive(input.body, input.content_length).await?;
        check_digests(&written, input.content_md5.as_deref(), input.checksum_crc64nvme.as_deref())?;
        let record = Record {
            size: written.size,
            etag: HEXLOWER.encode(&written.md5),
            crc64: written.crc64,
            last_modified: Timestamp::now(),
            storage_class: storage_class(input.storage_class),
            restored_until: None,
            restored_from: None,
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

    pub(super) async fn copy(
        &self,
        input: dto::CopyObjectInput,
    ) -> S3Result<S3Response<dto::CopyObjectOutput>> {
        self.require_bucket(&input.bucket)?;
        let dto::CopySource::Bucket { bucket: from_bucket, key: from_key, .. } = &input.copy_source else {
            return Err(s3_error!(NotImplemented, "Only `bucket/key` is understood as a copy source"));
        };
        let from = self.object(from_bucket, from_key)?;
        require_readable(&from.record, self.conduct.now())?;
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
            restored_from: None,
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

    pub(super) fn remove(
        &self,
        input: dto::DeleteObjectInput,
    ) -> S3Result<S3Response<dto::DeleteObjectOutput>> {
        self.require_bucket(&input.bucket)?;
        self.write_index()
            .delete(&input.bucket, &input.key)
            .map_err(|error| s3_error!(error, InternalError, "The store cannot write its log"))?;
        Ok(S3Response::new(dto::DeleteObjectOutput::default()))
    }

    pub(super) fn remove_all(
        &self,
        input: dto::DeleteObjectsInput,
    ) -> S3Result<S3Response<dto::DeleteObjectsOutput>> {
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

    pub(super) fn start_restore(
        &self,
        input: dto::RestoreObjectInput,
    ) -> S3Result<S3Response<dto::RestoreObjectOutput>> {
        let object = self.object(&input.bucket, &input.key)?;
        if !is_archived(&object.record) {
            return Err(s3_error!(InvalidObjectState, "Only archived objects can be restored"));
        }
        let days = input.restore_request.and_then(|request| request.days).unwrap_or(1).max(1);
        let Some(restore_ms) = self.conduct.restore_ms() else {
            return Err(s3_error!(NotImplemented, "This store does not restore objects"));
        };
        let now = self.conduct.now();
        let from = match (object.record.restored_from, object.record.restored_until) {
            (Some(from), _) if from > now => {
                return Err(s3_error!(RestoreAlreadyInProgress, "Object restore is already in progress"));
            }
            (Some(from), Some(until)) if until > now => from,
            _ => now + Duration::from_millis(restore_ms),
        };
        let until = from.max(now) + Duration::from_secs(u64::from(days.unsigned_abs()) * 86_400);
        let extended = from < now;
        self.write_index()
            .amend(&input.bucket, &input.key, |record| {
                record.restored_from = Some(from);
                record.restored_until = Some(until);
            })
            .map_err(|error| s3_error!(error, InternalError, "The store cannot write its log"))?;
        // Accepted, or only prolonged.
        let status = if extended { StatusCode::OK } else { StatusCode::ACCEPTED };
        Ok(S3Response::with_status(dto::RestoreObjectOutput::default(), status))
    }
}
