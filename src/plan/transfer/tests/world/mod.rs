//! A small world without I/O: OMS, one object, one process with a memory that a crash takes. Whatever happened in
//! it, at most one task exists at a time, and once nothing fails any more the goal is reached and then it is quiet.

mod goal;
mod service;
mod stories;

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::scene::{NUMBER, Scene, keys, scene};
use crate::api::DeletionPolicy;
use crate::api::conditions::Reason;
use crate::plan::seen::{Keys, Remote, RemoteId, RemoteState, RemoteTask, Search, TroubleKind};
use crate::plan::token::Token;
use crate::plan::transfer::{Plan, Step, of_present_run};

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
}
