//! Keys that change while OMS has a task.

use std::time::Duration;

use super::super::Step;
use super::scene::{Scene, at, condition, failed_with, id, keys, message, remote, scene, token, told};
use crate::api::conditions::types;
use crate::api::{
    Acknowledgement, ObservedCredentials, OnCredentialChange, Phase, Retries, Retry, RetryObjects,
};
use crate::plan::seen::{Counters, Keys, RemoteState, RemoteTask};
use crate::plan::situation::{self, whole_seconds};
use crate::plan::wish::Kind;

/// Other keys than those that were sent, in a task in this state.
fn rotated(state: RemoteState, policy: OnCredentialChange) -> Scene {
    scene()
        .recorded()
        .remote(remote(state))
        .spec(|spec| spec.lifecycle.on_credential_change = policy)
        .with(|scene| scene.keys = Keys::Ready(keys("two")))
}

#[test]
fn a_task_that_waits_is_created_anew_with_the_new_keys() {
    for policy in [OnCredentialChange::NextStart, OnCredentialChange::RestartRunning] {
        let (scene, plan) = rotated(RemoteState::Waiting, policy).settled();
        assert_eq!(told(&plan), (Phase::Running, "RenewingCredentials", &Step::Delete(id())));
        assert!(plan.status.renewing_keys_since.is_some(), "on record before the call");
        let (_, plan) = scene.gone().now(5).settled();
        assert_eq!((&plan.step, plan.status.attempt), (&Step::Search, Some(2)));
        assert_eq!(plan.status.create.as_ref().unwrap().token, token(2).to_string());
        assert_eq!((plan.status.renewing_keys_since, plan.status.observed_credentials), (None, keys("two")));
    }
    let copied = RemoteTask {
        counters: Counters { total: 9, succeeded: 1, ..Counters::default() },
        ..remote(RemoteState::Waiting)
    };
    let (_, plan) = rotated(RemoteState::Waiting, OnCredentialChange::NextStart).remote(copied).settled();
    assert_eq!(plan.step, Step::Rest, "what copied something is not created anew");
}

#[test]
fn a_task_that_runs_goes_on_with_its_keys_and_says_so() {
    let (scene, plan) = rotated(RemoteState::Running, OnCredentialChange::NextStart).settled();
    assert_eq!(told(&plan), (Phase::Running, "Running", &Step::Rest));
    assert_eq!(condition(&plan, types::CREDENTIALS_PENDING), Some(("True", "CredentialsRotated")));
    let unread = scene.clone().with(|scene| scene.keys = Keys::NotRead).plan();
    assert_eq!(unread.status, scene.stored(), "it stays told");
    let back = scene.with(|scene| scene.keys = Keys::Ready(keys("one"))).plan();
    assert_eq!(condition(&back, types::CREDENTIALS_PENDING), None);
}

#[test]
fn a_task_that_runs_is_restarted_where_that_is_asked_for() {
    let (scene, plan) = rotated(RemoteState::Running, OnCredentialChange::RestartRunning).settled();
    assert_eq!(told(&plan), (Phase::Running, "RenewingCredentials", &Step::Stop(id())));
    let unread = scene.clone().with(|scene| scene.keys = Keys::NotRead).plan();
    assert_eq!(unread.step, Step::ReadKeys, "after a crash too");
    let (scene, plan) = scene.remote(remote(RemoteState::Stopping)).settled();
    assert_eq!(plan.step, Step::Rest);
    let (scene, plan) = scene.remote(remote(RemoteState::Stopped)).now(5).settled();
    assert_eq!(plan.step, Step::Start { id: id(), only_failed: false });
    assert_eq!(plan.status.observed_credentials, keys("two"));
    let (_, plan) = scene.remote(remote(RemoteState::Running)).settled();
    assert_eq!((told(&plan).1, &plan.status.renewing_keys_since), ("Running", &None));
}

#[test]
fn a_restart_that_restores_again_wants_a_word() {
    let scene = rotated(RemoteState::Running, OnCredentialChange::RestartRunning)
        .spec(|spec| spec.enable_restore = true);
    let (scene, plan) = scene.settled();
    assert_eq!(plan.step, Step::Rest);
    assert_eq!(condition(&plan, types::CREDENTIALS_PENDING), Some(("True", "CredentialsRotated")));
    let scene = scene.spec(|spec| spec.lifecycle.acknowledge = vec![Acknowledgement::RestoreAgain]);
    assert_eq!(scene.settled().1.step, Step::Stop(id()));
}

#[test]
fn who_ignores_new_keys_has_his_peace() {
    for state in [RemoteState::Waiting, RemoteState::Running] {
        let (_, plan) = rotated(state, OnCredentialChange::Ignore).settled();
        assert_eq!((&plan.step, plan.look_again), (&Step::Rest, None), "{state:?}");
        assert_eq!(condition(&plan, types::CREDENTIALS_PENDING), None);
    }
}

#[test]
fn the_same_keys_in_another_version_of_the_secret_change_nothing() {
    for state in [RemoteState::Waiting, RemoteState::Running] {
        let mut relabelled = keys("one");
        for key in &mut relabelled {
            key.resource_version = "2".into();
        }
        let (scene, before) = rotated(state, OnCredentialChange::RestartRunning)
            .with(|scene| scene.keys = Keys::NotRead)
            .settled();
        let plan = scene.with(|scene| scene.keys = Keys::Ready(relabelled)).now(9).plan();
        assert_eq!((plan.step, plan.status), (Step::Rest, before.status), "{state:?}");
    }
}

#[test]
fn a_group_that_waits_is_created_anew_too() {
    let group = |policy| rotated(RemoteState::Waiting, policy).with(|scene| scene.kind = Kind::TaskGroup);
    let seen = RemoteTask { priority: None, ..remote(RemoteState::Waiting) };
    let (_, plan) = group(OnCredentialChange::NextStart).remote(seen).settled();
    assert_eq!(told(&plan), (Phase::Running, "RenewingCredentials", &Step::Delete(id())));
}

#[test]
fn what_is_restarted_as_soon_as_it_runs_says_so() {
    let (_, plan) = rotated(RemoteState::Retrying, OnCredentialChange::RestartRunning).settled();
    assert_eq!(plan.step, Step::Rest);
    let told = situation::find(&plan.status.conditions, types::CREDENTIALS_PENDING).unwrap();
    assert!(told.message.ends_with("Nothing to do; the operator restarts it as soon as it runs"), "{told:?}");
}

/// A task that copied something and then failed for good because of its keys.
fn failed_for_good(retry: Option<Retry>) -> Scene {
    let copied = Counters { total: 9, succeeded: 3, ..Counters::default() };
    let failed = RemoteTask { counters: copied, ..failed_with("TRF.0151") };
    let scene = scene().recorded().remote(failed).spec(|spec| spec.runs.retry = retry);
    let scene = scene.status(|status| {
        status.retries = retry.map(|retry| Retries { made: retry.limit, ..Retries::default() });
    });
    let (scene, plan) = scene.with(|scene| scene.keys = Keys::NotRead).settled();
    assert_eq!((plan.status.phase, &plan.step), (Some(Phase::Failed), &Step::Rest));
    scene
}

#[test]
fn a_task_that_failed_for_good_because_of_its_keys_is_started_once_with_others() {
    let used_up = Retry { limit: 2, objects: RetryObjects::All };
    for retry in [None, Some(used_up)] {
        let scene = failed_for_good(retry);
        let rests = scene.plan();
        assert_eq!(
            rests.look_again.unwrap().after,
            scene.policy.secret_check_interval,
            "Secrets are looked at"
        );
        assert!(message(&rests).contains("Put other keys into the Secret"), "{}", message(&rests));
        let mut scene = scene.with(|scene| scene.keys = Keys::Ready(keys("two"))).now(50);
        let plan = scene.plan();
        assert_eq!(
            told(&plan),
            (Phase::Retrying, "RenewingCredentials", &Step::Rest),
            "on record before the call"
        );
        assert_eq!(scene.settle().step, Step::Start { id: id(), only_failed: false });
        assert_eq!(scene.stored().observed_credentials, keys("two"));
        // It fails the same way again: these keys had their start.
        scene.started_again_at = Some(at(50));
        let plan = scene.now(55).settled().1;
        assert_eq!((plan.status.phase, &plan.step), (Some(Phase::Failed), &Step::Rest));
        assert_eq!(plan.status.renewing_keys_since, None);
    }
}

#[test]
fn new_keys_start_no_task_again_that_failed_for_another_cause_or_that_nobody_wants_started() {
    let never = Retry { limit: 0, objects: RetryObjects::All };
    let never = failed_for_good(Some(never));
    let ignoring =
        failed_for_good(None).spec(|spec| spec.lifecycle.on_credential_change = OnCredentialChange::Ignore);
    let other_cause = RemoteTask {
        counters: Counters { total: 9, succeeded: 3, ..Counters::default() },
        ..failed_with("TRF.0155")
    };
    let other_cause = scene().recorded().remote(other_cause).settled().0;
    for scene in [never, ignoring, other_cause] {
        let plan = scene.with(|scene| scene.keys = Keys::Ready(keys("two"))).now(50).plan();
        assert_eq!((plan.status.phase, &plan.step), (Some(Phase::Failed), &Step::Rest));
        assert_eq!(plan.look_again, None, "it costs nothing");
    }
}

#[test]
fn a_task_that_was_stopped_for_new_keys_and_then_failed_for_another_cause_is_not_started_for_them() {
    let (scene, _) = rotated(RemoteState::Running, OnCredentialChange::RestartRunning).settled();
    let copied = Counters { total: 9, succeeded: 3, ..Counters::default() };
    let (_, plan) = scene.remote(RemoteTask { counters: copied, ..failed_with("TRF.0155") }).settled();
    assert_eq!((plan.status.phase, &plan.step), (Some(Phase::Failed), &Step::Rest));
}

/// A task that runs with temporary keys, which end at that second.
fn temporary(end: i64) -> Scene {
    let keys = || {
        keys("one")
            .into_iter()
            .map(|key| ObservedCredentials { expires_at: Some(whole_seconds(at(end))), ..key })
    };
    scene()
        .recorded()
        .status(|status| status.observed_credentials = keys().collect())
        .with(|scene| scene.keys = Keys::NotRead)
        .remote(remote(RemoteState::Running))
}

#[test]
fn the_end_of_temporary_keys_is_told_an_hour_before_or_when_the_task_takes_longer() {
    let (scene, plan) = temporary(10_000).settled();
    assert_eq!(condition(&plan, types::CREDENTIALS_EXPIRING), None);
    let look = scene.spec(|spec| spec.lifecycle.on_credential_change = OnCredentialChange::Ignore).plan();
    assert_eq!(look.look_again.unwrap().after.as_secs(), 6_400, "not later than the warning");
    let (scene, plan) = temporary(10_000).now(6_400).settled();
    assert_eq!(condition(&plan, types::CREDENTIALS_EXPIRING), Some(("True", "TemporaryKeysEnding")));
    assert_eq!(plan.status.phase, Some(Phase::Running));
    let (_, plan) = scene.now(10_000).settled();
    assert_eq!(condition(&plan, types::CREDENTIALS_EXPIRING), Some(("True", "TemporaryKeysEnded")));
    let mut slow = remote(RemoteState::Running);
    slow.counters.remaining = Some(Duration::from_secs(10_001));
    let (scene, plan) = temporary(10_000).remote(slow).settled();
    assert_eq!(condition(&plan, types::CREDENTIALS_EXPIRING), Some(("True", "TemporaryKeysEnding")));
    let (scene, plan) = scene.remote(remote(RemoteState::Running)).settled();
    assert_eq!(
        condition(&plan, types::CREDENTIALS_EXPIRING),
        Some(("True", "TemporaryKeysEnding")),
        "it does not flap"
    );
    let (_, plan) = scene.remote(remote(RemoteState::Succeeded)).settled();
    assert_eq!(condition(&plan, types::CREDENTIALS_EXPIRING), None);
}
