//! What is told of a pod.

use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};

use super::launch;
use super::process::Running;

/// The status of a pod, as a kubelet writes it.
pub(super) fn of(pod: &Pod, running: &Running) -> Value {
    let condition =
        |type_: &str, holds: bool| json!({ "type": type_, "status": if holds { "True" } else { "False" } });
    let container = launch::container(pod).ok();
    let ended = running.ended.as_ref().map_or(json!({}), |(code, log)| {
        json!({ "terminated": { "exitCode": code, "reason": if *code == 0 { "Completed" } else { "Error" }, "message": log } })
    });
    let (state, last) = match &running.waiting {
        _ if running.finished => (ended, json!({})),
        Some((reason, message)) => (json!({ "waiting": { "reason": reason, "message": message } }), ended),
        None => (json!({ "running": {} }), ended),
    };
    let phase = match &running.ended {
        Some((0, _)) if running.finished => "Succeeded",
        Some(_) if running.finished => "Failed",
        _ if running.runs() || running.restarts > 0 => "Running",
        _ => "Pending",
    };
    json!({
        "phase": phase,
        "podIP": running.address,
        "podIPs": [{ "ip": running.address }],
        "conditions": [
            condition("PodScheduled", true),
            condition("Initialized", true),
            condition("ContainersReady", running.ready),
            condition("Ready", running.ready),
        ],
        "containerStatuses": [{
            "name": container.map(|container| container.name.as_str()).unwrap_or_default(),
            "image": container.and_then(|container| container.image.as_deref()).unwrap_or_default(),
            "imageID": "",
            "ready": running.ready,
            "started": running.runs(),
            "restartCount": running.restarts,
            "state": state,
            "lastState": last,
        }],
    })
}

/// Whether a stored status lacks something of the wanted one.
pub(super) fn differs(stored: &Value, wanted: &Value) -> bool {
    match (stored, wanted) {
        (Value::Object(stored), Value::Object(wanted)) => {
            wanted.iter().any(|(name, wanted)| differs(stored.get(name).unwrap_or(&Value::Null), wanted))
        }
        (Value::Array(stored), Value::Array(wanted)) => {
            wanted.iter().any(|wanted| stored.iter().all(|stored| differs(stored, wanted)))
        }
        (Value::Null, Value::Object(wanted)) => !wanted.is_empty(),
        (Value::Null, Value::String(wanted)) => !wanted.is_empty(),
        (Value::Null, Value::Bool(wanted)) => *wanted,
        _ => stored != wanted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_server_adds_is_no_difference() {
        let wanted = json!({ "conditions": [{ "type": "Ready", "status": "True" }], "phase": "Running" });
        let stored = json!({
            "conditions": [{ "type": "Ready", "status": "True", "observedGeneration": 1 }], "phase": "Running", "qosClass": "Burstable",
        });
        assert!(!differs(&stored, &wanted));
        assert!(differs(&stored, &json!({ "phase": "Pending" })));
        assert!(differs(&stored, &json!({ "conditions": [{ "type": "Ready", "status": "False" }] })));
    }
}
