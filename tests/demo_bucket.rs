//! The demo's own eyes: what it stores is what it reads back, object by object.
#![cfg(all(feature = "dev", feature = "emulator"))]
#![allow(clippy::unwrap_used)]

use oms_operator::dev::bucket::{Bucket, Endpoint};
use oms_operator::dev::samples;
use oms_operator::emulator::store::{EmbeddedStore, StoreConfig};
use sha2::{Digest, Sha256};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_sample_is_read_back_with_its_key_contents_and_metadata() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let store = EmbeddedStore::start(StoreConfig {
        name: "source".to_owned(),
        dir: None,
        listen: "127.0.0.1:0".parse().unwrap(),
        access_keys: vec![("key".to_owned(), "secret".into())],
    })
    .await
    .unwrap();
    let endpoint = Endpoint {
        url: store.endpoint(),
        region: "eu-west-1".to_owned(),
        cloud: "AWS".to_owned(),
        access_key: "key".to_owned(),
        secret_key: "secret".to_owned(),
    };
    let bucket = Bucket::new(&endpoint, "photos").unwrap();
    let samples = samples::samples();
    samples::store(&bucket, &samples, |_| ()).await.unwrap();

    let fingerprints = bucket.fingerprints(|_| ()).await.unwrap();
    assert_eq!(fingerprints.len(), samples.len());
    for sample in &samples {
        let found = &fingerprints[&sample.key];
        let sha256 = data_encoding::HEXLOWER.encode(&Sha256::digest(sample.contents()));
        assert_eq!(found.size, sample.size as u64, "{}", sample.key);
        assert_eq!(found.sha256, sha256, "{}", sample.key);
        assert_eq!(found.content_type, sample.content_type, "{}", sample.key);
        let metadata: Vec<_> = found.metadata.clone().into_iter().collect();
        assert_eq!(metadata, sample.metadata, "{}", sample.key);
    }
    store.shutdown().await;
}
