//! What somebody else changed at the console.

use super::super::{Plan, Step};
use super::scene::*;
use crate::api::conditions::types;
use crate::api::{BandwidthWindow, ByteRate, DriftPolicy, Phase};
use crate::plan::seen::{RemoteState, RemoteTask, Window};

fn enforcing(scene: Scene) -> Scene {
    scene.spec(|spec| spec.lifecycle.drift_policy = DriftPolicy::Enforce)
}

fn running() -> Scene {
    scene().recorded().remote(remote(RemoteState::Running)).settled().0
}

/// Suspended, and stopped for it.
fn held() -> Scene {
    scene().recorded().remote(remote(RemoteState::Stopped)).suspended().settled().0
}

fn start() -> Step {
    Step::Start { id: id(), only_failed: false }
}

fn drifted(plan: &Plan) -> Option<(&str, &str)> {
    condition(plan, types::DRIFTED)
}

fn limited(bytes_per_second: u64) -> RemoteTask {
    let window = Window { start: "08:00".into(), end: "20:00".into(), bytes_per_second };
    RemoteTask { windows: vec![window], ..remote(RemoteState::Running) }
}

fn wants(scene: Scene, rate: &str) -> Scene {
    let rate = ByteRate(rate.into());
    let window = BandwidthWindow { start: "08:00".into(), end: "20:00".into(), max_bandwidth: rate };
    scene.spec(|spec| spec.bandwidth_policy = vec![window])
}

#[test]
fn a_task_that_somebody_else_stopped_is_reported_and_left() {
    let plan = running().remote(remote(RemoteState::Stopped)).settled().1;
    assert_eq!(told(&plan), (Phase::Stopped, "StoppedExternally", &Step::Rest));
    assert_eq!(drifted(&plan), Some(("True", "StoppedExternally")));
    let again = running().remote(remote(RemoteState::Stopped)).settled().0;
    let plan = again.remote(remote(RemoteState::Running)).settled().1;
    assert_eq!((told(&plan).1, drifted(&plan)), ("Running", None), "present only while true");
}

#[test]
fn a_task_that_somebody_else_stopped_is_started_again_where_that_is_enforced() {
    let plan = enforcing(running()).remote(remote(RemoteState::Stopped)).settled().1;
    assert_eq!(plan.step, start());
    assert_eq!(drifted(&plan), Some(("True", "StoppedExternally")));
}

#[test]
fn a_fight_is_fought_at_growing_intervals() {
    let mut scene = enforcing(running());
    let (mut second, mut pauses) = (0, Vec::new());
    for _ in 0..9 {
        let (stopped, plan) = scene.remote(remote(RemoteState::Stopped)).settled();
        let mut stopped = stopped;
        let mut plan = plan;
        let before = second;
        while plan.step != start() {
            assert_eq!(told(&plan), (Phase::Stopped, "StoppedExternally", &Step::Rest));
            let wait = plan.look_again.expect("it says when").after.as_secs();
            second += i64::try_from(wait).unwrap();
            (stopped, plan) = stopped.now(second).settled();
        }
        pauses.push(second - before);
        scene = stopped.remote(remote(RemoteState::Running)).settled().0;
    }
    assert_eq!(pauses, [0, 60, 120, 240, 480, 960, 1_920, 3_600, 3_600]);
    // What held for long is forgotten.
    let quiet = scene.now(second + 3 * 3_600).remote(remote(RemoteState::Stopped)).settled();
    assert_eq!(quiet.1.step, start());
    let over = quiet.0.remote(remote(RemoteState::Running)).settled().0;
    assert_eq!(over.stored().drift.unwrap().corrections, 1);
}

#[test]
fn a_suspended_task_that_somebody_else_started_is_reported_and_left() {
    let (scene, plan) = held().remote(remote(RemoteState::Running)).settled();
    assert_eq!(told(&plan), (Phase::Running, "StartedExternally", &Step::Rest));
    assert_eq!(drifted(&plan), Some(("True", "StartedExternally")));
    let (_, plan) = scene.clone().remote(remote(RemoteState::Stopped)).settled();
    assert_eq!((told(&plan).1, drifted(&plan)), ("Suspended", None));
    // Who resumes it gets what there is.
    let plan = scene.resumed().settled().1;
    assert_eq!((told(&plan).1, drifted(&plan)), ("Running", None));
}

#[test]
fn a_suspended_task_that_somebody_else_started_is_stopped_again_where_that_is_enforced() {
    let plan = enforcing(held()).remote(remote(RemoteState::Running)).settled().1;
    assert_eq!(told(&plan), (Phase::Stopping, "Suspending", &Step::Stop(id())));
    assert_eq!(drifted(&plan), Some(("True", "StartedExternally")));
}

#[test]
fn our_own_stop_that_is_under_way_is_no_drift() {
    let stopping = running().suspended().settled();
    assert_eq!(stopping.1.step, Step::Stop(id()));
    for state in [RemoteState::Running, RemoteState::Stopping, RemoteState::Stopped] {
        let plan = stopping.0.clone().remote(remote(state)).settled().1;
        assert_eq!(drifted(&plan), None, "{state:?}");
    }
    let resuming = held().resumed().settled().1;
    assert_eq!((resuming.step.clone(), drifted(&resuming)), (start(), None));
}

#[test]
fn other_windows_than_were_set_last_are_reported_and_left() {
    let set = wants(running(), "50Mi").remote(limited(50 << 20)).settled().0;
    let (changed, plan) = set.remote(limited(1 << 20)).settled();
    assert_eq!((told(&plan).1, &plan.step), ("Running", &Step::Rest));
    assert_eq!(drifted(&plan), Some(("True", "BandwidthChanged")));
    // An edit of the spec counts, whatever somebody else did.
    assert_eq!(wants(changed.clone(), "20Mi").settled().1.step, Step::SetBandwidth(id()));
    // So does the will to enforce what it says.
    assert_eq!(enforcing(changed.clone()).settled().1.step, Step::SetBandwidth(id()));
    let plan = wants(changed, "1Mi").settled().1;
    assert_eq!((plan.step.clone(), drifted(&plan)), (Step::Rest, None), "both want the same now");
}

#[test]
fn windows_that_were_never_set_are_no_drift() {
    let plan = wants(scene().recorded(), "50Mi").remote(remote(RemoteState::Running)).settled().1;
    assert_eq!((plan.step.clone(), drifted(&plan)), (Step::SetBandwidth(id()), None));
}

#[test]
fn another_priority_than_was_set_last_is_reported_and_left() {
    let waiting = scene().recorded().remote(remote(RemoteState::Waiting)).settled().0;
    let raised = RemoteTask { priority: Some("HIGH".into()), ..remote(RemoteState::Waiting) };
    let (scene, plan) = waiting.remote(raised).settled();
    assert_eq!((plan.step.clone(), drifted(&plan)), (Step::Rest, Some(("True", "PriorityChanged"))));
    assert_eq!(enforcing(scene).settled().1.step, Step::SetPriority(id()));
}

#[test]
fn a_record_that_somebody_else_deleted_is_told_and_never_made_again() {
    for scene in [running(), enforcing(running())] {
        let plan = scene.gone().settled().1;
        assert_eq!(told(&plan), (Phase::Failed, "RemoteTaskGone", &Step::Rest));
        assert_eq!(drifted(&plan), Some(("True", "DeletedExternally")));
    }
}

/// Regression: a limit that was taken back right after it was set looked like somebody else's, and stayed.
#[test]
fn a_change_that_is_taken_back_before_it_was_seen_is_not_taken_for_somebody_elses() {
    let (scene, plan) = wants(running(), "50Mi").settled();
    assert_eq!(plan.step, Step::SetBandwidth(id()));
    let back = scene.spec(|spec| spec.bandwidth_policy.clear()).remote(limited(50 << 20));
    let plan = back.settled().1;
    assert_eq!((plan.step.clone(), drifted(&plan)), (Step::SetBandwidth(id()), None));
}

/// Regression: a deletion stayed reported while the next run was at work, and then counted as brought back.
#[test]
fn another_run_after_a_deletion_is_no_drift() {
    let gone = enforcing(running()).gone().settled();
    assert_eq!(drifted(&gone.1), Some(("True", "DeletedExternally")));
    let mut again = gone.0.rerun("again");
    let begun = again.plan();
    assert_eq!((told(&begun).1, drifted(&begun)), ("RunBegins", None));
    again.store(&begun);
    assert_eq!(again.stored().drift, None);
}
