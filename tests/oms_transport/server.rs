//! A server on the loopback that says what a test wants it to.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use oms_operator::oms::{Budget, Client, Credentials, Settings};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub(crate) const PROJECT: &str = "0215ef11e49d4743be23dd97a1561e91";
pub(crate) const ACCESS_KEY: &str = "AKPLANTED00000000000";
pub(crate) const SECRET_KEY: &str = "planted-secret-key-of-the-caller";

/// A request as the server saw it.
#[derive(Clone)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Seen {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// A server on the loopback that answers every request with one function; it ends with the test.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) seen: Arc<Mutex<Vec<Seen>>>,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    pub(crate) async fn start(answer: impl Fn(&Seen) -> Response + Clone + Send + Sync + 'static) -> Self {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&seen);
        let app = Router::new().fallback(move |request: Request| {
            let (log, answer) = (Arc::clone(&log), answer.clone());
            async move {
                let (head, body) = request.into_parts();
                let request = Seen {
                    method: head.method.to_string(),
                    path: head.uri.path().to_owned(),
                    query: head.uri.query().unwrap_or_default().to_owned(),
                    headers: head.headers,
                    body: axum::body::to_bytes(body, usize::MAX).await.unwrap(),
                };
                log.lock().unwrap().push(request.clone());
                answer(&request)
            }
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { address, seen, task }
    }

    /// A server that reads each request and then does what it is told with the connection.
    pub(crate) async fn raw(reply: &'static [u8], hang: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            let mut held = Vec::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut buffer = vec![0; 64 * 1024];
                let read = stream.read(&mut buffer).await.unwrap();
                log.lock().unwrap().push(Seen {
                    method: String::new(),
                    path: String::new(),
                    query: String::new(),
                    headers: HeaderMap::new(),
                    body: Bytes::copy_from_slice(&buffer[..read]),
                });
                stream.write_all(reply).await.unwrap();
                if hang {
                    held.push(stream);
                }
            }
        });
        Self { address, seen, task }
    }

    pub(crate) fn settings(&self) -> Settings {
        Settings::new(format!("http://{}", self.address), PROJECT)
    }

    pub(crate) fn client(&self) -> Client {
        client(self.settings())
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

pub(crate) fn credentials() -> Credentials {
    Credentials::keys(ACCESS_KEY, SECRET_KEY.into(), None)
}

pub(crate) fn client(settings: Settings) -> Client {
    Client::new(settings, credentials(), Budget::new(1000.0)).unwrap()
}

pub(crate) fn json_answer(status: u16, body: Value) -> Response {
    (StatusCode::from_u16(status).unwrap(), [("x-request-id", "request-of-the-test")], axum::Json(body))
        .into_response()
}
