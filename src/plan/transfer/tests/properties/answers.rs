//! What the looks show that a plan asks for.

use std::time::Duration;

use jiff::Timestamp;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::super::scene::{NUMBER, Scene, id};
use super::strategies::{
    all_keys, candidates, counters, failures, members, ours, task_at_oms, turns_in_line,
};
use crate::api::CheckResult;
use crate::api::conditions::Reason;
use crate::plan::census::{Census, Counted};
use crate::plan::preflight::{Finding, Outcome};
use crate::plan::queue::Turn;
use crate::plan::seen::{Candidate, Described, Keys, Remote, RemoteTask, Search};
use crate::plan::transfer::Step;
use crate::plan::wish::Kind;

/// What each look shows, when a plan asks for it.
#[derive(Clone, Debug)]
pub(super) struct Answers {
    keys: Keys,
    turn: Turn,
    task: Option<RemoteTask>,
    candidate: Candidate,
    counted: Option<Counted>,
    checks: Vec<CheckResult>,
    found: Vec<RemoteTask>,
}

impl Answers {
    /// Shows the process what it asked for; false when that was no look.
    pub(super) fn show(&mut self, scene: &mut Scene, step: &Step) -> bool {
        match step {
            Step::ReadKeys => scene.keys = self.keys.clone(),
            Step::LineUp => scene.turn = Some(self.turn.clone()),
            Step::Show => {
                let id = scene.stored().task_id.map_or_else(id, Into::into);
                let task = self.task.clone().map(|task| Box::new(RemoteTask { id, ..task }));
                scene.remote = task.map_or(Remote::Gone, Remote::Known);
            }
            Step::Describe => scene.candidate = named(scene, self.candidate.clone()),
            Step::CountMembers => {
                let Remote::Known(group) = &scene.remote else { panic!("nothing to count") };
                let (state, counters) = (group.state, group.counters.clone());
                scene.census = Some(Census { at: scene.now, state, counters, counted: self.counted.clone() });
            }
            Step::Check { check, subject } => {
                let outcome = match self.checks.pop() {
                    Some(CheckResult::Failed) => Outcome::failed("It would fail"),
                    Some(CheckResult::NotPossible) => Outcome::not_possible("It cannot be told"),
                    Some(CheckResult::Passed) | None => Outcome::passed(),
                };
                let (check, subject, at) = (*check, subject.clone(), scene.now);
                scene.findings.push(Finding { check, subject, at, outcome });
            }
            Step::Search => {
                let wanted =
                    scene.stored().create.map(|create| create.sent_at.unwrap_or(create.started_at).0);
                let deleted = scene.task.metadata.deletion_timestamp.as_ref().map(|at| at.0);
                let after = wanted.or(deleted).unwrap_or(Timestamp::MIN).max(scene.now);
                scene.now = after + Duration::from_millis(1);
                let empty = if self.found.is_empty() { vec![scene.now] } else { Vec::new() };
                scene.search = Search::Done { started_at: scene.now, found: self.found.clone(), empty };
            }
            _ => return false,
        }
        true
    }
}

prop_compose! {
    pub(super) fn answers(kind: Kind)(
        keys in all_keys(),
        turn in turns_in_line(),
        task in option::weighted(0.8, task_at_oms(kind, NUMBER).boxed()),
        candidate in candidates(kind),
        counted in option::of((members(), counters().boxed(), failures())),
        checks in prop::collection::vec(
            select(vec![CheckResult::Passed, CheckResult::Passed, CheckResult::NotPossible, CheckResult::Failed]), 0..4
        ),
        found in option::weighted(0.3, ours(kind, NUMBER).boxed()),
    ) -> Answers {
        let missing = || Keys::Missing { reason: Reason::SecretNotFound, message: "Create the Secret".into() };
        Answers {
            keys: if keys == Keys::NotRead { missing() } else { keys },
            turn: turn.unwrap_or(Turn::Now),
            task,
            candidate: if candidate == Candidate::NotRead { Candidate::Unknown } else { candidate },
            counted: counted.map(|(members, counters, worst)| Counted { members, counters, worst }),
            checks,
            found: found.into_iter().collect(),
        }
    }
}

/// With the ID that was asked for.
pub(super) fn named(scene: &Scene, candidate: Candidate) -> Candidate {
    let id = scene.task.spec.adopt.as_ref().map_or_else(id, |adopt| adopt.task_id.clone().into());
    match candidate {
        Candidate::Found(found) => {
            Candidate::Found(Box::new(Described { task: RemoteTask { id, ..found.task }, ..*found }))
        }
        other => other,
    }
}
