//! What the real binary exposes, and how metrics are named.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use oms_operator::telemetry::metrics::catalogue::{Description, Label, Metric, Shown, Type};

use crate::openmetrics::{Family, parse};
use crate::{described, http_client, lint};

#[test]
fn names_labels_and_words_follow_the_conventions() {
    let complaints: Vec<_> =
        Metric::ALL.iter().flat_map(|metric| lint::complaints(metric.description())).collect();
    assert!(complaints.is_empty(), "{complaints:#?}");
}

#[test]
fn the_lint_finds_what_is_wrong() {
    const SOUND: Description = Description {
        name: "oms_operator_thing_seconds",
        kind: Type::Gauge,
        shown: Shown::Always,
        labels: &[],
        help: "What it tells",
    };
    const OBJECT: &[Label] = &[Label { name: "name", values: &[] }];
    assert_eq!(lint::complaints(&SOUND), Vec::<String>::new());
    for wrong in [
        Description { name: "thing_seconds", ..SOUND },
        Description { name: "oms_operator_Thing", ..SOUND },
        Description { name: "oms_operator_thing__seconds", ..SOUND },
        Description { name: "oms_operator_things_total", ..SOUND },
        Description { name: "oms_operator_thing_milliseconds", ..SOUND },
        Description { name: "oms_operator_wait", ..SOUND },
        Description { name: "oms_operator_last_success_timestamp", ..SOUND },
        Description { name: "oms_operator_bytes_copied", ..SOUND },
        Description { name: "oms_operator_thing_gauge", ..SOUND },
        Description { help: "What it tells.", ..SOUND },
        Description { help: "what it tells", ..SOUND },
        Description { help: "", ..SOUND },
        Description { help: "What \"it\" tells", ..SOUND },
        Description { labels: &[Label { name: "job", values: &["a"] }], ..SOUND },
        Description { labels: &[Label { name: "__x", values: &["a"] }], ..SOUND },
        Description { labels: OBJECT, ..SOUND },
    ] {
        assert!(!lint::complaints(&wrong).is_empty(), "{wrong:?} passed");
    }
    assert!(lint::complaints(&Description { labels: OBJECT, shown: Shown::PerObject, ..SOUND }).is_empty());
}

#[test]
fn a_wrong_exposition_is_refused() {
    let counter = "# HELP a What\n# TYPE a counter\n";
    let histogram = "# HELP h_seconds What\n# TYPE h_seconds histogram\n# UNIT h_seconds seconds\n";
    let parsed = parse(&format!("{counter}a_total{{x=\"1\\\"\"}} 2\n# EOF\n")).unwrap();
    assert_eq!((parsed[0].samples[0].labels["x"].as_str(), parsed[0].samples[0].value), ("1\"", 2.0));
    parse(&format!(
        "{histogram}h_seconds_bucket{{le=\"+Inf\"}} 1\nh_seconds_count 1\nh_seconds_sum 2\n# EOF\n"
    ))
    .unwrap();
    for wrong in [
        format!("{counter}a_total 1\n"),
        format!("{counter}a_total 1\n\n# EOF\n"),
        format!("{counter}a 1\n# EOF\n"),
        format!("{counter}a_total 1 \n# EOF\n"),
        format!("{counter}a_total -1\n# EOF\n"),
        format!("{counter}a_total NaN\n# EOF\n"),
        format!("{counter}a_total{{}} 1\n# EOF\n"),
        format!("{counter}a_total{{x=\"1\",x=\"2\"}} 1\n# EOF\n"),
        format!("{counter}a_total{{x=\"1\",}} 1\n# EOF\n"),
        format!("{counter}a_total{{x=\"1\"}} 1\na_total{{x=\"1\"}} 1\n# EOF\n"),
        format!("{counter}a_total{{x=\"1\"}} 1\na_total{{y=\"1\"}} 1\n# EOF\n"),
        format!("{counter}a_total 1\n# TYPE b gauge\n# HELP b B\nb 1\n{counter}a_total 1\n# EOF\n"),
        format!("{counter}# TYPE a counter\na_total 1\n# EOF\n"),
        "# TYPE a counter\na_total 1\n# EOF\n".to_owned(),
        "a_total 1\n# EOF\n".to_owned(),
        "# HELP a What\n# TYPE a gauge\n# UNIT a seconds\na 1\n# EOF\n".to_owned(),
        format!(
            "{histogram}h_seconds_bucket{{le=\"1\"}} 1\nh_seconds_bucket{{le=\"+Inf\"}} 1\nh_seconds_count 1\nh_seconds_sum 2\n# EOF\n"
        ),
        format!(
            "{histogram}h_seconds_bucket{{le=\"1.0\"}} 2\nh_seconds_bucket{{le=\"+Inf\"}} 1\nh_seconds_count 1\nh_seconds_sum 2\n# EOF\n"
        ),
        format!("{histogram}h_seconds_bucket{{le=\"+Inf\"}} 1\nh_seconds_count 2\nh_seconds_sum 2\n# EOF\n"),
    ] {
        assert!(parse(&wrong).is_err(), "taken:\n{wrong}");
    }
}

/// The real binary, which ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts the operator where there is no API server, and tells where it serves.
fn alone() -> (Running, String) {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"));
    let kubeconfig = folder.join(format!("nowhere-{}.yaml", std::process::id()));
    let nowhere = "{apiVersion: v1, kind: Config, current-context: c, clusters: [{name: c, cluster: {server: 'http://127.0.0.1:1'}}], contexts: [{name: c, context: {cluster: c, user: u}}], users: [{name: u, user: {}}]}";
    std::fs::write(&kubeconfig, nowhere).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_oms-operator"));
    command.args(["run", "--metrics-listen", "127.0.0.1:0", "--log-format", "json", "--per-object-metrics"]);
    command.args(["--leader-namespace", "default"]).env("KUBECONFIG", kubeconfig).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let log = BufReader::new(child.stderr.take().unwrap());
    let running = Running(child);
    let address = log.lines().map_while(Result::ok).find_map(|line| {
        let line: serde_json::Value = serde_json::from_str(&line).ok()?;
        line["address"].as_str().map(str::to_owned)
    });
    (running, address.unwrap())
}

async fn scrape(address: &str, accept: &str) -> String {
    let request = http_client().get(format!("http://{address}/metrics")).header("accept", accept);
    request.send().await.unwrap().text().await.unwrap()
}

#[tokio::test]
async fn a_replica_that_waits_for_the_lease_tells_of_itself_and_of_no_object() {
    let (_operator, address) = alone();
    let families = parse(&scrape(&address, "application/openmetrics-text").await).unwrap();
    let differences = described::differences(&families);
    assert!(differences.is_empty(), "{differences:#?}");
    let value = |name: &str| {
        let family = families.iter().find(|family| family.name == name);
        family.unwrap_or_else(|| panic!("no {name}")).samples[0].value
    };
    assert!(value("oms_operator_leader").abs() < f64::EPSILON);
    if cfg!(target_os = "linux") {
        assert!(value("process_resident_memory_bytes") > 1e6);
        let now = jiff::Timestamp::now().as_second() as f64;
        assert!((now - value("process_start_time_seconds")).abs() < 600.0);
    }
    let shown = |family: &Family| {
        let mut all = Metric::ALL.iter().map(|metric| metric.description());
        all.find(|described| described.name == family.name).unwrap().shown
    };
    let of_the_leader: Vec<_> = families
        .iter()
        .filter(|family| matches!(shown(family), Shown::WhileLeading | Shown::PerObject))
        .map(|family| &family.name)
        .collect();
    assert!(of_the_leader.is_empty(), "{of_the_leader:?}");
}

#[tokio::test]
async fn the_older_format_says_the_same_under_the_names_of_the_series() {
    let (_operator, address) = alone();
    let classic = scrape(&address, "*/*").await;
    let typed: Vec<(&str, &str)> =
        classic.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' ')).collect();
    assert!(typed.contains(&("oms_operator_reconciles_total", "counter")), "{typed:?}");
    assert!(typed.contains(&("oms_operator_build_info", "gauge")), "{typed:?}");
    assert!(!classic.contains("# UNIT") && !classic.contains("# EOF"), "{classic}");
    let samples = |text: &str| {
        let names =
            text.lines().filter(|line| !line.starts_with('#')).map(|line| line.rsplit_once(' ').unwrap().0);
        names.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(samples(&classic), samples(&scrape(&address, "application/openmetrics-text").await));
}
