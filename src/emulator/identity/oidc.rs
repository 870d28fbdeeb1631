//! ID tokens for `assume-with-oidc`: those that the configuration lists as they stand, and JWTs that are signed with
//! HS256 and a configured key. Keys of other kinds (RS256 over JWKS) are not supported.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use secrecy::ExposeSecret as _;
use serde::{Deserialize, de::DeserializeOwned};
use sha2::Sha256;

use crate::emulator::config::identity::OidcProvider;

/// For whom an ID token vouches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subject {
    /// Claim `sub`; empty for a token that is accepted as it stands.
    pub subject: String,
    /// Claim `aud`, or the first of several; empty likewise.
    pub audience: String,
}

/// Why an ID token is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdTokenError {
    /// It is no JWT, or nobody signed it whom the provider knows.
    #[error("the ID token is invalid")]
    Invalid,
    /// Its time is over, or has not come.
    #[error("the ID token has expired")]
    Expired,
    /// Another issuer or audience.
    #[error("the ID token was issued by or for somebody else")]
    Foreign,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
}

#[derive(Deserialize)]
struct Claims {
    #[serde(default)]
    sub: String,
    #[serde(default)]
    iss: String,
    #[serde(default)]
    aud: Audience,
    exp: i64,
    nbf: Option<i64>,
}

/// One, or a list.
#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

impl Default for Audience {
    fn default() -> Self {
        Self::Several(Vec::new())
    }
}

impl Audience {
    fn as_slice(&self) -> &[String] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Several(several) => several,
        }
    }
}

/// Checks an ID token.
pub fn verify(provider: &OidcProvider, token: &str, now: Timestamp) -> Result<Subject, IdTokenError> {
    if provider.id_tokens.iter().any(|known| known.expose_secret() == token) {
        return Ok(Subject::default());
    }
    let key = provider.signing_key.as_ref().ok_or(IdTokenError::Invalid)?;
    let (signed, signature) = token.rsplit_once('.').ok_or(IdTokenError::Invalid)?;
    let (header, claims) = signed.split_once('.').ok_or(IdTokenError::Invalid)?;
    if part::<Header>(header)?.alg != "HS256" {
        return Err(IdTokenError::Invalid);
    }
    let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| IdTokenError::Invalid)?;
    let mut mac =
        Hmac::<Sha256>::new_from_slice(key.expose_secret().as_bytes()).map_err(|_| IdTokenError::Invalid)?;
    mac.update(signed.as_bytes());
    mac.verify_slice(&signature).map_err(|_| IdTokenError::Invalid)?;

    let claims = part::<Claims>(claims)?;
    if claims.exp <= now.as_second() || claims.nbf.is_some_and(|from| from > now.as_second()) {
        return Err(IdTokenError::Expired);
    }
    let audiences = claims.aud.as_slice();
    if provider.issuer.as_ref().is_some_and(|issuer| *issuer != claims.iss)
        || provider.audience.as_ref().is_some_and(|audience| !audiences.contains(audience))
    {
        return Err(IdTokenError::Foreign);
    }
    let audience = provider.audience.as_ref().or(audiences.first()).cloned().unwrap_or_default();
    Ok(Subject { subject: claims.sub, audience })
}

fn part<T: DeserializeOwned>(text: &str) -> Result<T, IdTokenError> {
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| IdTokenError::Invalid)?;
    serde_json::from_slice(&bytes).map_err(|_| IdTokenError::Invalid)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn provider() -> OidcProvider {
        serde_json::from_value(json!({
            "providerUrn": "iam::1:oidcProvider:cluster", "agencyUrn": "iam::1:agency:oms",
            "signingKey": "shared", "idTokens": ["verbatim"], "issuer": "https://cluster", "audience": "oms",
        }))
        .unwrap()
    }

    fn signed(header: &Value, claims: &Value, key: &str) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(header), part(claims));
        let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).unwrap();
        mac.update(signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
    }

    fn checked(header: &Value, claims: &Value, key: &str) -> Result<Subject, IdTokenError> {
        verify(&provider(), &signed(header, claims, key), Timestamp::from_second(1000).unwrap())
    }

    #[test]
    fn a_token_is_accepted_only_if_signed_in_time_and_for_us() {
        let header = json!({ "alg": "HS256", "typ": "JWT" });
        let good = json!({ "iss": "https://cluster", "aud": ["other", "oms"], "sub": "system:serviceaccount:a:b", "exp": 1001 });
        let subject = checked(&header, &good, "shared").unwrap();
        assert_eq!(
            (subject.subject.as_str(), subject.audience.as_str()),
            ("system:serviceaccount:a:b", "oms")
        );
        assert_eq!(checked(&header, &good, "other"), Err(IdTokenError::Invalid));
        for (member, value, error) in [
            ("exp", json!(1000), IdTokenError::Expired),
            ("nbf", json!(1001), IdTokenError::Expired),
            ("iss", json!("https://elsewhere"), IdTokenError::Foreign),
            ("aud", json!("other"), IdTokenError::Foreign),
            ("exp", json!("soon"), IdTokenError::Invalid),
        ] {
            let mut claims = good.clone();
            claims[member] = value;
            assert_eq!(checked(&header, &claims, "shared"), Err(error), "{claims}");
        }
        // A token without a signature, and one whose algorithm we do not know.
        for alg in ["none", "RS256"] {
            assert_eq!(checked(&json!({ "alg": alg }), &good, "shared"), Err(IdTokenError::Invalid));
        }
    }

    #[test]
    fn what_is_no_token_is_refused_unless_it_is_listed() {
        let now = Timestamp::UNIX_EPOCH;
        assert_eq!(verify(&provider(), "verbatim", now), Ok(Subject::default()));
        for token in ["", "x", "a.b", "a.b.c", "...", "é.é.é"] {
            assert_eq!(verify(&provider(), token, now), Err(IdTokenError::Invalid), "{token}");
        }
    }
}
