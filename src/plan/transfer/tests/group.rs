//! Task groups, where they are not as tasks.

use super::super::{LookAgain, Step, is_over};
use super::scene::{Scene, at, condition, id, message, remote, scene, told, trouble};
use crate::api::conditions::types;
use crate::api::{AdoptTask, BandwidthWindow, ByteRate, DeletionPolicy, ManagementPolicy, Members, Phase};
use crate::plan::census::{Census, Counted};
use crate::plan::seen::{
    Call, Candidate, Counters, Delivered, Described, RemoteFailure, RemoteId, RemoteState, RemoteTask,
    TroubleKind, Window,
};
use crate::plan::situation;
use crate::plan::wish::Kind;

/// A group whose ID is on record.
fn group() -> Scene {
    scene().recorded().with(|scene| scene.kind = Kind::TaskGroup)
}

/// A group at OMS: it has no name and no priority.
fn seen(state: RemoteState) -> RemoteTask {
    RemoteTask { name: String::new(), priority: None, ..remote(state) }
}

fn members(total: u64, failed: u64) -> Members {
    Members { total, created: total, failed, complete: total - failed, ..Members::default() }
}

/// Its tasks were counted at that second, while it was in that state.
fn counted(scene: Scene, second: i64, state: RemoteState, failed: u64) -> Scene {
    let worst = (failed > 0).then(|| RemoteFailure {
        code: "TRF.0004".into(),
        message: "task 7 of the group: one object failed".into(),
        ..RemoteFailure::default()
    });
    let counted = Counted { members: members(3, failed), worst, counters: Counters::default() };
    let census = Census { at: at(second), state, counters: Counters::default(), counted: Some(counted) };
    scene.with(|scene| scene.census = Some(census))
}

#[test]
fn the_tasks_are_counted_in_every_state_that_has_some_and_then_from_time_to_time() {
    for state in [RemoteState::Running, RemoteState::Stopped, RemoteState::Failed, RemoteState::Succeeded] {
        assert_eq!(group().remote(seen(state)).plan().step, Step::CountMembers, "{state:?}");
        let fresh = counted(group(), 0, state, 0).remote(seen(state)).plan();
        assert_ne!(fresh.step, Step::CountMembers, "{state:?}");
        assert_eq!(fresh.status.members, Some(members(3, 0)), "{state:?}");
    }
    for state in [RemoteState::Waiting, RemoteState::Creating, RemoteState::Stopping, RemoteState::Deleting] {
        assert_ne!(group().remote(seen(state)).plan().step, Step::CountMembers, "{state:?}");
    }
    let running = counted(group(), 0, RemoteState::Running, 0).remote(seen(RemoteState::Running));
    assert_ne!(running.clone().now(119).plan().step, Step::CountMembers);
    assert_eq!(running.clone().now(120).plan().step, Step::CountMembers);
    let (_, plan) = running.now(90).settled();
    assert_eq!(plan.look_again, LookAgain::after(std::time::Duration::from_secs(30)), "the next count");
}

#[test]
fn a_group_that_failed_again_is_counted_again() {
    let failed = counted(group(), 0, RemoteState::Failed, 1);
    assert_ne!(failed.clone().remote(seen(RemoteState::Failed)).plan().step, Step::CountMembers);
    let counters = Counters { total: 9, skipped: 9, ..Counters::default() };
    let again = failed.remote(RemoteTask { counters, ..seen(RemoteState::Failed) });
    assert_eq!(again.plan().step, Step::CountMembers);
}

#[test]
fn numbers_that_come_with_the_group_are_taken_and_count_again_only_for_a_cause() {
    let told = |failed| RemoteTask { members: Some(members(4, failed)), ..seen(RemoteState::Running) };
    let plan = group().remote(told(0)).plan();
    assert_ne!(plan.step, Step::CountMembers);
    assert_eq!(plan.status.members, Some(members(4, 0)));
    assert_eq!(group().remote(told(1)).plan().step, Step::CountMembers, "nobody else says why");
}

#[test]
fn a_stop_does_not_wait_for_a_count() {
    let (_, plan) = group().suspended().remote(seen(RemoteState::Running)).settled();
    assert!(matches!(plan.step, Step::Stop(_)), "{:?}", plan.step);
}

#[test]
fn the_worst_member_is_told_while_the_others_go_on_and_at_the_end() {
    let running = counted(group(), 0, RemoteState::Running, 1).remote(seen(RemoteState::Running));
    let (_, plan) = running.settled();
    assert_eq!(told(&plan).0, Phase::Running);
    assert!(message(&plan).contains("1 of 3 tasks of the group failed"), "{}", message(&plan));
    assert!(plan.status.failure.as_ref().unwrap().message.contains("task 7"));
    let failed = counted(group(), 0, RemoteState::Failed, 1).remote(seen(RemoteState::Failed));
    let (_, plan) = failed.settled();
    assert_eq!((told(&plan).0, told(&plan).1), (Phase::Failed, "TaskFailed"));
    assert_eq!(plan.status.failure.as_ref().unwrap().code, "TRF.0004");
    let well = counted(group(), 0, RemoteState::Succeeded, 0).remote(seen(RemoteState::Succeeded));
    let (_, plan) = well.settled();
    assert_eq!((told(&plan).0, plan.status.failure.clone()), (Phase::Succeeded, None));
}

#[test]
fn what_oms_says_of_the_group_itself_counts_more_than_a_member() {
    let own = RemoteFailure { code: "TRF.0051".into(), message: "No.".into(), ..RemoteFailure::default() };
    let failed = RemoteTask { failure: Some(own), ..seen(RemoteState::Failed) };
    let (_, plan) = counted(group(), 0, RemoteState::Failed, 1).remote(failed).settled();
    assert_eq!(plan.status.failure.unwrap().code, "TRF.0051");
}

#[test]
fn a_busy_group_is_waited_for_at_growing_intervals() {
    let fresh =
        |plan: super::super::Plan| plan.look_again.filter(|again| again.fresh).unwrap().after.as_secs();
    let suspended = group().suspended().remote(seen(RemoteState::Creating));
    let (suspended, plan) = suspended.settled();
    assert_eq!((told(&plan).0, &plan.step), (Phase::Stopping, &Step::Rest));
    assert_eq!(fresh(plan), 1);
    assert_eq!(fresh(suspended.clone().now(80).plan()), 10);
    assert_eq!(fresh(suspended.now(4_000).plan()), 60);
    for policy in [DeletionPolicy::Delete, DeletionPolicy::StopAndKeep] {
        let deleted = group()
            .spec(|spec| spec.lifecycle.deletion_policy = Some(policy))
            .deleted()
            .remote(seen(RemoteState::Creating));
        let (deleted, plan) = deleted.settled();
        assert_eq!((told(&plan).0, &plan.step), (Phase::Deleting, &Step::Rest), "{policy:?}");
        assert!(message(&plan).contains("Nothing to do"));
        assert_eq!(fresh(deleted.now(400).plan()), 50);
    }
}

#[test]
fn a_refused_stop_is_not_repeated_at_once() {
    let refused = trouble(Call::Stop, TroubleKind::Conflict, Delivered::Refused);
    let running = group().suspended().remote(seen(RemoteState::Running)).troubled(refused);
    let (running, plan) = running.settled();
    assert_eq!(plan.step, Step::Rest);
    assert!(matches!(running.now(30).plan().step, Step::Stop(_)));
}

#[test]
fn a_deletion_under_way_is_waited_for_and_told_by_whose_it_is() {
    let (_, plan) = group().deleted().remote(seen(RemoteState::Deleting)).settled();
    assert_eq!(plan.step, Step::Rest);
    let (_, plan) = group().remote(seen(RemoteState::Deleting)).settled();
    assert!(message(&plan).contains("Somebody else is deleting the group"), "{}", message(&plan));
    let ours = group().suspended().remote(seen(RemoteState::Waiting));
    let (ours, plan) = ours.settled();
    assert!(matches!(plan.step, Step::Delete(_)), "what waits has copied nothing");
    let (ours, plan) = ours.resumed().remote(seen(RemoteState::Deleting)).settled();
    assert!(message(&plan).contains("created again once"), "{}", message(&plan));
    let (_, plan) = ours.gone().settled();
    assert_eq!((plan.status.attempt, plan.status.members.clone()), (Some(2), None));
}

#[test]
fn windows_are_set_until_the_group_has_ended_and_then_wait_for_its_retry() {
    let limited = || {
        group().spec(|spec| {
            spec.bandwidth_policy = vec![BandwidthWindow {
                start: "08:00".into(),
                end: "20:00".into(),
                max_bandwidth: ByteRate("50Mi".into()),
            }];
        })
    };
    for state in [RemoteState::Waiting, RemoteState::Creating, RemoteState::Running, RemoteState::Stopping] {
        let (_, plan) = counted(limited(), 0, state, 0).remote(seen(state)).settled();
        assert!(matches!(plan.step, Step::SetBandwidth(_)), "{state:?}: {:?}", plan.step);
    }
    let (_, plan) = limited().remote(seen(RemoteState::Deleting)).settled();
    assert_eq!(plan.step, Step::Rest);
    let failed = counted(limited(), 0, RemoteState::Failed, 1).remote(seen(RemoteState::Failed));
    let (_, plan) = failed.settled();
    assert_eq!(plan.step, Step::Rest);
    assert_eq!(condition(&plan, types::BANDWIDTH_PENDING), Some(("True", "GroupHasEnded")));
    let windows = vec![Window { start: "08:00".into(), end: "20:00".into(), bytes_per_second: 50 << 20 }];
    let same = RemoteTask { windows, ..seen(RemoteState::Failed) };
    let (_, plan) = counted(limited(), 0, RemoteState::Failed, 1).remote(same).settled();
    assert_eq!(condition(&plan, types::BANDWIDTH_PENDING), None);
}

#[test]
fn a_group_has_no_name_and_none_is_recorded() {
    let (_, plan) = counted(group(), 0, RemoteState::Running, 0).remote(seen(RemoteState::Running)).settled();
    assert_eq!(plan.status.task_name, None);
}

/// A group of somebody else, on record as the one of `spec.adopt`.
fn adopted(policy: ManagementPolicy) -> Scene {
    group()
        .spec(|spec| {
            spec.adopt = Some(AdoptTask { task_id: id().to_string() });
            spec.lifecycle.management_policy = policy;
        })
        .status(|status| status.adopted = Some(true))
}

fn foreign(state: RemoteState) -> RemoteTask {
    RemoteTask { token: None, ..seen(state) }
}

#[test]
fn the_tasks_of_an_observed_group_are_counted_as_those_of_our_own() {
    let observed = || adopted(ManagementPolicy::Observe);
    for state in [RemoteState::Running, RemoteState::Stopped, RemoteState::Failed, RemoteState::Succeeded] {
        // Whether it is suspended is its owner's business.
        let counting = observed().suspended().remote(foreign(state)).plan();
        assert_eq!(counting.step, Step::CountMembers, "{state:?}");
        let plan = counted(observed(), 0, state, 1).remote(foreign(state)).settled().1;
        assert_eq!((plan.status.members, plan.step), (Some(members(3, 1)), Step::Rest), "{state:?}");
        assert_eq!(situation::find(&plan.status.conditions, types::BANDWIDTH_PENDING), None);
    }
    let running = counted(observed(), 0, RemoteState::Running, 1).remote(foreign(RemoteState::Running));
    let plan = running.clone().now(90).settled().1;
    assert_eq!(plan.look_again, LookAgain::after(std::time::Duration::from_secs(30)), "the next count");
    assert!(message(&plan).contains("1 of 3 tasks of the group failed so far"), "{}", message(&plan));
    assert_eq!(plan.status.failure.unwrap().code, "TRF.0004");
    assert_eq!(running.now(120).plan().step, Step::CountMembers);
}

/// Regression: a group that had ended before it was adopted or observed was at rest at once, and never counted.
#[test]
fn a_group_that_had_ended_when_it_was_adopted_is_counted_before_it_rests() {
    for policy in [ManagementPolicy::Manage, ManagementPolicy::Observe] {
        let ended = adopted(policy).remote(foreign(RemoteState::Succeeded)).status(|status| {
            status.phase = Some(Phase::Succeeded);
        });
        assert_eq!(ended.plan().step, Step::CountMembers, "{policy:?}");
        let (ended, _) = counted(ended, 0, RemoteState::Succeeded, 0).settled();
        assert_eq!(ended.stored().members, Some(members(3, 0)), "{policy:?}");
        assert!(is_over(&ended.task.metadata, &ended.wish(), ended.task.status.as_ref()), "{policy:?}");
    }
}

/// Regression: a group that was named with capitals was taken for somebody else's as soon as it was adopted.
#[test]
fn the_letters_of_an_id_have_no_case() {
    let written = |text: &str| {
        let id = RemoteId::from(text.to_owned());
        let task = RemoteTask { id, ..foreign(RemoteState::Running) };
        let described = Described { task: task.clone(), part_of: None, differences: Vec::new() };
        let scene = scene().with_finalizer().with(|scene| {
            scene.kind = Kind::TaskGroup;
            scene.candidate = Candidate::Found(Box::new(described));
        });
        let named = AdoptTask { task_id: "67A13D90-5A2C-4A34-9B0B-1F0A7D9E6C2B".into() };
        let scene = scene.spec(|spec| spec.adopt = Some(named)).settled().0.remote(task);
        counted(scene.with(|scene| scene.candidate = Candidate::NotRead), 0, RemoteState::Running, 0)
    };
    let plan = written("67a13d90-5a2c-4a34-9b0b-1f0a7d9e6c2b").settled().1;
    assert_eq!((told(&plan).0, told(&plan).1), (Phase::Running, "Running"));
    assert_eq!(told(&written("another").settled().1).1, "ForeignTask");
}
