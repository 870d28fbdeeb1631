//! The main job: a manifest applied with kubectl becomes objects at the destination.

use std::time::Duration;

use bytes::Bytes;
use oms_operator::api::Phase;

use crate::migration::condition;
use crate::world::{Setup, World};

/// Keys that break naive copying, beside plain ones.
const KEYS: &[(&str, usize)] = &[
    ("plain.txt", 11),
    ("empty", 0),
    ("2024/05/IMG 0001.jpg", 4_000),
    ("2024/100%.txt", 3),
    ("a+b=c&d.txt", 5),
    ("фото/写真.bin", 70_000),
    ("same", 1),
    ("same/name", 2),
    ("large.bin", 6 * 1024 * 1024 + 1),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_applied_manifest_moves_every_object_and_then_costs_nothing() {
    let mut world = World::start().await;
    let source = world.source_bucket("photos");
    let destination = world.destination_bucket("photos-archive");
    source.create().await.unwrap();
    destination.create().await.unwrap();
    for (key, size) in KEYS {
        let contents: Bytes = (0..*size).map(|byte| (byte * 31 % 251) as u8).collect();
        let metadata = [("camera".to_owned(), "X100".to_owned())];
        source.put(key, "application/x-test", &metadata, contents).await.unwrap();
    }

    let migration = world.migration("photos").with("/enableMetadataMigration", true).kubectl_apply().await;
    let applied = migration.get().await;
    let done = migration.wait_phase(Phase::Succeeded).await;

    // The objects are there, byte for byte.
    let sent = source.fingerprints(|_| ()).await.unwrap();
    let mut arrived = destination.fingerprints(|_| ()).await.unwrap();
    // OMS's own lists of what it copied.
    arrived.retain(|key, _| !key.starts_with("oms/task/"));
    assert_eq!(sent.len(), KEYS.len());
    assert_eq!(sent, arrived);

    // The status tells so.
    let status = done.status.clone().unwrap();
    assert_eq!(condition(&done, "Ready"), Some(("True".into(), "Succeeded".into())));
    assert_eq!(condition(&done, "Reconciling"), None);
    assert_eq!(condition(&done, "Stalled"), None);
    let progress = status.progress.clone().unwrap();
    assert_eq!((progress.percent, progress.display.as_str()), (100, "100%"));
    assert_eq!(progress.objects.succeeded, KEYS.len() as u64);
    assert_eq!(progress.bytes.done, KEYS.iter().map(|(_, size)| *size as u64).sum::<u64>());
    assert!(status.started_at.is_some() && status.finished_at.is_some());
    assert_eq!((status.create, status.failure, status.attempt), (None, None, Some(1)));
    assert_eq!(status.observed_generation, applied.metadata.generation.unwrap());

    // OMS was asked once, and knows the task by the ID in status.
    let created = world.effects("CreateTask").await;
    assert_eq!(created.len(), 1, "{created:#?}");
    assert_eq!(created[0]["task"].as_str(), status.task_id.as_deref());
    assert_eq!(
        world.journal("StartTask").await,
        Vec::<serde_json::Value>::new(),
        "a created task starts by itself"
    );

    world.wait_event("photos", "Succeeded").await;
    world.wait_event("photos", "Creating").await;

    // People see it in a table.
    let table = world.kubectl(&["get", "mt"]).await;
    let (head, row) = table.split_once('\n').unwrap();
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(words(head), ["NAME", "PHASE", "PROGRESS", "SPEED", "REMAINING", "FAILED", "READY", "AGE"]);
    assert!(row.contains("Succeeded") && row.contains("100%") && row.contains("True"), "{table}");
    let wide = world.kubectl(&["get", "oms", "-o", "wide"]).await;
    assert!(wide.contains("TASK ID") && wide.contains("BYTES") && wide.contains("CONNECTION"), "{wide}");
    assert!(wide.contains(status.task_id.as_deref().unwrap()), "{wide}");

    // A finished task costs nothing, and nobody writes its spec.
    let before = migration.get().await;
    let calls = world.journal("*").await.len();
    world.let_polls_pass(12).await;
    assert_eq!(world.journal("*").await.len(), calls, "{:#?}", world.journal("*").await.split_off(calls));
    assert_eq!(migration.get().await, before, "nothing changed, so nothing is written");
    for round in 0..50 {
        let token = format!("round-{round}");
        migration.nudge(&token).await;
        migration
            .wait("echoes the request", |task| {
                task.status.as_ref().unwrap().last_handled_reconcile_at.as_deref() == Some(&token)
            })
            .await;
    }
    let after = migration.get().await;
    assert_eq!((after.metadata.generation, &after.spec), (before.metadata.generation, &before.spec));
    let creates = world.journal("CreateTask").await.len();
    assert_eq!(creates, 1);
    let spent = world.journal("*").await.len() - calls;
    assert_eq!(spent, 0, "fifty looks at a finished task are no business of OMS");

    let ended = world.operator().terminate(Duration::from_secs(10)).await;
    assert!(ended.is_some_and(|status| status.success()), "SIGTERM is a clean end: {ended:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn applied_before_its_connection_and_secrets_it_goes_on_by_itself() {
    let world = Setup::default().unconnected().start().await;
    world.put_objects(2).await;
    let migration = world.migration("photos").apply().await;
    migration.wait_condition("Ready", "False", "ConnectionNotFound").await;
    world.connect().await;
    migration.wait_phase(Phase::Succeeded).await;
    assert_eq!(world.effects("CreateTask").await.len(), 1);
}
