//! A small S3 client for the tests of the embedded store and the mover, and stores to use it on.
#![allow(dead_code, unreachable_pub)]
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::path::Path;

use jiff::Timestamp;
use oms_operator::emulator::mover::{Keys, Location};
use oms_operator::emulator::store::{EmbeddedStore, StoreConfig};
use reqwest::header::HeaderMap;
use rusty_s3::signing::sign;
use rusty_s3::{Bucket, Method, UrlStyle};

pub const ACCESS: &str = "TESTACCESSKEY";
pub const SECRET: &str = "test-secret-key";

/// Keys that are legal and often broken.
pub fn odd_keys() -> Vec<String> {
    let mut keys: Vec<String> = [
        "a",
        "a/b",
        "a//b",
        "dir/",
        "..x",
        "x../y",
        "/leading",
        "//",
        "percent%20sign",
        "100%",
        "%2e%2e/x",
        "plus+sign",
        "space in name",
        " leading space",
        "trailing space ",
        "ünïcödé/日本語.txt",
        "emoji-😀",
        "q?mark",
        "hash#",
        "amp&amp;",
        "quote'\"",
        "<angle>",
        "back\\slash",
        "tab\there",
        "semi;colon",
        "a=b",
        "col:on",
        "at@",
        "star*",
        "(paren)",
        "[x]",
        "{y}",
        "pipe|",
        "tilde~",
        "back`tick",
        "dollar$",
        "comma,",
        "ex!cl",
        "car^et",
        "con",
        "index.html",
    ]
    .map(str::to_owned)
    .into();
    keys.push("k".repeat(1024));
    keys.push("é".repeat(512));
    keys
}

pub async fn store(dir: Option<&Path>) -> EmbeddedStore {
    let config = StoreConfig {
        name: "test".into(),
        dir: dir.map(Path::to_path_buf),
        listen: (Ipv4Addr::LOCALHOST, 0).into(),
        access_keys: vec![(ACCESS.into(), SECRET.into())],
    };
    EmbeddedStore::start(config).await.unwrap()
}

pub fn location(endpoint: &str, bucket: &str) -> Location {
    Location {
        endpoint: endpoint.to_owned(),
        region: "test-1".into(),
        bucket: bucket.to_owned(),
        keys: Keys { access_key: ACCESS.into(), secret_key: SECRET.into(), security_token: None },
    }
}

/// A bucket at a store.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    bucket: Bucket,
    access: String,
    secret: String,
}

pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    pub fn ok(self) -> Self {
        assert!((200..300).contains(&self.status), "{}: {}", self.status, self.text());
        self
    }
}

impl Client {
    pub fn new(endpoint: &str, bucket: &str) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        Self {
            http: reqwest::Client::builder().no_gzip().build().unwrap(),
            bucket: Bucket::new(endpoint.parse().unwrap(), UrlStyle::Path, bucket.to_owned(), "test-1")
                .unwrap(),
            access: ACCESS.into(),
            secret: SECRET.into(),
        }
    }

    /// Creates the bucket as well.
    pub async fn create(endpoint: &str, bucket: &str) -> Self {
        let client = Self::new(endpoint, bucket);
        client.send(Method::Put, None, &[], &[], None).await.ok();
        client
    }

    pub fn with_keys(mut self, access: &str, secret: &str) -> Self {
        (self.access, self.secret) = (access.to_owned(), secret.to_owned());
        self
    }

    pub async fn send(
        &self,
        method: Method,
        key: Option<&str>,
        query: &[(&str, &str)],
        headers: &[(&str, &str)],
        body: Option<Vec<u8>>,
    ) -> Answer {
        let url = key.map_or_else(|| self.bucket.base_url().clone(), |key| self.bucket.object_url(key));
        let (mut query, mut headers) = (query.to_vec(), headers.to_vec());
        query.sort_unstable();
        headers.sort_unstable();
        let url = sign(
            &Timestamp::now(),
            method,
            url,
            &self.access,
            &self.secret,
            None,
            "test-1",
            600,
            query.iter().copied(),
            headers.iter().copied(),
        );
        let verb = reqwest::Method::from_bytes(method.to_str().as_bytes()).unwrap();
        let mut request = self.http.request(verb, url);
        for (name, value) in headers {
            // Values that are not ASCII go out as bare UTF-8.
            request =
                request.header(name, reqwest::header::HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        if let Some(body) = body {
            request = request.header("content-length", body.len()).body(body);
        }
        let response = request.send().await.unwrap();
        Answer {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: response.bytes().await.unwrap().to_vec(),
        }
    }

    pub async fn put(&self, key: &str, bytes: &[u8]) -> Answer {
        self.put_with(key, bytes, &[]).await
    }

    pub async fn put_with(&self, key: &str, bytes: &[u8], headers: &[(&str, &str)]) -> Answer {
        self.send(Method::Put, Some(key), &[], headers, Some(bytes.to_vec())).await.ok()
    }

    /// Writes an object in parts of that size.
    pub async fn put_in_parts(&self, key: &str, bytes: &[u8], size: usize) {
        let answer = self.send(Method::Post, Some(key), &[("uploads", "")], &[], Some(Vec::new())).await.ok();
        let started = rusty_s3::actions::CreateMultipartUpload::parse_response(&answer.text()).unwrap();
        let upload = started.upload_id();
        let mut parts = String::new();
        for (number, chunk) in (1..).zip(bytes.chunks(size)) {
            let number = i32::to_string(&number);
            let query = [("partNumber", number.as_str()), ("uploadId", upload)];
            let part = self.send(Method::Put, Some(key), &query, &[], Some(chunk.to_vec())).await.ok();
            let etag = part.header("etag").unwrap();
            write!(parts, "<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>").unwrap();
        }
        let body = format!("<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>").into_bytes();
        self.send(Method::Post, Some(key), &[("uploadId", upload)], &[], Some(body)).await.ok();
    }

    /// Writes an object whose key has segments `.` or `..`, which no URL of a library would keep, with a
    /// request written by hand.
    pub async fn put_dotted(&self, key: &str, bytes: &[u8]) {
        use data_encoding::HEXLOWER;
        use hmac::{Hmac, KeyInit, Mac};
        use sha2::{Digest, Sha256};
        use tokio::io::{AsyncReadExt, AsyncWriteExt};

        let base = self.bucket.base_url();
        let host = format!("{}:{}", base.host_str().unwrap(), base.port().unwrap());
        let path = format!("{}/{key}", base.path().trim_end_matches('/'));
        let digest = HEXLOWER.encode(&Sha256::digest(bytes));
        let now = Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
        let names = "host;x-amz-content-sha256;x-amz-date";
        let canonical = format!(
            "PUT\n{path}\n\nhost:{host}\nx-amz-content-sha256:{digest}\nx-amz-date:{now}\n\n{names}\n{digest}"
        );
        let scope = format!("{}/test-1/s3/aws4_request", &now[..8]);
        let hash = HEXLOWER.encode(&Sha256::digest(canonical.as_bytes()));
        let mut signature = format!("AWS4{}", self.secret).into_bytes();
        let text = format!("AWS4-HMAC-SHA256\n{now}\n{scope}\n{hash}");
        for part in [&now[..8], "test-1", "s3", "aws4_request", &text] {
            let mut mac = Hmac::<Sha256>::new_from_slice(&signature).unwrap();
            mac.update(part.as_bytes());
            signature = mac.finalize().into_bytes().to_vec();
        }
        let mut request = format!("PUT {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n");
        write!(request, "x-amz-content-sha256: {digest}\r\nx-amz-date: {now}\r\n").unwrap();
        write!(
            request,
            "authorization: AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={}\r\n",
            self.access,
            HEXLOWER.encode(&signature)
        )
        .unwrap();
        write!(request, "content-length: {}\r\n\r\n", bytes.len()).unwrap();
        let mut stream = tokio::net::TcpStream::connect(&host).await.unwrap();
        stream.write_all(&[request.as_bytes(), bytes].concat()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }

    /// Writes many small objects, several at a time.
    pub async fn put_many(&self, keys: impl IntoIterator<Item = String>) {
        use futures::StreamExt;
        let puts = keys.into_iter().map(|key| async move { self.put(&key, key.as_bytes()).await });
        futures::stream::iter(puts).buffer_unordered(16).for_each(|_| async {}).await;
    }

    pub async fn get(&self, key: &str) -> Answer {
        self.send(Method::Get, Some(key), &[], &[], None).await
    }

    pub async fn head(&self, key: &str) -> Answer {
        self.send(Method::Head, Some(key), &[], &[("x-amz-checksum-mode", "ENABLED")], None).await
    }

    pub async fn delete(&self, key: &str) -> Answer {
        self.send(Method::Delete, Some(key), &[], &[], None).await.ok()
    }

    /// All keys, in the order of the listing, over as many pages as it takes.
    pub async fn keys(&self) -> Vec<String> {
        let mut keys = Vec::new();
        let mut token: Option<String> = None;
        loop {
            let mut query = vec![("list-type", "2"), ("encoding-type", "url")];
            if let Some(token) = &token {
                query.push(("continuation-token", token));
            }
            let answer = self.send(Method::Get, None, &query, &[], None).await.ok();
            let page = rusty_s3::actions::ListObjectsV2::parse_response(&answer.text()).unwrap();
            keys.extend(page.contents.into_iter().map(|object| object.key));
            token = page.next_continuation_token;
            if token.is_none() {
                return keys;
            }
        }
    }

    /// Keys and bytes of everything.
    pub async fn contents(&self) -> BTreeMap<String, Vec<u8>> {
        let mut contents = BTreeMap::new();
        for key in self.keys().await {
            let body = self.get(&key).await.ok().body;
            contents.insert(key, body);
        }
        contents
    }
}
