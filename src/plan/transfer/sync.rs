//! What is different about a sync task: it has no end and no progress, it synchronizes or it is stopped.

use super::{Draft, LookAgain, Plan, Step, credentials, drift, queue, run};
use crate::api::SyncStatistics;
use crate::api::conditions::Reason;
use crate::plan::seen::{MonthCounters, RemoteState, RemoteTask};
use crate::plan::situation::{Row, Situation, whole_seconds};
use crate::plan::wish::Kind;

/// The regions whose endpoints have sync tasks (OMS API reference 7.3 and 5.4); elsewhere any failure is possible, so
/// nothing is tried.
const REGIONS: [&str; 3] = ["cn-north-4", "cn-east-3", "cn-southwest-2"];

/// Why a sync task cannot be where the connection leads.
pub(super) fn unserved(kind: Kind, region: &str) -> Option<String> {
    (kind == Kind::SyncTask && !REGIONS.contains(&region)).then(|| {
        format!(
            "OMS has sync tasks in the regions {} only, and the connection's region is {region}. Refer to a connection of \
             one of those in `connectionRef`, or copy with a MigrationTask",
            REGIONS.join(", ")
        )
    })
}

/// Plans for a sync task that is as OMS tells.
pub(super) fn known(mut draft: Draft<'_>, remote: &RemoteTask) -> Plan {
    note(&mut draft, remote);
    match remote.state {
        _ if draft.suspended() => run::suspend(draft, remote),
        // Stopped for new keys it has its place still, and stopped by somebody else it wants none.
        RemoteState::Stopped
            if draft.status.suspended_at.is_none()
                && (draft.status.renewing_keys_since.is_some() || !drift::is_due(&draft)) =>
        {
            run::stopped(draft, remote)
        }
        // A start takes one of the account's places, as a create does.
        RemoteState::Stopped => match queue::take_turn(draft) {
            Ok(draft) => run::stopped(draft, remote),
            Err(plan) => *plan,
        },
        RemoteState::Synchronizing => {
            draft.status.suspended_at = None;
            draft.status.failure = None;
            draft.status.next_attempt_at = None;
            if run::held(&draft).is_none()
                && let Some((situation, step)) = credentials::renew(&mut draft, remote)
            {
                return credentials::carry_out(draft, situation, step);
            }
            let message = "OMS copies the objects that SyncEvents name";
            let again = credentials::look_again(&draft);
            draft.finish(
                Situation::new(Row::Synchronizing, Reason::Synchronizing, message),
                Step::Rest,
                again,
            )
        }
        _ => {
            let message = "OMS tells of a state of the sync task that the operator does not know. Nothing to do; it \
                           looks again by itself";
            let situation = Situation::new(Row::Active, Reason::UnknownServiceError, message);
            draft.finish(situation, Step::Rest, LookAgain::fresh(30))
        }
    }
}

/// Notes since when it runs, and what it did this month.
pub(super) fn note(draft: &mut Draft<'_>, remote: &RemoteTask) {
    draft.status.started_at = remote.started_at.map(whole_seconds);
    if let Some(month) = &remote.month {
        tell_statistics(draft, month);
    }
}

/// Plans for a sync task that is no longer at OMS. It is not made anew: whoever deleted it may have meant that.
pub(super) fn gone(mut draft: Draft<'_>) -> Plan {
    drift::deleted(&mut draft);
    let message = "The sync task no longer exists at OMS, and the operator does not create another by itself. To go on, \
                   delete this object and create it anew";
    draft.finish(Situation::new(Row::Hopeless, Reason::RemoteTaskGone, message), Step::Rest, None)
}

/// The month's numbers at steps: at first, when somebody asks, and otherwise not more often than progress.
fn tell_statistics(draft: &mut Draft<'_>, month: &MonthCounters) {
    let fresh = |at| SyncStatistics {
        month: month.month.clone(),
        requested: month.requested,
        succeeded: month.succeeded,
        failed: month.failed,
        skipped: month.skipped,
        bytes: month.bytes,
        queried_at: at,
    };
    let stored = draft.status.statistics.take();
    let same = stored.as_ref().is_some_and(|stored| *stored == fresh(stored.queried_at.clone()));
    let due = draft.view.progress_due || draft.is_nudged();
    draft.status.statistics = match stored {
        Some(stored) if same || !due => Some(stored),
        _ => Some(fresh(whole_seconds(draft.view.now))),
    };
}
