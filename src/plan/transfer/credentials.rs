//! Keys that change while OMS has a task: what waits is created anew, what runs goes on or is restarted, as
//! `spec.onCredentialChange` says.

use super::{Draft, LookAgain, Plan, Step};
use crate::api::conditions::{Reason, types};
use crate::api::{Acknowledgement, OnCredentialChange};
use crate::plan::seen::{Keys, RemoteState, RemoteTask};
use crate::plan::situation::{self, Row, Situation, whole_seconds};
use crate::plan::wish::Kind;

/// What is asked for; kinds that cannot say so leave their keys alone.
fn asked(draft: &Draft<'_>) -> OnCredentialChange {
    draft.wish().runs.map_or(OnCredentialChange::Ignore, |runs| runs.on_credential_change)
}

/// The step that gives a waiting or running task the keys that the Secrets hold now; `None`: none is due. The engine
/// reads the keys when a Secret has another version than the one that was sent.
pub(super) fn renew(draft: &mut Draft<'_>, remote: &RemoteTask) -> Option<(Situation, Step)> {
    let asked = asked(draft);
    let situation =
        |message: &str| Situation::new(Row::Active, Reason::RenewingCredentials, message.to_owned());
    if *draft.view.keys == Keys::NotRead && draft.status.renewing_keys_since.is_some() {
        return Some((situation("The keys of the task are replaced"), Step::ReadKeys));
    }
    // With which keys an adopted task works is not known before it was started from here.
    let unknown = draft.has_adopted() && draft.status.observed_credentials.is_empty();
    if asked == OnCredentialChange::Ignore || unknown || !draft.keys_changed() {
        if matches!(draft.view.keys, Keys::Ready(_)) {
            // What was noticed is over: the keys are the same again, or were sent, or do not count.
            draft.status.renewing_keys_since = None;
            situation::remove(&mut draft.status.conditions, types::CREDENTIALS_PENDING);
        }
        return None;
    }
    let waits = remote.state == RemoteState::Waiting
        && remote.counters.succeeded == 0
        && draft.wish().kind == Kind::MigrationTask
        && !draft.has_adopted();
    if waits {
        mark(draft);
        let message = "A Secret has new keys: the task is taken out of OMS's queue and created anew with them, as nothing \
                       was copied";
        return Some((situation(message), Step::Delete(remote.id.clone())));
    }
    let restarts = remote.state == RemoteState::Running && asked == OnCredentialChange::RestartRunning;
    let word =
        !draft.wish().restores || draft.wish().lifecycle.acknowledge.contains(&Acknowledgement::RestoreAgain);
    if restarts && word {
        mark(draft);
        let message = "A Secret has new keys: the task is stopped and started again with them";
        return Some((situation(message), Step::Stop(remote.id.clone())));
    }
    let what = if restarts {
        "To start it again restores, and pays for, archived objects again: add `RestoreAgain` to `spec.acknowledge` to go on"
    } else {
        "Nothing to do if those stay valid; else set `spec.onCredentialChange` to RestartRunning"
    };
    let message = format!(
        "A Secret has new keys, and the task goes on with those that it was given until its next start. {what}"
    );
    draft.set(types::CREDENTIALS_PENDING, "True", Reason::CredentialsRotated, &message);
    None
}

fn mark(draft: &mut Draft<'_>) {
    // On record before the call: a task that we stopped or deleted for this is ours to start or to create again.
    draft.status.renewing_keys_since.get_or_insert_with(|| whole_seconds(draft.view.now));
}

/// A plan for that step.
pub(super) fn carry_out(draft: Draft<'_>, situation: Situation, step: Step) -> Plan {
    match step {
        Step::ReadKeys => draft.keep(Step::ReadKeys, None),
        step => draft.finish(situation, step, LookAgain::fresh(1)),
    }
}

/// When a task that OMS has looks for changed keys again.
pub(super) fn look_again(draft: &Draft<'_>) -> Option<LookAgain> {
    if asked(draft) == OnCredentialChange::Ignore {
        return None;
    }
    LookAgain::after(draft.view.policy.secret_check_interval)
}
