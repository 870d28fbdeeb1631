//! Accepts connections, which can be cut as faults demand.

use std::{sync::Arc, time::Duration};

use http::Request;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};

use super::{FAREWELL, Observer, call::Call};
use crate::emulator::{route::Door, service::Service};

/// A request must have arrived whole in this time.
pub(super) const ARRIVAL: Duration = Duration::from_secs(30);

/// Accepts connections until the service stops.
pub(super) async fn serve(
    listener: TcpListener,
    door: Door,
    service: Arc<Service>,
    observer: Option<Observer>,
) {
    let connections = tokio_util::task::TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            () = service.stopping.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                connections.spawn(serve_connection(stream, door, Arc::clone(&service), observer.clone()));
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
pub(super) struct Cut;

async fn serve_connection(stream: TcpStream, door: Door, service: Arc<Service>, observer: Option<Observer>) {
    // Answers are small and wait for nothing.
    let _ = stream.set_nodelay(true);
    let answering = Arc::clone(&service);
    let connection =
        http1::Builder::new().timer(TokioTimer::new()).header_read_timeout(ARRIVAL).serve_connection(
            TokioIo::new(stream),
            service_fn(move |request: Request<Incoming>| {
                let (service, observer) = (Arc::clone(&answering), observer.clone());
                // In a task of its own, so that a call is carried out and journaled whole even if the caller goes away.
                let answer = tokio::spawn(async move {
                    Call::new(&service, observer.as_ref(), door, &request).answer(request).await
                });
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
