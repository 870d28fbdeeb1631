//! The pages for users, followed to the letter: every block of commands that can run on the playground is run there, page
//! by page, each on a playground of its own (runbooks, which only look, share one); every manifest is one that the API
//! server takes.
//!
//! `PAGE=docs/how-to/schedule.md cargo test --all-features --test walkthrough` follows one page.
#![cfg(all(feature = "dev", feature = "emulator"))]
#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod output;
mod page;
mod playground;
#[path = "../common/programs.rs"]
mod programs;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Mutex;

use oms_operator::api;
use oms_operator::dev::{ControlPlane, crds};
use serde::Deserialize as _;
use serde_json::Value;

use page::{Block, Role, blocks, pages};
use playground::Playground;

/// Between what two commands printed; no command prints it.
const MARK: char = '\u{1e}';

/// Pages that share a playground.
const RUNBOOKS: &str = "docs/runbooks/";

#[test]
fn every_block_of_commands_is_run_or_says_why_not() {
    let mut missing = Vec::new();
    let mut run = 0;
    for block in pages().iter().flat_map(|page| blocks(page)) {
        let place = format!("{}:{}", block.page, block.line);
        match &block.role {
            Role::Unknown(said) if !said.is_empty() => {
                panic!("{place}: no test knows what `test: {said}` means; see tests/walkthrough/page.rs")
            }
            Role::Unknown(_) if block.has_commands() => missing.push(place),
            Role::Skip(reason) => {
                assert!(reason.len() > 8, "{place}: say why it cannot run on the playground");
            }
            Role::Run | Role::Fails => {
                assert!(block.has_commands(), "{place}: only `console` and `sh` can be run");
                run += 1;
            }
            Role::Unknown(_) | Role::Save(_) => {}
        }
    }
    assert!(
        missing.is_empty(),
        "put `<!-- test: run -->` above, or `<!-- test: skip, REASON -->` where the playground cannot run it: {missing:#?}"
    );
    assert!(run > 20, "only {run} blocks are run");
}

#[test]
fn every_command_does_on_the_playground_what_its_page_says() {
    let only = std::env::var("PAGE").ok();
    let mut waiting: BTreeMap<String, Vec<Block>> = BTreeMap::new();
    for page in pages().into_iter().filter(|page| only.as_ref().is_none_or(|only| only == page)) {
        let followed = if page.starts_with(RUNBOOKS) { RUNBOOKS.to_owned() } else { page.clone() };
        waiting.entry(followed).or_default().extend(blocks(&page));
    }
    waiting.retain(|_, blocks| blocks.iter().any(|block| matches!(block.role, Role::Run | Role::Fails)));
    assert!(!waiting.is_empty());
    let (waiting, failures) = (Mutex::new(waiting), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let Some((page, blocks)) = waiting.lock().unwrap().pop_first() else { return };
                    if let Err(failure) = follow(&page, &blocks) {
                        failures.lock().unwrap().push(failure);
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

/// Does what a page says, from top to bottom.
fn follow(page: &str, blocks: &[Block]) -> Result<(), String> {
    let playground = Playground::start();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let _pods = runtime.block_on(playground.run_pods());

    let mut commands: Vec<(&Block, String, Vec<String>)> = Vec::new();
    let mut script = String::new();
    for block in blocks {
        match &block.role {
            Role::Save(name) => playground.save(name, &block.text),
            Role::Run | Role::Fails => {
                for (command, shown) in block.commands() {
                    writeln!(script, "printf '{MARK}'").unwrap();
                    if block.role == Role::Fails {
                        write!(script, "if {{ {command}\n}}; then echo 'it succeeded'; exit 1; fi\n")
                            .unwrap();
                    } else {
                        writeln!(script, "{command}").unwrap();
                    }
                    commands.push((block, command, shown));
                }
            }
            Role::Skip(_) | Role::Unknown(_) => {}
        }
    }
    let (printed, succeeded) = playground.bash(&script);
    // Before the first mark nothing is printed.
    let printed: Vec<&str> = printed.split(MARK).skip(1).collect();
    let printed_commands = printed.len();
    let mut wrong: Vec<String> = Vec::new();
    for (at, ((block, command, shown), printed)) in commands.iter().zip(&printed).enumerate() {
        let place = format!("{}:{}: `{}`", block.page, block.line, command.trim());
        if !succeeded && at + 1 == printed_commands {
            wrong.push(format!("{place} failed, or took too long:\n{printed}"));
        } else if let Err(difference) = output::compare(shown, printed) {
            wrong.push(format!("{place}: {difference}"));
        }
    }
    if !succeeded && wrong.is_empty() {
        wrong.push(format!("{page}: the environment of the playground could not be read"));
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
}

#[tokio::test]
async fn the_api_server_takes_every_manifest_of_the_pages() {
    let plane = ControlPlane::shared(Path::new(env!("CARGO_BIN_EXE_oms-dev"))).unwrap();
    let client = plane.client().await.unwrap();
    crds::install(&client, &api::crds()).await.unwrap();
    let mut made = BTreeSet::new();
    let mut failures = Vec::new();
    let mut seen = 0;
    for block in pages().iter().flat_map(|page| blocks(page)).filter(|block| block.language == "yaml") {
        let place = format!("{}:{}", block.page, block.line);
        let documents: Vec<Value> = serde_yaml::Deserializer::from_str(&block.text)
            .map(|document| Value::deserialize(document).unwrap_or_else(|error| panic!("{place}: {error}")))
            .collect();
        if matches!(block.role, Role::Skip(_)) {
            continue;
        }
        for document in &documents {
            let whole = document["kind"].is_string() && document["apiVersion"].is_string();
            assert!(whole, "{place}: this is no manifest; say `<!-- test: skip, REASON -->` above");
            if let Some(namespace) = document["metadata"]["namespace"].as_str()
                && namespace != "default"
                && made.insert(namespace.to_owned())
            {
                // Another test may have it, too.
                plane.kubectl().args(["create", "namespace", namespace]).output().unwrap();
            }
        }
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), &block.text).unwrap();
        // Objects with generated names can be created only.
        let verb = if block.text.contains("generateName:") { "create" } else { "apply" };
        let output = plane
            .kubectl()
            .args([verb, "--dry-run=server", "--validate=strict", "-f"])
            .arg(file.path())
            .output()
            .unwrap();
        seen += documents.len();
        if !output.status.success() {
            failures.push(format!("{place}: {}", String::from_utf8_lossy(&output.stderr)));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(seen > 10, "only {seen} manifests were seen");
}
