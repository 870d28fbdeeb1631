//! Every refusal that the contract lists, provoked as a client would meet it. What no call and no task can provoke is
//! there for faults alone, and is not counted.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write as _,
    time::Duration,
};

use oms_operator::emulator::{config::Config, server::Emulator};
use reqwest::Method;
use rusty_s3::{Bucket, Credentials, S3Action as _, UrlStyle};
use serde_json::{Value, json};

use crate::world::{
    Answer, DEADLINE, DESTINATION_SECRET, PROJECT, PROJECT_SECRET, SOURCE_SECRET, Signer, World, config,
    merge, read, task,
};

const TABLE: &str = include_str!("../../src/oms/errors.csv");
const CAUSES: &str = include_str!("../../src/oms/failure-causes.csv");
const REFUSALS: &str = include_str!("../../src/emulator/wire/refusal.rs");

/// Answers whose status is not the one of the table, and why.
const OTHER_STATUS: [(&str, u16, &str); 2] = [
    (
        "OMS.1009",
        404,
        "groups and synchronization tasks that do not exist are 404, as their pages say and clients see",
    ),
    ("OMS.2002", 404, "the page of CreateSyncEvents says 404 for a task that does not exist"),
];

/// Refusals of the emulator that no row provokes, and why.
const UNPROVOKED: [(&str, &str); 2] =
    [("OMS.0181", "the list would have to be 1 GiB long"), ("OMS.1001", "the disk would have to fail")];

/// What SMN can answer when OMS notifies it of an end.
const OF_NOTIFICATIONS: [&str; 5] = ["S3M.0156", "S3M.0157", "S3M.0159", "S3M.0160", "S3M.0161"];

const KEY: &str = "0d0466b0-e727-4d9c-b35d-f84bb474a37f";
const MIB: u64 = 1_048_576;

/// How a code is provoked.
enum By {
    /// A call to a path below the project, or to a whole one that begins with a slash twice.
    Call(Method, String, Value),
    /// A task that is created with these changes.
    Create(Value),
    /// A synchronization task that is created with these changes.
    CreateSync(Value),
    /// A task that is created with these changes, and fails.
    Task(Value),
    /// An object of such a task, by the list of failed objects.
    Object(Value),
    /// A group that is created with these changes, and cannot make its tasks.
    Group(Value),
}

struct Row(&'static str, u16, By);

/// What was provoked: code, whether it was an answer, and its status.
type Seen = BTreeSet<(String, Option<u16>)>;

fn get(path: &str) -> By {
    By::Call(Method::GET, path.to_owned(), Value::Null)
}

fn post(path: &str, body: Value) -> By {
    By::Call(Method::POST, path.to_owned(), body)
}

fn put(path: &str, body: Value) -> By {
    By::Call(Method::PUT, path.to_owned(), body)
}

fn delete(path: &str) -> By {
    By::Call(Method::DELETE, path.to_owned(), Value::Null)
}

fn keys(changes: Value) -> Value {
    let mut keys = json!({
        "src_ak": "SOURCEKEY", "src_sk": SOURCE_SECRET, "dst_ak": "DESTINATIONKEY", "dst_sk": DESTINATION_SECRET,
    });
    merge(&mut keys, changes);
    keys
}

fn group(changes: Value) -> Value {
    let mut group = task(json!({ "task_type": "PREFIX", "dst_node": { "cloud_type": "HEC" } }));
    merge(&mut group, changes);
    group
}

fn sync(changes: Value) -> Value {
    let mut body = keys(json!({
        "src_cloud_type": "AWS", "src_region": "eu-west-1", "src_bucket": "photos",
        "dst_region": "cn-north-4", "dst_bucket": "archive", "enable_kms": false,
    }));
    merge(&mut body, changes);
    body
}

/// A task over a list in bucket `archive`.
fn listed(key: &str) -> Value {
    json!({
        "task_type": "list",
        "src_node": { "object_key": null, "list_file": { "obs_bucket": "archive", "list_file_key": key } },
    })
}

fn url_list(key: &str) -> Value {
    json!({
        "task_type": "url_list", "consistency_check": "no_check",
        "src_node": {
            "cloud_type": "URLSource", "object_key": null,
            "list_file": { "obs_bucket": "archive", "list_file_key": key },
        },
    })
}

fn check_list(bucket: &str, key: &str) -> By {
    let body = json!({
        "region": "cn-north-4", "ak": "DESTINATIONKEY", "sk": DESTINATION_SECRET,
        "obs_bucket": bucket, "list_file_key": key,
    });
    post("/objectstorage/buckets/url-source-list-file", body)
}

fn bucket(about: &str, changes: Value) -> By {
    let mut body = json!({
        "cloud_type": "AWS", "ak": "SOURCEKEY", "sk": SOURCE_SECRET, "bucket_name": "photos",
        "data_center": "eu-west-1", "file_name": "",
    });
    merge(&mut body, changes);
    post(&format!("/objectstorage/buckets{about}"), body)
}

fn windows(windows: &[(&str, &str, u64)]) -> By {
    let policy: Vec<Value> = windows
        .iter()
        .map(|(start, end, most)| json!({ "start": start, "end": end, "max_bandwidth": most }))
        .collect();
    By::Create(json!({ "bandwidth_policy": policy }))
}

fn notifying(urn: &str) -> By {
    By::Create(json!({ "smn_config": { "topic_urn": urn, "trigger_conditions": ["SUCCESS"] } }))
}

fn kms(digit: char) -> By {
    let id = KEY.replace('0', &digit.to_string());
    By::Create(json!({ "src_node": { "crypto_type": "KMS", "kms_key_id": id } }))
}

impl World {
    /// Carries out a row; tells what came of it where that is not what was expected.
    async fn provoke(&self, Row(code, status, by): Row, seen: &mut Seen) -> Result<(), String> {
        let told = match by {
            By::Call(method, path, body) => {
                let path = match path.strip_prefix('/') {
                    Some(whole) if whole.starts_with('/') => whole.to_owned(),
                    _ => format!("/v2/{PROJECT}{path}"),
                };
                let answer = self.call(method, &path, Some(&body).filter(|body| !body.is_null())).await;
                return found(&answer, code, status, seen);
            }
            By::Create(changes) => {
                let answer = self.create(&task(changes)).await;
                return found(&answer, code, status, seen);
            }
            By::CreateSync(changes) => {
                let path = format!("/v2/{PROJECT}/sync-tasks");
                let answer = self.call(Method::POST, &path, Some(&sync(changes))).await;
                return found(&answer, code, status, seen);
            }
            By::Task(changes) => {
                let answer = self.create(&task(changes)).await;
                let Some(id) = answer.body["id"].as_u64() else {
                    return Err(format!("{code}: {}", answer.text));
                };
                self.reach(id, 4).await["error_reason"].to_string()
            }
            By::Object(changes) => {
                let failed = self.reach(self.created(&task(changes)).await, 4).await;
                let key = failed["failed_object_record"]["list_file_key"].as_str().unwrap_or_default();
                let list = self.destination_object(key).await.unwrap_or_default();
                format!("{} {}", failed["error_reason"], String::from_utf8(list).unwrap())
            }
            By::Group(changes) => self.failed_group(changes).await["error_reason"].to_string(),
        };
        if !told.contains(code) {
            return Err(format!("{code}: {told}"));
        }
        seen.insert((code.to_owned(), None));
        Ok(())
    }

    async fn failed_group(&self, changes: Value) -> Value {
        let path = format!("/v2/{PROJECT}/taskgroups");
        let created = self.call(Method::POST, &path, Some(&group(changes))).await.expect_ok();
        self.group_in(created["group_id"].as_str().unwrap(), 4).await
    }

    async fn group_in(&self, id: &str, status: u64) -> Value {
        let path = format!("/v2/{PROJECT}/taskgroups/{id}");
        let reached = async {
            loop {
                let group = self.get(&path).await.expect_ok();
                if group["status"] == status {
                    return group;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(DEADLINE, reached).await.unwrap()
    }

    async fn put_object(&self, to: &str, bucket: &str, key: &str, headers: &[(&str, &str)], contents: &[u8]) {
        let (endpoint, access, secret) = match to {
            "source" => (&self.source, "SOURCEKEY", SOURCE_SECRET),
            _ => (&self.destination, "DESTINATIONKEY", DESTINATION_SECRET),
        };
        let bucket =
            Bucket::new(endpoint.parse().unwrap(), UrlStyle::Path, bucket.to_owned(), "us-east-1").unwrap();
        let url = bucket.put_object(Some(&Credentials::new(access, secret)), key).sign(DEADLINE);
        let mut request = self.http.put(url).body(contents.to_vec());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = request.send().await.unwrap();
        assert!(answer.status().is_success(), "{bucket:?} {key}: {}", answer.status());
    }

    async fn store(&self, name: &str, behaviour: Value) {
        let answer = self.admin(Method::POST, &format!("/stores/{name}"), Some(&behaviour)).await;
        assert!(answer.status.is_success(), "{}", answer.text);
    }
}

fn found(answer: &Answer, code: &str, status: u16, seen: &mut Seen) -> Result<(), String> {
    if (answer.status.as_u16(), answer.code()) != (status, code) {
        return Err(format!("{code} with {status}: {} {}", answer.status, answer.text));
    }
    note(answer, code, status, seen);
    Ok(())
}

#[track_caller]
fn note(answer: &Answer, code: &str, status: u16, seen: &mut Seen) {
    answer.expect_refusal(status, code);
    seen.insert((code.to_owned(), Some(status)));
}

/// Stores and other things to refuse, and no hurry.
fn well_equipped() -> Config {
    let id = |digit: char| KEY.replace('0', &digit.to_string());
    let topic = |name: &str| format!("urn:smn:cn-north-4:p:{name}");
    let mut topics =
        vec![json!({ "urn": topic("open") }), json!({ "urn": topic("closed"), "authorized": false })];
    topics.extend(OF_NOTIFICATIONS.map(|code| json!({ "urn": topic(code), "deliveryError": code })));
    let mut config = config(json!({
        "embeddedCdns": [{ "name": "edge", "domain": "cdn.example", "store": "source", "bucket": "photos" }],
        "stores": [
            { "cloudType": "Baidu", "endpoint": "http://127.0.0.1:1" },
            { "cloudType": "Google", "endpoint": "http://127.0.0.1:1" },
        ],
        "smnTopics": topics,
        "kmsKeys": [
            { "id": id('1'), "enabled": false },
            { "id": id('2'), "algorithm": "RSA_2048" },
            { "id": id('3'), "permitted": false },
            { "id": id('4'), "refusal": "OMS.0207" },
            { "id": id('5'), "refusal": "OMS.0208" },
            { "id": id('6'), "refusal": "OMS.0209" },
            { "id": id('7'), "refusal": "OMS.0210" },
            { "id": id('8'), "refusal": "OMS.0213" },
            { "id": id('9'), "refusal": "OMS.0215" },
            { "id": id('a'), "refusal": "OMS.0216" },
        ],
        "limits": { "groupListFiles": 1, "tasksPerDay": 100_000 },
        "behaviour": { "sync": { "withoutRestore": ["AWS"] } },
    }));
    let mut azure = config.embedded_stores[0].clone();
    "azure".clone_into(&mut azure.name);
    "Azure".clone_into(&mut azure.cloud_type);
    config.embedded_stores.push(azure);
    config
}

async fn fill(world: &World) {
    for name in ["full", "frozen"] {
        world.make_bucket(&world.destination, "DESTINATIONKEY", DESTINATION_SECRET, name).await;
    }
    world.make_bucket(&world.source, "SOURCEKEY", SOURCE_SECRET, "paid").await;
    world.put_object("source", "paid", "a", &[], b"a").await;
    world
        .store(
            "destination",
            json!({ "buckets": { "full": { "quotaBytes": 1 }, "frozen": { "readOnly": true } } }),
        )
        .await;
    world.store("source", json!({ "buckets": { "paid": { "requesterPays": true } } })).await;
    let long = "x".repeat(65_536);
    let text: &[(&str, &str)] = &[("content-type", "text/plain")];
    for (key, headers, contents) in [
        ("lists/html.txt", &[("content-type", "text/html")][..], "http://127.0.0.1/x\tx"),
        (
            "lists/coded.txt",
            &[("content-type", "text/plain"), ("content-encoding", "br")][..],
            "http://127.0.0.1/x\tx",
        ),
        (
            "lists/cold.txt",
            &[("content-type", "text/plain"), ("x-amz-storage-class", "GLACIER")][..],
            "2024/a",
        ),
        ("lists/bom.txt", text, "\u{feff}http://127.0.0.1/x\tx"),
        ("lists/nowhere.txt", text, "nowhere\tx"),
        ("lists/coding.txt", text, "http://127.0.0.1/%FF\tx"),
        ("lists/layout.txt", text, "http://127.0.0.1/x"),
        ("lists/ftp.txt", text, "ftp://127.0.0.1/x\tx"),
        ("lists/key.txt", text, &format!("http://127.0.0.1/x\t{}", "n".repeat(1025))),
        ("lists/line.txt", text, &format!("http://127.0.0.1/{long}\tx")),
        ("lists/elsewhere.txt", text, "http://files.invalid/x\tx"),
        ("lists/long.txt", text, &long),
        ("lists/empty.txt", text, "\n"),
        ("lists/missing.txt", text, "no-such-object"),
        ("lists/vanished.txt", text, "2024/a\nno-such-object"),
        ("two/a.txt", text, "2024/a"),
        ("two/b.txt", text, "2024/b"),
    ] {
        world.put_object("destination", "archive", key, headers, contents.as_bytes()).await;
    }
}

/// What is refused at once, whatever there is.
fn requests() -> Vec<Row> {
    let elsewhere = json!({ "domain": "elsewhere", "protocol": "https", "authentication_type": "NONE" });
    let cdn = json!({ "domain": "d", "protocol": "https", "authentication_type": "ALIYUN_OSS_A" });
    vec![
        Row("APIGW.0101", 404, post("/tasks/1", json!({}))),
        Row("S3M.0256", 404, get("//v9")),
        Row("OMS.2001", 403, get("//v2/unknown/tasks")),
        Row("OMS.0054", 400, get("/tasks/one")),
        Row("OMS.1009", 400, get("/tasks/1")),
        Row("OMS.0067", 400, post("/tasks", json!("no object"))),
        Row("OMS.0064", 400, By::Create(json!({ "description": "a -> b" }))),
        Row("OMS.0057", 400, By::Create(json!({ "src_node": { "ak": "" } }))),
        Row("OMS.0079", 400, By::Create(json!({ "src_node": { "cloud_type": "Aliyun" } }))),
        Row("OMS.0083", 400, windows(&[("00:00", "00:01", MIB); 6])),
        Row("OMS.0084", 400, windows(&[("00:00", "00:01", MIB - 1)])),
        Row("OMS.0085", 400, windows(&[("00:00", "00:02", MIB), ("00:01", "00:03", MIB)])),
        Row("OMS.0087", 400, windows(&[("00:02", "00:01", MIB)])),
        Row("OMS.1020", 400, By::Create(json!({ "dst_node": { "bucket": "no-such-bucket" } }))),
        Row("OMS.0189", 400, By::Create(json!({ "dst_node": { "sk": "wrong" } }))),
        Row("OMS.0081", 400, By::Create(json!({ "source_cdn": elsewhere }))),
        Row("OMS.1032", 400, By::Create(json!({ "source_cdn": cdn }))),
        Row("S3M.0080", 400, By::Create(json!({ "dst_node": { "region": "cn-east-3" } }))),
        Row("S3M.0088", 400, By::Create(json!({ "task_type": "list" }))),
        Row("S3M.0092", 400, By::Create(json!({ "dst_node": { "save_prefix": "/x" } }))),
        Row("S3M.0093", 400, By::Create(json!({ "object_overwrite_mode": "CRC64_COMPARISON_OVERWRITE" }))),
        Row("S3M.0094", 400, By::Create(json!({ "consistency_check": "crc64" }))),
        Row("S3M.0095", 400, By::Create(json!({ "task_type": "url_list" }))),
        Row("S3M.1035", 400, get("/taskgroups?status=77")),
        Row("OMS.1009", 404, get("/taskgroups/unknown")),
        Row("OMS.0158", 400, notifying("urn:smn:cn-north-4:p:closed")),
        Row("OMS.0168", 400, notifying("urn:smn:cn-east-3:p:open")),
        Row("OMS.0169", 400, notifying("urn:smn:cn-north-4:p:unknown")),
        Row("OMS.0207", 403, kms('4')),
        Row("OMS.0208", 403, kms('5')),
        Row("OMS.0209", 403, kms('6')),
        Row("OMS.0210", 403, kms('7')),
        Row("OMS.0211", 403, kms('1')),
        Row("OMS.0212", 403, kms('f')),
        Row("OMS.0213", 403, kms('8')),
        Row("OMS.0214", 403, kms('3')),
        Row("OMS.0215", 403, kms('9')),
        Row("OMS.0216", 403, kms('a')),
        Row("OMS.0217", 400, kms('2')),
        Row("OMS.1002", 400, By::CreateSync(json!({ "src_bucket": 5 }))),
        Row("OMS.1003", 400, By::CreateSync(json!({ "src_cloud_type": "URLSource" }))),
        Row("OMS.1004", 400, By::CreateSync(json!({ "src_ak": null }))),
        Row("OMS.1006", 400, post("/sync-tasks", json!("no object"))),
        Row("OMS.0078", 400, By::CreateSync(json!({ "description": "(" }))),
        Row("OMS.1048", 400, By::CreateSync(json!({ "enable_restore": true }))),
        Row("OMS.1016", 400, By::CreateSync(json!({ "src_sk": "wrong" }))),
        Row("OMS.1009", 404, get("/sync-tasks/unknown?query_time=1")),
        Row("OMS.2002", 404, post("/sync-tasks/unknown/events", json!({ "object_keys": ["a"] }))),
    ]
}

/// What is wrong with lists and buckets.
fn looks() -> Vec<Row> {
    vec![
        Row("OMS.0175", 400, By::Create(url_list("lists/none.txt"))),
        Row("OMS.0185", 400, By::Create(url_list("lists/list.csv"))),
        Row("OMS.0186", 400, By::Create(url_list("lists/html.txt"))),
        Row("OMS.0187", 400, By::Create(url_list("lists/coded.txt"))),
        Row("OMS.0188", 400, By::Create(url_list("lists/bom.txt"))),
        Row("OMS.0173", 400, check_list("archive", "lists/nowhere.txt")),
        Row("OMS.0174", 400, check_list("archive", "lists/coding.txt")),
        Row("OMS.0176", 400, check_list("archive", "lists/layout.txt")),
        Row("OMS.0177", 400, check_list("archive", "lists/ftp.txt")),
        Row("OMS.0178", 400, check_list("archive", "lists/key.txt")),
        Row("OMS.0179", 400, check_list("archive", "lists/line.txt")),
        Row("OMS.0180", 400, check_list("no-such-bucket", "lists/line.txt")),
        Row("OMS.0153", 400, bucket("/prefix", json!({ "bucket_name": "no-such-bucket" }))),
        Row("OMS.0155", 400, bucket("/regions", json!({ "bucket_name": "no-such-bucket" }))),
        Row("OMS.0302", 400, bucket("/prefix", json!({ "bucket_name": "paid" }))),
        Row("OMS.0184", 400, bucket("/prefix", json!({ "cloud_type": "Baidu" }))),
    ]
}

/// What only the end of a task or group tells.
fn failures() -> Vec<Row> {
    let source = |changes: Value| By::Task(json!({ "src_node": changes }));
    let list = |key: &str| By::Task(listed(key));
    let azure = json!({
        "src_node": { "cloud_type": "Azure", "ak": "", "sk": "", "connection_string": "no such thing" },
    });
    let folder = |key: &str| {
        By::Group(json!({
            "task_type": "LIST",
            "src_node": { "object_key": null, "list_file": { "obs_bucket": "archive", "list_file_key": key } },
        }))
    };
    let to = |bucket: &str| By::Task(json!({ "dst_node": { "bucket": bucket } }));
    let long = || json!({ "dst_node": { "save_prefix": "p".repeat(1020) } });
    vec![
        Row("TRF.0012", 0, source(json!({ "object_key": ["nothing/"] }))),
        Row("TRF.0013", 0, list("lists/none.txt")),
        Row("TRF.0014", 0, list("lists/list.csv")),
        Row("TRF.0016", 0, By::Task(url_list("lists/layout.txt"))),
        Row("TRF.0017", 0, list("lists/empty.txt")),
        Row("TRF.0018", 0, list("lists/long.txt")),
        Row("TRF.0019", 0, list("lists/html.txt")),
        Row("TRF.0026", 0, list("lists/missing.txt")),
        Row("TRF.0301", 0, list("lists/cold.txt")),
        Row("TRF.0152", 0, source(json!({ "bucket": "paid" }))),
        Row("TRF.0051", 0, to("frozen")),
        Row("TRF.0055", 0, to("full")),
        Row("TRF.0151", 0, source(json!({ "sk": "wrong" }))),
        Row("TRF.0155", 0, source(json!({ "bucket": "no-such-bucket" }))),
        Row("TRF.0161", 0, By::Task(azure)),
        Row("TRF.0004", 0, By::Task(long())),
        Row("TRF.0060", 0, By::Object(long())),
        Row("TRF.0156", 0, By::Object(listed("lists/vanished.txt"))),
        Row("TRF.0152", 0, By::Object(url_list("lists/elsewhere.txt"))),
        Row("S3M.1042", 0, folder("nothing/")),
        Row("S3M.1045", 0, folder("two/")),
    ]
}

fn archive(world: &World) -> Bucket {
    Bucket::new(world.destination.parse().unwrap(), UrlStyle::Path, "archive", "cn-north-4").unwrap()
}

fn destination() -> Credentials {
    Credentials::new("DESTINATIONKEY", DESTINATION_SECRET)
}

async fn start(config: Config) -> (Emulator, World) {
    World::start(config).await
}

async fn all(world: &World, rows: Vec<Row>) -> Seen {
    let mut seen = Seen::new();
    let mut wrong = Vec::new();
    for row in rows {
        if let Err(problem) = world.provoke(row, &mut seen).await {
            wrong.push(problem);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    seen
}

async fn requests_and_failures() -> Seen {
    let (_emulator, world) = start(well_equipped()).await;
    fill(&world).await;
    let mut seen = Seen::new();
    for rows in [requests(), looks(), failures()] {
        seen.extend(all(&world, rows).await);
    }

    // Tasks that have ended.
    let done = world.created(&task(json!({}))).await;
    world.reach(done, 5).await;
    let failed = world.created(&task(json!({ "src_node": { "sk": "wrong" } }))).await;
    world.reach(failed, 4).await;
    let unrecorded = json!({ "src_node": { "sk": "wrong" }, "enable_failed_object_recording": false });
    let unrecorded = world.created(&task(unrecorded)).await;
    world.reach(unrecorded, 4).await;
    let again = || keys(json!({ "migrate_failed_object": true }));
    let policy = json!({ "bandwidth_policy": [] });
    let body = Some(group(json!({})));
    let created =
        world.call(Method::POST, &format!("/v2/{PROJECT}/taskgroups"), body.as_ref()).await.expect_ok();
    let group = created["group_id"].as_str().unwrap();
    world.group_in(group, 6).await;
    let ended = vec![
        Row("OMS.0070", 400, post(&format!("/tasks/{done}/stop"), Value::Null)),
        Row("S3M.0071", 400, put(&format!("/tasks/{done}/bandwidth-policy"), policy.clone())),
        Row("OMS.0167", 400, post(&format!("/tasks/{failed}/start"), again())),
        Row("S3M.0301", 400, post(&format!("/tasks/{unrecorded}/start"), again())),
        Row("OMS.1038", 400, put(&format!("/taskgroups/{group}/stop"), Value::Null)),
        Row("OMS.1039", 400, put(&format!("/taskgroups/{group}/start"), keys(json!({})))),
        Row("OMS.1040", 400, put(&format!("/taskgroups/{group}/retry"), keys(json!({})))),
        Row("OMS.1036", 400, put(&format!("/taskgroups/{group}/update"), policy)),
    ];
    seen.extend(all(&world, ended).await);

    // Notifications that nobody gets.
    for code in OF_NOTIFICATIONS {
        let topic =
            json!({ "topic_urn": format!("urn:smn:cn-north-4:p:{code}"), "trigger_conditions": ["SUCCESS"] });
        let id = world.created(&task(json!({ "smn_config": topic }))).await;
        assert_eq!(world.reach(id, 5).await["smn_info"]["notify_error_message"], code);
        seen.insert((code.to_owned(), None));
    }

    // A list of failed objects that somebody has taken away.
    let failed = world.created(&task(json!({ "dst_node": { "save_prefix": "p".repeat(1020) } }))).await;
    let failed = world.reach(failed, 4).await;
    let list = failed["failed_object_record"]["list_file_key"].as_str().unwrap();
    let url = archive(&world).delete_object(Some(&destination()), list).sign(DEADLINE);
    assert!(world.http.delete(url).send().await.unwrap().status().is_success());
    let id = failed["id"].as_u64().unwrap();
    assert_eq!(world.start_task(id, json!({ "migrate_failed_object": true })).await.status, 200);
    assert_eq!(world.reach(id, 4).await["error_reason"]["error_code"], "TRF.0022");
    seen.insert(("TRF.0022".to_owned(), None));

    // A synchronization task on its way.
    let sync_tasks = format!("/v2/{PROJECT}/sync-tasks");
    let created = world.call(Method::POST, &sync_tasks, Some(&sync(json!({})))).await.expect_ok();
    let id = created["sync_task_id"].as_str().unwrap();
    let events = || post(&format!("/sync-tasks/{id}/events"), json!({ "object_keys": ["a"] }));
    assert_eq!(world.call(Method::POST, &format!("{sync_tasks}/{id}/stop"), None).await.status, 200);
    seen.extend(all(&world, vec![Row("OMS.0094", 400, events())]).await);
    assert_eq!(world.call(Method::DELETE, &format!("{sync_tasks}/{id}"), None).await.status, 200);
    seen.extend(all(&world, vec![Row("OMS.0093", 400, events())]).await);
    seen
}

async fn tasks_that_last() -> Seen {
    let behaviour = json!({ "minimumRunMs": 3_600_000, "groupCreationMs": 3_600_000 });
    let changes = json!({ "limits": { "runningTasks": 1 }, "behaviour": behaviour });
    let (emulator, world) = start(config(changes)).await;
    let running = world.created(&task(json!({}))).await;
    world.reach(running, 2).await;
    let waiting = world.created(&task(json!({}))).await;
    let body = group(json!({}));
    let created =
        world.call(Method::POST, &format!("/v2/{PROJECT}/taskgroups"), Some(&body)).await.expect_ok();
    let group = created["group_id"].as_str().unwrap();
    world.group_in(group, 1).await;
    let batch = json!({ "ids": [running], "bandwidth_policy": [], "task_priority": "LOW" });
    let rows = vec![
        Row("OMS.0063", 400, delete(&format!("/tasks/{running}"))),
        Row("OMS.0065", 400, post(&format!("/tasks/{running}/start"), keys(json!({})))),
        Row("OMS.0066", 400, post(&format!("/tasks/{waiting}/stop"), Value::Null)),
        Row("OMS.0170", 400, post("/tasks/batch-update", batch)),
        Row("OMS.1047", 400, delete(&format!("/taskgroups/{group}"))),
    ];
    let mut seen = all(&world, rows).await;
    // The one that runs is not in the way any more, but the other one waits too long.
    world.stop(running).await;
    let queue = json!({ "limits": { "runningTasks": 0 } });
    let (other, world) = start(config(queue)).await;
    let waiting = world.created(&task(json!({}))).await;
    other.clock().advance(Duration::from_hours(30 * 24));
    assert_eq!(world.reach(waiting, 4).await["error_reason"]["error_code"], "TRF.0003");
    seen.insert(("TRF.0003".to_owned(), None));
    // The destination goes while a task waits.
    let patient = json!({ "behaviour": { "taskStartDelayMs": 3_600_000 } });
    let (another, world) = start(config(patient)).await;
    let waiting = world.created(&task(json!({}))).await;
    let url = archive(&world).delete_bucket(&destination()).sign(DEADLINE);
    assert!(world.http.delete(url).send().await.unwrap().status().is_success());
    another.clock().advance(Duration::from_hours(1));
    assert_eq!(world.reach(waiting, 4).await["error_reason"]["error_code"], "TRF.0058");
    seen.insert(("TRF.0058".to_owned(), None));
    emulator.shutdown().await;
    seen
}

async fn quotas() -> Seen {
    let limits = json!({
        "tasksPerDay": 0, "groupsPerDay": 0, "syncTasks": 0, "listedBuckets": 0, "failedCredentialChecks": 1,
    });
    let sync = json!({ "sync": { "notFoundStatus": 403 } });
    let (_emulator, world) = start(config(json!({ "limits": limits, "behaviour": sync }))).await;
    let wrong = || bucket("/prefix", json!({ "sk": "wrong" }));
    let mut seen = all(
        &world,
        vec![
            Row("OMS.1021", 400, By::Create(json!({}))),
            Row("OMS.1037", 400, post("/taskgroups", group(json!({})))),
            Row("S3M.0091", 400, By::CreateSync(json!({}))),
            Row("OMS.0095", 403, delete("/sync-tasks/unknown")),
            Row("OMS.0154", 400, bucket("", json!({}))),
            Row("OMS.1016", 400, wrong()),
            Row("OMS.0090", 400, wrong()),
        ],
    )
    .await;
    let limits =
        json!({ "waitingTasks": 0, "failedCredentialChecks": 1, "gateway": { "requests": 3, "minutes": 5 } });
    let behaviour = json!({ "failedChecksCode": "OMS.1015" });
    let (_emulator, world) = start(config(json!({ "limits": limits, "behaviour": behaviour }))).await;
    let rows = vec![
        Row("OMS.0077", 400, By::Create(json!({}))),
        Row("OMS.1016", 400, wrong()),
        Row("OMS.1015", 400, wrong()),
        Row("APIGW.0308", 429, get("/tasks")),
    ];
    seen.extend(all(&world, rows).await);
    seen
}

/// A store that fails, or keeps its objects in the cold.
async fn trouble_of_stores() -> Seen {
    let mover = json!({ "outageWaitMs": 1, "restoreWaitMs": 1 });
    let behaviour = json!({ "withoutRestore": [] });
    let (_emulator, world) = start(config(json!({ "mover": mover, "behaviour": behaviour }))).await;
    world.make_bucket(&world.source, "SOURCEKEY", SOURCE_SECRET, "cold").await;
    world.put_object("source", "cold", "a", &[("x-amz-storage-class", "GLACIER")], b"a").await;
    let cold = |restore: bool| json!({ "src_node": { "bucket": "cold" }, "enable_restore": restore });
    let mut seen = all(&world, vec![Row("TRF.0160", 0, By::Object(cold(false)))]).await;
    world.store("source", json!({ "restores": false })).await;
    seen.extend(all(&world, vec![Row("TRF.0201", 0, By::Object(cold(true)))]).await);
    world.store("source", json!({ "restoreMs": 3_600_000 })).await;
    seen.extend(all(&world, vec![Row("TRF.0202", 0, By::Object(cold(true)))]).await);
    for (store, code, operation, cause) in [
        ("source", "ServiceUnavailable", "GetObject", "TRF.0157"),
        ("source", "SlowDown", "GetObject", "TRF.0159"),
        ("destination", "ServiceUnavailable", "PutObject", "TRF.0061"),
    ] {
        // Not below `oms/`, so that the list of failed objects can be written.
        let out = json!({ "code": code, "operations": [operation], "keyPrefix": "2024/" });
        world.store(store, json!({ "unavailable": out })).await;
        seen.extend(all(&world, vec![Row(cause, 0, By::Object(json!({})))]).await);
        world.store(store, json!({})).await;
    }
    // Lists that cannot be stored. With this prefix the longer key does not fit into 1,024 bytes.
    let out = json!({ "code": "ServiceUnavailable", "operations": ["PutObject"], "keyPrefix": "oms/" });
    world.store("destination", json!({ "unavailable": out })).await;
    world.put_source("2025/a-longer-name", b"too long".to_vec()).await;
    let failed = world.created(&task(json!({ "dst_node": { "save_prefix": "p".repeat(1010) } }))).await;
    let failed = world.reach(failed, 4).await;
    assert_eq!(failed["failed_object_record"]["error_code"], "OMS.0303", "{failed}");
    assert_eq!(failed["success_record_error_reason"], "S3M.0309", "{failed}");
    seen.extend(["OMS.0303", "S3M.0309"].map(|code| (code.to_owned(), None)));
    seen
}

/// Who calls, and for which account.
async fn callers() -> Seen {
    let mut seen = Seen::new();
    let states = [
        ("restricted", "OMS.0201"),
        ("frozen", "OMS.0202"),
        ("unvalidated", "OMS.0203"),
        ("unverified", "OMS.0204"),
    ];
    let keys = json!([{ "access": "PROJECTKEY", "secret": PROJECT_SECRET }]);
    let user = |name: &str, role: &str| json!({ "name": name, "password": "p4ssword", "roles": [role] });
    let mut projects = vec![json!({
        "id": PROJECT, "region": "cn-north-4", "accessKeys": keys,
        "users": [user("guest", "Tenant Guest"), user("stranger", "Auditor")],
    })];
    projects.extend(states.map(|(state, _)| {
        json!({ "id": state, "name": state, "region": "cn-north-4", "accessKeys": keys, "account": state })
    }));
    let behaviour = json!({ "privacyAgreementAccepted": false });
    let (_emulator, world) = start(config(json!({ "projects": projects, "behaviour": behaviour }))).await;
    let mut rows: Vec<Row> = states
        .map(|(state, code)| Row(code, 400, post(&format!("//v2/{state}/tasks"), task(json!({})))))
        .into();
    rows.push(Row("OMS.0092", 400, By::Create(json!({}))));
    seen.extend(all(&world, rows).await);
    for code in ["OMS.1010", "S3M.0096"] {
        let behaviour = json!({ "privacyAgreementAccepted": false, "agreementCode": code });
        let (_emulator, world) = start(config(json!({ "behaviour": behaviour }))).await;
        seen.extend(all(&world, vec![Row(code, 400, By::Create(json!({})))]).await);
    }

    let list = format!("{}/v2/{PROJECT}/tasks", world.oms);
    let with_token = |token: String| {
        let request = world.http.get(&list).header("X-Auth-Token", token);
        async move { read(request.send().await.unwrap()).await.unwrap() }
    };
    note(&with_token("x".repeat(16_385)).await, "S3M.0163", 403, &mut seen);
    let padded = world.http.get(&list).header("X-Padding", "x".repeat(33_000)).send().await.unwrap();
    note(&read(padded).await.unwrap(), "S3M.0162", 403, &mut seen);
    note(&with_token("x".to_owned()).await, "APIGW.0301", 401, &mut seen);
    let token = |name: &'static str| {
        let user = json!({ "name": name, "password": "p4ssword", "domain": { "name": "emulated-account" } });
        let login = json!({ "auth": {
            "identity": { "methods": ["password"], "password": { "user": user } },
            "scope": { "project": { "id": PROJECT } },
        }});
        let request = world.http.post(format!("{}/v3/auth/tokens", world.oms)).json(&login);
        async move {
            let answer = read(request.send().await.unwrap()).await.unwrap();
            assert_eq!(answer.status, 201, "{}", answer.text);
            answer.headers["x-subject-token"].to_str().unwrap().to_owned()
        }
    };
    let stranger = token("stranger").await;
    note(&with_token(stranger.clone()).await, "OMS.0206", 403, &mut seen);
    world.admin(Method::POST, "/tokens/revoke", Some(&json!({}))).await.expect_ok();
    note(&with_token(stranger).await, "APIGW.0307", 401, &mut seen);
    let guest = token("guest").await;
    let wanted =
        json!({ "auth": { "identity": { "methods": ["token"], "token": { "duration_seconds": 900 } } } });
    let request = world.http.post(format!("{}/v3.0/OS-CREDENTIAL/securitytokens", world.oms));
    let answer =
        read(request.header("X-Auth-Token", guest).json(&wanted).send().await.unwrap()).await.unwrap();
    let credential = &answer.body["credential"];
    let text = |name: &str| credential[name].as_str().unwrap().to_owned();
    let mut visitor = world.clone();
    visitor.signer = Signer {
        access: text("access"),
        secret: text("secret"),
        date: None,
        token: Some(text("securitytoken")),
    };
    note(&visitor.create(&task(json!({}))).await, "OMS.0205", 403, &mut seen);
    seen
}

/// Codes that nothing but a fault provokes: they can be injected, with the status of the table.
async fn injected(left: &BTreeMap<String, BTreeSet<u16>>) {
    let (_emulator, world) = start(config(json!({ "limits": { "tasksPerDay": 100_000 } }))).await;
    for (code, statuses) in left {
        if code.starts_with("TRF.") {
            world.fault(json!({ "kind": "failTask", "code": code, "nth": 1 })).await;
            let failed = world.reach(world.created(&task(json!({}))).await, 4).await;
            assert_eq!(failed["error_reason"]["error_code"], *code);
        } else {
            let status = statuses.first().copied().unwrap_or(400);
            world.fault(json!({ "kind": "status", "code": code, "status": status, "nth": 1 })).await;
            world.tasks(Method::GET, "", None).await.expect_refusal(status, code);
        }
        world.admin(Method::DELETE, "/faults", None).await;
    }
}

/// The codes of the table, each with the statuses that it has there.
fn table() -> BTreeMap<String, BTreeSet<u16>> {
    let mut table: BTreeMap<String, BTreeSet<u16>> = BTreeMap::new();
    for line in TABLE.lines().skip(1).filter(|line| !line.is_empty()) {
        let mut fields = line.split(',');
        let (code, status) = (fields.next().unwrap(), fields.next().unwrap());
        let statuses = table.entry(code.to_owned()).or_default();
        statuses.extend(status.parse::<u16>());
    }
    table
}

/// The refusals of the emulator: code and status of each constant.
fn refusals() -> BTreeSet<(String, u16)> {
    REFUSALS
        .lines()
        .filter_map(|line| {
            let (_, value) = line.trim().split_once(" = ")?;
            let (status, rest) = value.split_once(" \"")?;
            Some((rest.split_once('"')?.0.to_owned(), status.parse().ok()?))
        })
        .collect()
}

#[track_caller]
fn check_status(table: &BTreeMap<String, BTreeSet<u16>>, code: &str, status: u16) {
    let Some(documented) = table.get(code) else { return };
    let explained = OTHER_STATUS.iter().any(|(other, of, _)| *other == code && *of == status);
    assert!(documented.contains(&status) || explained, "{code} has status {documented:?} and not {status}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_code_that_a_client_can_meet_is_provoked() {
    let stages = tokio::join!(
        tokio::spawn(requests_and_failures()),
        tokio::spawn(tasks_that_last()),
        tokio::spawn(quotas()),
        tokio::spawn(trouble_of_stores()),
        tokio::spawn(callers()),
    );
    let stages = [stages.0, stages.1, stages.2, stages.3, stages.4];
    let seen: Seen = stages.into_iter().flat_map(Result::unwrap).collect();

    let table = table();
    for (code, status) in &seen {
        if let Some(status) = status {
            check_status(&table, code, *status);
        }
    }
    let provoked: BTreeSet<&str> =
        seen.iter().map(|(code, _)| code.as_str()).filter(|code| table.contains_key(*code)).collect();
    let answered =
        provoked.iter().filter(|code| seen.iter().any(|(other, status)| other == **code && status.is_some()));
    let answered = answered.count();

    // The emulator refuses nothing that is not provoked here.
    for (code, status) in refusals() {
        if !table.contains_key(&code) {
            continue;
        }
        check_status(&table, &code, status);
        let explained = UNPROVOKED.iter().any(|(other, _)| *other == code);
        assert!(provoked.contains(code.as_str()) != explained, "{code}: provoke it, or say why not");
    }
    let causes: BTreeSet<&str> = CAUSES.lines().skip(1).filter_map(|line| line.split(',').next()).collect();
    let told = causes.iter().filter(|code| provoked.contains(*code)).count();

    let mut left = table.clone();
    left.retain(|code, _| !provoked.contains(code.as_str()));
    injected(&left).await;
    // Past the capture of passing tests: the number is what people want to see.
    writeln!(
        std::io::stderr(),
        "provoked {} of {} distinct codes ({answered} by requests, {} by what becomes of tasks and groups; \
         {told} of {} failure causes); the other {} by faults alone",
        provoked.len(),
        table.len(),
        provoked.len() - answered,
        causes.len(),
        left.len(),
    )
    .unwrap();
    assert_eq!(table.len(), 346, "distinct codes of the table");
    assert!(provoked.len() >= 100, "{} are fewer than there were", provoked.len());
}
