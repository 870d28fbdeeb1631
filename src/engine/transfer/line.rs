//! Lining up for a create, where a quota may be full.

use jiff::Timestamp;
use kube::ResourceExt;

use super::{Pass, Transfer};
use crate::plan::queue::Applicant;
use crate::plan::transfer::{Plan, Step};

impl<K: Transfer> Pass<'_, K> {
    /// The UID of the object.
    pub(super) fn uid(&self) -> String {
        self.object.uid().unwrap_or_default()
    }

    /// Asks whether it is the object's turn.
    pub(super) fn line_up(&mut self, now: Timestamp) {
        let Some((project, _)) = &self.place else { return };
        let applicant = Applicant {
            uid: self.uid(),
            namespace: self.object.namespace().unwrap_or_default(),
            priority: self.object.wish().priority,
            since: self.object.creation_timestamp().map_or(now, |at| at.0),
        };
        let quota = project.quota(K::KIND);
        self.turn = Some(project.of(K::KIND).queue.turn(applicant, self.target(), quota, now));
    }

    /// An intent on record counts as under way, whichever process wrote it.
    pub(super) fn hold_turn(&self) {
        if self.object.status().is_some_and(|status| status.create.is_some())
            && let Some(watched) = self.watched()
        {
            watched.queue.hold(&self.uid(), self.engine.clock.now());
        }
    }

    /// Gives the place back when the plan has no use for it.
    pub(super) fn leave_line(&self, plan: &Plan) {
        let waits = plan.status.create.is_some() || plan.status.queue.is_some();
        let leaves = match plan.step {
            Step::AddFinalizer | Step::Start { .. } => false,
            Step::RemoveFinalizer { .. } => true,
            _ => !waits,
        };
        if leaves && let Some(watched) = self.watched() {
            watched.queue.leave(&self.uid());
        }
    }
}
