//! Sides that fail for a while, or for good.
use std::time::Duration;

use oms_operator::emulator::mover::{Checkpoint, Outcome, run};
use oms_operator::emulator::store::{BucketBehaviour, Unavailable, UnavailableCode};

use crate::bench::{Bench, code, counts};

async fn with_objects(number: usize) -> Bench {
    let bench = Bench::new().await;
    bench.source.put_many((0..number).map(|number| format!("{number:04}"))).await;
    bench
}

#[tokio::test]
async fn a_side_that_fails_for_a_while_is_waited_for_and_no_object_is_lost() {
    for (at_source, failing) in [
        (true, UnavailableCode::ServiceUnavailable),
        (true, UnavailableCode::SlowDown),
        (false, UnavailableCode::InternalError),
    ] {
        let mut bench = with_objects(200).await;
        // On this clock every worker's wait counts for itself.
        bench.settings.outage_wait_ms = 600_000;
        let before = bench.clock.now.lock().unwrap().to_owned();
        let mut progress = bench.progress.subscribe();
        let breakdown = async {
            progress.wait_for(|progress| progress.counters.successful_num >= 50).await.unwrap();
            let unavailable = Unavailable { requests: Some(20), code: failing, ..Unavailable::default() };
            if at_source {
                bench.source_behaves(|behaviour| behaviour.unavailable = Some(unavailable));
            } else {
                bench.destination_behaves(|behaviour| behaviour.unavailable = Some(unavailable));
            }
        };
        let job = bench.job();
        let ((checkpoint, outcome), ()) = tokio::join!(bench.run(&job, Checkpoint::default()), breakdown);
        assert_eq!(outcome, Outcome::Finished);
        assert_eq!(counts(&checkpoint), (200, 200, 0, 0), "{failing:?}");
        assert_eq!(bench.source_store.handle().behaviour().unavailable, None, "all refusals were met");
        let waited = bench.clock.now.lock().unwrap().duration_since(before).as_secs();
        assert!(waited >= 1, "the task slows down");
        let again = (0..200).filter(|number| bench.writes(&format!("{number:04}")) != 1).count();
        assert!(again <= 4, "{again} objects were written twice");
        bench.end().await;
    }
}

#[tokio::test]
async fn a_copy_whose_check_has_to_wait_is_neither_made_again_nor_taken_for_an_older_one() {
    let mut bench = with_objects(100).await;
    bench.settings.outage_wait_ms = 600_000;
    let mut progress = bench.progress.subscribe();
    let breakdown = async {
        progress.wait_for(|progress| progress.counters.successful_num >= 10).await.unwrap();
        bench.destination_behaves(|behaviour| {
            behaviour.unavailable = Some(Unavailable {
                requests: Some(40),
                code: UnavailableCode::InternalError,
                operations: vec!["HeadObject".into()],
                ..Unavailable::default()
            });
        });
    };
    let job = bench.job();
    let ((checkpoint, outcome), ()) = tokio::join!(bench.run(&job, Checkpoint::default()), breakdown);
    assert_eq!(outcome, Outcome::Finished);
    assert_eq!(counts(&checkpoint), (100, 100, 0, 0));
    assert_eq!(bench.destination_store.handle().behaviour().unavailable, None, "all refusals were met");
    let again = (0..100).filter(|number| bench.writes(&format!("{number:04}")) != 1).count();
    assert_eq!(again, 0, "{again} objects were written twice");
    bench.end().await;
}

#[tokio::test]
async fn a_side_that_fails_for_good_ends_the_task_with_its_cause_when_the_patience_is_over() {
    for (at_source, failing, expected) in [
        (true, UnavailableCode::ServiceUnavailable, "TRF.0157"),
        (true, UnavailableCode::SlowDown, "TRF.0159"),
        (false, UnavailableCode::SlowDown, "TRF.0061"),
    ] {
        // From the beginning, and in the middle.
        for from in [0, 20] {
            let mut bench = with_objects(100).await;
            bench.settings.outage_wait_ms = 30_000;
            let before = *bench.clock.now.lock().unwrap();
            let mut progress = bench.progress.subscribe();
            let breakdown = async {
                progress.wait_for(|progress| progress.counters.successful_num >= from).await.unwrap();
                let unavailable = Unavailable { code: failing, ..Unavailable::default() };
                if at_source {
                    bench.source_behaves(|behaviour| behaviour.unavailable = Some(unavailable));
                } else {
                    bench.destination_behaves(|behaviour| behaviour.unavailable = Some(unavailable));
                }
            };
            let job = bench.job();
            let (checkpoint, outcome) = if from == 0 {
                breakdown.await;
                bench.run(&job, Checkpoint::default()).await
            } else {
                tokio::join!(bench.run(&job, Checkpoint::default()), breakdown).0
            };
            assert_eq!(code(&outcome), expected, "{outcome:?}");
            assert_eq!(checkpoint.counters.failed_num, 0, "it is not the fault of any object");
            let waited = bench.clock.now.lock().unwrap().duration_since(before).as_secs();
            assert!((20..=150).contains(&waited), "{waited} s");
            // Nothing is lost by it: the task goes on from there when the side is back.
            bench.source_behaves(|behaviour| behaviour.unavailable = None);
            bench.destination_behaves(|behaviour| behaviour.unavailable = None);
            let (checkpoint, outcome) = bench.run(&job, checkpoint).await;
            assert_eq!(outcome, Outcome::Finished);
            assert_eq!(bench.arrived().await.len(), 100);
            assert_eq!(checkpoint.counters.failed_num, 0);
            bench.end().await;
        }
    }
}

#[tokio::test]
async fn one_object_that_always_fails_does_not_hold_up_the_others() {
    let bench = with_objects(100).await;
    bench.source.put("0050-bad", b"x").await;
    bench.source_behaves(|behaviour| {
        behaviour.unavailable = Some(Unavailable {
            code: UnavailableCode::InternalError,
            operations: vec!["GetObject".into()],
            key_prefix: "0050-bad".into(),
            ..Unavailable::default()
        });
    });
    let checkpoint = bench.finish(&bench.job()).await;
    assert_eq!(counts(&checkpoint), (101, 100, 1, 0));
    assert_eq!(bench.failures(&checkpoint).await, [("0050-bad".into(), "TRF.0157".into())]);
    bench.end().await;
}

#[tokio::test]
async fn a_destination_that_is_full_or_read_only_ends_the_task() {
    for (bucket, expected) in [
        (BucketBehaviour { quota_bytes: Some(100), ..BucketBehaviour::default() }, "TRF.0055"),
        (BucketBehaviour { read_only: true, ..BucketBehaviour::default() }, "TRF.0051"),
    ] {
        for part_size in [1 << 20, 50] {
            let mut bench = with_objects(20).await;
            bench.settings.part_size = part_size;
            bench.source.put("big", &[7; 400]).await;
            bench.destination_behaves(|behaviour| {
                behaviour.buckets.insert("destination".into(), bucket.clone());
            });
            let (checkpoint, outcome) = bench.run(&bench.job(), Checkpoint::default()).await;
            assert_eq!(code(&outcome), expected, "{outcome:?}");
            assert_eq!(checkpoint.counters.failed_num, 0);
            let held: usize = bench.destination.contents().await.values().map(Vec::len).sum();
            assert!(held <= 100, "the bucket holds {held} bytes");
            // Room is made: the task goes on.
            bench.destination_behaves(|behaviour| behaviour.buckets.clear());
            let (_, outcome) = bench.run(&bench.job(), checkpoint).await;
            assert_eq!(outcome, Outcome::Finished);
            assert_eq!(bench.arrived().await, bench.source.contents().await);
            bench.end().await;
        }
    }
}

#[tokio::test]
async fn a_pause_is_quick_while_a_side_is_waited_for() {
    let bench = with_objects(20).await;
    bench.source_behaves(|behaviour| {
        behaviour.unavailable =
            Some(Unavailable { operations: vec!["GetObject".into()], ..Unavailable::default() });
    });
    *bench.clock.stuck_at.lock().unwrap() = Some(*bench.clock.now.lock().unwrap() + Duration::from_secs(5));
    let running = run(bench.job(), Checkpoint::default(), bench.context());
    let pause = async {
        let deadline = std::time::Instant::now() + Duration::from_secs(20);
        while bench.clock.now.lock().unwrap().as_second() % 60 < 5 {
            assert!(std::time::Instant::now() < deadline, "the task does not wait");
            tokio::task::yield_now().await;
        }
        bench.control.send_replace(oms_operator::emulator::mover::Control::Pause);
    };
    let ((checkpoint, outcome), ()) = tokio::join!(running, pause);
    assert_eq!(outcome, Outcome::Paused);
    assert_eq!(counts(&checkpoint), (20, 0, 0, 0));
    bench.end().await;
}
