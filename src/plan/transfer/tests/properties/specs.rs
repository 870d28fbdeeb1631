//! Specs of every kind.

use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::super::scene::{NUMBER, scene};
use super::strategies::OTHER;
use crate::api::{
    Acknowledgement, AdoptTask, Approval, BandwidthWindow, ByteRate, DeletionPolicy, DriftPolicy, Lifecycle,
    ManagementPolicy, MigrationTaskSpec, Notification, NotificationLanguage, NotificationTrigger,
    OnCredentialChange, Preflight, Priority, ReadyWhen, Retry, RetryObjects, Runs,
};
use crate::plan::wish::Kind;

prop_compose! {
    fn lifecycles()(
        suspend in option::of(any::<bool>()),
        deletion in option::of(select(vec![DeletionPolicy::Delete, DeletionPolicy::Orphan, DeletionPolicy::StopAndKeep])),
        ready_when in select(vec![ReadyWhen::Succeeded, ReadyWhen::Started, ReadyWhen::Accepted]),
        acknowledged in any::<bool>(),
        drift in select(vec![DriftPolicy::Report, DriftPolicy::Enforce]),
        preflight in select(vec![Preflight::Off, Preflight::Full]),
        approval in select(vec![Approval::Auto, Approval::Auto, Approval::Required]),
        approved in option::of(select(vec!["", "stale"])),
        on_change in select(vec![
            OnCredentialChange::NextStart, OnCredentialChange::RestartRunning, OnCredentialChange::Ignore,
        ]),
    ) -> Lifecycle {
        Lifecycle {
            suspend,
            deletion_policy: deletion,
            ready_when,
            acknowledge: acknowledged.then_some(Acknowledgement::RestoreAgain).into_iter().collect(),
            drift_policy: drift,
            on_credential_change: on_change,
            preflight,
            approval,
            approved_plan: approved.map(Into::into),
            ..Lifecycle::default()
        }
    }
}

prop_compose! {
    fn all_runs()(
        rerun in option::of(select(vec!["", "one", "three"])),
        retry in option::of((0..4_i64, select(vec![RetryObjects::Failed, RetryObjects::All]))),
    ) -> Runs {
        Runs {
            rerun: rerun.map(Into::into),
            retry: retry.map(|(limit, objects)| Retry { limit, objects }),
        }
    }
}

prop_compose! {
    /// What the spec of a kind may ask for. `Scene::wish` takes from it what the kind has.
    pub(super) fn specs(kind: Kind)(
        mut lifecycle in lifecycles(),
        runs in all_runs(),
        priority in select(vec![Priority::High, Priority::Medium]),
        (limited, restore) in any::<(bool, bool)>(),
        elsewhere in prop::bool::weighted(0.1),
        notify in option::of(select(vec!["cn-north-4", "cn-south-1"])),
        adopted in option::weighted(0.3, prop_oneof![4 => Just(NUMBER), 1 => Just(OTHER)]),
        observes in any::<bool>(),
        bare in any::<bool>(),
    ) -> MigrationTaskSpec {
        let mut spec = scene().task.spec;
        spec.priority = priority;
        spec.runs = runs;
        spec.enable_restore = restore && kind != Kind::SyncTask;
        let window = BandwidthWindow { start: "08:00".into(), end: "20:00".into(), max_bandwidth: ByteRate("50Mi".into()) };
        spec.bandwidth_policy = limited.then_some(window).into_iter().collect();
        if elsewhere {
            spec.destination.as_mut().unwrap().region = Some("cn-south-1".into());
        }
        spec.notification = notify.map(|region| Notification {
            topic_urn: format!("urn:smn:{region}:project:migrations"),
            triggers: vec![NotificationTrigger::Success, NotificationTrigger::Failure],
            language: NotificationLanguage::EnUs,
            template: None,
        });
        spec.adopt = adopted.map(|id| AdoptTask { task_id: id.to_string() });
        if spec.adopt.is_some() && observes {
            lifecycle.management_policy = ManagementPolicy::Observe;
            if bare {
                (spec.source, spec.destination) = (None, None);
            }
        }
        spec.lifecycle = lifecycle;
        spec
    }
}
