//! The decisions about a SyncEvent, as behaviours and as properties.

mod properties;

use std::collections::BTreeMap;

use super::*;
use crate::api::conditions::types;
use crate::api::{Span, SyncTaskRef};
use crate::plan::seen::{Call, Delivered};

const GENERATION: i64 = 1;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn id() -> RemoteId {
    RemoteId::from("8c6c2a35-0000-4000-8000-000000000001".to_owned())
}

#[derive(Clone, Debug)]
struct Scene {
    meta: ObjectMeta,
    spec: SyncEventSpec,
    stored: Option<SyncEventStatus>,
    now: Timestamp,
    pause: Option<Pause>,
    receiver: Receiver,
    told: Option<(usize, RemoteId)>,
    trouble: Option<Trouble>,
}

fn scene(keys: usize) -> Scene {
    Scene {
        meta: ObjectMeta {
            name: Some("new-photos".into()),
            namespace: Some("media".into()),
            generation: Some(GENERATION),
            ..ObjectMeta::default()
        },
        spec: SyncEventSpec {
            sync_task_ref: SyncTaskRef { name: "photos".into() },
            object_keys: (0..keys).map(|number| format!("{number}.jpg")).collect(),
            ttl_after_finished: None,
        },
        stored: None,
        now: at(0),
        pause: None,
        receiver: Receiver::Ready(id()),
        told: None,
        trouble: None,
    }
}

fn trouble(kind: TroubleKind, code: &str, retry_at: Timestamp) -> Trouble {
    Trouble {
        call: Call::Events,
        kind,
        delivery: Delivered::Refused,
        code: code.into(),
        message: "Said by OMS.".into(),
        remedy: String::new(),
        field: None,
        retry_at,
        count: 1,
    }
}

impl Scene {
    fn plan(&self) -> Plan {
        plan(&View {
            meta: &self.meta,
            spec: &self.spec,
            stored: self.stored.as_ref(),
            now: self.now,
            check_interval: Duration::from_mins(1),
            pause: self.pause.as_ref(),
            receiver: &self.receiver,
            told: self.told.as_ref(),
            trouble: self.trouble.as_ref(),
        })
    }

    fn annotated(mut self, name: &str, value: &str) -> Self {
        self.meta.annotations = Some(BTreeMap::from([(name.to_owned(), value.to_owned())]));
        self
    }

    /// What is stored after a plan, and what the process remembers then, as the engine does.
    fn store(&mut self, status: SyncEventStatus) {
        let handled =
            |status: Option<&SyncEventStatus>| status.and_then(|s| s.last_handled_reconcile_at.clone());
        if handled(Some(&status)) != handled(self.stored.as_ref()) || is_over(Some(&status)) {
            self.trouble = None;
        }
        self.told = None;
        self.stored = Some(status);
    }

    /// Plans and stores until a step comes that is no write.
    fn settle(&mut self) -> Plan {
        for _ in 0..4 {
            let plan = self.plan();
            if self.stored.as_ref() == Some(&plan.status) {
                return plan;
            }
            self.store(plan.status);
        }
        panic!("the status does not come to rest: {self:#?}");
    }
}

fn ready(plan: &Plan) -> (String, String) {
    let ready = situation::find(&plan.status.conditions, types::READY).unwrap();
    (ready.status.clone(), ready.reason.clone())
}

fn message(plan: &Plan) -> String {
    situation::find(&plan.status.conditions, types::READY).unwrap().message.clone()
}

#[test]
fn keys_go_out_ten_at_a_time_in_order_and_each_call_is_on_record_before_the_next() {
    let mut scene = scene(25);
    let mut sent = Vec::new();
    loop {
        let plan = scene.settle();
        match plan.step {
            Step::Send(to, range) => {
                assert_eq!(to, id());
                assert_eq!(plan.status.accepted, i64::try_from(range.start).ok());
                scene.told = Some((range.end, to));
                sent.push(range);
            }
            Step::Rest => break,
            Step::Delete => panic!("nobody asked for that"),
        }
    }
    assert_eq!(sent, [0..10, 10..20, 20..25]);
    let plan = scene.plan();
    assert_eq!(ready(&plan), ("True".into(), "EventsAccepted".into()));
    assert_eq!((plan.status.accepted, plan.status.total), (Some(25), Some(25)));
    assert_eq!(plan.status.task_id.as_deref(), Some(id().as_str()));
    assert_eq!((plan.status.phase, plan.look_again), (Some(Phase::Succeeded), None));
}

#[test]
fn what_was_not_put_on_record_is_sent_again_and_nothing_else() {
    let mut scene = scene(100);
    scene.stored = Some(SyncEventStatus { accepted: Some(40), ..SyncEventStatus::default() });
    assert_eq!(scene.settle().step, Step::Send(id(), 40..50));
}

#[test]
fn keys_are_kept_while_the_sync_task_takes_none() {
    for (receiver, reason, words) in [
        (Receiver::Missing, "SyncTaskNotFound", "does not exist in namespace `media`"),
        (Receiver::Leaving, "SyncTaskDeleting", "is being deleted"),
        (
            Receiver::Idle { phase: Some(Phase::Stopped), message: "`spec.suspend` is true".into() },
            "SyncTaskNotSynchronizing",
            "is Stopped; the keys are kept and sent once it synchronizes: `spec.suspend` is true",
        ),
        (
            Receiver::Idle { phase: None, message: String::new() },
            "SyncTaskNotSynchronizing",
            "is not looked at yet",
        ),
        (
            Receiver::Unreachable { reason: Reason::ConnectionNotReady, message: "no way".into() },
            "ConnectionNotReady",
            "no way",
        ),
    ] {
        let mut scene = Scene { receiver, ..scene(12) };
        let plan = scene.settle();
        assert_eq!(ready(&plan), ("False".into(), reason.into()));
        assert!(message(&plan).contains(words), "{}", message(&plan));
        assert_eq!((plan.step.clone(), plan.status.phase), (Step::Rest, Some(Phase::Pending)));
        assert!(plan.look_again.is_some(), "it looks again by itself");
        scene.receiver = Receiver::Ready(id());
        assert_eq!(scene.settle().step, Step::Send(id(), 0..10), "and goes on when the cause goes");
    }
}

#[test]
fn trouble_that_may_pass_is_waited_for_and_a_request_to_look_tries_at_once() {
    for (kind, code, reason) in [
        (TroubleKind::Throttled, "APIGW.0308", "Throttled"),
        (TroubleKind::Transient, "OMS.0184", "ServiceUnavailable"),
        (TroubleKind::Conflict, "OMS.0094", "SyncTaskNotSynchronizing"),
        (TroubleKind::Credentials, "APIGW.0301", "CredentialsRejected"),
        (TroubleKind::Permission, "OMS.0206", "PermissionDenied"),
    ] {
        let mut scene = Scene { trouble: Some(trouble(kind, code, at(30))), ..scene(3) };
        let plan = scene.settle();
        assert_eq!(ready(&plan), ("False".into(), reason.into()), "{kind:?}");
        assert_eq!((plan.step, plan.look_again), (Step::Rest, Some(Duration::from_secs(30))));
        let asked = scene.clone().annotated(api::RECONCILE_REQUESTED_AT, "now");
        assert_eq!(asked.plan().step, Step::Send(id(), 0..3));
        scene.now = at(30);
        assert_eq!(scene.settle().step, Step::Send(id(), 0..3));
    }
}

#[test]
fn keys_that_oms_refuses_for_good_end_it_until_somebody_asks() {
    let mut scene = Scene { trouble: Some(trouble(TroubleKind::Invalid, "OMS.0002", at(600))), ..scene(3) };
    let plan = scene.settle();
    assert_eq!(ready(&plan), ("False".into(), "Refused".into()));
    assert!(situation::find(&plan.status.conditions, types::STALLED).is_some());
    assert!(message(&plan).contains("`objectKeys` (OMS.0002): Said by OMS. Delete this object"));
    assert_eq!((plan.step, plan.look_again), (Step::Rest, None));
    // The next process knows of no trouble, and leaves it.
    scene.trouble = None;
    assert_eq!(scene.plan().step, Step::Rest);
    let asked = scene.annotated(api::RECONCILE_REQUESTED_AT, "again").plan();
    assert_eq!((asked.step, asked.status.finished_at), (Step::Send(id(), 0..3), None));
}

#[test]
fn it_is_deleted_when_its_time_after_the_end_has_passed_and_not_before_the_end_is_on_record() {
    let mut scene = scene(3);
    scene.spec.ttl_after_finished = Some(Span("1m".into()));
    scene.told = Some((3, id()));
    let plan = scene.settle();
    assert_eq!((plan.step, plan.look_again), (Step::Rest, Some(Duration::from_mins(1))));
    scene.now = at(60);
    assert_eq!(scene.plan().step, Step::Delete);
    scene.stored = None;
    scene.told = Some((3, id()));
    assert_eq!(scene.plan().step, Step::Rest);
}

#[test]
fn paused_it_sends_nothing_but_records_what_was_taken() {
    let paused = scene(30).annotated(api::PAUSED, "true");
    let plan = paused.plan();
    assert_eq!((plan.step, plan.status.accepted), (Step::Rest, None));
    let told = Scene { told: Some((10, id())), ..paused };
    let plan = told.plan();
    assert_eq!((plan.step, plan.status.accepted), (Step::Rest, Some(10)));
}

#[test]
fn every_pause_is_marked_once_and_its_mark_goes_with_it() {
    let by_label = Some(Pause::Namespace("media".into()));
    for (pause, word) in [(by_label, "Namespace `media`"), (Some(Pause::Operator), "`--paused`")] {
        let mut scene = Scene { pause, ..scene(30) };
        let plan = scene.settle();
        let told = situation::find(&plan.status.conditions, types::PAUSED).unwrap();
        assert!(told.message.contains(word), "{}", told.message);
        assert_eq!((plan.step, plan.status.phase, plan.status.accepted), (Step::Rest, None, None));
        assert_eq!(scene.plan().status, plan.status, "it is written once");
        scene.pause = None;
        let plan = scene.plan();
        assert_eq!(situation::find(&plan.status.conditions, types::PAUSED), None);
        assert!(matches!(plan.step, Step::Send(..)), "{:?}", plan.step);
    }
}
