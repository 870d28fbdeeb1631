//! Buckets, and what is in them (S3 API reference, bucket operations and listings).
use s3s::{S3Response, S3Result, dto, s3_error};

use super::answer::{in_xml, listed, page_size, parse_token, to_dto, token};
use super::backend::Backend;
use super::listing::{After, Query};

impl Backend {
    pub(super) fn make_bucket(
        &self,
        input: dto::CreateBucketInput,
    ) -> S3Result<S3Response<dto::CreateBucketOutput>> {
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

    pub(super) fn look_at_bucket(
        &self,
        input: dto::HeadBucketInput,
    ) -> S3Result<S3Response<dto::HeadBucketOutput>> {
        self.require_bucket(&input.bucket)?;
        Ok(S3Response::new(dto::HeadBucketOutput::default()))
    }

    pub(super) fn drop_bucket(
        &self,
        input: dto::DeleteBucketInput,
    ) -> S3Result<S3Response<dto::DeleteBucketOutput>> {
        let mut index = self.write_index();
        let bucket = index
            .buckets
            .get(&input.bucket)
            .ok_or_else(|| s3_error!(NoSuchBucket, "The specified bucket does not exist"))?;
        if !bucket.objects.is_empty() {
            return Err(s3_error!(BucketNotEmpty, "The bucket you tried to delete is not empty"));
        }
        index
            .drop_bucket(&input.bucket)
            .map_err(|error| s3_error!(error, InternalError, "The store cannot write its log"))?;
        Ok(S3Response::new(dto::DeleteBucketOutput::default()))
    }

    pub(super) fn all_buckets(&self) -> dto::ListBucketsOutput {
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
        dto::ListBucketsOutput { buckets: Some(buckets), ..Default::default() }
    }

    pub(super) fn bucket_location(
        &self,
        input: dto::GetBucketLocationInput,
    ) -> S3Result<S3Response<dto::GetBucketLocationOutput>> {
        let index = self.read_index();
        let bucket = index
            .buckets
            .get(&input.bucket)
            .ok_or_else(|| s3_error!(NoSuchBucket, "The specified bucket does not exist"))?;
        let location_constraint = bucket.region.clone().map(dto::BucketLocationConstraint::from);
        Ok(S3Response::new(dto::GetBucketLocationOutput { location_constraint }))
    }

    pub(super) fn list_page(
        &self,
        input: dto::ListObjectsV2Input,
    ) -> S3Result<S3Response<dto::ListObjectsV2Output>> {
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

    pub(super) fn list_page_v1(
        &self,
        input: dto::ListObjectsInput,
    ) -> S3Result<S3Response<dto::ListObjectsOutput>> {
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
}
