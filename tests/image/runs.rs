//! The programs of the images at work: `amd64` in its own root file system, `arm64` on an emulated processor.

use std::fs;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::api::PostParams;
use kube::{Api, Client, ResourceExt as _};
use oms_operator::api::{self, Connection};
use oms_operator::dev::image::Architecture;
use oms_operator::dev::{ControlPlane, crds};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::root::{Operator, Root, surroundings};
use crate::tls::AUTHORITY;
use crate::untrusted::Server;
use crate::{LIMIT, eventually, oms_dev};

const CERTIFICATES: &str = "etc/ssl/certs/ca-certificates.crt";

#[test]
fn the_program_says_its_version_and_prints_its_definitions() {
    for architecture in Architecture::ALL {
        let root = Root::of(architecture);
        assert_eq!(root.output(&["--version"]), format!("oms-operator {}\n", env!("CARGO_PKG_VERSION")));
        assert!(root.output(&["crds"]) == api::crds_yaml(), "{architecture}: other definitions");
    }
}

/// A namespace on the real control plane.
struct Stage {
    plane: &'static ControlPlane,
    client: Client,
    namespace: String,
}

impl Stage {
    async fn new() -> Self {
        let plane = tokio::task::spawn_blocking(|| ControlPlane::shared(oms_dev())).await.unwrap().unwrap();
        let client = plane.client().await.unwrap();
        crds::install(&client, &api::crds()).await.unwrap();
        let mut namespace = Namespace::default();
        namespace.metadata.generate_name = Some("image-".to_owned());
        let namespaces = Api::all(client.clone());
        let namespace = namespaces.create(&PostParams::default(), &namespace).await.unwrap().name_any();
        Self { plane, client, namespace }
    }

    /// A Connection to an OMS at `url`, with keys.
    async fn connect(&self, url: &str) {
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "huawei" },
            "stringData": { "accessKey": "AK", "secretKey": "SK" },
        });
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), &self.namespace);
        secrets.create(&PostParams::default(), &serde_json::from_value(secret).unwrap()).await.unwrap();
        let connection = json!({
            "apiVersion": "oms-operator.io/v1alpha1", "kind": "Connection", "metadata": { "name": "default" },
            "spec": {
                "region": "cn-north-4", "projectId": "2c0689c860ad4728a497c91ec0844383", "endpoint": url,
                "credentials": { "secretRef": { "name": "huawei" } },
            },
        });
        let connection = serde_json::from_value(connection).unwrap();
        self.connections().create(&PostParams::default(), &connection).await.unwrap();
    }

    fn connections(&self) -> Api<Connection> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Why the Connection is not ready, once the operator has tried.
    async fn complaint(&self) -> String {
        eventually("the operator tells of the connection", async || {
            let connection = serde_json::to_value(self.connections().get("default").await.unwrap()).unwrap();
            let conditions = connection["status"]["conditions"].as_array().cloned().unwrap_or_default();
            let ready = conditions.iter().find(|condition| condition["type"] == "Ready");
            let told = |condition: &Value| condition["message"].as_str().unwrap().to_owned();
            ready.filter(|condition| condition["status"] == "False").map(told).ok_or(connection.to_string())
        })
        .await
    }
}

async fn answers(operator: &Operator, path: &str) -> u16 {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    client.get(format!("{}{path}", operator.address)).send().await.unwrap().status().as_u16()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_operator_works_with_nothing_but_its_image_around() {
    let (stage, root) = (Stage::new().await, Root::of(Architecture::Amd64));
    let mut operator = root.operator(stage.plane, &stage.namespace, &[]).await;
    assert_eq!((answers(&operator, "/readyz").await, answers(&operator, "/healthz").await), (200, 200));
    let (user, inside) = surroundings(operator.process.id());
    assert_eq!(inside, fs::canonicalize(root.path("")).unwrap(), "its root is the image");
    if rustix::process::geteuid().is_root() {
        assert_eq!(user, "65532");
    }
    operator.process.signal(Signal::TERM);
    let status = operator.process.wait_within(LIMIT).expect("it ends");
    assert!(status.success(), "{}", operator.process.log_tail(10));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_operator_for_arm_works_on_an_emulated_processor() {
    let (stage, root) = (Stage::new().await, Root::of(Architecture::Arm64));
    // An emulated processor and its neighbours are slow.
    let patience = ["--leader-lease-duration", "60s", "--leader-renew-deadline", "50s"];
    let mut operator = root.operator(stage.plane, &stage.namespace, &patience).await;
    assert_eq!((answers(&operator, "/readyz").await, answers(&operator, "/healthz").await), (200, 200));
    operator.process.signal(Signal::TERM);
    let status = operator.process.wait_within(LIMIT).expect("it ends");
    assert!(status.success(), "{}", operator.process.log_tail(10));
}

/// Has an operator in this root call a server that only the test's own authority vouches for.
async fn call(root: &Root) -> (Result<String, String>, String) {
    let (stage, mut server) = (Stage::new().await, Server::start().await);
    let allowed = server.url.trim_start_matches("https://");
    let _operator = root.operator(stage.plane, &stage.namespace, &["--allowed-endpoint", allowed]).await;
    stage.connect(&server.url).await;
    let complaint = stage.complaint().await;
    let seen = tokio::time::timeout(Duration::from_millis(1), server.seen.recv()).await;
    (seen.ok().flatten().unwrap_or_else(|| Err("nobody came".to_owned())), complaint)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_authority_that_is_not_in_the_image_is_refused_by_name() {
    let (seen, complaint) = call(&Root::of(Architecture::Amd64)).await;
    assert!(seen.as_ref().is_err_and(|why| why.contains("UnknownCA")), "{seen:?}");
    assert!(complaint.contains("UnknownIssuer") && complaint.contains("`spec.endpoint`"), "{complaint}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_certificates_of_the_image_are_those_that_the_operator_trusts() {
    let root = Root::of(Architecture::Amd64);
    let mut text = fs::read_to_string(root.path(CERTIFICATES)).unwrap();
    text.push_str(&fs::read_to_string(AUTHORITY).unwrap());
    fs::write(root.path(CERTIFICATES), text).unwrap();
    let (seen, complaint) = call(&root).await;
    let request = seen.unwrap_or_else(|why| panic!("{why}: {complaint}"));
    assert!(request.starts_with("GET /v2/"), "{request}");
    assert!(!complaint.contains("certificate"), "{complaint}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_certificates_of_the_image_nobody_is_called() {
    let root = Root::of(Architecture::Amd64);
    fs::remove_file(root.path(CERTIFICATES)).unwrap();
    let (seen, complaint) = call(&root).await;
    assert_eq!(seen, Err("nobody came".to_owned()));
    assert!(complaint.contains("No CA certificates were loaded"), "{complaint}");
}
