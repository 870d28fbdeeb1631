//! A task that somebody else owns: status and metrics, and never a call that changes it.

use super::{Draft, LookAgain, Plan, Step, adopt, create, group, retry, run, sync};
use crate::api::Failure;
use crate::api::conditions::{Reason, types};
use crate::plan::seen::{Link, Remote, RemoteFailure, RemoteState, RemoteTask};
use crate::plan::situation::{self, Row, Situation};
use crate::plan::wish::Kind;

/// Between two looks at a failed task, in seconds: its owner may start it again.
const LOOK: u64 = 300;

/// Conditions about what the operator does, or would do, with a task that is its own to change.
const OF_OWNERS: [&str; 6] = [
    types::PRIORITY_PENDING,
    types::BANDWIDTH_PENDING,
    types::DRIFTED,
    types::CREDENTIALS_READY,
    types::CREDENTIALS_PENDING,
    types::OVERSIZED,
];

/// Plans for an object that has left the adopted task behind for a run of its own, and may only look now. What was sent
/// is still searched for, so that it is known; nothing else is done about it.
pub(super) fn plan_own(mut draft: Draft<'_>) -> Plan {
    if draft.status.task_id.is_some() {
        return plan(draft);
    }
    if let Some((id, name)) = draft.view.created {
        return create::record(draft, id.clone(), super::name_of(name));
    }
    let sent = draft.status.create.as_ref().is_some_and(|intent| intent.sent_at.is_some());
    if sent && draft.view.permit.is_none() && !create::had_no_effect(&draft) {
        let plan = create::plan_under_way(draft);
        let step = if plan.step.is_look() { plan.step } else { Step::Rest };
        return Plan { step, ..plan };
    }
    draft.take_intent_back();
    draft.status.next_attempt_at = None;
    draft.status.suspended_at = None;
    let message = "`spec.managementPolicy` is Observe, so the run that `spec.rerun` asked for is not created: set it to \
                   Manage to create it";
    draft.finish(Situation::new(Row::StoppedExternally, Reason::Observed, message), Step::Rest, None)
}

/// Plans for a recorded task that is only looked at.
pub(super) fn plan(mut draft: Draft<'_>) -> Plan {
    if super::is_over(draft.view.meta, draft.wish(), draft.view.stored) {
        return run::over(draft);
    }
    draft.tell_link();
    if let Link::Down { .. } = draft.view.link {
        let again = LookAgain::after(draft.view.policy.secret_check_interval);
        return Plan { status: draft.status, step: Step::Rest, look_again: again };
    }
    match draft.view.remote {
        Remote::Pending => Plan { status: draft.status, step: Step::Rest, look_again: None },
        Remote::Stale => draft.keep(Step::Show, None),
        Remote::Gone => {
            let message = "The task that is observed no longer exists at OMS. Delete this object, or leave it as a record";
            draft.finish(Situation::new(Row::Hopeless, Reason::RemoteTaskGone, message), Step::Rest, None)
        }
        Remote::Known(remote) => known(draft, remote),
    }
}

/// Tells what the task does.
pub(super) fn known(mut draft: Draft<'_>, remote: &RemoteTask) -> Plan {
    if group::is_count_due(&draft, remote) {
        return draft.keep(Step::CountMembers, None);
    }
    let group;
    let remote = if draft.wish().kind == Kind::TaskGroup {
        group = group::with_members(&mut draft, remote);
        &group
    } else {
        remote
    };
    if draft.wish().kind == Kind::SyncTask {
        sync::note(&mut draft, remote);
    } else {
        run::note(&mut draft, remote);
    }
    draft.status.suspended_at = None;
    draft.status.next_attempt_at = None;
    draft.status.drift = None;
    draft.status.applied = None;
    draft.status.renewing_keys_since = None;
    for told in OF_OWNERS {
        situation::remove(&mut draft.status.conditions, told);
    }
    adopt::tell(&mut draft);
    let copying;
    let (row, reason, message) = match remote.state {
        RemoteState::Succeeded => return run::succeeded(draft, remote),
        RemoteState::Failed => {
            run::ended(&mut draft, remote);
            let failure = remote.failure.clone().unwrap_or_default();
            let message = format!(
                "{}. It is only observed: its owner can start it again",
                retry::said(&failure, remote)
            );
            let RemoteFailure { code, message: why, remedy, .. } = failure;
            draft.status.failure = Some(Failure { code, message: why, remedy, retryable: false });
            let situation = Situation::new(Row::Failed, Reason::TaskFailed, message);
            return draft.finish(situation, Step::Rest, LookAgain::fresh(LOOK));
        }
        RemoteState::Waiting => {
            (Row::Active, Reason::WaitingAtOMS, "The task waits in OMS's queue; OMS starts it by itself")
        }
        RemoteState::Retrying => {
            (Row::Active, Reason::RetryingAtOMS, "OMS checks or retries the task by itself")
        }
        RemoteState::Running | RemoteState::Unknown => {
            copying = group::copying(&draft);
            (Row::Active, Reason::Running, copying.as_str())
        }
        RemoteState::Synchronizing => {
            (Row::Synchronizing, Reason::Synchronizing, "OMS copies the objects that it is told of")
        }
        RemoteState::Creating => {
            (Row::Active, Reason::CreatingMembers, "OMS lists the source and creates the tasks of the group")
        }
        RemoteState::Deleting => {
            (Row::Stopping, Reason::StoppedExternally, "The owner of the task is deleting it at OMS")
        }
        RemoteState::Stopping => {
            (Row::Stopping, Reason::StoppedExternally, "The owner of the task is stopping it at OMS")
        }
        RemoteState::Stopped => (
            Row::StoppedExternally,
            Reason::StoppedExternally,
            "The owner of the task stopped it at OMS. It is only observed: to start it from here, set \
             `spec.managementPolicy` to Manage",
        ),
    };
    draft.status.finished_at = None;
    draft.status.failure = group::failure_so_far(&draft, remote);
    draft.status.failed_objects = None;
    draft.status.notification = None;
    let again = match remote.state {
        RemoteState::Stopping | RemoteState::Deleting => LookAgain::fresh(2),
        _ => group::next_count(&draft, remote),
    };
    draft.finish(Situation::new(row, reason, message), Step::Rest, again)
}
