//! The configuration file of the emulator.
//!
//! Unknown fields are errors: a field that is accepted and ignored would make a test believe something untrue.

mod account;
mod behaviour;
mod cdn;
mod check;
pub mod identity;
mod limits;
mod project;
mod stores;
mod sync;

use serde::Deserialize;

pub use self::{
    account::{KmsKey, KmsRefusal, SmnTopic},
    behaviour::{
        AgreementCode, Behaviour, ClockPace, DescriptionCode, FailedChecksCode, HttpSources, TimeUnit,
        VersionsReading,
    },
    cdn::{Cdn, EmbeddedCdn},
    identity::{Identity, Metadata, User},
    limits::{GatewayLimit, Limits},
    project::{AccessKey, AccountState, Project},
    stores::{EmbeddedStore, Store, canonical_cloud},
    sync::{SyncBehaviour, SyncQuota},
};

use super::{mover, store::StoreBehaviour};

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
    /// HTTP servers that run elsewhere and stand for the domains of CDNs.
    #[serde(default)]
    pub cdns: Vec<Cdn>,
    /// CDNs that the emulator itself starts.
    #[serde(default)]
    pub embedded_cdns: Vec<EmbeddedCdn>,
    /// Quotas and rates.
    #[serde(default)]
    pub limits: Limits,
    /// Which of several documented or observed readings is followed, and how long things take.
    #[serde(default)]
    pub behaviour: Behaviour,
    /// How fast service time passes.
    #[serde(default)]
    pub clock: ClockPace,
    /// How objects are moved.
    #[serde(default)]
    pub mover: mover::Settings,
    /// What IAM and STS hand out, and to whom.
    #[serde(default)]
    pub identity: Identity,
    /// What nodes and pods find: metadata service and pod identity agent.
    #[serde(default)]
    pub metadata: Metadata,
    /// Where the URLs of URL lists may lead.
    #[serde(default)]
    pub http_sources: HttpSources,
    /// The topics of SMN that there are. Absent: every topic that somebody names.
    #[serde(default)]
    pub smn_topics: Option<Vec<SmnTopic>>,
    /// The keys of KMS that there are. Absent: every key that somebody names.
    #[serde(default)]
    pub kms_keys: Option<Vec<KmsKey>>,
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
    /// region) and one destination, each with one key pair; one user, one OIDC provider and one pod. The keys are
    /// fixed: they open nothing but this process.
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
            behaviour: StoreBehaviour::default(),
        };
        Self {
            projects: vec![Project {
                id: DEFAULT_PROJECT_ID.to_owned(),
                name: None,
                region: DEFAULT_REGION.to_owned(),
                domain_id: None,
                account: AccountState::Normal,
                access_keys: vec![AccessKey {
                    access: "PROJECTEXAMPLEKEY".to_owned(),
                    secret: "project-example-secret".to_owned().into(),
                    security_token: None,
                }],
                users: vec![User::example()],
            }],
            stores: Vec::new(),
            embedded_stores: vec![
                store("source", "AWS", "*"),
                store("destination", "HuaweiCloud", DEFAULT_REGION),
            ],
            cdns: Vec::new(),
            embedded_cdns: Vec::new(),
            limits: Limits::default(),
            behaviour: Behaviour { privacy_agreement_accepted: true, ..Behaviour::default() },
            clock: ClockPace::Real,
            mover: mover::Settings::default(),
            identity: Identity::example(),
            metadata: Metadata::example(),
            http_sources: HttpSources::default(),
            smn_topics: None,
            kms_keys: None,
        }
    }
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
            ("smnTopics: [{ urn: u, delivery: x }]", "delivery"),
            ("kmsKeys: [{ id: k, state: off }]", "state"),
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
