//! Accepts connections, which can be cut as faults demand, in memory that is bounded however many there are.

use std::{sync::Arc, time::Duration};

use http::Request;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};

use super::{
    FAREWELL, Observer,
    body::{BodyError, BodyRoom, WholeBody},
    call::Call,
};
use crate::emulator::{
    route::Door,
    service::Service,
    wire::refusal::{BODY_BROKEN, BODY_TOO_LARGE, BODY_TOO_SLOW, Refusal, TOO_MANY_CONNECTIONS},
};

/// What a connection buffers of a head that has not come whole; beyond it HTTP itself answers 431.
const READ_BUFFER: usize = 64 * 1024;
/// How long a connection that is one too many may take to take its refusal.
const TURNED_AWAY: Duration = Duration::from_secs(1);

/// A port, and what all of its connections share.
pub(super) struct Gateway {
    pub(super) door: Door,
    pub(super) service: Arc<Service>,
    pub(super) observer: Option<Observer>,
    bodies: BodyRoom,
    places: Arc<Semaphore>,
    arrival: Duration,
}

/// The connection is to be cut without an answer.
#[derive(Debug, thiserror::Error)]
#[error("connection cut")]
pub(super) struct Cut;

impl Gateway {
    pub(super) fn new(door: Door, service: Arc<Service>, observer: Option<Observer>) -> Arc<Self> {
        let limits = &service.config.limits;
        Arc::new(Self {
            door,
            bodies: BodyRoom::default(),
            places: Arc::new(Semaphore::new(limits.connections.min(Semaphore::MAX_PERMITS))),
            arrival: Duration::from_millis(limits.arrival_ms),
            service,
            observer,
        })
    }

    /// Accepts connections until the service stops.
    pub(super) async fn serve(self: Arc<Self>, listener: TcpListener) {
        let connections = tokio_util::task::TaskTracker::new();
        loop {
            let accepted = tokio::select! {
                () = self.service.stopping.cancelled() => break,
                accepted = listener.accept() => accepted,
            };
            match (accepted, Arc::clone(&self.places).try_acquire_owned()) {
                (Ok((stream, _)), Ok(place)) => {
                    connections.spawn(Arc::clone(&self).serve_connection(stream, place));
                }
                (Ok((stream, _)), Err(_)) => {
                    connections.spawn(turn_away(stream));
                }
                (Err(error), _) => {
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

    /// Reads a body of at most `longest` bytes, in time and within the room there is.
    pub(super) async fn read_body(&self, body: &mut Incoming, longest: usize) -> Result<WholeBody, Refusal> {
        self.bodies.read(body, longest, Instant::now() + self.arrival).await.map_err(|error| match error {
            BodyError::TooLarge => BODY_TOO_LARGE,
            BodyError::TooSlow => BODY_TOO_SLOW,
            BodyError::Broken => BODY_BROKEN,
        })
    }

    async fn serve_connection(self: Arc<Self>, stream: TcpStream, _place: OwnedSemaphorePermit) {
        // Answers are small and wait for nothing.
        let _ = stream.set_nodelay(true);
        let answering = Arc::clone(&self);
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.arrival)
            .max_buf_size(READ_BUFFER)
            .serve_connection(
                TokioIo::new(stream),
                service_fn(move |request: Request<Incoming>| {
                    let gateway = Arc::clone(&answering);
                    // In a task of its own, so that a call is carried out and journaled whole even if the caller goes
                    // away.
                    let answer =
                        tokio::spawn(async move { Call::new(&gateway, &request).answer(request).await });
                    async move { answer.await.unwrap_or(Err(Cut)) }
                }),
            );
        let mut connection = std::pin::pin!(connection);
        tokio::select! {
            // A cut connection ends with the error that cut it.
            _ = connection.as_mut() => return,
            () = self.service.stopping.cancelled() => connection.as_mut().graceful_shutdown(),
        }
        let _ = connection.await;
    }
}

/// Tells one connection too many that it is. It is read a little first: what is left unread when a connection is closed
/// would take the answer with it.
async fn turn_away(mut stream: TcpStream) {
    let body = TOO_MANY_CONNECTIONS.body("").to_string();
    let answer = format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    let _ = tokio::time::timeout(TURNED_AWAY, async {
        let mut ignored = [0; 4096];
        let _ = stream.read(&mut ignored).await;
        let _ = stream.write_all(answer.as_bytes()).await;
        let _ = stream.shutdown().await;
    })
    .await;
}
