//! What a node and its pods are given: the metadata service and the pod identity agent.

use http::HeaderMap;
use jiff::SignedDuration;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use super::Done;
use crate::emulator::{
    config::{
        Project,
        identity::{Agency, MetadataTokens},
    },
    identity::{directory::Principal, issued::TemporaryKey},
    service::Service,
    wire::{
        identity::{iam_credential, pod_credentials},
        refusal::Refusal,
    },
};

/// What the metadata service says where a node has no agency; clients look for these words.
const NO_AGENCY: &str = "Please configure Cloud Service Agency first";
const NOT_FOUND: &str = "404 Not Found";
/// Seconds that a metadata token may hold.
const TOKEN_SECONDS: std::ops::RangeInclusive<i64> = 1..=21_600;

impl Service {
    /// `PUT /meta-data/latest/api/token`.
    pub(super) fn create_metadata_token(&self, headers: &HeaderMap) -> Result<Done, Refusal> {
        if self.config.metadata.tokens == MetadataTokens::Unsupported {
            return Err(Refusal::page(404, NOT_FOUND));
        }
        let seconds = headers
            .get("x-metadata-token-ttl-seconds")
            .and_then(|seconds| seconds.to_str().ok()?.trim().parse::<i64>().ok())
            .filter(|seconds| TOKEN_SECONDS.contains(seconds))
            .ok_or_else(|| Refusal::page(400, "Bad Request"))?;
        let lifetime = SignedDuration::from_secs(seconds);
        let token = self.state().issued.hand_out_metadata_token(self.clock.wall(), lifetime);
        Ok(Done { text: Some(token.expose_secret().to_owned()), effect: true, ..Done::default() })
    }

    /// `GET /openstack/latest/securitykey`: the node's keys, the same ones until half of their time is over.
    pub(super) async fn show_security_key(&self, headers: &HeaderMap) -> Result<Done, Refusal> {
        self.check_metadata_token(headers)?;
        Ok(Done::read(iam_credential(&self.node_key().await?)))
    }

    /// `GET /openstack/latest/meta_data.json`.
    pub(super) fn show_metadata(&self, headers: &HeaderMap) -> Result<Done, Refusal> {
        self.check_metadata_token(headers)?;
        let project = self.node_project().ok_or_else(|| Refusal::page(404, NOT_FOUND))?;
        Ok(Done::read(node(project)))
    }

    /// `POST /v1/credentials` of the pod identity agent, with the contents of a token file in `Authorization`.
    pub(super) async fn create_pod_credentials(&self, headers: &HeaderMap) -> Result<Done, Refusal> {
        let authorization = headers.get(http::header::AUTHORIZATION).map(http::HeaderValue::as_bytes);
        let mut known = self.config.metadata.pod_identity_tokens.iter();
        if !known.any(|token| Some(token.expose_secret().trim().as_bytes()) == authorization) {
            return Err(Refusal::page(401, "Unauthorized"));
        }
        let key = self.node_key().await?;
        let agency = self.node_agency()?;
        let account = self.config.domain_id(&agency.domain);
        let id = Principal::agency(agency).id();
        let body = json!({
            "assumedAgency": { "urn": format!("sts::{account}:assumed-agency:{}/pod", agency.name), "id": id },
            "audience": "",
            "credentials": pod_credentials(&key),
            "podIdentityAssociationId": "",
            "subject": { "namespace": "", "serviceAccount": "" },
        });
        Ok(Done::read(body))
    }

    fn check_metadata_token(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        if self.config.metadata.tokens != MetadataTokens::Required {
            return Ok(());
        }
        let token = headers.get("x-metadata-token").and_then(|token| token.to_str().ok()).unwrap_or_default();
        if self.state().issued.has_metadata_token(token, self.clock.wall()) {
            Ok(())
        } else {
            Err(Refusal::page(401, "Unauthorized"))
        }
    }

    fn node_agency(&self) -> Result<&Agency, Refusal> {
        let metadata = &self.config.metadata;
        let agency = self.config.identity.agencies.first().filter(|_| metadata.agency);
        agency.ok_or_else(|| Refusal::page(metadata.no_agency_status, NO_AGENCY))
    }

    fn node_project(&self) -> Option<&Project> {
        let agency = self.config.identity.agencies.first();
        let own = |project: &&Project| {
            agency.is_some_and(|agency| self.config.roles_of(&Principal::agency(agency), project).is_some())
        };
        self.config.projects.iter().find(own).or(self.config.projects.first())
    }

    async fn node_key(&self) -> Result<TemporaryKey, Refusal> {
        let principal = Principal::agency(self.node_agency()?);
        let lifetime = SignedDuration::from_secs(self.config.identity.temporary_key_lifetime_seconds.into());
        {
            let state = self.state();
            let fresh = |key: &&TemporaryKey| {
                key.expires_at.duration_since(self.clock.wall()).as_secs_f64() * 2.0 > lifetime.as_secs_f64()
            };
            let current = state.node_key.as_deref().and_then(|access| state.issued.key(access));
            if let Some(key) = current.filter(|key| key.principal == principal).filter(fresh) {
                return Ok(key.clone());
            }
        }
        let key = self.hand_out_key(principal, lifetime).await?;
        self.state().node_key = Some(key.access.clone());
        Ok(key)
    }
}

fn node(project: &Project) -> Value {
    json!({
        "uuid": "6f1d5b3c-6c5e-4b6f-9c93-3b9f1f2d7a10",
        "name": "emulated-node",
        "hostname": "emulated-node",
        "launch_index": 0,
        "region_id": project.region,
        "availability_zone": format!("{}a", project.region),
        "project_id": project.id,
        "enterprise_project_id": "0",
        "meta": { "metering.project_id": project.id },
    })
}
