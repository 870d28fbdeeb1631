//! Tests of the looks into buckets.

use serde_json::json;

use super::*;

fn access() -> BucketAccess {
    BucketAccess {
        cloud_type: "HuaweiCloud".into(),
        ak: Some("planted-1".into()),
        sk: Some("planted-2".into()),
        app_id: Some("apptest123".into()),
        ..BucketAccess::default()
    }
}

fn full_access() -> BucketAccess {
    BucketAccess {
        connection_string: Some("planted-3".into()),
        json_auth_file: Some("planted-4".into()),
        ..access()
    }
}

fn objects() -> ShowBucketObjects {
    ShowBucketObjects {
        access: BucketAccess { app_id: None, ..access() },
        bucket: "xxx".into(),
        region: "cn-north-x".into(),
        folder: "A/".into(),
        page_size: 100,
        behind_filename: String::new(),
    }
}

fn prefix() -> CheckPrefix {
    CheckPrefix {
        access: access(),
        security_token: Some("planted-5".into()),
        bucket: "xxx".into(),
        region: "cn-north-x".into(),
        prefix: "xxxx".into(),
    }
}

fn cdn() -> ShowCdnInfo {
    ShowCdnInfo {
        access: BucketAccess { cloud_type: "Aliyun".into(), app_id: None, ..access() },
        bucket: "xxx".into(),
        region: "cn-hangzhou".into(),
        source_cdn: SourceCdn {
            domain: "xxx".into(),
            protocol: "https".into(),
            authentication_type: "ALIYUN_OSS_B".into(),
            authentication_key: Some("planted-6".into()),
            crypto: None,
        },
        keys: Vec::new(),
    }
}

fn url_list() -> CheckUrlSourceListFileFormat {
    CheckUrlSourceListFileFormat {
        list_file: ListFile {
            list_file_key: "object_list_file.txt".into(),
            obs_bucket: "obs_bucket_name".into(),
        },
        ak: "planted-7".into(),
        sk: "planted-8".into(),
        region: "cn-north-1".into(),
    }
}

fn sent(body: &Body) -> Value {
    serde_json::from_slice(body).unwrap()
}

#[test]
fn the_documented_requests_are_sent_as_they_are_printed() {
    let account =
        json!({"cloud_type": "HuaweiCloud", "ak": "planted-1", "sk": "planted-2", "app_id": "apptest123"});
    assert_eq!(sent(&access().body()), account);
    let mut with_bucket = account.clone();
    with_bucket["bucket_name"] = "xxx".into();
    assert_eq!(sent(&access().body_with_bucket("xxx")), with_bucket);
    assert_eq!(
        sent(&objects().body()),
        json!({"page_size": 100, "behind_filename": "", "file_path": "A/", "cloud_type": "HuaweiCloud",
               "bucket_name": "xxx", "ak": "planted-1", "sk": "planted-2", "data_center": "cn-north-x"})
    );
    assert_eq!(
        sent(&prefix().body()),
        json!({"cloud_type": "HuaweiCloud", "ak": "planted-1", "sk": "planted-2", "app_id": "apptest123",
               "bucket_name": "xxx", "file_name": "xxxx", "data_center": "cn-north-x", "security_token": "planted-5"})
    );
    assert_eq!(
        sent(&cdn().body()),
        json!({"ak": "planted-1", "sk": "planted-2", "cloud_type": "Aliyun", "region": "cn-hangzhou", "bucket": "xxx",
               "source_cdn": {"protocol": "https", "domain": "xxx", "authentication_type": "ALIYUN_OSS_B",
                              "authentication_key": "planted-6"}})
    );
    assert_eq!(
        sent(&url_list().body()),
        json!({"obs_bucket": "obs_bucket_name", "list_file_key": "object_list_file.txt", "ak": "planted-7",
               "sk": "planted-8", "region": "cn-north-1"})
    );
}

#[test]
fn a_cdn_check_names_its_keys_and_sends_an_empty_pair_where_there_is_none() {
    let access = BucketAccess {
        cloud_type: "Azure".into(),
        connection_string: Some("planted-3".into()),
        ..BucketAccess::default()
    };
    let body = sent(&ShowCdnInfo { access, keys: vec!["a".into(), "b".into()], ..cdn() }.body());
    assert_eq!((&body["ak"], &body["sk"]), (&json!(""), &json!("")));
    assert_eq!(body["connection_string"], "planted-3");
    assert_eq!(body["prefix"], json!({"keys": ["a", "b"]}));
}

#[test]
fn every_key_of_a_look_is_on_the_list_of_secrets() {
    let (objects, prefix, cdn, list) = (
        ShowBucketObjects { access: full_access(), ..objects() },
        CheckPrefix { access: full_access(), ..prefix() },
        cdn(),
        url_list(),
    );
    let requests = [
        (full_access().body(), full_access().secrets().len(), 4),
        (objects.body(), objects.access.secrets().len(), 4),
        (prefix.body(), prefix.secrets().len(), 5),
        (cdn.body(), cdn.secrets().len(), 3),
        (list.body(), list.secrets().len(), 2),
    ];
    for (body, listed, expected) in requests {
        let body = String::from_utf8(body.to_vec()).unwrap();
        assert_eq!((listed, body.matches("planted").count()), (expected, expected), "{body}");
    }
    let all = [prefix.secrets(), cdn.secrets(), list.secrets()].concat();
    for number in 1..=8 {
        let planted = format!("planted-{number}");
        assert!(all.iter().any(|secret| secret.expose_secret() == planted), "{planted}");
    }
    assert!(!format!("{objects:?} {prefix:?} {cdn:?} {list:?}").contains("planted"));
}

#[test]
fn a_look_without_its_object_is_not_sent() {
    let field = |checked: Checked| checked.map_or_else(|fault| fault.field, |()| "");
    for right in [access().check(), objects().check(), prefix().check(), cdn().check(), url_list().check()] {
        assert_eq!(right, Ok(()));
    }
    let top = ShowBucketObjects { folder: String::new(), ..objects() };
    assert_eq!(top.check(), Ok(()));
    assert_eq!(field(BucketAccess::default().check()), "cloud_type");
    assert_eq!(field(ShowBucketObjects { folder: "A".into(), ..objects() }.check()), "file_path");
    assert_eq!(field(ShowBucketObjects { page_size: 0, ..objects() }.check()), "page_size");
    assert_eq!(field(ShowBucketObjects { page_size: 101, ..objects() }.check()), "page_size");
    assert_eq!(field(ShowBucketObjects { bucket: String::new(), ..objects() }.check()), "bucket_name");
    assert_eq!(field(CheckPrefix { region: String::new(), ..prefix() }.check()), "data_center");
    assert_eq!(field(ShowCdnInfo { access: full_access(), ..cdn() }.check()), "json_auth_file");
    assert_eq!(field(ShowCdnInfo { keys: vec!["k".into(); 101], ..cdn() }.check()), "keys");
    assert_eq!(field(ShowCdnInfo { source_cdn: SourceCdn::default(), ..cdn() }.check()), "domain");
    assert_eq!(field(CheckUrlSourceListFileFormat { sk: "".into(), ..url_list() }.check()), "sk");
    let nowhere = CheckUrlSourceListFileFormat { list_file: ListFile::default(), ..url_list() };
    assert_eq!(field(nowhere.check()), "obs_bucket");
}

#[test]
fn names_of_buckets_are_a_bare_array() {
    let read = |value: Value| BucketNames::from_wire(value).ok().map(|names| names.0);
    assert_eq!(read(json!(["a", "b", null, {}, ""])), Some(vec!["a".into(), "b".into()]));
    assert_eq!(read(json!([])), Some(Vec::new()));
    assert_eq!(read(json!(null)), Some(Vec::new()));
    assert_eq!(read(json!({"buckets": ["a"]})), None);
}

#[test]
fn a_page_of_objects_ends_where_oms_says_so() {
    let read = |value: Value| ObjectPage::from_wire(value).ok();
    let page = read(json!({"next_page": true, "next_marker": "b", "records": [{"name": "a", "size": "--"}, {"name": "b"}]}))
        .unwrap();
    assert_eq!(page.next_marker.as_deref(), Some("b"));
    assert_eq!(page.records[0], ObjectRecord { name: "a".into(), size: "--".into() });
    assert_eq!(page.records[1].size, "");
    for last in [
        json!({"next_page": false, "next_marker": "b", "records": []}),
        json!({"next_page": "false", "next_marker": "b", "records": []}),
        json!({"next_page": true, "next_marker": null, "records": null}),
        json!({"next_page": true, "next_marker": "", "records": []}),
        json!({"records": []}),
    ] {
        assert_eq!(read(last.clone()), Some(ObjectPage { records: Vec::new(), next_marker: None }), "{last}");
    }
    // Without a word about the end the marker decides.
    assert_eq!(read(json!({"next_marker": "b", "records": []})).unwrap().next_marker.as_deref(), Some("b"));
    assert_eq!((read(json!({})), read(json!([])), read(json!({"records": "x"}))), (None, None, None));
}

#[test]
fn a_prefix_is_there_when_oms_says_so() {
    let read = |value: Value| PrefixFound::from_wire(value).ok().map(|found| found.0);
    assert_eq!(read(json!({"exist": true})), Some(true));
    assert_eq!(read(json!({"exist": "true"})), Some(true));
    assert_eq!(read(json!({"exist": false})), Some(false));
    assert_eq!(read(json!({})), Some(false));
    assert_eq!(read(json!({"error_code": "OMS.0064"})), None);
    assert_eq!((read(json!({"exist": "perhaps"})), read(json!([])), read(json!(true))), (None, None, None));
}

#[test]
fn a_region_without_a_word_on_support_is_not_unsupported() {
    let read = |value: Value| serde_json::from_value::<BucketRegion>(value).ok();
    let documented = read(json!({"id": "string", "name": "string"})).unwrap();
    assert_eq!((documented.id.as_str(), documented.support), ("string", None));
    assert_eq!(read(json!({"id": "r", "support": 0})).unwrap().support, Some(false));
    assert_eq!(read(json!({"name": "r"})), None);
}

#[test]
fn a_cdn_check_says_something() {
    let read =
        |value: Value| serde_json::from_value(value).map_err(|_| "unreadable").and_then(CdnCheck::from_wire);
    let check = read(
        json!({"is_download_available": "true", "checked_keys": [{"key": "a", "is_etag_matching": false}, 1]}),
    );
    let check = check.unwrap();
    assert_eq!((check.is_same_cloud_type, check.is_download_available), (None, Some(true)));
    assert_eq!(check.checked_keys.len(), 1);
    assert_eq!(check.checked_keys[0].is_etag_matching, Some(false));
    assert_eq!(read(json!({})), Err("nothing about the CDN"));
}
