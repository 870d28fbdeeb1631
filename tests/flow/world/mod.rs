//! What a test stands on: a namespace of its own on the shared API server, an emulated OMS with two stores, and
//! operators that end with the test.

mod cluster;
mod service;
mod setup;

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kube::Client;
use oms_operator::api::{SyncTask, TaskGroup};
use oms_operator::dev::ControlPlane;
use oms_operator::dev::scratch::Scratch;
use oms_operator::emulator::server::Emulator;
use oms_operator::emulator::store::EmbeddedStore;
use serde_json::Value;

pub(crate) use self::setup::Setup;
pub(crate) use crate::conditions::{LIMIT, eventually, eventually_within};
use crate::contract::watch::Watch;
use crate::migration::{Draft, Migration};
use crate::operator::{Operator, OperatorFlags};
pub(crate) use crate::programs::oms_dev;

/// The region of the project and of the destination.
pub(crate) const REGION: &str = "cn-north-4";
/// Another region of HuaweiCloud.
pub(crate) const OTHER_REGION: &str = "ap-southeast-1";
/// The clouds beside AWS that have buckets.
pub(crate) const CLOUDS: &[&str] = &[
    "Azure",
    "Aliyun",
    "Tencent",
    "HuaweiCloud",
    "QingCloud",
    "KingsoftCloud",
    "Baidu",
    "Google",
    "Qiniu",
    "UCloud",
];
/// The project at OMS.
pub(crate) const PROJECT: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";
/// A second project of the same account, where a test asks for it.
pub(crate) const OTHER_PROJECT: &str = "9b8a7c6d5e4f30213243546576879809";
/// Operations whose requests are kept; they hold what no answer and no journal shows.
const KEPT: [&str; 5] =
    ["StartTask", "RetryTaskGroup", "CreateSyncTask", "StartSyncTask", "CreateSyncEvents"];
/// The Connection that objects use which name none.
pub(crate) const CONNECTION: &str = "default";
/// Secret with the keys for OMS.
pub(crate) const OMS_SECRET: &str = "huawei";
/// A user of IAM who may log in for the project, with the name of its account.
pub(crate) const USER: (&str, &str) = ("migrator", "example-company");
/// Secret with the keys of the source store.
pub(crate) const SOURCE_SECRET: &str = "aws-source";
/// Secret with the keys of the destination store.
pub(crate) const DESTINATION_SECRET: &str = "obs";

/// An access key ID and its secret.
#[derive(Clone)]
pub(crate) struct Keys {
    pub(crate) access: String,
    pub(crate) secret: String,
}

impl Keys {
    fn unique(role: &str, mark: &str) -> Self {
        Self {
            access: format!("AK{role}{mark}").to_uppercase(),
            secret: format!("sk-{role}-{mark}-never-to-be-seen"),
        }
    }
}

/// Everything that a test stands on. Dropping it ends every process; after a panic it tells what they said.
pub(crate) struct World {
    /// The API server.
    pub(crate) plane: &'static ControlPlane,
    /// The test's own namespace.
    pub(crate) namespace: String,
    /// A client that may do everything.
    pub(crate) client: Client,
    /// Keys for OMS.
    pub(crate) oms_keys: Keys,
    /// Keys for [`OTHER_PROJECT`] alone.
    pub(crate) other_keys: Keys,
    /// Keys of the source store.
    pub(crate) source_keys: Keys,
    /// Keys of the destination store.
    pub(crate) destination_keys: Keys,
    /// The store to copy from.
    pub(crate) source: EmbeddedStore,
    /// The store to copy to.
    pub(crate) destination: EmbeddedStore,
    /// The emulated OMS.
    pub(crate) emulator: Emulator,
    /// The operator that [`Setup`] asked for, and those started later.
    pub(crate) operators: Vec<Operator>,
    http: reqwest::Client,
    scratch: Scratch,
    /// Requests of [`KEPT`] operations, the oldest first.
    requests: Arc<Mutex<Vec<(&'static str, Value)>>>,
    /// Fails the test when a call broke the contract; last, as everything else has ended then.
    _watch: Watch,
}

impl World {
    /// A world with a running operator and a Connection that is on its way to be ready.
    pub(crate) async fn start() -> Self {
        Setup::default().start().await
    }

    /// A MigrationTask of the whole source bucket `photos` into `photos-archive`, to be changed and applied.
    pub(crate) fn migration(&self, name: &str) -> Draft<'_> {
        Draft::new(self, name)
    }

    /// A TaskGroup of the whole source bucket `photos` into `photos-archive`, to be changed and applied.
    pub(crate) fn group(&self, name: &str) -> Draft<'_, TaskGroup> {
        Draft::new(self, name)
    }

    /// A SyncTask from the bucket `photos` to `photos-archive`, to be changed and applied.
    pub(crate) fn sync_task(&self, name: &str) -> Draft<'_, SyncTask> {
        Draft::new(self, name).without("/type").without("/source/objectKeys")
    }

    /// A MigrationTask that was applied before.
    pub(crate) fn existing(&self, name: &str) -> Migration<'_> {
        Migration::existing(self, name)
    }

    /// A SyncTask that was applied before.
    pub(crate) fn existing_sync_task(&self, name: &str) -> Migration<'_, SyncTask> {
        Migration::existing(self, name)
    }

    /// A TaskGroup that was applied before.
    pub(crate) fn existing_group(&self, name: &str) -> Migration<'_, TaskGroup> {
        Migration::existing(self, name)
    }

    /// Starts one more operator and waits until it is ready; returns its place in [`World::operators`].
    pub(crate) async fn start_operator(&mut self, flags: &OperatorFlags) -> usize {
        let mut operator = self.spawn_operator(flags);
        operator.wait_ready().await;
        self.operators.push(operator);
        self.operators.len() - 1
    }

    /// Starts an operator without waiting for it.
    pub(crate) fn spawn_operator(&self, flags: &OperatorFlags) -> Operator {
        Operator::spawn(self.plane, &self.namespace, self.scratch.path(), flags)
    }

    /// The operator that runs since the world began.
    pub(crate) fn operator(&mut self) -> &mut Operator {
        &mut self.operators[0]
    }

    /// The test's own folder.
    pub(crate) fn folder(&self) -> &Path {
        self.scratch.path()
    }

    /// Lets the time of so many polls of an operator with default flags pass: that nothing happens has no condition
    /// that one could wait for.
    pub(crate) async fn let_polls_pass(&self, count: u32) {
        tokio::time::sleep(Duration::from_millis(250) * count).await;
    }

    fn tell(&self) {
        eprintln!("--- namespace {}", self.namespace);
        for operator in &self.operators {
            // Calls come by the hundred; what the operator made of them is in the other lines.
            let log = operator.log();
            let lines: Vec<_> = log.lines().filter(|line| !line.contains("\"called OMS\"")).collect();
            let tail = lines[lines.len().saturating_sub(120)..].join("\n");
            eprintln!("--- end of the log of {}\n{tail}", operator.name());
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.tell();
        }
    }
}
