//! What each value of the charts is set to in tests, and which tests install a chart with it. A value that is missing here
//! fails `tests/reference`, which writes `docs/reference/chart-values.md` from it.

/// A value, what else has to be set for it to mean something, and what it is set to, both as `helm --set` takes them.
pub(crate) type Set = (&'static str, &'static [&'static str], &'static [&'static str]);

const DIGEST: &str = "image.digest=sha256:0000000000000000000000000000000000000000000000000000000000000000";
const SERVICE_MONITOR: &[&str] = &["metrics.serviceMonitor.enabled=true"];
const POD_MONITOR: &[&str] = &["metrics.podMonitor.enabled=true"];
const RULES: &[&str] = &["prometheusRule.enabled=true"];
const DASHBOARD: &[&str] = &["dashboard.enabled=true"];
const NETWORK_POLICY: &[&str] = &["networkPolicy.enabled=true"];

/// The values of `charts/oms-operator`, in their order there.
pub(crate) const OPERATOR: &[Set] = &[
    ("nameOverride", &[], &["nameOverride=mover"]),
    ("fullnameOverride", &[], &["fullnameOverride=mover"]),
    ("commonLabels", &[], &["commonLabels.team=storage"]),
    ("image.repository", &[], &["image.repository=registry.example.com/oms-operator"]),
    ("image.tag", &[], &["image.tag=v2"]),
    ("image.digest", &["image.tag=v2"], &[DIGEST]),
    ("image.pullPolicy", &[], &["image.pullPolicy=Always"]),
    ("imagePullSecrets", &[], &["imagePullSecrets[0].name=registry"]),
    ("replicaCount", &[], &["replicaCount=3"]),
    ("crds.install", &[], &["crds.install=false"]),
    ("crds.keep", &[], &["crds.keep=false"]),
    ("watchNamespaces", &["clusterId=c1"], &["watchNamespaces={media,films}"]),
    ("clusterId", &[], &["clusterId=c1"]),
    ("config.pollInterval", &[], &["config.pollInterval=10s"]),
    ("config.secretCheckInterval", &[], &["config.secretCheckInterval=10s"]),
    ("config.allowedEndpoints", &[], &["config.allowedEndpoints={oms.internal.example,*.example.org}"]),
    ("config.ambientCredentials", &[], &["config.ambientCredentials=none"]),
    ("config.metadataEndpoint", &[], &["config.metadataEndpoint=off"]),
    ("config.stsEndpoint", &[], &["config.stsEndpoint=https://sts.example.com"]),
    ("config.clusterResourceNamespace", &[], &["config.clusterResourceNamespace=keys"]),
    ("config.defaultDeletionPolicy", &[], &["config.defaultDeletionPolicy=Orphan"]),
    ("config.cleanupTimeout", &[], &["config.cleanupTimeout=10m"]),
    ("config.concurrency", &[], &["config.concurrency=4"]),
    ("config.paused", &[], &["config.paused=true"]),
    ("config.logFormat", &[], &["config.logFormat=text"]),
    ("config.logLevel", &[], &["config.logLevel=debug"]),
    ("leaderElection.enabled", &["replicaCount=1"], &["leaderElection.enabled=false"]),
    ("leaderElection.leaseDuration", &[], &["leaderElection.leaseDuration=30s"]),
    ("leaderElection.renewDeadline", &[], &["leaderElection.renewDeadline=9s"]),
    ("leaderElection.retryPeriod", &[], &["leaderElection.retryPeriod=1s"]),
    ("proxy.http", &[], &["proxy.http=http://proxy.example.com:3128"]),
    ("proxy.https", &[], &["proxy.https=http://proxy.example.com:3128"]),
    ("proxy.noProxy", &["proxy.https=http://proxy.example.com:3128"], &["proxy.noProxy={10.0.0.0/8}"]),
    ("serviceAccount.create", &["serviceAccount.name=existing"], &["serviceAccount.create=false"]),
    ("serviceAccount.name", &[], &["serviceAccount.name=existing"]),
    ("serviceAccount.annotations", &[], &["serviceAccount.annotations.note=x"]),
    ("rbac.create", &[], &["rbac.create=false"]),
    ("rbac.aggregateToUserRoles", &[], &["rbac.aggregateToUserRoles=false"]),
    ("metrics.port", &[], &["metrics.port=9090"]),
    ("metrics.perObject", &[], &["metrics.perObject=true"]),
    ("metrics.service.enabled", &[], &["metrics.service.enabled=false"]),
    ("metrics.service.annotations", &[], &["metrics.service.annotations.note=x"]),
    ("metrics.serviceMonitor.enabled", &[], &["metrics.serviceMonitor.enabled=true"]),
    ("metrics.serviceMonitor.labels", SERVICE_MONITOR, &["metrics.serviceMonitor.labels.release=prometheus"]),
    ("metrics.serviceMonitor.interval", SERVICE_MONITOR, &["metrics.serviceMonitor.interval=1m"]),
    ("metrics.podMonitor.enabled", &[], &["metrics.podMonitor.enabled=true"]),
    ("metrics.podMonitor.labels", POD_MONITOR, &["metrics.podMonitor.labels.release=prometheus"]),
    ("metrics.podMonitor.interval", POD_MONITOR, &["metrics.podMonitor.interval=1m"]),
    ("prometheusRule.enabled", &[], RULES),
    ("prometheusRule.labels", RULES, &["prometheusRule.labels.release=prometheus"]),
    ("prometheusRule.alertLabels", RULES, &["prometheusRule.alertLabels.team=storage"]),
    ("prometheusRule.runbookBaseUrl", RULES, &["prometheusRule.runbookBaseUrl=https://runbooks.example.com"]),
    ("prometheusRule.disabled", RULES, &["prometheusRule.disabled={OMSUnknownCodes}"]),
    (
        "prometheusRule.thresholds.credentialsExpireMinutes",
        RULES,
        &["prometheusRule.thresholds.credentialsExpireMinutes=30"],
    ),
    ("prometheusRule.thresholds.quotaWaitHours", RULES, &["prometheusRule.thresholds.quotaWaitHours=12"]),
    ("prometheusRule.thresholds.noProgressFor", RULES, &["prometheusRule.thresholds.noProgressFor=30m"]),
    (
        "prometheusRule.extraGroups",
        RULES,
        &["prometheusRule.extraGroups[0].name=own,prometheusRule.extraGroups[0].rules[0].alert=Own,\
           prometheusRule.extraGroups[0].rules[0].expr=vector(1)"],
    ),
    ("dashboard.enabled", &[], DASHBOARD),
    ("dashboard.namespace", DASHBOARD, &["dashboard.namespace=monitoring"]),
    ("dashboard.labels", DASHBOARD, &["dashboard.labels.team=storage"]),
    ("dashboard.annotations", DASHBOARD, &["dashboard.annotations.grafana_folder=Storage"]),
    ("podDisruptionBudget.enabled", &[], &["podDisruptionBudget.enabled=false"]),
    ("podDisruptionBudget.maxUnavailable", &[], &["podDisruptionBudget.maxUnavailable=50%"]),
    ("networkPolicy.enabled", &[], &["networkPolicy.enabled=true"]),
    (
        "networkPolicy.metricsFrom",
        NETWORK_POLICY,
        &["networkPolicy.metricsFrom[0].namespaceSelector.matchLabels.name=monitoring"],
    ),
    ("networkPolicy.egress", NETWORK_POLICY, &["networkPolicy.egress[0].ports[0].port=3128"]),
    ("resources", &[], &["resources.requests.cpu=1"]),
    ("livenessProbe.initialDelaySeconds", &[], &["livenessProbe.initialDelaySeconds=7"]),
    ("livenessProbe.periodSeconds", &[], &["livenessProbe.periodSeconds=7"]),
    ("livenessProbe.timeoutSeconds", &[], &["livenessProbe.timeoutSeconds=7"]),
    ("livenessProbe.failureThreshold", &[], &["livenessProbe.failureThreshold=7"]),
    ("readinessProbe.initialDelaySeconds", &[], &["readinessProbe.initialDelaySeconds=7"]),
    ("readinessProbe.periodSeconds", &[], &["readinessProbe.periodSeconds=7"]),
    ("readinessProbe.timeoutSeconds", &[], &["readinessProbe.timeoutSeconds=7"]),
    ("readinessProbe.failureThreshold", &[], &["readinessProbe.failureThreshold=7"]),
    ("strategy", &[], &["strategy.type=Recreate"]),
    ("revisionHistoryLimit", &[], &["revisionHistoryLimit=1"]),
    ("terminationGracePeriodSeconds", &[], &["terminationGracePeriodSeconds=60"]),
    ("priorityClassName", &[], &["priorityClassName=high"]),
    ("nodeSelector", &[], &["nodeSelector.disk=ssd"]),
    ("tolerations", &[], &["tolerations[0].operator=Exists"]),
    (
        "affinity",
        &[],
        &["affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].\
           matchExpressions[0].key=disk,affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.\
           nodeSelectorTerms[0].matchExpressions[0].operator=Exists"],
    ),
    (
        "topologySpreadConstraints",
        &[],
        &["topologySpreadConstraints[0].maxSkew=1,topologySpreadConstraints[0].topologyKey=zone,\
           topologySpreadConstraints[0].whenUnsatisfiable=ScheduleAnyway"],
    ),
    ("deploymentAnnotations", &[], &["deploymentAnnotations.note=x"]),
    ("podAnnotations", &[], &["podAnnotations.note=x"]),
    ("podLabels", &[], &["podLabels.note=x"]),
    ("hostAliases", &[], &["hostAliases[0].ip=10.0.0.7,hostAliases[0].hostnames={oms.internal.example}"]),
    ("podSecurityContext", &[], &["podSecurityContext.runAsUser=1000"]),
    ("securityContext", &[], &["securityContext.runAsUser=1000"]),
    ("extraArgs", &[], &["extraArgs={--paused=true}"]),
    ("extraEnv", &[], &["extraEnv[0].name=A,extraEnv[0].value=b"]),
    ("extraEnvFrom", &[], &["extraEnvFrom[0].secretRef.name=more"]),
    ("extraVolumes", &[], &["extraVolumes[0].name=v,extraVolumes[0].emptyDir.medium=Memory"]),
    ("extraVolumeMounts", &[], &["extraVolumeMounts[0].name=v,extraVolumeMounts[0].mountPath=/v"]),
];

/// The values of `charts/oms-migrations`, in their order there.
pub(crate) const MIGRATIONS: &[Set] = &[
    ("commonLabels", &["connections.a.spec.region=r"], &["commonLabels.team=media"]),
    ("connections", &[], &["connections.a.spec.region=r"]),
    ("migrationTasks", &[], &["migrationTasks.a.spec.type=prefix"]),
    ("taskGroups", &[], &["taskGroups.a.spec.type=prefix"]),
    ("syncTasks", &[], &["syncTasks.a.spec.description=x"]),
    ("syncEvents", &[], &["syncEvents.a.spec.syncTaskRef.name=b"]),
];

/// Tests in which the real helm installs `charts/oms-operator` with values that are not the default, and the operator runs.
#[allow(dead_code, reason = "the reference is written from it")]
pub(crate) const INSTALLED: &[(&str, &[&str])] = &[
    ("chart::install::a_migration_survives_everything_that_happens_to_the_release", &["podAnnotations"]),
    ("chart::install::a_changed_log_level_reaches_the_pods_and_restarts_none", &["config.logLevel"]),
    (
        "chart::rights::a_namespaced_install_has_every_right_that_it_uses_in_its_namespaces_and_no_other",
        &["watchNamespaces", "clusterId", "config.cleanupTimeout"],
    ),
    (
        "chart::users::users_with_edit_migrate_those_with_view_look_and_neither_writes_status_or_sees_secrets",
        &["replicaCount"],
    ),
    (
        "chart::proxy::oms_is_called_through_the_proxy_and_the_api_server_is_not",
        &["proxy.http", "proxy.https", "proxy.noProxy", "config.allowedEndpoints"],
    ),
    (
        "chart::proxy::a_connection_to_a_host_that_the_chart_does_not_allow_is_refused_until_it_does",
        &["config.allowedEndpoints"],
    ),
    (
        "chart::pods::what_users_add_is_in_the_pods_and_reaches_the_process",
        &[
            "fullnameOverride",
            "commonLabels",
            "image.pullPolicy",
            "imagePullSecrets",
            "serviceAccount.name",
            "serviceAccount.annotations",
            "metrics.port",
            "resources",
            "livenessProbe.periodSeconds",
            "readinessProbe.periodSeconds",
            "terminationGracePeriodSeconds",
            "priorityClassName",
            "nodeSelector",
            "tolerations",
            "affinity",
            "topologySpreadConstraints",
            "deploymentAnnotations",
            "podAnnotations",
            "podLabels",
            "hostAliases",
            "extraArgs",
            "extraEnv",
            "extraEnvFrom",
            "extraVolumes",
            "extraVolumeMounts",
        ],
    ),
    (
        "chart::pods::the_settings_of_the_chart_are_those_of_the_operator",
        &[
            "strategy",
            "config.clusterResourceNamespace",
            "config.defaultDeletionPolicy",
            "config.ambientCredentials",
            "config.metadataEndpoint",
            "config.stsEndpoint",
            "config.concurrency",
            "config.paused",
            "config.logFormat",
            "config.logLevel",
            "metrics.perObject",
        ],
    ),
    (
        "chart::pods::an_operator_runs_alone_with_an_account_and_rights_that_others_made",
        &[
            "nameOverride",
            "replicaCount",
            "crds.install",
            "crds.keep",
            "leaderElection.enabled",
            "serviceAccount.create",
            "serviceAccount.name",
            "rbac.create",
            "rbac.aggregateToUserRoles",
            "metrics.service.enabled",
            "podDisruptionBudget.enabled",
            "networkPolicy.enabled",
        ],
    ),
];

/// What every install of the tests sets, so that it is quick and reaches the emulator.
pub(crate) const EVERYWHERE: &[&str] = &[
    "config.pollInterval=200ms",
    "config.secretCheckInterval=500ms",
    "config.allowedEndpoints[0]=127.0.0.1",
    "config.logLevel=info\\,oms_operator=debug",
    "leaderElection.leaseDuration=10s",
    "leaderElection.renewDeadline=8s",
    "leaderElection.retryPeriod=250ms",
];

/// The tests of `charts/oms-migrations` on a real API server.
#[allow(dead_code, reason = "the reference is written from it")]
pub(crate) const RELEASED: &[(&str, &[&str])] = &[(
    "chart::migrations::helm_waits_until_every_kind_is_ready",
    &["commonLabels", "connections", "migrationTasks", "taskGroups", "syncTasks", "syncEvents"],
)];
