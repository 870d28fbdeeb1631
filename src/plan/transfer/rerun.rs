//! Further runs: `spec.rerun` asks for one with a word, once per word, and each is a new task at OMS.
//!
//! A run begins with one write: the present run goes on record as a former one, and the object is then created as at the
//! first time, with a token that the word is part of. So the rules of the create hold for every run alike.

use super::{Draft, LookAgain, Plan, Step, create};
use crate::api::conditions::{Reason, types};
use crate::api::{FormerRun, ManagementPolicy, ObjectCounts, Phase, TransferStatus};
use crate::plan::seen::{RemoteId, RemoteState, RemoteTask, Search};
use crate::plan::situation::{self, Row, Situation, whole_seconds};
use crate::plan::token::Token;
use crate::plan::wish::Wish;

/// How many former runs are told.
const HISTORY: usize = 10;
/// How many IDs of still older ones are kept.
const OLDER: usize = 500;
/// How many answered words are kept.
const ANSWERED: usize = 100;

/// The word that wants a run and was not answered.
pub(super) fn wanted<'a>(wish: &Wish<'a>, status: &TransferStatus) -> Option<&'a str> {
    let word = word(wish).filter(|_| !observes(wish))?;
    (!is_answered(status, word)).then_some(word)
}

/// Whether the operator runs nothing, whatever the word: the task is only looked at.
fn observes(wish: &Wish<'_>) -> bool {
    wish.lifecycle.management_policy == ManagementPolicy::Observe
}

fn word<'a>(wish: &Wish<'a>) -> Option<&'a str> {
    wish.runs?.rerun.as_deref().filter(|word| !word.is_empty())
}

fn is_answered(status: &TransferStatus, word: &str) -> bool {
    status.rerun.as_deref() == Some(word)
        || status.answered_reruns.iter().any(|answered| answered == word || is_token_of(answered, word))
}

/// Whether a text is the token of a task that a word asked for: what is left of a word that got lost with the status.
fn is_token_of(text: &str, word: &str) -> bool {
    Token::parse(text).is_some_and(|token| Token::new(token.object.clone(), word, 1).same_run(&token))
}

fn answer(status: &mut TransferStatus, word: &str) {
    if !status.answered_reruns.iter().any(|answered| answered == word) {
        status.answered_reruns.push(word.to_owned());
        let surplus = status.answered_reruns.len().saturating_sub(ANSWERED);
        status.answered_reruns.drain(..surplus);
    }
}

/// The word that wants a run now: what is stored says that the present one ended well.
pub(super) fn due<'a>(draft: &Draft<'a>) -> Option<&'a str> {
    let ended = matches!(draft.status.phase, Some(Phase::Succeeded | Phase::SucceededWithFailures));
    wanted(draft.wish(), &draft.status).filter(|_| ended)
}

/// Puts the present run, which ended so, on record as a former one; the next is created as the first was.
pub(super) fn begin(mut draft: Draft<'_>, word: &str, ended: Phase) -> Plan {
    let status = &mut draft.status;
    let run = status.run.unwrap_or(1);
    let progress = status.progress.take().unwrap_or_default();
    if let Some(task_id) = status.task_id.take() {
        let former = FormerRun {
            run,
            rerun: status.rerun.take(),
            task_id,
            phase: ended,
            started_at: status.started_at.take(),
            finished_at: status.finished_at.take(),
            objects: progress.objects,
            bytes: progress.bytes.done,
        };
        file(status, former);
    }
    let next = run.saturating_add(1);
    *status = TransferStatus {
        observed_generation: status.observed_generation,
        phase: status.phase,
        conditions: std::mem::take(&mut status.conditions),
        connection: status.connection.take(),
        // What was adopted is left behind: the new task is one of our own.
        adopted: status.adopted.map(|_| false),
        run: Some(next),
        rerun: Some(word.to_owned()),
        answered_reruns: std::mem::take(&mut status.answered_reruns),
        history: std::mem::take(&mut status.history),
        older_task_ids: std::mem::take(&mut status.older_task_ids),
        attempt: Some(1),
        observed_credentials: std::mem::take(&mut status.observed_credentials),
        last_handled_reconcile_at: status.last_handled_reconcile_at.take(),
        ..TransferStatus::default()
    };
    answer(status, word);
    // Whatever somebody did to the former task, the new one is as the spec says.
    situation::remove(&mut draft.status.conditions, types::DRIFTED);
    let message =
        format!("Run {next} begins, as `spec.rerun` asks with `{word}`: a new task with the same spec");
    let situation = Situation::new(Row::Creating, Reason::RunBegins, message);
    draft.finish(situation, Step::Rest, LookAgain::after(std::time::Duration::ZERO))
}

fn file(status: &mut TransferStatus, former: FormerRun) {
    status.history.push(former);
    let surplus = status.history.len().saturating_sub(HISTORY);
    status.older_task_ids.extend(status.history.drain(..surplus).map(|run| run.task_id));
    let surplus = status.older_task_ids.len().saturating_sub(OLDER);
    status.older_task_ids.drain(..surplus);
}

/// Names the run that is about to be created: until then another word may ask for it.
pub(super) fn name_run(draft: &mut Draft<'_>) {
    let wish = draft.wish();
    let status = &mut draft.status;
    status.run.get_or_insert(1);
    if status.attempt.is_some_and(|attempt| attempt > 1) {
        // It was created before, and keeps its name.
        return;
    }
    let target = match word(wish) {
        Some(word) if status.rerun.as_deref() == Some(word) || !is_answered(status, word) => {
            Some(word.to_owned())
        }
        _ if status.history.is_empty() => None,
        _ => status.rerun.clone(),
    };
    if target != status.rerun {
        // Nothing was created for the former word, so it was not answered either.
        let before = status.rerun.take();
        status.answered_reruns.retain(|answered| Some(answered) != before.as_ref());
        status.rerun.clone_from(&target);
    }
    if let Some(word) = target {
        answer(status, &word);
    }
}

/// The token of an attempt of the present run.
pub(super) fn token(draft: &Draft<'_>, attempt: i64) -> Token {
    Token::new(draft.view.mark.clone(), draft.status.rerun.as_deref().unwrap_or_default(), attempt)
}

/// The part of what a search found that is about the run which the intent on record would create: once former runs are
/// on record, what they left at OMS is none of its business.
pub fn of_present_run(status: Option<&TransferStatus>, found: Vec<RemoteTask>) -> Vec<RemoteTask> {
    let intent = status
        .filter(|status| !status.history.is_empty())
        .and_then(|status| status.create.as_ref())
        .and_then(|create| Token::parse(&create.token));
    let Some(intent) = intent else { return found };
    found.into_iter().filter(|task| task.token.as_ref().is_none_or(|token| token.same_run(&intent))).collect()
}

/// What a search that found tasks with our mark means for the create that is under way.
pub(super) enum Claim<'t> {
    /// This is the task of the present run.
    Task(&'t RemoteTask),
    /// Only earlier attempts of the present run, which a list may still show.
    Earlier(&'t RemoteTask),
    /// Former runs, of which the status knew nothing: it was lost.
    Former,
}

/// Whether a search found more than what is on record of former runs.
pub(super) fn is_news(draft: &Draft<'_>, found: &[RemoteTask]) -> bool {
    found.iter().any(|task| !is_on_record(&draft.status, &task.id))
}

/// Says which of the tasks that a search found is the present run's. Others than its own come only after a lost status.
pub(super) fn claim<'t>(draft: &Draft<'_>, found: &'t [RemoteTask]) -> Claim<'t> {
    let intent = draft.status.create.as_ref().and_then(|create| Token::parse(&create.token));
    // A later attempt is on record, so the status was not lost; at most the word of the present run was, before.
    let later = draft.status.attempt.is_some_and(|attempt| attempt > 1);
    let is_own = |task: &&RemoteTask| match (&intent, &task.token) {
        (Some(intent), Some(token)) => later || token.same_run(intent),
        _ => true,
    };
    let (own, others): (Vec<_>, Vec<_>) =
        found.iter().filter(|task| !is_on_record(&draft.status, &task.id)).partition(is_own);
    let live = |tasks: &[&'t RemoteTask]| newest(tasks.iter().copied().filter(|task| is_live(task)));
    match (create::best(draft, own.iter().copied()), live(&others)) {
        // What is at work is the present run, whatever the spec asks for next.
        (best, Some(other)) if !best.is_some_and(is_live) => Claim::Task(other),
        (Some(task), _) => {
            // Without a word it cannot be told which run was the last.
            let all = own.iter().chain(&others).copied();
            let last = word(draft.wish()).is_none().then(|| newest(all)).flatten();
            Claim::Task(last.filter(|last| !is_own(last)).unwrap_or(task))
        }
        (None, _) => match own.first() {
            Some(earlier) => Claim::Earlier(earlier),
            None if word(draft.wish()).is_none() => {
                newest(others.into_iter()).map_or(Claim::Former, Claim::Task)
            }
            None => Claim::Former,
        },
    }
}

fn is_live(task: &RemoteTask) -> bool {
    task.state.is_active() || task.state == RemoteState::Stopped
}

fn newest<'t>(tasks: impl Iterator<Item = &'t RemoteTask>) -> Option<&'t RemoteTask> {
    tasks.max_by_key(|task| (task.started_at, &task.id))
}

/// Puts former runs that a search found on record, when the status was lost: all but the present run's task. Says
/// whether there were any.
pub(super) fn recall(draft: &mut Draft<'_>, present: Option<&RemoteTask>) -> bool {
    let Search::Done { found, .. } = draft.view.search else { return false };
    let run = match (present, &draft.status.create) {
        (Some(task), _) => task.token.clone(),
        (None, Some(create)) => Token::parse(&create.token),
        (None, None) => None,
    };
    let Some(run) = run else { return false };
    let word = word(draft.wish());
    let asked = word.map(|word| Token::new(draft.view.mark.clone(), word, 1));
    let is_asked = asked.as_ref().is_some_and(|asked| asked.same_run(&run));
    let is_named = token(draft, 1).same_run(&run);
    let status = &mut draft.status;
    if is_asked {
        status.rerun = word.map(ToOwned::to_owned);
    } else if present.is_some() && !is_named {
        // Its word went with the status, and the one that is asked for now is not answered by it.
        let before = status.rerun.take();
        status.answered_reruns.retain(|answered| Some(answered) != before.as_ref());
        keep_token(status, &run);
    }
    let mut former: Vec<_> = found
        .iter()
        .filter(|task| task.token.as_ref().is_some_and(|token| !token.same_run(&run)))
        .filter(|task| !is_on_record(status, &task.id))
        .collect();
    former.sort_by_key(|task| (task.started_at, &task.id));
    let any = !former.is_empty();
    for task in former {
        if let Some(token) = &task.token {
            keep_token(status, token);
        }
        let number =
            i64::try_from(status.history.len() + status.older_task_ids.len()).unwrap_or_default() + 1;
        file(status, of_found(task, number));
        status.run = Some(number + 1);
    }
    any
}

/// Of a run whose word got lost, its token says which word it was.
fn keep_token(status: &mut TransferStatus, token: &Token) {
    let nobody_asked = Token::new(token.object.clone(), "", 1).same_run(token);
    if !nobody_asked {
        answer(status, &token.to_string());
    }
}

fn of_found(task: &RemoteTask, run: i64) -> FormerRun {
    FormerRun {
        run,
        rerun: None,
        task_id: task.id.to_string(),
        phase: match task.state {
            RemoteState::Succeeded if task.counters.failed == 0 => Phase::Succeeded,
            RemoteState::Succeeded => Phase::SucceededWithFailures,
            RemoteState::Failed => Phase::Failed,
            _ => Phase::Stopped,
        },
        started_at: task.started_at.map(whole_seconds),
        finished_at: task.started_at.map(|at| whole_seconds(super::later(at, task.took))),
        objects: ObjectCounts {
            total: task.counters.total,
            succeeded: task.counters.succeeded,
            failed: task.counters.failed,
            skipped: task.counters.skipped,
        },
        bytes: task.counters.bytes_done,
    }
}

/// Whether a task is that of a former run.
pub(super) fn is_on_record(status: &TransferStatus, id: &RemoteId) -> bool {
    status.history.iter().any(|run| run.task_id == id.as_str())
        || status.older_task_ids.iter().any(|older| older == id.as_str())
}

/// Takes the last former run off the record, for a clean-up that goes back run by run.
pub(super) fn take_last(status: &mut TransferStatus) -> Option<String> {
    status.history.pop().map(|run| run.task_id).or_else(|| status.older_task_ids.pop())
}

/// The tasks of former runs.
pub(super) fn former_ids(status: &TransferStatus) -> impl Iterator<Item = &str> {
    status
        .history
        .iter()
        .map(|run| run.task_id.as_str())
        .chain(status.older_task_ids.iter().map(String::as_str))
}

/// Tells of a word that waits, or that was answered before.
pub(super) fn tell(draft: &mut Draft<'_>, row: Row) {
    let begun = draft.status.task_id.is_some() || draft.status.create.is_some();
    let under_way = matches!(
        row,
        Row::Creating
            | Row::Active
            | Row::Stopping
            | Row::Suspended
            | Row::StoppedExternally
            | Row::Blocked
            | Row::Queued
    );
    match word(draft.wish()).filter(|_| !observes(draft.wish())) {
        Some(word) if begun && under_way && !is_answered(&draft.status, word) => {
            let what = match row {
                Row::Suspended | Row::StoppedExternally => {
                    "is stopped and can go on, so it is not over: start it again, or delete its task at the OMS console"
                }
                _ => "is not over. Nothing to do; the operator begins the next one then",
            };
            let message =
                format!("`spec.rerun` asks for another run with `{word}`, but the present run {what}");
            draft.set(types::RERUN_PENDING, "True", Reason::RunUnderWay, &message);
        }
        Some(word)
            if row != Row::Deleting
                && draft.status.rerun.as_deref() != Some(word)
                && is_answered(&draft.status, word) =>
        {
            let message = format!(
                "An earlier run answered `{word}`, and no word runs twice. Set `spec.rerun` to a new one"
            );
            draft.set(types::RERUN_PENDING, "False", Reason::RerunAnswered, &message);
        }
        _ => situation::remove(&mut draft.status.conditions, types::RERUN_PENDING),
    }
}
