//! `Connection` and `ClusterConnection`: whose OMS, and how to reach it.

use std::borrow::Cow;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, LabelSelector, Time};
use kube::CustomResource;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

use super::{SecretRef, rules};

/// Connection to the OMS of one project, for the objects of its namespace.
#[derive(CustomResource, JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[kube(
    group = "oms-operator.io",
    version = "v1alpha1",
    kind = "Connection",
    plural = "connections",
    namespaced,
    status = "ConnectionStatus",
    derive = "PartialEq",
    category = "oms",
    shortname = "omsconn",
    schema = "manual",
    doc = "Connection says whose OMS is used by the objects of a namespace, and how it is reached.",
    printcolumn(name = "Region", type_ = "string", json_path = ".spec.region"),
    printcolumn(name = "Project", type_ = "string", json_path = ".status.projectId"),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].status"#
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].reason"#
    ),
    printcolumn(
        name = "Credentials",
        type_ = "string",
        priority = 1,
        json_path = ".status.credentials.source"
    ),
    printcolumn(
        name = "Valid-Until",
        type_ = "string",
        priority = 1,
        json_path = ".status.credentials.validUntil"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct ConnectionSpec {
    /// Region of OMS and of the destination buckets, for example `cn-north-4`. Next start.
    #[schemars(length(min = 1, max = 100), regex(pattern = "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"))]
    pub region: String,
    /// Project ID; default: looked up in IAM by the region. Next start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(min = 1, max = 64), regex(pattern = "^[A-Za-z0-9_-]+$"))]
    pub project_id: Option<String>,
    /// Address of OMS; default `https://oms.{region}.myhuaweicloud.com`. Only hosts of the operator's allow-list. Next start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(min = 1, max = 512), regex(pattern = "^https?://[^/?#@ ]+/?$"))]
    pub endpoint: Option<String>,
    /// Address of IAM; default `https://iam.{region}.myhuaweicloud.com`. Only hosts of the operator's allow-list. Live.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(min = 1, max = 512), regex(pattern = "^https?://[^/?#@ ]+/?$"))]
    pub iam_endpoint: Option<String>,
    /// Certificates to trust besides the system's. Live.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "CaBundle")]
    pub ca_bundle: Option<CaBundle>,
    /// What the operator proves itself with at OMS. Live.
    pub credentials: ConnectionCredentials,
    /// `Accepted`: you accept OMS's privacy agreement and the operator records that at OMS. Absent: it never does. Live.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "PrivacyAgreement")]
    pub privacy_agreement: Option<PrivacyAgreement>,
    /// What your account may do, where it differs from the service's documented limits. Live.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Limits")]
    pub limits: Option<Limits>,
}

impl JsonSchema for Connection {
    fn schema_name() -> Cow<'static, str> {
        "Connection".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        rules::root::<ConnectionSpec, ConnectionStatus>(
            generator,
            "Connection says whose OMS is used by the objects of a namespace, and how it is reached.",
        )
    }
}

/// Connection that several namespaces may use; its Secret lives in the operator's cluster resource namespace.
#[derive(CustomResource, JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[kube(
    group = "oms-operator.io",
    version = "v1alpha1",
    kind = "ClusterConnection",
    plural = "clusterconnections",
    status = "ConnectionStatus",
    derive = "PartialEq",
    category = "oms",
    shortname = "omscconn",
    schema = "manual",
    doc = "ClusterConnection is a Connection for the namespaces that it allows.",
    printcolumn(name = "Region", type_ = "string", json_path = ".spec.region"),
    printcolumn(name = "Project", type_ = "string", json_path = ".status.projectId"),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].status"#
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].reason"#
    ),
    printcolumn(
        name = "Credentials",
        type_ = "string",
        priority = 1,
        json_path = ".status.credentials.source"
    ),
    printcolumn(
        name = "Valid-Until",
        type_ = "string",
        priority = 1,
        json_path = ".status.credentials.validUntil"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct ClusterConnectionSpec {
    /// The connection itself.
    #[serde(flatten)]
    pub connection: ConnectionSpec,
    /// Which namespaces may use it; checked on every pass. Empty or absent: none. Live.
    #[serde(default)]
    pub allowed_namespaces: AllowedNamespaces,
}

impl JsonSchema for ClusterConnection {
    fn schema_name() -> Cow<'static, str> {
        "ClusterConnection".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        rules::root::<ClusterConnectionSpec, ConnectionStatus>(
            generator,
            "ClusterConnection is a Connection for the namespaces that it allows.",
        )
    }
}

/// Namespaces by name or by label; either suffices.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = rules::bounded_selector)]
pub struct AllowedNamespaces {
    /// Names of namespaces.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "set"), length(max = 1000), inner(length(min = 1, max = 63), regex(pattern = rules::NAMESPACE_NAME)))]
    pub names: Vec<String>,
    /// Labels of namespaces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "LabelSelector")]
    pub selector: Option<LabelSelector>,
}

/// Where certificates come from.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct CaBundle {
    /// A ConfigMap of the same namespace as the Secret.
    pub config_map_ref: ConfigMapKeyRef,
}

/// A key of a ConfigMap.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = rules::atomic)]
pub struct ConfigMapKeyRef {
    /// Name of the ConfigMap.
    #[schemars(length(min = 1, max = 253), regex(pattern = rules::OBJECT_NAME))]
    pub name: String,
    /// Key with PEM certificates; default `ca.crt`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(min = 1, max = 253), regex(pattern = rules::DATA_KEY))]
    pub key: Option<String>,
}

/// What the operator proves itself with at OMS: a Secret, or what it finds around itself. Exactly one of the two.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = rules::connection_credentials)]
pub struct ConnectionCredentials {
    /// Secret with `accessKey` and `secretKey`, and `securityToken` for temporary keys; or with `username`, `password` and
    /// `domainName` of an IAM user, who then logs in for a token. Keys win where a Secret has both. A request with a
    /// token carries no time that OMS checks: see "Credentials" in docs/operations.md.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "SecretRef")]
    pub secret_ref: Option<SecretRef>,
    /// Credentials of the operator's own surroundings. For ClusterConnections; for Connections only where the operator
    /// runs with `--ambient-credentials=all`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "CredentialsSource")]
    pub source: Option<CredentialsSource>,
}

/// Where in its surroundings the operator finds credentials.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialsSource {
    /// The first of `OIDC`, `PodIdentity` and `Metadata` that is set up. When it fails, the next is not tried.
    Ambient,
    /// Temporary keys of STS for an identity token: `HUAWEICLOUD_OIDC_*` in the operator's environment.
    OIDC,
    /// Temporary keys of the pod identity agent of CCE: `HC_CONTAINER_*` in the operator's environment.
    PodIdentity,
    /// Temporary keys of the node, from its metadata service.
    Metadata,
}

/// Explicit consent.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrivacyAgreement {
    /// You accept OMS's privacy agreement.
    Accepted,
}

/// What the account may do.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// Requests per second to OMS, all objects together; default 20.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "i64", range(min = 1, max = 1000))]
    pub requests_per_second: Option<i64>,
    /// Migration tasks created in 24 hours; default 1500 (OMS API reference 5.3.3). More wait in phase `Queued`. Of several
    /// connections to one project the smallest number holds, here and below.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "i64", range(min = 1, max = 1_000_000))]
    pub tasks_per_day: Option<i64>,
    /// Migration tasks that wait at OMS at once; default 1500 (OMS API reference 5.3.3). More wait in phase `Queued`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "i64", range(min = 1, max = 1_000_000))]
    pub waiting_tasks: Option<i64>,
    /// Task groups created in 24 hours; default 100 (OMS API reference 5.5.2). More wait in phase `Queued`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "i64", range(min = 1, max = 1_000_000))]
    pub groups_per_day: Option<i64>,
    /// Sync tasks at once; default 5 (OMS API reference 5.4.3). More wait in phase `Queued`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "i64", range(min = 1, max = 1000))]
    pub running_sync_tasks: Option<i64>,
}

/// What the operator knows about the connection.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ConnectionStatus {
    /// Generation that the conditions speak about; -1: not looked at yet.
    #[serde(default = "super::status::not_observed")]
    pub observed_generation: i64,
    /// `Ready`, `Reconciling`, `Stalled`, `CredentialsReady`, `PrivacyAgreementRecorded`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// Address of OMS that is used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub endpoint: Option<String>,
    /// Project that is used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub project_id: Option<String>,
    /// The credentials that are used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "CredentialsStatus")]
    pub credentials: Option<CredentialsStatus>,
    /// Value of the annotation `oms-operator.io/reconcile-requested-at` that was handled last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub last_handled_reconcile_at: Option<String>,
}

impl Default for ConnectionStatus {
    fn default() -> Self {
        Self {
            observed_generation: super::status::not_observed(),
            conditions: Vec::new(),
            endpoint: None,
            project_id: None,
            credentials: None,
            last_handled_reconcile_at: None,
        }
    }
}

/// Which credentials a connection uses.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct CredentialsStatus {
    /// Where they come from: `Secret` (keys), `Token` (of IAM, for a password in a Secret), `OIDC`, `PodIdentity`,
    /// `Metadata`.
    pub source: String,
    /// Name of the Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub secret_name: Option<String>,
    /// When they end, where that is known. Those of a Secret have to be renewed there before; others the operator renews.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Time")]
    pub valid_until: Option<Time>,
}
