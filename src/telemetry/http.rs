//! The operator's own HTTP surface: `/metrics`, `/healthz`, `/readyz`.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use axum::Router;
use axum::extract::State;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;

use super::metrics::Format;
use super::{Health, Metrics};

#[derive(Clone)]
struct Served {
    metrics: Metrics,
    health: Health,
}

/// Starts to serve on `listen` and answers with the address that was bound (port 0 takes a free one).
///
/// Serves until the process ends, so that the last figures can be read during a clean end. Fails when the address
/// cannot be bound.
pub async fn serve(listen: SocketAddr, metrics: Metrics, health: Health) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind(listen).await?;
    let bound = listener.local_addr()?;
    let app = Router::new()
        .route("/metrics", get(render))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .with_state(Served { metrics, health });
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, app).await {
            tracing::error!(%error, "metrics and health are no longer served");
        }
    });
    Ok(bound)
}

async fn render(State(served): State<Served>, headers: HeaderMap) -> impl IntoResponse {
    let format = Format::accepted(headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()));
    ([(CONTENT_TYPE, format.media_type())], served.metrics.render(format))
}

async fn healthz(State(served): State<Served>) -> (StatusCode, String) {
    let stale = served.health.stale();
    if stale.is_empty() {
        return (StatusCode::OK, "ok\n".to_owned());
    }
    let lines: Vec<_> = stale.iter().map(ToString::to_string).collect();
    (StatusCode::SERVICE_UNAVAILABLE, lines.join("\n") + "\n")
}

async fn readyz(State(served): State<Served>) -> (StatusCode, String) {
    let why = served.health.hindered_by();
    if why.is_empty() {
        (StatusCode::OK, "ok\n".to_owned())
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, why.join("\n") + "\n")
    }
}

/// Writes `{"metrics":"http://127.0.0.1:PORT"}` to `path`, whole or not at all. To be called once the operator
/// serves and its caches are in sync; an unspecified address is written as loopback.
pub fn write_ready_file(path: &Path, bound: SocketAddr) -> io::Result<()> {
    let ip = match bound.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    let content = serde_json::json!({ "metrics": format!("http://{}", SocketAddr::new(ip, bound.port())) });
    let mut partial = path.as_os_str().to_owned();
    partial.push(format!(".{}.partial", std::process::id()));
    std::fs::write(&partial, format!("{content}\n"))?;
    std::fs::rename(&partial, path).inspect_err(|_| {
        let _ = std::fs::remove_file(&partial);
    })
}
