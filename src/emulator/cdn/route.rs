//! Where the domains of CDNs lead.

use std::time::Duration;

use jiff::Timestamp;
use reqwest::{Response, StatusCode, header};

use super::sign::{Moment, Scheme, Secrets, signed};

/// How long a look at a CDN may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// A domain and the server that stands for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Domain, as tasks name it.
    pub domain: String,
    /// Base URL of the server that answers for it, whatever protocol a task names.
    pub endpoint: String,
    /// The emulator runs the server, so that its refusals are known to be about the signature.
    pub embedded: bool,
}

/// All domains.
#[derive(Clone, Debug)]
pub struct Cdns {
    routes: Vec<Route>,
    http: reqwest::Client,
}

/// Why a CDN does not serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    /// Nobody answers for the domain.
    Unreachable,
    /// The signature is not accepted.
    Refused,
}

impl Cdns {
    /// The given domains.
    pub fn new(routes: Vec<Route>) -> Result<Self, reqwest::Error> {
        let http = reqwest::Client::builder()
            .timeout(PATIENCE)
            .redirect(reqwest::redirect::Policy::none())
            .no_gzip()
            .no_proxy()
            .build()?;
        Ok(Self { routes, http })
    }

    /// Whether there are any. Without, nothing is known about CDNs, and sources are read without them.
    pub fn is_empty(&self) -> bool {
        self.routes.is_empty()
    }

    /// The domains.
    pub fn list(&self) -> &[Route] {
        &self.routes
    }

    /// Where a domain leads.
    pub fn find(&self, domain: &str) -> Option<&Route> {
        self.routes.iter().find(|route| route.domain.eq_ignore_ascii_case(domain))
    }

    /// Asks a CDN for a path (percent-encoded, with its leading slash), for the first byte only. `protocol` is what the
    /// task names.
    pub async fn look(
        &self,
        domain: &str,
        protocol: &str,
        (scheme, secrets): (Scheme, Secrets<'_>),
        bucket: &str,
        path: &str,
    ) -> Result<Response, Problem> {
        let route = self.find(domain).ok_or(Problem::Unreachable)?;
        let base = format!("{protocol}://{domain}");
        let moment = Moment { now: Timestamp::now(), nonce: "0" };
        let target = signed(scheme, secrets, &base, bucket, path, moment);
        let answer = self
            .http
            .get(format!("{}{target}", route.endpoint.trim_end_matches('/')))
            .header(header::HOST, domain)
            .header(header::RANGE, "bytes=0-0")
            .send()
            .await
            .map_err(|_| Problem::Unreachable)?;
        match answer.status() {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN if route.embedded || path != "/" => {
                Err(Problem::Refused)
            }
            status if status.is_server_error() => Err(Problem::Unreachable),
            _ => Ok(answer),
        }
    }
}
