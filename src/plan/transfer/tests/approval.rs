//! Somebody's word before a create.

use super::super::Step;
use super::scene::{Scene, condition, keys, message, pinned, scene, told};
use crate::api::conditions::types;
use crate::api::{Approval, MigrationTaskSpec, Phase};
use crate::plan::seen::{Keys, Link, LinkUp};

fn required() -> Scene {
    scene().with_finalizer().spec(|spec| spec.lifecycle.approval = Approval::Required)
}

fn hash(scene: Scene) -> String {
    scene.settled().1.status.plan.unwrap().hash
}

fn hash_of(change: impl FnOnce(&mut MigrationTaskSpec)) -> String {
    hash(required().spec(change))
}

#[test]
fn nothing_is_created_until_the_plan_is_approved() {
    let (scene, plan) = required().settled();
    assert_eq!(told(&plan), (Phase::Pending, "ApprovalRequired", &Step::Rest));
    for absent in [types::RECONCILING, types::STALLED] {
        assert_eq!(condition(&plan, absent), None, "it is somebody else's move");
    }
    let told_plan = plan.status.plan.clone().unwrap();
    assert!(message(&plan).contains(&format!("set `spec.approvedPlan` to `{}`", told_plan.hash)));
    assert_eq!(
        told_plan.summary,
        "Copies everything from bucket `photos` at AWS in eu-west-1 to `archive/` in cn-north-4, \
         SIZE_LAST_MODIFIED_COMPARISON_OVERWRITE"
    );
    let approved = scene.spec(|spec| spec.lifecycle.approved_plan = Some(told_plan.hash)).plan();
    assert!(approved.status.create.is_some());
}

#[test]
fn a_stale_hash_is_told_as_such() {
    let (_, plan) = required().spec(|spec| spec.lifecycle.approved_plan = Some("old".into())).settled();
    assert_eq!(told(&plan).1, "ApprovalRequired");
    assert!(message(&plan).contains("`spec.approvedPlan` is stale"), "{}", message(&plan));
    let (_, plan) = required().spec(|spec| spec.lifecycle.approved_plan = Some(String::new())).settled();
    assert!(message(&plan).starts_with("Nothing is created without approval"), "{}", message(&plan));
}

type Change = fn(&mut MigrationTaskSpec);

#[test]
fn the_hash_changes_with_what_would_be_done_and_with_nothing_else() {
    let base = hash_of(|_| {});
    let others: [Change; 6] = [
        |spec| spec.source.as_mut().unwrap().bucket = Some("other".into()),
        |spec| spec.destination.as_mut().unwrap().prefix = Some("in/".into()),
        |spec| spec.overwrite_mode = crate::api::OverwriteMode::NoOverwrite,
        |spec| spec.enable_restore = true,
        |spec| spec.description = Some("words".into()),
        |spec| {
            spec.source.as_mut().unwrap().credentials.as_mut().unwrap().secret_ref.name = "another".into();
        },
    ];
    let mut seen = vec![base.clone()];
    for change in others {
        let hash = hash_of(change);
        assert!(!seen.contains(&hash));
        seen.push(hash);
    }
    let same: [Change; 4] = [
        |spec| spec.priority = crate::api::Priority::High,
        |spec| spec.lifecycle.ready_when = crate::api::ReadyWhen::Accepted,
        |spec| spec.lifecycle.deletion_policy = Some(crate::api::DeletionPolicy::Orphan),
        |spec| spec.lifecycle.approved_plan = Some("whatever".into()),
    ];
    for change in same {
        assert_eq!(hash_of(change), base);
    }
    assert_eq!(hash(required().with(|scene| scene.keys = Keys::Ready(keys("two")))), base, "keys rotate");
    let elsewhere = required().with(|scene| {
        let pinned = crate::api::PinnedConnection { project_id: "other".into(), ..pinned() };
        scene.link = Link::Up(LinkUp { pinned, region: "cn-north-4".into(), changed: None });
    });
    assert_ne!(hash(elsewhere), base, "another project is another plan");
}

#[test]
fn who_needs_no_approval_is_told_the_plan_too() {
    let plan = scene().with_finalizer().plan();
    assert!(plan.status.create.is_some() && plan.status.plan.is_some());
}

#[test]
fn a_spec_that_is_edited_after_its_approval_waits_again() {
    let approved = hash_of(|_| {});
    let (_, plan) = required()
        .spec(|spec| {
            spec.lifecycle.approved_plan = Some(approved);
            spec.destination.as_mut().unwrap().bucket = "another".into();
        })
        .settled();
    assert_eq!(told(&plan).1, "ApprovalRequired");
}

#[test]
fn deletion_needs_no_approval() {
    let (scene, _) = required().settled();
    assert_eq!(scene.deleted().plan().step, Step::RemoveFinalizer { abandoned: None });
}
