//! What the metrics of the real binary tell, and when they stop to tell it.

#[path = "../telemetry/described.rs"]
mod described;
#[path = "../telemetry/openmetrics.rs"]
mod openmetrics;

use std::collections::BTreeSet;
use std::sync::Mutex;

use kube::api::DeleteParams;
use oms_operator::api::{Connection, Phase};
use oms_operator::telemetry::metrics::catalogue::{Metric, Shown};
use serde_json::json;

use self::openmetrics::{Family, Sample};
use crate::operator::{Operator, OperatorFlags};
use crate::queue;
use crate::sync_event::SyncEvents as _;
use crate::world::{CONNECTION, Setup, USER, World, eventually};

/// What a scrape shows.
struct Scrape(Vec<Family>);

impl Scrape {
    /// Reads the metrics as Prometheus does, and forgives nothing.
    async fn of(operator: &Operator) -> Self {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let url = format!("{}/metrics", operator.metrics_url());
        let answer = http.get(url).header("accept", "application/openmetrics-text").send().await.unwrap();
        let text = answer.text().await.unwrap();
        let families = openmetrics::parse(&text).unwrap_or_else(|why| panic!("{why}\n{text}"));
        let differences = described::differences(&families);
        assert!(differences.is_empty(), "{differences:#?}");
        Self(families)
    }

    fn samples(&self) -> impl Iterator<Item = &Sample> {
        self.0.iter().flat_map(|family| &family.samples)
    }

    /// The series with these labels among others.
    fn find(&self, name: &str, labels: &[(&str, &str)]) -> Vec<&Sample> {
        let fits = |sample: &&Sample| {
            sample.name == format!("oms_operator_{name}")
                && labels.iter().all(|(label, value)| sample.labels.get(*label).is_some_and(|of| of == value))
        };
        self.samples().filter(fits).collect()
    }

    /// Their sum; nothing is 0.
    fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.find(name, labels).iter().map(|sample| sample.value).sum()
    }

    /// Whether any series has a label with a value.
    fn mentions(&self, label: &str, value: &str) -> bool {
        self.samples().any(|sample| sample.labels.get(label).is_some_and(|of| of == value))
    }
}

/// Waits until the metrics are as asked.
async fn shown(world: &World, what: &str, holds: impl Fn(&Scrape) -> bool) -> Scrape {
    eventually(what, async || {
        let scrape = Scrape::of(&world.operators[0]).await;
        if holds(&scrape) { Ok(scrape) } else { Err(format!("{:#?}", scrape.samples().collect::<Vec<_>>())) }
    })
    .await
}

fn of<'a>(kind: &'a str, phase: &'a str) -> [(&'a str, &'a str); 2] {
    [("kind", kind), ("phase", phase)]
}

fn per_object() -> OperatorFlags {
    OperatorFlags::default().with("--per-object-metrics")
}

/// A second Connection, of a user who logs in: its token has an end.
async fn log_in(world: &World, name: &str) {
    let (user, domain) = USER;
    let password = world.oms_keys.secret.as_str();
    world.secret(name, &[("username", user), ("password", password), ("domainName", domain)]).await;
    let mut manifest = world.connection_manifest();
    manifest["metadata"]["name"] = json!(name);
    manifest["spec"]["iamEndpoint"] = json!(world.emulator.endpoints().iam);
    manifest["spec"]["credentials"]["secretRef"]["name"] = json!(name);
    world.apply::<Connection>(manifest).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_metric_of_the_reference_is_exposed_by_an_operator_that_worked() {
    let world = Setup::default().behaving("objectRate", 8.0).operated(per_object()).start().await;
    world.put_objects(40).await;
    log_in(&world, "login").await;
    world.wait_connection("login", "True", "Connected").await;
    let fault = json!({ "kind": "failTask", "code": "TRF.0001", "message": "Trouble.", "times": 1 });
    world.fault(fault).await;
    let broken = world.migration("broken").with("/retry", json!({ "limit": 0 })).apply().await;
    broken.wait_phase(Phase::Failed).await;

    let mirror = world.sync_task("mirror").apply().await;
    mirror.wait_phase(Phase::Synchronizing).await;
    world.apply_event("new", "mirror", &["00000.txt".into()]).await;
    world.wait_event_phase("new", Phase::Succeeded).await;
    let photos = world.migration("photos").with("/destination/prefix", "photos/").apply().await;
    let split = world.group("split").with("/destination/prefix", "split/").apply().await;
    let wanted: BTreeSet<_> = Metric::ALL
        .iter()
        .map(|metric| metric.description())
        .filter(|described| cfg!(target_os = "linux") || described.shown != Shown::OnLinux)
        .map(|described| described.name.to_owned())
        .collect();
    let seen = Mutex::new((BTreeSet::new(), false));
    eventually("every metric was exposed", async || {
        let scrape = Scrape::of(&world.operators[0]).await;
        let kind = [("kind", "MigrationTask")];
        let mut seen = seen.lock().unwrap();
        seen.0.extend(scrape.0.iter().map(|family| family.name.clone()));
        seen.1 |= scrape.sum("running_tasks", &kind) > 0.5
            && scrape.sum("running_tasks_bytes_per_second", &kind) > 0.5
            && scrape.sum("task_remaining_seconds", &[("name", "photos")]) > 0.5;
        let missing: Vec<_> = wanted.difference(&seen.0).collect();
        if missing.is_empty() && seen.1 { Ok(()) } else { Err(format!("{missing:?}, copied: {}", seen.1)) }
    })
    .await;

    photos.wait_phase(Phase::Succeeded).await;
    split.wait_phase(Phase::Succeeded).await;
    let end = shown(&world, "everything is at its end", |scrape| {
        ["MigrationTask", "TaskGroup", "SyncEvent"]
            .iter()
            .all(|kind| (scrape.sum("objects", &of(kind, "Succeeded")) - 1.0).abs() < f64::EPSILON)
            && scrape.sum("running_tasks", &[]) < 0.5
    })
    .await;
    let is = |name: &str, labels: &[(&str, &str)], value: f64| {
        assert!((end.sum(name, labels) - value).abs() < f64::EPSILON, "{name} {:?}", end.find(name, labels));
    };
    is("objects", &of("MigrationTask", "Failed"), 1.0);
    is("objects", &of("SyncTask", "Synchronizing"), 1.0);
    is("phase_changes_total", &of("MigrationTask", "Failed"), 1.0);
    is("phase_changes_total", &of("SyncEvent", "Succeeded"), 1.0);
    is("transferred_objects_total", &[("kind", "MigrationTask"), ("outcome", "succeeded")], 40.0);
    is("running_tasks_remaining_seconds", &[], 0.0);
    is("task_phase", &[("name", "photos")], 1.0);
    is("task_phase", &[("name", "photos"), ("phase", "Succeeded")], 1.0);
    is("task_ready", &[("name", "photos")], 1.0);
    is("task_ready", &[("name", "broken")], 0.0);
    is("task_objects", &[("name", "photos")], 40.0);
    is("task_handled_objects", &[("name", "photos"), ("outcome", "succeeded")], 40.0);
    is("task_handled_objects", &[("name", "new"), ("outcome", "succeeded")], 1.0);
    is("task_bytes_per_second", &[("name", "photos")], 0.0);
    let bytes = end.sum("task_copied_bytes", &[("name", "photos")]);
    is("task_size_bytes", &[("name", "photos")], bytes);
    is("transferred_bytes_total", &[("kind", "MigrationTask")], bytes);
    assert!(end.find("task_last_success_timestamp_seconds", &[("name", "broken")]).is_empty());
    let now = jiff::Timestamp::now().as_second() as f64;
    for kind in ["MigrationTask", "TaskGroup", "SyncTask", "SyncEvent"] {
        let at = end.sum("last_success_timestamp_seconds", &[("kind", kind)]);
        assert!((now - at).abs() < 300.0, "{kind} at {at}");
    }
    let default = format!("{}/{CONNECTION}", world.namespace);
    let created = [("connection", default.as_str()), ("operation", "CreateTask"), ("outcome", "ok")];
    is("oms_requests_total", &created, 2.0);
    let login = format!("{}/login", world.namespace);
    assert!(end.sum("connection_credentials_expiry_timestamp_seconds", &[("connection", &login)]) > now);
    assert!(
        end.find("connection_credentials_expiry_timestamp_seconds", &[("connection", &default)]).is_empty()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_series_of_objects_and_connections_go_with_them() {
    let world = Setup::default().operated(per_object()).start().await;
    world.put_objects(2).await;
    log_in(&world, "login").await;
    world.wait_connection("login", "True", "Connected").await;
    let migrations = [world.migration("photos").apply().await, world.migration("films").apply().await];
    let task = world.sync_task("mirror").apply().await;
    task.wait_phase(Phase::Synchronizing).await;
    world.apply_event("new", "mirror", &["00000.txt".into()]).await;
    world.wait_event_phase("new", Phase::Succeeded).await;
    for migration in &migrations {
        migration.wait_phase(Phase::Succeeded).await;
    }
    let (default, login) =
        (format!("{}/{CONNECTION}", world.namespace), format!("{}/login", world.namespace));
    shown(&world, "all of them have series", |scrape| {
        ["photos", "films", "mirror", "new"].iter().all(|name| scrape.mentions("name", name))
            && [&default, &login].iter().all(|name| {
                let of = [("connection", name.as_str())];
                scrape.sum("oms_requests_total", &of) > 0.5
                    && scrape.sum("connection_ready", &of) > 0.5
                    && !scrape.find("oms_budget_left_requests", &of).is_empty()
            })
    })
    .await;
    let successes = |scrape: &Scrape| scrape.sum("last_success_timestamp_seconds", &[("kind", "SyncEvent")]);
    let before = successes(&Scrape::of(&world.operators[0]).await);

    migrations[0].delete().await;
    migrations[0].wait_gone().await;
    task.delete().await;
    task.wait_gone().await;
    world.kubectl(&["delete", "syncevent", "new"]).await;
    world.api::<Connection>().delete("login", &DeleteParams::default()).await.unwrap();
    let after = shown(&world, "the deleted ones have none", |scrape| {
        !["photos", "mirror", "new"].iter().any(|name| scrape.mentions("name", name))
            && !scrape.mentions("connection", &login)
    })
    .await;
    assert!(after.mentions("name", "films") && after.mentions("connection", &default));
    assert!((successes(&after) - before).abs() < f64::EPSILON, "a success stays one");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_object_is_named_unless_somebody_asks_for_it() {
    let world = World::start().await;
    world.put_objects(1).await;
    world.migration("photos").apply().await.wait_phase(Phase::Succeeded).await;
    let of = [("kind", "MigrationTask"), ("phase", "Succeeded")];
    let scrape = shown(&world, "the success is counted", |scrape| scrape.sum("objects", &of) > 0.5).await;
    let naming: Vec<_> = scrape
        .samples()
        .filter(|sample| ["name", "namespace"].iter().any(|label| sample.labels.contains_key(*label)))
        .collect();
    assert!(naming.is_empty(), "{naming:#?}");
    assert!(!scrape.samples().flat_map(|sample| sample.labels.values()).any(|value| value == "photos"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_that_limits_the_rate_shows_in_the_budget_and_in_the_waits() {
    let world = World::start().await;
    world.put_objects(1).await;
    world.wait_connection(CONNECTION, "True", "Connected").await;
    let default = format!("{}/{CONNECTION}", world.namespace);
    let of = [("connection", default.as_str())];
    let rate = |scrape: &Scrape| scrape.sum("oms_budget_requests_per_second", &of);
    let full = shown(&world, "the budget is there", |scrape| rate(scrape) > 19.5).await;
    assert!(full.sum("oms_budget_left_requests", &of) > 0.5);
    let waited = |scrape: &Scrape| scrape.sum("oms_budget_wait_seconds_sum", &[]);
    assert!(waited(&full) < 1.0, "{}", waited(&full));

    world.fault(json!({ "kind": "throttle", "times": 1 })).await;
    let migration = world.migration("photos").apply().await;
    let limited = shown(&world, "the budget is used up", |scrape| {
        rate(scrape) < 19.5 && scrape.sum("oms_budget_left_requests", &of) < 0.5
    })
    .await;
    assert!(limited.sum("oms_requests_total", &[of[0], ("outcome", "throttled")]) > 0.5);
    migration.wait_phase(Phase::Succeeded).await;
    shown(&world, "the waits are measured", |scrape| waited(scrape) > 0.5).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_for_room_in_a_quota_is_counted_with_its_age() {
    let world = World::start().await;
    world.put_objects(1).await;
    world.wait_connection(CONNECTION, "True", "Connected").await;
    queue::allow(&world, 1).await;
    world.migration("first").apply().await.wait_phase(Phase::Succeeded).await;
    let waiting = world.migration("second").apply().await;
    waiting.wait_phase(Phase::Queued).await;
    let of = [("kind", "MigrationTask")];
    let age = |scrape: &Scrape| scrape.sum("quota_oldest_wait_seconds", &of);
    let before = shown(&world, "one waits", |scrape| {
        (scrape.sum("quota_waiting_objects", &of) - 1.0).abs() < f64::EPSILON
    })
    .await;
    let older = shown(&world, "it grows older", |scrape| age(scrape) > age(&before) + 0.2).await;
    assert!(older.sum("quota_waiting_objects", &[("kind", "TaskGroup")]) < 0.5);
    waiting.delete().await;
    waiting.wait_gone().await;
    shown(&world, "nobody waits any more", |scrape| {
        scrape.sum("quota_waiting_objects", &of) < 0.5 && age(scrape) < f64::EPSILON
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn passes_that_cannot_begin_show_in_the_depth_and_the_age_of_their_queue() {
    let flags = OperatorFlags::default().with("--concurrency=1");
    let world = Setup::default().operated(flags).start().await;
    world.put_objects(1).await;
    world.wait_connection(CONNECTION, "True", "Connected").await;
    world.fault(json!({ "operation": "CreateTask", "kind": "delay", "delayMs": 4_000, "times": 1 })).await;
    let first = world.migration("first").apply().await;
    eventually("the create is under way", async || {
        let sent = first.status().await.create.and_then(|create| create.sent_at);
        sent.map(|_| ()).ok_or_else(|| "not yet".to_owned())
    })
    .await;
    let second = world.migration("second").with("/destination/prefix", "second/").apply().await;
    let of = [("kind", "MigrationTask")];
    let depth = |scrape: &Scrape| scrape.sum("reconcile_queue_depth", &of);
    let age = |scrape: &Scrape| scrape.sum("reconcile_queue_oldest_age_seconds", &of);
    let behind =
        shown(&world, "the second waits for its pass", |scrape| depth(scrape) > 0.5 && age(scrape) > 1.0)
            .await;
    assert!(age(&behind) < 60.0, "it began to wait when it was made: {}", age(&behind));
    assert!(behind.sum("reconcile_queue_depth", &[("kind", "TaskGroup")]) < 0.5);
    for migration in [&first, &second] {
        migration.wait_phase(Phase::Succeeded).await;
        migration.delete().await;
        migration.wait_gone().await;
    }
    shown(&world, "the queue is empty", |scrape| depth(scrape) < 0.5 && age(scrape) < f64::EPSILON).await;
}
