//! Starts and ends everything: one HTTP server for OMS, IAM and STS, one for what nodes and pods find, and one for the
//! admin API.

mod body;
mod call;
mod endpoints;
mod exchange;
mod gateway;

use std::{fmt, io, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use secrecy::SecretString;
use tokio::{net::TcpListener, task::JoinHandle};

use self::gateway::Gateway;
pub use self::{
    endpoints::{Endpoints, ProjectAccess},
    exchange::{Exchange, Observer},
};
use super::{
    admin,
    cdn::{Cdns, EmbeddedCdn, Route, Setup},
    clock::Clock,
    config::{AccessKey, ClockPace, Config, canonical_cloud},
    persist::Log,
    route::Door,
    service::Service,
    store,
    stores::{Embedded, StoreAddress, Stores, signing_region},
};

/// How long a clean end waits for calls under way.
const FAREWELL: Duration = Duration::from_secs(5);

/// How an emulator is started.
#[derive(Clone)]
pub struct Options {
    /// What is served.
    pub config: Config,
    /// Address of OMS and IAM; port 0 picks a free one.
    pub listen: SocketAddr,
    /// Address of the admin API; port 0 picks a free one.
    pub admin_listen: SocketAddr,
    /// State folder; without one nothing outlives the process.
    pub state: Option<PathBuf>,
    /// Whom to tell of every call. Default: nobody.
    pub observer: Option<Observer>,
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("config", &self.config)
            .field("listen", &self.listen)
            .field("admin_listen", &self.admin_listen)
            .field("state", &self.state)
            .field("observed", &self.observer.is_some())
            .finish()
    }
}

impl Options {
    /// Serves `config` on free ports of 127.0.0.1, in memory.
    pub fn local(config: Config) -> Self {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        Self { config, listen: any, admin_listen: any, state: None, observer: None }
    }
}

/// Why an emulator does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address cannot be used.
    #[error("Cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// The state folder cannot be used.
    #[error("Cannot use the state folder `{}`: {source}", folder.display())]
    State {
        /// The folder.
        folder: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// An embedded store does not start.
    #[error("Cannot start the embedded store `{name}`: {source}")]
    Store {
        /// Its name.
        name: String,
        /// Why not.
        source: store::StoreError,
    },
    /// An embedded CDN does not start.
    #[error("Cannot start the embedded CDN `{name}`: {source}")]
    Cdn {
        /// Its name.
        name: String,
        /// Why not.
        source: io::Error,
    },
    /// The file with certificates cannot be used.
    #[error("Cannot use `httpSources.caFile` ({}): {problem}", file.display())]
    CaFile {
        /// The file.
        file: PathBuf,
        /// Why not.
        problem: String,
    },
    /// The HTTP client for the stores cannot be made.
    #[error("Cannot make an HTTP client: {0}")]
    Client(#[from] reqwest::Error),
}

/// A running emulator. Ends with [`Emulator::shutdown`]; when dropped, it ends without waiting.
#[derive(Debug)]
pub struct Emulator {
    endpoints: Endpoints,
    service: Arc<Service>,
    servers: Vec<JoinHandle<()>>,
    embedded: Vec<store::EmbeddedStore>,
    _cdns: Vec<EmbeddedCdn>,
}

impl Emulator {
    /// Starts everything; when this returns, everything answers.
    pub async fn start(options: Options) -> Result<Self, StartError> {
        // Somebody else may have installed it already, and any provider will do.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let Options { config, listen, admin_listen, state, observer } = options;
        let (log, records) = match &state {
            Some(folder) => {
                let (log, records) = Log::open(folder)
                    .map_err(|source| StartError::State { folder: folder.clone(), source })?;
                (Some(log), records)
            }
            None => (None, Vec::new()),
        };
        let oms = bind(listen).await?;
        let admin_listener = bind(admin_listen).await?;
        let node_listen = config.metadata.listen.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0)));
        let node_listener = bind(node_listen).await?;

        let clock = match config.clock {
            ClockPace::Real => Clock::real(),
            ClockPace::Scaled(scale) => Clock::scaled(scale),
        };
        let (addresses, embedded) = start_stores(&config, &clock, state.as_ref()).await?;
        let (routes, cdns) = start_cdns(&config, &addresses).await?;
        let stores = Stores::new(addresses)?.behind(Cdns::new(routes)?).trusting(url_roots(&config)?);
        let base = |listener: &TcpListener, fallback| {
            format!("http://{}", listener.local_addr().unwrap_or(fallback))
        };
        let oms_url = base(&oms, listen);
        let node_url = base(&node_listener, node_listen);
        let endpoints = Endpoints {
            iam: oms_url.clone(),
            sts: oms_url.clone(),
            oms: oms_url,
            admin: base(&admin_listener, admin_listen),
            pod_identity: format!("{node_url}/v1/credentials"),
            metadata: node_url,
            pod_identity_token: config.metadata.pod_identity_tokens.first().cloned(),
            projects: config
                .projects
                .iter()
                .filter_map(|project| {
                    project.access_keys.first().map(|key| ProjectAccess {
                        id: project.id.clone(),
                        name: project.name().to_owned(),
                        region: project.region.clone(),
                        access_key: key.access.clone(),
                        secret_key: key.secret.clone(),
                        users: project.users.clone(),
                    })
                })
                .collect(),
            stores: stores.list().to_vec(),
            cdns: stores.cdns().list().to_vec(),
        };
        let service = Service::new(config, clock, stores, log, records);
        service.resume_runs();
        let servers = vec![
            tokio::spawn(Arc::clone(&service).serve_queue()),
            tokio::spawn(Gateway::new(Door::Cloud, Arc::clone(&service), observer).serve(oms)),
            tokio::spawn(Gateway::new(Door::Node, Arc::clone(&service), None).serve(node_listener)),
            tokio::spawn({
                let service = Arc::clone(&service);
                async move {
                    let stopping = service.stopping.clone();
                    let served = axum::serve(admin_listener, admin::router(service))
                        .with_graceful_shutdown(stopping.cancelled_owned())
                        .await;
                    if let Err(error) = served {
                        tracing::error!(%error, "The admin API has ended");
                    }
                }
            }),
        ];
        Ok(Self { endpoints, service, servers, embedded, _cdns: cdns })
    }

    /// Where everything is.
    pub fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }

    /// Service time, to be scaled and moved.
    pub fn clock(&self) -> &Clock {
        &self.service.clock
    }

    /// Ends cleanly: calls under way are answered, running tasks put down where they are, and everything is written.
    pub async fn shutdown(mut self) {
        self.service.end_runs().await;
        for server in std::mem::take(&mut self.servers) {
            let abort = server.abort_handle();
            if tokio::time::timeout(FAREWELL, server).await.is_err() {
                abort.abort();
            }
        }
        for store in std::mem::take(&mut self.embedded) {
            store.shutdown().await;
        }
        let service = Arc::clone(&self.service);
        // Waits for a thread that waits for the disk.
        let _ = tokio::task::spawn_blocking(move || service.close()).await;
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        self.service.stopping.cancel();
        self.service.abort_runs();
        for server in &self.servers {
            server.abort();
        }
    }
}

async fn bind(address: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(address).await.map_err(|source| StartError::Listen { address, source })
}

fn keys_of(keys: &[AccessKey]) -> Vec<(String, SecretString)> {
    keys.iter().map(|key| (key.access.clone(), key.secret.clone())).collect()
}

/// The certificates that URLs of lists may rely on.
fn url_roots(config: &Config) -> Result<Vec<reqwest::Certificate>, StartError> {
    let Some(file) = &config.http_sources.ca_file else { return Ok(Vec::new()) };
    let unusable = |problem: String| StartError::CaFile { file: file.clone(), problem };
    let pem = std::fs::read(file).map_err(|error| unusable(error.to_string()))?;
    match reqwest::Certificate::from_pem_bundle(&pem) {
        Ok(roots) if !roots.is_empty() => Ok(roots),
        _ => Err(unusable("it holds no PEM certificate".to_owned())),
    }
}

/// CDNs that run elsewhere, and those of the configuration that are to run here.
async fn start_cdns(
    config: &Config,
    stores: &[StoreAddress],
) -> Result<(Vec<Route>, Vec<EmbeddedCdn>), StartError> {
    let mut routes: Vec<Route> = config
        .cdns
        .iter()
        .map(|cdn| Route { domain: cdn.domain.clone(), endpoint: cdn.endpoint.clone(), embedded: false })
        .collect();
    let mut running = Vec::new();
    for cdn in &config.embedded_cdns {
        let Some(store) = stores.iter().find(|store| store.name == cdn.store) else { continue };
        let setup = Setup {
            domain: cdn.domain.clone(),
            listen: cdn.listen.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0))),
            scheme: cdn.authentication_type,
            key: cdn.authentication_key.clone(),
            origin: store.endpoint.clone(),
            region: signing_region(store, "us-east-1").to_owned(),
            bucket: cdn.bucket.clone(),
            keys: store.keys.clone(),
        };
        let started = EmbeddedCdn::start(setup)
            .await
            .map_err(|source| StartError::Cdn { name: cdn.name.clone(), source })?;
        routes.push(Route { domain: cdn.domain.clone(), endpoint: started.endpoint(), embedded: true });
        running.push(started);
    }
    Ok((routes, running))
}

async fn start_stores(
    config: &Config,
    clock: &Clock,
    state: Option<&PathBuf>,
) -> Result<(Vec<StoreAddress>, Vec<store::EmbeddedStore>), StartError> {
    let cloud = |name: &str| canonical_cloud(name).unwrap_or("AWS");
    let mut addresses: Vec<StoreAddress> = config
        .stores
        .iter()
        .enumerate()
        .map(|(index, store)| StoreAddress {
            name: store.name.clone().unwrap_or_else(|| format!("store-{}", index + 1)),
            cloud_type: cloud(&store.cloud_type),
            region: store.region.clone(),
            endpoint: store.endpoint.clone(),
            first_key: keys_of(&store.access_keys).into_iter().next(),
            keys: keys_of(&store.access_keys),
            embedded: None,
        })
        .collect();
    let mut embedded = Vec::new();
    for store in &config.embedded_stores {
        let dir = store.dir.clone().or_else(|| state.map(|folder| folder.join("stores").join(&store.name)));
        let running = store::EmbeddedStore::start(store::StoreConfig {
            name: store.name.clone(),
            dir,
            listen: store.listen.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0))),
            access_keys: keys_of(&store.access_keys),
        })
        .await
        .map_err(|source| StartError::Store { name: store.name.clone(), source })?;
        let handle = running.handle();
        handle.set_behaviour(store.behaviour.clone());
        let time = clock.clone();
        handle.set_clock(store::StoreClock::new(move || time.now()));
        addresses.push(StoreAddress {
            name: store.name.clone(),
            cloud_type: cloud(&store.cloud_type),
            region: store.region.clone(),
            endpoint: running.endpoint(),
            first_key: keys_of(&store.access_keys).into_iter().next(),
            keys: keys_of(&store.access_keys),
            embedded: Some(Embedded { handle, configured: store.behaviour.clone() }),
        });
        embedded.push(running);
    }
    Ok((addresses, embedded))
}
