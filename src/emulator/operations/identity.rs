//! What IAM and STS answer: tokens, temporary keys, projects, accounts.

use http::{HeaderName, HeaderValue};
use jiff::SignedDuration;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use super::{Done, Request};
use crate::emulator::{
    config::Project,
    identity::{
        caller::Caller,
        directory::Principal,
        issued::{Change, Scope, TemporaryKey, Token},
        oidc,
    },
    persist::Record,
    service::Service,
    signature::decode_query,
    wire::{
        identity::{
            AssumeWithOidc, Login, SecurityTokens, WantedScope, iam_credential, iam_time, sts_credentials,
        },
        refusal::{PROJECT_REFUSED, Refusal},
    },
};

impl Service {
    /// IAM's KeystoneCreateUserTokenByPassword: a token in `X-Subject-Token`.
    pub(super) async fn create_token(&self, body: &[u8]) -> Result<Done, Refusal> {
        let login = Login::read(body)?;
        let user = self
            .config
            .user(&login.domain, &login.user, login.password.expose_secret())
            .ok_or_else(|| Refusal::keystone(401, "The username or password is wrong."))?;
        let principal = Principal::user(user);
        let project = self.wanted_project(&principal, &login.scope)?;
        let scope = project.map_or(Scope::Domain, |project| Scope::Project(project.id.clone()));
        let lifetime = SignedDuration::from_secs(self.config.identity.token_lifetime_seconds.into());
        let (text, token, saved) = {
            let mut state = self.state();
            let now = self.clock.wall();
            let (text, token) = state.issued.hand_out_token(principal, scope, now, lifetime);
            let record = Record::Identity(Box::new(Change::Token(token.clone())));
            (text, token, self.record(&state, &[record]))
        };
        saved.await?;
        let mut header = HeaderValue::from_str(text.expose_secret()).map_err(|_| PROJECT_REFUSED)?;
        header.set_sensitive(true);
        Ok(Done {
            effect: true,
            status: Some(201),
            headers: vec![(HeaderName::from_static("x-subject-token"), header)],
            ..Done::read(self.shown_token(&token, project))
        })
    }

    fn wanted_project(
        &self,
        principal: &Principal,
        scope: &WantedScope,
    ) -> Result<Option<&Project>, Refusal> {
        let (words, found) = match scope {
            WantedScope::Domain => return Ok(None),
            WantedScope::ProjectId(id) => (id, self.project(id)),
            WantedScope::ProjectName(name) => {
                // Names are unique within an account, so the own projects come first.
                let mut named = self.config.projects.iter().filter(|project| project.name() == name);
                let own = named.clone().find(|project| self.config.roles_of(principal, project).is_some());
                (name, own.or_else(|| named.next()))
            }
        };
        let project =
            found.ok_or_else(|| Refusal::keystone(404, format!("Could not find project: {words}.")))?;
        if self.config.roles_of(principal, project).is_none() {
            return Err(Refusal::keystone(403, "You have no right to do this action."));
        }
        Ok(Some(project))
    }

    fn shown_token(&self, token: &Token, project: Option<&Project>) -> Value {
        let domain = json!({
            "id": self.config.domain_id(&token.principal.domain), "name": token.principal.domain,
        });
        let roles: &[String] =
            project.and_then(|project| self.config.roles_of(&token.principal, project)).unwrap_or_default();
        let mut shown = json!({
            "methods": ["password"],
            "issued_at": iam_time(token.issued_at),
            "expires_at": iam_time(token.expires_at),
            "user": {
                "id": token.principal.id(),
                "name": token.principal.name,
                "domain": domain,
                "password_expires_at": "",
            },
            // As seen: roles have names, and the ID says nothing.
            "roles": roles.iter().map(|role| json!({ "id": "0", "name": role })).collect::<Vec<_>>(),
            "catalog": [],
        });
        match project {
            Some(project) => {
                let owner = json!({ "id": project.domain_id(), "name": project.domain_name() });
                shown["project"] = json!({ "id": project.id, "name": project.name(), "domain": owner });
            }
            None => shown["domain"] = domain,
        }
        json!({ "token": shown })
    }

    /// IAM's CreateTemporaryAccessKeyByToken and CreateTemporaryAccessKeyByAgency.
    pub(super) async fn create_temporary_key(&self, request: Request<'_>) -> Result<Done, Refusal> {
        let wanted = SecurityTokens::read(request.body)?;
        let holder = match &wanted.token {
            Some(token) if !request.headers.contains_key("x-auth-token") => {
                self.holder_of(token.expose_secret())
            }
            _ => self.token_holder(request.headers),
        };
        let Caller::Token(holder, _) = holder
            .map_err(|_| Refusal::keystone(401, "The request you have made requires authentication."))?
        else {
            return Err(PROJECT_REFUSED);
        };
        let principal = match &wanted.agency {
            None => holder,
            Some(assumed) => {
                let fits = |domain: &str| {
                    assumed.domain_name.as_deref().is_none_or(|name| name == domain)
                        && assumed.domain_id.as_ref().is_none_or(|id| *id == self.config.domain_id(domain))
                };
                let agency = self.config.agency(&assumed.name).filter(|agency| fits(&agency.domain));
                Principal::agency(agency.ok_or_else(|| {
                    Refusal::keystone(404, format!("Could not find agency: {}.", assumed.name))
                })?)
            }
        };
        let key = self.hand_out_key(principal, SignedDuration::from_secs(wanted.duration_seconds)).await?;
        Ok(Done { effect: true, status: Some(201), ..Done::read(iam_credential(&key)) })
    }

    /// STS's AssumeAgencyWithOIDC. Nobody signs it: the ID token says who calls.
    pub(super) async fn assume_with_oidc(&self, body: &[u8]) -> Result<Done, Refusal> {
        let wanted = AssumeWithOidc::read(body)?;
        let denied = |why: &str| Refusal::sts_denied(why);
        let known = |provider: &&crate::emulator::config::identity::OidcProvider| {
            provider.provider_urn == wanted.provider_urn && provider.agency_urn == wanted.agency_urn
        };
        let provider =
            self.config.identity.oidc_providers.iter().find(known).ok_or_else(|| {
                denied("the agency does not trust the provider, or one of them does not exist")
            })?;
        let subject = oidc::verify(provider, wanted.id_token.expose_secret(), self.clock.wall())
            .map_err(|error| denied(&error.to_string()))?;
        let agency =
            self.config.agency(provider.agency()).ok_or_else(|| denied("the agency does not exist"))?;
        let principal = Principal::agency(agency);
        let (account, id) = (self.config.domain_id(&agency.domain), principal.id());
        let session = &wanted.session_name;
        let key = self.hand_out_key(principal, SignedDuration::from_secs(wanted.duration_seconds)).await?;
        let body = json!({
            "assumed_agency": {
                "urn": format!("sts::{account}:assumed-agency:{}/{session}", agency.name),
                "id": format!("{id}:{session}"),
            },
            "credentials": sts_credentials(&key),
            "subject_from_id_token": subject.subject,
            "audience": subject.audience,
            "provider": provider.provider_urn,
        });
        Ok(Done { effect: true, ..Done::read(body) })
    }

    /// Temporary keys, written down before anybody has them.
    pub(super) async fn hand_out_key(
        &self,
        principal: Principal,
        lifetime: SignedDuration,
    ) -> Result<TemporaryKey, Refusal> {
        let (key, saved) = {
            let mut state = self.state();
            let key = state.issued.hand_out_key(principal, self.clock.wall(), lifetime);
            let record = Record::Identity(Box::new(Change::Key(key.clone())));
            (key, self.record(&state, &[record]))
        };
        saved.await?;
        Ok(key)
    }

    /// STS's GetCallerIdentity.
    pub(super) fn caller_identity(&self, caller: &Caller) -> Done {
        let account = caller.domains(&self.config).into_iter().next().map(|(id, _)| id).unwrap_or_default();
        let (urn, id) = match caller {
            Caller::Account { access } => (format!("iam::{account}:root"), access.clone()),
            Caller::Keys(principal) | Caller::Token(principal, _) => {
                let kind = format!("{:?}", principal.kind).to_ascii_lowercase();
                (format!("iam::{account}:{kind}:{}", principal.name), principal.id())
            }
        };
        Done::read(json!({ "account_id": account, "principal_urn": urn, "principal_id": id }))
    }

    /// IAM's KeystoneListAuthDomains: the caller's accounts.
    pub(super) fn list_domains(&self, caller: &Caller) -> Done {
        let domains: Vec<Value> = caller
            .domains(&self.config)
            .into_iter()
            .map(|(id, name)| {
                json!({
                    "id": id, "name": name, "enabled": true, "description": "",
                    "links": { "self": format!("/v3/domains/{id}") },
                })
            })
            .collect();
        let links = json!({ "self": "/v3/auth/domains", "previous": null, "next": null });
        Done::read(json!({ "domains": domains, "links": links }))
    }

    /// IAM's KeystoneListProjects: the caller's projects, by name where one is asked for.
    pub(super) fn list_projects(&self, caller: &Caller, query: &str) -> Done {
        let name = decode_query(query).into_iter().find(|(key, _)| key == "name").map(|(_, name)| name);
        let projects: Vec<Value> = caller
            .projects(&self.config)
            .into_iter()
            .filter(|project| name.as_deref().is_none_or(|name| name == project.name()))
            .map(|project| {
                json!({
                    "id": project.id,
                    "name": project.name(),
                    "domain_id": project.domain_id(),
                    "parent_id": project.domain_id(),
                    "is_domain": false,
                    "enabled": true,
                    "description": "",
                    "links": { "self": format!("/v3/projects/{}", project.id) },
                })
            })
            .collect();
        let links = json!({ "self": "/v3/projects", "previous": null, "next": null });
        Done::read(json!({ "projects": projects, "links": links }))
    }
}
