//! Looking into buckets through OMS, as it would see them during a migration (OMS API reference 5.6).

use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::check::{self, Checked};
use super::create::exposed;
use super::protection::{SourceCdn, SourceCdnWire};
use super::reply::{elements, texts};
use super::{Body, ListFile, Reply, body, lenient};

/// The most objects of one page (OMS API reference 5.6.1).
const LARGEST_PAGE: u32 = 100;

/// The most keys of a CDN check (OMS API reference 5.6.2).
const MOST_KEYS: usize = 100;

/// How OMS is to reach an account at a provider.
#[derive(Clone, Debug, Default)]
pub struct BucketAccess {
    /// Provider, such as `AWS`; `HuaweiCloud` is also known as `HEC` here. OMS would take none for Aliyun.
    pub cloud_type: String,
    /// Access key.
    pub ak: Option<SecretString>,
    /// Secret key.
    pub sk: Option<SecretString>,
    /// Azure: instead of keys.
    pub connection_string: Option<SecretString>,
    /// Google: the JSON text of the service account, instead of keys. Not for the check of a CDN.
    pub json_auth_file: Option<SecretString>,
    /// Tencent: APPID.
    pub app_id: Option<String>,
}

/// A page of a folder to list (OMS API reference 5.6.1).
#[derive(Clone, Debug, Default)]
pub struct ShowBucketObjects {
    /// Whose bucket.
    pub access: BucketAccess,
    /// Bucket.
    pub bucket: String,
    /// Region of the bucket, as [`RegionInfo::value`] names it.
    pub region: String,
    /// Folder, with a slash at the end; empty for the top.
    pub folder: String,
    /// Records per page, 1 to 100.
    pub page_size: u32,
    /// [`ObjectPage::next_marker`] of the page before; empty for the first.
    pub behind_filename: String,
}

/// A page of objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectPage {
    /// Objects and folders.
    pub records: Vec<ObjectRecord>,
    /// What to put into [`ShowBucketObjects::behind_filename`] for the next page; none after the last.
    pub next_marker: Option<String>,
}

/// An object or folder of a listing.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ObjectRecord {
    /// Its name. OMS does not say whether it begins with the folder.
    #[serde(deserialize_with = "lenient::required_text")]
    pub name: String,
    /// Size to show, such as `73.59 MB`, or `--`; nothing to count with.
    #[serde(default, deserialize_with = "lenient::text")]
    pub size: String,
}

/// A prefix to look for (OMS API reference 5.6.5).
#[derive(Clone, Debug, Default)]
pub struct CheckPrefix {
    /// Whose bucket.
    pub access: BucketAccess,
    /// Goes with temporary keys; of all looks into buckets only this one takes it.
    pub security_token: Option<SecretString>,
    /// Bucket.
    pub bucket: String,
    /// Region of the bucket.
    pub region: String,
    /// The prefix.
    pub prefix: String,
}

/// A CDN to try (OMS API reference 5.6.2).
#[derive(Clone, Debug, Default)]
pub struct ShowCdnInfo {
    /// Whose bucket; the access key is sent empty where there is none, as this call insists on it.
    pub access: BucketAccess,
    /// Bucket.
    pub bucket: String,
    /// Region of the bucket.
    pub region: String,
    /// The CDN.
    pub source_cdn: SourceCdn,
    /// Objects to fetch through it, up to 100; without any OMS chooses.
    pub keys: Vec<String>,
}

/// What came of trying a CDN. An answer with nothing but `false` in it is still an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct CdnCheck {
    /// Whether the CDN is the source's own provider's; need not be.
    #[serde(default, deserialize_with = "lenient::optional_flag")]
    pub is_same_cloud_type: Option<bool>,
    /// Whether objects can be fetched through it.
    #[serde(default, deserialize_with = "lenient::optional_flag")]
    pub is_download_available: Option<bool>,
    /// What was tried; nothing is proven when it is empty.
    #[serde(default, deserialize_with = "lenient::list")]
    pub checked_keys: Vec<CheckedKey>,
}

/// One object that was fetched through a CDN.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct CheckedKey {
    /// Its key.
    #[serde(deserialize_with = "lenient::required_text")]
    pub key: String,
    /// Whether it is the bucket's object.
    #[serde(default, deserialize_with = "lenient::optional_flag")]
    pub is_etag_matching: Option<bool>,
    /// Whether it was there.
    #[serde(default, deserialize_with = "lenient::optional_flag")]
    pub is_object_existing: Option<bool>,
}

/// Where a bucket lies (OMS API reference 5.6.4).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct BucketRegion {
    /// Region as tasks take it.
    #[serde(deserialize_with = "lenient::required_text")]
    pub id: String,
    /// Region to show.
    #[serde(default, deserialize_with = "lenient::text")]
    pub name: String,
    /// Whether OMS can migrate from there; none when it did not say.
    #[serde(default, deserialize_with = "lenient::optional_flag")]
    pub support: Option<bool>,
}

/// A URL list to check (OMS API reference 5.6.6).
#[derive(Clone, Debug, Default)]
pub struct CheckUrlSourceListFileFormat {
    /// Where the list lies.
    pub list_file: ListFile,
    /// Access key of the destination.
    pub ak: SecretString,
    /// Secret key of the destination.
    pub sk: SecretString,
    /// Region of the list's bucket.
    pub region: String,
}

/// The names of an account's buckets, from a bare array.
pub(in crate::oms) struct BucketNames(pub(in crate::oms) Vec<String>);

impl Reply for BucketNames {
    type Wire = Value;

    fn from_wire(wire: Value) -> Result<Self, &'static str> {
        texts(wire).map(Self).ok_or("no list of buckets")
    }
}

/// Whether a prefix is there; absent means no (OMS API reference 5.6.5).
pub(in crate::oms) struct PrefixFound(pub(in crate::oms) bool);

impl Reply for PrefixFound {
    type Wire = Value;

    fn from_wire(wire: Value) -> Result<Self, &'static str> {
        const NEITHER: &str = "neither that the prefix is there nor that it is not";
        let Value::Object(object) = wire else { return Err(NEITHER) };
        match object.get("exist") {
            // An error that came as a success is not a no.
            None | Some(Value::Null) if object.contains_key("error_code") => Err(NEITHER),
            None | Some(Value::Null) => Ok(Self(false)),
            Some(exist) => lenient::flag(exist).map(Self).ok_or(NEITHER),
        }
    }
}

impl Reply for ObjectPage {
    type Wire = Value;

    fn from_wire(wire: Value) -> Result<Self, &'static str> {
        const NO_PAGE: &str = "a page without objects";
        let Value::Object(mut page) = wire else { return Err(NO_PAGE) };
        let records =
            page.remove("records").ok_or(NO_PAGE).and_then(|records| elements(records).ok_or(NO_PAGE))?;
        let last = page.get("next_page").and_then(lenient::flag) == Some(false);
        let marker =
            page.get("next_marker").and_then(Value::as_str).filter(|marker| !last && !marker.is_empty());
        Ok(Self { records, next_marker: marker.map(str::to_owned) })
    }
}

impl Reply for BucketRegion {
    type Wire = Self;

    fn from_wire(wire: Self) -> Result<Self, &'static str> {
        Ok(wire)
    }
}

impl Reply for CdnCheck {
    type Wire = Self;

    fn from_wire(wire: Self) -> Result<Self, &'static str> {
        if wire.is_download_available.is_none() && wire.checked_keys.is_empty() {
            return Err("nothing about the CDN");
        }
        Ok(wire)
    }
}

impl BucketAccess {
    /// What would make OMS do something else than was meant.
    pub(in crate::oms) fn check(&self) -> Checked {
        check::filled("cloud_type", &self.cloud_type)
    }

    /// A body with nothing but the account.
    pub(in crate::oms) fn body(&self) -> Body {
        body(&self.wire())
    }

    /// A body with the account and a bucket.
    pub(in crate::oms) fn body_with_bucket(&self, bucket: &str) -> Body {
        body(&BucketWire { bucket_name: Some(bucket), ..self.wire() })
    }

    /// Everything in it that must never be printed.
    pub(in crate::oms) fn secrets(&self) -> Vec<&SecretString> {
        let secrets = [&self.ak, &self.sk, &self.connection_string, &self.json_auth_file];
        secrets.into_iter().flatten().collect()
    }

    fn wire(&self) -> BucketWire<'_> {
        BucketWire {
            cloud_type: &self.cloud_type,
            ak: exposed(self.ak.as_ref()),
            sk: exposed(self.sk.as_ref()),
            connection_string: exposed(self.connection_string.as_ref()),
            json_auth_file: exposed(self.json_auth_file.as_ref()),
            app_id: self.app_id.as_deref(),
            ..BucketWire::default()
        }
    }
}

impl ShowBucketObjects {
    /// What would make OMS do something else than was meant.
    pub(in crate::oms) fn check(&self) -> Checked {
        self.access.check()?;
        check::filled("bucket_name", &self.bucket)?;
        check::filled("data_center", &self.region)?;
        if !self.folder.is_empty() && !self.folder.ends_with('/') {
            return check::fault("file_path", "does not end with `/`");
        }
        if !(1..=LARGEST_PAGE).contains(&self.page_size) {
            return check::fault("page_size", "is not within 1 to 100");
        }
        Ok(())
    }

    /// The request body, keys included.
    pub(in crate::oms) fn body(&self) -> Body {
        body(&BucketWire {
            bucket_name: Some(&self.bucket),
            data_center: Some(&self.region),
            file_path: Some(&self.folder),
            page_size: Some(self.page_size),
            behind_filename: Some(&self.behind_filename),
            ..self.access.wire()
        })
    }
}

impl CheckPrefix {
    /// What would make OMS do something else than was meant.
    pub(in crate::oms) fn check(&self) -> Checked {
        self.access.check()?;
        check::filled("bucket_name", &self.bucket)?;
        check::filled("data_center", &self.region)
    }

    /// The request body, keys included.
    pub(in crate::oms) fn body(&self) -> Body {
        body(&BucketWire {
            bucket_name: Some(&self.bucket),
            data_center: Some(&self.region),
            file_name: Some(&self.prefix),
            security_token: exposed(self.security_token.as_ref()),
            ..self.access.wire()
        })
    }

    /// Everything in the request that must never be printed.
    pub(in crate::oms) fn secrets(&self) -> Vec<&SecretString> {
        self.access.secrets().into_iter().chain(&self.security_token).collect()
    }
}

impl ShowCdnInfo {
    /// What would make OMS do something else than was meant.
    pub(in crate::oms) fn check(&self) -> Checked {
        self.access.check()?;
        check::filled("bucket", &self.bucket)?;
        check::filled("region", &self.region)?;
        check::filled("domain", &self.source_cdn.domain)?;
        if self.access.json_auth_file.is_some() {
            return check::fault(
                "json_auth_file",
                "cannot be used here: OMS checks no CDN in front of Google",
            );
        }
        check::count("keys", self.keys.len(), 0..=MOST_KEYS)
    }

    /// The request body, keys included.
    pub(in crate::oms) fn body(&self) -> Body {
        let account = self.access.wire();
        body(&CdnWire {
            ak: account.ak.unwrap_or_default(),
            sk: account.sk.unwrap_or_default(),
            connection_string: account.connection_string,
            cloud_type: account.cloud_type,
            region: &self.region,
            app_id: account.app_id,
            bucket: &self.bucket,
            prefix: (!self.keys.is_empty()).then_some(KeysWire { keys: &self.keys }),
            source_cdn: self.source_cdn.wire(),
        })
    }

    /// Everything in the request that must never be printed.
    pub(in crate::oms) fn secrets(&self) -> Vec<&SecretString> {
        self.access.secrets().into_iter().chain(&self.source_cdn.authentication_key).collect()
    }
}

impl CheckUrlSourceListFileFormat {
    /// What would make OMS do something else than was meant.
    pub(in crate::oms) fn check(&self) -> Checked {
        check::filled("obs_bucket", &self.list_file.obs_bucket)?;
        check::filled("list_file_key", &self.list_file.list_file_key)?;
        check::filled("region", &self.region)?;
        check::secrets_filled(&[("ak", Some(&self.ak)), ("sk", Some(&self.sk))])
    }

    /// The request body, keys included.
    pub(in crate::oms) fn body(&self) -> Body {
        body(&UrlListWire {
            obs_bucket: &self.list_file.obs_bucket,
            list_file_key: &self.list_file.list_file_key,
            ak: self.ak.expose_secret(),
            sk: self.sk.expose_secret(),
            region: &self.region,
        })
    }

    /// Everything in the request that must never be printed.
    pub(in crate::oms) fn secrets(&self) -> Vec<&SecretString> {
        vec![&self.ak, &self.sk]
    }
}

#[derive(Default, Serialize)]
struct BucketWire<'a> {
    cloud_type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    ak: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sk: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    security_token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    connection_string: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    json_auth_file: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    app_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bucket_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data_center: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file_path: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    page_size: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    behind_filename: Option<&'a str>,
}

#[derive(Serialize)]
struct CdnWire<'a> {
    ak: &'a str,
    sk: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    connection_string: Option<&'a str>,
    cloud_type: &'a str,
    region: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    app_id: Option<&'a str>,
    bucket: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    prefix: Option<KeysWire<'a>>,
    source_cdn: SourceCdnWire<'a>,
}

#[derive(Serialize)]
struct KeysWire<'a> {
    keys: &'a [String],
}

#[derive(Serialize)]
struct UrlListWire<'a> {
    obs_bucket: &'a str,
    list_file_key: &'a str,
    ak: &'a str,
    sk: &'a str,
    region: &'a str,
}

#[cfg(test)]
#[path = "bucket_tests.rs"]
mod tests;
