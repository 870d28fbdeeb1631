//! What a new sync task is made of, and what starts one again.

use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};

use super::super::check::{self, Checked};
use super::super::create::exposed;
use super::super::protection::{Crypto, SourceCdn, SourceCdnWire};
use super::super::start::StartWire;
use super::super::{Body, Reply, body, lenient};

/// A sync task to create (OMS API reference 5.4.3). It starts by itself. Members that are `None` are not sent, so OMS's own
/// default holds. Permanent keys only: no security token, connection string or JSON file can be given.
#[derive(Clone, Debug, Default)]
pub struct CreateSyncTask {
    /// Provider, always sent: `AWS`, `Azure`, `Aliyun`, `Tencent`, `HuaweiCloud`, `QingCloud`, `KingsoftCloud`, `Baidu`,
    /// `Qiniu` or `UCloud`. OMS would take none for Aliyun.
    pub src_cloud_type: String,
    /// Region of the source bucket.
    pub src_region: String,
    /// Source bucket.
    pub src_bucket: String,
    /// Access key of the source.
    pub src_ak: SecretString,
    /// Secret key of the source.
    pub src_sk: SecretString,
    /// How OMS keeps the source's keys.
    pub src_crypto: Option<Crypto>,
    /// Access key of the destination.
    pub dst_ak: SecretString,
    /// Secret key of the destination.
    pub dst_sk: SecretString,
    /// How OMS keeps the destination's keys.
    pub dst_crypto: Option<Crypto>,
    /// Region of the destination bucket; the endpoint's.
    pub dst_region: String,
    /// Destination bucket.
    pub dst_bucket: String,
    /// Free text, at most 255 characters, without `< > ( ) " ' &`.
    pub description: Option<String>,
    /// Copy metadata; without it only Content-Type is. OMS's default is false.
    pub enable_metadata_migration: Option<bool>,
    /// Restore archived source objects first. OMS's default is false.
    pub enable_restore: Option<bool>,
    /// `STANDARD` (OMS's default), `IA`, `ARCHIVE`, `DEEP_ARCHIVE` or `SRC_STORAGE_MAPPING`.
    pub dst_storage_policy: Option<String>,
    /// Tencent: APPID.
    pub app_id: Option<String>,
    /// Fetch the objects of the source bucket through a CDN.
    pub source_cdn: Option<SourceCdn>,
    /// `size_last_modified` (OMS's default), `crc64` or `no_check`, which OMS calls `transmission` in this request alone and
    /// is sent so.
    pub consistency_check: Option<String>,
}

/// The answer to the creation of a sync task.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct CreatedSyncTask {
    /// ID of the new sync task; opaque.
    #[serde(deserialize_with = "lenient::required_text")]
    pub sync_task_id: String,
}

/// Keys for the start of a stopped sync task (OMS API reference 5.4.8): all of them, every time.
#[derive(Clone, Debug, Default)]
pub struct StartSyncTask {
    /// Access key of the source.
    pub src_ak: SecretString,
    /// Secret key of the source.
    pub src_sk: SecretString,
    /// How OMS keeps the source's keys.
    pub src_crypto: Option<Crypto>,
    /// Access key of the destination.
    pub dst_ak: SecretString,
    /// Secret key of the destination.
    pub dst_sk: SecretString,
    /// How OMS keeps the destination's keys.
    pub dst_crypto: Option<Crypto>,
    /// The key of the CDN, if the sync task has one that signs.
    pub source_cdn_authentication_key: Option<SecretString>,
    /// How OMS keeps the key of the CDN.
    pub source_cdn_crypto: Option<Crypto>,
}

impl Reply for CreatedSyncTask {
    type Wire = Self;

    fn from_wire(wire: Self) -> Result<Self, &'static str> {
        Ok(wire)
    }
}

impl CreateSyncTask {
    /// What would make OMS do something else than was meant.
    pub(in crate::oms) fn check(&self) -> Checked {
        let texts = [
            ("src_cloud_type", &self.src_cloud_type),
            ("src_region", &self.src_region),
            ("src_bucket", &self.src_bucket),
            ("dst_region", &self.dst_region),
            ("dst_bucket", &self.dst_bucket),
        ];
        texts.into_iter().try_for_each(|(field, text)| check::filled(field, text))?;
        check::secrets_filled(&[
            ("src_ak", Some(&self.src_ak)),
            ("src_sk", Some(&self.src_sk)),
            ("dst_ak", Some(&self.dst_ak)),
            ("dst_sk", Some(&self.dst_sk)),
        ])
    }

    /// The request body, keys included.
    pub(in crate::oms) fn body(&self) -> Body {
        let (src_crypto, dst_crypto) = (self.src_crypto.as_ref(), self.dst_crypto.as_ref());
        let consistency_check = match self.consistency_check.as_deref() {
            Some("no_check") => Some("transmission"),
            other => other,
        };
        body(&SyncWire {
            src_cloud_type: &self.src_cloud_type,
            src_region: &self.src_region,
            src_bucket: &self.src_bucket,
            src_ak: self.src_ak.expose_secret(),
            src_sk: self.src_sk.expose_secret(),
            src_crypto_type: Crypto::kind(src_crypto),
            src_kms_key_id: Crypto::key(src_crypto),
            dst_ak: self.dst_ak.expose_secret(),
            dst_sk: self.dst_sk.expose_secret(),
            dst_crypto_type: Crypto::kind(dst_crypto),
            dst_kms_key_id: Crypto::key(dst_crypto),
            dst_region: &self.dst_region,
            dst_bucket: &self.dst_bucket,
            description: self.description.as_deref(),
            enable_metadata_migration: self.enable_metadata_migration,
            enable_restore: self.enable_restore,
            dst_storage_policy: self.dst_storage_policy.as_deref(),
            app_id: self.app_id.as_deref(),
            source_cdn: self.source_cdn.as_ref().map(SourceCdn::wire),
            consistency_check,
        })
    }

    /// Everything in the request that must never be printed.
    pub(in crate::oms) fn secrets(&self) -> Vec<&SecretString> {
        let cdn = self.source_cdn.iter().filter_map(|cdn| cdn.authentication_key.as_ref());
        [&self.src_ak, &self.src_sk, &self.dst_ak, &self.dst_sk].into_iter().chain(cdn).collect()
    }
}

impl StartSyncTask {
    /// What would make OMS do something else than was meant.
    pub(in crate::oms) fn check(&self) -> Checked {
        check::secrets_filled(&[
            ("src_ak", Some(&self.src_ak)),
            ("src_sk", Some(&self.src_sk)),
            ("dst_ak", Some(&self.dst_ak)),
            ("dst_sk", Some(&self.dst_sk)),
        ])
    }

    /// The request body, keys included.
    pub(in crate::oms) fn body(&self) -> Body {
        let [src_crypto, dst_crypto, source_cdn_crypto] =
            [&self.src_crypto, &self.dst_crypto, &self.source_cdn_crypto].map(Option::as_ref);
        body(&StartWire {
            src_ak: Some(self.src_ak.expose_secret()),
            src_sk: Some(self.src_sk.expose_secret()),
            dst_ak: self.dst_ak.expose_secret(),
            dst_sk: self.dst_sk.expose_secret(),
            source_cdn_authentication_key: exposed(self.source_cdn_authentication_key.as_ref()),
            src_crypto_type: Crypto::kind(src_crypto),
            src_kms_key_id: Crypto::key(src_crypto),
            dst_crypto_type: Crypto::kind(dst_crypto),
            dst_kms_key_id: Crypto::key(dst_crypto),
            source_cdn_crypto_type: Crypto::kind(source_cdn_crypto),
            source_cdn_kms_key_id: Crypto::key(source_cdn_crypto),
            ..StartWire::default()
        })
    }

    /// Everything in the request that must never be printed.
    pub(in crate::oms) fn secrets(&self) -> Vec<&SecretString> {
        let always = [&self.src_ak, &self.src_sk, &self.dst_ak, &self.dst_sk];
        always.into_iter().chain(&self.source_cdn_authentication_key).collect()
    }
}

#[derive(Serialize)]
struct SyncWire<'a> {
    src_cloud_type: &'a str,
    src_region: &'a str,
    src_bucket: &'a str,
    src_ak: &'a str,
    src_sk: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    src_crypto_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    src_kms_key_id: Option<&'a str>,
    dst_ak: &'a str,
    dst_sk: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    dst_crypto_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dst_kms_key_id: Option<&'a str>,
    dst_region: &'a str,
    dst_bucket: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    enable_metadata_migration: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    enable_restore: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dst_storage_policy: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    app_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_cdn: Option<SourceCdnWire<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    consistency_check: Option<&'a str>,
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn request() -> CreateSyncTask {
        CreateSyncTask {
            src_cloud_type: "Aliyun".into(),
            src_region: "cn-beijing".into(),
            src_bucket: "api-auto-test1".into(),
            src_ak: "planted-1".into(),
            src_sk: "planted-2".into(),
            dst_ak: "planted-3".into(),
            dst_sk: "planted-4".into(),
            dst_region: "cn-north-4".into(),
            dst_bucket: "oms-sonar-north".into(),
            description: Some("XXXX".into()),
            enable_restore: Some(false),
            enable_metadata_migration: Some(false),
            ..CreateSyncTask::default()
        }
    }

    #[test]
    fn the_documented_sync_task_is_sent_as_it_is_printed() {
        let body: Value = serde_json::from_slice(&request().body()).unwrap();
        assert_eq!(
            body,
            json!({
                "src_cloud_type": "Aliyun", "src_region": "cn-beijing", "src_bucket": "api-auto-test1",
                "src_ak": "planted-1", "src_sk": "planted-2", "dst_ak": "planted-3", "dst_sk": "planted-4",
                "dst_region": "cn-north-4", "dst_bucket": "oms-sonar-north", "description": "XXXX",
                "enable_restore": false, "enable_metadata_migration": false,
            })
        );
        assert_eq!(request().check(), Ok(()));
    }

    #[test]
    fn no_check_travels_under_the_name_of_this_request() {
        for (given, sent) in
            [("no_check", "transmission"), ("transmission", "transmission"), ("crc64", "crc64")]
        {
            let request = CreateSyncTask { consistency_check: Some(given.into()), ..request() };
            let body: Value = serde_json::from_slice(&request.body()).unwrap();
            assert_eq!(body["consistency_check"], sent);
        }
    }

    #[test]
    fn every_key_of_a_sync_task_is_on_the_list_of_secrets() {
        let mut request = request();
        request.source_cdn =
            Some(SourceCdn { authentication_key: Some("planted-5".into()), ..SourceCdn::default() });
        request.src_crypto = Some(Crypto { crypto_type: "KMS".into(), kms_key_id: Some("key".into()) });
        let start = StartSyncTask {
            src_ak: "planted-1".into(),
            src_sk: "planted-2".into(),
            dst_ak: "planted-3".into(),
            dst_sk: "planted-4".into(),
            source_cdn_authentication_key: Some("planted-5".into()),
            ..StartSyncTask::default()
        };
        for (body, secrets) in [(request.body(), request.secrets()), (start.body(), start.secrets())] {
            let body = String::from_utf8(body.to_vec()).unwrap();
            let secrets: Vec<_> = secrets.iter().map(|secret| secret.expose_secret()).collect();
            assert_eq!((secrets.len(), body.matches("planted").count()), (5, 5), "{body}");
            for number in 1..=5 {
                assert!(secrets.contains(&format!("planted-{number}").as_str()), "{number}");
            }
        }
        assert!(!format!("{request:?} {start:?}").contains("planted"));
    }

    #[test]
    fn a_start_sends_all_keys_and_nothing_of_other_tasks() {
        let start = StartSyncTask {
            src_ak: "src_ak".into(),
            src_sk: "src_sk".into(),
            dst_ak: "dst_ak".into(),
            dst_sk: "dst_sk".into(),
            ..StartSyncTask::default()
        };
        let body: Value = serde_json::from_slice(&start.body()).unwrap();
        let documented =
            json!({"src_ak": "src_ak", "src_sk": "src_sk", "dst_ak": "dst_ak", "dst_sk": "dst_sk"});
        assert_eq!(body, documented);
        assert_eq!(start.check(), Ok(()));
        assert_eq!(StartSyncTask::default().check().unwrap_err().field, "src_ak");
    }

    #[test]
    fn what_has_to_be_there_is_there() {
        let faulty = [
            (CreateSyncTask { src_cloud_type: String::new(), ..request() }, "src_cloud_type"),
            (CreateSyncTask { src_bucket: String::new(), ..request() }, "src_bucket"),
            (CreateSyncTask { dst_bucket: String::new(), ..request() }, "dst_bucket"),
            (CreateSyncTask { dst_region: String::new(), ..request() }, "dst_region"),
            (CreateSyncTask { dst_sk: "".into(), ..request() }, "dst_sk"),
        ];
        for (request, field) in faulty {
            assert_eq!(request.check().unwrap_err().field, field);
        }
    }
}
