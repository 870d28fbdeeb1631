//! One lease as a party sees it: what was read of it, and the writes that take it, renew it and give it back.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::Error as KubeError;
use kube::api::{Api, PostParams};
use tokio::time::Instant;

/// A lease as it was last seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Observed {
    /// Who holds it; `None` when it was released.
    pub(super) holder: Option<String>,
    /// How long it holds without being renewed.
    pub(super) lasts: Duration,
    /// When we first saw it in this state.
    pub(super) since: Instant,
}

/// What to do about a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// Nobody holds it (any more): take it.
    Acquire,
    /// It is ours: renew it.
    Renew,
    /// Somebody else holds it: look again later.
    Yield,
}

/// Decides about a lease; `None` is one that does not exist.
pub(super) fn evaluate(observed: Option<&Observed>, me: &str, now: Instant) -> Decision {
    let Some(observed) = observed else { return Decision::Acquire };
    match observed.holder.as_deref() {
        None | Some("") => Decision::Acquire,
        Some(holder) if holder == me => Decision::Renew,
        Some(_) if now.saturating_duration_since(observed.since) > observed.lasts => Decision::Acquire,
        Some(_) => Decision::Yield,
    }
}

/// A lease and our part in it.
pub(crate) struct Record {
    leases: Api<Lease>,
    name: String,
    /// Whose name we write into it.
    identity: String,
    /// How long it holds after a write of ours; in whole seconds.
    lasts: Duration,
    seen: Option<Seen>,
}

struct Seen {
    lease: Lease,
    observed: Observed,
}

/// How one look at the lease ended.
pub(crate) enum Round {
    /// It is ours.
    Held,
    /// [`Record::holder`] has it.
    HeldByOther,
}

impl Record {
    /// A lease that was not looked at yet.
    pub(crate) fn new(leases: Api<Lease>, name: &str, identity: &str, lasts: Duration) -> Self {
        Self { leases, name: name.to_owned(), identity: identity.to_owned(), lasts, seen: None }
    }

    /// Who held it when it was last looked at.
    pub(crate) fn holder(&self) -> Option<&str> {
        self.seen.as_ref()?.observed.holder.as_deref()
    }

    /// Looks once and writes at most once.
    pub(crate) async fn round(&mut self) -> Result<Round, KubeError> {
        self.observe(self.leases.get_opt(&self.name).await?);
        let observed = self.seen.as_ref().map(|seen| &seen.observed);
        let written = match evaluate(observed, &self.identity, Instant::now()) {
            Decision::Yield => return Ok(Round::HeldByOther),
            Decision::Acquire | Decision::Renew => self.write().await,
        };
        match written {
            Ok(lease) => {
                self.observe(Some(lease));
                Ok(Round::Held)
            }
            // Another wrote between our read and our write. Whether it took the lease is for the next look to say.
            Err(KubeError::Api(status)) if status.is_conflict() || status.is_already_exists() => {
                self.observe(self.leases.get_opt(&self.name).await?);
                if self.holder().is_some_and(|holder| holder != self.identity) {
                    return Ok(Round::HeldByOther);
                }
                Err(KubeError::Api(status))
            }
            Err(error) => Err(error),
        }
    }

    /// Takes in what was read. Only a change of the record itself moves `since`.
    fn observe(&mut self, lease: Option<Lease>) {
        self.seen = lease.map(|lease| {
            let spec = lease.spec.clone().unwrap_or_default();
            let since = match &self.seen {
                Some(seen) if seen.lease.spec.as_ref() == lease.spec.as_ref() => seen.observed.since,
                _ => Instant::now(),
            };
            let lasts = spec
                .lease_duration_seconds
                .and_then(|seconds| u64::try_from(seconds).ok())
                .map_or(self.lasts, Duration::from_secs);
            let holder = spec.holder_identity.filter(|holder| !holder.is_empty());
            Seen { lease, observed: Observed { holder, lasts, since } }
        });
    }

    async fn write(&self) -> Result<Lease, KubeError> {
        let now = MicroTime(Timestamp::now());
        let lasts = i32::try_from(self.lasts.as_secs()).unwrap_or(i32::MAX);
        let me = &self.identity;
        let Some(seen) = &self.seen else {
            let lease = Lease {
                metadata: ObjectMeta { name: Some(self.name.clone()), ..ObjectMeta::default() },
                spec: Some(LeaseSpec {
                    holder_identity: Some(me.clone()),
                    lease_duration_seconds: Some(lasts),
                    acquire_time: Some(now.clone()),
                    renew_time: Some(now),
                    lease_transitions: Some(0),
                    ..LeaseSpec::default()
                }),
            };
            return self.leases.create(&PostParams::default(), &lease).await;
        };
        let mut lease = seen.lease.clone();
        let spec = lease.spec.get_or_insert_default();
        if spec.holder_identity.as_ref() != Some(me) {
            spec.acquire_time = Some(now.clone());
            spec.lease_transitions = Some(spec.lease_transitions.unwrap_or(0).saturating_add(1));
        }
        spec.holder_identity = Some(me.clone());
        spec.lease_duration_seconds = Some(lasts);
        spec.renew_time = Some(now);
        self.leases.replace(&self.name, &PostParams::default(), &lease).await
    }

    /// Gives it back; `false` when it was not ours.
    pub(crate) async fn release(&mut self) -> Result<bool, KubeError> {
        loop {
            self.observe(self.leases.get_opt(&self.name).await?);
            let Some(seen) = &self.seen else { return Ok(false) };
            if seen.observed.holder.as_ref() != Some(&self.identity) {
                return Ok(false);
            }
            let mut lease = seen.lease.clone();
            let spec = lease.spec.get_or_insert_default();
            spec.holder_identity = Some(String::new());
            spec.lease_duration_seconds = Some(1);
            spec.renew_time = Some(MicroTime(Timestamp::now()));
            match self.leases.replace(&self.name, &PostParams::default(), &lease).await {
                // Our own renewal that was given up came through after all.
                Err(KubeError::Api(status)) if status.is_conflict() => {}
                replaced => return replaced.map(|_| true),
            }
        }
    }
}
