//! Who calls OMS.

use std::fmt;

use secrecy::SecretString;

/// What a client proves its identity with. Prints nothing but its kind.
#[derive(Clone)]
pub struct Credentials {
    pub(super) kind: Kind,
}

/// The ways to prove an identity. Signing is the one there is; IAM tokens will be a second variant.
#[derive(Clone)]
pub(super) enum Kind {
    Keys(Keys),
}

/// An access key with its secret, temporary if a security token goes with it.
#[derive(Clone)]
pub(super) struct Keys {
    pub(super) access_key: String,
    pub(super) secret_key: SecretString,
    pub(super) security_token: Option<SecretString>,
}

impl Credentials {
    /// Permanent keys, or temporary ones when `security_token` is given.
    pub fn keys(
        access_key: impl Into<String>,
        secret_key: SecretString,
        security_token: Option<SecretString>,
    ) -> Self {
        Self { kind: Kind::Keys(Keys { access_key: access_key.into(), secret_key, security_token }) }
    }

    /// Whether the keys end by themselves (they came with a security token).
    pub fn is_temporary(&self) -> bool {
        match &self.kind {
            Kind::Keys(keys) => keys.security_token.is_some(),
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Keys(keys) if keys.security_token.is_some() => f.write_str("Credentials(temporary keys)"),
            Kind::Keys(_) => f.write_str("Credentials(keys)"),
        }
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
    }
}
