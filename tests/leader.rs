//! The leader election on a real API server.
#![cfg(feature = "dev")]
#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::path::Path;
use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt as _};
use oms_operator::dev::ControlPlane;
use oms_operator::leader::{Candidacy, Claim, Leadership, Timings};
use serde_json::json;
use tokio::time::{Instant, timeout};

const LIMIT: Duration = Duration::from_mins(1);
const LEASE: &str = "oms-operator";
const FAST: Timings = Timings {
    lease_duration: Duration::from_secs(3),
    renew_deadline: Duration::from_secs(2),
    retry_period: Duration::from_millis(100),
};

async fn client() -> Client {
    ControlPlane::shared(Path::new(env!("CARGO_BIN_EXE_oms-dev"))).unwrap().client().await.unwrap()
}

fn named(name: Option<&str>) -> Namespace {
    let mut namespace = Namespace::default();
    match name {
        Some(name) => namespace.metadata.name = Some(name.to_owned()),
        None => namespace.metadata.generate_name = Some("leader-".to_owned()),
    }
    namespace
}

async fn namespace(client: &Client) -> String {
    Api::all(client.clone()).create(&PostParams::default(), &named(None)).await.unwrap().name_any()
}

fn campaign(client: &Client, namespace: &str, identity: &str) -> Leadership {
    let candidacy = Candidacy {
        namespace: namespace.to_owned(),
        name: LEASE.to_owned(),
        identity: identity.to_owned(),
        timings: FAST,
    };
    Leadership::campaign(client.clone(), candidacy)
}

async fn held(claim: &Claim) {
    timeout(LIMIT, claim.held()).await.expect("the lease is taken");
}

async fn lease(client: &Client, namespace: &str) -> Lease {
    Api::namespaced(client.clone(), namespace).get(LEASE).await.unwrap()
}

#[tokio::test]
async fn a_released_lease_is_taken_over_at_once_and_never_held_twice() {
    let client = client().await;
    let namespace = namespace(&client).await;
    let first = campaign(&client, &namespace, "first");
    held(&first.claim()).await;
    let second = campaign(&client, &namespace, "second");
    let (one, two) = (first.claim(), second.claim());

    // For longer than the lease would hold without renewal.
    let renewed = lease(&client, &namespace).await.spec.unwrap().renew_time;
    let end = Instant::now() + FAST.lease_duration + FAST.retry_period;
    while Instant::now() < end {
        assert!(one.is_held() && !two.is_held());
        tokio::time::sleep(FAST.retry_period / 10).await;
    }
    let spec = lease(&client, &namespace).await.spec.unwrap();
    assert_eq!(spec.holder_identity.as_deref(), Some("first"));
    assert!(spec.renew_time > renewed, "the leader renews");

    first.release().await;
    assert!(!one.is_held());
    let released = Instant::now();
    held(&two).await;
    assert!(released.elapsed() < FAST.lease_duration, "nobody waited for the lease to expire");
    let spec = lease(&client, &namespace).await.spec.unwrap();
    assert_eq!((spec.holder_identity.as_deref(), spec.lease_transitions), (Some("second"), Some(1)));
    second.release().await;
}

#[tokio::test]
async fn the_lease_of_a_leader_that_died_is_taken_when_its_claim_is_over() {
    let client = client().await;
    let namespace = namespace(&client).await;
    let first = campaign(&client, &namespace, "first");
    let one = first.claim();
    held(&one).await;
    let second = campaign(&client, &namespace, "second");
    let two = second.claim();
    drop(first);
    let died = Instant::now();
    while !two.is_held() {
        assert!(died.elapsed() < LIMIT, "the lease of a dead leader expires");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(!one.is_held(), "two leaders at the same time");
    assert!(died.elapsed() + FAST.renew_deadline > FAST.lease_duration, "taken from a leader that may live");
    second.release().await;
}

#[tokio::test]
async fn of_many_that_start_together_one_leads() {
    let client = client().await;
    let namespace = namespace(&client).await;
    let all: Vec<_> = (0..5).map(|n| campaign(&client, &namespace, &format!("replica-{n}"))).collect();
    let claims: Vec<_> = all.iter().map(Leadership::claim).collect();
    let deadline = Instant::now() + LIMIT;
    while !claims.iter().any(Claim::is_held) {
        assert!(Instant::now() < deadline, "somebody leads");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let end = Instant::now() + FAST.retry_period * 10;
    while Instant::now() < end {
        assert_eq!(claims.iter().filter(|claim| claim.is_held()).count(), 1);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    for leadership in all {
        leadership.release().await;
    }
}

#[tokio::test]
async fn a_leader_whose_lease_was_taken_knows_that_it_lost() {
    let client = client().await;
    let namespace = namespace(&client).await;
    let leadership = campaign(&client, &namespace, "robbed");
    let claim = leadership.claim();
    held(&claim).await;
    let theirs = json!({ "spec": { "holderIdentity": "robber" } });
    let leases = Api::<Lease>::namespaced(client.clone(), &namespace);
    leases.patch(LEASE, &PatchParams::default(), &Patch::Merge(theirs)).await.unwrap();
    timeout(LIMIT, claim.lost()).await.expect("the loss is noticed");
    assert!(!claim.is_held());
    leadership.release().await;
    let holder = lease(&client, &namespace).await.spec.unwrap().holder_identity;
    assert_eq!(holder.as_deref(), Some("robber"), "a lost lease is not released by who lost it");
}

#[tokio::test]
async fn a_leader_that_cannot_renew_gives_up() {
    let client = client().await;
    let namespace = namespace(&client).await;
    let leadership = campaign(&client, &namespace, "alone");
    let claim = leadership.claim();
    held(&claim).await;
    // The lease goes with its namespace, and a namespace that ends takes no new one.
    Api::<Namespace>::all(client.clone()).delete(&namespace, &DeleteParams::default()).await.unwrap();
    timeout(LIMIT, claim.lost()).await.expect("a leader without a lease stops");
    assert!(!claim.is_held());
    leadership.release().await;
}

#[tokio::test]
async fn a_candidate_whose_namespace_comes_later_recovers_by_itself() {
    let client = client().await;
    let name = format!("{}-later", namespace(&client).await);
    let leadership = campaign(&client, &name, "early");
    let claim = leadership.claim();
    let end = Instant::now() + FAST.retry_period * 3;
    while Instant::now() < end {
        assert!(!claim.is_held(), "leads without a lease");
        tokio::time::sleep(FAST.retry_period / 10).await;
    }
    Api::all(client.clone()).create(&PostParams::default(), &named(Some(&name))).await.unwrap();
    held(&claim).await;
    leadership.release().await;
}

#[tokio::test]
async fn who_cannot_have_the_lease_says_why_until_it_leads() {
    let client = client().await;
    let name = format!("{}-later", namespace(&client).await);
    let leadership = campaign(&client, &name, "early");
    let claim = leadership.claim();
    let (told, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let waiting = tokio::spawn(async move {
        claim.waits(|trouble| told.send(trouble.map(str::to_owned)).unwrap()).await;
    });
    let place = format!("lease {name}/{LEASE} cannot be had: ");
    timeout(LIMIT, async {
        while !heard
            .recv()
            .await
            .unwrap()
            .is_some_and(|why| why.starts_with(&place) && why.contains("not found"))
        {}
    })
    .await
    .expect("it says why");
    Api::all(client.clone()).create(&PostParams::default(), &named(Some(&name))).await.unwrap();
    timeout(LIMIT, waiting).await.expect("it leads").unwrap();
    assert!(leadership.claim().is_held());
    leadership.release().await;
}

#[tokio::test]
async fn who_waits_and_could_take_the_lease_has_nothing_to_say() {
    let client = client().await;
    let namespace = namespace(&client).await;
    let first = campaign(&client, &namespace, "first");
    held(&first.claim()).await;
    let second = campaign(&client, &namespace, "second");
    let claim = second.claim();
    let (told, heard) = tokio::sync::watch::channel(Some(String::new()));
    let waiting =
        tokio::spawn(async move { claim.waits(|trouble| drop(told.send(trouble.map(str::to_owned)))).await });
    let mut seen = heard.clone();
    timeout(LIMIT, seen.wait_for(Option::is_none)).await.expect("it sees the lease").unwrap();
    first.release().await;
    timeout(LIMIT, waiting).await.expect("it leads").unwrap();
    second.release().await;
}

#[tokio::test]
async fn a_lease_is_given_back_also_in_the_middle_of_a_renewal() {
    let client = client().await;
    let namespace = namespace(&client).await;
    // One renewal begins when the last one has ended.
    let timings = Timings { retry_period: Duration::from_millis(1), ..FAST };
    for number in 0..10 {
        let candidacy = Candidacy {
            namespace: namespace.clone(),
            name: LEASE.to_owned(),
            identity: format!("replica-{number}"),
            timings,
        };
        let leadership = Leadership::campaign(client.clone(), candidacy);
        held(&leadership.claim()).await;
        leadership.release().await;
        let holder = lease(&client, &namespace).await.spec.unwrap().holder_identity;
        assert_eq!(holder.as_deref(), Some(""), "replica {number} kept it");
    }
}
