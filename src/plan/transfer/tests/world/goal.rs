//! What has to hold after everything that happens, and at the end.

use std::time::Duration;

use super::{Event, Fault, Turn, World};
use crate::api::conditions::types;
use crate::api::{self, DeletionPolicy, Phase};
use crate::plan::seen::{RemoteState, RemoteTask};
use crate::plan::situation;
use crate::plan::transfer::rerun;
use crate::plan::wish::Wish;

impl World {
    pub(super) fn check(&self, event: &str) {
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
    pub(super) fn end_well(&mut self) {
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

    pub(super) fn reason(&self) -> Option<String> {
        let conditions = self.scene.stored().conditions;
        situation::find(&conditions, types::READY).map(|ready| ready.reason.clone())
    }

    pub(super) fn has_ended(&self) -> bool {
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

    pub(super) fn check_the_end(&mut self) {
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
