//! Failures, stops and actions, for each kind that has them.

use std::collections::BTreeMap;

use oms_operator::dev::bucket::Bucket;
use serde_json::{Value, json};

use crate::application::example;
use crate::eventually;
use crate::folder::{Folder, manifests};
use crate::install::{Install, Places};

fn file(objects: &[&Value]) -> BTreeMap<String, String> {
    BTreeMap::from([("manifests.yaml".to_owned(), manifests(objects.iter().copied()))])
}

/// The Secrets and the Connection of a namespace.
fn connected(places: &Places) -> Vec<Value> {
    let secret = |name: &str, access: &str, secret: &str| {
        json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": { "name": name },
            "stringData": { "accessKey": access, "secretKey": secret },
        })
    };
    let (source, destination) = (&places.source, &places.destination);
    vec![
        secret("huawei", &destination.access_key, &destination.secret_key),
        secret("aws-source", &source.access_key, &source.secret_key),
        secret("obs", &destination.access_key, &destination.secret_key),
        connection("default", &places.oms, &places.project),
    ]
}

fn connection(name: &str, endpoint: &str, project: &str) -> Value {
    json!({
        "apiVersion": "oms-operator.io/v1alpha1", "kind": "Connection", "metadata": { "name": name },
        "spec": {
            "region": "cn-north-4", "endpoint": endpoint, "projectId": project,
            "credentials": { "secretRef": { "name": "huawei" } }, "privacyAgreement": "Accepted",
        },
    })
}

fn event(name: &str, sync_task: &str) -> Value {
    json!({
        "apiVersion": "oms-operator.io/v1alpha1", "kind": "SyncEvent", "metadata": { "name": name },
        "spec": { "syncTaskRef": { "name": sync_task }, "objectKeys": ["000.bin"] },
    })
}

async fn bucket(places: &Places, name: &str, objects: usize) {
    let source = Bucket::new(&places.source, name).unwrap();
    source.create().await.unwrap();
    for number in 0..objects {
        let key = format!("{number:03}.bin");
        source.put(&key, "application/octet-stream", &[], vec![7; 1 << 20].into()).await.unwrap();
    }
    Bucket::new(&places.destination, &format!("{name}-archive")).unwrap().create().await.unwrap();
}

/// What fails of each kind is Degraded and says why; what the operator is told to leave alone is Suspended.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_fails_is_degraded_and_what_rests_is_suspended_whatever_its_kind() {
    let install = Install::shared();
    let places = &install.places;
    bucket(places, "kinds-there", 1).await;
    let failing = |file: &str, name: &str| {
        example(file, name, |manifest| {
            // There is no such bucket, and nobody looks before.
            manifest["spec"]["source"]["bucket"] = json!("kinds-nowhere");
            manifest["spec"]["destination"]["bucket"] = json!("kinds-there-archive");
            manifest["spec"]["preflight"] = json!("Off");
            manifest["spec"]["retry"] = json!({ "limit": 0 });
        })
    };
    let there = |file: &str, name: &str, change: fn(&mut Value)| {
        example(file, name, |manifest| {
            manifest["spec"]["source"]["bucket"] = json!("kinds-there");
            manifest["spec"]["destination"]["bucket"] = json!("kinds-there-archive");
            change(manifest);
        })
    };
    let suspended = |manifest: &mut Value| manifest["spec"]["suspend"] = json!(true);
    let paused = |manifest: &mut Value| {
        manifest["metadata"]["annotations"] = json!({ "oms-operator.io/paused": "true" });
    };
    let mut far = connection("far", &places.oms, &places.project);
    far["spec"]["region"] = json!("ap-southeast-1");
    let mut manifests = connected(places);
    manifests.extend([
        connection("elsewhere", "https://oms.example.com", &places.project),
        far,
        failing("first-migration.yaml", "broken-task"),
        failing("first-group.yaml", "broken-group"),
        there("sync-task.yaml", "broken-sync", |manifest| {
            // Which is no region for synchronizations.
            manifest["spec"]["connectionRef"] = json!({ "name": "far" });
        }),
        there("first-migration.yaml", "held-task", suspended),
        there("first-group.yaml", "held-group", suspended),
        there("sync-task.yaml", "held-sync", suspended),
        there("sync-task.yaml", "paused-sync", paused),
    ]);
    let mut resting = event("paused-event", "held-sync");
    paused(&mut resting);
    manifests.push(resting);
    let manifests: Vec<_> = manifests.iter().collect();
    let folder = Folder::create(&install, "kinds", &file(&manifests), "*.yaml").await;
    for (kind, name, word) in [
        ("Connection", "elsewhere", "`spec.endpoint`"),
        ("MigrationTask", "broken-task", "NoSuchBucket"),
        ("TaskGroup", "broken-group", ""),
        ("SyncTask", "broken-sync", "cn-east-3"),
    ] {
        let message = folder.wait_one(kind, name, "Degraded").await;
        assert!(!message.is_empty() && message.contains(word), "{kind} {name}: {message}");
        println!("{kind:<14} {name:<14} Degraded   {message}");
    }
    for (kind, name, word) in [
        ("MigrationTask", "held-task", "`spec.suspend`"),
        ("TaskGroup", "held-group", "`spec.suspend`"),
        ("SyncTask", "held-sync", "`spec.suspend`"),
        ("SyncTask", "paused-sync", "oms-operator.io/paused"),
        ("SyncEvent", "paused-event", "oms-operator.io/paused"),
    ] {
        let message = folder.wait_one(kind, name, "Suspended").await;
        assert!(message.contains(word), "{kind} {name}: {message}");
        println!("{kind:<14} {name:<14} Suspended  {message}");
    }
    folder.commit(&BTreeMap::new()).await;
    folder.wait(&BTreeMap::new()).await;
}

/// Every action of a group and of a sync task, taken as people do; those of a migration are in `sync.rs`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_action_does_what_it_says_for_each_kind_that_has_it() {
    let install = Install::shared();
    let places = &install.places;
    for name in ["acted-group", "acted-late", "acted-sync"] {
        bucket(places, name, if name == "acted-group" { 8 } else { 1 }).await;
    }
    let slowly = json!([{ "start": "00:00", "end": "23:59", "maxBandwidth": "1Mi" }]);
    let group = example("first-group.yaml", "acted-group", |manifest| {
        manifest["spec"]["bandwidthPolicy"] = slowly.clone();
        manifest["spec"]["approval"] = json!("Required");
    });
    let late = example("first-group.yaml", "late-group", |manifest| {
        manifest["spec"]["source"]["bucket"] = json!("acted-nowhere");
        manifest["spec"]["destination"]["bucket"] = json!("acted-late-archive");
        manifest["spec"]["preflight"] = json!("Off");
        manifest["spec"]["retry"] = json!({ "limit": 0 });
    });
    let sync = example("sync-task.yaml", "acted-sync", |manifest| {
        manifest["spec"]["approval"] = json!("Required");
    });
    let mut manifests = connected(places);
    manifests.extend([group, late, sync, event("acted-event", "acted-sync")]);
    let manifests: Vec<_> = manifests.iter().collect();
    let folder = Folder::create(&install, "acted", &file(&manifests), "*.yaml").await;

    for (kind, name) in [("TaskGroup", "acted-group"), ("SyncTask", "acted-sync")] {
        folder.wait_one(kind, name, "Suspended").await;
        folder.act(kind, name, "approve").await;
        let running = if kind == "SyncTask" { "Synchronizing" } else { "Running" };
        wait_phase(&folder, kind, name, running).await;
        folder.act(kind, name, "suspend").await;
        let message = folder.wait_one(kind, name, "Suspended").await;
        assert!(message.contains("`spec.suspend`"), "{message}");
        folder.act(kind, name, "resume").await;
        folder.wait_one(kind, name, "Healthy").await;
    }
    folder.act("TaskGroup", "acted-group", "rerun").await;
    // Another run is another plan.
    folder.wait_one("TaskGroup", "acted-group", "Suspended").await;
    folder.act("TaskGroup", "acted-group", "approve").await;
    folder.wait_one("TaskGroup", "acted-group", "Healthy").await;
    let group = folder.object("TaskGroup", "acted-group").await;
    assert_eq!(group["status"]["run"], 2);

    folder.wait_one("TaskGroup", "late-group", "Degraded").await;
    let former = folder.object("TaskGroup", "late-group").await["status"]["taskId"].clone();
    bucket(places, "acted-nowhere", 1).await;
    folder.act("TaskGroup", "late-group", "retry").await;
    folder.wait_one("TaskGroup", "late-group", "Healthy").await;
    assert_eq!(folder.object("TaskGroup", "late-group").await["status"]["taskId"], former);

    folder.wait_one("SyncEvent", "acted-event", "Healthy").await;
    for (kind, name) in [
        ("Connection", "default"),
        ("TaskGroup", "acted-group"),
        ("SyncTask", "acted-sync"),
        ("SyncEvent", "acted-event"),
    ] {
        folder.act(kind, name, "reconcile").await;
        eventually(&format!("the operator has looked at {kind} {name}"), async || {
            let object = folder.object(kind, name).await;
            let asked = &object["metadata"]["annotations"]["oms-operator.io/reconcile-requested-at"];
            let handled = &object["status"]["lastHandledReconcileAt"];
            if asked.is_string() && asked == handled { Ok(()) } else { Err(format!("{asked} {handled}")) }
        })
        .await;
    }
    assert_eq!(folder.sync_status().await, "Synced");
    folder.commit(&BTreeMap::new()).await;
    folder.wait(&BTreeMap::new()).await;
}

async fn wait_phase(folder: &Folder, kind: &str, name: &str, wanted: &str) {
    eventually(&format!("{kind} {name} is {wanted}"), async || {
        let phase = folder.object(kind, name).await["status"]["phase"].clone();
        if phase == wanted { Ok(()) } else { Err(phase.to_string()) }
    })
    .await;
}
