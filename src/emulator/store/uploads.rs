//! Multipart uploads (S3 API reference): parts gather here and become one object, or nothing.
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::Ordering;
use std::sync::{MutexGuard, PoisonError};

use crc_fast::{CrcAlgorithm, checksum_combine};
use data_encoding::HEXLOWER;
use jiff::Timestamp;
use md5::{Digest, Md5};
use percent_encoding::utf8_percent_encode;
use s3s::{S3Response, S3Result, dto, s3_error};

use super::answer::{
    Conditions, KEY_IN_XML, check_digests, content_encoding, crc64_text, etag, from_dto, in_xml, page_size,
    storage_class, to_dto,
};
use super::backend::Backend;
use super::blob::Written;
use super::index::{Headers, Record};

/// S3's limit on the number of parts.
const MAX_PARTS: i32 = 10_000;

/// A multipart upload under way; it does not survive a restart of the store.
#[derive(Debug)]
pub(super) struct Upload {
    bucket: String,
    key: String,
    initiated: Timestamp,
    storage_class: String,
    headers: Headers,
    parts: BTreeMap<i32, Part>,
}

#[derive(Debug)]
struct Part {
    written: Written,
    at: Timestamp,
}

impl Backend {
    fn uploads(&self) -> MutexGuard<'_, HashMap<String, Upload>> {
        self.uploads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn start_upload(
        &self,
        input: dto::CreateMultipartUploadInput,
    ) -> S3Result<S3Response<dto::CreateMultipartUploadOutput>> {
        self.require_bucket(&input.bucket)?;
        let number = self.next_upload.fetch_add(1, Ordering::Relaxed);
        // The time keeps the IDs of different runs of the store apart.
        let upload_id = format!("{:x}-{number:x}", Timestamp::now().as_microsecond());
        let upload = Upload {
            bucket: input.bucket.clone(),
            key: input.key.clone(),
            initiated: Timestamp::now(),
            storage_class: storage_class(input.storage_class),
            headers: Headers {
                content_type: input.content_type,
                cache_control: input.cache_control,
                content_disposition: input.content_disposition,
                content_encoding: content_encoding(input.content_encoding),
                content_language: input.content_language,
                expires: input.expires.and_then(from_dto),
                metadata: input.metadata.unwrap_or_default().into_iter().collect(),
            },
            parts: BTreeMap::new(),
        };
        self.uploads().insert(upload_id.clone(), upload);
        Ok(S3Response::new(dto::CreateMultipartUploadOutput {
            bucket: Some(input.bucket),
            key: Some(input.key),
            upload_id: Some(upload_id),
            ..Default::default()
        }))
    }

    pub(super) async fn receive_part(
        &self,
        input: dto::UploadPartInput,
    ) -> S3Result<S3Response<dto::UploadPartOutput>> {
        if !(1..=MAX_PARTS).contains(&input.part_number) {
            return Err(s3_error!(InvalidArgument, "Part number must be between 1 and 10000"));
        }
        let gathered: u64 = find_upload(&mut self.uploads(), &input.upload_id, &input.bucket, &input.key)?
            .parts
            .values()
            .map(|part| part.written.size)
            .sum();
        let announced = input.content_length.and_then(|length| u64::try_from(length).ok()).unwrap_or(0);
        self.require_room(&input.bucket, gathered + announced)?;
        let written = self.receive(input.body, input.content_length).await?;
        check_digests(&written, input.content_md5.as_deref(), input.checksum_crc64nvme.as_deref())?;
        let output = dto::UploadPartOutput {
            e_tag: Some(dto::ETag::Strong(HEXLOWER.encode(&written.md5))),
            checksum_crc64nvme: Some(crc64_text(written.crc64)),
            ..Default::default()
        };
        let part = Part { written, at: Timestamp::now() };
        let mut uploads = self.uploads();
        // It can have been aborted or completed while the part was on its way.
        let upload = find_upload(&mut uploads, &input.upload_id, &input.bucket, &input.key)?;
        upload.parts.insert(input.part_number, part);
        Ok(S3Response::new(output))
    }

    pub(super) fn list_received_parts(
        &self,
        input: dto::ListPartsInput,
    ) -> S3Result<S3Response<dto::ListPartsOutput>> {
        let mut uploads = self.uploads();
        let upload = find_upload(&mut uploads, &input.upload_id, &input.bucket, &input.key)?;
        let limit = page_size(input.max_parts)?;
        let marker = input.part_number_marker.unwrap_or(0);
        let mut parts: Vec<dto::Part> = upload
            .parts
            .range(marker.saturating_add(1)..)
            .take(limit + 1)
            .map(|(number, part)| dto::Part {
                part_number: Some(*number),
                size: Some(part.written.size as i64),
                e_tag: Some(dto::ETag::Strong(HEXLOWER.encode(&part.written.md5))),
                last_modified: Some(to_dto(part.at)),
                checksum_crc64nvme: Some(crc64_text(part.written.crc64)),
                ..Default::default()
            })
            .collect();
        let truncated = parts.len() > limit;
        parts.truncate(limit);
        Ok(S3Response::new(dto::ListPartsOutput {
            bucket: Some(input.bucket),
            key: Some(input.key),
            upload_id: Some(input.upload_id),
            part_number_marker: Some(marker),
            next_part_number_marker: parts.last().and_then(|part| part.part_number),
            max_parts: Some(limit as i32),
            is_truncated: Some(truncated),
            storage_class: Some(dto::StorageClass::from(upload.storage_class.clone())),
            parts: Some(parts),
            ..Default::default()
        }))
    }

    pub(super) fn list_uploads(
        &self,
        input: dto::ListMultipartUploadsInput,
    ) -> S3Result<S3Response<dto::ListMultipartUploadsOutput>> {
        self.require_bucket(&input.bucket)?;
        let prefix = input.prefix.clone().unwrap_or_default();
        let encoding = input.encoding_type.as_ref();
        let mut uploads: Vec<dto::MultipartUpload> = self
            .uploads()
            .iter()
            .filter(|(_, upload)| upload.bucket == input.bucket && upload.key.starts_with(&prefix))
            .map(|(id, upload)| dto::MultipartUpload {
                key: Some(in_xml(&upload.key, encoding)),
                upload_id: Some(id.clone()),
                initiated: Some(to_dto(upload.initiated)),
                storage_class: Some(dto::StorageClass::from(upload.storage_class.clone())),
                ..Default::default()
            })
            .collect();
        uploads.sort_by(|a, b| (&a.key, &a.upload_id).cmp(&(&b.key, &b.upload_id)));
        Ok(S3Response::new(dto::ListMultipartUploadsOutput {
            bucket: Some(input.bucket),
            prefix: input.prefix,
            encoding_type: input.encoding_type,
            is_truncated: Some(false),
            uploads: Some(uploads),
            ..Default::default()
        }))
    }

    pub(super) fn complete_upload(
        &self,
        input: dto::CompleteMultipartUploadInput,
    ) -> S3Result<S3Response<dto::CompleteMultipartUploadOutput>> {
        let asked = input.multipart_upload.and_then(|upload| upload.parts).unwrap_or_default();
        let conditions = Conditions { if_match: input.if_match, if_none_match: input.if_none_match };
        let (record, blobs) = {
            let mut uploads = self.uploads();
            let upload = find_upload(&mut uploads, &input.upload_id, &input.bucket, &input.key)?;
            check_parts(upload, &asked)?;
            let existing = self.object(&input.bucket, &input.key).ok();
            conditions.check_write(existing.as_ref().map(|object| object.record.etag.as_str()))?;
            let Some(mut upload) = uploads.remove(&input.upload_id) else {
                return Err(s3_error!(NoSuchUpload, "The specified multipart upload does not exist"));
            };
            let mut digests = Md5::new();
            let (mut size, mut crc64, mut blobs) = (0, 0, Vec::new());
            for number in asked.iter().filter_map(|part| part.part_number) {
                let Some(part) = upload.parts.remove(&number) else { continue };
                digests.update(part.written.md5);
                crc64 =
                    checksum_combine(CrcAlgorithm::Crc64Nvme, crc64, part.written.crc64, part.written.size);
                size += part.written.size;
                blobs.push(part.written.keep());
            }
            let record = Record {
                size,
                etag: format!("{}-{}", HEXLOWER.encode(&digests.finalize()), blobs.len()),
                crc64,
                last_modified: Timestamp::now(),
                storage_class: upload.storage_class,
                restored_until: None,
                restored_from: None,
                headers: upload.headers,
                blobs: Vec::new(),
                writes: 0,
            };
            (record, blobs)
        };
        let object = self.place(&input.bucket, &input.key, record, blobs, &conditions)?;
        Ok(S3Response::new(dto::CompleteMultipartUploadOutput {
            bucket: Some(input.bucket.clone()),
            location: Some(format!("/{}/{}", input.bucket, utf8_percent_encode(&input.key, KEY_IN_XML))),
            key: Some(input.key),
            e_tag: Some(etag(&object.record)),
            checksum_crc64nvme: Some(crc64_text(object.record.crc64)),
            checksum_type: Some(dto::ChecksumType::from_static(dto::ChecksumType::FULL_OBJECT)),
            ..Default::default()
        }))
    }

    pub(super) fn abort_upload(
        &self,
        input: dto::AbortMultipartUploadInput,
    ) -> S3Result<S3Response<dto::AbortMultipartUploadOutput>> {
        let mut uploads = self.uploads();
        find_upload(&mut uploads, &input.upload_id, &input.bucket, &input.key)?;
        uploads.remove(&input.upload_id);
        Ok(S3Response::new(dto::AbortMultipartUploadOutput::default()))
    }
}

fn find_upload<'u>(
    uploads: &'u mut HashMap<String, Upload>,
    id: &str,
    bucket: &str,
    key: &str,
) -> S3Result<&'u mut Upload> {
    uploads
        .get_mut(id)
        .filter(|upload| upload.bucket == bucket && upload.key == key)
        .ok_or_else(|| s3_error!(NoSuchUpload, "The specified multipart upload does not exist"))
}

/// All parts are there with the ETags named, and their numbers ascend. S3's lower limit of 5 MiB per part is left out:
/// tests want many small parts.
fn check_parts(upload: &Upload, asked: &[dto::CompletedPart]) -> S3Result<()> {
    if asked.is_empty() {
        return Err(s3_error!(MalformedXML, "A multipart upload needs at least one part"));
    }
    let mut last = 0;
    for part in asked {
        let number = part.part_number.unwrap_or(0);
        if number <= last {
            return Err(s3_error!(InvalidPartOrder, "The list of parts was not in ascending order"));
        }
        last = number;
        let named = part.e_tag.as_ref().map(dto::ETag::value);
        let fits = upload
            .parts
            .get(&number)
            .is_some_and(|part| named == Some(HEXLOWER.encode(&part.written.md5).as_str()));
        if !fits {
            return Err(s3_error!(InvalidPart, "Part {number} could not be found, or its ETag differs"));
        }
    }
    Ok(())
}
