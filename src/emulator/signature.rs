//! The gateway's check of `SDK-HMAC-SHA256` signatures.
//!
//! As lenient as the gateway: only the headers named in `SignedHeaders` count, so `host`, `content-type` and
//! `X-Security-Token` may be unsigned (Terraform's provider and the Go SDK send them so). As strict: a signed header
//! that is absent, a missing `X-Sdk-Date`, or one more than 15 minutes off is refused.

use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{HeaderMap, Method};
use jiff::{SignedDuration, Timestamp, civil::DateTime, tz::TimeZone};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};

const ALGORITHM: &str = "SDK-HMAC-SHA256";

/// How far `X-Sdk-Date` may be off, either way.
const TOLERANCE: SignedDuration = SignedDuration::from_mins(15);

/// Everything but `A-Z a-z 0-9 - _ . ~`.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Why a signature is refused; the texts are the gateway's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// There is neither a signature nor a token.
    #[error("x-auth-token not found")]
    Missing,
    /// The Authorization header has another shape.
    #[error("calc ak sk signature fail: the Authorization header is malformed")]
    Malformed,
    /// A header that the signature names is not there.
    #[error("calc ak sk signature fail: signed header {0} not found")]
    HeaderMissing(String),
    /// `X-Sdk-Date` is missing or unreadable.
    #[error("calc ak sk signature fail: X-Sdk-Date is missing or malformed")]
    DateMissing,
    /// `X-Sdk-Date` is more than 15 minutes off.
    #[error("calc ak sk signature fail: signature expired")]
    Expired,
    /// The signature is another one.
    #[error("verify aksk signature fail")]
    Wrong,
}

/// What the Authorization header says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authorization {
    /// Access key ID.
    pub access_key: String,
    signed_headers: Vec<String>,
    signature: Vec<u8>,
}

impl Authorization {
    /// Reads `SDK-HMAC-SHA256 Access=..., SignedHeaders=..., Signature=...`.
    pub fn read(headers: &HeaderMap) -> Result<Self, SignatureError> {
        let header = headers.get(http::header::AUTHORIZATION).ok_or(SignatureError::Missing)?;
        let parameters = header
            .to_str()
            .ok()
            .and_then(|text| text.strip_prefix(ALGORITHM))
            .ok_or(SignatureError::Malformed)?;
        let get = |name: &str| {
            parameters
                .split(',')
                .filter_map(|part| part.trim().split_once('='))
                .find(|(key, _)| *key == name)
                .map(|(_, value)| value)
                .ok_or(SignatureError::Malformed)
        };
        Ok(Self {
            access_key: get("Access")?.to_owned(),
            signed_headers: get("SignedHeaders")?.split(';').map(str::to_ascii_lowercase).collect(),
            signature: data_encoding::HEXLOWER_PERMISSIVE
                .decode(get("Signature")?.as_bytes())
                .map_err(|_| SignatureError::Malformed)?,
        })
    }
}

/// What is signed of a request.
#[derive(Clone, Copy, Debug)]
pub struct Signed<'a> {
    /// Method.
    pub method: &'a Method,
    /// Path, as it came.
    pub path: &'a str,
    /// Query, as it came.
    pub query: &'a str,
    /// Headers.
    pub headers: &'a HeaderMap,
    /// Body.
    pub body: &'a [u8],
}

/// Checks what can be checked before the body is there: the date, and that every signed header is. `wall` is the time
/// on the wall, never service time.
pub fn check_head(
    authorization: &Authorization,
    headers: &HeaderMap,
    wall: Timestamp,
) -> Result<(), SignatureError> {
    let signed_at = read_date(date_of(headers)?).ok_or(SignatureError::DateMissing)?;
    if wall.duration_since(signed_at).abs() > TOLERANCE {
        return Err(SignatureError::Expired);
    }
    match authorization.signed_headers.iter().find(|name| !headers.contains_key(name.as_str())) {
        Some(name) => Err(SignatureError::HeaderMissing(name.clone())),
        None => Ok(()),
    }
}

/// Checks the signature of a request with the secret key of its access key.
pub fn verify(
    authorization: &Authorization,
    secret: &SecretString,
    request: Signed<'_>,
    wall: Timestamp,
) -> Result<(), SignatureError> {
    check_head(authorization, request.headers, wall)?;
    let date = date_of(request.headers)?;
    let canonical = canonical_request(authorization, request)?;
    let string_to_sign = format!("{ALGORITHM}\n{date}\n{}", hex_of_hash(canonical.as_bytes()));
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes())
        .map_err(|_| SignatureError::Wrong)?;
    mac.update(string_to_sign.as_bytes());
    mac.verify_slice(&authorization.signature).map_err(|_| SignatureError::Wrong)
}

fn date_of(headers: &HeaderMap) -> Result<&str, SignatureError> {
    let date = headers.get("x-sdk-date").and_then(|value| value.to_str().ok());
    date.map(str::trim).ok_or(SignatureError::DateMissing)
}

fn read_date(text: &str) -> Option<Timestamp> {
    let date = DateTime::strptime("%Y%m%dT%H%M%SZ", text).ok()?;
    Some(date.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

fn canonical_request(authorization: &Authorization, request: Signed<'_>) -> Result<String, SignatureError> {
    use std::fmt::Write as _;

    let mut headers = String::new();
    for name in &authorization.signed_headers {
        let values = request.headers.get_all(name.as_str());
        let value = values
            .iter()
            .map(|value| String::from_utf8_lossy(value.as_bytes()).trim().to_owned())
            .reduce(|one, other| format!("{one},{other}"))
            .ok_or_else(|| SignatureError::HeaderMissing(name.clone()))?;
        let _ = writeln!(headers, "{name}:{value}");
    }
    // With an empty body the hash of nothing is signed, whatever the header says.
    let body_hash = match request.headers.get("x-sdk-content-sha256") {
        Some(value) if !request.body.is_empty() => {
            String::from_utf8_lossy(value.as_bytes()).trim().to_owned()
        }
        _ => hex_of_hash(request.body),
    };
    Ok(format!(
        "{}\n{}\n{}\n{headers}\n{}\n{body_hash}",
        request.method,
        canonical_path(request.path),
        canonical_query(request.query),
        authorization.signed_headers.join(";"),
    ))
}

fn canonical_path(path: &str) -> String {
    let decoded = percent_decode_str(path).decode_utf8_lossy();
    let mut canonical = decoded.split('/').map(encode).collect::<Vec<_>>().join("/");
    if !canonical.ends_with('/') {
        canonical.push('/');
    }
    canonical
}

fn canonical_query(query: &str) -> String {
    let mut pairs = decode_query(query);
    pairs.sort();
    pairs
        .iter()
        .map(|(name, value)| format!("{}={}", encode(name), encode(value)))
        .collect::<Vec<_>>()
        .join("&")
}

/// The decoded pairs of a query, in their order. A plus sign is a plus sign.
pub fn decode_query(query: &str) -> Vec<(String, String)> {
    let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name), decode(value))
        })
        .collect()
}

fn encode(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}

fn hex_of_hash(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(&Sha256::digest(bytes))
}

#[cfg(test)]
mod tests {
    use std::{path::Path, str::FromStr as _};

    use http::{HeaderName, HeaderValue};
    use serde_json::Value;

    use super::*;

    struct Vector {
        method: Method,
        path: String,
        query: String,
        headers: HeaderMap,
        body: Vec<u8>,
        secret: SecretString,
        date: Timestamp,
        canonical: String,
    }

    impl Vector {
        fn request(&self) -> Signed<'_> {
            Signed {
                method: &self.method,
                path: &self.path,
                query: &self.query,
                headers: &self.headers,
                body: &self.body,
            }
        }

        fn verify(&self) -> Result<(), SignatureError> {
            verify(&Authorization::read(&self.headers)?, &self.secret, self.request(), self.date)
        }
    }

    fn vectors() -> Vec<(String, Vector)> {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/signing-vectors.json");
        let vectors: Vec<Value> = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
        vectors
            .iter()
            .filter(|vector| vector["algorithm"] == ALGORITHM)
            .map(|vector| {
                let text = |name: &str| vector[name].as_str().unwrap().to_owned();
                let url = text("url");
                let after_host = url.splitn(4, '/').nth(3).map(|rest| format!("/{rest}")).unwrap();
                let (path, query) = after_host.split_once('?').unwrap_or((after_host.as_str(), ""));
                let mut headers = HeaderMap::new();
                for (name, value) in vector["headers"].as_object().unwrap() {
                    let value = HeaderValue::from_bytes(value.as_str().unwrap().as_bytes()).unwrap();
                    headers.insert(HeaderName::from_str(name).unwrap(), value);
                }
                headers.insert(http::header::AUTHORIZATION, text("authorization").parse().unwrap());
                let vector = Vector {
                    method: text("method").parse().unwrap(),
                    path: path.to_owned(),
                    query: query.to_owned(),
                    headers,
                    body: text("body").into_bytes(),
                    secret: text("sk").into(),
                    date: read_date(&text("date")).unwrap(),
                    canonical: text("canonical_request"),
                };
                (text("name"), vector)
            })
            .collect()
    }

    #[test]
    fn what_the_vendors_sdk_signs_is_accepted() {
        let vectors = vectors();
        assert!(vectors.len() >= 12);
        for (name, vector) in vectors {
            let authorization = Authorization::read(&vector.headers).unwrap();
            assert_eq!(
                canonical_request(&authorization, vector.request()).unwrap(),
                vector.canonical,
                "{name}"
            );
            assert_eq!(vector.verify(), Ok(()), "{name}");
        }
    }

    #[test]
    fn a_changed_request_is_refused() {
        for (name, mut vector) in vectors() {
            vector.body.push(b' ');
            // Neither the body of a bodyless request nor an unsigned payload can be told from another; the path can.
            vector.path.push('x');
            assert_eq!(vector.verify(), Err(SignatureError::Wrong), "{name}");
        }
    }

    #[test]
    fn a_signed_header_that_is_absent_is_refused() {
        let (_, mut vector) = vectors().swap_remove(0);
        vector.headers.remove("user-agent");
        assert_eq!(vector.verify(), Err(SignatureError::HeaderMissing("user-agent".to_owned())));
    }

    #[test]
    fn a_date_may_be_fifteen_minutes_off_and_not_more() {
        let (_, mut vector) = vectors().swap_remove(0);
        let date = vector.date;
        for (offset, accepted) in [(-900, true), (900, true), (-901, false), (901, false)] {
            vector.date = date + SignedDuration::from_secs(offset);
            assert_eq!(vector.verify().is_ok(), accepted, "{offset}");
        }
    }

    #[test]
    fn a_request_without_date_or_signature_is_refused() {
        let (_, mut vector) = vectors().swap_remove(0);
        vector.headers.remove("x-sdk-date");
        assert_eq!(vector.verify(), Err(SignatureError::DateMissing));
        vector.headers.remove("authorization");
        assert_eq!(vector.verify(), Err(SignatureError::Missing));
    }
}
