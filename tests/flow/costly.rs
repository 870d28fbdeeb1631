//! What costs a lot is not done without a word, and what costs more than it has to is told.

use oms_operator::api::Phase;
use serde_json::{Value, json};

use crate::migration::{condition, message};
use crate::world::{Setup, World};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn archived_objects_are_not_restored_twice_without_a_word() {
    let world = Setup::default().every_cloud().behaving("objectRate", 5.0).start().await;
    world.put_objects(30).await;
    let migration = world
        .migration("photos")
        .with("/source/cloudType", "Aliyun")
        .with("/source/region", "cn-hangzhou")
        .with("/enableRestore", true)
        .apply()
        .await;
    migration.wait_condition("Ready", "False", "Running").await;
    migration.suspend(true).await;
    migration.wait_phase(Phase::Stopped).await;
    migration.suspend(false).await;
    let asks = migration.wait_condition("Ready", "False", "AcknowledgementRequired").await;
    let words = message(&asks, "Ready");
    assert!(words.contains("`RestoreAgain`") && words.contains("`spec.acknowledge`"), "{words}");
    world.let_polls_pass(6).await;
    assert_eq!(world.journal("StartTask").await, Vec::<Value>::new());
    migration.patch(json!({ "spec": { "acknowledge": ["RestoreAgain"] } })).await;
    migration.wait_phase(Phase::Succeeded).await;
    assert_eq!(world.effects("StartTask").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_overwrites_whatever_is_there_is_refused_until_the_word_is_said() {
    let world = World::start().await;
    world.put_objects(1).await;
    let urls =
        json!({ "cloudType": "URLSource", "listFile": { "bucket": "photos-archive", "key": "urls.txt" } });
    let full = || world.migration("full").with("/overwriteMode", "FULL_OVERWRITE");
    let unchecked = || {
        let draft = world.migration("unchecked").with("/type", "url_list").with("/source", urls.clone());
        draft.with("/consistencyCheck", "no_check").with("/suspend", true)
    };
    for (silent, word) in [(full(), "FullOverwrite"), (unchecked(), "NoCheck")] {
        let (accepted, said) = world.try_kubectl(&["apply", "-f", "-"], &silent.manifest().to_string()).await;
        assert!(!accepted && said.contains(word) && said.contains("acknowledge"), "{said}");
    }
    let done = full().with("/acknowledge", json!(["FullOverwrite"])).kubectl_apply().await;
    done.wait_phase(Phase::Succeeded).await;
    let held = unchecked().with("/acknowledge", json!(["NoCheck"])).kubectl_apply().await;
    held.wait_phase(Phase::Stopped).await;
    assert_eq!(world.effects("CreateTask").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_that_should_have_been_a_group_is_told_once_it_is_counted_and_goes_on() {
    let world = Setup::default().behaving("objectRate", 4.0).start().await;
    world.put_objects(30).await;
    // Nobody moves five terabytes for a test: OMS only says that it does.
    for operation in ["ShowTask", "ListTasks"] {
        let large = json!({ "total_size": 5_i64 << 40, "is_query_over": true });
        world.fault(json!({ "operation": operation, "kind": "taskMembers", "members": large })).await;
    }
    let migration = world.migration("photos").apply().await;
    let told = migration.wait_condition("Oversized", "True", "TaskGroupRecommended").await;
    let words = message(&told, "Oversized");
    assert!(words.contains("create a TaskGroup instead") && words.contains("Let it run"), "{words}");
    assert_eq!(condition(&told, "Stalled"), None);
    world.wait_event("photos", "TaskGroupRecommended").await;
    migration.wait_phase(Phase::Succeeded).await;
    let events = world.events("photos").await;
    let warnings = events.iter().filter(|event| event.starts_with("TaskGroupRecommended: ")).count();
    assert_eq!(warnings, 1, "{events:#?}");
    assert_eq!(world.effects("CreateTask").await.len(), 1);
}
