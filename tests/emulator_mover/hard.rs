//! Objects that are hard to move.
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::time;
use oms_operator::emulator::mover::{
    Checkpoint, ConsistencyCheck, Context, Job, LIST_SEGMENT, Outcome, OverwriteMode, Settings, TaskType,
    WINDOW, Window, run,
};
use oms_operator::emulator::store::{BucketBehaviour, StoreBehaviour};

use crate::bench::{Bench, code, counts};

fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|index| (index * 7 % 251) as u8).collect()
}

#[tokio::test]
async fn parts_follow_the_configured_size_threshold_and_number() {
    let mut bench = Bench::new().await;
    bench.settings =
        Settings { part_size: 1000, multipart_threshold: Some(5000), max_parts: 4, ..bench.settings };
    for length in [0, 1, 5000, 5001, 8000, 8001] {
        bench.source.put(&format!("{length}"), &bytes(length)).await;
    }
    bench.finish(&bench.job()).await;
    assert_eq!(bench.arrived().await, bench.source.contents().await);
    for (key, parts) in [("0", 0), ("1", 0), ("5000", 0), ("5001", 4), ("8000", 4), ("8001", 4)] {
        let etag = bench.destination_store.object("destination", key).unwrap().etag;
        let suffix = etag.rsplit_once('-').map_or(0, |(_, number)| number.parse().unwrap());
        assert_eq!(suffix, parts, "{key}: {etag}");
    }
    bench.end().await;
}

#[tokio::test]
async fn an_etag_of_parts_is_not_compared_with_an_md5() {
    let mut bench = Bench::new().await;
    bench.settings.part_size = 1000;
    // The same bytes have another ETag on the other side, whichever way.
    bench.source.put_in_parts("parts-here", &bytes(900), 300).await;
    bench.source.put("parts-there", &bytes(3500)).await;
    bench.source.put_in_parts("other-parts", &bytes(3500), 700).await;
    use OverwriteMode::{Crc64ComparisonOverwrite, SizeLastModifiedComparisonOverwrite};
    for (overwrite_mode, consistency_check) in [
        (SizeLastModifiedComparisonOverwrite, ConsistencyCheck::SizeLastModified),
        (Crc64ComparisonOverwrite, ConsistencyCheck::Crc64),
    ] {
        let job = Job { overwrite_mode, consistency_check, ..bench.job() };
        for key in bench.destination.keys().await {
            bench.destination.delete(&key).await;
        }
        assert_eq!(counts(&bench.finish(&job).await), (3, 3, 0, 0));
        for key in ["parts-here", "parts-there", "other-parts"] {
            let here = bench.source_store.object("source", key).unwrap().etag;
            let there = bench.destination_store.object("destination", key).unwrap().etag;
            assert_ne!(here, there, "{key}");
        }
        assert_eq!(
            counts(&bench.finish(&job).await),
            (3, 0, 0, 3),
            "{overwrite_mode:?}: nothing has changed"
        );
    }
    bench.end().await;
}

#[tokio::test]
async fn every_overwrite_mode_with_every_check_and_every_knowledge_of_checksums() {
    use ConsistencyCheck::{Crc64 as CheckCrc64, NoCheck, SizeLastModified};
    use OverwriteMode::{
        Crc64ComparisonOverwrite as Crc64, FullOverwrite as Full, NoOverwrite as No,
        SizeLastModifiedComparisonOverwrite as SizeTime,
    };
    let bench = Bench::new().await;
    let old = "2020-01-01T00:00:00Z".parse().unwrap();
    let older = "2019-12-31T00:00:00Z".parse().unwrap();
    let all = ["absent", "destination-older", "other-size", "same", "same-size-other-bytes"];
    for key in all {
        bench.source.put(key, b"source").await;
        bench.source_store.set_last_modified("source", key, old).unwrap();
    }
    let by_time: &[&str] = &["absent", "destination-older", "other-size"];
    let by_crc64: &[&str] = &["absent", "other-size", "same-size-other-bytes"];
    let knowledge = [
        // (the cloud has CRC64, the source tells it, the destination tells it)
        (true, true, true),
        (false, true, true),
        (true, false, true),
        (true, true, false),
    ];
    for mode in [No, SizeTime, Crc64, Full] {
        for check in [SizeLastModified, CheckCrc64, NoCheck] {
            for (cloud, source, destination) in knowledge {
                for (key, bytes) in [
                    ("same", &b"source"[..]),
                    ("other-size", b"destination"),
                    ("destination-older", b"source"),
                    ("same-size-other-bytes", b"ecruos"),
                ] {
                    bench.destination.put(key, bytes).await;
                }
                bench.destination.delete("absent").await;
                bench.destination_store.set_last_modified("destination", "destination-older", older).unwrap();
                bench.source_behaves(|behaviour| behaviour.crc64 = source);
                bench.destination_behaves(|behaviour| behaviour.crc64 = destination);
                let before: Vec<u64> = all.iter().map(|key| bench.writes(key)).collect();
                let job = Job {
                    overwrite_mode: mode,
                    consistency_check: check,
                    source_has_crc64: cloud,
                    enable_failed_object_recording: false,
                    ..bench.job()
                };
                let checkpoint = bench.finish(&job).await;
                let expected = match mode {
                    No => &["absent"][..],
                    Crc64 if cloud && source && destination => by_crc64,
                    // Also where a checksum is missing.
                    SizeTime | Crc64 => by_time,
                    Full => &all,
                };
                let written: Vec<&str> = all
                    .iter()
                    .zip(before)
                    .filter(|(key, before)| bench.writes(key) > *before)
                    .map(|(key, _)| *key)
                    .collect();
                assert_eq!(written, expected, "{mode:?} {check:?} {cloud} {source} {destination}");
                let number = expected.len() as u64;
                assert_eq!(counts(&checkpoint), (5, number, 0, 5 - number));
            }
        }
    }
    bench.end().await;
}

#[tokio::test]
async fn keys_that_other_tools_confuse_arrive_as_they_are() {
    let bench = Bench::new().await;
    let long = format!("{}/{}", "l".repeat(511), "o".repeat(512));
    let keys = ["Case", "case", "CASE", "dir/", "dir", "dir/sub/", "Dir/", &long];
    for key in keys {
        // Markers of directories are empty objects.
        let bytes = if key.ends_with('/') { &b""[..] } else { key.as_bytes() };
        bench.source.put_with(key, bytes, &[("content-type", "application/x-directory")]).await;
    }
    let dots = ["../up", "a/../b", "a/./b", "./here", "..", "a/..", "b"];
    for key in dots {
        bench.source.put_dotted(key, key.as_bytes()).await;
    }
    let checkpoint = bench.finish(&bench.job()).await;
    assert_eq!(bench.failures(&checkpoint).await, []);
    assert_eq!(counts(&checkpoint), (15, 15, 0, 0));
    assert_eq!(bench.destination.keys().await.len(), 16, "and one success list");
    for key in keys.into_iter().chain(dots) {
        let here = bench.source_store.object("source", key).unwrap();
        let there = bench.destination_store.object("destination", key).unwrap();
        assert_eq!((here.size, here.etag), (there.size, there.etag), "{key}");
    }
    let head = bench.destination.head("dir/").await.ok();
    assert_eq!(head.header("content-length"), Some("0"));
    assert_eq!(head.header("content-type"), Some("application/x-directory"));

    // In parts, by name, and under a prefix that leaves no room.
    let mut bench = bench;
    bench.settings.part_size = 3;
    let job = Job {
        task_type: TaskType::Object,
        object_keys: vec!["a/../b".into(), "../up".into(), long.clone()],
        save_prefix: "p/".into(),
        ..bench.job()
    };
    let checkpoint = bench.finish(&job).await;
    assert_eq!(counts(&checkpoint), (3, 2, 1, 0));
    assert_eq!(bench.failures(&checkpoint).await, [(long, "TRF.0060".into())]);
    let there = bench.destination_store.object("destination", "p/a/../b").unwrap();
    assert!(there.size == 6 && there.etag.ends_with("-2"), "{there:?}");
    bench.end().await;
}

#[tokio::test]
async fn metadata_that_is_not_ascii_arrives_as_s3_carries_it() {
    let mut bench = Bench::new().await;
    bench.settings.part_size = 1000;
    let long = "迁移任务的描述".repeat(20);
    let headers =
        [("x-amz-meta-name", "日本語 ünïcödé"), ("x-amz-meta-long", &long), ("x-amz-meta-plain", "plain")];
    bench.source.put_with("small", b"x", &headers).await;
    bench.source.put_with("encoded", b"x", &[("x-amz-meta-name", "=?UTF-8?B?5pel5pys?=")]).await;
    let start = [&headers[..], &[("content-type", "text/x")]].concat();
    bench.source.put_with("parts", &bytes(2500), &start).await;
    bench.finish(&bench.job()).await;
    for key in ["small", "encoded", "parts"] {
        let (here, there) = (bench.source.head(key).await.ok(), bench.destination.head(key).await.ok());
        for name in ["x-amz-meta-name", "x-amz-meta-long", "x-amz-meta-plain"] {
            assert_eq!(here.headers.get(name), there.headers.get(name), "{key} {name}");
        }
        let name = there.header("x-amz-meta-name").unwrap();
        assert!(name.is_ascii() && name.starts_with("=?UTF-8?"), "RFC 2047: {name}");
    }
    assert_eq!(bench.destination_store.metadata("destination", "small", "long"), Some(long));
    assert_eq!(bench.destination_store.metadata("destination", "encoded", "name"), Some("日本".into()));
    bench.end().await;
}

#[tokio::test]
async fn archived_objects_are_restored_when_asked_and_fail_with_their_own_cause_otherwise() {
    let cold = [("x-amz-storage-class", "GLACIER")];
    let minutes = |minutes: u64| StoreBehaviour { restore_ms: minutes * 60_000, ..StoreBehaviour::default() };
    let never = StoreBehaviour { restores: false, ..StoreBehaviour::default() };
    for (enable_restore, behaviour, expected) in [
        (false, minutes(0), Some("TRF.0160")),
        (true, minutes(0), None),
        (true, minutes(2), None),
        (true, minutes(60), Some("TRF.0202")),
        (true, never, Some("TRF.0201")),
    ] {
        let bench = Bench::new().await;
        bench.source_store.handle().set_behaviour(behaviour.clone());
        bench.source.put("warm", b"water").await;
        bench.source.put_with("cold", b"ice", &cold).await;
        let job = Job { enable_restore, ..bench.job() };
        let checkpoint = bench.finish(&job).await;
        let failures: Vec<_> =
            expected.map(|code| ("cold".to_owned(), code.to_owned())).into_iter().collect();
        assert_eq!(bench.failures(&checkpoint).await, failures, "{enable_restore} {behaviour:?}");
        assert_eq!(bench.arrived().await.contains_key("cold"), expected.is_none());
        bench.end().await;
    }
}

#[tokio::test]
async fn a_restore_that_took_too_long_is_not_asked_for_again_and_its_object_is_copied_later() {
    let bench = Bench::new().await;
    bench.source_behaves(|behaviour| behaviour.restore_ms = 3_600_000);
    bench.source.put_with("cold", b"ice", &[("x-amz-storage-class", "DEEP_ARCHIVE")]).await;
    let job = Job { enable_restore: true, ..bench.job() };
    let first = bench.finish(&job).await;
    assert_eq!(bench.failures(&first).await, [("cold".into(), "TRF.0202".into())]);
    assert!(bench.source.head("cold").await.header("x-amz-restore").unwrap().contains("\"true\""));
    // Still under way: a second request would be refused as already in progress, and is not made.
    let (second, outcome) = bench.run(&job, first.for_failed_objects().unwrap()).await;
    assert_eq!((outcome, second.counters.failed_num), (Outcome::Finished, 1));
    // An hour later it is there, and nothing need be restored.
    *bench.clock.now.lock().unwrap() += Duration::from_hours(1);
    let job = Job { enable_restore: false, ..job };
    let (third, outcome) = bench.run(&job, second.for_failed_objects().unwrap()).await;
    assert_eq!((outcome, counts(&third)), (Outcome::Finished, (1, 1, 0, 0)));
    bench.end().await;
}

#[tokio::test]
async fn a_bucket_whose_requester_pays_is_read_by_tasks_that_say_so() {
    let bench = Bench::new().await;
    bench.source.put("k", b"1").await;
    bench.source.put("big", &bytes(3000)).await;
    bench.source_behaves(|behaviour| {
        let pays = BucketBehaviour { requester_pays: true, ..BucketBehaviour::default() };
        behaviour.buckets.insert("source".into(), pays);
    });
    let (_, outcome) = bench.run(&bench.job(), Checkpoint::default()).await;
    assert_eq!(code(&outcome), "TRF.0152", "{outcome:?}");
    let mut bench = bench;
    bench.settings.part_size = 1000;
    let checkpoint = bench.finish(&Job { requester_pays: true, ..bench.job() }).await;
    assert_eq!(counts(&checkpoint), (2, 2, 0, 0));
    bench.end().await;
}

/// Lets a copy of 8 MiB hang in the middle, does something, and lets it go on.
async fn in_the_middle_of_a_copy(bench: &Bench, act: impl AsyncFnOnce()) -> (Checkpoint, Outcome) {
    let limit = Window { start: time(0, 0, 0, 0), end: time(23, 59, 0, 0), max_bytes_per_second: 1 << 20 };
    bench.bandwidth.send_replace(vec![limit]);
    let now = *bench.clock.now.lock().unwrap();
    *bench.clock.stuck_at.lock().unwrap() = Some(now + Duration::from_secs(3));
    let mut progress = bench.progress.subscribe();
    let meanwhile = async {
        progress.wait_for(|progress| progress.counters.complete_size > 2 << 20).await.unwrap();
        act().await;
        *bench.clock.stuck_at.lock().unwrap() = None;
        bench.bandwidth.send_replace(Vec::new());
    };
    let job = bench.job();
    tokio::join!(bench.run(&job, Checkpoint::default()), meanwhile).0
}

#[tokio::test]
async fn an_object_that_changes_while_it_is_copied_arrives_whole_and_new() {
    let bench = Bench::new().await;
    bench.source.put("big", &vec![1; 8 << 20]).await;
    let new = vec![2; (7 << 20) + 5];
    let (checkpoint, outcome) =
        in_the_middle_of_a_copy(&bench, async || drop(bench.source.put("big", &new).await)).await;
    assert_eq!((outcome, counts(&checkpoint)), (Outcome::Finished, (1, 1, 0, 0)));
    assert!(bench.arrived().await["big"] == new, "no mixture of both");
    assert_eq!(bench.writes("big"), 1);
    bench.end().await;
}

#[tokio::test]
async fn an_object_that_vanishes_while_it_is_copied_fails_alone_and_leaves_nothing_behind() {
    let bench = Bench::new().await;
    bench.source.put("big", &vec![1; 8 << 20]).await;
    bench.source.put("small", b"x").await;
    let (checkpoint, outcome) =
        in_the_middle_of_a_copy(&bench, async || drop(bench.source.delete("big").await)).await;
    assert_eq!(outcome, Outcome::Finished);
    assert_eq!(bench.failures(&checkpoint).await, [("big".into(), "TRF.0156".into())]);
    assert_eq!(bench.arrived().await.into_keys().collect::<Vec<_>>(), ["small"]);
    let uploads =
        bench.destination.send(rusty_s3::Method::Get, None, &[("uploads", "")], &[], None).await.ok();
    assert!(!uploads.text().contains("<Upload>"), "{}", uploads.text());
    bench.end().await;
}

#[tokio::test]
async fn objects_that_come_and_go_after_the_scan_are_counted_as_they_were_met() {
    let mut bench = Bench::new().await;
    bench.settings.workers = 1;
    bench.source.put_many((0..1500).map(|number| format!("{number:04}"))).await;
    let mut progress = bench.progress.subscribe();
    let meanwhile = async {
        progress.wait_for(|progress| progress.counters.successful_num >= 20).await.unwrap();
        // One of the page that was listed, one of the page that was not.
        bench.source.delete("0900").await;
        bench.source.delete("1400").await;
        bench.source.put("1499-new", b"x").await;
    };
    let job = bench.job();
    let ((checkpoint, outcome), ()) = tokio::join!(bench.run(&job, Checkpoint::default()), meanwhile);
    assert_eq!(outcome, Outcome::Finished);
    assert_eq!(counts(&checkpoint), (1500, 1499, 1, 0));
    assert_eq!(bench.failures(&checkpoint).await, [("0900".into(), "TRF.0156".into())]);
    bench.end().await;
}

#[tokio::test]
async fn a_hundred_thousand_objects_are_listed_in_pages_and_what_is_kept_of_them_stays_small() {
    let mut bench = Bench::new().await;
    bench.settings.workers = 32;
    let (old, new) = ("2020-01-01T00:00:00Z".parse().unwrap(), "2025-01-01T00:00:00Z".parse().unwrap());
    let (number, fresh) = (100_000, 50);
    let key = |number: u32| format!("d{}/{number:06}", number % 7);
    bench.source_store.add_empty_objects("source", (0..number).map(key), old).unwrap();
    let every = (0..number).step_by((number / fresh) as usize);
    bench.source_store.add_empty_objects("source", every.map(key), new).unwrap();
    let largest = Arc::new(Mutex::new((0, 0, 0)));
    let seen = Arc::clone(&largest);
    let checkpoints = Arc::new(move |checkpoint: &Checkpoint| {
        let mut largest = seen.lock().unwrap();
        largest.0 += 1;
        largest.1 = largest.1.max(checkpoint.finished_beyond.len());
        largest.2 = largest.2.max(serde_json::to_string(checkpoint).unwrap().len());
    });
    let job = Job { migrate_since: 1_600_000_000, ..bench.job() };
    let (checkpoint, outcome) =
        run(job, Checkpoint::default(), Context { checkpoints, ..bench.context() }).await;
    assert_eq!(outcome, Outcome::Finished);
    let (all, copied) = (u64::from(number), u64::from(fresh));
    assert_eq!(counts(&checkpoint), (all, copied, 0, all - copied));
    assert_eq!(bench.arrived().await.len(), fresh as usize);
    let (handed_out, beyond, bytes) = *largest.lock().unwrap();
    assert!(handed_out >= 1 && beyond <= WINDOW && bytes < 1 << 20, "{handed_out} {beyond} {bytes}");
    bench.end().await;
}

#[tokio::test]
async fn a_long_list_of_failed_objects_is_written_in_pieces() {
    let mut bench = Bench::new().await;
    bench.settings.workers = 16;
    let number = LIST_SEGMENT as u32 + 5;
    let keys = (0..number).map(|number| format!("{number:05}"));
    bench.source_store.add_empty_objects("source", keys, Timestamp::now()).unwrap();
    // A prefix that makes every key too long fails each object without a request.
    let job = Job { save_prefix: "p".repeat(1020), ..bench.job() };
    let checkpoint = bench.finish(&job).await;
    assert_eq!(checkpoint.counters.failed_num, u64::from(number));
    assert_eq!(checkpoint.failed_lists.len(), 2);
    let failures = bench.failures(&checkpoint).await;
    assert_eq!(failures.len(), number as usize);
    assert!(failures.iter().all(|(_, code)| code == "TRF.0060"));
    bench.end().await;
}
