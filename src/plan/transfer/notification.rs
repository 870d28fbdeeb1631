//! What became of the notification about the end of a task. It never changes how the task ended.

use std::time::Duration;

use super::{Draft, LookAgain, Plan, Step, later};
use crate::api::{NotificationResult, NotificationStatus, NotificationTrigger, TransferStatus};
use crate::plan::seen::RemoteNotification;
use crate::plan::situation::Situation;

/// How long after the end OMS may take to tell.
const PATIENCE: Duration = Duration::from_mins(2);

/// Between two looks in that time, in seconds.
const LOOK: u64 = 5;

/// Whether the task is over and only the word about its notification is missing.
pub(super) fn is_awaited(status: &TransferStatus) -> bool {
    super::has_ended(status)
        && status.notification.as_ref().is_some_and(|told| told.result == NotificationResult::Pending)
}

/// What OMS tells, as the status has it.
pub(super) fn told(remote: &RemoteNotification) -> NotificationStatus {
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let failed = !remote.sent;
    NotificationStatus {
        result: if failed { NotificationResult::Failed } else { NotificationResult::Sent },
        message: some(&remote.message),
        remedy: some(&remote.remedy).filter(|_| failed),
        topic_name: some(&remote.topic),
    }
}

/// Whether OMS had its time to tell.
pub(super) fn is_late(draft: &Draft<'_>) -> bool {
    let ended = draft.status.finished_at.as_ref().map(|at| at.0);
    ended.is_none_or(|ended| later(ended, PATIENCE) < draft.view.now)
}

/// Nobody will tell any more.
pub(super) fn give_up(draft: &mut Draft<'_>) {
    draft.status.notification = Some(silent(NotificationResult::Unknown));
}

fn silent(result: NotificationResult) -> NotificationStatus {
    NotificationStatus { result, message: None, remedy: None, topic_name: None }
}

/// The end of a task: waits a while for the word about a notification that is due, and tells of one that failed.
pub(super) fn conclude(mut draft: Draft<'_>, mut situation: Situation, end: NotificationTrigger) -> Plan {
    let wanted = draft.wish().notification.is_some_and(|wanted| wanted.triggers.contains(&end));
    let mut again = None;
    if wanted && draft.status.notification.is_none() {
        if is_late(&draft) {
            give_up(&mut draft);
        } else {
            draft.status.notification = Some(silent(NotificationResult::Pending));
            again = LookAgain::fresh(LOOK);
        }
    }
    if let Some(failed) =
        draft.status.notification.as_ref().filter(|told| told.result == NotificationResult::Failed)
    {
        situation.message.push_str(". ");
        situation.message.push_str(&words(failed));
    }
    draft.finish(situation, Step::Rest, again)
}

/// What is said of a notification that could not be sent.
pub fn words(failed: &NotificationStatus) -> String {
    let because = failed.message.as_deref().map_or_else(String::new, |code| format!(" ({code})"));
    let mend = failed
        .remedy
        .as_deref()
        .unwrap_or("Check the topic of `notification.topicUrn` and that OMS may publish to it")
        .trim_end_matches('.');
    format!("The notification about the end could not be sent{because}, which changes nothing else. {mend}")
}
