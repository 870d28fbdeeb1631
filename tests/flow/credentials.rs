//! Whom the operator calls OMS as: every source runs a real migration, and what it gave ends in the middle of it.

use kube::Api;
use kube::api::{Patch, PatchParams};
use oms_operator::api::{ClusterConnection, Connection, ConnectionStatus, MigrationTask, Phase};
use oms_operator::dev::ControlPlane;
use serde_json::{Value, json};

use crate::migration::{condition, message};
use crate::operator::OperatorFlags;
use crate::world::{
    CONNECTION, DESTINATION_SECRET, OMS_SECRET, SOURCE_SECRET, Setup, USER, World, eventually, oms_dev,
};

const PROVIDER: &str = "iam::example-company:oidc-provider:cluster";
const AGENCY: &str = "iam::example-company:agency:oms";
const ID_TOKEN: &str = "planted-identity-token-of-the-operator";
const NEXT_ID_TOKEN: &str = "planted-next-identity-token-of-the-operator";
const AGENT_TOKEN: &str = "planted-token-for-the-pod-identity-agent";

/// How long what a source gives holds in these tests, in seconds: several times shorter than a run.
const SHORT: u64 = 4;

/// Objects of a migration, and how many of them are copied in a second.
const OBJECTS: usize = 48;
const RATE: f64 = 4.0;

/// A world whose migrations take 12 seconds, with an emulator that knows our tokens. No operator runs yet. `identity` are further
/// members of the emulator's `identity`.
fn slow(identity: Value) -> Setup {
    let mut known = json!({
        "agencies": [{ "name": "oms", "domain": "example-company" }],
        "oidcProviders": [
            { "providerUrn": PROVIDER, "agencyUrn": AGENCY, "idTokens": [ID_TOKEN, NEXT_ID_TOKEN] },
        ],
    });
    known.as_object_mut().unwrap().extend(identity.as_object().unwrap().clone());
    Setup::default()
        .behaving("objectRate", RATE)
        .unconnected()
        .unoperated()
        .configured("identity", known)
        .configured("metadata", json!({ "podIdentityTokens": [AGENT_TOKEN] }))
}

/// A source around the operator.
#[derive(Clone, Copy, PartialEq)]
enum Around {
    Oidc,
    PodIdentity,
    Metadata,
}

/// Flags and environment of an operator that has this source and no other.
fn flags(world: &World, around: Option<Around>) -> OperatorFlags {
    let endpoints = world.emulator.endpoints();
    let file = |name: &str, token: &str| {
        let path = world.folder().join(name);
        std::fs::write(&path, format!("{token}\n")).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let metadata = if around == Some(Around::Metadata) { &*endpoints.metadata } else { "off" };
    let flags = OperatorFlags::default()
        .with(format!("--metadata-endpoint={metadata}"))
        .with(format!("--sts-endpoint={}", endpoints.sts));
    match around {
        Some(Around::Oidc) => flags
            .knowing("HUAWEICLOUD_OIDC_PROVIDER_URN", PROVIDER)
            .knowing("HUAWEICLOUD_OIDC_AGENCY_URN", AGENCY)
            .knowing("HUAWEICLOUD_OIDC_TOKEN_FILE", file("id-token", ID_TOKEN)),
        Some(Around::PodIdentity) => flags
            .knowing("HC_CONTAINER_CREDENTIALS_FULL_URI", endpoints.pod_identity.clone())
            .knowing("HC_CONTAINER_AUTHORIZATION_TOKEN_FILE", file("agent-token", AGENT_TOKEN)),
        _ => flags,
    }
}

/// The Secrets of source, destination and login.
async fn write_secrets(world: &World) {
    for (name, keys) in [(SOURCE_SECRET, &world.source_keys), (DESTINATION_SECRET, &world.destination_keys)] {
        world.secret(name, &[("accessKey", &keys.access), ("secretKey", &keys.secret)]).await;
    }
    write_login(world).await;
}

async fn write_login(world: &World) {
    let (name, domain) = USER;
    let password = world.oms_keys.secret.as_str();
    world.secret(OMS_SECRET, &[("username", name), ("password", password), ("domainName", domain)]).await;
}

/// A connection without a project ID, so that it is looked up.
fn manifest(world: &World, credentials: Value) -> Value {
    let mut manifest = world.connection_manifest();
    manifest["spec"].as_object_mut().unwrap().remove("projectId");
    manifest["spec"]["iamEndpoint"] = json!(world.emulator.endpoints().iam);
    manifest["spec"]["credentials"] = credentials;
    manifest
}

fn login() -> Value {
    json!({ "secretRef": { "name": OMS_SECRET } })
}

/// Starts an operator and a migration that runs.
async fn migrate(world: &mut World, flags: &OperatorFlags, credentials: Value) {
    world.start_operator(flags).await;
    world.put_objects(OBJECTS).await;
    write_secrets(world).await;
    world.apply::<Connection>(manifest(world, credentials)).await;
    world.migration("photos").apply().await.wait_condition("Ready", "False", "Running").await;
}

async fn connection(world: &World) -> ConnectionStatus {
    world.api::<Connection>().get(CONNECTION).await.unwrap().status.unwrap()
}

/// Waits until a Connection's credentials hold longer than `before`.
async fn wait_renewed(world: &World, before: &ConnectionStatus) -> ConnectionStatus {
    let until =
        |status: &ConnectionStatus| status.credentials.as_ref().and_then(|told| told.valid_until.clone());
    eventually("the credentials hold longer", async || {
        let now = connection(world).await;
        if until(&now).map(|at| at.0) > until(before).map(|at| at.0) {
            Ok(now)
        } else {
            Err(format!("{now:#?}"))
        }
    })
    .await
}

/// Waits until a source was asked so often.
async fn wait_asked(world: &World, operation: &str, times: usize) {
    eventually(&format!("{operation} was called {times} times"), async || {
        let calls = world.journal(operation).await;
        if calls.len() >= times { Ok(()) } else { Err(format!("{calls:#?}")) }
    })
    .await;
}

/// The migration succeeds with every object, as one task that never had anything to do with the credentials.
async fn assert_succeeds(world: &World) -> MigrationTask {
    let done = world.existing("photos").wait_phase(Phase::Succeeded).await;
    let created = world.effects("CreateTask").await;
    assert_eq!(created.len(), 1, "{created:#?}");
    let status = done.status.as_ref().unwrap();
    assert_eq!(status.failure, None);
    let copied = world.destination_bucket("photos-archive").keys().await.unwrap();
    assert_eq!(copied.iter().filter(|key| !key.starts_with("oms/")).count(), OBJECTS);
    done
}

/// No event told of trouble with the connection or of a failure of the task.
async fn assert_untroubled(world: &World) {
    for name in [CONNECTION, "photos"] {
        for event in world.events(name).await {
            let trouble = ["Credentials", "ConnectionNotReady", "Failed", "Refused", "EndpointUnreachable"];
            assert!(!trouble.iter().any(|word| event.starts_with(word)), "{event}");
        }
    }
}

/// Calls to OMS that the gateway refused.
async fn refused(world: &World) -> usize {
    world.journal("*").await.iter().filter(|entry| entry["status"] == 401).count()
}

/// A migration during which what the source gives ends several times by itself.
async fn outlives_what_its_source_gives(around: Option<Around>, source: &str, asks: &str) {
    let short = json!({ "tokenLifetimeSeconds": SHORT, "temporaryKeyLifetimeSeconds": SHORT });
    let mut world = slow(short).start().await;
    let flags = flags(&world, around).with("--ambient-credentials=all");
    let credentials = match source {
        "Token" => login(),
        ambient => json!({ "source": ambient }),
    };
    migrate(&mut world, &flags, credentials).await;
    let first = connection(&world).await;
    let told = first.credentials.as_ref().unwrap();
    assert_eq!(told.source, source);
    assert_eq!(told.secret_name.as_deref(), (source == "Token").then_some(OMS_SECRET));
    assert_eq!(first.project_id.as_deref(), Some(crate::world::PROJECT));
    let second = wait_renewed(&world, &first).await;
    wait_renewed(&world, &second).await;
    assert_succeeds(&world).await;
    assert!(world.journal(asks).await.len() >= 3, "{:#?}", world.journal(asks).await);
    assert_eq!(refused(&world).await, 0, "renewed before the end");
    assert_untroubled(&world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_migration_outlives_several_tokens() {
    outlives_what_its_source_gives(None, "Token", "KeystoneCreateUserTokenByPassword").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_migration_outlives_several_keys_of_the_pod_identity_agent() {
    outlives_what_its_source_gives(Some(Around::PodIdentity), "PodIdentity", "CreatePodCredentials").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_migration_outlives_several_keys_of_the_metadata_service() {
    outlives_what_its_source_gives(Some(Around::Metadata), "Metadata", "ShowSecurityKey").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_is_revoked_in_the_middle_of_a_run_is_replaced_unnoticed() {
    let mut world = slow(json!({})).start().await;
    let flags = flags(&world, None);
    migrate(&mut world, &flags, login()).await;
    for logins in [2, 3] {
        world.tell_emulator("/tokens/revoke", json!({})).await;
        wait_asked(&world, "KeystoneCreateUserTokenByPassword", logins).await;
    }
    assert!(refused(&world).await >= 1, "the gateway refused it");
    assert_succeeds(&world).await;
    assert_untroubled(&world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_for_an_oidc_token_that_end_in_the_middle_of_a_run_are_replaced_with_the_token_of_that_moment() {
    let mut world = slow(json!({})).start().await;
    let flags = flags(&world, Some(Around::Oidc)).with("--ambient-credentials=all");
    migrate(&mut world, &flags, json!({ "source": "Ambient" })).await;
    let before = connection(&world).await;
    let told = before.credentials.as_ref().unwrap();
    assert_eq!(told.source, "OIDC", "the first that is set up");
    let left = told.valid_until.as_ref().unwrap().0.duration_since(jiff::Timestamp::now());
    assert!((3500..=3600).contains(&left.as_secs()), "STS gives them for an hour: {left}");
    // STS gives nothing for less than a quarter of an hour, so somebody ends them.
    for (asked, id_token) in [(2, NEXT_ID_TOKEN), (3, ID_TOKEN)] {
        std::fs::write(world.folder().join("id-token"), id_token).unwrap();
        world.tell_emulator("/temporary-keys/expire", json!({})).await;
        wait_asked(&world, "AssumeAgencyWithOIDC", asked).await;
    }
    assert!(refused(&world).await >= 2, "the gateway refused them");
    assert_succeeds(&world).await;
    assert_untroubled(&world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_iam_that_is_down_when_the_token_ends_makes_everybody_wait_and_nothing_fail() {
    let mut world = slow(json!({ "tokenLifetimeSeconds": SHORT })).start().await;
    // Tries again ten times as often.
    let flags = flags(&world, None).scaled(10);
    migrate(&mut world, &flags, login()).await;
    world
        .fault(json!({
            "operation": "KeystoneCreateUserTokenByPassword", "kind": "status", "status": 503,
            "code": "IAM.0000", "message": "Service unavailable",
        }))
        .await;
    let down = world.wait_connection(CONNECTION, "False", "CredentialsUnavailable").await;
    let told = down.status.unwrap();
    let ready = told.conditions.iter().find(|condition| condition.type_ == "Ready").unwrap();
    assert!(ready.message.starts_with("No credentials for OMS: IAM answered"), "{}", ready.message);
    let blind =
        world.existing("photos").wait_condition("ConnectionReady", "False", "ConnectionNotReady").await;
    assert_eq!(condition(&blind, "Stalled"), None);
    assert_eq!(blind.status.as_ref().unwrap().failure, None);
    world.clear_faults().await;
    world.wait_connection(CONNECTION, "True", "Connected").await;
    assert_succeeds(&world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_that_no_longer_works_is_told_and_a_corrected_secret_tried_at_once() {
    let mut world = slow(json!({ "tokenLifetimeSeconds": SHORT })).start().await;
    let flags = flags(&world, None);
    migrate(&mut world, &flags, login()).await;
    let wrong = "planted-password-of-yesterday";
    let (name, domain) = USER;
    world.secret(OMS_SECRET, &[("username", name), ("password", wrong), ("domainName", domain)]).await;
    let refused = world.wait_connection(CONNECTION, "False", "CredentialsRejected").await;
    let told = serde_json::to_string(&refused.status).unwrap();
    assert!(told.contains("Correct the user name, password or domain name"), "{told}");
    assert!(!told.contains("planted"), "{told}");
    let logins = world.journal("KeystoneCreateUserTokenByPassword").await.len();
    world.let_polls_pass(8).await;
    let later = world.journal("KeystoneCreateUserTokenByPassword").await.len();
    assert_eq!(logins, later, "IAM locks who fails too often");
    write_login(&world).await;
    world.wait_connection(CONNECTION, "True", "Connected").await;
    assert_succeeds(&world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_destination_needs_keys_of_its_own_where_the_connection_has_a_token() {
    let mut world = slow(json!({})).start().await;
    let flags = flags(&world, None);
    world.start_operator(&flags).await;
    write_secrets(&world).await;
    world.put_objects(1).await;
    world.apply::<Connection>(manifest(&world, login())).await;
    let migration = world.migration("photos").without("/destination/credentials").apply().await;
    let waiting = migration.wait_condition("Ready", "False", "SecretKeyMissing").await;
    assert!(message(&waiting, "Ready").contains("Set `destination.credentials.secretRef`"));
    migration
        .patch(json!({ "spec": { "destination": { "credentials": { "secretRef": { "name": DESTINATION_SECRET } } } } }))
        .await;
    migration.wait_phase(Phase::Succeeded).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_may_not_use_the_credentials_around_the_operator() {
    let mut world = slow(json!({})).start().await;
    let flags = flags(&world, Some(Around::Metadata));
    world.start_operator(&flags).await;
    world.apply::<Connection>(manifest(&world, json!({ "source": "Metadata" }))).await;
    let refused = world.wait_connection(CONNECTION, "False", "AmbientCredentialsNotAllowed").await;
    let status = refused.status.unwrap();
    let stalled = status.conditions.iter().find(|condition| condition.type_ == "Stalled").unwrap();
    assert!(stalled.message.contains("Name a Secret in `spec.credentials.secretRef`"), "{}", stalled.message);
    assert!(stalled.message.contains("`--ambient-credentials=all`"), "{}", stalled.message);
    assert_eq!(world.journal("*").await, Vec::<Value>::new(), "nothing was asked of anybody");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_connection_uses_the_nodes_keys_and_the_refusal_of_everybody_is_a_flag_too() {
    // ClusterConnections belong to an operator that watches every namespace, so it gets an API server of its own.
    let plane = tokio::task::spawn_blocking(|| ControlPlane::start(oms_dev())).await.unwrap().unwrap();
    let mut setup = slow(json!({})).behaving("objectRate", 100.0);
    setup.plane = Some(Box::leak(Box::new(plane)));
    let mut world = setup.start().await;
    let everywhere = OperatorFlags { everywhere: true, ..flags(&world, Some(Around::Metadata)) };
    world.start_operator(&everywhere).await;
    world.put_objects(3).await;
    write_secrets(&world).await;
    let mut node = manifest(&world, json!({ "source": "Ambient" }));
    node["kind"] = json!("ClusterConnection");
    node["spec"]["allowedNamespaces"] = json!({ "names": [world.namespace] });
    let connections = Api::<ClusterConnection>::all(world.client.clone());
    let apply = PatchParams::apply("flow-test").force();
    connections.patch(CONNECTION, &apply, &Patch::Apply(&node)).await.unwrap();
    world.migration("photos").apply().await.wait_phase(Phase::Succeeded).await;
    let status = connections.get(CONNECTION).await.unwrap().status.unwrap();
    let told = status.credentials.unwrap();
    assert_eq!((told.source.as_str(), told.secret_name), ("Metadata", None));
    assert!(told.valid_until.is_some());
    assert!(world.journal("KeystoneListProjects").await.is_empty(), "the node knows its project");

    world.operator().kill();
    world.start_operator(&everywhere.with("--ambient-credentials=none")).await;
    eventually("the ClusterConnection is told", async || {
        let status = connections.get(CONNECTION).await.unwrap().status.unwrap();
        let ready = status.conditions.into_iter().find(|condition| condition.type_ == "Ready").unwrap();
        if ready.reason == "AmbientCredentialsNotAllowed" { Ok(()) } else { Err(format!("{ready:?}")) }
    })
    .await;
}
