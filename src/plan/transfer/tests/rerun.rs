//! Further runs: a new task for each new word of `spec.rerun`, and never two at a time.

use super::super::Step;
use super::scene::{Scene, at, condition, failed_with, id, mark, message, remote, scene, told};
use crate::api::conditions::types;
use crate::api::{DeletionPolicy, FormerRun, ObjectCounts, Phase};
use crate::plan::seen::{Counters, Remote, RemoteId, RemoteState, RemoteTask};
use crate::plan::token::Token;

/// The token of the first attempt of a run.
fn of_run(word: &str) -> Token {
    Token::new(mark(), word, 1)
}

fn done() -> RemoteTask {
    let counters = Counters { total: 3, succeeded: 3, bytes_done: 30, ..Counters::default() };
    RemoteTask { counters, ..remote(RemoteState::Succeeded) }
}

/// A first run that ended well.
fn succeeded() -> Scene {
    scene().recorded().remote(done()).settled().0
}

fn pending(plan: &super::super::Plan) -> Option<(&str, &str)> {
    condition(plan, types::RERUN_PENDING)
}

#[test]
fn a_new_word_runs_the_same_spec_again_as_a_new_task() {
    assert!(succeeded().is_over());
    let scene = succeeded().rerun("again");
    assert!(!scene.is_over(), "a run is wanted");
    let plan = scene.plan();
    assert_eq!(told(&plan), (Phase::Creating, "RunBegins", &Step::Rest));
    let status = &plan.status;
    assert_eq!((status.run, status.rerun.as_deref(), status.attempt), (Some(2), Some("again"), Some(1)));
    assert_eq!((&status.task_id, &status.progress, &status.finished_at), (&None, &None, &None));
    assert_eq!(status.connection, scene.stored().connection, "former runs are where it leads");
    let former = &status.history[0];
    assert_eq!((former.run, former.task_id.as_str(), former.phase), (1, id().as_str(), Phase::Succeeded));
    assert_eq!((former.objects.succeeded, former.bytes), (3, 30));
    assert_eq!(former.finished_at.as_ref().unwrap().0, at(-40));
    let (_, plan) = scene.now(5).settled();
    assert_eq!(plan.step, Step::Search);
    assert_eq!(plan.status.create.unwrap().token, of_run("again").to_string());
    assert_ne!(of_run("again"), of_run(""));
}

#[test]
fn a_word_that_was_there_at_creation_is_run_1_and_an_empty_one_asks_for_nothing() {
    for (word, named) in [("first", Some("first")), ("", None)] {
        let (scene, plan) = scene().rerun(word).with_finalizer().settled();
        assert_eq!((plan.status.run, plan.status.rerun.as_deref()), (Some(1), named));
        assert_eq!(plan.status.create.as_ref().unwrap().token, of_run(word).to_string());
        let scene = scene.status(|status| {
            (status.create, status.task_id) = (None, Some(id().to_string()));
        });
        let task = RemoteTask { token: Some(of_run(word)), ..done() };
        let (scene, plan) = scene.remote(task).settled();
        assert_eq!((told(&plan), scene.is_over()), ((Phase::Succeeded, "Succeeded", &Step::Rest), true));
    }
    assert!(succeeded().rerun("").is_over());
}

#[test]
fn a_run_that_is_wanted_while_one_is_under_way_waits_and_says_so() {
    for state in [RemoteState::Waiting, RemoteState::Running, RemoteState::Retrying] {
        let (scene, plan) = scene().recorded().remote(remote(state)).rerun("again").settled();
        assert_eq!((&plan.step, plan.status.run), (&Step::Rest, Some(1)), "{state:?}");
        assert_eq!(pending(&plan), Some(("True", "RunUnderWay")), "{state:?}");
        let (_, plan) = scene.remote(done()).settled();
        assert_eq!((plan.status.run, pending(&plan)), (Some(2), None));
        assert_eq!(plan.status.create.unwrap().token, of_run("again").to_string());
    }
}

#[test]
fn a_stopped_run_is_not_over() {
    let scene = scene().recorded().remote(remote(RemoteState::Stopped)).rerun("again");
    for scene in [scene.clone(), scene.suspended()] {
        let (_, plan) = scene.settled();
        assert_eq!((plan.status.run, pending(&plan)), (Some(1), Some(("True", "RunUnderWay"))));
    }
}

#[test]
fn a_failed_run_and_one_whose_task_is_gone_are_over() {
    for code in ["TRF.0004", "TRF.0151"] {
        let failed = scene().recorded().remote(failed_with(code)).settled().0;
        let (_, plan) = failed.rerun("again").settled();
        assert_eq!((plan.status.run, plan.status.failure.is_none()), (Some(2), true), "{code}");
        assert_eq!(plan.status.history[0].phase, Phase::Failed);
        assert_eq!(plan.status.next_attempt_at, None);
    }
    let (gone, plan) = scene().recorded().gone().settled();
    assert_eq!(told(&plan).1, "RemoteTaskGone");
    assert!(message(&plan).contains("`spec.rerun`"));
    let (_, plan) = gone.rerun("again").settled();
    assert_eq!((plan.status.run, &plan.step), (Some(2), &Step::Search));
}

#[test]
fn a_word_that_was_answered_never_runs_again_and_says_so() {
    let second = succeeded().rerun("again").settled().0;
    let second = second.status(|status| (status.create, status.task_id) = (None, Some("7".into())));
    let task = RemoteTask { id: 7.into(), token: Some(of_run("again")), ..done() };
    let (scene, plan) = second.remote(task).settled();
    assert_eq!((told(&plan).0, plan.status.run, pending(&plan)), (Phase::Succeeded, Some(2), None));
    let third = scene.rerun("more").settled().0;
    let third = third.status(|status| (status.create, status.task_id) = (None, Some("8".into())));
    let task = RemoteTask { id: 8.into(), token: Some(of_run("more")), ..done() };
    let scene = third.remote(task).settled().0;
    let (scene, plan) = scene.rerun("again").settled();
    assert_eq!((told(&plan).0, plan.status.run, scene.is_over()), (Phase::Succeeded, Some(3), true));
    assert_eq!(pending(&plan), Some(("False", "RerunAnswered")));
}

#[test]
fn a_run_that_was_never_created_takes_another_word() {
    let begun = succeeded().rerun("typo").plan().status;
    let scene = succeeded().rerun("typo").with(|scene| scene.task.status = Some(begun)).rerun("right");
    let (_, plan) = scene.settled();
    assert_eq!((plan.status.run, plan.status.rerun.as_deref()), (Some(2), Some("right")));
    assert_eq!(plan.status.answered_reruns, ["right"], "the typo asks for a run whenever it comes back");
}

#[test]
fn a_suspended_object_begins_its_next_run_when_it_is_resumed() {
    let (scene, plan) = succeeded().suspended().rerun("again").settled();
    assert_eq!(told(&plan), (Phase::Stopped, "Suspended", &Step::Rest));
    let (_, plan) = scene.resumed().now(5).settled();
    assert_eq!(plan.status.create.unwrap().token, of_run("again").to_string());
}

#[test]
fn history_is_bounded_and_no_id_gets_lost() {
    let mut scene = succeeded();
    for number in 2..=15_u64 {
        scene = scene.rerun(&format!("run {number}")).settled().0;
        scene = scene.status(|status| (status.create, status.task_id) = (None, Some(number.to_string())));
        let token = Some(of_run(&format!("run {number}")));
        scene = scene.remote(RemoteTask { id: number.into(), token, ..done() }).settled().0;
    }
    let status = scene.stored();
    assert_eq!((status.run, status.history.len(), status.older_task_ids.len()), (Some(15), 10, 4));
    assert_eq!(status.older_task_ids, [id().to_string(), "2".into(), "3".into(), "4".into()]);
    assert_eq!(status.history.iter().map(|run| run.run).collect::<Vec<_>>(), (5..=14).collect::<Vec<_>>());
}

fn former(number: u64) -> FormerRun {
    FormerRun {
        run: 1,
        rerun: None,
        task_id: number.to_string(),
        phase: Phase::Succeeded,
        started_at: None,
        finished_at: None,
        objects: ObjectCounts::default(),
        bytes: 0,
    }
}

/// Deletes until nothing is left and says what was deleted.
fn delete_all(mut scene: Scene) -> Vec<RemoteId> {
    let mut deleted = Vec::new();
    for _ in 0..30 {
        let recorded = scene.stored().task_id.map(RemoteId::from);
        scene.remote = match &recorded {
            Some(id) if deleted.contains(id) => Remote::Gone,
            Some(id) => Remote::Known(Box::new(RemoteTask { id: id.clone(), ..done() })),
            None => Remote::Pending,
        };
        let plan = scene.plan();
        match &plan.step {
            Step::RemoveFinalizer { abandoned: None } => return deleted,
            Step::Delete(id) if plan.status == scene.stored() => deleted.push(id.clone()),
            _ => scene.task.status = Some(plan.status),
        }
    }
    panic!("the deletion does not end: {scene:#?}");
}

#[test]
fn deletion_takes_the_records_of_all_runs() {
    let with_history = |scene: Scene| {
        scene.deleted().status(|status| {
            status.history = vec![former(5), former(6)];
            status.older_task_ids = vec!["4".into()];
        })
    };
    let ids = |numbers: &[u64]| numbers.iter().map(|number| RemoteId::from(*number)).collect::<Vec<_>>();
    assert_eq!(
        delete_all(with_history(scene().recorded())),
        [vec![id()], ids(&[6, 5, 4])].concat(),
        "the present run first"
    );
    let uncreated = with_history(scene().recorded()).status(|status| status.task_id = None);
    assert_eq!(delete_all(uncreated), ids(&[6, 5, 4]), "a run that was never created has none of its own");
    for policy in [DeletionPolicy::Orphan, DeletionPolicy::StopAndKeep] {
        let kept =
            with_history(scene().recorded()).spec(|spec| spec.lifecycle.deletion_policy = Some(policy));
        assert_eq!(delete_all(kept), [], "{policy:?}");
    }
}

#[test]
fn what_is_left_behind_names_the_tasks_of_all_runs() {
    let scene =
        scene().recorded().deleted().link_down().now(700).status(|status| status.history = vec![former(5)]);
    let Step::RemoveFinalizer { abandoned: Some(left) } = scene.plan().step else { panic!("it lets go") };
    assert!(left.contains(&format!("task {} and 5 of a former run", id())), "{left}");
}

#[test]
fn after_a_lost_status_the_runs_are_found_again() {
    let first = RemoteTask { id: 3.into(), started_at: Some(at(-500)), ..done() };
    let second =
        RemoteTask { id: 4.into(), token: Some(of_run("again")), started_at: Some(at(-300)), ..done() };
    let lost = |word: &str| scene().rerun(word).with_finalizer().settled().0;
    // The word that was answered last, and none.
    for word in ["again", ""] {
        let (_, plan) = lost(word).found(1, vec![second.clone(), first.clone()]).settled();
        assert_eq!(plan.status.task_id.as_deref(), Some("4"), "{word}");
        assert_eq!(plan.status.history[0].task_id, "3", "{word}");
        assert_eq!(plan.status.run, Some(2), "{word}");
    }
    // A word that nothing answered yet: what was found is over, so a run is made.
    let scene = lost("third").found(1, vec![first.clone(), second.clone()]).settled().0;
    let status = scene.stored();
    assert_eq!((status.task_id, status.run), (None, Some(3)));
    assert_eq!(status.history.iter().map(|run| run.task_id.as_str()).collect::<Vec<_>>(), ["3", "4"]);
    // But not while one of them is still at work.
    let running = RemoteTask { state: RemoteState::Running, ..second };
    let (_, plan) = lost("third").found(1, vec![first, running]).settled();
    assert_eq!(plan.status.task_id.as_deref(), Some("4"));
    assert_eq!(pending(&plan), Some(("True", "RunUnderWay")));
}

#[test]
fn the_task_of_a_former_run_that_somebody_starts_is_no_duplicate() {
    let former_task = RemoteTask { id: 5.into(), ..remote(RemoteState::Running) };
    let scene = scene()
        .recorded()
        .status(|status| status.history = vec![former(5)])
        .remote(remote(RemoteState::Running))
        .with(|scene| scene.siblings = vec![former_task]);
    assert_eq!(scene.plan().step, Step::Rest);
}
