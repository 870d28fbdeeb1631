//! Views that read as sentences: `scene().with_finalizer().intent_written().sent()`.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::json;

use super::super::{Pause, Plan, Policy, Step, View, is_over, plan};
use crate::api::conditions::{Reason, types};
use crate::api::{
    self, ConnectionKind, CreateIntent, DeletionPolicy, MigrationTask, MigrationTaskSpec,
    ObservedCredentials, Phase, PinnedConnection, TransferStatus,
};
use crate::plan::census::Census;
use crate::plan::claims::Claim;
use crate::plan::preflight::Finding;
use crate::plan::queue::Turn;
use crate::plan::seen::{
    Call, Candidate, Counters, Delivered, FailureCause, Keys, Link, LinkUp, Remote, RemoteFailure, RemoteId,
    RemoteState, RemoteTask, Search, Trouble, TroubleKind,
};
use crate::plan::situation::{self, exact};
use crate::plan::token::{ObjectMark, Token};
use crate::plan::wish::{Kind, Wish};

/// The id() of the task at OMS.
pub(super) const NUMBER: u64 = 200_477_729_979_132;

pub(super) fn id() -> RemoteId {
    RemoteId::from(NUMBER)
}

/// A moment of the story, in seconds since it began.
pub(super) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

pub(super) fn mark() -> ObjectMark {
    ObjectMark::new("cluster", "MigrationTask", "uid")
}

pub(super) fn token(attempt: i64) -> Token {
    Token::new(mark(), "", attempt)
}

pub(super) fn policy() -> Policy {
    Policy {
        deletion_policy: DeletionPolicy::Delete,
        cleanup_timeout: Duration::from_mins(10),
        create_fence: Duration::from_mins(20),
        secret_check_interval: Duration::from_mins(1),
    }
}

pub(super) fn pinned() -> PinnedConnection {
    PinnedConnection {
        kind: ConnectionKind::Connection,
        name: "default".into(),
        uid: "connection-uid".into(),
        endpoint: "https://oms.cn-north-4.myhuaweicloud.com".into(),
        project_id: "project".into(),
    }
}

pub(super) fn keys(digest: &str) -> Vec<ObservedCredentials> {
    ["source", "destination"]
        .map(|role| ObservedCredentials {
            role: role.into(),
            secret_name: format!("{role}-keys"),
            resource_version: "1".into(),
            digest: digest.into(),
            expires_at: None,
        })
        .to_vec()
}

/// A task at OMS that carries our token.
pub(super) fn remote(state: RemoteState) -> RemoteTask {
    RemoteTask {
        id: id(),
        name: "task-1".into(),
        state,
        token: Some(token(1)),
        windows: Vec::new(),
        priority: Some("MEDIUM".into()),
        counters: Counters::default(),
        failure: None,
        can_retry_failed: false,
        failed_list: None,
        started_at: Some(at(-100)),
        took: Duration::from_mins(1),
        notification: None,
        members: None,
        month: None,
    }
}

/// The kind of cause that the table of failure causes has for a code.
pub(super) fn cause_of(code: &str) -> FailureCause {
    match code {
        "TRF.0001" | "TRF.0002" | "TRF.0003" | "TRF.0004" | "TRF.0062" => FailureCause::Passing,
        "TRF.0151" | "TRF.0152" => FailureCause::Keys,
        "TRF.0021" | "TRF.0055" | "TRF.0155" => FailureCause::Surroundings,
        "TRF.0060" => FailureCause::Spec,
        _ => FailureCause::Unknown,
    }
}

/// A task that failed with a code of OMS and nothing copied.
pub(super) fn failed_with(code: &str) -> RemoteTask {
    let failure = RemoteFailure {
        code: code.into(),
        message: "It did not work.".into(),
        remedy: "Mend it".into(),
        cause: cause_of(code),
    };
    RemoteTask { failure: Some(failure), ..remote(RemoteState::Failed) }
}

pub(super) fn trouble(call: Call, kind: TroubleKind, delivery: Delivered) -> Trouble {
    Trouble {
        call,
        kind,
        delivery,
        code: "OMS.0001".into(),
        message: "OMS said no.".into(),
        remedy: "Look at the table".into(),
        field: None,
        retry_at: at(30),
        count: 1,
    }
}

/// Everything that a view borrows.
#[derive(Clone, Debug)]
pub(super) struct Scene {
    pub(super) task: MigrationTask,
    pub(super) now: Timestamp,
    pub(super) policy: Policy,
    pub(super) link: Link,
    pub(super) keys: Keys,
    pub(super) remote: Remote,
    pub(super) search: Search,
    pub(super) candidate: Candidate,
    pub(super) claims: Vec<Claim>,
    pub(super) siblings: Vec<RemoteTask>,
    pub(super) created: Option<(RemoteId, String)>,
    pub(super) permit: Option<Timestamp>,
    pub(super) started_again_at: Option<Timestamp>,
    pub(super) trouble: Option<Trouble>,
    pub(super) findings: Vec<Finding>,
    pub(super) pause: Option<Pause>,
    pub(super) turn: Option<Turn>,
    pub(super) place_due: bool,
    pub(super) progress_due: bool,
    pub(super) kind: Kind,
    pub(super) census: Option<Census>,
}

/// A task that was just applied, with a usable connection and readable keys.
pub(super) fn scene() -> Scene {
    let spec: MigrationTaskSpec = serde_json::from_value(json!({
        "type": "prefix",
        // Checks have tests of their own.
        "preflight": "Off",
        "source": {
            "cloudType": "AWS", "region": "eu-west-1", "bucket": "photos", "objectKeys": [""],
            "credentials": { "secretRef": { "name": "source-keys" } },
        },
        "destination": {
            "region": "cn-north-4", "bucket": "archive",
            "credentials": { "secretRef": { "name": "destination-keys" } },
        },
    }))
    .unwrap();
    let mut task = MigrationTask::new("photos", spec);
    task.metadata.generation = Some(1);
    task.metadata.uid = Some("uid".into());
    Scene {
        task,
        now: at(0),
        policy: policy(),
        link: Link::Up(LinkUp { pinned: pinned(), region: "cn-north-4".into(), changed: None }),
        keys: Keys::Ready(keys("one")),
        remote: Remote::Pending,
        search: Search::None,
        candidate: Candidate::NotRead,
        claims: Vec::new(),
        siblings: Vec::new(),
        created: None,
        permit: None,
        started_again_at: None,
        trouble: None,
        findings: Vec::new(),
        pause: None,
        turn: Some(Turn::Now),
        place_due: true,
        progress_due: false,
        kind: Kind::MigrationTask,
        census: None,
    }
}

impl Scene {
    pub(super) fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    pub(super) fn spec(self, change: impl FnOnce(&mut MigrationTaskSpec)) -> Self {
        self.with(|scene| change(&mut scene.task.spec))
    }

    pub(super) fn status(self, change: impl FnOnce(&mut TransferStatus)) -> Self {
        self.with(|scene| change(scene.task.status.get_or_insert_default()))
    }

    pub(super) fn with_finalizer(self) -> Self {
        self.with(|scene| scene.task.metadata.finalizers = Some(vec![api::FINALIZER.into()]))
    }

    /// The intent is on record since the beginning.
    pub(super) fn intent_written(self) -> Self {
        self.with_finalizer().status(|status| {
            status.observed_generation = 1;
            status.phase = Some(Phase::Creating);
            status.run = Some(1);
            status.attempt = Some(1);
            status.connection = Some(pinned());
            status.observed_credentials = keys("one");
            status.create =
                Some(CreateIntent { token: token(1).to_string(), started_at: exact(at(0)), sent_at: None });
        })
    }

    /// `sentAt` was written at that second.
    pub(super) fn sent(self, second: i64) -> Self {
        self.status(|status| status.create.as_mut().unwrap().sent_at = Some(exact(at(second))))
    }

    /// This process wrote `sentAt` and did not use it.
    pub(super) fn with_permit(self, second: i64) -> Self {
        self.with(|scene| scene.permit = Some(at(second)))
    }

    /// A complete scan began at that second and found nothing.
    pub(super) fn searched(self, second: i64) -> Self {
        self.with(|scene| {
            scene.search =
                Search::Done { started_at: at(second), found: Vec::new(), empty: vec![at(second)] };
        })
    }

    pub(super) fn found(self, second: i64, found: Vec<RemoteTask>) -> Self {
        self.with(|scene| scene.search = Search::Done { started_at: at(second), found, empty: Vec::new() })
    }

    /// The id() is on record.
    pub(super) fn recorded(self) -> Self {
        self.with_finalizer().status(|status| {
            status.observed_generation = 1;
            status.phase = Some(Phase::Running);
            status.run = Some(1);
            status.attempt = Some(1);
            status.connection = Some(pinned());
            status.observed_credentials = keys("one");
            status.task_id = Some(id().to_string());
        })
    }

    pub(super) fn remote(self, task: RemoteTask) -> Self {
        self.with(|scene| scene.remote = Remote::Known(Box::new(task)))
    }

    pub(super) fn gone(self) -> Self {
        self.with(|scene| scene.remote = Remote::Gone)
    }

    /// Somebody set `spec.rerun`.
    pub(super) fn rerun(self, word: &str) -> Self {
        self.spec(|spec| spec.runs.rerun = Some(word.into()))
            .with(|scene| *scene.task.metadata.generation.as_mut().unwrap() += 1)
    }

    pub(super) fn suspended(self) -> Self {
        self.spec(|spec| spec.lifecycle.suspend = Some(true))
    }

    pub(super) fn resumed(self) -> Self {
        self.spec(|spec| spec.lifecycle.suspend = None)
    }

    pub(super) fn deleted(self) -> Self {
        self.with(|scene| scene.task.metadata.deletion_timestamp = Some(Time(at(0))))
    }

    pub(super) fn nudged(self) -> Self {
        self.annotated(api::RECONCILE_REQUESTED_AT, "now")
    }

    pub(super) fn annotated(self, key: &str, value: &str) -> Self {
        self.with(|scene| {
            let annotations = scene.task.metadata.annotations.get_or_insert_default();
            annotations.insert(key.into(), value.into());
        })
    }

    pub(super) fn troubled(self, trouble: Trouble) -> Self {
        self.with(|scene| scene.trouble = Some(trouble))
    }

    pub(super) fn now(self, second: i64) -> Self {
        self.with(|scene| scene.now = at(second))
    }

    pub(super) fn link_down(self) -> Self {
        self.with(|scene| {
            scene.link = Link::Down {
                reason: Reason::ConnectionNotReady,
                message: "Connection `default` is not ready".into(),
            };
        })
    }

    pub(super) fn secret_missing(self) -> Self {
        self.with(|scene| {
            scene.keys = Keys::Missing {
                reason: Reason::SecretNotFound,
                message: "Secret `source-keys` does not exist. Create it".into(),
            };
        })
    }

    /// What the spec asks for, as far as the kind has it: a group has no priority, a sync task no end.
    pub(super) fn wish(&self) -> Wish<'_> {
        let wish = Wish::from(&self.task);
        match self.kind {
            Kind::MigrationTask => wish,
            Kind::TaskGroup => Wish { kind: self.kind, priority: None, ..wish },
            Kind::SyncTask => Wish {
                kind: self.kind,
                priority: None,
                runs: None,
                notification: None,
                windows: None,
                restores: false,
                ..wish
            },
        }
    }

    pub(super) fn plan(&self) -> Plan {
        plan(&View {
            meta: &self.task.metadata,
            wish: &self.wish(),
            stored: self.task.status.as_ref(),
            now: self.now,
            policy: &self.policy,
            mark: &mark(),
            link: &self.link,
            keys: &self.keys,
            remote: &self.remote,
            search: &self.search,
            candidate: &self.candidate,
            claims: &self.claims,
            siblings: &self.siblings,
            created: self.created.as_ref(),
            permit: self.permit,
            started_again_at: self.started_again_at,
            trouble: self.trouble.as_ref(),
            findings: &self.findings,
            pause: self.pause.as_ref(),
            turn: self.turn.as_ref(),
            place_due: self.place_due,
            progress_due: self.progress_due,
            census: self.census.as_ref(),
        })
    }

    /// Whether it costs no call any more.
    pub(super) fn is_over(&self) -> bool {
        is_over(&self.task.metadata, &self.wish(), self.task.status.as_ref())
    }

    pub(super) fn stored(&self) -> TransferStatus {
        self.task.status.clone().unwrap_or_default()
    }

    pub(super) fn sent_at(&self) -> Option<Timestamp> {
        self.task.status.as_ref()?.create.as_ref()?.sent_at.as_ref().map(|at| at.0)
    }

    /// What Kubernetes holds after a plan: the finalizer, or else the status.
    pub(super) fn store(&mut self, plan: &Plan) {
        let before = self.stored();
        match plan.step {
            Step::AddFinalizer => self.task.metadata.finalizers = Some(vec![api::FINALIZER.into()]),
            Step::RemoveFinalizer { .. } => self.task.metadata.finalizers = None,
            _ => self.task.status = Some(plan.status.clone()),
        }
        self.remember(&before);
    }

    /// What the process that wrote it remembers, as the engine does.
    fn remember(&mut self, before: &TransferStatus) {
        let stored = self.stored();
        let sent_at =
            |status: &TransferStatus| status.create.as_ref().and_then(|intent| intent.sent_at.clone());
        if sent_at(&stored) != sent_at(before) {
            self.permit = self.sent_at();
        }
        let mended = stored.observed_credentials != before.observed_credentials
            && self.trouble.as_ref().is_some_and(Trouble::may_be_mended_by_keys);
        if stored.create.is_some() && before.create.is_none() || mended {
            self.trouble = None;
        }
        if stored.task_id != before.task_id {
            self.remote = match &self.candidate {
                Candidate::Found(found) if stored.task_id.as_deref() == Some(found.task.id.as_str()) => {
                    Remote::Known(Box::new(found.task.clone()))
                }
                _ => Remote::Pending,
            };
            (self.created, self.started_again_at) = (None, None);
        }
        if stored.preflight != before.preflight {
            self.findings.clear();
        }
    }

    /// Plans and stores until nothing changes any more, and says what the last plan was.
    pub(super) fn settle(&mut self) -> Plan {
        for _ in 0..8 {
            let plan = self.plan();
            let kept = plan.status == self.stored();
            let done = kept && !matches!(plan.step, Step::AddFinalizer | Step::RemoveFinalizer { .. });
            let removed =
                matches!(plan.step, Step::RemoveFinalizer { .. }) && self.task.metadata.finalizers.is_none();
            if done || removed {
                return plan;
            }
            self.store(&plan);
        }
        panic!("the status does not come to rest: {self:#?}");
    }

    /// As [`Scene::settle`], for a sentence.
    pub(super) fn settled(mut self) -> (Self, Plan) {
        let plan = self.settle();
        (self, plan)
    }
}

/// Phase, reason of `Ready`, and the step of a plan.
pub(super) fn told(plan: &Plan) -> (Phase, &str, &Step) {
    let ready = situation::find(&plan.status.conditions, types::READY).expect("Ready is told");
    (plan.status.phase.expect("a phase is told"), &ready.reason, &plan.step)
}

pub(super) fn condition<'a>(plan: &'a Plan, type_: &str) -> Option<(&'a str, &'a str)> {
    situation::find(&plan.status.conditions, type_)
        .map(|condition| (condition.status.as_str(), condition.reason.as_str()))
}

pub(super) fn message(plan: &Plan) -> &str {
    &situation::find(&plan.status.conditions, types::READY).expect("Ready is told").message
}
