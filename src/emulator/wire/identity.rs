//! Requests and answers of IAM and STS. Their refusals have shapes of their own.

use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use super::refusal::{Refusal, STS_BODY};
use crate::emulator::identity::issued::TemporaryKey;

/// Where a token shall be good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WantedScope {
    /// In the project with this ID.
    ProjectId(String),
    /// In the project with this name.
    ProjectName(String),
    /// In global services.
    Domain,
}

/// Body of `POST /v3/auth/tokens`, method `password`.
#[derive(Debug)]
pub struct Login {
    /// Account.
    pub domain: String,
    /// User.
    pub user: String,
    /// Password.
    pub password: SecretString,
    /// Where the token shall be good. Absent: in global services.
    pub scope: WantedScope,
}

impl Login {
    /// Reads a request.
    pub fn read(body: &[u8]) -> Result<Self, Refusal> {
        let auth = auth_of(body)?;
        let identity = object(&auth, "auth", "identity")?;
        if methods(identity)? != ["password"] {
            return Err(Refusal::keystone(400, "Only the method `password` is supported."));
        }
        let user = object(object(identity, "identity", "password")?, "password", "user")?;
        let login = Self {
            domain: text(object(user, "user", "domain")?, "domain", "name")?.to_owned(),
            user: text(user, "user", "name")?.to_owned(),
            password: text(user, "user", "password")?.to_owned().into(),
            scope: read_scope(&auth)?,
        };
        Ok(login)
    }
}

fn read_scope(auth: &Value) -> Result<WantedScope, Refusal> {
    let scope = &auth["scope"];
    if scope.is_null() {
        return Ok(WantedScope::Domain);
    }
    if !scope["project"].is_null() {
        let project = object(scope, "scope", "project")?;
        return match text(project, "project", "id") {
            Ok(id) => Ok(WantedScope::ProjectId(id.to_owned())),
            Err(_) => Ok(WantedScope::ProjectName(text(project, "project", "name")?.to_owned())),
        };
    }
    object(scope, "scope", "domain").map(|_| WantedScope::Domain)
}

/// Body of `POST /v3.0/OS-CREDENTIAL/securitytokens`.
#[derive(Debug)]
pub struct SecurityTokens {
    /// An agency to assume; absent: keys for whoever holds the token.
    pub agency: Option<AssumedAgency>,
    /// A token, where it does not come in `X-Auth-Token`.
    pub token: Option<SecretString>,
    /// Seconds that the keys hold.
    pub duration_seconds: i64,
}

/// An agency, as it is named when it is assumed.
#[derive(Debug)]
pub struct AssumedAgency {
    /// Its name.
    pub name: String,
    /// Name of its account, if told.
    pub domain_name: Option<String>,
    /// ID of its account, if told.
    pub domain_id: Option<String>,
}

/// Seconds that temporary keys may hold, and do where nothing is said.
const SHORTEST: i64 = 900;
const LONGEST: i64 = 86_400;

impl SecurityTokens {
    /// Reads a request.
    pub fn read(body: &[u8]) -> Result<Self, Refusal> {
        let auth = auth_of(body)?;
        let identity = object(&auth, "auth", "identity")?;
        let methods = methods(identity)?;
        let (agency, options) = match methods.as_slice() {
            ["token"] => (None, &identity["token"]),
            ["assume_role"] => {
                let role = object(identity, "identity", "assume_role")?;
                let optional = |name: &str| role[name].as_str().map(str::to_owned);
                let agency = AssumedAgency {
                    name: text(role, "assume_role", "agency_name")?.to_owned(),
                    domain_name: optional("domain_name"),
                    domain_id: optional("domain_id"),
                };
                if agency.domain_name.is_none() && agency.domain_id.is_none() {
                    return Err(expecting("domain_name", "assume_role"));
                }
                (Some(agency), role)
            }
            _ => return Err(Refusal::keystone(400, "The method must be `token` or `assume_role`.")),
        };
        // Seen as a number and as a text.
        let duration = &options["duration_seconds"];
        let duration_seconds = match duration {
            Value::Null => SHORTEST,
            Value::String(text) => text.parse().unwrap_or(0),
            number => number.as_i64().unwrap_or(0),
        };
        if !(SHORTEST..=LONGEST).contains(&duration_seconds) {
            return Err(Refusal::keystone(400, "The `duration_seconds` must be between 900 and 86400."));
        }
        let token = identity["token"]["id"].as_str().map(|token| SecretString::from(token.to_owned()));
        Ok(Self { agency, token, duration_seconds })
    }
}

/// Body of `POST /v5/agencies/assume-with-oidc`.
#[derive(Debug)]
pub struct AssumeWithOidc {
    /// Who vouches.
    pub provider_urn: String,
    /// What is to be assumed.
    pub agency_urn: String,
    /// What the session is called.
    pub session_name: String,
    /// The ID token.
    pub id_token: SecretString,
    /// Seconds that the keys hold.
    pub duration_seconds: i64,
}

impl AssumeWithOidc {
    /// Reads a request.
    pub fn read(body: &[u8]) -> Result<Self, Refusal> {
        let body: Value = serde_json::from_slice(body).map_err(|_| STS_BODY)?;
        let member = |name: &str, longest: usize| {
            body[name]
                .as_str()
                .filter(|text| !text.is_empty() && text.len() <= longest)
                .map(str::to_owned)
                .ok_or_else(|| Refusal::sts_member(name))
        };
        let duration_seconds = match &body["duration_seconds"] {
            Value::Null => 3600,
            number => number
                .as_i64()
                .filter(|seconds| (SHORTEST..=43_200).contains(seconds))
                .ok_or_else(|| Refusal::sts_member("duration_seconds"))?,
        };
        Ok(Self {
            provider_urn: member("provider_urn", 1500)?,
            agency_urn: member("agency_urn", 1500)?,
            session_name: member("agency_session_name", 64)?,
            id_token: member("id_token", 20_000)?.into(),
            duration_seconds,
        })
    }
}

fn auth_of(body: &[u8]) -> Result<Value, Refusal> {
    let mut body: Value = serde_json::from_slice(body)
        .map_err(|_| Refusal::keystone(400, "The request body is not in JSON format."))?;
    match body.get_mut("auth").map(Value::take) {
        Some(auth @ Value::Object(_)) => Ok(auth),
        _ => Err(expecting("auth", "request body")),
    }
}

fn methods(identity: &Value) -> Result<Vec<&str>, Refusal> {
    identity["methods"]
        .as_array()
        .and_then(|methods| methods.iter().map(Value::as_str).collect::<Option<Vec<_>>>())
        .ok_or_else(|| expecting("methods", "identity"))
}

fn object<'a>(parent: &'a Value, parent_name: &str, name: &str) -> Result<&'a Value, Refusal> {
    parent.get(name).filter(|value| value.is_object()).ok_or_else(|| expecting(name, parent_name))
}

fn text<'a>(parent: &'a Value, parent_name: &str, name: &str) -> Result<&'a str, Refusal> {
    let text = parent.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    text.ok_or_else(|| expecting(name, parent_name))
}

/// The words of Keystone.
fn expecting(name: &str, parent: &str) -> Refusal {
    Refusal::keystone(
        400,
        format!(
            "Expecting to find {name} in {parent}. The server could not comply with the request since it is either malformed or otherwise incorrect. The client is assumed to be in error."
        ),
    )
}

/// A time as IAM writes it: `2020-01-04T09:05:22.701000Z`.
pub fn iam_time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}

/// A time as STS writes it: `2026-08-10T07:15:09.084Z`.
pub fn sts_time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

/// `credential`, as IAM and the metadata service write it. **Holds secrets.**
pub fn iam_credential(key: &TemporaryKey) -> Value {
    json!({ "credential": {
        "access": key.access,
        "secret": key.secret.expose_secret(),
        "securitytoken": key.security_token.expose_secret(),
        "expires_at": iam_time(key.expires_at),
    }})
}

/// `credentials`, as STS writes them. **Holds secrets.**
pub fn sts_credentials(key: &TemporaryKey) -> Value {
    json!({
        "access_key_id": key.access,
        "secret_access_key": key.secret.expose_secret(),
        "security_token": key.security_token.expose_secret(),
        "expiration": sts_time(key.expires_at),
    })
}

/// The same, as the pod identity agent writes them. **Holds secrets.**
pub fn pod_credentials(key: &TemporaryKey) -> Value {
    json!({
        "accessKeyId": key.access,
        "secretAccessKey": key.secret.expose_secret(),
        "securityToken": key.security_token.expose_secret(),
        "expiration": iam_time(key.expires_at),
    })
}
