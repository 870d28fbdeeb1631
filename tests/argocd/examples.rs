//! `examples/` as a Git repository has it, synced by Argo CD: every kind, from nothing to what it asks for, in sync
//! through a hundred reconciles, healed of what is done by hand, and gone with Git.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use futures::future::join_all;
use kube::api::ListParams;
use oms_operator::api;
use oms_operator::dev::bucket::{Bucket, Endpoint};
use oms_operator::dev::stack::SECRETS;
use serde::Deserialize as _;
use serde_json::{Value, json};

use crate::eventually;
use crate::folder::{Folder, Name, manifests};
use crate::install::{Install, Places};

/// Kind, name and health of an object.
type Comes = (&'static str, &'static str, &'static str);

/// Examples that run with two stores, one of them as AWS, and what each object of theirs comes to.
const RUN: &[(&str, &[Comes])] = &[
    ("approval", &[("MigrationTask", "approved-migration", "Suspended")]),
    ("bandwidth-windows", &[("MigrationTask", "bandwidth-windows", "Healthy")]),
    ("connection", &[("Connection", "default", "Healthy")]),
    ("enforce", &[("MigrationTask", "enforce", "Healthy")]),
    ("first-group", &[("TaskGroup", "albums", "Healthy")]),
    ("first-migration", &[("MigrationTask", "photos", "Healthy")]),
    ("first-sync", &[("SyncTask", "inbox", "Healthy"), ("SyncEvent", "inbox-monday", "Healthy")]),
    ("full-overwrite", &[("MigrationTask", "full-overwrite", "Healthy")]),
    ("key-rotation", &[("MigrationTask", "key-rotation", "Healthy")]),
    ("objects", &[("MigrationTask", "objects", "Healthy")]),
    ("only-new-objects", &[("MigrationTask", "only-new-objects", "Healthy")]),
    ("paused", &[("MigrationTask", "paused-migration", "Suspended")]),
    ("prefixes", &[("MigrationTask", "prefixes", "Healthy")]),
    ("ready-when-accepted", &[("MigrationTask", "ready-when-accepted", "Suspended")]),
    ("ready-when-started", &[("MigrationTask", "ready-when-started", "Healthy")]),
    ("rerun", &[("MigrationTask", "rerun", "Healthy")]),
    ("retry", &[("MigrationTask", "retry", "Healthy")]),
    ("suspended", &[("MigrationTask", "suspended", "Suspended")]),
    ("sync-event", &[("SyncEvent", "photos-2026-11-21", "Healthy")]),
    ("sync-task", &[("SyncTask", "photos", "Healthy")]),
    ("task-group", &[("TaskGroup", "archive", "Healthy")]),
    ("whole-bucket", &[("MigrationTask", "whole-bucket", "Healthy")]),
    ("without-checks", &[("MigrationTask", "without-checks", "Healthy")]),
];

/// Examples that want what is not here; every one of them is applied by `tests/examples.rs`.
const WANT_MORE: &[(&str, &[&str])] = &[
    ("an image that runs in a pod of its own", &["scheduled-run"]),
    (
        "a store of another cloud, or one behind a CDN",
        &[
            "archived-source",
            "source-azure",
            "source-cdn",
            "source-google",
            "source-obs",
            "source-other-clouds",
            "source-public-cdn",
            "source-tencent",
            "sync-task-suspended",
        ],
    ),
    (
        "lists of objects or URLs",
        &["object-list", "task-group-object-lists", "task-group-url-lists", "url-list"],
    ),
    (
        "something that is at OMS already",
        &["adopt", "adopt-group", "adopt-sync-task", "observe", "observe-group", "observe-sync-task"],
    ),
    (
        "another account, or another way to log in",
        &[
            "cluster-connection",
            "cluster-connection-ambient",
            "connection-limits",
            "connection-own-endpoint",
            "connection-password",
            "connection-temporary-keys",
            "source-temporary-keys",
            "with-cluster-connection",
        ],
    ),
    (
        "a key or a topic of the account, or a bucket of somebody else",
        &["kms", "notification", "requester-pays"],
    ),
    ("another manifest at each sync, as it deletes itself", &["sync-event-ttl"]),
];

fn examples() -> BTreeMap<String, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let yaml = files.filter(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    yaml.map(|path| {
        (path.file_name().unwrap().to_str().unwrap().to_owned(), std::fs::read_to_string(&path).unwrap())
    })
    .collect()
}

#[test]
fn every_example_runs_here_or_wants_what_is_not_here() {
    let run = RUN.iter().map(|(file, _)| *file);
    let known: BTreeSet<_> = run.chain(WANT_MORE.iter().flat_map(|(_, files)| *files).copied()).collect();
    let examples = examples();
    let files: BTreeSet<_> = examples.keys().map(|file| file.trim_end_matches(".yaml")).collect();
    assert_eq!(known, files);
}

/// The examples with the names and keys of their owner, as each says that one has to put in; the rest as it is.
fn owned(places: &Places) -> BTreeMap<String, String> {
    let keys = |secret: &str| -> Option<&Endpoint> {
        let index = SECRETS.iter().position(|name| *name == secret)?;
        Some(if index == 1 { &places.source } else { &places.destination })
    };
    let mut files = examples();
    for text in files.values_mut() {
        let parsed =
            serde_yaml::Deserializer::from_str(text).map(|document| Value::deserialize(document).unwrap());
        let mut documents: Vec<Value> = parsed.collect();
        let mut changed = false;
        for document in &mut documents {
            let name = document["metadata"]["name"].as_str().unwrap().to_owned();
            if document["kind"] == "Secret"
                && let Some(store) = keys(&name)
            {
                document["stringData"] =
                    json!({ "accessKey": store.access_key, "secretKey": store.secret_key });
                changed = true;
            }
            if document["kind"] == "Connection" && name == "default" {
                document["spec"]["endpoint"] = json!(places.oms);
                document["spec"]["projectId"] = json!(places.project);
                changed = true;
            }
        }
        if changed {
            *text = manifests(&documents);
        }
    }
    // Nobody has the keys of the destination in Git: this Secret is of the examples' text only.
    let obs = &places.destination;
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "obs" },
        "stringData": { "accessKey": obs.access_key, "secretKey": obs.secret_key },
    });
    files.insert("secret-obs.yaml".into(), format!("{secret:#}\n"));
    files
}

/// What the buckets of the examples hold.
async fn fill(places: &Places) {
    for (bucket, archive) in [
        ("photos", "photos-archive"),
        ("albums", "albums-archive"),
        ("inbox", "inbox-copy"),
        ("archive", "archive-copy"),
    ] {
        let source = Bucket::new(&places.source, bucket).unwrap();
        source.create().await.unwrap();
        Bucket::new(&places.destination, archive).unwrap().create().await.unwrap();
        let mut keys = vec!["logo.svg".to_owned()];
        keys.extend(["brand", "2024", "2025", "brand/2025"].map(|folder| format!("{folder}/a.jpg")));
        keys.extend((0..12).map(|number| format!("2026/{number:02}.dat")));
        for key in keys {
            source.put(&key, "application/octet-stream", &[], "contents".into()).await.unwrap();
        }
    }
}

fn wanted() -> BTreeMap<Name, &'static str> {
    let objects = RUN.iter().flat_map(|(_, objects)| *objects);
    objects.map(|(kind, name, health)| (((*kind).to_owned(), (*name).to_owned()), *health)).collect()
}

/// One object of each kind, to try things with.
const ONE_OF_EACH: [(&str, &str); 5] = [
    ("Connection", "default"),
    ("MigrationTask", "photos"),
    ("TaskGroup", "albums"),
    ("SyncTask", "inbox"),
    ("SyncEvent", "inbox-monday"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_examples_are_synced_stay_in_sync_are_healed_and_go_with_git() {
    let install = Install::shared();
    fill(&install.places).await;
    let files = owned(&install.places);
    let names: Vec<_> = RUN.iter().map(|(file, _)| *file).collect();
    let include = format!("{{{},secret-obs}}.yaml", names.join(","));
    let folder = Folder::create(&install, "media", &files, &include).await;

    let wanted = wanted();
    let seen = folder.watch(&wanted).await;
    for (name, healths) in &seen {
        println!("{:<14} {:<22} {}", name.0, name.1, healths.join(" -> "));
        let last = wanted[name];
        let order: Vec<_> = healths.iter().map(String::as_str).collect();
        // What is over within a moment may be so before Argo CD looks.
        assert!(order == ["Progressing", last] || order == [last], "{name:?}: {order:?}");
        if name.0 == "TaskGroup" || *name == ("MigrationTask".to_owned(), "photos".to_owned()) {
            assert_eq!(order, ["Progressing", "Healthy"], "{name:?}");
        }
    }
    stays_in_sync(&folder).await;
    is_healed(&folder, &wanted).await;

    // Everything that is at OMS by now, and what its owner wants to keep there.
    let (mut made, mut kept) = (BTreeSet::new(), BTreeSet::new());
    for (kind, name) in wanted.keys() {
        let object = folder.object(kind, name).await;
        let id = object["status"]["taskId"].as_str();
        let orphan = object["spec"]["deletionPolicy"] == "Orphan";
        if let Some(id) = id {
            if orphan { &mut kept } else { &mut made }.insert(id.to_owned());
        }
    }
    assert!(made.len() > 10 && kept.len() == 1, "{made:?} {kept:?}");
    folder.commit(&BTreeMap::new()).await;
    folder.wait(&BTreeMap::new()).await;
    for definition in api::crds() {
        let kind = &definition.spec.names.kind;
        if kind != "ClusterConnection" {
            let left = folder.objects(kind).list(&ListParams::default()).await.unwrap();
            assert_eq!(left.items.len(), 0, "{kind}");
        }
    }
    let remote: BTreeSet<_> = folder.remote().await.into_iter().collect();
    assert!(made.is_disjoint(&remote), "their tasks went with them");
    assert!(kept.is_subset(&remote), "an orphan stays");
}

/// A hundred reconciles of one object of each kind, counted by the operator's answers; Git and cluster never differ.
async fn stays_in_sync(folder: &Folder) {
    let mut generations = BTreeMap::new();
    for (kind, name) in ONE_OF_EACH {
        generations.insert(kind, folder.object(kind, name).await["metadata"]["generation"].clone());
    }
    let mut answered = 0;
    for number in 0..100 {
        let word = format!("look-{number}");
        let asked = json!({ "metadata": { "annotations": { api::RECONCILE_REQUESTED_AT: word } } });
        join_all(ONE_OF_EACH.map(|(kind, name)| folder.edit(kind, name, &asked))).await;
        eventually("the operator has looked at each", async || {
            let objects = join_all(ONE_OF_EACH.map(|(kind, name)| folder.object(kind, name))).await;
            let handled: Vec<_> =
                objects.iter().map(|object| object["status"]["lastHandledReconcileAt"].clone()).collect();
            if handled.iter().all(|handled| *handled == word.as_str()) {
                Ok(())
            } else {
                Err(format!("{handled:?}"))
            }
        })
        .await;
        answered += ONE_OF_EACH.len();
        if number % 10 == 9 {
            folder.refresh("normal").await;
        }
        assert_eq!(folder.sync_status().await, "Synced", "after {word}");
    }
    folder.refresh("hard").await;
    assert_eq!(folder.sync_status().await, "Synced");
    for (kind, name) in ONE_OF_EACH {
        let after = folder.object(kind, name).await["metadata"]["generation"].clone();
        assert_eq!(after, generations[kind], "the operator never writes the spec of a {kind}");
    }
    println!("{answered} reconciles, 100 of each kind, and Synced after each");
}

/// What is deleted by hand comes back, and does again what it is there for.
async fn is_healed(folder: &Folder, wanted: &BTreeMap<Name, &str>) {
    let mut former = BTreeMap::new();
    // A Connection in use waits for its users, and so does a SyncTask for nobody: events first, as people do.
    for (kind, name) in ONE_OF_EACH.into_iter().filter(|(kind, _)| *kind != "Connection").rev() {
        former.insert((kind, name), folder.object(kind, name).await["metadata"]["uid"].clone());
        folder.delete(kind, name).await;
    }
    for ((kind, name), uid) in &former {
        eventually(&format!("{kind} {name} is there again"), async || {
            let found = folder.objects(kind).get_opt(name).await.unwrap();
            let found = found.and_then(|object| object.metadata.uid);
            if found.is_some() && found.as_deref() != uid.as_str() {
                Ok(())
            } else {
                Err(format!("{found:?}"))
            }
        })
        .await;
    }
    // Of a Connection, something that Git says.
    folder.edit("Connection", "default", &json!({ "spec": { "privacyAgreement": null } })).await;
    eventually("the edit of the Connection is taken back", async || {
        let spec = folder.object("Connection", "default").await["spec"].clone();
        if spec["privacyAgreement"] == "Accepted" { Ok(()) } else { Err(spec.to_string()) }
    })
    .await;
    folder.wait(wanted).await;
}
