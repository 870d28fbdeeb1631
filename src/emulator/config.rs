//! The configuration file of the emulator.
//!
//! Unknown fields are errors: a field that is accepted and ignored would make a test believe something untrue.

use std::{fmt, net::SocketAddr, path::PathBuf};

use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Deserializer};

/// What `--config` holds, in YAML (or JSON, which is YAML too).
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Config {
    /// The projects that are served. At least one.
    pub projects: Vec<Project>,
    /// S3 endpoints that run elsewhere, and the cloud and region each stands for.
    #[serde(default)]
    pub stores: Vec<Store>,
    /// S3 endpoints that the emulator itself starts.
    #[serde(default)]
    pub embedded_stores: Vec<EmbeddedStore>,
    /// Quotas and rates.
    #[serde(default)]
    pub limits: Limits,
    /// Which of several documented or observed readings is followed, and how long things take.
    #[serde(default)]
    pub behaviour: Behaviour,
    /// How fast service time passes.
    #[serde(default)]
    pub clock: ClockPace,
    /// Where the URLs of URL lists may lead.
    #[serde(default)]
    pub http_sources: HttpSources,
}

/// A project of the emulated account.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Project {
    /// The ID that stands in the paths.
    pub id: String,
    /// The name, as IAM lists it. Default: the region.
    #[serde(default)]
    pub name: Option<String>,
    /// The region whose endpoint this project is called at. Destinations must lie in it.
    pub region: String,
    /// The account that IAM names as the owner. Default: one made-up account for all projects.
    #[serde(default)]
    pub domain_id: Option<String>,
    /// The key pairs that may sign calls for this project. One pair may serve several projects.
    pub access_keys: Vec<AccessKey>,
}

impl Project {
    /// The name, as IAM lists it.
    pub fn name(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.region)
    }
}

/// An access key and its secret.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AccessKey {
    /// The access key ID.
    pub access: String,
    /// The secret key.
    #[serde(deserialize_with = "secret")]
    pub secret: SecretString,
    /// Makes the pair a temporary one: calls must carry this token in `X-Security-Token`.
    #[serde(default, deserialize_with = "optional_secret")]
    pub security_token: Option<SecretString>,
}

/// An S3 endpoint that stands for a cloud's object storage.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Store {
    /// Name in the ready file. Default: `store-1`, `store-2`, and so on.
    #[serde(default)]
    pub name: Option<String>,
    /// The cloud, in OMS's spelling (`AWS`, `HuaweiCloud`, ...); case does not matter. Destinations are always
    /// `HuaweiCloud`, which may also be written `OBS`.
    pub cloud_type: String,
    /// The region, or `*` for every region that no other store of the cloud names.
    #[serde(default = "every_region")]
    pub region: String,
    /// The S3 endpoint, path style: `http://127.0.0.1:9000`.
    pub endpoint: String,
    /// Key pairs of the store, the first of which goes into the ready file. The store itself decides which keys it
    /// accepts.
    #[serde(default)]
    pub access_keys: Vec<AccessKey>,
}

/// An S3 endpoint that the emulator starts.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EmbeddedStore {
    /// Name in the ready file.
    pub name: String,
    /// The folder with the objects. Default: a temporary folder that goes when the emulator ends, or a folder in
    /// `--state` when there is one.
    #[serde(default)]
    pub dir: Option<PathBuf>,
    /// Where it listens. Default: a free port of 127.0.0.1.
    #[serde(default)]
    pub listen: Option<SocketAddr>,
    /// The cloud it stands for, see [`Store::cloud_type`].
    pub cloud_type: String,
    /// The region it stands for, or `*`.
    #[serde(default = "every_region")]
    pub region: String,
    /// The key pairs it accepts. At least one.
    pub access_keys: Vec<AccessKey>,
}

fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SecretString, D::Error> {
    String::deserialize(deserializer).map(SecretString::from)
}

fn optional_secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SecretString>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.map(SecretString::from))
}

fn every_region() -> String {
    "*".to_owned()
}

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
    /// Days after which a waiting task fails with TRF.0003. Default 30.
    pub waiting_days: u32,
    /// Task IDs per batch update. Default 20.
    pub batch_tasks: usize,
    /// Object keys per task. Default 500.
    pub object_keys: usize,
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
    /// Entries that the journal keeps; the oldest go first. Default 100000.
    pub journal_entries: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            tasks_per_day: 1500,
            waiting_tasks: 1500,
            running_tasks: None,
            waiting_days: 30,
            batch_tasks: 20,
            object_keys: 500,
            bandwidth_windows: 5,
            min_bandwidth: 1_048_576,
            max_bandwidth: 209_715_200,
            gateway: None,
            failed_signatures: None,
            journal_entries: 100_000,
        }
    }
}

impl Limits {
    /// How many tasks may run at once in a project of `region`.
    pub fn running_tasks(&self, region: &str) -> usize {
        self.running_tasks.unwrap_or(if matches!(region, "cn-north-1" | "cn-south-1") { 10 } else { 5 })
    }
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
    /// Objects that one task copies per second of service time at most. Default: as fast as it goes.
    pub object_rate: Option<f64>,
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
            object_rate: None,
        }
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
}

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It is not YAML, or has a field that does not exist or has the wrong type.
    #[error("The configuration cannot be read: {0}")]
    Syntax(#[from] serde_yaml::Error),
    /// A value makes no sense.
    #[error("The configuration has an error in `{field}`: {problem}")]
    Value {
        /// Where: `projects[0].id`.
        field: String,
        /// What is wrong, and what would be right.
        problem: String,
    },
}

/// The ID of the project that is served without a configuration file.
pub const DEFAULT_PROJECT_ID: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";
/// The region of the project that is served without a configuration file.
pub const DEFAULT_REGION: &str = "cn-north-4";

impl Config {
    /// Reads and checks a configuration file.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let config: Self = serde_yaml::from_str(text)?;
        config.check()?;
        Ok(config)
    }

    /// What is served without a file: one project with its privacy agreement accepted, one source (AWS, every
    /// region) and one destination, each with one key pair. The keys are fixed: they open nothing but this process.
    pub fn standard() -> Self {
        let store = |name: &str, cloud: &str, region: &str| EmbeddedStore {
            name: name.to_owned(),
            dir: None,
            listen: None,
            cloud_type: cloud.to_owned(),
            region: region.to_owned(),
            access_keys: vec![AccessKey {
                access: format!("{}EXAMPLEKEY", name.to_ascii_uppercase()),
                secret: format!("{name}-example-secret").into(),
                security_token: None,
            }],
        };
        Self {
            projects: vec![Project {
                id: DEFAULT_PROJECT_ID.to_owned(),
                name: None,
                region: DEFAULT_REGION.to_owned(),
                domain_id: None,
                access_keys: vec![AccessKey {
                    access: "PROJECTEXAMPLEKEY".to_owned(),
                    secret: "project-example-secret".to_owned().into(),
                    security_token: None,
                }],
            }],
            stores: Vec::new(),
            embedded_stores: vec![
                store("source", "AWS", "*"),
                store("destination", "HuaweiCloud", DEFAULT_REGION),
            ],
            limits: Limits::default(),
            behaviour: Behaviour { privacy_agreement_accepted: true, ..Behaviour::default() },
            clock: ClockPace::Real,
            http_sources: HttpSources::default(),
        }
    }

    /// Checks what the types cannot say.
    pub fn check(&self) -> Result<(), ConfigError> {
        if self.projects.is_empty() {
            return Err(wrong("projects", "is empty; name at least one project"));
        }
        for (index, project) in self.projects.iter().enumerate() {
            let at = |field: &str| format!("projects[{index}].{field}");
            if project.id.is_empty() || project.id.contains(['/', '?', '#', '%']) {
                return Err(wrong(at("id"), "must be a non-empty path segment"));
            }
            if self.projects[..index].iter().any(|other| other.id == project.id) {
                return Err(wrong(at("id"), "is used by an earlier project"));
            }
            if project.region.is_empty() {
                return Err(wrong(at("region"), "is empty; name a region such as cn-north-4"));
            }
            if project.access_keys.is_empty() {
                return Err(wrong(at("accessKeys"), "is empty; nobody could sign a call"));
            }
            check_keys(&project.access_keys, &at("accessKeys"))?;
            for key in &project.access_keys {
                let earlier = self.projects[..index].iter().flat_map(|other| &other.access_keys);
                if earlier.clone().any(|other| other.access == key.access && !same_secrets(other, key)) {
                    return Err(wrong(
                        at("accessKeys"),
                        format!("`{}` has another secret in an earlier project", key.access),
                    ));
                }
            }
        }
        for (index, store) in self.stores.iter().enumerate() {
            let at = |field: &str| format!("stores[{index}].{field}");
            check_cloud(&store.cloud_type, &at("cloudType"))?;
            let url = url::Url::parse(&store.endpoint)
                .map_err(|error| wrong(at("endpoint"), format!("is no URL: {error}")))?;
            if !matches!(url.scheme(), "http" | "https") {
                return Err(wrong(at("endpoint"), "must start with http:// or https://"));
            }
            check_keys(&store.access_keys, &at("accessKeys"))?;
        }
        for (index, store) in self.embedded_stores.iter().enumerate() {
            let at = |field: &str| format!("embeddedStores[{index}].{field}");
            check_cloud(&store.cloud_type, &at("cloudType"))?;
            if store.name.is_empty() || !store.name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
                return Err(wrong(at("name"), "must consist of letters, digits and hyphens"));
            }
            if self.embedded_stores[..index].iter().any(|other| other.name == store.name) {
                return Err(wrong(at("name"), "is used by an earlier store"));
            }
            if store.access_keys.is_empty() {
                return Err(wrong(at("accessKeys"), "is empty; nobody could use the store"));
            }
            check_keys(&store.access_keys, &at("accessKeys"))?;
        }
        if !matches!(self.behaviour.not_found_status, 400 | 404) {
            return Err(wrong("behaviour.notFoundStatus", "must be 400 or 404"));
        }
        if let ClockPace::Scaled(scale) = self.clock
            && !(scale.is_finite() && scale > 0.0)
        {
            return Err(wrong("clock.scaled", "must be a positive number"));
        }
        if self.behaviour.object_rate.is_some_and(|rate| !(rate.is_finite() && rate > 0.0)) {
            return Err(wrong("behaviour.objectRate", "must be a positive number"));
        }
        if self.limits.gateway.is_some_and(|limit| limit.requests == 0 || limit.minutes == 0) {
            return Err(wrong("limits.gateway", "needs positive numbers"));
        }
        Ok(())
    }
}

fn wrong(field: impl Into<String>, problem: impl fmt::Display) -> ConfigError {
    ConfigError::Value { field: field.into(), problem: problem.to_string() }
}

fn same_secrets(one: &AccessKey, other: &AccessKey) -> bool {
    let token = |key: &AccessKey| key.security_token.as_ref().map(|token| token.expose_secret().to_owned());
    one.secret.expose_secret() == other.secret.expose_secret() && token(one) == token(other)
}

fn check_keys(keys: &[AccessKey], field: &str) -> Result<(), ConfigError> {
    for (index, key) in keys.iter().enumerate() {
        if key.access.is_empty() || key.access.contains(|c: char| c == ',' || c == '/' || c.is_whitespace()) {
            return Err(wrong(
                format!("{field}[{index}].access"),
                "must be a word without commas and slashes",
            ));
        }
        if key.secret.expose_secret().is_empty() {
            return Err(wrong(format!("{field}[{index}].secret"), "is empty"));
        }
    }
    Ok(())
}

/// The clouds that a store can stand for: those of the tasks API (OMS API reference 5.3.3) but URLSource, which has
/// no buckets.
const CLOUDS: [&str; 11] = [
    "AWS",
    "Azure",
    "Aliyun",
    "Tencent",
    "HuaweiCloud",
    "QingCloud",
    "KingsoftCloud",
    "Baidu",
    "Qiniu",
    "UCloud",
    "Google",
];

fn check_cloud(name: &str, field: &str) -> Result<(), ConfigError> {
    if canonical_cloud(name).is_some() {
        Ok(())
    } else {
        Err(wrong(field, format!("`{name}` is unknown; use one of {}", CLOUDS.join(", "))))
    }
}

/// The spelling of a cloud in the tasks API, for any spelling that somebody might use.
pub fn canonical_cloud(name: &str) -> Option<&'static str> {
    if ["obs", "hec"].iter().any(|alias| name.eq_ignore_ascii_case(alias)) {
        return Some("HuaweiCloud");
    }
    CLOUDS.into_iter().find(|cloud| name.eq_ignore_ascii_case(cloud))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROJECT: &str = "projects: [{ id: p, region: r, accessKeys: [{ access: a, secret: s }] }]\n";

    #[test]
    fn a_minimal_file_gets_the_limits_of_the_service() {
        let config = Config::parse(PROJECT).unwrap();
        assert_eq!((config.limits.tasks_per_day, config.limits.waiting_tasks), (1500, 1500));
        assert_eq!(config.limits.running_tasks("cn-north-4"), 5);
        assert_eq!(config.limits.running_tasks("cn-north-1"), 10);
        assert!(!config.behaviour.privacy_agreement_accepted);
        assert_eq!(config.projects[0].name(), "r");
        Config::standard().check().unwrap();
    }

    #[test]
    fn an_unknown_field_is_named() {
        for (addition, field) in [
            ("limitz: {}", "limitz"),
            ("limits: { tasksPerDya: 1 }", "tasksPerDya"),
            ("behaviour: { listLag: 1 }", "listLag"),
        ] {
            let error = Config::parse(&format!("{PROJECT}{addition}")).unwrap_err().to_string();
            assert!(error.contains(field), "{error}");
        }
    }

    #[test]
    fn the_clock_is_a_word_or_a_mapping() {
        let clock = |text: &str| Config::parse(&format!("{PROJECT}{text}")).map(|config| config.clock);
        assert_eq!(clock("clock: real").unwrap(), ClockPace::Real);
        assert_eq!(clock("clock: { scaled: 60 }").unwrap(), ClockPace::Scaled(60.0));
        assert!(clock("clock: fast").unwrap_err().to_string().contains("scaled"));
        assert!(clock("clock: { scaled: -1 }").is_err());
    }

    #[test]
    fn a_wrong_value_is_named_with_its_place() {
        for (text, field) in [
            ("projects: []", "projects"),
            (
                &format!("{PROJECT}stores: [{{ cloudType: Nimbus, endpoint: 'http://x' }}]"),
                "stores[0].cloudType",
            ),
            (&format!("{PROJECT}stores: [{{ cloudType: AWS, endpoint: x }}]"), "stores[0].endpoint"),
            (&format!("{PROJECT}behaviour: {{ notFoundStatus: 500 }}"), "behaviour.notFoundStatus"),
        ] {
            let error = Config::parse(text).unwrap_err().to_string();
            assert!(error.contains(field), "{error}");
        }
    }

    #[test]
    fn secrets_do_not_show_in_debug_output() {
        let shown = format!("{:?}", Config::standard());
        assert!(!shown.contains("example-secret"), "{shown}");
    }
}
