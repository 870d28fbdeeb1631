//! Where task groups are not as tasks (OMS API reference 5.5).

use std::time::Duration;

use jiff::Timestamp;

use super::{Draft, LookAgain};

/// Said while nothing can be done about a group but wait.
pub(super) const BUSY: &str = "OMS lists the source and creates the tasks of the group, and can neither stop nor delete it \
                               meanwhile: the operator waits until it has created them. Nothing to do";

/// Looks at a group that OMS is busy with, at growing intervals: creating the tasks of a big one takes hours.
pub(super) fn patience(draft: &Draft<'_>, since: Timestamp) -> Option<LookAgain> {
    let passed = Duration::try_from(draft.view.now.duration_since(since)).unwrap_or_default();
    LookAgain::fresh((passed / 8).as_secs().clamp(1, 60))
}
