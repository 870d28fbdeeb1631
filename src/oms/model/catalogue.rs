//! What OMS can do and where: its versions, providers, regions and the account's limits.

use serde::Deserialize;
use serde_json::Value;

use super::reply::{elements, texts};
use super::{Reply, lenient};

/// Which end of a migration a provider is asked for (OMS API reference 5.7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CloudSide {
    /// Where objects come from.
    Source,
    /// Where objects go.
    Destination,
}

impl CloudSide {
    /// OMS's word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Source => "src",
            Self::Destination => "dst",
        }
    }
}

/// A version of the API (OMS API reference 5.1, and 6.1 for what v1 says). Its links are known to be wrong and left out.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ApiVersion {
    /// Such as `v2`. The list of v2 gives both entries the same one.
    #[serde(deserialize_with = "lenient::required_text")]
    pub id: String,
    /// `CURRENT`, `SUPPORTED` or `DEPRECATED`; none where the service answers something that is no text.
    #[serde(default, deserialize_with = "lenient::optional_text")]
    pub status: Option<String>,
    /// Last change, such as `2020-01-01T12:00:00Z`.
    #[serde(default, deserialize_with = "lenient::optional_text")]
    pub updated: Option<String>,
}

/// The regions of one provider (OMS API reference 5.8.1).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ProviderRegions {
    /// Name of the provider.
    #[serde(default, deserialize_with = "lenient::text")]
    pub service_name: String,
    /// Its regions.
    #[serde(default, rename = "region_list", deserialize_with = "lenient::list")]
    pub regions: Vec<RegionInfo>,
}

/// One region of a provider.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct RegionInfo {
    /// Provider, as tasks take it.
    #[serde(default, deserialize_with = "lenient::text")]
    pub cloud_type: String,
    /// Region, as tasks and bucket checks take it.
    #[serde(deserialize_with = "lenient::required_text")]
    pub value: String,
    /// Words to show.
    #[serde(default, deserialize_with = "lenient::text")]
    pub description: String,
}

/// A limit of an account (OMS API reference 6.10).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Quota {
    /// What is limited; only `MaxParallelTaskNum` is documented, the tasks that run at the same time.
    #[serde(rename = "type", deserialize_with = "lenient::required_text")]
    pub kind: String,
    /// The limit, if it is a number.
    #[serde(default, rename = "quota", deserialize_with = "lenient::optional_unsigned")]
    pub limit: Option<u64>,
}

/// All versions.
pub(in crate::oms) struct ApiVersions(pub(in crate::oms) Vec<ApiVersion>);

impl Reply for ApiVersions {
    type Wire = Value;

    fn from_wire(wire: Value) -> Result<Self, &'static str> {
        let versions = match wire {
            Value::Object(mut object) => object.remove("versions"),
            array @ Value::Array(_) => Some(array),
            _ => None,
        };
        versions.filter(Value::is_array).and_then(elements).map(Self).ok_or("no list of versions")
    }
}

impl Reply for ApiVersion {
    type Wire = Self;

    fn from_wire(wire: Self) -> Result<Self, &'static str> {
        Ok(wire)
    }
}

/// Names of providers, from a bare array.
pub(in crate::oms) struct CloudTypes(pub(in crate::oms) Vec<String>);

impl Reply for CloudTypes {
    type Wire = Value;

    fn from_wire(wire: Value) -> Result<Self, &'static str> {
        texts(wire).map(Self).ok_or("no list of providers")
    }
}

/// Regions by provider, from a bare array.
pub(in crate::oms) struct Regions(pub(in crate::oms) Vec<ProviderRegions>);

impl Reply for Regions {
    type Wire = Value;

    fn from_wire(wire: Value) -> Result<Self, &'static str> {
        elements(wire).map(Self).ok_or("no list of regions")
    }
}

/// An account's limits. The reference's table has them flat, its example two objects deep.
pub(in crate::oms) struct Quotas(pub(in crate::oms) Vec<Quota>);

impl Reply for Quotas {
    type Wire = Value;

    fn from_wire(wire: Value) -> Result<Self, &'static str> {
        let mut found = Vec::new();
        collect_quotas(wire, 3, &mut found);
        if found.is_empty() { Err("no quota") } else { Ok(Self(found)) }
    }
}

fn collect_quotas(value: Value, depth: u8, found: &mut Vec<Quota>) {
    let inner: Vec<Value> = match value {
        Value::Object(object) if object.contains_key("type") => {
            found.extend(serde_json::from_value::<Quota>(Value::Object(object)).ok());
            return;
        }
        Value::Object(object) => object.into_iter().map(|(_, value)| value).collect(),
        Value::Array(values) => values,
        _ => return,
    };
    if depth > 0 {
        for value in inner {
            collect_quotas(value, depth - 1, found);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_version_is_read_even_if_its_status_is_an_object() {
        let read = |value: Value| ApiVersions::from_wire(value).ok().map(|versions| versions.0);
        let versions = read(json!({"versions": [
            {"id": "v1", "status": {"type": "string", "example": "SUPPORTED"}, "updated": "2020-01-01T12:00:00Z", "links": "x"},
            {"id": "v2", "status": "CURRENT", "min_version": ""}, {"status": "lost"}
        ]}))
        .unwrap();
        assert_eq!(versions.len(), 2);
        assert_eq!((versions[0].id.as_str(), versions[0].status.as_deref()), ("v1", None));
        assert_eq!(versions[0].updated.as_deref(), Some("2020-01-01T12:00:00Z"));
        assert_eq!(versions[1].status.as_deref(), Some("CURRENT"));
        assert_eq!(read(json!([{"id": "v2"}])).unwrap().len(), 1);
        assert_eq!((read(json!({})), read(json!({"versions": null})), read(json!("v2"))), (None, None, None));
    }

    #[test]
    fn providers_and_regions_are_bare_arrays() {
        let clouds = |value: Value| CloudTypes::from_wire(value).ok().map(|clouds| clouds.0);
        assert_eq!(
            clouds(json!(["AWS", "NewCloud", 5])),
            Some(vec!["AWS".into(), "NewCloud".into(), "5".into()])
        );
        assert_eq!(clouds(json!({"AWS": 1})), None);
        let regions = |value: Value| Regions::from_wire(value).ok().map(|regions| regions.0);
        let read = regions(json!([
            {"service_name": "AWS", "region_list": [{"cloud_type": "AWS", "value": "eu-west-1", "description": null}, {}]},
            {"service_name": null, "region_list": null}
        ]))
        .unwrap();
        assert_eq!(read.len(), 2);
        assert_eq!(read[0].regions.len(), 1);
        assert_eq!(read[0].regions[0].value, "eu-west-1");
        assert_eq!((regions(json!({})), regions(json!("x"))), (None, None));
        assert_eq!((CloudSide::Source.as_str(), CloudSide::Destination.as_str()), ("src", "dst"));
    }

    #[test]
    fn a_quota_is_found_flat_and_nested() {
        let read = |value: Value| Quotas::from_wire(value).ok().map(|quotas| quotas.0);
        let expected = vec![Quota { kind: "MaxParallelTaskNum".into(), limit: Some(5) }];
        let quota = json!({"type": "MaxParallelTaskNum", "quota": "5"});
        for shape in [
            quota.clone(),
            json!({"quotas": {"resource": quota}}),
            json!({"quotas": {"resources": [quota]}}),
            json!({"quotas": [quota]}),
        ] {
            assert_eq!(read(shape.clone()), Some(expected.clone()), "{shape}");
        }
        assert_eq!(read(json!({"type": "New", "quota": null})).unwrap()[0].limit, None);
        assert_eq!((read(json!({})), read(json!(5)), read(json!({"quotas": null}))), (None, None, None));
    }
}
