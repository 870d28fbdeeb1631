//! What the command line means: validated and typed, with defaults from the surroundings filled in.

use std::collections::BTreeSet;
use std::hash::{BuildHasher as _, RandomState};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::api::DeletionPolicy;
use crate::cli::RunArgs;
use crate::leader::Timings;

mod endpoints;
pub mod file;

pub use crate::cli::AmbientCredentials;
pub use endpoints::AllowedEndpoints;

/// Namespace of the operator where nothing says another.
pub const DEFAULT_NAMESPACE: &str = "oms-operator-system";
/// Name of the lease of the replicas of an install, where nothing says another. Who works for the whole cluster looks for it.
pub const LEASE_NAME: &str = "oms-operator";
/// Name of the lease in each namespace of a list: the install that works for it.
pub const NAMESPACE_LEASE: &str = "oms-operator-watch";
/// How long after `sentAt` a create whose outcome is unknown stays possible: OMS refuses an `X-Sdk-Date` older than
/// 15 minutes. The signature can be three minutes younger than `sentAt` (one that the plan allows, two for
/// credentials and the budget's permit, a second request after a 401 included), and clocks and lists may lag: two more.
pub const CREATE_FENCE: Duration = Duration::from_mins(20);

const NAMESPACE_FILE: &str = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";
const HOSTNAME_FILE: &str = "/proc/sys/kernel/hostname";

/// Why the command line cannot be followed. Every message names the flag and what to write.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("--{flag}: {problem}")]
pub struct Error {
    flag: &'static str,
    problem: String,
}

/// Which namespaces are watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Watch {
    /// All of them.
    All,
    /// These, at least one.
    Namespaces(BTreeSet<String>),
}

impl Watch {
    /// Whether objects of `namespace` are ours to look at.
    pub fn includes(&self, namespace: &str) -> bool {
        match self {
            Self::All => true,
            Self::Namespaces(namespaces) => namespaces.contains(namespace),
        }
    }
}

/// Where the lease is and how it is kept. Namespace and name are those of the install too: all its replicas share them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaderElection {
    /// Namespace of the lease.
    pub namespace: String,
    /// Name of the lease.
    pub name: String,
    /// How it is kept.
    pub timings: Timings,
}

/// The configuration of `oms-operator run`.
#[derive(Clone, Debug)]
pub struct Config {
    /// Namespaces to watch.
    pub watch: Watch,
    /// How often the tasks that run at OMS are listed.
    pub poll_interval: Duration,
    /// How often a referenced Secret is looked at for a change.
    pub secret_check_interval: Duration,
    /// Where a Connection may point.
    pub allowed_endpoints: AllowedEndpoints,
    /// Which connections may use the operator's own credentials.
    pub ambient_credentials: AmbientCredentials,
    /// Address of the metadata service; `None`: it is never called.
    pub metadata_endpoint: Option<String>,
    /// Address of STS, where it is not the region's own.
    pub sts_endpoint: Option<String>,
    /// Namespace of the Secrets of ClusterConnections.
    pub cluster_resource_namespace: String,
    /// The operator's own namespace: events about what was left behind go there.
    pub own_namespace: String,
    /// Name of the cluster in the tokens; `None`: the UID of namespace kube-system.
    pub cluster_id: Option<String>,
    /// Deletion policy of objects that do not say one.
    pub default_deletion_policy: DeletionPolicy,
    /// How long a deleted object waits for lost credentials.
    pub cleanup_timeout: Duration,
    /// How long a create whose outcome is unknown stays possible ([`CREATE_FENCE`]).
    pub create_fence: Duration,
    /// Objects of one kind that are worked on at the same time.
    pub concurrency: u16,
    /// Whether every object is left alone, except for deletions.
    pub paused: bool,
    /// Address of the operator's HTTP surface.
    pub metrics_listen: SocketAddr,
    /// Whether metrics of each object are exposed too.
    pub per_object_metrics: bool,
    /// File to write when ready.
    pub ready_file: Option<PathBuf>,
    /// The election; `None`: this replica is alone.
    pub leader_election: Option<LeaderElection>,
    /// Who this replica is in the lease and in events; different for every process.
    pub identity: String,
    /// How many times faster the operator's clock runs; 1 outside of tests.
    pub time_scale: f64,
}

/// What the process finds around itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// Namespace of the pod, when in one.
    pub pod_namespace: Option<String>,
    /// Name of the pod or of the machine.
    pub host: Option<String>,
}

impl Surroundings {
    /// Reads `POD_NAMESPACE`, `POD_NAME` and what the kubelet mounted.
    pub fn read() -> Self {
        let variable = |name| std::env::var(name).ok();
        let file = |path| std::fs::read_to_string(path).ok();
        let given = |text: String| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        Self {
            pod_namespace: variable("POD_NAMESPACE").or_else(|| file(NAMESPACE_FILE)).and_then(given),
            host: variable("POD_NAME").or_else(|| file(HOSTNAME_FILE)).and_then(given),
        }
    }
}

impl Config {
    /// Checks what was typed and fills in what was not.
    pub fn new(args: &RunArgs, around: &Surroundings) -> Result<Self, Error> {
        let namespaces = args
            .namespaces
            .iter()
            .map(|name| namespace("namespace", name))
            .collect::<Result<BTreeSet<_>, _>>()?;
        let own_namespace = around.pod_namespace.clone().unwrap_or_else(|| DEFAULT_NAMESPACE.to_owned());
        let or_own = |flag, given: Option<&String>| match given {
            Some(name) => namespace(flag, name),
            None => Ok(own_namespace.clone()),
        };
        let allowed_endpoints = AllowedEndpoints::parse(&args.allowed_endpoints)
            .map_err(|problem| Error { flag: "allowed-endpoint", problem })?;
        let metadata_endpoint = match args.metadata_endpoint.trim() {
            "off" => None,
            given => Some(base_address("metadata-endpoint", given)?),
        };
        let sts_endpoint =
            args.sts_endpoint.as_deref().map(|given| base_address("sts-endpoint", given)).transpose()?;
        let cluster_id = match args.cluster_id.as_deref().map(str::trim) {
            Some("") => return Err(Error { flag: "cluster-id", problem: "must not be empty".to_owned() }),
            given => given.map(str::to_owned),
        };
        let leader_election = if args.leader_elect {
            let timings = Timings {
                lease_duration: args.leader_lease_duration,
                renew_deadline: args.leader_renew_deadline,
                retry_period: args.leader_retry_period,
            };
            timings.check().map_err(|problem| Error { flag: "leader-lease-duration", problem })?;
            Some(LeaderElection {
                namespace: or_own("leader-namespace", args.leader_namespace.as_ref())?,
                name: lease_name(args.leader_lease_name.as_deref().unwrap_or(LEASE_NAME))?,
                timings,
            })
        } else {
            None
        };
        let time_scale = args.time_scale();
        if !(time_scale.is_finite() && time_scale > 0.0) {
            return Err(Error { flag: "time-scale", problem: "must be a number above 0".to_owned() });
        }
        Ok(Self {
            watch: if namespaces.is_empty() { Watch::All } else { Watch::Namespaces(namespaces) },
            poll_interval: args.poll_interval,
            secret_check_interval: args.secret_check_interval,
            allowed_endpoints,
            ambient_credentials: args.ambient_credentials,
            metadata_endpoint,
            sts_endpoint,
            cluster_resource_namespace: or_own(
                "cluster-resource-namespace",
                args.cluster_resource_namespace.as_ref(),
            )?,
            own_namespace,
            cluster_id,
            default_deletion_policy: args.default_deletion_policy,
            cleanup_timeout: args.cleanup_timeout,
            create_fence: CREATE_FENCE,
            concurrency: args.concurrency,
            paused: args.paused,
            metrics_listen: args.metrics_listen,
            per_object_metrics: args.per_object_metrics,
            ready_file: args.ready_file.clone(),
            leader_election,
            identity: identity(around.host.as_deref()),
            time_scale,
        })
    }
}

/// A name that no other process has, also none on the same machine and none that had the same pod name before: two
/// processes with one identity would both believe that the lease is theirs.
fn identity(host: Option<&str>) -> String {
    let random = RandomState::new().hash_one(std::process::id());
    format!("{}_{random:016x}", host.unwrap_or("oms-operator"))
}

/// An address with nothing but scheme, host and port.
fn base_address(flag: &'static str, given: &str) -> Result<String, Error> {
    let wrong = |why: &str| Error { flag, problem: format!("{why}; write it like https://sts.example.com") };
    let url = url::Url::parse(given.trim()).map_err(|_| wrong("not an address"))?;
    let plain = url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() || !plain {
        return Err(wrong("not an address of scheme, host and port"));
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

fn namespace(flag: &'static str, name: &str) -> Result<String, Error> {
    label(name).ok_or_else(|| Error {
        flag,
        problem: format!("{name:?} is not the name of a namespace (a-z, 0-9 and `-`, at most 63 characters)"),
    })
}

fn lease_name(name: &str) -> Result<String, Error> {
    let wrong = |problem| Error { flag: "leader-lease-name", problem };
    if name == NAMESPACE_LEASE {
        return Err(wrong(format!("{name:?} is the name of another lease; write any other one")));
    }
    label(name).ok_or_else(|| {
        wrong(format!("{name:?} is not the name of a lease (a-z, 0-9 and `-`, at most 63 characters)"))
    })
}

/// A label as DNS has them, which is a name that every API of Kubernetes takes.
fn label(name: &str) -> Option<String> {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let edge = |c: char| inner(c) && c != '-';
    let valid = (1..=63).contains(&name.len())
        && name.chars().all(inner)
        && name.starts_with(edge)
        && name.ends_with(edge);
    valid.then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Command};
    use clap::Parser as _;

    fn config(args: &[&str], around: &Surroundings) -> Result<Config, Error> {
        match Cli::try_parse_from(["oms-operator", "run"].iter().chain(args)).unwrap().command {
            Command::Run(args) => Config::new(&args, around),
            Command::Crds(_) | Command::Release(_) => unreachable!("`run` was typed"),
        }
    }

    fn pod() -> Surroundings {
        Surroundings { pod_namespace: Some("migrations".into()), host: Some("oms-operator-0".into()) }
    }

    #[test]
    fn namespaces_default_to_the_pods_own() {
        let config = config(&[], &pod()).unwrap();
        assert_eq!(config.watch, Watch::All);
        assert_eq!(config.own_namespace, "migrations");
        assert_eq!(config.cluster_resource_namespace, "migrations");
        assert_eq!(config.leader_election.unwrap().namespace, "migrations");
    }

    #[test]
    fn outside_of_a_pod_the_documented_namespace_is_taken() {
        let config = config(&["--leader-namespace", "default"], &Surroundings::default()).unwrap();
        assert_eq!(config.cluster_resource_namespace, "oms-operator-system");
        assert_eq!(config.leader_election.unwrap().namespace, "default");
    }

    #[test]
    fn only_the_named_namespaces_are_watched() {
        let watch = config(&["--namespace", "a,b"], &pod()).unwrap().watch;
        assert!(watch.includes("a") && watch.includes("b") && !watch.includes("c"));
    }

    #[test]
    fn a_wrong_value_names_its_flag() {
        for (arg, flag) in [
            ("--namespace=Team_A", "--namespace: "),
            ("--namespace=-a", "--namespace: "),
            ("--leader-namespace=", "--leader-namespace: "),
            ("--leader-lease-name=Team_A", "--leader-lease-name: "),
            ("--leader-lease-name=oms-operator-watch", "--leader-lease-name: "),
            ("--cluster-id= ", "--cluster-id: "),
            ("--allowed-endpoint=*", "--allowed-endpoint: "),
            ("--metadata-endpoint=169.254.169.254", "--metadata-endpoint: "),
            ("--sts-endpoint=https://user:pw@sts", "--sts-endpoint: "),
            ("--leader-renew-deadline=20s", "--leader-lease-duration: "),
        ] {
            let error = config(&[arg], &pod()).unwrap_err().to_string();
            assert!(error.starts_with(flag), "{error}");
        }
    }

    #[test]
    fn the_metadata_service_can_be_switched_off() {
        assert_eq!(config(&[], &pod()).unwrap().metadata_endpoint.as_deref(), Some("http://169.254.169.254"));
        assert_eq!(config(&["--metadata-endpoint=off"], &pod()).unwrap().metadata_endpoint, None);
    }

    #[test]
    fn two_processes_never_share_an_identity() {
        let (one, other) = (config(&[], &pod()).unwrap().identity, config(&[], &pod()).unwrap().identity);
        assert!(one.starts_with("oms-operator-0_"));
        assert_ne!(one, other);
    }

    #[test]
    fn a_single_replica_needs_no_lease() {
        assert_eq!(config(&["--leader-elect=false"], &pod()).unwrap().leader_election, None);
    }
}
