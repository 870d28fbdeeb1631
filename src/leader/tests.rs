//! The election, without a server: decisions and claims.

use super::record::{Decision, Observed, evaluate};
use super::*;

const LASTS: Duration = Duration::from_secs(15);

#[tokio::test(start_paused = true)]
async fn a_lease_is_taken_only_when_free_or_unchanged_for_its_duration() {
    let now = Instant::now() + Duration::from_secs(1000);
    let seen = |holder: Option<&str>, age: u64| {
        Some(Observed {
            holder: holder.map(str::to_owned),
            lasts: LASTS,
            since: now.checked_sub(Duration::from_secs(age)).unwrap(),
        })
    };
    for (case, observed, decision) in [
        ("no lease", None, Decision::Acquire),
        ("released", seen(None, 0), Decision::Acquire),
        ("released with an empty name", seen(Some(""), 0), Decision::Acquire),
        ("ours", seen(Some("me"), 1), Decision::Renew),
        ("ours and old", seen(Some("me"), 1000), Decision::Renew),
        ("foreign and new", seen(Some("other"), 0), Decision::Yield),
        ("foreign at the end of its duration", seen(Some("other"), 15), Decision::Yield),
        ("foreign and over", seen(Some("other"), 16), Decision::Acquire),
    ] {
        assert_eq!(evaluate(observed.as_ref(), "me", now), decision, "{case}");
    }
}

#[test]
fn timings_that_would_allow_two_leaders_are_refused() {
    assert_eq!(Timings::default().check(), Ok(()));
    let seconds = Duration::from_secs;
    for (lease_duration, renew_deadline, retry_period) in [
        (seconds(10), seconds(10), seconds(2)),
        (seconds(15), seconds(2), seconds(2)),
        (Duration::from_millis(15_500), seconds(10), seconds(2)),
    ] {
        assert!(Timings { lease_duration, renew_deadline, retry_period }.check().is_err());
    }
}

fn claim(until: Until) -> (watch::Sender<State>, Claim) {
    let (publish, state) = watch::channel(State::Leader { until: Some(until) });
    (publish, Claim { state })
}

#[tokio::test(start_paused = true)]
async fn a_claim_ends_with_its_time_even_when_the_loop_is_frozen() {
    let began = (Instant::now(), Timestamp::now());
    let (_publish, claim) = claim(Until::after(Duration::from_secs(100), began));
    assert!(claim.is_held());
    tokio::time::advance(Duration::from_secs(100)).await;
    assert!(!claim.is_held());
}

#[tokio::test]
async fn a_claim_ends_with_its_time_even_when_the_machine_slept() {
    // The monotonic clock of a machine that sleeps stands still; the other one has gone on.
    let slept = Timestamp::now() - Duration::from_secs(101);
    let (_publish, claim) = claim(Until::after(Duration::from_secs(100), (Instant::now(), slept)));
    assert!(!claim.is_held());
    // One that was set back changes nothing.
    let ahead = Timestamp::now() + Duration::from_secs(10_000);
    let (_publish, claim) = self::claim(Until::after(Duration::from_secs(100), (Instant::now(), ahead)));
    assert!(claim.is_held());
}

#[tokio::test]
async fn a_single_replica_leads_at_once_and_for_ever() {
    let leadership = Leadership::alone();
    let claim = leadership.claim();
    claim.held().await;
    assert!(claim.is_held());
    leadership.release().await;
}
