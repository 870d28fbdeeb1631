//! The cache in front of a source: one renewal at a time, before the end, and after a refusal.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::Mutex;

use super::exchange::none;
use super::{Issued, Proof};
use crate::oms::codes::Class;
use crate::oms::error::Error;

/// Renewed when this part of the remaining time is left, at the latest: lifetimes shorter than the margin work too.
const LEAST_SHARE: u32 = 4;

/// How long temporary credentials are used whose source names no end: the shortest that IAM gives live 15 minutes.
const WITHOUT_END: Duration = Duration::from_mins(5);

/// How long a source that failed is left alone.
const PAUSE: Duration = Duration::from_secs(5);

/// The same for one that refused what it was shown: IAM locks users that fail too often.
const PAUSE_AFTER_REFUSAL: Duration = Duration::from_secs(30);

/// How long something new that was refused, and never worked, is not renewed for another refusal.
const PAUSE_OF_NEW: Duration = Duration::from_secs(10);

/// Something that gives credentials for a time.
pub(super) trait Issue: Send + Sync {
    /// Asks the source.
    fn issue(&self) -> impl Future<Output = Result<Issued, Error>> + Send;
    /// How long before the end a renewal is due.
    fn margin(&self) -> Duration;
}

/// Something to authenticate with.
pub(in crate::oms) struct Held {
    pub(in crate::oms) proof: Proof,
    /// When it ends, where that is known.
    pub(super) valid_until: Option<Timestamp>,
    /// When a renewal is due.
    pub(super) renew_at: Option<Timestamp>,
    pub(super) project_id: Option<String>,
    obtained: Instant,
    worked: AtomicBool,
}

impl Held {
    /// Something that nobody renews, and when it ends, where that is known.
    pub(super) fn given(proof: Proof, valid_until: Option<Timestamp>) -> Self {
        Self {
            proof,
            valid_until,
            renew_at: None,
            project_id: None,
            obtained: Instant::now(),
            worked: AtomicBool::new(false),
        }
    }

    fn new(issued: Issued, margin: Duration, now: Timestamp) -> Self {
        let renew_at = match issued.expires_at {
            Some(end) => {
                let left = Duration::try_from(end.duration_since(now)).unwrap_or_default();
                end - margin.min(left / LEAST_SHARE)
            }
            None => now + WITHOUT_END,
        };
        Self {
            renew_at: Some(renew_at),
            project_id: issued.project_id,
            ..Self::given(issued.proof, issued.expires_at)
        }
    }

    /// Somebody took it for what it is.
    pub(in crate::oms) fn note_worked(&self) {
        self.worked.store(true, Ordering::Relaxed);
    }

    fn is_due(&self, now: Timestamp) -> bool {
        self.renew_at.is_some_and(|at| at <= now)
    }

    fn has_ended(&self, now: Timestamp) -> bool {
        self.valid_until.is_some_and(|at| at <= now)
    }
}

/// A source with what it gave last.
pub(super) struct Renewal<I> {
    issuer: I,
    held: RwLock<Option<Arc<Held>>>,
    /// Held by whoever asks the source; in it, why the last time came to nothing and until when that counts.
    gate: Mutex<Option<(Error, Instant)>>,
}

impl<I: Issue> Renewal<I> {
    pub(super) fn new(issuer: I) -> Self {
        Self { issuer, held: RwLock::default(), gate: Mutex::default() }
    }

    pub(super) fn issuer(&self) -> &I {
        &self.issuer
    }

    pub(super) fn held(&self) -> Option<Arc<Held>> {
        self.held.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What is held, renewed when that is due.
    pub(super) async fn current(&self) -> Result<Arc<Held>, Error> {
        let gate = match self.held().filter(|held| !held.has_ended(Timestamp::now())) {
            Some(held) if !held.is_due(Timestamp::now()) => return Ok(held),
            // What is held serves as long as somebody else renews it.
            Some(held) => match self.gate.try_lock() {
                Ok(gate) => gate,
                Err(_) => return Ok(held),
            },
            None => self.gate.lock().await,
        };
        match self.held() {
            // Somebody else was faster.
            Some(held) if !held.is_due(Timestamp::now()) => Ok(held),
            Some(held) if !held.has_ended(Timestamp::now()) => match self.ask(gate).await {
                Ok(new) => Ok(new),
                // It was logged; until its end the old one is as good.
                Err(_) => Ok(held),
            },
            _ => self.ask(gate).await,
        }
    }

    /// What to use instead of something that was refused; `None` when it is as new as anything that the source would give.
    pub(super) async fn instead_of(&self, refused: &Arc<Held>) -> Result<Option<Arc<Held>>, Error> {
        let gate = self.gate.lock().await;
        if let Some(held) = self.held()
            && !Arc::ptr_eq(&held, refused)
            && !held.has_ended(Timestamp::now())
        {
            return Ok(Some(held));
        }
        if !refused.worked.load(Ordering::Relaxed) && refused.obtained.elapsed() < PAUSE_OF_NEW {
            return Ok(None);
        }
        tracing::info!("credentials were refused before their end and are renewed");
        self.ask(gate).await.map(Some)
    }

    /// Asks the source, unless it failed a moment ago.
    async fn ask(
        &self,
        mut failed: tokio::sync::MutexGuard<'_, Option<(Error, Instant)>>,
    ) -> Result<Arc<Held>, Error> {
        if let Some((error, until)) = failed.as_ref()
            && Instant::now() < *until
        {
            return Err(error.clone());
        }
        let asked = self.issuer.issue().await.and_then(|issued| match issued.expires_at {
            Some(end) if end <= Timestamp::now() => Err(ended(end)),
            _ => Ok(issued),
        });
        match asked {
            Ok(issued) => {
                let held = Arc::new(Held::new(issued, self.issuer.margin(), Timestamp::now()));
                *self.held.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&held));
                *failed = None;
                Ok(held)
            }
            Err(error) => {
                tracing::warn!(error = %error, "no credentials from their source");
                let pause = if error.class() == Class::Credential { PAUSE_AFTER_REFUSAL } else { PAUSE };
                *failed = Some((error.clone(), Instant::now() + pause));
                Err(error)
            }
        }
    }
}

/// The error of a source whose gift had ended before it came.
fn ended(end: Timestamp) -> Error {
    let summary = format!("The source of the credentials gave some that ended at {end:.0}");
    let remedy = "Check the clock of the node; the operator tries again by itself";
    none("Renewal", summary, Class::Missing, Some(remedy))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;

    use super::*;
    use crate::oms::error::Delivery;
    use crate::oms::identity::Keys;

    /// A source that counts; what it gives lives for `life`.
    struct Counting {
        asked: AtomicU32,
        life: Duration,
        fails: AtomicBool,
    }

    impl Counting {
        fn renewal(life: Duration) -> Renewal<Self> {
            Renewal::new(Self { asked: AtomicU32::new(0), life, fails: AtomicBool::new(false) })
        }
    }

    impl Renewal<Counting> {
        fn asked(&self) -> u32 {
            self.issuer.asked.load(Ordering::SeqCst)
        }
    }

    impl Issue for Counting {
        async fn issue(&self) -> Result<Issued, Error> {
            let number = self.asked.fetch_add(1, Ordering::SeqCst);
            tokio::task::yield_now().await;
            if self.fails.load(Ordering::SeqCst) {
                return Err(Error::ours("Test", "down", Class::Transient, Delivery::NotSent, None));
            }
            let keys = Keys { access_key: number.to_string(), secret_key: "s".into(), security_token: None };
            Ok(Issued {
                proof: Proof::Keys(keys),
                expires_at: Some(Timestamp::now() + self.life),
                project_id: None,
            })
        }

        fn margin(&self) -> Duration {
            Duration::from_mins(10)
        }
    }

    #[test]
    fn the_margin_is_never_more_than_a_quarter_of_what_is_left() {
        let now = Timestamp::UNIX_EPOCH;
        let due = |life: u64| {
            let issued = Issued {
                proof: Proof::Token("t".into()),
                expires_at: Some(now + Duration::from_secs(life)),
                project_id: None,
            };
            Held::new(issued, Duration::from_mins(10), now).renew_at.unwrap().as_second()
        };
        assert_eq!(due(86_400), 86_400 - 600);
        assert_eq!(due(3_600), 3_000);
        assert_eq!(due(900), 675);
        assert_eq!(due(4), 3);
        assert_eq!(due(0), 0);
    }

    #[tokio::test]
    async fn a_hundred_callers_ask_the_source_once() {
        let renewal = Counting::renewal(Duration::from_hours(1));
        let all = futures::future::join_all((0..100).map(|_| renewal.current())).await;
        assert!(all.iter().all(Result::is_ok));
        assert_eq!(renewal.asked(), 1);
    }

    #[tokio::test]
    async fn what_was_refused_is_renewed_once_however_many_were_refused() {
        let renewal = Counting::renewal(Duration::from_hours(1));
        let held = renewal.current().await.unwrap();
        held.note_worked();
        let all = futures::future::join_all((0..100).map(|_| renewal.instead_of(&held))).await;
        assert!(all.into_iter().all(|new| !Arc::ptr_eq(&new.unwrap().unwrap(), &held)));
        assert_eq!(renewal.asked(), 2);
    }

    #[tokio::test]
    async fn what_is_refused_at_once_is_not_asked_for_again_and_again() {
        let renewal = Counting::renewal(Duration::from_hours(1));
        let held = renewal.current().await.unwrap();
        assert!(renewal.instead_of(&held).await.unwrap().is_none());
        assert_eq!(renewal.asked(), 1);
    }

    #[tokio::test]
    async fn a_source_that_is_down_does_not_matter_before_the_end() {
        // Due at once: nothing is left of it but its end lies ahead.
        let renewal = Counting::renewal(Duration::from_hours(1));
        let held = renewal.current().await.unwrap();
        let due = Held {
            proof: Proof::Token("old".into()),
            valid_until: held.valid_until,
            renew_at: Some(Timestamp::now()),
            project_id: None,
            obtained: Instant::now(),
            worked: AtomicBool::new(true),
        };
        *renewal.held.write().unwrap() = Some(Arc::new(due));
        renewal.issuer.fails.store(true, Ordering::SeqCst);
        let still = renewal.current().await.unwrap();
        assert!(matches!(still.proof, Proof::Token(_)));
        assert_eq!(renewal.asked(), 2, "it was tried");
        renewal.current().await.unwrap();
        assert_eq!(renewal.asked(), 2, "and is left alone for a while");
    }

    #[tokio::test]
    async fn what_ended_before_it_came_is_no_credential() {
        let renewal = Counting::renewal(Duration::ZERO);
        let error = renewal.current().await.err().unwrap();
        assert!(error.lacks_credentials(), "{error}");
        assert!(error.remedy().unwrap().starts_with("Check the clock"));
        assert!(renewal.held().is_none());
        renewal.current().await.err().unwrap();
        assert_eq!(renewal.asked(), 1, "it is not asked at every call");
    }

    #[tokio::test]
    async fn after_the_end_the_failure_is_told_and_the_source_left_alone_for_a_while() {
        let renewal = Counting::renewal(Duration::ZERO);
        renewal.issuer.fails.store(true, Ordering::SeqCst);
        for _ in 0..5 {
            let error = renewal.current().await.err().unwrap();
            assert_eq!(error.class(), Class::Transient);
        }
        assert_eq!(renewal.asked(), 1);
    }
}
