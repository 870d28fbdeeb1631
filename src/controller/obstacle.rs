//! What keeps a replica from working.

use crate::telemetry::Health;

/// Something that is waited for: `/readyz` says what it is for as long as it lasts, the log once for each reason.
pub(super) struct Obstacle {
    about: &'static str,
    told: Option<String>,
}

impl Obstacle {
    /// One that is not there yet; `about` is its name in the health of the process.
    pub(super) fn new(about: &'static str) -> Self {
        Self { about, told: None }
    }

    /// It is there, and why.
    pub(super) fn tell(&mut self, health: &Health, why: String) {
        health.hinder(self.about, &*why, None);
        if self.told.as_ref() != Some(&why) {
            tracing::error!(error = why, "not able to work yet, looking again and again");
            self.told = Some(why);
        }
    }

    /// It is there no more; whether it ever was.
    pub(super) fn clear(&self, health: &Health) -> bool {
        health.clear(self.about);
        self.told.is_some()
    }
}
