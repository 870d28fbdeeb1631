//! Leader election over a `coordination.k8s.io/v1` Lease: at most one replica works at a time.
//!
//! As client-go does it: every write is a replace with the resourceVersion that was read, and a foreign lease counts as
//! expired when *we* have not seen it change for its duration, so clocks of different machines are never compared.
//! A leader that cannot renew stops to be one before anybody else can take over; the process then ends, as
//! work in flight cannot be taken back.
//!
//! Who waits looks more often than a leader renews, so that a lease that was given back is taken soon.

mod record;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use kube::{Api, Client};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub(crate) use self::record::{Record, Round};

/// How a lease is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timings {
    /// How long others wait for a leader that does not renew; written in whole seconds.
    pub lease_duration: Duration,
    /// How long a leader goes on without having renewed; shorter than `lease_duration`.
    pub renew_deadline: Duration,
    /// How often a leader renews; shorter than `renew_deadline`. Others look [`FOLLOWER_LOOKS`] times as often.
    pub retry_period: Duration,
}

/// How often who waits looks at the lease while a leader renews it once.
pub const FOLLOWER_LOOKS: u32 = 4;

impl Default for Timings {
    fn default() -> Self {
        Self {
            lease_duration: Duration::from_secs(15),
            renew_deadline: Duration::from_secs(10),
            retry_period: Duration::from_secs(2),
        }
    }
}

impl Timings {
    /// Whether a leader always gives up before another can take over.
    pub fn check(&self) -> Result<(), String> {
        let whole_seconds = self.lease_duration.subsec_nanos() == 0;
        let ordered = self.lease_duration > self.renew_deadline && self.renew_deadline > self.retry_period;
        if ordered && whole_seconds && i32::try_from(self.lease_duration.as_secs()).is_ok() {
            return Ok(());
        }
        Err("the lease duration must be in whole seconds and longer than the renew deadline, which must be longer \
             than the retry period"
            .to_owned())
    }
}

/// Which lease, and who wants it.
#[derive(Clone, Debug)]
pub struct Candidacy {
    /// Namespace of the lease.
    pub namespace: String,
    /// Name of the lease.
    pub name: String,
    /// Name of this process; no other process may ever use it.
    pub identity: String,
    /// How the lease is kept.
    pub timings: Timings,
}

/// Whether we lead, for everybody who has to know right before a mutation. Clones share one state.
#[derive(Clone, Debug)]
pub struct Claim {
    state: watch::Receiver<State>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// We wait for the lease; why we could not even take it, when that is so.
    Follower { trouble: Option<Arc<str>> },
    /// We lead, at the latest until this moment; `None`: without an election.
    Leader { until: Option<Until> },
    /// We led and do not any more.
    Lost,
}

impl State {
    fn is_held(&self) -> bool {
        match self {
            Self::Leader { until } => until.is_none_or(|until| !until.has_come()),
            Self::Follower { .. } | Self::Lost => false,
        }
    }
}

/// A moment on both clocks. The monotonic one stands still while a machine sleeps, the other one may be set back: whichever
/// is ahead counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Until {
    monotonic: Instant,
    wall: Timestamp,
}

impl Until {
    fn after(span: Duration, began: (Instant, Timestamp)) -> Self {
        Self { monotonic: began.0 + span, wall: began.1.saturating_add(span).unwrap_or(Timestamp::MAX) }
    }

    fn has_come(self) -> bool {
        Instant::now() >= self.monotonic || Timestamp::now() >= self.wall
    }
}

impl Claim {
    /// Whether we lead now. Compares with the clock, so that a process that was frozen knows before its own loop does.
    pub fn is_held(&self) -> bool {
        self.state.borrow().is_held()
    }

    /// Waits until we lead. Does not return when the lease was lost; wait for [`lost`](Self::lost) beside it.
    pub async fn held(&self) {
        if self.state.clone().wait_for(State::is_held).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Tells, until we lead, whether the lease could be taken if it were free: `None`, or why not. At once, and at each
    /// change.
    pub async fn waits(&self, mut tell: impl FnMut(Option<&str>)) {
        let mut state = self.state.clone();
        loop {
            match &*state.borrow_and_update() {
                State::Leader { .. } => return,
                State::Follower { trouble } => tell(trouble.as_deref()),
                State::Lost => {}
            }
            if state.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Waits until we led and do not any more: stop everything and end the process.
    pub async fn lost(&self) {
        // A loop that is gone renews nothing either.
        let _ = self.state.clone().wait_for(|state| *state == State::Lost).await;
    }
}

/// Our part in the election. Dropping it ends the part without releasing the lease.
pub struct Leadership {
    claim: Claim,
    stop: CancellationToken,
    work: Option<JoinHandle<()>>,
    /// Keeps a claim without election alive.
    _alone: Option<watch::Sender<State>>,
}

impl fmt::Debug for Leadership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Leadership").field("claim", &self.claim).finish_non_exhaustive()
    }
}

impl Leadership {
    /// Takes part in the election, in a task of its own.
    pub fn campaign(client: Client, candidacy: Candidacy) -> Self {
        let trouble = Some("the lease was not looked at yet".into());
        let (publish, state) = watch::channel(State::Follower { trouble });
        let stop = CancellationToken::new();
        let Candidacy { namespace, name, identity, timings } = &candidacy;
        let leases = Api::namespaced(client, namespace);
        let elector = Elector {
            record: Record::new(leases, name, identity, timings.lease_duration),
            candidacy,
            looked_at: None,
            publish,
            complaint: None,
        };
        let work = tokio::spawn(elector.run(stop.clone()));
        Self { claim: Claim { state }, stop, work: Some(work), _alone: None }
    }

    /// Leads without asking anybody; for a single replica.
    pub fn alone() -> Self {
        let (publish, state) = watch::channel(State::Leader { until: None });
        Self { claim: Claim { state }, stop: CancellationToken::new(), work: None, _alone: Some(publish) }
    }

    /// Whether we lead, to be handed on.
    pub fn claim(&self) -> Claim {
        self.claim.clone()
    }

    /// Ends our part and gives the lease back, so that another replica can take over at once. From its first moment on the
    /// claim is not held: what was sent before may still be under way, nothing new leaves.
    pub async fn release(mut self) {
        self.stop.cancel();
        if let Some(work) = self.work.take() {
            let _ = work.await;
        }
    }
}

impl Drop for Leadership {
    fn drop(&mut self) {
        if let Some(work) = self.work.take() {
            work.abort();
        }
    }
}

/// How long a round may still take when we are to end.
const LAST_ROUND: Duration = Duration::from_secs(1);

struct Elector {
    candidacy: Candidacy,
    record: Record,
    /// When a look succeeded last.
    looked_at: Option<Instant>,
    publish: watch::Sender<State>,
    /// The last failure that was logged, so that a lasting one is logged once.
    complaint: Option<String>,
}

impl Elector {
    async fn run(mut self, stop: CancellationToken) {
        let Timings { renew_deadline, retry_period, .. } = self.candidacy.timings;
        loop {
            let began = (Instant::now(), Timestamp::now());
            let leads_until = match &*self.publish.borrow() {
                State::Leader { until } => *until,
                State::Follower { .. } | State::Lost => None,
            };
            // A round of a leader must not outlast what it is about to lose.
            let deadline = leads_until.map_or(began.0 + renew_deadline, |until| until.monotonic);
            let round = tokio::select! {
                round = tokio::time::timeout_at(deadline, self.record.round()) => round,
                // A write that is given up may take effect all the same, and nobody would know whose the lease is.
                () = async { stop.cancelled().await; tokio::time::sleep(LAST_ROUND).await } => break,
            };
            match round {
                Ok(Ok(Round::Held)) => {
                    self.complaint = None;
                    if leads_until.is_none() {
                        tracing::info!(identity = self.candidacy.identity, "leading");
                    }
                    // Counted from before the request: others count from after it.
                    let until = Until::after(renew_deadline, began);
                    self.publish.send_replace(State::Leader { until: Some(until) });
                }
                Ok(Ok(Round::HeldByOther)) => {
                    self.complaint = None;
                    if leads_until.is_some() {
                        return self.lose("another replica took the lease");
                    }
                    self.follow(began.0);
                }
                Ok(Err(error)) => self.complain(&error, began.0),
                Err(_) => self.complain(&"no answer in time", began.0),
            }
            if leads_until.is_some_and(Until::has_come) && !self.publish.borrow().is_held() {
                return self.lose("the lease was not renewed in time");
            }
            let next = match leads_until {
                Some(until) => (began.0 + retry_period).min(until.monotonic),
                None if self.publish.borrow().is_held() => began.0 + retry_period,
                None => began.0 + retry_period / FOLLOWER_LOOKS,
            };
            tokio::select! {
                () = stop.cancelled() => break,
                () = tokio::time::sleep_until(next) => {}
            }
        }
        self.release().await;
    }

    fn lose(&self, why: &'static str) {
        tracing::error!(identity = self.candidacy.identity, why, "leadership lost");
        self.publish.send_replace(State::Lost);
    }

    /// Another replica leads, and we could see that.
    fn follow(&mut self, now: Instant) {
        self.looked_at = Some(now);
        if *self.publish.borrow() != (State::Follower { trouble: None }) {
            let holder = self.record.holder();
            tracing::info!(identity = self.candidacy.identity, holder, "another replica leads, waiting");
            self.publish.send_replace(State::Follower { trouble: None });
        }
    }

    fn complain(&mut self, error: &dyn fmt::Display, now: Instant) {
        let complaint = error.to_string();
        let lately = |at: Instant| now.saturating_duration_since(at) < self.candidacy.timings.renew_deadline;
        if matches!(*self.publish.borrow(), State::Follower { .. }) && !self.looked_at.is_some_and(lately) {
            let Candidacy { namespace, name, .. } = &self.candidacy;
            let trouble = format!("lease {namespace}/{name} cannot be had: {complaint}");
            self.publish.send_replace(State::Follower { trouble: Some(trouble.into()) });
        }
        if self.complaint.as_ref() == Some(&complaint) {
            return;
        }
        tracing::warn!(
            error = complaint,
            namespace = self.candidacy.namespace,
            name = self.candidacy.name,
            "lease not reached, trying again; if this lasts, check that the namespace exists and that the operator may \
             get, create and update leases in it"
        );
        self.complaint = Some(complaint);
    }

    /// Gives the lease back, if it is ours. A failure only makes the next leader wait.
    async fn release(&mut self) {
        self.publish.send_replace(State::Follower { trouble: None });
        let limit = self.candidacy.timings.retry_period.max(LAST_ROUND);
        match tokio::time::timeout(limit, self.record.release()).await {
            Ok(Ok(true)) => tracing::info!(identity = self.candidacy.identity, "lease released"),
            Ok(Ok(false)) => {}
            Ok(Err(error)) => tracing::warn!(%error, "lease not released, it will expire"),
            Err(_) => tracing::warn!(error = "no answer in time", "lease not released, it will expire"),
        }
    }
}

#[cfg(test)]
mod tests;
