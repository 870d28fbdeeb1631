//! Reading the keys that go to OMS, at the moment of use.

use kube::ResourceExt;

use super::{Pass, Transfer};
use crate::api::conditions::Reason;
use crate::api::{self, CloudType};
use crate::engine::Error;
use crate::engine::secrets::{self, BucketKeys};
use crate::engine::wire::TransferKeys;
use crate::plan::seen::Keys;

impl<K: Transfer> Pass<'_, K> {
    /// Reads the keys of source, CDN and destination.
    pub(super) async fn read_keys(&mut self) -> Result<(), Error> {
        let namespace = self.object.namespace().unwrap_or_default();
        let client = &self.engine.client;
        let salt = format!("{}/{}", self.engine.settings.cluster_id, self.object.uid().unwrap_or_default());
        let buckets = self.object.buckets();
        let mut observed = Vec::new();
        let mut source_keys = None;
        if let Some((credentials, cloud)) = buckets.source {
            let place = ("source", "source.credentials.secretRef", salt.as_str());
            match secrets::read_bucket(client, &namespace, credentials, cloud, place).await? {
                Ok(read) if read.keys.are_temporary() && !K::KIND.takes_temporary_keys() => {
                    let (reason, message) =
                        secrets::temporary(K::KIND.as_str(), &credentials.secret_ref, place.1);
                    self.keys = Keys::Missing { reason, message };
                    return Ok(());
                }
                Ok(read) => {
                    observed.push(read.observed);
                    source_keys = Some(read.keys);
                }
                Err((reason, message)) => {
                    self.keys = Keys::Missing { reason, message };
                    return Ok(());
                }
            }
        }
        let mut cdn_key = None;
        if let Some(cdn) = buckets.cdn {
            match secrets::read_cdn(client, &namespace, cdn, &salt).await? {
                Ok(None) => {}
                Ok(Some(read)) => {
                    observed.push(read.observed);
                    cdn_key = Some(read.keys);
                }
                Err((reason, message)) => {
                    self.keys = Keys::Missing { reason, message };
                    return Ok(());
                }
            }
        }
        let destination_keys = if let Some(credentials) = buckets.destination {
            let place = ("destination", "destination.credentials.secretRef", salt.as_str());
            let cloud = CloudType::HuaweiCloud;
            match secrets::read_bucket(client, &namespace, credentials, cloud, place).await? {
                Ok(read) if read.keys.are_temporary() && !K::KIND.takes_temporary_keys() => {
                    let (reason, message) =
                        secrets::temporary(K::KIND.as_str(), &credentials.secret_ref, place.1);
                    self.keys = Keys::Missing { reason, message };
                    return Ok(());
                }
                Ok(read) => {
                    observed.push(read.observed);
                    read.keys
                }
                Err((reason, message)) => {
                    self.keys = Keys::Missing { reason, message };
                    return Ok(());
                }
            }
        } else if let Some(own) = self.session.as_ref().and_then(|session| session.bucket_keys.clone()) {
            observed.push(api::ObservedCredentials {
                role: "destination".into(),
                secret_name: own.secret,
                resource_version: own.version,
                digest: own.keys.digest(None, &salt),
            });
            own.keys
        } else {
            let message = "The connection's credentials are no permanent access key and cannot serve for the destination \
                           bucket, as OMS would outlive them. Set `destination.credentials.secretRef`";
            self.keys = Keys::Missing { reason: Reason::SecretKeyMissing, message: message.into() };
            return Ok(());
        };
        if !matches!(destination_keys, BucketKeys::Pair { .. }) {
            let (reason, message) = secrets::lacks("?", "accessKey", "destination.credentials.secretRef");
            self.keys = Keys::Missing { reason, message };
            return Ok(());
        }
        self.sendable =
            Some(TransferKeys { source: source_keys, cdn: cdn_key, destination: destination_keys });
        self.keys = Keys::Ready(observed);
        Ok(())
    }
}
