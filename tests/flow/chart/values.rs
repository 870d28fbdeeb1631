//! What the chart makes of its values, and which it refuses.

use super::release::{MIGRATIONS, OPERATOR, helm_command};

/// Runs `helm template` of a chart with values as `--set` takes them.
pub(super) fn template(chart: &str, values: &[&str]) -> Result<String, String> {
    let mut command = helm_command();
    command.args(["template", "oms", chart]).args(["--namespace", "oms-system"]);
    for value in values {
        command.args(["--set", value]);
    }
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}

/// The same of the operator's chart.
pub(super) fn render(values: &[&str]) -> Result<String, String> {
    template(OPERATOR, values)
}

#[test]
fn the_charts_have_no_lint() {
    let output = helm_command().args(["lint", "--strict", OPERATOR, MIGRATIONS]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&[output.stdout, output.stderr].concat()));
}

#[test]
fn sets_of_values_render_as_they_did() {
    let sets: [(&str, &[&str]); 4] = [
        ("defaults", &[]),
        ("namespaced", &["watchNamespaces={media,films}", "clusterId=c1"]),
        (
            "everything",
            &[
                "commonLabels.team=storage",
                "image.digest=sha256:0000000000000000000000000000000000000000000000000000000000000000",
                "imagePullSecrets[0].name=registry",
                "config.metadataEndpoint=off",
                "config.stsEndpoint=https://sts.example.com",
                "config.clusterResourceNamespace=keys",
                "config.defaultDeletionPolicy=Orphan",
                "proxy.https=http://proxy.example.com:3128",
                "proxy.noProxy={10.0.0.0/8}",
                "serviceAccount.annotations.note=x",
                "metrics.service.annotations.note=x",
                "metrics.serviceMonitor.enabled=true",
                "metrics.serviceMonitor.labels.release=prometheus",
                "metrics.podMonitor.enabled=true",
                "metrics.perObject=true",
                "networkPolicy.enabled=true",
                "networkPolicy.metricsFrom[0].namespaceSelector.matchLabels.name=monitoring",
                "networkPolicy.egress[0].ports[0].port=3128",
                "priorityClassName=high",
                "nodeSelector.disk=ssd",
                "tolerations[0].operator=Exists",
                "topologySpreadConstraints[0].maxSkew=1",
                "affinity.nodeAffinity.x=y",
                "podAnnotations.note=x",
                "podLabels.note=x",
                "extraArgs={--ready-file=/tmp/ready}",
                "extraEnv[0].name=A,extraEnv[0].value=b",
                "extraEnvFrom[0].secretRef.name=more",
                "extraVolumes[0].name=v,extraVolumes[0].emptyDir.medium=Memory",
                "extraVolumeMounts[0].name=v,extraVolumeMounts[0].mountPath=/v",
            ],
        ),
        (
            "nothing",
            &[
                "replicaCount=1",
                "leaderElection.enabled=false",
                "rbac.create=false",
                "rbac.aggregateToUserRoles=false",
                "serviceAccount.create=false",
                "serviceAccount.name=existing",
                "metrics.service.enabled=false",
                "podDisruptionBudget.enabled=false",
                "fullnameOverride=short",
            ],
        ),
    ];
    for (name, values) in sets {
        // The definitions have a test of their own.
        let values = [values, &["crds.install=false"]].concat();
        insta::assert_snapshot!(name, render(&values).unwrap());
    }
}

#[test]
fn the_definitions_stay_when_the_chart_goes_unless_somebody_says_otherwise() {
    let count = |text: &str, part: &str| text.matches(part).count();
    let kept = render(&[]).unwrap();
    assert_eq!(count(&kept, "kind: CustomResourceDefinition"), 6);
    assert_eq!(count(&kept, "helm.sh/resource-policy: keep"), 6);
    let going = render(&["crds.keep=false"]).unwrap();
    assert_eq!(count(&going, "helm.sh/resource-policy: keep"), 0);
    assert_eq!(count(&render(&["crds.install=false"]).unwrap(), "kind: CustomResourceDefinition"), 0);
}

#[test]
fn a_wrong_value_is_refused_by_its_name() {
    for (values, words) in [
        (&["image.repositry=a"][..], &["'/image'", "repositry"][..]),
        (&["replicaCount=-1"], &["'/replicaCount'"]),
        (&["config.pollInterval=often"], &["'/config/pollInterval'"]),
        (&["config.allowedEndpoints[0]="], &["'/config/allowedEndpoints/0'"]),
        (&["config.ambientCredentials=everybody"], &["'/config/ambientCredentials'"]),
        (&["config.defaultDeletionPolicy=delete"], &["'/config/defaultDeletionPolicy'"]),
        (&["config.concurrency=0"], &["'/config/concurrency'"]),
        (&["config.logLevel=verbose"], &["'/config/logLevel'"]),
        (&["watchNamespaces={A_b}", "clusterId=c"], &["'/watchNamespaces/0'"]),
        (&["watchNamespaces={media}"], &["`clusterId` is wanted"]),
        (&["image.digest=latest"], &["'/image/digest'"]),
        (&["metrics.port=80"], &["'/metrics/port'"]),
        (&["metrics.perObject=some"], &["'/metrics/perObject'"]),
        (&["proxy.https=proxy:3128"], &["'/proxy/https'"]),
        (&["terminationGracePeriodSeconds=5"], &["'/terminationGracePeriodSeconds'"]),
        (&["leaderElection.enabled=false"], &["two replicas would work at once"]),
        (&["serviceAccount.create=false"], &["`serviceAccount.name` is wanted"]),
        (
            &["metrics.service.enabled=false", "metrics.serviceMonitor.enabled=true"],
            &["wants `metrics.service.enabled`"],
        ),
        (&["unknown=1"], &["unknown"]),
    ] {
        let refused = render(values).expect_err(&format!("{values:?}"));
        for word in words {
            assert!(refused.contains(word), "{values:?}: {refused}");
        }
    }
}
