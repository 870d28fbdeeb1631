//! The bill of materials beside each image.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use oms_operator::dev::image::Architecture;
use serde_json::Value;

use crate::{folder, repository, target};

fn bill(architecture: Architecture) -> (String, Value) {
    let path = folder().join(format!("oms-operator-linux-{architecture}.cdx.json"));
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let bill = serde_json::from_str(&text).unwrap();
    (text, bill)
}

/// Name and version of every crate that is linked into the operator, as cargo itself tells.
fn linked(architecture: Architecture) -> BTreeSet<(String, String)> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--edges", "normal,no-proc-macro", "--prefix", "none", "--format", "{p}"])
        .args(["--target", architecture.target()])
        .current_dir(repository())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let named = |line: &str| {
        let mut words = line.split(' ');
        Some((words.next()?.to_owned(), words.next()?.strip_prefix('v')?.to_owned()))
    };
    text.lines().filter_map(named).filter(|(name, _)| name != "oms-operator").collect()
}

#[test]
fn every_crate_of_the_operator_is_in_its_bill_and_no_other() {
    for architecture in Architecture::ALL {
        let (_, bill) = bill(architecture);
        assert_eq!(bill["bomFormat"], "CycloneDX");
        assert_eq!(bill["specVersion"], "1.5");
        let about = &bill["metadata"]["component"];
        assert_eq!(
            (about["name"].as_str(), about["type"].as_str()),
            (Some("oms-operator"), Some("application"))
        );
        assert_eq!(about["version"], env!("CARGO_PKG_VERSION"));
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let components = bill["components"].as_array().unwrap();
        let listed: BTreeSet<_> =
            components.iter().map(|crate_| (text(&crate_["name"]), text(&crate_["version"]))).collect();
        let listed: BTreeSet<_> = listed.into_iter().filter(|(name, _)| name != "oms-operator").collect();
        let linked = linked(architecture);
        assert!(linked.len() > 100, "{linked:?}");
        let lacking: Vec<_> = linked.difference(&listed).collect();
        let surplus: Vec<_> = listed.difference(&linked).collect();
        assert!(
            lacking.is_empty() && surplus.is_empty(),
            "lacks {lacking:?}, and should not have {surplus:?}"
        );
    }
}

#[test]
fn every_crate_in_a_bill_has_its_licence_its_hash_and_a_name_that_scanners_know() {
    let (_, bill) = bill(Architecture::Amd64);
    for component in bill["components"].as_array().unwrap() {
        let name = component["name"].as_str().unwrap();
        if name == "oms-operator" {
            continue;
        }
        let known = format!("pkg:cargo/{name}@{}", component["version"].as_str().unwrap());
        assert_eq!(component["purl"], known);
        assert!(component["licenses"].as_array().is_some_and(|licences| !licences.is_empty()), "{component}");
        assert_eq!(component["hashes"][0]["alg"], "SHA-256", "{component}");
    }
}

#[test]
fn a_bill_tells_of_no_machine_and_of_no_other_time_than_the_commits() {
    for architecture in Architecture::ALL {
        let (text, bill) = bill(architecture);
        for place in [repository().to_str().unwrap(), target().to_str().unwrap(), "file:///tmp", "/.cargo/"] {
            assert!(!text.contains(place), "`{place}` is in it");
        }
        assert_eq!(bill["serialNumber"], Value::Null, "it would be another one each time");
        let stated: jiff::Timestamp = bill["metadata"]["timestamp"].as_str().unwrap().parse().unwrap();
        let created: jiff::Timestamp = crate::image(architecture).labels()["created"].parse().unwrap();
        assert_eq!(stated, created);
    }
}
