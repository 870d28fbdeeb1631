//! Who calls OMS, and how long that holds.
//!
//! Permanent and temporary keys sign; a token of IAM goes into a header instead. What ends by itself is kept in one cache
//! per source ([`renewal`]): it is renewed before its end by one caller while the others go on, and once more when a gateway refuses
//! it although it should still hold.

mod ambient;
mod exchange;
mod metadata;
mod oidc;
mod password;
mod pod_identity;
mod project;
mod renewal;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use secrecy::SecretString;

use self::renewal::Renewal;
use super::error::Error;
use super::settings::Settings;

pub use self::ambient::{Ambient, AmbientSettings, AmbientSource};
pub use self::password::{Login, Scope};
pub use self::project::find_project_id;
pub(super) use self::renewal::Held;

/// What a client proves its identity with. Prints nothing but its kind; a clone shares what was obtained.
#[derive(Clone)]
pub struct Credentials {
    kind: Kind,
}

#[derive(Clone)]
enum Kind {
    /// Given once, never renewed.
    Given(Arc<Held>),
    /// Obtained, and renewed.
    Renewed(Arc<Renewed>),
}

struct Renewed {
    renewal: Renewal<Issuer>,
    /// Logins of the same user for other projects: a token is good for one.
    elsewhere: Mutex<HashMap<String, Credentials>>,
}

/// Where credentials that end come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// Keys that were given.
    Keys,
    /// A token that IAM gave for user name and password.
    Token,
    /// Temporary keys that STS gave for an identity token of an OpenID Connect provider.
    Oidc,
    /// Temporary keys of the pod identity agent.
    PodIdentity,
    /// Temporary keys of the metadata service of the node.
    Metadata,
}

/// What goes into a request.
pub(super) enum Proof {
    /// Keys that sign.
    Keys(Keys),
    /// A token that goes along.
    Token(SecretString),
}

/// An access key with its secret, temporary if a security token goes with it.
pub(super) struct Keys {
    pub(super) access_key: String,
    pub(super) secret_key: SecretString,
    pub(super) security_token: Option<SecretString>,
}

/// What a source gave.
pub(super) struct Issued {
    proof: Proof,
    /// When it ends, by the source's words.
    expires_at: Option<Timestamp>,
    /// The project that it is good for, where the source says so.
    project_id: Option<String>,
}

/// The sources that give something for a time.
enum Issuer {
    Password(password::Password),
    Oidc(oidc::Oidc),
    PodIdentity(pod_identity::PodIdentity),
    Metadata(metadata::Metadata),
}

impl renewal::Issue for Issuer {
    async fn issue(&self) -> Result<Issued, Error> {
        match self {
            Self::Password(source) => source.issue().await,
            Self::Oidc(source) => source.issue().await,
            Self::PodIdentity(source) => source.issue().await,
            Self::Metadata(source) => source.issue().await,
        }
    }

    fn margin(&self) -> std::time::Duration {
        match self {
            Self::Password(_) => password::MARGIN,
            Self::Oidc(_) => oidc::MARGIN,
            Self::PodIdentity(_) => pod_identity::MARGIN,
            Self::Metadata(_) => metadata::MARGIN,
        }
    }
}

impl Credentials {
    /// Permanent keys, or temporary ones when `security_token` is given. They are never renewed.
    pub fn keys(
        access_key: impl Into<String>,
        secret_key: SecretString,
        security_token: Option<SecretString>,
    ) -> Self {
        Self::keys_until(access_key, secret_key, security_token, None)
    }

    /// The same, and when they end, where that is known.
    pub fn keys_until(
        access_key: impl Into<String>,
        secret_key: SecretString,
        security_token: Option<SecretString>,
        valid_until: Option<Timestamp>,
    ) -> Self {
        let keys = Keys { access_key: access_key.into(), secret_key, security_token };
        Self { kind: Kind::Given(Arc::new(Held::given(Proof::Keys(keys), valid_until))) }
    }

    /// A token of IAM for user name and password, good for one project. Nothing is sent yet.
    ///
    /// `settings.endpoint` is IAM's, such as `https://iam.cn-north-4.myhuaweicloud.com`; its project ID is not used. Fails like
    /// [`super::Client::new`].
    ///
    /// A call that a token authenticates carries no time that OMS checks, unlike a signed one, which is refused after 15 minutes: a
    /// create that was delayed on its way can take effect as long as the token holds.
    pub fn password(settings: Settings, login: Login) -> Result<Self, Error> {
        Ok(Self::renewed(Issuer::Password(password::Password::new(settings, login)?)))
    }

    fn renewed(issuer: Issuer) -> Self {
        let renewed = Renewed { renewal: Renewal::new(issuer), elsewhere: Mutex::default() };
        Self { kind: Kind::Renewed(Arc::new(renewed)) }
    }

    /// Where they come from.
    pub fn source(&self) -> Source {
        match &self.kind {
            Kind::Given(_) => Source::Keys,
            Kind::Renewed(renewed) => match renewed.renewal.issuer() {
                Issuer::Password(_) => Source::Token,
                Issuer::Oidc(_) => Source::Oidc,
                Issuer::PodIdentity(_) => Source::PodIdentity,
                Issuer::Metadata(_) => Source::Metadata,
            },
        }
    }

    /// Whether they end by themselves: anything but a permanent access key.
    pub fn is_temporary(&self) -> bool {
        match &self.kind {
            Kind::Given(held) => {
                matches!(&held.proof, Proof::Keys(Keys { security_token: Some(_), .. }) | Proof::Token(_))
            }
            Kind::Renewed(_) => true,
        }
    }

    /// When what is held now ends, where that is known.
    pub fn valid_until(&self) -> Option<Timestamp> {
        match &self.kind {
            Kind::Given(held) => held.valid_until,
            Kind::Renewed(renewed) => renewed.renewal.held().and_then(|held| held.valid_until),
        }
    }

    /// When what is held now is due for renewal; `None` when it never is.
    pub fn renewal_due(&self) -> Option<Timestamp> {
        match &self.kind {
            Kind::Given(_) => None,
            Kind::Renewed(renewed) => renewed.renewal.held().and_then(|held| held.renew_at),
        }
    }

    /// Sees to it that something is held that has not ended: obtains or renews it when that is due. Calls do this by themselves.
    ///
    /// Fails when nothing is held that still holds and the source gives nothing; such an error says so
    /// ([`Error::lacks_credentials`]).
    pub async fn refresh(&self) -> Result<(), Error> {
        self.current().await.map(drop)
    }

    /// The project that the credentials are good for, as far as their source tells: the one of the token, or the one of the
    /// node when it is in `region`.
    pub async fn project_id(&self, region: &str) -> Result<Option<String>, Error> {
        match &self.kind {
            Kind::Renewed(renewed) => match renewed.renewal.issuer() {
                Issuer::Password(_) => Ok(self.current().await?.project_id.clone()),
                Issuer::Metadata(metadata) => Ok(metadata.project_id(region).await),
                Issuer::Oidc(_) | Issuer::PodIdentity(_) => Ok(None),
            },
            Kind::Given(_) => Ok(None),
        }
    }

    /// The same identity for another project. Only a token is bound to one; there the login happens at the first call.
    pub fn for_project(&self, project_id: &str) -> Self {
        let Kind::Renewed(renewed) = &self.kind else { return self.clone() };
        let Issuer::Password(password) = renewed.renewal.issuer() else { return self.clone() };
        let own = renewed.renewal.held().and_then(|held| held.project_id.clone());
        if own.as_deref() == Some(project_id) || password.is_scoped_to(project_id) {
            return self.clone();
        }
        let mut elsewhere = renewed.elsewhere.lock().unwrap_or_else(PoisonError::into_inner);
        elsewhere
            .entry(project_id.to_owned())
            .or_insert_with(|| Self::renewed(Issuer::Password(password.for_project(project_id))))
            .clone()
    }

    /// What the next request carries.
    pub(super) async fn current(&self) -> Result<Arc<Held>, Error> {
        match &self.kind {
            Kind::Given(held) => Ok(Arc::clone(held)),
            Kind::Renewed(renewed) => renewed.renewal.current().await,
        }
    }

    /// What to carry instead of something that was refused; `None` when there is nothing else to try.
    pub(super) async fn instead_of(&self, refused: &Arc<Held>) -> Result<Option<Arc<Held>>, Error> {
        match &self.kind {
            Kind::Given(_) => Ok(None),
            Kind::Renewed(renewed) => renewed.renewal.instead_of(refused).await,
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.source() {
            Source::Keys if self.is_temporary() => "Credentials(temporary keys)",
            Source::Keys => "Credentials(keys)",
            Source::Token => "Credentials(token)",
            Source::Oidc => "Credentials(OIDC)",
            Source::PodIdentity => "Credentials(pod identity)",
            Source::Metadata => "Credentials(metadata service)",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_the_kind_and_nothing_else() {
        let permanent = Credentials::keys("AKplanted", "SKplanted".into(), None);
        assert_eq!(format!("{permanent:?}"), "Credentials(keys)");
        let temporary = Credentials::keys("AKplanted", "SKplanted".into(), Some("TOKplanted".into()));
        assert_eq!(format!("{temporary:?}"), "Credentials(temporary keys)");
        assert!(temporary.is_temporary());
        assert!(!permanent.is_temporary());
        let login = Login {
            username: "planted-user".into(),
            password: "planted-password".into(),
            domain_name: "planted-domain".into(),
            scope: Scope::Region("cn-north-4".into()),
        };
        let shown = format!("{login:?}");
        let token = Credentials::password(Settings::new("http://127.0.0.1:1", ""), login).unwrap();
        assert_eq!(format!("{token:?}"), "Credentials(token)");
        assert!(token.is_temporary());
        assert!(!shown.contains("planted-password"), "{shown}");
    }
}
