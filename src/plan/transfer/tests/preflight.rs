//! OMS's checks before a create.

use std::time::Duration;

use serde_json::json;

use super::super::{Plan, Step, judge_check};
use super::scene::{Scene, at, condition, keys, message, scene, told, trouble};
use crate::api::conditions::types;
use crate::api::{CheckResult, Phase, Preflight};
use crate::plan::preflight::{Check, Finding, Outcome};
use crate::plan::seen::{Call, Delivered, Keys, TroubleKind};
use crate::plan::situation;

fn full() -> Scene {
    scene().spec(|spec| spec.lifecycle.preflight = Preflight::Full)
}

/// Which check is asked for.
fn asked(plan: &Plan) -> Option<(Check, String)> {
    match &plan.step {
        Step::Check { check, subject } => Some((*check, subject.clone())),
        _ => None,
    }
}

/// Answers every check until there is none; says which were asked.
fn answer(mut scene: Scene, of: impl Fn(Check) -> Outcome) -> (Scene, Plan, Vec<Check>) {
    let mut all = Vec::new();
    for _ in 0..40 {
        let plan = scene.plan();
        let before = scene.stored().preflight;
        match asked(&plan) {
            Some(_) if plan.status != scene.stored() => scene.store(&plan),
            Some((check, subject)) => {
                all.push(check);
                scene.findings.push(Finding { check, subject, at: scene.now, outcome: of(check) });
            }
            None if plan.status == scene.stored() || plan.status.create.is_some() => {
                return (scene, plan, all);
            }
            None => scene.store(&plan),
        }
        if scene.stored().preflight != before {
            // What is recorded is remembered no more.
            scene.findings.clear();
        }
        scene.now += Duration::from_millis(1);
    }
    panic!("it does not come to an end: {scene:#?}");
}

fn passed(_: Check) -> Outcome {
    Outcome::passed()
}

fn no_bucket(check: Check) -> Outcome {
    if check == Check::Destination {
        Outcome::failed("`destination.bucket`: No. Create it")
    } else {
        Outcome::passed()
    }
}

#[test]
fn every_check_comes_before_the_create_and_one_at_a_time() {
    let plan = full().with_finalizer().plan();
    assert_eq!(told(&plan).0, Phase::Pending);
    assert_eq!(condition(&plan, types::PREFLIGHT_PASSED), Some(("Unknown", "PreflightRunning")));
    let (_, plan, all) = answer(full().with_finalizer(), passed);
    assert_eq!(all, [Check::Source, Check::Key(0), Check::Destination]);
    assert_eq!(told(&plan).0, Phase::Creating);
    assert_eq!(condition(&plan, types::PREFLIGHT_PASSED), Some(("True", "PreflightPassed")));
    let words = &situation::find(&plan.status.conditions, types::PREFLIGHT_PASSED).unwrap().message;
    assert_eq!(words, "SourceBucket Passed; ObjectKeys[0] Passed; DestinationBucket Passed");
    assert_eq!(plan.status.preflight.unwrap().checks.len(), 3);
}

#[test]
fn what_is_checked_depends_on_what_is_copied() {
    let checks = |spec: serde_json::Value| {
        let full = full().with_finalizer().spec(|old| *old = serde_json::from_value(spec).unwrap());
        answer(full, passed).2
    };
    let secret = json!({ "secretRef": { "name": "keys" } });
    let bucket = json!({ "bucket": "archive", "credentials": secret });
    let list = json!({ "bucket": "lists", "key": "a.txt" });
    let urls = json!({ "cloudType": "URLSource", "listFile": list });
    assert_eq!(
        checks(json!({ "type": "url_list", "source": urls, "destination": bucket })),
        [Check::UrlList, Check::Destination]
    );
    let source = json!({ "cloudType": "AWS", "region": "r", "bucket": "b", "listFile": list, "credentials": secret,
                         "cdn": { "domain": "d", "protocol": "http" } });
    assert_eq!(
        checks(json!({ "type": "list", "source": source, "destination": bucket })),
        [Check::Source, Check::Objects, Check::Cdn, Check::Destination]
    );
    let keys: Vec<_> = (0..40).map(|number| format!("{number}/")).collect();
    let source = json!({ "cloudType": "AWS", "region": "r", "bucket": "b", "objectKeys": keys, "credentials": secret });
    let many = checks(json!({ "type": "prefix", "source": source, "destination": bucket }));
    assert_eq!(many.len(), 12, "the first ten of forty, and the two buckets");
}

#[test]
fn a_failed_check_blocks_with_the_field_and_is_repeated_at_growing_intervals() {
    let (scene, plan, _) = answer(full().with_finalizer(), no_bucket);
    assert_eq!(told(&plan), (Phase::Pending, "PreflightFailed", &Step::Rest));
    assert_eq!(condition(&plan, types::PREFLIGHT_PASSED), Some(("False", "PreflightFailed")));
    assert!(message(&plan).contains("`destination.bucket`: No. Create it. The operator checks again"));
    assert_eq!((plan.status.create, plan.status.failure), (None, None));
    let mut scene = scene;
    for (round, pause) in [30_i64, 60, 120, 240, 480, 600, 600].into_iter().enumerate() {
        let due = scene.stored().next_attempt_at.unwrap().0;
        let since = scene.stored().preflight.unwrap().checked_at.0;
        assert!((pause - 1..=pause).contains(&due.duration_since(since).as_secs()), "round {round}");
        let early = scene.clone().with(|scene| scene.now = due - Duration::from_secs(1)).plan();
        assert_eq!(early.step, Step::Rest);
        let all;
        (scene, _, all) = answer(scene.with(|scene| scene.now = due), no_bucket);
        assert_eq!(all, [Check::Destination], "what passed is not asked again");
    }
    let due = scene.stored().next_attempt_at.unwrap().0;
    let (_, plan, _) = answer(scene.with(|scene| scene.now = due), passed);
    assert_eq!(told(&plan).0, Phase::Creating, "it recovers by itself");
}

#[test]
fn a_nudge_and_other_keys_are_looked_at_at_once() {
    let (failed, ..) = answer(full().with_finalizer(), no_bucket);
    let (_, plan, all) = answer(failed.clone().nudged(), passed);
    assert_eq!((told(&plan).0, all), (Phase::Creating, vec![Check::Destination]));
    let other = failed.with(|scene| scene.keys = Keys::Ready(keys("two")));
    let (_, plan, all) = answer(other, passed);
    assert_eq!((told(&plan).0, all.len()), (Phase::Creating, 3), "everything anew");
}

#[test]
fn a_source_that_cannot_be_opened_is_not_asked_about_its_objects() {
    let (_, plan, all) = answer(full().with_finalizer(), |check| {
        if check == Check::Source {
            Outcome::failed("`source.bucket`: No. Create it")
        } else {
            Outcome::passed()
        }
    });
    assert_eq!(all, [Check::Source, Check::Destination]);
    assert_eq!(told(&plan).1, "PreflightFailed");
}

#[test]
fn what_cannot_be_checked_holds_nothing_up() {
    let (_, plan, _) =
        answer(full().with_finalizer(), |_| Outcome::not_possible("OMS takes no temporary keys"));
    assert_eq!(told(&plan).0, Phase::Creating);
    assert_eq!(condition(&plan, types::PREFLIGHT_PASSED), Some(("Unknown", "PreflightIncomplete")));
}

#[test]
fn off_asks_nothing_and_says_nothing() {
    let plan = scene().with_finalizer().plan();
    assert!(plan.status.create.is_some());
    assert_eq!((condition(&plan, types::PREFLIGHT_PASSED), &plan.status.preflight), (None, &None));
    let (failed, ..) = answer(full().with_finalizer(), no_bucket);
    let off = failed.spec(|spec| spec.lifecycle.preflight = Preflight::Off).nudged().plan();
    assert!(off.status.create.is_some(), "the way out");
    assert_eq!(condition(&off, types::PREFLIGHT_PASSED), None);
}

#[test]
fn nothing_is_asked_for_what_is_suspended_or_deleted() {
    assert_eq!(asked(&full().suspended().plan()), None);
    let (failed, ..) = answer(full().with_finalizer(), no_bucket);
    assert_eq!(failed.deleted().plan().step, Step::RemoveFinalizer { abandoned: None });
}

#[test]
fn a_restarted_process_repeats_no_check() {
    let (scene, ..) = answer(full().with_finalizer(), no_bucket);
    let plan = scene.with(|scene| scene.findings.clear()).plan();
    assert_eq!(plan.step, Step::Rest);
}

#[test]
fn a_pause_that_oms_asks_for_is_kept() {
    let slow = trouble(Call::Check, TroubleKind::Throttled, Delivered::Refused);
    let (_, plan) = full().with_finalizer().troubled(slow).settled();
    assert_eq!(told(&plan), (Phase::Pending, "Throttled", &Step::Rest));
    assert_eq!(plan.look_again.unwrap().after, Duration::from_secs(30));
}

#[test]
fn a_refusal_is_told_with_the_field_that_it_is_about() {
    let judged = |check, kind, code: &str, count| {
        let mut trouble = trouble(Call::Check, kind, Delivered::Refused);
        (trouble.code, trouble.count) = (code.into(), count);
        judge_check(check, &trouble)
    };
    let keys = judged(Check::Source, TroubleKind::BucketCredentials, "OMS.1016", 1).unwrap();
    assert_eq!(keys.result, CheckResult::Failed);
    assert!(
        keys.message.starts_with("`source.credentials.secretRef` or `source.bucket`: OMS said (OMS.1016)")
    );
    let list = judged(Check::UrlList, TroubleKind::BucketCredentials, "OMS.0180", 1).unwrap();
    assert!(list.message.starts_with("`source.listFile`"), "{}", list.message);
    let cdn = judged(Check::Cdn, TroubleKind::Missing, "OMS.0081", 1).unwrap();
    assert!(cdn.message.starts_with("`source.cdn`"), "{}", cdn.message);
    let right = judged(Check::Key(0), TroubleKind::Permission, "OMS.0053", 1).unwrap();
    assert_eq!(right.result, CheckResult::NotPossible, "the right to ask is not the right to migrate");
    assert_eq!(judged(Check::Source, TroubleKind::Transient, "OMS.0184", 1), None);
    let slow = judged(Check::Source, TroubleKind::Transient, "OMS.0184", 3).unwrap();
    assert_eq!(slow.result, CheckResult::NotPossible);
    assert_eq!(
        judged(Check::Source, TroubleKind::Throttled, "OMS.0090", 9),
        None,
        "asking again makes it worse"
    );
}

#[test]
fn the_time_of_the_story_is_that_of_the_scene() {
    let (scene, ..) = answer(full().with_finalizer(), no_bucket);
    assert!(scene.stored().preflight.unwrap().checked_at.0 >= at(0));
}
