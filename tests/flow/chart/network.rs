//! The NetworkPolicy. Nothing enforces one here, so what it lets through is compared with what the operator listens on and
//! calls. The kubelet's probes are no question: a node reaches its own pods whatever a policy says.

use std::collections::BTreeSet;

use serde::Deserialize as _;
use serde_json::{Value, json};

use super::release::OPERATOR;
use super::values::template;

/// The object of a kind in what the chart renders.
fn rendered(kind: &str, values: &[&str]) -> Value {
    let text = template(OPERATOR, &[&["crds.install=false", "networkPolicy.enabled=true"], values].concat())
        .unwrap();
    let documents =
        serde_yaml::Deserializer::from_str(&text).map(|document| Value::deserialize(document).unwrap());
    documents.into_iter().find(|object| object["kind"] == kind).unwrap()
}

/// Protocol and port of everything that goes out to anywhere, and what goes to a single address.
fn egress(policy: &Value) -> (BTreeSet<(String, u64)>, Vec<Value>) {
    let rules = policy["spec"]["egress"].as_array().unwrap();
    let (anywhere, single): (Vec<_>, Vec<_>) = rules.iter().partition(|rule| rule["to"].is_null());
    let ports = anywhere.iter().flat_map(|rule| rule["ports"].as_array().unwrap());
    let ports =
        ports.map(|port| (port["protocol"].as_str().unwrap().to_owned(), port["port"].as_u64().unwrap()));
    (ports.collect(), single.into_iter().cloned().collect())
}

#[test]
fn the_network_policy_lets_through_what_the_operator_listens_on_and_calls() {
    for port in ["8080", "9090"] {
        let metrics = format!("metrics.port={port}");
        let policy = rendered("NetworkPolicy", &[&metrics]);
        let deployment = rendered("Deployment", &[&metrics]);
        let pod = &deployment["spec"]["template"];
        let container = &pod["spec"]["containers"][0];
        // Whom it is about: the pods of the Deployment, all of them.
        for (name, value) in policy["spec"]["podSelector"]["matchLabels"].as_object().unwrap() {
            assert_eq!(&pod["metadata"]["labels"][name], value);
        }
        // In: the one port that it listens on, by which metrics and probes are asked for.
        assert_eq!(
            container["args"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|arg| arg.as_str().unwrap().contains("listen"))
                .count(),
            1
        );
        assert!(
            container["args"]
                .as_array()
                .unwrap()
                .contains(&json!(format!("--metrics-listen=0.0.0.0:{port}")))
        );
        assert_eq!(
            container["ports"],
            json!([{ "name": "metrics", "containerPort": port.parse::<u64>().unwrap(), "protocol": "TCP" }])
        );
        assert_eq!(
            policy["spec"]["ingress"],
            json!([{ "ports": [{ "port": "metrics", "protocol": "TCP" }] }])
        );
        for probe in ["livenessProbe", "readinessProbe"] {
            assert_eq!(container[probe]["httpGet"]["port"], "metrics");
        }
    }
    // Out: DNS, the API server (behind its service and itself), and OMS, IAM and STS, which are called by `https` alone.
    let policy = rendered("NetworkPolicy", &[]);
    assert_eq!(policy["spec"]["policyTypes"], json!(["Ingress", "Egress"]));
    let (anywhere, single) = egress(&policy);
    let wanted = [("TCP", 53), ("UDP", 53), ("TCP", 443), ("TCP", 6443)];
    assert_eq!(anywhere, wanted.map(|(protocol, port)| (protocol.to_owned(), port)).into());
    // And the metadata service, as long as anybody may use the node's credentials.
    let metadata = json!({
        "to": [{ "ipBlock": { "cidr": "169.254.169.254/32" } }], "ports": [{ "port": 80, "protocol": "TCP" }],
    });
    assert_eq!(single, [metadata]);
    for without in ["config.ambientCredentials=none", "config.metadataEndpoint=off"] {
        let (_, single) = egress(&rendered("NetworkPolicy", &[without]));
        assert_eq!(single, Vec::<Value>::new(), "{without}");
    }
}

/// A policy that a user narrows or widens says so and nothing else.
#[test]
fn peers_and_further_ports_are_those_of_the_values() {
    let policy = rendered(
        "NetworkPolicy",
        &[
            "networkPolicy.metricsFrom[0].namespaceSelector.matchLabels.name=monitoring",
            "networkPolicy.egress[0].ports[0].port=3128",
            "networkPolicy.egress[0].ports[0].protocol=TCP",
        ],
    );
    let from = json!([{ "namespaceSelector": { "matchLabels": { "name": "monitoring" } } }]);
    assert_eq!(policy["spec"]["ingress"][0]["from"], from);
    let (anywhere, _) = egress(&policy);
    assert!(anywhere.contains(&("TCP".to_owned(), 3128)), "{anywhere:?}");
}
