//! Users, agencies and accounts, as the configuration has them.

use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::emulator::config::{
    Config, Project,
    identity::{ADMINISTRATOR, Agency, DEFAULT_DOMAIN, DEFAULT_DOMAIN_ID, GUEST, User},
};

/// A user or an agency, by name: what it may do is looked up at every call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Principal {
    /// Which of the two.
    pub kind: PrincipalKind,
    /// Its name.
    pub name: String,
    /// Name of its account.
    pub domain: String,
}

/// What a principal is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PrincipalKind {
    /// An IAM user.
    User,
    /// An agency that somebody has assumed.
    Agency,
}

impl Principal {
    /// A user.
    pub fn user(user: &User) -> Self {
        Self { kind: PrincipalKind::User, name: user.name.clone(), domain: user.domain.clone() }
    }

    /// An agency.
    pub fn agency(agency: &Agency) -> Self {
        Self { kind: PrincipalKind::Agency, name: agency.name.clone(), domain: agency.domain.clone() }
    }

    /// An ID, the same ones every time.
    pub fn id(&self) -> String {
        made_up_id(&format!("{:?} {} {}", self.kind, self.domain, self.name))
    }
}

/// What a caller may do in a project.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rights {
    /// Nothing.
    None,
    /// Look.
    Read,
    /// Everything.
    All,
}

impl Rights {
    /// What roles amount to.
    pub fn of(roles: &[String]) -> Self {
        if roles.iter().any(|role| role == ADMINISTRATOR) {
            Self::All
        } else if roles.iter().any(|role| role == GUEST) {
            Self::Read
        } else {
            Self::None
        }
    }
}

impl Config {
    /// The user with this name and password, as listed in some project.
    pub fn user(&self, domain: &str, name: &str, password: &str) -> Option<&User> {
        self.projects.iter().flat_map(|project| &project.users).find(|user| {
            user.domain == domain && user.name == name && user.password.expose_secret() == password
        })
    }

    /// The agency with this name.
    pub fn agency(&self, name: &str) -> Option<&Agency> {
        self.identity.agencies.iter().find(|agency| agency.name == name)
    }

    /// The roles of a principal in a project; `None` where it does not belong.
    pub fn roles_of<'a>(&'a self, principal: &Principal, project: &'a Project) -> Option<&'a [String]> {
        match principal.kind {
            PrincipalKind::User => project
                .users
                .iter()
                .find(|user| user.name == principal.name && user.domain == principal.domain)
                .map(|user| user.roles.as_slice()),
            PrincipalKind::Agency => self
                .agency(&principal.name)
                .filter(|agency| agency.projects.as_ref().is_none_or(|ids| ids.contains(&project.id)))
                .map(|agency| agency.roles.as_slice()),
        }
    }

    /// The ID of an account: that of the first project where one of its users is listed.
    pub fn domain_id(&self, domain: &str) -> String {
        let listed = |project: &&Project| project.users.iter().any(|user| user.domain == domain);
        match self.projects.iter().find(listed) {
            Some(project) => project.domain_id().to_owned(),
            None if domain == DEFAULT_DOMAIN => {
                self.projects.first().map_or(DEFAULT_DOMAIN_ID, |project| project.domain_id()).to_owned()
            }
            None => made_up_id(domain),
        }
    }
}

impl Project {
    /// The ID of the account that owns it.
    pub fn domain_id(&self) -> &str {
        self.domain_id.as_deref().unwrap_or(DEFAULT_DOMAIN_ID)
    }

    /// The name of the account that owns it.
    pub fn domain_name(&self) -> &str {
        self.users.first().map_or(DEFAULT_DOMAIN, |user| &user.domain)
    }
}

/// 32 hexadecimal digits, as IDs of the service are.
fn made_up_id(name: &str) -> String {
    data_encoding::HEXLOWER.encode(&Sha256::digest(name.as_bytes())[..16])
}
