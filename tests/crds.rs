//! What is committed in `crds/` is what the types say, and fits what users' tools take.
#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::{collections::BTreeMap, fs, path::Path};

use oms_operator::api;

/// `kubectl apply` keeps the manifest in an annotation; that and etcd's limits ask for small definitions.
const SIZE_LIMIT: usize = 200 * 1024;

#[test]
fn the_committed_definitions_are_those_of_the_types() {
    are_those_of_the_types("crds");
}

#[test]
fn the_definitions_of_the_chart_are_those_of_the_types() {
    // A chart holds only what is in its own folder.
    are_those_of_the_types("charts/oms-operator/files/crds");
}

fn are_those_of_the_types(place: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(place);
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
        "{place} holds other files than the types make; run `make crds`"
    );
    for (name, content) in &wanted {
        assert!(committed[name] == *content, "{place}/{name} is out of date; run `make crds`");
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
fn a_word_that_older_yaml_takes_for_a_boolean_is_quoted() {
    // kubectl and helm read YAML 1.1: a bare `Off` among the values of a field allowed `"false"` and refused `"Off"`.
    let words = ["y", "n", "yes", "no", "on", "off"];
    let mut quoted = 0;
    for (name, content) in api::crd_files() {
        for line in content.lines() {
            let value = line.trim_start().trim_start_matches("- ");
            let value = value.rsplit_once(": ").map_or(value, |(_, value)| value);
            assert!(!words.contains(&value.to_ascii_lowercase().as_str()), "{name}: {line}");
            quoted += usize::from(value == "\"Off\"");
        }
    }
    assert!(quoted >= 3, "`preflight` of three kinds has it");
}

#[test]
fn every_definition_is_small_enough_for_client_side_apply() {
    for (name, content) in api::crd_files() {
        assert!(content.len() < SIZE_LIMIT, "{name} has {} bytes", content.len());
    }
}
