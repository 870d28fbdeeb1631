//! The embedded S3 server, over HTTP, with a client that is not ours.
#![cfg(feature = "emulator")]
#![allow(clippy::unwrap_used, clippy::items_after_statements)]
mod emulator_s3;

use std::fmt::Write;

use emulator_s3::{Client, odd_keys, store};
use rusty_s3::Method;
use rusty_s3::actions::{CreateMultipartUpload, ListObjectsV2, ListParts};

#[tokio::test]
async fn every_legal_key_holds_its_own_bytes_and_is_listed_in_order() {
    let store = store(None).await;
    let client = Client::create(&store.endpoint(), "bucket").await;
    let mut keys = odd_keys();
    for key in &keys {
        client.put(key, key.as_bytes()).await;
    }
    for key in &keys {
        assert_eq!(client.get(key).await.ok().body, key.as_bytes(), "{key}");
        assert_eq!(client.head(key).await.ok().header("content-length").unwrap(), key.len().to_string());
    }
    keys.sort_unstable();
    assert_eq!(client.keys().await, keys);
    for key in &keys {
        client.delete(key).await;
        assert_eq!(client.get(key).await.status, 404);
    }
    assert_eq!(client.keys().await, Vec::<String>::new());
    store.shutdown().await;
}

#[tokio::test]
async fn a_listing_is_complete_over_many_pages_and_groups_by_delimiter() {
    let store = store(None).await;
    let client = Client::create(&store.endpoint(), "bucket").await;
    let mut expected = Vec::new();
    for number in 0..2100 {
        expected.push(format!("d{}/{number:04}", number % 7));
    }
    let puts = expected.iter().map(|key| client.put(key, b"x"));
    futures::StreamExt::collect::<Vec<_>>(futures::StreamExt::buffer_unordered(
        futures::stream::iter(puts),
        8,
    ))
    .await;
    expected.sort_unstable();
    assert_eq!(client.keys().await, expected);

    let list = async |query: &[(&str, &str)]| {
        let mut all = vec![("list-type", "2"), ("encoding-type", "url")];
        all.extend_from_slice(query);
        let text = client.send(Method::Get, None, &all, &[], None).await.ok().text();
        let page = ListObjectsV2::parse_response(&text).unwrap();
        let keys: Vec<String> = page.contents.into_iter().map(|object| object.key).collect();
        let prefixes: Vec<String> = page.common_prefixes.into_iter().map(|common| common.prefix).collect();
        (keys, prefixes, page.next_continuation_token)
    };
    let (keys, prefixes, next) = list(&[("delimiter", "/"), ("max-keys", "3")]).await;
    assert_eq!((keys.len(), prefixes), (0, vec!["d0/".into(), "d1/".into(), "d2/".into()]));
    let (_, prefixes, next) =
        list(&[("delimiter", "/"), ("max-keys", "4"), ("continuation-token", &next.unwrap())]).await;
    assert_eq!(prefixes, ["d3/", "d4/", "d5/", "d6/"]);
    assert_eq!(next, None);
    let (keys, prefixes, _) = list(&[("delimiter", "/"), ("prefix", "d3/"), ("max-keys", "2")]).await;
    assert_eq!((keys, prefixes.len()), (vec!["d3/0003".to_owned(), "d3/0010".to_owned()], 0));
    let (keys, ..) = list(&[("prefix", "d3/"), ("start-after", "d3/0003"), ("max-keys", "1")]).await;
    assert_eq!(keys, ["d3/0010"]);
    store.shutdown().await;
}

#[tokio::test]
async fn metadata_class_checksum_and_ranges_come_back_as_they_were_put() {
    let store = store(None).await;
    let client = Client::create(&store.endpoint(), "bucket").await;
    let headers = [
        ("content-type", "text/x-test"),
        ("cache-control", "no-cache"),
        ("content-encoding", "gzip"),
        ("x-amz-meta-team", "media"),
        ("x-amz-storage-class", "STANDARD_IA"),
    ];
    let put = client.put_with("k", b"123456789", &headers).await;
    assert_eq!(put.header("etag"), Some("\"25f9e794323b453885f5181f1b624d0b\""));
    let head = client.head("k").await.ok();
    for (name, value) in headers {
        assert_eq!(head.header(name), Some(value), "{name}");
    }
    // CRC-64/NVME of "123456789" is 0xae8b14860a799888.
    assert_eq!(head.header("x-amz-checksum-crc64nvme"), Some("rosUhgp5mIg="));
    let part = client.send(Method::Get, Some("k"), &[], &[("range", "bytes=2-4")], None).await;
    assert_eq!((part.status, part.header("content-range")), (206, Some("bytes 2-4/9")));
    assert_eq!(part.body, b"345");
    let beyond = client.send(Method::Get, Some("k"), &[], &[("range", "bytes=9-")], None).await;
    assert_eq!(beyond.status, 416);
    let changed = client.send(Method::Get, Some("k"), &[], &[("if-match", "\"other\"")], None).await;
    assert_eq!(changed.status, 412);
    store.shutdown().await;
}

#[tokio::test]
async fn parts_become_one_object_when_they_are_complete_and_nothing_when_aborted() {
    let store = store(None).await;
    let client = Client::create(&store.endpoint(), "bucket").await;
    let start = async |key: &str| {
        let answer =
            client.send(Method::Post, Some(key), &[("uploads", "")], &[], Some(Vec::new())).await.ok();
        CreateMultipartUpload::parse_response(&answer.text()).unwrap().upload_id().to_owned()
    };
    let upload = start("big file").await;
    let chunks = [vec![1u8; 300_000], vec![2u8; 300_000], vec![3u8; 5]];
    let mut etags = Vec::new();
    for (index, chunk) in chunks.iter().enumerate() {
        let number = (index + 1).to_string();
        let query = [("partNumber", number.as_str()), ("uploadId", upload.as_str())];
        let answer = client.send(Method::Put, Some("big file"), &query, &[], Some(chunk.clone())).await.ok();
        etags.push(answer.header("etag").unwrap().to_owned());
    }
    assert_eq!(client.get("big file").await.status, 404, "an upload under way is invisible");
    let listed = client.send(Method::Get, Some("big file"), &[("uploadId", &upload)], &[], None).await.ok();
    assert_eq!(ListParts::parse_response(&listed.text()).unwrap().parts.len(), 3);
    let mut parts = String::new();
    for (number, etag) in (1..).zip(&etags) {
        write!(parts, "<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>").unwrap();
    }
    let body = format!("<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>").into_bytes();
    client.send(Method::Post, Some("big file"), &[("uploadId", &upload)], &[], Some(body)).await.ok();
    let whole = chunks.concat();
    let there = client.get("big file").await.ok();
    assert_eq!(there.body, whole);
    assert!(there.header("etag").unwrap().ends_with("-3\""));
    let across =
        client.send(Method::Get, Some("big file"), &[], &[("range", "bytes=299999-600001")], None).await;
    assert_eq!(across.body, whole[299_999..=600_001]);
    // The checksum of the parts is that of the same bytes in one request.
    client.put("same", &whole).await;
    let checksum =
        |answer: &emulator_s3::Answer| answer.header("x-amz-checksum-crc64nvme").unwrap().to_owned();
    assert_eq!(checksum(&client.head("big file").await), checksum(&client.head("same").await));

    let upload = start("gone").await;
    let query = [("partNumber", "1"), ("uploadId", upload.as_str())];
    client.send(Method::Put, Some("gone"), &query, &[], Some(vec![0; 10])).await.ok();
    client.send(Method::Delete, Some("gone"), &[("uploadId", &upload)], &[], None).await.ok();
    let late = client.send(Method::Put, Some("gone"), &query, &[], Some(vec![0; 10])).await;
    assert!(late.text().contains("NoSuchUpload"), "{}", late.text());
    store.shutdown().await;
}

#[tokio::test]
async fn what_is_in_a_folder_survives_a_restart_and_belongs_to_one_process_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let first = store(Some(dir.path())).await;
    let client = Client::create(&first.endpoint(), "bucket").await;
    client.put_with("a//b", b"one", &[("x-amz-meta-k", "v")]).await;
    client.put("a//b", b"two").await;
    client.put_with("keep", b"kept", &[("x-amz-meta-k", "v")]).await;
    client.put("drop", b"x").await;
    client.delete("drop").await;
    let again =
        oms_operator::emulator::store::EmbeddedStore::start(oms_operator::emulator::store::StoreConfig {
            name: "second".into(),
            dir: Some(dir.path().to_owned()),
            listen: (std::net::Ipv4Addr::LOCALHOST, 0).into(),
            access_keys: Vec::new(),
        })
        .await;
    assert!(again.unwrap_err().to_string().contains("another process has it open"));
    first.shutdown().await;

    let second = store(Some(dir.path())).await;
    let client = Client::new(&second.endpoint(), "bucket");
    assert_eq!(client.keys().await, ["a//b", "keep"]);
    assert_eq!(client.get("a//b").await.ok().body, b"two");
    assert_eq!(second.object("bucket", "a//b").unwrap().writes, 2);
    let kept = client.get("keep").await.ok();
    assert_eq!((kept.body.as_slice(), kept.header("x-amz-meta-k")), (&b"kept"[..], Some("v")));
    second.shutdown().await;
    let files = walk(&dir.path().join("objects"));
    assert_eq!(files, 2, "superseded bytes are gone");
}

fn walk(dir: &std::path::Path) -> usize {
    std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| if path.is_dir() { walk(&path) } else { 1 })
        .sum()
}

#[tokio::test]
async fn strangers_are_refused_as_s3_refuses_them() {
    let store = store(None).await;
    let client = Client::create(&store.endpoint(), "bucket").await;
    let ask = async |client: Client| {
        let answer = client.send(Method::Get, None, &[("list-type", "2")], &[], None).await;
        (answer.status, answer.text())
    };
    let (status, text) = ask(client.clone().with_keys("UNKNOWN", emulator_s3::SECRET)).await;
    assert!(status == 403 && text.contains("InvalidAccessKeyId"), "{status} {text}");
    let (status, text) = ask(client.clone().with_keys(emulator_s3::ACCESS, "wrong")).await;
    assert!(status == 403 && text.contains("SignatureDoesNotMatch"), "{status} {text}");
    let anonymous = reqwest::get(format!("{}/bucket?list-type=2", store.endpoint())).await.unwrap();
    assert_eq!(anonymous.status(), 403);
    let (status, text) = ask(Client::new(&store.endpoint(), "missing")).await;
    assert!(status == 404 && text.contains("NoSuchBucket"), "{status} {text}");
    let answer = Client::new(&store.endpoint(), "bucket").send(Method::Delete, None, &[], &[], None).await;
    assert_eq!(answer.status, 204);
    let answer = Client::new(&store.endpoint(), "bucket").send(Method::Head, None, &[], &[], None).await;
    assert_eq!(answer.status, 404);
    store.shutdown().await;
}

#[tokio::test]
async fn archived_objects_can_be_read_after_a_restore_only() {
    let store = store(None).await;
    let client = Client::create(&store.endpoint(), "bucket").await;
    client.put_with("cold", b"ice", &[("x-amz-storage-class", "GLACIER")]).await;
    let refused = client.get("cold").await;
    assert!(refused.status == 403 && refused.text().contains("InvalidObjectState"), "{}", refused.text());
    let body = b"<RestoreRequest><Days>2</Days></RestoreRequest>".to_vec();
    client.send(Method::Post, Some("cold"), &[("restore", "")], &[], Some(body)).await.ok();
    assert_eq!(client.get("cold").await.ok().body, b"ice");
    assert!(client.head("cold").await.header("x-amz-restore").unwrap().contains("ongoing-request=\"false\""));
    store.shutdown().await;
}
