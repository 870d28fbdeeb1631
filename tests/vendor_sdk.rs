//! The vendor's own SDK as a client of the emulator: its signatures, its models, its programs (`tests/vendor_sdk/*.py`).
//!
//! The SDK comes from PyPI, once per machine and version, into a virtual environment below
//! `${XDG_CACHE_HOME:-~/.cache}/oms-operator/python/`.
#![allow(missing_docs, unreachable_pub, clippy::unwrap_used)]
#![cfg(feature = "emulator")]

#[path = "contract/mod.rs"]
mod contract;
#[path = "vendor_sdk/environment.rs"]
mod environment;

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use oms_operator::emulator::{
    config::Config,
    server::{Emulator, Options},
};
use serde_json::{Value, json};

use crate::contract::watch::{Held, Watch};

/// The programs wait for what they started, for longer than that only when something hangs.
const DEADLINE: Duration = Duration::from_mins(8);

/// A CDN, and the source bucket that it is in front of.
const CDN_DOMAIN: &str = "images.example.test";
const CDN_BUCKET: &str = "cdn-photos";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vendor_sdk")
}

/// Quick, and with room for tests that leave a task running.
fn config() -> Config {
    let keys = |role: &str| json!([{ "access": format!("{role}KEY"), "secret": format!("{role}-secret") }]);
    let config = json!({
        "projects": [{
            "id": "2c0689c860ad4728a497c91ec0844383",
            "region": "cn-north-4",
            "accessKeys": [
                { "access": "PROJECTKEY", "secret": "project-secret" },
                { "access": "TEMPORARYKEY", "secret": "temporary-secret", "securityToken": "temporary-token" },
            ],
        }],
        "embeddedStores": [
            { "name": "source", "cloudType": "AWS", "accessKeys": keys("SOURCE") },
            { "name": "destination", "cloudType": "OBS", "region": "cn-north-4", "accessKeys": keys("DESTINATION") },
        ],
        "embeddedCdns": [{ "name": "edge", "domain": CDN_DOMAIN, "store": "source", "bucket": CDN_BUCKET }],
        "limits": { "runningTasks": 50 },
        "behaviour": {
            "taskStartDelayMs": 0, "minimumRunMs": 0, "pauseMs": 50, "staleInProgressMs": 0,
            "groupStartDelayMs": 0, "groupCreationMs": 50, "groupDeletionMs": 100,
        },
    });
    Config::parse(&config.to_string()).unwrap()
}

/// The variables that `make dev` writes to `.dev/env`, so that the programs also run by hand against a playground.
fn variables(ready: &Value) -> Vec<(String, String)> {
    let project = &ready["projects"][0];
    let mut variables = vec![
        ("OMS_ENDPOINT".to_owned(), ready["oms"].clone()),
        ("OMS_IAM_ENDPOINT".to_owned(), ready["iam"].clone()),
        ("OMS_ADMIN_ENDPOINT".to_owned(), ready["admin"].clone()),
        ("OMS_PROJECT_ID".to_owned(), project["id"].clone()),
        ("OMS_REGION".to_owned(), project["region"].clone()),
        ("OMS_ACCESS_KEY".to_owned(), project["accessKey"].clone()),
        ("OMS_SECRET_KEY".to_owned(), project["secretKey"].clone()),
        ("OMS_CDN_DOMAIN".to_owned(), json!(CDN_DOMAIN)),
        ("OMS_CDN_BUCKET".to_owned(), json!(CDN_BUCKET)),
        ("OMS_TEMPORARY_ACCESS_KEY".to_owned(), json!("TEMPORARYKEY")),
        ("OMS_TEMPORARY_SECRET_KEY".to_owned(), json!("temporary-secret")),
        ("OMS_TEMPORARY_TOKEN".to_owned(), json!("temporary-token")),
    ];
    for (side, name, region) in
        [("SOURCE", "source", "eu-west-1"), ("DESTINATION", "destination", "cn-north-4")]
    {
        let stores = ready["stores"].as_array().unwrap();
        let store = stores.iter().find(|store| store["name"] == name).unwrap();
        variables.extend([
            (format!("S3_{side}_ENDPOINT"), store["endpoint"].clone()),
            (format!("S3_{side}_ACCESS_KEY"), store["accessKey"].clone()),
            (format!("S3_{side}_SECRET_KEY"), store["secretKey"].clone()),
            (format!("S3_{side}_REGION"), json!(region)),
            (format!("S3_{side}_CLOUD"), store["cloudType"].clone()),
        ]);
    }
    variables.into_iter().map(|(name, value)| (name, value.as_str().unwrap().to_owned())).collect()
}

/// Runs every program, and returns whether all passed, with what they said.
fn run(python: &Path, variables: &[(String, String)]) -> (bool, String) {
    // The SDK writes below the home folder.
    let home = tempfile::tempdir().unwrap();
    let said = home.path().join("said");
    let output = std::fs::File::create(&said).unwrap();
    let mut command = Command::new(python);
    command
        .args(["-B", "-u", "-m", "unittest", "discover", "--verbose", "--start-directory"])
        .arg(folder())
        .current_dir(home.path())
        .env("HOME", home.path())
        .envs(variables.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(output.try_clone().unwrap())
        .stderr(output);
    // Everything is on this machine; a proxy would not find it.
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
        command.env_remove(name).env_remove(name.to_lowercase());
    }
    for name in ["PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP"] {
        command.env_remove(name);
    }
    let mut child = command.env("NO_PROXY", "*").spawn().unwrap();
    let begun = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break Some(status);
        }
        if begun.elapsed() > DEADLINE {
            child.kill().unwrap();
            child.wait().unwrap();
            break None;
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    let text = std::fs::read_to_string(&said).unwrap();
    let text = if status.is_none() { format!("{text}\nNot done after {DEADLINE:?}\n") } else { text };
    (status.is_some_and(|status| status.success()), text)
}

/// How many tests the programs hold.
fn number_of_tests() -> usize {
    let programs = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let programs = programs.filter(|path| path.extension().is_some_and(|extension| extension == "py"));
    programs.map(|path| std::fs::read_to_string(path).unwrap().matches("\n    def test_").count()).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn programs_of_the_vendors_sdk_cannot_tell_the_emulator_from_the_service() {
    let python = tokio::task::spawn_blocking(|| environment::python(&folder().join("requirements.txt")));
    let python = python.await.unwrap().unwrap_or_else(|problem| panic!("{problem}"));
    let watch = Watch::over(Held::Both);
    let emulator = Emulator::start(watch.with(Options::local(config()))).await.unwrap();
    let variables = variables(&emulator.endpoints().to_json());
    let (passed, said) = tokio::task::spawn_blocking(move || run(&python, &variables)).await.unwrap();
    emulator.shutdown().await;

    let closing: Vec<&str> = said.lines().rev().take(3).filter(|line| !line.is_empty()).collect();
    let closing = closing.into_iter().rev().collect::<Vec<_>>().join(" ");
    assert!(passed, "{said}");
    // The test harness holds back what a test prints; this line is to be seen.
    writeln!(std::io::stderr(), "vendor SDK: {closing}").unwrap();
    assert!(closing.starts_with(&format!("Ran {} tests", number_of_tests())), "{closing}");
    assert!(closing.ends_with(" OK"), "nothing is left out: {closing}");
}
