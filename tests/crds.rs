//! What is committed in `crds/` is what the types say, and fits what users' tools take.

use std::{collections::BTreeMap, fs, path::Path};

use oms_operator::api;

/// `kubectl apply` keeps the manifest in an annotation; that and etcd's limits ask for small definitions.
const SIZE_LIMIT: usize = 200 * 1024;

#[test]
fn the_committed_definitions_are_those_of_the_types() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("crds");
    let wanted: BTreeMap<String, String> = api::crd_files().into_iter().collect();
    if std::env::var_os("UPDATE_CRDS").is_some() {
        for (name, content) in &wanted {
            fs::write(folder.join(name), content).unwrap();
        }
    }
    let committed: BTreeMap<String, String> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), fs::read_to_string(entry.path()).unwrap()))
        .collect();
    assert_eq!(
        committed.keys().collect::<Vec<_>>(),
        wanted.keys().collect::<Vec<_>>(),
        "crds/ holds other files than the types make; run `make crds`"
    );
    for (name, content) in &wanted {
        assert!(committed[name] == *content, "crds/{name} is out of date; run `make crds`");
    }
}

#[test]
fn one_stream_holds_every_definition() {
    let stream = api::crds_yaml();
    for (_, content) in api::crd_files() {
        assert!(stream.contains(&content));
    }
    assert_eq!(stream.matches("---\n").count(), api::crd_files().len());
}

#[test]
fn every_definition_is_small_enough_for_client_side_apply() {
    for (name, content) in api::crd_files() {
        assert!(content.len() < SIZE_LIMIT, "{name} has {} bytes", content.len());
    }
}
