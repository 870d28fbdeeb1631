//! What a kind adds to the loop that all kinds share.

use std::fmt::Debug;
use std::future::Future;

use k8s_openapi::NamespaceResourceScope;
use kube::Resource;
use kube::core::DeserializeGuard;
use kube::runtime::reflector::Store;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::api::{BucketCredentials, Cdn, CloudType, Lifecycle, MigrationTask, TaskGroup, TransferStatus};
use crate::engine::memory::Memories;
use crate::engine::wire::{self, TransferKeys, group, task};
use crate::engine::{Engine, Stores, remote};
use crate::oms::{self, BandwidthWindow, Client, Urgency};
use crate::plan::facts::{self, Fact};
use crate::plan::seen::RemoteId;
use crate::plan::token::Token;
use crate::plan::wish::{Kind, Wish};

/// Where the keys come from that go to OMS.
pub struct Buckets<'a> {
    /// Keys of the source bucket, and its cloud.
    pub(super) source: Option<(&'a BucketCredentials, CloudType)>,
    /// The CDN in front of the source.
    pub(super) cdn: Option<&'a Cdn>,
    /// Keys of the destination bucket; default: the connection's.
    pub(super) destination: Option<&'a BucketCredentials>,
}

/// A kind of object that has something of its own at OMS.
pub trait Transfer:
    Resource<DynamicType = (), Scope = NamespaceResourceScope>
    + Clone
    + Debug
    + Serialize
    + DeserializeOwned
    + Send
    + Sync
    + 'static
{
    /// The kind.
    const KIND: Kind;

    /// What its spec asks for.
    fn wish(&self) -> Wish<'_>;

    /// How the operator treats it.
    fn lifecycle(&self) -> &Lifecycle;

    /// ID of the task at OMS that it takes over.
    fn adopt(&self) -> Option<&str>;

    /// What its spec says of what OMS cannot change.
    fn facts(&self) -> Vec<Fact>;

    /// The caches of the kind.
    fn stores(stores: &Stores) -> &[Store<DeserializeGuard<Self>>];

    /// The stored status.
    fn status(&self) -> Option<&TransferStatus>;

    /// The status, to be replaced.
    fn status_mut(&mut self) -> &mut Option<TransferStatus>;

    /// Where its keys come from.
    fn buckets(&self) -> Buckets<'_>;

    /// The bandwidth windows of its spec.
    fn bandwidth(&self) -> Vec<BandwidthWindow>;

    /// What this process remembers of the objects of the kind.
    fn memories(engine: &Engine) -> &Memories<Self>;

    /// Creates it at OMS; `region` is the connection's. `None`: the spec lacks what a create needs.
    #[expect(private_interfaces, reason = "only the engine implements kinds")]
    fn create(
        &self,
        client: &Client,
        region: &str,
        token: &Token,
        keys: &TransferKeys,
    ) -> impl Future<Output = Option<Result<(RemoteId, String), oms::Error>>> + Send;

    /// Starts it again at OMS after a stop; OMS wants the keys again.
    #[expect(private_interfaces, reason = "only the engine implements kinds")]
    fn start(
        &self,
        client: &Client,
        id: &RemoteId,
        keys: &TransferKeys,
        only_failed: bool,
        urgency: Urgency,
    ) -> impl Future<Output = Result<(), oms::Error>> + Send;

    /// Starts it again at OMS after it failed, which is another call for some kinds.
    #[expect(private_interfaces, reason = "only the engine implements kinds")]
    fn retry(
        &self,
        client: &Client,
        id: &RemoteId,
        keys: &TransferKeys,
        only_failed: bool,
        urgency: Urgency,
    ) -> impl Future<Output = Result<(), oms::Error>> + Send {
        self.start(client, id, keys, only_failed, urgency)
    }
}

impl Transfer for MigrationTask {
    const KIND: Kind = Kind::MigrationTask;

    fn wish(&self) -> Wish<'_> {
        Wish::from(self)
    }

    fn lifecycle(&self) -> &Lifecycle {
        &self.spec.lifecycle
    }

    fn adopt(&self) -> Option<&str> {
        self.spec.adopt.as_ref().map(|adopt| adopt.task_id.as_str())
    }

    fn facts(&self) -> Vec<Fact> {
        facts::of_migration_task(&self.spec)
    }

    fn stores(stores: &Stores) -> &[Store<DeserializeGuard<Self>>] {
        &stores.migration_tasks
    }

    fn status(&self) -> Option<&TransferStatus> {
        self.status.as_ref()
    }

    fn status_mut(&mut self) -> &mut Option<TransferStatus> {
        &mut self.status
    }

    fn buckets(&self) -> Buckets<'_> {
        let (source, destination) = (self.spec.source.as_ref(), self.spec.destination.as_ref());
        Buckets {
            source: source.and_then(|source| Some((source.credentials.as_ref()?, source.cloud_type))),
            cdn: source.and_then(|source| source.cdn.as_ref()),
            destination: destination.and_then(|destination| destination.credentials.as_ref()),
        }
    }

    fn bandwidth(&self) -> Vec<BandwidthWindow> {
        wire::windows(&self.spec.bandwidth_policy)
    }

    fn memories(engine: &Engine) -> &Memories<Self> {
        &engine.migration_tasks
    }

    #[expect(private_interfaces, reason = "only the engine implements kinds")]
    async fn create(
        &self,
        client: &Client,
        region: &str,
        token: &Token,
        keys: &TransferKeys,
    ) -> Option<Result<(RemoteId, String), oms::Error>> {
        let request = task::create(&self.spec, region, token, keys)?;
        let created = client.create_task(&request, Urgency::Create).await;
        Some(created.map(|created| (created.id.get().into(), created.name)))
    }

    #[expect(private_interfaces, reason = "only the engine implements kinds")]
    async fn start(
        &self,
        client: &Client,
        id: &RemoteId,
        keys: &TransferKeys,
        only_failed: bool,
        urgency: Urgency,
    ) -> Result<(), oms::Error> {
        let request = task::start(&self.spec, keys, only_failed);
        client.start_task(remote::task_id(id), &request, urgency).await
    }
}

impl Transfer for TaskGroup {
    const KIND: Kind = Kind::TaskGroup;

    fn wish(&self) -> Wish<'_> {
        Wish::from(self)
    }

    fn lifecycle(&self) -> &Lifecycle {
        &self.spec.lifecycle
    }

    fn adopt(&self) -> Option<&str> {
        self.spec.adopt.as_ref().map(|adopt| adopt.group_id.as_str())
    }

    fn facts(&self) -> Vec<Fact> {
        facts::of_task_group(&self.spec)
    }

    fn stores(stores: &Stores) -> &[Store<DeserializeGuard<Self>>] {
        &stores.task_groups
    }

    fn status(&self) -> Option<&TransferStatus> {
        self.status.as_ref()
    }

    fn status_mut(&mut self) -> &mut Option<TransferStatus> {
        &mut self.status
    }

    fn buckets(&self) -> Buckets<'_> {
        let (source, destination) = (self.spec.source.as_ref(), self.spec.destination.as_ref());
        Buckets {
            source: source.and_then(|source| Some((source.credentials.as_ref()?, source.cloud_type))),
            cdn: source.and_then(|source| source.cdn.as_ref()),
            destination: destination.and_then(|destination| destination.credentials.as_ref()),
        }
    }

    fn bandwidth(&self) -> Vec<BandwidthWindow> {
        wire::windows(&self.spec.bandwidth_policy)
    }

    fn memories(engine: &Engine) -> &Memories<Self> {
        &engine.task_groups
    }

    #[expect(private_interfaces, reason = "only the engine implements kinds")]
    async fn create(
        &self,
        client: &Client,
        region: &str,
        token: &Token,
        keys: &TransferKeys,
    ) -> Option<Result<(RemoteId, String), oms::Error>> {
        let request = group::create(&self.spec, region, token, keys)?;
        let created = client.create_task_group(&request, Urgency::Create).await;
        // OMS gives groups no name.
        Some(created.map(|created| (created.group_id.into(), String::new())))
    }

    #[expect(private_interfaces, reason = "only the engine implements kinds")]
    async fn start(
        &self,
        client: &Client,
        id: &RemoteId,
        keys: &TransferKeys,
        _only_failed: bool,
        urgency: Urgency,
    ) -> Result<(), oms::Error> {
        let request = oms::StartTaskGroup { keys: group::keys(&self.spec, keys) };
        client.start_task_group(id.as_str(), &request, urgency).await
    }

    #[expect(private_interfaces, reason = "only the engine implements kinds")]
    async fn retry(
        &self,
        client: &Client,
        id: &RemoteId,
        keys: &TransferKeys,
        only_failed: bool,
        urgency: Urgency,
    ) -> Result<(), oms::Error> {
        let request =
            oms::RetryTaskGroup { keys: group::keys(&self.spec, keys), migrate_failed_object: only_failed };
        client.retry_task_group(id.as_str(), &request, urgency).await
    }
}
