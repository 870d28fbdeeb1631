//! Liveness that follows progress: every component beats, and one that stopped makes `/healthz` fail.
//!
//! A process whose HTTP server answers while its loop hangs is the case that a plain liveness probe misses.
//! Components that have nothing to do (a follower that waits for the lease, a poller without tasks) rest
//! instead of beating, so that waiting never looks like hanging.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

/// The health of the process. Clones share one state.
#[derive(Clone)]
pub struct Health {
    components: Arc<Mutex<Vec<Component>>>,
    ready: watch::Sender<bool>,
    /// What keeps the process from being ready, by what it is about, and until when it counts unless it is told again.
    hindrances: Arc<Mutex<BTreeMap<String, Hindrance>>>,
    next_id: Arc<std::sync::atomic::AtomicU64>,
}

struct Hindrance {
    why: String,
    until: Option<Instant>,
}

struct Component {
    id: u64,
    name: String,
    max_age: Duration,
    /// `None` while the component rests.
    last: Option<Instant>,
}

/// A component that has not beaten for too long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stale {
    /// Name of the component.
    pub component: String,
    /// Time since its last beat.
    pub silent_for: Duration,
    /// The longest silence that counts as healthy.
    pub max_age: Duration,
}

impl fmt::Display for Stale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "component `{}` made no progress for {} s (at most {} s is healthy)",
            self.component,
            self.silent_for.as_secs(),
            self.max_age.as_secs()
        )
    }
}

/// The pulse of one component. Dropping it does not take the component out: a task that panicked has to show.
pub struct Beat {
    id: u64,
    components: Arc<Mutex<Vec<Component>>>,
}

impl Default for Health {
    fn default() -> Self {
        Self::new()
    }
}

impl Health {
    /// A process with no components that is not ready.
    pub fn new() -> Self {
        Self {
            components: Arc::default(),
            ready: watch::Sender::new(false),
            hindrances: Arc::default(),
            next_id: Arc::default(),
        }
    }

    /// Adds a component that promises to beat at least every `max_age`. Its time starts now.
    ///
    /// Choose `max_age` several times the interval of the work: a liveness probe restarts the process.
    pub fn component(&self, name: impl Into<String>, max_age: Duration) -> Beat {
        let id = self.next_id.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let component = Component { id, name: name.into(), max_age, last: Some(Instant::now()) };
        lock(&self.components).push(component);
        Beat { id, components: Arc::clone(&self.components) }
    }

    /// The components that have been silent for too long, in order of their registration.
    pub fn stale(&self) -> Vec<Stale> {
        let now = Instant::now();
        lock(&self.components)
            .iter()
            .filter_map(|component| {
                let silent_for = now.saturating_duration_since(component.last?);
                (silent_for > component.max_age).then(|| Stale {
                    component: component.name.clone(),
                    silent_for,
                    max_age: component.max_age,
                })
            })
            .collect()
    }

    /// Says that the caches are filled. A follower that waits for the lease is ready too: a rolling update
    /// waits for it before the old leader is asked to end.
    pub fn set_ready(&self) {
        self.ready.send_replace(true);
    }

    /// Says that the process is ending and wants no traffic any more.
    pub fn set_unready(&self) {
        self.ready.send_replace(false);
    }

    /// Says what somebody has to mend before the process is of use; it is not ready meanwhile. Counts until
    /// [`cleared`](Self::clear), or for so long, where the end of it cannot be seen.
    pub fn hinder(&self, about: impl Into<String>, why: impl Into<String>, lasts: Option<Duration>) {
        let hindrance = Hindrance { why: why.into(), until: lasts.map(|lasts| Instant::now() + lasts) };
        self.hindrances().insert(about.into(), hindrance);
    }

    /// Says that it was mended.
    pub fn clear(&self, about: &str) {
        self.hindrances().remove(about);
    }

    /// Why the process is not ready; empty when it is.
    pub fn hindered_by(&self) -> Vec<String> {
        let now = Instant::now();
        let mut hindrances = self.hindrances();
        hindrances.retain(|_, hindrance| hindrance.until.is_none_or(|until| now < until));
        let mut why: Vec<_> = hindrances.values().map(|hindrance| hindrance.why.clone()).collect();
        if why.is_empty() && !*self.ready.borrow() {
            why.push("starting or ending: the caches are not in sync".to_owned());
        }
        why
    }

    /// Whether [`set_ready`](Self::set_ready) was called, and nothing hinders.
    pub fn is_ready(&self) -> bool {
        self.hindered_by().is_empty()
    }

    fn hindrances(&self) -> MutexGuard<'_, BTreeMap<String, Hindrance>> {
        self.hindrances.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the process is ready.
    pub async fn ready(&self) {
        // The sender lives in `self`, so waiting cannot end with an error.
        let _ = self.ready.subscribe().wait_for(|ready| *ready).await;
    }
}

impl Beat {
    /// Progress was made, or the component looked and found nothing to do.
    pub fn ok(&self) {
        self.set(Some(Instant::now()));
    }

    /// The component waits for something that may take any time; it is healthy until the next [`ok`](Self::ok)
    /// starts its time again.
    pub fn rest(&self) {
        self.set(None);
    }

    /// The component has ended as it should.
    pub fn done(self) {
        lock(&self.components).retain(|component| component.id != self.id);
    }

    fn set(&self, last: Option<Instant>) {
        if let Some(component) = lock(&self.components).iter_mut().find(|component| component.id == self.id) {
            component.last = last;
        }
    }
}

/// A panic elsewhere must not make health unreadable; the list is whole after every statement.
fn lock(components: &Mutex<Vec<Component>>) -> MutexGuard<'_, Vec<Component>> {
    components.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    #[tokio::test(start_paused = true)]
    async fn a_component_that_stops_beating_is_named() {
        let health = Health::new();
        let poller = health.component("poller", MINUTE);
        let _loop = health.component("loop", 10 * MINUTE);
        assert_eq!(health.stale(), []);
        tokio::time::advance(MINUTE).await;
        assert_eq!(health.stale(), [], "exactly the promised age is healthy");
        tokio::time::advance(Duration::from_secs(1)).await;
        let stale = health.stale();
        assert_eq!(stale.len(), 1);
        assert_eq!(
            stale[0].to_string(),
            "component `poller` made no progress for 61 s (at most 60 s is healthy)"
        );
        poller.ok();
        assert_eq!(health.stale(), []);
    }

    #[tokio::test(start_paused = true)]
    async fn a_resting_component_is_healthy_until_it_works_again() {
        let health = Health::new();
        let beat = health.component("poller", MINUTE);
        beat.rest();
        tokio::time::advance(100 * MINUTE).await;
        assert_eq!(health.stale(), []);
        beat.ok();
        tokio::time::advance(2 * MINUTE).await;
        assert_eq!(health.stale().len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_component_whose_task_died_stays_visible_and_one_that_ended_does_not() {
        let health = Health::new();
        drop(health.component("died", MINUTE));
        health.component("ended", MINUTE).done();
        tokio::time::advance(2 * MINUTE).await;
        let stale: Vec<_> = health.stale().into_iter().map(|stale| stale.component).collect();
        assert_eq!(stale, ["died"]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_hinders_is_told_until_it_is_mended_or_was_not_seen_for_long() {
        let health = Health::new();
        health.set_ready();
        health.hinder("definitions", "they are missing", None);
        health.hinder("watch", "no right", Some(MINUTE));
        assert_eq!(health.hindered_by(), ["they are missing", "no right"]);
        tokio::time::advance(MINUTE).await;
        assert_eq!(health.hindered_by(), ["they are missing"]);
        assert!(!health.is_ready());
        health.clear("definitions");
        assert!(health.is_ready());
    }

    #[tokio::test]
    async fn readiness_is_announced_to_who_waits() {
        let health = Health::new();
        assert!(!health.is_ready());
        let waiting = tokio::spawn({
            let health = health.clone();
            async move { health.ready().await }
        });
        health.set_ready();
        waiting.await.unwrap();
        assert!(health.is_ready());
        health.set_unready();
        assert!(!health.is_ready());
    }
}
