//! Counting the tasks of a group.

use super::{Pass, Transfer};
use crate::engine::{remote, wire};
use crate::oms::Urgency;
use crate::plan::census::{Census, Counted};
use crate::plan::seen::Remote;

impl<K: Transfer> Pass<'_, K> {
    /// The last count of the tasks of the recorded group.
    pub(super) fn census(&self) -> Option<&Census> {
        let id = self.remote_id()?;
        self.memory.census.as_ref().filter(|(of, _)| *of == id).map(|(_, census)| census)
    }

    /// Counts the tasks of the recorded group. A count that OMS does not answer stands in the way of nothing: what was
    /// known before stays, and the next one is due in its time.
    pub(super) async fn count_members(&mut self) {
        let (Some(id), Some((_, client))) = (self.remote_id(), self.place.clone()) else { return };
        let at = self.engine.clock.now();
        let Remote::Known(group) = self.remote(at) else { return };
        let counted = match remote::members(&client, &id, Urgency::Poll).await {
            Ok(tasks) => Some(Counted::of(&tasks)),
            Err(error) => {
                tracing::warn!(kind = K::KIND.as_str(), group = %id, error = %error, "the tasks of a group could not be counted");
                if wire::is_about_credentials(&error)
                    && let Some(session) = &self.session
                {
                    self.engine.distrust(&session.pinned.uid);
                }
                self.census().and_then(|census| census.counted.clone())
            }
        };
        self.memory.census = Some((id, Census { at, state: group.state, counters: group.counters, counted }));
    }
}
