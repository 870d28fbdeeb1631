//! What users may do with the operator's kinds, through the roles that clusters have for them.

use k8s_openapi::api::authorization::v1::SubjectAccessReview;
use k8s_openapi::api::rbac::v1::{ClusterRoleBinding, RoleBinding};
use kube::Api;
use kube::api::PostParams;
use oms_operator::api::Phase;
use serde_json::{Value, json};

use super::release::{Place, bare};
use crate::world::{Setup, World, eventually};

const KINDS: [&str; 5] = ["migrationtasks", "taskgroups", "synctasks", "syncevents", "connections"];
const LOOK: [&str; 3] = ["get", "list", "watch"];
const CHANGE: [&str; 5] = ["create", "update", "patch", "delete", "deletecollection"];

/// Users by the role that each is bound to in the test's namespace: the cluster's own, and the chart's alone.
const USERS: [(&str, &str); 4] = [
    ("viewer", "view"),
    ("editor", "edit"),
    ("only-viewer", "oms-oms-operator-view"),
    ("only-editor", "oms-oms-operator-edit"),
];

async fn bind(world: &World) {
    let manifest = |kind: &str, user: &str, role: &str| {
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind, "metadata": { "name": user },
            "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role },
            "subjects": [{ "apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user }],
        })
    };
    for (user, role) in USERS {
        world.apply::<RoleBinding>(manifest("RoleBinding", user, role)).await;
    }
    let bindings = Api::<ClusterRoleBinding>::all(world.client.clone());
    let auditor = serde_json::from_value(manifest("ClusterRoleBinding", "auditor", "view")).unwrap();
    bindings.create(&PostParams::default(), &auditor).await.unwrap();
}

/// Whether the API server would allow it.
async fn may(world: &World, user: &str, verb: &str, resource: &str, namespace: &str) -> bool {
    let (resource, part) = resource.split_once('/').unwrap_or((resource, ""));
    let group = if resource == "secrets" { "" } else { "oms-operator.io" };
    let about = json!({
        "verb": verb, "group": group, "resource": resource, "subresource": part, "namespace": namespace,
    });
    let review: SubjectAccessReview = serde_json::from_value(
        json!({ "metadata": {}, "spec": { "user": user, "resourceAttributes": about } }),
    )
    .unwrap();
    let reviews = Api::<SubjectAccessReview>::all(world.client.clone());
    let answer = reviews.create(&PostParams::default(), &review).await.unwrap();
    answer.status.unwrap().allowed
}

/// The verbs that a user has.
async fn verbs(world: &World, user: &str, resource: &str, namespace: &str) -> Vec<&'static str> {
    let mut verbs = Vec::new();
    for verb in LOOK.into_iter().chain(CHANGE) {
        if may(world, user, verb, resource, namespace).await {
            verbs.push(verb);
        }
    }
    verbs
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_with_edit_migrate_those_with_view_look_and_neither_writes_status_or_sees_secrets() {
    let world = bare(Setup::default()).await;
    let place = Place::new(&world, "oms-system").await;
    place.deploy("install", "oms", &["--set", "replicaCount=1"]).await;
    bind(&world).await;
    let namespace = &world.namespace;
    eventually("the cluster's role `edit` includes the chart's", async || {
        let may = may(&world, "editor", "create", "migrationtasks", namespace).await;
        if may && self::may(&world, "viewer", "get", "migrationtasks", namespace).await {
            Ok(())
        } else {
            Err("not yet".to_owned())
        }
    })
    .await;
    for (user, role) in USERS {
        for kind in KINDS {
            let wanted: Vec<_> = match user {
                "viewer" | "only-viewer" => LOOK.to_vec(),
                "editor" => LOOK.into_iter().chain(CHANGE).collect(),
                _ => CHANGE.to_vec(),
            };
            let found = verbs(&world, user, kind, namespace).await;
            println!("{role:<22} {kind:<20} {}", found.join(" "));
            assert_eq!(found, wanted, "{user} {kind}");
            let status = verbs(&world, user, &format!("{kind}/status"), namespace).await;
            assert_eq!(status, Vec::<&str>::new(), "{user} {kind}/status");
        }
        // The cluster's own `edit` lets people see Secrets, and the chart has no part in that.
        if user != "editor" {
            assert_eq!(verbs(&world, user, "secrets", namespace).await, Vec::<&str>::new(), "{user}");
        }
        assert_eq!(verbs(&world, user, "clusterconnections", "").await, Vec::<&str>::new(), "{user}");
    }
    // Objects of the cluster are for administrators; who may look everywhere sees them.
    assert_eq!(verbs(&world, "auditor", "clusterconnections", "").await, LOOK);

    world.connect().await;
    world.put_objects(2).await;
    let manifest = world.migration("photos").manifest().to_string();
    let (applied, told) = world.try_kubectl(&["apply", "--as=viewer", "-f", "-"], &manifest).await;
    assert!(!applied && told.contains("forbidden"), "{told}");
    let (applied, told) = world.try_kubectl(&["apply", "--as=editor", "-f", "-"], &manifest).await;
    assert!(applied, "{told}");
    world.existing("photos").wait_phase(Phase::Succeeded).await;
    let seen = world.kubectl(&["get", "migrationtask", "photos", "--as=viewer"]).await;
    assert!(seen.contains("Succeeded"), "{seen}");
    let status = json!({ "status": { "phase": "Running" } });
    let suspended = json!({ "spec": { "suspend": true } });
    for (user, part, patch, allowed) in [
        ("viewer", &["--subresource=status"][..], &status, false),
        ("editor", &["--subresource=status"], &status, false),
        ("viewer", &[], &suspended, false),
        ("editor", &[], &suspended, true),
    ] {
        let (done, told) = try_patch(&world, user, part, patch).await;
        assert_eq!(done, allowed, "{user} {patch}: {told}");
        assert!(allowed || told.contains("forbidden"), "{told}");
    }
    world.kubectl(&["delete", "migrationtask", "photos", "--as=editor"]).await;
    world.existing("photos").wait_gone().await;
}

async fn try_patch(world: &World, user: &str, part: &[&str], patch: &Value) -> (bool, String) {
    let (user, patch) = (format!("--as={user}"), patch.to_string());
    let arguments =
        [&["patch", "migrationtask", "photos", &user, "--type=merge", "-p", &patch], part].concat();
    world.try_kubectl(&arguments, "").await
}
