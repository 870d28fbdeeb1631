//! The pulse of passes: healthy while they end, and while there are none.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::refusals::Refusals;
use crate::telemetry::Beat;

/// Counts passes under way and tells the health of it.
#[derive(Clone)]
pub(super) struct Pulse {
    inner: Arc<Inner>,
    /// What passes were refused.
    pub(super) refused: Refusals,
}

struct Inner {
    under_way: AtomicUsize,
    beat: Beat,
}

impl Pulse {
    /// A pulse without passes.
    pub(super) fn new(beat: Beat, refused: Refusals) -> Self {
        beat.rest();
        Self { inner: Arc::new(Inner { under_way: AtomicUsize::new(0), beat }), refused }
    }

    /// Watches a pass and says how long it took.
    pub(super) async fn watch<T>(&self, pass: impl Future<Output = T>) -> (T, Duration) {
        let began = Instant::now();
        if self.inner.under_way.fetch_add(1, Ordering::SeqCst) == 0 {
            self.inner.beat.ok();
        }
        let result = pass.await;
        if self.inner.under_way.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.inner.beat.rest();
        } else {
            self.inner.beat.ok();
        }
        (result, began.elapsed())
    }
}
