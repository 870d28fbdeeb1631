//! What the emulator knows of each cloud and of CDNs, from the create of a task to its objects.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use oms_operator::emulator::{
    cdn::sign::Scheme,
    clouds::CLOUDS,
    config::Config,
    server::{Emulator, Options},
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::tls::{AUTHORITY, acceptor};
use crate::world::{DEADLINE, DESTINATION_SECRET, SOURCE_SECRET, World, config, task};

/// A world whose source store stands for a cloud.
fn standing_for(cloud: &str, changes: Value) -> Config {
    let mut config = json!({
        "embeddedStores": [
            {
                "name": "source", "cloudType": cloud,
                "accessKeys": [{ "access": "SOURCEKEY", "secret": SOURCE_SECRET }],
            },
            {
                "name": "destination", "cloudType": "HEC", "region": "cn-north-4",
                "accessKeys": [{ "access": "DESTINATIONKEY", "secret": DESTINATION_SECRET }],
            },
        ],
    });
    for (name, value) in changes.as_object().into_iter().flatten() {
        config[name] = value.clone();
    }
    crate::world::config(config)
}

fn from(cloud: &str, credentials: &Value) -> Value {
    let mut task = task(json!({ "src_node": { "cloud_type": cloud, "region": "some-region" } }));
    let source = task["src_node"].as_object_mut().unwrap();
    for name in ["ak", "sk"] {
        source.remove(name);
    }
    for (name, value) in credentials.as_object().unwrap() {
        source.insert(name.clone(), value.clone());
    }
    if cloud == "Tencent" {
        source.insert("app_id".to_owned(), json!("1250000000"));
    }
    task
}

fn connection(account: &str, key: &str) -> Value {
    json!({ "connection_string": format!("DefaultEndpointsProtocol=https;AccountName={account};AccountKey={key};EndpointSuffix=core.windows.net") })
}

fn account(email: &str, key: &str) -> Value {
    let file = json!({ "type": "service_account", "client_email": email, "private_key": key });
    json!({ "json_auth_file": file.to_string() })
}

fn right(cloud: &str) -> Value {
    match cloud {
        "Azure" => connection("SOURCEKEY", SOURCE_SECRET),
        "Google" => account("SOURCEKEY", SOURCE_SECRET),
        _ => json!({ "ak": "SOURCEKEY", "sk": SOURCE_SECRET }),
    }
}

#[tokio::test]
async fn every_cloud_with_buckets_is_copied_from_and_refuses_what_it_cannot() {
    for cloud in CLOUDS.iter().filter(|cloud| cloud.has_buckets()) {
        let name = cloud.name;
        let (_emulator, world) = World::start(standing_for(name, json!({}))).await;
        let body = from(name, &right(name));
        let id = world.created(&body).await;
        let done = world.reach(id, 5).await;
        assert_eq!((&done["successful_num"], &done["src_node"]["cloud_type"]), (&json!(3), &json!(name)));

        let with = |member: &str, value: Value| {
            let mut body = body.clone();
            body[member] = value;
            body
        };
        let answer = world.create(&with("consistency_check", json!("crc64"))).await;
        let answered = if cloud.has_crc64 { (200, "") } else { (400, "S3M.0094") };
        assert_eq!((answer.status.as_u16(), answer.code()), answered, "{name}: {}", answer.text);
        let answer = world.create(&with("object_overwrite_mode", json!("CRC64_COMPARISON_OVERWRITE"))).await;
        let answered = if cloud.has_crc64 { (200, "") } else { (400, "S3M.0093") };
        assert_eq!((answer.status.as_u16(), answer.code()), answered, "{name}: {}", answer.text);
        let answer = world.create(&with("enable_restore", json!(true))).await;
        let answered = if cloud.restores { (200, "") } else { (400, "OMS.1048") };
        assert_eq!((answer.status.as_u16(), answer.code()), answered, "{name}: {}", answer.text);

        let mut anonymous = body.clone();
        for member in ["ak", "sk", "connection_string", "json_auth_file"] {
            anonymous["src_node"].as_object_mut().unwrap().remove(member);
        }
        world.create(&anonymous).await.expect_refusal(400, "OMS.0057");
        if cloud.needs_app_id {
            let mut body = body.clone();
            body["src_node"].as_object_mut().unwrap().remove("app_id");
            world.create(&body).await.expect_refusal(400, "OMS.0057");
        }
        // A store of another cloud does not stand for this one.
        let other = if name == "AWS" { "Baidu" } else { "AWS" };
        let body = from(other, &right(other));
        world.create(&body).await.expect_refusal(400, "OMS.0079");
    }
}

#[tokio::test]
async fn credentials_that_open_nothing_fail_the_task_with_their_own_cause() {
    for (cloud, credentials, cause) in [
        ("Azure", connection("SOURCEKEY", "b3RoZXI="), "TRF.0161"),
        ("Azure", connection("somebody", SOURCE_SECRET), "TRF.0161"),
        ("Azure", json!({ "connection_string": "no such thing" }), "TRF.0161"),
        (
            "Azure",
            json!({ "connection_string": "AccountName=a;AccountKey=b;FileEndpoint=https://a.file.core.windows.net" }),
            "TRF.0015",
        ),
        ("Google", account("SOURCEKEY", "other"), "TRF.0151"),
        ("Google", json!({ "json_auth_file": "{}" }), "TRF.0151"),
        ("AWS", json!({ "ak": "SOURCEKEY", "sk": "other" }), "TRF.0151"),
    ] {
        let (_emulator, world) = World::start(standing_for(cloud, json!({}))).await;
        let id = world.created(&from(cloud, &credentials)).await;
        let failed = world.reach(id, 4).await;
        assert_eq!(failed["error_reason"]["error_code"], cause, "{failed}");
        assert!(!crate::world::holds_secret(&failed.to_string()), "{failed}");
    }
}

/// Waits until it holds.
async fn until(holds: impl AsyncFn() -> bool) {
    let begun = Instant::now();
    while !holds().await {
        assert!(begun.elapsed() < DEADLINE, "it never held");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

const CDN_KEY: &str = "cdnkey1234";

/// A world with a CDN in front of the source.
fn with_cdn(scheme: &str) -> Config {
    let mut cdn = json!({
        "name": "edge", "domain": "cdn.example.com", "store": "source", "bucket": "photos",
        "authenticationType": scheme,
    });
    if Scheme::named(scheme).unwrap().needs_key() {
        cdn["authenticationKey"] = json!(key(scheme));
    }
    config(json!({ "embeddedCdns": [cdn], "mover": { "partSize": 1000 } }))
}

fn key(scheme: &str) -> &'static str {
    if scheme == "AZURE_SAS_TOKEN" {
        "sv=2022-11-02&se=2999-01-01T00%3A00%3A00Z&sig=c2lnbmF0dXJl"
    } else {
        CDN_KEY
    }
}

fn through(domain: &str, scheme: &str, key: &str) -> Value {
    task(json!({ "source_cdn": {
        "domain": domain, "protocol": "https", "authentication_type": scheme, "authentication_key": key,
    } }))
}

#[tokio::test]
async fn objects_come_through_a_cdn_of_every_kind_and_not_without_its_key() {
    for (scheme, parsed) in Scheme::ALL {
        let (_emulator, world) = World::start(with_cdn(scheme)).await;
        let big: Vec<u8> = (0..3500u32).map(|index| (index % 251) as u8).collect();
        world.put_source("dir//grüße %2F+?.bin", big.clone()).await;
        let id = world.created(&through("cdn.example.com", scheme, key(scheme))).await;
        let done = world.reach(id, 5).await;
        assert_eq!((&done["successful_num"], &done["failed_num"]), (&json!(4), &json!(0)), "{scheme}");
        assert_eq!(world.destination_object("dir//grüße %2F+?.bin").await, Some(big), "{scheme}");
        assert_eq!(world.destination_object("2024/a").await, Some(b"the photo 2024/a".to_vec()));

        let shown = world.show(id).await["source_cdn"].clone();
        let expected = json!({
            "domain": "cdn.example.com", "protocol": "https", "authentication_type": scheme,
        });
        assert_eq!(shown, expected, "never the key");
        if parsed.needs_key() {
            let wrong = through("cdn.example.com", scheme, "sig=another");
            world.create(&wrong).await.expect_refusal(400, "OMS.0081");
        }
        if scheme.starts_with("ALIYUN") {
            let keyless = through("cdn.example.com", scheme, "");
            world.create(&keyless).await.expect_refusal(400, "OMS.1032");
        }
        let elsewhere = through("other.example.com", scheme, key(scheme));
        world.create(&elsewhere).await.expect_refusal(400, "OMS.0081");
    }
}

#[tokio::test]
async fn the_check_of_a_cdn_tells_which_objects_it_serves_as_the_bucket_has_them() {
    let (_emulator, world) = World::start(with_cdn("TENCENT_COS_D")).await;
    let ask = async |changes: Value| {
        let mut body = json!({
            "cloud_type": "AWS", "region": "eu-west-1", "bucket": "photos",
            "ak": "SOURCEKEY", "sk": SOURCE_SECRET, "prefix": { "keys": ["2024/a", "missing"] },
            "source_cdn": {
                "domain": "cdn.example.com", "protocol": "https", "authentication_type": "TENCENT_COS_D",
                "authentication_key": CDN_KEY,
            },
        });
        crate::world::merge(&mut body, changes);
        let path = format!("/v2/{}/objectstorage/buckets/cdn-info", crate::world::PROJECT);
        world.call(Method::POST, &path, Some(&body)).await
    };
    let found = ask(json!({})).await.expect_ok();
    let expected = json!({
        "is_same_cloud_type": false, "is_download_available": true,
        "checked_keys": [
            { "key": "2024/a", "is_object_existing": true, "is_etag_matching": true },
            { "key": "missing", "is_object_existing": false, "is_etag_matching": false },
        ],
    });
    assert_eq!(found, expected);
    ask(json!({ "source_cdn": { "authentication_key": "wrong" } })).await.expect_refusal(400, "OMS.0081");
    ask(json!({ "source_cdn": { "domain": "d" } })).await.expect_refusal(400, "OMS.0081");
    ask(json!({ "source_cdn": { "authentication_type": "ALIYUN_OSS_A", "authentication_key": "" } }))
        .await
        .expect_refusal(400, "OMS.1032");
    ask(json!({ "sk": "wrong" })).await.expect_refusal(400, "OMS.1016");
    ask(json!({ "bucket": "nowhere" })).await.expect_refusal(400, "OMS.0153");
}

#[tokio::test]
async fn a_key_that_a_start_brings_wrong_fails_the_run_and_the_right_one_mends_it() {
    let mut config = with_cdn("ALIYUN_OSS_A");
    config.limits.running_tasks = Some(1);
    let (_emulator, world) = World::start(config).await;
    world
        .admin(
            Method::POST,
            "/stores/source",
            Some(&json!({ "unavailable": { "operations": ["ListObjectsV2"] } })),
        )
        .await
        .expect_ok();
    let id = world.created(&through("cdn.example.com", "ALIYUN_OSS_A", CDN_KEY)).await;
    world.reach(id, 2).await;
    world.stop(id).await.expect_ok();
    world.reach(id, 3).await;
    let restored = world.admin(Method::POST, "/stores/source", Some(&json!({}))).await.expect_ok();
    assert_eq!(restored["behaviour"]["unavailable"], Value::Null);

    let missing = world.start_task(id, json!({})).await;
    missing.expect_refusal(400, "OMS.1032");
    world.start_task(id, json!({ "source_cdn_authentication_key": "wrong" })).await.expect_ok();
    let failed = world.reach(id, 4).await;
    assert_eq!(failed["error_reason"]["error_code"], "TRF.0152", "{failed}");
    world.start_task(id, json!({ "source_cdn_authentication_key": CDN_KEY })).await.expect_ok();
    assert_eq!(world.reach(id, 5).await["successful_num"], 3);
}

#[tokio::test]
async fn a_domain_can_lead_to_a_server_that_runs_elsewhere() {
    // Serves other bytes than the bucket for one object, and has forgotten another.
    let app = axum::Router::new().fallback(|request: axum::extract::Request| async move {
        assert_eq!(request.headers()["host"], "cdn.example.com");
        match request.uri().path() {
            "/2024/a" => (axum::http::StatusCode::OK, [("etag", "\"old\"")], "an older photo"),
            "/2024/b" => (axum::http::StatusCode::OK, [("x-none", "")], "the photo 2024/b"),
            _ => (axum::http::StatusCode::NOT_FOUND, [("x-none", "")], ""),
        }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(async move { axum::serve(listener, app).await });
    let config = json!({
        "cdns": [{ "domain": "cdn.example.com", "endpoint": endpoint }], "clock": { "scaled": 1000 },
    });
    let (_emulator, world) = World::start(crate::world::config(config)).await;
    let id = world.created(&through("cdn.example.com", "NONE", "")).await;
    let failed = world.reach(id, 4).await;
    assert_eq!((&failed["successful_num"], &failed["failed_num"]), (&json!(1), &json!(2)), "{failed}");
    assert_eq!(failed["error_reason"]["error_code"], "TRF.0004");
    let list = failed["failed_object_record"]["list_file_key"].as_str().unwrap().to_owned();
    let lines = String::from_utf8(world.destination_object(&list).await.unwrap()).unwrap();
    assert!(lines.contains("2024/a\tTRF.0002") && lines.contains("2025/c\tTRF.0156"), "{lines}");
    server.abort();
    // Nobody answers any more.
    world.create(&through("cdn.example.com", "NONE", "")).await.expect_refusal(400, "OMS.0081");
}

#[tokio::test]
async fn groups_and_synchronization_tasks_fetch_through_a_cdn_too() {
    // Tells which objects were asked of it.
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&asked);
    let app = axum::Router::new().fallback(move |request: axum::extract::Request| {
        let path = request.uri().path().to_owned();
        seen.lock().unwrap().push(path.clone());
        async move { format!("the photo {}", &path[1..]) }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(async move { axum::serve(listener, app).await });
    let config = json!({ "cdns": [{ "domain": "cdn.example.com", "endpoint": endpoint }] });
    let (_emulator, world) = World::start(crate::world::config(config)).await;
    let cdn = json!({ "domain": "cdn.example.com", "protocol": "http", "authentication_type": "NONE" });
    let fetched = || {
        let mut paths = std::mem::take(&mut *asked.lock().unwrap());
        paths.retain(|path| path != "/");
        paths.sort_unstable();
        paths
    };

    let mut group = through("cdn.example.com", "NONE", "");
    group["task_type"] = json!("PREFIX");
    let groups = format!("/v2/{}/taskgroups", crate::world::PROJECT);
    let made = world.call(Method::POST, &groups, Some(&group)).await.expect_ok();
    let group = format!("{groups}/{}", made["group_id"].as_str().unwrap());
    until(async || world.get(&group).await.expect_ok()["status"] == 6).await;
    assert_eq!(fetched(), ["/2024/a", "/2024/b", "/2025/c"]);

    let sync = json!({
        "src_cloud_type": "AWS", "src_region": "eu-west-1", "src_bucket": "photos",
        "src_ak": "SOURCEKEY", "src_sk": SOURCE_SECRET, "dst_region": "cn-north-4", "dst_bucket": "archive",
        "dst_ak": "DESTINATIONKEY", "dst_sk": DESTINATION_SECRET, "source_cdn": cdn,
    });
    let tasks = format!("/v2/{}/sync-tasks", crate::world::PROJECT);
    let made = world.call(Method::POST, &tasks, Some(&sync)).await.expect_ok();
    world.put_source("new", b"the photo new".to_vec()).await;
    let events = format!("{tasks}/{}/events", made["sync_task_id"].as_str().unwrap());
    let named = json!({ "object_keys": ["new"] });
    assert_eq!(world.call(Method::POST, &events, Some(&named)).await.status, 200);
    until(async || world.destination_object("new").await.is_some()).await;
    assert_eq!(fetched(), ["/new"]);

    let mut elsewhere = sync;
    elsewhere["source_cdn"]["domain"] = json!("other.example.com");
    world.call(Method::POST, &tasks, Some(&elsewhere)).await.expect_refusal(400, "OMS.0081");
    server.abort();
}

#[tokio::test]
async fn synchronization_tasks_know_the_clouds_that_they_can_copy_from() {
    for cloud in CLOUDS.iter().filter(|cloud| cloud.has_buckets()) {
        let name = cloud.name;
        let (_emulator, world) = World::start(standing_for(name, json!({}))).await;
        let mut sync = json!({
            "src_cloud_type": name, "src_region": "some-region", "src_bucket": "photos",
            "src_ak": "SOURCEKEY", "src_sk": SOURCE_SECRET, "dst_region": "cn-north-4", "dst_bucket": "archive",
            "dst_ak": "DESTINATIONKEY", "dst_sk": DESTINATION_SECRET, "app_id": "1250000000",
        });
        let tasks = format!("/v2/{}/sync-tasks", crate::world::PROJECT);
        let create = async |body: &Value| world.call(Method::POST, &tasks, Some(body)).await;
        if !cloud.can_sync {
            create(&sync).await.expect_refusal(400, "OMS.1003");
            continue;
        }
        let made = create(&sync).await.expect_ok();
        let events = format!("{tasks}/{}/events", made["sync_task_id"].as_str().unwrap());
        let named = json!({ "object_keys": ["2024/a"] });
        assert_eq!(world.call(Method::POST, &events, Some(&named)).await.status, 200);
        until(async || world.destination_object("2024/a").await.is_some()).await;
        sync["enable_restore"] = json!(true);
        let answer = create(&sync).await;
        let answered = if cloud.restores { (200, "") } else { (400, "OMS.1048") };
        assert_eq!((answer.status.as_u16(), answer.code()), answered, "{name}: {}", answer.text);
    }
}

/// A web server over TLS whose certificate comes from an authority that nobody knows.
async fn private_server() -> (String, tokio::task::JoinHandle<()>) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    let acceptor = acceptor();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            // A client that does not trust us ends the handshake.
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await;
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 7\r\nconnection: close\r\n\r\nprivate";
            let _ = stream.write_all(answer).await;
            let _ = stream.shutdown().await;
        }
    });
    (url, server)
}

#[tokio::test]
async fn urls_over_https_are_fetched_where_their_authority_is_trusted() {
    let (url, server) = private_server().await;
    for (sources, status) in [(json!({}), 4), (json!({ "caFile": AUTHORITY }), 5)] {
        let (_emulator, world) =
            World::start(config(json!({ "httpSources": sources, "clock": { "scaled": 1000 } }))).await;
        world.put_destination("urls.txt", "text/plain", format!("{url}/x\tx\n").into()).await;
        let mut task = task(json!({ "task_type": "url_list" }));
        let list = json!({ "obs_bucket": "archive", "list_file_key": "urls.txt" });
        task["src_node"] = json!({ "cloud_type": "URLSource", "list_file": list });
        let id = world.created(&task).await;
        world.reach(id, status).await;
        let arrived = world.destination_object("x").await;
        assert_eq!(arrived, (status == 5).then(|| b"private".to_vec()));
    }
    server.abort();
    let missing = config(json!({ "httpSources": { "caFile": "/no/such/file.pem" } }));
    let error = Emulator::start(Options::local(missing)).await.unwrap_err().to_string();
    assert!(error.contains("httpSources.caFile"), "{error}");
}

#[tokio::test]
async fn what_a_store_is_told_over_the_admin_api_is_shown_and_forgotten_with_a_reset() {
    let (_emulator, world) = World::start(standing_for("AWS", json!({}))).await;
    let behaviour = json!({ "buckets": { "archive": { "readOnly": true } } });
    world.admin(Method::POST, "/stores/destination", Some(&behaviour)).await.expect_ok();
    let shown = world.admin(Method::GET, "/stores", None).await.expect_ok();
    assert_eq!(shown["stores"][1]["behaviour"]["buckets"]["archive"]["readOnly"], true, "{shown}");
    let id = world.created(&task(json!({}))).await;
    assert_eq!(world.reach(id, 4).await["error_reason"]["error_code"], "TRF.0051");
    for (path, body, status) in [
        ("/stores/nowhere", json!({}), 404),
        ("/stores/source", json!({ "quota": 1 }), 400),
        ("/stores/source", json!("readOnly"), 400),
    ] {
        assert_eq!(world.admin(Method::POST, path, Some(&body)).await.status, status);
    }
    assert_eq!(world.admin(Method::POST, "/reset", None).await.status, 204);
    let shown = world.admin(Method::GET, "/stores", None).await.expect_ok();
    assert_eq!(shown["stores"][1]["behaviour"]["buckets"], json!({}));
    let id = world.created(&task(json!({}))).await;
    world.reach(id, 5).await;
}
