//! A task that exists already: taken over, or only looked at.

use super::super::{Step, is_over};
use super::scene::*;
use crate::api::conditions::{Reason, types};
use crate::api::{
    AdoptTask, BandwidthWindow, ByteRate, DeletionPolicy, Difference, DriftPolicy, ManagementPolicy, Phase,
    Priority, ReadyWhen,
};
use crate::plan::claims::Claim;
use crate::plan::facts::difference;
use crate::plan::seen::{
    Call, Candidate, Counters, Delivered, Described, Keys, RemoteState, RemoteTask, TroubleKind, Whole,
    Window,
};
use crate::plan::situation::{self, whole_seconds};

/// A task that somebody else made.
fn foreign(state: RemoteState) -> RemoteTask {
    RemoteTask { token: None, ..remote(state) }
}

fn described(task: RemoteTask, differences: Vec<Difference>) -> Candidate {
    Candidate::Found(Box::new(Described { task, part_of: None, differences }))
}

/// An object that names the task.
fn adopting() -> Scene {
    scene().spec(|spec| spec.adopt = Some(AdoptTask { task_id: NUMBER.to_string() }))
}

fn observing() -> Scene {
    adopting().spec(|spec| {
        spec.lifecycle.management_policy = ManagementPolicy::Observe;
        spec.source = None;
        spec.destination = None;
    })
}

fn finding(scene: Scene, task: RemoteTask) -> Scene {
    scene.with(|scene| scene.candidate = described(task, Vec::new()))
}

/// An object that has taken the task over.
fn adopted(state: RemoteState) -> Scene {
    let scene = finding(adopting().with_finalizer(), foreign(state));
    let mut scene = scene.settled().0;
    scene.candidate = Candidate::NotRead;
    scene.remote(foreign(state))
}

fn observed(state: RemoteState) -> Scene {
    let mut scene = finding(observing(), foreign(state)).settled().0;
    scene.candidate = Candidate::NotRead;
    scene.remote(foreign(state))
}

fn claim(name: &str, made: bool) -> Claim {
    Claim { name: name.into(), uid: "0".into(), created_at: Some(at(-1_000)), made }
}

fn claimed_by(scene: Scene, name: &str) -> Scene {
    scene.with(|scene| scene.claims = vec![claim(name, false)])
}

#[test]
fn adopting_looks_then_records_and_creates_nothing() {
    let looking = adopting().plan();
    assert_eq!(looking.step, Step::Describe);
    assert_eq!(finding(adopting(), foreign(RemoteState::Running)).plan().step, Step::AddFinalizer);

    let plan = finding(adopting().with_finalizer(), foreign(RemoteState::Running)).plan();
    assert_eq!(told(&plan), (Phase::Running, "Running", &Step::Rest));
    let status = &plan.status;
    assert_eq!((status.task_id.as_deref(), status.adopted), (Some(NUMBER.to_string().as_str()), Some(true)));
    assert_eq!(status.connection, Some(pinned()));
    assert_eq!((status.run, status.create.is_none()), (Some(1), true));
    assert_eq!(condition(&plan, types::ADOPTED), Some(("True", "Adopted")));
}

#[test]
fn what_the_task_is_and_the_spec_is_not_is_listed() {
    let found = vec![difference("source.bucket", "photos", "films")];
    let mut scene = adopting()
        .with_finalizer()
        .with(|scene| scene.candidate = described(foreign(RemoteState::Running), found.clone()));
    let plan = scene.settle();
    assert_eq!(plan.status.differences, found);
    assert_eq!(condition(&plan, types::ADOPTED), Some(("True", "AdoptedWithDifferences")));
    let words = &situation::find(&plan.status.conditions, types::ADOPTED).unwrap().message;
    assert!(words.contains("`source.bucket`"), "{words}");
    assert_eq!(plan.step, Step::Rest, "a difference is nothing to do");
}

#[test]
fn an_edited_spec_is_compared_again() {
    let edited = adopted(RemoteState::Running).with(|scene| scene.task.metadata.generation = Some(2));
    assert_eq!(edited.plan().step, Step::Describe);
    let found = vec![difference("source.bucket", "photos", "films")];
    let plan = edited
        .with(|scene| scene.candidate = described(foreign(RemoteState::Running), found.clone()))
        .settled()
        .1;
    assert_eq!(plan.status.differences, found);
}

#[test]
fn an_id_that_oms_does_not_know_is_told_and_looked_for_again_slowly() {
    let unknown = || adopting().with(|scene| scene.candidate = Candidate::Unknown);
    let plan = unknown().plan();
    assert_eq!(told(&plan), (Phase::Pending, "AdoptionTargetNotFound", &Step::Rest));
    assert_eq!(condition(&plan, types::ADOPTED), Some(("False", "AdoptionTargetNotFound")));
    assert!(message(&plan).contains("`adopt.taskId`"), "{}", message(&plan));
    assert!(plan.status.task_id.is_none() && plan.status.connection.is_none(), "nothing is pinned");

    let (mut waiting, _) = unknown().settled();
    waiting.candidate = Candidate::NotRead;
    assert_eq!(waiting.plan().step, Step::Rest, "not with every pass");
    assert_eq!(waiting.clone().nudged().plan().step, Step::Describe);
    assert_eq!(waiting.now(301).plan().step, Step::Describe);
}

#[test]
fn a_part_of_something_is_refused_with_what_to_adopt_instead() {
    for (whole, kind) in [(Whole::TaskGroup("g-1".into()), "TaskGroup"), (Whole::SyncTask, "SyncTask")] {
        let part =
            Described { task: foreign(RemoteState::Running), part_of: Some(whole), differences: Vec::new() };
        let (mut scene, plan) = adopting()
            .with_finalizer()
            .with(|scene| scene.candidate = Candidate::Found(Box::new(part)))
            .settled();
        assert_eq!(told(&plan), (Phase::Failed, "NotAdoptable", &Step::Rest));
        assert_eq!(condition(&plan, types::STALLED), Some(("True", "NotAdoptable")));
        assert!(message(&plan).contains("adopt") && message(&plan).contains(kind));
        assert_eq!(plan.status.task_id, None);
        scene.candidate = Candidate::NotRead;
        assert_eq!(scene.plan().step, Step::Rest, "nothing is asked again until somebody acts");
        assert_eq!(scene.nudged().plan().step, Step::Describe);
    }
}

#[test]
fn the_loser_of_two_claims_names_the_winner_and_takes_over_when_it_is_gone() {
    let (mut loser, plan) = claimed_by(adopting(), "media/older").settled();
    assert_eq!(told(&plan), (Phase::Pending, "ClaimedByAnother", &Step::Rest));
    assert!(message(&plan).contains("`media/older`"), "{}", message(&plan));
    assert!(plan.look_again.is_some(), "the other may go");
    loser.claims.clear();
    assert_eq!(loser.plan().step, Step::Describe);
}

#[test]
fn one_that_has_adopted_and_loses_its_claim_changes_nothing_more_and_deletes_nothing() {
    let lost = claimed_by(adopted(RemoteState::Running).suspended(), "media/older");
    let plan = lost.clone().settled().1;
    assert_eq!(told(&plan), (Phase::Pending, "ClaimedByAnother", &Step::Rest));
    let deleted = lost.spec(|spec| spec.lifecycle.deletion_policy = Some(DeletionPolicy::Delete)).deleted();
    assert_eq!(deleted.plan().step, Step::RemoveFinalizer { abandoned: None });
}

#[test]
fn who_made_the_task_keeps_it() {
    let made = adopting().with(|scene| scene.claims = vec![claim("media/maker", true)]);
    assert_eq!(told(&made.plan()).1, "ClaimedByAnother");
    assert!(message(&made.plan()).contains("`media/maker` made task"));
}

#[test]
fn an_adopted_task_is_stopped_and_started_like_one_of_our_own() {
    let plan = adopted(RemoteState::Running).suspended().settled().1;
    assert_eq!(told(&plan), (Phase::Stopping, "Suspending", &Step::Stop(id())));
    let held = adopted(RemoteState::Running).suspended().settled().0;
    let held = held.remote(foreign(RemoteState::Stopped)).settled().0;
    let plan = held.resumed().settled().1;
    assert_eq!(plan.step, Step::Start { id: id(), only_failed: false });
}

#[test]
fn suspending_an_adopted_task_that_waits_waits_too_instead_of_deleting_it() {
    let plan = adopted(RemoteState::Waiting).suspended().settled().1;
    assert_eq!(told(&plan), (Phase::Stopping, "Suspending", &Step::Rest));
    let gone = adopted(RemoteState::Waiting).suspended().settled().0.gone().settled().1;
    assert_eq!(told(&gone), (Phase::Failed, "RemoteTaskGone", &Step::Rest));
    assert!(gone.status.task_id.is_some(), "nothing is created in its place");
}

#[test]
fn an_edit_makes_nobody_look_for_an_adopted_task_that_is_gone() {
    let gone = adopted(RemoteState::Running).gone().settled().0;
    let plan = gone.with(|scene| scene.task.metadata.generation = Some(2)).plan();
    assert_eq!(told(&plan), (Phase::Failed, "RemoteTaskGone", &Step::Rest));
}

#[test]
fn settings_that_the_spec_leaves_out_stay_and_those_that_it_says_are_set() {
    let limited = |state| {
        let window = Window { start: "08:00".into(), end: "20:00".into(), bytes_per_second: 1 << 20 };
        RemoteTask { windows: vec![window], priority: Some("HIGH".into()), ..foreign(state) }
    };
    let adopt = |scene: Scene| {
        let mut scene = finding(scene.with_finalizer(), limited(RemoteState::Stopped)).settled().0;
        scene.candidate = Candidate::NotRead;
        scene.remote(limited(RemoteState::Stopped)).settled()
    };
    let (silent, plan) = adopt(adopting());
    assert_eq!(plan.step, Step::Rest);
    let listed: Vec<_> = plan.status.differences.iter().map(|told| told.field.as_str()).collect();
    assert_eq!(listed, ["bandwidthPolicy", "priority"]);
    // From then on an edit counts.
    let edited = silent.spec(|spec| spec.priority = Priority::Low);
    assert_eq!(edited.settled().1.step, Step::SetPriority(id()));

    let said = adopting().spec(|spec| {
        let rate = ByteRate("50Mi".into());
        spec.bandwidth_policy =
            vec![BandwidthWindow { start: "01:00".into(), end: "02:00".into(), max_bandwidth: rate }];
    });
    assert_eq!(adopt(said).1.step, Step::SetBandwidth(id()));
}

#[test]
fn deleting_an_adopted_object_leaves_the_task_unless_it_says_otherwise() {
    let plan = adopted(RemoteState::Running).deleted().plan();
    assert_eq!(plan.step, Step::RemoveFinalizer { abandoned: None });
    let delete = |state| {
        let scene = adopted(state).spec(|spec| spec.lifecycle.deletion_policy = Some(DeletionPolicy::Delete));
        scene.deleted().settled().1.step
    };
    assert_eq!(delete(RemoteState::Running), Step::Stop(id()));
    assert_eq!(delete(RemoteState::Succeeded), Step::Delete(id()));
    let keep = adopted(RemoteState::Running)
        .spec(|spec| spec.lifecycle.deletion_policy = Some(DeletionPolicy::StopAndKeep));
    assert_eq!(keep.deleted().settled().1.step, Step::Stop(id()));
}

#[test]
fn an_adopted_flag_alone_owns_nothing() {
    // A status that was restored from elsewhere: the spec names no task, or another one.
    let restored = scene().recorded().remote(foreign(RemoteState::Running)).suspended();
    let restored = restored.status(|status| status.adopted = Some(true));
    assert_eq!(told(&restored.plan()).1, "ForeignTask");
    let other = restored.spec(|spec| spec.adopt = Some(AdoptTask { task_id: "7".into() }));
    let plan = other.settled().1;
    assert_eq!((told(&plan).1, &plan.step), ("ForeignTask", &Step::Rest));
}

#[test]
fn trouble_with_the_look_is_told_and_waited_for() {
    let refused = trouble(Call::Look, TroubleKind::Permission, Delivered::Refused);
    let plan = adopting().troubled(refused).plan();
    assert_eq!(told(&plan), (Phase::Pending, "PermissionDenied", &Step::Rest));
    assert!(plan.look_again.is_some());
}

#[test]
fn an_observed_task_is_told_as_its_owner_has_it_and_never_stalls() {
    for (state, phase, reason) in [
        (RemoteState::Waiting, Phase::Running, "WaitingAtOMS"),
        (RemoteState::Running, Phase::Running, "Running"),
        (RemoteState::Retrying, Phase::Running, "RetryingAtOMS"),
        (RemoteState::Unknown, Phase::Running, "Running"),
        (RemoteState::Stopping, Phase::Stopping, "StoppedExternally"),
        (RemoteState::Stopped, Phase::Stopped, "StoppedExternally"),
        (RemoteState::Succeeded, Phase::Succeeded, "Succeeded"),
        (RemoteState::Failed, Phase::Failed, "TaskFailed"),
    ] {
        let plan = observed(state).settled().1;
        assert_eq!(told(&plan), (phase, reason, &Step::Rest), "{state:?}");
        assert_eq!(condition(&plan, types::STALLED), None, "{state:?}");
        assert_eq!(condition(&plan, types::ADOPTED), Some(("False", "Observed")), "{state:?}");
    }
    let gone = observed(RemoteState::Running).gone().settled().1;
    assert_eq!(told(&gone), (Phase::Failed, "RemoteTaskGone", &Step::Rest));
    assert_eq!(condition(&gone, types::STALLED), None);
}

#[test]
fn ready_means_what_ready_when_says_of_an_observed_task_too() {
    let started = observed(RemoteState::Running).spec(|spec| spec.lifecycle.ready_when = ReadyWhen::Started);
    assert_eq!(condition(&started.settled().1, types::READY).unwrap().0, "True");
}

#[test]
fn observing_needs_no_finalizer_and_ends_at_once() {
    let plan = observed(RemoteState::Running).deleted().plan();
    assert_eq!(plan.step, Step::Rest, "there is no finalizer to remove");
    let switched = observed(RemoteState::Running).with_finalizer().deleted();
    let delete = switched.spec(|spec| spec.lifecycle.deletion_policy = Some(DeletionPolicy::Delete));
    assert_eq!(delete.plan().step, Step::RemoveFinalizer { abandoned: None });
}

#[test]
fn two_may_observe_what_a_third_has() {
    let plan = claimed_by(observed(RemoteState::Running), "media/older").settled().1;
    assert_eq!(told(&plan).1, "Running");
}

#[test]
fn an_observed_task_that_failed_is_looked_at_now_and_then_as_its_owner_may_start_it() {
    let plan = observed(RemoteState::Failed).settled().1;
    let again = plan.look_again.expect("it is looked at again");
    assert!(again.fresh && again.after.as_secs() >= 60, "{again:?}");
    assert_eq!(observed(RemoteState::Succeeded).settled().1.look_again, None);
}

#[test]
fn managing_what_was_observed_takes_it_over_and_observing_it_again_lets_go() {
    let managed = observed(RemoteState::Running).suspended().spec(|spec| {
        spec.lifecycle.management_policy = ManagementPolicy::Manage;
        let whole = scene().task.spec;
        (spec.source, spec.destination) = (whole.source, whole.destination);
    });
    let (held, plan) = managed.with_finalizer().settled();
    assert_eq!(plan.step, Step::Stop(id()));
    let (let_go, plan) =
        held.spec(|spec| spec.lifecycle.management_policy = ManagementPolicy::Observe).settled();
    assert_eq!(told(&plan), (Phase::Running, "Running", &Step::Rest));
    assert_eq!(let_go.stored().suspended_at, None);
}

#[test]
fn managing_what_was_observed_brings_a_finalizer_first() {
    let managed = observed(RemoteState::Running).spec(|spec| {
        spec.lifecycle.management_policy = ManagementPolicy::Manage;
        spec.lifecycle.drift_policy = DriftPolicy::Report;
    });
    assert_eq!(managed.plan().step, Step::AddFinalizer);
}

#[test]
fn counters_of_an_observed_task_are_told() {
    let counters = Counters { fraction: 0.5, total: 10, succeeded: 5, ..Counters::default() };
    let task = RemoteTask { counters, ..foreign(RemoteState::Running) };
    let plan = observed(RemoteState::Running).remote(task).with(|scene| scene.progress_due = true).plan();
    let progress = plan.status.progress.unwrap();
    assert_eq!((progress.percent, progress.objects.succeeded), (50, 5));
    assert_eq!(plan.status.started_at, Some(whole_seconds(at(-100))));
}

/// Regression: an observed task with a word in `spec.rerun` was said to wait for another run, and never came to rest.
#[test]
fn an_observer_runs_nothing_whatever_the_word() {
    let asked = |scene: Scene| scene.spec(|spec| spec.runs.rerun = Some("again".into())).settled();
    let (_, plan) = asked(observed(RemoteState::Running));
    assert_eq!((told(&plan).1, condition(&plan, types::RERUN_PENDING)), ("Running", None));
    let (done, plan) = asked(observed(RemoteState::Succeeded));
    assert_eq!(told(&plan), (Phase::Succeeded, "Succeeded", &Step::Rest));
    assert!(is_over(&done.task.metadata, &done.wish(), done.task.status.as_ref()), "it costs nothing more");
}

#[test]
fn what_was_said_of_a_task_that_was_managed_goes_when_it_is_only_observed() {
    let telling = adopted(RemoteState::Running).status(|status| {
        for told in [types::OVERSIZED, types::CREDENTIALS_PENDING, types::BANDWIDTH_PENDING, types::DRIFTED] {
            situation::set(&mut status.conditions, told, "True", Reason::Running, "It was managed", 1, at(0));
        }
    });
    let observed = telling.spec(|spec| spec.lifecycle.management_policy = ManagementPolicy::Observe);
    let plan = observed.settled().1;
    let left: Vec<_> = plan.status.conditions.iter().map(|told| told.type_.as_str()).collect();
    assert_eq!(left, [types::CONNECTION_READY, types::ADOPTED, types::READY, types::RECONCILING]);
}

#[test]
fn who_lost_its_claim_tells_of_no_drift() {
    let stopped = adopted(RemoteState::Stopped).settled();
    assert_eq!(condition(&stopped.1, types::DRIFTED), Some(("True", "StoppedExternally")));
    let lost = claimed_by(stopped.0, "media/older").settled().1;
    assert_eq!((told(&lost).1, condition(&lost, types::DRIFTED)), ("ClaimedByAnother", None));
}

/// Regression: an edit that was seen while another call waited for its next try was never compared.
#[test]
fn an_edit_is_compared_whatever_else_waits_for_its_next_try() {
    let edited = || adopted(RemoteState::Running).with(|scene| scene.task.metadata.generation = Some(2));
    let refused = |call| trouble(call, TroubleKind::Transient, Delivered::Refused);
    assert_eq!(edited().troubled(refused(Call::Priority)).plan().step, Step::Describe);

    // When it is the look itself that failed, the rest of the edit goes on, and the comparison is made up for.
    let waiting = edited().troubled(refused(Call::Look));
    let plan = waiting.plan();
    assert_eq!((plan.step.clone(), plan.status.observed_generation), (Step::Rest, 1));
    assert!(plan.status.conditions.iter().all(|told| told.observed_generation <= Some(1)), "{plan:#?}");
    assert_eq!(plan.look_again.unwrap().after.as_secs(), 30);
    assert_eq!(waiting.now(31).plan().step, Step::Describe);
}

/// Regression: after a rerun had left the adopted task behind, `Observe` was not heeded any more.
#[test]
fn the_own_run_that_followed_an_adopted_task_is_only_looked_at_too() {
    let observing = |scene: Scene| {
        scene.spec(|spec| {
            spec.adopt = Some(AdoptTask { task_id: "5".into() });
            spec.lifecycle.management_policy = ManagementPolicy::Observe;
            spec.priority = Priority::High;
        })
    };
    let left = |scene: Scene| scene.status(|status| status.adopted = Some(false));
    for state in [RemoteState::Waiting, RemoteState::Running, RemoteState::Stopped, RemoteState::Failed] {
        let scene = observing(left(scene().recorded())).suspended().remote(remote(state));
        assert_eq!(scene.settled().1.step, Step::Rest, "{state:?}");
    }
    let intended = observing(left(scene().intent_written())).searched(1);
    let (scene, plan) = intended.settled();
    assert_eq!(told(&plan), (Phase::Stopped, "Observed", &Step::Rest));
    assert!(plan.status.create.is_none() && message(&plan).contains("set it to Manage"));
    let managed = scene.spec(|spec| spec.lifecycle.management_policy = ManagementPolicy::Manage);
    assert!(managed.settled().1.status.create.is_some(), "and it is created when the policy says so");
    // What may have been sent is found, as otherwise nobody would know of it.
    let sent = observing(left(scene_sent())).found(3, vec![remote(RemoteState::Running)]);
    assert_eq!(sent.settled().1.status.task_id, Some(NUMBER.to_string()));
}

fn scene_sent() -> Scene {
    scene().intent_written().sent(2)
}

/// Regression: a stopped task could not be adopted with `driftPolicy: Enforce`, as reading the keys for its start came
/// before the record, for ever.
#[test]
fn a_stopped_task_that_is_to_be_started_is_on_record_before_its_keys_are_read() {
    let enforcing = adopting().spec(|spec| spec.lifecycle.drift_policy = DriftPolicy::Enforce);
    let scene = finding(enforcing.with_finalizer(), foreign(RemoteState::Stopped));
    let mut scene = scene.with(|scene| scene.keys = Keys::NotRead);
    let plan = scene.plan();
    assert_eq!(told(&plan), (Phase::Running, "Resuming", &Step::Rest));
    assert_eq!(plan.status.task_id, Some(NUMBER.to_string()));
    assert_eq!(condition(&plan, types::ADOPTED), Some(("True", "Adopted")));
    scene.store(&plan);
    assert_eq!(scene.settle().step, Step::ReadKeys);
}
