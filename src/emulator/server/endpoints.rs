//! Where a running emulator is reached: what the ready file holds.

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use crate::emulator::{cdn::Route, config::User, stores::StoreAddress};

/// Where a running emulator is reached, with every key that opens it: what the ready file holds.
#[derive(Clone, Debug)]
pub struct Endpoints {
    /// Base URL of OMS.
    pub oms: String,
    /// Base URL of IAM.
    pub iam: String,
    /// Base URL of STS.
    pub sts: String,
    /// Base URL of the metadata service.
    pub metadata: String,
    /// URL of the pod identity agent: what `HC_CONTAINER_CREDENTIALS_FULL_URI` holds.
    pub pod_identity: String,
    /// Contents of a token file that the pod identity agent accepts, if any.
    pub pod_identity_token: Option<SecretString>,
    /// Base URL of the admin API.
    pub admin: String,
    /// Projects with their first key pair.
    pub projects: Vec<ProjectAccess>,
    /// Stores with their first key pair.
    pub stores: Vec<StoreAddress>,
    /// Domains of CDNs and where they lead.
    pub cdns: Vec<Route>,
}

/// A project and how to sign for it.
#[derive(Clone, Debug)]
pub struct ProjectAccess {
    /// ID.
    pub id: String,
    /// Name.
    pub name: String,
    /// Region.
    pub region: String,
    /// Access key ID.
    pub access_key: String,
    /// Secret key.
    pub secret_key: SecretString,
    /// Users who may log in for it.
    pub users: Vec<User>,
}

impl Endpoints {
    /// The contents of the ready file. **Holds secrets.**
    pub fn to_json(&self) -> Value {
        let projects: Vec<Value> = self
            .projects
            .iter()
            .map(|project| {
                let users: Vec<Value> = project
                    .users
                    .iter()
                    .map(|user| {
                        json!({
                            "name": user.name,
                            "password": user.password.expose_secret(),
                            "domain": user.domain,
                        })
                    })
                    .collect();
                json!({
                    "id": project.id,
                    "name": project.name,
                    "region": project.region,
                    "accessKey": project.access_key,
                    "secretKey": project.secret_key.expose_secret(),
                    "users": users,
                })
            })
            .collect();
        let stores: Vec<Value> = self
            .stores
            .iter()
            .map(|store| {
                let (access, secret) =
                    store.first_key.as_ref().map(|(a, s)| (a.as_str(), s.expose_secret())).unzip();
                json!({
                    "name": store.name,
                    "endpoint": store.endpoint,
                    "cloudType": store.cloud_type,
                    "region": store.region,
                    "accessKey": access,
                    "secretKey": secret,
                })
            })
            .collect();
        let cdns: Vec<Value> =
            self.cdns.iter().map(|cdn| json!({ "domain": cdn.domain, "endpoint": cdn.endpoint })).collect();
        json!({
            "oms": self.oms,
            "iam": self.iam,
            "sts": self.sts,
            "metadata": self.metadata,
            "podIdentity": self.pod_identity,
            "podIdentityToken": self.pod_identity_token.as_ref().map(SecretString::expose_secret),
            "admin": self.admin,
            "projects": projects,
            "stores": stores,
            "cdns": cdns,
        })
    }
}
