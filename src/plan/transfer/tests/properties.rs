//! What holds for every view, however unlikely.

use std::time::Duration;

use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::super::{Plan, Step};
use super::scene::{NUMBER, Scene, at, cause_of, id, keys, pinned, remote, scene, token};
use crate::api::conditions::{Reason, types};
use crate::api::{
    Acknowledgement, BandwidthWindow, ByteRate, CreateIntent, DeletionPolicy, Failure, FormerRun,
    MigrationTaskSpec, Notification, NotificationLanguage, NotificationResult, NotificationStatus,
    NotificationTrigger, ObjectCounts, OnCredentialChange, Phase, Priority, ReadyWhen, Retries, Retry,
    RetryObjects, TransferStatus,
};
use crate::plan::progress;
use crate::plan::queue::{Place, Turn};
use crate::plan::seen::{
    Call, Counters, Delivered, Keys, Link, LinkUp, Remote, RemoteFailure, RemoteId, RemoteNotification,
    RemoteState, RemoteTask, Search, Trouble, TroubleKind, Window,
};
use crate::plan::situation::{self, Row, Situation, exact, whole_seconds};
use crate::plan::token::{ObjectMark, Token};

const NOW: i64 = 10_000;

const STATES: [RemoteState; 10] = [
    RemoteState::Waiting,
    RemoteState::Creating,
    RemoteState::Running,
    RemoteState::Stopped,
    RemoteState::Failed,
    RemoteState::Succeeded,
    RemoteState::Retrying,
    RemoteState::Stopping,
    RemoteState::Deleting,
    RemoteState::Unknown,
];

const KINDS: [TroubleKind; 11] = [
    TroubleKind::Invalid,
    TroubleKind::Credentials,
    TroubleKind::BucketCredentials,
    TroubleKind::Permission,
    TroubleKind::Privacy,
    TroubleKind::Quota,
    TroubleKind::Conflict,
    TroubleKind::Missing,
    TroubleKind::Throttled,
    TroubleKind::Transient,
    TroubleKind::Unknown,
];

const CALLS: [Call; 7] =
    [Call::Create, Call::Look, Call::Start, Call::Stop, Call::Delete, Call::Bandwidth, Call::Priority];

const ROWS: [Row; 13] = [
    Row::Blocked,
    Row::Hopeless,
    Row::Queued,
    Row::Creating,
    Row::Active,
    Row::Stopping,
    Row::Suspended,
    Row::StoppedExternally,
    Row::RetryDue,
    Row::Succeeded,
    Row::SucceededWithFailures,
    Row::Failed,
    Row::Deleting,
];

/// A moment that is over, near the edges that decisions have.
fn past() -> impl Strategy<Value = i64> {
    prop_oneof![Just(NOW), Just(NOW - 1), NOW - 100..NOW, NOW - 1_300..NOW - 1_100, 0..NOW,]
}

/// A moment at any side of now.
fn moment() -> impl Strategy<Value = i64> {
    prop_oneof![past(), NOW + 1..NOW + 1_000]
}

fn foreign() -> Token {
    Token::new(ObjectMark::new("cluster", "MigrationTask", "other"), "", 1)
}

fn counters() -> impl Strategy<Value = Counters> {
    (select(vec![0.0, 0.3, 0.5, 1.0, f64::NAN, -1.0, 7.0]), 0..3_u64, 0..3_u64, 0..3_u64).prop_map(
        |(fraction, succeeded, failed, bytes_done)| Counters {
            fraction,
            total: succeeded + failed,
            succeeded,
            failed,
            bytes_done,
            ..Counters::default()
        },
    )
}

prop_compose! {
    fn task_at_oms(id: u64)(
        state in select(STATES.to_vec()),
        token in prop_oneof![8 => (1..4_i64).prop_map(|attempt| Some(token(attempt))), 1 => Just(Some(foreign())), 1 => Just(None)],
        counters in counters().boxed(),
        code in select(vec!["", "TRF.0151", "TRF.0002", "TRF.0021", "TRF.0060"]),
        priority in select(vec![None, Some("MEDIUM"), Some("high")]),
        limited in any::<bool>(),
        started in option::of(moment()),
        took in select(vec![Duration::ZERO, Duration::from_secs(9), Duration::MAX]),
        listed in any::<bool>(),
        notified in option::of(any::<bool>()),
    ) -> RemoteTask {
        let windows = Window { start: "08:00".into(), end: "20:00".into(), bytes_per_second: 50 << 20 };
        RemoteTask {
            id: id.into(),
            token,
            counters,
            failure: (!code.is_empty()).then(|| RemoteFailure { code: code.into(), cause: cause_of(code), ..RemoteFailure::default() }),
            priority: priority.map(Into::into),
            windows: limited.then_some(windows).into_iter().collect(),
            started_at: started.map(at),
            took,
            failed_list: listed.then(|| "oms/list".into()),
            notification: notified.map(|sent| RemoteNotification { sent, ..RemoteNotification::default() }),
            ..remote(state)
        }
    }
}

/// A task that a search for our mark found: it carries our token.
fn ours(id: u64) -> impl Strategy<Value = RemoteTask> {
    (task_at_oms(id).boxed(), 1..4_i64)
        .prop_map(|(task, attempt)| RemoteTask { token: Some(token(attempt)), ..task })
}

prop_compose! {
    fn troubles()(
        call in select(CALLS.to_vec()),
        kind in select(KINDS.to_vec()),
        delivery in select(vec![Delivered::No, Delivered::Refused, Delivered::Unknown]),
        code in select(vec!["", "OMS.0001", "OMS.0212", "OMS.0308"]),
        retry_at in moment(),
        count in 1..30_u32,
        field in option::of(Just("source.bucket".to_owned())),
    ) -> Trouble {
        Trouble {
            call, kind, delivery, count, field,
            code: code.into(),
            message: "OMS said no.".into(),
            remedy: String::new(),
            retry_at: at(retry_at),
        }
    }
}

prop_compose! {
    fn intents()(
        sent in option::of(past()),
        started in past(),
        text in prop_oneof![
            8 => (1..4_i64).prop_map(|attempt| token(attempt).to_string()),
            1 => Just(foreign().to_string()),
            1 => Just("nonsense".to_owned()),
        ],
    ) -> CreateIntent {
        CreateIntent {
            token: text,
            started_at: exact(at(started)),
            sent_at: sent.map(|second| exact(at(second))),
        }
    }
}

fn former_run(id: u64) -> FormerRun {
    FormerRun {
        run: 1,
        rerun: None,
        task_id: id.to_string(),
        phase: Phase::Succeeded,
        started_at: None,
        finished_at: None,
        objects: ObjectCounts::default(),
        bytes: 0,
    }
}

prop_compose! {
    fn statuses()(
        row in select(ROWS.to_vec()),
        reason in select(Reason::ALL.iter().map(|(reason, _)| *reason).collect::<Vec<_>>()),
        observed in 0..3_i64,
        told in any::<bool>(),
        create in option::of(intents().boxed()).boxed(),
        id in option::weighted(0.7, prop_oneof![9 => Just(id().to_string()), 1 => Just("none".to_owned())]),
        attempt in prop_oneof![9 => option::of(1..4_i64), 1 => Just(Some(i64::MAX))],
        suspended in option::of(past()),
        next in option::of(moment()),
        retries in option::of(prop_oneof![0..9_i64, Just(i64::MAX)]),
        failure in option::of(any::<bool>()),
        sent_keys in select(vec!["", "one", "two"]),
        progress in option::of(counters().boxed()).boxed(),
        renewing in option::of(past()),
        rerun in option::of(select(vec!["one", "two"])),
        former in option::of(select(vec![NUMBER, 5, 7])),
        notification in option::of(select(vec![
            NotificationResult::Pending, NotificationResult::Sent, NotificationResult::Unknown,
        ])),
    ) -> TransferStatus {
        let situation = Situation::new(row, reason, "As it was told before");
        let verdict = situation::judge(row, ReadyWhen::Succeeded, false);
        let conditions = situation::conditions(&[], &situation, verdict, observed, at(0));
        TransferStatus {
            observed_generation: observed,
            phase: told.then_some(verdict.phase),
            conditions: if told { conditions } else { Vec::new() },
            connection: (create.is_some() || id.is_some()).then(pinned),
            create,
            task_id: id,
            attempt,
            run: attempt.map(|_| 1),
            renewing_keys_since: renewing.map(|second| whole_seconds(at(second))),
            rerun: rerun.map(Into::into),
            answered_reruns: rerun.into_iter().map(Into::into).collect(),
            history: former.map(former_run).into_iter().collect(),
            suspended_at: suspended.map(|second| whole_seconds(at(second))),
            next_attempt_at: next.map(|second| whole_seconds(at(second))),
            retries: retries.map(|made| Retries { made, objects: RetryObjects::All }),
            failure: failure.map(|retryable| Failure {
                code: String::new(),
                message: "no".into(),
                remedy: String::new(),
                retryable,
            }),
            observed_credentials: if sent_keys.is_empty() { Vec::new() } else { keys(sent_keys) },
            progress: progress.map(|counters| progress::of(&counters)),
            notification: notification.map(|result| NotificationStatus {
                result,
                message: None,
                remedy: None,
                topic_name: None,
            }),
            ..TransferStatus::default()
        }
    }
}

prop_compose! {
    fn specs()(
        suspend in option::of(any::<bool>()),
        deletion in option::of(select(vec![DeletionPolicy::Delete, DeletionPolicy::Orphan, DeletionPolicy::StopAndKeep])),
        ready_when in select(vec![ReadyWhen::Succeeded, ReadyWhen::Started, ReadyWhen::Accepted]),
        priority in select(vec![Priority::High, Priority::Medium]),
        limited in any::<bool>(),
        restore in any::<bool>(),
        acknowledged in any::<bool>(),
        elsewhere in prop::bool::weighted(0.1),
        rerun in option::of(select(vec!["", "one", "three"])),
        on_change in select(vec![
            OnCredentialChange::NextStart, OnCredentialChange::RestartRunning, OnCredentialChange::Ignore,
        ]),
        retry in option::of((0..4_i64, select(vec![RetryObjects::Failed, RetryObjects::All]))),
        notify in option::of(select(vec!["cn-north-4", "cn-south-1"])),
    ) -> MigrationTaskSpec {
        let mut spec = scene().task.spec;
        spec.lifecycle.suspend = suspend;
        spec.lifecycle.deletion_policy = deletion;
        spec.lifecycle.ready_when = ready_when;
        spec.priority = priority;
        spec.runs.rerun = rerun.map(Into::into);
        spec.lifecycle.on_credential_change = on_change;
        spec.runs.retry = retry.map(|(limit, objects)| Retry { limit, objects });
        spec.enable_restore = restore;
        let window = BandwidthWindow { start: "08:00".into(), end: "20:00".into(), max_bandwidth: ByteRate("50Mi".into()) };
        spec.bandwidth_policy = limited.then_some(window).into_iter().collect();
        spec.lifecycle.acknowledge = acknowledged.then_some(Acknowledgement::RestoreAgain).into_iter().collect();
        if elsewhere {
            spec.destination.as_mut().unwrap().region = Some("cn-south-1".into());
        }
        spec.notification = notify.map(|region| Notification {
            topic_urn: format!("urn:smn:{region}:project:migrations"),
            triggers: vec![NotificationTrigger::Success, NotificationTrigger::Failure],
            language: NotificationLanguage::EnUs,
            template: None,
        });
        spec
    }
}

fn links() -> impl Strategy<Value = Link> {
    let up = |changed: Option<&str>| {
        let changed = changed.map(Into::into);
        Link::Up(LinkUp { pinned: pinned(), region: "cn-north-4".into(), changed })
    };
    prop_oneof![
        6 => Just(up(None)),
        1 => Just(up(Some("The reference means another one now"))),
        2 => Just(Link::Down { reason: Reason::ConnectionNotReady, message: "It is not ready".into() }),
    ]
}

fn all_keys() -> impl Strategy<Value = Keys> {
    prop_oneof![
        3 => Just(Keys::Ready(keys("one"))),
        2 => Just(Keys::Ready(keys("two"))),
        2 => Just(Keys::NotRead),
        1 => Just(Keys::Missing { reason: Reason::SecretNotFound, message: "Create the Secret".into() }),
    ]
}

fn searches() -> impl Strategy<Value = Search> {
    let done =
        (past(), prop_oneof![3 => Just(None), 1 => ours(NUMBER).boxed().prop_map(Some)], any::<bool>());
    let done = done.prop_flat_map(|(started, found, second)| {
        let more = ours(5).boxed().prop_map(move |other| second.then_some(other));
        (Just(started), Just(found), more, prop::collection::vec(past(), 0..4))
    });
    prop_oneof![
        1 => Just(Search::None),
        3 => done.prop_map(|(started, found, more, mut empty)| {
            empty.sort_unstable();
            let found = found.map_or_else(Vec::new, |task| std::iter::once(task).chain(more).collect());
            let empty = empty.into_iter().filter(|second| *second <= started).map(at).collect();
            Search::Done { started_at: at(started), found, empty }
        }),
    ]
}

fn remotes() -> impl Strategy<Value = Remote> {
    prop_oneof![
        8 => task_at_oms(NUMBER).boxed().prop_map(|task| Remote::Known(Box::new(task))),
        1 => Just(Remote::Gone),
        1 => Just(Remote::Pending),
        1 => Just(Remote::Stale),
    ]
}

fn turns_in_line() -> impl Strategy<Value = Option<Turn>> {
    let place = (1..50_usize, option::of(moment()));
    prop_oneof![
        6 => Just(Some(Turn::Now)),
        1 => Just(None),
        2 => place.prop_map(|(position, earliest)| {
            Some(Turn::Later(Place { position, earliest_at: earliest.map(at) }))
        }),
    ]
}

prop_compose! {
    fn objects()(
        spec in specs().boxed(),
        status in option::weighted(0.95, statuses().boxed()).boxed(),
        generation in 2..4_i64,
        deleted in option::weighted(0.25, past()),
        finalizer in prop::bool::weighted(0.8),
        paused in prop::bool::weighted(0.1),
        nudged in prop::bool::weighted(0.2),
    ) -> Scene {
        let scene = scene().now(NOW).with(|scene| {
            scene.task.spec = spec;
            scene.task.status = status;
            scene.task.metadata.generation = Some(generation);
            scene.task.metadata.deletion_timestamp =
                deleted.map(|second| whole_seconds(at(second)));
        });
        let scene = if finalizer { scene.with_finalizer() } else { scene };
        let scene = if paused { scene.annotated(crate::api::PAUSED, "true") } else { scene };
        if nudged { scene.nudged() } else { scene }
    }
}

prop_compose! {
    fn scenes()(
        scene in objects().boxed(),
        link in links().boxed(),
        keys in all_keys().boxed(),
        remote in remotes().boxed(),
        search in searches().boxed(),
        sibling in option::weighted(0.15, ours(5).boxed()).boxed(),
        created in prop::bool::weighted(0.1),
        permit in prop_oneof![2 => Just(None), 2 => Just(Some(None)), 1 => past().prop_map(|second| Some(Some(second)))],
        started_again in option::of(past()),
        trouble in option::of(troubles().boxed()).boxed(),
        turn in turns_in_line().boxed(),
        place_due in any::<bool>(),
        progress_due in any::<bool>(),
    ) -> Scene {
        scene.with(|scene| {
            scene.link = link;
            scene.keys = keys;
            scene.remote = remote;
            scene.search = search;
            scene.siblings = sibling.into_iter().collect();
            // What the process remembers fits what is stored: an id() that is recorded is remembered no more.
            let recorded = scene.stored().task_id.is_some();
            scene.created = (created && !recorded).then(|| (id(), "task-1".into()));
            scene.permit = match permit {
                None => None,
                Some(None) => scene.sent_at(),
                Some(Some(second)) => scene.sent_at().map(|_| at(second)),
            };
            scene.started_again_at = started_again.map(at);
            scene.trouble = trouble;
            scene.turn = turn;
            scene.place_due = place_due;
            scene.progress_due = progress_due;
        })
    }
}

/// What a step changes at OMS: the task, where there is one yet.
fn changes(step: &Step) -> Option<RemoteId> {
    match step {
        Step::Start { id, .. }
        | Step::Stop(id)
        | Step::Delete(id)
        | Step::SetBandwidth(id)
        | Step::SetPriority(id)
        | Step::RemoveDuplicate(id) => Some(id.clone()),
        Step::Rest
        | Step::ReadKeys
        | Step::Search
        | Step::LineUp
        | Step::Check { .. }
        | Step::Show
        | Step::Describe
        | Step::CountMembers
        | Step::AddFinalizer
        | Step::RemoveFinalizer { .. }
        | Step::Create(_) => None,
    }
}

/// Every task that was seen with our token.
fn with_our_token(scene: &Scene) -> Vec<&RemoteTask> {
    let known = match &scene.remote {
        Remote::Known(task) => Some(&**task),
        _ => None,
    };
    let found = match &scene.search {
        Search::Done { found, .. } => found.as_slice(),
        Search::None => &[],
    };
    let tasks = known.into_iter().chain(found).chain(&scene.siblings);
    tasks.filter(|task| task.token.as_ref().is_some_and(|own| own.object == super::scene::mark())).collect()
}

fn check_step(scene: &Scene, plan: &Plan) {
    let deleting = scene.task.metadata.deletion_timestamp.is_some();
    if let Some(id) = changes(&plan.step) {
        assert!(with_our_token(scene).iter().any(|task| task.id == id), "a foreign task: {:?}", plan.step);
        let recorded = scene.stored().task_id.as_deref() == Some(id.to_string().as_str());
        let duplicate = matches!(plan.step, Step::RemoveDuplicate(_));
        assert_ne!(recorded, duplicate, "{:?}", plan.step);
        assert!(matches!(scene.link, Link::Up(_)), "no way to OMS: {:?}", plan.step);
    }
    match &plan.step {
        Step::Create(own) => {
            let stored = scene.stored().create.expect("an intent is on record");
            assert_eq!(stored.token, own.to_string());
            assert_eq!(own.object, super::scene::mark());
            assert!(scene.permit.is_some() && scene.permit == scene.sent_at(), "the permit is ours");
            assert!(plan.status.create == scene.stored().create, "nothing but the call is under way");
            assert!(matches!(scene.keys, Keys::Ready(_)) && scene.stored().task_id.is_none());
            assert!(!deleting && matches!(scene.link, Link::Up(_)));
        }
        Step::Start { .. } => {
            assert!(matches!(scene.keys, Keys::Ready(_)));
            assert!(!deleting && scene.task.spec.lifecycle.suspend != Some(true));
            assert!(!plan.status.observed_credentials.is_empty(), "the keys are on record");
        }
        Step::AddFinalizer | Step::RemoveFinalizer { .. } => {
            assert_eq!(plan.status, scene.stored(), "one write at a time");
            assert_eq!(deleting, matches!(plan.step, Step::RemoveFinalizer { .. }));
        }
        Step::SetBandwidth(_) | Step::SetPriority(_) => assert!(!deleting),
        _ => {}
    }
    if scene.task.metadata.annotations.as_ref().is_some_and(|all| all.contains_key(crate::api::PAUSED)) {
        assert!(deleting || plan.step == Step::Rest, "hands off");
    }
    if deleting && scene.task.metadata.finalizers.is_none() {
        assert_eq!(plan.step, Step::Rest);
    }
}

fn check_status(scene: &Scene, plan: &Plan) {
    let conditions = &plan.status.conditions;
    let generation = scene.task.metadata.generation.unwrap();
    let holds = |type_| situation::find(conditions, type_).is_some_and(|found| found.status == "True");
    assert!(!(holds(types::READY) && holds(types::RECONCILING)), "{conditions:?}");
    assert!(!(holds(types::READY) && holds(types::STALLED)), "{conditions:?}");
    assert!(!(holds(types::RECONCILING) && holds(types::STALLED)), "{conditions:?}");
    for condition in conditions {
        let same = conditions.iter().filter(|other| other.type_ == condition.type_).count();
        assert_eq!(same, 1, "{} is told once", condition.type_);
        assert!(!condition.message.trim().is_empty(), "{} has no words", condition.type_);
        assert!(condition.observed_generation.is_some_and(|observed| observed <= generation));
    }
    assert!(plan.status.observed_generation <= generation);
    if plan.status != scene.stored() && plan.status.phase.is_some() {
        assert!(situation::find(conditions, types::READY).is_some(), "a phase without Ready");
    }
    if plan.status != scene.stored() {
        assert!(plan.status.queue.is_none() || plan.status.phase == Some(Phase::Queued), "{:?}", plan.status);
    }
    if plan.status.phase == Some(Phase::Succeeded) {
        assert!(holds(types::READY));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn every_view_has_one_plan_that_keeps_the_rules(scene in scenes().boxed()) {
        let plan = scene.plan();
        prop_assert_eq!(&plan, &scene.plan(), "the same view leads to the same plan");
        check_step(&scene, &plan);
        check_status(&scene, &plan);
    }

    #[test]
    fn the_status_comes_to_rest_in_an_unchanged_world(scene in scenes().boxed()) {
        let (scene, plan) = scene.settled();
        check_step(&scene, &plan);
        check_status(&scene, &plan);
        let at_once = plan.look_again.is_some_and(|again| again.after.is_zero());
        prop_assert!(plan.step != Step::Rest || !at_once, "a loop that does nothing: {:?}", plan);
    }

    #[test]
    fn time_alone_makes_few_writes(scene in scenes().boxed()) {
        let (mut scene, _) = scene.settled();
        let mut writes = 0;
        for _ in 0..90 {
            scene.now += Duration::from_secs(1);
            for _ in 0..8 {
                let plan = scene.plan();
                check_step(&scene, &plan);
                if plan.status == scene.stored() || matches!(plan.step, Step::RemoveFinalizer { .. }) {
                    break;
                }
                writes += 1;
                scene.store(&plan);
            }
        }
        prop_assert!(writes <= 8, "{} writes in 90 seconds: {:#?}", writes, scene);
    }
}
