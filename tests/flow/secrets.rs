//! Keys stay where they are: planted ones are found nowhere.

use std::io::Write;
use std::sync::{Arc, Mutex};

use oms_operator::api::{Connection, Phase};
use serde_json::json;

use crate::operator::OperatorFlags;
use crate::traces::Collector;
use crate::world::{Setup, USER, World, eventually};

/// What the emulator logs in this process.
#[derive(Clone, Default)]
struct EmulatorLog(Arc<Mutex<Vec<u8>>>);

impl Write for EmulatorLog {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl EmulatorLog {
    fn start() -> Self {
        let log = Self::default();
        let writer = log.clone();
        tracing_subscriber::fmt()
            .with_env_filter("oms_operator=trace")
            .with_writer(move || writer.clone())
            .init();
        log
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

const TOKEN: &str = "planted-security-token-of-the-source";
const WRONG_SECRET: &str = "planted-wrong-secret-of-a-connection";
const WRONG_TOKEN: &str = "planted-wrong-token-of-a-connection";
const WRONG_PASSWORD: &str = "planted-wrong-password-of-a-user";
const CDN_KEY: &str = "planted-key-of-a-cdn";
const CONNECTION_STRING: &str = "DefaultEndpointsProtocol=https;AccountKey=planted-azure-account-key";

/// Whatever must be found nowhere, as it is and as Secrets hold it.
fn planted(world: &World) -> Vec<String> {
    let keys = [&world.oms_keys, &world.source_keys, &world.destination_keys];
    let mut planted: Vec<String> = keys.iter().map(|keys| keys.secret.clone()).collect();
    planted.extend(keys.iter().map(|keys| keys.access.clone()));
    planted.extend(
        [TOKEN, WRONG_SECRET, WRONG_TOKEN, WRONG_PASSWORD, CDN_KEY, "planted-azure-account-key"]
            .map(str::to_owned),
    );
    let encoded: Vec<_> = planted.iter().map(|text| data_encoding::BASE64.encode(text.as_bytes())).collect();
    planted.extend(encoded);
    planted
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn planted_keys_are_found_nowhere() {
    let emulator_log = EmulatorLog::start();
    let collector = Collector::start().await;
    let flags = OperatorFlags { log: "trace", ..collector.traced() };
    let world = Setup::default().operated(flags).start().await;
    world.put_objects(3).await;

    // What works, with keys of every role.
    let good = world.migration("good").apply().await;
    good.wait_phase(Phase::Succeeded).await;
    // Suspended and resumed: the keys are sent again.
    let (access, secret) = (&world.source_keys.access, &world.source_keys.secret);
    world
        .secret("temporary", &[("accessKey", access), ("secretKey", secret), ("securityToken", TOKEN)])
        .await;
    let temporary =
        world.migration("temporary").with("/source/credentials/secretRef/name", "temporary").apply().await;
    temporary
        .wait("has an ID", |task| task.status.as_ref().is_some_and(|status| status.task_id.is_some()))
        .await;
    // A CDN in front of the source.
    world.secret("cdn", &[("authenticationKey", CDN_KEY)]).await;
    let cdn = json!({
        "domain": "cdn.invalid", "protocol": "http", "authenticationType": "ALIYUN_OSS_A",
        "authenticationKey": { "secretRef": { "name": "cdn" } },
    });
    let cdn = world.migration("cdn").with("/source/cdn", cdn).apply().await;
    cdn.wait("has an ID", |task| task.status.as_ref().is_some_and(|status| status.task_id.is_some())).await;
    // Wrong keys of a bucket: what OMS says of them is told in status and events.
    world.secret("wrong", &[("accessKey", access), ("secretKey", WRONG_SECRET)]).await;
    let wrong = world.migration("wrong").with("/source/credentials/secretRef/name", "wrong").apply().await;
    wrong
        .wait("has failed", |task| task.status.as_ref().is_some_and(|status| status.failure.is_some()))
        .await;
    // Wrong keys of a connection: the gateway refuses the signature.
    let oms = &world.oms_keys.access;
    world
        .secret("refused", &[("accessKey", oms), ("secretKey", WRONG_SECRET), ("securityToken", WRONG_TOKEN)])
        .await;
    let mut refused = world.connection_manifest();
    refused["metadata"]["name"] = json!("refused");
    refused["spec"]["credentials"]["secretRef"]["name"] = json!("refused");
    world.apply::<Connection>(refused).await;
    world.wait_connection("refused", "False", "CredentialsRejected").await;
    // A login that works, and one that does not.
    let (name, domain) = USER;
    for (secret, password, status, reason) in [
        ("login", world.oms_keys.secret.as_str(), "True", "Connected"),
        ("locked-out", WRONG_PASSWORD, "False", "CredentialsRejected"),
    ] {
        world.secret(secret, &[("username", name), ("password", password), ("domainName", domain)]).await;
        let mut connection = world.connection_manifest();
        connection["metadata"]["name"] = json!(secret);
        connection["spec"]["iamEndpoint"] = json!(world.emulator.endpoints().iam);
        connection["spec"]["credentials"]["secretRef"]["name"] = json!(secret);
        world.apply::<Connection>(connection).await;
        world.wait_connection(secret, status, reason).await;
    }
    // A lost reply and a refused call go through the paths of errors.
    world.fault(json!({ "operation": "CreateTask", "kind": "lostReply", "times": 1 })).await;
    let lost = world.migration("lost").with("/destination/prefix", "lost/").apply().await;
    lost.wait_phase(Phase::Succeeded).await;
    // Another kind of keys.
    world.secret("azure", &[("connectionString", CONNECTION_STRING)]).await;
    let azure = world
        .migration("azure")
        .with("/source/cloudType", "Azure")
        .with("/source/region", "westeurope")
        .with("/source/credentials/secretRef/name", "azure")
        .apply()
        .await;
    azure
        .wait("was tried", |task| {
            task.status.as_ref().is_some_and(|status| status.task_id.is_some() || status.failure.is_some())
        })
        .await;
    good.delete().await;
    good.wait_gone().await;

    let operator = &world.operators[0];
    eventually("the last spans have come", async || {
        if collector.text().contains("DeleteTask") { Ok(()) } else { Err(String::new()) }
    })
    .await;
    let mut places = vec![
        ("the operator's log", operator.log()),
        ("/metrics", operator.get("/metrics").await.1),
        ("the emulator's log", emulator_log.text()),
        ("the journal", world.admin("/journal").await.to_string()),
        ("/state", world.admin("/state").await.to_string()),
        ("/faults", world.admin("/faults").await.to_string()),
    ];
    for kind in ["migrationtasks", "connections", "events", "events.events.k8s.io", "configmaps", "leases"] {
        let arguments = ["get", kind, "-o", "yaml", "--show-managed-fields"];
        places.push((kind, world.kubectl(&arguments).await));
    }
    assert!(places[0].1.contains("\"level\":\"TRACE\""), "the log is at trace level");
    assert!(places[3].1.contains("CreateTask") && places[4].1.contains("photos-archive"));
    let audit = crate::audit::lines(operator);
    assert!(audit.len() > 5 && audit.iter().any(|line| line["outcome"] == "lostReply"), "{audit:#?}");
    let spans = collector.text();
    assert!(
        spans.contains("pass MigrationTask") && spans.contains("CreateTask"),
        "traces are looked through too"
    );
    places.push(("the traces", spans));
    for planted in planted(&world) {
        for (place, text) in &places {
            if let Some(at) = text.find(&planted) {
                let line = text[..at].rfind('\n').map_or(0, |line| line + 1);
                let end = text[at..].find('\n').map_or(text.len(), |end| at + end);
                panic!("{planted:?} is in {place}: {}", &text[line..end]);
            }
        }
    }
}
