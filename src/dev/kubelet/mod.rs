//! Plays the kubelet where no container can run: the containers of pods as processes of this machine.
//!
//! Everything around them is real: Deployment, ReplicaSet and Pod are made by the cluster's own controllers, admission has
//! checked them, and a process has a token of its pod's service account and no other right. What a container would have
//! beside that is imitated as far as processes allow: [`launch`] says how. What cannot be imitated, such as a read-only root
//! or another user, is left to the admission of the namespace.

mod launch;
mod process;
mod status;

use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::path::PathBuf;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use k8s_openapi::api::core::v1::{Binding, Pod};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt};
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use self::process::Running;
use super::error::{Context, Result};

/// The node that pods are bound to.
pub const NODE: &str = "this-machine";

/// Between two looks at the pods.
const TICK: Duration = Duration::from_millis(100);

/// What the kubelet has to work with.
#[derive(Clone, Debug)]
pub struct Machine {
    /// The `oms-dev` binary, which binds processes to our life.
    pub oms_dev: PathBuf,
    /// Programs by the image that would hold them, with or without its tag.
    pub images: BTreeMap<String, PathBuf>,
    /// A kubeconfig file of the cluster; its user is not used.
    pub kubeconfig: PathBuf,
    /// A folder for logs and mounted files.
    pub folder: PathBuf,
    /// Variables that every container gets beneath its own, which may refer to them: those of services, in a cluster.
    pub environment: Vec<(String, String)>,
}

/// A kubelet for the pods of one namespace. Dropping it kills their processes.
#[derive(Debug)]
pub struct Kubelet {
    task: JoinHandle<()>,
    seen: watch::Receiver<BTreeMap<String, u32>>,
}

impl Kubelet {
    /// Begins to run the pods of a namespace.
    pub fn start(client: Client, namespace: &str, machine: Machine) -> Self {
        let (tell, seen) = watch::channel(BTreeMap::new());
        let namespace = namespace.to_owned();
        let task = tokio::spawn(async move {
            let mut node = Node {
                pods: Api::namespaced(client.clone(), &namespace),
                client,
                namespace,
                machine,
                running: BTreeMap::new(),
            };
            loop {
                if let Err(error) = node.look().await {
                    eprintln!("kubelet: {error}");
                }
                let ids = node.running.iter().map(|(name, running)| (name.clone(), running.id())).collect();
                tell.send_replace(ids);
                tokio::time::sleep(TICK).await;
            }
        });
        Self { task, seen }
    }

    /// Process IDs by the names of their pods.
    pub fn processes(&self) -> BTreeMap<String, u32> {
        self.seen.borrow().clone()
    }
}

impl Drop for Kubelet {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Node {
    client: Client,
    pods: Api<Pod>,
    namespace: String,
    machine: Machine,
    running: BTreeMap<String, Running>,
}

/// An address of its own for a pod: all of the loopback network is ours to share with other processes.
fn address() -> String {
    static FIRST: LazyLock<u32> = LazyLock::new(|| RandomState::new().build_hasher().finish() as u32);
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    numbered(FIRST.wrapping_add(GIVEN.fetch_add(1, Ordering::Relaxed)))
}

/// The address of a number; neighbours have different ones. Neither 127.0.x.x, where everybody is, nor the first or last
/// address of a network.
fn numbered(number: u32) -> String {
    let (host, network) = (number % 254 + 1, number / 254);
    format!("127.{}.{}.{host}", network / 256 % 254 + 1, network % 256)
}

impl Node {
    /// Brings every pod one step nearer to what it asks for.
    async fn look(&mut self) -> Result<()> {
        let pods = self.pods.list(&ListParams::default()).await.context("Could not list the pods")?;
        let names: Vec<_> = pods.iter().map(ResourceExt::name_any).collect();
        self.running.retain(|name, _| names.contains(name));
        for pod in &pods {
            self.tend(pod).await?;
        }
        Ok(())
    }

    async fn tend(&mut self, pod: &Pod) -> Result<()> {
        let name = pod.name_any();
        let node = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref());
        if pod.metadata.deletion_timestamp.is_some() {
            return self.end(pod).await;
        }
        if node.is_none() {
            return self.bind(&name).await;
        }
        if !self.running.contains_key(&name) {
            self.running.insert(name.clone(), Running::new(address()));
        }
        let Some(running) = self.running.get_mut(&name) else { return Ok(()) };
        running.tend(pod, &self.client, &self.machine).await?;
        let wanted = status::of(pod, running);
        let stored = serde_json::to_value(&pod.status).unwrap_or_default();
        if status::differs(&stored, &wanted) {
            let patch = Patch::Strategic(json!({ "status": wanted }));
            self.pods
                .patch_status(&name, &PatchParams::default(), &patch)
                .await
                .context(format_args!("Could not tell of pod {name}"))?;
        }
        Ok(())
    }

    /// There is one node, so there is nothing to schedule.
    async fn bind(&self, name: &str) -> Result<()> {
        let binding: Binding = serde_json::from_value(json!({
            "metadata": { "name": name, "namespace": self.namespace },
            "target": { "apiVersion": "v1", "kind": "Node", "name": NODE },
        }))
        .context("Could not make a binding")?;
        self.pods
            .create_subresource("binding", name, &PostParams::default(), &binding)
            .await
            .map(|_: serde_json::Value| ())
            .context(format_args!("Could not bind pod {name}"))
    }

    /// Lets a deleted pod end in peace, then lets go of it.
    async fn end(&mut self, pod: &Pod) -> Result<()> {
        let name = pod.name_any();
        let grace = pod.metadata.deletion_grace_period_seconds.unwrap_or(30);
        if let Some(running) = self.running.get_mut(&name)
            && !running.has_ended(Duration::from_secs(grace.unsigned_abs()))
        {
            return Ok(());
        }
        self.running.remove(&name);
        match self.pods.delete(&name, &DeleteParams::default().grace_period(0)).await {
            Err(kube::Error::Api(answer)) if answer.code == 404 => Ok(()),
            deleted => deleted.map(drop).context(format_args!("Could not let go of pod {name}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::net::Ipv4Addr;

    use super::numbered;

    /// Regression: two pods in a row could get one address, and the second never started.
    #[test]
    fn pods_in_a_row_have_addresses_of_their_own() {
        for first in [0, 250, 0xffff_0000, 254 * 256 * 254 - 500] {
            let addresses: BTreeSet<Ipv4Addr> =
                (first..first + 1_000).map(|number| numbered(number).parse().unwrap()).collect();
            assert_eq!(addresses.len(), 1_000, "from {first}");
            assert!(addresses.iter().all(|address| address.is_loopback() && address.octets()[1] > 0));
        }
    }
}
