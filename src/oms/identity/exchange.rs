//! One small request to a source of credentials: no redirect, no second try, bounded in time and size.

use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use jiff::Timestamp;
use secrecy::SecretString;
use serde::Deserialize;
use url::Url;
use zeroize::Zeroizing;

use super::{Issued, Keys, Proof};
use crate::oms::answer::Refusal;
use crate::oms::codes::Class;
use crate::oms::error::{Delivery, Error};
use crate::oms::settings::{CallObserver, CallRecord, Settings};
use crate::oms::transport::{base_url, is_loopback, root_cause};

/// Largest answer that is read: a token without a catalog has a few kilobytes.
const LARGEST_ANSWER: usize = 256 * 1024;

/// Largest file with a token that is read.
const LARGEST_TOKEN: usize = 64 * 1024;

/// A client for the requests of one source.
pub(super) struct Exchange {
    http: reqwest::Client,
    base: Url,
    host: String,
    timeout: Duration,
    on_call: Option<CallObserver>,
}

/// A request.
pub(super) struct Asked<'a> {
    pub(super) operation: &'static str,
    pub(super) method: Method,
    /// Below the base address, with the query; empty for the base address itself.
    pub(super) path: &'a str,
    pub(super) headers: HeaderMap,
    pub(super) body: Option<Zeroizing<Vec<u8>>>,
}

/// An answer, whatever its status.
pub(super) struct Told {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Zeroizing<Vec<u8>>,
}

impl Exchange {
    /// A client for `settings.endpoint`. A `direct` one never goes through a proxy: what it calls is on this machine or link.
    pub(super) fn new(settings: &Settings, timeout: Duration, direct: bool) -> Result<Self, Error> {
        let base = base_url(&settings.endpoint)?;
        let name = base.host_str().unwrap_or_default();
        let host = base.port().map_or_else(|| name.to_owned(), |port| format!("{name}:{port}"));
        // Another provider may be in place already; both work.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .connect_timeout(timeout.min(settings.timeouts.connect))
            .timeout(timeout)
            .pool_max_idle_per_host(0)
            .referer(false)
            .user_agent(&settings.user_agent);
        if direct || is_loopback(&base) {
            builder = builder.no_proxy();
        }
        if let Some(bundle) = &settings.ca_bundle {
            let certificates = reqwest::Certificate::from_pem_bundle(bundle)
                .ok()
                .filter(|certificates| !certificates.is_empty())
                .ok_or_else(|| Error::settings("The CA bundle holds no PEM certificate"))?;
            builder = builder.tls_certs_merge(certificates);
        }
        let http = builder.build().map_err(|error| {
            Error::settings(format!("No HTTP client can be made of these settings: {}", root_cause(&error)))
        })?;
        Ok(Self { http, base, host, timeout, on_call: settings.on_call.clone() })
    }

    /// Sends a request and reads the answer.
    pub(super) async fn ask(&self, asked: Asked<'_>) -> Result<Told, Error> {
        let operation = asked.operation;
        let started = Instant::now();
        let told = match tokio::time::timeout(self.timeout, self.send(asked)).await {
            Ok(told) => told,
            Err(_) => Err(self.silence(operation)),
        };
        let outcome = match &told {
            Ok(told) if told.status.is_success() => "ok",
            Ok(_) => "refused",
            Err(error) => error.class().as_str(),
        };
        let status = told.as_ref().ok().map(|told| told.status.as_u16());
        tracing::debug!(operation, outcome, status, "asked for credentials");
        if let Some(on_call) = &self.on_call {
            let duration = started.elapsed();
            on_call(&CallRecord { operation, outcome, duration, unknown_code: None });
        }
        told
    }

    async fn send(&self, asked: Asked<'_>) -> Result<Told, Error> {
        let operation = asked.operation;
        let mut url = self.base.clone();
        let (path, query) = match asked.path.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (asked.path, None),
        };
        if !path.is_empty() {
            url.set_path(&format!("{}{path}", self.base.path().trim_end_matches('/')));
        }
        url.set_query(query);
        let mut request = reqwest::Request::new(asked.method, url);
        *request.headers_mut() = asked.headers;
        if let Some(body) = asked.body {
            request
                .headers_mut()
                .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json;charset=utf8"));
            *request.body_mut() = Some(bytes::Bytes::from_owner(body).into());
        }
        let mut response =
            self.http.execute(request).await.map_err(|error| self.failure(operation, &error))?;
        let (status, headers) = (response.status(), response.headers().clone());
        let mut body = Zeroizing::new(Vec::with_capacity(8 * 1024));
        while let Some(chunk) = response.chunk().await.map_err(|error| self.failure(operation, &error))? {
            if body.len() + chunk.len() > LARGEST_ANSWER {
                let summary = format!("The answer of `{}` is larger than 256 KiB", self.host);
                return Err(none(operation, summary, Class::Unknown, None));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Told { status, headers, body })
    }

    /// The error of an answer that is no success. `secrets` are kept out of it, `remedy` says what to do.
    pub(super) fn refusal(
        &self,
        operation: &'static str,
        told: &Told,
        secrets: &[&str],
        remedy: &'static str,
    ) -> Error {
        let text = |name| told.headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        let refusal = Refusal {
            operation,
            host: &self.host,
            status: told.status.as_u16(),
            content_type: text("content-type"),
            request_id: text("x-request-id").or_else(|| text("x-iam-trace-id")),
            retry_after: None,
            body: &told.body,
            secrets,
        };
        let error = if told.status.is_redirection() {
            Error::redirect(&refusal)
        } else {
            Error::from_answer(&refusal)
        };
        error.without_credentials(Some(remedy))
    }

    /// The error of a success that cannot be read.
    pub(super) fn unreadable(&self, operation: &'static str, what: &str) -> Error {
        let summary = format!("`{}` answered with {what} where credentials were expected", self.host);
        none(operation, summary, Class::Unknown, Some("Check that the address is the right one"))
    }

    fn silence(&self, operation: &'static str) -> Error {
        let summary = format!("`{}` did not answer within {} s", self.host, self.timeout.as_secs_f64());
        none(operation, summary, Class::Transient, Some(REACH))
    }

    fn failure(&self, operation: &'static str, error: &reqwest::Error) -> Error {
        if error.is_timeout() {
            return self.silence(operation);
        }
        let what = if error.is_connect() { "Could not connect to" } else { "No answer came from" };
        let summary = format!("{what} `{}`: {}", self.host, root_cause(error));
        none(operation, summary, Class::Transient, Some(REACH))
    }
}

const REACH: &str =
    "Check the address and that the operator's pod may reach it; the operator tries again by itself";

/// A failure of our own to come to credentials.
pub(super) fn none(
    operation: &'static str,
    summary: impl Into<String>,
    class: Class,
    remedy: Option<&'static str>,
) -> Error {
    Error::ours(operation, summary, class, Delivery::NotSent, remedy).without_credentials(remedy)
}

/// A value for a header that never shows.
pub(super) fn secret_header(operation: &'static str, text: &str, what: &str) -> Result<HeaderValue, Error> {
    let mut value = HeaderValue::from_str(text).map_err(|_| {
        none(operation, format!("{what} has characters no header can carry"), Class::Missing, None)
    })?;
    value.set_sensitive(true);
    Ok(value)
}

/// Reads a token from a file, without the white space around it.
pub(super) async fn read_token(
    operation: &'static str,
    file: &str,
    remedy: &'static str,
) -> Result<SecretString, Error> {
    let missing =
        |why: &str| none(operation, format!("The token file `{file}` {why}"), Class::Missing, Some(remedy));
    let bytes = tokio::fs::read(file).await.map_err(|error| missing(&format!("cannot be read: {error}")))?;
    let bytes = Zeroizing::new(bytes);
    if bytes.len() > LARGEST_TOKEN {
        return Err(missing("is larger than 64 KiB"));
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| missing("is no text"))?.trim();
    if text.is_empty() {
        return Err(missing("is empty"));
    }
    Ok(SecretString::from(text))
}

/// Temporary keys under any of the names that the sources give their members.
#[derive(Deserialize)]
struct TemporaryKeys {
    #[serde(alias = "accessKeyId", alias = "access_key_id", alias = "access_key")]
    access: String,
    #[serde(alias = "secretAccessKey", alias = "secret_access_key", alias = "secret_key")]
    secret: String,
    #[serde(alias = "securityToken", alias = "security_token")]
    securitytoken: String,
    #[serde(default, alias = "expiration", alias = "expiresAt")]
    expires_at: Option<Timestamp>,
}

/// The answer around them.
#[derive(Deserialize)]
struct Wrapped {
    #[serde(alias = "credentials")]
    credential: TemporaryKeys,
}

/// Reads temporary keys out of an answer.
pub(super) fn temporary_keys(body: &[u8]) -> Option<Issued> {
    let Wrapped { credential: keys } = serde_json::from_slice(body).ok()?;
    if keys.access.is_empty() || keys.secret.is_empty() || keys.securitytoken.is_empty() {
        return None;
    }
    Some(Issued {
        proof: Proof::Keys(Keys {
            access_key: keys.access,
            secret_key: keys.secret.into(),
            security_token: Some(keys.securitytoken.into()),
        }),
        expires_at: keys.expires_at,
        project_id: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn temporary_keys_are_read_under_all_their_names() {
        for body in [
            r#"{"credential":{"access":"A","secret":"S","securitytoken":"T","expires_at":"2020-09-21T07:44:16.574000Z"}}"#,
            r#"{"credentials":{"access_key_id":"A","secret_access_key":"S","security_token":"T","expiration":"2020-09-21T07:44:16.574Z"},"x":1}"#,
            r#"{"assumedAgency":{"urn":""},"credentials":{"accessKeyId":"A","secretAccessKey":"S","securityToken":"T","expiration":"2020-09-21T07:44:16.574000Z"}}"#,
        ] {
            let issued = temporary_keys(body.as_bytes()).unwrap_or_else(|| panic!("{body}"));
            assert!(
                matches!(&issued.proof, Proof::Keys(keys) if keys.access_key == "A" && keys.security_token.is_some())
            );
            assert_eq!(issued.expires_at.unwrap().to_string(), "2020-09-21T07:44:16.574Z");
        }
        for body in ["", "{}", r#"{"credential":null}"#, r#"{"credential":{"access":"A","secret":"S"}}"#] {
            assert!(temporary_keys(body.as_bytes()).is_none(), "{body}");
        }
        let endless = r#"{"credential":{"access":"A","secret":"S","securitytoken":"T","expires_at":null}}"#;
        assert!(temporary_keys(endless.as_bytes()).unwrap().expires_at.is_none());
    }
}
