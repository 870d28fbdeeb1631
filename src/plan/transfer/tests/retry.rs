//! A task that failed is started again as `spec.retry` says.

use std::time::Duration;

use super::super::Step;
use super::scene::{Scene, at, condition, failed_with, id, keys, message, remote, scene, told, trouble};
use crate::api::conditions::types;
use crate::api::{Phase, Retry, RetryObjects};
use crate::plan::seen::{Call, Counters, Delivered, Keys, RemoteState, RemoteTask, Trouble, TroubleKind};

fn start(only_failed: bool) -> Step {
    Step::Start { id: id(), only_failed }
}

/// A task that copied nine of ten objects and has a list of the tenth.
fn partly(code: &str) -> RemoteTask {
    RemoteTask {
        counters: Counters { total: 10, succeeded: 9, failed: 1, ..Counters::default() },
        can_retry_failed: true,
        failed_list: Some("oms/list".into()),
        ..failed_with(code)
    }
}

fn asked(limit: i64, objects: RetryObjects, remote: RemoteTask) -> Scene {
    scene().recorded().spec(|spec| spec.runs.retry = Some(Retry { limit, objects })).remote(remote)
}

fn failed_only(limit: i64, code: &str) -> Scene {
    asked(limit, RetryObjects::Failed, partly(code))
}

/// Lets the next attempt come and OMS fail it at once.
fn fail_again(scene: &mut Scene) -> Step {
    scene.now = scene.stored().next_attempt_at.expect("an attempt is due").0;
    let step = scene.settle().step;
    scene.started_again_at = Some(scene.now);
    scene.now += Duration::from_secs(2);
    scene.settle();
    step
}

#[test]
fn objects_that_failed_are_copied_again_and_the_next_attempt_is_told() {
    let (mut scene, plan) = failed_only(3, "TRF.0004").settled();
    assert_eq!(told(&plan), (Phase::Retrying, "RetryScheduled", &Step::Rest));
    assert!(
        message(&plan).ends_with("the operator starts the failed objects again by itself, as retry 1 of 3")
    );
    assert!(message(&plan).contains("`oms/list`"));
    assert_eq!(scene.stored().next_attempt_at.as_ref().unwrap().0, at(60));
    assert_eq!(scene.stored().retries, None);
    scene.now = at(60);
    assert_eq!(scene.settle().step, start(true));
    let mut scene =
        scene.remote(remote(RemoteState::Running)).with(|scene| scene.started_again_at = Some(at(60)));
    assert_eq!(told(&scene.settle()), (Phase::Running, "Running", &Step::Rest));
    let retries = scene.stored().retries.unwrap();
    assert_eq!((retries.made, retries.objects), (1, RetryObjects::Failed));
}

#[test]
fn a_start_before_its_time_does_not_fall_into_the_second_of_the_last_one() {
    // It would be taken for the last one, counted, and never made.
    let scene = failed_only(3, "TRF.0004").settled().0.with(|scene| {
        scene.keys = Keys::Ready(keys("two"));
        scene.started_again_at = Some(at(10));
    });
    let plan = scene.clone().now(10).plan();
    assert_eq!((&plan.step, plan.look_again.unwrap().after), (&Step::Rest, Duration::from_secs(1)));
    let (scene, plan) = scene.now(11).settled();
    assert_eq!(plan.step, start(true));
    assert_eq!(scene.plan().step, start(true), "with what is on record, too");
}

#[test]
fn where_oms_has_no_list_of_failed_objects_the_whole_task_starts_again() {
    let unlisted = RemoteTask { can_retry_failed: false, failed_list: None, ..partly("TRF.0004") };
    for scene in [asked(3, RetryObjects::Failed, unlisted), asked(3, RetryObjects::All, partly("TRF.0004"))] {
        let (scene, plan) = scene.settled();
        assert!(message(&plan).contains("the operator starts the task again by itself"));
        assert_eq!(scene.now(60).settled().1.step, start(false));
    }
}

#[test]
fn a_limit_that_is_used_up_ends_the_attempts_and_raising_it_goes_on_at_once() {
    let (mut scene, _) = failed_only(2, "TRF.0004").settled();
    assert_eq!([fail_again(&mut scene), fail_again(&mut scene)], [start(true), start(true)]);
    let plan = scene.settle();
    assert_eq!(told(&plan), (Phase::Failed, "RetryLimitReached", &Step::Rest));
    assert_eq!(condition(&plan, types::STALLED), Some(("True", "RetryLimitReached")));
    assert!(message(&plan).contains("All retries that `spec.retry.limit` allows were made: 2"));
    assert_eq!((plan.look_again, plan.status.next_attempt_at), (None, None));
    let raised = scene
        .spec(|spec| spec.runs.retry.as_mut().unwrap().limit = 3)
        .with(|scene| scene.task.metadata.generation = Some(2));
    let (_, plan) = raised.settled();
    assert_eq!((told(&plan).0, &plan.step), (Phase::Retrying, &start(true)));
}

#[test]
fn limit_zero_means_never_and_says_so() {
    let nothing_copied = asked(0, RetryObjects::Failed, failed_with("TRF.0151"));
    for scene in [failed_only(0, "TRF.0004"), nothing_copied] {
        let (_, plan) = scene.settled();
        assert_eq!(told(&plan), (Phase::Failed, "RetryLimitReached", &Step::Rest));
        assert!(message(&plan).contains("`spec.retry.limit` is 0"), "{}", message(&plan));
        assert!(message(&plan).contains("raise the limit"), "{}", message(&plan));
    }
}

#[test]
fn pauses_grow_by_the_class_of_the_failure_up_to_their_bound() {
    for (code, pauses) in [
        ("TRF.0004", [1, 2, 4, 8, 16, 30, 30]),
        ("TRF.0151", [5, 10, 20, 40, 60, 60, 60]),
        ("TRF.0055", [5, 10, 20, 40, 60, 60, 60]),
        ("TRF.9999", [5, 10, 20, 40, 60, 60, 60]),
    ] {
        let (mut scene, _) = failed_only(100, code).settled();
        for expected in pauses {
            let pause = scene.stored().next_attempt_at.unwrap().0.duration_since(scene.now);
            assert_eq!(pause.as_mins(), expected, "{code}");
            fail_again(&mut scene);
        }
    }
}

#[test]
fn what_a_retry_cannot_mend_is_not_tried() {
    for (code, words) in [("TRF.0060", "Create another object"), ("TRF.0021", "OMS cannot go on")] {
        let (_, plan) = failed_only(3, code).settled();
        assert_eq!(told(&plan), (Phase::Failed, "RetryNotPossible", &Step::Rest), "{code}");
        assert!(message(&plan).contains(words), "{}", message(&plan));
        assert!(!plan.status.failure.unwrap().retryable);
    }
}

#[test]
fn what_oms_says_about_its_list_is_told_and_all_objects_are_the_way_out() {
    for code in ["OMS.0308", "OMS.1027", "OMS.0167", "OMS.0305", "S3M.0301"] {
        let refused =
            Trouble { code: code.into(), ..trouble(Call::Start, TroubleKind::Conflict, Delivered::Refused) };
        let (scene, _) = failed_only(3, "TRF.0004").settled();
        let (scene, plan) = scene.now(61).troubled(refused).settled();
        assert_eq!(told(&plan), (Phase::Failed, "RetryNotPossible", &Step::Rest), "{code}");
        assert!(message(&plan).contains(code) && message(&plan).contains("Set `spec.retry.objects` to All"));
        assert_eq!(plan.status.retries, None, "a refusal is no attempt");
        // The engine remembers nothing of a task at rest.
        let (scene, plan) = scene.with(|scene| scene.trouble = None).now(9_999).settled();
        assert_eq!((plan.step, plan.look_again), (Step::Rest, None));
        let all = scene
            .spec(|spec| spec.runs.retry.as_mut().unwrap().objects = RetryObjects::All)
            .with(|scene| scene.task.metadata.generation = Some(2));
        assert_eq!(all.settled().1.step, start(false), "{code}");
    }
}

#[test]
fn a_refused_start_is_no_attempt_and_comes_again_when_its_time_has_come() {
    let (scene, _) = failed_only(1, "TRF.0004").settled();
    let refused = trouble(Call::Start, TroubleKind::Throttled, Delivered::Refused);
    let (scene, plan) = scene.now(60).settled();
    assert_eq!(plan.step, start(true));
    let (scene, plan) = scene.now(61).troubled(Trouble { retry_at: at(70), ..refused }).settled();
    assert_eq!((told(&plan).1, &plan.step), ("Throttled", &Step::Rest));
    assert_eq!(
        (plan.status.retries, plan.status.failure.map(|failure| failure.code)),
        (None, Some("OMS.0001".into()))
    );
    assert_eq!(scene.now(71).settled().1.step, start(true));
}

#[test]
fn suspending_holds_a_retry_that_is_due() {
    let (scene, plan) = failed_only(3, "TRF.0004").suspended().settled();
    assert_eq!(told(&plan), (Phase::Stopped, "Suspended", &Step::Rest));
    let (scene, _) = scene.resumed().now(10).settled();
    assert_eq!(scene.now(70).settled().1.step, start(true));
}

#[test]
fn asking_for_retries_of_a_task_that_failed_for_good_starts_it_at_once() {
    let (scene, plan) = scene().recorded().remote(partly("TRF.0004")).settled();
    assert_eq!(told(&plan), (Phase::Failed, "TaskFailed", &Step::Rest));
    assert!(message(&plan).contains("set `spec.retry`"));
    let scene = scene
        .spec(|spec| spec.runs.retry = Some(Retry { limit: 1, objects: RetryObjects::Failed }))
        .with(|scene| scene.task.metadata.generation = Some(2));
    assert_eq!(scene.now(9_999).settled().1.step, start(true));
}
