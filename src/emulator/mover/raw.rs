//! Requests for keys with a segment `.` or `..`.
//!
//! S3 allows such keys, but every client that builds its URLs by the URL standard removes these segments and reaches
//! another object. Here the path goes out as it is, signed by hand (S3 API reference, Signature Version 4).
use bytes::Bytes;
use data_encoding::HEXLOWER;
use hmac::{Hmac, KeyInit, Mac};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Body, Response};
use rusty_s3::{Bucket, Credentials, Method};
use sha2::{Digest, Sha256};

use super::s3::Header;

/// What stays as it is in a canonical path.
const IN_PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'/');

/// What stays as it is in a canonical query.
const IN_QUERY: &AsciiSet = &IN_PATH.add(b'/');

/// Whether only this room can name the key.
pub(super) fn is_needed(key: &str) -> bool {
    key.split('/').any(|segment| matches!(segment, "." | ".."))
}

/// A request for a key.
pub(super) struct Raw<'r> {
    pub(super) method: Method,
    pub(super) key: &'r str,
    pub(super) query: &'r [(&'r str, &'r str)],
    pub(super) headers: &'r [Header],
    pub(super) body: Option<(Body, u64)>,
}

/// A client that sends paths as they are. Plain HTTP only.
#[derive(Clone)]
pub(super) struct RawClient(Client<HttpConnector, Body>);

impl RawClient {
    pub(super) fn new() -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(std::time::Duration::from_secs(10)));
        Self(Client::builder(TokioExecutor::new()).build(connector))
    }

    /// Signs and sends a request; the error never holds a URL.
    pub(super) async fn send(
        &self,
        bucket: &Bucket,
        credentials: &Credentials,
        Raw { method, key, query, headers, body }: Raw<'_>,
    ) -> Result<Response, String> {
        let base = bucket.base_url();
        if base.scheme() != "http" {
            return Err("Keys with a segment `.` or `..` can be reached over http:// only".to_owned());
        }
        let host = match (base.host_str(), base.port()) {
            (Some(host), Some(port)) => format!("{host}:{port}"),
            (Some(host), None) => host.to_owned(),
            (None, _) => return Err("The endpoint has no host".to_owned()),
        };
        let path = format!("{}/{}", base.path().trim_end_matches('/'), utf8_percent_encode(key, IN_PATH));
        let mut query: Vec<String> = query
            .iter()
            .map(|(name, value)| {
                format!("{}={}", utf8_percent_encode(name, IN_QUERY), utf8_percent_encode(value, IN_QUERY))
            })
            .collect();
        query.sort_unstable();
        let query = query.join("&");
        let mut signed: Vec<Header> =
            headers.iter().map(|(name, value)| (name.clone(), value.trim().to_owned())).collect();
        let now = Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
        signed.push(("host".to_owned(), host.clone()));
        signed.push(("x-amz-content-sha256".to_owned(), "UNSIGNED-PAYLOAD".to_owned()));
        signed.push(("x-amz-date".to_owned(), now.clone()));
        if let Some(token) = credentials.token() {
            signed.push(("x-amz-security-token".to_owned(), token.to_owned()));
        }
        signed.sort_unstable();
        let authorization =
            authorization(method.to_str(), &path, &query, &signed, &now, bucket.region(), credentials);
        let uri = if query.is_empty() {
            format!("http://{host}{path}")
        } else {
            format!("http://{host}{path}?{query}")
        };
        let mut request = http::Request::builder()
            .method(method.to_str())
            .uri(uri)
            .header(http::header::AUTHORIZATION, authorization);
        for (name, value) in &signed {
            request = request.header(name.as_str(), value.as_bytes());
        }
        let (body, length) = body.unwrap_or((Body::from(Bytes::new()), 0));
        if length > 0 || matches!(method, Method::Put | Method::Post) {
            request = request.header(http::header::CONTENT_LENGTH, length);
        }
        let request = request.body(body).map_err(|error| error.to_string())?;
        let answer = self.0.request(request).await.map_err(|error| error.to_string())?;
        Ok(Response::from(answer.map(Body::wrap)))
    }
}

fn authorization(
    method: &str,
    path: &str,
    query: &str,
    headers: &[Header],
    now: &str,
    region: &str,
    credentials: &Credentials,
) -> String {
    let names = headers.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(";");
    let lines: Vec<String> = headers.iter().map(|(name, value)| format!("{name}:{value}")).collect();
    let lines = lines.join("\n");
    let canonical = format!("{method}\n{path}\n{query}\n{lines}\n\n{names}\nUNSIGNED-PAYLOAD");
    let date = now.get(..8).unwrap_or_default();
    let scope = format!("{date}/{region}/s3/aws4_request");
    let digest = HEXLOWER.encode(&Sha256::digest(canonical.as_bytes()));
    let text = format!("AWS4-HMAC-SHA256\n{now}\n{scope}\n{digest}");
    let mut key = hmac(format!("AWS4{}", credentials.secret()).as_bytes(), date);
    for part in [region, "s3", "aws4_request"] {
        key = hmac(&key, part);
    }
    let signature = HEXLOWER.encode(&hmac(&key, &text));
    format!(
        "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={signature}",
        credentials.key()
    )
}

fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else {
        unreachable!("HMAC takes keys of any length")
    };
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_segments_of_dots_need_it() {
        for (key, expected) in
            [("a/../b", true), ("..", true), ("./a", true), ("..x", false), ("a/...", false), ("a//b", false)]
        {
            assert_eq!(is_needed(key), expected, "{key}");
        }
    }
}
