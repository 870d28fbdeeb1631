//! How a world is made.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use k8s_openapi::api::core::v1::Namespace;
use kube::api::PostParams;
use kube::{Api, Client};
use oms_operator::api;
use oms_operator::dev::scratch::Scratch;
use oms_operator::dev::{ControlPlane, crds};
use oms_operator::emulator::config::Config;
use oms_operator::emulator::server::{Emulator, Observer, Options};
use oms_operator::emulator::store::{EmbeddedStore, StoreConfig};
use serde_json::{Value, json};

use super::{CLOUDS, KEPT, Keys, OTHER_PROJECT, OTHER_REGION, PROJECT, REGION, USER, World, oms_dev};
use crate::contract::watch::{Held, Watch};
use crate::operator::OperatorFlags;

/// How a world is made; the fields are for tests to change.
pub(crate) struct Setup {
    /// Members of the emulator's `behaviour`.
    pub(crate) behaviour: Value,
    /// Members of the emulator's `limits`.
    pub(crate) limits: Value,
    /// Further members of the emulator's configuration.
    pub(crate) further: Value,
    /// Whether the source store stands for every cloud, and not for AWS alone.
    pub(crate) every_cloud: bool,
    /// How the first operator is started; `None`: none is.
    pub(crate) operator: Option<OperatorFlags>,
    /// Whether the Connection and the three Secrets are made.
    pub(crate) connected: bool,
    /// Whether the definitions are installed.
    pub(crate) defined: bool,
    /// Whether the account has a second project, [`OTHER_PROJECT`].
    pub(crate) two_projects: bool,
    /// The API server.
    pub(crate) plane: Option<&'static ControlPlane>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            // As the service, but without the waits that nobody watches.
            behaviour: json!({
                "privacyAgreementAccepted": false,
                "taskStartDelayMs": 50,
                "minimumRunMs": 200,
                "pauseMs": 100,
                "staleInProgressMs": 100,
            }),
            limits: json!({ "runningTasks": 50 }),
            further: json!({}),
            every_cloud: false,
            operator: Some(OperatorFlags::default()),
            connected: true,
            defined: true,
            two_projects: false,
            plane: None,
        }
    }
}

impl Setup {
    /// Changes a member of the emulator's `behaviour`.
    pub(crate) fn behaving(mut self, member: &str, value: impl Into<Value>) -> Self {
        self.behaviour[member] = value.into();
        self
    }

    /// Sets a member of the emulator's configuration.
    pub(crate) fn configured(mut self, member: &str, value: impl Into<Value>) -> Self {
        self.further[member] = value.into();
        self
    }

    /// Lets the source store stand for every cloud; HuaweiCloud is one in [`OTHER_REGION`].
    pub(crate) fn every_cloud(mut self) -> Self {
        self.every_cloud = true;
        self
    }

    /// Changes a member of the emulator's `limits`.
    pub(crate) fn limited(mut self, member: &str, value: impl Into<Value>) -> Self {
        self.limits[member] = value.into();
        self
    }

    /// Starts the operator with other flags.
    pub(crate) fn operated(mut self, flags: OperatorFlags) -> Self {
        self.operator = Some(flags);
        self
    }

    /// Starts no operator; [`World::start_operator`] does.
    pub(crate) fn unoperated(mut self) -> Self {
        self.operator = None;
        self
    }

    /// Gives the account a second project.
    pub(crate) fn two_projects(mut self) -> Self {
        self.two_projects = true;
        self
    }

    /// Lets the operator watch every namespace, ClusterConnections included, on an API server of the test's own.
    pub(crate) async fn everywhere(mut self) -> Self {
        let plane = tokio::task::spawn_blocking(|| ControlPlane::start(oms_dev())).await.unwrap().unwrap();
        self.plane = Some(Box::leak(Box::new(plane)));
        self.operator = self.operator.map(|flags| OperatorFlags { everywhere: true, ..flags });
        self
    }

    /// Makes neither Connection nor Secrets.
    pub(crate) fn unconnected(mut self) -> Self {
        self.connected = false;
        self
    }

    /// Installs no definitions: something else does, on an API server of the test's own.
    pub(crate) fn undefined(mut self) -> Self {
        self.defined = false;
        self.unconnected().unoperated()
    }

    /// Builds the world.
    pub(crate) async fn start(self) -> World {
        World::build(self).await
    }
}

impl World {
    pub(super) async fn build(setup: Setup) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let plane = match setup.plane {
            Some(plane) => plane,
            None => tokio::task::spawn_blocking(|| ControlPlane::shared(oms_dev())).await.unwrap().unwrap(),
        };
        let client = plane.client().await.unwrap();
        if setup.defined {
            install_definitions(plane, &client).await;
        }
        let namespace = unique_namespace();
        create_namespace(&client, &namespace).await;

        let [oms_keys, other_keys, source_keys, destination_keys] =
            ["oms", "two", "src", "dst"].map(|role| Keys::unique(role, &namespace.replace('-', "")));
        let source = store("source", &source_keys).await;
        let destination = store("destination", &destination_keys).await;
        let mut config = json!({
            "projects": [{
                "id": PROJECT, "region": REGION,
                "accessKeys": [{ "access": oms_keys.access, "secret": oms_keys.secret }],
                "users": [{ "name": USER.0, "domain": USER.1, "password": oms_keys.secret }],
            }],
            "stores": [
                { "name": "source", "cloudType": "AWS", "region": "*", "endpoint": source.endpoint(),
                  "accessKeys": [{ "access": source_keys.access, "secret": source_keys.secret }] },
                { "name": "destination", "cloudType": "HuaweiCloud", "region": REGION,
                  "endpoint": destination.endpoint() },
            ],
            "behaviour": setup.behaviour,
            "limits": setup.limits,
        });
        if setup.every_cloud {
            let stores = config["stores"].as_array_mut().unwrap();
            for cloud in CLOUDS {
                let region = if *cloud == "HuaweiCloud" { OTHER_REGION } else { "*" };
                stores.push(json!({
                    "name": format!("source-{cloud}"), "cloudType": cloud, "region": region,
                    "endpoint": source.endpoint(),
                    // Azure and Google come without a key pair: the store's own stands in for what they bring.
                    "accessKeys": [{ "access": source_keys.access, "secret": source_keys.secret }],
                }));
            }
        }
        for (member, value) in setup.further.as_object().unwrap() {
            config[member] = value.clone();
        }
        if setup.two_projects {
            let mut second = config["projects"][0].clone();
            second["id"] = json!(OTHER_PROJECT);
            second["name"] = json!("second");
            let own = json!({ "access": other_keys.access, "secret": other_keys.secret });
            second["accessKeys"].as_array_mut().unwrap().push(own);
            config["projects"].as_array_mut().unwrap().push(second);
        }
        let config = Config::parse(&config.to_string()).unwrap();
        let watch = Watch::over(Held::Both);
        let requests = Arc::<Mutex<Vec<(&'static str, Value)>>>::default();
        let kept = Arc::clone(&requests);
        let keep: Observer = Arc::new(move |exchange| {
            if KEPT.contains(&exchange.operation) && !exchange.by_fault {
                let body = serde_json::from_slice(&exchange.request_body).unwrap_or_default();
                kept.lock().unwrap().push((exchange.operation, body));
            }
        });
        let options = Options { observer: Some(keep), ..Options::local(config) };
        let emulator = Emulator::start(watch.with(options)).await.unwrap();
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let mut world = Self {
            plane,
            namespace,
            client,
            oms_keys,
            other_keys,
            source_keys,
            destination_keys,
            source,
            destination,
            emulator,
            operators: Vec::new(),
            http,
            scratch: Scratch::create().unwrap(),
            requests,
            _watch: watch,
        };
        if setup.connected {
            world.connect().await;
        }
        if let Some(flags) = setup.operator {
            world.start_operator(&flags).await;
        }
        world
    }
}

fn unique_namespace() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("flow-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

async fn create_namespace(client: &Client, name: &str) {
    let mut namespace = Namespace::default();
    namespace.metadata.name = Some(name.to_owned());
    Api::<Namespace>::all(client.clone()).create(&PostParams::default(), &namespace).await.unwrap();
}

/// Installs the definitions once per process and server.
async fn install_definitions(plane: &ControlPlane, client: &Client) {
    static INSTALLED: tokio::sync::Mutex<Vec<String>> = tokio::sync::Mutex::const_new(Vec::new());
    let mut installed = INSTALLED.lock().await;
    if !installed.iter().any(|server| server == plane.server()) {
        crds::install(client, &api::crds()).await.unwrap();
        installed.push(plane.server().to_owned());
    }
}

async fn store(name: &str, keys: &Keys) -> EmbeddedStore {
    EmbeddedStore::start(StoreConfig {
        name: name.to_owned(),
        dir: None,
        listen: ([127, 0, 0, 1], 0).into(),
        access_keys: vec![(keys.access.clone(), keys.secret.clone().into())],
    })
    .await
    .unwrap()
}
