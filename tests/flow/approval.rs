//! Somebody's word before a create.

use oms_operator::api::Phase;
use serde_json::{Value, json};

use crate::migration::{condition, message};
use crate::world::World;

async fn approve(migration: &crate::migration::Migration<'_>, hash: &str) {
    migration.patch(json!({ "spec": { "approvedPlan": hash } })).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_created_until_the_present_plan_is_approved() {
    let world = World::start().await;
    world.put_objects(3).await;
    let migration = world
        .migration("photos")
        .with("/approval", "Required")
        .with("/preflight", "Full")
        .kubectl_apply()
        .await;
    let waiting = migration.wait_condition("Ready", "False", "ApprovalRequired").await;
    let status = waiting.status.clone().unwrap();
    let plan = status.plan.unwrap();
    assert_eq!(status.phase, Some(Phase::Pending));
    assert_eq!((condition(&waiting, "Reconciling"), condition(&waiting, "Stalled")), (None, None));
    assert_eq!(condition(&waiting, "PreflightPassed"), Some(("True".into(), "PreflightPassed".into())));
    assert!(message(&waiting, "Ready").contains(&plan.hash), "{}", message(&waiting, "Ready"));
    assert!(
        plan.summary.contains("`photos`") && plan.summary.contains("`photos-archive/`"),
        "{}",
        plan.summary
    );
    world.wait_event("photos", "ApprovalRequired").await;

    // Edited after somebody looked: what was approved is not what would be done.
    migration.patch(json!({ "spec": { "destination": { "prefix": "edited/" } } })).await;
    approve(&migration, &plan.hash).await;
    let stale = migration
        .wait("says that the hash is stale", |task| {
            message(task, "Ready").contains("`spec.approvedPlan` is stale")
        })
        .await;
    let fresh = stale.status.unwrap().plan.unwrap();
    assert_ne!(fresh.hash, plan.hash);
    world.let_polls_pass(4).await;
    assert_eq!(world.journal("CreateTask").await, Vec::<Value>::new());

    approve(&migration, &fresh.hash).await;
    migration.wait_phase(Phase::Succeeded).await;
    assert_eq!(world.effects("CreateTask").await.len(), 1);
    assert!(world.destination.object("photos-archive", "edited/00000.txt").is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_that_waits_for_approval_can_be_deleted() {
    let world = World::start().await;
    let migration = world.migration("photos").with("/approval", "Required").apply().await;
    migration.wait_condition("Ready", "False", "ApprovalRequired").await;
    migration.delete().await;
    migration.wait_gone().await;
    assert_eq!(world.journal("CreateTask").await, Vec::<Value>::new());
}
