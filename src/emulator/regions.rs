//! Regions that objects can be migrated from, by cloud. The reference prints those of AWS and calls the rest by their
//! providers' own names; the texts are for people.

use super::stores::Stores;

/// A region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region<'a> {
    /// What `region` and `data_center` hold.
    pub value: &'a str,
    /// For people.
    pub description: &'a str,
}

/// The regions of a cloud.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloudRegions<'a> {
    /// The cloud, as `cloud_type` has it.
    pub cloud: &'static str,
    /// Its regions.
    pub regions: Vec<Region<'a>>,
}

/// The regions that the configured stores stand for, in the order of the reference's clouds: those that a store names,
/// and where a store stands for every region all that are known.
pub fn supported(stores: &Stores) -> Vec<CloudRegions<'_>> {
    TABLE
        .iter()
        .map(|(cloud, known)| {
            let everywhere = stores.of_cloud(cloud).any(|store| store.region == "*");
            let known = known.iter().map(|(value, description)| Region { value, description });
            let mut regions: Vec<Region<'_>> = known
                .filter(|region| {
                    everywhere || stores.of_cloud(cloud).any(|store| store.region == region.value)
                })
                .collect();
            for store in stores.of_cloud(cloud).filter(|store| store.region != "*") {
                if regions.iter().all(|region| region.value != store.region) {
                    regions.push(Region { value: &store.region, description: &store.region });
                }
            }
            CloudRegions { cloud, regions }
        })
        .filter(|cloud| !cloud.regions.is_empty())
        .collect()
}

/// What is known of a region of a cloud.
pub fn find(cloud: &str, value: &str) -> Option<Region<'static>> {
    let (_, regions) = TABLE.iter().find(|(name, _)| *name == cloud)?;
    let (value, description) = regions.iter().find(|(name, _)| *name == value)?;
    Some(Region { value, description })
}

/// The region of a bucket whose store tells none: S3 itself means its first one by that.
pub fn first(cloud: &str) -> &'static str {
    TABLE
        .iter()
        .find(|(name, _)| *name == cloud)
        .and_then(|(_, regions)| regions.first())
        .map_or("us-east-1", |(value, _)| value)
}

type Known = &'static [(&'static str, &'static str)];

/// AWS as the reference prints it (5.8.1), with eu-south-1, which the live service lists; the others by their
/// providers' documents.
const TABLE: &[(&str, Known)] = &[
    (
        "AWS",
        &[
            ("us-east-1", "US Standard (N. Virginia)"),
            ("us-west-1", "US West (N. California)"),
            ("us-west-2", "US West (Oregon)"),
            ("eu-west-1", "EU (Ireland)"),
            ("eu-central-1", "EU (Frankfurt)"),
            ("ap-northeast-1", "Asia Pacific (Tokyo)"),
            ("ap-northeast-2", "Asia Pacific (Seoul)"),
            ("ap-southeast-1", "Asia Pacific (Singapore)"),
            ("ap-southeast-2", "Asia Pacific (Sydney)"),
            ("ap-south-1", "Asia Pacific (Mumbai)"),
            ("sa-east-1", "South America (Sao Paulo)"),
            ("us-east-2", "US East (Ohio)"),
            ("eu-west-2", "EU (London)"),
            ("ca-central-1", "Canada (Central)"),
            ("ap-east-1", "Asia Pacific (Hong Kong)"),
            ("eu-south-1", "EU (Milan)"),
        ],
    ),
    (
        "Aliyun",
        &[
            ("cn-hangzhou", "China (Hangzhou)"),
            ("cn-shanghai", "China (Shanghai)"),
            ("cn-qingdao", "China (Qingdao)"),
            ("cn-beijing", "China (Beijing)"),
            ("cn-zhangjiakou", "China (Zhangjiakou)"),
            ("cn-huhehaote", "China (Hohhot)"),
            ("cn-shenzhen", "China (Shenzhen)"),
            ("cn-chengdu", "China (Chengdu)"),
            ("cn-hongkong", "China (Hong Kong)"),
            ("ap-southeast-1", "Singapore"),
            ("ap-southeast-5", "Indonesia (Jakarta)"),
            ("ap-northeast-1", "Japan (Tokyo)"),
            ("eu-central-1", "Germany (Frankfurt)"),
            ("us-west-1", "US (Silicon Valley)"),
            ("us-east-1", "US (Virginia)"),
        ],
    ),
    (
        "Qiniu",
        &[
            ("z0", "East China"),
            ("z1", "North China"),
            ("z2", "South China"),
            ("na0", "North America"),
            ("as0", "Southeast Asia"),
        ],
    ),
    (
        "QingCloud",
        &[("pek3a", "Beijing 3A"), ("pek3b", "Beijing 3B"), ("sh1a", "Shanghai 1A"), ("gd2", "Guangdong 2")],
    ),
    (
        "Tencent",
        &[
            ("ap-beijing", "Beijing"),
            ("ap-shanghai", "Shanghai"),
            ("ap-guangzhou", "Guangzhou"),
            ("ap-chengdu", "Chengdu"),
            ("ap-chongqing", "Chongqing"),
            ("ap-nanjing", "Nanjing"),
            ("ap-hongkong", "Hong Kong (China)"),
            ("ap-singapore", "Singapore"),
            ("ap-tokyo", "Tokyo"),
            ("eu-frankfurt", "Frankfurt"),
            ("na-siliconvalley", "Silicon Valley"),
            ("na-ashburn", "Virginia"),
        ],
    ),
    (
        "Baidu",
        &[("bj", "North China - Beijing"), ("gz", "South China - Guangzhou"), ("su", "East China - Suzhou")],
    ),
    (
        "KingsoftCloud",
        &[
            ("BEIJING", "China (Beijing)"),
            ("SHANGHAI", "China (Shanghai)"),
            ("GUANGZHOU", "China (Guangzhou)"),
            ("HONGKONG", "China (Hong Kong)"),
        ],
    ),
    (
        "Azure",
        &[
            ("eastus", "East US"),
            ("eastus2", "East US 2"),
            ("westus", "West US"),
            ("westus2", "West US 2"),
            ("northeurope", "North Europe"),
            ("westeurope", "West Europe"),
            ("eastasia", "East Asia"),
            ("southeastasia", "Southeast Asia"),
            ("chinanorth", "China North"),
            ("chinaeast", "China East"),
        ],
    ),
    (
        "UCloud",
        &[
            ("cn-bj", "Beijing"),
            ("cn-sh2", "Shanghai 2"),
            ("cn-gd", "Guangzhou"),
            ("hk", "Hong Kong"),
            ("sg", "Singapore"),
        ],
    ),
    (
        "HuaweiCloud",
        &[
            ("cn-north-1", "CN North-Beijing1"),
            ("cn-north-4", "CN North-Beijing4"),
            ("cn-north-9", "CN North-Ulanqab1"),
            ("cn-east-2", "CN East-Shanghai2"),
            ("cn-east-3", "CN East-Shanghai1"),
            ("cn-east-4", "CN East2"),
            ("cn-south-1", "CN South-Guangzhou"),
            ("cn-south-4", "CN South-Guangzhou-InvitationOnly"),
            ("cn-southwest-2", "CN Southwest-Guiyang1"),
            ("ap-southeast-1", "CN-Hong Kong"),
            ("ap-southeast-2", "AP-Bangkok"),
            ("ap-southeast-3", "AP-Singapore"),
            ("ap-southeast-4", "AP-Jakarta"),
            ("ap-southeast-5", "AP-Manila"),
            ("af-south-1", "AF-Johannesburg"),
            ("la-north-2", "LA-Mexico City2"),
            ("la-south-2", "LA-Santiago"),
            ("sa-brazil-1", "LA-Sao Paulo1"),
            ("tr-west-1", "TR-Istanbul"),
            ("me-east-1", "ME-Riyadh"),
        ],
    ),
    (
        "Google",
        &[
            ("us-east1", "South Carolina"),
            ("us-central1", "Iowa"),
            ("us-west1", "Oregon"),
            ("europe-west1", "Belgium"),
            ("europe-west3", "Frankfurt"),
            ("asia-east1", "Taiwan"),
            ("asia-northeast1", "Tokyo"),
            ("asia-southeast1", "Singapore"),
        ],
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emulator::stores::StoreAddress;

    fn store(cloud_type: &'static str, region: &str) -> StoreAddress {
        StoreAddress {
            name: "s".to_owned(),
            cloud_type,
            region: region.to_owned(),
            endpoint: "http://127.0.0.1:1".to_owned(),
            first_key: None,
            keys: Vec::new(),
            embedded: None,
        }
    }

    #[test]
    fn only_what_a_store_stands_for_is_supported() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let stores = Stores::new(vec![
            store("HuaweiCloud", "cn-north-4"),
            store("HuaweiCloud", "cn-north-7"),
            store("Baidu", "*"),
            store("Baidu", "lab"),
        ])
        .unwrap();
        let supported = supported(&stores);
        let names: Vec<_> = supported
            .iter()
            .map(|cloud| (cloud.cloud, cloud.regions.iter().map(|region| region.value).collect::<Vec<_>>()))
            .collect();
        assert_eq!(
            names,
            [("Baidu", vec!["bj", "gz", "su", "lab"]), ("HuaweiCloud", vec!["cn-north-4", "cn-north-7"])]
        );
        assert_eq!(find("AWS", "eu-west-1").unwrap().description, "EU (Ireland)");
        assert_eq!(find("AWS", "cn-north-4"), None);
        assert_eq!((first("AWS"), first("URLSource")), ("us-east-1", "us-east-1"));
    }
}
