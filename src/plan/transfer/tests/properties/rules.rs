//! The rules of behaviour, as checks of one plan.

use std::collections::BTreeSet;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::super::super::{Plan, Step};
use super::super::scene::{Scene, mark};
use super::statuses::rows;
use crate::api::conditions::{Reason, types};
use crate::api::{self, DeletionPolicy, ManagementPolicy, Phase, TransferStatus};
use crate::plan::claims::{self, Claim};
use crate::plan::seen::{Call, Keys, Link, Remote, RemoteId, RemoteState, RemoteTask, Search};
use crate::plan::situation::{self, whole_seconds};
use crate::plan::token::Token;
use crate::plan::wish::Kind;

/// Conditions that are there only while they are true.
const ONLY_WHILE_TRUE: [&str; 8] = [
    types::RECONCILING,
    types::STALLED,
    types::CREDENTIALS_PENDING,
    types::BANDWIDTH_PENDING,
    types::PRIORITY_PENDING,
    types::OVERSIZED,
    types::PAUSED,
    types::DRIFTED,
];

/// Everything that one plan has to keep.
pub(super) fn check(scene: &Scene, plan: &Plan) {
    check_step(scene, plan);
    check_record(scene, plan);
    check_status(scene, plan);
    check_conditions(scene, plan);
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

/// Whether a step is a call that changes something at OMS.
pub(super) fn calls(step: &Step) -> bool {
    changes(step).is_some() || matches!(step, Step::Create(_))
}

fn is_deleted(scene: &Scene) -> bool {
    scene.task.metadata.deletion_timestamp.is_some()
}

fn observes(scene: &Scene) -> bool {
    scene.task.spec.lifecycle.management_policy == ManagementPolicy::Observe
}

fn suspends(scene: &Scene) -> bool {
    scene.task.spec.lifecycle.suspend == Some(true)
}

fn adopts(scene: &Scene) -> Option<&str> {
    scene.task.spec.adopt.as_ref().map(|adopt| adopt.task_id.as_str())
}

/// Whether somebody keeps the operator's hands off.
fn is_paused(scene: &Scene) -> bool {
    let annotations = scene.task.metadata.annotations.as_ref();
    scene.pause.is_some() || annotations.is_some_and(|all| all.contains_key(api::PAUSED))
}

/// Whether the recorded task is the adopted one, and nobody has a better claim.
fn has_adopted(scene: &Scene) -> bool {
    let stored = scene.stored();
    let own = Claim {
        name: String::new(),
        uid: "uid".into(),
        created_at: scene.task.metadata.creation_timestamp.as_ref().map(|at| at.0),
        made: false,
    };
    stored.adopted == Some(true)
        && stored.task_id.is_some()
        && stored.task_id.as_deref() == adopts(scene)
        && claims::rival(&own, &scene.claims).is_none()
}

fn carries_our_mark(task: &RemoteTask) -> bool {
    task.token.as_ref().is_some_and(|own| own.object == mark())
}

fn known(scene: &Scene) -> Option<&RemoteTask> {
    match &scene.remote {
        Remote::Known(task) => Some(task),
        _ => None,
    }
}

fn found(scene: &Scene) -> &[RemoteTask] {
    match &scene.search {
        Search::Done { found, .. } => found,
        Search::None => &[],
    }
}

/// Whether a task was seen that may be changed: it carries our mark, or was adopted.
fn may_change(scene: &Scene, id: &RemoteId) -> bool {
    let mut seen = known(scene).into_iter().chain(found(scene)).chain(&scene.siblings);
    seen.any(|task| task.id == *id && carries_our_mark(task))
        || has_adopted(scene) && adopts(scene) == Some(id.as_str())
}

fn recorded(scene: &Scene) -> Option<RemoteId> {
    RemoteId::recorded(scene.kind, scene.stored().task_id.as_deref()?)
}

/// The tasks of former runs.
fn former(status: &TransferStatus) -> BTreeSet<String> {
    let history = status.history.iter().map(|run| run.task_id.clone());
    history.chain(status.older_task_ids.iter().cloned()).collect()
}

/// The rules about what is done: never twice, never a foreign task, hands off where asked for.
pub(super) fn check_step(scene: &Scene, plan: &Plan) {
    let (deleting, stored) = (is_deleted(scene), scene.stored());
    if let Some(id) = changes(&plan.step) {
        assert!(may_change(scene, &id), "a foreign task: {:?}", plan.step);
        let is_recorded = stored.task_id.as_deref() == Some(id.as_str());
        let duplicate = matches!(plan.step, Step::RemoveDuplicate(_));
        assert_ne!(is_recorded, duplicate, "{:?}", plan.step);
    }
    if calls(&plan.step) {
        assert!(matches!(scene.link, Link::Up(_)), "no way to OMS: {:?}", plan.step);
        assert!(!observes(scene), "only looked at: {:?}", plan.step);
    }
    match &plan.step {
        Step::Create(own) => check_create(scene, plan, own),
        Step::Start { .. } => {
            assert!(matches!(scene.keys, Keys::Ready(_)));
            assert!(!deleting && !suspends(scene));
            assert!(!plan.status.observed_credentials.is_empty(), "the keys are on record");
        }
        Step::AddFinalizer => {
            assert_eq!(plan.status, without_pause(&stored), "one write at a time");
            assert!(!deleting && !observes(scene));
        }
        Step::RemoveFinalizer { abandoned } => check_release(scene, plan, abandoned.is_some()),
        Step::SetBandwidth(_) => assert!(!deleting && scene.kind != Kind::SyncTask),
        Step::SetPriority(_) => assert!(!deleting && scene.kind == Kind::MigrationTask),
        Step::Delete(_) if !deleting => {
            let task = known(scene).expect("it was seen");
            assert_eq!((task.state, task.counters.succeeded), (RemoteState::Waiting, 0), "it is kept");
            assert!(!has_adopted(scene) && scene.kind != Kind::SyncTask);
        }
        Step::Stop(_) if !deleting => {
            assert!(suspends(scene) || plan.status.renewing_keys_since.is_some(), "nobody asked for it");
        }
        Step::RemoveDuplicate(id) => {
            assert!(!former(&stored).contains(id.as_str()), "a former run is no duplicate");
        }
        Step::CountMembers => assert_eq!(scene.kind, Kind::TaskGroup),
        Step::Describe => assert!(adopts(scene).is_some()),
        _ => {}
    }
    if is_paused(scene) {
        assert!(deleting || plan.step == Step::Rest, "hands off");
    } else if scene.is_over() && stored.task_id.is_some() && !deleting {
        assert!(matches!(plan.step, Step::Rest | Step::AddFinalizer), "it is over: {:?}", plan.step);
    }
    if deleting && scene.task.metadata.finalizers.is_none() {
        assert_eq!(plan.step, Step::Rest);
    }
}

fn check_create(scene: &Scene, plan: &Plan, own: &Token) {
    let stored = scene.stored();
    let intent = stored.create.clone().expect("an intent is on record");
    assert_eq!(intent.token, own.to_string());
    assert_eq!(own.object, mark());
    assert!(scene.permit.is_some() && scene.permit == scene.sent_at(), "the permit is ours");
    assert!(plan.status.create == stored.create, "nothing but the call is under way");
    assert!(matches!(scene.keys, Keys::Ready(_)) && stored.task_id.is_none());
    assert!(!is_deleted(scene) && !is_paused(scene) && scene.created.is_none());
}

/// Delete means gone, as far as asked: what may be let go of.
fn check_release(scene: &Scene, plan: &Plan, abandoned: bool) {
    let stored = scene.stored();
    assert_eq!(plan.status, without_pause(&stored), "one write at a time");
    let deleted_at = scene.task.metadata.deletion_timestamp.as_ref().expect("it is being deleted").0;
    if abandoned {
        assert!(scene.now >= deleted_at + scene.policy.cleanup_timeout, "it still has time");
        return;
    }
    let by_default = if has_adopted(scene) { DeletionPolicy::Orphan } else { scene.policy.deletion_policy };
    let policy = scene.task.spec.lifecycle.deletion_policy.unwrap_or(by_default);
    let never_taken_over = adopts(scene).is_some()
        && !has_adopted(scene)
        && stored.adopted != Some(false)
        && (stored.adopted == Some(true)
            || stored.task_id.is_none() && stored.create.is_none() && scene.created.is_none());
    if observes(scene) || never_taken_over || policy == DeletionPolicy::Orphan {
        return;
    }
    if recorded(scene).is_none() {
        assert!(scene.created.is_none(), "its task is known");
        return;
    }
    let ours = known(scene).filter(|task| carries_our_mark(task) || has_adopted(scene));
    if policy == DeletionPolicy::Delete {
        assert!(former(&stored).is_empty(), "those of former runs follow");
        assert!(ours.is_none() && !matches!(scene.remote, Remote::Pending | Remote::Stale), "it is there");
    } else if let Some(task) = ours {
        assert!(!task.state.is_active(), "it moves still");
    }
}

fn without_pause(status: &TransferStatus) -> TransferStatus {
    let mut status = status.clone();
    situation::remove(&mut status.conditions, types::PAUSED);
    status
}

/// The rules about what is on record: an intent before a create, and no task is forgotten.
fn check_record(scene: &Scene, plan: &Plan) {
    let (deleting, stored, status) = (is_deleted(scene), scene.stored(), &plan.status);
    if let (None, Some(intent)) = (&stored.create, &status.create) {
        assert!(status.task_id.is_none() && intent.sent_at.is_none() && intent.started_at.0 == scene.now);
        assert!(!deleting && !suspends(scene) && !observes(scene) && !is_paused(scene));
        assert!(scene.task.metadata.finalizers.is_some() && matches!(scene.keys, Keys::Ready(_)));
        let Link::Up(link) = &scene.link else { panic!("no way to OMS") };
        assert!(link.changed.is_none() && status.connection.as_ref() == Some(&link.pinned));
        let token = Token::parse(&intent.token).expect("it is a token");
        assert_eq!((token.object, Some(token.attempt)), (mark(), status.attempt));
    }
    let sent = |status: &TransferStatus| status.create.as_ref().and_then(|intent| intent.sent_at.clone());
    if let (None, Some(_)) = (sent(&stored), sent(status)) {
        let intent = stored.create.as_ref().expect("an intent first");
        let Search::Done { started_at, .. } = &scene.search else { panic!("a search first") };
        assert!(*started_at > intent.started_at.0, "a search that is newer than the intent");
        let on_record = former(&stored);
        assert!(found(scene).iter().all(|task| on_record.contains(task.id.as_str())), "it is there already");
        assert!(!deleting && !observes(scene) && !is_paused(scene) && stored.task_id.is_none());
    }
    let before = former(&stored).into_iter().chain(stored.task_id.clone());
    let after: BTreeSet<_> = former(status).into_iter().chain(status.task_id.clone()).collect();
    for id in before.filter(|id| !after.contains(id)) {
        assert_eq!(Some(&id), stored.task_id.as_ref(), "a former run is forgotten");
        let gone = scene.remote == Remote::Gone;
        let ours = known(scene).is_some_and(|task| carries_our_mark(task) || has_adopted(scene));
        let copied = stored.progress.as_ref().is_some_and(|progress| progress.objects.succeeded > 0);
        let held = stored.suspended_at.is_some() || stored.renewing_keys_since.is_some();
        let waited = gone && held && !copied && !has_adopted(scene) && scene.kind != Kind::SyncTask;
        let removed = deleting && (gone || !ours || recorded(scene).is_none());
        assert!(waited || removed, "task {id} is forgotten");
    }
    assert!(status.history.len() <= 10 && status.answered_reruns.len() <= 100, "the schema holds no more");
    assert!(status.run.is_none_or(|run| run >= 1) && status.attempt.is_none_or(|attempt| attempt >= 1));
}

/// What a status may hold.
fn check_status(scene: &Scene, plan: &Plan) {
    let status = &plan.status;
    let has_no = match scene.kind {
        Kind::MigrationTask => [status.members.is_some(), status.statistics.is_some()].to_vec(),
        Kind::TaskGroup => [status.task_name.is_some(), status.statistics.is_some()].to_vec(),
        Kind::SyncTask => [
            status.task_name.is_some(),
            status.retries.is_some(),
            status.progress.is_some(),
            status.members.is_some(),
            status.finished_at.is_some(),
            status.failed_objects.is_some(),
            status.notification.is_some(),
        ]
        .to_vec(),
    };
    assert!(!has_no.contains(&true), "the API server drops it, so it would be written for ever: {status:?}");
    if *status != scene.stored() {
        assert!(status.queue.is_none() || status.phase == Some(Phase::Queued), "{status:?}");
    }
    if is_deleted(scene) && *status != without_pause(&scene.stored()) {
        assert_eq!(status.phase, Some(Phase::Deleting));
    }
}

/// The table of phases and conditions, and what every condition has to be.
fn check_conditions(scene: &Scene, plan: &Plan) {
    let (stored, status) = (scene.stored(), &plan.status);
    let generation = scene.task.metadata.generation.unwrap();
    let find = |type_| situation::find(&status.conditions, type_);
    for condition in &status.conditions {
        check_condition(scene, condition, &status.conditions);
    }
    assert!(status.observed_generation <= generation);
    if is_paused(scene) && !is_deleted(scene) {
        assert!(find(types::PAUSED).is_some(), "it says why nothing happens");
    } else if *status != stored {
        assert!(find(types::PAUSED).is_none(), "it is paused no more");
    }
    let Some(phase) = status.phase else { return };
    let ready = find(types::READY).expect("a phase without Ready");
    assert_eq!(ready.observed_generation, Some(status.observed_generation));
    if status.observed_generation != generation {
        // An edit of an adopted task counts once it was compared; what else it asks for does not wait for a look that failed.
        let uncompared = stored.adopted == Some(true)
            && scene.trouble.as_ref().is_some_and(|trouble| trouble.call == Call::Look);
        assert!(uncompared || Some(phase) == stored.phase, "what was decided is told of this generation");
        return;
    }
    if stored.observed_generation != generation {
        let fresh = |condition: &Condition| condition.observed_generation == Some(generation);
        assert!(status.conditions.iter().all(fresh), "{:?}", status.conditions);
    }
    let told =
        (phase, ready.status == "True", find(types::RECONCILING).is_some(), find(types::STALLED).is_some());
    let ready_when = scene.task.spec.lifecycle.ready_when;
    let mut table = rows(scene.kind)
        .into_iter()
        .map(|row| situation::judge(row, ready_when, observes(scene)))
        .map(|verdict| (verdict.phase, verdict.ready, verdict.reconciling, verdict.stalled));
    assert!(table.any(|row| row == told), "not in the table: {told:?}");
}

fn check_condition(scene: &Scene, condition: &Condition, all: &[Condition]) {
    let type_ = condition.type_.as_str();
    let is_true = condition.status == "True";
    assert_eq!(all.iter().filter(|other| other.type_ == type_).count(), 1, "{type_} is told once");
    assert!(is_true || ["False", "Unknown"].contains(&condition.status.as_str()), "{condition:?}");
    assert!(is_true || !ONLY_WHILE_TRUE.contains(&type_), "{type_} is there only while it is true");
    let is_listed = |(reason, _): &(Reason, &str)| reason.as_str() == condition.reason;
    assert!(Reason::ALL.iter().any(is_listed), "{} is no reason of the list", condition.reason);
    assert!(types::ALL.iter().any(|(listed, _)| *listed == type_), "{type_} is in no list");
    assert!(!condition.message.trim().is_empty(), "{type_} has no words");
    assert!(condition.observed_generation <= scene.task.metadata.generation, "{type_} is of the future");
    let stored = scene.stored();
    let before = situation::find(&stored.conditions, type_).filter(|old| old.status == condition.status);
    let since = before.map_or(whole_seconds(scene.now), |old| old.last_transition_time.clone());
    assert_eq!(condition.last_transition_time, since, "{type_} moved without a change");
}
