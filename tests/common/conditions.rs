//! Waiting for a condition with a deadline, as every test does that has a process, a server or a controller in it.

use std::time::{Duration, Instant};

/// How long a condition may take to come true; generous, as two cores are shared by everything.
pub(crate) const LIMIT: Duration = Duration::from_mins(2);
/// Between two looks at a condition.
pub(crate) const LOOK: Duration = Duration::from_millis(50);

/// Looks until something holds and returns what it found; an error is what was seen instead.
pub(crate) async fn eventually<T>(what: &str, look: impl AsyncFnMut() -> Result<T, String>) -> T {
    eventually_within(LIMIT, what, look).await
}

/// The same with a limit of its own.
pub(crate) async fn eventually_within<T>(
    limit: Duration,
    what: &str,
    mut look: impl AsyncFnMut() -> Result<T, String>,
) -> T {
    let deadline = Instant::now() + limit;
    loop {
        match look().await {
            Ok(found) => return found,
            Err(seen) => assert!(Instant::now() < deadline, "not within {limit:?}: {what}; seen: {seen}"),
        }
        tokio::time::sleep(LOOK).await;
    }
}
