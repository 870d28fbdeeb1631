//! A real `oms-emulator` process, and what the figures do with it.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::stream;
use oms_operator::oms::{
    Budget, Client, CreateTask, Credentials, DestinationNode, Settings, SourceNode, Task, TaskId, Urgency,
};
use reqwest::header::CONTENT_LENGTH;
use rusty_s3::{Bucket, Credentials as S3Credentials, S3Action as _, UrlStyle};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::process;

/// Whatever takes longer is broken, not slow.
const PATIENCE: Duration = Duration::from_mins(10);

/// Bytes of a body that are handed over at once.
const CHUNK: usize = 1 << 20;

/// A running emulator; ends with this value.
pub(crate) struct Emulator {
    process: Child,
    ready: Value,
    pub(crate) folder: TempDir,
}

impl Emulator {
    /// Starts one, on one core if asked.
    pub(crate) async fn start(config: &Value, core: Option<u8>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (file, ready) = (folder.path().join("config.yaml"), folder.path().join("ready.json"));
        fs::write(&file, config.to_string()).unwrap();
        let program = env!("CARGO_BIN_EXE_oms-emulator");
        let mut command = match core {
            None => Command::new(program),
            Some(core) => {
                let mut command = Command::new("taskset");
                command.args(["-c", &core.to_string(), program]);
                command
            }
        };
        command.arg("serve").arg("--config").arg(&file).arg("--ready-file").arg(&ready);
        command.args(["--log", "error"]).env("TOKIO_WORKER_THREADS", "2").stdout(Stdio::null());
        let mut process = command.spawn().expect("`taskset` of util-linux is there");
        let begun = Instant::now();
        let ready = loop {
            if let Ok(text) = fs::read_to_string(&ready)
                && let Ok(ready) = serde_json::from_str(&text)
            {
                break ready;
            }
            assert!(process.try_wait().unwrap().is_none(), "the emulator has ended");
            assert!(begun.elapsed() < PATIENCE, "the emulator does not get ready");
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        Self { process, ready, folder }
    }

    /// A member of the ready file.
    pub(crate) fn ready(&self, pointer: &str) -> &str {
        self.ready.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("{pointer} is missing"))
    }

    /// Its memory now, in MB of 1,000,000 bytes.
    pub(crate) fn memory(&self) -> f64 {
        process::memory(self.process.id(), "VmRSS")
    }

    /// Processor time that it has used so far, in seconds.
    pub(crate) fn processor_time(&self) -> f64 {
        process::processor_time(self.process.id())
    }

    /// A client of OMS for its first project, as fast as it goes.
    pub(crate) fn client(&self) -> Client {
        let settings = Settings::new(self.ready("/oms"), self.ready("/projects/0/id"));
        let credentials = Credentials::keys(
            self.ready("/projects/0/accessKey"),
            self.ready("/projects/0/secretKey").into(),
            None,
        );
        Client::new(settings, credentials, Budget::new(100_000.0)).unwrap()
    }

    /// A store of its ready file.
    pub(crate) fn store(&self, index: usize) -> Store {
        let at = |name: &str| self.ready(&format!("/stores/{index}/{name}")).to_owned();
        Store { endpoint: at("endpoint"), access: at("accessKey"), secret: at("secretKey") }
    }

    /// Waits until a task is over, and tells how it is then.
    pub(crate) async fn finished(&self, client: &Client, id: TaskId) -> Task {
        let begun = Instant::now();
        loop {
            let task = client.show_task(id, Urgency::User).await.unwrap();
            assert_ne!(task.status.code(), 4, "the task failed: {:?}", task.error_reason);
            if task.status.code() == 5 {
                return task;
            }
            assert!(begun.elapsed() < PATIENCE, "the task does not end");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The standard project and two embedded stores, with nothing slowed down.
pub(crate) fn config(data: Option<PathBuf>) -> Value {
    let store = |name: &str, cloud: &str| {
        json!({
            "name": name, "cloudType": cloud, "dir": data.as_ref().map(|data| data.join(name)),
            "accessKeys": [{ "access": format!("{name}KEY"), "secret": format!("{name}-secret") }],
        })
    };
    json!({
        "projects": [project()],
        "embeddedStores": [store("source", "AWS"), store("destination", "HuaweiCloud")],
        "behaviour": behaviour(),
    })
}

/// The one project.
pub(crate) fn project() -> Value {
    json!({
        "id": "2c0689c860ad4728a497c91ec0844383", "region": "cn-north-4",
        "accessKeys": [{ "access": "PROJECTKEY", "secret": "project-secret" }],
    })
}

/// No waits that imitate the service.
pub(crate) fn behaviour() -> Value {
    json!({
        "privacyAgreementAccepted": true, "taskStartDelayMs": 0, "minimumRunMs": 0, "pauseMs": 0,
        "staleInProgressMs": 0,
    })
}

/// An S3 store and its keys.
#[derive(Clone)]
pub(crate) struct Store {
    pub(crate) endpoint: String,
    pub(crate) access: String,
    pub(crate) secret: String,
}

impl Store {
    fn credentials(&self) -> S3Credentials {
        S3Credentials::new(&self.access, &self.secret)
    }

    fn bucket(&self, name: &str) -> Bucket {
        Bucket::new(self.endpoint.parse().unwrap(), UrlStyle::Path, name.to_owned(), "cn-north-4".to_owned())
            .unwrap()
    }

    /// Makes a bucket.
    pub(crate) async fn make(&self, http: &reqwest::Client, name: &str) {
        let credentials = self.credentials();
        let url = self.bucket(name).create_bucket(&credentials).sign(Duration::from_hours(1));
        http.put(url).send().await.unwrap().error_for_status().unwrap();
    }

    /// Puts an object of one byte repeated.
    pub(crate) async fn put(&self, http: &reqwest::Client, bucket: &str, key: &str, byte: u8, size: usize) {
        let credentials = self.credentials();
        let url = self.bucket(bucket).put_object(Some(&credentials), key).sign(Duration::from_hours(1));
        let chunk = Bytes::from(vec![byte; CHUNK.min(size)]);
        let pieces = (0..size).step_by(CHUNK).map(move |from| chunk.slice(..CHUNK.min(size - from)));
        let body = reqwest::Body::wrap_stream(stream::iter(pieces.map(Ok::<_, std::convert::Infallible>)));
        let request = http.put(url).header(CONTENT_LENGTH, size).body(body);
        request.send().await.unwrap().error_for_status().unwrap();
    }
}

/// An HTTP client that no proxy of the environment gets into.
pub(crate) fn http() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}

/// A create of a whole bucket.
pub(crate) fn create(source: &Store, from: &str, destination: &Store, to: &str) -> CreateTask {
    CreateTask {
        task_type: "prefix".to_owned(),
        src_node: SourceNode {
            cloud_type: "AWS".to_owned(),
            region: Some("eu-west-1".to_owned()),
            bucket: Some(from.to_owned()),
            ak: Some(source.access.as_str().into()),
            sk: Some(source.secret.as_str().into()),
            object_key: vec![String::new()],
            ..SourceNode::default()
        },
        dst_node: DestinationNode {
            ak: destination.access.as_str().into(),
            sk: destination.secret.as_str().into(),
            region: "cn-north-4".to_owned(),
            bucket: to.to_owned(),
            ..DestinationNode::default()
        },
        ..CreateTask::default()
    }
}
