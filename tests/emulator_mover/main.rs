//! The mover, between real stores on 127.0.0.1.
#![cfg(feature = "emulator")]
#![allow(clippy::unwrap_used, clippy::items_after_statements, unreachable_pub)]
mod bench;
#[path = "../emulator_s3/mod.rs"]
mod emulator_s3;
mod hard;
mod outage;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bench::{Bench, code, counts};
use emulator_s3::{Client, location, odd_keys};
use jiff::Timestamp;
use jiff::civil::time;
use oms_operator::emulator::mover::{
    Checkpoint, Clock, ConsistencyCheck, Context, Control, Job, ListFile, Outcome, OverwriteMode, Progress,
    Settings, Source, StoragePolicy, Survey, TaskType, Window, parts, run,
};

#[tokio::test]
async fn the_parts_of_a_prefix_are_copied_once_together() {
    let bench = Bench::new().await;
    // More than a page of a listing, so that parts end within pages and pages within parts.
    for number in 0..1100 {
        bench.source.put(&format!("many/{number:04}"), b"x").await;
    }
    for key in ["few/1", "outside"] {
        bench.source.put(key, b"x").await;
    }
    let job = Job { object_keys: vec!["many/".into(), "few/".into(), "none/".into()], ..bench.job() };
    let parts =
        parts(&job, 600, Survey { clock: &*bench.clock, settings: &Settings::default() }).await.unwrap();
    let mut copied = Vec::new();
    for part in &parts {
        let job = Job { object_keys: vec![part.prefix.clone()], range: part.range.clone(), ..bench.job() };
        copied.push(counts(&bench.finish(&job).await).1);
    }
    assert_eq!(copied, [1, 600, 500]);
    assert_eq!(bench.arrived().await.len(), 1101);
    bench.end().await;
}

#[tokio::test]
async fn odd_keys_arrive_under_the_same_name_with_bytes_and_metadata() {
    let bench = Bench::new().await;
    for key in odd_keys() {
        let headers =
            [("content-type", "text/odd"), ("x-amz-meta-owner", "media"), ("cache-control", "no-store")];
        bench.source.put_with(&key, key.as_bytes(), &headers).await;
    }
    bench.source.put("empty", b"").await;
    let checkpoint = bench.finish(&bench.job()).await;
    let number = odd_keys().len() as u64 + 1;
    assert_eq!(counts(&checkpoint), (number, number, 0, 0));
    assert_eq!(bench.arrived().await, bench.source.contents().await);
    for key in odd_keys() {
        let head = bench.destination.head(&key).await;
        assert_eq!(head.header("content-type"), Some("text/odd"), "{key}");
        assert_eq!(head.header("x-amz-meta-owner"), Some("media"), "{key}");
        assert_eq!(head.header("cache-control"), Some("no-store"), "{key}");
    }
    let [list] = checkpoint.success_lists.as_slice() else { panic!("{:?}", checkpoint.success_lists) };
    assert!(list.starts_with(
        "oms/task/source-destination-20260101080000000_001/success_object_lists/20260101080000000"
    ));
    assert_eq!(bench.destination.get(list).await.text().lines().count() as u64, number);
    bench.end().await;
}

#[tokio::test]
async fn big_objects_go_in_parts_and_metadata_only_when_asked() {
    let mut bench = Bench::new().await;
    bench.settings.part_size = 1 << 18;
    let bytes: Vec<u8> = (0..1_000_000u32).flat_map(u32::to_le_bytes).collect();
    let headers =
        [("content-type", "video/x"), ("x-amz-meta-owner", "media"), ("x-amz-storage-class", "STANDARD_IA")];
    bench.source.put_with("big", &bytes, &headers).await;
    let job = Job {
        enable_metadata_migration: false,
        storage_policy: StoragePolicy::SrcStorageMapping,
        consistency_check: ConsistencyCheck::Crc64,
        save_prefix: "imported/".into(),
        ..bench.job()
    };
    let checkpoint = bench.finish(&job).await;
    assert_eq!(checkpoint.counters.real_size, 4_000_000);
    let there = bench.destination.get("imported/big").await.ok();
    assert!(there.body == bytes);
    assert_eq!(there.header("etag").unwrap().rsplit_once('-').unwrap().1, "16\"");
    assert_eq!(there.header("content-type"), Some("video/x"));
    assert_eq!(there.header("x-amz-meta-owner"), None);
    assert_eq!(there.header("x-amz-storage-class"), Some("STANDARD_IA"));
    bench.end().await;
}

#[tokio::test]
async fn a_paused_task_goes_on_where_it_stopped_and_copies_each_object_once() {
    let bench = Bench::new().await;
    let keys: Vec<String> = (0..400).map(|number| format!("dir{}/{number}", number % 9)).collect();
    for key in &keys {
        bench.source.put(key, key.as_bytes()).await;
    }
    let job = bench.job();
    let mut checkpoint = Checkpoint::default();
    let mut pauses = 0;
    // Three pauses in the middle, each with a round through what a state folder would hold.
    for stop_at in [50, 150, 390] {
        bench.control.send_replace(Control::Run);
        let mut progress = bench.progress.subscribe();
        let pause = async {
            let reached = |progress: &Progress| progress.counters.successful_num >= stop_at;
            progress.wait_for(reached).await.unwrap();
            bench.control.send_replace(Control::Pause);
        };
        let ((left, outcome), ()) = tokio::join!(bench.run(&job, checkpoint), pause);
        assert_eq!(outcome, Outcome::Paused);
        assert_eq!(left.counters.successful_num as usize, bench.arrived().await.len());
        pauses += 1;
        checkpoint = serde_json::from_str(&serde_json::to_string(&left).unwrap()).unwrap();
    }
    assert_eq!(pauses, 3);
    bench.control.send_replace(Control::Run);
    let (checkpoint, outcome) = bench.run(&job, checkpoint).await;
    assert_eq!(outcome, Outcome::Finished);
    assert_eq!(counts(&checkpoint), (400, 400, 0, 0));
    let again: Vec<&String> = keys.iter().filter(|key| bench.writes(key) != 1).collect();
    assert_eq!(again, Vec::<&String>::new());
    bench.end().await;
}

#[tokio::test]
async fn a_killed_run_goes_on_from_its_last_checkpoint() {
    let bench = Bench::new().await;
    let keys: Vec<String> = (0..300).map(|number| format!("{number}")).collect();
    for key in &keys {
        bench.source.put(key, key.as_bytes()).await;
    }
    let last = Arc::new(Mutex::new(Checkpoint::default()));
    let kept = last.clone();
    let checkpoints = Arc::new(move |checkpoint: &Checkpoint| *kept.lock().unwrap() = checkpoint.clone());
    let mut progress = bench.progress.subscribe();
    let killed = run(bench.job(), Checkpoint::default(), Context { checkpoints, ..bench.context() });
    tokio::select! {
        (_, outcome) = killed => panic!("{outcome:?} before half was copied"),
        reached = progress.wait_for(|progress| progress.counters.successful_num >= 150) => drop(reached.unwrap()),
    }
    let checkpoint = last.lock().unwrap().clone();
    assert!(checkpoint.counters.is_query_over);
    let (checkpoint, outcome) = bench.run(&bench.job(), checkpoint).await;
    assert_eq!(outcome, Outcome::Finished);
    let (total, copied, failed, skipped) = counts(&checkpoint);
    assert_eq!((total, failed, copied + skipped), (300, 0, 300));
    assert_eq!(bench.arrived().await, bench.source.contents().await);
    // What was copied and not yet noted is found to be there. Only what was in the middle of it can be written again.
    let again = keys.iter().filter(|key| bench.writes(key) > 1).count();
    assert!(again <= bench.settings.workers, "{again} objects were written twice");
    bench.end().await;
}

#[tokio::test]
async fn a_side_that_goes_away_fails_the_task_and_not_its_objects() {
    let bench = Bench::new().await;
    for number in 0..300 {
        bench.source.put(&format!("{number}"), b"x").await;
    }
    let job = bench.job();
    let mut progress = bench.progress.subscribe();
    let running = run(job.clone(), Checkpoint::default(), bench.context());
    let Bench { source_store, destination_store, .. } = bench;
    let gone = async {
        progress.wait_for(|progress| progress.counters.successful_num >= 20).await.unwrap();
        source_store.shutdown().await;
    };
    let ((checkpoint, outcome), ()) = tokio::join!(running, gone);
    assert_eq!(code(&outcome), "TRF.0157", "{outcome:?}");
    assert_eq!(checkpoint.counters.failed_num, 0);
    assert!(checkpoint.counters.successful_num >= 20);
    destination_store.shutdown().await;
}

#[tokio::test]
async fn a_pause_in_the_middle_of_a_big_object_is_quick_and_leaves_nothing_half() {
    let bench = Bench::new().await;
    bench.source.put("big", &vec![7; 8 << 20]).await;
    let job = bench.job();
    let limit = Window { start: time(0, 0, 0, 0), end: time(23, 59, 0, 0), max_bytes_per_second: 1 << 20 };
    bench.bandwidth.send_replace(vec![limit]);
    // Three of eight seconds pass, then the copy hangs in the middle of a part.
    *bench.clock.stuck_at.lock().unwrap() = Some(bench.clock.now() + Duration::from_secs(3));
    let mut progress = bench.progress.subscribe();
    let pause = async {
        progress.wait_for(|progress| progress.counters.complete_size > 2 << 20).await.unwrap();
        bench.control.send_replace(Control::Pause);
    };
    let ((checkpoint, outcome), ()) = tokio::join!(bench.run(&job, Checkpoint::default()), pause);
    assert_eq!(outcome, Outcome::Paused);
    assert_eq!(counts(&checkpoint), (1, 0, 0, 0));
    assert_eq!(checkpoint.counters.complete_size, 0);
    assert!(bench.arrived().await.is_empty());
    let uploads =
        bench.destination.send(rusty_s3::Method::Get, None, &[("uploads", "")], &[], None).await.ok();
    assert!(!uploads.text().contains("<Upload>"), "{}", uploads.text());
    bench.control.send_replace(Control::Run);
    bench.bandwidth.send_replace(Vec::new());
    let (checkpoint, outcome) = bench.run(&job, checkpoint).await;
    assert_eq!((outcome, bench.writes("big")), (Outcome::Finished, 1));
    assert_eq!(checkpoint.counters.real_size, 8 << 20);
    bench.end().await;
}

#[tokio::test]
async fn bandwidth_windows_hold_in_their_hours_and_change_live() {
    let bench = Bench::new().await;
    for number in 0..4 {
        bench.source.put(&format!("o{number}"), &vec![1; 5 << 20]).await;
    }
    // 00:00 UTC is 08:00 in the zone of the windows.
    let limited = |start, end| {
        vec![Window { start: time(start, 0, 0, 0), end: time(end, 0, 0, 0), max_bytes_per_second: 1 << 20 }]
    };
    let seconds = |since: Timestamp| bench.clock.now().duration_since(since).as_secs_f64();
    bench.bandwidth.send_replace(limited(8, 9));
    let start = bench.clock.now();
    let job = Job { overwrite_mode: OverwriteMode::FullOverwrite, ..bench.job() };
    bench.finish(&job).await;
    let took = seconds(start);
    assert!((19.0..21.0).contains(&took), "20 MiB at 1 MiB/s took {took} s");
    bench.bandwidth.send_replace(limited(9, 10));
    let start = bench.clock.now();
    bench.finish(&job).await;
    assert!(seconds(start) < 1.0, "outside the window there is no limit");
    // 23:59 is the latest end OMS takes, and means midnight.
    let midnight: Timestamp = "2026-01-01T16:00:00Z".parse().unwrap();
    *bench.clock.now.lock().unwrap() = midnight - Duration::from_secs(30);
    let until_midnight =
        Window { start: time(22, 0, 0, 0), end: time(23, 59, 0, 0), max_bytes_per_second: 1 << 20 };
    bench.bandwidth.send_replace(vec![until_midnight]);
    let start = bench.clock.now();
    bench.finish(&job).await;
    assert!((19.0..21.0).contains(&seconds(start)), "{}", seconds(start));
    *bench.clock.now.lock().unwrap() = "2026-01-01T00:10:00Z".parse().unwrap();
    // The limit is lifted when half is through.
    bench.bandwidth.send_replace(limited(8, 9));
    let start = bench.clock.now();
    let bandwidth = bench.bandwidth.clone();
    let lift = Box::new(move || drop(bandwidth.send_replace(Vec::new())));
    *bench.clock.alarm.lock().unwrap() = Some((start + Duration::from_secs(10), lift));
    bench.finish(&job).await;
    let took = seconds(start);
    assert!((10.0..11.5).contains(&took), "the second half was free, all took {took} s");
    bench.end().await;
}

#[tokio::test]
async fn failed_objects_are_listed_and_can_be_copied_alone() {
    let bench = Bench::new().await;
    bench.source.put("good", b"1").await;
    bench.source.put_with("cold one/ü", b"22", &[("x-amz-storage-class", "GLACIER")]).await;
    bench.source.put_with("cold two", b"333", &[("x-amz-storage-class", "DEEP_ARCHIVE")]).await;
    let job = bench.job();
    let first = bench.finish(&job).await;
    assert_eq!(counts(&first), (3, 1, 2, 0));
    let list = first.failed_list_key().unwrap();
    assert!(list.contains("/failed_object_lists/") && list.ends_with(".failed_list.txt"), "{list}");
    let text = bench.destination.get(&list).await.ok().text();
    let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split('\t').collect()).collect();
    assert_eq!((rows[0][0], rows[0][1]), ("cold%20one/%C3%BC", "TRF.0160"));
    assert_eq!(rows[1][0], "cold%20two");

    // Only the failed ones, now with a restore: what was copied is not touched again.
    bench.destination.delete("good").await;
    let job = Job { enable_restore: true, ..job };
    let (second, outcome) = bench.run(&job, first.for_failed_objects().unwrap()).await;
    assert_eq!(outcome, Outcome::Finished);
    assert_eq!(counts(&second), (3, 3, 0, 0));
    assert_eq!(bench.arrived().await.into_keys().collect::<Vec<_>>(), ["cold one/ü", "cold two"]);
    assert_eq!(second.counters.complete_size, 6);
    assert!(second.for_failed_objects().is_none());

    let unrecorded = Job { enable_failed_object_recording: false, enable_restore: false, ..bench.job() };
    bench.source.put_with("cold three", b"4", &[("x-amz-storage-class", "GLACIER")]).await;
    let third = bench.finish(&unrecorded).await;
    assert_eq!((third.counters.failed_num, third.failed_list_key()), (1, None));
    assert!(third.for_failed_objects().is_none());
    bench.end().await;
}

#[tokio::test]
async fn selections_match_names_folders_prefixes_and_lists() {
    let bench = Bench::new().await;
    for key in ["a", "a/", "a/b", "a/c d", "ab", "b+%", "c"] {
        bench.source.put(key, key.as_bytes()).await;
    }
    let select = async |job: Job| {
        for key in bench.destination.keys().await {
            bench.destination.delete(&key).await;
        }
        let (checkpoint, outcome) = bench.run(&job, Checkpoint::default()).await;
        assert_eq!(outcome, Outcome::Finished, "{:?}", job.object_keys);
        let arrived: Vec<String> = bench.arrived().await.into_keys().collect();
        assert_eq!(checkpoint.counters.successful_num as usize, arrived.len());
        (arrived, checkpoint.counters.failed_num)
    };
    let keys = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>();
    let object = Job { task_type: TaskType::Object, ..bench.job() };
    let job = Job { object_keys: keys(&["a", "a/", "c", "c", "missing"]), ..object.clone() };
    assert_eq!(select(job).await, (keys(&["a", "a/", "a/b", "a/c d", "c"]), 1));
    let job = Job { object_keys: keys(&[""]), ..object };
    assert_eq!(select(job).await.0.len(), 7);
    let job = Job { object_keys: keys(&["a/", "a", "b"]), ..bench.job() };
    assert_eq!(select(job).await, (keys(&["a", "a/", "a/b", "a/c d", "ab", "b+%"]), 0));

    // Lists are read at the destination.
    let lists = Client::create(&bench.destination_store.endpoint(), "lists").await;
    let list = "a%2Fc%20d\r\nb+%25\n\nc\nc\nmissing";
    lists.put_with("l.txt", list.as_bytes(), &[("content-type", "text/plain")]).await;
    let list_file = Some(ListFile { bucket: "lists".into(), key: "l.txt".into() });
    let job = Job { task_type: TaskType::List, object_keys: Vec::new(), list_file, ..bench.job() };
    assert_eq!(select(job).await, (keys(&["a/c d", "b+%", "c"]), 1));
    bench.end().await;
}

#[tokio::test]
async fn objects_older_than_migrate_since_are_skipped() {
    let bench = Bench::new().await;
    bench.source.put("old", b"1").await;
    bench.source.put("new", b"2").await;
    bench.source_store.set_last_modified("source", "old", "2020-01-01T00:00:00Z".parse().unwrap()).unwrap();
    let checkpoint = bench.finish(&Job { migrate_since: 1_600_000_000, ..bench.job() }).await;
    assert_eq!(counts(&checkpoint), (2, 1, 0, 1));
    assert_eq!(bench.arrived().await.into_keys().collect::<Vec<_>>(), ["new"]);
    bench.end().await;
}

#[tokio::test]
async fn urls_are_fetched_and_no_check_takes_what_tells_no_length() {
    let bench = Bench::new().await;
    let streamed = || async {
        let chunks = (0..40).map(|_| Ok::<_, std::io::Error>(vec![b'x'; 70_000]));
        axum::body::Body::from_stream(futures::stream::iter(chunks))
    };
    let app = axum::Router::new()
        .route("/plain", axum::routing::get(|| async { ([("content-type", "text/csv")], "plain") }))
        .route("/streamed", axum::routing::get(streamed));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let web = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(async move { axum::serve(listener, app).await });
    let lists = Client::create(&bench.destination_store.endpoint(), "lists").await;
    let list = format!("{web}/plain\tdir/plain%20one\n{web}/streamed\tstreamed\n{web}/missing\tmissing\n");
    lists.put_with("u.txt", list.as_bytes(), &[("content-type", "text/plain; charset=utf-8")]).await;
    let checked = Job {
        task_type: TaskType::UrlList,
        source: Source::UrlList,
        object_keys: Vec::new(),
        list_file: Some(ListFile { bucket: "lists".into(), key: "u.txt".into() }),
        ..bench.job()
    };
    let checkpoint = bench.finish(&checked).await;
    assert_eq!(counts(&checkpoint), (3, 1, 2, 0));
    let failed = bench.destination.get(&checkpoint.failed_list_key().unwrap()).await.text();
    assert!(failed.starts_with(&format!("{web}/streamed\tstreamed\tTRF.")), "{failed}");

    let unchecked = Job { consistency_check: ConsistencyCheck::NoCheck, ..checked };
    let (checkpoint, _) = bench.run(&unchecked, checkpoint.for_failed_objects().unwrap()).await;
    assert_eq!(counts(&checkpoint), (3, 2, 1, 0));
    let arrived = bench.arrived().await;
    assert_eq!(arrived["dir/plain one"], b"plain");
    assert_eq!(arrived["streamed"].len(), 2_800_000);
    let head = bench.destination.head("dir/plain one").await;
    assert_eq!(head.header("content-type"), Some("text/csv"));
    // Nothing can be compared, so it is overwritten even where nothing should be.
    let job = Job { overwrite_mode: OverwriteMode::NoOverwrite, ..unchecked };
    bench.finish(&job).await;
    assert_eq!((bench.writes("streamed"), bench.writes("dir/plain one")), (2, 1));
    server.abort();
    bench.end().await;
}

#[tokio::test]
async fn causes_that_stop_the_task_are_told_by_their_code() {
    let bench = Bench::new().await;
    bench.source.put("k", b"1").await;
    let lists = Client::create(&bench.destination_store.endpoint(), "lists").await;
    let plain = [("content-type", "text/plain")];
    lists.put_with("empty.txt", b"\n", &plain).await;
    lists.put_with("typed.txt", b"k", &[("content-type", "text/html")]).await;
    lists.put_with("first.txt", b"missing\nk\n", &plain).await;
    lists.put_with("long.txt", &vec![b'a'; 65_536], &plain).await;
    lists
        .put_with("cold.txt", b"k", &[("content-type", "text/plain"), ("x-amz-storage-class", "GLACIER")])
        .await;
    lists.put_with("k.csv", b"k", &plain).await;
    let listed = |key: &str| Job {
        task_type: TaskType::List,
        list_file: Some(ListFile { bucket: "lists".into(), key: key.into() }),
        ..bench.job()
    };
    let urls = |key: &str| Job { task_type: TaskType::UrlList, source: Source::UrlList, ..listed(key) };
    let mut wrong_source = location(&bench.source_store.endpoint(), "source");
    wrong_source.keys.secret_key = "wrong".into();
    let mut wrong_destination = location(&bench.destination_store.endpoint(), "destination");
    wrong_destination.keys.access_key = "UNKNOWN".into();
    let closed = {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let from = |location| Job { source: Source::S3(location), ..bench.job() };
    let to = |destination| Job { destination, ..bench.job() };
    for (expected, job) in [
        ("TRF.0151", from(wrong_source)),
        ("TRF.0155", from(location(&bench.source_store.endpoint(), "missing"))),
        ("TRF.0157", from(location(&closed, "source"))),
        ("TRF.0057", to(wrong_destination)),
        ("TRF.0058", to(location(&bench.destination_store.endpoint(), "missing"))),
        ("TRF.0061", to(location(&closed, "destination"))),
        ("TRF.0012", Job { object_keys: vec!["nothing".into()], ..bench.job() }),
        ("TRF.0012", Job { task_type: TaskType::Object, object_keys: vec!["nothing".into()], ..bench.job() }),
        ("TRF.0013", listed("absent.txt")),
        ("TRF.0014", listed("k.csv")),
        ("TRF.0016", urls("first.txt")),
        ("TRF.0017", listed("empty.txt")),
        ("TRF.0018", listed("long.txt")),
        ("TRF.0019", listed("typed.txt")),
        ("TRF.0026", listed("first.txt")),
        ("TRF.0301", listed("cold.txt")),
    ] {
        let (checkpoint, outcome) = bench.run(&job, Checkpoint::default()).await;
        assert_eq!(code(&outcome), expected, "{outcome:?}");
        assert_eq!(checkpoint.counters.successful_num, 0);
        let shown = format!("{outcome:?} {job:?}");
        assert!(!shown.contains("X-Amz") && !shown.contains(emulator_s3::SECRET), "{shown}");
    }
    bench.end().await;
}

#[tokio::test]
async fn a_job_survives_the_state_folder_with_its_keys() {
    let bench = Bench::new().await;
    bench.source.put("k", b"1").await;
    let job: Job = serde_json::from_str(&serde_json::to_string(&bench.job()).unwrap()).unwrap();
    bench.finish(&job).await;
    assert_eq!(bench.arrived().await.len(), 1);
    bench.end().await;
}
