//! The program: its command line, its files, its signals, and what it keeps over a SIGKILL.

use std::{
    io::Read as _,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use oms_operator::emulator::server::Options;
use serde_json::{Value, json};

use crate::world::{
    DEADLINE, DESTINATION_SECRET, PROJECT, PROJECT_SECRET, SOURCE_SECRET, World, config, ready_json, task,
};

pub struct Program {
    child: Child,
}

impl Program {
    pub fn start(folder: &Path, more: &[&str]) -> Self {
        Self::start_in(folder, more, &[])
    }

    /// With these variables besides its own environment.
    pub fn start_in(folder: &Path, more: &[&str], environment: &[(&str, &str)]) -> Self {
        let child = Command::new(env!("CARGO_BIN_EXE_oms-emulator"))
            .envs(environment.iter().copied())
            .arg("serve")
            .arg("--ready-file")
            .arg(folder.join("ready.json"))
            .args(more)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Self { child }
    }

    /// The ready file, once it is there.
    pub async fn ready(&self, folder: &Path) -> Value {
        let begun = Instant::now();
        loop {
            if let Ok(text) = std::fs::read(folder.join("ready.json")) {
                // Renamed into place, so it is whole.
                return serde_json::from_slice(&text).unwrap();
            }
            assert!(begun.elapsed() < DEADLINE, "no ready file");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, name: &str) {
        let sent =
            Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status().unwrap();
        assert!(sent.success());
    }

    /// Exit status, standard output and standard error.
    pub async fn end(&mut self) -> (Option<i32>, String, String) {
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(begun.elapsed() < DEADLINE, "it does not end");
            tokio::time::sleep(Duration::from_millis(10)).await;
        };
        let (mut out, mut error) = (String::new(), String::new());
        self.child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
        self.child.stderr.take().unwrap().read_to_string(&mut error).unwrap();
        (status.code(), out, error)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn without_a_configuration_it_serves_a_project_and_two_stores() {
    let folder = tempfile::tempdir().unwrap();
    let mut program = Program::start(folder.path(), &[]);
    let ready = program.ready(folder.path()).await;
    let mut world = World::at(&ready);
    world.signer.access = ready["projects"][0]["accessKey"].as_str().unwrap().to_owned();
    world.signer.secret = ready["projects"][0]["secretKey"].as_str().unwrap().to_owned();
    assert_eq!(ready["iam"], ready["oms"]);
    let found = world.get("/v3/projects?name=cn-north-4").await.expect_ok();
    assert_eq!(found["projects"][0]["id"], ready["projects"][0]["id"]);
    let stores = ready["stores"].as_array().unwrap();
    let described: Vec<_> =
        stores.iter().map(|store| (&store["name"], &store["cloudType"], &store["region"])).collect();
    assert_eq!(
        described,
        [
            (&json!("source"), &json!("AWS"), &json!("*")),
            (&json!("destination"), &json!("HuaweiCloud"), &json!("cn-north-4"))
        ]
    );
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(folder.path().join("ready.json")).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0);
    }
    program.signal("TERM");
    let (status, out, error) = program.end().await;
    assert_eq!((status, error.as_str()), (Some(0), ""));
    for word in ["oms", "admin"] {
        assert!(out.contains(ready[word].as_str().unwrap()), "{out}");
    }
    assert!(!folder.path().join("ready.json").exists());
}

#[tokio::test]
async fn a_mistake_in_the_configuration_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("emulator.yaml");
    std::fs::write(&file, "projects: []\nlimitz: {}\n").unwrap();
    let mut program = Program::start(folder.path(), &["--config", file.to_str().unwrap()]);
    let (status, _, error) = program.end().await;
    assert_eq!(status, Some(1));
    assert!(error.contains("emulator.yaml") && error.contains("limitz"), "{error}");
}

pub fn write_config(folder: &Path, behaviour: Value) -> String {
    let file = folder.join("emulator.yaml");
    let config = json!({
        "projects": [{ "id": PROJECT, "region": "cn-north-4", "accessKeys": [{ "access": "PROJECTKEY", "secret": PROJECT_SECRET }] }],
        "embeddedStores": [
            { "name": "source", "cloudType": "AWS", "accessKeys": [{ "access": "SOURCEKEY", "secret": SOURCE_SECRET }] },
            { "name": "destination", "cloudType": "OBS", "accessKeys": [{ "access": "DESTINATIONKEY", "secret": DESTINATION_SECRET }] },
        ],
        "behaviour": behaviour,
    });
    std::fs::write(&file, config.to_string()).unwrap();
    file.to_str().unwrap().to_owned()
}

/// Developers behind a proxy have it in their environment, often without an exception for this machine.
#[tokio::test]
async fn objects_move_whatever_proxy_the_environment_names() {
    let folder = tempfile::tempdir().unwrap();
    let behaviour = json!({ "privacyAgreementAccepted": true, "taskStartDelayMs": 0, "minimumRunMs": 0 });
    let file = write_config(folder.path(), behaviour);
    // Nobody listens there.
    let proxy = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"];
    let environment = proxy.map(|name| (name, "http://127.0.0.1:9"));
    let environment = [&environment[..], &[("NO_PROXY", ""), ("no_proxy", "")]].concat();
    let program = Program::start_in(folder.path(), &["--config", &file], &environment);
    let world = World::at(&program.ready(folder.path()).await);
    world.make_bucket(&world.source, "SOURCEKEY", SOURCE_SECRET, "photos").await;
    world.make_bucket(&world.destination, "DESTINATIONKEY", DESTINATION_SECRET, "archive").await;
    world.put_source("a", b"abc".to_vec()).await;
    let id = world.created(&task(json!({}))).await;
    assert_eq!(world.reach(id, 5).await["successful_num"], 1);
    assert_eq!(world.destination_object("a").await.as_deref(), Some(b"abc".as_slice()));
}

/// The strongest case: the process is killed, tasks were accepted, one of them runs.
#[tokio::test]
async fn no_accepted_call_is_forgotten_when_it_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let behaviour = |minimum: u64| json!({ "privacyAgreementAccepted": true, "taskStartDelayMs": 0, "minimumRunMs": minimum, "pauseMs": 0 });
    let file = write_config(folder.path(), behaviour(3_600_000));
    let arguments = ["--config", file.as_str(), "--state", state.to_str().unwrap()];
    let mut program = Program::start(folder.path(), &arguments);
    let world = World::at(&program.ready(folder.path()).await);
    world.make_bucket(&world.source, "SOURCEKEY", SOURCE_SECRET, "photos").await;
    world.make_bucket(&world.destination, "DESTINATIONKEY", DESTINATION_SECRET, "archive").await;
    world.put_source("a", b"abc".to_vec()).await;
    let mut ids = Vec::new();
    for _ in 0..8 {
        ids.push(world.created(&task(json!({}))).await);
    }
    world.reach(ids[0], 2).await;
    assert_eq!(world.delete(ids[7]).await.status, 200);
    world.stop(ids[0]).await;
    world.reach(ids[0], 3).await;
    program.signal("KILL");
    program.end().await;

    std::fs::remove_file(folder.path().join("ready.json")).unwrap();
    write_config(folder.path(), behaviour(0));
    let program = Program::start(folder.path(), &arguments);
    let world = World::at(&program.ready(folder.path()).await);
    assert_eq!(world.status(ids[0]).await, 3);
    for id in &ids[1..7] {
        let done = world.reach(*id, 5).await;
        assert_eq!(
            done["successful_num"].as_u64().unwrap() + done["skipped_num"].as_u64().unwrap(),
            1,
            "{done}"
        );
    }
    world.tasks(reqwest::Method::GET, &format!("/{}", ids[7]), None).await.expect_refusal(400, "OMS.1009");
    assert_eq!(world.start_task(ids[0], json!({})).await.status, 200);
    world.reach(ids[0], 5).await;
}

#[tokio::test]
async fn a_clean_end_keeps_running_tasks_and_quotas_for_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let settings = || {
        let more = json!({ "behaviour": { "minimumRunMs": 3_600_000 }, "limits": { "tasksPerDay": 2 } });
        Options { state: Some(folder.path().join("state")), ..Options::local(config(more)) }
    };
    let (emulator, world) = World::start_with(settings()).await;
    let id = world.created(&task(json!({}))).await;
    world.created(&task(json!({}))).await;
    world.reach(id, 2).await;
    emulator.shutdown().await;

    let emulator = oms_operator::emulator::server::Emulator::start(settings()).await.unwrap();
    let world = World::at(&ready_json(&emulator));
    assert_eq!(world.status(id).await, 2);
    world.create(&task(json!({}))).await.expect_refusal(400, "OMS.1021");
    emulator.clock().advance(Duration::from_hours(2));
    assert_eq!(world.reach(id, 5).await["successful_num"], 3);
    emulator.shutdown().await;
}
