//! The annotation that asks for a look now, on every kind that has something at OMS to look at.

use std::time::Duration;

use kube::api::{Patch, PatchParams};
use oms_operator::api::{Connection, Phase};
use serde_json::json;

use crate::migration::phase_of;
use crate::operator::OperatorFlags;
use crate::world::{CONNECTION, Setup, eventually};

/// Regression: on a MigrationTask or a TaskGroup the annotation was answered without a look at OMS.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_asks_for_a_look_does_not_wait_for_the_next_poll() {
    // The first poll of a project is made at once; the second would come long after this test.
    let flags = OperatorFlags { poll: Duration::from_hours(1), ..OperatorFlags::default() };
    let world = Setup::default()
        .behaving("minimumRunMs", 4_000)
        .behaving("groupStartDelayMs", 50)
        .behaving("groupCreationMs", 100)
        .operated(flags)
        .start()
        .await;
    world.put_objects(1).await;
    let migration = world.migration("photos").apply().await;
    migration.wait("is known", |task| phase_of(task) == Some(Phase::Running)).await;
    eventually("the task is done at OMS", async || {
        let tasks = world.remote_tasks().await;
        if tasks[0]["status"] == 5 { Ok(()) } else { Err(tasks[0]["status"].to_string()) }
    })
    .await;
    assert_eq!(phase_of(&migration.get().await), Some(Phase::Running), "nobody has looked yet");
    migration.nudge("now").await;
    let done = migration.wait_phase(Phase::Succeeded).await;
    assert_eq!(done.status.unwrap().last_handled_reconcile_at.as_deref(), Some("now"));

    let group = world.group("group").with("/destination/prefix", "group/").apply().await;
    group.wait("is known", |group| phase_of(group) == Some(Phase::Running)).await;
    eventually("the group is done at OMS", async || {
        let groups = world.remote_groups().await;
        if groups[0]["status"] == 6 { Ok(()) } else { Err(groups[0]["status"].to_string()) }
    })
    .await;
    group.nudge("now").await;
    let done = group.wait_phase(Phase::Succeeded).await;
    assert_eq!(done.status.unwrap().last_handled_reconcile_at.as_deref(), Some("now"));

    // A connection makes its live call again.
    let lists = world.journal("ListTasks").await.len();
    let asked = json!({ "metadata": { "annotations": { "oms-operator.io/reconcile-requested-at": "now" } } });
    let connections = world.api::<Connection>();
    connections.patch(CONNECTION, &PatchParams::default(), &Patch::Merge(asked)).await.unwrap();
    eventually("the connection has answered", async || {
        let status = connections.get(CONNECTION).await.map_err(|error| error.to_string())?.status;
        let handled = status.and_then(|status| status.last_handled_reconcile_at);
        if handled.as_deref() == Some("now") { Ok(()) } else { Err(format!("{handled:?}")) }
    })
    .await;
    assert_eq!(world.journal("ListTasks").await.len(), lists + 1);
}
