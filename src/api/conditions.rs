//! Condition types and reasons: one constant each, a closed list that documentation is made from.

macro_rules! condition_types {
    ($($(#[doc = $doc:literal])+ $name:ident = $written:literal),+ $(,)?) => {
        /// Condition types.
        pub mod types {
            $($(#[doc = $doc])+ pub const $name: &str = $written;)+

            /// Every condition type with its meaning, for the reference documentation.
            pub const ALL: &[(&str, &str)] = &[$(($name, concat!($($doc),+))),+];
        }
    };
}

condition_types! {
    /// The object is what its spec asks for (see `readyWhen`).
    READY = "Ready",
    /// The operator is still working towards the spec; present only while true.
    RECONCILING = "Reconciling",
    /// The operator gave up until somebody acts; present only then.
    STALLED = "Stalled",
    /// The bucket keys could be read.
    CREDENTIALS_READY = "CredentialsReady",
    /// A Secret has other keys than those that the running task was given; present only while true.
    CREDENTIALS_PENDING = "CredentialsPending",
    /// The temporary keys that the task was given end soon, or have ended; present only while true.
    CREDENTIALS_EXPIRING = "CredentialsExpiring",
    /// The connection is usable, and still the one that was pinned.
    CONNECTION_READY = "ConnectionReady",
    /// The bandwidth windows of a group wait for its next retry; present only while true.
    BANDWIDTH_PENDING = "BandwidthPending",
    /// The priority of the spec cannot be set at OMS yet; present only while true.
    PRIORITY_PENDING = "PriorityPending",
    /// True: `spec.rerun` asks for another run, which waits for the end of the present one. False: its word was answered
    /// before and never runs again. Absent otherwise.
    RERUN_PENDING = "RerunPending",
    /// OMS's checks before the create found nothing wrong; Unknown: they are under way, or some were not possible.
    PREFLIGHT_PASSED = "PreflightPassed",
    /// OMS recommends a task group for so much; present only while true.
    OVERSIZED = "Oversized",
    /// The operator keeps its hands off, except for a deletion; present only while true.
    PAUSED = "Paused",
    /// The task of `spec.adopt` was taken over; where it differs from the spec, `status.differences` says so.
    ADOPTED = "Adopted",
    /// Somebody else changed the task at OMS; present only while true.
    DRIFTED = "Drifted",
    /// The consent to OMS's privacy agreement was recorded at OMS.
    PRIVACY_AGREEMENT_RECORDED = "PrivacyAgreementRecorded",
}

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $variant:ident),+ $(,)?) => {
        /// Why a condition has its status; also the reason of the event at the transition.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Reason { $($(#[doc = $doc])+ $variant),+ }

        impl Reason {
            /// Every reason with its meaning, for the reference documentation.
            pub const ALL: &[(Self, &str)] = &[$((Self::$variant, concat!($($doc),+))),+];

            /// As written in conditions and events.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => stringify!($variant)),+ }
            }
        }
    };
}

reasons! {
    /// Everything is copied.
    Succeeded,
    /// The task ended well at OMS, but some objects failed.
    SucceededWithFailures,
    /// The task waits in OMS's queue.
    WaitingAtOMS,
    /// The task runs at OMS.
    Running,
    /// OMS checks or retries the task by itself.
    RetryingAtOMS,
    /// The create is under way.
    Creating,
    /// The answer to the create got lost; the operator searches for the task.
    CreateUnconfirmed,
    /// `spec.suspend` is true and the task is being stopped.
    Suspending,
    /// `spec.suspend` is true.
    Suspended,
    /// Somebody else stopped the task at OMS.
    StoppedExternally,
    /// The task is being started again.
    Resuming,
    /// The task failed at OMS.
    TaskFailed,
    /// The task failed and is started again later.
    RetryScheduled,
    /// Another run begins, as a new task at OMS.
    RunBegins,
    /// The present run is not over, so the run that `spec.rerun` asks for waits.
    RunUnderWay,
    /// The word of `spec.rerun` was answered by an earlier run.
    RerunAnswered,
    /// The task failed, and as many retries as `spec.retry.limit` allows were made.
    RetryLimitReached,
    /// The task failed, and it cannot be started again as `spec.retry` asks; the message says why.
    RetryNotPossible,
    /// OMS refused the request for good; the spec has to change.
    Refused,
    /// The spec cannot work with what it refers to; the spec or the other object has to change.
    InvalidSpec,
    /// The task that was created is no longer at OMS.
    RemoteTaskGone,
    /// The recorded task does not carry the object's token; the operator leaves it alone.
    ForeignTask,
    /// The task of `spec.adopt` was taken over and is what the spec says.
    Adopted,
    /// The task of `spec.adopt` was taken over; `status.differences` lists where it is not what the spec says.
    AdoptedWithDifferences,
    /// The task of `spec.adopt` is looked at and never changed.
    Observed,
    /// There is no task with the ID of `spec.adopt` in the project of the connection.
    AdoptionTargetNotFound,
    /// The task of `spec.adopt` belongs to something that has to be adopted as a whole, or to nothing that can be.
    NotAdoptable,
    /// Another object of the cluster has, or claimed earlier, the task of `spec.adopt`.
    ClaimedByAnother,
    /// Somebody else started the task that `spec.suspend` holds stopped.
    StartedExternally,
    /// Somebody else changed the bandwidth windows of the task.
    BandwidthChanged,
    /// Somebody else changed the priority of the task.
    PriorityChanged,
    /// Somebody else deleted the record of the task.
    DeletedExternally,
    /// OMS refused for a cause outside of the spec; the operator tries again.
    RefusedForNow,
    /// A costly option wants a word in `spec.acknowledge` first.
    AcknowledgementRequired,
    /// Waits until `spec.approvedPlan` equals `status.plan.hash`.
    ApprovalRequired,
    /// OMS's checks before the create are under way.
    PreflightRunning,
    /// One of OMS's checks before the create failed; the operator checks again.
    PreflightFailed,
    /// Every one of OMS's checks before the create passed.
    PreflightPassed,
    /// What OMS could check before the create passed; some of it, it could not.
    PreflightIncomplete,
    /// The task is larger than what OMS recommends for one: over 3 TB or 5 million objects.
    TaskGroupRecommended,
    /// The referred connection does not exist.
    ConnectionNotFound,
    /// The connection is not Ready; its own status says why.
    ConnectionNotReady,
    /// The connection does not allow this namespace.
    NamespaceNotAllowed,
    /// The reference would now resolve to another connection, endpoint or project; the pinned one stays.
    ConnectionChanged,
    /// The connection is usable.
    ConnectionResolved,
    /// The referred Secret does not exist.
    SecretNotFound,
    /// The Secret lacks a key, or it holds nothing usable.
    SecretKeyMissing,
    /// The Secret holds temporary keys, and OMS takes permanent ones only for this kind.
    TemporaryKeysNotAllowed,
    /// The temporary keys end soon, or before the task does.
    TemporaryKeysEnding,
    /// The temporary keys have ended.
    TemporaryKeysEnded,
    /// The keys could be read.
    CredentialsResolved,
    /// The keys in a Secret changed after OMS was given them.
    CredentialsRotated,
    /// The task is taken out of the queue, or stopped, to start with new keys.
    RenewingCredentials,
    /// OMS, IAM or a bucket refused the keys.
    CredentialsRejected,
    /// The source of the connection's credentials gives none: it is not set up, cannot be reached, or has no answer.
    CredentialsUnavailable,
    /// This kind of connection may not use the credentials of the operator's surroundings.
    AmbientCredentialsNotAllowed,
    /// The keys lack a permission.
    PermissionDenied,
    /// OMS's privacy agreement has not been accepted.
    PrivacyAgreementRequired,
    /// The consent to the privacy agreement was recorded.
    PrivacyAgreementRecorded,
    /// A quota of the account is full.
    QuotaExceeded,
    /// OMS asks for fewer requests.
    Throttled,
    /// OMS cannot be reached, or something else answers.
    EndpointUnreachable,
    /// OMS or a service behind it has trouble.
    ServiceUnavailable,
    /// OMS answered with a code that the operator does not know.
    UnknownServiceError,
    /// The endpoint is not on the operator's allow-list.
    EndpointNotAllowed,
    /// The project of the region could not be found in IAM.
    ProjectNotFound,
    /// The ConfigMap with certificates is missing or holds none.
    CaBundleInvalid,
    /// The connection is being deleted, and waits for the objects that still use it.
    InUse,
    /// A live, signed call succeeded.
    Connected,
    /// The connection has not been tried yet.
    Connecting,
    /// `oms-operator.io/paused` is set, as an annotation of the object or as a label of its namespace, or the operator runs with
    /// `--paused`.
    Paused,
    /// OMS changes the priority only while the task waits, is stopped or has failed.
    TaskIsRunning,
    /// OMS changes the bandwidth of a group only until it has ended; a retry begins it anew.
    GroupHasEnded,
    /// OMS lists the source and creates the tasks of the group.
    CreatingMembers,
    /// A task of the group failed; the group goes on with the others.
    MemberFailed,
    /// The object is being deleted and the task at OMS with it.
    Deleting,
    /// The clean-up at OMS waits for usable credentials.
    CleanupBlocked,
    /// The clean-up at OMS was given up; the task may still be there.
    CleanupAbandoned,
    /// More than one task carried our token; the others were deleted.
    DuplicateRemote,
    /// The notification about the end of the task could not be sent; the task is none the worse for it.
    NotificationFailed,
    /// A sync task is at work.
    Synchronizing,
    /// The SyncTask that a SyncEvent names does not exist in its namespace.
    SyncTaskNotFound,
    /// The SyncTask that a SyncEvent names is being deleted.
    SyncTaskDeleting,
    /// The SyncTask that a SyncEvent names is stopped, queued or not created yet; the keys are kept.
    SyncTaskNotSynchronizing,
    /// OMS is being told of the keys of a SyncEvent.
    SendingEvents,
    /// OMS accepted every key of a SyncEvent.
    EventsAccepted,
}

#[cfg(test)]
mod tests {
    use super::Reason;

    #[test]
    fn every_reason_is_camel_case_and_documented() {
        for (reason, meaning) in Reason::ALL {
            assert!(reason.as_str().chars().next().is_some_and(|c| c.is_ascii_uppercase()), "{reason:?}");
            assert!(reason.as_str().chars().all(|c| c.is_ascii_alphanumeric()), "{reason:?}");
            assert!(meaning.trim().ends_with('.'), "{reason:?} has no meaning");
        }
    }
}
