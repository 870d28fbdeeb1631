//! Timings, readings, and the pace of service time.

use std::path::PathBuf;

use serde::Deserialize;

use crate::emulator::clouds::Cloud;

use super::SyncBehaviour;

/// Timings and readings. The defaults are what is best known of the service.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Behaviour {
    /// Projects start with the privacy agreement accepted. Default false, as for a new account; true without a
    /// configuration file.
    pub privacy_agreement_accepted: bool,
    /// Create is refused with OMS.0092 until the agreement is accepted. Default true.
    pub privacy_agreement_required: bool,
    /// Milliseconds that a task waits at least before it runs. Default 1000.
    pub task_start_delay_ms: u64,
    /// Milliseconds that a run lasts at least, however little there is to copy. The service needs tens of seconds
    /// for a handful of objects; its Terraform provider counts on it. Default 10000.
    pub minimum_run_ms: u64,
    /// Milliseconds between an accepted stop (state 7) and state 3. Default 1000.
    pub pause_ms: u64,
    /// Milliseconds for which a new task reads as state 0 instead of 1. Default 0: never.
    pub initialising_ms: u64,
    /// Milliseconds after which a new task appears in lists. Default 0.
    pub list_lag_ms: u64,
    /// HTTP status of OMS.1009 for an unknown task: 400, as the service answers, or 404, as its reference says.
    /// Default 400.
    pub not_found_status: u16,
    /// Milliseconds after a stop ended for which a delete is still refused with OMS.0063, as the service does for a
    /// while. Default 2000.
    pub stale_in_progress_ms: u64,
    /// Unit of `migrate_since` in answers; requests are always in seconds. Default `milliseconds`, as the reference
    /// says.
    pub migrate_since_unit: TimeUnit,
    /// Objects that one task of a group copies at most; a prefix with more is split into several tasks. The service
    /// says nothing of how it splits. Default 10000.
    pub group_task_objects: usize,
    /// Milliseconds that a group waits at least (state 0) before it goes on. Default 500.
    pub group_start_delay_ms: u64,
    /// Milliseconds for which a group creates its tasks at least (state 1). A large number keeps it there. Default 1000.
    pub group_creation_ms: u64,
    /// Milliseconds between an accepted delete of a group and its disappearance; half of them in state 8, half in 9.
    /// Default 2000.
    pub group_deletion_ms: u64,
    /// Show how many tasks a group has in which state. Default false: the service answers `null`.
    pub group_task_numbers: bool,
    /// A group can be stopped while it creates its tasks, as the reference says. Default false, as the service answers.
    pub group_stop_while_creating: bool,
    /// A stop of a group that is at rest is refused with OMS.0066, as the service has been seen to do, and not with
    /// OMS.1038. Default false.
    pub group_stop_at_rest_as_task: bool,
    /// A waiting task can be stopped. Default false: the reference and OMS.0066 say that it must run.
    pub stop_waiting_tasks: bool,
    /// A stop that is accepted comes too late: the task completes on its way to state 3 and ends in 5, as clients of the
    /// service have to expect. Default false: most stops are in time.
    pub stops_come_too_late: bool,
    /// A task that copies its failed objects again reads as state 6 and not as 2. Nobody has seen 6. Default false.
    pub retrying_status: bool,
    /// Code for a description with forbidden characters. Default OMS.0064, as seen live.
    pub description_code: DescriptionCode,
    /// Refusals say more in `error_detail`, as seen live and nowhere documented. Default true.
    pub error_detail: bool,
    /// BatchUpdateTasks without `bandwidth_policy` is refused, as the reference says. Default true; else windows stay.
    pub batch_policy_required: bool,
    /// Code of what is refused before the privacy agreement is accepted. Default OMS.0092.
    pub agreement_code: AgreementCode,
    /// `source_cdn` of an answer says how the CDN authenticates. Default true; the service has been seen without.
    pub cdn_authentication_shown: bool,
    /// Objects that one task copies per second of service time at most. Default: as fast as it goes.
    pub object_rate: Option<f64>,
    /// Code of what `limits.failedCredentialChecks` refuses. Default OMS.0090.
    pub failed_checks_code: FailedChecksCode,
    /// What ShowCloudType says of destinations, which no document shows. Default `[HuaweiCloud]`.
    pub destination_clouds: Vec<String>,
    /// How API versions are shown. Default `tables`.
    pub versions: VersionsReading,
    /// Clouds whose archived objects OMS cannot restore: `enable_restore` is refused with OMS.1048. Default: those that the
    /// user guide does not name, that is every one but HuaweiCloud, Aliyun, Tencent and KingsoftCloud.
    pub without_restore: Vec<String>,
    /// Readings about synchronization tasks.
    pub sync: SyncBehaviour,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            privacy_agreement_accepted: false,
            privacy_agreement_required: true,
            task_start_delay_ms: 1000,
            minimum_run_ms: 10_000,
            pause_ms: 1000,
            initialising_ms: 0,
            list_lag_ms: 0,
            not_found_status: 400,
            stale_in_progress_ms: 2000,
            migrate_since_unit: TimeUnit::Milliseconds,
            group_task_objects: 10_000,
            group_start_delay_ms: 500,
            group_creation_ms: 1000,
            group_deletion_ms: 2000,
            group_task_numbers: false,
            group_stop_while_creating: false,
            group_stop_at_rest_as_task: false,
            stop_waiting_tasks: false,
            stops_come_too_late: false,
            retrying_status: false,
            description_code: DescriptionCode::Parameters,
            error_detail: true,
            batch_policy_required: true,
            agreement_code: AgreementCode::Oms,
            cdn_authentication_shown: true,
            object_rate: None,
            failed_checks_code: FailedChecksCode::Attempts,
            destination_clouds: vec!["HuaweiCloud".to_owned()],
            versions: VersionsReading::Tables,
            without_restore: Cloud::names(|cloud| cloud.has_buckets() && !cloud.restores)
                .into_iter()
                .map(str::to_owned)
                .collect(),
            sync: SyncBehaviour::default(),
        }
    }
}

impl Behaviour {
    /// Whether a cloud is one of those that cannot restore.
    pub fn cannot_restore(&self, cloud: &str) -> bool {
        self.without_restore.iter().any(|name| name.eq_ignore_ascii_case(cloud))
    }
}

/// Unit of a Unix time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum TimeUnit {
    /// Unix seconds.
    Seconds,
    /// Unix milliseconds.
    Milliseconds,
}

/// The table of codes has one for descriptions; the live service answers with the general one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum DescriptionCode {
    /// OMS.0064, with the name of the member.
    #[serde(rename = "OMS.0064")]
    Parameters,
    /// OMS.0078.
    #[serde(rename = "OMS.0078")]
    Characters,
}

/// Three codes have the same meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum AgreementCode {
    /// OMS.0092.
    #[serde(rename = "OMS.0092")]
    Oms,
    /// OMS.1010, which meant something else before 2026.
    #[serde(rename = "OMS.1010")]
    Newer,
    /// S3M.0096.
    #[serde(rename = "S3M.0096")]
    Storage,
}

/// Two codes have the same text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum FailedChecksCode {
    /// OMS.0090.
    #[serde(rename = "OMS.0090")]
    Attempts,
    /// OMS.1015, which meant something else before 2026.
    #[serde(rename = "OMS.1015")]
    Failures,
}

/// The tables of the reference contradict the examples beside them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum VersionsReading {
    /// Every version has its own ID, and a word for its status.
    Tables,
    /// As printed: in the list both are `v1`, alone `v2` links to `/v1/`, and the status is an object.
    Examples,
}

/// How fast service time passes: `clock: real`, or `clock: { scaled: 60 }`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", from = "PaceInFile")]
pub enum ClockPace {
    /// As on the wall.
    #[default]
    Real,
    /// So many seconds of service time per second.
    Scaled(f64),
}

/// YAML writes an enum with content as a tag, which nobody would guess; so the file has a word or a mapping.
#[derive(Deserialize)]
#[serde(untagged, expecting = "`clock` must be `real` or `{ scaled: <seconds per second> }`")]
enum PaceInFile {
    Word(RealWord),
    Mapping(ScaledMapping),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
enum RealWord {
    Real,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ScaledMapping {
    scaled: f64,
}

impl From<PaceInFile> for ClockPace {
    fn from(pace: PaceInFile) -> Self {
        match pace {
            PaceInFile::Word(RealWord::Real) => Self::Real,
            PaceInFile::Mapping(ScaledMapping { scaled }) => Self::Scaled(scaled),
        }
    }
}

/// Where the URLs of URL lists may lead. Loopback addresses are always allowed.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct HttpSources {
    /// Hosts that may be fetched from besides; `*` allows every host.
    pub allowed_hosts: Vec<String>,
    /// A PEM file with the certificates of authorities that are trusted over https, besides the system's.
    pub ca_file: Option<PathBuf>,
}
