//! What is no proper HTTP, comes too slowly, is too much or comes from too many: it gets its refusal, and the next good
//! call works.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use oms_operator::emulator::server::{Emulator, Options};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::{
    process::{Program, write_config},
    raw::{Raw, connect, reply},
    world::{DEADLINE, PROJECT, PROJECT_SECRET, World, config},
};

const MEBIBYTE: usize = 1024 * 1024;

fn tasks_path() -> String {
    format!("/v2/{PROJECT}/tasks")
}

/// A good call, over a connection of its own.
async fn expect_well(world: &World) {
    world.get(&tasks_path()).await.expect_ok();
}

/// An emulator that nobody watches: what its HTTP layer answers is no part of the contract of OMS.
async fn unwatched(changes: Value) -> (Emulator, World) {
    let emulator = Emulator::start(Options::local(config(changes))).await.unwrap();
    let world = World::at(&emulator.endpoints().to_json());
    (emulator, world)
}

#[tokio::test]
async fn a_body_that_is_announced_to_be_too_large_is_refused_before_it_comes() {
    let (_emulator, world) = World::start(config(json!({}))).await;
    let announced = Raw::new("POST", &tasks_path()).signed(&world).header("content-length", "12582913");
    let mut stream = connect(&world).await;
    stream.write_all(&announced.head()).await.unwrap();
    reply(&mut stream).await.unwrap().expect(413, "APIGW.0201");
    // One byte less is waited for.
    let announced = Raw::new("POST", &tasks_path()).signed(&world).header("content-length", "12582912");
    let mut stream = connect(&world).await;
    stream.write_all(&announced.head()).await.unwrap();
    let early = tokio::time::timeout(Duration::from_millis(200), stream.read_u8()).await;
    assert!(early.is_err(), "nothing is answered before the body is there");
    expect_well(&world).await;
}

#[tokio::test]
async fn a_body_of_pieces_is_refused_as_soon_as_it_is_too_large() {
    let (_emulator, world) = World::start(config(json!({}))).await;
    let chunked = Raw::new("POST", &tasks_path()).signed(&world).header("transfer-encoding", "chunked");
    let mut stream = connect(&world).await;
    stream.write_all(&chunked.head()).await.unwrap();
    let (mut reading, mut writing) = stream.split();
    let piece = [b"10000\r\n".as_slice(), &vec![b'x'; 0x10000], b"\r\n"].concat();
    // It never ends: only a refusal ends it.
    let mut status = [0; 12];
    let sent = async {
        let mut sent = 0;
        while writing.write_all(&piece).await.is_ok() {
            sent += 0x10000;
        }
        sent
    };
    tokio::select! {
        read = tokio::time::timeout(DEADLINE, reading.read_exact(&mut status)) => { read.unwrap().unwrap(); }
        sent = sent => panic!("cut off after {sent} bytes without an answer"),
    }
    assert_eq!(&status, b"HTTP/1.1 413");
    expect_well(&world).await;
}

#[tokio::test]
async fn a_body_of_exactly_the_limit_is_read() {
    let (_emulator, world) = World::start(config(json!({}))).await;
    let mut body = br#"{"description": ""#.to_vec();
    body.resize(12 * MEBIBYTE - 2, b'x');
    body.extend_from_slice(b"\"}");
    let request = Raw::new("POST", &tasks_path()).body(body).signed(&world);
    request.send(&world).await.expect(400, "OMS.0064");
    // Of bodies that nobody signs much less is read.
    for (path, status) in [("/v3/auth/tokens", 413), ("/v5/agencies/assume-with-oidc", 413)] {
        let request = Raw::new("POST", path).header("host", "x").body(vec![b' '; 112 * 1024 + 1]);
        request.send(&world).await.expect(status, "APIGW.0201");
    }
    expect_well(&world).await;
}

#[tokio::test]
async fn nobodys_body_is_read_whose_key_nobody_knows() {
    let (_emulator, world) = World::start(config(json!({}))).await;
    let length = "12000000";
    for (request, status, code) in [
        (Raw::new("POST", &tasks_path()).header("host", "x"), 401, "APIGW.0301"),
        (
            Raw::new("POST", &tasks_path()).header("host", "x").signed_over("NOBODY", "x", &["x-sdk-date"]),
            401,
            "APIGW.0301",
        ),
        (
            Raw::new("POST", &tasks_path()).header("host", "x").header("x-auth-token", "MIInobody"),
            401,
            "APIGW.0301",
        ),
        (Raw::new("POST", "/v2/p/nothing").header("host", "x"), 404, "APIGW.0101"),
    ] {
        let mut stream = connect(&world).await;
        stream.write_all(&request.header("content-length", length).head()).await.unwrap();
        reply(&mut stream).await.unwrap().expect(status, code);
    }
    // Who sends all the same gets to read the refusal.
    let request = Raw::new("POST", &tasks_path()).header("host", "x").body(vec![b'x'; 8 * MEBIBYTE]);
    request.send(&world).await.expect(401, "APIGW.0301");
    expect_well(&world).await;
}

#[tokio::test]
async fn many_slow_clients_hold_up_nobody_and_are_cut_off() {
    let (_emulator, world) = unwatched(json!({ "limits": { "arrivalMs": 2000 } })).await;
    let mut slow_heads = Vec::new();
    let mut slow_bodies = Vec::new();
    for _ in 0..300 {
        let mut stream = connect(&world).await;
        stream.write_all(b"GET /v2 HTTP/1.1\r\nx-slow: ").await.unwrap();
        slow_heads.push(stream);
        let mut stream = connect(&world).await;
        let request = Raw::new("POST", &tasks_path()).signed(&world).header("content-length", "100");
        stream.write_all(&request.head()).await.unwrap();
        stream.write_all(b"{").await.unwrap();
        slow_bodies.push(stream);
    }
    let begun = Instant::now();
    expect_well(&world).await;
    assert!(begun.elapsed() < Duration::from_secs(10));
    for mut stream in slow_bodies {
        reply(&mut stream).await.unwrap().expect(408, "APIGW.0201");
    }
    for mut stream in slow_heads {
        // HTTP itself may say so, or just close.
        assert!(reply(&mut stream).await.is_none_or(|reply| reply.status == 408));
    }
    expect_well(&world).await;
}

#[tokio::test]
async fn an_idle_connection_does_not_live_forever() {
    let (_emulator, world) = unwatched(json!({ "limits": { "arrivalMs": 300 } })).await;
    let mut stream = connect(&world).await;
    stream.write_all(&Raw::new("GET", "/v2").signed(&world).bytes()).await.unwrap();
    assert_eq!(reply(&mut stream).await.unwrap().status, 200);
    assert!(reply(&mut stream).await.is_none(), "kept alive, and closed when nothing more came");
}

#[tokio::test]
async fn garbage_behind_a_good_call_takes_nothing_from_it() {
    let (_emulator, world) = World::start(config(json!({}))).await;
    let good = Raw::new("GET", "/v2").signed(&world).bytes();
    let garbage: [&[u8]; 5] = [
        b"\x00\x01\x02\xff\r\n\r\n",
        b"GET\r\n\r\n",
        b"\r\n\r\n\r\nnonsense nonsense nonsense\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /v2 HTTP/1.1\r\ncontent-length: -1\r\n\r\n",
    ];
    for garbage in garbage {
        let mut stream = connect(&world).await;
        stream.write_all(&[&good, &good, garbage, &good].concat()).await.unwrap();
        for _ in 0..2 {
            assert_eq!(reply(&mut stream).await.unwrap().status, 200);
        }
        let last = reply(&mut stream).await;
        assert!(last.as_ref().is_none_or(|reply| reply.status == 400), "{last:?}");
        expect_well(&world).await;
    }
    // Two lengths, a length and pieces: what could be read in two ways is not read at all, or in the safe way.
    for headers in ["content-length: 1\r\ncontent-length: 2", "transfer-encoding: chunked, identity"] {
        let mut stream = connect(&world).await;
        let request = format!("POST /v3/auth/tokens HTTP/1.1\r\nhost: x\r\n{headers}\r\n\r\nxx");
        stream.write_all(request.as_bytes()).await.unwrap();
        let answer = reply(&mut stream).await;
        assert!(answer.as_ref().is_none_or(|reply| reply.status == 400), "{headers}: {answer:?}");
    }
    expect_well(&world).await;
}

#[tokio::test]
async fn a_broken_body_is_no_call() {
    let (_emulator, world) = World::start(config(json!({}))).await;
    let chunked = Raw::new("POST", &tasks_path()).signed(&world).header("transfer-encoding", "chunked");
    let mut stream = connect(&world).await;
    stream.write_all(&[chunked.head(), b"zz\r\n".to_vec()].concat()).await.unwrap();
    let answer = reply(&mut stream).await;
    assert!(answer.as_ref().is_none_or(|reply| reply.status == 400), "{answer:?}");
    // A client that goes away in the middle.
    let half = Raw::new("POST", &tasks_path()).signed(&world).header("content-length", "100");
    let mut stream = connect(&world).await;
    stream.write_all(&half.head()).await.unwrap();
    drop(stream);
    expect_well(&world).await;
    let created = world.journal("?operation=CreateTask&effect=true").await;
    assert_eq!(created.len(), 0);
}

#[tokio::test]
async fn heads_may_be_large_and_not_huge() {
    let (_emulator, world) = World::start(config(json!({}))).await;
    let list = |padding: usize| {
        Raw::new("GET", &tasks_path()).signed(&world).header("x-padding", "x".repeat(padding))
    };
    assert_eq!(list(20_000).send(&world).await.status, 200);
    list(33_000).send(&world).await.expect(403, "S3M.0162");
    assert_eq!(list(200_000).send(&world).await.status, 431, "HTTP's own words");
    let mut many = Raw::new("GET", &tasks_path()).signed(&world);
    for number in 0..200 {
        many = many.header(&format!("x-{number}"), "x");
    }
    assert_eq!(many.send(&world).await.status, 431);
    let long = Raw::new("GET", &format!("/v2/{}", "x".repeat(100_000))).signed(&world).send(&world).await;
    assert!([414, 431].contains(&long.status), "{long:?}");
    expect_well(&world).await;
}

#[tokio::test]
async fn http_1_0_is_spoken_too() {
    let (_emulator, world) = World::start(config(json!({}))).await;
    // It has no Host header, and the signature need not have one.
    let mut request =
        Raw::new("GET", &tasks_path()).signed_over("PROJECTKEY", PROJECT_SECRET, &["x-sdk-date"]);
    request.version = "HTTP/1.0";
    let mut stream = connect(&world).await;
    stream.write_all(&request.bytes()).await.unwrap();
    let answer = reply(&mut stream).await.unwrap();
    assert_eq!((answer.status, &answer.body["count"]), (200, &json!(0)));
    assert!(reply(&mut stream).await.is_none(), "and closed");
    request.headers.clear();
    request.send(&world).await.expect(401, "APIGW.0301");
}

#[tokio::test]
async fn paths_and_queries_of_any_bytes_are_refused_or_answered() {
    let (_emulator, world) = World::start(config(json!({}))).await;
    for (path, query, status) in [
        // What is no UTF-8 reads as U+FFFD, which a signature has to have, too.
        (format!("/v2/{PROJECT}/tasks/%EF%BF%BD"), "", 400),
        (tasks_path(), "task_name=%EF%BF%BD", 200),
        (tasks_path(), "limit=%EF%BF%BD", 400),
        (tasks_path(), "status=%00", 400),
        (format!("/v2/{PROJECT}/tasks/%00"), "", 400),
        ("/v2/%2E%2E/tasks".to_owned(), "", 403),
    ] {
        let mut request = Raw::new("GET", &path.replace("%2E%2E", ".."));
        request.query = query.to_owned();
        let mut request = request.signed(&world);
        request.path = path.clone();
        let answer = request.send(&world).await;
        assert_eq!(answer.status, status, "{path}?{query}: {answer:?}");
    }
    for target in
        ["/v2/%ff%fe/tasks", "/v2/p/tasks?name=%ff", "/%", "/v2/p/tasks?%zz", "//", "/v2//tasks", "*"]
    {
        let mut stream = connect(&world).await;
        stream.write_all(format!("GET {target} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).await.unwrap();
        let answer = reply(&mut stream).await.unwrap();
        assert!([400, 401, 404].contains(&answer.status), "{target}: {answer:?}");
    }
    let mut stream = connect(&world).await;
    stream.write_all(b"GET /v2/\xff\xfe/tasks HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let answer = reply(&mut stream).await;
    assert!(answer.as_ref().is_none_or(|reply| [400, 401, 404].contains(&reply.status)), "{answer:?}");
    expect_well(&world).await;
}

#[tokio::test]
async fn one_connection_too_many_is_told_so() {
    let (_emulator, world) = unwatched(json!({ "limits": { "connections": 3 } })).await;
    let mut held = Vec::new();
    for _ in 0..3 {
        let mut stream = connect(&world).await;
        stream.write_all(&Raw::new("GET", "/v2").signed(&world).bytes()).await.unwrap();
        assert_eq!(reply(&mut stream).await.unwrap().status, 200);
        held.push(stream);
    }
    Raw::new("GET", "/v2").signed(&world).send(&world).await.expect(503, "APIGW.0201");
    held.pop();
    let begun = Instant::now();
    while Raw::new("GET", "/v2").signed(&world).send(&world).await.status != 200 {
        assert!(begun.elapsed() < DEADLINE, "the place that came free is given to nobody");
        tokio::task::yield_now().await;
    }
}

/// As many connections as this process may open, in a process of its own that has room for them.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn ten_thousand_connections_cost_little_memory_and_hold_up_nobody() {
    use rustix::process::{Resource, getrlimit, setrlimit};

    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
    let allowed =
        limit.maximum.map_or(10_000, |most| usize::try_from(most).unwrap_or(10_000).saturating_sub(500));
    let wanted = allowed.min(10_000);

    let folder = tempfile::tempdir().unwrap();
    let file = write_config(folder.path(), json!({ "privacyAgreementAccepted": true }));
    let mut program = Program::start(folder.path(), &["--config", &file]);
    let world = World::at(&program.ready(folder.path()).await);
    expect_well(&world).await;
    let before = resident(program.id());
    let mut open: Vec<TcpStream> = Vec::with_capacity(wanted);
    let good = Raw::new("GET", &tasks_path()).signed(&world).bytes();
    while open.len() < wanted {
        let mut stream = connect(&world).await;
        // Every second one has made a call, every fourth is in the middle of a head.
        match open.len() % 4 {
            0 => stream.write_all(b"GET /v2 HTTP/1.1\r\nx-half: ").await.unwrap(),
            1 | 3 => {
                stream.write_all(&good).await.unwrap();
                assert_eq!(reply(&mut stream).await.unwrap().status, 200);
            }
            _ => {}
        }
        open.push(stream);
    }
    let begun = Instant::now();
    expect_well(&world).await;
    let answered = begun.elapsed();
    let grown = resident(program.id()).saturating_sub(before);
    println!("{wanted} connections: {} KiB more, a call in {answered:?}", grown / 1024);
    assert!(answered < Duration::from_secs(5), "{answered:?}");
    assert!(grown < wanted * 40 * 1024, "{} bytes per connection", grown / wanted);
    drop(open);
    expect_well(&world).await;
    program.signal("TERM");
    let (status, _, error) = program.end().await;
    assert_eq!((status, error.as_str()), (Some(0), ""));
}

/// Bytes of memory that a process holds.
#[cfg(target_os = "linux")]
fn resident(process: u32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
}

#[tokio::test]
async fn every_kind_of_bad_signature_is_refused_and_the_service_is_lenient_where_it_is() {
    use jiff::SignedDuration;

    let (_emulator, world) = World::start(config(json!({}))).await;
    let now = Timestamp::now();
    let host = || Raw::new("GET", &tasks_path()).header("host", crate::raw::address(&world).to_string());
    let both = ["host", "x-sdk-date"];
    let sign = |request: Raw, names: &[&str]| request.signed_over("PROJECTKEY", PROJECT_SECRET, names);
    let dated = |offset: i64| {
        sign(host().header("x-sdk-date", crate::raw::date(now + SignedDuration::from_secs(offset))), &both)
    };
    let mut altered = sign(
        Raw::new("POST", &tasks_path()).header("host", crate::raw::address(&world).to_string()).body("{}"),
        &both,
    );
    altered.body = b"[]".to_vec();
    let mut other_query = sign(host(), &both);
    other_query.query = "limit=1".to_owned();
    let mut other_path = sign(host(), &both);
    other_path.path.push_str("/1");
    let mut dateless = sign(host(), &both);
    dateless.headers.retain(|(name, _)| name != "x-sdk-date");
    let mut headless = sign(host().header("x-project-id", PROJECT), &["host", "x-project-id", "x-sdk-date"]);
    headless.headers.retain(|(name, _)| name != "x-project-id");
    let wrong = "verify aksk signature fail";
    for (case, request, words) in [
        ("wrong key", host().signed_over("PROJECTKEY", "wrong", &both), wrong),
        ("unknown key", host().signed_over("NOBODY", PROJECT_SECRET, &both), "err:ak not exist"),
        ("altered body", altered, wrong),
        ("other query", other_query, wrong),
        ("other path", other_path, wrong),
        ("too old", dated(-960), "signature expired"),
        ("from the future", dated(960), "signature expired"),
        ("no date", dateless, "X-Sdk-Date is missing"),
        ("no such header", headless, "signed header x-project-id not found"),
        ("another scheme", host().header("authorization", "V11-HMAC-SHA256 Credential=x"), "malformed"),
        ("nonsense", host().header("authorization", "SDK-HMAC-SHA256 Access=PROJECTKEY"), "malformed"),
        (
            "no hexadecimal",
            host().header(
                "authorization",
                "SDK-HMAC-SHA256 Access=PROJECTKEY, SignedHeaders=host, Signature=x",
            ),
            "malformed",
        ),
        ("nothing", host(), "x-auth-token not found"),
    ] {
        let answer = request.send(&world).await;
        assert_eq!(answer.status, 401, "{case}: {answer:?}");
        answer.expect(401, "APIGW.0301");
        assert!(answer.body["error_msg"].as_str().unwrap().contains(words), "{case}: {answer:?}");
        assert!(answer.body["request_id"].is_string(), "{case}");
        expect_well(&world).await;
    }

    // A request that somebody recorded is good as long as its date is, and not after.
    let recorded = sign(host(), &both);
    assert_eq!(recorded.send(&world).await.status, 200);
    assert_eq!(recorded.send(&world).await.status, 200, "there is no nonce");
    let later = json!({ "signatureOffsetMs": 16 * 60_000 });
    world.admin(Method::POST, "/clock", Some(&later)).await.expect_ok();
    recorded.send(&world).await.expect(401, "APIGW.0301");
    world.admin(Method::POST, "/clock", Some(&json!({ "signatureOffsetMs": 0 }))).await.expect_ok();

    for (case, request) in [
        ("unsigned host", sign(host(), &["x-sdk-date"])),
        ("unsigned security token", sign(host(), &both).header("x-security-token", "x")),
        ("unsigned content type", sign(host(), &both).header("content-type", "application/json")),
        ("unsigned project", sign(host(), &both).header("x-project-id", PROJECT)),
        ("date in time", dated(-880)),
    ] {
        assert_eq!(request.send(&world).await.status, 200, "{case}");
    }
    sign(host(), &both).header("x-project-id", "other").send(&world).await.expect(403, "OMS.2001");
    let unknown = Raw::new("GET", "/v2/ffffffffffffffffffffffffffffffff/tasks").signed(&world);
    unknown.send(&world).await.expect(403, "OMS.2001");
}
