//! What OMS's checks found, shared by all objects of a project: a hundred objects with the same buckets and keys cost one
//! round of checks, and wrong keys are not tried a hundred times, which OMS would count (OMS.0090, OMS.1015).

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use super::wake::{Target, Waker};
use crate::api::CheckResult;
use crate::plan::preflight::Outcome;

/// How many checks are under way at once in a project, so that OMS throttles none.
const AT_ONCE: usize = 4;

/// How long a good result serves others too.
const GOOD: Duration = Duration::from_mins(10);

/// How long a bad one does.
const BAD: Duration = Duration::from_secs(15);

/// What was asked, with which keys: a hash of it, in memory only.
pub(super) type Question = [u8; 32];

/// Results of checks.
#[derive(Default)]
pub(super) struct Findings(Mutex<State>);

#[derive(Default)]
struct State {
    known: HashMap<Question, (Outcome, Timestamp)>,
    under_way: HashSet<Question>,
    waiting: HashSet<Target>,
}

/// What to do about a question.
pub(super) enum Begin<'a> {
    /// Nothing: this is the answer.
    Known(Outcome),
    /// Wait to be woken: it is being asked, or too much is.
    Busy,
    /// Ask it.
    Ask(Asking<'a>),
}

/// A question under way. Dropping it without an answer lets others ask.
pub(super) struct Asking<'a> {
    findings: &'a Findings,
    question: Question,
    waker: &'a Waker,
}

impl Findings {
    /// Takes a question up. `anew`: somebody asked for a look, so that an old refusal is no answer.
    pub(super) fn begin<'a>(
        &'a self,
        question: Question,
        target: Target,
        anew: bool,
        (now, waker): (Timestamp, &'a Waker),
    ) -> Begin<'a> {
        let mut state = self.lock();
        state.known.retain(|_, (outcome, at)| *at + validity(outcome) > now);
        if let Some((outcome, _)) = state.known.get(&question)
            && !(anew && outcome.result == CheckResult::Failed)
        {
            return Begin::Known(outcome.clone());
        }
        if state.under_way.len() >= AT_ONCE || state.under_way.contains(&question) {
            state.waiting.insert(target);
            return Begin::Busy;
        }
        state.under_way.insert(question);
        Begin::Ask(Asking { findings: self, question, waker })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn validity(outcome: &Outcome) -> Duration {
    if outcome.result == CheckResult::Failed { BAD } else { GOOD }
}

impl Asking<'_> {
    /// The answer.
    pub(super) fn answer(self, outcome: Outcome, now: Timestamp) {
        self.findings.lock().known.insert(self.question, (outcome, now));
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        let mut state = self.findings.lock();
        state.under_way.remove(&self.question);
        for target in state.waiting.drain() {
            self.waker.wake(&target);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::wish::Kind;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn target() -> Target {
        Target { kind: Kind::MigrationTask, namespace: "a".into(), name: "b".into() }
    }

    #[test]
    fn a_question_is_asked_once_for_all_and_a_refusal_is_not_believed_for_long() {
        let (waker, mut queues) = Waker::new();
        let findings = Findings::default();
        let begin = |anew, second| findings.begin([1; 32], target(), anew, (at(second), &waker));
        let Begin::Ask(asking) = begin(false, 0) else { panic!("nobody has asked") };
        assert!(matches!(begin(false, 0), Begin::Busy));
        asking.answer(Outcome::failed("no"), at(0));
        assert!(queues.migration_tasks.try_recv().is_ok(), "who waited is woken");
        assert!(matches!(begin(false, 1), Begin::Known(outcome) if outcome.message == "no"));
        assert!(matches!(begin(true, 1), Begin::Ask(_)), "somebody says it is mended");
        let Begin::Ask(asking) = begin(false, 16) else { panic!("it is old") };
        asking.answer(Outcome::passed(), at(16));
        assert!(matches!(begin(true, 500), Begin::Known(_)), "what is good stays good for a while");
        assert!(matches!(begin(false, 16 + 600), Begin::Ask(_)));
    }

    #[test]
    fn few_questions_are_under_way_at_once_and_one_that_was_given_up_can_be_asked_again() {
        let (waker, _queues) = Waker::new();
        let findings = Findings::default();
        let begin = |number| findings.begin([number; 32], target(), false, (at(0), &waker));
        let asked: Vec<_> = (0..4).map(begin).collect();
        assert!(asked.iter().all(|begun| matches!(begun, Begin::Ask(_))));
        assert!(matches!(begin(4), Begin::Busy));
        drop(asked);
        assert!(matches!(begin(4), Begin::Ask(_)));
        assert!(matches!(begin(0), Begin::Ask(_)));
    }
}
