//! The calls of the old API that the new one has no equal for (OMS API reference 6.1 and 6.10).

use http::Method;

use super::super::budget::Urgency;
use super::super::error::Error;
use super::super::model::{ApiVersion, ApiVersions, Quota, Quotas, segment};
use super::{Client, call, checked, path};

impl Client {
    /// The versions of the API as v1 tells them (6.1).
    pub async fn v1_list_versions(&self, urgency: Urgency) -> Result<Vec<ApiVersion>, Error> {
        let path = path(&["v1", self.project_id(), "objectstorage", "version"]);
        Ok(self.fetch::<ApiVersions>(call("v1ListVersions", Method::GET, path, urgency)).await?.0)
    }

    /// The limits of an account (6.10): how many tasks run at the same time. It wants the ID of the account (domain), not of
    /// the project.
    pub async fn v1_show_quotas(&self, domain_id: &str, urgency: Urgency) -> Result<Vec<Quota>, Error> {
        const OPERATION: &str = "v1ShowQuotas";
        checked(OPERATION, segment("domain_id", domain_id))?;
        let path = path(&["v1", domain_id, "objectstorage", "quotas"]);
        Ok(self.fetch::<Quotas>(call(OPERATION, Method::GET, path, urgency)).await?.0)
    }
}
