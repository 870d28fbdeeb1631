//! What a SyncTask adds to the loop.

use super::kind::{Buckets, Transfer};
use crate::api::Lifecycle;
use crate::api::{CloudType, SyncTask, TransferStatus};
use crate::engine::Engine;
use crate::engine::Stores;
use crate::engine::memory::Memories;
use crate::engine::wire::{TransferKeys, sync};
use crate::oms::{self, BandwidthWindow, Client, Urgency};
use crate::plan::facts::{self, Fact};
use crate::plan::seen::RemoteId;
use crate::plan::token::Token;
use crate::plan::wish::{Kind, Wish};
use kube::core::DeserializeGuard;
use kube::runtime::reflector::Store;

/// Every cloud's keys are an access key and its secret here, as AWS has them: OMS takes nothing else.
const KEYS_LIKE: CloudType = CloudType::AWS;

impl Transfer for SyncTask {
    const KIND: Kind = Kind::SyncTask;

    fn wish(&self) -> Wish<'_> {
        Wish::from(self)
    }

    fn lifecycle(&self) -> &Lifecycle {
        &self.spec.lifecycle
    }

    fn adopt(&self) -> Option<&str> {
        self.spec.adopt.as_ref().map(|adopt| adopt.sync_task_id.as_str())
    }

    fn facts(&self) -> Vec<Fact> {
        facts::of_sync_task(&self.spec)
    }

    fn stores(stores: &Stores) -> &[Store<DeserializeGuard<Self>>] {
        &stores.sync_tasks
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
            source: source.map(|source| (&source.credentials, KEYS_LIKE)),
            cdn: source.and_then(|source| source.cdn.as_ref()),
            destination: destination.and_then(|destination| destination.credentials.as_ref()),
        }
    }

    fn bandwidth(&self) -> Vec<BandwidthWindow> {
        Vec::new()
    }

    fn memories(engine: &Engine) -> &Memories<Self> {
        &engine.sync_tasks
    }

    #[expect(private_interfaces, reason = "only the engine implements kinds")]
    async fn create(
        &self,
        client: &Client,
        region: &str,
        token: &Token,
        keys: &TransferKeys,
    ) -> Option<Result<(RemoteId, String), oms::Error>> {
        let request = sync::create(&self.spec, region, token, keys)?;
        let created = client.create_sync_task(&request, Urgency::Create).await;
        Some(created.map(|created| (created.sync_task_id.into(), String::new())))
    }

    #[expect(private_interfaces, reason = "only the engine implements kinds")]
    async fn start(
        &self,
        client: &Client,
        id: &RemoteId,
        keys: &TransferKeys,
        _: bool,
        urgency: Urgency,
    ) -> Result<(), oms::Error> {
        // Keys that cannot be sent are refused before this; without any, the client says so.
        let request = sync::start(&self.spec, keys).unwrap_or_default();
        client.start_sync_task(id.as_str(), &request, urgency).await
    }
}
