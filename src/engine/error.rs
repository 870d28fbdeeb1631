//! What can fail a pass. Waiting is no error, and neither is anything that OMS says: that is an observation.

use thiserror::Error;

/// Why a pass failed.
#[derive(Debug, Error)]
pub enum Error {
    /// Kubernetes could not be read.
    #[error("reading {what} from Kubernetes failed")]
    Read {
        /// What.
        what: &'static str,
        /// Why.
        #[source]
        source: kube::Error,
    },
    /// Kubernetes did not take a write.
    #[error("writing {what} to Kubernetes failed")]
    Write {
        /// What.
        what: &'static str,
        /// Why.
        #[source]
        source: kube::Error,
    },
    /// Kubernetes did not answer in time.
    #[error("Kubernetes did not answer in time")]
    KubernetesTimeout,
    /// The pass took too long.
    #[error("the pass took longer than {0} s")]
    Timeout(u64),
    /// The pass panicked.
    #[error("the pass panicked: {0}")]
    Panic(String),
    /// The stored object does not fit the types.
    #[error("the object cannot be read as its kind: {0}")]
    Undecodable(String),
}

impl Error {
    /// Name for metrics.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Timeout(_) => "timeout",
            Self::Panic(_) => "panic",
            _ => "error",
        }
    }

    /// Whether another write came first, so that looking again is all there is to do.
    pub(super) fn is_conflict(&self) -> bool {
        matches!(self, Self::Write { source: kube::Error::Api(status), .. } if status.is_conflict())
    }

    /// Whether the object is gone.
    pub(super) fn is_not_found(&self) -> bool {
        matches!(self, Self::Write { source: kube::Error::Api(status), .. } if status.is_not_found())
    }
}
