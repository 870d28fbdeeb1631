//! Liveness that follows progress: every component beats, and one that stopped makes `/healthz` fail.
//!
//! A process whose HTTP server answers while its loop hangs is the case that a plain liveness probe misses.
//! Components that have nothing to do (a follower that waits for the lease, a poller without tasks) rest
//! instead of beating, so that waiting never looks like hanging.

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
    next_id: Arc<std::sync::atomic::AtomicU64>,
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
        Self { components: Arc::default(), ready: watch::Sender::new(false), next_id: Arc::default() }
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

    /// Whether [`set_ready`](Self::set_ready) was called.
    pub fn is_ready(&self) -> bool {
        *self.ready.borrow()
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
