//! Requests about buckets (OMS API reference 5.6). The same thing has other names in other operations.

use serde_json::Value;

use super::source::{Cdn, SourceCredentials, SourceKeys, read_crypto, read_pair};
use crate::emulator::{
    clouds::Cloud,
    mover::{Keys, ListFile},
    wire::{
        members::Members,
        refusal::{INVALID_SOURCE, Refusal},
    },
};

/// The source side of a request: a cloud and what opens it.
#[derive(Clone, Debug)]
pub struct Account {
    /// The cloud, in the spelling of the tasks API.
    pub cloud_type: &'static str,
    /// What opens it.
    pub keys: SourceKeys,
}

/// Body of ShowBucketRegion.
#[derive(Clone, Debug)]
pub struct ShowBucketRegion {
    /// Whose bucket.
    pub account: Account,
    /// The bucket.
    pub bucket: String,
}

/// Body of CheckPrefix.
#[derive(Clone, Debug)]
pub struct CheckPrefix {
    /// Whose bucket.
    pub account: Account,
    /// The region.
    pub region: String,
    /// The bucket.
    pub bucket: String,
    /// `file_name`.
    pub prefix: String,
}

/// Body of ShowBucketObjects.
#[derive(Clone, Debug)]
pub struct ShowBucketObjects {
    /// Whose bucket.
    pub account: Account,
    /// The region.
    pub region: String,
    /// The bucket.
    pub bucket: String,
    /// `file_path`: ends with `/`, or is empty for the bucket itself.
    pub folder: String,
    /// `behind_filename`: the last name of the page before, or empty.
    pub behind: String,
    /// `page_size`: 0 to 100.
    pub page_size: u16,
}

/// Body of ShowCdnInfo.
#[derive(Clone, Debug)]
pub struct ShowCdnInfo {
    /// Whose bucket.
    pub account: Account,
    /// The region.
    pub region: String,
    /// The bucket.
    pub bucket: String,
    /// The keys to look at; none were given where it is empty.
    pub keys: Vec<String>,
    /// The CDN in front of the bucket.
    pub cdn: Cdn,
    /// Its key.
    pub cdn_key: Option<secrecy::SecretString>,
}

/// Body of CheckUrlSourceListFileFormat.
#[derive(Clone, Debug)]
pub struct CheckUrlList {
    /// The region of the list's bucket.
    pub region: String,
    /// The list.
    pub list: ListFile,
    /// Keys of the destination.
    pub keys: Keys,
}

impl Account {
    /// Reads the body of ShowBucketList.
    pub fn read(body: &Value) -> Result<Self, Refusal> {
        Self::of(&Members::of(body)?, None)
    }

    fn of(members: &Members<'_>, token: Option<&str>) -> Result<Self, Refusal> {
        // The reference gives a default and calls it mandatory all the same.
        members.required_text("cloud_type", 100)?;
        let words: Vec<&str> = Cloud::names(|_| true).into_iter().chain(["HEC"]).collect();
        let cloud = members
            .word("cloud_type", &words)?
            .and_then(Cloud::spelled)
            .filter(|cloud| cloud.has_buckets())
            .ok_or_else(|| members.refuse("cloud_type"))?;
        let cloud_type = cloud.name;
        let credentials = SourceCredentials::read(members, ("ak", "sk", token), 0)?;
        let app_id = members.text("app_id", 255)?.unwrap_or_default();
        if cloud.needs_app_id && app_id.is_empty() {
            return Err(INVALID_SOURCE.with_detail("request parameter [app_id] is required for Tencent."));
        }
        Ok(Self { cloud_type, keys: credentials.keys(cloud_type)? })
    }
}

impl ShowBucketRegion {
    /// Reads a request.
    pub fn read(body: &Value) -> Result<Self, Refusal> {
        let members = Members::of(body)?;
        Ok(Self {
            bucket: members.required_text("bucket_name", 100)?.to_owned(),
            account: Account::of(&members, None)?,
        })
    }
}

impl CheckPrefix {
    /// Reads a request; the only one about buckets that takes temporary keys.
    pub fn read(body: &Value) -> Result<Self, Refusal> {
        let members = Members::of(body)?;
        Ok(Self {
            bucket: members.required_text("bucket_name", 100)?.to_owned(),
            region: members.required_text("data_center", 100)?.to_owned(),
            prefix: members.present_text("file_name", 1024)?.to_owned(),
            account: Account::of(&members, Some("security_token"))?,
        })
    }
}

impl ShowBucketObjects {
    /// Reads a request.
    pub fn read(body: &Value) -> Result<Self, Refusal> {
        let members = Members::of(body)?;
        let folder = members.present_text("file_path", 1023)?;
        if !folder.is_empty() && !folder.ends_with('/') {
            return Err(members.refuse("file_path"));
        }
        let page_size = members
            .integer("page_size")?
            .and_then(|size| u16::try_from(size).ok())
            .filter(|size| *size <= 100)
            .ok_or_else(|| members.refuse("page_size"))?;
        Ok(Self {
            bucket: members.required_text("bucket_name", 100)?.to_owned(),
            region: members.required_text("data_center", 100)?.to_owned(),
            folder: folder.to_owned(),
            behind: members.present_text("behind_filename", 1024)?.to_owned(),
            page_size,
            account: Account::of(&members, None)?,
        })
    }
}

impl ShowCdnInfo {
    /// Reads a request. Google is not in its table.
    pub fn read(body: &Value) -> Result<Self, Refusal> {
        let members = Members::of(body)?;
        if members.text("cloud_type", 100)? == Some("Google") {
            return Err(members.refuse("cloud_type"));
        }
        // Mandatory whatever the cloud; an empty text is within the documented length.
        members.present_text("ak", 100)?;
        members.present_text("sk", 100)?;
        let bucket = members.required_text("bucket", 100)?.to_owned();
        let region = members.required_text("region", 100)?.to_owned();
        let account = Account::of(&members, None)?;
        let keys = match members.object("prefix")? {
            None => Vec::new(),
            Some(prefix) => prefix.texts("keys", 100, 2048)?.ok_or_else(|| prefix.refuse("keys"))?,
        };
        let source_cdn = members.required_object("source_cdn")?;
        source_cdn.required_text("authentication_type", 64)?;
        // A check keeps no credentials, so how they would be kept only has to make sense.
        read_crypto(&source_cdn, "")?;
        let (cdn, cdn_key) = Cdn::read(&members)?;
        let cdn = cdn.ok_or_else(|| members.refuse("source_cdn"))?;
        Ok(Self { account, region, bucket, keys, cdn, cdn_key })
    }
}

impl CheckUrlList {
    /// Reads a request.
    pub fn read(body: &Value) -> Result<Self, Refusal> {
        let members = Members::of(body)?;
        let bucket = members.required_text("obs_bucket", 1024)?.to_owned();
        let key = members.required_text("list_file_key", 1024)?.to_owned();
        let region = members.required_text("region", 100)?.to_owned();
        members.required_text("ak", 100)?;
        members.required_text("sk", 100)?;
        let keys = read_pair(&members, ("ak", "sk", None), 1)?.ok_or_else(|| members.refuse("ak"))?;
        Ok(Self { region, list: ListFile { bucket, key }, keys })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn code<T>(read: Result<T, Refusal>) -> String {
        read.map_or_else(|refusal| refusal.code.into_owned(), |_| "ok".to_owned())
    }

    #[test]
    fn every_cloud_brings_what_opens_it() {
        let keys = json!({ "ak": "a", "sk": "s" });
        for (cloud, more, expected) in [
            ("AWS", keys.clone(), "ok"),
            ("HEC", keys.clone(), "ok"),
            ("AWS", json!({ "ak": "a" }), "OMS.0057"),
            ("AWS", json!({ "ak": "a".repeat(101), "sk": "s" }), "OMS.0064"),
            ("AWS", json!({ "connection_string": "c" }), "OMS.0057"),
            ("Azure", json!({ "connection_string": "c" }), "ok"),
            ("Azure", keys.clone(), "ok"),
            ("Google", json!({ "json_auth_file": "{}" }), "ok"),
            ("Google", json!({ "json_auth_file": "x".repeat(65_536) }), "OMS.0064"),
            ("Tencent", keys.clone(), "OMS.0057"),
            ("Tencent", json!({ "ak": "a", "sk": "s", "app_id": "1250000000" }), "ok"),
            ("URLSource", keys.clone(), "OMS.0064"),
            ("aws", keys.clone(), "OMS.0064"),
        ] {
            let mut body = more;
            body["cloud_type"] = json!(cloud);
            assert_eq!(code(Account::read(&body)), expected, "{body}");
        }
        assert_eq!(code(Account::read(&keys)), "OMS.0064", "the cloud is mandatory");
    }

    #[test]
    fn a_page_of_a_folder_names_everything() {
        let whole = json!({
            "cloud_type": "AWS", "ak": "a", "sk": "s", "bucket_name": "b", "data_center": "r",
            "file_path": "A/", "behind_filename": "", "page_size": 100,
        });
        assert_eq!(code(ShowBucketObjects::read(&whole)), "ok");
        for (name, value, expected) in [
            ("file_path", json!(""), "ok"),
            ("page_size", json!(0), "ok"),
            ("file_path", json!("A"), "OMS.0064"),
            ("file_path", Value::Null, "OMS.0064"),
            ("behind_filename", Value::Null, "OMS.0064"),
            ("behind_filename", json!("x".repeat(1025)), "OMS.0064"),
            ("page_size", json!(101), "OMS.0064"),
            ("page_size", json!(-1), "OMS.0064"),
            ("page_size", json!("10"), "OMS.0064"),
            ("page_size", Value::Null, "OMS.0064"),
            ("bucket_name", json!(""), "OMS.0064"),
            ("bucket_name", json!("b".repeat(101)), "OMS.0064"),
            ("data_center", Value::Null, "OMS.0064"),
        ] {
            let mut body = whole.clone();
            body[name] = value;
            assert_eq!(code(ShowBucketObjects::read(&body)), expected, "{body}");
        }
    }

    #[test]
    fn only_a_prefix_check_takes_temporary_keys() {
        let body = json!({
            "cloud_type": "AWS", "ak": "a", "sk": "s", "bucket_name": "b", "data_center": "r", "file_name": "",
            "security_token": "t",
        });
        let token = |keys: SourceKeys| match keys {
            SourceKeys::Pair(keys) => keys.security_token.is_some(),
            _ => unreachable!(),
        };
        assert!(token(CheckPrefix::read(&body).unwrap().account.keys));
        assert!(!token(ShowBucketRegion::read(&body).unwrap().account.keys));
    }

    #[test]
    fn a_cdn_check_wants_keys_and_a_cdn() {
        let whole = json!({
            "cloud_type": "Aliyun", "ak": "a", "sk": "s", "bucket": "b", "region": "r",
            "source_cdn": { "protocol": "https", "domain": "d", "authentication_type": "NONE" },
        });
        assert_eq!(code(ShowCdnInfo::read(&whole)), "ok");
        let cdn = |kind: Value| json!({ "protocol": "https", "domain": "d", "authentication_type": kind });
        for (name, value, expected) in [
            ("ak", Value::Null, "OMS.0064"),
            ("cloud_type", json!("Google"), "OMS.0064"),
            ("source_cdn", Value::Null, "OMS.0064"),
            ("source_cdn", cdn(Value::Null), "OMS.0064"),
            ("source_cdn", cdn(json!("ALIYUN_OSS_A")), "OMS.1032"),
            ("prefix", json!({}), "OMS.0064"),
            ("prefix", json!({ "keys": vec!["k"; 101] }), "OMS.0064"),
            ("prefix", json!({ "keys": ["a", "b"] }), "ok"),
        ] {
            let mut body = whole.clone();
            body[name] = value;
            assert_eq!(code(ShowCdnInfo::read(&body)), expected, "{body}");
        }
    }
}
