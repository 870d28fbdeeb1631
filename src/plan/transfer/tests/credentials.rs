//! Keys that change while OMS has a task.

use super::super::Step;
use super::scene::{Scene, condition, id, keys, remote, scene, token, told};
use crate::api::conditions::types;
use crate::api::{Acknowledgement, OnCredentialChange, Phase};
use crate::plan::seen::{Counters, Keys, RemoteState, RemoteTask};

/// Other keys than those that were sent, in a task in this state.
fn rotated(state: RemoteState, policy: OnCredentialChange) -> Scene {
    scene()
        .recorded()
        .remote(remote(state))
        .spec(|spec| spec.runs.on_credential_change = policy)
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
