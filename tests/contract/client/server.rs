//! A server that gives one answer and keeps what it was asked.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::Request,
    response::Response,
};
use oms_operator::oms::{Budget, Client, Credentials, Settings};
use serde_json::Value;
use tokio::{net::TcpListener, task::JoinHandle};

pub const PROJECT: &str = "2c0689c860ad4728a497c91ec0844383";

/// A request, as it arrived.
#[derive(Clone, Debug)]
pub struct Asked {
    pub method: String,
    pub path: String,
    pub query: String,
    pub body: Bytes,
}

pub struct Server {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Asked>>>,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    /// Answers everything with this; without a body, as the service does where it has nothing to say.
    pub async fn answering(status: u16, body: Option<Value>) -> Self {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&seen);
        let app = Router::new().fallback(move |request: Request| {
            let (log, body) = (Arc::clone(&log), body.clone());
            async move {
                let (head, sent) = request.into_parts();
                let request = Asked {
                    method: head.method.to_string(),
                    path: head.uri.path().to_owned(),
                    query: head.uri.query().unwrap_or_default().to_owned(),
                    body: axum::body::to_bytes(sent, usize::MAX).await.unwrap(),
                };
                log.lock().unwrap().push(request);
                let answer = Response::builder().status(status);
                match body {
                    Some(body) => {
                        answer.header("content-type", "application/json").body(Body::from(body.to_string()))
                    }
                    None => answer.body(Body::empty()),
                }
                .unwrap()
            }
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { address, seen, task }
    }

    pub fn client(&self) -> Client {
        let settings = Settings::new(format!("http://{}", self.address), PROJECT);
        let credentials = Credentials::keys("AKOFTHETEST", "secret-of-the-test".into(), None);
        Client::new(settings, credentials, Budget::new(1000.0)).unwrap()
    }

    /// What was asked, when it was one thing.
    #[track_caller]
    pub fn only_request(&self) -> Asked {
        let seen = self.seen.lock().unwrap();
        assert_eq!(seen.len(), 1, "{seen:?}");
        seen[0].clone()
    }
}
