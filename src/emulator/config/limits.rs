//! Quotas and rates.

use serde::Deserialize;

/// Quotas and rates. The defaults are those of the service (OMS API reference 5.3.3, 5.3.8).
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Limits {
    /// Tasks created per project in 24 hours; one more is refused with OMS.1021. Default 1500.
    pub tasks_per_day: usize,
    /// Tasks waiting per project; a create above it is refused with OMS.0077. Default 1500.
    pub waiting_tasks: usize,
    /// Tasks running at once per project. Default 5, and 10 in cn-north-1 and cn-south-1.
    pub running_tasks: Option<usize>,
    /// Groups created per project in 24 hours; one more is refused with OMS.1037. Default 100.
    pub groups_per_day: usize,
    /// Groups at work at once per project (states 1, 2 and 7); others wait in state 0. Default 5, and 10 in cn-north-1 and
    /// cn-south-1.
    pub running_groups: Option<usize>,
    /// List files in the folder of a group; more fail its creation with S3M.1045. Default 2000.
    pub group_list_files: usize,
    /// Days after which a waiting task fails with TRF.0003. Default 30.
    pub waiting_days: u32,
    /// Task IDs per batch update. Default 20.
    pub batch_tasks: usize,
    /// Object keys per task. Default 500.
    pub object_keys: usize,
    /// Synchronization tasks per project; one more is refused with S3M.0091. Default 5.
    pub sync_tasks: usize,
    /// Object keys per synchronization event. Default 10, as the reference says in words; its array takes 100.
    pub sync_event_objects: usize,
    /// Buckets of an account above which ShowBucketList is refused with OMS.0154. Default 700.
    pub listed_buckets: usize,
    /// Checks of source keys that may fail in a row, per project, before the next are refused for five minutes of
    /// service time. The service has such a limit and does not publish it. Default: none.
    pub failed_credential_checks: Option<u32>,
    /// Bandwidth windows per task. Default 5.
    pub bandwidth_windows: usize,
    /// Smallest bandwidth of a window in bytes per second. Default 1048576.
    pub min_bandwidth: i64,
    /// Largest bandwidth of a window in bytes per second. Default 209715200.
    pub max_bandwidth: i64,
    /// Calls per project before the gateway answers 429 with APIGW.0308. Default: no limit, as the service publishes
    /// none.
    pub gateway: Option<GatewayLimit>,
    /// Failed signatures in a row after which an access key is locked for five minutes of service time. The service
    /// does so after five. Default: never.
    pub failed_signatures: Option<u32>,
    /// Connections that are open at once at the port of OMS, and likewise at that of the metadata service; one more is
    /// answered with 503 and closed. Default 12000.
    pub connections: usize,
    /// Real milliseconds in which the head of a request must have come, and then its body. Default 30000.
    pub arrival_ms: u64,
    /// Entries that the journal keeps; the oldest go first. Default 100000.
    pub journal_entries: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            tasks_per_day: 1500,
            waiting_tasks: 1500,
            running_tasks: None,
            groups_per_day: 100,
            running_groups: None,
            group_list_files: 2000,
            waiting_days: 30,
            batch_tasks: 20,
            object_keys: 500,
            sync_tasks: 5,
            sync_event_objects: 10,
            listed_buckets: 700,
            failed_credential_checks: None,
            bandwidth_windows: 5,
            min_bandwidth: 1_048_576,
            max_bandwidth: 209_715_200,
            gateway: None,
            failed_signatures: None,
            connections: 12_000,
            arrival_ms: 30_000,
            journal_entries: 100_000,
        }
    }
}

impl Limits {
    /// How many tasks may run at once in a project of `region`.
    pub fn running_tasks(&self, region: &str) -> usize {
        self.running_tasks.unwrap_or(places(region))
    }

    /// How many groups may be at work at once in a project of `region`.
    pub fn running_groups(&self, region: &str) -> usize {
        self.running_groups.unwrap_or(places(region))
    }
}

fn places(region: &str) -> usize {
    if matches!(region, "cn-north-1" | "cn-south-1") { 10 } else { 5 }
}

/// So many calls in so much time.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GatewayLimit {
    /// Calls allowed per window.
    pub requests: u32,
    /// Length of the window in minutes of service time. Default 1.
    #[serde(default = "one")]
    pub minutes: u32,
}

fn one() -> u32 {
    1
}
