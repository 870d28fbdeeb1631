//! A task that exists at OMS.

use std::time::Duration;

use super::super::Step;
use super::scene::{
    Scene, at, condition, failed_with, id, keys, message, remote, scene, token, told, trouble,
};
use crate::api::conditions::types;
use crate::api::{
    Acknowledgement, BandwidthWindow, ByteRate, Cdn, CdnAuthentication, CdnProtocol, Phase, Priority,
    ReadyWhen, Retries, RetryObjects,
};
use crate::plan::seen::{
    Call, Counters, Delivered, Keys, Remote, RemoteState, RemoteTask, Trouble, TroubleKind, Window,
};
use crate::plan::situation::whole_seconds;
use crate::plan::token::{ObjectMark, Token};

fn start() -> Step {
    Step::Start { id: id(), only_failed: false }
}

fn seen(state: RemoteState) -> Scene {
    scene().recorded().remote(remote(state))
}

fn copied(state: RemoteState, succeeded: u64, failed: u64) -> RemoteTask {
    let counters = Counters { fraction: 0.5, total: 10, succeeded, failed, ..Counters::default() };
    RemoteTask { counters, ..remote(state) }
}

/// Suspended, and stopped for it.
fn held() -> Scene {
    seen(RemoteState::Stopped).suspended().settled().0
}

#[test]
fn an_active_task_is_told_as_oms_has_it() {
    for (state, reason) in [
        (RemoteState::Waiting, "WaitingAtOMS"),
        (RemoteState::Running, "Running"),
        (RemoteState::Retrying, "RetryingAtOMS"),
        (RemoteState::Unknown, "Running"),
        (RemoteState::Stopping, "StoppedExternally"),
    ] {
        let plan = seen(state).plan();
        assert_eq!(told(&plan), (Phase::Running, reason, &Step::Rest), "{state:?}");
    }
}

#[test]
fn ready_means_what_ready_when_says() {
    use ReadyWhen::{Accepted, Started, Succeeded};
    let ready = |scene: Scene, when| {
        let plan = scene.spec(|spec| spec.lifecycle.ready_when = when).plan();
        condition(&plan, types::READY).unwrap().0 == "True"
    };
    let running = || seen(RemoteState::Running);
    assert_eq!([Succeeded, Started, Accepted].map(|when| ready(running(), when)), [false, true, true]);
    assert_eq!([Succeeded, Started, Accepted].map(|when| ready(held(), when)), [false, false, true]);
}

#[test]
fn a_task_that_ended_well_is_told_with_its_counts() {
    let done = RemoteTask { failed_list: Some("oms/list".into()), ..copied(RemoteState::Succeeded, 10, 0) };
    let plan = scene().recorded().remote(done).plan();
    assert_eq!(told(&plan), (Phase::Succeeded, "Succeeded", &Step::Rest));
    assert_eq!(plan.status.finished_at.unwrap().0, at(-40));
    assert_eq!((plan.status.failed_objects, plan.look_again), (None, None));
}

#[test]
fn failed_objects_are_told_and_do_not_hide_the_success() {
    let done = RemoteTask { failed_list: Some("oms/list".into()), ..copied(RemoteState::Succeeded, 9, 1) };
    let plan = scene().recorded().remote(done).plan();
    assert_eq!(told(&plan), (Phase::SucceededWithFailures, "SucceededWithFailures", &Step::Rest));
    assert_eq!(condition(&plan, types::READY).unwrap().0, "True");
    assert!(message(&plan).contains("1 of 10 objects failed; OMS lists them in `oms/list`"));
    assert_eq!(plan.status.failed_objects.unwrap().count, 1);
}

#[test]
fn a_task_that_is_over_costs_nothing_and_stays_over() {
    for state in [RemoteState::Succeeded, RemoteState::Failed] {
        let (scene, _) = seen(state).settled();
        for world in [Remote::Pending, Remote::Stale, Remote::Gone] {
            let scene = scene.clone().link_down().with(|scene| scene.remote = world);
            let plan = scene.plan();
            assert_eq!((&plan.step, &plan.status, plan.look_again), (&Step::Rest, &scene.stored(), None));
        }
    }
}

#[test]
fn a_failed_task_that_was_started_at_the_console_is_seen_when_somebody_asks() {
    let (scene, _) = seen(RemoteState::Failed).settled();
    let scene = scene.remote(remote(RemoteState::Running));
    assert_eq!(told(&scene.plan()).0, Phase::Failed);
    let plan = scene.nudged().plan();
    assert_eq!(told(&plan), (Phase::Running, "Running", &Step::Rest));
    assert_eq!(plan.status.last_handled_reconcile_at.as_deref(), Some("now"));
    assert_eq!((plan.status.failure, plan.status.finished_at), (None, None));
}

#[test]
fn suspending_does_what_the_state_allows() {
    for (state, step) in [
        (RemoteState::Running, Step::Stop(id())),
        (RemoteState::Waiting, Step::Delete(id())),
        (RemoteState::Stopping, Step::Rest),
        (RemoteState::Retrying, Step::Rest),
        (RemoteState::Unknown, Step::Rest),
    ] {
        let plan = seen(state).suspended().plan();
        assert_eq!(told(&plan), (Phase::Stopping, "Suspending", &step), "{state:?}");
        assert!(plan.status.suspended_at.is_some(), "{state:?}: on record before the call");
        assert!(plan.look_again.unwrap().fresh, "{state:?}");
    }
    let plan = held().plan();
    assert_eq!(told(&plan), (Phase::Stopped, "Suspended", &Step::Rest));
}

#[test]
fn a_waiting_task_that_already_copied_is_never_deleted_for_a_suspend() {
    let plan = scene().recorded().remote(copied(RemoteState::Waiting, 1, 0)).suspended().plan();
    assert_eq!(told(&plan), (Phase::Stopping, "Suspending", &Step::Rest));
}

#[test]
fn a_suspended_task_that_is_not_seen_yet_is_read() {
    assert_eq!(scene().recorded().suspended().plan().step, Step::Show);
    assert_eq!(scene().recorded().plan().step, Step::Rest, "the shared poll tells");
}

#[test]
fn resuming_starts_the_task_that_we_stopped() {
    let (scene, plan) = held().resumed().settled();
    assert_eq!(told(&plan), (Phase::Running, "Resuming", &start()));
    let plan = scene.remote(remote(RemoteState::Running)).plan();
    assert_eq!(told(&plan), (Phase::Running, "Running", &Step::Rest));
    assert_eq!(plan.status.suspended_at, None);
}

#[test]
fn resuming_waits_for_our_own_stop_and_then_starts() {
    let (scene, _) = seen(RemoteState::Running).suspended().settled();
    let (scene, plan) = scene.remote(remote(RemoteState::Stopping)).resumed().settled();
    assert_eq!(told(&plan), (Phase::Running, "Resuming", &Step::Rest));
    assert_eq!(scene.remote(remote(RemoteState::Stopped)).plan().step, start());
}

#[test]
fn a_task_that_was_deleted_while_it_waited_comes_back_as_the_next_attempt() {
    let (scene, _) = seen(RemoteState::Waiting).suspended().settled();
    let (scene, plan) = scene.gone().settled();
    assert_eq!(told(&plan), (Phase::Stopped, "Suspended", &Step::Rest));
    assert_eq!((plan.status.task_id, plan.status.attempt), (None, Some(2)));
    let (_, plan) = scene.resumed().now(5).settled();
    assert_eq!((&plan.step, plan.status.suspended_at), (&Step::Search, None));
    assert_eq!(plan.status.create.unwrap().token, token(2).to_string());
}

#[test]
fn a_task_that_somebody_else_stopped_is_left_so_until_suspend_is_set_and_taken_back() {
    let (scene, plan) = seen(RemoteState::Stopped).settled();
    assert_eq!(told(&plan), (Phase::Stopped, "StoppedExternally", &Step::Rest));
    assert!([types::RECONCILING, types::STALLED].iter().all(|type_| condition(&plan, type_).is_none()));
    let (scene, _) = scene.suspended().settled();
    assert_eq!(scene.resumed().settled().1.step, start());
}

#[test]
fn settings_of_a_task_that_somebody_else_stopped_do_not_make_it_look_resumed() {
    let scene = seen(RemoteState::Stopped).spec(|spec| spec.priority = Priority::High);
    assert_eq!(told(&scene.plan()), (Phase::Stopped, "StoppedExternally", &Step::SetPriority(id())));
}

#[test]
fn a_task_that_vanished_is_told_and_never_made_again() {
    let (scene, plan) = scene().recorded().gone().settled();
    assert_eq!(told(&plan), (Phase::Failed, "RemoteTaskGone", &Step::Rest));
    assert_eq!(scene.suspended().settled().1.step, Step::Rest);
    let mut copied = seen(RemoteState::Stopped).suspended().remote(copied(RemoteState::Stopped, 3, 0));
    copied.settle();
    let (_, plan) = copied.gone().settled();
    assert_eq!(told(&plan).1, "RemoteTaskGone", "what was copied is not copied again by itself");
}

#[test]
fn a_task_without_our_token_is_never_touched() {
    let foreign = Token::new(ObjectMark::new("cluster", "MigrationTask", "other"), "", 1);
    for token in [None, Some(foreign)] {
        for state in [RemoteState::Running, RemoteState::Waiting, RemoteState::Stopped] {
            let task = RemoteTask { token: token.clone(), ..remote(state) };
            let plan = scene().recorded().remote(task).suspended().plan();
            assert_eq!(told(&plan), (Phase::Failed, "ForeignTask", &Step::Rest));
        }
    }
}

#[test]
fn a_lost_connection_leaves_the_task_as_it_was_and_says_so_apart() {
    let (scene, _) = seen(RemoteState::Running).settled();
    let plan = scene.link_down().plan();
    assert_eq!(told(&plan), (Phase::Running, "Running", &Step::Rest));
    assert_eq!(condition(&plan, types::CONNECTION_READY), Some(("False", "ConnectionNotReady")));
}

fn window(rate: &str) -> BandwidthWindow {
    BandwidthWindow { start: "08:00".into(), end: "20:00".into(), max_bandwidth: ByteRate(rate.into()) }
}

#[test]
fn bandwidth_is_changed_live() {
    let at_oms = || vec![Window { start: "08:00".into(), end: "20:00".into(), bytes_per_second: 50 << 20 }];
    for state in [RemoteState::Waiting, RemoteState::Running, RemoteState::Retrying] {
        let scene = seen(state).spec(|spec| spec.bandwidth_policy = vec![window("50Mi")]);
        assert_eq!(scene.plan().step, Step::SetBandwidth(id()), "{state:?}");
        let same = scene.clone().remote(RemoteTask { windows: at_oms(), ..remote(state) });
        assert_eq!(same.plan().step, Step::Rest, "{state:?}: equal windows cost no call");
        let removed = seen(state).remote(RemoteTask { windows: at_oms(), ..remote(state) });
        assert_eq!(removed.plan().step, Step::SetBandwidth(id()), "{state:?}");
        let refused = trouble(Call::Bandwidth, TroubleKind::Transient, Delivered::Refused);
        assert_eq!(scene.troubled(refused).plan().step, Step::Rest, "{state:?}: not before its time");
    }
}

#[test]
fn a_priority_waits_until_oms_allows_it_and_says_so() {
    let urgent = |state| seen(state).spec(|spec| spec.priority = Priority::High);
    let (scene, plan) = urgent(RemoteState::Running).settled();
    assert_eq!(plan.step, Step::Rest);
    assert_eq!(condition(&plan, types::PRIORITY_PENDING), Some(("True", "TaskIsRunning")));
    let plan = scene.remote(remote(RemoteState::Waiting)).plan();
    assert_eq!(plan.step, Step::SetPriority(id()));
    assert_eq!(condition(&plan, types::PRIORITY_PENDING), None);
    let held = held().spec(|spec| spec.priority = Priority::High);
    assert_eq!(told(&held.plan()), (Phase::Stopped, "Suspended", &Step::SetPriority(id())));
    let silent = RemoteTask { priority: None, ..remote(RemoteState::Waiting) };
    assert_eq!(urgent(RemoteState::Waiting).remote(silent).plan().step, Step::Rest);
}

#[test]
fn a_second_task_with_our_token_is_stopped_and_deleted() {
    let second = |state| {
        let task = RemoteTask { id: 5.into(), ..remote(state) };
        seen(RemoteState::Running).with(|scene| scene.siblings = vec![task])
    };
    for state in [RemoteState::Running, RemoteState::Waiting, RemoteState::Stopped] {
        assert_eq!(second(state).plan().step, Step::RemoveDuplicate(5.into()));
    }
    let refused = |kind| trouble(Call::Stop, kind, Delivered::Refused);
    let held = second(RemoteState::Running).troubled(refused(TroubleKind::Throttled));
    assert_eq!(told(&held.plan()), (Phase::Running, "Running", &Step::Rest));
}

#[test]
fn a_failure_of_the_task_itself_is_final() {
    for code in ["TRF.0002", "TRF.0004", "TRF.0062", "TRF.9999", ""] {
        let (_, plan) = scene().recorded().remote(failed_with(code)).settled();
        assert_eq!(told(&plan), (Phase::Failed, "TaskFailed", &Step::Rest), "{code}");
        assert_eq!(condition(&plan, types::STALLED), Some(("True", "TaskFailed")));
        let failure = plan.status.failure.unwrap();
        assert_eq!((failure.code.as_str(), failure.retryable, plan.look_again), (code, false, None));
    }
    let partly =
        RemoteTask { counters: copied(RemoteState::Failed, 1, 9).counters, ..failed_with("TRF.0151") };
    let (_, plan) = scene().recorded().remote(partly).settled();
    assert_eq!(told(&plan).1, "TaskFailed", "what was copied in part is not started again by itself");
}

fn failing() -> Scene {
    scene().recorded().remote(failed_with("TRF.0151"))
}

/// The pause before the next start.
fn pause(scene: &Scene) -> i64 {
    scene.stored().next_attempt_at.unwrap().0.as_second() - scene.now.as_second()
}

#[test]
fn a_task_that_its_surroundings_failed_is_started_again_at_growing_intervals() {
    let (mut scene, plan) = failing().settled();
    assert_eq!(told(&plan), (Phase::Retrying, "RetryScheduled", &Step::Rest));
    assert!(plan.status.failure.as_ref().unwrap().retryable);
    let mut pauses = vec![pause(&scene)];
    for _ in 0..6 {
        assert_eq!(scene.settle().step, Step::Rest, "not before its time");
        scene.now = scene.stored().next_attempt_at.unwrap().0;
        assert_eq!(scene.settle().step, start());
        scene.started_again_at = Some(scene.now);
        scene.now += Duration::from_secs(2);
        assert_eq!(scene.settle().step, Step::Rest, "failed at once: no hot loop");
        pauses.push(pause(&scene));
    }
    assert_eq!(pauses, [60, 120, 240, 480, 600, 600, 600]);
}

#[test]
fn a_start_that_was_seen_only_when_it_had_succeeded_counts_too() {
    let failed = scene().recorded().remote(failed_with("TRF.0001")).settled().0;
    assert!(failed.stored().next_attempt_at.is_some());
    let (_, plan) = failed.now(70).remote(remote(RemoteState::Succeeded)).settled();
    assert_eq!((plan.status.retries.unwrap().made, plan.status.next_attempt_at), (1, None));
}

#[test]
fn a_start_that_was_seen_running_counts_too() {
    let (mut scene, _) = failing().settled();
    scene.now = at(60);
    assert_eq!(scene.settle().step, start());
    let mut scene =
        scene.remote(remote(RemoteState::Running)).with(|scene| scene.started_again_at = Some(at(60)));
    scene.settle();
    assert_eq!((scene.stored().retries.unwrap().made, scene.stored().next_attempt_at), (1, None));
    let mut scene = scene.remote(failed_with("TRF.0151")).now(70);
    scene.settle();
    assert_eq!(pause(&scene), 120);
}

#[test]
fn changed_keys_start_a_failed_task_at_once_and_only_once() {
    let (scene, _) = failing().settled();
    let unread = scene.clone().with(|scene| scene.keys = Keys::NotRead);
    assert_eq!(unread.plan().step, Step::ReadKeys, "rotation is looked for");
    let (scene, plan) = scene.now(5).with(|scene| scene.keys = Keys::Ready(keys("two"))).settled();
    assert_eq!(plan.step, start());
    assert_eq!(plan.status.observed_credentials, keys("two"), "on record before the call");
    let (scene, plan) = scene.now(6).with(|scene| scene.started_again_at = Some(at(5))).settled();
    assert_eq!(plan.step, Step::Rest);
    assert_eq!(pause(&scene), 120);
}

#[test]
fn a_nudge_starts_a_failed_task_at_once_and_only_once() {
    let (scene, _) = failing().settled();
    let (scene, plan) = scene.now(5).nudged().settled();
    assert_eq!(plan.step, start());
    let (_, plan) = scene.now(6).with(|scene| scene.started_again_at = Some(at(5))).settled();
    assert_eq!(plan.step, Step::Rest);
}

#[test]
fn a_refused_start_is_told_and_does_not_flap() {
    let rotated = |scene: Scene| scene.with(|scene| scene.keys = Keys::Ready(keys("two")));
    for (kind, reason) in [
        (TroubleKind::Invalid, "RefusedForNow"),
        (TroubleKind::BucketCredentials, "CredentialsRejected"),
        (TroubleKind::Transient, "ServiceUnavailable"),
    ] {
        let refused = || trouble(Call::Start, kind, Delivered::Refused);
        for scene in [rotated(failing().settled().0), held().resumed()] {
            let (scene, plan) = scene.settled().0.now(5).troubled(refused()).settled();
            assert_eq!(told(&plan), (Phase::Pending, reason, &Step::Rest));
            assert_eq!(scene.now(31).settled().1.step, start(), "tried again when its time has come");
        }
    }
}

#[test]
fn suspending_a_failed_task_holds_its_next_start() {
    let (scene, _) = failing().settled();
    let (scene, plan) = scene.suspended().settled();
    assert_eq!(told(&plan), (Phase::Stopped, "Suspended", &Step::Rest));
    assert_eq!(plan.status.next_attempt_at, None);
    assert_eq!(scene.clone().now(9).plan().status, scene.stored(), "time alone writes nothing");
    let (scene, plan) = scene.resumed().now(5).settled();
    assert_eq!(told(&plan), (Phase::Retrying, "RetryScheduled", &Step::Rest));
    assert_eq!(scene.now(65).settled().1.step, start());
}

#[test]
fn missing_keys_hold_a_start_and_name_the_secret() {
    for scene in [failing().settled().0, held().resumed()] {
        let (scene, plan) = scene.secret_missing().now(61).settled();
        assert_eq!((told(&plan).1, &plan.step), ("SecretNotFound", &Step::Rest));
        assert_eq!(condition(&plan, types::CREDENTIALS_READY), Some(("False", "SecretNotFound")));
        let (_, plan) = scene.with(|scene| scene.keys = Keys::Ready(keys("two"))).settled();
        assert_eq!(plan.step, start());
    }
}

#[test]
fn a_source_that_refuses_behind_a_cdn_may_be_either_of_them() {
    let cdn = Cdn {
        domain: "cdn.example.com".into(),
        protocol: CdnProtocol::Https,
        authentication_type: CdnAuthentication::AliyunA,
        authentication_key: None,
        crypto: None,
    };
    for (code, cdn, named) in
        [("TRF.0152", Some(&cdn), true), ("TRF.0152", None, false), ("TRF.0151", Some(&cdn), false)]
    {
        let scene = scene()
            .recorded()
            .spec(|spec| spec.source.as_mut().unwrap().cdn = cdn.cloned())
            .remote(failed_with(code));
        let (_, plan) = scene.settled();
        let told = message(&plan);
        assert!(told.contains("`source.credentials.secretRef`"), "{told}");
        assert_eq!(told.contains("`source.cdn.authenticationKey.secretRef`"), named, "{told}");
    }
}

#[test]
fn other_keys_or_another_kms_key_are_tried_at_once_after_a_refused_start() {
    let refusal =
        |kind, code: &str| Trouble { code: code.into(), ..trouble(Call::Start, kind, Delivered::Refused) };
    for (kind, code, at_once) in [
        (TroubleKind::Missing, "OMS.0211", true),
        (TroubleKind::Permission, "OMS.0216", true),
        (TroubleKind::Invalid, "OMS.0217", true),
        (TroubleKind::Invalid, "OMS.0064", false),
    ] {
        let (scene, plan) = held().resumed().now(5).troubled(refusal(kind, code)).settled();
        assert_eq!(plan.step, Step::Rest, "{code}");
        // The engine forgets the refusal when the other keys are on record.
        let plan = scene.with(|scene| scene.keys = Keys::Ready(keys("two"))).now(6).plan();
        assert_eq!(plan.step == start(), at_once, "{code}: {:?}", plan.step);
    }
}

#[test]
fn restoring_archived_objects_again_wants_a_word() {
    for scene in [failing().settled().0.now(61), held().resumed()] {
        let (scene, plan) = scene.spec(|spec| spec.enable_restore = true).settled();
        assert_eq!(told(&plan), (Phase::Stopped, "AcknowledgementRequired", &Step::Rest));
        assert!(message(&plan).contains("`RestoreAgain`"));
        let scene = scene.spec(|spec| spec.lifecycle.acknowledge = vec![Acknowledgement::RestoreAgain]);
        assert_eq!(scene.settled().1.step, start());
    }
}

#[test]
fn a_recorded_id_that_is_none_is_told() {
    let plan = scene().recorded().status(|status| status.task_id = Some("x".into())).plan();
    assert_eq!(told(&plan), (Phase::Failed, "InvalidSpec", &Step::Rest));
}

#[test]
fn progress_is_written_at_steps() {
    let counters = |fraction| Counters { fraction, total: 100, ..Counters::default() };
    let running = |fraction| RemoteTask { counters: counters(fraction), ..remote(RemoteState::Running) };
    let (scene, _) = scene().recorded().remote(running(0.41)).settled();
    assert_eq!(scene.clone().remote(running(0.44)).plan().status, scene.stored());
    assert_eq!(scene.clone().remote(running(0.45)).plan().status.progress.unwrap().percent, 45);
    let due = scene.with(|scene| scene.progress_due = true).remote(running(0.44)).plan();
    assert_eq!(due.status.progress.unwrap().percent, 44);
}

#[test]
fn times_of_any_size_are_told_without_a_panic() {
    let endless = RemoteTask { took: Duration::MAX, ..remote(RemoteState::Succeeded) };
    assert_eq!(told(&scene().recorded().remote(endless).plan()).0, Phase::Succeeded);
    let mut late = failing()
        .status(|status| status.retries = Some(Retries { made: i64::MAX, objects: RetryObjects::All }));
    late.started_again_at = Some(at(0));
    late = late.status(|status| status.next_attempt_at = Some(whole_seconds(at(0))));
    assert_eq!(told(&late.plan()).0, Phase::Retrying);
}
