//! What holds for every view of a SyncEvent, and for every way to its end.

use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;

const RECEIVERS: [fn() -> Receiver; 6] = [
    || Receiver::Missing,
    || Receiver::Leaving,
    || Receiver::Idle { phase: Some(Phase::Queued), message: "wait".into() },
    || Receiver::Idle { phase: None, message: String::new() },
    || Receiver::Unreachable { reason: Reason::ConnectionNotReady, message: "x".into() },
    || Receiver::Ready(id()),
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

/// The rows that a SyncEvent can be in.
const ROWS: [Row; 4] = [Row::Blocked, Row::Active, Row::Succeeded, Row::Hopeless];

fn troubles() -> impl Strategy<Value = Trouble> {
    (select(KINDS.to_vec()), select(vec!["", "OMS.0001"]), -60_i64..600)
        .prop_map(|(kind, code, second)| trouble(kind, code, at(second)))
}

prop_compose! {
    fn statuses()(
        accepted in option::of(-5_i64..60),
        total in option::of(0_i64..60),
        end in option::of((-600_i64..0).prop_map(|second| whole_seconds(at(second)))),
        told in option::of((select(ROWS.to_vec()), -1_i64..=GENERATION)),
        task in option::of(Just(id().to_string())),
        handled in option::of(Just("before".to_owned())),
    ) -> SyncEventStatus {
        let mut status = SyncEventStatus {
            accepted,
            total,
            finished_at: end,
            task_id: task,
            last_handled_reconcile_at: handled,
            ..SyncEventStatus::default()
        };
        if let Some((row, observed)) = told {
            // Only an end has its time.
            let row = if status.finished_at.is_some() { Row::Hopeless } else { row };
            let situation = Situation::new(row, Reason::SendingEvents, "As it was told before");
            let verdict = situation::judge(row, ReadyWhen::Succeeded, false);
            status.observed_generation = observed;
            status.phase = Some(verdict.phase);
            status.conditions = situation::conditions(&[], &situation, verdict, observed, at(-900));
        }
        status
    }
}

prop_compose! {
    fn scenes()(
        count in prop_oneof![9 => 1_usize..50, 1 => Just(1_000)],
        stored in option::of(statuses()),
        receiver in select(RECEIVERS.to_vec()),
        told in option::of(0_usize..60),
        trouble in option::of(troubles()),
        ttl in option::of(prop_oneof![0_u64..1_000, Just(u64::MAX)]),
        (paused, nudged) in (prop::bool::weighted(0.2), any::<bool>()),
        deleted in prop::bool::weighted(0.2),
    ) -> Scene {
        let mut scene = Scene { stored, receiver: receiver(), told: told.map(|through| (through, id())), trouble, ..scene(count) };
        scene.spec.ttl_after_finished = ttl.map(|seconds| Span(seconds.to_string()));
        scene.meta.deletion_timestamp = deleted.then(|| whole_seconds(at(-1)));
        let notes = [(paused, api::PAUSED, "true"), (nudged, api::RECONCILE_REQUESTED_AT, "token")];
        let notes = notes.into_iter().filter(|(there, ..)| *there);
        let notes: BTreeMap<_, _> = notes.map(|(_, name, value)| (name.to_owned(), value.to_owned())).collect();
        scene.meta.annotations = (!notes.is_empty()).then_some(notes);
        scene
    }
}

impl Scene {
    fn is_paused(&self) -> bool {
        pause::words(&self.meta, self.pause.as_ref()).is_some()
    }

    fn status(&self) -> SyncEventStatus {
        self.stored.clone().unwrap_or_default()
    }
}

fn check_step(scene: &Scene, plan: &Plan) {
    let total = scene.spec.object_keys.len();
    match &plan.step {
        Step::Send(to, range) => {
            assert_eq!(scene.receiver, Receiver::Ready(to.clone()));
            assert_eq!(plan.status.accepted, i64::try_from(range.start).ok(), "from where the record ends");
            assert!(!range.is_empty() && range.len() <= KEYS_PER_CALL && range.end <= total);
            assert_eq!(plan.status.finished_at, None, "what has ended sends nothing");
        }
        Step::Delete => {
            let end = scene.status().finished_at.expect("its end is on record").0;
            let ttl = scene.spec.ttl_after_finished.as_ref().and_then(Span::duration).expect("asked for");
            assert!(end + ttl <= scene.now && plan.status == scene.status());
        }
        Step::Rest => {}
    }
    if scene.meta.deletion_timestamp.is_some() || scene.is_paused() {
        assert!(plan.step == Step::Rest || scene.told.is_some() && plan.step == Step::Delete, "hands off");
    }
    if scene.meta.deletion_timestamp.is_some() {
        assert_eq!((&plan.step, &plan.status), (&Step::Rest, &scene.status()), "nothing is left to do");
    }
}

fn check_status(scene: &Scene, plan: &Plan) {
    let (stored, status) = (scene.status(), &plan.status);
    if *status == stored {
        return;
    }
    if scene.is_paused() && scene.told.is_none() {
        let marked = SyncEventStatus { conditions: status.conditions.clone(), ..stored };
        assert_eq!(*status, marked, "the marker and nothing else");
        assert!(situation::find(&status.conditions, types::PAUSED).is_some());
        return;
    }
    let total = i64::try_from(scene.spec.object_keys.len()).unwrap();
    let accepted = status.accepted.expect("it says how far it is");
    assert_eq!(status.total, Some(total));
    assert!((0..=total).contains(&accepted));
    assert!(accepted >= stored.accepted.unwrap_or(0).min(total), "what OMS accepted is never forgotten");
    if let Some((through, task)) = &scene.told {
        assert!(accepted >= i64::try_from(*through).unwrap().min(total), "it goes on record");
        assert_eq!(status.task_id.as_deref(), Some(task.as_str()));
    }
    if accepted == total {
        assert!(status.finished_at.is_some());
        assert_eq!(status.phase, Some(Phase::Succeeded));
    }
    let Some(phase) = status.phase else { return };
    let condition = |type_| situation::find(&status.conditions, type_);
    let ready = condition(types::READY).expect("a phase without Ready");
    assert_eq!(ready.observed_generation, Some(status.observed_generation));
    let told = (
        phase,
        ready.status == "True",
        condition(types::RECONCILING).is_some(),
        condition(types::STALLED).is_some(),
    );
    let mut table = ROWS
        .into_iter()
        .map(|row| situation::judge(row, ReadyWhen::Succeeded, false))
        .map(|verdict| (verdict.phase, verdict.ready, verdict.reconciling, verdict.stalled));
    assert!(table.any(|row| row == told), "not in the table: {told:?}");
    for condition in &status.conditions {
        assert!(Reason::ALL.iter().any(|(reason, _)| reason.as_str() == condition.reason));
        assert!(!condition.message.is_empty() && condition.observed_generation <= Some(GENERATION));
        assert!(condition.type_ == types::READY || condition.status == "True");
        let before = situation::find(&stored.conditions, &condition.type_);
        let before = before.filter(|old| old.status == condition.status);
        let since = before.map_or(whole_seconds(scene.now), |old| old.last_transition_time.clone());
        assert_eq!(condition.last_transition_time, since);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn every_view_has_one_plan_that_keeps_the_rules(scene in scenes()) {
        let plan = scene.plan();
        prop_assert_eq!(&plan, &scene.plan(), "the same view leads to the same plan");
        check_step(&scene, &plan);
        check_status(&scene, &plan);
    }

    #[test]
    fn a_stored_plan_is_planned_again_without_a_change(scene in scenes()) {
        let mut scene = scene;
        let first = scene.settle();
        check_step(&scene, &first);
        prop_assert_eq!(first, scene.plan());
    }

    #[test]
    fn the_status_that_comes_with_a_call_leads_to_that_call(scene in scenes()) {
        let plan = scene.plan();
        if plan.step != Step::Rest {
            let mut stored = scene.clone();
            stored.store(plan.status.clone());
            prop_assert_eq!(stored.plan(), plan);
        }
    }

    #[test]
    fn whoever_waits_looks_again_or_is_woken(scene in scenes()) {
        let mut scene = scene;
        let plan = scene.settle();
        let waits = situation::find(&plan.status.conditions, types::RECONCILING).is_some();
        let held = scene.is_paused() || scene.meta.deletion_timestamp.is_some();
        if waits && !held && plan.step == Step::Rest {
            let again = plan.look_again.expect("nobody else wakes it");
            prop_assert!(!again.is_zero() && again <= Duration::from_hours(24));
        }
    }

    #[test]
    fn time_alone_writes_nothing_but_the_end_of_a_wait(scene in scenes()) {
        let mut scene = scene;
        scene.settle();
        let mut writes = 0;
        for _ in 0..90 {
            scene.now += Duration::from_secs(10);
            let plan = scene.plan();
            check_step(&scene, &plan);
            if plan.status != scene.status() {
                writes += 1;
                scene.store(plan.status);
            }
        }
        prop_assert!(writes <= 1, "{} writes in 15 minutes", writes);
    }
}

/// What becomes of a call with keys, or of the write that follows it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    Taken,
    /// OMS took the keys, and the process ended before it put that on record.
    Forgotten,
    /// OMS took the keys, and its answer got lost.
    AnswerLost,
    /// Refused for a cause that passes.
    Refused(TroubleKind),
}

const FATES: [Fate; 6] = [
    Fate::Taken,
    Fate::Forgotten,
    Fate::AnswerLost,
    Fate::Refused(TroubleKind::Throttled),
    Fate::Refused(TroubleKind::Conflict),
    Fate::Refused(TroubleKind::Transient),
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_on_the_way_every_key_is_told_and_only_unconfirmed_calls_twice(
        count in 1_usize..120,
        fates in prop::collection::vec(select(FATES.to_vec()), 0..30),
        idle in prop::collection::vec(select(RECEIVERS.to_vec()), 0..6),
        pauses in prop::collection::vec(any::<bool>(), 0..6),
    ) {
        let mut scene = scene(count);
        let (mut fates, mut idle, mut pauses) = (fates.into_iter(), idle.into_iter(), pauses.into_iter());
        let (mut told, mut unconfirmed) = (vec![0_usize; count], 0);
        for _ in 0..400 {
            scene.now += Duration::from_secs(30);
            scene.receiver = idle.next().map_or_else(|| Receiver::Ready(id()), |receiver| receiver());
            scene = match pauses.next() {
                Some(true) => scene.annotated(api::PAUSED, "true"),
                _ => Scene { meta: ObjectMeta { annotations: None, ..scene.meta }, ..scene },
            };
            let plan = scene.plan();
            check_step(&scene, &plan);
            check_status(&scene, &plan);
            if plan.status != scene.status() {
                scene.store(plan.status);
                continue;
            }
            let Step::Send(to, range) = plan.step else {
                if is_over(scene.stored.as_ref()) {
                    break;
                }
                continue;
            };
            let fate = fates.next().unwrap_or(Fate::Taken);
            if let Fate::Refused(kind) = fate {
                scene.trouble = Some(trouble(kind, "", scene.now + Duration::from_secs(45)));
                continue;
            }
            range.clone().for_each(|key| told[key] += 1);
            scene.trouble = None;
            match fate {
                Fate::Taken => scene.told = Some((range.end, to)),
                Fate::AnswerLost => {
                    unconfirmed += range.len();
                    scene.trouble = Some(trouble(TroubleKind::Transient, "", scene.now));
                }
                _ => unconfirmed += range.len(),
            }
        }
        let status = scene.status();
        prop_assert_eq!(status.phase, Some(Phase::Succeeded), "{:#?}", scene);
        prop_assert_eq!(status.accepted, i64::try_from(count).ok());
        prop_assert!(told.iter().all(|times| *times >= 1), "every key: {:?}", told);
        prop_assert_eq!(told.iter().sum::<usize>(), count + unconfirmed, "and no other call again");
        prop_assert_eq!(scene.plan().step, Step::Rest);
    }
}
