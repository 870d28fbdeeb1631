//! Installed, upgraded, rolled back, uninstalled and installed again: what runs at OMS goes on, once.

use oms_operator::api::Phase;

use super::release::{Place, bare};
use crate::world::{Setup, eventually};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_migration_survives_everything_that_happens_to_the_release() {
    let world = bare(Setup::default().behaving("objectRate", 2.0)).await;
    let place = Place::new(&world, "oms-system").await;
    // Helm waits until both replicas are ready, under the strictest rules for pods.
    place.deploy("install", "oms", &[]).await;
    let pods = place.pods().await;
    assert_eq!(pods.values().collect::<Vec<_>>(), [&true, &true], "{pods:?}");
    world.connect().await;
    world.put_objects(200).await;
    let migration = world.migration("photos").kubectl_apply().await;
    migration.wait_condition("Ready", "False", "Running").await;

    place.deploy("upgrade", "oms", &["--set", "podAnnotations.restarted=yes"]).await;
    eventually("only pods of the upgrade are left", async || {
        let upgraded = place.pods().await;
        let left = upgraded.keys().any(|name| pods.contains_key(name));
        if left || upgraded.len() != 2 { Err(format!("{pods:?} became {upgraded:?}")) } else { Ok(()) }
    })
    .await;
    place.helm(&["rollback", "oms", "1", "--wait", "--timeout", "80s"]).await;
    migration.nudge("after the rollback").await;
    migration
        .wait("is looked at by the pods of the rollback", |task| {
            let status = task.status.as_ref().unwrap();
            status.last_handled_reconcile_at.as_deref() == Some("after the rollback")
        })
        .await;

    place.helm(&["uninstall", "oms", "--wait"]).await;
    place.wait_empty().await;
    assert_eq!(world.remote_tasks().await.len(), 1, "an uninstall deletes no task");
    assert_eq!(migration.status().await.phase, Some(Phase::Running));
    let left = world.kubectl(&["get", "crd", "migrationtasks.oms-operator.io", "-o", "name"]).await;
    assert!(left.contains("migrationtasks"), "the definitions are kept");

    // Under another name over the definitions that were kept.
    place.deploy("install", "again", &["--take-ownership"]).await;
    world.emulator.clock().set_scale(1000.0);
    migration.wait_phase(Phase::Succeeded).await;
    for (operation, count) in [("CreateTask", 1), ("StopTask", 0), ("StartTask", 0), ("DeleteTask", 0)] {
        assert_eq!(world.effects(operation).await.len(), count, "{operation}");
    }
    for number in 0..200 {
        let key = format!("{number:05}.txt");
        assert_eq!(world.destination.object("photos-archive", &key).unwrap().writes, 1, "{key}");
    }
}
