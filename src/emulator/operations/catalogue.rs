//! API versions, clouds and regions (OMS API reference 5.1, 5.7, 5.8, 6.1, 6.10), and the consent to the privacy agreement (5.2).

use serde_json::{Value, json};

use super::Done;
use crate::emulator::{
    config::{FailedChecksCode, Project, VersionsReading},
    identity::caller::Caller,
    persist::Record,
    regions::{self, CloudRegions},
    service::Service,
    wire::{
        members::{Codes, Parameters},
        refusal::{NO_SUCH_VERSION, PROJECT_REFUSED, Refusal, TOO_MANY_ATTEMPTS, TOO_MANY_FAILURES},
    },
};

impl Service {
    pub(super) fn list_versions(&self) -> Done {
        let reading = self.config.behaviour.versions;
        // As printed, the second one has the ID of the first.
        let second = if reading == VersionsReading::Examples { "v1" } else { "v2" };
        let versions = [version("v1", "v1", reading), version(second, "v2", reading)];
        Done::read(json!({ "versions": versions }))
    }

    pub(super) fn show_version(&self, id: &str) -> Result<Done, Refusal> {
        let reading = self.config.behaviour.versions;
        match id {
            "v1" => Ok(Done::read(version("v1", "v1", reading))),
            // As printed, it links to the other one.
            "v2" if reading == VersionsReading::Examples => Ok(Done::read(version("v2", "v1", reading))),
            "v2" => Ok(Done::read(version("v2", "v2", reading))),
            _ => Err(NO_SUCH_VERSION),
        }
    }

    /// The versions as API v1 shows them (6.1): with members for micro versions, of which there are none.
    pub(super) fn list_v1_versions() -> Done {
        let versions = [("v1.0", "SUPPORTED"), ("v2.0", "CURRENT")].map(|(id, status)| {
            json!({
                "id": id,
                "links": [{ "href": "/v1/", "rel": "self" }],
                "min_version": "",
                "status": status,
                "updated": "2016-12-09T00:00:00Z",
                "version": "",
            })
        });
        Done::read(json!({ "versions": versions }))
    }

    /// The quota of an account (6.10), which v2 has no call for: tasks that run at the same time. The endpoint is that
    /// of the account's first project.
    pub(super) fn show_v1_quotas(&self, caller: &Caller, domain: &str) -> Result<Done, Refusal> {
        let is_own = caller.domains(&self.config).iter().any(|(id, _)| id == domain);
        let projects = caller.projects(&self.config);
        let project = projects.iter().find(|project| is_own && project.domain_id() == domain);
        let project = project.ok_or(PROJECT_REFUSED)?;
        let quota = self.config.limits.running_tasks(&project.region);
        let resource = json!({ "type": "MaxParallelTaskNum", "quota": quota });
        Ok(Done::read(json!({ "quotas": { "resource": resource } })))
    }

    /// The clouds that one side may be of (5.7.1).
    pub(super) fn show_cloud_type(&self, query: &str) -> Result<Done, Refusal> {
        match Parameters::of(query, Codes::General).required("type")? {
            "src" => Ok(Done::read(json!(SOURCE_CLOUDS))),
            "dst" => Ok(Done::read(json!(self.config.behaviour.destination_clouds))),
            _ => Err(Refusal::parameter("type")),
        }
    }

    /// The regions that can be migrated from, by cloud (5.8.1): those that a store stands for.
    pub(super) fn show_region_info(&self) -> Done {
        let clouds: Vec<Value> = regions::supported(&self.stores)
            .into_iter()
            .map(|CloudRegions { cloud, regions }| {
                let regions: Vec<Value> = regions
                    .into_iter()
                    .map(|region| {
                        json!({ "cloud_type": cloud, "value": region.value, "description": region.description })
                    })
                    .collect();
                json!({ "service_name": cloud, "region_list": regions })
            })
            .collect();
        Done::read(json!(clouds))
    }

    pub(super) async fn accept_agreement(&self, project: &Project) -> Result<Done, Refusal> {
        let (saved, effect) = {
            let mut state = self.state();
            let effect = !state.ledger.has_agreement(&project.id);
            state.ledger.accept_agreement(&project.id);
            (self.record(&state, &[Record::Agreement { project: project.id.clone() }]), effect)
        };
        saved.await?;
        Ok(Done { effect, ..Done::default() })
    }
}

/// The clouds of the example of ShowCloudType, in its order.
const SOURCE_CLOUDS: [&str; 12] = [
    "AWS",
    "Aliyun",
    "Qiniu",
    "QingCloud",
    "Tencent",
    "Baidu",
    "KingsoftCloud",
    "Azure",
    "UCloud",
    "HuaweiCloud",
    "Google",
    "URLSource",
];

fn version(id: &str, link: &str, reading: VersionsReading) -> Value {
    let status = match reading {
        VersionsReading::Tables => json!("SUPPORTED"),
        VersionsReading::Examples => json!({
            "type": "string",
            "example": "SUPPORTED",
            "description": "Status type, SUPPORTED by default.",
            "enum": ["CURRENT", "DEPRECATED", "SUPPORTED"],
            "default": "SUPPORTED",
        }),
    };
    json!({
        "id": id,
        "status": status,
        "updated": "2020-01-01T12:00:00Z",
        "links": [{ "rel": "self", "href": format!("/{link}/") }],
    })
}

impl FailedChecksCode {
    pub(super) fn refusal(self) -> Refusal {
        match self {
            Self::Attempts => TOO_MANY_ATTEMPTS,
            Self::Failures => TOO_MANY_FAILURES,
        }
    }
}
