//! Sync events: every key is told at least once, and after a crash only what was not put on record is told again.

use kube::api::{DeleteParams, Patch, PatchParams};
use oms_operator::api::{Phase, SyncEvent, SyncTask};
use serde_json::{Value, json};

use crate::operator::OperatorFlags;
use crate::world::{World, eventually};

/// SyncEvents as a test writes and reads them.
pub(crate) trait SyncEvents {
    async fn apply_event(&self, name: &str, sync_task: &str, keys: &[String]);
    async fn wait_event_phase(&self, name: &str, phase: Phase) -> SyncEvent;
    /// Waits until `Ready` has a reason, and returns its message.
    async fn wait_event_reason(&self, name: &str, reason: &str) -> String;
    async fn wait_event_gone(&self, name: &str);
}

impl SyncEvents for World {
    async fn apply_event(&self, name: &str, sync_task: &str, keys: &[String]) {
        self.apply::<SyncEvent>(manifest(name, sync_task, keys)).await;
    }

    async fn wait_event_phase(&self, name: &str, phase: Phase) -> SyncEvent {
        let api = self.api::<SyncEvent>();
        eventually(&format!("SyncEvent {name} is {phase:?}"), async || {
            let event = api.get(name).await.map_err(|error| error.to_string())?;
            let holds = event.status.as_ref().and_then(|status| status.phase) == Some(phase);
            if holds { Ok(event) } else { Err(format!("{:#?}", event.status)) }
        })
        .await
    }

    async fn wait_event_reason(&self, name: &str, reason: &str) -> String {
        let api = self.api::<SyncEvent>();
        eventually(&format!("SyncEvent {name} says {reason}"), async || {
            let event = api.get(name).await.map_err(|error| error.to_string())?;
            let status = event.status.clone().unwrap_or_default();
            let ready = status.conditions.iter().find(|found| found.type_ == "Ready");
            let ready = ready.filter(|ready| ready.reason == reason);
            ready.map(|ready| ready.message.clone()).ok_or_else(|| format!("{status:#?}"))
        })
        .await
    }

    async fn wait_event_gone(&self, name: &str) {
        let api = self.api::<SyncEvent>();
        eventually(&format!("SyncEvent {name} is gone"), async || match api.get_opt(name).await {
            Ok(None) => Ok(()),
            Ok(Some(event)) => Err(format!("{:#?}", event.status)),
            Err(error) => Err(error.to_string()),
        })
        .await;
    }
}

fn manifest(name: &str, sync_task: &str, keys: &[String]) -> Value {
    json!({
        "apiVersion": "oms-operator.io/v1alpha1",
        "kind": "SyncEvent",
        "metadata": { "name": name },
        "spec": { "syncTaskRef": { "name": sync_task }, "objectKeys": keys },
    })
}

fn keys(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{number:05}.txt")).collect()
}

async fn synchronizing(world: &World, objects: usize) {
    world.put_objects(objects).await;
    world.sync_task("photos").apply().await.wait_phase(Phase::Synchronizing).await;
}

fn accepted(event: &SyncEvent) -> Option<i64> {
    event.status.as_ref()?.accepted
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_in_the_middle_only_the_call_whose_outcome_was_not_on_record_is_repeated() {
    let mut world = World::start().await;
    synchronizing(&world, 100).await;
    // The sixth call is carried out, and its answer never comes.
    let fault = json!({
        "operation": "CreateSyncEvents", "kind": "hang", "afterEffect": true, "nth": 6, "times": 1,
    });
    world.fault(fault).await;
    world.apply_event("hundred", "photos", &keys(100)).await;
    let api = world.api::<SyncEvent>();
    eventually("fifty keys are on record and the next ten are under way", async || {
        let event = api.get("hundred").await.map_err(|error| error.to_string())?;
        let calls = world.journal("CreateSyncEvents").await.len();
        let struck = world.admin("/faults").await["faults"][0]["struck"].as_u64();
        if accepted(&event) == Some(50) && struck == Some(1) {
            Ok(())
        } else {
            Err(format!("{calls} calls, struck {struck:?}, {:?}", event.status))
        }
    })
    .await;
    world.operator().kill();
    world.clear_faults().await;

    world.start_operator(&OperatorFlags::default()).await;
    let done = world.wait_event_phase("hundred", Phase::Succeeded).await;
    assert_eq!(accepted(&done), Some(100));
    let remote = world.remote_sync_tasks().await;
    assert_eq!(remote[0]["total"]["request"].as_u64(), Some(110), "ten keys twice: {remote:#?}");
    eventually("every object is copied", async || {
        let missing: Vec<_> = keys(100)
            .into_iter()
            .filter(|key| world.destination.object("photos-archive", key).is_none())
            .collect();
        if missing.is_empty() { Ok(()) } else { Err(format!("{} missing", missing.len())) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_for_a_sync_task_that_is_not_there_are_kept_until_it_is() {
    let world = World::start().await;
    world.put_objects(12).await;
    world.apply_event("early", "photos", &keys(12)).await;
    let words = world.wait_event_reason("early", "SyncTaskNotFound").await;
    assert!(words.contains("`photos`") && words.contains("`syncTaskRef.name`"), "{words}");
    assert!(words.contains(&world.namespace) && words.contains("Create it"), "{words}");
    assert_eq!(world.journal("CreateSyncEvents").await, Vec::<Value>::new());

    let task = world.sync_task("photos").apply().await;
    let done = world.wait_event_phase("early", Phase::Succeeded).await;
    assert_eq!(accepted(&done), Some(12));
    assert_eq!(world.effects("CreateSyncEvents").await.len(), 2, "ten and two");
    assert_eq!(done.status.unwrap().task_id, task.status().await.task_id);
    world.wait_event("early", "EventsAccepted").await;

    // One that is being deleted takes nothing more.
    task.patch(json!({ "metadata": { "finalizers": ["oms-operator.io/remote-task", "example.com/hold"] } }))
        .await;
    task.delete().await;
    world.apply_event("late", "photos", &keys(1)).await;
    let words = world.wait_event_reason("late", "SyncTaskDeleting").await;
    assert!(words.contains("is being deleted"), "{words}");
    let release = Patch::Merge(json!({ "metadata": { "finalizers": null } }));
    eventually("the operator has let go", async || {
        let found = world.api::<SyncTask>().get("photos").await.map_err(|error| error.to_string())?;
        let finalizers = found.metadata.finalizers.unwrap_or_default();
        if finalizers == ["example.com/hold"] { Ok(()) } else { Err(format!("{finalizers:?}")) }
    })
    .await;
    world.api::<SyncTask>().patch("photos", &PatchParams::default(), &release).await.unwrap();
    world.wait_event_reason("late", "SyncTaskNotFound").await;
    // Its own deletion waits for nobody.
    world.api::<SyncEvent>().delete("late", &DeleteParams::background()).await.unwrap();
    world.wait_event_gone("late").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn throttled_it_waits_and_refused_for_good_it_says_what_to_do() {
    let world = World::start().await;
    synchronizing(&world, 10).await;
    world.fault(json!({ "operation": "CreateSyncEvents", "kind": "throttle", "times": 2 })).await;
    world.apply_event("throttled", "photos", &keys(10)).await;
    world.wait_event_phase("throttled", Phase::Succeeded).await;
    assert_eq!(world.effects("CreateSyncEvents").await.len(), 1);
    world.clear_faults().await;

    let refusal = json!({
        "operation": "CreateSyncEvents", "kind": "status", "status": 400, "code": "OMS.0002", "message": "Not this.",
    });
    world.fault(refusal).await;
    world.apply_event("refused", "photos", &keys(2)).await;
    let failed = world.wait_event_phase("refused", Phase::Failed).await;
    let words = world.wait_event_reason("refused", "Refused").await;
    assert!(words.contains("`objectKeys` (OMS.0002)") && words.contains("Delete this object"), "{words}");
    assert!(failed.status.unwrap().conditions.iter().any(|found| found.type_ == "Stalled"));
    let calls = world.journal("CreateSyncEvents").await.len();
    world.let_polls_pass(4).await;
    assert_eq!(world.journal("CreateSyncEvents").await.len(), calls, "it is not tried again and again");
    world.clear_faults().await;
    let asked =
        json!({ "metadata": { "annotations": { "oms-operator.io/reconcile-requested-at": "again" } } });
    let events = world.api::<SyncEvent>();
    events.patch("refused", &PatchParams::default(), &Patch::Merge(asked)).await.unwrap();
    world.wait_event_phase("refused", Phase::Succeeded).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn paused_it_sends_nothing_and_with_a_time_to_live_it_goes_after_its_end() {
    let world = World::start().await;
    synchronizing(&world, 1).await;
    let mut paused = manifest("paused", "photos", &keys(1));
    paused["metadata"]["annotations"] = json!({ "oms-operator.io/paused": "true" });
    paused["spec"]["ttlAfterFinished"] = json!(1);
    world.apply::<SyncEvent>(paused).await;
    world.let_polls_pass(6).await;
    assert_eq!(world.journal("CreateSyncEvents").await, Vec::<Value>::new());
    let go = Patch::Merge(json!({ "metadata": { "annotations": { "oms-operator.io/paused": null } } }));
    world.api::<SyncEvent>().patch("paused", &PatchParams::default(), &go).await.unwrap();
    world.wait_event_gone("paused").await;
    assert_eq!(world.effects("CreateSyncEvents").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_stops_the_sync_task_at_oms_and_the_keys_are_kept() {
    let world = World::start().await;
    synchronizing(&world, 3).await;
    // What OMS says to keys for a sync task that was stopped at the console.
    let stopped = json!({
        "operation": "CreateSyncEvents", "kind": "status", "status": 400, "code": "OMS.0094", "times": 2,
        "message": "The synchronization task is not in the synchronizing state.",
    });
    world.fault(stopped).await;
    world.apply_event("kept", "photos", &keys(3)).await;
    world.wait_event_phase("kept", Phase::Succeeded).await;
    assert_eq!(world.effects("CreateSyncEvents").await.len(), 1);
    assert_eq!(world.journal("CreateSyncEvents").await.len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sync_task_of_another_namespace_cannot_be_named_and_its_name_alone_does_not_mean_it() {
    let world = World::start().await;
    let mut elsewhere = manifest("elsewhere", "photos", &keys(1));
    elsewhere["spec"]["syncTaskRef"]["namespace"] = json!("other");
    let (accepted, said) = world.try_kubectl(&["apply", "-f", "-"], &elsewhere.to_string()).await;
    assert!(
        !accepted && said.contains("unknown field") && said.contains("spec.syncTaskRef.namespace"),
        "{said}"
    );

    // One of that name in another namespace is none of this event's business.
    let neighbour = format!("{}-neighbour", world.namespace);
    world.kubectl(&["create", "namespace", &neighbour]).await;
    let mut theirs = world.sync_task("photos").manifest().clone();
    theirs["metadata"]["namespace"] = json!(neighbour);
    let (accepted, said) =
        world.try_kubectl(&["apply", "--namespace", &neighbour, "-f", "-"], &theirs.to_string()).await;
    assert!(accepted, "{said}");
    world.apply_event("here", "photos", &keys(1)).await;
    let words = world.wait_event_reason("here", "SyncTaskNotFound").await;
    assert!(words.contains("a SyncEvent can only name one of its own namespace"), "{words}");
    world.kubectl(&["delete", "namespace", &neighbour, "--wait=false"]).await;
}
