//! What holds for every view of every kind, however unlikely.

mod answers;
mod rules;
mod specs;
mod statuses;
mod strategies;

use std::time::Duration;

use proptest::prelude::*;
use serde_json::json;

use super::super::Step;
use super::scene::scene;
use crate::api::{SyncTask, TaskGroup};
use crate::plan::seen::Candidate;
use crate::plan::wish::{Kind, Wish};
use rules::{check, check_step};
use strategies::{scenes, stories};

/// How many looks the engine makes in one pass (`LOOKS`); checks before a create have passes of their own.
const LOOKS: usize = 6;

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn every_view_has_one_plan_that_keeps_the_rules(scene in scenes().boxed()) {
        let plan = scene.plan();
        prop_assert_eq!(&plan, &scene.plan(), "the same view leads to the same plan");
        check(&scene, &plan);
    }

    #[test]
    fn the_status_comes_to_rest_in_an_unchanged_world(scene in scenes().boxed()) {
        let (scene, plan) = scene.settled();
        check(&scene, &plan);
        let at_once = plan.look_again.is_some_and(|again| again.after.is_zero());
        prop_assert!(plan.step != Step::Rest || !at_once, "a loop that does nothing: {:?}", plan);
    }

    /// The engine writes the status and comes again for the call: what comes then has to be the same call.
    #[test]
    fn the_status_that_comes_with_a_call_leads_to_that_call(scene in scenes().boxed()) {
        let plan = scene.plan();
        if rules::calls(&plan.step) {
            let mut stored = scene.clone();
            stored.store(&plan);
            let again = stored.plan();
            if stored.trouble == scene.trouble {
                prop_assert_eq!(&again.step, &plan.step, "{:#?}", scene);
                prop_assert_eq!(&again.status, &stored.stored(), "a second write before the call");
            } else {
                // What was said of the old keys is forgotten, so something that waited can come first.
                prop_assert!(rules::calls(&again.step), "{:#?}", scene);
            }
        }
    }

    #[test]
    fn looks_come_to_an_end_and_what_they_show_is_told_once((mut scene, mut answers) in stories().boxed()) {
        let (mut looks, mut writes) = (0, 0);
        loop {
            let plan = scene.plan();
            check(&scene, &plan);
            // Before these the engine writes what comes with them; other looks leave the status as it is.
            let told_first = !plan.step.is_look() || matches!(plan.step, Step::Check { .. } | Step::Search);
            let changes = plan.status != scene.stored() && told_first;
            if plan.step == Step::AddFinalizer || changes {
                (looks, writes) = (0, writes + 1);
                scene.store(&plan);
            } else if answers.show(&mut scene, &plan.step) {
                looks += usize::from(!matches!(plan.step, Step::Check { .. } | Step::Search));
            } else {
                break;
            }
            prop_assert!(looks <= LOOKS, "{} looks without an end: {:#?}", looks, scene);
            prop_assert!(writes <= 12, "{} writes without an end: {:#?}", writes, scene);
        }
    }

}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn time_alone_makes_few_writes(scene in scenes().boxed()) {
        let (mut scene, _) = scene.settled();
        let mut writes = 0;
        for _ in 0..90 {
            scene.now += Duration::from_secs(1);
            // What a look at the task of `spec.adopt` showed lasts for one pass.
            scene.candidate = Candidate::NotRead;
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

/// The views of groups and sync tasks are made of a MigrationTask: what they wish has to be what their own specs do.
#[test]
fn the_wishes_of_these_views_are_those_of_the_kinds() {
    let common = json!({
        "source": {
            "cloudType": "AWS", "region": "eu-west-1", "bucket": "photos",
            "credentials": { "secretRef": { "name": "source-keys" } },
        },
        "destination": { "bucket": "archive", "credentials": { "secretRef": { "name": "destination-keys" } } },
    });
    let group = TaskGroup::new("photos", serde_json::from_value(common.clone()).unwrap());
    let sync = SyncTask::new("photos", serde_json::from_value(common).unwrap());
    for (kind, real) in [(Kind::TaskGroup, Wish::from(&group)), (Kind::SyncTask, Wish::from(&sync))] {
        let scene = scene().with(|scene| scene.kind = kind).spec(|spec| spec.enable_restore = true);
        let made = scene.wish();
        let has = |wish: &Wish<'_>| {
            (wish.kind, wish.runs.is_some(), wish.windows.is_some(), wish.priority, wish.places.is_some())
        };
        assert_eq!(has(&made), has(&real));
        assert_eq!(made.restores, kind == Kind::TaskGroup, "a start of a sync task restores nothing");
    }
}
