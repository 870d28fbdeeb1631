//! A small world without I/O: OMS, one object, one process with a memory that a crash takes. Whatever happened in
//! it, at most one task exists at a time, and once nothing fails any more the goal is reached and then it is quiet.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use proptest::prelude::*;
use proptest::sample::select;

use super::super::{Plan, Step, of_present_run, rerun};
use super::scene::{NUMBER, Scene, keys, scene};
use crate::api::conditions::{Reason, types};
use crate::api::{self, DeletionPolicy, Phase};
use crate::plan::seen::{
    Call, Counters, Delivered, Keys, Remote, RemoteId, RemoteState, RemoteTask, Search, Trouble, TroubleKind,
};
use crate::plan::situation;
use crate::plan::token::Token;
use crate::plan::wish::Wish;

/// OMS refuses a signature that is older.
const SIGNATURE_AGE: Duration = Duration::from_mins(15);

/// How long a list may show what was before.
const LIST_LAG: Duration = Duration::from_mins(1);

/// What goes wrong with the one write or call of a pass.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    None,
    /// The process dies before.
    CrashBefore,
    /// It has its effect, and the process dies before it hears of it.
    CrashAfter,
    /// It has its effect, and the answer gets lost.
    ReplyLost,
    /// The answer gets lost, and a create has its effect later.
    ArrivesLate,
    /// The answer gets lost, and so did the call.
    NeverArrives,
    /// The call was never sent.
    NotSent,
    /// OMS refuses it.
    Refused(TroubleKind),
}

const FAULTS: [Fault; 13] = [
    Fault::None,
    Fault::CrashBefore,
    Fault::CrashAfter,
    Fault::ReplyLost,
    Fault::ArrivesLate,
    Fault::NeverArrives,
    Fault::NotSent,
    Fault::Refused(TroubleKind::Invalid),
    Fault::Refused(TroubleKind::BucketCredentials),
    Fault::Refused(TroubleKind::Quota),
    Fault::Refused(TroubleKind::Conflict),
    Fault::Refused(TroubleKind::Throttled),
    Fault::Refused(TroubleKind::Transient),
];

/// What OMS does by itself.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Turn {
    /// The next state on the way to success.
    Onward,
    /// A running task fails because of its surroundings.
    Fail,
    /// OMS checks by itself for a while.
    Check,
}

#[derive(Clone, Copy, Debug)]
enum Event {
    Pass(Fault),
    Oms(Turn),
    Wait(u16),
    Poll,
    Crash,
    /// A create whose answer was lost arrives.
    Arrive,
    Suspend(bool),
    Delete,
    Secret(bool),
    Connection(bool),
    RotateKeys,
    EraseStatus,
    /// `spec.rerun` gets this word.
    Rerun(&'static str),
}

struct World {
    scene: Scene,
    /// Tasks at OMS, and since when they exist.
    tasks: Vec<(RemoteTask, Timestamp)>,
    /// Tasks that were deleted, and when: lists may still show them.
    deleted: Vec<(RemoteTask, Timestamp)>,
    /// Creates that may still arrive, and until when.
    late: Vec<(Token, Timestamp)>,
    ids: u64,
    secret: bool,
    digest: &'static str,
    /// Whether the status was lost.
    erased: bool,
    /// Runs of which a task ended: none of them may be created again.
    ended: Vec<Token>,
    /// Whether the clean-up was given up, and said so.
    abandoned: bool,
    // The memory of the process.
    sight: Option<(Remote, Timestamp)>,
    stale_from: Option<Timestamp>,
    scan: Option<(Timestamp, Vec<RemoteTask>)>,
    empty: Vec<Timestamp>,
    // What it did.
    writes: u32,
    calls: u32,
    creates: u32,
}

impl World {
    fn new(policy: DeletionPolicy) -> Self {
        Self {
            scene: scene().spec(|spec| spec.lifecycle.deletion_policy = Some(policy)),
            tasks: Vec::new(),
            deleted: Vec::new(),
            late: Vec::new(),
            ids: NUMBER,
            secret: true,
            digest: "one",
            erased: false,
            ended: Vec::new(),
            abandoned: false,
            sight: None,
            stale_from: None,
            scan: None,
            empty: Vec::new(),
            writes: 0,
            calls: 0,
            creates: 0,
        }
    }

    fn now(&self) -> Timestamp {
        self.scene.now
    }

    fn is_deleted(&self) -> bool {
        self.scene.task.metadata.deletion_timestamp.is_some()
    }

    fn object_is_gone(&self) -> bool {
        self.is_deleted() && self.scene.task.metadata.finalizers.is_none()
    }

    fn id(&self) -> Option<RemoteId> {
        self.scene.stored().task_id.map(RemoteId::from)
    }

    fn task(&mut self, id: &RemoteId) -> Option<&mut RemoteTask> {
        self.tasks.iter_mut().map(|(task, _)| task).find(|task| task.id == *id)
    }

    /// Everything takes its time, if only a moment.
    fn tick(&mut self) {
        self.scene.now += Duration::from_millis(10);
    }

    /// Everything that only the process knew is gone.
    fn crash(&mut self) {
        let scene = &mut self.scene;
        (scene.permit, scene.created, scene.trouble, scene.started_again_at) = (None, None, None, None);
        (self.sight, self.stale_from, self.scan) = (None, None, None);
        self.empty.clear();
    }

    fn arrive(&mut self, token: &Token) -> (RemoteId, String) {
        assert!(!self.ended.iter().any(|ended| ended.same_run(token)), "{token} runs twice");
        self.ids += 1;
        let (id, name) = (RemoteId::from(self.ids), format!("task-{}", self.ids));
        let task = RemoteTask {
            id: id.clone(),
            name: name.clone(),
            token: Some(token.clone()),
            ..super::scene::remote(RemoteState::Waiting)
        };
        self.tasks.push((task, self.now()));
        self.creates += 1;
        (id, name)
    }

    /// What the recorded task looks like now.
    fn look(&mut self) {
        let Some(id) = self.id() else { return };
        self.tick();
        let now = self.now();
        let seen = self.task(&id).cloned().map_or(Remote::Gone, |task| Remote::Known(Box::new(task)));
        self.sight = Some((seen, now));
    }

    /// All tasks, as a list has them that lags behind.
    fn search(&mut self) {
        let before = self.now() - LIST_LAG;
        let there = self.tasks.iter().filter(|(_, since)| *since <= before);
        let still = self.deleted.iter().filter(|(_, until)| *until >= before);
        let found: Vec<_> = there.chain(still).map(|(task, _)| task.clone()).collect();
        self.scan = Some((self.now(), found));
    }

    /// Fills in what the process knows, as the engine does.
    fn view(&mut self) {
        let now = self.now();
        let stale = self.stale_from.filter(|from| *from <= now);
        let stale = stale.is_some_and(|from| self.sight.as_ref().is_none_or(|(_, seen)| *seen <= from));
        let deleted = self.is_deleted();
        self.scene.remote = match (self.id(), &self.sight) {
            (Some(_), _) if stale => Remote::Stale,
            (Some(_), Some((seen, _))) => seen.clone(),
            (Some(_), None) if deleted => Remote::Stale,
            _ => Remote::Pending,
        };
        let deleted_at = self.scene.task.metadata.deletion_timestamp.as_ref().map(|at| at.0);
        let wanted = self.scene.stored().create.map(|create| create.started_at.0).or(deleted_at);
        self.scene.search = match (&self.scan, wanted) {
            (Some((started_at, found)), Some(wanted)) if *started_at > wanted => {
                let found = of_present_run(self.scene.task.status.as_ref(), found.clone());
                if !found.is_empty() {
                    self.empty.clear();
                } else if self.empty.last().is_none_or(|last| last < started_at) {
                    self.empty.push(*started_at);
                }
                let empty = self.empty.clone();
                Search::Done { started_at: *started_at, found, empty }
            }
            _ => Search::None,
        };
        let id = self.id();
        let known = self.scan.iter().flat_map(|(_, found)| found);
        let live = known.filter(|task| task.state.is_active() || task.state == RemoteState::Stopped);
        self.scene.siblings = match id {
            Some(id) => live.filter(|task| task.id != id).cloned().collect(),
            None => Vec::new(),
        };
    }

    /// One pass of the engine; whether it wrote or called, and when it wants to look again.
    fn pass(&mut self, fault: Fault) -> (bool, Option<Duration>) {
        // The engine reads them when a Secret has another version than the one that was sent.
        let sent = self.scene.stored().observed_credentials.first().map(|sent| sent.digest.clone());
        let moved = self.id().is_some() && self.secret && sent.as_deref() != Some(self.digest);
        self.scene.keys = if moved { Keys::Ready(keys(self.digest)) } else { Keys::NotRead };
        self.tick();
        if self.object_is_gone() {
            return (false, None);
        }
        for _ in 0..4 {
            self.view();
            let plan = self.scene.plan();
            match plan.step {
                Step::ReadKeys => {
                    self.scene.keys = if self.secret {
                        Keys::Ready(keys(self.digest))
                    } else {
                        let message = "The Secret is missing. Create it".into();
                        Keys::Missing { reason: Reason::SecretNotFound, message }
                    };
                }
                Step::Show => self.look(),
                Step::Search => {
                    self.tick();
                    self.search();
                    if plan.status != self.scene.stored() {
                        self.write(&plan, fault);
                        return (true, None);
                    }
                }
                _ => return self.carry_out(&plan, fault),
            }
        }
        (false, Some(Duration::from_secs(1)))
    }

    fn carry_out(&mut self, plan: &Plan, fault: Fault) -> (bool, Option<Duration>) {
        let finalizer = matches!(plan.step, Step::AddFinalizer | Step::RemoveFinalizer { .. });
        if finalizer || plan.status != self.scene.stored() {
            self.write(plan, fault);
            return (true, None);
        }
        if plan.step == Step::Rest {
            let again = plan.look_again;
            if again.is_some_and(|again| again.fresh) {
                self.stale_from = again.map(|again| self.now() + again.after);
            }
            return (false, again.map(|again| again.after));
        }
        self.call(&plan.step, fault);
        (true, plan.look_again.map(|again| again.after))
    }

    fn write(&mut self, plan: &Plan, fault: Fault) {
        self.writes += 1;
        self.abandoned |= matches!(plan.step, Step::RemoveFinalizer { abandoned: Some(_) });
        let (permit, id) = (self.scene.permit, self.id());
        if fault != Fault::CrashBefore {
            self.scene.store(plan);
        }
        match fault {
            Fault::CrashBefore | Fault::CrashAfter => self.crash(),
            // It does not know that the write is its own.
            Fault::ReplyLost => self.scene.permit = permit,
            _ => {}
        }
        if self.id() != id {
            self.sight = None;
        }
    }

    fn call(&mut self, step: &Step, fault: Fault) {
        self.calls += 1;
        let call = match step {
            Step::Create(_) => Call::Create,
            Step::Start { .. } => Call::Start,
            Step::Stop(_) => Call::Stop,
            Step::Delete(_) | Step::RemoveDuplicate(_) => Call::Delete,
            other => panic!("nothing differs that {other:?} could set"),
        };
        if call == Call::Create {
            self.scene.permit = None;
        }
        let outcome = match fault {
            Fault::CrashBefore => {
                self.crash();
                return;
            }
            Fault::None | Fault::CrashAfter | Fault::ReplyLost => self.effect(step),
            Fault::ArrivesLate | Fault::NeverArrives => {
                if let (Step::Create(token), Fault::ArrivesLate) = (step, fault) {
                    self.late.push((token.clone(), self.now() + SIGNATURE_AGE));
                }
                Err((TroubleKind::Transient, Delivered::Unknown))
            }
            Fault::NotSent => Err((TroubleKind::Transient, Delivered::No)),
            Fault::Refused(kind) => Err((kind, Delivered::Refused)),
        };
        let lost = matches!(outcome, Err((_, Delivered::Unknown)));
        if call == Call::Start && (outcome.is_ok() || lost) {
            self.scene.started_again_at = Some(self.now());
        }
        self.tick();
        self.stale_from = Some(self.now());
        match (fault, outcome) {
            (Fault::CrashAfter, _) => self.crash(),
            (Fault::ReplyLost, _) => self.note(call, TroubleKind::Transient, Delivered::Unknown),
            (_, Err((kind, delivery))) => self.note(call, kind, delivery),
            (_, Ok(created)) => {
                self.scene.trouble = None;
                self.scene.created = created.or(self.scene.created.take());
            }
        }
    }

    fn note(&mut self, call: Call, kind: TroubleKind, delivery: Delivered) {
        let before = self.scene.trouble.as_ref().filter(|old| old.call == call && old.kind == kind);
        let count = before.map_or(1, |old| old.count + 1);
        let pause = Duration::from_secs(u64::from(count.min(30)));
        self.scene.trouble = Some(Trouble {
            call,
            kind,
            delivery,
            code: String::new(),
            message: "OMS said no".into(),
            remedy: String::new(),
            field: None,
            retry_at: self.now() + pause,
            count,
        });
    }

    /// What a call does at OMS.
    fn effect(&mut self, step: &Step) -> Result<Option<(RemoteId, String)>, (TroubleKind, Delivered)> {
        let refused = Err((TroubleKind::Conflict, Delivered::Refused));
        match step {
            Step::Create(token) => {
                let token = token.clone();
                Ok(Some(self.arrive(&token)))
            }
            Step::Start { id, .. } => match self.task(id) {
                Some(task) if matches!(task.state, RemoteState::Stopped | RemoteState::Failed) => {
                    (task.state, task.failure) = (RemoteState::Running, None);
                    Ok(None)
                }
                _ => refused,
            },
            Step::Stop(id) => match self.task(id) {
                Some(task) if task.state == RemoteState::Running => {
                    task.state = RemoteState::Stopping;
                    Ok(None)
                }
                _ => refused,
            },
            Step::Delete(id) | Step::RemoveDuplicate(id) => {
                use RemoteState::{Retrying, Running, Stopping};
                let deleting = self.is_deleted();
                match self.task(id).map(|task| task.state) {
                    // The engine looks once more before it takes a task out of the queue.
                    Some(state)
                        if matches!(step, Step::Delete(_)) && !deleting && state != RemoteState::Waiting => {}
                    Some(Running | Stopping | Retrying) => return refused,
                    Some(_) => {
                        let index = self.tasks.iter().position(|(task, _)| task.id == *id).unwrap();
                        let (task, _) = self.tasks.remove(index);
                        let now = self.now();
                        self.deleted.push((task, now));
                    }
                    None => {}
                }
                if let (Step::RemoveDuplicate(_), Some((_, found))) = (step, &mut self.scan) {
                    found.retain(|task| task.id != *id);
                }
                Ok(None)
            }
            other => panic!("{other:?} is no call of this world"),
        }
    }

    fn turn(&mut self, turn: Turn) {
        for (task, _) in &mut self.tasks {
            use RemoteState::{Failed, Retrying, Running, Stopped, Stopping, Succeeded, Waiting};
            if task.state == RemoteState::Running && turn == Turn::Onward {
                self.ended.extend(task.token.clone());
            }
            task.state = match (turn, task.state) {
                (_, Stopping) => Stopped,
                (Turn::Onward, Waiting | Retrying) => Running,
                (Turn::Onward, Running) => {
                    task.counters = Counters { fraction: 1.0, total: 3, succeeded: 3, ..Counters::default() };
                    Succeeded
                }
                (Turn::Check, Running) => Retrying,
                (Turn::Fail, Running) => {
                    task.failure = Some(super::scene::failed_with("TRF.0151").failure.unwrap());
                    Failed
                }
                (_, state) => state,
            };
        }
    }

    fn happen(&mut self, event: Event) {
        let now = self.now();
        match event {
            Event::Pass(fault) => {
                self.pass(fault);
            }
            Event::Oms(turn) => self.turn(turn),
            Event::Wait(seconds) => self.scene.now += Duration::from_secs(u64::from(seconds)),
            Event::Poll => self.look(),
            Event::Crash => self.crash(),
            Event::Arrive => {
                self.late.retain(|(_, until)| *until >= now);
                if let Some((token, _)) = self.late.pop() {
                    self.arrive(&token);
                }
            }
            Event::Suspend(_) | Event::Delete | Event::Rerun(_) if self.is_deleted() => {}
            Event::Suspend(suspend) => {
                self.scene.task.spec.lifecycle.suspend = Some(suspend);
                *self.scene.task.metadata.generation.as_mut().unwrap() += 1;
            }
            // Until the search found its task, an object whose status was lost cannot be told from a new one.
            Event::Delete if self.erased && self.id().is_none() && !self.tasks.is_empty() => {}
            Event::Delete => self.scene.task.metadata.deletion_timestamp = Some(Time(now)),
            Event::Secret(there) => self.secret = there,
            Event::RotateKeys => self.digest = if self.digest == "one" { "two" } else { "one" },
            Event::Connection(up) => {
                self.scene.link = if up { scene().link } else { scene().link_down().link };
            }
            Event::EraseStatus => self.erase_status(),
            Event::Rerun(word) => {
                self.scene.task.spec.runs.rerun = Some(word.to_owned());
                *self.scene.task.metadata.generation.as_mut().unwrap() += 1;
            }
        }
    }

    /// A restore without status, when lists are up to date and no create is under way.
    fn erase_status(&mut self) {
        let before = self.now() - LIST_LAG;
        self.late.retain(|(_, until)| *until >= before);
        let settled = self.tasks.iter().all(|(_, since)| *since <= before)
            && self.deleted.iter().all(|(_, until)| *until < before)
            && self.late.is_empty();
        if settled && !self.is_deleted() {
            self.crash();
            self.scene.task.status = None;
            self.erased = true;
        }
    }

    fn check(&self, event: &str) {
        let tasks: Vec<_> = self.tasks.iter().map(|(task, _)| task).collect();
        for (index, task) in tasks.iter().enumerate() {
            let others = &tasks[index + 1..];
            let same = |other: &&&RemoteTask| {
                task.token.as_ref().zip(other.token.as_ref()).is_some_and(|(one, other)| one.same_run(other))
            };
            assert!(
                !others.iter().any(|other| same(&other)),
                "two tasks of one run after {event}: {tasks:#?}"
            );
        }
        let live = |task: &&&RemoteTask| task.state.is_active() || task.state == RemoteState::Stopped;
        assert!(tasks.iter().filter(live).count() <= 1, "two live tasks after {event}: {tasks:#?}");
        let told = self.scene.stored().conditions;
        assert!(
            !told.iter().any(|condition| condition.reason == "RemoteTaskGone"),
            "{event}: nobody deleted it"
        );
    }

    /// Nothing fails any more: until the goal.
    fn end_well(&mut self) {
        self.happen(Event::Secret(true));
        self.happen(Event::Connection(true));
        self.happen(Event::Suspend(false));
        for round in 0..2_000 {
            let (acted, again) = self.pass(Fault::None);
            self.check(&format!("round {round}"));
            if self.has_ended() {
                return;
            }
            if self.erased && self.reason().as_deref() == Some("StoppedExternally") {
                // Who stopped it went with the status: the message says what to do.
                self.happen(Event::Suspend(true));
                self.pass(Fault::None);
                self.happen(Event::Suspend(false));
                self.erased = false;
                continue;
            }
            if !acted && self.reason().as_deref() == Some("Refused") {
                // Only a person ends that: who mends the cause asks for another look.
                self.scene =
                    self.scene.clone().annotated(api::RECONCILE_REQUESTED_AT, &format!("round {round}"));
                continue;
            }
            if !acted {
                self.scene.now += again.unwrap_or(Duration::from_secs(30)).max(Duration::from_millis(100));
                self.turn(Turn::Onward);
                self.look();
            }
        }
        panic!("the goal is not reached: {:#?} with {:?}", self.scene, self.tasks);
    }

    fn reason(&self) -> Option<String> {
        let conditions = self.scene.stored().conditions;
        situation::find(&conditions, types::READY).map(|ready| ready.reason.clone())
    }

    fn has_ended(&self) -> bool {
        if self.is_deleted() {
            return self.object_is_gone();
        }
        let status = self.scene.stored();
        let answered = rerun::wanted(&Wish::from(&self.scene.task), &status).is_none();
        status.phase == Some(Phase::Succeeded)
            && status.create.is_none()
            && status.task_id.is_some()
            && answered
    }

    fn check_the_end(&mut self) {
        if self.is_deleted() {
            let policy = self.scene.task.spec.lifecycle.deletion_policy;
            let live: Vec<_> = self.tasks.iter().filter(|(task, _)| task.state.is_active()).collect();
            match policy {
                _ if self.abandoned => {}
                Some(DeletionPolicy::Orphan) => {}
                Some(DeletionPolicy::StopAndKeep) => assert!(live.is_empty(), "still at work: {live:?}"),
                _ => assert!(self.tasks.is_empty(), "left behind: {:?}", self.tasks),
            }
        } else {
            let status = self.scene.stored();
            let mut known: Vec<_> = status.history.iter().map(|run| run.task_id.clone()).collect();
            known.extend(status.task_id);
            known.sort();
            let mut there: Vec<_> = self.tasks.iter().map(|(task, _)| task.id.to_string()).collect();
            there.sort();
            assert_eq!(there, known, "what is at OMS is on record");
        }
        let (writes, calls) = (self.writes, self.calls);
        for _ in 0..30 {
            self.scene.now += Duration::from_mins(1);
            self.look();
            assert_eq!(self.pass(Fault::None), (false, None), "and then nothing more happens");
        }
        assert_eq!((self.writes, self.calls), (writes, calls));
    }
}

fn turns() -> impl Strategy<Value = Turn> {
    select(vec![Turn::Onward, Turn::Onward, Turn::Fail, Turn::Check])
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        10 => Just(Event::Pass(Fault::None)),
        8 => select(FAULTS.to_vec()).prop_map(Event::Pass),
        4 => turns().prop_map(Event::Oms),
        3 => select(vec![1, 2, 10, 70, 300, 1_300]).prop_map(Event::Wait),
        3 => Just(Event::Poll),
        2 => Just(Event::Crash),
        2 => Just(Event::Arrive),
        2 => any::<bool>().prop_map(Event::Suspend),
        1 => any::<bool>().prop_map(Event::Secret),
        1 => any::<bool>().prop_map(Event::Connection),
        1 => Just(Event::RotateKeys),
        2 => select(vec!["", "one", "two", "three"]).prop_map(Event::Rerun),
        1 => Just(Event::EraseStatus),
    ];
    prop::collection::vec(event, 1..80)
}

fn policies() -> impl Strategy<Value = DeletionPolicy> {
    select(vec![
        DeletionPolicy::Delete,
        DeletionPolicy::Delete,
        DeletionPolicy::StopAndKeep,
        DeletionPolicy::Orphan,
    ])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happened_one_task_reaches_its_goal(
        policy in policies(),
        before in events(),
        deleted in prop::option::weighted(0.4, events()),
    ) {
        let mut world = World::new(policy);
        let end = deleted.map(|after| std::iter::once(Event::Delete).chain(after).collect());
        for event in before.into_iter().chain(end.unwrap_or_else(Vec::new)) {
            world.happen(event);
            world.check(&format!("{event:?}"));
        }
        world.end_well();
        world.check_the_end();
    }
}

/// The story that meets every step: created, suspended while it waits, resumed, failed, started again, suspended
/// while it runs, resumed, and perhaps deleted.
fn story(delete: bool) -> Vec<Event> {
    let mut story = Vec::new();
    let mut passes = |count, then: &[Event]| {
        story.extend(std::iter::repeat_n(Event::Pass(Fault::None), count));
        story.extend_from_slice(then);
    };
    passes(9, &[Event::Poll, Event::Suspend(true)]);
    passes(6, &[Event::Suspend(false)]);
    passes(9, &[Event::Oms(Turn::Onward), Event::Oms(Turn::Fail), Event::Poll]);
    passes(3, &[Event::Wait(70)]);
    passes(4, &[Event::Poll, Event::Suspend(true)]);
    passes(3, &[Event::Oms(Turn::Onward), Event::Poll]);
    passes(2, &[Event::Suspend(false)]);
    passes(3, if delete { &[Event::Delete] } else { &[] });
    passes(3, &[]);
    story
}

#[test]
fn a_fault_at_any_step_of_the_story_does_no_harm() {
    for delete in [false, true] {
        let story = story(delete);
        for fault in FAULTS {
            for broken in 0..story.len() {
                for arrives in [false, true] {
                    let mut world = World::new(DeletionPolicy::Delete);
                    for (index, event) in story.iter().enumerate() {
                        let event = match event {
                            Event::Pass(_) if index == broken => Event::Pass(fault),
                            event => *event,
                        };
                        world.happen(event);
                        world.check(&format!("{event:?} of step {index}, {fault:?} at {broken}"));
                    }
                    if arrives {
                        world.happen(Event::Wait(800));
                        world.happen(Event::Arrive);
                    }
                    world.end_well();
                    world.check_the_end();
                }
            }
        }
    }
}

#[test]
fn the_story_without_a_fault_costs_exactly_its_steps() {
    let mut world = World::new(DeletionPolicy::Delete);
    for event in story(false) {
        world.happen(event);
    }
    world.end_well();
    world.check_the_end();
    // Two creates; in between the delete, and another as a list still shows what it deleted; a start after the
    // failure; a stop and a start for the second suspend.
    assert_eq!((world.creates, world.calls), (2, 7));
}
