//! Hands off.

use super::super::{Pause, Plan, Step};
use super::scene::{Scene, condition, remote, scene};
use crate::api;
use crate::api::conditions::types;
use crate::plan::seen::RemoteState;
use crate::plan::situation;

fn pauses() -> Vec<(&'static str, Scene)> {
    let base = || scene().recorded().remote(remote(RemoteState::Running));
    vec![
        ("annotation", base().annotated(api::PAUSED, "true")),
        (
            "label `oms-operator.io/paused`",
            base().with(|scene| scene.pause = Some(Pause::Namespace("media".into()))),
        ),
        ("`--paused`", base().with(|scene| scene.pause = Some(Pause::Operator))),
    ]
}

#[test]
fn a_paused_object_gets_its_marker_once_and_nothing_else() {
    for (words, paused) in pauses() {
        let (mut scene, plan) = paused.clone().settled();
        assert_eq!(condition(&plan, types::PAUSED), Some(("True", "Paused")), "{words}");
        let told = &situation::find(&plan.status.conditions, types::PAUSED).unwrap().message;
        assert!(told.contains(words), "{told}");
        let mut without = plan.status.clone();
        situation::remove(&mut without.conditions, types::PAUSED);
        assert_eq!(without, paused.stored(), "{words}: everything else stays");
        // Neither what OMS does nor what people edit moves anything.
        scene.task.metadata.generation = Some(7);
        scene.task.spec.lifecycle.suspend = Some(true);
        let before = scene.stored();
        let plan = scene.now(100_000).remote(remote(RemoteState::Failed)).plan();
        assert_eq!((plan.status, plan.step, plan.look_again), (before, Step::Rest, None), "{words}");
    }
}

#[test]
fn the_marker_goes_with_the_pause() {
    for (words, paused) in pauses() {
        let (scene, _) = paused.settled();
        let (_, plan) = scene
            .with(|scene| {
                scene.pause = None;
                scene.task.metadata.annotations = None;
            })
            .settled();
        assert_eq!(condition(&plan, types::PAUSED), None, "{words}");
        assert!(condition(&plan, types::READY).is_some());
    }
}

#[test]
fn only_true_pauses() {
    assert_eq!(scene().annotated(api::PAUSED, "false").plan().step, Step::AddFinalizer);
}

#[test]
fn a_paused_object_is_not_created() {
    let (_, plan) = scene().with(|scene| scene.pause = Some(Pause::Operator)).settled();
    assert_eq!((plan.step, plan.status.create, plan.status.phase), (Step::Rest, None, None));
}

#[test]
fn deletion_works_under_every_pause() {
    for (words, paused) in pauses() {
        let plan = paused.settled().0.deleted().settled().1;
        assert!(matches!(plan.step, Step::Stop(_)), "{words}: {:?}", plan.step);
    }
    let plan =
        scene().with(|scene| scene.pause = Some(Pause::Operator)).settled().0.with_finalizer().deleted();
    // Never looked at: one search for what an erased status would not tell.
    assert!(matches!(plan.plan().step, Step::Search));
}

/// Regression: the time of the marker moved when somebody else took the pause over.
#[test]
fn who_pauses_may_change_without_a_change_of_the_time_since_when_it_is_paused() {
    let (scene, plan) = scene().recorded().annotated(api::PAUSED, "true").settled();
    let since = |plan: &Plan| {
        situation::find(&plan.status.conditions, types::PAUSED).unwrap().last_transition_time.clone()
    };
    let (_, taken_over) = scene.now(500).with(|scene| scene.pause = Some(Pause::Operator)).settled();
    assert!(
        situation::find(&taken_over.status.conditions, types::PAUSED).unwrap().message.contains("`--paused`")
    );
    assert_eq!(since(&taken_over), since(&plan));
}
