//! The whole product with a Prometheus that scrapes it, first while all goes well and then while nothing does.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use oms_operator::dev::demo;
use oms_operator::dev::stack::{Cluster, Programs, Stack, with_stack};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::promtool::promtool;
use crate::server::{Prometheus, free_ports};
use crate::troubles::Troubles;
use crate::{LOOK, alerts, chart, eventually, oms_dev, operator, queries};

/// Alerts that nothing here brings about, each with the reason; promtool has cases of them nevertheless.
const NOT_BROUGHT_ABOUT: [(&str, &str); 1] =
    [("OMSOperatorPanics", "takes a bug, or an API server that hangs for minutes")];

/// How long an alert may take to be pending.
const PATIENCE: Duration = Duration::from_secs(90);

/// The port of a replica, as the ServiceMonitor of the chart has it scraped.
fn target(pod: &str, address: &str) -> Value {
    let labels = json!({
        "namespace": chart::NAMESPACE,
        "pod": pod,
        "service": "oms-oms-operator-metrics",
        "container": "oms-operator",
        "endpoint": "metrics",
    });
    json!({ "targets": [address], "labels": labels })
}

/// The rules in a world whose minutes are seconds.
fn hastened(mut rules: Value) -> Value {
    let faster = |span: &str| match span.split_at(span.len() - 1) {
        (number, "m") => format!("{number}s"),
        (number, "h") => format!("{number}m"),
        (number, "d") => format!("{number}h"),
        _ => panic!("a span of {span}"),
    };
    for group in rules["groups"].as_array_mut().unwrap() {
        for rule in group["rules"].as_array_mut().unwrap() {
            if let Some(span) = rule["for"].as_str().map(faster) {
                rule["for"] = json!(span);
            }
            let mut parts = rule["expr"].as_str().unwrap().split('[');
            let mut expression = parts.next().unwrap().to_owned();
            for part in parts {
                let (span, rest) = part.split_once(']').unwrap();
                expression.extend(["[", &faster(span), "]", rest]);
            }
            // Hours in the line at a quota, minutes in the queue.
            rule["expr"] = json!(expression.replace("3600 * ", "").replace("> 300", "> 5"));
        }
    }
    rules
}

pub(crate) fn now() -> f64 {
    Timestamp::now().as_millisecond() as f64 / 1000.0
}

/// Waits until an alert is pending or fires. One that does not come is told at the end, with all others.
pub(crate) async fn wait_alert(prometheus: &Prometheus, alert: &str) {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        let active = prometheus.at(&format!("ALERTS{{alertname=\"{alert}\"}}"), now()).await.unwrap();
        if !active.is_empty() {
            return;
        }
        tokio::time::sleep(LOOK).await;
    }
    println!("{alert} did not come within {PATIENCE:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_prometheus_that_scraped_the_demo_answers_every_query_and_sees_every_alert() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let programs = Programs::beside(oms_dev()).unwrap().with_operator_flags(&[
        "--per-object-metrics",
        "--cleanup-timeout=5s",
        "--secret-check-interval=1s",
        // So that objects have to queue.
        "--concurrency=2",
    ]);
    let never = CancellationToken::new();
    let body = async |stack: &mut Stack| {
        play(stack).await;
        Ok(())
    };
    with_stack(programs, Cluster::Own, &never, |line| println!("{line}"), body).await.unwrap().unwrap();
}

async fn play(stack: &mut Stack) {
    let folder = tempfile::tempdir().unwrap();
    let ports: [u16; 2] = free_ports();
    let [second, waiting] = ports.map(|port| format!("127.0.0.1:{port}"));
    let main = stack.metrics.trim_start_matches("http://").trim_end_matches('/').to_owned();
    let scrapes = json!([{
        "job_name": "oms-oms-operator-metrics",
        // As the monitors of the chart.
        "honor_labels": true,
        "static_configs": [
            target("oms-operator-0", &main), target("oms-operator-1", &second), target("oms-operator-2", &waiting),
        ],
    }]);
    let prometheus = Prometheus::start(folder.path(), &scrapes, &hastened(chart::rules())).await;
    let start = first_scrape(&prometheus).await;

    demo::show(stack, &Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/first-migration.yaml"))
        .await
        .unwrap_or_else(|error| panic!("{error}"));
    let fired = prometheus.over("ALERTS{alertstate=\"firing\"}", start, now()).await.unwrap();
    assert!(fired.is_empty(), "nothing is wrong, and yet: {fired:?}");
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let exposed = http.get(format!("http://{main}/metrics")).send().await.unwrap().text().await.unwrap();
    promtool(folder.path(), &["check", "metrics"], &exposed);

    Troubles::new(stack, &prometheus).all().await;
    let wrong = queries::evaluate(&prometheus, start, now()).await;
    leaders(stack, folder.path(), &prometheus, ports).await;
    tell_alerts(&prometheus, start).await;
    assert!(wrong.is_empty(), "queries of the dashboards: {wrong:#?}");
}

/// Waits until the operator is scraped and no alert is active, and returns when that was.
///
/// A Prometheus reads its rules at once and its targets only seconds after it has started. Until then nothing was scraped,
/// which is what an operator that is gone looks like in a world whose minutes are seconds.
async fn first_scrape(prometheus: &Prometheus) -> f64 {
    eventually("the operator is scraped and no alert is active", async || {
        let moment = now();
        let scraped = prometheus.at("oms_operator_build_info", moment).await?;
        let active = prometheus.at("ALERTS", moment).await?;
        if scraped.len() == 1 && active.is_empty() {
            Ok(moment)
        } else {
            Err(format!("{scraped:?}, {active:?}"))
        }
    })
    .await
}

/// Two that lead, then none that does, then none at all.
async fn leaders(stack: &mut Stack, folder: &Path, prometheus: &Prometheus, [second, waiting]: [u16; 2]) {
    Troubles::new(stack, prometheus).hold_lease("elsewhere").await;
    // It works for a namespace in which there is nothing to do.
    let flags = ["--namespace", "elsewhere", "--cluster-id", "elsewhere", "--leader-elect=false"];
    let another = operator::start(stack, folder, "second", second, &flags);
    wait_alert(prometheus, "OMSOperatorSeveralLeaders").await;
    drop(another);
    let mut patient =
        operator::start(stack, folder, "waiting", waiting, &["--leader-namespace", "elsewhere"]);
    stack.end_operator();
    wait_alert(prometheus, "OMSOperatorNoLeader").await;
    patient.check_running().unwrap_or_else(|error| panic!("{error}"));
    drop(patient);
    wait_alert(prometheus, "OMSOperatorDown").await;
}

/// Prints what became of every alert. Each was there, but for those with an excuse, and none was taken amiss.
async fn tell_alerts(prometheus: &Prometheus, start: f64) {
    let seconds = (now() - start) as u64;
    let query = format!("group by (alertname, alertstate) (last_over_time(ALERTS[{seconds}s]))");
    let states = prometheus.ask("query", &[("query", &query)]).await.unwrap();
    let mut seen = BTreeMap::<String, Vec<String>>::new();
    for series in states["result"].as_array().unwrap() {
        let text = |label: &str| series["metric"][label].as_str().unwrap().to_owned();
        seen.entry(text("alertname")).or_default().push(text("alertstate"));
    }
    let groups = prometheus.ask("rules", &[]).await.unwrap();
    for group in groups["groups"].as_array().unwrap() {
        for rule in group["rules"].as_array().unwrap() {
            assert_eq!(rule["health"], "ok", "{rule}");
        }
    }
    let mut wrong = Vec::new();
    for alert in alerts::all() {
        let excuse = NOT_BROUGHT_ABOUT.iter().find(|(name, _)| *name == alert.name);
        match (seen.get(&alert.name), excuse) {
            (Some(states), None) => println!("{}: {}", alert.name, states.join(", then ")),
            (None, Some((_, why))) => println!("{}: not brought about, {why}", alert.name),
            (seen, excuse) => wrong.push(format!("{}: {seen:?}, with the excuse {excuse:?}", alert.name)),
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
