//! The decisions about a SyncTask.

use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::json;

use super::scene::{Scene, at, condition, id, keys, mark, pinned, remote, scene, trouble};
use crate::api::conditions::types;
use crate::api::{DriftPolicy, OnCredentialChange, Phase, SyncTask, SyncTaskSpec};
use crate::plan::queue::{Place, Turn};
use crate::plan::seen::{
    Call, Candidate, Delivered, Keys, Link, LinkUp, MonthCounters, Remote, RemoteState, RemoteTask,
    TroubleKind,
};
use crate::plan::situation;
use crate::plan::transfer::{Plan, Step, View, plan};
use crate::plan::wish::Wish;

fn sync_task(suspended: bool, on_change: OnCredentialChange) -> SyncTask {
    let mut spec: SyncTaskSpec = serde_json::from_value(json!({
        "source": {
            "cloudType": "AWS", "region": "eu-west-1", "bucket": "photos",
            "credentials": { "secretRef": { "name": "source-keys" } },
        },
        "destination": { "bucket": "archive", "credentials": { "secretRef": { "name": "destination-keys" } } },
        "suspend": suspended,
    }))
    .unwrap();
    spec.lifecycle.on_credential_change = on_change;
    SyncTask::new("photos", spec)
}

/// Plans for a SyncTask with what a scene has of everything but the spec.
fn decide(scene: &Scene, suspended: bool) -> Plan {
    decide_on(scene, &sync_task(suspended, OnCredentialChange::default()))
}

fn decide_on(scene: &Scene, task: &SyncTask) -> Plan {
    plan(&View {
        meta: &scene.task.metadata,
        wish: &Wish::from(task),
        stored: scene.task.status.as_ref(),
        now: scene.now,
        policy: &scene.policy,
        mark: &mark(),
        link: &scene.link,
        keys: &scene.keys,
        remote: &scene.remote,
        search: &scene.search,
        candidate: &Candidate::NotRead,
        claims: &[],
        siblings: &scene.siblings,
        created: scene.created.as_ref(),
        permit: scene.permit,
        started_again_at: scene.started_again_at,
        trouble: scene.trouble.as_ref(),
        findings: &[],
        pause: None,
        turn: scene.turn.as_ref(),
        place_due: scene.place_due,
        census: None,
        progress_due: scene.progress_due,
    })
}

fn counted(requested: u64) -> MonthCounters {
    let (month, bytes) = ("2026-11".to_owned(), 7 * requested);
    MonthCounters { month, requested, succeeded: requested, failed: 0, skipped: 0, bytes }
}

fn seen(state: RemoteState) -> RemoteTask {
    RemoteTask { name: String::new(), month: Some(counted(3)), ..remote(state) }
}

fn standing(state: RemoteState) -> Scene {
    scene().recorded().remote(seen(state))
}

/// As it is once the operator has stopped it.
fn held() -> Scene {
    standing(RemoteState::Stopped)
        .status(|status| status.suspended_at = Some(situation::whole_seconds(at(0))))
}

fn later() -> Turn {
    Turn::Later(Place { position: 2, earliest_at: None })
}

fn ready(plan: &Plan) -> (String, String) {
    let ready = situation::find(&plan.status.conditions, types::READY).unwrap();
    (ready.status.clone(), ready.reason.clone())
}

#[test]
fn at_work_it_is_ready_and_rests() {
    let plan = decide(&standing(RemoteState::Synchronizing), false);
    assert_eq!((plan.step, plan.status.phase), (Step::Rest, Some(Phase::Synchronizing)));
    let plan = decide(&standing(RemoteState::Synchronizing), false);
    assert_eq!(ready(&plan), ("True".into(), "Synchronizing".into()));
    assert_eq!(situation::find(&plan.status.conditions, types::RECONCILING), None);
}

#[test]
fn suspended_it_is_stopped_and_resumed_it_takes_a_place_before_it_is_started() {
    let stop = decide(&standing(RemoteState::Synchronizing), true);
    assert_eq!(stop.step, Step::Stop(id()));
    assert!(stop.status.suspended_at.is_some(), "on record before the call");
    let rest = decide(&held(), true);
    assert_eq!((rest.step.clone(), rest.status.phase), (Step::Rest, Some(Phase::Stopped)));
    assert_eq!(ready(&rest), ("False".into(), "Suspended".into()));

    assert_eq!(decide(&held().with(|scene| scene.turn = None), false).step, Step::LineUp);
    let queued = decide(&held().with(|scene| scene.turn = Some(later())), false);
    assert_eq!((queued.step.clone(), queued.status.phase), (Step::Rest, Some(Phase::Queued)));
    assert_eq!(queued.status.queue.as_ref().map(|place| place.position), Some(2));
    assert_eq!(queued.status.connection, Some(pinned()), "it stays with its connection");
    assert_eq!(decide(&held(), false).step, Step::Start { id: id(), only_failed: false });
}

/// At work, with other keys in a Secret than those that were sent.
fn rotated() -> Scene {
    standing(RemoteState::Synchronizing).with(|scene| scene.keys = Keys::Ready(keys("two")))
}

#[test]
fn with_new_keys_in_a_secret_it_goes_on_and_says_so_or_is_restarted_and_keeps_its_place() {
    let plan = decide(&rotated(), false);
    assert_eq!((plan.step.clone(), ready(&plan).0), (Step::Rest, "True".into()));
    assert_eq!(condition(&plan, types::CREDENTIALS_PENDING), Some(("True", "CredentialsRotated")));
    assert!(plan.look_again.is_some(), "Secrets are looked at although nothing changes at OMS");

    let task = sync_task(false, OnCredentialChange::RestartRunning);
    let plan = decide_on(&rotated(), &task);
    assert_eq!((&plan.step, ready(&plan).0), (&Step::Stop(id()), "False".into()));
    let stopped = rotated().status(|status| *status = plan.status).remote(seen(RemoteState::Stopped));
    let unasked = decide_on(&stopped.clone().with(|scene| scene.turn = None), &task);
    assert_eq!(unasked.step, Step::Start { id: id(), only_failed: false }, "its place is its own");
    assert_eq!(unasked.status.observed_credentials, keys("two"));
    let mut enforcing = task.clone();
    enforcing.spec.lifecycle.drift_policy = DriftPolicy::Enforce;
    let unasked_too = decide_on(&stopped.clone().with(|scene| scene.turn = None), &enforcing);
    assert_eq!(unasked_too.step, unasked.step, "no drift to be brought back");
    let stored = stopped.status(|status| *status = unasked.status).remote(seen(RemoteState::Synchronizing));
    let plan = decide_on(&stored, &task);
    assert_eq!((plan.step.clone(), ready(&plan).0), (Step::Rest, "True".into()));
    assert_eq!(plan.status.renewing_keys_since, None);

    let plan = decide_on(&rotated(), &sync_task(false, OnCredentialChange::Ignore));
    assert_eq!((plan.step.clone(), condition(&plan, types::CREDENTIALS_PENDING)), (Step::Rest, None));
}

#[test]
fn stopped_by_somebody_else_it_is_left_so() {
    let plan = decide(&standing(RemoteState::Stopped), false);
    assert_eq!(ready(&plan), ("False".into(), "StoppedExternally".into()));
    assert_eq!(plan.step, Step::Rest);
}

/// Regression: the start that brings it back takes one of the account's places, and did not wait for it.
#[test]
fn brought_back_it_takes_a_place_before_it_is_started() {
    let mut task = sync_task(false, OnCredentialChange::default());
    task.spec.lifecycle.drift_policy = DriftPolicy::Enforce;
    let stopped = |turn| standing(RemoteState::Stopped).with(|scene| scene.turn = turn);
    assert_eq!(decide_on(&stopped(None), &task).step, Step::LineUp);
    let queued = decide_on(&stopped(Some(later())), &task);
    assert_eq!((queued.step, queued.status.phase), (Step::Rest, Some(Phase::Queued)));
    assert!(situation::find(&queued.status.conditions, types::DRIFTED).is_some());
    let start = decide_on(&stopped(Some(Turn::Now)), &task);
    assert_eq!(start.step, Step::Start { id: id(), only_failed: false });
}

#[test]
fn gone_at_oms_it_is_not_made_anew_also_when_it_was_suspended() {
    for scene in [standing(RemoteState::Synchronizing).gone(), held().gone()] {
        for suspended in [false, true] {
            let plan = decide(&scene, suspended);
            assert_eq!(ready(&plan), ("False".into(), "RemoteTaskGone".into()));
            assert_eq!((plan.step, plan.status.task_id), (Step::Rest, Some(id().to_string())));
        }
    }
}

#[test]
fn where_oms_has_no_sync_tasks_none_is_tried() {
    let link = Link::Up(LinkUp { pinned: pinned(), region: "ap-southeast-1".into(), changed: None });
    let plan = decide(&scene().with(|scene| scene.link = link), false);
    assert_eq!(ready(&plan), ("False".into(), "InvalidSpec".into()));
    assert_eq!(plan.step, Step::Rest);
    assert!(situation::find(&plan.status.conditions, types::STALLED).is_some());
}

#[test]
fn the_months_numbers_are_written_at_first_when_due_or_asked_for_and_never_without_a_change() {
    let first = decide(&standing(RemoteState::Synchronizing), false).status.statistics.unwrap();
    assert_eq!((first.requested, first.bytes, first.month.as_str()), (3, 21, "2026-11"));
    let stored = |requested| {
        let task = RemoteTask { month: Some(counted(requested)), ..seen(RemoteState::Synchronizing) };
        let scene = standing(RemoteState::Synchronizing).remote(task).now(400);
        scene.status(|status| status.statistics = Some(first.clone()))
    };
    let told = |scene: &Scene| decide(scene, false).status.statistics.unwrap();
    assert_eq!(told(&stored(9)).requested, 3, "not due yet");
    assert_eq!(told(&stored(9).with(|scene| scene.progress_due = true)).requested, 9);
    assert_eq!(told(&stored(9).nudged()).requested, 9);
    let same = told(&stored(3).with(|scene| scene.progress_due = true));
    assert_eq!(same, first, "the time of the same numbers stays");
}

#[test]
fn deleted_it_is_stopped_first() {
    assert_eq!(decide(&standing(RemoteState::Synchronizing).deleted(), false).step, Step::Stop(id()));
    assert_eq!(decide(&standing(RemoteState::Stopped).deleted(), false).step, Step::Delete(id()));
}

const STATES: [RemoteState; 3] = [RemoteState::Synchronizing, RemoteState::Stopped, RemoteState::Unknown];

const KINDS: [TroubleKind; 7] = [
    TroubleKind::Quota,
    TroubleKind::Conflict,
    TroubleKind::Throttled,
    TroubleKind::BucketCredentials,
    TroubleKind::Credentials,
    TroubleKind::Missing,
    TroubleKind::Invalid,
];

fn scenes() -> impl Strategy<Value = (Scene, bool)> {
    let remotes = prop_oneof![
        Just(Remote::Pending),
        Just(Remote::Stale),
        Just(Remote::Gone),
        select(&STATES).prop_map(|state| Remote::Known(Box::new(seen(state)))),
    ];
    let turns = prop_oneof![Just(None), Just(Some(Turn::Now)), Just(Some(later()))];
    let calls = select(&[Call::Start, Call::Stop, Call::Delete, Call::Look]);
    let troubles = option::of((calls, select(&KINDS)));
    (remotes, turns, troubles, any::<[bool; 6]>()).prop_map(|(remote, turn, refused, flags)| {
        let [recorded, ours, deleted, down, due, suspended] = flags;
        let mut scene = if recorded { scene().recorded() } else { scene() };
        if recorded && ours {
            scene = scene.status(|status| status.suspended_at = Some(situation::whole_seconds(at(0))));
        }
        (scene.remote, scene.turn, scene.progress_due) = (remote, turn, due);
        if let Some((call, kind)) = refused {
            scene = scene.troubled(trouble(call, kind, Delivered::Refused));
        }
        if deleted {
            scene = scene.deleted();
        }
        (if down { scene.link_down() } else { scene }, suspended)
    })
}

proptest! {
    #[test]
    fn a_stored_plan_is_planned_again_without_a_change((scene, suspended) in scenes()) {
        let mut scene = scene;
        let mut last = None;
        for _ in 0..6 {
            let plan = decide(&scene, suspended);
            if last.as_ref() == Some(&plan) {
                return Ok(());
            }
            if !plan.step.is_look() {
                scene.task.status = Some(plan.status.clone());
            }
            last = Some(plan);
        }
        prop_assert!(false, "the plan does not come to rest: {last:#?}");
    }

    #[test]
    fn what_the_schema_of_the_kind_lacks_is_never_told((scene, suspended) in scenes()) {
        let status = decide(&scene, suspended).status;
        prop_assert_eq!(
            (status.task_name, status.retries, status.progress, status.members),
            (None, None, None, None)
        );
        prop_assert_eq!(
            (status.finished_at, status.failed_objects, status.notification),
            (None, None, None)
        );
    }

    #[test]
    fn conditions_never_contradict_each_other((scene, suspended) in scenes()) {
        let conditions = decide(&scene, suspended).status.conditions;
        let holds = |type_| situation::find(&conditions, type_).is_some_and(|found| found.status == "True");
        let (ready, reconciling, stalled) =
            (holds(types::READY), holds(types::RECONCILING), holds(types::STALLED));
        prop_assert!(u8::from(ready) + u8::from(reconciling) + u8::from(stalled) <= 1);
    }
}
