//! The clouds that OMS copies from, and what it knows of each: one table for tasks, groups, synchronization tasks,
//! checks and the configuration.

/// A source cloud.
#[derive(Debug, PartialEq, Eq)]
pub struct Cloud {
    /// In the spelling of the tasks API (OMS API reference 5.3.3). Answers about groups write it in upper case.
    pub name: &'static str,
    /// What opens its buckets.
    pub credentials: Credentials,
    /// An APPID must come along.
    pub needs_app_id: bool,
    /// Keeps a CRC64 with its objects; elsewhere the modes and checks that compare it are refused.
    pub has_crc64: bool,
    /// OMS can restore its archived objects (user guide: OBS, Alibaba, Kingsoft, Tencent); see
    /// `behaviour.withoutRestore`.
    pub restores: bool,
    /// Synchronization tasks can copy from it (OMS API reference 5.4).
    pub can_sync: bool,
}

/// What opens the buckets of a cloud.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credentials {
    /// An access key pair.
    KeyPair,
    /// A connection string, or the pair that older editions know.
    ConnectionString,
    /// The JSON file of a service account, or a pair.
    ServiceAccount,
    /// Nothing: there are no buckets, but URLs.
    None,
}

const fn cloud(name: &'static str) -> Cloud {
    Cloud {
        name,
        credentials: Credentials::KeyPair,
        needs_app_id: false,
        has_crc64: false,
        restores: false,
        can_sync: true,
    }
}

/// Every cloud, in the order of the reference.
pub static CLOUDS: [Cloud; 12] = [
    cloud("AWS"),
    Cloud { credentials: Credentials::ConnectionString, ..cloud("Azure") },
    Cloud { has_crc64: true, restores: true, ..cloud("Aliyun") },
    Cloud { has_crc64: true, restores: true, needs_app_id: true, ..cloud("Tencent") },
    Cloud { has_crc64: true, restores: true, ..cloud("HuaweiCloud") },
    cloud("QingCloud"),
    Cloud { restores: true, ..cloud("KingsoftCloud") },
    cloud("Baidu"),
    cloud("Qiniu"),
    Cloud { credentials: Credentials::None, can_sync: false, ..cloud("URLSource") },
    cloud("UCloud"),
    Cloud { credentials: Credentials::ServiceAccount, can_sync: false, ..cloud("Google") },
];

impl Cloud {
    /// The cloud of this name, as the tasks API writes it.
    pub fn named(name: &str) -> Option<&'static Self> {
        CLOUDS.iter().find(|cloud| cloud.name == name)
    }

    /// The cloud by any spelling that OMS itself uses somewhere: in upper case in answers about groups, and `HEC` for
    /// HuaweiCloud as a destination and in checks. `OBS` is how people call it.
    pub fn spelled(name: &str) -> Option<&'static Self> {
        if ["HEC", "OBS"].iter().any(|alias| name.eq_ignore_ascii_case(alias)) {
            return Self::named("HuaweiCloud");
        }
        CLOUDS.iter().find(|cloud| name.eq_ignore_ascii_case(cloud.name))
    }

    /// Whether it has buckets, so that a store can stand for it.
    pub fn has_buckets(&self) -> bool {
        self.credentials != Credentials::None
    }

    /// The names of all clouds that fit.
    pub fn names(fits: impl Fn(&Self) -> bool) -> Vec<&'static str> {
        CLOUDS.iter().filter(|cloud| fits(cloud)).map(|cloud| cloud.name).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cloud_is_found_by_every_spelling_of_the_service() {
        let name = |spelling| Cloud::spelled(spelling).map(|cloud| cloud.name);
        assert_eq!(name("HEC"), Some("HuaweiCloud"));
        assert_eq!(name("obs"), Some("HuaweiCloud"));
        assert_eq!(name("KINGSOFTCLOUD"), Some("KingsoftCloud"));
        assert_eq!(name("Nimbus"), None);
        assert_eq!(Cloud::named("aws"), None, "tasks know one spelling only");
    }

    #[test]
    fn the_table_says_what_the_reference_says() {
        assert_eq!(Cloud::names(|cloud| cloud.has_crc64), ["Aliyun", "Tencent", "HuaweiCloud"]);
        assert_eq!(Cloud::names(|cloud| !cloud.can_sync), ["URLSource", "Google"]);
        assert_eq!(Cloud::names(|cloud| cloud.needs_app_id), ["Tencent"]);
        assert_eq!(Cloud::names(|cloud| !cloud.has_buckets()), ["URLSource"]);
    }
}
