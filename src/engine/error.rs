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
    /// A write was held back.
    #[error("this replica no longer leads, so it writes nothing")]
    NotLeading,
    /// The server dropped a part of what was written.
    #[error(
        "the custom resource definition of {0} in the cluster is older than this operator and dropped a part of the \
         status; upgrade the definitions: `oms-operator crds | kubectl apply --server-side --force-conflicts -f -`"
    )]
    Pruned(&'static str),
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

    /// What the API server does not allow, in its own words: verb, resource, and where.
    pub fn denied(&self) -> Option<&str> {
        let (Self::Read { source, .. } | Self::Write { source, .. }) = self else { return None };
        denied(source)
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

/// What the API server does not allow: `update resource "migrationtasks/status" in API group …`.
pub fn denied(error: &kube::Error) -> Option<&str> {
    let kube::Error::Api(status) = error else { return None };
    // `… is forbidden: User "…" cannot update resource "…" in …`; other texts are taken whole.
    (status.code == 403)
        .then(|| status.message.split_once(" cannot ").map_or(status.message.as_str(), |(_, what)| what))
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    #[test]
    fn a_refusal_of_the_api_server_is_told_by_verb_and_resource() {
        let refused = |code, message: &str| {
            let status = Status::failure(message, "Forbidden").with_code(code);
            Error::Read { what: "a Secret", source: kube::Error::Api(Box::new(status)) }
        };
        let said = "secrets \"aws\" is forbidden: User \"system:serviceaccount:a:b\" cannot get resource \"secrets\" in API \
                    group \"\" in the namespace \"media\"";
        assert_eq!(
            refused(403, said).denied(),
            Some("get resource \"secrets\" in API group \"\" in the namespace \"media\"")
        );
        assert_eq!(refused(403, "no").denied(), Some("no"));
        assert_eq!(refused(404, said).denied(), None);
        assert_eq!(Error::KubernetesTimeout.denied(), None);
    }
}
