//! How requests to a CDN are signed, as the vendors of the CDNs document it.
//!
//! Paths are signed as they stand in the request, percent-encoded.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use data_encoding::HEXLOWER;
use jiff::{Timestamp, tz};
use md5::{Digest as _, Md5};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use ring::hmac;
use serde::{Deserialize, Serialize};

/// Values of `source_cdn.authentication_type` (OMS API reference 5.3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Scheme {
    /// Everybody may fetch.
    None,
    /// Qiniu, private download: signed with the keys of the source.
    QiniuPrivateAuthentication,
    /// Alibaba Cloud CDN, type A.
    AliyunOssA,
    /// Alibaba Cloud CDN, type B.
    AliyunOssB,
    /// Alibaba Cloud CDN, type C.
    AliyunOssC,
    /// Kingsoft Cloud, signed URL: with the keys of the source.
    KsyunPrivateAuthentication,
    /// A shared access signature that somebody else has made.
    AzureSasToken,
    /// Tencent Cloud CDN, type A.
    TencentCosA,
    /// Tencent Cloud CDN, type B.
    TencentCosB,
    /// Tencent Cloud CDN, type C.
    TencentCosC,
    /// Tencent Cloud CDN, type D.
    TencentCosD,
}

impl Scheme {
    /// Every scheme with its name on the wire.
    pub const ALL: [(&'static str, Self); 11] = [
        ("NONE", Self::None),
        ("QINIU_PRIVATE_AUTHENTICATION", Self::QiniuPrivateAuthentication),
        ("ALIYUN_OSS_A", Self::AliyunOssA),
        ("ALIYUN_OSS_B", Self::AliyunOssB),
        ("ALIYUN_OSS_C", Self::AliyunOssC),
        ("KSYUN_PRIVATE_AUTHENTICATION", Self::KsyunPrivateAuthentication),
        ("AZURE_SAS_TOKEN", Self::AzureSasToken),
        ("TENCENT_COS_A", Self::TencentCosA),
        ("TENCENT_COS_B", Self::TencentCosB),
        ("TENCENT_COS_C", Self::TencentCosC),
        ("TENCENT_COS_D", Self::TencentCosD),
    ];

    /// The scheme of this name, in any case: the reference itself writes one of them in two ways.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, scheme)| scheme)
    }

    /// The cloud whose CDN signs so; every CDN can do without.
    pub fn cloud(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::QiniuPrivateAuthentication => Some("Qiniu"),
            Self::AliyunOssA | Self::AliyunOssB | Self::AliyunOssC => Some("Aliyun"),
            Self::KsyunPrivateAuthentication => Some("KingsoftCloud"),
            Self::AzureSasToken => Some("Azure"),
            Self::TencentCosA | Self::TencentCosB | Self::TencentCosC | Self::TencentCosD => Some("Tencent"),
        }
    }

    /// Whether requests are signed with a key of the CDN's own. The reference excepts these three only; of Azure and
    /// Tencent it says nothing.
    pub fn needs_key(self) -> bool {
        !matches!(self, Self::None | Self::QiniuPrivateAuthentication | Self::KsyunPrivateAuthentication)
    }
}

/// What a request is signed with.
#[derive(Clone, Copy)]
pub struct Secrets<'s> {
    /// The key of the CDN; empty for schemes without one.
    pub key: &'s str,
    /// Access key of the source.
    pub access_key: &'s str,
    /// Secret key of the source.
    pub secret_key: &'s str,
}

/// What varies from request to request.
#[derive(Clone, Copy)]
pub struct Moment<'m> {
    /// Now; signatures expire some time later.
    pub now: Timestamp,
    /// A random word.
    pub nonce: &'m str,
}

/// How long a signature is good for where the request says so; elsewhere the CDN decides.
const VALIDITY: i64 = 1800;

/// What stays as it is in a path.
pub const IN_PATH: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'/');

/// Path and query of a signed request for `path` (percent-encoded, with its leading slash) of `base`
/// (`https://cdn.example.com`), behind which lies `bucket`.
pub fn signed(
    scheme: Scheme,
    secrets: Secrets<'_>,
    base: &str,
    bucket: &str,
    path: &str,
    moment: Moment<'_>,
) -> String {
    let key = secrets.key;
    let seconds = moment.now.as_second();
    let nonce = moment.nonce;
    // Both vendors count minutes in China's time.
    let minute =
        || moment.now.to_zoned(tz::TimeZone::fixed(tz::offset(8))).strftime("%Y%m%d%H%M").to_string();
    match scheme {
        Scheme::None => path.to_owned(),
        Scheme::AliyunOssA => {
            let hash = md5(&format!("{path}-{seconds}-{nonce}-0-{key}"));
            format!("{path}?auth_key={seconds}-{nonce}-0-{hash}")
        }
        Scheme::TencentCosA => {
            let hash = md5(&format!("{path}-{seconds}-{nonce}-0-{key}"));
            format!("{path}?sign={seconds}-{nonce}-0-{hash}")
        }
        Scheme::AliyunOssB | Scheme::TencentCosB => {
            let minute = minute();
            format!("/{minute}/{}{path}", md5(&format!("{key}{minute}{path}")))
        }
        Scheme::AliyunOssC => {
            format!("/{}/{seconds:x}{path}", md5(&format!("{key}{path}{seconds:x}")))
        }
        Scheme::TencentCosC => {
            format!("/{}/{seconds:x}{path}", md5(&format!("{key}{seconds:x}{path}")))
        }
        Scheme::TencentCosD => format!("{path}?sign={}&t={seconds}", md5(&format!("{key}{path}{seconds}"))),
        Scheme::AzureSasToken => format!("{path}?{}", key.trim_start_matches('?')),
        Scheme::QiniuPrivateAuthentication => {
            let asked = format!("{path}?e={}", seconds + VALIDITY);
            let signature = hmac_sha1(secrets.secret_key, &format!("{base}{asked}"));
            format!("{asked}&token={}:{}", secrets.access_key, URL_SAFE.encode(signature))
        }
        Scheme::KsyunPrivateAuthentication => {
            let expires = seconds + VALIDITY;
            let text = format!("GET\n\n\n{expires}\n/{bucket}{path}");
            let signature = STANDARD.encode(hmac_sha1(secrets.secret_key, &text));
            let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
            format!(
                "{path}?KSSAccessKeyId={}&Expires={expires}&Signature={}",
                encoded(secrets.access_key),
                encoded(&signature)
            )
        }
    }
}

fn md5(text: &str) -> String {
    HEXLOWER.encode(&Md5::digest(text))
}

fn hmac_sha1(key: &str, text: &str) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key.as_bytes());
    hmac::sign(&key, text.as_bytes()).as_ref().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64, nonce: &str) -> Moment<'_> {
        Moment { now: Timestamp::from_second(seconds).unwrap(), nonce }
    }

    fn sign(scheme: Scheme, key: &str, path: &str, moment: Moment<'_>) -> String {
        let secrets = Secrets { key, access_key: "MY_ACCESS_KEY", secret_key: "MY_SECRET_KEY" };
        signed(scheme, secrets, "http://78re52.com1.z0.glb.clouddn.com", "bucket", path, moment)
    }

    /// Examples of the vendors' documentation of URL authentication.
    #[test]
    fn the_examples_of_the_vendors_come_out_as_documented() {
        let (ali, tencent, pkey) =
            ("aliyuncdnexp1234", "DvYmqE81E1F9R791H6lmht", "dimtm5evg50ijsx2hvuwyfoiu65");
        let music = "/4/44/44c0909bcfc20a01afaf256ca99a8b8b.mp3";
        for (scheme, key, path, moment, expected) in [
            (
                Scheme::AliyunOssA,
                ali,
                "/video/standard/1K.html",
                at(1_444_435_200, "0"),
                "/video/standard/1K.html?auth_key=1444435200-0-0-80cd3862d699b7118eed99103f2a3a4f".to_owned(),
            ),
            (
                Scheme::AliyunOssB,
                ali,
                music,
                at(1_439_596_800, ""),
                format!("/201508150800/9044548ef1527deadafa49a890a377f0{music}"),
            ),
            (
                // The example has the same time in capital letters: a37fa50a5fb8f71214b1e7c95ec7a1bd.
                Scheme::AliyunOssC,
                ali,
                "/test.flv",
                at(0x55ce_8100, ""),
                format!("/{}/55ce8100/test.flv", md5("aliyuncdnexp1234/test.flv55ce8100")),
            ),
            (
                Scheme::TencentCosA,
                tencent,
                "/foo.jpg",
                at(1_721_028_437, "Kv4cPTAAP5YTi"),
                "/foo.jpg?sign=1721028437-Kv4cPTAAP5YTi-0-0fbdca749d7ab784750685347e42075c".to_owned(),
            ),
            (
                Scheme::TencentCosB,
                tencent,
                "/foo.jpg",
                at(1_721_028_780, ""),
                "/202407151533/d1f0b51c6894231fc12e054fcc7f0b3e/foo.jpg".to_owned(),
            ),
            (
                Scheme::TencentCosD,
                tencent,
                "/foo.jpg",
                at(1_721_029_907, ""),
                "/foo.jpg?sign=cadcec4a04e67b9c2abf4b61c642a0dd&t=1721029907".to_owned(),
            ),
            (
                Scheme::QiniuPrivateAuthentication,
                "",
                "/resource/flower.jpg",
                at(1_451_491_200 - VALIDITY, ""),
                "/resource/flower.jpg?e=1451491200&token=MY_ACCESS_KEY:438dd8pXocjYuF-6dTcKMtETB2g="
                    .to_owned(),
            ),
            (
                Scheme::AzureSasToken,
                "?sv=2022-11-02&se=2030-01-01T00%3A00%3A00Z&sig=x",
                "/a",
                at(0, ""),
                "/a?sv=2022-11-02&se=2030-01-01T00%3A00%3A00Z&sig=x".to_owned(),
            ),
            (Scheme::None, "", "/a", at(0, ""), "/a".to_owned()),
        ] {
            assert_eq!(sign(scheme, key, path, moment), expected, "{scheme:?}");
        }
        // The hash of each of the two examples that write the time otherwise than we do.
        assert_eq!(md5(&format!("{ali}/test.flv55CE8100")), "a37fa50a5fb8f71214b1e7c95ec7a1bd");
        assert_eq!(md5(&format!("{pkey}1582791032/test.jpg")), "ea68b93ac23ebbc6eebf7f163c6e9c4c");
    }

    #[test]
    fn every_scheme_is_found_by_its_name() {
        for (name, scheme) in Scheme::ALL {
            assert_eq!(serde_json::to_value(scheme).unwrap(), name);
            assert_eq!(Scheme::named(&name.to_lowercase()), Some(scheme));
        }
        assert_eq!(Scheme::named("ALIYUN_OSS_D"), None);
    }
}
