//! The clock that waits, backoffs and fences run on. Signatures take the wall clock's time, not this.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

/// A clock that runs `scale` times as fast as the wall clock; 1 in production.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    began: Instant,
    began_at: Timestamp,
    scale: f64,
}

impl Clock {
    /// A clock that shows the wall clock's time now and runs `scale` times as fast (a positive number).
    pub fn new(scale: f64) -> Self {
        Self { began: Instant::now(), began_at: Timestamp::now(), scale }
    }

    /// Now.
    pub fn now(&self) -> Timestamp {
        self.began_at + self.began.elapsed().mul_f64(self.scale)
    }

    /// The real time that a span of this clock takes.
    pub fn real(&self, span: Duration) -> Duration {
        span.div_f64(self.scale)
    }
}
