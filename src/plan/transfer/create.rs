//! The create protocol: never twice.
//!
//! finalizer → intent (conditional write) → search for our mark → `sentAt` (conditional write) → POST → ID →
//! clear the intent, each in a pass of its own. `sentAt` parts what was provably never sent from what may have
//! been: after a crash only the latter waits for its fence.

use std::time::Duration;

use super::rerun::{self, Claim};
use super::{Draft, LookAgain, Plan, Step, approval, later, preflight, queue, sync, words};
use crate::api::conditions::Reason;
use crate::api::{CreateIntent, Notification};
use crate::plan::seen::{Call, Delivered, Keys, LinkUp, RemoteId, RemoteTask, Search, TroubleKind};
use crate::plan::situation::{Row, Situation, exact, whole_seconds};
use crate::plan::token::Token;
use crate::plan::wish::Kind;

/// How many complete searches have to find nothing, after the fence, before a create is repeated.
const EMPTY_SEARCHES: usize = 2;

/// How old `sentAt` may be when the call is made; the fence has room for it.
const FRESH: Duration = Duration::from_mins(1);

/// Nothing was created and nothing is under way.
pub(super) fn plan_new(mut draft: Draft<'_>) -> Plan {
    if draft.suspended() {
        draft.status.next_attempt_at = None;
        draft.status.failure = None;
        draft.status.suspended_at.get_or_insert_with(|| whole_seconds(draft.view.now));
        let message = "`spec.suspend` is true: the task is not created; set it to false to create it";
        return draft.finish(Situation::new(Row::Suspended, Reason::Suspended, message), Step::Rest, None);
    }
    draft.status.suspended_at = None;
    let (mut draft, link) = match draft.link() {
        Ok(linked) => linked,
        Err(plan) => return *plan,
    };
    if let Some(change) = &link.changed {
        let situation = Situation::new(Row::Hopeless, Reason::ConnectionChanged, change.clone());
        return draft.finish(situation, Step::Rest, None);
    }
    if let Some(region) = draft.wish().destination_region
        && region != link.region
    {
        let message = format!(
            "`destination.region` is {region}, but the connection's region is {}: OMS copies only into its own region. \
             Correct `destination.region`, or refer to a connection of that region",
            link.region
        );
        return draft.finish(Situation::new(Row::Hopeless, Reason::InvalidSpec, message), Step::Rest, None);
    }
    if let Some(region) = draft.wish().notification.and_then(Notification::topic_region)
        && region != link.region
    {
        let message = format!(
            "The topic of `notification.topicUrn` is in region {region}, but the connection's region is {}: OMS publishes \
             only to topics of its own region. Name a topic of that region, or remove `notification`",
            link.region
        );
        return draft.finish(Situation::new(Row::Hopeless, Reason::InvalidSpec, message), Step::Rest, None);
    }
    if let Some(message) = sync::unserved(draft.wish().kind, &link.region) {
        return draft.finish(Situation::new(Row::Hopeless, Reason::InvalidSpec, message), Step::Rest, None);
    }
    let refused = draft.status.failure.as_ref().is_some_and(|failure| !failure.retryable);
    let again_at = draft.status.next_attempt_at.as_ref().map(|at| at.0).filter(|at| *at > draft.view.now);
    if refused && !draft.is_nudged() {
        return draft.keep(Step::Rest, None);
    }
    if let Some(at) = again_at
        && !draft.is_nudged()
    {
        // Refused keys are the one cause that shows in the cluster when it is gone.
        if *draft.view.keys == Keys::NotRead {
            return draft.keep(Step::ReadKeys, None);
        }
        if !draft.keys_changed() {
            let again = draft.until(at).min(draft.view.policy.secret_check_interval);
            return draft.keep(Step::Rest, LookAgain::after(again));
        }
    }
    if draft.status.queue.is_some() {
        // Who waits in the line reads no keys.
        match queue::take_turn(draft) {
            Ok(turned) => draft = turned,
            Err(plan) => return *plan,
        }
    }
    if *draft.view.keys == Keys::NotRead {
        return draft.keep(Step::ReadKeys, None);
    }
    draft.tell_keys();
    if let Keys::Missing { reason, message } = draft.view.keys {
        draft.status.failure = None;
        draft.status.next_attempt_at = None;
        let situation = Situation::new(Row::Blocked, *reason, message.clone());
        let again = LookAgain::after(draft.view.policy.secret_check_interval);
        return draft.finish(situation, Step::Rest, again);
    }
    let prepared =
        preflight::clear(draft).and_then(|draft| approval::seek(draft, link)).and_then(queue::take_turn);
    let draft = match prepared {
        Ok(draft) => draft,
        Err(plan) => return *plan,
    };
    if !draft.has_finalizer() {
        return draft.keep(Step::AddFinalizer, None);
    }
    intend(draft, link)
}

/// Writes the intent: from here on the spec is frozen.
fn intend(mut draft: Draft<'_>, link: &LinkUp) -> Plan {
    let attempt = draft.status.attempt.unwrap_or(1);
    rerun::name_run(&mut draft);
    let token = rerun::token(&draft, attempt);
    draft.status.attempt = Some(attempt);
    draft.status.connection = Some(link.pinned.clone());
    draft.status.create =
        Some(CreateIntent { token: token.to_string(), started_at: exact(draft.view.now), sent_at: None });
    draft.status.failure = None;
    draft.status.next_attempt_at = None;
    draft.note_keys();
    draft.finish(creating(), Step::Rest, LookAgain::after(Duration::ZERO))
}

fn creating() -> Situation {
    Situation::new(Row::Creating, Reason::Creating, "The task is being created at OMS")
}

/// The intent is on record, the ID is not.
pub(super) fn plan_under_way(mut draft: Draft<'_>) -> Plan {
    let Some(intent) = draft.status.create.clone() else { return plan_new(draft) };
    if had_no_effect(&draft) {
        return refused(draft);
    }
    // A token of another object came with a restored status; nothing of ours was sent with it.
    let foreign = Token::parse(&intent.token).is_none_or(|token| token.object != *draft.view.mark);
    if intent.sent_at.is_none() && (draft.suspended() || foreign) {
        draft.take_intent_back();
        return plan_new(draft);
    }
    let (mut draft, _) = match draft.link() {
        Ok(linked) => linked,
        Err(plan) => return *plan,
    };
    let newer_than = intent.sent_at.as_ref().unwrap_or(&intent.started_at).0;
    match draft.view.search {
        Search::Done { found, .. } if rerun::is_news(&draft, found) => {
            let step = match rerun::claim(&draft, found) {
                Claim::Task(keep) => return record(draft, keep.id.clone(), super::name_of(&keep.name)),
                Claim::Earlier(task) => Step::RemoveDuplicate(task.id.clone()),
                Claim::Former => {
                    rerun::recall(&mut draft, None);
                    return draft.finish(creating(), Step::Rest, LookAgain::after(Duration::ZERO));
                }
            };
            return draft.finish(creating(), step, LookAgain::after(Duration::from_secs(2)));
        }
        _ if draft.view.permit.is_some() => {}
        Search::Done { started_at, .. } if *started_at > newer_than => {}
        _ => return unconfirmed(draft, &intent, Some(Step::Search)),
    }
    if let Some(trouble) = draft.view.trouble.filter(|trouble| trouble.retry_at > draft.view.now) {
        let again = LookAgain::after(draft.until(trouble.retry_at));
        let situation = match trouble.call {
            Call::Create => Situation { row: Row::Creating, ..words::situation(trouble) },
            _ => creating(),
        };
        return draft.finish(situation, Step::Rest, again);
    }
    match &intent.sent_at {
        None => {
            // Nothing carries our mark. What the search saw may have filled a quota.
            let mut draft = match queue::take_turn(draft) {
                Ok(draft) => draft,
                Err(plan) => return *plan,
            };
            // The next pass sends, and only the process that wrote this may.
            if let Some(create) = &mut draft.status.create {
                create.sent_at = Some(exact(draft.view.now));
            }
            draft.finish(creating(), Step::Rest, LookAgain::after(Duration::ZERO))
        }
        Some(sent) if draft.view.permit == Some(sent.0) => {
            if later(sent.0, FRESH) < draft.view.now {
                // Something held the call up. The fence counts from `sentAt`, so it has to be true when it is sent.
                if let Some(create) = &mut draft.status.create {
                    create.sent_at = Some(exact(draft.view.now));
                }
                return draft.finish(creating(), Step::Rest, LookAgain::after(Duration::ZERO));
            }
            send(draft, &intent)
        }
        Some(sent) => {
            let fence = later(sent.0, draft.view.policy.create_fence);
            let Search::Done { empty, .. } = draft.view.search else {
                return unconfirmed(draft, &intent, Some(Step::Search));
            };
            if empty.iter().filter(|started| **started > fence).count() >= EMPTY_SEARCHES {
                // The lost call can no longer arrive and did not: the intent starts over.
                if let Some(create) = &mut draft.status.create {
                    create.sent_at = None;
                    create.started_at = exact(draft.view.now);
                }
                return draft.finish(creating(), Step::Rest, LookAgain::after(Duration::ZERO));
            }
            unconfirmed(draft, &intent, None)
        }
    }
}

fn send(mut draft: Draft<'_>, intent: &CreateIntent) -> Plan {
    match draft.view.keys {
        Keys::NotRead => return draft.keep(Step::ReadKeys, None),
        Keys::Missing { reason, message } => {
            draft.take_intent_back();
            draft.tell_keys();
            let situation = Situation::new(Row::Blocked, *reason, message.clone());
            let again = LookAgain::after(draft.view.policy.secret_check_interval);
            return draft.finish(situation, Step::Rest, again);
        }
        Keys::Ready(_) => draft.note_keys(),
    }
    let own = Token::parse(&intent.token).filter(|token| token.object == *draft.view.mark);
    if let Some(token) = own {
        return draft.finish(creating(), Step::Create(token), LookAgain::after(Duration::ZERO));
    }
    draft.take_intent_back();
    draft.finish(creating(), Step::Rest, LookAgain::after(Duration::ZERO))
}

/// The answer got lost, or another process sent it: search until it shows or cannot come any more.
fn unconfirmed(draft: Draft<'_>, intent: &CreateIntent, step: Option<Step>) -> Plan {
    let Some(sent) = &intent.sent_at else {
        return draft.finish(creating(), step.unwrap_or(Step::Rest), None);
    };
    let message = "The answer to the create is not known: the operator searches for the task and creates it again only \
                   when it cannot appear any more. Nothing to do";
    let situation = Situation::new(Row::Creating, Reason::CreateUnconfirmed, message);
    // Growing intervals: an eighth of the time passed, between one second and one minute.
    let passed = Duration::try_from(draft.view.now.duration_since(sent.0)).unwrap_or_default();
    let pause = (passed / 8).clamp(Duration::from_secs(1), Duration::from_mins(1));
    let searched = match draft.view.search {
        Search::Done { started_at, .. } => {
            Duration::try_from(draft.view.now.duration_since(*started_at)).ok()
        }
        Search::None => None,
    };
    let step =
        step.or_else(|| searched.filter(|since| *since >= pause).map(|_| Step::Search)).unwrap_or(Step::Rest);
    draft.finish(situation, step, LookAgain::after(pause))
}

/// Which of several tasks with our mark is kept: the one that copied most, else the lowest ID. Earlier attempts are
/// over: what a list still shows of one is never taken for this one.
pub(super) fn best<'t>(
    draft: &Draft<'_>,
    found: impl Iterator<Item = &'t RemoteTask>,
) -> Option<&'t RemoteTask> {
    let attempt = draft.status.attempt.unwrap_or(1);
    found.filter(|task| task.token.as_ref().is_none_or(|token| token.attempt >= attempt)).min_by_key(|task| {
        (std::cmp::Reverse(task.counters.bytes_done), std::cmp::Reverse(task.counters.succeeded), &task.id)
    })
}

/// Whether OMS's answer says that the create that was sent came to nothing.
pub(super) fn had_no_effect(draft: &Draft<'_>) -> bool {
    let sent = draft.status.create.as_ref().is_some_and(|create| create.sent_at.is_some());
    sent && draft.view.permit.is_none()
        && draft
            .view
            .trouble
            .is_some_and(|trouble| trouble.call == Call::Create && trouble.delivery != Delivered::Unknown)
}

/// Records the ID and clears the intent.
pub(super) fn record(mut draft: Draft<'_>, id: RemoteId, name: Option<String>) -> Plan {
    if let Search::Done { found, .. } = draft.view.search
        && let Some(task) = found.iter().find(|task| task.id == id)
        && let Some(token) = &task.token
    {
        // After a lost status the attempt comes back with the task, and former runs with it.
        draft.status.attempt = Some(token.attempt);
        rerun::recall(&mut draft, Some(task));
    }
    draft.status.run.get_or_insert(1);
    draft.status.attempt.get_or_insert(1);
    draft.status.task_id = Some(id.to_string());
    draft.status.task_name = name;
    draft.status.create = None;
    draft.status.failure = None;
    draft.status.next_attempt_at = None;
    if draft.wish().kind == Kind::SyncTask {
        return draft.finish(creating(), Step::Rest, LookAgain::after(Duration::ZERO));
    }
    let message = "OMS accepted the task and starts it by itself";
    draft.finish(Situation::new(Row::Active, Reason::WaitingAtOMS, message), Step::Rest, None)
}

/// The create had no effect: the intent is taken back, the spec thaws.
fn refused(mut draft: Draft<'_>) -> Plan {
    let Some(trouble) = draft.view.trouble else { return plan_new(draft) };
    let again = LookAgain::after(draft.until(trouble.retry_at));
    if trouble.delivery == Delivered::No || trouble.kind == TroubleKind::Throttled {
        // Nothing was decided about the spec: the same intent is sent again later.
        if let Some(create) = &mut draft.status.create {
            create.sent_at = None;
        }
        let situation = Situation { row: Row::Creating, ..words::situation(trouble) };
        return draft.finish(situation, Step::Rest, again);
    }
    draft.take_intent_back();
    // Waiting for room is no failure.
    draft.status.failure = (trouble.kind != TroubleKind::Quota).then(|| words::failure(trouble));
    draft.status.next_attempt_at = words::may_pass(trouble.kind).then(|| whole_seconds(trouble.retry_at));
    draft.finish(words::situation(trouble), Step::Rest, again)
}
