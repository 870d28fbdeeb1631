//! `identity` and `metadata` of the configuration file: who may log in, and what is handed out.

use std::net::SocketAddr;

use secrecy::SecretString;
use serde::Deserialize;

use super::{
    ConfigError, Project,
    check::wrong,
    project::{optional_secret, secret},
};

/// The role that a caller with a token must hold (OMS API reference 3.2).
pub const ADMINISTRATOR: &str = "OMS Administrator";
/// The role of callers that may look and not touch.
pub const GUEST: &str = "Tenant Guest";
/// Name of the account where none is given.
pub const DEFAULT_DOMAIN: &str = "emulated-account";
/// ID of the account where none is given.
pub const DEFAULT_DOMAIN_ID: &str = "d78cbac186b744899480f25bd022f468";

/// An IAM user who may log in for a project.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct User {
    /// User name.
    pub name: String,
    /// Password.
    #[serde(deserialize_with = "secret")]
    pub password: SecretString,
    /// Name of the account. Default: `emulated-account`.
    #[serde(default = "default_domain")]
    pub domain: String,
    /// Roles in this project. Default: `OMS Administrator`. Without it a token is refused (OMS.0206); keys of a user
    /// who is `Tenant Guest` may read (OMS.0205 else).
    #[serde(default = "administrator")]
    pub roles: Vec<String>,
}

impl User {
    /// The user of the emulator that runs without a configuration file.
    pub(super) fn example() -> Self {
        Self {
            name: "example-user".to_owned(),
            password: "example-password".to_owned().into(),
            domain: default_domain(),
            roles: administrator(),
        }
    }
}

fn default_domain() -> String {
    DEFAULT_DOMAIN.to_owned()
}

fn administrator() -> Vec<String> {
    vec![ADMINISTRATOR.to_owned()]
}

/// What IAM and STS hand out, and to whom.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Identity {
    /// Seconds that a token holds. Default 86400, as in the service.
    pub token_lifetime_seconds: u32,
    /// Seconds that the keys of the metadata service and the pod identity agent hold. Default 86400.
    pub temporary_key_lifetime_seconds: u32,
    /// Who can be assumed. Default: one agency `oms` over all projects. Nodes and pods get the keys of the first one.
    pub agencies: Vec<Agency>,
    /// Whose ID tokens are accepted by `assume-with-oidc`.
    pub oidc_providers: Vec<OidcProvider>,
}

impl Default for Identity {
    fn default() -> Self {
        Self {
            token_lifetime_seconds: 86_400,
            temporary_key_lifetime_seconds: 86_400,
            agencies: vec![Agency {
                name: "oms".to_owned(),
                domain: default_domain(),
                projects: None,
                roles: administrator(),
            }],
            oidc_providers: Vec::new(),
        }
    }
}

impl Identity {
    /// With a provider that the emulator without a configuration file trusts.
    pub(super) fn example() -> Self {
        Self {
            oidc_providers: vec![OidcProvider {
                provider_urn: format!("iam::{DEFAULT_DOMAIN_ID}:oidcProvider:example"),
                agency_urn: format!("iam::{DEFAULT_DOMAIN_ID}:agency:oms"),
                signing_key: Some("oidc-example-key".to_owned().into()),
                id_tokens: vec!["oidc-example-token".to_owned().into()],
                issuer: None,
                audience: None,
            }],
            ..Self::default()
        }
    }
}

/// An agency: rights that others can be given.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Agency {
    /// Name. Its URN is `iam::{domain ID}:agency:{name}`.
    pub name: String,
    /// Name of the account that it belongs to. Default: `emulated-account`.
    #[serde(default = "default_domain")]
    pub domain: String,
    /// IDs of the projects where it may act. Default: every project.
    #[serde(default)]
    pub projects: Option<Vec<String>>,
    /// Roles there. Default: `OMS Administrator`.
    #[serde(default = "administrator")]
    pub roles: Vec<String>,
}

/// An OIDC identity provider, and the agency that those may assume for whom it vouches.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OidcProvider {
    /// `provider_urn` of the request.
    pub provider_urn: String,
    /// `agency_urn` of the request. Its last part is the name of an agency.
    pub agency_urn: String,
    /// Key of ID tokens that are signed with HS256.
    #[serde(default, deserialize_with = "optional_secret")]
    pub signing_key: Option<SecretString>,
    /// ID tokens that are accepted as they stand, whatever they are.
    #[serde(default, deserialize_with = "secrets")]
    pub id_tokens: Vec<SecretString>,
    /// Claim `iss` that signed ID tokens must have. Default: any.
    #[serde(default)]
    pub issuer: Option<String>,
    /// Claim `aud` that signed ID tokens must have. Default: any.
    #[serde(default)]
    pub audience: Option<String>,
}

impl OidcProvider {
    /// Name of the agency.
    pub fn agency(&self) -> &str {
        self.agency_urn.rsplit(':').next().unwrap_or_default()
    }
}

fn secrets<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<SecretString>, D::Error> {
    Ok(Vec::<String>::deserialize(deserializer)?.into_iter().map(SecretString::from).collect())
}

/// What a node and a pod find: metadata service and pod identity agent, on a port of their own.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Metadata {
    /// Where it listens. Default: a free port of 127.0.0.1.
    pub listen: Option<SocketAddr>,
    /// Whether the node has an agency, and so keys to give. Default true.
    pub agency: bool,
    /// HTTP status of `Please configure Cloud Service Agency first`: 401, as seen live, or 404. Default 401.
    pub no_agency_status: u16,
    /// Whether calls must carry a metadata token. Default `required`.
    pub tokens: MetadataTokens,
    /// Contents of token files that the pod identity agent accepts. Default: none.
    #[serde(deserialize_with = "secrets")]
    pub pod_identity_tokens: Vec<SecretString>,
}

impl Default for Metadata {
    fn default() -> Self {
        Self {
            listen: None,
            agency: true,
            no_agency_status: 401,
            tokens: MetadataTokens::Required,
            pod_identity_tokens: Vec::new(),
        }
    }
}

impl Metadata {
    /// With a pod that the emulator without a configuration file knows.
    pub(super) fn example() -> Self {
        Self { pod_identity_tokens: vec!["pod-identity-example-token".to_owned().into()], ..Self::default() }
    }
}

/// What a metadata service does about tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum MetadataTokens {
    /// Calls without one are refused with 401.
    Required,
    /// They are handed out, and nobody has to have one.
    Optional,
    /// The older service, which knows none: their path is 404.
    Unsupported,
}

/// Checks what the types cannot say.
pub(super) fn check(
    projects: &[Project],
    identity: &Identity,
    metadata: &Metadata,
) -> Result<(), ConfigError> {
    for (index, project) in projects.iter().enumerate() {
        for (number, user) in project.users.iter().enumerate() {
            check_user(projects, project, user, &format!("projects[{index}].users[{number}]"))?;
        }
    }
    for (field, seconds) in [
        ("identity.tokenLifetimeSeconds", identity.token_lifetime_seconds),
        ("identity.temporaryKeyLifetimeSeconds", identity.temporary_key_lifetime_seconds),
    ] {
        if seconds == 0 {
            return Err(wrong(field, "must be at least 1"));
        }
    }
    for (index, agency) in identity.agencies.iter().enumerate() {
        let at = |field: &str| format!("identity.agencies[{index}].{field}");
        if agency.name.is_empty() || agency.name.contains(':') {
            return Err(wrong(at("name"), "must be a name without colons"));
        }
        if identity.agencies[..index].iter().any(|other| other.name == agency.name) {
            return Err(wrong(at("name"), "is used by an earlier agency"));
        }
        let known = |id: &&String| !projects.iter().any(|project| project.id == **id);
        if let Some(id) = agency.projects.iter().flatten().find(known) {
            return Err(wrong(at("projects"), format!("`{id}` is no project of `projects`")));
        }
    }
    for (index, provider) in identity.oidc_providers.iter().enumerate() {
        let at = |field: &str| format!("identity.oidcProviders[{index}].{field}");
        if provider.provider_urn.is_empty() {
            return Err(wrong(at("providerUrn"), "is empty; write iam::{domain ID}:oidcProvider:{name}"));
        }
        if !identity.agencies.iter().any(|agency| agency.name == provider.agency()) {
            return Err(wrong(at("agencyUrn"), "must end in the name of an agency of `identity.agencies`"));
        }
        if provider.signing_key.is_none() && provider.id_tokens.is_empty() {
            return Err(wrong(at("signingKey"), "or `idTokens` is needed, else no ID token is accepted"));
        }
    }
    if ![401, 404].contains(&metadata.no_agency_status) {
        return Err(wrong("metadata.noAgencyStatus", "must be 401 or 404"));
    }
    if metadata.agency && identity.agencies.is_empty() {
        return Err(wrong("metadata.agency", "needs an agency in `identity.agencies`, or `false`"));
    }
    Ok(())
}

fn check_user(projects: &[Project], project: &Project, user: &User, at: &str) -> Result<(), ConfigError> {
    use secrecy::ExposeSecret as _;

    if user.name.is_empty() || user.password.expose_secret().is_empty() || user.domain.is_empty() {
        return Err(wrong(at, "needs a name, a password and a domain that are not empty"));
    }
    let same_user = |other: &&User| other.name == user.name && other.domain == user.domain;
    if project.users.iter().filter(same_user).count() > 1 {
        return Err(wrong(at, "is listed twice"));
    }
    let mut elsewhere = projects.iter().flat_map(|project| &project.users).filter(same_user);
    if elsewhere.any(|other| other.password.expose_secret() != user.password.expose_secret()) {
        return Err(wrong(at, "has another password in another project"));
    }
    Ok(())
}
