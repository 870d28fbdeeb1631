//! A second release for the whole cluster: it is refused, and waits until the first one is gone.

use oms_operator::api::Phase;

use super::release::{Place, bare};
use crate::world::{Setup, eventually};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_release_for_the_whole_cluster_waits_until_the_first_is_gone() {
    let world = bare(Setup::default()).await;
    let first = Place::new(&world, "oms-system").await;
    first.deploy("install", "oms", &["--set", "replicaCount=1"]).await;
    world.connect().await;
    world.put_objects(1).await;
    let second = Place::new(&world, "other-system").await;
    // The definitions are the first one's.
    let (succeeded, said) = second.try_deploy("install", "other", &[], "20s").await;
    assert!(!succeeded && said.contains("invalid ownership metadata"), "{said}");
    // Who forces it gets a replica that says why it does nothing.
    let forced = ["--set", "crds.install=false", "--set", "replicaCount=1"];
    let (succeeded, said) = second.try_deploy("install", "other", &forced, "20s").await;
    assert!(!succeeded, "{said}");
    let pods = second.pods().await;
    let name = pods.keys().next().unwrap().clone();
    assert_eq!(pods.values().collect::<Vec<_>>(), [&false]);
    let log = second.log(&name);
    assert!(log.contains("another operator") && log.contains("in namespace oms-system"), "{log}");
    assert!(log.contains("uninstall one of them"), "{log}");
    assert_eq!(log.matches("works in this cluster").count(), 1, "it is told once: {log}");
    assert!(!log.contains("\"leading\""), "{log}");
    world.migration("photos").apply().await.wait_phase(Phase::Succeeded).await;

    first.helm(&["uninstall", "oms", "--wait"]).await;
    first.wait_empty().await;
    eventually("the second is ready", async || {
        let pods = second.pods().await;
        if pods.get(&name) == Some(&true) { Ok(()) } else { Err(format!("{pods:?} {}", second.log(&name))) }
    })
    .await;
    let next = world.migration("next").with("/destination/prefix", "next/").apply().await;
    next.wait_phase(Phase::Succeeded).await;
    assert_eq!(world.effects("CreateTask").await.len(), 2);
}
