//! OMS's checks before a create, as calls.

use std::time::Duration;

use jiff::Timestamp;
use secrecy::ExposeSecret as _;
use sha2::{Digest as _, Sha256};

use super::{Pass, Transfer};
use crate::api;
use crate::engine::Action;
use crate::engine::findings::{Begin, Question};
use crate::engine::secrets::BucketKeys;
use crate::engine::wire::{self, TransferKeys};
use crate::oms::{
    self, BucketAccess, CheckPrefix, CheckUrlSourceListFileFormat, Client, ShowBucketObjects, ShowCdnInfo,
    Urgency,
};
use crate::plan::preflight::{Check, Finding, Outcome};
use crate::plan::seen::{Call, Link, Trouble};
use crate::plan::transfer::judge_check;
use crate::plan::wish::Places;

/// How long a pass waits for a check of another one, should it not be woken.
const BUSY: Duration = Duration::from_secs(5);

/// How many objects are fetched through a CDN to try it.
const CDN_OBJECTS: usize = 3;

/// Words for what no check of OMS takes but one.
const TEMPORARY: &str = "OMS takes no temporary keys for this check";

impl<K: Transfer> Pass<'_, K> {
    /// Makes a check, or takes what another object learned from the same one.
    pub(super) async fn check(&mut self, check: Check, subject: String, now: Timestamp) -> Action {
        let Some((project, client)) = self.place.clone() else { return self.after(BUSY) };
        let (engine, target) = (self.engine, self.target());
        let outcome = {
            let wish = self.object.wish();
            let (Some(keys), Some(places), Link::Up(up)) = (&self.sendable, &wish.places, &self.link) else {
                return self.after(BUSY);
            };
            let question = question(check, places, keys, &up.region);
            match project.findings.begin(question, target, self.is_asked_for(), (now, &engine.waker)) {
                Begin::Known(outcome) => Ok(Some(outcome)),
                Begin::Busy => return self.after(BUSY),
                Begin::Ask(asking) => match ask(check, &client, places, keys, &up.region).await {
                    Ok(outcome) => {
                        asking.answer(outcome.clone(), engine.clock.now());
                        Ok(Some(outcome))
                    }
                    Err(error) => {
                        let outcome = judge_check(check, &self.trouble_of_check(&error, engine.clock.now()));
                        if let Some(outcome) = &outcome {
                            asking.answer(outcome.clone(), engine.clock.now());
                        }
                        outcome.map(Some).ok_or(error)
                    }
                },
            }
        };
        match outcome {
            Ok(outcome) => {
                self.clear_trouble(Call::Check);
                let at = engine.clock.now();
                self.memory.findings.extend(outcome.map(|outcome| Finding { check, subject, at, outcome }));
            }
            Err(error) => self.note_trouble(Call::Check, &error, engine.clock.now()),
        }
        Action::requeue(Duration::ZERO)
    }

    fn trouble_of_check(&self, error: &oms::Error, now: Timestamp) -> Trouble {
        wire::trouble(Call::Check, error, self.memory.trouble.as_ref(), now)
    }

    /// Whether somebody asked for a look and has no answer yet.
    fn is_asked_for(&self) -> bool {
        let annotations = self.object.meta().annotations.as_ref();
        let asked = annotations.and_then(|all| all.get(api::RECONCILE_REQUESTED_AT));
        asked != self.object.status().and_then(|status| status.last_handled_reconcile_at.as_ref())
    }
}

/// What is asked, with which keys.
fn question(check: Check, places: &Places<'_>, keys: &TransferKeys, region: &str) -> Question {
    let mut hash = Sha256::new();
    let mut add = |part: &str| {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    };
    let key = match check {
        Check::Key(index) => places.keys.get(index).map(String::as_str),
        _ => None,
    };
    // Two prefixes of a bucket are two questions, wherever they stand in their lists.
    add(if key.is_some() { "key" } else { "" });
    add(&if key.is_some() { String::new() } else { check.name() });
    for part in [key, places.region, places.bucket, places.app_id, Some(places.destination), Some(region)] {
        add(part.unwrap_or_default());
    }
    add(places.cloud.as_str());
    if check == Check::Cdn {
        add(&format!("{:?}", places.cdn));
        places.keys.iter().for_each(|key| add(key));
    }
    add(&format!("{:?}", places.url_list));
    let mut pair = |keys: &BucketKeys| match keys {
        BucketKeys::Pair { access_key, secret_key, security_token } => {
            add(access_key.expose_secret());
            add(secret_key.expose_secret());
            add(security_token.as_ref().map_or("", |token| token.expose_secret()));
        }
        BucketKeys::ConnectionString(text) | BucketKeys::JsonAuthFile(text) => add(text.expose_secret()),
    };
    match (check, &keys.source) {
        (Check::Destination | Check::UrlList, _) => pair(&keys.destination),
        (_, Some(source)) => pair(source),
        _ => {}
    }
    if let (Check::Cdn, Some(key)) = (check, &keys.cdn) {
        hash.update(key.expose_secret().as_bytes());
    }
    hash.finalize().into()
}

/// How OMS is to open a bucket, and the token that only one check takes.
fn access(
    cloud: &str,
    app_id: Option<&str>,
    keys: &BucketKeys,
) -> (BucketAccess, Option<secrecy::SecretString>) {
    let mut access = BucketAccess {
        cloud_type: cloud.to_owned(),
        app_id: app_id.map(str::to_owned),
        ..BucketAccess::default()
    };
    match keys {
        BucketKeys::Pair { access_key, secret_key, security_token } => {
            access.ak = Some(access_key.clone());
            access.sk = Some(secret_key.clone());
            return (access, security_token.clone());
        }
        BucketKeys::ConnectionString(text) => access.connection_string = Some(text.clone()),
        BucketKeys::JsonAuthFile(text) => access.json_auth_file = Some(text.clone()),
    }
    (access, None)
}

/// Makes a check.
async fn ask(
    check: Check,
    client: &Client,
    places: &Places<'_>,
    keys: &TransferKeys,
    region: &str,
) -> Result<Outcome, oms::Error> {
    match check {
        Check::Destination => return destination(client, places, &keys.destination, region).await,
        Check::UrlList => return url_list(client, places, &keys.destination, region).await,
        _ => {}
    }
    let (Some(bucket), Some(keys_of_source)) = (places.bucket, &keys.source) else {
        return Ok(Outcome::passed());
    };
    let (access, token) = access(places.cloud.as_str(), places.app_id, keys_of_source);
    let (bucket, at) = (bucket.to_owned(), places.region.unwrap_or_default().to_owned());
    if token.is_some() && !matches!(check, Check::Key(_)) {
        return Ok(Outcome::not_possible(TEMPORARY));
    }
    match check {
        Check::Source => source(client, &access, &bucket, &at).await,
        Check::Key(index) => {
            let key = places.keys.get(index).map(String::as_str).unwrap_or_default();
            let request = CheckPrefix {
                access,
                security_token: token,
                bucket: bucket.clone(),
                region: at,
                prefix: key.to_owned(),
            };
            let exists = client.check_prefix(&request, Urgency::Create).await?;
            let what =
                if key.is_empty() { "is empty".to_owned() } else { format!("has nothing below `{key}`") };
            Ok(if exists {
                Outcome::passed()
            } else {
                Outcome::failed(format!(
                    "`source.objectKeys`: Bucket `{bucket}` {what}. Correct the entry, or put objects there"
                ))
            })
        }
        Check::Objects => {
            let request = ShowBucketObjects {
                access,
                bucket,
                region: at,
                page_size: 1,
                ..ShowBucketObjects::default()
            };
            client.show_bucket_objects(&request, Urgency::Create).await.map(|_| Outcome::passed())
        }
        _ => cdn(client, (access, bucket, at), places, keys).await,
    }
}

async fn source(
    client: &Client,
    access: &BucketAccess,
    bucket: &str,
    region: &str,
) -> Result<Outcome, oms::Error> {
    let found = client.show_bucket_region(access, bucket, Urgency::Create).await?;
    Ok(if !found.id.eq_ignore_ascii_case(region) {
        Outcome::failed(format!(
            "`source.region`: Bucket `{bucket}` lies in {}, not in {region}. Correct the region or the bucket",
            found.id
        ))
    } else if found.support == Some(false) {
        Outcome::failed(format!(
            "`source.region`: OMS does not migrate from {region}. Copy the objects to another region first"
        ))
    } else {
        Outcome::passed()
    })
}

async fn destination(
    client: &Client,
    places: &Places<'_>,
    keys: &BucketKeys,
    region: &str,
) -> Result<Outcome, oms::Error> {
    let (access, token) = access(api::CloudType::HuaweiCloud.as_str(), None, keys);
    if token.is_some() {
        return Ok(Outcome::not_possible(TEMPORARY));
    }
    let bucket = places.destination;
    let found = client.show_bucket_region(&access, bucket, Urgency::Create).await?;
    Ok(if found.id.eq_ignore_ascii_case(region) {
        Outcome::passed()
    } else {
        Outcome::failed(format!(
            "`destination.bucket`: Bucket `{bucket}` lies in {}, but OMS copies only into the connection's region {region}. \
             Choose a bucket there, or a connection of that region",
            found.id
        ))
    })
}

async fn url_list(
    client: &Client,
    places: &Places<'_>,
    keys: &BucketKeys,
    region: &str,
) -> Result<Outcome, oms::Error> {
    let Some(list) = places.url_list else { return Ok(Outcome::passed()) };
    let BucketKeys::Pair { access_key, secret_key, security_token: None } = keys else {
        return Ok(Outcome::not_possible(TEMPORARY));
    };
    let request = CheckUrlSourceListFileFormat {
        list_file: oms::ListFile { list_file_key: list.key.clone(), obs_bucket: list.bucket.clone() },
        ak: access_key.clone(),
        sk: secret_key.clone(),
        region: region.to_owned(),
    };
    client.check_url_source_list_file_format(&request, Urgency::Create).await.map(|()| Outcome::passed())
}

async fn cdn(
    client: &Client,
    (access, bucket, region): (BucketAccess, String, String),
    places: &Places<'_>,
    keys: &TransferKeys,
) -> Result<Outcome, oms::Error> {
    let Some(cdn) = places.cdn else { return Ok(Outcome::passed()) };
    if access.json_auth_file.is_some() {
        return Ok(Outcome::not_possible("OMS checks no CDN in front of Google"));
    }
    let object = |key: &&String| places.named && !key.is_empty() && !key.ends_with('/');
    let request = ShowCdnInfo {
        access,
        bucket,
        region,
        source_cdn: wire::source_cdn(cdn, keys.cdn.as_ref()),
        keys: places.keys.iter().filter(object).take(CDN_OBJECTS).cloned().collect(),
    };
    let found = client.show_cdn_info(&request, Urgency::Create).await?;
    let other = found.checked_keys.iter().find(|key| key.is_etag_matching == Some(false));
    Ok(match (found.is_download_available, other) {
        (Some(true), Some(other)) => Outcome::failed(format!(
            "`source.cdn`: The CDN serves another object than the bucket for `{}`. Point its origin at the bucket, and empty its cache",
            other.key
        )),
        (Some(true), None) => Outcome::passed(),
        (Some(false), _) => Outcome::failed(
            "`source.cdn`: The CDN does not serve the bucket's objects with this key. Correct `domain`, `protocol` and the key",
        ),
        (None, _) => Outcome::not_possible("OMS tried no object"),
    })
}
