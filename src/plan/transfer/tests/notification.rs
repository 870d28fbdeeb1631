//! The notification about the end of a task.

use super::scene::*;
use crate::api::{Notification, NotificationLanguage, NotificationResult, NotificationTrigger, Phase};
use crate::plan::seen::{RemoteNotification, RemoteState, RemoteTask};
use crate::plan::transfer::Step;

fn asking(triggers: &[NotificationTrigger]) -> Scene {
    scene().spec(|spec| {
        spec.notification = Some(Notification {
            topic_urn: "urn:smn:cn-north-4:project:migrations".into(),
            triggers: triggers.to_vec(),
            language: NotificationLanguage::EnUs,
            template: None,
        });
    })
}

const BOTH: &[NotificationTrigger] = &[NotificationTrigger::Success, NotificationTrigger::Failure];

/// The task ended 40 seconds before second 0.
fn ended(state: RemoteState, notification: Option<RemoteNotification>) -> RemoteTask {
    let task = if state == RemoteState::Failed { failed_with("TRF.0002") } else { remote(state) };
    RemoteTask { notification, ..task }
}

fn sent() -> RemoteNotification {
    RemoteNotification { sent: true, topic: "migrations".into(), ..RemoteNotification::default() }
}

fn not_sent() -> RemoteNotification {
    RemoteNotification {
        sent: false,
        message: "S3M.0158".into(),
        remedy: "Authorize OMS for SMN".into(),
        topic: "migrations".into(),
    }
}

fn result(scene: &Scene) -> Option<NotificationResult> {
    scene.stored().notification.map(|told| told.result)
}

#[test]
fn nothing_is_told_before_the_end() {
    let (scene, _) = asking(BOTH).recorded().remote(remote(RemoteState::Running)).settled();
    assert_eq!(scene.stored().notification, None);
}

#[test]
fn a_sent_notification_is_told_and_the_task_is_over() {
    for (state, phase) in [(RemoteState::Succeeded, Phase::Succeeded), (RemoteState::Failed, Phase::Failed)] {
        let (scene, plan) = asking(BOTH).recorded().remote(ended(state, Some(sent()))).settled();
        assert_eq!((told(&plan).0, plan.look_again), (phase, None));
        let told = scene.stored().notification.unwrap();
        assert_eq!((told.result, told.topic_name.as_deref()), (NotificationResult::Sent, Some("migrations")));
        assert_eq!((told.message, told.remedy), (None, None));
        assert!(scene.is_over());
    }
}

#[test]
fn one_that_could_not_be_sent_fails_no_task_and_says_what_to_do() {
    let task = ended(RemoteState::Succeeded, Some(not_sent()));
    let (scene, plan) = asking(BOTH).recorded().remote(task).settled();
    assert_eq!(told(&plan), (Phase::Succeeded, "Succeeded", &Step::Rest));
    assert!(message(&plan).contains("could not be sent (S3M.0158)"), "{}", message(&plan));
    assert!(message(&plan).ends_with("Authorize OMS for SMN"), "{}", message(&plan));
    assert_eq!(result(&scene), Some(NotificationResult::Failed));
    assert!(scene.is_over());
    // At rest it stays told.
    assert_eq!(scene.plan().status, scene.stored());
}

#[test]
fn the_word_about_it_is_waited_for_but_not_for_ever() {
    let task = || ended(RemoteState::Succeeded, None);
    let (scene, plan) = asking(BOTH).recorded().remote(task()).settled();
    assert_eq!(told(&plan).0, Phase::Succeeded, "the task has ended whatever comes of the notification");
    assert!(plan.look_again.is_some_and(|again| again.fresh && !again.after.is_zero()));
    assert_eq!(result(&scene), Some(NotificationResult::Pending));
    assert!(!scene.is_over());

    let (late, plan) = scene.clone().now(81).settled();
    assert_eq!((result(&late), plan.look_again), (Some(NotificationResult::Unknown), None));
    assert!(late.is_over());

    let (heard, _) = scene.remote(ended(RemoteState::Succeeded, Some(sent()))).now(5).settled();
    assert_eq!(result(&heard), Some(NotificationResult::Sent));
}

#[test]
fn an_end_that_nobody_wants_to_hear_of_is_not_waited_for() {
    let other = asking(&[NotificationTrigger::Failure]);
    for scene in [other, scene()] {
        let (scene, plan) = scene.recorded().remote(ended(RemoteState::Succeeded, None)).settled();
        assert_eq!((scene.stored().notification, plan.look_again), (None, None));
        assert!(scene.is_over());
    }
}

#[test]
fn a_record_that_goes_while_the_word_is_awaited_leaves_the_task_succeeded() {
    let (scene, _) = asking(BOTH).recorded().remote(ended(RemoteState::Succeeded, None)).settled();
    let (scene, plan) = scene.gone().now(5).settled();
    assert_eq!(told(&plan), (Phase::Succeeded, "Succeeded", &Step::Rest));
    assert_eq!(result(&scene), Some(NotificationResult::Unknown));
}

#[test]
fn a_task_that_runs_again_forgets_the_notification_of_its_failure() {
    let task = RemoteTask { notification: Some(sent()), ..failed_with("TRF.0151") };
    let (scene, _) = asking(BOTH).recorded().remote(task).settled();
    assert_eq!(result(&scene), Some(NotificationResult::Sent));
    let (scene, _) = scene.remote(remote(RemoteState::Running)).now(61).settled();
    assert_eq!(scene.stored().notification, None);
}

#[test]
fn a_topic_of_another_region_is_told_before_anything_is_created() {
    let scene = asking(BOTH).spec(|spec| {
        spec.notification.as_mut().unwrap().topic_urn = "urn:smn:cn-south-1:project:migrations".into();
    });
    let (_, plan) = scene.settled();
    assert_eq!(told(&plan), (Phase::Failed, "InvalidSpec", &Step::Rest));
    assert!(message(&plan).contains("`notification.topicUrn` is in region cn-south-1"), "{}", message(&plan));
}
