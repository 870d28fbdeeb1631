//! A new word in `spec.rerun` runs the same spec again: once, as a new task, and never beside another.

use oms_operator::api::{MigrationTask, Phase};
use serde_json::{Value, json};

use crate::migration::{Migration, condition};
use crate::operator::OperatorFlags;
use crate::world::{Setup, World, eventually};

async fn rerun(migration: &Migration<'_>, word: &str) {
    migration.patch(json!({ "spec": { "rerun": word } })).await;
}

async fn wait_run(migration: &Migration<'_>, run: i64, phase: Phase) -> MigrationTask {
    migration
        .wait(&format!("is {phase:?} in run {run}"), |task| {
            task.status.as_ref().is_some_and(|status| status.run == Some(run) && status.phase == Some(phase))
        })
        .await
}

fn id(task: &MigrationTask) -> String {
    task.status.as_ref().unwrap().task_id.clone().unwrap()
}

/// IDs of the tasks at OMS, the lowest first.
async fn ids(world: &World) -> Vec<String> {
    let tasks = world.remote_tasks().await;
    let mut ids: Vec<_> = tasks.iter().map(|task| task["id"].to_string().replace('"', "")).collect();
    ids.sort();
    ids
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_word_runs_once_and_deletion_takes_every_record() {
    let world = World::start().await;
    world.put_objects(3).await;
    let migration = world.migration("photos").with("/rerun", "first").apply().await;
    let first = wait_run(&migration, 1, Phase::Succeeded).await;
    assert_eq!(first.status.as_ref().unwrap().rerun.as_deref(), Some("first"));

    rerun(&migration, "second").await;
    let second = wait_run(&migration, 2, Phase::Succeeded).await;
    assert_ne!(id(&first), id(&second));
    let status = second.status.clone().unwrap();
    let former = &status.history[0];
    assert_eq!((former.run, &former.task_id, former.phase), (1, &id(&first), Phase::Succeeded));
    assert_eq!((former.rerun.as_deref(), former.objects.succeeded), (Some("first"), 3));
    assert_eq!(status.answered_reruns, ["first", "second"]);

    // A word that was answered, and none.
    for word in ["first", "", "second"] {
        rerun(&migration, word).await;
        let generation = migration.get().await.metadata.generation.unwrap();
        migration
            .wait("is seen", |task| task.status.as_ref().unwrap().observed_generation == generation)
            .await;
        assert_eq!(migration.status().await.run, Some(2), "{word:?}");
    }
    // The spec of a further run is that of the first.
    let (changed, said) = world
        .try_kubectl(
            &["patch", "mt", "photos", "--type=merge", "-p", r#"{"spec":{"destination":{"prefix":"x/"}}}"#],
            "",
        )
        .await;
    assert!(!changed && said.contains("frozen"), "{said}");
    assert_eq!(world.effects("CreateTask").await.len(), 2);
    assert_eq!(ids(&world).await.len(), 2, "former records stay");

    migration.delete().await;
    migration.wait_gone().await;
    assert_eq!(ids(&world).await, Vec::<String>::new());
    assert_eq!(world.effects("DeleteTask").await.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_is_asked_for_while_one_is_at_work_waits_for_its_end() {
    let world = Setup::default().behaving("objectRate", 50.0).start().await;
    world.put_objects(200).await;
    let migration = world.migration("photos").apply().await;
    let running = wait_run(&migration, 1, Phase::Running).await;
    rerun(&migration, "again").await;
    let waiting = migration.wait_condition("RerunPending", "True", "RunUnderWay").await;
    assert_eq!(id(&waiting), id(&running));
    assert_eq!(world.journal("CreateTask").await.len(), 1);
    let done = wait_run(&migration, 2, Phase::Succeeded).await;
    assert_eq!(condition(&done, "RerunPending"), None);
    assert_eq!(world.effects("CreateTask").await.len(), 2);
    let status = done.status.unwrap();
    assert_eq!(status.history[0].objects.succeeded, 200, "the first was not cut short");
    assert_eq!(status.progress.unwrap().objects.skipped, 200, "what is there is not copied again");
    assert_eq!(world.journal("StopTask").await, Vec::<Value>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_word_that_was_set_while_the_operator_was_down_is_answered_once() {
    let mut world = World::start().await;
    world.put_objects(3).await;
    let migration_first = {
        let migration = world.migration("photos").apply().await;
        wait_run(&migration, 1, Phase::Succeeded).await
    };
    world.operator().kill();
    rerun(&world.existing("photos"), "while down").await;
    world.start_operator(&OperatorFlags::default()).await;
    let second = wait_run(&world.existing("photos"), 2, Phase::Succeeded).await;
    assert_ne!(id(&migration_first), id(&second));

    world.operators[1].kill();
    world.start_operator(&OperatorFlags::default()).await;
    world.let_polls_pass(8).await;
    assert_eq!(world.effects("CreateTask").await.len(), 2);
    assert_eq!(world.existing("photos").status().await.run, Some(2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_that_somebody_deleted_is_migrated_again_only_when_a_new_word_asks() {
    let world = Setup::default().behaving("objectRate", 20.0).start().await;
    world.put_objects(60).await;
    let migration = world.migration("photos").apply().await;
    let running = wait_run(&migration, 1, Phase::Running).await;
    world.console().stop_task(&id(&running)).await;
    world.console().delete_task(&id(&running)).await;
    migration.wait_condition("Stalled", "True", "RemoteTaskGone").await;
    rerun(&migration, "again").await;
    let second = wait_run(&migration, 2, Phase::Succeeded).await;
    assert_eq!(second.status.as_ref().unwrap().history[0].task_id, id(&running));
    eventually("one record is left", async || {
        let ids = ids(&world).await;
        if ids == [id(&second)] { Ok(()) } else { Err(format!("{ids:?}")) }
    })
    .await;
    migration.delete().await;
    migration.wait_gone().await;
}
