//! A token of IAM for user name and password (IAM API reference, "Obtaining a user token through password
//! authentication").

use std::fmt;
use std::time::Duration;

use http::{HeaderMap, Method};
use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::json;
use zeroize::Zeroizing;

use super::exchange::{Asked, Exchange};
use super::{Issued, Proof};
use crate::oms::error::Error;
use crate::oms::settings::Settings;

const OPERATION: &str = "KeystoneCreateUserTokenByPassword";

/// Tokens live for a day; a refresh an hour before the end outlasts most troubles of IAM.
pub(super) const MARGIN: Duration = Duration::from_hours(1);

/// Longest token that is taken; IAM documents 16,384 characters.
const LONGEST_TOKEN: usize = 32 * 1024;

const REMEDY: &str =
    "Correct the user name, password or domain name, and see that the user may use the project";

/// Who logs in, and for what. Prints no password.
#[derive(Clone)]
pub struct Login {
    /// Name of the IAM user.
    pub username: String,
    /// Its password.
    pub password: SecretString,
    /// Name of the account (domain) that the user belongs to.
    pub domain_name: String,
    /// What the token is for.
    pub scope: Scope,
}

/// What a token is good for; OMS needs a project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The project with this ID.
    Project(String),
    /// The project that stands for this region: it has the region's name.
    Region(String),
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("scope", &self.scope).finish_non_exhaustive()
    }
}

/// The source.
pub(super) struct Password {
    exchange: std::sync::Arc<Exchange>,
    login: Login,
}

#[derive(Deserialize)]
struct Answer {
    token: Token,
}

#[derive(Deserialize)]
struct Token {
    expires_at: Timestamp,
    #[serde(default)]
    project: Option<Project>,
}

#[derive(Deserialize)]
struct Project {
    id: String,
}

/// The request's own type, so that the password passes through memory that is wiped only.
#[derive(Serialize)]
struct Request<'a> {
    auth: Auth<'a>,
}

#[derive(Serialize)]
struct Auth<'a> {
    identity: Identity<'a>,
    scope: serde_json::Value,
}

#[derive(Serialize)]
struct Identity<'a> {
    methods: [&'static str; 1],
    password: ByPassword<'a>,
}

#[derive(Serialize)]
struct ByPassword<'a> {
    user: User<'a>,
}

#[derive(Serialize)]
struct User<'a> {
    name: &'a str,
    password: &'a str,
    domain: serde_json::Value,
}

impl Password {
    pub(super) fn new(settings: Settings, login: Login) -> Result<Self, Error> {
        let exchange = Exchange::new(&settings, settings.timeouts.request, false)?;
        Ok(Self { exchange: std::sync::Arc::new(exchange), login })
    }

    pub(super) fn is_scoped_to(&self, project_id: &str) -> bool {
        self.login.scope == Scope::Project(project_id.to_owned())
    }

    pub(super) fn for_project(&self, project_id: &str) -> Self {
        let login = Login { scope: Scope::Project(project_id.to_owned()), ..self.login.clone() };
        Self { exchange: std::sync::Arc::clone(&self.exchange), login }
    }

    pub(super) async fn issue(&self) -> Result<Issued, Error> {
        let asked = Asked {
            operation: OPERATION,
            method: Method::POST,
            path: "/v3/auth/tokens?nocatalog=true",
            headers: HeaderMap::new(),
            body: Some(self.body()),
        };
        let told = self.exchange.ask(asked).await?;
        if !told.status.is_success() {
            let secrets = [self.login.password.expose_secret()];
            return Err(self.exchange.refusal(OPERATION, &told, &secrets, REMEDY));
        }
        let unreadable = |what| self.exchange.unreadable(OPERATION, what);
        let token = told
            .headers
            .get("x-subject-token")
            .and_then(|value| value.to_str().ok())
            .filter(|token| !token.is_empty() && token.len() <= LONGEST_TOKEN)
            .ok_or_else(|| unreadable("no usable token in `X-Subject-Token`"))?;
        let answer: Answer =
            serde_json::from_slice(&told.body).map_err(|_| unreadable("an unexpected body"))?;
        Ok(Issued {
            proof: Proof::Token(token.into()),
            expires_at: Some(answer.token.expires_at),
            project_id: answer.token.project.map(|project| project.id).filter(|id| !id.is_empty()),
        })
    }

    fn body(&self) -> Zeroizing<Vec<u8>> {
        let login = &self.login;
        let project = match &login.scope {
            Scope::Project(id) => json!({ "id": id }),
            Scope::Region(name) => json!({ "name": name }),
        };
        let user = User {
            name: &login.username,
            password: login.password.expose_secret(),
            domain: json!({ "name": login.domain_name }),
        };
        let identity = Identity { methods: ["password"], password: ByPassword { user } };
        let request = Request { auth: Auth { identity, scope: json!({ "project": project }) } };
        let mut bytes = Zeroizing::new(Vec::with_capacity(4 * 1024));
        // Writing plain structs into memory cannot fail.
        let _ = serde_json::to_writer(&mut *bytes, &request);
        bytes
    }
}
