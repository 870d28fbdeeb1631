//! The chart of migrations: what teams keep in Helm becomes objects, and Helm waits for them as their `readyWhen` says.

use oms_operator::api::{Connection, MigrationTask, Phase, SyncEvent, SyncTask, TaskGroup};
use serde_json::{Value, json};

use super::release::{MIGRATIONS, helm};
use crate::migration::Draft;
use crate::world::{SOURCE_SECRET, Setup, World};

/// `helm install --wait` of values.
async fn install(world: &World, name: &str, values: &Value, further: &[&str]) -> (bool, String) {
    let file = world.folder().join(format!("{name}.json"));
    std::fs::write(&file, values.to_string()).unwrap();
    let file = file.to_str().unwrap();
    let arguments = [&["install", name, MIGRATIONS, "--values", file, "--wait"], further].concat();
    helm(world, &world.namespace, &arguments).await
}

fn spec<K: oms_operator::engine::Transfer>(draft: &Draft<'_, K>) -> Value {
    json!({ "spec": draft.manifest()["spec"] })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn helm_waits_until_every_kind_is_ready() {
    let world = World::start().await;
    world.put_objects(5).await;
    let mut connection = world.connection_manifest();
    connection["spec"]["limits"] = json!({ "requestsPerSecond": 50 });
    let reference = json!({ "name": "second" });
    let values = json!({
        "commonLabels": { "team": "media" },
        "connections": { "second": { "spec": connection["spec"] } },
        "migrationTasks": {
            "photos": spec(&world.migration("photos").with("/connectionRef", reference)),
        },
        "taskGroups": { "many": spec(&world.group("many").with("/destination/prefix", "many/")) },
        "syncTasks": { "steady": spec(&world.sync_task("steady")) },
        "syncEvents": {
            "once": { "spec": { "syncTaskRef": { "name": "steady" }, "objectKeys": ["00000.txt"] } },
        },
    });
    let (succeeded, output) = install(&world, "team", &values, &["--timeout", "180s"]).await;
    assert!(succeeded, "{output}");
    assert_eq!(world.existing("photos").status().await.phase, Some(Phase::Succeeded));
    let event = world.api::<SyncEvent>().get("once").await.unwrap();
    assert_eq!(event.status.unwrap().phase, Some(Phase::Succeeded));
    for ready in [
        world.api::<Connection>().get("second").await.unwrap().metadata,
        world.api::<MigrationTask>().get("photos").await.unwrap().metadata,
        world.api::<TaskGroup>().get("many").await.unwrap().metadata,
        world.api::<SyncTask>().get("steady").await.unwrap().metadata,
    ] {
        assert_eq!(ready.labels.unwrap()["team"], "media");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn helm_fails_at_once_when_a_migration_has_failed_and_waits_no_longer_than_it_should() {
    let world = Setup::default().behaving("objectRate", 1.0).start().await;
    world.put_objects(200).await;
    // Ready means started: Helm does not wait for the end.
    let started = world.migration("started").with("/readyWhen", "Started");
    let values = json!({ "migrationTasks": { "started": spec(&started) } });
    let (succeeded, output) = install(&world, "running", &values, &["--timeout", "180s"]).await;
    assert!(succeeded, "{output}");
    assert_eq!(world.existing("started").status().await.phase, Some(Phase::Running));

    // One that has not ended is waited for.
    let slow = world.migration("slow").with("/destination/prefix", "slow/");
    let values = json!({ "migrationTasks": { "slow": spec(&slow) } });
    let (succeeded, output) = install(&world, "slow", &values, &["--timeout", "4s"]).await;
    assert!(!succeeded && output.contains("InProgress"), "{output}");
    assert_eq!(world.existing("slow").status().await.phase, Some(Phase::Running));

    let wrong = [("accessKey", "AKWRONG"), ("secretKey", "sk-wrong-never-to-be-seen")];
    world.secret(SOURCE_SECRET, &wrong).await;
    let failing = world.migration("failing").with("/retry", json!({ "limit": 0 }));
    let failing = failing.with("/destination/prefix", "failing/");
    let values = json!({ "migrationTasks": { "failing": spec(&failing) } });
    let (succeeded, output) = install(&world, "failing", &values, &["--timeout", "180s"]).await;
    // It does not wait for the timeout.
    assert!(!succeeded && output.contains("status: Failed") && !output.contains("deadline"), "{output}");
    assert_eq!(world.existing("failing").status().await.phase, Some(Phase::Failed));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_that_is_no_object_is_refused_by_its_name() {
    let world = Setup::default().unoperated().unconnected().start().await;
    for (values, word) in [
        (json!({ "migrationTask": {} }), "migrationTask"),
        (json!({ "migrationTasks": { "photos": {} } }), "spec"),
        (json!({ "migrationTasks": { "Photos": { "spec": { "type": "prefix" } } } }), "Photos"),
        (json!({ "syncTasks": { "a": { "spec": { "x": 1 }, "label": {} } } }), "label"),
    ] {
        let (succeeded, output) = install(&world, "wrong", &values, &["--dry-run=client"]).await;
        assert!(!succeeded && output.contains(word), "{values}: {output}");
    }
}
