//! Taking over a task that exists. Nothing is created, and nothing at OMS changes by it.

use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::{Draft, LookAgain, Plan, Step, drift, later, observe, rerun, run, words};
use crate::api::conditions::{Reason, types};
use crate::api::{ManagementPolicy, Phase, TransferStatus};
use crate::plan::claims::Claim;
use crate::plan::seen::{Call, Candidate, Described, Link, LinkUp, Trouble, Whole};
use crate::plan::situation::{self, Row, Situation, whole_seconds};
use crate::plan::wish::{Kind, Wish};

/// Between two looks at an ID that OMS does not know.
const LOOK: Duration = Duration::from_mins(5);

/// Between two looks at whether another claim is gone; they cost no call.
const CLAIM: Duration = Duration::from_secs(10);

/// Whether the object is about the task of `spec.adopt`, and not about one that it made itself since.
pub(super) fn is_wanted(draft: &Draft<'_>) -> bool {
    let status = &draft.status;
    draft.wish().adopt.is_some()
        && match status.adopted {
            Some(adopted) => adopted,
            None => status.task_id.is_none() && status.create.is_none() && draft.view.created.is_none(),
        }
}

/// Whether a task that is over has to be looked at nevertheless: what is only observed may be started by its owner, an
/// edited spec is compared again, and the tasks of a group that had ended before it was adopted are counted once.
pub(super) fn wants_look(meta: &ObjectMeta, status: &TransferStatus, wish: &Wish<'_>) -> bool {
    if wish.adopt.is_none() || status.adopted != Some(true) {
        return false;
    }
    let observes = wish.lifecycle.management_policy == ManagementPolicy::Observe;
    let edited = meta.generation.is_some_and(|generation| generation != status.observed_generation);
    let uncounted = wish.kind == Kind::TaskGroup && status.members.is_none();
    !is_gone(status) && (edited || uncounted || observes && status.phase == Some(Phase::Failed))
}

/// Whether the task was found to be gone, so that there is nothing to look at.
fn is_gone(status: &TransferStatus) -> bool {
    situation::find(&status.conditions, types::READY)
        .is_some_and(|ready| ready.reason == Reason::RemoteTaskGone.as_str())
}

/// Plans for an object that is about the task of `spec.adopt`.
pub(super) fn plan(mut draft: Draft<'_>) -> Plan {
    if draft.status.task_id.is_none() {
        return take_over(draft);
    }
    if !draft.observes()
        && let Some(rival) = draft.rival()
    {
        return claimed(draft, rival);
    }
    let linked = matches!(draft.view.link, Link::Up(_));
    if !draft.observes() && !draft.has_finalizer() && linked {
        // It was only observed so far.
        return draft.keep(Step::AddFinalizer, None);
    }
    let mut uncompared = None;
    if draft.is_edited() && linked && !is_gone(&draft.status) {
        // What the spec says is compared again with what the task is.
        match draft.view.candidate {
            Candidate::NotRead => match held_look(&draft) {
                None => return draft.keep(Step::Describe, None),
                // What else was edited does not wait for that.
                Some(trouble) => {
                    uncompared = Some((draft.status.observed_generation, draft.until(trouble.retry_at)));
                }
            },
            Candidate::Found(found) => draft.status.differences.clone_from(&found.differences),
            Candidate::Unknown => {}
        }
    }
    let mut plan = if draft.observes() { observe::plan(draft) } else { run::plan(draft) };
    if let Some((before, wait)) = uncompared {
        // The edit counts as seen once it was compared, and no condition says otherwise.
        plan.status.observed_generation = before;
        for condition in &mut plan.status.conditions {
            condition.observed_generation = condition.observed_generation.map(|seen| seen.min(before));
        }
        if plan.look_again.is_none_or(|again| again.after > wait) {
            plan.look_again = LookAgain::after(wait);
        }
    }
    plan
}

/// Trouble with the last look whose time to try again has not come; that of another call holds no look.
fn held_look<'a>(draft: &Draft<'a>) -> Option<&'a Trouble> {
    run::held(draft).filter(|trouble| trouble.call == Call::Look)
}

fn take_over(draft: Draft<'_>) -> Plan {
    let (mut draft, link) = match draft.link() {
        Ok(linked) => linked,
        Err(plan) => return *plan,
    };
    draft.status.suspended_at = None;
    if !draft.observes()
        && let Some(rival) = draft.rival()
    {
        return claimed(draft, rival);
    }
    if !draft.is_nudged() && *draft.view.candidate == Candidate::NotRead {
        let stored = situation::find(&draft.status.conditions, types::READY);
        if stored.is_some_and(|ready| ready.reason == Reason::NotAdoptable.as_str()) {
            return draft.keep(Step::Rest, None);
        }
        if let Some(at) = draft.status.next_attempt_at.as_ref().map(|at| at.0)
            && at > draft.view.now
        {
            let again = LookAgain::after(draft.until(at));
            return draft.keep(Step::Rest, again);
        }
    }
    match draft.view.candidate {
        Candidate::NotRead => {
            let Some(trouble) = held_look(&draft) else { return draft.keep(Step::Describe, None) };
            let again = LookAgain::after(draft.until(trouble.retry_at));
            draft.status.next_attempt_at = None;
            draft.finish(words::situation(trouble), Step::Rest, again)
        }
        Candidate::Unknown => unknown(draft, link),
        Candidate::Found(found) => match &found.part_of {
            Some(whole) => part(draft, whole),
            None if !draft.observes() && !draft.has_finalizer() => draft.keep(Step::AddFinalizer, None),
            None => record(draft, link, found),
        },
    }
}

fn refuse(mut draft: Draft<'_>, row: Row, reason: Reason, message: String, again: Option<Duration>) -> Plan {
    draft.set(types::ADOPTED, "False", reason, &message);
    draft.finish(Situation::new(row, reason, message), Step::Rest, again.and_then(LookAgain::after))
}

fn unknown(mut draft: Draft<'_>, link: &LinkUp) -> Plan {
    let message = format!(
        "Project {} at {} has no {} {}, named by `{}`. Correct the ID, or refer to the connection of its project; the \
         operator looks again",
        link.pinned.project_id,
        link.pinned.endpoint,
        draft.wish().kind.thing(),
        draft.wish().adopt.unwrap_or_default(),
        draft.wish().kind.adopts_by(),
    );
    draft.status.next_attempt_at = Some(whole_seconds(later(draft.view.now, LOOK)));
    refuse(draft, Row::Blocked, Reason::AdoptionTargetNotFound, message, Some(LOOK))
}

fn part(mut draft: Draft<'_>, whole: &Whole) -> Plan {
    let instead = match whole {
        Whole::TaskGroup(id) if id.is_empty() => {
            "a task group, which is adopted as a whole: adopt it with a TaskGroup".to_owned()
        }
        Whole::TaskGroup(id) => {
            format!("task group {id}, which is adopted as a whole: adopt it with a TaskGroup")
        }
        Whole::SyncTask => "a sync task: adopt that with a SyncTask".to_owned(),
    };
    let message = format!(
        "Task {}, named by `{}`, belongs to {instead}, or correct the ID",
        draft.wish().adopt.unwrap_or_default(),
        draft.wish().kind.adopts_by(),
    );
    draft.status.next_attempt_at = None;
    refuse(draft, Row::Hopeless, Reason::NotAdoptable, message, None)
}

fn claimed(mut draft: Draft<'_>, rival: &Claim) -> Plan {
    let has = if rival.made { "made" } else { "claimed, earlier," };
    let message = format!(
        "{} `{}` {has} {} {}, named by `{}`: the operator changes nothing for this object. Delete one of the two; this \
         one takes the task over when the other is gone",
        draft.wish().kind,
        rival.name,
        draft.wish().kind.thing(),
        draft.wish().adopt.unwrap_or_default(),
        draft.wish().kind.adopts_by(),
    );
    draft.status.next_attempt_at = None;
    // What the other does with the task is no drift from here.
    situation::remove(&mut draft.status.conditions, types::DRIFTED);
    refuse(draft, Row::Blocked, Reason::ClaimedByAnother, message, Some(CLAIM))
}

/// Records the task: from here on it is looked after as one of our own.
fn record(mut draft: Draft<'_>, link: &LinkUp, found: &Described) -> Plan {
    // A word of `spec.rerun` that was there from the start names this run.
    rerun::name_run(&mut draft);
    let status = &mut draft.status;
    status.connection = Some(link.pinned.clone());
    status.task_id = Some(found.task.id.to_string());
    status.adopted = Some(true);
    status.attempt = Some(1);
    status.failure = None;
    status.next_attempt_at = None;
    status.differences.clone_from(&found.differences);
    drift::begin(&mut draft);
    let mut taken_over = draft.clone();
    let plan =
        if draft.observes() { observe::known(draft, &found.task) } else { run::known(draft, &found.task) };
    let plan = if plan.step.is_look() {
        // It is about to be started, which takes another look.
        tell(&mut taken_over);
        let situation = Situation::new(Row::Active, Reason::Resuming, "The task is being started again");
        taken_over.finish(situation, Step::Rest, None)
    } else {
        plan
    };
    // On record first; what there is to do comes with the next look.
    Plan { step: Step::Rest, look_again: LookAgain::after(Duration::ZERO), ..plan }
}

/// Says that the task was taken over, and how far it is what the spec says.
pub(super) fn tell(draft: &mut Draft<'_>) {
    if draft.status.adopted != Some(true) {
        situation::remove(&mut draft.status.conditions, types::ADOPTED);
        return;
    }
    let fields: Vec<_> =
        draft.status.differences.iter().map(|difference| format!("`{}`", difference.field)).collect();
    let id = draft.status.task_id.clone().unwrap_or_default();
    let thing = draft.wish().kind.thing();
    let differs = if fields.is_empty() {
        "and is what the spec says".to_owned()
    } else {
        format!(
            "and is not what the spec says in {}; `status.differences` has the values. OMS cannot change most of them: correct \
             the manifest, or leave it so",
            fields.join(", ")
        )
    };
    if draft.observes() {
        let message = format!("The {thing} {id} is looked at and never changed, {differs}");
        draft.set(types::ADOPTED, "False", Reason::Observed, &message);
        return;
    }
    let reason = if fields.is_empty() { Reason::Adopted } else { Reason::AdoptedWithDifferences };
    draft.set(types::ADOPTED, "True", reason, &format!("The {thing} {id} was taken over {differs}"));
}
