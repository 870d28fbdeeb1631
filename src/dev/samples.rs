//! The objects of the demo's source bucket: ordinary ones, and every kind that breaks naive copying.

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use sha2::{Digest, Sha256};

use super::bucket::Bucket;
use super::error::Result;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;
const PARALLEL: usize = 8;

/// An object to make.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Key.
    pub key: String,
    /// Bytes.
    pub size: usize,
    /// `Content-Type`.
    pub content_type: &'static str,
    /// User metadata.
    pub metadata: Vec<(String, String)>,
}

impl Sample {
    fn new(key: impl Into<String>, size: usize) -> Self {
        let key = key.into();
        let extension = key.rsplit('.').next().unwrap_or_default();
        let content_type = match extension {
            "jpg" => "image/jpeg",
            "mp4" => "video/mp4",
            "txt" => "text/plain; charset=utf-8",
            "json" => "application/json",
            _ => "application/octet-stream",
        };
        Self { key, size, content_type, metadata: Vec::new() }
    }

    fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.metadata.push((name.to_owned(), value.into()));
        self
    }

    /// Contents that follow from the key alone and that no compression shortens.
    pub fn contents(&self) -> Bytes {
        let mut state = u64::from_le_bytes(first_eight(&Sha256::digest(self.key.as_bytes())));
        let mut contents = Vec::with_capacity(self.size + 8);
        while contents.len() < self.size {
            // SplitMix64: fast, and good enough to be different everywhere.
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut mixed = state;
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            contents.extend_from_slice(&(mixed ^ (mixed >> 31)).to_le_bytes());
        }
        contents.truncate(self.size);
        contents.into()
    }
}

fn first_eight(bytes: &[u8]) -> [u8; 8] {
    let mut first = [0; 8];
    first.copy_from_slice(&bytes[..8]);
    first
}

/// The demo's bucket: more than 200 objects, about 100 MiB.
pub fn samples() -> Vec<Sample> {
    let mut samples: Vec<Sample> = (0..180)
        .map(|number: usize| {
            let (year, month) = (2023 + number / 60, 1 + number / 5 % 12);
            let key = format!("{year}/{month:02}/IMG_{number:04}.jpg");
            let photo = Sample::new(key, 2 * KIB + number * 211);
            // Two of three carry metadata, so that having none is seen to stay so.
            match number % 3 {
                0 => photo,
                1 => photo.with("camera", "X100").with("taken", format!("{year}-{month:02}-14T09:26:53Z")),
                _ => photo.with("album", format!("Trip no. {}", number / 10)).with("rating", "5"),
            }
        })
        .collect();
    for number in 1..=3 {
        let key = format!("video/clip-{number}.mp4");
        samples.push(Sample::new(key, 30 * MIB).with("duration", format!("00:0{number}:30")));
    }
    let deep = (1..=60).fold(String::new(), |path, level| path + &format!("level-{level}/")) + "treasure.txt";
    let long = "long-".repeat(190) + "name.json";
    let peculiar = [
        // Empty ones, one with metadata below.
        ("empty.txt", 0),
        ("2023/.keep", 0),
        ("folder/", 0),
        ("a/b/c/", 0),
        // Other alphabets, composed and decomposed.
        ("фото/лето.jpg", 5 * KIB),
        ("写真/東京タワー.jpg", 6 * KIB),
        ("صور/بحر.jpg", 4 * KIB),
        ("emoji/🚀 launch 👩‍🚀.json", 777),
        ("café/déjà vu.txt", 123),
        ("cafe\u{301}/decomposed.txt", 124),
        // Spaces, and what URLs and shells make of characters.
        ("with space/two  spaces.txt", 42),
        (" leading and trailing ", 43),
        ("100%.txt", 1),
        ("percent/%20/encoded%2Fslash%.txt", 2),
        ("%E2%82%AC.txt", 3),
        ("a+b=c.txt", 4),
        ("c++/main+more.txt", 5),
        ("query?x=1&y=2#fragment.txt", 6),
        ("quotes'\"`$HOME`!.txt", 7),
        ("brackets[1]{2}(3)<4>|^~.txt", 8),
        ("semi;colon:comma,at@star*.txt", 9),
        ("back\\slash\\path.txt", 10),
        ("..hidden", 11),
        ("...", 12),
        // Keys are not paths.
        ("same", 13),
        ("same/name", 14),
        ("double//slash///deep.txt", 15),
        ("/leading-slash.txt", 16),
        (&deep, 17),
        (&long, 18),
        // Just around the sizes where copying changes its ways.
        ("sizes/1-byte", 1),
        ("sizes/5-MiB", 5 * MIB),
        ("sizes/8-MiB-and-1", 8 * MIB + 1),
    ];
    samples.extend(peculiar.into_iter().map(|(key, size)| Sample::new(key, size)));
    samples.push(Sample::new("empty-with-metadata", 0).with("note", "nothing in here; really = nothing"));
    samples
}

/// Makes the bucket and stores the samples; `stored` is told the size after each.
pub async fn store(bucket: &Bucket, samples: &[Sample], stored: impl Fn(usize)) -> Result<()> {
    bucket.create().await?;
    let stored = &stored;
    stream::iter(samples)
        .map(async |sample| {
            bucket.put(&sample.key, sample.content_type, &sample.metadata, sample.contents()).await?;
            stored(sample.size);
            Ok(())
        })
        .buffer_unordered(PARALLEL)
        .try_collect()
        .await
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_samples_are_many_and_different() {
        let samples = samples();
        let keys: BTreeSet<_> = samples.iter().map(|sample| &sample.key).collect();
        assert_eq!(keys.len(), samples.len());
        assert!(samples.len() >= 200);
        assert!(samples.iter().all(|sample| (1..=1024).contains(&sample.key.len())));
        assert!(samples.iter().filter(|sample| sample.size == 30 * MIB).count() >= 2);
        let contents: BTreeSet<_> = samples.iter().map(Sample::contents).collect();
        // Only the empty ones and the two of one byte may be alike.
        assert!(contents.len() > samples.len() - 7);
        assert!(samples.iter().all(|sample| sample.contents().len() == sample.size));
    }
}
