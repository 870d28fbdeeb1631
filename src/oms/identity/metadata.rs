//! Temporary keys of the node: the metadata service of an ECS (ECS user guide, "Obtaining metadata").

use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderValue, Method, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use tokio::sync::Mutex;

use super::Issued;
use super::exchange::{Asked, Exchange, none, secret_header, temporary_keys};
use crate::oms::codes::Class;
use crate::oms::error::Error;
use crate::oms::settings::Settings;

const TOKEN: &str = "GetMetadataToken";
const KEYS: &str = "GetSecurityKey";
const SERVER: &str = "GetServerMetadata";

/// How long before their end keys are renewed.
pub(super) const MARGIN: Duration = Duration::from_mins(40);

/// Nothing is nearer than the metadata service: what does not answer in this time is not there.
const TIMEOUT: Duration = Duration::from_secs(3);

/// How long a token of the metadata service lives.
const TOKEN_LIFE: Duration = Duration::from_hours(6);

/// How the metadata service says that the node has no agency.
const NO_AGENCY: &str = "Please configure Cloud Service Agency first";

const REMEDY: &str = "Give the node an agency that trusts ECS, or give the connection a Secret";

/// The source.
pub(super) struct Metadata {
    exchange: Exchange,
    /// The token to show and when it ends; `None` inside: the service wants none (metadata v1).
    token: Mutex<Option<(Option<SecretString>, Instant)>>,
}

#[derive(Deserialize)]
struct Server {
    #[serde(default)]
    project_id: Option<String>,
    #[serde(default)]
    region_id: Option<String>,
}

impl Metadata {
    pub(super) fn new(settings: &Settings) -> Result<Self, Error> {
        Ok(Self { exchange: Exchange::new(settings, TIMEOUT, true)?, token: Mutex::default() })
    }

    pub(super) async fn issue(&self) -> Result<Issued, Error> {
        let path = "/openstack/latest/securitykey";
        let (mut told, token) = self.get(KEYS, path).await?;
        let lacks_agency = |body: &[u8]| String::from_utf8_lossy(body).contains(NO_AGENCY);
        if told.status == StatusCode::UNAUTHORIZED && !lacks_agency(&told.body) {
            // The token ended early, or the service has begun to want one.
            *self.token.lock().await = None;
            (told, _) = self.get(KEYS, path).await?;
        }
        if told.status == StatusCode::NOT_FOUND || lacks_agency(&told.body) {
            let summary = "The metadata service has no keys, as the node has no agency";
            return Err(none(KEYS, summary, Class::Missing, Some(REMEDY)));
        }
        if !told.status.is_success() {
            let secrets: Vec<_> = token.iter().map(secrecy::ExposeSecret::expose_secret).collect();
            return Err(self.exchange.refusal(KEYS, &told, &secrets, REMEDY));
        }
        temporary_keys(&told.body).ok_or_else(|| self.exchange.unreadable(KEYS, "an unexpected body"))
    }

    /// The project of the node, when it is in `region`. What cannot be read here is looked up in IAM.
    pub(super) async fn project_id(&self, region: &str) -> Option<String> {
        let (told, _) = self.get(SERVER, "/openstack/latest/meta_data.json").await.ok()?;
        if !told.status.is_success() {
            return None;
        }
        let server: Server = serde_json::from_slice(&told.body).ok()?;
        let here = server.region_id.as_deref() == Some(region);
        server.project_id.filter(|id| here && !id.is_empty())
    }

    async fn get(
        &self,
        operation: &'static str,
        path: &str,
    ) -> Result<(super::exchange::Told, Option<SecretString>), Error> {
        let token = self.token().await?;
        let mut headers = HeaderMap::new();
        if let Some(token) = &token {
            let value = secret_header(operation, token.expose_secret(), "The token of the metadata service")?;
            headers.insert("x-metadata-token", value);
        }
        let told =
            self.exchange.ask(Asked { operation, method: Method::GET, path, headers, body: None }).await?;
        Ok((told, token))
    }

    /// The token to show; `None` where the service knows none.
    async fn token(&self) -> Result<Option<SecretString>, Error> {
        let mut kept = self.token.lock().await;
        if let Some((token, until)) = kept.as_ref()
            && Instant::now() < *until
        {
            return Ok(token.clone());
        }
        let mut headers = HeaderMap::new();
        headers.insert("x-metadata-token-ttl-seconds", HeaderValue::from(TOKEN_LIFE.as_secs()));
        let asked = Asked {
            operation: TOKEN,
            method: Method::PUT,
            path: "/meta-data/latest/api/token",
            headers,
            body: None,
        };
        let told = self.exchange.ask(asked).await?;
        let token = match told.status.as_u16() {
            404 | 405 | 503 => None,
            200..=299 => {
                let text = std::str::from_utf8(&told.body).unwrap_or_default().trim();
                if text.is_empty() {
                    return Err(self.exchange.unreadable(TOKEN, "no token"));
                }
                Some(SecretString::from(text))
            }
            _ => return Err(self.exchange.refusal(TOKEN, &told, &[], REMEDY)),
        };
        // A quarter is kept in hand; whether there are tokens at all is asked again as often.
        *kept = Some((token.clone(), Instant::now() + TOKEN_LIFE * 3 / 4));
        Ok(token)
    }
}
