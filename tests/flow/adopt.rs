//! What exists at OMS already is taken over: nothing is created, and what is not claimed is left alone.

use std::collections::HashMap;

use oms_operator::api::{Members, Phase, TaskGroup};
use oms_operator::engine::Transfer;
use oms_operator::oms::{Class, codes};
use serde_json::{Value, json};

use crate::idle::stays_silent;
use crate::migration::{Draft, Migration, condition, message, phase_of};
use crate::operator::OperatorFlags;
use crate::world::{CONNECTION, OTHER_PROJECT, Setup, World, eventually};

/// A world in which tasks can be created at the console before the operator does anything.
fn agreed() -> Setup {
    Setup::default().behaving("privacyAgreementAccepted", true)
}

/// The same, with tasks that run for very long.
pub(crate) fn slow() -> Setup {
    agreed().behaving("objectRate", 0.5)
}

/// The same, with groups that pass their states quickly and have several tasks.
pub(crate) fn grouped(setup: Setup) -> Setup {
    setup
        .behaving("groupTaskObjects", 40)
        .behaving("groupStartDelayMs", 50)
        .behaving("groupCreationMs", 100)
        .behaving("groupDeletionMs", 100)
}

/// Calls that change something at OMS, of whoever, refused ones too: how often each was made. One that came a moment too
/// early, while OMS was still stopping or starting something, is not counted: it is made again.
pub(crate) async fn changes(world: &World) -> HashMap<String, usize> {
    let mut made = HashMap::new();
    for entry in world.journal("*").await {
        let operation = entry["operation"].as_str().unwrap();
        let looks =
            ["Show", "List", "Check", "Keystone", "Update"].iter().any(|verb| operation.starts_with(verb));
        let refusal = entry["outcome"].as_str().and_then(codes::lookup).map(|code| code.class);
        let too_early = entry["effect"] == false && refusal == Some(Class::Conflict);
        if !too_early && (!looks || ["UpdateBandwidthPolicy", "UpdateTaskGroup"].contains(&operation)) {
            *made.entry(operation.to_owned()).or_default() += 1;
        }
    }
    made
}

/// Holds everybody to exactly these changes.
pub(crate) async fn assert_changes(world: &World, expected: &[(&str, usize)]) {
    let expected: HashMap<String, usize> =
        expected.iter().map(|(operation, times)| ((*operation).to_owned(), *times)).collect();
    assert_eq!(changes(world).await, expected, "{:#?}", world.journal("*").await);
}

fn adopting<'w>(world: &'w World, name: &str, id: &str) -> Draft<'w> {
    world.migration(name).with("/adopt", json!({ "taskId": id }))
}

fn id_of(object: &impl Transfer) -> Option<String> {
    object.status()?.task_id.clone()
}

fn differing(object: &impl Transfer) -> Vec<String> {
    let differences = object.status().map(|status| status.differences.clone()).unwrap_or_default();
    differences.into_iter().map(|difference| difference.field).collect()
}

/// The state of a task at OMS, as ShowTask writes it; `None`: there is none.
pub(crate) async fn remote_state(world: &World, id: &str) -> Option<Value> {
    let tasks = world.remote_tasks().await;
    let is_it =
        |task: &&Value| task["id"].as_str().map_or_else(|| task["id"].to_string(), str::to_owned) == id;
    tasks.iter().find(is_it).map(|task| task["status"].clone())
}

/// Lets the whole second pass in which an object was created: Kubernetes tells its age in those.
pub(crate) async fn let_age<K: Transfer>(object: &Migration<'_, K>) {
    let created = object.get().await.meta().creation_timestamp.clone().unwrap().0.as_second();
    eventually("another second has begun", async || {
        let now = jiff::Timestamp::now().as_second();
        if now > created { Ok(()) } else { Err(now.to_string()) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_from_the_console_is_taken_over_held_and_left_when_the_object_goes() {
    let world = slow().start().await;
    world.put_objects(120).await;
    let id = world.console().create_task("made at the console", "").await;
    let migration = adopting(&world, "photos", &id).kubectl_apply().await;
    let adopted = migration.wait_condition("Adopted", "True", "Adopted").await;
    assert_eq!((id_of(&adopted), differing(&adopted)), (Some(id.clone()), Vec::new()));
    assert!(message(&adopted, "Adopted").contains(&id));
    assert_eq!(adopted.status.as_ref().unwrap().adopted, Some(true));
    world.wait_event("photos", "Adopted").await;
    let running = migration.wait_condition("Ready", "False", "Running").await;
    assert_eq!(condition(&running, "Drifted"), None);
    assert!(running.status.unwrap().task_name.is_some());

    migration.suspend(true).await;
    migration.wait_phase(Phase::Stopped).await;
    assert_eq!(remote_state(&world, &id).await, Some(json!(3)));
    migration.suspend(false).await;
    let resumed = migration.wait_condition("Ready", "False", "Running").await;
    assert_eq!(condition(&resumed, "Adopted"), Some(("True".into(), "Adopted".into())));

    migration.delete().await;
    migration.wait_gone().await;
    world.let_polls_pass(4).await;
    assert_eq!(remote_state(&world, &id).await, Some(json!(2)), "it goes on");
    assert_changes(&world, &[("CreateTask", 1), ("StopTask", 1), ("StartTask", 1)]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_adopted_task_goes_with_its_object_only_where_that_is_asked_for() {
    let world = slow().start().await;
    world.put_objects(120).await;
    for (number, policy) in ["Delete", "StopAndKeep"].into_iter().enumerate() {
        let id = world.console().create_task("made at the console", &format!("{number}/")).await;
        let draft = adopting(&world, &format!("photos-{number}"), &id).with("/deletionPolicy", policy);
        let migration = draft.with("/destination/prefix", format!("{number}/")).apply().await;
        migration.wait_condition("Ready", "False", "Running").await;
        migration.delete().await;
        migration.wait_gone().await;
        let expected = (policy == "StopAndKeep").then(|| json!(3));
        assert_eq!(remote_state(&world, &id).await, expected, "{policy}");
    }
    assert_changes(&world, &[("CreateTask", 2), ("StopTask", 2), ("DeleteTask", 1)]).await;
}

/// Regression: the message asked for a correction of the manifest, which admission refused as a change of frozen fields.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_the_task_is_not_what_the_manifest_says_is_listed_and_can_be_corrected() {
    let world = slow().start().await;
    world.put_objects(120).await;
    let id = world.console().create_task("made at the console", "there/").await;
    // The priority of one that runs cannot be set.
    eventually("it runs", async || {
        let state = remote_state(&world, &id).await;
        if state == Some(json!(2)) { Ok(()) } else { Err(format!("{state:?}")) }
    })
    .await;
    let draft = adopting(&world, "photos", &id).with("/destination/prefix", "here/");
    let migration =
        draft.with("/priority", "HIGH").with("/source/objectKeys", json!(["2024/"])).apply().await;
    let adopted = migration.wait_condition("Adopted", "True", "AdoptedWithDifferences").await;
    world.wait_event("photos", "AdoptedWithDifferences").await;
    let status = adopted.status.clone().unwrap();
    let told: Vec<_> = status
        .differences
        .iter()
        .map(|told| (told.field.as_str(), told.wanted.as_str(), told.found.as_str()))
        .collect();
    let expected = [
        ("source.objectKeys", "[\"2024/\"]", "[\"\"]"),
        ("destination.prefix", "here/", "there/"),
        ("priority", "HIGH", "MEDIUM"),
    ];
    assert_eq!(told, expected);
    for (field, ..) in expected {
        assert!(
            message(&adopted, "Adopted").contains(&format!("`{field}`")),
            "{}",
            message(&adopted, "Adopted")
        );
    }

    let corrected = json!({
        "destination": { "prefix": "there/" }, "source": { "objectKeys": [""] }, "priority": "MEDIUM",
    });
    migration.patch(json!({ "spec": corrected })).await;
    let adopted = migration.wait_condition("Adopted", "True", "Adopted").await;
    assert_eq!(differing(&adopted), Vec::<String>::new());
    // Whose task it is stays.
    let (changed, said) = world
        .try_kubectl(
            &["patch", "mt", "photos", "--type=merge", "-p", r#"{"spec":{"adopt":{"taskId":"7"}}}"#],
            "",
        )
        .await;
    assert!(!changed && said.contains("frozen"), "{said}");
    assert_changes(&world, &[("CreateTask", 1)]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_passes_over_an_adopted_task_and_a_restart_change_nothing() {
    let mut world = agreed().behaving("taskStartDelayMs", 3_600_000).start().await;
    world.put_objects(3).await;
    let id = world.console().create_task("made at the console", "").await;
    let name = {
        let migration = adopting(&world, "photos", &id).apply().await;
        migration.wait_condition("Ready", "False", "WaitingAtOMS").await;
        world.let_polls_pass(4).await;
        stays_silent(&world, &migration).await;
        migration.name
    };
    let before = world.existing(&name).get().await.metadata.resource_version;
    world.operator().kill();
    let restarted = world.start_operator(&OperatorFlags::default()).await;
    eventually("it was looked at", async || {
        let passes = world.operators[restarted]
            .metric("oms_operator_reconciles_total", "kind=\"MigrationTask\"")
            .await;
        if passes >= 1.0 { Ok(()) } else { Err(passes.to_string()) }
    })
    .await;
    world.let_polls_pass(8).await;
    assert_eq!(world.existing(&name).get().await.metadata.resource_version, before);
    assert_changes(&world, &[("CreateTask", 1)]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_run_of_an_adopted_task_is_one_of_our_own_and_leaves_the_adopted_one() {
    let world = agreed().start().await;
    world.put_objects(3).await;
    let id = world.console().create_task("made at the console", "").await;
    let migration = adopting(&world, "photos", &id).apply().await;
    let done = migration.wait_phase(Phase::Succeeded).await;
    assert_eq!(id_of(&done), Some(id.clone()));
    migration.patch(json!({ "spec": { "rerun": "again" } })).await;
    let second = migration
        .wait("has run again", |task| {
            let status = task.status.as_ref().unwrap();
            status.run == Some(2) && status.phase == Some(Phase::Succeeded)
        })
        .await;
    let status = second.status.clone().unwrap();
    assert_ne!(status.task_id, Some(id.clone()));
    assert_eq!((status.history[0].task_id.as_str(), status.adopted), (id.as_str(), Some(false)));
    assert_eq!(condition(&second, "Adopted"), None);
    migration.delete().await;
    migration.wait_gone().await;
    assert_eq!(remote_state(&world, &id).await, Some(json!(5)), "what others made stays");
    assert_changes(&world, &[("CreateTask", 2), ("DeleteTask", 1)]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_that_claim_one_task_the_oldest_has_it_and_the_other_takes_over_when_it_is_gone() {
    let world = slow().operated(OperatorFlags::default().scaled(10)).start().await;
    world.put_objects(120).await;
    let id = world.console().create_task("made at the console", "").await;
    let older = adopting(&world, "older", &id).apply().await;
    older.wait_condition("Adopted", "True", "Adopted").await;
    let_age(&older).await;
    let younger = adopting(&world, "younger", &id)
        .with("/suspend", true)
        .with("/deletionPolicy", "Delete")
        .apply()
        .await;
    let refused = younger.wait_condition("Ready", "False", "ClaimedByAnother").await;
    assert_eq!(phase_of(&refused), Some(Phase::Pending));
    assert_eq!(condition(&refused, "Stalled"), None);
    assert_eq!(condition(&refused, "Adopted"), Some(("False".into(), "ClaimedByAnother".into())));
    let words = message(&refused, "Ready");
    for part in [&format!("`{}/older`", world.namespace), &id, "`adopt.taskId`", "when the other is gone"] {
        assert!(words.contains(part), "{words}");
    }
    world.wait_event("younger", "ClaimedByAnother").await;
    // What it asks for happens to nobody's task.
    world.let_polls_pass(6).await;
    assert_changes(&world, &[("CreateTask", 1)]).await;

    older.delete().await;
    older.wait_gone().await;
    let over = younger.wait_phase(Phase::Stopped).await;
    assert_eq!(
        (id_of(&over), condition(&over, "Adopted")),
        (Some(id), Some(("True".into(), "Adopted".into())))
    );
    assert_changes(&world, &[("CreateTask", 1), ("StopTask", 1)]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_object_that_claims_later_has_the_task_and_the_younger_lets_go() {
    let world = slow().operated(OperatorFlags::default().scaled(10)).start().await;
    world.put_objects(120).await;
    let id = world.console().create_task("made at the console", "").await;
    let older = adopting(&world, "older", &id).with("/managementPolicy", "Observe").apply().await;
    older.wait_condition("Adopted", "False", "Observed").await;
    let_age(&older).await;
    let younger = adopting(&world, "younger", &id).with("/deletionPolicy", "Delete").apply().await;
    younger.wait_condition("Adopted", "True", "Adopted").await;

    older.patch(json!({ "spec": { "managementPolicy": "Manage" } })).await;
    older.wait_condition("Adopted", "True", "Adopted").await;
    younger.nudge("look").await;
    let lost = younger.wait_condition("Ready", "False", "ClaimedByAnother").await;
    assert!(message(&lost, "Ready").contains(&format!("`{}/older`", world.namespace)));
    younger.suspend(true).await;
    younger.delete().await;
    younger.wait_gone().await;
    assert_eq!(remote_state(&world, &id).await, Some(json!(2)), "it is the other's to stop and to delete");
    assert_changes(&world, &[("CreateTask", 1)]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_that_another_object_made_is_that_objects_until_it_lets_go() {
    let world = slow().operated(OperatorFlags::default().scaled(10)).start().await;
    world.put_objects(120).await;
    let maker = world.migration("maker").with("/deletionPolicy", "Orphan").apply().await;
    let made = maker.wait_condition("Ready", "False", "Running").await;
    let id = id_of(&made).unwrap();
    let adopter = adopting(&world, "adopter", &id).apply().await;
    let refused = adopter.wait_condition("Ready", "False", "ClaimedByAnother").await;
    let words = message(&refused, "Ready");
    assert!(words.contains(&format!("`{}/maker` made task {id}", world.namespace)), "{words}");

    maker.delete().await;
    maker.wait_gone().await;
    adopter.wait_condition("Adopted", "True", "Adopted").await;
    assert_changes(&world, &[("CreateTask", 1)]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_id_is_told_and_taken_over_once_it_is_corrected_or_appears() {
    let world = slow().start().await;
    world.put_objects(120).await;
    let id = world.console().create_task("made at the console", "").await;
    let migration = adopting(&world, "photos", "123456789").apply().await;
    let refused = migration.wait_condition("Ready", "False", "AdoptionTargetNotFound").await;
    assert_eq!(phase_of(&refused), Some(Phase::Pending));
    assert_eq!(condition(&refused, "Adopted"), Some(("False".into(), "AdoptionTargetNotFound".into())));
    assert_eq!(condition(&refused, "Stalled"), None, "it may appear");
    let words = message(&refused, "Ready");
    for part in ["123456789", "`adopt.taskId`", "Correct the ID", "the operator looks again"] {
        assert!(words.contains(part), "{words}");
    }
    world.wait_event("photos", "AdoptionTargetNotFound").await;
    let looks = world.journal("ShowTask").await.len();
    world.let_polls_pass(6).await;
    assert_eq!(world.journal("ShowTask").await.len(), looks, "it is not asked for all the time");
    migration.patch(json!({ "spec": { "adopt": { "taskId": id } } })).await;
    let adopted = migration.wait_condition("Adopted", "True", "Adopted").await;
    assert_eq!(id_of(&adopted), Some(id));

    // A copy of OMS's data that lags behind does not know a new task yet.
    let young = world.console().create_task("made at the console", "young/").await;
    let unknown = json!({ "operation": "ShowTask", "task": young, "kind": "status", "status": 404, "code": "OMS.1009" });
    world.fault(unknown).await;
    let draft = adopting(&world, "young", &young).with("/destination/prefix", "young/");
    let migration = draft.apply().await;
    migration.wait_condition("Ready", "False", "AdoptionTargetNotFound").await;
    world.clear_faults().await;
    migration.nudge("look").await;
    migration.wait_condition("Adopted", "True", "Adopted").await;
    assert_changes(&world, &[("CreateTask", 2)]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_of_another_project_is_taken_over_through_a_connection_to_that_project() {
    let world = slow().two_projects().start().await;
    world.put_objects(120).await;
    let id = world.console_of(OTHER_PROJECT).create_task("made at the console", "").await;
    let migration = adopting(&world, "photos", &id).apply().await;
    let refused = migration.wait_condition("Ready", "False", "AdoptionTargetNotFound").await;
    let words = message(&refused, "Ready");
    let project = world.connection_manifest()["spec"]["projectId"].as_str().unwrap().to_owned();
    assert!(words.contains(&project) && words.contains("refer to the connection of its project"), "{words}");

    let mut other = world.connection_manifest();
    other["metadata"]["name"] = json!("other");
    other["spec"]["projectId"] = json!(OTHER_PROJECT);
    world.apply::<oms_operator::api::Connection>(other).await;
    migration.patch(json!({ "spec": { "connectionRef": { "name": "other" } } })).await;
    let adopted = migration.wait_condition("Adopted", "True", "Adopted").await;
    let pinned = adopted.status.unwrap().connection.unwrap();
    assert_eq!((pinned.name.as_str(), pinned.project_id.as_str()), ("other", OTHER_PROJECT));
    // An ID of the one project claims nothing in the other.
    let (own, twin) = (world.console().create_task("made at the console", "own/").await, id);
    let draft = adopting(&world, "own", &own).with("/destination/prefix", "own/");
    draft.apply().await.wait_condition("Adopted", "True", "Adopted").await;
    assert_ne!(own, twin);
    assert_changes(&world, &[("CreateTask", 2)]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_is_taken_over_with_its_tasks_and_none_of_these_by_itself() {
    let world = grouped(slow()).start().await;
    world.put_objects(120).await;
    let id = world.console().create_group().await;
    let group = world.group("photos").with("/adopt", json!({ "groupId": id })).apply().await;
    group.wait_condition("Adopted", "True", "Adopted").await;
    let has_members = |group: &TaskGroup| {
        group
            .status
            .as_ref()
            .unwrap()
            .members
            .as_ref()
            .is_some_and(|members| members.running + members.waiting > 1)
    };
    let counted = group.wait("has its tasks counted", has_members).await;
    assert_eq!((id_of(&counted), differing(&counted)), (Some(id.clone()), Vec::new()));

    // A part of it belongs to the whole.
    let tasks = world.remote_tasks().await;
    let member = tasks.iter().find(|task| task["group_id"] == json!(id)).unwrap()["id"].clone();
    let member = member.as_str().map_or_else(|| member.to_string(), str::to_owned);
    let part = adopting(&world, "part", &member).apply().await;
    let refused = part.wait_condition("Stalled", "True", "NotAdoptable").await;
    let words = message(&refused, "Ready");
    for needed in [&member, &id, "`adopt.taskId`", "adopt it with a TaskGroup"] {
        assert!(words.contains(needed), "{words}");
    }
    assert_eq!(condition(&refused, "Adopted"), Some(("False".into(), "NotAdoptable".into())));
    let alone = world.console().create_task("made at the console", "").await;
    part.patch(json!({ "spec": { "adopt": { "taskId": alone } } })).await;
    part.wait_condition("Adopted", "True", "Adopted").await;

    group.suspend(true).await;
    group.wait_phase(Phase::Stopped).await;
    group.delete().await;
    group.wait_gone().await;
    assert_eq!(world.remote_groups().await[0]["status"], 3, "it stays as it is");
    let expected = [("CreateTaskGroup", 1), ("CreateTask", 1), ("StopTaskGroup", 1)];
    assert_changes(&world, &expected).await;
}

/// Regression: a group that had ended was at rest at once, and its tasks were never counted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_tasks_of_an_adopted_group_that_has_ended_are_counted_too() {
    let world = grouped(agreed()).start().await;
    world.put_objects(42).await;
    let id = world.console().create_group().await;
    eventually("the group has ended", async || {
        let status = world.remote_groups().await[0]["status"].clone();
        if status == 6 { Ok(()) } else { Err(status.to_string()) }
    })
    .await;
    let group = world.group("photos").with("/adopt", json!({ "groupId": id })).apply().await;
    group.wait_phase(Phase::Succeeded).await;
    let counted = group
        .wait("has its tasks counted", |group: &TaskGroup| group.status.as_ref().unwrap().members.is_some())
        .await;
    let Members { total, complete, .. } = counted.status.unwrap().members.unwrap();
    assert!(total > 1 && complete == total, "{complete} of {total}");
    stays_silent(&world, &group).await;
    assert_changes(&world, &[("CreateTaskGroup", 1)]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sync_task_is_taken_over_and_none_of_what_it_copies_with() {
    let world = agreed().start().await;
    world.put_objects(2).await;
    let id = world.console().create_sync_task().await;
    let draft = world.sync_task("photos").with("/adopt", json!({ "syncTaskId": id }));
    let task = draft.with("/destination/storagePolicy", "IA").apply().await;
    let adopted = task.wait_condition("Adopted", "True", "AdoptedWithDifferences").await;
    assert_eq!(differing(&adopted), ["destination.storagePolicy"]);
    let ready = task.wait_phase(Phase::Synchronizing).await;
    assert_eq!((id_of(&ready), condition(&ready, "Ready").unwrap().0.as_str()), (Some(id.clone()), "True"));
    task.suspend(true).await;
    task.wait_phase(Phase::Stopped).await;
    task.suspend(false).await;
    task.wait_phase(Phase::Synchronizing).await;

    let_age(&task).await;
    let unknown =
        world.sync_task("unknown").with("/adopt", json!({ "syncTaskId": "no-such-task" })).apply().await;
    let refused = unknown.wait_condition("Ready", "False", "AdoptionTargetNotFound").await;
    assert!(message(&refused, "Ready").contains("no sync task no-such-task, named by `adopt.syncTaskId`"));
    unknown.patch(json!({ "spec": { "adopt": { "syncTaskId": id } } })).await;
    let claimed = unknown.wait_condition("Ready", "False", "ClaimedByAnother").await;
    assert!(message(&claimed, "Ready").contains("/photos`"), "{}", message(&claimed, "Ready"));

    task.delete().await;
    task.wait_gone().await;
    unknown.delete().await;
    unknown.wait_gone().await;
    assert_eq!(world.remote_sync_tasks().await[0]["status"], "SYNCHRONIZING", "it goes on");
    assert_changes(&world, &[("CreateSyncTask", 1), ("StopSyncTask", 1), ("StartSyncTask", 1)]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_task_with_which_a_sync_task_copies_is_refused() {
    let world = agreed().start().await;
    world.put_objects(2).await;
    world.wait_connection(CONNECTION, "True", "Connected").await;
    let id = world.console().create_sync_task().await;
    world.console().name_objects(&id, &["00000.txt"]).await;
    let member = eventually("the sync task has a task", async || {
        let tasks = world.remote_tasks().await;
        let member =
            tasks.iter().find(|task| task["group_type"] == "SYNC_TASK").map(|task| task["id"].clone());
        member.ok_or_else(|| format!("{tasks:#?}"))
    })
    .await;
    let member = member.as_str().map_or_else(|| member.to_string(), str::to_owned);
    let part = adopting(&world, "part", &member).apply().await;
    let refused = part.wait_condition("Stalled", "True", "NotAdoptable").await;
    let words = message(&refused, "Ready");
    assert!(words.contains(&member) && words.contains("adopt that with a SyncTask"), "{words}");
    part.delete().await;
    part.wait_gone().await;
    assert_changes(&world, &[("CreateSyncTask", 1), ("CreateSyncEvents", 1)]).await;
}
