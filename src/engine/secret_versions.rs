//! Versions of Secrets: rotation is noticed by a metadata `get` of each distinct Secret that an unfinished object refers
//! to, however many objects do.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, ResourceExt};

use super::kubernetes::bounded;
use super::{Clock, Error, lock};

/// Namespace and name.
type Key = (String, String);

/// The version that a look found, `None` for a Secret that does not exist, and when.
type Look = Option<(Option<String>, Timestamp)>;

/// From so many Secrets on, those are forgotten that nobody asked about for a while.
const MANY: usize = 1_000;

/// What is known of Secrets.
#[derive(Default)]
pub(super) struct SecretVersions(Mutex<HashMap<Key, Arc<tokio::sync::Mutex<Look>>>>);

impl SecretVersions {
    /// The version of a Secret, not older than `age`; who asks at the same time shares one look.
    pub(super) async fn version(
        &self,
        client: &kube::Client,
        (namespace, name): (&str, &str),
        age: Duration,
        clock: &Clock,
    ) -> Result<Option<String>, Error> {
        let entry = {
            let mut looks = lock(&self.0);
            if looks.len() > MANY {
                looks.retain(|_, look| Arc::strong_count(look) > 1);
            }
            Arc::clone(looks.entry((namespace.to_owned(), name.to_owned())).or_default())
        };
        let mut look = entry.lock().await;
        let now = clock.now();
        if let Some((version, at)) = &*look
            && Duration::try_from(now.duration_since(*at)).unwrap_or_default() < age
        {
            return Ok(version.clone());
        }
        let secrets: Api<Secret> = Api::namespaced(client.clone(), namespace);
        let found =
            bounded(secrets.get_metadata_opt(name), |source| Error::Read { what: "a Secret", source })
                .await?;
        let version = found.and_then(|secret| secret.resource_version());
        *look = Some((version.clone(), now));
        Ok(version)
    }
}
