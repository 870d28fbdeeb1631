//! Argo CD, a Git repository, the operator and OMS together, on manifests of `examples/`.

use kube::ResourceExt;
use oms_operator::api::{self, MigrationTask, Phase};
use oms_operator::dev::bucket::Bucket;
use serde_json::{Value, json};

use crate::application::{Application, example};
use crate::eventually;
use crate::install::Install;

fn phase(task: &MigrationTask) -> Option<Phase> {
    task.status.as_ref()?.phase
}

fn id(task: &MigrationTask) -> Option<String> {
    task.status.as_ref()?.task_id.clone()
}

/// A migration that goes at the slowest pace there is.
fn slow(name: &str) -> Value {
    example("first-migration.yaml", name, |manifest| {
        manifest["spec"]["bandwidthPolicy"] =
            json!([{ "start": "00:00", "end": "23:59", "maxBandwidth": "1Mi" }]);
    })
}

fn windows(task: &MigrationTask) -> Value {
    serde_json::to_value(&task.spec.bandwidth_policy).unwrap()
}

/// An edit by hand of what Git owns, which a self-heal takes back.
fn other_windows() -> Value {
    json!({ "spec": { "bandwidthPolicy": [{ "start": "00:00", "end": "23:59", "maxBandwidth": "7Mi" }] } })
}

async fn wait_reverted(application: &Application, wanted: &Value) {
    eventually("the edit by hand is taken back", async || {
        let found = windows(&application.task().await);
        if found == *wanted { Ok(()) } else { Err(found.to_string()) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_migration_goes_from_progressing_to_healthy_and_is_in_sync_after_a_hundred_reconciles() {
    let name = "pictures";
    let install = Install::shared();
    Application::fill_buckets(&install, name, 5, 1000).await;
    let manifest = example("first-migration.yaml", name, |_| ());
    let application = Application::create(&install, name, &manifest).await;
    let mut seen = Vec::new();
    eventually("the migration is Healthy", async || {
        let (health, message) = application.health().await;
        if !health.is_empty() && seen.last() != Some(&health) {
            seen.push(health.clone());
        }
        if health == "Healthy" { Ok(()) } else { Err(format!("{health}: {message}")) }
    })
    .await;
    // Argo CD's own word for what it has not applied yet.
    seen.retain(|health| health != "Missing");
    assert_eq!(seen, ["Progressing", "Healthy"]);
    let message = application.wait_health("Healthy").await;
    assert!(message.contains("5 objects"), "{message}");
    assert_eq!(application.copied().await, 5);

    let before = application.task().await;
    for number in 0..100 {
        let word = format!("look-{number}");
        application
            .edit(json!({ "metadata": { "annotations": { api::RECONCILE_REQUESTED_AT: word } } }))
            .await;
        eventually("the operator has looked", async || {
            let task = application.task().await;
            let handled = task.status.and_then(|status| status.last_handled_reconcile_at);
            if handled.as_ref() == Some(&word) { Ok(()) } else { Err(format!("{handled:?}")) }
        })
        .await;
        if number % 10 == 9 {
            application.refresh("normal").await;
        }
        assert_eq!(application.sync_status().await, "Synced", "after {word}");
    }
    application.refresh("hard").await;
    application.wait_health("Healthy").await;
    let after = application.task().await;
    assert_eq!(after.metadata.generation, before.metadata.generation, "the operator never writes the spec");
    assert_eq!(id(&after), id(&before));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_migration_is_degraded_and_the_action_retry_starts_it_again() {
    let name = "failing";
    let install = Install::shared();
    let places = &install.places;
    Bucket::new(&places.destination, &format!("{name}-archive")).unwrap().create().await.unwrap();
    let manifest = example("without-checks.yaml", name, |manifest| {
        manifest["spec"]["source"]["objectKeys"] = json!([""]);
        manifest["spec"]["retry"] = json!({ "limit": 0 });
    });
    let application = Application::create(&install, name, &manifest).await;
    let message = application.wait_health("Degraded").await;
    assert!(message.contains("TRF.0155") && message.contains("`spec.retry.limit`"), "{message}");
    let failed = application.task().await;

    let source = Bucket::new(&places.source, name).unwrap();
    source.create().await.unwrap();
    source.put("a.bin", "application/octet-stream", &[], "here now".into()).await.unwrap();
    application.act("retry").await;
    // Git owns the limit and gets it back; the one start that was asked for is made all the same.
    application.wait_health("Healthy").await;
    let done = application.task().await;
    assert_eq!(id(&done), id(&failed), "the same task at OMS");
    assert_eq!(done.spec.runs.retry.map(|retry| retry.limit), Some(0));
    assert_eq!(application.copied().await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_migration_that_git_suspends_is_suspended_until_git_lets_it_run() {
    let name = "suspended";
    let install = Install::shared();
    Application::fill_buckets(&install, name, 2, 100).await;
    let mut manifest = example("suspended.yaml", name, |manifest| {
        manifest["spec"]["type"] = json!("prefix");
    });
    let application = Application::create(&install, name, &manifest).await;
    let message = application.wait_health("Suspended").await;
    assert!(message.contains("`spec.suspend`"), "{message}");
    assert_eq!(id(&application.task().await), None, "nothing was created at OMS");
    manifest["spec"].as_object_mut().unwrap().remove("suspend");
    application.commit(Some(&manifest)).await;
    application.wait_health("Healthy").await;
    assert_eq!(application.copied().await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn self_heal_takes_an_edit_by_hand_back_and_prune_deletes_the_object_and_its_task() {
    let name = "pruned";
    let install = Install::shared();
    Application::fill_buckets(&install, name, 2, 100).await;
    let application =
        Application::create(&install, name, &example("first-migration.yaml", name, |_| ())).await;
    application.wait_health("Healthy").await;
    let of_git = windows(&application.task().await);
    let edited = application.edit(other_windows()).await;
    assert_ne!(windows(&edited), of_git);
    wait_reverted(&application, &of_git).await;

    let remote = id(&application.task().await).unwrap();
    assert!(application.remote_ids().await.contains(&remote));
    application.commit(None).await;
    eventually("the object is gone", async || {
        let found = application.find_task().await;
        found.map_or(Ok(()), |task| Err(format!("{:?} {:?}", phase(&task), task.finalizers())))
    })
    .await;
    assert!(!application.remote_ids().await.contains(&remote), "its task at OMS is gone too");
    assert_eq!(application.copied().await, 2, "what was copied stays");
}

/// Stops a migration by an action and lets Argo CD heal itself of something else; the stop stays.
async fn suspend_by_action(name: &str, options: Value) {
    let install = Install::shared();
    Application::fill_buckets(&install, name, 12, 1 << 20).await;
    let application = Application::create_with(&install, name, &slow(name), options).await;
    eventually("the migration runs", async || {
        let task = application.find_task().await;
        let phase = task.as_ref().and_then(phase);
        if phase == Some(Phase::Running) { Ok(()) } else { Err(format!("{phase:?}")) }
    })
    .await;
    let of_git = windows(&application.task().await);
    application.act("suspend").await;
    application.wait_health("Suspended").await;
    application.edit(other_windows()).await;
    wait_reverted(&application, &of_git).await;
    for how in ["normal", "hard"] {
        application.refresh(how).await;
        application.wait_health("Suspended").await;
        assert_eq!(application.task().await.spec.lifecycle.suspend, Some(true), "after a {how} refresh");
    }
    application.act("resume").await;
    application.wait_health("Healthy").await;
    assert_eq!(application.task().await.spec.lifecycle.suspend, None);
    assert_eq!(application.copied().await, 12);
    application.delete().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_migration_that_an_action_suspended_stays_so_through_self_heal() {
    suspend_by_action("stopped", json!([])).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_migration_that_an_action_suspended_stays_so_where_argo_cd_applies_server_side() {
    suspend_by_action("stopped-ssa", json!(["ServerSideApply=true"])).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_actions_approve_and_rerun_do_what_they_say_and_stay() {
    let name = "approved";
    let install = Install::shared();
    Application::fill_buckets(&install, name, 1, 100).await;
    let manifest = example("approval.yaml", name, |manifest| {
        manifest["spec"]["source"]["objectKeys"] = json!([""]);
        manifest["spec"].as_object_mut().unwrap().remove("approvedPlan");
    });
    let application = Application::create(&install, name, &manifest).await;
    application.wait_health("Suspended").await;
    application.act("approve").await;
    application.wait_health("Healthy").await;
    let first = application.task().await;
    application.act("rerun").await;
    // Another run is another plan, which somebody has to approve.
    application.wait_health("Suspended").await;
    application.act("approve").await;
    application.wait_health("Healthy").await;
    let second = application.task().await;
    let status = second.status.clone().unwrap();
    assert_eq!((status.run, status.history.len()), (Some(2), 1));
    assert_ne!(id(&second), id(&first));
    application.refresh("hard").await;
    application.wait_health("Healthy").await;
}
