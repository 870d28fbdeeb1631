//! Delete means gone, but only as far as asked.

use super::super::{Plan, Step};
use super::scene::{Scene, at, id, message, remote, scene, told, trouble};
use crate::api::conditions::Reason;
use crate::api::{DeletionPolicy, Phase};
use crate::plan::seen::{Call, Delivered, Link, Remote, RemoteState, RemoteTask, Search, TroubleKind};

const LET_GO: Step = Step::RemoveFinalizer { abandoned: None };

fn abandoned(plan: &Plan) -> Option<&str> {
    match &plan.step {
        Step::RemoveFinalizer { abandoned } => abandoned.as_deref(),
        _ => None,
    }
}

#[test]
fn each_policy_goes_as_far_as_it_says_in_every_state() {
    use DeletionPolicy::{Delete, Orphan, StopAndKeep};
    use RemoteState as S;
    let table = [
        (S::Waiting, Delete, Step::Delete(id())),
        (S::Running, Delete, Step::Stop(id())),
        (S::Stopping, Delete, Step::Rest),
        (S::Retrying, Delete, Step::Rest),
        (S::Unknown, Delete, Step::Rest),
        (S::Stopped, Delete, Step::Delete(id())),
        (S::Failed, Delete, Step::Delete(id())),
        (S::Succeeded, Delete, Step::Delete(id())),
        (S::Waiting, StopAndKeep, Step::Rest),
        (S::Running, StopAndKeep, Step::Stop(id())),
        (S::Stopping, StopAndKeep, Step::Rest),
        (S::Retrying, StopAndKeep, Step::Rest),
        (S::Unknown, StopAndKeep, Step::Rest),
        (S::Stopped, StopAndKeep, LET_GO),
        (S::Failed, StopAndKeep, LET_GO),
        (S::Succeeded, StopAndKeep, LET_GO),
        (S::Waiting, Orphan, LET_GO),
        (S::Running, Orphan, LET_GO),
        (S::Succeeded, Orphan, LET_GO),
    ];
    for (state, policy, step) in table {
        let scene = scene()
            .recorded()
            .deleted()
            .remote(remote(state))
            .spec(|spec| spec.lifecycle.deletion_policy = Some(policy));
        let plan = scene.plan();
        assert_eq!(plan.step, step, "{state:?} with {policy:?}");
        if step != LET_GO {
            assert_eq!(told(&plan), (Phase::Deleting, "Deleting", &step));
            assert!(plan.look_again.is_some(), "{state:?} with {policy:?}: it goes on by itself");
        }
    }
}

#[test]
fn the_operators_policy_counts_where_the_object_names_none() {
    let scene = scene().recorded().deleted().remote(remote(RemoteState::Running));
    let plan = scene.with(|scene| scene.policy.deletion_policy = DeletionPolicy::Orphan).plan();
    assert_eq!(plan.step, LET_GO);
}

#[test]
fn the_finalizer_goes_only_after_the_task_is_confirmed_gone() {
    assert_eq!(scene().recorded().deleted().plan().step, Step::Show);
    let stale = scene().recorded().deleted().with(|scene| scene.remote = Remote::Stale);
    assert_eq!(stale.plan().step, Step::Show);
    assert_eq!(scene().recorded().deleted().gone().plan().step, LET_GO);
}

#[test]
fn what_was_never_created_goes_at_once() {
    let provably_not = vec![
        scene().with_finalizer().link_down(),
        scene().intent_written(),
        scene().intent_written().link_down(),
        scene().intent_written().sent(2).with_permit(2),
        scene().intent_written().sent(2).troubled(trouble(
            Call::Create,
            TroubleKind::Invalid,
            Delivered::Refused,
        )),
        scene().intent_written().sent(2).troubled(trouble(
            Call::Create,
            TroubleKind::Transient,
            Delivered::No,
        )),
    ];
    for scene in provably_not {
        assert_eq!(scene.deleted().now(3).plan().step, LET_GO);
    }
    assert_eq!(scene().deleted().plan().step, Step::Rest, "without our finalizer it is not ours to hold");
}

#[test]
fn a_status_that_knows_nothing_is_searched_for_once_before_the_object_goes() {
    let forgotten = scene().with_finalizer().deleted().now(3);
    let plan = forgotten.plan();
    assert_eq!(plan.step, Step::Search);
    assert_eq!(
        plan.status,
        forgotten.stored(),
        "the empty status is what says that there is something to recall"
    );
    assert_eq!(forgotten.clone().searched(4).plan().step, LET_GO, "nothing carries our mark");
    let found = forgotten.found(4, vec![remote(RemoteState::Running)]).plan();
    assert_eq!(found.status.task_id, Some(id().to_string()), "what was found is recorded, then removed");
    assert!(found.status.connection.is_some(), "and pinned, so that the clean-up goes where the task is");
}

#[test]
fn a_create_that_may_have_arrived_is_searched_for_until_it_cannot_come_any_more() {
    let fence = 20 * 60;
    let scene = || scene().intent_written().sent(2).deleted();
    assert_eq!(scene().now(3).plan().step, Step::Search);
    assert_ne!(scene().now(700).searched(600).plan().step, LET_GO);
    assert_ne!(scene().now(fence + 3).searched(fence + 2).plan().step, LET_GO);
    assert_eq!(scene().now(fence + 4).searched(fence + 3).plan().step, LET_GO);
    let (_, plan) = scene().now(6).found(5, vec![remote(RemoteState::Running)]).settled();
    assert_eq!((plan.step, plan.status.task_id), (Step::Show, Some(id().to_string())));
}

#[test]
fn what_a_list_still_shows_of_an_earlier_attempt_does_not_end_the_search_for_the_last() {
    let scene = scene().intent_written().sent(2).status(|status| status.attempt = Some(2)).deleted().now(6);
    let (_, plan) = scene.found(5, vec![remote(RemoteState::Waiting)]).settled();
    assert_eq!((plan.step, plan.status.task_id), (Step::RemoveDuplicate(id()), None));
}

#[test]
fn an_answered_create_is_recorded_before_it_is_removed() {
    let (_, plan) = scene()
        .intent_written()
        .sent(2)
        .deleted()
        .with(|scene| scene.created = Some((id(), "task-1".into())))
        .settled();
    assert_eq!(plan.status.task_id, Some(id().to_string()), "only a recorded task can be looked at");
    assert_eq!(plan.step, Step::Show);
}

#[test]
fn other_tasks_with_our_token_go_too() {
    let other = RemoteTask { id: 5.into(), ..remote(RemoteState::Running) };
    let scene = scene().recorded().deleted().gone().with(|scene| scene.siblings = vec![other]);
    assert_eq!(scene.plan().step, Step::RemoveDuplicate(5.into()));
}

#[test]
fn pause_and_suspend_never_block_a_deletion() {
    let scene = scene().recorded().remote(remote(RemoteState::Running)).deleted();
    let plan = scene.suspended().annotated(crate::api::PAUSED, "true").plan();
    assert_eq!(plan.step, Step::Stop(id()));
}

fn blocked() -> Vec<Scene> {
    let refused = |call, kind| scene().troubled(trouble(call, kind, Delivered::Refused));
    let stubborn = |call, kind| {
        scene().with(|scene| {
            let trouble = trouble(call, kind, Delivered::Unknown);
            scene.trouble = Some(crate::plan::seen::Trouble { count: 20, ..trouble });
        })
    };
    vec![
        scene().link_down(),
        refused(Call::Delete, TroubleKind::Credentials),
        refused(Call::Stop, TroubleKind::Permission),
        stubborn(Call::Look, TroubleKind::Transient),
        stubborn(Call::Delete, TroubleKind::Invalid),
        stubborn(Call::Delete, TroubleKind::Unknown),
    ]
}

#[test]
fn a_blocked_clean_up_says_so_and_ends_after_a_bounded_time() {
    for scene in blocked() {
        let scene = scene.recorded().remote(remote(RemoteState::Stopped)).deleted();
        let (scene, plan) = scene.settled();
        assert_eq!(told(&plan), (Phase::Deleting, "CleanupBlocked", &Step::Rest));
        assert!(message(&plan).contains("lets go at "), "{}", message(&plan));
        assert!(plan.look_again.is_some());
        let mut scene = scene.now(600);
        if let Some(trouble) = &mut scene.trouble {
            trouble.retry_at = at(700);
        }
        let plan = scene.plan();
        let left = abandoned(&plan).expect("the finalizer goes");
        assert!(left.contains(&id().to_string()) && left.contains("project"), "{left}");
    }
}

#[test]
fn a_blocked_search_ends_after_a_bounded_time_too() {
    for scene in blocked() {
        let (scene, plan) = scene.intent_written().sent(-60).deleted().settled();
        assert_eq!(told(&plan).1, "CleanupBlocked");
        let mut scene = scene.now(600);
        if let Some(trouble) = &mut scene.trouble {
            trouble.retry_at = at(700);
        }
        assert!(abandoned(&scene.plan()).is_some());
    }
}

#[test]
fn a_passing_trouble_is_waited_for() {
    for kind in [TroubleKind::Conflict, TroubleKind::Throttled, TroubleKind::Transient] {
        let scene = scene().recorded().remote(remote(RemoteState::Stopped)).deleted();
        let scene = scene.troubled(trouble(Call::Delete, kind, Delivered::Refused));
        assert_eq!(told(&scene.plan()), (Phase::Deleting, "Deleting", &Step::Rest), "{kind:?}");
        assert_eq!(scene.now(30).plan().step, Step::Delete(id()), "{kind:?}");
    }
}

#[test]
fn a_clean_up_goes_on_when_the_connection_is_back() {
    let (scene, _) = scene().recorded().remote(remote(RemoteState::Stopped)).deleted().link_down().settled();
    let up = super::scene::scene().link;
    assert!(matches!(up, Link::Up(_)));
    let plan = scene.with(|scene| scene.link = up).plan();
    assert_eq!(plan.step, Step::Delete(id()));
    assert_ne!(told(&plan).1, Reason::CleanupBlocked.as_str());
}

#[test]
fn a_foreign_task_in_a_restored_status_is_left_alone() {
    let foreign = RemoteTask { token: None, ..remote(RemoteState::Running) };
    assert_eq!(scene().recorded().remote(foreign).deleted().plan().step, LET_GO);
}

#[test]
fn an_old_scan_does_not_end_the_search() {
    let scene = scene().intent_written().sent(2).deleted().now(2_000).with(|scene| {
        scene.search =
            Search::Done { started_at: at(1), found: vec![remote(RemoteState::Running)], empty: vec![] };
    });
    assert_eq!(scene.plan().step, Step::Search);
}

/// Regression: a task of a former run that somebody started again at the console was taken for a duplicate, and deleted
/// although `StopAndKeep` keeps records.
#[test]
fn the_task_of_a_former_run_is_no_duplicate_when_the_object_is_deleted() {
    let former = RemoteTask { id: 5.into(), ..remote(RemoteState::Running) };
    let scene = scene().recorded().remote(remote(RemoteState::Stopped)).deleted();
    let scene = scene.status(|status| status.older_task_ids = vec!["5".into()]);
    let scene = scene.with(|scene| scene.siblings = vec![former]);
    let keeping =
        scene.clone().spec(|spec| spec.lifecycle.deletion_policy = Some(DeletionPolicy::StopAndKeep));
    assert_eq!(keeping.plan().step, LET_GO);
    assert_eq!(scene.plan().step, Step::Delete(id()), "those of former runs follow, one by one");
}
