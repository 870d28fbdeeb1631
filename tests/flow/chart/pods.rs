//! What values do beyond rendering: to the pods that the cluster makes, and to the operator that runs in them.

use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret, ServiceAccount};
use k8s_openapi::api::rbac::v1::ClusterRoleBinding;
use k8s_openapi::api::scheduling::v1::PriorityClass;
use kube::Api;
use kube::api::PostParams;
use oms_operator::api::{self, ClusterConnection, Phase};
use oms_operator::dev::crds;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::release::{Place, bare};
use crate::world::{OMS_SECRET, Setup, World, eventually};

async fn create<K>(objects: Api<K>, manifest: Value)
where
    K: Clone + DeserializeOwned + serde::Serialize + std::fmt::Debug,
{
    objects.create(&PostParams::default(), &serde_json::from_value(manifest).unwrap()).await.unwrap();
}

/// The keys for OMS, in another namespace.
fn keys(world: &World) -> Value {
    json!({
        "metadata": { "name": OMS_SECRET },
        "stringData": { "accessKey": world.oms_keys.access, "secretKey": world.oms_keys.secret },
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_users_add_is_in_the_pods_and_reaches_the_process() {
    let world = bare(Setup::default()).await;
    let place = Place::new(&world, "oms-system").await;
    let (client, namespace) = (world.client.clone(), &place.namespace);
    create(
        Api::<PriorityClass>::all(client.clone()),
        json!({ "metadata": { "name": "high" }, "value": 1000 }),
    )
    .await;
    let variables = json!({ "metadata": { "name": "more" }, "data": { "FROM_MAP": "a map" } });
    create(Api::<ConfigMap>::namespaced(client.clone(), namespace), variables).await;
    let token = json!({ "metadata": { "name": "token" }, "stringData": { "token": "who I am" } });
    create(Api::<Secret>::namespaced(client, namespace), token).await;

    let nodes = json!([{ "matchExpressions": [{ "key": "disk", "operator": "Exists" }] }]);
    let affinity = json!({ "nodeAffinity": { "requiredDuringSchedulingIgnoredDuringExecution": { "nodeSelectorTerms": nodes } } });
    let spread = json!({ "maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway" });
    let values = json!({
        "fullnameOverride": "mover",
        "commonLabels": { "team": "storage" },
        "image": { "pullPolicy": "Always" },
        "imagePullSecrets": [{ "name": "registry" }],
        "serviceAccount": { "name": "who", "annotations": { "identity": "provider" } },
        "metrics": { "port": 9090 },
        "resources": { "requests": { "cpu": "10m", "memory": "32Mi" } },
        "livenessProbe": { "periodSeconds": 7 },
        "readinessProbe": { "periodSeconds": 3 },
        "terminationGracePeriodSeconds": 40,
        "priorityClassName": "high",
        "nodeSelector": { "disk": "ssd" },
        "tolerations": [{ "key": "storage", "operator": "Exists" }],
        "affinity": affinity,
        "topologySpreadConstraints": [spread],
        "deploymentAnnotations": { "of": "deployment" },
        "podAnnotations": { "of": "pod" },
        "podLabels": { "tier": "control" },
        "hostAliases": [{ "ip": "10.0.0.7", "hostnames": ["oms.internal.example"] }],
        "extraArgs": ["--ready-file=/scratch/ready"],
        "extraEnv": [{ "name": "TOKEN_FILE", "value": "/tokens/token" }],
        "extraEnvFrom": [{ "configMapRef": { "name": "more" } }],
        "extraVolumes": [
            { "name": "scratch", "emptyDir": {} },
            { "name": "tokens", "secret": { "secretName": "token" } },
        ],
        "extraVolumeMounts": [
            { "name": "scratch", "mountPath": "/scratch" },
            { "name": "tokens", "mountPath": "/tokens", "readOnly": true },
        ],
    });
    place.deploy_values("install", "oms", &values).await;

    let deployment = place.object("deployment", "mover").await;
    assert_eq!(deployment["metadata"]["annotations"]["of"], "deployment");
    assert_eq!(
        place.object("serviceaccount", "who").await["metadata"]["annotations"]["identity"],
        "provider"
    );
    let pods = place.pods().await;
    assert_eq!(pods.len(), 2);
    for name in pods.keys() {
        let pod = place.object("pod", name).await;
        for kind in ["team", "tier"] {
            assert_eq!(pod["metadata"]["labels"][kind], if kind == "team" { "storage" } else { "control" });
        }
        assert_eq!(pod["metadata"]["annotations"]["of"], "pod");
        let spec = &pod["spec"];
        for (member, wanted) in [
            ("serviceAccountName", &json!("who")),
            ("imagePullSecrets", &json!([{ "name": "registry" }])),
            ("terminationGracePeriodSeconds", &json!(40)),
            ("priorityClassName", &json!("high")),
            // From its class, by the API server.
            ("priority", &json!(1000)),
            ("nodeSelector", &json!({ "disk": "ssd" })),
            ("affinity", &affinity),
            ("hostAliases", &values["hostAliases"]),
        ] {
            assert_eq!(&spec[member], wanted, "{member}");
        }
        // A constraint counts the pods of its release without being told.
        let counted = &spec["topologySpreadConstraints"][0]["labelSelector"]["matchLabels"];
        assert_eq!(counted["app.kubernetes.io/instance"], "oms");
        let tolerations = spec["tolerations"].as_array().unwrap();
        assert!(tolerations.contains(&values["tolerations"][0]), "{tolerations:?}");
        let container = &spec["containers"][0];
        assert_eq!(container["imagePullPolicy"], "Always");
        assert_eq!(container["resources"]["requests"], values["resources"]["requests"]);
        // A limit that is not named stays.
        assert!(container["resources"]["limits"]["memory"].is_string());
        assert_eq!(container["ports"][0]["containerPort"], 9090);
        assert_eq!(container["livenessProbe"]["periodSeconds"], 7);
        assert_eq!(container["readinessProbe"]["periodSeconds"], 3);
    }
    for environment in place.environments() {
        assert_eq!(environment["FROM_MAP"], "a map");
        assert_eq!(std::fs::read_to_string(&environment["TOKEN_FILE"]).unwrap(), "who I am");
    }
    eventually("the one that works has written into its volume", async || {
        let ready: Vec<_> = place
            .arguments()
            .iter()
            .flatten()
            .filter_map(|argument| argument.strip_prefix("--ready-file=").map(str::to_owned))
            .collect();
        assert_eq!(ready.len(), 2);
        if ready.iter().any(|file| std::fs::metadata(file).is_ok()) {
            Ok(())
        } else {
            Err(format!("{ready:?}"))
        }
    })
    .await;
    world.connect().await;
    world.put_objects(1).await;
    world.migration("photos").apply().await.wait_phase(Phase::Succeeded).await;
}

/// A ClusterConnection for the test's namespace.
async fn share(world: &World, name: &str, credentials: Value) {
    let mut manifest = world.connection_manifest();
    manifest["kind"] = json!("ClusterConnection");
    manifest["metadata"]["name"] = json!(name);
    manifest["spec"]["allowedNamespaces"] = json!({ "names": [world.namespace] });
    manifest["spec"]["credentials"] = credentials;
    create(Api::<ClusterConnection>::all(world.client.clone()), manifest).await;
}

async fn wait_shared(world: &World, name: &str, reason: &str) {
    let connections = Api::<ClusterConnection>::all(world.client.clone());
    eventually(&format!("ClusterConnection {name} says {reason}"), async || {
        let status = connections.get(name).await.unwrap().status.unwrap_or_default();
        let told = status.conditions.iter().any(|condition| condition.reason == reason);
        if told { Ok(()) } else { Err(format!("{:?}", status.conditions)) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_settings_of_the_chart_are_those_of_the_operator() {
    let world = bare(Setup::default()).await;
    let place = Place::new(&world, "oms-system").await;
    create(Api::<Namespace>::all(world.client.clone()), json!({ "metadata": { "name": "keys" } })).await;
    create(Api::<Secret>::namespaced(world.client.clone(), "keys"), keys(&world)).await;
    let mut values = json!({
        "replicaCount": 1,
        "strategy": { "type": "Recreate" },
        "metrics": { "perObject": true },
        "config": {
            "clusterResourceNamespace": "keys",
            "defaultDeletionPolicy": "Orphan",
            "ambientCredentials": "none",
            "metadataEndpoint": "off",
            "stsEndpoint": "https://sts.example.com",
            "concurrency": 3,
            "logFormat": "text",
        },
    });
    place.deploy_values("install", "oms", &values).await;
    for argument in [
        "--metadata-endpoint=off",
        "--sts-endpoint=https://sts.example.com",
        "--concurrency=3",
        "--per-object-metrics=true",
    ] {
        assert!(place.arguments()[0].contains(&argument.to_owned()), "{argument}");
    }
    share(&world, "company", json!({ "secretRef": { "name": OMS_SECRET } })).await;
    wait_shared(&world, "company", "Connected").await;
    share(&world, "ambient", json!({ "source": "Ambient" })).await;
    wait_shared(&world, "ambient", "AmbientCredentialsNotAllowed").await;

    world.connect().await;
    world.put_objects(1).await;
    let task = world.migration("photos").apply().await;
    task.wait_phase(Phase::Succeeded).await;
    task.delete().await;
    task.wait_gone().await;
    assert_eq!(world.remote_tasks().await.len(), 1, "an orphan stays at OMS");
    let former = place.pods().await.into_keys().next().unwrap();
    let log = place.log(&former);
    assert!(log.contains("DEBUG") && log.lines().all(|line| !line.starts_with('{')), "{log}");

    values["config"]["paused"] = json!(true);
    place.deploy_values("upgrade", "oms", &values).await;
    let paused = world.migration("later").with("/destination/prefix", "later/").apply().await;
    paused.wait_condition("Paused", "True", "Paused").await;
    assert_eq!(place.object("deployment", "oms-oms-operator").await["spec"]["strategy"], values["strategy"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_runs_alone_with_an_account_and_rights_that_others_made() {
    let world = bare(Setup::default()).await;
    let place = Place::new(&world, "oms-system").await;
    // Definitions that go with their release.
    let passing = ["crds.keep=false", "replicaCount=1", "leaderElection.enabled=false"];
    let passing: Vec<_> = passing.into_iter().flat_map(|value| ["--set", value]).collect();
    place.deploy("install", "passing", &passing).await;
    place.helm(&["uninstall", "passing", "--wait"]).await;
    place.wait_empty().await;
    let (found, told) = world.try_kubectl(&["get", "crd", "migrationtasks.oms-operator.io"], "").await;
    assert!(!found && told.contains("NotFound"), "{told}");

    crds::install(&world.client, &api::crds()).await.unwrap();
    let accounts = Api::<ServiceAccount>::namespaced(world.client.clone(), &place.namespace);
    create(accounts, json!({ "metadata": { "name": "existing" } })).await;
    let role =
        json!({ "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin" });
    let subjects = json!([{ "kind": "ServiceAccount", "name": "existing", "namespace": place.namespace }]);
    let binding = json!({ "metadata": { "name": "by-others" }, "roleRef": role, "subjects": subjects });
    create(Api::<ClusterRoleBinding>::all(world.client.clone()), binding).await;
    let values = json!({
        "nameOverride": "mover",
        "replicaCount": 1,
        "crds": { "install": false },
        "leaderElection": { "enabled": false },
        "serviceAccount": { "create": false, "name": "existing" },
        "rbac": { "create": false, "aggregateToUserRoles": false },
        "metrics": { "service": { "enabled": false } },
        "podDisruptionBudget": { "enabled": false },
        "networkPolicy": { "enabled": true },
    });
    place.deploy_values("install", "oms", &values).await;
    world.connect().await;
    world.put_objects(1).await;
    world.migration("photos").apply().await.wait_phase(Phase::Succeeded).await;

    let own = ["-l", "app.kubernetes.io/instance=oms", "-o", "name"];
    let everything = "deployment,service,serviceaccount,networkpolicy,poddisruptionbudget,role,rolebinding,lease,\
                      clusterrole,clusterrolebinding";
    let made = [&["--namespace", &place.namespace, "get", everything], &own[..]].concat();
    let made = world.kubectl(&made).await;
    let made: Vec<_> = made.lines().collect();
    assert_eq!(made, ["deployment.apps/oms-mover", "networkpolicy.networking.k8s.io/oms-mover"]);
    let leases = world.kubectl(&["--namespace", &place.namespace, "get", "leases", "-o", "name"]).await;
    assert_eq!(leases.trim(), "", "who is alone elects nobody");
}
