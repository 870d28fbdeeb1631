//! A bucket behind the S3 API: requests signed by `rusty-s3`, carried by `reqwest`.
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::Stream;
use jiff::Timestamp;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Body, Response, StatusCode};
use rusty_s3::actions::{
    CompleteMultipartUpload, CompleteMultipartUploadResponse, CreateMultipartUpload, ListObjectsV2,
};
use rusty_s3::signing::sign;
use rusty_s3::{Bucket, Credentials, Method, UrlStyle};
use secrecy::ExposeSecret;

use super::failure::{Kind, Side, Trouble};
use super::job::Location;
use super::policy::Facts;
use super::raw::{self, Raw, RawClient};

/// How long a request may take to get its answer (bodies are watched chunk by chunk).
pub(super) const ANSWER: Duration = Duration::from_mins(1);

/// How long a signed URL is good for; only the start of a request has to fall into it.
const SIGNED_FOR: u64 = 3600;

/// A header to sign and send.
pub(super) type Header = (String, String);

/// A bucket and the means to talk to it.
#[derive(Clone)]
pub(super) struct Endpoint {
    side: Side,
    http: reqwest::Client,
    raw: RawClient,
    bucket: Bucket,
    credentials: Credentials,
    requester_pays: bool,
}

/// An object as its own headers tell it.
#[derive(Debug, Clone)]
pub(super) struct Head {
    pub(super) facts: Facts,
    pub(super) etag: Option<String>,
    pub(super) storage_class: Option<String>,
    /// `x-amz-restore`.
    pub(super) restore: Option<String>,
    pub(super) headers: HeaderMap,
}

/// An object as a listing tells it.
#[derive(Debug, Clone)]
pub(super) struct Listed {
    pub(super) key: String,
    pub(super) size: u64,
    pub(super) modified: Option<Timestamp>,
    pub(super) storage_class: Option<String>,
}

/// A page of a listing.
#[derive(Debug, Default)]
pub(super) struct Page {
    pub(super) objects: Vec<Listed>,
    pub(super) next: Option<String>,
}

/// A client for S3 endpoints: no redirects (signatures do not survive them) and no decoding of what objects hold.
pub(super) fn s3_client() -> reqwest::Result<reqwest::Client> {
    client(reqwest::redirect::Policy::none()).build()
}

/// A client for the URLs of URL lists, which follows redirects only to where URLs may lead.
pub(super) fn url_client(
    allowed: Arc<[String]>,
    roots: &[reqwest::Certificate],
) -> reqwest::Result<reqwest::Client> {
    let redirects = reqwest::redirect::Policy::custom(move |attempt| {
        if attempt.previous().len() > 5 {
            attempt.error("too many redirects")
        } else if may_lead_to(attempt.url(), &allowed) {
            attempt.follow()
        } else {
            attempt.error("the redirect leads to a host that is not allowed")
        }
    });
    client(redirects).tls_certs_merge(roots.iter().cloned()).build()
}

/// Whether a URL of a URL list may be fetched: from loopback addresses, and from the allowed hosts. Otherwise whoever
/// may create a task could reach into the network around the emulator.
pub(super) fn may_lead_to(url: &url::Url, allowed: &[String]) -> bool {
    let loopback = match url.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        Some(url::Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        None => return false,
    };
    let named =
        |host: &String| host == "*" || url.host_str().is_some_and(|name| name.eq_ignore_ascii_case(host));
    loopback || allowed.iter().any(named)
}

fn client(redirects: reqwest::redirect::Policy) -> reqwest::ClientBuilder {
    // Already installed by the program, except in tests of this module alone.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .redirect(redirects)
        // As for every other look at a store: they are named by address, most of them on this machine, and a proxy of
        // the environment is for other things.
        .no_proxy()
        .no_gzip()
        .connect_timeout(Duration::from_secs(10))
        .pool_idle_timeout(Duration::from_secs(20))
        .tcp_nodelay(true)
}

impl Endpoint {
    pub(super) fn new(
        side: Side,
        http: reqwest::Client,
        location: &Location,
        requester_pays: bool,
    ) -> Result<Self, Trouble> {
        let unusable = |cause: String| {
            Trouble::new(
                side,
                Kind::Unavailable,
                format!("Endpoint `{}` cannot be used: {cause}", location.endpoint),
            )
        };
        let url = location.endpoint.parse::<url::Url>().map_err(|error| unusable(error.to_string()))?;
        let bucket = Bucket::new(url, UrlStyle::Path, location.bucket.clone(), location.region.clone())
            .map_err(|error| unusable(error.to_string()))?;
        let keys = &location.keys;
        let secret = keys.secret_key.expose_secret();
        let credentials = match &keys.security_token {
            Some(token) => Credentials::new_with_token(&keys.access_key, secret, token.expose_secret()),
            None => Credentials::new(&keys.access_key, secret),
        };
        Ok(Self { side, http, raw: RawClient::new(), bucket, credentials, requester_pays })
    }

    /// The same endpoint and keys, another bucket.
    pub(super) fn with_bucket(&self, location: &Location, bucket: &str) -> Result<Self, Trouble> {
        let location = Location { bucket: bucket.to_owned(), ..location.clone() };
        Self::new(self.side, self.http.clone(), &location, self.requester_pays)
    }

    fn trouble(&self, kind: Kind, message: impl Into<String>) -> Trouble {
        Trouble::new(self.side, kind, message)
    }

    fn lost(&self, error: reqwest::Error) -> Trouble {
        // The URL carries the signature; the chain of causes tells more than the error itself.
        let error = error.without_url();
        let mut message = error.to_string();
        let mut cause = std::error::Error::source(&error);
        while let Some(error) = cause {
            message = format!("{message}: {error}");
            cause = error.source();
        }
        self.trouble(Kind::Unavailable, message)
    }

    /// Signs and sends a request; answers of class 2xx only.
    async fn send(
        &self,
        method: Method,
        key: Option<&str>,
        mut query: Vec<(&str, &str)>,
        mut headers: Vec<Header>,
        body: Option<(Body, u64)>,
    ) -> Result<Response, Trouble> {
        if self.requester_pays {
            headers.push(("x-amz-request-payer".to_owned(), "requester".to_owned()));
        }
        query.sort_unstable();
        headers.sort_unstable();
        let response = match key {
            Some("") => {
                return Err(self.trouble(Kind::Unaddressable, "The key is empty, which no object can have"));
            }
            Some(key) if raw::is_needed(key) => self
                .raw
                .send(
                    &self.bucket,
                    &self.credentials,
                    Raw { method, key, query: &query, headers: &headers, body },
                )
                .await
                .map_err(|message| self.trouble(Kind::Unavailable, message))?,
            _ => self.send_url(method, key, &query, &headers, body).await?,
        };
        if response.status().is_success() {
            return Ok(response);
        }
        Err(self.refused(response).await)
    }

    async fn send_url(
        &self,
        method: Method,
        key: Option<&str>,
        query: &[(&str, &str)],
        headers: &[Header],
        body: Option<(Body, u64)>,
    ) -> Result<Response, Trouble> {
        let url = key.map_or_else(|| self.bucket.base_url().clone(), |key| self.bucket.object_url(key));
        let url = sign(
            &Timestamp::now(),
            method,
            url,
            self.credentials.key(),
            self.credentials.secret(),
            self.credentials.token(),
            self.bucket.region(),
            SIGNED_FOR,
            query.iter().copied(),
            headers.iter().map(|(name, value)| (name.as_str(), value.as_str())),
        );
        let verb = reqwest::Method::from_bytes(method.to_str().as_bytes())
            .map_err(|error| self.trouble(Kind::Other, error.to_string()))?;
        let mut request = self.http.request(verb, url);
        for (name, value) in headers {
            let pair = HeaderName::from_bytes(name.as_bytes())
                .ok()
                .zip(HeaderValue::from_bytes(value.as_bytes()).ok());
            let Some((name, value)) = pair else {
                return Err(self.trouble(Kind::Other, format!("Header `{name}` cannot be sent")));
            };
            request = request.header(name, value);
        }
        if let Some((body, length)) = body {
            request = request.header(reqwest::header::CONTENT_LENGTH, length).body(body);
        }
        request.send().await.map_err(|error| self.lost(error))
    }

    /// As `send`, for requests whose body is small: the whole exchange is bounded.
    async fn exchange(
        &self,
        method: Method,
        key: Option<&str>,
        query: Vec<(&str, &str)>,
        headers: Vec<Header>,
        body: Option<String>,
    ) -> Result<(HeaderMap, String), Trouble> {
        let body = body.map(|text| {
            let length = text.len() as u64;
            (Body::from(text), length)
        });
        let exchange = async {
            let response = self.send(method, key, query, headers, body).await?;
            let headers = response.headers().clone();
            let text = response.text().await.map_err(|error| self.lost(error))?;
            Ok((headers, text))
        };
        match tokio::time::timeout(ANSWER, exchange).await {
            Ok(result) => result,
            Err(_) => Err(self.no_answer()),
        }
    }

    pub(super) fn no_answer(&self) -> Trouble {
        self.trouble(Kind::Unavailable, format!("No answer within {} s", ANSWER.as_secs()))
    }

    async fn refused(&self, response: Response) -> Trouble {
        let status = response.status();
        // Error documents are small; whatever answers with more is not S3.
        let text = match tokio::time::timeout(ANSWER, response.bytes()).await {
            Ok(Ok(bytes)) => String::from_utf8_lossy(&bytes[..bytes.len().min(16 * 1024)]).into_owned(),
            _ => String::new(),
        };
        let code = element(&text, "Code").unwrap_or_default();
        let kind = match (code, status) {
            (
                "InvalidAccessKeyId"
                | "SignatureDoesNotMatch"
                | "InvalidToken"
                | "ExpiredToken"
                | "NotSignedUp",
                _,
            ) => Kind::Keys,
            ("NoSuchBucket", _) => Kind::NoBucket,
            ("NoSuchKey", _) => Kind::NoObject,
            ("InvalidObjectState", _) => Kind::Archived,
            ("PreconditionFailed", _) | (_, StatusCode::PRECONDITION_FAILED) => Kind::Changed,
            ("InsufficientStorageSpace" | "QuotaExceeded" | "XMinioStorageFull", _)
            | (_, StatusCode::INSUFFICIENT_STORAGE) => Kind::Full,
            ("RestoreAlreadyInProgress", _) => Kind::UnderWay,
            ("SlowDown" | "TooManyRequests" | "RequestLimitExceeded", _)
            | (_, StatusCode::TOO_MANY_REQUESTS) => Kind::Throttled,
            (_, StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED) => Kind::Denied,
            (_, StatusCode::NOT_FOUND) => Kind::NoObject,
            ("IncompleteBody" | "BadDigest" | "RequestTimeout", _) => Kind::Unavailable,
            ("NotImplemented" | "MethodNotAllowed", _) => Kind::Other,
            (_, status) if status.is_server_error() => Kind::Failing,
            _ => Kind::Other,
        };
        let said = if code.is_empty() { String::new() } else { format!(" ({code})") };
        self.trouble(kind, format!("The endpoint answered {}{said}", status.as_u16()))
    }

    /// One page of the keys that start with `prefix`, after `after` or from a continuation token.
    pub(super) async fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
        token: Option<&str>,
        max_keys: u16,
    ) -> Result<Page, Trouble> {
        let max_keys = max_keys.to_string();
        let mut query = vec![("list-type", "2"), ("encoding-type", "url"), ("max-keys", max_keys.as_str())];
        if !prefix.is_empty() {
            query.push(("prefix", prefix));
        }
        match (token, after) {
            (Some(token), _) => query.push(("continuation-token", token)),
            (None, Some(after)) => query.push(("start-after", after)),
            (None, None) => {}
        }
        let (_, text) = self.exchange(Method::Get, None, query, Vec::new(), None).await?;
        let parsed = ListObjectsV2::parse_response(&text).map_err(|error| {
            self.trouble(Kind::Unavailable, format!("The answer to a listing is not S3's: {error}"))
        })?;
        let objects = parsed
            .contents
            .into_iter()
            .map(|object| Listed {
                key: object.key,
                size: object.size.unwrap_or(0),
                modified: object.last_modified.and_then(|text| text.parse().ok()),
                storage_class: object.storage_class,
            })
            .collect();
        Ok(Page { objects, next: parsed.next_continuation_token })
    }

    /// Whether the bucket can be listed with these keys.
    pub(super) async fn probe(&self) -> Result<(), Trouble> {
        self.list("", None, None, 1).await.map(|_| ())
    }

    /// An object's headers, with its CRC64 when `checksum` asks for it.
    pub(super) async fn head(&self, key: &str, checksum: bool) -> Result<Head, Trouble> {
        let headers = checksum_mode(checksum);
        match self.exchange(Method::Head, Some(key), Vec::new(), headers, None).await {
            Ok((headers, _)) => Ok(Head::from_headers(headers)),
            // An answer to HEAD has no body, so a missing bucket looks like a missing object: a listing tells.
            Err(trouble) if matches!(trouble.kind, Kind::NoObject | Kind::Denied) => {
                self.probe().await?;
                Err(trouble)
            }
            Err(trouble) => Err(trouble),
        }
    }

    /// Starts reading an object, or `range` (first and last byte) of the version that `etag` names.
    pub(super) async fn get(
        &self,
        key: &str,
        range: Option<(u64, u64)>,
        etag: Option<&str>,
    ) -> Result<(Head, Response), Trouble> {
        let mut headers = Vec::new();
        if let Some((first, last)) = range {
            headers.push(("range".to_owned(), format!("bytes={first}-{last}")));
        }
        if let Some(etag) = etag {
            headers.push(("if-match".to_owned(), etag.to_owned()));
        }
        let answer = self.send(Method::Get, Some(key), Vec::new(), headers, None);
        let response = tokio::time::timeout(ANSWER, answer).await.map_err(|_| self.no_answer())??;
        Ok((Head::from_headers(response.headers().clone()), response))
    }

    /// Writes an object from bytes at hand.
    pub(super) async fn put(&self, key: &str, headers: Vec<Header>, bytes: Bytes) -> Result<(), Trouble> {
        let length = bytes.len() as u64;
        let sent = self.send(Method::Put, Some(key), Vec::new(), headers, Some((Body::from(bytes), length)));
        tokio::time::timeout(ANSWER, sent).await.map_err(|_| self.no_answer())??;
        Ok(())
    }

    /// Writes an object from a stream; the caller watches over the time.
    pub(super) async fn put_stream<S>(
        &self,
        key: &str,
        headers: Vec<Header>,
        length: u64,
        stream: S,
    ) -> Result<(), Trouble>
    where
        S: Stream<Item = std::io::Result<Bytes>> + Send + 'static,
    {
        let body = stream_body(stream, length);
        self.send(Method::Put, Some(key), Vec::new(), headers, Some((body, length))).await?;
        Ok(())
    }

    /// Starts a multipart upload; its ID.
    pub(super) async fn create_upload(&self, key: &str, headers: Vec<Header>) -> Result<String, Trouble> {
        let (_, text) = self
            .exchange(Method::Post, Some(key), vec![("uploads", "")], headers, Some(String::new()))
            .await?;
        let parsed = CreateMultipartUpload::parse_response(&text).map_err(|error| {
            self.trouble(Kind::Unavailable, format!("The answer to a new upload is not S3's: {error}"))
        })?;
        Ok(parsed.upload_id().to_owned())
    }

    /// Uploads a part from a stream; its ETag. The caller watches over the time.
    pub(super) async fn upload_part<S>(
        &self,
        key: &str,
        upload: &str,
        number: u32,
        length: u64,
        stream: S,
    ) -> Result<String, Trouble>
    where
        S: Stream<Item = std::io::Result<Bytes>> + Send + 'static,
    {
        let number = number.to_string();
        let query = vec![("partNumber", number.as_str()), ("uploadId", upload)];
        let body = stream_body(stream, length);
        let response = self.send(Method::Put, Some(key), query, Vec::new(), Some((body, length))).await?;
        response
            .headers()
            .get(reqwest::header::ETAG)
            .and_then(|etag| etag.to_str().ok())
            .map(str::to_owned)
            .ok_or_else(|| self.trouble(Kind::Unavailable, "The answer to a part has no ETag"))
    }

    /// Makes the object of the parts.
    pub(super) async fn complete_upload(
        &self,
        key: &str,
        upload: &str,
        etags: &[String],
    ) -> Result<(), Trouble> {
        let parts = etags.iter().map(String::as_str);
        let body = CompleteMultipartUpload::new(&self.bucket, None, key, upload, parts).body();
        let (_, text) = self
            .exchange(Method::Post, Some(key), vec![("uploadId", upload)], Vec::new(), Some(body))
            .await?;
        // S3 can answer 200 and tell of a failure in the body.
        CompleteMultipartUploadResponse::parse(&text).map_err(|_| {
            let code = element(&text, "Code").unwrap_or("no S3 answer");
            self.trouble(Kind::Unavailable, format!("The upload could not be completed ({code})"))
        })?;
        Ok(())
    }

    /// Gives up a multipart upload.
    pub(super) async fn abort_upload(&self, key: &str, upload: &str) -> Result<(), Trouble> {
        self.exchange(Method::Delete, Some(key), vec![("uploadId", upload)], Vec::new(), None).await?;
        Ok(())
    }

    /// Asks for an archived object to become readable for some days.
    pub(super) async fn restore(&self, key: &str, days: u32) -> Result<(), Trouble> {
        let body = format!(
            "<RestoreRequest xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Days>{days}</Days></RestoreRequest>"
        );
        match self.exchange(Method::Post, Some(key), vec![("restore", "")], Vec::new(), Some(body)).await {
            Err(trouble) if trouble.kind != Kind::UnderWay => Err(trouble),
            _ => Ok(()),
        }
    }
}

fn stream_body<S>(stream: S, length: u64) -> Body
where
    S: Stream<Item = std::io::Result<Bytes>> + Send + 'static,
{
    // An empty streamed body would go out chunked, which S3 does not take.
    if length == 0 { Body::from(Bytes::new()) } else { Body::wrap_stream(stream) }
}

fn checksum_mode(wanted: bool) -> Vec<Header> {
    if wanted { vec![("x-amz-checksum-mode".to_owned(), "ENABLED".to_owned())] } else { Vec::new() }
}

/// The text of the first element of a name in an error document.
fn element<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let start = text.find(&format!("<{name}>"))? + name.len() + 2;
    let end = start + text[start..].find(&format!("</{name}>"))?;
    Some(&text[start..end])
}

impl Head {
    pub(super) fn from_headers(headers: HeaderMap) -> Self {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let facts = Facts {
            size: text("content-length").and_then(|length| length.parse().ok()),
            modified: text("last-modified")
                .and_then(|date| jiff::fmt::rfc2822::parse(&date).ok().map(|date| date.timestamp())),
            crc64: text("x-amz-checksum-crc64nvme"),
        };
        Self {
            facts,
            etag: text("etag"),
            storage_class: text("x-amz-storage-class"),
            restore: text("x-amz-restore"),
            headers,
        }
    }
}
