//! CDNs in front of source buckets.

use std::net::SocketAddr;

use secrecy::SecretString;
use serde::Deserialize;

use super::project::optional_secret;
use crate::emulator::cdn::sign::Scheme;

/// An HTTP server that stands for the domain of a CDN.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Cdn {
    /// The domain, as tasks name it.
    pub domain: String,
    /// The server: `http://127.0.0.1:8080`. It is asked whatever protocol a task names.
    pub endpoint: String,
}

/// A CDN that the emulator starts over a bucket of one of its stores.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EmbeddedCdn {
    /// Name in the ready file.
    pub name: String,
    /// The domain, as tasks name it.
    pub domain: String,
    /// Name of the store behind it, of `stores` or `embeddedStores`.
    pub store: String,
    /// The bucket behind it.
    pub bucket: String,
    /// How requests must be signed. Default `NONE`.
    #[serde(default = "unsigned")]
    pub authentication_type: Scheme,
    /// The key that they are signed with; for `AZURE_SAS_TOKEN` the token itself. Not for `NONE`, Qiniu and Kingsoft,
    /// which use the keys of the store.
    #[serde(default, deserialize_with = "optional_secret")]
    pub authentication_key: Option<SecretString>,
    /// Where it listens. Default: a free port of 127.0.0.1.
    #[serde(default)]
    pub listen: Option<SocketAddr>,
}

fn unsigned() -> Scheme {
    Scheme::None
}
