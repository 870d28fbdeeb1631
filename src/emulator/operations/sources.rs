//! What create operations check of a source, and the check of a CDN by itself. Whether objects can be had shows when a
//! task runs.

use percent_encoding::utf8_percent_encode;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;

use super::Done;
use crate::emulator::{
    cdn::{
        Problem,
        sign::{IN_PATH, Scheme, Secrets},
    },
    config::Project,
    mover::Keys,
    service::Service,
    wire::{
        members::parse,
        refusal::{CDN_CHECK, RESTORE_UNSUPPORTED, Refusal},
        request::{Cdn, Definition, TaskKeys, buckets::ShowCdnInfo},
    },
};

impl Service {
    /// Checks what a task or a group is told of its source, apart from what its regions say.
    pub(super) async fn check_source(&self, definition: &Definition, keys: &TaskKeys) -> Result<(), Refusal> {
        if definition.enable_restore && self.config.behaviour.cannot_restore(&definition.cloud_type) {
            return Err(RESTORE_UNSUPPORTED);
        }
        let Some(cdn) = &definition.cdn else { return Ok(()) };
        let (cloud, region) = (definition.cloud_type.as_str(), definition.source_region.as_str());
        // Bad credentials of the source are for the task to find.
        let pair = self.stores.find(cloud, region).and_then(|store| keys.source.open(store).ok());
        self.check_cdn(cdn, keys.cdn.as_ref(), pair.as_ref(), &definition.source_bucket).await
    }

    /// Checks that somebody answers for the domain of a CDN and accepts the key. Without a CDN in the configuration nothing
    /// is known of any.
    pub(super) async fn check_cdn(
        &self,
        cdn: &Cdn,
        key: Option<&SecretString>,
        pair: Option<&Keys>,
        bucket: &str,
    ) -> Result<(), Refusal> {
        let cdns = self.stores.cdns();
        if cdns.is_empty() {
            return Ok(());
        }
        let secrets = (key, pair);
        self.look_through(cdn, secrets, bucket, "/").await.map(drop)
    }

    /// Asks a CDN for the first byte of what is at a path (percent-encoded, with its leading slash).
    async fn look_through(
        &self,
        cdn: &Cdn,
        (key, pair): (Option<&SecretString>, Option<&Keys>),
        bucket: &str,
        path: &str,
    ) -> Result<reqwest::Response, Refusal> {
        let cdns = self.stores.cdns();
        if cdns.find(&cdn.domain).is_none() {
            return Err(CDN_CHECK.with_detail(format!(
                "oms-emulator knows no CDN with the domain {}: add it to `cdns` or `embeddedCdns`.",
                cdn.domain
            )));
        }
        let scheme = Scheme::named(&cdn.authentication_type).unwrap_or(Scheme::None);
        let secrets = Secrets {
            key: key.map_or("", |key| key.expose_secret()),
            access_key: pair.map_or("", |pair| pair.access_key.as_str()),
            secret_key: pair.map_or("", |pair| pair.secret_key.expose_secret()),
        };
        let look = cdns.look(&cdn.domain, &cdn.protocol, (scheme, secrets), bucket, path);
        look.await.map_err(|_: Problem| CDN_CHECK)
    }

    /// Whether a CDN serves the objects of a bucket (OMS API reference 5.6.2). A negative finding is no error, but a
    /// domain that nobody answers for is, and so is a key that is not accepted.
    pub(super) async fn show_cdn_info(&self, project: &Project, body: &[u8]) -> Result<Done, Refusal> {
        let request = ShowCdnInfo::read(&parse(body, false)?)?;
        self.check_attempts(project)?;
        let (store, keys) = self.store_of(&request.account, &request.region)?;
        let place = (store, request.region.as_str(), request.bucket.as_str());
        let listed = self.stores.has_prefix(place, "", &keys).await;
        self.looked(project, listed)?;
        let (cdn, bucket) = (&request.cdn, request.bucket.as_str());
        let secrets = (request.cdn_key.as_ref(), Some(&keys));
        self.look_through(cdn, secrets, bucket, "/").await?;
        let mut checked = Vec::new();
        for key in &request.keys {
            let path = format!("/{}", utf8_percent_encode(key, IN_PATH));
            let served = self.look_through(cdn, secrets, bucket, &path).await.ok();
            let served = served.filter(|answer| answer.status().is_success());
            let etag =
                served.as_ref().and_then(|answer| answer.headers().get(http::header::ETAG)?.to_str().ok());
            let stored = self.stores.etag(place, key, &keys).await;
            checked.push(json!({
                "key": key,
                "is_object_existing": served.is_some(),
                "is_etag_matching": etag.is_some() && etag == stored.as_deref(),
            }));
        }
        let scheme = Scheme::named(&cdn.authentication_type).unwrap_or(Scheme::None);
        Ok(Done::read(json!({
            "is_same_cloud_type": scheme.cloud().is_none_or(|cloud| cloud == request.account.cloud_type),
            "is_download_available": true,
            "checked_keys": checked,
        })))
    }
}
