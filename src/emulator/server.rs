//! Starts and ends everything, and is the gateway: one HTTP server for OMS and IAM, whose connections can be cut as
//! faults demand, and one for the admin API.

use std::{
    io,
    net::SocketAddr,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::body::{Body, Bytes};
use http::{HeaderValue, Request, Response, StatusCode, header};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use super::{
    admin,
    clock::Clock,
    config::{ClockPace, Config, canonical_cloud},
    faults::{Fault, FaultKind},
    journal::Entry,
    operations::Done,
    persist::Log,
    route::Route,
    service::{Service, random},
    signature::Signed,
    store,
    stores::{StoreAddress, Stores},
    wire::refusal::{BODY_TOO_LARGE, BODY_TOO_SLOW, NO_SUCH_API, Refusal},
};

/// A signed body may be as long as this (OMS API reference 3.2).
const LONGEST_BODY: usize = 12 * 1024 * 1024;
/// A request must have arrived whole in this time.
const ARRIVAL: Duration = Duration::from_secs(30);
/// How long a clean end waits for calls under way.
const FAREWELL: Duration = Duration::from_secs(5);

/// How an emulator is started.
#[derive(Clone, Debug)]
pub struct Options {
    /// What is served.
    pub config: Config,
    /// Address of OMS and IAM; port 0 picks a free one.
    pub listen: SocketAddr,
    /// Address of the admin API; port 0 picks a free one.
    pub admin_listen: SocketAddr,
    /// State folder; without one nothing outlives the process.
    pub state: Option<PathBuf>,
}

impl Options {
    /// Serves `config` on free ports of 127.0.0.1, in memory.
    pub fn local(config: Config) -> Self {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        Self { config, listen: any, admin_listen: any, state: None }
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
    /// The HTTP client for the stores cannot be made.
    #[error("Cannot make an HTTP client: {0}")]
    Client(#[from] reqwest::Error),
}

/// Where a running emulator is reached, with every key that opens it: what the ready file holds.
#[derive(Clone, Debug)]
pub struct Endpoints {
    /// Base URL of OMS.
    pub oms: String,
    /// Base URL of IAM.
    pub iam: String,
    /// Base URL of the admin API.
    pub admin: String,
    /// Projects with their first key pair.
    pub projects: Vec<ProjectAccess>,
    /// Stores with their first key pair.
    pub stores: Vec<StoreAddress>,
}

/// A project and how to sign for it.
#[derive(Clone, Debug)]
pub struct ProjectAccess {
    /// ID.
    pub id: String,
    /// Name.
    pub name: String,
    /// Region.
    pub region: String,
    /// Access key ID.
    pub access_key: String,
    /// Secret key.
    pub secret_key: SecretString,
}

impl Endpoints {
    /// The contents of the ready file. **Holds secrets.**
    pub fn to_json(&self) -> Value {
        let projects: Vec<Value> = self
            .projects
            .iter()
            .map(|project| {
                json!({
                    "id": project.id,
                    "name": project.name,
                    "region": project.region,
                    "accessKey": project.access_key,
                    "secretKey": project.secret_key.expose_secret(),
                })
            })
            .collect();
        let stores: Vec<Value> = self
            .stores
            .iter()
            .map(|store| {
                let (access, secret) =
                    store.first_key.as_ref().map(|(a, s)| (a.as_str(), s.expose_secret())).unzip();
                json!({
                    "name": store.name,
                    "endpoint": store.endpoint,
                    "cloudType": store.cloud_type,
                    "region": store.region,
                    "accessKey": access,
                    "secretKey": secret,
                })
            })
            .collect();
        json!({
            "oms": self.oms, "iam": self.iam, "admin": self.admin, "projects": projects, "stores": stores
        })
    }
}

/// A running emulator. Ends with [`Emulator::shutdown`]; when dropped, it ends without waiting.
#[derive(Debug)]
pub struct Emulator {
    endpoints: Endpoints,
    service: Arc<Service>,
    servers: Vec<JoinHandle<()>>,
    embedded: Vec<store::EmbeddedStore>,
}

impl Emulator {
    /// Starts everything; when this returns, everything answers.
    pub async fn start(options: Options) -> Result<Self, StartError> {
        // Somebody else may have installed it already, and any provider will do.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let Options { config, listen, admin_listen, state } = options;
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

        let (addresses, embedded) = start_stores(&config, state.as_ref()).await?;
        let clock = match config.clock {
            ClockPace::Real => Clock::real(),
            ClockPace::Scaled(scale) => Clock::scaled(scale),
        };
        let stores = Stores::new(addresses)?;
        let base = |listener: &TcpListener, fallback| {
            format!("http://{}", listener.local_addr().unwrap_or(fallback))
        };
        let oms_url = base(&oms, listen);
        let endpoints = Endpoints {
            iam: oms_url.clone(),
            oms: oms_url,
            admin: base(&admin_listener, admin_listen),
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
                    })
                })
                .collect(),
            stores: stores.list().to_vec(),
        };
        let service = Service::new(config, clock, stores, log, records);
        service.resume_runs();
        let servers = vec![
            tokio::spawn(Arc::clone(&service).serve_queue()),
            tokio::spawn(serve(oms, Arc::clone(&service))),
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
        Ok(Self { endpoints, service, servers, embedded })
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

async fn start_stores(
    config: &Config,
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
            first_key: store.access_keys.first().map(|key| (key.access.clone(), key.secret.clone())),
        })
        .collect();
    let mut embedded = Vec::new();
    for store in &config.embedded_stores {
        let dir = store.dir.clone().or_else(|| state.map(|folder| folder.join("stores").join(&store.name)));
        let running = store::EmbeddedStore::start(store::StoreConfig {
            name: store.name.clone(),
            dir,
            listen: store.listen.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0))),
            access_keys: store
                .access_keys
                .iter()
                .map(|key| (key.access.clone(), key.secret.clone()))
                .collect(),
        })
        .await
        .map_err(|source| StartError::Store { name: store.name.clone(), source })?;
        addresses.push(StoreAddress {
            name: store.name.clone(),
            cloud_type: cloud(&store.cloud_type),
            region: store.region.clone(),
            endpoint: running.endpoint(),
            first_key: store.access_keys.first().map(|key| (key.access.clone(), key.secret.clone())),
        });
        embedded.push(running);
    }
    Ok((addresses, embedded))
}

/// Accepts connections until the service stops.
async fn serve(listener: TcpListener, service: Arc<Service>) {
    let connections = tokio_util::task::TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            () = service.stopping.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                connections.spawn(serve_connection(stream, Arc::clone(&service)));
            }
            Err(error) => {
                // Out of file descriptors, most likely; some will come free.
                tracing::warn!(%error, "Cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    connections.close();
    // Whoever does not read its answer in time does not get it.
    let _ = tokio::time::timeout(FAREWELL, connections.wait()).await;
}

/// The connection is to be cut without an answer.
#[derive(Debug, thiserror::Error)]
#[error("connection cut")]
struct Cut;

async fn serve_connection(stream: TcpStream, service: Arc<Service>) {
    // Answers are small and wait for nothing.
    let _ = stream.set_nodelay(true);
    let answering = Arc::clone(&service);
    let connection =
        http1::Builder::new().timer(TokioTimer::new()).header_read_timeout(ARRIVAL).serve_connection(
            TokioIo::new(stream),
            service_fn(move |request: Request<Incoming>| {
                let service = Arc::clone(&answering);
                // In a task of its own, so that a call is carried out and journaled whole even if the caller goes away.
                let answer = tokio::spawn(async move { Call::new(&service).answer(request).await });
                async move { answer.await.unwrap_or(Err(Cut)) }
            }),
        );
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        // A cut connection ends with the error that cut it.
        _ = connection.as_mut() => return,
        () = service.stopping.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}

/// A call on its way through the gateway.
struct Call<'a> {
    service: &'a Arc<Service>,
    request_id: String,
    begun: Instant,
    at: jiff::Timestamp,
    route: Option<Route>,
    fault: Option<Fault>,
}

/// What is about to be answered.
struct Answer {
    status: u16,
    content_type: Option<&'static str>,
    body: Bytes,
    retry_after: Option<u64>,
}

impl Answer {
    fn json(status: u16, body: &Value) -> Self {
        Self {
            status,
            content_type: Some("application/json"),
            body: Bytes::from(body.to_string()),
            retry_after: None,
        }
    }

    /// The actions return nothing at all.
    fn empty(status: u16) -> Self {
        Self { status, content_type: None, body: Bytes::new(), retry_after: None }
    }
}

impl<'a> Call<'a> {
    fn new(service: &'a Arc<Service>) -> Self {
        Self {
            service,
            request_id: format!("{:016x}{:016x}", random(), random()),
            begun: Instant::now(),
            at: service.clock.now(),
            route: None,
            fault: None,
        }
    }

    async fn answer(mut self, request: Request<Incoming>) -> Result<Response<Body>, Cut> {
        self.route = Route::of(request.method(), request.uri().path());
        if let Some(route) = &self.route {
            self.fault =
                self.service.faults.strike(route.operation.name(), route.project.as_deref(), route.task_id());
        }
        if let Some(fault) = self.fault.clone().filter(|fault| !strikes_after(fault))
            && let Some(result) = self.strike(&fault).await
        {
            return result;
        }
        let result = self.carry_out(request).await;
        if let Some(fault) = self.fault.clone().filter(strikes_after) {
            return self.strike_after(&fault, result).await;
        }
        let answer = match &result {
            Ok(done) => done.body.as_ref().map_or_else(|| Answer::empty(200), |body| Answer::json(200, body)),
            Err(refusal) => self.refusal(refusal),
        };
        let outcome = result.as_ref().map_or_else(|refusal| refusal.code.to_string(), |_| "ok".to_owned());
        self.note(Some(answer.status), outcome, result.ok().as_ref());
        Ok(self.respond(answer))
    }

    /// Reads the request, lets the gateway check it and OMS carry it out.
    async fn carry_out(&self, request: Request<Incoming>) -> Result<Done, Refusal> {
        let Some(route) = &self.route else { return Err(NO_SUCH_API) };
        let (parts, body) = request.into_parts();
        let arrival = axum::body::to_bytes(Body::new(body), LONGEST_BODY);
        let body = match tokio::time::timeout(ARRIVAL, arrival).await {
            Ok(Ok(body)) => body,
            Ok(Err(_)) => return Err(BODY_TOO_LARGE),
            Err(_) => return Err(BODY_TOO_SLOW),
        };
        let query = parts.uri.query().unwrap_or_default();
        let signed = Signed {
            method: &parts.method,
            path: parts.uri.path(),
            query,
            headers: &parts.headers,
            body: &body,
        };
        let caller = self.service.authenticate(signed, route.project.as_deref())?;
        self.service.carry_out(route, caller, query, &body).await
    }

    /// A fault before the call is carried out. `None`: go on.
    async fn strike(&self, fault: &Fault) -> Option<Result<Response<Body>, Cut>> {
        match fault.kind {
            FaultKind::Delay => {
                self.wait(fault).await;
                None
            }
            FaultKind::Hang => {
                self.note(None, "hang".to_owned(), None);
                self.service.stopping.cancelled().await;
                Some(Err(Cut))
            }
            FaultKind::CutBefore | FaultKind::LostReply => {
                self.note(None, "cut".to_owned(), None);
                Some(Err(Cut))
            }
            FaultKind::Status | FaultKind::Html | FaultKind::Throttle => {
                let (answer, outcome) = self.faulty_answer(fault);
                self.note(Some(answer.status), outcome, None);
                Some(Ok(self.respond(answer)))
            }
        }
    }

    /// A fault after the call was carried out.
    async fn strike_after(
        &self,
        fault: &Fault,
        result: Result<Done, Refusal>,
    ) -> Result<Response<Body>, Cut> {
        let code = result.as_ref().map_or_else(|refusal| refusal.code.to_string(), |_| "ok".to_owned());
        let done = result.as_ref().ok();
        match fault.kind {
            FaultKind::LostReply | FaultKind::CutBefore => {
                self.note(None, code, done);
                Err(Cut)
            }
            FaultKind::Hang => {
                self.note(None, code, done);
                self.service.stopping.cancelled().await;
                Err(Cut)
            }
            FaultKind::Delay => {
                self.wait(fault).await;
                let answer = match &result {
                    Ok(done) => {
                        done.body.as_ref().map_or_else(|| Answer::empty(200), |body| Answer::json(200, body))
                    }
                    Err(refusal) => self.refusal(refusal),
                };
                self.note(Some(answer.status), code, done);
                Ok(self.respond(answer))
            }
            FaultKind::Status | FaultKind::Html | FaultKind::Throttle => {
                let (answer, outcome) = self.faulty_answer(fault);
                self.note(Some(answer.status), outcome, done);
                Ok(self.respond(answer))
            }
        }
    }

    async fn wait(&self, fault: &Fault) {
        let delay = Duration::from_millis(fault.delay_ms.unwrap_or(0));
        tokio::select! {
            () = tokio::time::sleep(delay) => {}
            () = self.service.stopping.cancelled() => {}
        }
    }

    fn faulty_answer(&self, fault: &Fault) -> (Answer, String) {
        match fault.kind {
            FaultKind::Throttle => {
                let (requests, minutes) = self
                    .service
                    .config
                    .limits
                    .gateway
                    .map_or((200, 5), |limit| (limit.requests, limit.minutes));
                let mut answer = self.refusal(&Refusal::throttled(requests, minutes));
                answer.retry_after = fault.retry_after;
                (answer, "APIGW.0308".to_owned())
            }
            FaultKind::Html => {
                let page = "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>";
                let answer = Answer {
                    status: fault.status.unwrap_or(502),
                    content_type: Some("text/html"),
                    body: Bytes::from_static(page.as_bytes()),
                    retry_after: fault.retry_after,
                };
                (answer, "html".to_owned())
            }
            _ => {
                let status = fault.status.unwrap_or(500);
                let mut answer = match &fault.code {
                    None => Answer::empty(status),
                    Some(code) => self.refusal(&Refusal {
                        status,
                        code: code.clone().into(),
                        message: fault.message.clone().unwrap_or_else(|| "Injected fault.".to_owned()).into(),
                        detail: None,
                    }),
                };
                answer.retry_after = fault.retry_after;
                (answer, fault.code.clone().unwrap_or_else(|| status.to_string()))
            }
        }
    }

    fn refusal(&self, refusal: &Refusal) -> Answer {
        Answer::json(refusal.status, &refusal.body(&self.request_id))
    }

    fn note(&self, status: Option<u16>, outcome: String, done: Option<&Done>) {
        let route = self.route.as_ref();
        let task = done.and_then(|done| done.task).or_else(|| route.and_then(Route::task_id));
        self.service.journal.add(Entry {
            seq: 0,
            at: self.at,
            operation: route.map_or("Unknown", |route| route.operation.name()),
            project: route.and_then(|route| route.project.clone()),
            status,
            outcome,
            task: task.map(|task| task.to_string()),
            effect: done.is_some_and(|done| done.effect),
            request_id: self.request_id.clone(),
            duration_ms: u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX),
            fault: self.fault.as_ref().map(|fault| fault.kind),
        });
    }

    fn respond(&self, answer: Answer) -> Response<Body> {
        let mut response = Response::new(Body::from(answer.body));
        *response.status_mut() =
            StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        if let Some(content_type) = answer.content_type {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        }
        if let Some(seconds) = answer.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Ok(id) = HeaderValue::from_str(&self.request_id) {
            headers.insert("x-request-id", id);
        }
        response
    }
}

/// Whether a fault lets the call be carried out first.
fn strikes_after(fault: &Fault) -> bool {
    match fault.kind {
        FaultKind::LostReply => true,
        FaultKind::CutBefore | FaultKind::Throttle => false,
        FaultKind::Status | FaultKind::Html | FaultKind::Delay | FaultKind::Hang => fault.after_effect,
    }
}
