//! The same binaries make the same images, byte by byte.

use std::fs;

use oms_operator::dev::image::{self, Architecture, Request, archive_name};

use crate::{folder, image, oms_dev, target};

#[test]
fn two_builds_are_equal_byte_by_byte() {
    let labels = image(Architecture::Amd64).labels();
    let created: jiff::Timestamp = labels["created"].parse().unwrap();
    let output = tempfile::tempdir().unwrap();
    let request = Request {
        binaries: target().to_owned(),
        revision: labels["revision"].clone(),
        epoch: created.as_second() as u64,
        output: output.path().to_owned(),
    };
    let again = image::build(oms_dev(), &request).unwrap();
    assert_eq!(again.len(), Architecture::ALL.len());
    for path in again {
        let name = path.file_name().unwrap();
        let (first, second) = (fs::read(folder().join(name)).unwrap(), fs::read(&path).unwrap());
        let differs = first.iter().zip(&second).position(|(one, other)| one != other);
        assert!(first == second, "{} differs, first at byte {differs:?}", name.display());
    }
    let index = |folder: &std::path::Path| fs::read(folder.join("oms-operator/index.json")).unwrap();
    assert_eq!(index(&folder()), index(output.path()));
}

#[test]
fn another_commit_shows_in_labels_and_times_and_not_in_the_program() {
    let first = image(Architecture::Amd64);
    let output = tempfile::tempdir().unwrap();
    let request = Request {
        binaries: target().to_owned(),
        revision: "0".repeat(40),
        epoch: 1_000_000_000,
        output: output.path().to_owned(),
    };
    image::build(oms_dev(), &request).unwrap();
    let second = crate::archive::Archive::read(&output.path().join(archive_name(Architecture::Amd64)));
    let labels = second.labels();
    assert_eq!(
        (labels["revision"].as_str(), labels["created"].as_str()),
        (&*"0".repeat(40), "2001-09-09T01:46:40Z")
    );
    assert!(second.root().iter().all(|entry| entry.time == 1_000_000_000));
    assert!(second.program() == first.program(), "the program is the same");
}
