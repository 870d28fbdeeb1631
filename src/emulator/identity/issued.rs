//! What was handed out: tokens, temporary keys and metadata tokens, each with its end.
//!
//! Tokens are remembered by their digest alone. Temporary keys need their secret, as signatures are checked with it;
//! so it is in the state folder, which is readable by its owner alone.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::{SignedDuration, Timestamp};
use ring::rand::{SecureRandom as _, SystemRandom};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

use super::directory::Principal;
use crate::emulator::service::random;

/// Bytes in a token. Real ones are signed documents of several kB; 16384 characters are the documented maximum.
const TOKEN_BYTES: usize = 3 * 1024;
/// Bytes in the security token of temporary keys.
const SECURITY_TOKEN_BYTES: usize = 600;
/// How long something that ended is remembered, so that its user is told that it ended and not that it never was.
const REMEMBERED: SignedDuration = SignedDuration::from_hours(24);
/// So many of each kind are remembered; beyond that the oldest go.
const MOST: usize = 20_000;

/// A token that IAM handed out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Token {
    /// SHA-256 of its text, in hexadecimal.
    digest: String,
    /// For whom it speaks.
    pub principal: Principal,
    /// Where it is good.
    pub scope: Scope,
    /// When it was handed out.
    pub issued_at: Timestamp,
    /// When it ends by itself.
    pub expires_at: Timestamp,
    /// Ended before its time.
    revoked: bool,
}

/// Where a token is good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Scope {
    /// In the project with this ID.
    Project(String),
    /// In global services alone, of which OMS is none.
    Domain,
}

/// A temporary key pair.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TemporaryKey {
    /// Access key ID.
    pub access: String,
    /// Secret key.
    #[serde(serialize_with = "expose", deserialize_with = "hide")]
    pub secret: SecretString,
    /// What goes into `X-Security-Token`.
    #[serde(serialize_with = "expose", deserialize_with = "hide")]
    pub security_token: SecretString,
    /// For whom it signs.
    pub principal: Principal,
    /// When it ends.
    pub expires_at: Timestamp,
}

fn expose<S: Serializer>(secret: &SecretString, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose_secret())
}

fn hide<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SecretString, D::Error> {
    String::deserialize(deserializer).map(SecretString::from)
}

/// A token of the metadata service; it opens nothing but that, and does not outlive the process.
#[derive(Clone, Copy, Debug)]
struct MetadataToken {
    expires_at: Timestamp,
}

/// What is written down of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Change {
    /// A token was handed out or revoked.
    Token(Token),
    /// A temporary key pair was handed out or ended.
    Key(TemporaryKey),
}

/// Why a token is not accepted; the texts are the gateway's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Nobody handed it out.
    #[error("decrypt token fail")]
    Unknown,
    /// Its time is over.
    #[error("token expires")]
    Expired,
    /// It was revoked.
    #[error("the token must be updated")]
    Revoked,
}

/// Everything that was handed out.
#[derive(Default)]
pub struct Issued {
    tokens: Shelf<Token>,
    keys: Shelf<TemporaryKey>,
    metadata_tokens: Shelf<MetadataToken>,
}

impl fmt::Debug for Issued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Issued({} tokens, {} temporary keys)", self.tokens.found.len(), self.keys.found.len())
    }
}

impl Issued {
    /// Takes over what an earlier process wrote down.
    pub fn restore(&mut self, change: Change) {
        match change {
            Change::Token(token) => self.tokens.put(token.digest.clone(), token),
            Change::Key(key) => self.keys.put(key.access.clone(), key),
        }
    }

    /// The shortest log that amounts to this.
    pub fn changes(&self) -> Vec<Change> {
        self.tokens
            .iter()
            .cloned()
            .map(Change::Token)
            .chain(self.keys.iter().cloned().map(Change::Key))
            .collect()
    }

    /// Hands out a token. Its text is known to nobody afterwards but to whom it was given.
    pub fn hand_out_token(
        &mut self,
        principal: Principal,
        scope: Scope,
        now: Timestamp,
        lifetime: SignedDuration,
    ) -> (SecretString, Token) {
        // Real ones are base64 of a signed document, and begin so.
        let text = format!("MII{}", STANDARD.encode(random_bytes::<TOKEN_BYTES>()).replace('/', "-"));
        let token = Token {
            digest: digest(&text),
            principal,
            scope,
            issued_at: now,
            expires_at: after(now, lifetime),
            revoked: false,
        };
        self.tokens.forget(|token| after(token.expires_at, REMEMBERED) < now);
        self.tokens.put(token.digest.clone(), token.clone());
        (text.into(), token)
    }

    /// Hands out a temporary key pair.
    pub fn hand_out_key(
        &mut self,
        principal: Principal,
        now: Timestamp,
        lifetime: SignedDuration,
    ) -> TemporaryKey {
        let word = |text: String| text.chars().filter(char::is_ascii_alphanumeric).collect::<String>();
        let access = word(STANDARD.encode(random_bytes::<24>())).to_ascii_uppercase();
        let secret = word(STANDARD.encode(random_bytes::<60>()));
        let key = TemporaryKey {
            // Temporary access keys of the service begin so.
            access: format!("HST{}", access.chars().take(17).collect::<String>()),
            secret: secret.chars().take(40).collect::<String>().into(),
            security_token: STANDARD.encode(random_bytes::<SECURITY_TOKEN_BYTES>()).into(),
            principal,
            expires_at: after(now, lifetime),
        };
        self.keys.forget(|key| after(key.expires_at, REMEMBERED) < now);
        self.keys.put(key.access.clone(), key.clone());
        key
    }

    /// Hands out a token of the metadata service.
    pub fn hand_out_metadata_token(&mut self, now: Timestamp, lifetime: SignedDuration) -> SecretString {
        let text = STANDARD.encode(random_bytes::<48>());
        self.metadata_tokens.forget(|token| token.expires_at < now);
        self.metadata_tokens.put(digest(&text), MetadataToken { expires_at: after(now, lifetime) });
        text.into()
    }

    /// The token with this text, if it still holds.
    pub fn token(&self, text: &str, now: Timestamp) -> Result<&Token, TokenError> {
        match self.tokens.get(&digest(text)) {
            None => Err(TokenError::Unknown),
            Some(token) if token.revoked => Err(TokenError::Revoked),
            Some(token) if token.expires_at <= now => Err(TokenError::Expired),
            Some(token) => Ok(token),
        }
    }

    /// The temporary key with this ID, whether it still holds or not.
    pub fn key(&self, access: &str) -> Option<&TemporaryKey> {
        self.keys.get(access)
    }

    /// Whether the metadata service still takes a token.
    pub fn has_metadata_token(&self, text: &str, now: Timestamp) -> bool {
        self.metadata_tokens.get(&digest(text)).is_some_and(|token| token.expires_at > now)
    }

    /// Revokes the tokens that hold and that `chosen` names, and tells what changed.
    pub fn revoke_tokens(&mut self, now: Timestamp, chosen: impl Fn(&Token) -> bool) -> Vec<Change> {
        let mut changes = Vec::new();
        for token in self.tokens.iter_mut() {
            if !token.revoked && token.expires_at > now && chosen(token) {
                token.revoked = true;
                changes.push(Change::Token(token.clone()));
            }
        }
        changes
    }

    /// Ends the temporary keys that hold and that `chosen` names, and tells what changed.
    pub fn expire_keys(&mut self, now: Timestamp, chosen: impl Fn(&TemporaryKey) -> bool) -> Vec<Change> {
        let mut changes = Vec::new();
        for key in self.keys.iter_mut() {
            if key.expires_at > now && chosen(key) {
                key.expires_at = now;
                changes.push(Change::Key(key.clone()));
            }
        }
        changes
    }

    /// Ends every token of the metadata service; says how many held.
    pub fn expire_metadata_tokens(&mut self, now: Timestamp) -> usize {
        let holding = self.metadata_tokens.iter().filter(|token| token.expires_at > now).count();
        self.metadata_tokens = Shelf::default();
        holding
    }
}

/// Things by name, the oldest of which go when there are too many.
struct Shelf<T> {
    found: HashMap<String, T>,
    /// Names by age.
    order: VecDeque<String>,
}

impl<T> Default for Shelf<T> {
    fn default() -> Self {
        Self { found: HashMap::new(), order: VecDeque::new() }
    }
}

impl<T> Shelf<T> {
    fn put(&mut self, name: String, item: T) {
        if self.found.insert(name.clone(), item).is_none() {
            self.order.push_back(name);
        }
        while self.order.len() > MOST {
            if let Some(oldest) = self.order.pop_front() {
                self.found.remove(&oldest);
            }
        }
    }

    fn get(&self, name: &str) -> Option<&T> {
        self.found.get(name)
    }

    fn iter(&self) -> impl Iterator<Item = &T> {
        self.order.iter().filter_map(|name| self.found.get(name))
    }

    fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.found.values_mut()
    }

    /// Drops the oldest as long as they are over; lifetimes differ, so some that are over stay a while.
    fn forget(&mut self, is_over: impl Fn(&T) -> bool) {
        while let Some(oldest) = self.order.front() {
            if self.found.get(oldest).is_some_and(|item| !is_over(item)) {
                return;
            }
            self.found.remove(oldest);
            self.order.pop_front();
        }
    }
}

fn after(from: Timestamp, duration: SignedDuration) -> Timestamp {
    from.saturating_add(duration).unwrap_or(Timestamp::MAX)
}

fn digest(text: &str) -> String {
    data_encoding::HEXLOWER.encode(&Sha256::digest(text.as_bytes()))
}

fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    if SystemRandom::new().fill(&mut bytes).is_err() {
        // No device of this kind to be had: still nothing that two callers would get alike.
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&random().to_le_bytes()[..chunk.len()]);
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emulator::identity::directory::PrincipalKind;

    fn somebody() -> Principal {
        Principal { kind: PrincipalKind::User, name: "ann".to_owned(), domain: "acme".to_owned() }
    }

    #[test]
    fn a_token_holds_until_it_expires_or_is_revoked() {
        let (mut issued, now) = (Issued::default(), Timestamp::UNIX_EPOCH);
        let hour = SignedDuration::from_hours(1);
        let (text, _) = issued.hand_out_token(somebody(), Scope::Domain, now, hour);
        let text = text.expose_secret();
        assert!((2000..16_384).contains(&text.len()), "{}", text.len());
        assert!(issued.token(text, now).is_ok());
        assert_eq!(issued.token(text, now + hour), Err(TokenError::Expired));
        assert_eq!(issued.token("MIInobody", now), Err(TokenError::Unknown));
        assert_eq!(issued.revoke_tokens(now, |token| token.principal.name == "bob").len(), 0);
        assert_eq!(issued.revoke_tokens(now, |token| token.principal.name == "ann").len(), 1);
        assert_eq!(issued.token(text, now), Err(TokenError::Revoked));
    }

    #[test]
    fn what_was_handed_out_survives_its_log() {
        let (mut issued, now) = (Issued::default(), Timestamp::UNIX_EPOCH);
        let hour = SignedDuration::from_hours(1);
        let (text, _) = issued.hand_out_token(somebody(), Scope::Project("p".to_owned()), now, hour);
        let key = issued.hand_out_key(somebody(), now, hour);
        let log = serde_json::to_string(&issued.changes()).unwrap();
        assert!(!log.contains(text.expose_secret()), "tokens are written down as digests");

        let mut restored = Issued::default();
        for change in serde_json::from_str::<Vec<Change>>(&log).unwrap() {
            restored.restore(change);
        }
        assert_eq!(
            restored.token(text.expose_secret(), now).unwrap(),
            issued.token(text.expose_secret(), now).unwrap()
        );
        let found = restored.key(&key.access).unwrap();
        assert_eq!(found.secret.expose_secret(), key.secret.expose_secret());
        assert_eq!(found.expires_at, now + hour);
    }

    #[test]
    fn what_is_long_over_is_forgotten_and_so_is_too_much() {
        let (mut issued, now) = (Issued::default(), Timestamp::UNIX_EPOCH);
        let minute = SignedDuration::from_mins(1);
        let (old, _) = issued.hand_out_token(somebody(), Scope::Domain, now, minute);
        let later = now + SignedDuration::from_hours(25);
        issued.hand_out_token(somebody(), Scope::Domain, later, minute);
        assert_eq!(issued.token(old.expose_secret(), later), Err(TokenError::Unknown));
        let mut shelf = Shelf::default();
        for number in 0..MOST + 10 {
            shelf.put(number.to_string(), number);
        }
        assert_eq!((shelf.iter().count(), shelf.get("9"), shelf.get("10")), (MOST, None, Some(&10)));
    }

    #[test]
    fn nothing_that_was_handed_out_can_be_printed() {
        let mut issued = Issued::default();
        let key = issued.hand_out_key(somebody(), Timestamp::UNIX_EPOCH, SignedDuration::ZERO);
        let printed = format!("{issued:?} {key:?}");
        assert!(!printed.contains(key.secret.expose_secret()));
        assert!(!printed.contains(key.security_token.expose_secret()));
        assert_eq!((key.access.len(), key.secret.expose_secret().len()), (20, 40));
    }
}
