//! Reading the keys that go to OMS, at the moment of use.

use std::time::Duration;

use kube::ResourceExt;

use super::{Pass, Transfer};
use crate::api::conditions::{Reason, types};
use crate::api::{self, CloudType};
use crate::engine::Error;
use crate::engine::secrets::{self, BucketKeys, Purpose};
use crate::engine::wire::TransferKeys;
use crate::plan::seen::Keys;
use crate::plan::situation;
use crate::plan::transfer::keys_differ;

impl<K: Transfer> Pass<'_, K> {
    /// Reads the keys of a task that OMS has when a Secret has another version than the one that was sent, once for each
    /// version: a relabelled Secret has another one, too.
    pub(super) async fn look_for_rotation(&mut self) -> Result<(), Error> {
        let Some(status) = self.object.status().filter(|status| status.task_id.is_some()) else {
            return Ok(());
        };
        let lifecycle = self.object.lifecycle();
        let ignores = lifecycle.on_credential_change == api::OnCredentialChange::Ignore;
        let observes = lifecycle.management_policy == api::ManagementPolicy::Observe;
        if self.is_deleted() || observes || ignores {
            return Ok(());
        }
        let meta = self.object.meta();
        let requested = meta.annotations.as_ref().and_then(|all| all.get(api::RECONCILE_REQUESTED_AT));
        let asked = requested != status.last_handled_reconcile_at.as_ref()
            || meta.generation.is_some_and(|generation| generation != status.observed_generation);
        let age = if asked { Duration::ZERO } else { self.engine.settings.policy.secret_check_interval };
        let buckets = self.object.buckets();
        let cdn = buckets.cdn.and_then(|cdn| cdn.authentication_key.as_ref());
        let named = [
            ("source", buckets.source.map(|(credentials, _)| credentials.secret_ref.name.as_str())),
            ("cdn", cdn.map(|key| key.secret_ref.name.as_str())),
            ("destination", buckets.destination.map(|credentials| credentials.secret_ref.name.as_str())),
        ];
        let namespace = self.object.namespace().unwrap_or_default();
        let mut versions = Vec::new();
        for (role, name) in named.into_iter().filter_map(|(role, name)| Some((role, name?))) {
            let (client, clock) = (&self.engine.client, &self.engine.clock);
            let secret = (namespace.as_str(), name);
            let version = self.engine.secret_versions.version(client, secret, age, clock).await?;
            // One that does not exist says nothing about the keys that OMS has.
            versions.extend(version.map(|version| (role.to_owned(), version)));
        }
        if buckets.destination.is_none()
            && let Some(own) = self.session.as_ref().and_then(|session| session.bucket_keys.as_ref())
        {
            versions.push(("destination".to_owned(), own.version.clone()));
        }
        let sent = |role: &str| {
            let sent = status.observed_credentials.iter().find(|sent| sent.role == role);
            sent.map(|sent| sent.resource_version.as_str())
        };
        let moved = versions.iter().any(|(role, version)| sent(role) != Some(version.as_str()));
        if moved && (asked || versions != self.memory.keys_checked) {
            self.read_keys().await?;
            if self.is_comparison_told() {
                self.memory.keys_checked = versions;
            }
        }
        Ok(())
    }

    /// Whether the status tells what comparing the keys shows. A pass that could not tell it leaves that to the next one.
    fn is_comparison_told(&self) -> bool {
        let (Keys::Ready(keys), Some(status)) = (&self.keys, self.object.status()) else { return false };
        let told = situation::find(&status.conditions, types::CREDENTIALS_PENDING).is_some();
        let sent = &status.observed_credentials;
        sent.is_empty() || keys_differ(keys, sent) == told
    }

    /// Reads the keys of source, CDN and destination.
    pub(super) async fn read_keys(&mut self) -> Result<(), Error> {
        let namespace = self.object.namespace().unwrap_or_default();
        let (client, now) = (&self.engine.client, self.engine.clock.now());
        let salt = format!("{}/{}", self.engine.settings.cluster_id, self.object.uid().unwrap_or_default());
        let buckets = self.object.buckets();
        let mut observed = Vec::new();
        let mut source_keys = None;
        if let Some((credentials, cloud)) = buckets.source {
            let field = "source.credentials.secretRef";
            let purpose = Purpose { role: "source", field, salt: &salt, now };
            match secrets::read_bucket(client, &namespace, credentials, cloud, purpose).await? {
                Ok(read) if read.keys.are_temporary() && !K::KIND.takes_temporary_keys() => {
                    let (reason, message) =
                        secrets::temporary(K::KIND.as_str(), &credentials.secret_ref, field);
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
            let field = "destination.credentials.secretRef";
            let purpose = Purpose { role: "destination", field, salt: &salt, now };
            let cloud = CloudType::HuaweiCloud;
            match secrets::read_bucket(client, &namespace, credentials, cloud, purpose).await? {
                Ok(read) if read.keys.are_temporary() && !K::KIND.takes_temporary_keys() => {
                    let (reason, message) =
                        secrets::temporary(K::KIND.as_str(), &credentials.secret_ref, field);
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
                expires_at: None,
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
