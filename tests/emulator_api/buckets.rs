//! Checks and listings of buckets.

use oms_operator::emulator::config::{Config, EmbeddedStore};
use reqwest::Method;
use rusty_s3::{Bucket, Credentials, S3Action as _, UrlStyle};
use serde_json::{Value, json};

use crate::world::{
    Answer, DEADLINE, DESTINATION_SECRET, PROJECT, SOURCE_SECRET, World, config, holds_secret,
};

impl World {
    async fn ask(&self, about: &str, body: Value) -> Answer {
        self.call(Method::POST, &format!("/v2/{PROJECT}/objectstorage/buckets{about}"), Some(&body)).await
    }

    async fn put_list(&self, key: &str, headers: &[(&str, &str)], contents: &[u8]) {
        let credentials = Credentials::new("DESTINATIONKEY", DESTINATION_SECRET);
        let bucket =
            Bucket::new(self.destination.parse().unwrap(), UrlStyle::Path, "archive", "cn-north-4").unwrap();
        let url = bucket.put_object(Some(&credentials), key).sign(DEADLINE);
        let mut request = self.http.put(url).body(contents.to_vec());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        assert!(request.send().await.unwrap().status().is_success());
    }
}

fn source(changes: Value) -> Value {
    let mut body =
        json!({ "cloud_type": "AWS", "ak": "SOURCEKEY", "sk": SOURCE_SECRET, "app_id": "ignored" });
    for (name, value) in changes.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

/// A cloud that opens with a connection string, and one where nobody listens.
fn more_clouds() -> Config {
    let mut config =
        config(json!({ "stores": [{ "cloudType": "Baidu", "endpoint": "http://127.0.0.1:1" }] }));
    let first = config.embedded_stores[0].clone();
    config.embedded_stores.push(EmbeddedStore {
        name: "azure".to_owned(),
        cloud_type: "Azure".to_owned(),
        ..first
    });
    config
}

#[tokio::test]
async fn the_buckets_of_an_account_are_a_bare_list() {
    let (_emulator, world) = World::start(more_clouds()).await;
    world.make_bucket(&world.source, "SOURCEKEY", SOURCE_SECRET, "films").await;
    assert_eq!(world.ask("", source(json!({}))).await.expect_ok(), json!(["films", "photos"]));
    let own = json!({ "cloud_type": "HEC", "ak": "DESTINATIONKEY", "sk": DESTINATION_SECRET });
    assert_eq!(world.ask("", own).await.expect_ok(), json!(["archive"]));
    let azure = |key: &str| {
        let text = format!("DefaultEndpointsProtocol=https;AccountName=SOURCEKEY;AccountKey={key}");
        json!({ "cloud_type": "Azure", "connection_string": text })
    };
    assert_eq!(world.ask("", azure(SOURCE_SECRET)).await.expect_ok(), json!([]));
    world.ask("", azure("b3RoZXI=")).await.expect_refusal(400, "OMS.1016");
    for (body, code) in [
        (source(json!({ "sk": "wrong" })), "OMS.1016"),
        (source(json!({ "ak": "UNKNOWN" })), "OMS.1016"),
        (source(json!({ "cloud_type": "Qiniu" })), "OMS.0079"),
        (source(json!({ "cloud_type": "Baidu" })), "OMS.0184"),
        (source(json!({ "cloud_type": null })), "OMS.0064"),
        (source(json!({ "sk": null })), "OMS.0057"),
        (source(json!({ "cloud_type": "Tencent", "app_id": null })), "OMS.0057"),
        (json!([]), "OMS.0067"),
    ] {
        let answer = world.ask("", body).await;
        answer.expect_refusal(400, code);
        assert!(!holds_secret(&answer.text));
    }
}

#[tokio::test]
async fn an_account_with_too_many_buckets_is_not_listed() {
    let (_emulator, world) = World::start(config(json!({ "limits": { "listedBuckets": 1 } }))).await;
    assert_eq!(world.ask("", source(json!({}))).await.expect_ok(), json!(["photos"]));
    world.make_bucket(&world.source, "SOURCEKEY", SOURCE_SECRET, "films").await;
    world.ask("", source(json!({}))).await.expect_refusal(400, "OMS.0154");
}

#[tokio::test]
async fn the_region_of_a_bucket_is_what_its_store_tells() {
    let (_emulator, world) = World::start(config(json!({}))).await;
    let credentials = Credentials::new("SOURCEKEY", SOURCE_SECRET);
    for (name, region) in [("irish", "eu-west-1"), ("lunar", "moon-1")] {
        let bucket = Bucket::new(world.source.parse().unwrap(), UrlStyle::Path, name, "us-east-1").unwrap();
        let xml = format!(
            "<CreateBucketConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><LocationConstraint>{region}</LocationConstraint></CreateBucketConfiguration>"
        );
        let url = bucket.create_bucket(&credentials).sign(DEADLINE);
        assert!(world.http.put(url).body(xml).send().await.unwrap().status().is_success());
    }
    let region = |body: Value| world.ask("/regions", body);
    for (bucket, expected) in [
        ("photos", json!({ "id": "us-east-1", "name": "US Standard (N. Virginia)", "support": true })),
        ("irish", json!({ "id": "eu-west-1", "name": "EU (Ireland)", "support": true })),
        ("lunar", json!({ "id": "moon-1", "name": "moon-1", "support": false })),
    ] {
        assert_eq!(region(source(json!({ "bucket_name": bucket }))).await.expect_ok(), expected);
    }
    let own = json!({
        "cloud_type": "HuaweiCloud", "ak": "DESTINATIONKEY", "sk": DESTINATION_SECRET, "bucket_name": "archive",
    });
    assert_eq!(
        region(own).await.expect_ok(),
        json!({ "id": "cn-north-4", "name": "CN North-Beijing4", "support": true })
    );
    region(source(json!({ "bucket_name": "nowhere" }))).await.expect_refusal(400, "OMS.0155");
    region(source(json!({ "bucket_name": "photos", "sk": "wrong" }))).await.expect_refusal(400, "OMS.1016");
    region(source(json!({}))).await.expect_refusal(400, "OMS.0064");
}

#[tokio::test]
async fn a_prefix_exists_when_a_key_begins_with_it() {
    let (_emulator, world) = World::start(config(json!({}))).await;
    world.put_source("odd & süß/x", b"1".to_vec()).await;
    let check = |changes: Value| {
        let mut body =
            source(json!({ "bucket_name": "photos", "data_center": "eu-west-1", "file_name": "2024/" }));
        for (name, value) in changes.as_object().unwrap() {
            body[name] = value.clone();
        }
        world.ask("/prefix", body)
    };
    for (prefix, exist) in [
        ("2024/", true),
        ("2024/a", true),
        ("2", true),
        ("", true),
        ("odd & sü", true),
        ("2026", false),
        ("/2024", false),
    ] {
        assert_eq!(
            check(json!({ "file_name": prefix })).await.expect_ok(),
            json!({ "exist": exist }),
            "{prefix}"
        );
    }
    for (changes, code) in [
        (json!({ "bucket_name": "nowhere" }), "OMS.0153"),
        (json!({ "sk": "wrong" }), "OMS.1016"),
        (json!({ "file_name": null }), "OMS.0064"),
        (json!({ "file_name": "x".repeat(1025) }), "OMS.0064"),
        (json!({ "data_center": null }), "OMS.0064"),
        (json!({ "cloud_type": "HuaweiCloud" }), "OMS.0079"),
    ] {
        check(changes).await.expect_refusal(400, code);
    }
}

#[tokio::test]
async fn a_folder_is_listed_page_by_page_without_what_lies_deeper() {
    let (_emulator, world) = World::start(config(json!({}))).await;
    for (key, size) in [
        ("2024/", 0),
        ("2024/m/1", 1),
        ("2024/m/2", 1),
        ("2024/m", 3),
        ("2024/m0", 1536),
        ("2024/z/", 0),
        ("top", 77),
    ] {
        world.put_source(key, vec![b'x'; size]).await;
    }
    let page = |folder: &str, behind: &str, size: u16| {
        world.ask(
            "/objects",
            source(json!({
                "bucket_name": "photos", "data_center": "eu-west-1", "file_path": folder,
                "behind_filename": behind, "page_size": size,
            })),
        )
    };
    let record = |name: &str, size: &str| json!({ "name": name, "size": size });
    let everything = [
        record("2024/a", "16 B"),
        record("2024/b", "16 B"),
        record("2024/m", "3 B"),
        record("2024/m/", "--"),
        record("2024/m0", "1.50 KB"),
        record("2024/z/", "--"),
    ];
    assert_eq!(
        page("2024/", "", 100).await.expect_ok(),
        json!({ "next_page": false, "next_marker": null, "records": everything })
    );
    for size in 1..=6 {
        let (mut seen, mut behind) = (Vec::new(), String::new());
        loop {
            let answer = page("2024/", &behind, size).await.expect_ok();
            let records = answer["records"].as_array().unwrap();
            assert!(!records.is_empty() && records.len() <= usize::from(size), "{answer}");
            seen.extend(records.iter().cloned());
            if answer["next_page"] == false {
                assert_eq!(answer["next_marker"], Value::Null);
                break;
            }
            behind = answer["next_marker"].as_str().unwrap().to_owned();
            assert_eq!(records.last().unwrap()["name"], behind);
        }
        assert_eq!(seen, everything, "pages of {size}");
    }
    let root = page("", "", 100).await.expect_ok();
    assert_eq!(root["records"], json!([record("2024/", "--"), record("2025/", "--"), record("top", "77 B")]));
    assert_eq!(page("nothing/", "", 10).await.expect_ok()["records"], json!([]));
    assert_eq!(page("2024/", "", 0).await.expect_ok()["records"], json!([]));
    page("2024", "", 10).await.expect_refusal(400, "OMS.0064");
    page("2024/", "", 101).await.expect_refusal(400, "OMS.0064");
}

#[tokio::test]
async fn too_many_wrong_keys_in_a_row_end_the_checks_for_a_while() {
    for (code, behaviour) in
        [("OMS.0090", json!({})), ("OMS.1015", json!({ "failedChecksCode": "OMS.1015" }))]
    {
        let more = json!({ "limits": { "failedCredentialChecks": 2 }, "behaviour": behaviour });
        let (emulator, world) = World::start(config(more)).await;
        let wrong = || source(json!({ "sk": "wrong" }));
        world.ask("", wrong()).await.expect_refusal(400, "OMS.1016");
        world.ask("", source(json!({}))).await.expect_ok();
        world.ask("", wrong()).await.expect_refusal(400, "OMS.1016");
        world.ask("", wrong()).await.expect_refusal(400, "OMS.1016");
        world.ask("", source(json!({}))).await.expect_refusal(400, code);
        emulator.clock().advance(std::time::Duration::from_mins(5));
        world.ask("", source(json!({}))).await.expect_ok();
    }
}

#[tokio::test]
async fn a_url_list_is_read_from_beginning_to_end() {
    let (_emulator, world) = World::start(config(json!({}))).await;
    let text = [("content-type", "text/plain")];
    let good = "http://h/a\ta\n".repeat(3000);
    let long_line = format!("http://h/{}\tn\n", "a".repeat(65_535));
    let long_key = format!("http://h/a\t{}\n", "k".repeat(1025));
    for (key, headers, contents, expected) in [
        ("good.txt", &text[..], good.as_bytes(), ""),
        ("charset.txt", &[("content-type", "text/plain; charset=utf-8")], b"https://h/a\ta\r\n", ""),
        ("list.csv", &text, b"http://h/a\ta\n", "OMS.0185"),
        ("type.txt", &[("content-type", "text/csv")], b"http://h/a\ta\n", "OMS.0186"),
        ("coded.txt", &[text[0], ("content-encoding", "gzip")], b"http://h/a\ta\n", "OMS.0187"),
        ("bom.txt", &text, b"\xef\xbb\xbfhttp://h/a\ta\n", "OMS.0188"),
        ("utf16.txt", &text, b"h\0t\0t\0p\0\xff\n", "OMS.0174"),
        ("layout.txt", &text, b"http://h/a a\n", "OMS.0176"),
        ("empty.txt", &text, b"", "OMS.0176"),
        ("url.txt", &text, b"http://h/a\ta\nhere\tb\n", "OMS.0173"),
        ("ftp.txt", &text, b"ftp://h/a\ta\n", "OMS.0177"),
        ("key.txt", &text, long_key.as_bytes(), "OMS.0178"),
        ("line.txt", &text, long_line.as_bytes(), "OMS.0179"),
    ] {
        world.put_list(key, headers, contents).await;
        let body = json!({
            "obs_bucket": "archive", "list_file_key": key, "region": "cn-north-4", "ak": "DESTINATIONKEY",
            "sk": DESTINATION_SECRET,
        });
        let answer = world.ask("/url-source-list-file", body).await;
        if expected.is_empty() {
            assert_eq!((answer.status.as_u16(), answer.text.as_str()), (200, ""), "{key}");
        } else {
            assert_eq!((answer.status.as_u16(), answer.code()), (400, expected), "{key}: {}", answer.text);
        }
    }
    for (name, value, expected) in [
        ("list_file_key", json!("nowhere.txt"), "OMS.0175"),
        ("obs_bucket", json!("nowhere"), "OMS.0180"),
        ("region", json!("cn-east-3"), "OMS.0180"),
        ("sk", json!("wrong"), "OMS.0189"),
        ("sk", Value::Null, "OMS.0064"),
        ("region", Value::Null, "OMS.0064"),
        ("list_file_key", json!("k".repeat(1025)), "OMS.0064"),
    ] {
        let mut body = json!({
            "obs_bucket": "archive", "list_file_key": "good.txt", "region": "cn-north-4", "ak": "DESTINATIONKEY",
            "sk": DESTINATION_SECRET,
        });
        body[name] = value;
        world.ask("/url-source-list-file", body).await.expect_refusal(400, expected);
    }
    assert_eq!(world.journal("?operation=CheckUrlSourceListFileFormat&effect=true").await, [json!(null); 0]);
}
