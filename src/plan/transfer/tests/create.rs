//! Before a task exists: what blocks it, and the create protocol.

use std::time::Duration;

use super::super::Step;
use super::scene::{Scene, at, condition, keys, message, remote, scene, token, told, trouble};
use crate::api::Phase;
use crate::api::conditions::{Reason, types};
use crate::plan::seen::{
    Call, Counters, Delivered, Keys, Link, LinkUp, RemoteState, RemoteTask, Search, TroubleKind,
};
use crate::plan::token::{ObjectMark, Token};

#[test]
fn an_unusable_connection_blocks_with_its_own_reason() {
    for reason in [
        Reason::ConnectionNotFound,
        Reason::ConnectionNotReady,
        Reason::NamespaceNotAllowed,
        Reason::Connecting,
    ] {
        let plan = scene()
            .with(|scene| scene.link = Link::Down { reason, message: "Mend the connection".into() })
            .plan();
        assert_eq!(told(&plan), (Phase::Pending, reason.as_str(), &Step::Rest));
        assert_eq!(condition(&plan, types::CONNECTION_READY), Some(("False", reason.as_str())));
        assert_eq!(condition(&plan, types::RECONCILING), Some(("True", reason.as_str())));
        assert!(plan.look_again.is_some(), "it recovers by itself");
        assert_eq!(plan.status.create, None);
    }
}

#[test]
fn a_missing_secret_blocks_before_anything_is_written() {
    let plan = scene().secret_missing().plan();
    assert_eq!(told(&plan), (Phase::Pending, "SecretNotFound", &Step::Rest));
    assert_eq!(condition(&plan, types::CREDENTIALS_READY), Some(("False", "SecretNotFound")));
    assert_eq!(plan.status.create, None);
    assert_eq!(plan.look_again.unwrap().after, Duration::from_mins(1));
}

#[test]
fn a_blocked_task_goes_on_when_the_secret_appears() {
    let (scene, _) = scene().secret_missing().settled();
    let plan = scene.with(|scene| scene.keys = Keys::Ready(keys("one"))).with_finalizer().plan();
    assert_eq!(told(&plan), (Phase::Creating, "Creating", &Step::Rest));
    assert_eq!(condition(&plan, types::CREDENTIALS_READY), Some(("True", "CredentialsResolved")));
}

#[test]
fn another_region_than_the_connections_stalls_until_it_is_corrected() {
    let (scene, plan) =
        scene().spec(|spec| spec.destination.as_mut().unwrap().region = Some("cn-south-1".into())).settled();
    assert_eq!(told(&plan), (Phase::Failed, "InvalidSpec", &Step::Rest));
    assert!(message(&plan).contains("cn-south-1") && message(&plan).contains("cn-north-4"));
    assert_eq!(condition(&plan, types::STALLED), Some(("True", "InvalidSpec")));
    let plan = scene.spec(|spec| spec.destination.as_mut().unwrap().region = None).plan();
    assert_eq!(plan.step, Step::AddFinalizer);
}

#[test]
fn a_reference_that_now_means_another_connection_is_told_and_never_followed() {
    let changed = |scene: Scene| {
        scene.with(|scene| {
            if let Link::Up(LinkUp { changed, .. }) = &mut scene.link {
                *changed = Some("The reference would now mean Connection `other`".into());
            }
        })
    };
    let plan = changed(scene()).plan();
    assert_eq!(told(&plan), (Phase::Failed, "ConnectionChanged", &Step::Rest));
    let plan = changed(scene().recorded().remote(remote(RemoteState::Running))).plan();
    assert_eq!(told(&plan), (Phase::Running, "Running", &Step::Rest));
    assert_eq!(condition(&plan, types::CONNECTION_READY), Some(("False", "ConnectionChanged")));
}

#[test]
fn keys_are_read_only_when_they_are_needed() {
    let unread = |scene: Scene| scene.with(|scene| scene.keys = Keys::NotRead);
    assert_eq!(unread(scene()).plan().step, Step::ReadKeys);
    assert_eq!(unread(scene().link_down()).plan().step, Step::Rest);
    assert_eq!(unread(scene().suspended()).plan().step, Step::Rest);
    assert_eq!(unread(scene().recorded().remote(remote(RemoteState::Running))).plan().step, Step::Rest);
}

#[test]
fn each_step_of_the_create_is_a_pass_of_its_own() {
    let mut scene = scene();
    let first = scene.plan();
    assert_eq!((&first.step, &first.status), (&Step::AddFinalizer, &scene.stored()));
    scene.store(&first);

    let intent = scene.plan();
    assert_eq!(told(&intent), (Phase::Creating, "Creating", &Step::Rest));
    let written = intent.status.create.clone().unwrap();
    assert_eq!((written.token, written.started_at.0, written.sent_at), (token(1).to_string(), at(0), None));
    assert_eq!(intent.status.connection, Some(super::scene::pinned()));
    assert_eq!(intent.status.observed_credentials, keys("one"));
    scene.store(&intent);

    let search = scene.plan();
    assert_eq!((&search.step, &search.status.create), (&Step::Search, &scene.stored().create));
    // A scan that began before the intent was written proves nothing.
    assert_eq!(scene.clone().searched(0).plan().step, Step::Search);
    scene = scene.now(2).searched(1);

    let sent = scene.plan();
    assert_eq!((&sent.step, sent.status.task_id.as_ref()), (&Step::Rest, None));
    assert_eq!(sent.status.create.as_ref().unwrap().sent_at.as_ref().unwrap().0, at(2));
    scene.store(&sent);

    let post = scene.plan();
    assert_eq!(post.step, Step::Create(token(1)));
    assert_eq!(post.status, scene.stored(), "nothing is written together with the call");
    scene.permit = None;
    scene.created = Some((7.into(), "task-7".into()));

    let id = scene.plan();
    assert_eq!(told(&id), (Phase::Running, "WaitingAtOMS", &Step::Rest));
    assert_eq!((id.status.task_id.as_deref(), &id.status.create), (Some("7"), &None));
}

#[test]
fn a_lost_reply_is_searched_for_and_the_task_adopted() {
    let lost = trouble(Call::Create, TroubleKind::Transient, Delivered::Unknown);
    let scene = scene().intent_written().sent(2).now(3).troubled(lost);
    let (scene, plan) = scene.searched(1).settled();
    assert_eq!(told(&plan), (Phase::Creating, "CreateUnconfirmed", &Step::Search));
    let plan = scene.found(4, vec![remote(RemoteState::Running)]).now(5).plan();
    assert_eq!(plan.step, Step::Rest);
    assert_eq!(plan.status.task_id, Some(super::scene::id().to_string()));
    assert_eq!((&plan.status.create, plan.status.attempt), (&None, Some(1)));
}

#[test]
fn without_its_permit_a_create_is_never_sent_before_the_fence_and_two_later_empty_scans() {
    let fence = 20 * 60;
    // seconds of empty scans, whether the intent may start over
    for (empty, over) in [
        (vec![], false),
        (vec![5], false),
        (vec![5, 60, 600], false),
        (vec![600, fence + 2], false),
        (vec![fence + 1, fence + 2], false),
        (vec![fence + 3], false),
        (vec![600, fence + 3], false),
        (vec![fence + 3, fence + 4], true),
    ] {
        let last = empty.last().copied().unwrap_or(1);
        let scene = scene().intent_written().sent(2).now(last + 1).with(|scene| {
            let empty = empty.iter().map(|second| at(*second)).collect();
            scene.search = Search::Done { started_at: at(last), found: Vec::new(), empty };
        });
        let plan = scene.plan();
        assert!(!matches!(plan.step, Step::Create(_)), "{empty:?}");
        let create = plan.status.create.as_ref().unwrap();
        assert_eq!(create.sent_at.is_none(), over, "{empty:?}");
        if over {
            assert_eq!(create.started_at.0, scene.now, "and a new search comes before the next call");
            let mut scene = scene;
            scene.store(&plan);
            assert_eq!(scene.plan().step, Step::Search);
        }
    }
}

#[test]
fn searches_for_a_lost_create_come_at_growing_intervals() {
    let pause = |now| {
        let plan = scene().intent_written().sent(2).searched(now).now(now).plan();
        plan.look_again.unwrap().after.as_secs()
    };
    assert_eq!([3, 42, 162, 482, 1_000].map(pause), [1, 5, 20, 60, 60]);
    let due = scene().intent_written().sent(2).searched(42).now(48).plan();
    assert_eq!(due.step, Step::Search);
}

#[test]
fn a_permit_that_was_held_up_is_renewed_before_it_is_used() {
    // The fence counts from `sentAt`: a call made long after it could arrive after the fence.
    let scene = scene().intent_written().sent(2).with_permit(2).searched(1);
    assert_eq!(scene.clone().now(60).plan().step, Step::Create(token(1)));
    let plan = scene.now(63).plan();
    assert_eq!(plan.step, Step::Rest);
    assert_eq!(plan.status.create.unwrap().sent_at.unwrap().0, at(63));
}

#[test]
fn of_several_tasks_with_our_token_the_one_that_copied_most_is_kept() {
    let one = |id: u64, bytes_done| RemoteTask {
        id: id.into(),
        counters: Counters { bytes_done, ..Counters::default() },
        ..remote(RemoteState::Running)
    };
    for (found, kept) in [(vec![one(5, 10), one(6, 90), one(7, 20)], "6"), (vec![one(9, 0), one(8, 0)], "8")]
    {
        let plan = scene().intent_written().sent(2).found(4, found).now(5).plan();
        assert_eq!(plan.status.task_id.as_deref(), Some(kept));
    }
}

#[test]
fn a_task_found_after_a_lost_status_brings_its_attempt_back() {
    let second = RemoteTask { token: Some(token(3)), ..remote(RemoteState::Running) };
    let plan = scene().intent_written().found(1, vec![second]).now(2).plan();
    assert_eq!(plan.status.attempt, Some(3));
}

#[test]
fn what_a_list_still_shows_of_an_earlier_attempt_is_never_taken_for_the_new_one() {
    let scene = scene().intent_written().status(|status| {
        status.attempt = Some(2);
        status.create.as_mut().unwrap().token = token(2).to_string();
    });
    let plan = scene.found(1, vec![remote(RemoteState::Waiting)]).now(2).plan();
    assert_eq!(plan.step, Step::RemoveDuplicate(super::scene::id()));
    assert_eq!(plan.status.task_id, None);
}

#[test]
fn an_intent_with_a_token_of_another_object_is_written_anew() {
    let foreign = Token::new(ObjectMark::new("cluster", "MigrationTask", "other"), "", 1);
    for text in [foreign.to_string(), "no token".into(), String::new()] {
        let (_, plan) = scene()
            .intent_written()
            .status(|status| status.create.as_mut().unwrap().token = text.clone())
            .now(1)
            .settled();
        assert_eq!(plan.status.create.unwrap().token, token(1).to_string(), "{text}");
    }
}

/// Every kind of refusal: phase, reason, and whether the operator tries again by itself.
const REFUSALS: &[(TroubleKind, Phase, &str, bool)] = &[
    (TroubleKind::Invalid, Phase::Failed, "Refused", false),
    (TroubleKind::Credentials, Phase::Pending, "CredentialsRejected", true),
    (TroubleKind::BucketCredentials, Phase::Pending, "CredentialsRejected", true),
    (TroubleKind::Permission, Phase::Pending, "PermissionDenied", true),
    (TroubleKind::Privacy, Phase::Pending, "PrivacyAgreementRequired", true),
    (TroubleKind::Quota, Phase::Queued, "QuotaExceeded", true),
    (TroubleKind::Conflict, Phase::Pending, "UnknownServiceError", true),
    (TroubleKind::Missing, Phase::Pending, "RefusedForNow", true),
    (TroubleKind::Transient, Phase::Pending, "ServiceUnavailable", true),
    (TroubleKind::Unknown, Phase::Pending, "UnknownServiceError", true),
];

#[test]
fn a_refused_create_tells_its_cause_and_thaws_the_spec() {
    for (kind, phase, reason, again) in REFUSALS.iter().copied() {
        let refusal = trouble(Call::Create, kind, Delivered::Refused);
        let (scene, plan) = scene().intent_written().sent(2).now(3).troubled(refusal).settled();
        assert_eq!(told(&plan), (phase, reason, &Step::Rest), "{kind:?}");
        assert_eq!(plan.status.create, None, "{kind:?}: the intent is taken back");
        assert_eq!(plan.status.connection, None, "{kind:?}: `connectionRef` can be corrected");
        assert_eq!(plan.status.next_attempt_at.is_some(), again, "{kind:?}");
        let failure = plan.status.failure.as_ref().map(|failure| (failure.code.as_str(), failure.retryable));
        let waits = kind == TroubleKind::Quota;
        assert_eq!(
            failure,
            (!waits).then_some(("OMS.0001", again)),
            "{kind:?}: waiting for room is no failure"
        );
        assert!(message(&plan).contains("OMS said no. Look at the table. "), "{}", message(&plan));
        let later = scene.now(31).plan();
        assert_eq!(later.status.create.is_some(), again, "{kind:?}: tried again when its time has come");
    }
}

#[test]
fn a_refused_spec_is_tried_again_when_it_is_corrected_or_somebody_asks() {
    let refusal = trouble(Call::Create, TroubleKind::Invalid, Delivered::Refused);
    let (scene, _) = scene().intent_written().sent(2).now(3).troubled(refusal).settled();
    assert_eq!(scene.clone().now(9_999).plan().status.create, None);
    let corrected = scene.clone().with(|scene| scene.task.metadata.generation = Some(2)).plan();
    assert!(corrected.status.create.is_some());
    assert!(scene.nudged().plan().status.create.is_some());
}

#[test]
fn refused_keys_are_tried_again_as_soon_as_they_change() {
    let refusal = trouble(Call::Create, TroubleKind::BucketCredentials, Delivered::Refused);
    let (scene, plan) = scene().intent_written().sent(2).now(3).troubled(refusal).settled();
    assert_eq!(plan.look_again.unwrap().after, Duration::from_secs(27));
    let unread = scene.clone().with(|scene| scene.keys = Keys::NotRead).plan();
    assert_eq!(unread.step, Step::ReadKeys);
    let changed = scene.with(|scene| scene.keys = Keys::Ready(keys("two"))).plan();
    assert!(changed.status.create.is_some());
    assert_eq!(changed.status.observed_credentials, keys("two"));
}

#[test]
fn a_create_that_was_never_sent_or_throttled_keeps_its_intent() {
    for (kind, delivery, reason) in [
        (TroubleKind::Transient, Delivered::No, "ServiceUnavailable"),
        (TroubleKind::Throttled, Delivered::Refused, "Throttled"),
        (TroubleKind::Throttled, Delivered::No, "Throttled"),
    ] {
        let held = trouble(Call::Create, kind, delivery);
        let (scene, plan) = scene().intent_written().sent(2).now(3).searched(1).troubled(held).settled();
        assert_eq!(told(&plan), (Phase::Creating, reason, &Step::Rest));
        let create = plan.status.create.as_ref().unwrap();
        assert_eq!((create.token.clone(), &create.sent_at), (token(1).to_string(), &None));
        assert!(plan.status.connection.is_some());
        let (_, plan) = scene.now(31).settled();
        assert_eq!(plan.step, Step::Create(token(1)), "sent again without another search");
    }
}

#[test]
fn an_endpoint_that_cannot_be_reached_is_named_as_the_cause() {
    let mut silent = trouble(Call::Create, TroubleKind::Transient, Delivered::No);
    silent.code.clear();
    let (_, plan) = scene().intent_written().sent(2).now(3).searched(1).troubled(silent).settled();
    assert_eq!(told(&plan).1, "EndpointUnreachable");
    assert!(message(&plan).contains("`endpoint`"));
}

#[test]
fn keys_that_vanish_right_before_the_call_take_the_intent_back() {
    let (_, plan) = scene().intent_written().sent(2).with_permit(2).now(3).secret_missing().settled();
    assert_eq!(told(&plan), (Phase::Pending, "SecretNotFound", &Step::Rest));
    assert_eq!(plan.status.create, None);
}

#[test]
fn a_task_suspended_before_its_create_is_not_created() {
    let (scene, plan) = scene().suspended().settled();
    assert_eq!(told(&plan), (Phase::Stopped, "Suspended", &Step::Rest));
    assert_eq!(condition(&plan, types::RECONCILING), None);
    let plan = scene.resumed().with_finalizer().plan();
    assert!(plan.status.create.is_some());
    assert_eq!(plan.status.suspended_at, None);
}

#[test]
fn suspending_takes_an_intent_back_as_long_as_nothing_was_sent() {
    let (_, plan) = scene().intent_written().suspended().now(1).settled();
    assert_eq!((told(&plan).1, &plan.status.create), ("Suspended", &None));
    let (_, plan) = scene().intent_written().sent(2).suspended().now(3).settled();
    assert!(plan.status.create.is_some(), "what may be at OMS has to be found first");
}
