//! Where and how a client calls.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::budget::Urgency;

/// Called after every call, for metrics.
pub type CallObserver = Arc<dyn Fn(&CallRecord) + Send + Sync>;

/// Called after every wait for the request budget, with how urgent the call is and how long it waited.
pub type WaitObserver = Arc<dyn Fn(Urgency, Duration) + Send + Sync>;

/// Asked right before a request leaves: whether it still may.
pub type CallGate = Arc<dyn Fn() -> bool + Send + Sync>;

/// What became of one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallRecord {
    /// Name in the API reference, such as `CreateTask`.
    pub operation: &'static str,
    /// `ok`, or the name of the error's class, such as `throttled`.
    pub outcome: &'static str,
    /// From the signature to the end of the answer, without the wait for a permit; zero when nothing was sent.
    pub duration: Duration,
    /// The error code of the answer when the committed table of codes (see [`super::codes`]) does not have it.
    pub unknown_code: Option<String>,
}

/// Called after every request that left for OMS and is meant to change something there.
pub type MutationObserver = Arc<dyn Fn(&MutationRecord<'_>) + Send + Sync>;

/// What became of one request that is meant to change something. It holds no key and nothing of the bodies but the ID of what
/// was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MutationRecord<'a> {
    /// Name in the API reference, such as `CreateTask`.
    pub operation: &'static str,
    /// HTTP method.
    pub method: &'a str,
    /// Base address, without a slash at the end.
    pub endpoint: &'a str,
    /// Path below it.
    pub path: &'a str,
    /// ID of what the path names, or of what was made if the answer told it.
    pub subject: Option<&'a str>,
    /// OMS's ID of the request, if there was an answer.
    pub request_id: Option<&'a str>,
    /// HTTP status, if there was an answer.
    pub status: Option<u16>,
    /// `ok`, the name of the error's class, `lostReply` when no answer came, or `abandoned` when nobody waited for it.
    pub outcome: &'static str,
    /// Error code of OMS.
    pub code: Option<&'a str>,
    /// From the signature to the end of the answer.
    pub duration: Duration,
}

/// Where and how a client calls.
#[derive(Clone)]
pub struct Settings {
    /// `https://oms.{region}.myhuaweicloud.com`, or another base address; `http` works too.
    pub endpoint: String,
    /// Project in the paths.
    pub project_id: String,
    /// Time limits.
    pub timeouts: Timeouts,
    /// PEM certificates to trust besides the system's.
    pub ca_bundle: Option<Vec<u8>>,
    /// Header `User-Agent`; not signed, so a proxy may change it.
    pub user_agent: String,
    /// Called after every call.
    pub on_call: Option<CallObserver>,
    /// Called after every wait for the request budget.
    pub on_wait: Option<WaitObserver>,
    /// Called after every request that is meant to change something.
    pub on_mutation: Option<MutationObserver>,
    /// Asked right before each request leaves, after every wait; `None`: it always may.
    pub may_send: Option<CallGate>,
}

/// Time limits of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// To connect, name resolution and TLS included. Default 10 s.
    pub connect: Duration,
    /// From the signature to the end of the answer. Default 30 s.
    pub request: Duration,
    /// For the budget's permit; a call that cannot get one in that time fails as throttled. Default 120 s.
    pub permit: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            request: Duration::from_secs(30),
            permit: Duration::from_mins(2),
        }
    }
}

impl Settings {
    /// Settings with defaults for everything else.
    pub fn new(endpoint: impl Into<String>, project_id: impl Into<String>) -> Self {
        Self {
            endpoint: endpoint.into(),
            project_id: project_id.into(),
            timeouts: Timeouts::default(),
            ca_bundle: None,
            user_agent: concat!("oms-operator/", env!("CARGO_PKG_VERSION")).to_owned(),
            on_call: None,
            on_wait: None,
            on_mutation: None,
            may_send: None,
        }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("endpoint", &self.endpoint)
            .field("project_id", &self.project_id)
            .field("timeouts", &self.timeouts)
            .finish_non_exhaustive()
    }
}
