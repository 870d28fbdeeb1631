//! Two replicas of the chart: one works, and a rolling upgrade leaves neither a gap nor a double.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::StreamExt as _;
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use kube::api::{WatchEvent, WatchParams};
use kube::{Api, ResourceExt as _};
use oms_operator::api::Phase;
use serde_json::Value;

use super::release::{Place, bare};
use crate::world::{Setup, World, eventually};

/// The longest time without a leader in an orderly change.
const GAP: Duration = Duration::from_secs(2);

/// Between two new migrations.
const PACE: Duration = Duration::from_millis(700);

/// Every state of the lease since it was first seen, until somebody says that it is enough.
async fn history(world: &World, namespace: &str, enough: &AtomicBool) -> Vec<LeaseSpec> {
    let leases = Api::<Lease>::namespaced(world.client.clone(), namespace);
    let params = WatchParams::default().fields("metadata.name=oms-operator");
    let (mut states, mut version) = (Vec::new(), "0".to_owned());
    while !enough.load(Ordering::Relaxed) {
        // A watch ends after some minutes.
        let mut events = leases.watch(&params, &version).await.unwrap().boxed();
        while let Some(event) = events.next().await
            && !enough.load(Ordering::Relaxed)
        {
            match event.unwrap() {
                WatchEvent::Added(lease) | WatchEvent::Modified(lease) => {
                    version = lease.resource_version().unwrap();
                    states.push(lease.spec.unwrap());
                }
                WatchEvent::Bookmark(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }
    states
}

/// The fewest replicas that were ready until somebody says that it is enough.
async fn fewest_ready(world: &World, namespace: &str, enough: &AtomicBool) -> i32 {
    let deployments = Api::<Deployment>::namespaced(world.client.clone(), namespace);
    let mut fewest = i32::MAX;
    while !enough.load(Ordering::Relaxed) {
        let status = deployments.get("oms-oms-operator").await.unwrap().status.unwrap();
        fewest = fewest.min(status.ready_replicas.unwrap_or_default());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    fewest
}

/// Makes one migration after the other until somebody says that it is enough; returns how many.
async fn keep_migrating(world: &World, enough: &AtomicBool) -> usize {
    let mut count = 0;
    while !enough.load(Ordering::Relaxed) {
        let draft = world.migration(&format!("photos-{count}"));
        draft.with("/destination/prefix", format!("{count}/")).apply().await;
        count += 1;
        tokio::time::sleep(PACE).await;
    }
    count
}

/// When a pod noticed that it was to end, by its own clock.
fn asked_to_end(log: &str) -> Option<Timestamp> {
    let line = log.lines().find(|line| line.contains("\"SIGTERM\""))?;
    let line: Value = serde_json::from_str(line).unwrap();
    Some(line["timestamp"].as_str().unwrap().parse().unwrap())
}

fn holder(spec: &LeaseSpec) -> &str {
    spec.holder_identity.as_deref().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_upgrade_leaves_no_gap_and_makes_nothing_twice() {
    let world = bare(Setup::default()).await;
    let place = Place::new(&world, "oms-system").await;
    place.deploy("install", "oms", &[]).await;
    let before = place.pods().await;
    world.connect().await;
    world.put_objects(1).await;
    let logs = Mutex::new(BTreeMap::<String, String>::new());
    let enough = AtomicBool::new(false);
    let upgrade = async {
        place.deploy("upgrade", "oms", &["--set", "podAnnotations.restarted=yes"]).await;
        eventually("only pods of the upgrade are left", async || {
            let (pods, processes) = (place.pods().await, place.kubelet.processes());
            let left = pods.keys().chain(processes.keys()).any(|name| before.contains_key(name));
            if left || pods.len() != 2 { Err(format!("{before:?} became {pods:?}")) } else { Ok(()) }
        })
        .await;
        for pod in before.keys() {
            logs.lock().unwrap().insert(pod.clone(), place.log(pod));
        }
        enough.store(true, Ordering::Relaxed);
    };
    let ((), states, fewest, count) = tokio::join!(
        upgrade,
        history(&world, "oms-system", &enough),
        fewest_ready(&world, "oms-system", &enough),
        keep_migrating(&world, &enough),
    );

    assert!(fewest >= 2, "only {fewest} replicas were ready");
    // By the times that the processes wrote, so that it does not matter when this test had its turn.
    let mut changes = 0;
    for pair in states.windows(2) {
        let (former, next) = (&pair[0], &pair[1]);
        if holder(next).is_empty() || holder(former) == holder(next) {
            continue;
        }
        assert_eq!(holder(former), "", "the lease was given back, and did not run out: {states:#?}");
        let released = former.renew_time.as_ref().unwrap().0;
        let gap = next.acquire_time.as_ref().unwrap().0.duration_since(released);
        assert!(Duration::try_from(gap).unwrap_or_default() <= GAP, "{gap:?} without a leader: {states:#?}");
        changes += 1;
        // From the signal on, too.
        let leader = states.iter().rev().skip_while(|state| *state != former).map(holder);
        let leader = leader.clone().find(|holder| !holder.is_empty()).unwrap_or_default();
        let logs = logs.lock().unwrap();
        let Some((_, log)) = logs.iter().find(|(pod, _)| leader.starts_with(pod.as_str())) else { continue };
        let asked = asked_to_end(log).expect("it was asked to end");
        let took = next.acquire_time.as_ref().unwrap().0.duration_since(asked);
        println!("{leader}: another one led {took:#} after the signal, {gap:#} after the release");
        assert!(Duration::try_from(took).unwrap_or_default() <= GAP, "{took:#} after the signal");
    }
    assert!(changes >= 1, "{states:#?}");

    for number in 0..count {
        world.existing(&format!("photos-{number}")).wait_phase(Phase::Succeeded).await;
    }
    assert_eq!(world.effects("CreateTask").await.len(), count);
    assert_eq!(world.remote_tasks().await.len(), count);
    println!("{count} migrations, each with one task");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upgrade_to_pods_that_cannot_work_stops_and_the_old_ones_go_on() {
    let world = bare(Setup::default()).await;
    let place = Place::new(&world, "oms-system").await;
    place.deploy("install", "oms", &[]).await;
    let before = place.pods().await;
    world.connect().await;
    world.put_objects(1).await;
    // Somebody else keeps the rights, and forgot those of another service account.
    let account = ["--set", "serviceAccount.create=false", "--set", "serviceAccount.name=default"];
    let upgrade = [&account[..], &["--set", "rbac.create=false"]].concat();
    // What the release no longer makes would go with the upgrade.
    for (kind, name) in [
        ("clusterrole", "oms-oms-operator"),
        ("clusterrolebinding", "oms-oms-operator"),
        ("role", "oms-oms-operator-own"),
        ("rolebinding", "oms-oms-operator-own"),
        ("serviceaccount", "oms-oms-operator"),
    ] {
        let keep = ["annotate", "-n", "oms-system", kind, name, "helm.sh/resource-policy=keep"];
        world.kubectl(&keep).await;
    }
    let refused = place.try_deploy("upgrade", "oms", &upgrade, "20s").await;
    assert!(!refused.0, "{}", refused.1);
    let pods = place.pods().await;
    let new: Vec<_> = pods.iter().filter(|(name, _)| !before.contains_key(*name)).collect();
    assert!(new.iter().all(|(_, ready)| !**ready) && new.len() == 1, "{pods:?}");
    assert_eq!(before.keys().filter(|name| pods.get(*name) == Some(&true)).count(), 2, "{pods:?}");
    let log = place.log(new[0].0);
    assert!(log.contains("not able to work yet") && log.contains("cannot get resource"), "{log}");
    world.migration("photos").apply().await.wait_phase(Phase::Succeeded).await;
}
