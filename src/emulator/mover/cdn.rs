//! Objects that are fetched through a CDN. What there is, is told by the bucket behind it.
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use jiff::Timestamp;
use percent_encoding::utf8_percent_encode;
use reqwest::{Response, StatusCode, header};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use super::failure::{Kind, Side, Trouble};
use super::job::{Location, optional_secret_text};
use super::raw;
use super::s3::{ANSWER, Head};
use crate::emulator::cdn::sign::{IN_PATH, Moment, Scheme, Secrets, signed};

/// A CDN in front of the source bucket.
#[derive(Clone, Serialize, Deserialize)]
pub struct CdnSource {
    /// Domain; goes into the `Host` header and, for some schemes, into the signature.
    pub domain: String,
    /// `http` or `https`, as the task names it; some schemes sign it.
    pub protocol: String,
    /// Base URL of the server that answers for the domain.
    pub endpoint: String,
    /// How requests are signed.
    pub scheme: Scheme,
    /// Key of the CDN, for schemes that have one of their own.
    #[serde(default, with = "optional_secret_text")]
    pub key: Option<SecretString>,
}

impl fmt::Debug for CdnSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CdnSource")
            .field("domain", &self.domain)
            .field("scheme", &self.scheme)
            .finish_non_exhaustive()
    }
}

/// A CDN and the means to talk to it.
pub(super) struct Edge {
    cdn: CdnSource,
    origin: Location,
    http: reqwest::Client,
    requests: AtomicU64,
    /// It has let in a request of this run.
    has_served: AtomicBool,
}

impl Edge {
    pub(super) fn new(cdn: CdnSource, origin: Location, http: reqwest::Client) -> Self {
        Self { cdn, origin, http, requests: AtomicU64::new(0), has_served: AtomicBool::new(false) }
    }

    /// Starts reading an object, or a range of it, of which the bucket told what was `seen`.
    pub(super) async fn get(
        &self,
        key: &str,
        range: Option<(u64, u64)>,
        seen: &Head,
    ) -> Result<Response, Trouble> {
        let trouble = |kind, message: String| Trouble::new(Side::Source, kind, message);
        if raw::is_needed(key) {
            let message = "The key has a segment `.` or `..`, which no URL of a CDN can carry";
            return Err(trouble(Kind::Unaddressable, message.to_owned()));
        }
        let path = format!("/{}", utf8_percent_encode(key, IN_PATH));
        let nonce = self.requests.fetch_add(1, Ordering::Relaxed).to_string();
        let cdn = &self.cdn;
        let target = signed(
            cdn.scheme,
            Secrets {
                key: cdn.key.as_ref().map_or("", |key| key.expose_secret()),
                access_key: &self.origin.keys.access_key,
                secret_key: self.origin.keys.secret_key.expose_secret(),
            },
            &format!("{}://{}", cdn.protocol, cdn.domain),
            &self.origin.bucket,
            &path,
            Moment { now: Timestamp::now(), nonce: &nonce },
        );
        let mut request = self
            .http
            .get(format!("{}{target}", cdn.endpoint.trim_end_matches('/')))
            .header(header::HOST, &cdn.domain);
        if let Some((first, last)) = range {
            request = request.header(header::RANGE, format!("bytes={first}-{last}"));
        }
        let lost = |message: String| trouble(Kind::Unavailable, message);
        let answer = tokio::time::timeout(ANSWER, request.send())
            .await
            .map_err(|_| lost(format!("The CDN does not answer within {} s", ANSWER.as_secs())))?
            .map_err(|error| lost(format!("The CDN cannot be reached: {}", error.without_url())))?;
        let status = answer.status();
        match status {
            StatusCode::OK if range.is_none() => {}
            StatusCode::PARTIAL_CONTENT if range.is_some() => {}
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                // A wrong key is wrong for every object; a single one can be forbidden for other reasons.
                let kind =
                    if self.has_served.load(Ordering::Relaxed) { Kind::Denied } else { Kind::EdgeRefused };
                return Err(trouble(kind, format!("The CDN refused the request ({})", status.as_u16())));
            }
            _ => {
                let kind = match status.as_u16() {
                    404 | 410 => Kind::NoObject,
                    412 => Kind::Changed,
                    429 => Kind::Throttled,
                    500..=599 => Kind::Failing,
                    _ => Kind::Other,
                };
                return Err(trouble(kind, format!("The CDN answered {}", status.as_u16())));
            }
        }
        self.has_served.store(true, Ordering::Relaxed);
        let served = answer.headers().get(header::ETAG).and_then(|etag| etag.to_str().ok());
        if let (Some(served), Some(stored)) = (served, seen.etag.as_deref())
            && served != stored
        {
            return Err(trouble(Kind::Changed, "The CDN serves another version than the bucket".to_owned()));
        }
        Ok(answer)
    }
}
