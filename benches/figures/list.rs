//! How much the emulator bears: 10,000 tasks in memory, and lists of 100 of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use futures::{StreamExt as _, stream};
use jiff::Timestamp;
use oms_operator::oms::Urgency;
use oms_operator::oms::sign::{Signable, authorization};
use serde_json::json;

use crate::emulator::{Emulator, config, create, http};
use crate::figure;

const TASKS: usize = 10_000;
/// Calls per second that are promised, on one core.
const CALLS: f64 = 1000.0;
/// Memory that is promised, in MB.
const MEMORY: f64 = 150.0;
/// Calls under way at a time.
const CALLERS: usize = 8;
const DURATION: Duration = Duration::from_secs(5);

pub(crate) async fn measure() {
    let mut config = config(None);
    config["limits"] = json!({ "tasksPerDay": TASKS, "waitingTasks": TASKS, "runningTasks": 1 });
    // The tasks are to stay as they are.
    config["behaviour"]["taskStartDelayMs"] = json!(3_600_000);
    let emulator = Emulator::start(&config, Some(0)).await;
    let (source, destination) = (emulator.store(0), emulator.store(1));
    destination.make(&http(), "destination").await;
    let client = emulator.client();
    let before = emulator.memory();
    stream::iter(0..TASKS)
        .for_each_concurrent(CALLERS, |_| async {
            client
                .create_task(&create(&source, "source", &destination, "destination"), Urgency::User)
                .await
                .unwrap();
        })
        .await;
    let memory = emulator.memory();
    figure(
        "emulator: memory with 10,000 tasks (at most 1)",
        &format!("{memory:.0} MB"),
        &format!("{MEMORY:.0} MB; {before:.0} MB without"),
        memory / MEMORY,
    );
    let rate = lists(&emulator).await;
    figure(
        "emulator on one core: lists of 100 out of 10,000 tasks",
        &format!("{rate:.0}/s"),
        &format!("{CALLS:.0}/s"),
        rate / CALLS,
    );
}

/// Lists per second; the answers are received whole and not read, as it is the emulator that is measured.
async fn lists(emulator: &Emulator) -> f64 {
    let host = emulator.ready("/oms").trim_start_matches("http://").to_owned();
    let path = format!("/v2/{}/tasks", emulator.ready("/projects/0/id"));
    let date = Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
    let query = "limit=100&offset=5000";
    let headers = [("host", host.as_str()), ("x-sdk-date", date.as_str())];
    let request = Signable { method: "GET", path: &path, query, headers: &headers, body: b"" };
    let access = emulator.ready("/projects/0/accessKey");
    let signed = authorization(&request, access, &emulator.ready("/projects/0/secretKey").into(), &date);
    let url = format!("http://{host}{path}?{query}");
    let http = http();
    let call = || async {
        let answer = http.get(&url).header("x-sdk-date", &date).header("authorization", &signed).send();
        let answer = answer.await.unwrap().error_for_status().unwrap().bytes().await.unwrap();
        assert!(answer.len() > 10_000);
    };
    for _ in 0..100 {
        call().await;
    }
    let (begun, calls) = (Instant::now(), Arc::new(AtomicU32::new(0)));
    let before = emulator.processor_time();
    stream::iter(0..CALLERS)
        .for_each_concurrent(CALLERS, |_| async {
            while begun.elapsed() < DURATION {
                call().await;
                calls.fetch_add(1, Ordering::Relaxed);
            }
        })
        .await;
    // Per second of processor time, so that whatever else runs on the core does not count.
    f64::from(calls.load(Ordering::Relaxed)) / (emulator.processor_time() - before)
}
