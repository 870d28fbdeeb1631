//! The operations, as OMS and IAM carry them out once the gateway has let a call through.

mod buckets;
mod catalogue;
mod groups;
mod identity;
mod node;
mod sources;
mod sync;
mod tasks;
mod url_list;

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};
use serde::Serialize;
use serde_json::Value;

use super::{
    config::{AccountState, AgreementCode, Project},
    identity::caller::Caller,
    route::{Operation, Route},
    service::Service,
    stores::{StoreAddress, Stores},
    wire::refusal::{
        ACCOUNT_FROZEN, ACCOUNT_RESTRICTED, ACCOUNT_UNVALIDATED, ACCOUNT_UNVERIFIED, AGREEMENT_MISSING,
        AGREEMENT_MISSING_NEWER, AGREEMENT_MISSING_STORAGE, DESTINATION_BUCKET, INVALID_TASK_ID,
        PROJECT_REFUSED, Refusal,
    },
};

/// A call that the gateway let through.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// What is to be done to what.
    pub route: &'a Route,
    /// Who calls; unknown for operations that everybody may call.
    pub caller: Option<&'a Caller>,
    /// Headers, for the operations where they say who calls.
    pub headers: &'a HeaderMap,
    /// Query, as it came.
    pub query: &'a str,
    /// Body, as it came.
    pub body: &'a [u8],
}

/// What came of a call that was carried out.
#[derive(Default)]
pub struct Done {
    /// Body of the answer, in JSON; none for the actions, which return nothing.
    pub body: Option<String>,
    /// Body of an answer that is text and no JSON.
    pub text: Option<String>,
    /// HTTP status, where it is not 200.
    pub status: Option<u16>,
    /// Headers of the answer.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Whether something changed.
    pub effect: bool,
    /// ID of what was created.
    pub target: Option<String>,
}

impl Done {
    /// An answer that says something. Written as it is made: a tree of values in between would cost a long list most of
    /// its time.
    fn read(body: impl Serialize) -> Self {
        Self { body: serde_json::to_string(&body).ok(), ..Self::default() }
    }

    fn created(body: Value, target: String) -> Self {
        Self { effect: true, target: Some(target), ..Self::read(body) }
    }

    fn changed() -> Self {
        Self { effect: true, ..Self::default() }
    }
}

impl Service {
    /// Carries out a call.
    pub async fn carry_out(self: &Arc<Self>, request: Request<'_>) -> Result<Done, Refusal> {
        let Request { route, caller, query, body, headers } = request;
        let caller = || caller.ok_or(PROJECT_REFUSED);
        let project = || {
            let project = route.project.as_deref().and_then(|id| self.project(id)).ok_or(PROJECT_REFUSED)?;
            if route.operation.only_reads() { Ok(project) } else { check_account(project) }
        };
        let target = || route.target.as_deref().unwrap_or_default();
        let task = || route.task_id().ok_or(INVALID_TASK_ID);
        match route.operation {
            Operation::ListApiVersions => Ok(self.list_versions()),
            Operation::ShowApiInfo => self.show_version(target()),
            Operation::UpdatePrivacyAgreementRecord => self.accept_agreement(project()?).await,
            Operation::CreateTask => self.create_task(project()?, body).await,
            Operation::ListTasks => self.list_tasks(project()?, query),
            Operation::BatchUpdateTasks => self.batch_update(project()?, body).await,
            Operation::ShowTask => self.show_task(project()?, task()?),
            Operation::DeleteTask => self.delete_task(project()?, task()?).await,
            Operation::StartTask => self.start_task(project()?, task()?, body).await,
            Operation::StopTask => self.stop_task(project()?, task()?).await,
            Operation::UpdateBandwidthPolicy => self.update_bandwidth(project()?, task()?, body).await,
            Operation::CreateSyncTask => self.create_sync_task(project()?, body).await,
            Operation::ListSyncTasks => self.list_sync_tasks(project()?, query),
            Operation::ShowSyncTask => self.show_sync_task(project()?, target(), query),
            Operation::DeleteSyncTask => self.delete_sync_task(project()?, target()).await,
            Operation::ListSyncTaskStatistic => self.list_sync_statistics(project()?, target(), query),
            Operation::StopSyncTask => self.stop_sync_task(project()?, target()).await,
            Operation::StartSyncTask => self.start_sync_task(project()?, target(), body).await,
            Operation::CreateSyncEvents => self.create_sync_events(project()?, target(), body).await,
            Operation::CreateTaskGroup => self.create_group(project()?, body).await,
            Operation::ListTaskGroup => self.list_groups(project()?, query),
            Operation::ShowTaskGroup => self.show_group(project()?, target()),
            Operation::DeleteTaskGroup => self.delete_group(project()?, target()).await,
            Operation::StartTaskGroup => self.start_group(project()?, target(), body).await,
            Operation::StopTaskGroup => self.stop_group(project()?, target()).await,
            Operation::RetryTaskGroup => self.retry_group(project()?, target(), body).await,
            Operation::UpdateTaskGroup => self.update_group(project()?, target(), body).await,
            Operation::KeystoneListProjects => Ok(self.list_projects(caller()?, query)),
            Operation::KeystoneListAuthDomains => Ok(self.list_domains(caller()?)),
            Operation::KeystoneCreateUserTokenByPassword => self.create_token(body).await,
            Operation::CreateTemporaryAccessKey => self.create_temporary_key(request).await,
            Operation::AssumeAgencyWithOIDC => self.assume_with_oidc(body).await,
            Operation::GetCallerIdentity => Ok(self.caller_identity(caller()?)),
            Operation::CreateMetadataToken => self.create_metadata_token(headers),
            Operation::ShowSecurityKey => self.show_security_key(headers).await,
            Operation::ShowMetadata => self.show_metadata(headers),
            Operation::CreatePodCredentials => self.create_pod_credentials(headers).await,
            Operation::ShowBucketList => self.show_bucket_list(project()?, body).await,
            Operation::ShowBucketRegion => self.show_bucket_region(project()?, body).await,
            Operation::ShowBucketObjects => self.show_bucket_objects(project()?, body).await,
            Operation::ShowCdnInfo => self.show_cdn_info(project()?, body).await,
            Operation::CheckPrefix => self.check_prefix(project()?, body).await,
            Operation::CheckUrlSourceListFileFormat => self.check_url_source_list(project()?, body).await,
            Operation::ShowCloudType => project().and_then(|_| self.show_cloud_type(query)),
            Operation::ShowRegionInfo => project().map(|_| self.show_region_info()),
            Operation::v1ListVersions => project().map(|_| Self::list_v1_versions()),
            Operation::v1ShowQuotas => self.show_v1_quotas(caller()?, target()),
        }
    }
}

impl Service {
    /// What is refused before the privacy agreement is accepted.
    fn agreement_missing(&self) -> Refusal {
        match self.config.behaviour.agreement_code {
            AgreementCode::Oms => AGREEMENT_MISSING,
            AgreementCode::Newer => AGREEMENT_MISSING_NEWER,
            AgreementCode::Storage => AGREEMENT_MISSING_STORAGE,
        }
    }
}

/// Whoever looks may look; an account that does not stand well changes nothing.
fn check_account(project: &Project) -> Result<&Project, Refusal> {
    match project.account {
        AccountState::Normal => Ok(project),
        AccountState::Restricted => Err(ACCOUNT_RESTRICTED),
        AccountState::Frozen => Err(ACCOUNT_FROZEN),
        AccountState::Unvalidated => Err(ACCOUNT_UNVALIDATED),
        AccountState::Unverified => Err(ACCOUNT_UNVERIFIED),
    }
}

/// The store that stands for OBS in a region.
fn destination_store<'a>(stores: &'a Stores, region: &str) -> Result<&'a StoreAddress, Refusal> {
    stores
        .find("HuaweiCloud", region)
        .ok_or_else(|| DESTINATION_BUCKET.with_detail(no_store("HuaweiCloud", region)))
}

/// What to do where no store stands for a cloud and region.
fn no_store(cloud: &str, region: &str) -> String {
    format!(
        "oms-emulator has no store for cloud {cloud}, region {region}: add one to `stores` or `embeddedStores`."
    )
}
