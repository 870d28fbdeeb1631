//! Requests about synchronization tasks (OMS API reference 5.4). They are flat, and refused with codes of their own.

use percent_encoding::percent_decode_str;

use super::source::{Cdn, has_crc64, read_crypto, read_pair, read_secret};
use crate::emulator::{
    cdn::sign::Scheme,
    clouds::Cloud,
    config::{Limits, SyncBehaviour},
    mover::{ConsistencyCheck, Keys, StoragePolicy},
    sync::{
        statistics::Series,
        task::{SyncDefinition, SyncKeys, SyncStatus},
    },
    wire::{
        members::{Codes, Flaw, Members, Parameters},
        refusal::{CDN_KEY_MISSING, DESCRIPTION_CHARACTERS, MIGRATION_POLICY, RESTORE_UNSUPPORTED, Refusal},
    },
};

/// Body of CreateSyncTask.
#[derive(Clone, Debug)]
pub struct CreateSyncTask {
    /// What is fixed for good.
    pub definition: SyncDefinition,
    /// Secrets.
    pub keys: SyncKeys,
    /// KMS keys that the secrets are to be kept with.
    pub kms_keys: Vec<String>,
}

/// Query of ListSyncTasks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListSyncTasks {
    /// Only in this state.
    pub status: Option<SyncStatus>,
    /// Page size.
    pub limit: usize,
    /// Records to skip.
    pub offset: usize,
}

/// Query of ListSyncTaskStatistic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListSyncTaskStatistic {
    /// The series, in the order in which they were asked for.
    pub series: Vec<Series>,
    /// Milliseconds since the epoch.
    pub start: i64,
    /// Milliseconds since the epoch; does not belong to the span.
    pub end: i64,
}

/// What a description must not contain (OMS.0078).
const FORBIDDEN_IN_DESCRIPTION: &[char] = &['<', '>', '(', ')', '"', '\'', '&'];

/// Longest encoded key of an event (OMS API reference 5.4.1).
const LONGEST_EVENT_KEY: usize = 16_384;

impl CreateSyncTask {
    /// Reads and checks a request.
    pub fn read(body: &[u8], behaviour: &SyncBehaviour) -> Result<Self, Refusal> {
        let body = Codes::Specific.parse(body)?;
        let members = Members::with_codes(&body, Codes::Specific)?;
        let cloud_type =
            members.word("src_cloud_type", &Cloud::names(|cloud| cloud.can_sync))?.unwrap_or("Aliyun");
        let source_region = members.required_text("src_region", 100)?;
        let source_bucket = members.required_text("src_bucket", 1024)?;
        let destination_region = members.required_text("dst_region", 100)?;
        let destination_bucket = members.required_text("dst_bucket", 1024)?;
        let description = members.text("description", 255)?.unwrap_or_default();
        if description.contains(FORBIDDEN_IN_DESCRIPTION) {
            return Err(DESCRIPTION_CHARACTERS.with_detail("request parameter [description] invalid."));
        }
        let app_id = members.text("app_id", 255)?.unwrap_or_default();
        if Cloud::named(cloud_type).is_some_and(|cloud| cloud.needs_app_id) && app_id.is_empty() {
            return Err(members.refuse_for(Flaw::Missing, "app_id"));
        }
        let enable_restore = members.flag("enable_restore", false)?;
        if enable_restore && behaviour.cannot_restore(cloud_type) {
            return Err(RESTORE_UNSUPPORTED);
        }
        let consistency_check = read_consistency_check(&members)?;
        if consistency_check == ConsistencyCheck::Crc64 && !has_crc64(cloud_type) {
            return Err(MIGRATION_POLICY);
        }
        let (cdn, cdn_key, cdn_kms_key) = read_cdn(&members)?;
        let keys = SyncKeys {
            source: required_pair(&members, "src_ak", "src_sk")?,
            destination: required_pair(&members, "dst_ak", "dst_sk")?,
            cdn: cdn_key,
        };
        let kms_keys = [read_kms_key(&members, "src_")?, read_kms_key(&members, "dst_")?, cdn_kms_key];
        Ok(Self {
            definition: SyncDefinition {
                cloud_type: cloud_type.to_owned(),
                source_region: source_region.to_owned(),
                source_bucket: source_bucket.to_owned(),
                app_id: app_id.to_owned(),
                destination_region: destination_region.to_owned(),
                destination_bucket: destination_bucket.to_owned(),
                description: description.to_owned(),
                enable_metadata_migration: members.flag("enable_metadata_migration", false)?,
                enable_restore,
                storage_policy: read_storage_policy(&members)?,
                consistency_check,
                cdn,
                enable_kms: members.flag("enable_kms", false)?,
            },
            keys,
            kms_keys: kms_keys.into_iter().flatten().collect(),
        })
    }
}

/// Reads the body of StartSyncTask: all secrets, again, for a task of this definition, and the KMS keys that they are to
/// be kept with.
pub fn read_sync_start(body: &[u8], definition: &SyncDefinition) -> Result<(SyncKeys, Vec<String>), Refusal> {
    let body = Codes::Specific.parse(body)?;
    let members = Members::with_codes(&body, Codes::Specific)?;
    let keys = SyncKeys {
        source: required_pair(&members, "src_ak", "src_sk")?,
        destination: required_pair(&members, "dst_ak", "dst_sk")?,
        cdn: read_secret(&members, "source_cdn_authentication_key")?,
    };
    let kms_keys = ["src_", "dst_", "source_cdn_"].map(|prefix| read_kms_key(&members, prefix));
    let kms_keys = kms_keys.into_iter().filter_map(Result::transpose).collect::<Result<_, _>>()?;
    if keys.cdn.is_none() && definition.cdn.as_ref().is_some_and(needs_key) {
        return Err(CDN_KEY_MISSING);
    }
    Ok((keys, kms_keys))
}

/// Reads the body of CreateSyncEvents: the decoded keys.
pub fn read_sync_events(
    body: &[u8],
    limits: &Limits,
    behaviour: &SyncBehaviour,
) -> Result<Vec<String>, Refusal> {
    let body = Codes::Specific.parse(body)?;
    let members = Members::with_codes(&body, Codes::Specific)?;
    let keys = members
        .texts("object_keys", limits.sync_event_objects, LONGEST_EVENT_KEY)?
        .ok_or_else(|| members.refuse_for(Flaw::Missing, "object_keys"))?;
    if keys.is_empty() {
        return Err(members.refuse("object_keys"));
    }
    keys.iter()
        .map(|key| decode_key(key, behaviour.plus_is_space).ok_or_else(|| members.refuse("object_keys")))
        .collect()
}

/// The key behind its URL encoding. `None`: a malformed escape, no UTF-8, or nothing at all.
fn decode_key(encoded: &str, plus_is_space: bool) -> Option<String> {
    let escapes_are_whole = encoded
        .split('%')
        .skip(1)
        .all(|rest| rest.as_bytes().get(..2).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)));
    if encoded.is_empty() || !escapes_are_whole {
        return None;
    }
    let spaced = if plus_is_space { encoded.replace('+', " ") } else { encoded.to_owned() };
    percent_decode_str(&spaced).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}

impl ListSyncTasks {
    /// Reads a query. The offset ends much sooner than that of ListTasks.
    pub fn read(query: &str) -> Result<Self, Refusal> {
        let query = Parameters::of(query, Codes::Specific);
        let status = match query.get("status") {
            None => None,
            Some("SYNCHRONIZING") => Some(SyncStatus::Synchronizing),
            Some("STOPPED") => Some(SyncStatus::Stopped),
            Some(_) => return Err(query.refuse(Flaw::Constraint, "status")),
        };
        let number = |name, range, default| {
            query.number(name, range).map(|number| usize::try_from(number.unwrap_or(default)).unwrap_or(0))
        };
        Ok(Self { status, limit: number("limit", 1..=100, 10)?, offset: number("offset", 0..=10_000, 0)? })
    }
}

/// Reads the query of ShowSyncTask: a moment in the month to show, in milliseconds since the epoch.
pub fn read_query_time(query: &str) -> Result<i64, Refusal> {
    Parameters::of(query, Codes::Specific).required_number("query_time")
}

impl ListSyncTaskStatistic {
    /// Reads a query.
    pub fn read(query: &str) -> Result<Self, Refusal> {
        let query = Parameters::of(query, Codes::Specific);
        let mut series = Vec::new();
        for name in query.required("data_type")?.split(',') {
            let named = Series::named(name).ok_or_else(|| query.refuse(Flaw::Constraint, "data_type"))?;
            if !series.contains(&named) {
                series.push(named);
            }
        }
        let (start, end) = (query.required_number("start_time")?, query.required_number("end_time")?);
        if end < start {
            return Err(query.refuse(Flaw::Constraint, "end_time"));
        }
        Ok(Self { series, start, end })
    }
}

/// Keys are always needed, and always permanent: there is no member for a token.
fn required_pair(members: &Members<'_>, access: &str, secret: &str) -> Result<Keys, Refusal> {
    members.required_text(access, 100)?;
    members.required_text(secret, 100)?;
    read_pair(members, (access, secret, None), 1)?.ok_or_else(|| members.refuse_for(Flaw::Missing, access))
}

/// The request says `transmission` for what answers call `no_check`; clients mix them up.
fn read_consistency_check(members: &Members<'_>) -> Result<ConsistencyCheck, Refusal> {
    let words = ["size_last_modified", "crc64", "transmission", "no_check"];
    Ok(match members.word("consistency_check", &words)? {
        Some("crc64") => ConsistencyCheck::Crc64,
        Some("transmission" | "no_check") => ConsistencyCheck::NoCheck,
        _ => ConsistencyCheck::SizeLastModified,
    })
}

fn read_storage_policy(members: &Members<'_>) -> Result<Option<StoragePolicy>, Refusal> {
    let words = ["STANDARD", "IA", "ARCHIVE", "DEEP_ARCHIVE", "SRC_STORAGE_MAPPING"];
    Ok(members.word("dst_storage_policy", &words)?.map(|word| match word {
        "IA" => StoragePolicy::Ia,
        "ARCHIVE" => StoragePolicy::Archive,
        "DEEP_ARCHIVE" => StoragePolicy::DeepArchive,
        "SRC_STORAGE_MAPPING" => StoragePolicy::SrcStorageMapping,
        _ => StoragePolicy::Standard,
    }))
}

/// A CDN that demands a signature needs its key.
fn needs_key(cdn: &Cdn) -> bool {
    Scheme::named(&cdn.authentication_type).is_some_and(Scheme::needs_key)
}

/// The CDN, its key, and the KMS key that it is to be kept with.
type ReadCdn = (Option<Cdn>, Option<secrecy::SecretString>, Option<String>);

fn read_cdn(members: &Members<'_>) -> Result<ReadCdn, Refusal> {
    let mut kms_key = None;
    if let Some(cdn) = members.object("source_cdn")? {
        // The reference gives a default and calls it mandatory all the same.
        cdn.required_text("authentication_type", 64)?;
        kms_key = read_kms_key(&cdn, "")?;
    }
    let (cdn, key) = Cdn::read(members)?;
    if key.is_none() && cdn.as_ref().is_some_and(needs_key) {
        return Err(CDN_KEY_MISSING);
    }
    Ok((cdn, key, kms_key))
}

/// The KMS key of one set of credentials, whose ID has 36 characters; `None` for the service's own means.
fn read_kms_key(members: &Members<'_>, prefix: &str) -> Result<Option<String>, Refusal> {
    let id = read_crypto(members, prefix)?;
    let key = format!("{prefix}kms_key_id");
    match id.as_ref().map(|id| id.chars().count()) {
        Some(0) => Err(members.refuse_for(Flaw::Missing, &key)),
        Some(length) if length != 36 => Err(members.refuse(&key)),
        _ => Ok(id),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn body() -> Value {
        json!({
            "src_cloud_type": "AWS", "src_region": "eu-west-1", "src_bucket": "b", "src_ak": "a", "src_sk": "s",
            "dst_region": "cn-north-4", "dst_bucket": "d", "dst_ak": "a", "dst_sk": "s", "enable_kms": false,
        })
    }

    fn create(changes: Value) -> Result<CreateSyncTask, Refusal> {
        let mut body = body();
        for (name, value) in changes.as_object().unwrap() {
            body[name] = value.clone();
        }
        let behaviour = SyncBehaviour { without_restore: vec!["Baidu".to_owned()], ..Default::default() };
        CreateSyncTask::read(body.to_string().as_bytes(), &behaviour)
    }

    #[test]
    fn a_create_has_the_documented_defaults() {
        let definition = create(json!({ "src_cloud_type": null, "unknown": 1 })).unwrap().definition;
        assert_eq!(definition.cloud_type, "Aliyun");
        assert_eq!(definition.consistency_check, ConsistencyCheck::SizeLastModified);
        assert_eq!((definition.storage_policy, definition.cdn), (None, None));
        for word in ["transmission", "no_check"] {
            let definition = create(json!({ "consistency_check": word })).unwrap().definition;
            assert_eq!(definition.consistency_check, ConsistencyCheck::NoCheck);
        }
    }

    #[test]
    fn what_is_wrong_with_a_create_has_its_code() {
        let cdn = |kind: &str, key: Value| json!({ "source_cdn": { "domain": "d", "protocol": "https", "authentication_type": kind, "authentication_key": key } });
        for (changes, code) in [
            (json!({ "src_bucket": null }), "OMS.1004"),
            (json!({ "src_bucket": 5 }), "OMS.1002"),
            (json!({ "src_bucket": "" }), "OMS.1003"),
            (json!({ "src_bucket": "b".repeat(1025) }), "OMS.1003"),
            (json!({ "src_region": "r".repeat(101) }), "OMS.1003"),
            (json!({ "dst_sk": null }), "OMS.1004"),
            (json!({ "dst_sk": "s".repeat(101) }), "OMS.1003"),
            (json!({ "src_cloud_type": "Google" }), "OMS.1003"),
            (json!({ "src_cloud_type": "URLSource" }), "OMS.1003"),
            (json!({ "src_cloud_type": "aws" }), "OMS.1003"),
            (json!({ "src_cloud_type": "Tencent" }), "OMS.1004"),
            (json!({ "description": "d".repeat(256) }), "OMS.1003"),
            (json!({ "description": "it's" }), "OMS.0078"),
            (json!({ "enable_restore": "true" }), "OMS.1002"),
            (json!({ "enable_restore": true, "src_cloud_type": "Baidu" }), "OMS.1048"),
            (json!({ "dst_storage_policy": "COLD" }), "OMS.1003"),
            (json!({ "consistency_check": "crc64" }), "S3M.0094"),
            (json!({ "src_crypto_type": "KMS" }), "OMS.1004"),
            (json!({ "dst_crypto_type": "KMS", "dst_kms_key_id": "short" }), "OMS.1003"),
            (json!({ "dst_crypto_type": "AES" }), "OMS.1003"),
            (json!({ "source_cdn": { "domain": "d", "protocol": "https" } }), "OMS.1004"),
            (json!({ "source_cdn": "d" }), "OMS.1002"),
            (cdn("ALIYUN_OSS_B", Value::Null), "OMS.1032"),
            (cdn("TENCENT_COS_D", json!("")), "OMS.1032"),
            (cdn("AZURE_SAS_TOKEN", Value::Null), "OMS.1032"),
            (cdn("SOME", Value::Null), "OMS.1003"),
        ] {
            let refusal = create(changes.clone()).unwrap_err();
            assert_eq!((refusal.status, &*refusal.code), (400, code), "{changes}");
        }
        for accepted in [
            cdn("NONE", Value::Null),
            cdn("Qiniu_PRIVATE_AUTHENTICATION", Value::Null),
            cdn("KSYUN_PRIVATE_AUTHENTICATION", Value::Null),
            cdn("TENCENT_COS_A", json!("key")),
            json!({ "src_crypto_type": "KMS", "src_kms_key_id": "k".repeat(36) }),
            json!({ "src_cloud_type": "Tencent", "app_id": "1250000000", "consistency_check": "crc64" }),
            json!({ "description": "^" }),
        ] {
            create(accepted.clone()).map_err(|refusal| format!("{accepted}: {refusal:?}")).unwrap();
        }
        let refusal = CreateSyncTask::read(b"{", &SyncBehaviour::default()).unwrap_err();
        assert_eq!(refusal.code, "OMS.1006");
        assert_eq!(
            create(json!({ "src_ak": null })).unwrap_err().detail.unwrap(),
            "request parameter [src_ak] invalid."
        );
    }

    #[test]
    fn a_start_wants_every_key_again() {
        let mut definition = create(json!({})).unwrap().definition;
        let start = |definition: &SyncDefinition, body: Value| {
            read_sync_start(body.to_string().as_bytes(), definition)
                .map_err(|refusal| refusal.code.into_owned())
        };
        let keys = json!({ "src_ak": "a", "src_sk": "s", "dst_ak": "a", "dst_sk": "s" });
        start(&definition, keys.clone()).unwrap();
        assert_eq!(start(&definition, json!({ "src_ak": "a", "src_sk": "s" })).unwrap_err(), "OMS.1004");
        definition.cdn = Some(Cdn {
            domain: "d".to_owned(),
            protocol: "https".to_owned(),
            authentication_type: "ALIYUN_OSS_A".to_owned(),
        });
        assert_eq!(start(&definition, keys.clone()).unwrap_err(), "OMS.1032");
        let mut with_key = keys;
        with_key["source_cdn_authentication_key"] = json!("k");
        start(&definition, with_key).unwrap();
    }

    #[test]
    fn the_keys_of_an_event_are_decoded_once() {
        let behaviour = SyncBehaviour::default();
        let literal = SyncBehaviour { plus_is_space: false, ..Default::default() };
        let read = |keys: Value, behaviour: &SyncBehaviour| {
            let body = json!({ "object_keys": keys }).to_string();
            read_sync_events(body.as_bytes(), &Limits::default(), behaviour)
                .map_err(|refusal| refusal.code.into_owned())
        };
        for (encoded, key) in [
            ("test%2F001.txt", "test/001.txt"),
            ("test/001.txt", "test/001.txt"),
            ("test%2B001.txt", "test+001.txt"),
            ("test+001.txt", "test 001.txt"),
            ("%25%32%46", "%2F"),
            ("%252F", "%2F"),
            ("%E7%85%a7", "照"),
            ("照", "照"),
        ] {
            assert_eq!(read(json!([encoded]), &behaviour).unwrap(), [key]);
        }
        assert_eq!(read(json!(["a+b"]), &literal).unwrap(), ["a+b"]);
        for (keys, code) in [
            (json!([]), "OMS.1003"),
            (json!([""]), "OMS.1003"),
            (json!(vec!["k"; 11]), "OMS.1003"),
            (json!(["k".repeat(16_385)]), "OMS.1003"),
            (json!(["%"]), "OMS.1003"),
            (json!(["a%2"]), "OMS.1003"),
            (json!(["%zz"]), "OMS.1003"),
            (json!(["%+1"]), "OMS.1003"),
            (json!(["%FF"]), "OMS.1003"),
            (json!([1]), "OMS.1002"),
            (json!("k"), "OMS.1002"),
            (Value::Null, "OMS.1004"),
        ] {
            assert_eq!(read(keys.clone(), &behaviour).unwrap_err(), code, "{keys}");
        }
        assert_eq!(read(json!(vec!["k"; 10]), &behaviour).unwrap().len(), 10);
    }

    #[test]
    fn queries_have_bounds() {
        let list = |query: &str| ListSyncTasks::read(query).map_err(|refusal| refusal.code.into_owned());
        assert_eq!(list("").unwrap(), ListSyncTasks { status: None, limit: 10, offset: 0 });
        assert_eq!(list("limit=100&offset=10000&status=STOPPED").unwrap().offset, 10_000);
        for (query, code) in [
            ("limit=0", "OMS.1003"),
            ("limit=101", "OMS.1003"),
            ("offset=10001", "OMS.1003"),
            ("offset=-1", "OMS.1003"),
            ("offset=99999999999999999999", "OMS.1003"),
            ("limit=ten", "OMS.1002"),
            ("status=stopped", "OMS.1003"),
        ] {
            assert_eq!(list(query).unwrap_err(), code, "{query}");
        }
        assert_eq!(read_query_time("query_time=1700639560751").unwrap(), 1_700_639_560_751);
        assert_eq!(read_query_time("").unwrap_err().code, "OMS.1004");
        assert_eq!(read_query_time("query_time=now").unwrap_err().code, "OMS.1002");
        let statistic =
            |query: &str| ListSyncTaskStatistic::read(query).map_err(|refusal| refusal.code.into_owned());
        let read = statistic("data_type=SIZE%2CREQUEST,SIZE&start_time=1&end_time=2").unwrap();
        assert_eq!(read.series, [Series::Size, Series::Request]);
        for (query, code) in [
            ("start_time=1&end_time=2", "OMS.1004"),
            ("data_type=SIZE&start_time=1", "OMS.1004"),
            ("data_type=SIZE&end_time=1", "OMS.1004"),
            ("data_type=size&start_time=1&end_time=2", "OMS.1003"),
            ("data_type=SIZE,&start_time=1&end_time=2", "OMS.1003"),
            ("data_type=SIZE&start_time=2&end_time=1", "OMS.1003"),
            ("data_type=SIZE&start_time=x&end_time=1", "OMS.1002"),
        ] {
            assert_eq!(statistic(query).unwrap_err(), code, "{query}");
        }
    }
}
