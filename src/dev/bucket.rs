//! A bucket as its owner sees it through the S3 API: filling one, and reading back every object.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use http::StatusCode;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap};
use rusty_s3::actions::ListObjectsV2;
use rusty_s3::{Credentials, S3Action as _, UrlStyle};
use sha2::{Digest, Sha256};

use super::error::{Context, Error, Result};

/// A signed URL has to outlive only the start of a request.
const SIGNED_FOR: Duration = Duration::from_mins(5);
/// Requests under way at a time.
const PARALLEL: usize = 8;
const METADATA_PREFIX: &str = "x-amz-meta-";

/// An S3 endpoint with its keys.
#[derive(Clone)]
pub struct Endpoint {
    /// Base URL, path style.
    pub url: String,
    /// Region that requests are signed for.
    pub region: String,
    /// Cloud that it stands for, as OMS writes it.
    pub cloud: String,
    /// Access key ID.
    pub access_key: String,
    /// Secret access key. Made up at the start of the stack, so printing it is the playground's job.
    pub secret_key: String,
}

/// A bucket of an endpoint.
pub struct Bucket {
    http: reqwest::Client,
    address: rusty_s3::Bucket,
    credentials: Credentials,
}

/// What can be compared of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    /// Bytes.
    pub size: u64,
    /// SHA-256 of the contents, in hexadecimal.
    pub sha256: String,
    /// `Content-Type`.
    pub content_type: String,
    /// User metadata, without the `x-amz-meta-` prefix.
    pub metadata: BTreeMap<String, String>,
}

impl Bucket {
    /// The bucket `name` at an endpoint; it need not exist yet.
    pub fn new(endpoint: &Endpoint, name: &str) -> Result<Self> {
        let http = reqwest::Client::builder()
            .no_proxy()
            .no_gzip()
            .connect_timeout(Duration::from_secs(10))
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .context("Could not make an HTTP client")?;
        let url = endpoint.url.parse().context(format_args!("`{}` is no URL", endpoint.url))?;
        let address = rusty_s3::Bucket::new(url, UrlStyle::Path, name.to_owned(), endpoint.region.clone())
            .context(format_args!("`{name}` is no bucket name"))?;
        let credentials = Credentials::new(&endpoint.access_key, &endpoint.secret_key);
        Ok(Self { http, address, credentials })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.address.name()
    }

    /// Makes it; one that exists already is fine.
    pub async fn create(&self) -> Result<()> {
        let action = self.address.create_bucket(&self.credentials);
        let request = self.http.put(action.sign(SIGNED_FOR)).body(action.body());
        let answer = request.send().await.map_err(reqwest::Error::without_url);
        let answer = answer.context(format_args!("Could not create the bucket `{}`", self.name()))?;
        if answer.status() == StatusCode::CONFLICT {
            return Ok(());
        }
        accepted(answer, &format!("Could not create the bucket `{}`", self.name())).await.map(drop)
    }

    /// Stores an object.
    pub async fn put(
        &self,
        key: &str,
        content_type: &str,
        metadata: &[(String, String)],
        contents: Bytes,
    ) -> Result<()> {
        let mut action = self.address.put_object(Some(&self.credentials), key);
        for (name, value) in metadata {
            action.headers_mut().insert(format!("{METADATA_PREFIX}{name}"), value.clone());
        }
        let mut request = self
            .http
            .put(action.sign(SIGNED_FOR))
            .header(CONTENT_TYPE, content_type)
            // reqwest leaves it out for an empty body, and S3 insists on it.
            .header(CONTENT_LENGTH, contents.len());
        for (name, value) in metadata {
            request = request.header(format!("{METADATA_PREFIX}{name}"), value);
        }
        let doing = format!("Could not store `{key}`");
        let answer = request.body(contents).send().await.map_err(reqwest::Error::without_url);
        accepted(answer.context(&doing)?, &doing).await.map(drop)
    }

    /// Deletes an object; one that does not exist is fine.
    pub async fn delete(&self, key: &str) -> Result<()> {
        let action = self.address.delete_object(Some(&self.credentials), key);
        let doing = format!("Could not delete `{key}`");
        let answer = self.http.delete(action.sign(SIGNED_FOR)).send().await;
        accepted(answer.map_err(reqwest::Error::without_url).context(&doing)?, &doing).await.map(drop)
    }

    /// All keys.
    pub async fn keys(&self) -> Result<Vec<String>> {
        let doing = format!("Could not list the bucket `{}`", self.name());
        let mut keys = Vec::new();
        let mut next: Option<String> = None;
        loop {
            let mut action = self.address.list_objects_v2(Some(&self.credentials));
            if let Some(token) = next {
                action.with_continuation_token(token);
            }
            let answer = self.http.get(action.sign(SIGNED_FOR)).send().await;
            let answer = answer.map_err(reqwest::Error::without_url).context(&doing)?;
            let body = accepted(answer, &doing).await?.text().await.context(&doing)?;
            let page = ListObjectsV2::parse_response(&body).context(&doing)?;
            keys.extend(page.contents.into_iter().map(|object| object.key));
            next = page.next_continuation_token;
            if next.is_none() {
                return Ok(keys);
            }
        }
    }

    /// Reads an object to its end.
    pub async fn fingerprint(&self, key: &str) -> Result<Fingerprint> {
        let doing = format!("Could not read `{key}`");
        let action = self.address.get_object(Some(&self.credentials), key);
        let answer = self.http.get(action.sign(SIGNED_FOR)).send().await;
        let answer = answer.map_err(reqwest::Error::without_url).context(&doing)?;
        let answer = accepted(answer, &doing).await?;
        let content_type = text(answer.headers().get(CONTENT_TYPE));
        let metadata = user_metadata(answer.headers());
        let mut hash = Sha256::new();
        let mut size = 0;
        let mut body = answer.bytes_stream();
        while let Some(chunk) = body.next().await {
            let chunk = chunk.map_err(reqwest::Error::without_url).context(&doing)?;
            size += chunk.len() as u64;
            hash.update(&chunk);
        }
        let sha256 = data_encoding::HEXLOWER.encode(&hash.finalize());
        Ok(Fingerprint { size, sha256, content_type, metadata })
    }

    /// Reads every object; `seen` is told after each.
    pub async fn fingerprints(&self, seen: impl Fn(u64)) -> Result<BTreeMap<String, Fingerprint>> {
        let seen = &seen;
        stream::iter(self.keys().await?)
            .map(async |key| {
                let fingerprint = self.fingerprint(&key).await?;
                seen(fingerprint.size);
                Ok((key, fingerprint))
            })
            .buffer_unordered(PARALLEL)
            .try_collect()
            .await
    }
}

fn text(value: Option<&http::HeaderValue>) -> String {
    value.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).unwrap_or_default()
}

fn user_metadata(headers: &HeaderMap) -> BTreeMap<String, String> {
    headers
        .iter()
        .filter_map(|(name, value)| {
            Some((name.as_str().strip_prefix(METADATA_PREFIX)?.to_owned(), text(Some(value))))
        })
        .collect()
}

async fn accepted(answer: reqwest::Response, doing: &str) -> Result<reqwest::Response> {
    let status = answer.status();
    if status.is_success() {
        return Ok(answer);
    }
    let why = answer.text().await.unwrap_or_default();
    Err(Error::new(format!("{doing}: HTTP status {status}: {}", why.chars().take(300).collect::<String>())))
}
