//! Checks of a configuration that types cannot make.

use std::fmt;

use secrecy::ExposeSecret as _;

use super::{AccessKey, ClockPace, Config, ConfigError, canonical_cloud, identity};
use crate::emulator::clouds::Cloud;

impl Config {
    /// Checks what the types cannot say.
    pub fn check(&self) -> Result<(), ConfigError> {
        if self.projects.is_empty() {
            return Err(wrong("projects", "is empty; name at least one project"));
        }
        for (index, project) in self.projects.iter().enumerate() {
            let at = |field: &str| format!("projects[{index}].{field}");
            if project.id.is_empty() || project.id.contains(['/', '?', '#', '%']) {
                return Err(wrong(at("id"), "must be a non-empty path segment"));
            }
            if self.projects[..index].iter().any(|other| other.id == project.id) {
                return Err(wrong(at("id"), "is used by an earlier project"));
            }
            if project.region.is_empty() {
                return Err(wrong(at("region"), "is empty; name a region such as cn-north-4"));
            }
            if project.access_keys.is_empty() {
                return Err(wrong(at("accessKeys"), "is empty; nobody could sign a call"));
            }
            check_keys(&project.access_keys, &at("accessKeys"))?;
            for key in &project.access_keys {
                let earlier = self.projects[..index].iter().flat_map(|other| &other.access_keys);
                if earlier.clone().any(|other| other.access == key.access && !same_secrets(other, key)) {
                    return Err(wrong(
                        at("accessKeys"),
                        format!("`{}` has another secret in an earlier project", key.access),
                    ));
                }
            }
        }
        for (index, store) in self.stores.iter().enumerate() {
            let at = |field: &str| format!("stores[{index}].{field}");
            check_cloud(&store.cloud_type, &at("cloudType"))?;
            let url = url::Url::parse(&store.endpoint)
                .map_err(|error| wrong(at("endpoint"), format!("is no URL: {error}")))?;
            if !matches!(url.scheme(), "http" | "https") {
                return Err(wrong(at("endpoint"), "must start with http:// or https://"));
            }
            check_keys(&store.access_keys, &at("accessKeys"))?;
        }
        for (index, store) in self.embedded_stores.iter().enumerate() {
            let at = |field: &str| format!("embeddedStores[{index}].{field}");
            check_cloud(&store.cloud_type, &at("cloudType"))?;
            if store.name.is_empty() || !store.name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
                return Err(wrong(at("name"), "must consist of letters, digits and hyphens"));
            }
            if self.embedded_stores[..index].iter().any(|other| other.name == store.name) {
                return Err(wrong(at("name"), "is used by an earlier store"));
            }
            if store.access_keys.is_empty() {
                return Err(wrong(at("accessKeys"), "is empty; nobody could use the store"));
            }
            check_keys(&store.access_keys, &at("accessKeys"))?;
        }
        if self.limits.connections == 0 || self.limits.arrival_ms == 0 {
            return Err(wrong("limits", "needs positive `connections` and `arrivalMs`"));
        }
        identity::check(&self.projects, &self.identity, &self.metadata)?;
        self.check_cdns()?;
        for cloud in &self.behaviour.without_restore {
            check_cloud(cloud, "behaviour.withoutRestore")?;
        }
        if !matches!(self.behaviour.not_found_status, 400 | 404) {
            return Err(wrong("behaviour.notFoundStatus", "must be 400 or 404"));
        }
        let sync = &self.behaviour.sync;
        if !matches!(sync.not_found_status, 400 | 403 | 404) {
            return Err(wrong("behaviour.sync.notFoundStatus", "must be 400, 403 or 404"));
        }
        for cloud in &sync.without_restore {
            check_cloud(cloud, "behaviour.sync.withoutRestore")?;
        }
        if let Some((field, problem)) = self.mover.problem() {
            return Err(wrong(format!("mover.{field}"), problem));
        }
        if let ClockPace::Scaled(scale) = self.clock
            && !(scale.is_finite() && scale > 0.0)
        {
            return Err(wrong("clock.scaled", "must be a positive number"));
        }
        if self.behaviour.object_rate.is_some_and(|rate| !(rate.is_finite() && rate > 0.0)) {
            return Err(wrong("behaviour.objectRate", "must be a positive number"));
        }
        if self.behaviour.group_task_objects == 0 {
            return Err(wrong("behaviour.groupTaskObjects", "must be a positive number"));
        }
        if self.limits.gateway.is_some_and(|limit| limit.requests == 0 || limit.minutes == 0) {
            return Err(wrong("limits.gateway", "needs positive numbers"));
        }
        Ok(())
    }
}

impl Config {
    fn check_cdns(&self) -> Result<(), ConfigError> {
        let check_domain = |domain: &str, field: String| {
            if domain.is_empty() || domain.contains(['/', ':', '?', '#', '%']) {
                return Err(wrong(field, "must be a domain without protocol, port and path"));
            }
            if self.domains().filter(|other| other.eq_ignore_ascii_case(domain)).count() > 1 {
                return Err(wrong(field, "is used by another CDN"));
            }
            Ok(())
        };
        for (index, cdn) in self.cdns.iter().enumerate() {
            check_domain(&cdn.domain, format!("cdns[{index}].domain"))?;
            if !url::Url::parse(&cdn.endpoint).is_ok_and(|url| matches!(url.scheme(), "http" | "https")) {
                return Err(wrong(
                    format!("cdns[{index}].endpoint"),
                    "must be a URL with http:// or https://",
                ));
            }
        }
        for (index, cdn) in self.embedded_cdns.iter().enumerate() {
            let at = |field: &str| format!("embeddedCdns[{index}].{field}");
            check_domain(&cdn.domain, at("domain"))?;
            if cdn.bucket.is_empty() {
                return Err(wrong(at("bucket"), "is empty; name the bucket behind the CDN"));
            }
            let names = self.stores.iter().filter_map(|store| store.name.as_deref());
            if !names
                .chain(self.embedded_stores.iter().map(|store| store.name.as_str()))
                .any(|name| name == cdn.store)
            {
                return Err(wrong(at("store"), "names no store of `stores` or `embeddedStores`"));
            }
            if cdn.authentication_type.needs_key() != cdn.authentication_key.is_some() {
                return Err(wrong(
                    at("authenticationKey"),
                    "is needed by every type but `NONE`, `QINIU_PRIVATE_AUTHENTICATION` and `KSYUN_PRIVATE_AUTHENTICATION`, \
                     which have none",
                ));
            }
        }
        Ok(())
    }

    fn domains(&self) -> impl Iterator<Item = &str> {
        let own = self.embedded_cdns.iter().map(|cdn| cdn.domain.as_str());
        self.cdns.iter().map(|cdn| cdn.domain.as_str()).chain(own)
    }
}

pub(super) fn wrong(field: impl Into<String>, problem: impl fmt::Display) -> ConfigError {
    ConfigError::Value { field: field.into(), problem: problem.to_string() }
}

fn same_secrets(one: &AccessKey, other: &AccessKey) -> bool {
    let token = |key: &AccessKey| key.security_token.as_ref().map(|token| token.expose_secret().to_owned());
    one.secret.expose_secret() == other.secret.expose_secret() && token(one) == token(other)
}

fn check_keys(keys: &[AccessKey], field: &str) -> Result<(), ConfigError> {
    for (index, key) in keys.iter().enumerate() {
        if key.access.is_empty() || key.access.contains(|c: char| c == ',' || c == '/' || c.is_whitespace()) {
            return Err(wrong(
                format!("{field}[{index}].access"),
                "must be a word without commas and slashes",
            ));
        }
        if key.secret.expose_secret().is_empty() {
            return Err(wrong(format!("{field}[{index}].secret"), "is empty"));
        }
    }
    Ok(())
}

fn check_cloud(name: &str, field: &str) -> Result<(), ConfigError> {
    if canonical_cloud(name).is_some() {
        Ok(())
    } else {
        Err(wrong(
            field,
            format!("`{name}` is unknown; use one of {}", Cloud::names(Cloud::has_buckets).join(", ")),
        ))
    }
}
