//! Temporary keys that STS gives for an identity token (STS API reference, AssumeAgencyWithOIDC). The request is not signed: the token
//! is the proof.

use std::time::Duration;

use http::{HeaderMap, Method};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use zeroize::Zeroizing;

use super::Issued;
use super::exchange::{Asked, Exchange, read_token, temporary_keys};
use crate::oms::error::Error;
use crate::oms::settings::Settings;

const OPERATION: &str = "AssumeAgencyWithOIDC";

/// How long before their end keys are renewed.
pub(super) const MARGIN: Duration = Duration::from_mins(10);

const TIMEOUT: Duration = Duration::from_secs(10);

const REMEDY: &str = "Check the identity provider and the agency's trust policy in IAM, and the operator's `HUAWEICLOUD_OIDC_*` settings";

/// Where the identity token is.
#[derive(Clone)]
pub(super) enum IdToken {
    /// The token itself.
    Given(SecretString),
    /// A file that somebody renews, such as a projected service account token; read at each renewal.
    File(String),
}

/// What STS is asked for.
#[derive(Clone)]
pub(super) struct Assumption {
    pub(super) provider_urn: String,
    pub(super) agency_urn: String,
    pub(super) session_name: String,
    pub(super) id_token: IdToken,
    /// How long the keys live; STS takes 900 to 43,200 s.
    pub(super) duration_seconds: u32,
    pub(super) policy: Option<String>,
    pub(super) policy_ids: Vec<String>,
}

/// The source.
pub(super) struct Oidc {
    exchange: Exchange,
    assumption: Assumption,
}

#[derive(Serialize)]
struct Request<'a> {
    provider_urn: &'a str,
    agency_urn: &'a str,
    agency_session_name: &'a str,
    id_token: &'a str,
    duration_seconds: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    policy: Option<&'a str>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    policy_ids: &'a [String],
}

impl Oidc {
    pub(super) fn new(settings: &Settings, assumption: Assumption) -> Result<Self, Error> {
        Ok(Self { exchange: Exchange::new(settings, TIMEOUT, false)?, assumption })
    }

    pub(super) async fn issue(&self) -> Result<Issued, Error> {
        let assumption = &self.assumption;
        let id_token = match &assumption.id_token {
            IdToken::Given(token) => token.clone(),
            IdToken::File(file) => {
                let remedy = "Mount a service account token there, and name its file in the operator's `HUAWEICLOUD_OIDC_TOKEN_FILE`";
                read_token(OPERATION, file, remedy).await?
            }
        };
        let request = Request {
            provider_urn: &assumption.provider_urn,
            agency_urn: &assumption.agency_urn,
            agency_session_name: &assumption.session_name,
            id_token: id_token.expose_secret(),
            duration_seconds: assumption.duration_seconds,
            policy: assumption.policy.as_deref(),
            policy_ids: &assumption.policy_ids,
        };
        let mut body = Zeroizing::new(Vec::with_capacity(8 * 1024));
        // Writing plain structs into memory cannot fail.
        let _ = serde_json::to_writer(&mut *body, &request);
        let asked = Asked {
            operation: OPERATION,
            method: Method::POST,
            path: "/v5/agencies/assume-with-oidc",
            headers: HeaderMap::new(),
            body: Some(body),
        };
        let told = self.exchange.ask(asked).await?;
        if !told.status.is_success() {
            return Err(self.exchange.refusal(OPERATION, &told, &[id_token.expose_secret()], REMEDY));
        }
        temporary_keys(&told.body).ok_or_else(|| self.exchange.unreadable(OPERATION, "an unexpected body"))
    }
}
