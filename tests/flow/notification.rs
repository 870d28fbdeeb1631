//! Somebody is told about the end of a task, and what became of that is in its status.

use oms_operator::api::{NotificationResult, Phase};
use serde_json::{Value, json};

use crate::migration::{Migration, condition, message};
use crate::operator::OperatorFlags;
use crate::world::{PROJECT, REGION, Setup, World};

fn topic(name: &str) -> String {
    format!("urn:smn:{REGION}:{PROJECT}:{name}")
}

fn notification(name: &str, triggers: Value) -> Value {
    json!({ "topicUrn": topic(name), "triggers": triggers, "language": "zh-cn", "template": "oms" })
}

async fn notifications(world: &World) -> Vec<Value> {
    world.admin("/notifications").await["notifications"].as_array().unwrap().clone()
}

/// A world whose operator does not make anybody wait for minutes.
fn hurried() -> Setup {
    Setup::default().operated(OperatorFlags::default().scaled(60))
}

async fn told(migration: &Migration<'_>, result: NotificationResult) -> oms_operator::api::MigrationTask {
    migration
        .wait(&format!("tells that its notification is {result:?}"), |task| {
            let told = task.status.as_ref().and_then(|status| status.notification.as_ref());
            told.is_some_and(|told| told.result == result)
        })
        .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_topic_hears_of_success_and_of_failure_and_the_status_tells_so() {
    let world = World::start().await;
    world.put_objects(3).await;
    let good = world
        .migration("good")
        .with("/notification", notification("migrations", json!(["SUCCESS", "FAILURE"])))
        .apply()
        .await;
    let running = good
        .wait("has an ID", |task| task.status.as_ref().is_some_and(|status| status.task_id.is_some()))
        .await;
    assert_eq!(running.status.unwrap().notification, None, "nothing has ended yet");
    good.wait_phase(Phase::Succeeded).await;
    let done = told(&good, NotificationResult::Sent).await.status.unwrap();
    assert_eq!(done.notification.unwrap().topic_name.as_deref(), Some("migrations"));

    let entries = notifications(&world).await;
    assert_eq!(entries.len(), 1, "{entries:#?}");
    for (member, value) in [
        ("topicUrn", json!(topic("migrations"))),
        ("trigger", json!("SUCCESS")),
        ("language", json!("zh-cn")),
        ("template", json!("oms")),
        ("taskId", json!(done.task_id)),
    ] {
        assert_eq!(entries[0][member], value, "{member}");
    }

    // A failure that the operator tries again is told every time; an end that nobody asked about is not.
    world
        .secret(
            "wrong",
            &[("accessKey", &world.source_keys.access), ("secretKey", "this-is-not-the-secret-key")],
        )
        .await;
    let failing = |name: &str, triggers: Value| {
        world
            .migration(name)
            .with("/source/credentials/secretRef/name", "wrong")
            .with("/notification", notification("migrations", triggers))
    };
    let bad = failing("bad", json!(["FAILURE"])).apply().await;
    let failed = told(&bad, NotificationResult::Sent).await;
    assert_eq!(condition(&failed, "Ready").unwrap().1, "RetryScheduled");
    let quiet = failing("quiet", json!(["SUCCESS"])).apply().await;
    let quiet = quiet.wait_condition("Ready", "False", "RetryScheduled").await;
    assert_eq!(quiet.status.unwrap().notification, None);
    let entries = notifications(&world).await;
    assert_eq!(entries.len(), 2, "{entries:#?}");
    assert_eq!(
        (&entries[1]["trigger"], &entries[1]["taskId"]),
        (&json!("FAILURE"), &json!(failed.status.unwrap().task_id))
    );

    // A task that is over costs nothing, with its notification told.
    let calls = world.journal("ShowTask").await.len();
    world.let_polls_pass(8).await;
    let later: Vec<_> = world.journal("ShowTask").await.split_off(calls);
    let id = done.task_id.unwrap();
    assert!(later.iter().all(|entry| entry["task"].as_str() != Some(&id)), "{later:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_notification_that_fails_fails_no_task_and_is_told() {
    let topics = json!([{ "urn": topic("broken"), "deliveryError": "S3M.0158" }]);
    let world = Setup::default().configured("smnTopics", topics).start().await;
    world.put_objects(2).await;
    let migration = world
        .migration("photos")
        .with("/notification", notification("broken", json!(["SUCCESS"])))
        .apply()
        .await;
    let done = migration.wait_phase(Phase::Succeeded).await;
    assert_eq!(condition(&done, "Ready"), Some(("True".into(), "Succeeded".into())));
    let ready = message(&done, "Ready");
    assert!(ready.contains("2 objects copied") && ready.contains("could not be sent (S3M.0158)"), "{ready}");
    let told = done.status.unwrap().notification.unwrap();
    assert_eq!((told.result, told.message.as_deref()), (NotificationResult::Failed, Some("S3M.0158")));
    assert!(told.remedy.unwrap().contains("Authorize OMS"));
    world.wait_event("photos", "NotificationFailed").await;
    world.wait_event("photos", "Succeeded").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_that_cannot_be_used_is_told_before_anything_is_copied() {
    let topics = json!([{ "urn": topic("migrations") }, { "urn": topic("closed"), "authorized": false }]);
    let world = hurried().configured("smnTopics", topics).start().await;
    world.put_objects(2).await;
    let asking = |name: &str, urn: String| {
        world
            .migration(name)
            .with("/notification", json!({ "topicUrn": urn, "triggers": ["SUCCESS"] }))
            .with("/destination/prefix", format!("{name}/"))
    };

    let elsewhere = asking("elsewhere", format!("urn:smn:cn-south-1:{PROJECT}:migrations")).apply().await;
    let told = elsewhere.wait_condition("Ready", "False", "InvalidSpec").await;
    assert!(message(&told, "Ready").contains("`notification.topicUrn` is in region cn-south-1"));
    assert_eq!(condition(&told, "Stalled"), Some(("True".into(), "InvalidSpec".into())));
    assert_eq!(world.journal("CreateTask").await, Vec::<Value>::new(), "OMS need not be asked");

    let unknown = asking("unknown", topic("unknown")).apply().await;
    let told = unknown.wait_condition("Ready", "False", "RefusedForNow").await;
    let ready = message(&told, "Ready");
    assert!(ready.contains("`notification.topicUrn`") && ready.contains("OMS.0169"), "{ready}");

    let closed = asking("closed", topic("closed")).apply().await;
    let told = closed.wait_condition("Ready", "False", "PermissionDenied").await;
    let ready = message(&told, "Ready");
    assert!(ready.contains("`notification.topicUrn`") && ready.contains("OMS.0158"), "{ready}");

    // Nothing was created, so the spec can be corrected.
    for migration in [elsewhere, unknown, closed] {
        migration.correct(json!({ "spec": { "notification": { "topicUrn": topic("migrations") } } })).await;
        migration.wait_phase(Phase::Succeeded).await;
    }
    assert_eq!(notifications(&world).await.len(), 3);
}
