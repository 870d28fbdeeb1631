//! Which S3 endpoint stands for which cloud and region, and what a look at one tells.

use std::{sync::Arc, time::Duration};

use rusty_s3::{Bucket, Credentials, S3Action as _, UrlStyle};
use secrecy::{ExposeSecret as _, SecretString};

use super::{
    cdn::Cdns,
    mover::{Keys, ListFile, Location},
    store::{StoreBehaviour, StoreHandle},
};

/// An S3 endpoint, embedded or elsewhere.
#[derive(Clone, Debug)]
pub struct StoreAddress {
    /// Name in the ready file.
    pub name: String,
    /// Cloud, in the spelling of the tasks API.
    pub cloud_type: &'static str,
    /// Region, or `*`.
    pub region: String,
    /// Base URL.
    pub endpoint: String,
    /// Access key and secret of the store, for people who want to use it.
    pub first_key: Option<(String, SecretString)>,
    /// All configured key pairs. Empty where only the store itself knows which it accepts.
    pub keys: Vec<(String, SecretString)>,
    /// How it behaves, where the emulator itself runs it.
    pub embedded: Option<Embedded>,
}

/// How a store behaves that the emulator runs.
#[derive(Clone, Debug)]
pub struct Embedded {
    /// The behaviour in force.
    pub handle: StoreHandle,
    /// The behaviour that was configured.
    pub configured: StoreBehaviour,
}

impl StoreAddress {
    /// Whether the store may accept a key pair: it is one of those configured, or none is.
    pub fn may_accept(&self, pair: &Keys) -> bool {
        let is_it = |(access, secret): &(String, SecretString)| {
            *access == pair.access_key && secret.expose_secret() == pair.secret_key.expose_secret()
        };
        self.keys.is_empty() || self.keys.iter().any(is_it)
    }

    /// A bucket of the store, for a mover that asks for it in this region.
    pub fn location(&self, region: &str, bucket: &str, keys: Keys) -> Location {
        Location {
            endpoint: self.endpoint.clone(),
            region: signing_region(self, region).to_owned(),
            bucket: bucket.to_owned(),
            keys,
        }
    }
}

/// All stores.
#[derive(Clone, Debug)]
pub struct Stores {
    addresses: Vec<StoreAddress>,
    cdns: Cdns,
    url_roots: Arc<[reqwest::Certificate]>,
    http: reqwest::Client,
}

/// What is wrong with a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BucketProblem {
    /// The store does not accept the keys.
    Keys,
    /// There is no such bucket, or the keys do not open it, or the store does not answer.
    Access,
}

/// Metadata and first bytes of a list file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListFileHead {
    /// `Content-Type`, without parameters.
    pub content_type: String,
    /// `Content-Encoding`.
    pub content_encoding: String,
    /// Size in bytes.
    pub size: u64,
    /// The file begins with a byte order mark.
    pub has_bom: bool,
}

/// Why a list file could not be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListFileProblem {
    /// There is none.
    Missing,
    /// It may not be read, or the store does not answer.
    Access,
}

/// A look must not hold up a create for long.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a signed URL is good for.
const VALIDITY: Duration = Duration::from_mins(1);

impl Stores {
    /// The given stores.
    pub fn new(stores: Vec<StoreAddress>) -> Result<Self, reqwest::Error> {
        let http = reqwest::Client::builder()
            .timeout(PATIENCE)
            .redirect(reqwest::redirect::Policy::none())
            // Stores are named by address; a proxy of the environment is for other things.
            .no_proxy()
            // What is encoded has to be seen as that.
            .no_gzip()
            .build()?;
        Ok(Self { addresses: stores, cdns: Cdns::new(Vec::new())?, url_roots: Arc::from([]), http })
    }

    /// The same stores, with these CDNs in front of them.
    pub fn behind(self, cdns: Cdns) -> Self {
        Self { cdns, ..self }
    }

    /// The same stores; URLs of lists may rely on these authorities over https.
    pub fn trusting(self, url_roots: Vec<reqwest::Certificate>) -> Self {
        Self { url_roots: url_roots.into(), ..self }
    }

    /// Authorities that URLs of lists may rely on, besides the system's.
    pub fn url_roots(&self) -> &Arc<[reqwest::Certificate]> {
        &self.url_roots
    }

    /// CDNs in front of the stores.
    pub fn cdns(&self) -> &Cdns {
        &self.cdns
    }

    /// All stores, in the order of the configuration, the embedded ones last.
    pub fn list(&self) -> &[StoreAddress] {
        &self.addresses
    }

    /// The stores that the emulator runs, by name.
    pub fn embedded(&self) -> impl Iterator<Item = (&str, &Embedded)> {
        self.addresses.iter().filter_map(|store| Some((store.name.as_str(), store.embedded.as_ref()?)))
    }

    /// Every embedded store behaves as it was configured again.
    pub fn reset_behaviour(&self) {
        for (_, embedded) in self.embedded() {
            embedded.handle.set_behaviour(embedded.configured.clone());
        }
    }

    /// The store for a cloud and region: one that names the region before one for every region.
    pub fn find(&self, cloud_type: &str, region: &str) -> Option<&StoreAddress> {
        let of_cloud = || self.addresses.iter().filter(|store| store.cloud_type == cloud_type);
        of_cloud()
            .find(|store| store.region == region)
            .or_else(|| of_cloud().find(|store| store.region == "*"))
    }

    /// Looks whether a bucket can be listed with these keys.
    pub async fn check_bucket(
        &self,
        store: &StoreAddress,
        region: &str,
        bucket: &str,
        keys: &Keys,
    ) -> Result<(), BucketProblem> {
        let bucket = open(store, region, bucket).ok_or(BucketProblem::Access)?;
        let credentials = credentials(keys);
        let mut list = bucket.list_objects_v2(Some(&credentials));
        list.with_max_keys(1);
        let answer = self.http.get(list.sign(VALIDITY)).send().await.map_err(|_| BucketProblem::Access)?;
        if answer.status().is_success() {
            return Ok(());
        }
        let text = answer.text().await.unwrap_or_default();
        let about_keys =
            ["InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "ExpiredToken", "NotSignedUp"]
                .iter()
                .any(|code| text.contains(&format!("<Code>{code}</Code>")));
        Err(if about_keys { BucketProblem::Keys } else { BucketProblem::Access })
    }

    /// The ETag of an object; `None` where there is no such object, or the keys do not open it.
    pub async fn etag(
        &self,
        (store, region, bucket): (&StoreAddress, &str, &str),
        key: &str,
        keys: &Keys,
    ) -> Option<String> {
        let bucket = open(store, region, bucket)?;
        let url = bucket.head_object(Some(&credentials(keys)), key).sign(VALIDITY);
        let answer = self.http.head(url).send().await.ok().filter(|answer| answer.status().is_success())?;
        answer.headers().get(http::header::ETAG)?.to_str().ok().map(str::to_owned)
    }

    /// Looks at a list file without reading it all.
    pub async fn look_at_list(
        &self,
        store: &StoreAddress,
        region: &str,
        list: &ListFile,
        keys: &Keys,
    ) -> Result<ListFileHead, ListFileProblem> {
        let bucket = open(store, region, &list.bucket).ok_or(ListFileProblem::Access)?;
        let credentials = credentials(keys);
        let url = bucket.get_object(Some(&credentials), &list.key).sign(VALIDITY);
        // An empty file has no first three bytes, which S3 answers with 416; then the whole of it is small enough.
        let mut answer = self.fetch(url.clone(), Some("bytes=0-2")).await?;
        if answer.status() == http::StatusCode::RANGE_NOT_SATISFIABLE {
            answer = self.fetch(url, None).await?;
        }
        if answer.status() == http::StatusCode::NOT_FOUND {
            return Err(ListFileProblem::Missing);
        }
        if !answer.status().is_success() {
            return Err(ListFileProblem::Access);
        }
        let header = |name: http::HeaderName| {
            answer.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
        };
        let content_type = header(http::header::CONTENT_TYPE);
        let whole = header(http::header::CONTENT_RANGE).rsplit('/').next().and_then(|size| size.parse().ok());
        Ok(ListFileHead {
            content_type: content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase(),
            content_encoding: header(http::header::CONTENT_ENCODING),
            size: whole.or(answer.content_length()).unwrap_or(0),
            has_bom: answer.bytes().await.unwrap_or_default().starts_with(b"\xef\xbb\xbf"),
        })
    }

    /// The client that looks into stores.
    pub(super) fn http(&self) -> &reqwest::Client {
        &self.http
    }

    /// The stores of a cloud, wherever they are.
    pub fn of_cloud(&self, cloud_type: &str) -> impl Iterator<Item = &StoreAddress> {
        self.addresses.iter().filter(move |store| store.cloud_type == cloud_type)
    }

    async fn fetch(&self, url: url::Url, range: Option<&str>) -> Result<reqwest::Response, ListFileProblem> {
        let mut request = self.http.get(url).header(http::header::ACCEPT_ENCODING, "identity");
        if let Some(range) = range {
            request = request.header(http::header::RANGE, range);
        }
        request.send().await.map_err(|_| ListFileProblem::Access)
    }
}

/// The region that requests to a store are signed for.
pub fn signing_region<'a>(store: &'a StoreAddress, asked: &'a str) -> &'a str {
    if store.region == "*" { asked } else { &store.region }
}

pub(super) fn open(store: &StoreAddress, region: &str, bucket: &str) -> Option<Bucket> {
    let endpoint = store.endpoint.parse().ok()?;
    Bucket::new(endpoint, UrlStyle::Path, bucket.to_owned(), signing_region(store, region).to_owned()).ok()
}

pub(super) fn credentials(keys: &Keys) -> Credentials {
    let secret = keys.secret_key.expose_secret();
    match &keys.security_token {
        Some(token) => Credentials::new_with_token(&keys.access_key, secret, token.expose_secret()),
        None => Credentials::new(&keys.access_key, secret),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(name: &str, cloud_type: &'static str, region: &str) -> StoreAddress {
        StoreAddress {
            name: name.to_owned(),
            cloud_type,
            region: region.to_owned(),
            endpoint: "http://127.0.0.1:1".to_owned(),
            first_key: None,
            keys: Vec::new(),
            embedded: None,
        }
    }

    #[test]
    fn a_store_that_names_the_region_comes_before_one_for_every_region() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let stores = Stores::new(vec![
            store("any", "AWS", "*"),
            store("west", "AWS", "eu-west-1"),
            store("obs", "HuaweiCloud", "cn-north-4"),
        ])
        .unwrap();
        let find = |cloud, region| stores.find(cloud, region).map(|store| store.name.as_str());
        assert_eq!(find("AWS", "eu-west-1"), Some("west"));
        assert_eq!(find("AWS", "us-east-1"), Some("any"));
        assert_eq!(find("HuaweiCloud", "cn-north-1"), None);
        assert_eq!(find("Google", "x"), None);
    }
}
