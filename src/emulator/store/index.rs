//! What the store holds: buckets with their keys in order, in memory, with a log on disk that it is rebuilt from.
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::blob::{Blob, Blobs};

/// What is known of an object besides its bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) size: u64,
    /// Without quotes.
    pub(super) etag: String,
    pub(super) crc64: u64,
    pub(super) last_modified: Timestamp,
    pub(super) storage_class: String,
    /// Archived objects can be read until then after a restore.
    #[serde(default)]
    pub(super) restored_until: Option<Timestamp>,
    /// The restore is complete from then on.
    #[serde(default)]
    pub(super) restored_from: Option<Timestamp>,
    #[serde(default)]
    pub(super) headers: Headers,
    /// Numbers and sizes of the files, in order.
    pub(super) blobs: Vec<(u64, u64)>,
    /// How often this key was written, this object included.
    pub(super) writes: u64,
}

impl Record {
    /// An object without bytes.
    pub(super) fn empty(last_modified: Timestamp) -> Self {
        Self {
            size: 0,
            // The MD5 of nothing.
            etag: "d41d8cd98f00b204e9800998ecf8427e".to_owned(),
            crc64: 0,
            last_modified,
            storage_class: "STANDARD".to_owned(),
            restored_until: None,
            restored_from: None,
            headers: Headers::default(),
            blobs: Vec::new(),
            writes: 0,
        }
    }
}

/// Headers that are kept with an object and returned as they came.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Headers {
    pub(super) content_type: Option<String>,
    pub(super) cache_control: Option<String>,
    pub(super) content_disposition: Option<String>,
    pub(super) content_encoding: Option<String>,
    pub(super) content_language: Option<String>,
    pub(super) expires: Option<Timestamp>,
    pub(super) metadata: BTreeMap<String, String>,
}

/// An object: its record and the files that hold it.
#[derive(Debug)]
pub(super) struct Object {
    pub(super) record: Record,
    pub(super) blobs: Vec<Arc<Blob>>,
}

/// A bucket.
#[derive(Debug)]
pub(super) struct Bucket {
    pub(super) created: Timestamp,
    pub(super) region: Option<String>,
    /// Bytes of all objects.
    pub(super) used: u64,
    pub(super) objects: BTreeMap<String, Arc<Object>>,
}

/// A line of the log.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Change {
    Bucket { name: String, created: Timestamp, region: Option<String> },
    DropBucket { name: String },
    Put { bucket: String, key: String, record: Box<Record> },
    Delete { bucket: String, key: String },
}

/// A bucket as the log tells it: creation, region, objects.
type Remembered = (Timestamp, Option<String>, HashMap<String, Record>);

/// All buckets, and the log that changes go to.
#[derive(Debug)]
pub(super) struct Index {
    pub(super) buckets: BTreeMap<String, Bucket>,
    log: Option<File>,
}

impl Index {
    /// An index that forgets.
    pub(super) fn in_memory() -> Self {
        Self { buckets: BTreeMap::new(), log: None }
    }

    /// Rebuilds the index from the log in `dir`, writes the log anew without what is superseded, and opens the blobs.
    pub(super) fn open(dir: &Path) -> std::io::Result<(Self, Blobs)> {
        let path = dir.join("log.jsonl");
        let mut records: BTreeMap<String, Remembered> = BTreeMap::new();
        if let Ok(file) = File::open(&path) {
            for line in BufReader::new(file).split(b'\n') {
                // A process that was killed can leave half a line at the end, of a change nobody was told of.
                let Ok(change) = serde_json::from_slice::<Change>(&line?) else { continue };
                match change {
                    Change::Bucket { name, created, region } => {
                        records.insert(name, (created, region, HashMap::new()));
                    }
                    Change::DropBucket { name } => {
                        records.remove(&name);
                    }
                    Change::Put { bucket, key, record } => {
                        if let Some((_, _, objects)) = records.get_mut(&bucket) {
                            objects.insert(key, *record);
                        }
                    }
                    Change::Delete { bucket, key } => {
                        if let Some((_, _, objects)) = records.get_mut(&bucket) {
                            objects.remove(&key);
                        }
                    }
                }
            }
        }
        let wanted: HashSet<u64> = records
            .values()
            .flat_map(|(_, _, objects)| objects.values())
            .flat_map(|record| record.blobs.iter().map(|(id, _)| *id))
            .collect();
        let blobs = Blobs::open(dir.join("objects"), &wanted)?;
        let buckets = records
            .into_iter()
            .map(|(name, (created, region, objects))| {
                let used = objects.values().map(|record: &Record| record.size).sum();
                let objects = objects
                    .into_iter()
                    .map(|(key, record)| {
                        let blobs = record.blobs.iter().map(|(id, size)| blobs.known(*id, *size)).collect();
                        (key, Arc::new(Object { record, blobs }))
                    })
                    .collect();
                (name, Bucket { created, region, used, objects })
            })
            .collect();
        let mut index = Self { buckets, log: None };
        index.log = Some(index.rewrite(&path)?);
        Ok((index, blobs))
    }

    fn rewrite(&self, path: &Path) -> std::io::Result<File> {
        let fresh: PathBuf = path.with_extension("new");
        let mut writer = BufWriter::new(File::create(&fresh)?);
        for (name, bucket) in &self.buckets {
            write_line(
                &mut writer,
                &Change::Bucket {
                    name: name.clone(),
                    created: bucket.created,
                    region: bucket.region.clone(),
                },
            )?;
            for (key, object) in &bucket.objects {
                let put = Change::Put {
                    bucket: name.clone(),
                    key: key.clone(),
                    record: Box::new(object.record.clone()),
                };
                write_line(&mut writer, &put)?;
            }
        }
        let file = writer.into_inner().map_err(std::io::IntoInnerError::into_error)?;
        std::fs::rename(&fresh, path)?;
        Ok(file)
    }

    fn append(&mut self, change: impl FnOnce() -> Change) -> std::io::Result<()> {
        if let Some(log) = &mut self.log {
            write_line(log, &change())?;
        }
        Ok(())
    }

    /// Adds a bucket; the caller has seen that it does not exist.
    pub(super) fn create_bucket(&mut self, name: &str, region: Option<String>) -> std::io::Result<()> {
        let created = Timestamp::now();
        self.append(|| Change::Bucket { name: name.to_owned(), created, region: region.clone() })?;
        self.buckets.insert(name.to_owned(), Bucket { created, region, used: 0, objects: BTreeMap::new() });
        Ok(())
    }

    /// Removes a bucket; the caller has seen that it is empty.
    pub(super) fn drop_bucket(&mut self, name: &str) -> std::io::Result<()> {
        self.append(|| Change::DropBucket { name: name.to_owned() })?;
        self.buckets.remove(name);
        Ok(())
    }

    /// Puts an object in its place; `None` when the bucket does not exist. Sets `writes`, and retires what was there
    /// unless the new object consists of the same files.
    pub(super) fn put(
        &mut self,
        bucket: &str,
        key: &str,
        mut record: Record,
        blobs: Vec<Arc<Blob>>,
    ) -> std::io::Result<Option<Arc<Object>>> {
        let Some(found) = self.buckets.get(bucket) else { return Ok(None) };
        let before = found.objects.get(key).cloned();
        record.blobs = blobs.iter().map(|blob| (blob.id, blob.size)).collect();
        record.writes = before.as_ref().map_or(0, |object| object.record.writes) + 1;
        self.append(|| Change::Put {
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            record: Box::new(record.clone()),
        })?;
        let object = Arc::new(Object { record, blobs });
        if let Some(found) = self.buckets.get_mut(bucket) {
            found.used += object.record.size;
            found.used -= before.as_ref().map_or(0, |object| object.record.size);
            found.objects.insert(key.to_owned(), Arc::clone(&object));
        }
        if let Some(before) = before
            && before.record.blobs != object.record.blobs
        {
            before.retire();
        }
        Ok(Some(object))
    }

    /// Replaces what is recorded of an object without counting it as written.
    pub(super) fn amend(
        &mut self,
        bucket: &str,
        key: &str,
        change: impl FnOnce(&mut Record),
    ) -> std::io::Result<bool> {
        let Some(object) = self.buckets.get(bucket).and_then(|found| found.objects.get(key)) else {
            return Ok(false);
        };
        let mut record = object.record.clone();
        let blobs = object.blobs.clone();
        change(&mut record);
        self.append(|| Change::Put {
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            record: Box::new(record.clone()),
        })?;
        if let Some(found) = self.buckets.get_mut(bucket) {
            found.objects.insert(key.to_owned(), Arc::new(Object { record, blobs }));
        }
        Ok(true)
    }

    /// Removes an object; says whether it was there.
    pub(super) fn delete(&mut self, bucket: &str, key: &str) -> std::io::Result<bool> {
        if self.buckets.get(bucket).is_none_or(|found| !found.objects.contains_key(key)) {
            return Ok(false);
        }
        self.append(|| Change::Delete { bucket: bucket.to_owned(), key: key.to_owned() })?;
        if let Some(found) = self.buckets.get_mut(bucket)
            && let Some(object) = found.objects.remove(key)
        {
            found.used -= object.record.size;
            object.retire();
        }
        Ok(true)
    }
}

impl Object {
    fn retire(&self) {
        for blob in &self.blobs {
            blob.retire();
        }
    }
}

fn write_line(writer: &mut impl Write, change: &Change) -> std::io::Result<()> {
    let mut line = serde_json::to_vec(change)?;
    line.push(b'\n');
    // One call, so that a killed process leaves whole lines wherever the system allows.
    writer.write_all(&line)
}
