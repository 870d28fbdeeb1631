//! When to look again at what nobody announces: often enough, never all at once, and at the same pace after a restart.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use jiff::Timestamp;

use super::seen::RemoteState;

/// From this pause on, objects that rest for the same time are spread out.
const WORTH_SPREADING: Duration = Duration::from_secs(10);

/// How many polls pass from one look at a task to the next. What rests moves only when somebody starts it at the console.
pub fn every(state: Option<RemoteState>) -> u64 {
    match state {
        Some(RemoteState::Stopped) => 4,
        _ => 1,
    }
}

/// The next poll after `now` of whatever `name` stands for: a multiple of the interval, and an offset that is its own, so
/// that projects take turns instead of calling at the same moment.
pub fn next_poll(name: &str, interval: Duration, now: Timestamp) -> Timestamp {
    let interval = interval.as_millis().max(1);
    let offset = u128::from(fingerprint(name)) % interval;
    let passed = u128::try_from(now.as_millisecond()).unwrap_or_default();
    let rounds = (passed + interval - offset) / interval;
    let next = rounds * interval + offset;
    i64::try_from(next).ok().and_then(|next| Timestamp::from_millisecond(next).ok()).unwrap_or(now)
}

/// A long pause with up to a tenth more, always the same for the same object: a fleet that was applied at once does not
/// come back at once.
pub fn spread(uid: &str, pause: Duration) -> Duration {
    if pause < WORTH_SPREADING {
        return pause;
    }
    pause + pause.mul_f64((fingerprint(uid) % 1000) as f64 / 10_000.0)
}

/// The same in every process: the hasher has no random seed.
fn fingerprint(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const INTERVAL: Duration = Duration::from_secs(30);

    #[test]
    fn projects_take_turns_and_keep_their_turn_after_a_restart() {
        let start = Timestamp::from_second(1_800_000_000).unwrap();
        let mut turns: Vec<_> =
            (0..60).map(|number| next_poll(&format!("project-{number}"), INTERVAL, start)).collect();
        assert_eq!(turns[7], next_poll("project-7", INTERVAL, start), "its turn is its own");
        turns.sort();
        let together = turns.windows(20).map(|some| some[19].duration_since(some[0]).as_secs()).min();
        assert!(together.unwrap() >= 3, "twenty of sixty call within {together:?} s");
    }

    #[test]
    fn short_pauses_are_kept_and_long_ones_spread() {
        assert_eq!(spread("uid", Duration::from_secs(9)), Duration::from_secs(9));
        let spans: std::collections::HashSet<_> =
            (0..20).map(|number| spread(&format!("uid-{number}"), INTERVAL)).collect();
        assert!(spans.len() > 10);
        assert!(spans.iter().all(|span| (30.0..33.0).contains(&span.as_secs_f64())));
    }

    proptest! {
        #[test]
        fn the_next_poll_comes_within_one_interval(name in ".*", second in 0..4_000_000_000_i64, interval in 1..600_000_u64) {
            let (now, interval) = (Timestamp::from_second(second).unwrap(), Duration::from_millis(interval));
            let next = next_poll(&name, interval, now);
            prop_assert!(next > now);
            prop_assert!(Duration::try_from(next.duration_since(now)).unwrap() <= interval);
            prop_assert_eq!(next_poll(&name, interval, next), next + interval);
        }
    }
}
