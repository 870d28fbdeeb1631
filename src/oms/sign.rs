//! The signature `SDK-HMAC-SHA256` (OMS API reference 3.2, "AK/SK based authentication"). Pure: no clock, no network.

use std::fmt::Write as _;

use hmac::{Hmac, KeyInit as _, Mac as _};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};

/// Name of the algorithm: first line of the string to sign, first word of the header.
pub const ALGORITHM: &str = "SDK-HMAC-SHA256";

/// Header that carries the time of signing, `YYYYMMDDTHHMMSSZ`. The gateway refuses more than 15 minutes of difference.
pub const DATE_HEADER: &str = "x-sdk-date";

/// Header whose value, if it is signed and there is a body, stands in for the body's hash.
const CONTENT_HASH_HEADER: &str = "x-sdk-content-sha256";

/// Everything but the unreserved characters of RFC 3986 is encoded.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// The parts of a request that the signature covers.
#[derive(Clone, Copy)]
pub struct Signable<'a> {
    /// Upper-case method.
    pub method: &'a str,
    /// Path as it is sent, percent-encoded, without the query.
    pub path: &'a str,
    /// Query as it is sent, without the `?`; empty when there is none.
    pub query: &'a str,
    /// The headers to sign. Names may have any case; the host's value includes a port that is not the scheme's own.
    pub headers: &'a [(&'a str, &'a str)],
    /// The exact bytes of the body.
    pub body: &'a [u8],
}

/// Percent-encodes a path segment, or the name or value of a query parameter, the way the signature wants it.
pub fn encode(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}

/// Joins parameters to the query that is both sent and signed: encoded and sorted.
pub fn query<'a>(parameters: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut pairs: Vec<_> = parameters.into_iter().collect();
    pairs.sort_unstable();
    join(pairs.into_iter())
}

/// The canonical request (rules 1 to 7 of the signing guide).
pub fn canonical_request(request: &Signable<'_>) -> String {
    let headers = canonical_headers(request.headers);
    let mut text = String::with_capacity(512);
    let _ = writeln!(
        text,
        "{}\n{}\n{}",
        request.method,
        canonical_path(request.path),
        canonical_query(request.query)
    );
    for (name, value) in &headers {
        let _ = writeln!(text, "{name}:{value}");
    }
    let substitute = headers.iter().find(|(name, _)| name == CONTENT_HASH_HEADER && !request.body.is_empty());
    let hash = substitute.map_or_else(|| hex_sha256(request.body), |(_, value)| (*value).to_owned());
    let _ = write!(text, "\n{}\n{hash}", signed_names(&headers));
    text
}

/// The string that is signed, for a canonical request and a date of the form `YYYYMMDDTHHMMSSZ`.
pub fn string_to_sign(canonical_request: &str, date: &str) -> String {
    format!("{ALGORITHM}\n{date}\n{}", hex_sha256(canonical_request.as_bytes()))
}

/// The value of the header `Authorization`. `date` must be the value of the header `X-Sdk-Date`.
pub fn authorization(
    request: &Signable<'_>,
    access_key: &str,
    secret_key: &SecretString,
    date: &str,
) -> String {
    let to_sign = string_to_sign(&canonical_request(request), date);
    let signature = match Hmac::<Sha256>::new_from_slice(secret_key.expose_secret().as_bytes()) {
        Ok(mut mac) => {
            mac.update(to_sign.as_bytes());
            data_encoding::HEXLOWER.encode(&mac.finalize().into_bytes())
        }
        // HMAC takes keys of any length; a refusal by OMS is better than a panic if that ever changes.
        Err(_) => String::new(),
    };
    let names = signed_names(&canonical_headers(request.headers));
    format!("{ALGORITHM} Access={access_key}, SignedHeaders={names}, Signature={signature}")
}

fn canonical_path(path: &str) -> String {
    let decoded = percent_decode_str(path).decode_utf8_lossy();
    let mut canonical = decoded.split('/').map(encode).collect::<Vec<_>>().join("/");
    // Only in the canonical form; the request line keeps the path as it is.
    if !canonical.ends_with('/') {
        canonical.push('/');
    }
    canonical
}

fn canonical_query(query: &str) -> String {
    let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let mut pairs: Vec<(String, String)> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (decode(name), decode(value)))
        .collect();
    pairs.sort_unstable();
    join(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())))
}

fn join<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    pairs.map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect::<Vec<_>>().join("&")
}

/// Lower-case names with trimmed values, sorted. Gateways drop header names with an underscore, so those are not signed.
fn canonical_headers<'a>(headers: &[(&'a str, &'a str)]) -> Vec<(String, &'a str)> {
    let mut canonical: Vec<_> = headers
        .iter()
        .filter(|(name, _)| !name.contains('_'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim()))
        .collect();
    canonical.sort_unstable();
    canonical
}

fn signed_names(headers: &[(String, &str)]) -> String {
    headers.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(";")
}

fn hex_sha256(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(&Sha256::digest(bytes))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;
    use url::Url;

    use super::*;

    /// One record of `tests/data/signing-vectors.json`, made by the signer of the vendor's Python SDK.
    #[derive(Deserialize)]
    struct Vector {
        name: String,
        algorithm: String,
        method: String,
        url: String,
        headers: BTreeMap<String, String>,
        body: String,
        ak: String,
        sk: String,
        date: String,
        signed_headers: Vec<String>,
        canonical_request: String,
        string_to_sign: String,
        authorization: String,
    }

    fn vectors() -> Vec<Vector> {
        serde_json::from_str(include_str!("../../tests/data/signing-vectors.json")).unwrap()
    }

    fn check(vector: &Vector) -> (String, String, String) {
        let headers: Vec<(&str, &str)> = vector
            .headers
            .iter()
            .filter(|(name, _)| vector.signed_headers.contains(&name.to_ascii_lowercase()))
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let url = Url::parse(&vector.url).unwrap();
        let signable = Signable {
            method: &vector.method,
            path: url.path(),
            query: url.query().unwrap_or(""),
            headers: &headers,
            body: vector.body.as_bytes(),
        };
        let canonical = canonical_request(&signable);
        let to_sign = string_to_sign(&canonical, &vector.date);
        (canonical, to_sign, authorization(&signable, &vector.ak, &vector.sk.as_str().into(), &vector.date))
    }

    #[test]
    fn signs_every_vector_of_the_vendor_exactly() {
        let (ours, others): (Vec<_>, Vec<_>) =
            vectors().into_iter().partition(|vector| vector.algorithm == ALGORITHM);
        assert_eq!(ours.len(), 12);
        for vector in &ours {
            let (canonical, to_sign, header) = check(vector);
            assert_eq!(canonical, vector.canonical_request, "{}", vector.name);
            assert_eq!(to_sign, vector.string_to_sign, "{}", vector.name);
            assert_eq!(header, vector.authorization, "{}", vector.name);
        }
        // The thirteenth is the derived scheme V11-HMAC-SHA256. The vendor's clients use it only for services that
        // declare a derived name, which OMS does not, so it is not implemented. What must hold is that it is a scheme of
        // its own: the same request, signed by us, is the ordinary scheme and never claims to be the other.
        let [derived] = others.as_slice() else { panic!("one vector of another algorithm") };
        assert_eq!(derived.algorithm, "V11-HMAC-SHA256");
        let (canonical, _, header) = check(derived);
        assert_eq!(canonical, derived.canonical_request);
        assert!(header.starts_with("SDK-HMAC-SHA256 Access="));
        assert_ne!(header, derived.authorization);
    }

    #[test]
    fn a_header_name_with_an_underscore_is_never_signed() {
        let signable = Signable {
            method: "GET",
            path: "/",
            query: "",
            headers: &[("X_Not_Signed", "x"), ("Host", "example.test")],
            body: b"",
        };
        assert!(
            authorization(&signable, "AK", &"SK".into(), "20260101T000000Z").contains("SignedHeaders=host,")
        );
    }

    #[test]
    fn the_query_that_is_sent_is_the_query_that_is_signed() {
        let sent = query([("task_name", "a b/\u{4e2d}+"), ("limit", "10"), ("Zed", "")]);
        assert_eq!(sent, "Zed=&limit=10&task_name=a%20b%2F%E4%B8%AD%2B");
        assert_eq!(canonical_query(&sent), sent);
    }

    proptest::proptest! {
        #[test]
        fn any_path_and_query_can_be_signed(path: String, query: String) {
            let signable = Signable { method: "GET", path: &path, query: &query, headers: &[], body: b"" };
            let canonical = canonical_request(&signable);
            proptest::prop_assert!(canonical.is_ascii());
        }
    }
}
