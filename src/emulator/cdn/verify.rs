//! How a CDN checks the signatures of requests, read from the vendors' documents once more: nothing of how requests
//! are signed is used here.

use std::collections::BTreeMap;

use jiff::civil::DateTime;
use jiff::{Timestamp, tz};
use md5::{Digest as _, Md5};
use percent_encoding::percent_decode_str;
use ring::hmac;

use super::sign::Scheme;

/// Seconds for which the CDNs accept a signature after its time, unless they are told otherwise.
const LIFETIME: i64 = 1800;

/// Seconds that the clocks of client and CDN may differ.
const TOLERANCE: i64 = 300;

/// A CDN as it is set up.
pub(super) struct Guard<'g> {
    pub(super) scheme: Scheme,
    pub(super) key: &'g str,
    /// Access keys of the origin with their secrets.
    pub(super) pairs: &'g [(String, String)],
    pub(super) domain: &'g str,
    pub(super) bucket: &'g str,
}

impl Guard<'_> {
    /// The path of the object that a request may have (percent-encoded, with its leading slash), or `None` when its
    /// signature is missing, wrong or too old.
    pub(super) fn admit<'r>(&self, path: &'r str, query: &'r str, now: Timestamp) -> Option<&'r str> {
        let clock = now.as_second();
        let fresh = |time: i64| (clock - LIFETIME..=clock + TOLERANCE).contains(&time);
        let argument = |name: &str| {
            query
                .split('&')
                .find_map(|pair| pair.split_once('=').filter(|(key, _)| *key == name))
                .map(|(_, value)| value)
        };
        match self.scheme {
            Scheme::None => Some(path),
            Scheme::AliyunOssA | Scheme::TencentCosA => {
                let name = if self.scheme == Scheme::AliyunOssA { "auth_key" } else { "sign" };
                let parts: Vec<&str> = argument(name)?.split('-').collect();
                let [time, rand, uid, hash] = parts.as_slice() else { return None };
                let expected = hex_md5(&[path, "-", time, "-", rand, "-", uid, "-", self.key]);
                (same(&expected, hash) && fresh(time.parse().ok()?)).then_some(path)
            }
            Scheme::AliyunOssB | Scheme::TencentCosB => {
                let (time, hash, rest) = two_segments(path)?;
                let local = DateTime::strptime("%Y%m%d%H%M", time).ok()?;
                let time_of_it = local.to_zoned(tz::TimeZone::fixed(tz::offset(8))).ok()?.timestamp();
                (same(&hex_md5(&[self.key, time, rest]), hash) && fresh(time_of_it.as_second()))
                    .then_some(rest)
            }
            Scheme::AliyunOssC => {
                let (hash, time, rest) = two_segments(path)?;
                let expected = hex_md5(&[self.key, rest, time]);
                (same(&expected, hash) && fresh(i64::from_str_radix(time, 16).ok()?)).then_some(rest)
            }
            Scheme::TencentCosC => {
                let (hash, time, rest) = two_segments(path)?;
                let expected = hex_md5(&[self.key, time, rest]);
                (same(&expected, hash) && fresh(i64::from_str_radix(time, 16).ok()?)).then_some(rest)
            }
            Scheme::TencentCosD => {
                let (hash, time) = (argument("sign")?, argument("t")?);
                let expected = hex_md5(&[self.key, path, time]);
                (same(&expected, hash) && fresh(time.parse().ok()?)).then_some(path)
            }
            Scheme::AzureSasToken => {
                let is_same = arguments(query) == arguments(self.key.trim_start_matches('?'));
                let holds = argument("se").is_none_or(|end| {
                    let end = percent_decode_str(end).decode_utf8_lossy();
                    end.parse::<Timestamp>().is_ok_and(|end| end > now)
                });
                (is_same && holds).then_some(path)
            }
            Scheme::QiniuPrivateAuthentication => {
                let (asked, token) = query.rsplit_once("&token=")?;
                let (access, signature) = token.split_once(':')?;
                let deadline: i64 = argument("e")?.parse().ok()?;
                let secret = self.secret(access)?;
                // Which of both it was behind a TLS terminator, only the client knows.
                let is_signed = ["http", "https"].iter().any(|protocol| {
                    let text = format!("{protocol}://{}{path}?{asked}", self.domain);
                    is_hmac(secret, &text, signature, &data_encoding::BASE64URL)
                });
                (is_signed && deadline > clock).then_some(path)
            }
            Scheme::KsyunPrivateAuthentication => {
                let plain = |name| argument(name).map(|text| percent_decode_str(text).decode_utf8_lossy());
                let expires = plain("Expires")?;
                let secret = self.secret(&plain("KSSAccessKeyId")?)?;
                let text = ["GET", "", "", &expires, &format!("/{}{path}", self.bucket)].join("\n");
                let is_signed = is_hmac(secret, &text, &plain("Signature")?, &data_encoding::BASE64);
                (is_signed && expires.parse::<i64>().ok()? > clock).then_some(path)
            }
        }
    }

    fn secret(&self, access: &str) -> Option<&str> {
        self.pairs.iter().find(|(known, _)| known == access).map(|(_, secret)| secret.as_str())
    }
}

/// `/first/second/rest` as `first`, `second` and `/rest`.
fn two_segments(path: &str) -> Option<(&str, &str, &str)> {
    let (first, rest) = path.strip_prefix('/')?.split_once('/')?;
    let slash = rest.find('/')?;
    Some((first, &rest[..slash], &rest[slash..]))
}

fn arguments(query: &str) -> BTreeMap<&str, &str> {
    query.split('&').filter_map(|pair| pair.split_once('=')).collect()
}

fn hex_md5(pieces: &[&str]) -> String {
    let mut digest = Md5::new();
    for piece in pieces {
        digest.update(piece);
    }
    data_encoding::HEXLOWER.encode(&digest.finalize())
}

/// Compares without telling by its time how much was right.
fn same(expected: &str, given: &str) -> bool {
    let differing = expected.bytes().zip(given.bytes()).fold(0, |sum, (one, other)| sum | (one ^ other));
    expected.len() == given.len() && differing == 0
}

fn is_hmac(secret: &str, text: &str, signature: &str, encoding: &data_encoding::Encoding) -> bool {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret.as_bytes());
    encoding
        .decode(signature.as_bytes())
        .is_ok_and(|signature| hmac::verify(&key, text.as_bytes(), &signature).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admit(scheme: Scheme, key: &str, request: &str, seconds: i64) -> Option<String> {
        let pairs = [("MY_ACCESS_KEY".to_owned(), "MY_SECRET_KEY".to_owned())];
        let guard =
            Guard { scheme, key, pairs: &pairs, domain: "78re52.com1.z0.glb.clouddn.com", bucket: "bucket" };
        let (path, query) = request.split_once('?').unwrap_or((request, ""));
        guard.admit(path, query, Timestamp::from_second(seconds).unwrap()).map(str::to_owned)
    }

    /// Examples of the vendors' documentation of URL authentication.
    #[test]
    fn the_examples_of_the_vendors_are_let_in_for_a_while_and_nothing_else() {
        let (ali, tencent) = ("aliyuncdnexp1234", "DvYmqE81E1F9R791H6lmht");
        for (scheme, key, request, time, path) in [
            (
                Scheme::AliyunOssA,
                ali,
                "/video/standard/1K.html?auth_key=1444435200-0-0-80cd3862d699b7118eed99103f2a3a4f",
                1_444_435_200,
                "/video/standard/1K.html",
            ),
            (
                Scheme::AliyunOssB,
                ali,
                "/201508150800/9044548ef1527deadafa49a890a377f0/4/44/44c0909bcfc20a01afaf256ca99a8b8b.mp3",
                1_439_596_800,
                "/4/44/44c0909bcfc20a01afaf256ca99a8b8b.mp3",
            ),
            (
                Scheme::AliyunOssC,
                ali,
                "/a37fa50a5fb8f71214b1e7c95ec7a1bd/55CE8100/test.flv",
                0x55ce_8100,
                "/test.flv",
            ),
            (
                Scheme::TencentCosA,
                tencent,
                "/foo.jpg?sign=1721028437-Kv4cPTAAP5YTi-0-0fbdca749d7ab784750685347e42075c",
                1_721_028_437,
                "/foo.jpg",
            ),
            (
                Scheme::TencentCosB,
                tencent,
                "/202407151533/d1f0b51c6894231fc12e054fcc7f0b3e/foo.jpg",
                1_721_028_780,
                "/foo.jpg",
            ),
            (
                Scheme::TencentCosC,
                "dimtm5evg50ijsx2hvuwyfoiu65",
                // The example writes a decimal time where the text wants a hexadecimal one.
                "/ea68b93ac23ebbc6eebf7f163c6e9c4c/1582791032/test.jpg",
                0x15_8279_1032,
                "/test.jpg",
            ),
            (
                Scheme::TencentCosD,
                tencent,
                "/foo.jpg?sign=cadcec4a04e67b9c2abf4b61c642a0dd&t=1721029907",
                1_721_029_907,
                "/foo.jpg",
            ),
            (
                Scheme::QiniuPrivateAuthentication,
                "",
                "/resource/flower.jpg?e=1451491200&token=MY_ACCESS_KEY:438dd8pXocjYuF-6dTcKMtETB2g=",
                1_451_491_200 - 1,
                "/resource/flower.jpg",
            ),
        ] {
            assert_eq!(admit(scheme, key, request, time).as_deref(), Some(path), "{scheme:?}");
            assert_eq!(admit(scheme, key, request, time + LIFETIME + 1), None, "{scheme:?} is over");
            let other = request.replacen(['0', '1', '2', '5'], "7", 1);
            assert_eq!(admit(scheme, key, &other, time), None, "{scheme:?} {other}");
            let unsigned = request.split_once('?').map_or(path, |(path, _)| path);
            assert_eq!(admit(scheme, key, unsigned, time), None, "{scheme:?} without a signature");
            if scheme != Scheme::QiniuPrivateAuthentication {
                assert_eq!(admit(scheme, "wrong", request, time), None, "{scheme:?} with another key");
            }
        }
    }

    #[test]
    fn a_shared_access_signature_is_the_one_that_was_given_until_it_ends() {
        let token = "?sv=2022-11-02&se=2030-01-01T00%3A00%3A00Z&sig=x";
        let at = |text: &str| text.parse::<Timestamp>().unwrap().as_second();
        let admit = |request, time| admit(Scheme::AzureSasToken, token, request, time);
        let request = "/a?se=2030-01-01T00%3A00%3A00Z&sig=x&sv=2022-11-02";
        assert_eq!(admit(request, at("2029-12-31T00:00:00Z")).as_deref(), Some("/a"));
        assert_eq!(admit(request, at("2030-01-02T00:00:00Z")), None);
        assert_eq!(admit("/a?sv=2022-11-02&sig=x", 0), None);
    }
}
