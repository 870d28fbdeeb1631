//! OMS's checks before a create.

use oms_operator::api::{CheckResult, Phase};
use serde_json::Value;

use crate::migration::{condition, message};
use crate::operator::OperatorFlags;
use crate::world::{SOURCE_SECRET, Setup, World};

const CHECKS: [&str; 6] = [
    "ShowBucketList",
    "ShowBucketObjects",
    "ShowBucketRegion",
    "CheckPrefix",
    "ShowCdnInfo",
    "CheckUrlSourceListFileFormat",
];

/// The checks that OMS was asked for, the oldest first.
async fn asked(world: &World) -> Vec<Value> {
    let mut entries = world.journal("*").await;
    entries.retain(|entry| CHECKS.contains(&entry["operation"].as_str().unwrap()));
    entries
}

fn hurried() -> Setup {
    Setup::default().operated(OperatorFlags::default().scaled(60))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn buckets_keys_and_prefixes_are_checked_before_the_create_and_once_for_all_objects() {
    let mut world = World::start().await;
    world.put_objects(3).await;
    let first = world.migration("first").with("/preflight", "Full").kubectl_apply().await;
    let done = first.wait_phase(Phase::Succeeded).await;
    assert_eq!(condition(&done, "PreflightPassed"), Some(("True".into(), "PreflightPassed".into())));
    let told = "SourceBucket Passed; ObjectKeys[0] Passed; DestinationBucket Passed";
    assert_eq!(message(&done, "PreflightPassed"), told);
    let all = asked(&world).await;
    assert_eq!(all.len(), 3, "{all:#?}");
    let created = &world.journal("CreateTask").await[0];
    assert!(all.iter().all(|check| check["seq"].as_u64() < created["seq"].as_u64()));
    assert!(all.iter().all(|check| check["effect"] != true), "a check changes nothing");

    // The same buckets and keys: nobody asks again, and neither does another process what is on record.
    let second =
        world.migration("second").with("/preflight", "Full").with("/approval", "Required").apply().await;
    second.wait_condition("Ready", "False", "ApprovalRequired").await;
    assert_eq!(asked(&world).await.len(), 3);
    world.operator().kill();
    world.start_operator(&OperatorFlags::default()).await;
    let second = world.existing("second");
    let hash = second.status().await.plan.unwrap().hash;
    second.patch(serde_json::json!({ "spec": { "approvedPlan": hash } })).await;
    second.wait_phase(Phase::Succeeded).await;
    assert_eq!(asked(&world).await.len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_destination_bucket_is_told_before_anything_is_created_until_it_is_there() {
    let world = hurried().start().await;
    world.put_objects(2).await;
    let migration = world
        .migration("photos")
        .with("/preflight", "Full")
        .with("/destination/bucket", "not-there-yet")
        .kubectl_apply()
        .await;
    let blocked = migration.wait_condition("Ready", "False", "PreflightFailed").await;
    assert_eq!(blocked.status.as_ref().unwrap().phase, Some(Phase::Pending));
    assert_eq!(condition(&blocked, "Reconciling"), Some(("True".into(), "PreflightFailed".into())));
    assert_eq!(condition(&blocked, "PreflightPassed"), Some(("False".into(), "PreflightFailed".into())));
    let words = message(&blocked, "Ready");
    for word in
        ["`destination.bucket`", "create the bucket", "checks again by itself", "`preflight: \"Off\"`"]
    {
        assert!(words.contains(word), "{words}");
    }
    migration
        .wait("looks again at growing intervals", |task| {
            task.status.as_ref().unwrap().preflight.as_ref().is_some_and(|preflight| preflight.failures >= 2)
        })
        .await;
    world.wait_event("photos", "PreflightFailed").await;
    assert_eq!(world.journal("CreateTask").await, Vec::<Value>::new());

    world.destination_bucket("not-there-yet").create().await.unwrap();
    migration.nudge("created").await;
    migration.wait_phase(Phase::Succeeded).await;
    assert_eq!(world.effects("CreateTask").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_keys_are_told_before_anything_is_created_and_corrected_ones_are_noticed() {
    let world = World::start().await;
    world.put_objects(2).await;
    world.secret(SOURCE_SECRET, &[("accessKey", "AKWRONG"), ("secretKey", "wrong")]).await;
    let migration = world.migration("photos").with("/preflight", "Full").apply().await;
    let blocked = migration.wait_condition("Ready", "False", "PreflightFailed").await;
    let words = message(&blocked, "Ready");
    assert!(words.contains("`source.credentials.secretRef`"), "{words}");
    let failed: Vec<_> = blocked.status.unwrap().preflight.unwrap().checks;
    let result = |name: &str| failed.iter().find(|check| check.check == name).map(|check| check.result);
    assert_eq!(result("SourceBucket"), Some(CheckResult::Failed));
    assert_eq!(result("DestinationBucket"), Some(CheckResult::Passed));
    assert_eq!(result("ObjectKeys[0]"), None, "nothing to ask while the bucket cannot be opened");
    assert_eq!(world.journal("CreateTask").await, Vec::<Value>::new());

    let keys = &world.source_keys;
    world.secret(SOURCE_SECRET, &[("accessKey", &keys.access), ("secretKey", &keys.secret)]).await;
    migration.wait_phase(Phase::Succeeded).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_blocked_by_a_check_can_be_edited_and_deleted() {
    let world = World::start().await;
    world.put_objects(1).await;
    let migration = world
        .migration("photos")
        .with("/preflight", "Full")
        .with("/source/objectKeys", serde_json::json!(["no-such-folder/"]))
        .apply()
        .await;
    let blocked = migration.wait_condition("Ready", "False", "PreflightFailed").await;
    assert!(message(&blocked, "Ready").contains("has nothing below `no-such-folder/`"));
    migration.patch(serde_json::json!({ "spec": { "source": { "objectKeys": ["0000"] } } })).await;
    migration.wait_phase(Phase::Succeeded).await;

    let other =
        world.migration("other").with("/preflight", "Full").with("/source/bucket", "nowhere").apply().await;
    other.wait_condition("Ready", "False", "PreflightFailed").await;
    other.delete().await;
    other.wait_gone().await;
    assert_eq!(world.effects("CreateTask").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_of_urls_is_checked_by_oms() {
    let world = World::start().await;
    world.put_objects(1).await;
    let lists = world.destination_bucket("lists");
    lists.create().await.unwrap();
    lists.put("urls.txt", "text/plain", &[], "no url at all".into()).await.unwrap();
    let migration = world
        .migration("photos")
        .with("/preflight", "Full")
        .with("/type", "url_list")
        .with(
            "/source",
            serde_json::json!({ "cloudType": "URLSource", "listFile": { "bucket": "lists", "key": "urls.txt" } }),
        )
        .apply()
        .await;
    let blocked = migration.wait_condition("Ready", "False", "PreflightFailed").await;
    assert!(message(&blocked, "Ready").contains("`source.listFile`"), "{}", message(&blocked, "Ready"));
    assert_eq!(world.journal("CreateTask").await, Vec::<Value>::new());
    assert_eq!(asked(&world).await[0]["operation"], "CheckUrlSourceListFileFormat");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_of_another_region_is_told_with_the_region_that_it_lies_in() {
    let world = World::start().await;
    world.put_objects(1).await;
    let draft = world.migration("photos").with("/preflight", "Full").with("/source/region", "us-east-1");
    let migration = draft.apply().await;
    let blocked = migration.wait_condition("Ready", "False", "PreflightFailed").await;
    let words = message(&blocked, "Ready");
    for word in ["`source.region`", "lies in eu-west-1, not in us-east-1", "Correct the region"] {
        assert!(words.contains(word), "{words}");
    }
    assert_eq!(world.journal("CreateTask").await, Vec::<Value>::new());
    migration.patch(serde_json::json!({ "spec": { "source": { "region": "eu-west-1" } } })).await;
    migration.wait_phase(Phase::Succeeded).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_temporary_keys_cannot_be_checked_for_is_told_and_holds_nothing_up() {
    let world = World::start().await;
    world.put_objects(2).await;
    let keys = &world.source_keys;
    let temporary = [("accessKey", &*keys.access), ("secretKey", &*keys.secret), ("securityToken", "token")];
    world.secret(SOURCE_SECRET, &temporary).await;
    let migration = world.migration("photos").with("/preflight", "Full").apply().await;
    let done = migration.wait_phase(Phase::Succeeded).await;
    let told = condition(&done, "PreflightPassed");
    assert_eq!(told, Some(("Unknown".into(), "PreflightIncomplete".into())));
    let words = message(&done, "PreflightPassed");
    assert!(words.contains("SourceBucket NotPossible: OMS takes no temporary keys"), "{words}");
    assert!(words.contains("DestinationBucket Passed"), "{words}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn checks_that_oms_throttles_are_waited_for_and_fail_nothing() {
    let world = Setup::default().operated(OperatorFlags::default().scaled(10)).start().await;
    world.put_objects(1).await;
    world.wait_connection("default", "True", "Connected").await;
    let throttle = serde_json::json!({ "operation": "ShowBucketRegion", "kind": "throttle", "times": 2 });
    world.fault(throttle).await;
    for number in 0..6 {
        let draft = world.migration(&format!("photos-{number}")).with("/preflight", "Full");
        draft.with("/destination/prefix", format!("{number}/")).apply().await;
    }
    for number in 0..6 {
        let done = world.existing(&format!("photos-{number}")).wait_phase(Phase::Succeeded).await;
        assert_eq!(condition(&done, "PreflightPassed"), Some(("True".into(), "PreflightPassed".into())));
    }
    // Six objects with the same buckets and keys: each question once, beside those that were turned away.
    let all = asked(&world).await;
    let answered = all.iter().filter(|check| check["status"] == 200).count();
    assert!(answered == 3 && all.len() <= 6, "{all:#?}");
}
