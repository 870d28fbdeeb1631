//! Archived objects of the source.
use std::time::Duration;

use super::copy::Shared;
use super::failure::{Kind, Side, Trouble};
use super::s3::{Endpoint, Head};
use super::transfer::{rest, unless_stopped};

/// How long restored objects stay readable.
const RESTORED_DAYS: u32 = 7;

/// How often a restore under way is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(10);

impl Shared {
    /// Makes an archived object readable, or tells why it is not.
    pub(super) async fn restore(&self, source: &Endpoint, key: &str, seen: &Head) -> Result<(), Trouble> {
        if is_restored(seen) {
            return Ok(());
        }
        if !self.job.enable_restore {
            let message = "The object is archived at the source and the task does not restore";
            return Err(Trouble::new(Side::Source, Kind::Archived, message));
        }
        // Somebody else may have asked for it already.
        if !is_under_way(seen) {
            unless_stopped(&self.control, source.restore(key, RESTORED_DAYS)).await.map_err(|trouble| {
                match trouble.kind {
                    Kind::Denied | Kind::Archived | Kind::Other => Trouble {
                        kind: Kind::RestoreRefused,
                        message: format!("The source does not restore the object: {}", trouble.message),
                        ..trouble
                    },
                    _ => trouble,
                }
            })?;
        }
        let patience = self.settings.restore_wait();
        let mut waited = Duration::ZERO;
        loop {
            let seen = unless_stopped(&self.control, source.head(key, false)).await?;
            if is_restored(&seen) {
                return Ok(());
            }
            if waited >= patience {
                let message = "The archived object is not restored yet; start the task again when it is";
                return Err(Trouble::new(Side::Source, Kind::NotRestored, message));
            }
            let pause = LOOK_EVERY.min(patience.saturating_sub(waited));
            rest(&self.control, self.clock.wait(pause)).await?;
            waited += pause;
        }
    }
}

fn is_restored(seen: &Head) -> bool {
    seen.restore.as_deref().is_some_and(|restore| restore.contains("ongoing-request=\"false\""))
}

fn is_under_way(seen: &Head) -> bool {
    seen.restore.as_deref().is_some_and(|restore| restore.contains("ongoing-request=\"true\""))
}
