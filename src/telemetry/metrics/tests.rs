//! What is recorded is exposed.

use std::collections::BTreeSet;

use super::catalogue::Type;
use super::*;

fn text(metrics: &Metrics) -> String {
    metrics.render(Format::OpenMetrics)
}

fn has(text: &str, line: &str) {
    assert!(text.lines().any(|found| found == line), "no {line} in\n{text}");
}

#[test]
fn what_happened_is_counted_with_its_labels() {
    let metrics = Metrics::new();
    metrics.reconciled("MigrationTask", "ok", Duration::from_millis(3));
    metrics.clone().reconciled("MigrationTask", "ok", Duration::from_millis(3));
    metrics.oms_call("media/default", "CreateTask", "ok", Duration::from_millis(70));
    metrics.budget_wait("poll", Duration::from_millis(20));
    metrics.kubernetes_write("MigrationTask", "update_status");
    metrics.phase_changed("TaskGroup", "Failed");
    metrics.transferred("TaskGroup", 4096, Handled { failed: 2, ..Handled::default() });
    metrics.sync_keys(10);
    metrics.search("complete");
    metrics.poll("ok", 100);
    let text = text(&metrics);
    for expected in [
        r#"oms_operator_reconciles_total{kind="MigrationTask",outcome="ok"} 2"#,
        r#"oms_operator_reconcile_duration_seconds_count{kind="MigrationTask"} 2"#,
        r#"oms_operator_oms_requests_total{connection="media/default",operation="CreateTask",outcome="ok"} 1"#,
        r#"oms_operator_oms_budget_wait_seconds_bucket{urgency="poll",le="0.05"} 1"#,
        r#"oms_operator_kubernetes_writes_total{kind="MigrationTask",verb="update_status"} 1"#,
        r#"oms_operator_phase_changes_total{kind="TaskGroup",phase="Failed"} 1"#,
        r#"oms_operator_transferred_bytes_total{kind="TaskGroup"} 4096"#,
        r#"oms_operator_transferred_objects_total{kind="TaskGroup",outcome="failed"} 2"#,
        "oms_operator_sync_event_keys_total 10",
        r#"oms_operator_searches_total{outcome="complete"} 1"#,
        r#"oms_operator_polls_total{outcome="ok"} 1"#,
        "oms_operator_polled_tasks_total 100",
        concat!(r#"oms_operator_build_info{version=""#, env!("CARGO_PKG_VERSION"), r#""} 1"#),
    ] {
        has(&text, expected);
    }
    assert!(text.ends_with("# EOF\n"));
}

#[test]
fn counters_begin_at_zero_so_that_the_first_failure_is_an_increase() {
    let text = text(&Metrics::new());
    has(&text, r#"oms_operator_reconciles_total{kind="SyncEvent",outcome="panic"} 0"#);
    has(&text, r#"oms_operator_phase_changes_total{kind="MigrationTask",phase="Failed"} 0"#);
    has(&text, "oms_operator_abandoned_cleanups_total 0");
    assert!(!text.contains("oms_operator_oms_requests"), "nobody knows the connections yet:\n{text}");
}

#[test]
fn the_calls_of_a_connection_go_with_it() {
    let metrics = Metrics::new();
    for connection in ["media/default", "media/other", "shared", NO_CONNECTION] {
        metrics.oms_call(connection, "ListTasks", "ok", Duration::ZERO);
    }
    metrics.retain_connections(|name| name == "shared");
    let text = text(&metrics);
    let left: Vec<_> = text
        .lines()
        .filter_map(|line| line.strip_prefix(r#"oms_operator_oms_requests_total{connection=""#))
        .map(|rest| rest.split('"').next().unwrap())
        .collect();
    assert_eq!(left, ["-", "shared"]);
    has(&text, r#"oms_operator_oms_request_duration_seconds_count{operation="ListTasks"} 4"#);
}

fn everything() -> Snapshot {
    let waiting = Waiting { count: 3, oldest: Duration::from_millis(1500) };
    let handled = Handled { succeeded: 5, failed: 1, skipped: 2 };
    Snapshot {
        queues: vec![("MigrationTask", waiting)],
        lines: vec![("SyncTask", waiting)],
        phases: [(("MigrationTask", "Running"), 4)].into(),
        paused: [("SyncEvent", 1)].into(),
        last_success: [("TaskGroup", 1_800_000_000.0)].into(),
        running: vec![(
            "MigrationTask",
            Running { tasks: 2, bytes_total: 1 << 60, handled, ..Running::default() },
        )],
        synchronized: Synchronized { requested: 8, handled, bytes: 9 },
        connections: vec![ConnectionState {
            name: "media/default".into(),
            ready: true,
            expiry: Some(1_800_000_000.5),
            budget: Some(Budget { left: 7, rate: 0.5, waiting: 6 }),
        }],
        objects: vec![ObjectState {
            kind: "MigrationTask",
            namespace: "media".into(),
            name: "photos".into(),
            phase: Some("Running"),
            bytes_total: Some(10),
            bytes_done: Some(4),
            objects_total: Some(8),
            handled: Some(handled),
            bytes_per_second: Some(2),
            remaining: Some(Duration::from_secs(3)),
            last_success: Some(1_700_000_000.0),
            ..ObjectState::default()
        }],
    }
}

#[test]
fn how_things_stand_is_asked_for_at_each_look_and_by_the_leader_only() {
    let metrics = Metrics::new();
    let standby = text(&metrics);
    let snapshot = Arc::new(Mutex::new(everything()));
    let told = Arc::clone(&snapshot);
    metrics.set_source(Some(Arc::new(move || Some(told.lock().unwrap().clone()))));
    let leading = text(&metrics);
    for expected in [
        r#"oms_operator_reconcile_queue_depth{kind="MigrationTask"} 3"#,
        r#"oms_operator_reconcile_queue_oldest_age_seconds{kind="MigrationTask"} 1.5"#,
        r#"oms_operator_quota_waiting_objects{kind="SyncTask"} 3"#,
        r#"oms_operator_objects{kind="MigrationTask",phase="Running"} 4"#,
        r#"oms_operator_objects{kind="MigrationTask",phase="Failed"} 0"#,
        r#"oms_operator_paused_objects{kind="TaskGroup"} 0"#,
        r#"oms_operator_last_success_timestamp_seconds{kind="TaskGroup"} 1800000000"#,
        r#"oms_operator_running_tasks_size_bytes{kind="MigrationTask"} 1152921504606846976"#,
        r#"oms_operator_running_tasks_handled_objects{kind="MigrationTask",outcome="failed"} 1"#,
        "oms_operator_sync_month_requested_objects 8",
        r#"oms_operator_sync_month_objects{outcome="skipped"} 2"#,
        r#"oms_operator_oms_budget_left_requests{connection="media/default"} 7"#,
        r#"oms_operator_oms_budget_requests_per_second{connection="media/default"} 0.5"#,
        r#"oms_operator_task_phase{kind="MigrationTask",namespace="media",name="photos",phase="Running"} 1"#,
        r#"oms_operator_task_ready{kind="MigrationTask",namespace="media",name="photos"} 0"#,
        r#"oms_operator_task_remaining_seconds{kind="MigrationTask",namespace="media",name="photos"} 3"#,
    ] {
        has(&leading, expected);
        let (name, _) = expected.split_at(expected.find(['{', ' ']).unwrap());
        assert!(!standby.contains(name), "a standby tells of {name}");
    }
    snapshot.lock().unwrap().objects.clear();
    assert!(!text(&metrics).contains("photos"), "what is gone is told no more");
    metrics.set_source(None);
    assert!(!text(&metrics).contains("media"), "who leads no more tells nothing");
}

#[test]
fn every_metric_of_the_catalogue_can_be_exposed_and_each_once() {
    let metrics = Metrics::new();
    metrics.set_leader(false);
    metrics.reconciled("MigrationTask", "ok", Duration::ZERO);
    metrics.oms_call("media/default", "ListTasks", "ok", Duration::ZERO);
    metrics.budget_wait("poll", Duration::ZERO);
    metrics.set_source(Some(Arc::new(|| Some(everything()))));
    let text = text(&metrics);
    let typed: Vec<_> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    let all: Vec<_> = Metric::ALL
        .iter()
        .map(|metric| metric.description())
        .filter(|described| cfg!(target_os = "linux") || described.shown != Shown::OnLinux)
        .map(|described| described.name)
        .collect();
    assert_eq!(typed, all);
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
    assert!(Metric::ALL.iter().all(|metric| {
        let described = metric.description();
        described.kind != Type::Counter || !described.name.ends_with("_total")
    }));
}
