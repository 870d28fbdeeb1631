//! Buckets and objects of the playground, by hand: what `oms-dev bucket` does in the environment of `.dev/env`.

use super::bucket::{Bucket, Endpoint};
use super::error::{Context, Error, Result};
use super::samples;

/// Makes a source bucket with objects as small as the smallest of the demo's, and an empty destination bucket; returns what there is.
pub async fn make(source: &str, destination: &str, objects: usize) -> Result<String> {
    let from = Bucket::new(&endpoint("SOURCE")?, source)?;
    let to = Bucket::new(&endpoint("DESTINATION")?, destination)?;
    let mut samples = samples::samples();
    samples.retain(|sample| sample.size > 0);
    samples.sort_by_key(|sample| sample.size);
    samples.truncate(objects);
    for (number, sample) in samples.iter_mut().enumerate() {
        sample.key = format!("2026/photo-{number:03}.jpg");
    }
    samples::store(&from, &samples, |_| {}).await?;
    to.create().await?;
    Ok(format!(
        "Bucket `{source}` at the source has {} objects, bucket `{destination}` at the destination none",
        samples.len()
    ))
}

/// Puts small objects into a bucket of the source.
pub async fn put(source: &str, keys: &[String]) -> Result<String> {
    let bucket = Bucket::new(&endpoint("SOURCE")?, source)?;
    for key in keys {
        bucket.put(key, "text/plain", &[], format!("This is {key}\n").into()).await?;
    }
    Ok(format!("Put {} into bucket `{source}` at the source", keys.join(", ")))
}

/// The keys of a bucket of the destination, one per line.
pub async fn list(destination: &str) -> Result<String> {
    let bucket = Bucket::new(&endpoint("DESTINATION")?, destination)?;
    Ok(bucket.keys().await?.join("\n"))
}

/// One side of the playground, as its environment tells it.
fn endpoint(side: &str) -> Result<Endpoint> {
    let read = |name: &str| {
        let name = format!("S3_{side}_{name}");
        std::env::var(&name)
            .map_err(|_| Error::new(format!("{name} is not set: start `make dev`, then `source .dev/env`")))
    };
    let endpoint = Endpoint {
        url: read("ENDPOINT")?,
        region: read("REGION")?,
        cloud: read("CLOUD")?,
        access_key: read("ACCESS_KEY")?,
        secret_key: read("SECRET_KEY")?,
    };
    url::Url::parse(&endpoint.url).context(format_args!("S3_{side}_ENDPOINT is no address"))?;
    Ok(endpoint)
}
