//! What happens: anything at all, and a story that meets every step.

use proptest::prelude::*;
use proptest::sample::select;

use super::{Event, FAULTS, Fault, Turn, World};
use crate::api::DeletionPolicy;

fn turns() -> impl Strategy<Value = Turn> {
    select(vec![Turn::Onward, Turn::Onward, Turn::Fail, Turn::Check])
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        10 => Just(Event::Pass(Fault::None)),
        8 => select(FAULTS.to_vec()).prop_map(Event::Pass),
        4 => turns().prop_map(Event::Oms),
        3 => select(vec![1, 2, 10, 70, 300, 1_300]).prop_map(Event::Wait),
        3 => Just(Event::Poll),
        2 => Just(Event::Crash),
        2 => Just(Event::Arrive),
        2 => any::<bool>().prop_map(Event::Suspend),
        1 => any::<bool>().prop_map(Event::Secret),
        1 => any::<bool>().prop_map(Event::Connection),
        1 => Just(Event::RotateKeys),
        2 => select(vec!["", "one", "two", "three"]).prop_map(Event::Rerun),
        1 => Just(Event::EraseStatus),
    ];
    prop::collection::vec(event, 1..80)
}

fn policies() -> impl Strategy<Value = DeletionPolicy> {
    select(vec![
        DeletionPolicy::Delete,
        DeletionPolicy::Delete,
        DeletionPolicy::StopAndKeep,
        DeletionPolicy::Orphan,
    ])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happened_one_task_reaches_its_goal(
        policy in policies(),
        before in events(),
        deleted in prop::option::weighted(0.4, events()),
    ) {
        let mut world = World::new(policy);
        let end = deleted.map(|after| std::iter::once(Event::Delete).chain(after).collect());
        for event in before.into_iter().chain(end.unwrap_or_else(Vec::new)) {
            world.happen(event);
            world.check(&format!("{event:?}"));
        }
        world.end_well();
        world.check_the_end();
    }
}

/// The story that meets every step: created, suspended while it waits, resumed, failed, started again, suspended
/// while it runs, resumed, and perhaps deleted.
fn story(delete: bool) -> Vec<Event> {
    let mut story = Vec::new();
    let mut passes = |count, then: &[Event]| {
        story.extend(std::iter::repeat_n(Event::Pass(Fault::None), count));
        story.extend_from_slice(then);
    };
    passes(9, &[Event::Poll, Event::Suspend(true)]);
    passes(6, &[Event::Suspend(false)]);
    passes(9, &[Event::Oms(Turn::Onward), Event::Oms(Turn::Fail), Event::Poll]);
    passes(3, &[Event::Wait(70)]);
    passes(4, &[Event::Poll, Event::Suspend(true)]);
    passes(3, &[Event::Oms(Turn::Onward), Event::Poll]);
    passes(2, &[Event::Suspend(false)]);
    passes(3, if delete { &[Event::Delete] } else { &[] });
    passes(3, &[]);
    story
}

#[test]
fn a_fault_at_any_step_of_the_story_does_no_harm() {
    for delete in [false, true] {
        let story = story(delete);
        for fault in FAULTS {
            for broken in 0..story.len() {
                for arrives in [false, true] {
                    let mut world = World::new(DeletionPolicy::Delete);
                    for (index, event) in story.iter().enumerate() {
                        let event = match event {
                            Event::Pass(_) if index == broken => Event::Pass(fault),
                            event => *event,
                        };
                        world.happen(event);
                        world.check(&format!("{event:?} of step {index}, {fault:?} at {broken}"));
                    }
                    if arrives {
                        world.happen(Event::Wait(800));
                        world.happen(Event::Arrive);
                    }
                    world.end_well();
                    world.check_the_end();
                }
            }
        }
    }
}

#[test]
fn the_story_without_a_fault_costs_exactly_its_steps() {
    let mut world = World::new(DeletionPolicy::Delete);
    for event in story(false) {
        world.happen(event);
    }
    world.end_well();
    world.check_the_end();
    // Two creates; in between the delete, and another as a list still shows what it deleted; a start after the
    // failure; a stop and a start for the second suspend.
    assert_eq!((world.creates, world.calls), (2, 7));
}
