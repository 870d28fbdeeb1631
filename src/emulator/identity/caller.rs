//! The gateway's check of who calls: by signature or by token, and whether the project is the caller's.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use http::HeaderMap;
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret as _, SecretString};

use super::{
    directory::{Principal, Rights},
    issued::{Scope, TokenError},
};
use crate::emulator::{
    config::{Config, Limits, Project},
    route::Operation,
    service::Service,
    signature::{Authorization, SignatureError, Signed, check_head, verify},
    tasks::later,
    wire::refusal::{NO_RIGHTS, PROJECT_REFUSED, READ_ONLY, Refusal, TOKEN_MUST_BE_UPDATED, TOKEN_TOO_LARGE},
};

/// Most characters of `X-Auth-Token` (OMS API reference 3.2).
const LONGEST_TOKEN: usize = 16_384;
/// How long an access key stays locked after too many failures.
const LOCKED: SignedDuration = SignedDuration::from_mins(5);

/// Who calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    /// Somebody with a permanent access key (or one that the configuration makes temporary), who may do everything in
    /// the projects that list it.
    Account {
        /// The access key ID.
        access: String,
    },
    /// A user or an agency with temporary keys, good wherever it belongs.
    Keys(Principal),
    /// A user or an agency with a token, good where the token is.
    Token(Principal, Scope),
}

impl Caller {
    /// The projects that are the caller's, wherever the token is good.
    pub fn projects<'a>(&self, config: &'a Config) -> Vec<&'a Project> {
        let is_own = |project: &&Project| match self {
            Self::Account { access } => project.access_keys.iter().any(|key| key.access == *access),
            Self::Keys(principal) | Self::Token(principal, _) => {
                config.roles_of(principal, project).is_some()
            }
        };
        config.projects.iter().filter(is_own).collect()
    }

    /// What the caller may do in a project; `None` where the project is not the caller's.
    pub fn rights(&self, config: &Config, project: &Project) -> Option<Rights> {
        match self {
            Self::Account { access } => {
                project.access_keys.iter().any(|key| key.access == *access).then_some(Rights::All)
            }
            Self::Keys(principal) => config.roles_of(principal, project).map(Rights::of),
            Self::Token(_, Scope::Domain) => None,
            Self::Token(principal, Scope::Project(id)) => {
                let rights =
                    config.roles_of(principal, project).filter(|_| *id == project.id).map(Rights::of)?;
                // Who calls with a token needs the administrator's role, even to look (OMS API reference 3.2).
                Some(if rights == Rights::All { rights } else { Rights::None })
            }
        }
    }

    /// The accounts that the caller belongs to: ID and name.
    pub fn domains(&self, config: &Config) -> Vec<(String, String)> {
        let mut domains: Vec<(String, String)> = match self {
            Self::Account { .. } => self
                .projects(config)
                .iter()
                .map(|project| (project.domain_id().to_owned(), project.domain_name().to_owned()))
                .collect(),
            Self::Keys(principal) | Self::Token(principal, _) => {
                vec![(config.domain_id(&principal.domain), principal.domain.clone())]
            }
        };
        domains.dedup();
        domains
    }
}

/// What the gateway counts.
#[derive(Debug, Default)]
pub struct Gate {
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    /// Begin of the window and calls in it, by project.
    calls: HashMap<String, (Timestamp, u32)>,
    /// Failed signatures in a row, and the time of the last one, by access key.
    failures: HashMap<String, (u32, Timestamp)>,
}

impl Gate {
    /// Forgets everything.
    pub fn clear(&self) {
        *self.counts() = Counts::default();
    }

    fn check_lock(&self, access: &str, limits: &Limits, now: Timestamp) -> Result<(), Refusal> {
        let Some(most) = limits.failed_signatures else { return Ok(()) };
        let mut counts = self.counts();
        match counts.failures.get(access) {
            Some((_, last)) if now.duration_since(*last) >= LOCKED => {
                counts.failures.remove(access);
                Ok(())
            }
            Some((count, _)) if *count > most => {
                Err(Refusal::authentication("AK access failed to reach the limit, forbidden"))
            }
            _ => Ok(()),
        }
    }

    fn count_failure(&self, access: &str, failed: bool, now: Timestamp) {
        let mut counts = self.counts();
        if failed {
            let entry = counts.failures.entry(access.to_owned()).or_insert((0, now));
            *entry = (entry.0.saturating_add(1), now);
        } else {
            counts.failures.remove(access);
        }
    }

    fn throttle(&self, project: &str, limits: &Limits, now: Timestamp) -> Result<(), Refusal> {
        let Some(limit) = limits.gateway else { return Ok(()) };
        let mut counts = self.counts();
        let (since, calls) = counts.calls.entry(project.to_owned()).or_insert((now, 0));
        if later(*since, SignedDuration::from_mins(i64::from(limit.minutes))) <= now {
            (*since, *calls) = (now, 0);
        }
        if *calls >= limit.requests {
            return Err(Refusal::throttled(limit.requests, limit.minutes));
        }
        *calls += 1;
        Ok(())
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The keys behind an access key ID.
struct KeyPair {
    secret: SecretString,
    caller: Caller,
    /// What `X-Security-Token` must be, and when it ends.
    token: Option<(SecretString, Option<Timestamp>)>,
}

impl Service {
    /// Checks who calls an operation, and whether the project is the caller's.
    pub fn authenticate(
        &self,
        operation: Operation,
        request: Signed<'_>,
        project: Option<&str>,
    ) -> Result<Caller, Refusal> {
        let caller = if is_by_token(request.headers) {
            self.token_holder(request.headers)?
        } else {
            self.signer(request)?
        };
        let Some(id) = project else { return Ok(caller) };
        let claimed = request.headers.get("x-project-id");
        if claimed.is_some_and(|claimed| claimed.as_bytes() != id.as_bytes()) {
            return Err(PROJECT_REFUSED);
        }
        let rights = self.project(id).and_then(|project| caller.rights(&self.config, project));
        match rights.ok_or(PROJECT_REFUSED)? {
            Rights::All => {}
            Rights::Read if operation.only_reads() => {}
            Rights::Read => return Err(READ_ONLY),
            Rights::None => return Err(NO_RIGHTS),
        }
        self.gate.throttle(id, &self.config.limits, self.clock.now())?;
        Ok(caller)
    }

    /// Whoever holds the token in `X-Auth-Token`.
    pub fn token_holder(&self, headers: &HeaderMap) -> Result<Caller, Refusal> {
        let token = headers.get("x-auth-token").ok_or_else(|| refuse(&SignatureError::Missing))?;
        if token.len() > LONGEST_TOKEN {
            return Err(TOKEN_TOO_LARGE);
        }
        self.holder_of(token.to_str().unwrap_or_default())
    }

    /// Whoever holds this token.
    pub fn holder_of(&self, token: &str) -> Result<Caller, Refusal> {
        let state = self.state();
        match state.issued.token(token, self.clock.wall()) {
            Ok(token) => Ok(Caller::Token(token.principal.clone(), token.scope.clone())),
            Err(TokenError::Revoked) => Err(TOKEN_MUST_BE_UPDATED),
            Err(error) => Err(Refusal::authentication(&error.to_string())),
        }
    }

    /// Checks what can be checked before the body is there, so that nobody's body is read whose key nobody knows.
    pub fn check_head(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        if is_by_token(headers) {
            return self.token_holder(headers).map(|_| ());
        }
        let (authorization, pair) = self.named_key(headers)?;
        let result = self.check_key(&authorization, &pair, headers).and_then(|()| {
            check_head(&authorization, headers, self.clock.wall()).map_err(|error| refuse(&error))
        });
        if result.is_err() {
            self.gate.count_failure(&authorization.access_key, true, self.clock.now());
        }
        result
    }

    /// Whoever signed.
    fn signer(&self, request: Signed<'_>) -> Result<Caller, Refusal> {
        let (authorization, pair) = self.named_key(request.headers)?;
        let result = self.check_key(&authorization, &pair, request.headers).and_then(|()| {
            verify(&authorization, &pair.secret, request, self.clock.wall()).map_err(|error| refuse(&error))
        });
        self.gate.count_failure(&authorization.access_key, result.is_err(), self.clock.now());
        result.map(|()| pair.caller)
    }

    /// The key that a request names, unless it is locked.
    fn named_key(&self, headers: &HeaderMap) -> Result<(Authorization, KeyPair), Refusal> {
        let authorization = Authorization::read(headers).map_err(|error| refuse(&error))?;
        let pair =
            self.key_pair(&authorization.access_key).ok_or_else(|| key_unknown(&authorization.access_key))?;
        self.gate.check_lock(&authorization.access_key, &self.config.limits, self.clock.now())?;
        Ok((authorization, pair))
    }

    /// Whether a temporary key comes with its token, and in time.
    fn check_key(
        &self,
        authorization: &Authorization,
        pair: &KeyPair,
        headers: &HeaderMap,
    ) -> Result<(), Refusal> {
        let Some((wanted, end)) = &pair.token else { return Ok(()) };
        match headers.get("x-security-token") {
            // Temporary keys are looked up by their token; without it nobody knows them.
            None => Err(key_unknown(&authorization.access_key)),
            Some(token) if token.as_bytes() != wanted.expose_secret().as_bytes() => {
                Err(Refusal::authentication(&TokenError::Unknown.to_string()))
            }
            Some(_) if end.is_some_and(|end| end <= self.clock.wall()) => {
                Err(Refusal::authentication(&TokenError::Expired.to_string()))
            }
            Some(_) => Ok(()),
        }
    }

    fn key_pair(&self, access: &str) -> Option<KeyPair> {
        let keys = self.config.projects.iter().flat_map(|project| &project.access_keys);
        if let Some(key) = keys.into_iter().find(|key| key.access == access) {
            return Some(KeyPair {
                secret: key.secret.clone(),
                caller: Caller::Account { access: key.access.clone() },
                token: key.security_token.clone().map(|token| (token, None)),
            });
        }
        let state = self.state();
        let key = state.issued.key(access)?;
        Some(KeyPair {
            secret: key.secret.clone(),
            caller: Caller::Keys(key.principal.clone()),
            token: Some((key.security_token.clone(), Some(key.expires_at))),
        })
    }
}

/// A signature comes before a token.
fn is_by_token(headers: &HeaderMap) -> bool {
    headers.contains_key("x-auth-token") && !headers.contains_key(http::header::AUTHORIZATION)
}

fn key_unknown(access: &str) -> Refusal {
    Refusal::authentication(&format!("Get secretKey failed,ak:{access},err:ak not exist"))
}

fn refuse(error: &SignatureError) -> Refusal {
    Refusal::authentication(&error.to_string())
}
