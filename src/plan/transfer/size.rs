//! A plain task that is larger than OMS recommends.

use super::Draft;
use crate::api::conditions::{Reason, types};
use crate::plan::seen::RemoteTask;
use crate::plan::situation;
use crate::plan::wish::Kind;

/// Bytes from which on OMS recommends a task group: 3 TB (OMS user guide, "Migration Task Group"). A megabyte is
/// 1,048,576 bytes there.
const MOST_BYTES: u64 = 3 << 40;

/// Objects from which on OMS recommends a task group (OMS user guide, "Migration Task Group").
const MOST_OBJECTS: u64 = 5_000_000;

/// Says so once OMS has listed everything.
pub(super) fn tell(draft: &mut Draft<'_>, remote: &RemoteTask) {
    let counters = &remote.counters;
    let large = counters.bytes_total > MOST_BYTES || counters.total > MOST_OBJECTS;
    if draft.wish().kind == Kind::MigrationTask && counters.listed && large {
        // The numbers are final by now, so the message stays.
        let message = format!(
            "The task has {} objects of {} bytes; above 5 million objects or 3 TB OMS recommends a task group, which splits \
             them. Let it run, or delete this object and create a TaskGroup instead",
            counters.total, counters.bytes_total
        );
        draft.set(types::OVERSIZED, "True", Reason::TaskGroupRecommended, &message);
    } else {
        situation::remove(&mut draft.status.conditions, types::OVERSIZED);
    }
}
