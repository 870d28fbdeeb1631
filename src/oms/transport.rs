//! One HTTP request: credentials, permit, signature, send, answer. Never redirected, bounded in time and size, and repeated in one
//! case only: when a gateway refused credentials that can be renewed.
//!
//! That case is safe for every call, a create too: 401 is said before anything is carried out. The second request gets its own permit
//! and its own signature, within the time that the first one had for both.

mod request;
mod sent;
mod span;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{HeaderName, Method, header};
use secrecy::SecretString;
use serde::de::DeserializeOwned;
use tracing::Instrument as _;
use url::Url;

use self::request::secrets;
use self::sent::{Heard, Sent};
use self::span::Noted;
use super::answer::{self, Refusal};
use super::budget::{Budget, Permit, Urgency};
use super::codes::{self, Class};
use super::error::{Delivery, Error};
use super::identity::{Credentials, Held};
use super::model::Body;
use super::read;
use super::settings::{
    CallGate, CallObserver, CallRecord, MutationObserver, Settings, Timeouts, WaitObserver,
};

/// Largest answer that is read. A page of 100 tasks with 500 prefixes of 1,024 bytes each is the largest that OMS allows
/// on paper (50 MB); real pages are far smaller, and one beyond this can be listed in smaller pages.
const LARGEST_ANSWER: usize = 16 * 1024 * 1024;

/// How long an unused connection is kept: shorter than gateways do, so that a request rarely meets a closing one.
const IDLE: Duration = Duration::from_secs(30);

/// A request to make.
pub(super) struct Call<'a> {
    pub(super) operation: &'static str,
    pub(super) method: Method,
    /// Encoded, from the root of the endpoint.
    pub(super) path: String,
    pub(super) query: Vec<(&'static str, String)>,
    pub(super) body: Option<Body>,
    pub(super) urgency: Urgency,
    /// Keys in the body, to be kept out of errors.
    pub(super) secrets: Vec<&'a SecretString>,
    pub(super) effect: Effect,
}

/// What a call is meant to do at OMS.
pub(super) enum Effect {
    /// Nothing.
    Look,
    /// To change what has this ID, if anything has one.
    Change(Option<String>),
    /// To make something, whose ID is in this member of the answer.
    Make(&'static str),
}

/// An answer, whatever its status.
struct Answer {
    status: u16,
    content_type: Option<String>,
    request_id: Option<String>,
    retry_after: Option<Duration>,
    body: Vec<u8>,
    /// From the signature to the end of the answer.
    duration: Duration,
}

pub(super) struct Transport {
    http: reqwest::Client,
    base: Url,
    /// As it is signed: with a port that is not the scheme's own.
    host: String,
    project_id: String,
    credentials: Credentials,
    budget: Budget,
    timeouts: Timeouts,
    on_call: Option<CallObserver>,
    on_wait: Option<WaitObserver>,
    on_mutation: Option<MutationObserver>,
    may_send: Option<CallGate>,
}

/// An answer that is still to be judged, with what has to be told of its request.
type Received<'a> = (Answer, Option<Sent<'a>>);

impl Transport {
    pub(super) fn new(settings: Settings, credentials: Credentials, budget: Budget) -> Result<Self, Error> {
        let base = base_url(&settings.endpoint)?;
        let name = base.host_str().unwrap_or_default();
        let host = base.port().map_or_else(|| name.to_owned(), |port| format!("{name}:{port}"));
        // Another provider may be in place already; both work.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .connect_timeout(settings.timeouts.connect)
            .timeout(settings.timeouts.request)
            .pool_idle_timeout(IDLE)
            .referer(false)
            .user_agent(settings.user_agent);
        if is_loopback(&base) {
            // A proxy cannot reach this machine's loopback, and must not see what is sent to it.
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
        Ok(Self {
            http,
            base,
            host,
            project_id: settings.project_id,
            credentials,
            budget,
            timeouts: settings.timeouts,
            on_call: settings.on_call,
            on_wait: settings.on_wait,
            on_mutation: settings.on_mutation,
            may_send: settings.may_send,
        })
    }

    pub(super) fn project_id(&self) -> &str {
        &self.project_id
    }

    /// Without the slash at the end.
    pub(super) fn endpoint(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    /// Makes a call whose answer is JSON and has to make sense; `check` names what does not.
    pub(super) async fn fetch<W: DeserializeOwned, T>(
        &self,
        call: Call<'_>,
        check: impl FnOnce(W) -> Result<T, &'static str>,
    ) -> Result<T, Error> {
        self.run(call, |refusal| read::json(refusal, check)).await
    }

    /// Makes a call whose answer says nothing but yes. Its body is not documented; only a page of HTML or an error in it
    /// counts.
    pub(super) async fn act(&self, call: Call<'_>) -> Result<(), Error> {
        self.run(call, read::nothing).await
    }

    async fn run<T>(
        &self,
        call: Call<'_>,
        read: impl FnOnce(&Refusal<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut noted = Noted::of(&call, &self.host);
        let span = noted.span();
        let result = self.attempt(call, read, &mut noted).instrument(span).await;
        noted.end(result.as_ref().err());
        result
    }

    async fn attempt<T>(
        &self,
        call: Call<'_>,
        read: impl FnOnce(&Refusal<'_>) -> Result<T, Error>,
        noted: &mut Noted,
    ) -> Result<T, Error> {
        // Whatever is waited for, the last signature is made before this.
        let sign_by = Instant::now() + self.timeouts.permit;
        let mut held = self.unless_late(&call, sign_by, self.credentials.current()).await?;
        let mut first = true;
        loop {
            let (permit, sent) = self.exchange(&call, &held, sign_by).await?;
            noted.answered(sent.as_ref().ok().map(|(answer, _)| answer));
            let secrets = secrets(&call, &held);
            if first && sent.as_ref().is_ok_and(|(answer, _)| answer.status == 401) {
                let refused = sent.and_then(|received| {
                    self.judge::<Infallible>(&call, received, &secrets, |refusal| {
                        Err(Error::from_answer(refusal))
                    })
                });
                self.settle(permit, &refused);
                let Err(refused) = refused;
                // A 401 about something else than the caller is final, and so is one of keys that were given.
                if refused.class() != Class::Credential {
                    return Err(refused);
                }
                let instead = self.credentials.instead_of(&held);
                match self.unless_late(&call, sign_by, instead).await? {
                    Some(renewed) => held = renewed,
                    None => return Err(refused),
                }
                first = false;
                continue;
            }
            let result = sent.and_then(|received| {
                if received.0.status != 401 {
                    held.note_worked();
                }
                self.judge(&call, received, &secrets, read)
            });
            self.settle(permit, &result);
            return result;
        }
    }

    /// The outcome of something that has to be there before the signature.
    async fn unless_late<T>(
        &self,
        call: &Call<'_>,
        sign_by: Instant,
        wanted: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let late = || {
            let summary = "The credentials were not renewed in time";
            Error::ours(call.operation, summary, Class::Transient, Delivery::NotSent, None)
                .without_credentials(None)
        };
        let wanted = tokio::time::timeout_at(sign_by.into(), wanted).await;
        wanted.unwrap_or_else(|_| Err(late())).inspect_err(|error| {
            self.observe(call.operation, error.class().as_str(), Duration::ZERO, None);
        })
    }

    /// One request with its permit.
    async fn exchange<'a>(
        &'a self,
        call: &'a Call<'a>,
        held: &Arc<Held>,
        sign_by: Instant,
    ) -> Result<(Permit, Result<Received<'a>, Error>), Error> {
        let operation = call.operation;
        let permit = self.permit(operation, call.urgency, sign_by).await.inspect_err(|error| {
            self.observe(operation, error.class().as_str(), Duration::ZERO, None);
        })?;
        let started = Instant::now();
        let departed = Sent::departing(self, call);
        let sent = match tokio::time::timeout(self.timeouts.request, self.send(call, held)).await {
            Ok(sent) => sent,
            Err(_) => Err(self.no_answer(operation)),
        };
        let duration = started.elapsed();
        let received = match sent {
            Ok(answer) => Ok((Answer { duration, ..answer }, departed)),
            Err(error) => {
                self.report(operation, error.class().as_str(), None, None, None, duration);
                if let Some(departed) = departed {
                    departed.failed(&error);
                }
                Err(error)
            }
        };
        Ok((permit, received))
    }

    /// What an answer comes to.
    fn judge<T>(
        &self,
        call: &Call<'_>,
        (answer, sent): Received<'_>,
        secrets: &[&str],
        read: impl FnOnce(&Refusal<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let refusal = Refusal {
            operation: call.operation,
            host: &self.host,
            status: answer.status,
            content_type: answer.content_type.as_deref(),
            request_id: answer.request_id.as_deref(),
            retry_after: answer.retry_after,
            body: &answer.body,
            secrets,
        };
        let result = match answer.status {
            200..=299 => read(&refusal),
            300..=399 => Err(Error::redirect(&refusal)),
            _ => Err(Error::from_answer(&refusal)),
        };
        let (outcome, code) = match &result {
            Ok(_) => ("ok", None),
            Err(error) => (error.class().as_str(), error.code()),
        };
        let (status, request_id) = (Some(answer.status), answer.request_id.as_deref());
        self.report(call.operation, outcome, status, code, request_id, answer.duration);
        if let Some(sent) = sent {
            let (status, duration) = (answer.status, answer.duration);
            sent.answered(Heard { status, request_id, body: &answer.body, duration }, result.as_ref().err());
        }
        result
    }

    fn report(
        &self,
        operation: &'static str,
        outcome: &'static str,
        status: Option<u16>,
        code: Option<&str>,
        request_id: Option<&str>,
        duration: Duration,
    ) {
        let milliseconds = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        tracing::debug!(operation, outcome, status, code, request_id, milliseconds, "called OMS");
        let unknown = code.filter(|code| codes::lookup(code).is_none());
        self.observe(operation, outcome, duration, unknown);
    }

    /// Waits for the budget, but not for ever.
    async fn permit(
        &self,
        operation: &'static str,
        urgency: Urgency,
        sign_by: Instant,
    ) -> Result<Permit, Error> {
        let too_long = || {
            let summary =
                "The request budget of this project is used up: too many calls wait, or OMS limits the rate";
            Error::ours(operation, summary, Class::Throttled, Delivery::NotSent, None)
                .with_retry_after(self.budget.wait().max(Duration::from_secs(1)))
        };
        if Instant::now() + self.budget.wait() > sign_by {
            return Err(too_long());
        }
        let began = Instant::now();
        let permit = tokio::time::timeout_at(sign_by.into(), self.budget.permit(urgency)).await;
        if let Some(on_wait) = &self.on_wait {
            on_wait(urgency, began.elapsed());
        }
        permit.map_err(|_| too_long())
    }

    /// What the answer means for the calls to come.
    fn settle<T>(&self, permit: Permit, result: &Result<T, Error>) {
        match result {
            Err(error) if error.is_rate_limit() => {
                let told = format!("{} {}", error.message(), error.detail().unwrap_or_default());
                self.budget.refused(permit, &told, error.retry_after());
            }
            Err(error) => {
                if let Some(wait) = error.retry_after() {
                    self.budget.pause(wait);
                }
            }
            Ok(_) => self.budget.succeeded(permit),
        }
    }

    fn observe(
        &self,
        operation: &'static str,
        outcome: &'static str,
        duration: Duration,
        unknown_code: Option<&str>,
    ) {
        if let Some(on_call) = &self.on_call {
            let unknown_code = unknown_code.map(str::to_owned);
            on_call(&CallRecord { operation, outcome, duration, unknown_code });
        }
    }

    /// Signs and sends. Everything in here happens under the call's deadline.
    async fn send(&self, call: &Call<'_>, held: &Held) -> Result<Answer, Error> {
        let request = self.request(call, held)?;
        // Nothing is waited for between this and the first byte.
        if self.may_send.as_ref().is_some_and(|may_send| !may_send()) {
            let summary = "The call was held back: this replica no longer leads";
            return Err(Error::ours(call.operation, summary, Class::Transient, Delivery::NotSent, None));
        }
        let mut response =
            self.http.execute(request).await.map_err(|error| self.failure(call.operation, &error))?;
        let text = |name: HeaderName| {
            response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
        };
        let mut answer = Answer {
            status: response.status().as_u16(),
            content_type: text(header::CONTENT_TYPE),
            request_id: text(HeaderName::from_static("x-request-id")),
            retry_after: text(header::RETRY_AFTER).as_deref().and_then(request::retry_after),
            body: Vec::new(),
            duration: Duration::ZERO,
        };
        while let Some(chunk) =
            response.chunk().await.map_err(|error| self.failure(call.operation, &error))?
        {
            if answer.body.len() + chunk.len() > LARGEST_ANSWER {
                let summary = format!("The answer of `{}` is larger than 16 MiB", self.host);
                return Err(Error::ours(call.operation, summary, Class::Unknown, Delivery::Unknown, None));
            }
            answer.body.extend_from_slice(&chunk);
        }
        Ok(answer)
    }

    fn no_answer(&self, operation: &'static str) -> Error {
        let summary =
            format!("`{}` did not answer within {} s", self.host, self.timeouts.request.as_secs_f64());
        let remedy = "Wait; if it stays, check the endpoint of the connection and the way to it";
        Error::ours(operation, summary, Class::Transient, Delivery::Unknown, Some(remedy))
    }

    /// A request that got no answer.
    fn failure(&self, operation: &'static str, error: &reqwest::Error) -> Error {
        let host = &self.host;
        if error.is_connect() {
            let unsent = |summary: String, remedy| {
                Error::ours(operation, summary, Class::Transient, Delivery::NotSent, Some(remedy))
            };
            if error.is_timeout() {
                let seconds = self.timeouts.connect.as_secs_f64();
                return unsent(format!("No connection to `{host}` within {seconds} s"), REACH);
            }
            let cause = root_cause(error);
            let summary = format!("Could not connect to `{host}`: {cause}");
            if cause.contains("certificate") {
                return unsent(summary, TRUST).of_untrusted_host();
            }
            return unsent(summary, REACH);
        }
        if error.is_timeout() {
            return self.no_answer(operation);
        }
        if error.is_builder() {
            let summary = format!("The request could not be built: {}", root_cause(error));
            return Error::ours(operation, summary, Class::Invalid, Delivery::NotSent, None);
        }
        let summary = format!("The connection to `{host}` broke off: {}", root_cause(error));
        Error::ours(
            operation,
            summary,
            Class::Transient,
            Delivery::Unknown,
            Some("Wait; the call is made again"),
        )
    }
}

const REACH: &str = "Check the endpoint of the connection, and that the cluster may reach it";
const TRUST: &str = "Check the endpoint of the connection, or give its CA certificate in `caBundle`";

pub(super) fn base_url(endpoint: &str) -> Result<Url, Error> {
    let url = Url::parse(endpoint.trim())
        .map_err(|error| Error::settings(format!("The endpoint is not a URL: {error}")))?;
    if !matches!(url.scheme(), "https" | "http") || url.host_str().is_none_or(str::is_empty) {
        return Err(Error::settings(
            "The endpoint must be an address such as `https://oms.cn-north-4.myhuaweicloud.com`",
        ));
    }
    if !url.username().is_empty()
        || url.password().is_some()
        || url.query().is_some()
        || url.fragment().is_some()
    {
        return Err(Error::settings("The endpoint must have no user name, query or fragment"));
    }
    Ok(url)
}

pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// The innermost cause: the outer ones repeat the URL or say little.
pub(super) fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    answer::clean(&cause.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_web_addresses_are_endpoints() {
        for endpoint in
            ["https://oms.cn-north-4.myhuaweicloud.com", "http://127.0.0.1:8080/", "http://[::1]:80/oms/"]
        {
            assert!(base_url(endpoint).is_ok(), "{endpoint}");
        }
        for endpoint in
            ["", "oms", "ftp://x", "https://", "https://user:pw@x", "https://x?y=1", "https://x#y"]
        {
            let error = base_url(endpoint).err().unwrap_or_else(|| panic!("{endpoint}"));
            assert_eq!((error.class(), error.delivery()), (Class::Invalid, Delivery::NotSent));
            assert!(!error.to_string().contains("pw"));
        }
    }

    #[test]
    fn a_bad_ca_bundle_is_told_at_once() {
        let mut settings = Settings::new("https://oms.example.test", "p");
        settings.ca_bundle = Some(b"not a certificate".to_vec());
        let made = Transport::new(settings, Credentials::keys("a", "s".into(), None), Budget::new(1.0));
        assert!(made.err().is_some_and(|error| error.to_string().contains("CA bundle")));
    }
}
