//! The program as it is typed.
#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

fn operator(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_oms-operator")).args(args).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

fn committed() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("crds");
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .map(|path| {
            (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read_to_string(path).unwrap())
        })
        .collect();
    files.sort();
    files
}

#[test]
fn crds_prints_every_definition_as_one_stream() {
    let printed = operator(&["crds"]);
    assert!(printed.status.success(), "{}", text(&printed.stderr));
    let mut documents: Vec<_> =
        text(&printed.stdout).split("---\n").filter(|document| !document.is_empty()).collect();
    documents.sort_unstable();
    let mut expected: Vec<_> = committed().into_iter().map(|(_, yaml)| yaml).collect();
    expected.sort_unstable();
    assert!(!expected.is_empty());
    assert_eq!(documents, expected);
}

#[test]
fn crds_writes_one_file_per_definition() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("crds-{}", std::process::id()));
    let written = operator(&["crds", "--output-dir", folder.to_str().unwrap()]);
    assert!(written.status.success(), "{}", text(&written.stderr));
    let mut files: Vec<_> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read_to_string(path).unwrap())
        })
        .collect();
    files.sort();
    fs::remove_dir_all(&folder).unwrap();
    assert_eq!(files, committed());
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let written = operator(&["crds", "--output-dir", "/dev/null/crds"]);
    assert_eq!(written.status.code(), Some(1));
    assert!(text(&written.stderr).starts_with("oms-operator: cannot write /dev/null/crds: "), "{written:?}");
}

#[test]
fn without_a_command_the_commands_are_listed() {
    let listed = operator(&[]);
    assert_eq!(listed.status.code(), Some(2));
    for command in ["run", "crds"] {
        assert!(text(&listed.stderr).contains(command), "{listed:?}");
    }
}

#[test]
fn version_is_the_packages() {
    let version = operator(&["--version"]);
    assert_eq!(text(&version.stdout), concat!("oms-operator ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[test]
fn a_wrong_value_is_refused_before_anything_starts() {
    for (arg, complaint) in [
        ("--allowed-endpoint=*", "oms-operator: --allowed-endpoint: \"*\" "),
        ("--namespace=Team_A", "oms-operator: --namespace: \"Team_A\" is not the name of a namespace"),
        (
            "--log-level=oms_operator=loud",
            "oms-operator: --log-level: log level \"oms_operator=loud\" is not understood",
        ),
        // The library would take it for the name of a target, and write nothing but that.
        ("--log-level=verbose", "oms-operator: --log-level: log level \"verbose\" is not understood"),
        ("--config=/nowhere/config.yaml", "oms-operator: --config: /nowhere/config.yaml: cannot be read: "),
    ] {
        let refused = operator(&["run", arg]);
        assert_eq!(refused.status.code(), Some(1), "{refused:?}");
        assert!(text(&refused.stderr).starts_with(complaint), "{refused:?}");
        assert_eq!(text(&refused.stdout), "");
    }
    let refused = operator(&["run", "--poll-interval", "often"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(text(&refused.stderr).contains("write it like 30s, 5m or 1h30m"), "{refused:?}");
}
