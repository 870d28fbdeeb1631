//! Temporary keys of the pod identity agent of CCE.

use std::time::Duration;

use http::{HeaderMap, Method, header};
use secrecy::ExposeSecret as _;
use zeroize::Zeroizing;

use super::Issued;
use super::exchange::{Asked, Exchange, read_token, secret_header, temporary_keys};
use crate::oms::error::Error;
use crate::oms::settings::Settings;

const OPERATION: &str = "GetPodIdentityCredentials";

/// How long before their end keys are renewed.
pub(super) const MARGIN: Duration = Duration::from_mins(10);

const TIMEOUT: Duration = Duration::from_secs(5);

const REMEDY: &str = "Check that an agency is associated with the operator's service account, and that the pod identity agent runs on the node";

/// The source.
pub(super) struct PodIdentity {
    exchange: Exchange,
    token_file: String,
}

impl PodIdentity {
    /// `settings.endpoint` is the whole address to call.
    pub(super) fn new(settings: &Settings, token_file: String) -> Result<Self, Error> {
        // The agent is on the node.
        Ok(Self { exchange: Exchange::new(settings, TIMEOUT, true)?, token_file })
    }

    pub(super) async fn issue(&self) -> Result<Issued, Error> {
        let token = read_token(OPERATION, &self.token_file, REMEDY).await?;
        let mut headers = HeaderMap::new();
        let value = secret_header(OPERATION, token.expose_secret(), "The token of the pod identity agent")?;
        headers.insert(header::AUTHORIZATION, value);
        let body = Some(Zeroizing::new(b"{}".to_vec()));
        let asked = Asked { operation: OPERATION, method: Method::POST, path: "", headers, body };
        let told = self.exchange.ask(asked).await?;
        if !told.status.is_success() {
            return Err(self.exchange.refusal(OPERATION, &told, &[token.expose_secret()], REMEDY));
        }
        temporary_keys(&told.body).ok_or_else(|| self.exchange.unreadable(OPERATION, "an unexpected body"))
    }
}
