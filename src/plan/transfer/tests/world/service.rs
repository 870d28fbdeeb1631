//! What OMS makes of calls, and does by itself.

use std::time::Duration;

use super::{Fault, SIGNATURE_AGE, Turn, World};
use crate::plan::seen::{Call, Counters, Delivered, RemoteId, RemoteState, RemoteTask, Trouble, TroubleKind};
use crate::plan::token::Token;
use crate::plan::transfer::Step;
use crate::plan::transfer::tests::scene;

impl World {
    pub(super) fn arrive(&mut self, token: &Token) -> (RemoteId, String) {
        assert!(!self.ended.iter().any(|ended| ended.same_run(token)), "{token} runs twice");
        self.ids += 1;
        let (id, name) = (RemoteId::from(self.ids), format!("task-{}", self.ids));
        let task = RemoteTask {
            id: id.clone(),
            name: name.clone(),
            token: Some(token.clone()),
            ..scene::remote(RemoteState::Waiting)
        };
        self.tasks.push((task, self.now()));
        self.creates += 1;
        (id, name)
    }

    pub(super) fn call(&mut self, step: &Step, fault: Fault) {
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

    pub(super) fn note(&mut self, call: Call, kind: TroubleKind, delivery: Delivered) {
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
    pub(super) fn effect(
        &mut self,
        step: &Step,
    ) -> Result<Option<(RemoteId, String)>, (TroubleKind, Delivered)> {
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

    pub(super) fn turn(&mut self, turn: Turn) {
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
                    task.failure = Some(scene::failed_with("TRF.0151").failure.unwrap());
                    Failed
                }
                (_, state) => state,
            };
        }
    }
}
