//! Waiting for room in a quota.

use super::super::{LookAgain, Step};
use super::scene::{Scene, at, condition, message, scene, told};
use crate::api::conditions::types;
use crate::api::{Phase, QueueStatus};
use crate::plan::queue::{Place, Turn};
use crate::plan::seen::Keys;
use crate::plan::situation::whole_seconds;

fn placed(scene: Scene, position: usize, earliest: i64) -> Scene {
    scene.with(|scene| scene.turn = Some(Turn::Later(Place { position, earliest_at: Some(at(earliest)) })))
}

#[expect(clippy::unnecessary_wraps, reason = "a status has a place or none")]
fn place(position: i64, earliest: i64) -> Option<QueueStatus> {
    Some(QueueStatus { position, earliest_at: Some(whole_seconds(at(earliest))) })
}

#[test]
fn a_full_quota_queues_with_a_place_and_a_time_and_never_as_an_error() {
    let (scene, plan) = placed(scene(), 3, 300).settled();
    assert_eq!(told(&plan), (Phase::Queued, "QuotaExceeded", &Step::Rest));
    assert_eq!(condition(&plan, types::RECONCILING), Some(("True", "QuotaExceeded")));
    assert_eq!(condition(&plan, types::STALLED), None);
    assert!(message(&plan).contains("Nothing to do"));
    assert_eq!((&plan.status.queue, &plan.status.failure), (&place(3, 300), &None));
    assert_eq!((plan.status.create, plan.status.connection), (None, None), "the spec stays editable");
    assert!(plan.look_again.unwrap().after.as_secs() <= 60);
    let (scene, plan) = scene.now(301).with(|scene| scene.turn = Some(Turn::Now)).with_finalizer().settled();
    assert_eq!((told(&plan).0, plan.status.queue), (Phase::Creating, None));
    assert!(scene.stored().create.is_some());
}

#[test]
fn an_object_lines_up_when_nothing_else_keeps_it_from_being_created() {
    let asks = |scene: Scene| scene.with(|scene| scene.turn = None).plan().step;
    assert_eq!(asks(scene()), Step::LineUp);
    assert_eq!(asks(scene().secret_missing()), Step::Rest);
    assert_eq!(asks(scene().link_down()), Step::Rest);
    assert_eq!(asks(scene().suspended()), Step::Rest);
    assert_eq!(asks(scene().with(|scene| scene.keys = Keys::NotRead)), Step::ReadKeys);
}

#[test]
fn an_intent_that_was_not_sent_is_taken_back_when_the_search_showed_that_there_is_no_room() {
    let searched = scene().intent_written().now(2).searched(1);
    let (_, plan) = placed(searched, 1, 600).settled();
    assert_eq!(told(&plan), (Phase::Queued, "QuotaExceeded", &Step::Rest));
    assert_eq!((plan.status.create, plan.status.connection, plan.status.queue), (None, None, place(1, 600)));
    // What was sent may have arrived.
    let sent = scene().intent_written().sent(2).with_permit(2).now(3).searched(1);
    assert!(matches!(placed(sent, 1, 600).plan().step, Step::Create(_)));
}

#[test]
fn a_place_is_written_at_steps_and_when_it_is_time() {
    let (scene, _) = placed(scene(), 100, 3_000).settled();
    let told = |scene: &Scene, due: bool| {
        let plan = scene.clone().with(|scene| scene.place_due = due).plan();
        plan.status.queue.unwrap().position
    };
    let near = placed(scene.clone(), 91, 3_000);
    assert_eq!((told(&near, true), told(&near, false)), (100, 100), "not a tenth yet");
    let far = placed(scene.clone(), 90, 3_000);
    assert_eq!((told(&far, true), told(&far, false)), (90, 100), "once a minute");
    let (first, _) = placed(scene, 2, 3_000).settled();
    assert_eq!(told(&placed(first, 1, 3_000), true), 1);
}

#[test]
fn a_time_that_passed_is_told_anew() {
    let (scene, _) = placed(scene(), 1, 300).settled();
    let later = placed(scene.clone().now(200), 1, 900).plan();
    assert_eq!(later.status.queue, place(1, 300), "a lower bound may stay");
    assert_eq!(placed(scene.now(301), 1, 900).plan().status.queue, place(1, 900));
}

#[test]
fn who_waits_and_is_suspended_or_deleted_gives_its_place_up() {
    let (scene, _) = placed(scene(), 1, 300).settled();
    let (_, plan) = scene.clone().suspended().settled();
    assert_eq!((told(&plan).0, plan.status.queue), (Phase::Stopped, None));
    let plan = scene.with_finalizer().deleted().plan();
    assert_eq!(plan.step, Step::RemoveFinalizer { abandoned: None });
    assert_eq!(plan.look_again, None::<LookAgain>);
}
