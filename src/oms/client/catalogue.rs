//! What OMS can do and where (OMS API reference 5.1, 5.7 and 5.8).

use http::Method;

use super::super::budget::Urgency;
use super::super::error::Error;
use super::super::model::{
    ApiVersion, ApiVersions, CloudSide, CloudTypes, ProviderRegions, Regions, segment,
};
use super::{Client, call, checked, path};

impl Client {
    /// All versions of the API (5.1.1).
    pub async fn list_api_versions(&self, urgency: Urgency) -> Result<Vec<ApiVersion>, Error> {
        let call = call("ListApiVersions", Method::GET, "/".to_owned(), urgency);
        Ok(self.fetch::<ApiVersions>(call).await?.0)
    }

    /// One version of the API, such as `v2` (5.1.2). `S3M.0256` with 404 says that there is none of that name.
    pub async fn show_api_info(&self, version: &str, urgency: Urgency) -> Result<ApiVersion, Error> {
        const OPERATION: &str = "ShowApiInfo";
        checked(OPERATION, segment("version", version))?;
        self.fetch(call(OPERATION, Method::GET, path(&[version]), urgency)).await
    }

    /// Names of the providers that OMS can migrate from or to, as tasks take them (5.7.1).
    pub async fn show_cloud_type(&self, side: CloudSide, urgency: Urgency) -> Result<Vec<String>, Error> {
        let path = self.below_project(&["objectstorage", "cloud-type"]);
        let call = call("ShowCloudType", Method::GET, path, urgency);
        let query = vec![("type", side.as_str().to_owned())];
        Ok(self.fetch::<CloudTypes>(call.with_query(query)).await?.0)
    }

    /// The regions that OMS can migrate from, by provider (5.8.1).
    pub async fn show_region_info(&self, urgency: Urgency) -> Result<Vec<ProviderRegions>, Error> {
        let path = self.below_project(&["objectstorage", "data-center"]);
        Ok(self.fetch::<Regions>(call("ShowRegionInfo", Method::GET, path, urgency)).await?.0)
    }
}
