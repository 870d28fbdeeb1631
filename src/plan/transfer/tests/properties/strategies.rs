//! Views of every kind: what was seen and what is on record, in every combination, however unlikely.

use std::time::Duration;

use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::super::scene::{NUMBER, Scene, at, cause_of, id, keys, pinned, remote, scene, token};
use super::answers::{Answers, answers, named};
use super::specs::specs;
use super::statuses::{Told, statuses};
use crate::api::conditions::Reason;
use crate::api::{ManagementPolicy, Members};
use crate::plan::census::{Census, Counted};
use crate::plan::claims::Claim;
use crate::plan::facts::difference;
use crate::plan::queue::{Place, Turn};
use crate::plan::seen::{
    Call, Candidate, Counters, Delivered, Described, Keys, Link, LinkUp, MonthCounters, Remote,
    RemoteFailure, RemoteNotification, RemoteState, RemoteTask, Search, Trouble, TroubleKind, Whole, Window,
};
use crate::plan::situation::whole_seconds;
use crate::plan::token::{ObjectMark, Token};
use crate::plan::transfer::{Pause, Step};
use crate::plan::wish::Kind;

pub(super) const NOW: i64 = 10_000;

/// Another task than the recorded one.
pub(super) const OTHER: u64 = 5;

const TROUBLES: [TroubleKind; 11] = [
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

const CALLS: [Call; 8] = [
    Call::Create,
    Call::Look,
    Call::Check,
    Call::Start,
    Call::Stop,
    Call::Delete,
    Call::Bandwidth,
    Call::Priority,
];

/// The states that a kind has at OMS.
fn states(kind: Kind) -> Vec<RemoteState> {
    use RemoteState as S;
    match kind {
        Kind::MigrationTask => vec![
            S::Waiting,
            S::Running,
            S::Stopped,
            S::Failed,
            S::Succeeded,
            S::Retrying,
            S::Stopping,
            S::Unknown,
        ],
        Kind::TaskGroup => vec![
            S::Waiting,
            S::Creating,
            S::Running,
            S::Stopped,
            S::Failed,
            S::Succeeded,
            S::Stopping,
            S::Deleting,
            S::Unknown,
        ],
        Kind::SyncTask => vec![S::Synchronizing, S::Stopped, S::Unknown],
    }
}

/// A moment that is over, near the edges that decisions have.
pub(super) fn past() -> impl Strategy<Value = i64> {
    prop_oneof![Just(NOW), Just(NOW - 1), NOW - 100..NOW, NOW - 1_300..NOW - 1_100, 0..NOW,]
}

/// A moment at any side of now.
pub(super) fn moment() -> impl Strategy<Value = i64> {
    prop_oneof![past(), NOW + 1..NOW + 1_000]
}

pub(super) fn foreign() -> Token {
    Token::new(ObjectMark::new("cluster", "MigrationTask", "other"), "", 1)
}

pub(super) fn counters() -> impl Strategy<Value = Counters> {
    // Shares that are no number do not come from OMS: the reader of its answers makes them 0.
    let fractions = select(vec![0.0, 0.3, 0.5, 1.0, -1.0, 7.0]);
    (fractions, 0..3_u64, 0..3_u64, 0..3_u64, any::<bool>()).prop_map(
        |(fraction, succeeded, failed, bytes_done, large)| Counters {
            fraction,
            total: succeeded + failed,
            bytes_total: if large { u64::MAX } else { bytes_done },
            listed: large,
            succeeded,
            failed,
            bytes_done,
            ..Counters::default()
        },
    )
}

pub(super) fn members() -> impl Strategy<Value = Members> {
    (0..3_u64, 0..3_u64).prop_map(|(failed, complete)| Members {
        total: failed + complete,
        created: failed + complete,
        failed,
        complete,
        ..Members::default()
    })
}

pub(super) fn failures() -> impl Strategy<Value = Option<RemoteFailure>> {
    select(vec!["", "TRF.0151", "TRF.0002", "TRF.0021", "TRF.0060"]).prop_map(|code| {
        let cause = cause_of(code);
        (!code.is_empty()).then(|| RemoteFailure { code: code.into(), cause, ..RemoteFailure::default() })
    })
}

fn months() -> impl Strategy<Value = MonthCounters> {
    (0..3_u64).prop_map(|requested| MonthCounters {
        month: "2026-11".into(),
        requested,
        succeeded: requested,
        failed: 0,
        skipped: 0,
        bytes: requested,
    })
}

prop_compose! {
    /// A task of a kind, as OMS tells of it: a group has neither name nor priority, a sync task has no end.
    pub(super) fn task_at_oms(kind: Kind, id: u64)(
        state in select(states(kind)),
        token in prop_oneof![
            8 => (1..4_i64).prop_map(|attempt| Some(token(attempt))), 1 => Just(Some(foreign())), 1 => Just(None)
        ],
        counters in counters().boxed(),
        failure in failures(),
        priority in select(vec![None, Some("MEDIUM"), Some("high")]),
        limited in any::<bool>(),
        started in option::of(moment()),
        took in select(vec![Duration::ZERO, Duration::from_secs(9), Duration::MAX]),
        (listed, retryable) in any::<(bool, bool)>(),
        notified in option::of(any::<bool>()),
        members in option::of(members()),
        month in option::of(months()),
    ) -> RemoteTask {
        let windows = Window { start: "08:00".into(), end: "20:00".into(), bytes_per_second: 50 << 20 };
        let bare = RemoteTask { id: id.into(), token, started_at: started.map(at), ..remote(state) };
        let (unnamed, copies) = (RemoteTask { name: String::new(), priority: None, ..bare.clone() }, kind != Kind::SyncTask);
        let notification = notified.map(|sent| RemoteNotification { sent, ..RemoteNotification::default() });
        RemoteTask {
            counters: if copies { counters } else { Counters::default() },
            failure: failure.filter(|_| copies),
            can_retry_failed: copies && retryable,
            windows: (copies && limited).then_some(windows).into_iter().collect(),
            took,
            failed_list: (copies && listed).then(|| "oms/list".into()),
            notification: notification.filter(|_| copies),
            priority: priority.filter(|_| kind == Kind::MigrationTask).map(Into::into),
            members: members.filter(|_| kind == Kind::TaskGroup),
            month: month.filter(|_| !copies),
            ..if kind == Kind::MigrationTask { bare } else { unnamed }
        }
    }
}

/// A task that a search for our mark found: it carries our token.
pub(super) fn ours(kind: Kind, id: u64) -> impl Strategy<Value = RemoteTask> {
    (task_at_oms(kind, id).boxed(), 1..4_i64)
        .prop_map(|(task, attempt)| RemoteTask { token: Some(token(attempt)), ..task })
}

prop_compose! {
    fn troubles()(
        call in select(CALLS.to_vec()),
        kind in select(TROUBLES.to_vec()),
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

fn links() -> impl Strategy<Value = Link> {
    let up = |region: &str, changed: Option<&str>| {
        let changed = changed.map(Into::into);
        Link::Up(LinkUp { pinned: pinned(), region: region.into(), changed })
    };
    prop_oneof![
        12 => Just(up("cn-north-4", None)),
        2 => Just(up("cn-north-4", Some("The reference means another one now"))),
        1 => Just(up("ap-southeast-1", None)),
        4 => Just(Link::Down { reason: Reason::ConnectionNotReady, message: "It is not ready".into() }),
    ]
}

pub(super) fn all_keys() -> impl Strategy<Value = Keys> {
    prop_oneof![
        3 => Just(Keys::Ready(keys("one"))),
        2 => Just(Keys::Ready(keys("two"))),
        2 => Just(Keys::NotRead),
        1 => Just(Keys::Missing { reason: Reason::SecretNotFound, message: "Create the Secret".into() }),
    ]
}

fn searches(kind: Kind) -> impl Strategy<Value = Search> {
    let found = prop_oneof![3 => Just(None), 1 => ours(kind, NUMBER).boxed().prop_map(Some)];
    let done = (past(), found, any::<bool>()).prop_flat_map(move |(started, found, second)| {
        let more = ours(kind, OTHER).boxed().prop_map(move |other| second.then_some(other));
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

fn remotes(kind: Kind) -> impl Strategy<Value = Remote> {
    prop_oneof![
        8 => task_at_oms(kind, NUMBER).boxed().prop_map(|task| Remote::Known(Box::new(task))),
        1 => Just(Remote::Gone),
        1 => Just(Remote::Pending),
        1 => Just(Remote::Stale),
    ]
}

pub(super) fn turns_in_line() -> impl Strategy<Value = Option<Turn>> {
    let place = (1..50_usize, option::of(moment()));
    prop_oneof![
        6 => Just(Some(Turn::Now)),
        1 => Just(None),
        2 => place.prop_map(|(position, earliest)| {
            Some(Turn::Later(Place { position, earliest_at: earliest.map(at) }))
        }),
    ]
}

/// What a look at the task of `spec.adopt` shows.
pub(super) fn candidates(kind: Kind) -> impl Strategy<Value = Candidate> {
    let parts = select(vec![
        None,
        None,
        None,
        Some(Whole::SyncTask),
        Some(Whole::TaskGroup(String::new())),
        Some(Whole::TaskGroup("7".into())),
    ]);
    let found = (task_at_oms(kind, NUMBER).boxed(), parts, any::<bool>());
    prop_oneof![
        1 => Just(Candidate::NotRead),
        1 => Just(Candidate::Unknown),
        4 => found.prop_map(move |(task, part_of, differs)| {
            let part_of = part_of.filter(|_| kind == Kind::MigrationTask);
            let differences = if differs { vec![difference("source.bucket", "a", "b")] } else { Vec::new() };
            Candidate::Found(Box::new(Described { task, part_of, differences }))
        }),
    ]
}

/// What other objects have to do with the task of `spec.adopt`.
fn claims() -> impl Strategy<Value = Vec<Claim>> {
    let claim = (any::<bool>(), any::<bool>()).prop_map(|(made, older)| Claim {
        name: "media/other".into(),
        uid: "0".into(),
        created_at: Some(at(if older { -1_000 } else { 1_000 })),
        made,
    });
    prop::collection::vec(claim, 0..2)
}

/// A count of the tasks of a group.
fn counts() -> impl Strategy<Value = Census> {
    let counted = (members(), counters().boxed(), failures());
    let counted = counted.prop_map(|(members, counters, worst)| Counted { members, counters, worst });
    (past(), select(states(Kind::TaskGroup)), any::<bool>(), counters().boxed(), option::of(counted))
        .prop_map(|(second, state, empty, counters, counted)| Census {
            at: at(second),
            state,
            counters: if empty { Counters::default() } else { counters },
            counted,
        })
}

prop_compose! {
    fn objects(kind: Kind)(
        spec in specs(kind).boxed(),
        (status, spoken) in statuses(kind).boxed(),
        fresh in prop::bool::weighted(0.05),
        generation in 2..4_i64,
        deleted in option::weighted(0.25, past()),
        finalizer in prop::bool::weighted(0.8),
        paused in prop::bool::weighted(0.1),
        nudged in prop::bool::weighted(0.2),
        pause in option::weighted(0.1, select(vec![Pause::Operator, Pause::Namespace("media".into())])),
        noted in subsequence(super::statuses::FURTHER.to_vec(), 0..3),
    ) -> Scene {
        let observes = spec.lifecycle.management_policy == ManagementPolicy::Observe;
        let ready_when = spec.lifecycle.ready_when;
        let status = Told { spoken, noted, kind, generation, ready_when, observes }.on(status);
        let scene = scene().now(NOW).with(|scene| {
            scene.kind = kind;
            scene.task.spec = spec;
            scene.task.status = (!fresh).then_some(status);
            scene.task.metadata.generation = Some(generation);
            scene.task.metadata.creation_timestamp = Some(whole_seconds(at(0)));
            scene.task.metadata.deletion_timestamp =
                deleted.map(|second| whole_seconds(at(second)));
            scene.pause = pause;
        });
        let scene = if finalizer { scene.with_finalizer() } else { scene };
        let scene = if paused { scene.annotated(crate::api::PAUSED, "true") } else { scene };
        if nudged { scene.nudged() } else { scene }
    }
}

prop_compose! {
    fn scenes_of(kind: Kind)(
        scene in objects(kind).boxed(),
        link in links().boxed(),
        keys in all_keys().boxed(),
        remote in remotes(kind).boxed(),
        search in searches(kind).boxed(),
        sibling in option::weighted(0.15, ours(kind, OTHER).boxed()).boxed(),
        created in prop::bool::weighted(0.1),
        permit in prop_oneof![2 => Just(None), 2 => Just(Some(None)), 1 => past().prop_map(|second| Some(Some(second)))],
        started_again in option::of(past()),
        trouble in option::of(troubles().boxed()).boxed(),
        turn in turns_in_line().boxed(),
        (candidate, claims) in (candidates(kind).boxed(), claims()),
        census in option::of(counts().boxed()),
        (place_due, progress_due, approved) in any::<(bool, bool, bool)>(),
        (mut answers, shown) in (answers(kind), 0..5_usize),
    ) -> Scene {
        let mut scene = scene.with(|scene| {
            scene.link = link;
            scene.keys = keys;
            scene.remote = remote;
            scene.search = search;
            scene.candidate = named(scene, candidate);
            scene.claims = claims;
            scene.siblings = sibling.into_iter().collect();
            scene.census = census.filter(|_| kind == Kind::TaskGroup);
            // What the process remembers fits what is stored: an ID that is recorded is remembered no more.
            let recorded = scene.stored().task_id.is_some();
            let name = if kind == Kind::MigrationTask { "task-1" } else { "" };
            scene.created = (created && !recorded).then(|| (id(), name.into()));
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
        });
        for _ in 0..shown {
            // What was checked bears a hash of it, so it is told as the plan asks for it.
            let Step::Check { check, subject } = scene.plan().step else { break };
            answers.show(&mut scene, &Step::Check { check, subject });
        }
        if approved && let Some(plan) = scene.plan().status.plan {
            scene.task.spec.lifecycle.approved_plan = Some(plan.hash);
        }
        scene
    }
}

/// Views of every kind.
pub(super) fn scenes() -> impl Strategy<Value = Scene> {
    prop_oneof![
        2 => scenes_of(Kind::MigrationTask).boxed(),
        2 => scenes_of(Kind::TaskGroup).boxed(),
        1 => scenes_of(Kind::SyncTask).boxed(),
    ]
}

/// Views of every kind, and what every look will show.
pub(super) fn stories() -> impl Strategy<Value = (Scene, Answers)> {
    let of = |kind| (scenes_of(kind).boxed(), answers(kind).boxed()).boxed();
    prop_oneof![2 => of(Kind::MigrationTask), 2 => of(Kind::TaskGroup), 1 => of(Kind::SyncTask)]
}
