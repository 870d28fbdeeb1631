//! Installed, upgraded, rolled back, uninstalled and installed again: what runs at OMS goes on, once.

use std::process::Command;

use oms_operator::api::Phase;

use super::release::{Place, bare};
use crate::world::{Setup, World, eventually};

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
    place.helm(&["rollback", "oms", "1", "--wait", "--timeout", "180s"]).await;
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

/// Runs `oms-operator release` as an administrator does.
async fn release(world: &World, further: &[&str]) -> (bool, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_oms-operator"));
    command.arg("release").args(further).env("KUBECONFIG", world.plane.kubeconfig());
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    (output.status.success(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn released_before_an_uninstall_objects_and_namespaces_can_be_deleted_and_tasks_go_on() {
    let world = bare(Setup::default().behaving("objectRate", 2.0)).await;
    let place = Place::new(&world, "oms-system").await;
    place.deploy("install", "oms", &["--set", "replicaCount=1"]).await;
    world.connect().await;
    world.put_objects(200).await;
    let migration = world.migration("photos").apply().await;
    migration.wait_condition("Ready", "False", "Running").await;
    let id = migration.status().await.task_id.unwrap();

    let (succeeded, told) = release(&world, &[]).await;
    assert!(
        !succeeded && told.contains("an operator runs") && told.contains("scale it to 0 first"),
        "{told}"
    );
    place.helm(&["uninstall", "oms", "--wait"]).await;
    place.wait_empty().await;
    let (succeeded, told) = release(&world, &["--dry-run"]).await;
    assert!(
        succeeded && told.contains("Would release 2 objects; 1 tasks stay at OMS, 1 of them still under way"),
        "{told}"
    );
    assert!(migration.get().await.metadata.finalizers.is_some(), "nothing was done");
    let (succeeded, told) = release(&world, &[]).await;
    let line = format!("MigrationTask {}/photos: stays at OMS as {id} (Running)", world.namespace);
    assert!(succeeded && told.contains(&line), "{told}");
    let (_, told) = release(&world, &[]).await;
    assert!(told.contains("Released 0 objects"), "{told}");

    world.kubectl(&["delete", "namespace", &world.namespace, "--timeout", "85s"]).await;
    assert_eq!(world.remote_tasks().await.len(), 1);
    for operation in ["StopTask", "DeleteTask"] {
        assert_eq!(world.journal(operation).await.len(), 0, "{operation}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_log_level_reaches_the_pods_and_restarts_none() {
    let world = bare(Setup::default()).await;
    let place = Place::new(&world, "oms-system").await;
    place.deploy("install", "oms", &[]).await;
    let (pods, processes) = (place.pods().await, place.kubelet.processes());
    place.deploy("upgrade", "oms", &["--set", "config.logLevel=warn"]).await;
    for pod in pods.keys() {
        eventually(&format!("{pod} says that it heard of it"), async || {
            let log = place.log(pod);
            let told =
                log.lines().any(|line| line.contains("changed, in effect now") && line.contains("\"warn\""));
            told.then_some(()).ok_or_else(|| log.lines().last().unwrap_or_default().to_owned())
        })
        .await;
    }
    assert_eq!(
        (place.pods().await, place.kubelet.processes()),
        (pods, processes),
        "the same pods and processes"
    );
}
