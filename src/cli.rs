//! The command line of `oms-operator`: what was typed, not yet what it means (that is [`crate::config`]).

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use jiff::SignedDuration;

use crate::api::DeletionPolicy;
use crate::telemetry::logging::Format;

/// Kubernetes operator for Huawei Cloud's Object Storage Migration Service (OMS).
#[derive(Parser, Clone, Debug)]
#[command(name = "oms-operator", version, about, propagate_version = true)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What the program does.
#[derive(Subcommand, Clone, Debug)]
pub enum Command {
    /// Run the controller against the cluster of the kubeconfig or of the pod
    Run(Box<RunArgs>),
    /// Print the custom resource definitions as YAML
    Crds(CrdsArgs),
    /// Let go of every object before an uninstall: remove the finalizers and tell what stays at OMS
    ///
    /// Nothing is called at OMS: tasks that run go on, and records stay. Afterwards objects and namespaces can be
    /// deleted without an operator.
    Release(ReleaseArgs),
}

/// Options of `oms-operator release`.
#[derive(Args, Clone, Debug)]
pub struct ReleaseArgs {
    /// Only the objects of this namespace; repeatable [default: all namespaces, and ClusterConnections]
    #[arg(long = "namespace", value_name = "NAMESPACE", value_delimiter = ',')]
    pub namespaces: Vec<String>,

    /// Only tell what would be done
    #[arg(long)]
    pub dry_run: bool,

    /// Go on although an operator holds the lease; it would put the finalizers back
    #[arg(long)]
    pub force: bool,
}

/// Options of `oms-operator crds`.
#[derive(Args, Clone, Debug)]
pub struct CrdsArgs {
    /// Write one file per definition into this folder instead of printing them
    #[arg(long, value_name = "DIR")]
    pub output_dir: Option<PathBuf>,
}

/// Options of `oms-operator run`. Every flag can be given as an environment variable; lists are separated by commas
/// there. Durations are written like `30s`, `5m` or `1h30m`.
#[derive(Args, Clone, Debug)]
pub struct RunArgs {
    /// Watch only this namespace; repeatable [default: all namespaces]
    #[arg(
        long = "namespace",
        value_name = "NAMESPACE",
        env = "OMS_OPERATOR_NAMESPACE",
        value_delimiter = ','
    )]
    pub namespaces: Vec<String>,

    /// How often the tasks that run at OMS are listed
    #[arg(long, value_name = "DURATION", env = "OMS_OPERATOR_POLL_INTERVAL", default_value = "30s", value_parser = duration)]
    pub poll_interval: Duration,

    /// How often a Secret that an unfinished object references is looked at for a change
    #[arg(long, value_name = "DURATION", env = "OMS_OPERATOR_SECRET_CHECK_INTERVAL", default_value = "60s", value_parser = duration)]
    pub secret_check_interval: Duration,

    /// Host that a Connection may name as its endpoint; repeatable, replaces the default
    ///
    /// Written as `host`, `host:port` or `*.suffix` (any name below the suffix). Without a port only the scheme's
    /// own port is allowed. `http` is allowed on loopback only, unless the entry starts with `http://`.
    #[arg(
        long = "allowed-endpoint",
        value_name = "HOST",
        env = "OMS_OPERATOR_ALLOWED_ENDPOINT",
        default_value = "*.myhuaweicloud.com",
        value_delimiter = ','
    )]
    pub allowed_endpoints: Vec<String>,

    /// Which connections may use the operator's own credentials: `source` of a connection's credentials
    ///
    /// They are found in the operator's surroundings: OIDC (`HUAWEICLOUD_OIDC_*`), pod identity (`HC_CONTAINER_*`) or the
    /// metadata service of the node. With `all`, whoever may write a Connection acts as the operator at OMS.
    #[arg(
        long,
        value_name = "WHO",
        env = "OMS_OPERATOR_AMBIENT_CREDENTIALS",
        default_value = "cluster",
        value_enum
    )]
    pub ambient_credentials: AmbientCredentials,

    /// Address of the metadata service of the node, or `off`
    #[arg(
        long,
        value_name = "URL",
        env = "OMS_OPERATOR_METADATA_ENDPOINT",
        default_value = "http://169.254.169.254"
    )]
    pub metadata_endpoint: String,

    /// Address of STS, for OIDC [default: HUAWEICLOUD_SDK_STS_ENDPOINT, else the one of the connection's region]
    #[arg(long, value_name = "URL", env = "OMS_OPERATOR_STS_ENDPOINT")]
    pub sts_endpoint: Option<String>,

    /// Namespace of the Secrets of ClusterConnections [default: the pod's namespace, else oms-operator-system]
    #[arg(long, value_name = "NAMESPACE", env = "OMS_OPERATOR_CLUSTER_RESOURCE_NAMESPACE")]
    pub cluster_resource_namespace: Option<String>,

    /// Name of this cluster in the tokens that mark our tasks at OMS [default: UID of namespace kube-system]
    ///
    /// Must never change and never be shared by two clusters.
    #[arg(long, value_name = "ID", env = "OMS_OPERATOR_CLUSTER_ID")]
    pub cluster_id: Option<String>,

    /// What deleting an object does to its task at OMS, where the object does not say: Delete, Orphan or StopAndKeep
    #[arg(long, value_name = "POLICY", env = "OMS_OPERATOR_DEFAULT_DELETION_POLICY", default_value = "Delete", value_parser = deletion_policy)]
    pub default_deletion_policy: DeletionPolicy,

    /// How long a deleted object waits for lost credentials before its clean-up is given up
    #[arg(long, value_name = "DURATION", env = "OMS_OPERATOR_CLEANUP_TIMEOUT", default_value = "5m", value_parser = duration)]
    pub cleanup_timeout: Duration,

    /// Objects of one kind that are worked on at the same time
    #[arg(long, value_name = "N", env = "OMS_OPERATOR_CONCURRENCY", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub concurrency: u16,

    /// Keep the hands off every object, except for deletions; what runs at OMS goes on
    #[arg(
        long,
        value_name = "BOOL",
        env = "OMS_OPERATOR_PAUSED",
        default_value_t = false,
        default_missing_value = "true",
        num_args = 0..=1,
        require_equals = true,
        action = ArgAction::Set
    )]
    pub paused: bool,

    /// Address for /metrics, /healthz and /readyz; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", env = "OMS_OPERATOR_METRICS_LISTEN", default_value = "0.0.0.0:8080")]
    pub metrics_listen: SocketAddr,

    /// Expose metrics of each object too, with its namespace and name as labels
    #[arg(
        long,
        value_name = "BOOL",
        env = "OMS_OPERATOR_PER_OBJECT_METRICS",
        default_value_t = false,
        default_missing_value = "true",
        num_args = 0..=1,
        require_equals = true,
        action = ArgAction::Set
    )]
    pub per_object_metrics: bool,

    /// File that is written once the operator serves and its caches are in sync: {"metrics":"http://..."}
    #[arg(long, value_name = "FILE", env = "OMS_OPERATOR_READY_FILE")]
    pub ready_file: Option<PathBuf>,

    /// How log lines look
    #[arg(long, value_name = "FORMAT", env = "OMS_OPERATOR_LOG_FORMAT", default_value = "json")]
    pub log_format: Format,

    /// Which log lines are written: a level, or for example `info,oms_operator=debug`
    #[arg(long, alias = "log", value_name = "LEVEL", env = "OMS_OPERATOR_LOG_LEVEL", default_value = "info")]
    pub log_level: String,

    /// File with settings that win over the flags: `logLevel` applies while the operator runs, `logFormat` at its start
    #[arg(long, value_name = "FILE", env = "OMS_OPERATOR_CONFIG")]
    pub config: Option<PathBuf>,

    /// Take part in the leader election; `--leader-elect=false` for a single replica
    #[arg(
        long,
        value_name = "BOOL",
        env = "OMS_OPERATOR_LEADER_ELECT",
        default_value_t = true,
        default_missing_value = "true",
        num_args = 0..=1,
        require_equals = true,
        action = ArgAction::Set
    )]
    pub leader_elect: bool,

    /// Namespace of the lease [default: the pod's namespace, else oms-operator-system]
    #[arg(long, value_name = "NAMESPACE", env = "OMS_OPERATOR_LEADER_NAMESPACE")]
    pub leader_namespace: Option<String>,

    /// Name of the lease, which makes replicas one install; each of several in one namespace needs its own [default: oms-operator]
    #[arg(long, value_name = "NAME", env = "OMS_OPERATOR_LEADER_LEASE_NAME")]
    pub leader_lease_name: Option<String>,

    /// How long a lease holds that its leader does not renew
    #[arg(long, value_name = "DURATION", env = "OMS_OPERATOR_LEADER_LEASE_DURATION", default_value = "15s", value_parser = duration)]
    pub leader_lease_duration: Duration,

    /// How long a leader goes on without having renewed the lease
    #[arg(long, value_name = "DURATION", env = "OMS_OPERATOR_LEADER_RENEW_DEADLINE", default_value = "10s", value_parser = duration)]
    pub leader_renew_deadline: Duration,

    /// How often a leader renews the lease; the others look four times as often
    #[arg(long, value_name = "DURATION", env = "OMS_OPERATOR_LEADER_RETRY_PERIOD", default_value = "2s", value_parser = duration)]
    pub leader_retry_period: Duration,

    /// Run the operator's clock this many times faster; for tests
    #[cfg(feature = "dev")]
    #[arg(long, value_name = "N", env = "OMS_OPERATOR_TIME_SCALE", default_value_t = 1.0)]
    pub time_scale: f64,
}

/// Which connections may use the operator's own credentials.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum AmbientCredentials {
    /// ClusterConnections
    Cluster,
    /// Connections too
    All,
    /// None
    None,
}

impl RunArgs {
    /// How many times faster the operator's clock runs; 1 unless built with feature `dev`.
    pub fn time_scale(&self) -> f64 {
        #[cfg(feature = "dev")]
        return self.time_scale;
        #[cfg(not(feature = "dev"))]
        1.0
    }
}

/// Reads a duration as people write it: `30s`, `5m`, `1h30m`, `250ms`.
fn duration(text: &str) -> Result<Duration, String> {
    let wrong = |why: &str| format!("{why}; write it like 30s, 5m or 1h30m");
    let parsed: SignedDuration = text.trim().parse().map_err(|_| wrong("not a duration"))?;
    if parsed <= SignedDuration::ZERO {
        return Err(wrong("must be longer than zero"));
    }
    Duration::try_from(parsed).map_err(|_| wrong("too long"))
}

fn deletion_policy(text: &str) -> Result<DeletionPolicy, String> {
    match text {
        "Delete" => Ok(DeletionPolicy::Delete),
        "Orphan" => Ok(DeletionPolicy::Orphan),
        "StopAndKeep" => Ok(DeletionPolicy::StopAndKeep),
        _ => Err("must be Delete, Orphan or StopAndKeep".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(args: &[&str]) -> RunArgs {
        match Cli::try_parse_from(["oms-operator", "run"].iter().chain(args)).unwrap().command {
            Command::Run(args) => *args,
            Command::Crds(_) | Command::Release(_) => unreachable!("`run` was typed"),
        }
    }

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory as _;
        Cli::command().debug_assert();
    }

    #[test]
    fn a_command_is_required() {
        assert!(Cli::try_parse_from(["oms-operator"]).is_err());
    }

    #[test]
    fn defaults_are_the_documented_ones() {
        let args = run(&[]);
        assert_eq!(args.namespaces, Vec::<String>::new());
        assert_eq!(args.poll_interval, Duration::from_secs(30));
        assert_eq!(args.secret_check_interval, Duration::from_mins(1));
        assert_eq!(args.allowed_endpoints, ["*.myhuaweicloud.com"]);
        assert_eq!(args.ambient_credentials, AmbientCredentials::Cluster);
        assert_eq!(args.metadata_endpoint, "http://169.254.169.254");
        assert_eq!(args.default_deletion_policy, DeletionPolicy::Delete);
        assert_eq!(args.cleanup_timeout, Duration::from_mins(5));
        assert_eq!(args.concurrency, 16);
        assert!(args.leader_elect);
        assert!((args.time_scale() - 1.0).abs() < f64::EPSILON);
    }

    #[test]
    fn lists_are_repeated_or_separated_by_commas() {
        assert_eq!(run(&["--namespace", "a", "--namespace", "b,c"]).namespaces, ["a", "b", "c"]);
        assert_eq!(
            run(&["--allowed-endpoint", "oms.internal"]).allowed_endpoints,
            ["oms.internal"],
            "a given entry replaces the default"
        );
    }

    #[test]
    fn leader_election_is_switched_off_with_a_value_and_never_eats_the_next_word() {
        assert!(!run(&["--leader-elect=false"]).leader_elect);
        assert!(run(&["--leader-elect", "--poll-interval", "5s"]).leader_elect);
    }

    #[test]
    fn the_log_level_has_its_former_name_too() {
        assert_eq!(run(&["--log-level", "info,oms_operator=debug"]).log_level, "info,oms_operator=debug");
        assert_eq!(run(&["--log=warn"]).log_level, "warn");
    }

    #[test]
    fn durations_are_read_as_people_write_them() {
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("1h30m"), Ok(Duration::from_mins(90)));
        assert_eq!(duration(" 5m "), Ok(Duration::from_mins(5)));
        for wrong in ["", "5", "0s", "-5s", "5 parsecs"] {
            assert!(duration(wrong).is_err(), "{wrong:?} was taken");
        }
    }
}
