//! What OMS and the stores were asked for, what they have, and how a test disturbs them.

use oms_operator::dev::bucket::{Bucket, Endpoint};
use oms_operator::emulator::store::EmbeddedStore;
use serde_json::Value;

use super::{KEPT, Keys, REGION, World};

impl World {
    /// The sync tasks at OMS, in the shape of ListSyncTasks.
    pub(crate) async fn remote_sync_tasks(&self) -> Vec<Value> {
        self.admin("/state").await["syncTasks"].as_array().unwrap().clone()
    }

    /// The task groups at OMS, in the shape of ShowTaskGroup.
    pub(crate) async fn remote_groups(&self) -> Vec<Value> {
        self.admin("/state").await["groups"].as_array().unwrap().clone()
    }

    /// A bucket of the source store.
    pub(crate) fn source_bucket(&self, name: &str) -> Bucket {
        bucket(&self.source, "eu-west-1", &self.source_keys, name)
    }

    /// A bucket of the destination store.
    pub(crate) fn destination_bucket(&self, name: &str) -> Bucket {
        bucket(&self.destination, REGION, &self.destination_keys, name)
    }

    /// Makes the buckets `photos` and `photos-archive`, the first with `count` small objects named `00000.txt` and on.
    pub(crate) async fn put_objects(&self, count: usize) {
        use futures::{StreamExt as _, TryStreamExt as _};
        let source = self.source_bucket("photos");
        source.create().await.unwrap();
        self.destination_bucket("photos-archive").create().await.unwrap();
        let source = &source;
        futures::stream::iter(0..count)
            .map(async |number| {
                let contents = format!("object number {number}");
                source.put(&format!("{number:05}.txt"), "text/plain", &[], contents.into()).await
            })
            .buffer_unordered(16)
            .try_collect::<()>()
            .await
            .unwrap();
    }

    /// What the emulator's admin API answers to a GET.
    pub(crate) async fn admin(&self, path: &str) -> Value {
        let url = format!("{}{path}", self.emulator.endpoints().admin);
        self.http.get(url).send().await.unwrap().error_for_status().unwrap().json().await.unwrap()
    }

    /// The calls of an operation that OMS saw, the oldest first; `*` for all.
    pub(crate) async fn journal(&self, operation: &str) -> Vec<Value> {
        let path =
            if operation == "*" { "/journal".to_owned() } else { format!("/journal?operation={operation}") };
        self.admin(&path).await["entries"].as_array().unwrap().clone()
    }

    /// What OMS was asked for with an operation of [`KEPT`], answered by the service itself, the oldest first.
    pub(crate) fn requests(&self, operation: &str) -> Vec<Value> {
        assert!(KEPT.contains(&operation), "requests of {operation} are not kept");
        let requests = self.requests.lock().unwrap();
        requests.iter().filter(|(kept, _)| *kept == operation).map(|(_, body)| body.clone()).collect()
    }

    /// The calls of an operation that changed something at OMS.
    pub(crate) async fn effects(&self, operation: &str) -> Vec<Value> {
        let mut entries = self.journal(operation).await;
        entries.retain(|entry| entry["effect"] == true);
        entries
    }

    /// The tasks at OMS, in the shape of ShowTask.
    pub(crate) async fn remote_tasks(&self) -> Vec<Value> {
        self.admin("/state").await["tasks"].as_array().unwrap().clone()
    }

    /// Posts to the emulator's admin API.
    pub(crate) async fn tell_emulator(&self, path: &str, body: Value) -> Value {
        let url = format!("{}{path}", self.emulator.endpoints().admin);
        let answer = self.http.post(url).json(&body).send().await.unwrap();
        answer.error_for_status().unwrap().json().await.unwrap()
    }

    /// Puts a fault in force.
    pub(crate) async fn fault(&self, fault: Value) {
        let url = format!("{}/faults", self.emulator.endpoints().admin);
        let answer = self.http.post(url).json(&fault).send().await.unwrap();
        assert!(answer.status().is_success(), "{fault}: {}", answer.text().await.unwrap());
    }

    /// Ends all faults.
    pub(crate) async fn clear_faults(&self) {
        let url = format!("{}/faults", self.emulator.endpoints().admin);
        self.http.delete(url).send().await.unwrap().error_for_status().unwrap();
    }
}

fn bucket(store: &EmbeddedStore, region: &str, keys: &Keys, name: &str) -> Bucket {
    let endpoint = Endpoint {
        url: store.endpoint(),
        region: region.to_owned(),
        cloud: String::new(),
        access_key: keys.access.clone(),
        secret_key: keys.secret.clone(),
    };
    Bucket::new(&endpoint, name).unwrap()
}
