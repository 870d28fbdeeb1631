//! A plain task that is larger than OMS recommends.

use super::scene::{condition, remote, scene};
use crate::api::conditions::types;
use crate::plan::seen::{Counters, RemoteState};

fn told(total: u64, bytes: u64, listed: bool) -> bool {
    let mut task = remote(RemoteState::Running);
    task.counters = Counters { total, bytes_total: bytes, listed, ..Counters::default() };
    let (_, plan) = scene().recorded().remote(task).settled();
    condition(&plan, types::OVERSIZED) == Some(("True", "TaskGroupRecommended"))
}

#[test]
fn a_task_over_the_recommended_size_is_told_once_everything_is_counted() {
    const TERABYTE: u64 = 1 << 40;
    assert!(!told(5_000_000, 3 * TERABYTE, true));
    assert!(told(5_000_001, 1, true));
    assert!(told(1, 3 * TERABYTE + 1, true));
    assert!(!told(9_000_000, 9 * TERABYTE, false), "OMS is still counting");
}

#[test]
fn the_warning_stays_when_the_task_has_ended() {
    let mut task = remote(RemoteState::Succeeded);
    task.counters = Counters { total: 6_000_000, listed: true, ..Counters::default() };
    let (scene, _) = scene().recorded().remote(task).settled();
    let plan = scene.now(1_000).plan();
    assert_eq!(condition(&plan, types::OVERSIZED), Some(("True", "TaskGroupRecommended")));
}
