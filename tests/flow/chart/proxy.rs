//! Which hosts are called, and through what: the allow-list of endpoints and the proxy, as an install has them.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use oms_operator::api::{Connection, Phase};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::release::{Place, bare, service_host};
use crate::world::{Setup, World, eventually};

/// A host that has no address: only a proxy knows the way.
const HOST: &str = "oms.internal.example";

/// An HTTP proxy that leads every plain request to OMS, and refuses tunnels.
struct Proxy {
    url: String,
    /// Method and host of the first request of each connection.
    asked: Arc<Mutex<BTreeSet<String>>>,
    _serving: JoinSet<()>,
}

impl Proxy {
    async fn start(world: &World) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let service = world.emulator.endpoints().oms.trim_start_matches("http://").to_owned();
        let asked = Arc::<Mutex<BTreeSet<String>>>::default();
        let notes = Arc::clone(&asked);
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut callers = JoinSet::new();
            while let Ok((caller, _)) = listener.accept().await {
                callers.spawn(lead(caller, service.clone(), Arc::clone(&notes)));
            }
        });
        Self { url, asked, _serving: serving }
    }

    fn asked(&self) -> BTreeSet<String> {
        self.asked.lock().unwrap().clone()
    }
}

async fn lead(mut caller: TcpStream, service: String, notes: Arc<Mutex<BTreeSet<String>>>) {
    let mut request = vec![0; 64 * 1024];
    let Ok(length) = caller.read(&mut request).await else { return };
    request.truncate(length);
    let text = String::from_utf8_lossy(&request).into_owned();
    let mut words = text.split_whitespace();
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let host = target.trim_start_matches("http://").split('/').next().unwrap_or_default();
    let tunnel = method == "CONNECT";
    notes.lock().unwrap().insert(format!("{} {host}", if tunnel { "tunnel to" } else { "plain to" }));
    if tunnel {
        let _ = caller.write_all(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n").await;
        return;
    }
    if let Ok(mut oms) = TcpStream::connect(service).await
        && oms.write_all(&request).await.is_ok()
    {
        let _ = tokio::io::copy_bidirectional(&mut caller, &mut oms).await;
    }
}

/// A Connection to an endpoint.
async fn connect(world: &World, name: &str, endpoint: &str) {
    let mut manifest = world.connection_manifest();
    manifest["metadata"]["name"] = json!(name);
    manifest["spec"]["endpoint"] = json!(endpoint);
    world.apply::<Connection>(manifest).await;
}

fn message(connection: &Connection) -> String {
    let conditions = &connection.status.as_ref().unwrap().conditions;
    conditions.iter().find(|condition| condition.type_ == "Ready").unwrap().message.clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn oms_is_called_through_the_proxy_and_the_api_server_is_not() {
    let world = bare(Setup::default()).await;
    let place = Place::new(&world, "oms-system").await;
    let proxy = Proxy::start(&world).await;
    let values = [
        format!("proxy.http={}", proxy.url),
        format!("proxy.https={}", proxy.url),
        "proxy.noProxy={10.0.0.0/8,.internal.example.org}".into(),
        // Beside 127.0.0.1, which all the tests of the chart allow. Keys travel in the open there.
        format!("config.allowedEndpoints[1]=http://{HOST}:8080"),
        format!("config.allowedEndpoints[2]={HOST}"),
    ];
    let values: Vec<&str> = values.iter().flat_map(|value| ["--set", value]).collect();
    place.deploy("install", "oms", &values).await;
    let host = service_host(&world);
    for environment in place.environments() {
        for name in ["HTTP_PROXY", "HTTPS_PROXY"] {
            assert_eq!(environment[name], proxy.url, "{name}");
        }
        let around = format!("{host},.svc,.cluster.local,10.0.0.0/8,.internal.example.org");
        assert_eq!(environment["NO_PROXY"], around);
    }

    world.write_secrets().await;
    world.put_objects(2).await;
    let plain = format!("http://{HOST}:8080");
    connect(&world, "default", &plain).await;
    world.wait_connection("default", "True", "Connected").await;
    world.migration("photos").apply().await.wait_phase(Phase::Succeeded).await;
    connect(&world, "encrypted", &format!("https://{HOST}")).await;
    world.wait_connection("encrypted", "False", "EndpointUnreachable").await;
    // The API server was asked all the time, and not a single time through the proxy.
    let wanted = [format!("plain to {HOST}:8080"), format!("tunnel to {HOST}:443")];
    assert_eq!(proxy.asked(), wanted.into());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_to_a_host_that_the_chart_does_not_allow_is_refused_until_it_does() {
    let world = bare(Setup::default()).await;
    let place = Place::new(&world, "oms-system").await;
    let proxy = Proxy::start(&world).await;
    let proxied = format!("proxy.http={}", proxy.url);
    let single = ["--set", &proxied, "--set", "replicaCount=1"];
    place.deploy("install", "oms", &single).await;
    world.write_secrets().await;
    connect(&world, "elsewhere", &format!("http://{HOST}:8080")).await;
    let refused = world.wait_connection("elsewhere", "False", "EndpointNotAllowed").await;
    let told = message(&refused);
    for word in [HOST, "`spec.endpoint`", "administrator", "--allowed-endpoint"] {
        assert!(told.contains(word), "{word}: {told}");
    }
    assert_eq!(proxy.asked(), BTreeSet::new(), "nobody was called");

    let allowed = format!("config.allowedEndpoints[1]=http://{HOST}:8080");
    place.deploy("upgrade", "oms", &[&single[..], &["--set", &allowed]].concat()).await;
    let told = eventually("the connection is ready under the new list", async || {
        let found = world.api::<Connection>().get("elsewhere").await.unwrap();
        let told = message(&found);
        let ready = found.status.unwrap().conditions.iter().any(|c| c.type_ == "Ready" && c.status == "True");
        if ready { Ok(told) } else { Err(told) }
    })
    .await;
    assert!(!told.contains("may not be called"), "{told}");
}
