//! Which calls a group accepts in which state, and what happens to it by itself.

use serde_json::json;

use super::*;
use crate::emulator::config::Limits;

const ALL: [GroupStatus; 10] = [
    GroupStatus::Waiting,
    GroupStatus::Creating,
    GroupStatus::Monitoring,
    GroupStatus::Paused,
    GroupStatus::CreationFailed,
    GroupStatus::Failed,
    GroupStatus::Completed,
    GroupStatus::Pausing,
    GroupStatus::WaitingForDeletion,
    GroupStatus::Deleted,
];

fn moment(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

fn group(status: GroupStatus) -> Group {
    let body = json!({
        "src_node": {
            "cloud_type": "AWS", "region": "r", "ak": "a", "sk": "s", "bucket": "b", "object_key": [""]
        },
        "dst_node": { "region": "r", "ak": "a", "sk": "s", "bucket": "d" },
    });
    let request = CreateGroup::read(&body, &Limits::default(), &Behaviour::default()).unwrap();
    let mut group = Group::create(request, "g".to_owned(), 1, "p", moment(0));
    group.status = status;
    group
}

/// The states, by number, in which an action is not refused with this code.
fn accepted(code: &str, act: impl Fn(&mut Group) -> Result<(), Refusal>) -> Vec<u8> {
    let accepts = |status: &GroupStatus| match act(&mut group(*status)) {
        Ok(()) => true,
        Err(refusal) => {
            assert_eq!(refusal.code, code, "{status:?}");
            false
        }
    };
    ALL.into_iter().filter(accepts).map(GroupStatus::number).collect()
}

#[test]
fn every_action_is_accepted_in_its_states_and_refused_with_its_code_in_the_others() {
    let live = Behaviour::default();
    let documented = Behaviour { group_stop_while_creating: true, ..Behaviour::default() };
    let now = moment(60);
    let keys = || group(GroupStatus::Waiting).keys.unwrap();
    assert_eq!(accepted("OMS.1038", |group| group.stop(&live, now)), [2]);
    assert_eq!(accepted("OMS.1038", |group| group.stop(&documented, now)), [1, 2]);
    assert_eq!(accepted("OMS.1039", |group| group.start(keys(), true, now)), [3]);
    assert_eq!(accepted("OMS.1040", |group| group.check_retry(false, std::iter::empty())), [4, 5]);
    assert_eq!(accepted("OMS.1047", |group| group.delete(&live, now)), [0, 3, 4, 5, 6]);
    assert_eq!(accepted("OMS.1036", |group| group.set_bandwidth(Vec::new())), [0, 1, 2, 3, 7]);
}

#[test]
fn a_group_is_what_its_tasks_amount_to() {
    let live = Behaviour::default();
    let step = |status: GroupStatus, tasks: Standing| group(status).step(tasks, true, &live, moment(60));
    let tasks = Standing { total: 4, succeeded: 4, ..Standing::default() };
    let waiting = Standing { waiting: 1, succeeded: 3, ..tasks };
    let failed = Standing { failed: 1, succeeded: 3, ..tasks };
    let stopped = Standing { failed: 1, stopped: 1, succeeded: 2, ..tasks };
    for (status, tasks, to) in [
        (GroupStatus::Monitoring, tasks, GroupStatus::Completed),
        (GroupStatus::Monitoring, failed, GroupStatus::Failed),
        (GroupStatus::Monitoring, stopped, GroupStatus::Paused),
        // A stop may come too late.
        (GroupStatus::Pausing, tasks, GroupStatus::Completed),
        (GroupStatus::Pausing, failed, GroupStatus::Failed),
        (GroupStatus::Pausing, stopped, GroupStatus::Paused),
        (GroupStatus::Pausing, Standing::default(), GroupStatus::Paused),
    ] {
        assert_eq!(step(status, tasks), Step::To(to), "{status:?} {tasks:?}");
    }
    for status in [GroupStatus::Monitoring, GroupStatus::Pausing, GroupStatus::Creating] {
        assert_eq!(step(status, waiting), Step::Stay(Timestamp::MAX), "{status:?}");
    }
}

#[test]
fn a_group_waits_for_its_time_and_for_a_place() {
    let live = Behaviour { group_start_delay_ms: 10_000, ..Behaviour::default() };
    let mut group = group(GroupStatus::Waiting);
    let tasks = Standing::default();
    assert_eq!(group.step(tasks, true, &live, moment(9)), Step::Stay(moment(10)));
    assert_eq!(group.step(tasks, false, &live, moment(10)), Step::Stay(Timestamp::MAX));
    assert_eq!(group.step(tasks, true, &live, moment(10)), Step::To(GroupStatus::Creating));
    group.course = Course::Resume;
    assert_eq!(group.step(tasks, true, &live, moment(10)), Step::To(GroupStatus::Monitoring));
}

#[test]
fn a_deleted_group_is_still_there_for_a_while() {
    let live = Behaviour { group_deletion_ms: 4001, ..Behaviour::default() };
    let tasks = Standing::default();
    let mut group = group(GroupStatus::Completed);
    group.delete(&live, moment(0)).unwrap();
    assert!(group.keys.is_none());
    assert_eq!(group.step(tasks, true, &live, moment(1)), Step::Stay(moment(2)));
    assert_eq!(group.step(tasks, true, &live, moment(2)), Step::To(GroupStatus::Deleted));
    group.enter(GroupStatus::Deleted, moment(2));
    assert_eq!(group.step(tasks, true, &live, moment(5)), Step::Go);
}
