//! S3 endpoints, and the cloud and region each stands for.

use std::{net::SocketAddr, path::PathBuf};

use serde::Deserialize;

use super::AccessKey;
use crate::emulator::{clouds::Cloud, store::StoreBehaviour};

/// An S3 endpoint that stands for a cloud's object storage.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Store {
    /// Name in the ready file. Default: `store-1`, `store-2`, and so on.
    #[serde(default)]
    pub name: Option<String>,
    /// The cloud, in OMS's spelling (`AWS`, `HuaweiCloud`, ...); case does not matter. Destinations are always
    /// `HuaweiCloud`, which may also be written `OBS`.
    pub cloud_type: String,
    /// The region, or `*` for every region that no other store of the cloud names.
    #[serde(default = "every_region")]
    pub region: String,
    /// The S3 endpoint, path style: `http://127.0.0.1:9000`.
    pub endpoint: String,
    /// Key pairs of the store, the first of which goes into the ready file. The store itself decides which keys it
    /// accepts.
    #[serde(default)]
    pub access_keys: Vec<AccessKey>,
}

/// An S3 endpoint that the emulator starts.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EmbeddedStore {
    /// Name in the ready file.
    pub name: String,
    /// The folder with the objects. Default: a temporary folder that goes when the emulator ends, or a folder in
    /// `--state` when there is one.
    #[serde(default)]
    pub dir: Option<PathBuf>,
    /// Where it listens. Default: a free port of 127.0.0.1.
    #[serde(default)]
    pub listen: Option<SocketAddr>,
    /// The cloud it stands for, see [`Store::cloud_type`].
    pub cloud_type: String,
    /// The region it stands for, or `*`.
    #[serde(default = "every_region")]
    pub region: String,
    /// The key pairs it accepts. At least one.
    pub access_keys: Vec<AccessKey>,
    /// What it refuses and how long things take; can be changed while it runs. Default: it does what it is asked.
    #[serde(default)]
    pub behaviour: StoreBehaviour,
}

/// The spelling of a cloud with buckets in the tasks API, for any spelling that somebody might use.
pub fn canonical_cloud(name: &str) -> Option<&'static str> {
    Cloud::spelled(name).filter(|cloud| cloud.has_buckets()).map(|cloud| cloud.name)
}

fn every_region() -> String {
    "*".to_owned()
}
