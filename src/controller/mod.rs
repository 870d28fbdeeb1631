//! Streams and wiring.

use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::telemetry::{Health, Metrics, http};

/// Runs until `stop` is cancelled.
pub async fn run(config: Config, stop: CancellationToken) -> std::io::Result<()> {
    let bound = http::serve(config.metrics_listen, Metrics::new(), Health::new()).await?;
    tracing::info!(address = %bound, "serving");
    stop.cancelled().await;
    Ok(())
}
