//! An S3 server of its own: the object stores of a laptop.
//!
//! It holds every key that S3 allows (keys are never paths here), in memory with the bytes in files, and keeps what it
//! holds over a restart when it is given a folder.
mod answer;
mod backend;
mod behaviour;
mod blob;
mod buckets;
mod index;
mod listing;
mod objects;
mod service;
mod uploads;

use std::collections::HashMap;
use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::error_handling::HandleError;
use axum::serve::ListenerExt;
use jiff::Timestamp;
use s3s::auth::{S3Auth, SecretKey};
use s3s::service::S3ServiceBuilder;
use s3s::{S3Result, s3_error};
use secrecy::{ExposeSecret, SecretString};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use self::backend::Backend;
use self::behaviour::{Conduct, Doorkeeper};
use self::blob::Blobs;
use self::index::{Index, Record};

pub use self::behaviour::{BucketBehaviour, StoreBehaviour, StoreClock, Unavailable, UnavailableCode};

/// How long [`EmbeddedStore::shutdown`] waits for requests under way.
const GRACE: Duration = Duration::from_secs(5);

/// What an embedded store is made of.
#[derive(Debug, Clone)]
pub struct StoreConfig {
    /// Name, for messages only.
    pub name: String,
    /// Folder that holds the objects; `None` for a temporary one that goes with the store.
    pub dir: Option<PathBuf>,
    /// Address to listen on; port 0 picks a free one.
    pub listen: SocketAddr,
    /// Access key IDs with their secret keys; any of them may do everything, in any region.
    pub access_keys: Vec<(String, SecretString)>,
}

/// Why a store did not start.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The folder cannot be used.
    #[error("store `{store}` cannot use the folder `{}`: {source}", .dir.display())]
    Dir {
        /// Name of the store.
        store: String,
        /// The folder.
        dir: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// Another process has the folder.
    #[error("store `{store}` cannot use the folder `{}`: another process has it open", .dir.display())]
    Locked {
        /// Name of the store.
        store: String,
        /// The folder.
        dir: PathBuf,
    },
    /// The address cannot be bound.
    #[error("store `{store}` cannot listen on {listen}: {source}")]
    Listen {
        /// Name of the store.
        store: String,
        /// The address.
        listen: SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
}

/// What is known of a stored object, for tests and inspection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredObject {
    /// Bytes.
    pub size: u64,
    /// ETag without quotes.
    pub etag: String,
    /// S3 storage class.
    pub storage_class: String,
    /// When it was written.
    pub last_modified: Timestamp,
    /// How often this key was written since it last came to be, this object included.
    pub writes: u64,
}

/// A running store; ends with [`EmbeddedStore::shutdown`] or when dropped.
#[derive(Debug)]
pub struct EmbeddedStore {
    address: SocketAddr,
    backend: Backend,
    stop: watch::Sender<bool>,
    server: JoinHandle<()>,
    // Order matters: these go after the server.
    _lock: Option<File>,
    _temporary: Option<TempDir>,
}

impl EmbeddedStore {
    /// Opens the folder and starts to listen.
    ///
    /// # Errors
    /// When the folder cannot be used or the address cannot be bound.
    pub async fn start(config: StoreConfig) -> Result<Self, StoreError> {
        let StoreConfig { name, dir, listen, access_keys } = config;
        let (opened, shown) = match dir {
            Some(dir) => {
                let opened = {
                    let dir = dir.clone();
                    tokio::task::spawn_blocking(move || open_kept(&dir)).await
                };
                (opened, dir)
            }
            None => (tokio::task::spawn_blocking(open_temporary).await, std::env::temp_dir()),
        };
        let opened = opened.unwrap_or_else(|error| Err(std::io::Error::other(error)));
        let opened = opened.map_err(|source| match source.kind() {
            std::io::ErrorKind::WouldBlock => StoreError::Locked { store: name.clone(), dir: shown.clone() },
            _ => StoreError::Dir { store: name.clone(), dir: shown.clone(), source },
        })?;
        let bound = |source| StoreError::Listen { store: name.clone(), listen, source };
        let listener = TcpListener::bind(listen).await.map_err(bound)?;
        let address = listener.local_addr().map_err(bound)?;
        let backend = Backend::new(opened.index, opened.blobs);
        let mut service = S3ServiceBuilder::new(backend.clone());
        service.set_auth(KnownKeys(access_keys.into_iter().collect()));
        service.set_access(Doorkeeper(Arc::clone(&backend.conduct)));
        let app = Router::new()
            .fallback_service(HandleError::new(service.build(), |_: s3s::HttpError| async {
                http::StatusCode::INTERNAL_SERVER_ERROR
            }));
        let (stop, mut stopped) = watch::channel(false);
        // Without this every small answer on a kept-alive connection waits for a delayed acknowledgement.
        let listener = listener.tap_io(|tcp| {
            let _ = tcp.set_nodelay(true);
        });
        let server = tokio::spawn(async move {
            let served = axum::serve(listener, app)
                .with_graceful_shutdown(async move {
                    let _ = stopped.wait_for(|stop| *stop).await;
                })
                .await;
            if let Err(error) = served {
                tracing::error!(store = name, %error, "The store stopped serving");
            }
        });
        Ok(Self { address, backend, stop, server, _lock: opened.lock, _temporary: opened.temporary })
    }

    /// Base URL, such as `http://127.0.0.1:40123`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How the store behaves, to be looked at and changed while it runs.
    pub fn handle(&self) -> StoreHandle {
        StoreHandle(Arc::clone(&self.backend.conduct))
    }

    /// What is known of an object, or `None` when there is none.
    pub fn object(&self, bucket: &str, key: &str) -> Option<StoredObject> {
        let index = self.backend.read_index();
        let object = index.buckets.get(bucket)?.objects.get(key)?;
        Some(StoredObject {
            size: object.record.size,
            etag: object.record.etag.clone(),
            storage_class: object.record.storage_class.clone(),
            last_modified: object.record.last_modified,
            writes: object.record.writes,
        })
    }

    /// A value of an object's user metadata, as it is kept.
    pub fn metadata(&self, bucket: &str, key: &str, name: &str) -> Option<String> {
        let index = self.backend.read_index();
        index.buckets.get(bucket)?.objects.get(key)?.record.headers.metadata.get(name).cloned()
    }

    /// Puts empty objects into a bucket without a request each, so that a bucket of a hundred thousand is quickly made.
    ///
    /// # Errors
    /// When the log cannot be written. Without the bucket nothing happens.
    pub fn add_empty_objects(
        &self,
        bucket: &str,
        keys: impl IntoIterator<Item = String>,
        last_modified: Timestamp,
    ) -> std::io::Result<()> {
        let mut index = self.backend.write_index();
        for key in keys {
            index.put(bucket, &key, Record::empty(last_modified), Vec::new())?;
        }
        Ok(())
    }

    /// Pretends that an object was written at another time; says whether it exists.
    ///
    /// # Errors
    /// When the log cannot be written.
    pub fn set_last_modified(&self, bucket: &str, key: &str, when: Timestamp) -> std::io::Result<bool> {
        self.backend.write_index().amend(bucket, key, |record| record.last_modified = when)
    }

    /// Stops listening, waits a few seconds for requests under way, then ends.
    pub async fn shutdown(mut self) {
        let _ = self.stop.send(true);
        let _ = tokio::time::timeout(GRACE, &mut self.server).await;
    }
}

/// How a running store behaves. Clones share it.
#[derive(Debug, Clone)]
pub struct StoreHandle(Arc<Conduct>);

impl StoreHandle {
    /// The behaviour in force, with what is left of counts.
    pub fn behaviour(&self) -> StoreBehaviour {
        self.0.get()
    }

    /// Behaves so from the next request on.
    pub fn set_behaviour(&self, behaviour: StoreBehaviour) {
        self.0.set(behaviour);
    }

    /// Restores take their time on this clock. Default: the wall's.
    pub fn set_clock(&self, clock: StoreClock) {
        self.0.set_clock(clock);
    }
}

impl Drop for EmbeddedStore {
    fn drop(&mut self) {
        self.server.abort();
    }
}

struct Opened {
    index: Index,
    blobs: Blobs,
    lock: Option<File>,
    temporary: Option<TempDir>,
}

fn open_kept(dir: &Path) -> std::io::Result<Opened> {
    std::fs::create_dir_all(dir)?;
    let lock = File::create(dir.join("lock"))?;
    lock.try_lock().map_err(std::io::Error::from)?;
    let (index, blobs) = Index::open(dir)?;
    Ok(Opened { index, blobs, lock: Some(lock), temporary: None })
}

fn open_temporary() -> std::io::Result<Opened> {
    let temporary = tempfile::Builder::new().prefix("oms-store-").tempdir()?;
    let blobs = Blobs::open(temporary.path().join("objects"), &std::collections::HashSet::new())?;
    Ok(Opened { index: Index::in_memory(), blobs, lock: None, temporary: Some(temporary) })
}

struct KnownKeys(HashMap<String, SecretString>);

#[async_trait::async_trait]
impl S3Auth for KnownKeys {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        self.0.get(access_key).map(|secret| SecretKey::from(secret.expose_secret())).ok_or_else(|| {
            s3_error!(InvalidAccessKeyId, "The access key ID you provided does not exist in our records")
        })
    }
}
