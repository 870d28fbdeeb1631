//! Readings about synchronization tasks, where the documents leave a choice.

use serde::Deserialize;

use crate::emulator::clouds::Cloud;

/// Readings about synchronization tasks. The defaults are the safest of the documented ones.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct SyncBehaviour {
    /// Regions whose endpoints know synchronization tasks; `*` stands for every one. Elsewhere the gateway answers
    /// APIGW.0101. Default: cn-north-4, cn-east-3 and cn-southwest-2 (OMS API reference 7.3).
    pub regions: Vec<String>,
    /// What counts against `limits.syncTasks`. Default `created`, as CreateSyncTask says.
    pub quota: SyncQuota,
    /// A bare `+` in a key of an event is a space, as in a form. Default true.
    pub plus_is_space: bool,
    /// HTTP status of start, stop and delete for an unknown ID: 400 or 404 with OMS.1009, or 403 with OMS.0095.
    /// Default 400.
    pub not_found_status: u16,
    /// A create before consent to the privacy agreement is refused with OMS.0092. Default false: its page names other
    /// kinds of tasks.
    pub privacy_agreement_required: bool,
    /// Clouds whose archived objects cannot be restored: `enable_restore` is refused with OMS.1048. Default: as `behaviour.withoutRestore`.
    pub without_restore: Vec<String>,
    /// Answers carry `enable_kms`, as they did before the reference of 2026. Default false.
    pub echo_enable_kms: bool,
}

impl Default for SyncBehaviour {
    fn default() -> Self {
        Self {
            regions: ["cn-north-4", "cn-east-3", "cn-southwest-2"].map(str::to_owned).to_vec(),
            quota: SyncQuota::Created,
            plus_is_space: true,
            not_found_status: 400,
            privacy_agreement_required: false,
            without_restore: Cloud::names(|cloud| cloud.has_buckets() && !cloud.restores)
                .into_iter()
                .map(str::to_owned)
                .collect(),
            echo_enable_kms: false,
        }
    }
}

impl SyncBehaviour {
    /// Whether the endpoint of a region knows synchronization tasks.
    pub fn is_served_in(&self, region: &str) -> bool {
        self.regions.iter().any(|served| served == "*" || served == region)
    }

    /// Whether a cloud is one of those that cannot restore.
    pub fn cannot_restore(&self, cloud: &str) -> bool {
        self.without_restore.iter().any(|name| name.eq_ignore_ascii_case(cloud))
    }
}

/// Which synchronization tasks count against the quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SyncQuota {
    /// All that exist; the sixth create is refused.
    Created,
    /// Those that synchronize, as S3M.0091 puts it; a start can be refused as well.
    Running,
}
