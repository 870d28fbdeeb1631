//! What is recorded is exposed.

use super::*;

fn line<'t>(text: &'t str, start: &str) -> &'t str {
    text.lines().find(|line| line.starts_with(start)).unwrap_or_else(|| panic!("no {start} in\n{text}"))
}

#[test]
fn counters_carry_their_labels_and_units() {
    let metrics = Metrics::new();
    metrics.reconciled("MigrationTask", "changed", Duration::from_millis(3));
    metrics.clone().reconciled("MigrationTask", "changed", Duration::from_millis(3));
    metrics.oms_call("CreateTask", "ok", Duration::from_millis(70));
    metrics.kubernetes_write("MigrationTask", "update_status");
    metrics.transferred_bytes(4096);
    metrics.sync_keys(10);
    metrics.set_synchronized(Synchronized { requested: 7, failed: 2, bytes: 9, ..Synchronized::default() });
    metrics.search("complete");
    metrics.poll("ok", 100);
    let text = metrics.render(Format::OpenMetrics);
    for expected in [
        r#"oms_operator_reconciles_total{kind="MigrationTask",outcome="changed"} 2"#,
        r#"oms_operator_reconcile_duration_seconds_count{kind="MigrationTask"} 2"#,
        r#"oms_operator_oms_requests_total{operation="CreateTask",outcome="ok"} 1"#,
        r#"oms_operator_kubernetes_writes_total{kind="MigrationTask",verb="update_status"} 1"#,
        "oms_operator_transferred_bytes_total 4096",
        "oms_operator_sync_event_keys_total 10",
        r#"oms_operator_sync_month_objects{outcome="requested"} 7"#,
        r#"oms_operator_sync_month_objects{outcome="failed"} 2"#,
        "oms_operator_sync_month_copied_bytes 9",
        r#"oms_operator_searches_total{outcome="complete"} 1"#,
        r#"oms_operator_polls_total{outcome="ok"} 1"#,
        "oms_operator_polled_tasks_total 100",
        concat!(r#"oms_operator_build_info{version=""#, env!("CARGO_PKG_VERSION"), r#""} 1"#),
    ] {
        assert!(text.lines().any(|line| line == expected), "no {expected} in\n{text}");
    }
    assert!(text.ends_with("# EOF\n"));
}

#[test]
fn a_phase_that_nobody_is_in_any_more_falls_to_zero() {
    let metrics = Metrics::new();
    metrics.set_phase_counts("MigrationTask", [("Running", 3), ("Pending", 1)]);
    metrics.set_phase_counts("Connection", [("Pending", 7)]);
    metrics.set_phase_counts("MigrationTask", [("Succeeded", 4)]);
    let text = metrics.render(Format::OpenMetrics);
    let object =
        |kind, phase| line(&text, &format!(r#"oms_operator_objects{{kind="{kind}",phase="{phase}"}}"#));
    assert!(object("MigrationTask", "Running").ends_with(" 0"));
    assert!(object("MigrationTask", "Pending").ends_with(" 0"));
    assert!(object("MigrationTask", "Succeeded").ends_with(" 4"));
    assert!(object("Connection", "Pending").ends_with(" 7"));
}

#[test]
fn progress_is_replaced_as_a_whole() {
    let metrics = Metrics::new();
    metrics.set_progress(Running {
        tasks: 2,
        bytes_total: 1 << 60,
        bytes_done: 10,
        objects_total: 5,
        objects_done: 1,
        bytes_per_second: 1024,
    });
    assert!(
        line(&metrics.render(Format::OpenMetrics), "oms_operator_running_tasks_size_bytes")
            .ends_with(" 1152921504606846976")
    );
    metrics.set_progress(Running::default());
    let text = metrics.render(Format::OpenMetrics);
    for gauge in [
        "running_tasks ",
        "running_tasks_size_bytes",
        "running_tasks_copied_bytes",
        "running_tasks_objects ",
        "running_tasks_bytes_per_second",
    ] {
        assert!(line(&text, &format!("oms_operator_{gauge}")).ends_with(" 0"));
    }
}
