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

/// Teams that have nothing to do with each other, but for the namespace into which they install.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn releases_with_lists_of_namespaces_share_one_namespace_and_only_where_lists_overlap_one_waits() {
    let world = bare(Setup::default()).await;
    let place = Place::new(&world, "oms-system").await;
    let own = format!("watchNamespaces={{{}}}", world.namespace);
    let one = ["--set", &own, "--set", "clusterId=one", "--set", "replicaCount=1"];
    place.deploy("install", "one", &one).await;
    world.connect().await;
    world.put_objects(1).await;
    let forms = ["--set", "clusterId=two", "--set", "replicaCount=1", "--set", "crds.install=false"];
    let two = ["--set", "watchNamespaces={oms-system}"];
    place.deploy("install", "two", &[&two[..], &forms].concat()).await;
    let log_of = async |release: &str| {
        let pods = place.pods().await;
        let pod = pods.keys().find(|pod| pod.starts_with(release)).unwrap().clone();
        place.log(&pod)
    };
    for release in ["one", "two"] {
        let log = log_of(release).await;
        assert!(log.contains("\"leading\"") && !log.contains("another replica leads"), "{release}: {log}");
    }
    world.migration("photos").apply().await.wait_phase(Phase::Succeeded).await;

    let overlaps = format!("watchNamespaces={{default,{}}}", world.namespace);
    let three = ["--set", &overlaps, "--set", "clusterId=three", "--set", "replicaCount=1"];
    let further = ["--set", "crds.install=false"];
    let (succeeded, said) =
        place.try_deploy("install", "three", &[&three[..], &further].concat(), "20s").await;
    assert!(!succeeded, "{said}");
    let log = log_of("three").await;
    let why = format!(
        "another operator, oms-system/one-oms-operator-leader, works for namespace {}",
        world.namespace
    );
    assert!(log.contains(&why), "{log}");

    // Who works for the whole cluster looks at all of them.
    let elsewhere = Place::new(&world, "other-system").await;
    let (succeeded, said) =
        elsewhere.try_deploy("install", "all", &["--set", "crds.install=false"], "20s").await;
    assert!(!succeeded, "{said}");
    let pods = elsewhere.pods().await;
    let log = elsewhere.log(pods.keys().next().unwrap());
    assert!(log.contains("another operator") && log.contains("works in this cluster"), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_for_the_whole_cluster_tells_of_one_that_comes_for_a_namespace() {
    let world = bare(Setup::default()).await;
    let first = Place::new(&world, "oms-system").await;
    first.deploy("install", "oms", &["--set", "replicaCount=1"]).await;
    let second = Place::new(&world, "other-system").await;
    let list = format!("watchNamespaces={{{}}}", world.namespace);
    let values = ["--set", &list, "--set", "clusterId=other", "--set", "crds.install=false"];
    second.deploy("install", "other", &values).await;
    let pods = first.pods().await;
    let name = pods.keys().next().unwrap();
    eventually("it is told", async || {
        let log = first.log(name);
        let told = log.contains("other-system/other-oms-operator-leader in namespace")
            && log.contains("works in this cluster too");
        if told { Ok(()) } else { Err(log) }
    })
    .await;
}
